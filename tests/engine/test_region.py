"""The AWS region as a person deploys it: the real engine, the shipped stack files, the stand-in cloud."""

from __future__ import annotations

import json
import re
import subprocess
from typing import Any

import pytest

from sandbox.project import ROOT
from tests.support.engine import EngineSandbox, changes

pytestmark = pytest.mark.engine

STACK = "aws-us-east-1"
GROUP = "aws:autoscaling/group:Group"
POOLS = {"spillway-aws-us-east-1-spot", "spillway-aws-us-east-1-on-demand"}


def state(sandbox: EngineSandbox) -> list[dict[str, Any]]:
    exported = sandbox.pulumi("stack", "export", stack=STACK).ok().json
    resources: list[dict[str, Any]] = exported["deployment"].get("resources", [])
    return resources


def test_a_region_lives_from_first_up_to_destroy(sandbox: EngineSandbox) -> None:
    """One long test, as each step stands on the one before."""
    plan = sandbox.preview(STACK)
    planned = changes(plan)
    assert set(planned) == {"create"}
    sandbox.up(STACK).ok()
    assert len(state(sandbox)) == planned["create"], "the preview and the up agree"

    outputs = sandbox.pulumi("stack", "output", "--json", stack=STACK).ok().json
    assert set(outputs) == {"endpoint", "pools", "image", "modelStore"}
    endpoint = outputs["endpoint"]
    assert set(endpoint) == {
        "hostname", "addresses", "port", "healthPath", "cloud", "region", "nearestAwsRegion", "residency",
    }  # fmt: skip
    assert len(endpoint["addresses"]) == 4, "an Elastic IP per zone"
    assert outputs["modelStore"] == "s3://spillway-models-123456789012-us-east-1/models/"

    assert changes(sandbox.preview(STACK)) == {}, "nothing to do, says the preview"
    sandbox.up(STACK, "--expect-no-changes").ok()
    assert changes(sandbox.preview(STACK, "--refresh")) == {}, "nor does the cloud disagree"

    secrets = sandbox.resources("aws:secretsmanager/secretVersion:SecretVersion")
    assert secrets == [], "secrets are created empty"

    refused = sandbox.pulumi("destroy", "--yes", stack=STACK).failed()
    assert "protected" in refused.text
    assert {g.id for g in sandbox.resources(GROUP)} == POOLS, "a refused destroy destroyed nothing"
    sandbox.pulumi("destroy", "--yes", "--ignore-protect", stack=STACK).ok()
    assert sandbox.resources() == []


def test_changes_in_place_and_changes_that_would_replace_a_live_pool(editable: EngineSandbox) -> None:
    editable.up(STACK).ok()
    before = {g.id: g["arn"] for g in editable.resources(GROUP)}

    editable.edit_stack(STACK, "monthlyUsd: 60000", "monthlyUsd: 70000")
    assert changes(editable.preview(STACK)) == {"update": 1}
    editable.up(STACK).ok()

    editable.edit_stack(STACK, "target: 2", "target: 3")
    plan = editable.preview(STACK)
    assert set(changes(plan)) == {"update"}
    editable.up(STACK).ok()
    spot = next(g for g in editable.resources(GROUP) if g.id.endswith("-spot"))
    assert spot["minSize"] == 3, "a new target acts through the minimum"

    editable.edit_stack(STACK, "throughputMbps: 1000", "throughputMbps: 900")
    plan = editable.preview(STACK)
    assert set(changes(plan)) == {"update"}, "a new launch template version reaches the pools in place"
    updated = {s["newState"]["type"] for s in plan["steps"] if s["op"] == "update"}
    assert {"aws:ec2/launchTemplate:LaunchTemplate", GROUP} <= updated, "the edit is visible in the groups' diff"
    editable.up(STACK).ok()
    assert changes(editable.preview(STACK)) == {}
    assert {g.id: g["arn"] for g in editable.resources(GROUP)} == before

    editable.edit_stack(STACK, 'account: "123456789012"', 'account: "210987654321"')
    for refused in (editable.pulumi("preview", stack=STACK), editable.pulumi("up", "--yes", stack=STACK)):
        assert "marked for protection" in refused.failed().text, "another account would replace everything"
    assert {g.id: g["arn"] for g in editable.resources(GROUP)} == before


