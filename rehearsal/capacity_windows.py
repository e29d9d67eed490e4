"""What the grid of the benchmark leaves open: how sure a figure is, and which published policies are worth a look.

`windowed` plays every policy, and the keeper without each of its levers, over the same windows drawn at random: means
with intervals, and differences from the keeper window by window, in which what a window does to both falls out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from rehearsal import policies
from rehearsal.benchmark import Compared, Task
from rehearsal.measures import Run
from rehearsal.monte import paired
from rehearsal.windows import Windows

DAY: Final = 86_400.0
COUNT: Final = 40
"""Windows of a day: about as many as the recorded week can hold that differ by hours."""


def front(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Published policies that no other published one dominates, by cost: the Pareto curve of what there is."""
    found: list[str] = []
    best = -1.0
    published = [one for one in rows if not policies.is_keeper(one["policy"])]
    for one in sorted(published, key=lambda one: (one["cost"], -one["availability"])):
        if one["availability"] > best:
            best = one["availability"]
            found.append(one["policy"])
    return found


@dataclass(frozen=True, slots=True)
class Sample:
    """A task over windows, and what its case is called."""

    zones: str
    n: int
    boot: float
    task: Task


def sample(zones: str, n: int, boot: float, task: Task, names: Sequence[str], count: int) -> Sample:
    """The same task over `count` windows of a day; policies by chance take another seed in each."""
    return Sample(zones, n, boot, replace(task, names=tuple(names), windows=Windows(count, DAY), seeds=1, exact=0.0))


def told(one: Sample, runs: Sequence[Run], compared: Compared) -> dict[str, Any]:
    """Means with intervals, and differences from the keeper: keeper - policy in availability and share of cost."""
    by_policy = {
        name: sorted((run for run in runs if run.policy == name), key=lambda run: run.window) for name in one.task.names
    }
    found: dict[str, Any] = {
        "zones": one.zones,
        "n": one.n,
        "boot": one.boot,
        "windows": len({run.window for run in runs}),
        "hours": DAY / 3600.0,
        "policies": [summary.as_json() for summary in compared.summaries],
        "front": front([summary.as_json() for summary in compared.summaries]),
        "differences": {},
    }
    if mine := by_policy.get(policies.KEEPER):
        for name, theirs in by_policy.items():
            if name != policies.KEEPER:
                found["differences"][name] = {
                    "availability": _difference([r.availability for r in theirs], [r.availability for r in mine]),
                    "cost": _difference([_share(r) for r in theirs], [_share(r) for r in mine]),
                }
    return found


def _share(run: Run) -> float:
    return run.usd / run.all_on_demand


def _difference(base: Sequence[float], other: Sequence[float]) -> dict[str, float | bool]:
    found = paired(base, other)
    return {"mean": round(found.mean, 6), "low": round(found.low, 6), "high": round(found.high, 6), "sure": found.sure}
