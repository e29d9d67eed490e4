"""Recovery without an engine: matching, the import file, dependencies, locks, and what AWS is asked."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from hypothesis import given
from hypothesis import strategies as st

from sandbox.kinds import Resource
from sandbox.store import Store
from spillway import recover as command
from spillway.errors import SpillwayError
from spillway.recovery import aws, aws_types
from spillway.recovery.aws_types import RULES
from spillway.recovery.importfile import build, recovered_name
from spillway.recovery.match import decide, planned
from spillway.recovery.model import UNHANDLED, UNKNOWN, Existing, Planned, Scope, accounts_of, name_of, type_of
from spillway.recovery.pulumi import Lock, Outcome, refuse_living
from spillway.recovery.report import Report
from spillway.recovery.stand_in import SandboxInventory
from spillway.recovery.state import State, linked, ordered, put_in_place

STACK = "urn:pulumi:dev::spillway::pulumi:pulumi:Stack::spillway-dev"
PROVIDER = "urn:pulumi:dev::spillway::pulumi:providers:aws::here"
NETWORK = "urn:pulumi:dev::spillway::spillway:aws:Network::net"


def urn(token: str, name: str, parent: str = "spillway:aws:Network$") -> str:
    return f"urn:pulumi:dev::spillway::{parent}{token}::{name}"


def tags(name: str, stack: str = "dev", component: str = "network") -> dict[str, str]:
    return {"spillway:stack": stack, "spillway:component": component, "Name": name}


def plan(token: str, name: str, inputs: Mapping[str, Any], replaces: bool = False, **dependencies: str) -> Planned:
    wanted = {key: (value,) for key, value in dependencies.items()}
    return Planned(urn(token, name), token, True, inputs, NETWORK, PROVIDER, wanted, replaces)


def state(*resources: Mapping[str, Any]) -> State:
    base = [
        {"urn": STACK, "type": "pulumi:pulumi:Stack", "custom": False},
        {
            "urn": PROVIDER,
            "type": "pulumi:providers:aws",
            "custom": True,
            "id": "p-1",
            "inputs": {"region": "us-east-1"},
        },
        {"urn": NETWORK, "type": "spillway:aws:Network", "custom": False, "parent": STACK},
    ]
    return State({"version": 3, "deployment": {"resources": [*base, *map(dict, resources)]}})


def owned(token: str, name: str, id: str, **more: Any) -> dict[str, Any]:
    provider = f"{PROVIDER}::p-1"
    return {"urn": urn(token, name), "type": token, "custom": True, "id": id, "provider": provider, **more}


VPC_PLAN = plan(aws_types.VPC, "net-vpc", {"cidrBlock": "10.0.0.0/16", "tags": tags("vpc")})
SUBNET_PLAN = plan(aws_types.SUBNET, "net-a", {"vpcId": UNKNOWN, "tags": tags("a")}, vpcId=VPC_PLAN.urn)
TABLE_PLAN = plan(aws_types.ROUTE_TABLE, "net-a", {"vpcId": UNKNOWN, "tags": tags("a")}, vpcId=VPC_PLAN.urn)
ROUTE_PLAN = plan(
    aws_types.ROUTE,
    "net-out",
    {"routeTableId": UNKNOWN, "destinationCidrBlock": "0.0.0.0/0"},
    routeTableId=TABLE_PLAN.urn,
)
VPC = Existing(aws_types.VPC, "vpc-1", tags=tags("vpc"))
SUBNET = Existing(aws_types.SUBNET, "subnet-1", tags=tags("a"), refs=frozenset({"vpc-1"}))
TABLE = Existing(aws_types.ROUTE_TABLE, "rtb-1", tags=tags("a"), refs=frozenset({"vpc-1"}))
ROUTE = Existing(aws_types.ROUTE, "rtb-1_0.0.0.0/0", "rtb-1_0.0.0.0/0", parents=frozenset({"rtb-1"}))


# Matching


def test_parents_and_their_untagged_children_are_matched_in_one_go() -> None:
    found = decide([VPC_PLAN, SUBNET_PLAN, TABLE_PLAN, ROUTE_PLAN], [ROUTE, TABLE, SUBNET, VPC], state(), RULES)
    assert [(p.name, e.id) for p, e in found.adopt] == [
        ("net-vpc", "vpc-1"),
        ("net-a", "subnet-1"),
        ("net-a", "rtb-1"),
        ("net-out", "rtb-1_0.0.0.0/0"),
    ]
    assert not found.orphans
    assert not found.left


def test_what_the_state_holds_is_nobodys_orphan() -> None:
    holds = state(
        owned(aws_types.VPC, "net-vpc", "vpc-1"),
        # The state has the provider's own id of a route, the cloud only the table and the destination.
        owned(
            aws_types.ROUTE,
            "net-out",
            "r-rtb-11080289494",
            outputs={"routeTableId": "rtb-1", "destinationCidrBlock": "0.0.0.0/0"},
        ),
        owned(aws_types.ROUTE_TABLE, "net-a", "rtb-1", delete=True),
    )
    found = decide([], [VPC, TABLE, ROUTE], holds, RULES)
    assert (found.adopt, found.orphans, found.left) == ([], [], [])


def test_of_two_lost_networks_the_one_with_something_in_it_is_adopted() -> None:
    other = Existing(aws_types.VPC, "vpc-0", tags=tags("vpc"))
    found = decide([VPC_PLAN, SUBNET_PLAN], [other, VPC, SUBNET], state(), RULES)
    assert [e.id for _, e in found.adopt] == ["vpc-1", "subnet-1"]
    assert [e.id for e in found.orphans] == ["vpc-0"]


def test_a_subnet_of_another_network_than_the_plans_is_not_adopted() -> None:
    holds = state(owned(aws_types.VPC, "net-vpc", "vpc-2"))
    found = decide([SUBNET_PLAN], [VPC, SUBNET], holds, RULES)
    assert not found.adopt
    assert {e.id for e in found.orphans} == {"vpc-1", "subnet-1"}


def test_a_fixed_name_decides_whatever_the_name_tag_says() -> None:
    role = plan(aws_types.ROLE, "node", {"name": "spillway-dev-node", "tags": tags("renamed")})
    found = decide(
        [role], [Existing(aws_types.ROLE, "spillway-dev-node", "spillway-dev-node", tags("old"))], state(), RULES
    )
    assert [e.id for _, e in found.adopt] == ["spillway-dev-node"]
    other = decide(
        [role], [Existing(aws_types.ROLE, "spillway-dev-other", "spillway-dev-other", tags("renamed"))], state(), RULES
    )
    assert not other.adopt


def test_the_same_name_in_another_component_or_region_does_not_match() -> None:
    elsewhere = Existing(aws_types.VPC, "vpc-1", tags=tags("vpc", component="other"))
    assert not decide([VPC_PLAN], [elsewhere], state(), RULES).adopt
    abroad = plan(aws_types.VPC, "net-vpc", {"region": "eu-west-1", "tags": tags("vpc")})
    assert not decide(
        [abroad], [Existing(aws_types.VPC, "vpc-1", tags=tags("vpc"), region="us-east-1")], state(), RULES
    ).adopt


def test_a_group_is_matched_by_name_and_its_tags_are_a_list() -> None:
    listed = [{"key": k, "value": v, "propagateAtLaunch": True} for k, v in tags("spot").items()]
    group = plan(aws_types.GROUP, "spot", {"name": "spillway-dev-spot", "tags": listed})
    assert group.tags["Name"] == "spot"
    found = decide([group], [Existing(aws_types.GROUP, "spillway-dev-spot", "spillway-dev-spot")], state(), RULES)
    assert len(found.adopt) == 1


def test_the_default_security_group_is_adopted_but_never_deleted() -> None:
    default = Existing(aws_types.DEFAULT_SECURITY_GROUP, "sg-1", "vpc-1/default", tags("default-unused"))
    wanted = plan(aws_types.DEFAULT_SECURITY_GROUP, "net-default", {"vpcId": "vpc-1", "tags": tags("default-unused")})
    assert [e.id for _, e in decide([wanted], [default], state(), RULES).adopt] == ["sg-1"]
    alone = decide([], [default], state(), RULES)
    assert not alone.orphans
    assert [left.problem for left in alone.left] == [False]


def test_parts_of_an_orphan_go_with_it_and_those_that_keep_it_alive_go_first() -> None:
    association = Existing(
        aws_types.ASSOCIATION, "subnet-1/rtb-1", "subnet-1", parents=frozenset({"rtb-1", "subnet-1"})
    )
    found = decide([], [TABLE, ROUTE, association], state(), RULES)
    assert [e.id for e in found.orphans] == ["rtb-1", "subnet-1/rtb-1"]
    assert not found.left


def test_parts_of_something_owned_that_no_plan_has_are_left_alone() -> None:
    found = decide([], [TABLE, ROUTE], state(owned(aws_types.ROUTE_TABLE, "net-a", "rtb-1")), RULES)
    assert not found.orphans
    assert [(left.resource.id, left.problem) for left in found.left] == [("rtb-1_0.0.0.0/0", False)]


def test_what_recovery_does_not_know_is_a_problem_and_a_pools_instance_is_none() -> None:
    unknown = Existing("lambda:function", "arn:aws:lambda:...", keep=UNHANDLED)
    instance = Existing("ec2:instance", "i-1", keep=aws.POOLED)
    found = decide([], [unknown, instance], state(), RULES)
    assert [left.problem for left in found.left] == [True, False]
    assert not found.orphans


def test_a_survivor_of_a_replacement_takes_the_place_unless_the_old_one_is_protected() -> None:
    item = plan(aws_types.VPC, "net-vpc", {"tags": tags("vpc")}, replaces=True)
    old = owned(aws_types.VPC, "net-vpc", "vpc-0")
    assert [e.id for _, e in decide([item], [VPC], state(old), RULES).adopt] == ["vpc-1"]
    kept = decide([item], [VPC], state({**old, "protect": True}), RULES)
    assert not kept.adopt
    assert not kept.orphans
    assert [left.problem for left in kept.left] == [True]


def test_a_preview_is_read_with_components_providers_and_replacements() -> None:
    steps = [
        {"op": "same", "urn": STACK, "newState": {}},
        {"op": "create", "urn": NETWORK, "newState": {"custom": False, "parent": STACK}},
        {
            "op": "replace",
            "urn": VPC_PLAN.urn,
            "newState": {
                "custom": True,
                "inputs": {"tags": {}},
                "parent": NETWORK,
                "provider": f"{PROVIDER}::{UNKNOWN}",
                "propertyDependencies": {"tags": None, "vpcId": [STACK]},
            },
        },
    ]
    network, vpc = planned({"steps": steps})
    assert (network.custom, network.replaces, network.provider) == (False, False, None)
    assert (vpc.replaces, vpc.provider, vpc.token) == (True, PROVIDER, aws_types.VPC)
    assert vpc.dependencies == {"tags": (), "vpcId": (STACK,)}


def test_a_urn_is_read_even_when_the_name_has_colons() -> None:
    odd = urn(aws_types.VPC, "a::b$c")
    assert name_of(odd) == "a::b$c"
    assert type_of(odd) == aws_types.VPC


# The import file


def test_the_import_file_names_parents_and_providers_of_the_state() -> None:
    file = build([(VPC_PLAN, VPC)], [TABLE], [VPC_PLAN], state())
    assert sorted(file["nameTable"].values()) == sorted([NETWORK, PROVIDER])
    adopted, orphan = file["resources"]
    handles = {v: k for k, v in file["nameTable"].items()}
    assert adopted == {
        "type": aws_types.VPC,
        "name": adopted["name"],
        "logicalName": "net-vpc",
        "id": "vpc-1",
        "parent": handles[NETWORK],
        "provider": handles[PROVIDER],
    }
    assert (orphan["logicalName"], orphan.get("parent"), orphan["provider"]) == (
        "recovered-rtb-1",
        None,
        handles[PROVIDER],
    )


def test_components_and_providers_that_only_the_plan_has_are_entries_before_what_needs_them() -> None:
    empty = State({"deployment": {}})
    steps = [
        Planned(PROVIDER, "pulumi:providers:aws", True, {"region": "us-east-1"}, STACK, None),
        Planned(NETWORK, "spillway:aws:Network", False, {}, STACK, None),
        VPC_PLAN,
    ]
    file = build([(VPC_PLAN, VPC)], [], steps, empty)
    component, provider, vpc = file["resources"]
    assert component["component"] is True
    assert provider["inputs"] == {"region": "us-east-1"}
    assert (vpc["parent"], vpc["provider"]) == (component["name"], provider["name"])
    assert not file["nameTable"]


def test_a_provider_with_secret_settings_has_to_be_made_by_an_up() -> None:
    steps = [Planned(PROVIDER, "pulumi:providers:aws", True, {"token": "[secret]"}, STACK, None), VPC_PLAN]
    with pytest.raises(SpillwayError, match="--target"):
        build([(VPC_PLAN, VPC)], [], [*steps, Planned(NETWORK, "n", False, {}, STACK, None)], State({"deployment": {}}))


def test_a_recovered_name_has_no_characters_that_a_urn_or_a_shell_trips_over() -> None:
    assert (
        recovered_name(Existing(aws_types.TOPIC, "arn:aws:sns:us-east-1:1:t/x"))
        == "recovered-arn-aws-sns-us-east-1-1-t-x"
    )


# Dependencies


def test_imported_resources_depend_on_what_their_inputs_name() -> None:
    subnet = owned(
        aws_types.SUBNET, "recovered-subnet-1", "subnet-1", inputs={"vpcId": "vpc-1", "tags": {"x": "rtb-1"}}
    )
    vpc = owned(aws_types.VPC, "recovered-vpc-1", "vpc-1", inputs={})
    table = owned(aws_types.ROUTE_TABLE, "recovered-rtb-1", "rtb-1", inputs={"vpcId": "vpc-1"})
    before = state(subnet, vpc, table).exported
    after = linked(before, [subnet["urn"], vpc["urn"]])
    assert after is not None
    found = {r["urn"]: r.get("dependencies") for r in after["deployment"]["resources"]}
    assert found[subnet["urn"]] == [vpc["urn"]]
    assert found[table["urn"]] is None  # not imported by us: none of our business
    urns = [r["urn"] for r in after["deployment"]["resources"]]
    assert urns.index(vpc["urn"]) < urns.index(subnet["urn"])
    assert linked(after, [subnet["urn"], vpc["urn"]]) is None
    assert before["deployment"]["resources"][3].get("dependencies") is None  # the argument is not changed


def test_two_that_name_each_other_do_not_make_a_circle() -> None:
    a = owned(aws_types.SECURITY_GROUP, "a", "sg-a", inputs={"x": ["sg-b"]})
    b = owned(aws_types.SECURITY_GROUP, "b", "sg-b", inputs={"x": [{"y": "sg-a"}]})
    after = linked(state(a, b).exported, [a["urn"], b["urn"]])
    assert after is not None
    assert sum(len(r.get("dependencies", [])) for r in after["deployment"]["resources"]) == 1


@given(st.permutations(range(6)), st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=12))
def test_order_puts_everything_after_what_it_needs(order: list[int], edges: list[tuple[int, int]]) -> None:
    down = [(a, b) for a, b in edges if a > b]  # no circles
    resources: list[dict[str, Any]] = [
        {"urn": f"u{n}", "type": "t", "dependencies": [f"u{b}" for a, b in down if a == n]} for n in order
    ]
    urns = [r["urn"] for r in ordered(resources)]
    assert sorted(urns) == sorted(r["urn"] for r in resources)
    assert all(urns.index(f"u{b}") < urns.index(f"u{a}") for a, b in down)


def test_a_successor_takes_the_place_and_what_was_there_waits_for_deletion() -> None:
    subnet = owned(aws_types.SUBNET, "net-a", "subnet-1", dependencies=[VPC_PLAN.urn])
    stray = owned(aws_types.VPC, "recovered-vpc-1", "vpc-1")
    before = state(owned(aws_types.VPC, "net-vpc", "vpc-0"), subnet, stray).exported
    after = put_in_place(before, {stray["urn"]: (VPC_PLAN.urn, NETWORK)})
    told = [(r["urn"], r.get("id"), r.get("delete", False)) for r in after["deployment"]["resources"][3:]]
    assert told == [(VPC_PLAN.urn, "vpc-0", True), (VPC_PLAN.urn, "vpc-1", False), (subnet["urn"], "subnet-1", False)]
    assert after["deployment"]["resources"][4]["parent"] == NETWORK
    assert not any(r.get("delete") for r in before["deployment"]["resources"])


# Locks and errors

LOCKED = (
    "error: the stack is currently locked by 1 lock(s). Either wait for the other process(es) to end or delete the "
    "lock file with `pulumi cancel`.",
    "  file:///x/.pulumi/locks/organization/p/dev/6.json: created by ann@{host} (pid {pid}) at 2026-11-26",
)


def locked(host: str, pid: int) -> list[Lock]:
    return Outcome(255, "", tuple(line.format(host=host, pid=pid) for line in LOCKED)).locks


def test_a_lock_is_read_from_what_the_engine_says() -> None:
    assert locked("far", 7) == [Lock("ann", "far", 7, "2026-11-26")]
    assert Outcome(1, "error: something else", ()).locks == []
    assert Outcome(1, "", ("error: [409] Conflict: Another update is currently in progress.",)).locks != []


def test_a_dead_holder_on_this_machine_does_not_stop_recovery_and_a_far_one_does() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    refuse_living("dev", locked(socket.gethostname(), child.pid), force=False)
    refuse_living(
        "dev", locked(socket.gethostname(), os.getpid()), force=False
    )  # alive, but no pulumi: the id is reused
    with pytest.raises(SpillwayError, match=r"on another machine.*--force"):
        refuse_living("dev", locked("far", 1), force=False)
    refuse_living("dev", locked("far", 1), force=True)


def test_a_living_pulumi_on_this_machine_stops_recovery(tmp_path: Path) -> None:
    program = tmp_path / "pulumi"
    program.write_text("#!/bin/sh\nread line\n")
    program.chmod(0o755)
    child = subprocess.Popen([program], stdin=subprocess.PIPE)
    try:
        with pytest.raises(SpillwayError, match="an update is running"):
            refuse_living("dev", locked(socket.gethostname(), child.pid), force=False)
    finally:
        child.communicate()


def test_the_engines_errors_are_told_once_and_without_its_summary() -> None:
    outcome = Outcome(1, "Diagnostics:\n    error: update failed\n    error: bad thing\n", ("error: bad thing",))
    assert outcome.errors == ["bad thing"]
    assert Outcome(1, "error: update failed", ()).errors == ["update failed"]
    assert Outcome(1, "only\nthis\n", ()).errors == ["only", "this"]


# The whole of it, on an engine that only keeps a list


class Engine:
    """Plans what its program has and its state has not; imports what is asked, but for ids in `refuses`."""

    def __init__(self, program: list[Planned], refuses: tuple[str, ...] = ()) -> None:
        self.name = "dev"
        self.program, self.refuses = program, refuses
        self.exported: dict[str, Any] = dict(state().exported)
        self.changed = 0

    def state(self) -> State:
        return State(json.loads(json.dumps(self.exported)))

    def preview(self) -> Mapping[str, Any]:
        return {
            "steps": [
                {
                    "op": "create",
                    "urn": p.urn,
                    "newState": {
                        "custom": True,
                        "inputs": p.inputs,
                        "parent": p.parent,
                        "provider": f"{PROVIDER}::p-1",
                        "propertyDependencies": p.dependencies,
                    },
                }
                for p in self.program
                if p.urn not in self.state().live
            ]
        }

    def refresh(self, *, force: bool) -> None:
        self.changed += 1
        self.exported["deployment"].pop("pending_operations", None)

    def locks(self) -> list[Lock]:
        return []

    def write(self, exported: Mapping[str, Any]) -> None:
        self.changed += 1
        self.exported = dict(exported)

    def imports(self, file: Mapping[str, Any]) -> Outcome:
        self.changed += 1
        failed = [e for e in file["resources"] if e["id"] in self.refuses]
        if failed:
            return Outcome(1, f"error: cannot read {failed[0]['id']}", ())
        for entry in file["resources"]:
            parent = "spillway:aws:Network$" if entry.get("parent") else ""
            self.exported["deployment"]["resources"].append(
                {
                    "urn": urn(entry["type"], entry["logicalName"], parent),
                    "type": entry["type"],
                    "custom": True,
                    "id": entry["id"],
                }
            )
        return Outcome(0, "", ())


class Listed:
    def __init__(self, *existing: Existing) -> None:
        self.found = list(existing)

    def existing(self, scope: Scope) -> list[Existing]:
        assert scope.stack == "dev"
        return self.found


def run(engine: Engine, *existing: Existing, dry_run: bool = False) -> Report:
    return command.recover(engine, lambda cloud, settings: [Listed(*existing)], lambda text: None, dry_run=dry_run)  # type: ignore[arg-type]


def test_a_second_run_finds_nothing_to_do_but_still_says_what_waits_for_deletion() -> None:
    engine = Engine([VPC_PLAN, SUBNET_PLAN])
    stray = Existing(aws_types.EIP, "eipalloc-9", tags=tags("gone"))
    engine.exported["deployment"]["pending_operations"] = [{"type": "creating", "resource": {"urn": VPC_PLAN.urn}}]
    first = run(engine, VPC, SUBNET, stray)
    assert [e.id for _, e in first.adopted] == ["vpc-1", "subnet-1"]
    assert first.deleting == [(aws_types.EIP, "eipalloc-9", "recovered-eipalloc-9")]
    assert first.pending == [("creating", VPC_PLAN.urn)]
    assert first.consistent
    second = run(engine, VPC, SUBNET, stray)
    assert (second.adopted, second.pending, second.left) == ([], [], [])
    assert second.deleting == first.deleting
    assert second.consistent


def test_what_the_engine_refuses_does_not_keep_the_rest_from_being_adopted() -> None:
    report = run(Engine([VPC_PLAN, TABLE_PLAN], refuses=("rtb-1",)), VPC, TABLE)
    assert [e.id for _, e in report.adopted] == ["vpc-1"]
    assert [(left.resource.id, left.reason, left.problem) for left in report.left] == [
        ("rtb-1", "cannot be imported: cannot read rtb-1", True)
    ]
    assert not report.consistent


def test_a_dry_run_asks_the_engine_for_no_change() -> None:
    engine = Engine([VPC_PLAN])
    report = run(engine, VPC, TABLE, dry_run=True)
    assert engine.changed == 0
    assert [e.id for _, e in report.adopted] == ["vpc-1"]
    assert [id for _, id, _ in report.deleting] == ["rtb-1"]
    assert not report.consistent
    assert run(Engine([]), dry_run=True).consistent


def test_the_report_reads_the_same_for_people_and_programs() -> None:
    report = run(Engine([VPC_PLAN]), VPC, Existing("ec2:instance", "i-1", keep=aws.POOLED))
    told = report.describe()
    assert told["adopted"] == [{"type": aws_types.VPC, "name": "net-vpc", "id": "vpc-1", "urn": VPC_PLAN.urn}]
    assert told["leftAlone"][0]["reason"] == aws.POOLED
    assert len(report.rows()) == 2
    assert "pulumi up" in report.verdict()


# The stand-in's inventory


def test_the_stand_ins_inventory_goes_by_tags_and_parents_alone(tmp_path: Path) -> None:
    rows = [
        Resource(aws_types.VPC, "vpc-1", "us-east-1", "1", {}, {"tags": tags("vpc")}, urn="of another stack"),
        Resource(aws_types.VPC, "vpc-2", "us-east-1", "1", {}, {"tags": tags("vpc", "other")}, urn=VPC_PLAN.urn),
        Resource(aws_types.ROUTE_TABLE, "rtb-1", "us-east-1", "1", {"vpcId": "vpc-1"}, {"tags": tags("a")}, urn="x"),
        Resource(
            aws_types.ROUTE,
            "r-1",
            "us-east-1",
            "1",
            {},
            {"routeTableId": "rtb-1", "destinationCidrBlock": "0.0.0.0/0"},
            urn="x",
        ),
        Resource(aws_types.ROUTE, "r-2", "us-east-1", "1", {}, {"routeTableId": "rtb-2"}, urn="x"),
        Resource(aws_types.ROLE, "node", "global", "1", {}, {"name": "node", "tagsAll": tags("node")}, urn="x"),
        Resource(aws_types.ROLE_POLICY, "node:p", "global", "1", {}, {"role": "node", "name": "p"}, urn="x"),
        Resource(aws_types.VPC, "vpc-3", "us-east-1", "2", {}, {"tags": tags("vpc")}, urn="x"),
        Resource("aws:ec2/defaultRouteTable:DefaultRouteTable", "rtb-0", "us-east-1", "1", {}, {"tags": tags("a")}),
    ]
    with Store(tmp_path).transaction(write=True) as tx:
        for row in rows:
            tx.put("aws", row)
    found = {e.id: e for e in SandboxInventory(tmp_path, "aws", {"1"}, RULES).existing(Scope("dev"))}
    assert sorted(found) == ["node", "node:p", "r-1", "rtb-1", "vpc-1"]
    assert found["r-1"].key == "rtb-1_0.0.0.0/0"
    assert found["r-1"].parents == {"rtb-1"}
    assert found["rtb-1"].refs == {"vpc-1"}
    assert (found["node"].region, found["vpc-1"].region) == ("", "us-east-1")


# AWS


class Stubbed(aws.AwsInventory):
    """An inventory whose clients answer from a script; botocore checks both against the API's shapes."""

    def __init__(self, service: str, *answers: tuple[str, dict[str, Any], dict[str, Any]]) -> None:
        session = boto3.Session(aws_access_key_id="x", aws_secret_access_key="y", region_name="us-east-1")
        super().__init__(session, "us-east-1", "123456789012")
        self._stubbed = session.client(service, region_name="us-east-1")
        self.stubber = Stubber(self._stubbed)
        for operation, answer, request in answers:
            self.stubber.add_response(operation, answer, request)
        self.stubber.activate()

    def client(self, service: str) -> Any:
        assert service == self._stubbed.meta.service_model.service_name
        return self._stubbed


