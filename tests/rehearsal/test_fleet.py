"""Whatever a fleet is read from (exported stacks, plans, the sandbox, stack files alone), it is the same fleet."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from infra.dns.budget import budget
from infra.fallback import Rule, aws_alarms
from rehearsal.fleet import (
    AlarmFallback,
    Fleet,
    FunctionFallback,
    NoFallback,
    PriceKey,
    load,
    load_exports,
    load_plans,
    load_sandbox,
    load_stack_files,
)
from rehearsal.fleet.alarms import StepPolicy
from sandbox.kinds import Resource
from sandbox.store import Store
from tests.rehearsal.record_fleet import GLOBALS, RECORDED, REGIONS

STACKS = Path(__file__).parents[2] / "stacks"
CHECKPOINTS = Path("backend") / ".pulumi" / "stacks" / "spillway"


def recorded(kind: str, world: str) -> list[Path]:
    return [RECORDED / f"{stack}.{kind}.json" for stack in (*REGIONS, world)]


@cache
def exported(world: str = "global") -> Fleet:
    return load_exports(recorded("export", world))


@cache
def planned(world: str = "global") -> Fleet:
    return load_plans(recorded("plan", world))


@cache
def written(world: str = "global") -> Fleet:
    return load_stack_files(STACKS, world_stack=world)


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sandbox in which the recorded stacks stand: the engine's checkpoints, and the stand-in clouds' store."""
    directory = tmp_path_factory.mktemp("sandbox")
    stand_up(directory, (*REGIONS, *GLOBALS))
    return directory


def stand_up(directory: Path, stacks: tuple[str, ...]) -> None:
    (directory / CHECKPOINTS).mkdir(parents=True)
    store = Store(directory)
    for stack in stacks:
        state = json.loads((RECORDED / f"{stack}.export.json").read_text())
        latest = {"version": state["version"], "checkpoint": {"stack": stack, "latest": state["deployment"]}}
        (directory / CHECKPOINTS / f"{stack}.json").write_text(json.dumps(latest))
        with store.transaction(write=True) as tx:
            for row in state["deployment"]["resources"]:
                package = row["type"].partition(":")[0]
                if package != "pulumi":
                    held = row.get("inputs", {}) | row.get("outputs", {})
                    one = Resource(row["type"], row["id"], stack, "1", {}, held, urn=row["urn"])
                    tx.put(package, one)
    store.close()


@pytest.mark.parametrize("world", GLOBALS)
def test_exports_plans_sandbox_and_stack_files_of_the_shipped_stacks_are_one_fleet(world: str, sandbox: Path) -> None:
    fleets = {
        "export": exported(world),
        "plan": planned(world),
        "sandbox": load_sandbox(sandbox, world),
        "stack-files": written(world),
    }
    assert {kind: fleet.source for kind, fleet in fleets.items()} == {kind: kind for kind in fleets}
    for kind, fleet in fleets.items():
        assert [region.stack for region in fleet.regions] == list(REGIONS)
        for mine, theirs in zip(fleet.regions, written(world).regions, strict=True):
            assert mine == theirs, f"{mine.stack} from {kind}"
        assert fleet.world == written(world).world, f"{world} from {kind}"
        assert fleet == written(world)


@pytest.mark.parametrize("world", GLOBALS)
@pytest.mark.parametrize("source", [exported, planned, written], ids=["export", "plan", "stack-files"])
def test_every_figure_says_where_it_comes_from(source: Callable[[str], Fleet], world: str) -> None:
    fleet = source(world)
    known = {one.urn for one in _rows(world)} if source is not written else set()
    for path, value in fleet.figures():
        origin = fleet.origin(path)
        assert origin.where, path
        if source is not written and origin.where.startswith("urn:"):
            assert origin.where in known, f"{path} = {value}"
        assert str(origin)
    for path, origin in fleet.assumptions:
        assert (bool(origin.assumed), origin.key) == (True, ""), path


def _rows(world: str) -> list[Resource]:
    found = []
    for path in recorded("export", world):
        for row in json.loads(path.read_text())["deployment"]["resources"]:
            found.append(Resource(row["type"], "", "", "", {}, {}, urn=row["urn"]))
    return found


