"""Which record a zone answers with, against Route 53's documentation."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.dns.answer import NXDOMAIN
from sandbox.dns.resolver import Resolver
from sandbox.dns.zone import Group, Zone
from sandbox.kinds import Resource
from spillway.errors import SpillwayError
from tests.support.dns_zone import MEMBERS, SERVICE, alias, chain, leaf, record, weighted

OWNER = {address: member for member, addresses in MEMBERS.items() for address in addresses}


class Down:
    """Checks that are unhealthy, by id."""

    def __init__(self, *down: str) -> None:
        self.down, self.version = set(down), 0

    def healthy(self, id: str) -> bool:
        return id not in self.down

    def set(self, *down: str) -> None:
        self.down, self.version = set(down), self.version + 1


def resolver(records: list[Resource], *down: str, seed: int = 0, **zone: Any) -> Resolver:
    return Resolver(Zone("Z1", "example.com", records, **zone), Down(*down), random.Random(seed))


def leaves() -> list[Resource]:
    return [r for member in MEMBERS for r in leaf(member)]


def checks_of(*members: str) -> list[str]:
    return [f"check-{address}" for member in members for address in MEMBERS[member]]


def shares(found: Resolver, name: str = SERVICE, location: str = "us-east-1", count: int = 2000) -> dict[str, float]:
    counts = Counter(OWNER[v] for _ in range(count) for v in found.answer(name, "A", location).values)
    return {name: n / count for name, n in counts.items()}


# --- failover ---


@pytest.mark.parametrize(
    ("down", "member"),
    [
        ((), "aws-us-east-1"),
        (("aws-us-east-1",), "aws-us-west-2"),
        (("aws-us-east-1", "aws-us-west-2"), "onprem"),
        (("aws-us-west-2", "onprem"), "aws-us-east-1"),
        (("aws-us-east-1", "aws-us-west-2", "onprem"), "aws-us-east-1"),  # fails open, and the primary answers
    ],
)
def test_a_chain_of_failover_records_is_walked_to_the_first_healthy_member(down: tuple[str, ...], member: str) -> None:
    found = resolver([*leaves(), *chain()], *checks_of(*down))
    assert shares(found, count=50) == {member: 1.0}


def test_one_address_of_a_member_goes_and_the_member_stays() -> None:
    found = resolver([*leaves(), *chain()], "check-203.0.113.1")
    assert {found.answer(SERVICE).values for _ in range(20)} == {("203.0.113.2",)}


def test_an_answer_tells_its_way_through_the_tree_and_takes_the_ttl_of_its_end() -> None:
    found = resolver([*leaves(), *chain()], *checks_of("aws-us-east-1", "aws-us-west-2"))
    answer = found.answer(SERVICE)
    assert answer.path == ("secondary", "secondary", "198.51.100.10")
    assert answer.ttl == 10
    assert "SECONDARY, as the primary is unhealthy" in answer.why


# --- weights ---


def test_weights_are_met() -> None:
    found = resolver([*leaves(), *weighted({"aws-us-east-1": 90, "aws-us-west-2": 10})])
    assert shares(found, count=20_000)["aws-us-west-2"] == pytest.approx(0.1, abs=0.01)


def test_weight_zero_answers_only_when_every_other_is_unhealthy() -> None:
    records = [*leaves(), *weighted({"aws-us-east-1": 1, "aws-us-west-2": 1, "onprem": 0})]
    assert "onprem" not in shares(resolver(records))
    assert shares(resolver(records, *checks_of("aws-us-east-1"))) == {"aws-us-west-2": 1.0}
    assert shares(resolver(records, *checks_of("aws-us-east-1", "aws-us-west-2"))) == {"onprem": 1.0}
    everything = resolver(records, *checks_of(*MEMBERS))
    assert "onprem" not in shares(everything)  # fails open, by weight


def test_weights_that_are_all_zero_answer_alike() -> None:
    found = shares(resolver([*leaves(), *weighted({"aws-us-east-1": 0, "onprem": 0})]), count=8000)
    assert found["onprem"] == pytest.approx(0.5, abs=0.03)


# --- latency, geolocation, geoproximity, multivalue ---


def latency() -> list[Resource]:
    return [
        record(SERVICE, r, aliases=alias(f"{m}.{SERVICE}"), latencyRoutingPolicies=[{"region": r}])
        for m, r in (("aws-us-east-1", "us-east-1"), ("aws-us-west-2", "us-west-2"), ("onprem", "eu-central-1"))
    ]


@pytest.mark.parametrize(
    ("location", "order"),
    [
        ("us-east-2", ["aws-us-east-1", "aws-us-west-2", "onprem"]),
        ("us-west-1", ["aws-us-west-2", "aws-us-east-1", "onprem"]),
        ("eu-west-3", ["onprem", "aws-us-east-1", "aws-us-west-2"]),
        ("ap-northeast-1", ["aws-us-west-2", "onprem", "aws-us-east-1"]),
    ],
)
def test_latency_answers_with_the_nearest_healthy_region(location: str, order: list[str]) -> None:
    for gone in range(3):
        found = resolver([*leaves(), *latency()], *checks_of(*order[:gone]))
        assert shares(found, location=location, count=20) == {order[gone]: 1.0}
    assert shares(resolver([*leaves(), *latency()], *checks_of(*order)), location=location, count=20) == {order[0]: 1.0}


def test_a_latency_branch_without_a_healthy_record_is_left() -> None:
    """The example of dns-failover-complex-configs.html: latency alias over weighted records."""
    found = resolver([*leaves(), *latency()], "check-203.0.113.1", "check-203.0.113.2")
    assert found.answer(SERVICE, "A", "us-east-1").path == ("us-west-2", found.answer(SERVICE).path[1])


def test_geolocation_takes_the_smallest_area_then_the_default() -> None:
    def at(identifier: str, **where: str) -> Resource:
        return record("g.example.com", identifier, records=[identifier], ttl=10, geolocationRoutingPolicies=[where])

    records = [at("192.0.2.1", country="DE"), at("192.0.2.2", continent="EU")]
    found = resolver(records)
    assert found.answer("g.example.com", "A", "eu-central-1").values == ("192.0.2.1",)
    assert found.answer("g.example.com", "A", "eu-west-3").values == ("192.0.2.2",)
    assert found.answer("g.example.com", "A", "us-east-1").values == ()
    found = resolver([*records, at("192.0.2.3", country="*")])
    assert found.answer("g.example.com", "A", "us-east-1").values == ("192.0.2.3",)


def test_geoproximity_takes_the_nearest_place_with_its_bias() -> None:
    def at(identifier: str, **where: Any) -> Resource:
        return record("p.example.com", identifier, records=[identifier], ttl=10, geoproximityRoutingPolicy=where)

    plain = [at("192.0.2.1", awsRegion="us-east-1"), at("192.0.2.2", awsRegion="us-west-2")]
    assert resolver(plain).answer("p.example.com", "A", "us-east-2").values == ("192.0.2.1",)
    biased = [at("192.0.2.1", awsRegion="us-east-1", bias=-99), at("192.0.2.2", awsRegion="us-west-2", bias=90)]
    assert resolver(biased).answer("p.example.com", "A", "us-east-2").values == ("192.0.2.2",)


def test_multivalue_answers_with_up_to_eight_healthy_records() -> None:
    records = [
        record(
            "m.example.com",
            str(n),
            records=[f"192.0.2.{n}"],
            ttl=10,
            multivalueAnswerRoutingPolicy=True,
            healthCheckId=f"c{n}",
        )
        for n in range(12)
    ]
    assert len(set(resolver(records).answer("m.example.com").values)) == 8
    few = resolver(records, *(f"c{n}" for n in range(9))).answer("m.example.com").values
    assert set(few) == {"192.0.2.9", "192.0.2.10", "192.0.2.11"}
    assert len(resolver(records, *(f"c{n}" for n in range(12))).answer("m.example.com").values) == 8


# --- aliases ---


def test_an_alias_that_does_not_evaluate_health_goes_on_being_answered() -> None:
    blind = record(
        SERVICE, "p", aliases=alias("t.example.com", evaluate=False), failoverRoutingPolicies=[{"type": "PRIMARY"}]
    )
    other = record(SERVICE, "s", records=["192.0.2.9"], ttl=10, failoverRoutingPolicies=[{"type": "SECONDARY"}])
    target = record("t.example.com", records=["192.0.2.1"], ttl=20, healthCheckId="c")
    answer = resolver([blind, other, target], "c").answer(SERVICE)
    assert (answer.values, answer.ttl) == (("192.0.2.1",), 20)


def test_an_alias_with_a_check_of_its_own_needs_both() -> None:
    first = record(
        SERVICE, "p", aliases=alias("t.example.com"), healthCheckId="own", failoverRoutingPolicies=[{"type": "PRIMARY"}]
    )
    other = record(SERVICE, "s", records=["192.0.2.9"], ttl=10, failoverRoutingPolicies=[{"type": "SECONDARY"}])
    target = record("t.example.com", records=["192.0.2.1"], ttl=20, healthCheckId="c")
    records = [first, other, target]
    assert resolver(records).answer(SERVICE).values == ("192.0.2.1",)
    assert resolver(records, "own").answer(SERVICE).values == ("192.0.2.9",)
    assert resolver(records, "c").answer(SERVICE).values == ("192.0.2.9",)


def test_an_alias_to_a_balancer_has_its_addresses_and_a_ttl_of_60() -> None:
    target = {
        "name": "dualstack.LB-1.elb.us-east-1.amazonaws.com",
        "zoneId": "Z26RNL4JYFTOTI",
        "evaluateTargetHealth": True,
    }
    zone = resolver(
        [record(SERVICE, aliases=[target])], balancers={"lb-1.elb.us-east-1.amazonaws.com": ("203.0.113.1",)}
    )
    answer = zone.answer(SERVICE)
    assert (answer.values, answer.ttl) == (("203.0.113.1",), 60)


def test_a_record_without_a_check_is_always_healthy() -> None:
    first = record(
        "w.example.com", "a", records=["192.0.2.1"], ttl=5, healthCheckId="a", weightedRoutingPolicies=[{"weight": 200}]
    )
    second = record("w.example.com", "b", records=["192.0.2.2"], ttl=5, weightedRoutingPolicies=[{"weight": 1}])
    found = resolver([first, second], "a")
    assert {found.answer("w.example.com").values for _ in range(30)} == {("192.0.2.2",)}


def test_aliases_in_a_circle_are_refused() -> None:
    with pytest.raises(SpillwayError, match=r"aliases lead in a circle: a\.example\.com -> b\.example\.com"):
        resolver(
            [
                record("a.example.com", aliases=alias("b.example.com")),
                record("b.example.com", aliases=alias("a.example.com")),
            ]
        )


# --- names ---


def test_names_types_and_wildcards() -> None:
    found = resolver(
        [
            record("www.example.com", records=["192.0.2.1"], ttl=30),
            record("\\052.apps.example.com", records=["192.0.2.2"], ttl=30),
            record("a.b.example.com", records=["192.0.2.3"], ttl=30),
            record("short.example.com", type="CNAME", records=["WWW.example.com."], ttl=5),
            record("away.example.com", type="CNAME", records=["example.net"], ttl=7),
        ],
        name_servers=["ns-1.awsdns-00.com"],
    )
    assert found.answer("WWW.Example.Com.").values == ("192.0.2.1",)
    assert found.answer("no.example.com").rcode == NXDOMAIN
    assert found.answer("b.example.com").rcode == "NOERROR"  # only on the way to another name
    assert found.answer("www.example.com", "AAAA").values == ()
    assert found.answer("x.apps.example.com").values == ("192.0.2.2",)
    assert found.answer("x.y.apps.example.com").values == ("192.0.2.2",)
    assert found.answer("x.www.example.com").rcode == NXDOMAIN  # the closest encloser has no wildcard
    short = found.answer("short.example.com")
    assert (short.values, short.lifetime) == (("192.0.2.1",), 5)
    assert found.answer("away.example.com").links[0].target == "example.net"
    assert found.answer("example.com", "NS").ttl == 172_800


# --- general rules ---


MEMBER_SETS = st.sets(st.sampled_from(sorted(MEMBERS)))
POLICIES = st.sampled_from(["failover", "weighted", "latency"])


def service(policy: str) -> list[Resource]:
    top = {"failover": chain, "latency": latency}.get(policy)
    return top() if top else weighted({"aws-us-east-1": 70, "aws-us-west-2": 29, "onprem": 1})


@settings(deadline=None)
@given(POLICIES, st.sets(st.sampled_from(sorted(OWNER))), st.sampled_from(["us-east-1", "eu-west-1", "sa-east-1"]))
def test_an_unhealthy_address_is_never_answered_while_another_is_healthy(
    policy: str, down: set[str], location: str
) -> None:
    found = resolver([*leaves(), *service(policy)], *(f"check-{address}" for address in down))
    answered = {v for _ in range(60) for v in found.answer(SERVICE, "A", location).values}
    assert answered
    if len(down) < len(OWNER):
        assert not answered & down


def exactly(group: Group, down: Down, location: str = "us-east-1") -> dict[str, float]:
    """The shares of a group's answers by address, without chance."""
    choice = group.choose(location, down.healthy, down.version)
    assert choice is not None
    ends = choice.shares or (1.0,)
    found: dict[str, float] = {}
    for outcome, end, start in zip(choice.outcomes, ends, (0.0, *ends), strict=False):
        below = exactly(outcome.target, down, location) if outcome.target else dict.fromkeys(outcome.values, 1.0)
        for address, share in below.items():
            found[address] = found.get(address, 0.0) + share * (end - start) / ends[-1]
    return found


