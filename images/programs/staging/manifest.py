"""A revision's `manifest.json` as a node reads it: files with size and hash, and nothing that a node would trip over.

The file is written last, so a folder that has one is whole.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

from images.programs.staging import entries
from images.programs.staging.entries import BYTES_MAX, NAME, File, NotAManifest

__all__ = ["BYTES_MAX", "COMPLETE", "JOURNAL", "NAME", "File", "Manifest", "NotAManifest", "parse", "path_fault"]

COMPLETE: Final = ".complete"
JOURNAL: Final = ".parts"
RESERVED: Final = frozenset((NAME, COMPLETE, JOURNAL))
"""What the node itself writes into the folder."""
# https://man7.org/linux/man-pages/man7/path_resolution.7.html (NAME_MAX)
PART_BYTES_MAX: Final = 255


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
    """What is wrong with a path; empty when nothing is: what no manifest may hold, and what this folder cannot."""
    if (fault := entries.path_fault(path)) or not isinstance(path, str):
        return fault
    parts = path.split("/")
    if any(len(part.encode()) > PART_BYTES_MAX for part in parts):
        return f"has a name longer than {PART_BYTES_MAX} bytes"
    return "is the node's own" if parts[0] in RESERVED else ""


def parse(data: bytes, model: str, revision: str) -> Manifest:
    """The manifest of a revision. Raises NotAManifest, also for one that says it is another revision's."""
    _, files = entries.read(data, model, revision, other_schema="the image is older than the push", judge=path_fault)
    paths = {file.path for file in files}
    for path in paths:
        parts = path.split("/")
        if any("/".join(parts[:depth]) in paths for depth in range(1, len(parts))):
            raise NotAManifest("a path is a file and a folder")
    return Manifest(tuple(files), hashlib.sha256(data).hexdigest())
