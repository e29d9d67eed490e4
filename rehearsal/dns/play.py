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
from infra.faults import did_you_mean
from rehearsal.dns.checks import MemberCheck
from rehearsal.dns.clients import Clients, Told, mixed
from rehearsal.dns.switches import Switches
from rehearsal.dns.tree import Shares, Tree, spread
from rehearsal.fleet.model import Member, Service, World
from rehearsal.regions.clock import Clock, Order
from rehearsal.result import ServiceResult
from spillway.errors import SpillwayError

PROXIED_TTL: Final = 300.0
"""Of a proxied name's addresses, which are Cloudflare's own, in seconds
(https://developers.cloudflare.com/dns/manage-dns-records/reference/ttl/)."""
STEPS: Final = 10
"""In which clients follow a changed answer while their caches end; each has the mean of its time."""
NOBODY: Final = "."
"""Stands for the proxies that a proxied name leads to."""


class MemberPlay:
    """One member: what it does in truth, what checks see of it, what the provider makes of that."""

    def __init__(self, clock: Clock, member: Member, check: CheckSettings, seed: str, changed: Callable[[], None]):
        self.member = member
        self.settings = replace(check, addresses=member.addresses)
        self.check = MemberCheck(clock, check, member.addresses, seed, changed)
        self.answering = 1.0
        self.failure: Failure = "error"
        self.blackhole = False
        self.shown = 1.0
        """To probes."""
        self.worse, self.gone, self.better = clock.now, clock.now, clock.now
        """When probes last began to fail, to fail always, to pass at all."""
        self.retried = 0.0
        """Share of its requests that the provider's proxy tries elsewhere by itself."""
        self.changes = 0

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


class ServicePlay:
    """One name: what is told of it, and where its clients go."""

    def __init__(self, service: Service, tree: Tree) -> None:
        self.service, self.tree = service, tree
        self.told = Told()
        """Who a request that asks now is sent to."""
        self.named = Told()
        """Whether the name is answered at all, where that is not the same (proxied)."""
        self.answers: list[tuple[float, Shares]] = []
        self.clients: list[tuple[float, Shares]] = []
        self.knots: tuple[list[float], list[Shares]] = ([], [])
        self.switches = Switches(service.name)
        self.reached = 0.0


