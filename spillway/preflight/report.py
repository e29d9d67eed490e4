"""What a preflight found, for people and for programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from spillway.preflight.model import SEVERITY, Row, State, count

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_STYLE: Final[dict[State, str]] = {
    "failure": "bold red",
    "unknown": "magenta",
    "warning": "yellow",
    "note": "cyan",
    "ok": "green",
}


@dataclass(frozen=True, slots=True)
class Report:
    """All rows of one stack, or, where nothing could be asked, `error`: why, one line each (for standard error)."""

    stack: str
    rows: tuple[Row, ...] = ()
    error: tuple[str, ...] = ()
    sandbox: bool = False

    @property
    def ready(self) -> bool:
        """Whether neither `up` nor the fallback is known to fail."""
        return not self.error and not any(row.state == "failure" for row in self.rows)

    def ordered(self) -> list[Row]:
        """Most urgent first; within one state as they were asked."""
        return sorted(self.rows, key=lambda row: SEVERITY.index(row.state))

    def describe(self) -> dict[str, Any]:
        """For `--json`; docs/preflight.md has the shape."""
        counts = Counter(row.state for row in self.rows)
        return {
            "stack": self.stack,
            "sandbox": self.sandbox,
            "ready": self.ready,
            "counts": {state: counts[state] for state in SEVERITY},
            "rows": [row.describe() for row in self.ordered()],
            "error": list(self.error),
        }

    def verdict(self) -> str:
        """One line."""
        if self.error:
            return f"{self.stack}: not checked"
        counts = Counter(row.state for row in self.rows)
        told = [count(counts[state], noun) for state, noun in _NOUNS if counts[state]]
        if not self.ready:
            what = "`up` or the fallback would fail"
        elif counts["unknown"]:
            what = "nothing known speaks against `up`"
        else:
            what = "ready for `up`"
        return f"{self.stack}: {what}" + (f" ({', '.join(told)})" if told else "")

    def print(self, console: Console) -> None:
        """The table, what to do about it (whole lines, to be copied), and the verdict."""
        if self.rows:
            table = self._table()
            if not console.is_terminal:  # nobody scrolls in a pipe, and nothing may be cut there
                from rich.measure import Measurement

                wide = Measurement.get(console, console.options.update(max_width=10_000), table).maximum
                console.width = max(console.width, wide)
            console.print(table, highlight=False)
            self._print_advice(console)
        console.print(self.verdict(), highlight=False, markup=False, soft_wrap=True)

    def _table(self) -> Table:
        from rich.table import Table
        from rich.text import Text

        where = " (sandbox)" if self.sandbox else ""
        table = Table(box=None, pad_edge=False, title=f"{self.stack}{where}", title_justify="left")
        for heading in ("state", "check", "found", "needed", "request"):
            table.add_column(heading, overflow="fold")
        for row in self.ordered():
            request = f"{row.request.code} = {row.request.value:.10g}" if row.request else ""
            cells = (row.check, row.found, row.needed, request)
            table.add_row(Text(row.state, _STYLE[row.state]), *(Text(cell) for cell in cells))
        return table

    def _print_advice(self, console: Console) -> None:
        """Beside the table, as a command folded into a cell could not be copied."""
        from rich.text import Text

        rows = [row for row in self.ordered() if row.action or row.request]
        if rows:
            console.print()
        for row in rows:
            line = Text.assemble((row.state, _STYLE[row.state]), f"  {row.check}: {row.action or 'raise the quota'}")
            console.print(line, highlight=False, soft_wrap=True)
            if row.request:
                console.print(f"  {row.request.command()}", highlight=False, markup=False, soft_wrap=True)
                console.print(f"  {row.request.console()}", highlight=False, markup=False, soft_wrap=True)
        if rows:
            console.print()


_NOUNS: Final[tuple[tuple[State, str], ...]] = (
    ("failure", "failure"),
    ("unknown", "open question"),
    ("warning", "warning"),
    ("note", "note"),
)


def describe_all(reports: Sequence[Report]) -> dict[str, Any]:
    """For `--all --json`."""
    return {"ready": all(report.ready for report in reports), "stacks": [report.describe() for report in reports]}
