"""Security groups and their rules, the default group."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.aws import tokens
from sandbox.kinds import Resource
from tests.support.aws_region import Network, check_faults, network, refused
from tests.support.memory_cloud import MemoryCloud

GROUP_ID = "sg-0123456789abcdef0"
GROUP = {"name": "nodes", "vpcId": "vpc-0123456789abcdef0", "description": "GPU nodes"}
RULE = {"securityGroupId": GROUP_ID, "ipProtocol": "tcp", "fromPort": 443, "toPort": 443, "cidrIpv4": "0.0.0.0/0"}
OPEN = {"protocol": "tcp", "fromPort": 443, "toPort": 443, "cidrBlocks": ["0.0.0.0/0"]}
CLASSIC = {**OPEN, "securityGroupId": GROUP_ID, "type": "ingress"}


def rule(net: Network, token: str = tokens.INGRESS_RULE, **change: Any) -> Resource:
    inputs = {**RULE, "securityGroupId": net.group.id, **change}
    return net.cloud.create(token, **{key: value for key, value in inputs.items() if value is not None})


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"name": "sg-nodes"}, "name: a group name cannot begin with sg-"),
        ({"name": "default"}, "name: default is the name"),
        ({"name": "n" * 256}, "name: expected a length of 1 to 255"),
        ({"namePrefix": "no"}, "name: conflicts with namePrefix"),
        ({"description": "Größe"}, "description: expected up to 255"),
        ({"description": ""}, "description: cannot be empty"),
        ({"vpcId": "vpc"}, "vpcId: expected an id that starts with vpc-"),
        ({"ingress": [{**OPEN, "protocol": "http"}]}, "ingress[0].protocol: expected tcp, udp"),
        ({"ingress": [{**OPEN, "toPort": 80}]}, "ingress[0].toPort: must be at least fromPort"),
        ({"ingress": [{**OPEN, "toPort": 70000}]}, "ingress[0].toPort: expected a port of 0 to 65535"),
        (
            {"ingress": [{**OPEN, "protocol": "-1"}]},
            "ingress[0].fromPort: fromPort (443) and toPort (443) must both be 0",
        ),
        ({"ingress": [{**OPEN, "cidrBlocks": []}]}, "ingress[0].cidrBlocks: one of cidrBlocks"),
        ({"ingress": [{**OPEN, "cidrBlocks": ["10.0.0.1/8"]}]}, "ingress[0].cidrBlocks[0]: expected an IPv4 network"),
        ({"ingress": [OPEN, dict(OPEN)]}, "ingress[1]: the same rule a second time"),
        (
            {"egress": [{**OPEN, "securityGroups": ["nodes"]}]},
            "egress[0].securityGroups[0]: expected a security group id",
        ),
    ],
)
def test_a_group_is_checked(change: dict[str, Any], expected: str) -> None:
    check_faults(tokens.SECURITY_GROUP, GROUP, change, expected)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"cidrIpv4": None}, "cidrIpv4: one of"),
        ({"cidrIpv6": "::/0"}, "cidrIpv6: conflicts with cidrIpv4"),
        ({"referencedSecurityGroupId": GROUP_ID}, "referencedSecurityGroupId: conflicts with cidrIpv4"),
        ({"cidrIpv4": "10.0.0.1/8"}, "cidrIpv4: expected an IPv4 network"),
        ({"cidrIpv4": None, "cidrIpv6": "2001:db8::1/32"}, "cidrIpv6: expected an IPv6 network"),
        ({"cidrIpv4": None, "prefixListId": "s3"}, "prefixListId: expected an id that starts with pl-"),
        ({"cidrIpv4": None, "referencedSecurityGroupId": "default"}, "referencedSecurityGroupId: expected a security"),
        ({"ipProtocol": "https"}, "ipProtocol: expected tcp, udp, icmp, icmpv6, -1 (all) or a number"),
        ({"ipProtocol": "300"}, "ipProtocol: expected tcp, udp, icmp, icmpv6, -1 (all) or a number"),
        ({"ipProtocol": "-1"}, "fromPort: must not be set with ipProtocol"),
        ({"toPort": None}, "toPort: is required with ipProtocol tcp"),
        ({"fromPort": 444}, "toPort: must be at least fromPort (444)"),
        ({"fromPort": -1}, "fromPort: expected a port of 0 to 65535"),
        ({"ipProtocol": "icmp", "fromPort": 300}, "fromPort: expected an ICMP type or code"),
        ({"description": "d" * 256}, "description: expected up to 255"),
        ({"securityGroupId": "nodes"}, "securityGroupId: expected an id that starts with sg-"),
    ],
)
@pytest.mark.parametrize("token", [tokens.INGRESS_RULE, tokens.EGRESS_RULE])
def test_a_rule_is_checked(token: str, change: dict[str, Any], expected: str) -> None:
    check_faults(token, RULE, change, expected)


def test_all_protocols_mean_all_ports() -> None:
    everything = {"securityGroupId": GROUP_ID, "ipProtocol": "-1", "cidrIpv4": "0.0.0.0/0"}
    assert MemoryCloud().faults(tokens.EGRESS_RULE, **everything) == []


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"type": "in"}, "type: expected one of ingress, egress"),
        ({"cidrBlocks": None}, "cidrBlocks: one of"),
        ({"self": True}, "self: conflicts with cidrBlocks"),
        ({"sourceSecurityGroupId": GROUP_ID}, "sourceSecurityGroupId: conflicts with cidrBlocks"),
        ({"cidrBlocks": None, "self": True, "sourceSecurityGroupId": GROUP_ID}, "self: conflicts with source"),
        ({"protocol": "-1"}, "fromPort: fromPort (443) and toPort (443) must both be 0"),
        ({"toPort": 1}, "toPort: must be at least fromPort"),
    ],
)
def test_a_rule_of_the_older_form_is_checked(change: dict[str, Any], expected: str) -> None:
    check_faults(tokens.SECURITY_GROUP_RULE, CLASSIC, change, expected)


def test_a_group_reads_like_one_of_aws() -> None:
    net = network()
    group = net.cloud.create(tokens.SECURITY_GROUP, vpcId=net.vpc.id)
    assert group["description"] == "Managed by Pulumi"
    assert group["arn"] == f"arn:aws:ec2:us-east-1:123456789012:security-group/{group.id}"


def test_a_groups_name_is_its_own_within_the_vpc() -> None:
    net = network()
    net.cloud.create(tokens.SECURITY_GROUP, name="nodes", vpcId=net.vpc.id)
    with refused("InvalidGroup.Duplicate"):
        net.cloud.create(tokens.SECURITY_GROUP, name="nodes", vpcId=net.vpc.id)
    other = network(net.cloud, "10.20")
    net.cloud.create(tokens.SECURITY_GROUP, name="nodes", vpcId=other.vpc.id)


def test_a_group_needs_a_vpc_where_there_is_no_default_one() -> None:
    with refused("VPCIdNotSpecified"):
        MemoryCloud().create(tokens.SECURITY_GROUP, name="nodes")


def test_a_region_has_only_so_many_groups() -> None:
    net = network()
    net.cloud.set_quota("L-E79EC296", 1)
    with refused("SecurityGroupLimitExceeded"):
        net.cloud.create(tokens.SECURITY_GROUP, vpcId=net.vpc.id)


def test_a_group_has_only_so_many_inline_rules() -> None:
    net = network()
    many = [{**OPEN, "cidrBlocks": [f"10.0.{i}.0/24" for i in range(61)]}]
    with refused("RulesPerSecurityGroupLimitExceeded"):
        net.cloud.create(tokens.SECURITY_GROUP, vpcId=net.vpc.id, ingress=many)
    with refused("RulesPerSecurityGroupLimitExceeded"):
        net.cloud.update(net.group, ingress=many)


def test_a_group_that_a_rule_names_cannot_be_deleted() -> None:
    net = network()
    other = net.cloud.create(tokens.SECURITY_GROUP, vpcId=net.vpc.id)
    rule(net, cidrIpv4=None, referencedSecurityGroupId=other.id)
    with refused("DependencyViolation"):
        net.cloud.delete(other)
    net.cloud.delete(net.group)  # its own rules go with it
    assert net.cloud.all(tokens.INGRESS_RULE) == []
    net.cloud.delete(other)


def test_the_same_rule_twice_is_refused_however_the_protocol_is_written() -> None:
    net = network()
    rule(net)
    with refused("InvalidPermission.Duplicate", 'peer: 0.0.0.0/0, TCP, from port: 443, to port: 443, ALLOW"'):
        rule(net, ipProtocol="6", description="again")
    rule(net, fromPort=80, toPort=80)
    rule(net, tokens.EGRESS_RULE)


def test_an_update_into_an_existing_rule_is_refused() -> None:
    net = network()
    rule(net)
    other = rule(net, fromPort=80, toPort=80)
    with refused("InvalidPermission.Duplicate"):
        net.cloud.update(other, fromPort=443, toPort=443)
    net.cloud.update(other, description="health checks")


def test_a_group_has_sixty_rules_each_way() -> None:
    net = network()
    net.cloud.set_quota("L-0EA8095F", 2)
    rule(net)
    rule(net, fromPort=80, toPort=80)
    with refused("RulesPerSecurityGroupLimitExceeded"):
        rule(net, fromPort=22, toPort=22)
    rule(net, tokens.EGRESS_RULE)


def test_a_rule_names_groups_of_its_own_network() -> None:
    net = network()
    other = network(net.cloud, "10.20")
    with refused("InvalidGroup.NotFound", "different networks"):
        rule(net, cidrIpv4=None, referencedSecurityGroupId=other.group.id)
    net.cloud.create(tokens.PEERING, vpcId=net.vpc.id, peerVpcId=other.vpc.id, autoAccept=True)
    rule(net, cidrIpv4=None, referencedSecurityGroupId=other.group.id)


def test_a_rule_may_name_the_group_of_another_account_and_the_lists_of_aws() -> None:
    net = network()
    rule(net, cidrIpv4=None, referencedSecurityGroupId=f"210987654321/{GROUP_ID}")
    rule(net, tokens.EGRESS_RULE, cidrIpv4=None, prefixListId="pl-63a5400a")
    with refused("InvalidPrefixListID.NotFound"):
        rule(net, tokens.EGRESS_RULE, cidrIpv4=None, prefixListId="pl-0123456789abcdef0")


def test_a_rule_has_an_id_and_an_arn() -> None:
    made = rule(network())
    assert made["securityGroupRuleId"] == made.id
    assert made["arn"].endswith(f":security-group-rule/{made.id}")


def test_the_default_group_is_adopted_emptied_and_given_back() -> None:
    net = network()
    adopted = net.cloud.create(tokens.DEFAULT_SECURITY_GROUP, vpcId=net.vpc.id)
    assert (adopted.id, adopted["name"]) == (net.vpc["defaultSecurityGroupId"], "default")
    assert not adopted["ingress"]
    net.cloud.update(net.vpc, tags={"a": "b"})  # must not bring the old rules back
    kept = net.cloud.get(tokens.DEFAULT_SECURITY_GROUP, adopted.id)
    assert kept is not None
    assert not kept["ingress"]
    net.cloud.delete(adopted)
    assert net.cloud.get(tokens.DEFAULT_SECURITY_GROUP, adopted.id) is not None


def test_rules_of_the_older_form_do_not_repeat_each_other() -> None:
    net = network()
    inputs = {**CLASSIC, "securityGroupId": net.group.id, "cidrBlocks": ["10.0.0.0/8", "192.168.0.0/16"]}
    net.cloud.create(tokens.SECURITY_GROUP_RULE, **inputs)
    with refused("InvalidPermission.Duplicate", "192.168.0.0/16"):
        net.cloud.create(tokens.SECURITY_GROUP_RULE, **{**inputs, "cidrBlocks": ["192.168.0.0/16"]})
    net.cloud.create(tokens.SECURITY_GROUP_RULE, **{**inputs, "type": "egress"})
