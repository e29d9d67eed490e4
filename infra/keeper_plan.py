"""Which plan is worth most: the price of what is held, and of the time that it leaves below the target.

    cost = sum of prices + worth * (share of the time below the target + instances that even the plan lacks)

A zone's instances go together, zones for themselves, and a learnt share of the losses takes all zones of a region:
the number that is missing is a sum over zones whose distribution is convolved exactly. An instance is missed for a span
(until its loss is noticed and a replacement serves), so a zone with a rate of losses is missing for the share
1 - exp(-rate * span) of the time.

The search is local: from several starts, the best of all single changes (some more of one, some less of one, some of
one for another) until none is better. Which is not proven to find the best plan, and is held to it in the tests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from infra.keeper_words import Key, Place

Wanted = dict[Key, int]


@dataclass(frozen=True, slots=True)
class Option:
    """A zone and a market. price: USD per hour. missing: share of the time. extra: USD per hour for one that has to be
    launched first. most: so many at most."""

    price: float
    missing: float
    extra: float
    most: int


CROWD: Final = 0.2
"""A zone that holds many is short of them sooner: its rate of losses grows with this power of their number."""


def shortage(plan: Iterable[tuple[str, int, float]], joint: Mapping[str, float], target: int) -> float:
    """Share of the time in which fewer than `target` serve.

    plan: (region, instances, missing) for each zone and market. joint: share of a zone's losses that take along the
    region's other zones. To the first order in it: one region at a time is taken as a whole, or none.
    """
    items = list(plan)
    spare = sum(count for _, count, _ in items) - target
    if spare < 0:
        return 1.0
    risky = [item for item in items if item[2] > 0.0]
    alone = _short(risky, spare)
    regions: dict[str, list[tuple[str, int, float]]] = {}
    for item in risky:
        regions.setdefault(item[0], []).append(item)
    if len(regions) == len(risky):
        return alone
    whole, kept = 0.0, 1.0
    for region, inside in regions.items():
        if len(inside) > 1:
            shock = max(missing for _, _, missing in inside) * joint.get(region, 0.0)
            left = spare - sum(count for _, count, _ in inside)
            others = [item for item in risky if item[0] != region]
            whole += shock * (_short(others, left) if left >= 0 else 1.0)
            kept -= shock
    return min(1.0, whole + max(0.0, kept) * alone)


def _short(items: Iterable[tuple[str, int, float]], spare: int) -> float:
    """Chance that more than `spare` are missing."""
    chances = [1.0] + [0.0] * spare
    for _, count, missing in items:
        keep = 1.0 - missing
        for index in range(spare, -1, -1):
            chances[index] = chances[index] * keep + (chances[index - count] * missing if index >= count else 0.0)
    return max(0.0, 1.0 - sum(chances))


class Search:
    """Over plans for one look. limits: (the place's group of places, most in it) that no plan exceeds."""

    def __init__(
        self,
        options: Mapping[Key, Option],
        places: Mapping[str, Place],
        joint: Mapping[str, float],
        target: int,
        worth: float,
        held: Mapping[Key, int],
        limits: tuple[tuple[Callable[[Place], str], int], ...] = (),
        keep: float = 0.0,
    ) -> None:
        self.options, self.places, self.joint = options, places, joint
        self.target, self.worth, self.held, self.limits = target, worth, held, limits
        self.keep = keep
        self.total: int | None = None
        """Exactly so many, where the number is not the search's to choose."""
        self._known: dict[tuple[tuple[Key, int], ...], float] = {}

    def short(self, plan: Mapping[Key, int]) -> float:
        sign = tuple(sorted((key, count) for key, count in plan.items() if count))
        found = self._known.get(sign)
        if found is None:
            options, places = self.options, self.places
            found = shortage(
                ((places[key[0]].region, count, min(1.0, options[key].missing * count**CROWD)) for key, count in sign),
                self.joint,
                self.target,
            )
            self._known[sign] = found
        return found

    def price(self, plan: Mapping[Key, int]) -> float:
        """USD per hour, with what has to be launched."""
        held, options = self.held, self.options
        total = 0.0
        for key, count in plan.items():
            option = options[key]
            total += count * option.price
            have = held.get(key, 0)
            if count > have:
                total += (count - have) * option.extra
            total -= self.keep * option.price * min(count, have)
        return total

    def cost(self, plan: Mapping[Key, int]) -> float:
        count = sum(plan.values())
        lacking = max(0, self.target - count)
        if self.total is not None:
            lacking = abs(self.total - count)
        return self.price(plan) + self.worth * (self.short(plan) + lacking)

    def fits(self, plan: Mapping[Key, int], key: Key, more: int) -> bool:
        """Whether so many more of it are within what the zone, the place and the spreading limits allow."""
        if plan.get(key, 0) + more > self.options[key].most:
            return False
        place = self.places[key[0]]
        if place.most is not None and more + sum(c for k, c in plan.items() if k[0] == place.name) > place.most:
            return False
        for group, most in self.limits:
            name = group(place)
            if more + sum(count for other, count in plan.items() if group(self.places[other[0]]) == name) > most:
                return False
        return True

    def best(self, starts: Iterable[Wanted]) -> Wanted:
        """The best plan that is found from these."""
        ends = [self.descend(start) for start in starts]
        return min(ends, key=lambda plan: (round(self.cost(plan), 9), sorted(plan.items())))

    def descend(self, start: Wanted) -> Wanted:
        """The end of the steepest way down."""
        plan = {key: count for key, count in start.items() if count}
        cost = self.cost(plan)
        for _ in range(64):
            found: Wanted | None = None
            for trial in self._next(plan):
                price = self.cost(trial)
                if price < cost - 1e-9:
                    cost, found = price, trial
            if found is None:
                break
            plan = {key: count for key, count in found.items() if count}
        return plan

    def _next(self, plan: Wanted) -> Iterable[Wanted]:
        sizes = {1, max(1, self.target - sum(plan.values())), self.target}
        for key in self.options:
            for size in sizes:
                if self.fits(plan, key, size):
                    yield {**plan, key: plan.get(key, 0) + size}
        for key, count in plan.items():
            for size in {1, count}:
                less = {**plan, key: count - size}
                if size == count:
                    del less[key]
                yield less
                for other in self.options:
                    if other != key and self.fits(less, other, size):
                        yield {**less, other: less.get(other, 0) + size}
