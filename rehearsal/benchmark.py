"""`python -m rehearsal.benchmark --trace FILE --prices FILE`: every policy on a trace, with the bound of each.

Costs are shares of all on demand: the target in the cheapest zone for the whole time. Availability is the share of the
time with at least the target ready, from the first boot on. Progress goes to stderr.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import Any, Final, NoReturn

from rehearsal import data, policies, prices
from rehearsal.measures import Run, Summary, run, summed
from rehearsal.model import Faults, Setting, Zone
from rehearsal.monte import over
from rehearsal.omniscient import Omniscient
from rehearsal.progress import Bar
from rehearsal.trace import Trace, load
from rehearsal.windows import Windows, draw, parse, within
from spillway.errors import SpillwayError, WrongUsage

CURVE: Final = (0.9, 0.95, 0.97, 0.98, 0.985, 0.99, 0.995, 0.998, 0.999, 1.0)
"""Availabilities at which the bound is told."""
SEEDS: Final = 5
Window = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Task:
    """What is compared on what. windows: none for the whole trace. exact: seconds for which the best plan of whole
    instances is looked for, for each play of the policies in exact_names; 0: it is not."""

    trace: Trace
    setting: Setting
    names: tuple[str, ...] = policies.DEFAULT
    faults: Faults = field(default_factory=Faults)
    seeds: int = SEEDS
    windows: Windows | None = None
    seed: int = 0
    exact: float = 0.0
    exact_names: tuple[str, ...] | None = None
    """None: all."""

    @property
    def spans(self) -> list[Window]:
        """(begin, end) of what is played."""
        return draw(self.trace, self.windows, self.seed) if self.windows else [(0.0, self.trace.end)]

    @property
    def jobs(self) -> list[tuple[str, int, Window]]:
        """(policy, seed, window) of every play; policies without chance have one seed."""
        return [
            (name, seed, span)
            for name in self.names
            for seed in range(self.seed, self.seed + (self.seeds if policies.is_random(name) else 1))
            for span in dict.fromkeys(self.spans)
        ]


@dataclass(frozen=True, slots=True)
class Compared:
    """curve: (availability, least cost as a share of all on demand) of a plan that knew the trace."""

    summaries: tuple[Summary, ...]
    curve: tuple[tuple[float, float], ...]

    def by_name(self) -> dict[str, Summary]:
        return {one.policy: one for one in self.summaries}


def one_run(task: Task, job: tuple[str, int, Window]) -> Run:
    """One play of a task."""
    name, seed, span = job
    trace, setting = within(task.trace, task.setting, *span)
    return run(trace, setting, task.faults, name, seed, span)


def concluded(task: Task, runs: Sequence[Run]) -> Compared:
    """The plays of a task, with the bounds that they are measured against."""
    spans = list(dict.fromkeys(task.spans))
    bounds = {span: Omniscient(*within(task.trace, task.setting, *span)) for span in spans}
    base = {one.window: one.all_on_demand for one in runs}
    summaries = tuple(
        summed(
            [one for one in runs if one.policy == name],
            bounds,
            task.exact if task.exact_names is None or name in task.exact_names else 0.0,
        )
        for name in task.names
    )
    curve = tuple((share, sum(bounds[s].at(share).usd for s in spans) / sum(base[s] for s in spans)) for share in CURVE)
    return Compared(summaries, curve)


def compare(task: Task, jobs: int = 1) -> Compared:
    """Plays everything, over `jobs` processes. The result does not depend on how many."""
    work = task.jobs
    runs: list[Run] = []
    with Bar("plays", len(work)) as bar:
        for one in over(partial(one_run, task), work, jobs):
            runs.append(one)
            bar.step(one.policy)
    return concluded(task, runs)


# --- the command ------------------------------------------------------------------------------------------------------


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise WrongUsage(f"{self.prog}: {message}")


def _number(low: float, high: float, whole: bool = False) -> Any:
    def read(text: str) -> float:
        try:
            found: float = int(text) if whole else float(text)
        except ValueError:
            found = float("nan")
        if not low <= found <= high:
            kind = "whole number" if whole else "number"
            raise argparse.ArgumentTypeError(f"{text!r} is no {kind} from {low:g} to {high:,g}")
        return found

    return read


def parser() -> argparse.ArgumentParser:
    """The options of the command."""
    made = _Parser(prog="python -m rehearsal.benchmark", description=(__doc__ or "").partition("\n\n")[0])
    made.add_argument(
        "--trace", type=Path, nargs="+", required=True, metavar="FILE", help="CSV, or JSON files of a zone"
    )
    cost = made.add_mutually_exclusive_group(required=True)
    cost.add_argument("--prices", type=Path, metavar="FILE", help="CSV of prices by region")
    cost.add_argument("--k", type=_number(0.01, 1000), metavar="RATIO", help="on-demand / spot, alike in all zones")
    made.add_argument("--series", type=Path, metavar="FILE", help="CSV of prices by zone that change; over --prices")
    made.add_argument("--machine", help="which of the list's machines")
    made.add_argument("--per", type=_number(1, prices.PER_MAX, True), help="instances of the trace in one machine")
    made.add_argument("--zones", default="*", metavar="A,B", help="zones or patterns such as us-* (default: all)")
    made.add_argument("--n", type=_number(1, 10_000, True), default=3, help="instances wanted (default: 3)")
    made.add_argument("--boot", type=_number(0, 86_400), default=600.0, help="s to ready (default: 600)")
    made.add_argument("--tick", type=_number(1, 3_600), default=30.0, help="s between two looks (default: 30)")
    made.add_argument(
        "--notice", type=_number(0, 3_600), default=0.0, help="s before an instance is taken (default: 0)"
    )
    made.add_argument(
        "--fail-seconds", type=_number(0, 3_600), default=0.0, help="s until a refusal is known (default: 0)"
    )
    made.add_argument("--on-demand-fails", type=_number(0, 1), default=0.0, help="share refused (default: 0)")
    made.add_argument("--policy", action="append", metavar="NAME,...", help=f"default: {', '.join(policies.DEFAULT)}")
    made.add_argument("--windows", type=str, metavar="10x24h", help="windows at random instead of the whole trace")
    made.add_argument("--seed", type=_number(0, 2**31, True), default=0, help="of windows, chance and refusals")
    made.add_argument(
        "--seeds", type=_number(1, 1_000, True), default=SEEDS, help=f"plays by chance (default: {SEEDS})"
    )
    made.add_argument(
        "--exact", type=_number(0, 3_600), default=0.0, metavar="SECONDS",
        help="look for the best plan of whole instances so long, for each play (default: 0, only the bound)",
    )  # fmt: skip
    made.add_argument("--jobs", type=_number(1, 256, True), default=os.cpu_count() or 1, help="processes")
    made.add_argument("--json", action="store_true", help="figures as JSON on stdout")
    return made


def chosen_zones(trace: Trace, text: str) -> list[str]:
    """Zones of the trace that a list of names and patterns names, in the list's order. Raises SpillwayError."""
    found: dict[str, None] = {}
    for part in (part.strip() for part in text.split(",")):
        matching = [zone for zone in trace.zones if fnmatchcase(zone, part)]
        if not matching:
            raise SpillwayError(f"zones: {part!r} is none of {trace.name}: {', '.join(trace.zones)}")
        found.update(dict.fromkeys(matching))
    return [zone for zone in trace.zones if zone in found]


