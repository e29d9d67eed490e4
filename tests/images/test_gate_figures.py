"""vLLM's metrics: what is read, what is garbage, medians and rates from counters that begin anew."""

from __future__ import annotations

import contextlib
import math
import statistics

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from images.programs.gating.figures import (
    BROKEN,
    DONE,
    FAILED,
    OK,
    TOKENS,
    Garbage,
    Increments,
    Scrape,
    Window,
    increments,
    parse,
    quantile,
)  # fmt: skip
from tests.support.node.vllm_stand_in import TTFT_BUCKETS, Histogram

TEXT = """\
# HELP vllm:num_requests_waiting Number of requests waiting to be processed.
# TYPE vllm:num_requests_waiting gauge
vllm:num_requests_waiting{engine="0",model_name="m"} 3.0
vllm:num_requests_waiting{engine="1",model_name="m"} 4.0
vllm:num_requests_waiting_by_reason{engine="0",model_name="m",reason="capacity"} 99.0
vllm:num_requests_running{engine="0",model_name="a \\"quoted\\" } name"} 8.0 1700000000000
vllm:generation_tokens_total{engine="0",model_name="m"} 1234.0
vllm:request_success_total{engine="0",finished_reason="stop",model_name="m"} 10.0
vllm:request_success_total{engine="0",finished_reason="length",model_name="m"} 5.0
vllm:request_success_total{engine="0",finished_reason="abort",model_name="m"} 7.0
vllm:request_success_total{engine="0",finished_reason="error",model_name="m"} 2.0
vllm:time_to_first_token_seconds_bucket{engine="0",le="0.1",model_name="m"} 4.0
vllm:time_to_first_token_seconds_bucket{engine="0",le="+Inf",model_name="m"} 6.0
vllm:time_to_first_token_seconds_count{engine="0",model_name="m"} 6.0
http_requests_total{handler="/v1/chat/completions",method="POST",status="2xx"} 11.0
http_requests_total{handler="/v1/completions",method="POST",status="200"} 1.0
http_requests_total{handler="/v1/completions",method="POST",status="4xx"} 50.0
http_requests_total{handler="/v1/completions",method="POST",status="5xx"} 6.0
http_requests_total{handler="/v1/models",method="GET",status="2xx"} 500.0
http_requests_total{handler="none",method="POST",status="5xx"} 500.0
process_start_time_seconds 1.7e+09
some_other_metric{x="y"} what
"""


def test_what_is_needed_is_summed_over_engines_and_the_rest_is_passed_over() -> None:
    found = parse(TEXT)
    assert (found.waiting, found.running, found.started) == (7, 8, 1.7e9)
    assert found.totals == {OK: 12, FAILED: 6, DONE: 15, BROKEN: 2, TOKENS: 1234}
    assert found.ttft == {0.1: 4, math.inf: 6}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (('engine="0",model_name="m"} 3.0', "} NaN"), "vllm:num_requests_waiting has the value NaN"),
        (("} 3.0", "} +Inf"), "has the value"),
        (("} 3.0", "} -1"), "has the value"),
        (("} 3.0", "} 1e300"), "has the value"),
        (("} 3.0", "} three"), "has the value three"),
        (("} 3.0", ""), "is not in the text format"),
        (('le="0.1"', 'le="soon"'), "ends at soon"),
        (('le="0.1"', 'le="-Inf"'), "ends at -Inf"),
        (('le="0.1",', ""), "ends at nothing"),
        (("vllm:num_requests_waiting{", "vllm:queue{"), "there is no vllm:num_requests_waiting in it"),
    ],
)
def test_garbage_is_no_figure(change: tuple[str, str], told: str) -> None:
    with pytest.raises(Garbage, match=told):
        parse(TEXT.replace(*change))


def test_a_models_name_may_hold_what_unicode_takes_for_the_end_of_a_line() -> None:
    assert parse(TEXT.replace('model_name="m"', 'model_name="m\u2028n\x85"')) == parse(TEXT)


@settings(deadline=None)
@given(st.text())
def test_any_text_is_either_figures_or_garbage(text: str) -> None:
    for content in (text, TEXT + text, f"vllm:num_requests_waiting{text}", f"http_requests_total{{{text}}} 1"):
        with contextlib.suppress(Garbage):
            assert parse(content).waiting >= 0


def test_what_the_stand_in_writes_is_what_is_read() -> None:
    histogram = Histogram(TTFT_BUCKETS)
    for value in (0.03, 0.3, 3000.0):
        histogram.observe(value)
    lines = histogram.lines("vllm:time_to_first_token_seconds", 'engine="0"')
    found = parse("\n".join([*lines, "vllm:num_requests_waiting 0", "vllm:num_requests_running 0"]))
    assert found.ttft[0.04] == 1
    assert found.ttft[2560.0] == 2
    assert found.ttft[math.inf] == 3


def cumulative(values: list[float], bounds: list[float]) -> dict[float, float]:
    return {bound: float(sum(value <= bound for value in values)) for bound in [*bounds, math.inf]}


