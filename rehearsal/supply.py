"""What each region of a fleet is given in a rehearsal: spot capacity by zone, and prices.

A stack's zones are given what was recorded of themselves where the trace has them. For others the scenario names who
stands for them, or else a fixed rule does, which every output names as mapped: each region, in the order of the stacks,
takes the nearest recorded region that no other has taken yet (once all are taken: the nearest of all), its first zone
that of the first recorded zone and so on; zones beyond those recorded give nothing, and a region that is one zone by
itself gets all of them together.
"""

from __future__ import annotations

import math
import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from infra.dns import places
from infra.faults import did_you_mean, listed
from rehearsal import data, moving_prices, price_book, synthetic
from rehearsal import trace as traces
from rehearsal.fleet import Pool, Region
from rehearsal.model import Market
from rehearsal.moving_prices import PriceKey, PriceSeries
from rehearsal.price_book import Book, Given
from rehearsal.result import Source
from rehearsal.scenario import DAY, Scenario, dates, seconds_of
from rehearsal.trace import Trace, region_of
from rehearsal.windows import arranged, drawn
from spillway.errors import SpillwayError

FIRST: Final = datetime(2026, 1, 5, tzinfo=UTC)
"""Date of second 0 where a trace has none: a Monday."""
CLOUDS: Final = ("gcp", "aws", "azure")
"""Whose regions a trace's may be, to find out where they are."""
Series = list[tuple[float, int]]


@dataclass(frozen=True, slots=True)
class Supplied:
    """One region, as it can be played. region: without types that have no price. stands: zone -> zones of the trace
    that stand for it; none: nothing was recorded. prices: by type, zone and market."""

    region: Region
    capacity: dict[str, Series]
    stands: Mapping[str, tuple[str, ...]]
    prices: dict[PriceKey, PriceSeries]


@dataclass(slots=True)
class Supply:
    """All regions that are played. begin: UTC time of second 0. left_out: stack -> why it is not."""

    begin: datetime
    trace: Trace
    series: Mapping[PriceKey, PriceSeries] = field(default_factory=dict)
    """Prices that move; a key without a machine type is of all of them."""
    regions: dict[str, Supplied] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    sources: list[Source] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def supply(
    scenario: Scenario,
    regions: Sequence[Region],
    folder: Path = Path(),
    *,
    file: str = "scenario",
    dice: random.Random | None = None,
    added: Collection[str] = (),
) -> Supply:
    """What every region is given. folder: where relative paths begin. dice: draws the days of the trace at random (a
    synthetic trace anew) instead of taking them as they come. added: stacks that are thought up, which take no recorded
    region from the others.

    Raises SpillwayError: the scenario's file, key, value, what is allowed.
    """
    trace = _trace(scenario, regions, folder, file, dice)
    begin = dates(trace.start, scenario.start, FIRST)
    into = seconds_of(scenario.start) % (_lap(trace, math.inf) if trace.zones else math.inf)
    whole, rounds = trace, None  # what the prices of a file go by
    if dice is not None and not trace.synthetic:
        rounds = drawn(trace, scenario.seconds, dice)
        trace, into = arranged(trace, rounds, scenario.seconds), 0.0
    found = Supply(begin, trace)
    if scenario.price_series is not None:
        path = moving_prices.located(scenario.price_series, folder, file)
        lap = _lap(trace, into + scenario.seconds) if trace.zones else math.inf
        found.series = moving_prices.read(path, whole, rounds, into, scenario.seconds, lap)
    stands = _stands(scenario, regions, trace, file, found.warnings, added)
    _tell_trace(scenario, trace, into, stands, found)
    book = price_book.read(scenario.prices, folder)
    given = given_prices(scenario)
    whys: dict[str, list[str]] = {}
    others: dict[str, list[str]] = {}
    for region in regions:
        priced = _priced(region, book, given, found, others if region.stack in added else whys)
        if priced is None:
            continue
        kept, usd = priced
        capacity = {}
        for zone in zones_of(region):
            recorded = [_series(trace, one, into, scenario.seconds) for one in stands[region.stack].get(zone, ())]
            capacity[zone] = _sum(recorded, scenario.machine.per_node)
        found.regions[region.stack] = Supplied(kept, capacity, stands[region.stack], usd)
    found.sources.append(book.source)
    if scenario.price_series is not None and (usds := [one.prices for one in found.regions.values()]):
        found.sources.append(moving_prices.told(scenario.price_series, file, found.series, usds))
    for why, stacks in (*whys.items(), *others.items()):
        found.sources.append(Source(f"prices of {listed(dict.fromkeys(stacks), 'and')}", why, mapped=True))
    return found


