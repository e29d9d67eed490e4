"""One group of nodes as its cloud runs it: an auto scaling group, a scale set, a regional managed instance group."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final

from infra.function.loop import Group as Told
from rehearsal.fleet import Pool
from rehearsal.model import Market
from rehearsal.regions.clock import Order
from rehearsal.regions.nodes import Node, Nodes, Phase, Prices, price_at
from rehearsal.regions.pace import Pace

_SLACK: Final = 1e-9


class GroupPlay:
    """desired: what the cloud aims at. failed: Azure's instances that never came up and hold a place of it.

    A group that refills itself launches whatever is missing at once, and tries again every `retry_seconds` while there
    is no room; since a try without room changes nothing, only those are made before which room has come.
    """

    def __init__(
        self,
        nodes: Nodes,
        pool: Pool,
        pace: Pace,
        launches: Sequence[tuple[str, str]],
        prices: Prices,
        region: str,
    ) -> None:
        self.nodes, self.pool, self.pace, self.launches = nodes, pool, pace, tuple(launches)
        self.market: Market = "spot" if pool.market == "spot" else "on-demand"
        self.desired = 0
        self.on_arrival: Callable[[], None] | None = None
        """Called when one of its nodes got ready or ended: a rollout goes on."""
        self.own: list[Node] = []
        """That have not ended, in the order of their launches."""
        self.failed: tuple[str, ...] = ()
        self.short = 0
        """Nodes that the last try did not get."""
        self.raised = -math.inf
        """When the desired size rose last."""
        self.refusals = 0
        """Tries that got less than they asked for; the same try again, with nothing changed, is none."""
        self._order = (0, 0)
        self.refused: tuple[int, int] | None = None
        """Azure: sizes before and after of the last order, and of the last one while nothing comes of any."""
        self._tried = -math.inf
        self._due = math.inf
        self._series = {place: series_of(prices, *place, region, self.market) for place in launches}
        self._rank = {machine: rank for rank, machine in enumerate(pool.types)}

    # --- what can be seen of it -----------------------------------------------------------------------------------

    def count(self, phase: Phase) -> int:
        """Nodes in a phase; those with notice go on counting until they end."""
        return sum(node.phase == phase for node in self.own)

    @property
    def staying(self) -> int:
        """Nodes that the group counts on."""
        return sum(self._stays(node) for node in self.own)

    def _stays(self, node: Node) -> bool:
        return node.phase != "leaving" and not (self.pace.rebalance and node.noticed is not None)

    @property
    def missing(self) -> int:
        return max(0, self.desired - self.staying - len(self.failed))

    def told(self) -> Told:
        """As the cloud's API tells it (Azure, Google Cloud)."""
        itself = self.pace.refill == "itself"
        refused = min(self.short, self.missing) if itself else len(self.failed)
        return Told(
            size=self.desired,
            in_service=self.count("in service"),
            pending=self.count("booting"),
            creating=self.missing - refused if itself else 0,
            terminating=self.count("leaving"),
            refused=refused,
            failed=self.failed,
        )

    def scaling_out(self, now: float, warmup: float) -> bool:
        """Whether a scale-out is in progress, which no scale-in may overlap: something was ordered within the last
        minute, or warms up (docs.aws.amazon.com/autoscaling/ec2/userguide/as-scaling-simple-step.html)."""
        return now - self.raised <= 60 or any(
            node.phase == "booting" or (node.phase == "in service" and now - (node.in_service or 0.0) < warmup)
            for node in self.own
        )

    # --- what is done with it -------------------------------------------------------------------------------------

    def resize(self, desired: int, why: str) -> None:
        """Aim at another size."""
        before, self.desired = self.desired, desired
        self._order = before, desired
        if self._order != self.refused:
            self.nodes.tell(f"{self.pool.name}: {before} -> {desired}", why)
        if desired > before:
            self.raised = self.nodes.clock.now
            self.launch(why)
            return
        self.short = min(self.short, self.missing)
        for node in self._victims(self.staying + len(self.failed) - desired):
            self.nodes.leave(node, why)

    def clear(self, instances: Sequence[str]) -> None:
        """Remove what never came up; its places go with it."""
        gone = set(instances) & set(self.failed)
        self.failed = tuple(name for name in self.failed if name not in gone)
        self.desired -= len(gone)
        self.short = 0

    def launch(self, why: str) -> None:
        """Try to launch what is missing."""
        now, asked = self.nodes.clock.now, self.missing
        if self.pace.rebalance:  # what has notice still counts against the maximum
            most = self.pool.maximum + math.ceil(self.pace.margin * self.desired)
            asked = min(asked, max(0, most - sum(node.phase != "leaving" for node in self.own)))
        self._tried = now
        given = 0
        while given < asked and (place := self._best()) is not None:
            self.own.append(self.nodes.launch(self, self.market, *place))
            given += 1
        if given:
            self.nodes.tell(f"{self.pool.name}: {given} of {asked} launched", why)
        short, self.short = self.short, asked - given
        if not self.short:
            self.refused = None
            return
        if self.pace.refill == "itself":
            self.refusals += 1
            if short != self.short:
                pace = f"tried again every {self.pace.retry_seconds:g} s"
                self.nodes.tell(f"{self.pool.name}: {self.short} not to be had", f"no capacity; {pace}")
            self.room()  # of the last that was taken some may be left
            return
        self.fail(self.short)
        if given:
            self.refused = None
        elif self._order != self.refused:
            self.refused = self._order
            self.refusals += 1
            self.nodes.tell(f"{self.pool.name}: {self.short} not to be had", "no capacity; allocation failed")

    def launch_beside(self, why: str) -> Node | None:
        """One node beyond the size, if there is any to be had: the successor of one that stays until it is ready."""
        place = self._best()
        if place is None:
            return None
        node = self.nodes.launch(self, self.market, *place)
        self.own.append(node)
        self.nodes.tell(f"{self.pool.name}: a successor launched", why)
        return node

    def fail(self, count: int) -> None:
        """So many instances never come up, and hold places until somebody clears them."""
        self.failed += tuple(f"{self.nodes.clock.now:g}-{index}" for index in range(count))

    @property
    def empty_handed(self) -> bool:
        """Whether nothing at all is to be had."""
        return self._best() is None

    def room(self) -> None:
        """There may be more to be had than at the last try."""
        if self.refused is not None:
            self.nodes.changed()
        if self.pace.refill != "itself" or not self.missing or self._best() is None:
            return
        now, retry = self.nodes.clock.now, self.pace.retry_seconds
        tries = max(1, math.ceil((now - self._tried) / retry - _SLACK)) if math.isfinite(self._tried) else 0
        self._plan(self._tried + tries * retry if tries else now)

    def launch_missing(self) -> None:
        """Whatever is missing is launched, where the group does so by itself."""
        if self.pace.refill == "itself" and self.missing:
            self._plan(self.nodes.clock.now)

    def _plan(self, at: float) -> None:
        if at < self._due:
            self._due = at
            self.nodes.clock.at(at, Order.LAUNCH, self._again)

    def _again(self) -> None:
        if self.nodes.clock.now >= self._due:
            self._due = math.inf
            if self.missing:
                self.launch("below its size")

    # --- what its nodes tell --------------------------------------------------------------------------------------

    def noticed(self, node: Node) -> None:
        if self.pace.rebalance and self.missing:
            self._plan(self.nodes.clock.now)

    def arrived(self, node: Node) -> None:
        if self.on_arrival is not None:
            self.on_arrival()

    def gone(self, node: Node, phase: Phase) -> None:
        self.own.remove(node)
        self._gone(node, phase)
        if self.on_arrival is not None:
            self.on_arrival()

    def _gone(self, node: Node, phase: Phase) -> None:
        if phase == "leaving":
            return
        if self.pace.refill == "function" and node.cause == "lost":
            self.desired -= 1
        elif self.missing:
            self._plan(self.nodes.clock.now + self.pace.replace_seconds)

    # --- which ----------------------------------------------------------------------------------------------------

    def _best(self) -> tuple[str, str] | None:
        """Where the next node goes, of what has room."""
        found: list[tuple[tuple[float, ...], int]] = []
        zones: dict[str, int] = {}
        for node in self.own:
            zones[node.zone] = zones.get(node.zone, 0) + (node.phase != "leaving")
        for index, (machine, zone) in enumerate(self.launches):
            room = self.nodes.room(self.market, machine, zone)
            if room == 0:
                continue
            price = price_at(self._series[machine, zone], self.nodes.clock.now)
            most = -math.inf if room is None else -float(room)
            rank = float(self._rank[machine])
            key: tuple[float, ...]
            if self.pace.spread == "fewest-held":
                key = (zones.get(zone, 0), price if self.pool.choice == "cheapest-capacity" else rank, rank)
            else:
                key = (rank if self.pool.choice == "in-order" else 0.0, most, price)
            found.append((key, index))
        return self.launches[min(found)[1]] if found else None

    def _victims(self, count: int) -> list[Node]:
        if self.pace.victim == "oldest":
            left = [node for node in self.own if self._stays(node)]
            chosen: list[Node] = []
            for _ in range(min(count, len(left))):
                zones = [node.zone for node in left]
                chosen.append(max(left, key=lambda node: (zones.count(node.zone), -node.id)))
                left.remove(chosen[-1])
            return chosen
        booting = self.pace.victim == "booting-then-newest"
        left = sorted(
            (node for node in self.own if self._stays(node)),
            key=lambda node: (booting and node.phase != "booting", -node.id),
        )
        return left[: max(0, count)]


def series_of(prices: Prices, machine: str, zone: str, region: str, market: Market) -> Sequence[tuple[float, float]]:
    """What a machine is billed by: the closest of its type in the zone, the zone, its type in the region, the region.
    Raises KeyError."""
    for key in ((machine, zone), ("", zone), (machine, region), ("", region)):
        if (*key, market) in prices:
            return prices[(*key, market)]
    raise KeyError(f"{machine or 'any machine'} in {zone}, {market}")
