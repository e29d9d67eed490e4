"""The words of the keeper: what it may use, what it is told, what it answers. Values only; USD, instances, seconds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

Market = Literal["spot", "on-demand"]
Error = Literal["capacity", "quota", "throttled", "failed"]
"""capacity: none to be had. quota: the account may not. throttled: asked too often. failed: launched, never ready."""
Key = tuple[str, Market]
"""A zone and a market."""
HOUR: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Place:
    """A zone that may be used. most: instances of both markets together, of all zones that share it (`shared`), or of
    this one alone; None: as many as it gives."""

    name: str
    region: str
    cloud: str
    most: int | None = None
    shared: str | None = None


@dataclass(frozen=True, slots=True)
class Levers:
    """What the keeper may do, each for itself, so that an ablation can take one away.

    moves: leave a zone for a cheaper one. price_cap: look at what a zone costs; without it all cost their mean.
    spares: as many as the risk is worth; without it one, always. floor: on-demand beside spot that serves; without it
    only for what spot leaves open. notice: replace on notice, and take a neighbour's loss as a warning; without it an
    instance is missed when it is gone. cool_down: leave a zone that refused alone. spread: the limits per zone, region
    and cloud, and the learnt share of joint losses.
    """

    moves: bool = True
    price_cap: bool = True
    spares: bool = True
    floor: bool = True
    notice: bool = True
    cool_down: bool = True
    spread: bool = True


@dataclass(frozen=True, slots=True)
class Rules:
    """What is wanted, and what it takes.

    target: instances that are to serve. boot: from launch to serving; detect: until a loss or a refusal is noticed.
    availability: share of the time with `target` serving. notice: between a cloud's word and the end.
    cool: how long a zone is left alone after its first refusal, by kind; doubles with each in a row up to `cool_most`.
    zone_share, region_share, cloud_share: most of the target that may lie in one (a spare may always lie elsewhere).
    Raises ValueError, one line that names the field and what is allowed.
    """

    target: int
    boot: float
    detect: float = 60.0
    availability: float = 0.995
    notice: float = 0.0
    cool: Mapping[Error, float] = field(
        default_factory=lambda: {"capacity": 180.0, "quota": 3600.0, "throttled": 120.0, "failed": 1800.0}
    )
    cool_most: float = 1800.0
    zone_share: float = 1.0
    region_share: float = 1.0
    cloud_share: float = 1.0
    levers: Levers = field(default_factory=Levers)

    def __post_init__(self) -> None:
        if self.target < 1:
            raise ValueError(f"target = {self.target}: must be at least 1")
        for name in ("boot", "notice", "cool_most"):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) >= 0):
                raise ValueError(f"{name} = {getattr(self, name)}: must be 0 s or more")
        if not (math.isfinite(self.detect) and self.detect > 0):
            raise ValueError(f"detect = {self.detect}: must be above 0 s")
        if not 0 < self.availability < 1:
            raise ValueError(f"availability = {self.availability}: must be above 0 and below 1")
        for name in ("zone_share", "region_share", "cloud_share"):
            if not 0 < getattr(self, name) <= 1:
                raise ValueError(f"{name} = {getattr(self, name)}: must be above 0 and at most 1")

    @property
    def span(self) -> float:
        """Hours for which a loss is missed: until it is noticed, and until its replacement serves."""
        return (self.boot + self.detect) / HOUR

    @property
    def allowed(self) -> float:
        """Share of the time that may be below the target."""
        return 1.0 - self.availability


@dataclass(frozen=True, slots=True)
class Held:
    """An own instance that has no notice of its end."""

    id: int
    zone: str
    market: Market
    launched: float
    ready: bool


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a launch. error: why the rest of what was asked for was not given."""

    zone: str
    market: Market
    asked: int
    given: int
    error: Error | None = None


@dataclass(frozen=True, slots=True)
class Observed:
    """All that a running system knows. now: seconds of any clock that only goes forward.

    results, lost: since the last look. lost: zones of spot instances that were taken or got notice, one for each.
    spot, on_demand: USD per instance-hour now, by zone; a zone without a price in a market is not used in it.
    """

    now: float
    held: Sequence[Held]
    results: Sequence[Result]
    lost: Sequence[str]
    spot: Mapping[str, float]
    on_demand: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Order:
    zone: str
    market: Market
    count: int
    why: str


@dataclass(frozen=True, slots=True)
class Plan:
    """Wanted numbers by zone and market. price: USD per hour; short: share of the time below the target as things
    stand; worth: USD that an hour below the target counts."""

    wanted: Mapping[Key, int]
    price: float
    short: float
    worth: float
