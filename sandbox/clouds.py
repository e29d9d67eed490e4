"""The clouds that have a stand-in, and where the stand-ins keep their state."""

from __future__ import annotations

import importlib
import os
import re
import shutil
from pathlib import Path

from sandbox.kinds import Registry
from spillway.errors import SpillwayError

DISTRIBUTIONS = {
    "aws": "pulumi-aws",
    "azure-native": "pulumi-azure-native",
    "cloudflare": "pulumi-cloudflare",
    "gcp": "pulumi-gcp",
    "tencentcloud": "tencentcloud-iac-pulumi",
}
"""Pulumi package -> the distribution on PyPI whose schema the stand-in enforces."""


WORDS = {"azure": "azure-native", "tencent": "tencentcloud"}
"""What stack files call a cloud -> its Pulumi package; the others have one name."""


def package_of(word: str) -> str:
    """The Pulumi package of a cloud, by that name or by the stack files'; anything else (a pattern) as it is."""
    return WORDS.get(word, word)


def known_clouds() -> str:
    """The words that are taken for a cloud, for error lines."""
    other = {package: word for word, package in WORDS.items()}
    return ", ".join(f"{other[name]} ({name})" if name in other else name for name in DISTRIBUTIONS)


def registry(package: str) -> Registry:
    """The registry of a cloud, with all its types loaded."""
    module = package.replace("-", "_")
    found: Registry = getattr(importlib.import_module(f"sandbox.{module}"), module.upper())
    return found


VARIABLE = "SPILLWAY_SANDBOX_DIR"
_TAG = ".gitignore"
_TAG_TEXT = "# A sandbox of Spillway: `spillway sandbox reset` deletes it.\n*\n"
_CONTENTS = re.compile(
    r"\.?\.gitignore(\.\d+)?|\.lock|project|backend|home|logs|models|functions|\.?weather\.yaml(\.\d+)?|"
    r"(clouds|weather)\.sqlite3(-wal|-shm|-journal|\.lock)?"
)
"""All that a sandbox makes in its directory; whatever else lies there is somebody's."""
WEATHER = "weather.yaml"
"""The file that says what the stand-in clouds are short of."""
_BY_HAND = {WEATHER}
"""What a person may put there before the first command."""


def sandbox_dir() -> Path:
    """`$SPILLWAY_SANDBOX_DIR`, or `.sandbox/` in the working directory. Raises SpillwayError when that is a file."""
    directory = Path(os.environ.get(VARIABLE) or ".sandbox").absolute()
    if directory.exists() and not directory.is_dir():
        raise SpillwayError(f"{VARIABLE} = {directory}: has to be a directory, and is not")
    return directory


def is_sandbox(directory: Path) -> bool:
    """Whether this program made the directory."""
    try:
        tagged = (directory / _TAG).read_text(errors="replace") == _TAG_TEXT
    except OSError:
        tagged = False
    return tagged or any((directory / mark).exists() for mark in ("clouds.sqlite3", "project/copied.json"))


def claim(directory: Path) -> None:
    """Make the directory and tag it (which also hides it from git), or see that it is a sandbox already.

    Raises SpillwayError for a directory with other things in it: `home/` of a sandbox in `/` would be everybody's, and
    `reset` would take it away.
    """
    directory.mkdir(parents=True, exist_ok=True)
    refuse_others(directory)
    if not is_sandbox(directory):
        write_whole(directory / _TAG, _TAG_TEXT)


def refuse_others(directory: Path) -> None:
    """Raises SpillwayError for a directory that is no sandbox and holds more than a person puts there beforehand."""
    if not directory.exists() or is_sandbox(directory):
        return
    others = [e for e in directory.iterdir() if e.name not in _BY_HAND and not e.name.startswith(f".{_TAG}.")]
    if others and not is_sandbox(directory):  # asked again: another process may have just made it
        raise SpillwayError(f"{VARIABLE} = {directory}: holds other things; name a new or an empty directory")


def write_whole(path: Path, text: str) -> None:
    """Write only what changed, whole or not at all: another command may be reading."""
    if path.exists() and path.read_text(errors="replace") == text:
        return
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(text)
    draft.replace(path)


def dismantle(directory: Path) -> list[str]:
    """Delete what a sandbox made, and the directory when nothing else is in it; returns what was left."""
    left = []
    entries = sorted(directory.iterdir(), key=lambda entry: entry.name == _TAG)  # last: interrupted, it stays a sandbox
    for entry in entries:
        if not _CONTENTS.fullmatch(entry.name):
            left.append(entry.name)
        elif entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink(missing_ok=True)
    if not left:
        (directory.unlink if directory.is_symlink() else directory.rmdir)()
    return left
