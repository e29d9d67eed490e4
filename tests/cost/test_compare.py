"""A scenario worked out: rules that hold whatever the scenario, crossings, draws, what moves the result."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cost.arithmetic import EXACT, Arrays
from cost.breakeven import break_even
from cost.compare import compare
from cost.ledger import Book, Sums, present_value
from cost.options import build
from cost.result import Comparison, Option
from cost.scenario import SHIPPED, find, load
from cost.steady import TOKENS, usd_day
from cost.totals import million
from tests.cost.worked import API, CLOUD, OWN, SERVERLESS, SNAPSHOT, TODAY, document, made, repriced, worked

FREE: dict[str, Any] = {key: value for key, value in OWN.items() if key != "nodes"}
HOURLY: dict[str, Any] = {**CLOUD, "name": "hourly", "scaling": "hourly"}
SPOT: dict[str, Any] = {**CLOUD, "name": "spot", "market": "spot"}
ALL = (API, FREE, CLOUD, HOURLY, SPOT, SERVERLESS)
UNSURE: list[dict[str, Any]] = [
    {"key": "options.*.throughput.derate", "low": 0.3, "high": 0.9},
    {"key": "workload.tokensPerDay", "low": 0.5, "high": 2.0, "factor": True, "shape": "lognormal"},
    {"key": "options.own.usdPerKwh", "low": 0.05, "high": 0.3, "shape": "uniform"},
    {"key": "options.own.lifeYears", "low": 3.0, "high": 6.0},
]


# --- rules that always hold ---


@settings(max_examples=30, deadline=None)
@given(
    st.floats(1e3, 1e10), st.floats(1.0001, 50), st.sampled_from(ALL), st.integers(0, 2), st.floats(1, 4),
    st.sampled_from(["flat", "office", "consumer"]),
)  # fmt: skip
def test_costs_never_fall_when_usage_rises(
    tokens: float, factor: float, option: dict[str, Any], spare: int, burst: float, profile: str
) -> None:
    scenario = made(option, workload={"burst": burst, "profile": profile}, serving={"spareNodes": spare})
    (model,) = build(scenario, SNAPSHOT, TODAY)
    low, high = (
        usd_day(model, EXACT, scenario.inputs.with_values({TOKENS: Decimal(repr(one))}))
        for one in (tokens, tokens * factor)
    )
    assert high >= low


@settings(max_examples=30, deadline=None)
@given(
    st.sampled_from(ALL), st.integers(1, 5), st.integers(1, 4), st.floats(0, 0.3), st.floats(0, 0.05),
    st.floats(1e6, 5e9),
)  # fmt: skip
def test_cash_and_books_agree_over_the_full_term(
    option: dict[str, Any], life: int, terms: int, rate: float, growth: float, tokens: float
) -> None:
    given_life = {**option, "lifeYears": float(life)} if option["kind"] == "onprem" else option
    if option["kind"] == "onprem":
        growth = 0.0  # what is bought later outlives the term
    found = worked(
        given_life, period={"months": min(120, 12 * life * terms)}, finance={"discountRate": rate},
        workload={"tokensPerDay": tokens, "growthPerMonth": growth},
    ).options[0]  # fmt: skip
    if life * terms > 10 and option["kind"] == "onprem":
        return
    if found.status == "infeasible" and not found.lines:
        return
    assert abs(found.remaining) <= abs(found.cash) * Decimal("1e-20")
    assert abs(found.cash - sum(found.cash_by_month)) <= found.cash * Decimal("1e-20")
    for line in found.lines:
        assert line.usd == sum(line.cash)


def test_what_outlives_the_period_is_what_cash_and_books_differ_by() -> None:
    found = worked({**FREE}, period={"months": 30}, workload={"growthPerMonth": 0.05, "tokensPerDay": 5e8}).options[0]
    assert found.remaining > 0
    assert found.cash - found.amortised == found.remaining


def test_without_interest_levelised_is_what_the_books_show() -> None:
    found = worked(FREE, period={"months": 48}, finance={"discountRate": 0.0}).options[0]
    assert abs(found.levelised_month * 48 - found.amortised) < Decimal("1e-12")
    assert abs(found.npv - found.cash) < Decimal("1e-12")


def same(a: Option, b: Option) -> bool:
    return (a.name, a.cash, a.levelised_month, a.npv, a.usd_million) == (
        b.name, b.cash, b.levelised_month, b.npv, b.usd_million,
    )  # fmt: skip


@settings(max_examples=5, deadline=None)
@given(st.permutations(range(4)), st.permutations(range(4)))
def test_the_order_of_inputs_changes_nothing(options: list[int], unsure: list[int]) -> None:
    first = worked(*ALL[:4], uncertain=UNSURE, draws=200)
    other = worked(*(ALL[i] for i in options), uncertain=[UNSURE[i] for i in unsure], draws=200)
    assert all(same(one, other.option(one.name)) for one in first.options)
    drawn = {one.option: one for one in first.montecarlo.options}  # type: ignore[union-attr]
    assert drawn == {one.option: one for one in other.montecarlo.options}  # type: ignore[union-attr]
    assert {one.option: one for one in first.tornados} == {one.option: one for one in other.tornados}
    turns = [{(c.below, c.above, c.tokens_day) for p in one.pairs for c in p.crossings} for one in (first, other)]
    assert turns[0] == turns[1]


@pytest.mark.parametrize("name", SHIPPED)
def test_both_arithmetics_give_the_same(name: str) -> None:
    scenario = load(find(name))
    months, inputs = scenario.data.period.months, scenario.inputs
    for model in build(scenario, SNAPSHOT, TODAY):
        book = Book(EXACT, months, inputs["finance.discountRate"])
        model.run(inputs, book)
        exact = sum((line.levelised for line in book.lines()), Decimal(0)) * months
        n = Arrays()
        given_floats = inputs.for_arrays({})
        sums = Sums(n, months, given_floats["finance.discountRate"])
        model.run(given_floats, sums)
        assert float(sums.levelised) == pytest.approx(float(exact), rel=1e-9)
        cash = sum((line.usd for line in book.lines()), Decimal(0))
        assert float(sums.cash) == pytest.approx(float(cash), rel=1e-9)
        decimals = Sums(EXACT, months, inputs["finance.discountRate"])
        model.run(inputs, decimals)
        assert abs(decimals.cash - cash) < Decimal("1e-9")
        assert abs(decimals.levelised - exact) < Decimal("1e-9")
        assert million(EXACT, inputs, decimals) > 0


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 60), st.floats(1, 5), st.floats(-0.02, 0.05))
def test_sums_have_the_cash_of_the_book_whatever_outlives_the_period(months: int, life: float, growth: float) -> None:
    scenario = made({**FREE, "lifeYears": life}, period={"months": months}, workload={"growthPerMonth": growth})
    (model,) = build(scenario, SNAPSHOT, TODAY)
    book, sums = (kind(EXACT, months, scenario.inputs["finance.discountRate"]) for kind in (Book, Sums))
    model.run(scenario.inputs, book)
    model.run(scenario.inputs, sums)
    assert isinstance(book, Book)
    assert isinstance(sums, Sums)
    assert abs(sums.cash - sum((line.usd for line in book.lines()), Decimal(0))) < Decimal("1e-12")


def test_present_value_counts_upfronts_at_once_and_the_rest_at_the_months_end() -> None:
    own = worked({**OWN, "residualShare": 0.0}, period={"months": 12}, finance={"discountRate": 0.1}).options[0]
    capital = tuple(line for line in own.lines if line.group == "capital")
    assert present_value(capital, Decimal("0.1")) == 300_000
    power = tuple(line for line in own.lines if line.group == "power")
    last = power[0].cash[-1] / Decimal("1.1")
    assert present_value(power, Decimal("0.1")) > 12 * last


# --- the shipped scenarios ---


@pytest.fixture(scope="module")
def shipped() -> dict[str, Comparison]:
    return {name: compare(load(find(name)), SNAPSHOT, today=TODAY, draws=500) for name in SHIPPED}


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_scenario_says_all_that_a_report_tells(name: str, shipped: dict[str, Comparison]) -> None:
    found = shipped[name]
    assert found.best
    assert found.montecarlo is not None
    assert sum(one.wins for one in found.montecarlo.options) == pytest.approx(1, abs=Decimal("0.001"))
    for one in found.options:
        assert one.status in ("priced", "partial")
        assert one.curve
        assert one.band
        assert all(line.source and line.observed is not None for line in one.lines if one.kind != "onprem")
        assert all(line.source for line in one.lines)
        for band in one.band:
            assert band.p10 <= band.p50 <= band.p90
    assert len(found.pairs) == len(found.options) * (len(found.options) - 1) // 2
    assert {row.key for row in found.assumptions} >= {"workload.tokensPerDay", "finance.discountRate"}
    assert all(row.source and row.owner for row in found.assumptions)
    assert found.currency == "USD"
    assert found.snapshot == SNAPSHOT.id


def test_a_small_team_should_not_own_anything(shipped: dict[str, Comparison]) -> None:
    assert shipped["small-team"].option(shipped["small-team"].best).kind == "api"


def test_the_platforms_pools_beat_its_on_demand_machines(shipped: dict[str, Comparison]) -> None:
    found = shipped["platform"]
    assert found.option("aws-h200-blend").levelised_month < found.option("aws-h200").levelised_month
    zones = {one.zone for one in found.spot if one.machine == "p5en.48xlarge"}
    assert len(zones) > 3


def test_the_same_seed_gives_the_same_figures(shipped: dict[str, Comparison]) -> None:
    again = compare(load(find("product")), SNAPSHOT, today=TODAY, draws=500)
    assert again == shipped["product"]


# --- break-even ---


@pytest.mark.parametrize(
    ("usd_year", "usd_million", "millions"),
    [(168_410, "2", "231"), (168_410, "0.2625", "1758"), (168_410, "0.175", "2637"), (1_780, "2", "2.44")],
)
def test_break_even_of_a_fixed_cost(usd_year: int, usd_million: str, millions: str) -> None:
    found = break_even(Decimal(usd_year) / 365, Decimal(usd_million))
    assert found is not None
    assert round(found / 1_000_000, 2 if "." in millions else 0) == Decimal(millions)


def test_there_is_none_where_each_token_costs_more_than_it_saves() -> None:
    assert break_even(Decimal(100), Decimal("0.1"), Decimal("0.1")) is None
    found = break_even(Decimal(100), Decimal("0.3"), Decimal("0.1"))
    assert found is not None
    assert abs(found - 500_000_000) < Decimal("1e-9")


def example(usd_million: str, **serving: float) -> Comparison:
    """The worked example's node (168,410 a year, 2,641M tokens a day) against an API of one price for every token."""
    scenario = made(
        {**OWN, "throughput": {"tokensPerSecondPerGpu": 3821.0, "metric": "total", "derate": 1.0}},
        {**API, "priceFactor": float(Decimal(usd_million) / Decimal("0.2625"))},
        workload={"inputTokens": 3000, "outputTokens": 1000, "tokensPerDay": 1e8, "burst": 1.0,
                  "hourly": [0.0] * 12 + [1.0] + [0.0] * 11},
        model={"name": "llama-3.3-70b-instruct"}, serving={"spareNodes": 0, "highestUtilisation": 0.95, **serving},
        period={"months": 48},
    )  # fmt: skip
    return compare(scenario, SNAPSHOT, today=TODAY, draws=0)


