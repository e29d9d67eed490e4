"""What the components of an Azure region share: who they belong to, and the resource group that holds them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pulumi
import pulumi_azure_native as azure
from pulumi import ResourceOptions

from infra import naming
from infra.azure import names


@dataclass(frozen=True, slots=True)
class Scope:
    """Stack, region and subscription of everything in a region, and the stack file's own tags."""

    stack: str
    region: str
    account: str
    extra_tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def group(self) -> str:
        """The resource group's name."""
        return names.resource_group(self.stack)

    @property
    def group_id(self) -> str:
        """The resource group's id, known before it exists."""
        return names.group_id(self.account, self.group)

    def tags(self, component: str, *, pool: str | None = None, most: int = names.TAGS_MAX) -> dict[str, str]:
        """Tags of one resource; `most`: how many its type takes."""
        return names.tags(self.stack, component, self.extra_tags, pool=pool, most=most)

    def name(self, suffix: str) -> str:
        """A fixed resource name with the region's prefix."""
        return naming.name(self.stack, suffix)

    def id(self, path: str) -> str:
        """An id in the region's resource group: `Microsoft.Network/loadBalancers/...`. Known before anything exists, so
        that a preview shows it."""
        return f"{self.group_id}/providers/{path}"


def resource_group(name: str, scope: Scope, parent: pulumi.Resource) -> azure.resources.ResourceGroup:
    """The region's resource group. Protected besides what is protected in it: Azure deletes a group with everything
    that is in it, asked or not."""
    return azure.resources.ResourceGroup(
        name,
        resource_group_name=scope.group,
        location=scope.region,
        tags=scope.tags("group"),
        opts=ResourceOptions(parent=parent, protect=True),
    )
