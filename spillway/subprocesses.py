"""Child processes that never outlive the command that started them."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import IO

GRACE_SECONDS = 5.0
TAIL_LINES = 40


@dataclass(frozen=True, slots=True)
class Finished:
    """How a child ended. `tail`: its last lines of output; `timed_out`: it was ended for taking too long."""

    code: int
    tail: tuple[str, ...]
    timed_out: bool = False

    @property
    def ok(self) -> bool:
        return self.code == 0 and not self.timed_out


def end_group(process: subprocess.Popen[str]) -> None:
    """Ends a child and everything it started (it must have been started in a session of its own)."""
    for number in (signal.SIGTERM, signal.SIGKILL):  # the second one also for what the leader left behind
        try:
            os.killpg(process.pid, number)
        except (ProcessLookupError, PermissionError):
            break
        with suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_SECONDS)
    with suppress(subprocess.TimeoutExpired):
        process.wait(GRACE_SECONDS)


# Waits for the end of its standard input, whose other end only the parent has: it comes when the parent dies, however
# that happens. (Linux could do this with PR_SET_PDEATHSIG, but only for the child itself, not for what it starts.)
WATCHDOG = 'read -r _; kill -TERM "-$1"; sleep 2; kill -KILL "-$1"'


@contextmanager
def _watched(process: subprocess.Popen[str]) -> Iterator[None]:
    """Ends the child's group when this process is killed in a way that no `finally` sees."""
    reading, writing = os.pipe()
    try:
        watchdog = subprocess.Popen(
            ["/bin/sh", "-c", WATCHDOG, "watchdog", str(process.pid)],
            stdin=reading,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except BaseException:
        os.close(writing)
        raise
    finally:
        os.close(reading)
    try:
        yield
    finally:
        watchdog.kill()  # before its standard input ends, or it would bark
        watchdog.wait()
        os.close(writing)


def run(
    argv: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    on_line: Callable[[str], None] | None = None,
    stdout: IO[str] | None = None,
    timeout: float | None = None,
) -> Finished:
    """Runs a child in its own session and hands over its output line by line.

    stdout: a file that takes standard output; then only standard error goes to `on_line` and the tail.
    timeout: seconds until the child and its children are ended.
    Whatever interrupts the caller (Ctrl-C, an exception in `on_line`, even SIGKILL) ends the whole group.
    Raises OSError when the program cannot be started.
    """
    process = subprocess.Popen(
        [os.fspath(part) for part in argv],
        env=None if env is None else dict(env),
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE if stdout is None else stdout,
        stderr=subprocess.STDOUT if stdout is None else subprocess.PIPE,
        text=True,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,
    )
    expired = threading.Event()

    def expire() -> None:
        expired.set()
        end_group(process)

    timer = threading.Timer(timeout, expire) if timeout is not None else None
    tail: deque[str] = deque(maxlen=TAIL_LINES)
    stream = process.stdout if stdout is None else process.stderr
    assert stream is not None
    try:
        if timer is not None:
            timer.daemon = True
            timer.start()
        with _watched(process):
            for line in stream:
                text = line.rstrip()
                tail.append(text)
                if on_line is not None:
                    on_line(text)
            process.wait()
    finally:
        if timer is not None:
            timer.cancel()
        if process.poll() is None:
            end_group(process)
        stream.close()
    return Finished(process.returncode, tuple(tail), expired.is_set())


@contextmanager
def terminate_as_exit() -> Iterator[None]:
    """Turns SIGTERM and SIGHUP into SystemExit(128 + n) while the block runs, so that `finally` clauses clean up.

    Does nothing outside the main thread, where Python cannot set signal handlers.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def leave(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, leave) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
