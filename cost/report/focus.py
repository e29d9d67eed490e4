"""An estimate in the columns of FOCUS, so that whatever reads a cloud's bill reads it too.

One row for each line of each option and month. BilledCost is cash, EffectiveCost amortised, ListCost the same quantity
at public prices. What is paid ahead has two rows in the month in which it is paid: the purchase, which is billed and
has no effect yet, and the month's share of it. Every row says that it is an estimate (`x_IsEstimate`), of which option
(`x_Option`, also the sub-account), and where its price is from. What has no price has no row.

FOCUS 1.2: https://focus.finops.org/focus-specification/v1-2/. 1.4 calls ProviderName ServiceProviderName, and
PublisherName, who made what is resold, HostProviderName, where it runs: 1.3 and 1.4 of the same specification.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, Literal

from cost.result import Comparison, Group, Line, Option

Version = Literal["1.2", "1.4"]
VERSIONS: Final[tuple[Version, ...]] = ("1.2", "1.4")
PLACES: Final = 12
"""Digits behind the point: hourly prices have nine at most, and a month's sum has to be exact to the cent."""
_QUANTUM: Final = Decimal(1).scaleb(-PLACES)
_ZERO: Final = Decimal(0)
CATEGORIES: Final[dict[Group, tuple[str, str]]] = {
    "compute": ("Compute", "Virtual Machines"),
    "commitment": ("Compute", "Virtual Machines"),
    "capital": ("Compute", "Other (Compute)"),
    "resale": ("Compute", "Other (Compute)"),
    "spares": ("Compute", "Other (Compute)"),
    "tokens": ("AI and Machine Learning", "Generative AI"),
    "network": ("Networking", "Other (Networking)"),
    "storage": ("Storage", "Other (Storage)"),
    "monitoring": ("Management and Governance", "Other (Management and Governance)"),
    "support": ("Management and Governance", "Support"),
    "licences": ("Other", "Other (Other)"),
    "power": ("Other", "Other (Other)"),
    "space": ("Other", "Other (Other)"),
    "staff": ("Other", "Other (Other)"),
    "tax": ("Other", "Other (Other)"),
    "insurance": ("Other", "Other (Other)"),
}
"""Group -> ServiceCategory and ServiceSubcategory, out of FOCUS's own lists."""
PRICING: Final = {"spot": "Dynamic", "on-demand": "Standard", "list": "Standard", "": "Standard"}
"""Market -> PricingCategory; any other is a commitment."""
UNITS: Final = {"million tokens": "1000000 Tokens", "kWh": "kWh", "system": "Systems"}
THINGS: Final = ("node", "balancer", "address", "gateway", "system", "check", "zone", "secret", "alarm", "job")
"""What is counted one by one: a bill says `Hours` of it, not node-hours."""
MONEY: Final = (
    "BilledCost", "EffectiveCost", "ListCost", "ContractedCost", "ListUnitPrice", "ContractedUnitPrice",
    "PricingQuantity", "ConsumedQuantity", "x_EstimateLow", "x_EstimateHigh", "x_TokensPerDay",
)  # fmt: skip
TIMES: Final = ("BillingPeriodStart", "BillingPeriodEnd", "ChargePeriodStart", "ChargePeriodEnd")
Row = dict[str, Any]


def rows(found: Comparison, version: Version = "1.2") -> Iterator[Row]:
    """Every row of every option that has lines, by option, month and line."""
    for option in found.options:
        low, high = _spread(found, option)
        for month in range(found.months):
            for line in option.lines:
                for row in _rows(found, option, line, month):
                    row["x_EstimateLow"] = None if low is None else _exact(row["EffectiveCost"] * low)
                    row["x_EstimateHigh"] = None if high is None else _exact(row["EffectiveCost"] * high)
                    yield _named(row, version)


def _spread(found: Comparison, option: Option) -> tuple[Decimal | None, Decimal | None]:
    """P10 and P90 of the Monte Carlo as shares of its median; None without one."""
    drawn = (
        next((one for one in found.montecarlo.options if one.option == option.name), None) if found.montecarlo else None
    )
    if drawn is None or not drawn.usd_p50:
        return None, None
    return drawn.usd_p10 / drawn.usd_p50, drawn.usd_p90 / drawn.usd_p50


def _rows(found: Comparison, option: Option, line: Line, month: int) -> Iterator[Row]:
    cash, amortised = line.cash[month], line.amortised[month]
    quantity = line.quantities[month]
    if line.cash == line.amortised:
        if cash or quantity:
            yield _row(found, option, line, month, "Usage", cash, amortised, quantity)
        return
    if cash:
        kind = "Credit" if cash < 0 else "Purchase"
        yield _row(found, option, line, month, kind, cash, _ZERO, quantity or Decimal(1))
    if amortised:
        yield _row(found, option, line, month, "Credit" if amortised < 0 else "Usage", _ZERO, amortised, Decimal(1))


