"""A small network in a cloud in memory, and the two questions that tests of kinds ask: which faults, which refusal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from sandbox.aws import tokens
from sandbox.kinds import CloudError, Resource
from tests.support.memory_cloud import MemoryCloud

IMAGE = "ami-0123456789abcdef0"


@dataclass
class Network:
    """A VPC with an internet gateway, one subnet per zone, a route table and a security group."""

    cloud: MemoryCloud
    vpc: Resource
    gateway: Resource
    subnets: list[Resource]
    table: Resource
    group: Resource

    def addresses(self, count: int) -> list[Resource]:
        return [self.cloud.create(tokens.EIP) for _ in range(count)]

    def target_group(self, **more: Any) -> Resource:
        inputs = {"port": 443, "protocol": "TCP", "vpcId": self.vpc.id, **more}
        return self.cloud.create(tokens.TARGET_GROUP, **inputs)

    def balancer(self, **more: Any) -> Resource:
        inputs = {"loadBalancerType": "network", "subnets": [s.id for s in self.subnets], **more}
        return self.cloud.create(tokens.LOAD_BALANCER, **inputs)


def network(cloud: MemoryCloud | None = None, cidr: str = "10.16", zones: str = "abc") -> Network:
    """A new network; `cidr` is the first half of its addresses."""
    cloud = cloud or MemoryCloud()
    vpc = cloud.create(tokens.VPC, cidrBlock=f"{cidr}.0.0/16", enableDnsHostnames=True)
    gateway = cloud.create(tokens.INTERNET_GATEWAY, vpcId=vpc.id)
    subnets = [
        cloud.create(
            tokens.SUBNET, vpcId=vpc.id, cidrBlock=f"{cidr}.{i}.0/24", availabilityZone=f"{cloud.region}{letter}"
        )
        for i, letter in enumerate(zones)
    ]
    table = cloud.create(tokens.ROUTE_TABLE, vpcId=vpc.id)
    group = cloud.create(tokens.SECURITY_GROUP, vpcId=vpc.id, description="nodes")
    return Network(cloud, vpc, gateway, subnets, table, group)


@contextmanager
def refused(code: str, text: str = "") -> Iterator[None]:
    """The body is refused by the cloud with this code, and with this text in the message."""
    with pytest.raises(CloudError) as caught:
        yield
    assert caught.value.code == code, str(caught.value)
    assert text in caught.value.message


def check_faults(token: str, good: Mapping[str, Any], change: Mapping[str, Any], expected: str) -> None:
    """The good inputs pass; with the change there is one fault more, whose line begins as expected."""
    cloud = MemoryCloud()
    assert cloud.faults(token, **good) == []
    changed = {key: value for key, value in {**good, **change}.items() if value is not None}
    lines = cloud.faults(token, **changed)
    assert any(line.startswith(expected) for line in lines), lines
