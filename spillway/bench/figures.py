"""What measured requests amount to: percentiles, rates, goodput, and the row of a record. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from cost.records import GoodputLimits, Refused, Row

MOST_ERRORS = 0.01
"""Share of failed requests above which a point is no measurement: what fails early is not work done."""
MOST_WRONG_OUTPUTS = 0.01
INPUT_TOLERANCE = 0.02
"""Of the mean length of prompts: tokenizers do not let every length be had exactly."""
BUSY_CLIENT = 0.8
"""Cores of one process above which the measuring side is part of what was measured."""


@dataclass(slots=True)
class Sample:
    """One request. Times are seconds of one monotonic clock; None: did not come to that."""

    started: float = 0.0
    arrivals: list[float] = field(default_factory=list)
    """When each piece with tokens in it came: one token each in vLLM, several where it speculates."""
    ended: float | None = None
    prompt_tokens: int | None = None
    output_tokens: int | None = None
    fault: str | None = None
    retry_after: float | None = None

    @property
    def ok(self) -> bool:
        return self.ended is not None and self.fault is None and bool(self.arrivals)

    @property
    def ttft(self) -> float:
        """Seconds from sending the request to the first token."""
        return self.arrivals[0] - self.started

    @property
    def tpot(self) -> float | None:
        """Seconds per output token after the first; None for an answer of one token."""
        tokens = self.output_tokens or len(self.arrivals)
        return (self.arrivals[-1] - self.arrivals[0]) / (tokens - 1) if tokens > 1 else None

    @property
    def e2e(self) -> float:
        """Seconds from sending the request to its last token."""
        return self.arrivals[-1] - self.started


@dataclass(slots=True)
class Run:
    """One repetition of a point: `begun` to `ended` the load was held at the full concurrency.

    measured: requests sent and ended in between; others: whatever else had tokens in that time.
    """

    begun: float
    ended: float
    measured: list[Sample]
    others: list[Sample] = field(default_factory=list)
    client_cpu: float = 0.0
    interrupted: bool = False
    gave_up: str | None = None

    @property
    def seconds(self) -> float:
        return max(self.ended - self.begun, 1e-9)

    @property
    def good(self) -> list[Sample]:
        return [sample for sample in self.measured if sample.ok]

    def tokens(self) -> float:
        """Output tokens that came while the load was held, of all requests."""
        done = self.good
        pieces = sum(len(sample.arrivals) for sample in done)
        usual = sum(sample.output_tokens or len(sample.arrivals) for sample in done) / pieces if pieces else 1.0
        total = 0.0
        for sample in (*self.measured, *self.others):
            inside = sum(self.begun < at <= self.ended for at in sample.arrivals)
            whole = sample.ok and sample.output_tokens is not None
            total += inside * ((sample.output_tokens or 0) / len(sample.arrivals) if whole else usual)
        return total


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` (0 to 1) of the values lie, interpolated linearly between neighbours (type 7 of
    Hyndman and Fan, https://doi.org/10.1080/00031305.1996.10473566; what numpy does). Raises ValueError without any."""
    if not values or not 0 <= share <= 1:
        raise ValueError("needs at least one value, and a share from 0 to 1")
    ordered = sorted(values)
    at = (len(ordered) - 1) * share
    low = math.floor(at)
    high = min(low + 1, len(ordered) - 1)
    if ordered[low] == ordered[high]:
        return ordered[low]
    return min(max(ordered[low] + (ordered[high] - ordered[low]) * (at - low), ordered[low]), ordered[high])


def within(sample: Sample, limits: GoodputLimits) -> bool:
    """Whether a request was answered inside both limits (DistServe's goodput, https://arxiv.org/abs/2401.09670)."""
    if not sample.ok:
        return False
    if limits.ttft_ms is not None and sample.ttft * 1000 > limits.ttft_ms:
        return False
    tpot = sample.tpot
    return limits.tpot_ms is None or tpot is None or tpot * 1000 <= limits.tpot_ms


def goodput(samples: Sequence[Sample], limits: GoodputLimits) -> tuple[float, float]:
    """(share of requests within the limits, share of output tokens that belong to them); failed ones are not within."""
    if not samples:
        return 0.0, 0.0
    good = [sample for sample in samples if within(sample, limits)]
    tokens = sum(_tokens(sample) for sample in samples if sample.ok)
    return len(good) / len(samples), sum(_tokens(sample) for sample in good) / tokens if tokens else 0.0


