"""Property values as the sandbox handles them: plain Python data, one marker for what is not known yet.

On the wire Pulumi sends a `google.protobuf.Struct` in which unknowns, secrets, assets, outputs and resource
references are specially marked strings and maps
(https://github.com/pulumi/pulumi/blob/master/sdk/go/common/resource/plugin/rpc.go). Rules and stores want plain
data, so the marks are taken off at the door and put back on the way out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

from google.protobuf import struct_pb2

UNKNOWN_SENTINEL: Final = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
_SIGNATURE: Final = "4dabf18193072939515e22adb298388d"
_SECRET: Final = "1b47061264138c4ac30d75fd1eb44270"
_OUTPUT: Final = "d0e6a833031e9bbcd3f4e8bde6ca49a4"
_RESOURCE: Final = "5cf8f73096256a8f31e491e813e4eb8e"


class Unknown:
    """The one marker for a value that only the deployment will tell."""

    _instance: Unknown | None = None

    def __new__(cls) -> Unknown:
        if cls._instance is None:
            cls._instance = super().__new__(cls)
        return cls._instance

    def __repr__(self) -> str:
        return "UNKNOWN"

    def __bool__(self) -> bool:
        raise TypeError("an unknown value has no truth; ask `is UNKNOWN` first")


UNKNOWN: Final = Unknown()


@dataclass(slots=True)
class Decoded:
    """A decoded property map: the values, and the paths that came wrapped as secrets."""

    values: dict[str, Any]
    secrets: set[str] = field(default_factory=set)


def decode(struct: struct_pb2.Struct) -> Decoded:
    """Wire form -> plain data. Whole numbers come back as int, unknowns as UNKNOWN, secrets without their wrapping."""
    secrets: set[str] = set()
    values = {key: _decode(value, key, secrets) for key, value in struct.fields.items()}
    return Decoded(values, secrets)


def _decode(value: struct_pb2.Value, path: str, secrets: set[str]) -> Any:
    kind = value.WhichOneof("kind")
    if kind == "string_value":
        return UNKNOWN if value.string_value == UNKNOWN_SENTINEL else value.string_value
    if kind == "number_value":
        number = value.number_value
        return int(number) if number.is_integer() else number
    if kind == "bool_value":
        return value.bool_value
    if kind == "list_value":
        return [_decode(v, f"{path}[{i}]", secrets) for i, v in enumerate(value.list_value.values)]
    if kind == "struct_value":
        fields = value.struct_value.fields
        mark = fields[_SIGNATURE].string_value if _SIGNATURE in fields else None
        if mark == _SECRET:
            secrets.add(path)
            return _decode(fields["value"], path, secrets)
        if mark == _OUTPUT:
            if "secret" in fields and fields["secret"].bool_value:
                secrets.add(path)
            return _decode(fields["value"], path, secrets) if "value" in fields else UNKNOWN
        if mark == _RESOURCE:
            return _decode(fields["id"], path, secrets) if "id" in fields else fields["urn"].string_value
        return {k: _decode(v, join(path, k), secrets) for k, v in fields.items()}
    return None


def encode(values: Mapping[str, Any], secrets: set[str] | frozenset[str] = frozenset()) -> struct_pb2.Struct:
    """Plain data -> wire form; values at the paths in `secrets` are wrapped again. Nulls in maps are left out."""
    struct = struct_pb2.Struct()
    for key, value in values.items():
        if value is not None:
            _encode(struct.fields[key], value, key, secrets)
    return struct


def _encode(target: struct_pb2.Value, value: Any, path: str, secrets: set[str] | frozenset[str]) -> None:
    if path in secrets:
        fields = target.struct_value.fields
        fields[_SIGNATURE].string_value = _SECRET
        _encode_plain(fields["value"], value, path, secrets)
    else:
        _encode_plain(target, value, path, secrets)


def _encode_plain(target: struct_pb2.Value, value: Any, path: str, secrets: set[str] | frozenset[str]) -> None:
    if value is UNKNOWN:
        target.string_value = UNKNOWN_SENTINEL
    elif value is None:
        target.null_value = struct_pb2.NULL_VALUE
    elif isinstance(value, bool):
        target.bool_value = value
    elif isinstance(value, int | float):
        target.number_value = value
    elif isinstance(value, str):
        target.string_value = value
    elif isinstance(value, dict):
        target.struct_value.SetInParent()
        for k, v in value.items():
            if v is not None:
                _encode(target.struct_value.fields[k], v, join(path, k), secrets)
    elif isinstance(value, list | tuple):
        target.list_value.SetInParent()
        for i, v in enumerate(value):
            _encode(target.list_value.values.add(), v, f"{path}[{i}]", secrets)
    else:
        raise TypeError(f"{path}: a property value cannot be a {type(value).__name__}")


_PLAIN_KEY: Final = re.compile(r"^[A-Za-z_$][A-Za-z0-9_$]*$")


def join(path: str, key: str) -> str:
    """One step down in a property path, quoted as Pulumi quotes keys that are not identifiers."""
    if key.isidentifier() or _PLAIN_KEY.match(key):  # the first is faster, the second knows the dollar sign
        return f"{path}.{key}" if path else key
    quoted = '["' + key.replace("\\", "\\\\").replace('"', '\\"') + '"]'
    return path + quoted


def has_unknown(value: Any) -> bool:
    """Whether any leaf of the value is unknown."""
    if value is UNKNOWN:
        return True
    if isinstance(value, dict):
        return any(has_unknown(v) for v in value.values())
    if isinstance(value, list):
        return any(has_unknown(v) for v in value)
    return False


_STEP: Final = re.compile(r"\[\*\]|\[(\d+)\]|\[\"((?:[^\"\\]|\\.)*)\"\]|\.?([^.\[\]]+)")


@lru_cache(maxsize=16384)
def steps(path: str) -> tuple[str | int | None, ...]:
    """`a.b[0][*]` -> ("a", "b", 0, None); None stands for any element of a list (or any value of a map)."""
    out: list[str | int | None] = []
    for match in _STEP.finditer(path):
        index, quoted, key = match.groups()
        if match.group(0) == "[*]":
            out.append(None)
        elif index is not None:
            out.append(int(index))
        elif quoted is not None:
            out.append(quoted.replace('\\"', '"').replace("\\\\", "\\"))
        else:
            out.append(key)
    return tuple(out)


def select(values: Any, pattern: str) -> Iterator[tuple[str, Any]]:
    """Every (path, value) that the pattern reaches. Missing branches yield nothing; a branch that is unknown yields
    (path of the branch, UNKNOWN) once."""
    yield from _select(values, steps(pattern), "")


def _select(value: Any, rest: tuple[str | int | None, ...], path: str) -> Iterator[tuple[str, Any]]:
    if not rest:
        if value is not None:
            yield path, value
        return
    if value is UNKNOWN:
        yield path, UNKNOWN
        return
    head, tail = rest[0], rest[1:]
    if head is None:
        if isinstance(value, list):
            for i, item in enumerate(value):
                yield from _select(item, tail, f"{path}[{i}]")
        elif isinstance(value, dict):
            for key, item in value.items():
                yield from _select(item, tail, join(path, key))
    elif isinstance(head, int):
        if isinstance(value, list) and head < len(value):
            yield from _select(value[head], tail, f"{path}[{head}]")
    elif isinstance(value, dict) and head in value:
        yield from _select(value[head], tail, join(path, head))


def path_matches(path: str, pattern: str) -> bool:
    """Whether a concrete path is the pattern's, or lies below it (`a[*].b` matches `a[3].b` and `a[3].b.c`)."""
    concrete, wanted = steps(path), steps(pattern)
    return len(concrete) >= len(wanted) and _agree(concrete, wanted)


