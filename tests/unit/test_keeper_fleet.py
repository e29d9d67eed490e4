"""The keeper over region stacks: what it counts, what it sets, what it leaves alone."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.keeper_fleet import (
    PATIENCE,
    FleetMemory,
    FleetRules,
    FleetStep,
    Known,
    Machine,
    RegionMemory,
    RegionStack,
    RegionState,
    look,
)
from infra.keeper_words import Market

PRICES: Mapping[Market, float] = {"spot": 8.0, "on-demand": 22.0}
RULES = FleetRules(region_share=1.0)
"""Two regions of two nodes each: a limit per region would decide most of what is asked here."""
HOUR = 3600.0


def stack(name: str, fleet: str = "llm", target: int = 2, floor: int = 0, most: int = 6) -> RegionStack:
    cloud, _, region = name.partition("-")
    return RegionStack(name, cloud, region, (f"{region}a", f"{region}b"), fleet, target, floor, most, 1200.0)


EAST, WEST, GCP = stack("aws-us-east-1"), stack("aws-us-west-2"), stack("gcp-us-central1")


def nodes(one: RegionStack, spot: int, on_demand: int = 0, ready: bool = True, first: int = 0) -> tuple[Machine, ...]:
    found = [
        Machine(f"s{number}", "spot", one.zones[number % len(one.zones)], ready)
        for number in range(first, first + spot)
    ]
    return (*found, *(Machine(f"d{number}", "on-demand", one.zones[0], ready) for number in range(on_demand)))


def state(one: RegionStack, spot: int, on_demand: int = 0, **more: Any) -> RegionState:
    """A region at its target, all of it ready."""
    machines = nodes(one, spot, on_demand)
    whole = RegionState(spot, on_demand, spot, on_demand, machines, prices=PRICES)
    return replace(whole, **more)


def aged(stacks: Sequence[RegionStack], states: Mapping[str, RegionState], hours: int = 60) -> FleetMemory:
    """The memory after days in which nothing happened."""
    memory = FleetMemory()
    for hour in range(hours):
        memory = look(stacks, states, memory, RULES, hour * HOUR).memory
    return memory


def after(step: FleetStep, one: RegionStack) -> tuple[int, int] | None:
    return next((edit.after for edit in step.edits if edit.stack == one.stack), None)


def test_a_memory_survives_json() -> None:
    stacks = [EAST, WEST]
    states = {EAST.stack: state(EAST, 2), WEST.stack: state(WEST, 2)}
    memory = aged(stacks, states, 3)
    lost = replace(states[EAST.stack], machines=(), refused={"spot": "capacity"})
    memory = look(stacks, states | {EAST.stack: lost}, memory, RULES, 4 * HOUR).memory
    assert memory.fleets["llm"].zone("aws-us-east-1/us-east-1a").lost > 0
    assert FleetMemory.from_json(json.loads(json.dumps(memory.to_json()))) == memory


@pytest.mark.parametrize(
    "body", [None, [], {}, {"version": 2}, {"version": 1}, {"version": 1, "fleets": {}, "regions": {"a": {}}}]
)
def test_what_is_no_memory_is_told_in_one_line(body: Any) -> None:
    with pytest.raises(ValueError, match=r"version|memory"):
        FleetMemory.from_json(body)


def test_the_floor_and_what_the_load_added_are_not_the_keepers() -> None:
    one = stack("aws-us-east-1", target=3, floor=1)
    loaded = RegionState(2, 1, 5, 1, nodes(one, 5, 1), prices=PRICES)
    [plan] = look([one], {one.stack: loaded}, FleetMemory(), RULES, 0.0).plans
    step = look([one], {one.stack: loaded}, FleetMemory(), RULES, 0.0)
    assert (plan.target, plan.serving) == (3, 6)
    spot, minimum = after(step, one) or (2, 1)
    assert minimum >= 1
    assert spot + minimum <= one.most
    # Five spot nodes run, three of them for the load: of the keeper's target of 2 none is beyond.
    assert spot >= 2


def test_spot_that_one_region_lacks_is_held_in_another() -> None:
    stacks = [EAST, WEST]
    states = {EAST.stack: state(EAST, 2), WEST.stack: state(WEST, 2)}
    memory = aged(stacks, states)
    dry = replace(states[EAST.stack], machines=(), refused={"spot": "capacity"})
    step = look(stacks, states | {EAST.stack: dry}, memory, RULES, 61 * HOUR)
    west, east = after(step, WEST), after(step, EAST)
    assert west is not None
    assert sum(west) > 2
    # What is not to be had is not asked for any more, so that the region does not buy it on demand as well.
    assert east is None or east[0] < 2


def test_what_raises_is_set_before_what_lowers() -> None:
    stacks = [EAST, WEST, GCP]
    states = {one.stack: state(one, 2) for one in stacks}
    memory = aged(stacks, states)
    dry = replace(states[EAST.stack], machines=(), refused={"spot": "capacity"})
    edits = look(stacks, states | {EAST.stack: dry}, memory, RULES, 61 * HOUR).edits
    order = [edit.raises for edit in edits]
    assert order == sorted(order, reverse=True)
    assert len(edits) == len({edit.stack for edit in edits})


def test_a_region_that_cannot_be_read_is_taken_to_be_as_it_was_and_nothing_is_set_there() -> None:
    stacks = [EAST, WEST]
    states = {EAST.stack: state(EAST, 2), WEST.stack: state(WEST, 2)}
    memory = aged(stacks, states)
    quiet = look(stacks, states, memory, RULES, 61 * HOUR)
    step = look(stacks, {WEST.stack: states[WEST.stack]}, memory, RULES, 61 * HOUR)
    assert step.plans[0].serving == quiet.plans[0].serving == 4
    assert after(step, EAST) is None
    assert after(step, WEST) == after(quiet, WEST)
    assert step.memory.regions[EAST.stack].machines == memory.regions[EAST.stack].machines


def test_a_region_that_is_gone_counts_for_nothing_and_its_record_does_not_suffer() -> None:
    stacks = [EAST, WEST]
    states = {EAST.stack: state(EAST, 2), WEST.stack: state(WEST, 2)}
    memory = aged(stacks, states)
    step = look(stacks, {WEST.stack: states[WEST.stack]}, memory, RULES, 61 * HOUR, gone=[EAST.stack])
    assert step.plans[0].serving == 2
    assert sum(after(step, WEST) or (2, 0)) >= 4
    assert after(step, EAST) is None
    back = look(stacks, {EAST.stack: replace(state(EAST, 2), machines=()), WEST.stack: states[WEST.stack]},
                step.memory, RULES, 62 * HOUR)  # fmt: skip
    assert back.memory.fleets["llm"].zone("aws-us-east-1/us-east-1a").lost == 0


def test_nodes_that_a_lower_target_ended_are_not_lost_and_others_are() -> None:
    memory = FleetMemory(
        regions={EAST.stack: RegionMemory({f"s{n}": Known("spot", EAST.zones[0], 0.0, True) for n in range(4)}, PRICES)}
    )
    lowered = RegionState(3, 0, 3, 0, nodes(EAST, 3), prices=PRICES)
    fleets = look([EAST], {EAST.stack: lowered}, memory, RULES, HOUR).memory.fleets
    assert fleets["llm"].zone("aws-us-east-1/us-east-1a").lost == 0
    taken = RegionState(4, 0, 4, 0, nodes(EAST, 3), prices=PRICES)
    fleets = look([EAST], {EAST.stack: taken}, memory, RULES, HOUR).memory.fleets
    assert fleets["llm"].zone("aws-us-east-1/us-east-1a").lost == 1
    # Azure lowers the size of a set itself with what it takes: the target says that nobody wanted it so.
    shrunk = replace(taken, spot_size=3)
    fleets = look([EAST], {EAST.stack: shrunk}, memory, RULES, HOUR).memory.fleets
    assert fleets["llm"].zone("aws-us-east-1/us-east-1a").lost == 1


def test_a_zone_that_gets_none_while_others_of_its_region_do_has_refused() -> None:
    memory = FleetMemory(regions={EAST.stack: RegionMemory({}, PRICES, {}, {EAST.zones[1]: 2})})
    placed = RegionState(2, 0, 2, 0, (Machine("a", "spot", EAST.zones[0], False),) * 1, prices=PRICES)
    fleets = look([EAST], {EAST.stack: placed}, memory, RULES, HOUR).memory.fleets
    assert fleets["llm"].zone("aws-us-east-1/us-east-1b").spot.refused == 1
    assert fleets["llm"].zone("aws-us-east-1/us-east-1a").spot.refused == 0


def test_on_demand_that_a_region_bought_itself_is_left_to_it_while_spot_is_wanted_there() -> None:
    stacks = [EAST, WEST]
    states = {EAST.stack: state(EAST, 2), WEST.stack: state(WEST, 2)}
    memory = aged(stacks, states)
    covered = RegionState(2, 0, 2, 1, nodes(EAST, 1, 1), prices=PRICES)
    step = look(stacks, states | {EAST.stack: covered}, memory, RULES, 61 * HOUR)
    spot, minimum = after(step, EAST) or (2, 0)
    assert spot >= 2
    assert minimum == 0


def test_a_target_falls_only_once_less_has_been_wanted_for_a_while() -> None:
    stacks = [EAST, WEST]
    plenty = {EAST.stack: state(EAST, 6), WEST.stack: state(WEST, 2)}
    memory, began, fell = aged(stacks, plenty, 1), None, None
    for minute in range(0, 72 * 60, 5):
        now = HOUR + minute * 60.0
        step = look(stacks, plenty, memory, RULES, now)
        memory = step.memory
        if began is None and "spot less" in memory.regions[EAST.stack].since:
            began = now
        if after(step, EAST) is not None and fell is None:
            fell = now
            break
    assert began is not None
    assert fell is not None
    assert fell - began >= PATIENCE


def test_fleets_of_other_models_or_residencies_do_not_help_each_other() -> None:
    other = replace(WEST, fleet="llm in eu")
    states = {EAST.stack: state(EAST, 2), other.stack: state(other, 2)}
    memory = aged([EAST, other], states)
    dry = replace(states[EAST.stack], machines=(), refused={"spot": "capacity"})
    before = look([EAST, other], states, memory, RULES, 61 * HOUR)
    step = look([EAST, other], states | {EAST.stack: dry}, memory, RULES, 61 * HOUR)
    assert after(step, other) == after(before, other)
    assert (after(step, EAST) or (0, 0))[1] > 0


def test_a_stack_without_a_price_stays_as_it_is_and_is_told() -> None:
    bare = replace(state(WEST, 2), prices={"spot": 8.0})
    step = look([EAST, WEST], {EAST.stack: state(EAST, 2), WEST.stack: bare}, FleetMemory(), RULES, 0.0)
    assert step.plans[0].left_out == {WEST.stack: "no price of on-demand"}
    assert after(step, WEST) is None
    alone = look([WEST], {WEST.stack: bare}, FleetMemory(), RULES, 0.0)
    assert alone.edits == ()
    assert alone.plans[0].why == "no stack with prices"


def test_a_price_that_was_known_at_the_last_look_holds() -> None:
    memory = look([EAST], {EAST.stack: state(EAST, 2)}, FleetMemory(), RULES, 0.0).memory
    silent = replace(state(EAST, 2), prices={})
    assert look([EAST], {EAST.stack: silent}, memory, RULES, 60.0).plans[0].left_out == {}


def test_a_look_at_some_stacks_forgets_nothing_of_the_others() -> None:
    other = replace(WEST, fleet="vision")
    memory = aged([EAST, other], {EAST.stack: state(EAST, 2), other.stack: state(other, 2)}, 3)
    step = look([EAST], {EAST.stack: state(EAST, 2)}, memory, RULES, 4 * HOUR)
    assert step.memory.regions[other.stack] == memory.regions[other.stack]
    assert step.memory.fleets["vision"] == memory.fleets["vision"]


def test_a_target_of_a_fleet_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match=r"target of vision: there is no such fleet; there are llm"):
        look([EAST], {}, FleetMemory(), FleetRules(target={"vision": 3}), 0.0)


def test_a_share_per_cloud_is_kept() -> None:
    stacks = [EAST, WEST, GCP]
    states = {one.stack: state(one, 0) for one in stacks}
    rules = FleetRules(target={"llm": 4}, region_share=1.0, cloud_share=0.5)
    step = look(stacks, states, FleetMemory(), rules, 0.0)
    aws = sum(sum(edit.after) for edit in step.edits if edit.stack.startswith("aws"))
    assert 0 < aws <= 2
    assert sum(after(step, GCP) or (0, 0)) <= 2


@st.composite
def worlds(draw: st.DrawFn) -> list[dict[str, RegionState]]:
    """A few looks at three regions, as anything may have happened between them."""
    looks = []
    for _ in range(draw(st.integers(1, 4))):
        found: dict[str, RegionState] = {}
        for one in (EAST, WEST, GCP):
            if draw(st.integers(0, 9)) == 0:
                continue
            spot, on_demand = draw(st.integers(0, 4)), draw(st.integers(0, 2))
            size = spot + draw(st.integers(0, 2))
            there = draw(st.integers(0, size))
            ready = draw(st.integers(0, there))
            first = draw(st.integers(0, 3))
            machines = (
                *nodes(one, ready, draw(st.integers(0, on_demand)), first=first),
                *nodes(one, there - ready, ready=False, first=first + ready),
            )
            refused: dict[Market, Any] = {}
            if there < size and draw(st.booleans()):
                refused = {"spot": draw(st.sampled_from(["capacity", "quota", "throttled", "failed"]))}
            found[one.stack] = RegionState(spot, on_demand, size, on_demand, machines, {}, refused, PRICES)
        looks.append(found)
    return looks


@given(worlds())
@settings(max_examples=40, deadline=None)
def test_whatever_is_seen_limits_hold_and_no_more_is_given_up_than_what_serves_allows(
    looks: list[dict[str, RegionState]],
) -> None:
    stacks = [EAST, WEST, GCP]
    memory, now = FleetMemory(), 0.0
    for states in looks:
        step = look(stacks, states, memory, RULES, now)
        again = look(stacks, states, memory, RULES, now)
        assert again == step
        for edit in step.edits:
            spot, on_demand = edit.after
            assert edit.stack in states
            assert edit.after != edit.before == (states[edit.stack].spot, states[edit.stack].on_demand)
            assert spot >= 0
            assert on_demand >= 0
            assert edit.why
            if edit.raises or sum(edit.after) > sum(edit.before):
                assert spot + on_demand <= 6
            there = sum(one.market == "spot" for one in states[edit.stack].machines)
            own = min(there, there - max(0, states[edit.stack].spot_size - states[edit.stack].spot))
            short = max(0, own - spot)
            serving = sum(one.ready for found in states.values() for one in found.machines)
            serving += sum(
                known.ready
                for name, region in memory.regions.items()
                if name not in states
                for known in region.machines.values()
            )
            assert short == 0 or serving - short >= 6 or spot + on_demand == 6
        memory = FleetMemory.from_json(json.loads(json.dumps(step.memory.to_json())))
        assert memory == step.memory
        now += PATIENCE


def test_a_part_of_the_target_is_always_in_another_region() -> None:
    stacks = [EAST, WEST]
    states = {EAST.stack: state(EAST, 2), WEST.stack: state(WEST, 2)}
    cheap = states | {EAST.stack: RegionState(2, 0, 2, 0, nodes(EAST, 2, 0), prices={"spot": 0.01, "on-demand": 0.02})}
    memory = aged(stacks, states)
    for hour in range(61, 90):
        step = look(stacks, cheap, memory, FleetRules(target={"llm": 4}), hour * HOUR)
        memory = step.memory
        spot, minimum = after(step, WEST) or (2, 0)
        assert spot + minimum >= 1


def test_regions_that_are_left_take_over_all_of_it() -> None:
    stacks = [EAST, WEST]
    states = {EAST.stack: state(EAST, 2), WEST.stack: state(WEST, 2)}
    memory = aged(stacks, states)
    alone = {WEST.stack: states[WEST.stack]}
    wanted = 0
    for minute in range(30):
        step = look(stacks, alone, memory, FleetRules(), 61 * HOUR + minute * 60, gone=(EAST.stack,))
        memory = step.memory
        spot, minimum = after(step, WEST) or (2, 0)
        wanted = max(wanted, spot + minimum)
    assert wanted >= 4
