"""DNS on a clock: as fast as the failover budget says, and still when nothing happens."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.dns.checkers import FAILURES, Failure, detector
from infra.dns.voting import simulate
from rehearsal.dns import Clients, Connected, DnsPlay, Keeping
from rehearsal.dns.checks import MemberCheck, Vote, up_threshold
from rehearsal.regions.clock import Clock, Order
from spillway.errors import SpillwayError
from tests.rehearsal.dns_plays import (
    FIRST,
    LLM,
    SECOND,
    US,
    WELL,
    WORLDS,
    begun,
    checked,
    only,
    result,
    world,
)

# --- the failover budget


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("name", WORLDS)
def test_switches_take_no_longer_than_the_budget_says(name: str, failure: Failure) -> None:
    budget = detector(checked(name, world(name).member(FIRST).addresses), failure)
    for seed in range(6):
        clock, play = begun(name, seed)
        at = WELL + 37.0 * seed
        clock.run(at)
        play.set_member(FIRST, 0.0, failure)
        clock.run(at + 200)
        switch = only(result(play).switches, FIRST, away=True)
        assert switch.at == at
        assert switch.decided is not None
        assert switch.half is not None
        assert switch.most is not None
        assert budget.detected(switch.decided - at - 1e-6) < 1
        assert switch.decided - at <= budget.worst + 1e-6
        assert switch.decided <= switch.half <= switch.most <= at + budget.worst + budget.cache + 1e-6
        assert play.clients(LLM) == {SECOND: 1.0}


@pytest.mark.parametrize("failure", ["refused", "blackhole"])
@pytest.mark.parametrize("name", WORLDS)
def test_detection_is_spread_as_the_budget_and_the_voting_have_it(name: str, failure: Failure) -> None:
    check = replace(checked(name, 2), proxied=False, failover_across_pools=False)
    times = []
    for seed in range(250):
        clock = Clock()
        found: list[float] = []

        def note(clock: Clock = clock, found: list[float] = found) -> None:
            found.append(clock.now)

        one = MemberCheck(clock, replace(check, addresses=1), 2, str(seed), note)
        clock.run(100)
        one.show(0.0, failure, False)
        clock.run(300)
        assert not one.healthy
        times.append(found[-1] - 100)
    budget, voted = detector(check, failure), simulate(check, failure, failures=4000)
    times.sort()
    below = [budget.detected(seconds) for seconds in times]
    far = max(max(abs(share - n / 250), abs(share - (n + 1) / 250)) for n, share in enumerate(below))
    assert far < 1.95 / 250**0.5  # Kolmogorov: one in a thousand is farther
    assert times[125] == pytest.approx(voted.median, abs=1.5)
    assert times[237] == pytest.approx(voted.p95, abs=1.5)


def test_a_member_that_is_back_is_told_again_after_its_successes_in_a_row() -> None:
    for name in WORLDS:
        check = world(name).check
        clock, play = begun(name)
        play.set_member(FIRST, 0.0)
        clock.run(WELL + 500)
        play.set_member(FIRST, 1.0)
        clock.run(WELL + 1000)
        switch = only(result(play).switches, FIRST, away=False)
        assert switch.at == WELL + 500
        assert switch.decided is not None
        most = (check.interval_seconds + 2 * check.answer_seconds) * up_threshold(check)
        assert 0 < switch.decided - switch.at <= most
        assert play.clients(LLM) == {FIRST: 1.0}


def test_traffic_manager_takes_one_success_and_the_others_as_many_as_failures() -> None:
    assert [up_threshold(world(name).check) for name in WORLDS] == [2, 2, 1]


# --- quiet


@pytest.mark.parametrize("name", WORLDS)
def test_quiet_time_costs_nothing_and_nobody_flaps(name: str) -> None:
    clock, play = begun(name)
    heard: list[float] = []
    play.on_change.append(lambda: heard.append(clock.now))
    assert not clock._events
    clock.run(14 * 86400)
    assert not heard
    assert not play.log
    for one in play.results():
        assert len(one.answers) == len(one.clients) == 1
        assert one.reached == pytest.approx(1.0)
        assert not one.switches


def test_a_member_that_stays_down_or_well_is_asked_no_more() -> None:
    clock, play = begun()
    play.set_member(FIRST, 0.0)
    clock.run(WELL + 100)
    assert not clock._events
    play.set_member(FIRST, 0.75)
    clock.run(WELL + 200)
    assert clock._events
    play.set_member(FIRST, 1.0)
    clock.run(WELL + 300)
    assert not clock._events


def test_a_checker_that_slept_keeps_its_rhythm() -> None:
    def decided(wake: bool) -> float:
        clock, play = begun()
        if wake:  # a moment that no probe falls into, or that one passing probe makes good again
            play.set_member(FIRST, 0.9999999)
            play.set_member(FIRST, 1.0)
        clock.run(WELL + 5000)
        play.set_member(FIRST, 0.0)
        clock.run(WELL + 5100)
        found = only(result(play).switches, FIRST, away=True).decided
        assert found is not None
        return found

    assert decided(wake=True) == pytest.approx(decided(wake=False), abs=1e-6)


def test_a_node_that_fails_until_its_balancer_sees_it_does_not_cost_the_member_its_clients() -> None:
    for name in ("global", "global-cloudflare"):
        clock, play = begun(name)
        for _ in range(20):
            play.set_member(FIRST, 2 / 3)
            clock.run(clock.now + 20)
            play.set_member(FIRST, 1.0)
            clock.run(clock.now + 600)
        assert play.answers(LLM) == {FIRST: 1.0}
        assert not result(play).switches
        assert result(play).reached == pytest.approx(1 - 20 * 20 / 3 / clock.now)


# --- what never is otherwise


Act = tuple[float, str, int, float]
acts = st.lists(
    st.tuples(
        st.sampled_from([0.0, 0.5, 3.0, 11.0, 40.0, 300.0]),
        st.sampled_from(["set", "hole", "blind", "silent", "down"]),
        st.integers(0, 4),
        st.sampled_from([0.0, 0.5, 1.0]),
    ),
    max_size=12,
)
kept = st.sampled_from(
    [
        None,
        Clients(stale=0.3),
        Clients(keeping=(Keeping(0.1, 120, "s"), Connected(0.4, 90, "s"))),
        Clients(keeping=(Connected(1.0, 30, "s"),), stale=1.0),
    ]
)


def act(play: DnsPlay, what: str, member: str, share: float) -> None:
    if what == "set":
        play.set_member(member, share)
    elif what == "hole":
        play.blackhole(member, share < 1)
    elif what == "down":
        play.provider_down(share < 1)
    else:
        play.blind(share < 1, silent=what == "silent")


def play_out(name: str, table: Sequence[Act], clients: Clients | None, seed: int = 0) -> tuple[Clock, DnsPlay]:
    clock = Clock()
    play = DnsPlay(clock, world(name), seed=seed, clients=clients)
    names = [member.name for member in world(name).members]
    at = 0.0
    for wait, what, number, share in table:
        at += wait
        clock.at(at, Order.SCENARIO, partial(act, play, what, names[number], share))
    clock.run(at + 900)
    return clock, play


@given(st.sampled_from(WORLDS), acts, kept)
@settings(max_examples=60, deadline=None)
def test_shares_sum_to_one_or_to_nothing(name: str, table: list[Act], clients: Clients | None) -> None:
    _, play = play_out(name, table, clients)
    down = any(what == "down" for _, what, _, _ in table)
    for one in play.results():
        assert 0 <= one.reached <= 1 + 1e-9
        for _, shares in one.answers:
            assert sum(shares.values()) == pytest.approx(1.0) or (down and not shares)
            assert all(share > 0 for share in shares.values())
        for _, shares in one.clients:
            total = sum(shares.values())
            assert total == pytest.approx(1.0) or (down and total <= 1 + 1e-9)
            assert all(share > -1e-12 for share in shares.values())
        for series in (one.answers, one.clients):
            assert all(before[0] < after[0] for before, after in pairwise(series))
            assert all(before[1] != after[1] for before, after in pairwise(series))
        for switch in one.switches:
            assert switch.decided is None or switch.decided >= switch.at
            assert switch.half is None or switch.half >= switch.at
            assert switch.most is None or (switch.half is not None and switch.most >= switch.half - 1e-9)


@given(st.sampled_from(WORLDS), acts, kept)
@settings(max_examples=30, deadline=None)
def test_the_same_calls_have_the_same_results(name: str, table: list[Act], clients: Clients | None) -> None:
    assert play_out(name, table, clients)[1].results() == play_out(name, table, clients)[1].results()


@given(st.sampled_from(WORLDS), acts)
@settings(max_examples=30, deadline=None)
def test_in_the_end_clients_are_where_answers_send_them(name: str, table: list[Act]) -> None:
    # Nobody answers in part in the end: such members are taken in and out for ever.
    settled = [*table, *((0.0, "set", number, float(number % 2)) for number in range(5))]
    _, play = play_out(name, settled, None)
    for service in (LLM, US):
        told = play.answers(service)
        if told:
            assert play.clients(service) == pytest.approx(told)


def test_what_happens_at_one_time_has_one_outcome_whatever_its_order() -> None:
    def out(order: Sequence[str]) -> Any:
        clock, play = begun()
        for member in order:
            clock.at(WELL + 10, Order.READY, partial(play.set_member, member, 0.0))
        clock.run(WELL + 500)
        return play.results()

    assert out((FIRST, SECOND)) == out((SECOND, FIRST))


def test_at_one_time_the_last_word_holds() -> None:
    clock, play = begun()
    play.set_member(FIRST, 0.0)
    play.set_member(FIRST, 1.0)
    clock.run(WELL + 500)
    assert play.answers(LLM) == {FIRST: 1.0}
    assert result(play).reached == 1.0


def test_what_is_so_from_the_begin_is_known_to_the_provider() -> None:
    clock = Clock()
    play = DnsPlay(clock, world())
    play.set_member(FIRST, 0.0)
    assert play.answers(LLM) == play.clients(LLM) == {SECOND: 1.0}
    clock.run(100)
    assert len(result(play).answers) == 1
    assert not play.log[1:]


# --- voting, and what is refused


@given(st.integers(1, 4), st.integers(1, 4), st.randoms(use_true_random=False))
def test_votes_are_counted_as_groups_of_groups(of: int, outer: int, chance: random.Random) -> None:
    from infra.dns.checkers import Quorum

    quorums = (Quorum(of, chance.randint(1, of)), Quorum(outer, chance.randint(1, outer)))
    vote, down = Vote(quorums), [False] * (of * outer)
    for _ in range(60):
        voter = chance.randrange(len(down))
        down[voter] = not down[voter]
        before = vote.down
        changed = vote.tell(voter, down[voter])
        groups = [sum(down[n * of : (n + 1) * of]) >= quorums[0].needed for n in range(outer)]
        assert vote.down == (sum(groups) >= quorums[1].needed)
        assert changed == (vote.down != before)


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda play: play.set_member("aws-us-east-2", 1), r"no such member \(did you mean aws-us-east-1\?\); has "),
        (lambda play: play.set_member(FIRST, 1.5), "answering = 1.5: has to be 0 to 1"),
        (lambda play: play.set_member(FIRST, 0.0, "tired"), "failure = tired: has to be one of refused"),
        (lambda play: play.blackhole("mars", True), "no such member"),
        (lambda play: play.clients("llm.example.org"), "no such service"),
    ],
)
def test_what_there_is_not_is_refused_in_one_line(call: Callable[[DnsPlay], object], told: str) -> None:
    with pytest.raises(SpillwayError, match=told) as caught:
        call(begun()[1])
    assert len(caught.value.lines) == 1