def aws_tags(name: str, stack: str = "aws-us-east-1") -> list[dict[str, str]]:
    return [{"Key": k, "Value": v} for k, v in tags(name, stack).items()]


AWS_STACK = "aws-us-east-1"
BY_TAG = {"Name": "tag:spillway:stack", "Values": [AWS_STACK]}


def test_ec2_is_asked_by_tag_and_only_for_what_still_exists() -> None:
    answers: dict[str, dict[str, Any]] = {
        "describe_vpcs": {"Vpcs": [{"VpcId": "vpc-1", "Tags": aws_tags("vpc")}]},
        "describe_subnets": {"Subnets": [{"SubnetId": "subnet-1", "VpcId": "vpc-1", "Tags": aws_tags("a")}]},
        "describe_route_tables": {
            "RouteTables": [
                {
                    "RouteTableId": "rtb-1",
                    "VpcId": "vpc-1",
                    "Tags": aws_tags("a"),
                    "Routes": [
                        {"DestinationCidrBlock": "10.0.0.0/16", "GatewayId": "local", "Origin": "CreateRouteTable"},
                        {"DestinationCidrBlock": "0.0.0.0/0", "NatGatewayId": "nat-1", "Origin": "CreateRoute"},
                        {"DestinationPrefixListId": "pl-1", "GatewayId": "vpce-1", "Origin": "CreateRoute"},
                    ],
                    "Associations": [
                        {"Main": True, "RouteTableId": "rtb-1"},
                        {"Main": False, "RouteTableId": "rtb-1", "SubnetId": "subnet-1"},
                    ],
                }
            ]
        },
        "describe_security_groups": {
            "SecurityGroups": [
                {"GroupId": "sg-1", "GroupName": "spillway-nodes", "VpcId": "vpc-1", "Tags": aws_tags("nodes")},
                {"GroupId": "sg-0", "GroupName": "default", "VpcId": "vpc-1", "Tags": aws_tags("default-unused")},
            ]
        },
        "describe_security_group_rules": {
            "SecurityGroupRules": [
                {"SecurityGroupRuleId": "sgr-1", "GroupId": "sg-1", "IsEgress": False, "Tags": aws_tags("in")},
                {"SecurityGroupRuleId": "sgr-2", "GroupId": "sg-1", "IsEgress": True, "Tags": aws_tags("out")},
            ]
        },
    }
    script: list[tuple[str, dict[str, Any], dict[str, Any]]] = []
    for listing in aws.EC2:
        filters = [BY_TAG, *({"Name": n, "Values": list(v)} for n, v in listing.filters)]
        script.append((listing.operation, answers.get(listing.operation, {}), {"Filters": filters}))
    inventory = Stubbed("ec2", *script)
    found = {(e.token, e.id): e for e in inventory._ec2(AWS_STACK)}
    inventory.stubber.assert_no_pending_responses()
    assert sorted(id for _, id in found) == sorted(
        ["vpc-1", "subnet-1", "rtb-1", "rtb-1_0.0.0.0/0", "subnet-1/rtb-1", "sg-1", "sg-0", "sgr-1", "sgr-2"]
    )
    assert "vpc-1" in found[aws_types.SUBNET, "subnet-1"].refs
    assert found[aws_types.SECURITY_GROUP, "sg-1"].key == "vpc-1/spillway-nodes"
    assert (aws_types.DEFAULT_SECURITY_GROUP, "sg-0") in found
    assert (aws_types.INGRESS_RULE, "sgr-1") in found
    assert (aws_types.EGRESS_RULE, "sgr-2") in found
    association = found[aws_types.ASSOCIATION, "subnet-1/rtb-1"]
    assert (association.key, association.parents) == ("subnet-1", frozenset({"subnet-1", "rtb-1"}))


