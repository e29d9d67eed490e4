"""The global stack straight from its file: the plan of `infra.dns.plan` as its provider would be told it."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final, Literal

from infra.dns import cloudflare_pools, places, plan, traffic_profiles
from infra.dns.plan import Endpoint, GlobalPlan, PlanError, ServicePlan
from infra.dns.sections import GlobalStack
from infra.dns.settings import check_settings
from infra.faults import Fault
from infra.outputs import PORT, READY_PATH
from infra.stackfile import GLOBAL_KEY
from rehearsal.fleet.model import Member, Origin, Place, Region, Service, Tier, World
from rehearsal.fleet.resources import Notes
from spillway.errors import SpillwayError

STAND_INS: Final = int(ipaddress.IPv4Address("198.18.0.0"))
"""Addresses that a balancer will have are known after its deployment; these (RFC 2544) stand for them."""


def world(config: GlobalStack, stack: str, file: str, regions: Mapping[str, Region], notes: Notes) -> World:
    """The global stack over the regions of the same folder. Raises SpillwayError, one line a fault."""
    endpoints = _endpoints(config, regions)
    try:
        built = plan.build(config, endpoints)
    except PlanError as error:
        raise SpillwayError(*(fault.below(GLOBAL_KEY).line(file) for fault in error.faults)) from None
    beyond = [fault.below(GLOBAL_KEY).line(file) for fault in _beyond(config, built)]
    if beyond:
        raise SpillwayError(*beyond)
    return planned(config, built, stack, file, notes)


def _beyond(config: GlobalStack, built: GlobalPlan) -> Iterator[Fault]:
    """What the provider cannot express of a plan."""
    if config.dns.provider == "cloudflare" and config.cloudflare is not None:
        yield from cloudflare_pools.faults(built, config.cloudflare.plan)
    elif config.dns.provider == "traffic-manager":
        yield from traffic_profiles.faults(config, built)


def planned(config: GlobalStack, built: GlobalPlan, stack: str, file: str, notes: Notes) -> World:
    """A plan in the provider's own figures."""
    _note(config, built, stack, file, notes)
    members = tuple(
        Member(
            name=probe.name,
            stack=stack_of(probe.endpoint.cloud, probe.endpoint.region),
            cloud=probe.endpoint.cloud,
            residency=probe.endpoint.residency,
            nearest_aws_region=probe.endpoint.nearest_aws_region,
            addresses=len(probe.endpoint.addresses) or 1,
            port=probe.endpoint.port,
            health_path=probe.endpoint.health_path,
            drained=probe.name in built.drained,
        )
        for probe in sorted(built.probes, key=lambda probe: probe.name)
    )
    return World(
        stack=stack,
        provider=config.dns.provider,
        zone=config.zone.name,
        services=services(config.dns.provider, config.zone.name, built),
        members=members,
        planned=tuple(sorted(built.planned)),
        check=replace(check_settings(config), addresses=max(member.addresses for member in members)),
        objective_seconds=float(config.dns.objective_seconds),
    )


def stack_of(cloud: str, region: str | None) -> str | None:
    """The region stack that a place is; None for a static endpoint, which has no region."""
    return f"{cloud}-{region}" if region else None


def _endpoints(config: GlobalStack, regions: Mapping[str, Region]) -> dict[str, Endpoint]:
    found: dict[str, Endpoint] = {}
    next_address = STAND_INS + 1
    for member in config.members:
        if member.endpoint is not None:
            found[member.name] = Endpoint.of_static(member.endpoint)
            continue
        region = regions.get(member.stack or "")
        if member.planned or region is None:
            continue
        count = region.balancer.addresses
        addresses = tuple(str(ipaddress.IPv4Address(next_address + n)) for n in range(count))
        next_address += count
        found[member.name] = Endpoint(
            hostname=None,
            addresses=addresses,
            port=PORT,
            health_path=READY_PATH,
            cloud=region.cloud,
            region=region.region,
            nearest_aws_region=region.nearest_aws_region,
            residency=region.residency,
        )
    return found


