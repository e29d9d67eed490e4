"""Checks of a stack file against the catalog: machine types and zones, GPUs and the model, disks and ceilings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from infra import catalog, fit, gpu_support, storage_checks
from infra.checks import check
from infra.faults import Fault, Path, did_you_mean, listed
from infra.parity import SCRATCH_FACTOR

if TYPE_CHECKING:
    from infra.config import AwsRegion, RegionConfig
    from infra.sections import Architecture

FAR_KM: Final = 1000
"""So much farther than the nearest AWS region is no choice between neighbours (about 10 ms there and back in fibre)."""
MIB_PER_MB: Final = (1 << 20) / 1e6


def listed_types(region: RegionConfig) -> Iterator[tuple[Path, str]]:
    """Every machine type of both pools with its path in the file."""
    for number, name in enumerate(region.pools.types):
        yield ("pools", "types", number), name
    for number, name in enumerate(region.pools.on_demand_types or ()):
        yield ("pools", "onDemandTypes", number), name


def _known(region: RegionConfig) -> Iterator[tuple[Path, catalog.Machine]]:
    for path, name in listed_types(region):
        if catalog.is_machine(name, region.CLOUD):
            yield path, catalog.machine(name)


@check("pools")
def _types(region: RegionConfig) -> Iterator[Fault]:
    names = [machine.name for machine in catalog.machines(region.CLOUD)]
    for path, name in listed_types(region):
        if not catalog.is_machine(name, region.CLOUD):
            family = [known for known in names if known.split(".")[0] == name.split(".")[0]]
            allowed = f"in its family: {listed(family)}" if family else "`spillway catalog` lists them"
            yield Fault(path, f"unknown machine type{did_you_mean(name, names)}; {allowed}", name)
        siblings = region.pools.types if path[1] == "types" else region.pools.on_demand_types or ()
        if name in siblings[: int(path[2])]:
            yield Fault(path, "stands twice; each machine type once", name)


@check("region", "pools", "network")
def _offered(region: RegionConfig) -> Iterator[Fault]:
    if region.region not in catalog.regions(region.CLOUD):
        return
    wanted = region.network.zones
    for path, machine in _known(region):
        there, regions = catalog.zones(machine.name, region.region), catalog.offered_in(machine.name)
        if region.region not in regions:
            where = f"offered in {listed(regions)}" if regions else "offered in no region any more"
            as_of = f"as of {catalog.observed(region.CLOUD)}"
            yield Fault(path, f"not offered in {region.region}; {where} ({as_of})", machine.name)
        elif wanted is not None and there and not set(there) & set(wanted):
            why = f"not offered in network.zones ({listed(wanted)}); in {region.region} only in {listed(there)}"
            yield Fault(path, f"{why} (as of {catalog.observed(region.CLOUD)})", machine.name)


@check("region", "pools", "network", cloud="aws")
def _zones(region: AwsRegion) -> Iterator[Fault]:
    wanted = region.network.zones or ()
    offered = {zone for _, machine in _known(region) for zone in catalog.zones(machine.name, region.region)}
    for number, zone in enumerate(wanted):
        path = ("network", "zones", number)
        if not zone.startswith(region.region) or len(zone) != len(region.region) + 1:
            yield Fault(path, f"has to be a zone of {region.region}, such as {region.region}a", zone)
        elif zone in wanted[:number]:
            yield Fault(path, "stands twice; each zone once", zone)
        elif offered and zone not in offered:
            why = f"offers none of the machine types; {listed(sorted(offered))} do"
            yield Fault(path, f"{why} (as of {catalog.observed(region.CLOUD)})", zone)


@check("pools")
def _usage(region: RegionConfig) -> Iterator[Fault]:
    for path, machine in _known(region):
        market = "spot" if region.SPOT and path[1] == "types" else "on-demand"
        if market not in machine.usage_classes:
            yield Fault(path, f"not sold as {market}; only as {listed(machine.usage_classes)}", machine.name)


@check("pools")
def _sold_as_spot_only(region: RegionConfig) -> Iterator[Fault]:
    """Such as the newest types of GCP: https://docs.cloud.google.com/compute/docs/instances/provisioning-models"""
    if region.pools.on_demand_types is not None:
        return
    for path, machine in _known(region):
        if "on-demand" not in machine.usage_classes:
            why = "not sold as on-demand, and without onDemandTypes the on-demand pool takes these types: name its own"
            yield Fault(path, why, machine.name)


