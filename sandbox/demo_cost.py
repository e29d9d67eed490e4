"""What the demo's stacks would cost on the real clouds: their plans at dated list prices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from rich.console import Console
from rich.table import Table

from sandbox.project import Project, pulumi_command


def present(console: Console, project: Project, environment: Mapping[str, str], stacks: Sequence[str]) -> None:
    """A row for each stack: a month as planned, the range of spot prices, without any spot. Raises SpillwayError."""
    from cost.money import CURRENCY
    from cost.plan.pricing import PlanCost, price_plan, total
    from cost.plan.telling import money, old_words
    from cost.prices.snapshot import Snapshot
    from spillway.errors import SpillwayError
    from spillway.preview.runs import command, preview_all, workers

    def run(stack: str, arguments: Sequence[str]) -> tuple[int, str, str]:
        return command(pulumi_command(arguments, project), environment)

    snapshot, today = Snapshot.load(), datetime.now(UTC).date()
    found: list[PlanCost] = []
    for one in preview_all(stacks, run, workers()):
        if one.plan is None:
            raise SpillwayError(*(f"{one.stack}: {line}" for line in one.errors))
        found.append(price_plan(one.plan, snapshot, today))
    console.print(f"\n[bold]What it would cost[/bold] [dim]({CURRENCY} a month, list prices, {snapshot.id})[/dim]")
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("stack", "as planned", "spot at its lowest", "at its dearest", "no spot at all", "without a price"):
        table.add_column(column, justify="left" if column == "stack" else "right", no_wrap=column == "stack")
    rows = [(plan.stack, plan.after, len(plan.unpriced)) for plan in found]
    rows.append(("together", total([plan.after for plan in found]), sum(len(plan.unpriced) for plan in found)))
    for name, sums, gaps in rows:
        table.add_row(
            name,
            *(money(one) for one in (sums.steady, sums.low, sums.high, sums.worst)),
            f"{gaps} things" if gaps else "",
        )
    console.print(table)
    if aged := old_words(found):
        console.print(f"[dim]{aged}.[/dim]")
