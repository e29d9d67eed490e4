"""`spillway recover` of the global stack with Route 53: whatever an `up` left half-made, the next one puts right."""

from __future__ import annotations

import json
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sandbox.kinds import Resource
from sandbox.store import Store
from spillway.recovery.model import type_of
from tests.support.deployed import deploy, endpoint
from tests.support.engine import TWO_REGIONS, EngineSandbox, changes, copied_project
from tests.support.recovering import fault, managed, recovered, wait_for

pytestmark = pytest.mark.engine

ZONE = "aws:route53/zone:Zone"
CHECK = "aws:route53/healthCheck:HealthCheck"
RECORD = "aws:route53/record:Record"
NAMED = "name: example.com # created by the stack; `id: Z...` takes an existing one"


@pytest.fixture
def world(tmp_path: Path) -> EngineSandbox:
    """Two regions deployed, and stack files that a test may edit."""
    sandbox = EngineSandbox(tmp_path / "sandbox", copied_project(tmp_path / "project", TWO_REGIONS))
    deploy(sandbox, "aws-us-east-1", endpoint("us-east-1", ["203.0.113.11", "203.0.113.12"]))
    deploy(sandbox, "aws-us-west-2", endpoint("us-west-2", ["203.0.113.21"]))
    return sandbox


def ids(sandbox: EngineSandbox, token: str) -> list[str]:
    return [r.id for r in sandbox.resources(token) if r.urn]


def named(sandbox: EngineSandbox, id: str, stack: str = "global-second") -> str:
    """A stack like `global`, in an existing zone and with services of its own names."""
    text = (sandbox.root / "stacks" / "Pulumi.global.yaml").read_text().replace("llm", "chat")
    (sandbox.root / "stacks" / f"Pulumi.{stack}.yaml").write_text(
        text.replace(NAMED, f"name: example.com\n      id: {id}")
    )
    return stack


def somebodys(zone: Resource, name: str, **more: Any) -> Resource:
    """A record that is no stack's: made by hand, in the stand-in cloud alone."""
    values = {"zoneId": zone.id, "name": name, "type": "A", "ttl": 300, "records": ["192.0.2.1"], **more}
    return Resource(
        RECORD,
        "_".join(filter(None, (zone.id, name, "A", more.get("setIdentifier")))),
        "global",
        zone.account,
        values,
        {**values, "fqdn": name, "aliases": more.get("aliases", [])},
        urn="by hand",
    )


def forget(sandbox: EngineSandbox, stack: str, *tokens: str) -> None:
    """The state loses all resources of these types: their answers were lost, one by one."""
    exported = sandbox.pulumi("stack", "export", stack=stack).ok().json
    resources = exported["deployment"]["resources"]
    kept = [r for r in resources if r["type"] not in tokens]
    gone = {r["urn"] for r in resources} - {r["urn"] for r in kept}
    for resource in kept:
        resource["dependencies"] = [urn for urn in resource.get("dependencies") or [] if urn not in gone]
        depends = resource.get("propertyDependencies") or {}
        resource["propertyDependencies"] = {k: [u for u in v or [] if u not in gone] for k, v in depends.items()}
    exported["deployment"]["resources"] = kept
    file = sandbox.directory / "forgotten.json"
    file.write_text(json.dumps(exported))
    sandbox.pulumi("stack", "import", "--file", str(file), stack=stack).ok()
    file.unlink()


def all_is_well(sandbox: EngineSandbox, stack: str = "global") -> None:
    """`up` works, the cloud has what the state has and nothing twice, and a preview has nothing to do."""
    sandbox.up(stack).ok()
    assert Counter(r.token for r in sandbox.resources() if r.urn) == managed(sandbox, stack)
    names = Counter((r["tags"] or {})["Name"] for r in sandbox.resources(CHECK))
    assert set(names.values()) == {1}, names
    assert len(ids(sandbox, ZONE)) == 1
    assert changes(sandbox.preview(stack)) == {}


@pytest.mark.parametrize(("token", "times"), [(ZONE, 1), (CHECK, 3), (RECORD, 4)])
def test_lost_answers_leave_one_of_each_that_the_stack_then_owns(world: EngineSandbox, token: str, times: int) -> None:
    world.weather(fault("lose-answer", token, times=times))
    world.up("global", "--continue-on-error").failed()
    before = ids(world, token)
    assert len(before) >= times
    report = recovered(world, "global")
    assert report.consistent, report.rows()
    assert Counter(type_of(urn) for urn, _ in report.adopted)[token] == times
    assert not report.deleting
    all_is_well(world)
    assert set(before) <= set(ids(world, token)), "what was made first is what the stack has"
    again = recovered(world, "global")
    assert (again.adopted, again.deleting, again.pending, again.left) == ([], [], [], [])


