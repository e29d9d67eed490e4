"""Tables, JSON and progress of `spillway models`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

import typer

from spillway import tables
from spillway.models.revisions import KEPT

if TYPE_CHECKING:
    from spillway.models.work import Listed, Put, Verified

_UNITS: Final = ("B", "kB", "MB", "GB", "TB")

Report = Callable[[str, int], None]


def size(count: int) -> str:
    """Bytes for people, in powers of 1000 as clouds bill them: `141.1 GB`."""
    value, unit = float(count), 0
    while value >= 999.95 and unit < len(_UNITS) - 1:
        value, unit = value / 1000, unit + 1
    return f"{count} B" if unit == 0 else f"{value:.1f} {_UNITS[unit]}"


@contextmanager
def progress(doing: str, totals: Mapping[str, int], quiet: bool = False) -> Iterator[Report]:
    """One bar per name, on standard error, when that is a terminal. totals: bytes by name."""
    from rich.console import Console

    console = Console(stderr=True)
    if quiet or not console.is_terminal or not totals:
        yield lambda name, count: None
        return
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    columns = (
        TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn()
    )  # fmt: skip
    with Progress(*columns, console=console, transient=True) as bars:
        tasks = {name: bars.add_task(f"{doing} {name}", total=total) for name, total in totals.items()}
        lock = Lock()

        def report(name: str, count: int) -> None:
            with lock:
                bars.advance(tasks[name], count)

        yield report


def puts(found: Sequence[Put], told: Mapping[str, Any], as_json: bool) -> None:
    """What became of a push or sync."""
    ok = all(one.ok for one in found)
    if as_json:
        typer.echo(json.dumps({**told, "ok": ok, "regions": [one.describe() for one in found]}, indent=2))
        return
    typer.echo(f"{told['model']} {told['revision']}: {told['files']} files, {size(told['bytes'])}")
    for one in found:
        if one.skipped:
            typer.echo(f"spillway: {one.stack} is skipped: {one.detail}", err=True)
    found = [one for one in found if not one.skipped]
    table = tables.plain("stack", "state", "sent", "bucket", "")
    for one in found:
        sent = f"{one.files} files, {size(one.bytes)}" if one.bytes or one.files else "-"
        tables.add(table, one.state, one.stack, one.state, sent, one.where or "-", one.detail)
    if found:
        tables.show(table)
    for one in found:
        if one.pruned:
            typer.echo(f"{one.stack}: deleted {', '.join(one.pruned)}")
        elif one.old:
            typer.echo(
                f"{one.stack}: older than the last {KEPT} and named by no stack file: {', '.join(one.old)}; "
                "--prune deletes them"
            )
    for again, later in ((True, "the same command goes on where it left off"), (False, "say another --revision")):
        stacks = ", ".join(one.stack for one in found if not one.ok and one.again == again)
        if stacks:
            typer.echo(f"not everywhere: {stacks} failed; {later}")


def listing(found: Sequence[Listed], model: str | None, sandbox: bool, as_json: bool) -> None:
    """The revisions of every region. model: the only one that was asked for."""
    if as_json:
        body = {
            "sandbox": sandbox,
            "ok": not any(one.failed for one in found),
            "regions": [r.describe() for r in found],
        }
        typer.echo(json.dumps(body, indent=2))
        return
    table = tables.plain("stack", "model", "revision", "state", "files", "size", "pushed", "")
    for region in found:
        if region.error:
            state = "failed" if region.failed else "no bucket"
            tables.add(table, state, region.stack, region.model, region.named, state, "-", "-", "-", region.error)
            continue
        for one in region.revisions:
            served = (one.model, one.revision) == (region.model, region.named)
            state = "served" if served and one.state == "complete" else one.state
            note = one.fault or ("" if not served or state == "served" else "the stack file names it")
            tables.add(
                table, state, region.stack, one.model, one.revision, state, str(one.objects), size(one.bytes),
                f"{one.created:%Y-%m-%d}", note,
            )  # fmt: skip
        asked = model in (None, region.model)
        if asked and not any((one.model, one.revision) == (region.model, region.named) for one in region.revisions):
            note = "the stack file names it: nodes stay unready until it is pushed"
            tables.add(table, "not there", region.stack, region.model, region.named, "not there", "-", "-", "-", note)
    tables.show(table)


def verified(found: Sequence[Verified], told: Mapping[str, Any], as_json: bool) -> None:
    """Whether every copy is what its manifest says."""
    ok = all(one.ok for one in found)
    if as_json:
        typer.echo(json.dumps({**told, "ok": ok, "regions": [one.describe() for one in found]}, indent=2))
        return
    table = tables.plain("stack", "model", "revision", "state", "files", "size", "bucket")
    for one in found:
        state = ("noted" if told["quick"] else "verified") if one.ok else "wrong"
        read = (str(one.files), size(one.bytes)) if one.files else ("-", "-")
        tables.add(table, state, one.stack, one.model, one.revision, state, *read, one.where or "-")
    tables.show(table)
    for one in found:
        for fault in one.faults[:20]:
            typer.echo(f"{one.stack}: {fault}")
        if len(one.faults) > 20:
            typer.echo(f"{one.stack}: ... and {len(one.faults) - 20} more")


def switched(model: str, changes: Mapping[str, str], to: str, dry_run: bool, sandbox: bool, as_json: bool) -> None:
    """What stack files name now, and what has to follow. changes: stack -> the revision before."""
    up = "spillway sandbox run -- pulumi up --stack" if sandbox else "pulumi up --stack"
    if as_json:
        body = {
            "model": model,
            "to": to,
            "dryRun": dry_run,
            "stacks": [{"stack": stack, "from": before, "next": f"{up} {stack}"} for stack, before in changes.items()],
        }
        typer.echo(json.dumps(body, indent=2))
        return
    for stack, before in changes.items():
        would = "would name" if dry_run else "names"
        typer.echo(f"stacks/Pulumi.{stack}.yaml: {would} {model} {to}" + ("" if before == to else f", not {before}"))
    if not dry_run:
        typer.echo("then, region by region; nodes take it as they are replaced:")
        for stack in changes:
            typer.echo(f"  {up} {stack}")
