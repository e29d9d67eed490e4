"""Rows of what APIs charge, from the pinned package and from newer data."""

from __future__ import annotations

import copy
from decimal import Decimal
from typing import Any

import pytest
from genai_prices.types import ModelPrice

from cost import api
from cost.refresh.api import Api, _spans
from cost.refresh.work import Found, Kept, gather
from spillway.errors import SpillwayError
from tests.cost.bodies import DAY


def refresh(tmp_path: Any, **more: Any) -> Found:
    one = Api(("deepseek", "openai"), DAY, **more)
    return one.found(gather(one, Kept(tmp_path), sleep=lambda _: None), DAY)


def test_hours_and_tiers_are_told(tmp_path: Any) -> None:
    rows = {(row.provider, row.sku): row for row in refresh(tmp_path).rows["api-tokens.csv"]}
    peak = rows["deepseek", "deepseek-v4-flash/input@peak"]
    plain = rows["deepseek", "deepseek-v4-flash/input"]
    assert (peak.usd, plain.usd) == (Decimal("0.30"), Decimal("0.15"))
    assert peak.flagged("hours") == "01-04, 06-10 UTC"
    assert rows["openai", "gpt-5.4/input"].flagged("tiers")
    assert rows["openai", "gpt-5.4/input"].each == Decimal("0.0000025")


def test_a_model_without_a_price_per_token_is_said_to_have_none(tmp_path: Any) -> None:
    assert "whisper-1" in {gap.sku for gap in refresh(tmp_path).unpriced}


def test_what_newer_data_has_otherwise_is_marked(tmp_path: Any) -> None:
    newer = copy.deepcopy(api.data())
    (openai,) = (one for one in newer.providers if one.id == "openai")
    (model,) = (one for one in openai.models if one.id == "gpt-4o")
    model.prices = ModelPrice(input_mtok=Decimal(2), output_mtok=Decimal(10))
    rows = refresh(tmp_path, newest=True, fetch=lambda: newer).rows["api-tokens.csv"]
    marked = {row.sku for row in rows if row.flagged("differs")}
    assert {"gpt-4o/input", "gpt-4o/output"} <= marked
    assert all(name.startswith("gpt-4o/") for name in marked)
    assert {row.usd for row in rows if row.sku == "gpt-4o/input"} == {Decimal(2)}


def test_a_repository_out_of_reach_and_an_unknown_provider_are_one_clear_line(tmp_path: Any) -> None:
    with pytest.raises(SpillwayError, match="api: newest: the repository of genai-prices has no data, 8 times"):
        refresh(tmp_path, newest=True, fetch=lambda: None)
    with pytest.raises(SpillwayError, match=r"has no provider opnai \(did you mean openai\?\)"):
        Api(("opnai",), DAY)


def test_hours_are_told_as_spans() -> None:
    assert _spans([1, 2, 3, 6]) == "01-04, 06-07"
    assert _spans(range(24)) == "00-24"
