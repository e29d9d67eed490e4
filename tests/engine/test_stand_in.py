"""The stand-in provider under the real engine: strict checks, plans, drift, imports, secrets, weather."""

from __future__ import annotations

import json
import os
import signal
import time

import psutil
import pytest

from tests.engine.flat import STACK, Flat, subnet, vpc
from tests.support.engine import EngineSandbox, changes

pytestmark = pytest.mark.engine

VPC = "aws:ec2/vpc:Vpc"
SUBNET = "aws:ec2/subnet:Subnet"


def test_faults_are_named_with_their_property_path_in_a_preview(flat: Flat) -> None:
    flat.program({"v": vpc(cidrBlok="10.0.0.0/16", enableDnsSupport="yes", tags={"a": 1})})
    failed = flat.run("preview").failed().text
    assert "cidrBlok: unknown property; did you mean cidrBlock?" in failed
    assert 'enableDnsSupport: expected true or false, got "yes"' in failed
    assert "tags.a: expected a string, got 1" in failed
    assert flat.resources() == []


def test_a_type_that_is_not_covered_is_an_error_that_says_so(flat: Flat) -> None:
    flat.program({"x": {"type": "aws:gamelift/fleet:Fleet", "inputs": {}}})
    assert "does not cover the type aws:gamelift/fleet:Fleet" in flat.run("preview").failed().text


def test_up_then_nothing_to_do_then_destroy_leaves_nothing(flat: Flat) -> None:
    flat.program({"v": vpc(), "s": subnet()}, exports={"arn": "${v.arn}"})
    assert changes(flat.plan()) == {"create": 4}
    flat.deploy().ok()
    assert flat.held() == {VPC: 1, SUBNET: 1}
    assert changes(flat.plan()) == {}
    assert flat.deploy("--expect-no-changes").ok()
    assert changes(flat.plan("--refresh")) == {}
    flat.run("destroy", "--yes").ok()
    assert flat.resources() == []


def test_a_change_in_place_and_a_change_that_replaces_are_told_apart(flat: Flat) -> None:
    flat.program({"v": vpc(), "s": subnet()})
    flat.deploy().ok()
    before = flat.resources(SUBNET)[0].id
    flat.program({"v": vpc(tags={"a": "b"}), "s": subnet()})
    assert changes(flat.plan()) == {"update": 1}
    flat.program({"v": vpc(tags={"a": "b"}), "s": subnet("10.0.2.0/24")})
    plan = flat.plan()
    assert changes(plan) == {"replace": 1, "update": 1}
    step = next(s for s in plan["steps"] if s["op"] == "replace")
    assert step["replaceReasons"] == ["cidrBlock"]
    flat.deploy().ok()
    assert flat.resources(SUBNET)[0].id != before
    assert flat.held() == {VPC: 1, SUBNET: 1}


def test_drift_is_found_by_refresh_and_put_right_by_up(flat: Flat) -> None:
    from sandbox.drift import change, delete

    flat.program({"v": vpc(enableDnsHostnames=True), "s": subnet()})
    flat.deploy().ok()
    change(flat.directory, flat.resources(VPC)[0].id, {"enableDnsHostnames": False})
    assert changes(flat.plan()) == {}, "a plain preview does not look"
    assert changes(flat.plan("--refresh")) == {"update": 1}
    flat.run("refresh", "--yes").ok()
    flat.deploy().ok()
    assert flat.resources(VPC)[0]["enableDnsHostnames"] is True
    delete(flat.directory, flat.resources(SUBNET)[0].id)
    flat.run("refresh", "--yes").ok()
    assert changes(flat.plan()) == {"create": 1}


