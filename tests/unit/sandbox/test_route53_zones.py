"""Hosted zones, delegation sets, and the VPCs of private zones."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.aws import AWS, tokens
from sandbox.aws import route53_limits as limits
from sandbox.aws.route53_zones import name_servers
from sandbox.kinds import Args
from sandbox.values import UNKNOWN
from tests.support.aws_region import check_faults, refused
from tests.support.memory_cloud import MemoryCloud
from tests.support.route53 import dns

ZONE: dict[str, Any] = {"name": "example.com"}
PRIVATE: dict[str, Any] = {"name": "corp.example.com", "vpcs": [{"vpcId": "vpc-0123456789abcdef0"}]}


@pytest.fixture
def cloud() -> MemoryCloud:
    return MemoryCloud()


@pytest.mark.parametrize(
    ("good", "change", "expected"),
    [
        (ZONE, {"name": "example..com"}, "name: the domain name has an empty label"),
        (ZONE, {"name": "x" * 64 + ".com"}, "name: expected labels of at most 63"),
        (ZONE, {"name": ".".join(["x" * 60] * 5)}, "name: expected a domain name of 1 to 255"),
        (ZONE, {"name": "exämple.com"}, "name: expected an internationalized name in its ASCII form"),
        (ZONE, {"comment": "x" * 257}, "comment: expected a length of 0 to 256"),
        (ZONE, {"tags": {"x" * 129: "y"}}, "tags: expected a tag key"),
        (PRIVATE, {"vpcs": []}, "vpcs: expected at least one VPC"),
        (PRIVATE, {"delegationSetId": "N1"}, "delegationSetId: conflicts with vpcs"),
        (PRIVATE, {"vpcs": [{"vpcId": "net"}]}, "vpcs[0].vpcId: expected an id that starts with vpc-"),
        (PRIVATE, {"enableAcceleratedRecovery": True}, "enableAcceleratedRecovery: is only for public hosted zones"),
    ],
)
def test_a_faulty_zone_is_told(good: dict[str, Any], change: dict[str, Any], expected: str) -> None:
    check_faults(limits.ZONE, good, change, expected)


def test_what_is_not_known_yet_is_no_fault() -> None:
    inputs = {"name": UNKNOWN, "comment": UNKNOWN, "vpcs": UNKNOWN, "delegationSetId": UNKNOWN}
    assert list(AWS.kinds[limits.ZONE].check(Args(inputs))) == []


def test_a_zone_has_four_name_servers_under_four_domains_and_keeps_them(cloud: MemoryCloud) -> None:
    zone = cloud.create(limits.ZONE, name="Example.com.", enableAcceleratedRecovery=True)
    assert zone["name"] == "example.com"
    assert zone["zoneId"] == zone.id
    assert zone["arn"] == f"arn:aws:route53:::hostedzone/{zone.id}"
    assert zone["nameServers"] == sorted(zone["nameServers"])
    assert zone["primaryNameServer"] in zone["nameServers"]
    changed = cloud.update(zone, comment="moved")
    assert changed["nameServers"] == zone["nameServers"]
    assert AWS.kinds[limits.ZONE].comparable({"name": "Example.com."}) == {"name": "example.com"}


@given(st.integers(0, 10_000), st.integers(1, 511))
def test_no_two_zones_of_an_account_share_a_name_server(number: int, distance: int) -> None:
    one, other = name_servers(number), name_servers(number + distance)
    assert {server.split(".", 2)[2] for server in one} == {"com", "net", "org", "co.uk"}
    assert not set(one) & set(other)


def test_a_name_may_have_two_zones_with_name_servers_of_their_own(cloud: MemoryCloud) -> None:
    one, other = cloud.create(limits.ZONE, **ZONE), cloud.create(limits.ZONE, **ZONE)
    assert one.id != other.id
    assert not set(one["nameServers"]) & set(other["nameServers"])


def test_a_delegation_set_serves_many_zones_but_no_name_twice_and_no_child(cloud: MemoryCloud) -> None:
    shared = cloud.create(limits.DELEGATION_SET, referenceName="white-label")
    assert shared["arn"] == f"arn:aws:route53:::delegationset/{shared.id}"
    with refused("NoSuchDelegationSet"):
        cloud.create(limits.ZONE, **ZONE, delegationSetId="N0")
    one = cloud.create(limits.ZONE, **ZONE, delegationSetId=shared.id)
    assert one["nameServers"] == shared["nameServers"]
    cloud.create(limits.ZONE, name="example.net", delegationSetId=shared.id)
    for name in ("example.com", "llm.example.com"):
        with refused("ConflictingDomainExists"):
            cloud.create(limits.ZONE, name=name, delegationSetId=shared.id)
    with refused("DelegationSetInUse"):
        cloud.delete(shared)


def test_a_zone_with_records_stays_unless_it_is_forced(cloud: MemoryCloud) -> None:
    home = dns(cloud)
    record = home.record("llm")
    with refused("HostedZoneNotEmpty", "contains non-required resource record sets"):
        cloud.delete(home.zone)
    forced = cloud.update(home.zone, forceDestroy=True)
    cloud.delete(forced)
    assert cloud.get(limits.RECORD, record.id) is None


def test_an_empty_zone_goes(cloud: MemoryCloud) -> None:
    home = dns(cloud)
    cloud.delete(home.record("llm"))
    cloud.delete(home.zone)
    assert cloud.all(limits.ZONE) == []


def test_an_account_has_so_many_zones(cloud: MemoryCloud) -> None:
    cloud.set_quota("L-4EA4796A", 1)
    dns(cloud)
    with refused("TooManyHostedZones", "limit of 1 hosted zones"):
        dns(cloud, "example.net")


def test_a_public_zone_of_a_top_level_domain_is_refused(cloud: MemoryCloud) -> None:
    with refused("InvalidDomainName", "top-level domain"):
        cloud.create(limits.ZONE, name="com")


def test_a_private_zone_is_seen_by_its_vpcs(cloud: MemoryCloud) -> None:
    with refused("InvalidVPCId"):
        cloud.create(limits.ZONE, **PRIVATE)
    vpcs = [cloud.create(tokens.VPC, cidrBlock=f"10.{i}.0.0/16").id for i in range(2)]
    zone = cloud.create(limits.ZONE, name="corp", vpcs=[{"vpcId": vpcs[0]}])
    assert zone["vpcs"] == [{"vpcId": vpcs[0], "vpcRegion": "us-east-1"}]
    with refused("ConflictingDomainExists"):
        cloud.create(limits.ZONE, name="corp", vpcs=[{"vpcId": vpcs[0]}])
    with refused("LastVPCAssociation"):
        cloud.update(zone, vpcs=None)
    both = cloud.update(zone, vpcs=[{"vpcId": v} for v in vpcs])
    assert len(both["vpcs"]) == 2
    with refused("PublicZoneVPCAssociation"):
        cloud.update(dns(cloud).zone, vpcs=[{"vpcId": vpcs[0]}])
