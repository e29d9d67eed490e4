"""A region in a stand-in Tencent Cloud in memory, and its stack file as a model."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from infra.config import TencentRegion
from sandbox.kinds import Resource
from sandbox.tencentcloud import TENCENTCLOUD, tokens
from sandbox.tencentcloud.api import app_id
from tests.support.memory_cloud import MemoryCloud

STACK = "tencent-ap-guangzhou"
ACCOUNT = "100012345678"
REGION = "ap-guangzhou"
IMAGE = "img-spw2011b"
CONFIG: dict[str, Any] = {
    "cloud": "tencent",
    "region": REGION,
    "account": ACCOUNT,
    "nearestAwsRegion": "ap-east-1",
    "residency": "cn",
    "model": {
        "name": "deepseek-r1-distill-llama-70b", "revision": "2025-01-20", "maxModelLen": 32768, "maxNumSeqs": 64,
        "fit": {"contextTokens": 8192, "concurrency": 32},
    },
    "pools": {"types": ["GT4.41XLARGE948"], "target": 2, "max": 4},
    "network": {"cidr": "10.48.0.0/16", "zones": ["ap-guangzhou-4", "ap-guangzhou-6"]},
    "image": {"family": "spillway-vllm", "version": "2026.11.1"},
    "service": {"name": "llm.example.com"},
    "secrets": {"certificate": "spillway-certificate", "apiKeys": "spillway-api-keys"},
    "budget": {"monthlyUsd": 30000, "emails": ["platform@example.com"]},
    "tags": {"team": "platform"},
}  # fmt: skip


def data(changes: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A sound stack file's object, with values set by dotted key; None takes a key away."""
    found: dict[str, Any] = json.loads(json.dumps(CONFIG))
    for key, value in (changes or {}).items():
        *path, last = key.split(".")
        place = found
        for step in path:
            place = place.setdefault(step, {})
        if value is None:
            place.pop(last)
        else:
            place[last] = value
    return found


def config(changes: Mapping[str, Any] | None = None) -> TencentRegion:
    """The same as a model."""
    return TencentRegion.model_validate(data(changes))


def empty(region: str = REGION) -> MemoryCloud:
    """An account with nothing in it."""
    return MemoryCloud(region, ACCOUNT, TENCENTCLOUD)


TRUST = json.dumps(
    {"version": "2.0", "statement": [{"effect": "allow", "action": "name/sts:AssumeRole",
                                      "principal": {"service": "cvm.qcloud.com"}}]}
)  # fmt: skip
RIGHTS = json.dumps(
    {"version": "2.0", "statement": [{"effect": "allow", "action": ["name/cos:GetObject"],
                                      "resource": ["qcs::cos:ap-guangzhou:uid/1250000000:b-1250000000/models/*"]}]}
)  # fmt: skip
CHECK: dict[str, Any] = {
    "healthCheckSwitch": True, "healthCheckType": "HTTP", "healthCheckPort": 8080, "healthCheckHttpPath": "/readyz",
    "healthCheckHttpVersion": "HTTP/1.1", "healthCheckHttpCode": 2, "healthCheckHttpMethod": "GET",
    "healthCheckHttpDomain": "llm.example.com", "healthCheckIntervalTime": 5, "healthCheckTimeOut": 4,
}  # fmt: skip


@dataclass
class Region:
    """A network with two node subnets and a front subnet, a security group, a role."""

    cloud: MemoryCloud
    vpc: Resource
    table: Resource
    nodes: list[Resource]
    front: Resource
    group: Resource
    role: Resource

    def configuration(self, **more: Any) -> Resource:
        return self.cloud.create(tokens.CONFIGURATION, **self.configuration_inputs(**more))

    def configuration_inputs(self, **more: Any) -> dict[str, Any]:
        inputs = {
            "configurationName": "nodes", "imageId": IMAGE, "instanceTypes": ["GT4.41XLARGE948"],
            "instanceChargeType": "POSTPAID_BY_HOUR", "systemDiskType": "CLOUD_SSD", "systemDiskSize": 200,
            "dataDisks": [{"diskType": "CLOUD_HSSD", "diskSize": 1000, "deleteWithInstance": True}],
            "securityGroupIds": [self.group.id], "camRoleName": self.role["name"], "keepImageLogin": True,
            "userData": base64.b64encode(b"#cloud-config\n").decode(), **more,
        }  # fmt: skip
        return {key: value for key, value in inputs.items() if value is not None}

    def address(self, **more: Any) -> Resource:
        inputs = {"internetChargeType": "TRAFFIC_POSTPAID_BY_HOUR", "internetMaxBandwidthOut": 100, **more}
        return self.cloud.create(tokens.EIP, **inputs)

    def balancer(self, **more: Any) -> Resource:
        inputs = {
            "clbName": "lb", "networkType": "INTERNAL", "vpcId": self.vpc.id, "subnetId": self.front.id,
            "securityGroups": [self.group.id], **more,
        }  # fmt: skip
        return self.cloud.create(tokens.BALANCER, **{k: v for k, v in inputs.items() if v is not None})

    def listener(self, balancer: Resource, **more: Any) -> Resource:
        inputs = {"clbId": balancer.id, "listenerName": "tls", "protocol": "TCP", "port": 443, **CHECK, **more}
        return self.cloud.create(tokens.LISTENER, **{k: v for k, v in inputs.items() if v is not None})

    def scaling_group(self, configuration: Resource, *listeners: Resource, **more: Any) -> Resource:
        inputs = {
            "scalingGroupName": "on-demand", "configurationId": configuration.id, "vpcId": self.vpc.id,
            "subnetIds": [subnet.id for subnet in self.nodes], "minSize": 2, "maxSize": 4, "desiredCapacity": 2,
            "forwardBalancerIds": [
                {
                    "loadBalancerId": one["clbId"], "listenerId": one["listenerId"],
                    "targetAttributes": [{"port": 443, "weight": 10}],
                }
                for one in listeners
            ],
            **more,
        }  # fmt: skip
        return self.cloud.create(tokens.GROUP, **{k: v for k, v in inputs.items() if v is not None})


