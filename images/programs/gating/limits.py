"""When a load is too high, and how long a node may say so."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Final

SPREAD: Final = 0.1


def jitter(identity: str, what: str, spread: float = SPREAD) -> float:
    """A factor in [1 - spread, 1 + spread] that is this node's for ever: siblings do not all reach a limit at the same
    load.
    """
    digest = hashlib.sha256(f"{identity}\0{what}".encode()).digest()
    return 1 - spread + 2 * spread * int.from_bytes(digest[:8], "big") / 2**64


@dataclass
class Hysteresis:
    """On when a value reached `high` and has not been below `low` for `rise` seconds since; off the same way round.

    Between the two limits nothing changes, so a queue that admission holds just under its limit is still over it, and
    one that flaps around the limit does not flap the node.
    """

    high: float
    low: float
    rise: float
    fall: float
    active: bool = False
    _since: float | None = field(default=None, repr=False)

    def update(self, value: float | None, now: float) -> bool:
        """value: None is not known, which counts as low. now: seconds."""
        high = value is not None and value >= self.high
        low = value is None or value < self.low
        towards, away = (low, high) if self.active else (high, low)
        if away:
            self._since = None
        elif towards and self._since is None:
            self._since = now
        if self._since is not None and now - self._since >= (self.fall if self.active else self.rise):
            self.active = not self.active
            self._since = None
        return self.active

    def reset(self) -> None:
        """Nothing is known any more: another engine."""
        self.active, self._since = False, None


@dataclass
class Guard:
    """Keeps a fleet under load from declaring itself away: a load may make a node unready for `longest` seconds in a
    row, then the node stays ready for `rest` seconds whatever the load. Admission refuses what is too much meanwhile.
    """

    longest: float = 120.0
    rest: float = 60.0
    _since: float | None = field(default=None, repr=False)
    _until: float | None = field(default=None, repr=False)

    def allows(self, loaded: bool, now: float) -> bool:
        """Whether the node may be unready for its load now."""
        if self._until is not None:
            if now < self._until:
                return False
            self._until = None
        if not loaded:
            self._since = None
            return False
        if self._since is None:
            self._since = now
        if now - self._since < self.longest:
            return True
        self._since, self._until = None, now + self.rest
        return False

    def resting(self, now: float) -> bool:
        """Whether the node is kept ready."""
        return self._until is not None and now < self._until
