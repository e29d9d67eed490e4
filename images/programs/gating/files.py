"""The state files and keys.json, read again whenever they change; a file that cannot be read leaves what was known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from images.programs import state

T = TypeVar("T")
Signature = tuple[int, int, int]


@dataclass
class Watched(Generic[T]):
    """One file. `value` is what it said when it could last be read, None when it is not there (or, with `keep`, was
    never there).

    fault: why it cannot be used now, one line; empty when it can, or is not there.
    """

    path: Path
    parse: Callable[[bytes], T]
    keep: bool = False
    value: T | None = None
    fault: str = ""
    exists: bool = False
    _signature: Signature | None = field(default=None, repr=False)

    def look(self) -> bool:
        """Reads the file if it is another one than last time. True when value, fault or existence changed."""
        before = (self.exists, self.fault)
        try:
            status = self.path.stat()
            signature = (status.st_mtime_ns, status.st_size, status.st_ino)
            if signature == self._signature:
                return False
            content = self.path.read_bytes()
        except FileNotFoundError:
            changed = self.exists or self._signature is not None
            self._signature, self.exists = None, False
            self.fault = "is gone; what it said stays in force" if self.keep and self.value is not None else ""
            if not self.keep:
                self.value = None
            return changed or before != (self.exists, self.fault)
        except OSError as error:
            # It is there and is tried again at the next look: permissions change without the file changing.
            self._signature, self.exists, self.fault = None, True, f"cannot be read: {error.strerror}"
            return before != (self.exists, self.fault)
        self._signature, self.exists = signature, True
        try:
            self.value, self.fault = self.parse(content), ""
        except ValueError as error:
            self.fault = str(error)
        return True


class StateFiles:
    """The state files of the node's programs, by name."""

    NAMES = ("scratch", "stage", "secrets", "drain", "peers", "engine")

    def __init__(self, directory: Path) -> None:
        self.files: dict[str, Watched[dict[str, Any]]] = {
            name: Watched(directory / f"{name}.json", state.parse) for name in self.NAMES
        }

    def look(self) -> list[str]:
        """Names of the files that changed."""
        return [name for name, file in self.files.items() if file.look()]

    def __getitem__(self, name: str) -> dict[str, Any] | None:
        return self.files[name].value

    def exists(self, name: str) -> bool:
        return self.files[name].exists
