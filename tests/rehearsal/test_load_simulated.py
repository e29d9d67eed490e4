"""The fluid of rehearsal/load against a simulation of single requests."""

from __future__ import annotations

import statistics
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rehearsal.load import ServiceRate
from tests.rehearsal.load_support import alone, rate
from tests.rehearsal.simulated_load import simulate


@dataclass(frozen=True)
class Case:
    one: ServiceRate
    count: int
    refusing: int
    pauses: tuple[float, ...]
    phases: tuple[tuple[float, float], ...]
    limit: float


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Load that goes up and down around what the nodes can do. Pauses are no shorter than a node's time for a few
    requests, as flow.py says."""
    one = rate(1.0, draw(st.integers(1, 10)), draw(st.integers(4, 20)), draw(st.floats(0.1, 10)))
    count = draw(st.integers(1, 3))
    first = draw(st.floats(2.0, 20.0))
    pauses = tuple(first * 2**number for number in range(draw(st.integers(0, 2))))
    loads = st.floats(0.2, 1.6)
    phases = tuple((150.0, draw(loads) * count) for _ in range(3))
    limit = draw(st.floats(0.1, 1.0)) * (one.queue + 1)
    return Case(one, count, draw(st.integers(0, 1)), pauses, phases, limit)


@settings(max_examples=6, deadline=None)
@given(cases())
def test_what_becomes_of_requests_is_what_becomes_of_them_one_by_one(case: Case) -> None:
    world = alone(1.0, case.one, case.count, case.refusing, case.pauses, case.limit)
    at = 0.0
    for seconds, arriving in case.phases:
        world.at(at, lambda arriving=arriving: world.load.set_surge("s", arriving))  # type: ignore[misc]
        at += seconds
    fluid = world.run(at)
    runs = [
        simulate(case.one.rates, case.one.queue, case.count, case.phases, case.pauses, case.refusing, seed)
        for seed in range(12)
    ]
    arrived = sum(run.arrived for run in runs)
    failed = [run.failed / run.arrived for run in runs]
    late = [sum(wait > case.limit for wait in run.waits) / run.arrived for run in runs]
    tried = [run.retried / run.arrived for run in runs]
    assert fluid.arrived == pytest.approx(arrived / len(runs), rel=0.1)

    def near(figure: float, runs: list[float], allowed: float) -> None:
        noise = 4 * statistics.stdev(runs) / len(runs) ** 0.5
        assert figure / fluid.arrived == pytest.approx(statistics.mean(runs), abs=allowed + noise)

    near(fluid.failed, failed, 0.02)
    near(fluid.late, late, 0.06)
    near(fluid.retried, tried, 0.05)


@pytest.mark.parametrize("load", [0.5, 0.9, 1.0, 1.3])
def test_at_a_steady_load_waits_have_the_distribution_of_single_requests(load: float) -> None:
    one = rate(1.0, 4, 10)
    fluid = alone(load, one).run(40_000.0)
    waits = sorted(simulate(one.rates, one.queue, 1, [(40_000.0, load)], (), seed=1).waits)
    for name, share in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99)):
        assert fluid.ttft[name] == pytest.approx(waits[int(share * len(waits))], abs=0.3, rel=0.05)
