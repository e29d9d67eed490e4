"""Route tables, routes and associations."""

from __future__ import annotations

import re
from typing import Any

import pytest

from sandbox.aws import tokens
from sandbox.kinds import Resource
from sandbox.values import UNKNOWN
from tests.support.aws_region import Network, check_faults, network, refused
from tests.support.memory_cloud import MemoryCloud

ROUTE = {
    "routeTableId": "rtb-0123456789abcdef0",
    "destinationCidrBlock": "0.0.0.0/0",
    "gatewayId": "igw-0123456789abcdef0",
}


def default_route(net: Network, **more: Any) -> Resource:
    return net.cloud.create(
        tokens.ROUTE,
        **{"routeTableId": net.table.id, "destinationCidrBlock": "0.0.0.0/0", "gatewayId": net.gateway.id, **more},
    )


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"routeTableId": "rt-1"}, "routeTableId: expected an id that starts with rtb-"),
        ({"destinationCidrBlock": None}, "destinationCidrBlock: one of"),
        ({"destinationCidrBlock": "everywhere"}, "destinationCidrBlock: expected an IPv4 network"),
        ({"destinationCidrBlock": "10.0.0.1/8"}, "destinationCidrBlock: expected an IPv4 network"),
        ({"destinationIpv6CidrBlock": "::/0"}, "destinationIpv6CidrBlock: conflicts with destinationCidrBlock"),
        ({"destinationPrefixListId": "list"}, "destinationPrefixListId: expected an id that starts with pl-"),
        ({"gatewayId": None}, "carrierGatewayId: one of"),
        ({"natGatewayId": "nat-0123456789abcdef0"}, "natGatewayId: conflicts with gatewayId"),
        ({"gatewayId": "nat-0123456789abcdef0"}, "gatewayId: expected an id that starts with igw- or vgw-"),
        (
            {"gatewayId": None, "egressOnlyGatewayId": "eigw-0123456789abcdef0"},
            "egressOnlyGatewayId: carries IPv6 only",
        ),
        ({"gatewayId": None, "coreNetworkArn": "core"}, "coreNetworkArn: expected an ARN"),
    ],
)
def test_a_route_is_checked(change: dict[str, Any], expected: str) -> None:
    check_faults(tokens.ROUTE, ROUTE, change, expected)


@pytest.mark.parametrize(
    ("routes", "expected"),
    [
        ([{"cidrBlock": "0.0.0.0/0"}], "routes[0].carrierGatewayId: one of"),
        ([{"gatewayId": "igw-0123456789abcdef0"}], "routes[0].cidrBlock: one of"),
        (
            [{"cidrBlock": "0.0.0.0/0", "gatewayId": "igw-0123456789abcdef0"}] * 2,
            "routes[1].cidrBlock: a second route to 0.0.0.0/0",
        ),
    ],
)
def test_the_routes_of_a_table_are_checked(routes: list[Any], expected: str) -> None:
    check_faults(tokens.ROUTE_TABLE, {"vpcId": "vpc-0123456789abcdef0"}, {"routes": routes}, expected)


def test_a_route_whose_target_is_not_known_yet_is_not_judged() -> None:
    faults = MemoryCloud().faults(
        tokens.ROUTE, routeTableId=UNKNOWN, destinationCidrBlock="0.0.0.0/0", natGatewayId=UNKNOWN
    )
    assert faults == []


def test_a_destination_is_routed_once() -> None:
    net = network()
    route = default_route(net)
    assert re.fullmatch(rf"r-{net.table.id}1080289494", route.id)  # the provider's own number for 0.0.0.0/0
    assert (route["state"], route["origin"]) == ("active", "CreateRoute")
    with refused("RouteAlreadyExists", "destination (0.0.0.0/0)"):
        default_route(net)


def test_a_route_and_an_inline_route_to_the_same_place_exclude_each_other() -> None:
    net = network()
    inline = [{"cidrBlock": "0.0.0.0/0", "gatewayId": net.gateway.id}]
    table = net.cloud.create(tokens.ROUTE_TABLE, vpcId=net.vpc.id, routes=inline)
    with refused("RouteAlreadyExists"):
        default_route(net, routeTableId=table.id)


def test_a_gateway_of_another_vpc_is_no_target() -> None:
    net = network()
    other = network(net.cloud, "10.20")
    with refused("InvalidParameterValue", "belong to different networks"):
        default_route(net, gatewayId=other.gateway.id)
    with refused("InvalidParameterValue", "belong to different networks"):
        net.cloud.create(
            tokens.ROUTE_TABLE, vpcId=net.vpc.id, routes=[{"cidrBlock": "0.0.0.0/0", "gatewayId": other.gateway.id}]
        )
    with refused("InvalidParameterValue", "belong to different networks"):
        net.cloud.update(net.table, routes=[{"cidrBlock": "0.0.0.0/0", "gatewayId": other.gateway.id}])


def test_a_nat_gateway_of_another_vpc_is_no_target() -> None:
    net = network()
    other = network(net.cloud, "10.20")
    nat = net.cloud.create(tokens.NAT_GATEWAY, subnetId=other.subnets[0].id, allocationId=net.addresses(1)[0].id)
    with refused("InvalidParameterValue", "NAT gateway"):
        default_route(net, gatewayId=None, natGatewayId=nat.id)


