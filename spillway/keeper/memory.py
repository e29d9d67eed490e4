"""The keeper's memory in a file: read whole, written whole or not at all."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Final

from infra.keeper_fleet import FleetMemory
from spillway.errors import SpillwayError

MOST: Final = 64 << 20
"""Bytes; a memory of a hundred regions has less than one MiB."""


def read(path: Path | None) -> FleetMemory:
    """An empty memory where there is no file yet. Raises SpillwayError, one line, for a file that is no memory."""
    if path is None:
        return FleetMemory()
    try:
        if path.stat().st_size > MOST:
            raise SpillwayError(f"{path}: too large for a memory of the keeper")
        text = path.read_text("utf-8")
    except FileNotFoundError:
        return FleetMemory()
    except (OSError, UnicodeError) as error:
        raise SpillwayError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    try:
        return FleetMemory.from_json(json.loads(text))
    except (ValueError, RecursionError) as error:
        told = "is no JSON" if isinstance(error, json.JSONDecodeError | RecursionError) else str(error)
        raise SpillwayError(f"{path}: {told}; name another file, or delete it: the keeper then begins anew") from None


def write(path: Path, memory: FleetMemory) -> None:
    """Beside it, on the disk, then in its place. Raises SpillwayError."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with draft.open("w", encoding="utf-8") as stream:
            json.dump(memory.to_json(), stream, sort_keys=True)
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise SpillwayError(f"{path}: cannot be written: {error.strerror or error}") from None
