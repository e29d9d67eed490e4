"""What a bucket holds, revision by revision; which of them are kept."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal

from infra.node_config import revision_prefix
from spillway.models import manifest
from spillway.models.manifest import Manifest
from spillway.models.store import BucketError, ModelStore, Stored

KEPT: Final = 3
"""Revisions of a model that stay without being named: the one served, the one before, and one more."""
State = Literal["complete", "incomplete", "damaged"]
EPOCH: Final = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True, slots=True)
class Revision:
    """One folder `models/<model>/<revision>/`.

    complete: every file of the manifest is there in its size. incomplete: no manifest yet. damaged: it has one, and
    something is missing or of another size (`fault` says what).
    """

    model: str
    revision: str
    state: State
    objects: int
    bytes: int
    created: datetime
    manifest: Manifest | None = None
    fault: str = ""

    def describe(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "model": self.model,
            "revision": self.revision,
            "state": self.state,
            "files": self.objects,
            "bytes": self.bytes,
            "created": self.created.isoformat(),
            "fault": self.fault,
        }


def read_manifest(store: ModelStore, model: str, revision: str) -> Manifest | None:
    """The manifest of a revision, None without one. Raises BucketError for one that cannot be understood."""
    key = revision_prefix(model, revision) + manifest.NAME
    data = store.get(key, manifest.BYTES_MAX)
    if data is None:
        return None
    try:
        return manifest.parse(data, model, revision)
    except manifest.NotAManifest as error:
        raise BucketError(f"{store.where}/{key}: {error}") from None


def inventory(store: ModelStore, model: str | None = None, revision: str | None = None) -> list[Revision]:
    """The revisions of a bucket (of one model, or only one), newest first within a model."""
    prefix = "models/" if model is None else f"models/{model}/"
    if model is not None and revision is not None:
        prefix = revision_prefix(model, revision)
    folders: dict[tuple[str, str], dict[str, Stored]] = {}
    for one in store.list(prefix):
        parts = one.key.split("/", 3)
        if len(parts) == 4 and parts[3]:
            folders.setdefault((parts[1], parts[2]), {})[parts[3]] = one
    found = [_revision(store, *name, objects) for name, objects in folders.items()]
    return sorted(found, key=lambda one: (one.model, -one.created.timestamp(), one.revision))


def _revision(store: ModelStore, model: str, revision: str, objects: dict[str, Stored]) -> Revision:
    written = objects.pop(manifest.NAME, None)
    size = sum(one.size for one in objects.values())
    latest = max((one.modified or EPOCH for one in (written, *objects.values()) if one), default=EPOCH)
    if written is None:
        return Revision(model, revision, "incomplete", len(objects), size, latest, None, "no manifest.json yet")
    try:
        listed = read_manifest(store, model, revision)
    except BucketError as error:
        return Revision(model, revision, "damaged", len(objects), size, latest, None, str(error).rpartition(": ")[2])
    if listed is None:  # taken away between the two calls
        return Revision(model, revision, "incomplete", len(objects), size, latest, None, "no manifest.json yet")
    faults = list(differences(listed, objects))
    created = listed.created or written.modified or EPOCH
    state: State = "damaged" if faults else "complete"
    told = "; ".join(faults[:3]) + ("; ..." if len(faults) > 3 else "")
    return Revision(model, revision, state, len(listed.files), listed.bytes, created, listed, told)


def differences(listed: Manifest, objects: dict[str, Stored]) -> Iterator[str]:
    """What a listing shows to be wrong: files that are missing or of another size."""
    for file in listed.files:
        there = objects.get(file.path)
        if there is None:
            yield f"{file.path} is missing"
        elif there.size != file.size:
            yield f"{file.path} has {there.size:,} bytes instead of {file.size:,}"


def superfluous(found: Sequence[Revision], named: Collection[tuple[str, str]], kept: int = KEPT) -> list[Revision]:
    """The revisions that may go: neither among the newest `kept` of their model, nor named by a stack file.

    One without a manifest is never among them: it may be arriving just now.
    """
    extra = []
    for model in {one.model for one in found}:
        whole = [one for one in found if one.model == model and one.state != "incomplete"]
        whole.sort(key=lambda one: (one.created, one.revision), reverse=True)
        extra += [one for one in whole[kept:] if (one.model, one.revision) not in named]
    return sorted(extra, key=lambda one: (one.model, one.created, one.revision))


def delete(store: ModelStore, revision: Revision) -> int:
    """Delete a revision, its manifest first: what is half gone must not look whole. Returns the number of objects."""
    prefix = revision_prefix(revision.model, revision.revision)
    keys = [one.key for one in store.list(prefix)]
    own = prefix + manifest.NAME
    if own in keys:
        store.delete([own])
    store.delete([key for key in keys if key != own])
    return len(keys)
