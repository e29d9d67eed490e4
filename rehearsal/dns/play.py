"""DNS over a fleet on a clock: checks find out who is up, name servers answer, clients follow as their caches end.

play = DnsPlay(clock, fleet.world)
play.set_member("aws-us-east-1", 0.0)
clock.run(60)
play.clients("llm.example.com")      # {"gcp-us-central1": 1.0}
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping
from dataclasses import replace
from math import isinf
from typing import Final

from infra.dns.checkers import FAILURES, CheckSettings, Failure, detector
from infra.dns.limits import NAMES
from infra.faults import did_you_mean, listed
from rehearsal.dns.checks import MemberCheck
from rehearsal.dns.clients import Clients
from rehearsal.dns.service import STEPS, ServicePlay
from rehearsal.dns.tree import Shares, Tree, spread
from rehearsal.fleet.model import Member, Service, World
from rehearsal.regions.clock import Clock, Order
from rehearsal.result import ServiceResult
from spillway.errors import SpillwayError

PROXIED_TTL: Final = 300.0
"""Of a proxied name's addresses, which are Cloudflare's own, in seconds
(https://developers.cloudflare.com/dns/manage-dns-records/reference/ttl/)."""


class MemberPlay:
    """One member: what it does in truth, what checks see of it, and what the provider makes of that."""

    def __init__(
        self, clock: Clock, member: Member, settings: CheckSettings, seed: str, changed: Callable[[], None]
    ) -> None:
        self.member = member
        self.settings = replace(settings, addresses=member.addresses)
        self.check = MemberCheck(clock, settings, member.addresses, seed, changed)
        self.answering = 1.0
        self.failure: Failure = "error"
        self.blackhole = False
        self.shown = 1.0
        """To probes."""
        self.worse = self.gone = self.better = clock.now
        """When probes last began to fail, to fail always, to pass more than before."""
        self.retried = 0.0
        """Share of its requests that the provider's proxy tries elsewhere by itself."""
        self.turn = 0
        """Counts what happened to it."""

    @property
    def truth(self) -> float:
        """Share of the requests sent to it that are answered."""
        return 0.0 if self.blackhole else self.answering

    @property
    def kind(self) -> Failure:
        """How what is not answered fails."""
        return "blackhole" if self.blackhole else self.failure

    @property
    def retries_after(self) -> float | None:
        """Seconds after which a failing request is tried elsewhere, whatever the checks say; None: never."""
        seconds = detector(self.settings, self.kind).at_most
        return None if isinf(seconds) else seconds


class DnsPlay:
    """Plays from `clock.now` on. Deterministic: same world, same seed, same calls, same results.

    Members answer in full until they are set. What is set at the very begin has been so for long, and the provider
    knows it. Shares of `answers` and `clients` sum to 1, or there are none; those of clients to less than 1 while name
    servers do not answer, and caches end: what lacks are clients that have no answer.
    on_change: called after clients go elsewhere than before, at Order.DNS.
    """

    def __init__(self, clock: Clock, world: World, *, seed: int = 0, clients: Clients | None = None) -> None:
        self.clock, self.world = clock, world
        self.provider = NAMES[world.provider]
        """As people call it."""
        self.begin = self._since = clock.now
        self.on_change: list[Callable[[], None]] = []
        self.log: list[tuple[float, str, str, str]] = []
        """(at, place, what, why), in order."""
        self._down = self._blind = self._silent = False
        self._due = False
        self._ramp: list[float] = []
        self._health: dict[str, float] = {}
        self._retried: dict[str, float] = {}
        check, who = world.check, clients or Clients()
        self._members = {
            one.name: MemberPlay(clock, one, check, f"dns/{seed}/{one.name}", self._later) for one in world.members
        }
        ttl = PROXIED_TTL if check.proxied else check.cache_seconds
        self._services = {
            one.name: ServicePlay(one, Tree(world, one, _where(world, one, who)), who, ttl, check.proxied)
            for one in world.services
        }
        self._holds = any(one.kinds for one in self._services.values())
        self._refresh()

    # --- what a fleet and a scenario do -----------------------------------------------------------------------------

    def set_member(self, name: str, answering: float, failure: Failure = "error") -> None:
        """From now on the member answers this share of its probes and requests; the others fail in this way: `error`
        is what a node's own gate says, `refused` and `blackhole` a balancer that has no node."""
        one = self._member(name)
        if not 0 <= answering <= 1:
            raise SpillwayError(f"{name}: answering = {answering:g}: has to be 0 to 1")
        if failure not in FAILURES:
            raise SpillwayError(f"{name}: failure = {failure}: has to be one of {listed(FAILURES)}")
        if (answering, failure) != (one.answering, one.failure):
            self._changes(one, lambda: _set(one, float(answering), failure, one.blackhole))

    def blackhole(self, member: str, yes: bool) -> None:
        """No packet comes back from the member, whatever else it does; or they do again."""
        one = self._member(member)
        if yes != one.blackhole:
            self._tell(member, "unreachable" if yes else "reachable again")
            self._changes(one, lambda: _set(one, one.answering, one.failure, yes))

    def blind(self, yes: bool, why: str = "", *, silent: bool = False) -> None:
        """Checkers see nothing: every probe of every member ends in silence, so that nobody is healthy and the provider
        does what it does then. silent: checkers report nothing at all; what they said last stays."""
        if (yes, yes and silent) != (self._blind, self._silent):
            self._blind, self._silent = yes, yes and silent
            self._tell(self.provider, "checkers are blind" if yes else "checkers see again", why)
            for one in self._members.values():
                self._show(one)

    def provider_down(self, yes: bool) -> None:
        """No name server answers: clients go by what they keep, and those that keep nothing any more fail."""
        if yes != self._down:
            self._down = yes
            self._tell(self.provider, "name servers do not answer" if yes else "name servers answer again")
            self._later()

    # --- what others ask --------------------------------------------------------------------------------------------

    def answers(self, service: str) -> Shares:
        """Who a client that keeps nothing is sent to now: member -> share; empty while no name server answers."""
        return dict(self._service(service).answers[-1][1])

    def clients(self, service: str) -> Shares:
        """Where clients go now, with what they keep: member -> share."""
        return dict(self._service(service).share)

    def healthy(self, member: str) -> bool:
        """The provider's verdict."""
        return self._member(member).check.healthy > 0

    def results(self) -> tuple[ServiceResult, ...]:
        """Everything until now, by service."""
        self._account()
        for one in self._services.values():
            one.knot(self.clock.now)
        return tuple(one.result(self.clock.now - self.begin) for one in self._services.values())

    # --- what happens to members ------------------------------------------------------------------------------------

    def _member(self, name: str) -> MemberPlay:
        if name not in self._members:
            hint = did_you_mean(name, self._members)
            raise SpillwayError(f"{self.world.stack}: {name}: no such member{hint}; has {listed(self._members, 'and')}")
        return self._members[name]

    def _service(self, name: str) -> ServicePlay:
        if name not in self._services:
            hint, has = did_you_mean(name, self._services), listed(self._services, "and")
            raise SpillwayError(f"{self.world.stack}: {name}: no such service{hint}; has {has}")
        return self._services[name]

    def _tell(self, place: str, what: str, why: str = "") -> None:
        self.log.append((self.clock.now, place, what, why))

    def _changes(self, one: MemberPlay, change: Callable[[], None]) -> None:
        """The member does something else from now on, whether or not checks can see it."""
        self._account()
        now, name, before = self.clock.now, one.member.name, one.truth
        change()
        if one.truth < before:
            for service in self._services.values():
                for kind in service.connections:
                    kind.breaks(name, 1 - one.truth / before)
        if one.truth == 0 < before:
            for service in self._services.values():
                if service.steered.get(name, 0.0) > 0:  # otherwise its last clients are leaving anyhow
                    service.switches.fails(now, name, service.share.get(name, 0.0))
        elif before == 0 < one.truth:
            for service in self._services.values():
                service.switches.recovers(now, name)
        self._retry(one)
        self._show(one)

    def _show(self, one: MemberPlay) -> None:
        """What checks can see of a member."""
        now, before, blind = self.clock.now, one.shown, self._blind and not self._silent
        one.shown = 0.0 if blind else one.truth
        if one.shown < 1 <= before:
            one.worse = now
        if one.shown == 0 < before:
            one.gone = now
        if one.shown > before and (before == 0 or one.shown == 1):
            one.better = now
        first = now == self.begin
        if first:
            one.check.settle(healthy=one.shown > 0)
        one.check.show(one.shown, "blackhole" if blind else one.kind, self._silent)
        if first:
            self._refresh()
        self._later()

    def _retry(self, one: MemberPlay) -> None:
        """A proxy that tries failing requests elsewhere: from when on, and which share of them."""
        one.turn += 1
        turn, after, failing = one.turn, one.retries_after, 1 - one.truth
        one.retried = 0.0 if after is None else min(one.retried, failing)
        if after is None or one.retried == failing:
            return

        def begin() -> None:
            if one.turn == turn:
                one.retried = failing
                self._later()

        self.clock.at(self.clock.now + after, Order.DNS, begin)

    # --- what follows -----------------------------------------------------------------------------------------------

    def _later(self) -> None:
        """Work it out once, after everything else that happens now."""
        if not self._due:
            self._due = True
            self.clock.at(self.clock.now, Order.DNS, self._refresh)

    def _refresh(self) -> None:
        """Health, answers and clients anew."""
        self._due = False
        self._account()
        now = self.clock.now
        health = {name: one.check.healthy for name, one in self._members.items()}
        retried = {name: one.retried for name, one in self._members.items()}
        moved = set()
        for name, share in health.items():
            was = self._health.get(name, 1.0)
            if (share > 0) != (was > 0):
                word = "healthy" if share > 0 else "unhealthy"
                self._tell(name, f"taken for {word}", f"{self.provider}'s checks")
            if (share > 0) != (was > 0) or retried[name] != self._retried.get(name, 0.0):
                moved.add(name)
        self._health, self._retried = health, retried
        changed = self._holds
        for service in self._services.values():
            before = service.answers[-1][1] if service.answers else {}
            if not service.tell(now, self._steered(service, health), self._down):
                continue
            changed = True
            if now > self.begin:
                self._switch(service, moved, before, service.answers[-1][1])
                for seconds in service.ramps:
                    for step in range(1, STEPS + 1):
                        heapq.heappush(self._ramp, now + seconds * step / STEPS)
        if changed:
            self._step()

    def _steered(self, service: ServicePlay, health: Mapping[str, float]) -> Shares:
        """Who requests are sent to, those that a proxy tries once more included."""
        told = service.tree.answers(health)
        found = dict(told)
        for name, share in told.items():
            retried = self._members[name].retried
            other = service.tree.healthy({**health, name: 0.0}) if retried else None
            for member, part in (other or {}).items():
                found[member] = found.get(member, 0.0) + share * retried * part
            if other:
                found[name] -= share * retried
        return spread(found) if found != told else told

    def _switch(self, service: ServicePlay, moved: set[str], before: Shares, after: Shares) -> None:
        now = self.clock.now
        for name in sorted({*before, *after}):
            had, has = before.get(name, 0.0), after.get(name, 0.0)
            if (had > 0) == (has > 0):
                continue
            away = not has
            service.switches.turns(now, name, away)
            if name in moved:
                one = self._members[name]
                changed = one.better if not away else one.gone if one.shown == 0 else one.worse
                service.switches.decides(now, changed, name, away, service.share.get(name, 0.0) if away else has)

    def _step(self) -> None:
        """Clients from now until the next step: the mean of that time, which lies in its middle."""
        self._account()
        now = self.clock.now
        while self._ramp and self._ramp[0] <= now:
            heapq.heappop(self._ramp)
        middle = (now + self._ramp[0]) / 2 if self._ramp else now
        up = {name: one.truth > 0 for name, one in self._members.items()}
        changed = [service.step(now, middle, up) for service in self._services.values()]
        for service in self._services.values():
            service.knot(now)
            late = [one.kind.seconds for one in service.connections if not one.settled]
            if late:  # connections end by themselves, fewer and fewer of them
                heapq.heappush(self._ramp, now + min(late) / STEPS)
        if self._ramp:
            due = self._ramp[0]
            self.clock.at(due, Order.DNS, lambda: self._next(due))
        if any(changed):
            for call in tuple(self.on_change):
                call()

    def _next(self, due: float) -> None:
        if self._ramp and self._ramp[0] == due:
            self._step()

    def _account(self) -> None:
        """Who was reached since the last time, before anything changes."""
        now = self.clock.now
        if now > self._since:
            for service in self._services.values():
                share = sum(part * self._members[name].truth for name, part in service.share.items())
                service.reached += share * (now - self._since)
            self._since = now


def _set(one: MemberPlay, answering: float, failure: Failure, blackhole: bool) -> None:
    one.answering, one.failure, one.blackhole = answering, failure, blackhole


def _where(world: World, service: Service, clients: Clients) -> dict[str, float]:
    """Where a service's clients are: as given, otherwise evenly where the members are that it is made for."""
    if clients.where is not None:
        return spread(clients.where)
    tiers = [tier for tier in service.tiers if not tier.degraded] or list(service.tiers)
    near = {world.member(place.member).nearest_aws_region for tier in tiers for place in tier.places}
    return spread(dict.fromkeys(sorted(near), 1.0))
