"""Traffic Manager profiles and endpoints, as the API takes and returns them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.azure_native import tokens
from sandbox.values import UNKNOWN
from tests.support.aws_region import refused
from tests.support.azure import GROUP, MONITOR, SUBSCRIPTION, Azure, external, faults, nested, profile

PROFILE = profile("spillway")
EXTERNAL = external("spillway", "198.51.100.10")
CHILD = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{GROUP}/providers/Microsoft.Network/trafficManagerProfiles/child"
PUBLIC_IP = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{GROUP}/providers/Microsoft.Network/publicIPAddresses/ip"
NESTED = nested("spillway", CHILD)


def monitor(**change: Any) -> dict[str, Any]:
    return {"monitorConfig": {k: v for k, v in {**MONITOR, **change}.items() if v is not None}}


def dns(**change: Any) -> dict[str, Any]:
    return {"dnsConfig": {k: v for k, v in {"relativeName": "spillway", "ttl": 10, **change}.items() if v is not None}}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"profileName": "a" * 64}, "profileName: expected a profile name"),
        ({"profileName": "under_score"}, "profileName: expected a profile name"),
        ({"profileName": "-a"}, "profileName: expected a profile name"),
        ({"location": "westeurope"}, "location: expected global"),
        ({"location": None}, "location: is required: global"),
        ({"trafficRoutingMethod": "Latency"}, "trafficRoutingMethod: expected one of Performance"),
        ({"trafficRoutingMethod": None}, "trafficRoutingMethod: is required"),
        ({"profileStatus": "On"}, "profileStatus: expected one of Enabled, Disabled"),
        ({"maxReturn": 2}, "maxReturn: is only for the routing method MultiValue"),
        ({"maxReturn": 11, "trafficRoutingMethod": "MultiValue"}, "maxReturn: expected 1 to 10"),
        ({"allowedEndpointRecordTypes": ["A"]}, "allowedEndpointRecordTypes[0]: expected one of DomainName"),
        ({"dnsConfig": None}, "dnsConfig: is required"),
        (dns(relativeName=None), "dnsConfig.relativeName: is required"),
        (dns(relativeName="a" * 64), "dnsConfig.relativeName: expected DNS labels"),
        (dns(relativeName="a_b"), "dnsConfig.relativeName: expected DNS labels"),
        (dns(relativeName="a..b"), "dnsConfig.relativeName: expected DNS labels"),
        (dns(ttl=-1), "dnsConfig.ttl: expected 0 to 2,147,483,647 seconds"),
        (dns(ttl=1.5), "dnsConfig.ttl: expected a whole number"),
        (dns(ttl=2**31), "dnsConfig.ttl: expected 0 to"),
        ({"monitorConfig": None}, "monitorConfig: is required"),
        (monitor(protocol="TLS"), "monitorConfig.protocol: expected one of HTTP, HTTPS, TCP"),
        (monitor(port=None), "monitorConfig.port: is required"),
        (monitor(port=0), "monitorConfig.port: expected 1 to 65,535"),
        (monitor(path=None), "monitorConfig.path: is required with the protocol HTTPS"),
        (monitor(path="readyz"), "monitorConfig.path: expected a path that begins with a slash"),
        (monitor(protocol="TCP"), "monitorConfig.path: is not supported with the protocol TCP"),
        (monitor(intervalInSeconds=15), "monitorConfig.intervalInSeconds: expected one of 10, 30"),
        (monitor(timeoutInSeconds=10), "monitorConfig.timeoutInSeconds: expected 5 to 9 seconds at an interval of 10"),
        (monitor(timeoutInSeconds=4), "monitorConfig.timeoutInSeconds: expected 5 to 9"),
        (monitor(intervalInSeconds=30, timeoutInSeconds=11), "monitorConfig.timeoutInSeconds: expected 5 to 10"),
        (monitor(toleratedNumberOfFailures=10), "monitorConfig.toleratedNumberOfFailures: expected 0 to 9"),
        (monitor(customHeaders=[{"name": "Host"}]), "monitorConfig.customHeaders[0].value: expected the value"),
        (monitor(customHeaders=[{"name": "a b", "value": "c"}]), "monitorConfig.customHeaders[0].name: expected the"),
        (monitor(customHeaders=[{"name": "a", "value": "c"}] * 2), 'monitorConfig.customHeaders[1].name: "a" is given'),
        (
            monitor(customHeaders=[{"name": f"h{i}", "value": "c"} for i in range(9)]),
            "monitorConfig.customHeaders: expected a length of 0 to 8",
        ),
        (monitor(expectedStatusCodeRanges=[{"min": 200}]), "monitorConfig.expectedStatusCodeRanges[0]: needs min and"),
        (
            monitor(expectedStatusCodeRanges=[{"min": 299, "max": 200}]),
            "monitorConfig.expectedStatusCodeRanges[0]: expected status codes",
        ),
        (
            monitor(expectedStatusCodeRanges=[{"min": 200, "max": 200}] * 9),
            "monitorConfig.expectedStatusCodeRanges: expected a length of 0 to 8",
        ),
        (
            monitor(protocol="TCP", path=None, expectedStatusCodeRanges=[{"min": 200, "max": 200}]),
            "monitorConfig.expectedStatusCodeRanges: is not supported with the protocol TCP",
        ),
        ({"endpoints": [{"target": "198.51.100.10"}]}, "endpoints[0].name: is required"),
        ({"endpoints": [{"name": "a", "type": "External"}]}, "endpoints[0].type: expected Microsoft.Network/"),
        (
            {"endpoints": [{"name": "a", "type": "ExternalEndpoints", "target": "10.0.0.1"}]},
            "endpoints[0].target: expected a public address",
        ),
    ],
)
def test_a_profile_is_checked(change: dict[str, Any], expected: str) -> None:
    found = faults(tokens.PROFILE, PROFILE, **change)
    assert [line for line in found if line.startswith(expected)], found


@pytest.mark.parametrize(
    ("good", "change", "expected"),
    [
        (EXTERNAL, {"endpointType": "External"}, "endpointType: expected one of AzureEndpoints"),
        (
            EXTERNAL,
            {"endpointType": "Microsoft.Network/trafficManagerProfiles/externalEndpoints"},
            "endpointType: expected one of",
        ),
        (EXTERNAL, {"type": "NestedEndpoints"}, "type: contradicts endpointType"),
        (EXTERNAL, {"endpointName": "a/b"}, "endpointName: expected an endpoint name"),
        (EXTERNAL, {"target": None}, "target: is required for external endpoints"),
        (EXTERNAL, {"target": "https://llm.example.com"}, "target: expected a host name or an IP address"),
        (EXTERNAL, {"target": "198.51.100.10:443"}, "target: expected a host name or an IP address"),
        (EXTERNAL, {"target": "localhost"}, "target: expected a host name"),
        (EXTERNAL, {"target": "300.1.1.1"}, "target: expected a host name"),
        (EXTERNAL, {"target": "192.168.0.1"}, "target: expected a public address, 192.168.0.1 is reserved"),
        (EXTERNAL, {"target": "fd00::1"}, "target: expected a public address"),
        (EXTERNAL, {"targetResourceId": CHILD}, "targetResourceId: is not for external endpoints"),
        (EXTERNAL, {"minChildEndpoints": 1}, "minChildEndpoints: is only for nested endpoints"),
        (EXTERNAL, {"weight": 0}, "weight: expected 1 to 1,000"),
        (EXTERNAL, {"weight": 1001}, "weight: expected 1 to 1,000"),
        (EXTERNAL, {"weight": 1.5}, "weight: expected a whole number"),
        (EXTERNAL, {"priority": 0}, "priority: expected 1 to 1,000"),
        (EXTERNAL, {"endpointStatus": "On"}, "endpointStatus: expected one of"),
        (EXTERNAL, {"alwaysServe": "Yes"}, "alwaysServe: expected one of"),
        (EXTERNAL, {"endpointLocation": "eu-central-1"}, "endpointLocation: expected an Azure region"),
        (EXTERNAL, {"geoMapping": ["Europe"]}, "geoMapping[0]: expected a code"),
        (EXTERNAL, {"subnets": [{"first": "198.51.100.9", "scope": 24}]}, "subnets[0]: expected first and last"),
        (EXTERNAL, {"subnets": [{"first": "198.51.100.9", "last": "198.51.100.1"}]}, "subnets[0]: expected first"),
        (EXTERNAL, {"subnets": [{"first": "198.51.100.9"}]}, "subnets[0]: expected first"),
        (NESTED, {"targetResourceId": None}, "targetResourceId: is required for NestedEndpoints"),
        (NESTED, {"targetResourceId": "child"}, "targetResourceId: expected the id of an Azure resource"),
        (
            NESTED,
            {"targetResourceId": PUBLIC_IP},
            "targetResourceId: NestedEndpoints point at a Traffic Manager profile",
        ),
        (NESTED, {"minChildEndpoints": 0}, "minChildEndpoints: expected 1 to"),
        (NESTED, {"alwaysServe": "Enabled"}, "alwaysServe: is only for Azure and external endpoints"),
        (NESTED, {"target": "198.51.100.10"}, "target: IP addresses are only for external endpoints"),
        (
            {**NESTED, "endpointType": "AzureEndpoints", "targetResourceId": PUBLIC_IP, "minChildEndpoints": None},
            {"targetResourceId": CHILD},
            "targetResourceId: AzureEndpoints point at something other than a profile",
        ),
    ],
)
def test_an_endpoint_is_checked(good: dict[str, Any], change: dict[str, Any], expected: str) -> None:
    good = {key: value for key, value in good.items() if value is not None}
    found = faults(tokens.ENDPOINT, good, **change)
    assert [line for line in found if line.startswith(expected)], found


@given(
    interval=st.sampled_from([10, 30, None]),
    timeout=st.integers(0, 20),
    tolerated=st.integers(-2, 12),
    weight=st.integers(-1, 1100),
)
def test_numbers_are_taken_within_their_documented_ranges_only(
    interval: int | None, timeout: int, tolerated: int, weight: int
) -> None:
    config = monitor(intervalInSeconds=interval, timeoutInSeconds=timeout, toleratedNumberOfFailures=tolerated)
    good = 5 <= timeout <= (9 if interval == 10 else 10) and 0 <= tolerated <= 9
    assert (faults(tokens.PROFILE, PROFILE, **config) == []) == good
    assert (faults(tokens.ENDPOINT, EXTERNAL, weight=weight) == []) == (1 <= weight <= 1000)


def test_what_is_not_known_yet_trips_no_rule() -> None:
    assert (
        faults(tokens.PROFILE, PROFILE, dnsConfig=UNKNOWN, monitorConfig=UNKNOWN, endpoints=UNKNOWN, tags=UNKNOWN) == []
    )
    assert faults(tokens.PROFILE, PROFILE, profileName=UNKNOWN, location=UNKNOWN, trafficRoutingMethod=UNKNOWN) == []
    unknown = [{"name": UNKNOWN, "type": UNKNOWN, "target": UNKNOWN}, UNKNOWN]
    assert faults(tokens.PROFILE, PROFILE, endpoints=unknown) == []
    headers = [{"name": UNKNOWN, "value": UNKNOWN}]
    assert (
        faults(tokens.PROFILE, PROFILE, **monitor(customHeaders=headers, port=UNKNOWN, timeoutInSeconds=UNKNOWN)) == []
    )
    assert faults(tokens.ENDPOINT, EXTERNAL, target=UNKNOWN, endpointType=UNKNOWN, endpointName=UNKNOWN) == []
    assert faults(tokens.ENDPOINT, NESTED, targetResourceId=UNKNOWN, endpointLocation=UNKNOWN) == []


def test_a_profile_reads_like_one_of_azure() -> None:
    made = Azure().profile("spillway", monitorConfig={"protocol": "TCP", "port": 443, "intervalInSeconds": 10})
    assert made.id.endswith(f"/resourceGroups/{GROUP}/providers/Microsoft.Network/trafficManagerProfiles/spillway")
    assert (made["name"], made["type"]) == ("spillway", "Microsoft.Network/trafficManagerProfiles")
    assert made["dnsConfig"] == {"relativeName": "spillway", "ttl": 10, "fqdn": "spillway.trafficmanager.net"}
    assert made["monitorConfig"] == {
        "protocol": "TCP",
        "port": 443,
        "intervalInSeconds": 10,
        "timeoutInSeconds": 9,  # the default at this interval
        "toleratedNumberOfFailures": 3,
        "profileMonitorStatus": "Inactive",
    }
    assert (made["profileStatus"], made["location"], made["trafficViewEnrollmentStatus"]) == (
        "Enabled",
        "global",
        "Disabled",
    )


def test_endpoints_read_like_those_of_azure() -> None:
    cloud = Azure()
    cloud.profile("parent", "Priority")
    child = cloud.profile("child")
    at = cloud.external("child", "198.51.100.10", endpointStatus="Disabled")
    assert at.id == f"{child.id}/externalEndpoints/at-198.51.100.10"
    assert at["type"] == "Microsoft.Network/trafficManagerProfiles/externalEndpoints"
    assert (at["endpointMonitorStatus"], at["weight"], at["priority"]) == ("Disabled", 1, 1)
    inside = cloud.nested("parent", child)
    assert (inside["target"], inside["minChildEndpoints"]) == ("child.trafficmanager.net", 1)
    assert inside["endpointMonitorStatus"] == "CheckingEndpoint"


def test_a_relative_name_is_taken_once_and_kept() -> None:
    cloud = Azure()
    first = cloud.profile("one")
    with refused("Conflict", "The domain name 'ONE.trafficmanager.net' is already in use"):
        cloud.profile("two", dnsConfig={"relativeName": "ONE", "ttl": 10})
    with refused("BadRequest", "relative DNS name of a Traffic Manager profile cannot be changed"):
        cloud.update(first, dnsConfig={"relativeName": "three", "ttl": 10})
    assert cloud.update(first, dnsConfig={"relativeName": "one", "ttl": 30})["dnsConfig"]["ttl"] == 30


def test_a_subscription_has_so_many_profiles() -> None:
    cloud = Azure()
    cloud.set_quota("trafficManagerProfiles", 1)
    cloud.profile("one")
    with refused("BadRequest", "limit of 1 Traffic Manager profiles"):
        cloud.profile("two")


def test_a_profile_without_its_own_list_keeps_endpoints_and_one_with_it_drops_the_others() -> None:
    cloud = Azure()
    made = cloud.profile("p")
    cloud.external("p", "198.51.100.10")
    made = cloud.update(made, trafficRoutingMethod="Priority")
    assert len(cloud.all(tokens.ENDPOINT)) == 1
    listed = [
        {"name": "b", "type": "Microsoft.Network/trafficManagerProfiles/externalEndpoints", "target": "192.0.2.1"}
    ]
    made = cloud.update(made, endpoints=listed)
    assert cloud.all(tokens.ENDPOINT) == []
    assert made["endpoints"][0]["id"] == f"{made.id}/externalEndpoints/b"
    with refused("AlreadyExists"):
        cloud.external("p", "192.0.2.2", endpointName="B")


def test_endpoints_need_their_profile_and_go_with_it() -> None:
    cloud = Azure()
    with refused("ParentResourceNotFound", "trafficManagerProfiles/p' could not be found"):
        cloud.external("p", "198.51.100.10")
    made = cloud.profile("p")
    cloud.external("p", "198.51.100.10")
    cloud.delete(made)
    assert cloud.all(tokens.ENDPOINT) == []
