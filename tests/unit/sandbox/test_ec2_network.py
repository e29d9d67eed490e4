"""VPCs, subnets, gateways, DHCP options: each rule refuses what AWS refuses, and what exists looks like AWS's."""

from __future__ import annotations

import re
from typing import Any

import pytest

from sandbox.aws import tokens
from sandbox.values import UNKNOWN
from tests.support.aws_region import check_faults, network, refused
from tests.support.memory_cloud import MemoryCloud

VPC = {"cidrBlock": "10.16.0.0/16"}
SUBNET = {"vpcId": "vpc-0123456789abcdef0", "cidrBlock": "10.16.0.0/24", "availabilityZone": "us-east-1a"}
POOL = "ipam-pool-0123456789abcdef0"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"cidrBlock": "10.0.0.0/8"}, "cidrBlock: expected a prefix of /16 to /28"),
        ({"cidrBlock": "10.16.0.0/29"}, "cidrBlock: expected a prefix of /16 to /28"),
        ({"cidrBlock": "10.16.0.1/16"}, "cidrBlock: expected an IPv4 network"),
        ({"cidrBlock": None}, "cidrBlock: is required"),
        ({"instanceTenancy": "host"}, "instanceTenancy: expected one of default, dedicated"),
        ({"ipv4NetmaskLength": 20}, "ipv4NetmaskLength: conflicts with cidrBlock"),
        ({"ipv4NetmaskLength": 29}, "ipv4NetmaskLength: expected 16 to 28"),
        ({"ipv4NetmaskLength": 20, "cidrBlock": None}, "ipv4NetmaskLength: needs ipv4IpamPoolId"),
        ({"ipv4IpamPoolId": "pool-1"}, "ipv4IpamPoolId: expected an id that starts with ipam-pool-"),
        ({"ipv6CidrBlock": "2001:db8::/56"}, "ipv6CidrBlock: needs ipv6IpamPoolId"),
        ({"ipv6CidrBlock": "2001:db8::/64", "ipv6IpamPoolId": POOL}, "ipv6CidrBlock: expected a prefix of /44 to /60"),
        (
            {"assignGeneratedIpv6CidrBlock": True, "ipv6IpamPoolId": POOL},
            "ipv6IpamPoolId: conflicts with assignGeneratedIpv6CidrBlock",
        ),
    ],
)
def test_a_vpc_is_checked(change: dict[str, Any], expected: str) -> None:
    check_faults(tokens.VPC, VPC, change, expected)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"vpcId": "vpc-1"}, "vpcId: expected an id that starts with vpc-"),
        ({"cidrBlock": "10.16.0.0/29"}, "cidrBlock: expected a prefix of /16 to /28"),
        ({"cidrBlock": None}, "cidrBlock: one of cidrBlock"),
        ({"availabilityZone": "us-east-1z"}, "availabilityZone: expected the name of an availability zone"),
        ({"availabilityZoneId": "use1-az6"}, "availabilityZoneId: conflicts with availabilityZone"),
        ({"availabilityZoneId": "use1-az9"}, "availabilityZoneId: expected an availability zone id"),
        ({"privateDnsHostnameTypeOnLaunch": "host"}, "privateDnsHostnameTypeOnLaunch: expected one of ip-name"),
        ({"ipv6Native": True}, "cidrBlock: an IPv6-only subnet"),
        ({"assignIpv6AddressOnCreation": True}, "assignIpv6AddressOnCreation: needs ipv6CidrBlock"),
        ({"customerOwnedIpv4Pool": "pool"}, "customerOwnedIpv4Pool: needs mapCustomerOwnedIpOnLaunch"),
        ({"outpostArn": "outpost"}, "outpostArn: expected an ARN"),
    ],
)
def test_a_subnet_is_checked(change: dict[str, Any], expected: str) -> None:
    check_faults(tokens.SUBNET, SUBNET, change, expected)


def test_unknown_values_are_not_judged() -> None:
    assert MemoryCloud().faults(tokens.VPC, cidrBlock=UNKNOWN) == []
    assert MemoryCloud().faults(tokens.SUBNET, vpcId=UNKNOWN, cidrBlock=UNKNOWN, availabilityZone=UNKNOWN) == []


def test_a_vpc_brings_its_route_table_acl_and_group_and_takes_them_along() -> None:
    cloud = MemoryCloud()
    vpc = cloud.create(tokens.VPC, **VPC)
    table = cloud.get(tokens.DEFAULT_ROUTE_TABLE, vpc["mainRouteTableId"])
    group = cloud.get(tokens.DEFAULT_SECURITY_GROUP, vpc["defaultSecurityGroupId"])
    assert table is not None
    assert table["vpcId"] == vpc.id
    assert group is not None
    assert group["name"] == "default"
    assert cloud.get(tokens.DEFAULT_NETWORK_ACL, vpc["defaultNetworkAclId"]) is not None
    cloud.delete(vpc)
    assert cloud.state.resources == {}


