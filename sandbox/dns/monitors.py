"""Cloudflare's monitors, event by event on a clock.

Three data centres of each check region probe every origin of a pool; a region passes when most of its data centres do,
an origin is healthy when most regions say so
(https://developers.cloudflare.com/load-balancing/understand-basics/health-details/). An origin whose health is not
known yet counts as down. `consecutiveDown` and `consecutiveUp` are counted at each data centre; data centres do not
wait for each other.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from sandbox.dns.clock import Clock
from sandbox.dns.geography import ELSEWHERE_MS, locale, regions, round_trip_ms
from sandbox.dns.health import Endpoints
from sandbox.dns.probe import Limits, Log, Result, Streak, probe
from sandbox.kinds import Resource

MONITOR = "cloudflare:index/loadBalancerMonitor:LoadBalancerMonitor"
POOL = "cloudflare:index/loadBalancerPool:LoadBalancerPool"
DATA_CENTRES = 3
# https://developers.cloudflare.com/load-balancing/reference/region-mapping-api/
REGIONS = ("WNAM", "ENAM", "WEU", "EEU", "NSAM", "SSAM", "OC", "ME", "NAF", "SAF", "SAS", "SEAS", "NEAS")
_NEAR = {"EEU": "eu-north-1", "NSAM": "mx-central-1", "NAF": "eu-south-1"}
"""Regions of Cloudflare without an AWS region: the one whose distance stands for theirs."""
# Defaults: https://developers.cloudflare.com/api/resources/load_balancers/subresources/monitors/methods/create/
INTERVAL, TIMEOUT, RETRIES = 60, 5, 2


class Monitors:
    """The monitors of every pool, running. version: changes whenever an origin's health does."""

    def __init__(
        self,
        pools: Iterable[Resource],
        monitors: Iterable[Resource],
        clock: Clock,
        endpoints: Endpoints,
        seed: int = 0,
        *,
        log: Log | None = None,
    ) -> None:
        self.clock, self.endpoints, self.log = clock, endpoints, log or Log()
        self.version = 0
        self.origins: dict[tuple[str, str], OriginCheck] = {}
        known = {m.id: m.outputs for m in monitors}
        for pool in pools:
            monitor = known.get(str(pool["monitor"] or ""))
            if monitor is None or pool["enabled"] is False:  # disabled: excluded from health checks
                continue
            for origin in pool["origins"] or ():
                if origin.get("enabled") is False:
                    continue
                chance = random.Random(f"{seed}/{len(self.origins)}")
                check = OriginCheck(self, pool, origin, monitor, chance)
                self.origins[pool.id, str(origin["name"])] = check
        for check in self.origins.values():
            check.start()

    def healthy(self, pool: str, origin: str) -> bool:
        """Whether an origin is healthy; one that no monitor looks at is taken as it is."""
        check = self.origins.get((pool, origin))
        return check.healthy if check else True


class OriginCheck:
    """The data centres that probe one origin."""

    def __init__(
        self,
        monitors: Monitors,
        pool: Resource,
        origin: Mapping[str, Any],
        monitor: Mapping[str, Any],
        chance: random.Random,
    ) -> None:
        self._monitors, self._chance = monitors, chance
        self.name = f"{pool['name']}/{origin['name']}"
        self.address = str(origin["address"])
        kind = str(monitor.get("type") or "http")
        self._http, self._tls = kind in ("http", "https"), kind == "https"
        self.interval = float(monitor.get("interval") or INTERVAL)
        timeout = float(monitor.get("timeout") or TIMEOUT)
        self._limits = Limits(timeout, timeout)
        self._timeout = timeout
        retries = monitor.get("retries")
        self._retries = RETRIES if retries is None else int(retries)
        self._body = str(monitor.get("expectedBody") or "")
        self._path = str(monitor.get("path") or "/")
        down, up = int(monitor.get("consecutiveDown") or 1), int(monitor.get("consecutiveUp") or 1)
        chosen = [str(r) for r in pool["checkRegions"] or REGIONS]
        self.regions = list(REGIONS) if chosen == ["ALL_REGIONS"] else chosen
        self.centres = {r: [Streak(down, up, None) for _ in range(DATA_CENTRES)] for r in self.regions}
        self.healthy = False  # not known yet
        self.known = False
        self._failing: set[tuple[str, int]] = set()

    @property
    def settling(self) -> float:
        """Seconds after which every data centre has made up its mind anew, however slow its probes."""
        streak = next(iter(self.centres.values()))[0]
        slowest = self._timeout * (self._retries + 1)
        return (max(streak.down, streak.up) + 1) * max(self.interval, slowest) + slowest

    def start(self) -> None:
        for region, streaks in self.centres.items():
            for number, streak in enumerate(streaks):
                start = self._prober(region, number, streak)
                self._monitors.clock.after(self._chance.random() * self.interval, start)

    def _prober(self, region: str, number: int, streak: Streak) -> Callable[[], None]:
        clock = self._monitors.clock
        place = _place(region)

        def start() -> None:
            began = clock.now

            def attempt(left: int) -> None:
                result = self._probe(place)

                def done() -> None:
                    if not result.ok and result.seconds >= self._timeout and left > 0:
                        attempt(left - 1)  # "retries are attempted immediately", after a timeout
                        return
                    self._took(region, number, streak, result)
                    clock.at(began + self.interval, start)

                clock.after(result.seconds, done)

            attempt(self._retries)

        return start

    def _probe(self, place: str) -> Result:
        endpoints = self._monitors.endpoints
        region = endpoints.region(self.address)
        trip = (round_trip_ms(place, region) if region else ELSEWHERE_MS) / 1000
        result = probe(endpoints.behaviour(self.address), self._limits, trip, tls=self._tls, http=self._http)
        body = "ready" if self._path.partition("?")[0] == "/readyz" else ""
        if result.ok and self._http and self._body.lower() not in body:
            return Result(False, result.seconds, f"no {self._body!r} in the body")
        return result

    def _took(self, region: str, number: int, streak: Streak, result: Result) -> None:
        m, where = self._monitors, (region, number)
        if result.ok:
            if where in self._failing:
                self._failing.discard(where)
                if not self._failing:
                    m.log.add(m.clock.now, "probes", self.name, "probes of all data centres pass again")
        elif where not in self._failing:
            if not self._failing:
                m.log.add(m.clock.now, "probes", self.name, f"first probe fails: {result.saw}")
            self._failing.add(where)
        if streak.add(result.ok):
            self._judge()

    def _judge(self) -> None:
        passing = sum(2 * sum(s.opinion is True for s in streaks) > DATA_CENTRES for streaks in self.centres.values())
        decided = sum(
            2 * max(sum(s.opinion is True for s in streaks), sum(s.opinion is False for s in streaks)) > DATA_CENTRES
            for streaks in self.centres.values()
        )
        if 2 * decided <= len(self.centres):  # most regions know nothing yet
            return
        healthy = 2 * passing > len(self.centres)
        if healthy != self.healthy or not self.known:
            first, self.known, self.healthy = not self.known, True, healthy
            m = self._monitors
            m.version += 1
            if not (first and healthy):
                told = f"{'healthy' if healthy else 'unhealthy'}: {passing} of {len(self.centres)} regions say healthy"
                m.log.add(m.clock.now, "check", self.name, told)


def _place(region: str) -> str:
    """The AWS region that is as far away as a region of Cloudflare."""
    found = [name for name in regions() if locale(name).cloudflare == region]
    return _NEAR.get(region) or (found[0] if found else "us-east-1")
