"""`spillway cost plan`: what a plan of `pulumi preview` costs a month, before anything is deployed."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from infra.faults import did_you_mean
from spillway.errors import SpillwayError
from spillway.options import Json

if TYPE_CHECKING:
    from cost.plan.guards import Crossed
    from cost.plan.preview import Preview
    from cost.plan.pricing import PlanCost

_GUARD = "Guard-rails"


def plan(
    preview: Annotated[
        list[Path],
        typer.Option(help="Output of `pulumi preview --json --show-sames`; one for each stack."),
    ],
    base: Annotated[
        list[Path] | None,
        typer.Option(help="The same of what it is compared with; left out: what is deployed."),
    ] = None,
    use: Annotated[Path | None, typer.Option(help="What depends on use: bytes, requests, logs (YAML).")] = None,
    prices: Annotated[str | None, typer.Option(help="Date of the price snapshot; the latest when left out.")] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown instead of a table.")] = False,
    json_: Json = False,
    max_delta: Annotated[
        float | None, typer.Option(min=0, help="USD a month that it may rise by.", rich_help_panel=_GUARD)
    ] = None,
    max_delta_percent: Annotated[
        float | None, typer.Option(min=0, help="The same in percent.", rich_help_panel=_GUARD)
    ] = None,
    budget: Annotated[
        float | None, typer.Option(min=0, help="USD a month that all stacks may cost.", rich_help_panel=_GUARD)
    ] = None,
    stack_budgets: Annotated[
        bool,
        typer.Option("--stack-budgets", help="Hold each to its stack file's budget.", rich_help_panel=_GUARD),
    ] = False,
    max_unpriced: Annotated[
        int | None, typer.Option(min=0, help="Things that may be without a price.", rich_help_panel=_GUARD)
    ] = None,
    max_age: Annotated[
        int | None, typer.Option(min=0, help="Days that prices may be old.", rich_help_panel=_GUARD)
    ] = None,
) -> None:
    """What a plan costs a month, and by how much that changes.

    Steady state, worst case (all on demand) and ceiling (scaled to the maximum). What has no price is listed and in no
    sum. Exit code 10 when the change is above --max-delta, 11 above --max-delta-percent, 12 above a budget, 13 when
    more than --max-unpriced things have no price, 14 when prices are older than --max-age; the first of them.
    """
    from cost.plan import preview as plans
    from cost.plan import use as usage
    from cost.plan.guards import EXIT, Guards, crossed
    from cost.plan.pricing import price_plan
    from cost.plan.telling import as_json, as_markdown
    from cost.prices.snapshot import STALE_DAYS, Snapshot

    if markdown and json_:
        raise typer.BadParameter("not together with --json", param_hint="--markdown")
    read = _by_stack([plans.read(path) for path in preview], "--preview")
    against = _by_stack([plans.read(path) for path in base or ()], "--base")
    for stack in against:
        if stack not in read:
            raise SpillwayError(f"{against[stack].file}: stack {stack} is in no --preview; there are {', '.join(read)}")
    told = usage.read(use) if use else usage.UseFile.model_validate({})
    for stack in told.stacks:
        if stack not in read:  # one file may serve several commands, so it is no fault
            typer.echo(f"note: {use}: stacks.{stack}: is in no --preview and counts for nothing", err=True)
    for name in sorted(told.stacks.keys() - read.keys()):
        typer.echo(f"{use}: stacks.{name}: no --preview is of this stack{did_you_mean(name, read)}", err=True)
    snapshot = Snapshot.load(prices)
    today = datetime.now(UTC).date()
    found = [
        price_plan(
            one, snapshot, today, base=against.get(stack), use=told.of(stack),
            stale_days=STALE_DAYS if max_age is None else max_age,
        )
        for stack, one in sorted(read.items())
    ]  # fmt: skip
    guards = Guards(
        _decimal(max_delta), _decimal(max_delta_percent), _decimal(budget), stack_budgets, max_unpriced,
        max_age is not None,
    )  # fmt: skip
    over = crossed(found, guards)
    if json_:
        import json

        sys.stdout.write(json.dumps(as_json(found, over), indent=2) + "\n")
    elif markdown:
        sys.stdout.write(as_markdown(found, over))
    else:
        _show(found, over)
    if over:
        raise typer.Exit(EXIT[over[0].guard])


def _by_stack(found: Sequence[Preview], option: str) -> dict[str, Preview]:
    named: dict[str, Preview] = {}
    for one in found:
        if one.stack in named:
            raise SpillwayError(f"{one.file}: stack {one.stack} is in {named[one.stack].file} already ({option})")
        named[one.stack] = one
    return named


def _decimal(value: float | None) -> Decimal | None:
    return None if value is None else Decimal(str(value))


def _show(found: Sequence[PlanCost], over: Sequence[Crossed]) -> None:
    """One table of stacks, and what is to be known beside it."""
    from rich.console import Console

    from cost.plan.pricing import total
    from cost.plan.telling import money, old_words
    from spillway.tables import add, plain, show

    table = plain("stack", "USD a month", "change", "low", "high", "worst case", "ceiling", "budget", "no price")
    sums = [("", plan.stack, plan.after, plan.delta, plan.budget, len(plan.unpriced)) for plan in found]
    if len(found) > 1:
        after, delta = total([plan.after for plan in found]), total([plan.delta for plan in found])
        sums.append(("", "together", after, delta, None, sum(len(plan.unpriced) for plan in found)))
    for state, name, amounts, change, budget, gaps in sums:
        add(
            table, state, name, money(amounts.steady), money(change.steady, signed=True), money(amounts.low),
            money(amounts.high), money(amounts.worst), money(amounts.ceiling), "" if budget is None else money(budget),
            str(gaps) if gaps else "",
        )  # fmt: skip
    show(table)
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    for plan in found:
        for one in plan.unpriced:
            what = f", {one.what}" if one.what else ""
            console.print(f"  no price: {one.resource}{what}: {one.reason}", markup=False)
    first = found[0]
    age = f", {first.age} days old" + (" (older than it should be)" if first.stale else "")
    console.print(f"Prices: snapshot {first.snapshot}{age}. Steady, 730 hours, list prices without tax.", markup=False)
    if aged := old_words(found):
        console.print(f"{aged}.", style="yellow", markup=False)
    for guard in over:
        console.print(f"{guard.guard}: {guard.words}", style="bold red", markup=False)
