"""Sizes follow the load: by the alarms as they are registered, or by the function's own run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.fallback import Step
from rehearsal.fleet import AlarmFallback, FunctionFallback, Region
from rehearsal.fleet.alarms import Alarm, SimplePolicy, StepPolicy
from rehearsal.load import LoadPlay
from rehearsal.regions import Clock, Order, RegionPlay
from rehearsal.regions.follow import follow
from spillway.errors import SpillwayError
from tests.rehearsal.load_support import rate, steady
from tests.rehearsal.test_regions import BOOT, CLOUDS, PLENTY, fleet, prices, region, zones

HOUR = 3600.0


@dataclass
class Given:
    """A load that a test states, minute by minute; still from `still` on."""

    clock: Clock
    values: Sequence[float | None]
    what: Literal["queue", "cpu"] = "queue"
    on_change: list[Any] = field(default_factory=list)

    def samples(self, minutes: int) -> list[float | None]:
        now = int(self.clock.now // 60)
        return [
            None if minute < 0 else self.values[min(minute, len(self.values) - 1)]
            for minute in range(now - minutes, now)
        ]

    def steady(self, minutes: int, low: float, high: float) -> bool:
        sides = {None if one is None else (one >= high) - (one < low) for one in self.samples(minutes)}
        return self.clock.now >= len(self.values) * 60 and len(sides) == 1


def play(one: Region, clock: Clock, stepped: bool = False) -> RegionPlay:
    places = zones(one) if one.spot else [zone for _, zone in one.launches(one.on_demand)]
    return RegionPlay(clock, one, dict.fromkeys(places, PLENTY), prices(one), boot=BOOT, stepped=stepped)


def spot_sizes(one: RegionPlay, values: Sequence[float | None], until: float) -> list[tuple[float, int]]:
    """(minute, size) of the spot group, as it changes under a load."""
    assert one.spot is not None
    assert not follow(one, Given(one.clock, values))
    found: list[tuple[float, int]] = []

    def look() -> None:
        assert one.spot is not None
        if not found or found[-1][1] != one.spot.desired:
            found.append((one.clock.now / 60, one.spot.desired))

    for minute in range(int(until // 60)):
        one.clock.at(minute * 60 + 1, Order.DNS, look)
    one.clock.run(until)
    return found


@pytest.mark.parametrize("cloud", sorted(CLOUDS))
def test_a_queue_above_its_mark_for_its_minutes_adds_nodes_and_one_below_takes_them_away(cloud: str) -> None:
    """queuePerReplica 20 for five minutes adds two; below five for fifteen takes one, and after the cooldown another.
    On AWS a minute later: its metrics come with the next minute's."""
    values = [10.0] * 60 + [25.0] * 8 + [10.0] * 60 + [1.0] * 60
    sizes = spot_sizes(play(region(cloud), Clock()), values, 4 * HOUR)
    lag = cloud == "aws"
    assert [size for _, size in sizes[-4:]] == [2, 4, 3, 2]
    rule = fleet().region(CLOUDS[cloud]).fallback
    minutes, in_minutes = (
        (rule.load.minutes, rule.load.in_minutes)
        if isinstance(rule, FunctionFallback)
        else (rule.load[0].periods, rule.load[1].periods)
    )
    assert sizes[-3][0] == pytest.approx(60 + minutes + lag, abs=0.1)
    assert sizes[-2][0] == pytest.approx(128 + in_minutes + lag, abs=0.1)
    assert sizes[-1][0] - sizes[-2][0] >= 5


@pytest.mark.parametrize("cloud", sorted(CLOUDS))
def test_no_further_node_is_added_while_one_boots_and_none_beyond_the_most(cloud: str) -> None:
    sizes = spot_sizes(play(region(cloud), Clock()), [10.0] * 60 + [100.0], 5 * HOUR)
    steps = [(minute, size) for minute, size in sizes if size > 2]
    assert [size for _, size in steps] == [4, 6]
    assert steps[1][0] - steps[0][0] >= BOOT / 60 + 4  # the cooldown runs from the last minute with a booting node


@pytest.mark.parametrize("cloud", sorted(CLOUDS))
def test_where_nobody_reports_nothing_is_added_or_taken_away(cloud: str) -> None:
    assert spot_sizes(play(region(cloud), Clock()), [None], 3 * HOUR)[-1][1] == 2


@st.composite
def loads(draw: st.DrawFn) -> tuple[str, list[tuple[float, float]], list[tuple[float, int]]]:
    """A cloud, arrivals and spot capacity as they change in a few hours."""
    moments = st.integers(0, 5 * 60).map(lambda minutes: minutes * 60.0 + 7)
    arrivals = [(at, draw(st.floats(0, 12))) for at in (0.0, *sorted(draw(st.sets(moments, max_size=4))))]
    capacity = [(at, draw(st.integers(0, 6))) for at in (0.0, *sorted(draw(st.sets(moments, max_size=3))))]
    return draw(st.sampled_from(sorted(CLOUDS))), arrivals, capacity


