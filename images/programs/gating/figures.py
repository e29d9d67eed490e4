"""What vLLM's /metrics says of queue, time to first token and errors: cumulative counters in, figures of the last
minutes out.
"""

from __future__ import annotations

import math
import re
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, TypeVar

WAITING: Final = "vllm:num_requests_waiting"
RUNNING: Final = "vllm:num_requests_running"
TTFT: Final = "vllm:time_to_first_token_seconds_bucket"
FINISHED: Final = "vllm:request_success_total"
GENERATED: Final = "vllm:generation_tokens_total"
HTTP: Final = "http_requests_total"
STARTED: Final = "process_start_time_seconds"
WANTED: Final = frozenset({WAITING, RUNNING, TTFT, FINISHED, GENERATED, HTTP, STARTED})

SAMPLE: Final = re.compile(r"([A-Za-z_:][A-Za-z0-9_:]*)(?:\{(.*)\})?\s+(\S+)(?:\s+-?\d+)?\s*")
"""A line of the text format (https://prometheus.io/docs/instrumenting/exposition_formats/): name, labels, value,
time.
"""
LABEL: Final = re.compile(r'([A-Za-z_][A-Za-z0-9_]*)="((?:[^"\\]|\\.)*)"')
MOST: Final = 1e15
"""No counter of requests gets there, and sums of floats stay exact below it."""

OK: Final = "ok"
FAILED: Final = "failed"
DONE: Final = "done"
BROKEN: Final = "broken"
TOKENS: Final = "tokens"
KINDS: Final = (OK, FAILED, DONE, BROKEN, TOKENS)

K = TypeVar("K")


class Garbage(ValueError):
    """No metrics of vLLM; the message is one line."""


@dataclass(frozen=True)
class Scrape:
    """One answer of /metrics, summed over engines and models.

    waiting, running: requests. totals: cumulative, by OK and FAILED (answers of POST /v1/... with 2xx and 5xx), DONE
    and BROKEN (generations that finished, and those that ended in an error, which a stream does after its 200), TOKENS
    (generated). ttft: cumulative number of requests by upper bound in seconds. started: unix seconds, None where vLLM
    does not say.
    """

    waiting: float
    running: float
    totals: Mapping[str, float]
    ttft: Mapping[float, float]
    started: float | None


def parse(text: str) -> Scrape:
    """Reads vLLM's metrics. Raises Garbage where the queue is not in it or a value is none (not finite, negative,
    absurd).
    """
    gauges: dict[str, float] = {}
    totals = dict.fromkeys(KINDS, 0.0)
    ttft: dict[float, float] = {}
    # Not splitlines(): the name of a model, in a label, may hold what Unicode takes for the end of a line.
    for line in text.split("\n"):
        if not line.startswith(("vllm:", "http_requests_total", "process_start")):
            continue
        name = line.split("{", 1)[0].split(None, 1)[0]
        if name not in WANTED:
            continue
        sample = SAMPLE.fullmatch(line)
        if sample is None:
            raise Garbage(f"a line of {name} is not in the text format")
        value = _number(sample[3], name)
        labels = dict(LABEL.findall(sample[2] or ""))
        if name == TTFT:
            bound = _bound(labels.get("le"))
            ttft[bound] = ttft.get(bound, 0.0) + value
        elif name == HTTP:
            if kind := _kind(labels):
                totals[kind] += value
        elif name == FINISHED:
            # An aborted request is one whose client left.
            reason = labels.get("finished_reason")
            if reason != "abort":
                totals[BROKEN if reason == "error" else DONE] += value
        elif name == GENERATED:
            totals[TOKENS] += value
        elif name == STARTED:
            gauges[name] = value
        else:
            gauges[name] = gauges.get(name, 0.0) + value
    if WAITING not in gauges or RUNNING not in gauges:
        raise Garbage(f"there is no {WAITING if WAITING not in gauges else RUNNING} in it")
    return Scrape(gauges[WAITING], gauges[RUNNING], totals, ttft, gauges.get(STARTED))


