"""Where a fleet holds its GPUs: how many of which market in which zone, from nothing but its own record. Pure: no
cloud, no clock, no randomness; what it remembers is a value that can be stored as JSON.

One price decides everything: what an hour below the target is worth. Two questions are put to it at every look.

AIM     the plan that would be cheapest if all that is launched now had been held for MATURE hours. It says what is
        launched: spot that is young is a risk, and gets old only where it is launched.
COVER   what that plan lacks with the ages as they are. It says what is not given up yet, and what is launched besides:
        another zone's spot or on-demand, for as long as it is worth its price.

From them follow, without a rule of their own, how many spare instances there are, whether they are spot or on demand,
which zones are too dear (`caps`), and when to move. An hour's worth begins at WORTH x what a spare costs / the share of
the time that may be below the target, and follows the keeper's own record (`infra.keeper_record`): error budget that is
left lowers it, budget that is overspent raises it.

Nothing that serves is given up before as many serve as have to. A zone that refuses is left alone for a time that
doubles with each refusal in a row, by kind; a quota and a rate limit close the region.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from infra.keeper_plan import Counts, Option, Search, Wanted
from infra.keeper_record import MANY, Memory, joint_share, remember, serving
from infra.keeper_words import (
    HOUR,
    Error,
    Held,
    Key,
    Levers,
    Market,
    Observed,
    Order,
    Place,
    Plan,
    Result,
    Rules,
)

__all__ = [
    "Error", "Held", "Keeper", "Levers", "Market", "Memory", "Observed", "Order", "Place", "Plan", "Result", "Rules",
    "Step",
]  # fmt: skip

MATURE: Final = 4.0
"""Hours after which a zone is reckoned as one that stays: by then the rate of losses is a tenth of the first hour's."""
WORTH: Final = 1.0
"""Times the price of a spare: a spare that halves a shortage of twice what is allowed is just worth its price."""
STAY: Final = 12.0
"""Hours over which a launch's own cost (its boot, in which another serves) is spread at most: as long as a held GPU
instance lives on average, at 6 to 9 preemptions a day among 3 to 4."""
KEEP: Final = 0.15
"""Share of its price by which what is held is preferred to what is not: prices and risks that cross move nobody."""
LOOK: Final = 3600.0
"""Seconds after which it looks again at the latest."""
GIVES: Final = 0.7
"""Share of launches that a zone grants which is not known to have refused."""
ENOUGH: Final = 2
"""Times the target that the zones may hold together of which on-demand is taken: spot takes part of their room."""
NEAR: Final = 6
"""Zones that are not in use, beyond the target, that a plan is made of: the rest is dearer and riskier."""


@dataclass(frozen=True, slots=True)
class Step:
    """What to do now. end: ids with a reason. look: seconds after which to look again at the latest."""

    launch: tuple[Order, ...]
    end: tuple[tuple[int, str], ...]
    look: float
    plan: Plan
    memory: Memory


class Keeper:
    """The policy for a fleet of places under rules. Holds no state: `step` takes a memory and gives the next."""

    def __init__(self, places: Sequence[Place], rules: Rules) -> None:
        self.places = {place.name: place for place in places}
        if not self.places:
            raise ValueError("places: at least one is needed")
        self.rules = rules
        share = (rules.zone_share, rules.region_share, rules.cloud_share)
        groups = (lambda place: place.name, lambda place: place.region, lambda place: place.cloud)
        self.limits = tuple(
            (group, max(1, math.ceil(part * rules.target - 1e-9)))
            for group, part in zip(groups, share, strict=True)
            if part < 1 and rules.levers.spread
        )

    def step(self, memory: Memory, seen: Observed) -> Step:
        """What to do now, and what to remember."""
        look = _Look(self, remember(memory, seen, self.places, self.rules), seen)
        return look.step()

    def caps(self, memory: Memory, seen: Observed) -> dict[str, float]:
        """USD per hour up to which the spot of each open zone would be in the plan, on-demand's price at most."""
        return _Look(self, memory, seen).caps()


