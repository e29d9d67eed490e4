"""One region over a trace: what no play may break, and that leaving quiet minutes out changes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.fallback import Rule, State, decide
from rehearsal.fleet import Fleet, FunctionFallback, Region, load_stack_files
from rehearsal.regions import (
    PACES,
    Clock,
    Look,
    Node,
    Order,
    Pace,
    Prices,
    RegionLevel,
    RegionPlay,
    RegionPlayed,
    capacity_of,
)
from rehearsal.trace import load
from spillway.errors import SpillwayError
from tests.rehearsal.support import traced

ROOT = Path(__file__).parents[2]
CLOUDS = {"aws": "aws-us-east-1", "azure": "azure-eastus", "gcp": "gcp-us-central1"}
HOURS = 3600.0
BOOT = 20 * 60.0
PLENTY, NONE = ((0.0, 50),), ((0.0, 0),)
Capacity = Mapping[str, Sequence[tuple[float, int]]]


@cache
def fleet() -> Fleet:
    return load_stack_files(ROOT / "stacks")


def region(cloud: str, target: int = 2, floor: int = 0, rule: Mapping[str, int] | None = None) -> Region:
    """The shipped stack's region with other sizes, and with other times of its rule."""
    whole = fleet().region(CLOUDS[cloud])
    assert whole.rule is not None
    assert whole.spot is not None
    values = {name: getattr(whole.rule, name) for name in ("out_minutes", "in_minutes", "boot_minutes")}
    own = Rule(floor=floor, max_on_demand=whole.maximum, **(values | dict(rule or {})))
    fallback = whole.fallback
    if isinstance(fallback, FunctionFallback):
        fallback = replace(fallback, rule=own)
    spot = replace(whole.spot, minimum=target - floor, maximum=whole.maximum - floor)
    on_demand = replace(whole.on_demand, minimum=floor)
    if cloud == "aws":
        spot, on_demand = replace(spot, initial=target - floor), replace(on_demand, initial=floor)
    return replace(whole, target=target, floor=floor, spot=spot, on_demand=on_demand, fallback=fallback, rule=own)


def zones(one: Region) -> list[str]:
    assert one.spot is not None
    return list(dict.fromkeys(zone for _, zone in one.launches(one.spot)))


def prices(one: Region) -> Prices:
    return {("", one.region, "spot"): ((0.0, 2.0), (5 * HOURS, 3.0)), ("", one.region, "on-demand"): ((0.0, 10.0),)}


def played(one: Region, capacity: Capacity, until: float, **more: object) -> tuple[RegionPlayed, RegionPlay]:
    clock = Clock()
    play = RegionPlay(clock, one, capacity, prices(one), **more)  # type: ignore[arg-type]
    if play.control is not None:
        play.control.looks = []
    clock.run(until)
    return play.played(), play


def looks(play: RegionPlay) -> list[Look]:
    assert play.control is not None
    assert play.control.looks is not None
    return play.control.looks


