"""What the types of an Azure region share: a location, references by resource id, what holds what on a delete.

ARM compares ids without case, so references are declared here (`Use`) and not as the core's `Ref`s, which compare
them as they are written.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar, Final

from sandbox.azure_native import arm
from sandbox.azure_native.places import normal, region_faults
from sandbox.azure_native.registry import AZURE_NATIVE
from sandbox.kinds import Args, Cloud, CloudError, Fault, Resource
from sandbox.rules import matches, shown
from sandbox.values import UNKNOWN, select

TENANT: Final = "00000000-0000-4000-8000-000000000001"
"""The one tenant of the stand-in, as `getClientConfig` tells it."""


@dataclass(frozen=True, slots=True)
class Use:
    """A property that names another resource by its id.

    path: pattern of the property, `frontendIPConfigurations[*].publicIPAddress.id`.
    type: the ARM type of the target, `Microsoft.Network/publicIPAddresses`.
    below: a list of the target whose element is named, `backendAddressPools`; the id then ends in it.
    code: the API's error code when the target is not there. in_use: the code when the target is deleted meanwhile; ""
    when nothing holds it.
    """

    path: str
    token: str
    type: str
    below: str = ""
    same_location: bool = True
    code: str = "InvalidResourceReference"
    in_use: str = "InUseResourceCannotBeDeleted"

    def faults(self, args: Args) -> Iterator[Fault]:
        wanted = f"{self.type}/{self.below}" if self.below else self.type
        for path, value in args.at(self.path):
            found = arm.parse_id(value)
            if found is None or found["type"] != wanted.lower():
                yield Fault(path, f"expected the id of a resource of type {wanted}, got {shown(value)}")

    def target_id(self, id: str) -> str:
        """The id of the resource itself, where `id` names a part of it."""
        return id.rsplit("/", 2)[0] if self.below else id

    def refuse_missing(self, args: Args, cloud: Cloud, location: str, own_id: str) -> None:
        """Raises CloudError when a target of this subscription is not there, or in another region. References of a
        resource to its own parts are the kind's matter."""
        for _, value in args.at(self.path):
            found = arm.parse_id(value)
            if found is None or found["subscription"] != cloud.account.lower():
                continue
            id = self.target_id(str(value))
            if arm.same(id, own_id):
                continue
            target = arm.find_by_id(cloud, self.token, id)
            parts = target[self.below] or [] if target is not None and self.below else None
            name = str(value).rsplit("/", 1)[-1]
            if target is None or (parts is not None and not any(arm.same(p.get("name"), name) for p in parts)):
                raise CloudError(
                    self.code,
                    f"Resource {value} referenced by resource {own_id} was not found. Please make sure that the "
                    "referenced resource exists, and that both resources are in the same region.",
                )
            if self.same_location and location_of_resource(target, cloud) != location:
                raise CloudError(
                    self.code,
                    f"Resource {value} is in {location_of_resource(target, cloud)} and resource {own_id} in "
                    f"{location}: both have to be in the same region.",
                )

    def names(self, user: Resource, target: Resource) -> str | None:
        """The value by which a resource uses the target, None when it does not."""
        for _, value in select(user.inputs, self.path):
            if value is not UNKNOWN and isinstance(value, str) and arm.same(self.target_id(value), target.id):
                return value
        return None


def location_of_resource(resource: Resource, cloud: Cloud) -> str:
    """Where a resource stands; types without a location stand where what contains them does."""
    location = resource["location"]
    if isinstance(location, str) and location:
        return normal(location)
    containers = [
        r for token in AZURE_NATIVE.kinds for r in cloud.all(token) if r["location"] and arm.inside(resource.id, r.id)
    ]
    nearest = max(containers, key=lambda r: len(r.id), default=None)
    return normal(str(nearest["location"])) if nearest else ""


def nothing(value: object) -> bool:
    """Whether a value is absent or empty, for certain."""
    return value is not UNKNOWN and not value


