"""Roles for an identity of the region, each at the narrowest place that it is used at."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_azure_native as azure
from pulumi import ResourceOptions

from infra.azure import names
from infra.azure.common import Scope


@dataclass(frozen=True, slots=True)
class Holder:
    """Who gets roles: a managed identity of the region, and `suffix`, its name after the region's prefix."""

    scope: Scope
    suffix: str
    identity: azure.managedidentity.UserAssignedIdentity

    @property
    def own(self) -> str:
        """Its id, known before it exists."""
        return self.scope.id(f"Microsoft.ManagedIdentity/userAssignedIdentities/{self.scope.name(self.suffix)}")


def assign(
    name: str,
    holder: Holder,
    where: pulumi.Input[str],
    place: str,
    role: str,
    description: str,
    *,
    parent: pulumi.Resource,
    condition: str | None = None,
    after: pulumi.Resource | None = None,
    patience: pulumi.ErrorHook | None = None,
) -> pulumi.Resource:
    """One role at `where`. place: stands for it in the assignment's name, and is known before it. role: GUID of its
    definition. after: the definition, when it is the stack's own. patience: asked when the assignment is refused."""
    scope = holder.scope
    assignment: pulumi.Resource = azure.authorization.RoleAssignment(
        name,
        scope=where,
        role_assignment_name=names.assignment(f"{scope.group_id}|{place}", holder.own, role),
        role_definition_id=names.role_id(scope.account, role),
        principal_id=holder.identity.principal_id,
        # Said, so that Azure does not look for a principal which its directory may not have everywhere yet.
        # https://learn.microsoft.com/azure/role-based-access-control/troubleshooting#symptom---assigning-a-role-to-a-new-principal-sometimes-fails
        principal_type="ServicePrincipal",
        description=description,
        condition=condition,
        condition_version=None if condition is None else "2.0",
        # Its principal is new when the identity is, under the same name: the old one goes first.
        opts=ResourceOptions(
            parent=parent,
            delete_before_replace=True,
            depends_on=None if after is None else [after],
            hooks=None if patience is None else pulumi.ResourceHookBinding(on_error=[patience]),
        ),
    )
    return assignment
