"""Own hardware: the worked example to the dollar, what lives longer than the period, what is bought when."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cost.arithmetic import EXACT, Arrays
from cost.ledger import annuity_factor
from cost.money import HOURS_PER_YEAR
from cost.options import tranches
from cost.result import Option
from tests.cost.worked import OWN, worked

PLAIN: dict[str, Any] = {"discountRate": 0.08}


def own(months: int = 48, **changes: Any) -> Option:
    sections = {key: changes.pop(key) for key in ("workload", "serving") if key in changes}
    option = {key: value for key, value in {**OWN, **changes}.items() if value is not None}
    return worked(option, finance=PLAIN, period={"months": months}, **sections).option("own")


def year(option: Option, *groups: str) -> Decimal:
    return sum((line.levelised for line in option.lines if line.group in groups), Decimal(0)) * 12


def test_the_capital_recovery_factor_of_four_years_at_eight_percent() -> None:
    assert round(annuity_factor(EXACT, Decimal("0.08"), Decimal(4)), 5) == Decimal("0.30192")


def test_without_interest_the_factor_is_a_straight_line() -> None:
    assert annuity_factor(EXACT, Decimal(0), Decimal(4)) == Decimal("0.25")
    assert annuity_factor(Arrays(), 0.0, 4.0) == pytest.approx(0.25, rel=1e-5)


def test_the_worked_example_to_the_dollar() -> None:
    found = own()
    gpu_hours = 8 * HOURS_PER_YEAR
    capital = year(found, "capital", "resale")
    assert round(capital) == 80_590
    assert round(capital / gpu_hours, 3) == Decimal("1.150")
    assert round(year(found, "power")) == 10_320
    assert round(year(found, "power") / gpu_hours, 3) == Decimal("0.147")
    assert round(year(found, "support") / gpu_hours, 3) == Decimal("0.214")
    assert round(year(found, "staff") / gpu_hours, 3) == Decimal("0.892")
    total = found.levelised_month * 12
    assert round(total) == 168_410
    assert round(total / gpu_hours, 2) == Decimal("2.40")


def test_the_books_without_resale_are_a_straight_line() -> None:
    found = own(residualShare=0.0)
    capital = [line for line in found.lines if line.group == "capital"]
    assert round(capital[0].amortised[0] * 12 / (8 * HOURS_PER_YEAR), 3) == Decimal("1.070")


@pytest.mark.parametrize(("percent", "usd"), [(100, "0.175"), (50, "0.349"), (30, "0.582"), (10, "1.747")])
def test_a_million_tokens_cost_more_the_less_the_node_does(percent: int, usd: str) -> None:
    # 3,821 tokens/s are output: with nothing but output a token is one of the claim's.
    found = own(workload={"inputTokens": 1, "outputTokens": 1000, "tokensPerDay": 1e9, "burst": 1.0},
                throughput={"tokensPerSecondPerGpu": 3821.0, "metric": "total", "derate": 1.0})  # fmt: skip
    ladder = {int(one.utilisation * 100): one.usd_million for one in found.utilisation_curve}
    assert round(ladder[percent], 3) == Decimal(usd)


def test_cash_and_books_agree_over_the_whole_life_and_differ_by_what_is_left_before() -> None:
    whole, part = own(months=48), own(months=36)
    assert abs(whole.remaining) < Decimal("1e-15")
    # After three of four years a quarter of what is not resold is left, and the resale itself is still to come.
    assert abs(part.remaining - (300_000 * Decimal("0.85") / 4 + 45_000)) < Decimal("1e-15")


def test_a_system_is_bought_again_after_its_life() -> None:
    bought = next(line for line in own(months=96).lines if line.group == "capital")
    assert [month for month, usd in enumerate(bought.cash) if usd] == [0, 48]


def test_systems_are_bought_as_the_traffic_grows_and_stay_when_it_falls() -> None:
    growing = own(nodes=None, months=24, workload={"tokensPerDay": 1e9, "growthPerMonth": 0.1})
    assert list(growing.nodes) == sorted(growing.nodes)
    assert growing.nodes[-1] > growing.nodes[0]
    bought = next(line for line in growing.lines if line.group == "capital")
    assert sum(bought.quantities) == growing.nodes[-1]
    falling = own(nodes=None, months=24, workload={"tokensPerDay": 6e9, "growthPerMonth": -0.1})
    power = next(line for line in falling.lines if line.group == "power")
    assert power.cash[-1] == power.cash[0]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 30), min_size=1, max_size=40), st.integers(1, 20))
def test_what_is_held_is_never_less_than_what_is_needed(needed: list[int], life: int) -> None:
    bought, held = tranches(EXACT, [Decimal(one) for one in needed], Decimal(life))
    for month, need in enumerate(needed):
        assert held[month] >= need
        assert held[month] == sum(bought[max(0, month - life + 1) : month + 1])


def test_what_nobody_asks_for_has_no_line() -> None:
    assert {line.group for line in own().lines} == {"capital", "resale", "power", "support", "staff"}
    more = own(colocationUsdPerKwMonth=200.0, networkShare=0.1, sparesShare=0.01, licencesUsdPerGpuYear=4500.0,
               propertyTaxShare=0.01, insuranceShare=0.005, salesTaxShare=0.07, staffFtePerNode=0.1)  # fmt: skip
    assert {line.what for line in more.lines} >= {
        "rack space", "network", "spare parts", "software licences", "property tax", "insurance", "sales tax",
    }  # fmt: skip
    space = next(line for line in more.lines if line.what == "rack space")
    assert space.cash[0] == Decimal("10.2") * 200


def test_more_than_the_nodes_can_do_is_infeasible_and_says_so() -> None:
    found = own(workload={"tokensPerDay": 1e12})
    assert found.status == "infeasible"
    assert "the workload reaches 1,000,000,000,000" in found.why


def test_a_gpu_hour_far_from_what_others_pay_is_told() -> None:
    assert not [line for line in own().warnings if "a GPU-hour costs" in line]
    (line,) = [line for line in own(capexPerNode=3000.0, staffFte=0.0).warnings if "a GPU-hour costs" in line]
    assert "$1.30" in line
    assert [line for line in own(capexPerNode=3_000_000.0).warnings if "a GPU-hour costs" in line]
