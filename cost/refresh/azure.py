"""Azure's prices from its Retail Prices API, which asks for no account.

https://learn.microsoft.com/rest/api/cost-management/retail-prices/azure-retail-prices. Names are case-sensitive from
the version used here on, and only it has savings plans. What it gets wrong, or says in its own way:
- the price of a reservation is that of its whole term, though the unit says `1 Hour`;
- spot, low priority, Windows and dedicated hosts are told by names alone;
- `$skip` goes wrong over long lists, so every question is one region's;
- meters without a price stand there with 0;
- a region may have a second meter, of another price, that is not its own: `isPrimaryMeterRegion` tells.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date as Date
from decimal import Decimal
from typing import Any, Final

import httpx

from cost.money import HOURS_PER_YEAR
from cost.prices.snapshot import ANYWHERE, ON_DEMAND, SPOT, Price, Source, Unpriced
from cost.refresh import http
from cost.refresh.work import Found, Step, chunks
from spillway.errors import SpillwayError

URL: Final = "https://prices.azure.com/api/retail/prices"
VERSION: Final = "2023-01-01-preview"
CURRENCY: Final = "USD"
"""Others are only for reference, says the API's page."""
MACHINES_A_QUESTION: Final = 12
"""A filter may have some 15 alternatives before the API answers 400."""
MAX_PAGES: Final = 200
YEARS: Final = {"1 Year": 1, "3 Years": 3, "5 Years": 5}
MARKETS: Final = {1: ("reserved-1y-upfront", "savings-1y"), 3: ("reserved-3y-upfront", "savings-3y")}
SOURCE: Final = "azure-retail-prices"
_UNIT: Final = re.compile(r"(?P<count>[\d.]+)(?P<scale>K|M)?\s*(?:/?\s*(?P<name>[A-Za-z/ ]+))?")


@dataclass(frozen=True, slots=True)
class Meter:
    """Something besides machines. product, sku_name: equal to the API's; meter: a pattern; unit: of the snapshot.

    scale: how many of the API's base units one unit of the snapshot has. glob: one price for all regions.
    """

    sku: str
    service: str
    meter: str
    unit: str
    product: str | None = None
    sku_name: str | None = None
    scale: Decimal = Decimal(1)
    glob: bool = False


FREE_FIRST: Final = ("Bandwidth", "Functions", "Log Analytics")
"""Services whose first tier of a month is free of charge: a price of 0 is one there."""
WORLD: Final = ("", "Global", "Zone 1")
"""Regions under which the API lists what has one price; others are national clouds."""
MILLION: Final = Decimal(1_000_000)
METERS: Final = (
    Meter("disk.premium-v2.storage", "Storage", "Provisioned Capacity", "GiB-hour", "Azure Premium SSD v2"),
    Meter("disk.premium-v2.iops", "Storage", "Provisioned IOPS", "IOPS-hour", "Azure Premium SSD v2"),
    Meter(
        "disk.premium-v2.throughput", "Storage", r"Provisioned Throughput \(MBps\)", "MiBps-hour",
        "Azure Premium SSD v2",
    ),
    *(
        Meter(f"disk.premium.P{n}", "Storage", f"P{n} LRS Disk", "month", "Premium SSD Managed Disks", f"P{n} LRS")
        for n in (4, 6, 10, 15, 20, 30, 40, 50, 60, 70, 80)
    ),
    Meter("nat.hour", "NAT Gateway", "Standard Gateway", "hour"),
    Meter("nat.data", "NAT Gateway", "Standard Data Processed", "GB"),
    Meter("ip.standard.hour", "Virtual Network", "Standard IPv4 Static Public IP", "hour", "IP Addresses"),
    Meter("lb.standard.rule", "Load Balancer", "Standard Included LB Rules and Outbound Rules", "hour"),
    Meter("lb.standard.rule-additional", "Load Balancer", "Standard Overage LB Rules and Outbound Rules", "hour"),
    Meter("lb.standard.data", "Load Balancer", "Standard Data Processed", "GB"),
    Meter("vault.operations", "Key Vault", "Operations", "10k requests", "Key Vault", "Standard", Decimal(10_000)),
    Meter("blob.hot.storage", "Storage", "Hot LRS Data Stored", "GiB-month", "General Block Blob v2", "Hot LRS"),
    Meter("blob.hot.storage-zrs", "Storage", "Hot ZRS Data Stored", "GiB-month", "General Block Blob v2", "Hot ZRS"),
    Meter(
        "blob.read", "Storage", "Hot Read Operations", "10k requests", "General Block Blob v2", "Hot LRS",
        Decimal(10_000),
    ),
    Meter(
        "blob.write", "Storage", "Hot LRS Write Operations", "10k requests", "General Block Blob v2", "Hot LRS",
        Decimal(10_000),
    ),
    Meter("monitor.logs.ingest", "Log Analytics", "Analytics Logs Data Ingestion", "GB"),
    Meter("monitor.logs.retention", "Log Analytics", "Analytics Logs Data Retention", "GiB-month"),
    Meter("monitor.alert.metric", "Azure Monitor", "Alerts Metric Monitored", "alarm-month"),
    Meter(
        "functions.flex.execution", "Functions", "On Demand Total Executions", "1M requests", "Flex Consumption",
        scale=MILLION,
    ),
    Meter("functions.flex.memory", "Functions", "On Demand Execution Time", "GiB-second", "Flex Consumption"),
    Meter("egress.internet", "Bandwidth", "Standard Data Transfer Out", "GB", "Rtn Preference: MGN"),
    Meter("trafficmanager.queries", "Traffic Manager", "DNS Queries", "1M queries", scale=MILLION, glob=True),
    Meter("trafficmanager.check.azure", "Traffic Manager", "Azure Endpoint Health Checks", "check-month", glob=True),
    Meter(
        "trafficmanager.check.external", "Traffic Manager", "Non-Azure Endpoint Health Checks", "check-month", glob=True
    ),
    Meter("dns.zone", "Azure DNS", "Public Zones?", "zone-month", glob=True),
    Meter("dns.queries", "Azure DNS", "Public Queries", "1M queries", scale=MILLION, glob=True),
)  # fmt: skip


