"""What all refreshers share: steps whose answers are kept, so that a refresh that broke off goes on where it was;
retries that respect what a cloud asks for; a bar of how far it is.

A step is one question, and its answer is kept as the cloud gave it, in a file of its own. A refresher turns answers
into prices without asking anybody, so the same answers give the same prices, in tests too.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import date as Date
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

import tenacity

from cost.prices.snapshot import Price, Source, Unpriced
from spillway.errors import SpillwayError

T = TypeVar("T")
TRIES: Final = 8
LONGEST_WAIT: Final = 120.0
"""Seconds between two tries, at most; also of what a cloud asks to wait."""


class Busy(Exception):
    """An answer that is worth another try. after: seconds that the cloud asks to wait, None where it says nothing."""

    def __init__(self, text: str, after: float | None = None) -> None:
        super().__init__(" ".join(text.split()))
        self.after = after


@dataclass(frozen=True, slots=True)
class Step:
    """One question. key: what it is kept under; ask: its whole answer, as JSON can hold it, all pages in order."""

    key: str
    ask: Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Found:
    """What answers came to. rows: by file of the snapshot. left_out: how many rows were no such price, by why."""

    rows: Mapping[str, tuple[Price, ...]]
    unpriced: tuple[Unpriced, ...]
    sources: Mapping[str, Source]
    left_out: Mapping[str, int] = field(default_factory=Counter)


class Refresher(Protocol):
    """One provider. `steps` may be asked again with what is answered so far, and then has what follows from it."""

    name: str

    def steps(self, answers: Mapping[str, Any]) -> Sequence[Step]: ...
    def found(self, answers: Mapping[str, Any], observed: Date) -> Found: ...
    def replaces(self, row: Price) -> bool: ...


class Kept:
    """Answers of one refresh, a file each. A file is whole or not there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def get(self, key: str) -> Any | None:
        """The answer to a step, or None. What cannot be read is asked for again."""
        try:
            told = json.loads(self._path(key).read_bytes())
        except (OSError, ValueError):
            return None
        return told["answer"] if isinstance(told, dict) and told.get("key") == key else None

    def put(self, key: str, answer: Any) -> None:
        """Keeps it. Raises SpillwayError."""
        path = self._path(key)
        fresh = path.with_name(f"{path.name}.{os.getpid()}")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            fresh.write_text(json.dumps({"key": key, "answer": answer}))
            fresh.replace(path)
        except OSError as error:
            raise SpillwayError(f"{self.folder}: an answer cannot be kept: {error.strerror or error}") from None

    def clear(self) -> None:
        """Forgets everything."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, key: str) -> Path:
        return self.folder / f"{hashlib.sha256(key.encode()).hexdigest()[:24]}.json"


def gather(
    refresher: Refresher,
    kept: Kept,
    *,
    sleep: Callable[[float], None] = time.sleep,
    progress: bool = False,
) -> dict[str, Any]:
    """The answers to all steps; those that are kept are not asked for again. Raises SpillwayError."""
    answers: dict[str, Any] = {}
    bar: Any = None
    while True:
        steps = refresher.steps(answers)
        left = [step for step in steps if step.key not in answers]
        if not left:
            return answers
        if progress:
            from rehearsal.progress import Bar

            bar = Bar(f"{refresher.name}:", len(left))
        with bar or nullcontext():
            for step in left:
                answer = kept.get(step.key)
                if answer is None:
                    answer = patient(refresher.name, step.key, step.ask, sleep, bar.note if bar else None)
                    kept.put(step.key, answer)
                answers[step.key] = answer
                if bar:
                    bar.step(step.key)


def patient(
    name: str,
    what: str,
    ask: Callable[[], T],
    sleep: Callable[[float], None] = time.sleep,
    tell: Callable[[str], None] | None = None,
) -> T:
    """`ask()`, again after Busy: as late as the cloud asks for, else ever later; all tries may take minutes, so `tell`
    is given each fault at once. Raises SpillwayError in the end."""

    def wait(state: tenacity.RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        after = error.after if isinstance(error, Busy) else None
        return min(LONGEST_WAIT, 2.0 ** min(state.attempt_number, 6) if after is None else after)

    def told(state: tenacity.RetryCallState) -> None:
        if tell and state.outcome and state.next_action:
            tell(f"{name}: {what}: {state.outcome.exception()}; again in {state.next_action.sleep:.0f} s")

    again = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(Busy),
        stop=tenacity.stop_after_attempt(TRIES),
        wait=wait,
        sleep=sleep,
        before_sleep=told,
        reraise=True,
    )
    try:
        return again(ask)
    except Busy as error:
        raise SpillwayError(
            f"{name}: {what}: {error}, {TRIES} times; what was answered is kept, so the same command goes on from here"
        ) from None


def retry_after(header: str | None, now: Callable[[], float] = time.time) -> float | None:
    """Seconds of a `Retry-After`, which is a number or a date: https://httpwg.org/specs/rfc9110.html#field.retry-after"""
    if not header:
        return None
    if header.strip().isdecimal():
        return float(header)
    try:
        return max(0.0, parsedate_to_datetime(header).timestamp() - now())
    except ValueError:
        return None


def cache_folder() -> Path:
    """Where answers are kept until the snapshot is made."""
    import platformdirs

    return Path(platformdirs.user_cache_dir("spillway")) / "prices"


def chunks(values: Iterable[T], size: int) -> list[list[T]]:
    """In lists of at most `size`."""
    found = list(values)
    return [found[index : index + size] for index in range(0, len(found), size)]
