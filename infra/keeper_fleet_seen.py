"""A fleet of region stacks at one look: which nodes are the keeper's, and what happened to them since the last one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Final

from infra.keeper import Memory, Result
from infra.keeper_fleet_words import FleetMemory, FleetRules, Known, RegionMemory, RegionStack, RegionState
from infra.keeper_words import Market

MARKETS: Final[tuple[Market, ...]] = ("spot", "on-demand")
LATE_BOOTS: Final = 2
"""A node that is gone without having been ready is a loss up to so many boots after its launch, then a failed boot
(as `infra.fallback.Rule.late_minutes` has it: a boot may fail and be repeated)."""


def place(stack: str, zone: str) -> str:
    """What the keeper calls a zone of a stack."""
    return f"{stack}/{zone}"


class FleetSeen:
    """One fleet at one look. counted: by stack and market, the nodes that are the keeper's, ready ones first; the rest
    is the floor's and the load's. every: all stacks; stacks: those that have prices."""

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
            missing = [market for market in MARKETS if market not in self.prices[stack]]
            if missing:
                self.left_out[stack] = f"no price of {' and '.join(missing)}"
        self.stacks = {stack: one for stack, one in self.every.items() if stack not in self.left_out}
        self.counted = {stack: self._count(stack) for stack in self.stacks}
        whole = rules.target.get(name, sum(one.target for one in stacks))
        self.whole = whole
        aside = sum(self.every[stack].target for stack in self.left_out)
        self.floors = sum(one.floor for one in self.stacks.values())
        self.target = max(0, whole - aside - self.floors)

    # --- what is there ------------------------------------------------------------------------------------------------

    def known(self, stack: str) -> dict[str, Known]:
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

    def _count(self, stack: str) -> dict[Market, list[Known]]:
        state, machines = self.states.get(stack), self.known(stack)
        own: dict[Market, list[Known]] = {}
        for market in MARKETS:
            own[market] = sorted(
                (one for one in machines.values() if one.market == market), key=lambda one: (not one.ready, one.first)
            )
            creating = state.creating.get(market, 0) if state else 0
            own[market] += [Known(market, self._likely(stack), self.now, False)] * creating
        floor = min(self.every[stack].floor, len(own["on-demand"]))
        own["on-demand"] = own["on-demand"][floor:]
        more = max(0, state.spot_size - state.spot) if state else 0
        for market in MARKETS:  # the youngest are the load's; where spot lacks, on-demand stands in for it
            took = min(more, len(own[market]))
            own[market] = own[market][: len(own[market]) - took]
            more -= took
        return own

    def lacks(self, stack: str, market: Market) -> int:
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

    def happened(self, stack: str) -> tuple[list[Result], list[str]]:
        """Results of launches, and the zones of spot nodes that were lost."""
        state, before = self.states.get(stack), self.before[stack]
        if state is None:
            return [], []
        one, now = self.every[stack], self.known(stack)
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
        for market in MARKETS:
            new = Counter(
                known.zone for id, known in now.items() if known.market == market and id not in before.machines
            )
            lacking, error = self.lacks(stack, market), state.refused.get(market)
            if error is None and before.missing.get(market, 0) and not new:
                error = "capacity"  # it lacked them a look ago, and nobody says why
            if market == "on-demand":
                count = sum(new.values())
                if lacking and error is not None:
                    results.append(Result(self.bought(stack), market, count + lacking, count, error))
                elif count:
                    results.append(Result(self.bought(stack), market, count, count))
                continue
            for zone in one.zones:
                if lacking and error is not None:  # the group has tried them all
                    results.append(Result(place(stack, zone), market, new[zone] + 1, new[zone], error))
                elif new[zone]:
                    results.append(Result(place(stack, zone), market, new[zone], new[zone]))
                elif before.asked.get(zone, 0) and new:  # the group found another one better, or this one empty
                    results.append(Result(place(stack, zone), market, before.asked[zone], 0, "capacity"))
        results += [
            Result(place(stack, zone), "spot", 1, 0, "failed") for zone in sorted({known.zone for known in failed})
        ]
        return results, [known.zone for known in lost if known not in failed]

    def bought(self, stack: str) -> str:
        """The place that stands for a stack's on-demand, in whichever zone it is: one is as good as the other."""
        return place(stack, self.every[stack].zones[0])
