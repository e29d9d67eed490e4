"""A region more in a fleet: which one could be, a copy of one elsewhere, and its place in what clients are told."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any, Final, TypeVar

from infra import catalog
from infra.dns import places
from infra.outputs import PORT, READY_PATH
from rehearsal.fleet import Fleet, Member, Origin, Place, Pool, Region, Service, Tier, World
from rehearsal.fleet.world_files import coordinates, settled, stack_of

Value = TypeVar("Value")
NEAR_KM: Final = 6_000.0
"""A copy is looked for no further away: what is across an ocean is another fleet."""


def outside(fleet: Fleet, played: Sequence[Region]) -> list[Region]:
    """Regions that are in the fleet, are not played, and run a model that is."""
    models = {region.node.model for region in played}
    inside = {region.stack for region in played}
    return [one for one in fleet.regions if one.stack not in inside and one.node.model in models and one.spot]


def nearest_like(original: Region, taken: Sequence[str]) -> Iterator[str]:
    """Other regions of the same cloud and part of the world that offer the original's machines: those that offer most
    of its types first, then the nearest."""
    here = places.coordinates(original.cloud, original.region)
    assert original.spot is not None
    if here is None:
        return
    found = []
    for name in catalog.regions(original.cloud):
        there = places.coordinates(original.cloud, name)
        if name in taken or there is None or _part(original.cloud, name) != _part(original.cloud, original.region):
            continue
        offered = sum(name in catalog.offered_in(machine) for machine in original.spot.types)
        distance = places.kilometres(here, there)
        if offered and distance <= NEAR_KM:
            found.append((-offered, distance, name))
    yield from (name for _, _, name in sorted(found))


def _part(cloud: str, region: str) -> str:
    """The part of the world that a region is in, as its nearest AWS region names it: us, eu, ap, ..."""
    at = places.coordinates(cloud, region)
    if cloud == "aws" or at is None:
        return region.partition("-")[0]
    return places.nearest_aws(at, places.regions())[0].partition("-")[0]


def copied(original: Region, name: str) -> Region | None:
    """The same stack in another region of its cloud: machine types and zones that are offered there, as many zones at
    most, all else alike. None where a pool would have no machine."""
    stack = stack_of(original.cloud, name)
    at = places.coordinates(original.cloud, name)
    assert stack is not None
    region = replace(renamed(original, original.stack, stack), stack=stack, region=name)
    spot = _moved(region.spot, name) if region.spot else None
    on_demand = _moved(region.on_demand, name)
    if on_demand is None or (region.spot and spot is None):
        return None
    near = name if original.cloud == "aws" or at is None else places.nearest_aws(at, places.regions())[0]
    # A balancer has an address for each of its zones where it has more than one at all.
    zones = max(len(pool.zones) for pool in (spot, on_demand) if pool) or region.balancer.addresses
    front = region.balancer
    if front.addresses > 1:
        front = replace(front, addresses=min(front.addresses, zones))
    return replace(region, spot=spot, on_demand=on_demand, nearest_aws_region=near, balancer=front, blocks=())


def _moved(pool: Pool, region: str) -> Pool | None:
    types = tuple(machine for machine in pool.types if region in catalog.offered_in(machine))
    if not types:
        return None
    if not pool.zones:
        return replace(pool, types=types)
    offered: dict[str, int] = {}
    for machine in types:
        for zone in catalog.zones(machine, region):
            offered[zone] = offered.get(zone, 0) + 1
    best = sorted(offered, key=lambda zone: (-offered[zone], zone))[: len(pool.zones)]
    return replace(pool, types=types, zones=tuple(sorted(best)))


def renamed(value: Value, old: str, new: str) -> Value:
    """A value of figures with a stack's name in every text replaced."""
    found: Any = value
    if isinstance(value, str):
        found = value.replace(old, new)
    elif isinstance(value, tuple):
        found = tuple(renamed(item, old, new) for item in value)
    elif is_dataclass(value) and not isinstance(value, type):
        changed = {one.name: renamed(getattr(value, one.name), old, new) for one in fields(value) if one.init}
        found = replace(value, **changed)
    result: Value = found
    return result


def joined(fleet: Fleet, region: Region, like: str) -> Fleet:
    """The fleet with a region that is sent clients in every service that may send it some: in the last tier of region
    stacks that are no last resort where tiers have a rank each, beside them where one tier holds them all. like: the
    stack whose origins tell of a copy's figures."""
    regions = fleet.regions
    origins = dict(fleet.origins)
    if region.stack not in {one.stack for one in regions}:
        regions = tuple(sorted((*regions, region), key=lambda one: one.stack))
        for path, origin in fleet.origins.items():
            if path.partition(".")[0] == like:
                origins[region.stack + path.removeprefix(like)] = Origin(
                    origin.where, origin.key, origin.assumed or f"copied from {like}"
                )
    world = fleet.world and _joined(fleet.world, region)
    return replace(fleet, regions=regions, world=world, origins=origins)


def _joined(world: World, region: Region) -> World:
    if any(member.stack == region.stack for member in world.members):
        return world
    member = Member(
        name=region.stack,
        stack=region.stack,
        cloud=region.cloud,
        residency=region.residency,
        nearest_aws_region=region.nearest_aws_region,
        addresses=region.balancer.addresses,
        port=PORT,
        health_path=READY_PATH,
        drained=False,
    )
    stacks = {one.name for one in world.members if one.stack}
    services = tuple(
        _served(service, region, stacks, world.provider) if service.residency in (None, region.residency) else service
        for service in world.services
    )
    members = tuple(sorted((*world.members, member), key=lambda one: one.name))
    check = replace(world.check, addresses=max(one.addresses for one in members))
    planned = tuple(name for name in world.planned if name != region.stack)
    return replace(world, services=services, members=members, planned=planned, check=check)


def _served(service: Service, region: Region, stacks: set[str], provider: str) -> Service:
    """A service that sends the region clients. A service without a region stack gets none."""
    holding = [
        index
        for index, tier in enumerate(service.tiers)
        if not tier.degraded and any(place.member in stacks for place in tier.places)
    ]
    if not holding:
        return service
    last = service.tiers[holding[-1]]
    weights = [place.weight for place in last.places if place.enabled and place.weight]
    weight = float(max(1, round(sum(weights) / len(weights)))) if weights else 1.0
    place = Place(region.stack, weight, _latency_region(last, region, provider))
    tiers = list(service.tiers)
    ranked = service.policy == "priority" and all(len(tiers[index].places) == 1 for index in holding)
    if ranked:
        rank = None if last.priority is None else last.priority + 1
        tiers.insert(holding[-1] + 1, Tier(last.choice, False, (place,), rank))
    else:
        tiers[holding[-1]] = replace(last, places=settled((*last.places, place)))
    return replace(service, tiers=tuple(tiers))


def _latency_region(tier: Tier, region: Region, provider: str) -> str | None:
    if tier.choice != "latency" and not any(place.latency_region for place in tier.places):
        return None
    near = places.location(region.nearest_aws_region)
    if provider == "cloudflare":
        return coordinates(near.latitude, near.longitude)
    return near.azure if provider == "traffic-manager" else region.nearest_aws_region
