"""The cost model: a whole report, the pricing of a large plan, and what `import cost` takes.

Times and memory of a report are those of the command, from start to six files, beside a process that only imports the
libraries that it is made with, in turns; each part is timed once more inside one process.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any, Final

from cost.scenario import SHIPPED
from tests.bench.measure import Measured, median
from tests.bench.measure import measure as timed

ROOT: Final = Path(__file__).resolve().parents[2]
PLAN: Final = ROOT / "tests" / "cost" / "plans" / "aws-us-east-1.json"
SCENARIO: Final = "product"
"""The one with the most options; its period is three years."""
DRAWS: Final = 10_000
RESOURCES: Final = 1_000
LIBRARIES: Final = "import numpy, pydantic, pyarrow.parquet, rich, typer, xlsxwriter, yaml"
_COMPARISON: Final = """
import json, resource, sys, time
begin = time.perf_counter()
from cost.compare import compare
from cost.prices.snapshot import Snapshot
from cost.scenario import find, load
ready = time.perf_counter()
found = compare(load(find(sys.argv[1])), Snapshot.load(), draws=10_000)
end = time.perf_counter()
print(json.dumps({"import_s": ready - begin, "s": end - ready, "options": len(found.options),
                  "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))
"""
AIMS: Final = {"report_s": 5.0, "report_mib": 300.0, "plan_ms": 300.0, "import_ms": 150.0}


def measure(count: int) -> dict[str, Any]:
    """Medians of `count` runs each."""
    return {
        "aims": AIMS,
        "report": _report(count),
        "comparison": _comparisons(count),
        "plan": _plan(count),
        "import": _imports(count),
    }


def _report(count: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        out, log = Path(folder), Path(folder) / "log"
        program = str(Path(sys.executable).with_name("spillway"))
        command = [program, "cost", "report", "--scenario", SCENARIO, "--draws", str(DRAWS), "--out", str(out / "out")]
        floor = [sys.executable, "-c", LIBRARIES]
        ours: list[Measured] = []
        theirs: list[Measured] = []
        for _ in range(count):
            theirs.append(timed(floor, os.environ, log))
            ours.append(timed(command, os.environ, log))
        sizes = {path.name: path.stat().st_size for path in sorted((out / "out").iterdir())}
        parts = _parts(out / "again")
    whole, base = median(ours), median(theirs)
    return {
        "scenario": SCENARIO,
        "draws": DRAWS,
        "command": whole,
        "libraries_alone": base,
        "cpu_ratio": round(whole["cpu_s"] / base["cpu_s"], 2),
        "peak_ratio": round(whole["peak_mib"] / base["peak_mib"], 2),
        "parts_s": parts,
        "bytes": sizes,
    }


def _parts(out: Path) -> dict[str, float]:
    """CPU seconds of the comparison and of each file, after all imports."""
    from cost.compare import compare
    from cost.prices.snapshot import Snapshot
    from cost.report import files
    from cost.scenario import find, load

    snapshot, scenario = Snapshot.load(), load(find(SCENARIO))
    compare(scenario, snapshot, today=snapshot.date, draws=100)
    found: dict[str, float] = {}
    began = time.process_time()

    def done(name: str) -> None:
        nonlocal began
        found[name] = round(time.process_time() - began, 3)
        began = time.process_time()

    comparison = compare(scenario, snapshot, today=snapshot.date, draws=DRAWS)
    done("comparison")
    files.write(scenario, snapshot, comparison, out, progress=done)
    return found


def _comparisons(count: int) -> dict[str, Any]:
    """Of each shipped scenario in a fresh process, without files."""
    found = {}
    for name in SHIPPED:
        runs = [_python(_COMPARISON, name) for _ in range(count)]
        found[name] = {key: round(statistics.median(run[key] for run in runs), 2) for key in runs[0]}
    return found


def _python(code: str, *arguments: str) -> Any:
    command = [sys.executable, "-c", code, *arguments]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True, timeout=600).stdout)


def _plan(count: int) -> dict[str, Any]:
    """Milliseconds for a plan of a thousand resources: a shipped region's, many times under other names."""
    from cost.plan import preview
    from cost.plan.pricing import price_plan
    from cost.prices.snapshot import Snapshot

    snapshot, steps = Snapshot.load(), RESOURCES
    text = _large(PLAN.read_text(encoding="utf-8"), steps)
    while len((plan := preview.parse(text, PLAN.name)).changes) < RESOURCES:  # some are no resources of a cloud
        steps += 50
        text = _large(PLAN.read_text(encoding="utf-8"), steps)
    today = date.fromisoformat(snapshot.id[:10])
    reading = _milliseconds(count, lambda: preview.parse(text, PLAN.name))
    pricing = _milliseconds(count, lambda: price_plan(plan, snapshot, today))
    return {"resources": len(plan.changes), "read_ms": reading, "price_ms": pricing}


def _large(text: str, many: int) -> str:
    """A plan of so many steps: each copy refers to its own."""
    plan = json.loads(text)
    stack, steps = plan["steps"][0], plan["steps"][1:]
    while len(plan["steps"]) < many:
        number = len(plan["steps"])
        for step in steps[: many - number]:
            own = json.dumps(step)
            for one in steps:
                own = own.replace(f'"{one["urn"]}"', f'"{one["urn"]}-{number}"')
            plan["steps"].append(json.loads(own))
    assert stack["urn"] == plan["steps"][0]["urn"]
    return json.dumps(plan)


def _milliseconds(count: int, work: Callable[[], object]) -> float:
    work()
    times = []
    for _ in range(max(count, 3)):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return round(1000 * statistics.median(times), 1)


def _imports(count: int) -> dict[str, Any]:
    """Milliseconds of a process that imports it, less those of one that imports nothing, in turns."""
    asked = {
        "cost": "import cost",
        "cost.compare": "import cost.compare",
        "cost.plan.pricing": "import cost.plan.pricing",
    }
    walls: dict[str, list[float]] = {name: [] for name in ("nothing", *asked)}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(max(count, 5)):
            for name, code in {"nothing": "pass", **asked}.items():
                took = timed([sys.executable, "-c", code], os.environ, Path(folder) / "log")
                walls[name].append(took.wall_s)
    middle = {name: statistics.median(values) for name, values in walls.items()}
    return {
        "nothing_ms": round(1000 * middle["nothing"], 1),
        **{f"{name}_ms": round(1000 * (middle[name] - middle["nothing"]), 1) for name in asked},
    }