@settings(deadline=None)
@given(
    st.lists(st.floats(0, 3000), min_size=1, max_size=200),
    st.lists(st.floats(0.001, 2560), min_size=1, max_size=20, unique=True),
)
def test_the_median_is_in_the_bucket_where_the_median_is(values: list[float], bounds: list[float]) -> None:
    found = quantile(0.5, cumulative(values, bounds))
    assert found is not None
    true = sorted(values)[math.ceil(len(values) / 2) - 1]
    ends = [0.0, *sorted(bounds), math.inf]
    index = next(index for index in range(1, len(ends)) if true <= ends[index])
    upper = ends[index] if math.isfinite(ends[index]) else ends[index - 1]
    assert ends[index - 1] <= found <= upper


@settings(deadline=None)
@given(st.lists(st.floats(0.011, 100), min_size=50, max_size=200))
def test_the_median_of_fine_buckets_is_close_to_the_median(values: list[float]) -> None:
    bounds = [0.01 * 1.1**power for power in range(110)]
    found = quantile(0.5, cumulative(values, bounds))
    low, high = statistics.median_low(values), statistics.median_high(values)
    assert found is not None
    assert low / 1.11 <= found <= high * 1.11


def test_the_median_interpolates_as_prometheus_does() -> None:
    assert quantile(0.5, {1.0: 0, 2.0: 10, math.inf: 10}) == 1.5
    assert quantile(0.5, {1.0: 4, 2.0: 4, math.inf: 10}) == 2.0  # above the last bound
    assert quantile(0.5, {1.0: 10, math.inf: 10}) == 0.5
    assert quantile(0.5, {1.0: 6, 2.0: 5, math.inf: 10}) == pytest.approx(5 / 6)  # read while being written
    assert quantile(0.5, {1.0: 0, math.inf: 0}) is None
    assert quantile(0.5, {}) is None


def scrape(
    ok: float = 0, failed: float = 0, started: float | None = 1.0, ttft: dict[float, float] | None = None
) -> Scrape:
    return Scrape(0, 0, {OK: ok, FAILED: failed, DONE: 0, BROKEN: 0, TOKENS: 0}, ttft or {}, started)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 50), st.booleans()), max_size=40))
def test_nothing_is_lost_or_counted_twice_over_restarts(steps: list[tuple[int, bool]]) -> None:
    before: Scrape | None = scrape()
    total, counter, started, counted = 0, 0, 1.0, 0.0
    for number, restart in steps:
        if restart:
            counter, started = 0, started + 1
        counter += number
        total += number
        after = scrape(ok=counter, started=started)
        came, reset = increments(before, after)
        assert reset == restart
        counted += came.totals[OK]
        before = after
    assert counted == total


def test_counters_that_fall_are_another_process_even_when_it_does_not_say_when_it_began() -> None:
    came, reset = increments(scrape(ok=100, started=None), scrape(ok=3, started=None))
    assert reset
    assert came.totals[OK] == 3
    came, reset = increments(scrape(ttft={0.1: 5, math.inf: 5}), scrape(ttft={0.1: 4, math.inf: 5}))
    assert reset
    assert came.ttft == {0.1: 4, math.inf: 5}


def test_the_first_scrape_says_nothing_of_the_last_minutes() -> None:
    came, reset = increments(None, scrape(ok=10**6, failed=10**6))
    assert not reset
    assert set(came.totals.values()) == {0}


def add(window: Window, now: float, ok: float = 0, failed: float = 0, done: float = 0, broken: float = 0) -> None:
    window.add(Increments({OK: ok, FAILED: failed, DONE: done, BROKEN: broken, TOKENS: 0}, {}), now)


def test_the_error_rate_is_of_the_last_five_minutes_and_of_enough_requests() -> None:
    window = Window()
    add(window, 0, failed=2)
    assert window.error_rate(1) is None  # two of two are no rate
    add(window, 10, ok=18)
    assert window.error_rate(10) == pytest.approx(0.1)
    add(window, 200, ok=80)
    assert window.error_rate(200) == pytest.approx(0.02)
    assert window.error_rate(300.5) == 0
    assert window.error_rate(311) == 0
    assert window.error_rate(501) is None


def test_generations_that_break_after_their_200_are_errors_too() -> None:
    window = Window()
    add(window, 0, ok=100, done=80, broken=20)
    assert window.error_rate(1) == pytest.approx(0.2)


def test_the_median_is_of_the_last_minute() -> None:
    window = Window()
    for second in range(120):
        slow = second < 60
        window.add(Increments({}, {1.0: 0 if slow else 1, 2.0: 1, math.inf: 1}), second)
        if second == 59:
            assert window.ttft_p50(59) == pytest.approx(1.5)
    assert window.ttft_p50(119) == pytest.approx(0.5)
    assert window.ttft_p50(165) is None  # fewer than 20 left


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(0, 100), st.integers(0, 9), st.integers(0, 9)), max_size=60))
def test_a_rate_is_a_share_and_memory_is_bounded(steps: list[tuple[float, int, int]]) -> None:
    window, now = Window(), 0.0
    for gap, ok, failed in steps:
        now += gap
        add(window, now, ok=ok, failed=failed)
        rate = window.error_rate(now)
        assert rate is None or 0 <= rate <= 1
        assert all(when > now - 300 for when, _ in window._seen)
