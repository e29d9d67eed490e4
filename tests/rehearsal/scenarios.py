"""Scenarios and fleets of a few lines, for tests."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from rehearsal import events, scenario, supply
from rehearsal.events import Timed
from rehearsal.fleet import Fleet, load_stack_files
from rehearsal.fleet_play import FleetPlay
from rehearsal.scenario import Loaded, Scenario
from rehearsal.supply import Supply

ROOT = Path(__file__).parents[2]
FILE = "mine.yaml"
STACKS = ("aws-us-east-1", "azure-eastus", "gcp-us-central1")


@cache
def fleet() -> Fleet:
    """The shipped stacks."""
    return load_stack_files(ROOT / "stacks")


def told(**keys: Any) -> dict[str, Any]:
    """What a scenario's file holds: a day of the recorded trace, and `keys` (camelCase, `for_` for `for`)."""
    return {"name": "mine", "title": "Mine", "shows": "Something.", "days": 1, "trace": "gcp-h100-2025-10"} | keys


def made(**keys: Any) -> Scenario:
    return scenario.parse(told(**keys), FILE)


def loaded(**keys: Any) -> Loaded:
    return Loaded(made(**keys), FILE, "", ROOT)


def supplied(one: Scenario, stacks: tuple[str, ...] = STACKS) -> Supply:
    return supply.supply(one, [fleet().region(stack) for stack in stacks], ROOT, file=FILE)


def happens(one: Scenario, given: Supply) -> tuple[Timed, ...]:
    regions = [each.region for each in given.regions.values()]
    return events.timed(one, regions, fleet().world, given.begin, FILE)


def played(stacks: tuple[str, ...] = STACKS, keeper: bool = False, **keys: Any) -> FleetPlay:
    """A whole play, over. Recorded capacity begins at 00:10 UTC."""
    one = made(**keys)
    given = supplied(one, stacks)
    play = FleetPlay(fleet(), one, given, happens(one, given), keeper=keeper)
    play.run()
    return play
