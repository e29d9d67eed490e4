"""Structural check of inputs against a schema: unknown keys at any depth, types, required keys, closed enums."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sandbox.kinds import Fault
from sandbox.rules import shown
from sandbox.schema import Node
from sandbox.values import UNKNOWN, join

_PYTHON: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
}
_ARTICLE = {"string": "a string", "integer": "a whole number", "number": "a number", "boolean": "true or false"}


class Checker:
    """Checks values against the nodes of one schema document."""

    def __init__(self, objects: Mapping[str, Any]) -> None:
        self._objects = objects

    def inputs(self, values: Mapping[str, Any], props: Mapping[str, Node], required: Iterable[str]) -> Iterator[Fault]:
        """Every fault in a property map. An unknown value satisfies any type; null counts as absent."""
        yield from self._map(values, props, required, "")

    def _map(
        self, values: Mapping[str, Any], props: Mapping[str, Node], required: Iterable[str], path: str
    ) -> Iterator[Fault]:
        for key, value in values.items():
            node = props.get(key)
            if node is None:
                if key != "__defaults":  # the bridge's own bookkeeping in old states
                    yield Fault(join(path, key), self._unknown_key(key, props))
            elif value is not None:
                yield from self._value(value, node, join(path, key))
        for key in required:
            if values.get(key) is None:
                yield Fault(join(path, key), "is required")

    @staticmethod
    def _unknown_key(key: str, props: Mapping[str, Node]) -> str:
        close = difflib.get_close_matches(key, props, n=1, cutoff=0.6)
        hint = f"; did you mean {close[0]}?" if close else f"; known are {', '.join(sorted(props))}"
        return f"unknown property{hint}"

    def _value(self, value: Any, node: Node, path: str) -> Iterator[Fault]:
        kind = node["t"]
        if value is UNKNOWN or kind == "any":
            return
        if kind == "array":
            if not isinstance(value, list):
                yield Fault(path, f"expected a list, got {shown(value)}")
                return
            for i, item in enumerate(value):
                if item is None:
                    yield Fault(f"{path}[{i}]", "expected a value, got null")
                else:
                    yield from self._value(item, node["of"], f"{path}[{i}]")
        elif kind == "map":
            if not isinstance(value, dict):
                yield Fault(path, f"expected a map, got {shown(value)}")
                return
            for key, item in value.items():
                if item is not None:
                    yield from self._value(item, node["of"], join(path, key))
        elif kind == "object":
            if not isinstance(value, dict):
                yield Fault(path, f"expected an object, got {shown(value)}")
                return
            spec = self._objects[node["ref"]]
            yield from self._map(value, spec["props"], spec["required"], path)
        elif kind == "union":
            branches = [list(self._value(value, branch, path)) for branch in node["of"]]
            if all(branches):
                yield from min(branches, key=len)
        else:
            if not isinstance(value, _PYTHON[kind]) or (kind != "boolean" and isinstance(value, bool)):
                yield Fault(path, f"expected {_ARTICLE[kind]}, got {shown(value)}")
            elif isinstance(value, float) and not math.isfinite(value):
                yield Fault(path, f"expected a finite number, got {shown(value)}")
            elif "enum" in node and not node["open"] and value not in node["enum"]:
                allowed = [str(v) for v in node["enum"]]
                close = difflib.get_close_matches(str(value), allowed, n=1)
                hint = f"did you mean {close[0]}?" if close else f"allowed are {', '.join(allowed[:20])}"
                yield Fault(path, f"{shown(value)} is not allowed; {hint}")
