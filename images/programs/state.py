"""State files: what one program of the node tells the others, as JSON under /run/spillway, gone after a reboot.

Each holds `state`, `reason` (one line), `since` (unix seconds at which this state began) and what belongs to the state.
They are written to a neighbour and renamed, so a reader sees the file before or after and never half of it
(https://man7.org/linux/man-pages/man2/rename.2.html).
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any, Final

RUN: Final = "SPILLWAY_RUN"
"""Environment variable with the directory, for tests."""


def directory() -> Path:
    """Where state files are: /run/spillway, or what SPILLWAY_RUN says."""
    return Path(os.environ.get(RUN) or "/run/spillway")


def path(name: str) -> Path:
    """The file of a state: `path("stage")` is /run/spillway/stage.json."""
    return directory() / f"{name}.json"


def replace(target: Path, content: bytes, *, mode: int = 0o644, group: int | None = None) -> None:
    """Puts `content` at `target` in one step, with these permissions from the start; the directory has to exist.

    group: a numeric group id, None for the writer's own. Raises OSError; `target` is then what it was.
    """
    handle, temporary = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            if group is not None:
                os.fchown(file.fileno(), -1, group)
            os.fchmod(file.fileno(), mode)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(target)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            Path(temporary).unlink()
        raise


def write(name: str, /, *, state: str, reason: str = "", **fields: Any) -> None:
    """Writes a state. `since` is kept while the state stays the same, unless it is given; `reason` becomes one line.

    Values are what JSON can hold. Raises OSError where the directory is missing or full.
    """
    before = read(name)
    since = before.get("since") if before and before.get("state") == state else None
    document = {
        "state": state,
        "reason": " ".join(reason.split()),
        "since": since if isinstance(since, int | float) else round(time.time(), 3),
        **fields,
    }
    replace(path(name), (json.dumps(document) + "\n").encode())


def parse(content: bytes) -> dict[str, Any]:
    """A state file's content. Raises ValueError with one line where it is not a JSON object with a `state`."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"is not JSON ({error})" if content.strip() else "is empty") from None
    if not isinstance(document, dict) or not isinstance(document.get("state"), str):
        raise ValueError("is not a JSON object with a state")
    return document


def read(name: str, /) -> dict[str, Any] | None:
    """What a program wrote last; None where there is no file, or none that can be read as a state."""
    try:
        return parse(path(name).read_bytes())
    except (OSError, ValueError):
        return None


def remove(name: str, /) -> None:
    """Takes a state back (`drain`: the node serves again); nothing happens where there is none."""
    with contextlib.suppress(FileNotFoundError):
        path(name).unlink()
