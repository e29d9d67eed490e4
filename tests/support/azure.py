"""A small Azure in memory: a resource group, and what goes into it."""

from __future__ import annotations

from typing import Any

from sandbox.azure_native import AZURE_NATIVE, tokens
from sandbox.kinds import Resource
from tests.support.memory_cloud import MemoryCloud

SUBSCRIPTION = "00000000-0000-4000-8000-000000000000"
GROUP = "spillway-global"
MONITOR: dict[str, Any] = {
    "protocol": "HTTPS",
    "port": 443,
    "path": "/readyz",
    "intervalInSeconds": 10,
    "timeoutInSeconds": 5,
    "toleratedNumberOfFailures": 1,
}


class Azure(MemoryCloud):
    """`Azure()` is a subscription with one resource group."""

    def __init__(self) -> None:
        super().__init__("global", SUBSCRIPTION, AZURE_NATIVE)
        self.group = self.create(tokens.RESOURCE_GROUP, resourceGroupName=GROUP, location="westeurope")

    def profile(self, name: str, method: str = "Weighted", /, **more: Any) -> Resource:
        return self.create(tokens.PROFILE, **profile(name, method, **more))

    def external(self, parent: str, target: str, /, **more: Any) -> Resource:
        return self.create(tokens.ENDPOINT, **external(parent, target, **more))

    def nested(self, parent: str, child: Resource, /, **more: Any) -> Resource:
        return self.create(tokens.ENDPOINT, **nested(parent, child.id, name=str(child["name"]), **more))

    def zone(self, name: str = "example.com") -> Resource:
        return self.create(tokens.ZONE, resourceGroupName=GROUP, zoneName=name, location="global")

    def record(self, kind: str, name: str = "llm", /, **more: Any) -> Resource:
        return self.create(tokens.RECORD_SET, **record(kind, name, **more))


def profile(name: str, method: str = "Weighted", /, **more: Any) -> dict[str, Any]:
    inputs = {
        "resourceGroupName": GROUP,
        "profileName": name,
        "location": "global",
        "trafficRoutingMethod": method,
        "dnsConfig": {"relativeName": name, "ttl": 10},
        "monitorConfig": MONITOR,
        **more,
    }
    return {key: value for key, value in inputs.items() if value is not None}


def external(parent: str, target: str, /, **more: Any) -> dict[str, Any]:
    return {
        "resourceGroupName": GROUP,
        "profileName": parent,
        "endpointType": "ExternalEndpoints",
        "endpointName": f"at-{target}",
        "target": target,
        **more,
    }


def nested(parent: str, child_id: str, /, name: str = "child", **more: Any) -> dict[str, Any]:
    return {
        "resourceGroupName": GROUP,
        "profileName": parent,
        "endpointType": "NestedEndpoints",
        "endpointName": name,
        "targetResourceId": child_id,
        "minChildEndpoints": 1,
        **more,
    }


def record(kind: str, name: str = "llm", /, **more: Any) -> dict[str, Any]:
    return {
        "resourceGroupName": GROUP,
        "zoneName": "example.com",
        "recordType": kind,
        "relativeRecordSetName": name,
        "ttl": 10,
        **more,
    }


def faults(token: str, good: dict[str, Any], **change: Any) -> list[str]:
    """The faults of good inputs with a change; None takes a property away. The good ones have none."""
    cloud = MemoryCloud("global", SUBSCRIPTION, AZURE_NATIVE)
    assert cloud.faults(token, **good) == []
    changed = {key: value for key, value in {**good, **change}.items() if value is not None}
    return cloud.faults(token, **changed)
