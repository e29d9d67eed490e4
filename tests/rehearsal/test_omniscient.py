"""The least cost that a plan could have had: against every plan of tiny traces, played; and on the recorded half."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rehearsal import data, prices
from rehearsal.model import Market, Setting, Zone
from rehearsal.omniscient import Omniscient, held_throughout
from rehearsal.trace import Trace
from rehearsal.world import play
from tests.rehearsal.support import Any, Levels, setting, traced

STEP = 10.0
SPARE = 1e-7


def every_plan(trace: Trace, task: Setting) -> dict[float, float]:
    """Least cost by availability over all plans that hold 0 to N in each zone, and on demand, from each round on."""
    sources: list[tuple[str, Market]] = [(zone, "spot") for zone in trace.zones]
    sources.append((trace.zones[0], "on-demand"))
    most = [range(task.target + 1)] * (len(sources) * len(trace.times))
    best: dict[float, float] = {}
    for numbers in itertools.product(*most):
        rows = [numbers[index :: len(trace.times)] for index in range(len(trace.times))]

        def wanted(now: float, rows: Sequence[tuple[int, ...]] = rows) -> Mapping[tuple[str, Market], int]:
            return dict(zip(sources, rows[int(now // STEP)], strict=True))

        played = play(trace, Levels(task.tick, wanted), task)
        best[played.availability] = min(best.get(played.availability, float("inf")), played.cost())
    return best


@settings(max_examples=12, deadline=None)
@given(st.lists(st.integers(0, 1), min_size=5, max_size=5), st.floats(0.2, 3.5), st.sampled_from((0.0, 10.0, 20.0)))
def test_no_plan_costs_less_and_one_for_all_the_time_costs_as_much(row: list[int], spot: float, boot: float) -> None:
    trace = traced({"a": row}, step=STEP)
    task = setting(trace, boot=boot, tick=STEP, spot=spot)
    bound = Omniscient(trace, task)
    best = every_plan(trace, task)
    for availability, usd in best.items():
        assert bound.at(availability).usd <= usd + SPARE, availability
    assert bound.at(1.0).usd == pytest.approx(best[1.0])


@pytest.mark.parametrize(
    ("rows", "spot", "boot", "target"),
    [
        ({"a": [1, 0, 1, 1], "b": [1, 1, 1, 0]}, {"a": 1.0, "b": 1.2}, 10.0, 1),
        ({"a": [1, 1, 0, 1], "b": [0, 1, 1, 1]}, {"a": 1.0, "b": 2.9}, 10.0, 1),
        ({"a": [2, 1, 2, 0]}, {"a": 1.0}, 10.0, 2),
        ({"a": [1, 2, 2, 1]}, {"a": 1.0}, 20.0, 2),
    ],
)
def test_no_plan_over_zones_and_instances_costs_less(
    rows: dict[str, list[int]], spot: dict[str, float], boot: float, target: int
) -> None:
    trace = traced(rows, step=STEP)
    task = Setting(target, boot, STEP, setting(trace, spot=spot).zones)  # type: ignore[arg-type]
    best = every_plan(trace, task)
    bound = Omniscient(trace, task)
    assert all(bound.at(availability).usd <= usd + SPARE for availability, usd in best.items())
    assert bound.at(1.0).usd == pytest.approx(best[1.0])


@settings(max_examples=8, deadline=None)
@given(st.lists(st.integers(0, 1), min_size=4, max_size=4), st.floats(0.2, 3.5), st.sampled_from((0.0, 10.0)))
def test_a_plan_of_whole_instances_is_one_that_there_is(row: list[int], spot: float, boot: float) -> None:
    trace = traced({"a": row}, step=STEP)
    task = setting(trace, boot=boot, tick=STEP, spot=spot)
    bound, best = Omniscient(trace, task), every_plan(trace, task)
    for availability in best:
        plan = bound.plan(availability)
        assert plan
        assert plan.best
        assert plan.usd >= min(usd for reached, usd in best.items() if reached >= availability - SPARE) - SPARE
        assert bound.at(availability).usd <= plan.usd + SPARE, "the bound is still the bound"
    whole = bound.plan(1.0)
    assert whole
    assert whole.usd == pytest.approx(best[1.0])


def test_where_something_changes_in_every_round_the_plan_is_the_best_of_all() -> None:
    trace = traced({"a": [1, 2, 1, 0]}, step=STEP)
    task = setting(trace, target=2, boot=0.0, tick=STEP, spot=0.5)
    bound, best = Omniscient(trace, task), every_plan(trace, task)
    assert len(best) == 5
    for availability in best:
        plan = bound.plan(availability)
        assert plan
        assert plan.usd == pytest.approx(min(usd for share, usd in best.items() if share >= availability - SPARE))


def test_the_plan_on_the_recorded_half_is_a_little_above_the_bound() -> None:
    whole = data.trace("gcp-h100-2025-10")
    trace = whole.only([zone for zone in whole.zones if zone.startswith("us-central1")])
    bound = Omniscient(trace, Setting(3, 600.0, 60.0, bound_zones(trace)))
    plan, least = bound.plan(0.995), bound.at(0.995)
    assert plan
    assert plan.best
    assert least.usd < plan.usd < 1.01 * least.usd
    assert Omniscient(trace, Setting(3, trace.end, 60.0, bound_zones(trace))).plan(1.0), "nothing can be ready"
    with pytest.raises(ValueError, match="availability of 2"):
        bound.plan(2.0)


def test_a_search_that_is_broken_off_tells_what_it_has() -> None:
    trace = data.trace("gcp-h100-2025-10")
    bound = Omniscient(trace, Setting(3, 600.0, 60.0, bound_zones(trace)))
    found = bound.plan(0.995, seconds=0.0)
    assert found is None or (not found.best and found.usd >= bound.at(0.995).usd >= 0.99 * found.proved)


def bound_zones(trace: Trace) -> tuple[Zone, ...]:
    return prices.priced(trace.zones, data.price_list("gcp-h100-2025-10-23"))


@st.composite
def tasks(draw: st.DrawFn) -> tuple[Trace, Setting]:
    """Uneven rounds, boots that are no multiple of them, and prices that change."""
    times = [0.0, *sorted(draw(st.sets(st.integers(1, 200), min_size=1, max_size=10)))]
    rows = {zone: [draw(st.integers(0, 3)) for _ in times] for zone in "ab"}
    trace = traced(rows, step=30.0, times=[float(time) for time in times])

    def series(low: int) -> tuple[tuple[float, float], ...]:
        later = sorted(draw(st.sets(st.integers(1, 200), max_size=2)))
        return tuple((float(at), float(draw(st.integers(low, low + 5)))) for at in (0, *later))

    zones = tuple(Zone(zone, zone, "cloud", series(1), series(2)) for zone in "ab")
    return trace, Setting(draw(st.integers(1, 3)), draw(st.sampled_from((0.0, 13.0, 40.0))), 5.0, zones)


@settings(max_examples=60, deadline=None)
@given(tasks(), st.integers(0, 10**6))
def test_nothing_that_was_ever_played_costs_less_with_its_availability(task: tuple[Trace, Setting], seed: int) -> None:
    trace, given_setting = task
    bound = Omniscient(trace, given_setting)
    played = play(trace, Any(seed, 5.0), given_setting)
    if played.begin < played.end:
        assert bound.at(played.availability).usd <= played.cost() + SPARE


@settings(max_examples=30, deadline=None)
@given(tasks())
def test_more_availability_never_costs_less_and_each_bit_costs_at_least_the_last(task: tuple[Trace, Setting]) -> None:
    bound = Omniscient(*task)
    usd = [bound.at(step / 8).usd for step in range(9)]
    rises = [b - a for a, b in itertools.pairwise(usd)]
    assert usd[0] == pytest.approx(0.0, abs=SPARE)
    assert all(rise >= -SPARE for rise in rises)
    assert all(b >= a - SPARE for a, b in itertools.pairwise(rises))
    again = Omniscient(*task)
    assert [again.at(step / 8).usd for step in reversed(range(9))] == pytest.approx(usd[::-1], abs=SPARE)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=12), st.integers(0, 45), st.integers(1, 4))
def test_what_was_held_throughout_is_the_least_of_the_last_boot(row: list[int], boot: int, most: int) -> None:
    times = [7.0 * index for index in range(len(row))]
    end = times[-1] + 7.0
    found = held_throughout(times, row, float(boot), end, most)
    for now in range(boot, int(end)):
        held = [row[max(index for index, at in enumerate(times) if at <= then)] for then in range(now - boot, now + 1)]
        level = [count for at, count in found if at <= now][-1]
        assert level == min(*held, most), f"at {now} s"


def test_a_trace_no_longer_than_a_boot_costs_nothing_and_wrong_questions_are_refused() -> None:
    trace = traced({"a": [1, 1]})
    assert Omniscient(trace, setting(trace, boot=20.0)).at(1.0).usd == 0.0
    bound = Omniscient(trace, setting(trace, boot=10.0))
    for wrong in (-0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match="is not within 0 to 1"):
            bound.at(wrong)
    with pytest.raises(ValueError, match="the zones of the trace"):
        Omniscient(trace, setting(traced({"b": [1, 1]})))


@pytest.mark.parametrize(
    ("zones", "boot", "low", "high"),
    [
        ("*", 600.0, 0.180, 0.186),
        ("*", 120.0, 0.180, 0.183),
        ("us-", 600.0, 0.180, 0.186),
        ("us-central1", 120.0, 0.22, 0.29),
    ],
)
def test_the_bound_of_the_recorded_half_is_near_the_one_of_the_whole(
    zones: str, boot: float, low: float, high: float
) -> None:
    """0.181 with 13 zones and with the 8 of the US; 0.236 with the three of us-central1, which lack more here."""
    whole = data.trace("gcp-h100-2025-10")
    trace = whole.only([zone for zone in whole.zones if zones == "*" or zone.startswith(zones)])
    priced = prices.priced(trace.zones, data.price_list("gcp-h100-2025-10-23"))
    all_on_demand = 3 * min(zone.on_demand[0][1] for zone in priced) * trace.end / 3600
    assert low < Omniscient(trace, Setting(3, boot, 30.0, priced)).at(1.0).usd / all_on_demand < high


def test_the_solver_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    trace = traced({"a": [1, 0, 1]})
    Omniscient(trace, setting(trace)).at(1.0)
    assert capfd.readouterr() == ("", "")
