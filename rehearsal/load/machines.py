"""What a node of a region answers, when a record of another machine and model is all there is.

Decoding waits for memory: a step reads the weights once, of a mixture of experts all of them, since a batch needs every
expert; so its speed goes by bandwidth / bytes of the weights. Prompts wait for arithmetic: FLOP/s / parameters that a
token passes through (cost/roofline.py has both bounds, and the sources). A node is taken to be faster than what was
measured by the ratio of these bounds. What it loses to its GPUs talking to each other is not in it, nor that newer
kernels come closer to the bound; a scenario that knows better states a factor.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cost import hardware, models
from cost.hardware import Gpu
from cost.records import Series, ThroughputRecord
from infra import catalog, fit
from infra.catalog import NotInCatalog
from rehearsal.fleet import Region
from rehearsal.load.rates import ServiceRate, from_record, newest, read, series_of
from spillway.errors import SpillwayError

_HARDWARE: Final = re.compile(r"(?:(\d+)\s*x\s*)?(?:NVIDIA |AMD )?(\w[\w-]*)")
_BILLIONS: Final = re.compile(r"(\d+(?:\.\d+)?)B\b")
_DTYPES: Final = {"fp8": "fp8", "bf16": "bfloat16", "fp16": "float16", "int8": "int8", "int4": "int4", "fp4": "fp4"}


@dataclass(frozen=True, slots=True)
class _Engine:
    """What bounds one replica. billion: its parameters (1e9); active: those that one token passes through."""

    gpu: Gpu
    gpus: int
    billion: float
    active: float
    dtype: str

    @property
    def decoding(self) -> float:
        return self.gpus * self.gpu.bandwidth_tbs / (self.billion * fit.WEIGHT_BYTES[self.dtype])

    @property
    def reading(self) -> float:
        return self.gpus * self.gpu.flops(self.dtype) / self.active

    def __str__(self) -> str:
        return f"{self.gpus} x {self.gpu.name}, {self.billion:.0f}B parameters in {self.dtype}"


def node_rate(
    region: Region,
    isl: int,
    osl: int,
    *,
    record: Path | None = None,
    model: str | None = None,
    factor: float | None = None,
    why: str = "",
) -> ServiceRate:
    """What one node of a region answers. record: None: the newest. model: words of the record's series; None: that of
    the size nearest to the region's model. factor: how much faster the node is than what was measured; None: by what
    bounds both machines; `why` it holds, where it is given. Raises SpillwayError, one line."""
    path = record or newest()
    told = read(path)
    node = region.node
    if isl + osl > node.max_model_len:
        raise SpillwayError(
            f"{region.stack}: load.isl + load.osl = {isl + osl}: its model takes {node.max_model_len} tokens"
            " (model.maxModelLen)"
        )
    pool = region.spot or region.on_demand
    machine = pool.types[0]
    series = series_of(told, model, path.name) if model else _nearest(told, node.model)
    prefill: float | None = None
    if factor is None:
        measured = _measured(told, series) if series else None
        mine = _node(machine, node.model)
        if measured is None or mine is None:
            what = f"{path.name}: {told.hardware}" if measured is None else f"{machine} with {node.model}"
            raise SpillwayError(
                f"{region.stack}: load.factor: nothing is known of {what}; state how much faster a node is"
            )
        factor, prefill = mine.decoding / measured.decoding, mine.reading / measured.reading
        why = f"by what bounds {mine} against {measured}; prompts {prefill:.3g} times"
    return from_record(
        told,
        model=series.model if series else model,
        isl=isl,
        osl=osl,
        concurrency=node.concurrency,
        queue=node.queue,
        ttft_limit=node.ttft_p50_ms / 1000,
        factor=factor,
        prefill_factor=prefill,
        why_factor=why,
        machine=f"{machine} with {node.model}",
        name=path.name,
    )


def _nearest(record: ThroughputRecord, model: str) -> Series | None:
    """The series of the size nearest to a model's; the record's only one, whatever it is."""
    if len(record.series) == 1:
        return record.series[0]
    sizes = [(_billions(series.model), series) for series in record.series]
    try:
        wanted = models.shape(model).params_billion
    except NotInCatalog:
        return None
    known = [(abs(size - wanted), place, series) for place, (size, series) in enumerate(sizes) if size is not None]
    return min(known)[2] if known else None


def _billions(text: str) -> float | None:
    found = _BILLIONS.search(text)
    return float(found.group(1)) if found else None


def _measured(record: ThroughputRecord, series: Series) -> _Engine | None:
    """The engine of a record; None where its words do not tell."""
    found, size = _HARDWARE.match(record.hardware), _billions(series.model)
    dtype = next((_DTYPES[word] for word in re.findall(r"\w+", series.precision.lower()) if word in _DTYPES), None)
    if found is None or size is None or dtype is None:
        return None
    name = found.group(2).lower()
    gpu = next((one for one in hardware.gpus().values() if name in (one.id, one.name.lower())), None)
    return _Engine(gpu, record.gpus or int(found.group(1) or 1), size, size, dtype) if gpu else None


def _node(machine: str, model: str) -> _Engine | None:
    """A node's engine: one replica over all its GPUs, in the model's own type."""
    try:
        told = catalog.machine(machine)
        dtype, active, whole = (
            catalog.native_dtype(model),
            models.active_billion(model),
            models.shape(model).params_billion,
        )
    except NotInCatalog:
        return None
    gpu = hardware.gpu_of(told)
    return _Engine(gpu, told.gpus, whole, active, dtype) if gpu and dtype in fit.WEIGHT_BYTES else None
