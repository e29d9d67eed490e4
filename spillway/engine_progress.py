"""Progress of the long step: a live bar on a terminal, a line every now and then in a log."""

from __future__ import annotations

import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import TaskID

EVERY_SECONDS = 20.0


class Progress:
    """Counts what Go says it downloads and compiles.

    Packages that Go's build cache already has are never named by it, so a bar may jump from part way to the end.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bar = Bar(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task: TaskID | None = None
        self._begun = self._spoken = time.monotonic()
        self._step = ""
        self._done = 0
        self._total: int | None = None

    def __enter__(self) -> Self:
        self._begun = self._spoken = time.monotonic()
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    @property
    def elapsed(self) -> str:
        """Since the start, as m:ss."""
        seconds = int(time.monotonic() - self._begun)
        return f"{seconds // 60}:{seconds % 60:02d}"

    def start(self, step: str, total: int | None = None) -> None:
        """Begins a step; `total` is how many packages it compiles at most."""
        self._step, self._done, self._total = step, 0, total
        if self._task is not None:
            self._bar.remove_task(self._task)
        self._task = self._bar.add_task(step, total=total)

    def downloaded(self, line: str) -> None:
        """Takes a line of Go's output, `go: downloading <module> <version>`."""
        if line.startswith("go: downloading "):
            self._advance(line.removeprefix("go: downloading ").split()[0])

    def compiled(self, line: str) -> None:
        """Takes a line of Go's output, with -v the import path of a package that it begins to compile."""
        if line and " " not in line:
            self._advance(line)
        else:
            self.downloaded(line)

    def _advance(self, name: str) -> None:
        self._done += 1
        if self._task is not None:
            self._bar.update(self._task, completed=self._done, description=f"{self._step} {_short(name)}")
        now = time.monotonic()
        if not self._console.is_terminal and now - self._spoken >= EVERY_SECONDS:
            self._spoken = now
            count = f"{self._done} of at most {self._total} packages" if self._total else f"{self._done} modules"
            self._console.print(f"  {self._step}: {count}, {self.elapsed}", highlight=False, soft_wrap=True)


def _short(name: str, width: int = 40) -> str:
    return name if len(name) <= width else "…" + name[1 - width :]
