"""The three files of a report, each written as a whole or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from rehearsal.report import document, html, markdown
from rehearsal.result import Rehearsal
from spillway.errors import SpillwayError
from spillway.outputs import whole

NAMES: Final = ("report.json", "report.md", "report.html")


def write(rehearsal: Rehearsal, out: Path) -> list[Path]:
    """Write report.json, report.md and report.html into `out`, which is made where it is missing; their paths.

    The same rehearsal gives the same bytes. Raises SpillwayError, one line, where it cannot be written, and ValueError
    for a rehearsal without a variant.
    """
    texts = (document.dumped(rehearsal), markdown.text_of(rehearsal), html.page_of(rehearsal))
    found = []
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, text in zip(NAMES, texts, strict=True):
            with whole(out / name) as part:
                part.write_text(text, encoding="utf-8")
            found.append(out / name)
    except OSError as error:
        raise SpillwayError(f"{error.filename or out}: the report cannot be written: {error.strerror}") from None
    return found
