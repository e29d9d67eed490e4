"""A program of untyped resources out of a JSON file: what reaches the provider is exactly what a test wrote.

`"${name.property}"` refers to an output of an earlier resource; `{"secret": value}` is a secret.
"""

import json
import os
import re
from pathlib import Path
from typing import Any

import pulumi

REFERENCE = re.compile(r"^\$\{([^.]+)\.([^}]+)\}$")
made: dict[str, pulumi.CustomResource] = {}


def resolve(value: Any) -> Any:
    if isinstance(value, str) and (match := REFERENCE.match(value)):
        return getattr(made[match[1]], match[2])
    if isinstance(value, dict):
        if set(value) == {"secret"}:
            return pulumi.Output.secret(value["secret"])
        return {key: resolve(item) for key, item in value.items()}
    return [resolve(item) for item in value] if isinstance(value, list) else value


class Untyped(pulumi.CustomResource):
    """Outputs are whatever is asked for."""

    def __init__(self, token: str, name: str, inputs: dict[str, Any], wanted: list[str], options: Any) -> None:
        super().__init__(token, name, {**dict.fromkeys(wanted), **inputs}, options)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return pulumi.get(self, name)


document = json.loads(Path(os.environ["FLAT_PROGRAM"]).read_text())
provider = pulumi.ProviderResource(
    "aws", "aws", {"region": document.get("region", "us-east-1"), "allowedAccountIds": '["123456789012"]'}
)
for name, spec in document["resources"].items():
    token, inputs = spec["type"], resolve(spec.get("inputs", {}))
    options = pulumi.ResourceOptions(provider=provider, **spec.get("options", {}))
    made[name] = Untyped(token, name, inputs, spec.get("wants", []), options)
for name, expression in document.get("exports", {}).items():
    pulumi.export(name, resolve(expression))
for token, arguments in document.get("invokes", {}).items():
    result = pulumi.runtime.invoke(token, arguments, pulumi.InvokeOptions(provider=provider)).value
    pulumi.export(token, result)