@dataclass(frozen=True)
class Case:
    one: Region
    capacity: Capacity
    until: float
    notice: float | None
    boot: float
    scarce: tuple[tuple[float, int | None], ...]
    slow: tuple[tuple[float, float], ...]
    dark: tuple[float, float] | None
    rebalance: bool

    def play(self, stepped: bool = False) -> tuple[RegionPlayed, RegionPlay]:
        clock = Clock()
        pace: Pace = replace(PACES[self.one.cloud], rebalance=self.rebalance and self.one.cloud == "aws")
        play = RegionPlay(
            clock,
            self.one,
            self.capacity,
            prices(self.one),
            boot=self.boot,
            notice=self.notice,
            pace=pace,
            stepped=stepped,
        )
        assert play.control is not None
        play.control.looks = []
        for at, limit in self.scarce:
            clock.at(at, Order.SCENARIO, lambda limit=limit: play.set_on_demand(limit))  # type: ignore[misc]
        for at, seconds in self.slow:
            clock.at(
                at,
                Order.SCENARIO,
                lambda seconds=seconds: play.set_boot(seconds, hangs=seconds > 3000),  # type: ignore[misc]
            )
        if self.dark:
            clock.at(self.dark[0], Order.SCENARIO, lambda: play.dark(True))
            clock.at(sum(self.dark), Order.SCENARIO, lambda: play.dark(False))
        clock.run(self.until)
        return play.played(), play


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Capacities at times that no minute has to meet; rules with short times, so that a day has many decisions."""
    cloud = draw(st.sampled_from(sorted(CLOUDS)))
    target = draw(st.integers(1, 4))
    floor = draw(st.integers(0, min(2, target)))
    times = {"out_minutes": draw(st.integers(1, 4)), "in_minutes": draw(st.integers(1, 15))}
    one = region(cloud, target, floor, times | {"boot_minutes": draw(st.integers(1, 12))})
    until = 4 * HOURS
    moment = st.integers(1, int(until) // 10).map(lambda tens: tens * 10.0)
    capacity = {
        zone: tuple((at, draw(st.integers(0, 3))) for at in (0.0, *sorted(draw(st.sets(moment, max_size=8)))))
        for zone in draw(st.lists(st.sampled_from(zones(one)), min_size=1, max_size=3, unique=True))
    }
    scarce = tuple((at, draw(st.none() | st.integers(0, 2))) for at in sorted(draw(st.sets(moment, max_size=2))))
    slow = tuple(
        (at, draw(st.sampled_from((300.0, 2400.0, 4000.0)))) for at in sorted(draw(st.sets(moment, max_size=2)))
    )
    dark = draw(st.none() | st.tuples(moment, st.integers(1, 90).map(lambda minutes: minutes * 60.0)))
    boot = draw(st.sampled_from((30.0, 90.0, 300.0, 1200.0)))
    notice = draw(st.sampled_from((None, 0.0, 30.0)))
    return Case(one, capacity, until, notice, boot, scarce, slow, dark, draw(st.booleans()))


def essence(whole: RegionPlayed) -> list[tuple[object, ...]]:
    return [tuple(getattr(one, field.name) for field in fields(Node)) for one in whole.instances]


@settings(max_examples=40, deadline=None)
@given(cases())
def test_leaving_quiet_minutes_out_is_looking_at_every_one(case: Case) -> None:
    (fast, _), (slow, _) = case.play(), case.play(stepped=True)
    assert essence(fast) == essence(slow)
    assert fast.levels == slow.levels
    assert [(entry.at, entry.what) for entry in fast.log] == [(entry.at, entry.what) for entry in slow.log]
    assert fast.looks <= slow.looks


@settings(max_examples=40, deadline=None)
@given(cases())
def test_bills_boots_capacity_and_levels_agree(case: Case) -> None:
    whole, _ = case.play()
    nodes = [one for one in whole.instances if isinstance(one, Node)]
    assert [one.id for one in nodes] == list(range(len(nodes)))
    for one in nodes:
        assert one.ended is not None, "an instance without the end of its bill"
        assert 0 <= one.launched <= one.ended <= case.until
        assert one.in_service is None or one.launched + 30 <= one.ready == one.in_service <= one.ended
        assert one.market == "spot" or one.noticed is None
        assert one.cause in ("lost", "ended", "horizon")
    for level in whole.levels:
        assert isinstance(level, RegionLevel)
        now = level.at
        alive = [one for one in nodes if one.launched <= now < (one.ended or 0.0)]
        for zone, series in case.capacity.items():
            gives = [count for at, count in series if at <= now][-1]
            held = [one for one in alive if (one.market, one.zone) == ("spot", zone)]
            assert sum(one.noticed is None or now < one.noticed for one in held) <= gives
        ready = [one for one in alive if one.in_service is not None and one.in_service <= now]
        assert level.spot + level.on_demand <= len(ready)
        assert level.receiving <= level.spot + level.on_demand, "requests go to those that are ready"
        assert level.on_demand <= case.one.maximum
    assert [level.at for level in whole.levels] == sorted({level.at for level in whole.levels})
    assert whole.cost("spot") + whole.cost("on-demand") == pytest.approx(whole.cost())
    half = case.until / 2
    assert whole.cost(end=half) + whole.cost(begin=half) == pytest.approx(whole.cost())


@settings(max_examples=40, deadline=None)
@given(cases())
def test_orders_are_those_of_the_rule_stepped_by_hand_and_never_more_than_its_formula(case: Case) -> None:
    """Over every minute's observation: the memory, the reason and the order; what a group refuses stays as it was."""
    _, play = case.play(stepped=True)
    rule, state = case.one.rule, State()
    assert rule is not None
    for look in looks(play):
        decision = decide(rule, state, look.seen)
        state = decision.state
        assert (look.state, look.reason) == (state, decision.reason.value)
        if case.one.cloud == "azure" and look.after < look.before:
            continue  # what never came up is cleared, and its places with it: the next run asks for them again
        assert look.after in (look.before, decision.on_demand_desired)
        if decision.on_demand_desired > max(look.before, look.seen.on_demand_desired):
            assert look.after == decision.on_demand_desired, "an order that was not sent"
        if look.after > max(look.before, look.seen.on_demand_desired):  # and not what was ordered before, anew
            wanted = rule.floor + max(0, look.seen.desired - look.seen.in_service)
            assert look.after <= min(rule.max_on_demand, max(wanted, rule.floor))


