"""Records of Route 53: what a record may say, and which records stand side by side."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.aws import AWS, tokens, zones
from sandbox.aws import route53_limits as limits
from sandbox.kinds import Args
from sandbox.values import UNKNOWN
from tests.support.aws_region import check_faults, refused
from tests.support.memory_cloud import MemoryCloud
from tests.support.route53 import Dns, dns, failover, latency, weighted

A: dict[str, Any] = {"zoneId": "Z1", "name": "llm.example.com", "type": "A", "ttl": 10, "records": ["203.0.113.7"]}
ALIAS: dict[str, Any] = {
    "zoneId": "Z1",
    "name": "llm.example.com",
    "type": "A",
    "aliases": [{"name": "a.example.com", "zoneId": "Z1", "evaluateTargetHealth": True}],
}
BAD = "InvalidChangeBatch"


@pytest.fixture
def home() -> Dns:
    return dns()


@pytest.mark.parametrize(
    ("good", "change", "expected"),
    [
        (A, {"type": "ANY"}, "type: expected one of"),
        (A, {"records": ["llm"]}, "records[0]: expected an IPv4 address"),
        (A, {"records": ["203.0.113.7", "203.0.113.7"]}, "records[1]: is given twice"),
        (A, {"type": "AAAA"}, "records[0]: expected an IPv6 address"),
        (
            A,
            {"type": "CNAME", "records": ["a.example.com", "b.example.com"]},
            "records: a record of type CNAME has one",
        ),
        (A, {"type": "CNAME", "records": ["not a host"]}, "records[0]: expected a domain name"),
        (A, {"type": "MX", "records": ["mail.example.com"]}, "records[0]: expected a priority"),
        (A, {"type": "MX", "records": ["70000 mail.example.com"]}, "records[0]: expected a priority"),
        (A, {"type": "SRV", "records": ["1 10 host.example.com"]}, "records[0]: expected priority, weight, port"),
        (A, {"type": "CAA", "records": ["0 issue ca.example.com"]}, "records[0]: expected flags"),
        (A, {"type": "TXT", "records": ['"quoted"']}, "records[0]: expected no quotation marks"),
        (A, {"type": "TXT", "records": ["x" * 256]}, "records[0]: expected strings of at most 255"),
        (A, {"type": "TXT", "records": ["é"]}, "records[0]: expected printable ASCII"),
        (A, {"type": "TXT", "records": ["x" * 4001]}, "records[0]: expected at most 4,000 characters"),
        (A, {"type": "DS", "records": ["1 2 3 xyz"]}, "records[0]: expected hex digits"),
        (A, {"type": "HTTPS", "records": ["0 . alpn=h2"]}, "records[0]: a priority of 0"),
        (A, {"ttl": -1}, "ttl: expected 0 to 2,147,483,647"),
        (A, {"ttl": None}, "ttl: is required with records"),
        (A, {"records": None}, "records: one of aliases, records"),
        (A, {"aliases": ALIAS["aliases"]}, "aliases: conflicts with records"),
        (ALIAS, {"ttl": 10}, "ttl: conflicts with aliases"),
        (ALIAS, {"aliases": ALIAS["aliases"] * 2}, "aliases: expected one alias at most"),
        (
            ALIAS,
            {"multivalueAnswerRoutingPolicy": True, "setIdentifier": "a"},
            "multivalueAnswerRoutingPolicy: conflic",
        ),
        (A, {"setIdentifier": "a"}, "setIdentifier: needs a routing policy"),
        (A, {"weightedRoutingPolicies": [{"weight": 1}]}, "weightedRoutingPolicies: needs setIdentifier"),
        (A, {**weighted("a"), **latency("a", "eu-west-1")}, "latencyRoutingPolicies: conflicts with weighted"),
        (A, weighted("a", 256), "weightedRoutingPolicies[0].weight: expected 0 to 255"),
        (A, weighted("a", -1), "weightedRoutingPolicies[0].weight: expected 0 to 255"),
        (A, weighted("x" * 129), "setIdentifier: expected a length of 1 to 128"),
        (A, latency("a", "westeurope"), "latencyRoutingPolicies[0].region: expected one of us-east-1"),
        (A, failover("a", "THIRD"), "failoverRoutingPolicies[0].type: expected one of PRIMARY, SECONDARY"),
        (A, failover("a", "PRIMARY"), "failoverRoutingPolicies[0].type: a PRIMARY record that is no alias needs"),
        (
            ALIAS,
            {**failover("a", "PRIMARY"), "aliases": [{**ALIAS["aliases"][0], "evaluateTargetHealth": False}]},
            "failoverRoutingPolicies[0].type: a PRIMARY alias needs evaluateTargetHealth",
        ),
        (
            A,
            {"type": "NS", "records": ["ns.example.org"], **weighted("a")},
            "weightedRoutingPolicies: is not supported",
        ),
        (
            A,
            {
                "type": "CNAME",
                "records": ["a.example.org"],
                "setIdentifier": "a",
                "multivalueAnswerRoutingPolicy": True,
            },
            "multivalueAnswerRoutingPolicy: is not supported by records of type CNAME",
        ),
        (A, {"setIdentifier": "a", "geolocationRoutingPolicies": [{}]}, "geolocationRoutingPolicies[0]: one of"),
        (
            A,
            {"setIdentifier": "a", "geolocationRoutingPolicies": [{"continent": "EU", "country": "DE"}]},
            "geolocationRoutingPolicies[0].continent: conflicts with country",
        ),
        (
            A,
            {"setIdentifier": "a", "geoproximityRoutingPolicy": {"awsRegion": "eu-west-1", "bias": 100}},
            "geoproximityRoutingPolicy.bias: expected -99 to 99",
        ),
        (
            A,
            {"setIdentifier": "a", "geoproximityRoutingPolicy": {"bias": 1}},
            "geoproximityRoutingPolicy: expected one",
        ),
        (A, {"name": "a..example.com"}, "name: the domain name has an empty label"),
        (A, {"name": "a b.example.com"}, "name: a domain name has no spaces"),
    ],
)
def test_a_faulty_record_is_told(good: dict[str, Any], change: dict[str, Any], expected: str) -> None:
    check_faults(limits.RECORD, good, change, expected)


@pytest.mark.parametrize(
    ("record_type", "value"),
    [
        ("AAAA", "2001:db8::1"),
        ("CAA", '0 issue "letsencrypt.org"'),
        ("CNAME", "_acme.example.org."),
        ("DS", "12345 3 1 123456789abcdef67890123456789abcdef67890"),
        ("HTTPS", '1 . alpn="h3,h2" port=8443'),
        ("MX", "10 mail.example.org."),
        ("NAPTR", '100 50 "u" "E2U+sip" "!^.*$!sip:info@example.com!" .'),
        ("NS", "ns1.example.org."),
        ("PTR", "host.example.org"),
        ("SRV", "1 10 5269 xmpp.example.org."),
        ("SSHFP", "1 1 09F6A01D2175742B257C6B98B7C72C44C4040683"),
        ("SVCB", "0 pool.example.org"),
        ("TLSA", "3 1 1 0123456789abcdef"),
        ("TXT", 'v=spf1 include:example.org" " -all'),
    ],
)
def test_a_value_in_the_form_of_its_type_is_taken(record_type: str, value: str) -> None:
    assert MemoryCloud().faults(limits.RECORD, **{**A, "type": record_type, "records": [value]}) == []


@pytest.mark.parametrize(
    "inputs",
    [
        {**A, "records": UNKNOWN},
        {**A, "records": [UNKNOWN], "ttl": UNKNOWN, "type": UNKNOWN, "zoneId": UNKNOWN},
        {**ALIAS, "aliases": [{"name": UNKNOWN, "zoneId": UNKNOWN, "evaluateTargetHealth": True}]},
        {**ALIAS, "aliases": UNKNOWN, **failover("a", "PRIMARY")},
        {**A, **failover("a", "PRIMARY"), "healthCheckId": UNKNOWN},
        {**A, "weightedRoutingPolicies": UNKNOWN, "setIdentifier": UNKNOWN},
        {**A, "setIdentifier": "a", "latencyRoutingPolicies": [{"region": UNKNOWN}]},
        {**A, "setIdentifier": "a", "geolocationRoutingPolicies": [{"country": UNKNOWN, "subdivision": "CA"}]},
    ],
)
def test_what_is_not_known_yet_is_no_fault(inputs: dict[str, Any]) -> None:
    assert list(AWS.kinds[limits.RECORD].check(Args(inputs))) == []


def test_a_record_has_the_providers_id_and_full_name(home: Dns) -> None:
    plain = home.record("LLM.Example.com.")
    assert (plain.id, plain["fqdn"], plain["name"]) == (
        f"{home.zone.id}_llm.example.com._A",
        "llm.example.com",
        "llm.example.com",
    )
    short = home.record("api", **weighted("blue"))
    assert (short.id, short["fqdn"]) == (f"{home.zone.id}_api_A_blue", "api.example.com")
    assert home.record("*")["fqdn"] == "*.example.com"
    assert home.record("\\052.pool")["fqdn"] == "*.pool.example.com"


def test_a_name_of_another_domain_gets_the_zone_behind_it_and_one_that_only_ends_alike_is_refused(home: Dns) -> None:
    assert home.record("llm.example.org")["fqdn"] == "llm.example.org.example.com"
    with refused(BAD, "is not permitted in zone example.com."):
        home.record("notexample.com")


def test_the_same_name_and_type_twice_is_refused_unless_the_second_overwrites(home: Dns) -> None:
    home.record("llm")
    with refused(BAD, "[name='llm.example.com.', type='A'] but it already exists"):
        home.record("LLM.example.com.")
    second = home.record("LLM.example.com", allowOverwrite=True, records=["203.0.113.8"])
    assert [r.id for r in home.cloud.all(limits.RECORD)] == [second.id]


def test_a_set_identifier_tells_records_of_one_name_apart(home: Dns) -> None:
    home.record("llm", **weighted("a"))
    home.record("llm", **weighted("b"))
    with refused(BAD, "set-identifier='a'] but it already exists"):
        home.record("llm", **weighted("a", 7))


@pytest.mark.parametrize("record_type", ["NS", "SOA"])
def test_the_zones_own_records_exist_from_the_start(home: Dns, record_type: str) -> None:
    own = {
        "NS": "ns-1.awsdns-00.com",
        "SOA": "ns-1.awsdns-00.com. awsdns-hostmaster.amazon.com. 1 7200 900 1209600 86400",
    }
    with refused(BAD, "but it already exists"):
        home.record("example.com", type=record_type, records=[own[record_type]])
    home.record("", type=record_type, records=[own[record_type]], allowOverwrite=True)
    home.cloud.delete(home.zone)


@pytest.mark.parametrize(
    ("first", "second", "text"),
    [
        ({}, weighted("b"), "non-weighted set exists"),
        (weighted("a"), {}, "cannot be created as other RRSets exist with the same name and type"),
        (weighted("a"), latency("b", "eu-west-1"), "non-latency RRSet exists"),
        (latency("a", "eu-west-1"), weighted("b"), "non-weighted set exists"),
        (failover("a", "SECONDARY"), weighted("b"), "non-weighted set exists"),
        (weighted("a"), failover("b", "SECONDARY"), "non-failover set exists"),
        (latency("a", "eu-west-1"), latency("b", "eu-west-1"), "same name, type and region already exists"),
        (failover("a", "SECONDARY"), failover("b", "SECONDARY"), "a secondary failover RRSet with the same name"),
        (weighted("a"), {**weighted("b"), "ttl": 60}, "weighted sets must contain the same TTL"),
        (
            {"setIdentifier": "a", "multivalueAnswerRoutingPolicy": True},
            weighted("b"),
            "non-weighted set exists",
        ),
        (
            {"setIdentifier": "a", "geolocationRoutingPolicies": [{"country": "DE"}]},
            {"setIdentifier": "b", "geolocationRoutingPolicies": [{"country": "DE"}]},
            "geolocation RRSet with the same name, type and location",
        ),
    ],
)
def test_records_that_do_not_go_together_are_refused(
    home: Dns, first: dict[str, Any], second: dict[str, Any], text: str
) -> None:
    home.record("llm", **first)
    with refused(BAD, text):
        home.record("llm", **second)
    home.record("other", **second)


def test_there_is_one_primary(home: Dns) -> None:
    check = home.check()
    home.record("llm", **failover("a", "PRIMARY"), healthCheckId=check.id)
    home.record("llm", **failover("b", "SECONDARY"))
    with refused(BAD, "a primary failover RRSet"):
        home.record("llm", **failover("c", "PRIMARY"), healthCheckId=check.id)


def test_a_hundred_weighted_records_share_a_name(home: Dns) -> None:
    for i in range(100):
        home.record("llm", **weighted(str(i)))
    with refused(BAD, "100 weighted records"):
        home.record("llm", **weighted("100"))


def test_a_cname_stands_alone_and_never_at_the_apex(home: Dns) -> None:
    cname = {"type": "CNAME", "records": ["host.example.org"]}
    home.record("a")
    with refused(BAD, "conflicts with other records with the same DNS name in zone example.com."):
        home.record("a", **cname)
    home.record("b", **cname)
    with refused(BAD, "because a conflicting RRSet of type CNAME"):
        home.record("b")
    with refused(BAD, "not permitted at apex in zone example.com."):
        home.record("example.com", **cname)
    home.record("c", **cname, **weighted("1"))
    home.record("c", **cname, **weighted("2"))


def test_a_health_check_has_to_exist_and_may_go_while_records_use_it(home: Dns) -> None:
    with refused("NoSuchHealthCheck"):
        home.record("llm", healthCheckId="01234567-89ab-cdef-0123-456789abcdef")
    check = home.check()
    home.record("llm", healthCheckId=check.id)
    home.cloud.delete(check)


def test_an_alias_leads_to_a_record_of_the_zone_with_its_type(home: Dns) -> None:
    with refused(BAD, "targets aws.llm.example.com., type A in zone"):
        home.alias("llm", "aws.llm.example.com")
    home.record("aws.llm", type="AAAA", records=["2001:db8::1"])
    with refused(BAD, "but that target was not found"):
        home.alias("llm", "aws.llm.example.com")
    target = home.record("aws.llm", **weighted("1"))
    alias = home.alias("llm", "AWS.llm.example.com.", **weighted("1"))
    assert alias["aliases"][0]["name"] == "aws.llm.example.com"
    home.alias("top", "llm.example.com", **failover("p", "PRIMARY"))
    home.cloud.delete(target)  # Route 53 lets it go, and the alias answers nothing


def test_an_alias_to_another_zone_to_itself_or_in_a_circle_is_refused(home: Dns) -> None:
    other = dns(home.cloud, "example.net")
    other.record("llm")
    with refused(BAD, "cannot lead to a record of another hosted zone"):
        home.alias("llm", "llm.example.net", zone_id=other.zone.id)
    with refused(BAD, "does not lie within the target zone"):
        home.alias("llm", "llm.example.net")
    with refused(BAD, "its own name"):
        home.alias("llm", "llm.example.com")
    home.record("a")
    b = home.alias("b", "a.example.com")
    c = home.alias("c", "b.example.com")
    with refused(BAD, "leads back to b.example.com."):
        entry = {"name": "c.example.com", "zoneId": home.zone.id, "evaluateTargetHealth": True}
        home.cloud.update(b, aliases=[entry])
    assert c["fqdn"] == "c.example.com"


def test_an_alias_to_a_balancer_names_its_host_and_its_hosted_zone(home: Dns) -> None:
    zone_id = zones.balancer_zone_id("eu-west-1", "network")
    name = "spillway-0123456789abcdef.elb.eu-west-1.amazonaws.com"
    with refused(BAD, "but that target was not found"):
        home.alias("llm", name, zone_id=zone_id)
    home.cloud.in_region("eu-west-1").stand_in(tokens.LOAD_BALANCER, "arn:1", dnsName=name)
    home.alias("llm", name, zone_id=zone_id)
    home.alias("llm", f"dualstack.{name}", zone_id=zone_id, type="AAAA")
    for wrong in ("203.0.113.7", "spillway-0123456789abcdef.elb.us-east-1.amazonaws.com", "lb.example.com"):
        with refused(BAD, "does not lie within the target zone"):
            home.alias("other", wrong, zone_id=zone_id)
    with refused(BAD, "does not lie within the target zone"):
        home.alias("other", name, zone_id="Z00000000000000000000")
    with refused(BAD, "is of type A or AAAA"):
        home.alias("other", name, zone_id=zone_id, type="TXT")


def test_aliases_to_other_services_have_their_own_rules(home: Dns) -> None:
    home.alias("cdn", "d111111abcdef8.cloudfront.net", zone_id="Z2FDTNDATAQYW2", health=False)
    with refused(BAD, "EvaluateTargetHealth cannot be set to true"):
        home.alias("cdn2", "d111111abcdef8.cloudfront.net", zone_id="Z2FDTNDATAQYW2")
    home.alias("fast", "a1234567890abcdef.awsglobalaccelerator.com", zone_id="Z2BJ6XQ5FK7U4H")
    home.alias("api", "d-0123456789.execute-api.eu-west-1.amazonaws.com", zone_id="ZLY8HYME6SFDD")
    with refused(BAD, "does not lie within the target zone"):
        home.alias("fast2", "llm.example.org", zone_id="Z2BJ6XQ5FK7U4H")


def test_another_type_or_set_identifier_changes_the_record_in_place(home: Dns) -> None:
    record = home.record("llm", **weighted("blue"))
    changed = home.cloud.update(record, setIdentifier="green")
    assert changed.id == record.id
    again = home.record("llm", **weighted("blue"))
    assert again.id != changed.id
    assert len(home.cloud.all(limits.RECORD)) == 2
    with refused(BAD, "set-identifier='blue'] but it already exists"):
        home.cloud.update(changed, setIdentifier="blue")
    alone = home.record("api")
    assert home.cloud.update(alone, type="AAAA", records=["2001:db8::1"])["type"] == "AAAA"


def test_a_policy_or_ttl_cannot_change_while_others_keep_it(home: Dns) -> None:
    first = home.record("llm", **weighted("a"))
    second = home.record("llm", **weighted("b"))
    with refused(BAD, "weighted sets must contain the same TTL"):
        home.cloud.update(first, ttl=20)
    with refused(BAD, "non-latency RRSet"):
        home.cloud.update(first, weightedRoutingPolicies=None, latencyRoutingPolicies=[{"region": "eu-west-1"}])
    home.cloud.delete(second)
    assert home.cloud.update(first, ttl=20)["ttl"] == 20


def test_a_zone_is_full_after_its_quota(home: Dns) -> None:
    home.cloud.set_quota("L-E209CC9F", 4)
    home.record("a")
    home.record("b")
    with refused(BAD, "Number of records limit of 4 exceeded."):
        home.record("c")


def test_a_record_needs_its_zone(home: Dns) -> None:
    with refused("NoSuchHostedZone", "No hosted zone found with ID: Z00"):
        home.record("llm", zoneId="Z00")
    assert home.record("llm", zoneId=f"/hostedzone/{home.zone.id}")["fqdn"] == "llm.example.com"


def test_spellings_of_one_name_are_no_change() -> None:
    kind = AWS.kinds[limits.RECORD]
    one = {**ALIAS, "name": "LLM.example.com.", "zoneId": "/hostedzone/Z1"}
    assert kind.comparable(one) == kind.comparable(ALIAS)
    assert kind.comparable({**ALIAS, "name": "\\052.example.com"}) == kind.comparable(
        {**ALIAS, "name": "*.example.com"}
    )
    assert kind.comparable({**A, "name": UNKNOWN, "zoneId": UNKNOWN}) == {**A, "name": UNKNOWN, "zoneId": UNKNOWN}
