"""What a fleet's machines are billed by: the newest snapshot or another list, and what stands in where it has no row.

Unpriced never means zero: a type that has no price in any way is not launched, and whoever asks is told.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from statistics import median
from typing import Final

from cost.prices.snapshot import Snapshot, dates
from infra.dns import places
from infra.faults import did_you_mean, listed
from rehearsal import data, prices
from rehearsal.model import Market
from rehearsal.result import Source
from spillway.errors import SpillwayError

NEWEST: Final = "snapshot"
Key = tuple[str, str, str, Market]
"""Provider, region, machine type, market."""


@dataclass(frozen=True, slots=True)
class Found:
    """USD per hour. why: empty where the list has a row of its own; otherwise what stands in for one."""

    usd: float
    why: str = ""


@dataclass(frozen=True, slots=True)
class Given:
    """Prices that a scenario gives for what the list lacks. ratio: of spot to on-demand."""

    spot: Mapping[str, float] = field(default_factory=dict)
    on_demand: Mapping[str, float] = field(default_factory=dict)
    ratio: float | None = None
    spot_source: str = ""
    on_demand_source: str = ""


@dataclass(frozen=True, slots=True)
class Book:
    """usd: by key; zonal: by key and zone, where a cloud prices zones apart. A spot price that equals the on-demand
    price says that there is none, and is left out."""

    name: str
    origin: str
    date: str
    note: str
    usd: Mapping[Key, float]
    zonal: Mapping[tuple[Key, str], float]

    @property
    def ratio(self) -> tuple[float, int] | None:
        """Median of spot over on-demand, and of how many rows; None where no machine has both."""
        found = []
        for (provider, region, machine, market), usd in self.usd.items():
            if market == "spot" and (base := self.usd.get((provider, region, machine, "on-demand"))):
                found.append(usd / base)
        return (median(found), len(found)) if found else None

    @property
    def source(self) -> Source:
        return Source("prices", self.name, self.origin, self.date, self.note)

    def find(
        self, cloud: str, region: str, machine: str, market: Market, zone: str | None, given: Given
    ) -> Found | None:
        """What an hour costs; None where nothing says it."""
        if market == "on-demand":
            return self._on_demand(cloud, region, machine, given)
        key: Key = (cloud, region, machine, "spot")
        if zone is not None and (key, zone) in self.zonal:
            return Found(self.zonal[key, zone])
        if key in self.usd:
            return Found(self.usd[key])
        if machine in given.spot:
            return Found(given.spot[machine], f"spot price of {machine} as the scenario has it ({given.spot_source})")
        base = self._on_demand(cloud, region, machine, given)
        if base is None:
            return None
        if given.ratio is not None:
            return Found(base.usd * given.ratio, f"spot at {given.ratio:g} of on demand ({given.spot_source})")
        if (own := self.ratio) is None:
            return None
        share, rows = own
        return Found(base.usd * share, f"spot at {share:.3f} of on demand: median of {rows} rows of the list with both")

    def _on_demand(self, cloud: str, region: str, machine: str, given: Given) -> Found | None:
        if (usd := self.usd.get((cloud, region, machine, "on-demand"))) is not None:
            return Found(usd)
        if machine in given.on_demand:
            why = f"on-demand price of {machine} as the scenario has it ({given.on_demand_source})"
            return Found(given.on_demand[machine], why)
        others = {
            where: usd
            for (provider, where, name, market), usd in self.usd.items()
            if (provider, name, market) == (cloud, machine, "on-demand")
        }
        if not others:
            return None
        near = _nearest(cloud, region, others)
        return Found(others[near], f"on-demand price of {machine} in {near}: the list has none of {region}")


def _nearest(cloud: str, region: str, among: Iterable[str]) -> str:
    here = places.coordinates(cloud, region)

    def distance(name: str) -> tuple[float, str]:
        there = places.coordinates(cloud, name)
        return (places.kilometres(here, there) if here and there else float("inf"), name)

    return min(among, key=distance)


def read(name: str, folder: Path) -> Book:
    """`snapshot`, a snapshot's date, a list's name, or a CSV file's path (from `folder`). Raises SpillwayError."""
    if name == NEWEST or name in dates():
        return _snapshot(Snapshot.load(None if name == NEWEST else name))
    lists = data.manifest()["prices"]
    if name in lists:
        known = lists[name]
        return _listed(prices.all_rows(known.path), name, known.source, str(known.date), known.shows_not)
    for path in (folder / name, Path(name)):
        if path.exists():
            return _listed(prices.all_rows(path), path.name, str(path), "", "")
    allowed = [NEWEST, *dates(), *lists]
    hint = did_you_mean(name, allowed)
    raise SpillwayError(f"prices = {name}: neither a file nor known{hint}; known are {listed(allowed, 'and')}")


def _listed(rows: Iterable[prices.Row], name: str, origin: str, seen: str, note: str) -> Book:
    usd: dict[Key, float] = {}
    observed: set[str] = set()
    for row in rows:
        usd[row.provider, row.region, row.machine, row.market] = row.usd
        observed.add(row.observed)
    return Book(name, origin, seen or listed(sorted(observed), "and"), note, _for_sale(usd), {})


def _snapshot(found: Snapshot) -> Book:
    usd: dict[Key, float] = {}
    zonal: dict[tuple[Key, str], float] = {}
    used: set[str] = set()
    days: set[date] = set()
    for row in found.rows:
        if row.unit != "hour" or row.market not in ("spot", "on-demand") or row.sold_out:
            continue
        market: Market = "spot" if row.market == "spot" else "on-demand"
        key: Key = (row.provider, row.region, row.sku, market)
        if row.zone:
            zonal[key, row.zone] = float(row.usd)
        else:
            usd[key] = float(row.usd)
        used.add(row.source_id)
        days.add(row.observed)
    by_region: dict[Key, list[float]] = {}
    for (key, _), price in zonal.items():
        by_region.setdefault(key, []).append(price)
    for key, known in by_region.items():  # a zone without a row of its own is taken as the others of its region
        usd.setdefault(key, median(known))
    urls = [found.sources[one].url for one in sorted(used) if one in found.sources]
    seen = f"{min(days)} to {max(days)}" if days else str(found.date)
    return Book(f"cost/data/prices {found.id}", " ".join(urls), seen, found.note, _for_sale(usd), zonal)


def _for_sale(usd: Mapping[Key, float]) -> dict[Key, float]:
    return {
        key: price
        for key, price in usd.items()
        if key[3] != "spot" or price != usd.get((key[0], key[1], key[2], "on-demand"))
    }
