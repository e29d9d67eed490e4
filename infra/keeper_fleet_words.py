"""The words of the keeper over region stacks: what it is told of regions, what it answers, what it remembers. Values
only; USD, nodes, seconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from infra.keeper import Memory, Plan
from infra.keeper_words import Error, Levers, Market

VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class RegionStack:
    """What does not change of a region stack.

    fleet: those that stand in for each other have the same. zones: where its spot group may launch, at least one; of
    which of them, the group decides. target, floor: of the stack file; the floor stays on demand. most: nodes of both
    pools together. boot: seconds from launch to ready.
    """

    stack: str
    cloud: str
    region: str
    zones: tuple[str, ...]
    fleet: str
    target: int
    floor: int
    most: int
    boot: float


@dataclass(frozen=True, slots=True)
class Machine:
    """A node of a group, as its cloud tells. leaving: on its way out, or with a notice of its end."""

    id: str
    market: Market
    zone: str
    ready: bool
    leaving: bool = False


@dataclass(frozen=True, slots=True)
class RegionState:
    """What a cloud tells of a region now.

    spot, on_demand: the targets as they are set. spot_size, on_demand_size: what the groups aim at, with what the load
    and the fallback have added. creating: asked for, neither launched nor refused, by market. refused: why launches of
    a market were refused last, where some of its group are missing. prices: USD per node-hour by market, where known.
    """

    spot: int
    on_demand: int
    spot_size: int
    on_demand_size: int
    machines: tuple[Machine, ...]
    creating: Mapping[Market, int] = field(default_factory=dict)
    refused: Mapping[Market, Error] = field(default_factory=dict)
    prices: Mapping[Market, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FleetRules:
    """What is wanted of every fleet, as in `infra.keeper_words.Rules`. look: seconds between two looks. target: nodes
    of each fleet by its name; what is left out has the sum of its stacks'. Shares of the target per region, cloud: of
    regions that can be had, so that the rest takes it all over when others are gone."""

    look: float = 60.0
    availability: float = 0.995
    target: Mapping[str, int] = field(default_factory=dict)
    region_share: float = 0.75
    """A region goes dark at once, with no loss before it to learn from: a quarter of the target is always elsewhere."""
    cloud_share: float = 1.0
    levers: Levers = field(default_factory=Levers)


@dataclass(frozen=True, slots=True)
class Known:
    """A machine at the last look. first: when it was seen first."""

    market: Market
    zone: str
    first: float
    ready: bool


@dataclass(frozen=True, slots=True)
class RegionMemory:
    """A region at the last look that could read it. missing: nodes that its groups lacked then, by market. asked: by
    zone, spot nodes that were wanted there then. since: from when on something has been wanted that waits .
    """

    machines: Mapping[str, Known] = field(default_factory=dict)
    prices: Mapping[Market, float] = field(default_factory=dict)
    missing: Mapping[Market, int] = field(default_factory=dict)
    asked: Mapping[str, int] = field(default_factory=dict)
    since: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FleetMemory:
    """All that is remembered from one look to the next: the keeper's memory by fleet, and every region by stack."""

    fleets: Mapping[str, Memory] = field(default_factory=dict)
    regions: Mapping[str, RegionMemory] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """A value for json.dumps that `from_json` turns back into the same memory."""
        regions = {
            name: {
                "machines": {id: [one.market, one.zone, one.first, one.ready] for id, one in region.machines.items()},
                "prices": dict(region.prices),
                "missing": dict(region.missing),
                "asked": dict(region.asked),
                "since": dict(region.since),
            }
            for name, region in self.regions.items()
        }
        return {
            "version": VERSION,
            "fleets": {name: memory.to_json() for name, memory in self.fleets.items()},
            "regions": regions,
        }

    @classmethod
    def from_json(cls, body: Any) -> FleetMemory:
        """Raises ValueError, one line, for what `to_json` did not write."""
        try:
            if body["version"] != VERSION:
                raise ValueError(f"version = {body['version']!r}: must be {VERSION}")
            regions = {
                str(name): RegionMemory(
                    {str(id): _known(one) for id, one in row["machines"].items()},
                    {_market(market): float(price) for market, price in row["prices"].items()},
                    {_market(market): int(count) for market, count in row["missing"].items()},
                    {str(zone): int(count) for zone, count in row["asked"].items()},
                    {str(wish): float(since) for wish, since in row["since"].items()},
                )
                for name, row in body["regions"].items()
            }
            fleets = {str(name): Memory.from_json(memory) for name, memory in body["fleets"].items()}
            return cls(fleets, regions)
        except KeyError as error:
            raise ValueError(f"is no memory of the fleet's keeper: {error.args[0]}: missing") from None
        except (TypeError, AttributeError, IndexError):
            told = "is no memory of the fleet's keeper: expected what `keeper plan --memory` writes"
            raise ValueError(told) from None


def _known(row: Any) -> Known:
    market, zone, first, ready = row
    return Known(_market(market), str(zone), float(first), bool(ready))


def _market(word: Any) -> Market:
    if word == "spot":
        return "spot"
    if word == "on-demand":
        return "on-demand"
    raise ValueError(f"market = {word!r}: must be spot or on-demand")


@dataclass(frozen=True, slots=True)
class Edit:
    """Another target of a region: (spot, on-demand minimum) before and after. why: the keeper's reasons. usd: per hour,
    what the region's targets cost more (or less) afterwards."""

    stack: str
    before: tuple[int, int]
    after: tuple[int, int]
    why: str
    usd: float

    @property
    def raises(self) -> bool:
        """Whether neither size falls: such edits can be made before all others without harm."""
        return self.after[0] >= self.before[0] and self.after[1] >= self.before[1]


@dataclass(frozen=True, slots=True)
class FleetPlan:
    """One fleet's look. target: nodes wanted, floors included. serving, booting: counted now. usd: per hour of what is
    held now where it has prices, floors included; plan: what is aimed at beyond the floors, None where nothing is to
    decide (`why`). left_out: stack -> why the keeper does not move it."""

    fleet: str
    stacks: tuple[str, ...]
    target: int
    serving: int
    booting: int
    usd: float
    plan: Plan | None
    why: str = ""
    left_out: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FleetStep:
    """What to set now, raises first; what every fleet comes to; what to remember. wake: seconds after which something
    may be decided otherwise although nothing has changed."""

    edits: tuple[Edit, ...]
    plans: tuple[FleetPlan, ...]
    memory: FleetMemory
    wake: float
