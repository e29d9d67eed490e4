"""Networks, subnets, security groups, addresses and NAT gateways of the stand-in Azure."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.azure_native import AZURE_NATIVE, tokens
from sandbox.kinds import Args
from tests.support import azure_region as region
from tests.support.aws_region import refused
from tests.support.azure import faults
from tests.support.azure_region import Region, address, nat, network, put, rule, security_group, subnet


@pytest.mark.parametrize(
    ("token", "good", "path", "value", "expected"),
    [
        (tokens.VIRTUAL_NETWORK, network(), "virtualNetworkName", "a", "virtualNetworkName: expected 2 to 64"),
        (tokens.VIRTUAL_NETWORK, network(), "location", "us-east-1", "location: expected an Azure region"),
        (tokens.VIRTUAL_NETWORK, network(), "addressSpace", None, "addressSpace.addressPrefixes: is required"),
        (tokens.VIRTUAL_NETWORK, network(), "addressSpace.addressPrefixes", ["10.0.0.1/16"], "addressSpace.addressP"),
        (tokens.VIRTUAL_NETWORK, network(), "addressSpace.addressPrefixes", ["10.0.0.0/30"], "addressSpace.addressP"),
        (
            tokens.VIRTUAL_NETWORK,
            network(),
            "addressSpace.addressPrefixes",
            ["10.0.0.0/8", "10.1.0.0/16"],
            "addressSpace.addressPrefixes[1]: overlaps with addressSpace.addressPrefixes[0]",
        ),
        (tokens.VIRTUAL_NETWORK, network(), "tags", {"a/b": ""}, "tags: a resource of this type takes no tag name"),
        (tokens.SUBNET, subnet(), "addressPrefix", None, "addressPrefix: is required"),
        (tokens.SUBNET, subnet(), "addressPrefix", "10.40.0.0", "addressPrefix: expected a network"),
        (tokens.SUBNET, subnet(), "natGateway.id", "nat", "natGateway.id: expected the id of a resource of type"),
        (tokens.SUBNET, subnet(), "natGateway.id", region.NSG_ID, "natGateway.id: expected the id of a resource of"),
        (tokens.SUBNET, subnet(), "serviceEndpoints.0.service", "Microsoft.Blob", "serviceEndpoints[0].service: exp"),
        (tokens.SUBNET, subnet(), "privateEndpointNetworkPolicies", "Off", "privateEndpointNetworkPolicies: expected"),
        (tokens.PUBLIC_ADDRESS, address(), "sku", None, "sku.name: is required: Standard"),
        (tokens.PUBLIC_ADDRESS, address(), "sku.name", "Basic", "sku.name: expected one of Standard"),
        (tokens.PUBLIC_ADDRESS, address(), "publicIPAllocationMethod", "Dynamic", "publicIPAllocationMethod: expected"),
        (tokens.PUBLIC_ADDRESS, address(), "publicIPAllocationMethod", None, "publicIPAllocationMethod: is required"),
        (tokens.PUBLIC_ADDRESS, address(), "idleTimeoutInMinutes", 31, "idleTimeoutInMinutes: expected 4 to 30"),
        (tokens.PUBLIC_ADDRESS, address(), "zones", ["4"], "zones[0]: expected one of the zones 1, 2, 3"),
        (tokens.PUBLIC_ADDRESS, address(), "zones", ["1", "1"], "zones[1]: zone 1 is given twice"),
        (tokens.PUBLIC_ADDRESS, address(), "location", "westus", "zones[0]: expected no zone, as westus has none"),
        (tokens.PUBLIC_ADDRESS, address(), "dnsSettings", {"domainNameLabel": "9x"}, "dnsSettings.domainNameLabel: ex"),
        (tokens.NAT_GATEWAY, nat(), "zones", ["1", "2"], "zones: expected one zone or none, got 2"),
        (tokens.NAT_GATEWAY, nat(), "idleTimeoutInMinutes", 121, "idleTimeoutInMinutes: expected 4 to 120"),
        (tokens.NAT_GATEWAY, nat(), "sku", None, "sku.name: is required"),
    ],
)
def test_values_are_checked(token: str, good: dict[str, Any], path: str, value: Any, expected: str) -> None:
    head = path.split(".", 1)[0]
    found = faults(token, good, **{head: put(good, path, value).get(head)})
    assert [line for line in found if line.startswith(expected)], found


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"name": None}, "name: is required"),
        ({"priority": 99}, "priority: expected 100 to 4,096"),
        ({"priority": None}, "priority: is required"),
        ({"protocol": "tcp"}, "protocol: expected one of Tcp"),
        ({"destinationPortRange": "443-"}, "destinationPortRange: expected a port"),
        ({"destinationPortRange": "70000"}, "destinationPortRange: expected a port"),
        ({"destinationPortRange": "2000-1000"}, "destinationPortRange: expected a port"),
        ({"destinationPortRange": None}, "destinationPortRange: is required"),
        ({"destinationPortRanges": ["80"]}, "destinationPortRanges: conflicts with destinationPortRange"),
        ({"sourceAddressPrefixes": ["*"]}, "sourceAddressPrefixes[0]: expected an address or a network"),
        ({"sourceAddressPrefixes": ["Internet"]}, "sourceAddressPrefixes[0]: expected an address or a network"),
        ({"sourceAddressPrefixes": None}, "sourceAddressPrefix: is required"),
        ({"sourceAddressPrefix": "10.0.0.0/16"}, "sourceAddressPrefixes: conflicts with sourceAddressPrefix"),
        ({"destinationAddressPrefix": "no tag"}, "destinationAddressPrefix: expected an address"),
        ({"description": "x" * 141}, "description: expected a length of 0 to 140"),
    ],
)
def test_a_security_rule_is_checked(change: dict[str, Any], expected: str) -> None:
    changed = {key: value for key, value in {**rule(), **change}.items() if value is not None}
    found = faults(tokens.SECURITY_GROUP, security_group(), securityRules=[changed])
    assert [line for line in found if line.startswith(f"securityRules[0].{expected}")], found


def test_rules_of_one_direction_have_names_and_priorities_of_their_own() -> None:
    good = security_group()
    outbound = rule("out", 100, direction="Outbound")
    assert faults(tokens.SECURITY_GROUP, good, securityRules=[rule(), outbound]) == []
    assert faults(tokens.SECURITY_GROUP, good, securityRules=[rule(), rule("other")]) == [
        "securityRules[1].priority: 100 is that of securityRules[0]: rules of one direction cannot have the same "
        "priority"
    ]
    assert faults(tokens.SECURITY_GROUP, good, securityRules=[rule(), rule("CLIENTS", 110)]) == [
        "securityRules[1].name: is taken by securityRules[0]"
    ]


def test_a_subnet_lies_in_its_network_and_beside_the_others() -> None:
    cloud = Region()
    more = {"subnetName": "more"}
    with refused("NetcfgInvalidSubnet", "outside the IP address range of virtual network 'net'"):
        cloud.create(tokens.SUBNET, **subnet(**more, addressPrefix="10.41.0.0/24"))
    with refused("NetcfgSubnetRangesOverlap", "overlaps with that of an existing subnet"):
        cloud.create(tokens.SUBNET, **subnet(**more, addressPrefix="10.40.8.0/24"))
    with refused("ParentResourceNotFound", "virtualNetworks/other"):
        cloud.create(tokens.SUBNET, **subnet(**more, virtualNetworkName="other"))
    with refused("NetcfgInvalidSubnet", "'nodes'"):
        cloud.update(cloud.network, addressSpace={"addressPrefixes": ["10.50.0.0/16"]})


def test_subnets_written_in_a_network_replace_those_it_had() -> None:
    cloud = Region(empty=True)
    cloud.create(tokens.VIRTUAL_NETWORK, **network(subnets=[{"name": "a", "addressPrefix": "10.40.1.0/24"}]))
    assert [s.id for s in cloud.all(tokens.SUBNET)] == [f"{region.NETWORK_ID}/subnets/a"]
    made = cloud.all(tokens.VIRTUAL_NETWORK)[0]
    kept = cloud.update(made, subnets=None, tags={"a": "b"})
    assert [s["name"] for s in kept["subnets"]] == ["a"]
    cloud.update(kept, subnets=[{"name": "b", "addressPrefix": "10.40.1.0/24"}])
    assert [s["name"] for s in cloud.all(tokens.SUBNET)] == ["b"]


def test_references_have_to_be_there_and_in_the_same_region() -> None:
    cloud = Region(empty=True)
    with refused("InvalidResourceReference", f"Resource {region.NAT_ADDRESS_ID} referenced by resource"):
        cloud.create(tokens.NAT_GATEWAY, **nat())
    cloud.create(tokens.PUBLIC_ADDRESS, **address("nat", location="eastus"))
    with refused("InvalidResourceReference", "is in eastus and resource"):
        cloud.create(tokens.NAT_GATEWAY, **nat())


def test_ids_are_compared_without_case() -> None:
    cloud = Region(empty=True)
    cloud.create(tokens.PUBLIC_ADDRESS, **address("nat"))
    gateway = cloud.create(tokens.NAT_GATEWAY, **nat(publicIpAddresses=[{"id": region.NAT_ADDRESS_ID.upper()}]))
    with refused("PublicIPAddressCannotBeDeleted", f"is in use by {gateway.id}"):
        cloud.delete(cloud.all(tokens.PUBLIC_ADDRESS)[0])


def test_what_is_in_use_stays() -> None:
    cloud = Region()
    cloud.scale_set()
    for resource, code in (
        (cloud.address, "PublicIPAddressCannotBeDeleted"),
        (cloud.nat, "NatGatewayInUse"),
        (cloud.security_group, "InUseNetworkSecurityGroupCannotBeDeleted"),
        (cloud.subnet, "InUseSubnetCannotBeDeleted"),
        (cloud.balancer, "LoadBalancerInUseByVirtualMachineScaleSet"),
    ):
        with refused(code, "cannot be deleted"):
            cloud.delete(resource)


def test_a_network_goes_with_its_subnets_and_a_group_with_everything() -> None:
    cloud = Region()
    cloud.scale_set()
    cloud.delete(cloud.group)
    assert cloud.state.resources == {}


def test_an_address_belongs_to_one_thing() -> None:
    cloud = Region()
    with refused("PublicIPAddressInUse", f"already allocated to resource {region.NAT_ID}"):
        cloud.create(
            tokens.LOAD_BALANCER,
            **region.balancer(
                loadBalancerName="other",
                frontendIPConfigurations=[{"name": "public", "publicIPAddress": {"id": region.NAT_ADDRESS_ID}}],
                loadBalancingRules=[],
            ),
        )


def test_an_address_keeps_its_number_and_its_zones() -> None:
    cloud = Region(empty=True)
    one, other = (cloud.create(tokens.PUBLIC_ADDRESS, **address(name)) for name in ("a", "b"))
    assert one["ipAddress"] != other["ipAddress"]
    assert cloud.update(one, tags={"a": "b"})["ipAddress"] == one["ipAddress"]
    with refused("ResourceAvailabilityZonesCannotBeModified", "constraint 1, 2, 3"):
        cloud.update(one, zones=["1"])


def test_locations_are_fixed_where_the_provider_does_not_replace() -> None:
    cloud = Region(empty=True)
    group = cloud.create(tokens.SECURITY_GROUP, **security_group())
    with refused("InvalidResourceLocation", "already exists in location 'westus2'"):
        cloud.update(group, location="eastus")
    assert cloud.update(group, location="West US 2")["location"] == "westus2"


def test_a_location_left_out_is_that_of_the_group() -> None:
    cloud = Region(empty=True)
    left_out = {key: value for key, value in network().items() if key != "location"}
    assert cloud.create(tokens.VIRTUAL_NETWORK, **left_out)["location"] == region.LOCATION


def test_there_are_only_so_many_addresses_in_a_region() -> None:
    cloud = Region(empty=True)
    cloud.set_quota("StandardSkuPublicIpAddresses", 1)
    cloud.create(tokens.PUBLIC_ADDRESS, **address("a"))
    with refused("PublicIPCountLimitReached", "Cannot create more than 1 public IP addresses"):
        cloud.create(tokens.PUBLIC_ADDRESS, **address("b"))


def test_a_name_label_is_taken_once_in_a_region() -> None:
    cloud = Region(empty=True)
    made = cloud.create(tokens.PUBLIC_ADDRESS, **address("a", dnsSettings={"domainNameLabel": "spillway"}))
    assert made["dnsSettings"]["fqdn"] == "spillway.westus2.cloudapp.azure.com"
    with refused("DnsRecordInUse", "spillway.westus2.cloudapp.azure.com"):
        cloud.create(tokens.PUBLIC_ADDRESS, **address("b", dnsSettings={"domainNameLabel": "spillway"}))


def test_what_exists_is_found_by_its_names() -> None:
    cloud = Region()

    def ask(name: str, **args: Any) -> dict[str, Any]:
        return AZURE_NATIVE.invokes[f"azure-native:network:{name}"](Args(args), cloud)

    names = {"resourceGroupName": region.GROUP.upper(), "virtualNetworkName": "NET", "subnetName": "nodes"}
    assert ask("getSubnet", **names)["id"] == region.SUBNET_ID
    assert ask("getLoadBalancer", resourceGroupName=region.GROUP, loadBalancerName="lb")["sku"]["name"] == "Standard"
    with refused("ResourceNotFound", "'Microsoft.Network/loadBalancers/other'"):
        ask("getLoadBalancer", resourceGroupName=region.GROUP, loadBalancerName="other")
    with refused("InvalidParameter", "'loadBalancerName'"):
        ask("getLoadBalancer", resourceGroupName=region.GROUP)
