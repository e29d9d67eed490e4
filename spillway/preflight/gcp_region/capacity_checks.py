"""Zones, machine types, GPU quotas, what is sold out on the stand-in, and what is known of Spot VMs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final

from infra import catalog
from infra.faults import listed
from spillway.preflight.gcp_region.context import GcpContext
from spillway.preflight.gcp_region.facts import Instance
from spillway.preflight.model import Row, count
from spillway.preflight.pool_quotas import MARKETS, Limit, Market, replicas, share_rows, shares, types_of

ALL_REGIONS: Final = "GPUS_ALL_REGIONS"
"""GPUs of every kind in all regions: https://docs.cloud.google.com/compute/resource-usage#gpu_quota"""
ALL_CPUS: Final = "CPUS_ALL_REGIONS"
PREEMPTIBLE_CPUS: Final = "PREEMPTIBLE_CPUS"
HIGH, LOW = 0.7, 0.3
"""https://docs.cloud.google.com/compute/docs/instances/view-vm-availability (obtainability)"""


def zones(context: GcpContext) -> Iterator[Row]:
    """The configured zones: there, and up."""
    wanted, known = context.config.zones, context.account.zones()
    missing = [name for name in wanted if name not in known]
    down = [name for name in wanted if known.get(name, "UP") != "UP"]
    if missing:
        action = f"write others under network.zones; {context.config.region} has {listed(sorted(known), 'and')}"
        yield Row("zones", "zones", "failure", f"{', '.join(missing)}: not there", ", ".join(wanted), action)
    if down:
        told = ", ".join(f"{name} is {known[name]}" for name in down)
        yield Row("zones.state", "zones", "warning", told, "UP", "see https://status.cloud.google.com")
    if not (missing or down):
        yield Row("zones", "zones", "ok", ", ".join(wanted), count(len(wanted), "zone"))


def offerings(context: GcpContext) -> Iterator[Row]:
    """Which of the zones offer which type; a pool none of whose types is offered anywhere never launches."""
    config = context.config
    found = context.account.offerings(config.all_types)
    here = {name: [zone for zone in config.zones if zone in found.get(name, ())] for name in config.all_types}
    for market in MARKETS:
        types = types_of(config, market)
        if not any(here[name] for name in types):
            told = f"none of {', '.join(types)} is offered in {', '.join(config.zones)}"
            action = f"choose other zones or types: `spillway catalog --region {config.region}`"
            yield Row(f"offerings.{market}", f"types of the {market} pool", "failure", told, "at least one", action)
    for name in config.all_types:
        places, id = here[name], f"offerings.{name}"
        if len(places) == len(config.zones):
            yield Row(id, name, "ok", f"in {', '.join(places)}", "offered in the zones")
            continue
        elsewhere = sorted(set(found.get(name, ())) - set(config.zones))
        told = f"in {', '.join(places)} only" if places else "in none of the zones"
        action = f"also offered in {', '.join(elsewhere)}" if elsewhere else "the pool's other types have to carry it"
        yield Row(id, name, "note" if places else "warning", told, "offered in the zones", action)


def metric(name: str, market: Market) -> str:
    """The GPU quota that a machine type counts against."""
    machine = catalog.machine(name)
    return (machine.spot_quota or "") if market == "spot" else machine.on_demand_quota


def gpus(name: str) -> int:
    """GPUs of a machine type of the catalog."""
    return catalog.machine(name).gpus


def held(instances: tuple[Instance, ...]) -> Counter[str]:
    """GPUs that instances hold, by metric, and all of them."""
    found: Counter[str] = Counter()
    for one in instances:
        if catalog.is_machine(one.machine_type):
            number = gpus(one.machine_type)
            found[metric(one.machine_type, "spot" if one.spot else "on-demand")] += number
            found[ALL_REGIONS] += number
    return found


def _quota(context: GcpContext, market: Market) -> Iterator[Row]:
    limits, own = context.account.limits("region"), held(context.own_instances())
    found, without = shares(context.config, market, "GPUs", lambda name: limits.get(metric(name, market)), gpus, own)
    yield from share_rows(found, context.request)
    for name in without:
        yield Row(
            f"quota.{market}.{name}",
            f"{market} GPUs for {name}",
            "unknown",
            f"the region lists no quota {metric(name, market)}",
            action="look for it on the page of quotas: "
            f"https://console.cloud.google.com/iam-admin/quotas?project={context.config.account}",
        )


def vcpus(name: str) -> int:
    """vCPUs of a machine type of the catalog."""
    return catalog.machine(name).vcpus


def cpu_metric(name: str) -> str:
    """The vCPU quota of a machine type's series, as regions list it: A2_CPUS. Newer series of GPU machines have none in
    most projects, and then nothing is counted:
    https://docs.cloud.google.com/compute/docs/reference/rest/v1/regions (quotas[].metric)"""
    return f"{name.partition('-')[0].upper()}_CPUS"


def _cpu_limit(limits: Mapping[str, Limit], name: str, market: Market) -> Limit | None:
    """The quota that the vCPUs of a machine type count against; None where the region lists none.

    Spot VMs take preemptible quota in projects that were given some, and standard quota in those that were not:
    https://docs.cloud.google.com/compute/resource-usage#cpu_quota
    """
    preemptible = limits.get(PREEMPTIBLE_CPUS)
    if market == "spot" and preemptible is not None and preemptible.most > 0:
        return preemptible
    return limits.get(cpu_metric(name))


