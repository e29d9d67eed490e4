"""Throughput records, and the maths of what goes into them."""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cost import records
from cost.records import GoodputLimits, Refused, Row
from spillway.bench.figures import Run, Sample, goodput, judged, percentile, within

RECORDS = sorted((Path(records.__file__).parent / "data" / "throughput").glob("*.json"))
numbers = st.floats(min_value=0, max_value=1e6, allow_nan=False)


@given(st.lists(numbers, min_size=2, max_size=60), st.integers(1, 99))
def test_percentiles_are_those_of_the_statistics_module(values: list[float], at: int) -> None:
    wanted = statistics.quantiles(values, n=100, method="inclusive")[at - 1]
    assert percentile(values, at / 100) == pytest.approx(wanted, rel=1e-9, abs=1e-6)


@given(st.lists(numbers, min_size=1), st.floats(0, 1), st.floats(0, 1))
def test_percentiles_lie_inside_the_values_and_rise(values: list[float], a: float, b: float) -> None:
    low, high = sorted((a, b))
    assert min(values) <= percentile(values, low) <= percentile(values, high) * (1 + 1e-12) <= max(values) * (1 + 1e-12)


samples = st.builds(
    lambda first, gap, count, fault: Sample(
        started=0.0,
        arrivals=[first + gap * i for i in range(count)],
        ended=first + gap * count,
        prompt_tokens=10,
        output_tokens=count,
        fault=fault,
    ),
    st.floats(0.001, 10),
    st.floats(0, 1),
    st.integers(1, 20),
    st.sampled_from([None, None, None, "HTTP 503"]),
)
limits = st.builds(
    GoodputLimits,
    ttft_ms=st.none() | st.floats(1, 10_000),
    tpot_ms=st.none() | st.floats(1, 1000),
)


@given(st.lists(samples, min_size=1, max_size=30), limits)
def test_goodput_is_a_share_and_no_limits_leave_only_failures_out(found: list[Sample], limit: GoodputLimits) -> None:
    share, tokens = goodput(found, limit)
    assert 0 <= share <= 1
    assert 0 <= tokens <= 1
    everything, all_tokens = goodput(found, GoodputLimits())
    assert everything == sum(sample.fault is None for sample in found) / len(found)
    assert all_tokens in (0, 1)
    assert share <= everything


@given(st.lists(samples, min_size=1, max_size=30), st.floats(1, 10_000), st.floats(1, 1000), st.floats(1, 3))
def test_goodput_never_falls_when_limits_are_loosened(
    found: list[Sample], ttft: float, tpot: float, more: float
) -> None:
    tight = GoodputLimits(ttft_ms=ttft, tpot_ms=tpot)
    loose = GoodputLimits(ttft_ms=ttft * more, tpot_ms=tpot * more)
    assert goodput(found, tight)[0] <= goodput(found, loose)[0]
    assert all(within(sample, loose) for sample in found if within(sample, tight))


def test_tokens_are_counted_while_the_load_was_held_only() -> None:
    inside = Sample(0.0, [1.0, 2.0, 3.0], 3.1, 10, 3)
    across = Sample(-1.0, [-0.5, 0.0, 0.5, 1.0], 1.1, 10, 8)  # two tokens in each piece
    cancelled = Sample(2.0, [2.5, 3.5])
    run = Run(begun=0.0, ended=3.0, measured=[inside], others=[across, cancelled])
    assert run.tokens() == 3 + 2 * 2 + 1


@pytest.mark.parametrize(("broken", "said"), [(4, "4 of 100 requests failed"), (1, None)])
def test_one_failure_in_a_hundred_is_told_and_more_are_no_figure(broken: int, said: str | None) -> None:
    good = [Sample(0.0, [0.5, 1.0], 1.0, 32, 2) for _ in range(100 - broken)]
    failed = [Sample(0.0, [], 0.1, fault="HTTP 503") for _ in range(broken)]
    found = judged(32, 2, 8, [Run(0.0, 2.0, good + failed)], 1, GoodputLimits())
    assert found.errors == {"HTTP 503": broken}
    if said:
        assert isinstance(found, Refused)
        assert said in found.reason
    else:
        assert isinstance(found, Row)
        assert found.requests == 99


def test_prompts_of_another_length_are_no_figure() -> None:
    run = Run(0.0, 2.0, [Sample(0.0, [0.5, 1.0], 1.0, 40, 2)] * 4)
    found = judged(32, 2, 1, [run], 1, GoodputLimits())
    assert isinstance(found, Refused)
    assert found.reason == "prompts are 40 tokens long"


def test_rates_are_per_gpu() -> None:
    run = Run(0.0, 2.0, [Sample(0.0, [0.5, 1.0], 1.0, 32, 2)] * 4)
    one, eight = (judged(32, 2, 1, [run], gpus, GoodputLimits()) for gpus in (1, 8))
    assert isinstance(one, Row)
    assert isinstance(eight, Row)
    assert (one.output_tok_s, eight.output_tok_s) == (4.0, 0.5)


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.stem)
def test_every_record_of_the_repository_is_valid_and_loses_nothing(path: Path) -> None:
    told: Any = json.loads(path.read_text())
    assert json.loads(records.text(records.read(path))) == told


def test_there_is_a_record() -> None:
    assert RECORDS


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"metric": "requests per minute"}, "metric: String should match pattern"),
        ({"measured_on": "yesterday"}, "measured_on: "),
        ({"colour": "red"}, "colour: Extra inputs are not permitted"),
        ({"series": []}, "series: "),
    ],
)
def test_a_bad_record_is_told_by_key(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    path = tmp_path / "r.json"
    path.write_text(json.dumps(json.loads(RECORDS[0].read_text()) | change))
    with pytest.raises(records.RecordError) as caught:
        records.read(path)
    assert caught.value.lines[0].startswith(f"{path}: {said}")


def test_a_point_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    told = json.loads(RECORDS[0].read_text())
    told["series"][0]["rows"].append(told["series"][0]["rows"][0])
    (tmp_path / "r.json").write_text(json.dumps(told))
    with pytest.raises(records.RecordError, match=r"series\[0\]: .*1024 in, 512 out, concurrency 1: is there twice"):
        records.read(tmp_path / "r.json")
