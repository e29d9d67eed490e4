"""Reading stacks: exported states, plans, and sandboxes. Stack files have no resources: files.py reads them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from infra.stackfile import may_be_region, own_key
from rehearsal.fleet.resources import HIDDEN, Resource, Stack
from spillway.errors import SpillwayError

STATE_VERSIONS: Final = (3, 4)
"""Of exported states: 4 is 3 with a list of features
(https://github.com/pulumi/pulumi/blob/master/sdk/go/common/apitype/core.go, DeploymentSchemaVersionLatest)."""
GONE: Final = frozenset({"delete", "delete-replaced", "discard", "discard-replaced", "remove-pending-replace"})
"""Steps of a plan whose resource is not there afterwards; of a replacement the new one is another step."""
STACK_TYPE: Final = "pulumi:pulumi:Stack"


def document(path: Path) -> dict[str, Any]:
    """A JSON file that holds a map. Raises SpillwayError, one line."""
    try:
        found = json.loads(path.read_text())
    except OSError as error:
        raise SpillwayError(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError):
        if path.suffix in (".yaml", ".yml"):
            raise SpillwayError(f"{path}: stack files are read as a folder, all of them; name {path.parent}") from None
        raise SpillwayError(
            f"{path}: is no JSON; expected the output of `pulumi stack export` or `pulumi preview --json --show-sames`"
        ) from None
    if not isinstance(found, dict):
        raise SpillwayError(f"{path}: holds no map; expected an exported stack or a plan")
    return found


def is_export(data: Mapping[str, Any]) -> bool:
    """Whether a document is an exported state."""
    return "deployment" in data


def is_plan(data: Mapping[str, Any]) -> bool:
    """Whether a document is a plan."""
    return "steps" in data or "changeSummary" in data


def export(path: Path) -> Stack:
    """One `pulumi stack export`. Raises SpillwayError, one line."""
    data = document(path)
    if not is_export(data):
        raise SpillwayError(f"{path}: deployment: missing; expected the output of `pulumi stack export`")
    return _of_state(data["deployment"], data.get("version"), str(path))


def _of_state(deployment: Any, version: Any, file: str) -> Stack:
    if version not in STATE_VERSIONS:
        allowed = " or ".join(map(str, STATE_VERSIONS))
        raise SpillwayError(f"{file}: version = {json.dumps(version)}: unknown version of a state; expected {allowed}")
    rows = deployment.get("resources") if isinstance(deployment, dict) else None
    if not isinstance(rows, list) or not rows:
        raise SpillwayError(f"{file}: deployment.resources: missing or empty: nothing is deployed in this stack")
    # What waits for its deletion stands beside its successor, under the same URN.
    states = [_state(row, file) for row in rows if not (isinstance(row, dict) and row.get("delete"))]
    found = [_resource(row, ("outputs", "inputs")) for row in states]
    return Stack(_stack_name(found, file), "export", file, tuple(found), _outputs(states))


def plan(path: Path) -> Stack:
    """One `pulumi preview --json --show-sames`: the stack as it would be. Raises SpillwayError, one line."""
    data, file = document(path), str(path)
    steps = data.get("steps")
    summary = _map(data, "changeSummary", file)
    if summary.get("same") and not steps:
        steps = []  # all of it is left out, which is told below
    elif not is_plan(data) or not isinstance(steps, list) or not steps:
        raise SpillwayError(f"{file}: steps: missing; expected the output of `pulumi preview --json --show-sames`")
    told = [d for d in _list(data, "diagnostics") if isinstance(d, dict) and d.get("severity") == "error"]
    if told:
        raise SpillwayError(
            f"{file}: is the plan of a preview that failed: {' '.join(str(told[0].get('message')).split())}"
        )
    told_same = sum(isinstance(step, dict) and step.get("op") == "same" for step in steps)
    same = summary.get("same")
    left_out = same - told_same if isinstance(same, int) else 0
    if left_out > 0:
        raise SpillwayError(f"{file}: steps: {left_out} that stay the same are left out; preview with --show-sames")
    states: dict[str, dict[str, Any]] = {}
    for step in steps:
        if not isinstance(step, dict) or not isinstance(step.get("op"), str):
            raise SpillwayError(f"{file}: steps: expected maps with op and newState")
        if step["op"] in GONE:
            continue
        row = _state(step.get("newState"), file)
        states[row["urn"]] = row
    found = [_resource(row, ("inputs", "outputs")) for row in states.values()]
    name = _stack_name(found, file)
    config = _config(data, name, file)
    # Outputs in a plan are those of before; the configuration is that of the plan.
    outputs = _outputs(states.values()) if config is None else {}
    return Stack(name, "plan", file, tuple(found), outputs, config)


def _list(data: Mapping[str, Any], key: str) -> list[Any]:
    found = data.get(key)
    return found if isinstance(found, list) else []


def _map(data: Mapping[str, Any], key: str, file: str) -> Mapping[str, Any]:
    found = data.get(key) or {}
    if not isinstance(found, dict):
        raise SpillwayError(f"{file}: {key}: expected a map")
    return found


def _config(data: Mapping[str, Any], name: str, file: str) -> Mapping[str, Any] | None:
    text = _map(data, "config", file).get(own_key(name))
    if text is None or text == HIDDEN:
        return None
    try:
        found = json.loads(text) if isinstance(text, str) else text
    except ValueError:
        raise SpillwayError(f"{file}: config: {name}: is no JSON; expected an object") from None
    return found if isinstance(found, dict) else None


def _state(row: Any, file: str) -> dict[str, Any]:
    if not isinstance(row, dict) or not isinstance(row.get("urn"), str) or not isinstance(row.get("type"), str):
        raise SpillwayError(f"{file}: a resource without urn and type; expected states as the engine writes them")
    for key in ("inputs", "outputs", "propertyDependencies"):
        if not isinstance(row.get(key) or {}, dict):
            raise SpillwayError(f"{file}: {row['urn'].rsplit('::', 1)[-1]}: {key}: expected a map")
    for key, urns in (row.get("propertyDependencies") or {}).items():
        if not isinstance(urns or [], list):
            name = row["urn"].rsplit("::", 1)[-1]
            raise SpillwayError(f"{file}: {name}: propertyDependencies.{key}: expected a list of URNs")
    return row


def _resource(row: Mapping[str, Any], order: tuple[str, ...]) -> Resource:
    layers = {kind: row.get(kind) or {} for kind in ("inputs", "outputs")}
    refers = row.get("propertyDependencies") or {}
    return Resource(
        row["urn"],
        row["type"],
        str(row.get("id") or ""),
        tuple(layers[kind] for kind in order),
        {key: tuple(map(str, urns or ())) for key, urns in refers.items()},
        layers["inputs"],
    )


def _stack_name(resources: Iterable[Resource], file: str) -> str:
    names = {one.urn.removeprefix("urn:pulumi:").partition("::")[0] for one in resources}
    if len(names) != 1:
        raise SpillwayError(f"{file}: expected the resources of one stack, found those of {len(names)}")
    return names.pop()


def _outputs(states: Iterable[Mapping[str, Any]]) -> Mapping[str, Any]:
    for row in states:
        if row["type"] == STACK_TYPE:
            return row.get("outputs") or {}
    return {}


def deployed(directory: Path) -> bool:
    """Whether a region stands in a sandbox."""
    from sandbox.store import CLOUDS

    if not (directory / CLOUDS).exists():
        return False
    try:
        return any(may_be_region(stack.name) for stack in sandbox(directory))
    except SpillwayError:
        return False


def sandbox(directory: Path) -> list[Stack]:
    """Every stack that stands in a sandbox: what the engine registered, with the properties that the stand-in clouds
    hold now, so that what somebody changed behind the engine's back counts. Reads only."""
    from sandbox.clouds import DISTRIBUTIONS
    from sandbox.store import CLOUDS, Store

    states = sorted((directory / "backend" / ".pulumi" / "stacks").glob("*/*.json"))
    if not (directory / CLOUDS).exists() or not states:
        raise SpillwayError(f"{directory}: is no sandbox with stacks in it; `make demo` deploys some")
    with Store(directory).transaction(write=False) as tx:
        packages = {package: tx.all(package) for package in DISTRIBUTIONS}
    held = {one.urn: one for rows in packages.values() for one in rows}
    found = []
    for path in states:
        checkpoint = document(path)
        latest = (checkpoint.get("checkpoint") or {}).get("latest") or {}
        if not latest.get("resources"):
            continue  # initialised or destroyed
        stack = _of_state(latest, checkpoint.get("version"), str(path))
        present = []
        for one in stack.resources:
            there = held.get(one.urn)
            if there is not None:
                layers = (there.outputs, there.inputs, *one.layers)
                one = Resource(one.urn, one.type, there.id, layers, one.refers, one.inputs)
            elif one.type.partition(":")[0] in DISTRIBUTIONS and one.id:
                continue  # deleted behind the engine's back
            present.append(one)
        found.append(Stack(stack.name, "sandbox", str(path), tuple(present), stack.outputs))
    if not found:
        raise SpillwayError(f"{directory}: nothing is deployed in this sandbox; `make demo` deploys some stacks")
    return found
