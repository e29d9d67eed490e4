"""What is measured of a play, and of several plays of one policy."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any, Final

from rehearsal import policies
from rehearsal.model import HOUR, Faults, Setting
from rehearsal.omniscient import Omniscient
from rehearsal.trace import Trace
from rehearsal.windows import interval
from rehearsal.world import bill, play

DAY: Final = 86_400.0


@dataclass(frozen=True, slots=True)
class Block:
    """A part of a play: seconds with the target ready, seconds that count, USD, and USD of all on demand."""

    kept: float
    counted: float
    usd: float
    all_on_demand: float


@dataclass(frozen=True, slots=True)
class Run:
    """One play. availability: share of the time with the target ready; zero: with none. longest_below, longest_zero:
    seconds. missing: instance-seconds below the target. all_on_demand: USD of the target in the cheapest zone. seconds:
    of CPU that the play took. blocks: its days."""

    policy: str
    seed: int
    window: tuple[float, float]
    availability: float
    zero: float
    longest_below: float
    longest_zero: float
    missing: float
    usd: float
    usd_spot: float
    usd_on_demand: float
    all_on_demand: float
    asked: int
    refused: int
    losses: int
    counted: float
    length: float
    seconds: float
    blocks: tuple[Block, ...]


def all_on_demand(setting: Setting, begin: float, end: float) -> float:
    """USD of the target on demand in the zone in which that is cheapest."""
    return setting.target * min(bill(zone.on_demand, begin, end) for zone in setting.zones)


def run(trace: Trace, setting: Setting, faults: Faults, policy: str, seed: int, window: tuple[float, float]) -> Run:
    """Plays one policy against a trace that is already cut to its window."""
    made = policies.make(policy, setting, seed)
    began = time.process_time()
    played = play(trace, made, setting, faults)
    seconds = time.process_time() - began
    target = setting.target
    blocks = []
    for day in range(max(1, round(played.end / DAY))):
        begin, end = day * DAY, played.end if day + 1 >= round(played.end / DAY) else (day + 1) * DAY
        counted = max(0.0, end - max(begin, played.begin))
        kept = played.share(lambda ready: ready >= target, begin, end) * counted
        blocks.append(Block(kept, counted, played.cost(None, begin, end), all_on_demand(setting, begin, end)))
    spot, on_demand = played.cost("spot"), played.cost("on-demand")
    return Run(
        policy=policy,
        seed=seed,
        window=window,
        availability=played.availability,
        zero=played.zero,
        longest_below=played.longest(lambda ready: ready < target),
        longest_zero=played.longest(lambda ready: ready == 0),
        missing=played.deficit,
        usd=spot + on_demand,
        usd_spot=spot,
        usd_on_demand=on_demand,
        all_on_demand=all_on_demand(setting, 0.0, played.end),
        asked=played.asked,
        refused=played.refused,
        losses=played.losses,
        counted=played.end - played.begin,
        length=played.end,
        seconds=seconds,
        blocks=tuple(blocks),
    )


@dataclass(frozen=True, slots=True)
class Summary:
    """All plays of a policy. Costs are shares of all on demand; *_low, *_high: 95 % intervals, None with too few parts.

    missing: instance-hours a day below the target. bound: least cost of a plan that knew the trace, at the availability
    of each play. regret: (cost - bound) / bound, at least the true one. plan: of the best plan of whole instances that
    was found, regret_least: against it, at most the true one; None where none was asked for or found. *_day: instances.
    seconds: of CPU, a play.
    """

    policy: str
    plays: int
    availability: float
    availability_low: float | None
    availability_high: float | None
    zero: float
    longest_below: float
    longest_zero: float
    missing: float
    cost: float
    cost_low: float | None
    cost_high: float | None
    spot: float
    on_demand: float
    usd: float
    launches_day: float
    refused_day: float
    losses_day: float
    bound: float
    regret: float
    regret_low: float | None
    regret_high: float | None
    seconds: float
    plan: float | None = None
    regret_least: float | None = None

    def as_json(self) -> dict[str, Any]:
        return {key: round(value, 6) if isinstance(value, float) else value for key, value in asdict(self).items()}


def summed(runs: Sequence[Run], bounds: dict[tuple[float, float], Omniscient], exact: float = 0.0) -> Summary:
    """runs: of one policy. bounds: by window. exact: seconds for which the best plan of whole instances is looked for,
    a play; 0: it is not. Intervals are over windows, and over days where there is one window."""
    least = [bounds[one.window].at(min(1.0, one.availability)).usd for one in runs]
    plans = [bounds[one.window].plan(min(1.0, one.availability), exact) for one in runs] if exact else []
    planned = sum(plan.usd for plan in plans if plan) if plans and all(plans) else None
    base = sum(one.all_on_demand for one in runs)
    days = sum(one.length for one in runs) / DAY
    counted = sum(one.counted for one in runs)
    windows = sorted({one.window for one in runs})
    if len(windows) > 1:
        groups = [[one for one in runs if one.window == window] for window in windows]
        kept = [(sum(r.availability * r.counted for r in g), sum(r.counted for r in g)) for g in groups]
        cost = [(sum(r.usd for r in g), sum(r.all_on_demand for r in g)) for g in groups]
        by_window = dict.fromkeys(windows, (0.0, 0.0))
        for one, usd in zip(runs, least, strict=True):
            over, under = by_window[one.window]
            by_window[one.window] = (over + one.usd - usd, under + usd)
        regret = interval(list(by_window.values()))
    else:
        columns = list(zip(*(one.blocks for one in runs), strict=True))
        kept = [(sum(b.kept for b in column), sum(b.counted for b in column)) for column in columns]
        cost = [(sum(b.usd for b in column), sum(b.all_on_demand for b in column)) for column in columns]
        regret = None
    usd, bound = sum(one.usd for one in runs), sum(least)
    availability, shares = interval(kept), interval(cost)
    return Summary(
        policy=runs[0].policy,
        plays=len(runs),
        availability=sum(one.availability * one.counted for one in runs) / counted if counted else 1.0,
        availability_low=availability[0] if availability else None,
        availability_high=availability[1] if availability else None,
        zero=sum(one.zero * one.counted for one in runs) / counted if counted else 0.0,
        longest_below=max(one.longest_below for one in runs),
        longest_zero=max(one.longest_zero for one in runs),
        missing=sum(one.missing for one in runs) / HOUR / days,
        cost=usd / base,
        cost_low=shares[0] if shares else None,
        cost_high=shares[1] if shares else None,
        spot=sum(one.usd_spot for one in runs) / base,
        on_demand=sum(one.usd_on_demand for one in runs) / base,
        usd=usd / len(runs),
        launches_day=sum(one.asked - one.refused for one in runs) / days,
        refused_day=sum(one.refused for one in runs) / days,
        losses_day=sum(one.losses for one in runs) / days,
        bound=bound / base,
        regret=(usd - bound) / bound if bound > 0 else 0.0,
        regret_low=regret[0] if regret else None,
        regret_high=regret[1] if regret else None,
        seconds=fmean(one.seconds for one in runs),
        plan=None if planned is None else planned / base,
        regret_least=(usd - planned) / planned if planned else None,
    )
