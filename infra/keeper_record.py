"""What the keeper remembers of its zones, and what it makes of it: how soon a zone is likely to take back what it gave.

The longer a zone has given without a break, the longer it will: the rate at which zones stop falls with their age,

    rate = FALL / (SOON + age)      per hour, age in hours

(a Pareto or Lomax life of shape FALL: Lomax, Business Failures, JASA 49, 1954). Measured on the first half of the H100
trace in rehearsal/data: 1.3 an hour in the first hour, .36 in the second, .17 up to 4 hours, .085 up to 8.

The age is rarely known: a zone that gave at L, and was last known not to at B, came back at some time between. With
each time as likely as the other the rate `t` hours after L is the mean over that time,

    rate = FALL / w * ln((SOON + t + w) / (SOON + t)),    w = L - B

and w = UNSEEN where nothing was ever refused. Zones differ: what a zone lost is compared with what was to be expected
of it, and its rate is multiplied with (SAME + lost) / (SAME + expected), the mean of a gamma posterior for a Poisson
process (Gelman et al., Bayesian Data Analysis, 3rd ed., section 2.6). Both fade with a half-life.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from infra.keeper_words import HOUR, Error, Held, Observed, Place, Rules

FALL: Final = 0.7
SOON: Final = 0.1
BASE: Final = 0.05
"""Losses per hour of a zone however old."""
UNSEEN: Final = 24.0
"""Hours that a zone is taken to have given before it was first used: diurnal scarcity would have shown within a day."""
SAME: Final = 2.0
"""Losses that the common rate counts for when a zone's own record is weighed against it."""
HALF_LIFE: Final = 72.0
JOINT: Final = (1.0, 9.0)
"""Losses that took a neighbour along, and that did not, before there is a record."""
GAIN: Final = 0.01
"""Per hour: a budget that is left whole for 100 hours lowers the worth of an hour below the target by a factor e."""
BOUND: Final = 2.5
"""Of the logarithm of that factor: between 1/12 and 12."""


FULL: Final = 3600.0
FULL_MOST: Final = 86400.0
"""Seconds for which no more is asked of a zone than it held when it refused more; doubles with each refusal."""
MANY: Final = 10**6


@dataclass(frozen=True, slots=True)
class Cool:
    """refused: times in a row. until: left alone up to then; None: open."""

    refused: int = 0
    until: float | None = None

    def closed(self, now: float) -> bool:
        return self.until is not None and self.until > now


@dataclass(frozen=True, slots=True)
class Full:
    """held: when it refused more than that, so it gives no more; None: not known. refused: in a row. until: as long
    nothing more is asked of it."""

    held: int | None = None
    refused: int = 0
    until: float = 0.0


@dataclass(frozen=True, slots=True)
class Record:
    """A zone's. lost, expected: losses, and those to be expected while it was held; fading. since: it gives without a
    loss; None: not held. bad: when it was last known to give nothing more, and nothing was held."""

    lost: float = 0.0
    expected: float = 0.0
    since: float | None = None
    bad: float | None = None
    full: Full = Full()
    spot: Cool = Cool()
    on_demand: Cool = Cool()

    def cool(self, market: str) -> Cool:
        return self.spot if market == "spot" else self.on_demand

    def most(self, now: float) -> int:
        """So many at most are asked of it now."""
        return MANY if self.full.held is None or now >= self.full.until else self.full.held

    def rate(self, now: float, ahead: float = 0.0) -> float:
        """Losses per hour, `ahead` hours from now, of what is held or would be launched now."""
        since = now if self.since is None else self.since
        held = (now - since) / HOUR + ahead
        unknown = UNSEEN if self.bad is None else max(0.0, since - self.bad) / HOUR
        young = SOON + held
        common = FALL / young if unknown < 1e-3 else FALL / unknown * math.log1p(unknown / young)
        return (BASE + common) * (SAME + self.lost) / (SAME + self.expected)


@dataclass(frozen=True, slots=True)
class Memory:
    """What is remembered from one look to the next, all of it. first, at: the first look and the last one.

    serving: how many served after the last look. pressure: logarithm of how much more an hour below the target counts
    than at first. joint: by region, losses that took a neighbour along, those that did not, both fading. recent: when
    and where something was lost within the last span. noticed: ends to come, for a keeper that does not act on notice.
    """

    first: float | None = None
    at: float | None = None
    serving: int = 0
    pressure: float = 0.0
    zones: Mapping[str, Record] = field(default_factory=dict)
    joint: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    recent: tuple[tuple[float, str], ...] = ()

    def zone(self, name: str) -> Record:
        return self.zones.get(name, Record())

    def to_json(self) -> dict[str, Any]:
        """A value for json.dumps that `from_json` turns back into the same memory."""
        zones = {
            name: {
                "lost": record.lost, "expected": record.expected, "since": record.since, "bad": record.bad,
                "full": [record.full.held, record.full.refused, record.full.until],
                "spot": [record.spot.refused, record.spot.until],
                "onDemand": [record.on_demand.refused, record.on_demand.until],
            }
            for name, record in self.zones.items()
        }  # fmt: skip
        return {
            "version": 1, "first": self.first, "at": self.at, "serving": self.serving, "pressure": self.pressure,
            "zones": zones, "joint": {region: list(pair) for region, pair in self.joint.items()},
            "recent": [list(entry) for entry in self.recent],
        }  # fmt: skip

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Memory:
        """Raises ValueError for what `to_json` did not write."""
        try:
            if body["version"] != 1:
                raise ValueError(f"version = {body['version']!r}: must be 1")
            zones = {
                name: Record(
                    one["lost"], one["expected"], one["since"], one["bad"], Full(*one["full"]),
                    Cool(*one["spot"]), Cool(*one["onDemand"]),
                )
                for name, one in body["zones"].items()
            }  # fmt: skip
            joint = {region: (float(many), float(alone)) for region, (many, alone) in body["joint"].items()}
            recent = tuple((float(at), str(zone)) for at, zone in body["recent"])
            return cls(body["first"], body["at"], body["serving"], body["pressure"], zones, joint, recent)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"is no memory of the keeper: {error}") from None


