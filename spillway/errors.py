"""The one error that a person sees: `main()` prints it as plain lines on stderr and exits with its code, never a
traceback."""

from __future__ import annotations

from typing import ClassVar


class SpillwayError(Exception):
    """Something a person can act on. `lines` are printed one by one, so each names what is wrong and what to do."""

    CODE: ClassVar[int] = 1
    """What the command exits with."""

    def __init__(self, *lines: str) -> None:
        super().__init__("\n".join(lines))
        self.lines: tuple[str, ...] = lines


class WrongUsage(SpillwayError):
    """A command line that says too little, or what does not go together."""

    CODE = 2


class NoSuchCommand(SpillwayError):
    """A command to run that is not there; with the code of a shell:
    https://pubs.opengroup.org/onlinepubs/9799919799/utilities/V3_chap02.html#tag_19_08_02"""

    CODE = 127
