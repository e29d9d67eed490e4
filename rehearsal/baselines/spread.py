"""Spot alone: even over zones that are never left (EvenSpread), or the next zone for what is missing (RoundRobin).

The two baselines of SkyServe (EuroSys '25), section 5.
"""

from __future__ import annotations

import random
from collections import Counter

from rehearsal.model import Decision, Launch, Setting, View


class EvenSpread:
    """As many in each zone as in every other, or one more; what is missing is asked for there again.

    Which zones have one more is drawn by lot: in the order of their names it would say more of the names.
    """

    def __init__(self, setting: Setting, seed: int) -> None:
        zones = [zone.name for zone in setting.zones]
        each, more = divmod(setting.target, len(zones))
        one_more = set(random.Random(seed).sample(zones, more))
        self.shares = {zone: each + (zone in one_more) for zone in zones}
        self.tick = setting.tick

    def decide(self, view: View) -> Decision:
        held = Counter(one.zone for one in view.instances)
        launch = [
            Launch(zone, "spot", share - held[zone], "its share")
            for zone, share in self.shares.items()
            if share > held[zone]
        ]
        return Decision(launch, wake=view.now + self.tick if launch else None)


class RoundRobin:
    """Missing spot goes to the next zone in turn."""

    def __init__(self, setting: Setting, extra: int) -> None:
        self.zones = [zone.name for zone in setting.zones]
        self.extra, self.tick = extra, setting.tick
        self.turn = 0

    def decide(self, view: View) -> Decision:
        placed: Counter[str] = Counter()
        for _ in range(view.target + self.extra - len(view.instances)):
            placed[self.zones[self.turn % len(self.zones)]] += 1
            self.turn += 1
        launch = [Launch(zone, "spot", count, "the next zone") for zone, count in placed.items()]
        return Decision(launch, wake=view.now + self.tick if launch else None)
