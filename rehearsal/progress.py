"""How far a long run is: a bar on a terminal, a line now and then in a log; on stderr."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Final, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

EVERY_SECONDS: Final = 20.0


class Bar:
    """Counts steps of one piece of work."""

    def __init__(self, what: str, total: int, console: Console | None = None) -> None:
        self.what, self.total, self.done = what, total, 0
        self.console = console or Console(stderr=True)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self.console,
            transient=True,
            disable=not self.console.is_terminal,
        )
        self._task = self._bar.add_task(what, total=total)
        self._begun = self._spoken = time.monotonic()

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def note(self, text: str) -> None:
        """A line beside the count: why it does not move."""
        self.console.print(text, highlight=False, soft_wrap=True, markup=False)

    def step(self, name: str) -> None:
        """One more is done. name: which."""
        self.done += 1
        self._tell(name, float(self.done))

    def part(self, name: str, share: float) -> None:
        """So much of the next one is done. name: which."""
        self._tell(name, self.done + min(max(share, 0.0), 1.0))

    def _tell(self, name: str, done: float) -> None:
        self._bar.update(self._task, completed=done, description=f"{self.what} {name}")
        now = time.monotonic()
        if not self.console.is_terminal and 0 < done < self.total and now - self._spoken >= EVERY_SECONDS:
            self._spoken = now
            left = (now - self._begun) / done * (self.total - done)
            self.console.print(
                f"{self.what}: {done:.3g} of {self.total}, about {left:,.0f} s left", highlight=False, soft_wrap=True
            )
