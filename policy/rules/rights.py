"""Least privilege: what the clouds' own documents of rights allow, in each cloud's words."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from pydantic import Field

from cost.plan.preview import Resource
from infra.sections import Listed
from policy.findings import Finding, Policy, Settings, Stack
from policy.rules import rights_aws, rights_azure, rights_gcp, rights_tencent


class Rights(Settings):
    """What may be allowed besides."""

    anywhere: Listed[str] = Field(
        default=rights_aws.ANYWHERE,
        description="AWS actions that write and may stand with Resource *, since no narrower resource exists for them",
    )
    roles: Listed[str] = Field(
        default=(),
        description="roles that are refused otherwise: names of Google Cloud's, ids of Azure's, ARNs of AWS's",
    )


_RULES: Final[Mapping[str, Callable[[Resource, tuple[str, ...], tuple[str, ...]], Iterator[Finding]]]] = {
    **rights_aws.RULES,
    **rights_azure.RULES,
    **rights_gcp.RULES,
    **rights_tencent.RULES,
}


def _each(resource: Resource, settings: Rights) -> Iterator[Finding]:
    rule = _RULES.get(resource.type)
    if rule is not None:
        yield from rule(resource, settings.anywhere, settings.roles)


def _whole(stack: Stack, settings: Rights) -> Iterator[Finding]:
    """Policies of a stack's own, of which some only bound what others grant."""
    for resource in stack.side.of(*rights_aws.BY_USE):
        if not rights_aws.only_bounds(resource, stack):
            yield from rights_aws.BY_USE[resource.type](resource, settings.anywhere, settings.roles)


POLICY: Final = Policy(
    "least-privilege",
    "Least privilege",
    "No role may do everything, nor write everywhere, and nobody from anywhere may take one on.",
    Rights,
    each=_each,
    whole=_whole,
)
