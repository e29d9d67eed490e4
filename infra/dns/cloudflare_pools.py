"""Cloudflare's pools, monitors and steering for a plan. Pure: no SDK, no Pulumi.

How the tiers of a service become one load balancer
(https://developers.cloudflare.com/load-balancing/understand-basics/traffic-steering/steering-policies/):

    priority   steering "off": one pool per tier, in order; inside a tier by the endpoints' weights
    weighted   steering "random": one pool per member, with pool weights; what is left is the fallback pool
    latency    steering "proximity": one pool per member, with coordinates; what is left is the fallback pool

An endpoint or a pool with weight 0 gets nothing at all, also when nobody else is healthy
(https://developers.cloudflare.com/load-balancing/understand-basics/traffic-steering/origin-level-steering/#weights), so
that members of weight 0 are a rank of their own, right after the members they stand by for. A weighted service with
more than one rank behind the first goes by "off" as well, since "random" has only the fallback pool for what comes
later.

Latency: "proximity" looks at coordinates alone. "dynamic_latency" would measure, but wants probes from all thirteen
regions, 39 for each address and interval, ten minutes to learn, and it prefers the endpoint that answers its probe
fastest, which need not be the one that is nearest to a GPU. Both, like "geo", are in Enterprise or need the Traffic
steering add-on; without it there are only "off" and "random".

The fallback pool gets what is left when no pool is healthy, whatever its own health. It is the last resort where there
is one, otherwise the first choice: when every probe fails at once, the probes are the likelier fault. A service names
pools of its own plan's members only, so that none of another residency answers for it, not even then.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, Literal

from infra.dns.places import Location, location
from infra.dns.plan import Endpoint, GlobalPlan, Place, Probe, ServicePlan
from infra.faults import Fault, listed

Steering = Literal["off", "random", "proximity"]

STEPS: Final = 100
"""Weights are 0 to 1 in steps of 0.01:
https://developers.cloudflare.com/load-balancing/understand-basics/traffic-steering/origin-level-steering/#weights"""
QUOTAS: Final = {"pools": 20, "endpoints": 20, "load balancers": 20}
"""Of every plan but Enterprise: https://developers.cloudflare.com/load-balancing/reference/limitations/"""
ENTERPRISE: Final = "enterprise"


@dataclass(frozen=True, slots=True)
class Origin:
    """One endpoint of a pool. weight: 0.01 to 1, its share among the pool's endpoints."""

    name: str
    address: str
    weight: float


@dataclass(frozen=True, slots=True, order=True)
class Monitor:
    """How endpoints are probed; pools that are probed alike share one. host: Host header and SNI."""

    host: str
    port: int
    path: str


@dataclass(frozen=True, slots=True)
class Pool:
    """Endpoints used together. key: its name within the stack; place: where, None when its members are apart."""

    key: str
    members: tuple[str, ...]
    origins: tuple[Origin, ...]
    port: int
    monitor: Monitor
    place: Location | None


@dataclass(frozen=True, slots=True)
class Balancer:
    """One service name. pools: keys in order; weights: by key, for steering "random" only; fallback: a key."""

    name: str
    steering: Steering
    pools: tuple[str, ...]
    weights: tuple[tuple[str, float], ...]
    fallback: str


@dataclass(frozen=True, slots=True)
class Rendered:
    """Everything that the plan is at Cloudflare; each pool once, whoever uses it."""

    balancers: tuple[Balancer, ...]
    pools: tuple[Pool, ...]

    @property
    def monitors(self) -> tuple[Monitor, ...]:
        return tuple(sorted({pool.monitor for pool in self.pools}))


def render(plan: GlobalPlan) -> Rendered:
    """The plan as load balancers and pools. Call `faults` first: what has one cannot be rendered (ValueError)."""
    pools: dict[str, Pool] = {}
    balancers = [_balancer(service, plan, pools) for service in plan.services]
    for probe in plan.probes:
        if probe.name in plan.drained:  # no load balancer names it, but it stays ready to be named
            pools.setdefault(probe.name, _pool([Place(probe.name, probe.endpoint, 1)], probe.name, probe.host))
    return Rendered(tuple(balancers), tuple(pools.values()))


def faults(plan: GlobalPlan, cloudflare_plan: str) -> Iterator[Fault]:
    """What Cloudflare cannot do of the plan; paths lie below `spillway:global`."""
    found = False
    for number, service in enumerate(plan.services):
        for fault in _service_faults(service, ("services", number)):
            found = True
            yield fault
    if found or cloudflare_plan == ENTERPRISE:
        return
    made = render(plan)
    counts = {
        "pools": len(made.pools),
        "endpoints": sum(len(pool.origins) for pool in made.pools),
        "load balancers": len(made.balancers),
    }
    for what, count in counts.items():
        if count > QUOTAS[what]:
            why = f"needs {count} {what}, and all plans but enterprise have {QUOTAS[what]} in the whole account"
            yield Fault(("cloudflare", "plan"), why, cloudflare_plan)


def _service_faults(service: ServicePlan, path: tuple[str | int, ...]) -> Iterator[Fault]:
    ranked = ranks(service)
    if service.policy == "latency" and len(ranked) > 2:
        names = listed([place.name for rank in ranked[2:] for place in rank], "and")
        why = (
            f"{service.name}: weight 0 for {names}: with policy latency, Cloudflare has one last resort and no standby"
        )
        yield Fault(path, why)
    for rank in _pooled(service, ranked):
        if len({(p.endpoint.port, p.endpoint.health_path) for p in rank}) > 1:
            names = listed([place.name for place in rank], "and")
            why = f"{service.name}: {names} share a pool at Cloudflare, and need the same port and healthPath"
            yield Fault(path, f"{why}; other priorities would part them")


