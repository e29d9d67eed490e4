"""The resolver in front of a client: keeps answers as long as their TTL says, or longer, as some do."""

from __future__ import annotations

from collections.abc import Callable

from sandbox.dns.answer import NXDOMAIN, Answer
from sandbox.dns.clock import Clock

NEGATIVE_TTL = 900
"""How long "no such name" is kept: the SOA's TTL or minimum, whichever is less (RFC 2308); Route 53's is 900 s."""
JVM_SECONDS = 30
"""A JVM keeps answers 30 s whatever their TTL, unless it is told otherwise
(https://docs.aws.amazon.com/sdk-for-java/latest/developer-guide/jvm-ttl-dns.html)."""

Ask = Callable[[str], Answer]


class CachingResolver:
    """One client's cache.

    at_least: seconds that an answer is kept even when its TTL is shorter; 0 honours the TTL. Infinity never asks again.
    """

    def __init__(self, ask: Ask, clock: Clock, at_least: float = 0.0) -> None:
        self._ask, self._clock, self._at_least = ask, clock, at_least
        self._kept: dict[str, tuple[float, Answer]] = {}
        self.asked = 0
        """Questions that the cache could not answer."""

    def resolve(self, name: str) -> Answer:
        """The kept answer while it lasts, else a new one."""
        kept = self._kept.get(name)
        if kept is not None and kept[0] > self._clock.now:
            return kept[1]
        answer = self._ask(name)
        self.asked += 1
        ttl = NEGATIVE_TTL if answer.rcode == NXDOMAIN or not answer.values else answer.lifetime
        self._kept[name] = (self._clock.now + max(float(ttl), self._at_least), answer)
        return answer

    def expires(self, name: str) -> float:
        """When the kept answer ends; now for a name that is not kept."""
        return self._kept[name][0] if name in self._kept else self._clock.now
