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
Counts = tuple[int, ...]


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
    return 1.0 if spare < 0 else _shortage([item for item in items if item[2] > 0.0], joint, spare)


def _shortage(risky: list[tuple[str, int, float]], joint: Mapping[str, float], spare: int) -> float:
    """The same of what may be missing at all, and of how many more there are than wanted."""
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
        for index in range(spare, count - 1, -1):
            chances[index] = chances[index] * keep + chances[index - count] * missing
        for index in range(min(spare, count - 1), -1, -1):
            chances[index] *= keep
    return max(0.0, 1.0 - sum(chances))


def _together(place: Place) -> tuple[bool, str]:
    """Whose `most` a place goes by."""
    return (False, place.name) if place.shared is None else (True, place.shared)


class Search:
    """Over plans for one look. limits: (the place's group of places, most in it) that no plan exceeds.

    Inside, a plan is a tuple of counts, one for each option in the order of `keys`. keep: share of its price by which
    what is held is preferred. total: exactly so many, where the number is not the search's to choose.
    """

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
        total: int | None = None,
    ) -> None:
        self.keys = tuple(options)
        self.at = {key: index for index, key in enumerate(self.keys)}
        self.target, self.worth, self.total, self.joint = target, worth, total, joint
        own = [places[zone] for zone, _ in self.keys]
        self._regions = [place.region for place in own]
        self._price = [option.price for option in options.values()]
        self._extra = [option.extra for option in options.values()]
        self._missing = [option.missing for option in options.values()]
        self._most = [option.most for option in options.values()]
        self._held = [held.get(key, 0) for key in self.keys]
        self._kept = [price * keep for price in self._price]
        self._groups: list[tuple[list[bool], int]] = []
        for together in {_together(place): place for place in own if place.most is not None}.values():
            members = [_together(other) == _together(together) for other in own]
            self._groups.append((members, together.most or 0))
        for group, most in limits:
            for name in sorted({group(place) for place in own}):
                self._groups.append(([group(other) == name for other in own], most))
        inside = [([at for at, one in enumerate(members) if one], most) for members, most in self._groups]
        self._limits = [[group for group in inside if index in group[0]] for index in range(len(self.keys))]
        """By option: the options that share a limit with it, and the limit."""
        self._crowd: dict[int, float] = {}
        self._known: dict[Counts, float] = {}

    def counts(self, plan: Mapping[Key, int]) -> Counts:
        """As a tuple, without what is no option."""
        return tuple(plan.get(key, 0) for key in self.keys)

    def wanted(self, counts: Counts) -> Wanted:
        return {key: count for key, count in zip(self.keys, counts, strict=True) if count}

    def short(self, plan: Counts) -> float:
        """Share of the time below the target."""
        spare = sum(plan) - self.target
        if spare < 0:
            return 1.0
        regions, missing, crowd = self._regions, self._missing, self._crowd
        risky = []
        for index, count in enumerate(plan):
            if count and missing[index] > 0.0:
                power = crowd.get(count)
                if power is None:
                    power = crowd[count] = count**CROWD
                share = missing[index] * power
                risky.append((regions[index], count, share if share < 1.0 else 1.0))
        return _shortage(risky, self.joint, spare)

    def cost(self, plan: Counts) -> float:
        """USD per hour: the price, that of what has to be launched, and what the time below the target counts."""
        found = self._known.get(plan)
        if found is not None:
            return found
        total, number = 0.0, 0
        for index, count in enumerate(plan):
            if count:
                number += count
                have = self._held[index]
                total += count * self._price[index]
                if count > have:
                    total += (count - have) * self._extra[index] - have * self._kept[index]
                else:
                    total -= count * self._kept[index]
        lacking = max(0, self.target - number) if self.total is None else abs(self.total - number)
        total += self.worth * (self.short(plan) + lacking)
        self._known[plan] = total
        return total

    def fits(self, plan: Counts, index: int, more: int) -> bool:
        """Whether so many more of it are within what the zone, the place and the spreading limits allow."""
        if plan[index] + more > self._most[index]:
            return False
        for members, most in self._limits[index]:
            there = more
            for one in members:
                there += plan[one]
            if there > most:
                return False
        return True

    def within(self, plan: Counts) -> Counts:
        """The plan without what is beyond the limits; the dearest goes first."""
        order = sorted(range(len(plan)), key=lambda index: (-self._price[index], index))
        left = [min(count, most) for count, most in zip(plan, self._most, strict=True)]
        for members, most in self._groups:
            beyond = sum(count for count, one in zip(left, members, strict=True) if one) - most
            for index in order:
                if members[index] and beyond > 0:
                    less = min(left[index], beyond)
                    left[index] -= less
                    beyond -= less
        return tuple(left)

    def add(self, plan: Counts, index: int, more: int) -> Counts:
        return (*plan[:index], plan[index] + more, *plan[index + 1 :])

    def best(self, starts: Iterable[Counts]) -> Counts:
        """The best plan that is found from these."""
        return min((self.descend(start) for start in starts), key=lambda plan: (round(self.cost(plan), 9), plan))

    def descend(self, plan: Counts) -> Counts:
        """The end of the steepest way down."""
        cost = self.cost(plan)
        for _ in range(64):
            found: Counts | None = None
            for trial in self._next(plan):
                price = self.cost(trial)
                if price < cost - 1e-9:
                    cost, found = price, trial
            if found is None:
                break
            plan = found
        return plan

    def grow(self, plan: Counts, allowed: Iterable[int]) -> Counts:
        """The end of the steepest way down that only adds, of these."""
        indices = list(allowed)
        cost = self.cost(plan)
        while True:
            found: Counts | None = None
            for index in indices:
                for size in range(1, self.target + 1):
                    if self.fits(plan, index, size):
                        trial = self.add(plan, index, size)
                        price = self.cost(trial)
                        if price < cost - 1e-9:
                            cost, found = price, trial
            if found is None:
                return plan
            plan = found

    def _next(self, plan: Counts) -> Iterable[Counts]:
        sizes = {1, max(1, self.target - sum(plan)), self.target}
        every = range(len(plan))
        for index in every:
            for size in sizes:
                if self.fits(plan, index, size):
                    yield self.add(plan, index, size)
        for index in every:
            count = plan[index]
            for size in {1, count} if count else ():
                less = self.add(plan, index, -size)
                yield less
                for other in every:
                    if other != index and self.fits(less, other, size):
                        yield self.add(less, other, size)
