"""A bucket in a directory: what the sandbox keeps weights in. Objects, their hashes, and unfinished uploads."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import threading
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from spillway.models.store import SHA256, BucketError, NoBucket, Stored, Taken


class DirectoryStore:
    """See store.ModelStore. folder: made at the first write; where: what messages call it."""

    def __init__(self, folder: Path, where: str) -> None:
        self._folder, self.where = folder, where
        self._objects, self._notes, self._parts = folder / "objects", folder / "notes", folder / "parts"

    def check(self) -> None:
        """A directory is made when it is needed."""

    def list(self, prefix: str) -> Iterator[Stored]:
        self.check()
        for root, _, names in os.walk(self._objects):
            for name in sorted(names):
                file = Path(root) / name
                key = file.relative_to(self._objects).as_posix()
                if key.startswith(prefix):
                    yield self._stored(key, file)

    @staticmethod
    def _stored(key: str, file: Path) -> Stored:
        stat = file.stat()
        return Stored(key, stat.st_size, "", datetime.fromtimestamp(stat.st_mtime, UTC))

    def stat(self, key: str) -> Stored | None:
        file = self._objects / key
        if not file.is_file():
            return None
        try:
            sha256 = str(json.loads((self._notes / f"{key}.json").read_bytes())[SHA256])
        except (OSError, ValueError, KeyError, TypeError):
            sha256 = ""
        found = self._stored(key, file)
        return Stored(key, found.size, sha256, found.modified)

    def read(self, key: str, start: int, length: int) -> bytes:
        try:
            with (self._objects / key).open("rb") as stream:
                stream.seek(start)
                return stream.read(length)
        except OSError as error:
            raise BucketError(f"{self.where}/{key}: {error.strerror or error}") from None

    def get(self, key: str, most: int) -> bytes | None:
        file = self._objects / key
        if not file.is_file():
            return None
        if file.stat().st_size > most:
            raise BucketError(f"{self.where}/{key}: larger than {most:,} bytes")
        return self.read(key, 0, most)

    def put(self, key: str, data: bytes, sha256: str, *, new: bool = False) -> None:
        self.check()
        if new and (self._objects / key).exists():
            raise Taken(f"{self.where}/{key}: is there already")
        self._write(key, [data], sha256)

    def _write(self, key: str, pieces: Iterable[bytes], sha256: str) -> None:
        file, note = self._objects / key, self._notes / f"{key}.json"
        draft = self._folder / f"draft-{os.getpid()}-{threading.get_ident()}"
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            note.parent.mkdir(parents=True, exist_ok=True)
            with draft.open("wb") as stream:
                for piece in pieces:
                    stream.write(piece)
            note.write_text(json.dumps({SHA256: sha256}))
            draft.replace(file)
        except OSError as error:
            draft.unlink(missing_ok=True)
            raise BucketError(f"{self.where}/{key}: {error.strerror or error}") from None

    def upload(self, key: str, sha256: str, *, fresh: bool = False) -> _Parts:
        self.check()
        folder = self._parts / hashlib.sha256(key.encode()).hexdigest()
        if fresh:
            shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
        return _Parts(self, key, sha256, folder)

    def delete(self, keys: Iterable[str]) -> None:
        for key in keys:
            (self._objects / key).unlink(missing_ok=True)
            (self._notes / f"{key}.json").unlink(missing_ok=True)


class _Parts:
    """See store.Upload: one file per part, named by number and hash."""

    def __init__(self, store: DirectoryStore, key: str, sha256: str, folder: Path) -> None:
        self._store, self._key, self._sha256, self._folder = store, key, sha256, folder
        self._put: dict[int, Path] = {}
        self._lock = threading.Lock()

    def put(self, number: int, data: bytes) -> bool:
        file = self._folder / f"{number:06d}-{hashlib.sha256(data).hexdigest()}"
        there = file.is_file() and file.stat().st_size == len(data)
        if not there:
            draft = file.with_suffix(".draft")
            draft.write_bytes(data)
            draft.replace(file)
        with self._lock:
            self._put[number] = file
        return not there

    def finish(self) -> None:
        pieces = (self._put[number].read_bytes() for number in sorted(self._put))
        self._store._write(self._key, pieces, self._sha256)
        self.abort()

    def abort(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)


class StandInBucket(DirectoryStore):
    """The bucket of a stand-in cloud: there when the stand-in holds the bucket, and empty again with a new one."""

    def __init__(self, sandbox: Path, bucket: str, made: str | None, where: str) -> None:
        self._of_bucket, self._made = sandbox / "models" / bucket, made
        super().__init__(self._of_bucket / "".join(c for c in made or "" if c.isalnum()), where)

    def check(self) -> None:
        """Raises NoBucket until the stack's `up`. What a bucket held that has been deleted since is gone with it."""
        if self._made is None:
            raise NoBucket(f"{self.where}: not there; the stack's `up` makes it")
        for other in self._of_bucket.iterdir() if self._of_bucket.is_dir() else ():
            if other != self._folder:
                shutil.rmtree(other, ignore_errors=True)
