"""Another target on a region that runs, and who is told of a change of level."""

from __future__ import annotations

from itertools import pairwise

import pytest

from rehearsal.regions import Clock, Order, RegionLevel, RegionPlay
from spillway.errors import SpillwayError
from tests.rehearsal.test_regions import CLOUDS, HOURS, PLENTY, prices, region, zones


def made(cloud: str, target: int = 2, floor: int = 0) -> tuple[Clock, RegionPlay]:
    clock, one = Clock(), region(cloud, target, floor)
    return clock, RegionPlay(clock, one, dict.fromkeys(zones(one), PLENTY), prices(one))


@pytest.mark.parametrize("cloud", CLOUDS)
def test_every_change_of_the_level_is_told_once_and_nothing_else(cloud: str) -> None:
    clock, play = made(cloud)
    heard: list[tuple[float, tuple[int, int, int, int]]] = []
    play.on_level.append(lambda: heard.append((clock.now, play.level.counts)))
    first = zones(play.region)[0]
    for zone in zones(play.region):
        clock.at(3 * HOURS, Order.CAPACITY, lambda zone=zone: play.set_capacity(zone, 0))  # type: ignore[misc]
    clock.at(9 * HOURS, Order.CAPACITY, lambda: play.set_capacity(first, 9))
    clock.run(24 * HOURS)
    assert len(heard) > 4
    assert all(a[1] != b[1] for a, b in pairwise(heard))
    last = dict(heard)
    levels = [one for one in play.nodes.levels if isinstance(one, RegionLevel)]
    assert {one.at: one.counts for one in levels[1:]}.items() <= last.items()


@pytest.mark.parametrize("cloud", CLOUDS)
def test_a_larger_target_is_held_and_a_smaller_one_given_up(cloud: str) -> None:
    clock, play = made(cloud)
    clock.at(2 * HOURS, Order.SCENARIO, lambda: play.set_target(3, 1, "more"))
    clock.run(4 * HOURS)
    assert (play.level.spot, play.level.on_demand) == (3, 1)
    clock.at(5 * HOURS, Order.SCENARIO, lambda: play.set_target(1, 0, "less"))
    clock.run(8 * HOURS)
    assert (play.level.spot, play.level.on_demand) == (1, 0)
    assert play.targets == [(0.0, 2, 0), (2 * HOURS, 3, 1), (5 * HOURS, 1, 0)]


def test_without_new_alarms_on_demand_of_the_minimum_covers_what_spot_lacks() -> None:
    clock, play = made("aws")
    clock.at(2 * HOURS, Order.SCENARIO, lambda: play.set_target(2, 1, "sizes alone", alarms=False))
    clock.run(4 * HOURS)
    assert (play.level.spot, play.level.on_demand) == (2, 1)
    for zone in zones(play.region):
        play.set_capacity(zone, 1 if zone == zones(play.region)[0] else 0)
    clock.run(8 * HOURS)
    assert (play.level.spot, play.level.on_demand) == (1, 1)


@pytest.mark.parametrize("cloud", CLOUDS)
def test_a_target_beyond_the_maximum_is_refused(cloud: str) -> None:
    _, play = made(cloud)
    with pytest.raises(SpillwayError, match="a minimum of 7; 0 to 6 are allowed"):
        play.set_target(7, 0, "too many")


@pytest.mark.parametrize("cloud", CLOUDS)
def test_the_same_target_again_changes_nothing(cloud: str) -> None:
    clock, play = made(cloud)
    clock.at(2 * HOURS, Order.SCENARIO, lambda: play.set_target(2, 0, "same"))
    clock.run(4 * HOURS)
    assert len(play.targets) == 1
