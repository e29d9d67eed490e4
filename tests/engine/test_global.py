"""The global stack as a person deploys it: the real engine, the shipped stack files, the stand-in providers."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sandbox.kinds import Resource
from sandbox.project import ROOT
from sandbox.store import Store
from tests.support.deployed import deploy, endpoint
from tests.support.engine import TWO_REGIONS, EngineSandbox, changes, copied_project

pytestmark = pytest.mark.engine

EAST = ["203.0.113.11", "203.0.113.12"]
WEST = ["203.0.113.21"]
RECORD = "aws:route53/record:Record"
CHECK = "aws:route53/healthCheck:HealthCheck"
PLANNED = "        planned: true # left out; once deployed: drain: true instead, until it is ready\n"
STACKS = {"global": "aws", "global-cloudflare": "cloudflare", "global-traffic-manager": "azure-native"}


@pytest.fixture
def world(tmp_path: Path) -> EngineSandbox:
    """Two regions deployed, a third only planned, and stack files that a test may edit."""
    sandbox = EngineSandbox(tmp_path / "sandbox", copied_project(tmp_path / "project", TWO_REGIONS))
    deploy(sandbox, "aws-us-east-1", endpoint("us-east-1", EAST))
    deploy(sandbox, "aws-us-west-2", endpoint("us-west-2", WEST))
    return sandbox


def held(sandbox: EngineSandbox, cloud: str, token: str | None = None) -> list[Resource]:
    with Store(sandbox.directory).transaction(write=False) as tx:
        return [r for r in tx.all(cloud, token) if r.urn]


def records(sandbox: EngineSandbox) -> dict[tuple[str, str], Resource]:
    """The zone's records by name and set identifier."""
    return {(r["name"], r["setIdentifier"]): r for r in held(sandbox, "aws", RECORD)}


def outputs(sandbox: EngineSandbox, stack: str) -> dict[str, Any]:
    found: dict[str, Any] = sandbox.pulumi("stack", "output", "--json", stack=stack).ok().json
    return found


@pytest.mark.parametrize("stack", STACKS)
def test_a_global_stack_lives_from_first_up_to_destroy_with_each_provider(world: EngineSandbox, stack: str) -> None:
    plan = world.preview(stack)
    assert set(changes(plan)) == {"create"}
    types = {step["newState"]["type"] for step in plan["steps"] if "newState" in step}
    assert "pulumi:pulumi:StackReference" in types
    packages = {kind.split(":")[0] for kind in types} - {"pulumi", "spillway"}
    assert packages == {STACKS[stack]}, "one SDK per process"
    world.up(stack).ok()
    assert changes(world.preview(stack)) == {}, "nothing to do, says the preview"
    world.up(stack, "--expect-no-changes").ok()
    assert changes(world.preview(stack, "--refresh")) == {}, "nor does the cloud disagree"

    exported = outputs(world, stack)
    assert exported["services"]["llm.example.com"]["tiers"] == [
        ["aws-us-east-1"], ["aws-us-west-2"], ["onprem-fra"], ["small-model"],
    ]  # fmt: skip
    assert exported["services"]["llm-us.example.com"]["tiers"] == [["aws-us-east-1", "aws-us-west-2"], ["small-model"]]
    assert set(exported["members"]) == {"aws-us-east-1", "aws-us-west-2", "onprem-fra", "small-model"}
    assert exported["members"]["aws-us-east-1"]["addresses"] == EAST
    assert exported["planned"] == ["aws-us-east-2"]
    assert exported["provider"] in ("route53", "cloudflare", "traffic-manager")
    assert exported["budget"]["objectiveSeconds"] == 60
    assert len(exported["nameServers"]) >= 2

    refused = world.pulumi("destroy", "--yes", stack=stack).failed()
    assert "protected" in refused.text, "the zone's name servers are in the registrar's delegation"
    world.pulumi("destroy", "--yes", "--ignore-protect", stack=stack).ok()
    assert held(world, STACKS[stack]) == []