def test_groups_are_listed_by_tag_and_one_that_is_being_deleted_is_left() -> None:
    def group(name: str, **more: Any) -> dict[str, Any]:
        needed = {"MinSize": 0, "MaxSize": 1, "DesiredCapacity": 0, "DefaultCooldown": 300, "HealthCheckType": "EC2"}
        zones = {"AvailabilityZones": ["us-east-1a"], "CreatedTime": datetime.now(UTC)}
        return {"AutoScalingGroupName": name, "VPCZoneIdentifier": "subnet-1,subnet-2", **needed, **zones, **more}

    answer = {"AutoScalingGroups": [group("spot", Tags=aws_tags("spot")), group("old", Status="Delete in progress")]}
    found = list(
        Stubbed("autoscaling", ("describe_auto_scaling_groups", answer, {"Filters": [BY_TAG]}))._groups(AWS_STACK)
    )
    assert [(e.id, e.keep) for e in found] == [("spot", None), ("old", "is being deleted")]
    assert found[0].refs == {"subnet-1", "subnet-2"}


@pytest.mark.parametrize(
    ("arn", "token", "id", "key"),
    [
        ("arn:aws:s3:::spillway-models", aws_types.BUCKET, "spillway-models", "spillway-models"),
        ("{secret}spillway/x/api-keys-AbC123", aws_types.SECRET, None, "spillway/x/api-keys"),
        ("{elb}loadbalancer/net/lb/50dc6c495c0c9188", aws_types.LOAD_BALANCER, None, "lb"),
        ("{elb}targetgroup/tg/50dc6c495c0c9188", aws_types.TARGET_GROUP, None, "tg"),
        ("{elb}listener/net/lb/50dc/f2f7", aws_types.LISTENER, None, None),
        ("arn:aws:cloudwatch:us-east-1:1:alarm:gap: spot", aws_types.ALARM, "gap: spot", "gap: spot"),
        ("arn:aws:sns:us-east-1:1:topic", aws_types.TOPIC, None, "topic"),
    ],
)  # fmt: skip
def test_an_arn_tells_type_import_id_and_fixed_name(arn: str, token: str, id: str | None, key: str | None) -> None:
    arn = arn.format(
        elb="arn:aws:elasticloadbalancing:us-east-1:1:", secret="arn:aws:secretsmanager:us-east-1:1:secret:"
    )
    mapping = {"ResourceARN": arn, "Tags": aws_tags("x")}
    request = {"TagFilters": [{"Key": "spillway:stack", "Values": [AWS_STACK]}]}
    inventory = Stubbed("resourcegroupstaggingapi", ("get_resources", {"ResourceTagMappingList": [mapping]}, request))
    inventory._parts = lambda parent: iter(())  # type: ignore[method-assign]
    (found,) = inventory._tagged(AWS_STACK)
    assert (found.token, found.id, found.key) == (token, id or arn, key)


