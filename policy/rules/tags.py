"""Tags and labels by which bills, clean-up and `spillway recover` know what belongs to a stack."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from pydantic import Field

from cost.plan.preview import Resource, Unknown
from infra.faults import listed
from infra.sections import Listed
from policy.findings import Finding, Policy, Settings, get, rows, unknown

TABLE: Final = Path(__file__).resolve().parents[1] / "data" / "taggable.json"
TEMPLATES: Final = {"aws:ec2/launchTemplate:LaunchTemplate": "tagSpecifications"}
"""A launch template's own tags do not reach what is launched from it
(https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-tagging.html)."""
GROUPS: Final = frozenset({"aws:autoscaling/group:Group"})
"""Tags of these reach their instances where each says so."""
STACK: Final = "spillway-stack"


class Tags(Settings):
    """Which keys everything has that takes tags."""

    keys: Listed[str] = Field(
        default=(STACK, "spillway-component", "spillway-managed-by"),
        description="keys; `:` and `-` are the same, as labels of Google Cloud take no colon",
    )
    except_types: Listed[str] = Field(default=(), description="type tokens that may do without")


def _each(resource: Resource, settings: Tags) -> Iterator[Finding]:
    key = taggable().get(resource.type)
    if key is None or resource.type in settings.except_types:
        return
    told = get(resource, key)
    if isinstance(told, Unknown):
        yield from unknown(resource, key, told)
        return
    found = _tags(told)
    if missing := [name for name in settings.keys if _plain(name) not in found]:
        yield Finding(resource.urn, f"{key}: {listed(missing, 'and')} missing")
    stack = resource.urn.removeprefix("urn:pulumi:").partition("::")[0]
    if (own := found.get(STACK)) is not None and not isinstance(own, Unknown) and own != stack:
        yield Finding(resource.urn, f"{key}: spillway:stack = {own}: allowed is the stack's own name, {stack}")
    if resource.type in GROUPS:
        kept = {_plain(str(row.get("key"))) for row in rows(told) if row.get("propagateAtLaunch") is False}
        if lost := [name for name in settings.keys if _plain(name) in kept]:
            yield Finding(resource.urn, f"{key}: {listed(lost, 'and')} not on the instances: propagateAtLaunch = false")
    if (launched := TEMPLATES.get(resource.type)) is not None:
        yield from _launched(resource, launched, settings)


def _launched(resource: Resource, key: str, settings: Tags) -> Iterator[Finding]:
    """Instances and volumes are billed, and have to be found, by tags of their own."""
    told = get(resource, key)
    if isinstance(told, Unknown):
        yield from unknown(resource, key, told)
        return
    by_kind = {str(row.get("resourceType")): _tags(row.get("tags")) for row in rows(told)}
    for kind in ("instance", "volume"):
        if missing := [name for name in settings.keys if _plain(name) not in by_kind.get(kind, {})]:
            yield Finding(resource.urn, f"{key}: {listed(missing, 'and')} missing for each {kind}")


def _tags(told: Any) -> dict[str, Any]:
    """A map of tags, or a list of keys and values; keys as GCP would have them."""
    if isinstance(told, Mapping):
        return {_plain(str(key)): value for key, value in told.items()}
    return {_plain(str(row.get("key"))): row.get("value") for row in rows(told)}


def _plain(key: str) -> str:
    return re.sub(r"[:/_ ]", "-", key).lower()


@lru_cache(maxsize=1)
def taggable() -> dict[str, str]:
    """Type -> the property that its tags or labels are in, of every type that Spillway may make."""
    table: dict[str, list[str]] = json.loads(TABLE.read_text())
    return {type_: key for key, types in table.items() for type_ in types}


POLICY: Final = Policy(
    "required-tags",
    "Required tags and labels",
    "Everything that takes tags or labels says whose it is.",
    Tags,
    each=_each,
)
