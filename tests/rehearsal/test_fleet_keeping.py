"""The keeper over regions that play: it moves capacity, leaves what it cannot reach, and regions go on without it."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from itertools import pairwise
from pathlib import Path

from infra.keeper_fleet import FleetRules
from rehearsal.fleet import Fleet, load_stack_files
from rehearsal.fleet_keeping import FleetKeeping, prices_at, region_stacks, state_of
from rehearsal.regions import Clock, Order, RegionPlay
from tests.rehearsal.test_regions import HOURS, prices, zones

ROOT = Path(__file__).parents[2]
NAMES = ("aws-us-east-1", "gcp-us-central1")


@cache
def fleet() -> Fleet:
    whole = load_stack_files(ROOT / "stacks")
    return replace(whole, regions=tuple(one for one in whole.regions if one.stack in NAMES))


def made(look: float = 300.0, keeper: bool = True) -> tuple[Clock, dict[str, RegionPlay], FleetKeeping | None]:
    clock = Clock()
    plays = {
        one.stack: RegionPlay(clock, one, dict.fromkeys(zones(one), ((0.0, 16),)), prices(one))
        for one in fleet().regions
    }
    stacks, _ = region_stacks(fleet())
    return clock, plays, FleetKeeping(clock, plays, stacks, FleetRules(look=look, region_share=1.0)) if keeper else None


def dry(plays: dict[str, RegionPlay], name: str, count: int = 0) -> None:
    for zone in zones(plays[name].region):
        plays[name].set_capacity(zone, count)


def serving(plays: dict[str, RegionPlay]) -> int:
    return sum(play.level.spot + play.level.on_demand for play in plays.values())


def test_what_the_keeper_knows_of_a_fleet_is_what_its_stacks_say() -> None:
    whole = load_stack_files(ROOT / "stacks")
    stacks, left_out = region_stacks(whole)
    named = {one.stack: one for one in stacks}
    assert left_out == {"tencent-ap-guangzhou": "all on demand: its size is its own"}
    assert named["aws-us-east-1"].zones == ("us-east-1a", "us-east-1b", "us-east-1c", "us-east-1d")
    assert named["azure-eastus"].zones == ("eastus",)  # told no zone, the region is one
    # Another model is another fleet; a service that must stay in the US keeps its regions together.
    assert named["aws-us-east-2"].fleet != named["aws-us-east-1"].fleet == named["gcp-us-central1"].fleet
    assert named["aws-us-east-1"].fleet.endswith(" in us")


def test_a_region_tells_what_its_cloud_would() -> None:
    clock, plays, _ = made(keeper=False)
    clock.run(2 * HOURS)
    play = plays["aws-us-east-1"]
    state = state_of(play)
    assert state is not None
    assert (state.spot, state.on_demand, state.spot_size) == (2, 0, 2)
    assert [one.ready for one in state.machines] == [True, True]
    assert state.prices == {"spot": 2.0, "on-demand": 10.0} == prices_at(play.region, play.prices, 2 * HOURS)
    dry(plays, "aws-us-east-1")
    clock.run(2 * HOURS + 400)
    state = state_of(play)
    assert state is not None
    assert state.refused == {"spot": "capacity"}
    play.dark(True)
    assert state_of(play) is None
    central = plays["gcp-us-central1"]
    central.throttle(True)
    assert state_of(central) is None
    central.throttle(False)
    assert state_of(central) is not None


def test_spot_that_a_region_loses_is_held_elsewhere_and_the_region_buys_less() -> None:
    clock, plays, keeping = made(look=60.0)
    assert keeping is not None
    clock.at(6 * HOURS, Order.SCENARIO, lambda: dry(plays, "aws-us-east-1"))
    clock.run(12 * HOURS)
    assert plays["gcp-us-central1"].level.spot >= 4
    assert serving(plays) >= 4
    assert any(at >= 6 * HOURS and edit.stack == "gcp-us-central1" for at, edit in keeping.edits)
    held = {name: play.targets[-1] for name, play in plays.items()}
    assert held["aws-us-east-1"][1] == 0  # nothing is asked for where nothing is to be had


def test_edits_stand_in_the_regions_log_and_sizes_keep_to_the_maximum() -> None:
    clock, plays, keeping = made(look=60.0)
    assert keeping is not None
    for at, name, count in ((3, NAMES[0], 0), (5, NAMES[1], 1), (7, NAMES[0], 16), (9, NAMES[1], 0)):
        clock.at(at * HOURS, Order.SCENARIO, lambda name=name, count=count: dry(plays, name, count))  # type: ignore[misc]
    clock.run(12 * HOURS)
    assert keeping.edits
    for _, edit in keeping.edits:
        assert edit.before != edit.after
        assert sum(edit.after) <= 6 or sum(edit.after) < sum(edit.before)
    for name, play in plays.items():
        own = [edit for _, edit in keeping.edits if edit.stack == name]
        assert [one.after for one in own] == [target[1:] for target in play.targets[1:]]
        assert all(before.after == after.before for before, after in pairwise(own))
        assert sum("target" in entry.what for entry in play.log) == len(own)


def test_a_dark_region_is_left_alone_and_its_nodes_are_held_elsewhere() -> None:
    clock, plays, keeping = made(look=60.0)
    assert keeping is not None
    clock.at(6 * HOURS, Order.SCENARIO, lambda: plays["aws-us-east-1"].dark(True))
    clock.run(8 * HOURS)
    assert not [edit for at, edit in keeping.edits if at > 6 * HOURS and edit.stack == "aws-us-east-1"]
    assert plays["gcp-us-central1"].level.spot + plays["gcp-us-central1"].level.on_demand >= 4
    plays["aws-us-east-1"].dark(False)
    clock.run(12 * HOURS)
    assert serving(plays) >= 4


def test_regions_go_on_by_themselves_once_nobody_looks_any_more() -> None:
    clock, plays, keeping = made(look=60.0)
    assert keeping is not None
    clock.run(4 * HOURS)
    keeping.stop()
    count = len(keeping.edits)
    dry(plays, "gcp-us-central1")
    clock.run(7 * HOURS)
    assert len(keeping.edits) == count
    _, spot, _ = plays["gcp-us-central1"].targets[-1]
    assert plays["gcp-us-central1"].level.on_demand == spot > 0


def test_the_same_play_has_the_same_edits() -> None:
    runs = []
    for _ in range(2):
        clock, plays, keeping = made(look=300.0)
        assert keeping is not None
        clock.at(2 * HOURS, Order.SCENARIO, lambda plays=plays: dry(plays, "aws-us-east-1", 1))  # type: ignore[misc]
        clock.run(5 * HOURS)
        runs.append(keeping.edits)
    assert runs[0] == runs[1]
