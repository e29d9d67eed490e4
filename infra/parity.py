"""What one node gets of its disks, and how long a model takes from the region's bucket to scratch. Pure.

    found = node(catalog.machine("p4d.24xlarge"), region="us-east-1")
    found.data.mbps.value, found.data.mbps.binds     # 1048.6, "gp3"
    staging(found, 140).seconds                      # 11.2

Everything is the smallest of documented limits, each from data/staging.json or the machine types' own files, with the
name of the one that binds. What is documented nowhere is None, never 0; a time that such a figure could still lengthen
is a lower bound and says so. MB/s are 1e6 bytes and Gbit/s 1e9 bits, as in those files; gp3, Persistent Disk and
Hyperdisk are counted in MiB/s and converted.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final, Literal

from infra import catalog
from infra.azure import disks as azure_disks
from infra.gcp import disks as gcp_disks

if TYPE_CHECKING:
    from infra.catalog import Machine
    from infra.config import RegionConfig

MIB_PER_MB: Final = (1 << 20) / 1e6
GIB_PER_GB: Final = (1 << 30) / 1e9
MBPS_PER_GBPS: Final = 125
SCRATCH_FACTOR: Final = 1.1
"""A staged model, its manifest and the compile cache need this much more than the weights."""
WEIGHTS_GB: Final = (140, 671)
"""A model of 70 billion parameters in 16 bits, and one of 671 billion in 8."""
MACHINE: Final = "machine"
"""What binds where the machine type lets through less than the volume has."""


@dataclass(frozen=True, slots=True)
class Limit:
    """One documented limit.

    value: in the unit of its place (MB/s, or IOPS); None where it is documented nowhere. most: what it may reach for a
    while, on credit or by a burst; None where nothing rules out more (a default that the cloud raises, a figure that is
    told of the other direction). sure: whether value holds all the time.
    """

    name: str
    value: float | None
    most: float | None
    source: str
    sure: bool = True


@dataclass(frozen=True, slots=True)
class Figure:
    """The smallest of some limits.

    value: of those that are documented; None where none is. binds: the limit that it is. unknown: names of those that
    could make it smaller. most: the smallest of what the limits may reach at all, None where nothing bounds them.
    most_binds: the limit that this is.
    """

    value: float | None
    binds: str | None
    unknown: tuple[str, ...]
    most: float | None
    most_binds: str | None = None
    source: str | None = None


def smallest(limits: Iterable[Limit]) -> Figure:
    """Several limits on the same thing as one figure; of equal ones the first binds."""
    found = tuple(limits)
    known = [limit for limit in found if limit.value is not None]
    least = min(known, key=lambda limit: limit.value or 0.0, default=None)
    unknown = tuple(limit.name for limit in found if limit.value is None or not limit.sure)
    bounds = [(limit.most, limit.name) for limit in found if limit.most is not None]
    most, most_binds = min(bounds, key=lambda bound: bound[0], default=(None, None))
    if least is None:
        return Figure(None, None, unknown, most, most_binds)
    return Figure(least.value, least.name, unknown, most, most_binds, least.source)


@dataclass(frozen=True, slots=True)
class Volume:
    """One network volume: its type, its size in GiB, and IOPS and MB/s that arrive in the node, by itself.

    asked_mbps: what it is provisioned for (MB/s), before the machine's ceiling; None where that is not documented.
    """

    kind: str
    size_gib: int
    iops: Figure
    mbps: Figure
    asked_mbps: float | None


@dataclass(frozen=True, slots=True)
class Scratch:
    """Where weights are staged: RAID0 of all local NVMe disks, else the temporary disk, else the data volume.

    disks: number of local ones. size_gb: GB of all. iops, mbps: written.
    """

    where: Literal["nvme", "temp", "data"]
    disks: int
    size_gb: int
    iops: Figure
    mbps: Figure


@dataclass(frozen=True, slots=True)
class Node:
    """What one node of a machine type gets. root and data are None where nobody says what volumes it has.

    together_mbps: MB/s of root and data at once. path: the limits between bucket and scratch, in their order.
    """

    machine: Machine
    region: str | None
    root: Volume | None
    data: Volume | None
    together_mbps: Figure
    scratch: Scratch
    path: tuple[Limit, ...]
    connection_mbps: float | None


@dataclass(frozen=True, slots=True)
class Staging:
    """The copy of `gb` of weights (GB) to scratch.

    seconds: gb / rate, at the documented limits; None where none of them is known, or the weights have no room.
    lower_bound: a limit is unknown, so that it may well take longer. least_seconds: quicker than that nothing that is
    known allows, bursts included; None where nothing rules it out. least_binds: what rules it out. connections:
    parallel requests that the rate takes; None where the cloud does not tell what a single one brings. room: whether
    scratch holds it.
    """

    gb: float
    room: bool
    seconds: float | None
    lower_bound: bool
    least_seconds: float | None
    least_binds: str | None
    mbps: float | None
    binds: str | None
    unknown: tuple[str, ...]
    connections: int | None


@cache
def limits() -> dict[str, Any]:
    """data/staging.json: limits with source and date."""
    data: dict[str, Any] = json.loads((catalog.DATA / "staging.json").read_bytes())
    return data


def observed() -> str:
    """The day on which the limits were read, YYYY-MM-DD."""
    return str(limits()["observed"])


# --- volumes ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a volume is provisioned for, without the machine. iops, mbps: limits of the volume alone."""

    kind: str
    size_gib: int
    iops: Limit
    mbps: Limit


