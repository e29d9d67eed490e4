"""Load balancers of the stand-in Azure."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.azure_native import tokens
from tests.support import azure_region as region
from tests.support.aws_region import refused
from tests.support.azure import faults
from tests.support.azure_region import BALANCER_ID, LB_RULE, PROBE, Region, balancer, put


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("sku", None, "sku.name: is required: Standard"),
        ("sku.name", "Basic", "sku.name: expected one of Standard"),
        ("probes.0.protocol", "HTTPS", "probes[0].protocol: expected one of Tcp, Http, Https"),
        ("probes.0.requestPath", None, "probes[0].requestPath: is required for a probe of protocol Https"),
        ("probes.0.protocol", "Tcp", "probes[0].requestPath: is not for a probe of protocol Tcp"),
        ("probes.0.requestPath", "readyz", "probes[0].requestPath: expected a path that begins with /"),
        ("probes.0.intervalInSeconds", 4, "probes[0].intervalInSeconds: expected 5 to"),
        ("probes.0.probeThreshold", 101, "probes[0].probeThreshold: expected 1 to 100"),
        ("probes.0.port", 0, "probes[0].port: expected 1 to 65,535"),
        ("probes.0.name", None, "probes[0].name: is required"),
        ("probes", [PROBE, PROBE], "probes[1].name: is taken by probes[0]"),
        ("loadBalancingRules.0.idleTimeoutInMinutes", 101, "loadBalancingRules[0].idleTimeoutInMinutes: expected 4 to"),
        ("loadBalancingRules.0.frontendPort", 0, "loadBalancingRules[0].frontendPort: 0 (all ports) goes with"),
        ("loadBalancingRules.0.protocol", "All", "loadBalancingRules[0].frontendPort: 0 (all ports) goes with"),
        ("loadBalancingRules.0.protocol", "tcp", "loadBalancingRules[0].protocol: expected one of Tcp"),
        ("loadBalancingRules.0.backendPort", None, "loadBalancingRules[0].backendPort: is required"),
        ("loadBalancingRules.0.backendAddressPool", None, "loadBalancingRules[0].backendAddressPool: is required"),
        ("loadBalancingRules.0.probe.id", "readyz", "loadBalancingRules[0].probe.id: expected the id of one of the"),
        (
            "loadBalancingRules",
            [LB_RULE, {**LB_RULE, "name": "again"}],
            "loadBalancingRules[1].frontendPort: frontend, port and protocol are those of loadBalancingRules[0]",
        ),
        ("frontendIPConfigurations.0.publicIPAddress", None, "frontendIPConfigurations[0]: expected one of public"),
        ("frontendIPConfigurations.0.zones", ["1"], "frontendIPConfigurations[0].zones: is only for frontends in a"),
    ],
)
def test_values_are_checked(path: str, value: Any, expected: str) -> None:
    head = path.split(".", 1)[0]
    found = faults(tokens.LOAD_BALANCER, balancer(), **{head: put(balancer(), path, value).get(head)})
    assert [line for line in found if line.startswith(expected)], found


@pytest.mark.parametrize(
    "part", ["frontendIPConfiguration", "backendAddressPool", "probe"], ids=lambda part: f"no such {part}"
)
def test_rules_name_parts_of_their_own_balancer(part: str) -> None:
    cloud = Region(empty=True)
    cloud.create(tokens.PUBLIC_ADDRESS, **region.address())
    id = LB_RULE[part]["id"]
    for wrong in (f"{id}-other", id.replace("/loadBalancers/lb/", "/loadBalancers/other/")):
        with refused("InvalidResourceReference", f"Resource {wrong} referenced by"):
            cloud.create(tokens.LOAD_BALANCER, **balancer(loadBalancingRules=[{**LB_RULE, part: {"id": wrong}}]))


def test_a_balancer_tells_which_parts_use_which() -> None:
    made = Region().balancer
    rule = {"id": f"{BALANCER_ID}/loadBalancingRules/https"}
    for part in ("frontendIPConfigurations", "backendAddressPools", "probes"):
        assert made[part][0]["loadBalancingRules"] == [rule]
    assert made["probes"][0]["id"] == f"{BALANCER_ID}/probes/readyz"
    assert made["loadBalancingRules"][0]["loadDistribution"] == "Default"


def test_a_pool_that_a_scale_set_uses_stays_when_the_balancer_changes() -> None:
    cloud = Region()
    cloud.scale_set()
    with refused("LoadBalancerInUseByVirtualMachineScaleSet", "Cannot remove"):
        cloud.update(cloud.balancer, backendAddressPools=[{"name": "other"}], loadBalancingRules=[])
    cloud.update(cloud.balancer, backendAddressPools=[{"name": "nodes"}, {"name": "other"}])


def test_two_frontends_do_not_share_an_address() -> None:
    cloud = Region(empty=True)
    cloud.create(tokens.PUBLIC_ADDRESS, **region.address())
    twice = [{"name": name, "publicIPAddress": {"id": region.ADDRESS_ID}} for name in ("public", "again")]
    with refused("PublicIPAddressInUse", "Two frontends"):
        cloud.create(tokens.LOAD_BALANCER, **balancer(frontendIPConfigurations=twice))
