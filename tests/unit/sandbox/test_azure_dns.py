"""Azure DNS zones and record sets."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.azure_native import tokens
from sandbox.values import UNKNOWN
from tests.support.aws_region import refused
from tests.support.azure import GROUP, Azure, faults, record

ZONE = {"resourceGroupName": GROUP, "zoneName": "example.com", "location": "global", "zoneType": "Public"}
A = record("A", aRecords=[{"ipv4Address": "198.51.100.10"}])
CNAME = record("CNAME", cnameRecord={"cname": "spillway.trafficmanager.net"})
PROFILE_ID = (
    "/subscriptions/00000000-0000-4000-8000-000000000000/resourceGroups/spillway-global/providers/Microsoft.Network/"
    "trafficManagerProfiles/p"
)
ADDRESS = {"aRecords": [{"ipv4Address": "198.51.100.10"}]}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"zoneName": "example.com."}, "zoneName: expected a domain name"),
        ({"zoneName": "example"}, "zoneName: expected a domain name of 2 to 34 labels"),
        ({"zoneName": ".".join("a" * 35)}, "zoneName: expected a domain name"),
        ({"location": "westeurope"}, "location: expected global"),
        ({"location": None}, "location: is required"),
        ({"tags": {f"k{i}": "" for i in range(16)}}, "tags: expected at most 15 tags"),
        ({"resolutionVirtualNetworks": [{"id": "x"}]}, "resolutionVirtualNetworks: is only for zones of zoneType Priv"),
    ],
)
def test_a_zone_is_checked(change: dict[str, Any], expected: str) -> None:
    found = faults(tokens.ZONE, ZONE, **change)
    assert [line for line in found if line.startswith(expected)], found


@pytest.mark.parametrize(
    ("good", "change", "expected"),
    [
        (A, {"recordType": "ALIAS"}, "recordType: expected one of A, AAAA"),
        (A, {"ttl": None}, "ttl: is required"),
        (A, {"ttl": 0}, "ttl: expected 1 to 2,147,483,647 seconds"),
        (A, {"relativeRecordSetName": "llm.example.com."}, "relativeRecordSetName: expected @"),
        (A, {"relativeRecordSetName": "a.*"}, "relativeRecordSetName: expected @"),
        (A, {"aRecords": [{"ipv4Address": "300.0.0.1"}]}, "aRecords[0].ipv4Address: expected an IPv4 address"),
        (A, {"aRecords": [{}]}, "aRecords[0].ipv4Address: expected an IPv4 address"),
        (A, {"aRecords": ADDRESS["aRecords"] * 2}, "aRecords[1]: is in the record set already"),
        (
            A,
            {"aRecords": [{"ipv4Address": f"198.51.100.{i}"} for i in range(21)]},
            "aRecords: expected a length of 0 to 20",
        ),
        (A, {"cnameRecord": {"cname": "a.b"}}, "cnameRecord: does not fit the record type A"),
        (A, {"targetResource": {"id": PROFILE_ID}}, "aRecords: conflicts with targetResource"),
        (CNAME, {"relativeRecordSetName": "@"}, "relativeRecordSetName: a CNAME record cannot be at the zone apex"),
        (CNAME, {"cnameRecord": None}, "cnameRecord: is required for the record type CNAME"),
        (CNAME, {"cnameRecord": {"cname": "198.51.100.10"}}, "cnameRecord.cname: expected a domain name"),
        (
            record("AAAA", aaaaRecords=[{"ipv6Address": "2001:db8::1"}]),
            {"aaaaRecords": [{"ipv6Address": "198.51.100.1"}]},
            "aaaaRecords[0].ipv6Address: expected an IPv6 address",
        ),
        (
            record("TXT", txtRecords=[{"value": ["v=spf1 -all"]}]),
            {"txtRecords": [{"value": ["a" * 256]}]},
            "txtRecords[0].value: expected strings",
        ),
        (
            record("MX", "@", mxRecords=[{"exchange": "mail.example.com", "preference": 10}]),
            {"mxRecords": [{"exchange": "mail.example.com", "preference": 65536}]},
            "mxRecords[0].preference: expected 0 to 65,535",
        ),
        (
            record("CAA", "@", caaRecords=[{"flags": 0, "tag": "issue", "value": "letsencrypt.org"}]),
            {"caaRecords": [{"flags": 0, "tag": "allow", "value": "x"}]},
            "caaRecords[0].tag: expected one of issue",
        ),
        (
            record("SRV", srvRecords=[{"priority": 1, "weight": 1, "port": 443, "target": "a.example.com"}]),
            {"srvRecords": [{"priority": 1, "weight": 1, "port": 70000, "target": "a.example.com"}]},
            "srvRecords[0].port: expected 0 to 65,535",
        ),
        (
            record("TXT", txtRecords=[{"value": ["a"]}]),
            {"targetResource": {"id": PROFILE_ID}},
            "targetResource: an alias record set is of type A, AAAA, CNAME",
        ),
        (
            record("A", "@", targetResource={"id": PROFILE_ID}),
            {"targetResource": {"id": "p"}},
            "targetResource.id: expected the id of an Azure resource",
        ),
        (
            record("A", "@", targetResource={"id": PROFILE_ID}),
            {"trafficManagementProfile": {"id": PROFILE_ID}},
            "trafficManagementProfile: conflicts with targetResource",
        ),
    ],
)
def test_a_record_set_is_checked(good: dict[str, Any], change: dict[str, Any], expected: str) -> None:
    found = faults(tokens.RECORD_SET, good, **change)
    assert [line for line in found if line.startswith(expected)], found


def test_what_is_not_known_yet_trips_no_rule() -> None:
    assert faults(tokens.RECORD_SET, A, aRecords=UNKNOWN, ttl=UNKNOWN, zoneName=UNKNOWN) == []
    assert faults(tokens.RECORD_SET, A, aRecords=[{"ipv4Address": UNKNOWN}, UNKNOWN], recordType=UNKNOWN) == []
    assert faults(tokens.RECORD_SET, CNAME, cnameRecord={"cname": UNKNOWN}) == []
    assert faults(tokens.RECORD_SET, A, aRecords=None, targetResource={"id": UNKNOWN}) == []
    assert faults(tokens.ZONE, ZONE, zoneName=UNKNOWN, location=UNKNOWN, tags=UNKNOWN) == []


def test_a_zone_reads_like_one_of_azure() -> None:
    cloud = Azure()
    zone = cloud.zone()
    assert zone.id.endswith("/providers/Microsoft.Network/dnsZones/example.com")
    assert zone["nameServers"] == [
        "ns1-01.azure-dns.com.",
        "ns2-01.azure-dns.net.",
        "ns3-01.azure-dns.org.",
        "ns4-01.azure-dns.info.",
    ]
    assert zone["numberOfRecordSets"] == 2
    assert cloud.update(zone, tags={"team": "platform"})["nameServers"] == zone["nameServers"]


def test_a_record_set_reads_like_one_of_azure() -> None:
    cloud = Azure()
    cloud.zone()
    made = cloud.record("A", **ADDRESS)
    assert made.id.endswith("/dnsZones/example.com/A/llm")
    assert (made["fqdn"], made["type"], made["name"]) == ("llm.example.com.", "Microsoft.Network/dnszones/A", "llm")
    assert cloud.record("A", "@", **ADDRESS)["fqdn"] == "example.com."


def test_zones_of_one_name_may_stand_in_two_groups() -> None:
    cloud = Azure()
    cloud.zone()
    with refused("AlreadyExists"):
        cloud.zone("EXAMPLE.com")
    cloud.create(tokens.RESOURCE_GROUP, resourceGroupName="other", location="westeurope")
    other = cloud.create(tokens.ZONE, resourceGroupName="other", zoneName="example.com", location="global")
    assert other["nameServers"] != cloud.all(tokens.ZONE)[0]["nameServers"]


def test_records_need_their_zone_and_go_with_it() -> None:
    cloud = Azure()
    with refused("ParentResourceNotFound", "dnsZones/example.com"):
        cloud.record("A", **ADDRESS)
    zone = cloud.zone()
    cloud.record("A", **ADDRESS)
    cloud.delete(zone)
    assert cloud.all(tokens.RECORD_SET) == []


def test_a_cname_stands_alone() -> None:
    cloud = Azure()
    cloud.zone()
    cloud.record("A", **ADDRESS)
    target = {"cnameRecord": {"cname": "spillway.trafficmanager.net"}}
    with refused("Conflict", "The CNAME record could not be created because another record"):
        cloud.record("CNAME", "LLM", **target)
    cloud.record("CNAME", "eu", **target)
    with refused("Conflict", "because a CNAME record with the same name already exists"):
        cloud.record("TXT", "eu", txtRecords=[{"value": ["x"]}])


def test_what_the_zone_is_made_with_is_not_made_again() -> None:
    cloud = Azure()
    cloud.zone()
    with refused("AlreadyExists"):
        cloud.record("NS", "@", nsRecords=[{"nsdname": "ns1-01.azure-dns.com."}])
    cloud.record("NS", "sub", nsRecords=[{"nsdname": "ns1-01.azure-dns.com."}])
    with refused("AlreadyExists"):
        cloud.record("NS", "SUB", nsRecords=[{"nsdname": "ns1-02.azure-dns.com."}])


def test_quotas_hold() -> None:
    cloud = Azure()
    cloud.set_quota("dnsZones", 1)
    cloud.set_quota("dnsRecordSets", 3)
    cloud.zone()
    with refused("Forbidden", "limit of 1 DNS zones"):
        cloud.zone("example.org")
    cloud.record("A", **ADDRESS)
    with refused("Forbidden", "limit of 3 record sets"):
        cloud.record("A", "two", **ADDRESS)


def test_an_alias_at_the_apex_takes_a_profile_of_addresses_only() -> None:
    cloud = Azure()
    cloud.zone()
    flat, parent = cloud.profile("flat"), cloud.profile("parent")
    cloud.external("flat", "198.51.100.10")
    cloud.nested("parent", cloud.profile("child"))
    with refused("BadRequest", "needs a profile with external endpoints of IPv4Address only, endpoint 'child'"):
        cloud.record("A", "@", targetResource={"id": parent.id})
    with refused("BadRequest", "external endpoints of IPv6Address only"):
        cloud.record("AAAA", "@", targetResource={"id": flat.id})
    alias = cloud.record("A", "@", targetResource={"id": flat.id.upper()})
    with refused("BadRequest", "A DNS alias record set of type A"):
        cloud.nested("flat", cloud.profile("other"))
    cloud.record("CNAME", "parent", trafficManagementProfile={"id": parent.id})
    cloud.delete(flat)
    emptied = next(r for r in cloud.all(tokens.RECORD_SET) if r.id == alias.id)
    assert emptied["targetResource"] == {}


def test_an_alias_needs_its_target() -> None:
    cloud = Azure()
    cloud.zone()
    with refused("BadRequest", "could not be found"):
        cloud.record("A", "@", targetResource={"id": PROFILE_ID})
    one = cloud.record("A", "one", **ADDRESS)
    cloud.record("A", "two", targetResource={"id": one.id})
    with refused("BadRequest", "its own zone and type only"):
        cloud.record("AAAA", "three", targetResource={"id": one.id})
    with refused("BadRequest", "could not be found"):
        cloud.record("A", "three", targetResource={"id": one.id.replace("/one", "/gone")})


def test_a_resource_has_at_most_twenty_aliases() -> None:
    cloud = Azure()
    cloud.zone()
    flat = cloud.profile("flat")
    for i in range(20):
        cloud.record("A", f"a{i}", targetResource={"id": flat.id})
    with refused("BadRequest", "at most 20 alias record sets"):
        cloud.record("A", "a20", targetResource={"id": flat.id})
