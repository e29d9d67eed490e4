"""What pipelines may do: all that stacks are made of, and nothing that would let them take more."""

from __future__ import annotations

import fnmatch
import json
from functools import cache
from pathlib import Path
from typing import Any

import boto3
import pytest

from infra import naming
from infra.aws.common import Scope
from infra.aws.identity import IdentityArgs, node_statements
from infra.ci import aws_actions, aws_rights, azure_rights, gcp_rights
from infra.ci.aws_rights import Statement, allows
from infra.config import AwsRegion, load_stack_file
from infra.node_config import model_prefix
from tests.support.pipeline_roles import STACKS, as_list, aws, azure, gcp

PLANS = Path(__file__).parents[1] / "cost" / "plans"
GROUP = "autoScalingGroup:1:autoScalingGroupName"
BOUNDARY = "arn:aws:iam::123456789012:policy/spillway-ci-aws-node"
ZONE = {"zones": ["Z0123456789ABCDEFGHIJ"]}


def types(package: str) -> list[str]:
    """The types that the recorded plans make on a cloud."""
    found = set()
    for path in PLANS.glob("*.json"):
        for step in json.loads(path.read_text())["steps"]:
            state = step.get("newState") or step.get("oldState") or {}
            if str(state.get("type", "")).startswith(f"{package}:"):
                found.add(state["type"])
    assert found
    return sorted(found)


def deploy_statements(changes: dict[str, Any] | None = None) -> list[Statement]:
    wanted = aws({**ZONE, **(changes or {})})
    return [one for part in aws_rights.deploy_policies(wanted, BOUNDARY).values() for one in part]


def test_previews_may_read_every_type_that_stacks_are_made_of() -> None:
    assert [one for one in types("aws") if one not in aws_actions.READS] == []
    assert [one for one in types("gcp") if one not in gcp_rights.READS] == []
    known = {**azure_rights.TYPES, **azure_rights.DNS_TYPES}
    assert [one for one in types("azure-native") if one not in known] == []


def test_every_lookup_of_the_program_is_among_the_reads() -> None:
    asked = set()
    for path in (Path(aws_rights.__file__).parents[1] / "aws").glob("*.py"):
        for name in ("get_ami", "get_managed_prefix_list", "get_vpc", "get_group", "get_capacity_block_reservation"):
            asked.update([name] if f".{name}(" in path.read_text() else [])
    known = {token.rsplit(":", 1)[-1].lower() for token in aws_actions.LOOKUPS}
    assert {name.replace("_", "") for name in asked} <= known
    read = aws_rights.preview_statements(aws())
    for text in aws_actions.LOOKUPS.values():
        assert all(any(action in one["Action"] for one in read) for action in text.split())


@cache
def operations(service: str) -> set[str]:
    """What a service's API can do; IAM's names of permissions are these, with few exceptions."""
    return set(boto3.client(service, region_name="us-east-1").meta.service_model.operation_names)


CLIENTS = {"elasticloadbalancing": "elbv2"}
# https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html (and others of
# its kind): permissions that are no operation's name.
OTHER_NAMES = {
    "budgets:ModifyBudget", "budgets:ViewBudget", "route53:GetDNSSEC",
    "s3:GetAccelerateConfiguration", "s3:GetBucketCORS", "s3:GetBucketObjectLockConfiguration",
    "s3:GetBucketPublicAccessBlock", "s3:GetEncryptionConfiguration", "s3:GetLifecycleConfiguration",
    "s3:GetReplicationConfiguration", "s3:ListBucket", "s3:ListTagsForResource", "s3:PutBucketPublicAccessBlock",
    "s3:PutEncryptionConfiguration", "s3:PutLifecycleConfiguration", "s3:TagResource", "s3:UntagResource",
    "iam:PassRole",
}  # fmt: skip


def test_every_action_on_aws_is_one_that_there_is() -> None:
    wanted = aws({**ZONE, "state.key": f"arn:aws:kms:us-east-1:123456789012:key/{'0' * 8}-0000-4000-8000-{'0' * 12}"})
    statements = [
        *aws_rights.preview_statements(wanted),
        *aws_rights.state_statements(wanted, write=True),
        *deploy_statements(),
    ]
    unknown = []
    for action in sorted({action for one in statements for action in one["Action"]}):
        service, _, name = action.partition(":")
        if action not in OTHER_NAMES and name not in operations(CLIENTS.get(service, service)):
            unknown.append(action)
    assert unknown == []


