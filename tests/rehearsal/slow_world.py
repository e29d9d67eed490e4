"""The same world second by second, without events, heaps or anything that is carried along but what is held.

Written from the rules and not from rehearsal/world.py, so that each can tell what is wrong with the other.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from rehearsal.model import Decision, Faults, Held, Loss, Market, Outcome, Policy, Setting, View
from rehearsal.trace import Trace


@dataclass
class Thing:
    id: int
    zone: str
    market: Market
    launched: int
    serving: bool = False
    noticed: int | None = None
    ended: int | None = None
    usd: float = 0.0


@dataclass
class Slow:
    things: list[Thing] = field(default_factory=list)
    ready: list[tuple[int, int]] = field(default_factory=list)
    """Spot and on demand that serve, of each second."""
    views: list[View] = field(default_factory=list)


def value(series: tuple[tuple[float, float], ...], second: int) -> float:
    return [number for at, number in series if at <= second][-1]


def run(trace: Trace, policy: Policy, setting: Setting, faults: Faults) -> Slow:
    """All times are whole seconds; on-demand launches never fail."""
    slow = Slow()
    told_later: list[tuple[int, Outcome]] = []
    wake: int | None = None
    losses: list[Loss] = []
    news = True
    boot, tick = int(setting.boot), int(setting.tick)
    prices_before: object = None
    for now in range(int(trace.end)):
        living = [one for one in slow.things if one.ended is None]
        counts = {}
        for zone, row in zip(trace.zones, trace.counts, strict=True):
            counts[zone] = value(tuple(zip(trace.times, row, strict=True)), now)
            while True:
                there = [one for one in living if (one.zone, one.market, one.noticed) == (zone, "spot", None)]
                there = [one for one in there if one.ended is None]
                if len(there) <= counts[zone]:
                    break
                one = max(there, key=lambda one: (one.launched, one.id))
                one.serving, news = False, True
                if faults.notice:
                    one.noticed = now
                else:
                    one.ended = now
                losses.append(Loss(float(now), one.id, zone, float(now - one.launched), bool(faults.notice)))
        for one in living:
            if one.noticed is not None and now >= one.noticed + faults.notice:
                one.ended = now
            if one.ended is None and one.noticed is None and not one.serving and now >= one.launched + boot:
                one.serving = news = True
        if any(at <= now for at, _ in told_later) or now == wake:
            news = True
        prices = [
            {zone.name: value(series, now) for zone, series in zip(setting.zones, kind, strict=True)}
            for kind in ([zone.spot for zone in setting.zones], [zone.on_demand for zone in setting.zones])
        ]
        if prices != prices_before:
            prices_before, news = prices, True
        if news and now % tick == 0:
            own = tuple(
                Held(one.id, one.zone, one.market, float(one.launched), one.serving)
                for one in slow.things
                if one.ended is None and one.noticed is None
            )
            known = tuple(outcome for at, outcome in told_later if at <= now)
            told_later = [(at, outcome) for at, outcome in told_later if at > now]
            view = View(float(now), setting.target, own, known, tuple(losses), prices[0], prices[1])
            slow.views.append(view)
            losses, news = [], False
            wake = _obey(slow, policy.decide(view), now, counts, setting, faults, told_later)
            if boot == 0:
                for one in slow.things:
                    if one.ended is None and not one.serving and one.noticed is None:
                        one.serving = news = True
        serving = [one.market for one in slow.things if one.serving and one.ended is None]
        slow.ready.append((serving.count("spot"), serving.count("on-demand")))
        for one in slow.things:
            if one.ended is None:
                place = next(place for place in setting.zones if place.name == one.zone)
                one.usd += value(place.spot if one.market == "spot" else place.on_demand, now) / 3600
    return slow


def _obey(
    slow: Slow,
    decision: Decision,
    now: int,
    counts: dict[str, float],
    setting: Setting,
    faults: Faults,
    told_later: list[tuple[int, Outcome]],
) -> int | None:
    """When the policy wants to be asked again."""
    for number, _ in decision.end:
        slow.things[number].ended, slow.things[number].serving = now, False
    for order in decision.launch:
        here = [
            one
            for one in slow.things
            if (one.zone, one.market, one.noticed, one.ended) == (order.zone, "spot", None, None)
        ]
        free = int(counts[order.zone]) - len(here) if order.market == "spot" else order.count
        given = max(0, min(order.count, free))
        slow.things += [Thing(len(slow.things) + index, order.zone, order.market, now) for index in range(given)]
        error = None if given == order.count else "capacity"
        late = max(setting.tick, faults.fail_seconds if error else 0)
        outcome = Outcome(float(now), order.zone, order.market, order.count, given, error)  # type: ignore[arg-type]
        told_later.append((int(now + late), outcome))
        told_later.sort(key=lambda one: one[0])
    return None if decision.wake is None else -int(-max(decision.wake, now + setting.tick) // 1)
