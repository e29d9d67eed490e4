"""Listeners, their rules and certificates, and what is registered with target groups."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.aws import tokens
from sandbox.kinds import Resource
from tests.support.aws_region import Network, check_faults, network, refused

BASE = "arn:aws:elasticloadbalancing:us-east-1:123456789012:"
NLB_ARN, ALB_ARN = f"{BASE}loadbalancer/net/spillway/0123456789abcdef", f"{BASE}loadbalancer/app/web/0123456789abcdef"
GROUP_ARN = f"{BASE}targetgroup/nodes/0123456789abcdef"
CERTIFICATE = "arn:aws:acm:us-east-1:123456789012:certificate/c"
FORWARD = {"type": "forward", "targetGroupArn": GROUP_ARN}
LISTENER: dict[str, Any] = {"loadBalancerArn": NLB_ARN, "port": 443, "protocol": "TCP", "defaultActions": [FORWARD]}
WEB_LISTENER = {**LISTENER, "loadBalancerArn": ALB_ARN, "protocol": "HTTPS", "certificateArn": CERTIFICATE}


def action(**change: Any) -> dict[str, Any]:
    return {"defaultActions": [{**FORWARD, **change}]}


@pytest.mark.parametrize(
    ("good", "change", "expected"),
    [
        (LISTENER, {"loadBalancerArn": "spillway"}, "loadBalancerArn: expected an ARN"),
        (LISTENER, {"port": 70000}, "port: expected 1 to 65,535"),
        (LISTENER, {"port": None}, "port: is required"),
        (LISTENER, {"protocol": None}, "protocol: is required"),
        (LISTENER, {"protocol": "TCPS"}, "protocol: expected one of"),
        (LISTENER, {"tcpIdleTimeoutSeconds": 59}, "tcpIdleTimeoutSeconds: expected 60 to 6,000 seconds"),
        (LISTENER, {"tcpIdleTimeoutSeconds": 6001}, "tcpIdleTimeoutSeconds: expected 60 to 6,000 seconds"),
        (LISTENER, {"protocol": "UDP", "tcpIdleTimeoutSeconds": 60}, "tcpIdleTimeoutSeconds: can only be set when"),
        (LISTENER, {"protocol": "TLS"}, "certificateArn: is required when protocol is TLS"),
        (LISTENER, {"certificateArn": CERTIFICATE}, "certificateArn: can only be set when protocol is HTTPS or TLS"),
        (LISTENER, {"sslPolicy": "x"}, "sslPolicy: can only be set when protocol is HTTPS or TLS"),
        (LISTENER, {"alpnPolicy": "HTTP2Only"}, "alpnPolicy: can only be set when protocol is TLS"),
        (WEB_LISTENER, {"alpnPolicy": "h2"}, "alpnPolicy: expected one of"),
        (LISTENER, {"mutualAuthentication": {"mode": "off"}}, "mutualAuthentication: can only be set when protocol is"),
        (WEB_LISTENER, {"mutualAuthentication": {"mode": "verify"}}, "mutualAuthentication.trustStoreArn: is required"),
        (LISTENER, {"defaultActions": []}, "defaultActions: at least one action"),
        (LISTENER, action(type="send"), "defaultActions[0].type: expected one of forward"),
        (LISTENER, action(targetGroupArn=None), "defaultActions[0].targetGroupArn: targetGroupArn or forward"),
        (LISTENER, action(targetGroupArn="nodes"), "defaultActions[0].targetGroupArn: expected an ARN"),
        (LISTENER, action(order=0), "defaultActions[0].order: expected 1 to 50,000"),
        (
            LISTENER,
            action(forward={"targetGroups": [{"arn": GROUP_ARN}]}),
            "defaultActions[0].forward: conflicts with targetGroupArn",
        ),
        (
            LISTENER,
            action(targetGroupArn=None, forward={"targetGroups": [{"arn": GROUP_ARN, "weight": 1000}]}),
            "defaultActions[0].forward.targetGroups[0].weight: expected 0 to 999",
        ),
        (
            LISTENER,
            action(targetGroupArn=None, forward={"targetGroups": [{"arn": GROUP_ARN}] * 6}),
            "defaultActions[0].forward.targetGroups: expected a length of 1 to 5",
        ),
        (
            LISTENER,
            {"defaultActions": [{"type": "redirect", "redirect": {"statusCode": "HTTP_301"}}]},
            "defaultActions[0].type: listeners with protocol TCP can only forward",
        ),
        (WEB_LISTENER, action(type="redirect"), "defaultActions[0].redirect: is required when type is redirect"),
        (WEB_LISTENER, action(redirect={"statusCode": "HTTP_301"}), "defaultActions[0].redirect: can only be set when"),
        (
            WEB_LISTENER,
            {"defaultActions": [{"type": "redirect", "redirect": {"statusCode": "301"}}]},
            "defaultActions[0].redirect.statusCode: expected one of HTTP_301, HTTP_302",
        ),
        (
            WEB_LISTENER,
            {"defaultActions": [{"type": "fixed-response", "fixedResponse": {"contentType": "text/xml"}}]},
            "defaultActions[0].fixedResponse.contentType: expected one of text/plain",
        ),
        (
            WEB_LISTENER,
            {
                "defaultActions": [
                    {"type": "fixed-response", "fixedResponse": {"contentType": "text/html", "statusCode": "302"}}
                ]
            },
            "defaultActions[0].fixedResponse.statusCode: expected a status code",
        ),
        (
            WEB_LISTENER,
            {"defaultActions": [{"type": "authenticate-oidc", "authenticateOidc": {}}]},
            "defaultActions[0].type: the last action must be",
        ),
    ],
)
def test_a_listener_is_checked(good: dict[str, Any], change: dict[str, Any], expected: str) -> None:
    check_faults(tokens.LISTENER, good, change, expected)


def listener(net: Network, balancer: Resource, group: Resource, **more: Any) -> Resource:
    forward = [{"type": "forward", "targetGroupArn": group.id}]
    inputs = {"loadBalancerArn": balancer.id, "port": 443, "protocol": "TCP", "defaultActions": forward, **more}
    return net.cloud.create(tokens.LISTENER, **inputs)


def test_a_listener_reads_like_one_of_aws() -> None:
    net = network()
    balancer = net.balancer(name="spillway")
    made = listener(net, balancer, net.target_group(), tcpIdleTimeoutSeconds=3600)
    assert made["arn"] == made.id
    assert made.id.startswith(f"{BASE}listener/net/spillway/")
    assert listener(net, balancer, net.target_group(), port=80)["tcpIdleTimeoutSeconds"] == 350


def test_a_port_has_one_listener() -> None:
    net = network()
    balancer = net.balancer()
    made = listener(net, balancer, net.target_group())
    with refused("DuplicateListener"):
        listener(net, balancer, net.target_group())
    udp = net.target_group(protocol="UDP")
    listener(net, balancer, udp, protocol="UDP")
    net.cloud.update(made, tcpIdleTimeoutSeconds=600)


def test_the_protocol_is_one_of_the_balancers_kind() -> None:
    net = network()
    web = net.balancer(loadBalancerType="application")
    with refused("InvalidConfigurationRequest", "not supported by load balancers of type 'application'"):
        listener(net, web, net.target_group(), protocol="TCP")


@pytest.mark.parametrize(
    ("protocol", "group", "fits"),
    [
        ("TCP", "TCP", True),
        ("TCP", "TCP_UDP", True),
        ("TCP", "UDP", False),
        ("UDP", "TCP", False),
        ("TCP", "HTTP", False),
    ],
)
def test_listener_and_target_group_speak_the_same(protocol: str, group: str, fits: bool) -> None:
    net = network()
    balancer, targets = net.balancer(), net.target_group(protocol=group)
    if fits:
        listener(net, balancer, targets, protocol=protocol)
    else:
        with refused("IncompatibleProtocols", f"'{protocol}' is not supported"):
            listener(net, balancer, targets, protocol=protocol)


def test_a_target_group_is_of_the_balancers_vpc() -> None:
    net = network()
    other = network(net.cloud, "10.20")
    with refused("InvalidConfigurationRequest", other.vpc.id):
        listener(net, net.balancer(), other.target_group())


def test_a_target_group_serves_one_load_balancer() -> None:
    net = network()
    group = net.target_group()
    listener(net, net.balancer(), group)
    with refused("TargetGroupAssociationLimit"):
        listener(net, net.balancer(), group)


def test_a_target_group_in_use_cannot_be_deleted() -> None:
    net = network()
    group = net.target_group()
    made = listener(net, net.balancer(), group)
    with refused("ResourceInUse"):
        net.cloud.delete(group)
    net.cloud.delete(made)
    net.cloud.delete(group)


def test_what_a_listener_names_exists() -> None:
    net = network()
    with refused("TargetGroupNotFound"):
        listener(net, net.balancer(), Resource(tokens.TARGET_GROUP, GROUP_ARN, "", "", {}, {}))
    with refused("LoadBalancerNotFound"):
        listener(net, Resource(tokens.LOAD_BALANCER, NLB_ARN, "", "", {}, {}), net.target_group())


def test_a_certificate_is_of_the_same_region() -> None:
    net = network()
    far = CERTIFICATE.replace("us-east-1", "us-west-2")
    with refused("CertificateNotFound"):
        listener(net, net.balancer(), net.target_group(), protocol="TLS", certificateArn=far)


def test_a_load_balancer_has_only_so_many_listeners() -> None:
    net = network()
    net.cloud.set_quota("L-57A373D6", 1)
    balancer = net.balancer()
    listener(net, balancer, net.target_group())
    with refused("TooManyListeners"):
        listener(net, balancer, net.target_group(), port=80)


def test_deleting_a_load_balancer_takes_its_listeners_along() -> None:
    net = network()
    balancer = net.balancer()
    listener(net, balancer, net.target_group())
    net.cloud.delete(balancer)
    assert net.cloud.all(tokens.LISTENER) == []


CONDITION = {"pathPattern": {"values": ["/v1/*"]}}
RULE = {
    "listenerArn": f"{BASE}listener/app/web/0123456789abcdef/0123456789abcdef",
    "priority": 10,
    "actions": [FORWARD],
    "conditions": [CONDITION],
}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"priority": 50001}, "priority: expected 1 to 50,000"),
        ({"listenerArn": GROUP_ARN}, "listenerArn: expected an ARN"),
        ({"actions": []}, "actions: at least one action"),
        ({"conditions": []}, "conditions: at least one condition"),
        ({"conditions": [{}]}, "conditions[0]: exactly one of"),
        ({"conditions": [{**CONDITION, "sourceIp": {"values": ["10.0.0.0/8"]}}]}, "conditions[0]: exactly one of"),
        (
            {"conditions": [{"pathPattern": {"values": list("abcdef")}}]},
            "conditions: a rule has at most 5 condition values",
        ),
        (
            {"conditions": [{"sourceIp": {"values": ["10.0.0.1/8"]}}]},
            "conditions[0].sourceIp.values[0]: expected an IPv4",
        ),
    ],
)
def test_a_listener_rule_is_checked(change: dict[str, Any], expected: str) -> None:
    check_faults(tokens.LISTENER_RULE, RULE, change, expected)


def test_rules_are_for_application_load_balancers_and_priorities_are_used_once() -> None:
    net = network()
    group = net.target_group(protocol="HTTP")
    web = listener(net, net.balancer(loadBalancerType="application"), group, protocol="HTTP", port=80)
    inputs = {"actions": [{"type": "forward", "targetGroupArn": group.id}], "conditions": [CONDITION]}
    first = net.cloud.create(tokens.LISTENER_RULE, listenerArn=web.id, **inputs, priority=7)
    assert ":listener-rule/app/" in first.id
    with refused("PriorityInUse", "'7'"):
        net.cloud.create(tokens.LISTENER_RULE, listenerArn=web.id, **inputs, priority=7)
    assert net.cloud.create(tokens.LISTENER_RULE, listenerArn=web.id, **inputs)["priority"] == 8
    plain = net.target_group()
    tcp = listener(net, net.balancer(), plain)
    with refused("InvalidConfigurationRequest", "Rules are unsupported"):
        net.cloud.create(tokens.LISTENER_RULE, listenerArn=tcp.id, **inputs)
    with refused("UnsupportedProtocol"):
        net.cloud.create(tokens.LISTENER_CERTIFICATE, listenerArn=tcp.id, certificateArn=CERTIFICATE)


def test_targets_are_of_the_groups_type_and_registered_once() -> None:
    net = network()
    group = net.target_group(targetType="ip")
    token = tokens.TARGET_GROUP_ATTACHMENT
    made = net.cloud.create(token, targetGroupArn=group.id, targetId="10.16.0.9", port=443)
    assert made.id.startswith(f"{group.id}-")
    with refused("InvalidTarget"):
        net.cloud.create(token, targetGroupArn=group.id, targetId="10.16.0.9", port=443)
    with refused("InvalidTarget"):
        net.cloud.create(token, targetGroupArn=group.id, targetId="i-0123456789abcdef0")
    instances = net.target_group()
    with refused("ValidationError", "target type 'instance'"):
        net.cloud.create(token, targetGroupArn=instances.id, targetId="10.16.0.9")
    good = {"targetGroupArn": GROUP_ARN, "targetId": "10.16.0.9"}
    check_faults(token, good, {"port": 0}, "port: expected 1 to 65,535")
    check_faults(token, good, {"availabilityZone": "zone"}, "availabilityZone: expected the name")
