"""Answers questions about one Route 53 zone, as its name servers would."""

from __future__ import annotations

import random
from typing import Protocol

from sandbox.dns.answer import NXDOMAIN, Answer, Link, Step
from sandbox.dns.zone import DEFAULT_LOCATION, MULTIVALUE_AT_MOST, Choice, Group, Zone, plain

_CHAIN = 8
"""CNAMEs that are followed within the zone; further ones are the asker's."""


class Status(Protocol):
    """Health of checks by id; `version` changes whenever one of them does."""

    version: int

    def healthy(self, id: str) -> bool: ...


class AllHealthy:
    """Before anything was checked, everything counts as healthy."""

    version = 0

    def healthy(self, id: str) -> bool:
        return True


class Resolver:
    """One zone with the health of its checks."""

    def __init__(self, zone: Zone, status: Status | None = None, chance: random.Random | None = None) -> None:
        self.zone, self.status = zone, status or AllHealthy()
        self._chance = chance or random.Random(0)
        self._version: int | None = None

    def answer(self, name: str, kind: str = "A", location: str = DEFAULT_LOCATION) -> Answer:
        """The answer for clients of an AWS region. NXDOMAIN when the name does not exist, no values when the type
        does not; a CNAME is followed as far as the zone goes."""
        group = self.zone.groups.get((name, kind))
        if group is not None:
            return self._walk(name, kind, group, location, ())
        return self._other(plain(name), kind, location)

    def _other(self, name: str, kind: str, location: str) -> Answer:
        links: tuple[Link, ...] = ()
        asked = name
        while True:
            owner = self._owner(name)
            if owner is None:
                return Answer(asked, kind, NXDOMAIN, links=links)
            group = self.zone.groups.get((owner, kind))
            if group is not None:
                return self._walk(asked, kind, group, location, links)
            alias = self.zone.groups.get((owner, "CNAME"))
            if alias is None:
                return Answer(asked, kind, links=links)
            step = self._walk(name, "CNAME", alias, location, ())
            if not step.values:
                return Answer(asked, kind, links=links)
            target = plain(step.values[0])
            links = (*links, Link(name, target, step.ttl))
            if len(links) >= _CHAIN or not self.covers(target):
                return Answer(asked, kind, ttl=step.ttl, steps=step.steps, links=links)
            name = target

    def covers(self, name: str) -> bool:
        """Whether a name lies in this zone."""
        return name == self.zone.name or name.endswith(f".{self.zone.name}")

    def _owner(self, name: str) -> str | None:
        """The name itself when it exists, else the wildcard of its closest encloser (RFC 4592), else None."""
        if name in self.zone.names:
            return name
        above = name.partition(".")[2]
        while self.covers(above):
            if above in self.zone.names:
                star = f"*.{above}"
                return star if star in self.zone.names else None
            above = above.partition(".")[2]
        return None

    def _walk(self, name: str, kind: str, group: Group, location: str, links: tuple[Link, ...]) -> Answer:
        version = self.status.version
        if version != self._version:
            for known in self.zone.groups.values():
                known.choices.clear()
            self._version = version
        steps: list[Step] = []
        while True:
            choice = group.choices.get(location)
            if choice is None:
                choice = self._choose(group, location, version)
                if choice is None:
                    return Answer(name, kind, steps=tuple(steps), links=links)
            if choice.many:
                return self._several(name, kind, choice, steps, links)
            outcome = choice.draw(self._chance)
            steps.append(outcome.step)
            if outcome.target is None:
                return Answer(name, kind, values=outcome.values, ttl=outcome.ttl, steps=tuple(steps), links=links)
            group = outcome.target

    def _choose(self, group: Group, location: str, version: int) -> Choice | None:
        if not group.records:
            return None
        choice = group.choose(location, self.status.healthy, version)
        group.choices[location] = choice
        return choice

    def _several(self, name: str, kind: str, choice: Choice, steps: list[Step], links: tuple[Link, ...]) -> Answer:
        chosen = list(choice.outcomes)
        self._chance.shuffle(chosen)
        chosen = chosen[:MULTIVALUE_AT_MOST]
        values: list[str] = []
        for outcome in chosen:
            steps.append(outcome.step)
            if outcome.target is None:
                values += outcome.values
        return Answer(name, kind, values=tuple(values), ttl=chosen[0].ttl, steps=tuple(steps), links=links)
