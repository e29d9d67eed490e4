"""Route 53 through the plugin's own logic and store: the life of a small failover tree, and what a plan would say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sandbox import schema
from sandbox.aws import AWS
from sandbox.aws import route53_limits as limits
from sandbox.kinds import CloudError
from sandbox.provider import Provider
from tests.support.route53 import CHECK, failover, weighted

Make = Callable[..., tuple[str, dict[str, Any]]]


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return schema.load("aws", "pulumi-aws", AWS.kinds, AWS.invokes)


@pytest.fixture
def provider(document: dict[str, Any], tmp_path: Path) -> Provider:
    made = Provider(AWS, document, tmp_path)
    made.configure({"region": "eu-central-1"})
    return made


@pytest.fixture
def make(provider: Provider) -> Make:
    """Check, then create, as the engine does; returns (id, outputs)."""

    def create(token: str, **inputs: Any) -> tuple[str, dict[str, Any]]:
        urn = f"urn:pulumi:global::spillway::{token}::it"
        checked, faults = provider.check(token, inputs, {}, urn, b"seed")
        assert faults == []
        return provider.create(token, checked, frozenset(), urn, preview=False)

    return create


def tree(make: Make) -> tuple[str, list[str]]:
    """A zone, two members with an address and a check each, and a name that prefers the first."""
    zone_id, _ = make(limits.ZONE, name="example.com", comment="", enableAcceleratedRecovery=True)
    names = []
    for i, member in enumerate(("aws", "onprem")):
        check_id, _ = make(limits.HEALTH_CHECK, **{**CHECK, "ipAddress": f"203.0.113.{i + 1}"})
        name = f"{member}.llm.example.com"
        entry = {"zoneId": zone_id, "name": name, "type": "A", "ttl": 10, "records": [f"203.0.113.{i + 1}"]}
        make(limits.RECORD, **entry, **weighted("1"), healthCheckId=check_id)
        alias = {"name": name, "zoneId": zone_id, "evaluateTargetHealth": True}
        kind = ("PRIMARY", "SECONDARY")[i]
        top = {"zoneId": zone_id, "name": "llm.example.com", "type": "A", "aliases": [alias]}
        names.append(make(limits.RECORD, **top, **failover(member, kind))[0])
    return zone_id, names


def test_a_failover_tree_is_made_read_and_taken_down(provider: Provider, make: Make) -> None:
    zone_id, names = tree(make)
    found = provider.read(limits.RECORD, names[0], {})
    assert found is not None
    assert found.outputs["fqdn"] == "llm.example.com"
    answer, faults = provider.invoke("aws:route53/getZone:getZone", {"name": "example.com"})
    assert (answer["id"], answer["resourceRecordSetCount"], faults) == (zone_id, 6, [])
    told, _ = provider.invoke("aws:route53/getRecords:getRecords", {"zoneId": zone_id})
    assert [r.get("failover") for r in told["resourceRecordSets"]].count("PRIMARY") == 1
    with pytest.raises(CloudError, match="HostedZoneNotEmpty"):
        provider.delete(limits.ZONE, zone_id, {}, "urn:a::b::c::zone")
    for name in names:
        provider.delete(limits.RECORD, name, {}, "urn:a::b::c::record")
    provider.delete(limits.RECORD, names[0], {}, "urn:a::b::c::record")  # gone already


def test_the_same_record_in_another_spelling_is_no_change(provider: Provider) -> None:
    old = {
        "zoneId": "Z1",
        "name": "LLM.example.com.",
        "type": "A",
        "ttl": 10,
        "records": ["203.0.113.1", "203.0.113.2"],
    }
    new = {**old, "zoneId": "/hostedzone/Z1", "name": "llm.example.com", "records": ["203.0.113.2", "203.0.113.1"]}
    assert provider.diff(limits.RECORD, old, old, new).changes == {}


@pytest.mark.parametrize(
    ("change", "replaces"),
    [
        ({"name": "api.example.com"}, ["name"]),
        ({"zoneId": "Z2"}, ["zoneId"]),
        ({"type": "AAAA"}, []),
        ({"setIdentifier": "b"}, []),
        ({"ttl": 20}, []),
        ({"healthCheckId": "x"}, []),
    ],
)
def test_only_another_name_or_zone_is_another_record(
    provider: Provider, change: dict[str, Any], replaces: list[str]
) -> None:
    old = {"zoneId": "Z1", "name": "llm.example.com", "type": "A", "ttl": 10, "records": ["203.0.113.1"]}
    difference = provider.diff(limits.RECORD, {**old, **weighted("a")}, {}, {**old, **weighted("a"), **change})
    assert list(difference.changes) == list(change)
    assert difference.replaces == replaces


@pytest.mark.parametrize(
    ("change", "replaces"),
    [
        ({"requestInterval": 30}, ["requestInterval"]),
        ({"type": "HTTP"}, ["type"]),
        ({"measureLatency": True}, ["measureLatency"]),
        ({"referenceName": "x"}, ["referenceName"]),
        ({"ipAddress": "203.0.113.9"}, []),
        ({"failureThreshold": 3}, []),
        ({"measureLatency": False}, None),
    ],
)
def test_what_a_check_cannot_change_replaces_it(
    provider: Provider, change: dict[str, Any], replaces: list[str] | None
) -> None:
    difference = provider.diff(limits.HEALTH_CHECK, CHECK, CHECK, {**CHECK, **change})
    assert difference.replaces == (replaces or [])
    assert list(difference.changes) == ([] if replaces is None else list(change))


def test_two_plugin_regions_share_one_route_53(provider: Provider, make: Make) -> None:
    tree(make)
    provider.configure({"region": "us-west-2"})
    answer, _ = provider.invoke("aws:route53/getZones:getZones", {})
    assert len(answer["ids"]) == 1
    zone = {"zoneId": answer["ids"][0], "name": "llm.example.com", "type": "A"}
    alias = {"name": "aws.llm.example.com", "zoneId": answer["ids"][0], "evaluateTargetHealth": True}
    with pytest.raises(CloudError, match="already exists"):
        make(limits.RECORD, **zone, aliases=[alias], **failover("aws", "PRIMARY"))


def test_a_check_that_a_parent_counts_cannot_go_and_one_that_a_record_uses_can(provider: Provider, make: Make) -> None:
    zone_id, _ = make(limits.ZONE, name="example.com", comment="")
    child, _ = make(limits.HEALTH_CHECK, **CHECK)
    parent, _ = make(limits.HEALTH_CHECK, type="CALCULATED", childHealthThreshold=1, childHealthchecks=[child])
    entry = {"zoneId": zone_id, "name": "llm", "type": "A", "ttl": 10, "records": ["203.0.113.1"]}
    make(limits.RECORD, **entry, healthCheckId=parent)
    with pytest.raises(CloudError, match="HealthCheckInUse"):
        provider.delete(limits.HEALTH_CHECK, child, {}, "urn:a::b::c::child")
    provider.delete(limits.HEALTH_CHECK, parent, {}, "urn:a::b::c::parent")
    provider.delete(limits.HEALTH_CHECK, child, {}, "urn:a::b::c::child")


def test_an_update_in_place_keeps_the_id(provider: Provider, make: Make) -> None:
    zone_id, _ = make(limits.ZONE, name="example.com", comment="")
    entry = {"zoneId": zone_id, "name": "llm", "type": "A", "ttl": 10, "records": ["203.0.113.1"]}
    id, state = make(limits.RECORD, **entry, **weighted("a"))
    news = {**entry, **weighted("b", 3)}
    planned = provider.update(limits.RECORD, id, state, news, frozenset(), "urn:a::b::c::llm", preview=True)
    done = provider.update(limits.RECORD, id, state, news, frozenset(), "urn:a::b::c::llm", preview=False)
    assert planned == done
    assert done["setIdentifier"] == "b"
    other, _ = make(limits.RECORD, **entry, **weighted("a"))
    assert other != id
    read = provider.read(limits.RECORD, id, {})
    assert read is not None
    assert read.inputs["setIdentifier"] == "b"
