"""Who fails, and how: members, checkers, name servers, and what a proxy makes of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from infra.dns.checkers import FAILURES, Failure
from rehearsal.dns import Clients, DnsPlay
from rehearsal.regions.clock import Clock
from tests.rehearsal.dns_plays import (
    FIRST,
    LAST,
    LLM,
    SECOND,
    US,
    WELL,
    begun,
    only,
    result,
    world,
)


@pytest.mark.parametrize("name", ["global", "global-traffic-manager"])
def test_blind_checkers_leave_the_first_tier_to_answer(name: str) -> None:
    clock, play = begun(name)
    play.blind(True, "a fault of the checkers")
    clock.run(WELL + 600)
    assert not play.healthy(FIRST)
    assert play.answers(LLM) == {FIRST: 1.0}
    assert play.answers(US)[FIRST] == pytest.approx(0.8)
    assert (WELL, play.provider, "checkers are blind", "a fault of the checkers") in play.log
    play.set_member(FIRST, 0.0)  # nobody sees it now
    clock.run(WELL + 1200)
    assert play.clients(LLM) == {FIRST: 1.0}
    play.blind(False)
    clock.run(WELL + 1800)
    assert play.clients(LLM) == {SECOND: 1.0}


def test_blind_checkers_leave_cloudflares_fallback_pool() -> None:
    clock, play = begun("global-cloudflare")
    play.blind(True)
    clock.run(WELL + 600)
    assert play.clients(LLM) == play.clients(US) == {LAST: 1.0}
    assert {one.member for one in result(play).switches} == {FIRST}
    play.blind(False)
    clock.run(WELL + 1200)
    assert play.clients(LLM) == {FIRST: 1.0}


def test_checkers_that_report_nothing_leave_everything_as_it_was() -> None:
    clock, play = begun()
    play.set_member(FIRST, 0.0)
    clock.run(WELL + 100)
    play.blind(True, silent=True)
    play.set_member(FIRST, 1.0)
    play.set_member(SECOND, 0.0)
    clock.run(WELL + 1000)
    assert play.clients(LLM) == {SECOND: 1.0}
    play.blind(False)
    clock.run(WELL + 1100)
    assert play.clients(LLM) == {FIRST: 1.0}
    assert not play.healthy(SECOND)


def test_without_name_servers_clients_go_on_until_their_caches_end() -> None:
    clock, play = begun()
    play.provider_down(True)
    clock.run(WELL + 5)
    assert play.answers(LLM) == {}
    assert 0.4 < play.clients(LLM)[FIRST] < 0.6
    clock.run(WELL + 11)
    assert play.clients(LLM) == {}
    play.provider_down(False)
    clock.run(WELL + 30)
    assert play.clients(LLM) == play.answers(LLM) == {FIRST: 1.0}
    assert not result(play).switches


def test_resolvers_that_serve_stale_answers_go_on_without_name_servers() -> None:
    clock, play = begun(clients=Clients(stale=0.25))
    play.provider_down(True)
    clock.run(WELL + 100)
    assert play.clients(LLM) == pytest.approx({FIRST: 0.25})
    play.set_member(FIRST, 0.0)  # and nobody tells them
    clock.run(WELL + 200)
    assert play.clients(LLM) == pytest.approx({FIRST: 0.25})


def test_a_proxied_names_own_addresses_are_kept_for_five_minutes() -> None:
    clock, play = begun("global-cloudflare")
    play.provider_down(True)
    play.set_member(FIRST, 0.0)
    clock.run(WELL + 150)
    assert set(play.clients(LLM)) == {SECOND}  # the proxies go on steering
    assert play.clients(LLM)[SECOND] == pytest.approx(0.5, abs=0.06)
    clock.run(WELL + 301)
    assert play.clients(LLM) == {}


def test_a_proxy_tries_what_is_refused_elsewhere_and_leaves_an_error_to_the_checks() -> None:
    quick = replace(world("global-cloudflare").members[0], addresses=1)
    over = replace(world("global-cloudflare"), members=(quick, *world("global-cloudflare").members[1:]))
    assert quick.name == FIRST
    times: dict[Failure, float] = {}
    for failure in FAILURES:
        clock = Clock()
        play = DnsPlay(clock, over)
        clock.run(WELL)
        play.set_member(FIRST, 0.0, failure)
        clock.run(WELL + 100)
        switch = only(result(play).switches, FIRST, away=True)
        assert switch.most is not None
        times[failure] = switch.most - WELL
    assert times["refused"] == pytest.approx(0.1)
    assert times["blackhole"] <= 19
    assert times["error"] > 10
    assert times["hang"] > 10


def test_a_proxy_tries_only_those_requests_elsewhere_that_fail() -> None:
    quick = replace(world("global-cloudflare").members[0], addresses=1)
    over = replace(world("global-cloudflare"), members=(quick, *world("global-cloudflare").members[1:]))
    clock = Clock()
    play = DnsPlay(clock, over)
    clock.run(WELL)
    play.set_member(FIRST, 0.75, "refused")
    clock.run(WELL + 1)
    assert play.clients(LLM) == pytest.approx({FIRST: 0.75, SECOND: 0.25})
    play.set_member(FIRST, 1.0)
    clock.run(WELL + 2)
    assert play.clients(LLM) == {FIRST: 1.0}


def test_a_black_hole_is_one_until_it_ends_whatever_the_member_does() -> None:
    clock, play = begun()
    play.blackhole(FIRST, True)
    clock.run(WELL + 60)
    play.set_member(FIRST, 0.5)
    play.set_member(FIRST, 1.0)
    clock.run(WELL + 600)
    assert play.clients(LLM) == {SECOND: 1.0}
    play.blackhole(FIRST, False)
    clock.run(WELL + 700)
    assert play.clients(LLM) == {FIRST: 1.0}
    away, back = result(play).switches
    assert (away.at, back.at) == (WELL, WELL + 600)


def test_members_that_stand_in_do_not_switch() -> None:
    clock, play = begun()
    play.set_member(FIRST, 0.0)
    clock.run(WELL + 300)
    play.set_member(FIRST, 1.0)
    clock.run(WELL + 600)
    assert {one.member for one in result(play).switches} == {FIRST}
    assert {one.member for one in result(play, US).switches} == {FIRST}


def test_an_outage_that_ends_before_it_is_seen_switches_nothing() -> None:
    clock, play = begun()
    play.set_member(FIRST, 0.0)
    clock.run(WELL + 5)
    play.set_member(FIRST, 1.0)
    clock.run(WELL + 600)
    (switch,) = result(play).switches
    assert (switch.at, switch.away) == (WELL, True)
    assert switch.decided is switch.half is switch.most is None
    assert result(play).reached == pytest.approx(1 - 5 / (WELL + 600))
