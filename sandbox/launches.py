"""What every stand-in cloud says of the launches that a group would make now: how each ends, and what was tried."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

LAUNCHED: Final = "launched"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request for one machine, and its outcome: `launched` or the API's error code."""

    zone: str
    machine_type: str
    market: str
    outcome: str
    message: str


@dataclass(frozen=True, slots=True)
class Launch:
    """One instance of a group's desired capacity: where it runs, or why it does not.

    weight: units of capacity it counts for. reservation: the capacity reservation it runs in, or "".
    """

    group: str
    number: int
    market: str
    outcome: str
    reason: str
    machine_type: str = ""
    zone: str = ""
    weight: int = 1
    reservation: str = ""
    attempts: tuple[Attempt, ...] = ()

    @property
    def launched(self) -> bool:
        return self.outcome == LAUNCHED


Try = Callable[[str, str], Attempt | None]
"""(zone, machine type) -> what comes of it; None where the zone has no such type, so that nobody would try."""


def fill(group: str, market: str, wanted: int, zones: Sequence[str], tiers: Sequence[Sequence[str]], ask: Try,
         *, even: bool) -> Iterator[Launch]:  # fmt: skip
    """The launches of a group, one after the other, each in the zone that has the fewest so far (zones by name on a
    tie), by the first machine type of the first tier that can be had.

    even: whether a group waits for the zone whose turn it is, and takes no other.
    """
    per_zone = Counter(dict.fromkeys(zones, 0))
    for number in range(1, wanted + 1):
        order = sorted(per_zone, key=lambda zone: (per_zone[zone], zone))
        attempts: list[Attempt] = []
        for zone, name in _ways(order[:1] if even else order, tiers):
            attempt = ask(zone, name)
            if attempt is not None:
                attempts.append(attempt)
                if attempt.outcome == LAUNCHED:
                    break
        if not attempts:
            yield Launch(group, number, market, "invalid", "none of the group's zones has any of its machine types")
            continue
        last = attempts[-1]
        if last.outcome == LAUNCHED:
            per_zone[last.zone] += 1
            found = (last.machine_type, last.zone)
        else:
            found = ("", "")
        yield Launch(group, number, market, last.outcome, last.message, *found, attempts=tuple(attempts))


def _ways(zones: Sequence[str], tiers: Sequence[Sequence[str]]) -> Iterator[tuple[str, str]]:
    """A tier is tried in every zone before the next one is."""
    for names in tiers:
        for zone in zones:
            for name in names:
                yield zone, name


_VARIABLES: Final = {"spot": "SPILLWAY_SPOT_GROUP", "on-demand": "SPILLWAY_ON_DEMAND_GROUP"}


def first_size(environments: Sequence[Mapping[str, Any]], group: str) -> int:
    """The size that a region's fallback function gives a group whose size nobody has set yet: the spot group target -
    floor, the on-demand group floor (infra/function/loop.py). 0 when no function names the group.

    The sandbox runs no functions, and groups of Azure and Google Cloud are made empty.
    """
    for variables in environments:
        for pool, key in _VARIABLES.items():
            sizes = [str(variables.get(f"SPILLWAY_{name}") or "") for name in ("TARGET", "FLOOR")]
            if variables.get(key) == group and all(re.fullmatch(r"\d+", size) for size in sizes):
                target, floor = map(int, sizes)
                return target - floor if pool == "spot" else floor
    return 0