@settings(max_examples=8, deadline=None)
@given(loads())
def test_minutes_that_are_left_out_change_nothing(
    case: tuple[str, list[tuple[float, float]], list[tuple[float, int]]],
) -> None:
    cloud, arrivals, capacity = case
    one = region(cloud)

    def run(stepped: bool) -> tuple[list[object], list[tuple[float, str]], float]:
        clock = Clock()
        played = RegionPlay(clock, one, {zones(one)[0]: capacity}, prices(one), boot=BOOT, stepped=stepped)
        load = LoadPlay(
            clock, {"s": steady(1.0)}, {"a": rate(2.0, 8, 40, ttft_limit=10.0)}, where=lambda service: {"a": 1.0},
            nodes=lambda member: played.level, limit_seconds=5.0,
        )  # fmt: skip
        played.on_level.append(load.changed)
        assert not follow(played, load.signals["a"])
        for at, per_second in arrivals:
            clock.at(at, Order.SCENARIO, lambda per_second=per_second: load.set_surge("s", per_second))  # type: ignore[misc]
        clock.run(5 * HOUR)
        result = load.results()[0]
        return list(played.nodes.levels), [(entry.at, entry.what) for entry in played.log], result.failed + result.late

    quick, slow = run(False), run(True)
    assert quick[:2] == slow[:2]
    assert quick[2] == pytest.approx(slow[2], rel=0.02, abs=1.0)


def test_quiet_time_costs_no_looks() -> None:
    for cloud in sorted(CLOUDS):
        clock = Clock()
        one = play(region(cloud), clock)
        assert not follow(one, Given(clock, [10.0]))
        clock.run(48 * HOUR)
        assert one.control is not None
        assert one.control.count < 120


def test_all_on_demand_a_group_follows_the_cpu() -> None:
    told = fleet().region("tencent-ap-guangzhou")
    assert follow(play(told, Clock()), Given(Clock(), [50.0])).endswith("its size does not follow the load")


def test_what_does_not_follow_says_why() -> None:
    one = region("aws")
    clock = Clock()
    assert "no queue figures" in follow(play(one, clock), Given(clock, [1.0], what="cpu"))
    assert isinstance(one.fallback, AlarmFallback)
    bare = replace(one, fallback=replace(one.fallback, load=()))
    assert "no alarm on the load" in follow(play(bare, clock), Given(clock, [1.0]))


def registered(**changes: Any) -> Region:
    """The AWS stack with its first load alarm changed."""
    one = region("aws")
    assert isinstance(one.fallback, AlarmFallback)
    first, *others = one.fallback.load
    return replace(one, fallback=replace(one.fallback, load=(replace(first, **changes), *others)))


def first_alarm() -> Alarm:
    fallback = region("aws").fallback
    assert isinstance(fallback, AlarmFallback)
    return fallback.load[0]


def test_alarms_are_played_as_they_are_registered() -> None:
    """Three of five minutes, above the mark and not at it; an alarm that only tells does nothing."""
    values = [20.0] * 60 + [21.0, 0.0, 21.0, 0.0, 21.0] + [10.0] * 10

    def largest(one: Region) -> int:
        return max(size for _, size in spot_sizes(play(one, Clock()), values, 2 * HOUR))

    some = {"datapoints": 3, "periods": 5, "comparison": "GreaterThanThreshold", "threshold": 20.0}
    assert largest(registered(**some)) == 4
    assert largest(registered(**some | {"datapoints": 4})) == 2
    assert largest(registered(**some | {"enabled": False})) == 2
    policy = first_alarm().policy
    assert isinstance(policy, SimplePolicy)
    assert largest(registered(**some, policy=replace(policy, adjustment_type="ExactCapacity", adjustment=5))) == 5
    assert largest(registered(**some, policy=replace(policy, adjustment_type="PercentChangeInCapacity"))) == 3
    steps = (Step(1, "0", "10"), Step(4, "10", None))
    stepped = StepPolicy(policy.pool, "ChangeInCapacity", "Average", steps, 1200)
    assert largest(registered(**some, policy=stepped)) == 3


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"comparison": "GreaterThanUpperThreshold"}, "comparison = GreaterThanUpperThreshold: not played"),
        ({"period_seconds": 10}, "a period of 10 s: only whole minutes are played"),
    ],
)
def test_alarms_of_another_kind_are_told(changes: dict[str, Any], told: str) -> None:
    clock = Clock()
    with pytest.raises(SpillwayError) as error:
        follow(play(registered(**changes), clock), Given(clock, [1.0]))
    assert told in error.value.lines[0]
    policy = replace(first_alarm().policy, pool="somebody else's")
    with pytest.raises(SpillwayError, match="which is no group of the region"):
        follow(play(registered(policy=policy), clock), Given(clock, [1.0]))
