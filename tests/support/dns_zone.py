"""A sandbox directory with a Route 53 zone in it, made without an engine: two AWS regions, somebody's own site."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sandbox.dns.checkers import HEALTH_CHECK
from sandbox.dns.zone import RECORD, ZONE
from sandbox.kinds import Resource
from sandbox.store import Store

EIP = "aws:ec2/eip:Eip"
SERVICE = "llm.example.com"
MEMBERS = {
    "aws-us-east-1": ("203.0.113.1", "203.0.113.2"),
    "aws-us-west-2": ("203.0.113.17", "203.0.113.18"),
    "onprem": ("198.51.100.10",),
}
REGIONS = {"aws-us-east-1": "us-east-1", "aws-us-west-2": "us-west-2"}


def resource(token: str, id: str, region: str = "global", stack: str = "global", **outputs: Any) -> Resource:
    urn = f"urn:pulumi:{stack}::spillway::{token}::{id}"
    return Resource(token, id, region, "123456789012", dict(outputs), dict(outputs), urn=urn)


def check(id: str, address: str = "", **outputs: Any) -> Resource:
    values = {"type": "HTTPS", "requestInterval": 10, "failureThreshold": 2, "resourcePath": "/readyz", "port": 443}
    named = {"ipAddress": address} if address else {}
    return resource(HEALTH_CHECK, id, **{**values, **named, "tags": {"Name": id}, **outputs})


def record(name: str, identifier: str = "", **outputs: Any) -> Resource:
    values = {"name": name, "fqdn": name, "type": "A", "setIdentifier": identifier, "zoneId": "Z1", **outputs}
    return resource(RECORD, f"Z1_{name}_{values['type']}_{identifier}", **values)


def alias(name: str, *, evaluate: bool = True) -> list[dict[str, Any]]:
    return [{"name": name, "zoneId": "Z1", "evaluateTargetHealth": evaluate}]


def leaf(member: str, service: str = SERVICE, ttl: int = 10) -> list[Resource]:
    """A member's records: one per address, each with its own health check."""
    return [
        record(
            f"{member}.{service}",
            address,
            records=[address],
            ttl=ttl,
            healthCheckId=f"check-{address}",
            weightedRoutingPolicies=[{"weight": 1}],
        )
        for address in MEMBERS[member]
    ]


def chain(service: str = SERVICE) -> list[Resource]:
    """Failover from east to west to the site, as a tree of aliases."""
    after = f"_after.{service}"
    rows = [(service, "PRIMARY", "aws-us-east-1"), (service, "SECONDARY", None)]
    rows += [(after, "PRIMARY", "aws-us-west-2"), (after, "SECONDARY", "onprem")]
    return [
        record(
            name,
            role.lower(),
            aliases=alias(f"{member}.{service}" if member else after),
            failoverRoutingPolicies=[{"type": role}],
        )
        for name, role, member in rows
    ]


def weighted(shares: dict[str, int], service: str = SERVICE) -> list[Resource]:
    return [
        record(service, member, aliases=alias(f"{member}.{service}"), weightedRoutingPolicies=[{"weight": weight}])
        for member, weight in shares.items()
    ]


def everything(top: list[Resource] | None = None) -> list[Resource]:
    """Zone, Elastic IPs, health checks and records; `top`: the service's own, the failover chain when left out."""
    found = [resource(ZONE, "Z1", name="example.com", nameServers=["ns-1.awsdns-00.com", "ns-2.awsdns-00.net"])]
    for member, addresses in MEMBERS.items():
        for address in addresses:
            if member in REGIONS:
                found.append(resource(EIP, f"eipalloc-{address}", REGIONS[member], member, publicIp=address))
            found.append(check(f"check-{address}", address))
        found += leaf(member)
    return found + (chain() if top is None else top)


def sandbox(directory: Path, resources: list[Resource] | None = None) -> Path:
    """Writes them into the clouds of a sandbox directory."""
    store = Store(directory)
    with store.transaction(write=True) as tx:
        for item in resources or everything():
            tx.put("aws", item)
    store.close()
    return directory