def services(provider: str, zone: str, built: GlobalPlan) -> tuple[Service, ...]:
    """The services of a plan as a provider would hold them, by name."""
    made = cloudflare_pools.render(built) if provider == "cloudflare" else None
    found = []
    for service in sorted(built.services, key=lambda service: service.name):
        if made is not None:
            found.append(_cloudflare(service, made))
            continue
        if provider == "traffic-manager" and service.name == zone:
            tiers: tuple[Tier, ...] = (_apex(service, zone, built),)
        else:
            tiers = tuple(_tier(tier, provider) for tier in service.tiers)
        found.append(Service(service.name, service.policy, service.residency, tiers))
    return tuple(found)


def _apex(service: ServicePlan, zone: str, built: GlobalPlan) -> Tier:
    """The one flat profile that Traffic Manager has for the zone's own name, address by address."""
    profile = next(one for one in traffic_profiles.profiles("", zone, built) if one.label == service.name)
    latency = profile.method == "Performance"
    rows: dict[str, Place] = {}
    for branch in profile.branches:
        name = branch.name.removesuffix(f"-{branch.target}")
        before = rows[name].weight if name in rows else 0.0
        weight = before + float(branch.weight or 1)
        rows[name] = Place(name, weight, branch.location if latency else None, branch.enabled)
    return Tier("latency" if latency else "weighted", False, settled(rows.values()))


def _tier(tier: plan.Tier, provider: str) -> Tier:
    azure = provider == "traffic-manager"
    latency = tier.choice == "latency"
    rows = []
    for place in tier.places:
        near = place.endpoint.nearest_aws_region
        region = (places.location(near).azure if azure else near) if latency else None
        beside = [p for p in tier.places if not latency or _near(p, azure) == _near(place, azure)]
        idle = latency and not any(p.weight for p in beside)
        weight = max(place.weight, 1) if azure else place.weight
        rows.append(Place(place.name, float(weight), region, enabled=not azure or idle or place.weight > 0))
    return Tier(tier.choice, tier.degraded, settled(rows), priority_of(tier.label))


def _near(place: plan.Place, azure: bool) -> str:
    near = place.endpoint.nearest_aws_region
    return places.location(near).azure if azure else near


def settled(rows: Iterable[Place]) -> tuple[Place, ...]:
    """Places by name. Where distance chooses, a weight counts only between members of one region: alone it is 1."""
    found = sorted(rows, key=lambda place: place.member)
    regions = [place.latency_region for place in found]
    return tuple(
        replace(place, weight=1.0) if place.latency_region and regions.count(place.latency_region) == 1 else place
        for place in found
    )


def priority_of(label: str) -> int | None:
    """The number in `priority-10`."""
    number = label.removeprefix("priority-")
    return int(number) if number != label and number.isdigit() else None


def _cloudflare(service: ServicePlan, made: cloudflare_pools.Rendered) -> Service:
    pools = {pool.key: pool for pool in made.pools}
    balancer = next(one for one in made.balancers if one.name == service.name)
    labels = [[place.name for place in tier.places] for tier in service.tiers]
    degraded = frozenset(place.name for tier in service.tiers if tier.degraded for place in tier.places)
    shares = dict(balancer.weights)

    def members(key: str) -> dict[str, float]:
        pool = pools[key]
        return by_member((origin.name, origin.address, origin.weight) for origin in pool.origins)

    def at(key: str) -> str | None:
        place = pools[key].place
        return coordinates(place.latitude, place.longitude) if place else None

    tiers = cloudflare_tiers(balancer.steering, balancer.pools, balancer.fallback, shares, members, at, degraded)
    numbers = {
        name: priority_of(tier.label) for tier, names in zip(service.tiers, labels, strict=True) for name in names
    }
    tiers = tuple(replace(tier, priority=numbers.get(tier.places[0].member)) for tier in tiers)
    return Service(service.name, service.policy, service.residency, tiers, tuple(sorted(members(balancer.fallback))))


def coordinates(latitude: float, longitude: float) -> str:
    """A pool's place as a latency region."""
    return f"{latitude:g},{longitude:g}"


