"""What only several values of a stack file can say together, on Google Cloud. No SDK."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Network
from typing import TYPE_CHECKING, Final

from infra import catalog, cidr
from infra.checks import RESERVED_TAGS, check
from infra.faults import Fault, Path, listed
from infra.gcp import names
from infra.gcp.disks import HYPERDISK, IOPS_PER_GIB, by_layout, iops_most, layout, throughput_range
from infra.gcp.limits import CHANNELS_PER_BUDGET, GRACE_MAX, SELECTIONS_MAX, SUBNET_RESERVED, TYPES_PER_SELECTION

if TYPE_CHECKING:
    from infra.config import GcpRegion

GRACE_MINUTES: Final = GRACE_MAX // 60


def _types(names_: tuple[str, ...]) -> list[str]:
    """Those that the catalog knows; the others are told elsewhere."""
    return [name for name in names_ if catalog.is_machine(name, "gcp")]


@check("region", "pools", "network", cloud="gcp")
def _zones(region: GcpRegion) -> Iterator[Fault]:
    wanted = region.network.zones or ()
    offered = sorted({zone for name in _types(region.all_types) for zone in catalog.zones(name, region.region)})
    for number, zone in enumerate(wanted):
        path = ("network", "zones", number)
        if zone.rpartition("-")[0] != region.region:
            yield Fault(path, f"has to be a zone of {region.region}, such as {region.region}-a", zone)
        elif zone in wanted[:number]:
            yield Fault(path, "stands twice; each zone once", zone)
        elif offered and zone not in offered:
            why = f"offers none of the machine types; {listed(offered)} {'does' if len(offered) == 1 else 'do'}"
            yield Fault(path, f"{why} (as of {catalog.observed('gcp')})", zone)


@check("pools", cloud="gcp")
def _selections(region: GcpRegion) -> Iterator[Fault]:
    """Spot: types that agree in their disks share a selection. On-demand: one each, as each has a rank of its own."""
    spot = sum(-(-len(types) // TYPES_PER_SELECTION) for types in by_layout(_types(region.pools.types)).values())
    if spot > SELECTIONS_MAX:
        why = (
            f"need {spot} instance selections by the disks that they take, and a group has at most {SELECTIONS_MAX}: "
            "name fewer kinds of machines"
        )
        yield Fault(("pools", "types"), why, region.pools.types)
    if len(region.on_demand_types) > SELECTIONS_MAX:
        why = f"has to have at most {SELECTIONS_MAX} entries: each is an instance selection with a rank of its own"
        given = region.pools.on_demand_types
        where = ("pools", "types") if given is None else ("pools", "onDemandTypes")
        more = "; or name onDemandTypes" if given is None else ""
        yield Fault(where, why + more, region.on_demand_types)


@check("region", "network", "pools", cloud="gcp")
def _room(region: GcpRegion) -> Iterator[Fault]:
    if cidr.fault(region.network.cidr):
        return
    # One subnetwork over all zones. A rollout makes a node in each zone before the old ones go, in both groups.
    needed = 2 * (region.pools.max + len(region.zones))
    there = IPv4Network(region.network.cidr).num_addresses - SUBNET_RESERVED
    if there < needed:
        why = (
            f"too small: the nodes' subnetwork has {there} addresses, and {needed} are needed for two pools of at most "
            f"{region.pools.max} nodes and for replacing them; take a larger network"
        )
        yield Fault(("network", "cidr"), why, region.network.cidr)


@check("node", cloud="gcp")
def _grace(region: GcpRegion) -> Iterator[Fault]:
    if region.node.grace_period_minutes > GRACE_MINUTES:
        why = f"has to be at most {GRACE_MINUTES} on Google Cloud: autohealing waits no longer"
        yield Fault(("node", "gracePeriodMinutes"), why, region.node.grace_period_minutes)


@check("budget", cloud="gcp")
def _emails(region: GcpRegion) -> Iterator[Fault]:
    emails = region.budget.emails
    if len(set(emails)) > CHANNELS_PER_BUDGET:
        why = f"has to have at most {CHANNELS_PER_BUDGET} entries: a budget of Google Cloud notifies no more"
        yield Fault(("budget", "emails"), why, emails)


@check("image", cloud="gcp")
def _image_name(region: GcpRegion) -> Iterator[Fault]:
    image = region.image
    if image.family is None or image.version is None:
        return
    try:
        names.image_name(image.family, image.version)
    except ValueError:
        why = f"too long: with the version it is the image's name, which has at most {names.NAME_MAX} characters"
        yield Fault(("image", "family"), why, image.family)


@check("pools", "storage", cloud="gcp")
def _hyperdisk(region: GcpRegion) -> Iterator[Fault]:
    disk, path = region.storage.data, ("storage", "data")
    types = _types(region.all_types)
    if not types:
        return
    if not any(layout(name).data == HYPERDISK for name in types):
        for key, field, given in (
            ("iops", "iops", disk.iops),
            ("throughputMbps", "throughput_mbps", disk.throughput_mbps),
        ):
            if field in disk.model_fields_set:
                why = (
                    f"does nothing: {listed(types, 'and')} {'takes' if len(types) == 1 else 'take'} no Hyperdisk "
                    "Balanced, and a persistent disk's speed goes by sizeGib; leave it out"
                )
                yield Fault((*path, key), why, given)
        return
    yield from _ratios(path, disk.size_gib, disk.iops, disk.throughput_mbps)


def _ratios(path: Path, size_gib: int, iops: int, throughput: int) -> Iterator[Fault]:
    most = iops_most(size_gib)
    if iops > most:
        why = f"has to be at most {most}: Hyperdisk Balanced gives {IOPS_PER_GIB} IOPS per GiB, and sizeGib is "
        yield Fault((*path, "iops"), f"{why}{size_gib}", iops)
    low, high = throughput_range(iops)
    if not low <= throughput <= high:
        why = f"has to be from {low} to {high}: of Hyperdisk Balanced a 256th to a quarter of iops, which is {iops}"
        yield Fault((*path, "throughputMbps"), why, throughput)


@check("tags", cloud="gcp")
def _labels(region: GcpRegion) -> Iterator[Fault]:
    for key, value in region.tags.items():
        if key.lower().startswith(RESERVED_TAGS):
            continue  # told for every cloud
        why = names.label_fault(key, value)
        if why is not None:
            yield Fault(("tags", key), why)