def ranks(service: ServicePlan) -> list[list[Place]]:
    """The members in the order in which they answer: each tier, and after it those that stand by in it (weight 0)."""
    found: list[list[Place]] = []
    for tier in service.tiers:
        if tier.choice == "latency":
            found.append(list(tier.places))
            continue
        active = [place for place in tier.places if place.weight > 0]
        found += [rank for rank in (active, [p for p in tier.places if p.weight == 0]) if rank]
    return found


def _spread(service: ServicePlan, ranked: Sequence[Sequence[Place]]) -> bool:
    """Whether the first rank's members have a pool each, between which the load balancer chooses."""
    return service.policy == "latency" or (service.policy == "weighted" and len(ranked) <= 2)


def _pooled(service: ServicePlan, ranked: list[list[Place]]) -> list[list[Place]]:
    """The ranks whose members share a pool."""
    return ranked[1:] if _spread(service, ranked) else ranked


def _balancer(service: ServicePlan, plan: GlobalPlan, pools: dict[str, Pool]) -> Balancer:
    ranked = ranks(service)
    hosts = {probe.name: probe.host for probe in plan.probes}
    labels = _labels(service, ranked)

    def pool(places: Sequence[Place], label: str) -> str:
        """A member alone has one pool, whichever services use it; several together have theirs in each service."""
        single = len(places) == 1
        key = places[0].name if single else f"{service.name.replace('.', '_')}-{label}"
        host = hosts.get(places[0].name, service.name) if single else service.name
        pools.setdefault(key, _pool(places, key, host))
        return key

    if not _spread(service, ranked):
        keys = [pool(rank, label) for rank, label in zip(ranked, labels, strict=True)]
        last = service.tiers[-1].degraded
        return Balancer(service.name, "off", tuple(keys), (), keys[-1] if last else keys[0])
    if len(ranked) > 2:
        raise ValueError(f"{service.name}: {len(ranked)} ranks, and policy {service.policy} can have 2")
    first, label = ranked[0], labels[0]
    keys = [pool([place], label) for place in first]
    rest = [pool(rank, name) for rank, name in zip(ranked[1:], labels[1:], strict=True)]
    if service.policy == "latency":
        return Balancer(service.name, "proximity", tuple(keys), (), (rest or keys)[0])
    shares = weights([place.weight for place in first])
    heaviest = keys[max(range(len(first)), key=lambda i: first[i].weight)]
    return Balancer(
        service.name, "random", tuple(keys), tuple(zip(keys, shares, strict=True)), rest[0] if rest else heaviest
    )


def _labels(service: ServicePlan, ranked: Sequence[Sequence[Place]]) -> list[str]:
    """A name for each rank that stays when ranks before it come and go."""
    of = {place.name: tier.label for tier in service.tiers for place in tier.places}
    labels: list[str] = []
    for rank in ranked:
        label = of[rank[0].name]
        labels.append(f"{label}-standby" if label in labels or _stands_by(service, rank) else label)
    return labels


def _stands_by(service: ServicePlan, rank: Sequence[Place]) -> bool:
    return service.policy != "latency" and all(place.weight == 0 for place in rank)


def _pool(places: Sequence[Place], key: str, host: str) -> Pool:
    endpoint = places[0].endpoint
    targets = [(place, address) for place in places for address in targets_of(place.endpoint)]
    # All members that stand by count alike, as do all that are chosen by distance.
    shares = weights([Fraction(max(place.weight, 1), len(targets_of(place.endpoint))) for place, _ in targets])
    regions = {place.endpoint.nearest_aws_region for place in places}
    return Pool(
        key=key,
        members=tuple(place.name for place in places),
        origins=tuple(
            Origin(f"{place.name}-{address}", address, share)
            for (place, address), share in zip(targets, shares, strict=True)
        ),
        port=endpoint.port,
        monitor=Monitor(host, endpoint.port, endpoint.health_path),
        place=location(regions.pop()) if len(regions) == 1 else None,
    )


def targets_of(endpoint: Endpoint) -> tuple[str, ...]:
    """What an endpoint is reached by: its static addresses, a host name only where it has none."""
    if endpoint.addresses:
        return endpoint.addresses
    return (endpoint.hostname,) if endpoint.hostname else ()


def weights(given: Sequence[int | Fraction]) -> list[float]:
    """Weights as Cloudflare takes them, above 0 to 1 in steps of 0.01, with the shares as close to the given ones as
    such steps allow: the largest weight may be any of the hundred steps, and the best of them is taken.

    given: all above 0. 90 and 10 become 0.9 and 0.1, exactly; 255 and 1 become 1 and 0.01, nearly.
    """
    total, top = sum(map(Fraction, given)), max(given)
    best: list[int] = []
    least = None
    for largest in range(STEPS, 0, -1):
        steps = [max(1, round(Fraction(weight) * largest / Fraction(top))) for weight in given]
        error = max(abs(Fraction(s, sum(steps)) - Fraction(w) / total) for s, w in zip(steps, given, strict=True))
        if least is None or error < least:
            best, least = steps, error
    return [step / STEPS for step in best]


def probe_pool(probe: Probe, made: Rendered) -> Monitor | None:
    """What probes a member, None when no pool holds it."""
    for pool in made.pools:
        if probe.name in pool.members:
            return pool.monitor
    return None
