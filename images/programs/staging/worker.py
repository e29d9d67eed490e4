"""One process of the copy: its connections fetch parts side by side, and the parts are hashed in the order of the file.

A part is received into a buffer, written to the disk from it, and handed to the hash; then the buffer is free again. So
every byte crosses memory once, the disk is never read back, and the memory in use is bounded: buffers are taken before
parts are, in order, hence the part that the hash waits for always has one.
"""

from __future__ import annotations

import ctypes
import errno
import hashlib
import mmap
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from images.programs.staging import disk
from images.programs.staging.manifest import Manifest
from images.programs.staging.parts import Part, Progress, parts_of
from images.programs.staging.web import Connection, Source, StoreError, Throttled, Transient, Wrong, backoff

TRIES: Final = 8
"""In a row without a byte, which takes half a minute; then the copy as a whole pauses, for longer."""
SPARE_BUFFERS: Final = 4
FETCHES_OF_A_FILE: Final = 2
WIDEN_AFTER: Final = 8
"""Parts without a throttle, after which one more connection works again."""
_PR_SET_PDEATHSIG: Final = 1

Tell = Callable[..., None]
"""Tells the coordinator: ("part", file, number), ("file", file, stamp), ("drop", file), ("bad", file, digest),
("error", kind, text)."""


