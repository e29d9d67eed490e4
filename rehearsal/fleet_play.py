"""A fleet through a scenario, on one clock: regions, what befalls them, DNS over them, clients, and the keeper.

play = FleetPlay(fleet, loaded, supplied, keeper=True)
play.run()
variant = play.variant("keeper", "keeper", "the keeper sets the regions' targets")
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from infra.keeper_fleet import FleetRules
from rehearsal import events, measured
from rehearsal.dns import DnsPlay
from rehearsal.events import Timed
from rehearsal.fleet import Fleet, Member, Region
from rehearsal.fleet_keeping import FleetKeeping, region_stacks
from rehearsal.fleet_load import clients_of, requests
from rehearsal.load import LoadPlay
from rehearsal.model import Setting, Zone
from rehearsal.omniscient import Omniscient
from rehearsal.regions import Block, Clock, Order, RegionLevel, RegionPlay, RegionPlayed
from rehearsal.regions.blocks import CLOSES
from rehearsal.regions.follow import follow
from rehearsal.result import Incident, Kind, Money, RegionResult, Regret, Source, Variant
from rehearsal.scenario import DAY, Scenario, second_of
from rehearsal.supply import Series, Supply
from rehearsal.world import bill
from spillway.errors import SpillwayError

SETTLED: Final = 60.0
"""Seconds after which a region that has no node yet is told to DNS: a fleet that runs already is up before."""
STATIC: Final = RegionLevel(0.0, 0, 1, 1, 0)
GONE: Final = RegionLevel(0.0, 0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Held:
    """What every variant is held to, so that they can be compared: the deployed fleet's target, and what it costs on
    demand alone and in the single cheapest region, for the whole play. USD; None without a price. targets: by stack.
    arrivals: requests per second of a working day by service."""

    target: int
    targets: Mapping[str, int]
    on_demand_only: float | None
    single_cheapest: float | None
    cheapest_region: str
    arrivals: Mapping[str, float]


class FleetPlay:
    """Plays from second 0 of its own clock. fleet: its regions are those that `supplied` has. boot_factor: of every
    boot. arrivals: requests per second by service, of another fleet that this one is compared with. Raises
    SpillwayError for what cannot be played."""

    def __init__(
        self,
        fleet: Fleet,
        scenario: Scenario,
        supplied: Supply,
        happens: Sequence[Timed],
        *,
        keeper: bool = False,
        boot_factor: float = 1.0,
        seed: int = 0,
        arrivals: Mapping[str, float] | None = None,
    ) -> None:
        self.scenario, self.happens, self.seconds = scenario, tuple(happens), scenario.seconds
        kept = tuple(supplied.regions[one.stack].region for one in fleet.regions if one.stack in supplied.regions)
        self.fleet = replace(fleet, regions=kept)
        self.begin = supplied.begin
        self.clock = clock = Clock()
        self.warnings: list[str] = []
        self.plays: dict[str, RegionPlay] = {}
        self.capacities: dict[str, dict[str, Series]] = {}
        for stack in (one.stack for one in kept):
            given = supplied.regions[stack]
            self.capacities[stack] = events.capacities(given, happens)
            minutes = scenario.boot.per_stack.get(stack, scenario.boot.minutes)
            boot = (given.region.node.boot_minutes if minutes is None else minutes) * 60.0 * boot_factor
            play = RegionPlay(
                clock,
                given.region,
                self.capacities[stack],
                events.prices(given, happens),
                boot=boot,
                running=True,
                blocks=self._blocks(given.region),
            )
            events.schedule(clock, play, happens)
            self.plays[stack] = play
        world = self.fleet.world
        self.members: dict[str, Member] = {one.name: one for one in world.members} if world else {}
        self._down: dict[str, bool] = {}
        self.dns = DnsPlay(clock, world, seed=seed, clients=clients_of(scenario.clients)) if world else None
        self.load = self._load(arrivals)
        self._join()
        self.keeping = self._keeper() if keeper else None

    def run(self, progress: Callable[[float], None] | None = None) -> None:
        """All of it. progress: called with the seconds played, about once for each day."""
        at = 0.0
        while at < self.seconds:
            at = min(at + DAY, self.seconds)
            self.clock.run(at)
            if progress:
                progress(at)

    def _blocks(self, region: Region) -> list[Block]:
        """The region's capacity blocks, as far as the scenario says what they hold."""
        found = []
        for pool in region.blocks:
            told = self.scenario.capacity_blocks.get(pool.reservation or "")
            if told is None:
                why = "the scenario says nothing of it in capacityBlocks, so it holds no node"
                self.warnings.append(f"{region.stack}: capacity block {pool.reservation}: {why}")
                continue
            begins = 0.0 if told.begins is None else second_of(told.begins, self.begin)
            ends = self.seconds + CLOSES if told.ends is None else second_of(told.ends, self.begin)
            if ends - begins <= CLOSES:
                over = f"its group goes to zero {CLOSES / 60:g} min before its end"
                raise SpillwayError(f"capacityBlocks.{pool.reservation}.ends = {told.ends}: {over}: that is too early")
            if told.usd is None:
                self.warnings.append(f"{region.stack}: capacity block {pool.reservation} has no price: not in the USD")
            found.append(Block(pool, told.machine, told.zone, told.count, begins, ends, told.usd))
        return found

    # --- DNS, clients, the keeper -----------------------------------------------------------------------------------

    def _load(self, arrivals: Mapping[str, float] | None) -> LoadPlay | None:
        dns, told = self.dns, self.scenario.load
        if dns is None or told is None:
            return None
        return requests(
            self.clock,
            told,
            self.fleet,
            self.begin,
            where=dns.clients,
            nodes=self.level,
            breaks=self._breaks,
            per_second=arrivals,
        )

    def _breaks(self, member: str) -> bool:
        """Whether nodes that go take what they work on with them: a dark place, or a cloud that gives no notice."""
        play = self.plays.get(self.members[member].stack or "")
        return play is None or play.nodes.dark or play.nodes.times.notice <= 0

    def level(self, member: str) -> RegionLevel:
        """Who answers at a member: a region's nodes; of a static endpoint one that always does, unless it is down."""
        stack = self.members[member].stack
        if stack is None:
            return GONE if self._down.get(member) else STATIC
        return self.plays[stack].level if stack in self.plays else GONE

    def _join(self) -> None:
        clock, dns, load = self.clock, self.dns, self.load
        by_stack: dict[str, list[str]] = {}
        for name, member in self.members.items():
            if member.stack is not None:
                by_stack.setdefault(member.stack, []).append(name)
        for stack, names in by_stack.items():
            if stack not in self.plays:
                if dns is not None:
                    for name in names:
                        dns.set_member(name, 0.0, "refused")
                continue
            for name in names:
                self._follow(stack, name)
        if dns is None:
            return
        happens = self.happens
        for name, member in self.members.items():
            if member.stack is None:
                about = [one for one in happens if name in one.members]
                events.lever(clock, about, bool, lambda yes, name=name: self._take_down(name, yes))  # type: ignore[misc]
            holes = [
                one
                for one in happens
                if one.event.blackhole and (name in one.members or one.about(member.stack or "")) and one.zones is None
            ]
            events.lever(clock, holes, bool, lambda yes, name=name: dns.blackhole(name, yes))  # type: ignore[misc]
        blind = [one for one in happens if one.event.what == "checkers-blind"]
        events.lever(clock, blind, _blindness, lambda told: dns.blind(told[0], told[1], silent=told[2]))
        down = [one for one in happens if one.event.what == "dns-provider-down"]
        events.lever(clock, down, bool, dns.provider_down)
        if load is None:
            return
        dns.on_change.append(load.changed)
        for service in load.services:
            surges = [
                one for one in happens if one.event.what == "surge" and (not one.services or service in one.services)
            ]
            events.lever(clock, surges, _product, lambda factor, service=service: load.set_surge(service, factor))  # type: ignore[misc]

    def _follow(self, stack: str, name: str) -> None:
        """DNS and clients follow what a region's balancer has."""
        clock, dns, load, play = self.clock, self.dns, self.load, self.plays[stack]
        due = [-1.0]

        def tell() -> None:
            level = play.level
            if dns is None or (clock.now < SETTLED and not level.receiving):
                return
            asked = level.receiving + level.refusing
            share = level.receiving / asked if asked else 0.0
            if load is not None:
                share *= load.answering(name)
            dns.set_member(name, share, "error" if asked else "refused")

        def later() -> None:
            if load is not None:
                load.changed()
            if due[0] != clock.now:  # once, however often the level changes within this second
                due[0] = clock.now
                clock.at(clock.now, Order.DNS, tell)

        play.on_level.append(later)
        if load is not None:
            load.on_change.append(later)
            if not play.load_followed and (why := follow(play, load.signals[name])):
                self.warnings.append(why)
        clock.at(SETTLED, Order.DNS, tell)

    def _take_down(self, name: str, yes: bool) -> None:
        assert self.dns is not None
        self._down[name] = yes
        self.dns.set_member(name, 0.0 if yes else 1.0, "refused")
        if self.load is not None:
            self.load.changed()

    def _keeper(self) -> FleetKeeping | None:
        stacks, left_out = region_stacks(self.fleet)
        self.warnings += [f"{stack}: the keeper leaves it alone: {why}" for stack, why in left_out.items()]
        if not stacks:
            return None
        settings, names = self.scenario.keeper, {one.fleet for one in stacks}
        told = {name: getattr(settings, name) for name in ("availability", "region_share", "cloud_share")}
        own = {name: value for name, value in told.items() if value is not None}
        rules = replace(FleetRules(look=settings.look_minutes * 60.0), **own)
        if self.scenario.target is not None and len(names) == 1:
            rules = replace(rules, target={next(iter(names)): self.scenario.target})
        boots = [replace(one, boot=self.plays[one.stack].boot) for one in stacks]
        return FleetKeeping(self.clock, self.plays, boots, rules)

    # --- what came of it --------------------------------------------------------------------------------------------

    @property
    def target(self) -> int:
        """Of the fleet, as the scenario or the stacks have it."""
        return self.scenario.target or sum(one.target for one in self.fleet.regions)

    def held(self) -> Held:
        """What other variants are compared with, where this one is the deployed fleet."""
        prices = {stack: measured.first_on_demand(play) for stack, play in self.plays.items()}
        usd = {stack: bill(tuple(series), 0.0, self.seconds) for stack, series in prices.items()}
        whole = sum(one.target for one in self.fleet.regions)
        alone = sum(one.target * usd[one.stack] for one in self.fleet.regions) * self.target / whole if whole else 0.0
        lowest = {
            stack: bill(measured.cheapest(play, "on-demand", self.seconds), 0.0, self.seconds)
            for stack, play in self.plays.items()
        }
        region = min(lowest, key=lambda stack: (lowest[stack], stack))
        targets = {one.stack: one.target for one in self.fleet.regions}
        arrivals = {name: one.per_second for name, one in self.load.arrivals.items()} if self.load else {}
        return Held(self.target, targets, alone, lowest[region] * self.target, region, arrivals)

    def variant(self, name: str, kind: Kind, change: str, held: Held, *, regret: bool = True) -> Variant:
        """The play is over: everything that came of it."""
        played = {stack: play.played() for stack, play in self.plays.items()}
        fixed = {} if kind == "keeper" else held.targets
        regions = tuple(measured.region(self.plays[stack], one, fixed.get(stack)) for stack, one in played.items())
        begin = max(one.begin for one in played.values())
        serving = measured.serving(
            [measured.ready_of(one) for one in played.values()],
            [(0.0, float(held.target))],
            begin,
            self.seconds,
            held.target,
        )
        money = Money(
            sum(one.money.spot for one in regions), sum(one.money.on_demand for one in regions), held.on_demand_only
        )
        days = self.seconds / DAY
        return Variant(
            name=name,
            kind=kind,
            change=change,
            serving=serving,
            money=money,
            single_cheapest=held.single_cheapest,
            cheapest_region=held.cheapest_region,
            regions=regions,
            services=self.dns.results() if self.dns else (),
            load=self.load.results() if self.load else (),
            incidents=self._incidents(played, regions),
            log=self._log(played),
            regret=self._regret(serving.availability, money.total, held.target, begin) if regret else None,
            launches_per_day=sum(one.launches for one in regions) / days,
            preemptions_per_day=sum(one.preemptions for one in regions) / days,
        )

    @property
    def sources(self) -> tuple[Source, ...]:
        """What DNS and load go by."""
        kept = [
            Source(f"{100 * one.share:g} % of the clients: keep to {one.seconds:g} s", one.source)
            for one in self.scenario.clients.keeping
        ]
        return (*kept, *(self.load.sources if self.load else ()))

    def _incidents(self, played: Mapping[str, RegionPlayed], regions: Sequence[RegionResult]) -> tuple[Incident, ...]:
        found = [*events.incidents(self.happens, self.seconds)]
        for stack, one in played.items():
            found += measured.incidents(self.plays[stack], one)
        found += self._overloads()
        for edit_at, edit in self.keeping.edits if self.keeping else ():
            before, after = (f"{spot} spot + {on_demand} on demand" for spot, on_demand in (edit.before, edit.after))
            found.append(Incident(edit_at, edit_at, "keeper", edit.stack, f"target {before} -> {after}", edit.why))
        return tuple(sorted(found, key=lambda one: (one.at, one.where, one.place, one.what)))

    def _overloads(self) -> Iterator[Incident]:
        """Times in which a member's nodes called themselves unready for their load."""
        since: dict[str, tuple[float, str]] = {}
        for at, member, what, _ in self.load.log if self.load else ():
            if what.startswith("nodes are ready"):
                begun, told = since.pop(member, (at, ""))
                yield Incident(begun, at, "load", member, told)
            else:
                since.setdefault(member, (at, what))
        for member, (begun, told) in since.items():
            yield Incident(begun, None, "load", member, told)

    def _log(self, played: Mapping[str, RegionPlayed]) -> tuple[tuple[float, str, str, str], ...]:
        rows = [(entry.at, stack, entry.what, entry.why) for stack, one in played.items() for entry in one.log]
        rows += self.dns.log if self.dns else []
        rows += self.load.log if self.load else []
        return tuple(sorted(rows, key=lambda row: row[0]))

    def _regret(self, availability: float, usd: float, target: int, begin: float) -> Regret | None:
        """Against a plan that knows what every zone gives, and that on demand never lacks."""
        zones: list[Zone] = []
        capacities: dict[str, Sequence[tuple[float, int]]] = {}
        for stack, play in self.plays.items():
            region = play.region
            on_demand = measured.cheapest(play, "on-demand", self.seconds)
            for zone, series in self.capacities[stack].items():
                machines = [machine for machine, where in region.launches(region.spot) if where == zone]  # type: ignore[arg-type]
                prices = [tuple(play.prices[machine, zone, "spot"]) for machine in machines]
                name = f"{stack}/{zone}"
                capacities[name] = series
                zones.append(Zone(name, stack, region.cloud, _least(prices, self.seconds), on_demand))
        if not zones:
            return None
        boot = min(play.boot for play in self.plays.values())
        setting = Setting(target, boot, 60.0, tuple(zones))
        least = Omniscient(measured.zone_trace(capacities, self.seconds), setting).at(round(availability, 6)).usd
        return Regret(availability, least, (usd - least) / least if least > 0 else None)


def _least(prices: Sequence[tuple[tuple[float, float], ...]], end: float) -> tuple[tuple[float, float], ...]:
    found: list[tuple[float, float]] = []
    for first, _, values in measured.merged(list(dict.fromkeys(prices)), end):
        if not found or found[-1][1] != min(values):
            found.append((first, min(values)))
    return tuple(found)


def _blindness(now: Sequence[Timed]) -> tuple[bool, str, bool]:
    """Whether checkers are blind, why, and whether they report nothing at all, which is so where one event says so."""
    why = next((one.event.why for one in now if one.event.why), "the scenario")
    return bool(now), why if now else "", any(one.event.silent for one in now)


def _product(now: Sequence[Timed]) -> float:
    factor = 1.0
    for one in now:
        factor *= one.event.factor or 1.0
    return factor