def test_route_53_answers_from_short_lived_records_each_behind_its_own_check(world: EngineSandbox) -> None:
    world.up("global").ok()
    found = records(world)
    addresses = {r["records"][0]: r for r in found.values() if r["records"] and "llm.example.com" in r["name"]}
    assert set(addresses) == {*EAST, *WEST, "198.51.100.10", "192.0.2.80"}
    checks = {c.id: c for c in held(world, "aws", CHECK)}
    for address, record in addresses.items():
        assert record["ttl"] == 10
        check = checks[record["healthCheckId"]]
        assert check["ipAddress"] == address
        assert (check["type"], check["fqdn"], check["enableSni"]) == ("HTTPS", "llm.example.com", True)
        assert (check["requestInterval"], check["failureThreshold"]) == (10, 2)
        assert check["resourcePath"] == ("/health" if address == "192.0.2.80" else "/readyz")
    for record in found.values():
        for alias in record["aliases"] or []:
            assert alias["zoneId"] == record["zoneId"], "aliases only within the zone"
            assert alias["evaluateTargetHealth"] is True
    (zone,) = held(world, "aws", "aws:route53/zone:Zone")
    assert zone["enableAcceleratedRecovery"] is True
    clouds = {c["tags"]["Name"]: c["childHealthchecks"] for c in checks.values() if c["type"] == "CALCULATED"}
    assert {name: len(children) for name, children in clouds.items()} == {
        "any of aws": 3, "any of on-premises": 1, "any of gateway": 1,
    }  # fmt: skip


def test_residency_holds_in_the_records_themselves(world: EngineSandbox) -> None:
    world.up("global").ok()
    limited = [r for r in records(world).values() if r["name"].endswith("llm-us.example.com")]
    assert limited
    assert "198.51.100.10" not in {address for r in limited for address in r["records"] or []}


def test_a_region_that_is_not_deployed_is_named_in_one_line_and_nothing_is_registered(world: EngineSandbox) -> None:
    world.edit_stack("global", PLANNED, "")
    for refused in (world.pulumi("preview", stack="global").failed(), world.up("global").failed()):
        told = [line for line in refused.text.splitlines() if "error" in line]
        assert told[0].endswith(
            "stacks/Pulumi.global.yaml: spillway:global.members[2].stack = aws-us-east-2: that stack is not deployed: "
            "bring it up first; or mark the member planned: true while it is to come, drain: true when it is gone"
        )
        assert "Traceback" not in refused.text
    assert held(world, "aws") == []


def test_a_planned_region_stays_out_when_it_is_deployed_and_begins_drained(world: EngineSandbox) -> None:
    world.up("global").ok()
    deploy(world, "aws-us-east-2", endpoint("us-east-2", ["203.0.113.31"]))
    assert changes(world.preview("global")) == {}, "nobody said that it may answer"
    world.edit_stack("global", PLANNED, "        drain: true\n")
    assert set(changes(world.preview("global"))) <= {"create", "update"}
    world.up("global").ok()
    assert "203.0.113.31" in {c["ipAddress"] for c in held(world, "aws", CHECK)}
    assert all("203.0.113.31" not in (r["records"] or []) for r in records(world).values())
    world.edit_stack("global", "        drain: true\n", "")
    world.up("global").ok()
    assert outputs(world, "global")["planned"] == []
    assert "203.0.113.31" in {address for r in records(world).values() for address in r["records"] or []}


def test_another_provider_is_refused_on_a_live_stack_as_it_would_empty_the_delegated_zone(world: EngineSandbox) -> None:
    text = (world.root / "stacks" / "Pulumi.global-cloudflare.yaml").read_text()
    section = text[text.index("    cloudflare:\n") : text.index("    services:\n")]
    world.up("global").ok()
    before = len(held(world, "aws"))
    world.edit_stack("global", "provider: route53", "provider: cloudflare")
    refused = world.pulumi("preview", stack="global").failed()
    assert "this stack answers by route53" in refused.text, "before anything that another edit could mend"
    assert "missing" not in refused.text
    world.edit_stack("global", "    services:\n", f"{section}    services:\n")
    refused = world.up("global").failed()
    assert (
        "spillway:global.dns.provider = cloudflare: this stack answers by route53: change the provider with a second"
        in (" ".join(refused.text.split()))
    )
    assert len(held(world, "aws")) == before
    world.pulumi("destroy", "--yes", "--ignore-protect", stack="global").ok()
    world.up("global").ok()
    assert outputs(world, "global")["provider"] == "cloudflare", "an empty stack may begin with any"


