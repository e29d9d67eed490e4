"""Outages that are about as long as detection takes: noticed as often as by the stand-in's checkers, which are written
apart from these."""

from __future__ import annotations

import pytest

from infra.dns.checkers import CheckSettings, Failure
from rehearsal.dns.checks import MemberCheck
from rehearsal.regions.clock import Clock
from sandbox.dns.checkers import Checks
from sandbox.dns.clock import Clock as StandInClock
from sandbox.dns.health import Scripted
from sandbox.dns.monitors import MONITOR, POOL, Monitors
from sandbox.weather import DownKind
from tests.support.dns_zone import check, resource

ADDRESS = "203.0.113.1"
SEEDS = 150
NEAR = 0.15
"""More than 2.5 standard deviations of the difference of two shares among so many."""
BEGIN = 200.0


def noticed(provider: str, failure: Failure, seconds: float) -> float:
    """Share of the outages after which the verdict was unhealthy for a time."""
    regions = ("WNAM", "ENAM", "WEU") if provider == "cloudflare" else None
    settings = CheckSettings(
        provider="cloudflare" if provider == "cloudflare" else "route53", interval_seconds=10, threshold=2,
        timeout_seconds=5 if provider == "cloudflare" else None, check_regions=regions, answer_seconds=0.25,
    )  # fmt: skip
    found = 0
    for seed in range(SEEDS):
        clock, seen = Clock(), [False]

        def note(seen: list[bool] = seen) -> None:
            seen[0] = True

        one = MemberCheck(clock, settings, 1, str(seed), note)
        clock.run(BEGIN)
        one.show(0.0, failure, False)
        clock.run(BEGIN + seconds)
        one.show(1.0, failure, False)
        clock.run(BEGIN + 200)
        assert one.healthy
        found += seen[0]
    return found / SEEDS


def running(provider: str, clock: StandInClock, script: Scripted, seed: int) -> Checks | Monitors:
    if provider == "route53":
        return Checks([check("c", ADDRESS)], clock, script, seed)
    monitor = resource(
        MONITOR, "m", type="https", interval=10, timeout=5, retries=0, consecutiveDown=2, consecutiveUp=2
    )
    origins = [{"name": "o", "address": ADDRESS}]
    pool = resource(POOL, "p", name="p", monitor="m", checkRegions=["WNAM", "ENAM", "WEU"], origins=origins)
    return Monitors([pool], [monitor], clock, script, seed)


def noticed_there(provider: str, kind: DownKind, seconds: float) -> float:
    """The same of the stand-in's."""
    found = 0
    for seed in range(SEEDS):
        clock, script = StandInClock(), Scripted()
        checks = running(provider, clock, script, seed)
        clock.run_until(BEGIN)
        before = checks.version
        script.strike(kind, address=ADDRESS)
        clock.run_until(BEGIN + seconds)
        script.lift(address=ADDRESS)
        clock.run_until(BEGIN + 200)
        found += checks.version > before
    return found / SEEDS


@pytest.mark.parametrize(
    ("provider", "failure", "kind", "seconds"),
    [
        ("route53", "refused", "refused", 18.0),
        ("route53", "refused", "refused", 19.5),
        ("route53", "blackhole", "blackhole", 21.0),
        ("cloudflare", "error", "error", 15.0),
        ("cloudflare", "error", "error", 17.0),
    ],
)
def test_short_outages_are_noticed_as_often(provider: str, failure: Failure, kind: DownKind, seconds: float) -> None:
    there = noticed_there(provider, kind, seconds)
    assert noticed(provider, failure, seconds) == pytest.approx(there, abs=NEAR)
