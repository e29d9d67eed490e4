"""What AWS's lists say in their own way: texts inside JSON, capacity blocks, reservations, zones."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError

from cost.money import HOURS_PER_YEAR
from cost.prices.checks import check
from cost.prices.snapshot import Price
from cost.refresh.aws import Aws
from cost.refresh.work import Found, Kept, gather
from spillway.errors import SpillwayError
from tests.cost.bodies import DAY, body
from tests.cost.prices import row

P5 = "p5.48xlarge"
BODY = body("aws")


class Client:
    """Stands for boto3's clients: pages of one item each. faults: raised first, one per call."""

    def __init__(self, faults: list[Exception] | None = None) -> None:
        self.faults = faults or []
        self.asked: list[dict[str, Any]] = []

    def __call__(self, service: str, region: str) -> Client:
        assert (service, region) in {("pricing", "us-east-1"), ("ec2", "us-east-1"), ("savingsplans", "us-east-1")}
        return self

    def get_products(self, **asked: Any) -> dict[str, Any]:
        self._note(asked)
        filters = {one["Field"]: one["Value"] for one in asked["Filters"]}
        if "instanceType" in filters:
            found = BODY["machines"] if filters["instanceType"] == P5 else []
        else:
            kinds = {"NAT Gateway": "nat", "DNS Query": "queries", "Provisioned Throughput": "throughput"}
            found = BODY.get(kinds.get(filters["productFamily"], ""), [])
        return self._page(asked, "PriceList", [json.dumps(one) for one in found])

    def describe_availability_zones(self, **asked: Any) -> dict[str, Any]:
        self._note(asked)
        return {"AvailabilityZones": BODY["zones"]}

    def describe_spot_price_history(self, **asked: Any) -> dict[str, Any]:
        self._note(asked)
        assert asked["StartTime"] == asked["EndTime"]
        history = [{**one, "Timestamp": datetime.fromisoformat(one["Timestamp"])} for one in BODY["spot"]]
        return self._page(asked, "SpotPriceHistory", history)

    def describe_savings_plans_offering_rates(self, **asked: Any) -> dict[str, Any]:
        self._note(asked)
        assert (asked["savingsPlanTypes"], asked["savingsPlanPaymentOptions"]) == (["Compute"], ["No Upfront"])
        index = int(asked.get("nextToken", 0))
        return {
            "searchResults": BODY["savings"][index : index + 1],
            "nextToken": str(index + 1) if index + 1 < len(BODY["savings"]) else None,
        }

    def _note(self, asked: dict[str, Any]) -> None:
        self.asked.append(asked)
        if self.faults:
            raise self.faults.pop()

    def _page(self, asked: dict[str, Any], key: str, items: list[Any]) -> dict[str, Any]:
        index = int(asked.get("NextToken", 0))
        return {key: items[index : index + 1], "NextToken": str(index + 1) if index + 1 < len(items) else ""}


def refresh(tmp_path: Any, client: Client, sleep: Any = lambda _: None, machines: tuple[str, ...] = (P5,)) -> Found:
    aws = Aws(machines, ("us-east-1",), client, lambda: datetime(2026, 11, 26, 12, tzinfo=UTC))
    return aws.found(gather(aws, Kept(tmp_path), sleep=sleep), DAY)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Found:
    return refresh(tmp_path_factory.mktemp("aws"), Client())


def of(found: Found, file: str) -> dict[str, Price]:
    return {row.market: row for row in found.rows[file]}


def test_capacity_blocks_and_other_systems_are_left_out(found: Found) -> None:
    assert of(found, "aws-machines.csv")["on-demand"].usd == Decimal("55.04")
    assert "31.464" not in {str(row.usd.normalize()) for row in found.rows["aws-machines.csv"]}
    assert found.left_out["market option CapacityBlock"] == 1
    assert found.left_out["another operatingSystem"] == 1


def test_a_reservation_paid_in_advance_costs_its_quantity_over_its_hours(found: Found) -> None:
    rows = of(found, "aws-machines.csv")
    assert {market: row.usd for market, row in rows.items() if market.startswith("reserved")} == {
        "reserved-1y": Decimal(40),
        "reserved-1y-upfront": Decimal(262_800) / HOURS_PER_YEAR,
        "reserved-3y-upfront": Decimal(525_600) / (3 * HOURS_PER_YEAR),
    }
    assert rows["reserved-1y-upfront"].flagged("upfront") == "262800 USD in advance"
    assert found.left_out["reservations that are convertible or partly upfront"] == 2