def test_what_exists_can_be_imported_and_then_needs_no_change(flat: Flat) -> None:
    flat.program({"v": vpc(tags={"Name": "v"})})
    flat.deploy().ok()
    id = flat.resources(VPC)[0].id
    urn = flat.resources(VPC)[0].urn
    flat.run("state", "delete", "--yes", urn).ok()
    provider = next(
        r["urn"]
        for r in json.loads(flat.run("stack", "export").ok().stdout)["deployment"]["resources"]
        if r["type"] == "pulumi:providers:aws"
    )
    done = flat.run("import", "--yes", "--protect=false", "--provider", f"p={provider}", VPC, "v", id)
    assert "error" not in done.text
    assert done.code == 0, done.text
    assert changes(flat.plan()) == {}


def test_an_import_of_nothing_is_an_error(flat: Flat) -> None:
    flat.program({"v": vpc()})
    flat.deploy().ok()
    flat.run("import", "--yes", VPC, "w", "vpc-0123456789abcdef0").failed()


def test_references_must_exist(flat: Flat) -> None:
    flat.program({"s": subnet(vpc_id="vpc-0123456789abcdef0")})
    assert "does not exist" in flat.deploy().failed().text


def test_secrets_stay_secret_in_state_and_in_show(flat: Flat) -> None:
    from sandbox.show import holdings

    flat.program({"v": vpc(tags={"token": {"secret": "hunter2"}})})
    flat.deploy().ok()
    assert "hunter2" not in flat.run("stack", "export").ok().stdout
    assert "hunter2" not in json.dumps(holdings(flat.directory, None, None, None))
    assert changes(flat.plan()) == {}


def test_a_throttled_call_is_tried_again_and_given_up_in_the_end(flat: Flat) -> None:
    flat.weather("faults: [{operation: create, type: '*Vpc', kind: throttle, times: 3}]")
    flat.program({"v": vpc()})
    flat.deploy().ok()
    flat.weather("faults: [{operation: create, type: '*Subnet', kind: throttle}]")
    flat.program({"v": vpc(), "s": subnet()})
    assert "Rate exceeded" in flat.deploy().failed().text
    flat.weather("")
    flat.deploy().ok()
    assert flat.held() == {VPC: 1, SUBNET: 1}


def test_a_lost_answer_leaves_what_the_state_does_not_know(flat: Flat) -> None:
    flat.weather("faults: [{operation: create, type: '*Vpc', kind: lose-answer, times: 1}]")
    flat.program({"v": vpc()})
    assert "answer" in flat.deploy().failed().text
    assert flat.held() == {VPC: 1}
    assert VPC not in flat.run("stack", "export").ok().stdout


def test_a_failed_call_changes_nothing(flat: Flat) -> None:
    flat.weather("faults: [{operation: create, kind: fail, message: 'UnauthorizedOperation: you may not'}]")
    flat.program({"v": vpc()})
    failed = flat.deploy().failed().text
    assert "creating aws ec2 Vpc (v): api error UnauthorizedOperation: you may not" in failed
    assert flat.resources() == []


def test_plugins_end_when_the_engine_is_killed(flat: Flat) -> None:
    flat.weather("faults: [{operation: create, type: '*Vpc', kind: slow, seconds: 60}]")
    flat.program({"v": vpc()})
    process = flat.start("up", "--yes", "--skip-preview", stack=STACK)
    deadline = time.monotonic() + 60
    plugins: list[psutil.Process] = []
    while not plugins and time.monotonic() < deadline:
        time.sleep(0.1)
        plugins = [
            p
            for p in psutil.Process(process.pid).children(recursive=True)
            if any("pulumi-resource-aws" in part for part in p.cmdline())
        ]
    assert plugins
    os.kill(process.pid, signal.SIGKILL)  # the CLI alone: nobody tells the plugin
    _, alive = psutil.wait_procs(plugins, timeout=20)
    EngineSandbox.kill(process)
    assert alive == []


def test_a_data_source_answers_and_its_arguments_are_checked(flat: Flat) -> None:
    flat.program({}, invokes={"aws:ec2/getAmi:getAmi": {"ownerss": ["self"]}})
    assert "did you mean owners?" in flat.run("preview").failed().text
