"""Identities, roles and assignments of the stand-in Azure."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.azure_native import tokens
from sandbox.azure_native.identity import built_in_roles
from tests.support import azure_region as region
from tests.support.aws_region import refused
from tests.support.azure import SUBSCRIPTION, faults
from tests.support.azure_region import Region, account, assignment, inputs, put, role_definition, vault

SOMEBODY = "0e5b7a3c-1111-4222-8333-444455556666"
OTHER_NAME = "11111111-2222-5333-8444-555555555555"


def with_container() -> tuple[Region, str, str]:
    """A region, the id of its container and the principal of its identity."""
    cloud = Region()
    made = cloud.create(tokens.STORAGE_ACCOUNT, **account())
    container = cloud.create(tokens.CONTAINER, **inputs(accountName=made["name"], containerName="models"))
    return cloud, container.id, cloud.identity["principalId"]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"scope": "westus2"}, "scope: expected the id of a subscription, a resource group or a resource"),
        ({"principalId": "node"}, "principalId: expected the object id of a principal"),
        ({"roleDefinitionId": "Reader"}, "roleDefinitionId: expected /subscriptions/"),
        ({"roleAssignmentName": "mine"}, "roleAssignmentName: expected a GUID"),
        ({"principalType": "Identity"}, "principalType: expected one of User"),
        ({"condition": "true"}, "condition: needs conditionVersion"),
    ],
)
def test_an_assignment_is_checked(change: dict[str, Any], expected: str) -> None:
    found = faults(tokens.ROLE_ASSIGNMENT, assignment(f"/subscriptions/{SUBSCRIPTION}", SOMEBODY), **change)
    assert [line for line in found if line.startswith(expected)], found


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("roleName", None, "roleName: is required"),
        ("assignableScopes", [], "assignableScopes: is required"),
        ("roleType", "BuiltInRole", "roleType: expected CustomRole"),
        ("permissions.0.actions", ["compute/read"], "permissions[0].actions[0]: expected an operation"),
    ],
)
def test_a_custom_role_is_checked(path: str, value: Any, expected: str) -> None:
    head = path.split(".", 1)[0]
    good = role_definition()
    found = faults(tokens.ROLE_DEFINITION, good, **{head: put(good, path, value).get(head)})
    assert [line for line in found if line.startswith(expected)], found


def test_an_assignment_reads_like_one_of_azure() -> None:
    cloud, container, principal = with_container()
    made = cloud.create(tokens.ROLE_ASSIGNMENT, **assignment(container, principal))
    name = assignment(container, principal)["roleAssignmentName"]
    assert made.id == f"{container}/providers/Microsoft.Authorization/roleAssignments/{name}"
    assert (made["name"], made["principalType"]) == (name, "ServicePrincipal")
    unnamed = {k: v for k, v in assignment(region.IDENTITY_ID, principal).items() if k != "roleAssignmentName"}
    assert len(cloud.create(tokens.ROLE_ASSIGNMENT, **unnamed)["name"]) == 36


def test_an_assignment_needs_a_principal_a_role_and_a_scope() -> None:
    cloud, container, principal = with_container()
    with refused("PrincipalNotFound", f"Principal {SOMEBODY} does not exist in the directory"):
        cloud.create(tokens.ROLE_ASSIGNMENT, **assignment(container, SOMEBODY))
    with refused("UnmatchedPrincipalType", "has type 'ServicePrincipal'"):
        cloud.create(tokens.ROLE_ASSIGNMENT, **assignment(container, principal, principalType="User"))
    with refused("RoleDefinitionDoesNotExist", "does not exist at the scope"):
        cloud.create(tokens.ROLE_ASSIGNMENT, **assignment(container, principal, SOMEBODY))
    with refused("ResourceNotFound", "Microsoft.Storage/storageAccounts/other"):
        elsewhere = container.replace(account()["accountName"], "other")
        cloud.create(tokens.ROLE_ASSIGNMENT, **assignment(elsewhere, principal))
    with refused("ResourceGroupNotFound", "'other'"):
        group = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/other"
        cloud.create(tokens.ROLE_ASSIGNMENT, **assignment(group, principal))


def test_a_secret_that_is_not_there_yet_can_be_a_scope() -> None:
    cloud, _, principal = with_container()
    made = cloud.create(tokens.VAULT, **vault())
    user = built_in_roles()["Key Vault Secrets User"]
    cloud.create(tokens.ROLE_ASSIGNMENT, **assignment(f"{made.id}/secrets/api-keys", principal, user))


def test_the_same_rights_are_given_once() -> None:
    cloud, container, principal = with_container()
    cloud.create(tokens.ROLE_ASSIGNMENT, **assignment(container, principal))
    with refused("RoleAssignmentExists", "The role assignment already exists."):
        cloud.create(tokens.ROLE_ASSIGNMENT, **assignment(container, principal, roleAssignmentName=OTHER_NAME))


def test_the_role_of_an_assignment_is_fixed() -> None:
    cloud, container, principal = with_container()
    made = cloud.create(tokens.ROLE_ASSIGNMENT, **assignment(container, principal))
    other = assignment(container, principal, built_in_roles()["Reader"])["roleDefinitionId"]
    with refused("RoleAssignmentUpdateNotPermitted", "are not allowed to be updated"):
        cloud.update(made, roleDefinitionId=other)


def test_assignments_go_with_what_they_are_at() -> None:
    cloud, container, principal = with_container()
    cloud.create(tokens.ROLE_ASSIGNMENT, **assignment(container, principal))
    cloud.delete(cloud.all(tokens.STORAGE_ACCOUNT)[0])
    assert cloud.all(tokens.ROLE_ASSIGNMENT) == []


def test_a_custom_role_is_known_where_it_is_assignable_and_stays_while_it_is_assigned() -> None:
    cloud, container, principal = with_container()
    role = cloud.create(tokens.ROLE_DEFINITION, **role_definition())
    other = cloud.create(tokens.RESOURCE_GROUP, resourceGroupName="other", location="eastus")
    with refused("RoleDefinitionDoesNotExist", other.id):
        cloud.create(tokens.ROLE_ASSIGNMENT, **assignment(other.id, principal, region.OPERATOR))
    made = cloud.create(tokens.ROLE_ASSIGNMENT, **assignment(container, principal, region.OPERATOR))
    with refused("RoleDefinitionHasAssignments", made.id):
        cloud.delete(role)
    with refused("RoleDefinitionWithSameNameExists", "spillway-azure-westus2-fallback"):
        cloud.create(tokens.ROLE_DEFINITION, **role_definition(roleDefinitionId=OTHER_NAME))
    cloud.delete(made)
    cloud.delete(role)


def test_an_identity_keeps_its_principal_through_changes() -> None:
    cloud = Region()
    made = cloud.identity
    changed = cloud.update(made, tags={"a": "b"})
    assert (changed["principalId"], changed["clientId"]) == (made["principalId"], made["clientId"])
    assert changed["principalId"] != changed["clientId"]
