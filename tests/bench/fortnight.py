"""A fortnight of the shipped stacks: regions and DNS alone, with clients, and with the keeper."""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import Any

from rehearsal import events, scenario, supply
from rehearsal.fleet import load_stack_files
from rehearsal.fleet_play import FleetPlay
from rehearsal.rehearse import chosen

ROOT = Path(__file__).resolve().parents[2]
SCENARIO = "normal-fortnight"


def measure(count: int) -> dict[str, Any]:
    """CPU seconds of a play of 14 days: the median."""
    fleet, loaded = load_stack_files(ROOT / "stacks"), scenario.load(SCENARIO)
    stacks, _ = chosen(fleet, loaded)
    regions = [one for one in fleet.regions if one.stack in stacks]
    found: dict[str, Any] = {"regions": len(regions), "days": loaded.scenario.days}
    for name, load, keeper in (("alone", False, False), ("keeper", False, True), ("clients", True, False)):
        one = loaded.scenario if load else loaded.scenario.model_copy(update={"load": None})
        seconds = []
        for _ in range(count):
            began = time.process_time()
            given = supply.supply(one, regions, loaded.folder, file=loaded.file)
            happens = events.timed(one, regions, fleet.world, given.begin, loaded.file)
            FleetPlay(fleet, one, given, happens, keeper=keeper).run()
            seconds.append(time.process_time() - began)
        found[f"{name}_s"] = round(statistics.median(seconds), 3)
    return found
