"""Data sources: what they find, and the provider's words when they find nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sandbox.aws import AWS, images, tokens
from sandbox.kinds import Args, CloudError
from tests.support.memory_cloud import MemoryCloud

FAMILY = {"name": "tag:spillway:family", "values": ["spillway-vllm"]}
VERSION = {"name": "tag:spillway:version", "values": ["2026.11.1"]}


@pytest.fixture
def cloud() -> MemoryCloud:
    return MemoryCloud()


def ask(cloud: MemoryCloud, token: str, **args: Any) -> dict[str, Any]:
    return AWS.invokes[token](Args(args), cloud)


def ami(cloud: MemoryCloud, **args: Any) -> dict[str, Any]:
    return ask(cloud, "aws:ec2/getAmi:getAmi", **args)


def test_a_baked_image_is_found_by_its_tags(cloud: MemoryCloud) -> None:
    found = ami(cloud, owners=["self"], filters=[FAMILY, VERSION])
    assert found["id"].startswith("ami-0")
    assert found["name"] == "spillway-vllm-2026.11.1"
    assert found["rootDeviceName"] == "/dev/sda1"
    assert found["ownerId"] == cloud.account
    assert found["tags"]["spillway:version"] == "2026.11.1"


def test_an_image_has_another_id_in_another_region_and_always_the_same(cloud: MemoryCloud) -> None:
    wanted = {"owners": ["self"], "filters": [FAMILY, VERSION]}
    assert ami(cloud, **wanted)["id"] == ami(cloud, **wanted)["id"]
    assert ami(cloud, **wanted)["id"] != ami(cloud.in_region("us-west-2"), **wanted)["id"]


def test_an_image_is_found_by_its_id(cloud: MemoryCloud) -> None:
    wanted = images.image_id("spillway-vllm-2026.10.2", "us-east-1")
    assert ami(cloud, filters=[{"name": "image-id", "values": [wanted]}])["name"] == "spillway-vllm-2026.10.2"


def test_no_image_is_an_error_in_the_providers_words(cloud: MemoryCloud) -> None:
    with pytest.raises(
        CloudError, match=r"Your query returned no results\. Please change your search criteria and try again"
    ):
        ami(cloud, owners=["self"], filters=[{"name": "tag:spillway:family", "values": ["none"]}])


def test_several_images_are_an_error_unless_the_newest_is_asked_for(cloud: MemoryCloud) -> None:
    with pytest.raises(CloudError, match="Your query returned more than one result"):
        ami(cloud, owners=["self"], filters=[FAMILY])
    assert ami(cloud, owners=["self"], filters=[FAMILY], mostRecent=True)["name"] == "spillway-vllm-2026.11.1"


def test_the_newest_image_of_anybody_is_refused(cloud: MemoryCloud) -> None:
    with pytest.raises(CloudError, match="not filtered by owner or image ID"):
        ami(cloud, mostRecent=True, filters=[{"name": "name", "values": ["al2023*"]}])


def test_a_filter_that_ec2_does_not_have_is_refused(cloud: MemoryCloud) -> None:
    with pytest.raises(CloudError, match="The filter 'family' is invalid"):
        ami(cloud, owners=["self"], filters=[{"name": "family", "values": ["x"]}])


def test_images_of_amazon_are_found_by_pattern_and_expression(cloud: MemoryCloud) -> None:
    wanted = [{"name": "name", "values": ["al2023-ami-*"]}, {"name": "architecture", "values": ["arm64"]}]
    assert ami(cloud, owners=["amazon"], filters=wanted)["architecture"] == "arm64"
    found = ask(cloud, "aws:ec2/getAmiIds:getAmiIds", owners=["099720109477"], nameRegex="noble-.*-amd64")
    assert len(found["ids"]) == 1


def test_zones_of_the_region_without_those_excluded(cloud: MemoryCloud) -> None:
    token = "aws:index/getAvailabilityZones:getAvailabilityZones"
    found = ask(cloud, token, state="available", excludeNames=["us-east-1e"])
    assert "us-east-1a" in found["names"]
    assert "us-east-1e" not in found["names"]
    assert len(found["names"]) == len(found["zoneIds"])
    assert ask(cloud, token, filters=[{"name": "zone-name", "values": ["us-east-1b"]}])["names"] == ["us-east-1b"]
    with pytest.raises(CloudError, match="is invalid"):
        ask(cloud, token, filters=[{"name": "colour", "values": ["x"]}])


def test_a_zone_is_found_by_name_and_by_id(cloud: MemoryCloud) -> None:
    token = "aws:index/getAvailabilityZone:getAvailabilityZone"
    found = ask(cloud, token, name="us-east-1a")
    assert ask(cloud, token, zoneId=found["zoneId"])["name"] == "us-east-1a"
    with pytest.raises(CloudError, match="no matching EC2 Availability Zone found"):
        ask(cloud, token, name="us-west-2a")


def test_offerings_name_the_zones_of_a_type(cloud: MemoryCloud) -> None:
    found = ask(
        cloud, "aws:ec2/getInstanceTypeOfferings:getInstanceTypeOfferings", locationType="availability-zone",
        filters=[{"name": "instance-type", "values": ["p4d.24xlarge"]}],
    )  # fmt: skip
    assert set(found["instanceTypes"]) == {"p4d.24xlarge"}
    assert "us-east-1b" in found["locations"]


def test_who_and_where_the_caller_is(cloud: MemoryCloud) -> None:
    assert ask(cloud, "aws:index/getCallerIdentity:getCallerIdentity")["accountId"] == cloud.account
    assert ask(cloud, "aws:index/getRegion:getRegion")["name"] == "us-east-1"
    assert ask(cloud, "aws:index/getPartition:getPartition")["dnsSuffix"] == "amazonaws.com"
    assert "us-west-2" in ask(cloud, "aws:index/getRegions:getRegions")["names"]
    with pytest.raises(CloudError, match="region not found"):
        ask(cloud, "aws:index/getRegion:getRegion", name="moon-1")


def test_a_quota_is_the_one_the_weather_left(cloud: MemoryCloud) -> None:
    token = "aws:servicequotas/getServiceQuota:getServiceQuota"
    cloud.set_quota("L-417A185B", 96)
    assert ask(cloud, token, serviceCode="ec2", quotaCode="L-417A185B")["value"] == 96
    assert ask(cloud, token, serviceCode="ec2", quotaName="Running On-Demand P instances")["quotaCode"] == "L-417A185B"
    with pytest.raises(CloudError, match="NoSuchResourceException"):
        ask(cloud, token, serviceCode="ec2", quotaCode="L-0")


def test_networks_are_found_by_tag_and_filter(cloud: MemoryCloud) -> None:
    cloud.stand_in(tokens.VPC, "vpc-1", cidrBlock="10.0.0.0/16", tags={"a": "b"})
    cloud.stand_in(tokens.SUBNET, "subnet-1", vpcId="vpc-1", availabilityZone="us-east-1a", cidrBlock="10.0.0.0/20")
    assert ask(cloud, "aws:ec2/getVpc:getVpc", tags={"a": "b"})["id"] == "vpc-1"
    by_vpc = [{"name": "vpc-id", "values": ["vpc-1"]}]
    assert ask(cloud, "aws:ec2/getSubnets:getSubnets", filters=by_vpc)["ids"] == ["subnet-1"]
    assert ask(cloud, "aws:ec2/getSubnet:getSubnet", vpcId="vpc-1")["cidrBlock"] == "10.0.0.0/20"
    with pytest.raises(CloudError, match="no matching EC2 VPC found"):
        ask(cloud, "aws:ec2/getVpc:getVpc", id="vpc-2")
    cloud.stand_in(tokens.VPC, "vpc-3", cidrBlock="10.1.0.0/16")
    with pytest.raises(CloudError, match="multiple EC2 VPCs matched"):
        ask(cloud, "aws:ec2/getVpc:getVpc")


def test_a_capacity_block_is_found_by_id(cloud: MemoryCloud) -> None:
    token = "aws:ec2/getCapacityBlockReservation:getCapacityBlockReservation"
    cloud.stand_in(
        tokens.CAPACITY_BLOCK, "cr-1", instanceType="p5.48xlarge", availabilityZone="us-east-1b", instanceCount=2,
        endDate="2026-12-01T11:30:00Z",
    )  # fmt: skip
    assert ask(cloud, token, id="cr-1")["endDate"] == "2026-12-01T11:30:00Z"
    with pytest.raises(CloudError, match="no matching"):
        ask(cloud, token, id="cr-2")


def test_what_does_not_exist_is_said_so(cloud: MemoryCloud) -> None:
    for token, args in (
        ("aws:s3/getBucket:getBucket", {"bucket": "none"}),
        ("aws:secretsmanager/getSecret:getSecret", {"name": "none"}),
        ("aws:iam/getRole:getRole", {"name": "none"}),
        ("aws:kms/getAlias:getAlias", {"name": "alias/none"}),
        ("aws:kms/getKey:getKey", {"keyId": "alias/none"}),
        ("aws:sns/getTopic:getTopic", {"name": "none"}),
        ("aws:ssm/getParameter:getParameter", {"name": "none"}),
        ("aws:autoscaling/getGroup:getGroup", {"name": "none"}),
        ("aws:lb/getLoadBalancer:getLoadBalancer", {"name": "none"}),
        ("aws:ec2/getLaunchTemplate:getLaunchTemplate", {"name": "none"}),
        ("aws:ec2/getSecurityGroup:getSecurityGroup", {"name": "none"}),
        ("aws:ec2/getSpotPrice:getSpotPrice", {"instanceType": "p4d.24xlarge"}),
    ):
        with pytest.raises(CloudError):
            ask(cloud, token, **args)


def test_what_exists_is_read_back(cloud: MemoryCloud) -> None:
    cloud.create("aws:s3/bucket:Bucket", bucket="models")
    secret = cloud.create("aws:secretsmanager/secret:Secret", name="spillway/key")
    key = cloud.create("aws:kms/key:Key")
    assert ask(cloud, "aws:s3/getBucket:getBucket", bucket="models")["arn"] == "arn:aws:s3:::models"
    assert ask(cloud, "aws:secretsmanager/getSecret:getSecret", name="spillway/key")["arn"] == secret.id
    assert ask(cloud, "aws:kms/getKey:getKey", keyId=key["arn"])["keyState"] == "Enabled"


def policy(cloud: MemoryCloud, **args: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(ask(cloud, "aws:iam/getPolicyDocument:getPolicyDocument", **args)["json"])
    return found


def test_a_policy_document_is_composed_from_statements(cloud: MemoryCloud) -> None:
    statement = {
        "sid": "Read", "actions": ["s3:GetObject"], "resources": ["arn:aws:s3:::models/*"],
        "principals": [{"type": "AWS", "identifiers": ["arn:aws:iam::123456789012:root"]}],
        "conditions": [{"test": "Bool", "variable": "aws:SecureTransport", "values": ["true"]}],
    }  # fmt: skip
    assert policy(cloud, statements=[statement])["Statement"] == [
        {
            "Sid": "Read",
            "Effect": "Allow",
            "Action": "s3:GetObject",
            "Resource": "arn:aws:s3:::models/*",
            "Principal": {"AWS": "arn:aws:iam::123456789012:root"},
            "Condition": {"Bool": {"aws:SecureTransport": "true"}},
        }
    ]


def test_overrides_replace_statements_of_the_same_sid(cloud: MemoryCloud) -> None:
    base = json.dumps({"Statement": [{"Sid": "A", "Effect": "Allow", "Action": "s3:*", "Resource": "*"}]})
    over = json.dumps({"Statement": [{"Sid": "A", "Effect": "Deny", "Action": "s3:*", "Resource": "*"}]})
    found = policy(cloud, sourcePolicyDocuments=[base], overridePolicyDocuments=[over])
    assert [s["Effect"] for s in found["Statement"]] == ["Deny"]
    with pytest.raises(CloudError, match="duplicate Sid"):
        policy(cloud, sourcePolicyDocuments=[base, over])
