"""What the stand-in cloud knows about one resource type, and what a type may ask of the cloud.

A `Kind` judges one type: its value rules (`check`, pure, also in previews), and at create, update and delete time the
state rules of the cloud (`before_create`, `before_update`, `before_delete`), which refuse with a `CloudError` in the
cloud's own words. References to other resources are declared, so that existence, region and "still in use" need no
code.
"""

from __future__ import annotations

import secrets as random_source
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

from sandbox.values import UNKNOWN, has_unknown, select


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with the inputs: the property path as Pulumi writes it, and what is allowed."""

    path: str
    reason: str


class CloudError(Exception):
    """A refusal by the stand-in cloud's API, in the cloud's words: `code: message`."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


@dataclass(slots=True)
class Resource:
    """Something that exists in the stand-in cloud."""

    token: str
    id: str
    region: str
    account: str
    inputs: dict[str, Any]
    outputs: dict[str, Any]
    created_at: str = ""
    urn: str = ""
    secrets: frozenset[str] = frozenset()

    def __getitem__(self, key: str) -> Any:
        return self.outputs.get(key)


class Args:
    """The inputs of one resource, with access that never trips over a missing or unknown value."""

    __slots__ = ("values",)

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.values: Mapping[str, Any] = values

    def __getitem__(self, key: str) -> Any:
        """The value, None when absent, UNKNOWN when not known yet."""
        return self.values.get(key)

    def __contains__(self, key: str) -> bool:
        return self.values.get(key) is not None

    def get(self, key: str, default: Any = None) -> Any:
        """The value when it is present and entirely known, else `default`."""
        value = self.values.get(key)
        return default if value is None or has_unknown(value) else value

    def is_unknown(self, key: str) -> bool:
        return has_unknown(self.values.get(key))

    def at(self, pattern: str) -> Iterator[tuple[str, Any]]:
        """(path, value) of everything known that the pattern reaches: `blockDeviceMappings[*].ebs.iops`."""
        for path, value in select(self.values, pattern):
            if value is not UNKNOWN:
                yield path, value


@dataclass(frozen=True, slots=True)
class Ref:
    """A property that must name something that exists.

    path: pattern of the referring property, `vpcSecurityGroupIds[*]`.
    tokens: the types it may be.
    by: the output property of the target that the value equals ("id" = the resource id), such as "arn" or "name".
    same_region: refuse a target in another region.
    code: the API's error code when it does not exist.
    blocks_delete: deleting the target while this reference stands is refused (`delete_code`).
    accept: values that are not looked up (another account's, a service's own), as a predicate.
    """

    path: str
    tokens: tuple[str, ...]
    by: str = "id"
    same_region: bool = True
    code: str = "InvalidParameterValue"
    blocks_delete: bool = True
    delete_code: str = "DependencyViolation"
    accept: Callable[[str], bool] | None = None


@dataclass(frozen=True, slots=True)
class AutoName:
    """The property that the provider fills from the resource's logical name + random hex digits when it is absent.

    digits: how many, 0 for a plain copy of the logical name. max_length: the name is cut to leave room for them.
    """

    property: str
    max_length: int
    separator: str = "-"
    lower: bool = False
    digits: int = 7


class Cloud(Protocol):
    """What rules may ask of the stand-in cloud during one call. Everything runs inside one transaction."""

    region: str
    account: str

    def get(self, token: str, id: str) -> Resource | None: ...
    def all(self, token: str, *, region: str | None = None) -> list[Resource]:
        """Resources of a type, of one region when given; oldest first."""
        ...

    def find(self, token: str, **outputs: Any) -> list[Resource]:
        """Resources of a type in this call's region whose outputs equal the given ones."""
        ...

    def put(self, resource: Resource) -> None:
        """Write a resource that the call changed as a side effect (a group's instances, a default route table)."""
        ...

    def remove(self, token: str, id: str) -> None: ...
    def quota(self, name: str, default: float, *, region: str | None = None) -> float:
        """The account's quota in this region; weather may make it smaller."""
        ...

    def sold_out(self, zone: str, machine_type: str, market: str) -> bool:
        """Whether the weather says that this zone has none of this type in this market ("spot" or "on-demand")."""
        ...

    def sequence(self, name: str) -> int:
        """The next number of a named counter, for addresses and the like: 0, 1, 2, ..."""
        ...


@dataclass(slots=True)
class Draft:
    """What a create is about to make: the id chosen, and the args with defaults applied."""

    args: Args
    id: str
    name: str = ""
    urn: str = ""
    extra: dict[str, Any] = field(default_factory=dict)


