"""`spillway preview`: what a change would do to every stack that it touches, what it costs, and what it risks."""

from __future__ import annotations

import json
import os
import sys
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spillway.errors import SpillwayError
from spillway.options import Json
from spillway.outputs import foreseen

if TYPE_CHECKING:
    from spillway.preview.document import Document
    from spillway.preview.facts import Judge


class Place(StrEnum):
    sandbox = "sandbox"
    account = "account"


def command(
    stack: Annotated[
        list[str] | None, typer.Argument(help="Stacks to preview; left out: those that the change touches.")
    ] = None,
    base: Annotated[
        str | None, typer.Option(help="Branch or commit to compare with; left out: what is deployed.")
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="Every stack, touched or not.")] = False,
    on: Annotated[
        Place | None,
        typer.Option(help="Stand-in clouds, or the accounts of this shell (only read). By the login when left out."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for comment.md, preview.json and preview.html.")] = None,
    at_once: Annotated[int | None, typer.Option(min=1, max=32, help="Previews side by side.")] = None,
    refresh: Annotated[
        bool, typer.Option("--refresh", help="Look at what the clouds hold first: drift counts.")
    ] = False,
    fleet_budget: Annotated[float | None, typer.Option(min=0, help="USD a month that all stacks may cost.")] = None,
    use: Annotated[Path | None, typer.Option(help="What depends on use: bytes, requests, logs (YAML).")] = None,
    prices: Annotated[str | None, typer.Option(help="Date of the price snapshot; the latest when left out.")] = None,
    no_policy: Annotated[bool, typer.Option("--no-policy", help="Leave the policy pack out.")] = False,
    exit_zero: Annotated[bool, typer.Option("--exit-zero", help="Exit with 0 whatever was found.")] = False,
    json_: Json = False,
) -> None:
    """What a change would do, cost and risk: one row for each stack, details below.

    Compared with a branch, the base is first deployed on stand-in clouds, or previewed on the accounts. Exit code 1
    when a stack cannot be previewed, the engine refuses it, or a mandatory policy or the fleet's budget is broken.
    """
    from rich.console import Console

    from cost.plan import use as usage
    from cost.prices.snapshot import Snapshot
    from spillway.preview.markdown import as_markdown
    from spillway.preview.review import Wanted, review
    from spillway.preview.runs import workers
    from spillway.preview.secrets import Masker
    from spillway.preview.sheet import as_json, as_page

    if stack and all_:
        raise typer.BadParameter("not together with names of stacks", param_hint="--all")
    if base is not None and not base.strip():  # a variable of a pipeline that is not set
        raise typer.BadParameter("is empty; name a branch or commit, or leave it out", param_hint="--base")
    if out is not None:
        foreseen("--out", out)
    told = usage.read(use) if use else usage.UseFile.model_validate({})
    snapshot = Snapshot.load(prices)
    place = on or _place()
    console = Console(stderr=True, highlight=False)
    wanted = Wanted(
        root=_root(), where=place.value, stacks=tuple(stack or ()), base=base, at_once=workers(at_once),
        refresh=refresh, budget=None if fleet_budget is None else Decimal(str(fleet_budget)), use=told.of, all=all_,
    )  # fmt: skip
    masker = Masker.of()
    with console.status("Looking at what changes") as status:
        found = review(
            wanted, snapshot, datetime.now(UTC).date(), masker, None if no_policy else _judge(), status.update
        )
    # Values are masked where they are taken in; whatever way a key found into a text beside them, it ends here.
    text, data = masker.text(as_markdown(found)), masker.text(json.dumps(as_json(found), indent=2) + "\n")
    if out is not None:
        _write(out, text, data, masker.text(as_page(found)))
    if json_:
        sys.stdout.write(data)
    elif out is None:
        sys.stdout.write(text)
    else:
        _show(found, out)
    if found.failed and not exit_zero:
        raise typer.Exit(1)


def _root() -> Path:
    """The checkout that the command stands in. Raises SpillwayError."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "Pulumi.yaml").is_file() and (folder / "stacks").is_dir():
            return folder
    raise SpillwayError(f"{here}: is in no checkout with Pulumi.yaml and stacks/")


def _place() -> Place:
    """The accounts where a Pulumi backend is chosen; stand-in clouds otherwise."""
    chosen = os.environ.get("PULUMI_BACKEND_URL") or os.environ.get("PULUMI_ACCESS_TOKEN")
    return Place.account if chosen else Place.sandbox


def _judge() -> Judge:
    import policy

    judge: Judge = policy.check
    return judge


def _write(out: Path, markdown: str, data: str, sheet: str) -> None:
    from spillway.outputs import whole

    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, content in (("comment.md", markdown), ("preview.json", data), ("preview.html", sheet)):
            with whole(out / name) as part:
                part.write_text(content)
    except OSError as error:
        raise SpillwayError(f"--out {out}: cannot be written: {error.strerror}") from None


def _show(found: Document, out: Path) -> None:
    """A line for each stack, where the document went to files."""
    from cost.plan.telling import money
    from spillway.tables import add, plain, show

    table = plain("stack", "create", "update", "replace", "delete", "USD a month", "change", "policy")
    for row in found.rows:
        if row.cost is None:
            add(table, "failed", row.stack, "", "", "", "", "", "", "failed")
            continue
        counts = [str(row.counts.get(op) or "") for op in ("create", "update", "replace", "delete")]
        verdict = "not asked" if row.violations is None else "wrong" if row.blocked else "passed"
        add(
            table, verdict, row.stack, *counts, f"{money(row.cost.after.steady)} {row.lacking}".strip(),
            money(row.cost.delta.steady, signed=True), verdict,
        )  # fmt: skip
    show(table)
    for row in found.rows:
        for line in row.errors[:1]:
            sys.stderr.write(f"{row.stack}: {line}\n")
    sys.stdout.write(f"{out / 'comment.md'}\n{out / 'preview.json'}\n{out / 'preview.html'}\n")