def test_an_update_killed_between_the_records_with_a_check_lost_goes_on_after_recovery(world: EngineSandbox) -> None:
    slow = fault("slow", RECORD, name='"*_priority-*"', seconds=120)
    world.weather(slow + fault("lose-answer", CHECK, times=1).removeprefix("faults:\n"))
    running = world.start("up", "--yes", "--skip-preview", "--continue-on-error", stack="global")
    wait_for(world, RECORD, 120)
    time.sleep(2)  # the others whose targets stand already
    world.kill(running)
    world.weather("")
    assert "locked" in world.up("global").failed().text
    before = {token: set(ids(world, token)) for token in (ZONE, CHECK, RECORD)}
    report = recovered(world, "global")
    assert report.consistent, report.rows()
    assert report.pending
    assert CHECK in {type_of(urn) for urn, _ in report.adopted}
    all_is_well(world)
    assert all(those <= set(ids(world, token)) for token, those in before.items())


def test_the_state_lost_altogether_is_found_again(world: EngineSandbox) -> None:
    world.up("global").ok()
    before = {(r.token, r.id) for r in world.resources()}
    (world.project.backend / ".pulumi" / "stacks" / "spillway" / "global.json").unlink()
    report = recovered(world, "global")
    assert report.consistent, report.rows()
    assert not report.deleting
    all_is_well(world)
    assert {(r.token, r.id) for r in world.resources()} == before


def test_a_check_doubled_by_a_second_up_is_deleted_and_the_one_in_use_stays(world: EngineSandbox) -> None:
    world.weather(fault("lose-answer", CHECK, times=1))
    world.up("global").failed()
    (lost,) = {r.id for r in world.resources(CHECK)} - {
        r["id"]
        for r in world.pulumi("stack", "export", stack="global").ok().json["deployment"]["resources"]
        if "id" in r
    }
    world.up("global").ok()
    report = recovered(world, "global")
    assert [(t, i) for t, i, _ in report.deleting] == [(CHECK, lost)]
    all_is_well(world)
    assert lost not in ids(world, CHECK)


def test_in_somebody_elses_zone_only_the_stacks_own_records_are_taken(world: EngineSandbox) -> None:
    world.up("global").ok()
    (zone,) = world.resources(ZONE)
    stack = named(world, zone.id)
    world.up(stack).ok()
    with Store(world.directory).transaction(write=True) as tx:
        tx.put("aws", somebodys(zone, "www.example.com"))
        alias = {"name": "chat.example.com", "zoneId": zone.id, "evaluateTargetHealth": True}
        tx.put("aws", somebodys(zone, "ask.example.com", aliases=[alias], records=None, ttl=None))
    before = {(r.token, r.id): (r.inputs, r.outputs) for r in world.resources()}
    state = world.pulumi("stack", "export", stack="global").ok().stdout
    forget(world, stack, RECORD)
    report = recovered(world, stack)
    assert report.consistent, report.rows()
    assert {e.id for _, e in report.adopted} == {r.id for r in world.resources(RECORD) if "chat" in r["name"]}
    assert not report.deleting
    world.up(stack).ok()
    assert changes(world.preview(stack)) == {}
    assert {(r.token, r.id): (r.inputs, r.outputs) for r in world.resources()} == before
    assert world.pulumi("stack", "export", stack="global").ok().stdout == state
    assert recovered(world, "global").left == []


def test_a_record_of_somebody_else_under_a_planned_name_is_a_problem_and_stays_as_it_is(world: EngineSandbox) -> None:
    world.up("global").ok()
    (zone,) = world.resources(ZONE)
    stack = named(world, zone.id)
    theirs = somebodys(zone, "aws-us-east-1.chat.example.com")
    with Store(world.directory).transaction(write=True) as tx:
        tx.put("aws", theirs)
    assert "already exists" in world.up(stack).failed().text
    report = recovered(world, stack)
    assert not report.consistent
    assert [(left.resource.id, left.problem) for left in report.left] == [(theirs.id, True)]
    assert theirs.id not in {e.id for _, e in report.adopted}
    assert [r.inputs for r in world.resources(RECORD) if r.id == theirs.id] == [theirs.inputs]


