"""`make bench`: what a region costs on the sandbox, on each cloud, and against a flat program of the same resources on
one of them; DNS; the gate, the copy of weights and the boots of a node; rehearsals; as JSON.

`python -m tests.bench NAME ...` runs some of it, `--list` says what there is. Progress goes to stderr, the figures to
stdout and to `--out`, after every measurement, so that one that is broken off has told what it knew. What this machine
cannot measure is `skipped`, with the reason; what went wrong is `failed`, and the exit code is 1.

What is compared takes turns within one run, and figures are medians: only the ratios mean something on a noisy machine.
`preview_ratio` compares with a floor that imports as the region does (no garbage collection meanwhile);
`preview_ratio_naive` with the floor as anybody would write it.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.clouds import DISTRIBUTIONS
from tests.bench import (
    boot,
    budget,
    capacity,
    cost,
    fortnight,
    gate,
    regions,
    resolver,
    reviews,
    staging,
    weights_store,
)
from tests.bench.plugin import start_seconds
from tests.bench.surroundings import machine, preferred
from tests.boot import needs

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "build" / "bench.json"


@dataclass(frozen=True)
class Bench:
    """One measurement. run: with the number of runs of it; lacks: why it cannot be done here, None when it can."""

    what: str
    run: Callable[[int], dict[str, Any]]
    lacks: Callable[[], str | None] = lambda: None


def _plugins(count: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        return {name: start_seconds(name, Path(folder) / name, count) for name in DISTRIBUTIONS}


def _gate(_: int) -> dict[str, Any]:
    with preferred() as alone:
        return gate.measure() | {"beforeOtherWork": alone}


def _staging(count: int) -> dict[str, Any]:
    return staging.measure(Path("/var/tmp"), 4.0, count, {})


def _boots(rung: str) -> Callable[[int], dict[str, Any]]:
    def run(count: int) -> dict[str, Any]:
        found: dict[str, Any] = boot.figures((rung,), count)[rung]
        return found

    return run


BENCHES = {
    "region": Bench("preview, up, no-op up and destroy of a region against floor programs", regions.against_floor),
    "clouds": Bench("the same life of a region on the other clouds", regions.other_clouds),
    "global": Bench("preview of the global stack by provider", regions.global_previews),
    "plugin": Bench("start of the stand-in clouds' plugins (seconds)", _plugins),
    "dns": Bench("failover budget and resolver", lambda _: budget.measure() | resolver.measure()),
    "gate": Bench("latency of the readiness gate beside a busy engine; drain to 503", _gate),
    "staging": Bench("the copy of weights against dd of the same disk", _staging, weights_store.lacks),
    "rehearsal": Bench(
        "plays of 14 days of 13 zones by policy, the bound, and many runs over all processors", capacity.measure
    ),
    "fortnight": Bench("a fortnight of the shipped stacks: alone, with the keeper, with clients", fortnight.measure),
    "cost": Bench("a report of costs, the pricing of a plan of 1,000 resources, `import cost`", cost.measure),
    "reviews": Bench("previews of all stacks side by side, and a comment of 2,000 resources", reviews.measure),
    "container": Bench(
        "boot to ready as a container, notice to 503", _boots("nspawn"), lambda: needs.lacks("nspawn") or None
    ),
    "machine": Bench("boot to ready as a machine, notice to 503", _boots("qemu"), lambda: needs.lacks("qemu") or None),
}


def say(text: str) -> None:
    """A line of progress."""
    print(text, file=sys.stderr, flush=True)


def run(names: Sequence[str], count: int, out: Path, benches: dict[str, Bench]) -> dict[str, Any]:
    """Figures by name, written to `out` after each."""
    found: dict[str, Any] = {"machine": machine(), "runs": count}
    out.parent.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names, 1):
        bench = benches[name]
        say(f"[{number}/{len(names)}] {name}: {bench.what}")
        began = time.monotonic()
        if why := bench.lacks():
            found[name] = {"skipped": why}
            say(f"    skipped: {why}")
        else:
            try:
                found[name] = bench.run(count)
                say(f"    done in {time.monotonic() - began:,.0f} s")
            except Exception as error:  # of whatever is measured; the others are measured all the same
                found[name] = {"failed": f"{type(error).__name__}: {error}"}
                traceback.print_exc()
        out.write_text(json.dumps(found, indent=2) + "\n")
    return found


def main(arguments: Sequence[str] | None = None, benches: dict[str, Bench] = BENCHES) -> int:
    """Exit code 1: something failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(benches)}; all when none is given")
    parser.add_argument("--runs", type=int, default=3, help="of each that is compared (default: 3)")
    parser.add_argument("--out", type=Path, default=OUT, help="file for the figures (default: build/bench.json)")
    parser.add_argument("--list", action="store_true", help="say what there is, and what this machine lacks for it")
    chosen = parser.parse_args(arguments)
    if unknown := [name for name in chosen.names if name not in benches]:
        parser.error(f"no bench {', '.join(unknown)}; there are {', '.join(benches)}")
    if chosen.list:
        for name, bench in benches.items():
            why = bench.lacks()
            print(f"{name:<10} {bench.what}{f' (skipped: {why})' if why else ''}")
        return 0
    found = run(chosen.names or list(benches), max(1, chosen.runs), chosen.out, benches)
    print(json.dumps(found, indent=2))
    return 1 if any("failed" in one for one in found.values() if isinstance(one, dict)) else 0


if __name__ == "__main__":
    sys.exit(main())
