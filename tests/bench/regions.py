"""What the life of a stack costs on the sandbox: a region against a flat program of the same resources, regions on
other clouds, previews of the global stack."""

from __future__ import annotations

import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from sandbox.project import pulumi_command
from tests.bench.measure import Measured, measure, median
from tests.bench.plugin import check_milliseconds
from tests.support.deployed import deploy, endpoint
from tests.support.engine import EngineSandbox

STACK = "aws-us-east-1"
OTHERS = ("azure-eastus", "gcp-us-central1", "tencent-ap-guangzhou")
"""Region stacks that have no floor program."""
GLOBALS = ("global", "global-cloudflare", "global-traffic-manager")
FLOOR = Path(__file__).parent / "floor"
QUIET_IMPORTS = "SPILLWAY_FLOOR_QUIET_IMPORTS"
STEPS = {
    "preview": ["preview"],
    "up": ["up", "--yes", "--skip-preview"],
    "noop_up": ["up", "--yes", "--skip-preview", "--expect-no-changes"],
    "destroy": ["destroy", "--yes", "--skip-preview", "--ignore-protect"],
}
CHECKED = (
    "aws:autoscaling/group:Group",
    "aws:ec2/launchTemplate:LaunchTemplate",
    "aws:cloudwatch/metricAlarm:MetricAlarm",
    "aws:iam/rolePolicy:RolePolicy",
    "aws:ec2/subnet:Subnet",
)


def life(
    sandbox: EngineSandbox, runs: dict[str, list[Measured]], log: Path, stack: str = STACK, **environment: str
) -> None:
    """Preview, up, no-op up and destroy once, each measured."""
    for step, arguments in STEPS.items():
        command = pulumi_command([*arguments, "--non-interactive", "--stack", stack], sandbox.project)
        runs[step].append(measure(command, {**sandbox.environment, **environment}, log))


def against_floor(count: int) -> dict[str, Any]:
    """A region and two flat programs of its resources, in turn; ratios are of what ran one after the other."""
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        programs = {
            "region": (EngineSandbox(base / "region"), {}),
            "floor": (EngineSandbox(base / "floor", FLOOR), {QUIET_IMPORTS: "1"}),
            "floor_naive": (EngineSandbox(base / "naive", FLOOR), {}),
        }
        runs: dict[str, dict[str, list[Measured]]] = {name: {step: [] for step in STEPS} for name in programs}
        for sandbox, _ in programs.values():
            sandbox.project.ensure_stack(STACK, sandbox.environment)
        for number in range(count):
            for name, (sandbox, environment) in programs.items():
                print(f"    run {number + 1} of {count}: {name}", file=sys.stderr, flush=True)
                life(sandbox, runs[name], base / f"{name}.log", **environment)
        region = programs["region"][0]
        region.up(STACK).ok()
        samples: dict[str, dict[str, Any]] = {r.token: r.inputs for r in region.resources() if r.token in CHECKED}
        figures: dict[str, Any] = {
            name: {step: median(measured) for step, measured in steps.items()} for name, steps in runs.items()
        }
        for step in STEPS:
            figures[f"{step}_ratio"] = ratio(runs["region"][step], runs["floor"][step], "wall_s")
            figures[f"{step}_ratio_cpu"] = ratio(runs["region"][step], runs["floor"][step], "cpu_s")
        return figures | {
            "resources": sum(region.held().values()),
            "preview_ratio_naive": ratio(runs["region"]["preview"], runs["floor_naive"]["preview"], "wall_s"),
            "check_ms": check_milliseconds("aws", base / "plugin", samples),
        }


def ratio(ours: list[Measured], theirs: list[Measured], field: str) -> float:
    """Median of the ratios, run by run."""
    pairs: list[float] = [getattr(a, field) / getattr(b, field) for a, b in zip(ours, theirs, strict=True)]
    return round(statistics.median(pairs), 3)


def other_clouds(count: int) -> dict[str, Any]:
    """The same life of the region stacks on the other clouds, with the number of their resources."""
    with tempfile.TemporaryDirectory() as folder:
        return {stack: _other(Path(folder), stack, count) for stack in OTHERS}


def _other(base: Path, stack: str, count: int) -> dict[str, Any]:
    sandbox = EngineSandbox(base / stack)
    sandbox.project.ensure_stack(stack, sandbox.environment)
    runs: dict[str, list[Measured]] = {step: [] for step in STEPS}
    for number in range(count):
        print(f"    run {number + 1} of {count}: {stack}", file=sys.stderr, flush=True)
        life(sandbox, runs, base / f"{stack}.log", stack)
    planned = sandbox.preview(stack)["changeSummary"]["create"]
    return {step: median(measured) for step, measured in runs.items()} | {"resources": planned}


def global_previews(count: int) -> dict[str, Any]:
    """Preview of the global stack by provider, over three regions as states."""
    with tempfile.TemporaryDirectory() as folder:
        return _globals(Path(folder), count)


def _globals(base: Path, count: int) -> dict[str, Any]:
    world = EngineSandbox(base / "world")
    deploy(world, STACK, endpoint("us-east-1", [f"203.0.113.{n}" for n in range(11, 15)]))
    for number, stack in enumerate(("gcp-us-central1", "azure-eastus"), 21):
        deploy(world, stack, endpoint("us-east-2", [f"203.0.113.{number}"]))
    found = {}
    for stack in GLOBALS:
        world.project.ensure_stack(stack, world.environment)
        command = pulumi_command(["preview", "--non-interactive", "--stack", stack], world.project)
        print(f"    preview of {stack}", file=sys.stderr, flush=True)
        found[stack] = median([measure(command, world.environment, base / "world.log") for _ in range(count)])
    return found