class _Look:
    """One look: the options as they are, the aim, the cover, and the steps that lead there."""

    def __init__(self, keeper: Keeper, memory: Memory, seen: Observed) -> None:
        self.keeper, self.memory, self.seen, self.rules = keeper, memory, seen, keeper.rules
        rules, now = self.rules, seen.now
        self.have: Counter[Key] = Counter((one.zone, one.market) for one in seen.held)
        self.ready: Counter[Key] = Counter((one.zone, one.market) for one in seen.held if one.ready)
        spread = rules.levers.spread
        self.joint = {
            place.region: joint_share(memory, place.region) if spread else 0.0 for place in keeper.places.values()
        }
        known = {zone: price for zone, price in seen.on_demand.items() if zone in keeper.places}
        self.cheapest = min(known.values(), default=max(seen.spot.values(), default=1.0))
        spare = sorted(seen.spot.values())[len(seen.spot) // 2] if seen.spot else self.cheapest
        self.worth = WORTH * max(min(spare, self.cheapest), 1e-9) / rules.allowed * math.exp(memory.pressure)
        self.aims: dict[Key, Option] = {}
        self.true: dict[Key, Option] = {}
        mean = sum(seen.spot.values()) / max(1, len(seen.spot))
        for zone in seen.spot:
            if zone in keeper.places:
                self._spot(zone, seen.spot[zone] if rules.levers.price_cap else mean)
        open_ones = [zone for zone in known if not memory.zone(zone).on_demand.closed(now)]
        # One zone's on-demand is as good as another's, unless no more may lie in one: the cheapest that are enough.
        self.open: list[str] = []
        room, counted = 0, set[str]()
        for zone in sorted(open_ones, key=lambda zone: (known[zone], zone)):
            if keeper.limits or room < ENOUGH * rules.target:
                self.open.append(zone)
                place = keeper.places[zone]
                if place.shared is None or place.shared not in counted:
                    room += MANY if place.most is None else place.most
                counted.add(place.shared or "")
        for zone in sorted({zone for zone, market in self.have if market == "on-demand"} | set(self.open)):
            key: Key = (zone, "on-demand")
            price = known.get(zone, self.cheapest)
            most = MANY if zone in self.open else self.have[key]
            self.aims[key] = Option(price, 0.0, price * rules.boot / HOUR / STAY, most)
            self.true[key] = Option(price, 0.0, price * rules.boot / HOUR / STAY, most)
        self._narrow()

    def _spot(self, zone: str, price: float) -> None:
        rules, record, now = self.rules, self.memory.zone(zone), self.seen.now
        key: Key = (zone, "spot")
        have = self.have[key]
        closed = record.spot.closed(now)
        if closed and not have:
            return
        mature = record.rate(now, MATURE)
        expected = min(STAY, 1.0 / record.rate(now, rules.span))
        extra = price * rules.boot / HOUR / expected
        most = have if closed else max(have, record.most(now))
        self.aims[key] = Option(price, -math.expm1(-mature * rules.span), extra, most)
        missing = -math.expm1(-record.rate(now, rules.span / 2) * rules.span)
        if rules.levers.notice:
            region = self.keeper.places[zone].region
            if any(other != zone and self.keeper.places[other].region == region for _, other in self.memory.recent):
                missing = 1.0 - (1.0 - missing) * (1.0 - self.joint[region] / 2)
        self.true[key] = Option(price, missing, extra, most)

    def _narrow(self) -> None:
        """Leaves out zones that are not in use and both dearer and riskier than enough others."""
        rank = sorted(
            (key for key in self.aims if not self.have[key] and key[1] == "spot"),
            key=lambda key: (self._rank(key), key),
        )
        for key in rank[NEAR + self.rules.target :]:
            del self.aims[key], self.true[key]

    # --- the aim --------------------------------------------------------------------------------------------------

    def _search(self, options: Mapping[Key, Option], total: int | None = None) -> Search:
        keeper, target = self.keeper, self.rules.target
        return Search(options, keeper.places, self.joint, target, self.worth, self.have, keeper.limits, KEEP, total)

    def aim(self) -> Wanted:
        levers = self.rules.levers
        options = self.aims
        if not levers.floor:
            options = {key: option for key, option in options.items() if key[1] == "spot"} or options
        search = self._search(options, None if levers.spares else self.rules.target + 1)
        starts = [search.within(search.counts(self.have))]
        if levers.moves:
            starts += self._starts(search)
        return search.wanted(search.best(starts))

    def _starts(self, search: Search) -> list[Counts]:
        """The best of some even plans: as many in each of the first zones by rank, or on demand."""
        target = self.rules.target
        spot = sorted((key for key in search.keys if key[1] == "spot"), key=lambda key: (self._rank(key), key))
        regions: Counter[str] = Counter()
        order: dict[Key, int] = {}
        for key in spot:
            region = self.keeper.places[key[0]].region
            order[key] = regions[region]
            regions[region] += 1
        none = (0,) * len(search.keys)
        bought = [search.at[key] for key in search.keys if key[1] == "on-demand"]
        plans = {search.within(search.add(none, index, target)) for index in bought}
        for ranked in (spot, sorted(spot, key=lambda key: order[key])):
            for each in range(1, target + 1):
                plan = none
                for number, key in enumerate(ranked[: (2 * target + 2) // each], start=1):
                    if search.fits(plan, search.at[key], each):
                        plan = search.add(plan, search.at[key], each)
                    if number * each >= target:
                        plans.add(plan)
        return sorted(plans, key=lambda plan: (search.cost(plan), plan))[:2]

    def _rank(self, key: Key) -> float:
        """What one costs with its risk."""
        return self.aims[key].price * self.rules.target + self.worth * self.aims[key].missing

    # --- the cover ------------------------------------------------------------------------------------------------

    def _uncertain(self, plan: Wanted) -> dict[Key, Option]:
        """The options with true ages; a launch may be refused, which is known after `detect`."""
        rules = self.rules
        refused = (1.0 - GIVES) * rules.detect / HOUR / rules.span
        changed = dict(self.true)
        for key, count in plan.items():
            if key[1] == "spot" and count > self.have[key]:
                option = changed[key]
                changed[key] = replace(option, missing=1.0 - (1.0 - option.missing) * (1.0 - refused))
        return changed

    def cover(self, aim: Wanted) -> Wanted:
        """The aim, and what it lacks with the ages as they are: never less than the aim."""
        levers = self.rules.levers
        search = self._search(self._uncertain(aim))
        allowed = [
            index for index, (_, market) in enumerate(search.keys)
            if (levers.floor if market == "on-demand" else levers.spares)
        ]  # fmt: skip
        return search.wanted(search.grow(search.counts(aim), allowed))

    # --- the steps ------------------------------------------------------------------------------------------------

    def step(self) -> Step:
        seen = self.seen
        aim = self.aim()
        plan = self.cover(aim)
        true = self._search(self.true)
        price = sum(self.true[key].price * count for key, count in plan.items())
        told = Plan(plan, price, true.short(true.counts(plan)), self.worth)
        launch: list[Order] = []
        for key in sorted(plan):
            more = plan[key] - self.have[key]
            if more > 0:
                part = "aim" if aim.get(key, 0) > self.have[key] else "cover"
                why = f"{part}: {told.price:.2f} USD/h, short {told.short:.2%} at {self.worth:.0f} USD/h"
                launch.append(Order(key[0], key[1], more, why))
        launch += self._missing(launch, true)
        end = self._ends(plan)
        gone = [number for number, _ in end]
        after = replace(self.memory, serving=serving(seen.held, gone))
        return Step(tuple(launch), tuple(end), self._wake(plan), told, after)

    def _missing(self, launch: Sequence[Order], search: Search) -> list[Order]:
        """On-demand for what the plan leaves open: spot that is not to be had, in zones that are left alone."""
        counts = list(search.counts(self.have))
        for order in launch:
            counts[search.at[order.zone, order.market]] += order.count
        lacking = self.rules.target - sum(counts)
        more: list[Order] = []
        for zone in self.open:
            index = search.at[zone, "on-demand"]
            count = lacking
            while count > 0 and not search.fits(tuple(counts), index, count):
                count -= 1
            if count > 0:
                counts[index] += count
                lacking -= count
                more.append(Order(zone, "on-demand", count, "no zone gives spot now"))
        return more

    def _ends(self, plan: Wanted) -> list[tuple[int, str]]:
        """What is beyond the plan: what boots at once, what serves when the rest is worth more without it."""
        left = Counter(plan)
        beyond: list[Held] = []
        for one in sorted(self.seen.held, key=lambda each: (not each.ready, each.launched, each.id)):
            if left[one.zone, one.market] > 0:
                left[one.zone, one.market] -= 1
            else:
                beyond.append(one)
        gone = [(one.id, "the plan has no use for it any more") for one in beyond if not one.ready]
        over = [one for one in beyond if one.ready]
        if not over:
            return gone
        search = self._search(self.true)
        serves: Wanted = {key: count for key, count in self.ready.items() if key in self.true}
        strange = [one for one in over if (one.zone, one.market) not in self.true]
        over = [one for one in over if one not in strange]
        over.sort(key=lambda one: (-self.true[one.zone, one.market].price, one.launched, one.id))
        while over:
            # Together or one by one: three on demand cover the loss of a zone that holds three, two of them nothing.
            groups = [over[:size] for size in range(len(over), 0, -1)]
            groups += [
                [one for one in over if (one.zone, one.market) == key]
                for key in sorted({(one.zone, one.market) for one in over})
            ]
            best: tuple[float, list[Held]] | None = None
            cost = search.cost(search.counts(serves))
            for group in groups:
                less = Counter(serves)
                less.subtract((one.zone, one.market) for one in group)
                if sum(less.values()) < self.rules.target:
                    continue
                price = search.cost(search.counts(less))
                # All of it is held: each costs its price less what it is preferred by.
                if price < cost and (best is None or price < best[0]):
                    best = (price, group)
            if best is None:
                break
            for one in best[1]:
                over.remove(one)
                serves[one.zone, one.market] -= 1
                gone.append((one.id, "others serve for less"))
        if sum(serves.values()) >= self.rules.target:
            gone += [(one.id, "the zone is not used any more") for one in strange]
        return gone

    def _wake(self, plan: Wanted) -> float:
        """Seconds until something may be decided otherwise: a zone opens that may be of use, or the young is older."""
        now, rules = self.seen.now, self.rules
        waits = [LOOK]
        dearest = (
            max((self.seen.spot.get(zone, math.inf) if market == "spot" else math.inf) for zone, market in plan)
            if plan
            else math.inf
        )
        for zone, price in self.seen.spot.items():
            until = self.memory.zone(zone).spot.until
            if until is not None and until > now and price < dearest:
                waits.append(until - now)
        if sum(self.have.values()) > sum(plan.values()) or any(market == "on-demand" for _, market in plan):
            ages = [now - one.launched for one in self.seen.held if one.market == "spot"]
            if ages:
                waits.append(max(rules.detect, (min(ages) + 600.0) / 4))
        return max(min(waits), rules.detect)

    def caps(self) -> dict[str, float]:
        search = self._search(self.true)
        plan = search.counts(self.cover(self.aim()))
        found: dict[str, float] = {}
        for key in sorted(search.keys):
            if key[1] != "spot":
                continue
            index = search.at[key]
            count = max(1, plan[index])
            rest = search.descend(search.add(plan, index, -plan[index]))
            rest = search.add(rest, index, -rest[index])
            worth = search.cost(rest) - search.cost(search.add(rest, index, count)) + count * self.true[key].price
            found[key[0]] = max(0.0, min(self.cheapest, worth / count))
        return found
