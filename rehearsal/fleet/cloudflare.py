"""Cloudflare load balancers and pools as tiers (infra/dns/cloudflare_pools.py says how a plan becomes them).

A plan of what does not stand yet knows no pool by id, so that a load balancer's order of pools shows in none of its
properties; there the configuration says it, by the same rendering.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from infra.dns import plan
from infra.dns.checkers import CheckSettings
from infra.dns.places import regions
from infra.dns.plan import Endpoint
from infra.dns.sections import GlobalStack
from rehearsal.fleet.answers import Answers, Probed, one_value
from rehearsal.fleet.model import Tier
from rehearsal.fleet.resources import UNKNOWN, Reader, Resource, Stack
from rehearsal.fleet.world_files import by_member, cloudflare_tiers, coordinates, services

SERVICE: Final = "cloudflare:index/loadBalancer:LoadBalancer"
POOL: Final = "cloudflare:index/loadBalancerPool:LoadBalancerPool"
MONITOR: Final = "cloudflare:index/loadBalancerMonitor:LoadBalancerMonitor"
TYPES: Final = (SERVICE, POOL, MONITOR)
HTTPS_PORT: Final = 443
Sources = dict[tuple[str, int, str], tuple[Resource, str]]


def read(stack: Stack, config: GlobalStack | None) -> Answers:
    """Everything that load balancers, pools and monitors say. Raises SpillwayError, one line."""
    balancers = {Reader(stack, one, {}, "").text("name", "name"): one for one in stack.of_type(SERVICE)}
    members = _members(stack)
    places: Sources = {}
    tiers: dict[str, tuple[Tier, ...]] = {}
    fallbacks: dict[str, tuple[str, ...]] = {}
    unknown = any(_unknown(one) for one in balancers.values())
    if unknown:
        tiers, fallbacks = _configured(stack, config, members)
    else:
        for name, one in balancers.items():
            tiers[name], fallbacks[name] = _service(stack, one, name, config, places)
    check, keys = _check(stack, list(balancers.values()))
    last = {} if unknown else {name: (one, "fallbackPool") for name, one in balancers.items()}
    return Answers(tiers, fallbacks, members, check, keys, places, last)


def _unknown(balancer: Resource) -> bool:
    pools = balancer.get("defaultPools")
    return balancer.get("fallbackPool") == UNKNOWN or pools == UNKNOWN or (isinstance(pools, list) and UNKNOWN in pools)


def _configured(
    stack: Stack, config: GlobalStack | None, members: Mapping[str, Probed]
) -> tuple[dict[str, tuple[Tier, ...]], dict[str, tuple[str, ...]]]:
    if config is None:
        stack.refuse(stack.name, "a plan of pools that do not stand yet needs its configuration; preview again")
    own = {member.name: member for member in config.members}
    endpoints = {}
    for name, probed in members.items():
        member = own.get(name)
        static = member.endpoint if member is not None else None
        if static is not None:
            endpoints[name] = Endpoint.of_static(static)
        else:
            # Residency decides who is in a tier, and the pools of this very plan show who was let in.
            endpoints[name] = Endpoint(None, probed.addresses, probed.port, probed.path, "", None, regions()[0], "")
    let_in = _let_in(stack, config, endpoints)
    try:
        built = plan.build(let_in, endpoints)
    except plan.PlanError as error:
        stack.refuse(f"{stack.name}: pools", str(error))
    found = services("cloudflare", config.zone.name, built)
    # Where members are, their own pools say.
    near = {}
    for pool in stack.of_type(POOL):
        if len(names := [*_weights(stack, pool)]) == 1 and (place := _at(pool)):
            near[names[0]] = place
    tiers = {one.name: tuple(_placed(tier, near) for tier in one.tiers) for one in found}
    return tiers, {one.name: one.fallback for one in found}


def _placed(tier: Tier, near: Mapping[str, str]) -> Tier:
    if tier.choice != "latency":
        return tier
    return replace(tier, places=tuple(replace(place, latency_region=near.get(place.member)) for place in tier.places))


def _at(pool: Resource) -> str | None:
    """A pool's coordinates; None where its members are apart."""
    latitude, longitude = (pool.known(axis) for axis in ("latitude", "longitude"))
    return None if latitude is None or longitude is None else coordinates(float(latitude), float(longitude))


