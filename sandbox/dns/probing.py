"""Azure Traffic Manager's probing agents, event by event on a clock.

Agents in several places probe every enabled endpoint each `intervalInSeconds`, and give up after `timeoutInSeconds`;
more than `toleratedNumberOfFailures` failures in a row, counted in each place, make it Degraded, one success Online
again (https://learn.microsoft.com/azure/traffic-manager/traffic-manager-monitoring). How many places there are, and how
many have to agree, is not documented: here five, of which most decide.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from sandbox.dns.clock import Clock
from sandbox.dns.geography import ELSEWHERE_MS, round_trip_ms
from sandbox.dns.health import Endpoints
from sandbox.dns.probe import Limits, Log, Result, Streak, probe

PLACES = ("us-east-1", "us-west-2", "eu-west-1", "ap-southeast-1", "sa-east-1")
INTERVAL, TOLERATED = 30, 3
_TIMEOUT = {10: 9, 30: 10}
Lookup = Callable[[str], str | None]


class Probing:
    """The agents of every probed endpoint, running. version: changes whenever an endpoint's status does."""

    def __init__(
        self,
        targets: Iterable[tuple[str, str, Mapping[str, Any]]],
        clock: Clock,
        endpoints: Endpoints,
        seed: int = 0,
        *,
        log: Log | None = None,
        lookup: Lookup | None = None,
    ) -> None:
        """targets: (endpoint's resource id, its target, `monitorConfig` of its profile). lookup: address of a name."""
        self.clock, self.endpoints, self.log, self.lookup = clock, endpoints, log or Log(), lookup
        self.version = 0
        self.checks: dict[str, Probed] = {}
        for id, target, config in targets:
            self.checks[id] = Probed(self, id, target, config, random.Random(f"{seed}/{len(self.checks)}"))
        for check in self.checks.values():
            check.start()

    def status(self, id: str) -> str:
        """Online | Degraded | CheckingEndpoint; Online for an endpoint that is not probed."""
        check = self.checks.get(id)
        return check.status if check else "Online"


class Probed:
    """The agents of one endpoint."""

    def __init__(
        self, probing: Probing, id: str, target: str, config: Mapping[str, Any], chance: random.Random
    ) -> None:
        self._probing, self._chance, self.target = probing, chance, target
        self.name = id.rsplit("/", 1)[-1]
        protocol = str(config.get("protocol") or "HTTP").upper()
        self._http, self._tls = protocol != "TCP", protocol == "HTTPS"
        self.interval = float(config.get("intervalInSeconds") or INTERVAL)
        timeout = float(config.get("timeoutInSeconds") or _TIMEOUT.get(int(self.interval), 10))
        self._limits = Limits(timeout, timeout)
        tolerated = config.get("toleratedNumberOfFailures")
        down = (TOLERATED if tolerated is None else int(tolerated)) + 1
        self._ranges = [(int(r["min"]), int(r["max"])) for r in config.get("expectedStatusCodeRanges") or ()]
        self.agents = [(place, Streak(down, 1, None)) for place in PLACES]
        self.status = "CheckingEndpoint"
        self._failing: set[str] = set()

    @property
    def settling(self) -> float:
        """Seconds after which every agent has made up its mind anew, however slow its probes."""
        return (self.agents[0][1].down + 1) * self.interval + self._limits.response

    def start(self) -> None:
        for place, streak in self.agents:
            self._probing.clock.after(self._chance.random() * self.interval, self._agent(place, streak))

    def _agent(self, place: str, streak: Streak) -> Callable[[], None]:
        clock = self._probing.clock

        def start() -> None:
            began, result = clock.now, self._probe(place)

            def done() -> None:
                self._took(place, streak, result)
                clock.at(began + self.interval, start)  # "tries again at the interval"

            clock.after(result.seconds, done)

        return start

    def _probe(self, place: str) -> Result:
        p = self._probing
        named = any(c.isalpha() for c in self.target) and ":" not in self.target
        address = (p.lookup(self.target) if p.lookup else None) if named else self.target
        if address is None:
            return Result(False, 0.0, f"{self.target} has no address")
        region = p.endpoints.region(address)
        trip = (round_trip_ms(place, region) if region else ELSEWHERE_MS) / 1000
        result = probe(p.endpoints.behaviour(address), self._limits, trip, tls=self._tls, http=self._http)
        if self._http and self._ranges and result.saw.startswith("answered"):
            code = int(result.saw.split()[1])
            return Result(any(low <= code <= high for low, high in self._ranges), result.seconds, result.saw)
        return result

    def _took(self, place: str, streak: Streak, result: Result) -> None:
        p = self._probing
        if not result.ok and place not in self._failing:
            if not self._failing:
                p.log.add(p.clock.now, "probes", self.name, f"first probe fails: {result.saw}")
            self._failing.add(place)
        elif result.ok and place in self._failing:
            self._failing.discard(place)
            if not self._failing:
                p.log.add(p.clock.now, "probes", self.name, "probes of all agents pass again")
        if streak.add(result.ok):
            self._judge()

    def _judge(self) -> None:
        p, half = self._probing, len(self.agents) / 2
        passing = sum(s.opinion is True for _, s in self.agents)
        failing = sum(s.opinion is False for _, s in self.agents)
        status = "Online" if passing > half else "Degraded" if failing > half else self.status
        if status != self.status:
            first, self.status = self.status == "CheckingEndpoint", status
            p.version += 1
            if not (first and status == "Online"):
                p.log.add(p.clock.now, "check", self.name, f"{status}: {passing} of {len(self.agents)} agents pass")
