"""The stand-in's zone from a sandbox directory: weather, rehearsals, and real queries on loopback."""

from __future__ import annotations

import time
from pathlib import Path

import dns.message
import dns.query
import dns.rcode
import pytest

from sandbox import forecast
from sandbox.clouds import WEATHER
from sandbox.dns.answer import NXDOMAIN, Answer
from sandbox.dns.authority import Authority, Snapshot
from sandbox.dns.client import NEGATIVE_TTL, CachingResolver
from sandbox.dns.clock import Clock, WallClock
from sandbox.dns.health import Live, Scripted
from sandbox.dns.rehearse import take_down
from sandbox.dns.running import Running
from sandbox.dns.serve import Responder, serving
from sandbox.weather import parse
from spillway.errors import SpillwayError
from tests.support import dns_zone
from tests.support.dns_zone import SERVICE


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return dns_zone.sandbox(tmp_path)


# --- weather ---


@pytest.mark.parametrize(
    ("entry", "address", "says"),
    [
        ("{region: us-east-1}", "203.0.113.1", "blackhole"),
        ("{region: us-east-1, kind: refused}", "203.0.113.1", "refused"),
        ("{cloud: aws, region: 'us-*'}", "203.0.113.17", "blackhole"),
        ("{region: us-east-1}", "203.0.113.17", "up"),
        ("{cloud: azure*}", "203.0.113.1", "up"),
        ("{address: 203.0.113.2}", "203.0.113.1", "up"),
        ("{}", "203.0.113.1", "blackhole"),
        ("{}", "198.51.100.10", "up"),  # somebody's own: only by its address
        ("{address: 198.51.100.*, kind: error}", "198.51.100.10", "error"),
        ("{region: us-east-1, address: 198.51.100.10}", "198.51.100.10", "up"),
    ],
)
def test_an_address_is_down_by_its_cloud_and_region_or_by_itself(
    directory: Path, entry: str, address: str, says: str
) -> None:
    (directory / WEATHER).write_text(f"down: [{entry}]")
    assert Live(directory).behaviour(address) == says


def test_the_last_entry_that_fits_wins() -> None:
    weather = parse("down: [{region: us-*, kind: refused}, {region: us-east-1, kind: slow}]")
    assert weather.serving("192.0.2.1", "aws", "us-east-1") == "slow"
    assert weather.serving("192.0.2.1", "aws", "us-west-2") == "refused"


def test_half_written_weather_leaves_the_weather_before(directory: Path) -> None:
    live = Live(directory)
    (directory / WEATHER).write_text("down: [{region: us-east-1}]")
    assert live.behaviour("203.0.113.1") == "blackhole"
    (directory / WEATHER).write_text("down: [{regi")
    assert live.behaviour("203.0.113.1") == "blackhole"
    assert live.fault is not None
    (directory / WEATHER).write_text("down: []")
    assert live.behaviour("203.0.113.1") == "up"
    assert live.fault is None


# --- rehearsals ---


def test_a_region_goes_dark_and_clients_follow(directory: Path) -> None:
    played = take_down(directory, "us-east-1", runs=5, clients=40, stubborn=10)
    assert (played.service, played.provider, played.ttl) == (SERVICE, "route53", 10)
    assert played.before == {"aws-us-east-1": 1.0}
    assert played.during == {"aws-us-west-2": 1.0}
    assert played.after == {"aws-us-east-1": 1.0}
    assert played.detected is not None
    assert played.away is not None
    assert played.stubborn is not None
    assert played.noticed is not None
    assert played.back is not None
    assert 24 < played.detected.median <= played.detected.worst < 29
    assert played.away.count == 200
    assert played.away.worst <= played.detected.worst + 10 + 1  # TTL, and the time until the next request
    assert played.stubborn.worst > played.away.worst  # who keeps answers longer moves later
    assert played.noticed.worst < played.back.worst < 40
    told = [f"{e.subject}: {e.text}" for e in played.events]
    assert told[0] == "us-east-1: goes down: blackhole"
    assert "llm.example.com: now leads to aws-us-west-2 100%" in told
    assert "us-east-1: is back" in told
    assert [e.at for e in played.events] == sorted(e.at for e in played.events)
    assert played.describe()["clock"] == "virtual"


def test_a_seed_gives_the_same_rehearsal(directory: Path) -> None:
    one, same, other = (take_down(directory, "us-east-1", "refused", runs=2, clients=10, seed=s) for s in (1, 1, 2))
    assert one == same
    assert one.away != other.away