def region() -> Region:
    """A region that is ready for balancers and groups."""
    cloud = empty()
    vpc = cloud.create(tokens.VPC, name="vpc", cidrBlock="10.48.0.0/16")
    table = cloud.create(tokens.ROUTE_TABLE, name="routes", vpcId=vpc.id)

    def subnet(name: str, zone: str, cidr: str) -> Resource:
        return cloud.create(
            tokens.SUBNET, name=name, vpcId=vpc.id, availabilityZone=zone, cidrBlock=cidr, routeTableId=table.id
        )

    nodes = [
        subnet("nodes-4", "ap-guangzhou-4", "10.48.48.0/20"),
        subnet("nodes-6", "ap-guangzhou-6", "10.48.80.0/20"),
    ]
    front = subnet("front-4", "ap-guangzhou-4", "10.48.176.0/20")
    group = cloud.create(tokens.SECURITY_GROUP, name="node", description="Nodes")
    role = cloud.create(tokens.ROLE, name="node", document=TRUST)
    return Region(cloud, vpc, table, nodes, front, group, role)


def everything() -> MemoryCloud:
    """One resource of every type at least, as a region stack makes them."""
    net = region()
    cloud = net.cloud
    rule = {"action": "ACCEPT", "cidrBlock": "0.0.0.0/0", "protocol": "TCP", "port": "443", "description": "Clients"}
    cloud.create(tokens.RULE_SET, securityGroupId=net.group.id, ingresses=[rule], egresses=[rule])
    address = net.address(name="nat")
    gateway = cloud.create(
        tokens.NAT, name="nat", vpcId=net.vpc.id, assignedEipSets=[address["publicIp"]], bandwidth=100,
        maxConcurrent=1_000_000, natProductVersion=1,
    )  # fmt: skip
    cloud.create(
        tokens.ROUTE_ENTRY, routeTableId=net.table.id, destinationCidrBlock="0.0.0.0/0", nextType="NAT",
        nextHub=gateway.id,
    )  # fmt: skip
    cloud.create(
        tokens.BUCKET, bucket=f"spillway-models-{app_id(ACCOUNT)}", encryptionAlgorithm="AES256", versioningEnable=True,
        lifecycleRules=[{"id": "old", "filterPrefix": "", "nonCurrentExpiration": {"nonCurrentDays": 30}}],
    )  # fmt: skip
    policy = cloud.create(tokens.POLICY, name="node", document=RIGHTS)
    cloud.create(tokens.ROLE_POLICY, roleId=net.role.id, policyId=policy.id)
    cloud.create(tokens.SECRET, secretName="spillway-certificate", recoveryWindowInDays=0)
    balancer = net.balancer(eipAddressId=net.address(name="lb").id)
    group = net.scaling_group(net.configuration(), net.listener(balancer))
    cloud.create(
        tokens.HOOK, scalingGroupId=group.id, lifecycleHookName="drain", lifecycleTransition="INSTANCE_TERMINATING",
        heartbeatTimeout=105,
    )  # fmt: skip
    cloud.create(
        tokens.SCALING_POLICY, scalingGroupId=group.id, policyName="out", adjustmentType="CHANGE_IN_CAPACITY",
        adjustmentValue=1, comparisonOperator="GREATER_THAN", metricName="CPU_UTILIZATION", threshold=65, period=60,
        continuousTime=5,
    )  # fmt: skip
    return cloud
