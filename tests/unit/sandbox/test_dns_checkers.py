"""Health checkers on a virtual clock, against what the providers document."""

from __future__ import annotations

import random
from typing import Any, Literal

import pytest

from sandbox.dns.checkers import Checks
from sandbox.dns.clock import Clock, WallClock
from sandbox.dns.health import Scripted
from sandbox.dns.holders import Holder, Holdings
from sandbox.dns.monitors import MONITOR, POOL, Monitors
from sandbox.dns.probing import Probing
from sandbox.kinds import Resource
from sandbox.weather import DownKind
from tests.support.dns_zone import check, resource

ADDRESS = "198.51.100.1"
TOLERANCE = 0.4
"""Seconds: round trips are the regions' own here, and 0.1 s in the vectors."""


def p95(values: list[float]) -> float:
    return sorted(values)[int(len(values) * 0.95) - 1]


def detection(kind: DownKind, seed: int, **settings: Any) -> float:
    clock, endpoints = Clock(), Scripted()
    checks = Checks([check("c", ADDRESS, **settings)], clock, endpoints, seed)
    clock.run_until(60 + random.Random(seed).random() * 10)
    began = clock.now
    endpoints.strike(kind)
    while checks.healthy("c"):
        clock.run_until(clock.next_due)
    return clock.now - began


@pytest.mark.parametrize(
    ("kind", "threshold", "expected"),
    [
        ("refused", 1, 9.7),
        ("refused", 2, 19.8),
        ("refused", 3, 29.9),
        ("blackhole", 1, 13.6),
        ("blackhole", 2, 27.6),
        ("blackhole", 3, 41.6),
    ],
)
def test_detection_takes_what_the_documented_algorithm_gives(
    kind: Literal["refused", "blackhole"], threshold: int, expected: float
) -> None:
    times = [detection(kind, seed, failureThreshold=threshold) for seed in range(300)]
    assert p95(times) == pytest.approx(expected, abs=TOLERANCE)


def run(*resources: Resource, seconds: float = 120, down: DownKind | None = None, **more: Any) -> Checks:
    clock, endpoints = Clock(), Scripted()
    if down:
        endpoints.strike(down)
    checks = Checks(resources, clock, endpoints, **more)
    clock.run_until(seconds)
    return checks


def test_a_new_check_is_healthy_until_enough_probes_have_failed() -> None:
    assert run(check("c", ADDRESS), seconds=9, down="refused").healthy("c")
    assert not run(check("c", ADDRESS), seconds=40, down="refused").healthy("c")


@pytest.mark.parametrize(
    ("settings", "down", "healthy"),
    [
        ({"type": "TCP"}, "error", True),  # a connection is all it asks for
        ({"type": "TCP"}, "slow", True),
        ({"type": "TCP"}, "blackhole", False),
        ({"type": "HTTPS"}, "slow", False),
        ({"type": "HTTPS_STR_MATCH", "searchString": "ready"}, None, True),
        ({"type": "HTTPS_STR_MATCH", "searchString": "ok", "resourcePath": "/health"}, None, False),  # an empty body
        ({"disabled": True}, "refused", True),
        ({"disabled": True, "invertHealthcheck": True}, None, False),
        ({"invertHealthcheck": True}, "refused", True),  # why draining by inversion comes back when the region is gone
        ({"invertHealthcheck": True}, None, False),
    ],
)
def test_kinds_of_checks(settings: dict[str, Any], down: DownKind | None, healthy: bool) -> None:
    assert run(check("c", ADDRESS, **settings), down=down).healthy("c") is healthy


def test_an_endpoint_is_healthy_while_more_than_18_percent_of_checkers_say_so() -> None:
    checks = run(check("c", ADDRESS))
    endpoint = checks.endpoint_checks["c"]
    assert len(endpoint.checkers) == 16
    endpoint.passing = 3  # 18.75 %
    assert endpoint.healthy
    endpoint.passing = 2  # 12.5 %
    assert not endpoint.healthy


