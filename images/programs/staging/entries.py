"""What a revision's `manifest.json` has to say of its files, as whoever writes it and the nodes that read it agree.

It comes from outside, so every path in it is judged before anything is opened by it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

NAME: Final = "manifest.json"
BYTES_MAX: Final = 64 << 20
"""Of a manifest; a thousand files take 150 kB."""
FILES_MAX: Final = 100_000
# Object keys have at most 1,024 bytes on all three clouds; the folder in front takes up to 200 of them:
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html
PATH_BYTES_MAX: Final = 800
SIZE_MAX: Final = 2**63 - 1
"""Bytes of a file: offsets are signed 64-bit numbers (https://man7.org/linux/man-pages/man3/off_t.3type.html)."""
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


class NotAManifest(ValueError):
    """A text that is no manifest; the message says why, in one line."""


@dataclass(frozen=True, slots=True, order=True)
class File:
    """One file of a revision. size: bytes. sha256: hex, lower case."""

    path: str
    size: int
    sha256: str


def path_fault(path: object) -> str:
    """What is wrong with a path; empty when nothing is. Files are written by these: none may lead out of the folder."""
    if not isinstance(path, str) or not path:
        return "is no text"
    if len(path.encode("utf-8", "surrogatepass")) > PATH_BYTES_MAX:
        return f"is longer than {PATH_BYTES_MAX} bytes"
    if not path.isprintable() or "\\" in path:
        return "has characters that no file name should have"
    if path.startswith("/") or any(part in ("", ".", "..") for part in path.split("/")):
        return "leads out of its folder"
    return ""


def read(
    data: bytes, model: str, revision: str, *, other_schema: str, judge: Callable[[object], str]
) -> tuple[dict[str, Any], list[File]]:
    """The manifest's object, and its files sorted by path. other_schema: what it means that the schema is another one.
    judge: what is wrong with a path. Raises NotAManifest, also for one that says it is another revision's."""
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
        raise NotAManifest(f"its schemaVersion is not 1: {other_schema}")
    if not 0 < len(body["files"]) <= FILES_MAX:
        raise NotAManifest(f"{len(body['files'])} files: 1 to {FILES_MAX:,} are allowed")
    files = sorted(_file(index, entry, judge) for index, entry in enumerate(body["files"]))
    if len({file.path for file in files}) < len(files):
        raise NotAManifest("a path stands twice")
    return body, files


def _file(index: int, entry: object, judge: Callable[[object], str]) -> File:
    if not isinstance(entry, dict):
        raise NotAManifest(f"files[{index}] is no object")
    if fault := judge(entry.get("path")):
        raise NotAManifest(f"files[{index}].path {fault}")
    size, sha256 = entry.get("size"), entry.get("sha256")
    if isinstance(size, bool) or not isinstance(size, int) or not 0 <= size <= SIZE_MAX:
        raise NotAManifest(f"files[{index}].size is no number of bytes")
    if not isinstance(sha256, str) or not _SHA256.fullmatch(sha256):
        raise NotAManifest(f"files[{index}].sha256 has to be 64 hex digits in lower case")
    return File(entry["path"], size, sha256)
