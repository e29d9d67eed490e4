"""The pointer to the revision that is served: `model.revision` of a stack file, and nothing else.

It is the stack file's because a node is told one fixed folder, with its launch template, and its role may read that
folder only. A pointer in the bucket would be a second truth beside it: no preview would show it, no commit would hold
it, nodes of one pool could serve different weights, and every role would have to read all revisions. Running nodes have
to be replaced either way, as weights are loaded once.
"""

from __future__ import annotations

import os
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
    node = yaml.compose(text, Loader=yaml.SafeLoader)
    for step in _WAY:
        pairs = node.value if isinstance(node, yaml.MappingNode) else []
        node = next((value for key, value in pairs if key.value == step), None)
    if not isinstance(node, yaml.ScalarNode):
        raise SpillwayError(f"{name}: {'.'.join(_WAY[1:])} is not there")
    return f'{text[: node.start_mark.index]}"{revision}"{text[node.end_mark.index :]}'


def switch(files: Mapping[Path, str], revision: str) -> None:
    """Let all these stack files (path -> stack) name a revision: all of them, or none.

    Every new text is written beside its file and loaded as the program would load it, before the first file changes.
    """
    drafts: list[tuple[Path, Path, bytes]] = []
    try:
        for path, stack in files.items():
            before = path.read_bytes()
            draft = path.with_name(f".{path.name}.{os.getpid()}")
            drafts.append((draft, path, before))
            # Bytes, not text: line ends stay as they are.
            draft.write_bytes(edited(before.decode("utf-8"), revision, display_name(path)).encode())
            _prove(draft, path, stack, revision)
        done: list[tuple[Path, bytes]] = []
        try:
            for draft, path, before in drafts:
                draft.chmod(path.stat().st_mode & 0o777)
                draft.replace(path)
                done.append((path, before))
        except OSError:
            for path, before in done:
                path.write_bytes(before)
            raise
    except OSError as error:
        raise SpillwayError(f"{error.filename}: {error.strerror}; no stack file was changed") from None
    finally:
        for draft, _, _ in drafts:
            draft.unlink(missing_ok=True)


def _prove(draft: Path, path: Path, stack: str, revision: str) -> None:
    try:
        loaded = load_stack_file(draft, stack)
    except SpillwayError as error:
        raise SpillwayError(*(line.replace(display_name(draft), display_name(path)) for line in error.lines)) from None
    if loaded.model.revision != revision:
        raise SpillwayError(f"{display_name(path)}: {'.'.join(_WAY[1:])} could not be replaced; edit it by hand")