def _row(
    found: Comparison, option: Option, line: Line, month: int, kind: str, cash: Decimal, amortised: Decimal,
    quantity: Decimal,
) -> Row:  # fmt: skip
    begin, end = _month(found.start, month), _month(found.start, month + 1)
    provider = line.provider or option.provider or option.kind
    category, subcategory = CATEGORIES[line.group]
    share = line.list_usd / line.usd if line.usd else Decimal(1)
    listed = (amortised or cash) * share
    spread = line.cash != line.amortised
    unit = "Months" if spread and kind != "Purchase" else unit_of(line.unit)
    priced = quantity if kind != "Credit" else None
    row: Row = {
        "BilledCost": cash,
        "BillingAccountId": f"estimate-{found.scenario}",
        "BillingAccountName": f"Estimate: {found.title}",
        "BillingCurrency": found.currency,
        "BillingPeriodStart": begin,
        "BillingPeriodEnd": end,
        "ChargeCategory": kind,
        "ChargeClass": None,
        "ChargeDescription": f"{option.title}: {line.what}",
        "ChargeFrequency": "One-Time" if kind == "Purchase" else "Usage-Based" if kind == "Usage" else "Recurring",
        "ChargePeriodStart": begin,
        "ChargePeriodEnd": end,
        "ConsumedQuantity": quantity if kind == "Usage" else None,
        "ConsumedUnit": unit if kind == "Usage" else None,
        "ContractedCost": amortised or cash,
        "ContractedUnitPrice": _each(amortised or cash, priced),
        "EffectiveCost": amortised,
        "InvoiceId": None,
        "InvoiceIssuerName": provider,
        "ListCost": listed,
        "ListUnitPrice": _each(listed, priced),
        "PricingCategory": None if kind == "Credit" else PRICING.get(line.market, "Committed"),
        "PricingQuantity": priced,
        "PricingUnit": unit if priced is not None else None,
        "ProviderName": provider,
        "PublisherName": provider,
        "RegionId": line.region or None,
        "RegionName": line.region or None,
        "ResourceId": f"{option.name}/{line.what}",
        "ResourceName": line.what,
        "ResourceType": line.group,
        "ServiceCategory": category,
        "ServiceSubcategory": subcategory,
        "ServiceName": line.group.capitalize(),
        "SkuId": line.sku or None,
        "SkuPriceId": f"{line.sku}/{line.market or 'on-demand'}" if line.sku else None,
        "SkuPriceDetails": _details(option, line),
        "SubAccountId": option.name,
        "SubAccountName": option.title,
        "Tags": json.dumps({"scenario": found.scenario, "option": option.name}),
        "x_IsEstimate": True,
        "x_Option": option.name,
        "x_OptionStatus": option.status,
        "x_PriceFlags": " | ".join(line.flags) or None,
        "x_PriceObserved": line.observed.isoformat() if line.observed else None,
        "x_PriceSnapshot": found.snapshot,
        "x_PriceSource": line.source,
        "x_TokensPerDay": found.workload.tokens_day,
    }
    return {key: _exact(value) if isinstance(value, Decimal) else value for key, value in row.items()}


def _details(option: Option, line: Line) -> str | None:
    if line.group not in ("compute", "commitment") or not option.machine:
        return None
    found: dict[str, Any] = {"InstanceType": option.machine}
    if option.gpus_per_node:
        found["GpuCount"] = option.gpus_per_node
    return json.dumps(found)


def _each(cost: Decimal, quantity: Decimal | None) -> Decimal | None:
    return cost / quantity if quantity else None


def unit_of(text: str) -> str:
    """A unit in FOCUS's format (https://focus.finops.org/focus-specification/v1-2/, Unit Format)."""
    if text in UNITS:
        return UNITS[text]
    thing, dash, time = text.replace("/s", "ps").rpartition("-")
    if not dash or time not in ("hour", "month", "second"):
        return f"{text[:1].upper()}{text[1:]}"
    times = f"{time.capitalize()}s"
    return times if thing in THINGS else f"{thing}-{times}"


def _exact(value: Decimal) -> Decimal:
    return value.quantize(_QUANTUM)


def _month(start: str, months: int) -> datetime:
    year, month = int(start[:4]), int(start[5:7])
    ahead = year * 12 + month - 1 + months
    return datetime(ahead // 12, ahead % 12 + 1, 1, tzinfo=UTC)


def _named(row: Row, version: Version) -> Row:
    if version == "1.2":
        return row
    names = {"ProviderName": "ServiceProviderName", "PublisherName": "HostProviderName"}
    return {names.get(key, key): value for key, value in row.items()}


def write_parquet(found: Comparison, path: Path, version: Version = "1.2") -> Path:
    """focus.parquet: money as decimals, times in UTC, the rest as text."""
    import pyarrow as arrow
    from pyarrow import parquet

    table = list(rows(found, version))
    money, time = arrow.decimal128(38, PLACES), arrow.timestamp("us", tz="UTC")
    kinds = dict.fromkeys(MONEY, money) | dict.fromkeys(TIMES, time) | {"x_IsEstimate": arrow.bool_()}
    names = list(table[0]) if table else list(_empty(version))
    schema = arrow.schema([(name, kinds.get(name, arrow.string())) for name in names])
    said = {
        "focus_version": version,
        "estimate": f"{found.scenario}, prices of snapshot {found.snapshot}; no bill",
    }
    data = arrow.Table.from_pylist(table, schema=schema)
    # Arrow's own description of its types is left out, and metadata of a schema would be with it.
    with parquet.ParquetWriter(path, schema, compression="zstd", store_schema=False) as writer:
        writer.write_table(data)
        writer.add_key_value_metadata(said)
    return path


def _empty(version: Version) -> list[str]:
    """Columns of an estimate in which nothing has a price."""
    names = ("BilledCost", "EffectiveCost", "BillingCurrency", "ChargeCategory", *TIMES)
    return [*names, "ProviderName" if version == "1.2" else "ServiceProviderName", "x_IsEstimate"]
