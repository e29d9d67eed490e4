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
        self._prefix = bool(os.environ.get("JOURNAL_STREAM"))
        if self._prefix:
            # A journal that does not read would stop the program in the middle of its work: rather lose the line.
            os.set_blocking(sys.stdout.fileno(), False)

    def tell(self, event: str, level: Level = "info", /, **fields: Any) -> None:
        """Writes one line; values are shortened and kept on it. Never raises, never waits."""
        line = json.dumps({"program": self.program, "event": event, **{k: _short(v) for k, v in fields.items()}})
        prefix = f"<{PRIORITIES[level]}>" if self._prefix else ""
        try:
            sys.stdout.write(f"{prefix}{line}\n")
            sys.stdout.flush()
        except (OSError, ValueError):
            self.dropped += 1


def _short(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    line = " ".join(value.split())
    return line if len(line) <= LONGEST else line[: LONGEST - 1] + "…"
