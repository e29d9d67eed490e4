"""Parts of a trace that a policy is tried on, and how sure a figure over several of them is."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from rehearsal.model import Setting
from rehearsal.prices import cut
from rehearsal.trace import Trace
from spillway.errors import SpillwayError

SECONDS: Final = {"h": 3600.0, "d": 86_400.0}
COUNT_MAX: Final = 1_000
RESAMPLES: Final = 2_000
DAY: Final = 86_400.0
NEAR: Final = 3_600.0
"""Seconds by which the time of day may be off in a day that is drawn."""


@dataclass(frozen=True, slots=True)
class Windows:
    """`count` windows of `seconds` each."""

    count: int
    seconds: float

    def __str__(self) -> str:
        return f"{self.count}x{self.seconds / 3600:g}h"


def parse(text: str) -> Windows:
    """10x24h, 5x2d. Raises SpillwayError."""
    found = re.fullmatch(r"(\d{1,4})x(\d{1,6}(?:\.\d{1,3})?)([hd])", text, re.ASCII)
    if not found or not 1 <= int(found[1]) <= COUNT_MAX or not float(found[2]):
        raise SpillwayError(f"windows: {text!r} is not <1 to {COUNT_MAX:,}>x<length>h or d, such as 10x24h")
    return Windows(int(found[1]), float(found[2]) * SECONDS[found[3]])


def draw(trace: Trace, windows: Windows, seed: int) -> list[tuple[float, float]]:
    """(begin, end) of windows that begin at rounds chosen at random; they may overlap. Raises SpillwayError."""
    last = trace.end - windows.seconds
    begins = [time for time in trace.times if time <= last]
    if not begins:
        raise SpillwayError(f"windows: {windows} is longer than {trace.name}, which has {trace.end / 3600:g} h")
    dice = random.Random(seed)
    return [(begin, begin + windows.seconds) for begin in sorted(dice.choice(begins) for _ in range(windows.count))]


def within(trace: Trace, setting: Setting, begin: float, end: float) -> tuple[Trace, Setting]:
    """The part of the trace, and the setting with the prices of that time."""
    if (begin, end) == (0.0, trace.end):
        return trace, setting
    zones = tuple(
        replace(zone, spot=cut(zone.spot, begin), on_demand=cut(zone.on_demand, begin)) for zone in setting.zones
    )
    return trace.window(begin, end), replace(setting, zones=zones)


def resampled(trace: Trace, seconds: float, dice: random.Random) -> Trace:
    """A trace of any length, of days of this one drawn at random: see `drawn`."""
    return arranged(trace, drawn(trace, seconds, dice), seconds)


def arranged(trace: Trace, rounds: Sequence[tuple[float, int]], seconds: float) -> Trace:
    """A trace of rounds of this one: (at, which)."""
    times = tuple(at for at, _ in rounds)
    counts = tuple(tuple(row[index] for _, index in rounds) for row in trace.counts)
    return replace(trace, start=None, times=times, end=seconds, counts=counts, holes=())


def drawn(trace: Trace, seconds: float, dice: random.Random) -> list[tuple[float, int]]:
    """(at, which of the trace's rounds) of days drawn at random: a circular block bootstrap (Politis and Romano, in:
    Exploring the Limits of Bootstrap, 1992), blocks of a day. A day begins at a round whose time of day is within an
    hour of its own, so that what goes by the hours stays; after the trace's last round comes its first."""
    block = min(DAY, trace.end)
    times, begins = np.asarray(trace.times), []
    for number in range(max(1, math.ceil(seconds / block))):
        away = np.abs((times - number * block + block / 2) % block - block / 2)
        near = np.flatnonzero(away <= NEAR)
        begins.append(int(near[dice.randrange(len(near))]) if len(near) else int(away.argmin()))
    count = len(times)
    after = np.append(np.diff(times), trace.end - times[-1])  # until the next round, the last one's until the end
    found: list[tuple[float, int]] = []
    for number, first in enumerate(begins):
        now, upto, index = number * block, min((number + 1) * block, seconds), first
        while now < upto:
            found.append((float(now), index))
            now += float(after[index])
            index = (index + 1) % count
    return found


def interval(parts: Sequence[tuple[float, float]], seed: int = 0) -> tuple[float, float] | None:
    """95 % interval of sum(a) / sum(b) over parts (a, b), by resampling the parts (percentile bootstrap, Efron 1979).

    Parts that follow each other or overlap are not independent, so it is rather too narrow. None with fewer than three.
    """
    if len(parts) < 3:
        return None
    a, b = np.array(parts, dtype=np.float64).T
    chosen = np.random.default_rng(seed).integers(0, len(parts), size=(RESAMPLES, len(parts)))
    below = b[chosen].sum(axis=1)
    if not below.all():
        return None
    low, high = np.percentile(a[chosen].sum(axis=1) / below, (2.5, 97.5))
    return float(low), float(high)
