"""A plan's records in Route 53, asked through the stand-in's resolver: who answers, whatever is unhealthy."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from infra.dns.route53 import answers
from sandbox.aws import route53_sets
from sandbox.dns.geography import round_trip_ms
from tests.support.global_plans import (
    LOCATIONS,
    SERVICE,
    ZONE,
    Down,
    Drawn,
    Wanted,
    answering,
    asked,
    down,
    fleets,
    inputs,
    stands,
    stored,
    wanted,
)

fast = settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)


@fast
@given(wanted(), down, st.sampled_from(LOCATIONS))
def test_an_unhealthy_member_is_never_answered_while_another_that_may_answer_is_healthy(
    wanted: Wanted, ill: set[str], location: str
) -> None:
    admitted = {place.name for place in wanted.service().places}
    found = answering(asked(wanted, Down(ill)), wanted.members, location)
    assert set(found) <= (admitted - ill or admitted)


@fast
@given(wanted(), st.data())
def test_a_member_answers_while_one_of_its_addresses_is_healthy_and_then_with_that_one(
    wanted: Wanted, data: st.DataObject
) -> None:
    addresses = [a for place in wanted.service().places for a in place.endpoint.addresses]
    (alive,) = data.draw(st.lists(st.sampled_from(addresses), min_size=1, max_size=1))
    state = Down(addresses=set(addresses) - {alive})
    assert {asked(wanted, state).answer(SERVICE, location=at).values for at in LOCATIONS} == {(alive,)}


@fast
@given(wanted(), down, st.sampled_from(LOCATIONS))
def test_a_tier_answers_only_when_every_tier_before_it_is_down(wanted: Wanted, ill: set[str], location: str) -> None:
    tiers = [{place.name for place in tier.places} for tier in wanted.service().tiers]
    first = next((tier - ill for tier in tiers if tier - ill), None)
    found = answering(asked(wanted, Down(ill)), wanted.members, location)
    if first is not None:
        assert set(found) <= first


@fast
@given(wanted(), down, st.sampled_from(LOCATIONS))
def test_residency_holds_whatever_is_unhealthy_and_when_everything_is(
    wanted: Wanted, ill: set[str], location: str
) -> None:
    assume(wanted.residency is not None)
    for state in (ill, {m.name for m in wanted.members}):
        found = answering(asked(wanted, Down(state)), wanted.members, location)
        assert {wanted[name].residency for name in found} == {wanted.residency}


@fast
@given(wanted(), st.sampled_from(LOCATIONS))
def test_when_everything_is_unhealthy_somebody_who_may_answer_does(wanted: Wanted, location: str) -> None:
    admitted = {place.name for place in wanted.service().places}
    found = answering(asked(wanted, Down({m.name for m in wanted.members})), wanted.members, location)
    assert set(found) <= admitted


@fast
@given(wanted(), down)
def test_weight_0_answers_only_when_nobody_else_of_its_rank_is_healthy(wanted: Wanted, ill: set[str]) -> None:
    assume(wanted.policy != "latency")
    found = answering(asked(wanted, Down(ill)), wanted.members)
    for tier in wanted.service().tiers:
        alive = [place for place in tier.places if place.name not in ill]
        if any(place.weight for place in alive):
            assert not {place.name for place in alive if place.weight == 0} & set(found)


@fast
@given(fleets(), down, st.sampled_from(LOCATIONS))
def test_latency_answers_with_the_nearest_healthy_member(
    members: tuple[Drawn, ...], ill: set[str], location: str
) -> None:
    wanted = Wanted(tuple(replace(m, degraded=False, drain=False) for m in members), "latency", ranked=False)
    alive = [m for m in wanted.members if m.name not in ill] or list(wanted.members)
    nearest = min(round_trip_ms(location, m.nearest) for m in alive)
    found = answering(asked(wanted, Down(ill)), wanted.members, location)
    assert {round_trip_ms(location, wanted[name].nearest) for name in found} == {nearest}


# Statistics: a share p of n answers lies within 5 standard deviations, which one test in a million misses by chance.
ANSWERS = 20_000


def close(found: int, share: float, answers: int = ANSWERS) -> bool:
    return bool(abs(found - share * answers) <= 5 * (answers * share * (1 - share)) ** 0.5 + 1e-9)


@settings(max_examples=12, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from([1, 5, 10, 90, 255]), st.sampled_from([1, 2, 4, 8])), min_size=1, max_size=5),
    st.sets(st.integers(0, 4), max_size=2),
)
def test_weights_are_met_however_many_addresses_a_member_has_and_however_many_of_them_are_down(
    members: list[tuple[int, int]], ill: set[int]
) -> None:
    drawn = tuple(Drawn(i, addresses=a, weight=w) for i, (w, a) in enumerate(members))
    alive = [m for m in drawn if m.number not in ill]
    assume(alive)
    # A member that loses all addresses but one keeps its share.
    halved = {a for m in drawn for a in m.endpoint.addresses[1:] if m.number % 2}
    state = Down({f"m{i}" for i in ill}, halved)
    found = answering(asked(Wanted(drawn, "weighted"), state), drawn, times=ANSWERS)
    whole = sum(m.weight for m in alive)
    for m in alive:
        assert close(found[m.name], m.weight / whole), (m, found)


def test_one_address_does_not_weigh_less_than_four() -> None:
    members = (Drawn(0, addresses=4, weight=50), Drawn(1, addresses=1, weight=50))
    found = answering(asked(Wanted(members, "weighted")), members, times=ANSWERS)
    assert close(found["m0"], 0.5)


def test_a_canary_of_ten_percent_gets_ten_percent() -> None:
    members = (Drawn(0, addresses=3, weight=90), Drawn(1, addresses=2, weight=10))
    found = answering(asked(Wanted(members, "weighted")), members, times=ANSWERS)
    assert close(found["m1"], 0.1)


def test_the_addresses_of_a_member_share_what_it_gets() -> None:
    asking = asked(Wanted((Drawn(0, addresses=4),), "weighted"))
    found = Counter(asking.answer(SERVICE).values[0] for _ in range(ANSWERS))
    assert len(found) == 4
    assert all(close(count, 0.25) for count in found.values())


def test_members_of_one_region_share_what_is_nearest_by_weight() -> None:
    members = (Drawn(0, weight=75, nearest="eu-central-1"), Drawn(1, weight=25, nearest="eu-central-1"), Drawn(2))
    found = answering(asked(Wanted(members, "latency")), members, "eu-west-1", ANSWERS)
    assert set(found) == {"m0", "m1"}
    assert close(found["m0"], 0.75)


@settings(max_examples=8, deadline=None)
@given(fleets(5), st.sampled_from(["drain", "leave", "fail"]))
def test_removing_a_member_moves_only_its_own_share(members: tuple[Drawn, ...], how: str) -> None:
    """The others keep their shares in proportion."""
    drawn = tuple(replace(m, drain=False, degraded=False) for m in members)
    before = Wanted(drawn, "weighted")
    gone, *rest = drawn
    changed = {"drain": (replace(gone, drain=True), *rest), "leave": tuple(rest), "fail": drawn}[how]
    after = replace(before, members=changed)
    assume(stands(before) and rest and any(m.weight for m in rest) and stands(after))
    state = Down({gone.name} if how == "fail" else ())
    was = answering(asked(before), drawn, times=ANSWERS)
    now = answering(asked(after, state, seed=1), drawn, times=ANSWERS)
    assert now[gone.name] == 0
    whole = sum(m.weight for m in rest)
    for m in rest:
        assert close(now[m.name], m.weight / whole)
        if was[m.name] > 100:
            assert close(was[m.name], m.weight / (whole + gone.weight))


@pytest.mark.parametrize("policy", ["priority", "latency"])
def test_removing_a_member_moves_nobody_who_was_not_sent_to_it(policy: str) -> None:
    members = tuple(
        Drawn(i, priority=i + 1, nearest=near) for i, near in enumerate(["us-east-1", "eu-central-1", "sa-east-1"])
    )
    before = Wanted(members, policy)
    for gone in members:
        after = replace(before, members=tuple(replace(m, drain=m is gone) for m in members))
        for location in LOCATIONS:
            (was,) = answering(asked(before), members, location)
            (now,) = answering(asked(after), members, location)
            assert now != gone.name
            assert was in (now, gone.name)


# What Route 53 takes: https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/DomainNameFormat.html

LONG = "a23456789-b23456789-c23456789-d2"


@fast
@given(wanted())
def test_set_identifiers_are_unique_and_every_record_stands_beside_the_others(wanted: Wanted) -> None:
    placed: list[route53_sets.RecordSet] = []
    for answer in wanted.answers():
        found = stored(inputs(answer, wanted.ttl))
        assert found.key not in {other.key for other in placed}
        assert list(route53_sets.zone_faults(found, ZONE)) == []
        assert list(route53_sets.neighbour_faults(found, placed, ZONE)) == []
        assert len(found.set_identifier) <= 128
        if found.alias is not None:
            assert found.alias.name in {other.name for other in placed}, "targets come before aliases to them"
        placed.append(found)


@fast
@given(wanted())
def test_every_record_is_reached_from_the_service_name_and_every_address_has_its_own_check(wanted: Wanted) -> None:
    answers = wanted.answers()
    reached, names = set(), {SERVICE}
    while names:
        reached |= names
        names = {a.alias for a in answers if a.name in names and a.alias} - reached
    assert {a.name for a in answers} == reached
    checked = [inputs(a, wanted.ttl)["healthCheckId"] for a in answers if a.address]
    assert len(set(checked)) == len(checked)


@pytest.mark.parametrize("policy", ["priority", "weighted", "latency"])
def test_names_of_the_longest_service_and_member_are_names_that_dns_takes(policy: str) -> None:
    from infra.dns.checks import LONGEST_PREFIX, MAX_NAME

    room = MAX_NAME - LONGEST_PREFIX - len(f".{ZONE}")
    labels = [("s" * 61), ("t" * 61), ("u" * 61)]
    rest = room - sum(len(label) + 1 for label in labels)
    name = ".".join([*labels, "v" * rest, ZONE])
    assert len(name) == MAX_NAME - LONGEST_PREFIX
    members = tuple(Drawn(i, priority=98 + i, degraded=i > 1) for i in range(4))
    service = Wanted(members, policy).service()
    longest = {m.name: f"{LONG[:-1]}{m.number}" for m in members}
    tiers = tuple(
        replace(tier, places=tuple(replace(place, name=longest[place.name]) for place in tier.places))
        for tier in service.tiers
    )
    found = answers(replace(service, name=name, tiers=tiers), 3600)
    assert max(len(answer.name) for answer in found) == MAX_NAME
    assert all(len(label) <= 63 for answer in found for label in answer.name.split("."))
