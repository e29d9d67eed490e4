"""Regional managed instance groups of the stand-in Google Cloud."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.gcp import tokens
from tests.support.aws_region import refused
from tests.support.gcp import BOOT, FLEXIBLE, LOCAL_SSD, STANDARD, Region, check_faults, region

LINK = "https://www.googleapis.com/compute/v1/projects/p-spillway/regions/us-central1/instanceTemplates/t"
CHECK = "https://www.googleapis.com/compute/v1/projects/p-spillway/global/healthChecks/alive"
GOOD: dict[str, Any] = {
    "name": "spot",
    "baseInstanceName": "spot",
    "versions": [{"instanceTemplate": LINK}],
    "distributionPolicyZones": ["us-central1-a", "us-central1-b"],
    "autoHealingPolicies": {"healthCheck": CHECK, "initialDelaySec": 3600},
    "targetSize": 0,
    "namedPorts": [{"name": "https", "port": 443}],
    **FLEXIBLE,
    "instanceFlexibilityPolicy": {
        "instanceSelections": [
            {"name": "first", "rank": 1, "machineTypes": ["a2-highgpu-8g"]},
            {"name": "then", "rank": 2, "machineTypes": ["a2-megagpu-16g"]},
        ]
    },
}


def policy(**more: Any) -> dict[str, Any]:
    return {"updatePolicy": {k: v for k, v in {**FLEXIBLE["updatePolicy"], **more}.items() if v is not None}}


def selections(*entries: dict[str, Any]) -> dict[str, Any]:
    return {"instanceFlexibilityPolicy": {"instanceSelections": list(entries)}}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"baseInstanceName": "Spot"}, "baseInstanceName: expected 1 to 58"),
        ({"versions": [{"instanceTemplate": "t"}]}, "versions[0].instanceTemplate: expected the self link"),
        ({"versions": []}, "versions: expected a length of 1 to 2"),
        (
            {"versions": [{"instanceTemplate": LINK, "name": "a"}, {"instanceTemplate": LINK, "name": "b"}]},
            "versions: exactly one version has no targetSize",
        ),
        ({"autoHealingPolicies": {"healthCheck": CHECK, "initialDelaySec": 3601}}, "autoHealingPolicies.initialDelay"),
        (
            {"autoHealingPolicies": {"healthCheck": "alive", "initialDelaySec": 0}},
            "autoHealingPolicies.healthCheck: expected the self link",
        ),
        (
            {"autoHealingPolicies": None, "instanceLifecyclePolicy": {"onFailedHealthCheck": "REPAIR"}},
            "instanceLifecyclePolicy.onFailedHealthCheck: needs autoHealingPolicies",
        ),
        ({"distributionPolicyZones": ["us-central1-z"]}, "distributionPolicyZones[0]: expected a zone"),
        ({"distributionPolicyZones": ["us-central1-a"] * 2}, "distributionPolicyZones: names a zone twice"),
        ({"distributionPolicyTargetShape": "ODD"}, "distributionPolicyTargetShape: expected one of EVEN"),
        (
            {"distributionPolicyTargetShape": "EVEN"},
            "distributionPolicyTargetShape: expected BALANCED, ANY or ANY_SINGLE_ZONE",
        ),
        (
            policy(instanceRedistributionType="PROACTIVE"),
            "updatePolicy.instanceRedistributionType: has to be NONE with distributionPolicyTargetShape ANY",
        ),
        (policy(maxUnavailableFixed=0), "updatePolicy.maxUnavailableFixed: maxSurge and maxUnavailable cannot both"),
        (policy(maxSurgePercent=20), "updatePolicy.maxSurgePercent: conflicts with maxSurgeFixed"),
        (policy(replacementMethod="RECREATE", maxSurgeFixed=4), "updatePolicy.maxSurgeFixed: has to be 0"),
        (policy(type="EAGER"), "updatePolicy.type: expected one of OPPORTUNISTIC, PROACTIVE"),
        (
            policy(mostDisruptiveAllowedAction="REFRESH"),
            "updatePolicy.mostDisruptiveAllowedAction: is less disruptive than minimalAction REPLACE",
        ),
        (
            {"namedPorts": [{"name": "HTTPS", "port": 443}]},
            "namedPorts[0].name: expected 1 to 63 lower-case letters",
        ),
        ({"namedPorts": [{"name": "https", "port": 0}]}, "namedPorts[0].port: expected 1 to 65,535"),
        ({"targetSize": -1}, "targetSize: expected 0 to 4,000"),
        (
            selections(*[{"name": n, "machineTypes": ["a2-highgpu-8g"]} for n in "ab"]),
            "instanceFlexibilityPolicy.instanceSelections: a2-highgpu-8g is in 2 selections",
        ),
        (selections({"name": "a", "machineTypes": []}), "instanceFlexibilityPolicy.instanceSelections[0].machineTypes"),
        (
            selections({"name": "a", "machineTypes": ["a2-ultragpu-8g"], "disks": [BOOT, LOCAL_SSD]}),
            "instanceFlexibilityPolicy.instanceSelections[0].disks: a2-ultragpu-8g comes with 8 local SSDs",
        ),
        (
            {"statefulDisks": [{"deviceName": "data"}]},
            "instanceFlexibilityPolicy: does not go with statefulDisks",
        ),
    ],
)
def test_values_that_the_api_refuses_are_faults(change: dict[str, Any], expected: str) -> None:
    check_faults(tokens.GROUP, GOOD, change, expected)


def test_a_group_starts_empty_and_tells_the_group_that_balancers_name() -> None:
    net = region()
    group = net.group(net.template(), **FLEXIBLE)
    assert group["instanceGroup"].endswith("/regions/us-central1/instanceGroups/spot")
    assert group["targetSize"] == 0
    assert group["statuses"][0]["isStable"] is True
    updated = net.cloud.update(group, targetSize=None, description="same")
    assert updated["targetSize"] == 0
    assert updated["instanceGroupManagerId"] == group["instanceGroupManagerId"]


def test_fixed_update_sizes_are_zero_or_at_least_the_number_of_zones() -> None:
    net = region()
    short = {**FLEXIBLE, **policy(maxUnavailableFixed=3)}
    with refused("invalid", "either 0 or at least equal to the number of zones (4)"):
        net.group(net.template(), **short)


def test_a_type_is_offered_in_every_zone_of_an_even_group_and_in_one_of_any_other() -> None:
    net = region()
    ultra = {"machineType": "a2-ultragpu-8g", "disks": [BOOT]}
    template = net.template(name="ultra", **ultra)
    zones = {"distributionPolicyZones": ["us-central1-a", "us-central1-b"]}
    with refused("invalid", "'a2-ultragpu-8g' does not exist in zone 'us-central1-b'"):
        net.group(template, **zones)
    net.group(template, name="any", **FLEXIBLE, **zones)
    with refused("invalid", "does not exist in zone 'us-central1-b'"):
        net.group(template, name="none", **FLEXIBLE, distributionPolicyZones=["us-central1-b"])


def test_zones_are_of_the_groups_region() -> None:
    net = region()
    with refused("invalid", "not in the region us-central1"):
        net.group(net.template(), **FLEXIBLE, distributionPolicyZones=["us-east1-b"])


def test_types_of_a_flexible_group_fit_the_template_or_bring_their_own_disks() -> None:
    net = region()
    template = net.template()
    ultra = {"name": "ultra", "machineTypes": ["a2-ultragpu-8g"]}
    with refused("invalid", "a2-ultragpu-8g comes with 8 local SSDs"):
        net.group(template, **FLEXIBLE, **selections(ultra))
    net.group(template, **FLEXIBLE, **selections({**ultra, "disks": [BOOT]}))


def test_flexible_types_keep_to_the_templates_way_of_provisioning() -> None:
    net = region()
    template = net.template(machineType="a3-highgpu-8g", disks=[BOOT], scheduling=STANDARD)
    with refused("invalid", "a3-highgpu-1g comes as SPOT, FLEX_START, not as STANDARD"):
        net.group(template, **FLEXIBLE, **selections({"name": "a", "machineTypes": ["a3-highgpu-1g"]}))


def _sized(net: Region, size: int, **more: Any) -> None:
    net.group(net.template(), **FLEXIBLE, targetSize=size, **more)


def test_a_size_counts_against_the_preemptible_quota_of_the_gpu() -> None:
    net = region()
    net.cloud.set_quota("PREEMPTIBLE_NVIDIA_A100_GPUS", 8)
    with refused("quotaExceeded", "Quota 'PREEMPTIBLE_NVIDIA_A100_GPUS' exceeded.  Limit: 8.0 in region us-central1"):
        _sized(net, 2)


def test_all_gpus_count_against_the_projects_quota_in_all_regions() -> None:
    net = region()
    net.cloud.set_quota("GPUS_ALL_REGIONS", 16)
    _sized(net, 1)
    template = net.template(name="on-demand", scheduling=STANDARD)
    with refused("quotaExceeded", "GPUS_ALL_REGIONS"):
        net.group(template, name="on-demand", **FLEXIBLE, targetSize=2)


def test_a_group_exists_while_its_type_is_sold_out_unless_it_waits() -> None:
    net = region()
    for letter in "abcf":
        net.cloud.sell_out(f"us-central1-{letter}", "a2-highgpu-8g", "spot")
    _sized(net, 1)
    with refused("ZONE_RESOURCE_POOL_EXHAUSTED_WITH_DETAILS", "a2-highgpu-8g"):
        net.group(net.template(name="b"), name="waits", **FLEXIBLE, targetSize=1, waitForInstances=True)


def test_templates_and_checks_are_held_by_groups_and_groups_by_balancers() -> None:
    net = region()
    template = net.template()
    group = net.group(template, **FLEXIBLE)
    service = net.service(group)
    with refused("resourceInUseByAnotherResource", "backendServices/lb"):
        net.cloud.delete(group)
    with refused("resourceInUseByAnotherResource", "instance_template"):
        net.cloud.delete(template)
    with refused("resourceInUseByAnotherResource", "health_check"):
        net.cloud.delete(net.check)
    for resource in (service, group, template, net.check):
        net.cloud.delete(resource)


def test_a_template_of_another_region_is_of_no_use() -> None:
    net = region()
    far = net.cloud.in_region("us-east1")
    far.create(tokens.SUBNETWORK, name="nodes", network=net.network.id, ipCidrRange="10.64.0.0/20")
    template = far.create(tokens.REGION_INSTANCE_TEMPLATE, **net.template().inputs)
    with refused("invalid", "same region, us-central1"):
        net.group(template, **FLEXIBLE)
