"""What a plan becomes at Cloudflare, held against what Cloudflare documents about steering and the plan's own order."""

from __future__ import annotations

from collections.abc import Iterable, Set
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from infra.dns import places
from infra.dns.cloudflare_pools import Balancer, Origin, Rendered, faults, render, weights
from infra.dns.plan import Endpoint, GlobalPlan, Place, Probe, ServicePlan, Tier

REGIONS = places.regions()


def place(name: str, weight: int = 100, *, region: str = "us-east-1", residency: str = "us", **more: Any) -> Place:
    number = sum(map(ord, name)) % 250
    endpoint = Endpoint(
        hostname=None,
        addresses=(f"198.51.100.{number}", f"203.0.113.{number}"),
        port=443,
        health_path="/readyz",
        cloud="aws",
        region=region,
        nearest_aws_region=region,
        residency=residency,
    )
    return Place(name, replace(endpoint, **more), weight)


def tiers(policy: str, *members: Iterable[Place], degraded: Iterable[Place] = ()) -> tuple[Tier, ...]:
    found = [
        Tier(
            f"priority-{i}" if policy == "priority" else policy,
            tuple(group),
            "latency" if policy == "latency" else "weighted",
        )
        for i, group in enumerate(members, 1)
    ]
    last = tuple(degraded)
    return (*found, *([Tier("degraded", last, "weighted", degraded=True)] if last else []))


def service(policy: Any, *members: Iterable[Place], name: str = "llm.example.com", **more: Any) -> ServicePlan:
    return ServicePlan(name, policy, None, tiers(policy, *members, **more))


def plan(*services: ServicePlan, drained: Iterable[Place] = ()) -> GlobalPlan:
    probed: dict[str, Probe] = {}
    for one in services:
        for member in one.places:
            probed.setdefault(member.name, Probe(member.name, member.endpoint, one.name))
    away = list(drained)
    for member in away:
        probed[member.name] = Probe(member.name, member.endpoint, services[0].name)
    return GlobalPlan(services, tuple(probed.values()), tuple(m.name for m in away), ())


def made(*services: ServicePlan, drained: Iterable[Place] = ()) -> Rendered:
    whole = plan(*services, drained=drained)
    assert list(faults(whole, "enterprise")) == []
    return render(whole)


def members(rendered: Rendered, key: str) -> tuple[str, ...]:
    return next(pool.members for pool in rendered.pools if pool.key == key)


A, B, C, D = (place(name) for name in "abcd")


def test_priority_is_one_pool_per_tier_in_order() -> None:
    found = made(service("priority", [A], [B], [C]))
    (balancer,) = found.balancers
    assert balancer.steering == "off"
    assert [members(found, key) for key in balancer.pools] == [("a",), ("b",), ("c",)]
    assert balancer.weights == ()


def test_without_a_last_resort_the_first_choice_is_asked_when_every_probe_fails() -> None:
    found = made(service("priority", [A], [B]))
    assert members(found, found.balancers[0].fallback) == ("a",)
    found = made(service("weighted", [replace(A, weight=10), replace(B, weight=90)]))
    assert members(found, found.balancers[0].fallback) == ("b",)


def test_degraded_members_are_the_fallback_pool_in_every_policy() -> None:
    for policy, groups in {"priority": [[A], [B]], "weighted": [[A, B]], "latency": [[A, B]]}.items():
        found = made(service(policy, *groups, degraded=[D]))
        (balancer,) = found.balancers
        assert members(found, balancer.fallback) == ("d",)
        assert (balancer.fallback in balancer.pools) == (policy == "priority")  # nobody is sent there by chance


def test_members_of_one_priority_share_a_pool_by_weight() -> None:
    found = made(service("priority", [replace(A, weight=90), replace(B, weight=10)], [C]))
    (balancer,) = found.balancers
    assert [members(found, key) for key in balancer.pools] == [("a", "b"), ("c",)]
    shared = next(pool for pool in found.pools if pool.members == ("a", "b"))
    assert share(shared.origins, "a") == pytest.approx(0.9)