def _let_in(stack: Stack, config: GlobalStack, endpoints: Mapping[str, Endpoint]) -> GlobalStack:
    """The configuration with each service's members said by name, as the pools that its load balancer was made of."""
    found = []
    for service in config.services:
        balancer = next((one for one in stack.of_type(SERVICE) if one.known("name") == service.name), None)
        if balancer is None:
            stack.refuse(f"{stack.name}: service {service.name}", f"there is no {SERVICE} of this name")
        urns = {*balancer.refers.get("defaultPools", ()), *balancer.refers.get("fallbackPool", ())}
        pools = [one for one in stack.of_type(POOL) if one.urn in urns]
        names = {name for one in pools for name in _weights(stack, one)}
        listed = tuple(member.name for member in config.members if member.name in names)
        found.append(service.model_copy(update={"members": listed, "residency": None}))
    return config.model_copy(update={"services": tuple(found)})


def _weights(stack: Stack, pool: Resource) -> dict[str, float]:
    """Weight by member in a pool."""
    reader = Reader(stack, pool, {}, "")
    return by_member(
        (
            reader.text("name", f"origins[{n}].name"),
            reader.text("address", f"origins[{n}].address"),
            1.0 if pool.get(f"origins[{n}].weight") is None else reader.number("weight", f"origins[{n}].weight"),
        )
        for n in range(reader.items("origins"))
    )


def _service(
    stack: Stack, one: Resource, name: str, config: GlobalStack | None, places: Sources
) -> tuple[tuple[Tier, ...], tuple[str, ...]]:
    pools = {pool.id: pool for pool in stack.of_type(POOL)}
    reader = Reader(stack, one, {}, "")
    order = reader.texts("pools", "defaultPools")
    last = reader.text("fallback", "fallbackPool")
    for key in (*order, last):
        if key not in pools:
            reader.fault("defaultPools" if key in order else "fallbackPool", "pools of this stack")
    shares = one.known("randomSteering.poolWeights")
    degraded = _degraded(stack, name, config)

    tiers = cloudflare_tiers(
        reader.text("steering", "steeringPolicy", default="off"), order, last, dict(shares or {}),
        lambda key: _weights(stack, pools[key]), lambda key: _at(pools[key]), degraded,
    )  # fmt: skip
    for rank, tier in enumerate(tiers):
        for place in tier.places:
            pool = next(pools[key] for key in (*order, last) if place.member in _weights(stack, pools[key]))
            weighted = (
                (one, f"randomSteering.poolWeights.{pool.id}") if pool.id in (shares or {}) else (pool, "origins")
            )
            places[name, rank, place.member] = weighted
    return tiers, tuple(sorted(_weights(stack, pools[last])))


def _degraded(stack: Stack, service: str, config: GlobalStack | None) -> frozenset[str]:
    """Members of the last resort. Pools do not say it, outputs show it: the last tier is not the one that a balancer
    begins with, and nobody stands by in it, as a standby shares the tier of those it stands by for."""
    if config is not None:
        return frozenset(member.name for member in config.members if member.degraded)
    told = stack.outputs.get("services")
    row = told.get(service) if isinstance(told, Mapping) else None
    tiers = row.get("tiers") if isinstance(row, Mapping) else None
    if not isinstance(tiers, list) or not all(
        isinstance(tier, list) and all(isinstance(name, str) for name in tier) for tier in tiers
    ):
        stack.refuse(
            f"{stack.name}: outputs.services.{service}.tiers", "missing; bring the stack up with this version first"
        )
    if len(tiers) < 2:
        return frozenset()
    if row is not None and row.get("policy") == "priority":
        return frozenset(tiers[-1]) if _is_fallback(stack, service, tiers[-1]) else frozenset()
    return frozenset(tiers[-1])


