"""SpotHedge and SkyPilot's placer: spot in zones believed good, on-demand for what is not ready.

Algorithm: Mao et al., SkyServe (EuroSys '25), section 4, and the sizes it was evaluated with; SkyPilot's
sky/serve/spot_placer.py and autoscalers.py (0.14) for the placer that takes the cheapest zone.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from rehearsal.model import Decision, Launch, Setting, View

SPARE_ZONES: Final = 3
"""With as few zones left or fewer in use, and more in all, there is nothing to avoid."""


class SpotHedge:
    """target + extra spot, always; on demand for what of that is not ready, up to the target.

    Zones are believed good (active) until one gives less than it was asked for; one that gives all is good again.
    Missing spot is placed one by one: a random active zone that holds none, else a random active zone. When there is
    more than is wanted all of it is placed anew, and what the new plan does not hold goes.
    """

    def __init__(self, setting: Setting, extra: int, seed: int) -> None:
        self.zones = tuple(zone.name for zone in setting.zones)
        self.extra, self.tick = extra, setting.tick
        self.active = set(self.zones)
        self.random = random.Random(seed)

    def decide(self, view: View) -> Decision:
        self._learn(view)
        spot = [one for one in view.instances if one.market == "spot"]
        on_demand = [one for one in view.instances if one.market == "on-demand"]
        wanted = view.target + self.extra
        ready = sum(one.ready for one in spot)
        backup = self.backup(view, ready, wanted)
        held = Counter(one.zone for one in spot)
        planned = held.copy() if len(spot) <= wanted else Counter[str]()
        for _ in range(wanted - planned.total()):
            planned[self.place(planned, view.spot)] += 1
        end: list[tuple[int, str]] = []
        for zone in held:
            there = sorted((one for one in spot if one.zone == zone), key=lambda one: (one.ready, -one.launched))
            end += [(one.id, "more than is wanted") for one in there[: max(0, held[zone] - planned[zone])]]
        placed = planned - held
        launch = [Launch(zone, "spot", count, "missing spot") for zone, count in placed.items()]
        if backup > len(on_demand):
            zone = min(self.zones, key=lambda name: view.on_demand[name])
            launch.append(Launch(zone, "on-demand", backup - len(on_demand), f"{ready} of {wanted} spot are ready"))
        # What boots goes first: it serves nobody yet.
        spare = sorted(on_demand, key=lambda one: (one.ready, -one.launched))[: max(0, len(on_demand) - backup)]
        end += [(one.id, "spot is ready again") for one in spare]
        return Decision(launch, end, wake=view.now + self.tick if placed else None)

    def backup(self, view: View, ready: int, wanted: int) -> int:
        """On-demand instances for `ready` spot of those that are wanted."""
        return min(max(0, wanted - ready), view.target)

    def _learn(self, view: View) -> None:
        for loss in view.losses:
            self.active.discard(loss.zone)
        for outcome in view.outcomes:
            if outcome.market == "spot":
                (self.active.discard if outcome.given < outcome.asked else self.active.add)(outcome.zone)
        if len(self.active) <= self.few:
            self.active = set(self.zones)

    @property
    def few(self) -> int:
        return min(1, len(self.zones) - SPARE_ZONES)

    def place(self, held: Mapping[str, int], prices: Mapping[str, float]) -> str:
        good = [zone for zone in self.zones if zone in self.active] or list(self.zones)
        return self.random.choice([zone for zone in good if not held.get(zone)] or good)


class Guarded(SpotHedge):
    """The variant that is in the simulator and in no figure: once the target was ready for no more than 99 % of the
    time so far, the whole target is held on demand too, until all spot was ready again for as long as a boot takes."""

    LEAST: Final = 0.99

    def __init__(self, setting: Setting, extra: int, seed: int) -> None:
        super().__init__(setting, extra, seed)
        self.boot = setting.boot
        self.kept = self.passed = self._last = 0.0
        """Seconds from the first boot on: with the target ready, and all; until the last look."""
        self._ready = 0
        self.guarding = False
        self._full: float | None = None
        """Since when all spot is ready, while guarding."""

    @property
    def low(self) -> bool:
        return self.passed > 0 and self.kept <= self.LEAST * self.passed

    def decide(self, view: View) -> Decision:
        begin = max(self._last, self.boot)
        if view.now > begin:
            self.passed += view.now - begin
            self.kept += view.now - begin if self._ready >= view.target else 0.0
        self._last = view.now
        decision = super().decide(view)
        gone = {number for number, _ in decision.end}
        self._ready = sum(one.ready and one.id not in gone for one in view.instances)
        wishes = [decision.wake] if decision.wake is not None else []
        if self._ready < view.target:
            wishes.append(view.now + self.tick)
        elif self.low:
            wishes.append(view.now + (self.LEAST * self.passed - self.kept) / (1 - self.LEAST) + self.tick)
        elif self._full is not None:
            wishes.append(self._full + self.boot)
        return replace(decision, wake=min(wishes, default=None))

    def backup(self, view: View, ready: int, wanted: int) -> int:
        if self.low:
            self.guarding, self._full = True, None
        elif self.guarding:
            self._full = (view.now if self._full is None else self._full) if ready >= wanted else None
            self.guarding = self._full is None or view.now < self._full + self.boot
            self._full = self._full if self.guarding else None
        return view.target if self.guarding else super().backup(view, ready, wanted)


class CheapestFirst(SpotHedge):
    """The same with SkyPilot's placer: the cheapest active zone that holds none, else the cheapest active one."""

    def __init__(self, setting: Setting, extra: int) -> None:
        super().__init__(setting, extra, 0)

    @property
    def few(self) -> int:
        return 1

    def place(self, held: Mapping[str, int], prices: Mapping[str, float]) -> str:
        good = [zone for zone in self.zones if zone in self.active] or list(self.zones)
        return min([zone for zone in good if not held.get(zone)] or good, key=lambda zone: prices[zone])
