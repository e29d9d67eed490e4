"""A zone with a pool in a stand-in Cloudflare in memory, and the two questions that tests of kinds ask."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.cloudflare import CLOUDFLARE, tokens
from sandbox.kinds import Resource
from tests.support.memory_cloud import MemoryCloud

ACCOUNT = "0123456789abcdef0123456789abcdef"
OTHER_ACCOUNT = "fedcba9876543210fedcba9876543210"
ID = "00112233445566778899aabbccddeeff"
FREE, PRO, BUSINESS, ENTERPRISE = range(4)


def empty(plan: int = ENTERPRISE) -> MemoryCloud:
    """An account on a plan, with nothing in it."""
    cloud = MemoryCloud("global", ACCOUNT, CLOUDFLARE)
    cloud.set_quota("plan", plan)
    return cloud


@dataclass
class Site:
    """example.com, and a monitor."""

    cloud: MemoryCloud
    zone: Resource
    monitor: Resource

    def pool(self, name: str = "first", **more: Any) -> Resource:
        number = len(self.cloud.all(tokens.POOL)) + 1
        inputs = {
            "accountId": ACCOUNT,
            "name": name,
            "origins": [{"name": "a", "address": f"203.0.113.{number}"}],
            "monitor": self.monitor.id,
            "checkRegions": ["WEU"],
            **more,
        }
        return self.cloud.create(tokens.POOL, **{k: v for k, v in inputs.items() if v is not None})

    def balancer(self, *pools: Resource, **more: Any) -> Resource:
        inputs = {
            "zoneId": self.zone.id,
            "name": "llm.example.com",
            "defaultPools": [pool.id for pool in pools],
            "fallbackPool": pools[0].id,
            "steeringPolicy": "off",
            **more,
        }
        return self.cloud.create(tokens.LOAD_BALANCER, **inputs)

    def record(self, **more: Any) -> Resource:
        inputs = {"zoneId": self.zone.id, "name": "www", "type": "A", "content": "203.0.113.9", "ttl": 1, **more}
        return self.cloud.create(tokens.DNS_RECORD, **{k: v for k, v in inputs.items() if v is not None})


def site(plan: int = ENTERPRISE) -> Site:
    """An account with a zone and a monitor."""
    cloud = empty(plan)
    zone = cloud.create(tokens.ZONE, name="example.com", account={"id": ACCOUNT})
    monitor = cloud.create(tokens.MONITOR, accountId=ACCOUNT, type="https", expectedCodes="200", interval=60)
    return Site(cloud, zone, monitor)


def check_faults(token: str, good: Mapping[str, Any], change: Mapping[str, Any], expected: str) -> None:
    """The good inputs pass; with the change (None takes away) there is a fault whose line begins as expected."""
    cloud = empty()
    assert cloud.faults(token, **good) == []
    changed = {key: value for key, value in {**good, **change}.items() if value is not None}
    lines = cloud.faults(token, **changed)
    assert any(line.startswith(expected) for line in lines), lines
