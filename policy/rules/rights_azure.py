"""Azure roles: no wildcard that writes, no role that may do everything.

Wildcards: https://learn.microsoft.com/azure/role-based-access-control/role-definitions#actions
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from cost.plan.preview import Resource, Unknown
from policy.findings import Finding, get, rows, texts, unknown

BROAD: Final = {
    "8e3af657-a8ff-443c-a75c-2fe8c4bcb635": "Owner",
    "b24988ac-6180-42a0-ab88-20f7382dd24c": "Contributor",
    "18d7d88d-d35e-4fb5-a5c3-7773c20a72d9": "User Access Administrator",
    "f58310d9-a9f6-439a-9e8d-f62e7b41a168": "Role Based Access Control Administrator",
}
"""Built-in roles that may do everything, or give themselves what is lacking
(https://learn.microsoft.com/azure/role-based-access-control/built-in-roles/privileged)."""


def _definition(resource: Resource, anywhere: tuple[str, ...], roles: tuple[str, ...]) -> Iterator[Finding]:
    told = get(resource, "permissions")
    if isinstance(told, Unknown):
        yield from unknown(resource, "permissions", told)
    for row in rows(told):
        for key in ("actions", "dataActions"):
            for action in texts(row.get(key) or []):
                # `*/read` and `Microsoft.Compute/*/read` only read; a * in the last place is every operation.
                if "*" in action and not action.lower().endswith("/read"):
                    yield Finding(resource.urn, f"{key}: {action}: allowed are named operations")


def _assignment(resource: Resource, anywhere: tuple[str, ...], roles: tuple[str, ...]) -> Iterator[Finding]:
    told = get(resource, "roleDefinitionId")
    if isinstance(told, Unknown):
        if not resource.refers.get("roleDefinitionId"):  # a definition of the stack itself is judged where it stands
            yield from unknown(resource, "roleDefinitionId", told)
        return
    role = str(told).rpartition("/")[2].lower()
    if role in BROAD and role not in roles:
        yield Finding(resource.urn, f"roleDefinitionId: {BROAD[role]}: allowed is a role of what is needed")
    scope = get(resource, "scope")
    if isinstance(scope, str) and scope.lower().startswith("/providers/microsoft.management/"):
        yield Finding(resource.urn, f"scope = {scope}: allowed are a resource group, or what is in it")


def _flexible(resource: Resource, anywhere: tuple[str, ...], roles: tuple[str, ...]) -> Iterator[Finding]:
    """A credential's subject is compared as it stands; an expression may match more
    (https://learn.microsoft.com/entra/workload-id/workload-identities-flexible-federated-identity-credentials)."""
    subject = get(resource, "subject")
    if isinstance(subject, Unknown):
        yield from unknown(resource, "subject", subject)
    elif not subject or "*" in str(subject):
        yield Finding(
            resource.urn, f"subject = {subject or 'nothing'}: allowed is one repository's branch or environment"
        )


RULES: Final = {
    "azure-native:managedidentity:FederatedIdentityCredential": _flexible,
    "azure-native:authorization:RoleDefinition": _definition,
    "azure-native:authorization:RoleAssignment": _assignment,
}
