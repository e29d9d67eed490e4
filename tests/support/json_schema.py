"""What a JSON Schema says about a value, for the keywords that infra/schema uses: a small validator of its own.

https://json-schema.org/draft/2020-12/json-schema-validation
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

_KINDS: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list, tuple),
    "string": (str,),
    "boolean": (bool,),
    "null": (type(None),),
    "number": (int, float),
    "integer": (int, float),
}
_SAID = {"title", "description", "default", "examples", "patternErrorMessage", "$schema", "$defs"}

_INSIDE = {"properties", "patternProperties", "additionalProperties", "items"}


def _is(value: Any, kind: str) -> bool:
    if isinstance(value, bool) and kind != "boolean":
        return False
    if kind == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, _KINDS[kind])


def faults(schema: Mapping[str, Any], value: Any, path: str = "") -> list[str]:
    """`path: keyword` for every keyword that the value does not satisfy."""
    return list(_faults(schema, schema, value, path))


def _faults(root: Mapping[str, Any], at: Any, value: Any, path: str) -> Iterator[str]:
    if isinstance(at, bool):
        if not at:
            yield f"{path}: false"
        return
    for word, wanted in at.items():
        if word in _SAID or word in _INSIDE:
            continue
        if word == "$ref":
            yield from _faults(root, root["$defs"][wanted.removeprefix("#/$defs/")], value, path)
        elif word in ("anyOf", "oneOf"):
            fit = sum(not list(_faults(root, option, value, path)) for option in wanted)
            if not fit or (word == "oneOf" and fit > 1):
                yield f"{path}: {word}"
        elif not _fits(root, word, wanted, value):
            yield f"{path}: {word}"
    if isinstance(value, dict):
        yield from _of_object(root, at, value, path)
    if isinstance(value, list | tuple) and "items" in at:
        for number, item in enumerate(value):
            yield from _faults(root, at["items"], item, f"{path}[{number}]")


def _of_object(root: Mapping[str, Any], at: Mapping[str, Any], value: dict[Any, Any], path: str) -> Iterator[str]:
    for key, item in value.items():
        schemas = [at["properties"][key]] if key in at.get("properties", {}) else []
        schemas += [s for pattern, s in at.get("patternProperties", {}).items() if re.search(pattern, str(key))]
        for schema in schemas or [at.get("additionalProperties", True)]:
            yield from _faults(root, schema, item, f"{path}.{key}")


def _fits(root: Mapping[str, Any], word: str, wanted: Any, value: Any) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    held: dict[str, Any] = {
        "type": lambda: _is(value, wanted),
        "enum": lambda: value in wanted,
        "const": lambda: value == wanted,
        "pattern": lambda: not isinstance(value, str) or re.search(wanted, value) is not None,
        "minLength": lambda: not isinstance(value, str) or len(value) >= wanted,
        "maxLength": lambda: not isinstance(value, str) or len(value) <= wanted,
        "minimum": lambda: not number or value >= wanted,
        "maximum": lambda: not number or value <= wanted,
        "exclusiveMinimum": lambda: not number or value > wanted,
        "minItems": lambda: not isinstance(value, list | tuple) or len(value) >= wanted,
        "maxItems": lambda: not isinstance(value, list | tuple) or len(value) <= wanted,
        "maxProperties": lambda: not isinstance(value, dict) or len(value) <= wanted,
        "required": lambda: not isinstance(value, dict) or all(key in value for key in wanted),
        "propertyNames": lambda: (
            not isinstance(value, dict) or not any(list(_faults(root, wanted, key, "")) for key in value)
        ),
    }
    return bool(held[word]())