def path_is(path: str, pattern: str) -> bool:
    """Whether a concrete path is exactly what the pattern names."""
    concrete, wanted = steps(path), steps(pattern)
    return len(concrete) == len(wanted) and _agree(concrete, wanted)


def path_above(path: str, pattern: str) -> bool:
    """Whether the pattern names something below the concrete path (`a[0]` is above `a[*].b`)."""
    concrete, wanted = steps(path), steps(pattern)
    return len(concrete) < len(wanted) and _agree(concrete, wanted)


def _agree(concrete: tuple[str | int | None, ...], wanted: tuple[str | int | None, ...]) -> bool:
    return all(w is None or c == w for c, w in zip(concrete, wanted, strict=False))


def spread_secrets(secrets: Iterable[str], inputs: Mapping[str, Any], outputs: Mapping[str, Any]) -> set[str]:
    """The secret paths of the outputs: those of the inputs, and wherever a secret input's text turns up again (a tag is
    in `tags` and in `tagsAll`)."""
    marked = set(secrets)
    texts = {value for path in marked for _, value in select(inputs, path) if isinstance(value, str) and value}
    if texts:
        marked.update(path for path, value in leaves(outputs) if isinstance(value, str) and value in texts)
    return marked


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """(path, value) of everything that is neither a map nor a list."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, join(path, key))
    elif isinstance(value, list):
        for i, item in enumerate(value):
            yield from leaves(item, f"{path}[{i}]")
    else:
        yield path, value