def test_a_vpc_reads_like_one_of_aws() -> None:
    vpc = MemoryCloud().create(tokens.VPC, **VPC, assignGeneratedIpv6CidrBlock=True)
    assert vpc["arn"] == f"arn:aws:ec2:us-east-1:123456789012:vpc/{vpc.id}"
    assert re.fullmatch(r"vpc-[0-9a-f]{17}", vpc.id)
    assert vpc["ownerId"] == "123456789012"
    assert vpc["enableDnsSupport"] is True
    assert vpc["enableDnsHostnames"] is False
    assert vpc["ipv6CidrBlock"].startswith("2001:db8:")
    assert vpc["ipv6CidrBlock"].endswith("/56")
    assert vpc["dhcpOptionsId"].startswith("dopt-")


def test_an_update_keeps_what_the_vpc_was_born_with() -> None:
    cloud = MemoryCloud()
    vpc = cloud.create(tokens.VPC, **VPC, assignGeneratedIpv6CidrBlock=True)
    again = cloud.update(vpc, tags={"a": "b"})
    for key in ("mainRouteTableId", "defaultSecurityGroupId", "ipv6CidrBlock", "ipv6AssociationId", "dhcpOptionsId"):
        assert again[key] == vpc[key]


def test_a_region_has_five_vpcs_unless_the_quota_says_otherwise() -> None:
    cloud = MemoryCloud()
    for i in range(5):
        cloud.create(tokens.VPC, cidrBlock=f"10.{i}.0.0/16")
    with refused("VpcLimitExceeded"):
        cloud.create(tokens.VPC, cidrBlock="10.9.0.0/16")
    cloud.in_region("us-west-2").create(tokens.VPC, cidrBlock="10.9.0.0/16")
    cloud.set_quota("L-F678F1CE", 6)
    cloud.create(tokens.VPC, cidrBlock="10.9.0.0/16")


def test_a_vpc_with_a_subnet_cannot_be_deleted() -> None:
    net = network()
    with refused("DependencyViolation"):
        net.cloud.delete(net.vpc)


def test_a_subnet_lies_within_its_vpc() -> None:
    net = network()
    with refused("InvalidSubnet.Range", "10.17.0.0/24"):
        net.cloud.create(tokens.SUBNET, vpcId=net.vpc.id, cidrBlock="10.17.0.0/24")


def test_a_subnet_may_lie_in_an_associated_range_which_then_cannot_go() -> None:
    net = network()
    more = net.cloud.create(tokens.VPC_CIDR, vpcId=net.vpc.id, cidrBlock="10.17.0.0/16")
    net.cloud.create(tokens.SUBNET, vpcId=net.vpc.id, cidrBlock="10.17.0.0/24")
    with refused("DependencyViolation"):
        net.cloud.delete(more)


def test_an_associated_range_does_not_overlap_and_there_are_five() -> None:
    net = network()
    with refused("InvalidVpc.Range"):
        net.cloud.create(tokens.VPC_CIDR, vpcId=net.vpc.id, cidrBlock="10.16.128.0/20")
    for i in range(4):
        net.cloud.create(tokens.VPC_CIDR, vpcId=net.vpc.id, cidrBlock=f"10.{20 + i}.0.0/16")
    with refused("CidrLimitExceeded"):
        net.cloud.create(tokens.VPC_CIDR, vpcId=net.vpc.id, cidrBlock="10.30.0.0/16")


def test_subnets_do_not_overlap() -> None:
    net = network()
    with refused("InvalidSubnet.Conflict", "10.16.1.128/25"):
        net.cloud.create(tokens.SUBNET, vpcId=net.vpc.id, cidrBlock="10.16.1.128/25")


def test_the_same_addresses_in_another_vpc_are_fine() -> None:
    net = network()
    other = net.cloud.create(tokens.VPC, **VPC)
    net.cloud.create(tokens.SUBNET, vpcId=other.id, cidrBlock="10.16.1.0/24")


def test_a_subnet_is_in_a_zone_of_its_region() -> None:
    net = network()
    with refused("InvalidParameterValue", "us-east-1a, us-east-1b"):
        net.cloud.create(tokens.SUBNET, vpcId=net.vpc.id, cidrBlock="10.16.9.0/24", availabilityZone="us-west-2a")


def test_a_subnet_in_another_region_than_its_vpc_is_refused() -> None:
    net = network()
    with refused("InvalidVpcID.NotFound"):
        net.cloud.in_region("us-west-2").create(tokens.SUBNET, vpcId=net.vpc.id, cidrBlock="10.16.9.0/24")


