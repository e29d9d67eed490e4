"""Service quotas that the stand-in account has, by their Service Quotas code, and the machine types' vCPU families.

Defaults: https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html,
https://docs.aws.amazon.com/elasticloadbalancing/latest/network/load-balancer-limits.html,
https://docs.aws.amazon.com/ec2/latest/instancetypes/ec2-instance-quotas.html. The vCPU quotas of GPU families start at
0 in a new account; the stand-in account is one that asked for them, as any account that wants to run this must.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from sandbox.kinds import Cloud, CloudError

_DATA: Final = Path(__file__).with_name("data") / "instance_types.json"


@dataclass(frozen=True, slots=True)
class Quota:
    """One quota: its code and name in Service Quotas, and the account's value unless the weather says otherwise."""

    code: str
    name: str
    default: float


VPCS: Final = Quota("L-F678F1CE", "VPCs per Region", 5)
SUBNETS_PER_VPC: Final = Quota("L-407747CB", "Subnets per VPC", 200)
CIDRS_PER_VPC: Final = Quota("L-83CA0A9D", "IPv4 CIDR blocks per VPC", 5)
INTERNET_GATEWAYS: Final = Quota("L-A4707A72", "Internet gateways per Region", 5)
NAT_GATEWAYS_PER_ZONE: Final = Quota("L-FE5A380F", "NAT gateways per Availability Zone", 5)
ADDRESSES: Final = Quota("L-0263D0A3", "EC2-VPC Elastic IPs", 5)
ROUTE_TABLES_PER_VPC: Final = Quota("L-589F43AA", "Route tables per VPC", 200)
ROUTES_PER_TABLE: Final = Quota("L-93826ACB", "Routes per route table", 50)
GATEWAY_ENDPOINTS: Final = Quota("L-1B52E74A", "Gateway VPC endpoints per Region", 20)
INTERFACE_ENDPOINTS_PER_VPC: Final = Quota("L-29B6F2EB", "Interface VPC endpoints per VPC", 50)
NETWORK_ACLS_PER_VPC: Final = Quota("L-B4A6D682", "Network ACLs per VPC", 200)
RULES_PER_NETWORK_ACL: Final = Quota("L-2AEEBF1A", "Rules per network ACL", 20)
PEERINGS_PER_VPC: Final = Quota("L-7E9ECCDB", "Active VPC peering connections per VPC", 50)
SECURITY_GROUPS: Final = Quota("L-E79EC296", "VPC security groups per Region", 2500)
RULES_PER_SECURITY_GROUP: Final = Quota("L-0EA8095F", "Inbound or outbound rules per security group", 60)
GROUPS_PER_INTERFACE: Final = Quota("L-2AFB9258", "Security groups per network interface", 5)
APPLICATION_BALANCERS: Final = Quota("L-53DA6B97", "Application Load Balancers per Region", 50)
NETWORK_BALANCERS: Final = Quota("L-69A177A2", "Network Load Balancers per Region", 50)
TARGET_GROUPS: Final = Quota("L-B22855CB", "Target Groups per Region", 3000)
LISTENERS_PER_APPLICATION: Final = Quota("L-B6DF7632", "Listeners per Application Load Balancer", 50)
LISTENERS_PER_NETWORK: Final = Quota("L-57A373D6", "Listeners per Network Load Balancer", 50)
# https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/DNSLimitations.html
HOSTED_ZONES: Final = Quota("L-4EA4796A", "Hosted zones", 500)
RECORDS_PER_HOSTED_ZONE: Final = Quota("L-E209CC9F", "Records per hosted zone", 10_000)
DNS_HEALTH_CHECKS: Final = Quota("L-ACB674F3", "Health checks", 200)
DELEGATION_SETS: Final = Quota("L-A72C7724", "Reusable delegation sets", 100)
TRAFFIC_POLICIES: Final = Quota("L-FC688E7C", "Traffic flow policies", 50)
TRAFFIC_POLICY_RECORDS: Final = Quota("L-628D5A56", "Traffic flow policy records", 5)
VPCS_PER_HOSTED_ZONE: Final = Quota("L-84B40094", "Amazon VPCs per private hosted zone", 300)

ON_DEMAND_P: Final = Quota("L-417A185B", "Running On-Demand P instances", 1152)
ON_DEMAND_G: Final = Quota("L-DB2E81BA", "Running On-Demand G and VT instances", 768)
ON_DEMAND_STANDARD: Final = Quota(
    "L-1216C47A",
    "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances",
    640,
)
SPOT_P: Final = Quota("L-7212CCBC", "All P4, P3 and P2 Spot Instance Requests", 1152)
SPOT_P5: Final = Quota("L-C4BD4855", "All P5 Spot Instance Requests", 1152)
SPOT_G: Final = Quota("L-3819A6DF", "All G and VT Spot Instance Requests", 768)
SPOT_STANDARD: Final = Quota("L-34B43A08", "All Standard (A, C, D, H, I, M, R, T, Z) Spot Instance Requests", 640)

_FAMILY: Final = re.compile(r"^([a-z]+?)\d")
_STANDARD: Final = frozenset(("a", "c", "d", "h", "i", "im", "is", "m", "r", "t", "z"))
_GRAPHICS: Final = frozenset(("g", "gr", "vt"))


@dataclass(frozen=True, slots=True)
class InstanceType:
    """What EC2 says of a machine type (`describe-instance-types`)."""

    name: str
    vcpus: int
    architectures: tuple[str, ...]
    network_cards: int
    network_interfaces: int
    efa_interfaces: int
    usage_classes: tuple[str, ...]


@lru_cache(maxsize=1)
def _types() -> Mapping[str, list[Any]]:
    """Read once, on first use: the plugin must start fast."""
    types: dict[str, list[Any]] = json.loads(_DATA.read_text(encoding="utf-8"))["types"]
    return types


@lru_cache(maxsize=512)
def instance_type(name: str) -> InstanceType | None:
    """The machine type of that name, None when EC2 has none."""
    row = _types().get(name)
    if row is None:
        return None
    vcpus, architectures, cards, interfaces, efa, classes = row
    return InstanceType(name, vcpus, tuple(architectures), cards, interfaces, efa, tuple(classes))


def instance_type_names() -> tuple[str, ...]:
    return tuple(_types())


def vcpu_quota(machine_type: str, market: str) -> Quota | None:
    """The quota that a machine of this type counts against, `market` being "spot" or "on-demand"; None for families
    whose quota the stand-in account does not limit (Inf, Trn, X, ...). Newer P families count as P5 for spot."""
    match = _FAMILY.match(machine_type)
    family = match.group(1) if match else ""
    spot = market == "spot"
    if family == "p":
        if not spot:
            return ON_DEMAND_P
        return SPOT_P if machine_type.startswith(("p2", "p3", "p4")) else SPOT_P5
    if family in _GRAPHICS:
        return SPOT_G if spot else ON_DEMAND_G
    if family in _STANDARD:
        return SPOT_STANDARD if spot else ON_DEMAND_STANDARD
    return None


def check_count(cloud: Cloud, quota: Quota, have: int, code: str, message: str) -> None:
    """Refuse one more when the quota is used up. Raises CloudError `code` with `message`."""
    if have + 1 > cloud.quota(quota.code, quota.default):
        raise CloudError(code, message)
