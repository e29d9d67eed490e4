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
from typing import Final

from infra.keeper import Held, Keeper, Memory, Observed, Order, Place, Plan, Result, Rules, Step
from infra.keeper_fleet_seen import MARKETS, FleetSeen, place
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


class _Fleet(FleetSeen):
    """One look at one fleet: the keeper's step, and what it comes to."""

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
        super().__init__(name, stacks, states, memory, rules, now, gone)
        self.ids: list[Key] = []
        self.asked: dict[str, Counter[str]] = {stack: Counter() for stack in self.every}
        self.since: dict[str, dict[str, float]] = {stack: {} for stack in self.every}
        self.stack_of: dict[str, tuple[str, str]] = {}

    def step(self) -> Step | None:
        """The keeper's, None where nothing is to decide."""
        if self.target < 1 or not self.stacks:
            return None
        rules = self.rules
        places = [
            Place(place(one.stack, zone), one.region, one.cloud, max(0, one.most - one.floor), one.stack)
            for one in self.stacks.values()
            for zone in one.zones
        ]
        self.stack_of = {
            place(one.stack, zone): (one.stack, zone) for one in self.stacks.values() for zone in one.zones
        }
        usable = [stack for stack in self.stacks if stack in self.states or stack not in self.gone]
        # A limit that the regions which are left could not keep together would leave part of the target nowhere.
        there = {self.stacks[stack].region for stack in usable}, {self.stacks[stack].cloud for stack in usable}
        region_share, cloud_share = (
            max(share, 1.0 / max(1, len(of)))
            for share, of in zip((rules.region_share, rules.cloud_share), there, strict=True)
        )
        keeper = Keeper(
            places,
            Rules(
                self.target,
                max(one.boot for one in self.stacks.values()),
                rules.look,
                rules.availability,
                region_share=region_share,
                cloud_share=cloud_share,
                levers=rules.levers,
            ),
        )
        held: list[Held] = []
        results: list[Result] = []
        lost: list[str] = []
        for stack, counted in self.counted.items():
            for market in MARKETS:
                for one in counted[market]:
                    known = one.zone in self.every[stack].zones
                    spot = place(stack, one.zone if known else self.every[stack].zones[0])
                    where = spot if market == "spot" else self.bought(stack)
                    held.append(Held(len(self.ids), where, market, one.first, one.ready))
                    self.ids.append((stack, market))
            told, gone = self.happened(stack)
            results += told
            lost += [place(stack, zone) for zone in gone]
        # Without a price no part in the plan: what is gone takes no orders.
        seen = Observed(
            self.now,
            tuple(held),
            tuple(results),
            tuple(lost),
            {place(stack, zone): self.prices[stack]["spot"] for stack in usable for zone in self.every[stack].zones},
            {self.bought(stack): self.prices[stack]["on-demand"] for stack in usable},
        )
        return keeper.step(self.memory, seen)

    # --- what to set --------------------------------------------------------------------------------------------------

    def edits(self, step: Step | None) -> list[Edit]:
        if step is None:
            return []
        launches: Counter[Key] = Counter()
        wants: Counter[tuple[Key, str]] = Counter()
        reasons: dict[str, list[tuple[Market, int, str]]] = {}
        for order in step.launch:
            stack, zone = self.stack_of[order.zone]
            launches[stack, order.market] += order.count
            wants[(stack, order.market), _said(order)] += order.count
            if order.market == "spot":
                self.asked[stack][zone] += order.count
        for ((stack, market), why), count in wants.items():
            reasons.setdefault(stack, []).append((market, 1, f"{count} {market} more: {why}"))
        ends: Counter[Key] = Counter()
        whys: Counter[tuple[str, Market, str]] = Counter()
        for key, count, why in self._ends(step):
            ends[key] += count
            whys[*key, why] += count
        for (stack, market, why), count in whys.items():
            reasons.setdefault(stack, []).append((market, -1, f"{count} {market} less: {why}"))
        found = []
        for stack, one in self.stacks.items():
            state = self.states.get(stack)
            if state is None:
                continue
            after, own = self._sizes(stack, state, launches, ends, step.plan)
            before = (state.spot, state.on_demand)
            if after == before:
                continue
            change: dict[Market, int] = {"spot": after[0] - before[0], "on-demand": after[1] - before[1]}
            told = [why for market, sign, why in reasons.get(stack, []) if change[market] * sign > 0]
            if not told:
                told = [own or "as many as the plan has there"]
            found.append(Edit(stack, before, after, "; ".join(told), self._usd(one, before, after)))
        return found

    def _ends(self, step: Step) -> list[tuple[Key, int, str]]:
        """What the keeper gives up, as far as enough serve whichever nodes the groups then end."""
        asked: dict[tuple[Key, str], int] = Counter((self.ids[number], why) for number, why in step.end)
        serving = sum(one.ready for counted in self.counted.values() for own in counted.values() for one in own)
        ready = {
            (stack, market): sum(one.ready for one in counted[market])
            for stack, counted in self.counted.items()
            for market in MARKETS
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
            return len(counted[market]) + launches.get(key, 0) - ends.get(key, 0)

        spot, bought = left("spot"), left("on-demand")
        planned = min(bought, plan.wanted.get((self.bought(stack), "on-demand"), 0))
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
        rows = [self.known(stack) for stack in self.every]
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
                    self.known(stack), before.prices, before.missing, before.asked, before.since
                )
                continue
            missing = {market: lacks for market in MARKETS if (lacks := self.lacks(stack, market))}
            asked, since = dict(self.asked[stack]), self.since[stack]
            found[stack] = RegionMemory(self.known(stack), self.prices[stack], missing, asked, since)
        return found


def _said(order: Order) -> str:
    """Why, in words; the figures are the plan's."""
    part, _, figures = order.why.partition(":")
    return {
        "aim": "part of the cheapest plan once what is launched has lasted",
        "cover": "for as long as others are young or likely to go together",
    }.get(part if figures else "", order.why)