def remember(memory: Memory, seen: Observed, places: Mapping[str, Place], rules: Rules) -> Memory:
    """The memory with what happened since the last look."""
    now = seen.now
    passed = 0.0 if memory.at is None else max(0.0, now - memory.at) / HOUR
    fade = 0.5 ** (passed / HALF_LIFE)
    held = Counter(one.zone for one in seen.held if one.market == "spot")
    lost = Counter(seen.lost)
    zones: dict[str, Record] = {}
    for name in places:
        record = memory.zone(name)
        expected, since = record.expected * fade, record.since
        if since is not None and memory.at is not None:
            middle = replace(record, lost=0.0, expected=0.0)
            expected += middle.rate(memory.at, passed / 2) * passed
        since = (now if since is None or lost[name] else since) if held[name] else None
        bad = now if lost[name] else record.bad
        zones[name] = replace(
            record, lost=record.lost * fade + bool(lost[name]), expected=expected, since=since, bad=bad
        )
    joint, recent = _joint(memory, seen, places, rules, fade)
    for name in lost:
        if name in zones:
            zones[name] = _refused(zones[name], "spot", now, rules, "capacity", held[name])
    for result in seen.results:
        if result.zone not in zones:
            continue
        if result.given >= result.asked:
            one = zones[result.zone]
            full = Full() if one.full.held is not None and held[result.zone] > one.full.held else one.full
            zones[result.zone] = (
                replace(one, spot=Cool(), full=full) if result.market == "spot" else replace(one, on_demand=Cool())
            )
            continue
        kind: Error = result.error or "capacity"
        region = places[result.zone].region
        # A quota and a rate limit are the region's (cloud.google.com/compute/quotas-limits), capacity is the zone's.
        wide = kind in ("quota", "throttled")
        for name in [name for name in zones if places[name].region == region] if wide else [result.zone]:
            zones[name] = _refused(zones[name], result.market, now, rules, kind, held[name])
    first = now if memory.first is None else memory.first
    pressure = _pressure(memory, now, first, rules)
    return Memory(first, now, memory.serving, pressure, zones, joint, recent)


def _refused(record: Record, market: str, now: float, rules: Rules, kind: Error, held: int) -> Record:
    before = record.cool(market)
    longest = max(rules.cool_most, rules.cool[kind])
    seconds = min(longest, rules.cool[kind] * 2.0 ** min(before.refused, 30))
    cool = Cool(before.refused + 1, now + seconds if rules.levers.cool_down else None)
    if market != "spot":
        return replace(record, on_demand=cool)
    if kind != "capacity":
        return replace(record, spot=cool)
    if not held:
        return replace(record, spot=cool, bad=now)
    again = record.full.refused if record.full.held is not None and held <= record.full.held else 0
    return replace(record, full=Full(held, again + 1, now + min(FULL_MOST, FULL * 2.0 ** min(again, 30))))


def _pressure(memory: Memory, now: float, first: float, rules: Rules) -> float:
    """Integral control: what is below the target beyond what is allowed raises the worth of it, what is less lowers it.

    The time up to the first boot does not count: nothing could serve by then.
    """
    if memory.at is None:
        return 0.0
    counted = max(0.0, now - max(memory.at, first + rules.boot + 2 * rules.detect)) / HOUR
    short = counted if memory.serving < rules.target else 0.0
    return max(-BOUND, min(BOUND, memory.pressure + GAIN * (short / rules.allowed - counted)))


def _joint(
    memory: Memory, seen: Observed, places: Mapping[str, Place], rules: Rules, fade: float
) -> tuple[dict[str, tuple[float, float]], tuple[tuple[float, str], ...]]:
    """Losses that took a neighbour of the region along within the span, beyond those that chance would have."""
    now = seen.now
    before_now = now if memory.at is None else memory.at
    recent = tuple(entry for entry in memory.recent if now - entry[0] <= rules.span * HOUR)
    joint = {region: (many * fade, alone * fade) for region, (many, alone) in memory.joint.items()}
    used = {one.zone for one in seen.held if one.market == "spot"} | set(seen.lost)
    for zone in sorted(set(seen.lost)):
        if zone not in places:
            continue
        region = places[zone].region
        before = {other for _, other in recent}
        near = [other for other in (used | before) - {zone} if other in places and places[other].region == region]
        if near:
            chance = 1.0 - math.exp(-sum(memory.zone(other).rate(before_now) for other in near) * rules.span)
            along = any(other in before or other in seen.lost for other in near)
            many, alone = joint.get(region, (0.0, 0.0))
            weight = 1.0 - min(1.0, chance) if along else 0.0
            joint[region] = (many + weight, alone + 1.0 - weight)
        recent += ((now, zone),)
    return joint, recent


def joint_share(memory: Memory, region: str) -> float:
    """Share of a zone's losses that take the region's other zones along."""
    many, alone = memory.joint.get(region, (0.0, 0.0))
    return (JOINT[0] + many) / (JOINT[0] + many + JOINT[1] + alone)


def serving(held: Sequence[Held], gone: Sequence[int]) -> int:
    """How many serve once these ids are ended."""
    return sum(one.ready and one.id not in gone for one in held)