def test_savings_plans_are_rates_of_machines_that_run(found: Found) -> None:
    rows = of(found, "aws-machines.csv")
    assert (rows["savings-1y"].usd, rows["savings-3y"].usd) == (Decimal("41.50"), Decimal("30.25"))
    assert rows["savings-3y"].flags == ("plan: Compute Savings Plan",)


def test_spot_prices_are_the_last_of_each_zone_by_the_zones_id(found: Found) -> None:
    rows = {row.zone: row.usd for row in found.rows["aws-spot.csv"]}
    assert rows == {"use1-az4": Decimal("18.5"), "use1-az6": Decimal("55.04")}


def test_a_zone_whose_spot_price_is_the_on_demand_price_is_sold_out(found: Found) -> None:
    checked = check([*found.rows["aws-machines.csv"], *found.rows["aws-spot.csv"]])
    told = {row.zone: row.sold_out for row in checked if isinstance(row, Price) and row.market == "spot"}
    assert told == {"use1-az4": False, "use1-az6": True}


def test_services_are_told_by_their_usage_type(found: Found) -> None:
    told = {
        (row.region, row.sku, row.unit, str(row.from_quantity), row.usd.normalize())
        for row in found.rows["aws-services.csv"]
    }
    assert told == {
        ("us-east-1", "nat.hour", "hour", "0", Decimal("0.045")),
        ("us-east-1", "ebs.gp3.throughput", "MiBps-month", "0", Decimal("0.04")),
        ("*", "route53.queries", "1M queries", "0", Decimal("0.4")),
        ("*", "route53.queries", "1M queries", "1000000000", Decimal("0.2")),
    }


def test_a_unit_that_is_spelled_otherwise_is_flagged_and_a_gib_a_second_is_1024_mib() -> None:
    told = copy.deepcopy(BODY)
    (dimension,) = told["throughput"][0]["terms"]["OnDemand"]["GP3T.J"]["priceDimensions"].values()
    dimension |= {"unit": "parsecs", "pricePerUnit": {"USD": "7"}}
    aws = Aws((P5,), ("us-east-1",), Client())
    (row,) = aws.found({"AmazonEC2 Provisioned Throughput us-east-1": told["throughput"]}, DAY).rows["aws-services.csv"]
    assert (row.usd, row.flags) == (Decimal(7), ("unit: the list says parsecs",))


def test_a_machine_that_no_list_has_is_said_to_have_no_price(tmp_path: Any) -> None:
    found = refresh(tmp_path, Client(), machines=(P5, "p9.48xlarge"))
    assert {(gap.sku, gap.market) for gap in found.unpriced} == {("p9.48xlarge", "on-demand"), ("p9.48xlarge", "spot")}


def test_what_it_does_not_read_stays() -> None:
    aws = Aws((P5,), ("us-east-1",), Client())
    machine = row(P5, "55.04")
    markets = ("on-demand", "spot", "savings-3y", "capacity-block")
    assert [aws.replaces(replace(machine, market=market)) for market in markets] == [True, True, True, False]
    assert not aws.replaces(replace(machine, region="us-west-2"))
    assert not any(aws.replaces(replace(machine, sku=sku)) for sku in ("egress.zone", "p4d.24xlarge"))
    assert aws.replaces(replace(machine, sku="route53.queries", region="*"))


def _fault(code: str, status: int = 400) -> ClientError:
    told: Any = {"Error": {"Code": code, "Message": "Rate\nexceeded"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(told, "GetProducts")


def test_throttling_and_lost_connections_are_tried_again_ever_later(tmp_path: Any) -> None:
    slept: list[float] = []
    faults: list[Exception] = [EndpointConnectionError(endpoint_url="https://x"), _fault("ThrottlingException")]
    found = refresh(tmp_path, Client([_fault("InternalError", 500), *faults]), slept.append)
    assert slept == [2, 4, 8]
    assert of(found, "aws-machines.csv")["on-demand"].usd == Decimal("55.04")


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (_fault("AccessDeniedException"), "aws: AccessDeniedException: Rate exceeded"),
        (NoCredentialsError(), "aws: no credentials; the price list and spot prices are told to an account only"),
    ],
)
def test_what_does_not_pass_is_one_clear_line(tmp_path: Any, fault: Exception, told: str) -> None:
    with pytest.raises(SpillwayError) as caught:
        refresh(tmp_path, Client([fault]))
    assert caught.value.lines == (told,)