def task_of(options: argparse.Namespace) -> tuple[Task, dict[str, Any]]:
    """The task, and what to say of its prices. Raises SpillwayError."""
    whole = load(options.trace)
    trace = whole.only(chosen_zones(whole, options.zones))
    zones: tuple[Zone, ...]
    if options.prices:
        machine, per = options.machine, options.per
        known = data.known(whole.sha256)
        if known and known.prices:  # what goes with a trace that is known, as far as nothing else is said
            usual = data.manifest()["prices"][known.prices]
            if machine is None and usual.machine in prices.machines(options.prices):
                machine = usual.machine
            per = usual.per if per is None and machine == usual.machine else per
        listed = prices.price_list(options.prices, machine, per)
        series = prices.read_series(options.series, trace) if options.series else None
        zones = prices.priced(trace.zones, listed, series)
        told = {"list": listed.name, "machine": listed.machine, "per": listed.per, "observed": list(listed.observed)}
        told |= {"series": options.series.name} if options.series else {}
    else:
        for name in ("series", "machine", "per"):
            if getattr(options, name):
                raise WrongUsage(f"--{name}: goes with --prices")
        zones, told = prices.uniform(trace.zones, options.k), {"k": options.k}
    setting = Setting(options.n, float(options.boot), float(options.tick), zones)
    faults = Faults(options.notice, options.fail_seconds, options.on_demand_fails, options.seed)
    names = [name.strip() for part in options.policy or [",".join(policies.DEFAULT)] for name in part.split(",")]
    names = [policies.check(name) for name in dict.fromkeys(names)]
    windows = parse(options.windows) if options.windows else None
    task = Task(trace, setting, tuple(names), faults, options.seeds, windows, options.seed, float(options.exact))
    if not task.setting.boot < min(end - begin for begin, end in task.spans):
        raise SpillwayError(f"boot: {options.boot:g} s is not shorter than what is played")
    return task, told


