"""`spillway recover` on the real engine: however an update ended, the next `up` puts things right."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest

from sandbox.store import Store
from spillway.errors import SpillwayError
from spillway.recovery.model import type_of
from tests.support.engine import EngineSandbox, changes
from tests.support.recovering import command, fault, managed, recovered, wait_for

pytestmark = pytest.mark.engine

PROGRAM = Path(__file__).parent / "programs" / "recover"
VPC = "aws:ec2/vpc:Vpc"
SUBNET = "aws:ec2/subnet:Subnet"
TABLE = "aws:ec2/routeTable:RouteTable"
ROUTE = "aws:ec2/route:Route"
ASSOCIATION = "aws:ec2/routeTableAssociation:RouteTableAssociation"
ROLE = "aws:iam/role:Role"
BUILT_IN = ("aws:ec2/defaultRouteTable", "aws:ec2/defaultNetworkAcl", "aws:ec2/defaultSecurityGroup")


@pytest.fixture
def small(tmp_path: Path) -> EngineSandbox:
    """The small program on an empty sandbox."""
    return EngineSandbox(tmp_path / "sandbox", PROGRAM)


def held(sandbox: EngineSandbox) -> Counter[str]:
    """How many of each type that the program makes."""
    return Counter({t: n for t, n in sandbox.held().items() if not t.startswith(BUILT_IN)})


def all_is_well(sandbox: EngineSandbox, stack: str = "one") -> None:
    """`up` works, nothing is doubled, missing or orphaned, and a preview has nothing to do."""
    sandbox.up(stack).ok()
    assert held(sandbox) == managed(sandbox, stack)
    assert set(held(sandbox).values()) == {1}, held(sandbox)
    assert changes(sandbox.preview(stack)) == {}


@pytest.mark.parametrize("lost", [(VPC, ROLE), (TABLE,), (ROUTE, ASSOCIATION)])
def test_lost_answers_leave_one_resource_each_that_the_stack_then_owns(
    small: EngineSandbox, lost: tuple[str, ...]
) -> None:
    entries = "".join(fault("lose-answer", token, times=1).removeprefix("faults:\n") for token in lost)
    small.weather("faults:\n" + entries)
    small.up("one", "--continue-on-error").failed()
    before = {token: [r.id for r in small.resources(token)] for token in lost}
    assert {len(ids) for ids in before.values()} == {1}, before
    assert not set(lost) & set(managed(small))
    report = recovered(small)
    assert report.consistent
    assert set(lost) <= {type_of(urn) for urn, _ in report.adopted}
    all_is_well(small)
    assert {token: [r.id for r in small.resources(token)] for token in lost} == before


def test_an_update_killed_in_the_middle_goes_on_after_recovery(small: EngineSandbox) -> None:
    small.weather(fault("slow", TABLE, seconds=30))
    running = small.start("up", "--yes", "--skip-preview", stack="one")
    wait_for(small, SUBNET)
    small.kill(running)
    small.weather("")
    assert "locked" in small.up("one").failed().text
    report = recovered(small)
    assert report.consistent
    assert report.pending
    all_is_well(small)
    again = recovered(small)
    assert (again.adopted, again.deleting, again.pending, again.left) == ([], [], [], [])


def test_a_killed_update_whose_create_went_through_is_adopted(small: EngineSandbox) -> None:
    small.weather(fault("slow", SUBNET, seconds=3))
    running = small.start("up", "--yes", "--skip-preview", stack="one")
    wait_for(small, TABLE)
    os.kill(running.pid, signal.SIGKILL)  # the CLI alone: its plugin has a moment to live, as an orphan
    small.kill(running)
    with Store(small.directory).transaction(write=True) as tx:  # what the plugin's last call would have made
        vpc = tx.all("aws", VPC)[0]
        table = tx.all("aws", TABLE)[0]
        tags = {**table.outputs["tags"]}
        made = type(table)(
            SUBNET,
            "subnet-0123456789abcdef0",
            table.region,
            table.account,
            {"vpcId": vpc.id, "cidrBlock": "10.0.1.0/24", "availabilityZone": "us-east-1a", "tags": tags},
            {"vpcId": vpc.id, "cidrBlock": "10.0.1.0/24", "availabilityZone": "us-east-1a", "tags": tags},
            urn="lost",
        )
        if not tx.all("aws", SUBNET):
            tx.put("aws", made)
    small.weather("")
    recovered(small)
    all_is_well(small)


def test_an_attribute_file_that_a_kill_left_empty_does_not_keep_the_state_closed(small: EngineSandbox) -> None:
    small.up("one").ok()
    (attributes,) = (small.project.backend / ".pulumi" / "stacks").glob("**/one.json.attrs")
    attributes.write_text("")
    assert "failed to load checkpoint" in small.pulumi("stack", "export", stack="one").failed().text
    recovered(small)
    all_is_well(small)


def test_a_killed_plugin_does_not_double_anything(small: EngineSandbox) -> None:
    small.weather(fault("slow", "aws:iam/rolePolicy:RolePolicy", seconds=30))
    running = small.start("up", "--yes", "--skip-preview", stack="one")
    wait_for(small, ROLE)
    plugins = subprocess.run(
        ["ps", "-o", "pid=,args=", "-g", str(running.pid)], capture_output=True, text=True, check=True
    )
    pids = [int(line.split()[0]) for line in plugins.stdout.splitlines() if "pulumi-resource-aws" in line]
    assert pids
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    running.communicate(timeout=60)
    assert running.returncode != 0
    small.weather("")
    assert recovered(small).consistent
    all_is_well(small)


def test_a_whole_network_that_no_program_wants_is_deleted_by_the_next_up(small: EngineSandbox) -> None:
    small.up("one").ok()
    exported = small.pulumi("stack", "export", stack="one").ok().json
    exported["deployment"]["resources"] = []
    forgotten = small.directory / "forgotten.json"
    forgotten.write_text(json.dumps(exported))
    small.pulumi("stack", "import", "--file", str(forgotten), stack="one").ok()
    with Store(small.directory).transaction(write=True) as tx:  # under other names: renamed in the program since
        for row in tx.all("aws"):
            for values in (row.inputs, row.outputs):
                for name in ("tags", "tagsAll"):
                    if (values.get(name) or {}).get("Name"):
                        values[name] = {**values[name], "Name": "old-" + values[name]["Name"]}
            if row.token == ROLE:
                continue
            tx.put("aws", row)
    report = recovered(small)
    assert {t for t, _, _ in report.deleting} >= {VPC, SUBNET, TABLE, ASSOCIATION}
    all_is_well(small)


def test_the_state_lost_altogether_is_found_again(small: EngineSandbox) -> None:
    small.up("one").ok()
    before = {(r.token, r.id) for r in small.resources()}
    (small.project.backend / ".pulumi" / "stacks" / "recovery" / "one.json").unlink()
    report = recovered(small)
    assert report.consistent
    assert not report.deleting
    all_is_well(small)
    assert {(r.token, r.id) for r in small.resources()} == before


def test_a_resource_doubled_by_a_second_up_is_deleted_and_the_one_in_use_stays(small: EngineSandbox) -> None:
    small.weather(fault("lose-answer", VPC, times=1))
    small.up("one").failed()
    lost = small.resources(VPC)[0].id
    small.up("one").ok()
    assert held(small)[VPC] == 2
    report = recovered(small)
    assert [(t, i) for t, i, _ in report.deleting] == [(VPC, lost)]
    assert recovered(small).deleting == report.deleting
    all_is_well(small)
    assert lost not in {r.id for r in small.resources(VPC)}


def test_a_replacement_whose_answer_was_lost_is_finished(small: EngineSandbox, tmp_path: Path) -> None:
    root = tmp_path / "program"
    shutil.copytree(PROGRAM, root)
    sandbox = EngineSandbox(tmp_path / "sandbox", root)
    sandbox.up("one").ok()
    sandbox.edit_stack("one", "10.0.0.0", "10.9.0.0")
    sandbox.weather(fault("lose-answer", VPC, times=1))
    sandbox.up("one").failed()
    new = sandbox.resources(VPC)[-1].id
    report = recovered(sandbox)
    assert [e.id for _, e in report.adopted] == [new]
    all_is_well(sandbox)
    assert [r.id for r in sandbox.resources(VPC)] == [new]


def test_another_stacks_resources_are_not_touched(small: EngineSandbox) -> None:
    small.up("two").ok()
    theirs = {(r.token, r.id): (r.inputs, r.outputs) for r in small.resources()}
    state = small.pulumi("stack", "export", stack="two").ok().stdout
    small.weather(fault("lose-answer", VPC, times=1))
    small.up("one").failed()
    report = recovered(small, "one")
    assert {e.id for _, e in report.adopted}.isdisjoint(id for _, id in theirs)
    small.up("one").ok()
    now = {(r.token, r.id): (r.inputs, r.outputs) for r in small.resources()}
    assert {key: now.get(key) for key in theirs} == theirs
    assert small.pulumi("stack", "export", stack="two").ok().stdout == state
    assert held(small)[VPC] == 2


def test_a_dry_run_says_the_same_and_changes_nothing(small: EngineSandbox) -> None:
    small.weather(fault("lose-answer", TABLE, times=1))
    assert "was lost" in small.up("one").failed().text
    small.weather("")
    cloud = [(r.token, r.id, r.inputs, r.outputs) for r in small.resources()]
    state = small.pulumi("stack", "export", stack="one").ok().stdout
    foretold = recovered(small, dry_run=True)
    assert not foretold.consistent
    assert [(r.token, r.id, r.inputs, r.outputs) for r in small.resources()] == cloud
    assert small.pulumi("stack", "export", stack="one").ok().stdout == state
    done = recovered(small)
    assert [(urn, e.id) for urn, e in done.adopted] == [(urn, e.id) for urn, e in foretold.adopted]


def test_recovery_refuses_while_an_update_runs_on_this_machine(small: EngineSandbox) -> None:
    small.weather(fault("slow", VPC, seconds=25))
    running = small.start("up", "--yes", "--skip-preview", stack="one")
    try:
        end = time.monotonic() + 60
        while not list((small.project.backend / ".pulumi" / "locks").glob("**/one/*.json")):
            assert time.monotonic() < end
            time.sleep(0.05)
        for dry_run in (True, False):
            with pytest.raises(SpillwayError, match="an update is running"):
                recovered(small, dry_run=dry_run)
        assert running.poll() is None
    finally:
        small.kill(running)


def test_a_region_killed_in_the_middle_with_an_answer_lost_is_whole_again(sandbox: EngineSandbox) -> None:
    stack, gateway = "aws-us-east-1", "aws:ec2/natGateway:NatGateway"
    slow = fault("slow", "aws:lb/loadBalancer:LoadBalancer", seconds=60)
    sandbox.weather(slow + fault("lose-answer", gateway, times=1).removeprefix("faults:\n"))
    running = sandbox.start("up", "--yes", "--skip-preview", stack=stack)
    wait_for(sandbox, gateway, 180)
    time.sleep(2)
    sandbox.kill(running)
    sandbox.weather("")
    paid = {r.id for r in sandbox.resources() if r.token in (gateway, "aws:ec2/eip:Eip")}
    done = command(sandbox, stack, "--yes", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert gateway in {adopted["type"] for adopted in told["adopted"]}
    assert told["consistent"]
    assert not told["toBeDeleted"]
    sandbox.up(stack).ok()
    assert Counter(r.token for r in sandbox.resources() if r.urn) == managed(sandbox, stack)
    assert paid <= {r.id for r in sandbox.resources()}
    assert changes(sandbox.preview(stack)) == {}


def test_the_command_says_in_one_line_what_it_cannot_do(tmp_path: Path) -> None:
    sandbox = EngineSandbox(tmp_path / "sandbox")
    done = command(sandbox, "aws-nowhere-1", "--yes")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("spillway: stacks/Pulumi.aws-nowhere-1.yaml: no such stack file")
    unasked = command(sandbox, "aws-us-east-1")
    assert unasked.returncode == 1
    assert unasked.stderr.splitlines()[-1].endswith("add --yes, or --dry-run to look only")
    assert "Traceback" not in done.stderr + unasked.stderr
