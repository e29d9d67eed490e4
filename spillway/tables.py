"""Tables as commands print them: no box, and nothing cut where nobody can scroll."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from rich.table import Table

COLOURS: Final = {
    "damaged": "red", "failed": "red", "failure": "red", "not there": "red", "wrong": "red",
    "incomplete": "yellow", "unknown": "yellow", "warning": "yellow",
    "pushed": "green", "served": "green", "verified": "green",
}  # fmt: skip
"""Of the states in which a command leaves or finds something."""


def plain(*columns: str) -> Table:
    """An empty table of texts that fold."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def add(table: Table, state: str, *cells: str) -> None:
    """A row of cells as they are: rich would read `[0]` as markup. The cell that is the state gets its colour."""
    from rich.text import Text

    table.add_row(*(Text(cell, style=COLOURS.get(state, "") if cell == state else "") for cell in cells))


def show(table: Table, *, err: bool = False) -> None:
    """Print a table; as wide as it wants to be where that is no terminal. err: on standard error."""
    from rich.console import Console
    from rich.measure import Measurement

    console: Console = Console(stderr=err)
    if not console.is_terminal:  # nobody scrolls in a pipe, and nothing may be cut there
        wide = Measurement.get(console, console.options.update(max_width=10_000), table).maximum
        console.width = max(console.width, wide)
    console.print(table)