def test_the_api_of_the_example_is_deepseek_off_peak() -> None:
    assert round(example("0.2625").option("api").usd_million or 0, 6) == Decimal("0.2625")


def flat(usd_million: str) -> Comparison:
    """The same with traffic all day, where DeepSeek's peak hours make an hour's price a mean: taken off by a factor."""
    probe = worked(API, workload={"inputTokens": 3000, "outputTokens": 1000}).option("api").usd_million
    assert probe is not None
    return worked(
        {**OWN, "throughput": {"tokensPerSecondPerGpu": 3821.0, "metric": "total", "derate": 1.0}},
        {**API, "priceFactor": float(Decimal(usd_million) / probe)},
        workload={"inputTokens": 3000, "outputTokens": 1000, "tokensPerDay": 1e8, "burst": 1.0},
        model={"name": "llama-3.3-70b-instruct"}, serving={"spareNodes": 0, "highestUtilisation": 0.95},
        period={"months": 48},
    )  # fmt: skip


@pytest.mark.parametrize(("usd", "millions", "share"), [("2", 231, 9), ("0.2625", 1758, 67)])
def test_a_node_crosses_an_api_where_its_fixed_cost_is_met(usd: str, millions: int, share: int) -> None:
    (pair,) = flat(usd).pairs
    (crossing,) = pair.crossings
    assert (crossing.below, crossing.above, crossing.feasible) == ("api", "own", True)
    assert round(crossing.tokens_day / 1_000_000) == millions
    assert crossing.share_of_capacity is not None
    assert round(crossing.share_of_capacity * 95) == share  # of what it can do at all; the limit is 95 % of that