@check("pools", cloud="aws")
def _blocks(region: AwsRegion) -> Iterator[Fault]:
    if region.pools.reservations.capacity_blocks and not any(
        "capacity-block" in catalog.machine(name).usage_classes
        for name in region.on_demand_types
        if catalog.is_machine(name)
    ):
        where = ("pools", "reservations", "capacityBlocks")
        yield Fault(where, "no machine type of the on-demand pool is sold in capacity blocks; p4, p5 and p6 types are")


@check("pools", "efa", cloud="aws")
def _efa(region: AwsRegion) -> Iterator[Fault]:
    for path, machine in _known(region):
        if region.efa and not machine.efa:
            yield Fault(
                path,
                "has no Elastic Fabric Adapter, and efa is true; take a larger size or leave efa out",
                machine.name,
            )


@check("model")
def _model(region: RegionConfig) -> Iterator[Fault]:
    spec = region.model
    if spec.architecture is None and not catalog.is_model(spec.name):
        hint = did_you_mean(spec.name, catalog.models())
        yield Fault(
            ("model", "name"),
            f"unknown model{hint}; `spillway catalog --models` lists them, or give architecture",
            spec.name,
        )
    if spec.architecture is not None and catalog.is_model(spec.name):
        yield Fault(("model", "architecture"), f"known for {spec.name}: leave it out, or take another name")
    methods = gpu_support.METHODS[spec.dtype]
    if spec.quantization is not None and spec.quantization not in methods:
        allowed = f"{listed(methods)}, or null" if methods else "null: these weights are not quantised"
        yield Fault(("model", "quantization"), f"with dtype {spec.dtype} it has to be {allowed}", spec.quantization)
    native = catalog.native_dtype(spec.name) if catalog.is_model(spec.name) else None
    if native == "fp8" and spec.dtype in ("bfloat16", "float16"):
        yield Fault(
            ("model", "dtype"), f"the checkpoint of {spec.name} is stored in fp8: has to be fp8 or smaller", spec.dtype
        )


def _shape(region: RegionConfig) -> Architecture | None:
    if region.model.architecture is None and not catalog.is_model(region.model.name):
        return None
    return region.architecture


@check("model")
def _parallelism(region: RegionConfig) -> Iterator[Fault]:
    spec, shape = region.model, _shape(region)
    if shape is None:
        return
    if (shape.kv_lora_rank is None) != (shape.qk_rope_head_dim is None):
        why = "multi-head latent attention has both kvLoraRank and qkRopeHeadDim, ordinary attention neither"
        yield Fault(("model", "architecture"), why)
    if not fit.divides(shape, spec.tensor_parallel):
        sizes = listed(fit.tensor_parallel_sizes(shape, 64))
        heads = f"{shape.attention_heads} attention heads"
        heads += f" and {shape.kv_heads} KV heads" if shape.kv_lora_rank is None else ""
        why = f"does not divide the model's {heads}; {sizes} do"
        yield Fault(("model", "tensorParallel"), why, spec.tensor_parallel)
    if spec.pipeline_parallel > shape.layers:
        why = f"has to be at most the model's {shape.layers} layers"
        yield Fault(("model", "pipelineParallel"), why, spec.pipeline_parallel)
    if spec.max_model_len > shape.max_positions:
        why = f"has to be at most {shape.max_positions}, the positions that the model was made for"
        yield Fault(("model", "maxModelLen"), why, spec.max_model_len)


