"""What a scenario does to a fleet: its events as times and places, and the levers that they hold.

Events of one lever at one place that overlap are one: the worst holds (least count, least limit, longest boot), factors
multiply, dark is dark. So it does not matter in which order they stand, nor which ends first; and one that ends in the
second in which another begins leaves no gap. What is known beforehand (capacities, prices) is worked into the series;
the rest is done on the clock, before anything else of that second.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Final, TypeVar

from infra.faults import Fault, did_you_mean, listed
from rehearsal.fleet import FunctionFallback, Region, World
from rehearsal.model import Market
from rehearsal.moving_prices import PriceKey, PriceSeries
from rehearsal.regions import Clock, Order, RegionPlay
from rehearsal.regions.nodes import price_at
from rehearsal.result import Incident
from rehearsal.scenario import Event, Scenario, second_of, seconds_of
from rehearsal.supply import Series, Supplied
from spillway.errors import SpillwayError

T = TypeVar("T")
FIRST: Final = "first"


@dataclass(frozen=True, slots=True)
class Timed:
    """An event with its times (seconds, end not included) and what it happens to.

    stacks: regions; zones: by stack, those it is about, empty: all of the region. members: that are no region stack.
    services: names; empty: all."""

    event: Event
    begin: float
    end: float
    stacks: tuple[str, ...] = ()
    zones: Mapping[str, tuple[str, ...]] | None = None
    members: tuple[str, ...] = ()
    services: tuple[str, ...] = ()

    def about(self, stack: str, zone: str | None = None) -> bool:
        """Whether it happens to a region, or to one of its zones."""
        if stack not in self.stacks:
            return False
        if zone is None or self.zones is None:
            return True
        return zone in self.zones.get(stack, ())

    @property
    def places(self) -> tuple[str, ...]:
        """What it happens to, for people."""
        if self.zones is not None:
            return tuple(zone for stack in self.stacks for zone in self.zones.get(stack, ()))
        return (*self.stacks, *self.members, *self.services) or ("everything",)


def timed(
    scenario: Scenario, regions: Sequence[Region], world: World | None, begin: datetime, file: str
) -> tuple[Timed, ...]:
    """Every event with its times and places, in the scenario's order. Raises SpillwayError: what matches nothing, and
    what is not within the rehearsal."""
    found = []
    faults: list[Fault] = []
    for number, event in enumerate(scenario.events):
        at = second_of(event.at, begin)
        end = scenario.seconds if event.lasts is None else at + seconds_of(event.lasts)
        if not 0 <= at < scenario.seconds:
            last = f"{begin:%Y-%m-%d %H:%M} UTC is second 0, and it is {scenario.days:g} days long"
            faults.append(Fault(("events", number, "at"), f"is not within the rehearsal: {last}", event.at))
            continue
        try:
            found.append(_placed(Timed(event, at, min(end, scenario.seconds)), regions, world))
        except _Nothing as nothing:
            faults.append(Fault(("events", number, nothing.key), nothing.why, nothing.value))
    if faults:
        raise SpillwayError(*(fault.line(file) for fault in faults))
    return tuple(found)


class _Nothing(Exception):
    def __init__(self, key: str, value: str, known: Iterable[str], why: str = "") -> None:
        super().__init__(key)
        names = list(dict.fromkeys(known))
        self.key, self.value = key, value
        if why:
            self.why = why
            return
        has = f"there are {listed(names, 'and')}, and first" if names else "there are none"
        self.why = f"matches nothing that is played{did_you_mean(value, names)}; {has}"


def _placed(one: Timed, regions: Sequence[Region], world: World | None) -> Timed:
    event = one.event
    members = [member.name for member in world.members if member.stack is None] if world else []
    services = [service.name for service in world.services] if world else []
    if event.what in ("checkers-blind", "dns-provider-down"):
        return one
    if event.what == "surge":
        if event.service in (None, "*"):
            return one
        if event.service not in services:
            raise _Nothing("service", event.service or "", services)
        return Timed(event, one.begin, one.end, services=(event.service,))
    if event.member is not None:
        chosen = members[:1] if event.member == FIRST else [name for name in members if fnmatchcase(name, event.member)]
        if not chosen:
            raise _Nothing("member", event.member, members)
        return Timed(event, one.begin, one.end, members=tuple(chosen))
    left = list(regions)
    if event.cloud is not None:
        first = first_region(regions, world).cloud
        left = [one for one in left if fnmatchcase(one.cloud, first if event.cloud == FIRST else event.cloud)]
        if not left:
            raise _Nothing("cloud", event.cloud, (one.cloud for one in regions))
    if event.region is not None:
        among = list(left)
        if event.region == FIRST:
            left = [first_region(among, world)]
        else:
            left = [one for one in left if any(fnmatchcase(name, event.region) for name in (one.stack, one.region))]
        if not left:
            raise _Nothing("region", event.region, (one.stack for one in among))
    if event.what == "throttled":  # alarms and groups are the cloud's own, and nothing of theirs is refused
        left = [one for one in left if isinstance(one.fallback, FunctionFallback)]
        if not left:
            key = next((key for key in ("region", "cloud") if getattr(event, key) is not None), "what")
            why = "happens to the fallback's function (Azure, Google Cloud), and there is none"
            raise _Nothing(key, getattr(event, key), (), why)
    if event.zone is None:
        return Timed(event, one.begin, one.end, stacks=tuple(each.stack for each in left))
    zones: dict[str, tuple[str, ...]] = {}
    if event.zone == FIRST:
        region = first_region(left, world)
        zones = {region.stack: all_zones(region)[:1]}
    else:
        for region in left:
            if matching := tuple(zone for zone in all_zones(region) if fnmatchcase(zone, event.zone)):
                zones[region.stack] = matching
    if not zones:
        raise _Nothing("zone", event.zone, (zone for region in left for zone in all_zones(region)))
    return Timed(event, one.begin, one.end, stacks=tuple(zones), zones=zones)


def all_zones(region: Region) -> tuple[str, ...]:
    """Zones that any pool launches in, those of spot first."""
    own = (zone for pool in (region.spot, region.on_demand) if pool for _, zone in region.launches(pool))
    return tuple(dict.fromkeys(own))


def first_region(regions: Sequence[Region], world: World | None) -> Region:
    """The first choice of the first service that is bound to no residency; without a global stack the first of all."""
    by_stack = {region.stack: region for region in regions}
    if world is not None:
        stacks = {member.name: member.stack for member in world.members}
        for service in sorted(world.services, key=lambda one: one.residency is not None):
            for tier in service.tiers:
                for place in sorted(tier.places, key=lambda one: -one.weight):
                    if (region := by_stack.get(stacks.get(place.member) or "")) is not None:
                        return region
    return regions[0]


# --- what is known beforehand -----------------------------------------------------------------------------------------


def capacities(one: Supplied, events: Sequence[Timed]) -> dict[str, Series]:
    """What zones give, with what events say of it."""
    return {zone: _capacity(series, one.region.stack, zone, events) for zone, series in one.capacity.items()}


def _capacity(series: Series, stack: str, zone: str, events: Sequence[Timed]) -> Series:
    about = [one for one in events if one.event.what in ("spot", "flap") and one.about(stack, zone)]
    if not about:
        return series
    marks = {at for at, _ in series}
    for one in about:
        marks |= {one.begin, one.end, *(at for at, _ in _halves(one))}
    found: Series = []
    index = 0
    for at in sorted(marks):
        while index + 1 < len(series) and series[index + 1][0] <= at:
            index += 1
        count = series[index][1]
        now = [one for one in about if one.begin <= at < one.end]
        if counts := [one.event.count for one in now if one.event.count is not None]:
            count = min(counts)
        for one in now:
            if one.event.what == "flap":
                if not _up(one, at):
                    count = min(count, one.event.limit or 0)
            elif one.event.limit is not None:
                count = min(count, one.event.limit)
        if not found or found[-1][1] != count:
            found.append((at, count))
    return found


def _halves(one: Timed) -> Iterator[tuple[float, bool]]:
    """When a zone that flaps changes: (at, whether the trace holds from there on); first it is gone."""
    if one.event.what != "flap" or one.event.period is None:
        return
    half = seconds_of(one.event.period) / 2
    for number in range(math.ceil((one.end - one.begin) / half)):
        yield one.begin + number * half, number % 2 == 1


def _up(one: Timed, at: float) -> bool:
    assert one.event.period is not None
    return math.floor((at - one.begin) / (seconds_of(one.event.period) / 2)) % 2 == 1


def prices(one: Supplied, events: Sequence[Timed]) -> dict[PriceKey, PriceSeries]:
    """What machines cost, with what events say of it."""
    stack = one.region.stack
    found = {}
    for (machine, zone, market), series in one.prices.items():
        about = [
            each
            for each in events
            if each.event.what == "price" and each.about(stack, zone) and each.event.market in (None, "both", market)
        ]
        found[machine, zone, market] = _multiplied(series, about)
    return found


def _multiplied(series: PriceSeries, about: Sequence[Timed]) -> PriceSeries:
    if not about:
        return series
    marks = sorted({at for at, _ in series} | {at for one in about for at in (one.begin, one.end)})
    found: list[tuple[float, float]] = []
    for at in marks:
        usd = price_at(series, at)
        for one in about:
            if one.begin <= at < one.end:
                usd *= one.event.factor or 1.0
        if not found or found[-1][1] != usd:
            found.append((at, usd))
    return tuple(found)


# --- what is done on the clock ----------------------------------------------------------------------------------------


def schedule(clock: Clock, play: RegionPlay, events: Sequence[Timed]) -> None:
    """Has every lever of a region set whenever what its events say of it changes."""
    stack = play.region.stack
    own = [one for one in events if one.about(stack)]
    boot = play.boot

    def on(what: str, market: Market | None = None) -> list[Timed]:
        kept = [one for one in own if one.event.what == what]
        return kept if market is None else [one for one in kept if one.event.market in (None, "both", market)]

    def least(now: Sequence[Timed]) -> int | None:
        return min((one.event.limit for one in now if one.event.limit is not None), default=None)

    def booting(now: Sequence[Timed]) -> tuple[float, bool]:
        minutes = [one.event.minutes * 60 for one in now if one.event.minutes is not None]
        return max(minutes, default=boot), any(one.event.hangs for one in now)

    dark = on("dark")
    lever(clock, [one for one in dark if one.zones is None], bool, play.dark)
    for zone in all_zones(play.region):
        about = [one for one in dark if one.zones is not None and one.about(stack, zone)]
        lever(clock, about, bool, lambda yes, zone=zone: play.zone_dark(zone, yes))  # type: ignore[misc]
    lever(clock, on("throttled"), bool, play.throttle)
    lever(clock, on("on-demand") + on("quota", "on-demand"), least, play.set_on_demand)
    lever(clock, on("quota", "spot"), least, play.set_quota)
    lever(clock, on("boot"), booting, lambda told: play.set_boot(told[0], hangs=told[1]))
    for one in on("deploy"):
        why = one.event.why or "the day you deploy"
        clock.at(one.begin, Order.SCENARIO, lambda why=why: play.deploy(why))  # type: ignore[misc]


def lever(
    clock: Clock, events: Sequence[Timed], value: Callable[[Sequence[Timed]], T], set_to: Callable[[T], None]
) -> None:
    """Sets a lever to `value` of the events that hold, whenever that changes; `value` of none is how it stands now."""
    last = value(())
    for at in sorted({at for one in events for at in (one.begin, one.end)}):
        now = value([one for one in events if one.begin <= at < one.end])
        if now != last:
            clock.at(at, Order.SCENARIO, lambda now=now: set_to(now))  # type: ignore[misc]
        last = now


# --- in words ---------------------------------------------------------------------------------------------------------


def incidents(events: Sequence[Timed], seconds: float) -> tuple[Incident, ...]:
    """Every event, by each place that it happens to."""
    return tuple(
        Incident(one.begin, None if one.end >= seconds else one.end, "scenario", place, words(one), one.event.why or "")
        for one in events
        for place in one.places
    )


def words(one: Timed) -> str:
    """What an event is, in a few words."""
    event = one.event
    market = f" {event.market}" if event.market in ("spot", "on-demand") else ""
    match event.what:
        case "spot":
            told = f"gives {event.count}" if event.count is not None else f"gives at most {event.limit}"
            return f"spot: each zone {told}"
        case "on-demand":
            return f"on demand: at most {event.limit}"
        case "throttled":
            return "the cloud's API refuses calls"
        case "boot":
            return "nodes hang while they boot" if event.hangs else f"boots take {event.minutes:g} min"
        case "price":
            return f"{market.strip() or 'spot and on-demand'} prices times {event.factor:g}"
        case "checkers-blind":
            return "DNS checkers see nothing"
        case "dns-provider-down":
            return "name servers do not answer"
        case "surge":
            return f"requests times {event.factor:g}"
        case "quota":
            return f"quota cut to {event.limit}{market}"
        case "flap":
            return f"spot comes and goes every {event.period}"
        case "deploy":
            return "every node is replaced"
        case _:
            return "dark"