def as_json(task: Task, told: dict[str, Any], compared: Compared) -> dict[str, Any]:
    """Everything, with what it was measured on."""
    trace, known = task.trace, data.known(task.trace.sha256)
    return {
        "trace": {
            "name": trace.name,
            "sha256": trace.sha256,
            "zones": list(trace.zones),
            "hours": round(trace.end / 3600, 3),
            "step": trace.step,
            "holes": [list(hole) for hole in trace.holes],
            "synthetic": trace.synthetic,
            "shows_not": known.shows_not if known else None,
        },
        "prices": told,
        "setting": {
            "n": task.setting.target,
            "boot": task.setting.boot,
            "tick": task.setting.tick,
            "notice": task.faults.notice,
            "fail_seconds": task.faults.fail_seconds,
            "on_demand_fails": task.faults.on_demand_fails,
            "seed": task.seed,
            "windows": str(task.windows) if task.windows else None,
        },
        "policies": [one.as_json() for one in compared.summaries],
        "bound": [[share, round(cost, 6)] for share, cost in compared.curve],
    }


COLUMNS: Final = (
    ("policy", 20), ("availability %", 22), ("none %", 7), ("below", 9), ("none", 8), ("missing", 8),
    ("cost", 20), ("spot", 7), ("demand", 8), ("launch", 8), ("lost", 6), ("bound", 6), ("regret", 9), ("s", 7),
)  # fmt: skip


def table(compared: Compared) -> list[str]:
    """Lines for people; `LEGEND` says what the columns are."""
    lines = [_line([name for name, _ in COLUMNS])]
    for one in compared.summaries:
        cells = [
            one.policy,
            _with(one.availability, one.availability_low, one.availability_high, 100, 2),
            f"{100 * one.zero:.2f}",
            _duration(one.longest_below),
            _duration(one.longest_zero),
            f"{one.missing:.2f}",
            _with(one.cost, one.cost_low, one.cost_high, 1, 3),
            f"{one.spot:.3f}",
            f"{one.on_demand:.3f}",
            f"{one.launches_day:.1f}",
            f"{one.losses_day:.1f}",
            f"{one.bound:.3f}",
            f"{100 * one.regret:.0f}%" if one.regret_least is None else _regrets(one.regret_least, one.regret),
            f"{one.seconds:.2f}",
        ]
        lines.append(_line(cells))
    return lines


def _line(cells: Sequence[str]) -> str:
    first, *rest = zip(cells, (width for _, width in COLUMNS), strict=True)
    return f"{first[0]:<{first[1]}}" + "".join(f"{cell:>{width}}" for cell, width in rest)


LEGEND: Final = (
    "availability: share of the time with N ready; none: with nothing ready; below, none: the longest time of each;",
    "missing: instance-hours a day below N; cost, spot, demand, bound: shares of all on demand; launch, lost:",
    "instances a day; bound: least cost of a plan that knows the trace, at the same availability; regret: cost over",
    "bound, at least the true one (from, where whole instances were planned with too: at most the true one);",
    "[95 % interval over windows, or over days]; s: of CPU, a play",
)


def _with(value: float, low: float | None, high: float | None, scale: float, digits: int) -> str:
    text = f"{value * scale:.{digits}f}"
    return text if low is None or high is None else f"{text} [{low * scale:.{digits}f}-{high * scale:.{digits}f}]"


def _regrets(least: float, most: float) -> str:
    low, high = f"{100 * least:.0f}", f"{100 * most:.0f}"
    return f"{high}%" if low == high else f"{low}-{high}%"


def _duration(seconds: float) -> str:
    if seconds >= 36_000:
        return f"{seconds / 3600:.0f} h"
    return f"{seconds / 60:.0f} min" if seconds >= 600 else f"{seconds:.0f} s"


def heading(task: Task, told: dict[str, Any]) -> list[str]:
    """What is compared on what."""
    setting, trace = task.setting, task.trace
    cheapest = min(zone.on_demand[0][1] for zone in setting.zones)
    price = f"k = {told['k']:g}" if "k" in told else f"{told['list']} ({told['machine']} / {told['per']})"
    return [
        f"{trace.name}: {len(trace.zones)} zones, {trace.end / 3600:.1f} h, a round every {trace.step:g} s"
        + (f", {task.windows} of it (seed {task.seed})" if task.windows else ""),
        f"N = {setting.target}, boot {setting.boot:g} s, a look every {setting.tick:g} s; prices: {price}; "
        f"all on demand: {setting.target} x {cheapest:.4g} USD/h",
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    try:
        options = parser().parse_args(arguments)
        task, told = task_of(options)
        compared = compare(task, options.jobs)
    except SpillwayError as error:
        print("\n".join(error.lines), file=sys.stderr)  # noqa: T201
        return error.CODE
    except KeyboardInterrupt:
        return 130
    if options.json:
        text = json.dumps(as_json(task, told, compared), indent=2)
    else:
        curve = "  ".join(f"{100 * share:g}%: {cost:.3f}" for share, cost in compared.curve)
        text = "\n".join([*heading(task, told), "", *table(compared), "", *LEGEND, "", f"bound  {curve}"])
    print(text)  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
