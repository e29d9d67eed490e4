"""What the roles of pipelines ask of each cloud, and that a strict one takes it: made, changed, deleted."""

from __future__ import annotations

import json
from typing import Any

import pytest

from infra.ci import azure as azure_roles
from sandbox.aws import iam
from sandbox.azure_native import tokens as azure
from sandbox.gcp import tokens as gcp
from tests.support.pipeline_roles import CLOUDS, GITLAB, Cloud, Deployment, data, document

OIDC = "aws:iam/openIdConnectProvider:OpenIdConnectProvider"
HUB = "repo:example-org/spillway"
LAB = "project_path:example-group/spillway:ref_type:branch:ref"
GITHUB = "token.actions.githubusercontent.com"


def deployed(cloud: Cloud, **changes: Any) -> Deployment:
    """Roles with changes by key, `__` for a dot."""
    made = Deployment(cloud)
    made.up({key.replace("__", "."): value for key, value in changes.items()})
    return made


@pytest.mark.parametrize("cloud", CLOUDS)
def test_every_cloud_has_the_same_outputs(cloud: Cloud) -> None:
    told = deployed(cloud, gitlab=GITLAB).exported
    assert set(told) == {"provider", "preview", "deploy", "drift", "variables"}
    assert set(told["provider"]) == {"github", "gitlab"}
    for role in ("preview", "deploy", "drift"):
        assert set(told[role]) == {"identity", "subjects"}
    assert told["drift"] == told["preview"]
    assert told["deploy"]["identity"] != told["preview"]["identity"]
    assert told["deploy"]["subjects"] == [f"{HUB}:environment:production", f"{LAB}:main"]
    assert all(isinstance(value, str) and value for value in told["variables"].values())


@pytest.mark.parametrize("cloud", CLOUDS)
def test_roles_come_up_stay_as_they_are_and_go(cloud: Cloud) -> None:
    made = deployed(cloud, gitlab=GITLAB, grants=True)
    before = {key: resource.outputs for key, resource in made.made.items()}
    made.up({"gitlab": GITLAB, "grants": True})
    assert {key: resource.outputs for key, resource in made.made.items()} == before
    made.up({"github.environments": ["live"]})
    assert made.exported["deploy"]["subjects"] == [f"{HUB}:environment:live"]
    made.destroy()
    kept = {gcp.IDENTITY_POOL, gcp.IDENTITY_PROVIDER}
    assert {token for token, _ in made.cloud.state.resources} <= kept


@pytest.mark.parametrize("cloud", CLOUDS)
def test_no_account_but_that_of_the_file(cloud: Cloud) -> None:
    (asked,) = deployed(cloud).providers
    account = data(cloud)["account"]
    told = asked.get("allowedAccountIds") or asked.get("subscriptionId") or asked.get("project")
    assert told in (account, [account], json.dumps([account]))


def trust(made: Deployment, role: str) -> list[dict[str, Any]]:
    found = document(made.all(iam.ROLE)[role]["assumeRolePolicy"])
    assert {one["Action"] for one in found} == {"sts:AssumeRoleWithWebIdentity"}
    return found


def test_on_aws_the_deploy_role_trusts_one_environment_and_has_the_boundary() -> None:
    made = deployed("aws")
    (only,) = trust(made, "deploy")
    host = f"arn:aws:iam::123456789012:oidc-provider/{GITHUB}"
    assert only["Principal"] == {"Federated": host}
    assert only["Condition"] == {
        "StringEquals": {f"{GITHUB}:aud": "sts.amazonaws.com", f"{GITHUB}:sub": [f"{HUB}:environment:production"]}
    }
    role = made.all(iam.ROLE)["deploy"]
    assert role["permissionsBoundary"] == "arn:aws:iam::123456789012:policy/spillway-ci-aws-boundary"
    assert "permissionsBoundary" not in made.all(iam.ROLE)["preview"]
    given = [one for name, one in made.all(iam.ROLE_ATTACHMENT).items() if name.startswith("preview")]
    attached = {one["policyArn"].removeprefix("arn:aws:iam::123456789012:policy/spillway-ci-aws-") for one in given}
    assert attached == {"read", "state-read"}, "previews change nothing"


def test_on_aws_only_gitlabs_branches_are_a_pattern() -> None:
    made = deployed("aws", gitlab=GITLAB)
    like = [one["Condition"]["StringLike"] for one in trust(made, "preview") if "StringLike" in one["Condition"]]
    assert like == [{"gitlab.com:sub": [f"{LAB}:*"]}]
    assert not [one for one in trust(made, "deploy") if "StringLike" in one["Condition"]]
    assert all(len(one["Condition"]["StringEquals"]) for one in trust(made, "preview"))