@pytest.mark.parametrize("cloud", CLOUDS)
@pytest.mark.parametrize("floor", [0, 1, 2])
def test_with_plenty_of_spot_no_on_demand_beyond_the_floor_is_bought(cloud: str, floor: int) -> None:
    one = region(cloud, target=3, floor=floor)
    whole, _ = played(one, dict.fromkeys(zones(one)[:2], PLENTY), 24 * HOURS)
    bought = [each for each in whole.instances if each.market == "on-demand"]
    assert len(bought) == floor
    assert len(whole.instances) == 3
    assert whole.availability == 1.0
    assert whole.looks < 30, "quiet minutes are not looked at"


@pytest.mark.parametrize("cloud", CLOUDS)
@pytest.mark.parametrize("target", [1, 3])
def test_when_spot_is_gone_for_ever_on_demand_serves_the_target(cloud: str, target: int) -> None:
    """Detection: out_minutes of samples, the minute in which the loss falls, the notice; on AWS a minute's delay."""
    one, gone = region(cloud, target), 10 * HOURS + 7
    assert one.rule is not None
    capacity = {zones(one)[0]: ((0.0, 50), (gone, 0))}
    whole, _ = played(one, capacity, 24 * HOURS)
    served = [level.at for level in whole.levels if level.at > gone and level.on_demand >= target]
    late = 60 * (one.rule.out_minutes + 1) + one.node.notice_seconds + PACES[cloud].lag_seconds + 60
    assert gone + BOOT + 60 * (one.rule.out_minutes - 1) <= served[0] <= gone + BOOT + late
    assert not [level for level in whole.levels if level.at > served[0] and level.ready < target]
    assert len([one for one in whole.instances if one.market == "on-demand"]) == target, "bought once"


@pytest.mark.parametrize("cloud", CLOUDS)
def test_on_demand_goes_one_by_one_when_spot_is_back(cloud: str) -> None:
    one = region(cloud, target=2)
    capacity = {zones(one)[0]: ((0.0, 2), (2 * HOURS, 0), (6 * HOURS, 2))}
    whole, play = played(one, capacity, 12 * HOURS)
    bought = [each for each in whole.instances if each.market == "on-demand"]
    assert len(bought) == 2
    assert all(each.cause == "ended" for each in bought)
    ends = sorted(each.ended or 0.0 for each in bought)
    assert ends[0] > 6 * HOURS + BOOT
    assert ends[1] - ends[0] >= 12 * 60
    assert all(level.ready >= 2 for level in whole.levels if level.at > 4 * HOURS)
    assert play.level.spot == 2


def test_the_balancer_lags_behind_the_gates() -> None:
    one = region("aws", target=1)
    front = one.balancer
    up, down = front.healthy_threshold * front.interval_seconds, front.unhealthy_threshold * front.interval_seconds
    whole, _ = played(one, {zones(one)[0]: ((0.0, 1), (7200.0, 0))}, 7400.0)
    steps = [(level.at, level.spot, level.receiving, level.refusing) for level in whole.levels]  # type: ignore[attr-defined]
    assert steps == [
        (0.0, 0, 0, 0),
        (BOOT, 1, 0, 0),
        (BOOT + up, 1, 1, 0),
        (7200.0, 0, 0, 1),
        (7200.0 + down, 0, 0, 0),
    ]


def test_rebalancing_replaces_at_the_notice_and_its_absence_at_the_end() -> None:
    one = region("aws", target=1)
    first, second = zones(one)[:2]
    capacity = {first: ((0.0, 1), (7200.0, 0)), second: ((0.0, 0), (5000.0, 1))}
    for rebalance, launched in ((True, 7200.0), (False, 7320.0)):
        whole, _ = played(one, capacity, 9000.0, pace=replace(PACES["aws"], rebalance=rebalance))
        spot = [each for each in whole.instances if each.market == "spot"]
        assert [(each.zone, each.launched) for each in spot] == [(first, 0.0), (second, launched)]


