"""What a world may never do, for any policy: bills, boots, capacity; against a simulator that goes second by second."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rehearsal.model import HOUR, Decision, Faults, Launch, Setting, Zone
from rehearsal.trace import Trace
from rehearsal.world import Played, play
from tests.rehearsal import slow_world
from tests.rehearsal.support import Any, Script, setting, traced


@dataclass(frozen=True)
class Case:
    trace: Trace
    setting: Setting
    faults: Faults
    seed: int

    def played(self) -> Played:
        return play(self.trace, Any(self.seed, self.setting.tick), self.setting, self.faults)


def changing(draw: st.DrawFn, low: int) -> tuple[tuple[float, float], ...]:
    later = sorted(draw(st.sets(st.integers(1, 150), max_size=3)))
    return tuple((float(at), float(draw(st.integers(low, low + 9)))) for at in (0, *later))


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Rounds at uneven times that no tick has to meet, so that losses, boots and looks fall together and apart."""
    names = [f"zone-{letter}" for letter in "abc"[: draw(st.integers(1, 3))]]
    times = (0, *sorted(draw(st.sets(st.integers(1, 120), min_size=1, max_size=12))))
    rows = {name: [draw(st.integers(0, 4)) for _ in times] for name in names}
    trace = traced(rows, step=float(draw(st.integers(1, 40))), times=[float(at) for at in times])
    zones = tuple(Zone(name, name, "cloud", changing(draw, 1), changing(draw, 3)) for name in names)
    boot, tick = draw(st.sampled_from((0.0, 7.0, 10.0, 25.0))), draw(st.sampled_from((1.0, 5.0, 10.0)))
    faults = Faults(draw(st.sampled_from((0.0, 4.0, 10.0, 30.0))), draw(st.sampled_from((0.0, 13.0, 20.0))))
    return Case(trace, Setting(draw(st.integers(1, 3)), boot, tick, zones), faults, draw(st.integers(0, 10**6)))


@settings(max_examples=150, deadline=None)
@given(cases())
def test_a_world_of_events_is_the_world_second_by_second(case: Case) -> None:
    played = case.played()
    slow = slow_world.run(case.trace, Any(case.seed, case.setting.tick), case.setting, case.faults)
    end = case.trace.end
    assert [(one.zone, one.market, one.launched, one.ended) for one in played.instances] == [
        (one.zone, one.market, one.launched, end if one.ended is None else one.ended) for one in slow.things
    ]
    assert played.cost() == pytest.approx(sum(one.usd for one in slow.things))
    assert played.cost("spot") == pytest.approx(sum(one.usd for one in slow.things if one.market == "spot"))
    for second, ready in enumerate(slow.ready):
        level = [level for level in played.levels if level.at <= second][-1]
        assert (level.spot, level.on_demand) == ready, f"at {second} s"
    counted = [sum(ready) for ready in slow.ready][int(case.setting.boot) :]
    target = case.setting.target
    if counted:
        assert played.availability == pytest.approx(sum(ready >= target for ready in counted) / len(counted))
        assert played.zero == pytest.approx(counted.count(0) / len(counted))
        assert played.deficit == pytest.approx(sum(max(0, target - ready) for ready in counted))


@settings(max_examples=150, deadline=None)
@given(cases())
def test_bills_boots_capacity_and_levels_agree(case: Case) -> None:
    played = case.played()
    assert [one.id for one in played.instances] == list(range(len(played.instances)))
    assert sum(outcome.given for outcome in played.outcomes) == len(played.instances)
    for one in played.instances:
        assert one.ended is not None, "an instance without the end of its bill"
        assert 0 <= one.launched <= one.ended <= case.trace.end
        assert one.ready == one.launched + case.setting.boot
        assert one.cause in ("lost", "ended", "horizon")
    marks = {0.0, *case.trace.times, *(level.at for level in played.levels)}
    marks |= {moment for one in played.instances for moment in (one.launched, one.ready, one.ended or 0.0)}
    for now in sorted(mark for mark in marks if mark < case.trace.end):
        alive = [one for one in played.instances if one.launched <= now < (one.ended or 0.0)]
        kept = [one for one in alive if one.noticed is None or now < one.noticed]
        for zone, row in zip(case.trace.zones, case.trace.counts, strict=True):
            gives = [count for at, count in zip(case.trace.times, row, strict=True) if at <= now][-1]
            assert sum((one.zone, one.market) == (zone, "spot") for one in kept) <= gives, f"{zone} at {now:g} s"
        level = [level for level in played.levels if level.at <= now][-1]
        serving = [one.market for one in kept if one.ready <= now]
        assert (level.spot, level.on_demand) == (serving.count("spot"), serving.count("on-demand")), f"at {now:g} s"
    assert [level.at for level in played.levels] == sorted({level.at for level in played.levels})
    assert played.cost("spot") + played.cost("on-demand") == pytest.approx(played.cost())
    half = case.trace.end / 2
    assert played.cost(end=half) + played.cost(begin=half) == pytest.approx(played.cost())


@settings(max_examples=40, deadline=None)
@given(cases(), st.floats(0.1, 0.9))
@example(Case(traced({"a": [1, 1]}), setting(traced({"a": [1, 1]})), Faults(), 1), 0.5)
def test_the_same_input_gives_the_same_result_with_refusals_by_chance_too(case: Case, share: float) -> None:
    faults = Faults(case.faults.notice, case.faults.fail_seconds, share, seed=case.seed)
    first, second = (
        play(case.trace, Any(case.seed, case.setting.tick), case.setting, faults, log=True) for _ in range(2)
    )
    assert first == second
    assert all(outcome.given <= outcome.asked for outcome in first.outcomes)
    assert all((outcome.error is None) == (outcome.given == outcome.asked) for outcome in first.outcomes)


def test_what_a_price_that_changes_costs_is_the_sum_of_its_parts() -> None:
    trace = traced({"a": [2] * 10})
    zone = Zone("a", "a", "cloud", ((0.0, HOUR), (30.0, 2 * HOUR)), ((0.0, 5 * HOUR),))
    played = play(trace, Script({0.0: Decision([Launch("a", "spot", 1)])}), Setting(1, 20.0, 10.0, (zone,)))
    assert played.cost() == pytest.approx(30 * 1 + 70 * 2)
    assert played.cost(begin=20.0, end=40.0) == pytest.approx(10 * 1 + 10 * 2)