def test_origins_lead_to_the_property_that_holds_the_value() -> None:
    fleet = exported()
    wanted = {
        "aws-us-east-1.spot.minimum": ("aws-us-east-1-pools-spot", "minSize"),
        "aws-us-east-1.fallback.alarms[0].periods": ("aws-us-east-1-scaling-fallback-out", "evaluationPeriods"),
        "aws-us-east-1.balancer.drain_seconds": ("aws-us-east-1-balancer-nodes", "deregistrationDelay"),
        "gcp-us-central1.rule.out_minutes": (
            "gcp-us-central1-scaling-fallback",
            "serviceConfig.environmentVariables.SPILLWAY_FALLBACK_OUT_MINUTES",
        ),
        "gcp-us-central1.node.notice_seconds": (
            "gcp-us-central1-spot",
            "scheduling.preemptionNoticeDuration.seconds",
        ),
        "azure-eastus.balancer.interval_seconds": ("azure-eastus-balancer-lb", "probes[0].intervalInSeconds"),
    }
    for path, (name, key) in wanted.items():
        origin = fleet.origin(path)
        assert (origin.where.rsplit("::", 1)[-1], origin.key) == (name, key)
    assert written().origin("aws-us-east-1.spot.minimum").where == "stacks/Pulumi.aws-us-east-1.yaml"
    assert written().origin("aws-us-east-1.spot.minimum").key == "spillway:region.pools.target - pools.floor"
    with pytest.raises(KeyError):
        fleet.origin("no-such-stack.spot")


def test_what_no_resource_says_is_told_as_an_assumption() -> None:
    told = dict(exported().assumptions)
    for path in (
        "aws-us-east-1.node.notice_seconds",
        "azure-eastus.fallback.timer_seconds",
        "azure-eastus.balancer.timeout_seconds",
        "global.check.answer_seconds",
    ):
        assert told[path].assumed
    assert "gcp-us-central1.fallback.timer_seconds" not in told  # Cloud Scheduler's job says it
    blocks = [path for path in told if ".blocks" in path]
    assert not [path for path in blocks if "[" in path]


def test_a_region_on_aws_has_its_alarms_policies_and_hooks_as_registered() -> None:
    region = exported().region("aws-us-east-1")
    assert region.spot is not None
    assert region.spot.types == ("p4d.24xlarge", "p4de.24xlarge", "p5.48xlarge")
    assert region.spot.zones == ("us-east-1a", "us-east-1b", "us-east-1c", "us-east-1d")
    assert (region.spot.minimum, region.spot.maximum, region.target, region.floor) == (2, 6, 2, 0)
    assert (region.spot.choice, region.on_demand.choice) == ("cheapest-capacity", "in-order")
    assert isinstance(region.fallback, AlarmFallback)
    assert not region.fallback.dry_run
    assert [alarm.key for alarm in region.fallback.alarms] == ["out", "late", "in"]
    out = region.fallback.alarms[0]
    assert (out.period_seconds, out.periods, out.datapoints, out.threshold, out.missing) == (
        60, 2, 2, 1.0, "notBreaching",
    )  # fmt: skip
    assert isinstance(out.policy, StepPolicy)
    assert (out.policy.adjustment_type, out.policy.warmup_seconds) == ("ExactCapacity", 1200)
    assert [step.adjustment for step in out.policy.steps] == [1, 2, 3, 4, 5, 6]
    assert [line.id for line in out.expressions if line.returns_data] == ["order"]
    assert region.rule == Rule(floor=0, out_minutes=2, in_minutes=12, boot_minutes=20, max_on_demand=6)
    written_by_rule = aws_alarms(region.rule)
    assert tuple(alarm.expressions for alarm in region.fallback.alarms) == tuple(a.expressions for a in written_by_rule)
    hooks = {(hook.pool, hook.name): hook.timeout_seconds for hook in region.hooks}
    assert hooks["spillway-aws-us-east-1-spot", "ready"] == 1800
    assert hooks["spillway-aws-us-east-1-spot", "drain"] == 110
    assert (region.balancer.interval_seconds, region.balancer.drain_seconds, region.balancer.addresses) == (5, 105, 4)
    assert (region.node.boot_minutes, region.node.notice_seconds, region.node.concurrency) == (20, 120, 64)


def test_azure_and_google_cloud_have_the_functions_rule_and_timer() -> None:
    for stack, zones, notice in (("azure-eastus", 0, 30), ("gcp-us-central1", 4, 120)):
        region = exported().region(stack)
        assert isinstance(region.fallback, FunctionFallback)
        assert region.fallback.rule == region.rule == Rule(0, 2, 12, 20, 6)
        assert (region.fallback.timer_seconds, region.fallback.paused, region.fallback.dry_run) == (60, False, False)
        assert (region.fallback.load.high, region.fallback.load.least, region.fallback.load.most) == (20.0, 2, 6)
        assert region.spot is not None
        assert len(region.spot.zones) == zones
        assert region.spot.initial == 0
        assert region.node.notice_seconds == notice


def test_a_region_without_spot_falls_back_from_nothing() -> None:
    region = exported().region("tencent-ap-guangzhou")
    assert (region.spot, region.rule, region.fallback) == (None, None, NoFallback())
    assert (region.target, region.floor, region.pools) == (1, 1, (region.on_demand,))


