"""What a report says: the answer, how figures are written, what is left out."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cost.report import answer, words
from cost.report.told import Told, at, within
from cost.result import Band, Point
from cost.scenario import SHIPPED
from tests.cost.reported import compared, document, shipped

amounts = st.decimals(min_value=-(10**9), max_value=10**9, allow_nan=False, allow_infinity=False, places=9)


def told(name: str) -> Told:
    return Told(*shipped(name))


# --- figures ----------------------------------------------------------------------------------------------------------


@given(amounts)
def test_a_figure_is_its_amount_rounded_once(amount: Decimal) -> None:
    text = words.figure(amount).replace(",", "").replace("−", "-")
    places = Decimal("0.5") if abs(amount) >= 100 or not amount else Decimal("0.005")
    assert abs(Decimal(text) - amount) <= places
    assert ("−" in words.figure(amount)) == (Decimal(text) < 0)


@given(amounts.filter(lambda one: abs(one) > Decimal("0.00001")))
def test_a_unit_price_keeps_four_digits(amount: Decimal) -> None:
    text = words.small(amount).replace(",", "").replace("−", "-")
    assert abs(Decimal(text) - amount) <= max(abs(amount) * Decimal("0.0005"), Decimal("1e-9"))


@given(st.decimals(min_value=0, max_value=1, allow_nan=False, places=6))
def test_a_share_is_nothing_or_everything_only_when_it_is(share: Decimal) -> None:
    text = words.share(share)
    assert (text == "0 %") == (share == 0)
    assert (text == "100 %") == (share == 1)


@pytest.mark.parametrize(
    ("amount", "text"),
    [("0", "0 USD"), ("0.004", "0.00 USD"), ("99.994", "99.99 USD"), ("100", "100 USD"), ("-1775.4", "−1,775 USD")],
)
def test_amounts_have_their_currency_beside_them(amount: str, text: str) -> None:
    assert words.usd(Decimal(amount)) == text
    assert words.usd(None) == words.NONE


@pytest.mark.parametrize(
    ("value", "text"),
    [("0.08", "8 %"), ("0.0062", "0.6 %"), ("0.00004", "0.004 %"), ("0.9999", "99.99 %"), ("-0.02", "−2 %")],
)
def test_shares(value: str, text: str) -> None:
    assert words.share(Decimal(value)) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [("872145", "872,145"), ("50000000", "50 million"), ("2593018000", "2.59 billion"), ("4e12", "4 trillion")],
)
def test_tokens_in_words(value: str, text: str) -> None:
    assert words.tokens(Decimal(value)) == text


@given(amounts)
def test_programs_get_decimals_without_an_exponent(amount: Decimal) -> None:
    text = words.exact(amount)
    assert Decimal(text) == amount
    assert "E" not in text


def test_months_have_names() -> None:
    assert [words.month("2027-11", number) for number in (0, 1, 2)] == ["Nov 2027", "Dec 2027", "Jan 2028"]


# --- the answer -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SHIPPED)
def test_the_answer_is_the_cheapest_option_and_by_how_much(name: str) -> None:
    known = told(name)
    best, second = known.serving[:2]
    first, sure, *_ = answer.sentences(known)
    assert best.name == known.found.best
    assert best.title in first
    assert second.title in first
    assert words.usd(best.levelised_month) in first
    assert words.usd(second.levelised_month - best.levelised_month) in first
    assert words.share(known.drawn[best.name].wins) in sure
    assert "200 draws" in sure


def test_spot_alone_is_a_price_that_is_compared_with_and_never_the_answer(tmp_path: Path) -> None:
    changed = document("product")
    changed["options"] = [one for one in changed["options"] if one["name"] in ("aws-spot", "aws-on-demand", "own")]
    changed["uncertain"] = []
    changed["cited"] = []
    known = Told(*compared(tmp_path / "spot.yaml", changed))
    assert [one.name for one in known.ranked] == ["aws-spot", "own", "aws-on-demand"]
    assert known.best is not None
    assert known.best.name == "own"
    assert answer.sentences(known)[0].startswith("Own servers, 8 x H200 is the cheapest")
    assert answer.state(known, known.ranked[0]) == "a price to compare with, no service"
    assert known.cheapest("cloud") is known.found.option("aws-on-demand")


def test_options_are_ranked_by_what_a_month_costs() -> None:
    known = told("platform")
    costs = [one.levelised_month for one in known.ranked]
    assert costs == sorted(costs)
    assert {*known.ranked} | {*known.out} == {*known.found.options}


def test_without_draws_it_says_that_nothing_is_known_of_how_sure_it_is(tmp_path: Path) -> None:
    known = Told(*compared(tmp_path / "plain.yaml", document()))
    assert any("no inputs were drawn" in one for one in answer.sentences(known))
    assert all(one.wins is not None for one in known.drawn.values())


def test_what_has_no_price_is_told_with_the_answer() -> None:
    known = told("small-team")
    assert known.gaps
    said = " ".join(answer.caveats(known))
    for name, gaps in known.gaps.items():
        assert known.found.option(name).title in said
        assert all(one.what in said for one in gaps)


def test_a_cheapest_option_that_lacks_prices_says_that_it_is_dearer_than_shown(tmp_path: Path) -> None:
    changed = document()
    changed["options"] = [one for one in changed["options"] if one["name"] in ("gcp-l4", "aws-l40s")]
    changed["uncertain"] = []
    changed["cited"] = []
    known = Told(*compared(tmp_path / "clouds.yaml", changed))
    assert known.best is not None
    assert known.best.name == "gcp-l4"
    assert answer.caveats(known)[0].startswith("The cheapest lacks prices")


def test_models_of_apis_are_told_apart_from_those_that_are_served() -> None:
    assert any("how good answers are is not weighed" in one for one in answer.caveats(told("product")))


def test_old_prices_are_told_first() -> None:
    from dataclasses import replace

    scenario, found = shipped("small-team")
    known = Told(scenario, replace(found, stale="the oldest is 400 days old"))
    assert answer.caveats(known)[0] == "Prices are too old: the oldest is 400 days old."


def test_how_much_rests_on_old_prices_is_told() -> None:
    known = told("product")
    said = next(one for one in answer.caveats(known) if "marked as stale" in one)
    for one in known.ranked:
        old = sum((line.levelised for line in one.lines if "stale" in line.flags), Decimal(0)) / one.levelised_month
        assert (f"{words.share(old)} of a month of {one.title}" in said) == (old >= answer.OLD)


def test_where_nothing_can_serve_it_says_so(tmp_path: Path) -> None:
    changed = document()
    changed["workload"]["tokensPerDay"] = 1e13
    changed["options"] = [one for one in changed["options"] if one["name"] in ("workstation", "aws-l40s")]
    changed["uncertain"] = []
    changed["cited"] = []
    known = Told(*compared(tmp_path / "huge.yaml", changed))
    assert known.best is None
    assert answer.sentences(known) == [
        "None of the options both has a price and can serve this workload; see why below."
    ]
    assert any("Cannot serve this workload" in one for one in answer.caveats(known))


def test_another_currency_is_told_with_its_rate(tmp_path: Path) -> None:
    changed = document()
    changed["currency"] = "EUR"
    changed["exchange"] = {"usd": 1.16, "source": "ECB reference rate", "observed": "2026-11-25"}
    known = Told(*compared(tmp_path / "euro.yaml", changed))
    said = answer.money_said(known)
    assert "All amounts are in USD" in said
    assert "EUR, at 1.16 USD for one (ECB reference rate, 2026-11-25)" in said


def test_the_break_even_of_a_dearer_option_is_the_nearest_crossing_above_the_workload() -> None:
    known = told("small-team")
    for one in known.ranked[1:]:
        met = known.breaks_even(one)
        if met is not None:
            assert met.feasible
            assert met.above == one.name
            assert met.tokens_day > known.found.workload.tokens_day


# --- curves -----------------------------------------------------------------------------------------------------------


def _point(tokens: int, usd: int) -> Point:
    return Point(Decimal(tokens), Decimal(usd), Decimal(0), 1)


def test_a_curve_is_read_between_its_points_and_after_its_steps() -> None:
    curve = (_point(10, 100), _point(20, 100), _point(20, 200), _point(40, 220))
    assert at(curve, Decimal(15)) == 100
    assert at(curve, Decimal(20)) == 200
    assert at(curve, Decimal(30)) == 210
    assert at(curve, Decimal(40)) == 220
    assert at(curve, Decimal(41)) is None
    assert at(curve, Decimal(9)) is None
    assert at((), Decimal(9)) is None


def test_a_band_is_read_between_its_rows() -> None:
    rows = tuple(Band(Decimal(x), Decimal(x), Decimal(x), Decimal(2 * x)) for x in (10, 20))
    assert within(rows, Decimal(15)) == (Decimal(15), Decimal(30))
    assert within(rows, Decimal(10)) == (Decimal(10), Decimal(20))
    assert within(rows, Decimal(30)) is None


@pytest.mark.parametrize("name", SHIPPED)
def test_a_waterfall_ends_at_the_month(name: str) -> None:
    known = told(name)
    for one in known.ranked:
        assert abs(sum((usd for _, usd in known.bars(one)), Decimal(0)) - one.levelised_month) < Decimal("1e-9")


@pytest.mark.parametrize("name", SHIPPED)
def test_every_line_refers_to_a_source_of_the_list(name: str) -> None:
    known = told(name)
    for option in known.found.options:
        for line in option.lines:
            number = known.numbers[line.source, line.observed]
            assert known.sources[number - 1].source == line.source
            assert known.sources[number - 1].observed == line.observed
