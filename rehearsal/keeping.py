"""The keeper as a policy of a rehearsal: the view of the fleet in its words, and its steps as decisions."""

from __future__ import annotations

from typing import Any

from infra.keeper import Held, Keeper, Memory, Observed, Place, Result, Rules, Step
from rehearsal.model import Decision, Launch, Setting, View


class Keeping:
    """infra.keeper under `Rules` for a setting; what else is given goes to the rules. last: its last step."""

    def __init__(self, setting: Setting, **rules: Any) -> None:
        places = [Place(zone.name, zone.region, zone.cloud) for zone in setting.zones]
        self.keeper = Keeper(places, Rules(setting.target, setting.boot, setting.tick, **rules))
        self.memory = Memory()
        self.last: Step | None = None
        self.due = 0.0
        self._before: object = None

    def decide(self, view: View) -> Decision:
        # An earlier wish to be woken may come due after a later look: nothing to decide then.
        now = (view.instances, view.spot, view.on_demand)
        if view.now < self.due and now == self._before and not view.outcomes and not view.losses:
            return Decision()
        seen = Observed(
            view.now,
            tuple(Held(one.id, one.zone, one.market, one.launched, one.ready) for one in view.instances),
            tuple(Result(one.zone, one.market, one.asked, one.given, one.error) for one in view.outcomes),
            tuple(loss.zone for loss in view.losses),
            view.spot,
            view.on_demand,
        )
        step = self.last = self.keeper.step(self.memory, seen)
        self.memory = step.memory
        gone = {number for number, _ in step.end}
        self.due = view.now + step.look
        self._before = (tuple(one for one in view.instances if one.id not in gone), view.spot, view.on_demand)
        launch = [Launch(order.zone, order.market, order.count, order.why) for order in step.launch]
        return Decision(launch, list(step.end), wake=self.due)