class Azure:
    """machines: `Standard_...` names. regions: `eastus` and so on. transport: in tests."""

    name = "azure"

    def __init__(
        self, machines: Sequence[str], regions: Sequence[str], transport: httpx.BaseTransport | None = None
    ) -> None:
        self.machines, self.regions = tuple(machines), tuple(regions)
        self._session = http.client(transport)

    def steps(self, answers: Mapping[str, Any]) -> list[Step]:
        """A question per region and dozen of machines, and one per region and service."""
        found = []
        for region in self.regions:
            for number, names in enumerate(chunks(self.machines, MACHINES_A_QUESTION)):
                either = " or ".join(f"armSkuName eq '{name}'" for name in names)
                text = f"serviceName eq 'Virtual Machines' and armRegionName eq '{region}' and ({either})"
                found.append(self._step(f"machines {region} {number}", text))
            for service in dict.fromkeys(meter.service for meter in METERS if not meter.glob):
                products = sorted({meter.product for meter in METERS if meter.service == service and meter.product})
                either = " or ".join(f"productName eq '{name}'" for name in products)
                text = f"serviceName eq '{service}' and armRegionName eq '{region}' and priceType eq 'Consumption'"
                found.append(self._step(f"{service} {region}", f"{text} and ({either})" if either else text))
        for service in dict.fromkeys(meter.service for meter in METERS if meter.glob):
            found.append(self._step(f"{service}", f"serviceName eq '{service}' and priceType eq 'Consumption'"))
        return found

    def found(self, answers: Mapping[str, Any], observed: Date) -> Found:
        """The prices in the answers. Raises SpillwayError for another currency."""
        left_out: Counter[str] = Counter()
        machines: dict[tuple[object, ...], Price] = {}
        things: dict[tuple[object, ...], Price] = {}
        for key, items in answers.items():
            for item in _current(items, observed, left_out):
                if key.startswith("machines "):
                    for row in self._machine(item, observed, left_out):
                        machines.setdefault(_key(row), row)
                else:
                    for row in _things(item, observed):
                        things.setdefault(_key(row), row)
        source = Source(
            SOURCE, f"Azure Retail Prices API {VERSION}", URL, "none needed: single facts, cited",
            "As it answered on the day of each row.",
        )  # fmt: skip
        rows = {"azure-machines.csv": tuple(machines.values()), "azure-services.csv": tuple(things.values())}
        return Found(rows, tuple(self._gaps(machines.values())), {SOURCE: source}, left_out)

    def replaces(self, row: Price) -> bool:
        """Rows of the last snapshot that this refresh has seen anew, or not at all any more."""
        if row.provider != self.name:
            return False
        if row.sku in self.machines:
            return row.region in self.regions
        known = {meter.sku: meter.glob for meter in METERS}
        return row.sku in known and (known[row.sku] or row.region in self.regions)

    def _step(self, key: str, text: str) -> Step:
        return Step(key, lambda: self._pages(text))

    def _pages(self, text: str) -> list[dict[str, Any]]:
        """All items of a filter. The next page's address is the API's own."""
        items: list[dict[str, Any]] = []
        told = http.get(
            self._session, self.name, URL, **{"api-version": VERSION, "currencyCode": CURRENCY, "$filter": text}
        )
        for _ in range(MAX_PAGES):
            items += told.get("Items") or []
            following = told.get("NextPageLink")
            if not following:
                return items
            told = http.get(self._session, self.name, str(following))
        raise SpillwayError(f"azure: more than {MAX_PAGES} pages for {text}")

    def _machine(self, item: Mapping[str, Any], observed: Date, left_out: Counter[str]) -> Iterable[Price]:
        """The prices that an item has of a machine: it may bring savings plans along."""
        name, region = str(item.get("armSkuName", "")), str(item.get("armRegionName", ""))
        if name not in self.machines or region not in self.regions:
            left_out["another machine or region"] += 1
            return
        words = f"{item.get('meterName', '')} {item.get('skuName', '')} {item.get('productName', '')}"
        if why := next(
            (word for word in ("Windows", "Low Priority", "Dedicated", "Cloud Services") if word in words), None
        ):
            left_out[why.lower()] += 1
            return
        usd = _usd(item)
        if item.get("type") == "Reservation":
            years = YEARS.get(str(item.get("reservationTerm")))
            if years not in MARKETS:
                left_out[f"reservation of {item.get('reservationTerm')}"] += 1
                return
            hourly = usd / (HOURS_PER_YEAR * years)
            whole = f"term: {usd} USD for the whole term, which the API calls `1 Hour`"
            yield _row(name, region, "hour", hourly, MARKETS[years][0], observed, (whole,))
            return
        spot = "Spot" in words
        yield _row(name, region, "hour", usd, SPOT if spot else ON_DEMAND, observed)
        for plan in item.get("savingsPlan") or []:
            years = YEARS.get(str(plan.get("term")))
            if years in MARKETS and not spot:
                yield _row(name, region, "hour", _usd(plan), MARKETS[years][1], observed)

    def _gaps(self, rows: Iterable[Price]) -> Iterable[Unpriced]:
        """Machines that the API has no spot price of in any region that was asked."""
        with_spot = {row.sku for row in rows if row.market == SPOT}
        for name in self.machines:
            if name not in with_spot:
                reason = f"the Retail Prices API has no spot price of it in {len(self.regions)} regions that were asked"
                yield Unpriced(reason, self.name, ANYWHERE, name, SPOT)


