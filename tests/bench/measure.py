"""Wall time, CPU time and memory of a command with everything that it starts."""

from __future__ import annotations

import os
import statistics
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

SAMPLE_SECONDS = 0.05


@dataclass(frozen=True)
class Measured:
    """wall_s, cpu_s: seconds, CPU of all processes together. peak_mib: most resident memory of all of them at once."""

    wall_s: float
    cpu_s: float
    peak_mib: float


def measure(command: Sequence[str], environment: Mapping[str, str], log: Path) -> Measured:
    """Run to the end. Raises RuntimeError with the last lines of its output when it fails."""
    started, before = time.monotonic(), os.times()
    with log.open("w") as output:
        process = subprocess.Popen(command, env=dict(environment), stdout=output, stderr=subprocess.STDOUT)
        peak = [0.0]
        watcher = threading.Thread(target=_watch, args=(process.pid, peak), daemon=True)
        watcher.start()
        code = process.wait()
    wall, after = time.monotonic() - started, os.times()
    watcher.join()
    if code != 0:
        raise RuntimeError("\n".join([f"{' '.join(command)}: exit code {code}", *log.read_text().splitlines()[-20:]]))
    cpu = after.children_user - before.children_user + after.children_system - before.children_system
    return Measured(wall, cpu, peak[0])


def _watch(pid: int, peak: list[float]) -> None:
    """Sample the memory of a process and its descendants until it is gone."""
    try:
        root = psutil.Process(pid)
        while root.status() != psutil.STATUS_ZOMBIE:
            resident = 0
            for member in [root, *root.children(recursive=True)]:
                with suppress(psutil.NoSuchProcess):
                    resident += member.memory_info().rss
            peak[0] = max(peak[0], resident / 2**20)
            time.sleep(SAMPLE_SECONDS)
    except psutil.NoSuchProcess:
        return


def median(runs: Sequence[Measured]) -> dict[str, float]:
    """The medians of several runs."""
    return {
        field: round(statistics.median(getattr(run, field) for run in runs), 3)
        for field in ("wall_s", "cpu_s", "peak_mib")
    }
