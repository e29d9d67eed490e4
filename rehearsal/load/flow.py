"""Requests as a fluid: through members, and back again as retries, from one change of the world to the next.

Between two changes everything that is given stands still: arrivals, who is asked, how many nodes serve. Then the mean
number in each node and in each orbit (tries that wait for their next turn, the word of retrial queues) moves by
ordinary differential equations, which are followed by an exponential Rosenbrock-Euler method (Hochbruck, Ostermann,
Acta Numerica 19, 2010, doi:10.1017/S0962492910000048): the fast part, a queue that fills or an orbit that empties
within a second, is taken exactly, so steps grow as the flow calms down, and one step takes the time in which it stands
still.

Members are averages: a try that was turned away meets the same chance at its next turn, whenever that comes. Where
pauses are shorter than the time in which a node answers a few requests, the queue is in truth still full then: as many
fail and are answered, but fewer requests are tried again, each of them more often.

Nothing is lost: of every step arrived + what was inside = answered + failed + what is inside, to the last digit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from rehearsal.load.arrivals import HOUR
from rehearsal.load.rates import ServiceRate
from rehearsal.load.station import Station

TOLERANCE: Final = 0.01
"""Error of a step: of 1 + the mean number in a node."""
STILL: Final = 1e-3
"""The flow stands still where nothing would change by more than this, of 1 + it, within an hour."""
LEAST: Final = 1e-3
"""Seconds of the shortest step."""
NOBODY: Final = 1e-9
"""Requests in a node that are none."""
FIRST: Final = 8.0
"""Seconds of the first step after a change, at most."""


@dataclass(slots=True)
class Spot:
    """A member as the fluid sees it. rate: of one of its nodes; None: answers everything at once. receiving, refusing:
    nodes that the balancer sends requests, and that answer, or not. inside: requests in all its nodes, by service."""

    name: str
    rate: ServiceRate | None
    services: int
    late: Sequence[float] | None = None
    receiving: int = 0
    refusing: int = 0
    inside: list[float] = field(default_factory=list)
    full: float = 0.0
    """Share of tries that its receiving nodes turned away in the last step."""
    tried: float = 0.0
    """Tries per second at its receiving nodes in the last step."""
    station: Station | None = None

    def __post_init__(self) -> None:
        self.inside = [0.0] * self.services
        self.station = self.rate.station if self.rate else None

    @property
    def open(self) -> float:
        """Share of tries that come to a node that answers."""
        nodes = self.receiving + self.refusing
        return self.receiving / nodes if nodes else 0.0

    @property
    def idle(self) -> bool:
        """Whether nothing is in it."""
        return not any(self.inside)

    @property
    def number(self) -> float:
        """Mean in one node."""
        return sum(self.inside) / self.receiving if self.receiving else 0.0


@dataclass(slots=True)
class Done:
    """What came out of a step, counts. departures: (member's place, row below, way to the next, count), of those that
    were answered; late: of them; wait: seconds that they waited in all."""

    arrived: float = 0.0
    failed: float = 0.0
    retried: float = 0.0
    answered: float = 0.0
    late: float = 0.0
    wait: float = 0.0
    departures: list[tuple[int, int, float, float]] = field(default_factory=list)

    def add(self, other: Done) -> None:
        self.arrived += other.arrived
        self.failed += other.failed
        self.retried += other.retried
        self.answered += other.answered
        self.late += other.late
        self.wait += other.wait
        self.departures += other.departures


class Flow:
    """members: by place. arriving: requests per second by service. shares: by service, of its tries at each member;
    what they lack of one fails. pauses: mean seconds before each further try. orbits: by service, tries that wait."""

    def __init__(self, members: Sequence[Spot], services: int, pauses: Sequence[float]) -> None:
        self.members, self.services, self.pauses = list(members), services, tuple(pauses)
        self.arriving = [0.0] * services
        self.shares: list[list[float]] = [[0.0] * len(self.members) for _ in range(services)]
        self.orbits = [[0.0] * len(self.pauses) for _ in range(services)]
        self.broken = [0.0] * services
        """Requests whose node has just gone with them: a first try that failed."""
        self.step = FIRST
        self.still = False

    def run(self, seconds: float) -> list[tuple[float, list[Done]]]:
        """Follow the flow. Returns what came out, by step: (seconds, by service)."""
        found: list[tuple[float, list[Done]]] = []
        left = seconds
        while left > 1e-9:
            taken = self._follow(min(self.step, left))
            if taken is None:
                self.step = min(self.step, left) / 2
                continue
            found.append((min(self.step, left), taken))
            left -= found[-1][0]
            if found[-1][0] >= self.step:
                self.step *= 2
            self._settle()
        return found

    def changed(self) -> None:
        """Something that is given is another."""
        self.step, self.still = min(self.step, FIRST), False

    # --- one step ---------------------------------------------------------------------------------------------------

    def _settle(self) -> None:
        """Whether nothing moves any more; then the step may be as long as nobody looks."""
        slopes = []
        for place, spot in enumerate(self.members):
            if spot.station is not None and spot.receiving:
                number, tries = spot.number, self._tries(place)
                if not (number or tries):
                    continue
                slope, _ = _slope(spot.station, number, tries / spot.receiving)
                slopes.append(abs(slope) / (1 + number))
        for service, orbit in enumerate(self.orbits):
            inflow, lost = self.arriving[service], self._lost(service, [spot.full for spot in self.members])
            for held, pause in zip(orbit, self.pauses, strict=True):
                slopes.append(abs(inflow * lost - held / pause) / (1 + held))
                inflow = held / pause
        self.still = max(slopes, default=0.0) * HOUR < STILL
        if self.still:
            self.step = max(self.step, HOUR)

    def _tries(self, place: int) -> float:
        """Tries per second at a member's receiving nodes, now."""
        spot, total = self.members[place], 0.0
        for service in range(self.services):
            flow = self.arriving[service] + sum(
                held / pause for held, pause in zip(self.orbits[service], self.pauses, strict=True)
            )
            total += flow * self.shares[service][place]
        return total * spot.open

    def _lost(self, service: int, full: Sequence[float]) -> float:
        """Share of a service's tries that are not taken in."""
        taken = sum(
            share * spot.open * (1 - turned)
            for share, spot, turned in zip(self.shares[service], self.members, full, strict=True)
        )
        return min(1.0, max(0.0, 1 - taken))

    def _follow(self, seconds: float) -> list[Done] | None:
        """One step; None where it is too long."""
        places = range(len(self.members))
        guessed = [spot.full for spot in self.members]
        _, tries, _ = self._orbits(guessed, seconds)
        full = [self._move(place, tries[place], seconds)[1] for place in places]
        orbits, tries, counts = self._orbits(full, seconds)
        moved = [self._move(place, tries[place], seconds) for place in places]
        error = max((one[2] for one in moved), default=0.0)
        apart = max((abs(one[1] - before) for one, before in zip(moved, full, strict=True)), default=0.0)
        if max(error, 2 * apart) > TOLERANCE and seconds > LEAST:
            return None
        self.orbits, self.broken = orbits, [0.0] * self.services
        self._take(full, [one[0] for one in moved], tries, counts, seconds)
        return self._done(counts)

    def _orbits(self, full: Sequence[float], seconds: float) -> tuple[list[list[float]], list[float], list[_Count]]:
        """Orbits after a step in which members turn away such shares; tries at each member; counts by service."""
        orbits, tries, counts = [], [0.0] * len(self.members), []
        for service in range(self.services):
            lost = self._lost(service, full)
            count = _Count(arrived=self.arriving[service] * seconds)
            trying, held_after = count.arrived, []
            count.tries = trying
            for number, (held, pause) in enumerate(zip(self.orbits[service], self.pauses, strict=True)):
                back = trying * lost + (self.broken[service] if number == 0 else 0.0)
                decay = math.exp(-seconds / pause)
                after = held * decay + back / seconds * pause * (1 - decay)
                trying = max(0.0, back + held - after)
                held_after.append(back + held - trying)
                count.tries += trying
                count.retried += trying
            count.failed = trying * lost + (0.0 if self.pauses else self.broken[service])
            orbits.append(held_after)
            counts.append(count)
            for place, (spot, share) in enumerate(zip(self.members, self.shares[service], strict=True)):
                tries[place] += count.tries * share * spot.open
        return orbits, tries, counts

    def _move(self, place: int, tries: float, seconds: float) -> tuple[float, float, float]:
        """A member after a step: mean number in a node, share of tries turned away, error of the step."""
        spot = self.members[place]
        if spot.station is None or not spot.receiving or (not tries and spot.number < NOBODY):
            return 0.0, 0.0, 0.0
        one, before = spot.station, spot.number
        load = tries / seconds / spot.receiving
        slope, stiff = _slope(one, before, load)
        z = stiff * seconds
        after = min(max(before + slope * seconds * _phi1(z), 0.0), float(one.most))
        middle = min(max(before + slope * seconds * _phi2(z), 0.0), float(one.most))
        then, _ = _slope(one, after, load)
        error = abs(then - slope * math.exp(min(z, 50.0))) * seconds / (1 + abs(z)) / (1 + after)
        answered = one.at(one.departures, middle) * seconds
        ends = sorted((one.at(one.refused, before), one.at(one.refused, after)))
        turned = 1 - (after - before + answered) / (load * seconds) if load > 1e-12 else ends[0]
        # It is a mean of what lies between both ends; anything else is the error of `answered`.
        return after, min(max(turned, ends[0]), ends[1]), error

    def _take(
        self, full: Sequence[float], numbers: Sequence[float], tries: Sequence[float], counts: list[_Count],
        seconds: float,
    ) -> None:  # fmt: skip
        """Put the step into the members: who was admitted and who left, by service."""
        for place, spot in enumerate(self.members):
            spot.full, spot.tried = full[place], tries[place] / seconds
            if not tries[place] and spot.idle:
                continue
            admitted = [
                count.tries * self.shares[service][place] * spot.open * (1 - full[place])
                for service, count in enumerate(counts)
            ]
            held = [inside + more for inside, more in zip(spot.inside, admitted, strict=True)]
            whole, before = sum(held), sum(spot.inside)
            left = max(0.0, whole - numbers[place] * spot.receiving)
            spot.inside = [one * (1 - left / whole) if whole else 0.0 for one in held]
            for service, one in enumerate(held):
                if whole and left:
                    middle = (before + sum(spot.inside)) / 2 / max(1, spot.receiving)
                    counts[service].left.append((place, one * left / whole, middle))

    def _done(self, counts: Sequence[_Count]) -> list[Done]:
        """Counts by service as what comes out."""
        found = []
        for count in counts:
            done = Done(arrived=count.arrived, failed=count.failed, retried=count.retried)
            for place, answered, number in count.left:
                done.add(leave(self.members[place], place, answered, number))
            found.append(done)
        return found


@dataclass(slots=True)
class _Count:
    arrived: float = 0.0
    tries: float = 0.0
    retried: float = 0.0
    failed: float = 0.0
    left: list[tuple[int, float, float]] = field(default_factory=list)


def leave(spot: Spot, place: int, answered: float, number: float) -> Done:
    """Requests that a member answers while its nodes hold `number` each."""
    if spot.station is None or spot.late is None:
        return Done(answered=answered, departures=[(place, 0, 0.0, answered)])
    row, way = spot.station.row(number)
    late = spot.station.at(spot.late, number)
    wait = spot.station.at(spot.station.wait, number)
    departures = [(place, row, way, answered)]
    return Done(answered=answered, late=answered * late, wait=answered * wait, departures=departures)


def _slope(one: Station, number: float, load: float) -> tuple[float, float]:
    """How fast the mean number of a node grows under a load, and how that changes with the number."""
    row, way = one.row(number)
    apart = one.number[row + 1] - one.number[row]
    out, full = one.departures[row + 1] - one.departures[row], one.refused[row + 1] - one.refused[row]
    slope = load * (1 - one.refused[row] - way * full) - one.departures[row] - way * out
    return slope, -(load * full + out) / apart


def _phi1(z: float) -> float:
    return math.expm1(z) / z if abs(z) > 1e-8 else 1 + z / 2


def _phi2(z: float) -> float:
    return (math.expm1(z) - z) / (z * z) if abs(z) > 1e-4 else 0.5 + z / 6
