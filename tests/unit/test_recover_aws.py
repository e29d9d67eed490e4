"""What recovery asks AWS, and what it makes of the answers."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from spillway.errors import SpillwayError
from spillway.recovery import aws, aws_types
from spillway.recovery.aws_types import RULES
from spillway.recovery.model import UNHANDLED, Existing, Scope, accounts_of
from tests.support.recovery_plans import (
    tags,
)


class Stubbed(aws.AwsInventory):
    """An inventory whose clients answer from a script; botocore checks both against the API's shapes."""

    def __init__(self, service: str, *answers: tuple[str, dict[str, Any], dict[str, Any]]) -> None:
        session = boto3.Session(aws_access_key_id="x", aws_secret_access_key="y", region_name="us-east-1")
        super().__init__(session, "us-east-1", "123456789012")
        self._stubbed = session.client(service, region_name="us-east-1")
        self.stubber = Stubber(self._stubbed)
        for operation, answer, request in answers:
            self.stubber.add_response(operation, answer, request)
        self.stubber.activate()

    def client(self, service: str) -> Any:
        assert service == self._stubbed.meta.service_model.service_name
        return self._stubbed


def aws_tags(name: str, stack: str = "aws-us-east-1") -> list[dict[str, str]]:
    return [{"Key": k, "Value": v} for k, v in tags(name, stack).items()]


AWS_STACK = "aws-us-east-1"
BY_TAG = {"Name": "tag:spillway:stack", "Values": [AWS_STACK]}


def test_ec2_is_asked_by_tag_and_only_for_what_still_exists() -> None:
    answers: dict[str, dict[str, Any]] = {
        "describe_vpcs": {"Vpcs": [{"VpcId": "vpc-1", "Tags": aws_tags("vpc")}]},
        "describe_subnets": {"Subnets": [{"SubnetId": "subnet-1", "VpcId": "vpc-1", "Tags": aws_tags("a")}]},
        "describe_route_tables": {
            "RouteTables": [
                {
                    "RouteTableId": "rtb-1",
                    "VpcId": "vpc-1",
                    "Tags": aws_tags("a"),
                    "Routes": [
                        {"DestinationCidrBlock": "10.0.0.0/16", "GatewayId": "local", "Origin": "CreateRouteTable"},
                        {"DestinationCidrBlock": "0.0.0.0/0", "NatGatewayId": "nat-1", "Origin": "CreateRoute"},
                        {"DestinationPrefixListId": "pl-1", "GatewayId": "vpce-1", "Origin": "CreateRoute"},
                    ],
                    "Associations": [
                        {"Main": True, "RouteTableId": "rtb-1"},
                        {"Main": False, "RouteTableId": "rtb-1", "SubnetId": "subnet-1"},
                    ],
                }
            ]
        },
        "describe_security_groups": {
            "SecurityGroups": [
                {"GroupId": "sg-1", "GroupName": "spillway-nodes", "VpcId": "vpc-1", "Tags": aws_tags("nodes")},
                {"GroupId": "sg-0", "GroupName": "default", "VpcId": "vpc-1", "Tags": aws_tags("default-unused")},
            ]
        },
        "describe_security_group_rules": {
            "SecurityGroupRules": [
                {"SecurityGroupRuleId": "sgr-1", "GroupId": "sg-1", "IsEgress": False, "Tags": aws_tags("in")},
                {"SecurityGroupRuleId": "sgr-2", "GroupId": "sg-1", "IsEgress": True, "Tags": aws_tags("out")},
            ]
        },
    }
    script: list[tuple[str, dict[str, Any], dict[str, Any]]] = []
    for listing in aws.EC2:
        filters = [BY_TAG, *({"Name": n, "Values": list(v)} for n, v in listing.filters)]
        script.append((listing.operation, answers.get(listing.operation, {}), {"Filters": filters}))
    inventory = Stubbed("ec2", *script)
    found = {(e.token, e.id): e for e in inventory._ec2(AWS_STACK)}
    inventory.stubber.assert_no_pending_responses()
    assert sorted(id for _, id in found) == sorted(
        ["vpc-1", "subnet-1", "rtb-1", "rtb-1_0.0.0.0/0", "subnet-1/rtb-1", "sg-1", "sg-0", "sgr-1", "sgr-2"]
    )
    assert "vpc-1" in found[aws_types.SUBNET, "subnet-1"].refs
    assert found[aws_types.SECURITY_GROUP, "sg-1"].key == "vpc-1/spillway-nodes"
    assert (aws_types.DEFAULT_SECURITY_GROUP, "sg-0") in found
    assert (aws_types.INGRESS_RULE, "sgr-1") in found
    assert (aws_types.EGRESS_RULE, "sgr-2") in found
    association = found[aws_types.ASSOCIATION, "subnet-1/rtb-1"]
    assert (association.key, association.parents) == ("subnet-1", frozenset({"subnet-1", "rtb-1"}))