def test_a_type_is_launched_in_the_zones_that_offer_it() -> None:
    region = exported().region("gcp-us-central1")
    assert region.spot is not None
    zones = [zone for machine, zone in region.launches(region.spot) if machine == "a2-ultragpu-8g"]
    assert zones == ["us-central1-a", "us-central1-c"]
    azure = exported().region("azure-eastus")
    assert azure.launches(azure.on_demand) == (("Standard_ND96asr_v4", "eastus"),)


def test_prices_are_looked_up_by_provider_region_machine_and_market() -> None:
    keys = exported().region("gcp-us-central1").price_keys
    assert PriceKey("gcp", "us-central1", "a3-highgpu-8g", "spot") in keys
    assert PriceKey("gcp", "us-central1", "a3-highgpu-8g", "on-demand") in keys
    assert {key.market for key in exported().region("tencent-ap-guangzhou").price_keys} == {"on-demand"}


def test_the_global_stack_says_who_answers_and_how_fast_members_are_left() -> None:
    for world in GLOBALS:
        over = exported(world).world
        assert over is not None
        service = next(one for one in over.services if one.name == "llm.example.com")
        assert (service.policy, service.residency) == ("priority", None)
        order = [tier.places[0].member for tier in service.tiers]
        assert order == ["aws-us-east-1", "gcp-us-central1", "azure-eastus", "onprem-fra", "small-model"]
        assert [tier.degraded for tier in service.tiers] == [False, False, False, False, True]
        within = next(one for one in over.services if one.name == "llm-us.example.com")
        shares = [place.weight for place in within.tiers[0].places]
        assert shares[0] / sum(shares) == pytest.approx(0.8)
        assert within.residency == "us"
        assert over.planned == ("aws-us-west-2",)
        assert over.member("aws-us-east-1").addresses == 4
        assert over.member("onprem-fra").stack is None
        assert over.objective_seconds == 60
        assert budget(over.check).meets(over.objective_seconds)


def test_priorities_are_kept_where_the_providers_resources_keep_them() -> None:
    for world in ("global", "global-traffic-manager"):
        for source in (exported, planned, written):
            over = source(world).world
            assert over is not None
            service = next(one for one in over.services if one.name == "llm.example.com")
            assert [tier.priority for tier in service.tiers] == [10, 20, 30, 50, None]


def test_only_what_stands_has_a_present_size() -> None:
    spot = {fleet.source: fleet.region("aws-us-east-1").spot for fleet in (exported(), planned(), written())}
    assert {kind: pool.size for kind, pool in spot.items() if pool} == {
        "export": 2, "plan": None, "stack-files": None,
    }  # fmt: skip


def test_a_sandbox_tells_what_was_changed_behind_the_engines_back(tmp_path: Path) -> None:
    stand_up(tmp_path, ("aws-us-east-1", "global"))
    token, name = "aws:autoscaling/group:Group", "spillway-aws-us-east-1-spot"
    store = Store(tmp_path)
    with store.transaction(write=True) as tx:
        group = next(one for one in tx.all("aws", token) if one.id == name)
        group.outputs |= {"minSize": 4, "desiredCapacity": 5}
        tx.put("aws", group)
    store.close()
    spot = load_sandbox(tmp_path).region("aws-us-east-1").spot
    assert spot is not None
    assert (spot.minimum, spot.size) == (4, 5)


def test_alarms_that_the_rule_would_not_write_have_no_rule(tmp_path: Path) -> None:
    def slower(row: dict[str, Any]) -> None:
        if row["urn"].endswith("MetricAlarm::aws-us-east-1-scaling-fallback-out"):
            row["inputs"]["datapointsToAlarm"] = 1

    region = load_exports([edited(tmp_path, "aws-us-east-1", slower)]).region("aws-us-east-1")
    assert region.rule is None
    assert isinstance(region.fallback, AlarmFallback)
    assert region.fallback.alarms[0].datapoints == 1


def edited(folder: Path, stack: str, change: Callable[[dict[str, Any]], None], kind: str = "export") -> Path:
    """A recorded file with each resource changed."""
    data = json.loads((RECORDED / f"{stack}.{kind}.json").read_text())
    rows = data["deployment"]["resources"] if kind == "export" else [step["newState"] for step in data["steps"]]
    for row in rows:
        change(row)
    path = folder / f"{stack}.json"
    path.write_text(json.dumps(data))
    return path


def test_a_path_is_read_as_what_lies_there(sandbox: Path) -> None:
    assert load([STACKS]).source == "stack-files"
    assert load([sandbox]).source == "sandbox"
    assert load(recorded("export", "global")) == load(recorded("plan", "global"))


def test_some_regions_can_be_taken_from_a_folder_and_the_global_stack_keeps_its_members() -> None:
    fleet = load_stack_files(STACKS, ["gcp-us-central1"])
    assert [region.stack for region in fleet.regions] == ["gcp-us-central1"]
    assert fleet.world == written().world