def cpus(context: GcpContext) -> Iterator[Row]:
    """vCPUs beside the GPUs: of the series and preemptible ones in the region, and of all regions together. Only what
    the API lists: what it does not list is not counted."""
    config, limits = context.config, context.account.limits("region")
    for market in MARKETS:
        own: Counter[str] = Counter()
        for one in context.own_instances():
            if catalog.is_machine(one.machine_type):
                limit = _cpu_limit(limits, one.machine_type, "spot" if one.spot else "on-demand")
                if limit is not None:
                    own[limit.code] += vcpus(one.machine_type)

        def of_pool(name: str, market: Market = market) -> Limit | None:
            return _cpu_limit(limits, name, market)

        found, without = shares(config, market, "vCPUs", of_pool, vcpus, own)
        for row in share_rows(found, context.request):
            if row.state == "failure" and without:  # a type without such a quota may stand in for those with one
                row = replace(row, state="warning", action=f"for {', '.join(without)} the region lists no such quota")
            yield row
    everywhere = context.account.limits("project").get(ALL_CPUS)
    if everywhere is None:
        return
    used = sum(vcpus(one.machine_type) for one in context.own_instances() if catalog.is_machine(one.machine_type))
    (share, *_), _ = shares(config, "on-demand", "vCPUs", lambda _: everywhere, vcpus, {ALL_CPUS: used})
    (row,) = share_rows([share], lambda limit, value: context.request(limit, value, "project"))
    yield replace(row, id=f"quota.{ALL_CPUS}", check="vCPUs of all regions")


def on_demand_quota(context: GcpContext) -> Iterator[Row]:
    """GPUs by model against the fallback at its largest: everything on-demand."""
    return _quota(context, "on-demand")


def spot_quota(context: GcpContext) -> Iterator[Row]:
    """Preemptible GPUs by model against what the spot pool may launch."""
    return _quota(context, "spot")


def all_regions(context: GcpContext) -> Iterator[Row]:
    """GPUs of the whole project: the fallback at its largest, and one spot node beside it. On-demand nodes go only when
    spot ones serve, so without that one the pool never changes back."""
    limit = context.account.limits("project").get(ALL_REGIONS)
    id, title = f"quota.{ALL_REGIONS}", "GPUs of all regions"
    if limit is None:
        yield Row(id, title, "unknown", f"the project lists no quota {ALL_REGIONS}")
        return
    config, own = context.config, held(context.own_instances())
    (share, *_), _ = shares(config, "on-demand", "GPUs", lambda _: limit, gpus, own)
    _, most_spot = replicas(config, "spot")
    one_more = max(gpus(name) for name in config.pools.types) if most_spot else 0
    both = share.needed + one_more
    request = context.request(limit, both + share.others, "project")
    (row,) = share_rows([share], lambda *_: request)
    state, action, wanted = row.state, row.action, row.request
    if row.state == "ok" and share.free < both:
        state, action, wanted = "warning", "once the fallback holds all replicas, no spot node can come back", request
    needed = f"{both:g} GPUs: {row.needed.partition(': ')[2]}" + (
        f", and {one_more} for a spot node" if one_more else ""
    )
    yield replace(row, id=id, check=title, state=state, needed=needed, action=action, request=wanted)


def sold_out(context: GcpContext) -> Iterator[Row]:
    """On the stand-in: what its weather has no capacity of. The real cloud tells by a launch only."""
    if not context.account.stand_in:
        return
    config = context.config
    offered = context.account.offerings(config.all_types)
    gone = context.account.sold_out(config.all_types, config.zones)
    for market in MARKETS:
        types = types_of(config, market)
        places = [(name, zone) for name, zone, where in gone if where == market and name in types]
        if not places:
            continue
        rest = [(n, z) for n in types for z in config.zones if z in offered.get(n, ()) and (n, z) not in places]
        told = "; ".join(
            f"{name} in {', '.join(zone for other, zone in places if other == name)}"
            for name in dict.fromkeys(name for name, _ in places)
        )
        stands = "the fallback buys on-demand" if market == "spot" else "only another region helps"
        action = "`up` succeeds all the same" + ("" if rest else f"; {stands}")
        yield Row(f"sold-out.{market}", f"{market} sold out now", "note", told, "", action)


def advice(context: GcpContext) -> Iterator[Row]:
    """How likely the spot pool gets what it wants now. Never a failure: it holds for the moment and promises nothing
    (https://docs.cloud.google.com/compute/docs/instances/view-vm-availability)."""
    config, title = context.config, "spot obtainability"
    wanted, _ = replicas(config, "spot")
    if context.account.stand_in or wanted == 0:
        return
    found = context.account.advice(config.pools.types, config.zones, wanted)
    if found is None:
        yield Row("placement", title, "note", "nothing is recommended", "", "these types cannot be had as Spot VMs now")
        return
    score = found.obtainability
    word = "high" if score >= HIGH else "low" if score <= LOW else "fair"
    told = f"{score:.2f} of 1 for {count(wanted, 'node')}: {word}"
    if found.shards:
        told += "; " + ", ".join(f"{number} x {name} in {zone}" for zone, name, number in found.shards)
    if found.uptime_seconds:
        told += f"; estimated to stay {found.uptime_seconds / 3600:.1f} h"
    yield Row("placement", title, "note", told, "", "for this moment, this number and these types; it promises nothing")
