"""The roles of pipelines as an administrator deploys them: the real engine, the shipped files, the stand-in clouds."""

from __future__ import annotations

import pytest

from tests.support.engine import EngineSandbox, changes

pytestmark = pytest.mark.engine

VARIABLES = {
    "aws": {"AWS_ACCOUNT", "AWS_REGION", "AWS_PREVIEW_ROLE", "AWS_DEPLOY_ROLE"},
    "azure": {"AZURE_TENANT_ID", "AZURE_SUBSCRIPTION_ID", "AZURE_PREVIEW_CLIENT_ID", "AZURE_DEPLOY_CLIENT_ID"},
    "gcp": {
        "GCP_PROJECT",
        "GCP_WORKLOAD_IDENTITY_PROVIDER",
        "GCP_PREVIEW_SERVICE_ACCOUNT",
        "GCP_DEPLOY_SERVICE_ACCOUNT",
    },
}


def test_the_roles_of_three_clouds_come_up_and_then_nothing_changes(editable: EngineSandbox) -> None:
    for cloud, variables in VARIABLES.items():
        stack = f"ci-{cloud}"
        editable.up(stack).ok()
        assert changes(editable.preview(stack, "--refresh")) == {}
        told = editable.pulumi("stack", "output", "--json", stack=stack).ok().json
        assert set(told) == {"provider", "preview", "deploy", "drift", "variables"}
        assert set(told["variables"]) == variables
        assert told["deploy"]["subjects"] == ["repo:example-org/spillway:environment:production"]
    editable.edit_stack("ci-aws", "branch: main", "branch: '*'")
    refused = editable.pulumi("preview", stack="ci-aws").failed()
    assert "stacks/Pulumi.ci-aws.yaml: spillway:ci.github.branch = *: has to be one branch" in refused.text
    editable.pulumi("destroy", "--yes", stack="ci-gcp").ok()
