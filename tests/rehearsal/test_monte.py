"""Many runs: the same whatever the number of workers and runs; figures and how they spread."""

from __future__ import annotations

from functools import partial
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rehearsal import monte
from rehearsal.model import Faults
from rehearsal.monte import Draw, Figures, draws, of_policy, over, paired, repeat, repeated, spread, starts
from spillway.errors import SpillwayError
from tests.rehearsal.support import setting, traced

TRACE = traced({"a": [2, 0, 1, 2, 2, 0, 2, 2], "b": [1, 1, 1, 0, 1, 1, 1, 1]}, step=600.0)


def dice(scale: float, draw: Draw) -> float:
    return scale * draw.dice().random()


def refuses(draw: Draw) -> float:
    if draw.number == 3:
        raise SpillwayError(f"run {draw.number}: a reason")
    return 0.0


def figures(availability: float, usd: float = 1.0, share: float | None = 0.5) -> Figures:
    return Figures(availability, usd, share, 2.0, 1.0 - availability)


def test_a_run_is_the_same_whatever_the_number_of_runs_and_workers() -> None:
    task = partial(dice, 2.0)
    alone = repeat(task, 40, seed=7, workers=1)
    assert repeat(task, 40, seed=7, workers=3) == alone
    assert repeat(task, 10, seed=7, workers=1) == alone[:10]
    assert repeat(task, 40, seed=8, workers=1) != alone
    assert len(set(alone)) == 40


def test_progress_is_told_of_every_run_in_order_and_by_no_worker() -> None:
    told: list[str] = []
    repeat(partial(dice, 1.0), 9, workers=2, progress=told.append)
    assert told == [str(number) for number in range(9)]


@pytest.mark.parametrize("workers", [1, 2])
def test_what_goes_wrong_in_a_run_is_told_as_it_was(workers: int) -> None:
    with pytest.raises(SpillwayError, match="run 3: a reason"):
        repeat(refuses, 8, workers=workers)


@pytest.mark.parametrize("runs", [0, -1, monte.RUNS_MAX + 1])
def test_a_number_of_runs_is_from_one_to_a_limit(runs: int) -> None:
    with pytest.raises(SpillwayError, match=f"runs: {runs}: expected 1 to 100,000"):
        draws(runs, 0)


def test_no_work_needs_no_worker() -> None:
    assert list(over(partial(dice, 1.0), [], 2)) == []


def test_a_window_begins_at_a_round_from_which_it_fits() -> None:
    assert starts(TRACE, 3000.0) == [0.0, 600.0, 1200.0, 1800.0]
    assert starts(TRACE, TRACE.end) == [0.0]
    with pytest.raises(SpillwayError, match=r"tiny: holds 1\.33333 h; a window of 2 h does not fit"):
        starts(TRACE, 7200.0)
    drawn = [draw.start(starts(TRACE, 3000.0)) for draw in draws(200, 0)]
    assert {*drawn} == {0.0, 600.0, 1200.0, 1800.0}


def test_policies_are_played_over_the_same_windows() -> None:
    task = of_policy(TRACE, setting(TRACE, boot=60.0, tick=60.0), Faults(), ["on-demand", "spothedge"], 3000.0)
    found = repeat(task, 6, seed=3, workers=1)
    assert [row[0].availability for row in found] == [1.0] * 6
    assert [row[0].share for row in found] == pytest.approx([1.0] * 6)
    assert all(row[0].preemptions_per_day == 0 for row in found)
    assert any(row[1].preemptions_per_day > 0 for row in found)
    assert all(row[1].below_target_hours == pytest.approx((1 - row[1].availability) * 3000 / 3600) for row in found)
    alone = of_policy(TRACE, setting(TRACE, boot=60.0, tick=60.0), Faults(), ["spothedge"], 3000.0)
    assert [row[0] for row in repeat(alone, 6, seed=3, workers=1)] == [row[1] for row in found]


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40))
def test_a_spread_is_ordered_and_holds_its_mean_between_the_ends(values: list[float]) -> None:
    found = spread(values)
    ordered = [min(values), found.p10, found.p50, found.p90, max(values)]
    assert all(a <= b + 1e-6 for a, b in pairwise(ordered))
    assert min(values) - 1e-6 <= found.mean <= max(values) + 1e-6


def test_a_spread_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="needs a value"):
        spread([])


def test_figures_are_spread_and_a_share_only_where_every_run_has_one() -> None:
    found = repeated("deployed", [figures(0.9), figures(1.0), figures(0.95)])
    assert (found.variant, found.runs) == ("deployed", 3)
    assert found.availability.p50 == 0.95
    assert found.share
    assert found.share.mean == 0.5
    assert repeated("x", [figures(0.9), figures(1.0, share=None)]).share is None
    assert (found.availability_gained, found.usd_more) == (None, None)


def test_a_variant_that_is_repeated_differs_from_another_run_by_run() -> None:
    base = [figures(0.9, 3.0), figures(0.5, 9.0)] * 5
    found = repeated("keeper", [figures(one.availability + 0.05, one.usd - 1) for one in base], base)
    assert found.availability_gained
    assert found.usd_more
    assert found.availability_gained.mean == pytest.approx(0.05)
    assert found.usd_more.high == pytest.approx(-1), "the runs themselves are far apart"
    assert (found.availability_gained.better, found.usd_more.better) == (1.0, 0.0)


def test_a_difference_is_of_the_same_runs() -> None:
    base = [0.9, 0.5, 0.7, 0.8] * 5
    small = paired(base, [one + 0.01 for one in base])
    assert small.mean == pytest.approx(0.01)
    assert small.low == pytest.approx(0.01), "what windows do to both falls out"
    assert small.sure
    assert small.better == 1.0
    assert not paired(base, [one + (0.1 if n % 2 else -0.1) for n, one in enumerate(base)]).sure
    with pytest.raises(ValueError, match="20 runs and 1 are not pairs"):
        paired(base, [1.0])