def test_drift_in_the_cloud_is_found_and_put_right(sandbox: EngineSandbox) -> None:
    from sandbox.drift import change, delete

    sandbox.up(STACK).ok()
    change(sandbox.directory, f"{GROUP}:spillway-aws-us-east-1-spot", {"maxSize": 9, "desiredCapacity": 5})
    alarm = next(r for r in sandbox.resources("aws:cloudwatch/metricAlarm:MetricAlarm"))
    delete(sandbox.directory, f"{alarm.token}:{alarm.id}")
    sandbox.pulumi("refresh", "--yes", stack=STACK).ok()
    plan = sandbox.preview(STACK)
    assert changes(plan) == {"update": 1, "create": 1}
    sandbox.up(STACK).ok()
    spot = next(g for g in sandbox.resources(GROUP) if g.id.endswith("-spot"))
    assert spot["maxSize"] == 6
    assert spot["desiredCapacity"] == 5, "the size that load and fallback set is theirs"


def test_a_region_comes_up_while_spot_is_sold_out_and_the_launches_say_why(sandbox: EngineSandbox) -> None:
    from sandbox.show import launches

    sandbox.weather("soldOut: [{market: spot}]")
    sandbox.up(STACK).ok()
    made = {row["group"]: row["launches"] for row in launches(sandbox.directory, "us-east-1")}
    assert set(made) == POOLS
    spot = made["spillway-aws-us-east-1-spot"]
    assert [launch["outcome"] for launch in spot] == ["InsufficientInstanceCapacity"] * 2
    assert made["spillway-aws-us-east-1-on-demand"] == []
    sandbox.weather("")
    made = {row["group"]: row["launches"] for row in launches(sandbox.directory, "us-east-1")}
    assert [launch["outcome"] for launch in made["spillway-aws-us-east-1-spot"]] == ["launched"] * 2


def test_a_throttling_api_slows_an_up_and_does_not_break_it(sandbox: EngineSandbox) -> None:
    sandbox.weather("faults: [{operation: create, type: 'aws:ec2/*', kind: throttle, times: 15}]")
    sandbox.up(STACK).ok()
    assert changes(sandbox.preview(STACK)) == {}


@pytest.mark.parametrize("stack", ["aws-us-west-2", "aws-us-east-2"])
def test_the_other_shipped_stack_files_deploy_as_well(sandbox: EngineSandbox, stack: str) -> None:
    sandbox.up(stack).ok()
    assert changes(sandbox.preview(stack)) == {}
    sandbox.pulumi("destroy", "--yes", "--ignore-protect", stack=stack).ok()
    assert sandbox.resources() == []


def test_a_bad_stack_file_registers_nothing_and_shows_no_traceback(editable: EngineSandbox) -> None:
    editable.edit_stack(STACK, "p4d.24xlarge, p4de.24xlarge, p5.48xlarge", "p4d.24xlarg, p3.16xlarge")
    editable.edit_stack(STACK, "floor: 0", "floor: 7")
    failed = editable.pulumi("preview", stack=STACK).failed()
    assert "Traceback" not in failed.text
    assert "unhandled" not in failed.text
    assert "p4d.24xlarg" in failed.text
    assert "pools.floor" in failed.text
    editable.up(STACK).failed()
    assert editable.resources() == []
    assert state(editable) == []


def test_an_image_that_was_never_baked_is_one_clear_line(editable: EngineSandbox) -> None:
    editable.edit_stack(STACK, 'version: "2026.11.1"', 'version: "1999.1.1"')
    failed = editable.pulumi("preview", stack=STACK).failed()
    assert "Traceback" not in failed.text
    assert "1999.1.1" in failed.text
    assert editable.resources() == []


def test_the_sandbox_leaves_the_checkout_as_it_was(sandbox: EngineSandbox) -> None:
    def status() -> str:
        return subprocess.run(
            ["git", "status", "--porcelain", "--", "stacks", "infra", "Pulumi.yaml"],
            cwd=ROOT, capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip

    before = status()
    sandbox.preview(STACK)
    assert status() == before


def test_nothing_in_the_program_knows_of_the_sandbox() -> None:
    for folder in ("infra", "images"):
        for path in (ROOT / folder).rglob("*.py"):
            assert not re.search(r"\bsandbox\b|SPILLWAY_SANDBOX", path.read_text()), path


def test_no_secret_and_no_public_address_reaches_a_node(sandbox: EngineSandbox) -> None:
    plan = json.dumps(sandbox.preview(STACK))
    assert "BEGIN " not in plan
    templates = [
        step["newState"]["inputs"]
        for step in json.loads(plan)["steps"]
        if step["newState"]["type"] == "aws:ec2/launchTemplate:LaunchTemplate"
    ]
    assert len(templates) == 2
    for template in templates:
        assert template["metadataOptions"]["httpTokens"] == "required"
        for interface in template.get("networkInterfaces", []):
            assert interface.get("associatePublicIpAddress") in (None, "false")
        for mapping in template["blockDeviceMappings"]:
            assert mapping["ebs"]["encrypted"] == "true"
            assert mapping["ebs"]["volumeType"] == "gp3"
