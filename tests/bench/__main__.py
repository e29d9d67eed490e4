"""`make bench`: what a region costs on the sandbox, on each cloud, and against a flat program of the same resources on
one of them; DNS; what runs on a node; as JSON.

Region and floor take turns within one run, and figures are medians: only the ratios mean something on a noisy machine.
`preview_ratio` compares with a floor that imports as the region does (no garbage collection meanwhile);
`preview_ratio_naive` with the floor as anybody would write it.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from sandbox.clouds import DISTRIBUTIONS
from sandbox.project import pulumi_command
from tests.bench import budget, gate, resolver, staging
from tests.bench.measure import Measured, measure, median
from tests.bench.plugin import check_milliseconds, start_seconds
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


def other_regions(base: Path, count: int) -> dict[str, Any]:
    """The same life of the region stacks on the other clouds, with the number of their resources."""
    found: dict[str, Any] = {}
    for stack in OTHERS:
        sandbox = EngineSandbox(base / stack)
        sandbox.project.ensure_stack(stack, sandbox.environment)
        runs: dict[str, list[Measured]] = {step: [] for step in STEPS}
        for number in range(count):
            print(f"run {number + 1} of {count}: {stack}", file=sys.stderr)
            life(sandbox, runs, base / f"{stack}.log", stack)
        planned = sandbox.preview(stack)["changeSummary"]["create"]
        found[stack] = {step: median(measured) for step, measured in runs.items()} | {"resources": planned}
    return found


def global_previews(base: Path, count: int) -> dict[str, Any]:
    """Preview of the global stack by provider, over three regions as states."""
    world = EngineSandbox(base / "world")
    deploy(world, STACK, endpoint("us-east-1", [f"203.0.113.{n}" for n in range(11, 15)]))
    for number, stack in enumerate(("gcp-us-central1", "azure-eastus"), 21):
        deploy(world, stack, endpoint("us-east-2", [f"203.0.113.{number}"]))
    found = {}
    for stack in GLOBALS:
        world.project.ensure_stack(stack, world.environment)
        command = pulumi_command(["preview", "--non-interactive", "--stack", stack], world.project)
        print(f"preview of {stack}", file=sys.stderr)
        found[stack] = median([measure(command, world.environment, base / "world.log") for _ in range(count)])
    return found


def node() -> dict[str, Any]:
    """What runs on a node: how fast the gate answers beside a busy engine, and the copy of weights against `dd`."""
    figures: dict[str, Any] = {"gate": gate.measure()}
    if shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin") is None:
        return figures | {"staging": "not measured: nginx, which stands for the object store, is not installed"}
    return figures | {"staging": staging.measure(Path(tempfile.gettempdir()), 2.0, 3, {})}


def main() -> int:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--runs", type=int, default=3, help="lives of each program (default: 3)")
    count = parser.parse_args().runs
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
                print(f"run {number + 1} of {count}: {name}", file=sys.stderr)
                life(sandbox, runs[name], base / f"{name}.log", **environment)
        region = programs["region"][0]
        region.up(STACK).ok()
        samples: dict[str, dict[str, Any]] = {r.token: r.inputs for r in region.resources() if r.token in CHECKED}
        figures: dict[str, Any] = {
            name: {step: median(measured) for step, measured in steps.items()} for name, steps in runs.items()
        }
        preview = {name: figures[name]["preview"] for name in programs}
        figures |= {
            "resources": sum(region.held().values()),
            "preview_ratio": round(preview["region"]["wall_s"] / preview["floor"]["wall_s"], 3),
            "preview_ratio_cpu": round(preview["region"]["cpu_s"] / preview["floor"]["cpu_s"], 3),
            "preview_ratio_naive": round(preview["region"]["wall_s"] / preview["floor_naive"]["wall_s"], 3),
            "other_regions": other_regions(base, count),
            "global_preview": global_previews(base, count),
            "plugin_start_s": {
                package: start_seconds(package, base / f"plugin-{package}", 5) for package in DISTRIBUTIONS
            },
            "check_ms": check_milliseconds("aws", base / "plugin", samples),
            "dns": budget.measure() | resolver.measure(),
            "node": node(),
            "runs": count,
        }
    print(json.dumps(figures, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
