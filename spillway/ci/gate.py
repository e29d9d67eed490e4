"""The gate between two regions of a rollout: a region is touched only while others can serve, and the next one only
once this one has been ready for a while, by its own word and by what DNS answers."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from spillway.dns_members import Member, Watched
from spillway.dns_tally import Look
from spillway.errors import SpillwayError

READY: Final = "ready"
Say = Callable[[str], None]
Probe = Callable[[Member, str], Mapping[str, str]]
"""(member, host) -> what each of its addresses says at its health path."""


class Looker(Protocol):
    """As spillway.dns_watch.Source: one round of answers and health for a service."""

    def look(self) -> Look: ...
    def wait(self, seconds: float) -> None: ...


@dataclass(frozen=True, slots=True)
class Region:
    """What is asked about. member: of the region; name: that of the stack; host: what its certificate is for.

    watched: who serves, by the global stack; None: DNS is not asked. lesser: members that are the last resort, of
    another quality: nobody counts on them during a rollout.
    """

    name: str
    member: Member
    host: str
    watched: Watched | None = None
    lesser: frozenset[str] = frozenset()

    @property
    def services(self) -> tuple[str, ...]:
        """Services that lead to it, in some tier."""
        if self.watched is None or self.member.drained:
            return ()
        return tuple(name for name, members in self.watched.services.items() if self.member.name in members)


def problems(region: Region, looks: Mapping[str, Look], health: Mapping[str, str]) -> list[str]:
    """What keeps the gate shut after a deployment; empty: nothing. looks: by service; health: of its addresses.

    Every address has to be ready, and every service that leads here has to be answered with members that are ready.
    """
    found = [
        f"{region.member.name}: {address}: {health.get(address) or 'not asked'}"
        for address in region.member.addresses
        if health.get(address) != READY
    ]
    if not region.member.addresses:
        found.append(f"{region.member.name}: has no address")
    for service in region.services:
        look = looks[service]
        found += [f"{service}: {fault}" for fault in look.faults]
        answered = sorted({address for answer in look.answers for address in answer})
        if not answered:
            found.append(f"{service}: nobody answers")
        for address in answered:
            word = look.health.get(address)
            if word is not None and word != READY:
                found.append(f"{service}: leads to {address}, which {_says(word)}")
            elif word is None:
                found.append(f"{service}: leads to {address}, which is no member's")
        found += [
            f"{service}: its checks hold {address} of {region.member.name} unhealthy"
            for address in region.member.addresses
            if look.checked.get(address) is False
        ]
    return list(dict.fromkeys(found))


def risks(region: Region, looks: Mapping[str, Look], health: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """(what forbids touching the region now, what is to be known). Where the region does not serve, nothing does."""
    serving = any(health.get(address) == READY for address in region.member.addresses)
    if not serving:
        return [], [f"{region.name}: does not serve now, so a deployment takes nothing away"]
    found, notes = [], []
    for service in region.services:
        assert region.watched is not None
        left_out = {region.member.name, *region.lesser}
        others = [one for one in region.watched.of(service) if one.name not in left_out and not one.drained]
        ready = [
            one.name for one in others if any(looks[service].health.get(address) == READY for address in one.addresses)
        ]
        if not others:
            notes.append(f"{service}: leads to this region alone; nobody serves if it fails")
        elif not ready:
            names = ", ".join(one.name for one in others)
            found.append(f"{service}: nobody else is ready ({names}): this region must not be touched")
    return found, notes


def _says(word: str) -> str:
    return word if word.startswith("answers") else f"is {word}"


def turn(stack: str, order: Sequence[str], jobs: Mapping[str, str]) -> list[str]:
    """Why it is not this stack's turn in a rollout; empty when it is. order: of all stacks; jobs: stack -> how its job
    ended, or its status. Every one before has to have succeeded, so nothing depends on how a server starts jobs."""
    if stack not in order:
        return [f"{stack}: is none of this rollout's stacks: {', '.join(order)}"]
    return [
        f"{stack}: is not touched: {one} comes first, and its job says {jobs.get(one, 'nothing')}"
        for one in order[: list(order).index(stack)]
        if jobs.get(one) != "success"
    ]


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds: how long the gate may take, how long everything has to be well without a break, between two looks."""

    wait: float
    steady: float
    interval: float


def hold(
    region: Region,
    sources: Mapping[str, Looker],
    probe: Probe,
    patience: Patience,
    say: Say,
    *,
    now: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Returns once the region has been well for `steady` seconds. Raises SpillwayError with what is still wrong."""
    began = now()
    well: float | None = None
    told: Sequence[str] = ("",)
    while True:
        looks, health = _look(region, sources, probe)
        wrong = problems(region, looks, health)
        at = now()
        if wrong:
            well = None
        elif well is None:
            well = at
        if list(told) != wrong:
            for line in wrong or [f"{region.name}: ready; has to be so for {patience.steady:.0f} s"]:
                say(line)
            told = wrong
        if well is not None and at - well >= patience.steady:
            say(f"{region.name}: well for {at - well:.0f} s: the next one may be touched")
            return
        if at - began >= patience.wait:
            raise SpillwayError(
                f"{region.name}: the gate stays shut after {at - began:.0f} s",
                *(wrong or [f"{region.name}: was not ready for {patience.steady:.0f} s without a break"]),
            )
        _wait(sources, patience.interval, sleep)


def before(region: Region, sources: Mapping[str, Looker], probe: Probe, say: Say) -> None:
    """Whether the region may be touched at all. Raises SpillwayError."""
    looks, health = _look(region, sources, probe)
    wrong, notes = risks(region, looks, health)
    for note in notes:
        say(note)
    if wrong:
        raise SpillwayError(*wrong)
    say(f"{region.name}: may be touched")


def _look(region: Region, sources: Mapping[str, Looker], probe: Probe) -> tuple[dict[str, Look], Mapping[str, str]]:
    looks = {service: sources[service].look() for service in region.services}
    health: dict[str, str] = {}
    for look in looks.values():
        for address in region.member.addresses:
            word = look.health.get(address)
            if word is not None and health.get(address, READY) == READY:  # under several names: the worst counts
                health[address] = word
    return looks, health if health else probe(region.member, region.host)


def _wait(sources: Mapping[str, Looker], seconds: float, sleep: Callable[[float], None]) -> None:
    first = next(iter(sources.values()), None)
    (sleep if first is None else first.wait)(seconds)
