"""A revision's `manifest.json` as a node reads it: files with size and hash, and nothing that a node would trip over.

The file is written last, so a folder that has one is whole. It comes from outside, so every path in it is judged before
anything is opened by it.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import Final

NAME: Final = "manifest.json"
COMPLETE: Final = ".complete"
JOURNAL: Final = ".parts"
RESERVED: Final = frozenset((NAME, COMPLETE, JOURNAL))
"""What the node itself writes into the folder."""
BYTES_MAX: Final = 64 << 20
"""Of a manifest; a thousand files take 150 kB."""
FILES_MAX: Final = 100_000
# Object keys have at most 1,024 bytes, of which the folder in front takes up to 200:
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html
PATH_BYTES_MAX: Final = 800
# https://man7.org/linux/man-pages/man7/path_resolution.7.html (NAME_MAX)
PART_BYTES_MAX: Final = 255
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


class NotAManifest(ValueError):
    """A text that is no manifest; the message says why, in one line."""


@dataclass(frozen=True, slots=True)
class File:
    """One file of a revision. size: bytes. sha256: hex, lower case."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """The files of one revision, sorted by path, and the SHA-256 of the text that they were read from."""

    files: tuple[File, ...]
    digest: str

    @property
    def bytes(self) -> int:
        """Of all files."""
        return sum(file.size for file in self.files)

    def format_fault(self) -> str:
        """Why vLLM could not load these files; empty when it can: config.json and safetensors, as on the hub.

        Pickled weights (*.bin, *.pt) run code when they are loaded and are refused for that:
        https://huggingface.co/docs/hub/security-pickle
        """
        paths = {file.path for file in self.files}
        if "config.json" not in paths:
            return "unknown model format: no config.json in the manifest"
        if not any(path.endswith(".safetensors") for path in paths):
            return "unknown model format: no *.safetensors in the manifest"
        return ""


def path_fault(path: object) -> str:
    """What is wrong with a path; empty when nothing is. Files are written by these: none may lead out of the folder."""
    if not isinstance(path, str) or not path:
        return "is no text"
    if len(path.encode("utf-8", "surrogatepass")) > PATH_BYTES_MAX:
        return f"is longer than {PATH_BYTES_MAX} bytes"
    if not path.isprintable() or "\\" in path:
        return "has characters that no file name should have"
    parts = path.split("/")
    if path.startswith("/") or any(part in ("", ".", "..") for part in parts):
        return "leads out of its folder"
    if any(len(part.encode()) > PART_BYTES_MAX for part in parts):
        return f"has a name longer than {PART_BYTES_MAX} bytes"
    return "is the node's own" if parts[0] in RESERVED else ""


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
        raise NotAManifest("its schemaVersion is not 1: the image is older than the push")
    if not 0 < len(body["files"]) <= FILES_MAX:
        raise NotAManifest(f"{len(body['files'])} files: 1 to {FILES_MAX:,} are allowed")
    files = sorted((_file(index, entry) for index, entry in enumerate(body["files"])), key=lambda file: file.path)
    paths = {file.path for file in files}
    if len(paths) < len(files):
        raise NotAManifest("a path stands twice")
    for path in paths:
        parts = path.split("/")
        if any("/".join(parts[:depth]) in paths for depth in range(1, len(parts))):
            raise NotAManifest("a path is a file and a folder")
    return Manifest(tuple(files), hashlib.sha256(data).hexdigest())


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
