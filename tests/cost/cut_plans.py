"""Cuts plans of `pulumi preview --json --show-sames` down to what cost/plan reads, for tests/cost/plans/.

    .venv/bin/python -m tests.cost.cut_plans NAME=PLAN.json ...

Plans are made on the stand-in clouds: `spillway sandbox run -- pulumi preview --json --show-sames --stack STACK`; the
updates after `pulumi up`, with `target: 3` and `iops: 8000` in the stack file.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

FOLDER: Final = Path(__file__).parent / "plans"
LONG: Final = 400
"""Characters of a text that is left out: user data, policies, queries."""
STEP: Final = ("op", "urn", "diffReasons", "replaceReasons")
STATE: Final = ("urn", "type", "custom", "inputs", "propertyDependencies")
LEFT_OUT: Final = ("metadata", "schema", "streamDeclarations", "tags", "labels", "tagSpecifications", "source")


def cut(text: str) -> str:
    """One step a line, so that a change shows where it is."""
    plan = json.loads(text)
    lines = [json.dumps(_step(step), sort_keys=True, separators=(",", ":")) for step in plan["steps"]]
    head = json.dumps({"config": plan["config"], "changeSummary": plan["changeSummary"]}, sort_keys=True)
    return head[:-1] + ',\n"steps":[\n' + ",\n".join(lines) + "\n]}\n"


def _step(step: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {key: step[key] for key in STEP if step.get(key)}
    for key in ("oldState", "newState"):
        if step.get(key):
            state = {name: step[key][name] for name in STATE if step[key].get(name)}
            state["inputs"] = _short(state.get("inputs") or {})
            refers = {name: urns for name, urns in state.pop("propertyDependencies", {}).items() if urns}
            found[key] = state | ({"propertyDependencies": refers} if refers else {})
    return found


def _short(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _short(one) for key, one in value.items() if key not in LEFT_OUT}
    if isinstance(value, list):
        return [_short(one) for one in value]
    return "..." if isinstance(value, str) and len(value) > LONG else value


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for argument in sys.argv[1:]:
        name, _, path = argument.partition("=")
        (FOLDER / f"{name}.json").write_text(cut(Path(path).read_text()))