def zones_of(region: Region) -> tuple[str, ...]:
    """Zones that the spot pool launches in, in its order."""
    return tuple(dict.fromkeys(zone for _, zone in region.launches(region.spot))) if region.spot else ()


def given_prices(scenario: Scenario) -> Given:
    """What the scenario says where the list has no price."""
    spot, on_demand = scenario.spot_prices, scenario.on_demand_prices
    return Given(
        spot.per_type if spot else {},
        on_demand.per_type if on_demand else {},
        spot.ratio if spot else None,
        spot.source if spot else "",
        on_demand.source if on_demand else "",
    )


def available(region: Region, book: Book, given: Given, series: Mapping[PriceKey, PriceSeries]) -> bool:
    """Whether a region could be played: every pool has a type with a price."""
    return _priced(region, book, given, Supply(FIRST, _NOTHING, series), {}) is not None


# --- the trace --------------------------------------------------------------------------------------------------------

_NOTHING: Final = Trace("none", None, (0.0,), 1.0, (), (), 1.0, (), "")


def _trace(scenario: Scenario, regions: Sequence[Region], folder: Path, file: str, dice: random.Random | None) -> Trace:
    rates = scenario.synthetic
    if rates is not None:
        zones = [f"{region.stack}/{zone}" for region in regions for zone in zones_of(region)]
        if not zones:
            return _NOTHING
        days = scenario.days + seconds_of(scenario.start) / DAY
        return synthetic.markov(
            zones,
            days,
            float(rates.step_seconds),
            scenario.seed if dice is None else dice.getrandbits(31),
            synthetic.Rates(
                up=rates.up_hours,
                down=rates.down_hours,
                empty=rates.empty,
                most=rates.most,
                region_up=rates.region_up_hours,
                region_down=rates.region_down_hours,
                fleet_up=rates.fleet_up_hours,
                fleet_down=rates.fleet_down_hours,
            ),
            region=lambda zone: zone.partition("/")[0],
        )
    assert scenario.trace is not None
    known = data.manifest()["traces"]
    if scenario.trace in known:
        return data.trace(scenario.trace)
    for path in (folder / scenario.trace, Path(scenario.trace)):
        if path.exists():
            return traces.load(path)
    hint = did_you_mean(scenario.trace, known)
    raise SpillwayError(
        f"{file}: trace = {scenario.trace}: neither a file nor recorded{hint}; recorded are {listed(known, 'and')}"
    )


def _tell_trace(
    scenario: Scenario, trace: Trace, into: float, stands: Mapping[str, Mapping[str, tuple[str, ...]]], found: Supply
) -> None:
    known = data.known(trace.sha256)
    own = [stack for stack, zones in stands.items() if zones and all((name,) == of for name, of in zones.items() if of)]
    if trace.synthetic:
        note = "made up: Markov chains of each zone, with the scenario's rates"
        found.sources.append(Source("spot capacity", trace.name, note=note, synthetic=True))
        found.warnings.append("spot capacity is synthetic: nobody recorded it")
        return
    if own:
        told = f"own zones of {listed(own, 'and')}"
        if scenario.trace in data.manifest()["traces"]:
            told += ", of another machine type than the stacks'"
        found.sources.append(
            Source(
                "spot capacity",
                trace.name,
                known.source if known else "",
                known.date if known else "",
                "; ".join([told, *([known.shows_not] if known else [])]),
                mapped=True,
            )
        )
    for stack, zones in stands.items():
        if stack in own or not zones:
            continue
        pairs = [f"{zone} = {' + '.join(of)}" if of else f"{zone}: nothing" for zone, of in zones.items()]
        rule = "the scenario's mapping" if stack in scenario.mapping else "the fixed rule: nearest recorded region"
        found.sources.append(
            Source(
                f"spot capacity of {stack}",
                trace.name,
                known.source if known else "",
                known.date if known else "",
                f"mapped by {rule}: {', '.join(pairs)}",
                mapped=True,
            )
        )
        found.warnings.append(f"{stack}: its spot capacity is mapped from {_regions(zones)} of {trace.name}")
    if scenario.machine.per_node > 1:
        found.warnings.append(f"{scenario.machine.per_node} recorded machines are taken for one node")
    elif known is not None:
        found.warnings.append(f"counts of {trace.name} are taken as they are for every machine type of the stacks")
    length = _lap(trace, into + scenario.seconds)
    if into + scenario.seconds > length:
        times = (into + scenario.seconds) / length
        what = f"{trace.name} has {trace.end / DAY:.1f} days; its first {length / DAY:g}"
        found.warnings.append(f"{what} are played {times:.1f} times in a row")