@pytest.mark.parametrize("cloud", ["aws", "gcp"])
def test_a_group_without_capacity_tries_again_at_its_pace(cloud: str) -> None:
    one = region(cloud, target=1)
    whole, _ = played(one, {zones(one)[0]: ((0.0, 0), (3 * HOURS + 10, 1))}, 4 * HOURS)
    spot = next(each for each in whole.instances if each.market == "spot")
    assert spot.launched == 3 * HOURS + 60
    assert whole.refusals == 1, "tries between which nothing changed are not made"


def test_an_azure_set_is_refilled_by_its_function_alone() -> None:
    one = region("azure", target=1)
    whole, play = played(one, {one.region: ((0.0, 1), (7190.0, 0), (7200.0 + 615, 1))}, 4 * HOURS)
    spot = [each for each in whole.instances if each.market == "spot"]
    assert len(spot) == 2
    assert spot[1].launched % 60 == 0
    assert 7815 <= spot[1].launched <= 7815 + 120, "cleared in one run, asked for in the next"
    assert "function refills" in next(entry.why for entry in play.log if entry.at == spot[1].launched)


def test_a_fortnight_without_any_spot_is_not_stepped_minute_by_minute() -> None:
    for cloud in CLOUDS:
        one = region(cloud)
        whole, play = played(one, {zones(one)[0]: ((0.0, 0), (10 * 24 * HOURS + 30, 2))}, 14 * 24 * HOURS)
        assert whole.looks < 200, cloud
        assert len(whole.log) < 60, cloud
        assert (play.level.spot, play.level.on_demand) == (2, 0)


def test_a_node_that_hangs_is_given_up_and_replaced_and_a_slow_one_goes_on_where_it_tells_its_progress() -> None:
    for cloud, hangs, first in (("aws", True, "ended"), ("aws", False, "horizon"), ("gcp", False, "ended")):
        one = region(cloud, target=1, floor=1)
        clock = Clock()
        play = RegionPlay(clock, one, {zones(one)[0]: NONE}, prices(one))
        play.set_boot(2 * one.node.grace_seconds, hangs=hangs)
        clock.run(3 * HOURS)
        whole = play.played()
        assert whole.instances[0].cause == first
        if first == "ended":
            node = whole.instances[0]
            assert node.ended == node.launched + one.node.grace_seconds
            assert whole.instances[1].launched == node.ended


def test_scarce_on_demand_is_a_limit_and_what_runs_stays() -> None:
    one = region("aws", target=3)
    clock = Clock()
    play = RegionPlay(clock, one, {zones(one)[0]: ((0.0, 3), (2 * HOURS, 0))}, prices(one))
    clock.at(0.0, Order.SCENARIO, lambda: play.set_on_demand(1))
    clock.at(5 * HOURS, Order.SCENARIO, lambda: play.set_on_demand(None))
    clock.run(5 * HOURS)
    assert (play.level.spot, play.level.on_demand) == (0, 1)
    clock.run(6 * HOURS)
    assert play.level.on_demand == 3


def test_a_throttled_function_orders_nothing_and_alarms_do_not_mind() -> None:
    for cloud, served in (("aws", 2), ("azure", 0), ("gcp", 0)):
        one = region(cloud)
        clock = Clock()
        play = RegionPlay(clock, one, {zones(one)[0]: ((0.0, 2), (2 * HOURS, 0))}, prices(one))
        clock.at(1 * HOURS, Order.SCENARIO, lambda play=play: play.throttle(True))  # type: ignore[misc]
        clock.at(4 * HOURS, Order.SCENARIO, lambda play=play: play.throttle(False))  # type: ignore[misc]
        clock.run(4 * HOURS)
        assert play.level.on_demand == served
        clock.run(5 * HOURS)
        assert play.level.on_demand == 2


@pytest.mark.parametrize("cloud", CLOUDS)
def test_a_region_that_goes_dark_loses_all_and_comes_back(cloud: str) -> None:
    one = region(cloud, floor=1)
    clock = Clock()
    play = RegionPlay(clock, one, {zones(one)[0]: PLENTY}, prices(one))
    clock.at(2 * HOURS, Order.SCENARIO, lambda: play.dark(True))
    clock.at(3 * HOURS, Order.SCENARIO, lambda: play.dark(False))
    clock.run(2.5 * HOURS)
    assert (play.level.ready, play.level.receiving, play.level.refusing) == (0, 0, 0)
    clock.run(6 * HOURS)
    assert (play.level.spot, play.level.on_demand) == (1, 1)


