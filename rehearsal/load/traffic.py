"""Requests per second over time, as few entries as tell it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from rehearsal.load.flow import Done
from rehearsal.result import Traffic

APART: Final = 0.02
"""Rates that differ by less than this share of what arrives are one."""
SECONDS: Final = 0.05
"""Waits that differ by less than this are one."""


@dataclass(slots=True)
class _Part:
    at: float
    seconds: float
    done: Done

    def rates(self) -> tuple[float, float, float, float]:
        done, seconds = self.done, self.seconds
        return (
            done.arrived / seconds, (done.answered - done.late) / seconds, done.late / seconds, done.failed / seconds,
        )  # fmt: skip

    @property
    def wait(self) -> float:
        return self.done.wait / self.done.answered if self.done.answered else 0.0

    def like(self, other: _Part) -> bool:
        mine, theirs = self.rates(), other.rates()
        allowed = APART * max(mine[0], theirs[0])
        return (
            abs(mine[0] - theirs[0]) <= 1e-9 * (1 + mine[0])
            and all(abs(a - b) <= allowed for a, b in zip(mine, theirs, strict=True))
            and abs(self.wait - other.wait) <= SECONDS
        )


class Series:
    """The steps of one service, those that are alike as one."""

    def __init__(self, begin: float) -> None:
        self._at = begin
        self._parts: list[_Part] = []

    def add(self, seconds: float, done: Done) -> None:
        part = _Part(self._at, seconds, Done())
        part.done.add(done)
        part.done.departures = []
        self._at += seconds
        if self._parts and self._parts[-1].like(part):
            self._parts[-1].seconds += seconds
            self._parts[-1].done.add(part.done)
        else:
            self._parts.append(part)

    def traffic(self) -> tuple[Traffic, ...]:
        return tuple(Traffic(part.at, *part.rates(), ttft=part.wait) for part in self._parts)
