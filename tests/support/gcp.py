"""A region in a stand-in Google Cloud in memory, and the two questions that tests of kinds ask."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.gcp import GCP, tokens
from sandbox.kinds import Resource
from tests.support.memory_cloud import MemoryCloud

PROJECT = "spillway-test"
REGION = "us-central1"
IMAGE = f"projects/{PROJECT}/global/images/spillway-vllm-2026-11-1"
ACCOUNT = f"nodes-a@{PROJECT}.iam.gserviceaccount.com"
BOOT: dict[str, Any] = {"boot": True, "sourceImage": IMAGE, "diskType": "pd-balanced", "diskSizeGb": 200}
LOCAL_SSD: dict[str, Any] = {"type": "SCRATCH", "diskType": "local-ssd", "diskSizeGb": 375, "interface": "NVME"}
SPOT: dict[str, Any] = {
    "provisioningModel": "SPOT",
    "preemptible": True,
    "automaticRestart": False,
    "onHostMaintenance": "TERMINATE",
    "instanceTerminationAction": "DELETE",
    "preemptionNoticeDuration": {"seconds": 120},
}
STANDARD: dict[str, Any] = {"provisioningModel": "STANDARD", "onHostMaintenance": "TERMINATE"}
FLEXIBLE: dict[str, Any] = {
    "distributionPolicyTargetShape": "ANY",
    "updatePolicy": {
        "type": "OPPORTUNISTIC",
        "minimalAction": "REPLACE",
        "instanceRedistributionType": "NONE",
        "maxSurgeFixed": 0,
        "maxUnavailableFixed": 4,
    },
}


def empty(region: str = REGION) -> MemoryCloud:
    """A project with nothing in it."""
    return MemoryCloud(region, PROJECT, GCP)


def template_inputs(**more: Any) -> dict[str, Any]:
    """A spot template of an a2-highgpu-8g with its eight local SSDs; None takes a property away."""
    inputs = {
        "name": "nodes-spot",
        "machineType": "a2-highgpu-8g",
        "disks": [BOOT, *[LOCAL_SSD] * 8],
        "scheduling": SPOT,
        "networkInterfaces": [{"subnetwork": "nodes", "nicType": "GVNIC"}],
        **more,
    }
    return {key: value for key, value in inputs.items() if value is not None}


@dataclass
class Region:
    """A network with a subnetwork, a service account, and a health check for autohealing."""

    cloud: MemoryCloud
    network: Resource
    subnet: Resource
    account: Resource
    check: Resource

    def template(self, **more: Any) -> Resource:
        inputs = template_inputs(serviceAccount={"email": self.account["email"], "scopes": ["cloud-platform"]})
        return self.cloud.create(tokens.REGION_INSTANCE_TEMPLATE, **template_inputs(**{**inputs, **more}))

    def group(self, template: Resource, **more: Any) -> Resource:
        inputs = {
            "name": "spot",
            "baseInstanceName": "spot",
            "versions": [{"instanceTemplate": template["selfLink"]}],
            "distributionPolicyZones": ["us-central1-a", "us-central1-b", "us-central1-c", "us-central1-f"],
            "autoHealingPolicies": {"healthCheck": self.check["selfLink"], "initialDelaySec": 1800},
            "targetSize": 0,
            **more,
        }
        return self.cloud.create(tokens.GROUP, **{k: v for k, v in inputs.items() if v is not None})

    def service(self, *groups: Resource, **more: Any) -> Resource:
        ready = self.cloud.create(tokens.REGION_HEALTH_CHECK, httpsHealthCheck={"port": 443, "requestPath": "/readyz"})
        inputs = {
            "name": "lb",
            "loadBalancingScheme": "EXTERNAL",
            "protocol": "TCP",
            "healthChecks": ready["selfLink"],
            "backends": [{"group": g["instanceGroup"], "balancingMode": "CONNECTION"} for g in groups],
            **more,
        }
        return self.cloud.create(tokens.REGION_BACKEND_SERVICE, **inputs)


def region() -> Region:
    """A region that is ready for templates and groups."""
    cloud = empty()
    network = cloud.create(tokens.NETWORK, name="net", autoCreateSubnetworks=False)
    subnet = cloud.create(tokens.SUBNETWORK, name="nodes", network=network["selfLink"], ipCidrRange="10.16.0.0/20")
    account = cloud.create(tokens.SERVICE_ACCOUNT, accountId="nodes-a")
    check = cloud.create(tokens.HEALTH_CHECK, name="alive", httpsHealthCheck={"port": 443, "requestPath": "/livez"})
    return Region(cloud, network, subnet, account, check)


def check_faults(token: str, good: Mapping[str, Any], change: Mapping[str, Any], expected: str) -> None:
    """The good inputs pass; with the change (None takes away) there is a fault whose line begins as expected."""
    cloud = empty()
    assert cloud.faults(token, **good) == []
    changed = {key: value for key, value in {**good, **change}.items() if value is not None}
    lines = cloud.faults(token, **changed)
    assert any(line.startswith(expected) for line in lines), lines