def _is_fallback(stack: Stack, service: str, tier: list[str]) -> bool:
    """Whether a load balancer's last tier is its fallback pool: without a last resort that is the first tier."""
    balancer = next((one for one in stack.of_type(SERVICE) if one.known("name") == service), None)
    last = balancer.known("fallbackPool") if balancer is not None else None
    return any(one.id == last and {*_weights(stack, one)} & {*tier} for one in stack.of_type(POOL))


def _members(stack: Stack) -> dict[str, Probed]:
    found: dict[str, Probed] = {}
    for pool in stack.of_type(POOL):
        reader = Reader(stack, pool, {}, "")
        monitors = stack.referred(pool, "monitor", (MONITOR,))
        if not monitors:
            reader.fault("monitor", "a monitor of this stack")
        path = Reader(stack, monitors[0], {}, "").text("path", "path")
        for number in range(reader.items("origins")):
            address = reader.text("address", f"origins[{number}].address")
            name = reader.text("name", f"origins[{number}].name").removesuffix(f"-{address}")
            port = reader.whole("port", f"origins[{number}].port", default=HTTPS_PORT) or HTTPS_PORT
            keys = {"port": f"origins[{number}].port", "addresses": "origins", "health_path": "monitor"}
            before = found.get(name, Probed((), port, path, pool, keys))
            if address not in before.addresses:
                found[name] = replace(before, addresses=(*before.addresses, address))
    return found


def _check(stack: Stack, balancers: list[Resource]) -> tuple[CheckSettings, dict[str, tuple[Resource, str]]]:
    monitors, pools = stack.of_type(MONITOR), stack.of_type(POOL)
    if not monitors:
        stack.refuse(stack.name, f"no {MONITOR}")

    def rows(among: list[Resource], key: str, default: int | None = None) -> list[tuple[Resource, str, int]]:
        return [(one, key, Reader(stack, one, {}, "").whole(key, key, default=default)) for one in among]

    fields: dict[str, list[tuple[Resource, str, int]]] = {
        "interval_seconds": rows(monitors, "interval", 60),
        "threshold": rows(monitors, "consecutiveDown", 0),
        "timeout_seconds": rows(monitors, "timeout", 5),
        "retries": rows(monitors, "retries", 2),
    }
    told = {field: one_value(stack, found, "monitors") for field, found in fields.items()}
    keys = {field: (found[0][0], found[0][1]) for field, found in fields.items()}
    proxied = [(one, "proxied", bool(one.known("proxied"))) for one in balancers]
    across = [
        (one, "adaptiveRouting.failoverAcrossPools", bool(one.known("adaptiveRouting.failoverAcrossPools")))
        for one in balancers
    ]
    places = [(one, "checkRegions", Reader(stack, one, {}, "").texts("regions", "checkRegions")) for one in pools]
    is_proxied = one_value(stack, proxied, "load balancers")
    keys |= {"proxied": proxied[0][:2], "failover_across_pools": across[0][:2], "check_regions": places[0][:2]}
    ttl: float = PROXIED_TTL
    if not is_proxied:
        ttls = rows(balancers, "ttl", PROXIED_TTL)
        ttl = one_value(stack, ttls, "load balancers")
        keys["ttl_seconds"] = ttls[0][:2]
    check = CheckSettings(
        provider="cloudflare",
        interval_seconds=told["interval_seconds"],
        threshold=max(told["threshold"], 1),
        timeout_seconds=told["timeout_seconds"],
        ttl_seconds=ttl,
        proxied=is_proxied,
        failover_across_pools=one_value(stack, across, "load balancers"),
        check_regions=one_value(stack, places, "pools"),
        retries=told["retries"],
    )
    return check, keys


PROXIED_TTL: Final = 30
"""Of a load balancer whose TTL is left out; without meaning when it is proxied."""
