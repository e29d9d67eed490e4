"""`spillway cost refresh`: a new snapshot of prices, from a cloud's own price list.

Answers are kept until the snapshot is written, so that a refresh that broke off goes on where it was.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date as Date
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from cost.money import quantised
from cost.prices.snapshot import FOLDER, OUTLIER, SOLD_OUT, Price
from cost.refresh import work
from cost.refresh.merge import Change, merged
from infra import catalog
from infra.faults import did_you_mean, listed
from spillway import tables
from spillway.errors import SpillwayError

app = typer.Typer(no_args_is_help=True)
SHOWN: Final = 20
"""Changed prices in the table; `--json` has all."""

Regions = Annotated[
    list[str] | None,
    typer.Option("--region", help="Only this region; may be given again. Unless given, all known ones."),
]
Machines = Annotated[
    list[str] | None, typer.Option("--machine", help="Only this machine type; may be given again. Unless given, all.")
]
Day = Annotated[str | None, typer.Option("--date", help="Day of the new snapshot; today unless given.")]
Out = Annotated[Path, typer.Option("--out", help="Folder of the snapshots.")]
Again = Annotated[
    bool, typer.Option("--again", help="Ask for everything anew, also for what an attempt of the day has.")
]
AsJson = Annotated[bool, typer.Option("--json", help="JSON for programs; money as text.")]


@dataclass(frozen=True, slots=True)
class Run:
    """What all refreshes have in common."""

    day: Date
    out: Path
    again: bool
    as_json: bool


@app.callback()
def refresh() -> None:
    """A new snapshot of prices. Rows of the last one that are not asked for anew stay, with their own days."""


@app.command()
def aws(
    region: Regions = None, machine: Machines = None, day: Day = None, out: Out = FOLDER, again: Again = False,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """The Price List Query API and the spot price history; with the credentials that boto3 finds."""
    from cost.refresh.aws import Aws

    _go(Aws(_machines("aws", machine), _regions("aws", region)), Run(_day(day), out, again, as_json))


@app.command()
def azure(
    region: Regions = None, machine: Machines = None, day: Day = None, out: Out = FOLDER, again: Again = False,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """The Retail Prices API; without an account."""
    from cost.refresh.azure import Azure

    _go(Azure(_machines("azure", machine), _regions("azure", region)), Run(_day(day), out, again, as_json))


@app.command()
def gcp(
    region: Regions = None, machine: Machines = None, day: Day = None, out: Out = FOLDER, again: Again = False,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """The Cloud Billing Catalog; with an API key in GOOGLE_API_KEY."""
    from cost.refresh.gcp import KEY, Gcp

    found = [catalog.machine(name) for name in _machines("gcp", machine)]
    _go(Gcp(found, _regions("gcp", region), os.environ.get(KEY)), Run(_day(day), out, again, as_json))


@app.command()
def tencent(
    image: Annotated[str, typer.Option(help="Any image that the account may start; its price is not asked for.")],
    region: Regions = None, machine: Machines = None, day: Day = None, out: Out = FOLDER, again: Again = False,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Machines by inquiry; with keys in TENCENTCLOUD_SECRET_ID and TENCENTCLOUD_SECRET_KEY."""
    from cost.refresh.tencent import Tencent

    names = _machines("tencent", machine)
    zones = {
        place: tuple(sorted({zone for name in names for zone in catalog.zones(name, place)}))
        for place in _regions("tencent", region)
    }
    _go(Tencent(names, zones, image), Run(_day(day), out, again, as_json))


@app.command()
def api(
    provider: Annotated[
        list[str] | None, typer.Option("--provider", help="Only this provider's models; may be given again.")
    ] = None,
    newest: Annotated[
        bool, typer.Option("--newest", help="What the repository of genai-prices has now, not the installed package.")
    ] = False,
    day: Day = None, out: Out = FOLDER, again: Again = False, as_json: AsJson = False,
) -> None:  # fmt: skip
    """Prices per million tokens, as genai-prices has them."""
    from cost.refresh.api import PROVIDERS, Api

    run = Run(_day(day), out, again, as_json)
    _go(Api(tuple(dict.fromkeys(provider or PROVIDERS)), run.day, newest=newest), run)


