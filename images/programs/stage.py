"""Copies the node's weights from its region's bucket to scratch: parallel, resumable, every hash checked.

Started by spillway-stage.service before the engine. Ends with 0 once `.complete` is there; store faults that may heal
are retried for ever, with their reason in stage.json; what needs somebody (wrong checksum, no space, unknown format)
ends with 1, and systemd starts it again.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import multiprocessing
import os
import sys
import time
from collections.abc import Callable
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any, Final

from images.node import NodeConfig
from images.programs import identity, settings, state
from images.programs.staging import disk, manifest, parts, worker
from images.programs.staging.s3 import SignedSource
from images.programs.staging.sources import open_source
from images.programs.staging.tokens import TokenSource
from images.programs.staging.web import Connection, Missing, Source, StoreError, Throttled, backoff

STATE_SECONDS: Final = 1.0
LOG_SECONDS: Final = 10.0
RETRY_FIRST: Final = 2.0
RETRY_MOST: Final = 60.0
"""Seconds: weights may be pushed long after the node has booted."""
REPEAT_SECONDS: Final = 600.0
"""The same reason is told in the journal again after this long."""
LOG: Final = logging.getLogger("spillway-stage")


class Failed(Exception):
    """The weights cannot be served; the message is the one line that says why."""


class Stage:
    """The weights of one node. `run` is everything."""

    def __init__(self, node: NodeConfig, sleep: Callable[[float], None] = time.sleep) -> None:
        self._node, self._sleep = node, sleep
        model = node.model
        for text in (model.name, model.revision):
            if "/" in text or manifest.path_fault(text):
                raise Failed(f"model {text!r}: no name for a folder")
        self._models = Path(node.disks.scratch) / "models"
        self._folder = self._models / model.name / model.revision
        self._part = (node.staging.part_mib or parts.PART_BYTES // parts.MIB) * parts.MIB
        self._source: Source | None = None
        self._manifest: manifest.Manifest | None = None
        self._bytes = 0
        self._from = 0
        self._written = 0.0
        self._began = time.monotonic()

    def run(self) -> None:
        """Until the weights are there. Raises Failed, with the reason in stage.json."""
        attempt, told, when = 0, "", 0.0
        while True:
            before = self._bytes
            try:
                self._attempt()
                return
            except Failed as error:
                self._tell("failed", str(error))
                raise
            except OSError as error:
                _, text = worker.error_of(error, self._folder)
                self._tell("failed", text)
                raise Failed(text) from None
            except StoreError as error:
                attempt = 1 if self._bytes > before else attempt + 1
                pause = backoff(attempt, RETRY_FIRST, RETRY_MOST)
                if isinstance(error, Throttled) and error.after is not None:
                    pause = max(pause, error.after)
                text = str(error)
                self._tell("failed", f"{text}; asked again, for ever")
                if text != told or time.monotonic() - when > REPEAT_SECONDS:
                    LOG.warning("%s; asked again, for ever", text)
                    told, when = text, time.monotonic()
                self._sleep(pause)

    def _attempt(self) -> None:
        if self._node.model.load_format == "stream":
            self._check_only()
            return
        if self._was_complete():
            return
        self._tell("running", "reading the manifest")
        self._source = open_source(self._node)
        text, found = self._read_manifest(self._source)
        self._manifest = found
        if disk.is_complete(self._folder, found):
            self._done(found, "is there already")
            return
        self._copy(found, text)

    def _was_complete(self) -> bool:
        """Whether the whole copy is there, by the manifest beside it: a revision is fixed, so after a restart or reboot
        nobody has to be asked."""
        try:
            text = (self._folder / manifest.NAME).read_bytes()
            found = manifest.parse(text, self._node.model.name, self._node.model.revision)
        except (OSError, manifest.NotAManifest):
            return False
        if found.format_fault() or not disk.is_complete(self._folder, found):
            return False
        self._manifest = found
        self._done(found, "is there already")
        return True

    def _check_only(self) -> None:
        _, found = self._read_manifest(open_source(self._node))
        self._manifest, self._bytes = found, found.bytes
        self._tell("ok", "streamed by the engine", path=self._node.model.uri)
        LOG.info("%s: %d files, %s, streamed by the engine", self._node.model.uri, len(found.files), _gb(found.bytes))

    def _read_manifest(self, source: Source) -> tuple[bytes, manifest.Manifest]:
        connection = Connection(source)
        try:
            text = connection.get(manifest.NAME, manifest.BYTES_MAX)
        except Missing as error:
            raise Missing(f"{error}: no manifest; `spillway models push` writes it last") from None
        finally:
            connection.close()
        try:
            found = manifest.parse(text, self._node.model.name, self._node.model.revision)
        except manifest.NotAManifest as error:
            raise Failed(f"{source.where}{manifest.NAME}: {error}") from None
        if fault := found.format_fault():
            raise Failed(f"{source.where}: {fault}")
        return text, found

    def _copy(self, found: manifest.Manifest, text: bytes) -> None:
        owner = self._owner()
        disk.make_folders(Path(self._node.disks.scratch), [self._folder], owner)
        lock = os.open(self._models / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            # Held by the workers as well: what is left of a killed run ends before anything is written.
            fcntl.flock(lock, fcntl.LOCK_EX)
            (self._folder / manifest.COMPLETE).unlink(missing_ok=True)
            try:
                gone = disk.make_room(self._models, self._folder, found)
            except disk.NoSpace as error:
                raise Failed(str(error)) from None
            for one in gone:
                LOG.info("removed %s: its space is needed", one)
            folders = sorted({(self._folder / file.path).parent for file in found.files})
            disk.make_folders(self._folder, folders, owner)
            self._run_workers(found, owner)
            disk.mark_complete(self._folder, found, text)
            (self._folder / manifest.JOURNAL).unlink(missing_ok=True)
        finally:
            os.close(lock)
        self._done(found, f"staged in {time.monotonic() - self._began:,.1f} s")

    def _owner(self) -> tuple[int, int] | None:
        """Who scratch belongs to, when this is root and it does not: then the copy is made as that user."""
        found = Path(self._node.disks.scratch).stat()
        return (found.st_uid, found.st_gid) if os.geteuid() == 0 and found.st_uid else None

    def _resume(self, found: manifest.Manifest) -> parts.Progress:
        """What an earlier run has left, and a journal that goes on from there."""
        path = self._folder / manifest.JOURNAL
        progress = None
        text = ""
        with contextlib.suppress(OSError):
            text = path.read_text("ascii", "replace")
            progress = parts.replay(text, found.digest, self._part, found.files)
        if progress is None:
            state.replace(path, parts.header(found.digest, self._part).encode())
            return parts.Progress()
        if not text.endswith("\n"):  # a line that a crash cut short, which the next one must not go on
            with path.open("a", encoding="ascii") as journal:
                journal.write("\n")
        for index in list(progress.files):
            if disk.stamp(self._folder / found.files[index].path, found.files[index].size) != progress.files[index]:
                del progress.files[index]
                progress.parts.pop(index, None)
        return progress

    def _run_workers(self, found: manifest.Manifest, owner: tuple[int, int] | None) -> None:
        progress = self._resume(found)
        left = [index for index in range(len(found.files)) if index not in progress.files]
        if not left:
            return
        batches = [tuple(left[i] for i in batch) for batch in parts.batches([found.files[i] for i in left])]
        shape = parts.shape(len(os.sched_getaffinity(0)), len(batches), self._node.staging.connections)
        self._bytes = self._from = progress.bytes(found.files, self._part)
        self._began = time.monotonic()
        LOG.info(
            "%s: %d files, %s, %s of it here; %d processes with %d connections each",
            self._node.model.uri,
            len(found.files),
            _gb(found.bytes),
            _gb(self._bytes),
            shape.processes,
            shape.connections,
        )
        job = worker.Job(self._folder, found, batches, progress, self._part, shape.connections)
        context = multiprocessing.get_context("fork")
        cursor = context.Value("q", 0)
        pipes, processes = [], []
        try:
            for _ in range(shape.processes):
                ours, theirs = context.Pipe(duplex=False)
                process = context.Process(
                    target=worker.process,
                    args=(job, self._source_of_worker, cursor, theirs, owner),
                    daemon=True,
                )
                process.start()
                theirs.close()
                pipes.append(ours)
                processes.append(process)
            self._listen(found, pipes)
        finally:
            for process in processes:
                process.kill()
                process.join()

    def _source_of_worker(self) -> Source:
        """The folder, in a process of its own: connections of the parent's SDK are not shared, what it found is."""
        if isinstance(self._source, SignedSource):
            return self._source.again()
        fresh = open_source(self._node)
        if isinstance(fresh, TokenSource) and isinstance(self._source, TokenSource):
            fresh.inherit(self._source)
        return fresh

    def _listen(self, found: manifest.Manifest, pipes: list[Any]) -> None:
        """What the workers tell, into journal and state, until all have ended."""
        journal = os.open(self._folder / manifest.JOURNAL, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        logged = time.monotonic()
        pipes = list(pipes)
        try:
            while pipes:
                ready: list[Any] = wait(pipes, timeout=0.5)
                for pipe in ready:
                    try:
                        message = pipe.recv()
                    except EOFError:
                        raise Failed("a process of the copy was killed") from None
                    if message[0] == "end":
                        pipes.remove(pipe)
                    elif line := self._heard(found, *message):
                        os.write(journal, line.encode())
                self._tell("running", "", often=True)
                if time.monotonic() - logged >= LOG_SECONDS:
                    logged = time.monotonic()
                    self._log_progress(found)
        finally:
            os.close(journal)

    def _heard(self, found: manifest.Manifest, kind: str, *rest: Any) -> str:
        """One message; what goes into the journal. Raises Failed or StoreError."""
        if kind == "part":
            file, number = rest
            self._bytes += min(self._part, found.files[file].size - number * self._part)
            return parts.part_line(file, number)
        if kind == "file":
            return parts.file_line(*rest)
        if kind == "drop":
            (file,) = rest
            LOG.warning("%s: wrong checksum", found.files[file].path)
            self._bytes = max(0, self._bytes - found.files[file].size)
            return parts.drop_line(file)
        if kind == "bad":
            file, digest = rest
            one = found.files[file]
            raise Failed(
                f"wrong checksum, fetched twice: {one.path} has sha256 {digest}, the manifest says {one.sha256}"
            )
        fault, text = rest
        if fault == "store":
            raise StoreError(text)
        raise Failed(text)

    def _log_progress(self, found: manifest.Manifest) -> None:
        rate = (self._bytes - self._from) / (time.monotonic() - self._began)
        left = f", {(found.bytes - self._bytes) / rate:,.0f} s left" if rate > 0 else ""
        LOG.info("%s of %s, %.2f GB/s%s", _gb(self._bytes), _gb(found.bytes), rate / 1e9, left)

    def _done(self, found: manifest.Manifest, how: str) -> None:
        self._bytes = found.bytes
        self._tell("ok", "")
        LOG.info("%s: %d files, %s, %s", self._folder, len(found.files), _gb(found.bytes), how)

    def _tell(self, name: str, reason: str, *, often: bool = False, path: str = "") -> None:
        now = time.monotonic()
        if often and now - self._written < STATE_SECONDS:
            return
        self._written = now
        total = self._manifest.bytes if self._manifest else 0
        files = len(self._manifest.files) if self._manifest else 0
        state.write(
            "stage",
            state=name,
            reason=reason,
            path=path or str(self._folder),
            bytes=self._bytes,
            total=total,
            files=files,
        )


def _gb(count: int) -> str:
    return f"{count / 1e9:,.2f} GB"


def main() -> int:
    """Exit code 0: the weights are there. 1: they cannot be, and one line said why."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    identity.quiet()
    try:
        Stage(settings.load()).run()
    except (Failed, settings.ConfigFault) as error:
        LOG.error("%s", error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
