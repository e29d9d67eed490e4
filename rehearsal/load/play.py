"""Load on the clock of a rehearsal: who asks whom, who is answered, and what nodes tell of it.

load = LoadPlay(clock, {"llm.example.com": Arrivals(20.0, begin)}, {"aws-us-east-1": rate}, where=clients, nodes=level,
                limit_seconds=5.0)
load.changed()                # levels or shares have changed: RegionPlay.on_level, DnsPlay.on_change
load.answering("aws-us-east-1")      # 0 while its nodes call themselves unready for their load
clock.run(end)
load.results()
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np

from infra.faults import did_you_mean, listed
from rehearsal.load.arrivals import Arrivals, Retry
from rehearsal.load.flow import Done, Flow, Spot, leave
from rehearsal.load.gate import Gate
from rehearsal.load.rates import ServiceRate
from rehearsal.load.signal import Signal
from rehearsal.load.station import Floats, Station, quantiles
from rehearsal.load.traffic import Series
from rehearsal.regions.clock import Clock, Order
from rehearsal.regions.nodes import RegionLevel
from rehearsal.result import LoadResult, Source, Traffic
from spillway.errors import SpillwayError

PERCENTILES: Final = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}


Cpu = tuple[float, float]


class LoadPlay:
    """Plays from `clock.now` on; whoever owns the clock runs it.

    arrivals: by service. serving: by member, what one of its nodes does; None: a place that answers everything at once
    (a static endpoint of which nothing is known). where: of a service, the share of its clients' tries at each member;
    what they lack of one has nobody to ask. nodes: how many of a member are sent requests and answer. breaks: whether
    nodes of a member that go now take what they work on with them (no notice, a dark region); else it is finished.
    cpu: members whose nodes report their CPU: percent of an idle one, and of one whose batch is full; in between by
    the requests in the batch. All others report requests that wait. limit_seconds: time to first token, of the prompt
    and the queue together, beyond which an answer is late.
    Raises SpillwayError for a limit or a service that is none.
    """

    def __init__(
        self,
        clock: Clock,
        arrivals: Mapping[str, Arrivals],
        serving: Mapping[str, ServiceRate | None],
        *,
        where: Callable[[str], Mapping[str, float]],
        nodes: Callable[[str], RegionLevel],
        limit_seconds: float,
        retry: Retry | None = None,
        breaks: Callable[[str], bool] | None = None,
        cpu: Mapping[str, Cpu] | None = None,
    ) -> None:
        if not (math.isfinite(limit_seconds) and limit_seconds > 0):
            raise SpillwayError(f"load.limitSeconds = {limit_seconds:g}: expected a number above 0")
        self.clock, self.arrivals, self.serving = clock, dict(arrivals), dict(serving)
        self.limit, self.retry = limit_seconds, retry or Retry()
        self._where, self._nodes, self._breaks = where, nodes, breaks or (lambda member: False)
        self.begin = self._at = clock.now
        self.services, self.names = list(self.arrivals), list(self.serving)
        self._surge = dict.fromkeys(self.services, 1.0)
        spots = [Spot(name, rate, len(self.services)) for name, rate in self.serving.items()]
        for spot in spots:
            if spot.rate is not None and spot.station is not None:
                spot.late = spot.station.late(limit_seconds - spot.rate.prefill).tolist()
        self.flow = Flow(spots, len(self.services), self.retry.pauses)
        self._levels = dict.fromkeys(self.names, RegionLevel(0.0, 0, 0))
        self.gates = {spot.name: Gate(spot) for spot in spots}
        self._cpu = dict(cpu or {})
        for name, told in self._cpu.items():
            if name not in self.serving or not 0 <= told[0] <= told[1] <= 100:
                raise SpillwayError(f"load.cpu: {name}: {told[0]:g} to {told[1]:g} %: expected a member, 0 to 100")
        self.signals = {
            name: Signal("cpu" if name in self._cpu else "queue", self._until_now, lambda: self.flow.still)
            for name in self.names
        }
        """What each member's nodes report of their load, for `rehearsal.regions.follow`."""
        self.on_change: list[Callable[[], None]] = []
        """Called once whenever `answering` of any member has changed."""
        self.log: list[tuple[float, str, str, str]] = []
        """(at, member, what, why): nodes that call themselves unready for their load, or ready again."""
        self._rows = [
            [np.zeros(len(spot.station.number) if spot.station else 2) for spot in spots] for _ in self.services
        ]
        self._sums = [Done() for _ in self.services]
        self._series = [Series(self.begin) for _ in self.services]
        self._left: list[list[Done]] = [[] for _ in self.services]
        """Of nodes that have just gone: what they finish."""
        self._due: float = math.inf
        self.changed()

    # --- what a scenario, regions or DNS say -------------------------------------------------------------------------

    def changed(self) -> None:
        """Levels, shares or arrivals are no longer what they were: looked at within this second, after the regions."""
        self._plan(self.clock.now)

    def set_surge(self, service: str, factor: float) -> None:
        """So many times the arrivals of the profile, from now on."""
        if service not in self._surge:
            known = listed(self.services, "and")
            raise SpillwayError(f"{service}: no such service{did_you_mean(service, self.services)}; there are {known}")
        if not (math.isfinite(factor) and factor >= 0):
            raise SpillwayError(f"{service}: surge = {factor:g}: expected a factor of at least 0")
        self._surge[service] = factor
        self.changed()

    # --- what regions, DNS and reports ask ---------------------------------------------------------------------------

    def answering(self, member: str) -> float:
        """Share of a member's nodes that do not call themselves unready for their load."""
        return 1.0 if self.gates[member].ready else 0.0

    def queue(self, member: str) -> float | None:
        """Requests that wait, mean over the nodes that report; None where none does. As of now."""
        self._until_now()
        return self._mean(self.names.index(member), lambda one: one.waiting)

    def results(self) -> tuple[LoadResult, ...]:
        """What came of it until now. Requests still inside count as answered, tries still to come as failed."""
        self._until_now()
        return tuple(self._result(number) for number in range(len(self.services)))

    @property
    def sources(self) -> tuple[Source, ...]:
        """Where the rates are from, each once."""
        found = [source for rate in self.serving.values() if rate is not None for source in rate.sources]
        return tuple(dict.fromkeys(found))

    # --- on the clock ------------------------------------------------------------------------------------------------

    def _plan(self, at: float) -> None:
        if at < self._due:
            self._due = at
            self.clock.at(at, Order.LOAD, self._tick)

    def _tick(self) -> None:
        if self.clock.now < self._due:
            return  # what planned it has come earlier
        self._due = math.inf
        self._until_now()
        was_still = self.flow.still
        moved = self._read()
        now = self.clock.now
        again, told = self._hour(), False
        for name, gate in self.gates.items():
            changed, look = gate.look(now)
            again = min(again, look)
            if changed:
                told = True
                what = "nodes are ready again" if gate.ready else f"nodes call themselves unready: {gate.why}"
                self.log.append((now, name, what, "their load"))
        if not self.flow.still:
            again = min(again, now + self.flow.step)
        if moved and was_still:
            for signal in self.signals.values():
                for call in signal.on_change:
                    call()
        self._plan(again)
        if told:
            for call in self.on_change:
                call()

    def _hour(self) -> float:
        """When arrivals may change next."""
        into = self._at - self.begin
        return self.begin + min((one.following(into) for one in self.arrivals.values()), default=math.inf)

    def _until_now(self) -> float:
        """Follow the flow to now, in the world as it was read last."""
        now = self.clock.now
        if now <= self._at:
            return now
        for seconds, done in self.flow.run(now - self._at):
            self._at += seconds
            for number, one in enumerate(done):
                for extra in self._left[number]:
                    one.add(extra)
                self._left[number] = []
                self._sums[number].add(one)
                self._sums[number].departures = []
                self._count(number, one)
                self._series[number].add(seconds, one)
            for place, name in enumerate(self.names):
                self.signals[name].note(self._at, self._reported(place))
        self._at = now
        return now

    def _read(self) -> bool:
        """The world as it is now. Returns whether it is another."""
        flow, before = self.flow, self._given()
        for place, (name, spot) in enumerate(zip(self.names, flow.members, strict=True)):
            level = self._nodes(name)
            if level.receiving < spot.receiving:
                self._go(place, spot, 1 - level.receiving / spot.receiving)
            spot.receiving, spot.refusing = level.receiving, level.refusing
            self._levels[name] = level
        for number, service in enumerate(self.services):
            flow.arriving[number] = self.arrivals[service].rate(self._at - self.begin) * self._surge[service]
            shares = self._where(service)
            flow.shares[number] = [shares.get(name, 0.0) for name in self.names]
        if before == self._given():
            return False
        flow.changed()
        return True

    def _given(self) -> tuple[object, ...]:
        flow = self.flow
        levels = tuple((spot.receiving, spot.refusing, self._levels[spot.name].ready) for spot in flow.members)
        return tuple(flow.arriving), tuple(map(tuple, flow.shares)), levels

    def _go(self, place: int, spot: Spot, share: float) -> None:
        """A share of a member's nodes leaves with what is in them."""
        number, breaks = spot.number, self._breaks(spot.name)
        for service, inside in enumerate(spot.inside):
            gone = inside * share
            spot.inside[service] = inside - gone
            if breaks:
                self.flow.broken[service] += gone
            elif gone:
                self._left[service].append(leave(spot, place, gone, number))

    def _reported(self, place: int) -> float | None:
        """What a member's nodes report."""
        spot = self.flow.members[place]
        if spot.name not in self._cpu:
            return self._mean(place, lambda one: one.waiting)
        idle, busy = self._cpu[spot.name]
        held, waits = self._mean(place, lambda one: one.number), self._mean(place, lambda one: one.waiting)
        if held is None or waits is None or spot.station is None:
            return None
        return idle + (busy - idle) * (held - waits) / spot.station.concurrency

    def _mean(self, place: int, column: Callable[[Station], Sequence[float]]) -> float | None:
        """Mean of a node's figure over those that are ready, of which the balancer may not know all yet."""
        spot = self.flow.members[place]
        reporting = self._levels[spot.name].ready
        if reporting <= 0 or spot.station is None:
            return None
        return spot.station.at(column(spot.station), spot.number) * min(1.0, spot.receiving / reporting)

    # --- sums --------------------------------------------------------------------------------------------------------

    def _count(self, service: int, done: Done) -> None:
        for place, row, way, answered in done.departures:
            rows = self._rows[service][place]
            rows[row] += answered * (1 - way)
            rows[row + 1] += answered * way

    def _result(self, number: int) -> LoadResult:
        total, rows = Done(), [one.copy() for one in self._rows[number]]
        total.add(self._sums[number])
        for extra in self._left[number]:
            total.add(extra)
        for place, spot in enumerate(self.flow.members):
            total.add(leave(spot, place, spot.inside[number], spot.number))
        total.failed += sum(self.flow.orbits[number]) + self.flow.broken[number]
        for place, row, way, answered in total.departures:
            rows[place][row] += answered * (1 - way)
            rows[place][row + 1] += answered * way
        return LoadResult(
            service=self.services[number],
            arrived=total.arrived,
            served=total.answered - total.late,
            late=total.late,
            failed=total.failed,
            retried=total.retried,
            ttft=self._percentiles(rows),
            limit=self.limit,
            traffic=self._traffic(number),
        )

    def _percentiles(self, rows: list[Floats]) -> dict[str, float]:
        stations = [spot.station for spot in self.flow.members]
        whole = sum(float(one.sum()) for one in rows)
        known = [one.times for one in stations if one is not None]
        if not known or not whole:
            return dict.fromkeys(PERCENTILES, 0.0)
        times = np.unique(np.concatenate(known))
        beyond = np.zeros(len(times))
        for one, weights in zip(stations, rows, strict=True):
            if one is not None:
                beyond += np.interp(times, one.times, weights @ one.beyond, right=0.0)
        return dict(zip(PERCENTILES, quantiles(times, beyond / whole, tuple(PERCENTILES.values())), strict=True))

    def _traffic(self, number: int) -> tuple[Traffic, ...]:
        return self._series[number].traffic()
