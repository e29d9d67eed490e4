"""What a region's sizes follow: the load's mean per replica and minute, as nodes report it."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable
from typing import Final, Literal

MINUTE: Final = 60.0


class Signal:
    """The series of one member (`rehearsal.regions.control.Load`). what: requests that wait, or CPU in percent. Each
    node reports once a minute at a second of its own, so the middle of a minute stands for it. None: nobody reports."""

    def __init__(
        self, what: Literal["queue", "cpu"], advance: Callable[[], float], settled: Callable[[], bool]
    ) -> None:
        self.what: Literal["queue", "cpu"] = what
        self._advance, self._settled = advance, settled
        self._ends: list[float] = []
        self._values: list[float | None] = []
        self._told: tuple[int, int, list[float | None]] = (-1, 0, [])
        self.on_change: list[Callable[[], None]] = []
        """Called when the load begins to move again: whoever left minutes out has to look."""

    def note(self, end: float, value: float | None) -> None:
        """The value until `end`, since what was noted last."""
        if self._values and self._values[-1] == value:
            self._ends[-1] = end
        else:
            self._ends.append(end)
            self._values.append(value)

    def samples(self, minutes: int) -> list[float | None]:
        """The mean of each of the last whole minutes, oldest first."""
        now = math.floor(self._advance() / MINUTE + 1e-9)
        if self._told[:2] != (now, minutes):  # asked several times in one minute
            self._told = now, minutes, [self._at((minute + 0.5) * MINUTE) for minute in range(now - minutes, now)]
        return list(self._told[2])

    def steady(self, minutes: int, low: float, high: float) -> bool:
        """Whether every one of the last minutes was on one side of the two marks, and all to come will be until
        `on_change` is called."""
        found = {_side(value, low, high) for value in self.samples(minutes)}
        return self._settled() and len(found) == 1 and _side(self._values[-1], low, high) in found

    def _at(self, time: float) -> float | None:
        if time < 0:
            return None
        index = bisect_right(self._ends, time)
        return self._values[index] if index < len(self._values) else None


def _side(value: float | None, low: float, high: float) -> str:
    if value is None:
        return "none"
    return "over" if value >= high else "under" if value < low else "between"
