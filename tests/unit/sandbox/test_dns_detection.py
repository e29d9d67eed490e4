"""How soon the stand-in's Cloudflare and Traffic Manager notice a failure, against the failover budget's computation.

Both were written apart from each other: monitors and agents here run event by event, the budget knows distributions.
"""

from __future__ import annotations

import math
from typing import Any

import pytest

from infra.dns.budget import CheckSettings, Failure, budget
from infra.dns.checkers import detector
from sandbox.dns.clock import Clock
from sandbox.dns.health import Scripted
from sandbox.dns.monitors import MONITOR, POOL, Monitors
from sandbox.dns.probing import Probing
from tests.support.dns_zone import resource

ADDRESS = "192.0.2.1"
TRIPS = 0.5
"""Seconds that round trips may add to what the budget assumes of an answered probe."""
FAILURES = 120
CHECK = {"interval_seconds": 15, "threshold": 2, "timeout_seconds": 5, "plan": "business", "ttl_seconds": 30}


def origins(seed: int, clock: Clock, endpoints: Scripted, settings: CheckSettings) -> Monitors:
    monitor = resource(
        MONITOR, "m", type="https", path="/readyz", interval=settings.interval_seconds, timeout=settings.timeout,
        retries=settings.retries, consecutiveDown=settings.threshold, consecutiveUp=settings.threshold,
    )  # fmt: skip
    pool = resource(
        POOL, "p", name="p", monitor="m", checkRegions=list(settings.regions),
        origins=[{"name": "a", "address": ADDRESS, "weight": 1, "enabled": True}],
    )  # fmt: skip
    return Monitors([pool], [monitor], clock, endpoints, seed)


def noticed(seed: int, settings: CheckSettings, kind: Any) -> float:
    """Seconds from a failure until the provider takes the endpoint as unhealthy."""
    clock, endpoints = Clock(), Scripted()
    if settings.provider == "cloudflare":
        monitors = origins(seed, clock, endpoints, settings)
        [settling] = [check.settling for check in monitors.origins.values()]
        clock.run_until(settling + seed % 17)

        def healthy() -> bool:
            return monitors.healthy("p", "a")
    else:
        config = {
            "protocol": "HTTPS", "intervalInSeconds": settings.interval_seconds, "timeoutInSeconds": settings.timeout,
            "toleratedNumberOfFailures": settings.threshold - 1,
        }  # fmt: skip
        probing = Probing([("e", ADDRESS, config)], clock, endpoints, seed)
        clock.run_until(probing.checks["e"].settling + seed % 17)

        def healthy() -> bool:
            return probing.status("e") == "Online"

    assert healthy()
    endpoints.strike(kind, address=ADDRESS)
    began = clock.now
    while healthy():
        clock.run_until(clock.next_due)
        assert clock.now - began < 1000
    return clock.now - began


def p95(values: list[float]) -> float:
    return sorted(values)[math.ceil(0.95 * len(values)) - 1]


@pytest.mark.parametrize("kind", ["refused", "blackhole", "error"])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"threshold": 1},
        {"threshold": 3},
        {"retries": 1},
        {"check_regions": ("WEU",)},
        {"check_regions": ("WEU", "ENAM")},  # healthy takes the majority: one of two that fails is enough
        {"check_regions": ("WEU", "ENAM", "WNAM", "OC")},
    ],
    ids=str,
)
def test_cloudflares_monitors_notice_when_the_budget_says(changes: dict[str, Any], kind: Failure) -> None:
    settings = CheckSettings(provider="cloudflare", **{**CHECK, **changes})
    computed = budget(settings).row(kind).detection
    found = [noticed(seed, settings, kind) for seed in range(FAILURES)]
    assert p95(found) == pytest.approx(computed.p95, abs=1.0)
    assert sorted(found)[FAILURES // 2] == pytest.approx(computed.median, abs=1.5)
    assert max(found) <= computed.worst + TRIPS


@pytest.mark.parametrize("tolerated", [0, 1, 3])
@pytest.mark.parametrize(("interval", "timeout"), [(10, 5), (10, 9), (30, 10)])
def test_traffic_manager_tolerates_as_many_failures_as_it_is_told(tolerated: int, interval: int, timeout: int) -> None:
    """Several agents decide here and one in the budget, so only the bounds are the same: the first failing probe of an
    agent within one interval, and as many intervals more as failures are tolerated."""
    settings = CheckSettings(
        provider="traffic-manager", interval_seconds=interval, threshold=tolerated + 1, timeout_seconds=timeout
    )
    known = detector(settings, "blackhole")
    assert known.after == tolerated * interval + timeout
    found = [noticed(seed, settings, "blackhole") for seed in range(40)]
    assert min(found) >= known.after
    assert max(found) <= known.worst + TRIPS
