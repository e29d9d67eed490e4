"""The requests of a scenario against a fleet: arrivals by service, and what a node of each member answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Final

from infra.faults import did_you_mean, listed
from rehearsal.fleet import Fleet, Region, Service
from rehearsal.load import FLAT, OFFICE, Arrivals, LoadPlay, Retry, ServiceRate, from_record, newest, read
from rehearsal.regions import Clock, RegionLevel
from rehearsal.scenario_load import Load
from spillway.errors import SpillwayError

PROFILES: Final = {"office": OFFICE, "flat": FLAT}


def requests(
    clock: Clock,
    load: Load,
    fleet: Fleet,
    begin: datetime,
    *,
    where: Callable[[str], Mapping[str, float]],
    nodes: Callable[[str], RegionLevel],
    breaks: Callable[[str], bool],
) -> LoadPlay:
    """Clients of the fleet's services. Raises SpillwayError for services, records and figures that are none."""
    assert fleet.world is not None
    rates = {region.stack: _rate(load, region) for region in fleet.regions}
    serving = {
        member.name: rates.get(member.stack) if member.stack is not None else None for member in fleet.world.members
    }
    # A member whose region is not played has no node, and so needs no rate.
    shares = _shares(load, fleet.world.services)
    profile = PROFILES[load.profile] if load.weights is None else load.weights
    whole = _per_second(load, fleet, rates, profile)
    arrivals = {
        name: Arrivals(
            whole * share,
            begin,
            profile,
            load.weekend,
            load.utc_offset_hours,
            load.isl,
            load.osl,
        )
        for name, share in shares.items()
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
    path = Path(load.record) if load.record else newest()
    factor = load.factors.get(region.stack, load.factor)
    machine = region.on_demand.types[0] if region.spot is None else region.spot.types[0]
    return from_record(
        read(path),
        model=load.model,
        isl=load.isl,
        osl=load.osl,
        concurrency=region.node.concurrency,
        queue=region.node.queue,
        ttft_limit=region.node.ttft_p50_ms / 1000,
        factor=factor,
        why_factor=load.why or "",
        machine=machine,
        name=path.name,
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


def _per_second(load: Load, fleet: Fleet, rates: Mapping[str, ServiceRate], profile: tuple[float, ...]) -> float:
    """Mean of a working day: as given, or so that the busiest hour takes this share of what the targets can answer."""
    if load.per_second is not None:
        return load.per_second
    most = sum(region.target * rates[region.stack].capacity for region in fleet.regions)
    busiest = max(profile) * len(profile) / sum(profile) * max(1.0, load.weekend)
    return most * load.utilisation / busiest