def share(origins: Iterable[Origin], member: str) -> float:
    listed = list(origins)
    return sum(o.weight for o in listed if o.name.startswith(f"{member}-")) / sum(o.weight for o in listed)


def test_an_address_more_does_not_mean_more_requests() -> None:
    many = place("a", 50, addresses=tuple(f"192.0.2.{n}" for n in range(4)))
    found = made(service("priority", [many, replace(B, weight=50)]))
    assert share(found.pools[0].origins, "a") == pytest.approx(0.5)


def test_a_canary_of_ten_percent_gets_ten_percent() -> None:
    found = made(service("weighted", [replace(A, weight=90), replace(B, weight=10)]))
    (balancer,) = found.balancers
    assert balancer.steering == "random"
    shares = dict(balancer.weights)
    assert shares["b"] / sum(shares.values()) == pytest.approx(0.1)
    assert [members(found, key) for key in balancer.pools] == [("a",), ("b",)]


def test_weight_0_stands_by_and_answers_when_nobody_else_does() -> None:
    found = made(service("weighted", [A, B, replace(C, weight=0)]))
    (balancer,) = found.balancers
    assert balancer.steering == "random"
    assert set(balancer.pools) == {"a", "b"}
    assert members(found, balancer.fallback) == ("c",)
    # With a last resort behind it, a fallback pool alone cannot hold both.
    found = made(service("weighted", [A, B, replace(C, weight=0)], degraded=[D]))
    (balancer,) = found.balancers
    assert balancer.steering == "off"
    assert [members(found, key) for key in balancer.pools] == [("a", "b"), ("c",), ("d",)]


def test_latency_goes_by_the_coordinates_of_the_nearest_aws_region() -> None:
    found = made(service("latency", [A, place("f", region="eu-central-1")]))
    (balancer,) = found.balancers
    assert balancer.steering == "proximity"
    where = {pool.key: pool.place for pool in found.pools}
    assert where["f"] == places.location("eu-central-1")
    assert where["a"] == places.location("us-east-1")


def test_services_share_the_pool_of_a_member() -> None:
    found = made(service("weighted", [A, B]), service("latency", [B, C], name="eu.example.com"))
    assert sorted(pool.key for pool in found.pools) == ["a", "b", "c"]


def test_pools_of_several_members_are_each_services_own() -> None:
    found = made(service("priority", [A, B]), service("priority", [A, B], name="other.example.com"))
    assert len(found.pools) == 2
    # "a.b" and "a-b" are two services: dots become underscores, which no host name has.
    found = made(
        service("priority", [A, B], name="a.b.example.com"), service("priority", [A, B], name="a-b.example.com")
    )
    assert len({pool.key for pool in found.pools}) == 2


def test_names_of_pools_are_what_cloudflare_takes() -> None:
    found = made(service("priority", [A, B], [C, replace(D, weight=0)]), drained=[place("e")])
    for pool in found.pools:
        assert pool.key.replace("-", "").replace("_", "").isalnum()


def test_drained_members_keep_a_probed_pool_that_no_load_balancer_names() -> None:
    found = made(service("priority", [A], [B]), drained=[C])
    assert "c" in {pool.key for pool in found.pools}
    assert "c" not in found.balancers[0].pools


def test_members_that_are_probed_alike_share_a_monitor() -> None:
    other = place("g", health_path="/health")
    found = made(service("priority", [A], [B], [other]))
    assert [(m.host, m.port, m.path) for m in found.monitors] == [
        ("llm.example.com", 443, "/health"),
        ("llm.example.com", 443, "/readyz"),
    ]


def test_a_member_with_a_host_name_only_is_reached_by_it() -> None:
    found = made(service("priority", [place("h", hostname="api.example.net", addresses=())]))
    assert [origin.address for origin in found.pools[0].origins] == ["api.example.net"]


