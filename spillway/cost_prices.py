"""`spillway cost prices`: what a snapshot has, side by side."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date as Date
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cost.money import HOURS_PER_MONTH, quantised
from cost.prices.snapshot import LIST, ON_DEMAND, SPOT, STALE_DAYS, Price, Snapshot, Unpriced
from infra import catalog
from infra.faults import did_you_mean, listed
from spillway import tables
from spillway.errors import SpillwayError, WrongUsage

if TYPE_CHECKING:
    from rich.table import Table


@dataclass(frozen=True, slots=True)
class Side:
    """One machine type in one region: all that it can be had at. gpus: None where the catalog does not know it."""

    provider: str
    region: str
    sku: str
    gpus: int | None
    prices: tuple[Price, ...]

    def of(self, market: str) -> list[Price]:
        """Its prices on a market, the cheapest first."""
        return sorted((row for row in self.prices if row.market == market), key=lambda row: row.usd)

    @property
    def base(self) -> Price | None:
        """What it is compared by: on demand, else its list price, else the cheapest."""
        for market in (ON_DEMAND, LIST):
            if found := self.of(market):
                return found[0]
        return min(self.prices, key=lambda row: row.usd, default=None)


def prices(
    machine: Annotated[
        list[str] | None, typer.Option("--machine", help="A machine type, in every region; may be given again.")
    ] = None,
    gpu: Annotated[str | None, typer.Option(help="Every machine type with this GPU, such as H100.")] = None,
    sku: Annotated[
        list[str] | None, typer.Option("--sku", help="Something else that has a price, such as nat.hour.")
    ] = None,
    cloud: Annotated[str | None, typer.Option(help="Only this cloud's.")] = None,
    region: Annotated[str | None, typer.Option(help="Only this region, and prices that hold everywhere.")] = None,
    day: Annotated[str | None, typer.Option("--date", help="Of this snapshot; the latest unless given.")] = None,
    stale_days: Annotated[int, typer.Option(min=1, help="Older prices are marked.")] = STALE_DAYS,
    unpriced: Annotated[bool, typer.Option("--unpriced", help="What has no price, and why.")] = False,
    sources: Annotated[bool, typer.Option("--sources", help="Where the prices are from.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="JSON for programs; money as text.")] = False,
) -> None:
    """Prices of machines and of everything else, side by side, each with its day and what is to be known of it.

    Without options: what the snapshot has.
    """
    chosen = [name for name, given in (("--machine", machine), ("--gpu", gpu), ("--sku", sku)) if given]
    chosen += [name for name, given in (("--unpriced", unpriced), ("--sources", sources)) if given]
    if len(chosen) > 1:
        raise WrongUsage(f"{listed(chosen, 'and')} do not go together")
    snapshot, today = Snapshot.load(day), Date.today()
    if cloud is not None and cloud not in snapshot.providers():
        hint = did_you_mean(cloud, snapshot.providers())
        raise SpillwayError(f"--cloud {cloud}: has to be {listed(snapshot.providers())}{hint}")
    if region is not None:
        _known(region, cloud, snapshot)
    head = _head(snapshot, today, stale_days)
    if machine or gpu:
        names = list(dict.fromkeys(machine)) if machine else _with(gpu or "", cloud)
        found, missing = _sides(snapshot, names, cloud, region)
        _machines(head, found, missing, today, stale_days, as_json)
    elif sku:
        _things(head, snapshot, list(dict.fromkeys(sku)), cloud, region, today, stale_days, as_json)
    elif unpriced:
        _gaps(head, [gap for gap in snapshot.unpriced if _within(gap, cloud, region)], as_json)
    elif sources:
        _sources(head, snapshot, cloud, region, as_json)
    else:
        _summary(head, snapshot, cloud, region, as_json)


def _known(region: str, cloud: str | None, snapshot: Snapshot) -> None:
    """Raises SpillwayError where neither the snapshot nor the catalog has a region: a slip would look unpriced."""
    rows: tuple[Price | Unpriced, ...] = (*snapshot.rows, *snapshot.unpriced)
    places = {row.region for row in rows if cloud in (None, row.provider)}
    places |= {place for name in catalog.READERS if cloud in (None, name) for place in catalog.regions(name)}
    if region not in places:
        where = f" of {cloud}" if cloud else ""
        raise SpillwayError(f"--region {region}: no region{where} is called so{did_you_mean(region, sorted(places))}")


def _head(snapshot: Snapshot, today: Date, stale_days: int) -> dict[str, Any]:
    first, last = snapshot.observed
    return {
        "snapshot": snapshot.id,
        "observed_from": first.isoformat(),
        "observed_to": last.isoformat(),
        "age_days": snapshot.age(today),
        "stale": snapshot.stale(today, stale_days),
        "currency": "USD",
        "hours_per_month": int(HOURS_PER_MONTH),
    }


def _title(head: dict[str, Any]) -> str:
    old = "; STALE" if head["stale"] else ""
    return (
        f"Snapshot {head['snapshot']}: USD, prices seen {head['observed_from']} to {head['observed_to']}; "
        f"median age of machines on demand {head['age_days']} days{old}"
    )


def _with(gpu: str, cloud: str | None) -> list[str]:
    """The machine types of the catalog, or of one cloud, whose GPU's name begins so. Raises SpillwayError."""
    machines = [one for name in catalog.READERS if cloud in (None, name) for one in catalog.machines(name)]
    found = [one.name for one in machines if one.gpu.lower().startswith(gpu.lower())]
    if not found:
        known = sorted({one.gpu for one in machines})
        where = f" of {cloud}" if cloud else ""
        told = f"; known are {listed(known, 'and')}" if known else ""
        raise SpillwayError(f"--gpu {gpu}: no machine{where} has it{did_you_mean(gpu, known)}{told}")
    return found


