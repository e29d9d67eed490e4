"""From the start of a node to /readyz 200 through TLS, step by step, and from a notice to 503; as JSON.

Rung 3 (container) is booted several times and its median told; rung 4 (machine without hardware acceleration) once, as
it takes minutes: its seconds say nothing of a real node's, their proportions do. Where a rung cannot run, `skipped`
says why. Every boot begins with empty disks and an instance that cloud-init has not seen.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Iterable
from typing import Any

from tests.boot import guest, needs
from tests.boot.container import Container
from tests.boot.lab import Lab
from tests.boot.machine import Machine

AIM_NOTICE_SECONDS = 3.0
RUNGS = ("nspawn", "qemu")


def _boot(rung: str) -> dict[str, Any]:
    machine = rung == "qemu"
    with Lab(f"bench-{rung}", machine=machine) as lab, Machine(lab) if machine else Container(lab) as node:
        node.until_booted()
        lab.until(200, 600)
        ready = time.monotonic() - node.started
        steps = guest.timeline(node)
        lab.tell("notice", seconds=120)
        flipped = lab.until(503, 30)
    return {
        "bootToReadySeconds": ready,
        "noticeTo503Seconds": flipped.seconds,
        "steps": {one["step"]: one["end"] - one["begin"] for one in steps},
    }


def summary(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Medians of some boots."""

    def middle(values: Iterable[float]) -> float:
        return round(statistics.median(values), 2)

    return {
        "boots": len(runs),
        "boot_to_ready_s": middle(run["bootToReadySeconds"] for run in runs),
        "steps_s": {step: middle(run["steps"].get(step, 0.0) for run in runs) for step in runs[0]["steps"]},
        "notice_to_503_s": middle(run["noticeTo503Seconds"] for run in runs),
        "notice_to_503_worst_s": round(max(run["noticeTo503Seconds"] for run in runs), 2),
        "notice_aim_s": AIM_NOTICE_SECONDS,
    }


def figures(rungs: tuple[str, ...] = RUNGS, count: int = 3) -> dict[str, Any]:
    """By rung; count: boots of the container."""
    found: dict[str, Any] = {}
    for rung in rungs:
        if lacking := needs.lacks(rung):
            found[rung] = {"skipped": lacking}
            continue
        number = 1 if rung == "qemu" else count
        runs = []
        for one in range(number):
            print(f"    boot {one + 1} of {number}: {rung}", file=sys.stderr, flush=True)
            runs.append(_boot(rung))
        found[rung] = summary(runs)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="boot", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rung", action="append", choices=RUNGS, help="default: both")
    parser.add_argument("--count", type=int, default=3, help="boots of the container")
    arguments = parser.parse_args()
    print(json.dumps({"boot": figures(tuple(arguments.rung or RUNGS), max(1, arguments.count))}, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