def test_the_tagging_apis_answer_is_paged_and_sorted_into_pools_known_and_unknown() -> None:
    def page(*arns: str, **more: str) -> dict[str, Any]:
        return {"ResourceTagMappingList": [{"ResourceARN": a, "Tags": aws_tags("x")} for a in arns], **more}

    request = {"TagFilters": [{"Key": "spillway:stack", "Values": [AWS_STACK]}]}
    inventory = Stubbed(
        "resourcegroupstaggingapi",
        (
            "get_resources",
            page("arn:aws:ec2:us-east-1:1:vpc/vpc-1", "arn:aws:ec2:us-east-1:1:instance/i-1", PaginationToken="next"),
            request,
        ),
        (
            "get_resources",
            page("arn:aws:lambda:us-east-1:1:function:f", "arn:aws:iam::1:instance-profile/p"),
            {**request, "PaginationToken": "next"},
        ),
    )
    found = list(inventory._tagged(AWS_STACK))
    assert [(e.token, e.keep) for e in found] == [("ec2:instance", aws.POOLED), ("lambda:function:f", UNHANDLED)]


def test_a_roles_stack_is_confirmed_by_its_tag_not_by_its_name() -> None:
    def role(name: str) -> dict[str, Any]:
        base = {"Path": "/", "RoleId": "AROA1234567890123456", "CreateDate": datetime.now(UTC)}
        return {"RoleName": name, "Arn": f"arn:aws:iam::123456789012:role/{name}", **base}

    mine, theirs = "spillway-aws-us-east-1-node", "spillway-aws-us-east-1-b-node"
    inventory = Stubbed(
        "iam",
        ("list_roles", {"Roles": [role("admin"), role(mine), role(theirs)]}, {}),
        ("list_role_tags", {"Tags": aws_tags("node")}, {"RoleName": mine}),
        ("list_role_policies", {"PolicyNames": ["node"]}, {"RoleName": mine}),
        ("list_role_tags", {"Tags": aws_tags("node", "aws-us-east-1-b")}, {"RoleName": theirs}),
    )
    found = list(inventory._roles(AWS_STACK))
    inventory.stubber.assert_no_pending_responses()
    assert [(e.token, e.id) for e in found] == [(aws_types.ROLE, mine), (aws_types.ROLE_POLICY, f"{mine}:node")]
    assert found[1].parents == {mine}


