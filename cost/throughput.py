"""How many tokens a GPU does: published anchors, measured records, numbers of one's own. What a figure counts is kept.

    rate = resolve(spec, base=Path("cost/scenarios"))
    gpu_seconds(EXACT, rate, derate, input_share, cache_hits)      # GPU time of one token of the workload

Four metrics, never mixed (cost/data/anchors.yaml): output, total, roles, both. Each turns into GPU-seconds per token of
the workload (input and output together), by which everything else is sized.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from cost.arithmetic import Arithmetic, Number
from cost.models import DATA, read_data
from cost.scenario_options import Latency, ThroughputSpec
from infra.faults import did_you_mean, listed
from spillway.errors import SpillwayError

if TYPE_CHECKING:
    from cost.records import Row, Series, ThroughputRecord

Metric = Literal["output", "total", "roles", "both"]
RECORDS: Final = DATA / "throughput"
LIMITS_MS: Final[dict[Latency, float]] = {"offline": float("inf"), "server": 200.0, "interactive": 40.0}
"""Milliseconds per output token, 95th percentile, that a point of a record may have. MLPerf 5.1 has these limits for
Llama-2-70B: 200 ms, and 40 ms interactive (https://github.com/mlcommons/inference_policies, inference_rules). Times to
the first token are left out: a closed loop sends its first requests all at once, which no traffic does."""
FAR: Final = Decimal(2)
"""A workload whose ratio of input to output is this many times another is told to be another."""
_WORSE: Final[tuple[Latency, ...]] = ("offline", "server", "interactive")


@dataclass(frozen=True, slots=True)
class Rate:
    """A figure, per GPU. tok_s: of metrics output and total; input_tok_s, output_tok_s: of roles and both.

    gpu: id in cost/data/hardware.yaml, None where the source does not say; gpus: of the system measured. cache_hits:
    share of the input that needed no work there. concurrency: requests in flight per system, where it was measured so.
    """

    id: str
    metric: Metric
    tok_s: Decimal | None
    input_tok_s: Decimal | None
    output_tok_s: Decimal | None
    model: str
    gpu: str | None
    gpus: int
    dtype: str
    isl: int | None
    osl: int | None
    cache_hits: Decimal
    latency: Latency
    tuned: bool
    source: str
    observed: date | None
    note: str = ""
    concurrency: int | None = None
    mark: str = ""

    @property
    def shown(self) -> Decimal:
        """The figure that names it: tok_s, or input and output together."""
        if self.tok_s is not None:
            return self.tok_s
        assert self.input_tok_s is not None
        assert self.output_tok_s is not None
        if self.metric == "both":
            return self.input_tok_s + self.output_tok_s
        return self.output_tok_s


@lru_cache(maxsize=1)
def anchors() -> dict[str, Rate]:
    """All published anchors, by id."""
    data = read_data("anchors.yaml")
    found: dict[str, Rate] = {}
    for name, row in data["anchors"].items():
        if "derived" in row:
            short, long = (found[one] for one in row["derived"])
            found[name] = solved(name, short, long)
        else:
            found[name] = _anchor(name, row, data["sources"][row["source"]])
    return found


def solved(name: str, short: Rate, long: Rate) -> Rate:
    """One rate at any mix, of two figures of the same system that count output at different lengths.

    A request of i tokens in and o out takes a i + b o GPU-seconds, which each figure says to be o / rate: two equations
    for a and b. Between the two lengths it interpolates; a longer context than either is slower than it says.
    """
    (i1, o1, first), (i2, o2, second) = _request(short), _request(long)
    determinant = Decimal(i1 * o2 - i2 * o1)
    per_input = (first * o2 - second * o1) / determinant
    per_output = (second * i1 - first * i2) / determinant
    if per_input <= 0 or per_output <= 0:
        raise ValueError(f"{name}: {short.id} and {long.id} have no rates of input and output that explain both")
    note = f"solved from {short.isl}/{short.osl} at {short.tok_s} and {long.isl}/{long.osl} at {long.tok_s} tokens/s"
    return replace(
        short, id=name, metric="roles", tok_s=None, input_tok_s=1 / per_input, output_tok_s=1 / per_output,
        isl=long.isl, osl=long.osl, note=note, mark="derived",
    )  # fmt: skip


def _request(rate: Rate) -> tuple[int, int, Decimal]:
    """Tokens in and out of one request, and its GPU-seconds."""
    if rate.isl is None or rate.osl is None or rate.tok_s is None or rate.metric != "output":
        raise ValueError(f"{rate.id}: is no figure of output tokens at fixed lengths")
    return rate.isl, rate.osl, rate.osl / rate.tok_s


def _anchor(name: str, row: dict[str, Any], source: dict[str, Any]) -> Rate:
    def number(key: str) -> Decimal | None:
        return Decimal(str(row[key])) if key in row else None

    return Rate(
        name, row["metric"], number("tokS"), number("inputTokS"), number("outputTokS"), row["model"], row["gpu"],
        row["gpus"], row["dtype"], row["isl"], row["osl"], number("cacheHits") or Decimal(0), row["latency"],
        row["tuned"], f"{source['title']}, {source['url']}", date.fromisoformat(source["observed"]),
        row.get("note", ""), None, row["mark"],
    )  # fmt: skip


def resolve(spec: ThroughputSpec, latency: Latency, isl: int, osl: int, where: str) -> Rate:
    """The rate that a scenario names. where: the option, for messages. Raises SpillwayError, one line."""
    if spec.anchor is not None:
        if spec.anchor not in anchors():
            hint = did_you_mean(spec.anchor, anchors())
            raise SpillwayError(
                f"{where}.throughput.anchor = {spec.anchor}: unknown anchor{hint}; cost/data/anchors.yaml has them"
            )
        return anchors()[spec.anchor]
    if spec.record is not None:
        return _of_record(spec, latency, isl, osl, where)
    assert spec.tokens_per_second_per_gpu is not None  # the scenario has been checked
    figure = Decimal(repr(spec.tokens_per_second_per_gpu))
    return Rate(
        "the scenario's own", spec.metric, figure, None, None, "", None, 1, "", None, None, Decimal(0), latency, False,
        "this scenario", None,
    )  # fmt: skip


def _of_record(spec: ThroughputSpec, latency: Latency, isl: int, osl: int, where: str) -> Rate:
    from cost import records

    name = str(spec.record)
    shipped = RECORDS / f"{name}.json"
    path = shipped if shipped.is_file() else Path(name)
    try:
        record = records.read(path)
    except OSError:
        known = sorted(one.stem for one in RECORDS.glob("*.json"))
        hint = did_you_mean(name, known)
        raise SpillwayError(
            f"{where}.throughput.record = {name}: there is no such file{hint}; shipped is {listed(known, 'and')}"
        ) from None
    except records.RecordError as error:
        raise SpillwayError(*error.lines) from None
    series = [one for one in record.series if (spec.series or "").lower() in one.model.lower()]
    if len(series) != 1:
        models = listed([one.model for one in record.series], "and")
        found = "none" if not series else "several"
        raise SpillwayError(
            f"{where}.throughput.series: {found} of the models in {path.name} is meant; it has {models}"
        )
    rows = [row for row in series[0].rows if spec.concurrency in (None, row.concurrency)]
    shape = min({(row.isl, row.osl) for row in rows}, key=lambda one: _distance(one, (isl, osl)), default=None)
    rows = [row for row in rows if (row.isl, row.osl) == shape]
    good = [row for row in rows if row.tpot_p95_ms <= LIMITS_MS[latency]]
    if not rows or (not good and spec.concurrency is None):
        what = f"with concurrency {spec.concurrency}" if not rows else f"within the limits of latency class {latency}"
        raise SpillwayError(f"{where}.throughput: {path.name} has no point of {series[0].model} {what}")
    best = max(good or rows, key=lambda row: row.output_tok_s)
    return of_point(path, record, series[0], best, latency if best in good else "offline")


def of_point(path: Path, record: ThroughputRecord, series: Series, row: Row, latency: Latency | None = None) -> Rate:
    """One point of a record. latency: None: the strictest class whose limit it keeps."""
    met = [one for one in _WORSE if row.tpot_p95_ms <= LIMITS_MS[one]]
    dtype = "fp8" if series.precision.lower().startswith("fp8") else "bfloat16"
    return Rate(
        path.stem, "output", Decimal(str(row.output_tok_s)), None, None, series.model, _gpu_of(record.hardware),
        record.gpus or 1, dtype, row.isl, row.osl, Decimal(0), latency or met[-1], False,
        f"{path.name}: {record.engine}", record.measured_on, f"concurrency {row.concurrency}; {record.load}",
        row.concurrency, "measured",
    )  # fmt: skip


def _distance(one: tuple[int, int], other: tuple[int, int]) -> float:
    """How far apart two shapes are: by the ratio of their lengths."""
    import math

    return sum(abs(math.log(a / b)) for a, b in zip(one, other, strict=True))


def _gpu_of(hardware: str) -> str | None:
    """The GPU that a record's text names."""
    from cost.hardware import gpus

    words = re.findall(r"[A-Za-z0-9]+", hardware.lower())
    return next((name for name in gpus() if name.split("-")[0] in words), None)


def gpu_seconds(n: Arithmetic, rate: Rate, derate: Number, input_share: Number, cache_hits: Number) -> Number:
    """GPU-seconds of one token of the workload, of which `input_share` are input and `cache_hits` of those are cached.

    output  output share / rate: the input was work in the same time already
    total   1 / rate
    roles   input / input rate + output / output rate: GPUs of either kind, added
    both    the larger of the two: a GPU that did both at once would do one alone no slower
    Input counts against a figure with cache hits of its own by what is left to compute: (1 - hits) / (1 - its hits).
    """
    output_share = 1 - input_share
    if rate.metric in ("output", "total"):
        assert rate.tok_s is not None
        figure = n.of(rate.tok_s) * derate
        return (output_share if rate.metric == "output" else 1) / figure
    assert rate.input_tok_s is not None
    assert rate.output_tok_s is not None
    reading = input_share * (1 - cache_hits) / n.of(1 - rate.cache_hits) / n.of(rate.input_tok_s)
    writing = output_share / n.of(rate.output_tok_s)
    return (reading + writing if rate.metric == "roles" else n.largest(reading, writing)) / derate


def mismatches(
    rate: Rate, *, model: str, gpu: str | None, dtype: str, isl: int, osl: int, latency: Latency, cache_hits: Decimal
) -> Iterator[str]:
    """What of a figure is another than what it is used for, one sentence each."""
    if rate.model and rate.model != model and not rate.model.lower().startswith(model.split("-instruct")[0]):
        yield f"{rate.id} was measured with {rate.model}, and stands for {model}"
    if rate.gpu is not None and gpu is not None and rate.gpu != gpu:
        yield f"{rate.id} was measured on {rate.gpu}, and stands for {gpu}"
    if rate.dtype and rate.dtype != dtype:
        yield f"{rate.id} was measured with weights in {rate.dtype}, and stands for {dtype}"
    if _WORSE.index(rate.latency) < _WORSE.index(latency):
        yield f"{rate.id} is of latency class {rate.latency}, and the scenario wants {latency}"
    if rate.isl is not None and rate.osl is not None:
        ratio = Decimal(isl) / osl / (Decimal(rate.isl) / rate.osl)
        if not 1 / FAR <= ratio <= FAR and rate.metric in ("output", "total"):
            yield (
                f"{rate.id} has {rate.isl} tokens in and {rate.osl} out, the workload {isl} and {osl}: "
                f"{'more' if ratio > 1 else 'less'} input for each output than was measured"
            )
        if isl + osl > FAR * (rate.isl + rate.osl):
            longer = f"{isl + osl} tokens, {rate.id} was measured with {rate.isl + rate.osl}"
            yield f"a request has {longer}: a longer context is slower"
    if cache_hits and rate.metric in ("output", "total"):
        yield f"{rate.id} does not tell input from output, so cache hits make own hardware no faster here"
