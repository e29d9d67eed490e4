"""Revisions in the buckets of several regions, with a result for each: one that fails keeps no other from going on."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from threading import Event
from typing import TYPE_CHECKING, Any, Literal

from infra.node_config import revision_prefix
from spillway.errors import SpillwayError
from spillway.models import manifest, revisions
from spillway.models.manifest import File, Manifest
from spillway.models.revisions import Revision
from spillway.models.store import Fixed, ModelStore, NoBucket, Taken, one_line, part_bytes
from spillway.models.transfer import Source, Stopped, Transfer
from spillway.regions import side_by_side

if TYPE_CHECKING:
    from infra.config import RegionConfig

Open = Callable[["RegionConfig"], ModelStore]
Report = Callable[[str, int], None]
"""(stack, bytes): that much further; a negative number takes back."""
PutState = Literal["pushed", "unchanged", "would push", "failed", "skipped"]


@dataclass(frozen=True, slots=True)
class Put:
    """What became of one revision in one region. bytes: sent; pruned: revisions deleted; old: that could be."""

    stack: str
    where: str
    state: PutState
    detail: str = ""
    files: int = 0
    bytes: int = 0
    pruned: tuple[str, ...] = ()
    old: tuple[str, ...] = ()
    again: bool = True
    """Of a failure: whether the same command, once the cause is gone, goes on."""

    @property
    def ok(self) -> bool:
        return self.state != "failed"

    @property
    def skipped(self) -> bool:
        """Whether nobody asked for this region, and its bucket is not there yet."""
        return self.state == "skipped"

    def describe(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "stack": self.stack,
            "where": self.where,
            "state": self.state,
            "detail": self.detail,
            "files": self.files,
            "bytesSent": self.bytes,
            "pruned": list(self.pruned),
            "old": list(self.old),
        }


@dataclass(frozen=True, slots=True)
class Keeping:
    """What is done about old revisions. named: (model, revision) of every stack file. prune: delete, or only tell."""

    named: Collection[tuple[str, str]]
    prune: bool


def told(error: SpillwayError) -> str:
    """An error's lines as one."""
    return one_line("; ".join(error.lines))


