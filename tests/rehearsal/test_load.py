"""Requests against members: nothing is lost or counted twice, and whoever cannot answer does not."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rehearsal.load import OFFICE, Arrivals, Retry
from rehearsal.result import LoadResult
from spillway.errors import SpillwayError
from tests.rehearsal.load_support import MONDAY, World, alone, nodes, rate, steady

HOUR, DAY = 3600.0, 86400.0


def outcomes(result: LoadResult) -> float:
    return result.served + result.late + result.failed


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Two services over three members, one of which answers everything; levels and shares change all the time."""
    members = ("a", "b", "c")
    share = st.sampled_from((0.0, 0.25, 0.5))
    world = World(
        {"a": rate(draw(st.floats(0.5, 5)), ttft_limit=4.0), "b": rate(2.0, 4, 5), "c": None},
        {name: nodes(draw(st.integers(0, 3)), draw(st.integers(0, 1))) for name in members},
        {name: {member: draw(share) for member in members[:2]} for name in ("s", "t")},
        {"s": steady(draw(st.floats(0, 10))), "t": steady(draw(st.floats(0, 10)))},
        limit=draw(st.floats(0.5, 10)),
        retry=Retry(draw(st.integers(1, 4))),
        breaks=draw(st.booleans()),
    )
    moments = st.integers(0, 7200).map(lambda half: half / 2)
    for at in draw(st.lists(moments, max_size=8)):
        world.level(at, draw(st.sampled_from(members)), draw(st.integers(0, 3)), draw(st.integers(0, 2)))
    for at in draw(st.lists(moments, max_size=4)):
        shares: Mapping[str, float] = {member: draw(share) for member in ("a", "c")}
        world.at(at, lambda shares=shares: world.shares.update(s=dict(shares)))  # type: ignore[misc]
    for at in draw(st.lists(moments, max_size=2)):
        factor = draw(st.sampled_from((0.0, 0.5, 5.0)))
        world.at(at, lambda factor=factor: world.load.set_surge("t", factor))  # type: ignore[misc]
    return world


@settings(max_examples=40, deadline=None)
@given(worlds(), st.lists(st.floats(1, 3600), max_size=5))
def test_every_request_has_one_outcome_however_often_somebody_looks(world: World, looks: list[float]) -> None:
    for at in looks:
        world.at(at, world.load.results)
    world.clock.run(HOUR)
    results = world.load.results()
    assert results == world.load.results()
    for result in results:
        assert outcomes(result) == pytest.approx(result.arrived, rel=1e-9, abs=1e-6)
        assert min(result.served, result.late, result.failed, result.retried) >= -1e-6
        assert result.retried <= result.arrived * (world.retry.tries - 1) + 1e-6
        arrived = answered = 0.0
        for entry, following in zip(result.traffic, [*(one.at for one in result.traffic[1:]), HOUR], strict=True):
            arrived += entry.arriving * (following - entry.at)
            answered += (entry.served + entry.late) * (following - entry.at)
        assert arrived == pytest.approx(result.arrived, rel=1e-6, abs=1e-6)
        inside = sum(len(spot.inside) and spot.rate.concurrency + spot.rate.queue for spot in _finite(world)) * 3
        assert answered <= result.served + result.late + 1e-6
        assert answered >= result.served + result.late - inside - 1e-6


def _finite(world: World) -> list[Any]:
    return [spot for spot in world.load.flow.members if spot.rate is not None]


def test_a_region_with_room_answers_everything_at_once() -> None:
    result = alone(1.0, rate(4.0)).run(DAY)
    assert result.served == pytest.approx(DAY, rel=1e-3)
    assert result.ttft["p95"] == 0.0
    assert len(result.traffic) < 12  # quiet time is one entry


def test_what_a_node_cannot_do_is_refused_and_the_rest_waits_for_a_full_queue() -> None:
    one = rate(2.0, 8, 20)
    result = alone(3.0, one, limit=60.0).run(DAY)
    assert result.failed / result.arrived == pytest.approx(1 / 3, abs=0.01)
    assert 8.0 < result.ttft["p50"] < 10.5  # 20 before it, two a second


def test_answers_after_the_limit_are_late_and_the_prompt_counts() -> None:
    one, slow = rate(2.0, 8, 20), rate(2.0, 8, 20, prefill=4.9)
    fast, late = (alone(1.7, each, limit=5.0).run(DAY) for each in (one, slow))
    assert 0 < fast.late < 0.2 * fast.arrived
    assert late.late > 2 * fast.late
    assert alone(1.0, rate(2.0, prefill=6.0), limit=5.0).run(HOUR).served == 0.0


def test_tries_at_nodes_that_refuse_fail_and_another_try_may_not() -> None:
    never = alone(1.0, rate(8.0), 1, 1).run(DAY)
    assert never.failed / never.arrived == pytest.approx(1 / 2, abs=1e-3)
    again = alone(1.0, rate(8.0), 1, 1, pauses=(1.0, 2.0)).run(DAY)
    assert again.failed / again.arrived == pytest.approx(1 / 8, abs=1e-3)
    assert again.retried / again.arrived == pytest.approx(1 / 2 + 1 / 4, abs=1e-3)


