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
ARCHIVE = {"bucket": "spillway-gcp-code", "object": "fallback.zip"}
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


def everything() -> MemoryCloud:
    """One resource of every type at least, as a region stack makes them."""
    net = region()
    cloud = net.cloud
    router = cloud.create(tokens.ROUTER, name="router", network=net.network.id)
    cloud.create(
        tokens.ROUTER_NAT, name="nat", router=router["name"], natIpAllocateOption="AUTO_ONLY",
        sourceSubnetworkIpRangesToNat="ALL_SUBNETWORKS_ALL_IP_RANGES",
    )  # fmt: skip
    cloud.create(
        tokens.FIREWALL, name="https", network="net", sourceRanges=["0.0.0.0/0"], targetTags=["node"],
        allows=[{"protocol": "tcp", "ports": ["443"]}],
    )  # fmt: skip
    address = cloud.create(tokens.ADDRESS, name="lb", labels={"spillway-stack": "gcp-us-central1"})
    template = net.template()
    cloud.create(tokens.INSTANCE_TEMPLATE, **{**template.inputs, "name": "global"})
    group = net.group(template, **FLEXIBLE)
    service = net.service(group)
    cloud.create(
        tokens.FORWARDING_RULE,
        name="lb",
        backendService=service["selfLink"],
        ipAddress=address["address"],
        ports=["443"],
    )
    bucket = cloud.create(tokens.BUCKET, name=ARCHIVE["bucket"], location=net.cloud.region)
    cloud.create(tokens.BUCKET_OBJECT, bucket=bucket["name"], name=ARCHIVE["object"], content="zip")
    member = net.account["member"]
    cloud.create(tokens.BUCKET_IAM_MEMBER, bucket=bucket["name"], role="roles/storage.objectViewer", member=member)
    secret = cloud.create(tokens.SECRET, secretId="tls", replication={"auto": {}})
    cloud.create(tokens.SECRET_IAM_MEMBER, secretId=secret.id, role="roles/secretmanager.secretAccessor", member=member)
    role = cloud.create(
        tokens.PROJECT_ROLE, roleId="resizer", title="Resizer", permissions=["compute.instanceGroupManagers.update"]
    )
    cloud.create(tokens.PROJECT_IAM_MEMBER, project=cloud.account, role=role.id, member=member)
    cloud.create(
        tokens.SERVICE_ACCOUNT_IAM_MEMBER, serviceAccountId=net.account["name"], role="roles/iam.serviceAccountUser",
        member=member,
    )  # fmt: skip
    function = cloud.create(
        tokens.FUNCTION, name="fallback", location=net.cloud.region,
        buildConfig={"runtime": "python312", "entryPoint": "run", "source": {"storageSource": ARCHIVE}},
        serviceConfig={"availableMemory": "256Mi", "serviceAccountEmail": net.account["email"]},
    )  # fmt: skip
    invoker = {"role": "roles/run.invoker", "member": member, "location": net.cloud.region}
    cloud.create(tokens.FUNCTION_IAM_MEMBER, cloudFunction="fallback", **invoker)
    cloud.create(tokens.RUN_IAM_MEMBER, service="fallback", **invoker)
    cloud.create(tokens.RUN_V2_IAM_MEMBER, name="fallback", **invoker)
    token = {"serviceAccountEmail": net.account["email"]}
    cloud.create(tokens.JOB, name="tick", schedule="* * * * *", httpTarget={"uri": function["url"], "oidcToken": token})
    channel = cloud.create(tokens.NOTIFICATION_CHANNEL, type="email", labels={"email_address": "ops@example.com"})
    cloud.create(
        tokens.ALERT_POLICY, displayName="gap", combiner="OR", notificationChannels=[channel["name"]],
        conditions=[{
            "displayName": "gap",
            "conditionThreshold": {
                "filter": 'metric.type="custom.googleapis.com/spillway/gap" AND resource.type="global"',
                "comparison": "COMPARISON_GT", "duration": "300s", "thresholdValue": 0,
            },
        }],
    )  # fmt: skip
    logs = cloud.create(
        tokens.LOG_BUCKET, project=cloud.account, location=net.cloud.region, bucketId="nodes", retentionDays=7
    )
    destination = f"logging.googleapis.com/{logs.id}"
    cloud.create(tokens.LOG_SINK, name="nodes", destination=destination, filter='jsonPayload.stack="a"')
    cloud.create(tokens.LOG_EXCLUSION, name="nodes", filter='jsonPayload.stack="a"')
    cloud.create(
        tokens.BUDGET, billingAccount="012345-6789AB-CDEF01", amount={"specifiedAmount": {"units": "5000"}},
        thresholdRules=[{"thresholdPercent": 0.8}],
    )  # fmt: skip
    cloud.create(tokens.PROJECT_SERVICE, service="compute.googleapis.com")
    cloud.create(tokens.IDENTITY_POOL, workloadIdentityPoolId="pipelines")
    cloud.create(
        tokens.IDENTITY_PROVIDER, workloadIdentityPoolId="pipelines", workloadIdentityPoolProviderId="github",
        oidc={"issuerUri": "https://token.actions.githubusercontent.com"},
        attributeMapping={"google.subject": "assertion.sub"}, attributeCondition="assertion.repository == 'a/b'",
    )  # fmt: skip
    return cloud


def check_faults(token: str, good: Mapping[str, Any], change: Mapping[str, Any], expected: str) -> None:
    """The good inputs pass; with the change (None takes away) there is a fault whose line begins as expected."""
    cloud = empty()
    assert cloud.faults(token, **good) == []
    changed = {key: value for key, value in {**good, **change}.items() if value is not None}
    lines = cloud.faults(token, **changed)
    assert any(line.startswith(expected) for line in lines), lines
