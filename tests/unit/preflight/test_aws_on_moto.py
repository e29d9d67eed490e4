"""The same questions to moto's account, for what it keeps as AWS does: zones, instances, addresses, networks,
balancers, secrets, keys, roles, buckets. It shows that the calls work over the wire and together; refusals, quotas,
scores, reservations and instance families are not in moto and are tested with recorded answers (test_aws.py)."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from moto import mock_aws

from spillway.preflight.aws_region.account import AwsAccount
from spillway.preflight.aws_region.facts import Bucket
from spillway.preflight.model import Unanswered
from tests.unit.preflight.fake_account import STACK

REGION = "us-east-1"
TAGS = [{"Key": "spillway:stack", "Value": STACK}]


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[boto3.Session]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, "test")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    with mock_aws():
        yield boto3.Session(region_name=REGION)


def test_an_account_with_a_network_of_this_stack_and_of_others(aws: boto3.Session) -> None:
    ec2, elb = aws.client("ec2"), aws.client("elbv2")
    vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    ec2.create_tags(Resources=[vpc], Tags=TAGS)
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.9.1.0/24", AvailabilityZone="us-east-1b")["Subnet"]["SubnetId"]
    address = ec2.allocate_address(Domain="vpc")["AllocationId"]
    ec2.create_nat_gateway(
        SubnetId=subnet, AllocationId=address, TagSpecifications=[{"ResourceType": "natgateway", "Tags": TAGS}]
    )
    balancer = elb.create_load_balancer(Name="spillway-aws-us-east-1-lb", Type="network", Subnets=[subnet], Tags=TAGS)
    elb.create_target_group(Name="other", Protocol="TCP", Port=443, VpcId=vpc, TargetType="instance")
    account = AwsAccount(aws, REGION)
    assert account.identity().account == "123456789012"
    assert {zone.name for zone in account.zones()} >= {"us-east-1a", "us-east-1f"}
    assert [(n.id, n.stack) for n in account.networks() if n.stack] == [(vpc, STACK)]
    assert [owned.id for owned in account.internet_gateways()] == [gateway]
    assert [owned.id for owned in account.addresses()] == [address]
    assert [(owned.stack, owned.zone) for owned in account.nat_gateways()] == [(STACK, "us-east-1b")]
    assert [owned.id for owned in account.balancers()] == ["spillway-aws-us-east-1-lb"]
    holder = account.holder("load balancer", "spillway-aws-us-east-1-lb")
    assert holder is not None
    assert (holder.id, holder.stack) == (balancer["LoadBalancers"][0]["LoadBalancerArn"], STACK)
    assert account.holder("load balancer", "none") is None
    other = account.holder("target group", "other")
    assert other is not None
    assert other.stack == ""
    assert account.holder("role", "spillway-aws-us-east-1-node") is None
    assert account.holder("auto scaling group", "spillway-aws-us-east-1-spot") is None


def test_running_instances_and_volumes(aws: boto3.Session) -> None:
    ec2 = aws.client("ec2")
    image = ec2.describe_images(Owners=["amazon"])["Images"][0]["ImageId"]
    ec2.run_instances(
        ImageId=image, MinCount=2, MaxCount=2, InstanceType="g6.xlarge",
        TagSpecifications=[{"ResourceType": "instance", "Tags": TAGS}],
    )  # fmt: skip
    ec2.create_volume(AvailabilityZone="us-east-1a", Size=70, VolumeType="gp3")
    ec2.create_volume(AvailabilityZone="us-east-1a", Size=9, VolumeType="gp2")
    account = AwsAccount(aws, REGION)
    assert [(one.machine_type, one.market, one.stack) for one in account.running()] == 2 * [
        ("g6.xlarge", "on-demand", STACK)
    ]
    assert account.gp3_gib(STACK) == 70


def test_offerings_by_zone(aws: boto3.Session) -> None:
    found = AwsAccount(aws, REGION).offerings(("p4de.24xlarge", "p5.48xlarge"))
    assert found["p4de.24xlarge"]
    assert found["p4de.24xlarge"] <= {f"us-east-1{letter}" for letter in "abcdef"}


def test_a_secret_before_and_after_its_value(aws: boto3.Session) -> None:
    client = aws.client("secretsmanager")
    assert AwsAccount(aws, REGION).secret("spillway/x") is None
    client.create_secret(Name="spillway/x", Tags=TAGS)
    empty = AwsAccount(aws, REGION).secret("spillway/x")
    assert empty is not None
    assert (empty.stack, empty.has_value) == (STACK, False)
    client.put_secret_value(SecretId="spillway/x", SecretString="[]")
    full = AwsAccount(aws, REGION)
    assert full.secret("spillway/x") is not None
    assert full.secret_value("spillway/x") == "[]"
    client.delete_secret(SecretId="spillway/x", RecoveryWindowInDays=7)
    gone = AwsAccount(aws, REGION).secret("spillway/x")
    assert gone is not None
    assert gone.deleted is not None


def test_the_bucket_its_tag_and_its_manifest(aws: boto3.Session) -> None:
    s3 = aws.client("s3")
    assert AwsAccount(aws, REGION).bucket("models") == Bucket("nobody")
    s3.create_bucket(Bucket="models")
    assert AwsAccount(aws, REGION).bucket("models").stack == ""
    s3.put_bucket_tagging(Bucket="models", Tagging={"TagSet": TAGS})
    account = AwsAccount(aws, REGION)
    assert account.bucket("models") == Bucket("this account", REGION, STACK)
    assert not account.has_object("models", "manifest.json")
    s3.put_object(Bucket="models", Key="manifest.json", Body=b"{}")
    assert AwsAccount(aws, REGION).has_object("models", "manifest.json")


def with_default_key(aws: boto3.Session, arn: str) -> AwsAccount:
    """moto has no default EBS key: that one answer is recorded, what KMS says of the key is moto's."""
    account = AwsAccount(aws, REGION)
    stubber = Stubber(account.client("ec2"))
    stubber.add_response("get_ebs_default_kms_key_id", {"KmsKeyId": arn}, {})
    stubber.activate()
    return account


def test_a_key_of_ones_own_and_what_its_policy_says(aws: boto3.Session) -> None:
    kms = aws.client("kms")
    role = "arn:aws:iam::123456789012:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling"
    key = kms.create_key()["KeyMetadata"]
    found = with_default_key(aws, key["Arn"]).default_key()
    assert (found.state, found.manager, found.scaling) == ("Enabled", "CUSTOMER", False)
    policy = {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": role}, "Action": "kms:*", "Resource": "*"}]}  # fmt: skip
    kms.put_key_policy(KeyId=key["KeyId"], PolicyName="default", Policy=json.dumps(policy))
    assert with_default_key(aws, key["Arn"]).default_key().scaling is True
    kms.disable_key(KeyId=key["KeyId"])
    assert with_default_key(aws, key["Arn"]).default_key().state == "Disabled"


def test_service_linked_roles(aws: boto3.Session) -> None:
    assert not AwsAccount(aws, REGION).service_role("AWSServiceRoleForAutoScaling")
    aws.client("iam").create_service_linked_role(AWSServiceName="autoscaling.amazonaws.com")
    assert AwsAccount(aws, REGION).service_role("AWSServiceRoleForAutoScaling")


def test_a_secret_of_bytes_is_not_looked_into(aws: boto3.Session) -> None:
    packed: Any = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("tls.pem", "x")
    aws.client("secretsmanager").create_secret(Name="spillway/z", SecretBinary=packed.getvalue())
    with pytest.raises(Unanswered, match="bytes"):
        AwsAccount(aws, REGION).secret_value("spillway/z")
