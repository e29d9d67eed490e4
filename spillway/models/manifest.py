"""A revision's manifest: its files with size and hash. Written last, so a folder that has one is whole.

`models/<name>/<revision>/manifest.json`:

    {"schemaVersion": 1, "model": "...", "revision": "...", "created": "2026-11-26T12:00:00Z", "bytes": 141107412992,
     "files": [{"path": "config.json", "size": 826, "sha256": "..."}, ...]}

A node needs `files` only. Paths are relative to the manifest, with slashes, sorted.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

NAME: Final = "manifest.json"
BYTES_MAX: Final = 64 << 20
"""Of a manifest; a thousand files take 150 kB."""
FILES_MAX: Final = 100_000
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
# Object keys have at most 1,024 bytes on all three clouds; the folder in front takes up to 200 of them:
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html
PATH_BYTES_MAX: Final = 800


class NotAManifest(ValueError):
    """A text that is no manifest; the message says why."""


@dataclass(frozen=True, slots=True, order=True)
class File:
    """One file of a revision. size: bytes. sha256: hex, lower case."""

    path: str
    size: int
    sha256: str


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
    """What is wrong with a path; empty when nothing is. A node writes files by these: none may lead out."""
    if not isinstance(path, str) or not path:
        return "is no text"
    if len(path.encode("utf-8", "surrogatepass")) > PATH_BYTES_MAX:
        return f"is longer than {PATH_BYTES_MAX} bytes"
    if not path.isprintable() or "\\" in path:
        return "has characters that no file name should have"
    if path.startswith("/") or any(part in ("", ".", "..") for part in path.split("/")):
        return "leads out of its folder"
    return "is the manifest's own" if path == NAME else ""


def parse(data: bytes, model: str, revision: str) -> Manifest:
    """The manifest of a revision. Raises NotAManifest, also for one that says it is another revision's."""
    try:
        body = json.loads(data)
    except (ValueError, RecursionError):
        raise NotAManifest("not JSON") from None
    if not isinstance(body, dict) or not isinstance(body.get("files"), list):
        raise NotAManifest("no object with a list `files`")
    for key, wanted in (("model", model), ("revision", revision)):
        if body.get(key, wanted) != wanted:
            raise NotAManifest(f"its {key} is not {wanted}")
    if body.get("schemaVersion", 1) != 1:
        raise NotAManifest("its schemaVersion is not 1: made by a newer spillway")
    if not 0 < len(body["files"]) <= FILES_MAX:
        raise NotAManifest(f"{len(body['files'])} files: 1 to {FILES_MAX:,} are allowed")
    files = [_file(index, entry) for index, entry in enumerate(body["files"])]
    if len({file.path for file in files}) < len(files):
        raise NotAManifest("a path stands twice")
    return Manifest(model, revision, tuple(sorted(files)), _time(body.get("created")))


def _file(index: int, entry: object) -> File:
    if not isinstance(entry, dict):
        raise NotAManifest(f"files[{index}] is no object")
    if fault := path_fault(entry.get("path")):
        raise NotAManifest(f"files[{index}].path {fault}")
    size, sha256 = entry.get("size"), entry.get("sha256")
    if isinstance(size, bool) or not isinstance(size, int) or size < 0:
        raise NotAManifest(f"files[{index}].size is no number of bytes")
    if not isinstance(sha256, str) or not _SHA256.fullmatch(sha256):
        raise NotAManifest(f"files[{index}].sha256 has to be 64 hex digits in lower case")
    return File(entry["path"], size, sha256)


def _time(value: object) -> datetime | None:
    if value is None:
        return None
    try:
        found = datetime.fromisoformat(str(value).replace("Z", "+00:00"))
    except ValueError:
        raise NotAManifest("created is no time such as 2026-11-26T12:00:00Z") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