def _told(kind: str, size_gib: int, iops: float, mbps: float, source: str) -> _Asked:
    return _Asked(kind, size_gib, Limit(kind, iops, iops, source), Limit(kind, mbps, mbps, source))


def _untold(kind: str, size_gib: int) -> _Asked:
    return _Asked(kind, size_gib, Limit(kind, None, None, ""), Limit(kind, None, None, ""))


def by_size(kind: str, size_gib: int, vcpus: int = 0) -> _Asked:
    """A volume whose performance follows from its size, by data/staging.json.

    Tiers: the smallest that holds it. Otherwise it grows with the size: min(base + GiB x rate, most).
    vcpus: of the machine; below the number that the limits are told for, they are an upper bound only.
    """
    data = limits()["volumes"].get(kind)
    if data is None:
        return _untold(kind, size_gib)
    name, source = data["name"], data["source"]
    if "tiers" in data:
        tier = next((tier for tier in data["tiers"] if tier[0] >= size_gib), None)
        if tier is None:
            return _untold(name, size_gib)
        _, iops, mbps, burst = tier
        # Credits of small Premium SSDs: https://learn.microsoft.com/azure/virtual-machines/disk-bursting
        peak = 3500 if burst > mbps else iops
        return _Asked(name, size_gib, Limit(name, iops, peak, source), Limit(name, mbps, burst, source))
    sure = vcpus >= data.get("vcpus", 0)
    unit, grows = (1.0, data["mbps"]) if "mbps" in data else (MIB_PER_MB, data["mibps"])
    iops, throughput = (min(base + rate * size_gib, most) for base, rate, most in (data["iops"], grows))
    mbps = throughput * unit
    return _Asked(name, size_gib, Limit(name, iops, iops, source, sure), Limit(name, mbps, mbps, source, sure))


def _aws(machine: Machine, storage: Any, zoned: bool) -> tuple[_Asked, _Asked]:
    source = "https://docs.aws.amazon.com/ebs/latest/userguide/general-purpose.html"
    root, data = (
        _told("gp3", disk.size_gib, disk.iops, disk.throughput_mbps * MIB_PER_MB, source)
        for disk in (storage.root, storage.data)
    )
    return root, data


def _azure(machine: Machine, storage: Any, zoned: bool) -> tuple[_Asked, _Asked]:
    root, data = by_size("Premium_LRS", storage.root.size_gib), storage.data
    if not zoned:
        return root, by_size("Premium_LRS", data.size_gib)
    source = "https://learn.microsoft.com/azure/virtual-machines/disks-types#premium-ssd-v2"
    iops, mbps = azure_disks.own_performance(data)
    return root, _told("Premium SSD v2", data.size_gib, iops, mbps, source)


def _gcp(machine: Machine, storage: Any, zoned: bool) -> tuple[_Asked, _Asked]:
    kinds, data = gcp_disks.layout(machine.name), storage.data
    # A boot disk of Hyperdisk has what comes with its size, which is told of one size only.
    root = by_size(kinds.boot, storage.root.size_gib, machine.vcpus)
    if kinds.data != gcp_disks.HYPERDISK:
        return root, by_size(kinds.data, data.size_gib, machine.vcpus)
    source = "https://docs.cloud.google.com/compute/docs/disks/hd-types/hyperdisk-balanced"
    return root, _told(kinds.data, data.size_gib, data.iops, data.throughput_mbps * MIB_PER_MB, source)


VOLUMES: Final[dict[str, Callable[[Machine, Any, bool], tuple[_Asked, _Asked]]]] = {
    "aws": _aws,
    "azure": _azure,
    "gcp": _gcp,
}
"""Cloud -> root and data volume as the stack file's `storage` asks for them."""


