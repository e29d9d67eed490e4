"""VPC endpoints."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.aws import tokens
from sandbox.kinds import Resource
from tests.support.aws_region import Network, check_faults, network, refused

VPC_ID = "vpc-0123456789abcdef0"
GATEWAY = {"vpcId": VPC_ID, "serviceName": "com.amazonaws.us-east-1.s3"}
INTERFACE = {**GATEWAY, "serviceName": "com.amazonaws.us-east-1.sts", "vpcEndpointType": "Interface"}


def gateway_endpoint(net: Network, **more: Any) -> Resource:
    return net.cloud.create(tokens.VPC_ENDPOINT, **{**GATEWAY, "vpcId": net.vpc.id, **more})


def interface_endpoint(net: Network, **more: Any) -> Resource:
    return net.cloud.create(tokens.VPC_ENDPOINT, **{**INTERFACE, "vpcId": net.vpc.id, **more})


@pytest.mark.parametrize(
    ("good", "change", "expected"),
    [
        (GATEWAY, {"serviceName": None}, "serviceName: one of"),
        (GATEWAY, {"serviceName": "s3"}, "serviceName: expected a service name such as"),
        (
            GATEWAY,
            {"serviceName": "com.amazonaws.us-east-1.sts"},
            "vpcEndpointType: com.amazonaws.us-east-1.sts has no",
        ),
        (GATEWAY, {"vpcEndpointType": "gateway"}, "vpcEndpointType: expected one of Gateway"),
        (GATEWAY, {"subnetIds": ["subnet-0123456789abcdef0"]}, "subnetIds: is not supported by an endpoint of"),
        (GATEWAY, {"securityGroupIds": ["sg-0123456789abcdef0"]}, "securityGroupIds: is not supported"),
        (GATEWAY, {"privateDnsEnabled": True}, "privateDnsEnabled: is not supported"),
        (GATEWAY, {"policy": "{"}, "policy: expected a JSON document"),
        (GATEWAY, {"routeTableIds": ["rtb-1"]}, "routeTableIds[0]: expected an id that starts with rtb-"),
        (INTERFACE, {"routeTableIds": ["rtb-0123456789abcdef0"]}, "routeTableIds: is not supported"),
        (INTERFACE, {"ipAddressType": "ipv5"}, "ipAddressType: expected one of ipv4, dualstack, ipv6"),
        (INTERFACE, {"dnsOptions": {"dnsRecordIpType": "a"}}, "dnsOptions.dnsRecordIpType: expected one of"),
    ],
)
def test_an_endpoint_is_checked(good: dict[str, Any], change: dict[str, Any], expected: str) -> None:
    check_faults(tokens.VPC_ENDPOINT, good, change, expected)


def test_the_service_is_of_the_region() -> None:
    net = network()
    with refused("InvalidServiceName", "com.amazonaws.us-west-2.s3"):
        gateway_endpoint(net, serviceName="com.amazonaws.us-west-2.s3")


def test_the_service_exists() -> None:
    net = network()
    with refused("InvalidServiceName"):
        interface_endpoint(net, serviceName="com.amazonaws.us-east-1.secretmanager")
    interface_endpoint(net, serviceName="com.amazonaws.us-east-1.secretsmanager")


def test_a_route_table_has_one_gateway_endpoint_per_service() -> None:
    net = network()
    gateway_endpoint(net, routeTableIds=[net.table.id])
    with refused("RouteAlreadyExists", "pl-63a5400a"):
        gateway_endpoint(net, routeTableIds=[net.table.id])
    gateway_endpoint(net, routeTableIds=[net.table.id], serviceName="com.amazonaws.us-east-1.dynamodb")


def test_a_route_table_association_is_one_more_of_them() -> None:
    net = network()
    first = gateway_endpoint(net)
    net.cloud.create(tokens.VPC_ENDPOINT_ROUTE_TABLE, vpcEndpointId=first.id, routeTableId=net.table.id)
    second = gateway_endpoint(net)
    with refused("RouteAlreadyExists"):
        net.cloud.create(tokens.VPC_ENDPOINT_ROUTE_TABLE, vpcEndpointId=second.id, routeTableId=net.table.id)
    with refused("RouteAlreadyExists"):
        net.cloud.update(second, routeTableIds=[net.table.id])


def test_an_interface_endpoint_has_no_route_table_and_a_gateway_endpoint_no_subnet() -> None:
    net = network()
    with refused("InvalidParameter"):
        net.cloud.create(
            tokens.VPC_ENDPOINT_ROUTE_TABLE, vpcEndpointId=interface_endpoint(net).id, routeTableId=net.table.id
        )
    with refused("InvalidParameter"):
        net.cloud.create(tokens.VPC_ENDPOINT_SUBNET, vpcEndpointId=gateway_endpoint(net).id, subnetId=net.subnets[0].id)


def test_a_route_table_of_another_vpc_is_refused() -> None:
    net = network()
    other = network(net.cloud, "10.20")
    with refused("InvalidParameter", "different networks"):
        gateway_endpoint(net, routeTableIds=[other.table.id])


def test_an_interface_endpoint_has_one_subnet_per_zone() -> None:
    net = network()
    twin = net.cloud.create(tokens.SUBNET, vpcId=net.vpc.id, cidrBlock="10.16.9.0/24", availabilityZone="us-east-1a")
    with refused("DuplicateSubnetsInSameZone"):
        interface_endpoint(net, subnetIds=[net.subnets[0].id, twin.id])
    made = interface_endpoint(net, subnetIds=[net.subnets[0].id])
    with refused("DuplicateSubnetsInSameZone"):
        net.cloud.create(tokens.VPC_ENDPOINT_SUBNET, vpcEndpointId=made.id, subnetId=twin.id)


def test_subnets_and_groups_are_of_the_endpoints_vpc() -> None:
    net = network()
    other = network(net.cloud, "10.20")
    with refused("InvalidParameter", "does not belong to network"):
        interface_endpoint(net, subnetIds=[other.subnets[0].id])
    with refused("InvalidGroup.NotFound"):
        interface_endpoint(net, securityGroupIds=[other.group.id])


def test_private_names_need_the_vpcs_dns() -> None:
    net = network()
    plain = net.cloud.create(tokens.VPC, cidrBlock="10.30.0.0/16")
    with refused("InvalidParameter", "enableDnsHostnames"):
        interface_endpoint(net, vpcId=plain.id, privateDnsEnabled=True)


def test_private_names_of_one_service_exist_once_per_vpc() -> None:
    net = network()
    interface_endpoint(net, privateDnsEnabled=True)
    with refused("InvalidParameter", "conflicting DNS domain"):
        interface_endpoint(net, privateDnsEnabled=True)


def test_endpoints_are_limited_by_quota() -> None:
    net = network()
    net.cloud.set_quota("L-1B52E74A", 1)
    net.cloud.set_quota("L-29B6F2EB", 1)
    gateway_endpoint(net)
    interface_endpoint(net)
    for make in (gateway_endpoint, interface_endpoint):
        with refused("VpcEndpointLimitExceeded"):
            make(net)


def test_a_gateway_endpoint_reads_like_one_of_aws() -> None:
    made = gateway_endpoint(network())
    assert (made["state"], made["prefixListId"], made["ownerId"]) == ("available", "pl-63a5400a", "123456789012")
    assert '"Principal": "*"' in made["policy"]


def test_an_interface_endpoint_has_a_name_and_an_interface_per_subnet() -> None:
    net = network()
    made = interface_endpoint(net, subnetIds=[s.id for s in net.subnets[:2]], privateDnsEnabled=True)
    assert len(made["networkInterfaceIds"]) == 2
    names = [entry["dnsName"] for entry in made["dnsEntries"]]
    assert names[0].startswith(made.id)
    assert names[1] == "sts.us-east-1.amazonaws.com"
    assert made["securityGroupIds"] == [net.vpc["defaultSecurityGroupId"]]
    wider = net.cloud.update(made, subnetIds=[s.id for s in net.subnets])
    assert wider["networkInterfaceIds"][:2] == made["networkInterfaceIds"]


def test_a_group_or_subnet_of_an_endpoint_cannot_be_deleted() -> None:
    net = network()
    interface_endpoint(net, subnetIds=[net.subnets[0].id], securityGroupIds=[net.group.id])
    for resource in (net.group, net.subnets[0]):
        with refused("DependencyViolation"):
            net.cloud.delete(resource)