def test_targets_of_a_rule_and_confirmed_subscriptions_of_a_topic_are_listed() -> None:
    rule = Existing(aws_types.EVENT_RULE, "interruptions", "interruptions")
    answer = {"Targets": [{"Id": "topic", "Arn": "arn:aws:sns:us-east-1:1:topic"}]}
    (target,) = Stubbed("events", ("list_targets_by_rule", answer, {"Rule": "interruptions"}))._parts(rule)
    assert (target.token, target.id, target.parents) == (
        aws_types.EVENT_TARGET,
        "interruptions/topic",
        frozenset({"interruptions"}),
    )
    topic = Existing(aws_types.TOPIC, "arn:aws:sns:us-east-1:1:topic", "topic")
    one = {"Protocol": "email", "Endpoint": "a@example.com", "SubscriptionArn": "PendingConfirmation"}
    two = {"Protocol": "https", "Endpoint": "https://example.com", "SubscriptionArn": f"{topic.id}:1234"}
    listed = Stubbed(
        "sns", ("list_subscriptions_by_topic", {"Subscriptions": [one, two]}, {"TopicArn": topic.id})
    )._parts(topic)
    assert [(e.id, e.key) for e in listed] == [(f"{topic.id}:1234", f"{topic.id} https https://example.com")]


