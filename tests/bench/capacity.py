"""Plays of 14 days of 13 zones, at 600 s and at 10 s between rounds and looks; the bound of the recorded week and the
best plan of whole instances; many runs over all processors, of days of a policy and of months of a pool."""

from __future__ import annotations

import statistics
import time
from typing import Any

from rehearsal import data, policies, prices
from rehearsal.baselines import BASELINES
from rehearsal.blend import CLOUDS, PoolPrices, PoolSpec, blend
from rehearsal.measures import DAY
from rehearsal.model import Faults, Setting
from rehearsal.monte import of_policy, repeat
from rehearsal.omniscient import Omniscient
from rehearsal.progress import Bar
from rehearsal.result import Source
from rehearsal.synthetic import Rates, markov
from rehearsal.world import play

ZONES = tuple(f"us-east{number}-a" for number in range(1, 14))
AIMS = {600.0: 0.2, 10.0: 10.0}
"""Seconds that a play may take, by tick."""
RUNS = {"spothedge+1": 1000, "cheapest-first+1": 1000, policies.KEEPER: 200}
"""Days of the recorded week that are played of a policy; a day of the keeper takes a hundred of the others'."""
MONTHS = 100


def measure(count: int) -> dict[str, Any]:
    """CPU seconds of a play by tick and policy: the median; the keeper's once, at the first tick; the bound's and the
    plan's; wall seconds of many runs over all processors."""
    found: dict[str, Any] = {}
    for tick, aim in AIMS.items():
        trace = markov(ZONES, 14.0, tick, 1, Rates(up=2.0, down=1.0))
        setting = Setting(3, 600.0, tick, prices.uniform(trace.zones, 3.0))
        seconds = {name: _median(count, trace, setting, name) for name in BASELINES}
        found[f"tick_{tick:g}_s"] = {"aim_s": aim, "slowest_s": max(seconds.values()), "policies": seconds}
        if "keeper_s" not in found:
            found["keeper_s"] = _median(1, trace, setting, policies.KEEPER)
    trace = data.trace("gcp-h100-2025-10")
    setting = Setting(3, 600.0, 30.0, prices.priced(trace.zones, data.price_list("gcp-h100-2025-10-23")))
    began = time.process_time()
    bound = Omniscient(trace, setting)
    usd = {f"{share:g}": round(bound.at(share).usd, 2) for share in (0.99, 0.999, 1.0)}
    found["bound"] = {"s": round(time.process_time() - began, 3), "usd": usd}
    began = time.process_time()
    plan = bound.plan(0.995)
    found["plan"] = {"s": round(time.process_time() - began, 3), "best": bool(plan and plan.best)}
    return found | {"monte": _monte(setting), "blend": _blend()}


def _monte(setting: Setting) -> dict[str, Any]:
    """Wall seconds of days that begin at random, with a bar."""
    trace, found = data.trace("gcp-h100-2025-10"), {}
    for name, runs in RUNS.items():
        task = of_policy(trace, setting, Faults(), [name], DAY)
        began = time.monotonic()
        with Bar(f"days of {name}", runs) as bar:
            days = repeat(task, runs, seed=1, progress=bar.step)
        wall = time.monotonic() - began
        mean = statistics.fmean(day[0].availability for day in days)
        found[name] = {"runs": runs, "wall_s": round(wall, 2), "availability": round(mean, 5)}
    return found


def _blend() -> dict[str, Any]:
    """Wall seconds of months of a pool by cloud."""
    found: dict[str, Any] = {"months": MONTHS}
    for cloud in CLOUDS:
        began = time.monotonic()
        pool = PoolSpec(cloud, "us-central1", "a3-highgpu-1g", 3, maximum=6)
        result = blend(
            pool, data.trace("gcp-h100-2025-10"), PoolPrices(2.4, 10.3, Source("prices", "round figures")), boot=600.0,
            runs=MONTHS, workers=None,
        )  # fmt: skip
        wall = round(time.monotonic() - began, 2)
        found[cloud] = {"wall_s": wall, "interruptions_per_day": round(result.interruptions_per_day.mean, 2)}
    return found


def _median(count: int, trace: Any, setting: Setting, name: str) -> float:
    taken = []
    for _ in range(count):
        policy = policies.make(name, setting, 0)
        began = time.process_time()
        play(trace, policy, setting)
        taken.append(time.process_time() - began)
    return round(statistics.median(taken), 4)
