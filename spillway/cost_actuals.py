"""`spillway cost actuals`: a cloud's bill against the estimate, by month, and why they differ."""

from __future__ import annotations

import sys
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from spillway.options import Json

if TYPE_CHECKING:
    from cost.actuals import Comparison


CENT: Final = Decimal("0.01")


class Cost(StrEnum):
    effective = "effective"
    billed = "billed"


def actuals(
    focus: Annotated[Path, typer.Option(help="The bill: FOCUS data, Parquet or CSV.")],
    estimate: Annotated[Path, typer.Option(help="The estimate: focus.parquet of `spillway cost report`.")],
    option: Annotated[
        str | None, typer.Option("--option", help="Of the estimate; has to be named when it holds several.")
    ] = None,
    cost: Annotated[
        Cost, typer.Option(help="effective: commitments spread over their term; billed: as invoiced.")
    ] = Cost.effective,
    max_difference_percent: Annotated[
        float | None,
        typer.Option(min=0, help="Exit with 11 when a month is further off than this, or no month is in both."),
    ] = None,
    json_: Json = False,
) -> None:
    """A bill against its estimate, by month: what other prices, other quantities and another mix came to.

    Months that only one of the two has are listed and not compared. Taxes, credits and corrections are told apart.
    """
    from cost.actuals import as_json, compare

    found = compare(focus, estimate, "EffectiveCost" if cost is Cost.effective else "BilledCost", option)
    if json_:
        import json

        sys.stdout.write(json.dumps(as_json(found), indent=2) + "\n")
    else:
        _show(found)
    if max_difference_percent is not None:
        if not found.both:
            raise typer.Exit(11)  # the warning says which months there are: nothing was found to be within the limit
        for month in found.both:
            planned = month.sum("estimate")
            if abs(month.sum("difference")) * 100 > planned * _decimal(max_difference_percent):
                raise typer.Exit(11)


def _decimal(value: float) -> Decimal:
    return Decimal(str(value))


def _show(found: Comparison) -> None:
    from rich.console import Console

    from cost.actuals import FIGURES, reasons
    from cost.plan.telling import money
    from spillway.tables import add, plain, show

    table = plain("month", "what", *(f"{one}" for one in FIGURES))
    for month in found.months:
        if month.missing:
            continue
        signed = [money(month.sum(name), signed=name not in FIGURES[:2]) for name in FIGURES]
        add(table, "", month.month, "all", *signed)
        for one in month.groups:
            what = " ".join(part for part in (one.group.provider, one.group.service, f"({one.group.unit})") if part)
            add(
                table, "", "", what, *(money(getattr(one, name), signed=name not in FIGURES[:2]) for name in FIGURES)
            )  # fmt: skip
    show(table)
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    for month in found.months:
        if month.missing:
            amount = month.sum("actual" if month.missing == "estimate" else "estimate")
            console.print(f"{month.month}: not in the {month.missing}: {money(amount)} {found.currency}", markup=False)
            continue
        name, value = next(iter(reasons(month)))
        if abs(value) >= CENT:
            told = f"{month.month}: mostly {name}, {money(value, signed=True)} {found.currency}"
            console.print(told, markup=False)
        for name, value in sorted(month.other.items()):
            told = f"{month.month}: {name}: {money(value, signed=True)} {found.currency}, which no estimate has"
            console.print(told, markup=False)
    for warning in found.warnings:
        console.print(warning, style="yellow", markup=False)