@pytest.mark.parametrize("stack", STACKS)
def test_draining_the_first_choice_takes_its_records_away_and_leaves_the_others_as_they_are(
    world: EngineSandbox, stack: str
) -> None:
    world.up(stack).ok()
    world.edit_stack(stack, "        stack: aws-us-east-1\n", "        stack: aws-us-east-1\n        drain: true\n")
    plan = world.preview(stack)
    assert "replace" not in changes(plan)
    world.up(stack).ok()
    exported = outputs(world, stack)
    assert exported["drained"] == ["aws-us-east-1"]
    assert exported["services"]["llm.example.com"]["tiers"][0] == ["aws-us-west-2"]
    assert "aws-us-east-1" in exported["checks"], "its checks stay: when it comes back it is proven"
    if stack == "global":
        left = {address for r in records(world).values() for address in r["records"] or []}
        assert not left & set(EAST)
        assert set(EAST) <= {c["ipAddress"] for c in held(world, "aws", CHECK)}
    world.edit_stack(stack, "        drain: true\n", "")
    world.up(stack).ok()
    assert outputs(world, stack)["services"]["llm.example.com"]["tiers"][0] == ["aws-us-east-1"]
    assert changes(world.preview(stack)) == {}


@pytest.mark.parametrize("stack", STACKS)
def test_a_policy_changes_on_a_live_name_without_a_moment_of_conflict(world: EngineSandbox, stack: str) -> None:
    world.up(stack).ok()
    policy = "      - name: llm.example.com\n        policy: "
    for old, new in (("priority", "weighted"), ("weighted", "latency"), ("latency", "priority")):
        world.edit_stack(stack, f"{policy}{old}", f"{policy}{new}")
        world.up(stack).ok()
        assert outputs(world, stack)["services"]["llm.example.com"]["policy"] == new
        assert changes(world.preview(stack)) == {}


def test_new_addresses_of_a_region_get_records_and_checks_of_their_own(world: EngineSandbox) -> None:
    world.up("global").ok()
    before = {c["ipAddress"]: c.id for c in held(world, "aws", CHECK) if c["ipAddress"]}
    deploy(world, "aws-us-east-1", endpoint("us-east-1", [EAST[0], "203.0.113.13"]))
    world.up("global").ok()
    after = {c["ipAddress"]: c.id for c in held(world, "aws", CHECK) if c["ipAddress"]}
    assert after[EAST[0]] == before[EAST[0]]
    assert EAST[1] not in after
    assert "203.0.113.13" in after


def test_a_region_that_moved_to_another_residency_is_refused_where_a_service_names_it(world: EngineSandbox) -> None:
    world.edit_stack("global", "        residency: us\n    members:", "        residency: us\n        members: "
                     "[aws-us-east-1, aws-us-west-2]\n    members:")  # fmt: skip
    deploy(world, "aws-us-west-2", endpoint("us-west-2", WEST, residency="eu"))
    refused = world.pulumi("preview", stack="global").failed()
    assert "its residency is eu, and llm-us.example.com is limited to us" in refused.text
    assert "Traceback" not in refused.text


def test_an_output_of_another_version_is_refused_with_what_it_lacks(world: EngineSandbox) -> None:
    deploy(world, "aws-us-west-2", {"hostname": "x", "addresses": WEST})
    refused = world.pulumi("preview", stack="global").failed()
    assert "the output endpoint lacks port, healthPath, cloud, nearestAwsRegion and residency" in refused.text


