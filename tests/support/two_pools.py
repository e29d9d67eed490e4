"""A spot and an on-demand pool minute by minute: markets that run dry, boots, drains; and who decides the sizes.

The pools know no rule. A `Control` sees a sample per minute, as late as the metrics are, and moves the on-demand pool's
desired size; both controls, registered alarms and `infra.fallback.decide`, run in the same world.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from infra.fallback import Decision, Observation, Rule, State, decide
from tests.support.alarms import GroupState, Region

Schedule = Callable[[int], int]
"""A number of nodes as a function of the minute."""
Pick = Literal["serving first", "booting first"]


@dataclass(slots=True)
class Node:
    phase: Literal["pending", "in service", "terminating"]
    since: int


@dataclass(slots=True)
class Pool:
    """One group. boot, leave: minutes pending, minutes terminating. pick: which node a smaller desired size ends."""

    desired: int
    boot: int
    leave: int
    pick: Pick
    nodes: list[Node] = field(default_factory=list)
    raised_at: int = -10

    def count(self, phase: str) -> int:
        return sum(node.phase == phase for node in self.nodes)

    @property
    def alive(self) -> int:
        return len(self.nodes) - self.count("terminating")

    def resize(self, desired: int, minute: int) -> None:
        if desired > self.desired:
            self.raised_at = minute
        self.desired = desired

    def live(self, minute: int, market: int) -> None:
        """One minute: what the market allows is launched, what it takes back goes, boots and drains end."""
        while self.alive < min(self.desired, market):
            self.nodes.append(Node("pending", minute))
        self.end(self.alive - market, minute, "serving first")
        self.end(self.alive - self.desired, minute, self.pick)
        self.nodes = [n for n in self.nodes if n.phase != "terminating" or minute - n.since < self.leave]
        for node in self.nodes:
            if node.phase == "pending" and minute - node.since >= self.boot:
                node.phase, node.since = "in service", minute

    def end(self, how_many: int, minute: int, pick: Pick) -> None:
        first = "in service" if pick == "serving first" else "pending"
        alive = sorted((n for n in self.nodes if n.phase != "terminating"), key=lambda n: n.phase != first)
        for node in alive[: max(0, how_many)]:
            node.phase, node.since = "terminating", minute

    def state(self, minute: int, warmup: int) -> GroupState:
        """What Auto Scaling knows of the group. A node warms up from its order until `warmup` minutes in service."""
        warm = sum(n.phase == "in service" and minute - n.since >= warmup for n in self.nodes)
        young = self.alive - warm
        return GroupState(
            desired=self.desired,
            warming=max(0, self.desired - warm),
            terminating=self.count("terminating"),
            scaling_out=young > 0 or minute - self.raised_at <= 1,
        )


class Control(Protocol):
    """Something that turns one sample a minute into a desired size of the on-demand group."""

    def minute(self, minute: int, seen: Observation | None, group: GroupState) -> int:
        """The desired size after this minute; `seen` is the newest sample that has arrived, `group` the group now."""
        ...


@dataclass(slots=True)
class ByAlarms:
    """Alarms and policies as registered. spot, on_demand: the groups' names."""

    region: Region
    spot: str
    on_demand: str

    def minute(self, minute: int, seen: Observation | None, group: GroupState) -> int:
        if seen is not None:
            self.publish(seen)
        self.region.minute(minute, {self.on_demand: group})
        return group.desired

    def publish(self, seen: Observation, spot: bool = True, on_demand: bool = True) -> None:
        """The group metrics of one minute; each group publishes on its own."""
        names = {name: group for name, group in self.region.groups.items() if name in (self.spot, self.on_demand)}
        if spot:
            self.region.metrics.publish(
                self.spot,
                seen.minute,
                {
                    "GroupDesiredCapacity": seen.desired,
                    "GroupInServiceInstances": seen.in_service,
                    "GroupPendingInstances": seen.pending,
                    "GroupMaxSize": names[self.spot].max_size,
                },
            )
        if on_demand:
            self.region.metrics.publish(
                self.on_demand,
                seen.minute,
                {
                    "GroupDesiredCapacity": seen.on_demand_desired,
                    "GroupInServiceInstances": seen.on_demand_in_service,
                    "GroupPendingInstances": max(0, seen.on_demand_desired - seen.on_demand_in_service),
                    "GroupTerminatingInstances": seen.on_demand_terminating,
                    "GroupMaxSize": names[self.on_demand].max_size,
                },
            )


@dataclass(slots=True)
class ByRule:
    """`decide` on a timer. The group refuses a scale-in during a scale-out, as it does towards a policy."""

    rule: Rule
    state: State = field(default_factory=State)
    decisions: list[Decision] = field(default_factory=list)

    def minute(self, minute: int, seen: Observation | None, group: GroupState) -> int:
        if seen is None:
            return group.desired
        decision = decide(self.rule, self.state, seen)
        self.state = State.from_json(decision.state.to_json())
        self.decisions.append(decision)
        wanted = decision.on_demand_desired
        if wanted == seen.on_demand_desired or (wanted < group.desired and group.scaling_out):
            return group.desired
        return wanted


@dataclass(frozen=True, slots=True)
class World:
    """What happens to a region. lag: minutes until a sample is seen. warmup: the policies' own, in minutes.

    spot_wanted: the spot pool's desired size. spot_market, on_demand_market: how many nodes can be had.
    by_hand: minute -> on-demand desired size that a person sets.
    """

    minutes: int
    spot_wanted: Schedule
    spot_market: Schedule
    on_demand_market: Schedule = lambda minute: 99
    floor: int = 0
    boot: int = 20
    spot_boot: int = 20
    leave: int = 3
    lag: int = 0
    warmup: int = 20
    pick: Pick = "serving first"
    spot_running: int = 0
    by_hand: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Minute:
    seen: Observation
    serving: int
    target: int
    on_demand_pending: int
    ordered: int


def run(world: World, control: Control) -> list[Minute]:
    """The region under this control, one entry a minute; `ordered` is the on-demand desired size after the minute."""
    spot = Pool(world.spot_wanted(0), world.spot_boot, world.leave, world.pick)
    spot.nodes = [Node("in service", -1000) for _ in range(world.spot_running)]
    on_demand = Pool(world.floor, world.boot, world.leave, world.pick)
    on_demand.nodes = [Node("in service", -1000) for _ in range(world.floor)]
    samples: list[Observation] = []
    trace: list[Minute] = []
    for minute in range(world.minutes):
        spot.live(minute, world.spot_market(minute))
        spot.resize(world.spot_wanted(minute), minute)
        on_demand.live(minute, world.on_demand_market(minute))
        if minute in world.by_hand:
            on_demand.resize(world.by_hand[minute], minute)
        seen = Observation(
            minute,
            spot.desired,
            spot.count("in service"),
            spot.count("pending"),
            on_demand.desired,
            on_demand.count("in service"),
            on_demand.count("terminating"),
        )
        samples.append(seen)
        arrived = samples[minute - world.lag] if minute >= world.lag else None
        on_demand.resize(control.minute(minute, arrived, on_demand.state(minute, world.warmup)), minute)
        serving = seen.in_service + seen.on_demand_in_service
        target = spot.desired + world.floor
        trace.append(Minute(seen, serving, target, on_demand.count("pending"), on_demand.desired))
    return trace
