"""What a rehearsal comes to: values only, ready for JSON. Seconds since the rehearsal's begin, USD, shares of one.

A `Rehearsal` is one scenario played against one fleet in several `Variant`s: as deployed (each region's own fallback),
with the keeper, and with one change each that somebody may think of. The first variant is the one that is told in full.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

Kind = Literal["deployed", "keeper", "change"]
Where = Literal["scenario", "spot", "fallback", "keeper", "balancer", "dns", "load"]


@dataclass(frozen=True, slots=True)
class Source:
    """Where something comes from. what: what it is used for; note: what it does not show, or what was assumed."""

    what: str
    name: str
    origin: str = ""
    date: str = ""
    note: str = ""
    synthetic: bool = False
    mapped: bool = False
    """Recorded for another machine type, zone or cloud than the one it stands for here."""


@dataclass(frozen=True, slots=True)
class Incident:
    """Something that happened at a place, and for how long. until: None where it has no end, or not within the play.

    place: a stack, a zone, a member or a service.
    """

    at: float
    until: float | None
    where: Where
    place: str
    what: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class Nodes:
    """Nodes of a region from `at` on. spot, on_demand: ready by their own gates; booting: both markets; receiving: are
    sent requests and answer; refusing: are sent requests and do not."""

    at: float
    spot: int
    on_demand: int
    booting: int
    receiving: int
    refusing: int


@dataclass(frozen=True, slots=True)
class Money:
    """USD of the play. on_demand_only: of the target, all on demand at the same prices; None where one has no price."""

    spot: float
    on_demand: float
    on_demand_only: float | None

    @property
    def total(self) -> float:
        return self.spot + self.on_demand

    @property
    def share(self) -> float | None:
        """Of all on demand."""
        return self.total / self.on_demand_only if self.on_demand_only else None


@dataclass(frozen=True, slots=True)
class Serving:
    """How many were ready. availability: share of the time with ready >= target; zero: seconds with none; longest:
    seconds of the longest time below the target, longest_zero: with none; deficit: node-seconds below it."""

    target: int
    availability: float
    zero: float
    longest: float
    longest_zero: float
    deficit: float


@dataclass(frozen=True, slots=True)
class RegionResult:
    """One region of a variant. prices: (at, USD per hour) of the cheapest spot that its pool may launch, as it moves.

    on_demand_price: of the first on-demand type; None where there is no price. target: (at, spot, on-demand minimum) as
    whoever sets the sizes wanted it."""

    stack: str
    cloud: str
    region: str
    serving: Serving
    money: Money
    nodes: tuple[Nodes, ...]
    prices: tuple[tuple[float, float], ...]
    on_demand_price: float | None
    targets: tuple[tuple[float, int, int], ...]
    launches: int
    preemptions: int
    refusals: int
    spot_hours: float
    on_demand_hours: float


@dataclass(frozen=True, slots=True)
class Switch:
    """One change of who answers a service. at: the member changed in truth; decided: the provider's answer changed;
    half, most: 50 % and 95 % of the clients had left (or come); None where they never did. Seconds since the begin."""

    service: str
    member: str
    away: bool
    at: float
    decided: float | None
    half: float | None
    most: float | None


@dataclass(frozen=True, slots=True)
class ServiceResult:
    """One name that clients call. answers: (at, {member: share}) that a client without a cache is told; clients: the
    same as clients go, caches included. reached: share of the time, weighed by clients, in which they were sent to a
    member that answers. Empty answers: no member is told."""

    name: str
    policy: str
    answers: tuple[tuple[float, dict[str, float]], ...]
    clients: tuple[tuple[float, dict[str, float]], ...]
    reached: float
    switches: tuple[Switch, ...]


@dataclass(frozen=True, slots=True)
class Traffic:
    """Requests from `at` on, per second: that arrive, that are answered in time, late, and not at all; ttft: seconds
    that queueing adds to the time to first token, mean of those that are answered."""

    at: float
    arriving: float
    served: float
    late: float
    failed: float
    ttft: float


@dataclass(frozen=True, slots=True)
class LoadResult:
    """Requests of a service over the play. late: answered after the limit; ttft: percentile -> seconds that queueing
    added. retried: tries beyond the first. outcome of each request counted once."""

    service: str
    arrived: float
    served: float
    late: float
    failed: float
    retried: float
    ttft: dict[str, float]
    limit: float
    traffic: tuple[Traffic, ...]


@dataclass(frozen=True, slots=True)
class Regret:
    """What a plan that knows the future would have paid for the same availability. cost: USD; regret: (total - cost) /
    cost, None where cost is 0; exact: False where it is a bound from below (the LP)."""

    availability: float
    cost: float
    regret: float | None
    exact: bool = False


@dataclass(frozen=True, slots=True)
class Variant:
    """One fleet through the scenario. change: what differs from what is deployed, in words; empty where nothing does.

    serving: of the fleet, its target against all regions' ready. single_cheapest: USD of the target, all on demand, in
    the single cheapest region. log: (at, place, what, why)."""

    name: str
    kind: Kind
    change: str
    serving: Serving
    money: Money
    single_cheapest: float | None
    cheapest_region: str
    regions: tuple[RegionResult, ...]
    services: tuple[ServiceResult, ...]
    load: tuple[LoadResult, ...]
    incidents: tuple[Incident, ...]
    log: tuple[tuple[float, str, str, str], ...]
    regret: Regret | None
    launches_per_day: float
    preemptions_per_day: float


@dataclass(frozen=True, slots=True)
class Spread:
    """Of a figure over several runs: percentiles 10, 50 and 90, and the mean."""

    p10: float
    p50: float
    p90: float
    mean: float


@dataclass(frozen=True, slots=True)
class Difference:
    """A mean difference over runs that met the same starts and seeds, and its 95 % interval; better: share of the runs
    in which it was above 0."""

    mean: float
    low: float
    high: float
    better: float

    @property
    def sure(self) -> bool:
        """Whether the interval leaves 0 out."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True, slots=True)
class Repeated:
    """A variant over many starts and seeds. runs: how many; each figure spread over them. availability_gained,
    usd_more: against the first variant, run by run; None of the first itself."""

    variant: str
    runs: int
    availability: Spread
    usd: Spread
    share: Spread | None
    preemptions_per_day: Spread
    below_target_hours: Spread
    availability_gained: Difference | None = None
    usd_more: Difference | None = None


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """Everything that a report tells. begin: UTC time of second 0 (of the trace, or of the scenario); seconds: length.

    fleet: stacks that were played; left_out: stack -> why it was not. assumptions: path in the fleet -> why a figure
    holds that no resource says. scenario: its file's text as it was read."""

    scenario: str
    title: str
    shows: str
    begin: datetime
    seconds: float
    seed: int
    fleet: tuple[str, ...]
    left_out: dict[str, str]
    source: str
    sources: tuple[Source, ...]
    assumptions: tuple[tuple[str, str], ...]
    variants: tuple[Variant, ...]
    repeated: tuple[Repeated, ...] = ()
    text: str = ""
    warnings: tuple[str, ...] = field(default=())
