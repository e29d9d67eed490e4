"""The circuit breaker: three failures in a row take the node out, one token brings it back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

State = Literal["closed", "open", "half-open"]
SETTLED: Final = 60.0
"""Seconds closed after which the next pause is a short one again."""


@dataclass
class Breaker:
    """closed -> (`needed` failures without a success) -> open -> (pause) -> half-open -> (a probe) -> closed, or open
    again.

    The pause doubles from `first` to `most` seconds with every probe that fails and every opening soon after a closing.
    It begins short, so that a client whose requests make the engine fail cannot take node after node out: balancers
    want several failed checks, ten seconds apart, before they act.
    """

    needed: int = 3
    first: float = 1.0
    most: float = 30.0
    state: State = "closed"
    failures: int = 0
    """In a row, while closed."""
    why: str = ""
    """The last failure, one line."""
    opened: int = 0
    """How often, since the start."""
    _pause: float = field(default=0.0, repr=False)
    _until: float = field(default=0.0, repr=False)
    _closed_at: float | None = field(default=None, repr=False)

    def failure(self, why: str, now: float, number: int = 1) -> None:
        """A request or check failed. Counts only while closed: what fails while open was known."""
        if self.state != "closed" or number < 1:
            return
        self.failures += number
        self.why = why
        if self.failures >= self.needed:
            settled = self._closed_at is None or now - self._closed_at >= SETTLED
            self._open(self.first if settled else min(self._pause * 2, self.most), now)

    def success(self) -> None:
        """A request succeeded. While open only a probe counts: what ends well then may have begun long ago."""
        if self.state == "closed":
            self.failures = 0

    def may_probe(self, now: float) -> bool:
        """True once per pause: the caller has to probe now, and tell how it went."""
        if self.state != "open" or now < self._until:
            return False
        self.state = "half-open"
        return True

    def probed(self, fault: str | None, now: float) -> None:
        """How the probe went; None is well."""
        if self.state != "half-open":
            return
        if fault is None:
            self.state, self.failures, self._closed_at = "closed", 0, now
        else:
            self.why = fault
            self._open(min(self._pause * 2, self.most), now)

    def reset(self) -> None:
        """Another engine, of which nothing is known."""
        self.state, self.failures, self.why, self._closed_at, self._pause = "closed", 0, "", None, 0.0

    def _open(self, pause: float, now: float) -> None:
        if self.state == "closed":
            self.opened += 1
        self.state, self._pause, self._until = "open", max(pause, self.first), now + max(pause, self.first)
