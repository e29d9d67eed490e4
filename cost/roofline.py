"""What a GPU cannot exceed: memory bandwidth while writing, arithmetic while reading and writing.

Every bound is generous, so that what lies above it is impossible rather than unlikely: no attention arithmetic, no
communication, the largest batch that memory holds, and of a mixture of experts only those that one token needs.

writing   a step reads the weights once and the cache of each sequence:
          batch / ((weights + batch x context x KV) / bandwidth) (https://arxiv.org/abs/2402.16363, section 2)
reading   2 FLOP per active parameter and token (https://arxiv.org/abs/2001.08361, section 2.1)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from cost import models
from cost.hardware import Gpu
from cost.throughput import Rate
from infra import fit

USUAL: Final = 0.7
"""Above this share of the bound a figure is looked at twice: an engine that was measured reached 0.71 at batch 1."""
MEMORY_SHARE: Final = 0.98


@dataclass(frozen=True, slots=True)
class Roofline:
    """Output tokens per second per GPU at most. limit: bandwidth or arithmetic, whichever is lower.

    batch: sequences at once that the bandwidth bound was taken with."""

    bandwidth: float
    arithmetic: float
    batch: float
    fits: bool

    @property
    def bound(self) -> float:
        """The lower of both."""
        return min(self.bandwidth, self.arithmetic)

    @property
    def limit(self) -> str:
        """Which it is."""
        return "memory bandwidth" if self.bandwidth <= self.arithmetic else "arithmetic"


def roofline(
    model: str, gpu: Gpu, gpus: int, dtype: str, isl: int, osl: int, *, cache_hits: float = 0.0,
    batch: float | None = None, kv_cache_dtype: str = "auto",
) -> Roofline:  # fmt: skip
    """The bounds of a model over `gpus` GPUs that hold it together. batch: sequences at once; None: as many as fit."""
    shape, active = models.shape(model), models.active_billion(model) * 1e9
    weights = fit.checkpoint_bytes(shape, dtype)
    kv = fit.kv_bytes_per_token(shape, kv_cache_dtype, 1, shape.layers)
    room = gpus * gpu.memory_gb * 1e9 * MEMORY_SHARE - weights
    context = isl + osl / 2  # the mean over an answer
    most = room / (kv * context)
    sequences = most if batch is None else batch
    read = min(weights, active * fit.WEIGHT_BYTES[dtype])
    per_gpu = sequences / (read + sequences * context * kv) * gpu.bandwidth_tbs * 1e12 if room > 0 else 0.0
    flop = 2 * active * (1 + isl * (1 - cache_hits) / osl)
    return Roofline(per_gpu, gpu.flops(dtype) / flop, sequences, room > 0)


def verdicts(rate: Rate, model: str, gpu: Gpu, dtype: str, isl: int, osl: int) -> list[str]:
    """What the roofline says of a figure, one sentence each: impossible, or close to it. Empty: nothing.

    The shape of the measurement counts where it is known, otherwise that of the workload.
    """
    isl, osl = rate.isl or isl, rate.osl or osl
    shape = f"{isl} tokens in and {osl} out"
    found: list[str] = []
    hits = float(rate.cache_hits)
    top = of_rate(rate, model, gpu, dtype, isl, osl)
    if rate.metric in ("output", "total"):
        assert rate.tok_s is not None
        figure = float(rate.tok_s)
        output = figure if rate.metric == "output" else figure * osl / (isl + osl)
        found += _verdict(rate.id, "output", output, top.bound, f"{top.limit} of {gpu.name} at {shape}")
        return found
    assert rate.input_tok_s is not None
    assert rate.output_tok_s is not None
    reading = gpu.flops(dtype) / (2 * models.active_billion(model) * 1e9) / (1 - hits)
    found += _verdict(rate.id, "input", float(rate.input_tok_s), reading, f"arithmetic of {gpu.name}")
    writing = of_rate(rate, model, gpu, dtype, 1, osl).bound
    found += _verdict(rate.id, "output", float(rate.output_tok_s), writing, f"memory bandwidth of {gpu.name}")
    return found


def of_rate(rate: Rate, model: str, gpu: Gpu, dtype: str, isl: int, osl: int) -> Roofline:
    """The bounds of the system that a figure was measured on, at a shape."""
    group = max(rate.gpus, _least_gpus(model, gpu, dtype))
    return roofline(model, gpu, group, dtype, isl, osl, cache_hits=float(rate.cache_hits), batch=rate.concurrency)


def _least_gpus(model: str, gpu: Gpu, dtype: str) -> int:
    weights = fit.checkpoint_bytes(models.shape(model), dtype)
    count = 1
    while count * gpu.memory_gb * 1e9 * MEMORY_SHARE <= weights:
        count *= 2
    return count


def _verdict(name: str, what: str, figure: float, bound: float, why: str) -> list[str]:
    share = figure / bound if bound > 0 else float("inf")
    told = f"{name}: {figure:,.0f} {what} tokens/s per GPU"
    if share > 1:
        return [f"{told} is impossible: {why} allows {bound:,.0f}"]
    if share > USUAL:
        return [f"{told} is {share:.0%} of what {why} allows ({bound:,.0f}): look at it twice"]
    return []
