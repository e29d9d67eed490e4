"""What only several values of a stack file can say together, on Azure. No SDK."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Network
from typing import TYPE_CHECKING, Final

from infra import catalog, cidr
from infra.azure import names
from infra.azure.disks import IOPS_PER_GIB, MBPS_PER_IOPS
from infra.azure.zones import ZONED, pool_zones
from infra.checks import check
from infra.faults import Fault, listed

if TYPE_CHECKING:
    from infra.config import AzureRegion

# https://learn.microsoft.com/azure/virtual-machine-scale-sets/virtual-machine-scale-sets-automatic-instance-repairs
GRACE_MINUTES: Final = (10, 90)
OWN_TAGS: Final = 3
"""Of the stack's own, on a vault: the stack, the component, and by what it is managed."""
SUBNET_RESERVED: Final = 5
"""https://learn.microsoft.com/azure/virtual-network/virtual-networks-faq (reserved addresses of a subnet)"""
PREMIUM_MOST_GIB: Final = 32_767
"""https://learn.microsoft.com/azure/virtual-machines/disks-types#premium-ssds"""


@check("pools", cloud="azure")
def _one_size(region: AzureRegion) -> Iterator[Fault]:
    """Instance mix has no GPU families: https://learn.microsoft.com/azure/virtual-machine-scale-sets/instance-mix-overview"""
    for key, types in (("types", region.pools.types), ("onDemandTypes", region.pools.on_demand_types or ())):
        if len(types) > 1:
            why = "has to have exactly one entry: a pool is one scale set, and a scale set of GPU machines has one size"
            yield Fault(("pools", key), why, types)


@check("region", "pools", "network", cloud="azure")
def _zones(region: AzureRegion) -> Iterator[Fault]:
    wanted = region.network.zones or ()
    if wanted and region.region not in ZONED:
        yield Fault(("network", "zones"), f"{region.region} has no availability zones: leave it out", wanted)
        return
    sizes = [name for name in region.all_types if catalog.is_machine(name, "azure")]
    known = {name: catalog.zones(name, region.region) for name in sizes}
    offered = sorted({zone for zones in known.values() for zone in zones})
    for number, zone in enumerate(wanted):
        if zone in wanted[:number]:
            yield Fault(("network", "zones", number), "stands twice; each zone once", zone)
        elif known and all(known.values()) and zone not in offered:
            why = f"offers none of the machine types; {listed(offered)} {'does' if len(offered) == 1 else 'do'}"
            yield Fault(("network", "zones", number), f"{why} (as of {catalog.observed('azure')})", zone)


@check("network", "pools", cloud="azure")
def _room(region: AzureRegion) -> Iterator[Fault]:
    if cidr.fault(region.network.cidr):
        return
    # Both pools, and a machine that is on its way for each that is being replaced.
    needed = 4 * region.pools.max
    there = IPv4Network(region.network.cidr).num_addresses // 2 - SUBNET_RESERVED
    if there < needed:
        why = (
            f"too small: the nodes' subnet has {there} addresses, and {needed} are needed for two pools of at most "
            f"{region.pools.max} nodes and their replacements; take a larger network"
        )
        yield Fault(("network", "cidr"), why, region.network.cidr)


@check("node", cloud="azure")
def _grace(region: AzureRegion) -> Iterator[Fault]:
    low, high = GRACE_MINUTES
    if not low <= region.node.grace_period_minutes <= high:
        why = f"has to be from {low} to {high} on Azure: automatic repairs of a scale set wait no shorter and no longer"
        yield Fault(("node", "gracePeriodMinutes"), why, region.node.grace_period_minutes)


@check("region", "pools", "network", "storage", cloud="azure")
def _data_volume(region: AzureRegion) -> Iterator[Fault]:
    disk, path = region.storage.data, ("storage", "data")
    sizes = [name for name in region.all_types if catalog.is_machine(name, "azure")]
    # With zones in the file and none of them the size's, that is the fault, and it is told elsewhere.
    missed = [name for name in sizes if region.network.zones and not pool_zones(region, name)]
    unzoned = [name for name in sizes if not region.network.zones and not pool_zones(region, name)]
    if unzoned:
        for key, given in (("iops", disk.iops), ("throughputMbps", disk.throughput_mbps)):
            if ("iops" if key == "iops" else "throughput_mbps") in disk.model_fields_set:
                why = (
                    f"does nothing: {listed(unzoned)} goes to no availability zone, and outside of zones the volume is "
                    "Premium SSD, whose speed goes by sizeGib; leave it out, or name network.zones"
                )
                yield Fault((*path, key), why, given)
        if disk.size_gib > PREMIUM_MOST_GIB:
            why = f"has to be at most {PREMIUM_MOST_GIB} outside of availability zones, where it is Premium SSD"
            yield Fault((*path, "sizeGib"), why, disk.size_gib)
    if sizes and len(unzoned) + len(missed) == len(sizes):
        return
    if disk.iops > IOPS_PER_GIB * disk.size_gib:
        most = IOPS_PER_GIB * disk.size_gib
        why = f"has to be at most {most}: Premium SSD v2 gives {IOPS_PER_GIB} IOPS per GiB, and sizeGib is "
        yield Fault((*path, "iops"), f"{why}{disk.size_gib}", disk.iops)
    if disk.throughput_mbps > MBPS_PER_IOPS * disk.iops:
        most = int(MBPS_PER_IOPS * disk.iops)
        why = f"has to be at most {most}: Premium SSD v2 gives {MBPS_PER_IOPS} MB/s per IOPS, and iops is {disk.iops}"
        yield Fault((*path, "throughputMbps"), why, disk.throughput_mbps)


@check("region", "pools", "network", "storage", cloud="azure")
def _ceiling(region: AzureRegion) -> Iterator[Fault]:
    disk = region.storage.data
    for name in region.all_types:
        if not catalog.is_machine(name, "azure") or not pool_zones(region, name):
            continue
        machine = catalog.machine(name)
        for key, given, most, unit in (
            ("throughputMbps", disk.throughput_mbps, machine.disk_max_mbps, "MB/s"),
            ("iops", disk.iops, machine.disk_max_iops, "IOPS"),
        ):
            if most is not None and given > most:
                why = (
                    f"has to be at most {most:g}: {name} reaches {most:g} {unit} over all its remote volumes, however "
                    "fast they are; weights are fast on its local disk alone"
                )
                yield Fault(("storage", "data", key), why, given)


@check("tags", cloud="azure")
def _tags(region: AzureRegion) -> Iterator[Fault]:
    seen: dict[str, str] = {}
    for key in region.tags:
        if key.lower().startswith(names.RESERVED_TAGS):
            why = f"tags that begin with {listed(names.RESERVED_TAGS)} are set by Azure and by the stack"
            yield Fault(("tags", key), why)
        if not names.TAG_KEY.fullmatch(key):
            yield Fault(("tags", key), "has a character that Azure takes in no tag: one of <>%&\\?/")
        if key.lower() in seen:
            yield Fault(("tags", key), f"differs from {seen[key.lower()]} in case only; to Azure it is the same tag")
        seen.setdefault(key.lower(), key)
    most = names.VAULT_TAGS_MAX - OWN_TAGS
    if len(region.tags) > most:
        why = (
            f"has to have at most {most} entries: a key vault takes {names.VAULT_TAGS_MAX} tags, the stack's own among"
        )
        yield Fault(("tags",), f"{why} them", region.tags)