def test_an_outage_shorter_than_the_pauses_is_bridged_by_them() -> None:
    def outage(seconds: float, pauses: tuple[float, ...]) -> LoadResult:
        world = alone(1.0, rate(8.0), pauses=pauses)
        world.level(1000.0, "a", 0)
        world.level(1000.0 + seconds, "a", 1)
        return world.run(4000.0)

    assert outage(30.0, ()).failed == pytest.approx(30.0, abs=0.5)
    assert outage(30.0, (60.0, 120.0)).failed < 3
    assert outage(600.0, (1.0, 2.0)).failed == pytest.approx(600.0, abs=6)


def test_shares_that_lack_of_one_have_nobody_to_ask() -> None:
    world = alone(1.0, rate(8.0))
    world.shares["s"] = {"a": 0.75, "somebody else": 0.25}
    result = world.run(DAY)
    assert result.failed / result.arrived == pytest.approx(0.25, abs=1e-3)


@pytest.mark.parametrize("breaks", [False, True])
def test_a_node_that_goes_finishes_what_it_has_or_breaks_it(breaks: bool) -> None:
    world = alone(1.8, rate(2.0, queue=200), breaks=breaks, limit=100.0)
    inside: list[float] = []
    world.at(3000.0, lambda: inside.append(sum(world.load.flow.members[0].inside)))
    world.level(3000.0, "a", 0)
    result = world.run(3600.0)
    lost = 1.8 * 600 + (inside[0] if breaks else 0)
    assert result.failed == pytest.approx(lost, rel=0.01)


def test_a_surge_ends_as_it_began_and_the_queue_is_worked_off() -> None:
    world = alone(0.5, rate(1.0, 4, 50), limit=5.0)
    world.at(1000.0, lambda: world.load.set_surge("s", 5.0))
    world.at(1100.0, lambda: world.load.set_surge("s", 1.0))
    result = world.run(DAY)
    late = [one for one in result.traffic if one.late > 0.1]
    assert late[0].at >= 1000.0
    assert late[-1].at < 1300.0
    assert world.load.queue("a") == pytest.approx(0.03, abs=0.1)


def test_of_two_services_at_one_member_each_waits_for_both() -> None:
    shares = {"s": {"a": 1.0}, "t": {"a": 1.0}}
    arrivals = {"s": steady(0.5), "t": steady(1.3)}
    both = World({"a": rate(2.0)}, {"a": nodes(1)}, shares, arrivals, retry=Retry(1))
    both.clock.run(DAY)
    small, large = both.load.results()
    whole = alone(1.8, rate(2.0)).run(DAY)
    assert small.ttft["p90"] == pytest.approx(whole.ttft["p90"], rel=0.02)
    assert small.late / small.arrived == pytest.approx(large.late / large.arrived, rel=0.02)
    assert small.late + large.late == pytest.approx(whole.late, rel=0.02)


def test_nodes_under_load_call_themselves_unready_for_two_minutes_and_stay_ready_for_one() -> None:
    world = alone(4.0, rate(2.0, 8, 20))
    told: list[tuple[float, float]] = []
    world.load.on_change.append(lambda: told.append((world.clock.now, world.load.answering("a"))))
    world.clock.run(900.0)
    assert [ready for _, ready in told] == [float(number % 2) for number in range(len(told))]
    times = [at for at, _ in told]
    unready = [after - before for before, after in zip(times[::2], times[1::2], strict=False)]
    ready = [after - before for before, after in zip(times[1::2], times[2::2], strict=False)]
    assert all(120 <= seconds <= 126 for seconds in unready)
    assert all(60 <= seconds <= 66 for seconds in ready)
    assert world.load.log[0][2:] == ("nodes call themselves unready: overloaded", "their load")


def test_a_queue_within_its_limit_can_be_too_slow() -> None:
    world = alone(2.2, rate(2.0, 8, 400, ttft_limit=10.0))
    world.clock.run(1200.0)
    assert world.load.log[0][2] == "nodes call themselves unready: slow"
    assert alone(1.0, rate(2.0, 8, 400, ttft_limit=10.0)).run(1200.0).failed < 1e-6


def test_the_hours_of_a_day_and_the_weekend_are_in_the_traffic() -> None:
    friday = datetime(2026, 11, 6, tzinfo=UTC)
    world = World(
        {"a": rate(8.0)}, {"a": nodes(1)}, {"s": {"a": 1.0}}, {"s": Arrivals(1.0, friday, OFFICE, 0.5)}
    )  # fmt: skip
    result = world.run(2 * DAY)
    by_hour = {one.at: one.arriving for one in result.traffic if one.at % HOUR == 0}
    assert by_hour[14 * HOUR] == pytest.approx(OFFICE[14], rel=1e-3)
    assert by_hour[DAY + 14 * HOUR] == pytest.approx(OFFICE[14] / 2, rel=1e-3)
    assert result.arrived == pytest.approx(1.5 * DAY, rel=1e-3)


