"""How long the cost model takes: a scenario with 10,000 draws over three years for every option; what it imports."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from typing import Any

from cost.scenario import SHIPPED

SECONDS_AT_MOST = 5.0
MEGABYTES_AT_MOST = 300
IMPORT_MS_AT_MOST = 150
"""The goals that the figures are to be held against; nothing fails here."""

_WORK = """
import json, resource, sys, time
begin = time.perf_counter()
from cost.compare import compare
from cost.prices.snapshot import Snapshot
from cost.scenario import find, load
ready = time.perf_counter()
found = compare(load(find(sys.argv[1])), Snapshot.load(), draws=10_000)
end = time.perf_counter()
print(json.dumps({"importSeconds": ready - begin, "seconds": end - ready, "options": len(found.options),
                  "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))
"""
_IMPORT = "import time; begin = time.perf_counter(); import cost; print(time.perf_counter() - begin)"


def _python(code: str, *arguments: str) -> Any:
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True, timeout=600
    )
    return json.loads(done.stdout)


def measure(count: int) -> dict[str, Any]:
    """Medians of `count` fresh processes: each scenario, and `import cost`."""
    found: dict[str, Any] = {
        "goals": {"seconds": SECONDS_AT_MOST, "megabytes": MEGABYTES_AT_MOST, "importMs": IMPORT_MS_AT_MOST},
        "importMs": round(1000 * statistics.median(_python(_IMPORT) for _ in range(count)), 2),
    }
    for name in SHIPPED:
        runs = [_python(_WORK, name) for _ in range(count)]
        found[name] = {key: round(statistics.median(run[key] for run in runs), 2) for key in runs[0]}
    return found
