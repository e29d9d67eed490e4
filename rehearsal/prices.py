"""What an instance costs: price lists and series of prices, from CSV; a uniform ratio for traces without prices.

List: columns provider, region, instance_type, market (spot, on-demand), usd_per_hour, observed_on, source; or a file of
machines of a snapshot (docs/prices.md), of which prices of a zone alone and of other markets are left out.
Series: columns `observed_at` (ISO 8601, with an offset or Z) or `seconds` (since the trace's start), zone, market,
usd_per_hour, and for fleets also instance_type; a price holds until the next of its zone, market and type.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, cast

from rehearsal.model import Market, Zone
from rehearsal.trace import Trace, region_of
from spillway.errors import SpillwayError

MARKETS: Final[tuple[Market, ...]] = ("spot", "on-demand")
COLUMNS: Final = ("provider", "region", "instance_type", "market", "usd_per_hour", "observed_on", "source")
OF_SNAPSHOTS: Final = {"sku": "instance_type", "usd": "usd_per_hour", "observed": "observed_on"}
"""What a snapshot calls these columns."""
USD_MAX: Final = 100_000.0
PER_MAX: Final = 1_024
Key = tuple[str, Market]
Series = tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class PriceList:
    """usd: per hour and instance, by region and market. machine: what the list prices, of which an instance is 1/per.

    providers: by region. observed: the dates in the list, the earliest first.
    """

    name: str
    usd: Mapping[Key, float]
    machine: str
    per: int
    providers: Mapping[str, str]
    observed: tuple[str, ...]


def read(path: Path, machine: str | None = None, per: int | None = None) -> dict[Key, float]:
    """USD per hour and instance, by region and market. Raises SpillwayError. See `price_list`."""
    return dict(price_list(path, machine, per).usd)


def price_list(path: Path, machine: str | None = None, per: int | None = None) -> PriceList:
    """machine: the one of the list's machines that counts; may be left out where the list has one.

    per: instances of the trace in one machine; 1 where it is left out. Raises SpillwayError: file, place, value, what
    is allowed.
    """
    share = 1 if per is None else per
    if not 1 <= share <= PER_MAX:
        raise SpillwayError(f"{path}: {per} instances in a machine; 1 to {PER_MAX} are allowed")
    rows = _list_rows(path)
    machines = sorted({row["instance_type"] for _, row in rows})
    if machine is None:
        if len(machines) > 1:
            raise SpillwayError(f"{path}: prices {len(machines)} machines; say which: {_some(machines)}")
        machine = machines[0]
    elif machine not in machines:
        raise SpillwayError(f"{path}: has no machine {machine}; has {_some(machines)}")
    usd: dict[Key, float] = {}
    providers: dict[str, str] = {}
    observed: set[str] = set()
    for where, row in rows:
        if row["instance_type"] != machine:
            continue
        market = _market(where, row["market"])
        region = row["region"]
        if not region:
            raise SpillwayError(f"{where}: region: is empty")
        if (region, market) in usd:
            raise SpillwayError(f"{where}: {region} {market} {machine}: has a price in an earlier line")
        usd[region, market] = _usd(where, row["usd_per_hour"]) / share
        providers[region] = row["provider"]
        observed.add(row["observed_on"])
    return PriceList(path.stem, usd, machine, share, providers, tuple(sorted(observed)))


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a list: USD per hour of a machine."""

    provider: str
    region: str
    machine: str
    market: Market
    usd: float
    observed: str


def all_rows(path: Path) -> list[Row]:
    """Every price of a list. Raises SpillwayError: file, place, value, what is allowed."""
    found: dict[tuple[str, str, str, Market], Row] = {}
    for where, row in _list_rows(path):
        market, usd = _market(where, row["market"]), _usd(where, row["usd_per_hour"])
        one = Row(row["provider"], row["region"], row["instance_type"], market, usd, row["observed_on"])
        key = one.provider, one.region, one.machine, one.market
        if key in found:
            raise SpillwayError(f"{where}: {one.region} {market} {one.machine}: has a price in an earlier line")
        found[key] = one
    return list(found.values())


def machines(path: Path) -> list[str]:
    """The machines that a list has prices of. Raises SpillwayError."""
    return sorted({row["instance_type"] for _, row in _list_rows(path)})


def priced(zones: Iterable[str], prices: PriceList, series: Mapping[Key, Series] | None = None) -> tuple[Zone, ...]:
    """The zones with the prices of their regions, or of their own where a series has them. Raises SpillwayError."""
    found = []
    for zone in zones:
        region = region_of(zone)
        both = []
        for market in MARKETS:
            own = (series or {}).get((zone, market))
            usd = prices.usd.get((region, market))
            if own is None and usd is None:
                has = _some(sorted({region for region, priced in prices.usd if priced == market}))
                raise SpillwayError(
                    f"{prices.name}: no {market} price of {prices.machine} in {region} ({zone}); has {has}"
                )
            both.append(own or ((0.0, cast(float, usd)),))
        found.append(Zone(zone, region, prices.providers.get(region, "unknown"), both[0], both[1]))
    return tuple(found)


def uniform(zones: Iterable[str], ratio: float) -> tuple[Zone, ...]:
    """Every zone alike: spot for 1 USD an hour, on demand for `ratio` (k) of them, as published settings have it."""
    if not (math.isfinite(ratio) and 0 < ratio <= USD_MAX):
        raise SpillwayError(f"k: {ratio:g} is no ratio of on-demand to spot (above 0, {USD_MAX:,.0f} at most)")
    return tuple(Zone(zone, region_of(zone), "unknown", ((0.0, 1.0),), ((0.0, ratio),)) for zone in zones)


