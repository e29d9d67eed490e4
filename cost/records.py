"""Throughput records: what an engine on some hardware does with prompts and answers of fixed lengths.

One JSON file per measurement in `data/throughput/`, written by `spillway image bench` or by hand; docs/image-bench.md
tells what the figures mean. Rates are output tokens per second **per GPU**, latencies milliseconds, lengths tokens.
Fields that say None were not measured: the first records knew fewer of them.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

PER_GPU = "output tokens per second per GPU; input tokens are extra work in the same time"
"""`metric` of every record: other metrics would need another reader."""


def _date(value: object) -> object:
    return date.fromisoformat(value) if isinstance(value, str) else value


class Part(BaseModel):
    """Base: frozen, strict, closed, finite numbers only."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)


class Row(Part):
    """One point: `concurrency` requests in flight, each `isl` tokens in and `osl` tokens out.

    `requests` were measured in `seconds`, all runs together. Percentiles are over all of them.
    """

    isl: int = Field(ge=1)
    osl: int = Field(ge=1)
    concurrency: int = Field(ge=1)
    requests: int = Field(ge=1)
    seconds: float = Field(gt=0)
    output_tok_s: float = Field(ge=0)
    ttft_mean_ms: float = Field(ge=0)
    ttft_p50_ms: float = Field(ge=0)
    ttft_p95_ms: float = Field(ge=0)
    tpot_mean_ms: float = Field(ge=0)
    tpot_p50_ms: float = Field(ge=0)
    tpot_p95_ms: float = Field(ge=0)
    # From here on: what `spillway image bench` adds.
    ttft_p99_ms: float | None = Field(default=None, ge=0)
    tpot_p99_ms: float | None = Field(default=None, ge=0)
    e2e_mean_ms: float | None = Field(default=None, ge=0)
    e2e_p50_ms: float | None = Field(default=None, ge=0)
    e2e_p95_ms: float | None = Field(default=None, ge=0)
    e2e_p99_ms: float | None = Field(default=None, ge=0)
    requests_s: float | None = Field(default=None, ge=0)
    """Requests per second of the whole endpoint, not per GPU."""
    goodput_tok_s: float | None = Field(default=None, ge=0)
    """Output tokens per second per GPU of the requests within the record's `goodput_limits`."""
    goodput_share: float | None = Field(default=None, ge=0, le=1)
    """Requests within the limits, of all that were measured or failed."""
    isl_mean: float | None = Field(default=None, ge=1)
    """Input tokens as the engine counted them."""
    runs_tok_s: tuple[float, ...] | None = None
    """`output_tok_s` of each repetition: how far they lie apart is how far the figure can be trusted."""
    errors: dict[str, int] | None = None
    """Failed requests by what went wrong."""
    wrong_lengths: int | None = Field(default=None, ge=0)
    """Requests whose answer had another length than `osl`; they are in the figures, with the tokens that they had."""
    client_cpu: float | None = Field(default=None, ge=0)
    """Processor cores that the measuring side itself used; near 1 it was the limit, since it is one process."""
    interrupted: bool | None = None
    """True where the measurement was ended early."""


class Refused(Part):
    """A point that was tried and gave no figure to count with."""

    isl: int = Field(ge=1)
    osl: int = Field(ge=1)
    concurrency: int = Field(ge=1)
    reason: str
    errors: dict[str, int] = {}


class Drained(Part):
    """How the engine ended while it had work."""

    shutdown_timeout_s: float
    in_flight: str
    new_connections: str
    exit_code: int
    exit_s: float


class Series(Part):
    """One model in one precision."""

    model: str = Field(min_length=1)
    precision: str = Field(min_length=1)
    ready_s: float | None = Field(default=None, ge=0)
    """Seconds from the start of the engine to its first token."""
    rows: tuple[Row, ...]
    drain: Drained | None = None
    refused: tuple[Refused, ...] | None = None

    @model_validator(mode="after")
    def _each_point_once(self) -> Series:
        points = [(row.isl, row.osl, row.concurrency) for row in self.rows]
        twice = next((point for point in points if points.count(point) > 1), None)
        if twice:
            raise ValueError("{} in, {} out, concurrency {}: is there twice".format(*twice))
        return self


class GoodputLimits(Part):
    """A request is good when it meets both. None: this one is not asked for."""

    ttft_ms: float | None = Field(default=None, gt=0)
    tpot_ms: float | None = Field(default=None, gt=0)


class ThroughputRecord(Part):
    """The file."""

    measured_on: Annotated[date, BeforeValidator(_date)]
    hardware: str = Field(min_length=1)
    engine: str = Field(min_length=1)
    weights: str = Field(min_length=1)
    load: str = Field(min_length=1)
    metric: str = Field(pattern=r"^output tokens per second per GPU\b")
    caveats: tuple[str, ...]
    series: tuple[Series, ...] = Field(min_length=1)
    # From here on: what `spillway image bench` adds.
    gpus: int | None = Field(default=None, ge=1)
    """GPUs behind the endpoint, by which its rate was divided. None: 1."""
    goodput_limits: GoodputLimits | None = None
    round_trip_ms: float | None = Field(default=None, ge=0)
    """Median of a small question to the endpoint on an open connection: in every time to first token."""


class RecordError(ValueError):
    """Each line names the file, the key and what is wrong with it."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines


def read(path: Path) -> ThroughputRecord:
    """The record of a file. Raises RecordError, and OSError where it cannot be read."""
    try:
        # JSON mode: arrays are tuples there, and everything else stays strict.
        return ThroughputRecord.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise RecordError([f"{path}: {_at(one['loc'])}{one['msg']}" for one in error.errors()]) from None


def _at(location: tuple[int | str, ...]) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location).lstrip(".")
    return f"{text}: " if text else ""


def text(record: ThroughputRecord) -> str:
    """The file's text: what was not measured is left out."""
    return record.model_dump_json(indent=1, exclude_none=True) + "\n"
