"""Who is told: the rehearsal's tiers against the stand-in's name servers, which walk records, pools and profiles."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.dns import cloudflare_pools, traffic_profiles
from infra.dns.checkers import CheckSettings, Provider
from infra.dns.plan import GlobalPlan
from infra.dns.traffic_profiles import DNS_SUFFIX
from rehearsal.dns.tree import Shares, Tree, coordinates, distance, spread
from rehearsal.fleet.model import Member, Place, Service, Tier, World
from rehearsal.fleet.world_files import services
from sandbox.dns import cloudflare, traffic_manager
from sandbox.kinds import Resource
from spillway.errors import SpillwayError
from tests.support.global_plans import LOCATIONS, SERVICE, ZONE, Down, Wanted, answering, asked, down, member_at, wanted

ASKED = 200
NEAR = 0.18
"""5 standard deviations of a share among so many answers."""


def world(plan: GlobalPlan, provider: Provider) -> World:
    members = tuple(
        Member(
            name=probe.name, stack=None, cloud="aws", residency=probe.endpoint.residency,
            nearest_aws_region=probe.endpoint.nearest_aws_region, addresses=len(probe.endpoint.addresses),
            port=443, health_path="/readyz", drained=probe.name in plan.drained,
        )
        for probe in plan.probes
    )  # fmt: skip
    check = CheckSettings(provider=provider, interval_seconds=10, threshold=2)
    return World("global", provider, ZONE, services(provider, ZONE, plan), members, (), check, 60.0)


@dataclass(frozen=True)
class Struck:
    """Members that are down, and addresses of others: none of a member's, or all but its first."""

    members: frozenset[str]
    partly: frozenset[str]

    def addresses(self, plan: GlobalPlan) -> frozenset[str]:
        gone = {one for probe in plan.probes if probe.name in self.members for one in probe.endpoint.addresses}
        some = {one for probe in plan.probes if probe.name in self.partly for one in probe.endpoint.addresses[1:]}
        return frozenset(gone | some)

    def health(self, plan: GlobalPlan) -> Mapping[str, float]:
        lost = self.addresses(plan)
        return {
            probe.name: sum(one not in lost for one in probe.endpoint.addresses) / len(probe.endpoint.addresses)
            for probe in plan.probes
        }


struck = st.builds(Struck, down.map(frozenset), down.map(frozenset))
places = st.sampled_from(LOCATIONS)


def alike(found: Mapping[str, float], drawn: Counter[str]) -> None:
    """Shares, and how often each was drawn."""
    assert set(drawn) <= set(found)
    for name, share in found.items():
        assert drawn[name] / ASKED == pytest.approx(share, abs=NEAR)


def shares(plan: GlobalPlan, provider: Provider, hit: Struck, location: str) -> Shares:
    over = world(plan, provider)
    return Tree(over, over.services[0], {location: 1.0}).answers(hit.health(plan))


@given(wanted(), struck, places)
@settings(max_examples=40, deadline=None)
def test_route_53_answers_as_its_records_do(one: Wanted, hit: Struck, location: str) -> None:
    plan = one.plan()
    asking = asked(one, Down(addresses=hit.addresses(plan)))
    alike(shares(plan, "route53", hit, location), answering(asking, one.members, location, ASKED))


def res(token: str, id_: str, **values: Any) -> Resource:
    return Resource(token, id_, "global", "", values, values)


@dataclass
class Monitors:
    """What the stand-in asks of health. lost: addresses that are down."""

    lost: frozenset[str]
    version: int = 1

    def healthy(self, pool: str, origin: str) -> bool:
        return origin.rsplit("-", 1)[1] not in self.lost

    def status(self, endpoint: str) -> str:
        return "Degraded" if endpoint.rsplit("/", 1)[1] in self.lost else "Online"


