"""From one stack file to another in Route 53: no moment on the way that it refuses, or that sends clients astray.

The engine creates and updates first, each record after those that it leads to and otherwise in any order; then it
deletes, each record before those that it leads to.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from sandbox.aws import route53_sets
from tests.support.global_plans import (
    POLICIES,
    RESIDENCIES,
    ZONE,
    Down,
    Drawn,
    Wanted,
    answering,
    down,
    inputs,
    resolver,
    stands,
    stored,
    wanted,
)

fast = settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)

Records = dict[tuple[str, str], Mapping[str, Any]]


def records(wanted: Wanted) -> Records:
    """By name and set identifier, which are a record's identity for the engine, too."""
    return {(a.name, a.set or ""): inputs(a, wanted.ttl) for a in wanted.answers()}


def targets(found: Mapping[str, Any]) -> set[str]:
    return {entry["name"] for entry in found.get("aliases", ())}


def moments(old: Records, new: Records, chance: random.Random) -> Iterator[Records]:
    """Every state on the way, in an order of the engine's. Fails where Route 53 would refuse a step."""
    state = dict(old)
    waiting = list(new)
    while waiting:
        ready = [key for key in waiting if not targets(new[key]) & {other for other, _ in waiting}]
        key = chance.choice(ready)
        waiting.remove(key)
        if state.get(key) == new[key]:
            continue
        others = [stored(found) for other, found in state.items() if other != key]
        faults = list(route53_sets.neighbour_faults(stored(new[key]), others, ZONE))
        assert not faults, faults
        assert targets(new[key]) <= {name for name, _ in state}
        state[key] = new[key]
        yield state
    gone = [key for key in old if key not in new]
    while gone:
        ready = [key for key in gone if not any(key[0] in targets(old[other]) for other in gone)]
        key = chance.choice(ready)
        gone.remove(key)
        del state[key]
        left = {name for name, _ in state}
        assert all(targets(found) <= left for found in state.values()), f"an alias to {key[0]}, which is gone"
        yield state
    assert state == new


def changed(before: Wanted, *, policy: bool = True) -> st.SearchStrategy[Wanted]:
    """The same stack file after some edits, of its policy too."""

    def edit(member: Drawn) -> st.SearchStrategy[Drawn]:
        kept = st.just(member)
        return st.one_of(
            kept,
            kept,
            st.just(replace(member, drain=not member.drain)),
            st.sampled_from([0, 1, 100]).map(lambda weight: replace(member, weight=weight)),
            st.integers(1, 4).map(lambda priority: replace(member, priority=priority)),
            st.integers(1, 8).map(lambda addresses: replace(member, addresses=addresses)),
            st.just(replace(member, degraded=not member.degraded)),
        )

    members = st.tuples(*(edit(member) for member in before.members)).flatmap(
        lambda kept: st.sampled_from([kept, kept, kept, kept[1:], kept[:-1], kept[::-1]])
    )
    newcomer = st.builds(Drawn, number=st.just(9), addresses=st.integers(1, 3), residency=st.sampled_from(RESIDENCIES))
    joined = st.tuples(members, newcomer, st.integers(0, 6)).map(lambda t: (*t[0][: t[2]], t[1], *t[0][t[2] :]))
    return st.builds(
        Wanted,
        members=members | joined,
        policy=st.sampled_from([before.policy, before.policy, *(POLICIES if policy else ())]),
        residency=st.sampled_from([before.residency, before.residency, None]),
        ranked=st.sampled_from([before.ranked, before.ranked, before.ranked != policy]),
        ttl=st.sampled_from([before.ttl, before.ttl, 10, 30]),
    ).filter(lambda after: bool(after.members) and stands(after))


edits = wanted().flatmap(lambda before: st.tuples(st.just(before), changed(before)))
reranked = wanted(["priority"], ranked=True).flatmap(
    lambda before: st.tuples(st.just(before), changed(before, policy=False))
)


@fast
@given(edits, down, st.integers())
def test_on_the_way_between_two_stack_files_nothing_is_refused_and_whoever_stays_and_is_healthy_is_found(
    edit: tuple[Wanted, Wanted], ill: set[str], seed: int
) -> None:
    before, after = edit
    was = {place.name for place in before.service().places}
    will = {place.name for place in after.service().places}
    people = (*before.members, *after.members)
    for state in moments(records(before), records(after), random.Random(seed)):
        found = set(answering(resolver(state.values(), Down(ill)), people, times=12))
        assert found <= was | will, "whoever answers is in one of the two files"
        if (was & will) - ill:
            assert not found & ill


@settings(fast, max_examples=80)
@given(reranked, down, st.integers())
def test_on_the_way_no_tier_that_stays_is_passed_over(edit: tuple[Wanted, Wanted], ill: set[str], seed: int) -> None:
    """A member that keeps its rank and is healthy answers before all of lower rank, at any moment."""
    before, after = edit

    def ranks(wanted: Wanted) -> dict[str, tuple[bool, int]]:
        found = {m.name: (m.degraded, 0 if m.degraded else m.priority) for m in wanted.members}
        return {place.name: found[place.name] for place in wanted.service().places}

    was, will = ranks(before), ranks(after)
    stays = [rank for name, rank in was.items() if will.get(name) == rank and name not in ill]
    assume(stays)
    people = (*before.members, *after.members)
    for state in moments(records(before), records(after), random.Random(seed)):
        for name in answering(resolver(state.values(), Down(ill)), people, times=12):
            assert min(ranks[name] for ranks in (was, will) if name in ranks) <= min(stays)


@pytest.mark.parametrize("seed", range(8))
def test_a_canary_that_joins_or_leaves_never_gets_more_than_the_larger_of_its_shares(seed: int) -> None:
    alone = Wanted((Drawn(0, weight=90), Drawn(1, weight=10, drain=True)), "weighted")
    both = replace(alone, members=(Drawn(0, weight=90), Drawn(1, weight=10)))
    for before, after in ((alone, both), (both, alone)):
        for state in moments(records(before), records(after), random.Random(seed)):
            found = answering(resolver(state.values()), both.members, times=2000)
            assert found["m1"] <= 0.1 * 2000 + 5 * (2000 * 0.09) ** 0.5


@pytest.mark.parametrize("alive", range(4))
@pytest.mark.parametrize("changes", range(4))
def test_draining_a_tier_or_bringing_it_back_passes_over_no_other_one(changes: int, alive: int) -> None:
    """The likeliest edit of all, in the midst of an outage: the first choice is dead, and somebody drains it."""
    members = tuple(Drawn(i, priority=i + 1) for i in range(4))
    full = Wanted(members)
    drained = replace(full, members=tuple(replace(m, drain=m.number == changes) for m in members))
    ill = {m.name for m in members if m.number != alive}
    for before, after in ((full, drained), (drained, full)):
        for seed in range(12):
            for state in moments(records(before), records(after), random.Random(seed)):
                found = answering(resolver(state.values(), Down(ill)), members, times=1)
                if alive != changes:
                    assert set(found) == {f"m{alive}"}
