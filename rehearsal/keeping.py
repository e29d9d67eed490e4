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

    def decide(self, view: View) -> Decision:
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
        launch = [Launch(order.zone, order.market, order.count, order.why) for order in step.launch]
        return Decision(launch, list(step.end), wake=view.now + step.look)
