"""The vault for the nodes' secrets, and who a node is: one managed identity with exactly the rights it uses."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import pulumi
import pulumi_azure_native as azure
from pulumi import ResourceOptions

from infra.azure import names
from infra.azure.common import Scope
from infra.azure.rights import Holder, assign
from infra.azure.storage import CONTAINER

# https://learn.microsoft.com/azure/role-based-access-control/built-in-roles
BLOB_READER: Final = "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1"
"""Storage Blob Data Reader."""
SECRETS_USER: Final = "4633458b-17de-408a-b874-0445c86b69e6"
"""Key Vault Secrets User."""
METRICS_PUBLISHER: Final = "3913510d-42f4-4e42-8a64-420c390055eb"
"""Monitoring Metrics Publisher."""

SOFT_DELETE_DAYS: Final = 7
"""The shortest there is, and fixed for good: while it lasts, the name of a deleted vault cannot be used again.
https://learn.microsoft.com/azure/key-vault/general/soft-delete-overview"""

_BLOBS: Final = "Microsoft.Storage/storageAccounts/blobServices/containers/blobs"


@dataclass(frozen=True, slots=True)
class IdentityArgs:
    """What a node may touch.

    group: the resource group's name, known once it stands. vault: of its secrets (`secrets_vault`). container_id: the
    container of models; model_prefix: the folder in it, `models/<name>/<revision>/`, as nodes write it. logs_rule_id:
    the data collection rule of its logs; None where they stay on the nodes. patience: asked when a role assignment is
    refused; None where there is no engine to ask.
    """

    scope: Scope
    group: pulumi.Input[str]
    vault: azure.keyvault.Vault
    container_id: pulumi.Input[str]
    model_prefix: str
    logs_rule_id: pulumi.Input[str] | None = None
    patience: pulumi.ErrorHook | None = None


def path_condition(model_prefix: str) -> str:
    """A condition under which blobs are read below one folder only; listing stays, as it tells names alone.

    https://learn.microsoft.com/azure/storage/blobs/storage-auth-abac-examples (read blobs with a path). Raises
    ValueError for a folder that could end the text that it is written into.
    """
    if not re.fullmatch(rf"{CONTAINER}/[A-Za-z0-9._-]+/[A-Za-z0-9._-]+/", model_prefix):
        raise ValueError(f"model prefix {model_prefix!r}: expected {CONTAINER}/<name>/<revision>/")
    path = model_prefix.removeprefix(f"{CONTAINER}/")  # the container is no part of a blob's path
    return (
        f"((!(ActionMatches{{'{_BLOBS}/read'}} AND NOT SubOperationMatches{{'Blob.List'}}))"
        f" OR (@Resource[{_BLOBS}:path] StringStartsWith '{path}'))"
    )


def secrets_vault(
    name: str,
    scope: Scope,
    group: pulumi.Input[str],
    tenant: str,
    vault: str,
    parent: pulumi.Resource,
    refused: pulumi.ErrorHook | None = None,
) -> azure.keyvault.Vault:
    """The vault of the region's secrets. vault: its fixed name. refused: asked when Azure refuses to make it.

    The containers of the secrets are in it once `spillway secrets push` has filled them: Key Vault has no empty
    secrets, and a value that the stack wrote would be in the stack's state.
    """
    return azure.keyvault.Vault(
        f"{name}-secrets",
        vault_name=vault,
        resource_group_name=group,
        location=scope.region,
        properties=azure.keyvault.VaultPropertiesArgs(
            tenant_id=tenant,
            sku=azure.keyvault.SkuArgs(family="A", name="standard"),
            enable_rbac_authorization=True,
            enable_soft_delete=True,
            # Purge protection is left out, as it can never be taken back and would hold the name through a rebuild.
            soft_delete_retention_in_days=SOFT_DELETE_DAYS,
            public_network_access="Enabled",  # rights say who gets in, wherever they push secrets from
        ),
        tags=scope.tags("identity", most=names.VAULT_TAGS_MAX),
        opts=ResourceOptions(
            parent=parent,
            hooks=None if refused is None else pulumi.ResourceHookBinding(on_error=[refused]),
        ),
    )


class Identity(pulumi.ComponentResource):
    """Managed identity and role assignments of the region's nodes."""

    identity_id: pulumi.Output[str]
    client_id: pulumi.Output[str]
    vault_id: pulumi.Output[str]
    vault_url: pulumi.Output[str]
    rights: Sequence[pulumi.Resource]
    """What has to stand before a node boots."""

    def __init__(self, name: str, args: IdentityArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("spillway:azure:Identity", name, None, opts)
        scope, child = args.scope, ResourceOptions(parent=self)
        identity = azure.managedidentity.UserAssignedIdentity(
            f"{name}-node",
            resource_name_=scope.name("node"),
            resource_group_name=args.group,
            location=scope.region,
            tags=scope.tags("identity"),
            opts=child,
        )
        vault = args.vault
        told: list[tuple[str, pulumi.Input[str], str, str, str, str | None]] = [
            (
                "models",
                args.container_id,
                f"models|{scope.id(CONTAINER)}",
                BLOB_READER,
                "Weights of the stack's model",
                path_condition(args.model_prefix),
            ),
            ("secrets", vault.id, "secrets", SECRETS_USER, "Certificate and API keys", None),
            # Before the scale sets stand, hence for the group: the only metrics that can be published in it are theirs.
            ("metrics", scope.group_id, "metrics", METRICS_PUBLISHER, "Custom metrics of the nodes", None),
        ]
        if args.logs_rule_id is not None:
            told.append(("logs", args.logs_rule_id, "logs", METRICS_PUBLISHER, "Logs of the nodes", None))
        node = Holder(scope, "node", identity)
        self.rights = [
            assign(
                f"{name}-{label}",
                node,
                where,
                place,
                role,
                why,
                parent=self,
                condition=condition,
                patience=args.patience,
            )
            for label, where, place, role, why, condition in told
        ]
        self.identity_id = identity.id
        self.client_id = identity.client_id
        self.vault_id = vault.id
        self.vault_url = vault.properties.apply(lambda properties: properties.vault_uri)
        self.register_outputs({"identityId": self.identity_id, "vaultId": self.vault_id})
