"""How AWS writes things, its zones, its quotas: the helpers that every kind leans on."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.aws import formats, quotas, zones
from sandbox.kinds import Args
from tests.support.memory_cloud import MemoryCloud


@pytest.mark.parametrize(
    "arn",
    [
        "arn:aws:s3:::bucket",
        "arn:aws:iam::123456789012:role/service-role/node",
        "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore",
        "arn:aws-cn:ec2:cn-north-1:123456789012:vpc/vpc-1",
        "arn:aws:ec2:us-east-1::image/ami-1",
        "arn:aws:elasticloadbalancing:us-gov-west-1:123456789012:targetgroup/a/b",
    ],
)
def test_arns_are_arns(arn: str) -> None:
    assert formats.is_arn(arn)


@pytest.mark.parametrize(
    "text",
    ["", "arn", "arn:aws:s3:::", "arn:azure:s3:::b", "arn:aws:ec2:useast1:123456789012:x", "arn:aws:iam::12:x", 7],
)
def test_other_things_are_not(text: object) -> None:
    assert not formats.is_arn(text)


def test_an_arn_is_of_one_service_and_kind() -> None:
    arn = formats.arn("ec2", "us-east-1", "123456789012", "vpc/vpc-1")
    assert formats.is_arn(arn, "ec2", "vpc/")
    assert not formats.is_arn(arn, "s3")
    assert not formats.is_arn(arn, "ec2", "subnet/")
    assert [formats.arn_field(arn, f) for f in ("partition", "region", "resource")] == ["aws", "us-east-1", "vpc/vpc-1"]
    assert formats.arn_field("nothing", "region") == ""


def test_each_partition_has_its_arns_and_names() -> None:
    assert formats.arn("s3", "", "", "b", partition_of="cn-north-1") == "arn:aws-cn:s3:::b"
    assert formats.dns_suffix("cn-north-1") == "amazonaws.com.cn"
    assert formats.partition("us-gov-west-1") == "aws-us-gov"


def test_ids_have_8_or_17_hex_digits() -> None:
    assert re.fullmatch(r"vpc-0[0-9a-f]{16}", formats.hex_id("vpc"))
    assert formats.is_id("vpc-0123456789abcdef0", "vpc")
    assert formats.is_id("pl-63a5400a", "vpc", "pl")
    assert not formats.is_id("vpc-0123456789ABCDEF0", "vpc")
    assert not formats.is_id("vpc-123", "vpc")


@given(st.binary(max_size=64))
def test_base64_is_read_back(data: bytes) -> None:
    import base64

    assert formats.decoded_base64(base64.b64encode(data).decode()) == data


def test_base64_that_is_none() -> None:
    assert formats.decoded_base64("#cloud-config") is None
    assert formats.decoded_base64(None) is None


def test_tri_state_booleans_are_strings() -> None:
    faults = [f.path for f in formats.tri_state(Args({"a": True, "b": "true", "c": "", "d": "no"}), "a")]
    assert faults == ["a"]


@given(st.integers(0, 255), st.integers(16, 28), st.integers(16, 28))
def test_networks_overlap_when_one_holds_the_others_start(third: int, one: int, other: int) -> None:
    import ipaddress

    left = ipaddress.ip_network(f"10.0.{third}.0/{one}", strict=False)
    right = ipaddress.ip_network(f"10.0.0.0/{other}", strict=False)
    found = formats.overlapping(str(left), [str(right)])
    assert (found is not None) == left.overlaps(right)


def test_names_of_addresses() -> None:
    assert formats.private_dns("10.0.0.5", "us-east-1") == "ip-10-0-0-5.ec2.internal"
    assert formats.private_dns("10.0.0.5", "us-west-2") == "ip-10-0-0-5.us-west-2.compute.internal"
    assert formats.public_dns("203.0.113.5", "us-east-1") == "ec2-203-0-113-5.compute-1.amazonaws.com"


def test_every_region_has_zones_of_its_own_name_and_distinct_ids() -> None:
    for region in zones.regions().values():
        assert len(region.zones) >= 2
        assert all(name.startswith(region.name) for name in region.zones)
        assert len(set(region.zones.values())) == len(region.zones)


def test_zones_are_found_both_ways() -> None:
    assert zones.zone_id("us-east-1a") == "use1-az6"
    assert zones.zone_of_id("use1-az6") == "us-east-1a"
    assert zones.region_of_zone("us-east-1a") == "us-east-1"
    assert (zones.zone_id("us-east-1z"), zones.zone_of_id("use1-az9"), zones.region_of_zone("x")) == (None, None, None)


def test_load_balancers_have_the_hosted_zone_that_aws_publishes() -> None:
    """https://docs.aws.amazon.com/general/latest/gr/elb.html"""
    assert zones.balancer_zone_id("us-east-1", "network") == "Z26RNL4JYFTOTI"
    assert zones.balancer_zone_id("us-east-1", "application") == "Z35SXDOTRQ7X7K"
    assert zones.balancer_zone_id("eu-central-1", "network") == "Z3F0SRJ5LGBH90"


def test_offerings_come_from_the_catalog_and_unlisted_types_are_everywhere() -> None:
    assert zones.offered_zones("p4d.24xlarge", "eu-west-1") == ("eu-west-1c",)
    assert zones.is_offered("p4d.24xlarge", "us-east-1a")
    assert not zones.is_offered("p4d.24xlarge", "us-east-1f")
    assert zones.offered_zones("t3.micro", "us-east-1") is None
    assert zones.is_offered("t3.micro", "us-east-1f")


@pytest.mark.parametrize(
    ("machine", "market", "code"),
    [
        ("p4d.24xlarge", "on-demand", "L-417A185B"),
        ("p5.48xlarge", "on-demand", "L-417A185B"),
        ("p4de.24xlarge", "spot", "L-7212CCBC"),
        ("p5en.48xlarge", "spot", "L-C4BD4855"),
        ("g6e.48xlarge", "on-demand", "L-DB2E81BA"),
        ("gr6.4xlarge", "spot", "L-3819A6DF"),
        ("t3.micro", "on-demand", "L-1216C47A"),
        ("i4i.large", "spot", "L-34B43A08"),
        ("trn1.32xlarge", "spot", ""),
        ("dl1.24xlarge", "on-demand", ""),
    ],
)
def test_each_machine_counts_against_the_quota_of_its_family_and_market(machine: str, market: str, code: str) -> None:
    """https://docs.aws.amazon.com/ec2/latest/instancetypes/ec2-instance-quotas.html"""
    quota = quotas.vcpu_quota(machine, market)
    assert (quota.code if quota else "") == code


def test_machine_types_are_known_by_name() -> None:
    found = quotas.instance_type("p5.48xlarge")
    assert found is not None
    assert (found.vcpus, found.network_cards, found.efa_interfaces) == (192, 32, 32)
    assert quotas.instance_type("p5.48xl") is None


def test_a_cloud_in_memory_keeps_regions_apart_and_counts_for_all() -> None:
    east = MemoryCloud()
    assert [east.sequence("a"), east.in_region("us-west-2").sequence("a"), east.sequence("b")] == [0, 1, 0]