@given(wanted(), struck, places)
@settings(max_examples=40, deadline=None)
def test_cloudflare_answers_as_its_pools_do(one: Wanted, hit: Struck, location: str) -> None:
    plan = one.plan()
    if any(cloudflare_pools.faults(plan, cloudflare_pools.ENTERPRISE)):
        return
    made = cloudflare_pools.render(plan)
    pools = {
        pool.key: cloudflare.Pool(
            res(
                "", pool.key, name=pool.key, minimumOrigins=1, monitor="m",
                origins=[{"name": o.name, "address": o.address, "weight": o.weight} for o in pool.origins],
                **({"latitude": pool.place.latitude, "longitude": pool.place.longitude} if pool.place else {}),
            )
        )
        for pool in made.pools
    }  # fmt: skip
    told = made.balancers[0]
    monitors: Any = Monitors(hit.addresses(plan))
    balancer = cloudflare.Balancer(
        res(
            "", "lb", name=told.name, proxied=True, defaultPools=list(told.pools), fallbackPool=told.fallback,
            steeringPolicy=told.steering, randomSteering={"poolWeights": dict(told.weights)},
        ),
        pools, monitors,
    )  # fmt: skip
    chance, drawn = random.Random(1), Counter[str]()
    for _ in range(ASKED):
        pool, _ = balancer.steer(location, chance)
        assert pool is not None
        origin = balancer.origin(pool, chance)
        assert origin is not None
        drawn[member_at(one.members, origin.address)] += 1
    found = shares(plan, "cloudflare", hit, location)
    if balancer.policy == "proximity":  # of several at one place either has the first one in its own order
        near = {one.name: one.nearest for one in one.members}
        found, drawn = at(near, found), Counter({name: int(n) for name, n in at(near, drawn).items()})
    alike(found, drawn)


def at(near: Mapping[str, str], counted: Mapping[str, float]) -> dict[str, float]:
    """By place instead of by member."""
    places: dict[str, float] = {}
    for name, count in counted.items():
        places[near[name]] = places.get(near[name], 0) + count
    return places


@given(wanted(ranked=True), struck, places)
@settings(max_examples=40, deadline=None)
def test_traffic_manager_answers_as_its_profiles_do(one: Wanted, hit: Struck, location: str) -> None:
    plan = one.plan()
    profiles, endpoints = [], []
    for profile in traffic_profiles.profiles("p", ZONE, plan):
        profiles.append(
            res(
                "", profile.name, profileName=profile.name, resourceGroupName="g", trafficRoutingMethod=profile.method,
                dnsConfig={"relativeName": profile.name, "ttl": 10},
            )
        )  # fmt: skip
        for branch in profile.branches:
            endpoints.append(
                res(
                    "", f"{profile.name}/{branch.target or branch.name}", profileName=profile.name,
                    resourceGroupName="g", endpointName=branch.name, target=branch.target,
                    type="NestedEndpoints" if branch.child else "ExternalEndpoints", targetResourceId=branch.child,
                    weight=branch.weight, priority=branch.priority, endpointLocation=branch.location,
                    endpointStatus="Enabled" if branch.enabled else "Disabled",
                )
            )  # fmt: skip
    stand_in = traffic_manager.TrafficManager(profiles, endpoints, random.Random(1))
    probing: Any = Monitors(hit.addresses(plan))
    stand_in.probing = probing
    drawn = Counter[str]()
    root = f"{traffic_profiles.root('p', plan.services[0])}.{DNS_SUFFIX}"
    for _ in range(ASKED):
        answer = stand_in.answer(root, "A", location)
        drawn[member_at(one.members, answer.values[0])] += 1
    alike(shares(plan, "traffic-manager", hit, location), drawn)


# --- single rules, in words


def member(name: str, addresses: int = 1, near: str = "us-east-1") -> Member:
    return Member(name, None, "aws", "us", near, addresses, 443, "/readyz", False)


def tree(service: Service, provider: Provider = "route53", clients: Mapping[str, float] | None = None) -> Tree:
    names = dict.fromkeys(place.member for tier in service.tiers for place in tier.places)
    check = CheckSettings(provider=provider, interval_seconds=10, threshold=2)
    over = World(
        "global", provider, ZONE, (service,), tuple(member(name, addresses=2) for name in names), (), check, 60
    )
    return Tree(over, service, clients or {"us-east-1": 1.0})


def service(*tiers: Tier, policy: Any = "weighted", fallback: tuple[str, ...] = (), name: str = SERVICE) -> Service:
    return Service(name, policy, None, tiers, fallback)


def tier(*places: Place, choice: Any = "weighted") -> Tier:
    return Tier(choice, False, places)


