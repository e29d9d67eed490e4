"""Writes the floor program: the region's resources, flat and literal, as nobody would want to maintain them.

    python -m tests.bench.make_floor        (deploys the region on a temporary sandbox, then writes tests/bench/floor)

The result is committed and read in review, like any other source. It is the yardstick of `make bench`: what the engine
and the SDK cost for these resources when no component, no config and no check of ours is in the way.
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sandbox.clouds import DISTRIBUTIONS, registry
from sandbox.schema import Node, load
from tests.support.engine import EngineSandbox

STACK = "aws-us-east-1"
TARGET = Path(__file__).parent / "floor" / "infra" / "__main__.py"
GIVEN = re.compile(r"[a-z]+-[0-9a-f]{17}|arn:aws:[^\"' ]+")
"""What the cloud gave: random ids, and ARNs."""
HEAD = '''"""{stack}, flat: literal inputs, no components, no config. Written by tests/bench/make_floor.py."""
# ruff: noqa: E501
# fmt: off

import gc
import os

import pulumi

if os.environ.get("SPILLWAY_FLOOR_QUIET_IMPORTS"):  # imports as the region's program does them
    gc.disable()
import pulumi_aws as aws

provider = aws.Provider("{stack}", region="us-east-1", allowed_account_ids=["{account}"])
O = pulumi.ResourceOptions(provider=provider)  # noqa: E741
'''


class Writer:
    """One source line per resource, in the order of the state, which is an order of dependencies."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document
        self._given: dict[str, str] = {}  # value the cloud gave -> expression
        self._named: dict[str, str] = {}  # id that is a name -> expression

    def line(self, number: int, resource: Mapping[str, Any]) -> str:
        token = resource["type"]
        module, name = token.split(":")[1].split("/")[0], token.split(":")[2]
        spec = self._document["resources"][token]["inputs"]
        inputs = {k: v for k, v in resource["inputs"].items() if not k.startswith("__")}
        arguments = ", ".join(
            f"{_snake(key)}={repr(value) if key in ('tags', 'name') else self._source(value, spec[key])}"
            for key, value in sorted(inputs.items())
        )
        variable = f"r{number}"
        for output in ("arn", "id"):
            value = resource["id"] if output == "id" else resource["outputs"].get(output)
            if isinstance(value, str) and GIVEN.fullmatch(value):
                self._given.setdefault(value, f"{variable}.{output}")
        self._named.setdefault(resource["id"], f"{variable}.id")
        logical = resource["urn"].rsplit("::", 1)[-1]
        return f'{variable} = aws.{module}.{name}("{logical}", {arguments}, opts=O)'

    def _source(self, value: Any, node: Node) -> str:
        if isinstance(value, dict):
            spec = self._document["objects"][node["ref"]]["props"] if node["t"] == "object" else None
            items = (
                f"{(_snake(k) if spec else k)!r}: {self._source(v, spec[k] if spec else node.get('of', {'t': 'any'}))}"
                for k, v in value.items()
            )
            return "{" + ", ".join(items) + "}"
        if isinstance(value, list):
            return "[" + ", ".join(self._source(v, node.get("of", {"t": "any"})) for v in value) + "]"
        if isinstance(value, str):
            return self._text(value)
        return repr(int(value) if isinstance(value, float) and value.is_integer() else value)

    def _text(self, text: str) -> str:
        if text in self._given or text in self._named:
            return self._given.get(text) or self._named[text]
        known = sorted((v for v in self._given if v in text), key=len, reverse=True)
        if not known:
            return repr(text)
        parts = re.split("(" + "|".join(map(re.escape, known)) + ")", text)
        return "pulumi.Output.concat(" + ", ".join(self._given.get(p, repr(p)) for p in parts if p) + ")"


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def main() -> int:
    kinds = registry("aws")
    document = load("aws", DISTRIBUTIONS["aws"], kinds.kinds, kinds.invokes)
    with tempfile.TemporaryDirectory() as folder:
        sandbox = EngineSandbox(Path(folder) / "sandbox")
        sandbox.up(STACK).ok()
        state = json.loads(sandbox.pulumi("stack", "export", stack=STACK).ok().stdout)
    resources = [r for r in state["deployment"]["resources"] if r.get("custom") and r["type"].startswith("aws:")]
    account = next(r for r in resources if "ownerId" in r["outputs"])["outputs"]["ownerId"]
    writer = Writer(document)
    lines = [writer.line(i, r) for i, r in enumerate(resources)]
    TARGET.write_text(HEAD.format(stack=STACK, account=account) + "\n".join(lines) + "\ngc.enable()\n")
    print(f"{TARGET}: {len(lines)} resources")
    return 0


if __name__ == "__main__":
    sys.exit(main())
