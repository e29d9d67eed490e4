"""The requests of a scenario against a fleet: arrivals by service, and what a node of each member answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from infra.faults import did_you_mean, listed
from rehearsal.dns import Clients, Connected, Keeping
from rehearsal.fleet import Fleet, Region, Service, World
from rehearsal.load import FLAT, OFFICE, Arrivals, LoadPlay, Retry, ServiceRate
from rehearsal.load.machines import node_rate
from rehearsal.regions import Clock, RegionLevel
from rehearsal.scenario_load import ClientsOf, Load
from spillway.errors import SpillwayError

PROFILES: Final = {"office": OFFICE, "flat": FLAT}


def clients_of(told: ClientsOf) -> Clients:
    """How clients go by names."""
    return Clients(
        told.where,
        tuple((Connected if one.connections else Keeping)(one.share, one.seconds, one.source) for one in told.keeping),
        told.stale,
    )


def requests(
    clock: Clock,
    load: Load,
    fleet: Fleet,
    begin: datetime,
    *,
    where: Callable[[str], Mapping[str, float]],
    nodes: Callable[[str], RegionLevel],
    breaks: Callable[[str], bool],
    per_second: Mapping[str, float] | None = None,
) -> LoadPlay:
    """Clients of the fleet's services. per_second: by service, instead of what the scenario makes of this fleet.

    Raises SpillwayError for services, records and figures that are none.
    """
    assert fleet.world is not None
    rates = {region.stack: _rate(load, region) for region in fleet.regions}
    serving = {
        member.name: rates.get(member.stack) if member.stack is not None else None for member in fleet.world.members
    }
    # A member whose region is not played has no node, and so needs no rate.
    shares = _shares(load, fleet.world.services)
    profile = PROFILES[load.profile] if load.weights is None else load.weights
    world, given = fleet.world, per_second or {}
    arrivals = {
        service.name: Arrivals(
            given[service.name]
            if service.name in given
            else _per_second(load, service, world, fleet, rates, profile) * shares[service.name],
            begin,
            profile,
            load.weekend,
            load.utc_offset_hours,
            load.isl,
            load.osl,
        )
        for service in world.services
        if service.name in shares
    }
    retry = load.retry
    return LoadPlay(
        clock,
        arrivals,
        serving,
        where=where,
        nodes=nodes,
        limit_seconds=load.limit_seconds,
        retry=Retry(retry.tries, retry.backoff_seconds, retry.factor, retry.most_seconds),
        breaks=breaks,
    )


def _rate(load: Load, region: Region) -> ServiceRate:
    return node_rate(
        region,
        isl=load.isl,
        osl=load.osl,
        record=Path(load.record) if load.record else None,
        model=load.model,
        factor=load.factors.get(region.stack, load.factor),
        why=load.why or "",
    )


def _shares(load: Load, services: tuple[Service, ...]) -> dict[str, float]:
    names = [service.name for service in services]
    if not load.shares:
        first = min(services, key=lambda one: (one.residency is not None, names.index(one.name)))
        return {first.name: 1.0}
    for name in load.shares:
        if name not in names:
            raise SpillwayError(f"load.shares.{name}: no such service{did_you_mean(name, names)}; has {listed(names)}")
    total = sum(load.shares.values())
    if total <= 0:
        raise SpillwayError("load.shares: expected a weight above 0")
    return {name: weight / total for name, weight in load.shares.items()}


def _per_second(
    load: Load, service: Service, world: World, fleet: Fleet, rates: Mapping[str, ServiceRate], profile: Sequence[float]
) -> float:
    """Mean of a working day: as given, or so that the busiest hour takes this share of what the members that are sent
    clients first can answer at their targets; of all regions where the first tier has none that is played."""
    if load.per_second is not None:
        return load.per_second
    stacks = {member.name: member.stack for member in world.members}
    targets = {region.stack: region.target for region in fleet.regions}
    for tier in service.tiers:
        if first := {stack for place in tier.places if (stack := stacks[place.member]) in targets}:
            break
    else:
        first = set(targets)
    most = sum(targets[stack] * rates[stack].capacity for stack in first if stack is not None)
    busiest = max(profile) * len(profile) / sum(profile) * max(1.0, load.weekend)
    return most * load.utilisation / busiest
