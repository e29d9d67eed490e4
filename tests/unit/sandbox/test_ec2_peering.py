"""Network ACLs, peering connections, flow logs, prefix lists."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.aws import tokens
from sandbox.kinds import Resource
from tests.support.aws_region import Network, check_faults, network, refused
from tests.support.memory_cloud import MemoryCloud

ENTRY = {"ruleNo": 100, "action": "allow", "protocol": "tcp", "fromPort": 443, "toPort": 443, "cidrBlock": "0.0.0.0/0"}
RULE = {
    "networkAclId": "acl-0123456789abcdef0",
    "ruleNumber": 100,
    "ruleAction": "allow",
    "protocol": "tcp",
    "fromPort": 443,
    "toPort": 443,
    "cidrBlock": "0.0.0.0/0",
}
PEERING = {"vpcId": "vpc-0123456789abcdef0", "peerVpcId": "vpc-0123456789abcdef1"}
LOG = {
    "vpcId": "vpc-0123456789abcdef0",
    "trafficType": "ALL",
    "logDestination": "arn:aws:s3:::flow-logs",
    "logDestinationType": "s3",
}
LIST = {"name": "clients", "addressFamily": "IPv4", "maxEntries": 2, "entries": [{"cidr": "192.0.2.0/24"}]}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"ruleNumber": 40000}, "ruleNumber: expected 1 to 32,766"),
        ({"ruleAction": "drop"}, "ruleAction: expected one of allow, deny"),
        ({"cidrBlock": None}, "cidrBlock: one of cidrBlock, ipv6CidrBlock"),
        ({"ipv6CidrBlock": "::/0"}, "ipv6CidrBlock: conflicts with cidrBlock"),
        ({"protocol": "web"}, "protocol: expected tcp"),
        ({"protocol": "-1"}, "fromPort: must be 0 with protocol"),
        ({"toPort": 80}, "toPort: must be at least fromPort"),
        ({"toPort": 99999}, "toPort: expected 0 to 65,535"),
    ],
)
def test_an_acl_rule_is_checked(change: dict[str, Any], expected: str) -> None:
    check_faults(tokens.NETWORK_ACL_RULE, RULE, change, expected)


def test_the_entries_of_an_acl_are_checked() -> None:
    good = {"vpcId": "vpc-0123456789abcdef0"}
    check_faults(
        tokens.NETWORK_ACL, good, {"ingress": [ENTRY, ENTRY]}, "ingress[1].ruleNo: rule number 100 is given twice"
    )
    check_faults(tokens.NETWORK_ACL, good, {"egress": [{**ENTRY, "action": "no"}]}, "egress[0].action: expected one of")


def acl(net: Network, **more: Any) -> Resource:
    return net.cloud.create(tokens.NETWORK_ACL, vpcId=net.vpc.id, **more)


def test_a_rule_number_is_used_once_per_direction() -> None:
    net = network()
    made = acl(net, ingress=[ENTRY])
    inputs = {**RULE, "networkAclId": made.id}
    with refused("NetworkAclEntryAlreadyExists"):
        net.cloud.create(tokens.NETWORK_ACL_RULE, **inputs)
    net.cloud.create(tokens.NETWORK_ACL_RULE, **inputs, egress=True)
    with refused("NetworkAclEntryAlreadyExists"):
        net.cloud.create(tokens.NETWORK_ACL_RULE, **inputs, egress=True)


def test_an_acl_has_twenty_rules_each_way_and_a_vpc_so_many_acls() -> None:
    net = network()
    many = [{**ENTRY, "ruleNo": i + 1} for i in range(21)]
    with refused("NetworkAclEntryLimitExceeded"):
        acl(net, ingress=many)
    full = acl(net, ingress=many[:20])
    with refused("NetworkAclEntryLimitExceeded"):
        net.cloud.create(tokens.NETWORK_ACL_RULE, **{**RULE, "networkAclId": full.id, "ruleNumber": 500})
    net.cloud.set_quota("L-B4A6D682", 2)
    with refused("NetworkAclLimitExceeded"):
        acl(net)


def test_an_acl_guards_subnets_of_its_own_vpc() -> None:
    net = network()
    other = network(net.cloud, "10.20")
    with refused("InvalidParameterValue", "different networks"):
        acl(net, subnetIds=[other.subnets[0].id])
    made = acl(net)
    with refused("InvalidParameterValue", "different networks"):
        net.cloud.create(tokens.NETWORK_ACL_ASSOCIATION, networkAclId=made.id, subnetId=other.subnets[0].id)
    net.cloud.create(tokens.NETWORK_ACL_ASSOCIATION, networkAclId=made.id, subnetId=net.subnets[0].id)
    with refused("DependencyViolation"):
        net.cloud.delete(made)


def test_the_default_acl_is_adopted_and_given_back() -> None:
    net = network()
    id = net.vpc["defaultNetworkAclId"]
    adopted = net.cloud.create(tokens.DEFAULT_NETWORK_ACL, defaultNetworkAclId=id, ingress=[ENTRY])
    assert (adopted.id, adopted["vpcId"]) == (id, net.vpc.id)
    net.cloud.delete(adopted)
    assert net.cloud.get(tokens.DEFAULT_NETWORK_ACL, id) is not None
    with refused("InvalidNetworkAclID.NotFound"):
        net.cloud.create(tokens.DEFAULT_NETWORK_ACL, defaultNetworkAclId="acl-0123456789abcdef0")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"peerVpcId": PEERING["vpcId"]}, "peerVpcId: a VPC cannot be peered with itself"),
        ({"peerOwnerId": "12345"}, "peerOwnerId: expected an account id of 12 digits"),
        ({"peerRegion": "us-east-9"}, "peerRegion: expected the name of a region"),
        ({"autoAccept": True, "peerRegion": "us-west-2"}, "autoAccept: conflicts with peerRegion"),
    ],
)
def test_a_peering_is_checked(change: dict[str, Any], expected: str) -> None:
    check_faults(tokens.PEERING, PEERING, change, expected)


def test_peered_networks_do_not_overlap() -> None:
    cloud = MemoryCloud()
    one, two = (cloud.create(tokens.VPC, cidrBlock="10.16.0.0/16") for _ in range(2))
    with refused("InvalidParameterValue", "overlapping CIDRs"):
        cloud.create(tokens.PEERING, vpcId=one.id, peerVpcId=two.id)


def test_two_vpcs_are_peered_once() -> None:
    cloud = MemoryCloud()
    one, two = (cloud.create(tokens.VPC, cidrBlock=f"10.{i}.0.0/16") for i in (1, 2))
    made = cloud.create(tokens.PEERING, vpcId=one.id, peerVpcId=two.id, autoAccept=True)
    assert made["acceptStatus"] == "active"
    with refused("VpcPeeringConnectionAlreadyExists"):
        cloud.create(tokens.PEERING, vpcId=two.id, peerVpcId=one.id)


def test_a_vpc_has_only_so_many_peerings() -> None:
    cloud = MemoryCloud()
    cloud.set_quota("L-7E9ECCDB", 1)
    one, two, three = (cloud.create(tokens.VPC, cidrBlock=f"10.{i}.0.0/16") for i in (1, 2, 3))
    cloud.create(tokens.PEERING, vpcId=one.id, peerVpcId=two.id)
    with refused("VpcPeeringConnectionLimitExceeded"):
        cloud.create(tokens.PEERING, vpcId=one.id, peerVpcId=three.id)


def test_a_peering_between_regions_is_accepted_over_there() -> None:
    east = MemoryCloud()
    west = east.in_region("us-west-2")
    mine = east.create(tokens.VPC, cidrBlock="10.1.0.0/16")
    theirs = west.create(tokens.VPC, cidrBlock="10.2.0.0/16")
    with refused("InvalidVpcID.NotFound"):
        east.create(tokens.PEERING, vpcId=mine.id, peerVpcId=theirs.id)
    made = east.create(tokens.PEERING, vpcId=mine.id, peerVpcId=theirs.id, peerRegion="us-west-2")
    assert made["acceptStatus"] == "pending-acceptance"
    with refused("OperationNotPermitted", "us-west-2"):
        east.create(tokens.PEERING_ACCEPTER, vpcPeeringConnectionId=made.id, autoAccept=True)
    accepted = west.create(tokens.PEERING_ACCEPTER, vpcPeeringConnectionId=made.id, autoAccept=True)
    assert (accepted["acceptStatus"], accepted["vpcId"], accepted["peerRegion"]) == ("active", theirs.id, "us-east-1")
    assert east.find(tokens.PEERING)[0]["acceptStatus"] == "active"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"vpcId": None}, "vpcId: one of"),
        ({"subnetId": "subnet-0123456789abcdef0"}, "subnetId: conflicts with vpcId"),
        ({"trafficType": "SOME"}, "trafficType: expected one of ACCEPT, ALL, REJECT"),
        ({"trafficType": None}, "trafficType: is required"),
        ({"logDestination": None}, "logDestination: is required"),
        ({"logDestination": "bucket"}, "logDestination: expected an ARN"),
        ({"logDestinationType": "sqs"}, "logDestinationType: expected one of"),
        ({"maxAggregationInterval": 300}, "maxAggregationInterval: expected one of 60, 600"),
        ({"logDestinationType": "cloud-watch-logs"}, "iamRoleArn: is required"),
        (
            {"iamRoleArn": "arn:aws:iam::123456789012:role/logs"},
            "iamRoleArn: cannot be set when logDestinationType is s3",
        ),
        ({"destinationOptions": {"fileFormat": "csv"}}, "destinationOptions.fileFormat: expected one of"),
        ({"vpcId": None, "transitGatewayId": "tgw-1"}, "maxAggregationInterval: must be 60 for transit gateways"),
    ],
)
def test_a_flow_log_is_checked(change: dict[str, Any], expected: str) -> None:
    check_faults(tokens.FLOW_LOG, LOG, change, expected)


def test_the_same_flow_log_twice_is_refused() -> None:
    net = network()
    inputs = {**LOG, "vpcId": net.vpc.id}
    net.cloud.create(tokens.FLOW_LOG, **inputs)
    with refused("FlowLogAlreadyExists"):
        net.cloud.create(tokens.FLOW_LOG, **inputs)
    net.cloud.create(tokens.FLOW_LOG, **{**inputs, "trafficType": "REJECT"})


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"name": "com.amazonaws.mine"}, "name: cannot begin with com.amazonaws"),
        ({"addressFamily": "IPv5"}, "addressFamily: expected one of IPv4, IPv6"),
        ({"maxEntries": 0}, "maxEntries: expected 1 to 1,000"),
        ({"addressFamily": "IPv6"}, "entries[0].cidr: expected an IPv6 network"),
        ({"entries": [{"cidr": "192.0.2.0/24"}] * 2}, "entries[1].cidr: 192.0.2.0/24 is given twice"),
        ({"entries": [{"cidr": f"192.0.{i}.0/24"} for i in range(3)]}, "entries: at most maxEntries (2)"),
    ],
)
def test_a_prefix_list_is_checked(change: dict[str, Any], expected: str) -> None:
    check_faults(tokens.PREFIX_LIST, LIST, change, expected)


def test_a_prefix_list_has_a_new_version_when_its_entries_change() -> None:
    cloud = MemoryCloud()
    made = cloud.create(tokens.PREFIX_LIST, **LIST)
    assert made["version"] == 1
    made = cloud.update(made, tags={"a": "b"})
    assert made["version"] == 1
    assert cloud.update(made, entries=[{"cidr": "198.51.100.0/24"}])["version"] == 2
