"""Takes a region of the stand-in down and brings it back, on a virtual clock: when do checks, answers and clients move?

Checkers, zone and clients here are event by event and know nothing of the failover budget, so its figures can be held
against theirs. What the providers do not document takes no time: from the checkers to the name servers. Connections
that are already open are not part of it: a client here asks again as soon as its answer has expired.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from sandbox.dns.answer import Answer
from sandbox.dns.authority import Authority, Snapshot
from sandbox.dns.client import JVM_SECONDS, CachingResolver
from sandbox.dns.clock import Clock
from sandbox.dns.health import Scripted
from sandbox.dns.holders import Holder
from sandbox.dns.probe import Event, Log
from sandbox.weather import DownKind
from spillway.errors import SpillwayError

WARM_UP = 60.0
"""Least seconds before the failure, in which every check forms an opinion and every client a cache."""
THINK = 1.0
"""A client's next request comes up to so many seconds after its answer has expired."""
SAMPLES = 400
"""Answers by which shares are told."""


@dataclass(frozen=True, slots=True)
class Spread:
    """Seconds over all clients and runs. count: how many values."""

    median: float
    p95: float
    worst: float
    count: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread | None:
        """None without values. p95: the value that 95 % do not exceed (nearest rank)."""
        if not values:
            return None
        ranked = sorted(values)
        return cls(median(ranked), ranked[max(0, math.ceil(0.95 * len(ranked)) - 1)], ranked[-1], len(ranked))


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What a rehearsal found. Times are seconds from the moment at which the region went down, or came back.

    detected: until no answer leads to the region any more. away: until a client that used the region is served by
    another one for good; stubborn: the same for clients that keep answers `JVM_SECONDS`. noticed: until answers lead
    to the region again. back: until a client that used it does so again. events: of the first run. before, during,
    after: shares of answers by member. None: it did not happen.
    """

    service: str
    provider: str
    region: str
    kind: DownKind
    client_region: str
    ttl: int
    clients: int
    runs: int
    seed: int
    outage: float
    detected: Spread | None
    away: Spread | None
    stubborn: Spread | None
    noticed: Spread | None
    back: Spread | None
    before: Mapping[str, float]
    during: Mapping[str, float]
    after: Mapping[str, float]
    events: tuple[Event, ...]

    def describe(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        return {"clock": "virtual", **asdict(self)}


def take_down(
    directory: Path,
    region: str,
    kind: DownKind = "blackhole",
    *,
    service: str | None = None,
    provider: str | None = None,
    client_region: str = "us-east-1",
    members: Mapping[str, Sequence[str]] | None = None,
    clients: int = 100,
    runs: int = 20,
    stubborn: int = 20,
    outage: float = 180.0,
    aftermath: float = 120.0,
    seed: int = 0,
) -> Rehearsal:
    """Rehearse the loss of one AWS region of the sandbox in `directory`, whose weather stays as it is.

    service: the name asked for; the only one when left out. provider: route53 | cloudflare | traffic-manager, whose
    zone answers when several hold it. client_region: where the clients are. members: name ->
    addresses, to call answers by; the stacks that hold the addresses when left out. clients: how many in each run, and
    `stubborn` more that keep answers longer than their TTL says. outage, aftermath: seconds that the region is down,
    and that are watched after its return. Raises SpillwayError when the service is not there, or never answers with the
    region.
    """
    snapshot = Snapshot.load(directory)
    name, provider = _service(snapshot, service, provider)
    naming = _naming(snapshot, members)
    found: list[_Run] = []
    for number in range(runs):
        run = _Run(snapshot, name, provider, region, kind, client_region, naming, seed + number, clients, stubborn)
        run.play(outage, aftermath, tell=number == 0)
        found.append(run)
    first = found[0]
    return Rehearsal(
        service=name,
        provider=str(first.authority.provider(name)),
        region=region,
        kind=kind,
        client_region=client_region,
        ttl=first.ttl,
        clients=clients,
        runs=runs,
        seed=seed,
        outage=outage,
        detected=Spread.of([r.detected for r in found if r.detected is not None]),
        away=Spread.of([t for r in found for t in r.times("away", stubborn=False)]),
        stubborn=Spread.of([t for r in found for t in r.times("away", stubborn=True)]),
        noticed=Spread.of([r.noticed for r in found if r.noticed is not None]),
        back=Spread.of([t for r in found for t in r.times("back", stubborn=False)]),
        before=first.shares["before"],
        during=first.shares["during"],
        after=first.shares["after"],
        events=tuple(first.log.events),
    )


def _service(snapshot: Snapshot, service: str | None, provider: str | None) -> tuple[str, str | None]:
    authority = Authority(snapshot, Clock(), Scripted(snapshot.held), delegated=provider)
    names = authority.services()
    if service is None:
        if len(names) == 1:
            return names[0], authority.provider(names[0])
        if not names:
            raise SpillwayError("the stand-in clouds hold no service name: bring the stack `global` up first")
        raise SpillwayError(f"name the service: the stand-in clouds hold {', '.join(names)}")
    if not authority.answer(service).values:
        raise SpillwayError(f"{service}: no answer from the stand-in clouds; there are {', '.join(names) or 'none'}")
    return service, authority.provider(service)


def _naming(snapshot: Snapshot, members: Mapping[str, Sequence[str]] | None) -> Callable[[str], str]:
    names = {address: name for name, addresses in (members or {}).items() for address in addresses}

    def named(address: str) -> str:
        return names.get(address) or snapshot.holders.get(address, Holder("", "")).stack or address

    return named


@dataclass(slots=True)
class _Client:
    """One client: `home` while it was served from the region before."""

    stubborn: bool
    home: bool = False
    away: float | None = None
    back: float | None = None


class _Run:
    """One failure and one return, at their own moment within the checkers' rhythm."""

    def __init__(
        self,
        snapshot: Snapshot,
        service: str,
        provider: str | None,
        region: str,
        kind: DownKind,
        client_region: str,
        naming: Callable[[str], str],
        seed: int,
        clients: int,
        stubborn: int,
    ) -> None:
        self.service, self.region, self.kind, self.location = service, region, kind, client_region
        self.clock, self.log = Clock(), Log()
        self.endpoints = Scripted(snapshot.held)
        self.authority = Authority(snapshot, self.clock, self.endpoints, seed, self.log, provider)
        self._naming = naming
        self._chance = random.Random(f"clients/{seed}")
        self._zone = self.authority.proxied(service)
        self._down_at = self._up_at = math.inf
        self.lost = {a for a, h in snapshot.holders.items() if (h.cloud, h.region) == ("aws", region)}
        self.clients = [_Client(n >= clients) for n in range(clients + stubborn)]
        self.shares: dict[str, dict[str, float]] = {}
        self.detected: float | None = None
        self.noticed: float | None = None
        self.ttl = self.authority.answer(service, location=client_region).ttl
        self._seen = ""

    def times(self, what: str, *, stubborn: bool) -> list[float]:
        found = [getattr(c, what) for c in self.clients if c.home and c.stubborn == stubborn]
        return [t for t in found if t is not None]

    def play(self, outage: float, aftermath: float, *, tell: bool) -> None:
        clock = self.clock
        for client in self.clients:
            self._start(client)
        warm = max(WARM_UP, self.authority.settling)
        clock.run_until(warm + self._chance.random() * 30)  # any moment of the checkers' rhythm
        self.log.events.clear()
        self.shares["before"] = self._shares()
        if not any(address in self.lost for address in self._answered()):
            raise SpillwayError(f"{self.region}: {self.service} never answers with an address of this region")
        self._down_at = clock.now
        self.endpoints.strike(self.kind, cloud="aws", region=self.region)
        self._tell("weather", self.region, f"goes down: {self.kind}")
        self._watch(self._down_at + outage, tell=tell, gone=True)
        self.shares["during"] = self._shares()
        self._note_last("away")
        self._up_at = clock.now
        self.endpoints.lift(cloud="aws", region=self.region)
        self._tell("weather", self.region, "is back")
        self._watch(self._up_at + aftermath, tell=tell, gone=False)
        self.shares["after"] = self._shares()
        self._note_last("back")
        self.log.events = [
            Event(e.at - self._down_at, e.what, e.subject, e.text)
            for e in sorted(self.log.events, key=lambda event: event.at)
        ]

    def _tell(self, what: str, subject: str, text: str) -> None:
        self.log.add(self.clock.now, what, subject, text)

    def _watch(self, end: float, *, tell: bool, gone: bool) -> None:
        """Run to the end, and look at the answers whenever the health of anything changed."""
        clock, version, began = self.clock, self.authority.version, self.clock.now
        self._note_answers(tell=tell)
        while clock.next_due <= end:
            clock.run_until(clock.next_due)
            if self.authority.version != version:
                version = self.authority.version
                lost = any(address in self.lost for address in self._answered())
                if gone and not lost and self.detected is None:
                    self.detected = clock.now - began
                if not gone and lost and self.noticed is None:
                    self.noticed = clock.now - began
                self._note_answers(tell=tell)
        clock.run_until(end)

    def _answered(self) -> set[str]:
        return {address for answer in self._sample(SAMPLES) for address in answer.addresses}

    def _sample(self, count: int) -> list[Answer]:
        return [self.authority.answer(self.service, "A", self.location) for _ in range(count)]

    def _shares(self) -> dict[str, float]:
        counts = Counter(self._naming(a) for answer in self._sample(SAMPLES) for a in answer.addresses[:1])
        return {name: count / SAMPLES for name, count in counts.most_common()}

    def _note_answers(self, *, tell: bool) -> None:
        if not tell:
            return
        shares = self._shares()
        if (seen := ", ".join(sorted(shares))) != self._seen:
            self._seen = seen
            told = ", ".join(f"{name} {share:.0%}" for name, share in shares.items())
            self._tell("answer", self.service, f"now leads to {told or 'nothing'}")

    def _note_last(self, what: str) -> None:
        times = self.times(what, stubborn=False)
        began = self._down_at if what == "away" else self._up_at
        word = "served elsewhere" if what == "away" else "back in the region"
        home = [c for c in self.clients if c.home and not c.stubborn]
        for label, share in (("half of the clients", 0.5), ("the last client", 1.0)):
            if times and len(times) >= share * len(home):
                at = sorted(times)[max(0, math.ceil(share * len(times)) - 1)]
                many = f"{math.ceil(share * len(times))} of {len(home)} that used {self.region}"
                self.log.add(began + at, "client", self.service, f"{label}: {word} ({many})")

    # Clients

    def _start(self, client: _Client) -> None:
        if self._zone is not None:
            self.clock.after(self._chance.random() * THINK, lambda: self._request(client))
            return
        keep = float(JVM_SECONDS) if client.stubborn else 0.0
        cache = CachingResolver(lambda name: self.authority.answer(name, "A", self.location), self.clock, keep)

        def ask() -> None:
            answer = cache.resolve(self.service)
            self._served(client, answer.addresses[0] if answer.addresses else "", 0.0)
            wait = max(0.0, cache.expires(self.service) - self.clock.now)
            self.clock.after(wait + self._chance.random() * THINK, ask)

        # Long-running clients: each is somewhere within the lifetime of its answer.
        self.clock.after(self._chance.random() * max(float(self.ttl), keep, THINK), ask)

    def _request(self, client: _Client) -> None:
        """Behind a proxy every request is steered by itself."""
        assert self._zone is not None
        reach = self._zone.reach(self.service, self.endpoints, self.location)
        good = reach.status == 200
        self._served(client, reach.origin, reach.seconds, good=good)
        self.clock.after(reach.seconds + THINK, lambda: self._request(client))

    def _served(self, client: _Client, address: str, seconds: float, *, good: bool | None = None) -> None:
        """A client turns to an address; `seconds` until it knows. Bad: what it turned to does not serve."""
        now = self.clock.now
        inside = address in self.lost
        if now < self._down_at:
            client.home = inside or (client.home and self._zone is not None)
            return
        if good is None:
            good = self.endpoints.behaviour(address) == "up"
        if now < self._up_at:
            if not good:
                client.away, client.home = None, True
            elif client.home and client.away is None:
                client.away = now + seconds - self._down_at
        elif client.home and inside and good and client.back is None:
            client.back = now - self._up_at
