"""The six files of a report, each written as a whole or not at all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from cost.prices.snapshot import Snapshot
from cost.report import document, focus, html, markdown, table
from cost.result import Comparison
from cost.scenario import Scenario
from spillway.errors import SpillwayError
from spillway.outputs import whole

NAMES: Final = ("report.html", "report.xlsx", "report.md", "report.csv", "report.json", "focus.parquet")


def write(
    scenario: Scenario, snapshot: Snapshot, found: Comparison, out: Path, *, version: focus.Version = "1.2",
    earlier: Comparison | None = None, progress: Callable[[str], None] | None = None,
) -> list[Path]:  # fmt: skip
    """Write the files into `out`, which is made where it is missing; their paths. version: of FOCUS.

    earlier: of a report that this one is held against.

    progress: called with a file's name once it stands. The same comparison gives the same bytes. Raises SpillwayError,
    one line, where they cannot be written.
    """
    from cost.report.workbook import write_workbook

    def text(made: Callable[[], str]) -> Callable[[Path], object]:
        return lambda path: path.write_bytes(made().encode())

    writers: dict[str, Callable[[Path], object]] = {
        "report.html": text(lambda: html.page_of(scenario, found, earlier)),
        "report.xlsx": lambda path: write_workbook(scenario, snapshot, found, path),
        "report.md": text(lambda: markdown.text_of(scenario, found, earlier)),
        "report.csv": text(lambda: table.text_of(found)),
        "report.json": text(lambda: document.dumped(scenario, found, earlier)),
        "focus.parquet": lambda path: focus.write_parquet(found, path, version),
    }
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name in NAMES:
            with whole(out / name) as part:
                writers[name](part)
            if progress:
                progress(name)
    except OSError as error:
        raise SpillwayError(f"{error.filename or out}: the report cannot be written: {error.strerror}") from None
    return [out / name for name in NAMES]