def _regions(zones: Mapping[str, tuple[str, ...]]) -> str:
    return listed(dict.fromkeys(region_of(one) for of in zones.values() for one in of), "and")


def _series(trace: Trace, zone: str, into: float, seconds: float) -> Series:
    """What a zone of the trace gives from `into` on, the trace again and again, in seconds from there; only changes."""
    row, length = trace.counts[trace.zones.index(zone)], _lap(trace, into + seconds)
    found: Series = []
    lap = -into
    while lap < seconds:
        for index, time in enumerate(trace.times):
            upto = min(length, trace.times[index + 1] if index + 1 < len(trace.times) else trace.end)
            at = lap + time
            if time >= length or lap + upto <= 0 or at >= seconds:
                continue
            if not found or found[-1][1] != row[index]:
                found.append((max(0.0, at), row[index]))
        lap += length
    return found


def _lap(trace: Trace, seconds: float) -> float:
    """After how many seconds a trace begins anew, where so many are played: whole days, so that what goes by the hour
    of the day stays."""
    return trace.end if seconds <= trace.end or trace.end < DAY else trace.end // DAY * DAY


def _sum(series: Sequence[Series], per_node: int) -> Series:
    if not series:
        return [(0.0, 0)]
    now = [one[0][1] for one in series]
    found: Series = []
    for at, index, count in sorted((at, index, count) for index, one in enumerate(series) for at, count in one):
        now[index] = count
        whole = sum(now) // per_node
        if found and found[-1][0] == at:
            found.pop()
        if not found or found[-1][1] != whole:
            found.append((at, whole))
    return found


# --- who stands for whom ----------------------------------------------------------------------------------------------


def _stands(
    scenario: Scenario,
    regions: Sequence[Region],
    trace: Trace,
    file: str,
    warnings: list[str],
    added: Collection[str],
) -> dict[str, dict[str, tuple[str, ...]]]:
    """Stack -> zone -> zones of the trace."""
    by_region: dict[str, list[str]] = {}
    for zone in trace.zones:
        by_region.setdefault(region_of(zone), []).append(zone)
    found: dict[str, dict[str, tuple[str, ...]]] = {}
    taken: list[str] = []
    if scenario.synthetic is not None:
        return {one.stack: {zone: (f"{one.stack}/{zone}",) for zone in zones_of(one)} for one in regions}
    for stack in scenario.mapping:
        if stack not in {one.stack for one in regions}:
            known = [one.stack for one in regions]
            hint = did_you_mean(stack, known)
            raise SpillwayError(f"{file}: mapping.{stack}: is not played{hint}; played are {listed(known, 'and')}")
    for one in regions:
        zones = zones_of(one)
        if one.stack in added:
            continue
        if one.stack in scenario.mapping:
            found[one.stack] = _mapped(scenario.mapping[one.stack], one, by_region, trace, file)
        elif any(zone in trace.zones for zone in zones):
            found[one.stack] = _own(one, trace, warnings)
        elif not zones:
            found[one.stack] = {}
        else:
            continue
        taken += [region_of(name) for names in found[one.stack].values() for name in names]
    order = [one for one in regions if one.stack not in found]
    # What is thought up comes last, so that it changes nobody else's.
    for one in sorted(order, key=lambda one: (one.stack in added, one.stack)):
        zones = zones_of(one)
        if not zones:
            found[one.stack] = {}
            continue
        if any(zone in trace.zones for zone in zones):
            found[one.stack] = _own(one, trace, warnings)
            if shared := sorted({region_of(name) for names in found[one.stack].values() for name in names} & {*taken}):
                warnings.append(_shares(one.stack, shared[0]))
            continue
        free = [name for name in by_region if name not in taken] or list(by_region)
        here = places.coordinates(one.cloud, one.region)
        near = min(free, key=lambda name: (_distance(here, name), list(by_region).index(name)))
        if near in taken:
            warnings.append(_shares(one.stack, near))
        taken.append(near)
        recorded = by_region[near]
        if zones == (one.region,):
            found[one.stack] = {one.region: tuple(recorded)}
        else:
            found[one.stack] = {
                zone: (recorded[number],) if number < len(recorded) else () for number, zone in enumerate(zones)
            }
    return {one.stack: found[one.stack] for one in regions}


