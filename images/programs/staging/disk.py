"""Files on scratch: written past the page cache where the file system can, space counted before, old revisions removed.

Weights are written once and read once, by the engine. Through the page cache every byte is copied once more and the
kernel's write-back throttles the writers: on the disk of the measurements in docs/image-stage.md that is 0.3 GB/s
instead of 1.4 GB/s.
"""

from __future__ import annotations

import contextlib
import errno
import json
import mmap
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from images.programs import state
from images.programs.staging.manifest import COMPLETE, NAME, Manifest
from images.programs.staging.parts import ALIGNMENT, aligned

RESERVE: Final = 256 << 20
"""Bytes that are left free: the file system's own, and whatever else the node writes to scratch."""


class NoSpace(Exception):
    """Scratch is too small; the message says needs and has."""


def buffer(size: int) -> mmap.mmap:
    """Memory that O_DIRECT can be given: whole pages of its own, of 2 MiB where the kernel has them, as each page costs
    a fault, and a pin at every write. Not shared: https://docs.kernel.org/admin-guide/mm/transhuge.html gives large
    pages to private memory that asks for them, to shared memory only where the administrator said so."""
    found = mmap.mmap(-1, max(ALIGNMENT, aligned(size)), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    with contextlib.suppress(OSError):  # a kernel without them
        found.madvise(mmap.MADV_HUGEPAGE)
    return found


class Target:
    """One file of a revision, open for its parts. Used by several threads at once.

    It has its full length on the disk from the start (rounded up to the alignment), so a full disk shows before
    anything is fetched; `finish` cuts it to its size.
    """

    def __init__(self, path: Path, size: int) -> None:
        self._path, self._size = path, size
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            self._handle = os.open(path, flags | os.O_DIRECT, 0o644)
            self.direct = True
        except OSError as error:
            if error.errno != errno.EINVAL:  # a file system without O_DIRECT, such as tmpfs
                raise
            self._handle = os.open(path, flags, 0o644)
            self.direct = False
        try:
            if size:
                self._allocate(aligned(size))
        except BaseException:
            os.close(self._handle)
            raise

    def _allocate(self, size: int) -> None:
        try:
            os.posix_fallocate(self._handle, 0, size)
        except OSError as error:
            if error.errno in (errno.EOPNOTSUPP, errno.EINVAL):
                os.truncate(self._handle, size)
            else:
                raise

    def write(self, start: int, memory: mmap.mmap, length: int) -> None:
        """Writes the first `length` bytes of `memory` at `start`. Raises OSError."""
        full = aligned(length)
        memory[length:full] = bytes(full - length)  # beyond the file's end, cut off by finish()
        view = memoryview(memory)[:full]
        done = 0
        while done < full:
            done += os.pwrite(self._handle, view[done:], start + done)
        if not self.direct:
            os.posix_fadvise(self._handle, start, full, os.POSIX_FADV_DONTNEED)

    def read(self, start: int, memory: mmap.mmap, length: int) -> bool:
        """Fills `memory` with what is there; False when the file is shorter."""
        view = memoryview(memory)[: aligned(length)]
        done = 0
        while done < length:
            count = os.preadv(self._handle, [view[done:]], start + done)
            if not count:
                return False
            done += count
            if done < length and done % ALIGNMENT:
                return False
        return True

    def finish(self) -> int:
        """Cuts the file to its size and waits until it is on the disk; returns its time of change in ns."""
        os.ftruncate(self._handle, self._size)
        os.fsync(self._handle)
        if not self.direct:
            os.posix_fadvise(self._handle, 0, 0, os.POSIX_FADV_DONTNEED)
        return os.fstat(self._handle).st_mtime_ns

    def close(self) -> None:
        """Closes the file."""
        os.close(self._handle)


def stamp(path: Path, size: int) -> int | None:
    """When a file of this size was last changed (ns); None when there is no such file."""
    with contextlib.suppress(OSError):
        found = path.lstat()
        if found.st_size == size and path.is_file() and not path.is_symlink():
            return found.st_mtime_ns
    return None


def sync_folder(folder: Path) -> None:
    """Names in a folder are on the disk when this returns."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def make_folders(top: Path, folders: list[Path], owner: tuple[int, int] | None) -> None:
    """Makes folders below `top`, each given to `owner`. Raises OSError, also where a link stands in the way."""
    for folder in folders:
        current = top
        for part in folder.relative_to(top).parts:
            current = current / part
            with contextlib.suppress(FileExistsError):
                current.mkdir(mode=0o755)
            if current.is_symlink() or not current.is_dir():
                raise OSError(errno.ENOTDIR, "not a folder", str(current))
            if owner is not None:
                os.chown(current, *owner, follow_symlinks=False)


def complete_text(manifest: Manifest) -> bytes:
    """What `.complete` says."""
    body = {"manifest": manifest.digest, "bytes": manifest.bytes, "files": len(manifest.files)}
    return (json.dumps(body) + "\n").encode()


def is_complete(folder: Path, manifest: Manifest) -> bool:
    """Whether `.complete` is this manifest's, and every file is there with its size."""
    try:
        told = (folder / COMPLETE).read_bytes()
    except OSError:
        return False
    return told == complete_text(manifest) and all(
        stamp(folder / file.path, file.size) is not None for file in manifest.files
    )


def mark_complete(folder: Path, manifest: Manifest, text: bytes) -> None:
    """The manifest beside its files, and `.complete` after everything else is on the disk."""
    state.replace(folder / NAME, text)
    for path in sorted({folder, *((folder / file.path).parent for file in manifest.files)}):
        sync_folder(path)
    state.replace(folder / COMPLETE, complete_text(manifest))
    sync_folder(folder)


def allocated(folder: Path, manifest: Manifest) -> int:
    """Bytes that this revision's files take already, each up to its size."""
    found = 0
    for file in manifest.files:
        with contextlib.suppress(OSError):
            found += min(file.size, (folder / file.path).lstat().st_blocks * 512)
    return found


def free(folder: Path) -> int:
    """Bytes that may be written."""
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


def revisions(models: Path, current: Path) -> list[Path]:
    """Folders of other revisions, the one that was complete longest ago first."""

    def age(folder: Path) -> float:
        with contextlib.suppress(OSError):
            return (folder / COMPLETE).lstat().st_mtime
        with contextlib.suppress(OSError):
            return folder.lstat().st_mtime
        return 0.0

    return sorted((found for found in _folders(models) if found != current), key=age)


def _folders(models: Path) -> Iterator[Path]:
    for model in models.iterdir() if models.is_dir() else ():
        if model.is_dir() and not model.is_symlink():
            yield from (one for one in model.iterdir() if one.is_dir() and not one.is_symlink())


def make_room(models: Path, folder: Path, manifest: Manifest, block: int = ALIGNMENT) -> list[Path]:
    """Sees that the revision fits; other revisions go only as far as they have to. Returns those that went.

    Raises NoSpace, and then removes nothing.
    """
    needs = manifest.bytes + len(manifest.files) * block - allocated(folder, manifest) + RESERVE
    has = free(models)
    if needs <= has:
        return []
    others = revisions(models, folder)
    sizes = {one: _size(one) for one in others}
    if needs > has + sum(sizes.values()):
        more = f", {_gb(sum(sizes.values()))} of it by removing other revisions" if others else ""
        raise NoSpace(f"{models}: needs {_gb(needs)}, has {_gb(has + sum(sizes.values()))}{more}")
    gone = []
    for one in others:
        if needs <= free(models):
            break
        with contextlib.suppress(FileNotFoundError):
            (one / COMPLETE).unlink()  # first, so that what is left of it is not taken for whole
        shutil.rmtree(one)
        gone.append(one)
    return gone


def _size(folder: Path) -> int:
    return sum(found.lstat().st_blocks * 512 for found in folder.rglob("*") if found.is_file() or found.is_symlink())


def _gb(count: int) -> str:
    return f"{count / 1e9:,.2f} GB"
