"""Resources and stacks for rules, by hand."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any, Final

from cost.plan.preview import Resource
from policy.findings import Finding, Policy, Stack

STACK: Final = "aws-us-east-1"
TODAY: Final = date(2026, 11, 26)
TAGS: Final = {"spillway-stack": STACK, "spillway-component": "test", "spillway-managed-by": "pulumi"}
UNKNOWN: Final = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"


def resource(
    type_: str,
    inputs: Mapping[str, Any],
    name: str = "one",
    *,
    protected: bool = False,
    refers: Mapping[str, tuple[str, ...]] | None = None,
) -> Resource:
    return Resource(urn(type_, name), type_, inputs, {}, refers or {}, "", protected)


def urn(type_: str, name: str = "one") -> str:
    return f"urn:pulumi:{STACK}::spillway::spillway:aws:Region${type_}::{name}"


def stack(*resources: Resource, name: str = STACK, **config: Any) -> Stack:
    """config: the stack file's objects, `region` for `spillway:region`."""
    return Stack(name, resources, {f"spillway:{key}": value for key, value in config.items()}, TODAY)


def found(
    policy: Policy[Any], *resources: Resource, config: Mapping[str, Any] | None = None, **told: Any
) -> list[Finding]:
    """What a policy has against a stack of these; told: its settings, as in a file."""
    settings = policy.settings.model_validate(told)
    return list(policy.find(stack(*resources, **(config or {})), settings))


def said(policy: Policy[Any], *resources: Resource, **told: Any) -> list[str]:
    """Messages of violations alone."""
    return [one.message for one in found(policy, *resources, **told) if one.judged]


def left_open(policy: Policy[Any], *resources: Resource, **told: Any) -> list[str]:
    """Messages of what cannot be judged yet."""
    return [one.message for one in found(policy, *resources, **told) if not one.judged]
