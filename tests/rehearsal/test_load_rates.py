"""What a node answers: from a record, of its own machine or of another."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from cost.records import Row, Series, ThroughputRecord
from rehearsal.fleet import Region, load_stack_files
from rehearsal.load import ServiceRate, from_record, newest, read
from rehearsal.load.machines import node_rate
from rehearsal.load.station import quantiles, station
from spillway.errors import SpillwayError

ROOT = Path(__file__).parents[2]


def row(isl: int, osl: int, concurrency: int, output_tok_s: float, ttft_ms: float = 100.0) -> Row:
    return Row(
        isl=isl, osl=osl, concurrency=concurrency, requests=9, seconds=9.0, output_tok_s=output_tok_s,
        ttft_mean_ms=ttft_ms, ttft_p50_ms=ttft_ms, ttft_p95_ms=ttft_ms,
        tpot_mean_ms=10.0, tpot_p50_ms=10.0, tpot_p95_ms=10.0,
    )  # fmt: skip


def record(
    *rows: Row, gpus: int | None = None, model: str = "Llama 70B", hardware: str = "1x H200"
) -> ThroughputRecord:
    series = Series(model=model, precision="FP8 weights", rows=rows)
    return read(newest()).model_copy(update={"series": (series,), "gpus": gpus, "hardware": hardware})


def rate(of: ThroughputRecord, isl: int = 1000, osl: int = 100, concurrency: int = 8, **more: float) -> ServiceRate:
    return from_record(of, isl=isl, osl=osl, concurrency=concurrency, queue=10, **more)  # type: ignore[arg-type]


@cache
def regions() -> dict[str, Region]:
    return {one.stack: one for one in load_stack_files(ROOT / "stacks").regions}


def test_a_measured_point_is_met_and_rates_between_are_on_a_line() -> None:
    one = rate(record(row(1000, 100, 1, 50.0), row(1000, 100, 8, 200.0)))
    assert one.rates[0] == pytest.approx(0.5)
    assert one.capacity == one.rates[7] == pytest.approx(2.0)
    assert one.rates[3] == pytest.approx(0.5 + 1.5 * 3 / 7)
    assert not one.sources[0].mapped


def test_beyond_the_last_point_it_stays_and_is_told() -> None:
    one = rate(record(row(1000, 100, 1, 50.0), row(1000, 100, 4, 200.0)), concurrency=16)
    assert one.rates[15] == one.rates[3] == pytest.approx(2.0)
    assert "beyond 4 at once as at 4" in one.sources[0].note


def test_a_rate_is_per_gpu_and_a_node_has_them_all() -> None:
    rows = row(1000, 100, 1, 50.0), row(1000, 100, 8, 200.0)
    assert rate(record(*rows, gpus=4)).capacity == pytest.approx(4 * rate(record(*rows)).capacity)


def test_prompts_cost_what_two_lengths_of_them_show() -> None:
    """4 s for ten answers with 1,000 tokens before each, 7 s with 4,000: 0.1 ms a token."""
    told = record(row(1000, 100, 10, 250.0), row(4000, 100, 10, 1000 / 7))
    one = rate(told, isl=1000, concurrency=10)
    assert one.prefill == pytest.approx(0.1)
    assert rate(told, isl=2000, concurrency=10).rates[9] == pytest.approx(1 / (0.4 + 0.1))
    assert rate(told, isl=1000, osl=200, concurrency=10).rates[9] == pytest.approx(1 / (0.1 + 0.3 * 2))
    assert rate(told, isl=2000, concurrency=10).sources[0].mapped


def test_without_a_second_length_the_lone_request_tells_what_a_prompt_costs() -> None:
    assert rate(record(row(1000, 100, 1, 50.0, ttft_ms=200.0))).prefill == pytest.approx(0.2)


def test_factors_are_in_the_rate_and_in_its_source() -> None:
    told = record(row(1000, 100, 1, 50.0, ttft_ms=200.0))
    twice = rate(told, factor=2.0)
    assert twice.rates[0] == pytest.approx(2 * rate(told).rates[0])
    assert twice.prefill == pytest.approx(0.1)
    assert twice.sources[0].mapped
    prompts = rate(told, factor=1.0, prefill_factor=2.0)
    assert prompts.prefill == pytest.approx(0.1)
    assert prompts.rates[0] == pytest.approx(1 / (2.0 - 0.1))
    with pytest.raises(SpillwayError, match="factor = 0: expected a number above 0"):
        rate(told, factor=0.0)


def test_words_that_name_no_series_or_several_are_told() -> None:
    shipped = read(newest())
    for model, why in (("90B", "not in it"), ("Llama", "several are of it"), (None, "several series")):
        with pytest.raises(SpillwayError, match=why):
            from_record(shipped, model=model, isl=1024, osl=512, concurrency=8, queue=10)


def test_a_file_that_is_no_record_is_told(tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text("{}")
    with pytest.raises(SpillwayError, match=r"bad\.json: "):
        read(tmp_path / "bad.json")
    with pytest.raises(SpillwayError, match="No such file"):
        read(tmp_path / "none.json")
    with pytest.raises(SpillwayError, match="holds no throughput record"):
        newest(tmp_path / "empty")


@pytest.mark.parametrize("stack", ["aws-us-east-1", "azure-eastus", "gcp-us-central1", "tencent-ap-guangzhou"])
def test_a_shipped_stack_has_a_rate_that_says_what_stands_for_what(stack: str) -> None:
    """8 x 1.555 TB/s over 70.55B in 16 bits, against 4.8 TB/s over 70B in 8."""
    region = regions()[stack]
    one, measured = node_rate(region, 1024, 512), _shipped("70B")
    decode = 8 * 1.555 / (70.55 * 2) / (4.8 / 70)
    if stack != "tencent-ap-guangzhou":
        assert one.rates[0] / measured.rates[0] == pytest.approx(decode, rel=0.02)
    assert one.concurrency == region.node.concurrency
    assert one.queue == region.node.queue
    assert one.sources[0].mapped
    assert "8 x A100 40 GB" in one.sources[0].note
    assert "1 x H200" in one.sources[0].note


def _shipped(model: str) -> ServiceRate:
    return from_record(read(newest()), model=model, isl=1024, osl=512, concurrency=64, queue=100)


def test_a_mixture_of_experts_is_read_whole_but_only_its_active_part_is_computed() -> None:
    one, measured = node_rate(regions()["aws-us-east-2"], 1024, 512), _shipped("70B")
    assert one.rates[0] / measured.rates[0] == pytest.approx(8 * 70 / 671, rel=0.05)
    assert measured.prefill / one.prefill == pytest.approx(8 * 70 / 37, rel=0.05)


def test_a_factor_that_is_given_holds_and_one_that_cannot_be_known_is_asked_for(tmp_path: Path) -> None:
    region = regions()["aws-us-east-1"]
    assert node_rate(region, 1024, 512, model="70B", factor=3.0).capacity == pytest.approx(3 * _shipped("70B").capacity)
    path = tmp_path / "mine.json"
    path.write_text(record(row(1024, 512, 1, 50.0), hardware="a box").model_dump_json(exclude_none=True))
    assert node_rate(region, 1024, 512, record=path, factor=1.0, why="the same box").capacity > 0
    with pytest.raises(SpillwayError, match=r"load\.factor: nothing is known of mine\.json: a box"):
        node_rate(region, 1024, 512, record=path)


def test_requests_longer_than_the_model_takes_are_told() -> None:
    with pytest.raises(SpillwayError, match=r"load\.isl \+ load\.osl = 40512: its model takes 32768 tokens"):
        node_rate(regions()["aws-us-east-1"], 40_000, 512)


def test_a_rate_needs_figures_above_nothing() -> None:
    for rates, queue in (((), 5), ((1.0, 0.0), 5), ((1.0,), 0)):
        with pytest.raises(SpillwayError, match="service rate"):
            ServiceRate(rates, queue, 0.0)


def test_a_station_is_the_queue_of_the_books() -> None:
    """M/M/1/K and M/M/c/K in closed form: Kleinrock, Queueing Systems 1, sections 3.6 and 3.7."""
    one = station((2.0,), 9)
    row = min(range(1, len(one.number)), key=lambda place: abs(one.loads[place] - 1.5))
    rho = float(one.loads[row]) / 2.0
    chances = [rho**n * (1 - rho) / (1 - rho**11) for n in range(11)]
    assert one.refused[row] == pytest.approx(chances[10])
    assert one.number[row] == pytest.approx(sum(n * chance for n, chance in enumerate(chances)))
    assert one.wait[row] == pytest.approx(one.waiting[row] / one.departures[row])  # Little's law
    several = station((1.0, 2.0, 3.0, 4.0), 200)
    row = min(range(1, len(several.number)), key=lambda place: abs(several.loads[place] - 3.0))
    load = float(several.loads[row])
    erlang_b = 1.0
    for servers in range(1, 5):
        erlang_b = load * erlang_b / (servers + load * erlang_b)
    erlang_c = erlang_b / (1 - load / 4 * (1 - erlang_b))
    assert several.beyond[row][0] == pytest.approx(erlang_c, rel=1e-6)
    assert several.wait[row] == pytest.approx(erlang_c / (4 - load), rel=1e-6)


def test_quantiles_and_lateness_tell_the_same() -> None:
    one = station((1.0, 1.5, 1.8), 30)
    for place in (80, 120, 160):
        (seconds,) = quantiles(one.times, one.beyond[place], (0.9,))
        if seconds:
            assert one.late(seconds)[place] == pytest.approx(0.1, abs=0.005)
    assert one.late(-1.0).min() == 1.0
    assert list(one.number) == sorted(one.number)


def test_rates_of_a_region_are_those_of_its_own_limits() -> None:
    region = regions()["aws-us-east-1"]
    narrow = replace(region, node=replace(region.node, concurrency=4, queue=7, ttft_p50_ms=1500))
    one = node_rate(narrow, 1024, 512)
    assert (one.concurrency, one.queue, one.ttft_limit) == (4, 7, 1.5)