@check("model")
def _load(region: RegionConfig) -> Iterator[Fault]:
    spec = region.model
    if spec.fit is None:
        return
    if spec.fit.context_tokens > spec.max_model_len:
        why = f"has to be at most maxModelLen ({spec.max_model_len})"
        yield Fault(("model", "fit", "contextTokens"), why, spec.fit.context_tokens)
    if spec.fit.concurrency > spec.max_num_seqs:
        why = f"has to be at most maxNumSeqs ({spec.max_num_seqs})"
        yield Fault(("model", "fit", "concurrency"), why, spec.fit.concurrency)


@check("model", "pools", "region")
def _machines_run_it(region: RegionConfig) -> Iterator[Fault]:
    spec, shape = region.model, _shape(region)
    for path, machine in _known(region):
        why = gpu_support.unsupported(machine.compute_capability, spec.dtype, spec.kv_cache_dtype)
        gpus = spec.tensor_parallel * spec.pipeline_parallel
        if why:
            yield Fault(path, f"{machine.gpu} is {machine.gpu_architecture}: {why}", machine.name)
        elif gpus > machine.gpus:
            sizes = " x ".join(str(size) for size in (spec.tensor_parallel, spec.pipeline_parallel))
            has = "1 GPU" if machine.gpus == 1 else f"{machine.gpus} GPUs"
            why = f"has {has}, and tensorParallel x pipelineParallel ({sizes}) takes {gpus}; a replica is one node"
            yield Fault(path, why, machine.name)
        elif shape is not None and fit.divides(shape, spec.tensor_parallel):
            yield from _fits(region, path, machine, shape)


def _fits(region: RegionConfig, path: Path, machine: catalog.Machine, shape: Architecture) -> Iterator[Fault]:
    spec = region.model
    found = fit.estimate(spec, shape, machine.gpu_memory_mib)
    if found.fits:
        return
    load = spec.load
    if load.concurrency * load.context_tokens >= spec.max_model_len:
        what = f"{load.concurrency} x {load.context_tokens} tokens"
    else:
        what = f"one sequence of {spec.max_model_len} tokens"
    gib = {
        name: f"{getattr(found, name) / fit.GIB:.1f}"
        for name in ("needed", "weights", "kv_cache", "overhead", "usable")
    }
    why = (
        f"{spec.name} in {spec.dtype} does not fit: each GPU needs {gib['needed']} GiB (weights {gib['weights']}, KV "
        f"cache {gib['kv_cache']} for {what}, overhead {gib['overhead']}) and has {gib['usable']} of "
        f"{machine.gpu_memory_gib:.1f} at gpuMemoryUtilization {spec.gpu_memory_utilization:g}"
    )
    fp8_cache = machine.compute_capability >= gpu_support.NATIVE_FP8
    helps = fit.what_would_help(spec, shape, machine.gpus, machine.gpu_memory_mib, fp8_cache)
    others = _machines_that_fit(region, shape)
    if others:
        helps.append(f"another type: {listed(others)}")
    yield Fault(path, f"{why}; what would help: {'; '.join(helps) or 'a smaller model'}", machine.name)


