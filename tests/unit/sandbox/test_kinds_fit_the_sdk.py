"""Every property that a kind names exists in the SDK: a misspelt path would be a rule that never holds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from sandbox import schema
from sandbox.aws import AWS, images, tokens
from tests.support.aws_region import network
from tests.support.sdk import reaches, strange_outputs


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return schema.load("aws", "pulumi-aws", AWS.kinds, AWS.invokes)


def _named(token: str) -> Iterator[tuple[str, str]]:
    kind = AWS.kinds[token]
    for attribute in ("replace_on", "sets", "json_properties", "unique"):
        for pattern in getattr(kind, attribute):
            yield attribute, pattern
    for key in kind.defaults:
        yield "defaults", key
    for ref in kind.references:
        yield "references", ref.path
    if kind.autoname:
        yield "autoname", kind.autoname.property


@pytest.mark.parametrize("token", sorted(AWS.kinds))
def test_every_input_a_kind_names_exists(token: str, document: dict[str, Any]) -> None:
    inputs = document["resources"][token]["inputs"]
    outputs = document["resources"][token]["outputs"]
    wrong = []
    for attribute, pattern in _named(token):
        # A default that the SDK has as an output only is something the provider computes.
        places = (inputs, outputs) if attribute == "defaults" else (inputs,)
        if not any(reaches(document, place, pattern) for place in places):
            wrong.append(f"{attribute}: {pattern}")
    assert not wrong


@pytest.mark.parametrize("token", sorted(AWS.kinds))
def test_every_output_a_kind_may_change_exists(token: str, document: dict[str, Any]) -> None:
    outputs = document["resources"][token]["outputs"]
    kind = AWS.kinds[token]
    assert [key for key in (*kind.changes_on_update, *kind.secret_outputs) if not reaches(document, outputs, key)] == []


@pytest.mark.parametrize("token", sorted(AWS.kinds))
def test_every_reference_points_at_a_type_that_exists(token: str) -> None:
    for ref in AWS.kinds[token].references:
        assert any(target in AWS.kinds for target in ref.tokens), f"{ref.path} -> {ref.tokens}"


@pytest.mark.parametrize("token", sorted(AWS.kinds))
def test_a_type_with_tags_in_the_sdk_is_taggable(token: str, document: dict[str, Any]) -> None:
    if "tagsAll" in document["resources"][token]["outputs"]:
        assert AWS.kinds[token].taggable


def test_what_kinds_return_are_properties_of_their_types(document: dict[str, Any]) -> None:
    net = network()
    cloud = net.cloud
    cloud.set_quota("L-0263D0A3", 10)
    image = next(i for i in images.images(cloud) if i.architecture == "x86_64")
    address, spare = net.addresses(2)
    cloud.create(tokens.NAT_GATEWAY, subnetId=net.subnets[0].id, allocationId=address.id)
    cloud.create(tokens.NAT_GATEWAY, vpcId=net.vpc.id, availabilityMode="regional")
    route = {"routeTableId": net.table.id, "destinationCidrBlock": "0.0.0.0/0", "gatewayId": net.gateway.id}
    cloud.create(tokens.ROUTE, **route)
    cloud.create(tokens.MAIN_ROUTE_TABLE_ASSOCIATION, vpcId=net.vpc.id, routeTableId=net.table.id)
    cloud.create(tokens.VPC_ENDPOINT, vpcId=net.vpc.id, serviceName="com.amazonaws.us-east-1.s3")
    sts = {"serviceName": "com.amazonaws.us-east-1.sts", "vpcEndpointType": "Interface", "privateDnsEnabled": True}
    cloud.create(tokens.VPC_ENDPOINT, vpcId=net.vpc.id, subnetIds=[net.subnets[0].id], **sts)
    rule = {"securityGroupId": net.group.id, "ipProtocol": "-1", "cidrIpv4": "0.0.0.0/0"}
    cloud.create(tokens.EGRESS_RULE, **rule)
    template = cloud.create(tokens.LAUNCH_TEMPLATE, name="node", imageId=image.id, instanceType="t3.micro")
    machine = cloud.create(tokens.INSTANCE, subnetId=net.subnets[0].id, launchTemplate={"id": template.id})
    nic = cloud.create(tokens.NETWORK_INTERFACE, subnetId=net.subnets[0].id)
    cloud.create(tokens.EIP_ASSOCIATION, allocationId=spare.id, networkInterfaceId=nic.id)
    volume = cloud.create(tokens.VOLUME, availabilityZone="us-east-1a", size=10)
    cloud.create(tokens.SNAPSHOT, volumeId=volume.id)
    cloud.create(tokens.AMI_FROM_INSTANCE, name="baked", sourceInstanceId=machine.id)
    cloud.create(tokens.PLACEMENT_GROUP, name="close", strategy="cluster")
    balancer, group = net.balancer(), net.target_group()
    forward = [{"type": "forward", "targetGroupArn": group.id}]
    listener = {"loadBalancerArn": balancer.id, "port": 443, "protocol": "TCP", "defaultActions": forward}
    cloud.create(tokens.LISTENER, **listener)
    other = cloud.create(tokens.VPC, cidrBlock="10.99.0.0/16")
    cloud.create(tokens.PEERING, vpcId=net.vpc.id, peerVpcId=other.id)
    cloud.create(tokens.NETWORK_ACL, vpcId=net.vpc.id)
    reservation = {"instanceType": "t3.micro", "instancePlatform": "Linux/UNIX", "availabilityZone": "us-east-1a"}
    cloud.create(tokens.CAPACITY_RESERVATION, **reservation, instanceCount=1)

    assert strange_outputs(document, cloud.state.resources.values(), or_inputs=True) == []
    # A program that reads these would otherwise see an empty value where AWS has one.
    for resource in cloud.state.resources.values():
        spec = document["resources"][resource.token]["outputs"]
        if "arn" in spec:
            assert resource["arn"], resource.token
        if "ownerId" in spec:
            assert resource["ownerId"], resource.token
