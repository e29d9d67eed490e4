"""The pointer to the revision that is served: `model.revision` of a stack file, and nothing else.

It is the stack file's because a node is told one fixed folder, with its launch template, and its role may read that
folder only. A pointer in the bucket would be a second truth beside it: no preview would show it, no commit would hold
it, nodes of one pool could serve different weights, and every role would have to read all revisions. Running nodes have
to be replaced either way, as weights are loaded once.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

import yaml

from infra.config import load_stack_file
from infra.stackfile import REGION_KEY, display_name
from spillway.errors import SpillwayError

if TYPE_CHECKING:
    from collections.abc import Mapping

_WAY: Final = ("config", REGION_KEY, "model", "revision")


def edited(text: str, revision: str, name: str) -> str:
    """A stack file's text with another `model.revision`; every other byte stays, comments included.

    Raises SpillwayError when the file has none to replace. The value is put in quotes: `2025-01-20` would be a date.
    """
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError:
        raise SpillwayError(f"{name}: not YAML") from None
    for step in _WAY:
        pairs = node.value if isinstance(node, yaml.MappingNode) else []
        node = next((value for key, value in pairs if key.value == step), None)
    if not isinstance(node, yaml.ScalarNode):
        raise SpillwayError(f"{name}: {'.'.join(_WAY[1:])} is not there")
    if node.style in ("|", ">"):
        raise SpillwayError(f"{name}: {'.'.join(_WAY[1:])} is written over several lines; edit it by hand")
    return f'{text[: node.start_mark.index]}"{revision}"{text[node.end_mark.index :]}'


def switch(files: Mapping[Path, str], revision: str) -> None:
    """Let all these stack files (path -> stack) name a revision: all of them, or none.

    Every new text is loaded as the program would load it, before the first file changes.
    """
    try:
        changed = {path: (path.read_bytes(), _proven(path, stack, revision)) for path, stack in files.items()}
        done: list[Path] = []
        try:
            for path, (_, after) in changed.items():
                _replace(path, after)
                done.append(path)
        except OSError:
            for path in done:
                _replace(path, changed[path][0])
            raise
    except OSError as error:
        raise SpillwayError(f"{error.filename}: {error.strerror}; no stack file was changed") from None


def _proven(path: Path, stack: str, revision: str) -> bytes:
    """The new content; in bytes, so that line ends stay as they are."""
    name = display_name(path)
    try:
        after = edited(path.read_bytes().decode("utf-8"), revision, name).encode()
    except UnicodeDecodeError:
        raise SpillwayError(f"{name}: not UTF-8 text") from None
    with tempfile.TemporaryDirectory() as empty:  # alone: neighbours are not what changes
        draft = Path(empty) / path.name
        draft.write_bytes(after)
        if load_stack_file(draft, stack).model.revision != revision:
            raise SpillwayError(f"{name}: {'.'.join(_WAY[1:])} could not be replaced; edit it by hand")
    return after


def _replace(path: Path, data: bytes) -> None:
    """Whole or not at all."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        draft.write_bytes(data)
        draft.chmod(path.stat().st_mode & 0o777)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
