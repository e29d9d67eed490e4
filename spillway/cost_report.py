"""`spillway cost report`: a scenario, priced and compared, as files for who decides and who checks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from infra.faults import listed
from spillway.errors import SpillwayError, WrongUsage
from spillway.options import Json
from spillway.outputs import foreseen

if TYPE_CHECKING:
    from cost.report.told import Told
    from cost.result import Comparison

OUT: Final = Path("build/cost")


def report(
    scenario: Annotated[str, typer.Option("--scenario", help="A shipped scenario, or a YAML file.")],
    out: Annotated[Path | None, typer.Option(help="Folder for the six files. Left out: build/cost/<scenario>.")] = None,
    prices: Annotated[
        str | None, typer.Option("--prices", help="Of the snapshot of prices of this date; the latest unless given.")
    ] = None,
    draws: Annotated[
        int | None,
        typer.Option(min=0, max=1_000_000, help="Of the Monte Carlo; 0: none. Left out: the scenario's."),
    ] = None,
    focus: Annotated[str, typer.Option("--focus", help="Version of FOCUS of focus.parquet: 1.2 or 1.4.")] = "1.2",
    against: Annotated[
        Path | None, typer.Option(help="report.json of an earlier report of the scenario: tells what changed.")
    ] = None,
    json_: Json = False,
) -> None:
    """What a workload costs through an API, on own hardware and in each cloud; where that changes, and how sure it is.

    Writes report.html (one file, no network), report.xlsx (recomputes when an input is changed), report.md, report.csv,
    report.json and focus.parquet. Nothing is asked of a cloud: prices are those of the snapshot.
    """
    from cost.prices.snapshot import Snapshot
    from cost.report.focus import VERSIONS
    from cost.scenario import find, load

    version = next((one for one in VERSIONS if one == focus), None)
    if version is None:
        raise WrongUsage(f"--focus = {focus!r}: has to be {listed(VERSIONS)}")
    loaded = load(find(scenario))
    where = out or OUT / loaded.name
    foreseen("--out", where)
    snapshot = Snapshot.load(prices)
    from cost.compare import compare
    from cost.report import document, files
    from cost.report.told import Told
    from rehearsal.progress import Bar

    earlier = None if against is None else _earlier(against, loaded.name)
    with Bar("Report", 1 + len(files.NAMES)) as bar:
        found = compare(loaded, snapshot, draws=draws)
        bar.step("comparison")
        paths = files.write(loaded, snapshot, found, where, version=version, earlier=earlier, progress=bar.step)
    if json_:
        typer.echo(document.dumped(loaded, found, earlier).rstrip("\n"))
        return
    tell(Told(loaded, found, earlier))
    typer.echo("")
    for path in paths:
        typer.echo(str(path))


def _earlier(path: Path, scenario: str) -> Comparison:
    from cost.report import document

    found = document.read(path)
    if found.scenario != scenario:
        raise SpillwayError(f"--against {path}: is a report of the scenario {found.scenario}, not of {scenario}")
    return found


def tell(known: Told) -> None:
    """The answer, and the options as a table."""
    from cost.report import answer, words
    from spillway import tables

    found = known.found
    typer.echo(f"{found.title}: {found.shows}")
    typer.echo("")
    for line in answer.sentences(known):
        typer.echo(line)
    typer.echo("")
    table = tables.plain("option", f"{found.currency} a month", "per million tokens", "cash", "wins", "to be known")
    for one in (*known.ranked, *known.out):
        drawn, total = known.drawn.get(one.name), one in known.ranked
        cells = (
            words.figure(one.levelised_month if total else None),
            words.small(one.usd_million if total else None),
            words.figure(one.cash if total else None),
            words.share(drawn.wins if drawn and one in known.serving else None),
        )
        tables.add(table, "", one.title, *cells, answer.state(known, one) or words.NONE)
    tables.show(table)
    typer.echo("")
    for line in answer.caveats(known):
        typer.echo(f"note: {line}")
