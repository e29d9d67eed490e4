"""Plays of 14 days of 13 zones, at 600 s and at 10 s between rounds and looks, and the bound of the recorded week."""

from __future__ import annotations

import statistics
import time
from typing import Any

from rehearsal import data, policies, prices
from rehearsal.baselines import BASELINES
from rehearsal.model import Setting
from rehearsal.omniscient import Omniscient
from rehearsal.synthetic import Rates, markov
from rehearsal.world import play

ZONES = tuple(f"us-east{number}-a" for number in range(1, 14))
AIMS = {600.0: 0.2, 10.0: 10.0}
"""Seconds that a play may take, by tick."""


def measure(count: int) -> dict[str, Any]:
    """CPU seconds of a play by tick and policy: the median; the keeper's once, at the first tick; and the bound's."""
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
    return found | {"bound": {"s": round(time.process_time() - began, 3), "usd": usd}}


def _median(count: int, trace: Any, setting: Setting, name: str) -> float:
    taken = []
    for _ in range(count):
        policy = policies.make(name, setting, 0)
        began = time.process_time()
        play(trace, policy, setting)
        taken.append(time.process_time() - began)
    return round(statistics.median(taken), 4)
