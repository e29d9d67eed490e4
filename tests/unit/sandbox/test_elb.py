"""Load balancers and target groups."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.aws import AWS, tokens
from sandbox.aws.elb import LoadBalancer
from sandbox.kinds import Args, Resource
from sandbox.values import UNKNOWN
from tests.support.aws_region import Network, check_faults, network, refused
from tests.support.memory_cloud import MemoryCloud

SUBNETS = [f"subnet-0123456789abcdef{i}" for i in range(3)]
BALANCER: dict[str, Any] = {"name": "spillway", "loadBalancerType": "network", "subnets": SUBNETS}
ALB = {**BALANCER, "loadBalancerType": "application"}
GROUP: dict[str, Any] = {"name": "nodes", "port": 443, "protocol": "TCP", "vpcId": "vpc-0123456789abcdef0"}
WEB = {**GROUP, "protocol": "HTTPS"}
BASE = "arn:aws:elasticloadbalancing:us-east-1:123456789012:"
EIP = "eipalloc-0123456789abcdef0"


def mapping(*entries: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"subnets": None, "subnetMappings": list(entries), **more}


@pytest.mark.parametrize(
    ("good", "change", "expected"),
    [
        (BALANCER, {"name": "spillway-aws-us-east-1-balancer-long"}, "name: expected a load balancer name of 1 to 32"),
        (BALANCER, {"name": "spillway_1"}, "name: expected a load balancer name"),
        (BALANCER, {"name": "-spillway"}, "name: expected a load balancer name"),
        (BALANCER, {"name": "internal-spillway"}, 'name: cannot begin with "internal-"'),
        (BALANCER, {"namePrefix": "spillway"}, "namePrefix: expected up to 6"),
        (BALANCER, {"loadBalancerType": "nlb"}, "loadBalancerType: expected one of application, network, gateway"),
        (BALANCER, {"subnets": None}, "subnetMappings: one of subnetMappings, subnets"),
        (BALANCER, {"subnetMappings": [{"subnetId": SUBNETS[0]}]}, "subnets: conflicts with subnetMappings"),
        (BALANCER, {"subnets": []}, "subnets: at least one subnet"),
        (BALANCER, {"subnets": ["a"]}, "subnets[0]: expected an id that starts with subnet-"),
        (ALB, {"subnets": SUBNETS[:1]}, "subnets: at least two subnets in two different Availability Zones"),
        (ALB, {"idleTimeout": 4001}, "idleTimeout: expected 1 to 4,000 seconds"),
        (ALB, {"clientKeepAlive": 59}, "clientKeepAlive: expected 60 to 604,800 seconds"),
        (ALB, {"desyncMitigationMode": "strict"}, "desyncMitigationMode: expected one of monitor"),
        (ALB, {"xffHeaderProcessingMode": "drop"}, "xffHeaderProcessingMode: expected one of append"),
        (ALB, {"enableCrossZoneLoadBalancing": False}, "enableCrossZoneLoadBalancing: is always on"),
        (BALANCER, {"ipAddressType": "ipv6"}, "ipAddressType: expected one of ipv4"),
        (
            BALANCER,
            {"ipAddressType": "dualstack-without-public-ipv4"},
            "ipAddressType: dualstack-without-public-ipv4 is",
        ),
        (BALANCER, {"dnsRecordClientRoutingPolicy": "any"}, "dnsRecordClientRoutingPolicy: expected one of"),
        (BALANCER, {"connectionLogs": {"bucket": "b"}}, "connectionLogs: is not supported by load balancers of type"),
        (BALANCER, {"securityGroups": ["open"]}, "securityGroups[0]: expected an id that starts with sg-"),
        (
            BALANCER,
            {"loadBalancerType": "gateway", "securityGroups": ["sg-0123456789abcdef0"]},
            "securityGroups: is not supported by load balancers of type gateway",
        ),
        (
            BALANCER,
            mapping({"subnetId": SUBNETS[0], "allocationId": EIP}, {"subnetId": SUBNETS[1]}),
            "subnetMappings: allocationId must be set for every subnet or for none",
        ),
        (
            BALANCER,
            mapping({"subnetId": SUBNETS[0], "allocationId": EIP}, internal=True),
            "subnetMappings: allocationId is only for internet-facing",
        ),
        (
            ALB,
            mapping({"subnetId": SUBNETS[0], "allocationId": EIP}, {"subnetId": SUBNETS[1], "allocationId": EIP}),
            "subnetMappings: allocationId is only for load balancers of type network",
        ),
        (
            BALANCER,
            mapping({"subnetId": SUBNETS[0], "allocationId": EIP}, {"subnetId": SUBNETS[1], "allocationId": EIP}),
            f"subnetMappings[1].allocationId: {EIP} is given twice",
        ),
        (
            BALANCER,
            mapping({"subnetId": SUBNETS[0]}, {"subnetId": SUBNETS[0]}),
            f"subnetMappings[1].subnetId: {SUBNETS[0]} is given twice",
        ),
        (
            BALANCER,
            mapping({"subnetId": SUBNETS[0], "privateIpv4Address": "10.0.0.9"}),
            "subnetMappings[0].privateIpv4Address: is only for internal",
        ),
    ],
)
def test_a_load_balancer_is_checked(good: dict[str, Any], change: dict[str, Any], expected: str) -> None:
    check_faults(tokens.LOAD_BALANCER, good, change, expected)


def test_addresses_that_are_not_known_yet_count_as_given() -> None:
    entries = [{"subnetId": UNKNOWN, "allocationId": UNKNOWN} for _ in range(2)]
    inputs = {"name": "spillway", "loadBalancerType": "network", "subnetMappings": entries}
    assert MemoryCloud().faults(tokens.LOAD_BALANCER, **inputs) == []


def fixed(net: Network, **more: Any) -> Resource:
    addresses = net.addresses(len(net.subnets))
    entries = [{"subnetId": s.id, "allocationId": a.id} for s, a in zip(net.subnets, addresses, strict=True)]
    return net.balancer(subnets=None, subnetMappings=entries, **more)


def test_a_network_load_balancer_reads_like_one_of_aws() -> None:
    net = network()
    made = fixed(net, name="spillway", securityGroups=[net.group.id])
    label = made.id.rsplit("/", 1)[1]
    assert made["arn"] == made.id == f"{BASE}loadbalancer/net/spillway/{label}"
    assert made["arnSuffix"] == f"net/spillway/{label}"
    assert made["dnsName"] == f"spillway-{label}.elb.us-east-1.amazonaws.com"
    assert (made["zoneId"], made["vpcId"]) == ("Z26RNL4JYFTOTI", net.vpc.id)
    assert made["subnets"] == [s.id for s in net.subnets]
    assert made["enforceSecurityGroupInboundRulesOnPrivateLinkTraffic"] == "on"


def test_an_application_load_balancer_has_the_default_group_and_other_names() -> None:
    net = network()
    made = net.balancer(loadBalancerType="application", name="web")
    assert made["dnsName"].startswith("web-")
    assert made["dnsName"].endswith(".us-east-1.elb.amazonaws.com")
    assert made["zoneId"] == "Z35SXDOTRQ7X7K"
    assert made["securityGroups"] == [net.vpc["defaultSecurityGroupId"]]
    hidden = net.balancer(loadBalancerType="application", name="web2", internal=True)
    assert hidden["dnsName"].startswith("internal-web2-")


def test_a_name_is_used_once_per_region() -> None:
    net = network()
    net.balancer(name="spillway")
    with refused("DuplicateLoadBalancerName"):
        net.balancer(name="spillway", internal=True)


def test_a_load_balancer_has_one_subnet_per_zone_in_one_vpc() -> None:
    net = network()
    twin = net.cloud.create(tokens.SUBNET, vpcId=net.vpc.id, cidrBlock="10.16.9.0/24", availabilityZone="us-east-1a")
    with refused("InvalidConfigurationRequest", "multiple subnets in the same Availability Zone"):
        net.balancer(subnets=[net.subnets[0].id, twin.id])
    other = network(net.cloud, "10.20")
    with refused("InvalidConfigurationRequest", "must belong to the same VPC"):
        net.balancer(subnets=[net.subnets[0].id, other.subnets[1].id])


def test_an_internet_facing_load_balancer_needs_an_internet_gateway() -> None:
    cloud = MemoryCloud()
    vpc = cloud.create(tokens.VPC, cidrBlock="10.16.0.0/16")
    subnet = cloud.create(tokens.SUBNET, vpcId=vpc.id, cidrBlock="10.16.0.0/24")
    inputs = {"loadBalancerType": "network", "subnets": [subnet.id]}
    with refused("InvalidSubnet", "has no internet gateway"):
        cloud.create(tokens.LOAD_BALANCER, **inputs)
    cloud.create(tokens.LOAD_BALANCER, **inputs, internal=True)


def test_an_address_is_held_by_one_load_balancer() -> None:
    net = network(zones="a")
    made = fixed(net)
    address = net.cloud.all(tokens.EIP)[0]
    with refused("ResourceInUse", made.id):
        net.balancer(subnets=None, subnetMappings=[{"subnetId": net.subnets[0].id, "allocationId": address.id}])
    with refused("Resource.AlreadyAssociated"):
        net.cloud.create(tokens.NAT_GATEWAY, subnetId=net.subnets[0].id, allocationId=address.id)
    with refused("InvalidIPAddress.InUse"):
        net.cloud.delete(address)
    net.cloud.update(made, enableCrossZoneLoadBalancing=True)  # its own address is no obstacle


def test_a_private_address_is_one_of_the_subnet() -> None:
    net = network(zones="a")
    entry = {"subnetId": net.subnets[0].id, "privateIpv4Address": "10.16.9.9"}
    with refused("InvalidConfigurationRequest", "not in the range"):
        net.balancer(subnets=None, internal=True, subnetMappings=[entry])


def test_groups_are_of_the_balancers_vpc() -> None:
    net = network()
    other = network(net.cloud, "10.20")
    with refused("InvalidGroup.NotFound"):
        net.balancer(securityGroups=[other.group.id])


def test_subnets_and_addresses_exist() -> None:
    net = network()
    with refused("SubnetNotFound"):
        net.balancer(subnets=SUBNETS)
    with refused("AllocationIdNotFound"):
        net.balancer(subnets=None, subnetMappings=[{"subnetId": net.subnets[0].id, "allocationId": EIP}])


def test_a_region_has_fifty_of_each_kind() -> None:
    net = network()
    net.cloud.set_quota("L-69A177A2", 1)
    net.balancer()
    with refused("TooManyLoadBalancers"):
        net.balancer()
    net.balancer(loadBalancerType="application")


def test_a_protected_load_balancer_is_not_deleted() -> None:
    net = network()
    made = net.balancer(enableDeletionProtection=True)
    with refused("OperationNotPermitted", "deletion protection"):
        net.cloud.delete(made)
    net.cloud.delete(net.cloud.update(made, enableDeletionProtection=False))


def test_a_subnet_of_a_load_balancer_cannot_be_deleted() -> None:
    net = network()
    net.balancer()
    with refused("DependencyViolation"):
        net.cloud.delete(net.subnets[0])


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ({"subnets": SUBNETS[:2]}, {"subnets": SUBNETS}, []),
        ({"subnets": SUBNETS}, {"subnets": SUBNETS[::-1]}, []),
        ({"subnets": SUBNETS}, {"subnets": SUBNETS[:2]}, ["subnets"]),
        ({"subnets": SUBNETS[:2]}, {"subnets": SUBNETS[1:]}, ["subnets"]),
        ({"subnets": SUBNETS}, {"subnets": SUBNETS, "securityGroups": ["sg-1"]}, ["securityGroups"]),
        ({"subnets": SUBNETS, "securityGroups": ["sg-1"]}, {"subnets": SUBNETS, "securityGroups": ["sg-2"]}, []),
    ],
)
def test_a_network_load_balancer_only_gains_subnets(old: Any, new: Any, expected: list[str]) -> None:
    kind = AWS.kinds[tokens.LOAD_BALANCER]
    assert isinstance(kind, LoadBalancer)
    network_type = {"loadBalancerType": "network"}
    assert list(kind.replace_when(Args({**network_type, **old}), Args({**network_type, **new}))) == expected


CHECK = {"protocol": "HTTPS", "path": "/readyz", "matcher": "200", "port": "443"}


@pytest.mark.parametrize(
    ("good", "change", "expected"),
    [
        (GROUP, {"name": "n" * 33}, "name: expected a target group name"),
        (GROUP, {"port": 0}, "port: expected 1 to 65,535"),
        (GROUP, {"port": None}, "port: is required when targetType is instance"),
        (GROUP, {"protocol": None}, "protocol: is required when targetType is instance"),
        (GROUP, {"vpcId": None}, "vpcId: is required when targetType is instance"),
        (GROUP, {"protocol": "SSH"}, "protocol: expected one of"),
        (GROUP, {"targetType": "pod"}, "targetType: expected one of instance, ip, lambda, alb"),
        (GROUP, {"targetType": "lambda"}, "port: cannot be set when targetType is lambda"),
        (GROUP, {"targetType": "alb", "protocol": "UDP"}, "protocol: a target group of type alb takes TCP"),
        (GROUP, {"protocol": "GENEVE"}, "port: a GENEVE target group listens on 6081"),
        (GROUP, {"protocolVersion": "HTTP2"}, "protocolVersion: cannot be set when protocol is TCP"),
        (GROUP, {"slowStart": 60}, "slowStart: cannot be set when protocol is TCP"),
        (GROUP, {"loadBalancingAlgorithmType": "round_robin"}, "loadBalancingAlgorithmType: cannot be set when"),
        (WEB, {"slowStart": 20}, "slowStart: expected 0 (off) or 30 to 900"),
        (WEB, {"proxyProtocolV2": True}, "proxyProtocolV2: cannot be set when protocol is HTTPS"),
        (WEB, {"preserveClientIp": "true"}, "preserveClientIp: cannot be set when protocol is HTTPS"),
        (WEB, {"loadBalancingAlgorithmType": "random"}, "loadBalancingAlgorithmType: expected one of"),
        (WEB, {"loadBalancingAnomalyMitigation": "on"}, "loadBalancingAnomalyMitigation: needs"),
        (GROUP, {"deregistrationDelay": 3601}, "deregistrationDelay: expected 0 to 3,600 seconds"),
        (GROUP, {"preserveClientIp": True}, "preserveClientIp: expected the string"),
        (GROUP, {"loadBalancingCrossZoneEnabled": "yes"}, "loadBalancingCrossZoneEnabled: expected one of"),
        (GROUP, {"ipAddressType": "dualstack"}, "ipAddressType: expected one of ipv4, ipv6"),
        (GROUP, {"healthCheck": {**CHECK, "interval": 4}}, "healthCheck.interval: expected 5 to 300"),
        (GROUP, {"healthCheck": {**CHECK, "timeout": 1}}, "healthCheck.timeout: expected 2 to 120"),
        (GROUP, {"healthCheck": {**CHECK, "timeout": 10, "interval": 10}}, "healthCheck.timeout: must be smaller than"),
        (GROUP, {"healthCheck": {**CHECK, "healthyThreshold": 1}}, "healthCheck.healthyThreshold: expected 2 to 10"),
        (
            GROUP,
            {"healthCheck": {**CHECK, "unhealthyThreshold": 11}},
            "healthCheck.unhealthyThreshold: expected 2 to 10",
        ),
        (
            GROUP,
            {"healthCheck": {**CHECK, "protocol": "UDP"}},
            "healthCheck.protocol: expected one of HTTP, HTTPS, TCP",
        ),
        (GROUP, {"healthCheck": {**CHECK, "path": "readyz"}}, "healthCheck.path: expected a path that begins with /"),
        (GROUP, {"healthCheck": {**CHECK, "port": "https"}}, 'healthCheck.port: expected "traffic-port"'),
        (GROUP, {"healthCheck": {**CHECK, "matcher": "ok"}}, "healthCheck.matcher: expected codes"),
        (GROUP, {"healthCheck": {**CHECK, "protocol": "TCP"}}, "healthCheck.matcher: cannot be set when the health"),
        (WEB, {"healthCheck": {"protocol": "TCP"}}, "healthCheck.protocol: TCP health checks are not supported"),
        (
            GROUP,
            {"stickiness": {"type": "lb_cookie"}},
            "stickiness.type: expected one of source_ip when protocol is TCP",
        ),
        (WEB, {"stickiness": {"type": "app_cookie"}}, "stickiness.cookieName: is required"),
        (GROUP, {"protocol": "TLS", "stickiness": {"type": "source_ip"}}, "stickiness.enabled: stickiness is not"),
        (
            GROUP,
            {
                "targetHealthStates": [
                    {"enableUnhealthyConnectionTermination": False, "unhealthyDrainingInterval": 400000}
                ]
            },
            "targetHealthStates[0].unhealthyDrainingInterval: expected 0 to 360,000 seconds",
        ),
        (
            GROUP,
            {"targetHealthStates": [{"enableUnhealthyConnectionTermination": True, "unhealthyDrainingInterval": 90}]},
            "targetHealthStates[0].unhealthyDrainingInterval: can only be set when",
        ),
        (
            GROUP,
            {"protocol": "UDP", "targetHealthStates": [{"enableUnhealthyConnectionTermination": False}]},
            "targetHealthStates[0]: is only for TCP and TLS target groups",
        ),
        (
            GROUP,
            {"targetGroupHealth": {"dnsFailover": {"minimumHealthyTargetsCount": "0"}}},
            "targetGroupHealth.dnsFailover.minimumHealthyTargetsCount: expected",
        ),
        (
            GROUP,
            {"targetGroupHealth": {"unhealthyStateRouting": {"minimumHealthyTargetsPercentage": "101"}}},
            "targetGroupHealth.unhealthyStateRouting.minimumHealthyTargetsPercentage: expected",
        ),
    ],
)
def test_a_target_group_is_checked(good: dict[str, Any], change: dict[str, Any], expected: str) -> None:
    check_faults(tokens.TARGET_GROUP, good, change, expected)


def test_connections_of_an_unhealthy_target_may_drain() -> None:
    drain = [{"enableUnhealthyConnectionTermination": False, "unhealthyDrainingInterval": 90}]
    assert MemoryCloud().faults(tokens.TARGET_GROUP, **GROUP, targetHealthStates=drain, healthCheck=CHECK) == []


def test_a_target_group_reads_like_one_of_aws() -> None:
    made = network().target_group(name="nodes", healthCheck=CHECK)
    assert made["arnSuffix"] == made.id.rsplit(":", 1)[1]
    assert (made["targetType"], made["deregistrationDelay"], made["preserveClientIp"]) == ("instance", 300, "true")
    assert made["healthCheck"] == {
        **CHECK, "enabled": True, "healthyThreshold": 3, "unhealthyThreshold": 3, "interval": 30, "timeout": 10,
    }  # fmt: skip
    plain = network().target_group()
    assert (plain["healthCheck"]["protocol"], plain["healthCheck"]["timeout"]) == ("TCP", 10)
    assert made["targetHealthStates"] == [
        {"enableUnhealthyConnectionTermination": True, "unhealthyDrainingInterval": 0}
    ]


def test_a_target_groups_name_is_used_once() -> None:
    net = network()
    net.target_group(name="nodes")
    with refused("DuplicateTargetGroupName"):
        net.target_group(name="nodes", port=80)
    net.cloud.set_quota("L-B22855CB", 1)
    with refused("TooManyTargetGroups"):
        net.target_group(name="others")


def test_a_prefixed_name_is_cut_to_what_elb_takes() -> None:
    cloud = MemoryCloud()
    for token, known in ((tokens.LOAD_BALANCER, {"loadBalancerType": "network"}), (tokens.TARGET_GROUP, GROUP)):
        args = Args({**known, "name": None, "namePrefix": "gpu-"})
        id = AWS.kinds[token].new_id(args, cloud)
        name = id.split("/")[-2]
        assert name.startswith("gpu-")
        assert len(name) == 30