def test_a_weighted_member_gives_its_share_to_the_others(tmp_path: Path) -> None:
    top = dns_zone.weighted({"aws-us-east-1": 30, "aws-us-west-2": 60, "onprem": 10})
    dns_zone.sandbox(tmp_path, dns_zone.everything(top))
    members = {name: list(addresses) for name, addresses in dns_zone.MEMBERS.items()}
    played = take_down(tmp_path, "us-east-1", "error", members=members, runs=3, clients=30)
    assert set(played.before) == set(members)
    assert set(played.during) == {"aws-us-west-2", "onprem"}
    assert played.during["onprem"] == pytest.approx(1 / 7, abs=0.06)
    assert played.detected is not None
    assert played.detected.worst < 21


def test_what_cannot_be_rehearsed_says_why(directory: Path, tmp_path: Path) -> None:
    with pytest.raises(
        SpillwayError, match=r"eu-west-1: llm\.example\.com never answers with an address of this region"
    ):
        take_down(directory, "eu-west-1", runs=1)
    with pytest.raises(SpillwayError, match=r"nope\.example\.com: no answer"):
        take_down(directory, "us-east-1", service="nope.example.com")
    with pytest.raises(SpillwayError, match="hold no service name"):
        take_down(tmp_path / "empty", "us-east-1")


def test_a_zone_that_several_hold_is_the_delegated_ones(directory: Path) -> None:
    from sandbox.dns.cloudflare import DNS_RECORD

    snapshot = Snapshot.load(directory)
    snapshot.resources[DNS_RECORD] = [
        dns_zone.resource(DNS_RECORD, "1", zoneId="cf", name=SERVICE, type="A", content="192.0.2.77", ttl=60)
    ]
    for provider, value in (("cloudflare", "192.0.2.77"), ("route53", "203.0.113.1")):
        authority = Authority(snapshot, Clock(), Scripted(), delegated=provider)
        assert value in {v for _ in range(30) for v in authority.answer(SERVICE).values}


# --- clients ---


def test_a_cache_keeps_an_answer_for_its_ttl_or_as_long_as_it_likes() -> None:
    clock = Clock()
    numbers = iter(range(100))

    def ask(name: str) -> Answer:
        return Answer(name, "A", values=(f"192.0.2.{next(numbers)}",), ttl=10)

    fair, stubborn = CachingResolver(ask, clock), CachingResolver(ask, clock, at_least=30)
    assert fair.resolve("a").values == ("192.0.2.0",)
    assert stubborn.resolve("a").values == ("192.0.2.1",)
    clock.run_until(9.9)
    assert fair.resolve("a").values == ("192.0.2.0",)
    clock.run_until(10)
    assert fair.resolve("a").values == ("192.0.2.2",)
    assert stubborn.resolve("a").values == ("192.0.2.1",)
    clock.run_until(30)
    assert stubborn.resolve("a").values == ("192.0.2.3",)
    assert (fair.asked, stubborn.asked) == (2, 2)


# --- running beside everything else ---


def clock_at(real: list[float]) -> WallClock:
    return WallClock(monotonic=lambda: real[0], sleep=lambda seconds: real.__setitem__(0, real[0] + seconds))


def test_a_running_stand_in_moves_within_the_documented_time(directory: Path) -> None:
    real = [0.0]
    running = Running(directory, clock=clock_at(real), seed=lambda: 1)
    assert running.authority.answer(SERVICE).path[0] == "primary"
    forecast.add(directory, "down", {"region": "us-east-1"})
    running.clock.run_until(running.clock.now + 20)
    assert running.authority.answer(SERVICE).path[0] == "primary"
    running.clock.run_until(running.clock.now + 9)
    assert running.authority.answer(SERVICE).path[0] == "secondary"


def test_a_stand_in_that_starts_in_bad_weather_knows_it(directory: Path) -> None:
    forecast.add(directory, "down", {"region": "us-east-1"})
    assert Running(directory).authority.answer(SERVICE).path[0] == "secondary"


def test_a_deployment_is_taken_up(directory: Path) -> None:
    running = Running(directory)
    assert not running.refresh()
    dns_zone.sandbox(directory, [dns_zone.record("new.example.com", records=["192.0.2.5"], ttl=5)])
    assert running.refresh()
    assert running.authority.answer("new.example.com").values == ("192.0.2.5",)


