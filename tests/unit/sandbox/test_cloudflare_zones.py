"""Zones, records and data sources of the stand-in Cloudflare."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.cloudflare import CLOUDFLARE, tokens
from sandbox.cloudflare.dns_records import full_name
from sandbox.kinds import Args
from tests.support.aws_region import refused
from tests.support.cloudflare import ACCOUNT, BUSINESS, ENTERPRISE, FREE, ID, OTHER_ACCOUNT, check_faults, empty, site

ZONE: dict[str, Any] = {"name": "example.com", "account": {"id": ACCOUNT}}
RECORD: dict[str, Any] = {"zoneId": ID, "name": "www", "type": "A", "content": "203.0.113.1", "ttl": 300}
MX: dict[str, Any] = {**RECORD, "type": "MX", "content": "mail.example.com", "priority": 10}
CAA: dict[str, Any] = {"zoneId": ID, "name": "@", "type": "CAA", "ttl": 1}
ISSUE = {"flags": 0, "tag": "issue", "value": "letsencrypt.org"}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"name": "Example.com"}, "name: expected a domain name in lower case"),
        ({"name": "com"}, "name: expected a domain name"),
        ({"account": {}}, "account.id: is required"),
        ({"account": {"id": "me"}}, "account.id: expected an id of 32 hex digits"),
        ({"type": "primary"}, "type: expected one of full, partial, secondary, internal"),
        ({"vanityNameServers": ["ns1"]}, "vanityNameServers[0]: expected a host name"),
    ],
)
def test_a_zone_is_checked(change: dict[str, Any], expected: str) -> None:
    check_faults(tokens.ZONE, ZONE, change, expected)


def test_a_zone_is_unique_in_its_account_and_waits_for_its_delegation() -> None:
    cloud = empty()
    zone = cloud.create(tokens.ZONE, **ZONE)
    assert zone["status"] == "pending"
    assert len(zone["nameServers"]) == 2
    assert all(server.endswith(".ns.cloudflare.com") for server in zone["nameServers"])
    assert zone["plan"]["legacyId"] == "enterprise"
    with refused("1061", "example.com already exists"):
        cloud.create(tokens.ZONE, **ZONE)
    cloud.create(tokens.ZONE, name="example.com", account={"id": OTHER_ACCOUNT})
    paused = cloud.update(zone, paused=True)
    assert paused["nameServers"] == zone["nameServers"]


@pytest.mark.parametrize(("kind", "plan"), [("partial", FREE), ("secondary", BUSINESS), ("internal", BUSINESS)])
def test_kinds_of_zones_need_their_plan(kind: str, plan: int) -> None:
    with refused("1002", "plan"):
        empty(plan).create(tokens.ZONE, **ZONE, type=kind)
    assert empty(ENTERPRISE).create(tokens.ZONE, **ZONE, type=kind)["type"] == kind


def test_a_zone_takes_along_what_is_in_it() -> None:
    net = site()
    pool = net.pool()
    net.balancer(pool)
    net.record()
    net.cloud.delete(net.zone)
    assert not net.cloud.all(tokens.DNS_RECORD)
    assert not net.cloud.all(tokens.LOAD_BALANCER)
    net.cloud.delete(pool)


@pytest.mark.parametrize(
    ("good", "change", "expected"),
    [
        (RECORD, {"type": "ALIAS"}, "type: expected one of A, AAAA, CNAME"),
        (RECORD, {"name": "a b"}, 'name: expected "@", a name in the zone'),
        (RECORD, {"ttl": 0}, "ttl: expected 1 (automatic) or 30 to 86,400"),
        (RECORD, {"ttl": 10}, "ttl: expected 1 (automatic) or 30 to 86,400"),
        (RECORD, {"ttl": 86401}, "ttl: expected 1 (automatic) or 30 to 86,400"),
        (RECORD, {"proxied": True}, "ttl: must be set to 1 when proxied is true"),
        (RECORD, {"content": "203.0.113"}, "content: content for A record must be a valid IPv4 address"),
        (RECORD, {"type": "AAAA"}, "content: content for AAAA record must be a valid IPv6 address"),
        (RECORD, {"type": "CNAME"}, "content: content for CNAME record must be a full host name"),
        (RECORD, {"content": None}, "content: is required for A records"),
        (RECORD, {"priority": 10}, "priority: goes with MX, SRV and URI records only"),
        (RECORD, {"type": "TXT", "content": "x" * 2049}, "content: content for TXT record must be at most"),
        (RECORD, {"content": "10.0.0.1", "proxied": True, "ttl": 1}, "content: cannot be proxied"),
        (RECORD, {"tags": ["owner"]}, "tags[0]: expected a tag of the form name:value"),
        (RECORD, {"data": ISSUE}, "data: conflicts with content"),
        (MX, {"priority": None}, "priority: is required for MX records"),
        (MX, {"priority": 70000}, "priority: expected 0 to 65,535"),
        (MX, {"proxied": True, "ttl": 1}, "proxied: only A, AAAA, CNAME records can be proxied"),
        (MX, {"content": "192.0.2.1"}, "content: content for MX record must be a full host name"),
        ({**CAA, "data": ISSUE}, {"data": None}, "data: is required for CAA records"),
        ({**CAA, "data": ISSUE}, {"data": {"flags": 0, "tag": "issue"}}, "data.value: is required for CAA records"),
        (RECORD, {"settings": {"flattenCname": True}}, "settings.flattenCname: goes with CNAME records"),
        (RECORD, {"settings": {"ipv4Only": True}}, "settings.ipv4Only: goes with proxied records only"),
    ],
)
def test_a_record_is_checked(good: dict[str, Any], change: dict[str, Any], expected: str) -> None:
    check_faults(tokens.DNS_RECORD, good, change, expected)


def test_a_short_ttl_is_for_enterprise() -> None:
    site(ENTERPRISE).record(ttl=30)
    with refused("9021", "TTL must be between 60 and 86400 seconds, or 1 for Automatic."):
        site(BUSINESS).record(ttl=30)
    site(BUSINESS).record(ttl=60)


def test_an_identical_record_is_refused_however_it_is_written() -> None:
    net = site()
    net.record(name="www")
    net.record(name="www", content="203.0.113.10")
    with refused("81058", "An identical record already exists."):
        net.record(name="WWW.example.com.")


def test_a_cname_stands_alone() -> None:
    net = site()
    net.record(name="a")
    net.record(name="b", type="CNAME", content="a.example.com")
    with refused("81053", "An A, AAAA, or CNAME record with that host already exists."):
        net.record(name="a", type="CNAME", content="b.example.com")
    with refused("81053"):
        net.record(name="b", type="CNAME", content="c.example.com")
    with refused("81054", "A CNAME record with that host already exists."):
        net.record(name="b")
    net.record(name="b", type="TXT", content="beside")
    with refused("9039"):
        net.record(name="c", type="CNAME", content="c.example.com")


def test_the_number_of_records_is_the_plans() -> None:
    net = site(FREE)
    net.cloud.set_quota("dns-records", 1)
    net.record()
    with refused("81045", "Record quota exceeded"):
        net.record(name="more")


def test_tags_and_long_comments_are_the_plans() -> None:
    with refused("9300"):
        site(FREE).record(tags=["owner:me"])
    with refused("9301"):
        site(FREE).record(comment="x" * 101)
    made = site(BUSINESS).record(tags=["owner:me"], comment="x" * 101)
    assert made["tagsModifiedOn"]
    assert made["commentModifiedOn"]


def test_a_record_needs_its_zone() -> None:
    with refused("7003"):
        empty().create(tokens.DNS_RECORD, **RECORD)


label = st.from_regex(r"[a-z]([a-z0-9-]{0,10}[a-z0-9])?", fullmatch=True)


@given(st.lists(label, max_size=3))
def test_a_relative_name_and_its_whole_name_are_one(labels: list[str]) -> None:
    relative = ".".join(labels)
    whole = full_name(relative, "example.com")
    assert whole == full_name(whole, "example.com") == full_name(f"{whole}.".upper(), "example.com")
    assert whole.endswith("example.com")


def test_settings_of_a_zone_are_known_ones_with_their_values() -> None:
    good = {"zoneId": ID, "settingId": "ssl", "value": "strict"}
    check_faults(tokens.ZONE_SETTING, good, {"settingId": "tls"}, 'settingId: "tls" is no setting')
    check_faults(tokens.ZONE_SETTING, good, {"value": "on"}, "value: expected one of off, flexible, full, strict")
    timeout = {"settingId": "proxy_read_timeout"}
    check_faults(tokens.ZONE_SETTING, {**good, **timeout, "value": 600}, {"value": 6001}, "value: expected 1 to 6,000")
    net = site(BUSINESS)
    with refused("1002", "the setting proxy_read_timeout needs the enterprise plan"):
        net.cloud.create(tokens.ZONE_SETTING, zoneId=net.zone.id, **timeout, value=600)
    net.cloud.create(tokens.ZONE_SETTING, zoneId=net.zone.id, settingId="ssl", value="strict")


def test_dnssec_of_a_zone_is_managed_once() -> None:
    net = site()
    made = net.cloud.create(tokens.ZONE_DNSSEC, zoneId=net.zone.id, status="active")
    assert made["ds"].startswith("example.com. 3600 IN DS ")
    with refused("1003"):
        net.cloud.create(tokens.ZONE_DNSSEC, zoneId=net.zone.id)


def invoke(name: str, net: Any, **inputs: Any) -> dict[str, Any]:
    return CLOUDFLARE.invokes[f"cloudflare:index/{name}:{name}"](Args(inputs), net.cloud)


def test_a_zone_is_found_by_id_and_by_name() -> None:
    net = site()
    assert invoke("getZone", net, zoneId=net.zone.id)["name"] == "example.com"
    assert invoke("getZone", net, filter={"match": "all", "name": "example.com"})["zoneId"] == net.zone.id
    with refused("7003"):
        invoke("getZone", net, zoneId=ID)
    with refused("7003"):
        invoke("getZone", net, filter={"match": "all", "name": "example.net"})
    with refused("InvalidAttribute"):
        invoke("getZone", net)


def test_pools_are_found_by_account_id_and_monitor() -> None:
    net = site()
    pool = net.pool()
    net.pool("theirs", accountId=OTHER_ACCOUNT, monitor=None)
    assert [p["id"] for p in invoke("getLoadBalancerPools", net, accountId=ACCOUNT)["results"]] == [pool.id]
    assert invoke("getLoadBalancerPool", net, accountId=ACCOUNT, poolId=pool.id)["name"] == "first"
    with refused("1001"):
        invoke("getLoadBalancerPool", net, accountId=OTHER_ACCOUNT, poolId=pool.id)


def test_cloudflares_own_addresses_are_networks() -> None:
    found = invoke("getIpRanges", site())
    assert "104.16.0.0/13" in found["ipv4Cidrs"]
    assert all("/" in network for network in found["ipv4Cidrs"] + found["ipv6Cidrs"])
