"""Storage accounts of the stand-in Azure, and what lies in them."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.azure_native import AZURE_NATIVE, tokens
from tests.support import azure_region as region
from tests.support.aws_region import refused
from tests.support.azure import faults
from tests.support.azure_region import LIFECYCLE, Region, account, blob_service, inputs, put

NAME = account()["accountName"]
POLICY = inputs(accountName=NAME, managementPolicyName="default", policy={"rules": [LIFECYCLE]})
CONTAINER = inputs(accountName=NAME, containerName="models", publicAccess="None")
AT = "policy.rules.0.definition"


@pytest.mark.parametrize(
    ("token", "good", "path", "value", "expected"),
    [
        (
            tokens.STORAGE_ACCOUNT,
            account(),
            "accountName",
            "spillway-models",
            "accountName: expected 3 to 24 lower-case",
        ),
        (tokens.STORAGE_ACCOUNT, account(), "accountName", "a" * 25, "accountName: expected 3 to 24 lower-case"),
        (tokens.STORAGE_ACCOUNT, account(), "minimumTlsVersion", "TLS1_0", "minimumTlsVersion: expected one of TLS1_2"),
        (tokens.STORAGE_ACCOUNT, account(), "sku.name", "Premium_Local", "sku.name: expected one of Standard_LRS"),
        (tokens.STORAGE_ACCOUNT, account(), "location", "westus", "sku.name: Standard_ZRS needs a region with zones"),
        (tokens.STORAGE_ACCOUNT, account(), "kind", "BlockBlobStorage", "sku.name: Standard_ZRS does not go with kind"),
        (tokens.STORAGE_ACCOUNT, account(), "isSftpEnabled", True, "isSftpEnabled: needs isHnsEnabled"),
        (
            tokens.STORAGE_ACCOUNT,
            account(),
            "networkRuleSet.defaultAction",
            "Block",
            "networkRuleSet.defaultAction: exp",
        ),
        (
            tokens.STORAGE_ACCOUNT,
            account(),
            "networkRuleSet.ipRules.0.iPAddressOrRange",
            "10.0.0.0/8",
            "networkRuleSet.ipRules[0].iPAddressOrRange: expected a public address",
        ),
        (
            tokens.STORAGE_ACCOUNT,
            account(),
            "networkRuleSet.ipRules.0.iPAddressOrRange",
            "203.0.113.0/31",
            "networkRuleSet.ipRules[0].iPAddressOrRange: expected a prefix of /30",
        ),
        (tokens.BLOB_SERVICE, blob_service(), "blobServicesName", "main", "blobServicesName: expected default"),
        (tokens.BLOB_SERVICE, blob_service(), "blobServicesName", None, "blobServicesName: is required"),
        (
            tokens.BLOB_SERVICE,
            blob_service(),
            "deleteRetentionPolicy.days",
            366,
            "deleteRetentionPolicy.days: expected",
        ),
        (tokens.BLOB_SERVICE, blob_service(), "deleteRetentionPolicy.days", None, "deleteRetentionPolicy.days: is req"),
        (
            tokens.BLOB_SERVICE,
            blob_service(),
            "restorePolicy",
            {"enabled": True, "days": 3},
            "changeFeed.enabled: has to",
        ),
        (tokens.CONTAINER, CONTAINER, "containerName", "Models", "containerName: expected 3 to 63 lower-case"),
        (tokens.CONTAINER, CONTAINER, "containerName", "a--b", "containerName: expected 3 to 63 lower-case"),
        (tokens.CONTAINER, CONTAINER, "publicAccess", "blob", "publicAccess: expected one of None"),
        (tokens.CONTAINER, CONTAINER, "metadata", {"a-b": ""}, "metadata: expected names like those of C#"),
        (tokens.MANAGEMENT_POLICY, POLICY, "managementPolicyName", "mine", "managementPolicyName: expected default"),
        (
            tokens.MANAGEMENT_POLICY,
            POLICY,
            f"{AT}.actions",
            {},
            "policy.rules[0].definition.actions: expected at least",
        ),
        (
            tokens.MANAGEMENT_POLICY,
            POLICY,
            f"{AT}.filters.blobTypes",
            ["page"],
            "policy.rules[0].definition.filters.bl",
        ),
        (
            tokens.MANAGEMENT_POLICY,
            POLICY,
            f"{AT}.filters.prefixMatch",
            ["/m"],
            "policy.rules[0].definition.filters.pr",
        ),
        (
            tokens.MANAGEMENT_POLICY,
            POLICY,
            f"{AT}.actions.baseBlob.delete",
            {"daysAfterModificationGreaterThan": 30},
            "policy.rules[0].definition.actions.baseBlob.delete: comes before tierToCool: 30 days and 90",
        ),
        (
            tokens.MANAGEMENT_POLICY,
            POLICY,
            f"{AT}.actions.baseBlob.delete",
            {},
            "policy.rules[0].definition.actions.baseBlob.delete: expected one of",
        ),
        (
            tokens.MANAGEMENT_POLICY,
            POLICY,
            f"{AT}.filters.blobTypes",
            ["appendBlob"],
            "policy.rules[0].definition.actions.baseBlob.tierToCool: is not for appendBlob",
        ),
    ],
)
def test_values_are_checked(token: str, good: dict[str, Any], path: str, value: Any, expected: str) -> None:
    head = path.split(".", 1)[0]
    found = faults(token, good, **{head: put(good, path, value).get(head)})
    assert [line for line in found if line.startswith(expected)], found


def test_an_account_name_is_taken_once_in_the_world() -> None:
    kind = AZURE_NATIVE.kinds[tokens.STORAGE_ACCOUNT]
    assert (kind.unique, kind.unique_scope) == (("accountName",), "global")
    cloud = Region()
    cloud.create(tokens.STORAGE_ACCOUNT, **account())
    other = cloud.create(tokens.RESOURCE_GROUP, resourceGroupName="other", location="eastus")
    with refused("StorageAccountAlreadyTaken", NAME):
        cloud.create(tokens.STORAGE_ACCOUNT, **account(resourceGroupName=other["name"]))


def test_an_account_reads_like_one_of_azure() -> None:
    cloud = Region()
    made = cloud.create(tokens.STORAGE_ACCOUNT, **account())
    assert made.id == f"{region.ROOT}/Microsoft.Storage/storageAccounts/{NAME}"
    assert made["primaryEndpoints"]["blob"] == f"https://{NAME}.blob.core.windows.net/"
    assert made["sku"] == {"tier": "Standard", "name": "Standard_ZRS"}
    assert cloud.update(made, tags={"a": "b"})["creationTime"] == made["creationTime"]


def test_what_lies_in_an_account_needs_it_and_goes_with_it() -> None:
    cloud = Region()
    with refused("ParentResourceNotFound", f"Microsoft.Storage/storageAccounts/{NAME}"):
        cloud.create(tokens.CONTAINER, **CONTAINER)
    made = cloud.create(tokens.STORAGE_ACCOUNT, **account())
    container = cloud.create(tokens.CONTAINER, **CONTAINER)
    service = cloud.create(tokens.BLOB_SERVICE, **blob_service())
    assert container.id == f"{made.id}/blobServices/default/containers/models"
    assert service.id == f"{made.id}/blobServices/default"
    cloud.delete(service)  # its settings, not the service
    assert cloud.all(tokens.CONTAINER) == [container]
    cloud.delete(made)
    assert cloud.all(tokens.CONTAINER) == []


def test_blobs_are_not_public_unless_the_account_lets_them() -> None:
    cloud = Region()
    cloud.create(tokens.STORAGE_ACCOUNT, **account())
    with refused("PublicAccessNotPermitted", "Public access is not permitted"):
        cloud.create(tokens.CONTAINER, **{**CONTAINER, "publicAccess": "Blob"})


def test_a_blob_is_written_with_the_accounts_key() -> None:
    cloud = Region()
    made = cloud.create(tokens.STORAGE_ACCOUNT, **account())
    blob = inputs(accountName=NAME, containerName="models", blobName="code.zip")
    with refused("ContainerNotFound", "does not exist"):
        cloud.create(tokens.BLOB, **blob)
    cloud.create(tokens.CONTAINER, **CONTAINER)
    with refused("KeyBasedAuthenticationNotPermitted", "Key based authentication is not permitted"):
        cloud.create(tokens.BLOB, **blob)
    cloud.update(made, allowSharedKeyAccess=True)
    found = cloud.create(tokens.BLOB, **blob)
    assert found["url"] == f"https://{NAME}.blob.core.windows.net/models/code.zip"


def test_some_properties_of_an_account_are_fixed() -> None:
    cloud = Region()
    made = cloud.create(tokens.STORAGE_ACCOUNT, **account())
    with refused("AccountPropertyCannotBeUpdated", "'kind'"):
        cloud.update(made, kind="BlobStorage")
    with refused("AccountPropertyCannotBeUpdated", "'requireInfrastructureEncryption'"):
        cloud.update(made, encryption={"requireInfrastructureEncryption": True})


def test_rules_by_last_access_need_that_it_is_tracked() -> None:
    cloud = Region()
    cloud.create(tokens.STORAGE_ACCOUNT, **account())
    steps = {"daysAfterLastAccessTimeGreaterThan": 30}
    by_access = put(POLICY, f"{AT}.actions.baseBlob.tierToCool", steps)
    with refused("LastAccessTimeTrackingNotEnabled", "lastAccessTimeTrackingPolicy"):
        cloud.create(tokens.MANAGEMENT_POLICY, **by_access)
    cloud.create(tokens.BLOB_SERVICE, **blob_service(lastAccessTimeTrackingPolicy={"enable": True}))
    cloud.create(tokens.MANAGEMENT_POLICY, **by_access)


def test_a_firewall_lets_in_subnets_with_an_endpoint_to_the_service() -> None:
    cloud = Region()
    cloud.update(cloud.subnet, serviceEndpoints=[{"service": "Microsoft.Sql"}])
    with refused("NetworkAclsValidationFailure", "do not have ServiceEndpoints for Microsoft.Storage"):
        cloud.create(tokens.STORAGE_ACCOUNT, **account())
    acls = {"defaultAction": "Deny", "virtualNetworkRules": [{"id": region.SUBNET_ID}]}
    with refused("NetworkAclsValidationFailure", "do not have ServiceEndpoints for Microsoft.KeyVault"):
        cloud.create(tokens.VAULT, **region.vault(networkAcls=acls))
    cloud.update(cloud.subnet, serviceEndpoints=[{"service": "Microsoft.KeyVault"}])
    cloud.create(tokens.VAULT, **region.vault(networkAcls=acls))