class Pace:
    """How many of the connections work: half of them after a throttle, one more after every few parts that came.

    As TCP does it: https://www.rfc-editor.org/rfc/rfc5681#section-3.1 (additive increase, multiplicative decrease).
    """

    def __init__(self, most: int) -> None:
        self._most = self._allowed = most
        self._good = 0
        self._until = 0.0
        self._turn = threading.Condition()

    def wait(self, index: int, stop: threading.Event) -> None:
        """Until connection `index` may work."""
        with self._turn:
            while not stop.is_set():
                left = self._until - time.monotonic()
                if index < self._allowed and left <= 0:
                    return
                self._turn.wait(min(1.0, left) if left > 0 else 1.0)

    def throttled(self, seconds: float) -> None:
        """The store wants to be left alone for so long; answers to requests already made count once."""
        with self._turn:
            now = time.monotonic()
            if now >= self._until:
                self._allowed, self._good = max(1, self._allowed // 2), 0
            self._until = max(self._until, now + seconds)

    def good(self) -> None:
        """A part has come."""
        with self._turn:
            self._good += 1
            if self._good >= WIDEN_AFTER and self._allowed < self._most:
                self._allowed, self._good = self._allowed + 1, 0
                self._turn.notify_all()

    @property
    def allowed(self) -> int:
        """Connections that work at the moment."""
        return self._allowed


@dataclass(frozen=True, slots=True)
class Job:
    """What all processes know. batches: indices of files, taken one after the other by whoever is free."""

    folder: Path
    manifest: Manifest
    batches: Sequence[tuple[int, ...]]
    progress: Progress
    part: int
    connections: int


class Worker:
    """The pipeline of one process. take: the number of the next batch; tell: see Tell."""

    def __init__(self, job: Job, source: Source, take: Callable[[], int], tell: Tell) -> None:
        self._job, self._source, self._take_batch, self._tell = job, source, take, tell
        self._turn = threading.Condition()
        self._parts: list[Part] = []
        self._next = 0
        self._no_more = self._closed = False
        self._ready: dict[int, mmap.mmap] = {}
        self._targets: dict[int, disk.Target] = {}
        self._fetches: dict[int, int] = {}
        self._error: BaseException | None = None
        self._stop = threading.Event()
        self._pace = Pace(job.connections)
        self._free: list[mmap.mmap] = [disk.buffer(job.part) for _ in range(job.connections + SPARE_BUFFERS)]

    def run(self) -> None:
        """Until no batch is left. Raises StoreError or OSError; a wrong hash is told and does not raise."""
        threads = [
            threading.Thread(target=self._fetcher, args=(index,), daemon=True) for index in range(self._job.connections)
        ]
        for thread in threads:
            thread.start()
        try:
            self._hash_in_order()
        finally:
            self._stop.set()
            with self._turn:
                self._closed = True
                self._turn.notify_all()
            for thread in threads:
                thread.join(timeout=1)

    # The threads of the connections.

    def _fetcher(self, index: int) -> None:
        connection = Connection(self._source)
        try:
            while True:
                self._pace.wait(index, self._stop)
                taken = self._take()
                if taken is None:
                    return
                number, part, memory = taken
                self._bring(connection, part, memory)
                with self._turn:
                    self._ready[number] = memory
                    self._turn.notify_all()
        except BaseException as error:
            with self._turn:
                self._error = self._error or error
                self._turn.notify_all()
        finally:
            connection.close()

    def _take(self) -> tuple[int, Part, mmap.mmap] | None:
        """A buffer and the part that comes next; None at the end."""
        with self._turn:
            while True:
                if self._closed or self._error is not None:
                    return None
                if self._free:
                    if self._next == len(self._parts) and not self._no_more:
                        self._more()
                    if self._next < len(self._parts):
                        self._next += 1
                        return self._next - 1, self._parts[self._next - 1], self._free.pop()
                self._turn.wait()

    def _more(self) -> None:
        number = self._take_batch()
        if number >= len(self._job.batches):
            self._no_more = True
            self._turn.notify_all()
            return
        for file in self._job.batches[number]:
            self._add(file)
        self._turn.notify_all()

    def _add(self, file: int) -> None:
        self._fetches[file] = self._fetches.get(file, 0) + 1
        self._parts += parts_of(file, self._job.manifest.files[file].size, self._job.part)

    def _target(self, file: int) -> disk.Target:
        with self._turn:
            if file not in self._targets:
                wanted = self._job.manifest.files[file]
                self._targets[file] = disk.Target(self._job.folder / wanted.path, wanted.size)
            return self._targets[file]

    def _bring(self, connection: Connection, part: Part, memory: mmap.mmap) -> None:
        target = self._target(part.file)
        if not part.length:
            return
        first = self._fetches[part.file] == 1
        if first and self._job.progress.has(part) and target.read(part.start, memory, part.length):
            return
        self._fetch(connection, part, memory)
        target.write(part.start, memory, part.length)
        self._tell("part", part.file, part.number)

    def _fetch(self, connection: Connection, part: Part, memory: mmap.mmap) -> None:
        file = self._job.manifest.files[part.file]
        view = memoryview(memory)[: part.length]
        done = faults = 0
        while True:
            try:
                connection.read_into(file.path, part.start, view, file.size, done)
            except Transient as error:
                came = error.done is not None and error.done > done
                done = error.done if error.done is not None else done
                faults = 1 if came else faults + 1
                if faults >= TRIES or self._stop.is_set():
                    raise
                pause = max(error.after or 0.0, backoff(faults))
                if isinstance(error, Throttled):
                    self._pace.throttled(pause)
                self._stop.wait(pause)
            else:
                self._pace.good()
                return

    # The thread of the hash.

    def _hash_in_order(self) -> None:
        number = 0
        hash_ = hashlib.sha256()
        while True:
            with self._turn:
                while number not in self._ready:
                    if self._error is not None:
                        raise self._error
                    if self._no_more and number == len(self._parts):
                        return
                    self._turn.wait()
                memory, part = self._ready.pop(number), self._parts[number]
            hash_.update(memoryview(memory)[: part.length])
            with self._turn:
                self._free.append(memory)
                self._turn.notify_all()
            if part.last:
                self._judge(part.file, hash_.hexdigest())
                hash_ = hashlib.sha256()
            number += 1

    def _judge(self, file: int, digest: str) -> None:
        with self._turn:
            target = self._targets.pop(file)
        try:
            if digest == self._job.manifest.files[file].sha256:
                self._tell("file", file, target.finish())
                return
        finally:
            target.close()
        self._tell("drop", file)
        if self._fetches[file] >= FETCHES_OF_A_FILE:
            self._tell("bad", file, digest)
            return
        with self._turn:
            self._add(file)
            self._turn.notify_all()


def error_of(error: BaseException, folder: Path) -> tuple[str, str]:
    """Kind and text of what ended a worker: `store` may heal by itself, `wrong` and `disk` need somebody."""
    if isinstance(error, Wrong):
        return "wrong", str(error)
    if isinstance(error, StoreError):
        return "store", str(error)
    if isinstance(error, OSError):
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return "disk", f"disk full: {folder}"
        return "disk", f"{error.filename or folder}: {error.strerror or type(error).__name__}"
    return "program", f"{type(error).__name__} in the copy"


@contextmanager
def _told(tell: Tell, folder: Path) -> Iterator[None]:
    try:
        yield
    except BaseException as error:
        tell("error", *error_of(error, folder))


def process(job: Job, open_source: Callable[[], Source], cursor: Any, pipe: Any, owner: tuple[int, int] | None) -> None:
    """A worker as a process of its own. cursor: a shared number of the next batch; pipe: to the coordinator.

    owner: user and group that it becomes, so that what comes from the network is handled without rights; None: stays.
    It is killed with its parent, whose rights to the files end with it.
    """
    parent = os.getppid()
    if owner is not None:
        os.setgroups([])
        os.setgid(owner[1])
        os.setuid(owner[0])
    # After the change of user, which clears it: https://man7.org/linux/man-pages/man2/PR_SET_PDEATHSIG.2const.html
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)
    lock = threading.Lock()

    def tell(*message: Any) -> None:
        with lock:
            pipe.send(message)

    def take() -> int:
        with cursor.get_lock():
            cursor.value += 1
            return int(cursor.value) - 1

    with _told(tell, job.folder):
        Worker(job, open_source(), take, tell).run()
    tell("end")
