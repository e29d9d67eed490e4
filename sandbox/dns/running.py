"""The stand-in's DNS as it runs beside everything else: wall clock, weather read live, zones as they are deployed."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from sandbox.dns.authority import Authority, Snapshot
from sandbox.dns.clock import WallClock
from sandbox.dns.health import Live, store_stamp
from sandbox.dns.holders import Holdings
from spillway.errors import SpillwayError


class Running:
    """Name servers and checkers of a sandbox directory.

    They are taken as having run before: at the start, and when somebody deployed, every check has its opinion at once.
    """

    def __init__(
        self,
        directory: Path,
        delegated: str | None = None,
        clock: WallClock | None = None,
        seed: Callable[[], int] = time.time_ns,
    ) -> None:
        self._directory, self._delegated, self._seed = directory, delegated, seed
        self.clock, self.live = clock or WallClock(), Live(directory)
        self._stamp: object = None
        self.snapshot = Snapshot({}, Holdings())
        self.authority = self._started(self.snapshot)
        self.refresh()

    def _started(self, snapshot: Snapshot) -> Authority:
        # The old checkers' events would go on in the clock's queue.
        events = self.clock.forget()
        try:
            authority = Authority(snapshot, self.clock, self.live, self._seed(), delegated=self._delegated)
        except SpillwayError:  # the old ones go on
            self.clock.recall(events)
            raise
        self.clock.settle(authority.settling)
        return authority

    def refresh(self) -> bool:
        """Looks whether the stand-in clouds have changed, and starts anew when what DNS is made of has.

        Raises SpillwayError, once, for what cannot be read or followed; what ran before goes on.
        """
        stamp = store_stamp(self._directory)
        if stamp == self._stamp:
            return False
        self._stamp = stamp
        snapshot = Snapshot.load(self._directory)
        if snapshot.same_zones(self.snapshot):
            return False
        self.authority = self._started(snapshot)
        self.snapshot = snapshot
        return True
