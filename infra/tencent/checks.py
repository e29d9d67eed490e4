"""Checks of stack files that only Tencent Cloud has; no SDK."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from infra import catalog, cidr
from infra.checks import check
from infra.faults import Fault, listed
from infra.tencent import names

if TYPE_CHECKING:
    from infra.config import TencentRegion

RULES_MAX: Final = 100
"""Rules of a security group in one direction that an account starts with
(https://www.tencentcloud.com/document/product/215/537); two are kept for the probes and the last one."""
SLOTS: Final = 8
"""As infra/tencent/network.py cuts the network."""
DISK_STEP: Final = 10
RESERVED_TAGS: Final = ("qcs:", "tencentcloud:", "spillway:")
UNUSED_LOAD: Final = {
    "queue_per_replica": "queuePerReplica",
    "queue_minutes": "queueMinutes",
    "in_queue_per_replica": "inQueuePerReplica",
}


@check("pools", cloud="tencent")
def _all_on_demand(region: TencentRegion) -> Iterator[Fault]:
    pools = region.pools
    if pools.floor != pools.target and pools.floor <= pools.target:  # a higher one is told on every cloud
        why = f"has to be target ({pools.target}), or left out: everything is on-demand here, there is no spot pool"
        yield Fault(("pools", "floor"), why, pools.floor)


@check("pools", cloud="tencent")
def _one_list(region: TencentRegion) -> Iterator[Fault]:
    if region.pools.on_demand_types is not None:
        why = "leave it out: types are the on-demand types here, there is no spot pool"
        yield Fault(("pools", "onDemandTypes"), why, region.pools.on_demand_types)


@check("fallback", cloud="tencent")
def _no_fallback(region: TencentRegion) -> Iterator[Fault]:
    for name, key in (("out_minutes", "outMinutes"), ("in_minutes", "inMinutes"), ("dry_run", "dryRun")):
        if name in region.fallback.model_fields_set:
            why = "leave it out: there is no spot pool to fall back from, everything is on-demand here"
            yield Fault(("fallback", key), why, getattr(region.fallback, name))


@check("node", cloud="tencent")
def _no_grace(region: TencentRegion) -> Iterator[Fault]:
    if "grace_period_minutes" in region.node.model_fields_set:
        why = "leave it out: a scaling group has no grace, it replaces only what the cloud cannot reach"
        yield Fault(("node", "gracePeriodMinutes"), why, region.node.grace_period_minutes)


@check("scaling", cloud="tencent")
def _load(region: TencentRegion) -> Iterator[Fault]:
    load = region.scaling
    if load.signal == "queue":
        why = "has to be cpu or none: scaling groups of Tencent Cloud follow no metric of one's own"
        yield Fault(("scaling", "signal"), why, load.signal)
        return
    for name, key in UNUSED_LOAD.items():
        if name in load.model_fields_set:
            why = "leave it out: scaling groups of Tencent Cloud follow no metric of one's own"
            yield Fault(("scaling", key), why, getattr(load, name))
    if load.signal != "cpu":
        return
    for key, minutes in (("cpuMinutes", load.cpu_minutes), ("inMinutes", load.in_minutes)):
        if minutes > 10 and (minutes % 5 or minutes > 50):
            yield Fault(("scaling", key), "has to be 1 to 10, or a multiple of 5 up to 50", minutes)
    for key, percent in (("cpuPercent", load.cpu_percent), ("inCpuPercent", load.in_cpu_percent)):
        if percent != int(percent):
            yield Fault(("scaling", key), "has to be a whole number of percent", percent)


@check("region", "pools", "network", cloud="tencent")
def _zones(region: TencentRegion) -> Iterator[Fault]:
    wanted = region.network.zones or ()
    offered = {
        zone for name in region.all_types if catalog.is_machine(name) for zone in catalog.zones(name, region.region)
    }
    for number, zone in enumerate(wanted):
        path = ("network", "zones", number)
        own, _, index = zone.rpartition("-")
        if own != region.region:
            yield Fault(path, f"has to be a zone of {region.region}, such as {region.region}-3", zone)
        elif int(index) > SLOTS:
            yield Fault(path, f"has to be a zone with a number up to {SLOTS}", zone)
        elif zone in wanted[:number]:
            yield Fault(path, "stands twice; each zone once", zone)
        elif offered and zone not in offered:
            why = f"offers none of the machine types; {listed(sorted(offered))} do"
            yield Fault(path, f"{why} (as of {catalog.observed(region.CLOUD)})", zone)


@check("network", cloud="tencent")
def _rules(region: TencentRegion) -> Iterator[Fault]:
    network = region.network
    if any(cidr.client_fault(client) for client in network.clients):
        return
    checkers = len(catalog.checker_networks(network, route53=True))
    if len(network.clients) + checkers + 2 > RULES_MAX:
        why = f"has to have at most {RULES_MAX - 2 - checkers} entries: a security group takes {RULES_MAX} rules"
        yield Fault(("network", "clients"), why, network.clients)


@check("network", "pools", cloud="tencent")
def _room(region: TencentRegion) -> Iterator[Fault]:
    if cidr.fault(region.network.cidr):
        return
    there = cidr.hosts_per_subnet(region.network.cidr)
    if there < region.pools.max:
        why = f"too small: a zone's subnet has {there} addresses, and pools.max is {region.pools.max}"
        yield Fault(("network", "cidr"), why, region.network.cidr)


@check("storage", cloud="tencent")
def _disks(region: TencentRegion) -> Iterator[Fault]:
    size = region.storage.data.size_gib
    if size % DISK_STEP:
        yield Fault(("storage", "data", "sizeGib"), f"has to be a multiple of {DISK_STEP}", size)


@check("tags", cloud="tencent")
def _tags(region: TencentRegion) -> Iterator[Fault]:
    for key in region.tags:
        if key.lower().startswith(RESERVED_TAGS):
            yield Fault(("tags", key), f"tags that begin with {listed(RESERVED_TAGS)} are set by others")
        if len(key) > names.TAG_KEY_MAX:
            yield Fault(("tags", key), f"has to have at most {names.TAG_KEY_MAX} characters")
        if len(region.tags[key]) > names.TAG_VALUE_MAX:
            yield Fault(("tags", key), f"its value has to have at most {names.TAG_VALUE_MAX} characters")