def test_previews_change_nothing_and_see_no_secret() -> None:
    for wanted in (aws(), aws({"grants": False})):
        statements = [*aws_rights.preview_statements(wanted), *aws_rights.state_statements(wanted, write=False)]
        verbs = {action.split(":")[1] for one in statements for action in one["Action"]}
        assert {verb for verb in verbs if not verb.startswith(("Describe", "Get", "List", "View"))} == set()
        for action in ("secretsmanager:GetSecretValue", "ssm:GetParameter", "iam:PassRole"):
            assert not allows(statements, action, "*")
        model = "arn:aws:s3:::spillway-models-123456789012-us-east-1/models/x"
        assert not allows(statements, "s3:GetObject", model)
        assert allows(statements, "s3:GetObject", "arn:aws:s3:::example-pulumi-state/.pulumi/stacks/a.json")
    assert all(one.endswith("/read") for one in azure_rights.preview_actions(azure({"dns": True})))
    reads = {permission.rsplit(".", 1)[-1] for permission in gcp_rights.preview_permissions()}
    assert reads == {"get", "getFromFamily", "getIamPolicy", "list", "read", "use"}
    assert [one for one in gcp_rights.preview_permissions() if one.endswith(".use")] == ["serviceusage.services.use"]
    assert not {one for one in gcp_rights.preview_permissions() if "objects" in one or "versions" in one}


def test_no_write_is_on_everything() -> None:
    for one in deploy_statements():
        assert "*" not in as_list(one["Resource"]), one["Sid"]
        assert not [action for action in one["Action"] if "*" in action]
    for actions in (azure_rights.deploy_actions(azure({"dns": True})), gcp_rights.deploy_permissions(gcp())):
        assert not [one for one in actions if "*" in one]


def test_networks_are_narrowed_by_the_stacks_own_tag_and_regions() -> None:
    for one in aws_rights.network_statements(aws()):
        if one["Sid"] == "PrivateDns":
            continue  # knows no tags, and only joins a network to a zone
        condition = json.dumps(one["Condition"])
        assert "aws:RequestedRegion" in condition
        if one["Sid"] not in ("EmptyDefaultGroup", "TagNetwork"):
            assert "spillway:managed-by" in condition, one["Sid"]
    (closing,) = [one for one in aws_rights.network_statements(aws()) if one["Sid"] == "EmptyDefaultGroup"]
    assert all(":Revoke" in action for action in closing["Action"]), "it can only close"


def test_a_deploy_reaches_what_the_stacks_name_and_nothing_else() -> None:
    statements = deploy_statements()
    here = "123456789012"
    for action, mine, other in (
        ("autoscaling:UpdateAutoScalingGroup", f"{GROUP}/spillway-aws-us-east-1-spot", f"{GROUP}/web"),
        ("sns:DeleteTopic", "spillway-aws-us-east-1-events", "alerts"),
        ("events:PutRule", "rule/spillway-aws-us-east-1-rebalance", "rule/nightly"),
        ("cloudwatch:PutMetricAlarm", "alarm:spillway-aws-us-east-1-fallback-in", "alarm:cpu"),
        ("secretsmanager:CreateSecret", "secret:spillway/aws-us-east-1/certificate-abcdef", "secret:database-abcdef"),
    ):  # fmt: skip
        service = action.partition(":")[0]
        assert allows(statements, action, f"arn:aws:{service}:us-east-1:{here}:{mine}")
        assert not allows(statements, action, f"arn:aws:{service}:us-east-1:{here}:{other}")
    assert not allows(
        statements, "secretsmanager:PutSecretValue", f"arn:aws:secretsmanager:us-east-1:{here}:secret:spillway/x"
    )
    assert allows(statements, "route53:ChangeResourceRecordSets", f"arn:aws:route53:::hostedzone/{ZONE['zones'][0]}")
    assert not allows(statements, "route53:ChangeResourceRecordSets", "arn:aws:route53:::hostedzone/ZOTHER")
    assert not [one for one in deploy_statements({"zones": []}) if "ChangeResource" in json.dumps(one)]