def read_series(path: Path, trace: Trace) -> dict[tuple[str, Market], Series]:
    """Prices that change, by zone of the trace and market, in seconds since its start; zones of others are left out.

    Each has to have a price at the trace's start or before. Raises SpillwayError: file, place, value, what is allowed.
    """
    found: dict[Key, Series] = {}
    for (machine, zone, market), points in _series(path, trace).items():
        if zone not in trace.zones:
            continue
        if machine:
            raise SpillwayError(f"{path}: prices {machine}: a trace's zones have one price, without instance_type")
        found[zone, market] = _from_start(path, f"{zone} {market}", points)
    return found


def machine_series(path: Path, trace: Trace) -> dict[tuple[str, str, Market], Series]:
    """Prices that change, by machine type (empty: any), zone and market: of every zone, not only of the trace's.

    In seconds since the trace's start. Raises SpillwayError as `read_series` does.
    """
    return {
        key: _from_start(path, " ".join(part for part in key if part), points)
        for key, points in _series(path, trace).items()
    }


def _series(path: Path, trace: Trace) -> dict[tuple[str, str, Market], list[tuple[float, float]]]:
    rows = _rows(path, ("zone", "market", "usd_per_hour"))
    if not {"observed_at", "seconds"} & rows[0][1].keys():
        raise SpillwayError(f"{path}: line 1: has neither a column observed_at nor seconds")
    dated = "observed_at" in rows[0][1]
    if dated and trace.start is None:
        raise SpillwayError(f"{path}: is dated and {trace.name} is not: a column `seconds` since its start is needed")
    points: dict[tuple[str, str, Market], list[tuple[float, float]]] = {}
    for where, row in rows:
        at = _when(where, row["observed_at"]) - (trace.start or 0.0) if dated else _seconds(where, row["seconds"])
        market, usd = _market(where, row["market"]), _usd(where, row["usd_per_hour"])
        before = points.setdefault((row.get("instance_type", ""), row["zone"], market), [])
        if before and at <= before[-1][0]:
            raise SpillwayError(f"{where}: {row['zone']} {market}: is not after the price before")
        before.append((at, usd))
    return points


def cut(series: Series, begin: float) -> Series:
    """The same prices for a clock that starts at `begin`."""
    first = max(index for index, (at, _) in enumerate(series) if at <= begin)
    return ((0.0, series[first][1]), *((at - begin, usd) for at, usd in series[first + 1 :]))


def _from_start(path: Path, what: str, points: list[tuple[float, float]]) -> Series:
    if points[0][0] > 0:
        raise SpillwayError(f"{path}: {what}: the first price is {points[0][0]:g} s after the trace's start")
    return cut(tuple(points), 0.0)


def _list_rows(path: Path) -> list[tuple[str, dict[str, str]]]:
    """Rows with the columns of a list, of a list or of a snapshot's file. Raises SpillwayError."""
    rows = _rows(path, COLUMNS)
    if "unit" not in rows[0][1]:
        return rows
    found = [
        (where, row)
        for where, row in rows
        if (row["unit"], row.get("zone")) == ("hour", "") and row["market"] in MARKETS
    ]
    if not found:
        raise SpillwayError(f"{path}: has no price of a whole region by the hour, spot or on demand")
    return found


def _rows(path: Path, needed: Iterable[str]) -> list[tuple[str, dict[str, str]]]:
    """(file and line, values by column) of every line but the first."""
    try:
        reader = csv.reader(io.StringIO(path.read_bytes().decode("utf-8-sig")))
        lines = [(reader.line_num, line) for line in reader if line]
    except OSError as error:
        raise SpillwayError(f"{path}: cannot be read: {error.strerror}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise SpillwayError(f"{path}: is no CSV in UTF-8: {error}") from None
    header = lines[0][1] if lines else []
    if OF_SNAPSHOTS.keys() <= set(header):
        header = [OF_SNAPSHOTS.get(column, column) for column in header]
    if missing := [column for column in needed if column not in header]:
        raise SpillwayError(f"{path}: line 1: has no column {missing[0]}; needed are {', '.join(needed)}")
    if len(lines) < 2:
        raise SpillwayError(f"{path}: has no prices")
    rows = []
    for number, line in lines[1:]:
        if len(line) != len(header):
            raise SpillwayError(f"{path}: line {number}: {len(line)} values, the first line has {len(header)}")
        rows.append((f"{path}: line {number}", dict(zip(header, line, strict=True))))
    return rows


def _market(where: str, text: str) -> Market:
    if text not in MARKETS:
        raise SpillwayError(f"{where}: market: {text!r} is none of {', '.join(MARKETS)}")
    return text


def _usd(where: str, text: str) -> float:
    found = _number(text)
    if not 0 < found <= USD_MAX:
        raise SpillwayError(f"{where}: usd_per_hour: {text!r} is no price (above 0, {USD_MAX:,.0f} at most)")
    return found


def _seconds(where: str, text: str) -> float:
    found = _number(text)
    if not math.isfinite(found):
        raise SpillwayError(f"{where}: seconds: {text!r} is no number of seconds")
    return found


def _when(where: str, text: str) -> float:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise SpillwayError(f"{where}: observed_at: {text!r} is no time such as 2025-10-04T00:10:00Z") from None
    if found.tzinfo is None:
        raise SpillwayError(f"{where}: observed_at: {text!r} has no offset and no Z")
    return found.timestamp()


def _number(text: str) -> float:
    try:
        return float(text) if text.isascii() else math.nan
    except ValueError:
        return math.nan


def _some(names: list[str]) -> str:
    return ", ".join(names[:8]) + (f" and {len(names) - 8} others" if len(names) > 8 else "")