def put(
    regions: Sequence[RegionConfig],
    wanted: Manifest,
    source: Callable[[RegionConfig], Source],
    open_store: Open,
    parallel: int,
    keeping: Keeping,
    report: Report,
    dry_run: bool = False,
    skip_absent: bool = False,
) -> list[Put]:
    """A revision into every region's bucket, its manifest last.

    skip_absent: a bucket that is not there is no failure.
    """
    each = max(1, parallel // max(1, len(regions)))
    stop = Event()

    def one(config: RegionConfig) -> Put:
        where = ""
        try:
            store = open_store(config)
            where = store.where
            store.check()
            done = _put(config, wanted, source(config), store, each, report, stop, dry_run)
            return done if dry_run else _tidied(done, wanted.model, store, keeping)
        except NoBucket as error:
            return Put(config.stack_name, where, "skipped" if skip_absent else "failed", told(error))
        except SpillwayError as error:
            return Put(config.stack_name, where, "failed", told(error), again=not isinstance(error, Fixed))

    return side_by_side(one, regions, stop)


def _put(
    config: RegionConfig,
    wanted: Manifest,
    source: Source,
    store: ModelStore,
    parallel: int,
    report: Report,
    stop: Event,
    dry_run: bool,
) -> Put:
    stack = config.stack_name
    there = revisions.read_manifest(store, wanted.model, wanted.revision)
    if there is not None and not there.same_files(wanted):
        raise Fixed(
            f"{store.where}: {wanted.model} {wanted.revision} is there with other files: a revision is fixed, "
            "nodes may be serving it; push these as another revision"
        )
    prefix = revision_prefix(wanted.model, wanted.revision)
    if dry_run:
        missing = [file for file in wanted.files if not _arrived(store, prefix, file)]
        if not missing and there is not None:
            return Put(stack, store.where, "unchanged", "is there", 0)
        return Put(stack, store.where, "would push", "", len(missing), sum(file.size for file in missing))
    # Every file is looked at, also under a manifest: what was overwritten since has lost its noted hash.
    sent = Transfer(source, store, prefix, parallel, lambda count: report(stack, count), stop).run(wanted.files)
    if there is None:
        _write_manifest(store, prefix + manifest.NAME, wanted)
    elif not sent.files:
        return Put(stack, store.where, "unchanged", "is there")
    detail = "" if sent.files == len(wanted.files) else f"{len(wanted.files) - sent.files} files were there already"
    return Put(stack, store.where, "pushed", detail, sent.files, sent.bytes)


def _arrived(store: ModelStore, prefix: str, file: File) -> bool:
    there = store.stat(prefix + file.path)
    return there is not None and (there.size, there.sha256) == (file.size, file.sha256)


def _write_manifest(store: ModelStore, key: str, wanted: Manifest) -> None:
    data = wanted.text().encode()
    try:
        store.put(key, data, hashlib.sha256(data).hexdigest(), new=True)
    except Taken:  # somebody pushed the same at the same time, or this is the retry of a call whose answer was lost
        there = revisions.read_manifest(store, wanted.model, wanted.revision)
        if there is None or not there.same_files(wanted):
            raise


def _tidied(done: Put, model: str, store: ModelStore, keeping: Keeping) -> Put:
    """With what became of old revisions; a fault there is told, and does not undo the push."""
    try:
        extra = revisions.superfluous(revisions.inventory(store, model), keeping.named)
        if not keeping.prune:
            return replace(done, old=tuple(one.revision for one in extra))
        gone = []
        for one in extra:
            revisions.delete(store, one)
            gone.append(one.revision)
        return replace(done, pruned=tuple(gone))
    except SpillwayError as error:
        return replace(done, state="failed", detail=f"{done.state}; old revisions stay: {told(error)}")


@dataclass(frozen=True, slots=True)
class Listed:
    """What one region's bucket holds. named: the revision of the stack file."""

    stack: str
    where: str
    model: str
    named: str
    revisions: tuple[Revision, ...] = ()
    error: str = ""
    absent: bool = False
    """The bucket is not there yet, which `error` says; no fault before the first `up`."""

    @property
    def failed(self) -> bool:
        """Whether the bucket could not be looked into."""
        return bool(self.error) and not self.absent

    def describe(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "stack": self.stack,
            "where": self.where,
            "error": self.error,
            "served": {"model": self.model, "revision": self.named, "there": self.served is not None},
            "revisions": [
                {**one.describe(), "served": (one.model, one.revision) == (self.model, self.named)}
                for one in self.revisions
            ],
        }

    @property
    def served(self) -> Revision | None:
        """The revision that the stack file names, when it is whole."""
        for one in self.revisions:
            if (one.model, one.revision, one.state) == (self.model, self.named, "complete"):
                return one
        return None


def listing(regions: Sequence[RegionConfig], open_store: Open, model: str | None = None) -> list[Listed]:
    """Every region's revisions."""

    def one(config: RegionConfig) -> Listed:
        base = Listed(config.stack_name, "", config.model.name, config.model.revision)
        try:
            store = open_store(config)
            base = replace(base, where=store.where)
            store.check()
            return replace(base, revisions=tuple(revisions.inventory(store, model)))
        except NoBucket as error:
            return replace(base, error=told(error), absent=True)
        except SpillwayError as error:
            return replace(base, error=told(error))

    return side_by_side(one, regions)


@dataclass(frozen=True, slots=True)
class Verified:
    """Whether one region's copy is what its manifest says."""

    stack: str
    where: str
    model: str
    revision: str
    ok: bool
    files: int = 0
    bytes: int = 0
    faults: tuple[str, ...] = ()

    def describe(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "stack": self.stack,
            "where": self.where,
            "model": self.model,
            "revision": self.revision,
            "ok": self.ok,
            "files": self.files,
            "bytes": self.bytes,
            "faults": list(self.faults),
        }


def verify(
    regions: Sequence[RegionConfig],
    chosen: Callable[[RegionConfig], tuple[str, str]],
    open_store: Open,
    parallel: int,
    report: Report,
    quick: bool = False,
) -> list[Verified]:
    """Read every file again and hash it; quick: only sizes, and the hashes that were noted at the push."""
    each = max(1, parallel // max(1, len(regions)))
    stop = Event()

    def one(config: RegionConfig) -> Verified:
        model, revision = chosen(config)
        base = Verified(config.stack_name, "", model, revision, False)
        try:
            store = open_store(config)
            base = replace(base, where=store.where)
            store.check()
            listed = revisions.read_manifest(store, model, revision)
            if listed is None:
                return replace(base, faults=("manifest.json is not there: never pushed, or not to its end",))
            prefix = revision_prefix(model, revision)

            def judge(file: File) -> str:
                fault = _fault(store, prefix, file, quick, lambda count: report(config.stack_name, count), stop)
                return f"{file.path}: {fault}" if fault else ""

            with ThreadPoolExecutor(each, thread_name_prefix="verify") as pool:
                faults = tuple(fault for fault in pool.map(judge, listed.files) if fault)
            return replace(base, ok=not faults, files=len(listed.files), bytes=listed.bytes, faults=faults)
        except SpillwayError as error:
            return replace(base, faults=(told(error),))

    return side_by_side(one, regions, stop)


def _fault(store: ModelStore, prefix: str, file: File, quick: bool, advance: Callable[[int], None], stop: Event) -> str:
    there = store.stat(prefix + file.path)
    if there is None:
        return "is missing"
    if there.size != file.size:
        return f"has {there.size:,} bytes instead of {file.size:,}"
    if quick:
        advance(file.size)
        return "" if there.sha256 in (file.sha256, "") else "was pushed with another sha256"
    digest, size = hashlib.sha256(), part_bytes(file.size)
    for start in range(0, file.size, size):
        if stop.is_set():
            raise Stopped
        data = store.read(prefix + file.path, start, min(size, file.size - start))
        digest.update(data)
        advance(len(data))
    return "" if digest.hexdigest() == file.sha256 else "its content is another (sha256 differs)"