def _go(refresher: work.Refresher, run: Run) -> None:
    kept = work.Kept(work.cache_folder() / refresher.name / run.day.isoformat())
    if run.again:
        kept.clear()
    answers = work.gather(refresher, kept, progress=not run.as_json)
    found = refresher.found(answers, run.day)
    change = merged(refresher, found, run.day, run.out)
    kept.clear()
    if run.as_json:
        typer.echo(json.dumps(_json(refresher.name, change, found), indent=2))
        return
    _tell(change, found)


def _json(name: str, change: Change, found: work.Found) -> dict[str, Any]:
    return {
        "provider": name, "snapshot": change.snapshot.id, "path": str(change.snapshot.path), "added": change.added,
        "gone": change.gone, "same": change.same,
        "changed": [
            {"region": now.region, "zone": now.zone, "sku": now.sku, "market": now.market, "before": str(before.usd),
             "now": str(now.usd), "observed_before": before.observed.isoformat()}
            for before, now in change.changed
        ],
        "left_out": dict(found.left_out), "unpriced": len(found.unpriced),
    }  # fmt: skip


def _tell(change: Change, found: work.Found) -> None:
    typer.echo(
        f"Snapshot {change.snapshot.id} in {change.snapshot.path}: {change.added:,} prices more, {change.gone:,} gone, "
        f"{len(change.changed):,} changed, {change.same:,} the same"
    )
    if change.changed:
        table = tables.plain("cloud", "region", "what", "market", "before", "now", "change")
        for before, now in sorted(change.changed, key=lambda pair: -_share(*pair))[:SHOWN]:
            tables.add(
                table, "", now.provider, now.zone or now.region, now.sku, now.market, f"{before.usd:f}", f"{now.usd:f}",
                f"{(now.usd / before.usd - 1) * 100:+.1f}%" if before.usd else "was free of charge",
            )  # fmt: skip
        tables.show(table)
        if len(change.changed) > SHOWN:
            typer.echo(f"  and {len(change.changed) - SHOWN:,} smaller changes")
    keys = {(row.provider, row.region, row.zone, row.sku, row.market) for rows in found.rows.values() for row in rows}
    flagged = [row for row in change.snapshot.rows if (row.provider, row.region, row.zone, row.sku, row.market) in keys]
    for kind, told in ((SOLD_OUT, "zones are sold out"), (OUTLIER, "prices are far off those of other regions")):
        if count := sum(row.flagged(kind) is not None for row in flagged):
            typer.echo(f"  {count:,} {told}")
    for why, count in sorted(found.left_out.items()):
        typer.echo(f"  left out: {count:,} of {why}")
    if found.unpriced:
        typer.echo(f"  unpriced: {len(found.unpriced):,}; `spillway cost prices --unpriced` tells why")


def _share(before: Price, now: Price) -> float:
    """How large a change is, for sorting."""
    return float(abs(quantised((now.usd - before.usd) / before.usd, 6))) if before.usd else float("inf")


def _machines(cloud: str, given: Sequence[str] | None) -> list[str]:
    known = [machine.name for machine in catalog.machines(cloud)]
    for name in given or ():
        if name not in known:
            raise SpillwayError(
                f"--machine {name}: no machine type of {cloud} in the catalog{did_you_mean(name, known)}"
            )
    return list(dict.fromkeys(given or known))


def _regions(cloud: str, given: Sequence[str] | None) -> list[str]:
    known = catalog.regions(cloud)
    for name in given or ():
        if name not in known:
            raise SpillwayError(
                f"--region {name}: unknown{did_you_mean(name, known)}; known are {listed(known, 'and')}"
            )
    return list(dict.fromkeys(given or known))


def _day(text: str | None) -> Date:
    if text is None:
        return Date.today()
    try:
        return Date.fromisoformat(text)
    except ValueError:
        raise SpillwayError(f"--date {text}: no day such as 2026-11-26") from None
