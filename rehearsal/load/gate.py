"""When nodes call themselves unready because of their load, as images/programs/gating does it: `Hysteresis` and `Guard`
are the gate's own.

Limits differ by up to a tenth from node to node there, so that siblings do not leave in the same second; here a
member's nodes, which all carry the same load, are one. Its readiness is what balancers and DNS are told. Requests are
admitted all the same: where every node is out, a balancer sends to all of them
(https://docs.aws.amazon.com/elasticloadbalancing/latest/network/target-group-health-checks.html).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final

from images.programs.gating.limits import Guard, Hysteresis
from images.programs.gating.pace import Pace
from images.programs.gating.readiness import BAND
from rehearsal.load.flow import LEAST, Spot

_PACE: Final = Pace()


@dataclass(slots=True)
class Gate:
    """The readiness of a member's nodes as far as it depends on the load. ready: what they say now; why: not."""

    spot: Spot
    ready: bool = True
    why: str = ""
    queue: Hysteresis = field(init=False)
    slow: Hysteresis = field(init=False)
    guard: Guard = field(init=False)
    _resting: float = math.inf
    _since: float = math.inf
    _calm: float = 0.0
    """Requests in a node up to which no limit is near."""
    _quiet: bool = True
    """No limit was near at the last look."""

    def __post_init__(self) -> None:
        rate = self.spot.rate
        queue = float(rate.queue) if rate else math.inf
        slow = rate.ttft_limit if rate and rate.ttft_limit else math.inf
        self.queue = Hysteresis(queue, queue * BAND, _PACE.rise, _PACE.rise)
        self.slow = Hysteresis(slow, slow * BAND, _PACE.rise, _PACE.rise)
        self.guard = Guard(_PACE.guard_longest, _PACE.guard_rest)
        one = self.spot.station
        if one is not None and rate is not None:
            rows = zip(one.number, one.waiting, one.median, strict=True)
            near = (number for number, waits, first in rows if waits >= self.queue.low or rate.prefill + first >= slow)
            self._calm = next(near, math.inf)

    def look(self, now: float) -> tuple[bool, float]:
        """Judge. Returns whether what is said has changed, and when to look again at the latest."""
        one, rate, before = self.spot.station, self.spot.rate, self.ready
        if one is None or rate is None or not self.spot.receiving:
            self.queue.reset()
            self.slow.reset()
            self.guard.allows(False, now)
            self.ready, self.why = True, ""
            return before != self.ready, math.inf
        if self._quiet and self.spot.number < self._calm * BAND:
            return False, math.inf
        waiting = one.at(one.waiting, self.spot.number)
        first = rate.prefill + one.at(one.median, self.spot.number)
        # The queue moves around its mean. It has been at its limit where somebody was turned away.
        turned = self.spot.full * self.spot.tried / self.spot.receiving * _PACE.rise
        if waiting >= self.queue.low and turned >= 1:
            waiting = self.queue.high
        else:
            waiting = min(waiting, math.nextafter(self.queue.high, 0.0))
        pending = False
        for limit, value in ((self.queue, waiting), (self.slow, first)):
            limit.update(value, now)
            pending |= value < limit.low if limit.active else value >= limit.high
        loaded = self.queue.active or self.slow.active
        unready = self.guard.allows(loaded, now)
        self.ready = not unready
        self.why = ("overloaded" if self.queue.active else "slow") if unready else ""
        again = now + _PACE.rise if pending else math.inf
        if unready:
            self._since = min(self._since, now)
            again = min(again, self._since + self.guard.longest)
        else:
            self._since = math.inf
            if self.guard.resting(now):
                self._resting = self._resting if now < self._resting < math.inf else now + self.guard.rest
                again = min(again, self._resting)
            else:
                self._resting = math.inf
        self._quiet = not (loaded or pending or unready) and again == math.inf
        # A time that is a sum of floats may come a little before the gate's own difference of them does.
        return before != self.ready, max(again, now + LEAST)
