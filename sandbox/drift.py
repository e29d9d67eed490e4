"""Changes made in the stand-in clouds behind Pulumi's back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sandbox.clouds import DISTRIBUTIONS
from sandbox.kinds import Resource
from sandbox.store import Store, Transaction
from sandbox.values import steps
from spillway.errors import SpillwayError


def change(directory: Path, id: str, values: dict[str, Any]) -> list[str]:
    """Set properties, named by path, of the resource with this id; one line per change.

    Raises SpillwayError when the id names nothing or several things, or a path leads nowhere.
    """
    lines = []
    with Store(directory).transaction(write=True) as tx:
        cloud, resource = _find(tx, id)
        for path, value in values.items():
            before = _set(resource.inputs, path, value, id)
            _set(resource.outputs, path, value, id)
            lines.append(f"{resource.token} {id}: {path}: {before!r} -> {value!r}")
        tx.put(cloud, resource)
    return lines


def delete(directory: Path, id: str) -> str:
    """Remove the resource with this id, whatever refers to it."""
    with Store(directory).transaction(write=True) as tx:
        cloud, resource = _find(tx, id)
        tx.remove(cloud, resource.account, resource.region, resource.token, id)
    return f"{resource.token} {id}: deleted"


def _find(tx: Transaction, id: str) -> tuple[str, Resource]:
    found = [(cloud, r) for cloud in DISTRIBUTIONS for r in tx.all(cloud) if r.id == id or f"{r.token}:{r.id}" == id]
    if not found:
        raise SpillwayError(
            f"{id}: the stand-in clouds hold no resource with this id; `spillway sandbox show` lists them"
        )
    if len(found) > 1:
        choices = ", ".join(f"{r.token}:{r.id}" for _, r in found)
        raise SpillwayError(f"{id}: several resources have this id; name one of {choices}")
    return found[0]


def _set(values: dict[str, Any], path: str, value: Any, id: str) -> Any:
    *way, last = steps(path)
    here: Any = values
    try:
        for step in way:
            here = here[step]
        before = here.get(last) if isinstance(here, dict) else here[last]
        here[last] = value
    except (KeyError, IndexError, TypeError, AttributeError):
        raise SpillwayError(f"{id}: the resource has no property {path}") from None
    return before
