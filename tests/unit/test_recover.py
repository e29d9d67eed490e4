"""The whole of recovery without an engine, and what the stand-in AWS tells."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sandbox.kinds import Resource
from sandbox.store import Store
from spillway import recover as command
from spillway.recovery import aws, aws_types
from spillway.recovery.aws_types import RULES
from spillway.recovery.model import Existing, Planned, Scope
from spillway.recovery.pulumi import Lock, Outcome
from spillway.recovery.report import Report
from spillway.recovery.stand_in import SandboxInventory
from spillway.recovery.state import State
from tests.support.recovery_plans import (
    PROVIDER,
    SUBNET,
    SUBNET_PLAN,
    TABLE,
    TABLE_PLAN,
    VPC,
    VPC_PLAN,
    plan,
    state,
    tags,
    urn,
)


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


def test_of_a_cloud_that_recovery_does_not_know_every_planned_resource_is_named() -> None:
    token = "tencentcloud:Vpc/instance:Instance"
    provider = {
        "urn": urn("pulumi:providers:tencentcloud", "t"),
        "type": "pulumi:providers:tencentcloud",
        "custom": True,
    }
    made = plan(token, "network", {"name": "x"})
    decision = command._decide("dev", [made, VPC_PLAN], state(provider), lambda cloud, settings: [], {})
    assert [(left.resource.token, left.problem) for left in decision.left] == [(token, False)]
    assert f"`pulumi import {token} network ID`" in decision.left[0].reason