def test_groups_are_listed_by_tag_and_one_that_is_being_deleted_is_left() -> None:
    def group(name: str, **more: Any) -> dict[str, Any]:
        needed = {"MinSize": 0, "MaxSize": 1, "DesiredCapacity": 0, "DefaultCooldown": 300, "HealthCheckType": "EC2"}
        zones = {"AvailabilityZones": ["us-east-1a"], "CreatedTime": datetime.now(UTC)}
        return {"AutoScalingGroupName": name, "VPCZoneIdentifier": "subnet-1,subnet-2", **needed, **zones, **more}

    answer = {"AutoScalingGroups": [group("spot", Tags=aws_tags("spot")), group("old", Status="Delete in progress")]}
    found = list(
        Stubbed("autoscaling", ("describe_auto_scaling_groups", answer, {"Filters": [BY_TAG]}))._groups(AWS_STACK)
    )
    assert [(e.id, e.keep) for e in found] == [("spot", None), ("old", "is being deleted")]
    assert found[0].refs == {"subnet-1", "subnet-2"}


@pytest.mark.parametrize(
    ("arn", "token", "id", "key"),
    [
        ("arn:aws:s3:::spillway-models", aws_types.BUCKET, "spillway-models", "spillway-models"),
        ("{secret}spillway/x/api-keys-AbC123", aws_types.SECRET, None, "spillway/x/api-keys"),
        ("{elb}loadbalancer/net/lb/50dc6c495c0c9188", aws_types.LOAD_BALANCER, None, "lb"),
        ("{elb}targetgroup/tg/50dc6c495c0c9188", aws_types.TARGET_GROUP, None, "tg"),
        ("{elb}listener/net/lb/50dc/f2f7", aws_types.LISTENER, None, None),
        ("arn:aws:cloudwatch:us-east-1:1:alarm:gap: spot", aws_types.ALARM, "gap: spot", "gap: spot"),
        ("arn:aws:sns:us-east-1:1:topic", aws_types.TOPIC, None, "topic"),
    ],
)  # fmt: skip
def test_an_arn_tells_type_import_id_and_fixed_name(arn: str, token: str, id: str | None, key: str | None) -> None:
    arn = arn.format(
        elb="arn:aws:elasticloadbalancing:us-east-1:1:", secret="arn:aws:secretsmanager:us-east-1:1:secret:"
    )
    mapping = {"ResourceARN": arn, "Tags": aws_tags("x")}
    request = {"TagFilters": [{"Key": "spillway:stack", "Values": [AWS_STACK]}]}
    inventory = Stubbed("resourcegroupstaggingapi", ("get_resources", {"ResourceTagMappingList": [mapping]}, request))
    inventory._parts = lambda parent: iter(())  # type: ignore[method-assign]
    (found,) = inventory._tagged(AWS_STACK)
    assert (found.token, found.id, found.key) == (token, id or arn, key)


def test_the_tagging_apis_answer_is_paged_and_sorted_into_pools_known_and_unknown() -> None:
    def page(*arns: str, **more: str) -> dict[str, Any]:
        return {"ResourceTagMappingList": [{"ResourceARN": a, "Tags": aws_tags("x")} for a in arns], **more}

    request = {"TagFilters": [{"Key": "spillway:stack", "Values": [AWS_STACK]}]}
    inventory = Stubbed(
        "resourcegroupstaggingapi",
        (
            "get_resources",
            page("arn:aws:ec2:us-east-1:1:vpc/vpc-1", "arn:aws:ec2:us-east-1:1:instance/i-1", PaginationToken="next"),
            request,
        ),
        (
            "get_resources",
            page("arn:aws:lambda:us-east-1:1:function:f", "arn:aws:iam::1:instance-profile/p"),
            {**request, "PaginationToken": "next"},
        ),
    )
    found = list(inventory._tagged(AWS_STACK))
    assert [(e.token, e.keep) for e in found] == [("ec2:instance", aws.POOLED), ("lambda:function:f", UNHANDLED)]


