"""What a preflight found, for people and for programs."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from spillway.preflight.model import SEVERITY, Row, State, count

if TYPE_CHECKING:
    from rich.console import Console

PIPED: Final = 120
"""Columns where nobody says how many there are."""
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
    skipped: str = ""
    """Why nothing was asked though nothing is wrong: a cloud that preflight does not cover. One line."""

    @property
    def ready(self) -> bool:
        """Whether neither `up` nor the fallback is known to fail."""
        return not self.error and not self.skipped and not any(row.state == "failure" for row in self.rows)

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
            "skipped": self.skipped,
        }

    def verdict(self) -> str:
        """One line."""
        if self.error:
            return f"{self.stack}: not checked"
        if self.skipped:
            return f"{self.stack}: skipped: {self.skipped}"
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
            self._print_table(console)
            self._print_advice(console)
            console.print()
        console.print(self.verdict(), highlight=False, markup=False, soft_wrap=True)

    def _print_table(self, console: Console) -> None:
        """What fits its width; quotas to request stand below, where they can be copied."""
        from rich.text import Text

        from spillway.preflight.table import rendered

        rows = self.ordered()
        cells = [["state", "check", "found", "needed"], *([r.state, r.check, r.found, r.needed] for r in rows)]
        if not any(row.needed for row in rows):
            cells = [row[:3] for row in cells]
        where = " (sandbox)" if self.sandbox else ""
        heading, *lines = rendered(cells, console.width)
        console.print(Text(f"{self.stack}{where}", "bold"), soft_wrap=True)
        console.print(Text(heading, "bold"), soft_wrap=True)
        for line in lines:
            text = Text(line)
            state = line.partition(" ")[0]
            for known, style in _STYLE.items():
                if state == known:
                    text.stylize(style, 0, len(state))
            console.print(text, soft_wrap=True)

    def _print_advice(self, console: Console) -> None:
        """Beside the table, as a command folded into a cell could not be copied."""
        from rich.text import Text

        rows = [row for row in self.ordered() if row.action or row.request]
        if rows:
            console.print()
        for row in rows:
            line = Text.assemble((row.state, _STYLE[row.state]), f"  {row.check}: {row.action or 'raise the quota'}")
            console.print(line, highlight=False, soft_wrap=True)
            for command in row.commands:
                console.print(f"  {command}", highlight=False, markup=False, soft_wrap=True)
            if row.request:
                console.print(f"  {row.request.command()}", highlight=False, markup=False, soft_wrap=True)
                console.print(f"  {row.request.console()}", highlight=False, markup=False, soft_wrap=True)


def width_of(console: Console) -> int:
    """Columns to print in: the terminal's; in a pipe what COLUMNS says, or 120."""
    if console.is_terminal:
        return console.width
    told = os.environ.get("COLUMNS", "")
    return int(told) if told.isascii() and told.isdigit() and int(told) > 0 else PIPED


_NOUNS: Final[tuple[tuple[State, str], ...]] = (
    ("failure", "failure"),
    ("unknown", "open question"),
    ("warning", "warning"),
    ("note", "note"),
)


def all_ready(reports: Sequence[Report]) -> bool:
    """Whether all that could be asked are ready."""
    return all(report.ready or report.skipped for report in reports)


def describe_all(reports: Sequence[Report]) -> dict[str, Any]:
    """For `--all --json`."""
    return {"ready": all_ready(reports), "stacks": [report.describe() for report in reports]}
