"""Whether a property path leads somewhere in the schema of an SDK: what a kind names has to exist there."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sandbox.kinds import Resource
from sandbox.values import steps


def reaches(document: dict[str, Any], props: dict[str, Any], pattern: str) -> bool:
    """Whether a path such as `disks[*].sizeGb` leads somewhere in a map of nodes; anything lies below an `any`."""
    node: dict[str, Any] | None = {"t": "root"}
    for step in steps(pattern):
        assert node is not None
        kind = node["t"]
        if kind == "any":
            return True
        if step is None or isinstance(step, int):
            node = node["of"] if kind in ("array", "map") else None
        elif kind == "map":
            node = node["of"]
        else:
            known = props if kind == "root" else document["objects"][node["ref"]]["props"] if kind == "object" else {}
            node = known.get(step)
        if node is None:
            return False
    return True


def strange_outputs(document: dict[str, Any], resources: Iterable[Resource], *, or_inputs: bool = False) -> list[str]:
    """What resources return that their types have no property for. or_inputs: inputs are returned as well."""
    found = []
    for resource in resources:
        spec = document["resources"][resource.token]
        known = {*spec["outputs"], *(spec["inputs"] if or_inputs else ())}
        found += [f"{resource.token}: {key}" for key in resource.outputs if key not in known]
    return sorted(set(found))
