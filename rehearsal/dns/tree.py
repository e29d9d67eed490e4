"""Who answers a service, given who is healthy: tiers, weights and distances, and what a provider does when nobody is.

Route 53: https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/health-checks-how-route-53-chooses-records.html
Cloudflare: https://developers.cloudflare.com/load-balancing/understand-basics/traffic-steering/
Traffic Manager: https://learn.microsoft.com/azure/traffic-manager/traffic-manager-monitoring
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import inf

from infra.dns import places
from infra.dns.places import kilometres
from rehearsal.fleet.model import Place, Service, Tier, World
from spillway.errors import SpillwayError

Shares = dict[str, float]
"""Member -> share; they sum to 1, or there are none."""


def spread(weights: Mapping[str, float]) -> Shares:
    """Shares by weight; even ones where every weight is 0; no member with a share of 0."""
    total = sum(weights.values())
    if total <= 0:
        return dict.fromkeys(weights, 1 / len(weights)) if weights else {}
    return {name: weight / total for name, weight in weights.items() if weight > 0}


@lru_cache(maxsize=1024)
def coordinates(provider: str, region: str) -> tuple[float, float]:
    """Latitude and longitude of what a provider has as a place: an AWS region, an Azure region, or the two themselves.
    Raises KeyError for a region that infra/data does not know."""
    if provider == "cloudflare":
        latitude, _, longitude = region.partition(",")
        return float(latitude), float(longitude)
    found = places.coordinates("azure" if provider == "traffic-manager" else "aws", region)
    if found is None and provider == "traffic-manager":  # members get the Azure region that is nearest to their AWS one
        near = [name for name in places.regions() if places.location(name).azure == region]
        found = places.coordinates("aws", near[0]) if near else None
    if found is None:
        raise KeyError(region)
    return found


@lru_cache(maxsize=4096)
def distance(provider: str, client: str, region: str | None) -> float:
    """Kilometres from clients of an AWS region; what has no place is farther than anything.

    Providers measure latency and do not publish it; which of two regions is nearer is what it comes to.
    """
    return inf if region is None else kilometres(coordinates("route53", client), coordinates(provider, region))


@dataclass(frozen=True, slots=True)
class Tree:
    """One service. Health: member -> share of its addresses that are healthy; a member is healthy while it is above 0.

    clients: AWS region -> share of the clients that are there; matters only where a tier goes by latency.
    """

    world: World
    service: Service
    clients: Mapping[str, float]

    def __post_init__(self) -> None:
        for region in self.clients:
            if places.coordinates("aws", region) is None:
                raise SpillwayError(
                    f"{self.service.name}: clients in {region}: unknown AWS region; infra/data/places.yaml has them all"
                )
        for tier in self.service.tiers:
            for place in tier.places:
                if tier.choice == "latency" and place.latency_region is not None:
                    try:
                        coordinates(self.world.provider, place.latency_region)
                    except (KeyError, ValueError):
                        raise SpillwayError(
                            f"{self.service.name}: {place.member}: {place.latency_region}: no such place is known"
                        ) from None

    def answers(self, health: Mapping[str, float]) -> Shares:
        """Who is told: the first tier with a healthy member, and what the provider does when there is none."""
        found = self.healthy(health)
        return found if found is not None else self._open()

    def healthy(self, health: Mapping[str, float]) -> Shares | None:
        """Who is told as long as somebody is healthy; None when nobody is."""
        for rank, tier in enumerate(self.service.tiers):
            fit = [place for place in tier.places if place.enabled and health.get(place.member, 0.0) > 0]
            if fit:
                return self._choose(rank, tier, fit, health)
        return None

    def _open(self) -> Shares:
        """Nobody is healthy. Cloudflare has a pool for that; Route 53 and Traffic Manager then take all for healthy,
        so that the first tier answers."""
        last = self.service.fallback
        for rank, tier in enumerate(self.service.tiers):
            fit = [place for place in tier.places if place.enabled and (not last or place.member in last)]
            if fit:
                return self._choose(rank, tier, fit, {place.member: 1.0 for place in fit})
        return {}

    def _choose(self, rank: int, tier: Tier, fit: Iterable[Place], health: Mapping[str, float]) -> Shares:
        if tier.choice == "weighted":
            return self._weighed(rank, fit, health)
        found: Shares = {}
        nearest: dict[str | None, list[Place]] = {}
        for place in fit:
            nearest.setdefault(place.latency_region, []).append(place)
        for client, share in self.clients.items():
            region = min(nearest, key=lambda one: (distance(self.world.provider, client, one), one or ""))
            for member, part in self._weighed(rank, nearest[region], health, near=True).items():
                found[member] = found.get(member, 0.0) + share * part
        return spread(found)

    def _weighed(self, rank: int, fit: Iterable[Place], health: Mapping[str, float], *, near: bool = False) -> Shares:
        """By weight. A weight of 0 counts only while no other one is healthy
        (https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/routing-policy-weighted.html)."""
        if near and self.world.provider == "cloudflare":
            # Pools are put in order by distance, and the first that is healthy gets it all; of equally near ones the
            # first in the load balancer's list, which a World does not keep: by name.
            return {min(place.member for place in fit): 1.0}
        if not self._by_address(rank):
            return spread({place.member: place.weight for place in fit})
        # Addresses are the ones that are chosen, so a member has less with each one that is down. By distance each
        # counts alike: https://learn.microsoft.com/azure/traffic-manager/traffic-manager-routing-methods
        return spread(
            {
                place.member: health[place.member]
                * (self.world.member(place.member).addresses if near else place.weight)
                for place in fit
            }
        )

    def _by_address(self, rank: int) -> bool:
        """Whether the provider chooses between addresses of several members at once, and not between members: pools of
        Cloudflare, but those that are a member each (infra/dns/cloudflare_pools.py), and Traffic Manager's one flat
        profile at the zone's own name."""
        service = self.service
        if self.world.provider == "cloudflare":
            each = service.policy == "latency" or (service.policy == "weighted" and len(service.tiers) <= 2)
            return rank > 0 or not each
        return self.world.provider == "traffic-manager" and service.name == self.world.zone
