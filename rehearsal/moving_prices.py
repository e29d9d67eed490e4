"""Prices of zones as they moved, for a fleet: from a CSV of the scenario, before whatever a price list says."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from infra.faults import listed
from rehearsal import prices
from rehearsal.model import Market
from rehearsal.regions.nodes import price_at
from rehearsal.result import Source
from rehearsal.trace import Trace
from spillway.errors import SpillwayError

PriceSeries = tuple[tuple[float, float], ...]
PriceKey = tuple[str, str, Market]
"""Machine type, zone, market. In what a file has, an empty type is any."""


def located(name: str, folder: Path, file: str) -> Path:
    """The file that a scenario names. Raises SpillwayError."""
    for path in (folder / name, Path(name)):
        if path.is_file():
            return path
    raise SpillwayError(f"{file}: priceSeries = {name}: there is no such file")


def read(
    path: Path,
    trace: Trace,
    rounds: Sequence[tuple[float, int]] | None,
    into: float,
    seconds: float,
    lap: float,
) -> dict[PriceKey, PriceSeries]:
    """Every series of the file, in seconds of the play. They go with the trace: where its first `lap` seconds are
    played again, so are their prices; where its rounds are drawn at random, each brings the price of its time.

    trace: as recorded. rounds: (at, which round) that were drawn; None: it is played from `into` on. Raises
    SpillwayError: file, place, value, what is allowed.
    """
    found: dict[PriceKey, PriceSeries] = {}
    for key, series in prices.machine_series(path, trace).items():
        if rounds is None:
            points = list(_again(series, into, seconds, lap))
        else:
            points = [(at, price_at(series, trace.times[index])) for at, index in rounds]
        kept = points[:1]
        for point in points[1:]:
            if point[1] != kept[-1][1]:
                kept.append(point)
        found[key] = tuple(kept)
    return found


def _again(series: PriceSeries, into: float, seconds: float, lap: float) -> Iterator[tuple[float, float]]:
    """A series' first `lap` seconds again and again, from `into` on, which is in the first of them."""
    inside = [(at, usd) for at, usd in series if at < lap]
    yield 0.0, price_at(inside, into)
    begin = -into
    while begin < seconds:
        yield from ((begin + at, usd) for at, usd in inside if 0 < begin + at < seconds)
        begin += lap


def of(series: Mapping[PriceKey, PriceSeries], machine: str, zone: str, market: Market) -> PriceSeries | None:
    """What a machine costs in a zone: by the series of its type, or of any; None where there is none."""
    return series.get((machine, zone, market)) or series.get(("", zone, market))


def told(
    name: str, file: str, series: Mapping[PriceKey, PriceSeries], regions: Iterable[Mapping[PriceKey, PriceSeries]]
) -> Source:
    """Which prices of the regions that are played move. Raises SpillwayError where none of them does."""
    moved = {f"{zone} {market}": None for one in regions for _, zone, market in one if _has(series, one, zone, market)}
    if not moved:
        has = listed(dict.fromkeys(zone for _, zone, _ in series), "and")
        raise SpillwayError(f"{file}: priceSeries = {name}: prices nothing that is played; it has {has}")
    left = dict.fromkeys(f"{zone} {market}" for _, zone, market in series if f"{zone} {market}" not in moved)
    note = "as they moved; they go with the trace's days, also where those are played again or drawn"
    if left:
        note += f"; not played: {listed(left, 'and')}"
    return Source(f"prices of {listed(moved, 'and')}", name, note=note)


def _has(
    series: Mapping[PriceKey, PriceSeries], region: Mapping[PriceKey, PriceSeries], zone: str, market: Market
) -> bool:
    """Whether any of a region's types is priced by a series there."""
    types = [machine for machine, where, which in region if (where, which) == (zone, market)]
    return any(of(series, machine, zone, market) is not None for machine in types)
