"""Previews of several stacks side by side: each by the real engine, each with a result of its own."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Protocol

from cost.plan.preview import Preview, parse
from spillway.errors import SpillwayError

PLAN: Final = ("preview", "--json", "--show-sames", "--non-interactive", "--color", "never")
UP: Final = ("up", "--yes", "--skip-preview", "--non-interactive", "--color", "never")
TIMEOUT: Final = 1800.0
"""Seconds for one stack: an engine that hangs is told as such."""
ERROR_LINES: Final = 12
IGNORE_PROTECT: Final = "--ignore-protect"
PROTECTED: Final = "marked for protection"
"""In what the engine says of a protected resource that a plan would replace or delete."""


@dataclass(frozen=True, slots=True)
class Ran:
    """What came of one preview. plan: None where it failed; errors: why, in the engine's words, unmasked."""

    stack: str
    plan: Preview | None
    text: str
    errors: tuple[str, ...]
    seconds: float
    refused: tuple[str, ...] = ()
    """What the engine said before it was told to look past protection; `plan` is of the second look."""


class Runner(Protocol):
    """Runs the engine for a stack: (exit code, standard output, standard error). Raises SpillwayError."""

    def __call__(self, stack: str, arguments: Sequence[str]) -> tuple[int, str, str]: ...


def command(line: Sequence[str], environment: Mapping[str, str], folder: Path | None = None) -> tuple[int, str, str]:
    """A command that may not take for ever."""
    try:
        done = subprocess.run(
            list(line), env=dict(environment), cwd=folder, capture_output=True, text=True, errors="replace",
            check=False, timeout=TIMEOUT, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise SpillwayError(f"the engine was still running after {TIMEOUT / 60:.0f} min, and was ended") from None
    except OSError as error:
        raise SpillwayError(f"{line[0]}: cannot be started: {error.strerror}") from None
    return done.returncode, done.stdout, done.stderr


def workers(asked: int | None = None) -> int:
    """How many at once: one for each processor, since a preview keeps one busy."""
    return max(1, asked or len(os.sched_getaffinity(0)))


def preview_all(
    stacks: Sequence[str],
    runner: Runner,
    at_once: int,
    done: Callable[[str], None] = lambda stack: None,
    options: Sequence[str] = (),
) -> list[Ran]:
    """Every stack's preview, in the order of the names. One that fails leaves the others alone."""

    def one(stack: str) -> Ran:
        found = preview(stack, runner, options)
        if found.plan is None and any(PROTECTED in line for line in found.errors):
            # The engine refuses, and so does `up`. What would be lost is worth a second look.
            beyond = preview(stack, runner, (*options, IGNORE_PROTECT))
            found = replace(beyond, refused=found.errors) if beyond.plan is not None else found
        done(stack)
        return found

    with ThreadPoolExecutor(at_once) as threads:
        return list(threads.map(one, stacks))


def preview(stack: str, runner: Runner, options: Sequence[str] = ()) -> Ran:
    """One stack's preview. Never raises for what a stack or its engine does."""
    began = time.monotonic()
    try:
        code, text, told = runner(stack, (*PLAN, *options, "--stack", stack))
    except SpillwayError as error:
        return Ran(stack, None, "", tuple(error.lines), time.monotonic() - began)
    except Exception as error:  # one stack's crash is that stack's row
        return Ran(stack, None, "", (f"{type(error).__name__}: {error}",), time.monotonic() - began)
    seconds = time.monotonic() - began
    try:
        plan = parse(text, f"preview of {stack}")
    except SpillwayError as error:
        lines = _errors(text, told) or error.lines
        return Ran(stack, None, text, tuple(lines), seconds)
    if code:
        return Ran(stack, None, text, tuple(_errors(text, told) or [f"the engine ended with {code}"]), seconds)
    if plan.stack != stack:
        return Ran(stack, None, text, (f"the engine previewed stack {plan.stack} instead",), seconds)
    return Ran(stack, plan, text, (), seconds)


def _errors(text: str, told: str) -> list[str]:
    """What the engine says went wrong: its diagnostics, else the last lines of what it printed."""
    import json

    try:
        data = json.loads(text)
        rows = data.get("diagnostics") or [] if isinstance(data, dict) else []
    except ValueError:
        rows = []
    found = [
        " ".join(str(row.get("message", "")).split())
        for row in rows
        if isinstance(row, dict) and row.get("severity") == "error"
    ]
    if not found:
        lines = [" ".join(line.split()) for line in told.splitlines() if line.strip()]
        found = [line for line in lines if line.lower().startswith("error")] or lines[-ERROR_LINES:]
    return [line.removeprefix("error: ") for line in dict.fromkeys(found)][:ERROR_LINES]
