"""`spillway cost throughput`: the figures that capacity can be computed with, and how near they are to what can be."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any

import typer

from cost import records, roofline, throughput
from cost.hardware import gpus
from cost.throughput import RECORDS, Rate, anchors
from infra.faults import did_you_mean, listed
from spillway import tables
from spillway.errors import SpillwayError

COUNTS = {
    "output": "output", "total": "input + output", "roles": "output, of GPUs that only write",
    "both": "input and output",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Row:
    """One figure. share: of the roofline; None where it has another measure."""

    rate: Rate
    share: Decimal | None


def command(
    model: Annotated[str | None, typer.Option(help="Only models with this in their name, such as 70b.")] = None,
    gpu: Annotated[str | None, typer.Option(help="Only this GPU, such as h200.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON for programs; numbers as text.")] = False,
) -> None:
    """Published anchors and measured records, per GPU: what each counts, its shape, its class, and where it is from."""
    if gpu is not None and gpu not in gpus():
        raise SpillwayError(f"--gpu {gpu}: unknown GPU{did_you_mean(gpu, gpus())}; known are {listed(gpus(), 'and')}")
    found = [one for one in _rows() if gpu in (None, one.rate.gpu) and (model or "").lower() in one.rate.model.lower()]
    if not found:
        raise SpillwayError(f"no figure of a model with {model!r} in its name" + (f" on {gpu}" if gpu else ""))
    if as_json:
        typer.echo(json.dumps({"rows": [_json(one) for one in found]}, indent=2))
        return
    table = tables.plain(
        "anchor", "model", "GPU", "weights", "tokens/s", "counts", "in/out", "class", "of roofline", "from"
    )
    for one in found:
        rate = one.rate
        shape = f"{rate.isl or '?'}/{rate.osl or '?'}"
        share = "-" if one.share is None else f"{one.share:.0%}"
        tuned = rate.latency if rate.tuned else f"{rate.latency}, untuned"
        origin = f"{rate.source.split(',')[0]} {rate.observed}"
        tables.add(
            table, "", rate.id, rate.model.split(" (")[0], f"{rate.gpus} x {rate.gpu}", rate.dtype,
            f"{rate.shown:,.0f}", COUNTS[rate.metric], shape, tuned, share, origin,
        )  # fmt: skip
    tables.show(table)


def _rows() -> Iterator[Row]:
    for rate in anchors().values():
        yield Row(rate, _share(rate))
    for path in sorted(RECORDS.glob("*.json")):
        record = records.read(path)
        for series in record.series:
            for row in series.rows:
                rate = throughput.of_point(path, record, series, row)
                yield Row(rate, None)


def _share(rate: Rate) -> Decimal | None:
    """Of what the GPU can do at this shape; only where the figure has one."""
    if rate.metric not in ("output", "total") or not (rate.gpu and rate.isl and rate.osl and rate.tok_s):
        return None
    top = roofline.of_rate(rate, rate.model, gpus()[rate.gpu], rate.dtype, rate.isl, rate.osl)
    output = float(rate.tok_s) * (1 if rate.metric == "output" else rate.osl / (rate.isl + rate.osl))
    return Decimal(repr(round(output / top.bound, 4)))


def _json(row: Row) -> dict[str, Any]:
    rate = row.rate
    numbers = {"tok_s": rate.tok_s, "input_tok_s": rate.input_tok_s, "output_tok_s": rate.output_tok_s}
    return {
        "anchor": rate.id, "model": rate.model, "gpu": rate.gpu, "gpus": rate.gpus, "dtype": rate.dtype,
        "metric": rate.metric, **{key: None if value is None else str(value) for key, value in numbers.items()},
        "isl": rate.isl, "osl": rate.osl, "concurrency": rate.concurrency, "latency": rate.latency, "tuned": rate.tuned,
        "cache_hits": str(rate.cache_hits), "mark": rate.mark, "source": rate.source, "observed": str(rate.observed),
        "note": rate.note, "roofline_share": None if row.share is None else str(row.share),
    }  # fmt: skip