def test_a_second_zone_with_records_in_it_is_left_for_a_person_to_judge(world: EngineSandbox) -> None:
    world.up("global").ok()
    (zone,) = world.resources(ZONE)
    other = replace(zone, id="Z0000000000000000000B", outputs={**zone.outputs, "zoneId": "Z0000000000000000000B"})
    with Store(world.directory).transaction(write=True) as tx:
        tx.put("aws", other)
    report = recovered(world, "global", dry_run=True)
    assert [(t, i) for t, i, _ in report.deleting] == [(ZONE, other.id)], "empty: nobody would miss it"
    with Store(world.directory).transaction(write=True) as tx:
        tx.put("aws", somebodys(other, "www.example.com"))
    report = recovered(world, "global")
    assert not report.consistent
    assert [(left.resource.id, left.problem) for left in report.left] == [(other.id, True)]
    assert "1 record" in report.left[0].reason
    assert not report.deleting


# The other two providers


AZURE = "azure-native"
GROUP, AZURE_ZONE = "azure-native:resources:ResourceGroup", "azure-native:dns:Zone"
PROFILE, ENDPOINT = "azure-native:trafficmanager:Profile", "azure-native:trafficmanager:Endpoint"
RECORD_SET = "azure-native:dns:RecordSet"
CLOUDFLARE = "cloudflare"
MONITOR, POOL = (
    "cloudflare:index/loadBalancerMonitor:LoadBalancerMonitor",
    "cloudflare:index/loadBalancerPool:LoadBalancerPool",
)
BALANCER, CLOUDFLARE_ZONE = "cloudflare:index/loadBalancer:LoadBalancer", "cloudflare:index/zone:Zone"


def held(sandbox: EngineSandbox, cloud: str, token: str | None = None) -> list[Resource]:
    with Store(sandbox.directory).transaction(write=False) as tx:
        return [r for r in tx.all(cloud, token) if r.urn]


@pytest.mark.parametrize(
    ("stack", "cloud", "token", "times"),
    [
        ("global-traffic-manager", AZURE, GROUP, 1),
        ("global-traffic-manager", AZURE, AZURE_ZONE, 1),
        ("global-traffic-manager", AZURE, PROFILE, 3),
        ("global-traffic-manager", AZURE, ENDPOINT, 4),
        ("global-traffic-manager", AZURE, RECORD_SET, 1),
        ("global-cloudflare", CLOUDFLARE, CLOUDFLARE_ZONE, 1),
        ("global-cloudflare", CLOUDFLARE, MONITOR, 2),
        ("global-cloudflare", CLOUDFLARE, POOL, 2),
        ("global-cloudflare", CLOUDFLARE, BALANCER, 1),
    ],
)  # fmt: skip
def test_lost_answers_of_the_other_providers_leave_one_of_each_too(
    world: EngineSandbox, stack: str, cloud: str, token: str, times: int
) -> None:
    world.weather(fault("lose-answer", token, times=times))
    world.up(stack, "--continue-on-error").failed()
    before = {r.id for r in held(world, cloud, token)}
    report = recovered(world, stack)
    assert report.consistent, report.rows()
    assert Counter(type_of(urn) for urn, _ in report.adopted)[token] == times
    assert not report.deleting
    world.up(stack).ok()
    assert Counter(r.token for r in held(world, cloud)) == managed(world, stack)
    assert before <= {r.id for r in held(world, cloud, token)}
    assert changes(world.preview(stack)) == {}
    again = recovered(world, stack)
    assert (again.adopted, again.deleting, again.pending, again.left) == ([], [], [], [])


@pytest.mark.parametrize("stack", ["global-traffic-manager", "global-cloudflare"])
def test_a_lost_state_of_the_other_providers_is_found_again(world: EngineSandbox, stack: str) -> None:
    cloud = AZURE if stack == "global-traffic-manager" else CLOUDFLARE
    world.up(stack).ok()
    before = {(r.token, r.id) for r in held(world, cloud)}
    (world.project.backend / ".pulumi" / "stacks" / "spillway" / f"{stack}.json").unlink()
    report = recovered(world, stack)
    assert report.consistent, report.rows()
    assert not report.deleting
    world.up(stack).ok()
    assert changes(world.preview(stack)) == {}
    assert {(r.token, r.id) for r in held(world, cloud)} == before
