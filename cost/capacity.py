"""How many nodes a workload takes: memory decides how a replica lies on them, its rate how many there have to be.

replicas = ceil(busiest rate / (rate of a replica x highest utilisation)) + spare. Cost steps by whole nodes.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Final, cast

from cost import models
from cost.arithmetic import Arithmetic, Inputs, Number
from cost.scenario_options import ModelShape
from cost.throughput import Rate, gpu_seconds
from infra import fit
from infra.sections import Fit, ModelSpec

SECONDS_PER_HOUR: Final = 3600
HOURS_PER_DAY: Final = 24
MOST_NODES: Final = 8
"""Nodes that one replica may span (pipeline parallel)."""
FABRIC_GPUS: Final = 8
"""Smaller nodes are sold without a fabric between them."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How replicas lie on nodes. unit_nodes: nodes that are added together; unit_gpus: GPUs of those that work.

    why: in words, or why nothing fits."""

    fits: bool
    why: str
    tensor_parallel: int = 0
    unit_nodes: int = 1
    replicas: int = 0
    unit_gpus: int = 0


def layout(model: ModelShape, context_tokens: int, gpu_memory_mib: int, gpus: int) -> Layout:
    """The smallest group of GPUs that holds the model and its load, and how many of them a node has."""
    shape = models.shape(model.name)
    context = model.context_tokens or context_tokens
    if context > shape.max_positions:
        return Layout(False, f"{model.name} takes {shape.max_positions:,} tokens at most, not {context:,}")

    def estimate(tensor: int, pipeline: int) -> fit.Estimate:
        spec = ModelSpec.model_construct(
            name=model.name, revision="",
            dtype=model.dtype, kv_cache_dtype=model.kv_cache_dtype, tensor_parallel=tensor,
            pipeline_parallel=pipeline, max_model_len=context, max_num_seqs=model.concurrency,
            gpu_memory_utilization=model.gpu_memory_utilization,
            fit=Fit.model_construct(context_tokens=context, concurrency=model.concurrency),
        )  # fmt: skip
        return fit.estimate(spec, shape, gpu_memory_mib)

    sizes = list(fit.tensor_parallel_sizes(shape, gpus))
    if not sizes:
        return Layout(False, f"{model.name} cannot be split over {gpus} GPUs")
    for tensor in sizes:
        if estimate(tensor, 1).fits:
            copies = gpus // tensor
            words = (
                f"{copies} replica{'s' if copies > 1 else ''} of {tensor} GPU{'s' if tensor > 1 else ''} on each node"
            )
            return Layout(True, words, tensor, 1, copies, copies * tensor)
    tensor = sizes[-1]
    for nodes in range(2, MOST_NODES + 1 if gpus >= FABRIC_GPUS else 0):
        if nodes <= shape.layers and estimate(tensor, nodes).fits:
            return Layout(True, f"one replica on {nodes} nodes", tensor, nodes, 1, nodes * tensor)
    found = estimate(tensor, 1)
    return Layout(
        False,
        f"{model.name} in {model.dtype} with {model.concurrency} x {context:,} tokens needs "
        f"{found.needed / fit.GIB:.1f} GiB on each of {tensor} GPUs, which have {found.usable / fit.GIB:.1f} to give",
    )


@dataclass(frozen=True, slots=True)
class Sizing:
    """What an option's nodes do. prefix: of its keys; hourly: shares of a day's tokens, 24."""

    prefix: str
    layout: Layout
    rate: Rate
    hourly: tuple[Decimal, ...]
    input_tokens: int
    output_tokens: int

    def per_token(self, n: Arithmetic, inputs: Inputs) -> Number:
        """GPU-seconds of a token."""
        input_share = n.of(Decimal(self.input_tokens) / (self.input_tokens + self.output_tokens))
        derate = inputs[f"{self.prefix}.throughput.derate"]
        return gpu_seconds(n, self.rate, derate, input_share, inputs["workload.cacheHitShare"])

    def busy_gpus(self, n: Arithmetic, inputs: Inputs, tokens_day: Number, share: Decimal) -> Number:
        """GPUs at work at the busiest moment of an hour with `share` of the day's tokens."""
        return tokens_day * n.of(share) / SECONDS_PER_HOUR * inputs["workload.burst"] * self.per_token(n, inputs)

    def nodes(self, n: Arithmetic, inputs: Inputs, tokens_day: Number, share: Decimal | None = None) -> Number:
        """Nodes held for an hour of the day (None: the busiest), spare included."""
        busy = self.busy_gpus(n, inputs, tokens_day, max(self.hourly) if share is None else share)
        units = n.ceil(busy / (inputs["serving.highestUtilisation"] * self.layout.unit_gpus))
        return (n.largest(units, n.of(1)) + inputs["serving.spareNodes"]) * self.layout.unit_nodes

    def by_hour(self, n: Arithmetic, inputs: Inputs, tokens_day: Number) -> list[tuple[int, Number]]:
        """(hours of the day, nodes held in each), the busiest first."""
        counts: dict[Decimal, int] = {}
        for share in sorted(self.hourly, reverse=True):
            counts[share] = counts.get(share, 0) + 1
        return [(count, self.nodes(n, inputs, tokens_day, share)) for share, count in counts.items()]

    def capacity(self, n: Arithmetic, inputs: Inputs, nodes: Number) -> Number:
        """Tokens of a day that `nodes` can serve with this profile, spare ones left out."""
        units = n.largest(nodes / self.layout.unit_nodes - inputs["serving.spareNodes"], n.of(0))
        gpus = units * self.layout.unit_gpus * inputs["serving.highestUtilisation"]
        busiest = n.of(max(self.hourly)) * inputs["workload.burst"]
        return gpus * SECONDS_PER_HOUR / busiest / self.per_token(n, inputs)

    def ideal(self, n: Arithmetic, inputs: Inputs, nodes: Number) -> Number:
        """Tokens of a day that all of `nodes` would do at their full rate, all day: utilisation 1."""
        gpus = nodes / self.layout.unit_nodes * self.layout.unit_gpus
        return gpus * SECONDS_PER_HOUR * HOURS_PER_DAY / self.per_token(n, inputs)

    def steps(self, inputs: Inputs, most_nodes: int, every_hour: bool) -> list[Decimal]:
        """Tokens of a day at which a node more is needed, ascending: in any hour, or in the busiest alone."""
        spare = int(cast(Decimal, inputs["serving.spareNodes"]))
        shares = set(self.hourly) if every_hour else {max(self.hourly)}
        per_gpu = SECONDS_PER_HOUR * inputs["serving.highestUtilisation"] / inputs["workload.burst"]
        from cost.arithmetic import EXACT

        unit = per_gpu * self.layout.unit_gpus / self.per_token(EXACT, inputs)
        most = max(1, most_nodes // self.layout.unit_nodes - spare)
        return sorted({unit * count / share for share in shares if share for count in range(1, most + 1)})
