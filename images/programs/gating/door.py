"""Who may send a request now: what nginx is told for each one."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import Final, Literal

from images.programs.gating.readiness import BAND, Readiness

EARLY: Final = 0.5
"""Seconds before the engine is stopped in which nothing is admitted any more."""
RETRY: Final = {"no-keys": 10, "unusable": 10, "draining": 1}
"""Seconds of Retry-After. Of a draining node the next one is at hand."""
RETRY_QUEUE: Final = (1, 30)
"""Least and most, when it follows from how fast the queue gets shorter."""
RETRY_UNKNOWN: Final = 5

Why = Literal["admitted", "unknown-key", "no-keys", "draining", "unusable", "queue", "rate"]


@dataclass(frozen=True)
class Decision:
    """key: its name, empty when nobody's. status: what the client should get, 204 for going on. retry: seconds."""

    why: Why
    status: Literal[204, 401, 429, 503]
    key: str = ""
    retry: int = 0


@dataclass
class Door:
    """Admission. The key is looked at first: nobody without one learns how the node is."""

    node: Readiness
    answers: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By key and why."""

    def knock(self, authorization: str, now: float) -> Decision:
        """One request with this Authorization header."""
        found = self._decide(authorization, now)
        self.answers[found.key, found.why] += 1
        return found

    def _decide(self, authorization: str, now: float) -> Decision:
        node = self.node
        if node.keyring.keys is None:
            return Decision("no-keys", 503, "", RETRY["no-keys"])
        key = node.keyring.find(authorization)
        if key is None:
            return Decision("unknown-key", 401)
        if self._stops(now):
            return Decision("draining", 503, key.name, RETRY["draining"])
        if node.config is None or not node.engine.usable():
            return Decision("unusable", 503, key.name, RETRY["unusable"])
        waiting = node.engine.queue_with_admitted(now, node.config.model.max_num_seqs)
        limit = node.limits["overloaded"]
        if waiting is not None and waiting >= limit:
            return Decision("queue", 503, key.name, self._until_shorter(waiting - BAND * limit, now))
        # Last, so that a request which is refused anyway does not use up what its key has left.
        if wait := node.keyring.take(key, now):
            return Decision("rate", 429, key.name, math.ceil(wait))
        node.engine.admitted += 1
        return Decision("admitted", 204, key.name)

    def _until_shorter(self, over: float, now: float) -> int:
        rate = self.node.engine.window.served_per_second(now)
        least, most = RETRY_QUEUE
        return min(most, max(least, math.ceil(over / rate))) if rate > 0 else RETRY_UNKNOWN

    def _stops(self, now: float) -> bool:
        """Whether the engine is about to be stopped, or is: until then a draining node takes what is still sent to
        it.
        """
        since, config = self.node.draining_since, self.node.config
        if since is None:
            return False
        drain = self.node.files["drain"] or {}
        if drain.get("state", "draining") != "draining" or config is None:
            return True
        return now - since >= max(0.0, config.drain.deregister_seconds - EARLY)
