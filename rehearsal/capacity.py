"""`make bench-capacity`: every policy on the recorded half, at every size, boot and set of zones that is compared.

Prints a table for each setting and writes one JSON and one HTML file. `--n`, `--boot` and `--zones` choose a part, and
`--from FILE` writes the page again from figures that are there.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from rehearsal import capacity_page, data, policies, prices
from rehearsal.benchmark import LEGEND, Compared, Task, Window, as_json, chosen_zones, concluded, one_run, table
from rehearsal.capacity_picture import picture
from rehearsal.capacity_windows import COUNT, Sample, front, sample
from rehearsal.capacity_windows import told as told_windows
from rehearsal.measures import Run
from rehearsal.model import Setting
from rehearsal.monte import over
from rehearsal.progress import Bar
from spillway.errors import SpillwayError, WrongUsage

TRACE: Final = "gcp-h100-2025-10"
PRICES: Final = "gcp-h100-2025-10-23"
ZONE_SETS: Final = {
    "all-13": "*",
    "us-8": "us-*",
    "us-central1": "us-central1-*",
    "hard-3": "us-west1-*,europe-west3-c",
}
"""The sets of zones by name. hard-3: together they give less than three more than half of the time."""
SIZES: Final = (1, 3, 8)
BOOTS: Final = (120.0, 300.0, 600.0, 1200.0)
TICK: Final = 60.0
OBJECTIVES: Final = ("keeper@0.98", "keeper@0.99", "keeper", "keeper@0.998", "keeper@0.999")
"""What the curve of the keeper is drawn through; without a number it is 0.995."""
LEVERS: Final = tuple(f"keeper-{lever.replace('_', '-')}" for lever in policies.LEVERS)
ABLATED: Final = (3, 600.0)
"""Size and boot at which each lever is taken away and windows are drawn, for every set of zones."""
EXACT: Final = 20.0
"""Seconds for which the best plan of whole instances is looked for, at the keeper's availability and the size of
`ABLATED`; larger ones take hours."""
OUT: Final = Path("docs/benchmarks")


@dataclass(frozen=True, slots=True)
class Case:
    """One setting of the grid."""

    zones: str
    n: int
    boot: float

    def task(self, tick: float, seeds: int, keeper: bool, exact: float = 0.0) -> Task:
        """keeper: whether it takes part, with its curve and, at one size and boot, without each lever."""
        whole = data.trace(TRACE)
        trace = whole.only(chosen_zones(whole, ZONE_SETS[self.zones]))
        setting = Setting(self.n, self.boot, tick, prices.priced(trace.zones, data.price_list(PRICES)))
        names = [name for name in policies.DEFAULT if not policies.is_keeper(name)]
        if keeper:
            names += [*OBJECTIVES, *(LEVERS if self.ablated else ())]
        exact = exact if keeper and self.n == ABLATED[0] else 0.0
        return Task(trace, setting, tuple(names), seeds=seeds, exact=exact, exact_names=(policies.KEEPER,))

    @property
    def ablated(self) -> bool:
        return (self.n, self.boot) == ABLATED

    def sample(self, tick: float, keeper: bool, count: int) -> Sample:
        """The same over windows: published policies, the keeper, and it without each lever."""
        task = self.task(tick, 1, keeper)
        names = [name for name in task.names if "@" not in name]
        return sample(self.zones, self.n, self.boot, task, names, count)

    def __str__(self) -> str:
        return f"{self.zones}, N = {self.n}, boot {self.boot:g} s"


def verdict(compared: Mapping[str, Mapping[str, Any]], name: str = policies.KEEPER) -> dict[str, list[str]]:
    """Of baselines, by their own figures. dominated_by: as available and as cheap, and one of the two better.

    cheaper_and_as_available: reach at least its availability for less. beaten: reach no more for more.
    """
    mine = compared[name]
    found: dict[str, list[str]] = {"dominated_by": [], "cheaper_and_as_available": [], "beaten": []}
    for other, theirs in compared.items():
        if policies.is_keeper(other):
            continue
        better = (theirs["availability"] - mine["availability"], mine["cost"] - theirs["cost"])
        if min(better) >= 0 and max(better) > 0:
            found["dominated_by"].append(other)
        if better[0] >= 0 and better[1] > 0:
            found["cheaper_and_as_available"].append(other)
        if max(better) <= 0 and min(better) < 0:
            found["beaten"].append(other)
    return found


def _play(tasks: Sequence[Task], work: tuple[int, tuple[str, int, Window]]) -> tuple[int, Run]:
    index, job = work
    return index, one_run(tasks[index], job)


def everything(
    cases: Sequence[Case], tick: float, seeds: int, keeper: bool, jobs: int, exact: float = 0.0
) -> list[dict[str, Any]]:
    """Figures of each case, printed as soon as it is done. The result does not depend on the number of processes, but
    for plans whose search was broken off."""
    tasks = [case.task(tick, seeds, keeper, exact) for case in cases]
    work = [(index, job) for index, task in enumerate(tasks) for job in task.jobs]
    left = [len(task.jobs) for task in tasks]
    runs: list[list[Run]] = [[] for _ in tasks]
    found = []
    with Bar("plays", len(work)) as bar:
        for index, one in over(partial(_play, tasks), work, jobs):
            runs[index].append(one)
            left[index] -= 1
            if not left[index]:
                compared = concluded(tasks[index], runs[index])
                runs[index] = []
                found.append(_told(cases[index], tasks[index], compared))
                _print([f"# {cases[index]}", *table(compared), ""])
            bar.step(f"{cases[index]}: {one.policy}")
    return found


def windowed(cases: Sequence[Case], tick: float, keeper: bool, jobs: int, count: int) -> list[dict[str, Any]]:
    """The cases of one size and boot over windows drawn at random; nothing where none of them is asked for."""
    samples = [case.sample(tick, keeper, count) for case in cases if case.ablated and count]
    tasks = [one.task for one in samples]
    work = [(index, job) for index, task in enumerate(tasks) for job in task.jobs]
    runs: list[list[Run]] = [[] for _ in tasks]
    with Bar("windows", len(work)) as bar:
        for index, one in over(partial(_play, tasks), work, jobs):
            runs[index].append(one)
            bar.step(f"{samples[index].zones}: {one.policy}")
    found = []
    for one_sample, mine in zip(samples, runs, strict=True):
        compared = concluded(one_sample.task, mine)
        found.append(told_windows(one_sample, mine, compared))
        _print([f"# {one_sample.zones}: {count} windows of a day", *table(compared), ""])
    return found


def _told(case: Case, task: Task, compared: Compared) -> dict[str, Any]:
    told = as_json(task, {}, compared)
    found = {"zones": case.zones, "n": case.n, "boot": case.boot, "policies": told["policies"],
             "bound": told["bound"], "front": front(told["policies"])}  # fmt: skip
    by_name = {one["policy"]: one for one in found["policies"]}
    return found | ({"keeper": verdict(by_name)} if policies.KEEPER in by_name else {})


def document(
    cases: Sequence[dict[str, Any]], tick: float, seeds: int, windows: Sequence[dict[str, Any]] = ()
) -> dict[str, Any]:
    """The whole file: what it was measured on, then the cases, then what was played over windows."""
    trace, listed, known = data.trace(TRACE), data.price_list(PRICES), data.manifest()["traces"][TRACE]
    return {
        "trace": {"name": TRACE, "sha256": trace.sha256, "source": known.source, "recorded": known.date,
                  "shows": known.shows, "shows_not": known.shows_not, "synthetic": trace.synthetic},
        "prices": {"name": PRICES, "machine": listed.machine, "per": listed.per, "observed": list(listed.observed)},
        "tick": tick,
        "seeds": seeds,
        "zone_sets": {name: chosen_zones(trace, pattern) for name, pattern in ZONE_SETS.items()},
        "settings": len(ZONE_SETS) * len(SIZES) * len(BOOTS),
        "legend": " ".join(LEGEND),
        "cases": list(cases),
        "windows": list(windows),
    }  # fmt: skip


def _print(lines: Sequence[str]) -> None:
    print("\n".join(lines), flush=True)  # noqa: T201


def _read(path: Path) -> tuple[dict[str, Any], str, str]:
    """A document, its page and its picture. Raises SpillwayError."""
    try:
        whole: dict[str, Any] = json.loads(path.read_text())
        return whole, capacity_page.page(whole), picture(whole)
    except OSError as error:
        raise SpillwayError(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise SpillwayError(f"{path}: is no file of figures that this command wrote") from None


def _write(folder: Path, figures: str, page: str, plots: str) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "capacity.json").write_text(figures)
        (folder / "capacity.html").write_text(page)
        (folder / "capacity.svg").write_text(plots)
    except OSError as error:
        raise SpillwayError(f"{error.filename or folder}: cannot be written: {error.strerror}") from None


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 1: what was asked for is not there."""
    made = argparse.ArgumentParser(
        prog="python -m rehearsal.capacity", description=(__doc__ or "").partition("\n\n")[0]
    )
    made.add_argument("--n", type=int, nargs="+", choices=SIZES, default=SIZES)
    made.add_argument("--boot", type=float, nargs="+", choices=BOOTS, default=BOOTS)
    made.add_argument("--zones", nargs="+", choices=tuple(ZONE_SETS), default=tuple(ZONE_SETS))
    made.add_argument("--seeds", type=int, default=5, help="plays of policies by chance (default: 5)")
    made.add_argument("--windows", type=int, default=COUNT, help=f"of a day, for intervals; 0: none (default: {COUNT})")
    made.add_argument(
        "--exact", type=float, default=EXACT, metavar="SECONDS",
        help=f"for the best plan of whole instances, each; 0: none (default: {EXACT:g})",
    )  # fmt: skip
    made.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes (default: all processors)")
    made.add_argument("--without-keeper", action="store_true", help="the published policies alone")
    made.add_argument("--from", type=Path, dest="source", metavar="FILE", help="only make page and picture anew, of it")
    made.add_argument("--out", type=Path, default=OUT, help=f"folder of capacity.json, .html and .svg (default: {OUT})")
    made.add_argument("--json", action="store_true", help="figures as JSON on stdout, tables on stderr")
    options = made.parse_args(arguments)
    if not options.json:
        return _run(options)
    whole: list[dict[str, Any]] = []
    with redirect_stdout(sys.stderr):
        code = _run(options, whole.append)
    for figures in whole:
        sys.stdout.write(json.dumps(figures, indent=1) + "\n")
    return code


