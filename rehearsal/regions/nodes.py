"""Nodes of one region: what zones hold, how a node boots, serves, drains and ends, and who is sent requests."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Literal, Protocol

from rehearsal.model import Cause, Entry, Instance, Market
from rehearsal.regions.clock import Clock, Order
from rehearsal.world import Level

Place = tuple[str, str]
"""Machine type and zone; an empty type stands for all of them together."""
Phase = Literal["booting", "in service", "leaving", "ended"]


class Owner(Protocol):
    """The group that a node belongs to."""

    def noticed(self, node: Node) -> None: ...

    def arrived(self, node: Node) -> None: ...

    def gone(self, node: Node, phase: Phase) -> None: ...


@dataclass(slots=True, eq=False)
class Node(Instance):
    """machine: its type. held: the place whose capacity it takes. in_service: since when, as its group sees it.

    front: out, the balancer sends it nothing; in, it does; refusing, it still does and nobody answers.
    """

    machine: str = ""
    held: Place = ("", "")
    phase: Phase = "booting"
    in_service: float | None = None
    front: Literal["out", "in", "refusing"] = "out"

    @property
    def serves(self) -> bool:
        """Ready, by its own gate."""
        return self.phase == "in service" and self.noticed is None


@dataclass(frozen=True, slots=True)
class RegionLevel(Level):
    """spot, on_demand: ready by their own gates. receiving: are sent requests and answer. refusing: are still sent
    requests and do not answer (503 at the gate, or gone), until the balancer has seen it."""

    receiving: int = 0
    refusing: int = 0

    @property
    def counts(self) -> tuple[int, int, int, int]:
        """All but since when."""
        return self.spot, self.on_demand, self.receiving, self.refusing


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds. notice: of a spot node's end. grace: in which a node has to be ready, extended: at most while it makes
    progress; 0: for ever. leave: of a node that its group ends. healthy, unhealthy: until the balancer has seen it."""

    notice: float
    grace: float
    extended: float
    leave: float
    healthy: float
    unhealthy: float


