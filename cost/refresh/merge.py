"""A new snapshot out of the last one and what a refresher found: rows that it has seen anew take the place of the old
ones, all others stay as they are, with their own days."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date as Date
from pathlib import Path

from cost.prices.snapshot import FOLDER, Price, Snapshot, Unpriced, dates
from cost.prices.writing import Content, content, write
from cost.refresh.work import Found, Refresher
from spillway.errors import SpillwayError


@dataclass(frozen=True, slots=True)
class Change:
    """What a refresh did to the prices. changed: (before, now) of the same thing at another price."""

    snapshot: Snapshot
    added: int
    gone: int
    same: int
    changed: tuple[tuple[Price, Price], ...]


def merged(refresher: Refresher, found: Found, day: Date, folder: Path = FOLDER) -> Change:
    """Writes the snapshot of the day, in place of one that it has. Raises SpillwayError.

    A refresh that found nothing at all writes nothing: it asked wrongly, and would empty the snapshot.
    """
    fresh = [row for rows in found.rows.values() for row in rows]
    if not fresh:
        raise SpillwayError(f"{refresher.name}: the answers have no price of what was asked for; no snapshot was made")
    last = dates(folder)
    base = content(Snapshot.load(last[-1], folder)) if last else Content({}, (), {}, "")
    old = [row for rows in base.rows.values() for row in rows if refresher.replaces(row)]
    rows = {name: tuple(row for row in own if not refresher.replaces(row)) for name, own in base.rows.items()}
    for name, own in found.rows.items():
        rows[name] = (*rows.get(name, ()), *own)
    made = Content(
        {name: own for name, own in rows.items() if own},
        tuple(_gaps(base.unpriced, found.unpriced, fresh)),
        {**base.sources, **found.sources},
        base.note,
    )
    write(folder / day.isoformat(), made)
    Snapshot.forget()
    return _change(Snapshot.load(day, folder), old, fresh)


def _gaps(old: Iterable[Unpriced], new: Iterable[Unpriced], fresh: Iterable[Price]) -> Iterable[Unpriced]:
    """Reasons that still hold: not of what has a price now, and not where the refresh gives its own."""
    priced = {(row.provider, row.sku, row.market) for row in fresh}
    told = {(gap.provider, gap.sku, gap.market): gap for gap in new}
    anything = {(row.provider, row.sku) for row in fresh}
    for gap in old:
        key = (gap.provider, gap.sku, gap.market)
        done = key in priced or (gap.market == "*" and key[:2] in anything)
        if not done and key not in told:
            yield gap
    yield from new


def _change(snapshot: Snapshot, old: Iterable[Price], fresh: Iterable[Price]) -> Change:
    before, now = ({_key(row): row for row in rows} for rows in (old, fresh))
    both = before.keys() & now.keys()
    changed = [(before[key], now[key]) for key in sorted(both, key=str) if before[key].usd != now[key].usd]
    return Change(snapshot, len(now.keys() - both), len(before.keys() - both), len(both) - len(changed), tuple(changed))


def _key(row: Price) -> tuple[object, ...]:
    return row.provider, row.region, row.zone, row.sku, row.market, row.from_quantity
