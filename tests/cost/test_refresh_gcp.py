"""What the billing catalog says in its own way: kinds of parts, billionths, machines as sums."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import httpx
import pytest

from cost.money import quantised
from cost.prices.snapshot import Price
from cost.refresh.gcp import SERVICES, Gcp
from cost.refresh.work import Found, Kept, gather
from infra import catalog
from spillway.errors import SpillwayError, WrongUsage
from tests.cost.bodies import DAY, body, transport
from tests.cost.prices import row

BODY = body("gcp")
NAMES = {ident: name for name, ident in SERVICES.items()}
MACHINES = [catalog.machine(name) for name in ("a3-highgpu-8g", "a3-highgpu-1g", "a4-highgpu-8g", "a2-highgpu-1g")]


def answer(request: httpx.Request) -> Any:
    pages = BODY[NAMES[request.url.path.split("/")[3]]]
    return pages[1 if request.url.params.get("pageToken") == "p1" else 0]


def refresh(tmp_path: Any, reply: Any = answer, regions: tuple[str, ...] = ()) -> Found:
    gcp = Gcp(MACHINES, regions, "the-key", transport(reply))
    return gcp.found(gather(gcp, Kept(tmp_path), sleep=lambda _: None), DAY)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Found:
    return refresh(tmp_path_factory.mktemp("gcp"))


def of(found: Found, sku: str) -> dict[str, Price]:
    return {row.market: row for rows in found.rows.values() for row in rows if row.sku == sku}


def test_a_machine_is_its_vcpus_memory_gpus_and_the_ssds_that_come_with_it(found: Found) -> None:
    usd = of(found, "a3-highgpu-8g")["on-demand"].usd
    assert quantised(usd, 3) == Decimal("88.556")
    ssd = Decimal(16 * 375) * Decimal("0.088") / 730
    assert usd == 208 * Decimal("0.02249") + 1872 * Decimal("0.002554562") + 8 * Decimal("9.79655") + ssd


def test_calendar_mode_is_its_own_market_though_it_says_on_demand(found: Found) -> None:
    rows = of(found, "a3-highgpu-8g")
    assert set(rows) == {"on-demand", "spot", "calendar"}
    ssd = Decimal(16 * 375) * Decimal("0.088") / 730
    assert rows["calendar"].usd == 208 * Decimal("0.015") + 1872 * Decimal("0.0013") + 40 + ssd
    assert found.left_out["DWS parts that are not calendar mode's"] == 1


def test_a_spot_machines_ssds_are_spot_too(found: Found) -> None:
    ssd = Decimal(16 * 375) * Decimal("0.053") / 730
    usd = of(found, "a3-highgpu-8g")["spot"].usd
    assert usd == 208 * Decimal("0.01") + 1872 * Decimal("0.001") + 24 + ssd


def test_a_spot_part_that_says_on_demand_is_spot_and_a4_is_its_gpu_slices(found: Found) -> None:
    rows = of(found, "a4-highgpu-8g")
    assert rows["spot"].usd == 8 * Decimal("4.9542")
    assert rows["on-demand"].usd == 8 * Decimal("16.11")


def test_a_machine_without_all_of_its_parts_has_no_price(found: Found) -> None:
    assert not of(found, "a2-highgpu-1g")
    reasons = {gap.reason for gap in found.unpriced if gap.sku == "a2-highgpu-1g"}
    assert "the billing catalog has its GPU and not its A2 Instance Core" in reasons


def test_other_parts_are_counted_and_left_out(found: Found) -> None:
    for why in ("sole tenancy parts", "reserved parts", "commitments by the part", "parts with a price of 0"):
        assert found.left_out[why] == 1, why


def test_things_and_tiers(found: Found) -> None:
    rows = found.rows["gcp-services.csv"]
    told = {(row.sku, row.market, row.unit, str(row.from_quantity), f"{row.usd:f}") for row in rows}
    assert {
        ("hyperdisk.balanced.storage", "on-demand", "GiB-month", "0", "0.088"),
        ("localssd", "on-demand", "GiB-month", "0", "0.088"),
        ("localssd", "spot", "GiB-month", "0", "0.053"),
        ("nat.gateway.hour", "on-demand", "hour", "0", "0.0014"),
        ("nat.data", "on-demand", "GiB", "0", "0.045"),
        ("run.vcpu", "on-demand", "vCPU-second", "0", "0"),
        ("run.vcpu", "on-demand", "vCPU-second", "180000", "0.000024"),
    } <= told


def test_pages_follow_each_other_and_the_key_is_in_no_address(tmp_path: Any) -> None:
    asked: list[httpx.Request] = []

    def watch(request: httpx.Request) -> Any:
        asked.append(request)
        return answer(request)

    refresh(tmp_path, watch)
    assert len(asked) == 4
    assert all("the-key" not in str(request.url) for request in asked)
    assert all(request.headers["X-Goog-Api-Key"] == "the-key" for request in asked)
    assert "the-key" not in "".join(path.read_text() for path in tmp_path.iterdir())


def test_other_regions_are_left_out(tmp_path: Any) -> None:
    found = refresh(tmp_path, regions=("europe-west4",))
    assert not [row for rows in found.rows.values() for row in rows]


def test_what_it_does_not_read_stays() -> None:
    gcp = Gcp(MACHINES, ("us-central1",), "the-key")
    machine = row("a3-highgpu-8g", "88", "us-central1", provider="gcp")
    assert gcp.replaces(machine)
    assert gcp.replaces(replace(machine, market="list"))
    assert not gcp.replaces(replace(machine, market="savings-3y"))
    assert not gcp.replaces(replace(machine, region="europe-west4"))
    assert not gcp.replaces(replace(machine, sku="snapshot.storage"))
    assert gcp.replaces(replace(machine, sku="nat.data", region="*"))
    assert not gcp.replaces(replace(machine, provider="aws"))


def test_no_key_and_another_currency_are_one_clear_line(tmp_path: Any) -> None:
    with pytest.raises(WrongUsage, match="GOOGLE_API_KEY"):
        Gcp(MACHINES, (), None)
    yen = {"startUsageAmount": 0, "unitPrice": {"currencyCode": "JPY", "units": "1", "nanos": 0}}
    sku = {
        "description": "Nvidia L4 GPU running in Tokyo",
        "category": {"resourceGroup": "GPU"},
        "serviceRegions": ["asia-northeast1"],
        "pricingInfo": [{"pricingExpression": {"tieredRates": [yen]}}],
    }
    with pytest.raises(SpillwayError, match="gcp: a price in JPY; USD was asked for"):
        refresh(tmp_path, lambda _: {"skus": [sku]})
