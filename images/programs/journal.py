"""One line per event on standard output, as JSON: systemd puts it into the journal, log agents parse it without a
pattern.

`{"program": "gate", "event": "not ready", "reason": "staging", "detail": "..."}`; the time is the journal's. Under
systemd a line begins with its priority, which the journal takes off again
(https://www.freedesktop.org/software/systemd/man/latest/sd-daemon.html). Neither prompts nor keys belong into it.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any, Final, Literal

Level = Literal["error", "warning", "notice", "info"]
PRIORITIES: Final[dict[Level, int]] = {"error": 3, "warning": 4, "notice": 5, "info": 6}
LONGEST: Final = 500
"""Characters of one value: half an HTML page in an error message helps nobody."""


class Journal:
    """Tells in the name of one program."""

    def __init__(self, program: str) -> None:
        self.program = program
        self.dropped = 0
        """Lines that the journal did not take."""
        self._fd = _journal()
        self._rest = b""
        if self._fd is not None:
            # A journal that does not read would stop the program in the middle of its work: rather lose the line.
            os.set_blocking(self._fd, False)

    def tell(self, event: str, level: Level = "info", /, **fields: Any) -> None:
        """Writes one line; values are shortened and kept on it. Never raises, never waits."""
        line = json.dumps({"program": self.program, "event": event, **{k: _short(v) for k, v in fields.items()}})
        try:
            if self._fd is not None:
                self._send(self._fd, f"<{PRIORITIES[level]}>{line}\n".encode())
            else:
                sys.stdout.write(f"{line}\n")
                sys.stdout.flush()
        except (OSError, ValueError):
            self.dropped += 1

    def _send(self, fd: int, line: bytes) -> None:
        """Writes what fits; of a line that fits in part the rest goes before the next, so that no two become one."""
        rest = len(self._rest)
        content = self._rest + line
        try:
            sent = os.write(fd, content)
        except BlockingIOError:
            sent = 0
        if sent <= rest:
            self.dropped += 1
            content = content[:rest]
        self._rest = content[sent:]


def _journal() -> int | None:
    """Standard output where it leads to the journal, else None: the variable alone says nothing, children inherit it.

    https://www.freedesktop.org/software/systemd/man/latest/systemd.exec.html#%24JOURNAL_STREAM
    """
    try:
        fd = sys.stdout.fileno()
        status = os.fstat(fd)
    except (OSError, ValueError):
        return None
    return fd if os.environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}" else None


def _short(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    line = " ".join(value.split())
    return line if len(line) <= LONGEST else line[: LONGEST - 1] + "…"