class Kind:
    """One resource type. Subclass, set the class variables, override what the type needs."""

    token: ClassVar[str]
    id_prefix: ClassVar[str] = ""
    replace_on: ClassVar[tuple[str, ...]] = ()
    """Path patterns whose change replaces the resource (the Terraform schema's ForceNew)."""
    sets: ClassVar[tuple[str, ...]] = ()
    """Path patterns of lists that the API treats as sets: their order never makes a diff."""
    json_properties: ClassVar[tuple[str, ...]] = ()
    """Path patterns of JSON documents: compared by meaning, not by text."""
    write_only: ClassVar[tuple[str, ...]] = ()
    """Inputs that the API never returns on read (user data is returned; `forceDelete` is not)."""
    defaults: ClassVar[Mapping[str, Any]] = {}
    """Values that the provider fills in when absent; they show in outputs, not in the diff."""
    autoname: ClassVar[AutoName | None] = None
    unique: ClassVar[tuple[str, ...]] = ()
    """Properties that together must be unique within `unique_scope`."""
    unique_scope: ClassVar[str] = "region"  # region | account | global
    duplicate_code: ClassVar[str] = "AlreadyExists"
    references: ClassVar[tuple[Ref, ...]] = ()
    changes_on_update: ClassVar[tuple[str, ...]] = ()
    """Outputs that any update may change, unknown in the preview of an update (a launch template's latestVersion)."""
    reshaped: ClassVar[tuple[str, ...]] = ()
    """Inputs that come back in another shape under the same name, so that a preview cannot return them as they are:
    azure-native takes identities as a list and returns a map."""
    delete_before_replace: ClassVar[bool] = False
    regional: ClassVar[bool] = True
    """False for account-wide types (IAM, budgets): they have no `region` of their own."""
    taggable: ClassVar[bool] = True
    secret_outputs: ClassVar[tuple[str, ...]] = ()
    nullable: ClassVar[tuple[str, ...]] = ()
    """Outputs that stay null when nobody set them, where the others read as zero or empty."""
    not_found_code: ClassVar[str] = "NotFound"

    def check(self, args: Args) -> Iterable[Fault]:
        """Value rules. Pure; unknown values are skipped (use `args.at`, `args.get`)."""
        return ()

    def comparable(self, inputs: Mapping[str, Any]) -> Mapping[str, Any]:
        """The inputs as the provider compares them, where it takes several spellings for one (`Example.com.` and
        `example.com`): the same shape, with those values in one spelling. Unknown values stay as they are."""
        return inputs

    def replace_when(self, old: Args, new: Args) -> Iterable[str]:
        """Changed paths that replace the resource only because of their values (a subnet taken from a balancer)."""
        return ()

    def new_id(self, args: Args, cloud: Cloud) -> str:
        return f"{self.id_prefix}{random_source.token_hex(9)[:17]}"

    def before_create(self, args: Args, cloud: Cloud) -> None:
        """State rules; raise CloudError to refuse. References and uniqueness were checked before."""

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        """The computed outputs only (inputs and defaults are already there). `old` is the resource before an update:
        what was random or counted at creation is taken from it again."""
        return {}

    def after_create(self, resource: Resource, cloud: Cloud) -> None:
        """Side effects on other resources, through `cloud.put`."""

    def before_update(self, old: Resource, args: Args, cloud: Cloud) -> None:
        """State rules of an in-place update; raise CloudError to refuse."""

    def before_delete(self, resource: Resource, cloud: Cloud) -> None:
        """State rules of a delete; raise CloudError to refuse. Declared references were checked before."""

    def after_delete(self, resource: Resource, cloud: Cloud) -> None:
        """Side effects on other resources."""

    def import_inputs(self, resource: Resource) -> dict[str, Any]:
        """The inputs an import should write down. Defaults to what the resource was made with."""
        return dict(resource.inputs)


class Registry:
    """The types and invokes of one cloud."""

    def __init__(
        self, package: str, default_account: str, account: Callable[[Mapping[str, Any]], str | None] = lambda _: None
    ) -> None:
        """`account` finds the account (subscription) in the provider's settings; without one it is the default."""
        self.package = package
        self._default_account = default_account
        self._account = account
        self.kinds: dict[str, Kind] = {}
        self.invokes: dict[str, Callable[[Args, Cloud], dict[str, Any]]] = {}

    def account(self, settings: Mapping[str, Any]) -> str:
        """The account that a provider with these settings works in."""
        return self._account(settings) or self._default_account

    def kind(self, cls: type[Kind]) -> type[Kind]:
        """Class decorator: register a type under its token."""
        if cls.token in self.kinds:
            raise ValueError(f"{cls.token} is registered twice")
        self.kinds[cls.token] = cls()
        return cls

    def invoke(self, token: str) -> Callable[[Callable[[Args, Cloud], dict[str, Any]]], Callable[..., dict[str, Any]]]:
        """Function decorator: register a data source under its token."""

        def register(function: Callable[[Args, Cloud], dict[str, Any]]) -> Callable[..., dict[str, Any]]:
            self.invokes[token] = function
            return function

        return register
