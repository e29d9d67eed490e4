"""What resources are charged for, before anybody asks what it costs: quantities a month, by the name of a price.

A rule turns one resource into its charges. Four cases are told apart, because the same stack costs several sums:
steady    what it is meant to hold: the target, as much of it on spot as its pools buy
worst     no spot anywhere: the whole target on demand
ceiling   scaled up to the pools' maximum, all of it on demand
What depends on use (bytes, requests, logs) has no quantity in a plan: it is charged by `Use`, and counts only where
somebody says how much there is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final, Literal

from cost.money import HOURS_PER_MONTH
from cost.plan.preview import Resource, Side, Unknown
from cost.prices.snapshot import ON_DEMAND

Case = Literal["steady", "worst", "ceiling"]
CASES: Final[tuple[Case, ...]] = ("steady", "worst", "ceiling")
MIB_PER_GIB: Final = 1024
MOST: Final = 10**12
"""Above what any cloud has of anything: what is larger is a slip, and nothing to multiply with."""
Number = int | Decimal


@dataclass(frozen=True, slots=True)
class Count:
    """How many there are in each case."""

    steady: Decimal
    worst: Decimal
    ceiling: Decimal

    @classmethod
    def of(cls, steady: Number, worst: Number | None = None, ceiling: Number | None = None) -> Count:
        first = Decimal(steady)
        second = first if worst is None else Decimal(worst)
        return cls(first, second, second if ceiling is None else Decimal(ceiling))

    def times(self, each: Number) -> Count:
        return Count(self.steady * each, self.worst * each, self.ceiling * each)

    def __add__(self, other: Count) -> Count:
        return Count(self.steady + other.steady, self.worst + other.worst, self.ceiling + other.ceiling)

    def get(self, case: Case) -> Decimal:
        found: Decimal = getattr(self, case)
        return found


@dataclass(frozen=True, slots=True)
class Machines:
    """Nodes of a pool. types: any of them, in the pool's order; zones: in which (empty: the whole region).

    ordered: the first of the types that there is, is taken; otherwise the one that is cheap where there is room."""

    market: Literal["spot", "on-demand"]
    types: tuple[str, ...]
    zones: tuple[str, ...]
    count: Count
    ordered: bool


@dataclass(frozen=True, slots=True)
class Charge:
    """A quantity of base units a month, at the price of a SKU."""

    what: str
    sku: str
    count: Count
    market: str = ON_DEMAND
    region: str = ""
    """Empty: the stack's."""
    provider: str = ""
    """Empty: the stack's."""
    quantity: str = ""
    """How the quantity comes about, where it is not plain: `2 nodes x 13,000 IOPS`."""


@dataclass(frozen=True, slots=True)
class Use:
    """Something that is charged by use. key: of the usage file; per: base units of the SKU in one of the key's."""

    what: str
    sku: str
    key: str
    per: Number = 1
    region: str = ""
    provider: str = ""


@dataclass(frozen=True, slots=True)
class Gap:
    """Something that is charged for and cannot be priced."""

    what: str
    reason: str


@dataclass(frozen=True, slots=True)
class Free:
    """Nothing is charged for it. source: who says so."""

    source: str


Charged = Machines | Charge | Use | Gap
Found = Sequence[Charged] | Free


@dataclass(frozen=True, eq=False)
class Context:
    """One side of one stack. config: what the stack file says under `spillway:region`, as far as the plan tells it."""

    stack: str
    provider: str
    region: str
    side: Side
    config: Mapping[str, Any] = field(default_factory=dict)


Rule = Callable[[Resource, Context], Found]


def number(value: Any, what: str) -> Decimal | Gap:
    """A count out of a plan, which writes some as text."""
    if isinstance(value, Unknown):
        return Gap(what, "hidden as a secret" if value.secret else "known only after the deployment")
    if isinstance(value, bool) or value is None:
        return Gap(what, "the plan does not say how much")
    try:
        found = Decimal(str(value))
    except ArithmeticError:
        return Gap(what, f"the plan says {value!r}, which is no number")
    if not found.is_finite() or not 0 <= found <= MOST:
        return Gap(what, f"the plan says {value!r}, which is no count")
    return found


def numbers(values: Sequence[Any], what: str) -> list[Decimal] | Gap:
    """Several counts, or why one of them is none."""
    found = [number(value, what) for value in values]
    gap = next((one for one in found if isinstance(one, Gap)), None)
    return gap or [one for one in found if isinstance(one, Decimal)]


def hourly(what: str, sku: str, count: Number = 1, **more: Any) -> Charge:
    """Something that is there all month, charged by the hour."""
    return Charge(what, sku, Count.of(HOURS_PER_MONTH * count), **more)


def monthly(what: str, sku: str, count: Number = 1, **more: Any) -> Charge:
    """Something that is charged by the month."""
    return Charge(what, sku, Count.of(count), **more)


def always(*charges: Charged) -> Rule:
    """The same for every resource of a type."""
    return lambda resource, context: charges


def free(source: str) -> Rule:
    found = Free(source)
    return lambda resource, context: found