def by_member(origins: Iterable[tuple[str, str, float]]) -> dict[str, float]:
    """Weight by member, of origins named <member>-<address>."""
    found: dict[str, float] = {}
    for name, address, weight in origins:
        member = name.removesuffix(f"-{address}")
        found[member] = round(found.get(member, 0.0) + weight, 4)
    return found


def cloudflare_tiers(
    steering: str,
    pools: Sequence[str],
    fallback: str,
    shares: Mapping[str, float],
    members: Callable[[str], Mapping[str, float]],
    at: Callable[[str], str | None],
    degraded: frozenset[str],
) -> tuple[Tier, ...]:
    """A load balancer's pools as tiers. "off" takes pools in order; "random" and "proximity" choose between all of
    them, and the fallback pool, where it is another one, comes after.

    members, at: what a pool's key says of it: weight by member, and its place. degraded: members of the last resort.
    """
    if steering == "off":
        return tuple(
            Tier("weighted", {*members(key)} <= degraded, settled(Place(m, w) for m, w in members(key).items()))
            for key in pools
        )
    choice: Literal["weighted", "latency"] = "latency" if steering == "proximity" else "weighted"
    rows = []
    for key in pools:
        for name, weight in members(key).items():
            if choice == "latency":
                rows.append(Place(name, 1.0, at(key)))
            else:
                rows.append(Place(name, shares.get(key, weight)))
    first = Tier(choice, False, tuple(sorted(rows, key=lambda place: place.member)))
    if fallback in pools:
        return (first,)
    rest = members(fallback)
    return (first, Tier("weighted", {*rest} <= degraded, settled(Place(m, w) for m, w in rest.items())))


def _note(config: GlobalStack, built: GlobalPlan, stack: str, file: str, notes: Notes) -> None:
    def say(path: str, key: str) -> None:
        notes[f"{stack}{path}"] = Origin(file, f"{GLOBAL_KEY}.{key}" if key else GLOBAL_KEY)

    def assume(path: str, why: str) -> None:
        notes[f"{stack}{path}"] = Origin(file, assumed=why)

    for path, key in (
        ("", ""), (".provider", "dns.provider"), (".zone", "zone.name"), (".objective_seconds", "dns.objectiveSeconds"),
        (".planned", "members"), (".members", "members"), (".services", "services"), (".check", "dns.check"),
        (".check.ttl_seconds", "dns.ttlSeconds"), (".check.provider", "dns.provider"),
        (".check.plan", "cloudflare.plan"), (".check.proxied", "cloudflare.proxied"),
        (".check.failover_across_pools", "cloudflare.failoverAcrossPools"),
        (".check.check_regions", "cloudflare.checkRegions"),
    ):  # fmt: skip
        say(path, key)
    fastest = "left out: the fastest that the provider takes (infra/dns/limits.py)"
    check = config.dns.check
    for name, given in (
        ("interval_seconds", check.interval_seconds), ("timeout_seconds", check.timeout_seconds),
        ("ttl_seconds", config.dns.ttl_seconds),
    ):  # fmt: skip
        if given is None:
            assume(f".check.{name}", fastest)
    say(".check.threshold", "dns.check.threshold")
    assume(".check.retries", "none are asked for")
    assume(".check.answer_seconds", "a probe that is answered at all takes a few round trips")
    assume(".check.addresses", "the most that any member has")
    order = {member.name: number for number, member in enumerate(config.members)}
    for number, probe in enumerate(sorted(built.probes, key=lambda probe: probe.name)):
        say(f".members[{number}]", f"members[{order[probe.name]}]")
    names = {service.name: number for number, service in enumerate(config.services)}
    for number, service in enumerate(sorted(built.services, key=lambda service: service.name)):
        say(f".services[{number}]", f"services[{names[service.name]}]")
        for rank, tier in enumerate(service.tiers):
            for spot, place in enumerate(sorted(tier.places, key=lambda place: place.name)):
                path = f".services[{number}].tiers[{rank}].places[{spot}]"
                say(f"{path}.weight", f"members[{order[place.name]}].weight")
                say(f"{path}.member", f"members[{order[place.name]}].name")
