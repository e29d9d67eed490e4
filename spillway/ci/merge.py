"""Documents of single stacks become one: what jobs of a matrix left, and a row for each that left nothing."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Final

from spillway.ci.reading import NAME, read
from spillway.ci.sticky import fitted
from spillway.errors import SpillwayError
from spillway.preview.document import Document, Failover, StackRow
from spillway.preview.markdown import LIMIT, as_markdown

TITLE: Final = "Preview of infrastructure changes"
NOTHING: Final = "its preview left no result: the job failed before it, or was cancelled"


def found(folders: Sequence[Path]) -> list[Path]:
    """Every `preview.json` in or below folders, and files named as such; in the order of their names."""
    files: set[Path] = set()
    for folder in folders:
        if folder.is_file():
            files.add(folder)
        elif folder.is_dir():
            files |= {one for one in folder.rglob(NAME) if one.is_file() and not one.is_symlink()}
        else:
            raise SpillwayError(f"{folder}: there is no such file or folder")
    return sorted(files)


def read_all(folders: Sequence[Path]) -> tuple[list[Document], dict[str, str]]:
    """(documents, stack -> why its own cannot be read). A file's stack is the name of its folder, as far as that goes:
    one that is broken costs its own row alone."""
    documents: list[Document] = []
    broken: dict[str, str] = {}
    for path in found(folders):
        try:
            documents.append(read(path))
        except SpillwayError as error:
            broken[path.parent.name.removeprefix("preview-")] = error.lines[0]
    return documents, broken


def merge(
    documents: Sequence[Document],
    *,
    expected: Mapping[str, str] | None = None,
    left_out: Mapping[str, str] | None = None,
    broken: Mapping[str, str] | None = None,
    budget: Decimal | None = None,
) -> Document:
    """One document. expected: stack -> what touched it, of all that were to be previewed; left_out: stack -> why it
    was not to be; broken: stack -> why its result cannot be read; budget: USD a month of all stacks together.

    Raises SpillwayError for two results of one stack and for results of several commits: no table tells both.
    """
    rows: dict[str, StackRow] = {}
    failovers: dict[str, Failover] = {}
    for one in documents:
        for row in one.rows:
            if row.stack in rows:
                raise SpillwayError(f"{row.stack}: two results of one stack; give one folder for each")
            rows[row.stack] = row
        failovers |= {each.stack: each for each in one.failovers}
    why_broken = dict(broken or {})
    missing = [stack for stack in expected or {} if stack not in rows]
    if len(missing) == len(why_broken) == 1:  # a download of one artifact has no folder of its name
        why_broken = {missing[0]: next(iter(why_broken.values()))}
    for stack, path in (expected or {}).items():
        if stack not in rows:
            why = why_broken.get(stack, NOTHING)
            rows[stack] = StackRow(stack, "failed", path, {}, None, (), None, (), (why,))
    stray = {stack: why for stack, why in why_broken.items() if stack not in rows}
    if stray:
        raise SpillwayError(*stray.values())
    # The engine writes a salt into the stack file that it previews: a checkout of the same commit differs (+) or not.
    head = _one("commits", [one.head.removesuffix("+") for one in documents])
    places = {one.where for one in documents}
    notes = list(dict.fromkeys(note for one in documents for note in one.notes))
    if len(places) == 2:
        names = sorted(row.stack for one in documents if one.where == "sandbox" for row in one.rows)
        notes.append(f"On stand-in clouds: {', '.join(names)}.")
    out = dict(left_out or {})
    for one in documents:
        out |= one.left_out
    return Document(
        documents[0].title if documents else TITLE,
        "account" if "account" in places else "sandbox",
        _bases([one.base for one in documents]),
        head,
        tuple(rows[stack] for stack in sorted(rows)),
        tuple(failovers[stack] for stack in sorted(failovers)),
        budget,
        {stack: out[stack] for stack in sorted(out)},
        tuple(notes),
    )


def markdown(found: Document, limit: int = LIMIT) -> str:
    """The document as a comment, whatever its size: of hundreds of stacks even the summary is cut."""
    try:
        return as_markdown(found, limit)
    except ValueError:
        return fitted(as_markdown(found, sys.maxsize), limit)


def only(found: Document, stack: str) -> Document:
    """The document of one of its stacks."""
    rows = tuple(row for row in found.rows if row.stack == stack)
    failovers = tuple(one for one in found.failovers if one.stack == stack)
    return replace(found, rows=rows, failovers=failovers, left_out={}, budget=None)


def _one(what: str, values: Sequence[str]) -> str:
    names = sorted(set(values))
    if len(names) > 1:
        raise SpillwayError(f"results of several {what} do not go into one document: {', '.join(names)}")
    return names[0] if names else "the checkout"


def _bases(values: Sequence[str]) -> str:
    """A branch may move between two jobs; both are told then."""
    return " and ".join(dict.fromkeys(values)) or "what is deployed"
