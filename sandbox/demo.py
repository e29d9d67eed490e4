"""`make demo`: deploy regions and the global stack with the real engine on stand-in clouds, lose a region, and rehearse
a week of recorded shortages."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from sandbox import demo_cost, demo_dns, demo_rehearsal
from sandbox.clouds import DISTRIBUTIONS, registry, sandbox_dir
from sandbox.demo_disks import disks
from sandbox.project import Project, pulumi_command
from sandbox.schema import load
from spillway.engine import ensure_engine
from spillway.errors import SpillwayError

REGIONS = ("aws-us-east-1", "gcp-us-central1", "azure-eastus")
"""One per cloud."""
GLOBAL = "global"
PACKAGES = ("aws", "azure-native", "gcp")
"""Whose stand-ins these stacks need."""
POOLS = {"spot": "spot", "onDemand": "on-demand"}
_SUMMARY = re.compile(r"^ {4}(?:[+~-]|\+-)? ?\d+ (?:created|updated|replaced|deleted|unchanged)", re.M)


@dataclass(frozen=True)
class Deployment:
    """What one `pulumi up` did: the engine's own counts, and the stack's outputs."""

    stack: str
    summary: str
    seconds: float
    outputs: dict[str, Any]


def deploy(project: Project, environment: dict[str, str], stack: str) -> Deployment:
    """One `pulumi up`; its full output goes to `<sandbox>/logs/<stack>.log`. Raises SpillwayError when it fails."""
    started = time.monotonic()
    project.ensure_stack(stack, environment)
    log = project.directory / "logs" / f"{stack}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    up = ["up", "--yes", "--skip-preview", "--non-interactive", "--color", "never", "--stack", stack]
    result = subprocess.run(
        pulumi_command(up, project),
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    log.write_text(result.stdout)
    if result.returncode != 0:
        lines = [line for line in result.stdout.splitlines() if "error" in line.lower()] or result.stdout.splitlines()
        raise SpillwayError(f"{stack}: pulumi up failed; all of its output is in {log}", *lines[-10:])
    output = subprocess.run(
        pulumi_command(["stack", "output", "--json", "--stack", stack], project),
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    counts = [line.strip() for line in result.stdout.splitlines() if _SUMMARY.match(line)]
    return Deployment(stack, ", ".join(counts), time.monotonic() - started, json.loads(output.stdout))


def present(console: Console, project: Project, deployments: list[Deployment]) -> None:
    """The regions, one block each: pools, machine types, storage, endpoint."""
    console.print("[bold]What exists now[/bold]")
    for deployment in deployments:
        pools, endpoint = deployment.outputs["pools"], deployment.outputs["endpoint"]
        table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 2))
        table.add_column(style="dim", no_wrap=True)
        table.add_column(overflow="fold")
        table.add_row("replicas", f"target {pools['target']}, floor {pools['floor']}, max {pools['max']}")
        for kind, word in POOLS.items():
            pool = pools[kind]
            table.add_row(f"{word} pool", f"{pool['name']}: {', '.join(pool['types'])}")
        for i, disk in enumerate(disks(project.directory, deployment.stack)):
            table.add_row("" if i else "storage per node", disk)
        table.add_row("endpoint", f"{endpoint['hostname'] or 'by address'}, TCP {endpoint['port']}")
        table.add_row("addresses", ", ".join(endpoint["addresses"]))
        table.add_row("models", deployment.outputs["modelStore"])
        console.print(f"\n[bold]{deployment.stack}[/bold]")
        console.print(table)


def further(console: Console, directory: Path) -> None:
    """Commands to look further, and to tear down."""
    prefix = "" if directory == Path(".sandbox").absolute() else f"SPILLWAY_SANDBOX_DIR={directory} "
    run = f"{prefix}.venv/bin/spillway sandbox"
    console.print("\n[bold]Look further[/bold]")
    spillway = run.removesuffix(" sandbox")
    for command, meaning in (
        (f"{spillway} dns watch llm.example.com --sandbox", "who answers now; in another terminal:"),
        (f"{run} weather down --region us-east-1", "take that region down for real seconds"),
        (f"{spillway} rehearse --scenario region-dark-at-peak", "weeks of shortages against all of this, as a report"),
        (f"{spillway} dns budget", "how fast clients move, computed, with its sources"),
        (f"{spillway} preflight {REGIONS[0]} --sandbox", "what the account would refuse"),
        (f"{run} run -- pulumi preview --diff --stack {REGIONS[0]}", "nothing to change, says the engine"),
        (f"{run} show --region us-east-1", "what the stand-in cloud holds"),
        (f"{run} weather sold-out --market spot", "take all spot capacity away"),
        (f"{run} show --launches", "the launches that the groups would make now, and why"),
    ):
        console.print(f"  {command}\n      [dim]{meaning}[/dim]", highlight=False, soft_wrap=True)
    console.print("[bold]Tear down[/bold]")
    for stack in (GLOBAL, *REGIONS):
        console.print(
            f"  {run} run -- pulumi destroy --yes --ignore-protect --stack {stack}", highlight=False, soft_wrap=True
        )
    console.print(f"  {run} reset --yes      [dim](or all of it at once)[/dim]", highlight=False, soft_wrap=True)


def main() -> int:
    """Deploy, then show. Exit code 1 with the engine's own words when a deployment fails."""
    console = Console()
    errors = Console(stderr=True)
    started = time.monotonic()
    try:
        project = Project(sandbox_dir())
        environment = project.environment(ensure_engine(errors))
        project.sync()
        with errors.status("Reading the schema of the cloud SDKs (once per SDK version)"):
            for package in PACKAGES:
                kinds = registry(package)
                load(package, DISTRIBUTIONS[package], kinds.kinds, kinds.invokes)
        with (
            errors.status(f"pulumi up: {', '.join(REGIONS)} on stand-in clouds"),
            ThreadPoolExecutor(len(REGIONS)) as threads,
        ):
            deployments = list(threads.map(lambda stack: deploy(project, environment, stack), REGIONS))
        with errors.status(f"pulumi up: {GLOBAL}, over what the regions export"):
            world = deploy(project, environment, GLOBAL)
        for deployment in (*deployments, world):
            console.print(f"{deployment.stack}: {deployment.summary} [dim]({deployment.seconds:.0f} s)[/dim]")
        console.print()
        present(console, project, deployments)
        demo_dns.present(console, world.outputs)
        with errors.status("Taking a region down on a virtual clock"):
            demo_dns.fail_over(console, project.directory, world.outputs)
        with errors.status("Rehearsing a week of recorded spot capacity"):
            demo_rehearsal.present(console, project.directory)
        with errors.status("Pricing the plans"):
            demo_cost.present(console, project, environment, (*REGIONS, GLOBAL))
        further(console, project.directory)
        console.print(f"\n[dim]{time.monotonic() - started:.0f} s in all[/dim]")
    except (SpillwayError, RuntimeError) as error:
        for line in getattr(error, "lines", (str(error),)):
            errors.print(line, style="red", highlight=False, markup=False)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
