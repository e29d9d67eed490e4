"""AWS's prices: the Price List Query API for what it sells, the offering rates of savings plans, the spot price history
for what is left over.

https://docs.aws.amazon.com/awsaccountbilling/latest/aboutv2/price-changes.html. All ask for credentials. What they say
in their own way:
- products come as texts of JSON inside JSON;
- Capacity Blocks stand among on-demand products, and only their market option tells;
- the hourly price of a reservation that is paid in advance is 0: its price is the quantity beside it;
- gp3's throughput is priced by the GiB/s, though its description says MiB/s;
- zones have other names in every account, and the same ids in all.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from datetime import date as Date
from decimal import Decimal
from functools import partial
from typing import Any, Final

from cost.money import HOURS_PER_YEAR
from cost.prices.snapshot import ANYWHERE, ON_DEMAND, SPOT, Price, Source, Unpriced
from cost.refresh.aws_products import PRODUCTS, SPELLINGS
from cost.refresh.work import Busy, Found, Step
from spillway.errors import SpillwayError

HOME: Final = "us-east-1"
"""The price list answers in a few regions only:
https://docs.aws.amazon.com/awsaccountbilling/latest/aboutv2/using-price-list-query-api.html"""
LIST_SOURCE: Final = "aws-price-list"
SPOT_SOURCE: Final = "aws-spot-history"
SAVINGS_SOURCE: Final = "aws-savings-plans"
PAGE: Final = 100
LINUX: Final = "Linux/UNIX"
TERMS: Final = {
    ("1yr", "No Upfront"): "reserved-1y",
    ("3yr", "No Upfront"): "reserved-3y",
    ("1yr", "All Upfront"): "reserved-1y-upfront",
    ("3yr", "All Upfront"): "reserved-3y-upfront",
}
BLOCK: Final = "capacity-block"
"""Their prices are auctioned and in no list, so what is known of them stays."""
SAVINGS: Final = {31_536_000: "savings-1y", 94_608_000: "savings-3y"}
"""Seconds of a plan's term."""
THROTTLED: Final = ("Throttling", "ThrottlingException", "RequestLimitExceeded", "TooManyRequestsException")
MACHINE: Final = {
    "operatingSystem": "Linux",
    "tenancy": "Shared",
    "preInstalledSw": "NA",
    "capacitystatus": "Used",
    "licenseModel": "No License required",
}
"""What a plain Linux machine on demand has; the filter of https://github.com/infracost/infracost."""

Client = Callable[[str, str], Any]
"""(service, region) -> a boto3 client."""


