"""The model store: one private, versioned, encrypted container per region; weights stay in their region."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import pulumi
import pulumi_azure_native as azure
from pulumi import ResourceOptions

from infra.azure.common import Scope

CONTAINER: Final = "models"
DELETED_DAYS: Final = 7
"""For so long a deleted blob or container can be had again."""
VERSION_DAYS: Final = 30
"""Former versions of a blob go by age: Azure's lifecycle rules cannot count them."""


@dataclass(frozen=True, slots=True)
class StorageArgs:
    """What the model store is made from.

    group: the resource group's name, known once it stands. account: its fixed name, also known to nodes before it
    exists. zones: of the region; with any, three copies in three of them.
    """

    scope: Scope
    group: pulumi.Input[str]
    account: str
    zones: Sequence[str]


class Storage(pulumi.ComponentResource):
    """The storage account, its container of models, and everything that guards them."""

    account: pulumi.Output[str]
    container_id: pulumi.Output[str]
    uri: pulumi.Output[str]
    """`az://<account>/models/`."""

    def __init__(self, name: str, args: StorageArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("spillway:azure:Storage", name, None, opts)
        scope, child = args.scope, ResourceOptions(parent=self)
        # Protected, as is the container: hundreds of gigabytes that take hours to bring back, and without which no node
        # boots.
        account = azure.storage.StorageAccount(
            f"{name}-models",
            account_name=args.account,
            resource_group_name=args.group,
            location=scope.region,
            kind="StorageV2",
            sku=azure.storage.SkuArgs(name="Standard_ZRS" if args.zones else "Standard_LRS"),
            access_tier="Hot",
            # Nobody has a key: rights are those of an identity, and a leaked key cannot exist.
            allow_shared_key_access=False,
            default_to_o_auth_authentication=True,
            allow_blob_public_access=False,
            allow_cross_tenant_replication=False,
            enable_https_traffic_only=True,
            minimum_tls_version="TLS1_2",
            is_hns_enabled=False,  # with it there are no versions
            # As with any bucket: rights say who gets in, wherever they push weights from.
            public_network_access="Enabled",
            tags=scope.tags("storage"),
            opts=ResourceOptions(parent=self, protect=True),
        )
        azure.storage.BlobServiceProperties(
            f"{name}-models",
            account_name=account.name,
            blob_services_name="default",
            resource_group_name=args.group,
            is_versioning_enabled=True,
            delete_retention_policy=azure.storage.DeleteRetentionPolicyArgs(enabled=True, days=DELETED_DAYS),
            container_delete_retention_policy=azure.storage.DeleteRetentionPolicyArgs(enabled=True, days=DELETED_DAYS),
            opts=child,
        )
        container = azure.storage.BlobContainer(
            f"{name}-models",
            account_name=account.name,
            container_name=CONTAINER,
            resource_group_name=args.group,
            public_access="None",
            opts=ResourceOptions(parent=self, protect=True),
        )
        azure.storage.ManagementPolicy(
            f"{name}-models",
            account_name=account.name,
            management_policy_name="default",
            resource_group_name=args.group,
            policy=azure.storage.ManagementPolicySchemaArgs(
                rules=[
                    azure.storage.ManagementPolicyRuleArgs(
                        name="former-versions",
                        type="Lifecycle",
                        enabled=True,
                        definition=azure.storage.ManagementPolicyDefinitionArgs(
                            filters=azure.storage.ManagementPolicyFilterArgs(
                                blob_types=["blockBlob"], prefix_match=[f"{CONTAINER}/"]
                            ),
                            actions=azure.storage.ManagementPolicyActionArgs(
                                version=azure.storage.ManagementPolicyVersionArgs(
                                    delete=azure.storage.DateAfterCreationArgs(
                                        days_after_creation_greater_than=VERSION_DAYS
                                    )
                                )
                            ),
                        ),
                    )
                ]
            ),
            opts=child,
        )
        self.account = account.name
        self.container_id = container.id
        self.uri = pulumi.Output.concat("az://", account.name, "/", container.name, "/")
        self.register_outputs({"account": self.account, "uri": self.uri})
