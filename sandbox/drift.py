"""Changes made in the stand-in clouds behind Pulumi's back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sandbox import schema
from sandbox.checker import Checker
from sandbox.clouds import DISTRIBUTIONS, registry
from sandbox.kinds import Resource
from sandbox.store import CLOUDS, Store, Transaction
from sandbox.values import steps
from spillway.errors import SpillwayError


def change(directory: Path, id: str, values: dict[str, Any]) -> list[str]:
    """Set properties, named by path, of the resource with this id; one line per change.

    Raises SpillwayError when the id names nothing or several things, a path leads nowhere, or the type has no such
    property or another type of value in it.
    """
    _refuse_nothing(directory, id)
    lines = []
    with Store(directory).transaction(write=True) as tx:
        cloud, resource = _find(tx, id)
        for path, value in values.items():
            before = _set(resource.inputs, path, value, id)
            _set(resource.outputs, path, value, id)
            lines.append(f"{resource.token} {id}: {path}: {before!r} -> {value!r}")
        _check(cloud, resource, id, {str(steps(path)[0]) for path in values})
        tx.put(cloud, resource)
    return lines


def _check(cloud: str, resource: Resource, id: str, properties: set[str]) -> None:
    """What no API would have taken must not stand in the cloud: the refresh would choke on it, or pass over it."""
    kinds = registry(cloud)
    document = schema.load(cloud, DISTRIBUTIONS[cloud], kinds.kinds, kinds.invokes)
    changed = {key: resource.inputs.get(key) for key in properties}
    faults = Checker(document["objects"]).inputs(changed, document["resources"][resource.token]["inputs"], ())
    lines = [f"{id}: {fault.path}: {fault.reason}" for fault in faults]
    if lines:
        raise SpillwayError(*lines)


def _refuse_nothing(directory: Path, id: str) -> None:
    """A question must not make an empty cloud."""
    if not (directory / CLOUDS).exists():
        raise _unknown(id)


def _unknown(id: str) -> SpillwayError:
    return SpillwayError(f"{id}: the stand-in clouds hold no resource with this id; `spillway sandbox show` lists them")


def delete(directory: Path, id: str) -> str:
    """Remove the resource with this id, whatever refers to it."""
    _refuse_nothing(directory, id)
    with Store(directory).transaction(write=True) as tx:
        cloud, resource = _find(tx, id)
        tx.remove(cloud, resource.account, resource.region, resource.token, resource.id)
    return f"{resource.token} {id}: deleted"


def _find(tx: Transaction, id: str) -> tuple[str, Resource]:
    found = [(cloud, r) for cloud in DISTRIBUTIONS for r in tx.all(cloud) if r.id == id or f"{r.token}:{r.id}" == id]
    if not found:
        raise _unknown(id)
    if len(found) > 1:
        choices = ", ".join(f"{r.token}:{r.id}" for _, r in found)
        raise SpillwayError(f"{id}: several resources have this id; name one of {choices}")
    return found[0]


def _set(values: dict[str, Any], path: str, value: Any, id: str) -> Any:
    here: Any = values
    try:
        *way, last = steps(path)
        if None in (*way, last):
            raise KeyError(path)  # `[*]` is many places
        for step in way:
            here = here[step]
        before = here.get(last) if isinstance(here, dict) else here[last]
        here[last] = value
    except (KeyError, IndexError, TypeError, AttributeError, ValueError):
        raise SpillwayError(f"{id}: the resource has no property {path}") from None
    return before