def _gpus(sku: str) -> int | None:
    return catalog.machine(sku).gpus if catalog.is_machine(sku) else None


def _sides(
    snapshot: Snapshot, names: Sequence[str], cloud: str | None, region: str | None
) -> tuple[list[Side], list[Unpriced]]:
    found: list[Side] = []
    missing: list[Unpriced] = []
    for name in names:
        rows = [row for row in snapshot.of(name, cloud) if region in (None, row.region)]
        if not rows:
            missing.append(_missing(snapshot, name, cloud, region))
            continue
        places = sorted({(row.provider, row.region) for row in rows})
        for provider, place in places:
            own = tuple(row for row in rows if (row.provider, row.region) == (provider, place))
            found.append(Side(provider, place, name, _gpus(name), own))
        for gap in snapshot.unpriced:
            if gap.sku == name and any(provider == gap.provider for provider, _ in places):
                missing.append(gap)
    found.sort(key=lambda side: (_each(side) or Decimal("Infinity"), side.provider, side.region))
    return found, missing


def _missing(snapshot: Snapshot, name: str, cloud: str | None, region: str | None) -> Unpriced:
    """Why nothing was found; an unknown name is a fault. Raises SpillwayError."""
    owner = cloud or (catalog.machine(name).cloud if catalog.is_machine(name) else "")
    if not snapshot.of(name) and not any(gap.sku == name for gap in snapshot.unpriced) and not owner:
        hint = did_you_mean(name, snapshot.skus())
        raise SpillwayError(f"{name}: not in snapshot {snapshot.id}, and no machine type of the catalog{hint}")
    owner = owner or next(row.provider for row in snapshot.of(name))
    why = snapshot.find(provider=owner, region=region or "*", sku=name)
    reason = why.reason if isinstance(why, Unpriced) else "only elsewhere"
    return Unpriced(reason, owner, region or "*", name, "*")


def _each(side: Side) -> Decimal | None:
    """USD per GPU and hour."""
    return None if side.base is None or not side.gpus else side.base.usd / side.gpus


