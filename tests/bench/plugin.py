"""Start time of a stand-in plugin, and the latency of its Check."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import time
from pathlib import Path
from typing import Any

from sandbox.project import ROOT
from sandbox.values import encode

CALLS = 300


def start_seconds(package: str, directory: Path, runs: int) -> float:
    """Median of the seconds from exec to the port on stdout."""
    times = []
    for _ in range(runs):
        started = time.monotonic()
        process = _start(package, directory)
        times.append(time.monotonic() - started)
        process.kill()
        process.communicate()
    return round(statistics.median(times), 3)


def check_milliseconds(package: str, directory: Path, samples: dict[str, dict[str, Any]]) -> dict[str, float]:
    """Type token -> median milliseconds of a Check over gRPC, with the inputs of a deployed resource."""
    script = Path(__file__).with_name("check_client.py")
    process = _start(package, directory)
    assert process.stdout is not None
    try:
        encoded = {token: encode(inputs).SerializeToString().hex() for token, inputs in samples.items()}
        done = subprocess.run(
            [os.fspath(ROOT / ".venv" / "bin" / "python"), os.fspath(script), str(process.port), str(CALLS)],  # type: ignore[attr-defined]
            input=json.dumps(encoded),
            capture_output=True,
            text=True,
            check=True,
            cwd=ROOT,
        )
    finally:
        process.kill()
        process.communicate()
    result: dict[str, float] = json.loads(done.stdout)
    return result


def _start(package: str, directory: Path) -> subprocess.Popen[str]:
    plugin = ROOT / "sandbox" / "plugins" / f"pulumi-resource-{package}"
    process = subprocess.Popen(
        [plugin], stdout=subprocess.PIPE, text=True, env={**os.environ, "SPILLWAY_SANDBOX_DIR": str(directory)}
    )
    assert process.stdout is not None
    process.port = int(process.stdout.readline())  # type: ignore[attr-defined]
    return process
