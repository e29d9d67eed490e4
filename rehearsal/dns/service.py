"""One name over time: who is told, and where its clients go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from rehearsal.dns.clients import NOBODY, Clients, Connections, Told, add
from rehearsal.dns.switches import Switches
from rehearsal.dns.tree import Shares, Tree
from rehearsal.fleet.model import Service
from rehearsal.result import ServiceResult

STEPS: Final = 5
"""In which clients follow a changed answer while their caches end; each has the mean of its time. Whoever counts
requests does so anew at each."""
_NAMED: Shares = {NOBODY: 1.0}


class ServicePlay:
    """proxied: requests are steered one by one, and the name leads to the provider's own addresses, which clients keep
    for `ttl` seconds all the same."""

    def __init__(self, service: Service, tree: Tree, clients: Clients, ttl: float, proxied: bool) -> None:
        self.service, self.tree, self.proxied, self.ttl = service, tree, proxied, ttl
        self.caches = clients.caches(ttl, proxied=proxied)
        self.stale = clients.stale
        self.steered: Shares = {}
        """Who a request is sent to that goes by the answer of now."""
        self.told, self.old = Told(), Told()
        """What name servers say: members, or (proxied) whether anything. old: as resolvers have it that keep what they
        had while no name server answers."""
        self.kinds = () if proxied else clients.connected
        self.connections: list[Connections] = []
        self.answers: list[tuple[float, Shares]] = []
        self.clients: list[tuple[float, Shares]] = []
        self.knots: tuple[list[float], list[Shares]] = ([], [])
        self.switches = Switches(service.name)
        self.reached = 0.0

    @property
    def share(self) -> Shares:
        """Of the clients, now, by member."""
        return self.clients[-1][1] if self.clients else {}

    def tell(self, at: float, steered: Shares, down: bool) -> bool:
        """From now on requests are sent so, and name servers answer or (down) do not; whether that is new."""
        said: Shares = {} if down else (_NAMED if self.proxied else steered)
        first = not self.told.values
        if not first and steered == self.steered and said == self.told.now:
            return False
        if not first:
            self.knot(at)  # until now; without caches it jumps
        self.steered = steered
        self.told.add(at, said)
        if not down or first:
            self.old.add(at, _NAMED if self.proxied else steered)
        _append(self.answers, at, {} if down else steered)
        if first:
            self.connections = [Connections(kind, at, said) for kind in self.kinds]
        self.knot(at)
        return True

    @property
    def ramps(self) -> tuple[float, ...]:
        """Seconds for which clients go on to follow an answer that changes now."""
        kept = {seconds for _, seconds in self.caches} | ({self.ttl} if self.kinds else set())
        return tuple(sorted(seconds for seconds in kept if seconds > 0))

    def knot(self, at: float) -> None:
        """Note where clients go at this very moment."""
        times, shares = self.knots
        times.append(at)
        shares.append(self._all(at))

    def step(self, at: float, middle: float, up: Mapping[str, bool]) -> bool:
        """Clients from now until nothing is going to change before twice as far as `middle`; whether they go elsewhere
        than before. up: whether a member answers anybody."""
        if self.connections:
            fresh = self._said(middle, ((1.0, self.ttl),))
            for one in self.connections:
                one.advance(at, fresh, up)
        shares = self._all(middle)
        if self.clients and shares == self.clients[-1][1]:
            return False
        _append(self.clients, at, shares)
        return True

    def _said(self, at: float, caches: Sequence[tuple[float, float]]) -> Shares:
        fresh = self.told.mixed(at, caches)
        if not self.stale:
            return fresh
        found: Shares = {}
        add(found, fresh, 1 - self.stale)
        add(found, self.old.mixed(at, caches), self.stale)
        return found

    def _all(self, at: float) -> Shares:
        said = self._said(at, self.caches)
        if self.proxied:
            known = min(said.get(NOBODY, 0.0), 1.0)
            return (
                self.steered if known == 1.0 else {one: share * known for one, share in self.steered.items() if known}
            )
        if not self.connections:
            return said
        found = dict(said)
        for one in self.connections:
            add(found, one.shares, one.kind.share)
        return found

    def result(self, length: float) -> ServiceResult:
        """Over so many seconds."""
        return ServiceResult(
            name=self.service.name,
            policy=self.service.policy,
            answers=tuple(self.answers),
            clients=tuple(self.clients),
            reached=self.reached / length if length else 1.0,
            switches=self.switches.results(*self.knots),
        )


def _append(series: list[tuple[float, Shares]], at: float, shares: Shares) -> None:
    if series and series[-1][0] == at:
        series.pop()
    if not series or series[-1][1] != shares:
        series.append((at, shares))
