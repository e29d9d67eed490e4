"""The one error that a person sees: `main()` prints it as plain lines on stderr and exits with 1, never a traceback."""

from __future__ import annotations


class SpillwayError(Exception):
    """Something a person can act on. `lines` are printed one by one, so each names what is wrong and what to do."""

    def __init__(self, *lines: str) -> None:
        super().__init__("\n".join(lines))
        self.lines: tuple[str, ...] = lines