def _asked(machine: Machine, storage: Any, zoned: bool) -> tuple[_Asked | None, _Asked | None]:
    if storage is None:
        return None, None
    if machine.cloud in VOLUMES:
        return VOLUMES[machine.cloud](machine, storage, zoned)
    # Elsewhere type and size say it all, as on Tencent Cloud.
    root, data = (getattr(storage, name, None) for name in ("root", "data"))
    return _typed(root), _typed(data)


def _typed(disk: Any) -> _Asked | None:
    return None if disk is None else by_size(getattr(disk, "type", "volume"), disk.size_gib)


def _ceiling(machine: Machine, baseline: float | None, most: float | None) -> Limit:
    return Limit(MACHINE, most if baseline is None else baseline, most, _machine_source(machine))


def _volume(machine: Machine, asked: _Asked | None) -> Volume | None:
    if asked is None:
        return None
    ceilings = (
        _ceiling(machine, machine.disk_baseline_iops, machine.disk_max_iops),
        _ceiling(machine, machine.disk_baseline_mbps, machine.disk_max_mbps),
    )
    iops, mbps = (smallest(pair) for pair in zip((asked.iops, asked.mbps), ceilings, strict=True))
    return Volume(asked.kind, asked.size_gib, iops, mbps, asked.mbps.value)


def _machine_source(machine: Machine) -> str:
    return f"infra/data/{machine.cloud}_machines.json"


# --- from the bucket to scratch --------------------------------------------------------------------------------------


def network(machine: Machine) -> Limit:
    """What the node's one interface takes in, MB/s: Gbit/s x 125.

    Where the bandwidth is documented of what goes out only, it stands for what comes in too, but rules out no more.
    """
    told = limits()["network"].get(machine.cloud, {"inbound": False, "source": _machine_source(machine)})
    steady, peak = machine.network_gbps, machine.network_peak_gbps
    value = steady if steady is not None else peak
    return Limit(
        "network",
        None if value is None else value * MBPS_PER_GBPS,
        peak * MBPS_PER_GBPS if told["inbound"] and peak is not None else None,
        told["source"],
        sure=steady is not None,
    )


def store(cloud: str, region: str | None = None, nodes: int = 1) -> tuple[Limit, ...]:
    """What the region's object store gives one of `nodes` nodes that read at once, MB/s.

    Limits of the account, project or prefix are shared: value / nodes. A number of requests per second brings the range
    that the cloud advises at least, each. region: None takes the figure of most regions.
    """
    told = limits()["stores"].get(cloud)
    if told is None:
        return (Limit("object store", None, None, ""),)
    found = []
    for limit in told["limits"]:
        if "requests" in limit:
            mbps: float | None = limit["requests"] * limit["rangeMb"]
        else:
            listed = region is None or region in limit.get("regions", (region,))
            gbps = limit["gbps"] if listed else limit["gbpsElsewhere"]
            mbps = None if gbps is None else gbps * MBPS_PER_GBPS
        if mbps is not None and limit["scope"] != "instance":
            mbps /= nodes
        found.append(Limit(limit["what"], mbps, None if limit.get("raisable") else mbps, limit["source"]))
    return tuple(found)


def nvme(machine: Machine) -> tuple[Limit, Limit]:
    """IOPS, and MB/s written, of all local disks of a node; by their number, between two numbers the lower one's."""
    told = limits()["nvme"].get(machine.cloud)
    name, source = "local NVMe", _machine_source(machine)
    if told is None:
        return Limit(name, None, None, source), Limit(name, None, None, source)

    def row(key: str, unit: float) -> Limit:
        fitting = [value for count, value in told[key].items() if int(count) <= machine.nvme_count]
        value = fitting[-1] * unit if fitting else None
        return Limit(name, value, value, told["source"])

    return row("iops", 1), row("mibps", MIB_PER_MB)


def connection_mbps(cloud: str) -> float | None:
    """What one request at a time brings from the object store, MB/s, within what one flow may carry."""
    told = limits()
    one = told["stores"].get(cloud, {}).get("connectionMbps")
    flow = told["network"].get(cloud, {}).get("flowGbps")
    known = [value for value in (one, None if flow is None else flow * MBPS_PER_GBPS) if value is not None]
    return float(min(known)) if one is not None else None