def test_a_roles_stack_is_confirmed_by_its_tag_not_by_its_name() -> None:
    def role(name: str) -> dict[str, Any]:
        base = {"Path": "/", "RoleId": "AROA1234567890123456", "CreateDate": datetime.now(UTC)}
        return {"RoleName": name, "Arn": f"arn:aws:iam::123456789012:role/{name}", **base}

    mine, theirs = "spillway-aws-us-east-1-node", "spillway-aws-us-east-1-b-node"
    inventory = Stubbed(
        "iam",
        ("list_roles", {"Roles": [role("admin"), role(mine), role(theirs)]}, {}),
        ("list_role_tags", {"Tags": aws_tags("node")}, {"RoleName": mine}),
        ("list_role_policies", {"PolicyNames": ["node"]}, {"RoleName": mine}),
        ("list_role_tags", {"Tags": aws_tags("node", "aws-us-east-1-b")}, {"RoleName": theirs}),
    )
    found = list(inventory._roles(AWS_STACK))
    inventory.stubber.assert_no_pending_responses()
    assert [(e.token, e.id) for e in found] == [(aws_types.ROLE, mine), (aws_types.ROLE_POLICY, f"{mine}:node")]
    assert found[1].parents == {mine}


def test_targets_of_a_rule_and_confirmed_subscriptions_of_a_topic_are_listed() -> None:
    rule = Existing(aws_types.EVENT_RULE, "interruptions", "interruptions")
    answer = {"Targets": [{"Id": "topic", "Arn": "arn:aws:sns:us-east-1:1:topic"}]}
    (target,) = Stubbed("events", ("list_targets_by_rule", answer, {"Rule": "interruptions"}))._parts(rule)
    assert (target.token, target.id, target.parents) == (
        aws_types.EVENT_TARGET,
        "interruptions/topic",
        frozenset({"interruptions"}),
    )
    topic = Existing(aws_types.TOPIC, "arn:aws:sns:us-east-1:1:topic", "topic")
    one = {"Protocol": "email", "Endpoint": "a@example.com", "SubscriptionArn": "PendingConfirmation"}
    two = {"Protocol": "https", "Endpoint": "https://example.com", "SubscriptionArn": f"{topic.id}:1234"}
    listed = Stubbed(
        "sns", ("list_subscriptions_by_topic", {"Subscriptions": [one, two]}, {"TopicArn": topic.id})
    )._parts(topic)
    assert [(e.id, e.key) for e in listed] == [(f"{topic.id}:1234", f"{topic.id} https https://example.com")]


def test_a_refusal_by_aws_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    inventory = Stubbed("ec2")
    inventory.stubber.add_client_error("describe_vpcs", "UnauthorizedOperation", "You are not authorized")
    with pytest.raises(SpillwayError, match=r"listing what exists in 123456789012, us-east-1: .*UnauthorizedOperation"):
        inventory.existing(Scope(AWS_STACK))


def test_credentials_of_another_account_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Client:
        @staticmethod
        def get_caller_identity() -> dict[str, str]:
            return {"Account": "999999999999"}

    monkeypatch.setattr(boto3.Session, "client", lambda self, service: Client())
    with pytest.raises(SpillwayError, match="999999999999: the stack's provider allows 123456789012 only"):
        aws.inventories([{"region": "us-east-1", "allowedAccountIds": '["123456789012"]'}])


def test_every_type_that_aws_lists_has_a_kind_of_its_own_in_the_sdk() -> None:
    tokens = {row.token for row in (*aws.EC2, *aws.ARNS)} | set(RULES.keys) | set(RULES.children) | set(RULES.same)
    for token in sorted(tokens):
        assert token.startswith("aws:")
        module, name = token.split(":")[1:]
        assert module.split("/")[1] == name[0].lower() + name[1:]
    assert RULES.own_delete <= set(RULES.children)
    assert accounts_of({}) == []
