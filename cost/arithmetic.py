"""One set of formulas, two arithmetics: exact decimals for what is signed, arrays of floats for what is drawn.

A formula takes its inputs from `Inputs` by key and its functions from `Arithmetic`, and otherwise uses + - * / with
whole numbers only, which both kinds of numbers take. So the 10,000 draws of a Monte Carlo and the points of a curve go
through the very lines that made the Decimal result; a test holds them to each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    from cost.ledger import Charge

Number = Any
"""Decimal, or a numpy array of floats (of draws, or of points of a curve): a formula does not know which."""


class Arithmetic(Protocol):
    """What the two kinds of numbers do not share as operators."""

    def of(self, value: Decimal | int) -> Number:
        """A constant."""

    def price(self, usd: Decimal, charge: Charge) -> Number:
        """A price of the snapshot, that of a unit of `charge`."""

    def ceil(self, value: Number) -> Number:
        """The next whole number that is not less."""

    def largest(self, one: Number, other: Number) -> Number:
        """The larger of two, element by element."""

    def smallest(self, one: Number, other: Number) -> Number:
        """The smaller of two, element by element."""

    def power(self, base: Number, exponent: Number) -> Number:
        """base ** exponent, base above 0."""

    def exp(self, value: Number) -> Number:
        """e ** value."""

    def less(self, one: Number, other: Number) -> Number:
        """1 where one < other, else 0."""


class Exact:
    """Decimals, 28 digits."""

    def of(self, value: Decimal | int) -> Decimal:
        return Decimal(value)

    def price(self, usd: Decimal, charge: Charge) -> Decimal:
        return usd

    def ceil(self, value: Decimal) -> Decimal:
        return value.to_integral_value(rounding="ROUND_CEILING")

    def largest(self, one: Decimal, other: Decimal) -> Decimal:
        return max(Decimal(one), Decimal(other))

    def smallest(self, one: Decimal, other: Decimal) -> Decimal:
        return min(Decimal(one), Decimal(other))

    def power(self, base: Decimal, exponent: Decimal) -> Decimal:
        return base**exponent

    def exp(self, value: Decimal) -> Decimal:
        return value.exp()

    def less(self, one: Decimal, other: Decimal) -> Decimal:
        return Decimal(int(one < other))


class Arrays:
    """Floats of numpy, many at once."""

    def __init__(self) -> None:
        import numpy

        self._np: Any = numpy

    def of(self, value: Decimal | int) -> float:
        return float(value)

    def price(self, usd: Decimal, charge: Charge) -> float:
        return float(usd)

    def ceil(self, value: Number) -> Number:
        return self._np.ceil(value)

    def largest(self, one: Number, other: Number) -> Number:
        return self._np.maximum(one, other)

    def smallest(self, one: Number, other: Number) -> Number:
        return self._np.minimum(one, other)

    def power(self, base: Number, exponent: Number) -> Number:
        return base**exponent

    def exp(self, value: Number) -> Number:
        return self._np.exp(self._np.minimum(value, 700.0))  # beyond lies infinity, which a share of 1 does not need

    def less(self, one: Number, other: Number) -> Number:
        return self._np.less(one, other) * 1.0


EXACT: Final = Exact()


class Inputs:
    """Every number of a scenario by its key, such as `options.own.pue`; immutable.

    `with_values` is the same with some of them replaced, `for_arrays` the same in floats.
    """

    def __init__(self, values: Mapping[str, Number]) -> None:
        self._values = dict(values)

    def __getitem__(self, key: str) -> Number:
        return self._values[key]

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def keys(self) -> Iterable[str]:
        """All keys."""
        return self._values.keys()

    def matching(self, pattern: str) -> list[str]:
        """Keys that a pattern with * names: `options.*.staffFte`."""
        return [key for key in self._values if fnmatchcase(key, pattern)]

    def with_values(self, changed: Mapping[str, Number]) -> Inputs:
        """The same with other values of some keys, all of which have to be there."""
        if unknown := changed.keys() - self._values.keys():
            raise KeyError(sorted(unknown)[0])
        return Inputs({**self._values, **changed})

    def for_arrays(self, changed: Mapping[str, Number]) -> Inputs:
        """Floats, with arrays in place of some of them."""
        return Inputs({**{key: float(value) for key, value in self._values.items()}, **changed})