class DnsPlay:
    """Plays from `clock.now` on. Deterministic: same world, same seed, same calls, same results.

    Members answer in full until they are set. What is set at the very begin has been so for long: the provider knows.
    clients: where they are, and who keeps answers for longer than told. Shares of `answers` and `clients` sum to 1; to
    less only while the provider is down, and what lacks are clients that get no answer.
    """

    def __init__(self, clock: Clock, world: World, *, seed: int = 0, clients: Clients | None = None) -> None:
        self.clock, self.world = clock, world
        self.begin = clock.now
        self.on_change: list[Callable[[], None]] = []
        self.log: list[tuple[float, str, str, str]] = []
        """(at, place, what, why), in order."""
        check = world.check
        self._members = {
            member.name: MemberPlay(clock, member, check, f"dns/{seed}/{member.name}", self._verdict)
            for member in world.members
        }
        self._down = False
        self._blind = self._silent = False
        self._due = False
        self._since = clock.now
        self._ramp: list[float] = []
        who = clients or Clients()
        self._windows = who.windows(PROXIED_TTL if check.proxied else check.cache_seconds)
        self._services = {
            one.name: ServicePlay(one, Tree(world, one, _where(world, one, who))) for one in world.services
        }
        self._was: dict[str, tuple[bool, float]] = {}
        self._refresh()

    # --- what a fleet and a scenario do -----------------------------------------------------------------------------

    def set_member(self, name: str, answering: float, failure: Failure = "error") -> None:
        """From now on the member answers this share of its probes and requests. failure: what the others get."""
        one = self._member(name)
        if not 0 <= answering <= 1:
            raise SpillwayError(f"{name}: answering = {answering:g}: has to be 0 to 1")
        if failure not in FAILURES:
            raise SpillwayError(f"{name}: failure = {failure}: has to be one of {', '.join(FAILURES)}")
        if (answering, failure) != (one.answering, one.failure):
            self._account()
            one.answering, one.failure = float(answering), failure
            self._show(one)

    def blackhole(self, member: str, yes: bool) -> None:
        """No packet comes back from the member, whatever else it does; or they do again."""
        one = self._member(member)
        if yes != one.blackhole:
            self._account()
            one.blackhole = yes
            self._tell(member, "unreachable" if yes else "reachable again")
            self._show(one)

    def blind(self, yes: bool, why: str = "", *, silent: bool = False) -> None:
        """Checkers see nothing: every probe of every member ends in silence, so that nobody is healthy and the provider
        does what it does then. silent: checkers report nothing at all; what they said last stays."""
        if (yes, yes and silent) != (self._blind, self._silent):
            self._blind, self._silent = yes, yes and silent
            self._tell(self.world.provider, "checkers are blind" if yes else "checkers see again", why)
            for one in self._members.values():
                self._show(one)

    def provider_down(self, yes: bool) -> None:
        """No name server answers: clients go by what they keep, and those that keep nothing any more fail."""
        if yes != self._down:
            self._down = yes
            self._tell(self.world.provider, "name servers do not answer" if yes else "name servers answer again")
            self._later()

    # --- what others ask --------------------------------------------------------------------------------------------

    def answers(self, service: str) -> Shares:
        """Who a client that keeps nothing is sent to now: member -> share; empty while no name server answers."""
        return dict(self._service(service).answers[-1][1])

    def clients(self, service: str) -> Shares:
        """Where clients go now, with what they keep: member -> share."""
        return dict(self._service(service).clients[-1][1])

    def healthy(self, member: str) -> bool:
        """The provider's verdict."""
        return self._member(member).check.healthy > 0

    def results(self) -> tuple[ServiceResult, ...]:
        """Everything until now, by service."""
        self._account()
        length = self.clock.now - self.begin
        return tuple(
            ServiceResult(
                name=name,
                policy=one.service.policy,
                answers=tuple(one.answers),
                clients=tuple(one.clients),
                reached=one.reached / length if length else self._reached(one),
                switches=one.switches.results(*one.knots),
            )
            for name, one in self._services.items()
        )

    # --- inside -----------------------------------------------------------------------------------------------------

    def _member(self, name: str) -> MemberPlay:
        if name not in self._members:
            hint = did_you_mean(name, self._members)
            raise SpillwayError(f"{self.world.stack}: {name}: no such member{hint}; has {', '.join(self._members)}")
        return self._members[name]

    def _service(self, name: str) -> ServicePlay:
        if name not in self._services:
            hint = did_you_mean(name, self._services)
            raise SpillwayError(f"{self.world.stack}: {name}: no such service{hint}; has {', '.join(self._services)}")
        return self._services[name]

    def _tell(self, place: str, what: str, why: str = "") -> None:
        self.log.append((self.clock.now, place, what, why))

    def _show(self, one: MemberPlay) -> None:
        """The member changed, or what can be seen of it."""
        now, name = self.clock.now, one.member.name
        before, blind = one.shown, self._blind and not self._silent
        one.shown = 0.0 if blind else one.truth
        one.changes += 1
        if one.shown < 1 <= before:
            one.worse = now
        if one.shown > before and (before == 0 or one.shown == 1):
            one.better = now
        if one.shown == 0 < before:
            one.gone = now
            for service in self._services.values():
                service.switches.fails(now, name, service.clients[-1][1].get(name, 0.0) if service.clients else 0.0)
        elif before == 0 < one.shown:
            for service in self._services.values():
                service.switches.answers(name)
        if now == self.begin:
            one.check.settle(healthy=one.shown > 0)
        one.check.show(one.shown, "blackhole" if blind else one.kind, self._silent)
        self._retry(one)
        if now == self.begin:
            self._refresh()
        self._later()

    def _retry(self, one: MemberPlay) -> None:
        """A proxy that tries failing requests elsewhere: from when on, and which share of them."""
        if one.truth >= 1 or one.retries_after is None:
            one.retried = 0.0
            return
        changes = one.changes
        one.retried = min(one.retried, 1 - one.truth)

        def begin() -> None:
            if one.changes == changes:
                one.retried = 1 - one.truth
                self._later()

        self.clock.at(self.clock.now + one.retries_after, Order.DNS, begin)

    def _verdict(self) -> None:
        self._later()

    def _later(self) -> None:
        """Work it out once, after everything else that happens now."""
        if not self._due:
            self._due = True
            self.clock.at(self.clock.now, Order.DNS, self._refresh)

    def _refresh(self) -> None:
        """Health, answers and clients anew."""
        self._due = False
        now, proxied = self.clock.now, self.world.check.proxied
        self._account()
        health = {name: one.check.healthy for name, one in self._members.items()}
        state = {name: (health[name] > 0, one.retried) for name, one in self._members.items()}
        moved = {name for name in state if state[name] != self._was.get(name)} if self._was else set()
        for name in moved:
            if state[name][0] != self._was[name][0]:
                word = "healthy" if state[name][0] else "unhealthy"
                self._tell(name, f"taken for {word}", f"{self.world.provider}'s checks")
        self._was = state
        changed = False
        for service in self._services.values():
            steered = self._steered(service, health)
            told = steered if proxied or not self._down else {}
            named = {} if self._down else {NOBODY: 1.0}
            if service.told.values and told == service.told.values[-1] and named == service.named.values[-1]:
                continue
            changed = True
            before = service.told.values[-1] if service.told.values else {}
            if service.told.values:
                self._knot(service)  # as it was until now: without caches it jumps
            service.told.add(now, told)
            service.named.add(now, named)
            _append(service.answers, now, {} if self._down else steered)
            self._switch(service, moved, before, told)
            self._knot(service)
            for _, seconds in self._windows:
                if seconds > 0 and service.told.times[0] < now:
                    for step in range(1, STEPS + 1):
                        heapq.heappush(self._ramp, now + seconds * step / STEPS)
        if changed:
            self._step(start=True)

    def _steered(self, service: ServicePlay, health: Mapping[str, float]) -> Shares:
        """Who requests are sent to, those that a proxy tries once more included."""
        told = service.tree.answers(health)
        found = dict(told)
        for name, share in told.items():
            retried = self._members[name].retried
            other = service.tree.healthy({**health, name: 0.0}) if retried else None
            if not other:
                continue
            found[name] -= share * retried
            for member, part in other.items():
                found[member] = found.get(member, 0.0) + share * retried * part
        return spread(found) if found != told else told

    def _switch(self, service: ServicePlay, moved: set[str], before: Shares, told: Shares) -> None:
        now = self.clock.now
        for name in sorted(moved):
            one, had, has = self._members[name], before.get(name, 0.0), told.get(name, 0.0)
            if had > 0 and not has:
                since = one.gone if one.shown == 0 else one.worse
                share = service.clients[-1][1].get(name, 0.0) if service.clients else had
                service.switches.decided(now, since, name, True, share)
            elif has > 0 and not had:
                service.switches.decided(now, one.better, name, False, has)

    def _kept(self, service: ServicePlay, at: float) -> Shares:
        """Where clients go at a time until which nothing is going to change."""
        if not self.world.check.proxied:
            return mixed(service.told, at, self._windows)
        known = mixed(service.named, at, self._windows).get(NOBODY, 0.0)
        told = service.told.values[-1]
        return told if known == 1.0 else {name: share * known for name, share in told.items() if known > 0}

    def _knot(self, service: ServicePlay) -> None:
        times, shares = service.knots
        times.append(self.clock.now)
        shares.append(self._kept(service, self.clock.now))

    def _step(self, start: bool = False) -> None:
        """Clients of the time until the next step: the mean of it, which lies in its middle."""
        now = self.clock.now
        if not start and not (self._ramp and self._ramp[0] <= now):
            return
        self._account()
        while self._ramp and self._ramp[0] <= now:
            heapq.heappop(self._ramp)
        middle = (now + self._ramp[0]) / 2 if self._ramp else now
        changed = start
        for service in self._services.values():
            if not start:
                self._knot(service)
            shares = self._kept(service, middle)
            if not service.clients or shares != service.clients[-1][1]:
                _append(service.clients, now, shares)
                changed = True
        if self._ramp:
            self.clock.at(self._ramp[0], Order.DNS, self._step)
        if changed:
            for call in tuple(self.on_change):
                call()

    def _account(self) -> None:
        """Who was reached since the last time, before anything changes."""
        now = self.clock.now
        if now > self._since:
            for service in self._services.values():
                service.reached += self._reached(service) * (now - self._since)
            self._since = now

    def _reached(self, service: ServicePlay) -> float:
        return sum(share * self._members[name].truth for name, share in service.clients[-1][1].items())


def _append(series: list[tuple[float, Shares]], at: float, shares: Shares) -> None:
    if series and series[-1][0] == at:
        series.pop()
    if not series or series[-1][1] != shares:
        series.append((at, shares))


def _where(world: World, service: Service, clients: Clients) -> dict[str, float]:
    """Where a service's clients are: as given, otherwise evenly where the members are that it is made for."""
    if clients.where is not None:
        return spread(clients.where)
    tiers = [tier for tier in service.tiers if not tier.degraded] or list(service.tiers)
    near = [world.member(place.member).nearest_aws_region for tier in tiers for place in tier.places]
    return spread(dict.fromkeys(sorted(set(near)), 1.0))
