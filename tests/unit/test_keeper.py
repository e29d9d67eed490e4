"""The capacity policy: what it never does, whatever it sees, and what it does in plain cases."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.keeper import Held, Keeper, Levers, Memory, Observed, Place, Result, Rules, Step
from infra.keeper_record import Cool, Record, remember
from infra.keeper_words import Market

PLACES = (
    Place("us-a", "us", "one"), Place("us-b", "us", "one"), Place("eu-a", "eu", "one"), Place("eu-b", "eu", "two"),
)  # fmt: skip
SPOT = {"us-a": 2.0, "us-b": 2.2, "eu-a": 3.0, "eu-b": 2.5}
ON_DEMAND = {"us-a": 10.0, "us-b": 10.0, "eu-a": 11.0, "eu-b": 12.0}
Own = tuple[str, Market, float, bool]
"""Zone, market, age in seconds, whether it serves."""
KINDS = ("capacity", "quota", "throttled", "failed")
names = st.sampled_from([place.name for place in PLACES])
results = st.lists(
    st.builds(
        lambda zone, market, asked, given, error: Result(
            zone, market, asked, min(asked, given), error if given < asked else None
        ),
        names, st.sampled_from(("spot", "on-demand")), st.integers(1, 3), st.integers(0, 3), st.sampled_from(KINDS),
    ),
    max_size=3,
)  # fmt: skip
fleets = st.lists(
    st.tuples(names, st.sampled_from(("spot", "on-demand")), st.floats(0, 90_000), st.booleans()), max_size=7
)
looks = st.lists(
    st.tuples(st.floats(1, 20_000), fleets, results, st.lists(names, max_size=3)), min_size=1, max_size=4
)  # fmt: skip


def seen(
    now: float, held: Sequence[Own] = (), results: Sequence[Result] = (), lost: Sequence[str] = (), **changed: Any
) -> Observed:
    fleet = [Held(number, one[0], one[1], now - one[2], one[3]) for number, one in enumerate(held)]
    return replace(Observed(now, fleet, results, lost, SPOT, ON_DEMAND), **changed)


def played(keeper: Keeper, steps: Sequence[Any]) -> list[tuple[Observed, Step]]:
    """(what was seen, what was done) of each look, with the memory passed on as JSON."""
    memory, now, done = Memory(), 100_000.0, []
    for passed, held, known, lost in steps:
        now += passed
        look = seen(now, held, known, lost)
        step = keeper.step(memory, look)
        done.append((look, step))
        memory = Memory.from_json(json.loads(json.dumps(step.memory.to_json())))
        assert memory == step.memory
    return done


@settings(max_examples=60, deadline=None)
@given(looks, st.integers(1, 4), st.sampled_from((0.9, 0.99, 0.999)))
def test_what_serves_is_given_up_only_while_as_many_serve_as_have_to(
    steps: Any, target: Any, availability: Any
) -> None:
    for look, step in played(Keeper(PLACES, Rules(target, 600.0, availability=availability)), steps):
        ready = {one.id for one in look.held if one.ready}
        gone = {number for number, _ in step.end}
        assert len(ready - gone) >= min(target, len(ready))
        assert len(step.end) == len(gone) <= len(look.held)


@settings(max_examples=60, deadline=None)
@given(looks)
def test_nothing_is_ordered_in_a_zone_that_is_left_alone_or_without_a_reason(steps: Any) -> None:
    for look, step in played(Keeper(PLACES, Rules(3, 600.0)), steps):
        for order in step.launch:
            assert order.count > 0
            assert order.why
            assert not step.memory.zone(order.zone).cool(order.market).closed(look.now)


@settings(max_examples=40, deadline=None)
@given(looks)
def test_the_same_record_gives_the_same_steps(steps: Any) -> None:
    keeper = Keeper(PLACES, Rules(3, 600.0))
    assert played(keeper, steps) == played(Keeper(PLACES, Rules(3, 600.0)), steps)


@settings(max_examples=40, deadline=None)
@given(looks)
def test_no_zone_region_or_cloud_is_planned_beyond_its_share(steps: Any) -> None:
    rules = Rules(4, 600.0, zone_share=0.5, region_share=0.75, cloud_share=0.75)
    for _, step in played(Keeper((*PLACES[:3], replace(PLACES[3], most=1)), rules), steps):
        wanted = step.plan.wanted
        for group, most in (("name", 2), ("region", 3), ("cloud", 3)):
            for name in {getattr(place, group) for place in PLACES}:
                inside = {place.name for place in PLACES if getattr(place, group) == name}
                assert sum(count for (zone, _), count in wanted.items() if zone in inside) <= most
        assert sum(count for (zone, _), count in wanted.items() if zone == "eu-b") <= 1
        for order in step.launch:
            assert order.count <= 2


@settings(max_examples=40, deadline=None)
@given(looks)
def test_there_is_always_enough_on_its_way_where_anything_may_be_ordered(steps: Any) -> None:
    for look, step in played(Keeper(PLACES, Rules(3, 600.0)), steps):
        if not all(step.memory.zone(zone).on_demand.closed(look.now) for zone in ON_DEMAND):
            ends = {number for number, _ in step.end}
            left = sum(one.id not in ends for one in look.held)
            assert left + sum(order.count for order in step.launch) >= 3


def test_spot_is_ordered_first_and_the_dear_zone_is_not() -> None:
    easy = Rules(3, 600.0, availability=0.97)
    step = Keeper(PLACES, easy).step(Memory(), seen(0.0))
    assert {order.market for order in step.launch} == {"spot"}
    dear = replace(seen(0.0), spot=SPOT | {"eu-a": 9.9})
    step = Keeper(PLACES, easy).step(Memory(), dear)
    assert "eu-a" not in {order.zone for order in step.launch}
    blind = Keeper(PLACES, Rules(3, 600.0, levers=Levers(price_cap=False)))
    first, second = (blind.step(Memory(), replace(seen(0.0), spot=dict.fromkeys(SPOT, 3.0) | {zone: 4.0})).plan.wanted
                     for zone in ("us-a", "eu-b"))  # fmt: skip
    assert first == second


def test_on_demand_takes_over_where_no_spot_is_to_be_had_and_goes_when_spot_has_served() -> None:
    keeper = Keeper(PLACES, Rules(2, 600.0))
    refused = [Result(place.name, "spot", 2, 0, "capacity") for place in PLACES]
    step = keeper.step(Memory(), seen(0.0, results=refused))
    assert [(order.market, order.count) for order in step.launch] == [("on-demand", 2)]
    both: list[Own] = [("us-a", "on-demand", 90_000.0, True)] * 2
    both += [(zone, "spot", 80_000.0, True) for zone in SPOT]
    first = keeper.step(Memory(), seen(100_000.0, both))
    later = keeper.step(first.memory, seen(180_000.0, both))
    assert {number for number, _ in later.end} >= {0, 1}


def test_a_refusal_closes_the_zone_twice_as_long_each_time_and_a_quota_the_region() -> None:
    rules = Rules(1, 600.0)
    places = {place.name: place for place in PLACES}
    memory, waits = Memory(), []
    for number in range(6):
        now = number * 10_000.0
        memory = remember(memory, seen(now, results=[Result("us-a", "spot", 1, 0, "capacity")]), places, rules)
        until = memory.zone("us-a").spot.until
        assert until is not None
        waits.append(until - now)
    assert waits == [180.0, 360.0, 720.0, 1440.0, 1800.0, 1800.0]
    memory = remember(memory, seen(90_000.0, results=[Result("us-a", "spot", 1, 1)]), places, rules)
    assert memory.zone("us-a").spot == Cool()
    memory = remember(memory, seen(91_000.0, results=[Result("eu-a", "spot", 1, 0, "quota")]), places, rules)
    assert [memory.zone(zone).spot.closed(91_001.0) for zone in SPOT] == [False, False, True, True]
    assert not memory.zone("eu-a").on_demand.closed(91_001.0)


def test_a_zone_is_not_asked_for_more_than_it_gave_until_it_has_been_long_ago() -> None:
    places = {place.name: place for place in PLACES}
    rules = Rules(3, 600.0)
    one: list[Own] = [("us-a", "spot", 60.0, False)]
    memory = remember(Memory(), seen(0.0, one, [Result("us-a", "spot", 3, 1, "capacity")]), places, rules)
    assert memory.zone("us-a").most(3_599.0) == 1
    assert memory.zone("us-a").most(3_600.0) > 3
    memory = remember(memory, seen(4_000.0, one * 2, [Result("us-a", "spot", 1, 1)]), places, rules)
    assert memory.zone("us-a").most(4_000.0) > 3


@given(st.floats(0, 200), st.floats(0.01, 200), st.floats(0, 100), st.integers(0, 5), st.floats(0, 20))
def test_the_longer_a_zone_has_been_held_the_less_it_is_a_risk(
    age: Any, more: Any, unknown: Any, lost: Any, expected: Any
) -> None:
    record = Record(float(lost), expected, since=0.0, bad=-unknown * 3600.0)
    assert record.rate((age + more) * 3600.0) <= record.rate(age * 3600.0) * (1 + 1e-9)
    assert replace(record, lost=lost + 1.0).rate(age * 3600.0) > record.rate(age * 3600.0)
    assert replace(record, bad=None).rate(0.0) <= replace(record, bad=0.0).rate(0.0)


def test_shortage_beyond_what_is_allowed_makes_an_hour_of_it_dearer_and_quiet_makes_it_cheaper() -> None:
    keeper = Keeper(PLACES, Rules(1, 600.0, availability=0.99))
    none = seen(0.0)
    good: list[Own] = [("us-a", "spot", 5_000.0, True)]
    memory = keeper.step(Memory(), none).memory
    short = keeper.step(replace(memory, first=-10_000.0), seen(3_600.0, good))
    quiet = keeper.step(short.memory, seen(3_600.0 + 36_000.0, good))
    assert short.memory.pressure > 0 > quiet.memory.pressure - short.memory.pressure
    assert quiet.plan.worth < short.plan.worth


def test_losses_that_take_a_neighbour_along_raise_the_region_s_share() -> None:
    places = {place.name: place for place in PLACES}
    rules = Rules(2, 600.0)
    both: list[Own] = [("us-a", "spot", 90_000.0, True), ("us-b", "spot", 90_000.0, True)]
    memory = remember(Memory(), seen(0.0, both), places, rules)
    together = remember(memory, seen(60.0, lost=["us-a", "us-b"]), places, rules)
    alone = remember(memory, seen(60.0, both[1:], lost=["us-a"]), places, rules)
    assert together.joint["us"][0] > 1.5 > 0 == alone.joint["us"][0]


def test_caps_lie_between_nothing_and_on_demand() -> None:
    keeper = Keeper(PLACES, Rules(3, 600.0))
    caps = keeper.caps(Memory(), seen(0.0))
    assert set(caps) == set(SPOT)
    assert all(0 <= cap <= min(ON_DEMAND.values()) for cap in caps.values())


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"target": 0}, "target = 0: must be at least 1"),
        ({"boot": -1.0}, "boot = -1.0: must be 0 s or more"),
        ({"boot": math.nan}, "boot = nan: must be 0 s or more"),
        ({"detect": 0.0}, "detect = 0.0: must be above 0 s"),
        ({"availability": 1.0}, "availability = 1.0: must be above 0 and below 1"),
        ({"zone_share": 0.0}, "zone_share = 0.0: must be above 0 and at most 1"),
    ],
)
def test_rules_out_of_range_are_refused_by_name(changed: Any, told: Any) -> None:
    with pytest.raises(ValueError, match=told.replace(".", r"\.")):
        Rules(**({"target": 3, "boot": 600.0} | changed))


@pytest.mark.parametrize("body", [{}, {"version": 2}, {"version": 1, "zones": []}, {"version": 1, "zones": {"a": {}}}])
def test_what_is_no_memory_is_refused(body: Any) -> None:
    with pytest.raises(ValueError, match=r"version|no memory"):
        Memory.from_json(body)