def test_a_crossing_above_what_the_node_can_serve_is_called_infeasible() -> None:
    (pair,) = flat("0.175").pairs
    (crossing,) = pair.crossings
    assert not crossing.feasible
    assert round(crossing.tokens_day / 1_000_000) == 2637
    assert "infeasible because above capacity" in crossing.why
    assert pair.always == "api"
    assert "infeasible" in pair.words


def test_every_crossing_of_a_stair_is_there() -> None:
    found = worked(FREE, {**API, "priceFactor": 0.15}, workload={"tokensPerDay": 2e9})
    (pair,) = found.pairs
    real = [one for one in pair.crossings if one.feasible]
    assert len(real) >= 3
    assert [one.tokens_day for one in real] == sorted(one.tokens_day for one in real)
    for before, after in pairwise(real):
        assert before.above == after.below  # who wins changes hands each time
    scenario = made(FREE, {**API, "priceFactor": 0.15})
    own, api = build(scenario, SNAPSHOT, TODAY)
    for one in real:
        near = Decimal("1e-6")
        sides = []
        for side in (1 - near, 1 + near):
            inputs = scenario.inputs.with_values({TOKENS: one.tokens_day * side})
            sides.append(usd_day(own, EXACT, inputs) < usd_day(api, EXACT, inputs))
        assert sides == [one.below == "own", one.above == "own"]