def _machines_that_fit(region: RegionConfig, shape: Architecture, most: int = 3) -> list[str]:
    """Types of the region that run the model, those with least GPU memory first, each with what it takes."""
    spec = region.model
    found: list[str] = []
    for machine in sorted(catalog.machines(region.CLOUD), key=lambda m: (m.gpus * m.gpu_memory_mib, m.vcpus)):
        if region.region not in catalog.offered_in(machine.name) or gpu_support.unsupported(
            machine.compute_capability, spec.dtype, spec.kv_cache_dtype
        ):
            continue
        for size in fit.tensor_parallel_sizes(shape, machine.gpus // spec.pipeline_parallel):
            tried = spec.model_copy(update={"tensor_parallel": size})
            if size >= spec.tensor_parallel and fit.estimate(tried, shape, machine.gpu_memory_mib).fits:
                change = "" if size == spec.tensor_parallel else f" with tensorParallel {size}"
                found.append(f"{machine.name}{change}")
                break
    return found[:most]


@check("pools", "storage", cloud="aws")
def _ebs_ceiling(region: AwsRegion) -> Iterator[Fault]:
    disks = (region.storage.root, region.storage.data)
    # Volumes are provisioned in MiB/s, instances limited in MB/s.
    wanted_mbps = sum(disk.throughput_mbps for disk in disks) * MIB_PER_MB
    wanted_iops = sum(disk.iops for disk in disks)
    for path, machine in _known(region):
        if machine.disk_max_mbps is not None and wanted_mbps > machine.disk_max_mbps:
            most = int(machine.disk_max_mbps / MIB_PER_MB)
            why = (
                f"reaches {machine.disk_max_mbps:g} MB/s ({most} MiB/s) over all its volumes; storage.root and "
                f"storage.data have {sum(disk.throughput_mbps for disk in disks)} MiB/s: lower throughputMbps"
            )
            yield Fault(path, why, machine.name)
        if machine.disk_max_iops is not None and wanted_iops > machine.disk_max_iops:
            why = (
                f"reaches {machine.disk_max_iops} IOPS over all its volumes; storage.root and storage.data have "
                f"{wanted_iops}: lower iops"
            )
            yield Fault(path, why, machine.name)


@check("model", "pools", "storage")
def _scratch(region: RegionConfig) -> Iterator[Fault]:
    shape = _shape(region)
    if shape is None or region.model.load_format == "stream":  # then nothing is staged
        return
    weights_gb = fit.checkpoint_bytes(shape, region.model.dtype) / 1e9
    for path, machine in _known(region):
        disk_gb, what = machine.local_gb, "NVMe" if machine.nvme_gb else "temporary disk"
        if not disk_gb:
            disk_gb, what = int(region.storage.data.size_gib * fit.GIB / 1e9), "storage.data"
        if weights_gb * SCRATCH_FACTOR > disk_gb:
            needed = f"{weights_gb * SCRATCH_FACTOR:.0f} GB"
            why = f"has {disk_gb} GB of {what}, and the weights with room to stage take {needed}"
            yield Fault(path, why, machine.name)


def advice(region: RegionConfig) -> tuple[str, ...]:
    """What is allowed but costs money or speed, one line each; for a sound region."""
    spec = region.model
    lines = []
    gpus = spec.tensor_parallel * spec.pipeline_parallel
    for machine in region.machines:
        if gpus < machine.gpus:
            idle = f"{machine.gpus - gpus} of {machine.gpus} GPUs stay idle"
            lines.append(f"{machine.name}: {idle} (tensorParallel x pipelineParallel is {gpus})")
        if gpu_support.weight_only(machine.compute_capability, spec.dtype):
            why = f"stores {spec.dtype} but computes in 16 bits: less memory, no more speed"
            lines.append(f"{machine.name}: {machine.gpu} {why}")
    if region.SPOT and region.CLOUD != "azure" and len(region.pools.types) < 3:  # a scale set has one size
        count = "one machine type" if len(region.pools.types) == 1 else "two machine types"
        lines.append(f"pools.types: {count}; spot capacity is found far more often with three")
    return (*lines, *_far(region), *storage_checks.advice(region))


def _far(region: RegionConfig) -> Iterator[str]:
    """A nearestAwsRegion that is not the nearest by far: latency records then send clients to other continents."""
    named = region.nearest_aws_region
    if region.CLOUD == "aws" or named is None:
        return
    from infra.dns import places

    own, theirs = places.coordinates(region.CLOUD, region.region), places.coordinates("aws", named)
    if own is None or theirs is None:
        return
    near, distance = places.nearest_aws(own, catalog.regions("aws"))
    far = places.kilometres(own, theirs)
    if far - distance > FAR_KM:
        yield (
            f"nearestAwsRegion: {named} is {far:,.0f} km from {region.region}, and {near} {distance:,.0f} km: latency "
            f"records would send it clients that are near {named}"
        )