def _current(items: object, observed: Date, left_out: Counter[str]) -> Iterable[Mapping[str, Any]]:
    """Items with a price that holds on the day. Raises SpillwayError for another currency."""
    if not isinstance(items, list):
        raise SpillwayError("azure: an answer that is kept is no list of items")
    # A region's own meter comes before those that are there for bills of other regions.
    for item in sorted(items, key=lambda item: item.get("isPrimaryMeterRegion") is False):
        if item.get("currencyCode") != CURRENCY:
            raise SpillwayError(f"azure: a price in {item.get('currencyCode')}; {CURRENCY} was asked for")
        begin, end = str(item.get("effectiveStartDate", ""))[:10], str(item.get("effectiveEndDate") or "")[:10]
        if (begin and begin > observed.isoformat()) or (end and end <= observed.isoformat()):
            left_out["not valid on the day"] += 1
        elif item.get("type") == "DevTestConsumption":
            left_out["dev/test"] += 1
        elif not _usd(item) and item.get("serviceName") not in FREE_FIRST:
            left_out["a price of 0"] += 1
        else:
            yield item


def _things(item: Mapping[str, Any], observed: Date) -> Iterable[Price]:
    for meter in METERS:
        if item.get("serviceName") != meter.service or not re.search(f"{meter.meter}$", str(item.get("meterName", ""))):
            continue
        if meter.glob and str(item.get("armRegionName") or "") not in WORLD:
            continue
        if meter.product not in (None, item.get("productName")) or meter.sku_name not in (None, item.get("skuName")):
            continue
        per = _per(str(item.get("unitOfMeasure", "")))
        begin = Decimal(str(item.get("tierMinimumUnits") or 0)) * per
        region = ANYWHERE if meter.glob else str(item.get("armRegionName"))
        yield _row(meter.sku, region, meter.unit, _usd(item) * meter.scale / per, ON_DEMAND, observed, begin=begin)


def _per(unit: str) -> Decimal:
    """Base units in the API's unit of measure: `10K` is 10,000, `1 GB/Month` is 1. Raises SpillwayError."""
    found = _UNIT.match(unit)
    if not found:
        raise SpillwayError(f"azure: a unit of measure that is not understood: {unit!r}")
    scale = {"K": 1_000, "M": 1_000_000}.get(found["scale"] or "", 1)
    return Decimal(found["count"]) * scale


def _usd(item: Mapping[str, Any]) -> Decimal:
    # As text: a float of JSON has more digits than the price.
    return Decimal(str(item.get("retailPrice", item.get("unitPrice", 0)) or 0))


def _row(
    sku: str, region: str, unit: str, usd: Decimal, market: str, observed: Date, flags: tuple[str, ...] = (),
    begin: Decimal = Decimal(0),
) -> Price:  # fmt: skip
    return Price("azure", region, sku, unit, usd, market, None, observed, "", "", flags, begin, SOURCE)


def _key(row: Price) -> tuple[object, ...]:
    return row.region, row.sku, row.market, row.from_quantity
