"""Where an option's charges go: to lines with months (exact), or to one sum (arrays). Options know only `Ledger`."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Literal, Protocol

from cost.arithmetic import Arithmetic, Number
from cost.money import MONTHS_PER_YEAR
from cost.result import Basis, Group, Line

Timing = Literal["begin", "end"]


@dataclass(frozen=True, slots=True)
class Charge:
    """What a line is, whatever its amount. source and observed: of its unit price. list_ratio: list price / price."""

    what: str
    group: Group
    basis: Basis
    unit: str
    source: str
    observed: date | None
    provider: str = ""
    region: str = ""
    sku: str = ""
    market: str = ""
    flags: tuple[str, ...] = ()
    list_price: Decimal | None = None
    """Public on-demand or list price of a unit, where it is another than what is paid."""


def annuity_factor(n: Arithmetic, rate: Number, years: Number) -> Number:
    """Capital recovery factor: CRF = r / (1 - (1 + r)^-n), what 1 USD over n years costs each year at r.

    1 / n where r is 0, its limit. https://en.wikipedia.org/wiki/Capital_recovery_factor
    """
    none = n.less(rate, n.of(Decimal("1e-9")))
    some = n.largest(rate, n.of(Decimal("1e-7")))  # where it counts, and no 1 - 1 where it does not
    return none / years + (1 - none) * some / (1 - 1 / n.power(1 + some, years))


class Ledger(Protocol):
    """Takes charges. months: of the period; rate: of discount, a year."""

    n: Arithmetic
    months: int
    rate: Number

    def running(self, charge: Charge, month: int, quantity: Number, price: Number) -> None:
        """quantity x price of a month, paid at its end."""

    def ahead(
        self, charge: Charge, month: int, quantity: Number, price: Number, life_months: Number, *, at_end: bool = False
    ) -> None:
        """quantity x price, paid at the beginning of `month` for the `life_months` from then on; a negative price is
        paid back after them (at_end)."""


class Sums:
    """Levelised USD of all months together, and cash; any kind of numbers."""

    def __init__(self, n: Arithmetic, months: int, rate: Number) -> None:
        self.n, self.months, self.rate = n, months, rate
        self.levelised: Number = n.of(0)
        self.cash: Number = n.of(0)

    def running(self, charge: Charge, month: int, quantity: Number, price: Number) -> None:
        usd = quantity * price
        self.levelised = self.levelised + usd
        self.cash = self.cash + usd

    def ahead(
        self, charge: Charge, month: int, quantity: Number, price: Number, life_months: Number, *, at_end: bool = False
    ) -> None:
        n, usd = self.n, quantity * price
        within = n.smallest(n.of(self.months - month), life_months)
        self.levelised = self.levelised + usd * recovery(n, self.rate, life_months, at_end=at_end) * within
        # What is paid back after the period is none of its cash.
        self.cash = self.cash + (usd * n.less(month + life_months, n.of(self.months + 1)) if at_end else usd)


def recovery(n: Arithmetic, rate: Number, life_months: Number, *, at_end: bool = False) -> Number:
    """What 1 USD paid ahead costs in each month of its life; at_end: what 1 USD paid after it does."""
    years = life_months / int(MONTHS_PER_YEAR)
    monthly = annuity_factor(n, rate, years) / int(MONTHS_PER_YEAR)
    return monthly / n.power(1 + rate, years) if at_end else monthly


@dataclass
class _Growing:
    quantities: list[Decimal]
    cash: list[Decimal]
    amortised: list[Decimal]
    first: tuple[Decimal, Decimal] | None = None
    levelised: Decimal = Decimal(0)
    listed: Decimal = Decimal(0)
    timing: Timing = "end"


@dataclass
class Book:
    """Lines with their months, in decimals. Charges that are the same go to one line, in the order of their coming."""

    n: Arithmetic
    months: int
    rate: Decimal
    _lines: dict[tuple[Charge, Timing], _Growing] = field(default_factory=dict)

    def _line(self, charge: Charge, timing: Timing, quantity: Decimal, price: Decimal) -> _Growing:
        zeros = [Decimal(0)] * self.months
        line = self._lines.setdefault((charge, timing), _Growing(list(zeros), list(zeros), list(zeros), timing=timing))
        if line.first is None and quantity:
            line.first = (quantity, price)
        return line

    def running(self, charge: Charge, month: int, quantity: Decimal, price: Decimal) -> None:
        line = self._line(charge, "end", quantity, price)
        usd = quantity * price
        line.quantities[month] += quantity
        line.cash[month] += usd
        line.amortised[month] += usd
        line.levelised += usd
        line.listed += quantity * (price if charge.list_price is None else charge.list_price)

    def ahead(
        self,
        charge: Charge,
        month: int,
        quantity: Decimal,
        price: Decimal,
        life_months: Decimal,
        *,
        at_end: bool = False,
    ) -> None:
        if not quantity:
            return
        line = self._line(charge, "end" if at_end else "begin", quantity, price)
        usd, life = quantity * price, int(life_months)
        paid = month + life - 1 if at_end else month
        if paid < self.months:
            line.quantities[paid] += quantity
            line.cash[paid] += usd
            line.listed += quantity * (price if charge.list_price is None else charge.list_price)
        last = min(self.months, month + life)
        for at in range(month, last):
            line.amortised[at] += usd / life
        line.levelised += usd * recovery(self.n, self.rate, life_months, at_end=at_end) * (last - month)

    def lines(self) -> tuple[Line, ...]:
        """The lines, levelised as the mean month of the period."""
        return tuple(
            Line(
                charge.what, charge.group, charge.basis, (line.first or (Decimal(0),) * 2)[0], charge.unit,
                (line.first or (Decimal(0),) * 2)[1], tuple(line.quantities), tuple(line.cash), tuple(line.amortised),
                sum(line.cash, Decimal(0)), line.levelised / self.months, line.listed, timing, charge.source,
                charge.observed, charge.provider, charge.region, charge.sku, charge.market, charge.flags,
            )
            for (charge, timing), line in self._lines.items()
            if line.first is not None  # what came to nothing in every month is no line
        )  # fmt: skip


def present_value(lines: tuple[Line, ...], rate: Decimal) -> Decimal:
    """USD of month 0's beginning: each month's cash over (1 + r)^(years from then), by when in the month it is paid."""
    total = Decimal(0)
    for line in lines:
        for month, usd in enumerate(line.cash):
            if usd:
                total += usd / (1 + rate) ** ((month + (line.timing == "end")) / MONTHS_PER_YEAR)
    return total
