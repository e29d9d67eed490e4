"""The simulator of capacity: launches, boots, losses and bills, from event to event; quiet time costs nothing.

At one time, in this order: changes of what a zone gives (zones in the trace's order; of what is lost the youngest goes
first, then the higher id), ends of what had notice, boots that are done, launches known to have failed, new prices;
then the policy is asked, at most once a tick and only when something happened since, or when it wanted to be woken:
the wish of its last decision counts.
What it orders happens at once: ends first, then launches in its order, each given min(asked, what the zone gives - what
is held there). What has notice drains: it is billed to its end, serves nobody and holds nothing of the zone. Time up to
the first boot counts for the bill and not for availability: nobody can be ready by then.
"""

from __future__ import annotations

import heapq
import math
import random
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from rehearsal.model import (
    HOUR,
    Cause,
    Decision,
    Entry,
    Error,
    Faults,
    Held,
    Instance,
    Launch,
    Loss,
    Market,
    Outcome,
    Policy,
    Setting,
    View,
)
from rehearsal.trace import Trace

_CAPACITY, _END, _BOOT, _FAILED, _PRICE, _WAKE = range(6)
"""Kinds of events, in their order at one time."""
_SLACK: Final = 1e-6
"""Of a tick: times that are sums of floats."""


@dataclass(frozen=True, slots=True)
class Level:
    """How many serve from `at` on."""

    at: float
    spot: int
    on_demand: int

    @property
    def ready(self) -> int:
        return self.spot + self.on_demand


@dataclass(slots=True)
class Played:
    """What came of it. instances: all there ever were, with when their bills end. levels: in order of time, first at 0.

    begin: from when availability counts. outcomes: of every order, as it was given. losses: instances that were taken.
    """

    setting: Setting
    begin: float
    end: float
    instances: list[Instance]
    levels: list[Level]
    outcomes: list[Outcome]
    losses: int
    log: list[Entry] = field(default_factory=list)

    def segments(self, begin: float | None = None, end: float | None = None) -> Iterator[tuple[float, float, int]]:
        """(from, to, how many serve) within the counted time."""
        begin = self.begin if begin is None else max(begin, self.begin)
        end = self.end if end is None else end
        for index, level in enumerate(self.levels):
            upto = self.levels[index + 1].at if index + 1 < len(self.levels) else self.end
            first, last = max(level.at, begin), min(upto, end)
            if last > first:
                yield first, last, level.ready

    def share(self, holds: Callable[[int], bool], begin: float | None = None, end: float | None = None) -> float:
        """Share of the counted time in which the number that serves is so; 1 where no time counts."""
        whole = kept = 0.0
        for first, last, ready in self.segments(begin, end):
            whole += last - first
            kept += last - first if holds(ready) else 0.0
        return kept / whole if whole else 1.0

    @property
    def availability(self) -> float:
        """Share of the time with at least the target ready."""
        return self.share(lambda ready: ready >= self.setting.target)

    @property
    def zero(self) -> float:
        """Share of the time with nothing ready."""
        return self.share(lambda ready: ready == 0)

    @property
    def deficit(self) -> float:
        """Instance-seconds that were missing to the target."""
        return sum((last - first) * max(0, self.setting.target - ready) for first, last, ready in self.segments())

    def longest(self, holds: Callable[[int], bool]) -> float:
        """Seconds of the longest stretch in which the number that serves is so."""
        best = run = 0.0
        for first, last, ready in self.segments():
            run = run + last - first if holds(ready) else 0.0
            best = max(best, run)
        return best

    def cost(self, market: Market | None = None, begin: float = 0.0, end: float | None = None) -> float:
        """USD billed between two times, of one market or both."""
        prices = {(zone.name, "spot"): zone.spot for zone in self.setting.zones}
        prices |= {(zone.name, "on-demand"): zone.on_demand for zone in self.setting.zones}
        until = self.end if end is None else end
        return sum(
            bill(
                prices[one.zone, one.market],
                max(one.launched, begin),
                min(self.end if one.ended is None else one.ended, until),
            )
            for one in self.instances
            if market in (None, one.market)
        )

    @property
    def asked(self) -> int:
        """Instances that were asked for."""
        return sum(one.asked for one in self.outcomes)

    @property
    def refused(self) -> int:
        """Those of them that were not given."""
        return sum(one.asked - one.given for one in self.outcomes)


