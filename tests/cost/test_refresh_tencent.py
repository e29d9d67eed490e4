"""Tencent's answers: steps of hours, a discount that is what is paid, two currencies."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import httpx
import pytest

from cost.refresh.tencent import HOST, Tencent
from cost.refresh.work import Found, Kept, gather
from images.programs.identity import Keys
from spillway.errors import SpillwayError, WrongUsage
from tests.cost.bodies import DAY, body, transport

BODY = body("tencent")
MACHINE, OTHER = "GT4.41XLARGE948", "GT4.8XLARGE192"
KEYS = Keys("id", "secret", "", float("inf"))


def refresh(tmp_path: Any, reply: Any, zones: tuple[str, ...] = ("ap-singapore-1",), sleep: Any = None) -> Found:
    tencent = Tencent([MACHINE], {"ap-singapore": zones}, "img-1", KEYS, transport(reply), lambda: 1_795_000_000.0)
    return tencent.found(gather(tencent, Kept(tmp_path), sleep=sleep or (lambda _: None)), DAY)


def test_the_list_price_is_kept_by_hours_of_use_and_the_discount_told(tmp_path: Any) -> None:
    rows = refresh(tmp_path, lambda _: BODY["priced"]).rows["tencent-machines.csv"]
    assert [(int(row.from_quantity), row.usd) for row in rows] == [
        (0, Decimal("10.5")),
        (96, Decimal("8.4")),
        (360, Decimal("5.25")),
    ]
    assert {row.flagged("discount") for row in rows} == {"the account that asked pays 20% of it"}


def test_where_zones_differ_the_dearest_counts(tmp_path: Any) -> None:
    def reply(request: httpx.Request) -> Any:
        told = json.loads(json.dumps(BODY["priced"]))
        if json.loads(request.content)["Placement"]["Zone"].endswith("2"):
            told["Response"]["Price"]["InstancePrice"]["UnitPrice"] = 11
        return told

    rows = refresh(tmp_path, reply, ("ap-singapore-1", "ap-singapore-2")).rows["tencent-machines.csv"]
    assert rows[0].usd == 11


def test_yuan_are_not_taken_for_dollars(tmp_path: Any) -> None:
    with pytest.raises(SpillwayError, match="tencent: a price in CNY; the snapshot is in USD"):
        refresh(tmp_path, lambda _: BODY["yuan"])


def test_a_zone_that_does_not_sell_it_is_an_answer(tmp_path: Any) -> None:
    found = refresh(tmp_path, lambda _: BODY["sold-out"])
    assert found.left_out == {"not sold in the zone": 1}
    assert [(gap.sku, gap.reason) for gap in found.unpriced] == [
        (MACHINE, "Tencent had no price of it in 1 zones that were asked")
    ]


def test_a_limit_of_requests_is_waited_for(tmp_path: Any) -> None:
    turns = [BODY["busy"], BODY["busy"]]
    slept: list[float] = []
    found = refresh(tmp_path, lambda _: turns.pop() if turns else BODY["priced"], sleep=slept.append)
    assert (slept, len(found.rows["tencent-machines.csv"])) == ([2, 4], 3)


def test_a_refusal_is_one_clear_line(tmp_path: Any) -> None:
    with pytest.raises(SpillwayError) as caught:
        refresh(tmp_path, lambda _: BODY["denied"])
    assert caught.value.lines == (
        f"tencent: {MACHINE} in ap-singapore-1: AuthFailure.SignatureFailure: The signature is wrong.",
    )


def test_requests_are_signed_and_go_to_the_international_site(tmp_path: Any) -> None:
    asked: list[httpx.Request] = []

    def reply(request: httpx.Request) -> Any:
        asked.append(request)
        return BODY["priced"]

    refresh(tmp_path, reply)
    (one,) = asked
    assert one.url.host == HOST
    assert one.headers["Authorization"].startswith("TC3-HMAC-SHA256 Credential=id/")
    assert (one.headers["X-TC-Region"], "X-TC-Token" in one.headers) == ("ap-singapore", False)
    assert "secret" not in one.headers["Authorization"]


def test_without_keys_it_says_which(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TENCENTCLOUD_SECRET_ID", raising=False)
    with pytest.raises(WrongUsage, match="TENCENTCLOUD_SECRET_ID and TENCENTCLOUD_SECRET_KEY"):
        Tencent([OTHER], {"ap-singapore": ("ap-singapore-1",)}, "img-1")
