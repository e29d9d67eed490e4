"""What options with GPUs share: the rate that the scenario names, how the model lies on the GPUs, what looks odd."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from cost import roofline, throughput
from cost.capacity import Layout, Sizing, layout
from cost.hardware import Gpu
from cost.options import Facts, throughput_of
from cost.scenario_options import ThroughputSpec

if TYPE_CHECKING:
    from cost.scenario import Scenario


def size(
    scenario: Scenario, spec: ThroughputSpec, gpu: Gpu | None, gpu_memory_mib: int, gpus: int, facts: Facts
) -> Sizing | None:
    """The sizing of an option whose nodes have `gpus` GPUs; tells `facts` what it found, None where nothing fits.

    gpu: None where there is no data sheet of it. Raises SpillwayError for an unknown anchor or record."""
    data = scenario.data
    where, demand, latency = f"options.{facts.name}", data.workload, data.serving.latency
    isl, osl = demand.input_tokens, demand.output_tokens
    rate = throughput.resolve(spec, latency, isl, osl, where)
    told = list(
        throughput.mismatches(
            rate, model=data.model.name, gpu=gpu.id if gpu else None, dtype=data.model.dtype, isl=isl, osl=osl,
            latency=latency, cache_hits=Decimal(repr(demand.cache_hit_share)),
        )
    )  # fmt: skip
    told += _roofline(scenario, rate, gpu)
    facts.throughput = throughput_of(rate, Decimal(repr(spec.derate)), told)
    facts.gpus_per_node = gpus
    found: Layout = layout(data.model, isl + osl, gpu_memory_mib, gpus)
    if not found.fits:
        facts.fits, facts.why = False, found.why
        return None
    return Sizing(where, found, rate, scenario.hourly, isl, osl)


def _roofline(scenario: Scenario, rate: throughput.Rate, gpu: Gpu | None) -> list[str]:
    """Against the GPU it was measured on, with what was measured; a number of one's own against the option's."""
    from cost import models
    from cost.hardware import gpus

    data = scenario.data
    judged = gpus()[rate.gpu] if rate.gpu else gpu
    if judged is None:
        return [f"{rate.id}: there is no data sheet of this machine's GPU to hold it against"]
    known = rate.model in models.names()
    model, dtype = (rate.model if known else data.model.name), (rate.dtype or data.model.dtype)
    demand = data.workload
    return roofline.verdicts(rate, model, judged, dtype, demand.input_tokens, demand.output_tokens)
