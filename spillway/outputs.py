"""Files that commands leave: each whole or not at all, and JSON that a person can read too."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from spillway.errors import SpillwayError

WIDE: Final = 120
"""Characters that a value of JSON may take on its line."""


def foreseen(option: str, folder: Path) -> None:
    """Looks whether files can be left in a folder, which need not be there yet, before the work that fills them is
    done: minutes of it would be lost. Makes nothing. Raises SpillwayError."""
    there = folder.absolute()
    while not there.exists() and there != there.parent:
        there = there.parent
    if not there.is_dir():
        raise SpillwayError(f"{option} {folder}: has to be a folder, and {there} is none")
    if not os.access(there, os.W_OK | os.X_OK):
        raise SpillwayError(f"{option} {folder}: {there} cannot be written to")


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A file to write, which stands at `path` once the block ends; where it fails, what was there stays."""
    part = path.with_name(f".{path.name}.part")
    try:
        yield part
        os.replace(part, path)  # noqa: PTH105 - over what an earlier run left
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def compact(value: Any) -> str:
    """JSON indented down to what fits on a line: a row of a series is one line, not one for each number."""
    return "".join(_lines(value, 0)) + "\n"


def _lines(value: Any, depth: int) -> Iterator[str]:
    flat = json.dumps(value, ensure_ascii=False) if _small(value) else None
    if flat is not None and len(flat) + depth <= WIDE:
        yield flat
        return
    inner = " " * (depth + 1)
    if isinstance(value, Mapping):
        yield "{\n"
        for index, (key, one) in enumerate(value.items()):
            yield f"{',' if index else ''}{inner if not index else chr(10) + inner}{json.dumps(key)}: "
            yield from _lines(one, depth + 1)
        yield "\n" + " " * depth + "}"
    elif isinstance(value, list):
        yield "[\n"
        for index, one in enumerate(value):
            yield f"{',' + chr(10) if index else ''}{inner}"
            yield from _lines(one, depth + 1)
        yield "\n" + " " * depth + "]"
    else:
        yield json.dumps(value, ensure_ascii=False)


def _small(value: Any) -> bool:
    """Not worth trying on one line otherwise: a series would be written once for each level above it."""
    if isinstance(value, Mapping | list):
        return len(value) <= 24 and not any(
            isinstance(one, Mapping | list) and len(one) > 24
            for one in (value.values() if isinstance(value, Mapping) else value)
        )
    return True
