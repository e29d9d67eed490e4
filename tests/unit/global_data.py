"""The shipped global stacks to change in tests, and the faults that a change leads to."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from infra import stackfile
from infra.dns.config import parse_global
from infra.dns.sections import GlobalStack
from infra.faults import ConfigError
from tests.unit.stack_data import DROP, STACKS

FILES = ("global", "global-cloudflare", "global-traffic-manager")


@cache
def _shipped(stack: str) -> dict[str, Any]:
    data: dict[str, Any] = stackfile.read(STACKS / f"Pulumi.{stack}.yaml")[stackfile.GLOBAL_KEY]
    return data


def world(changes: dict[str, Any] | None = None, stack: str = "global") -> dict[str, Any]:
    """A shipped global stack with values set (or, with DROP, removed) by dotted key; numbers are places in lists."""
    data = copy.deepcopy(_shipped(stack))
    for key, value in (changes or {}).items():
        *path, last = (int(step) if step.isdigit() else step for step in key.split("."))
        place: Any = data
        for step in path:
            place = place[step] if isinstance(step, int) else place.setdefault(step, {})
        if value is DROP:
            del place[last]
        elif isinstance(place, list) and last == len(place):
            place.append(value)
        else:
            place[last] = value
    return data


def load(changes: dict[str, Any] | None = None, stack: str = "global", stacks: Path | None = STACKS) -> GlobalStack:
    """The changed stack as a model; ConfigError when it is faulty."""
    return parse_global(world(changes, stack), stack, "stacks/x.yaml", stacks)


def faults(changes: dict[str, Any] | None = None, stack: str = "global") -> list[str]:
    """The error lines of the changed stack, without the file's name and the key that all begin with."""
    try:
        load(changes, stack)
    except ConfigError as error:
        return [line.removeprefix("stacks/x.yaml: spillway:global").lstrip(".: ") for line in error.lines]
    return []


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value in a tree, the root's too."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from places(inner, (*path, key))


def changed(data: dict[str, Any], path: tuple[Any, ...], value: object) -> Any:
    """The data with one value set in place of what stands at `path`."""
    if not path:
        return value
    place: Any = data
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return data
