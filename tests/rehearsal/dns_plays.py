"""A DNS play over the shipped global stacks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

from infra.dns.checkers import CheckSettings
from rehearsal.dns import Clients, DnsPlay
from rehearsal.fleet import World, load
from rehearsal.regions.clock import Clock
from rehearsal.result import ServiceResult, Switch

STACKS = Path(__file__).parents[2] / "stacks"
WORLDS = ("global", "global-cloudflare", "global-traffic-manager")
LLM, US = "llm.example.com", "llm-us.example.com"
FIRST, SECOND, SITE, LAST = "aws-us-east-1", "gcp-us-central1", "onprem-fra", "small-model"
WELL = 1000.0


@cache
def world(name: str = "global") -> World:
    found = load([STACKS], name).world
    assert found is not None
    return found


def begun(name: str = "global", seed: int = 0, clients: Clients | None = None) -> tuple[Clock, DnsPlay]:
    """A play that has been quiet for WELL seconds."""
    clock = Clock()
    play = DnsPlay(clock, world(name), seed=seed, clients=clients)
    clock.run(WELL)
    return clock, play


def result(play: DnsPlay, service: str = LLM) -> ServiceResult:
    return next(one for one in play.results() if one.name == service)


def only(switches: Sequence[Switch], member: str, away: bool) -> Switch:
    (found,) = [one for one in switches if (one.member, one.away) == (member, away)]
    return found


def checked(name: str, addresses: int = 1) -> CheckSettings:
    return replace(world(name).check, addresses=addresses)
