"""Key vaults of the stand-in Azure: names stay taken after a delete."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sandbox.azure_native import tokens
from tests.support import azure_region as region
from tests.support.aws_region import refused
from tests.support.azure import faults
from tests.support.azure_region import Region, inputs, put, vault

SECRET = inputs(vaultName="spillway-westus2", secretName="api-keys", properties={"value": "[]"})


@pytest.mark.parametrize(
    ("token", "good", "path", "value", "expected"),
    [
        (tokens.VAULT, vault(), "vaultName", "spillway--x", "vaultName: expected 3 to 24"),
        (tokens.VAULT, vault(), "vaultName", "a" * 25, "vaultName: expected 3 to 24"),
        (tokens.VAULT, vault(), "vaultName", "1spillway", "vaultName: expected 3 to 24"),
        (tokens.VAULT, vault(), "properties.tenantId", "mine", "properties.tenantId: expected the id of a tenant"),
        (tokens.VAULT, vault(), "properties.softDeleteRetentionInDays", 6, "properties.softDeleteRetentionInDays: exp"),
        (tokens.VAULT, vault(), "properties.enablePurgeProtection", False, "properties.enablePurgeProtection: cannot"),
        (tokens.VAULT, vault(), "properties.enableSoftDelete", False, "properties.enableSoftDelete: cannot be set to"),
        (tokens.VAULT, vault(), "properties.enableRbacAuthorization", False, "properties.accessPolicies: is required"),
        (tokens.VAULT, vault(), "properties.sku.name", "basic", "properties.sku.name: expected one of standard"),
        (tokens.VAULT, vault(), "tags", {f"k{i}": "" for i in range(16)}, "tags: expected at most 15 tags"),
        (tokens.SECRET, SECRET, "secretName", "api_keys", "secretName: expected 1 to 127 letters, digits and hyphens"),
        (tokens.SECRET, SECRET, "properties.value", "x" * 25_601, "properties.value: expected at most 25,600 bytes"),
    ],
)
def test_values_are_checked(token: str, good: dict[str, Any], path: str, value: Any, expected: str) -> None:
    head = path.split(".", 1)[0]
    found = faults(token, good, **{head: put(good, path, value).get(head)})
    assert [line for line in found if line.startswith(expected)], found


def test_a_deleted_vault_keeps_its_name_until_it_is_purged() -> None:
    cloud = Region()
    made = cloud.create(tokens.VAULT, **vault())
    cloud.delete(made)
    with refused("ConflictError", "A vault with the same name already exists in deleted state."):
        cloud.create(tokens.VAULT, **vault())
    left = cloud.all(tokens.DELETED_VAULT)[0]
    left.outputs["until"] = (datetime.now(UTC) - timedelta(days=1)).isoformat()
    cloud.create(tokens.VAULT, **vault())
    assert cloud.all(tokens.DELETED_VAULT) == []


def test_a_vault_that_goes_with_its_group_keeps_its_name_too() -> None:
    cloud = Region()
    cloud.create(tokens.VAULT, **vault())
    cloud.delete(cloud.group)
    again = Region(empty=True)
    again.state = cloud.state
    again.create(tokens.RESOURCE_GROUP, resourceGroupName=region.GROUP, location=region.LOCATION)
    with refused("ConflictError", "az keyvault purge"):
        again.create(tokens.VAULT, **vault())


def test_a_recovered_vault_has_its_secrets_again() -> None:
    cloud = Region()
    with refused("NotFound", "There is no deleted vault"):
        cloud.create(tokens.VAULT, **vault(createMode="recover"))
    made = cloud.create(tokens.VAULT, **vault())
    secret = cloud.create(tokens.SECRET, **SECRET)
    cloud.delete(made)
    assert cloud.all(tokens.SECRET) == []
    cloud.create(tokens.VAULT, **vault(createMode="recover"))
    assert [s.id for s in cloud.all(tokens.SECRET)] == [secret.id]
    assert cloud.all(tokens.DELETED_VAULT) == []


def test_a_deleted_secret_keeps_its_name() -> None:
    cloud = Region()
    with refused("ParentResourceNotFound", "Microsoft.KeyVault/vaults/spillway-westus2"):
        cloud.create(tokens.SECRET, **SECRET)
    cloud.create(tokens.VAULT, **vault())
    made = cloud.create(tokens.SECRET, **SECRET)
    assert "value" not in made["properties"]
    assert made["properties"]["secretUri"] == "https://spillway-westus2.vault.azure.net/secrets/api-keys"
    cloud.delete(made)
    with refused("Conflict", "in a deleted but recoverable state"):
        cloud.create(tokens.SECRET, **SECRET)


def test_what_is_irreversible_stays() -> None:
    cloud = Region()
    made = cloud.create(tokens.VAULT, **vault(enablePurgeProtection=True))
    with refused("BadRequest", '"enablePurgeProtection" cannot be set to false'):
        cloud.update(made, properties=vault()["properties"])
    with refused("BadRequest", '"softDeleteRetentionInDays" has been set already'):
        cloud.update(made, properties=vault(enablePurgeProtection=True, softDeleteRetentionInDays=30)["properties"])


def test_a_vault_is_in_the_tenant_of_its_subscription() -> None:
    with refused("BadRequest", "is not the subscription's"):
        Region().create(tokens.VAULT, **vault(tenantId="11111111-2222-4333-8444-555555555555"))
