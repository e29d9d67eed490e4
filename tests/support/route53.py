"""A public zone in a cloud in memory, and short ways to write its records and checks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sandbox.aws import route53_limits as limits
from sandbox.kinds import Resource
from tests.support.memory_cloud import MemoryCloud

CHECK: dict[str, Any] = {
    "type": "HTTPS",
    "ipAddress": "203.0.113.7",
    "fqdn": "llm.example.com",
    "port": 443,
    "resourcePath": "/readyz",
    "requestInterval": 10,
    "failureThreshold": 2,
}


@dataclass
class Dns:
    """The zone example.com and what a test puts into it."""

    cloud: MemoryCloud
    zone: Resource

    def inputs(self, name: str, **more: Any) -> dict[str, Any]:
        """Inputs of an A record with one address; `None` takes a property away."""
        base = {"zoneId": self.zone.id, "name": name, "type": "A", "ttl": 10, "records": ["203.0.113.7"]}
        return {key: value for key, value in {**base, **more}.items() if value is not None}

    def record(self, name: str, **more: Any) -> Resource:
        return self.cloud.create(limits.RECORD, **self.inputs(name, **more))

    def alias(self, name: str, target: str, **more: Any) -> Resource:
        """A record that leads to another name of the zone, and takes over its health unless told otherwise."""
        zone_id = more.pop("zone_id", self.zone.id)
        health = more.pop("health", True)
        entry = {"name": target, "zoneId": zone_id, "evaluateTargetHealth": health}
        return self.record(name, ttl=None, records=None, aliases=[entry], **more)

    def check(self, **more: Any) -> Resource:
        return self.cloud.create(limits.HEALTH_CHECK, **{**CHECK, **more})


def weighted(identifier: str, weight: int = 1) -> dict[str, Any]:
    return {"setIdentifier": identifier, "weightedRoutingPolicies": [{"weight": weight}]}


def latency(identifier: str, region: str) -> dict[str, Any]:
    return {"setIdentifier": identifier, "latencyRoutingPolicies": [{"region": region}]}


def failover(identifier: str, kind: str) -> dict[str, Any]:
    return {"setIdentifier": identifier, "failoverRoutingPolicies": [{"type": kind}]}


def dns(cloud: MemoryCloud | None = None, name: str = "example.com", **more: Any) -> Dns:
    cloud = cloud or MemoryCloud()
    return Dns(cloud, cloud.create(limits.ZONE, name=name, **more))