class Nodes:
    """Everything that runs in a region. boot: seconds from launch to ready, of launches from now on."""

    def __init__(
        self, clock: Clock, times: Times, places: Sequence[Place], boot: float, changed: Callable[[], None]
    ) -> None:
        self.clock, self.times, self.boot = clock, times, boot
        self.hangs = False
        self.dark = False
        self.capacity: dict[Place, int] = dict.fromkeys(places, 0)
        self.held: dict[Place, list[Node]] = {place: [] for place in places}
        """Spot without notice, the youngest last."""
        self.dark_zones: set[str] = set()
        self.on_demand_limit: int | None = None
        self.spot_limit: int | None = None
        self.reserved: dict[str, int] = {}
        """Nodes by machine that were paid in advance: nobody else gets them, and no scarcity concerns them."""
        self.on_demand_held = 0
        self.all: list[Node] = []
        self.owners: dict[int, Owner] = {}
        self.alive: dict[int, Node] = {}
        self.lost = 0
        self.log: list[Entry] = []
        self.levels = [RegionLevel(0.0, 0, 0)]
        self.on_level: list[Callable[[], None]] = []
        """Called once whenever `level` has changed."""
        self._ready: dict[Market, int] = {"spot": 0, "on-demand": 0}
        self._front = {"out": 0, "in": 0, "refusing": 0}
        self.changed = changed

    # --- what zones give ------------------------------------------------------------------------------------------

    def place(self, machine: str, zone: str) -> Place | None:
        """Whose capacity such a node takes; None where nothing is told of it."""
        return next((one for one in ((machine, zone), ("", zone)) if one in self.capacity), None)

    def room(self, market: Market, machine: str, zone: str) -> int | None:
        """How many more are to be had; None: without limit."""
        if self.dark or zone in self.dark_zones:
            return 0
        if machine in self.reserved:
            return max(0, self.reserved[machine] - sum(node.machine == machine for node in self.alive.values()))
        if market == "on-demand":
            return None if self.on_demand_limit is None else max(0, self.on_demand_limit - self.on_demand_held)
        place = self.place(machine, zone)
        if place is None:
            return 0
        room = max(0, self.capacity[place] - len(self.held[place]))
        return room if self.spot_limit is None else min(room, max(0, self.spot_limit - self.spot_held))

    @property
    def spot_held(self) -> int:
        """Spot nodes that run, those with notice too: what a quota counts."""
        return sum(node.market == "spot" and node.ended is None for node in self.alive.values())

    def give(self, place: Place, count: int) -> None:
        """A place gives so many spot nodes from now on; what is above that gets its notice, the youngest first."""
        self.capacity[place] = count
        while len(self.held[place]) > count:
            self._notice(self.held[place].pop(), f"{place[1]} gives {count}")

    # --- a node's life --------------------------------------------------------------------------------------------

    def launch(self, owner: Owner, market: Market, machine: str, zone: str) -> Node:
        """A node from now on; room is the caller's to see."""
        now = self.clock.now
        node = Node(len(self.all), zone, market, now, math.inf if self.hangs else now + self.boot, machine=machine)
        self.all.append(node)
        self.owners[node.id] = owner
        self.alive[node.id] = node
        if market == "spot":
            place = self.place(machine, zone)
            assert place is not None
            node.held = place
            self.held[place].append(node)
        elif machine not in self.reserved:
            self.on_demand_held += 1
        times = self.times
        limit = times.grace if self.hangs else max(times.grace, times.extended)
        if times.grace and now + limit < node.ready:
            self.clock.at(now + limit, Order.LATE, lambda: self._late(node))
        else:
            self.clock.at(node.ready, Order.READY, lambda: self._arrive(node))
        self.changed()
        return node

    def leave(self, node: Node, why: str) -> None:
        """Its group ends it: requests in it finish, none are sent."""
        if node.phase in ("leaving", "ended"):
            return
        self.tell(f"{node.zone}: {node.market} {node.id} ends", why)
        drains = node.phase == "in service" and node.noticed is None
        self._serve(node, False)
        node.phase = "leaving"
        self._to(node, "out")
        if drains and self.times.leave > 0:
            self.clock.at(self.clock.now + self.times.leave, Order.END, lambda: self.finish(node, "ended"))
        else:
            self.finish(node, "ended")
        self.changed()

    def finish(self, node: Node, cause: Cause) -> None:
        """The end of its bill."""
        if node.ended is not None:
            return
        was = node.phase
        self._serve(node, False)
        self._release(node)
        node.ended, node.cause, node.phase = self.clock.now, cause, "ended"
        if node.front == "in":
            self._refuse(node)
        del self.alive[node.id]
        self.owners.pop(node.id).gone(node, was)
        self.changed()

    def go_dark(self) -> None:
        """All of them end at once, without notice; nothing can be had until `dark` is taken back."""
        self.dark = True
        for node in self.living:
            self.finish(node, "lost")

    @property
    def living(self) -> list[Node]:
        """That are billed, in the order of their launches."""
        return list(self.alive.values())

    def zone_dark(self, zone: str, yes: bool) -> None:
        """A zone's nodes end at once, without notice, and nothing can be had there; or it is back, empty."""
        if not yes:
            self.dark_zones.discard(zone)
            return
        self.dark_zones.add(zone)
        for node in [node for node in self.living if node.zone == zone]:
            self.finish(node, "lost")

    def horizon(self) -> None:
        """The play ends: so do the bills."""
        for node in self.all:
            if node.ended is None:
                node.ended, node.cause = self.clock.now, "horizon"

    def _arrive(self, node: Node) -> None:
        if node.phase != "booting" or node.noticed is not None:
            return
        node.phase, node.in_service = "in service", self.clock.now
        self._serve(node, True)
        self.clock.at(self.clock.now + self.times.healthy, Order.BALANCER, lambda: self._admit(node))
        self.owners[node.id].arrived(node)
        self.changed()

    def _late(self, node: Node) -> None:
        if node.phase == "booting" and node.noticed is None:
            self.tell(f"{node.zone}: {node.market} {node.id} is given up", "not ready in time")
            self.finish(node, "ended")

    def _notice(self, node: Node, why: str) -> None:
        self.lost += 1
        self.tell(f"{node.zone}: spot {node.id} is taken", why)
        if self.times.notice <= 0:
            self.finish(node, "lost")
            return
        self._serve(node, False)
        node.noticed = self.clock.now
        if node.front == "in":
            self._refuse(node)
        self.clock.at(self.clock.now + self.times.notice, Order.END, lambda: self.finish(node, "lost"))
        self.owners[node.id].noticed(node)
        self.changed()

    def _release(self, node: Node) -> None:
        if node.market == "on-demand":
            self.on_demand_held -= node.machine not in self.reserved
        elif node in self.held[node.held]:
            self.held[node.held].remove(node)

    # --- who serves, and who is sent requests ---------------------------------------------------------------------

    def _admit(self, node: Node) -> None:
        if node.serves:
            self._to(node, "in")

    def _refuse(self, node: Node) -> None:
        self._to(node, "refusing")
        self.clock.at(self.clock.now + self.times.unhealthy, Order.BALANCER, lambda: self._to(node, "out"))

    def _to(self, node: Node, front: Literal["out", "in", "refusing"]) -> None:
        self._front[node.front] -= 1
        node.front = front
        self._front[front] += 1
        self._level()

    def _serve(self, node: Node, yes: bool) -> None:
        if yes or node.serves:
            self._ready[node.market] += 1 if yes else -1
            self._level()

    def _level(self) -> None:
        level = RegionLevel(
            self.clock.now, self._ready["spot"], self._ready["on-demand"], self._front["in"], self._front["refusing"]
        )
        before = self.levels[-1]
        if before.at == level.at:
            self.levels.pop()
        if not self.levels or self.levels[-1].counts != level.counts:
            self.levels.append(level)
        if before.counts != level.counts:
            for call in self.on_level:
                call()

    @property
    def level(self) -> RegionLevel:
        """Now."""
        return self.levels[-1]

    def tell(self, what: str, why: str) -> None:
        self.log.append(Entry(self.clock.now, what, why))


def price_at(series: Sequence[tuple[float, float]], at: float) -> float:
    """The price that holds at a time, of a series that begins at 0."""
    return series[max(0, bisect_right(series, at, key=itemgetter(0)) - 1)][1]


Prices = Mapping[tuple[str, str, Market], Sequence[tuple[float, float]]]
"""By machine type (empty: any), zone or region, and market: USD per hour from each second on, the first at 0."""
