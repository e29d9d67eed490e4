"""Time for checkers and clients: a virtual clock that jumps from event to event, and a wall clock with its methods.

Seconds are floats. Events due at the same time run in the order in which they were scheduled, so that a run with a seed
is the same run every time.
"""

from __future__ import annotations

import heapq
import math
import time
from collections.abc import Callable

Action = Callable[[], None]
Events = list[tuple[float, int, Action]]
"""A heap of (when, number, action)."""


class Clock:
    """A virtual clock with its event queue."""

    def __init__(self, start: float = 0.0) -> None:
        self._now = start
        self._queue: Events = []
        self._count = 0

    @property
    def now(self) -> float:
        """Seconds; inside an event, the time at which it was due."""
        return self._now

    def at(self, when: float, action: Action) -> None:
        """Run `action` at a time; at once, when that has passed. Raises ValueError for a time that never comes."""
        if not math.isfinite(when):
            raise ValueError(f"an event at {when} never comes")
        self._count += 1
        heapq.heappush(self._queue, (max(when, self._now), self._count, action))

    def after(self, seconds: float, action: Action) -> None:
        """Run `action` so many seconds from now."""
        self.at(self._now + seconds, action)

    def forget(self) -> Events:
        """Drop every event that is still to come; gives them, for `recall`."""
        dropped, self._queue = self._queue, []
        return dropped

    def recall(self, events: Events) -> None:
        """Have these events to come, and no others."""
        self._queue = events

    @property
    def next_due(self) -> float:
        """When the next event is due; infinity when there is none."""
        return self._queue[0][0] if self._queue else math.inf

    def run_until(self, end: float) -> None:
        """Run every event that is due until then, and stop at that time."""
        self._run(end)

    def settle(self, seconds: float) -> None:
        """Run so many seconds ahead without waiting, on a wall clock too."""
        self._run(self._now + seconds)

    def _run(self, end: float) -> None:
        pop = heapq.heappop
        while self._queue and self._queue[0][0] <= end:
            when, _, action = pop(self._queue)
            self._now = when
            action()
        self._now = max(self._now, end)


class WallClock(Clock):
    """Events run when real time has come to them; between them the caller sleeps."""

    def __init__(
        self,
        start: float = 0.0,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        super().__init__(start)
        self._monotonic, self._sleep = monotonic, sleep
        self._origin = monotonic() - start

    def run_until(self, end: float) -> None:
        """Run events as they fall due; returns when that time has come. Late events run at once, in order."""
        while True:
            ahead = self._monotonic() - self._origin
            self._run(min(ahead, end))
            if ahead >= end:
                return
            self._sleep(max(0.0, min(self.next_due, end) - ahead))

    def catch_up(self) -> None:
        """Run what has fallen due by now, without waiting."""
        self._run(self._monotonic() - self._origin)

    def settle(self, seconds: float) -> None:
        """Run so many seconds ahead without waiting; from there on real time goes on."""
        super().settle(seconds)
        self._origin = self._monotonic() - self._now
