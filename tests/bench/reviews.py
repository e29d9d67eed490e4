"""Reviews: previews of all stacks side by side against each alone, and a comment of 2,000 resources."""

from __future__ import annotations

import json
import os
import resource
import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from statistics import median
from typing import Any, Final

from rich.console import Console

from cost.plan.preview import parse
from cost.plan.pricing import price_plan
from cost.prices.snapshot import Snapshot
from spillway.engine import ensure_engine
from spillway.preview.document import Document, row_of
from spillway.preview.markdown import as_markdown
from spillway.preview.places import Sandbox
from spillway.preview.review import kinds
from spillway.preview.runs import preview, preview_all
from spillway.preview.secrets import Masker
from spillway.preview.sheet import as_json, as_page

ROOT: Final = Path(__file__).resolve().parents[2]
PLAN: Final = ROOT / "tests" / "cost" / "plans" / "aws-us-east-1.update.json"
RESOURCES: Final = 2_000


def measure(count: int) -> dict[str, Any]:
    """ratio: all stacks together over the slowest alone times their number over the processors; 1 is perfect."""
    return {"previews": _previews(), "comment": _comment(count)}


def _previews() -> dict[str, Any]:
    cores = len(os.sched_getaffinity(0))
    stacks = [name for name, kind in kinds(ROOT).items() if kind != "global" and not kind.startswith("ci-")]
    with tempfile.TemporaryDirectory() as folder:
        runner = Sandbox(Path(folder), ROOT, ensure_engine(Console(stderr=True))).runner()
        preview_all(stacks, runner, cores)  # what is read once: schemas, bytecode
        alone = {stack: preview(stack, runner).seconds for stack in stacks}
        began = time.monotonic()
        found = preview_all(stacks, runner, cores)
        together = time.monotonic() - began
    failed = [one.stack for one in found if one.plan is None]
    if failed:
        raise RuntimeError(f"could not be previewed: {', '.join(failed)}")
    slowest = max(alone.values())
    return {
        "stacks": len(stacks), "cores": cores, "alone": {name: round(one, 2) for name, one in alone.items()},
        "together": round(together, 2), "ratio": round(together / (slowest * len(stacks) / cores), 3),
        "ratioOfSum": round(together / (sum(alone.values()) / cores), 3),
    }  # fmt: skip


def _comment(count: int) -> dict[str, Any]:
    """Seconds of reading, pricing and writing a plan of 2,000 resources; as ratio to reading its JSON alone."""
    text = _large()
    snapshot, masker = Snapshot.load(), Masker.of()

    def build() -> None:
        plan = parse(text, "large")
        row = row_of(plan, price_plan(plan, snapshot, date(2026, 11, 26)), masker)
        found = Document("Review", "sandbox", "main", "head", (row,))
        as_markdown(found)
        as_json(found)
        as_page(found)

    whole, reading = _turns(build, lambda: json.loads(text), count)
    return {
        "resources": len(parse(text, "large").changes), "megabytes": round(len(text) / 1e6, 1),
        "seconds": round(whole, 3), "ratioToJson": round(whole / reading, 1),
        "peakMib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }  # fmt: skip


def _turns(one: Callable[[], Any], other: Callable[[], Any], count: int) -> tuple[float, float]:
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(max(3, count)):
        for index, call in enumerate((one, other)):
            began = time.perf_counter()
            call()
            times[index].append(time.perf_counter() - began)
    return median(times[0]), median(times[1])


def _large() -> str:
    """The recorded update, its resources again and again under other names."""
    plan = json.loads(PLAN.read_text())
    custom = sum(step["newState"].get("custom", False) for step in plan["steps"])
    steps = []
    for number in range(-(-RESOURCES // custom)):
        whole = json.dumps(plan["steps"]).replace("::aws-us-east-1-", f"::aws-us-east-1-{number}-")
        steps += json.loads(whole)
    return json.dumps(plan | {"steps": steps})
