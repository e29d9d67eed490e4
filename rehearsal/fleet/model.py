"""What a fleet consists of, in figures that a simulator can take: regions, pools, their fallback, and DNS over them.

Every value here stands in some resource (or in a stack file that makes it); `Fleet.origins` says where, by the path of
the field, and what was assumed where no resource says it. Durations are seconds unless a name says minutes; sizes are
nodes, and one node is one replica. Fleets of the same stacks are equal, whichever source they were read from: what only
some sources know (present sizes, addresses, origins) takes no part in comparisons.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, Final, Literal

from infra import catalog
from infra.dns.checkers import CheckSettings
from infra.fallback import Rule
from infra.function.load import LoadRule
from rehearsal.fleet.alarms import Alarm, AlarmFallback

Market = Literal["spot", "on-demand", "capacity-block"]
Signal = Literal["queue", "cpu", "none"]
SourceKind = Literal["export", "plan", "sandbox", "stack-files"]
Choice = Literal["any", "cheapest-capacity", "in-order"]
TIMER_SECONDS: Final = 60


@dataclass(frozen=True, slots=True)
class Origin:
    """Where one figure comes from.

    where: URN of a resource, or the file. key: the property (of a file: the key); empty for an assumption of this
    program. assumed: why the value holds although no resource says it; empty where one does.
    """

    where: str
    key: str = ""
    assumed: str = ""

    def __str__(self) -> str:
        told = f"{self.where}: {self.key}" if self.key else self.where
        return f"{told} (assumed: {self.assumed})" if self.assumed else told


@dataclass(frozen=True, slots=True)
class PriceKey:
    """The row of a price file that a machine is billed by (columns of rehearsal/data/prices)."""

    provider: str
    region: str
    instance_type: str
    market: Literal["spot", "on-demand"]


@dataclass(frozen=True, slots=True)
class Pool:
    """A group of nodes of one purchase model.

    name: of the group. types: machine types, in the order in which the group has them. choice: which of them a launch
    gets: in-order the first with capacity, cheapest-capacity by price and capacity together (AWS
    price-capacity-optimized), any wherever there is room. zones: those that it launches in, sorted; () where the region
    chooses, or is told no zone. minimum, maximum: sizes that whoever sets the size keeps to. initial: size at creation.
    reservation: of a capacity block. closes: UTC time at which a capacity block's group goes to zero.
    """

    name: str
    market: Market
    types: tuple[str, ...]
    choice: Choice
    zones: tuple[str, ...]
    minimum: int
    maximum: int
    initial: int
    reservation: str | None = None
    closes: str | None = None
    size: int | None = field(default=None, compare=False)
    """What the source says the group aims at now; None where nothing stands yet."""


@dataclass(frozen=True, slots=True)
class Hook:
    """A lifecycle hook: a node waits in it until it says so itself, or until `timeout_seconds` are over.

    pool: the group's name. result: ABANDON ends a node that did not answer in time, CONTINUE lets it go on.
    """

    pool: str
    name: str
    transition: Literal["launching", "terminating"]
    timeout_seconds: int
    result: Literal["ABANDON", "CONTINUE"]


@dataclass(frozen=True, slots=True)
class FunctionFallback:
    """Azure, GCP: `infra.fallback.decide` every `timer_seconds`, and `infra.function.load.follow` for the load.

    retry_seconds: after which a failed call is made once more; None where it waits for the next turn. load: what
    `follow` is given. dry_run: decides and sets nothing. paused: the timer is off.
    """

    rule: Rule
    load: LoadRule
    timer_seconds: int
    retry_seconds: int | None
    dry_run: bool
    paused: bool


@dataclass(frozen=True, slots=True)
class NoFallback:
    """All on demand: nothing to fall back from. load: alarms that move the one pool's size."""

    load: tuple[Alarm, ...] = ()


Fallback = AlarmFallback | FunctionFallback | NoFallback


@dataclass(frozen=True, slots=True)
class Balancer:
    """The region's front, and when it sends a node connections.

    A node is out after `unhealthy_threshold` failed checks `interval_seconds` apart, and in after `healthy_threshold`
    good ones. drain_seconds: for which a node that leaves the group keeps its connections; 0 where the cloud knows no
    such time. addresses: how many static addresses clients are told.
    """

    protocol: str
    path: str
    port: int
    interval_seconds: int
    timeout_seconds: int
    healthy_threshold: int
    unhealthy_threshold: int
    drain_seconds: int
    addresses: int


@dataclass(frozen=True, slots=True)
class Node:
    """How long a node takes to come and to go, and what it takes on.

    boot_minutes: launch to ready: image, weights, engine start, as the stack counts on. grace_seconds: not ready (AWS:
    in its launch hook; Azure, GCP: not alive) by then, it is replaced; 0 where the cloud knows none. notice_seconds:
    what the cloud gives between the notice and the end of a spot node, 0 without spot. counted_seconds: what the node
    counts on, never more. Of these it is unready for deregister_seconds, then lets requests finish for drain_seconds.
    concurrency: sequences in one batch (vLLM's --max-num-seqs). queue, ttft_p50_ms, error_rate: beyond these the node
    calls itself unready.
    """

    boot_minutes: int
    grace_seconds: int
    notice_seconds: int
    counted_seconds: int
    deregister_seconds: int
    drain_seconds: int
    model: str
    concurrency: int
    max_model_len: int
    queue: int
    ttft_p50_ms: int
    error_rate: float


