"""Recovery in Route 53 without an engine: whose a record is, and what AWS is asked."""

from __future__ import annotations

from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from hypothesis import given
from hypothesis import strategies as st

from spillway.errors import SpillwayError
from spillway.recovery import aws, aws_types, route53
from spillway.recovery.aws_route53 import Route53Inventory
from spillway.recovery.aws_types import HEALTH_CHECK, RECORD, RULES, ZONE, record_id
from spillway.recovery.match import Decision, decide
from spillway.recovery.model import UNKNOWN, Existing, Planned, Scope
from spillway.recovery.route53 import Record
from spillway.recovery.state import State

STACK = "urn:pulumi:global::spillway::pulumi:pulumi:Stack::spillway-global"
ZONE_URN = "urn:pulumi:global::spillway::spillway:dns:Route53$aws:route53/zone:Zone::global-zone"
MINE, THEIRS = "check-1", "check-of-another-stack"
LEAF, MEMBER, SERVICE = "_ttl-10.east.llm.example.com", "east.llm.example.com", "llm.example.com"


def tags(name: str, component: str, stack: str = "global") -> dict[str, str]:
    return {"spillway:stack": stack, "spillway:component": component, "Name": name}


def planned(token: str, name: str, inputs: dict[str, Any], **dependencies: str) -> Planned:
    urn = f"urn:pulumi:global::spillway::spillway:dns:Route53${token}::{name}"
    return Planned(urn, token, True, inputs, None, None, {k: (v,) for k, v in dependencies.items()})


def record_plan(name: str, set: str | None = None, zone: str = "Z1") -> Planned:
    inputs = {"zoneId": zone, "name": name, "type": "A"} | ({"setIdentifier": set} if set else {})
    return planned(RECORD, f"{name}-{set}", inputs, **({"zoneId": ZONE_URN} if zone == UNKNOWN else {}))


ZONE_PLAN = planned(ZONE, "global-zone", {"name": "example.com", "tags": tags("example.com", "zone")})
PLAN = [record_plan(LEAF, "203.0.113.1"), record_plan(MEMBER), record_plan(SERVICE, "first")]
OWN_ZONE = Existing(ZONE, "Z1", tags=tags("example.com", "zone"))
CHECK = Existing(HEALTH_CHECK, MINE, tags=tags("east 203.0.113.1", "check"))


def tree(check: str = MINE, zone: str = "Z1") -> list[Record]:
    """A leaf, the member's alias to it and the service's alias to that."""
    return [
        Record(zone, SERVICE, "A", "first", alias=MEMBER),
        Record(zone, MEMBER, "A", alias=LEAF),
        Record(zone, LEAF, "A", "203.0.113.1", check=check),
    ]


def decided(records: list[Record], *found: Existing, plan: list[Planned] = PLAN, apex: str = "example.com") -> Decision:
    scope = Scope("global", plan)
    existing = route53.complete(found, records, dict.fromkeys({r.zone for r in records}, apex), scope)
    exported = {"deployment": {"resources": [{"urn": STACK, "type": "pulumi:pulumi:Stack", "custom": False}]}}
    return decide(plan, existing, State(exported), RULES)


def ids(decision: Decision) -> set[str]:
    return {existing.id for _, existing in decision.adopt}


# Whose a record is


def test_in_somebodys_zone_a_record_is_known_by_the_checks_at_the_end_of_its_aliases() -> None:
    found = decided(tree(), CHECK)
    assert ids(found) == {r.id for r in tree()}
    assert "Z1__ttl-10.east.llm.example.com_A_203.0.113.1" in ids(found)


def test_another_stacks_tree_under_the_same_names_is_a_problem_and_not_adopted() -> None:
    for found in (decided(tree(THEIRS), CHECK), decided(tree(THEIRS), CHECK, OWN_ZONE)):
        assert not found.adopt
        assert [(left.resource.token, left.problem) for left in found.left if left.problem] == [(RECORD, True)] * 3


def test_an_alias_that_leads_to_answers_of_both_is_not_adopted() -> None:
    mixed = [*tree(), Record("Z1", LEAF, "A", "by hand", check=THEIRS)]
    assert ids(decided(mixed, CHECK)) == {record_id("Z1", LEAF, "A", "203.0.113.1")}


def test_a_record_that_leads_nowhere_is_adopted_in_the_stacks_own_zone_only() -> None:
    loose = [Record("Z1", MEMBER, "A", alias="gone.example.com")]
    assert not decided(loose).adopt
    assert [left.problem for left in decided(loose).left] == [True]
    named = planned(ZONE, "other", {"name": "example.org"})  # the plan makes a zone, so this one is not named by id
    assert ids(decided(loose, OWN_ZONE, plan=[named, *PLAN])) == {loose[0].id}


