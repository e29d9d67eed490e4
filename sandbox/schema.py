"""The property schema of resource types and data sources, taken from the installed SDK by reflection.

Extraction imports the SDK (seconds), so it runs once per SDK version and set of covered types, in a process of its own,
and its result is cached per user as JSON. The plugin itself never imports an SDK.

A node describes a type: {"t": "string|integer|number|boolean|any"}, {"t": "array", "of": node}, {"t": "map", "of":
node}, {"t": "object", "ref": name}, {"t": "union", "of": [node, ...]}; strings may carry {"enum": [...], "open": bool}.
An open enum documents values and lets others through, as the engine and the SDK do.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

FORMAT = 4
Node = dict[str, Any]


def cache_dir() -> Path:
    """Where schemas are kept: the user's cache directory, outside any checkout."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "spillway" / "schema"


def load(package: str, distribution: str, resources: Iterable[str], invokes: Iterable[str]) -> dict[str, Any]:
    """The schema document of `package`: {"version", "provider", "resources", "invokes", "objects"}.

    Taken from the cache, or extracted first (a few seconds, once per SDK version).
    Raises RuntimeError when the SDK is not installed or a token is not in it.
    """
    try:
        version = importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        extra = package.split("-")[0]
        raise RuntimeError(
            f"{distribution} is not installed; install the extra of this cloud, for example `uv sync --extra {extra}`"
        ) from None
    wanted = {"resources": sorted(resources), "invokes": sorted(invokes)}
    digest = hashlib.sha256(json.dumps([FORMAT, wanted]).encode()).hexdigest()[:12]
    path = cache_dir() / f"{package}-{version}-{digest}.json"
    try:
        document: dict[str, Any] = json.loads(path.read_bytes())
        return document
    except (OSError, ValueError):
        pass
    command = [sys.executable, "-m", "sandbox.reflect", package, version]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    result = subprocess.run(command, input=json.dumps(wanted), capture_output=True, text=True, env=environment)
    if result.returncode != 0:
        raise RuntimeError(
            result.stderr.strip().splitlines()[-1] if result.stderr.strip() else "schema extraction failed"
        )
    document = json.loads(result.stdout)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as handle:
        handle.write(result.stdout)
    Path(handle.name).replace(path)  # readers see the old file, none, or the whole new one
    return document


def to_pulumi(document: Mapping[str, Any], package: str) -> dict[str, Any]:
    """The document in the form of a Pulumi package schema, as far as `pulumi import` needs one."""
    types: dict[str, Any] = {}
    for name, spec in document["objects"].items():
        types[f"{package}:index/{name}:{name}"] = {
            "type": "object",
            "properties": {k: _to_pulumi(n, package) for k, n in spec["props"].items()},
            "required": spec["required"],
        }
    resources = {
        token: {
            "inputProperties": {k: _to_pulumi(n, package) for k, n in spec["inputs"].items()},
            "requiredInputs": spec["required"],
            "properties": {k: _to_pulumi(n, package) for k, n in spec["outputs"].items()},
        }
        for token, spec in document["resources"].items()
    }
    return {"name": package, "version": document["version"], "types": types, "resources": resources, "provider": {}}


def _to_pulumi(node: Node, package: str) -> dict[str, Any]:
    kind = node["t"]
    if kind == "array":
        return {"type": "array", "items": _to_pulumi(node["of"], package)}
    if kind == "map":
        return {"type": "object", "additionalProperties": _to_pulumi(node["of"], package)}
    if kind == "object":
        return {"$ref": f"#/types/{package}:index/{node['ref']}:{node['ref']}"}
    if kind == "union":
        return {"oneOf": [_to_pulumi(n, package) for n in node["of"]]}
    if kind == "any":
        return {"$ref": "pulumi.json#/Any"}
    return {"type": kind}