def test_a_role_is_made_with_the_boundary_or_not_at_all() -> None:
    node, own = (
        f"arn:aws:iam::123456789012:role/{one}" for one in ("spillway-aws-us-east-1-node", "spillway-ci-aws-deploy")
    )
    statements = deploy_statements()
    for action in ("iam:CreateRole", "iam:PutRolePolicy", "iam:DeleteRolePolicy", "iam:PutRolePermissionsBoundary"):
        found = [one for one in statements if action in one["Action"]]
        assert [one["Condition"] for one in found] == [{"StringEquals": {"iam:PermissionsBoundary": BOUNDARY}}]
        assert allows(found, action, node)
        assert not allows(found, action, own)
    for action in (
        "iam:AttachRolePolicy",
        "iam:DeleteRolePermissionsBoundary",
        "iam:UpdateAssumeRolePolicy",
        "iam:CreateUser",
    ):
        assert not allows(statements, action, node)
    assert not allows(deploy_statements({"grants": False}), "iam:CreateRole", node)
    (passing,) = [one for one in statements if "iam:PassRole" in one["Action"]]
    assert passing["Condition"] == {"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}}
    assert not allows([passing], "iam:PassRole", own)


def test_the_boundary_covers_what_deploys_do_and_denies_what_they_never_may() -> None:
    wanted = aws(ZONE)
    limits = aws_rights.boundary_statements(wanted)
    beyond = []
    for one in [*aws_rights.preview_statements(wanted), *deploy_statements()]:
        for action in one["Action"]:
            for resource in as_list(one["Resource"]):
                shown = resource.replace("*", "x") if resource != "*" else "*"
                if not allows(limits, action, shown):
                    beyond.append((action, resource))
    assert beyond == []
    denied = [one for one in limits if one["Effect"] == "Deny"]
    assert {action for one in denied for action in as_list(one.get("Action", []))} >= {
        "secretsmanager:GetSecretValue",
        "iam:DeleteRolePermissionsBoundary",
    }
    (itself,) = [one for one in denied if one["Sid"] == "NotItself"]
    own = f"arn:aws:iam::123456789012:policy/{naming.name('ci-aws', 'boundary')}"
    assert any(fnmatch.fnmatchcase(own, pattern) for pattern in itself["Resource"])


@pytest.mark.parametrize("stack", ["aws-us-east-1", "aws-us-east-2", "aws-us-west-2"])
def test_the_nodes_boundary_holds_all_that_a_node_is_given(stack: str) -> None:
    region = load_stack_file(STACKS / f"Pulumi.{stack}.yaml")
    assert isinstance(region, AwsRegion)
    given = node_statements(
        IdentityArgs(
            Scope(stack, region.region, region.account),
            naming.bucket_name(region.account, region.region),
            model_prefix(region),
            {"certificate": region.secrets.certificate, "api-keys": region.secrets.api_keys},
            [naming.pool_name(stack, pool) for pool in naming.POOLS],
            "Spillway",
            f"/spillway/{stack}/nodes",
        )
    )
    limits = aws_rights.node_boundary_statements(aws())
    for one in given:
        for action in one["Action"]:
            for resource in as_list(one["Resource"]):
                shown = resource.replace("*", "x").replace("??????", "abcdef") if resource != "*" else "*"
                assert allows(limits, action, shown), (action, resource)
    (metrics,) = [one for one in limits if one["Sid"] == "Metrics"]
    assert metrics["Condition"] == next(one["Condition"] for one in given if one["Sid"] == "Metrics")


def test_every_policy_fits_even_with_all_that_a_file_can_name() -> None:
    regions = [f"us-east-{n}" for n in range(1, 10)]
    key = f"arn:aws:kms:us-east-1:123456789012:key/{'0' * 8}-0000-4000-8000-{'0' * 12}"
    wanted = aws({
        "stacks": [f"aws-{one}" for one in regions], "zones": [f"Z{n:030d}" for n in range(10)], "state.key": key,
    })  # fmt: skip
    assert aws_rights.too_long(wanted) == {}


def test_without_grants_no_right_is_given_on_azure_and_google_cloud() -> None:
    plain = azure_rights.deploy_actions(azure({"grants": False}))
    assert not [one for one in plain if "Authorization" in one or one.endswith("userAssignedIdentities/write")]
    assert "Microsoft.Authorization/roleAssignments/write" in azure_rights.deploy_actions(azure({"grants": True}))
    whatever = azure_rights.deploy_actions(azure({"grants": True}))
    assert not [one for one in whatever if "federatedIdentityCredentials" in one], "whom to trust is for people"
    assert not [one for one in gcp_rights.deploy_permissions(gcp()) if "setIamPolicy" in one or "roles." in one]
    assert "resourcemanager.projects.setIamPolicy" in gcp_rights.deploy_permissions(gcp({"grants": True}))
    trusted = [one for one in gcp_rights.deploy_permissions(gcp({"grants": True})) if "workloadIdentity" in one]
    assert trusted == []


def test_dns_is_written_on_azure_where_the_file_says_so() -> None:
    def zones(dns: bool) -> list[str]:
        wanted = azure({"dns": dns})
        actions = [*azure_rights.preview_actions(wanted), *azure_rights.deploy_actions(wanted)]
        return [one for one in actions if "dnsZones" in one or "trafficManager" in one]

    assert zones(False) == []
    assert "Microsoft.Network/dnsZones/CNAME/write" in zones(True)


def test_objects_on_google_cloud_are_those_of_the_functions_buckets() -> None:
    assert gcp_rights.object_condition(gcp()) == (
        'resource.name.startsWith("projects/_/buckets/spillway-fallback-spillway-test-us-central1/objects/")'
    )
