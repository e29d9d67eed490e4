"""What requests to an API cost, by shape and hour."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cost import api
from cost.api import NoPrice, RequestShape, mean, rates, request
from spillway.errors import SpillwayError

DAY = date(2026, 11, 26)
NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)
FLASH = ("deepseek-v4-flash", "deepseek")
MILLION_EACH = RequestShape(1_000_000, 1_000_000)


@pytest.mark.parametrize(
    ("model", "provider", "each_way"),
    [
        ("deepseek-v4-flash", "deepseek", ("0.15", "0.60")),
        ("deepseek-v4-pro", "deepseek", ("0.66", "1.98")),
        ("deepseek-v3.2", "deepseek", ("0.2288", "0.3432")),
        ("gpt-5.4", "openai", ("2.5", "15")),
        ("gpt-5.4-mini", "openai", ("0.75", "4.5")),
        ("gpt-5.5", "openai", ("5", "30")),
        ("gpt-4o", "openai", ("2.5", "10")),
        ("claude-sonnet-4-5", "anthropic", ("3", "15")),
        ("claude-sonnet-5", "anthropic", ("2", "10")),
        ("claude-opus-4-8", "anthropic", ("5", "25")),
    ],
)
def test_the_pinned_package_has_the_list_prices(model: str, provider: str, each_way: tuple[str, str]) -> None:
    found = rates(model, provider, NOON)
    assert (found.input, found.output) == (Decimal(each_way[0]), Decimal(each_way[1]))
    assert found.source.startswith("genai-prices 0.2")


def test_deepseek_doubles_its_prices_from_1_to_4_and_from_6_to_10_utc() -> None:
    hours = [one.usd for one in api.by_hour(*FLASH, MILLION_EACH, DAY)]
    peak = {1, 2, 3, 6, 7, 8, 9}
    assert all(usd == Decimal("1.5" if hour in peak else "0.75") for hour, usd in enumerate(hours))


def test_an_hour_is_the_providers_wherever_the_caller_is() -> None:
    tokyo = datetime(2026, 11, 26, 11, 0, tzinfo=timezone(timedelta(hours=9)))
    assert request(*FLASH, MILLION_EACH, tokyo).usd == Decimal("1.5")


def test_a_days_mean_goes_by_when_the_requests_come() -> None:
    assert mean(*FLASH, MILLION_EACH, DAY) == Decimal("0.75") * 31 / 24
    night = [Decimal(1) if hour in (1, 2) else Decimal(0) for hour in range(24)]
    assert mean(*FLASH, MILLION_EACH, DAY, night) == Decimal("1.5")


def test_a_long_request_costs_more_per_token_than_many_short_ones() -> None:
    one = request("gpt-5.4", "openai", RequestShape(750_000, 0), NOON).usd
    short = request("gpt-5.4", "openai", RequestShape(1_000, 0), NOON).usd
    assert one == Decimal("3.75")
    assert short * 750 == Decimal("1.875")
    assert rates("gpt-5.4", "openai", NOON).tiers == (272_000,)


def test_cache_reads_are_a_tenth_or_less() -> None:
    cold = request(*FLASH, RequestShape(10_000, 0), NOON).usd
    warm = request(*FLASH, RequestShape(10_000, 0, Decimal(1)), NOON).usd
    assert warm * 50 == cold
    half = request(*FLASH, RequestShape(10_000, 0, Decimal("0.5")), NOON).usd
    assert half == (cold + warm) / 2


def test_a_model_without_a_price_of_cache_reads_pays_them_as_input() -> None:
    found = rates("deepseek-v3.2", "deepseek", NOON)
    assert found.cache_read is None
    shape = RequestShape(10_000, 0, Decimal(1))
    assert request("deepseek-v3.2", "deepseek", shape, NOON).usd == found.input / 100


def test_a_model_without_a_price_is_unpriced_and_not_free() -> None:
    with pytest.raises(NoPrice, match=r"has no price per token"):
        request("qwen-3-coder-480b", "cerebras", RequestShape(1_000, 1_000), NOON)


@pytest.mark.parametrize(
    ("model", "provider", "told"),
    [
        ("gpt-4o", "opnai", "API provider opnai: genai-prices has no such provider (did you mean openai?)"),
        ("nonesuch", "openai", "API model nonesuch: genai-prices has none of openai that is called so"),
    ],
)
def test_an_unknown_model_is_one_clear_line(model: str, provider: str, told: str) -> None:
    with pytest.raises(SpillwayError) as caught:
        request(model, provider, RequestShape(1, 1), NOON)
    assert caught.value.lines == (told,)


@pytest.mark.parametrize(
    ("tokens", "hit", "told"),
    [
        ((-1, 0), "0", "a request with -1 input tokens"),
        ((1, 200_000_000), "0", "a request with 200,000,000 output tokens"),
        ((1, 1), "1.5", "a cache-hit share of 1.5"),
        ((1, 1), "NaN", "a cache-hit share of NaN"),
    ],
)
def test_an_absurd_request_is_one_clear_line(tokens: tuple[int, int], hit: str, told: str) -> None:
    with pytest.raises(SpillwayError, match=told):
        RequestShape(*tokens, Decimal(hit))


def test_a_profile_has_24_weights_and_a_time_has_an_offset() -> None:
    with pytest.raises(SpillwayError, match="an hourly profile of 23 weights"):
        mean(*FLASH, MILLION_EACH, DAY, [Decimal(1)] * 23)
    with pytest.raises(SpillwayError, match="a time without an offset"):
        request(*FLASH, MILLION_EACH, datetime(2026, 11, 26, 12))


@given(st.integers(0, 200_000), st.integers(0, 50_000), st.integers(0, 50_000))
def test_more_tokens_never_cost_less(tokens: int, more: int, out: int) -> None:
    few = request(*FLASH, RequestShape(tokens, out), NOON).usd
    many = request(*FLASH, RequestShape(tokens + more, out), NOON).usd
    assert many >= few
