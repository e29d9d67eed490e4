"""The keeper over region stacks: what their clouds tell of them in its words, and its steps as edits of their targets.
Pure: no cloud, no clock.

Nothing is launched or ended from here. An edit is a region's target as its stack would have it: the least size of the
spot group, and of the on-demand group; groups, alarms and functions of the region do the rest, and go on when nobody
edits any more. Risks are the zones', so the keeper's places are the zones of every stack, seen where nodes really are;
its orders are the stack's, whose group chooses the zone. One that gets none while others do has refused.

What serves in a region is counted without what is not the keeper's: the on-demand floor of the stack file, which stays,
and what the load has added to the spot group. On-demand that the region bought itself, while spot is missing, is left
to it: its spot target stays, so that spot which comes back sends it home. Other on-demand that the keeper goes on
counting on becomes part of the minimum, or the region would give it up before others serve.

Capacity stays with its own: stacks that serve another model, or that a service may not leave for its residency, are a
fleet of their own (`RegionStack.fleet`).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from infra.keeper import Held, Keeper, Memory, Observed, Order, Place, Plan, Result, Rules, Step
from infra.keeper_fleet_words import (
    Edit,
    FleetMemory,
    FleetPlan,
    FleetRules,
    FleetStep,
    Known,
    Machine,
    RegionMemory,
    RegionStack,
    RegionState,
)
from infra.keeper_words import Key, Market

__all__ = [
    "Edit", "FleetMemory", "FleetPlan", "FleetRules", "FleetStep", "Known", "Machine", "RegionMemory", "RegionStack",
    "RegionState", "look",
]  # fmt: skip

PATIENCE: Final = 900.0
"""Seconds for which the keeper has to want less of a region before its target falls, or on-demand that the region
bought before it becomes part of the minimum. A launch that is refused, a node that gets ready change its mind for a
minute; what ends then would have to boot again, and every edit restarts a function."""
LATE_BOOTS: Final = 2
"""A node that is gone without having been ready is a loss up to so many boots after its launch, then a failed boot
(as `infra.fallback.Rule.late_minutes` has it: a boot may fail and be repeated)."""


def look(
    stacks: Sequence[RegionStack],
    states: Mapping[str, RegionState],
    memory: FleetMemory,
    rules: FleetRules,
    now: float,
    gone: Collection[str] = (),
) -> FleetStep:
    """One look at all fleets. states: by stack; one that could not be read is left out, and taken to be as it was: a
    call that fails is no reason to buy a region anew. gone: of those, the ones that do not answer clients either.

    now: seconds of any clock that only goes forward. Raises ValueError, one line, for rules that do not fit.
    """
    fleets: dict[str, list[RegionStack]] = {}
    for one in stacks:
        fleets.setdefault(one.fleet, []).append(one)
    if unknown := sorted(set(rules.target) - set(fleets)):
        raise ValueError(f"target of {unknown[0]}: there is no such fleet; there are {', '.join(sorted(fleets))}")
    edits: list[Edit] = []
    plans: list[FleetPlan] = []
    kept = dict(memory.fleets)
    regions = dict(memory.regions)
    wakes: list[float] = []
    for name in sorted(fleets):
        fleet = _Fleet(name, fleets[name], states, memory, rules, now, gone)
        step = fleet.step()
        plans.append(fleet.told(step))
        edits += fleet.edits(step)
        kept[name] = memory.fleets.get(name, Memory()) if step is None else step.memory
        regions |= fleet.regions()
        wakes += [] if step is None else [step.look]
    edits.sort(key=lambda edit: (not edit.raises, edit.stack))
    return FleetStep(tuple(edits), tuple(plans), FleetMemory(kept, regions), min(wakes, default=math.inf))


@dataclass(slots=True)
class _Counted:
    """A region's nodes that are the keeper's, by market, ready ones first; the rest is the floor's and the load's."""

    own: dict[Market, list[Known]]
    beside: dict[Market, int]


class _Fleet:
    """One look at one fleet."""

    def __init__(
        self,
        name: str,
        stacks: Sequence[RegionStack],
        states: Mapping[str, RegionState],
        memory: FleetMemory,
        rules: FleetRules,
        now: float,
        gone: Collection[str],
    ) -> None:
        self.name, self.rules, self.now, self.gone = name, rules, now, gone
        self.memory = memory.fleets.get(name, Memory())
        self.every = {one.stack: one for one in stacks}
        self.states = {stack: states[stack] for stack in self.every if stack in states}
        self.before = {stack: memory.regions.get(stack, RegionMemory()) for stack in self.every}
        self.prices: dict[str, dict[Market, float]] = {
            stack: {**self.before[stack].prices, **(self.states[stack].prices if stack in self.states else {})}
            for stack in self.every
        }
        self.left_out: dict[str, str] = {}
        for stack in self.every:
            missing = [market for market in _MARKETS if market not in self.prices[stack]]
            if missing:
                self.left_out[stack] = f"no price of {' and '.join(missing)}"
        self.stacks = {stack: one for stack, one in self.every.items() if stack not in self.left_out}
        self.counted = {stack: self._count(stack) for stack in self.stacks}
        whole = rules.target.get(name, sum(one.target for one in stacks))
        self.whole = whole
        aside = sum(self.every[stack].target for stack in self.left_out)
        self.floors = sum(one.floor for one in self.stacks.values())
        self.target = max(0, whole - aside - self.floors)
        self.ids: list[Key] = []
        self.asked: dict[str, Counter[str]] = {stack: Counter() for stack in self.every}
        self.since: dict[str, dict[str, float]] = {stack: {} for stack in self.every}
        self.stack_of: dict[str, tuple[str, str]] = {}

    # --- what is there ------------------------------------------------------------------------------------------------

    def _known(self, stack: str) -> dict[str, Known]:
        """The machines that stay, now; of a region that cannot be read, those of the last look."""
        before, state = self.before[stack], self.states.get(stack)
        if state is None:
            return {} if stack in self.gone else dict(before.machines)
        known = {}
        for one in state.machines:
            if not one.leaving:
                last = before.machines.get(one.id)
                known[one.id] = Known(one.market, one.zone, last.first if last else self.now, one.ready)
        return known

    def _count(self, stack: str) -> _Counted:
        state, machines = self.states.get(stack), self._known(stack)
        own: dict[Market, list[Known]] = {}
        for market in _MARKETS:
            own[market] = sorted(
                (one for one in machines.values() if one.market == market), key=lambda one: (not one.ready, one.first)
            )
            creating = state.creating.get(market, 0) if state else 0
            own[market] += [Known(market, self._likely(stack), self.now, False)] * creating
        floor = min(self.every[stack].floor, len(own["on-demand"]))
        beside: dict[Market, int] = {"spot": 0, "on-demand": floor}
        own["on-demand"] = own["on-demand"][floor:]
        more = max(0, state.spot_size - state.spot) if state else 0
        for market in _MARKETS:  # the youngest are the load's; where spot lacks, on-demand stands in for it
            took = min(more, len(own[market]))
            own[market] = own[market][: len(own[market]) - took]
            beside[market] += took
            more -= took
        return _Counted(own, beside)

    def _lacks(self, stack: str, market: Market) -> int:
        """Nodes that a group aims at and neither has nor is about to get."""
        state = self.states[stack]
        size = state.spot_size if market == "spot" else state.on_demand_size
        there = sum(one.market == market and not one.leaving for one in state.machines)
        return max(0, size - there - state.creating.get(market, 0))

    def _likely(self, stack: str) -> str:
        """The zone that a node which has none yet is taken to be in."""
        asked = self.before[stack].asked
        return max(asked, key=lambda zone: (asked[zone], zone), default=self.every[stack].zones[0])

    # --- what happened since ------------------------------------------------------------------------------------------

    def _since(self, stack: str) -> tuple[list[Result], list[str]]:
        """Results of launches, and the zones of spot nodes that were lost."""
        state, before = self.states.get(stack), self.before[stack]
        if state is None:
            return [], []
        one, now = self.every[stack], self._known(stack)
        results: list[Result] = []
        gone = sorted(
            (known for id, known in before.machines.items() if known.market == "spot" and id not in now),
            key=lambda known: known.first,
        )
        had = sum(known.market == "spot" for known in before.machines.values())
        # What went because somebody lowered the size is not lost; Azure lowers it itself with what it takes.
        ended = max(0, had - max(state.spot, state.spot_size))
        lost = gone[ended:]
        late = one.boot * LATE_BOOTS
        failed = [known for known in lost if not known.ready and self.now - known.first > late]
        for market in _MARKETS:
            new = Counter(
                known.zone for id, known in now.items() if known.market == market and id not in before.machines
            )
            lacking, error = self._lacks(stack, market), state.refused.get(market)
            if error is None and before.missing.get(market, 0) and not new:
                error = "capacity"  # it lacked them a look ago, and nobody says why
            if market == "on-demand":
                count = sum(new.values())
                if lacking and error is not None:
                    results.append(Result(self._bought(stack), market, count + lacking, count, error))
                elif count:
                    results.append(Result(self._bought(stack), market, count, count))
                continue
            for zone in one.zones:
                if lacking and error is not None:  # the group has tried them all
                    results.append(Result(_place(stack, zone), market, new[zone] + 1, new[zone], error))
                elif new[zone]:
                    results.append(Result(_place(stack, zone), market, new[zone], new[zone]))
                elif before.asked.get(zone, 0) and new:  # the group found another one better, or this one empty
                    results.append(Result(_place(stack, zone), market, before.asked[zone], 0, "capacity"))
        results += [Result(_place(stack, zone), "spot", 1, 0, "failed") for zone in {known.zone for known in failed}]
        return results, [known.zone for known in lost if known not in failed]

    def _bought(self, stack: str) -> str:
        """The place that stands for a stack's on-demand, in whichever zone it is: one is as good as the other."""
        return _place(stack, self.every[stack].zones[0])

    def step(self) -> Step | None:
        """The keeper's, None where nothing is to decide."""
        if self.target < 1 or not self.stacks:
            return None
        rules = self.rules
        places = [
            Place(_place(one.stack, zone), one.region, one.cloud, max(0, one.most - one.floor), one.stack)
            for one in self.stacks.values()
            for zone in one.zones
        ]
        self.stack_of = {
            _place(one.stack, zone): (one.stack, zone) for one in self.stacks.values() for zone in one.zones
        }
        keeper = Keeper(
            places,
            Rules(
                self.target,
                max(one.boot for one in self.stacks.values()),
                rules.look,
                rules.availability,
                region_share=rules.region_share,
                cloud_share=rules.cloud_share,
                levers=rules.levers,
            ),
        )
        held: list[Held] = []
        results: list[Result] = []
        lost: list[str] = []
        for stack, counted in self.counted.items():
            for market in _MARKETS:
                for one in counted.own[market]:
                    known = one.zone in self.every[stack].zones
                    spot = _place(stack, one.zone if known else self.every[stack].zones[0])
                    place = spot if market == "spot" else self._bought(stack)
                    held.append(Held(len(self.ids), place, market, one.first, one.ready))
                    self.ids.append((stack, market))
            told, gone = self._since(stack)
            results += told
            lost += [_place(stack, zone) for zone in gone]
        # Without a price no part in the plan: what is gone takes no orders.
        usable = [stack for stack in self.stacks if stack in self.states or stack not in self.gone]
        seen = Observed(
            self.now,
            tuple(held),
            tuple(results),
            tuple(lost),
            {_place(stack, zone): self.prices[stack]["spot"] for stack in usable for zone in self.every[stack].zones},
            {self._bought(stack): self.prices[stack]["on-demand"] for stack in usable},
        )
        return keeper.step(self.memory, seen)

    # --- what to set --------------------------------------------------------------------------------------------------

    def edits(self, step: Step | None) -> list[Edit]:
        if step is None:
            return []
        launches: Counter[Key] = Counter()
        wants: Counter[tuple[Key, str]] = Counter()
        reasons: dict[str, list[str]] = {}
        for order in step.launch:
            stack, zone = self.stack_of[order.zone]
            launches[stack, order.market] += order.count
            wants[(stack, order.market), _said(order)] += order.count
            if order.market == "spot":
                self.asked[stack][zone] += order.count
        for ((stack, market), why), count in wants.items():
            reasons.setdefault(stack, []).append(f"{count} {market} more: {why}")
        ends: Counter[Key] = Counter()
        whys: Counter[tuple[str, Market, str]] = Counter()
        for key, count, why in self._ends(step):
            ends[key] += count
            whys[*key, why] += count
        for (stack, market, why), count in whys.items():
            reasons.setdefault(stack, []).append(f"{count} {market} less: {why}")
        found = []
        for stack, one in self.stacks.items():
            state = self.states.get(stack)
            if state is None:
                continue
            after, own = self._sizes(stack, state, launches, ends, step.plan)
            before = (state.spot, state.on_demand)
            if after == before:
                continue
            told = reasons.get(stack, [])
            if not told:
                told = [own or "as many as the plan has there"]
            found.append(Edit(stack, before, after, "; ".join(told), self._usd(one, before, after)))
        return found

    def _ends(self, step: Step) -> list[tuple[Key, int, str]]:
        """What the keeper gives up, as far as enough serve whichever nodes the groups then end."""
        asked: dict[tuple[Key, str], int] = Counter((self.ids[number], why) for number, why in step.end)
        serving = sum(one.ready for counted in self.counted.values() for own in counted.own.values() for one in own)
        ready = {
            (stack, market): sum(one.ready for one in counted.own[market])
            for stack, counted in self.counted.items()
            for market in _MARKETS
        }
        found = []
        for (key, why), count in asked.items():
            given = min(count, ready[key], max(0, serving - self.target))
            if given < 1:
                continue
            serving -= given
            ready[key] -= given
            found.append((key, given, why))
        return found

    def _sizes(
        self,
        stack: str,
        state: RegionState,
        launches: Mapping[Key, int],
        ends: Mapping[Key, int],
        plan: Plan,
    ) -> tuple[tuple[int, int], str]:
        """(spot, on-demand minimum) of a region after the step, and why where no order says so."""
        one, counted = self.stacks[stack], self.counted[stack]

        def left(market: Market) -> int:
            key = (stack, market)
            return len(counted.own[market]) + launches.get(key, 0) - ends.get(key, 0)

        spot, bought = left("spot"), left("on-demand")
        planned = min(bought, plan.wanted.get((self._bought(stack), "on-demand"), 0))
        stands_in = min(bought - planned, max(0, state.spot - spot))
        minimum = one.floor + bought - stands_in
        more = state.on_demand + launches.get((stack, "on-demand"), 0)
        if minimum < state.on_demand and not self._patient(stack, "on-demand less"):
            minimum = state.on_demand
        elif minimum > more and not self._patient(stack, "on-demand stays"):
            minimum = more
        spot += stands_in
        given_up = min(ends.get((stack, "spot"), 0), state.spot - spot)
        if given_up > 0 and not self._patient(stack, "spot less"):
            spot += given_up
        why = ""
        if spot < state.spot:
            why = f"{state.spot - spot} spot not to be had there"
        elif minimum > more:
            why = "on-demand that the region bought stays until others serve"
        minimum = min(minimum, one.most)
        return (min(spot, one.most - minimum), minimum), why

    def _patient(self, stack: str, wish: str) -> bool:
        """Whether this has been wanted for long enough; it is remembered since when."""
        since = self.since[stack][wish] = self.before[stack].since.get(wish, self.now)
        return self.now - since >= PATIENCE

    def _usd(self, one: RegionStack, before: tuple[int, int], after: tuple[int, int]) -> float:
        price = self.prices[one.stack]
        return (after[0] - before[0]) * price["spot"] + (after[1] - before[1]) * price["on-demand"]

    # --- what to tell and to remember ---------------------------------------------------------------------------------

    def told(self, step: Step | None) -> FleetPlan:
        why = ""
        if step is None:
            why = "no stack with prices" if not self.stacks else "the floors alone are the target"
        rows = [self._known(stack) for stack in self.every]
        usd = math.fsum(
            self.prices[stack][one.market]
            for stack, machines in zip(self.every, rows, strict=True)
            if stack in self.stacks
            for one in machines.values()
        )
        serving = sum(one.ready for machines in rows for one in machines.values())
        booting = sum(not one.ready for machines in rows for one in machines.values())
        plan = None if step is None else step.plan
        return FleetPlan(
            self.name, tuple(self.every), self.whole, serving, booting, usd, plan, why, dict(self.left_out)
        )

    def regions(self) -> dict[str, RegionMemory]:
        """What is remembered of every region."""
        found = {}
        for stack in self.every:
            before, state = self.before[stack], self.states.get(stack)
            if state is None:
                found[stack] = RegionMemory(
                    self._known(stack), before.prices, before.missing, before.asked, before.since
                )
                continue
            missing = {market: lacks for market in _MARKETS if (lacks := self._lacks(stack, market))}
            asked, since = dict(self.asked[stack]), self.since[stack]
            found[stack] = RegionMemory(self._known(stack), self.prices[stack], missing, asked, since)
        return found


_MARKETS: Final[tuple[Market, ...]] = ("spot", "on-demand")


def _place(stack: str, zone: str) -> str:
    return f"{stack}/{zone}"


def _said(order: Order) -> str:
    """Why, in words; the figures are the plan's."""
    part, _, figures = order.why.partition(":")
    return {
        "aim": "part of the cheapest plan once what is launched has lasted",
        "cover": "for as long as others are young or likely to go together",
    }.get(part if figures else "", order.why)