def test_another_price_moves_the_crossing() -> None:
    cheap, dear = (
        worked({**CLOUD, "nodes": 1}, {**API, "priceFactor": 12.0}, workload={"tokensPerDay": 1e8},
               snapshot=repriced("p5.48xlarge", usd)).pairs[0].crossings[0].tokens_day
        for usd in ("27.52", "55.04")
    )  # fmt: skip
    assert Decimal("1.9") < dear / cheap < 2


# --- draws and swings ---


def test_uncertain_inputs_spread_the_result_around_its_middle() -> None:
    found = worked(*ALL, uncertain=UNSURE, draws=4000)
    assert found.montecarlo is not None
    for one in found.montecarlo.options:
        assert one.usd_p10 <= one.usd_p50 <= one.usd_p90
        assert one.usd_million_p10 <= one.usd_million_p50 <= one.usd_million_p90
        assert one.cash_p10 <= one.cash_p50 <= one.cash_p90
    own = next(one for one in found.montecarlo.options if one.option == "own")
    assert own.cash_p50 > own.usd_p50  # what was bought outlives the period
    assert dict(found.montecarlo.inputs)["options.spot.priceFactor"].startswith("one of")
    tornado = {one.option: one for one in found.tornados}
    widths = [one.width for one in tornado["own"].swings]
    assert widths == sorted(widths, reverse=True)
    assert {one.key for one in tornado["api"].swings} <= {"workload.tokensPerDay"}
    swing = next(one for one in tornado["own"].swings if one.key == "options.own.usdPerKwh")
    assert swing.low_usd < tornado["own"].base < swing.high_usd


def test_a_swing_is_what_the_scenario_gives_with_that_value() -> None:
    found = worked(FREE, uncertain=UNSURE)
    swing = next(one for one in found.tornados[0].swings if one.key == "options.own.usdPerKwh")
    other = worked({**FREE, "usdPerKwh": 0.3}).option("own").usd_million
    assert other is not None
    assert float(swing.high_usd) == pytest.approx(float(other), rel=1e-9)


def test_an_option_that_cannot_serve_a_draw_does_not_win_it() -> None:
    unsure = [{"key": "workload.tokensPerDay", "low": 0.2, "high": 40.0, "factor": True, "shape": "uniform"}]
    found = worked({**OWN, "usdPerKwh": 0.0, "capexPerNode": 1.0, "staffFte": 0.0}, API, uncertain=unsure, draws=2000,
                   workload={"tokensPerDay": 2e8})  # fmt: skip
    assert found.montecarlo is not None
    own, api = found.montecarlo.options
    assert own.above_capacity > Decimal("0.1")
    assert own.wins == pytest.approx(1 - own.above_capacity, abs=Decimal("1e-6"))
    assert api.wins == pytest.approx(own.above_capacity, abs=Decimal("1e-6"))


def test_amounts_in_another_currency_are_turned_into_dollars() -> None:
    euro: dict[str, Any] = {"currency": "EUR", "exchange": {"usd": 1.1, "source": "ECB", "observed": "2026-11-25"}}
    ours, theirs = worked(OWN).option("own"), worked(OWN, **euro).option("own")
    assert abs(theirs.cash - ours.cash * Decimal("1.1")) < Decimal("1e-6")
    assert document(OWN, **euro)["currency"] == "EUR"
    assert next(one for one in made(OWN, **euro).assumptions if one.key.endswith("capexPerNode")).unit == "EUR"


def test_an_option_that_has_room_for_its_spare_node_only_serves_nothing() -> None:
    found = worked({**CLOUD, "maxNodes": 1}, API, serving={"spareNodes": 1}, uncertain=UNSURE[:2], draws=200)
    one = found.option("cloud")
    assert (one.status, one.curve, one.band) == ("infeasible", (), ())
    assert "serves 0 tokens/day at most" in one.why
    assert "too few to compare it" in found.pairs[0].words
