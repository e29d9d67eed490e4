"""Parts of Azure's answers as typed facts: models of azure-mgmt-compute, and JSON of what it has no model for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from spillway.preflight.azure_region.facts import ImageDefinition, ImageVersion, ScaleSet, Score, Size, Thing

Json = Mapping[str, Any]
STACK_TAG: Final = "spillway-stack"


def place(location: object) -> str:
    """`East US` and `eastus` are the same region to ARM."""
    return str(location or "").replace(" ", "").lower()


def stack_of(tags: Mapping[str, str] | None) -> str:
    """The stack that a resource's tags name; names of tags have no case."""
    return next((str(value) for key, value in (tags or {}).items() if key.lower() == STACK_TAG), "")


def thing_of(one: Json) -> Thing:
    return Thing(str(one["name"]), stack_of(one.get("tags")), place(one.get("location")))


def allows(permission: Json, action: str) -> bool:
    """Whether one role's permission gives an action: `actions` minus `notActions`, both with `*` for anything
    (https://learn.microsoft.com/azure/role-based-access-control/role-definitions#actions)."""

    def named(patterns: object) -> bool:
        return any(
            re.fullmatch(re.escape(str(pattern)).replace(r"\*", ".*"), action, re.IGNORECASE)
            for pattern in patterns or ()  # type: ignore[attr-defined]
        )

    return named(permission.get("actions")) and not named(permission.get("notActions"))


def size_of(name: str, sku: Any, region: str) -> Size:
    """Of a ResourceSku of the region (https://learn.microsoft.com/rest/api/compute/resource-skus/list)."""
    here = [info for info in sku.location_info or [] if place(info.location) == region]
    zones = {str(zone) for info in here for zone in info.zones or []}
    closed, closed_zones = "", set()
    for restriction in sku.restrictions or []:
        why = str(getattr(restriction.reason_code, "value", restriction.reason_code) or "restricted")
        kind = str(getattr(restriction.type, "value", restriction.type))
        if kind == "Zone":
            closed_zones |= {str(zone) for zone in (restriction.restriction_info.zones or [])}
        elif kind == "Location":
            closed = why
    capabilities = {str(one.name): str(one.value) for one in sku.capabilities or []}
    spot = capabilities.get("LowPriorityCapable", "True") == "True"
    return Size(name, frozenset(zones), closed, frozenset(closed_zones), spot)


def scale_set_of(one: Any) -> ScaleSet:
    profile = one.properties.virtual_machine_profile if one.properties else None
    priority = getattr(profile, "priority", None)
    return ScaleSet(
        name=str(one.name),
        stack=stack_of(one.tags),
        size=str(one.sku.name) if one.sku else "",
        capacity=int(one.sku.capacity or 0) if one.sku else 0,
        spot=str(getattr(priority, "value", priority)) in ("Spot", "Low"),
    )


def definition_of(one: Any) -> ImageDefinition:
    properties = one.properties

    def text(value: object) -> str:
        return str(getattr(value, "value", value) or "")

    return ImageDefinition(
        id=str(one.id),
        # Left out, it is V1: https://learn.microsoft.com/rest/api/compute/gallery-images/get
        generation=text(properties.hyper_v_generation) or "V1",
        architecture=text(properties.architecture),
        os_state=text(properties.os_state),
    )


def version_of(one: Any, region: str) -> ImageVersion:
    """Of a GalleryImageVersion; `latest` is what `latest` may mean in this region."""
    properties = one.properties
    publishing, status = properties.publishing_profile, properties.replication_status
    targets = {place(target.name): target for target in (publishing.target_regions or [] if publishing else [])}
    replicas = {place(each.region): each for each in (status.summary or [] if status else [])}
    state = replicas[region].state if region in replicas else ""
    disk = properties.storage_profile.os_disk_image if properties.storage_profile else None
    excluded = bool(publishing and publishing.exclude_from_latest)
    return ImageVersion(
        id=str(one.id),
        version=str(one.name),
        state=str(getattr(properties.provisioning_state, "value", properties.provisioning_state) or ""),
        regions=tuple(sorted(targets)),
        replica=str(getattr(state, "value", state) or ""),
        size_gib=int(disk.size_in_gb or 0) if disk else 0,
        published=_moment(publishing.published_date if publishing else None),
        latest=not (excluded or (region in targets and targets[region].exclude_from_latest)),
        end=_moment(publishing.end_of_life_date if publishing else None),
    )


def _moment(value: object) -> datetime | None:
    return value if isinstance(value, datetime) else None


def score_of(one: Json) -> Score:
    return Score(place(one["region"]), str(one["sku"]), str(one["score"]))
