"""Prefix lists that AWS keeps: found by name, and as heavy as AWS says."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest

from sandbox.aws import AWS, tokens
from sandbox.aws.ec2_prefix_lists import is_managed_prefix_list, prefix_list_id, prefix_list_weight
from sandbox.kinds import Args, CloudError
from tests.support.aws_region import network, refused
from tests.support.memory_cloud import MemoryCloud

MANAGED = "aws:ec2/getManagedPrefixList:getManagedPrefixList"


@pytest.fixture
def cloud() -> MemoryCloud:
    return MemoryCloud()


def ask(cloud: MemoryCloud, token: str = MANAGED, **args: Any) -> dict[str, Any]:
    return AWS.invokes[token](Args(args), cloud)


@pytest.mark.parametrize(
    ("name", "weight"),
    [
        ("com.amazonaws.us-east-1.route53-healthchecks", 25),
        ("com.amazonaws.us-east-1.ipv6.route53-healthchecks", 25),
        ("com.amazonaws.us-east-1.s3", 1),
        ("com.amazonaws.us-east-1.dynamodb", 1),
        ("com.amazonaws.global.cloudfront.origin-facing", 55),
    ],
)
def test_a_list_of_aws_is_found_by_name_and_weighs_what_aws_says(cloud: MemoryCloud, name: str, weight: int) -> None:
    found = ask(cloud, name=name)
    assert found["ownerId"] == "AWS"
    assert found["arn"] == f"arn:aws:ec2:us-east-1:aws:prefix-list/{found['id']}"
    assert (found["maxEntries"], found["version"], found["tags"]) == (0, 0, {})
    family = ipaddress.IPv4Network if found["addressFamily"] == "IPv4" else ipaddress.IPv6Network
    assert all(family(entry["cidr"]) for entry in found["entries"])
    assert 0 < len(found["entries"]) <= 25
    assert prefix_list_weight(cloud, found["id"]) == weight
    assert is_managed_prefix_list(found["id"])
    assert ask(cloud, id=found["id"])["name"] == name
    assert ask(cloud, filters=[{"name": "prefix-list-name", "values": [name]}])["id"] == found["id"]


def test_a_region_has_lists_of_its_own(cloud: MemoryCloud) -> None:
    here = ask(cloud, name="com.amazonaws.us-east-1.route53-healthchecks")
    there = ask(cloud.in_region("eu-west-1"), name="com.amazonaws.eu-west-1.route53-healthchecks")
    assert here["id"] != there["id"]
    with pytest.raises(CloudError, match="no matching EC2 Managed Prefix List found"):
        ask(cloud, name="com.amazonaws.eu-west-1.route53-healthchecks")


def test_an_account_finds_its_own_lists_too(cloud: MemoryCloud) -> None:
    inputs = {"name": "offices", "addressFamily": "IPv4", "maxEntries": 5, "entries": [{"cidr": "198.51.100.0/24"}]}
    own = cloud.create(tokens.PREFIX_LIST, **inputs, tags={"team": "ml"})
    assert ask(cloud, name="offices")["maxEntries"] == 5
    assert ask(cloud, tags={"team": "ml"})["id"] == own.id
    assert prefix_list_weight(cloud, own.id) == 5
    lists = "aws:ec2/getManagedPrefixLists:getManagedPrefixLists"
    assert ask(cloud, lists, filters=[{"name": "owner-id", "values": [cloud.account]}])["ids"] == [own.id]
    with pytest.raises(CloudError, match="multiple EC2 Managed Prefix Lists matched"):
        ask(cloud)
    with pytest.raises(CloudError, match="The filter 'colour' is invalid"):
        ask(cloud, filters=[{"name": "colour", "values": ["x"]}])


def test_the_older_data_source_tells_lists_of_gateway_endpoints_only(cloud: MemoryCloud) -> None:
    token = "aws:ec2/getPrefixList:getPrefixList"
    found = ask(cloud, token, name="com.amazonaws.us-east-1.s3")
    assert (found["id"], bool(found["cidrBlocks"])) == (prefix_list_id("us-east-1", "s3"), True)
    assert ask(cloud, token, prefixListId=found["id"])["name"] == "com.amazonaws.us-east-1.s3"
    with pytest.raises(CloudError, match="no matching EC2 Prefix List found"):
        ask(cloud, token, name="com.amazonaws.us-east-1.route53-healthchecks")


def test_a_security_group_takes_as_many_rules_as_its_lists_weigh() -> None:
    net = network()
    checkers = ask(net.cloud, name="com.amazonaws.us-east-1.route53-healthchecks")["id"]
    edge = ask(net.cloud, name="com.amazonaws.global.cloudfront.origin-facing")["id"]
    rule = {"securityGroupId": net.group.id, "ipProtocol": "tcp", "fromPort": 443, "toPort": 443}
    net.cloud.create(tokens.INGRESS_RULE, **rule, prefixListId=checkers)
    with refused("RulesPerSecurityGroupLimitExceeded"):
        net.cloud.create(tokens.INGRESS_RULE, **rule, prefixListId=edge)
    net.cloud.create(tokens.EGRESS_RULE, **rule, prefixListId=edge)
    https = {"protocol": "tcp", "fromPort": 443, "toPort": 443}
    with refused("RulesPerSecurityGroupLimitExceeded"):
        net.cloud.create(
            tokens.SECURITY_GROUP,
            vpcId=net.vpc.id,
            description="edge",
            ingress=[{**https, "prefixListIds": [checkers]}, {**https, "prefixListIds": [edge]}],
        )
    with refused("InvalidPrefixListID.NotFound"):
        net.cloud.create(tokens.INGRESS_RULE, **rule, prefixListId="pl-0123456789abcdef0")
