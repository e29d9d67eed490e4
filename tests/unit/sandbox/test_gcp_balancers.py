"""Health checks, backend services and forwarding rules of the stand-in Google Cloud."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.gcp import tokens
from tests.support.aws_region import refused
from tests.support.gcp import FLEXIBLE, check_faults, region

CHECK: dict[str, Any] = {"name": "ready", "httpsHealthCheck": {"port": 443, "requestPath": "/readyz"}}
GLOBAL = "https://www.googleapis.com/compute/v1/projects/p-spillway"
REGION = f"{GLOBAL}/regions/us-central1"
BACKEND: dict[str, Any] = {"group": f"{REGION}/instanceGroups/spot", "balancingMode": "CONNECTION"}
SERVICE: dict[str, Any] = {
    "name": "lb",
    "loadBalancingScheme": "EXTERNAL",
    "protocol": "TCP",
    "healthChecks": f"{REGION}/healthChecks/ready",
    "backends": [BACKEND],
    "connectionDrainingTimeoutSec": 300,
}
RULE: dict[str, Any] = {
    "name": "lb",
    "backendService": f"{REGION}/backendServices/lb",
    "ipAddress": "192.0.2.1",
    "ports": ["443"],
}


@pytest.mark.parametrize(
    ("token", "good", "change", "expected"),
    [
        (tokens.REGION_HEALTH_CHECK, CHECK, {"httpsHealthCheck": None}, "httpsHealthCheck: one of"),
        (tokens.REGION_HEALTH_CHECK, CHECK, {"tcpHealthCheck": {"port": 1}}, "tcpHealthCheck: conflicts with https"),
        (tokens.REGION_HEALTH_CHECK, CHECK, {"timeoutSec": 6}, "timeoutSec: expected at most checkIntervalSec (5)"),
        (tokens.REGION_HEALTH_CHECK, CHECK, {"checkIntervalSec": 301}, "checkIntervalSec: expected 1 to 300"),
        (tokens.REGION_HEALTH_CHECK, CHECK, {"unhealthyThreshold": 11}, "unhealthyThreshold: expected 1 to 10"),
        (
            tokens.HEALTH_CHECK,
            CHECK,
            {"httpsHealthCheck": {"port": 443, "requestPath": "readyz"}},
            "httpsHealthCheck.requestPath: expected a path",
        ),
        (
            tokens.HEALTH_CHECK,
            CHECK,
            {"httpsHealthCheck": {"port": 443, "portSpecification": "USE_SERVING_PORT"}},
            "httpsHealthCheck.port: does not go with USE_SERVING_PORT",
        ),
        (tokens.HEALTH_CHECK, CHECK, {"sourceRegions": ["us-central1"]}, "sourceRegions: expected 3 different"),
        (tokens.REGION_BACKEND_SERVICE, SERVICE, {"healthChecks": None}, "healthChecks: is required"),
        (tokens.REGION_BACKEND_SERVICE, SERVICE, {"healthChecks": "ready"}, "healthChecks: expected the self link"),
        (tokens.REGION_BACKEND_SERVICE, SERVICE, {"protocol": "HTTPS"}, "protocol: expected TCP, UDP or UNSPECIFIED"),
        (
            tokens.REGION_BACKEND_SERVICE,
            SERVICE,
            {"backends": [{"group": BACKEND["group"]}]},
            "backends[0].balancingMode: expected CONNECTION with EXTERNAL; got nothing, which is UTILIZATION",
        ),
        (
            tokens.REGION_BACKEND_SERVICE,
            SERVICE,
            {"backends": [{**BACKEND, "capacityScaler": 1.0}]},
            "backends[0].capacityScaler: is not for balancers with loadBalancingScheme EXTERNAL",
        ),
        (tokens.REGION_BACKEND_SERVICE, SERVICE, {"backends": [BACKEND, BACKEND]}, "backends: names a group twice"),
        (
            tokens.REGION_BACKEND_SERVICE,
            SERVICE,
            {"backends": [{**BACKEND, "failover": True}]},
            "backends: expected at least one primary backend",
        ),
        (
            tokens.REGION_BACKEND_SERVICE,
            SERVICE,
            {"connectionDrainingTimeoutSec": 3601},
            "connectionDrainingTimeoutSec: expected 0 to 3,600 seconds",
        ),
        (
            tokens.REGION_BACKEND_SERVICE,
            SERVICE,
            {"failoverPolicy": {"failoverRatio": 2}},
            "failoverPolicy.failoverRatio: expected 0 to 1",
        ),
        (tokens.REGION_BACKEND_SERVICE, SERVICE, {"sessionAffinity": "HTTP_COOKIE"}, "sessionAffinity: expected one"),
        (
            tokens.REGION_BACKEND_SERVICE,
            SERVICE,
            {"localityLbPolicy": "ROUND_ROBIN"},
            "localityLbPolicy: expected MAGLEV",
        ),
        (
            tokens.REGION_BACKEND_SERVICE,
            SERVICE,
            {"connectionTrackingPolicy": {"idleTimeoutSec": 600}},
            "connectionTrackingPolicy.idleTimeoutSec: is 60 for external passthrough",
        ),
        (tokens.FORWARDING_RULE, RULE, {"ports": None}, "ports: one of ports, portRange and allPorts"),
        (tokens.FORWARDING_RULE, RULE, {"ports": ["0"]}, "ports[0]: expected a port from 1 to 65535"),
        (tokens.FORWARDING_RULE, RULE, {"ports": [str(p) for p in range(1, 7)]}, "ports: expected a length of 1 to 5"),
        (tokens.FORWARDING_RULE, RULE, {"portRange": "443"}, "portRange: conflicts with ports"),
        (tokens.FORWARDING_RULE, RULE, {"backendService": None}, "backendService: one of backendService, target"),
        (tokens.FORWARDING_RULE, RULE, {"networkTier": "GOLD"}, "networkTier: expected one of PREMIUM, STANDARD"),
        (tokens.FORWARDING_RULE, RULE, {"network": "net"}, "network: is not for loadBalancingScheme EXTERNAL"),
        (tokens.FORWARDING_RULE, RULE, {"ipProtocol": "L3_DEFAULT"}, "allPorts: has to be true"),
    ],
)
def test_values_that_the_api_refuses_are_faults(
    token: str, good: dict[str, Any], change: dict[str, Any], expected: str
) -> None:
    check_faults(token, good, change, expected)


def test_an_external_balancer_of_two_groups_on_a_reserved_address() -> None:
    net = region()
    groups = [net.group(net.template(name=f"t-{n}"), name=n, **FLEXIBLE) for n in ("spot", "on-demand")]
    service = net.service(*groups)
    address = net.cloud.create(tokens.ADDRESS, name="lb")
    rule = net.cloud.create(
        tokens.FORWARDING_RULE, name="lb", backendService=service["name"], ipAddress=address["selfLink"], ports=["443"]
    )
    assert rule["ipAddress"] == address["address"]
    assert rule["backendService"] == service["selfLink"]
    users = net.cloud.all(tokens.ADDRESS)[0]["users"]
    assert users == [rule["selfLink"]]
    with refused("resourceInUseByAnotherResource", "forwardingRules/lb"):
        net.cloud.delete(address)
    with refused("resourceInUseByAnotherResource", "forwardingRules/lb"):
        net.cloud.delete(service)
    net.cloud.delete(rule)
    net.cloud.delete(address)


def test_an_external_balancer_needs_a_regional_health_check() -> None:
    net = region()
    group = net.group(net.template(), **FLEXIBLE)
    with refused("invalid", "it has to be regional"):
        net.service(group, healthChecks=net.check["selfLink"])
    with refused("invalid", "Unexpected resource collection 'networks'"):
        net.service(group, name="b", healthChecks=net.network["selfLink"])


def test_a_backend_names_the_group_and_not_its_manager() -> None:
    net = region()
    group = net.group(net.template(), **FLEXIBLE)
    with refused("invalid", "Unexpected resource collection 'instanceGroupManagers'"):
        net.service(backends=[{"group": group["selfLink"], "balancingMode": "CONNECTION"}])


def test_address_rule_and_service_agree_in_scheme_tier_protocol_and_region() -> None:
    net = region()
    service = net.service()
    inputs = {"name": "lb", "backendService": service["selfLink"], "ports": ["443"]}
    cheap = net.cloud.create(tokens.ADDRESS, name="cheap", networkTier="STANDARD")
    with refused("badRequest", "network tier"):
        net.cloud.create(tokens.FORWARDING_RULE, **inputs, ipAddress=cheap["address"])
    far = net.cloud.in_region("us-east1").create(tokens.ADDRESS, name="far")
    with refused("invalid", "in us-east1, not in us-central1"):
        net.cloud.create(tokens.FORWARDING_RULE, **inputs, ipAddress=far["selfLink"])
    with refused("invalid", "does not belong to the project"):
        net.cloud.create(tokens.FORWARDING_RULE, **inputs, ipAddress="198.51.100.1")
    with refused("notFound", "addresses/none"):
        net.cloud.create(tokens.FORWARDING_RULE, **inputs, ipAddress="regions/us-central1/addresses/none")
    with refused("invalid", "loadBalancingScheme is EXTERNAL, the forwarding rule's INTERNAL"):
        net.cloud.create(tokens.FORWARDING_RULE, **inputs, loadBalancingScheme="INTERNAL")
    with refused("invalid", "protocol is TCP, the forwarding rule's UDP"):
        net.cloud.create(tokens.FORWARDING_RULE, **inputs, ipProtocol="UDP")


def test_two_rules_share_an_address_only_with_different_ports() -> None:
    net = region()
    service = net.service()
    address = net.cloud.create(tokens.ADDRESS, name="lb")
    inputs = {"backendService": service["selfLink"], "ipAddress": address["address"]}
    net.cloud.create(tokens.FORWARDING_RULE, name="a", ports=["443"], **inputs)
    net.cloud.create(tokens.FORWARDING_RULE, name="b", ports=["80"], **inputs)
    with refused("invalid", "in-use and would result in a conflict"):
        net.cloud.create(tokens.FORWARDING_RULE, name="c", portRange="440-450", **inputs)


def test_a_check_has_the_defaults_of_its_protocol() -> None:
    net = region()
    made = net.cloud.create(tokens.REGION_HEALTH_CHECK, name="r", httpsHealthCheck={"requestPath": "/readyz"})
    assert made["type"] == "HTTPS"
    assert made["httpsHealthCheck"] == {"port": 443, "requestPath": "/readyz", "proxyHeader": "NONE"}
