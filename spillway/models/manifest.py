"""A revision's manifest: its files with size and hash. Written last, so a folder that has one is whole.

`models/<name>/<revision>/manifest.json`:

    {"schemaVersion": 1, "model": "...", "revision": "...", "created": "2026-11-26T12:00:00Z", "bytes": 141107412992,
     "files": [{"path": "config.json", "size": 826, "sha256": "..."}, ...]}

A node needs `files` only. Paths are relative to the manifest, with slashes, sorted.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from images.programs.staging import entries
from images.programs.staging.entries import BYTES_MAX, FILES_MAX, NAME, File, NotAManifest

__all__ = ["BYTES_MAX", "FILES_MAX", "NAME", "File", "Manifest", "NotAManifest", "make", "parse", "path_fault"]


@dataclass(frozen=True, slots=True)
class Manifest:
    """The files of one revision, sorted by path."""

    model: str
    revision: str
    files: tuple[File, ...]
    created: datetime | None = None

    @property
    def bytes(self) -> int:
        """Of all files."""
        return sum(file.size for file in self.files)

    def same_files(self, other: Manifest) -> bool:
        """Whether both are the same weights, whenever they were pushed."""
        return self.files == other.files

    def text(self) -> str:
        """As it is stored."""
        body: dict[str, Any] = {"schemaVersion": 1, "model": self.model, "revision": self.revision}
        if self.created is not None:
            body["created"] = self.created.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        body["bytes"] = self.bytes
        body["files"] = [{"path": f.path, "size": f.size, "sha256": f.sha256} for f in self.files]
        return json.dumps(body, indent=1) + "\n"


def make(model: str, revision: str, files: Iterable[File], created: datetime) -> Manifest:
    """A new manifest of these files."""
    return Manifest(model, revision, tuple(sorted(files)), created.replace(microsecond=0))


def path_fault(path: object) -> str:
    """What is wrong with a path; empty when nothing is."""
    return entries.path_fault(path) or ("is the manifest's own" if path == NAME else "")


def parse(data: bytes, model: str, revision: str) -> Manifest:
    """The manifest of a revision. Raises NotAManifest, also for one that says it is another revision's."""
    body, files = entries.read(data, model, revision, other_schema="made by a newer spillway", judge=path_fault)
    return Manifest(model, revision, tuple(files), _time(body.get("created")))


def _time(value: object) -> datetime | None:
    if value is None:
        return None
    try:
        found = datetime.fromisoformat(str(value).replace("Z", "+00:00"))
    except ValueError:
        raise NotAManifest("created is no time such as 2026-11-26T12:00:00Z") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
