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

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Final, Literal

from spillway.errors import SpillwayError

Column = Literal["EffectiveCost", "BilledCost"]
NEEDED: Final = (
    "BilledCost", "EffectiveCost", "BillingCurrency", "ChargeCategory", "ChargePeriodStart", "PricingQuantity",
    "PricingUnit", "ServiceCategory",
)  # fmt: skip
"""Columns that a file has to have: mandatory in FOCUS 1.0 to 1.4
(https://focus.finops.org/focus-specification/v1-2/)."""
PROVIDER: Final = ("ProviderName", "ServiceProviderName", "PublisherName")
"""1.3 renamed the first; the first that is there and not empty counts."""
PLANNED: Final = ("Usage", "Purchase")
"""Charge categories that an estimate has."""
_ZERO: Final = Decimal(0)


@dataclass(frozen=True, slots=True)
class Group:
    """What is counted in one unit."""

    provider: str
    service: str
    unit: str


@dataclass(frozen=True, slots=True, order=True)
class Item:
    """One thing of a group. what: machine type where the row tells it, else the service's name."""

    region: str
    what: str
    pricing: str


@dataclass(slots=True)
class Sum:
    quantity: Decimal = _ZERO
    cost: Decimal = _ZERO

    @property
    def price(self) -> Decimal:
        """Mean price; 0 of nothing."""
        return self.cost / self.quantity if self.quantity else _ZERO


@dataclass(frozen=True, slots=True)
class Bill:
    """FOCUS data by month. other: charge category -> sum, of what no estimate has."""

    file: str
    currency: str
    items: Mapping[str, Mapping[Group, Mapping[Item, Sum]]]
    other: Mapping[str, Mapping[str, Decimal]]
    rows: int


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


def compare(bill: Path, estimate: Path, column: Column = "EffectiveCost") -> Comparison:
    """A bill and an estimate from their files. Raises SpillwayError: file, column or row, what is allowed."""
    actual, planned = read(bill, column), read(estimate, column)
    if actual.currency != planned.currency:
        raise SpillwayError(
            f"{bill}: BillingCurrency = {actual.currency}: the estimate {estimate} is in {planned.currency};"
            " amounts in two currencies are not compared"
        )
    months = []
    for month in sorted({*actual.items, *actual.other, *planned.items}):
        groups = variances(actual.items.get(month, {}), planned.items.get(month, {}))
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


