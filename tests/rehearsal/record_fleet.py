"""Records tests/rehearsal/stacks/ anew: every shipped stack on the stand-in clouds, as a plan before and as an exported
state after its deployment, cut down to what rehearsal/fleet reads of it.

    .venv/bin/python -m tests.rehearsal.record_fleet DIRECTORY

DIRECTORY is for the sandbox, and is left behind. Takes some minutes; needed when infra/ changes what is read.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from rehearsal.fleet import load_exports, load_plans, regions, resources, world
from rehearsal.fleet.resources import Resource
from sandbox.project import Project, pulumi_command
from spillway.engine import ensure_engine

RECORDED: Final = Path(__file__).parent / "stacks"
GLOBALS: Final = ("global", "global-cloudflare", "global-traffic-manager")
REGIONS: Final = (
    "aws-us-east-1", "aws-us-east-2", "aws-us-west-2", "azure-eastus", "gcp-us-central1", "tencent-ap-guangzhou",
)  # fmt: skip
KEPT: Final = ("urn", "type", "id")
OUTPUTS: Final = ("endpoint", "members", "services", "zone", "planned", "budget")


def record(directory: Path) -> None:
    """Deploy every stack, one after the other, the global ones over the regions."""
    project = Project(directory)
    environment = project.environment(ensure_engine(Console(stderr=True)))
    project.sync()

    def run(stack: str, *command: str) -> Any:
        done = subprocess.run(
            pulumi_command([*command, "--stack", stack], project),
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        return json.loads(done.stdout) if "--json" in command or "export" in command else None

    plain = ("--non-interactive", "--color", "never")
    for stack in (*REGIONS, *GLOBALS):
        project.ensure_stack(stack, environment)
        plan = run(stack, "preview", "--json", "--show-sames", *plain)
        run(stack, "up", "--yes", "--skip-preview", *plain)
        keep(directory / "recorded", stack, plan, run(stack, "stack", "export"))
    cut(directory / "recorded")


def keep(folder: Path, stack: str, plan: Any, state: Any) -> None:
    """What the engine wrote, whole."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{stack}.plan.json").write_text(json.dumps(plan))
    (folder / f"{stack}.export.json").write_text(json.dumps(state))


def cut(folder: Path) -> None:
    """Cut what lies in `folder` down to the properties that are looked at while it is read."""
    looked: dict[str, set[str]] = defaultdict(set)
    plain = Resource.get

    def noting(self: Resource, key: str) -> Any:
        looked[self.urn].add(resources._STEP.findall(key)[0])
        return plain(self, key)

    Resource.get = noting  # type: ignore[method-assign]  # for this run only
    for name in GLOBALS:
        load_plans([folder / f"{stack}.plan.json" for stack in (*REGIONS, name)])
        load_exports([folder / f"{stack}.export.json" for stack in (*REGIONS, name)])
    Resource.get = plain  # type: ignore[method-assign]
    RECORDED.mkdir(exist_ok=True)
    for stack in (*REGIONS, *GLOBALS):
        state = json.loads((folder / f"{stack}.export.json").read_text())
        rows = state["deployment"]["resources"]
        kept = {"version": state["version"], "deployment": {"resources": _cut(rows, looked)}}
        _write(f"{stack}.export.json", kept)
        plan = json.loads((folder / f"{stack}.plan.json").read_text())
        rows = _cut([step["newState"] for step in plan["steps"]], looked)
        steps = [{"op": "create", "urn": row["urn"], "newState": row} for row in rows]
        _write(f"{stack}.plan.json", {"config": plan["config"], "steps": steps})


def _cut(rows: list[dict[str, Any]], looked: Mapping[str, set[str]]) -> list[dict[str, Any]]:
    """In the order of their names: the engine's is another one each time, and would show as changes."""
    found: list[dict[str, Any]] = []
    for row in rows:
        if row["type"] == "pulumi:pulumi:Stack":
            told = {key: value for key, value in (row.get("outputs") or {}).items() if key in OUTPUTS}
            if "budget" in told:
                told["budget"] = {
                    key: told["budget"][key] for key in ("objectiveSeconds", "plan") if key in told["budget"]
                }
            one: dict[str, Any] = {key: row[key] for key in KEPT if key in row}
            found.append(one | ({"outputs": told} if told else {}))
        elif row["urn"] in looked or row["type"] in (*regions.READ, *world.READ):
            one = {key: row[key] for key in KEPT if key in row}
            for layer in ("inputs", "outputs", "propertyDependencies"):
                values = {key: value for key, value in (row.get(layer) or {}).items() if key in looked[row["urn"]]}
                if layer == "propertyDependencies":
                    values = {key: sorted(urns) for key, urns in values.items() if urns}
                if layer == "outputs":  # where it says the same as the program, once is enough
                    values = {key: value for key, value in values.items() if value != one.get("inputs", {}).get(key)}
                if values:
                    one[layer] = values
            found.append(one)
    return sorted(found, key=lambda row: (row["type"] != "pulumi:pulumi:Stack", row["urn"]))


def _write(name: str, data: dict[str, Any]) -> None:
    """One resource a line, so that a change shows where it is."""
    rows = data.get("steps") or data["deployment"]["resources"]
    lines = ",\n".join(json.dumps(row, sort_keys=True, separators=(",", ":")) for row in rows)
    if "steps" in data:
        text = f'{{"config":{json.dumps(data["config"], sort_keys=True)},\n"steps":[\n{lines}\n]}}\n'
    else:
        text = f'{{"version":{data["version"]},"deployment":{{"resources":[\n{lines}\n]}}}}\n'
    (RECORDED / name).write_text(text)


if __name__ == "__main__":
    record(Path(sys.argv[1]))
