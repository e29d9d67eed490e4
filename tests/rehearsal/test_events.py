"""What a scenario's events do: to capacities and prices beforehand, to regions and DNS on the clock; and overlaps."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rehearsal import events
from rehearsal.events import Timed
from rehearsal.fleet_play import FleetPlay
from rehearsal.regions import Clock
from rehearsal.scenario import Event
from tests.rehearsal.scenarios import fleet, happens, made, played, supplied

HOUR = 3600.0
GCP, AWS = ("gcp-us-central1",), ("aws-us-east-1",)
BEGIN = 600.0
"""Seconds from midnight to second 0."""


def clock_at(hour: float) -> float:
    """Seconds at an hour of day 1."""
    return hour * HOUR - BEGIN


def event(what: str, at: str = "12:00", **keys: Any) -> dict[str, Any]:
    return {"at": f"day 1 {at}", "what": what} | {key.rstrip("_"): value for key, value in keys.items()}


def capacity(zone: str, *told: dict[str, Any]) -> list[tuple[float, int]]:
    one = made(events=list(told))
    found = supplied(one, GCP)
    return events.capacities(found.regions[GCP[0]], happens(one, found))[zone]


def value_at(series: list[tuple[float, int]], second: float) -> int:
    return next(count for at, count in reversed(series) if at <= second)


def ready(play: FleetPlay, stack: str, second: float) -> tuple[int, int]:
    """Spot and on demand that serve."""
    level = next(level for level in reversed(play.plays[stack].nodes.levels) if level.at <= second)
    return level.spot, level.on_demand


def test_a_limit_holds_from_its_first_second_to_the_one_before_its_end() -> None:
    plain = capacity("us-central1-a")
    cut = capacity("us-central1-a", event("spot", limit=1, for_="2h"))
    for second in (clock_at(12) - 1, clock_at(14), clock_at(20)):
        assert value_at(cut, second) == value_at(plain, second)
    for second in (clock_at(12), clock_at(13), clock_at(14) - 1):
        assert value_at(cut, second) == min(1, value_at(plain, second))


def test_a_count_holds_whatever_the_trace_says_and_the_least_of_several() -> None:
    told = [event("spot", count=9, for_="4h"), event("spot", "13:00", count=7, for_="1h"), event("spot", limit=8)]
    series = capacity("us-central1-f", *told)
    assert [value_at(series, clock_at(hour)) for hour in (11, 12, 13, 14, 17)] == [0, 8, 7, 8, 0]


def test_a_flapping_zone_is_gone_for_the_first_half_of_each_period() -> None:
    series = capacity("us-central1-a", event("flap", zone="us-central1-a", period="40m", for_="2h"))
    plain = capacity("us-central1-a")
    for number in range(6):
        second = clock_at(12) + number * 1200
        assert value_at(series, second) == (0 if number % 2 == 0 else value_at(plain, second))
    assert capacity("us-central1-b", event("flap", zone="us-central1-a", period="40m")) == capacity("us-central1-b")


def test_factors_of_prices_multiply_and_end() -> None:
    told = [
        event("price", factor=3, market="spot", for_="4h"),
        event("price", "13:00", factor=2, for_="1h"),
    ]
    one = made(events=told)
    found = supplied(one, GCP)
    prices = events.prices(found.regions[GCP[0]], happens(one, found))
    key = "a2-highgpu-8g", "us-central1-a"
    spot, on_demand = prices[(*key, "spot")], prices[(*key, "on-demand")]
    base, dear = spot[0][1], on_demand[0][1]
    assert [(at, round(usd / base, 6)) for at, usd in spot] == [
        (0.0, 1), (clock_at(12), 3), (clock_at(13), 6), (clock_at(14), 3), (clock_at(16), 1),
    ]  # fmt: skip
    assert [(at, round(usd / dear, 6)) for at, usd in on_demand] == [(0.0, 1), (clock_at(13), 2), (clock_at(14), 1)]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 20), st.integers(1, 10), st.integers(0, 5)), max_size=6), st.randoms())
def test_overlapping_events_are_the_worst_of_them_in_whatever_order_they_stand(
    rows: list[tuple[int, int, int]], dice: Any
) -> None:
    def value_of(order: list[tuple[int, int, int]]) -> list[tuple[float, int | None]]:
        clock, heard = Clock(), list[tuple[float, int | None]]()
        told = [
            Timed(Event.model_construct(at="", what="on-demand", limit=limit), float(at), float(at + length))
            for at, length, limit in order
        ]
        events.lever(
            clock,
            told,
            lambda now: min((one.event.limit for one in now if one.event.limit is not None), default=None),
            lambda limit: heard.append((clock.now, limit)),
        )
        clock.run(100.0)
        return heard

    found = value_of(rows)
    shuffled = list(rows)
    dice.shuffle(shuffled)
    assert value_of(shuffled) == found
    for second in range(32):
        limits = [limit for at, length, limit in rows if at <= second < at + length]
        assert next((limit for at, limit in reversed(found) if at <= second), None) == min(limits, default=None)


def test_a_dark_region_serves_nobody_and_comes_back_by_itself() -> None:
    play = played(AWS, events=[event("dark", region="first", for_="2h")])
    assert sum(ready(play, AWS[0], clock_at(12) - 60)) >= 1
    assert ready(play, AWS[0], clock_at(12)) == ready(play, AWS[0], clock_at(14) - 1) == (0, 0)
    assert sum(ready(play, AWS[0], clock_at(15))) >= 1


def test_a_dark_zone_takes_its_nodes_and_the_others_stand_in() -> None:
    steady = [event("spot", "00:10", count=5), event("dark", zone="us-central1-a", for_="2h")]
    play = played(GCP, events=steady)
    nodes = play.plays[GCP[0]].nodes.all
    assert all(
        node.zone != "us-central1-a" or (node.ended or 0) <= clock_at(12)
        for node in nodes
        if node.launched < clock_at(12)
    )
    assert not [node for node in nodes if node.zone == "us-central1-a" and clock_at(12) <= node.launched < clock_at(14)]
    assert sum(ready(play, GCP[0], clock_at(13))) == 2


def test_a_quota_holds_back_launches_and_takes_nothing_that_runs() -> None:
    told = [event("quota", limit=1, for_="6h"), event("spot", "13:00", limit=0, for_="1h")]
    play = played(AWS, events=[event("spot", "00:10", count=5), *told])
    assert ready(play, AWS[0], clock_at(13) - 60) == (2, 0), "what runs stays"
    held = [ready(play, AWS[0], clock_at(hour)) for hour in (14.6, 16, 17.9)]
    assert all(spot <= 1 and on_demand <= 1 for spot, on_demand in held)
    assert ready(play, AWS[0], clock_at(20)) == (2, 0)


def test_on_demand_that_is_scarce_leaves_the_gap_open() -> None:
    play = played(AWS, events=[event("spot", limit=0, for_="4h"), event("on-demand", limit=1, for_="4h")])
    assert ready(play, AWS[0], clock_at(15)) == (0, 1)


def test_boots_that_hang_never_serve_and_slower_ones_late() -> None:
    told = [event("spot", "00:10", count=5), event("spot", limit=0, for_="2m"), event("boot", minutes=90, for_="1h")]
    play = played(AWS, events=told)
    assert sum(ready(play, AWS[0], clock_at(13.4))) == 0
    assert sum(ready(play, AWS[0], clock_at(13.8))) == 2
    hangs = [event("boot", hangs=True, for_="3h"), event("spot", limit=0, for_="2m"), event("spot", "00:10", count=5)]
    play = played(AWS, events=hangs)
    assert sum(ready(play, AWS[0], clock_at(14.9))) == 0
    assert sum(ready(play, AWS[0], clock_at(17))) == 2


@pytest.mark.parametrize("stack", ["aws-us-east-1", "azure-eastus", "gcp-us-central1"])
def test_a_rollout_replaces_every_node_and_lacks_none_meanwhile(stack: str) -> None:
    play = played((stack,), events=[event("spot", "00:10", count=6), event("deploy", region=stack)])
    region = play.plays[stack]
    nodes = [node for node in region.nodes.all if node.market == "spot"]
    assert len(nodes) == 4
    assert all((node.ended is None) == (node.launched >= clock_at(12)) for node in nodes)
    levels = [level for level in region.nodes.levels if level.at > clock_at(1)]
    assert all(level.spot in (2, 3) for level in levels)
    assert any("every node is a new one" in entry.what for entry in region.log)


def test_a_rollout_without_capacity_waits_and_loses_nothing() -> None:
    zones = [event("spot", "00:10", count=0), event("spot", "00:10", count=2)]
    zones[0]["zone"], zones[1]["zone"] = "us-east-1[b-d]", "us-east-1a"
    play = played(AWS, events=[*zones, event("deploy")])
    region = play.plays[AWS[0]]
    assert [node.ended for node in region.nodes.all if node.launched < clock_at(12)] == [None, None]
    assert ready(play, AWS[0], clock_at(20)) == (2, 0)


def test_blind_checkers_and_dark_members_reach_dns() -> None:
    assert fleet().world is not None
    told = [
        event("dark", member="small-*", for_="1h"),
        event("checkers-blind", "14:00", for_="30m"),
        event("dns-provider-down", "16:00", for_="30m"),
    ]
    play = played(events=told)
    assert play.dns is not None
    what = [line[2] for line in play.dns.log]
    assert {"checkers are blind", "checkers see again", "name servers do not answer"} <= {*what}


def test_an_event_is_an_incident_at_each_place_that_it_happens_to() -> None:
    one = made(events=[event("dark", cloud="*", for_="1h", why="a test"), event("checkers-blind")])
    found = events.incidents(happens(one, supplied(one)), one.seconds)
    assert [(each.place, each.what, each.until) for each in found] == [
        ("aws-us-east-1", "dark", clock_at(13)),
        ("azure-eastus", "dark", clock_at(13)),
        ("gcp-us-central1", "dark", clock_at(13)),
        ("everything", "DNS checkers see nothing", None),
    ]


HOURS = st.integers(1, 20)
WHATS = st.one_of(
    st.fixed_dictionaries({"what": st.just("dark"), "region": st.just("*")}),
    st.fixed_dictionaries({"what": st.just("dark"), "zone": st.sampled_from(["us-central1-a", "us-central1-*"])}),
    st.fixed_dictionaries({"what": st.just("spot"), "limit": st.integers(0, 2)}),
    st.fixed_dictionaries({"what": st.just("flap"), "period": st.sampled_from(["20m", "2h"])}),
    st.fixed_dictionaries({"what": st.just("on-demand"), "limit": st.integers(0, 2)}),
    st.fixed_dictionaries(
        {"what": st.just("quota"), "limit": st.integers(0, 2), "market": st.sampled_from(["spot", "on-demand", "both"])}
    ),
    st.fixed_dictionaries({"what": st.just("price"), "factor": st.sampled_from([0.5, 3.0])}),
    st.fixed_dictionaries({"what": st.just("boot"), "minutes": st.integers(0, 90)}),
    st.fixed_dictionaries({"what": st.just("boot"), "hangs": st.just(True)}),
    st.fixed_dictionaries({"what": st.just("throttled")}),
    st.fixed_dictionaries({"what": st.just("deploy")}),
)


def holding(play: FleetPlay, stack: str, what: str, at: float) -> list[Event]:
    return [
        one.event for one in play.happens if one.event.what == what and one.about(stack) and one.begin <= at < one.end
    ]


def boot_at(play: FleetPlay, stack: str, at: float) -> float:
    """Seconds that a launch takes then."""
    minutes = [one.minutes for one in holding(play, stack, "boot", at) if one.minutes is not None]
    return 60 * max(minutes) if minutes else play.plays[stack].boot


def least_limit(play: FleetPlay, stack: str, market: str, at: float) -> int | None:
    """Nodes of a market that may run in the region then."""
    now = holding(play, stack, "quota", at) + (holding(play, stack, "on-demand", at) if market == "on-demand" else [])
    return min(
        (one.limit for one in now if one.limit is not None and one.market in (None, "both", market)), default=None
    )


def billed(series: Any, begin: float, end: float) -> float:
    """USD, second by second as the price stands, in its simplest form."""
    ends = [*(at for at, _ in series[1:]), float("inf")]
    spans = [(max(begin, at), min(end, until), usd) for (at, usd), until in zip(series, ends, strict=True)]
    return float(sum((until - at) * usd / HOUR for at, until, usd in spans if until > at))


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(HOURS, st.integers(1, 6), WHATS), min_size=1, max_size=5), st.booleans(), st.data())
def test_whatever_happens_nothing_is_held_beyond_what_there_is(
    rows: list[tuple[int, int, dict[str, Any]]], keeper: bool, more: Any
) -> None:
    """No node without a bill, none ready before its boot, none beyond its zone's capacity or launched beyond a limit or
    a quota, none where it is dark."""
    told = []
    for hour, length, what in rows:
        lasts = {} if what["what"] == "deploy" else {"for": f"{length}h"}
        told.append({"at": f"day 1 {hour:02d}:00"} | what | lasts)
    stack = more.draw(st.sampled_from(["gcp-us-central1", "aws-us-east-1"]))
    if stack.startswith("aws"):  # which has no function whose calls could be refused
        told = [row for row in told if row["what"] != "throttled"]
    for row in told:
        if stack.startswith("aws") and "zone" in row:
            row["zone"] = "us-east-1[ab]"
    play = played((stack,), keeper=keeper, events=told)
    region, nodes = play.plays[stack], play.plays[stack].nodes
    dark = [one for one in play.happens if one.event.what == "dark"]
    for node in nodes.all:
        end = play.seconds if node.ended is None else node.ended
        assert node.launched <= end
        assert node.in_service is None or node.launched <= node.in_service <= end
        if node.in_service is not None and node.launched >= 1:  # before that second it is a fleet that runs already
            assert node.in_service == node.launched + boot_at(play, stack, node.launched)
        most = least_limit(play, stack, node.market, node.launched)
        if most is not None:
            others = [one for one in nodes.all[: node.id] if one.market == node.market]
            assert sum(one.ended is None or one.ended > node.launched for one in others) < most
        for one in dark:
            inside = one.about(stack, node.zone) and one.begin <= node.launched < one.end
            assert not inside, "launched where it is dark"
            if one.about(stack, node.zone) and node.launched < one.begin:
                assert end <= one.begin or end < node.launched
    marks = sorted({level.at for level in nodes.levels})[:: max(1, len(nodes.levels) // 40)]
    for now in marks:
        for zone, series in play.capacities[stack].items():
            held = [
                node
                for node in nodes.all
                if (node.market, node.zone) == ("spot", zone)
                and node.launched <= now < (play.seconds if node.ended is None else node.ended)
                and (node.noticed is None or now < node.noticed)
            ]
            assert len(held) <= value_at(series, now)
    usd = play.variant("deployed", "deployed", "", play.held(), regret=False).money.total
    assert usd == pytest.approx(sum(billed(region.prices[node.machine, node.zone, node.market], node.launched,
                                           node.ended or 0.0) for node in nodes.all))  # fmt: skip
