"""Networks, subnetworks, routers, NAT, addresses and firewall rules of the stand-in Google Cloud."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.gcp import tokens
from tests.support.aws_region import refused
from tests.support.gcp import PROJECT, check_faults, empty, region

NETWORK: dict[str, Any] = {"name": "net", "autoCreateSubnetworks": False, "mtu": 8896, "routingMode": "REGIONAL"}
SUBNET: dict[str, Any] = {"name": "nodes", "network": "net", "ipCidrRange": "10.16.0.0/20"}
NAT: dict[str, Any] = {
    "name": "nat",
    "router": "router",
    "natIpAllocateOption": "AUTO_ONLY",
    "sourceSubnetworkIpRangesToNat": "ALL_SUBNETWORKS_ALL_IP_RANGES",
}
FIREWALL: dict[str, Any] = {
    "name": "https",
    "network": "net",
    "allows": [{"protocol": "tcp", "ports": ["443"]}],
    "sourceRanges": ["0.0.0.0/0"],
    "targetTags": ["node"],
}
ADDRESS: dict[str, Any] = {"name": "lb", "networkTier": "PREMIUM", "labels": {"spillway-stack": "gcp-us-central1"}}


@pytest.mark.parametrize(
    ("token", "good", "change", "expected"),
    [
        (tokens.NETWORK, NETWORK, {"name": "Net"}, "name: expected 1 to 63 lower-case letters"),
        (tokens.NETWORK, NETWORK, {"name": "n" * 64}, "name: expected 1 to 63"),
        (tokens.NETWORK, NETWORK, {"name": "net-"}, "name: expected 1 to 63"),
        (tokens.NETWORK, NETWORK, {"mtu": 9000}, "mtu: expected 1,300 to 8,896 bytes"),
        (tokens.NETWORK, NETWORK, {"routingMode": "ZONAL"}, "routingMode: expected one of REGIONAL, GLOBAL"),
        (tokens.NETWORK, NETWORK, {"project": "P"}, "project: expected a project id"),
        (tokens.NETWORK, NETWORK, {"deletionPolicy": "KEEP"}, "deletionPolicy: expected one of DELETE, PREVENT"),
        (tokens.SUBNETWORK, SUBNET, {"ipCidrRange": "10.16.0.1/20"}, "ipCidrRange: expected an IPv4 network"),
        (tokens.SUBNETWORK, SUBNET, {"ipCidrRange": "10.16.0.0/30"}, "ipCidrRange: expected a prefix of /4 to /29"),
        (tokens.SUBNETWORK, SUBNET, {"ipCidrRange": "169.254.0.0/16"}, "ipCidrRange: overlaps 169.254.0.0/16"),
        (tokens.SUBNETWORK, SUBNET, {"ipCidrRange": None}, "ipCidrRange: is required"),
        (tokens.SUBNETWORK, SUBNET, {"network": "a/b"}, "network: expected the self link"),
        (tokens.SUBNETWORK, SUBNET, {"role": "ACTIVE"}, "role: is only for subnetworks of managed proxies"),
        (tokens.ROUTER, {"name": "r", "network": "net"}, {"network": None}, "network: one of network, nccGateway"),
        (tokens.ROUTER, {"name": "r", "network": "net"}, {"bgp": {"asn": 100}}, "bgp.asn: expected a private ASN"),
        (tokens.ROUTER_NAT, NAT, {"natIpAllocateOption": "MANUAL_ONLY"}, "natIps: is required with MANUAL_ONLY"),
        (tokens.ROUTER_NAT, NAT, {"natIps": ["a"]}, "natIps: is only for natIpAllocateOption MANUAL_ONLY"),
        (
            tokens.ROUTER_NAT,
            NAT,
            {"sourceSubnetworkIpRangesToNat": "LIST_OF_SUBNETWORKS"},
            "subnetworks: is required with LIST_OF_SUBNETWORKS",
        ),
        (
            tokens.ROUTER_NAT,
            NAT,
            {"enableDynamicPortAllocation": True, "minPortsPerVm": 100},
            "minPortsPerVm: has to be a power of two",
        ),
        (tokens.ROUTER_NAT, NAT, {"maxPortsPerVm": 1024}, "maxPortsPerVm: needs enableDynamicPortAllocation"),
        (tokens.ADDRESS, ADDRESS, {"labels": {"Stack": "a"}}, "labels: expected a label key"),
        (tokens.ADDRESS, ADDRESS, {"labels": {"spillway:stack": "a"}}, "labels: expected a label key"),
        (tokens.ADDRESS, ADDRESS, {"labels": {"stack": "A.b"}}, "labels: expected a label value"),
        (tokens.ADDRESS, ADDRESS, {"labels": {f"k{i}": "" for i in range(65)}}, "labels: expected at most 64"),
        (tokens.ADDRESS, ADDRESS, {"addressType": "INTERNAL"}, "networkTier: is only for addresses of type EXTERNAL"),
        (tokens.ADDRESS, ADDRESS, {"purpose": "GCE_ENDPOINT"}, "purpose: is only for addresses of type INTERNAL"),
        (tokens.ADDRESS, ADDRESS, {"address": "192.0.2.7"}, "address: an external address cannot be chosen"),
        (tokens.FIREWALL, FIREWALL, {"sourceRanges": ["10.0.0.1/8"]}, "sourceRanges[0]: expected a network"),
        (tokens.FIREWALL, FIREWALL, {"sourceRanges": ["10.0.0.0/8", "::/0"]}, "sourceRanges: IPv4 and IPv6"),
        (tokens.FIREWALL, FIREWALL, {"sourceRanges": None}, "sourceRanges: one of sourceRanges, sourceTags"),
        (tokens.FIREWALL, FIREWALL, {"targetTags": ["Node"]}, "targetTags[0]: expected a network tag"),
        (
            tokens.FIREWALL,
            FIREWALL,
            {"targetServiceAccounts": [f"a@{PROJECT}.iam.gserviceaccount.com"]},
            "targetTags: conflicts with targetServiceAccounts",
        ),
        (tokens.FIREWALL, FIREWALL, {"denies": [{"protocol": "all"}]}, "denies: conflicts with allows"),
        (
            tokens.FIREWALL,
            FIREWALL,
            {"allows": [{"protocol": "icmp", "ports": ["1"]}]},
            "allows[0].ports: is only for tcp, udp and sctp",
        ),
        (
            tokens.FIREWALL,
            FIREWALL,
            {"allows": [{"protocol": "tcp", "ports": ["443-80"]}]},
            "allows[0].ports[0]: expected a port or a range",
        ),
        (tokens.FIREWALL, FIREWALL, {"priority": 65536}, "priority: expected 0 to 65,535"),
        (
            tokens.FIREWALL,
            FIREWALL,
            {"direction": "EGRESS", "sourceTags": ["a"], "sourceRanges": None},
            "sourceTags: is only for rules of direction INGRESS",
        ),
    ],
)
def test_values_that_the_api_refuses_are_faults(
    token: str, good: dict[str, Any], change: dict[str, Any], expected: str
) -> None:
    check_faults(token, good, change, expected)


def test_a_name_is_taken_once() -> None:
    net = region()
    with refused("alreadyExists", f"projects/{PROJECT}/global/networks/net"):
        net.cloud.create(tokens.NETWORK, name="net")


def test_a_network_that_is_not_there_is_told_in_the_apis_words() -> None:
    with refused("notFound", f"The resource 'projects/{PROJECT}/global/networks/net' was not found"):
        empty().create(tokens.SUBNETWORK, **SUBNET)


def test_subnetworks_of_a_network_do_not_overlap_whatever_their_region() -> None:
    net = region()
    with refused("invalidResourceUsage", "10.16.0.0/24 conflicts"):
        net.cloud.in_region("us-east1").create(
            tokens.SUBNETWORK, name="other", network=net.network.id, ipCidrRange="10.16.0.0/24"
        )
    other = net.cloud.create(tokens.NETWORK, name="other", autoCreateSubnetworks=False)
    net.cloud.create(tokens.SUBNETWORK, name="same", network=other["selfLink"], ipCidrRange="10.16.0.0/20")


def test_automatic_networks_keep_their_range() -> None:
    cloud = empty()
    cloud.create(tokens.NETWORK, name="net")
    with refused("invalid", "Auto mode networks"):
        cloud.create(tokens.SUBNETWORK, **{**SUBNET, "ipCidrRange": "10.200.0.0/20"})


def test_a_subnetwork_and_its_network_are_held_by_what_uses_them() -> None:
    net = region()
    with refused("resourceInUseByAnotherResource", "subnetworks/nodes"):
        net.cloud.delete(net.network)
    net.cloud.delete(net.subnet)
    net.cloud.delete(net.network)


def test_a_reference_of_another_type_or_region_is_refused() -> None:
    net = region()
    with refused("invalid", "Unexpected resource collection 'subnetworks'"):
        net.cloud.create(tokens.ROUTER, name="r", network=net.subnet["selfLink"])
    other = net.cloud.in_region("us-east1")
    with refused("invalid", "same region, us-east1"):
        other.create(tokens.ADDRESS, name="a", addressType="INTERNAL", subnetwork=net.subnet["selfLink"])


def test_one_gateway_translates_a_subnetworks_addresses() -> None:
    net = region()
    for name in ("router", "second"):
        net.cloud.create(tokens.ROUTER, name=name, network="net")
    nat = net.cloud.create(tokens.ROUTER_NAT, **NAT)
    assert nat.id == f"{PROJECT}/us-central1/router/nat"
    assert nat["minPortsPerVm"] == 64
    with refused("invalid", "already covered"):
        net.cloud.create(tokens.ROUTER_NAT, **{**NAT, "router": "second"})


def test_routers_have_a_quota_per_network_that_the_weather_may_change() -> None:
    net = region()
    net.cloud.set_quota("ROUTERS_PER_NETWORK", 1)
    net.cloud.create(tokens.ROUTER, name="one", network="net")
    with refused("quotaExceeded", "ROUTERS_PER_NETWORK"):
        net.cloud.create(tokens.ROUTER, name="two", network="net")


def test_addresses_differ_and_internal_ones_lie_in_their_subnetwork() -> None:
    net = region()
    first, second = (net.cloud.create(tokens.ADDRESS, name=name)["address"] for name in ("a", "b"))
    assert first != second
    inside = net.cloud.create(tokens.ADDRESS, name="c", addressType="INTERNAL", subnetwork="nodes")
    assert inside["address"].startswith("10.16.0.")
    with refused("invalid", "not in the subnetwork's range"):
        net.cloud.create(tokens.ADDRESS, name="d", addressType="INTERNAL", subnetwork="nodes", address="10.99.0.1")


def test_a_rule_names_service_accounts_that_exist() -> None:
    net = region()
    accounts = {"targetTags": None, "targetServiceAccounts": [f"nobody@{PROJECT}.iam.gserviceaccount.com"]}
    inputs = {k: v for k, v in {**FIREWALL, **accounts}.items() if v is not None}
    with refused("notFound", "nobody@"):
        net.cloud.create(tokens.FIREWALL, **inputs)
    net.cloud.create(tokens.FIREWALL, **{**inputs, "targetServiceAccounts": [net.account["email"]]})


def test_a_resource_that_prevents_its_end_stays_and_an_abandoned_one_stays_in_the_cloud() -> None:
    cloud = empty()
    kept = cloud.create(tokens.NETWORK, name="kept", deletionPolicy="PREVENT")
    with refused("deletionPolicy", "cannot destroy Network"):
        cloud.delete(kept)
    left = cloud.create(tokens.NETWORK, name="left", deletionPolicy="ABANDON")
    cloud.delete(left)
    assert cloud.get(tokens.NETWORK, left.id) is not None


def test_labels_of_any_script_pass() -> None:
    assert empty().faults(tokens.ADDRESS, name="a", labels={"größe": "groß", "日本": "1_a-b"}) == []
