"""How fast one node answers, from a throughput record of some machine.

A request costs its prompt and its answer: s(n) = isl * a + osl * b(n) seconds of the machine, where n is how many run
in one batch. The record gives osl / s(n) at some n (output tokens per second); `a`, seconds per prompt token, is from
two rows of one concurrency with different prompts, or else from the time to first token of a request that is alone.
Prompts are bound by arithmetic, so `a` is taken as the same in every batch; b(n) falls with n, since a step of decoding
reads the weights once for all of them (https://arxiv.org/abs/2211.05102, section 2). Between measured n rates are on
straight lines, beyond the last one they stay.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cost import records
from cost.records import RecordError, Row, Series, ThroughputRecord
from infra.faults import did_you_mean, listed
from rehearsal.load.station import Station, station
from rehearsal.result import Source
from spillway.errors import SpillwayError

FOLDER: Final = Path(__file__).parents[2] / "cost" / "data" / "throughput"


@dataclass(frozen=True, slots=True)
class ServiceRate:
    """What one node does. rates: requests per second that a batch of 1, 2, ... answers; its length is the most that run
    at once. queue: how many may wait before the gate answers 503. ttft_limit: seconds of median time to first token
    beyond which the node calls itself unready; None: never. prefill: seconds of the prompt alone on an idle node.
    sources: where the figures are from."""

    rates: tuple[float, ...]
    queue: int
    prefill: float
    ttft_limit: float | None = None
    sources: tuple[Source, ...] = ()

    def __post_init__(self) -> None:
        if not self.rates or not all(math.isfinite(one) and one > 0 for one in self.rates):
            raise SpillwayError("service rate: expected requests per second above 0 for each size of the batch")
        if self.queue < 1:
            raise SpillwayError(f"service rate: queue = {self.queue}: expected at least 1")

    @property
    def concurrency(self) -> int:
        return len(self.rates)

    @property
    def capacity(self) -> float:
        """Requests per second at most."""
        return max(self.rates)

    @property
    def station(self) -> Station:
        return station(self.rates, self.queue)


def from_record(
    record: ThroughputRecord,
    *,
    model: str | None = None,
    isl: int,
    osl: int,
    concurrency: int,
    queue: int,
    ttft_limit: float | None = None,
    factor: float = 1.0,
    prefill_factor: float | None = None,
    why_factor: str = "",
    machine: str = "",
    name: str = "throughput record",
) -> ServiceRate:
    """A node's rate from a record.

    model: words of the series' model; None: the record's only one. concurrency, queue: the node's own limits. factor:
    how much faster than what was measured (all of its GPUs together) the node decodes, prefill_factor: reads prompts
    (None: as much), with the reason; `machine`: what it is then. name: of the record's file, for the source. Raises
    SpillwayError for a series that is not there.
    """
    series = series_of(record, model, name)
    rows = _rows(series, isl, name)
    for key, value in (("factor", factor), ("prefill factor", prefill_factor)):
        if value is not None and not (math.isfinite(value) and value > 0):
            raise SpillwayError(f"{name}: {key} = {value:g}: expected a number above 0")
    gpus = record.gpus or 1
    per_token, reads = _per_prompt_token(series, gpus), prefill_factor or factor
    shape = rows[0].isl, rows[0].osl

    def request_rate(row: Row) -> float:
        whole = row.osl / (row.output_tok_s * gpus)
        decode = (whole - per_token * row.isl) / row.osl
        if decode <= 0:  # prompts alone took longer than that: the share of the whole has to do
            return factor / (whole * (isl + osl) / (row.isl + row.osl))
        return 1 / (per_token * isl / reads + decode * osl / factor)

    points = [(float(row.concurrency), request_rate(row)) for row in rows]
    rates = tuple(_between(points, n) for n in range(1, concurrency + 1))
    same = (isl, osl) == shape
    notes = [f"{series.model}, {series.precision}, {record.engine.split(',')[0]} on {record.hardware}"]
    if not same:
        notes.append(f"measured with {shape[0]} tokens in and {shape[1]} out, counted with {isl} and {osl}")
    if factor != 1 or machine:
        notes.append(f"taken {factor:.3g} times as fast for {machine or 'the node'}: {why_factor or 'as stated'}")
    if concurrency > rows[-1].concurrency:
        notes.append(f"beyond {rows[-1].concurrency} at once as at {rows[-1].concurrency}")
    source = Source(
        what=f"service rate of {machine}" if machine else "service rate",
        name=name,
        origin=record.engine.split(",")[0],
        date=record.measured_on.isoformat(),
        note="; ".join(notes),
        mapped=bool(machine) or factor != 1 or not same,
    )
    return ServiceRate(rates, queue, per_token * isl / reads, ttft_limit, (source,))


def read(path: Path) -> ThroughputRecord:
    """The record of a file; SpillwayError where it is none."""
    try:
        return records.read(path)
    except RecordError as error:
        raise SpillwayError(*error.lines) from None
    except OSError as error:
        raise SpillwayError(f"{path}: {error.strerror}; expected a throughput record") from None


def newest(folder: Path = FOLDER) -> Path:
    """The newest record of a folder, by its name's date."""
    found = sorted(folder.glob("*.json"), key=lambda path: (path.stem[-10:], path.stem))
    if not found:
        raise SpillwayError(f"{folder}: holds no throughput record (*.json)")
    return found[-1]