def node(
    machine: Machine, storage: Any = None, region: str | None = None, *, zoned: bool = True, nodes: int = 1
) -> Node:
    """What one node of a machine type gets of its disks, and what lies between the bucket and its scratch.

    storage: the section of the stack file; None takes the cloud's defaults. zoned: whether Azure puts the node in a
    zone, which is where Premium SSD v2 is. nodes: how many copy at once. The machine's ceiling is the one that it keeps
    up; what it reaches for half an hour a day is in `most`.
    """
    asked_root, asked_data = _asked(machine, storage or default_storage(machine.cloud), zoned)
    root, data = _volume(machine, asked_root), _volume(machine, asked_data)
    both = [volume.asked_mbps for volume in (root, data) if volume is not None]
    added = sum(value for value in both if value is not None) if both and None not in both else None
    together = smallest((
        Limit("root and data", added, added, ""),
        _ceiling(machine, machine.disk_baseline_mbps, machine.disk_max_mbps),
    ))  # fmt: skip
    if machine.nvme_count:
        iops, write = nvme(machine)
        scratch = Scratch("nvme", machine.nvme_count, machine.nvme_gb, smallest((iops,)), smallest((write,)))
    elif machine.temp_gb:
        # How fast it is, is told for no size.
        write = Limit("temporary disk", None, None, _machine_source(machine))
        scratch = Scratch("temp", 1, machine.temp_gb, smallest((write,)), smallest((write,)))
    else:
        write = _as_limit(data)
        size = 0 if data is None else int(data.size_gib * GIB_PER_GB)
        untold = Figure(None, None, ("data volume",), None)
        scratch = Scratch("data", 0, size, untold if data is None else data.iops, smallest((write,)))
    path = (network(machine), *store(machine.cloud, region, nodes), write)
    return Node(machine, region, root, data, together, scratch, path, connection_mbps(machine.cloud))


def _as_limit(volume: Volume | None) -> Limit:
    """A data volume as one limit on the way to scratch. A ceiling of the machine that nobody tells leaves it unsure."""
    if volume is None:
        return Limit("data volume", None, None, "")
    found = volume.mbps
    name = "machine's disk ceiling" if found.binds == MACHINE else f"data volume ({volume.kind})"
    return Limit(name, found.value, found.most, found.source or "", sure=not found.unknown)


def staging(of: Node, gb: float, *, streamed: bool = False) -> Staging:
    """How long `gb` of weights take: seconds = gb x 1000 / min(limits of the path in MB/s).

    streamed: the engine reads them from the bucket itself, so that scratch is neither filled nor a limit.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/optimizing-performance-design-patterns.html for the requests:
    one for each connectionMbps of the rate, rounded up.
    """
    rate = smallest(of.path[:-1] if streamed else of.path)
    # The data volume's size stands in the stack file; where nobody says what volumes there are, it may have room.
    room = streamed or gb * SCRATCH_FACTOR <= of.scratch.size_gb or (of.scratch.where == "data" and of.data is None)
    return Staging(
        gb=gb,
        room=room,
        seconds=gb * 1000 / rate.value if room and rate.value is not None else None,
        lower_bound=bool(rate.unknown),
        least_seconds=gb * 1000 / rate.most if room and rate.most is not None else None,
        least_binds=rate.most_binds,
        mbps=rate.value,
        binds=rate.binds,
        unknown=rate.unknown,
        connections=math.ceil(rate.value / of.connection_mbps) if rate.value and of.connection_mbps else None,
    )


# --- stack files -----------------------------------------------------------------------------------------------------


@cache
def default_storage(cloud: str) -> Any:
    """The `storage` section of a stack file that has none; None for a cloud that has no such section."""
    from infra.config import CLOUDS

    model = CLOUDS.get(cloud)
    return None if model is None else model.model_fields["storage"].get_default(call_default_factory=True)


def of_region(region: RegionConfig, machine: Machine, nodes: int = 1) -> Node:
    """What one node of a machine type gets in a region's stack file."""
    return node(machine, region.storage, region.region, zoned=is_zoned(region, machine), nodes=nodes)


def is_zoned(region: RegionConfig, machine: Machine) -> bool:
    """Whether the nodes of this type are put in zones; Azure's only, of which some regions tell none."""
    if region.CLOUD != "azure":
        return True
    from infra.azure.zones import pool_zones

    return bool(pool_zones(region, machine.name))


def in_order(machines: Iterable[Machine]) -> list[Machine]:
    """By cloud, then by family, then by GPUs and size."""
    clouds = list(catalog.READERS)
    return sorted(machines, key=lambda m: (clouds.index(m.cloud), family(m.name), m.gpus, m.vcpus, m.name))


def family(name: str) -> str:
    """What machine types of one family share in their names: p5en, ND_v4, a2-highgpu, GT4."""
    azure = re.fullmatch(r"Standard_([A-Z]+)\d+[a-z]*_(.+)", name)
    if azure:
        return "_".join(azure.groups())
    return name.split(".")[0] if "." in name else name.rsplit("-", 1)[0]
