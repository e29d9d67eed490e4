"""What a node of each region costs by market, for the keeper: what the cloud says now, else a price list."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from infra.keeper_fleet import RegionState
from infra.keeper_words import Market
from rehearsal import price_book
from rehearsal.fleet import Region
from rehearsal.price_book import Book, Found, Given

LIVE = "as the cloud says now"


def priced(
    regions: Iterable[Region], states: Mapping[str, RegionState], name: str, ratio: float | None
) -> tuple[dict[str, RegionState], dict[str, dict[str, str]]]:
    """The states with all prices that are known; and by stack and market, where each is from. name: the list, as
    `rehearsal.price_book.read` takes it. ratio: of spot to on-demand, where the list has no spot price.

    A market without a price stays without. Of spot the cheapest that the pool may launch, on demand the first type's. A
    spot price that is not below on-demand's says that there is none. Raises SpillwayError for a list that is unknown.
    """
    book = price_book.read(name, Path.cwd())
    given = Given(ratio=ratio, spot_source="--spot-ratio")
    found: dict[str, RegionState] = {}
    told: dict[str, dict[str, str]] = {}
    for region in regions:
        state = states.get(region.stack)
        if state is None:
            continue
        prices: dict[Market, float] = {}
        whys: dict[str, str] = {}
        for market in ("on-demand", "spot"):
            one = _of(region, "spot" if market == "spot" else "on-demand", book, given)
            if one is not None:
                prices["spot" if market == "spot" else "on-demand"] = one.usd
                whys[market] = one.why or f"{book.name} ({book.date})"
        for live, usd in state.prices.items():
            if live == "spot" and usd >= prices.get("on-demand", usd + 1.0):
                continue
            prices[live], whys[live] = usd, LIVE
        found[region.stack] = replace(state, prices=prices)
        told[region.stack] = whys
    return found, told


def _of(region: Region, market: Market, book: Book, given: Given) -> Found | None:
    pool = region.spot if market == "spot" else region.on_demand
    rows = [
        found
        for machine, zone in (region.launches(pool) if pool else ())
        if (found := book.find(region.cloud, region.region, machine, market, zone, given)) is not None
    ]
    if not rows:
        return None
    return min(rows, key=lambda found: found.usd) if market == "spot" else rows[0]
