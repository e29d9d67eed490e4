"""`spillway cost audit`: the claims that this project started from, held against today's prices."""

from __future__ import annotations

import json
from datetime import date
from typing import Annotated

import typer

from cost.audit import Audited, audit
from cost.prices.snapshot import Snapshot
from spillway import tables


def command(
    day: Annotated[
        str | None, typer.Option("--prices", "--date", help="Of this snapshot of prices; the latest unless given.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON for programs; numbers as text.")] = False,
) -> None:
    """Published claims about what serving a model costs, recomputed: claim, figure, verdict, and why."""
    snapshot = Snapshot.load(day)
    today = date.today()
    found = audit(snapshot, today)
    age, stale = snapshot.age(today), snapshot.stale(today)
    if as_json:
        typer.echo(
            json.dumps(
                {"snapshot": snapshot.id, "ageDays": age, "stale": stale, "claims": [one.as_json() for one in found]},
                indent=2,
            )
        )
        return
    table = tables.plain("claim", "stated", "recomputed", "verdict", "why")
    for one in found:
        tables.add(table, one.verdict, one.claim, _shown(one, stated=True), _shown(one), one.verdict, one.why)
    tables.show(table)
    typer.echo(f"Prices of snapshot {snapshot.id}, {age} days old{', which is more than they should be' * stale}.")


def _shown(one: Audited, *, stated: bool = False) -> str:
    value = one.stated if stated else one.recomputed
    if value is None:
        return "-"
    places = 0 if abs(value) >= 100 or value == value.to_integral_value() else 2
    return f"{value:,.{places}f} {one.unit}"