def test_members_of_one_pool_need_the_same_port_and_path() -> None:
    odd = place("g", port=8443)
    (fault,) = faults(plan(service("priority", [A, odd])), "enterprise")
    assert fault.path == ("services", 0)
    assert "llm.example.com: a and g share a pool at Cloudflare, and need the same port and healthPath" in fault.allowed
    assert not list(faults(plan(service("weighted", [A, odd])), "enterprise"))  # a pool each


def test_a_standby_of_the_last_resort_is_refused_with_latency() -> None:
    whole = plan(service("latency", [A], degraded=[D, replace(C, weight=0)]))
    (fault,) = faults(whole, "enterprise")
    assert "weight 0 for c: with policy latency" in fault.allowed


def test_plans_but_enterprise_have_twenty_pools_and_endpoints() -> None:
    whole = plan(service("weighted", [place(chr(ord("a") + n)) for n in range(11)]))
    lines = [fault.line("f") for fault in faults(whole, "business")]
    assert lines == [
        "f: cloudflare.plan = business: needs 22 endpoints, and all plans but enterprise have 20 in the whole account"
    ]
    assert not list(faults(whole, "enterprise"))
    twenty = plan(service("weighted", [place(chr(ord("a") + n)) for n in range(10)]))
    assert not list(faults(twenty, "business"))


# Properties: Cloudflare's documented choice against the plan's own order.


@st.composite
def plans(draw: st.DrawFn) -> GlobalPlan:
    letters = "abcdefgh"
    pool = [
        replace(place(name, region=draw(st.sampled_from(REGIONS))), weight=draw(st.sampled_from([0, 1, 10, 100, 255])))
        for name in letters[: draw(st.integers(1, len(letters)))]
    ]
    services = []
    for number in range(draw(st.integers(1, 2))):
        policy = draw(st.sampled_from(["priority", "weighted", "latency"]))
        shuffled = draw(st.permutations(pool))
        cut = draw(st.integers(1, len(shuffled)))
        front, last = shuffled[:cut], shuffled[cut:]
        groups = [front]
        if policy == "priority" and len(front) > 1:
            middle = draw(st.integers(1, len(front)))
            groups = [group for group in (front[:middle], front[middle:]) if group]
        one = service(policy, *groups, degraded=last, name=f"llm{number}.example.com")
        # The plan refuses tiers in which nobody has weight.
        assume(policy == "latency" or all(any(p.weight for p in tier.places) for tier in one.tiers))
        services.append(one)
    whole = plan(*services)
    assume(not list(faults(whole, "enterprise")))
    return whole


def chosen(balancer: Balancer, rendered: Rendered, healthy: Set[str]) -> set[str]:
    """Members that Cloudflare may choose, by its documentation: healthy pools by the steering policy, inside of a pool
    the healthy endpoints with a weight; when no pool is healthy, the fallback pool whatever its health."""
    pools = {pool.key: pool for pool in rendered.pools}
    alive = [key for key in balancer.pools if healthy & set(pools[key].members)]
    if not alive:
        return set(pools[balancer.fallback].members)
    if balancer.steering == "off":
        alive = alive[:1]
    elif balancer.steering == "random":
        shares = dict(balancer.weights)
        alive = [key for key in alive if shares[key] > 0]
    return {
        origin.name.rsplit("-", 1)[0]
        for key in alive
        for origin in pools[key].origins
        if origin.weight > 0 and origin.name.rsplit("-", 1)[0] in healthy
    }


def wanted(one: ServicePlan, healthy: Set[str]) -> set[str]:
    """Members that the plan lets answer: the first tier with a healthy one, and in it those with a weight first."""
    for tier in one.tiers:
        alive = [p for p in tier.places if p.name in healthy]
        active = [p for p in alive if p.weight or tier.choice == "latency"]
        if alive:
            return {p.name for p in active or alive}
    return set()


