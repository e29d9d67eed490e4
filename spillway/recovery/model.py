"""What recovery reasons about: planned creates, resources that exist, and what a cloud says about its types. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

STACK_TAG: Final = "spillway:stack"
COMPONENT_TAG: Final = "spillway:component"
NAME_TAG: Final = "Name"
RECOVERED: Final = "recovered-"
"""How the logical name of a resource starts that was taken into the state only to be deleted."""

# What a preview shows for a value that is not known yet (pulumi.runtime.rpc.UNKNOWN).
UNKNOWN: Final = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
UNHANDLED: Final = "recovery does not know this type; import or delete it by hand"
PROVIDERS: Final = "pulumi:providers:"
ROOT: Final = "pulumi:pulumi:Stack"

Properties = Mapping[str, Any]
Key = Callable[[Properties], str | None]


@dataclass(frozen=True, slots=True)
class Existing:
    """A resource that exists in the cloud and belongs to the stack, by its tags or through `parents`.

    token: the Pulumi type. id: what the provider's import takes. key: see Rules.keys. region: "" for account-wide ones.
    refs: ids and ARNs of other resources that it was made with, as far as the cloud tells.
    parents: for what has no tags of its own: ids of the tagged resources that it is a part of.
    keep: why it is not recovery's to touch, or None; `problem`: and the stack is not consistent while it is there.
    undeletable: why the next `up` could not delete it if it turned out to belong to nothing, or None.
    """

    token: str
    id: str
    key: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    region: str = ""
    refs: frozenset[str] = frozenset()
    parents: frozenset[str] = frozenset()
    keep: str | None = None
    problem: bool = False
    undeletable: str | None = None

    @property
    def name(self) -> str:
        """How people know it."""
        return self.tags.get(NAME_TAG) or self.key or self.id


@dataclass(frozen=True, slots=True)
class Rules:
    """What one cloud says about its types.

    keys: type -> the key that its properties (planned inputs, or state) give: a fixed name, or the natural id of an
        untaggable type. Two resources of a type with one key cannot both exist in a region.
    children: untaggable type -> the properties that name its parents.
    own_delete: those children that keep their parent from being deleted.
    same: type -> the type under which the cloud knows the same thing.
    exclusive: those children that only the stack makes in a parent of its own, so that one in no plan is an orphan.
    built_in: types that come and go with their parents, and that a program only adopts.
    labels: type -> what its properties say as a Name tag would, for types that have neither tags nor unique names.
    copied: properties whose value is that of the same name of a resource that they depend on, and not its id.
    id_key: how two ids are compared, where a cloud writes one in several ways.
    known: the types that can be looked up, or that need it not; None where nothing else is ever made.
    """

    keys: Mapping[str, Key]
    children: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    own_delete: frozenset[str] = frozenset()
    same: Mapping[str, str] = field(default_factory=dict)
    exclusive: frozenset[str] = frozenset()
    built_in: frozenset[str] = frozenset()
    labels: Mapping[str, Key] = field(default_factory=dict)
    copied: frozenset[str] = frozenset()
    id_key: Callable[[str], str] = str
    known: frozenset[str] | None = None

    def canonical(self, token: str) -> str:
        return self.same.get(token, token)

    def key(self, token: str, properties: Properties) -> str | None:
        """The key, None when the type has none or a part of it is not known yet."""
        make = self.keys.get(token)
        return make(properties) if make is not None else None

    def label(self, token: str, properties: Properties) -> str | None:
        """Like a Name tag; None when the type has none of its own."""
        make = self.labels.get(token)
        return make(properties) if make is not None else None


@dataclass(frozen=True, slots=True)
class Planned:
    """One step of a preview that makes something: a create, or the create of a replacement."""

    urn: str
    token: str
    custom: bool
    inputs: Properties
    parent: str | None
    provider: str | None
    """The provider's URN, without its id."""
    dependencies: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Property -> URNs that its value comes from."""
    replaces: bool = False

    @property
    def name(self) -> str:
        return name_of(self.urn)

    @property
    def tags(self) -> Mapping[str, Any]:
        tags = self.inputs.get("tags")
        if isinstance(tags, list):  # auto scaling groups: [{key, value, propagateAtLaunch}]
            return {str(t["key"]): t.get("value") for t in tags if isinstance(t, dict) and "key" in t}
        return tags if isinstance(tags, dict) else {}


@dataclass(frozen=True, slots=True)
class Scope:
    """What a stack is about, as far as listing needs it.

    planned: what its plan would make. owned: (type, properties) of what its state has, ids: URN -> id of the same.
    """

    stack: str
    planned: Sequence[Planned] = ()
    owned: Sequence[tuple[str, Properties]] = ()
    ids: Mapping[str, str] = field(default_factory=dict)

    def tokens(self) -> frozenset[str]:
        """The types of its resources, planned and owned; no components and providers."""
        planned = {item.token for item in self.planned if item.custom}
        return frozenset(t for t in planned | {token for token, _ in self.owned} if not t.startswith("pulumi:"))

    def properties(self, token: str) -> Iterator[Properties]:
        """Of everything of a type: planned inputs, then what the state has."""
        yield from (item.inputs for item in self.planned if item.token == token)
        yield from (properties for owned, properties in self.owned if owned == token)


class Inventory(Protocol):
    """What exists in one cloud account and region."""

    def existing(self, scope: Scope) -> list[Existing]:
        """Everything that carries the stack's tag, and the untaggable parts of it; oldest first where that is known.

        Raises SpillwayError when the cloud cannot be asked.
        """
        ...


def name_of(urn: str) -> str:
    """The logical name. It may hold `::` itself, a URN's other parts may not."""
    return urn.split("::", 3)[-1]


def type_of(urn: str) -> str:
    """The type's token, without the types of its parents."""
    return urn.split("::", 3)[2].rsplit("$", 1)[-1]


def strings(value: Any, skip: tuple[str, ...] = ()) -> Iterator[str]:
    """Every text in a value, at any depth; top-level properties in `skip` are left out."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            if key not in skip:
                yield from strings(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from strings(inner)


def text(properties: Properties, name: str) -> str | None:
    """A property that is a known, non-empty text; None otherwise."""
    value = properties.get(name)
    return value if isinstance(value, str) and value and value != UNKNOWN else None


def accounts_of(settings: Properties) -> list[str]:
    """The accounts that an AWS provider allows; in a provider's inputs lists are JSON text."""
    allowed = settings.get("allowedAccountIds") or []
    return [str(account) for account in (json.loads(allowed) if isinstance(allowed, str) else allowed)]
