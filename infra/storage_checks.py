"""Checks of a stack file against what its disks, network and bucket can do at all: infra/parity.py does the sums."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from infra import catalog, fit, parity
from infra.checks import check
from infra.faults import Fault

if TYPE_CHECKING:
    from infra.config import RegionConfig


def _stagings(region: RegionConfig) -> Iterator[tuple[catalog.Machine, parity.Staging]]:
    """The region's own model on each of its machine types, each once; nothing for a model of unknown shape."""
    if region.model.architecture is None and not catalog.is_model(region.model.name):
        return
    weights_gb = fit.checkpoint_bytes(region.architecture, region.model.dtype) / 1e9
    for name in region.all_types:
        if catalog.is_machine(name, region.CLOUD):
            machine = catalog.machine(name)
            streamed = region.model.load_format == "stream"
            yield machine, parity.staging(parity.of_region(region, machine), weights_gb, streamed=streamed)


def _where(region: RegionConfig) -> str:
    """Where the weights go."""
    return "to scratch" if region.model.load_format == "stage" else "to the engine"


@check("region", "model", "pools", "storage", "network", "fallback")
def _boot(region: RegionConfig) -> Iterator[Fault]:
    """A fault only where no burst and no raised quota could make it true: such a node is given up before it serves."""
    boot = region.fallback.boot_minutes
    for machine, found in _stagings(region):
        if found.least_seconds is not None and found.least_seconds > boot * 60:
            rate = found.gb * 1000 / found.least_seconds
            why = (
                f"can never do on {machine.name}: the {found.gb:.0f} GB of weights alone take at least "
                f"{minutes(found.least_seconds)} minutes {_where(region)}, at {rate:,.0f} MB/s ({found.least_binds})"
            )
            yield Fault(("fallback", "bootMinutes"), why, boot)


def advice(region: RegionConfig) -> Iterator[str]:
    """What is paid for and never seen, and boots that are too short at the documented limits; for a sound region."""
    boot = region.fallback.boot_minutes
    yield from _throughput(region)
    for machine, found in _stagings(region):
        if found.seconds is not None and found.seconds > boot * 60:
            yield (
                f"fallback.bootMinutes: {boot}, and on {machine.name} the {found.gb:.0f} GB of weights alone take "
                f"{minutes(found.seconds)} minutes {_where(region)}, at {found.mbps or 0:,.0f} MB/s ({found.binds})"
            )


def _throughput(region: RegionConfig) -> Iterator[str]:
    """Throughput of the data volume beyond what arrives; on AWS and Azure a machine's ceiling is a fault already."""
    disk = getattr(region.storage, "data", None)
    asked = getattr(disk, "throughput_mbps", None)
    # What is left to a default is no wish of the author's.
    if disk is None or asked is None or "throughput_mbps" not in disk.model_fields_set:
        return
    unit, size = ("MB/s", 1.0) if region.CLOUD == "azure" else ("MiB/s", parity.MIB_PER_MB)
    volumes = {machine.name: parity.of_region(region, machine) for machine in region.machines}
    gets = {name: node.data.mbps for name, node in volumes.items() if node.data is not None}
    for name, figure in gets.items():
        if figure.binds == parity.MACHINE and (figure.most or 0) < asked * size:
            instead = (
                "weights go from the bucket to the engine, not through the volume"
                if region.model.load_format == "stream"
                else "it has no local disks, so weights are staged at that"
                if volumes[name].scratch.where == "data"
                else "weights go from the bucket to its local disks, not through the volume"
            )
            most = f"{(figure.most or 0) / size:.0f} {unit} over all its disks"
            yield f"storage.data.throughputMbps: {asked} is more than {name} lets through, {most}; {instead}"
    # One section serves all types: a number that some of them take is no mistake.
    by_size = {name: figure.value for name, figure in gets.items() if figure.value is not None}
    if len(by_size) == len(region.machines) and all(value + 1 < asked * size for value in by_size.values()):
        name, value = max(by_size.items(), key=lambda item: item[1])
        if gets[name].binds != parity.MACHINE:
            what = f"{gets[name].binds} of {disk.size_gib} GiB reaches {value / size:.0f} {unit} on {name}"
            yield f"storage.data.throughputMbps: {asked} is what no machine type of the pools gets; {what}, by its size"


def minutes(seconds: float) -> str:
    """Minutes with one decimal, rounded up: never less than it takes."""
    return f"{math.ceil(seconds / 6) / 10:g}"
