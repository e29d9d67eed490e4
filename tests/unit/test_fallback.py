"""The fallback rule by itself: what it decides, and what it never does whatever happens."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.fallback import (
    MAX_STEPS,
    METRICS,
    Decision,
    Observation,
    Reason,
    Rule,
    State,
    aws_alarms,
    aws_gap_expression,
    aws_surplus_expression,
    can_release,
    decide,
    enabled_metrics,
    gap,
    in_steps,
    is_late,
    out_steps,
    shortage,
    spare,
    surplus,
)
from rehearsal.regions.metric_math import evaluate
from tests.support.two_pools import ByRule, Minute, World, run

RULE = Rule(floor=0, out_minutes=2, in_minutes=12, boot_minutes=20, max_on_demand=6)
PLENTY = 99


def world(**changes: object) -> World:
    """Two spot nodes in service at the start, a boot of 20 minutes."""
    base = World(minutes=400, spot_wanted=lambda _: 2, spot_market=lambda _: PLENTY, spot_running=2)
    return replace(base, **changes)  # type: ignore[arg-type]


def sizes(trace: list[Minute]) -> list[tuple[int, int]]:
    """(minute, on-demand desired) at the start and wherever it changed."""
    found: list[tuple[int, int]] = []
    for entry in trace:
        if not found or found[-1][1] != entry.ordered:
            found.append((entry.seen.minute, entry.ordered))
    return found


def follow(rule: Rule, seen: list[Observation]) -> list[Decision]:
    state, decisions = State(), []
    for observation in seen:
        decisions.append(decide(rule, state, observation))
        state = decisions[-1].state
    return decisions


def constant(minutes: int, **values: int) -> list[Observation]:
    base = {"desired": 2, "in_service": 2, "pending": 0, "on_demand_desired": 0, "on_demand_in_service": 0}
    return [Observation(minute=minute, **(base | values)) for minute in range(minutes)]


# --- What it is for --------------------


def test_a_normal_first_boot_of_twenty_minutes_buys_no_on_demand() -> None:
    assert sizes(run(world(spot_running=0), ByRule(RULE))) == [(0, 0)]


@pytest.mark.parametrize("boot", [1, 5, 20, 39])
def test_no_boot_below_two_expected_ones_buys_on_demand(boot: int) -> None:
    assert sizes(run(world(spot_running=0, spot_boot=boot), ByRule(RULE))) == [(0, 0)]


def test_all_spot_lost_is_bought_after_two_minutes_and_kept() -> None:
    trace = run(world(spot_market=lambda m: PLENTY if m < 60 else 0), ByRule(RULE))
    assert sizes(trace) == [(0, 0), (61, 2)]
    assert [entry.serving for entry in trace[83:]] == [2] * (400 - 83)


def test_spot_that_was_never_to_be_had_is_bought() -> None:
    assert sizes(run(world(spot_running=0, spot_market=lambda _: 0), ByRule(RULE))) == [(0, 0), (1, 2)]


def test_on_demand_goes_one_by_one_twelve_minutes_after_spot_serves_again() -> None:
    """Both lost at 60, one back at 180, the other at 260; each needs 20 minutes to boot."""
    trace = run(world(spot_market=lambda m: 2 if m < 60 or m >= 260 else 1 if m >= 180 else 0), ByRule(RULE))
    assert sizes(trace) == [(0, 0), (61, 2), (180 + 20 + 11, 1), (260 + 20 + 11, 0)]
    assert min(entry.serving for entry in trace[83:]) == 2


def test_a_second_loss_while_the_first_order_boots_is_bought_at_once() -> None:
    trace = run(world(spot_market=lambda m: 2 if m < 60 else 1 if m < 70 else 0), ByRule(RULE))
    assert sizes(trace) == [(0, 0), (61, 1), (71, 2)]


def test_losses_a_minute_apart_are_each_bought_after_their_own_two_minutes() -> None:
    trace = run(world(spot_market=lambda m: 2 if m < 60 else 1 if m < 61 else 0), ByRule(RULE))
    assert sizes(trace) == [(0, 0), (61, 1), (62, 2)]


def test_a_target_raised_while_spot_is_short_is_bought_too() -> None:
    trace = run(world(spot_wanted=lambda m: 2 if m < 65 else 4, spot_market=lambda m: 2 if m < 60 else 0), ByRule(RULE))
    assert sizes(trace) == [(0, 0), (61, 2), (66, 4)]


def test_never_more_than_the_most_is_bought() -> None:
    trace = run(
        world(spot_wanted=lambda _: 9, spot_running=9, spot_market=lambda m: PLENTY if m < 60 else 0), ByRule(RULE)
    )
    assert sizes(trace) == [(0, 0), (61, 6)]
    last = follow(RULE, constant(3, in_service=0, desired=9, on_demand_desired=6))[-1]
    assert (last.on_demand_desired, last.reason) == (6, Reason.AT_MAXIMUM)


def test_the_floor_stays_whatever_spot_does() -> None:
    rule = replace(RULE, floor=1)
    trace = run(world(floor=1, spot_market=lambda m: 2 if m < 60 or m >= 180 else 0), ByRule(rule))
    assert sizes(trace) == [(0, 1), (61, 3), (211, 2), (211 + 12 + 3, 1)]


def test_a_node_of_spot_that_flaps_neither_buys_nor_sheds_again_and_again() -> None:
    """One stays lost, the other comes and goes every 3 minutes: one change, not one per flap."""
    trace = run(
        world(spot_boot=1, spot_market=lambda m: 2 if m < 60 or (m // 3) % 2 else 0 if m < 300 else 1), ByRule(RULE)
    )
    assert len(sizes(trace)) <= 3


def test_a_second_on_demand_node_is_not_shed_on_the_strength_of_the_first() -> None:
    """One spot node is back for good, the other only for a minute: two spare in that minute prove one, not two."""
    rule = replace(RULE, in_minutes=5)
    seen = constant(5, in_service=1, on_demand_desired=2, on_demand_in_service=2)
    seen.append(Observation(5, 2, 2, 0, 1, 1, on_demand_terminating=1))
    seen += [Observation(6 + minute, 2, 2, 0, 1, 1) for minute in range(5)]
    decisions = follow(rule, seen)
    assert [decision.on_demand_desired for decision in decisions] == [2, 2, 2, 2, 1, 1, 1, 1, 1, 1, 0]


def test_the_proof_starts_again_even_where_nobody_saw_the_node_terminate() -> None:
    rule = replace(RULE, in_minutes=3)
    seen = constant(3, on_demand_desired=2, on_demand_in_service=2)
    seen += [replace(one, minute=one.minute + 3) for one in constant(3, on_demand_desired=1, on_demand_in_service=1)]
    assert [decision.on_demand_desired for decision in follow(rule, seen)] == [2, 2, 1, 1, 1, 0]


def test_spot_that_is_lost_in_every_boot_is_replaced_after_two_boots() -> None:
    trace = run(world(spot_market=lambda m: 2 if m < 60 or (m - 60) % 20 else 0), ByRule(RULE))
    assert sizes(trace)[:2] == [(0, 0), (60 + 39, 2)]
    assert min(entry.serving for entry in trace[120:]) == 2


def test_no_node_goes_while_the_ordered_ones_still_boot_and_one_serves() -> None:
    """Spot 1 of 2 is back, one of two on-demand nodes serves, the other boots: whichever went, one would be missing."""
    last = follow(RULE, constant(60, in_service=1, on_demand_desired=2, on_demand_in_service=1))[-1]
    assert (last.on_demand_desired, last.reason) == (2, Reason.NONE_TO_SPARE)


def test_an_order_that_serves_nobody_yet_is_cancelled_when_spot_is_back() -> None:
    last = follow(RULE, constant(12, on_demand_desired=2, on_demand_in_service=0))[-1]
    assert (last.on_demand_desired, last.reason) == (1, Reason.SPOT_BACK)


def test_a_size_below_the_floor_is_put_right_at_once() -> None:
    first = follow(replace(RULE, floor=2), constant(1, on_demand_desired=1))[0]
    assert (first.on_demand_desired, first.reason) == (2, Reason.BELOW_FLOOR)


@pytest.mark.parametrize(
    ("values", "minutes", "reason"),
    [
        ({}, 1, Reason.COVERED),
        ({"in_service": 0, "pending": 2}, 1, Reason.SPOT_BOOTING),
        ({"in_service": 1}, 1, Reason.GAP_WAITING),
        ({"in_service": 1}, 2, Reason.SPOT_MISSING),
        ({"in_service": 1, "pending": 1}, 40, Reason.SPOT_LATE),
        ({"in_service": 1, "on_demand_desired": 1}, 1, Reason.ON_DEMAND_BOOTING),
        ({"on_demand_desired": 1, "on_demand_in_service": 1}, 1, Reason.SURPLUS_WAITING),
        ({"on_demand_desired": 1, "on_demand_in_service": 1, "on_demand_terminating": 1}, 1, Reason.NONE_TO_SPARE),
        ({"on_demand_desired": 1, "on_demand_in_service": 1}, 12, Reason.SPOT_BACK),
    ],
)
def test_every_decision_says_why(values: dict[str, int], minutes: int, reason: Reason) -> None:
    last = follow(RULE, constant(minutes, **values))[-1]
    assert last.reason is reason
    assert last.text
    assert "\n" not in last.text


# --- What it never does --------------------

rules = st.builds(
    lambda floor, out, back, boot, extra: Rule(floor, out, back, boot, floor + extra),
    st.integers(0, 3),
    st.integers(1, 4),
    st.integers(1, 14),
    st.integers(1, 21),
    st.integers(0, 7),
)
counts = st.integers(0, 6)


@st.composite
def sequences(draw: st.DrawFn, follows: bool = True) -> tuple[Rule, list[Observation], list[Decision]]:
    """A rule, what it sees, what it decides. The on-demand size follows the decisions, other counts are arbitrary."""
    rule = draw(rules)
    state, size, seen, decisions = State(), rule.floor + draw(st.integers(0, 2)), [], []
    calm: Observation | None = None
    minute = 0
    for _ in range(draw(st.integers(1, 60))):
        minute += 1 if draw(st.integers(0, 15)) else draw(st.integers(1, 4))
        if calm is None or not draw(st.integers(0, 6)):
            ready = draw(st.integers(0, size))
            calm = Observation(minute, draw(counts), draw(counts), draw(counts), size, ready, draw(st.integers(0, 1)))
        observation = replace(calm, minute=minute, on_demand_desired=size)
        decision = decide(rule, state, observation)
        seen.append(observation)
        decisions.append(decision)
        state = decision.state
        if follows:
            size = decision.on_demand_desired
    return rule, seen, decisions


def lasted(seen: list[Observation], at: int, minutes: int) -> list[Observation] | None:
    """The last `minutes` observations up to index `at`, None if some minute of them was not looked at."""
    window = seen[max(0, at - minutes + 1) : at + 1]
    whole = len(window) == minutes and window[-1].minute - window[0].minute == minutes - 1
    return window if whole else None


@given(sequences())
def test_it_buys_only_what_was_missing_all_the_time(case: tuple[Rule, list[Observation], list[Decision]]) -> None:
    rule, seen, decisions = case
    for at, (observation, decision) in enumerate(zip(seen, decisions, strict=True)):
        if decision.on_demand_desired <= observation.on_demand_desired or decision.reason is Reason.BELOW_FLOOR:
            continue
        now, late = lasted(seen, at, rule.out_minutes), lasted(seen, at, rule.late_minutes)
        extra = decision.on_demand_desired - rule.floor
        bought_now = now is not None and all(gap(o, rule.floor) >= 1 and shortage(o) >= extra for o in now)
        bought_late = late is not None and all(
            is_late(o, rule.floor) and o.desired - o.in_service >= extra for o in late
        )
        assert bought_now or bought_late
        assert decision.on_demand_desired <= rule.max_on_demand


@given(sequences())
def test_it_sheds_one_at_a_time_and_only_what_could_be_spared_all_the_time(
    case: tuple[Rule, list[Observation], list[Decision]],
) -> None:
    rule, seen, decisions = case
    for at, (observation, decision) in enumerate(zip(seen, decisions, strict=True)):
        if decision.on_demand_desired >= observation.on_demand_desired:
            continue
        assert decision.on_demand_desired == observation.on_demand_desired - 1 >= rule.floor
        window = lasted(seen, at, rule.in_minutes)
        assert window is not None
        assert all(surplus(o, rule.floor) >= 1 and can_release(o, rule.floor) for o in window)
        serving = observation.in_service + observation.on_demand_in_service
        worst = serving - (1 if observation.on_demand_in_service else 0)
        assert worst >= observation.desired + rule.floor or worst == serving


@given(sequences())
def test_a_gap_that_lasts_is_closed_as_far_as_allowed(case: tuple[Rule, list[Observation], list[Decision]]) -> None:
    rule, seen, decisions = case
    for at, decision in enumerate(decisions):
        window = lasted(seen, at, rule.out_minutes)
        if window and all(gap(o, rule.floor) >= 1 for o in window):
            lasting = min(shortage(o) for o in window)
            assert decision.on_demand_desired >= min(rule.floor + lasting, rule.max_on_demand)


@given(sequences(follows=False))
def test_asking_again_in_the_same_minute_changes_nothing(
    case: tuple[Rule, list[Observation], list[Decision]],
) -> None:
    rule, seen, decisions = case
    for observation, decision in zip(seen, decisions, strict=True):
        moved = replace(observation, on_demand_desired=decision.on_demand_desired, in_service=0)
        assert decide(rule, decision.state, moved) == decision
        assert decide(rule, decision.state, replace(observation, minute=observation.minute - 1)) == decision


@given(sequences())
def test_the_state_survives_json(case: tuple[Rule, list[Observation], list[Decision]]) -> None:
    for decision in case[2]:
        assert State.from_json(json.loads(json.dumps(decision.state.to_json()))) == decision.state


@given(sequences())
def test_a_gap_and_a_surplus_never_come_together(case: tuple[Rule, list[Observation], list[Decision]]) -> None:
    rule, seen, _ = case
    for observation in seen:
        bought = gap(observation, rule.floor) >= 1 or is_late(observation, rule.floor)
        assert not (bought and surplus(observation, rule.floor) >= 1)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 60), st.integers(0, 4)), min_size=1, max_size=6), st.integers(0, 2))
def test_whatever_the_market_does_no_removal_leaves_serving_below_the_target(
    weather: list[tuple[int, int]], floor: int
) -> None:
    rule = replace(RULE, floor=floor, in_minutes=5, boot_minutes=8)
    until = [(sum(length for length, _ in weather[: i + 1]), nodes) for i, (_, nodes) in enumerate(weather)]

    def market(minute: int) -> int:
        return next((nodes for end, nodes in until if minute < end), PLENTY)

    trace = run(
        world(minutes=until[-1][0] + 60, floor=floor, boot=8, spot_boot=8, warmup=8, spot_market=market), ByRule(rule)
    )
    for before, after in pairwise(trace):
        removed = before.ordered < before.seen.on_demand_desired
        lost_spot = after.seen.in_service < before.seen.in_service
        if removed and not lost_spot and before.serving >= before.target:
            assert after.serving >= after.target


def test_a_minute_that_nobody_looked_at_breaks_what_has_to_last() -> None:
    seen = [one for one in constant(13, on_demand_desired=1, on_demand_in_service=1) if one.minute != 6]
    assert follow(RULE, seen)[-1].on_demand_desired == 1
    seen = [one for one in constant(3, in_service=0) if one.minute != 1]
    assert follow(RULE, seen)[-1].on_demand_desired == 0


# --- Settings --------------------


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"floor": -1}, "floor = -1: must be at least 0"),
        ({"out_minutes": 0}, "out_minutes = 0: must be at least 1"),
        ({"in_minutes": 0}, "in_minutes = 0: must be at least 1"),
        ({"boot_minutes": 0}, "boot_minutes = 0: must be at least 1"),
        ({"floor": 7}, r"max_on_demand = 6: must be at least the floor \(7\)"),
        ({"boot_minutes": 721}, r"late_minutes = 1442: must be at most 1440 \(a day\)"),
    ],
)
def test_settings_that_make_no_sense_are_refused_by_name(values: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        replace(RULE, **values)


# --- The same for AWS --------------------


@given(rules, counts, counts, counts, counts, counts, st.integers(0, 2))
def test_the_expressions_are_the_formulas(
    rule: Rule, desired: int, in_service: int, pending: int, ordered: int, serving: int, terminating: int
) -> None:
    seen = Observation(0, desired, in_service, pending, rule.floor + ordered, serving, terminating)
    values = {
        "spot_desired": seen.desired,
        "spot_in_service": seen.in_service,
        "spot_pending": seen.pending,
        "spot_max": 9,
        "on_demand_desired": seen.on_demand_desired,
        "on_demand_in_service": seen.on_demand_in_service,
        "on_demand_terminating": seen.on_demand_terminating,
        "on_demand_max": 9,
    }
    series = {id: {0: float(value)} for id, value in values.items()}
    assert set(series) == set(METRICS)
    assert evaluate(aws_gap_expression(rule.floor), series) == {0: gap(seen, rule.floor)}
    assert evaluate(aws_surplus_expression(rule.floor), series) == {0: surplus(seen, rule.floor)}
    returned = {}
    for alarm in aws_alarms(rule):
        known = dict(series)
        for line in alarm.expressions:
            value = evaluate(line.expression, known)
            assert isinstance(value, dict)
            known[line.id] = value
        returned[alarm.key] = next(known[line.id] for line in alarm.expressions if line.returns_data)[0]
        if alarm.key == "in":
            assert known["spare"] == {0: spare(seen, rule.floor)}
    if returned:
        assert returned["out"] == (shortage(seen) if gap(seen, rule.floor) >= 1 else 0)
        assert returned["late"] == (seen.desired - seen.in_service if is_late(seen, rule.floor) else 0)
        assert max(0, returned["in"]) == (seen.on_demand_desired - rule.floor) * can_release(seen, rule.floor)


@given(rules)
def test_each_alarm_returns_one_series_of_at_most_ten_published_metrics(rule: Rule) -> None:
    published = {(pool, name) for pool in ("spot", "on-demand") for name in enabled_metrics(pool)}
    for alarm in aws_alarms(rule):
        assert sum(line.returns_data for line in alarm.expressions) == 1
        assert 2 <= len(alarm.metrics) <= 10
        assert {(metric.pool, metric.metric_name) for metric in alarm.metrics} <= published
        assert alarm.warmup_seconds == rule.boot_minutes * 60


def test_a_shortage_of_k_sets_the_group_to_the_floor_and_k_more_and_a_removal_to_one_less() -> None:
    rule = replace(RULE, floor=2, max_on_demand=5)
    bounds = [("0", "1"), ("1", "2"), ("2", None)]
    assert [(step.lower, step.upper) for step in out_steps(rule)] == bounds
    assert [(step.lower, step.upper) for step in in_steps(rule)] == bounds
    assert [step.adjustment for step in out_steps(rule)] == [3, 4, 5]
    assert [step.adjustment for step in in_steps(rule)] == [2, 3, 4]


def test_a_region_that_may_buy_nothing_has_no_alarms() -> None:
    assert aws_alarms(replace(RULE, floor=2, max_on_demand=2)) == ()


def test_more_steps_than_a_policy_may_have_are_refused() -> None:
    assert len(out_steps(replace(RULE, floor=3, max_on_demand=3 + MAX_STEPS))) == MAX_STEPS
    with pytest.raises(ValueError, match=r"^max_on_demand = 24: must be at most 23 on AWS \(floor 3 \+ the 20 step"):
        aws_alarms(replace(RULE, floor=3, max_on_demand=4 + MAX_STEPS))
