"""The property-level difference between two sets of inputs, and which differences replace the resource."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from sandbox.values import UNKNOWN, join, path_above, path_is, path_matches

Change = Literal["add", "delete", "update"]


def changes(
    old: Mapping[str, Any], new: Mapping[str, Any], *, sets: Sequence[str] = (), documents: Sequence[str] = ()
) -> dict[str, Change]:
    """Path -> kind of change, for every leaf that differs.

    sets: patterns of lists whose order means nothing. documents: patterns of JSON texts, compared by meaning.
    An unknown new value differs from everything, as nobody can say that it will not.
    """
    return dict(_walk(dict(old), dict(new), "", sets, documents))


def _walk(old: Any, new: Any, path: str, sets: Sequence[str], documents: Sequence[str]) -> Iterator[tuple[str, Change]]:
    if new is UNKNOWN:
        yield path, "update" if old is not None else "add"
    elif old is None and new is None:
        return
    elif old is None:
        yield path, "add"
    elif new is None:
        yield path, "delete"
    elif isinstance(old, dict) and isinstance(new, dict):
        for key in [*new, *(k for k in old if k not in new)]:
            if key != "__defaults":
                yield from _walk(old.get(key), new.get(key), join(path, key), sets, documents)
    elif isinstance(old, list) and isinstance(new, list):
        if any(path_is(path, pattern) for pattern in sets):
            old, new = _ordered_like(old, new)
        for i in range(max(len(old), len(new))):
            before = old[i] if i < len(old) else None
            after = new[i] if i < len(new) else None
            yield from _walk(before, after, f"{path}[{i}]", sets, documents)
    elif old != new or isinstance(old, bool) != isinstance(new, bool):
        if any(path_is(path, pattern) for pattern in documents) and _same_document(old, new):
            return
        yield path, "update"


def _ordered_like(old: list[Any], new: list[Any]) -> tuple[list[Any], list[Any]]:
    """Both lists with what they share first, in one order, so that only real differences line up as such."""
    rest_new = list(new)
    common = []
    rest_old = []
    for item in old:
        if item in rest_new and item is not UNKNOWN:
            rest_new.remove(item)
            common.append(item)
        else:
            rest_old.append(item)
    return common + rest_old, common + rest_new


def _same_document(old: Any, new: Any) -> bool:
    try:
        return bool(json.loads(old) == json.loads(new))
    except (TypeError, ValueError):
        return False


def replacing(paths: Mapping[str, Change], patterns: Sequence[str]) -> list[str]:
    """The changed paths that force a replacement: at or below a pattern, or above one (a whole block added)."""
    hit = []
    for path in paths:
        for pattern in patterns:
            if path_matches(path, pattern) or path_above(path, pattern):
                hit.append(path)
                break
    return hit
