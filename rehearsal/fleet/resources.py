"""Stacks as lists of resources, whatever they were read from, and reading single figures of them with their origin.

A figure that is missing, unknown or secret is one line: file, resource and property, value, what is allowed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, Final, Literal, NoReturn

from infra.faults import shown
from rehearsal.fleet.model import Origin, SourceKind
from spillway.errors import SpillwayError

UNKNOWN: Final = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
"""What a plan has for a value that nobody knows before the deployment
(https://github.com/pulumi/pulumi/blob/master/sdk/go/common/resource/plugin/rpc.go, UnknownStringValue)."""
SECRET_KEY: Final = "4dabf18193072939515e22adb298388d"
"""Marks a secret in states (https://github.com/pulumi/pulumi/blob/master/sdk/go/common/resource/sig/sig.go)."""
HIDDEN: Final = "[secret]"
"""How the engine prints one in a plan."""
MAJORS: Final = {"aws": 7, "azure-native": 3, "gcp": 10, "cloudflare": 6, "tencentcloud": 0}
"""Provider -> the major version whose properties are read here."""
_VERSIONED: Final = re.compile(r"(azure-native:\w+)/(v\d{8}\w*):(\w+)")
_STEP: Final = re.compile(r"[^.\[\]]+|\[\d+\]")


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource. layers: its properties, the more trusted map first. refers: property -> URNs it was made of."""

    urn: str
    type: str
    id: str
    layers: tuple[Mapping[str, Any], ...]
    refers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    inputs: Mapping[str, Any] = field(default_factory=dict)
    """As the program gives them."""

    @property
    def name(self) -> str:
        """The last part of the URN."""
        return self.urn.rsplit("::", 1)[-1]

    def get(self, key: str) -> Any:
        """The property at `probes[0].port`; None where it is missing or null, UNKNOWN where nobody knows it yet."""
        found: Any = None
        for layer in self.layers:
            value = _select(layer, key)
            if value is None or value == "":
                continue
            if value != UNKNOWN:
                return value
            found = UNKNOWN
        return found

    def known(self, key: str) -> Any:
        """Like `get`, None where nobody knows the value yet."""
        value = self.get(key)
        return None if value == UNKNOWN else value


def _select(value: Any, key: str) -> Any:
    for step in _STEP.findall(key):
        if step.startswith("["):
            if not isinstance(value, list) or int(step[1:-1]) >= len(value):
                return None
            value = value[int(step[1:-1])]
        elif isinstance(value, Mapping) and SECRET_KEY not in value:
            value = value.get(step)
        else:
            return value if _is_secret(value) else None
    return value


def _is_secret(value: Any) -> bool:
    return value == HIDDEN or (isinstance(value, Mapping) and SECRET_KEY in value)


@dataclass(frozen=True, slots=True)
class Stack:
    """One stack. file: how it is called in messages. outputs: of the stack, empty in a plan of what does not stand yet.
    config: the object under spillway:region or spillway:global, None where the source has none."""

    name: str
    kind: SourceKind
    file: str
    resources: tuple[Resource, ...]
    outputs: Mapping[str, Any]
    config: Mapping[str, Any] | None = None

    def of_type(self, *types: str) -> list[Resource]:
        """The resources of some types, in the stack's order."""
        return [one for one in self.resources if one.type in types]

    def refuse(self, what: str, why: str) -> NoReturn:
        """Raises SpillwayError with one line: file, what it is about, what is allowed."""
        raise SpillwayError(f"{self.file}: {what}: {why}")

    def one(self, type_: str, what: str) -> Resource:
        """The only resource of a type. Raises SpillwayError when there is none, or another."""
        found = self.of_type(type_)
        if len(found) != 1:
            have = f"there are {len(found)}" if found else "there is none"
            self.refuse(self.name, f"{what}: {have}; expected one {type_}")
        return found[0]

    def referred(self, resource: Resource, key: str, types: Iterable[str]) -> list[Resource]:
        """The resources of some types that a property names: by id, name or ARN where these are known, and by what the
        program made it of where they are not."""
        wanted = tuple(types)
        values = {str(value) for value in _texts(resource.get(key)) if value != UNKNOWN}
        among = self.of_type(*wanted)
        found = [one for one in among if values & {one.id, *(str(one.known(k)) for k in ("arn", "selfLink", "name"))}]
        if not found:
            head = (_STEP.findall(key) or [""])[0]
            urns = resource.refers.get(head, ())
            found = [one for one in among if one.urn in urns]
        return found


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)


