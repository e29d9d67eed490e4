"""What changes in a resource, property by property, masked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from cost.plan.preview import Change, Unknown
from spillway.preview.secrets import Masker

LONG: Final = 100
"""Characters of a value that are shown."""
MISSING: Final = object()
Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Diff:
    """A property before and after, as texts; None where it was not there, or is not any more. replaces: because of it
    the resource is replaced."""

    path: str
    before: str | None
    after: str | None
    replaces: bool = False


def diffs(change: Change, masker: Masker) -> tuple[Diff, ...]:
    """Properties of an update or a replacement that differ, by path."""
    if change.before is None or change.after is None:
        return ()
    because = {name.partition(".")[0].partition("[")[0] for name in change.because}
    found = []
    for path, before, after in _leaves(change.before.inputs, change.after.inputs, ()):
        names = _named(change.before.inputs, change.after.inputs, path)
        was, will = _shown(before, names, masker), _shown(after, names, masker)
        if was == will and was is not None:
            will = f"{will} (another one)"
        found.append(Diff(dotted(path), was, will, str(path[0]) in because if path else False))
    return tuple(sorted(found, key=lambda one: (not one.replaces, one.path)))


def dotted(path: Path) -> str:
    """`tags.team`, `disks[0].size`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def _shown(value: Any, path: Path, masker: Masker) -> str | None:
    if value is MISSING:
        return None
    if isinstance(value, Unknown):
        return repr(value)
    if isinstance(value, Mapping | list):
        text = f"{len(value)} {'properties' if isinstance(value, Mapping) else 'items'}"
        return text if value else "empty"
    text = masker.value(value, path)
    return text if len(text) <= LONG else f"{text[: LONG - 1]}…"


def _named(before: Any, after: Any, path: Path) -> Path:
    """The path with the names of settings that come as a list of names and values, which masking goes by."""
    names: list[str | int] = []
    one, other = before, after
    for part in path:
        names.append(part)
        one, other = _at(one, part), _at(other, part)
        for value in (one, other):
            if isinstance(value, Mapping) and isinstance(name := value.get("name") or value.get("key"), str):
                names.append(name)
                break
    if len(names) > 1 and names[-1] == "value":
        names.pop()  # its setting's name says what it is
    return tuple(names)


def _at(value: Any, part: str | int) -> Any:
    if isinstance(value, Mapping) and part in value:
        return value[part]
    if isinstance(value, list) and isinstance(part, int) and part < len(value):
        return value[part]
    return MISSING


def _leaves(before: Any, after: Any, path: Path) -> Iterator[tuple[Path, Any, Any]]:
    if before == after and type(before) is type(after):
        return
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in sorted({*map(str, before), *map(str, after)}):
            if key == "__defaults":
                continue
            yield from _leaves(before.get(key, MISSING), after.get(key, MISSING), (*path, key))
    elif isinstance(before, list) and isinstance(after, list):
        for index in range(max(len(before), len(after))):
            one = before[index] if index < len(before) else MISSING
            other = after[index] if index < len(after) else MISSING
            yield from _leaves(one, other, (*path, index))
    elif not (before == after and isinstance(before, int | float) and isinstance(after, int | float)):
        yield path, before, after