def test_what_the_plan_does_not_name_is_never_touched() -> None:
    others = [
        Record("Z1", "www.example.com", "A"),
        Record("Z1", "ask.example.com", "A", alias=SERVICE),
        Record("Z1", "example.com", "NS"),
        Record("Z1", "example.com", "SOA"),
        Record("Z1", SERVICE, "TXT"),
    ]
    found = decided([*tree(), *others], CHECK)
    assert ids(found) == {r.id for r in tree()}
    assert found.left == []
    assert RECORD not in {e.token for e in found.orphans}


def test_a_forgotten_record_of_the_stacks_own_check_is_a_problem_to_be_deleted_by_hand() -> None:
    stray = Record("Z1", LEAF, "A", "203.0.113.9", check=MINE)
    found = decided([*tree(), stray], CHECK)
    assert [(left.resource.id, left.problem) for left in found.left] == [(MINE, True), (stray.id, True)]
    assert not found.orphans, "without its check the record would answer whatever becomes of its address"
    beside = Record("Z1", LEAF, "A", "203.0.113.9", check=THEIRS)
    told = decided([*tree(), beside], CHECK).left
    assert (beside.id, False) in [(left.resource.id, left.problem) for left in told]


def test_a_lost_zone_brings_its_records_and_of_two_the_fuller_one_is_chosen() -> None:
    plan = [ZONE_PLAN, *(record_plan(p.inputs["name"], p.inputs.get("setIdentifier"), UNKNOWN) for p in PLAN)]
    empty = Existing(ZONE, "Z0", tags=tags("example.com", "zone"))
    found = decided(tree(), empty, OWN_ZONE, CHECK, plan=plan)
    assert ids(found) == {"Z1", *(r.id for r in tree())}
    assert [e.id for e in found.orphans if e.token == ZONE] == ["Z0"]


def test_of_two_filled_zones_one_is_left_for_a_person_and_its_records_are_not_listed() -> None:
    plan = [ZONE_PLAN, *(record_plan(p.inputs["name"], p.inputs.get("setIdentifier"), UNKNOWN) for p in PLAN)]
    other = Existing(ZONE, "Z2", tags=tags("example.com", "zone"))
    found = decided([*tree(), Record("Z2", "www.example.com", "A")], other, OWN_ZONE, CHECK, plan=plan)
    assert "Z1" in ids(found)
    assert [(left.resource.id, left.problem) for left in found.left if left.resource.token == ZONE] == [("Z2", True)]
    assert "Z2" not in {e.id for e in found.orphans}


def test_the_zone_that_the_file_names_is_not_deleted_although_it_carries_the_stacks_tag() -> None:
    found = decided(tree(), OWN_ZONE, CHECK)
    assert ZONE not in {e.token for e in found.orphans}
    assert ("Z1", False) in [(left.resource.id, left.problem) for left in found.left]


def test_of_two_checks_of_one_name_the_one_that_records_follow_is_kept() -> None:
    plan = [planned(HEALTH_CHECK, "east", {"tags": CHECK.tags}), *PLAN]
    twin = Existing(HEALTH_CHECK, "check-0", tags=CHECK.tags)
    found = decided(tree(), twin, CHECK, plan=plan)
    assert MINE in ids(found)
    assert [e.id for e in found.orphans] == ["check-0"]


def test_aliases_in_a_circle_are_nobodys() -> None:
    circle = [Record("Z1", MEMBER, "A", alias=LEAF), Record("Z1", LEAF, "A", "203.0.113.1", alias=MEMBER)]
    assert not decided(circle, CHECK).adopt


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.sampled_from(["", MINE, THEIRS])), max_size=12))
def test_no_record_that_leads_to_a_foreign_check_is_ever_adopted(edges: list[tuple[int, int, str]]) -> None:
    records = [
        Record("Z1", f"n{a}.example.com", "A", f"s{i}", check=c, alias="" if c else f"n{b}.example.com")
        for i, (a, b, c) in enumerate(edges)
        if a < b or c
    ]
    foreign = {r.name for r in records if r.check == THEIRS}
    for _ in records:
        foreign |= {r.name for r in records if r.alias in foreign}
    found = decided(records, CHECK, plan=[record_plan(r.name, r.set) for r in records])
    adopted = ids(found)
    assert not {r.id for r in records if r.check == THEIRS or r.alias in foreign} & adopted
    assert {r.id for r in records if r.check == MINE} <= adopted


def test_names_and_zone_ids_are_one_however_they_are_written() -> None:
    assert record_id("/hostedzone/Z1", "LLM.Example.com.", "A", None) == "Z1_llm.example.com_A"
    assert record_id("Z1", "\\052.example.com.", "A", "x") == "Z1_*.example.com_A_x"
    assert RULES.key(RECORD, {"zoneId": UNKNOWN, "name": "a", "type": "A"}) is None


# AWS


def zone(id: str) -> dict[str, Any]:
    return {"Id": f"/hostedzone/{id}", "Name": "example.com.", "CallerReference": id}


