"""The keeper over the regions of a rehearsal: it looks every minute or so, and sets their targets. Their own fallbacks
go on by themselves, as they do where it runs as a scheduled function.

stacks, left_out = region_stacks(fleet)
keeping = FleetKeeping(clock, {stack: play, ...}, stacks, FleetRules())
clock.run(trace.end)
keeping.edits                                   # (seconds, Edit): what was set, and why; also in each play's log
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from infra.keeper_fleet import Edit, FleetMemory, FleetRules, FleetStep, Machine, RegionStack, RegionState, look
from infra.keeper_words import Error, Market
from rehearsal.fleet import Fleet, Region
from rehearsal.regions import Clock, Order, Prices, RegionPlay
from rehearsal.regions.control import FunctionControl
from rehearsal.regions.groups import GroupPlay, series_of
from rehearsal.regions.nodes import price_at

OFFSET: Final = 30.0
"""Seconds past the minute at which it looks: what regions do on whole minutes is done by then."""


def region_stacks(fleet: Fleet) -> tuple[list[RegionStack], dict[str, str]]:
    """What the keeper has to know of a fleet's regions, and those that it leaves alone: stack -> why.

    Regions stand in for each other where they serve the same model and where no service asks for the residency of one
    of them: capacity that such a service counts on must not leave.
    """
    asked = {service.residency for service in fleet.world.services if service.residency} if fleet.world else set()
    drained = {member.stack for member in fleet.world.members if member.drained} if fleet.world else set()
    found, left_out = [], {}
    for region in fleet.regions:
        if region.spot is None:
            left_out[region.stack] = "all on demand: its size is its own"
            continue
        if region.stack in drained:
            left_out[region.stack] = "drained: nobody is sent there"
            continue
        where = f" in {region.residency}" if region.residency in asked else ""
        found.append(
            RegionStack(
                stack=region.stack,
                cloud=region.cloud,
                region=region.region,
                zones=tuple(dict.fromkeys(zone for _, zone in region.launches(region.spot))),
                fleet=f"{region.node.model}{where}",
                target=region.target,
                floor=region.floor,
                most=region.maximum,
                boot=region.node.boot_minutes * 60.0,
            )
        )
    return found, left_out


def prices_at(region: Region, prices: Prices, at: float) -> dict[Market, float]:
    """USD per hour of a region's next node by market: of spot the cheapest that its pool may launch, on demand the
    first type's. A market of which nothing has a price is left out."""
    found: dict[Market, float] = {}
    for market, pool in (("spot", region.spot), ("on-demand", region.on_demand)):
        told = []
        for machine, zone in region.launches(pool) if pool else ():
            try:
                told.append(price_at(series_of(prices, machine, zone, region.region, market), at))  # type: ignore[arg-type]
            except KeyError:
                continue
        if told:
            found["spot" if market == "spot" else "on-demand"] = min(told) if market == "spot" else told[0]
    return found


class FleetKeeping:
    """Looks every `rules.look` seconds from the clock's now on. plays: by stack, those of `stacks` at least.

    edits: (seconds, edit) that were made. steps: the last look's. memory: what it remembers.
    """

    def __init__(
        self,
        clock: Clock,
        plays: Mapping[str, RegionPlay],
        stacks: Sequence[RegionStack],
        rules: FleetRules,
        memory: FleetMemory | None = None,
    ) -> None:
        self.clock, self.rules = clock, rules
        self.stacks = tuple(stacks)
        self.plays = {one.stack: plays[one.stack] for one in stacks}
        self.memory = memory or FleetMemory()
        self.edits: list[tuple[float, Edit]] = []
        self.looks = 0
        self.last: FleetStep | None = None
        self._seen: object = None
        self._due = 0.0
        self._stopped = False
        clock.at(clock.now + OFFSET, Order.CONTROL, self._look)

    def stop(self) -> None:
        """Nobody looks any more: what is set stays, and regions go on by themselves."""
        self._stopped = True

    def _look(self) -> None:
        if self._stopped:
            return
        now = self.clock.now
        self.clock.at(now + self.rules.look, Order.CONTROL, self._look)
        states = {stack: state for stack, play in self.plays.items() if (state := state_of(play)) is not None}
        gone = tuple(stack for stack, play in self.plays.items() if stack not in states and not play.level.receiving)
        if now < self._due and self._seen == (states, gone):
            return  # the keeper itself says until when nothing new is to be decided
        self.looks += 1
        step = self.last = look(self.stacks, states, self.memory, self.rules, now, gone)
        self.memory = step.memory
        for edit in step.edits:
            play = self.plays[edit.stack]
            # The groups' sizes alone, as `spillway keeper plan --apply` sets them: alarms stay those of the stack.
            spot = play.spot
            follows = play.region.cloud == "aws" and spot is not None and spot.desired == edit.before[0]
            play.set_target(*edit.after, edit.why, alarms=False)
            if follows and spot is not None and spot.desired > edit.after[0]:
                play.set_spot(edit.after[0])  # as large as its minimum, it goes down with it (spillway/keeper/aws.py)
            self.edits.append((now, edit))
        self._due = now + step.wake
        self._seen = None if step.edits else (states, gone)


def state_of(play: RegionPlay) -> RegionState | None:
    """A region as its cloud's API tells it now; None while it does not answer."""
    if play.nodes.dark or (isinstance(play.control, FunctionControl) and play.control.throttled):
        return None
    assert play.spot is not None
    groups: tuple[tuple[Market, GroupPlay], ...] = (("spot", play.spot), ("on-demand", play.on_demand))
    machines: list[Machine] = []
    creating: dict[Market, int] = {}
    refused: dict[Market, Error] = {}
    for market, group in groups:
        for node in group.own:
            leaving = node.phase == "leaving" or node.noticed is not None
            machines.append(Machine(str(node.id), market, node.zone, node.serves, leaving))
        short = group.short or len(group.failed)
        if short:
            refused[market] = "capacity"
        if waits := max(0, group.desired - group.staying - short):
            creating[market] = waits
    _, spot, on_demand = play.targets[-1]
    return RegionState(
        spot=spot,
        on_demand=on_demand,
        spot_size=play.spot.desired,
        on_demand_size=play.on_demand.desired,
        machines=tuple(machines),
        creating=creating,
        refused=refused,
        prices=prices_at(play.region, play.prices, play.clock.now - play.begin),
    )