def test_hours_are_those_of_the_clients_and_of_a_begin_within_an_hour() -> None:
    begin = datetime(2026, 11, 2, 10, 30, tzinfo=UTC)
    profile = [1.0] * 24
    profile[12] = 25.0
    arrivals = Arrivals(1.0, begin, profile, 1.0, utc_offset_hours=1.0)
    assert arrivals.rate(0.0) == pytest.approx(0.5)
    assert arrivals.following(0.0) == 1800.0
    assert arrivals.rate(1800.0) == pytest.approx(12.5)
    assert arrivals.peak == pytest.approx(12.5)


def test_a_place_of_which_nothing_is_known_answers_everything_unless_it_is_down() -> None:
    world = alone(100.0, None)
    world.level(1800.0, "a", 0)
    result = world.run(HOUR)
    assert result.served == pytest.approx(180_000)
    assert result.failed == pytest.approx(180_000)
    assert world.load.queue("a") is None


def test_at_one_time_the_load_sees_what_the_regions_have_become() -> None:
    """A level that falls and rises within one second is not seen."""
    world = alone(1.0, rate(8.0), breaks=True)
    for receiving in (0, 1):
        world.level(1000.0, "a", receiving)
    assert world.run(2000.0).failed < 1e-6


def test_samples_are_those_of_whole_minutes_and_none_where_nobody_reports() -> None:
    world = alone(3.0, rate(2.0, 8, 20))
    world.level(600.0, "a", 0)
    world.clock.run(725.0)
    signal = world.load.signals["a"]
    samples = signal.samples(14)
    assert samples[:2] == [None, None]  # before the beginning
    assert samples[2:4] != [None, None]
    assert samples[-2:] == [None, None]
    full = [one for one in samples if one is not None]
    assert len(full) == 10
    assert full[-1] == pytest.approx(18, abs=1.5)


def test_nodes_that_report_the_cpu_do_so_between_idle_and_a_full_batch() -> None:
    world = alone(0.0, rate(2.0))
    load = type(world.load)(
        world.clock, {"s": steady(9.0)}, {"a": rate(2.0)}, where=lambda service: {"a": 1.0},
        nodes=lambda member: nodes(1), limit_seconds=5.0, cpu={"a": (10.0, 50.0)},
    )  # fmt: skip
    world.clock.run(600.0)
    assert load.signals["a"].what == "cpu"
    assert load.signals["a"].samples(1)[0] == pytest.approx(50.0, abs=0.5)


BAD: tuple[tuple[type[Any], dict[str, Any], str], ...] = (
    (Arrivals, {"per_second": -1.0, "begin": MONDAY}, "load.perSecond = -1: expected a number of at least 0"),
    (Arrivals, {"per_second": 1.0, "begin": MONDAY, "profile": [1.0]}, "load.profile: 1 weights; expected 24"),
    (Arrivals, {"per_second": 1.0, "begin": MONDAY, "profile": [0.0] * 24}, "not all of them 0"),
    (Arrivals, {"per_second": 1.0, "begin": MONDAY, "weekend": -1.0}, "load.weekend = -1"),
    (Arrivals, {"per_second": 1.0, "begin": MONDAY, "osl": 0}, "load.osl = 0: expected at least one token"),
    (Retry, {"tries": 0}, "load.retry.tries = 0: expected 1 (never again) to 20"),
    (Retry, {"factor": 0.5}, "load.retry.factor = 0.5: expected a number of at least 1"),
)


@pytest.mark.parametrize(("kind", "values", "told"), BAD)
def test_figures_that_are_none_are_told_in_one_line(kind: type[Any], values: dict[str, Any], told: str) -> None:
    with pytest.raises(SpillwayError) as error:
        kind(**values)
    assert len(error.value.lines) == 1
    assert told in error.value.lines[0]


def test_a_surge_of_an_unknown_service_is_told() -> None:
    world = alone(1.0, rate())
    with pytest.raises(SpillwayError, match=r"t: no such service.*there are s"):
        world.load.set_surge("t", 2.0)
    with pytest.raises(SpillwayError, match="surge = -1"):
        world.load.set_surge("s", -1.0)


def test_a_gate_whose_times_are_no_round_figures_is_looked_at_again_later() -> None:
    for number in range(40):
        world = alone(0.0, rate(2.0, 4, 5))
        gate = world.load.gates["a"]
        gate.spot.receiving, gate.spot.inside, gate.spot.full, gate.spot.tried = 1, [8.9], 0.9, 100.0
        now = number * 0.37 + 1 / 3
        for _ in range(30):
            _, again = gate.look(now)
            assert now < again <= now + 126
            now = again
