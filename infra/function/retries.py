"""One way to call a cloud: transient answers are tried again within the time of a run, `Retry-After` is respected.

The SDKs' own retries are switched off: they sleep as long as the cloud says, minutes if need be, while the timer comes
round every minute and a fresh look is worth more than an old order.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Final, TypeVar

T = TypeVar("T")

RUN_SECONDS: Final = 40.0
"""All calls of a run, waits included: a run ends before the next begins."""
FIRST_WAIT: Final = 0.5
TRANSIENT: Final = frozenset({408, 429, 500, 502, 503, 504})


class CloudError(Exception):
    """A call that failed for good in this run. One line. transient: the next run may well succeed."""

    def __init__(self, text: str, *, transient: bool = False) -> None:
        super().__init__(" ".join(text.split()))
        self.transient = transient


class Busy(Exception):
    """An answer that is worth another try. after: seconds that the cloud asks to wait, None where it says nothing."""

    def __init__(self, text: str, after: float | None = None) -> None:
        super().__init__(" ".join(text.split()))
        self.after = after


class Moved(Exception):
    """What was to be changed has changed since it was read; nothing was done."""


@dataclass(slots=True)
class Budget:
    """The time of one run. clock, sleep: seconds, exchangeable for tests."""

    seconds: float = RUN_SECONDS
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    _end: float = field(init=False)

    def __post_init__(self) -> None:
        self._end = self.clock() + self.seconds

    @property
    def left(self) -> float:
        return max(0.0, self._end - self.clock())

    def call(self, what: str, work: Callable[[], T]) -> T:
        """`work()`, again after `Busy` while time is left. Raises CloudError, and what `work` raises but Busy."""
        wait = FIRST_WAIT
        while True:
            try:
                return work()
            except Busy as busy:
                pause = max(wait, busy.after or 0.0)
                if pause >= self.left:
                    asked = "" if busy.after is None else f", wants {busy.after:g} s"
                    raise CloudError(f"{what}: {busy}{asked}; left to the next run", transient=True) from busy
                self.sleep(pause)
                wait *= 2


def retry_after(header: str | None, now: float | None = None) -> float | None:
    """Seconds of a Retry-After header, which holds seconds or an HTTP date; None when it says neither."""
    if not header:
        return None
    try:
        return max(0.0, float(header))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(header).timestamp() - (time.time() if now is None else now))
    except (TypeError, ValueError):
        return None