def test_the_vpcs_own_addresses_do_not_leave_by_the_gateway() -> None:
    net = network()
    with refused("InvalidParameterValue", "equal to or more specific"):
        default_route(net, destinationCidrBlock="10.16.4.0/24")


def test_a_gateway_endpoint_is_no_target() -> None:
    net = network()
    endpoint = net.cloud.create(tokens.VPC_ENDPOINT, vpcId=net.vpc.id, serviceName="com.amazonaws.us-east-1.s3")
    with refused("RouteNotSupported"):
        default_route(net, gatewayId=None, vpcEndpointId=endpoint.id)


def test_targets_exist() -> None:
    net = network()
    with refused("InvalidInternetGatewayID.NotFound"):
        default_route(net, gatewayId="igw-0123456789abcdef0")
    with refused("InvalidNatGatewayID.NotFound"):
        default_route(net, gatewayId=None, natGatewayId="nat-0123456789abcdef0")


def test_a_table_has_only_so_many_routes_and_a_vpc_so_many_tables() -> None:
    net = network()
    net.cloud.set_quota("L-93826ACB", 1)
    default_route(net)
    with refused("RouteLimitExceeded"):
        default_route(net, destinationCidrBlock="192.0.2.0/24")
    net.cloud.set_quota("L-589F43AA", 2)  # the main table counts too
    with refused("RouteTableLimitExceeded"):
        net.cloud.create(tokens.ROUTE_TABLE, vpcId=net.vpc.id)


def test_deleting_a_table_takes_its_routes_along() -> None:
    net = network()
    default_route(net)
    net.cloud.delete(net.table)
    assert net.cloud.all(tokens.ROUTE) == []


def test_a_subnet_uses_one_table() -> None:
    net = network()
    link = net.cloud.create(tokens.ROUTE_TABLE_ASSOCIATION, routeTableId=net.table.id, subnetId=net.subnets[0].id)
    other = net.cloud.create(tokens.ROUTE_TABLE, vpcId=net.vpc.id)
    with refused("Resource.AlreadyAssociated"):
        net.cloud.create(tokens.ROUTE_TABLE_ASSOCIATION, routeTableId=other.id, subnetId=net.subnets[0].id)
    assert net.cloud.update(link, routeTableId=other.id)["routeTableId"] == other.id


def test_a_table_in_use_cannot_be_deleted() -> None:
    net = network()
    net.cloud.create(tokens.ROUTE_TABLE_ASSOCIATION, routeTableId=net.table.id, subnetId=net.subnets[0].id)
    with refused("DependencyViolation"):
        net.cloud.delete(net.table)


def test_an_association_names_a_subnet_or_a_gateway() -> None:
    good = {"routeTableId": "rtb-0123456789abcdef0", "subnetId": "subnet-0123456789abcdef0"}
    check_faults(tokens.ROUTE_TABLE_ASSOCIATION, good, {"subnetId": None}, "subnetId: one of")
    gateway = {"gatewayId": "igw-0123456789abcdef0"}
    check_faults(tokens.ROUTE_TABLE_ASSOCIATION, good, gateway, "gatewayId: conflicts with subnetId")


def test_table_and_subnet_are_of_one_vpc() -> None:
    net = network()
    other = network(net.cloud, "10.20")
    with refused("InvalidParameterValue", "belong to different networks"):
        net.cloud.create(tokens.ROUTE_TABLE_ASSOCIATION, routeTableId=other.table.id, subnetId=net.subnets[0].id)


def test_the_main_table_is_taken_over_and_given_back() -> None:
    net = network()
    before = net.vpc["mainRouteTableId"]
    link = net.cloud.create(tokens.MAIN_ROUTE_TABLE_ASSOCIATION, vpcId=net.vpc.id, routeTableId=net.table.id)
    assert link["originalRouteTableId"] == before
    assert net.cloud.find(tokens.VPC, id=net.vpc.id)[0]["mainRouteTableId"] == net.table.id
    net.cloud.delete(link)
    assert net.cloud.find(tokens.VPC, id=net.vpc.id)[0]["mainRouteTableId"] == before


def test_the_main_table_is_of_the_same_vpc() -> None:
    net = network()
    other = network(net.cloud, "10.20")
    with refused("InvalidParameterValue", "belong to different networks"):
        net.cloud.create(tokens.MAIN_ROUTE_TABLE_ASSOCIATION, vpcId=net.vpc.id, routeTableId=other.table.id)


def test_the_default_table_is_adopted_not_made() -> None:
    net = network()
    table_id = net.vpc["defaultRouteTableId"]
    routes = [{"cidrBlock": "0.0.0.0/0", "gatewayId": net.gateway.id}]
    adopted = net.cloud.create(tokens.DEFAULT_ROUTE_TABLE, defaultRouteTableId=table_id, routes=routes)
    assert (adopted.id, adopted["vpcId"]) == (table_id, net.vpc.id)
    net.cloud.delete(adopted)
    left = net.cloud.get(tokens.DEFAULT_ROUTE_TABLE, table_id)
    assert left is not None
    assert left["routes"] == []
    with refused("InvalidRouteTableID.NotFound"):
        net.cloud.create(tokens.DEFAULT_ROUTE_TABLE, defaultRouteTableId="rtb-0123456789abcdef0")