def _run(options: argparse.Namespace, take: Callable[[dict[str, Any]], None] | None = None) -> int:
    """Exit code. take: is given all figures."""
    try:
        for name, most in (("seeds", 1_000), ("windows", 1_000), ("exact", 3_600)):
            value = getattr(options, name)
            if not (name == "seeds") <= value <= most:
                raise WrongUsage(f"--{name} {value:g}: expected {int(name == 'seeds')} to {most:,}")
        if options.source:
            whole, page, plots = _read(options.source)
        else:
            cases = [Case(zones, n, boot) for zones in options.zones for n in options.n for boot in options.boot]
            keeper, jobs = not options.without_keeper, max(1, options.jobs)
            found = everything(cases, TICK, options.seeds, keeper, jobs, options.exact)
            sampled = windowed(cases, TICK, keeper, jobs, options.windows)
            whole = document(found, TICK, options.seeds, sampled)
            page, plots = capacity_page.page(whole), picture(whole)
        _write(options.out, json.dumps(whole, indent=1) + "\n", page, plots)
    except SpillwayError as error:
        print("\n".join(error.lines), file=sys.stderr)  # noqa: T201
        return error.CODE
    except KeyboardInterrupt:
        return 130
    if take:
        take(whole)
    _print([*LEGEND, "", *conclusion(whole["cases"]), f"{options.out}/capacity.json, {options.out}/capacity.html"])
    return 0


def conclusion(cases: Sequence[Mapping[str, Any]]) -> list[str]:
    """What of the aims holds, a line for each setting that misses one, and how many there are."""
    judged = [case for case in cases if "keeper" in case]
    if not judged:
        return []
    lines = []
    for case in judged:
        name = f"{case['zones']}, N = {case['n']}, boot {case['boot']:g} s"
        if by := case["keeper"]["dominated_by"]:
            lines.append(f"{name}: the keeper is dominated by {', '.join(by)}")
    dominated = len(lines)
    return [
        *lines,
        f"the keeper is dominated by no published policy in {len(judged) - dominated} of {len(judged)} settings",
    ]


if __name__ == "__main__":
    sys.exit(main())