class Aws:
    """machines: instance types. client: makes boto3's; another in tests. now: for spot prices."""

    name = "aws"

    def __init__(
        self,
        machines: Sequence[str],
        regions: Sequence[str],
        client: Client | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.machines, self.regions, self._now = tuple(machines), tuple(regions), now
        self._client = client or _boto

    def steps(self, answers: Mapping[str, Any]) -> list[Step]:
        """Per region: machines, each service, zones, spot prices; then what has one price for all regions."""
        found: list[Step] = []
        for region in self.regions:
            for machine in self.machines:
                filters = {"regionCode": region, "instanceType": machine, **MACHINE}
                found.append(self._products(f"machines {region} {machine}", "AmazonEC2", filters))
            for service, family in dict.fromkeys((one.service, one.family) for one in PRODUCTS if not one.glob):
                where = "fromRegionCode" if service == "AWSDataTransfer" else "regionCode"
                filters = {where: region, "productFamily": family}
                found.append(self._products(f"{service} {family} {region}", service, filters))
            found.append(Step(f"zones {region}", partial(self._zones, region)))
            found.append(Step(f"spot {region}", partial(self._spot, region)))
            found.append(Step(f"savings {region}", partial(self._savings, region)))
        for service, family in dict.fromkeys((one.service, one.family) for one in PRODUCTS if one.glob):
            found.append(self._products(f"{service} {family}", service, {"productFamily": family}))
        return found

    def found(self, answers: Mapping[str, Any], observed: Date) -> Found:
        """The prices in the answers."""
        left_out: Counter[str] = Counter()
        machines: dict[tuple[object, ...], Price] = {}
        things: dict[tuple[object, ...], Price] = {}
        spot: list[Price] = []
        for key, answer in answers.items():
            words = key.split(" ")
            if words[0] == "spot":
                spot += self._latest(words[1], answer, answers.get(f"zones {words[1]}") or {}, observed)
            elif words[0] == "savings":
                for one in answer:
                    row = _saved(words[1], one, observed)
                    machines.setdefault((row.region, row.sku, row.market), row)
            elif words[0] == "machines":
                for product in _decoded(answer):
                    for row in self._machine(words[1], product, observed, left_out):
                        machines.setdefault((row.region, row.sku, row.market), row)
            elif words[0] != "zones":
                for product in _decoded(answer):
                    for row in self._thing(words[0], product, observed):
                        things.setdefault((row.region, row.sku, row.from_quantity), row)
        sources = {
            LIST_SOURCE: Source(
                LIST_SOURCE, "AWS Price List Query API", "https://api.pricing.us-east-1.amazonaws.com",
                "none needed: single facts, cited", "As it answered on the day of each row.",
            ),
            SPOT_SOURCE: Source(
                SPOT_SOURCE, "EC2 DescribeSpotPriceHistory", "https://docs.aws.amazon.com/AWSEC2/latest/APIReference/"
                "API_DescribeSpotPriceHistory.html", "none needed: single facts, cited",
                "The price that held in each zone when it was asked, on the day of each row.",
            ),
            SAVINGS_SOURCE: Source(
                SAVINGS_SOURCE, "DescribeSavingsPlansOfferingRates", "https://docs.aws.amazon.com/savingsplans/latest/"
                "APIReference/API_DescribeSavingsPlansOfferingRates.html", "none needed: single facts, cited",
                "Compute Savings Plans without upfront payment, as it answered on the day of each row.",
            ),
        }  # fmt: skip
        rows = {
            "aws-machines.csv": tuple(machines.values()),
            "aws-spot.csv": tuple(spot),
            "aws-services.csv": tuple(things.values()),
        }
        return Found(rows, tuple(self._gaps(machines.values(), spot)), sources, left_out)

    def replaces(self, row: Price) -> bool:
        """Rows of the last snapshot that this refresh has seen anew, or not at all any more."""
        if row.provider != self.name:
            return False
        if row.sku in self.machines:
            return row.region in self.regions and row.market != BLOCK
        known = {one.sku: one.glob for one in PRODUCTS}
        return row.sku in known and (known[row.sku] or row.region in self.regions)

    def _products(self, key: str, service: str, filters: Mapping[str, str]) -> Step:
        asked = [{"Type": "TERM_MATCH", "Field": name, "Value": value} for name, value in filters.items()]

        def ask() -> list[str]:
            client, token = self._client("pricing", HOME), ""
            found: list[str] = []
            while True:
                more = {"NextToken": token} if token else {}
                told = _call(client.get_products, ServiceCode=service, Filters=asked, MaxResults=PAGE, **more)
                found += told.get("PriceList") or []
                token = told.get("NextToken") or ""
                if not token:
                    return found

        return Step(key, ask)

    def _zones(self, region: str) -> dict[str, str]:
        """Zone's name in this account -> its id, which is the same in all."""
        told = _call(self._client("ec2", region).describe_availability_zones, AllAvailabilityZones=True)
        return {zone["ZoneName"]: zone["ZoneId"] for zone in told.get("AvailabilityZones") or []}

    def _spot(self, region: str) -> list[dict[str, str]]:
        """The spot prices that hold now: asked from now on, the history has the last price before it."""
        client, token, now = self._client("ec2", region), "", self._now()
        found: list[dict[str, str]] = []
        while True:
            more = {"NextToken": token} if token else {}
            told = _call(
                client.describe_spot_price_history,
                InstanceTypes=list(self.machines),
                ProductDescriptions=[LINUX],
                StartTime=now,
                EndTime=now,
                **more,
            )
            found += [
                {
                    "zone": one["AvailabilityZone"],
                    "type": one["InstanceType"],
                    "usd": one["SpotPrice"],
                    "at": _text(one["Timestamp"]),
                }
                for one in told.get("SpotPriceHistory") or []
                if one.get("ProductDescription") == LINUX
            ]
            token = told.get("NextToken") or ""
            if not token:
                return found

    def _savings(self, region: str) -> list[dict[str, str]]:
        """Rates of Compute Savings Plans, nothing paid in advance, of the machines in a region."""
        client, token = self._client("savingsplans", HOME), ""
        asked = {"region": [region], "instanceType": list(self.machines), "productDescription": [LINUX]}
        filters = [{"name": name, "values": values} for name, values in (asked | {"tenancy": ["shared"]}).items()]
        found: list[dict[str, str]] = []
        while True:
            more = {"nextToken": token} if token else {}
            told = _call(
                client.describe_savings_plans_offering_rates,
                savingsPlanTypes=["Compute"],
                savingsPlanPaymentOptions=["No Upfront"],
                products=["EC2"],
                filters=filters,
                **more,
            )
            for one in told.get("searchResults") or []:
                properties = {item["name"]: item["value"] for item in one.get("properties") or []}
                seconds = one.get("savingsPlanOffering", {}).get("durationSeconds")
                # A reservation of capacity that is not used has a rate too.
                plain = "BoxUsage:" in str(one.get("usageType", "")) and one.get("unit") == "Hrs"
                if plain and seconds in SAVINGS and properties.get("instanceType") in self.machines:
                    found.append({"type": properties["instanceType"], "market": SAVINGS[seconds], "usd": one["rate"]})
            token = told.get("nextToken") or ""
            if not token:
                return found

    def _latest(
        self, region: str, history: Iterable[Mapping[str, str]], zones: Mapping[str, str], observed: Date
    ) -> list[Price]:
        last: dict[tuple[str, str], Mapping[str, str]] = {}
        for one in history:
            place = (one["type"], one["zone"])
            if place not in last or one["at"] > last[place]["at"]:
                last[place] = one
        found = []
        for (machine, zone), one in sorted(last.items()):
            where, usd = zones.get(zone, zone), Decimal(one["usd"])
            found.append(
                Price(
                    self.name, region, machine, "hour", usd, SPOT, where, observed, "", "", (), Decimal(0), SPOT_SOURCE
                )
            )
        return found

    def _machine(
        self, region: str, product: Mapping[str, Any], observed: Date, left_out: Counter[str]
    ) -> Iterable[Price]:
        attributes = product.get("product", {}).get("attributes", {})
        name = str(attributes.get("instanceType", ""))
        if name not in self.machines:
            left_out["another machine"] += 1
            return
        option = str(attributes.get("marketoption") or attributes.get("marketOption") or "OnDemand")
        if option != "OnDemand":
            # Their price is what the block was auctioned for, which the list does not have.
            left_out[f"market option {option}"] += 1
            return
        wrong = next((key for key, value in MACHINE.items() if attributes.get(key, value) != value), None)
        if wrong:
            left_out[f"another {wrong}"] += 1
            return
        for usd, _, _ in _hourly(product, "OnDemand"):
            if usd:
                yield _row(region, name, "hour", usd, ON_DEMAND, observed)
            else:
                left_out["a price of 0"] += 1
        for usd, upfront, terms in _hourly(product, "Reserved"):
            market = TERMS.get((str(terms.get("LeaseContractLength")), str(terms.get("PurchaseOption"))))
            if market is None or terms.get("OfferingClass") != "standard":
                left_out["reservations that are convertible or partly upfront"] += 1
                continue
            years = int(str(terms["LeaseContractLength"])[0])
            whole = usd + upfront / (HOURS_PER_YEAR * years)
            flags = (f"upfront: {upfront} USD in advance",) if upfront else ()
            if whole:
                yield _row(region, name, "hour", whole, market, observed, flags)

    def _thing(self, service: str, product: Mapping[str, Any], observed: Date) -> Iterable[Price]:
        told = product.get("product", {})
        attributes = told.get("attributes", {})
        usage = str(attributes.get("usagetype", ""))
        for one in PRODUCTS:
            if one.service != service or one.family != told.get("productFamily"):
                continue
            # A usage type begins with its region's short name: USE2-NatGateway-Hours.
            if not re.fullmatch(rf"(?:[A-Za-z0-9]+-)?{re.escape(one.usage)}", usage):
                continue
            if any(attributes.get(key) != value for key, value in one.attributes.items()):
                continue
            region = ANYWHERE if one.glob else str(attributes.get("regionCode") or attributes.get("fromRegionCode"))
            if not one.glob and region not in self.regions:
                continue
            for begin, usd, unit in _ranges(product):
                spelled = SPELLINGS.get(one.unit, {})
                flags = (f"unit: the list says {unit}",) if spelled and unit.lower() not in spelled else ()
                each = usd / spelled.get(unit.lower(), Decimal(1))
                yield _row(region, one.sku, one.unit, each * one.scale, ON_DEMAND, observed, flags, begin)

    def _gaps(self, machines: Iterable[Price], spot: Iterable[Price]) -> Iterable[Unpriced]:
        demand = {row.sku for row in machines if row.market == ON_DEMAND}
        spare = {row.sku for row in spot}
        for name in self.machines:
            where = f"in {len(self.regions)} regions that were asked"
            if name not in demand:
                yield Unpriced(
                    f"the price list has no on-demand price of it {where}", self.name, ANYWHERE, name, ON_DEMAND
                )
            if name not in spare:
                yield Unpriced(f"no zone has a spot price of it {where}", self.name, ANYWHERE, name, SPOT)


def _boto(service: str, region: str) -> Any:
    import boto3
    from botocore.config import Config

    # Retries are ours: they wait as long as it takes, and say so.
    return boto3.client(service, region_name=region, config=Config(retries={"total_max_attempts": 1}))


def _call(operation: Callable[..., dict[str, Any]], **arguments: Any) -> dict[str, Any]:
    """One request. Raises Busy, SpillwayError."""
    from botocore.exceptions import BotoCoreError, ClientError, ConnectionError, HTTPClientError, NoCredentialsError

    try:
        return operation(**arguments)
    except NoCredentialsError:
        raise SpillwayError("aws: no credentials; the price list and spot prices are told to an account only") from None
    except ClientError as error:
        told = error.response.get("Error", {})
        code, text = str(told.get("Code", "")), " ".join(str(told.get("Message", "")).split())
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if code in THROTTLED or status >= 500:
            raise Busy(f"{code}: {text}") from None
        raise SpillwayError(f"aws: {code}: {text}") from None
    except (ConnectionError, HTTPClientError) as error:
        raise Busy(f"out of reach: {' '.join(str(error).split())}") from None
    except BotoCoreError as error:
        raise SpillwayError(f"aws: {' '.join(str(error).split())}") from None


def _decoded(answer: Iterable[str | Mapping[str, Any]]) -> Iterable[Mapping[str, Any]]:
    for text in answer:
        yield json.loads(text) if isinstance(text, str) else text


def _hourly(product: Mapping[str, Any], kind: str) -> Iterable[tuple[Decimal, Decimal, Mapping[str, Any]]]:
    """(USD per hour, USD in advance, attributes of the term) of every term of a kind."""
    for term in (product.get("terms", {}).get(kind) or {}).values():
        hour, upfront = Decimal(0), Decimal(0)
        for dimension in (term.get("priceDimensions") or {}).values():
            usd = Decimal(str(dimension.get("pricePerUnit", {}).get("USD", 0)))
            if dimension.get("unit") == "Hrs":
                hour += usd
            elif dimension.get("unit") == "Quantity":
                upfront += usd
        yield hour, upfront, term.get("termAttributes") or {}


def _ranges(product: Mapping[str, Any]) -> Iterable[tuple[Decimal, Decimal, str]]:
    """(from quantity, USD per unit, unit) of the on-demand terms."""
    for term in (product.get("terms", {}).get("OnDemand") or {}).values():
        for dimension in (term.get("priceDimensions") or {}).values():
            begin = str(dimension.get("beginRange") or "0")
            usd = Decimal(str(dimension.get("pricePerUnit", {}).get("USD", 0)))
            yield Decimal(begin), usd, str(dimension.get("unit", ""))


def _row(
    region: str, sku: str, unit: str, usd: Decimal, market: str, observed: Date, flags: tuple[str, ...] = (),
    begin: Decimal = Decimal(0),
) -> Price:  # fmt: skip
    return Price("aws", region, sku, unit, usd, market, None, observed, "", "", flags, begin, LIST_SOURCE)


def _saved(region: str, one: Mapping[str, str], observed: Date) -> Price:
    plan = ("plan: Compute Savings Plan",)
    return Price(
        "aws", region, one["type"], "hour", Decimal(one["usd"]), one["market"], None, observed, "", "", plan,
        Decimal(0), SAVINGS_SOURCE,
    )  # fmt: skip


def _text(at: Any) -> str:
    return at.astimezone(UTC).isoformat() if isinstance(at, datetime) else str(at)
