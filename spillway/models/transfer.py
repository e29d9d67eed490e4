"""Files into a bucket: in parts, several at once, hashed on the way, and going on where an earlier try ended.

A file is read once, from its beginning, by one thread, which hashes it; the parts are sent by others. So the content
that arrives is proven without being read back: every part is checked by the bucket (or by its own checksum), and the
whole is only made visible when the hash over everything that was read is the manifest's.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from threading import BoundedSemaphore, Event, Lock
from typing import Protocol

from spillway.models.manifest import File
from spillway.models.store import BucketError, ModelStore, part_bytes

Advance = Callable[[int], None]


class Source(Protocol):
    """Where files come from."""

    def read(self, path: str, start: int, length: int) -> bytes:
        """`length` bytes of a file, fewer at its end. Raises SpillwayError."""
        ...


@dataclass(frozen=True, slots=True)
class FolderSource:
    """A local folder."""

    folder: Path

    def read(self, path: str, start: int, length: int) -> bytes:
        try:
            descriptor = os.open(self.folder / path, os.O_RDONLY)
        except OSError as error:
            raise BucketError(f"{self.folder / path}: {error.strerror or error}") from None
        try:
            pieces, at = [], start
            while at < start + length and (piece := os.pread(descriptor, start + length - at, at)):
                pieces.append(piece)
                at += len(piece)
        except OSError as error:
            raise BucketError(f"{self.folder / path}: {error.strerror or error}") from None
        finally:
            os.close(descriptor)
        return b"".join(pieces)


@dataclass(frozen=True, slots=True)
class StoreSource:
    """A revision in another bucket; its parts pass through memory, never through a disk."""

    store: ModelStore
    prefix: str

    def read(self, path: str, start: int, length: int) -> bytes:
        return self.store.read(self.prefix + path, start, length) if length else b""


@dataclass(slots=True)
class Sent:
    """What was done. bytes: sent over the wire; the rest was there already."""

    files: int = 0
    bytes: int = 0
    _lock: Lock = field(default_factory=Lock, repr=False)

    def add(self, files: int, bytes: int) -> None:
        with self._lock:
            self.files += files
            self.bytes += bytes


class Stopped(BucketError):
    """Another file failed, or somebody pressed Ctrl-C: this one is left where it is."""

    def __init__(self) -> None:
        super().__init__("interrupted")


class Transfer:
    """Files of one revision from a source into one bucket.

    parallel: parts on their way at once; as many again may wait in memory. interrupted: set by others, ends it soon.
    """

    def __init__(
        self,
        source: Source,
        store: ModelStore,
        prefix: str,
        parallel: int,
        advance: Advance,
        interrupted: Event | None = None,
    ) -> None:
        self._source, self._store, self._prefix, self._advance = source, store, prefix, advance
        self._parallel = max(1, parallel)
        self._stop, self._interrupted = Event(), interrupted or Event()
        self._room = BoundedSemaphore(2 * self._parallel)
        self._sent = Sent()

    def run(self, files: Iterable[File]) -> Sent:
        """Raises the first file's error; what has arrived by then is kept for the next try."""
        with (
            ThreadPoolExecutor(self._parallel, thread_name_prefix="part") as parts,
            ThreadPoolExecutor(self._parallel, thread_name_prefix="file") as pool,
        ):
            # The largest first: at the end, all threads have something to do.
            ordered = sorted(files, key=lambda file: -file.size)
            futures = [pool.submit(self._file, file, parts) for file in ordered]
            whole = False
            try:
                wait(futures, return_when=FIRST_EXCEPTION)
                whole = all(future.done() and not future.exception() for future in futures)
            finally:  # also on Ctrl-C
                if not whole:
                    self._stop.set()
                    for future in futures:
                        future.cancel()
            wait(futures)
        errors = [error for future in futures if not future.cancelled() and (error := future.exception())]
        for error in sorted(errors, key=lambda error: isinstance(error, Stopped)):
            raise error
        return self._sent

    def _stopped(self) -> bool:
        return self._stop.is_set() or self._interrupted.is_set()

    def _file(self, file: File, parts: ThreadPoolExecutor) -> None:
        key = self._prefix + file.path
        if self._arrived(key, file):
            self._advance(file.size)
            return
        size = part_bytes(file.size)
        try:
            if file.size <= size:
                self._whole(key, file)
                return
            for fresh in (False, True):
                self._in_parts(key, file, size, parts, fresh)
                if self._arrived(key, file):
                    return
                # The unfinished upload that was gone on with was begun for another content of this name.
                self._advance(-file.size)
        except BaseException:
            self._stop.set()
            raise
        raise BucketError(f"{self._store.where}/{key}: arrived, but not as it was sent")

    def _arrived(self, key: str, file: File) -> bool:
        there = self._store.stat(key)
        return there is not None and there.size == file.size and there.sha256 == file.sha256

    def _whole(self, key: str, file: File) -> None:
        with self._room:
            data = self._read(file, 0, file.size)
            self._judge(file, hashlib.sha256(data).hexdigest())
            self._store.put(key, data, file.sha256)
        self._sent.add(1, file.size)
        self._advance(file.size)

    def _in_parts(self, key: str, file: File, size: int, parts: ThreadPoolExecutor, fresh: bool) -> None:
        upload = self._store.upload(key, file.sha256, fresh=fresh)
        digest = hashlib.sha256()
        pending: list[Future[None]] = []
        failed = Event()

        def send(number: int, data: bytes) -> None:
            try:
                if not self._stopped() and not failed.is_set():
                    sent = upload.put(number, data)
                    self._sent.add(0, len(data) if sent else 0)
                    self._advance(len(data))
            except BaseException:
                failed.set()
                raise
            finally:
                self._room.release()

        try:
            for number, start in enumerate(range(0, file.size, size), 1):
                self._room.acquire()
                try:
                    data = self._read(file, start, min(size, file.size - start))
                    digest.update(data)
                    pending.append(parts.submit(send, number, data))
                except BaseException:
                    self._room.release()
                    raise
                if failed.is_set():
                    break
        finally:
            wait(pending)
        for future in pending:
            future.result()
        if self._stopped():
            raise Stopped
        try:
            self._judge(file, digest.hexdigest())
        except BucketError:
            upload.abort()  # its parts are no part of anything
            raise
        upload.finish()
        self._sent.add(1, 0)

    def _read(self, file: File, start: int, length: int) -> bytes:
        if self._stopped():
            raise Stopped
        data = self._source.read(file.path, start, length)
        if len(data) != length:
            raise BucketError(f"{file.path}: ends at byte {start + len(data):,}, the manifest says {file.size:,}")
        return data

    @staticmethod
    def _judge(file: File, sha256: str) -> None:
        if sha256 != file.sha256:
            raise BucketError(f"{file.path}: sha256 is not the manifest's: changed meanwhile, or damaged")