def _machines(
    head: dict[str, Any],
    found: Sequence[Side],
    missing: Sequence[Unpriced],
    today: Date,
    stale_days: int,
    as_json: bool,
) -> None:
    if as_json:
        rows = [
            {
                "cloud": side.provider, "region": side.region, "machine": side.sku, "gpus": side.gpus,
                "usd_per_gpu_hour": None if (each := _each(side)) is None else str(quantised(each, 6)),
                "prices": [_price_json(row, today, stale_days) for row in side.prices],
            }
            for side in found
        ]  # fmt: skip
        typer.echo(json.dumps(head | {"machines": rows, "unpriced": _gap_json(missing)}, indent=2))
        return
    typer.echo(_title(head))
    notes: dict[str, str] = {}
    table = tables.plain(
        "cloud", "region", "machine", "GPUs", "on demand", "per GPU", "spot", "others", "seen", "notes"
    )
    for side in found:
        each = _each(side)
        demand = side.of(ON_DEMAND)
        others = [f"{row.market} {quantised(row.usd, 4)}" for row in side.prices if row.market not in (ON_DEMAND, SPOT)]
        tables.add(
            table, "",
            side.provider, side.region, side.sku, "" if side.gpus is None else str(side.gpus),
            f"{quantised(demand[0].usd, 4)}" if demand else "-",
            "" if each is None else f"{quantised(each, 4)}",
            _spot(side.of(SPOT)), ", ".join(others) or "-", _days(side.prices),
            _notes(side.prices, today, stale_days, notes),
        )  # fmt: skip
    if found:
        tables.show(table)
    _foot(notes, missing)


def _spot(rows: Sequence[Price]) -> str:
    """`14.25-47.21 (2 of 6 zones sold out)`."""
    if not rows:
        return "-"
    left = [row.usd for row in rows if not row.sold_out]
    zones = f"{len(rows)} zone{'s' if len(rows) > 1 else ''}" if rows[0].zone else "region"
    gone = f"{len(rows) - len(left)} of {zones} sold out" if len(left) < len(rows) else zones
    if not left:
        return f"({gone})"
    span = f"{quantised(min(left), 4)}" + (f"-{quantised(max(left), 4)}" if max(left) > min(left) else "")
    return f"{span} ({gone})"


def _days(rows: Iterable[Price]) -> str:
    days = sorted({row.observed for row in rows})
    return days[0].isoformat() if len(days) == 1 else f"{days[0]} to {days[-1]}"


def _notes(rows: Iterable[Price], today: Date, stale_days: int, seen: dict[str, str]) -> str:
    """`a c stale`: a letter per flag, told in full below the table."""
    marks: list[str] = []
    for row in rows:
        for flag in row.flags:
            if not flag.startswith("sold-out"):
                marks.append(seen.setdefault(flag, _letter(len(seen))))
    if any(row.stale(today, stale_days) for row in rows):
        marks.append("stale")
    return " ".join(dict.fromkeys(marks))


def _letter(index: int) -> str:
    return chr(ord("a") + index) if index < 26 else f"{_letter(index // 26 - 1)}{_letter(index % 26)}"


def _foot(notes: dict[str, str], missing: Sequence[Unpriced]) -> None:
    for flag, mark in notes.items():
        typer.echo(f"  {mark}: {flag}")
    for gap in missing:
        market = "" if gap.market in ("*", "") else f" {gap.market}"
        typer.echo(f"  unpriced: {gap.provider} {gap.sku}{market}: {gap.reason}")


def _price_json(row: Price, today: Date, stale_days: int) -> dict[str, Any]:
    return {
        "provider": row.provider, "region": row.region, "zone": row.zone, "sku": row.sku, "market": row.market,
        "unit": row.unit, "from_quantity": str(row.from_quantity), "usd": str(row.usd), "flags": list(row.flags),
        "observed": row.observed.isoformat(), "age_days": row.age(today), "stale": row.stale(today, stale_days),
        "source": row.source, "licence": row.licence,
    }  # fmt: skip


def _gap_json(gaps: Iterable[Unpriced]) -> list[dict[str, str]]:
    return [
        {"provider": gap.provider, "region": gap.region, "sku": gap.sku, "market": gap.market, "reason": gap.reason}
        for gap in gaps
    ]


