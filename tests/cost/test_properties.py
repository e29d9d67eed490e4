"""Rules that hold for every market that a cloud sells machines in, and for every option of the shipped scenarios."""

from __future__ import annotations

import random
from dataclasses import replace
from decimal import Decimal
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cost.arithmetic import EXACT
from cost.compare import compare
from cost.options import build
from cost.prices.snapshot import Snapshot
from cost.result import Comparison
from cost.scenario import SHIPPED, find, load
from cost.steady import TOKENS, usd_day
from tests.cost.worked import API, CLOUD, OWN, SERVERLESS, SNAPSHOT, TODAY, made, worked

SHARES = {
    "reserved-1y": "0.63", "reserved-1y-upfront": "0.6", "reserved-3y": "0.43", "reserved-3y-upfront": "0.4",
    "savings-1y": "0.75", "savings-3y": "0.5", "calendar": "0.7", "capacity-block": "0.8", "list": "1.1",
}  # fmt: skip
"""Of the price on demand: markets that the snapshot does not have for the machine of these tests."""
YEARS = {"1y": 1, "3y": 3}


@cache
def every_market() -> Snapshot:
    base = next(row for row in SNAPSHOT.rows if (row.sku, row.market) == (CLOUD["machine"], "on-demand"))
    rows = [replace(base, market=market, usd=base.usd * Decimal(share)) for market, share in SHARES.items()]
    return replace(SNAPSHOT, rows=(*SNAPSHOT.rows, *rows))


@pytest.mark.parametrize("market", SHARES)
@settings(max_examples=10, deadline=None)
@given(
    tokens=st.floats(1e6, 1e10), factor=st.floats(1.0001, 20), scaling=st.sampled_from(["peak", "hourly"]),
    profile=st.sampled_from(["flat", "office", "consumer"]),
)  # fmt: skip
def test_more_use_never_costs_less_however_machines_are_bought(
    market: str, tokens: float, factor: float, scaling: str, profile: str
) -> None:
    scenario = made({**CLOUD, "market": market, "scaling": scaling}, workload={"profile": profile})
    (model,) = build(scenario, every_market(), TODAY)
    low, high = (
        usd_day(model, EXACT, scenario.inputs.with_values({TOKENS: Decimal(repr(one))}))
        for one in (tokens, tokens * factor)
    )
    assert 0 < low <= high


@pytest.mark.parametrize("market", SHARES)
@settings(max_examples=4, deadline=None)
@given(terms=st.integers(1, 3), rate=st.floats(0, 0.3), tokens=st.floats(1e6, 5e9))
def test_what_is_paid_and_what_the_books_show_agree_over_whole_terms(
    market: str, terms: int, rate: float, tokens: float
) -> None:
    years = terms * next((years for end, years in YEARS.items() if end in market), 1)
    found = worked(
        {**CLOUD, "market": market}, snapshot=every_market(), period={"months": 12 * years},
        finance={"discountRate": rate}, workload={"tokensPerDay": tokens},
    ).options[0]  # fmt: skip
    assert found.status == "priced", found.why
    assert abs(found.cash - found.amortised) <= found.cash * Decimal("1e-20")
    assert abs(found.remaining) <= found.cash * Decimal("1e-20")
    for line in found.lines:
        paid, booked = sum(line.cash, Decimal(0)), sum(line.amortised, Decimal(0))
        assert abs(paid - booked) <= abs(paid) * Decimal("1e-20")


@cache
def shipped(name: str) -> Comparison:
    return compare(load(find(name)), SNAPSHOT, today=TODAY, draws=0)


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_option_pays_what_its_books_show_and_what_is_left(name: str) -> None:
    for one in shipped(name).options:
        assert abs(one.cash - one.amortised - one.remaining) <= abs(one.cash) * Decimal("1e-20")
        assert all(line.source and line.observed for line in one.lines)


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_prices_changes_nothing(seed: int) -> None:
    options: list[dict[str, Any]] = [
        API, OWN, SERVERLESS, {**CLOUD, "name": "demand"}, {**CLOUD, "name": "spot", "market": "spot"},
    ]  # fmt: skip
    rows = list(SNAPSHOT.rows)
    random.Random(seed).shuffle(rows)
    first, other = worked(*options), worked(*options, snapshot=replace(SNAPSHOT, rows=tuple(rows)))
    assert {one.name: (one.cash, one.npv, one.levelised_month) for one in first.options} == {
        one.name: (one.cash, one.npv, one.levelised_month) for one in other.options
    }
