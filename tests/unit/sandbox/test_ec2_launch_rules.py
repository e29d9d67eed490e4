"""Launch templates: network interfaces and their EFA layout, markets, reservations, placement, requirements."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.aws import tokens
from tests.support.aws_region import IMAGE, check_faults
from tests.support.memory_cloud import MemoryCloud

GOOD: dict[str, Any] = {"name": "spillway-node", "imageId": IMAGE, "instanceType": "p4d.24xlarge"}
PRIMARY = {"deviceIndex": 0, "networkCardIndex": 0}
CR = "cr-0123456789abcdef0"
SPEC = "capacityReservationSpecification"
OPTIONS = "instanceMarketOptions"


def nics(*entries: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"networkInterfaces": list(entries), **more}


EFA_ONLY = {"interfaceType": "efa-only", "deviceIndex": 0}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            nics({**PRIMARY, "associatePublicIpAddress": "true"}, {**EFA_ONLY, "networkCardIndex": 1}),
            "networkInterfaces[0].associatePublicIpAddress: cannot be true with more than one network interface",
        ),
        (
            nics({**PRIMARY, "associatePublicIpAddress": True}),
            "networkInterfaces[0].associatePublicIpAddress: expected the",
        ),
        (
            nics({**PRIMARY, "deleteOnTermination": True}),
            "networkInterfaces[0].deleteOnTermination: expected the string",
        ),
        (
            nics(PRIMARY, PRIMARY),
            "networkInterfaces[1].deviceIndex: device 0 of network card 0 is given in networkInterfaces[0] too",
        ),
        (nics({"deviceIndex": 1}), "networkInterfaces[0].deviceIndex: the primary interface"),
        (
            nics({**EFA_ONLY, "networkCardIndex": 0}),
            "networkInterfaces[0].interfaceType: the primary interface cannot be",
        ),
        (
            nics({**PRIMARY, "interfaceType": "ena"}),
            "networkInterfaces[0].interfaceType: expected one of interface, efa",
        ),
        (
            nics(PRIMARY, {**EFA_ONLY, "networkCardIndex": 4}),
            "networkInterfaces[1].networkCardIndex: p4d.24xlarge has network cards 0 to 3, got 4",
        ),
        (
            nics(PRIMARY, {**EFA_ONLY, "networkCardIndex": 1}, instanceType="p5.4xlarge"),
            "networkInterfaces[1].networkCardIndex: p5.4xlarge has network cards 0 to 0, got 1",
        ),
        (
            nics({**PRIMARY, "interfaceType": "efa"}, {"interfaceType": "efa-only", "deviceIndex": 1}),
            "networkInterfaces[1].interfaceType: a second EFA interface on network card 0",
        ),
        (
            nics(PRIMARY, {"interfaceType": "efa-only", "deviceIndex": 1}, instanceType="p6-b300.48xlarge"),
            "networkInterfaces[1].interfaceType: network card 0 of p6-b300.48xlarge has no EFA",
        ),
        (
            nics({**PRIMARY, "interfaceType": "efa"}, instanceType="g6.xlarge"),
            "networkInterfaces: g6.xlarge takes no EFA interface, got 1",
        ),
        (
            nics(*({"deviceIndex": i} for i in range(3)), instanceType="t3.micro"),
            "networkInterfaces: t3.micro takes at most 2 network interfaces, got 3",
        ),
        (
            nics(PRIMARY, {**EFA_ONLY, "networkCardIndex": 1, "privateIpAddress": "10.0.0.9"}),
            "networkInterfaces[1].privateIpAddress: an efa-only interface has no IP address",
        ),
        (
            nics({**PRIMARY, "networkInterfaceId": "eni-0123456789abcdef0", "subnetId": "subnet-0123456789abcdef0"}),
            "networkInterfaces[0].subnetId: cannot be set for an existing interface",
        ),
        (
            nics(PRIMARY, vpcSecurityGroupIds=["sg-0123456789abcdef0"]),
            "vpcSecurityGroupIds: conflicts with networkInterfaces",
        ),
        (nics({**PRIMARY, "securityGroups": ["nodes"]}), "networkInterfaces[0].securityGroups[0]: expected an id"),
        (
            nics({**PRIMARY, "connectionTrackingSpecification": {"tcpEstablishedTimeout": 59}}),
            "networkInterfaces[0].connectionTrackingSpecification.tcpEstablishedTimeout: expected 60 to 432,000",
        ),
    ],
)
def test_network_interfaces_are_checked(change: dict[str, Any], expected: str) -> None:
    check_faults(tokens.LAUNCH_TEMPLATE, GOOD, change, expected)


@pytest.mark.parametrize(("machine", "cards"), [("p4d.24xlarge", 4), ("p5.48xlarge", 32), ("p5en.48xlarge", 16)])
def test_the_documented_efa_layout_passes(machine: str, cards: int) -> None:
    """https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/efa-acc-inst-types.html"""
    layout = [PRIMARY, {"networkCardIndex": 0, "deviceIndex": 1, "interfaceType": "efa-only"}]
    layout += [{**EFA_ONLY, "networkCardIndex": card} for card in range(1, cards)]
    inputs = {**GOOD, "instanceType": machine, "networkInterfaces": layout}
    assert MemoryCloud().faults(tokens.LAUNCH_TEMPLATE, **inputs) == []


def spot(**options: Any) -> dict[str, Any]:
    return {OPTIONS: {"marketType": "spot", "spotOptions": options}}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({OPTIONS: {"marketType": "cheap"}}, f"{OPTIONS}.marketType: expected one of spot"),
        (
            {OPTIONS: {"marketType": "capacity-block", "spotOptions": {"maxPrice": "1"}}},
            f"{OPTIONS}.spotOptions: can only be set with marketType spot",
        ),
        ({OPTIONS: {"marketType": "capacity-block"}}, f"{SPEC}: marketType capacity-block needs"),
        (
            {OPTIONS: {"marketType": "capacity-block"}, "instanceType": "g6e.48xlarge"},
            f"{OPTIONS}.marketType: g6e.48xlarge is not sold as capacity-block",
        ),
        (
            spot(instanceInterruptionBehavior="stop"),
            f"{OPTIONS}.spotOptions.instanceInterruptionBehavior: hibernate and",
        ),
        (
            spot(instanceInterruptionBehavior="pause"),
            f"{OPTIONS}.spotOptions.instanceInterruptionBehavior: expected one",
        ),
        (spot(spotInstanceType="forever"), f"{OPTIONS}.spotOptions.spotInstanceType: expected one of one-time"),
        (spot(maxPrice="cheap"), f"{OPTIONS}.spotOptions.maxPrice: expected a price per hour in USD"),
        (spot(validUntil="tomorrow"), f"{OPTIONS}.spotOptions.validUntil: expected a time such as"),
        (
            spot(validUntil="2027-01-01T00:00:00Z"),
            f"{OPTIONS}.spotOptions.validUntil: needs spotInstanceType persistent",
        ),
        (spot(blockDurationMinutes=90), f"{OPTIONS}.spotOptions.blockDurationMinutes: expected a multiple of 60"),
        (
            {**spot(), "disableApiTermination": True},
            "disableApiTermination: termination protection cannot be on for spot",
        ),
        ({SPEC: {"capacityReservationPreference": "any"}}, f"{SPEC}.capacityReservationPreference: expected one of"),
        (
            {SPEC: {"capacityReservationTarget": {"capacityReservationId": "reservation"}}},
            f"{SPEC}.capacityReservationTarget.capacityReservationId: expected an id that starts with cr-",
        ),
        (
            {
                SPEC: {
                    "capacityReservationPreference": "open",
                    "capacityReservationTarget": {"capacityReservationId": CR},
                }
            },
            f"{SPEC}.capacityReservationTarget: conflicts with capacityReservationPreference",
        ),
        ({SPEC: {"capacityReservationTarget": {}}}, f"{SPEC}.capacityReservationTarget.capacityReservationId: one of"),
        (
            {SPEC: {"capacityReservationTarget": {"capacityReservationResourceGroupArn": "group"}}},
            f"{SPEC}.capacityReservationTarget.capacityReservationResourceGroupArn: expected an ARN",
        ),
        ({"placement": {"tenancy": "shared"}}, "placement.tenancy: expected one of default, dedicated, host"),
        ({"placement": {"availabilityZone": "a"}}, "placement.availabilityZone: expected the name of an availability"),
        (
            {"placement": {"groupName": "a", "groupId": "pg-0123456789abcdef0"}},
            "placement.groupId: conflicts with groupName",
        ),
        ({"placement": {"affinity": "host"}}, "placement.affinity: needs tenancy host"),
        ({"placement": {"partitionNumber": 8}}, "placement.partitionNumber: expected 1 to 7"),
        ({"cpuOptions": {"threadsPerCore": 3}}, "cpuOptions.threadsPerCore: expected one of 1, 2"),
        ({"cpuOptions": {"coreCount": 49}}, "cpuOptions.coreCount: p4d.24xlarge has 96 vCPUs"),
        ({"cpuOptions": {"amdSevSnp": "on"}}, "cpuOptions.amdSevSnp: expected one of enabled, disabled"),
    ],
)
def test_markets_reservations_and_placement_are_checked(change: dict[str, Any], expected: str) -> None:
    check_faults(tokens.LAUNCH_TEMPLATE, GOOD, change, expected)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"bareMetal": "yes"}, "bareMetal: expected one of included"),
        ({"acceleratorTypes": ["tpu"]}, "acceleratorTypes[0]: expected one of fpga"),
        ({"acceleratorManufacturers": ["google"]}, "acceleratorManufacturers[0]: expected one of"),
        ({"cpuManufacturers": ["arm"]}, "cpuManufacturers[0]: expected one of"),
        ({"localStorageTypes": ["tape"]}, "localStorageTypes[0]: expected one of"),
        ({"allowedInstanceTypes": ["p4*"], "excludedInstanceTypes": ["p3*"]}, "excludedInstanceTypes: conflicts with"),
        ({"memoryMib": {"min": 10, "max": 5}}, "memoryMib.max: must be at least min (10), got 5"),
    ],
)
def test_requirements_are_checked(change: dict[str, Any], expected: str) -> None:
    good = {key: value for key, value in GOOD.items() if key != "instanceType"}
    good["instanceRequirements"] = {"vcpuCount": {"min": 1}, "memoryMib": {"min": 1}}
    wanted = {"instanceRequirements": {**good["instanceRequirements"], **change}}
    check_faults(tokens.LAUNCH_TEMPLATE, good, wanted, f"instanceRequirements.{expected}")