def _things(
    head: dict[str, Any], snapshot: Snapshot, names: Sequence[str], cloud: str | None, region: str | None,
    today: Date, stale_days: int, as_json: bool,
) -> None:  # fmt: skip
    rows: list[Price] = []
    missing: list[Unpriced] = []
    for name in names:
        own = [row for row in snapshot.of(name, cloud) if region is None or row.region in (region, "*")]
        gaps = [gap for gap in snapshot.unpriced if gap.sku == name and cloud in (None, gap.provider)]
        if not own and not gaps:
            if not snapshot.of(name):
                hint = did_you_mean(name, snapshot.skus())
                raise SpillwayError(f"--sku {name}: snapshot {snapshot.id} has no such thing{hint}")
            missing.append(_missing(snapshot, name, cloud, region))
        rows += sorted(own, key=lambda row: (row.provider, row.region, row.market, row.from_quantity))
        missing += gaps
    if as_json:
        told = [_price_json(row, today, stale_days) for row in rows]
        typer.echo(json.dumps(head | {"prices": told, "unpriced": _gap_json(missing)}, indent=2))
        return
    typer.echo(_title(head))
    notes: dict[str, str] = {}
    table = tables.plain("cloud", "region", "what", "market", "from", "USD", "per", "seen", "notes", "source")
    for row in rows:
        begin = f"{row.from_quantity:,}" if row.from_quantity else ""
        tables.add(
            table, "", row.provider, row.region, row.sku, row.market, begin, f"{row.usd:f}", row.unit,
            row.observed.isoformat(), _notes([row], today, stale_days, notes), row.source_id,
        )  # fmt: skip
    if rows:
        tables.show(table)
    _foot(notes, missing)


def _gaps(head: dict[str, Any], gaps: Sequence[Unpriced], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(head | {"unpriced": _gap_json(gaps)}, indent=2))
        return
    typer.echo(_title(head))
    table = tables.plain("cloud", "region", "what", "market", "why it has no price")
    for gap in gaps:
        tables.add(table, "", gap.provider, gap.region, gap.sku, gap.market, gap.reason)
    tables.show(table)


def _within(row: Price | Unpriced, cloud: str | None, region: str | None) -> bool:
    return cloud in (None, row.provider) and (region is None or row.region in (region, "*"))


def _sources(head: dict[str, Any], snapshot: Snapshot, cloud: str | None, region: str | None, as_json: bool) -> None:
    count = Counter(row.source_id for row in snapshot.rows if _within(row, cloud, region))
    chosen = [one for one in snapshot.sources.values() if count[one.id] or cloud is region is None]
    if as_json:
        told = {
            one.id: {
                "title": one.title,
                "url": one.url,
                "licence": one.licence,
                "note": one.note,
                "rows": count[one.id],
            }
            for one in chosen
        }
        typer.echo(json.dumps(head | {"sources": told}, indent=2))
        return
    typer.echo(_title(head))
    table: Table = tables.plain("source", "rows", "title", "address", "licence")
    for one in chosen:
        tables.add(table, "", one.id, str(count[one.id]), one.title, one.url, one.licence)
    tables.show(table)


def _summary(head: dict[str, Any], snapshot: Snapshot, cloud: str | None, region: str | None, as_json: bool) -> None:
    told = []
    for provider in snapshot.providers():
        own = [row for row in snapshot.rows if row.provider == provider and _within(row, cloud, region)]
        gaps = [row for row in snapshot.unpriced if row.provider == provider and _within(row, cloud, region)]
        if not own and not gaps:
            continue
        machines = {row.sku for row in own if row.sku in snapshot.machines}
        told.append(
            {
                "cloud": provider,
                "prices": len(own),
                "machines": len(machines),
                "regions": len({row.region for row in own} - {"*"}),
                "other_things": len({row.sku for row in own} - machines),
                "flagged": sum(bool(row.flags) for row in own),
                "unpriced": len(gaps),
                "seen": _days(own) if own else "-",
            }
        )
    if as_json:
        typer.echo(json.dumps(head | {"note": snapshot.note, "clouds": told}, indent=2))
        return
    typer.echo(_title(head))
    table = tables.plain("cloud", "prices", "machines", "regions", "other things", "flagged", "unpriced", "seen")
    for one in told:
        tables.add(table, "", *(str(value) for value in one.values()))
    tables.show(table)
    typer.echo("`--machine p5.48xlarge`, `--gpu H100`, `--sku nat.hour`, `--unpriced` and `--sources` show more.")