def series_of(record: ThroughputRecord, model: str | None, name: str) -> Series:
    """The one series that these words name; None: the only one. Raises SpillwayError."""
    names = [series.model for series in record.series]
    found = [one for one in record.series if model is None or model.lower() in one.model.lower()]
    if len(found) == 1:
        return found[0]
    told = "several series" if model is None else f"model = {model}"
    why = "several are of it" if len(found) > 1 else f"not in it{did_you_mean(model or '', names)}"
    raise SpillwayError(f"{name}: {told}: {why}; has {listed(names, 'and')}; expected words that only one of them has")


def _rows(series: Series, isl: int, name: str) -> list[Row]:
    """Rows of one shape, by concurrency: of the prompt length with most of them; the nearest, where several have."""
    usable = [row for row in series.rows if row.output_tok_s > 0]
    shapes = {(row.isl, row.osl) for row in usable}
    if not shapes:
        raise SpillwayError(f"{name}: {series.model}: no row with a rate above 0")

    def rank(shape: tuple[int, int]) -> tuple[int, float, int]:
        count = sum((row.isl, row.osl) == shape for row in usable)
        return -count, abs(math.log(shape[0] / isl)), shape[0]

    best = min(shapes, key=rank)
    return sorted((row for row in usable if (row.isl, row.osl) == best), key=lambda row: row.concurrency)


def _per_prompt_token(series: Series, gpus: int) -> float:
    """Seconds of the machine for each token of a prompt."""
    found = []
    for one in series.rows:
        for other in series.rows:
            same = (one.concurrency, one.osl) == (other.concurrency, other.osl)
            if same and one.isl < other.isl and one.output_tok_s and other.output_tok_s:
                longer = other.osl / other.output_tok_s - one.osl / one.output_tok_s
                found.append(longer / (other.isl - one.isl) / gpus)
    if found and min(found) > 0:
        return _median(found)
    alone = min(series.rows, key=lambda row: (row.concurrency, row.isl))
    return alone.ttft_mean_ms / 1000 / alone.isl / alone.concurrency


def _median(values: Iterable[float]) -> float:
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def _between(points: list[tuple[float, float]], n: int) -> float:
    """A rate at n: on straight lines through the points and through nothing at 0."""
    before = (0.0, 0.0)
    for at, rate in points:
        if n <= at:
            return before[1] + (rate - before[1]) * (n - before[0]) / (at - before[0])
        before = (at, rate)
    return before[1]
