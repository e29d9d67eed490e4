"""Many runs of one thing from starts and seeds drawn at random, over all processors; how far the figures spread.

    found = repeat(task, runs=1000, seed=1, workers=2, progress=bar.step)
    repeated("deployed", [figures_of(variant, seconds) for variant in found])

Run number 7 of a seed is the same run whatever the number of runs, of workers, and the order in which they end; so two
tasks that are repeated with one seed met the same starts (common random numbers), and their difference is `paired`.
"""

from __future__ import annotations

import math
import os
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from statistics import fmean
from typing import Any, Final, TypeVar

import numpy as np

from rehearsal.measures import DAY, run
from rehearsal.model import Faults, Setting
from rehearsal.result import Difference, Repeated, Spread, Variant
from rehearsal.trace import Trace
from rehearsal.windows import RESAMPLES, within
from spillway.errors import SpillwayError

T = TypeVar("T")
W = TypeVar("W")
RUNS_MAX: Final = 100_000
CHUNKS: Final = 64
"""Parts that each worker's share is cut into: few enough to send, many enough that none waits for the last."""
PERCENTILES: Final = (10, 50, 90)


@dataclass(frozen=True, slots=True)
class Draw:
    """One run. number: from 0. seed: of everything in it that goes by chance, its own."""

    number: int
    seed: int

    def dice(self, what: str = "") -> random.Random:
        """Chance of this run; what: for which of several uses."""
        return random.Random(f"{self.seed} {what}")

    def start(self, starts: Sequence[float]) -> float:
        """One of the starts, each as likely."""
        return self.dice("start").choice(starts)


def draws(runs: int, seed: int) -> list[Draw]:
    """The first `runs` of a seed. Raises SpillwayError for a number that is not allowed."""
    if not 1 <= runs <= RUNS_MAX:
        raise SpillwayError(f"runs: {runs}: expected 1 to {RUNS_MAX:,}")
    return [Draw(number, random.Random(f"{seed} run {number}").getrandbits(48)) for number in range(runs)]


def starts(trace: Trace, seconds: float) -> list[float]:
    """Rounds of the trace from which on it holds so many seconds. Raises SpillwayError where it is shorter."""
    found = [time for time in trace.times if time + seconds <= trace.end + 1e-6]
    if not found:
        raise SpillwayError(
            f"{trace.name}: holds {trace.end / 3600:g} h; a window of {seconds / 3600:g} h does not fit"
        )
    return found


def repeat(
    task: Callable[[Draw], T],
    runs: int,
    seed: int = 0,
    workers: int | None = None,
    progress: Callable[[str], None] | None = None,
) -> list[T]:
    """What the task makes of each run, in their order.

    task: a function of a module, or a `partial` of one: it is sent to the workers, once each. workers: processes; None:
    as many as processors; 1: none but this one. progress: called after each run with its number.
    """
    return list(over(task, draws(runs, seed), workers, progress=progress and (lambda one: progress(f"{one.number}"))))


def over(
    task: Callable[[W], T],
    work: Sequence[W],
    workers: int | None = None,
    *,
    progress: Callable[[W], None] | None = None,
) -> Iterator[T]:
    """The task of each piece of work, in order, as soon as they are there. See `repeat`."""
    count = min(len(work), max(1, workers or os.cpu_count() or 1))
    if count <= 1:
        yield from _told(map(task, work), work, progress)
        return
    size = max(1, math.ceil(len(work) / (count * CHUNKS)))
    with ProcessPoolExecutor(count, initializer=_take, initargs=(task,)) as pool:
        try:
            yield from _told(pool.map(_run, work, chunksize=size), work, progress)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _told(found: Iterable[T], work: Sequence[W], progress: Callable[[W], None] | None) -> Iterator[T]:
    for one, piece in zip(found, work, strict=True):
        if progress:
            progress(piece)
        yield one


_task: Callable[[Any], Any] | None = None
"""A worker's task: sent once, for it may hold a trace."""


def _take(task: Callable[[Any], Any]) -> None:
    global _task  # of this process alone
    _task = task


def _run(piece: Any) -> Any:
    assert _task is not None
    return _task(piece)


# --- figures and their spread -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one run. share: of all on demand; None where that has no price. below_target_hours: of the run."""

    availability: float
    usd: float
    share: float | None
    preemptions_per_day: float
    below_target_hours: float


def figures_of(variant: Variant, seconds: float) -> Figures:
    """The figures of a play of so many seconds. Below the target counts from the first boot on, as availability does,
    and is told of the whole play."""
    return Figures(
        variant.serving.availability,
        variant.money.total,
        variant.money.share,
        variant.preemptions_per_day,
        (1.0 - variant.serving.availability) * seconds / 3600.0,
    )


def spread(values: Sequence[float]) -> Spread:
    """Percentiles by linear interpolation, and the mean. Raises ValueError for no values."""
    if not values:
        raise ValueError("a spread needs a value")
    low, middle, high = (float(one) for one in np.percentile(np.asarray(values, dtype=np.float64), PERCENTILES))
    return Spread(low, middle, high, fmean(values))


def repeated(variant: str, runs: Sequence[Figures], base: Sequence[Figures] | None = None) -> Repeated:
    """How the figures of a variant spread over its runs. base: of the same runs, another's."""
    shares = [one.share for one in runs if one.share is not None]
    return Repeated(
        variant,
        len(runs),
        spread([one.availability for one in runs]),
        spread([one.usd for one in runs]),
        spread(shares) if len(shares) == len(runs) else None,
        spread([one.preemptions_per_day for one in runs]),
        spread([one.below_target_hours for one in runs]),
        paired([one.availability for one in base], [one.availability for one in runs]) if base else None,
        paired([one.usd for one in base], [one.usd for one in runs]) if base else None,
    )


def paired(base: Sequence[float], other: Sequence[float], seed: int = 0) -> Difference:
    """other - base, run by run: both met the same starts and seeds, so what those do to both falls out. Interval by
    resampling the runs (percentile bootstrap, Efron 1979). Raises ValueError where the runs are not the same ones."""
    if len(base) != len(other) or not base:
        raise ValueError(f"{len(base)} runs and {len(other)} are not pairs")
    gained = np.asarray(other, dtype=np.float64) - np.asarray(base, dtype=np.float64)
    chosen = np.random.default_rng(seed).integers(0, len(gained), size=(RESAMPLES, len(gained)))
    low, high = np.percentile(gained[chosen].mean(axis=1), (2.5, 97.5))
    return Difference(float(gained.mean()), float(low), float(high), float((gained > 0).mean()))


# --- policies of capacity ---------------------------------------------------------------------------------------------


def of_policy(
    trace: Trace, setting: Setting, faults: Faults, names: Sequence[str], seconds: float
) -> partial[tuple[Figures, ...]]:
    """The task that plays each policy of `rehearsal.policies` over a window that begins at a round drawn at random."""
    return partial(_policies, trace, setting, faults, tuple(names), seconds, tuple(starts(trace, seconds)))


def _policies(
    trace: Trace,
    setting: Setting,
    faults: Faults,
    names: tuple[str, ...],
    seconds: float,
    begins: tuple[float, ...],
    draw: Draw,
) -> tuple[Figures, ...]:
    begin = draw.start(begins)
    part, told = within(trace, setting, begin, begin + seconds)
    found = []
    for name in names:
        one = run(part, told, faults, name, draw.seed, (begin, begin + seconds))
        below = (1.0 - one.availability) * one.length / 3600.0
        per_day = one.losses / one.length * DAY
        found.append(Figures(one.availability, one.usd, one.usd / one.all_on_demand, per_day, below))
    return tuple(found)