def refuse_versions(stack: Stack, read: Iterable[str]) -> None:
    """Raises SpillwayError for a resource whose type is read here, but not in this version of it."""
    types = set(read)
    for one in stack.resources:
        versioned = _VERSIONED.fullmatch(one.type)
        if versioned and f"{versioned[1]}:{versioned[3]}" in types:
            stack.refuse(
                f"{one.name}: type = {one.type}",
                f"API version {versioned[2]} is unknown here; expected {versioned[1]}:{versioned[3]}, the SDK's own",
            )
        package = one.type.removeprefix("pulumi:providers:")
        version = one.known("version") if package in MAJORS and package != one.type else None
        if isinstance(version, str) and version.partition(".")[0] != str(MAJORS[package]):
            stack.refuse(f"{one.name}: version = {version}", f"expected {MAJORS[package]}.x of the provider {package}")


Notes = dict[str, Origin]
"""Path of a figure -> where it comes from."""


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads figures of one resource; each is noted under `path` and the field's name."""

    stack: Stack
    resource: Resource
    notes: Notes
    path: str

    def at(self, path: str, resource: Resource | None = None) -> Reader:
        """The same for another resource, or another place in the fleet; `path` is below this one's."""
        return Reader(self.stack, resource or self.resource, self.notes, f"{self.path}.{path}" if path else self.path)

    def note(self, field_: str, key: str) -> None:
        """Say that a field comes from a property."""
        self.notes[f"{self.path}.{field_}"] = Origin(self.resource.urn, key)

    def assume(self, field_: str, why: str, where: str | None = None) -> None:
        """Say that no resource tells a field, and why it is taken to be so."""
        self.notes[f"{self.path}.{field_}"] = Origin(where or self.resource.urn, assumed=why)

    def fault(self, key: str, why: str) -> NoReturn:
        """Raises SpillwayError: file, resource and property, value, what is allowed."""
        value = self.resource.get(key)
        if _is_secret(value):
            self.stack.refuse(
                f"{self.resource.name}: {key} = <not shown>",
                f"is a secret, where {why} is read; export with `pulumi stack export --show-secrets`",
            )
        told = "missing" if value is None else "not known before the deployment" if value == UNKNOWN else None
        if told:
            self.stack.refuse(f"{self.resource.name}: {key}", f"{told}; expected {why}")
        self.stack.refuse(f"{self.resource.name}: {key} = {shown(value)}", f"expected {why}")

    def whole(self, field_: str, key: str, least: int = 0, default: int | None = None) -> int:
        """A whole number, also one written as text, as some properties are."""
        value = self.resource.get(key)
        if value is None and default is not None:
            self.assume(field_, f"{key} is left out, which means {default}")
            return default
        number = _number(value)
        if number is None or number != int(number) or number < least:
            self.fault(key, f"a whole number of {least} or more")
        self.note(field_, key)
        return int(number)

    def number(self, field_: str, key: str) -> float:
        """A number."""
        value = _number(self.resource.get(key))
        if value is None:
            self.fault(key, "a number")
        self.note(field_, key)
        return value

    def text(self, field_: str, key: str, default: str | None = None) -> str:
        """A text that is not empty."""
        value = self.resource.get(key)
        if value is None and default is not None:
            self.assume(field_, f"{key} is left out, which means {default}")
            return default
        if not isinstance(value, str) or value in (UNKNOWN, HIDDEN):
            self.fault(key, "a text")
        self.note(field_, key)
        return value

    def word(self, field_: str, key: str, words: Mapping[str, Any], default: str | None = None) -> Any:
        """What a text of a closed list means."""
        value = self.text(field_, key, default)
        if value not in words:
            self.fault(key, f"one of {', '.join(words)}")
        return words[value]

    def flag(self, field_: str, key: str, default: bool | None = None) -> bool:
        """true or false."""
        value = self.resource.get(key)
        if value is None and default is not None:
            self.assume(field_, f"{key} is left out, which means {str(default).lower()}")
            return default
        if value in ("true", "false"):
            value = value == "true"
        if not isinstance(value, bool):
            self.fault(key, "true or false")
        self.note(field_, key)
        return value

    def items(self, key: str) -> int:
        """How many items a list has; 0 for none."""
        value = self.resource.get(key)
        if value is None:
            return 0
        if not isinstance(value, list):
            self.fault(key, "a list")
        return len(value)

    def texts(self, field_: str, key: str, *, empty: bool = False) -> tuple[str, ...]:
        """A list of texts."""
        value = self.resource.get(key)
        if value is None and empty:
            self.assume(field_, f"{key} is left out")
            return ()
        if not isinstance(value, list) or not all(
            isinstance(item, str) and item not in (UNKNOWN, HIDDEN) for item in value
        ):
            self.fault(key, "a list of texts")
        if not value and not empty:
            self.fault(key, "a list with at least one text")
        self.note(field_, key)
        return tuple(value)


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if isfinite(number) else None


Transition = Literal["launching", "terminating"]