def test_an_existing_zone_is_taken_and_another_one_refused(world: EngineSandbox) -> None:
    world.up("global").ok()
    (zone,) = held(world, "aws", "aws:route53/zone:Zone")
    stack = "global-second"
    path = world.root / "stacks"
    text = (path / "Pulumi.global.yaml").read_text().replace("llm", "chat")
    named = "name: example.com # created by the stack; `id: Z...` takes an existing one"
    (path / f"Pulumi.{stack}.yaml").write_text(text.replace(named, f"name: example.com\n      id: {zone.id}"))
    world.up(stack).ok()
    assert len(held(world, "aws", "aws:route53/zone:Zone")) == 1
    assert outputs(world, stack)["nameServers"] == zone["nameServers"]
    assert changes(world.preview(stack)) == {}

    world.edit_stack(stack, f"id: {zone.id}", "id: Z0000000000000000000A")
    refused = world.pulumi("preview", stack=stack).failed()
    assert "spillway:global.zone.id = Z0000000000000000000A: cannot find that hosted zone" in refused.text
    assert "Traceback" not in refused.text


def spillway(world: EngineSandbox, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "spillway.cli", *arguments]
    environment = {**world.environment, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        command, env=environment, cwd=world.root, capture_output=True, text=True, timeout=120, check=False
    )


def test_what_is_behind_drain_runs_only_once_nobody_is_sent_there(world: EngineSandbox, tmp_path: Path) -> None:
    world.up("global").ok()
    mark = tmp_path / "destroyed"
    drain = ("dns", "drain", "aws-us-east-1", "--sandbox", "--", "touch", str(mark))
    refused = spillway(world, *drain)
    assert (refused.returncode, mark.exists()) == (1, False)
    assert "is not drained: write drain: true there" in refused.stderr

    world.edit_stack("global", "        stack: aws-us-east-1\n", "        stack: aws-us-east-1\n        drain: true\n")
    refused = spillway(world, *drain)
    assert (refused.returncode, mark.exists()) == (1, False)
    assert "drained in the stack file, not yet in the cloud" in refused.stderr

    world.up("global").ok()
    done = spillway(world, *drain)
    assert (done.returncode, mark.exists()) == (0, True), done.stderr
    assert done.stdout.startswith("aws-us-east-1: drained.")


def test_watch_tells_a_program_who_answers(world: EngineSandbox) -> None:
    world.up("global").ok()
    told = spillway(world, "dns", "watch", "llm.example.com", "--sandbox", "--once", "--json")
    assert told.returncode == 0, told.stderr
    shares = {member["name"]: member["share"] for member in json.loads(told.stdout)["members"]}
    assert shares == {"aws-us-east-1": 1.0, "aws-us-west-2": 0.0, "onprem-fra": 0.0, "small-model": 0.0}


@pytest.mark.parametrize("stack", ["global", "global-traffic-manager"])
def test_a_member_that_comes_or_goes_touches_no_other_tier(world: EngineSandbox, stack: str) -> None:
    world.up(stack).ok()
    world.edit_stack(stack, "        stack: aws-us-east-1\n", "        stack: aws-us-east-1\n        drain: true\n")
    world.up(stack).ok()
    text = (world.root / "stacks" / f"Pulumi.{stack}.yaml").read_text()
    start, end = text.index("      - name: aws-us-east-1"), text.index("      - name: aws-us-west-2")
    world.edit_stack(stack, text[start:end], "")
    plan = world.preview(stack)
    assert set(changes(plan)) == {"delete", "discard"}, "its checks and the reference go, and nothing else moves"
    world.up(stack).ok()
    assert outputs(world, stack)["services"]["llm.example.com"]["tiers"][0] == ["aws-us-west-2"]
    world.edit_stack(stack, "      - name: aws-us-west-2\n", text[start:end] + "      - name: aws-us-west-2\n")
    assert set(changes(world.preview(stack))) <= {"create", "read"}, "and comes back as checks alone"