def _tokens(sample: Sample) -> int:
    return len(sample.arrivals) if sample.output_tokens is None else sample.output_tokens


def errors(runs: Sequence[Run]) -> dict[str, int]:
    """Failed requests by fault, the most frequent first."""
    found = Counter(sample.fault for run in runs for sample in run.measured if sample.fault)
    return {str(fault): number for fault, number in found.most_common()}


def judged(
    isl: int, osl: int, concurrency: int, runs: Sequence[Run], gpus: int, limits: GoodputLimits
) -> Row | Refused:
    """The row of a point, or why its runs are none: too many failures, or lengths that did not come out."""
    measured = [sample for run in runs for sample in run.measured]
    done = [sample for sample in measured if sample.ok]
    failed = errors(runs)

    def refused(reason: str) -> Refused:
        return Refused(isl=isl, osl=osl, concurrency=concurrency, reason=reason, errors=failed)

    gave_up = next((run.gave_up for run in runs if run.gave_up), None)
    if gave_up:
        return refused(gave_up)
    if not done:
        return refused("no request was answered")
    number = sum(failed.values())
    if number > MOST_ERRORS * len(measured):
        return refused(f"{number} of {len(measured)} requests failed, most often: {next(iter(failed))}")
    wrong = [sample for sample in done if sample.output_tokens != osl]
    if len(wrong) > MOST_WRONG_OUTPUTS * len(done):
        had = percentile([float(_tokens(sample)) for sample in wrong], 0.5)
        return refused(f"{len(wrong)} of {len(done)} answers are not {osl} tokens long (median of those: {had:g})")
    inputs = [sample.prompt_tokens for sample in done if sample.prompt_tokens is not None]
    isl_mean = sum(inputs) / len(inputs) if inputs else None
    if isl_mean is None or abs(isl_mean - isl) > max(1.0, INPUT_TOLERANCE * isl):
        return refused(f"prompts are {'of unknown length' if isl_mean is None else f'{isl_mean:.0f} tokens long'}")
    seconds = sum(run.seconds for run in runs)
    rate = sum(run.tokens() for run in runs) / seconds / gpus
    share, good_tokens = goodput(measured, limits)
    limited = limits.ttft_ms is not None or limits.tpot_ms is not None
    ttft = [sample.ttft * 1000 for sample in done]
    tpot = [found * 1000 for sample in done if (found := sample.tpot) is not None] or [0.0]
    e2e = [sample.e2e * 1000 for sample in done]
    return Row(
        isl=isl, osl=osl, concurrency=concurrency,
        requests=len(done), seconds=round(seconds, 2), output_tok_s=round(rate, 1),
        ttft_mean_ms=_mean(ttft), ttft_p50_ms=_at(ttft, 0.5), ttft_p95_ms=_at(ttft, 0.95), ttft_p99_ms=_at(ttft, 0.99),
        tpot_mean_ms=_mean(tpot), tpot_p50_ms=_at(tpot, 0.5), tpot_p95_ms=_at(tpot, 0.95), tpot_p99_ms=_at(tpot, 0.99),
        e2e_mean_ms=_mean(e2e), e2e_p50_ms=_at(e2e, 0.5), e2e_p95_ms=_at(e2e, 0.95), e2e_p99_ms=_at(e2e, 0.99),
        requests_s=round(len(done) / seconds, 3),
        goodput_tok_s=round(rate * good_tokens, 1) if limited else None,
        goodput_share=round(share, 4) if limited else None,
        isl_mean=round(isl_mean, 1),
        runs_tok_s=tuple(round(run.tokens() / run.seconds / gpus, 1) for run in runs),
        errors=failed or None,
        wrong_lengths=len(wrong) or None,
        client_cpu=round(max(run.client_cpu for run in runs), 2),
        interrupted=True if any(run.interrupted for run in runs) else None,
    )  # fmt: skip


def _mean(values: Sequence[float]) -> float:
    return round(sum(values) / len(values), 2)


def _at(values: Sequence[float], share: float) -> float:
    return round(percentile(values, share), 2)
