"""One deployed region over a trace: its pools, its fallback and its balancer, from event to event.

clock = Clock()
play = RegionPlay(clock, fleet.region("aws-us-east-1"), capacity, prices)
clock.run(trace.end)
played = play.played()
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from rehearsal.fleet import AlarmFallback, FunctionFallback, Pool, Region
from rehearsal.model import Entry, Market, Setting, Zone
from rehearsal.regions.blocks import Block, block_group, prices_of
from rehearsal.regions.clock import Clock, Order
from rehearsal.regions.control import AlarmControl, Control, FunctionControl
from rehearsal.regions.groups import GroupPlay, series_of
from rehearsal.regions.nodes import Node, Nodes, Place, Prices, RegionLevel, Times
from rehearsal.regions.pace import PACES, Pace
from rehearsal.regions.registered import RegisteredControl
from rehearsal.regions.rollout import Rollout
from rehearsal.trace import Trace
from rehearsal.world import Played, bill
from spillway.errors import SpillwayError

Series = Sequence[tuple[float, int]]
"""How many spot nodes a place gives, from each second on; none before the first."""


@dataclass(slots=True)
class RegionPlayed(Played):
    """What came of one region. instances: `Node`s; levels: `RegionLevel`s; outcomes: none, groups do not ask one by
    one. refusals: tries of a group that got less than they asked for. looks: minutes that the fallback was evaluated.
    """

    region: Region | None = None
    prices: Prices = field(default_factory=dict)
    refusals: int = 0
    looks: int = 0

    def cost(self, market: Market | None = None, begin: float = 0.0, end: float | None = None) -> float:
        """USD billed between two times, of one market or both."""
        until, total = self.end if end is None else end, 0.0
        name = self.region.region if self.region else ""
        for one in self.instances:
            if market in (None, one.market):
                machine = one.machine if isinstance(one, Node) else ""
                series = tuple(series_of(self.prices, machine, one.zone, name, one.market))
                total += bill(
                    series, max(one.launched, begin), min(self.end if one.ended is None else one.ended, until)
                )
        return total


def capacity_of(trace: Trace, zones: Mapping[str, str] | None = None) -> dict[str, list[tuple[float, int]]]:
    """A trace as capacities by the region's zones. zones: zone of the trace -> the region's, where they differ; several
    of a trace may stand for one, whose counts are then added. Zones that it does not name are left out."""
    named = {zone: zone for zone in trace.zones} if zones is None else dict(zones)
    now: dict[str, int] = {}
    sums: dict[str, int] = {}
    series: dict[str, list[tuple[float, int]]] = {place: [] for place in named.values()}
    for at, index, count in trace.changes():
        zone = trace.zones[index]
        if zone not in named:
            continue
        place = named[zone]
        sums[place] = sums.get(place, 0) + count - now.get(zone, 0)
        now[zone] = count
        if series[place] and series[place][-1][0] == at:
            series[place].pop()
        series[place].append((at, sums[place]))
    return series


class RegionPlay:
    """Plays from `clock.now` on, which has to be a whole minute; whoever owns the clock runs it.

    capacity: by zone (of all the pool's types together) or by (machine type, zone); places that it leaves out give
    nothing. A region whose pools are told no zone is one zone of its own name. boot: seconds from launch to ready;
    None: as the stack counts on. notice: seconds before a spot node ends; None: as the cloud gives. running: what is
    launched in the first second is ready and sent requests at once, as in a region that runs already. blocks: of its
    capacity blocks, those that are there; alarms that count on others see them empty. stepped: look at
    every minute, for tests. Raises SpillwayError, one line, for what cannot be played.
    """

    def __init__(
        self,
        clock: Clock,
        region: Region,
        capacity: Mapping[str, Series] | Mapping[Place, Series],
        prices: Prices,
        *,
        boot: float | None = None,
        notice: float | None = None,
        pace: Pace | None = None,
        stepped: bool = False,
        running: bool = False,
        blocks: Sequence[Block] = (),
    ) -> None:
        _check(region, clock)
        self.clock, self.region = clock, region
        self.prices: Prices = {**prices, **prices_of(blocks)}
        self.begin = clock.now
        self.pace = pace or PACES[region.cloud]
        self.boot = region.node.boot_minutes * 60.0 if boot is None else boot
        places = {(("", place) if isinstance(place, str) else place): series for place, series in capacity.items()}
        _check_places(region, tuple(places))
        self.nodes = Nodes(clock, self._times(notice), tuple(places), self.boot, self._changed)
        self.on_level: list[Callable[[], None]] = self.nodes.on_level
        """Called once whenever `level` has changed, within the event that changed it."""
        self.load_followed = False
        """Whether somebody plays the load, whose policies shrink a group (AWS) that is larger than its minimum."""
        spot = region.spot.minimum if region.spot else 0
        self.targets = [(self.begin, spot, region.on_demand.minimum)]
        """(at, spot, on-demand minimum): as whoever sets the sizes wants them."""
        self.control: Control | None = None
        for place, series in places.items():
            for at, count in series:
                clock.at(self.begin + at, Order.CAPACITY, lambda place=place, count=count: self._give(place, count))  # type: ignore[misc]
        self.on_demand = self._group(region.on_demand)
        self.spot = self._group(region.spot) if region.spot else None
        self.blocks = [block_group(self.nodes, block, self.pace, region.region) for block in blocks]
        self.control = self._control(stepped)
        clock.at(self.begin, Order.LAUNCH, self._start)
        if running:
            self.nodes.boot, self.nodes.times = 0.0, replace(self.nodes.times, healthy=0.0)
            clock.at(self.begin + 1.0, Order.SCENARIO, lambda: self._running(notice))

    # --- what a scenario, DNS or load does or asks ------------------------------------------------------------------

    @property
    def level(self) -> RegionLevel:
        """Who serves and who is sent requests, now."""
        return self.nodes.level

    def set_boot(self, seconds: float, *, hangs: bool = False) -> None:
        """Launches from now on take so long. hangs: they never get ready, and make no progress."""
        self.nodes.boot, self.nodes.hangs = seconds, hangs

    def set_on_demand(self, limit: int | None) -> None:
        """On-demand nodes that the region gives from now on; those that run stay. None: as many as wanted."""
        self.nodes.on_demand_limit = limit
        self._room()

    def set_quota(self, limit: int | None) -> None:
        """Spot nodes that the account may run in the region from now on; those that run stay. None: any number."""
        self.nodes.spot_limit = limit
        self._room()

    def zone_dark(self, zone: str, yes: bool) -> None:
        """One zone is gone: its nodes at once, without notice; the region's groups and their control go on."""
        if yes == (zone in self.nodes.dark_zones):
            return
        self.nodes.tell(f"{zone}: {'dark' if yes else 'back'}", "")
        self.nodes.zone_dark(zone, yes)
        if not yes:
            self._room()

    def deploy(self, why: str) -> None:
        """Every node is replaced by a new one, one at a time in each group: the successor is launched first, and the
        old node ends once that is ready. Without capacity it waits, and nothing is lost."""
        self.nodes.tell(f"{self.region.stack}: new nodes for old", why)
        for group in (self.spot, self.on_demand):
            if group is not None:
                Rollout(group, why).begin()

    def set_capacity(self, place: str | Place, count: int) -> None:
        """Spot that a place gives from now on, until the trace's next change there."""
        key = ("", place) if isinstance(place, str) else place
        if key not in self.nodes.capacity:
            raise SpillwayError(
                f"{self.region.stack}: {place}: no place of the trace; has {_names(self.nodes.capacity)}"
            )
        self._give(key, count)

    def set_spot(self, size: int) -> None:
        """The spot pool's size, as the load would have it."""
        spot = self.spot
        if spot is None:
            raise SpillwayError(f"{self.region.stack}: has no spot pool whose size could be set")
        size = min(max(size, spot.pool.minimum), spot.pool.maximum)
        if isinstance(self.control, FunctionControl):
            self.control.want_spot(size)
        elif size != spot.desired:
            spot.resize(size, "load")
            self._changed()

    def set_target(self, spot: int, on_demand_minimum: int, why: str, *, alarms: bool = True) -> None:
        """What `pulumi up` with another target (spot + on_demand_minimum) and floor does to a region that runs.

        AWS, Tencent Cloud: the groups' minimum, which lifts a group that is smaller at once; on demand is released by
        the alarms, or at once where there are none. Azure, Google Cloud: a setting of the function, which acts in its
        next run. On all of them a smaller spot group is the load policies' to make; where nobody plays the load, the
        size goes along.
        alarms: whether they are written anew for the floor (AWS); not when somebody sets the groups' sizes alone.
        Raises SpillwayError for sizes beyond the pools' maximum.
        """
        for pool, size in ((self.spot, spot), (self.on_demand, on_demand_minimum)):
            name, most = (pool.pool.name, pool.pool.maximum) if pool else ("spot", 0)
            if not 0 <= size <= most:
                raise SpillwayError(f"{self.region.stack}: {name}: a minimum of {size}; 0 to {most} are allowed")
        if (spot, on_demand_minimum) == self.targets[-1][1:]:
            return
        if self.targets[-1][0] == self.clock.now:
            self.targets.pop()
        self.targets.append((self.clock.now, spot, on_demand_minimum))
        self.nodes.tell(f"{self.region.stack}: target {spot} spot and {on_demand_minimum} on demand", why)
        control = self.control
        if control is not None:
            control.wake()  # what was left out until now goes by the sizes of until now
        for group, size in ((self.spot, spot), (self.on_demand, on_demand_minimum)):
            if group is not None:
                group.pool = replace(group.pool, minimum=size)
        if isinstance(control, FunctionControl):
            control.set_target(spot + on_demand_minimum, on_demand_minimum)
            if not self.load_followed:
                control.want_spot(spot)
            return
        if isinstance(control, AlarmControl) and alarms:
            control.rule = replace(control.rule, floor=on_demand_minimum)
        if self.spot is not None and (
            spot > self.spot.desired or (spot < self.spot.desired and not self.load_followed)
        ):
            self.spot.resize(spot, why)
        if on_demand_minimum > self.on_demand.desired or (control is None and not self.load_followed):
            self.on_demand.resize(on_demand_minimum, why)
        self._changed()

    def throttle(self, yes: bool) -> None:
        """The cloud's API refuses the function's calls. Alarms and groups are the cloud's own, and go on."""
        if isinstance(self.control, FunctionControl):
            self.control.throttled = yes
            self.nodes.tell(f"{self.region.stack}: API throttled" if yes else f"{self.region.stack}: API answers", "")
            self.control.wake()

    def dark(self, yes: bool) -> None:
        """The whole region is gone: every node at once, without notice, its control plane too; or is back, empty."""
        if yes == self.nodes.dark:
            return
        self.nodes.tell(f"{self.region.stack}: {'dark' if yes else 'back'}", "")
        if self.control is not None and yes:
            self.control.pause(True)
        if yes:
            self.nodes.go_dark()
            return
        self.nodes.dark = False
        self._room()
        if self.control is not None:
            self.control.pause(False)

    def played(self) -> RegionPlayed:
        """What came of it until now. The play is over: what runs is billed until now."""
        nodes, end = self.nodes, self.clock.now
        nodes.horizon()
        names = dict.fromkeys(zone for pool in self.region.pools for _, zone in self.region.launches(pool))
        zones = tuple(Zone(name, self.region.region, self.region.cloud, ((0.0, 0.0),), ((0.0, 0.0),)) for name in names)
        groups = self.groups
        return RegionPlayed(
            setting=Setting(self.region.target, self.boot, 60.0, zones),
            begin=min(self.begin + self.boot, end),
            end=end,
            instances=list(nodes.all),
            levels=list(nodes.levels),
            outcomes=[],
            losses=nodes.lost,
            log=nodes.log,
            region=self.region,
            prices=self.prices,
            refusals=sum(group.refusals for group in groups),
            looks=self.control.count if self.control else 0,
        )

    @property
    def log(self) -> list[Entry]:
        return self.nodes.log

    @property
    def groups(self) -> tuple[GroupPlay, ...]:
        """Spot first."""
        return tuple(group for group in (self.spot, self.on_demand, *self.blocks) if group is not None)

    # --- inside -----------------------------------------------------------------------------------------------------

    def _running(self, notice: float | None) -> None:
        """The first second is over."""
        self.nodes.times = self._times(notice)
        if self.nodes.boot == 0:  # nothing that a scenario has set meanwhile
            self.nodes.boot = self.boot

    def _times(self, notice: float | None) -> Times:
        node, front = self.region.node, self.region.balancer
        grace = float(node.grace_seconds)
        return Times(
            notice=float(node.notice_seconds) if notice is None else notice,
            grace=grace,
            extended=min(grace * self.pace.heartbeats, self.pace.heartbeats_seconds),
            leave=float(node.deregister_seconds + node.drain_seconds),
            healthy=float(front.healthy_threshold * front.interval_seconds),
            unhealthy=float(front.unhealthy_threshold * front.interval_seconds),
        )

    def _group(self, pool: Pool) -> GroupPlay:
        region = self.region
        try:
            return GroupPlay(self.nodes, pool, self.pace, region.launches(pool), self.prices, region.region)
        except KeyError as error:
            raise SpillwayError(f"{region.stack}: no price of {error.args[0]}") from None

    def _control(self, stepped: bool) -> Control | None:
        told, rule = self.region.fallback, self.region.rule
        if self.spot is None:
            return None
        if isinstance(told, FunctionFallback):
            return FunctionControl(self.clock, self.spot, self.on_demand, self.region, told, stepped)
        if isinstance(told, AlarmFallback):
            if rule is not None:
                return AlarmControl(self.clock, self.spot, self.on_demand, rule, stepped, told.dry_run)
            groups = {each.pool.name: each for each in self.groups}
            stack = self.region.stack
            return RegisteredControl(self.clock, self.spot, self.on_demand, stack, groups, told.alarms, stepped)
        return None

    def _start(self) -> None:
        for group in (self.on_demand, self.spot):
            if group and group.pool.initial:
                group.resize(group.pool.initial, "the group is made")
        if self.control is None:
            return
        told = self.region.fallback
        if isinstance(told, FunctionFallback) and told.paused:
            self.control.pause(True)
        else:
            self.control.wake()

    def _give(self, place: Place, count: int) -> None:
        more = count > self.nodes.capacity[place]
        self.nodes.give(place, count)
        if more and self.spot:
            self.spot.room()

    def _room(self) -> None:
        for group in self.groups:
            group.room()

    def _changed(self) -> None:
        if self.control is not None:
            self.control.wake()


def _check(region: Region, clock: Clock) -> None:
    if region.cloud not in PACES:
        raise SpillwayError(f"{region.stack}: cloud = {region.cloud}: not played; expected {', '.join(PACES)}")
    if clock.now % 60:
        raise SpillwayError(f"{region.stack}: begins at {clock.now:g} s: has to be a whole minute")


def _check_places(region: Region, places: Sequence[Place]) -> None:
    if region.spot is None:
        return
    known = region.launches(region.spot)
    where = ", ".join(sorted({zone for _, zone in known}))
    for machine, zone in places:
        if not any(zone == one and machine in ("", type_) for type_, one in known):
            named = f"{machine} in {zone}" if machine else zone
            if machine:
                where = _names(known)
            raise SpillwayError(f"{region.stack}: capacity of {named}: launches only in {where}")
    if not places:
        raise SpillwayError(f"{region.stack}: no capacity of any of its zones ({where}) is given")


def _names(places: Sequence[Place] | Mapping[Place, int]) -> str:
    return ", ".join(dict.fromkeys(f"{machine} in {zone}" if machine else zone for machine, zone in places))