def test_on_aws_a_provider_that_is_there_already_is_not_made_again() -> None:
    made = deployed("aws", gitlab=GITLAB, existingProviders=["github"])
    assert set(made.all(OIDC)) == {"gitlab"}
    assert made.exported["provider"]["github"].endswith(f"oidc-provider/{GITHUB}")
    assert trust(made, "deploy")[0]["Principal"]["Federated"] == made.exported["provider"]["github"]


def test_on_azure_each_claim_is_a_credential_and_the_deploy_role_gives_only_the_regions_roles() -> None:
    made = deployed("azure", gitlab=GITLAB)
    credentials = made.all(azure.FEDERATED_CREDENTIAL)
    assert {one["subject"] for name, one in credentials.items() if name.startswith("deploy")} == {
        f"{HUB}:environment:production",
        f"{LAB}:main",
    }
    assert {tuple(one["audiences"]) for one in credentials.values()} == {("api://AzureADTokenExchange",)}
    assert not [one for one in credentials.values() if "*" in one["subject"]], "Azure would take a star for itself"
    (changes,) = [one for name, one in made.all(azure.ROLE_ASSIGNMENT).items() if name == "deploy-changes"]
    from tests.support.pipeline_roles import azure as settings

    roles = azure_roles.assignable(settings())
    assert all(role in changes["condition"] for role in roles)
    assert "8e3af657-a8ff-443c-a75c-2fe8c4bcb635" not in changes["condition"], "Owner"
    assert changes["condition"].count("ServicePrincipal") == 2
    assert "condition" not in deployed("azure", grants=False).all(azure.ROLE_ASSIGNMENT)["deploy-changes"]


def test_on_azure_the_regions_roles_are_among_those_that_may_be_given() -> None:
    """The fallback function's own role, whose GUID the region stack makes, among them."""
    from infra.azure import names
    from tests.support.pipeline_roles import azure as settings

    wanted = settings()
    assert names.function_role("azure-eastus", wanted.account) in azure_roles.assignable(wanted)


def test_on_google_cloud_the_pool_takes_the_repositorys_tokens_only() -> None:
    made = deployed("gcp", github__ownerId=5, github__repositoryId=7)
    provider = made.one(gcp.IDENTITY_PROVIDER)
    assert provider["attributeCondition"] == (
        "assertion.repository_id == '7' && assertion.event_name != 'pull_request_target'"
    )
    members = {name: one["member"] for name, one in made.all(gcp.SERVICE_ACCOUNT_IAM_MEMBER).items()}
    assert set(members) == {"preview-github-pull-request", "preview-github-branch", "deploy-github-production"}
    assert members["deploy-github-production"].endswith(
        "/workloadIdentityPools/spillway-ci/subject/repo:example-org@5/spillway@7:environment:production"
    )


def test_on_google_cloud_any_branch_of_gitlab_is_an_attribute() -> None:
    made = deployed("gcp", gitlab=GITLAB)
    member = made.all(gcp.SERVICE_ACCOUNT_IAM_MEMBER)["preview-gitlab-branches"]["member"]
    assert member.startswith("principalSet://iam.googleapis.com/projects/")
    assert member.endswith("/attribute.branch/any")
    mapping = made.all(gcp.IDENTITY_PROVIDER)["gitlab"]["attributeMapping"]
    assert mapping["attribute.branch"].startswith("assertion.ref_type == 'branch'")


def test_states_are_read_by_previews_and_written_by_deploys() -> None:
    made = Deployment("gcp")
    made.cloud.create(gcp.BUCKET, name="states", location="us")
    made.up({"state": {"bucket": "states"}})
    given = {name: one["role"] for name, one in made.all(gcp.BUCKET_IAM_MEMBER).items()}
    assert given == {"preview-state": "roles/storage.objectViewer", "deploy-state": "roles/storage.objectUser"}

    made = Deployment("azure")
    group = made.cloud.create(azure.RESOURCE_GROUP, resourceGroupName="pulumi", location="eastus")
    made.cloud.create(
        azure.STORAGE_ACCOUNT,
        resourceGroupName=group["name"],
        accountName="states",
        location="eastus",
        kind="StorageV2",
        sku={"name": "Standard_LRS"},
    )
    made.cloud.create(azure.CONTAINER, resourceGroupName="pulumi", accountName="states", containerName="state")
    made.up({"state": {"resourceGroup": "pulumi", "storageAccount": "states"}})
    roles = {n: one["roleDefinitionId"].rsplit("/", 1)[-1] for n, one in made.all(azure.ROLE_ASSIGNMENT).items()}
    assert roles["preview-state"] == "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1"
    assert roles["deploy-state"] == azure_roles.BLOB_CONTRIBUTOR
