"""Elastic IP addresses and NAT gateways."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest

from sandbox.aws import tokens
from sandbox.kinds import CloudError, Resource
from tests.support.aws_region import Network, check_faults, network, refused
from tests.support.memory_cloud import MemoryCloud

NAT = {"subnetId": "subnet-0123456789abcdef0", "allocationId": "eipalloc-0123456789abcdef0"}


def nat_gateway(net: Network, zone: int = 0, **more: Any) -> Resource:
    if "allocationId" not in more:
        more["allocationId"] = net.addresses(1)[0].id
    return net.cloud.create(tokens.NAT_GATEWAY, subnetId=net.subnets[zone].id, **more)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"domain": "standard"}, "domain: expected one of vpc"),
        ({"instance": "i-1"}, "instance: expected an id that starts with i-"),
        ({"networkInterface": "eni-1"}, "networkInterface: expected an id that starts with eni-"),
        ({"address": "203.0.113"}, "address: expected an IPv4 address"),
        ({"associateWithPrivateIp": "10.0.0.4"}, "associateWithPrivateIp: needs instance or networkInterface"),
        (
            {"instance": "i-0123456789abcdef0", "networkInterface": "eni-0123456789abcdef0"},
            "networkInterface: conflicts with instance",
        ),
    ],
)
def test_an_address_is_checked(change: dict[str, Any], expected: str) -> None:
    check_faults(tokens.EIP, {}, change, expected)


def test_addresses_are_held_once_and_given_again_when_they_are_free() -> None:
    cloud = MemoryCloud()
    cloud.set_quota("L-0263D0A3", 600)
    made = [cloud.create(tokens.EIP) for _ in range(254)]
    assert {a["publicIp"] for a in made} == {f"203.0.113.{n}" for n in range(1, 255)}
    with pytest.raises(CloudError, match=r"all 254 public addresses \(203.0.113.0/24\) are taken"):
        cloud.create(tokens.EIP)
    cloud.delete(made[6])
    assert cloud.create(tokens.EIP)["publicIp"] == "203.0.113.7"


def test_an_address_reads_like_one_of_aws() -> None:
    address = MemoryCloud("us-west-2").create(tokens.EIP)
    assert address["allocationId"] == address.id
    assert address["publicDns"] == "ec2-203-0-113-1.us-west-2.compute.amazonaws.com"
    assert address["arn"] == f"arn:aws:ec2:us-west-2:123456789012:elastic-ip/{address.id}"
    assert (address["domain"], address["networkBorderGroup"]) == ("vpc", "us-west-2")


def test_a_region_has_five_addresses_unless_the_quota_says_otherwise() -> None:
    net = network()
    net.addresses(5)
    with refused("AddressLimitExceeded"):
        net.addresses(1)
    net.cloud.set_quota("L-0263D0A3", 6)
    net.addresses(1)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"subnetId": None}, "subnetId: is required"),
        ({"allocationId": None}, "allocationId: is required with connectivityType public"),
        ({"connectivityType": "private"}, "allocationId: is not supported with connectivityType private"),
        ({"connectivityType": "vpn"}, "connectivityType: expected one of public, private"),
        ({"privateIp": "10.0"}, "privateIp: expected an IPv4 address"),
        ({"secondaryPrivateIpAddressCount": 2}, "secondaryPrivateIpAddressCount: is not supported"),
        ({"vpcId": "vpc-0123456789abcdef0"}, "vpcId: is only supported with availabilityMode regional"),
        ({"availabilityMode": "regional"}, "subnetId: is not supported with availabilityMode regional"),
        ({"availabilityMode": "regional"}, "vpcId: is required with availabilityMode regional"),
        ({"availabilityMode": "global"}, "availabilityMode: expected one of zonal, regional"),
    ],
)
def test_a_nat_gateway_is_checked(change: dict[str, Any], expected: str) -> None:
    check_faults(tokens.NAT_GATEWAY, NAT, change, expected)


def test_a_nat_gateway_has_the_address_it_was_given_and_one_of_its_subnet() -> None:
    net = network()
    address = net.addresses(1)[0]
    nat = nat_gateway(net, allocationId=address.id)
    assert nat["publicIp"] == address["publicIp"]
    assert ipaddress.IPv4Address(nat["privateIp"]) in ipaddress.IPv4Network("10.16.0.0/24")
    assert nat["networkInterfaceId"].startswith("eni-")
    again = net.cloud.update(nat, tags={"a": "b"})
    assert (again["privateIp"], again["networkInterfaceId"]) == (nat["privateIp"], nat["networkInterfaceId"])


def test_an_address_is_used_once() -> None:
    net = network()
    address = net.addresses(1)[0]
    nat_gateway(net, allocationId=address.id)
    with refused("Resource.AlreadyAssociated"):
        nat_gateway(net, 1, allocationId=address.id)


def test_an_address_in_use_cannot_be_released() -> None:
    net = network()
    address = net.addresses(1)[0]
    nat_gateway(net, allocationId=address.id)
    with refused("InvalidIPAddress.InUse"):
        net.cloud.delete(address)


def test_a_public_nat_gateway_needs_an_internet_gateway() -> None:
    cloud = MemoryCloud()
    vpc = cloud.create(tokens.VPC, cidrBlock="10.16.0.0/16")
    subnet = cloud.create(tokens.SUBNET, vpcId=vpc.id, cidrBlock="10.16.0.0/24")
    address = cloud.create(tokens.EIP)
    with refused("Gateway.NotAttached"):
        cloud.create(tokens.NAT_GATEWAY, subnetId=subnet.id, allocationId=address.id)
    private = cloud.create(tokens.NAT_GATEWAY, subnetId=subnet.id, connectivityType="private")
    assert not private["publicIp"]


def test_a_zone_has_five_nat_gateways() -> None:
    net = network()
    net.cloud.set_quota("L-0263D0A3", 10)
    for _ in range(5):
        nat_gateway(net)
    with refused("NatGatewayLimitExceeded", "limit of 5"):
        nat_gateway(net)
    nat_gateway(net, 1)


def test_a_subnet_with_a_nat_gateway_cannot_be_deleted() -> None:
    net = network()
    nat_gateway(net)
    with refused("DependencyViolation"):
        net.cloud.delete(net.subnets[0])


def test_a_regional_nat_gateway_has_an_address_per_zone() -> None:
    net = network()
    nat = net.cloud.create(tokens.NAT_GATEWAY, vpcId=net.vpc.id, availabilityMode="regional")
    zones = [entry["availabilityZone"] for entry in nat["regionalNatGatewayAddresses"]]
    assert zones == ["us-east-1a", "us-east-1b", "us-east-1c"]
    assert nat["regionalNatGatewayAutoMode"] == "enabled"


def test_an_association_names_one_address_and_one_holder() -> None:
    good = {"allocationId": "eipalloc-0123456789abcdef0", "instanceId": "i-0123456789abcdef0"}
    token = tokens.EIP_ASSOCIATION
    check_faults(token, good, {"publicIp": "203.0.113.9"}, "publicIp: conflicts with allocationId")
    check_faults(token, good, {"instanceId": None}, "instanceId: one of instanceId, networkInterfaceId")


def test_an_association_takes_a_free_address_only_unless_told_otherwise() -> None:
    net = network()
    address = net.addresses(1)[0]
    nics = [net.cloud.create(tokens.NETWORK_INTERFACE, subnetId=net.subnets[0].id) for _ in range(2)]
    link = net.cloud.create(tokens.EIP_ASSOCIATION, allocationId=address.id, networkInterfaceId=nics[0].id)
    assert (link["publicIp"], link["privateIpAddress"]) == (address["publicIp"], nics[0]["privateIp"])
    again = {"allocationId": address.id, "networkInterfaceId": nics[1].id}
    with refused("Resource.AlreadyAssociated"):
        net.cloud.create(tokens.EIP_ASSOCIATION, **again)
    net.cloud.create(tokens.EIP_ASSOCIATION, **again, allowReassociation=True)
