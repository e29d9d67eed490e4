"""The target on demand in the cheapest zone, and nothing else: what every cost is a share of."""

from __future__ import annotations

from rehearsal.model import Decision, Launch, Setting, View


class OnDemand:
    def __init__(self, setting: Setting) -> None:
        self.zones = tuple(zone.name for zone in setting.zones)

    def decide(self, view: View) -> Decision:
        missing = view.target - len(view.instances)
        zone = min(self.zones, key=lambda name: view.on_demand[name])
        return Decision([Launch(zone, "on-demand", missing, "the target")]) if missing > 0 else Decision()
