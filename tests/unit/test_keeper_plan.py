"""The search for the plan that is worth most, and the share of the time that a plan is short."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from infra.keeper_plan import Option, Search, shortage
from infra.keeper_words import Key, Place

shares = st.floats(0, 1)
zones = st.lists(st.tuples(st.sampled_from("ab"), st.integers(1, 3), shares), max_size=5)


@given(zones, st.integers(1, 6))
def test_the_share_agrees_with_all_cases_counted(plan: Any, target: Any) -> None:
    total = 0.0
    for gone in product((False, True), repeat=len(plan)):
        chance = 1.0
        for (_, _, missing), out in zip(plan, gone, strict=True):
            chance *= missing if out else 1.0 - missing
        if sum(count for (_, count, _), out in zip(plan, gone, strict=True) if not out) < target:
            total += chance
    assert abs(shortage(plan, {}, target) - total) < 1e-9


@given(zones, shares, st.integers(1, 5), st.integers(0, 4), st.floats(0, 1))
def test_one_more_never_makes_it_shorter_and_more_risk_never_less(
    plan: Any, joint: Any, target: Any, index: Any, factor: Any
) -> None:
    regions = {"a": joint, "b": joint}
    before = shortage(plan, {}, target)
    assert 0 <= before <= 1
    assert shortage([*plan, ("b", 1, 0.5)], {}, target) <= before + 1e-9
    calm = [(region, count, missing * factor) for region, count, missing in plan]
    assert shortage(calm, {}, target) <= before + 1e-9
    assert 0 <= shortage(plan, regions, target) <= 1


def test_zones_of_a_region_that_fail_together_are_worth_less_than_those_of_two() -> None:
    near = shortage([("a", 1, 0.01), ("a", 1, 0.01)], {"a": 0.5}, 1)
    far = shortage([("a", 1, 0.01), ("b", 1, 0.01)], {"a": 0.5, "b": 0.5}, 1)
    assert far < 2e-4 < 4e-3 < near


def search(prices: Sequence[float], risks: Sequence[float], worth: float, target: int = 2, **more: Any) -> Search:
    places = {f"z{index}": Place(f"z{index}", f"r{index}", "one") for index in range(len(prices))}
    options: dict[Key, Option] = {
        (f"z{index}", "spot"): Option(price, risk, 0.0, 4)
        for index, (price, risk) in enumerate(zip(prices, risks, strict=True))
    }
    return Search(options, places, {}, target, worth, {}, **more)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0.5, 5), st.floats(0.001, 0.3)), min_size=3, max_size=3),
    st.floats(10, 2000), st.integers(1, 3),
)  # fmt: skip
def test_the_plan_that_is_found_is_near_the_best_there_is(options: Any, worth: Any, target: Any) -> None:
    prices, risks = zip(*options, strict=True)
    looked = search(prices, risks, worth, target)
    best = min(looked.cost(plan) for plan in product(range(5), repeat=3))
    found = looked.best([(0, 0, 0), (target, 0, 0), (1, 1, 1), (2, 2, 2)])
    assert best - 1e-9 <= looked.cost(found) <= best * 1.1


@settings(max_examples=40, deadline=None)
@given(st.floats(0.001, 0.1), st.floats(1.0, 3.0), st.floats(20, 500))
def test_more_risk_or_more_worth_never_means_fewer_spares(risk: Any, factor: Any, worth: Any) -> None:
    def spares(missing: float, value: float) -> int:
        looked = search((1.0,) * 6, (missing,) * 6, value)
        return sum(looked.best([(1, 1, 0, 0, 0, 0), (1, 1, 1, 1, 0, 0)]))

    if risk * factor < 0.15:
        assert spares(risk * factor, worth) >= spares(risk, worth)
    assert spares(risk, worth * factor) >= spares(risk, worth)


def test_a_number_that_is_given_is_kept() -> None:
    looked = search((1.0, 1.5, 2.0), (0.05, 0.05, 0.05), 100.0, total=3)
    assert sum(looked.best([(0, 0, 0)])) == 3
