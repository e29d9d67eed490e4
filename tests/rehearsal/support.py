"""Traces, zones and policies of a few lines."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence

from rehearsal.model import Decision, Held, Launch, Market, Setting, View, Zone
from rehearsal.trace import Trace

Series = tuple[tuple[float, float], ...]


def traced(rows: Mapping[str, Sequence[int]], step: float = 10.0, times: Sequence[float] | None = None) -> Trace:
    """A count for each round, by zone."""
    zones = tuple(rows)
    length = len(rows[zones[0]])
    at = tuple(times) if times else tuple(index * step for index in range(length))
    return Trace("tiny", None, at, at[-1] + step, zones, tuple(tuple(row) for row in rows.values()), step, (), "")


def zoned(names: Iterable[str], spot: float | Mapping[str, float] = 1.0, on_demand: float = 3.0) -> tuple[Zone, ...]:
    """USD an hour."""
    return tuple(
        Zone(name, name, "cloud", ((0.0, spot if isinstance(spot, float) else spot[name]),), ((0.0, on_demand),))
        for name in names
    )


def setting(trace: Trace, target: int = 1, boot: float = 20.0, tick: float = 10.0, **prices: float) -> Setting:
    return Setting(target, boot, tick, zoned(trace.zones, **prices))


def seen(
    now: float, target: int, own: Sequence[Held] = (), spot: Mapping[str, float] | None = None, **more: object
) -> View:
    """What a policy is shown. more: outcomes, losses, on_demand."""
    prices = dict(spot or {})
    fields = {"outcomes": (), "losses": (), "spot": prices, "on_demand": dict.fromkeys(prices, 3.0)} | more
    return View(now=now, target=target, instances=tuple(own), **fields)  # type: ignore[arg-type]


def held(number: int, zone: str, market: Market = "spot", launched: float = 0.0, ready: bool = True) -> Held:
    return Held(number, zone, market, launched, ready)


class Script:
    """Does at a time what a table says; remembers what it was shown. asks: wakes itself at every tick."""

    def __init__(self, table: Mapping[float, Decision], *, asks: float | None = None) -> None:
        self.table, self.asks = table, asks
        self.views: list[View] = []

    def decide(self, view: View) -> Decision:
        self.views.append(view)
        found = self.table.get(view.now, Decision())
        if self.asks is None:
            return found
        return Decision(found.launch, found.end, view.now + self.asks)


class Levels:
    """Holds, from each time on, so many in each (zone, market) as a function says; asks for more each tick."""

    def __init__(self, tick: float, wanted: Callable[[float], Mapping[tuple[str, Market], int]]) -> None:
        self.tick, self.wanted = tick, wanted

    def decide(self, view: View) -> Decision:
        launch, end = [], []
        for (zone, market), count in self.wanted(view.now).items():
            own = [one for one in view.instances if (one.zone, one.market) == (zone, market)]
            if count > len(own):
                launch.append(Launch(zone, market, count - len(own)))
            end += [(one.id, "") for one in own[count:]]  # the youngest: ids rise
        return Decision(launch, end, view.now + self.tick)


class Any:
    """Whatever, from a seed and what it is shown: any policy that a world has to bear."""

    def __init__(self, seed: int, tick: float) -> None:
        self.seed, self.tick = seed, tick

    def decide(self, view: View) -> Decision:
        told = (view.outcomes, view.losses, view.instances, tuple(view.spot.items()), tuple(view.on_demand.items()))
        dice = random.Random(f"{self.seed} {view.now:.3f} {told}")
        end = [(one.id, "a whim") for one in view.instances if dice.random() < 0.15]
        launch = [
            Launch(zone, dice.choice(("spot", "spot", "on-demand")), dice.randint(1, 3))
            for zone in view.spot
            if dice.random() < 0.4
        ]
        wake = view.now + dice.choice((0.0, 1.0, self.tick, 2.5 * self.tick)) if dice.random() < 0.6 else None
        return Decision(launch, end, wake)