def read(path: Path, column: Column = "EffectiveCost") -> Bill:
    """FOCUS data from Parquet or CSV. Raises SpillwayError: file, column or row, what is allowed."""
    items: dict[str, dict[Group, dict[Item, Sum]]] = defaultdict(lambda: defaultdict(lambda: defaultdict(Sum)))
    other: dict[str, dict[str, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
    currencies: dict[str, int] = {}
    count = 0
    for number, row in enumerate(_rows(path), start=1):
        where = f"{path}: row {number}"
        count = number
        currency = str(row["BillingCurrency"] or "")
        if not currency:
            raise SpillwayError(f"{where}: BillingCurrency: empty; expected an ISO 4217 code such as USD")
        currencies.setdefault(currency, number)
        if len(currencies) > 1:
            first, second = currencies
            raise SpillwayError(f"{where}: BillingCurrency = {second}: rows before it have {first}; expected one")
        month = _month(row["ChargePeriodStart"], where)
        cost = _decimal(row[column], f"{where}: {column}")
        category = str(row["ChargeCategory"] or "")
        if category not in PLANNED or row.get("ChargeClass") == "Correction":
            other[month][category or "(none)"] += cost
            continue
        group, item = _place(row)
        found = items[month][group][item]
        found.cost += cost
        if row["PricingQuantity"] is not None and row["PricingQuantity"] != "":
            found.quantity += _decimal(row["PricingQuantity"], f"{where}: PricingQuantity")
    if not count:
        raise SpillwayError(f"{path}: has no rows")
    return Bill(str(path), next(iter(currencies)), items, other, count)


def _place(row: Mapping[str, Any]) -> tuple[Group, Item]:
    provider = next((str(row[name]) for name in PROVIDER if row.get(name)), "")
    group = Group(provider, str(row["ServiceCategory"] or ""), _unit(str(row["PricingUnit"] or "")))
    what = _machine(row.get("SkuPriceDetails")) or str(row.get("ServiceName") or row.get("ChargeDescription") or "")
    return group, Item(str(row.get("RegionId") or ""), what, str(row.get("PricingCategory") or ""))


def _unit(text: str) -> str:
    """One spelling of a unit: bills say Hrs, GB-Mo and GB where they mean hours, GiB-months and GiB
    (https://docs.aws.amazon.com/ebs/latest/userguide/ebs-volumes.html: sizes are GiB, billed as GB-months)."""
    found = text.strip().lower().replace("gib", "gb").replace("mib", "mb")
    for long, short in (
        ("hours", "hour"),
        ("hrs", "hour"),
        ("months", "month"),
        ("mo", "month"),
        ("seconds", "second"),
    ):
        if found == long or found.endswith(f"-{long}"):
            return found[: len(found) - len(long)] + short
    return found


def _machine(details: Any) -> str:
    """The machine type in SkuPriceDetails, which is JSON, or already a map in some exporters' Parquet."""
    if isinstance(details, str) and details:
        try:
            details = json.loads(details)
        except ValueError:
            return ""
    if isinstance(details, Sequence) and not isinstance(details, str):  # a Parquet map
        details = dict(details) if all(isinstance(one, tuple) and len(one) == 2 for one in details) else {}
    if not isinstance(details, Mapping):
        return ""
    return str(details.get("InstanceType") or details.get("x_InstanceType") or "")


def _rows(path: Path) -> Iterator[Mapping[str, Any]]:
    import pyarrow as arrow
    from pyarrow import csv, parquet

    if not path.is_file():
        raise SpillwayError(f"{path}: there is no such file; expected FOCUS data as Parquet or CSV")
    try:
        with path.open("rb") as file:
            magic = file.read(4)
        if magic == b"PAR1":
            table = parquet.read_table(path)
        else:
            # As text: what looks like a float loses digits, and account numbers their zeros.
            names = csv.open_csv(path).schema.names
            texts = csv.ConvertOptions(
                column_types=dict.fromkeys(names, arrow.string()),
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=True,
            )
            table = csv.read_csv(path, convert_options=texts)
    except (arrow.ArrowException, OSError, UnicodeDecodeError) as error:
        told = " ".join(str(error).split())
        raise SpillwayError(f"{path}: is neither Parquet nor CSV with one header line: {told}") from None
    missing = [name for name in NEEDED if name not in table.column_names]
    if missing:
        raise SpillwayError(f"{path}: column {missing[0]}: missing; FOCUS data has {', '.join(NEEDED)}")
    wanted = [
        name for name in (*NEEDED, *PROVIDER, "ChargeClass", "ChargeDescription", "PricingCategory", "RegionId",
                          "ServiceName", "SkuPriceDetails") if name in table.column_names
    ]  # fmt: skip
    for batch in table.select(list(dict.fromkeys(wanted))).to_batches(max_chunksize=65_536):
        yield from batch.to_pylist()


def _month(value: Any, where: str) -> str:
    text = value.isoformat() if hasattr(value, "isoformat") else str(value or "")
    if len(text) < 7 or text[4] != "-" or not (text[:4] + text[5:7]).isdigit():
        raise SpillwayError(f"{where}: ChargePeriodStart = {text!r}: expected a time such as 2026-11-01T00:00:00Z")
    return text[:7]


def _decimal(value: Any, where: str) -> Decimal:
    if value is None or value == "":
        return _ZERO
    try:
        found = Decimal(str(value))
    except InvalidOperation:
        raise SpillwayError(f"{where} = {str(value)[:40]!r}: expected a number") from None
    if not found.is_finite():
        raise SpillwayError(f"{where} = {value}: expected a finite number")
    return found


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
