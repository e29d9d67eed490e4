"""A bill against its estimate, both as FOCUS data: by month, and why they differ.

Rows are summed by month into groups that are counted in one unit (provider, service category, pricing unit), and within
a group into items (region, what it is, pricing category). With quantities q, prices p and the group's mean price P, of
the bill (a) and of the estimate (e):

    quantity = (Q_a - Q_e) P_e          more or less of it all
    mix      = sum q_a p_e - Q_a P_e    dearer or cheaper items than planned: spot and on-demand, types, regions
    price    = sum q_a (p_a - p_e)      the same items at other prices
    unplanned = sum of what the estimate has no item for; in neither of the others

which add up to the difference. (The split of a variance into price, volume and mix of management accounting: Horngren,
Datar, Rajan, Cost Accounting, chapters 7 and 14.) Taxes, credits and corrections are told apart: no estimate has them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, Literal

from cost.bills import Bill, Column, Group, Item, Sum, aligned, read
from spillway.errors import SpillwayError

_ZERO: Final = Decimal(0)


@dataclass(frozen=True, slots=True)
class Variance:
    """Why a group's bill is another than its estimate. unplanned: by item, the dearest first."""

    group: Group
    estimate: Decimal
    actual: Decimal
    price: Decimal
    quantity: Decimal
    mix: Decimal
    unplanned: Decimal
    items: tuple[tuple[Item, Decimal, Decimal], ...]
    """(item, estimate, actual), the largest difference first."""

    @property
    def difference(self) -> Decimal:
        return self.actual - self.estimate


@dataclass(frozen=True, slots=True)
class Month:
    """month: YYYY-MM. covered: False where only one of the two has it."""

    month: str
    groups: tuple[Variance, ...]
    other: Mapping[str, Decimal]
    missing: Literal["", "bill", "estimate"] = ""

    def sum(self, name: str) -> Decimal:
        """Of a figure over the groups."""
        return sum((getattr(one, name) for one in self.groups), _ZERO)


@dataclass(frozen=True, slots=True)
class Comparison:
    """All months that either has, in order; `column` is the cost that was compared."""

    bill: str
    estimate: str
    currency: str
    column: Column
    months: tuple[Month, ...]
    warnings: tuple[str, ...] = field(default=())

    @property
    def both(self) -> tuple[Month, ...]:
        """Months that both have: only those can be compared."""
        return tuple(one for one in self.months if not one.missing)


def compare(
    bill: Path, estimate: Path, column: Column = "EffectiveCost", option: str | None = None
) -> Comparison:  # fmt: skip
    """A bill and an estimate from their files. option: of the estimate, which has to be named when it holds several.
    Raises SpillwayError: file, column or row, what is allowed."""
    planned, actual = read(estimate, column, option), read(bill, column, option)
    if option is not None and not planned.options:
        raise SpillwayError(f"{estimate}: --option = {option}: holds no options; leave --option out")
    if actual.currency != planned.currency:
        raise SpillwayError(
            f"{bill}: BillingCurrency = {actual.currency}: the estimate {estimate} is in {planned.currency};"
            " amounts in two currencies are not compared"
        )
    months = []
    for month in sorted({*actual.items, *actual.other, *planned.items}):
        groups = variances(*aligned(actual.items.get(month, {}), planned.items.get(month, {})))
        missing: Literal["", "bill", "estimate"] = (
            "estimate" if month not in planned.items else "" if month in actual.items else "bill"
        )
        months.append(Month(month, groups, dict(actual.other.get(month, {})), missing))
    warnings = []
    if not any(not one.missing for one in months):
        warnings.append(f"no month is in both: the bill has {_months(actual)}, the estimate {_months(planned)}")
    return Comparison(str(bill), str(estimate), actual.currency, column, tuple(months), tuple(warnings))


def _months(bill: Bill) -> str:
    return ", ".join(sorted(bill.items)) or "none"


def variances(
    actual: Mapping[Group, Mapping[Item, Sum]], planned: Mapping[Group, Mapping[Item, Sum]]
) -> tuple[Variance, ...]:
    """One for each group, the largest difference first."""
    found = [
        _variance(group, actual.get(group, {}), planned.get(group, {}))
        for group in sorted({*actual, *planned}, key=lambda one: (one.provider, one.service, one.unit))
    ]
    return tuple(sorted(found, key=lambda one: -abs(one.difference)))


def _variance(group: Group, actual: Mapping[Item, Sum], planned: Mapping[Item, Sum]) -> Variance:
    known = {item: one for item, one in actual.items() if item in planned and planned[item].quantity}
    unplanned = sum((one.cost for item, one in actual.items() if item not in known), _ZERO)
    estimate = sum((one.cost for one in planned.values()), _ZERO)
    quantity_e = sum((one.quantity for one in planned.values()), _ZERO)
    quantity_a = sum((one.quantity for one in known.values()), _ZERO)
    mean = estimate / quantity_e if quantity_e else _ZERO
    at_plan = sum((one.quantity * planned[item].price for item, one in known.items()), _ZERO)
    price = sum((one.cost for one in known.values()), _ZERO) - at_plan
    mix = at_plan - quantity_a * mean
    # Of an estimate without quantities nothing can be said but that it is there.
    quantity = (quantity_a - quantity_e) * mean if quantity_e else -estimate
    items = [
        (item, planned[item].cost if item in planned else _ZERO, actual[item].cost if item in actual else _ZERO)
        for item in sorted({*actual, *planned})
    ]
    items.sort(key=lambda row: -abs(row[2] - row[1]))
    total = sum((one.cost for one in actual.values()), _ZERO)
    return Variance(group, estimate, total, price, quantity, mix, unplanned, tuple(items))


def as_json(found: Comparison) -> dict[str, Any]:
    """Everything, money as text of decimals that are not rounded."""
    return {
        "version": 1,
        "bill": found.bill,
        "estimate": found.estimate,
        "currency": found.currency,
        "column": found.column,
        "warnings": list(found.warnings),
        "months": [
            {
                "month": one.month,
                "missing": one.missing or None,
                "notEstimated": {key: _text(value) for key, value in sorted(one.other.items())},
                **_figures(one.sum),
                "groups": [
                    {
                        "provider": each.group.provider, "service": each.group.service, "unit": each.group.unit,
                        **_figures(lambda name, each=each: getattr(each, name)),
                        "items": [
                            {"region": item.region, "what": item.what, "pricing": item.pricing,
                             "estimate": _text(planned), "actual": _text(actual)}
                            for item, planned, actual in each.items
                        ],
                    }
                    for each in one.groups
                ],
            }
            for one in found.months
        ],
    }  # fmt: skip


FIGURES: Final = ("estimate", "actual", "difference", "price", "quantity", "mix", "unplanned")


def _figures(get: Any) -> dict[str, str]:
    return {name: _text(get(name)) for name in FIGURES}


def _text(value: Decimal) -> str:
    return f"{value.normalize():f}"


def reasons(one: Month | Variance) -> Iterable[tuple[str, Decimal]]:
    """The parts of a difference, the largest first."""
    get = one.sum if isinstance(one, Month) else lambda name: getattr(one, name)
    return sorted(((name, get(name)) for name in FIGURES[3:]), key=lambda pair: -abs(pair[1]))
