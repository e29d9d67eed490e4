"""Whose tokens the stand-in clouds exchange: Azure's federated credentials, Google's pools and their providers."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.azure_native import tokens as azure
from sandbox.gcp import tokens as gcp
from tests.support.aws_region import refused
from tests.support.azure import faults
from tests.support.azure_region import Region, inputs
from tests.support.gcp import check_faults, empty

GITHUB = "https://token.actions.githubusercontent.com"
CREDENTIAL: dict[str, Any] = {
    "resourceName": "node",
    "federatedIdentityCredentialResourceName": "github-branch",
    "issuer": GITHUB,
    "subject": "repo:a/b:ref:refs/heads/main",
    "audiences": ["api://AzureADTokenExchange"],
}
PROVIDER: dict[str, Any] = {
    "workloadIdentityPoolId": "pipelines",
    "workloadIdentityPoolProviderId": "github",
    "oidc": {"issuerUri": GITHUB},
    "attributeMapping": {"google.subject": "assertion.sub"},
    "attributeCondition": "assertion.repository == 'a/b'",
}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"audiences": []}, "audiences: "),
        ({"audiences": ["a", "b"]}, "audiences: "),
        ({"issuer": "http://x.example"}, "issuer: expected the issuer's address with https://"),
        ({"subject": "s" * 601}, "subject: "),
        ({"federatedIdentityCredentialResourceName": "a b"}, "federatedIdentityCredentialResourceName: expected 3 to"),
    ],
)
def test_a_credential_is_checked(change: dict[str, Any], expected: str) -> None:
    assert faults(azure.FEDERATED_CREDENTIAL, inputs(**CREDENTIAL)) == []
    found = faults(azure.FEDERATED_CREDENTIAL, inputs(**CREDENTIAL), **change)
    assert [line for line in found if line.startswith(expected)], found


def test_a_credential_is_of_an_identity_that_stands_and_of_its_own_claim() -> None:
    cloud = Region()
    made = cloud.create(azure.FEDERATED_CREDENTIAL, **inputs(**CREDENTIAL))
    assert made.id.endswith("/userAssignedIdentities/node/federatedIdentityCredentials/github-branch")
    assert made["name"] == "github-branch"
    again = {**CREDENTIAL, "federatedIdentityCredentialResourceName": "again"}
    with refused("Conflict"):
        cloud.create(azure.FEDERATED_CREDENTIAL, **inputs(**again))
    with refused("ParentResourceNotFound"):
        cloud.create(azure.FEDERATED_CREDENTIAL, **inputs(**{**again, "resourceName": "nobody"}))


def test_an_identity_has_twenty_credentials() -> None:
    cloud = Region()
    for n in range(21):
        more = {"federatedIdentityCredentialResourceName": f"c-{n:03d}", "subject": f"repo:a/b:environment:{n}"}
        if n < 20:
            cloud.create(azure.FEDERATED_CREDENTIAL, **inputs(**{**CREDENTIAL, **more}))
        else:
            with refused("BadRequest"):
                cloud.create(azure.FEDERATED_CREDENTIAL, **inputs(**{**CREDENTIAL, **more}))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"workloadIdentityPoolId": "gcp-pool"}, "workloadIdentityPoolId: expected 4 to 32"),
        ({"workloadIdentityPoolProviderId": "Git"}, "workloadIdentityPoolProviderId: expected 4 to 32"),
        ({"oidc": None}, "oidc: expected one of aws, oidc, saml, x509, got none"),
        ({"aws": {"accountId": "123456789012"}}, "oidc: expected one of aws, oidc, saml, x509, got aws, oidc"),
        ({"oidc": {"issuerUri": "http://x"}}, "oidc.issuerUri: expected the issuer's address with https://"),
        ({"attributeMapping": {"attribute.a": "assertion.sub"}}, "attributeMapping: needs google.subject"),
        ({"attributeMapping": {"google.subject": "assertion.sub", "x": "y"}}, "attributeMapping: expected google"),
        ({"attributeCondition": "claims.repository == 'a'"}, "attributeCondition: undeclared reference to 'claims'"),
        ({"attributeCondition": "assertion.repository == 'a"}, "attributeCondition: expected an expression"),
    ],
)  # fmt: skip
def test_a_provider_is_checked(change: dict[str, Any], expected: str) -> None:
    check_faults(gcp.IDENTITY_PROVIDER, PROVIDER, change, expected)


def test_a_pool_is_checked() -> None:
    check_faults(gcp.IDENTITY_POOL, {"workloadIdentityPoolId": "pipelines"}, {"displayName": "x" * 33}, "displayName: ")


def test_a_provider_needs_its_pool_and_for_a_shared_issuer_a_condition_on_claims() -> None:
    cloud = empty()
    with refused("notFound"):
        cloud.create(gcp.IDENTITY_PROVIDER, **PROVIDER)
    pool = cloud.create(gcp.IDENTITY_POOL, workloadIdentityPoolId="pipelines")
    with refused("invalidArgument", "must reference one of the provider's claims"):
        cloud.create(gcp.IDENTITY_PROVIDER, **{**PROVIDER, "attributeCondition": None})
    made = cloud.create(gcp.IDENTITY_PROVIDER, **PROVIDER)
    assert made["name"] == f"{pool['name']}/providers/github"
    assert pool["name"].split("/")[1].isdecimal(), "the project's number"


def test_a_deleted_pool_keeps_its_name() -> None:
    cloud = empty()
    pool = cloud.create(gcp.IDENTITY_POOL, workloadIdentityPoolId="pipelines")
    cloud.delete(pool)
    with refused("alreadyExists"):
        cloud.create(gcp.IDENTITY_POOL, workloadIdentityPoolId="pipelines")
    with refused("notFound"):
        cloud.create(gcp.IDENTITY_PROVIDER, **PROVIDER)