def test_a_vpc_has_only_so_many_subnets() -> None:
    net = network()
    net.cloud.set_quota("L-407747CB", 3)
    with refused("SubnetLimitExceeded"):
        net.cloud.create(tokens.SUBNET, vpcId=net.vpc.id, cidrBlock="10.16.9.0/24")


def test_a_subnet_knows_its_zone_by_name_and_by_id() -> None:
    net = network()
    assert (net.subnets[0]["availabilityZone"], net.subnets[0]["availabilityZoneId"]) == ("us-east-1a", "use1-az6")
    by_id = net.cloud.create(tokens.SUBNET, vpcId=net.vpc.id, cidrBlock="10.16.9.0/24", availabilityZoneId="use1-az5")
    assert by_id["availabilityZone"] == "us-east-1f"
    anywhere = net.cloud.create(tokens.SUBNET, vpcId=net.vpc.id, cidrBlock="10.16.10.0/24")
    assert anywhere["availabilityZone"] == "us-east-1a"


def test_a_subnet_from_a_pool_gets_the_first_free_block() -> None:
    net = network()
    made = net.cloud.create(tokens.SUBNET, vpcId=net.vpc.id, ipv4IpamPoolId=POOL, ipv4NetmaskLength=24)
    assert made["cidrBlock"] == "10.16.3.0/24"


def test_a_vpc_has_one_internet_gateway() -> None:
    net = network()
    with refused("InvalidParameterValue", "already has an internet gateway attached"):
        net.cloud.create(tokens.INTERNET_GATEWAY, vpcId=net.vpc.id)
    loose = net.cloud.create(tokens.INTERNET_GATEWAY)
    with refused("InvalidParameterValue", "already has an internet gateway attached"):
        net.cloud.update(loose, vpcId=net.vpc.id)
    with refused("InvalidParameterValue", "already has an internet gateway attached"):
        net.cloud.create(tokens.INTERNET_GATEWAY_ATTACHMENT, internetGatewayId=loose.id, vpcId=net.vpc.id)


def test_an_internet_gateway_is_attached_once() -> None:
    net = network()
    other = net.cloud.create(tokens.VPC, cidrBlock="10.20.0.0/16")
    with refused("Resource.AlreadyAssociated"):
        net.cloud.create(tokens.INTERNET_GATEWAY_ATTACHMENT, internetGatewayId=net.gateway.id, vpcId=other.id)


def test_an_internet_gateway_stays_while_public_addresses_are_mapped() -> None:
    net = network()
    address = net.addresses(1)[0]
    nat = net.cloud.create(tokens.NAT_GATEWAY, subnetId=net.subnets[0].id, allocationId=address.id)
    with refused("DependencyViolation", "mapped public address"):
        net.cloud.delete(net.gateway)
    net.cloud.delete(nat)
    net.cloud.delete(net.gateway)


def test_a_region_has_only_so_many_internet_gateways() -> None:
    cloud = MemoryCloud()
    cloud.set_quota("L-A4707A72", 1)
    cloud.create(tokens.INTERNET_GATEWAY)
    with refused("InternetGatewayLimitExceeded"):
        cloud.create(tokens.INTERNET_GATEWAY)


def test_dhcp_options_name_something() -> None:
    good = {"domainName": "example.internal"}
    check_faults(tokens.DHCP_OPTIONS, good, {"domainName": None}, "domainName: one of")
    check_faults(tokens.DHCP_OPTIONS, good, {"netbiosNodeType": "3"}, "netbiosNodeType: expected one of 1, 2, 4, 8")
    many = {"ntpServers": [f"10.0.0.{i}" for i in range(5)]}
    check_faults(tokens.DHCP_OPTIONS, good, many, "ntpServers: expected a length of 1 to 4")
    lease = {"ipv6AddressPreferredLeaseTime": "10"}
    check_faults(tokens.DHCP_OPTIONS, good, lease, "ipv6AddressPreferredLeaseTime: expected 140")


def test_dhcp_options_are_the_vpcs_until_they_are_taken_away() -> None:
    net = network()
    before = net.vpc["dhcpOptionsId"]
    options = net.cloud.create(tokens.DHCP_OPTIONS, domainName="example.internal")
    link = net.cloud.create(tokens.DHCP_ASSOCIATION, vpcId=net.vpc.id, dhcpOptionsId=options.id)
    assert net.cloud.find(tokens.VPC, id=net.vpc.id)[0]["dhcpOptionsId"] == options.id
    with refused("DependencyViolation"):
        net.cloud.delete(options)
    net.cloud.delete(link)
    assert net.cloud.find(tokens.VPC, id=net.vpc.id)[0]["dhcpOptionsId"] == before
