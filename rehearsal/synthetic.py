"""Traces that nobody recorded, for what the recorded one does not hold; `Trace.synthetic` says so wherever one is used.

Each zone goes through stretches in which it gives nothing, a few, or many, of exponential lengths (a Markov chain in
continuous time), and each region through outages that take all its zones at once, and each cloud likewise.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from rehearsal.trace import Trace, region_of

HOUR: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Rates:
    """Mean lengths in hours. up: that a zone gives one number; down: that it gives nothing, after `empty` of the ups.

    most: instances that a zone gives at most. region_up, region_down: between and of outages of a whole region;
    fleet_up, fleet_down: of everything. None: there are none.
    """

    up: float = 6.0
    down: float = 2.0
    empty: float = 0.5
    most: int = 16
    region_up: float | None = None
    region_down: float = 1.0
    fleet_up: float | None = None
    fleet_down: float = 0.5

    def __post_init__(self) -> None:
        lengths = (self.up, self.down, self.region_down, self.fleet_down, self.region_up or 1.0, self.fleet_up or 1.0)
        if min(lengths) <= 0 or not 0 <= self.empty <= 1 or self.most < 1:
            raise ValueError(
                "lengths above 0 h, a share of empty stretches from 0 to 1 and 1 instance or more are needed"
            )


def markov(
    zones: Sequence[str],
    days: float,
    step: float,
    seed: int,
    rates: Rates | Callable[[str], Rates] = Rates(),
    region: Callable[[str], str] = region_of,
) -> Trace:
    """A trace of these zones with a round every `step` seconds. rates: of all zones, or by zone. region: what a zone is
    in, whose outages take all of it. Deterministic."""
    rounds = max(2, round(days * 86_400.0 / step))
    times = tuple(index * step for index in range(rounds))
    by_zone = {zone: rates if isinstance(rates, Rates) else rates(zone) for zone in zones}
    first = by_zone[zones[0]]
    everywhere = _dark(random.Random(f"{seed} fleet"), times, first.fleet_up, first.fleet_down)
    dark: dict[str, list[bool]] = {}
    for zone, one in by_zone.items():
        name = region(zone)
        if name not in dark:
            dark[name] = _dark(random.Random(f"{seed} {name}"), times, one.region_up, one.region_down)
    rows = []
    for zone, one in by_zone.items():
        alone = _counts(random.Random(f"{seed} {zone} zone"), times, one)
        gone = dark[region(zone)]
        rows.append(tuple(0 if a or b else count for count, a, b in zip(alone, gone, everywhere, strict=True)))
    digest = hashlib.sha256(repr((times[-1], rows)).encode()).hexdigest()
    name = f"synthetic-{len(zones)}-zones-seed-{seed}"
    return Trace(name, None, times, rounds * step, tuple(zones), tuple(rows), step, (), digest, synthetic=True)


def _counts(dice: random.Random, times: Sequence[float], rates: Rates) -> list[int]:
    """What a zone gives by itself. Starts in a stretch that gives something."""
    found, until, count = [], 0.0, 0
    for time in times:
        while time >= until:
            if count and dice.random() < rates.empty:
                count, hours = 0, rates.down
            else:
                count, hours = dice.randint(1, rates.most), rates.up
            until += dice.expovariate(1.0 / hours) * HOUR
        found.append(count)
    return found


def _dark(dice: random.Random, times: Sequence[float], up: float | None, down: float) -> list[bool]:
    if up is None:
        return [False] * len(times)
    found, until, dark = [], 0.0, True
    for time in times:
        while time >= until:
            dark = not dark
            until += dice.expovariate(1.0 / (down if dark else up)) * HOUR
        found.append(dark)
    return found