def bill(series: tuple[tuple[float, float], ...], begin: float, end: float) -> float:
    """USD for one instance from `begin` to `end` at a price that changes over time."""
    if end <= begin:
        return 0.0
    if len(series) == 1:
        return series[0][1] * (end - begin) / HOUR
    total, index = 0.0, max(0, bisect_right(series, (begin, math.inf)) - 1)
    while begin < end:
        upto = min(end, series[index + 1][0]) if index + 1 < len(series) else end
        total += series[index][1] * (upto - begin) / HOUR
        begin, index = upto, index + 1
    return total


@dataclass(frozen=True, slots=True)
class _Capacity:
    zone: str
    count: int


@dataclass(frozen=True, slots=True)
class _Price:
    prices: dict[str, float]
    zone: str
    price: float


@dataclass(frozen=True, slots=True)
class _Wish:
    """A policy's, to be asked; number: of the decision that it is part of."""

    number: int


_What = _Capacity | _Price | _Wish | Instance | Outcome | None


class World:
    """One play of a trace against a policy. Use `play`."""

    def __init__(self, trace: Trace, policy: Policy, setting: Setting, faults: Faults, log: bool) -> None:
        if trace.zones != tuple(zone.name for zone in setting.zones):
            raise ValueError(f"the zones of the trace are {trace.zones}, those of the setting are others")
        self.policy, self.setting, self.faults = policy, setting, faults
        self.end = trace.end
        self.names = trace.zones
        self.capacity = dict.fromkeys(trace.zones, 0)
        self.held: dict[str, list[Instance]] = {zone: [] for zone in trace.zones}
        """Spot without notice, the youngest last."""
        self.live: dict[int, Instance] = {}
        self.spot = self.on_demand = 0
        """That serve."""
        self._serving: set[int] = set()
        self.all: list[Instance] = []
        self.outcomes: list[Outcome] = []
        self.lost = 0
        self.levels = [Level(0.0, 0, 0)]
        self.log: list[Entry] | None = [] if log else None
        self._known: list[Outcome] = []
        self._losses: list[Loss] = []
        self._news = True
        self._asked = -math.inf
        self._decisions = 0
        self._random = random.Random(faults.seed)
        self._prices: tuple[dict[str, float], dict[str, float]] = ({}, {})
        self._number = 0
        self._events: list[tuple[float, int, int, _What]] = []
        for at, index, count in trace.changes():
            self._push(at, _CAPACITY, _Capacity(trace.zones[index], count))
        for zone in setting.zones:
            for prices, series in zip(self._prices, (zone.spot, zone.on_demand), strict=True):
                if not series or series[0][0] != 0 or any(b[0] <= a[0] for a, b in pairwise(series)):
                    raise ValueError(f"{zone.name}: prices have to begin at 0, each later than the one before")
                for at, price in series:
                    self._push(at, _PRICE, _Price(prices, zone.name, price))

    def play(self) -> Played:
        while self._events and self._events[0][0] < self.end:
            now = self._events[0][0]
            while self._events and self._events[0][0] == now:
                _, kind, _, what = heapq.heappop(self._events)
                self._happens(now, kind, what)
            self._level(now)
            if self._news:
                self._ask(now)
        for one in self.live.values():
            one.ended, one.cause = self.end, "horizon"
        begin = min(self.setting.boot, self.end)
        log = self.log or []
        return Played(self.setting, begin, self.end, self.all, self.levels, self.outcomes, self.lost, log)

    # --- what happens ---------------------------------------------------------------------------------------------

    def _push(self, at: float, kind: int, what: _What) -> None:
        self._number += 1
        heapq.heappush(self._events, (at, kind, self._number, what))

    def _happens(self, now: float, kind: int, what: _What) -> None:
        match what:
            case _Capacity(zone, count):
                self.capacity[zone] = count
                while len(self.held[zone]) > count:
                    self._lose(now, self.held[zone].pop())
                return  # that a zone gives more is nothing that anybody is told
            case Instance() if kind == _END:
                self._finish(now, what, "lost")
                return  # they were told with its notice
            case Instance():
                if what.ended is not None or what.noticed is not None:
                    return
                self._count(what, 1)
            case Outcome():
                self._known.append(what)
            case _Wish(number):
                if number != self._decisions:
                    return  # a later decision has another, or none
            case _Price(prices, zone, price):
                if prices.get(zone) == price:
                    return
                prices[zone] = price
        self._news = True

    def _lose(self, now: float, one: Instance) -> None:
        self.lost += 1
        self._news = True
        self._count(one, -1)
        notice = self.faults.notice > 0
        self._losses.append(Loss(now, one.id, one.zone, now - one.launched, notice))
        self._tell(now, f"{one.zone}: spot {one.id} is taken", f"the zone gives {self.capacity[one.zone]}")
        if notice:
            one.noticed = now
            self._push(now + self.faults.notice, _END, one)
        else:
            self._finish(now, one, "lost")

    def _finish(self, now: float, one: Instance, cause: Cause) -> None:
        if one.ended is None:
            one.ended, one.cause = now, cause
            del self.live[one.id]

    def _count(self, one: Instance, by: int) -> None:
        """One serves from now on, or no more. One that is lost in the moment in which it is ready never served."""
        if by > 0:
            self._serving.add(one.id)
        elif one.id in self._serving:
            self._serving.remove(one.id)
        else:
            return
        if one.market == "spot":
            self.spot += by
        else:
            self.on_demand += by

    def _level(self, now: float) -> None:
        last = self.levels[-1]
        if (last.spot, last.on_demand) == (self.spot, self.on_demand):
            return
        level = Level(now, self.spot, self.on_demand)
        if last.at == now:
            self.levels[-1] = level
        else:
            self.levels.append(level)

    # --- what the policy sees and orders --------------------------------------------------------------------------

    def _ask(self, now: float) -> None:
        tick = self.setting.tick
        due = math.ceil(now / tick - _SLACK) * tick
        if due <= self._asked:
            due = self._asked + tick
        if due > now + _SLACK * tick:
            self._push(due, _WAKE, None)
            self._news = False  # until then
            return
        self._asked, self._news = now, False
        own = tuple(
            Held(one.id, one.zone, one.market, one.launched, one.id in self._serving)
            for one in self.live.values()
            if one.noticed is None
        )
        spot, on_demand = (dict(prices) for prices in self._prices)
        view = View(now, self.setting.target, own, tuple(self._known), tuple(self._losses), spot, on_demand)
        self._known, self._losses = [], []
        self._obey(now, self.policy.decide(view))

    def _obey(self, now: float, decision: Decision) -> None:
        for number, why in decision.end:
            one = self.live.get(number)
            if one is None:
                raise ValueError(f"instance {number} does not live, and was given up")
            self._count(one, -1)
            if one.market == "spot" and one.noticed is None:
                self.held[one.zone].remove(one)
            self._finish(now, one, "ended")
            self._tell(now, f"{one.zone}: {one.market} {one.id} is given up", why)
        for order in decision.launch:
            self._launch(now, order)
        self._decisions += 1
        if decision.wake is not None and decision.wake < self.end:
            self._push(max(decision.wake, now + self.setting.tick), _WAKE, _Wish(self._decisions))
        self._level(now)

    def _launch(self, now: float, order: Launch) -> None:
        if order.count < 1 or order.zone not in self.capacity:
            raise ValueError(f"{order.count} instances in {order.zone} were ordered")
        given = order.count
        if order.market == "spot":
            given = min(order.count, max(0, self.capacity[order.zone] - len(self.held[order.zone])))
        elif self.faults.on_demand_fails:
            given = sum(self._random.random() >= self.faults.on_demand_fails for _ in range(order.count))
        error: Error | None = "capacity" if given < order.count else None
        self._tell(now, f"{order.zone}: {given} of {order.count} {order.market} launched", order.why)
        for _ in range(given):
            one = Instance(len(self.all), order.zone, order.market, now, now + self.setting.boot)
            self.all.append(one)
            self.live[one.id] = one
            if order.market == "spot":
                self.held[order.zone].append(one)
            self._push(one.ready, _BOOT, one)
        self._outcome(now, order, given, error)

    def _outcome(self, now: float, order: Launch, given: int, error: Error | None) -> None:
        outcome = Outcome(now, order.zone, order.market, order.count, given, error)
        self.outcomes.append(outcome)
        later = self.faults.fail_seconds if error else 0.0
        self._push(now + max(later, self.setting.tick), _FAILED, outcome)

    def _tell(self, now: float, what: str, why: str) -> None:
        if self.log is not None:
            self.log.append(Entry(now, what, why))


def play(trace: Trace, policy: Policy, setting: Setting, faults: Faults | None = None, *, log: bool = False) -> Played:
    """The whole trace against a policy. Deterministic: the same input, the same result."""
    return World(trace, policy, setting, faults or Faults(), log).play()