def test_fewer_regions_mean_fewer_checkers() -> None:
    checks = run(check("c", ADDRESS, regions=["us-east-1", "eu-west-1", "sa-east-1"]))
    assert len(checks.endpoint_checks["c"].checkers) == 6


def calculated(threshold: int, *children: str, **more: Any) -> Resource:
    return check("all", type="CALCULATED", childHealthchecks=list(children), childHealthThreshold=threshold, **more)


@pytest.mark.parametrize(("threshold", "healthy"), [(0, True), (1, True), (2, False), (3, False)])
def test_a_calculated_check_counts_its_healthy_children(threshold: int, healthy: bool) -> None:
    clock, endpoints = Clock(), Scripted()
    endpoints.strike("refused", address="198.51.100.2")
    children = [check("a", "198.51.100.1"), check("b", "198.51.100.2")]
    checks = Checks([*children, calculated(threshold, "a", "b")], clock, endpoints)
    clock.run_until(60)
    assert checks.healthy("all") is healthy
    assert [checks.healthy("a"), checks.healthy("b")] == [True, False]


def test_a_calculated_check_follows_its_children_back() -> None:
    clock, endpoints = Clock(), Scripted()
    checks = Checks([check("a", ADDRESS), calculated(1, "a")], clock, endpoints)
    endpoints.strike("refused")
    clock.run_until(60)
    assert not checks.healthy("all")
    endpoints.lift()
    clock.run_until(120)
    assert checks.healthy("all")
    assert [e.text for e in checks.log.events if e.subject == "all"] == [
        "unhealthy: 0 of 1 child checks are healthy",
        "healthy: 1 of 1 child checks are healthy",
    ]


@pytest.mark.parametrize(
    ("lacking", "healthy"), [("Healthy", True), ("Unhealthy", False), ("LastKnownStatus", False), (None, False)]
)
def test_a_metric_check_follows_its_alarm(lacking: str | None, healthy: bool) -> None:
    alarm = check("m", type="CLOUDWATCH_METRIC", cloudwatchAlarmName="ttft", insufficientDataHealthStatus=lacking)
    checks = run(alarm, alarms={"ttft": "OK"})
    assert checks.healthy("m")
    checks.set_alarm("ttft", "ALARM")
    assert not checks.healthy("m")
    checks.set_alarm("ttft", "INSUFFICIENT_DATA")
    assert checks.healthy("m") is healthy


def test_a_routing_control_is_off_until_somebody_turns_it_on() -> None:
    checks = run(check("r", type="RECOVERY_CONTROL", routingControlArn="arn:x"))
    assert not checks.healthy("r")
    checks.set_control("arn:x", True)
    assert checks.healthy("r")


def test_a_check_by_name_asks_for_the_address() -> None:
    clock, endpoints = Clock(), Scripted()
    endpoints.strike("refused", address="198.51.100.7")
    named = check("c", fqdn="api.example.com")
    checks = Checks([named], clock, endpoints, lookup={"api.example.com": "198.51.100.7"}.get)
    clock.run_until(60)
    assert not checks.healthy("c")


def test_probe_failures_are_summarised_in_the_log() -> None:
    clock, endpoints = Clock(), Scripted()
    checks = Checks([check("c", ADDRESS)], clock, endpoints)
    clock.run_until(60)
    endpoints.strike("blackhole")
    clock.run_until(120)
    assert [e.text for e in checks.log.events] == [
        "first probe fails: no connection within 4 s",
        "probes of all 16 checkers fail: no connection within 4 s",
        "unhealthy: 2 of 16 checkers say healthy",
    ]


def test_a_seed_gives_the_same_run() -> None:
    assert detection("blackhole", 7) == detection("blackhole", 7)
    assert detection("blackhole", 7) != detection("blackhole", 8)


# --- Cloudflare ---


def pool(**outputs: Any) -> Resource:
    origins = [{"name": "a", "address": ADDRESS}]
    values = {"name": "pool", "origins": origins, "monitor": "m", "checkRegions": ["WEU", "ENAM"]}
    return resource(POOL, "p", **{**values, **outputs})


