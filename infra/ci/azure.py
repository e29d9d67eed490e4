"""Pipelines in an Azure subscription: identities that their tokens become, a role that reads and one that deploys."""

from __future__ import annotations

from typing import Final

import pulumi
import pulumi_azure_native as azure
from pulumi import ResourceOptions

from infra.azure import names
from infra.azure.common import Scope, resource_group
from infra.azure.identity import BLOB_READER, METRICS_PUBLISHER, SECRETS_USER
from infra.azure.rights import Holder, assign
from infra.azure.scaling import BLOB_OWNER
from infra.ci import azure_rights as rights
from infra.ci.common import Roles
from infra.ci.sections import AzureCi
from infra.ci.subjects import ROLES, Role, issuers

AUDIENCE: Final = "api://AzureADTokenExchange"
"""https://learn.microsoft.com/entra/workload-id/workload-identity-federation-create-trust-user-assigned-managed-identity"""
BLOB_CONTRIBUTOR: Final = "ba92f5b4-2d11-453d-a403-e96b0029c9fe"
"""Storage Blob Data Contributor."""


def provider(config: AzureCi) -> azure.Provider:
    """No subscription but the one that the stack file names: whatever `az login` chose is not asked."""
    return azure.Provider(config.stack_name, subscription_id=config.account, location=config.region)


def build(config: AzureCi) -> Roles:
    """The identities and their roles, registered. Raises NotFound."""
    from infra.azure.lookups import find_tenant

    account = provider(config)
    tenant = find_tenant(config.account, account)
    made = AzureRoles(config.stack_name, config, ResourceOptions(providers={"azure-native": account}))
    return Roles(
        {issuer.kind: issuer.url for issuer in issuers(config)},
        made.client_ids,
        False,
        {
            "AZURE_TENANT_ID": tenant,
            "AZURE_SUBSCRIPTION_ID": config.account,
            "AZURE_PREVIEW_CLIENT_ID": made.client_ids["preview"],
            "AZURE_DEPLOY_CLIENT_ID": made.client_ids["deploy"],
        },
    )


def role_guid(config: AzureCi, role: Role) -> str:
    """The GUID of a role's definition, known before it exists."""
    return names.assignment(f"/subscriptions/{config.account}", config.stack_name, role)


def assignable(config: AzureCi) -> list[str]:
    """GUIDs of the roles that region stacks give to their own identities, for the condition on the deploy role."""
    own = [names.function_role(stack, config.account) for stack in config.stacks]
    return sorted({BLOB_READER, SECRETS_USER, METRICS_PUBLISHER, BLOB_OWNER, *own})


class AzureRoles(pulumi.ComponentResource):
    """A resource group with two identities, their federated credentials, and two roles of the subscription."""

    client_ids: dict[Role, pulumi.Output[str]]

    def __init__(self, name: str, config: AzureCi, opts: ResourceOptions) -> None:
        super().__init__("spillway:ci:AzureRoles", name, None, opts)
        self._name, self._config = name, config
        self._scope = Scope(config.stack_name, config.region, config.account, config.tags)
        self._group = resource_group(f"{name}-group", self._scope, self)
        holders = {role: self._identity(role) for role in ROLES}
        self._federate(holders)
        self._grant(holders)
        self.client_ids = {role: holder.identity.client_id for role, holder in holders.items()}
        self.register_outputs({f"{role}ClientId": id for role, id in self.client_ids.items()})

    def _identity(self, role: Role) -> Holder:
        made = azure.managedidentity.UserAssignedIdentity(
            f"{self._name}-{role}",
            resource_name_=self._scope.name(role),
            resource_group_name=self._group.name,
            location=self._scope.region,
            tags=self._scope.tags("role"),
            opts=ResourceOptions(parent=self),
        )
        return Holder(self._scope, role, made)

    def _federate(self, holders: dict[Role, Holder]) -> None:
        """One credential for each whole subject; a managed identity's takes no pattern, so that on GitLab previews are
        those of the one branch."""
        for role, holder in holders.items():
            before: list[pulumi.Resource] = []
            for issuer in issuers(self._config):
                for subject in issuer.subjects(role):
                    if subject.any_branch:
                        continue
                    made = azure.managedidentity.FederatedIdentityCredential(
                        f"{self._name}-{role}-{subject.label}",
                        federated_identity_credential_resource_name=subject.label.replace(".", "-"),
                        resource_group_name=self._group.name,
                        resource_name_=holder.identity.name,
                        issuer=issuer.url,
                        subject=subject.text,
                        audiences=[AUDIENCE],
                        # One after the other: Azure refuses two at the same time on one identity.
                        # https://learn.microsoft.com/entra/workload-id/workload-identity-federation-considerations#concurrent-updates-arent-supported-user-assigned-managed-identities
                        opts=ResourceOptions(parent=self, depends_on=before[-1:]),
                    )
                    before.append(made)

    def _grant(self, holders: dict[Role, Holder]) -> None:
        config = self._config
        definitions = {
            "preview": self._definition("preview", "What previews read", rights.preview_actions(config)),
            "deploy": self._definition("deploy", "What deploys change", rights.deploy_actions(config)),
        }
        where = f"/subscriptions/{config.account}"
        told: list[tuple[Role, Role, str | None]] = [
            ("preview", "preview", None),
            ("deploy", "preview", None),
            ("deploy", "deploy", rights.grant_condition(assignable(config)) if config.grants else None),
        ]
        for holder, role, condition in told:
            assign(
                f"{self._name}-{holder}-{'reads' if role == 'preview' else 'changes'}",
                holders[holder],
                where,
                "subscription",
                role_guid(config, role),
                f"The pipelines' {role} role",
                parent=self,
                condition=condition,
                after=definitions[role],
            )
        if config.state is None:
            return
        group = names.group_id(config.account, config.state.resource_group)
        account = f"{group}/providers/Microsoft.Storage/storageAccounts/{config.state.storage_account}"
        container = f"{account}/blobServices/default/containers/{config.state.container}"
        for role, guid in (("preview", BLOB_READER), ("deploy", BLOB_CONTRIBUTOR)):
            assign(
                f"{self._name}-{role}-state",
                holders["preview" if role == "preview" else "deploy"],
                container,
                f"state|{container}",
                guid,
                "Pulumi's states",
                parent=self,
            )

    def _definition(self, role: Role, description: str, actions: list[str]) -> pulumi.Resource:
        where = f"/subscriptions/{self._config.account}"
        made: pulumi.Resource = azure.authorization.RoleDefinition(
            f"{self._name}-{role}-role",
            scope=where,
            role_definition_id=role_guid(self._config, role),
            # A role's name is the directory's, which may have several subscriptions with roles of pipelines.
            role_name=f"{self._scope.name(role)} in {self._config.account}",
            role_type="CustomRole",
            description=description,
            assignable_scopes=[where],
            permissions=[azure.authorization.PermissionArgs(actions=actions)],
            opts=ResourceOptions(parent=self),
        )
        return made