def _number(text: str, name: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= MOST:
        raise Garbage(f"{name} has the value {text[:40]}")
    return value


def _bound(text: str | None) -> float:
    try:
        bound = float(text or "")
    except ValueError:
        bound = math.nan
    if not bound >= 0:  # NaN too
        raise Garbage(f"a bucket of {TTFT} ends at {(text or 'nothing')[:40]}")
    return bound


def _kind(labels: Mapping[str, str]) -> str | None:
    # 4xx is the client's fault, and says nothing of the engine.
    if labels.get("method", "POST") != "POST" or not labels.get("handler", "").startswith("/v1/"):
        return None
    status = labels.get("status", "")
    return OK if status.startswith("2") else FAILED if status.startswith("5") else None


def quantile(share: float, buckets: Mapping[float, float]) -> float | None:
    """The `share` quantile of a histogram; None when it is empty.

    buckets: cumulative number of observations by upper bound. Linear within the bucket that holds it, from zero in the
    first; the highest finite bound where it lies above it: Prometheus' histogram_quantile
    (https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile).
    """
    counts: list[tuple[float, float]] = []
    most = 0.0
    for bound in sorted(buckets):
        most = max(most, buckets[bound])  # buckets are written one after another while requests go on
        counts.append((bound, most))
    if most <= 0:
        return None
    rank = share * most
    below, before = 0.0, 0.0
    for bound, count in counts:
        if count >= rank and count > before:
            if math.isinf(bound):
                return below
            below = min(below, bound)
            return min(bound, below + (bound - below) * (rank - before) / (count - before))
        if not math.isinf(bound):
            below = bound
        before = count
    return below


@dataclass(frozen=True)
class Increments:
    """What came in since the scrape before."""

    totals: Mapping[str, float]
    ttft: Mapping[float, float]


def increments(before: Scrape | None, now: Scrape) -> tuple[Increments, bool]:
    """The increase from one scrape to the next, and whether the counters began anew (another process).

    The first scrape of all is a baseline: nothing came in. After a reset everything that is counted came in since.
    """
    if before is None:
        return Increments(dict.fromkeys(now.totals, 0.0), dict.fromkeys(now.ttft, 0.0)), False
    reset = (
        _decreased(before.totals, now.totals)
        or _decreased(before.ttft, now.ttft)
        or (before.started is not None and now.started is not None and before.started != now.started)
    )
    if reset:
        return Increments(dict(now.totals), dict(now.ttft)), True
    return Increments(_difference(before.totals, now.totals), _difference(before.ttft, now.ttft)), False


def _decreased(before: Mapping[K, float], now: Mapping[K, float]) -> bool:
    return any(now.get(key, 0.0) < value for key, value in before.items())


def _difference(before: Mapping[K, float], now: Mapping[K, float]) -> dict[K, float]:
    return {key: value - before.get(key, 0.0) for key, value in now.items()}


@dataclass
class Window:
    """The last `errors` seconds of requests and the last `ttft` seconds of first tokens.

    Fewer than `fewest` requests say nothing: one failure of two is no rate.
    """

    errors: float = 300.0
    ttft: float = 60.0
    fewest: int = 20
    _seen: deque[tuple[float, Increments]] = field(default_factory=deque, repr=False)

    def add(self, came: Increments, now: float) -> None:
        self._seen.append((now, came))
        while self._seen and self._seen[0][0] <= now - max(self.errors, self.ttft):
            self._seen.popleft()

    def clear(self) -> None:
        self._seen.clear()

    def error_rate(self, now: float) -> float | None:
        """Share of requests that failed, by HTTP status or in mid-stream, whichever is larger; None: too few."""
        total = self._sum(self.errors, now)
        rates = [
            total[bad] / (total[good] + total[bad])
            for good, bad in ((OK, FAILED), (DONE, BROKEN))
            if total[good] + total[bad] >= self.fewest
        ]
        return max(rates, default=None)

    def ttft_p50(self, now: float) -> float | None:
        """Median seconds to the first token; None: too few."""
        buckets: dict[float, float] = {}
        for when, came in self._seen:
            if when > now - self.ttft:
                for bound, number in came.ttft.items():
                    buckets[bound] = buckets.get(bound, 0.0) + number
        return quantile(0.5, buckets) if max(buckets.values(), default=0.0) >= self.fewest else None

    def served_per_second(self, now: float) -> float:
        """Requests that ended well, over the last minute."""
        return self._sum(60.0, now)[OK] / 60.0

    def _sum(self, seconds: float, now: float) -> dict[str, float]:
        total = dict.fromkeys(KINDS, 0.0)
        for when, came in self._seen:
            if when > now - seconds:
                for kind, number in came.totals.items():
                    total[kind] += number
        return total