def test_real_queries_are_answered_over_udp_and_tcp(directory: Path) -> None:
    many = dns_zone.record("many.example.com", records=[f"192.0.2.{n}" for n in range(200)], ttl=5)
    text = dns_zone.record("text.example.com", type="TXT", records=["v=1 ok"], ttl=5)
    dns_zone.sandbox(directory, [many, text])
    with serving(Responder(Running(directory), "us-east-1"), 0) as port:

        def asked(name: str, kind: str = "A", *, tcp: bool = False) -> dns.message.Message:
            ask = dns.query.tcp if tcp else dns.query.udp
            return ask(dns.message.make_query(name, kind), "127.0.0.1", port=port, timeout=5)

        for tcp in (False, True):
            found = asked(SERVICE, tcp=tcp)
            assert found.answer[0].ttl == 10
            assert str(found.answer[0][0]) in dns_zone.MEMBERS["aws-us-east-1"]
        assert asked("no.example.com").rcode() == dns.rcode.NXDOMAIN
        assert "SOA" in asked("no.example.com").to_text()
        assert asked("example.org").rcode() == dns.rcode.REFUSED
        assert asked("text.example.com", "TXT").answer[0].to_text().endswith('"v=1 ok"')
        assert asked("many.example.com").flags & dns.flags.TC
        assert len(asked("many.example.com", tcp=True).answer[0]) == 200


def test_a_deployment_that_cannot_be_followed_is_told_once_and_the_zones_before_go_on(directory: Path) -> None:
    said: list[str] = []
    responder = Responder(Running(directory), "us-east-1", said.append)
    authority = responder.running.authority
    circle = [
        dns_zone.record("a.example.com", aliases=dns_zone.alias("b.example.com")),
        dns_zone.record("b.example.com", aliases=dns_zone.alias("a.example.com")),
    ]
    dns_zone.sandbox(directory, circle)
    responder.tick()
    responder.tick()
    assert len(said) == 1
    assert "aliases lead in a circle" in said[0]
    assert responder.running.authority is authority
    forecast.add(directory, "down", {"region": "us-east-1"})
    responder.running.clock.settle(60)
    assert authority.answer(SERVICE).path[0] == "secondary", "its checkers still run"
    reply = responder.reply(dns.message.make_query(SERVICE, "A").to_wire(), 512)
    assert reply is not None
    assert dns.message.from_wire(reply).answer


def test_a_store_that_breaks_while_it_is_served_leaves_the_server_running(directory: Path) -> None:
    said: list[str] = []
    with serving(Responder(Running(directory), "us-east-1", said.append), 0) as port:
        for suffix in ("-wal", "-shm", ""):
            (directory / f"clouds.sqlite3{suffix}").unlink(missing_ok=True)
        (directory / "clouds.sqlite3").write_text("no database")
        deadline = time.monotonic() + 10
        while not said and time.monotonic() < deadline:
            time.sleep(0.05)
        assert "file is not a database" in said[0]
        query = dns.message.make_query(SERVICE, "A")
        assert dns.query.udp(query, "127.0.0.1", port=port, timeout=5).answer


def test_what_the_resolver_cannot_follow_is_a_server_failure(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    responder = Responder(Running(directory), "us-east-1", said.append)

    def refuse(*_: object) -> None:
        raise SpillwayError("nested profiles lead in a circle")

    monkeypatch.setattr(responder.running.authority, "answer", refuse)
    wire = responder.reply(dns.message.make_query(SERVICE, "A").to_wire(), 512)
    assert wire is not None
    assert dns.message.from_wire(wire).rcode() == dns.rcode.SERVFAIL
    assert said == ["nested profiles lead in a circle"]


def test_another_class_than_the_internets_is_refused(directory: Path) -> None:
    responder = Responder(Running(directory), "us-east-1")
    wire = responder.reply(dns.message.make_query(SERVICE, "A", rdclass="CH").to_wire(), 512)
    assert wire is not None
    assert dns.message.from_wire(wire).rcode() == dns.rcode.REFUSED


def test_a_name_that_did_not_exist_is_not_asked_for_again_before_the_negative_ttl() -> None:
    clock = Clock()
    answers = [Answer(SERVICE, "A", NXDOMAIN), Answer(SERVICE, "A", values=("192.0.2.1",), ttl=10)]
    cache = CachingResolver(lambda name: answers[min(cache.asked, 1)], clock)
    assert cache.resolve(SERVICE).rcode == NXDOMAIN
    clock.run_until(NEGATIVE_TTL - 1)
    assert cache.resolve(SERVICE).rcode == NXDOMAIN
    clock.run_until(NEGATIVE_TTL)
    assert cache.resolve(SERVICE).values == ("192.0.2.1",)


def test_a_port_that_is_taken_says_so(directory: Path) -> None:
    responder = Responder(Running(directory), "us-east-1")
    with (
        serving(responder, 0) as port,
        pytest.raises(SpillwayError, match=f"--port = {port}"),
        serving(responder, port),
    ):
        pass
