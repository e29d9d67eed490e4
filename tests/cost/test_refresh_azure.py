"""What the Retail Prices API gets wrong or says in its own way does not get into a snapshot."""

from __future__ import annotations

import copy
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import httpx
import pytest

from cost.money import HOURS_PER_YEAR
from cost.prices.snapshot import Price
from cost.refresh.azure import MACHINES_A_QUESTION, URL, VERSION, Azure
from cost.refresh.work import Found, Kept, gather
from spillway.errors import SpillwayError
from tests.cost.bodies import DAY, body, transport

D2, ND = "Standard_D2s_v5", "Standard_ND96isr_H100_v5"
BODY = body("azure")


def answer(request: httpx.Request) -> Any:
    asked = request.url.params.get("$filter", "")
    if request.url.params.get("page") == "2":
        return BODY["page2"]
    if "'Virtual Machines'" in asked:
        return BODY["machines"]
    own = [one for one in BODY["services"]["Items"] if f"'{one['serviceName']}'" in asked]
    return {"Items": own, "NextPageLink": None}


def refresh(
    tmp_path: Any, reply: Callable[[httpx.Request], Any] = answer, sleep: Callable[[float], None] = lambda _: None
) -> Found:
    azure = Azure([D2, ND], ["eastus"], transport(reply))
    return azure.found(gather(azure, Kept(tmp_path), sleep=sleep), DAY)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Found:
    return refresh(tmp_path_factory.mktemp("azure"))


def of(found: Found, sku: str) -> dict[str, Price]:
    return {row.market: row for rows in found.rows.values() for row in rows if row.sku == sku}


def test_only_the_plain_machines_prices_are_kept(found: Found) -> None:
    rows = of(found, D2)
    assert {market: str(row.usd) for market, row in rows.items() if "reserved" not in market} == {
        "on-demand": "0.096",
        "spot": "0.0192",
        "savings-1y": "0.0711",
        "savings-3y": "0.0518",
    }
    assert found.left_out == {
        "windows": 1, "low priority": 1, "dedicated": 1, "dev/test": 1, "a price of 0": 1, "not valid on the day": 1,
        "reservation of 5 Years": 1,
    }  # fmt: skip


def test_a_reservations_price_is_that_of_its_whole_term(found: Found) -> None:
    rows = of(found, D2)
    assert rows["reserved-1y-upfront"].usd == Decimal(496) / HOURS_PER_YEAR
    assert rows["reserved-3y-upfront"].usd == Decimal(959) / (3 * HOURS_PER_YEAR)
    assert "496" in (rows["reserved-1y-upfront"].flagged("term") or "")
    assert rows["reserved-3y-upfront"].usd < rows["reserved-1y-upfront"].usd < rows["on-demand"].usd


def test_the_next_page_is_where_the_api_says(found: Found) -> None:
    assert of(found, ND)["on-demand"].usd == Decimal("98.32")


def test_a_machine_without_a_spot_price_is_said_to_have_none(found: Found) -> None:
    assert [(gap.sku, gap.market) for gap in found.unpriced] == [(ND, "spot")]


def test_units_tiers_and_regions_of_services(found: Found) -> None:
    rows = found.rows["azure-services.csv"]
    assert {(row.region, row.sku, row.unit, str(row.from_quantity), str(row.usd)) for row in rows} == {
        ("eastus", "vault.operations", "10k requests", "0", "0.03"),
        ("eastus", "egress.internet", "GB", "0", "0"),
        ("eastus", "egress.internet", "GB", "100.0", "0.087"),
        ("*", "trafficmanager.queries", "1M queries", "0", "0.54"),
    }


def test_questions_name_the_version_the_currency_and_one_region(tmp_path: Any) -> None:
    asked: list[httpx.URL] = []

    def watch(request: httpx.Request) -> Any:
        asked.append(request.url)
        return answer(request)

    refresh(tmp_path, watch)
    first = [url for url in asked if "$filter" in url.params]
    assert all(str(url).startswith(URL) and url.params["api-version"] == VERSION for url in first)
    assert {url.params["currencyCode"] for url in first} == {"USD"}
    assert not [url for url in asked if "$skip" in url.params]
    assert all("eastus'" in url.params["$filter"] for url in first if "armRegionName" in url.params["$filter"])


def test_many_machines_are_many_questions() -> None:
    names = [f"Standard_M{number}" for number in range(MACHINES_A_QUESTION * 2 + 1)]
    steps = [step for step in Azure(names, ["eastus", "westeurope"]).steps({}) if step.key.startswith("machines")]
    assert len(steps) == 6


@pytest.mark.parametrize(("header", "waits"), [("17", 17.0), (None, 2.0), ("100000", 120.0)])
def test_throttled_is_waited_for_as_long_as_the_api_asks(tmp_path: Any, header: str | None, waits: float) -> None:
    slept: list[float] = []
    headers = {"Retry-After": header} if header else {}
    turns = [httpx.Response(429, headers=headers)]
    found = refresh(tmp_path, lambda request: turns.pop() if turns else answer(request), slept.append)
    assert slept == [waits]
    assert of(found, D2)["on-demand"].usd == Decimal("0.096")


@pytest.mark.parametrize(
    ("status", "told"), [(429, "is throttled, 8 times"), (503, "answers HTTP 503, 8 times"), (400, "answers HTTP 400:")]
)
def test_a_list_that_does_not_answer_is_one_clear_line(tmp_path: Any, status: int, told: str) -> None:
    with pytest.raises(SpillwayError, match=told) as caught:
        refresh(tmp_path, lambda _: httpx.Response(status, text="Bad\nfilter"))
    assert len(caught.value.lines) == 1
    assert "\n" not in str(caught.value)


def test_a_price_in_another_currency_is_refused(tmp_path: Any) -> None:
    mixed = copy.deepcopy(BODY["page2"])
    mixed["Items"][0]["currencyCode"] = "EUR"
    with pytest.raises(SpillwayError, match="azure: a price in EUR; USD was asked for"):
        refresh(tmp_path, lambda _: mixed)
