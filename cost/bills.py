"""FOCUS data, a cloud's bill or an estimate, as sums by month, group and item (FOCUS 1.0 to 1.4, Parquet or CSV)."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Final, Literal

from infra.faults import did_you_mean, listed
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
NAMES: Final[Mapping[str, str]] = {
    "amazon web services": "aws", "microsoft": "azure", "microsoft azure": "azure", "google": "gcp",
    "google cloud": "gcp", "google cloud platform": "gcp", "tencent cloud": "tencent",
}  # fmt: skip
"""What clouds call themselves in their bills -> what estimates call them. Any other name counts in small letters."""
OPTION: Final = "x_Option"
"""Estimates hold several options, each a bill of its own."""
EVERYWHERE: Final = "*"
"""Region of an estimate's row whose price is the same in all of them; bills name the region."""
PLANNED: Final = ("Usage", "Purchase")
"""Charge categories that an estimate has."""
MOST: Final = 10**15
"""Of money or of anything in a row: what is larger is a slip, and no figure to add up."""
USAGE: Final = ("SkuMeter", "x_UsageType")
_USAGE: Final = re.compile(r"(?:^|-)(?:Box|Spot|Reserved)Usage:([a-z0-9-]+\.[a-z0-9-]+)$")
_ZERO: Final = Decimal(0)


@dataclass(frozen=True, slots=True)
class Group:
    """What is counted in one unit."""

    provider: str
    service: str
    unit: str


@dataclass(frozen=True, slots=True, order=True)
class Item:
    """One thing of a group. what: machine type where the row tells it (`machine`), else the service's name; empty for
    all that only one of two files calls so."""

    region: str
    what: str
    pricing: str
    machine: bool = False


@dataclass(slots=True)
class Sum:
    quantity: Decimal = _ZERO
    cost: Decimal = _ZERO

    @property
    def price(self) -> Decimal:
        """Mean price; 0 of nothing."""
        return self.cost / self.quantity if self.quantity else _ZERO


Items = Mapping[Group, Mapping[Item, Sum]]


@dataclass(frozen=True, slots=True)
class Bill:
    """FOCUS data by month. other: charge category -> sum, of what no estimate has. options: of an estimate."""

    file: str
    currency: str
    items: Mapping[str, Mapping[Group, Mapping[Item, Sum]]]
    other: Mapping[str, Mapping[str, Decimal]]
    rows: int
    options: tuple[str, ...] = ()


def read(path: Path, column: Column = "EffectiveCost", option: str | None = None) -> Bill:
    """FOCUS data from Parquet or CSV. option: of an estimate that holds several, which one; a file that is no estimate
    has none. Raises SpillwayError: file, column or row, what is allowed."""
    items: dict[str, dict[Group, dict[Item, Sum]]] = defaultdict(lambda: defaultdict(lambda: defaultdict(Sum)))
    other: dict[str, dict[str, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
    currencies: dict[str, int] = {}
    options: dict[str, int] = {}
    count = 0
    for number, row in enumerate(_rows(path), start=1):
        where = f"{path}: row {number}"
        count = number
        if told := str(row.get(OPTION) or ""):
            options.setdefault(told, number)
            if option is not None and told != option:
                continue
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
        group, item, times = _place(row)
        found = items[month][group][item]
        found.cost += cost
        if row["PricingQuantity"] is not None and row["PricingQuantity"] != "":
            found.quantity += times * _decimal(row["PricingQuantity"], f"{where}: PricingQuantity")
    if not count:
        raise SpillwayError(f"{path}: has no rows")
    _check_options(path, list(options), option)
    return Bill(str(path), next(iter(currencies)), items, other, count, tuple(options))


def _check_options(path: Path, options: Sequence[str], option: str | None) -> None:
    """An estimate is of one option, or one of its options is named."""
    if option is None and len(options) > 1:
        raise SpillwayError(f"{path}: holds {len(options)} options; name one with --option: {listed(options)}")
    if option is not None and options and option not in options:
        raise SpillwayError(f"{path}: --option = {option}: there is {listed(options)}{did_you_mean(option, options)}")


def aligned(actual: Items, planned: Items) -> tuple[Items, Items]:
    """The same, with the same names for what is not a machine.

    A cloud's bill calls its services by names of its own (`Amazon Virtual Private Cloud`), an estimate by others, and
    an estimate has no region where a price is the same in all of them. What has a name that only one of the two knows
    is one item of its group, region and pricing category.
    """
    found: tuple[dict[Group, dict[Item, Sum]], dict[Group, dict[Item, Sum]]] = ({}, {})
    for group in {*actual, *planned}:
        sides = (actual.get(group, {}), planned.get(group, {}))
        names = [{item.what for item in side if not item.machine} for side in sides]
        everywhere = any(item.region == EVERYWHERE and not item.machine for side in sides for item in side)
        for side, into in zip(sides, found, strict=True):
            for item, one in side.items():
                what = item.what if item.machine or item.what in names[0] & names[1] else ""
                region = EVERYWHERE if everywhere and not item.machine else item.region
                total = into.setdefault(group, {}).setdefault(replace(item, region=region, what=what), Sum())
                total.quantity += one.quantity
                total.cost += one.cost
    return found


def _place(row: Mapping[str, Any]) -> tuple[Group, Item, int]:
    """The group and item of a row, and how many of the group's units one of the row's is."""
    provider = next((str(row[name]) for name in PROVIDER if row.get(name)), "").strip().lower()
    unit, times = _unit(str(row["PricingUnit"] or ""))
    group = Group(NAMES.get(provider, provider), str(row["ServiceCategory"] or ""), unit)
    machine = _machine(row.get("SkuPriceDetails")) or _used(row)
    what = machine or str(row.get("ServiceName") or row.get("ChargeDescription") or "")
    item = Item(str(row.get("RegionId") or ""), what, str(row.get("PricingCategory") or ""), bool(machine))
    return group, item, times


def _unit(text: str) -> tuple[str, int]:
    """One spelling of a unit, and how many of it one is: bills say Hrs, GB-Mo and GB where they mean hours, GiB-months
    and GiB (https://docs.aws.amazon.com/ebs/latest/userguide/ebs-volumes.html: sizes are GiB, billed as GB-months);
    AWS bills the throughput of gp3 in GiB/s though its price is told for MiB/s, and balancers of both kinds in LCUs."""
    found = text.strip().lower().replace("gib", "gb").replace("mib", "mb")
    times = 1
    if found.startswith("nlcu-"):
        found = found.removeprefix("n")
    if found.startswith("gbps-"):
        found, times = f"mbps-{found.removeprefix('gbps-')}", 1024
    for long, short in (
        ("hours", "hour"),
        ("hrs", "hour"),
        ("months", "month"),
        ("mo", "month"),
        ("seconds", "second"),
    ):
        if found == long or found.endswith(f"-{long}"):
            return found[: len(found) - len(long)] + short, times
    return found, times


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


def _used(row: Mapping[str, Any]) -> str:
    """The machine type in the usage type of AWS's exports, whose FOCUS 1.0 has no SkuPriceDetails: `BoxUsage:...`, with
    a region before it outside us-east-1 (https://docs.aws.amazon.com/cur/latest/userguide/table-dictionary-focus-1-0-aws-columns.html)."""
    for name in USAGE:
        if found := _USAGE.search(str(row.get(name) or "")):
            return found[1]
    return ""


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
                          "ServiceName", "SkuPriceDetails", OPTION, *USAGE) if name in table.column_names
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
    if abs(found) > MOST:
        raise SpillwayError(f"{where} = {str(value)[:40]}: expected {MOST:.0e} at most")
    return found
