"""Failover by voting: single checkers, walked through their failing probes, report to the provider's documented rule.

Made to disagree with infra/dns/checkers.py should one of both be wrong: nothing here knows of an order statistic.
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil
from random import Random
from typing import Final

from infra.dns.checkers import (
    CLOUDFLARE_PROBES_PER_REGION,
    ROUTE53_CHECKERS_PER_REGION,
    ROUTE53_HEALTHY_PERCENT,
    CheckSettings,
    Distribution,
    Failure,
    detector,
    probe_seconds,
)

SEED: Final = 20261121
"""Of a simulation that is not given one."""


def simulate(
    settings: CheckSettings,
    failure: Failure,
    failures: int = 100_000,
    seed: int = SEED,
    *,
    clients: bool = False,
) -> Distribution:
    """Detection over so many simulated failures, in seconds; with `clients` one client's whole wait in each of them.

    Each checker starts at a random moment of its own, is walked through its failing probes, and reports; the provider's
    documented rule is asked again after each report. `worst` is the longest that occurred. Same seed, same numbers.
    Raises ValueError when `failures` is below 1.
    """
    if failures < 1:
        raise ValueError(f"failures = {failures}: must be at least 1")
    draw = Random(seed).random
    cap, cache = detector(settings, failure).at_most, settings.cache_seconds
    last = _last_report(settings, failure)
    period = settings.interval_seconds + (settings.answer_seconds if settings.provider == "route53" else 0)
    of_address, addresses = _vote(settings), range(settings.addresses)

    def vote(draw: Callable[[], float]) -> float:
        return max(of_address(draw) for _ in addresses)

    times = []
    for _ in range(failures):
        seconds = min(cap, vote(draw) * period + last)
        times.append(seconds + draw() * cache if clients and cache else seconds)
    times.sort()
    return Distribution(times[ceil(0.5 * failures) - 1], times[ceil(0.95 * failures) - 1], times[-1])


def _last_report(settings: CheckSettings, failure: Failure) -> float:
    """Seconds from the start of a checker's first failing probe until it calls the member unhealthy."""
    probe, clock, failed = probe_seconds(settings, failure), 0.0, 0
    while True:
        ended = clock + probe
        failed += 1
        if failed == settings.threshold:
            return ended
        if settings.provider == "route53":  # the next request follows `interval` after the answer
            clock = ended + settings.interval_seconds
        else:
            clock = max(clock + settings.interval_seconds, ended)


Vote = Callable[[Callable[[], float]], float]


def _vote(settings: CheckSettings) -> Vote:
    """A function that draws the checkers' moments (0 to 1 of a period) and returns the one that turns the result."""
    if settings.provider == "route53":
        checkers = ROUTE53_CHECKERS_PER_REGION * len(settings.regions)

        def of_checkers(draw: Callable[[], float]) -> float:
            healthy = checkers
            for moment in sorted([draw() for _ in range(checkers)]):
                healthy -= 1
                if healthy * 100 <= ROUTE53_HEALTHY_PERCENT * checkers:
                    return moment
            raise AssertionError("no checker left, and still healthy")

        return of_checkers
    if settings.provider == "cloudflare":
        regions = range(len(settings.regions))
        per_region = CLOUDFLARE_PROBES_PER_REGION

        def of_regions(draw: Callable[[], float]) -> float:
            passing, healthy = [per_region] * len(regions), len(regions)
            reports = sorted([(draw(), region) for region in regions for _ in range(per_region)])
            for moment, region in reports:
                was = passing[region] * 2 > per_region
                passing[region] -= 1
                if was and passing[region] * 2 <= per_region:
                    healthy -= 1
                    if healthy * 2 <= len(regions):
                        return moment
            raise AssertionError("no data center left, and still healthy")

        return of_regions
    return lambda draw: draw()
