"""The keeper as a policy of a rehearsal: the view of the fleet in its words, and its steps as decisions."""

from __future__ import annotations

from typing import Any

from infra.keeper import Held, Keeper, Memory, Observed, Place, Result, Rules, Step
from rehearsal.model import Decision, Launch, Loss, Setting, View


class Keeping:
    """infra.keeper under `Rules` for a setting; what else is given goes to the rules. last: its last step."""

    def __init__(self, setting: Setting, **rules: Any) -> None:
        places = [Place(zone.name, zone.region, zone.cloud) for zone in setting.zones]
        self.keeper = Keeper(places, Rules(setting.target, setting.boot, setting.tick, **rules))
        self.memory = Memory()
        self.last: Step | None = None
        self._noticed: list[Loss] = []
        """Losses that are not acted on before the end, where the lever is off."""

    def decide(self, view: View) -> Decision:
        held = list(view.instances)
        losses = list(view.losses)
        rules = self.keeper.rules
        if not rules.levers.notice:
            self._noticed += [loss for loss in losses if loss.notice]
            over = [loss for loss in self._noticed if view.now >= loss.at + rules.notice]
            losses = [loss for loss in losses if not loss.notice] + over
            self._noticed = [loss for loss in self._noticed if loss not in over]
            held += [Held(loss.id, loss.zone, "spot", loss.at - loss.age, True) for loss in self._noticed]
        seen = Observed(
            view.now,
            tuple(held),
            tuple(Result(one.zone, one.market, one.asked, one.given, one.error) for one in view.outcomes),
            tuple(loss.zone for loss in losses),
            view.spot,
            view.on_demand,
        )
        step = self.last = self.keeper.step(self.memory, seen)
        self.memory = step.memory
        ghosts = {loss.id for loss in self._noticed}
        ends = [(number, why) for number, why in step.end if number not in ghosts]
        due = min([view.now + step.look, *(loss.at + rules.notice for loss in self._noticed)])
        launch = [Launch(order.zone, order.market, order.count, order.why) for order in step.launch]
        return Decision(launch, ends, wake=due)
