"""What all Azure types share: resource ids, containment in a resource group, names, tags, and azure-native's ways.

Ids and names are case-insensitive for ARM, which keeps the case of the first writer
(https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules), so nothing here compares them
as they are written. Kinds look up what they refer to themselves; a declared `Ref` compares exactly.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Final

from sandbox.azure_native import tokens
from sandbox.azure_native.places import GLOBAL, normal
from sandbox.kinds import Args, AutoName, Cloud, CloudError, Fault, Kind, Resource
from sandbox.rules import matches, shown

# https://learn.microsoft.com/azure/azure-resource-manager/management/tag-resources#limitations
TAGS_MAX: Final = 50
TAG_KEY_MAX: Final = 512
TAG_VALUE_MAX: Final = 256
TAGS_MAX_SHORT: Final = 15
"""DNS zones are among the few types that take no more."""
_TAG_KEY: Final = re.compile(r"[^<>%&\\?/]+")
PLAIN_TAG_KEY: Final = re.compile(r"[A-Za-z][^\s#:<>%&\\?/]*")
"""Traffic Manager takes no spaces, `#` or `:` in tag names, and no digit at the start (same page)."""
DNS_TAG_KEY: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*")
"""Neither do DNS zones, and no parentheses, special or other than ASCII characters (same page)."""
_RESERVED_TAG_PREFIXES: Final = ("microsoft", "azure", "windows")
"""https://learn.microsoft.com/rest/api/resources/tags/create-or-update"""

_UUID: Final = r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_ID: Final = re.compile(
    rf"/subscriptions/(?P<subscription>{_UUID})/resourceGroups/(?P<group>[^/]+)"
    r"(/providers/(?P<namespace>[A-Za-z]+(\.[A-Za-z]+)+)(?P<rest>(/[^/]+/[^/]+)+))?",
    re.IGNORECASE,
)


def random_name(property: str) -> AutoName:
    """Top-level resources get their logical name and 8 hex digits, however long that is
    (AutoNamer in https://github.com/pulumi/pulumi-azure-native/blob/master/provider/pkg/resources/resources.go)."""
    return AutoName(property, 10_000, separator="", digits=8)


def copied_name(property: str) -> AutoName:
    """Resources inside another one get their logical name as it is (same source)."""
    return AutoName(property, 10_000, separator="", digits=0)


def same(one: object, other: object) -> bool:
    """Whether two names or ids mean the same to ARM."""
    return isinstance(one, str) and isinstance(other, str) and one.lower() == other.lower()


def parse_id(value: object) -> dict[str, str] | None:
    """The parts of a resource id in lower case: `subscription`, `group`, `type` (`microsoft.network/dnszones`), `name`
    (names along the path, joined by `/`); None when it is not one."""
    match = _ID.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return None
    parts = (match["rest"] or "").lower().split("/")[1:]
    kind = "/".join([(match["namespace"] or "microsoft.resources").lower(), *(parts[::2] or ["resourcegroups"])])
    return {
        "subscription": match["subscription"].lower(),
        "group": match["group"].lower(),
        "type": kind,
        "name": "/".join(parts[1::2] or [match["group"].lower()]),
    }


def group_id(subscription: str, group: str) -> str:
    return f"/subscriptions/{subscription}/resourceGroups/{group}"


def find_by_id(cloud: Cloud, token: str, id: object) -> Resource | None:
    """The resource of a type that an id names, in whatever case."""
    return next((r for r in cloud.all(token) if same(r.id, id)), None)


def find_group(cloud: Cloud, name: object) -> Resource | None:
    return next((g for g in cloud.all(tokens.RESOURCE_GROUP) if same(g["name"], name)), None)


def need_group(cloud: Cloud, name: object) -> Resource:
    """Raises CloudError ResourceGroupNotFound, in ARM's words."""
    found = find_group(cloud, name)
    if found is None:
        raise CloudError("ResourceGroupNotFound", f"Resource group '{name}' could not be found.")
    return found


def inside(id: str, container: str) -> bool:
    """Whether an id lies below another one."""
    return id.lower().startswith(f"{container.lower()}/")


def tag_faults(args: Args, *, most: int = TAGS_MAX, key: re.Pattern[str] = _TAG_KEY) -> Iterator[Fault]:
    """Count, names (by the type's own pattern) and values; names that differ in case only are one name."""
    for path, tags in args.at("tags"):
        if not isinstance(tags, dict):
            continue
        if len(tags) > most:
            yield Fault(path, f"expected at most {most} tags, got {len(tags)}")
        seen: set[str] = set()
        for name, value in tags.items():
            if not 1 <= len(name) <= TAG_KEY_MAX or not key.fullmatch(name):
                yield Fault(path, f"a resource of this type takes no tag name {shown(name)}")
            if name.lower().startswith(_RESERVED_TAG_PREFIXES):
                yield Fault(path, f"tag names that begin with {', '.join(_RESERVED_TAG_PREFIXES)} are reserved")
            if name.lower() in seen:
                yield Fault(path, f"tag names are case-insensitive, {shown(name)} is given twice")
            seen.add(name.lower())
            if isinstance(value, str) and len(value) > TAG_VALUE_MAX:
                yield Fault(
                    path, f"expected a tag value of at most {TAG_VALUE_MAX} characters, {name} has {len(value)}"
                )