def check(id: str, **config: Any) -> dict[str, Any]:
    base = {"Type": "HTTPS"} | config
    return {"Id": id, "CallerReference": id, "HealthCheckVersion": 1, "HealthCheckConfig": base}


def tag_sets(kind: str, stacks: dict[str, str]) -> dict[str, Any]:
    sets = [
        {"ResourceType": kind, "ResourceId": id, "Tags": [{"Key": "spillway:stack", "Value": stack}]}
        for id, stack in stacks.items()
    ]
    return {"ResourceTagSets": sets}


def test_route_53_is_asked_for_tags_in_tens_and_for_records_of_own_and_named_zones_alone() -> None:
    client = boto3.client("route53", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="y")
    stubber = Stubber(client)
    last = {"IsTruncated": False, "MaxItems": "100"}
    zones = [zone("Z1"), zone("Z2"), zone("Z3")]
    stubber.add_response("list_hosted_zones", {"HostedZones": zones, "Marker": "", **last}, {})
    stubber.add_response(
        "list_tags_for_resources",
        tag_sets("hostedzone", {"Z1": "global", "Z2": "other", "Z3": "other"}),
        {"ResourceType": "hostedzone", "ResourceIds": ["Z1", "Z2", "Z3"]},
    )
    checks = [f"c{n}" for n in range(12)]
    listed = [check(id) for id in checks[:11]] + [check("c11", Type="CALCULATED", ChildHealthChecks=["c0"])]
    stubber.add_response("list_health_checks", {"HealthChecks": listed, "Marker": "", **last}, {})
    for few in (checks[:10], checks[10:]):
        stubber.add_response(
            "list_tags_for_resources",
            tag_sets("healthcheck", {id: "global" if id in ("c0", "c11") else "other" for id in few}),
            {"ResourceType": "healthcheck", "ResourceIds": few},
        )
    answers = [
        {"Name": "example.com.", "Type": "NS", "TTL": 1, "ResourceRecords": [{"Value": "ns"}]},
        {
            "Name": f"{MEMBER}.",
            "Type": "A",
            "AliasTarget": {"HostedZoneId": "Z1", "DNSName": f"{LEAF}.", "EvaluateTargetHealth": True},
        },
        {
            "Name": f"{LEAF}.",
            "Type": "A",
            "SetIdentifier": "203.0.113.1",
            "Weight": 1,
            "TTL": 10,
            "ResourceRecords": [{"Value": "203.0.113.1"}],
            "HealthCheckId": "c0",
        },
    ]
    for id, records in (("Z1", answers), ("Z2", [])):
        answer = {"ResourceRecordSets": records, "IsTruncated": False, "MaxItems": "300"}
        stubber.add_response("list_resource_record_sets", answer, {"HostedZoneId": id})
    plan = [planned(ZONE, "z", {}), *PLAN, record_plan("west.llm.example.com", zone="Z2")]
    with stubber:
        found = Route53Inventory(client, "123456789012").existing(Scope("global", plan))
    stubber.assert_no_pending_responses()
    told = {e.id: e for e in found}
    leaf = record_id("Z1", LEAF, "A", "203.0.113.1")
    assert set(told) == {"Z1", "c0", "c11", leaf, record_id("Z1", MEMBER, "A", None)}
    assert told["c11"].refs == {"c0"}
    assert told[leaf].refs == {"Z1", "c0"}
    assert {told[leaf].keep, told[record_id("Z1", MEMBER, "A", None)].keep} == {None}


def test_a_refusal_of_route_53_is_one_line_and_a_zone_that_is_gone_is_none() -> None:
    client = boto3.client("route53", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="y")
    with Stubber(client) as stubber:
        stubber.add_client_error("list_hosted_zones", "AccessDenied", "not\n authorized")
        with pytest.raises(
            SpillwayError, match=r"^listing what exists in 1, Route 53: .*AccessDenied.*not authorized$"
        ):
            Route53Inventory(client, "1").existing(Scope("global", PLAN))
        stubber.add_client_error("list_resource_record_sets", "NoSuchHostedZone", "no such zone")
        assert list(Route53Inventory(client, "1")._records("Z9")) == []


def test_a_region_stack_asks_nothing_of_route_53_and_a_global_one_nothing_of_regions() -> None:
    region = Scope("aws-us-east-1", [planned(aws_types.VPC, "net-vpc", {})])
    assert Route53Inventory(None, "1").existing(region) == []
    assert aws.AwsInventory(None, "us-east-1", "1").existing(Scope("global", PLAN)) == []


def test_what_the_tagging_api_says_of_route_53_is_not_unknown_to_recovery() -> None:
    for resource in ("hostedzone/Z1", "healthcheck/0b0e-1"):
        assert aws.ELSEWHERE.fullmatch(aws.resource_of(f"arn:aws:route53:::{resource}"))