@settings(deadline=None)
@given(st.lists(st.integers(1, 255), min_size=3, max_size=3), MEMBER_SETS)
def test_a_member_that_goes_gives_away_its_own_share_and_nobody_loses(weights: list[int], gone: set[str]) -> None:
    given_weights = dict(zip(MEMBERS, weights, strict=True))
    zone = Zone("Z1", "example.com", [*leaves(), *weighted(given_weights)])
    group, status = zone.groups[SERVICE, "A"], Down()
    before = exactly(group, status)
    status.set(*checks_of(*gone))
    after = exactly(group, status)
    assert sum(after.values()) == pytest.approx(1)
    left = [a for a, member in OWNER.items() if member not in gone]
    if left and gone:
        free = sum(before[a] for a in OWNER if a not in left)
        for address in left:  # each gets of what is free in proportion to its weight
            assert after[address] == pytest.approx(before[address] / (1 - free))
        assert set(after) == set(left)
    else:
        assert after == pytest.approx(before)


@settings(deadline=None)
@given(st.lists(st.integers(0, 255), min_size=3, max_size=3).filter(any), st.integers(0, 2**32))
def test_weights_are_met_within_the_statistical_error(weights: list[int], seed: int) -> None:
    given_weights = dict(zip(MEMBERS, weights, strict=True))
    found = shares(resolver([*leaves(), *weighted(given_weights)], seed=seed), count=1500)
    for member, weight in given_weights.items():
        share = weight / sum(weights)
        error = 5.5 * (share * (1 - share) / 1500) ** 0.5  # one in 10^7 by chance
        assert abs(found.get(member, 0) - share) <= error + 1e-9


def test_a_change_of_health_shows_in_the_very_next_answer() -> None:
    status = Down()
    found = Resolver(Zone("Z1", "example.com", [*leaves(), *chain()]), status)
    assert found.answer(SERVICE).path[0] == "primary"
    status.set(*checks_of("aws-us-east-1"))
    assert found.answer(SERVICE).path[0] == "secondary"
    status.set()
    assert found.answer(SERVICE).path[0] == "primary"


def test_the_resolver_is_fast_enough() -> None:
    from tests.bench.resolver import FLOOR, measure

    assert min(measure(0.1).values()) > FLOOR
