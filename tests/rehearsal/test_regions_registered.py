"""Alarms played exactly as they are registered: the same as the rule that they are written from, and others."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rehearsal import data
from rehearsal.fleet import AlarmFallback, Region
from rehearsal.fleet.alarms import StepPolicy
from rehearsal.fleet.files_aws import fallback_alarms
from rehearsal.regions import Clock, RegionPlay, capacity_of
from spillway.errors import SpillwayError
from tests.rehearsal.test_regions import HOURS, NONE, PLENTY, prices, region, zones


def unruled(one: Region) -> Region:
    """The alarms that are written for its rule, of which nobody knows that they are."""
    assert one.rule is not None
    names: dict[str, str] = {pool.market: pool.name for pool in one.pools}
    alarms = fallback_alarms(one.rule, names, [], enabled=True)
    return replace(one, rule=None, fallback=AlarmFallback(alarms, ()))


def sizes(one: Region, until: float) -> list[tuple[float, int]]:
    """The on-demand group's orders over recorded capacity."""
    trace = data.trace("gcp-h100-2025-10")
    named = dict(zip(("us-east5-a", "us-central1-b"), zones(one), strict=False))
    capacity = dict.fromkeys(zones(one), ((0.0, 0),)) | capacity_of(trace, named)
    clock = Clock()
    play = RegionPlay(clock, one, capacity, prices(one))
    clock.run(until)
    group = one.on_demand.name
    return [
        (entry.at, int(entry.what.rsplit(" ", 1)[1]))
        for entry in play.log
        if entry.what.startswith(f"{group}:") and " -> " in entry.what
    ]


@pytest.mark.parametrize("floor", [0, 1])
def test_the_alarms_of_a_rule_order_what_the_rule_orders(floor: int) -> None:
    one = region("aws", target=3, floor=floor)
    ordered = sizes(one, 72 * HOURS)
    assert len(ordered) > 10
    assert sizes(unruled(one), 72 * HOURS) == ordered


def test_a_policy_that_somebody_changed_is_played_as_it_stands() -> None:
    one = unruled(region("aws", target=2))
    told = one.fallback
    assert isinstance(told, AlarmFallback)
    out = next(alarm for alarm in told.alarms if alarm.key == "out")
    assert isinstance(out.policy, StepPolicy)
    twice = replace(out.policy, steps=tuple(replace(step, adjustment=5) for step in out.policy.steps))
    changed = replace(one, fallback=replace(told, alarms=(replace(out, policy=twice),)))
    clock = Clock()
    play = RegionPlay(clock, changed, dict.fromkeys(zones(one), NONE), prices(one))
    clock.run(2 * HOURS)
    assert play.level.on_demand == 5
    assert play.control is not None
    assert play.control.count < 60, "minutes in which nothing can follow are left out"


def test_quiet_minutes_of_registered_alarms_are_left_out() -> None:
    one = unruled(region("aws", target=2))
    clock = Clock()
    play = RegionPlay(clock, one, dict.fromkeys(zones(one), PLENTY), prices(one))
    clock.run(48 * HOURS)
    assert play.control is not None
    assert play.control.count < 90
    assert play.played().availability == 1.0


def test_a_metric_that_no_group_publishes_is_refused() -> None:
    one = unruled(region("aws"))
    told = one.fallback
    assert isinstance(told, AlarmFallback)
    alarm = told.alarms[0]
    odd = replace(alarm, metrics=(replace(alarm.metrics[0], name="GroupStandbyInstances"), *alarm.metrics[1:]))
    changed = replace(one, fallback=replace(told, alarms=(odd,)))
    with pytest.raises(SpillwayError, match=r"aws-us-east-1: alarm \w+: metric GroupStandbyInstances of"):
        RegionPlay(Clock(), changed, dict.fromkeys(zones(one), PLENTY), prices(one))