def cloudflare_monitor(**outputs: Any) -> Resource:
    values = {"type": "https", "interval": 15, "timeout": 5, "retries": 0, "path": "/readyz", "consecutiveDown": 1}
    return resource(MONITOR, "m", **{**values, **outputs})


def test_an_origin_is_down_until_it_is_known_to_be_healthy() -> None:
    clock = Clock()
    monitors = Monitors([pool()], [cloudflare_monitor()], clock, Scripted())
    assert not monitors.healthy("p", "a")
    clock.run_until(20)
    assert monitors.healthy("p", "a")


@pytest.mark.parametrize(
    ("settings", "least", "most"),
    [({}, 5, 20), ({"consecutiveDown": 2}, 20, 36), ({"retries": 2}, 15, 30), ({"interval": 60}, 5, 65)],
)
def test_a_silent_origin_is_noticed_after_interval_timeout_and_retries(
    settings: dict[str, int], least: float, most: float
) -> None:
    times = []
    for seed in range(50):
        clock, endpoints = Clock(), Scripted()
        monitors = Monitors([pool()], [cloudflare_monitor(**settings)], clock, endpoints, seed)
        clock.run_until(200 + seed / 5)
        began = clock.now
        endpoints.strike("blackhole")
        while monitors.healthy("p", "a"):
            clock.run_until(clock.next_due)
        times.append(clock.now - began)
    assert least <= min(times)
    assert max(times) <= most


def test_no_monitor_no_opinion() -> None:
    assert Monitors([pool(monitor=None)], [], Clock(), Scripted()).healthy("p", "a")


# --- Traffic Manager ---


def test_traffic_manager_degrades_after_the_tolerated_failures() -> None:
    config = {"protocol": "HTTPS", "intervalInSeconds": 10, "timeoutInSeconds": 5, "toleratedNumberOfFailures": 1}
    times = []
    for seed in range(50):
        clock, endpoints = Clock(), Scripted(Holdings({ADDRESS: Holder("aws", "eu-west-1")}))
        probing = Probing([("e", ADDRESS, config)], clock, endpoints, seed)
        assert probing.status("e") == "CheckingEndpoint"
        clock.run_until(30 + seed / 5)
        assert probing.status("e") == "Online"
        began = clock.now
        endpoints.strike("blackhole", region="eu-*")
        while probing.status("e") == "Online":
            clock.run_until(clock.next_due)
        times.append(clock.now - began)
        endpoints.lift(region="eu-*")
        clock.run_until(clock.now + 11)
        assert probing.status("e") == "Online"  # one success brings it back
    assert min(times) >= 15
    assert max(times) <= 25


# --- clocks ---


def test_events_run_in_order_of_time_then_of_scheduling() -> None:
    clock, seen = Clock(), []
    clock.at(2, lambda: seen.append(("b", clock.now)))
    clock.at(1, lambda: seen.append(("a", clock.now)))
    clock.at(2, lambda: seen.append(("c", clock.now)))
    clock.run_until(3)
    assert seen == [("a", 1), ("b", 2), ("c", 2)]
    assert clock.now == 3


def test_an_event_that_never_comes_is_refused() -> None:
    with pytest.raises(ValueError, match="never comes"):
        Clock().at(float("inf"), lambda: None)


def test_the_wall_clock_sleeps_until_something_is_due_and_can_run_ahead() -> None:
    real = [100.0]
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        real[0] += seconds

    clock = WallClock(monotonic=lambda: real[0], sleep=sleep)
    seen: list[float] = []
    clock.at(5, lambda: seen.append(clock.now))
    clock.at(12, lambda: seen.append(clock.now))
    clock.settle(10)
    assert (seen, slept, clock.now) == ([5], [], 10)
    clock.run_until(15)
    assert (seen, slept, clock.now) == ([5, 12], [2, 3], 15)