@dataclass(frozen=True, slots=True)
class Region:
    """One region stack: what serves there, and what stands in when spot is gone.

    target: replicas wanted, `floor` of them always on demand; maximum: of either pool. signal: what the size follows.
    residency: where its clients' data may be processed. nearest_aws_region: where latency records put it.
    """

    stack: str
    cloud: str
    region: str
    residency: str
    nearest_aws_region: str
    target: int
    floor: int
    maximum: int
    spot: Pool | None
    on_demand: Pool
    blocks: tuple[Pool, ...]
    fallback: Fallback
    rule: Rule | None
    """The fallback as one rule: the function's own, or the one whose alarms `infra.fallback.aws_alarms` writes exactly
    as they are registered. None: no fallback, or alarms of another kind, which have to be played as they stand."""
    signal: Signal
    hooks: tuple[Hook, ...]
    node: Node
    balancer: Balancer

    @property
    def pools(self) -> tuple[Pool, ...]:
        """Every group, spot first."""
        return (*((self.spot,) if self.spot else ()), self.on_demand, *self.blocks)

    def launches(self, pool: Pool) -> tuple[tuple[str, str], ...]:
        """(machine type, zone) that a launch into a pool may be, by types and zones in the pool's order: each type only
        in the zones that the catalog knows to offer it, in all of them where nobody told. A pool that is told no zone
        launches in the region as a whole, which then stands for the zone."""
        found = []
        for machine in pool.types:
            offered = catalog.zones(machine, self.region)
            zones = pool.zones or (self.region,)
            found += [(machine, zone) for zone in zones if not pool.zones or not offered or zone in offered]
        return tuple(found)

    @property
    def price_keys(self) -> tuple[PriceKey, ...]:
        """What the pools can be billed by; capacity blocks are paid in advance and have no row."""
        return tuple(
            PriceKey(self.cloud, self.region, machine, pool.market)
            for pool in self.pools
            if pool.market != "capacity-block"
            for machine in pool.types
        )


@dataclass(frozen=True, slots=True)
class Place:
    """A member in a tier. weight: as the provider has it, against those of the same tier; 0, or not `enabled`: a
    standby. latency_region: where the provider thinks it is (an AWS or Azure region, or latitude and longitude); None
    where distance does not count."""

    member: str
    weight: float
    latency_region: str | None = None
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class Tier:
    """Members of one rank, which answer while no earlier tier has a healthy one. priority: the number in the stack
    file, where the provider's resources keep it."""

    choice: Literal["weighted", "latency"]
    degraded: bool
    places: tuple[Place, ...]
    priority: int | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Service:
    """One name that clients call. fallback: who answers when nobody is healthy, where the provider is told so
    (Cloudflare); () where it then takes all for healthy (Route 53, Traffic Manager)."""

    name: str
    policy: Literal["priority", "weighted", "latency"]
    residency: str | None
    tiers: tuple[Tier, ...]
    fallback: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Member:
    """One place that answers and is probed.

    stack: the region stack that it is, None for a static endpoint. addresses: how many, each probed by itself.
    drained: probed, and in no tier.
    """

    name: str
    stack: str | None
    cloud: str
    residency: str
    nearest_aws_region: str
    addresses: int
    port: int
    health_path: str
    drained: bool
    at: tuple[str, ...] = field(default=(), compare=False)
    """The addresses, as far as the source knows them."""


@dataclass(frozen=True, slots=True)
class World:
    """The global stack. check: probing, threshold, time-outs and TTL, as `infra.dns.budget` and `infra.dns.voting` take
    them. planned: members left out for now. objective_seconds: by when 95 % of clients have to have left."""

    stack: str
    provider: str
    zone: str
    services: tuple[Service, ...]
    members: tuple[Member, ...]
    planned: tuple[str, ...]
    check: CheckSettings
    objective_seconds: float

    def member(self, name: str) -> Member:
        """The member of that name; KeyError when there is none."""
        return {member.name: member for member in self.members}[name]


@dataclass(frozen=True, slots=True)
class Fleet:
    """Regions by stack, sorted, and the global stack over them (None: there is none).

    origins: path of a field (`aws-us-east-1.spot.minimum`, `global.services[0].tiers[1].places[0].weight`) -> where its
    value comes from. A path that is missing here goes by the nearest one above it.
    """

    regions: tuple[Region, ...]
    world: World | None
    source: SourceKind = field(compare=False)
    origins: Mapping[str, Origin] = field(default_factory=dict, compare=False, repr=False)

    def region(self, stack: str) -> Region:
        """The region of a stack; KeyError when there is none."""
        return {region.stack: region for region in self.regions}[stack]

    def origin(self, path: str) -> Origin:
        """Where the figure at a path comes from. Raises KeyError for a path that is nothing's."""
        found = origin(self.origins, path)
        if found is None:
            raise KeyError(path)
        return found

    @property
    def assumptions(self) -> tuple[tuple[str, Origin], ...]:
        """Every figure that no resource says, by path, and why it is taken to be so."""
        return tuple((path, origin) for path, origin in sorted(self.origins.items()) if origin.assumed)

    def figures(self) -> Iterator[tuple[str, Any]]:
        """Every figure by its path, as `origin` knows it."""
        for region in self.regions:
            yield from figures(region, region.stack)
        if self.world is not None:
            yield from figures(self.world, self.world.stack)


def origin(origins: Mapping[str, Origin], path: str) -> Origin | None:
    """What is noted for a path, or for the nearest one above it."""
    while path:
        if path in origins:
            return origins[path]
        path = path[: max(path.rfind("."), path.rfind("["), 0)]
    return None


def figures(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """The leaves below a value: (path, value)."""
    if is_dataclass(value) and not isinstance(value, type):
        for one in fields(value):
            yield from figures(getattr(value, one.name), f"{path}.{one.name}")
    elif isinstance(value, tuple) and any(is_dataclass(item) for item in value):
        for number, item in enumerate(value):
            yield from figures(item, f"{path}[{number}]")
    else:
        yield path, value