def group_name_faults(args: Args) -> Iterator[Fault]:
    """1-90 letters, digits, `_`, `-`, `.`, parentheses; no period at the end
    (https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules#microsoftresources)."""
    yield from matches(args, "resourceGroupName", r"[\w().-]{0,89}[\w()-]", "a resource group name")


def one_location(inputs: Mapping[str, Any]) -> Mapping[str, Any]:
    """`Global` and `global`, `West Europe` and `westeurope` are no change (applyAzureSpecificDiff in
    https://github.com/pulumi/pulumi-azure-native/blob/master/provider/pkg/provider/diff.go)."""
    location = inputs.get("location")
    return {**inputs, "location": normal(location)} if isinstance(location, str) else inputs


def global_faults(args: Args) -> Iterator[Fault]:
    """Types that are not regional: `location` is `global`. Left out, the provider fills in the group's region, which
    ARM refuses
    (https://learn.microsoft.com/azure/traffic-manager/traffic-manager-faqs, choice of resource group location).
    """
    if args["location"] is None:
        yield Fault("location", "is required: global (left out, it would be the resource group's)")
    for path, value in args.at("location"):
        if normal(value) != GLOBAL:
            yield Fault(path, f"expected global, the only location of this type; got {shown(value)}")


class ArmKind(Kind):
    """A type whose resources lie in a resource group."""

    regional = False
    # Names are fixed, so the old one must go first (Diff in
    # https://github.com/pulumi/pulumi-azure-native/blob/master/provider/pkg/provider/provider.go).
    delete_before_replace = True
    not_found_code = "ResourceNotFound"
    namespace: ClassVar[str] = "Microsoft.Network"
    type_name: ClassVar[str]
    """The last part of the ARM type: `dnsZones`."""
    name_property: ClassVar[str]
    """The input that names it."""
    api_version: ClassVar[str]

    def segments(self, args: Args) -> list[tuple[str, str]]:
        """(type, name) along the path below the namespace."""
        return [(self.type_name, str(args[self.name_property]))]

    def arm_type(self, args: Args) -> str:
        return "/".join([self.namespace, *(kind for kind, _ in self.segments(args))])

    def new_id(self, args: Args, cloud: Cloud) -> str:
        """The group as it was first written, the names as they are given."""
        group = need_group(cloud, args["resourceGroupName"])
        path = "".join(f"/{kind}/{name}" for kind, name in self.segments(args))
        return f"{group.id}/providers/{self.namespace}{path}"

    def before_create(self, args: Args, cloud: Cloud) -> None:
        """The group has to exist, the name has to be free; azure-native never takes over what is there already
        (Create in https://github.com/pulumi/pulumi-azure-native/blob/master/provider/pkg/provider/provider.go)."""
        id = self.new_id(args, cloud)
        self.check_parent(args, cloud)
        if find_by_id(cloud, self.token, id) is not None:
            raise already_exists(id)

    def check_parent(self, args: Args, cloud: Cloud) -> None:
        """Raises CloudError ParentResourceNotFound when what contains the resource is not there."""

    def before_delete(self, resource: Resource, cloud: Cloud) -> None:
        self.before_delete_with(resource, cloud, resource.id)

    def before_delete_with(self, resource: Resource, cloud: Cloud, container: str) -> None:
        """Raises CloudError when something outside `container`, which goes as a whole, still needs the resource."""

    def comparable(self, inputs: Mapping[str, Any]) -> Mapping[str, Any]:
        return one_location(inputs)

    def common_outputs(self, args: Args) -> dict[str, Any]:
        """What ARM says of every resource; and under which names it was asked for, by which others find it."""
        asked = {key: args[key] for key in self.replace_on if key != "location"}
        return {
            **asked,
            "name": self.segments(args)[-1][1],
            "type": self.arm_type(args),
            "azureApiVersion": self.api_version,
        }


def already_exists(id: str) -> CloudError:
    return CloudError("AlreadyExists", f"cannot create already existing resource '{id}'")


def parent_missing(what: str) -> CloudError:
    """ARM's words when a resource is created inside one that is not there."""
    return CloudError(
        "ParentResourceNotFound",
        f"Failed to perform 'write' on resource, because the parent resource '{what}' could not be found.",
    )
