"""Requests as they arrive: open loop, so nobody waits for an answer before the next one asks.

A rate per second by the hour of the day, less at weekends, times what a scenario makes of it. Within an hour arrivals
are a Poisson process: https://arxiv.org/abs/2401.17644 shows hours and days to differ far more than that.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from spillway.errors import SpillwayError

HOURS: Final = 24
HOUR: Final = 3600.0
FLAT: Final = (1.0,) * HOURS
OFFICE: Final = tuple(round(1 + 0.6 * math.cos(2 * math.pi * (hour + 0.5 - 15) / HOURS), 3) for hour in range(HOURS))
"""Assumed, not measured: least at 03:00, most at 15:00, the busiest hour 1.6 times the mean. That services of language
models have such a day, and less at weekends, is told in https://arxiv.org/abs/2502.14617 and
https://arxiv.org/abs/2401.17644."""
WEEKEND: Final = 0.6
"""Assumed: a weekend's requests by a working day's."""


@dataclass(frozen=True, slots=True)
class Arrivals:
    """Requests of one service. per_second: mean of a working day. profile: 24 weights by the hour, of any sum, in a
    time zone `utc_offset_hours` from UTC. weekend: factor on Saturdays and Sundays there. begin: UTC time of second 0.
    isl, osl: tokens of a prompt and of an answer, means. Raises SpillwayError, one line for each fault."""

    per_second: float
    begin: datetime
    profile: Sequence[float] = OFFICE
    weekend: float = WEEKEND
    utc_offset_hours: float = 0.0
    isl: int = 1024
    osl: int = 512

    def __post_init__(self) -> None:
        faults = []
        if not (math.isfinite(self.per_second) and self.per_second >= 0):
            faults.append(f"load.perSecond = {self.per_second:g}: expected a number of at least 0")
        if len(self.profile) != HOURS:
            faults.append(f"load.profile: {len(self.profile)} weights; expected {HOURS}, one for each hour")
        elif not all(math.isfinite(one) and one >= 0 for one in self.profile) or not sum(self.profile):
            faults.append("load.profile: expected weights of at least 0, not all of them 0")
        if not (math.isfinite(self.weekend) and self.weekend >= 0):
            faults.append(f"load.weekend = {self.weekend:g}: expected a factor of at least 0")
        if not -14 <= self.utc_offset_hours <= 14:
            faults.append(f"load.utcOffsetHours = {self.utc_offset_hours:g}: expected -14 to 14")
        faults += [
            f"load.{name} = {value}: expected at least one token"
            for name, value in (("isl", self.isl), ("osl", self.osl))
            if value < 1
        ]
        if faults:
            raise SpillwayError(*faults)

    def rate(self, at: float) -> float:
        """Requests per second that arrive at a time."""
        local = self._local(at)
        weight = self.profile[local.hour] * HOURS / sum(self.profile)
        return self.per_second * weight * (self.weekend if local.weekday() >= 5 else 1.0)

    def following(self, at: float) -> float:
        """When the rate may change next: the hour's end."""
        local = self._local(at)
        into = local.minute * 60 + local.second + local.microsecond / 1e6
        return at + HOUR - into

    @property
    def peak(self) -> float:
        """Requests per second in the busiest hour."""
        return self.per_second * max(self.profile) * HOURS / sum(self.profile) * max(1.0, self.weekend)

    def _local(self, at: float) -> datetime:
        begin = self.begin if self.begin.tzinfo else self.begin.replace(tzinfo=UTC)
        # Whole microseconds: a second that is a sum of floats is not the hour before.
        return begin.astimezone(UTC) + timedelta(hours=self.utc_offset_hours, microseconds=round(at * 1e6))


@dataclass(frozen=True, slots=True)
class Retry:
    """What clients do when a try is not answered (503, refused, no answer): try again up to `tries` in all, after a
    pause of `backoff_seconds` on average, `factor` times longer each time, up to `most_seconds`. Pauses are random
    (full jitter), so that clients do not come back together:
    https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter

    The defaults are those of OpenAI's Python client: two further tries, 0.5 s doubled up to 8 s
    (https://github.com/openai/openai-python/blob/main/src/openai/_constants.py).
    """

    tries: int = 3
    backoff_seconds: float = 0.5
    factor: float = 2.0
    most_seconds: float = 8.0

    def __post_init__(self) -> None:
        faults = []
        if not 1 <= self.tries <= 20:
            faults.append(f"load.retry.tries = {self.tries}: expected 1 (never again) to 20")
        for key, value, least in (
            ("backoffSeconds", self.backoff_seconds, 0.01),
            ("factor", self.factor, 1.0),
            ("mostSeconds", self.most_seconds, 0.01),
        ):
            if not (math.isfinite(value) and value >= least):
                faults.append(f"load.retry.{key} = {value:g}: expected a number of at least {least:g}")
        if faults:
            raise SpillwayError(*faults)

    @property
    def pauses(self) -> tuple[float, ...]:
        """Mean seconds before the second try, the third, ..."""
        return tuple(
            min(self.backoff_seconds * self.factor**number, self.most_seconds) for number in range(self.tries - 1)
        )
