"""Child processes that never outlive the command that started them."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
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


# How a child is started: beside a watchdog in its process group, which ends the group when its standard input ends. The
# other end of that is held by the parent alone, so the end comes when the parent dies, however that happens and however
# early. (Linux's PR_SET_PDEATHSIG reaches only the child itself, not what it starts.)
LAUNCH = """
exec 3<&0 </dev/null
(trap '' TERM; read -r _ <&3; kill -TERM 0; sleep 2; kill -KILL 0) >/dev/null 2>&1 &
exec "$@" 3<&-
"""


@contextmanager
def _signals_held_back() -> Iterator[None]:
    """Signals that would raise wait for the end of the block: one that came while a child is being started would leave
    that child without anybody who knows of it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    before = {
        number: signal.signal(number, lambda number, _: came.append(number))
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        if signal.getsignal(number) is not None  # None: set by other than Python, and then not ours to change
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for arrived in came:
            signal.raise_signal(arrived)


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
    words = [os.fspath(part) for part in argv]
    if shutil.which(words[0], path=(os.environ if env is None else env).get("PATH", os.defpath)) is None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), words[0])
    tail: deque[str] = deque(maxlen=TAIL_LINES)
    expired = threading.Event()
    with ExitStack() as cleanup:
        reading, writing = os.pipe()
        cleanup.callback(os.close, writing)
        with _signals_held_back():
            try:
                process = subprocess.Popen(
                    ["/bin/sh", "-c", LAUNCH, "sh", *words],
                    env=None if env is None else dict(env),
                    cwd=cwd,
                    stdin=reading,
                    stdout=subprocess.PIPE if stdout is None else stdout,
                    stderr=subprocess.STDOUT if stdout is None else subprocess.PIPE,
                    text=True,
                    encoding="utf-8",
                    errors="replace",
                    start_new_session=True,
                )
            finally:
                os.close(reading)
            stream = process.stdout if stdout is None else process.stderr
            assert stream is not None
            cleanup.callback(stream.close)
            cleanup.callback(_finish, process)

        if timeout is not None:

            def expire() -> None:
                expired.set()
                end_group(process)

            timer = threading.Timer(timeout, expire)
            timer.daemon = True
            timer.start()
            cleanup.callback(timer.cancel)
        for line in stream:
            text = line.rstrip()
            tail.append(text)
            if on_line is not None:
                on_line(text)
        process.wait()
    return Finished(process.returncode, tuple(tail), expired.is_set())


def _finish(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        end_group(process)
    else:  # the watchdog, and whatever the child left running
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)


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