def test_clients_of_several_places_each_go_to_the_nearest_that_is_healthy() -> None:
    near = tier(
        Place("east", 1, "us-east-1"), Place("west", 1, "us-west-2"), Place("eu", 1, "eu-west-1"), choice="latency"
    )
    asking = tree(service(near, policy="latency"), clients={"us-east-2": 0.5, "us-west-1": 0.25, "eu-central-1": 0.25})
    assert asking.answers(dict.fromkeys(("east", "west", "eu"), 1.0)) == {"east": 0.5, "west": 0.25, "eu": 0.25}
    assert asking.answers({"east": 1.0, "west": 0.0, "eu": 0.5}) == {"east": 0.75, "eu": 0.25}


def test_members_of_one_region_share_its_clients_by_weight() -> None:
    here = tier(Place("a", 1, "39,-77.5"), Place("b", 1, "39,-77.5"), choice="latency")
    both = {"a": 1.0, "b": 1.0}
    assert tree(service(here, policy="latency"), "cloudflare").answers(both) == {"a": 1.0}  # but not by proximity
    assert tree(service(here, policy="latency"), "cloudflare").answers({"a": 0.0, "b": 0.5}) == {"b": 1.0}
    near = tier(Place("a", 3, "us-east-1"), Place("b", 1, "us-east-1"), Place("eu", 9, "eu-west-1"), choice="latency")
    asking = tree(service(near, policy="latency"))
    assert asking.answers({"a": 1.0, "b": 1.0, "eu": 1.0}) == {"a": 0.75, "b": 0.25}


def test_addresses_that_are_down_cost_a_share_only_where_addresses_are_chosen_between() -> None:
    both = tier(Place("a", 1), Place("b", 1))
    health = {"a": 0.5, "b": 1.0}
    assert tree(service(both)).answers(health) == {"a": 0.5, "b": 0.5}
    assert tree(service(both), "cloudflare").answers(health) == {"a": 0.5, "b": 0.5}
    assert tree(service(both, policy="priority"), "cloudflare").answers(health) == pytest.approx(
        {"a": 1 / 3, "b": 2 / 3}
    )
    assert tree(service(both, name=ZONE), "traffic-manager").answers(health) == pytest.approx({"a": 1 / 3, "b": 2 / 3})


def test_nobody_healthy_leaves_the_first_tier_or_the_fallback_pool() -> None:
    tiers = (tier(Place("a", 1), Place("b", 0)), tier(Place("c", 1)))
    nobody = {"a": 0.0, "b": 0.0, "c": 0.0}
    assert tree(service(*tiers)).answers(nobody) == {"a": 1.0}
    assert tree(service(*tiers, fallback=("c",)), "cloudflare").answers(nobody) == {"c": 1.0}
    assert tree(service(*tiers)).healthy(nobody) is None


def test_a_disabled_endpoint_never_answers_by_itself() -> None:
    tiers = (tier(replace(Place("a", 1), enabled=False)), tier(Place("b", 1)))
    for health in ({"a": 1.0, "b": 0.0}, {"a": 1.0, "b": 1.0}):
        assert tree(service(*tiers), "traffic-manager").answers(health) == {"b": 1.0}


@pytest.mark.parametrize("region", ["eu-mars-1", ""])
def test_clients_have_to_be_in_a_region_that_is_known(region: str) -> None:
    with pytest.raises(SpillwayError, match="unknown AWS region"):
        tree(service(tier(Place("a", 1))), clients={region: 1.0})


@pytest.mark.parametrize(("provider", "place"), [("route53", "mars"), ("cloudflare", "here"), ("traffic-manager", "x")])
def test_members_have_to_be_at_a_place_that_is_known(provider: Provider, place: str) -> None:
    with pytest.raises(SpillwayError, match="no such place is known"):
        tree(service(tier(Place("a", 1, place), choice="latency"), policy="latency"), provider)


def test_every_azure_region_that_members_are_given_is_somewhere() -> None:
    from infra.dns import places as table

    for region in table.regions():
        azure = table.location(region).azure
        assert distance("traffic-manager", region, azure) < 4000
        assert coordinates("traffic-manager", azure)


@given(st.dictionaries(st.text(min_size=1, max_size=2), st.just(0.0) | st.floats(1e-3, 1e6), max_size=5))
def test_shares_sum_to_one_or_there_are_none(weights: dict[str, float]) -> None:
    found = spread(weights)
    assert sum(found.values()) == pytest.approx(1.0 if weights else 0.0)
    assert all(share > 0 for share in found.values())
