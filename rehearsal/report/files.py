"""The three files of a report, each written as a whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from rehearsal.report import document, html, markdown
from rehearsal.result import Rehearsal
from spillway.errors import SpillwayError

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
            path = out / name
            part = path.with_name(f".{name}.part")
            part.write_text(text, encoding="utf-8")
            os.replace(part, path)  # noqa: PTH105 - over what an earlier rehearsal left
            found.append(path)
    except OSError as error:
        raise SpillwayError(f"{error.filename or out}: the report cannot be written: {error.strerror}") from None
    return found
