"""How long the failover budget takes: 100,000 simulated failures, and the output of every preview."""

from __future__ import annotations

import time

from infra.dns.budget import CheckSettings, as_dict, budget, simulate
from infra.dns.checkers import _areas, agreed, agreed_at

FAILURES = 100_000


def measure() -> dict[str, float]:
    """Seconds for a simulation of 100,000 silent failures, and milliseconds for the stack's output, nothing cached."""
    settings = CheckSettings(provider="route53", interval_seconds=10, threshold=2)
    started = time.perf_counter()
    simulate(settings, "blackhole", FAILURES)
    simulation = time.perf_counter() - started
    for cached in (agreed, agreed_at, _areas):
        cached.cache_clear()
    started = time.perf_counter()
    as_dict(budget(settings), 60)
    return {
        "dns_budget_simulation_s": round(simulation, 3),
        "dns_budget_output_ms": round((time.perf_counter() - started) * 1000, 2),
    }