@settings(max_examples=300, deadline=None)
@given(plans(), st.sets(st.sampled_from("abcdefgh")))
def test_who_answers_is_who_the_plan_lets_answer(whole: GlobalPlan, healthy: set[str]) -> None:
    rendered = render(whole)
    for one, balancer in zip(whole.services, rendered.balancers, strict=True):
        up = healthy & {p.name for p in one.places}
        expected = wanted(one, up)
        found = chosen(balancer, rendered, up)
        if expected:
            # The fallback pool is taken whole; a healthy member of it must be among those.
            assert expected <= found
            assert found <= expected or not (up & {m for k in balancer.pools for m in members(rendered, k)})
        else:
            assert found  # somebody is asked even when every probe fails


@settings(max_examples=200, deadline=None)
@given(plans())
def test_a_service_names_no_pool_with_a_member_that_its_plan_has_not(whole: GlobalPlan) -> None:
    rendered = render(whole)
    for one, balancer in zip(whole.services, rendered.balancers, strict=True):
        own = {p.name for p in one.places}
        for key in {*balancer.pools, balancer.fallback}:
            assert set(members(rendered, key)) <= own


@settings(max_examples=200, deadline=None)
@given(plans())
def test_what_is_rendered_is_what_cloudflare_takes(whole: GlobalPlan) -> None:
    rendered = render(whole)
    keys = [pool.key for pool in rendered.pools]
    assert len(set(keys)) == len(keys)
    for balancer in rendered.balancers:
        assert balancer.pools
        assert len(set(balancer.pools)) == len(balancer.pools)
        assert {*balancer.pools, balancer.fallback} <= set(keys)
        assert all(0 < weight <= 1 for _, weight in balancer.weights)
        if balancer.steering == "proximity":
            assert all(pool.place for pool in rendered.pools if pool.key in balancer.pools)
    for pool in rendered.pools:
        assert len({origin.name for origin in pool.origins}) == len(pool.origins)
        assert len({origin.address for origin in pool.origins}) == len(pool.origins)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(1, 255), min_size=1, max_size=12))
def test_weights_are_steps_of_a_hundredth_that_keep_the_shares(given_weights: list[int]) -> None:
    found = weights(given_weights)
    assert all(0.01 <= weight <= 1 and round(weight * 100, 6).is_integer() for weight in found)
    for weight, steps in zip(given_weights, found, strict=True):
        # Each weight is off by at most half a step of the largest, or was too small for one.
        exact = weight / sum(given_weights)
        assert abs(steps / sum(found) - exact) <= 0.011 * len(found)
    assert [
        found[i] >= found[j]
        for i in range(len(found))
        for j in range(len(found))
        if given_weights[i] > given_weights[j]
    ].count(False) == 0


@given(st.integers(1, 99))
def test_percentages_are_met_exactly(percent: int) -> None:
    first, second = weights([percent, 100 - percent])
    assert first / (first + second) == pytest.approx(percent / 100)


@settings(max_examples=100, deadline=None)
@given(plans(), st.sampled_from("abcdefgh"))
def test_taking_a_member_away_moves_only_its_share(whole: GlobalPlan, name: str) -> None:
    """The pools of the others stay as they are: nothing but the load balancer, or a shared pool, changes."""
    smaller = []
    for one in whole.services:
        left = tuple(replace(tier, places=tuple(p for p in tier.places if p.name != name)) for tier in one.tiers)
        assume(all(tier.places and (tier.choice == "latency" or any(p.weight for p in tier.places)) for tier in left))
        smaller.append(replace(one, tiers=left))
    rest = GlobalPlan(tuple(smaller), tuple(p for p in whole.probes if p.name != name), (), ())
    assume(not list(faults(rest, "enterprise")))
    before = {pool.key: pool for pool in render(whole).pools}
    for pool in render(rest).pools:
        if pool.key in before and name not in before[pool.key].members:
            assert pool == before[pool.key]
