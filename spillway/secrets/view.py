"""Tables and JSON of `spillway secrets`. A key that was just made is the only secret that is ever printed, once."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import typer

from spillway import tables
from spillway.secrets.work import SEVERITY, Pushed, Shown

if TYPE_CHECKING:
    from rich.table import Table

TITLES: Final = {"certificate": "certificate", "api-keys": "API keys"}


def results(found: Sequence[Pushed], told: Mapping[str, Any], as_json: bool) -> None:
    """What became of a push; warnings about the certificate on standard error."""
    certificate = told.get("certificate") or {}
    if as_json:
        body = {**told, "ok": all(one.ok for one in found), "regions": [one.describe() for one in found]}
        typer.echo(json.dumps(body, indent=2))
        return
    for text in certificate.get("warnings", []):
        typer.echo(f"spillway: warning: the certificate: {text}", err=True)
    if certificate:
        names = ", ".join(certificate["names"])
        typer.echo(
            f"certificate for {names}, until {certificate['expires'][:10]} ({certificate['daysLeft']} days left)"
        )
    _skipped(found)
    done = [one for one in found if not one.skipped]
    if done:
        tables.show(_pushed_table(done))
    failed = [one for one in found if not one.ok]
    if failed:
        stacks = ", ".join(dict.fromkeys(one.stack for one in failed))
        later = "; the same command goes on where it left off" if all(one.again for one in failed) else ""
        typer.echo(f"not everywhere: {stacks} failed{later}")


def _skipped(found: Sequence[Pushed]) -> None:
    """Says which regions were left out, on standard error, once for each."""
    for stack, why in {one.stack: one.detail for one in found if one.skipped}.items():
        typer.echo(f"spillway: {stack} is skipped: {why}", err=True)


def _pushed_table(found: Sequence[Pushed]) -> Table:
    table = tables.plain("stack", "secret", "state", "name", "")
    for one in found:
        tables.add(table, one.state, one.stack, TITLES[one.kind], one.state, one.name, one.detail)
    return table


def shown(found: Sequence[Shown], sandbox: bool, as_json: bool) -> None:
    """What every region holds, most urgent first."""
    rows = sorted(found, key=lambda one: SEVERITY.index(one.state))
    if as_json:
        ok = all(one.state != "failure" for one in found)
        typer.echo(json.dumps({"sandbox": sandbox, "ok": ok, "secrets": [one.describe() for one in rows]}, indent=2))
        return
    table = tables.plain("state", "stack", "secret", "pushed", "found")
    for one in rows:
        pushed = f"{one.pushed:%Y-%m-%d}" if one.pushed else "-"
        tables.add(table, one.state, one.state, one.stack, TITLES[one.kind], pushed, one.detail)
    tables.show(table)


def key(name: str, limit: int | None, made: str | None, found: Sequence[Pushed], sandbox: bool, as_json: bool) -> None:
    """The key alone on standard output, so that a script can take it; everything else on standard error."""
    if as_json:
        body = {
            "name": name,
            "key": made,
            "sandbox": sandbox,
            "ok": all(one.ok for one in found),
            "regions": [one.describe() for one in found],
        }
        typer.echo(json.dumps(body, indent=2))
        return
    _skipped(found)
    done = [one for one in found if not one.skipped]
    if done:
        tables.show(_pushed_table(done), err=True)
    if made is not None:
        typer.echo(f"the key of {name}; it is kept nowhere and cannot be shown again:", err=True)
        typer.echo(made)
    failed = [one.stack for one in found if not one.ok]
    if failed and made is not None:
        again = " ".join(f"--stack {stack}" for stack in failed)
        option = f" --limit {limit}" if limit is not None else ""
        later = f"spillway secrets key {name}{option} --existing {again}"
        typer.echo(f"not in {', '.join(failed)}: later, with the key on standard input: {later}", err=True)
