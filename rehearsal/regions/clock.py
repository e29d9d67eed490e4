"""The clock that everything in a rehearsal shares: events in order of time, and at one time in order of kind."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from enum import IntEnum


class Order(IntEnum):
    """What goes first at one time. Within a kind: who asked first.

    SCENARIO what a scenario does; CAPACITY what zones give; END of what had notice or drained; READY boots done; LATE
    boots given up; BALANCER who is sent requests; LAUNCH groups try again; CONTROL alarms and functions look; LOAD and
    DNS see a world in which all of that has happened.
    """

    SCENARIO = 0
    CAPACITY = 1
    END = 2
    READY = 3
    LATE = 4
    BALANCER = 5
    LAUNCH = 6
    CONTROL = 7
    LOAD = 8
    DNS = 9


class Clock:
    """Seconds since the start. Quiet time costs nothing. Deterministic: the same calls, the same order."""

    def __init__(self) -> None:
        self.now = 0.0
        self._events: list[tuple[float, int, int, Callable[[], None]]] = []
        self._number = 0

    def at(self, time: float, order: Order, call: Callable[[], None]) -> None:
        """Have `call` called at `time`, at the earliest now. What is no longer so by then is the caller's to see."""
        self._number += 1
        heapq.heappush(self._events, (max(time, self.now), int(order), self._number, call))

    def run(self, until: float) -> None:
        """Everything before `until`, which is now afterwards; what is due at `until` itself waits for the next run."""
        while self._events and self._events[0][0] < until:
            self.now, _, _, call = heapq.heappop(self._events)
            call()
        self.now = max(self.now, until)