def test_a_refusal_by_aws_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    inventory = Stubbed("ec2")
    inventory.stubber.add_client_error("describe_vpcs", "UnauthorizedOperation", "You are not authorized")
    with pytest.raises(SpillwayError, match=r"listing what exists in 123456789012, us-east-1: .*UnauthorizedOperation"):
        inventory.existing(Scope(AWS_STACK))


def test_credentials_of_another_account_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Client:
        @staticmethod
        def get_caller_identity() -> dict[str, str]:
            return {"Account": "999999999999"}

    monkeypatch.setattr(boto3.Session, "client", lambda self, service: Client())
    with pytest.raises(SpillwayError, match="999999999999: the stack's provider allows 123456789012 only"):
        aws.inventories([{"region": "us-east-1", "allowedAccountIds": '["123456789012"]'}])


def test_every_type_that_aws_lists_has_a_kind_of_its_own_in_the_sdk() -> None:
    tokens = {row.token for row in (*aws.EC2, *aws.ARNS)} | set(RULES.keys) | set(RULES.children) | set(RULES.same)
    for token in sorted(tokens):
        assert token.startswith("aws:")
        module, name = token.split(":")[1:]
        assert module.split("/")[1] == name[0].lower() + name[1:]
    assert RULES.own_delete <= set(RULES.children)
    assert accounts_of({}) == []
