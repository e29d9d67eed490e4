"""`spillway cost`: its sub-commands, each imported when it is used. A further one is a line in COMMANDS."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import typer

from spillway.cli import Lazy, LazyGroup

COMMANDS: Final[Mapping[str, Lazy]] = {
    "actuals": Lazy("spillway.cost_actuals:actuals", "A cloud's bill against the estimate, and why they differ."),
    "audit": Lazy("spillway.cost_audit:command", "Published claims about cost, recomputed with today's prices."),
    "plan": Lazy("spillway.cost_plan:plan", "What a plan of `pulumi preview` costs, before anything is deployed."),
    "prices": Lazy("spillway.cost_prices:prices", "Prices of machines and of everything else, side by side."),
    "report": Lazy("spillway.cost_report:report", "What a workload costs each way: a page, a workbook and data."),
    "refresh": Lazy("spillway.cost_refresh:app", "A new snapshot of prices, from a cloud's own price list."),
    "throughput": Lazy("spillway.cost_throughput:command", "Tokens per second of a GPU, as published and as measured."),
}


class CostGroup(LazyGroup):
    """A group whose sub-commands are those of COMMANDS here."""

    @classmethod
    def lazy(cls) -> Mapping[str, Lazy]:
        return COMMANDS


app = typer.Typer(cls=CostGroup, no_args_is_help=True)


@app.callback()
def cost() -> None:
    """What it costs: prices, plans, reports, and how sure they are."""
