"""What came of regions in figures: who was ready, what it cost, who waited; for a region and for a fleet of them."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Final

from rehearsal.model import Market
from rehearsal.regions import RegionPlay, RegionPlayed
from rehearsal.regions.groups import series_of
from rehearsal.regions.nodes import Node
from rehearsal.result import Incident, Money, Nodes, RegionResult, Serving
from rehearsal.trace import Trace
from rehearsal.world import bill

HOUR: Final = 3600.0
LEAST_SECONDS: Final = 60.0
"""Of a time without a node that is told as an incident."""
SHORT_SECONDS: Final = 600.0
"""In which spot is missing, and that is told: longer than a notice and the launch of a successor take."""
Steps = Sequence[tuple[float, float]]
"""(at, value from then on), in order; the first at the begin."""


def merged(series: Sequence[Steps], until: float) -> Iterator[tuple[float, float, tuple[float, ...]]]:
    """(from, to, the values of all) over the time that several series share."""
    now = [one[0][1] for one in series]
    before = max(one[0][0] for one in series)
    changes = heapq.merge(
        *([(at, index, value) for at, value in one[1:]] for index, one in enumerate(series)), key=lambda each: each[:2]
    )
    for at, index, value in changes:
        if at >= until:
            break
        if at > before:
            yield before, at, tuple(now)
            before = at
        now[index] = value
    if until > before:
        yield before, until, tuple(now)


def serving(ready: Sequence[Steps], target: Steps, begin: float, end: float, most: int) -> Serving:
    """How many of several were ready together, against a target that may move; `most` is the one that is told."""
    kept = zero = deficit = whole = longest = longest_zero = below = none = 0.0
    for first, last, values in merged([target, *ready], end):
        length = last - max(first, begin)
        if length <= 0:
            continue
        wanted, count = values[0], sum(values[1:])
        whole += length
        deficit += length * max(0.0, wanted - count)
        if count >= wanted:
            kept += length
            below = 0.0
        else:
            below += length
            longest = max(longest, below)
        if count <= 0:
            zero += length
            none += length
            longest_zero = max(longest_zero, none)
        else:
            none = 0.0
    return Serving(most, kept / whole if whole else 1.0, zero, longest, longest_zero, deficit)


def ready_of(played: RegionPlayed) -> Steps:
    """Nodes that serve, over time."""
    return [(level.at, float(level.ready)) for level in played.levels]


def first_on_demand(play: RegionPlay) -> Steps:
    """USD per hour of the first on-demand type, over time."""
    machine, zone = play.region.launches(play.region.on_demand)[0]
    return series_of(play.prices, machine, zone, play.region.region, "on-demand")


def cheapest(play: RegionPlay, market: Market, end: float) -> tuple[tuple[float, float], ...]:
    """USD per hour of the cheapest that a pool may launch, as it moves."""
    pool = play.region.spot if market == "spot" else play.region.on_demand
    if pool is None:
        return ()
    region = play.region
    series = [series_of(play.prices, machine, zone, region.region, market) for machine, zone in region.launches(pool)]
    found: list[tuple[float, float]] = []
    for first, _, values in merged(list(dict.fromkeys(map(tuple, series))), end):
        if not found or found[-1][1] != min(values):
            found.append((first, min(values)))
    return tuple(found)


def region(play: RegionPlay, played: RegionPlayed, fixed: int | None) -> RegionResult:
    """One region's part of a variant. fixed: the target that it is held to; None: its own, as somebody moves it."""
    one, end = play.region, played.end
    # A region that is all on demand has its target as the on-demand minimum.
    target = [(at, float(spot + on_demand)) for at, spot, on_demand in play.targets]
    wanted = one.target if fixed is None else fixed
    if fixed is not None:
        target = [(0.0, float(fixed))]
    price = first_on_demand(play)
    hours: dict[Market, float] = {"spot": 0.0, "on-demand": 0.0}
    for node in played.instances:
        hours[node.market] += ((end if node.ended is None else node.ended) - node.launched) / HOUR
    return RegionResult(
        stack=one.stack,
        cloud=one.cloud,
        region=one.region,
        serving=serving([ready_of(played)], target, played.begin, end, wanted),
        money=Money(played.cost("spot"), played.cost("on-demand"), wanted * bill(tuple(price), 0.0, end)),
        nodes=nodes(played),
        prices=cheapest(play, "spot", end),
        on_demand_price=price[0][1],
        targets=tuple(play.targets),
        launches=len(played.instances),
        preemptions=played.losses,
        refusals=played.refusals,
        spot_hours=hours["spot"],
        on_demand_hours=hours["on-demand"],
    )


def nodes(played: RegionPlayed) -> tuple[Nodes, ...]:
    """Who was ready, sent requests, and booting, over time."""
    changes: list[tuple[float, int]] = []
    for one in played.instances:
        end = played.end if one.ended is None else one.ended
        arrived = one.in_service if isinstance(one, Node) else one.ready
        until = min(end, end if arrived is None else arrived, end if one.noticed is None else one.noticed)
        if until > one.launched:
            changes += [(one.launched, 1), (until, -1)]
    booting: list[tuple[float, float]] = [(0.0, 0.0)]
    for at, by in sorted(changes):
        count = booting[-1][1] + by
        if booting[-1][0] == at:
            booting.pop()
        booting.append((at, count))
    if booting[0][0] > 0:
        booting.insert(0, (0.0, 0.0))
    levels = [
        [(level.at, float(count)) for level, count in zip(played.levels, column, strict=True)]
        for column in zip(*(_counts(level) for level in played.levels), strict=True)
    ]
    found: list[Nodes] = []
    for at, _, values in merged([*levels, booting], played.end):
        spot, on_demand, receiving, refusing, boots = map(int, values)
        now = Nodes(at, spot, on_demand, boots, receiving, refusing)
        if not found or replace(found[-1], at=at) != now:
            found.append(now)
    return tuple(found)


