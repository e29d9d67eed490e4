"""GCP's prices from the Cloud Billing Catalog, which asks for an API key and nothing else.

https://docs.cloud.google.com/billing/v1/how-tos/catalog-api. It prices parts, not machines: a machine is its vCPUs, its
GiB of memory, its GPUs and the local SSDs that come with it. What it says in its own way:
- the usage type is not to be trusted: parts of calendar mode and of DWS carry OnDemand, and so does the spot price of
  an A4's GPU slice. What kind of part it is, is told by the description;
- prices are whole units as text and billionths apart from them;
- an A4 has no vCPU and no memory of its own: its GPU slice is the whole.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date as Date
from decimal import Decimal
from functools import partial
from typing import Any, Final

import httpx

from cost.money import HOURS_PER_MONTH
from cost.prices.snapshot import ANYWHERE, LIST, ON_DEMAND, SPOT, Price, Source, Unpriced
from cost.refresh import http
from cost.refresh.work import Found, Step
from infra.machines import Machine
from spillway.errors import SpillwayError, WrongUsage

URL: Final = "https://cloudbilling.googleapis.com/v1/services/{service}/skus"
KEY: Final = "GOOGLE_API_KEY"
PAGE_SIZE: Final = 5_000
SERVICES: Final = {
    "Compute Engine": "6F81-5844-456A",
    "Networking": "E505-1604-58F8",
    "Cloud Run": "152E-C115-5142",
}
"""https://cloud.google.com/skus/sku-groups/cloud-load-balancing names the second and the third."""
SOURCE: Final = "gcp-billing-catalog"
NANOS: Final = Decimal(1_000_000_000)
CALENDAR: Final = "calendar"
MADE: Final = (ON_DEMAND, LIST, SPOT, CALENDAR)
"""Markets of machines that are read; commitments are sold by the part and stay as they are."""
SSD_GIB: Final = 375
GLOBAL: Final = "global"

NOT_PLAIN: Final = (
    "Sole Tenancy", "Reserved", "Premium", "Custom", "Suspended", "Upgrade", "Confidential", "Preemptible Storage",
    "Storage Pools", "High Availability", "Regional ",
)  # fmt: skip
"""Words of parts that no machine of ours is made of."""
PARTS: Final = {
    "a2": ("A2 Instance", r"Nvidia Tesla A100 GPU"),
    "a2-ultragpu": ("A2 Instance", r"Nvidia Tesla A100 80GB GPU"),
    "a3": ("A3 Instance", r"Nvidia H100 80GB GPU"),
    "a3-megagpu": ("A3Plus Instance", r"Nvidia H100 80GB (?:Plus|Mega) GPU"),
    "a3-ultragpu": ("A3Ultra Instance", r"H200 141GB GPU"),
    "a4": (None, r"A4 Nvidia B200 \(1 gpu slice\)"),
    "g2": ("G2 Instance", r"Nvidia L4 GPU"),
    "g4": ("G4 Instance", r"(?:Nvidia )?RTX(?: PRO)? 6000 96GB(?: GPU)?"),
}
"""Family -> what its vCPU and memory are called, and its GPU. The longest name that fits counts."""
_SPOT: Final = re.compile(r"^Spot Preemptible |^Preemptible | attached to Spot Preemptible VMs")
_DWS: Final = re.compile(r"DWS|Calendar Mode|Defined Duration|Flex.?Start", re.IGNORECASE)
_COMMIT: Final = re.compile(r"^Commitment v1: ")


@dataclass(frozen=True, slots=True)
class Thing:
    """Something besides machines. text: pattern of the description's beginning."""

    sku: str
    service: str
    text: str
    unit: str
    market: str = ON_DEMAND


