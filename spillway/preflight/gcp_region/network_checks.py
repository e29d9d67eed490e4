"""Counts against quotas of the network and of disks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from infra import catalog
from infra.gcp import disks, names
from spillway.preflight.gcp_region.context import GcpContext
from spillway.preflight.gcp_region.facts import Place
from spillway.preflight.model import Row, Unanswered
from spillway.preflight.pool_quotas import MARKETS, Limit, Market, counted, replicas, types_of

ADDRESSES: Final = "STATIC_ADDRESSES"
NETWORKS: Final = "NETWORKS"
"""https://docs.cloud.google.com/vpc/docs/quota: a new project has room for five networks."""
# https://docs.cloud.google.com/compute/resource-usage#disk_quota: SSD and balanced persistent disks count together.
_DISKS: Final = {"pd-balanced": "SSD_TOTAL_GB", "pd-ssd": "SSD_TOTAL_GB", "hyperdisk-balanced": "HDB_TOTAL_GB"}
_LOCAL_SSD: Final[dict[Market, str]] = {"on-demand": "LOCAL_SSD_TOTAL_GB", "spot": "PREEMPTIBLE_LOCAL_SSD_GB"}


def _limit(context: GcpContext, place: Place, metric: str) -> Limit:
    found = context.account.limits(place).get(metric)
    if found is None:
        raise Unanswered(f"the {place} lists no quota {metric}")
    return found


def addresses(context: GcpContext) -> Iterator[Row]:
    """Static addresses: the balancer's. NAT takes addresses by itself."""
    limit = _limit(context, "region", ADDRESSES)
    own = sum(one.stack == context.stack for one in context.account.addresses())
    why = "1 address for the balancer"
    yield counted("addresses", "static addresses", limit, own, 1, why, context.request)


def networks(context: GcpContext) -> Iterator[Row]:
    """Networks of the project."""
    limit = _limit(context, "project", NETWORKS)
    own = sum(one.name == names.name(context.stack, "vpc") for one in context.account.networks())
    request = lambda limit, value: context.request(limit, value, "project")  # noqa: E731
    yield counted("networks", "networks", limit, own, 1, "1", request)


def _per_node(context: GcpContext, machine_type: str, market: Market) -> Counter[str]:
    """GiB that one node of a type takes of each disk quota."""
    storage, layout = context.config.storage, disks.layout(machine_type)
    found: Counter[str] = Counter()
    for kind, size in ((layout.boot, storage.root.size_gib), (layout.data, storage.data.size_gib)):
        if kind in _DISKS:
            found[_DISKS[kind]] += size
    if layout.local_ssds:  # those that come with a type are not counted
        found[_LOCAL_SSD[market]] += layout.local_ssds * disks.LOCAL_SSD_GB
    return found


def disk_space(context: GcpContext) -> Iterator[Row]:
    """Disks of both pools at their largest, each of the type that takes most. Quotas that the region does not list are
    left out."""
    if context.account.stand_in:
        return  # it counts no disks
    limits = context.account.limits("region")
    needed: Counter[str] = Counter()
    smallest: dict[str, int] = {}
    for market in MARKETS:
        _, most = replicas(context.config, market)
        each = [_per_node(context, name, market) for name in types_of(context.config, market)]
        for metric in {metric for one in each for metric in one}:
            largest = max(one[metric] for one in each)
            needed[metric] += most * largest
            smallest[metric] = max(largest, smallest.get(metric, 0))
    own: Counter[str] = Counter()
    for one in context.own_instances():
        if catalog.is_machine(one.machine_type):
            own += _per_node(context, one.machine_type, "spot" if one.spot else "on-demand")
    fallback = context.config.pools.max
    for metric, amount in needed.items():
        limit = limits.get(metric)
        if limit is None:
            continue
        why = f"{amount:,} GB: {smallest[metric]:,} a node"
        row = counted(f"disk.{metric}", f"disk space: {metric}", limit, own[metric], amount, why, context.request)
        room = int((limit.most - max(0.0, limit.used - own[metric])) // smallest[metric])
        if row.state == "failure":
            action = f"room for {max(0, room)} nodes; launches beyond fail with QUOTA_EXCEEDED"
            enough = room >= fallback or metric == _LOCAL_SSD["spot"]
            row = replace(row, action=action, state="warning" if enough else "failure")
        yield row