def _counts(level: object) -> tuple[int, int, int, int]:
    return (
        getattr(level, "spot", 0), getattr(level, "on_demand", 0), getattr(level, "receiving", 0),
        getattr(level, "refusing", 0),
    )  # fmt: skip


def stretches(series: Steps, holds: Callable[[float], bool], end: float) -> Iterator[tuple[float, float | None]]:
    """(from, until) of the times in which a value is so; None: to the end."""
    since: float | None = None
    for at, value in series:
        if holds(value) and since is None:
            since = at
        elif not holds(value) and since is not None:
            yield since, at
            since = None
    if since is not None and since < end:
        yield since, None


def incidents(play: RegionPlay, played: RegionPlayed) -> Iterator[Incident]:
    """What a region went through: spot that is taken, or not to be had; no node that is ready; on demand standing in
    for spot."""
    one, end = play.region, played.end
    for at, until in stretches(ready_of(played), lambda count: count <= 0, end):
        last = end if until is None else until
        if at < played.begin or last - at < LEAST_SECONDS:
            continue
        yield Incident(at, until, "fallback", one.stack, "no node is ready", "")
    if one.spot is None:
        return
    yield from _losses(play, played)
    yield from _shortages(play, played)
    floors = [(at, float(on_demand)) for at, _, on_demand in play.targets]
    levels = [(level.at, float(level.on_demand)) for level in played.levels]
    above: list[tuple[float, float]] = []
    for first, _, (floor, count) in merged([floors, levels], end):
        beyond = max(0.0, count - floor)
        if not above or above[-1][1] != beyond:
            above.append((first, beyond))
    for at, until in stretches(above, lambda count: count > 0, end):
        most = max(value for when, value in above if at <= when < (end if until is None else until))
        yield Incident(at, until, "fallback", one.stack, f"{most:g} on demand for spot that is missing", "")


def _losses(play: RegionPlay, played: RegionPlayed) -> Iterator[Incident]:
    """Spot nodes that were taken, those of one second together, until as many serve again as before."""
    taken: dict[float, list[Node]] = {}
    for node in played.instances:
        lost = node.noticed is not None or node.cause == "lost"
        if isinstance(node, Node) and node.market == "spot" and node.ended is not None and lost:
            taken.setdefault(node.ended if node.noticed is None else node.noticed, []).append(node)
    levels = [(level.at, level.ready) for level in played.levels]
    index = 0
    for at, gone in sorted(taken.items(), key=lambda item: item[0]):
        while index + 1 < len(levels) and levels[index + 1][0] < at:
            index += 1
        before = levels[index][1]
        until = next((when for when, ready in levels[index + 1 :] if when > at and ready >= before), None)
        zones = ", ".join(dict.fromkeys(node.zone for node in gone))
        # What a zone takes back has notice, where the cloud gives one; what is lost without is so with all around it.
        dark = play.nodes.times.notice > 0 and all(node.noticed is None for node in gone)
        what, why = ("gone", f"{zones} dark") if dark else ("taken", f"{zones} gives less")
        yield Incident(at, until, "spot", play.region.stack, f"{len(gone)} spot {what}", why)


def _shortages(play: RegionPlay, played: RegionPlayed) -> Iterator[Incident]:
    """Times in which the spot group held fewer nodes than it should, booting ones counted."""
    end, changes = played.end, list[tuple[float, int]]()
    for node in played.instances:
        if node.market == "spot":
            gone = end if node.ended is None else node.ended
            changes += [(node.launched, 1), (gone if node.noticed is None else node.noticed, -1)]
    held: list[tuple[float, float]] = [(0.0, 0.0)]
    for at, by in sorted(changes):
        if at >= end:
            break
        count = held[-1][1] + by
        if held[-1][0] == at:
            held.pop()
        held.append((at, count))
    missing: list[tuple[float, float]] = []
    for first, _, (wanted, count) in merged([[(at, float(spot)) for at, spot, _ in play.targets], held], end):
        short = max(0.0, wanted - count)
        if not missing or missing[-1][1] != short:
            missing.append((first, short))
    for at, until in stretches(missing, lambda count: count > 0, end):
        last = end if until is None else until
        if last - at < SHORT_SECONDS:
            continue
        most = max(value for when, value in missing if at <= when < last)
        yield Incident(at, until, "spot", play.region.stack, f"{most:g} spot missing", "not to be had")


def zone_trace(capacities: dict[str, Sequence[tuple[float, int]]], end: float) -> Trace:
    """Zones' capacities as a trace, for the plan that knows it all."""
    zones = tuple(capacities)
    times: list[float] = []
    rows: list[list[int]] = [[] for _ in zones]
    series = [[(at, float(count)) for at, count in capacities[zone]] for zone in zones]
    for first, _, values in merged(series, end):
        times.append(first)
        for row, value in zip(rows, values, strict=True):
            row.append(int(value))
    return Trace("fleet", None, tuple(times), end, zones, tuple(map(tuple, rows)), end, (), "")