RULE: Final = r"Cloud Load Balancer Forwarding Rule"
RUN: Final = r"(?:Allocation Time )?\(Request-based billing\)"
THINGS: Final = (
    Thing("pd.balanced", "Compute Engine", r"Balanced PD Capacity", "GiB-month"),
    Thing("pd.ssd", "Compute Engine", r"SSD backed PD Capacity", "GiB-month"),
    Thing("hyperdisk.balanced.storage", "Compute Engine", r"Hyperdisk Balanced Capacity", "GiB-month"),
    Thing("hyperdisk.balanced.iops", "Compute Engine", r"Hyperdisk Balanced IOPS", "IOPS-month"),
    Thing("hyperdisk.balanced.throughput", "Compute Engine", r"Hyperdisk Balanced Throughput", "MiBps-month"),
    Thing("localssd", "Compute Engine", r"SSD backed Local Storage(?! attached)", "GiB-month"),
    Thing("localssd", "Compute Engine", r"SSD backed Local Storage attached to Spot", "GiB-month", SPOT),
    Thing("ip.in-use.hour", "Compute Engine", r"External IP Charge on a Standard VM", "hour"),
    Thing("ip.in-use.hour", "Compute Engine", r"External IP Charge on a Spot Preemptible VM", "hour", SPOT),
    Thing("ip.static-unused.hour", "Compute Engine", r"Static Ip Charge", "hour"),
    Thing("nat.gateway.hour", "Networking", r"(?:Networking )?Cloud NAT Gateway(?::)? Uptime", "hour"),
    Thing("nat.data", "Networking", r"(?:Networking )?Cloud NAT Data Processing", "GiB"),
    Thing("lb.forwarding-rule.hour", "Networking", rf"{RULE} Minimum", "hour"),
    Thing("lb.forwarding-rule-additional.hour", "Networking", rf"{RULE} Additional", "hour"),
    Thing("run.vcpu", "Cloud Run", rf"(?:Services )?CPU {RUN}", "vCPU-second"),
    Thing("run.memory", "Cloud Run", rf"(?:Services )?Memory {RUN}", "GiB-second"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Part:
    """A SKU that is a machine's: what it is called without where and how it is sold."""

    text: str
    market: str
    regions: tuple[str, ...]
    usd: Decimal
    unit: str


class Gcp:
    """machines: of the catalog. regions: empty for all that the answer has. key: an API key; transport: in tests."""

    name = "gcp"

    def __init__(
        self,
        machines: Sequence[Machine],
        regions: Sequence[str],
        key: str | None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        if not key:
            raise WrongUsage(f"gcp: the billing catalog asks for an API key; give it in {KEY}")
        self.machines, self.regions = {one.name: one for one in machines}, frozenset(regions)
        # In a header: what stands in an address ends up in logs.
        self._session = http.client(transport, **{"X-Goog-Api-Key": key})

    def steps(self, answers: Mapping[str, Any]) -> list[Step]:
        """A page of a service is a step, and the next page follows from its answer."""
        found: list[Step] = []
        for service in SERVICES:
            number, token = 0, ""
            while True:
                step = f"{service} page {number}"
                found.append(Step(step, partial(self._page, service, token)))
                answer = answers.get(step)
                token = str(answer.get("nextPageToken") or "") if isinstance(answer, dict) else ""
                if not token:
                    break
                number += 1
        return found

    def found(self, answers: Mapping[str, Any], observed: Date) -> Found:
        """The prices in the answers."""
        left_out: Counter[str] = Counter()
        parts: list[_Part] = []
        things: dict[tuple[object, ...], Price] = {}
        for key, page in answers.items():
            service = key.partition(" page ")[0]
            for sku in page.get("skus") or []:
                for row in self._things(service, sku, observed):
                    things.setdefault((row.region, row.sku, row.market, row.from_quantity), row)
                if service == "Compute Engine" and (part := _part(sku, left_out)):
                    parts.append(part)
        machines, gaps = self._machines(parts, observed)
        source = Source(
            SOURCE, "Google Cloud Billing Catalog API v1", "https://cloudbilling.googleapis.com/v1/services",
            "none needed: single facts, cited",
            "Machines are sums of their parts, local SSDs that come along included; as it answered on a row's day.",
        )  # fmt: skip
        rows = {"gcp-machines.csv": tuple(machines), "gcp-services.csv": tuple(things.values())}
        return Found(rows, tuple(gaps), {SOURCE: source}, left_out)

    def replaces(self, row: Price) -> bool:
        """Rows of the last snapshot that this refresh has seen anew, or not at all any more."""
        if row.provider != self.name or (self.regions and row.region not in (*self.regions, ANYWHERE)):
            return False
        if row.sku in self.machines:
            return row.market in MADE
        return (row.sku, row.market) in {(thing.sku, thing.market) for thing in THINGS}

    def _page(self, service: str, token: str) -> dict[str, Any]:
        query: dict[str, str | int] = {"pageSize": PAGE_SIZE, "currencyCode": "USD"}
        if token:
            query["pageToken"] = token
        return http.get(self._session, self.name, URL.format(service=SERVICES[service]), **query)

    def _things(self, service: str, sku: Mapping[str, Any], observed: Date) -> Iterable[Price]:
        text = str(sku.get("description", ""))
        if any(word in text for word in NOT_PLAIN) or _COMMIT.search(text):
            return
        for thing in THINGS:
            if thing.service != service or not re.match(thing.text, text):
                continue
            for region in sku.get("serviceRegions") or []:
                where = ANYWHERE if region == GLOBAL else region
                if self.regions and where not in (*self.regions, ANYWHERE):
                    continue
                for begin, usd in _tiers(sku):
                    yield Price(
                        self.name, where, thing.sku, thing.unit, usd, thing.market, None, observed, "", "",
                        (), begin, SOURCE,
                    )  # fmt: skip

    def _machines(self, parts: Sequence[_Part], observed: Date) -> tuple[list[Price], list[Unpriced]]:
        """Every machine in every region where all of its parts have a price on the same market."""
        rows: list[Price] = []
        gaps: list[Unpriced] = []
        by_place: dict[tuple[str, str], list[_Part]] = {}
        for part in parts:
            for region in part.regions:
                if not self.regions or region in self.regions:
                    by_place.setdefault((region, part.market), []).append(part)
        for name, machine in self.machines.items():
            here = 0
            for (region, market), there in sorted(by_place.items()):
                usd, lacks = _sum(machine, there)
                if usd is not None:
                    here += 1
                    rows.append(_row(region, name, usd, market, observed))
                elif lacks:
                    reason = f"the billing catalog has its GPU and not its {lacks}"
                    gaps.append(Unpriced(reason, self.name, region, name, market))
            if not here:
                gaps.append(Unpriced("the billing catalog has no GPU of it", self.name, ANYWHERE, name, "*"))
        return rows, gaps


def _row(region: str, name: str, usd: Decimal, market: str, observed: Date) -> Price:
    return Price("gcp", region, name, "hour", usd, market, None, observed, "", "", (), Decimal(0), SOURCE)


def family(machine: Machine) -> tuple[str | None, str]:
    """What a machine's vCPU and memory are called, and its GPU. Raises SpillwayError for a family not known here."""
    fits = [name for name in PARTS if machine.name.startswith(f"{name}-")]
    if not fits:
        raise SpillwayError(f"gcp: {machine.name}: of a family whose parts are not known here")
    return PARTS[max(fits, key=len)]


def _sum(machine: Machine, parts: Sequence[_Part]) -> tuple[Decimal | None, str | None]:
    """USD per hour, or what lacks where the GPU is there; nothing where it is not."""
    host, gpu = family(machine)
    total = _of(parts, gpu)
    if total is None:
        return None, None
    total *= machine.gpus
    if host is None:
        return total, None
    for what, quantity in (("Core", Decimal(machine.vcpus)), ("Ram", Decimal(str(machine.memory_gib)))):
        each = _of(parts, f"{host} {what}")
        if each is None:
            return None, f"{host} {what}"
        total += each * quantity
    if machine.nvme_count and not machine.attached_nvme:
        each = _of(parts, r"SSD backed Local Storage")
        if each is None:
            return None, "local SSD"
        total += each * machine.nvme_count * SSD_GIB / HOURS_PER_MONTH
    return total, None


def _of(parts: Iterable[_Part], text: str) -> Decimal | None:
    return next((part.usd for part in parts if re.fullmatch(text, part.text)), None)


def _part(sku: Mapping[str, Any], left_out: Counter[str]) -> _Part | None:
    """A part of a machine, or None for what is none, or is sold in another way than a machine."""
    text = str(sku.get("description", ""))
    group = str((sku.get("category") or {}).get("resourceGroup", ""))
    if group not in ("GPU", "CPU", "RAM", "LocalSSD") and "Instance Core" not in text and "Instance Ram" not in text:
        return None
    if why := next((word for word in NOT_PLAIN if word in text), None):
        left_out[f"{why.strip().lower()} parts"] += 1
        return None
    if _COMMIT.search(text):
        left_out["commitments by the part"] += 1
        return None
    # By the words: the usage type of DWS parts, and of an A4's spot slice, is OnDemand.
    market = CALENDAR if _DWS.search(text) else SPOT if _SPOT.search(text) else ON_DEMAND
    name = re.sub(r"^Spot Preemptible |^Preemptible |^(?:DWS )?Calendar Mode ", "", text)
    name = re.split(r" (?:attached to|running in|in [A-Z])", name)[0].strip()
    if market == CALENDAR and "Calendar" not in text:
        left_out["DWS parts that are not calendar mode's"] += 1
        return None
    usd = max((usd for _, usd in _tiers(sku)), default=Decimal(0))
    if not usd:
        left_out["parts with a price of 0"] += 1
        return None
    return _Part(name, market, tuple(sku.get("serviceRegions") or ()), usd, str(_expression(sku).get("usageUnit", "")))


def _expression(sku: Mapping[str, Any]) -> Mapping[str, Any]:
    """The pricing expression that holds now: the last one."""
    info = sku.get("pricingInfo") or [{}]
    return info[-1].get("pricingExpression") or {}


def _tiers(sku: Mapping[str, Any]) -> list[tuple[Decimal, Decimal]]:
    """(from quantity, USD)."""
    found = []
    for rate in _expression(sku).get("tieredRates") or []:
        price = rate.get("unitPrice") or {}
        if price.get("currencyCode", "USD") != "USD":
            raise SpillwayError(f"gcp: a price in {price['currencyCode']}; USD was asked for")
        usd = Decimal(str(price.get("units") or 0)) + Decimal(str(price.get("nanos") or 0)) / NANOS
        found.append((Decimal(str(rate.get("startUsageAmount") or 0)), usd))
    return found