@pytest.mark.parametrize("cloud", CLOUDS)
def test_the_spot_pool_follows_a_size_that_is_set(cloud: str) -> None:
    one = region(cloud)
    clock = Clock()
    play = RegionPlay(clock, one, {zones(one)[0]: PLENTY}, prices(one))
    clock.at(2 * HOURS, Order.SCENARIO, lambda: play.set_spot(4))
    clock.at(4 * HOURS, Order.SCENARIO, lambda: play.set_spot(1))
    clock.run(4 * HOURS)
    assert (play.level.spot, play.level.on_demand) == (4, 0)
    clock.run(6 * HOURS)
    assert play.level.spot == 2, "never below the target"


def test_dry_run_and_pause_leave_the_sizes_alone() -> None:
    for cloud in ("azure", "gcp"):
        one = region(cloud)
        assert isinstance(one.fallback, FunctionFallback)
        for dry, paused in ((True, False), (False, True)):
            tried = replace(one, fallback=replace(one.fallback, dry_run=dry, paused=paused))
            whole, _ = played(tried, {zones(one)[0]: PLENTY}, 2 * HOURS)
            assert whole.instances == []


def test_a_region_all_on_demand_has_nobody_who_falls_back() -> None:
    one = fleet().region("tencent-ap-guangzhou")
    clock = Clock()
    play = RegionPlay(clock, one, {}, {("", one.region, "on-demand"): ((0.0, 5.0),)})
    clock.run(24 * HOURS)
    whole = play.played()
    assert (play.control, len(whole.instances), whole.availability) == (None, 1, 1.0)
    assert whole.cost() == pytest.approx(24 * 5.0)


def test_what_cannot_be_played_is_refused_in_one_line() -> None:
    one = region("aws")
    for tried, capacity, told, says in (
        (one, {"mars-1a": PLENTY}, prices(one), "capacity of mars-1a: launches only in us-east-1a"),
        (one, {}, prices(one), "no capacity of any of its zones"),
        (one, {zones(one)[0]: PLENTY}, {}, "no price of p4d.24xlarge in us-east-1a, on-demand"),
    ):
        with pytest.raises(SpillwayError, match=says):
            RegionPlay(Clock(), tried, capacity, told)


def test_a_trace_becomes_capacity_by_zone_and_zones_that_stand_for_one_are_added() -> None:
    trace = traced({"a": [1, 2, 2], "b": [3, 3, 0], "c": [9, 9, 9]})
    assert capacity_of(trace, {"a": "x", "b": "x"}) == {"x": [(0.0, 4), (10.0, 5), (20.0, 2)]}
    assert capacity_of(trace.only(["a"])) == {"a": [(0.0, 1), (10.0, 2)]}


def test_two_regions_share_a_clock_and_neither_sees_the_other() -> None:
    aws, gcp = region("aws"), region("gcp")
    capacities = {one.stack: {zones(one)[0]: ((0.0, 2), (7000.0, 1), (20000.0, 2))} for one in (aws, gcp)}
    clock = Clock()
    plays = [RegionPlay(clock, one, capacities[one.stack], prices(one)) for one in (aws, gcp)]
    clock.run(10 * HOURS)
    together = [essence(play.played()) for play in plays]
    assert together == [essence(played(one, capacities[one.stack], 10 * HOURS)[0]) for one in (aws, gcp)]


def test_every_pace_says_where_it_is_from() -> None:
    for cloud, pace in PACES.items():
        named = {one.name for one in fields(pace)} - {"grounds"}
        assert named == {*pace.grounds}, cloud
        assert all(ground.source.startswith("https://") for ground in pace.grounds.values())


@pytest.mark.parametrize("cloud", CLOUDS)
def test_a_week_of_the_recorded_trace_gives_the_same_twice_and_looks_at_few_minutes(cloud: str) -> None:
    trace = load(ROOT / "rehearsal/data/traces/gcp_h100_spot_2025-10_first_half.csv")
    one = region(cloud, target=3)
    named = dict(zip(("us-east4-a", "us-east5-a", "us-west1-a", "europe-west3-c"), zones(one) * 4, strict=False))
    runs = [played(one, capacity_of(trace, named), trace.end)[0] for _ in range(2)]
    assert essence(runs[0]) == essence(runs[1])
    assert runs[0].looks < trace.end / 60 / 5
    assert 0.9 < runs[0].availability < 1.0