def now() -> str:
    """As ARM writes a moment."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def users(cloud: Cloud, target: Resource) -> Iterator[tuple[Resource, Use, str]]:
    """(resource, its reference, the id it gives) of everything that uses a resource or a part of it."""
    for token, kind in AZURE_NATIVE.kinds.items():
        for use in kind.uses if isinstance(kind, Regional) else ():
            if use.token == target.token:
                for other in cloud.all(token):
                    named = use.names(other, target)
                    if named is not None and not arm.same(other.id, target.id):
                        yield other, use, named


class Regional(arm.ArmKind):
    """A type whose resources stand in an Azure region, or in a resource that does.

    `path` are the inputs that make the id, in its order and all replacing; `name_rule` is (pattern, in words) from
    https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules.
    """

    uses: ClassVar[tuple[Use, ...]] = ()
    path: ClassVar[tuple[str, ...]]
    name_rule: ClassVar[tuple[str, str]]
    located: ClassVar[bool] = True
    """Whether the type has a location of its own, which is a region."""
    tags_max: ClassVar[int] = arm.TAGS_MAX
    changes_on_update: ClassVar[tuple[str, ...]] = ("etag",)

    def check(self, args: Args) -> Iterable[Fault]:
        yield from arm.group_name_faults(args)
        yield from matches(args, self.name_property, *self.name_rule)
        if self.located:
            yield from region_faults(args, "location")
        if self.taggable:
            yield from arm.tag_faults(args, most=self.tags_max)
        for use in self.uses:
            yield from use.faults(args)
        yield from self.rules(args)

    def rules(self, args: Args) -> Iterable[Fault]:
        """The value rules of the type itself."""
        return ()

    def judge(self, args: Args, cloud: Cloud, old: Resource | None) -> None:
        """State rules of a create (`old` is None) and of an update. Raises CloudError."""

    def location_of(self, args: Args, cloud: Cloud) -> str:
        """The location given, or that of the group, which the provider fills in
        (https://github.com/pulumi/pulumi-azure-native/blob/master/provider/pkg/provider/provider.go,
        getAutoLocation)."""
        given = args["location"]
        return (
            normal(str(given)) if given else normal(str(arm.need_group(cloud, args["resourceGroupName"])["location"]))
        )

    def before_create(self, args: Args, cloud: Cloud) -> None:
        super().before_create(args, cloud)
        self._refuse_missing(args, cloud, self.new_id(args, cloud))
        self.judge(args, cloud, None)

    def before_update(self, old: Resource, args: Args, cloud: Cloud) -> None:
        location = self.location_of(args, cloud)
        if self.located and normal(str(old["location"])) != location:
            # Where the API's specification does not say that the location is fixed, the provider sends the change.
            raise CloudError(
                "InvalidResourceLocation",
                f"The resource '{old['name']}' already exists in location '{normal(str(old['location']))}' in "
                "resource group "
                f"'{args['resourceGroupName']}'. A resource with the same name cannot be created in location "
                f"'{location}'. Please select a new resource name.",
            )
        self._refuse_missing(args, cloud, old.id)
        self.judge(args, cloud, old)

    def _refuse_missing(self, args: Args, cloud: Cloud, own_id: str) -> None:
        location = self.location_of(args, cloud) if self.located else self.location_inside(args, cloud)
        for use in self.uses:
            use.refuse_missing(args, cloud, location, own_id)

    def location_inside(self, args: Args, cloud: Cloud) -> str:
        """The location of what contains a resource that has none of its own."""
        id = self.new_id(args, cloud)
        return location_of_resource(Resource(self.token, id, "", cloud.account, {}, {}), cloud)

    def before_delete_with(self, resource: Resource, cloud: Cloud, container: str) -> None:
        for other, use, named in users(cloud, resource):
            if use.in_use and not arm.inside(other.id, container):
                what = resource.token.rsplit(":", 1)[-1]
                raise CloudError(use.in_use, f"{what} {named} is in use by {other.id} and cannot be deleted.")

    def after_delete(self, resource: Resource, cloud: Cloud) -> None:
        """What lies in a resource goes with it, and so do the role assignments at it."""
        for token in AZURE_NATIVE.kinds:
            for member in cloud.all(token):
                if arm.inside(member.id, resource.id):
                    cloud.remove(token, member.id)

    def common_outputs(self, args: Args) -> dict[str, Any]:
        return {
            **{key: args[key] for key in self.path},
            "name": self.segments(args)[-1][1],
            "type": self.arm_type(args),
            "azureApiVersion": self.api_version,
        }

    def network_outputs(self, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        """What every resource of Microsoft.Network is returned with."""
        return {
            **self.common_outputs(args),
            "location": self.location_of(args, cloud),
            "etag": f'W/"{uuid.uuid4()}"',
            "provisioningState": "Succeeded",
            "resourceGuid": old["resourceGuid"] if old else str(uuid.uuid4()),
        }


def count_in(cloud: Cloud, token: str, location: str) -> int:
    """How many resources of a type stand in a region."""
    return sum(normal(str(r["location"])) == location for r in cloud.all(token))


def refuse_one_more(cloud: Cloud, token: str, location: str, quota: str, most: float, code: str, what: str) -> None:
    """Raises CloudError when the subscription has as many of a type in a region as it may."""
    limit = cloud.quota(quota, most, region=location)
    if count_in(cloud, token, location) + 1 > limit:
        raise CloudError(code, f"Cannot create more than {limit:g} {what} for this subscription in this region.")


def iso_minutes(text: object) -> float | None:
    """Minutes of an ISO 8601 duration of hours, minutes and seconds (`PT1H30M`); None when it is not one."""
    import re

    match = (
        re.fullmatch(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?", text) if isinstance(text, str) else None
    )
    if match is None or not any(match.groups()):
        return None
    days, hours, minutes, seconds = (int(group or 0) for group in match.groups())
    return days * 1440 + hours * 60 + minutes + seconds / 60


def duration_faults(args: Args, pattern: str, low: str, high: str) -> Iterator[Fault]:
    """ISO 8601 durations within two others."""
    least, most = iso_minutes(low), iso_minutes(high)
    assert least is not None
    assert most is not None
    for path, value in args.at(pattern):
        minutes = iso_minutes(value)
        if minutes is None or not least <= minutes <= most:
            yield Fault(path, f"expected an ISO 8601 duration of {low} to {high}, got {shown(value)}")