def _own(region: Region, trace: Trace, warnings: list[str]) -> dict[str, tuple[str, ...]]:
    """Zones that were recorded themselves."""
    zones = zones_of(region)
    if missing := [zone for zone in zones if zone not in trace.zones]:
        warnings.append(f"{region.stack}: nothing was recorded of {listed(missing, 'and')}: gives no spot")
    return {zone: (zone,) if zone in trace.zones else () for zone in zones}


def _shares(stack: str, name: str) -> str:
    return f"{stack}: shares the recorded region {name} with another stack: they fail together"


def _distance(here: tuple[float, float] | None, name: str) -> float:
    there = next((at for cloud in CLOUDS if (at := places.coordinates(cloud, name))), None)
    return places.kilometres(here, there) if here and there else float("inf")


def _mapped(
    wanted: Mapping[str, str], region: Region, by_region: Mapping[str, list[str]], trace: Trace, file: str
) -> dict[str, tuple[str, ...]]:
    zones = zones_of(region)
    found: dict[str, tuple[str, ...]] = dict.fromkeys(zones, ())
    for zone, name in wanted.items():
        where = f"{file}: mapping.{region.stack}.{zone} = {name}"
        if zone not in zones:
            hint = did_you_mean(zone, zones)
            has = listed(zones, "and") if zones else "no spot"
            raise SpillwayError(f"{where}: the spot pool does not launch there{hint}; it has {has}")
        if name in by_region:
            found[zone] = tuple(by_region[name])
        elif name in trace.zones:
            found[zone] = (name,)
        else:
            known = (*by_region, *trace.zones)
            raise SpillwayError(f"{where}: no zone or region of the trace{did_you_mean(name, known)}")
    return found


# --- prices -----------------------------------------------------------------------------------------------------------


def _priced(
    region: Region, book: Book, given: Given, found: Supply, whys: dict[str, list[str]]
) -> tuple[Region, dict[PriceKey, PriceSeries]] | None:
    """The region without types that have no price, and the prices of the others; None where a pool has none left."""
    usd: dict[PriceKey, PriceSeries] = {}
    pools: dict[str, Pool] = {}
    for name, pool in (("spot", region.spot), ("on_demand", region.on_demand)):
        if pool is None:
            continue
        market: Market = "spot" if name == "spot" else "on-demand"
        for machine, zone in region.launches(pool):
            if (moving := moving_prices.of(found.series, machine, zone, market)) is not None:
                usd[machine, zone, market] = moving
                continue
            price = book.find(region.cloud, region.region, machine, market, zone, given)
            if price is None:
                continue
            usd[machine, zone, market] = ((0.0, price.usd),)
            if price.why:
                whys.setdefault(price.why, []).append(region.stack)
        kept = tuple(one for one in pool.types if any(key[0] == one and key[2] == market for key in usd))
        if not kept:
            missing = listed(pool.types, "and")
            found.left_out[region.stack] = f"no {market} price of {missing} in {book.name}, and unpriced is not free"
            return None
        if dropped := [one for one in pool.types if one not in kept]:
            what = f"{region.stack}: {listed(dropped, 'and')} has no {market} price and is not launched"
            found.warnings.append(what)
        pools[name] = replace(pool, types=kept)
    return replace(region, **pools), usd  # type: ignore[arg-type]  # Pool for both
