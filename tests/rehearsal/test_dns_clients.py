"""Where clients go while answers change, and what they keep."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from rehearsal.dns import Clients, Connected, DnsPlay, Keeping
from rehearsal.regions.clock import Clock
from spillway.errors import SpillwayError
from tests.rehearsal.dns_plays import (
    FIRST,
    LLM,
    SECOND,
    SITE,
    WELL,
    begun,
    only,
    result,
    world,
)


def test_clients_follow_an_answer_over_one_ttl() -> None:
    clock, play = begun()
    heard: list[tuple[float, float]] = []
    play.on_change.append(lambda: heard.append((clock.now, play.clients(LLM).get(FIRST, 0.0))))
    play.set_member(FIRST, 0.0)
    clock.run(WELL + 200)
    switch = only(result(play).switches, FIRST, away=True)
    assert switch.decided is not None
    assert switch.half == pytest.approx(switch.decided + 5)
    assert switch.most == pytest.approx(switch.decided + 9.5)
    at = [time - switch.decided for time, _ in heard]
    assert at[0] == 0
    assert max(at) == pytest.approx(10)
    assert [share for _, share in heard] == sorted((share for _, share in heard), reverse=True)
    lost = WELL + 200 - WELL  # of which nobody was reached until the answer changed, and half of the TTL
    unreached = (switch.decided - WELL) + 5
    assert result(play).reached == pytest.approx((WELL + lost - unreached) / (WELL + lost), abs=1e-6)


def test_clients_that_keep_answers_stay_for_as_long_as_they_do() -> None:
    clock, play = begun(clients=Clients(keeping=(Keeping(0.2, 300, "a measurement"),)))
    play.set_member(FIRST, 0.0)
    clock.run(WELL + 60)
    assert play.clients(LLM)[FIRST] == pytest.approx(0.2 * (1 - 40 / 300), abs=0.02)
    clock.run(WELL + 400)
    assert play.clients(LLM) == pytest.approx({SECOND: 1.0})


def test_connections_stay_while_their_member_answers_and_break_with_it() -> None:
    held = Clients(keeping=(Connected(0.5, 600, "keep-alive of the gateway"),))
    clock, play = begun(clients=held)
    play.set_member(FIRST, 0.0)
    clock.run(WELL + 120)
    assert play.clients(LLM) == pytest.approx({SECOND: 1.0})  # broken: by the TTL, as all others
    play.set_member(FIRST, 1.0)
    clock.run(WELL + 150)
    back = play.clients(LLM)
    assert back[SECOND] == pytest.approx(0.5, abs=0.03)  # nothing breaks, so connections end by themselves
    clock.run(WELL + 150 + 600)
    assert play.clients(LLM)[SECOND] == pytest.approx(0.5 / 2.718, abs=0.04)
    clock.run(WELL + 150 + 6000)
    assert play.clients(LLM).get(SECOND, 0.0) < 0.01
    assert not clock._events


def test_part_of_the_connections_break_with_part_of_the_nodes() -> None:
    clock, play = begun(clients=Clients(keeping=(Connected(1.0, 3600, "s"),)))
    play.set_member(FIRST, 0.0)
    clock.run(WELL + 100)
    play.set_member(FIRST, 1.0)
    clock.run(WELL + 130)
    play.set_member(SECOND, 0.5)
    clock.run(WELL + 131)
    assert play.clients(LLM)[SECOND] == pytest.approx(0.5, abs=0.02)


def test_a_member_that_a_client_has_in_its_cache_is_tried_until_the_ttl_ends() -> None:
    clock, play = begun(clients=Clients(keeping=(Connected(1.0, 3600, "s"),)))
    play.set_member(FIRST, 0.0)
    decided = None
    while decided is None:
        clock.run(clock.now + 0.5)
        decided = clock.now if play.answers(LLM) != {FIRST: 1.0} else None
        if decided is None:
            assert play.clients(LLM) == pytest.approx({FIRST: 1.0})
    clock.run(decided + 5)
    assert 0.3 < play.clients(LLM)[FIRST] < 0.7
    clock.run(decided + 11)
    assert play.clients(LLM) == pytest.approx({SECOND: 1.0})


def test_clients_are_where_they_are_said_to_be() -> None:
    near = replace(
        world().services[1], policy="latency",
        tiers=(
            replace(
                world().services[1].tiers[0], choice="latency",
                places=tuple(
                    replace(world().services[1].tiers[0].places[0], member=name, latency_region=region)
                    for name, region in ((FIRST, "us-east-1"), (SITE, "eu-central-1"))
                ),
            ),
        ),
    )  # fmt: skip
    over = replace(world(), services=(near,))
    play = DnsPlay(Clock(), over)
    assert play.clients(LLM) == {FIRST: 0.5, SITE: 0.5}
    asked = DnsPlay(Clock(), over, clients=Clients(where={"us-west-2": 3, "eu-west-1": 1}))
    assert asked.clients(LLM) == {FIRST: 0.75, SITE: 0.25}


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: Clients(stale=2), "clients: stale = 2: has to be 0 to 1"),
        (lambda: Clients(keeping=(Keeping(-1, 5, "s"),)), "keeping[0].share = -1: has to be 0 to 1"),
        (lambda: Clients(keeping=(Keeping(0.5, 0, "s"),)), "keeping[0].seconds = 0: has to be above 0"),
        (lambda: Clients(keeping=(Keeping(0.5, 5, ""),)), "has to say where the figures are from"),
        (lambda: Clients(keeping=(Keeping(0.5, 5, "s"), Connected(0.6, 5, "s"))), "sum to 1.1"),
        (lambda: Clients(where={"us-east-1": 0}), "a share above 0"),
        (lambda: Clients(where={"us-east-1": -1}), "where.us-east-1 = -1: has to be 0 or more"),
    ],
)
def test_clients_that_mean_nothing_are_refused(make: Callable[[], Clients], told: str) -> None:
    with pytest.raises(SpillwayError) as caught:
        make()
    assert any(told in line for line in caught.value.lines)
