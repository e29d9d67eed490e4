"""Where clients go while answers change: each keeps what it was told for a time, and then asks again."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import exp, isfinite
from typing import Final

from infra.faults import Fault
from rehearsal.dns.tree import Shares
from spillway.errors import SpillwayError

NOBODY: Final = "."
"""Stands for no answer among what clients have; no member has such a name."""
NEAR: Final = 0.005
"""Share of all clients: connections that differ from fresh answers by no more are taken for settled."""

_SLACK: Final = 1e-9
"""Seconds: times are sums of floats, and an answer that was forgotten that long ago is forgotten."""


@dataclass(frozen=True, slots=True)
class Keeping:
    """Clients that use an answer for longer than its TTL says: some resolvers, and runtimes with a cache of their own.

    share: of all clients. seconds: for which they keep it at least. source: where both figures are from. What is known
    of it: 8.74 % of 8,524 resolvers extend TTLs (https://doi.org/10.1007/978-3-031-28486-1_23), and a JVM keeps answers
    for 30 s or for ever (https://docs.aws.amazon.com/sdk-for-java/latest/developer-guide/jvm-ttl-dns.html).
    """

    share: float
    seconds: float
    source: str


@dataclass(frozen=True, slots=True)
class Connected(Keeping):
    """Clients that hold a connection for `seconds` on average, whatever names mean meanwhile. It breaks when its member
    stops answering, the connections of some of its nodes with those nodes; the client then goes by what its resolver
    has, and by the TTL. Behind a proxy, which steers each request, a connection holds nobody."""


@dataclass(frozen=True, slots=True)
class Clients:
    """Who asks. All others than those in `keeping` honour the TTL, as `spillway dns budget` counts them.

    where: AWS region -> share of the clients there; None: evenly where a service's members are. stale: share of the
    clients whose resolvers go on with an old answer while no name server answers (https://www.rfc-editor.org/rfc/rfc8767).
    Raises SpillwayError for figures that mean nothing.
    """

    where: Mapping[str, float] | None = None
    keeping: tuple[Keeping, ...] = ()
    stale: float = 0.0

    def __post_init__(self) -> None:
        faults = [Fault(("stale",), "has to be 0 to 1", self.stale)] if not 0 <= self.stale <= 1 else []
        for number, one in enumerate(self.keeping):
            if not 0 <= one.share <= 1:
                faults.append(Fault(("keeping", number, "share"), "has to be 0 to 1", one.share))
            if not (isfinite(one.seconds) and one.seconds > 0):
                faults.append(Fault(("keeping", number, "seconds"), "has to be above 0", one.seconds))
            if not one.source:
                faults.append(Fault(("keeping", number, "source"), "has to say where the figures are from", one.source))
        total = sum(one.share for one in self.keeping)
        if total > 1 + 1e-9:
            faults.append(Fault(("keeping",), f"shares have to sum to at most 1, and sum to {total:g}"))
        for region, share in (self.where or {}).items():
            if not (isfinite(share) and share >= 0):
                faults.append(Fault(("where", region), "has to be 0 or more", share))
        if self.where is not None and not sum(self.where.values()):
            faults.append(Fault(("where",), "has to have a region with a share above 0"))
        if faults:
            raise SpillwayError(*(fault.line("clients") for fault in faults))

    def caches(self, ttl: float, *, proxied: bool = False) -> tuple[tuple[float, float], ...]:
        """(share, seconds for which an answer of this TTL is kept), of the clients that no connection holds."""
        kept = [one for one in self.keeping if not isinstance(one, Connected)]
        others = sum(one.share for one in (kept if proxied else self.keeping))
        rows = ((1 - others, ttl), *((one.share, max(ttl, one.seconds)) for one in kept))
        return tuple((share, seconds) for share, seconds in rows if share > 1e-12)

    @property
    def connected(self) -> tuple[Connected, ...]:
        return tuple(one for one in self.keeping if isinstance(one, Connected) and one.share > 0)


@dataclass(slots=True)
class Told:
    """What a name server answered over time. Times rise."""

    times: list[float] = field(default_factory=list)
    values: list[Shares] = field(default_factory=list)

    def add(self, at: float, value: Shares) -> None:
        if self.times and self.times[-1] == at:
            self.times.pop()
            self.values.pop()
        self.times.append(at)
        self.values.append(value)

    @property
    def now(self) -> Shares:
        return self.values[-1]

    def kept(self, at: float, seconds: float) -> Shares:
        """What clients go by that keep an answer for so long: each asked at some moment of the last `seconds`, every
        moment with the same chance, so this is the mean over them. The first answer held ever before."""
        index = max(bisect_right(self.times, at) - 1, 0)
        begin = at - seconds
        if seconds <= 0 or index == 0 or self.times[index] <= begin + _SLACK:
            return self.values[index]
        found: Shares = {}
        end = at
        while end > begin + _SLACK:
            since = max(self.times[index], begin) if index else begin
            add(found, self.values[index], (end - since) / seconds)
            end, index = since, index - 1
        return found

    def mixed(self, at: float, caches: Sequence[tuple[float, float]]) -> Shares:
        """What clients of several kinds go by together: (share, seconds) each."""
        if len(caches) == 1 and caches[0][0] == 1.0:
            return self.kept(at, caches[0][1])
        found: Shares = {}
        for share, seconds in caches:
            add(found, self.kept(at, seconds), share)
        return found


def add(into: Shares, shares: Mapping[str, float], part: float) -> None:
    """Add a part of some shares to others."""
    for member, share in shares.items():
        into[member] = into.get(member, 0.0) + part * share


class Connections:
    """Where the connections of one kind of clients lead. fresh: what their resolvers have."""

    def __init__(self, kind: Connected, at: float, fresh: Shares) -> None:
        self.kind, self.at = kind, at
        self.held: Shares = dict(fresh)
        self.trying: Shares = {}
        """Clients without a connection, by the member that they still have in their caches, and try in vain."""
        self._fresh = _whole(fresh)

    def breaks(self, member: str, part: float) -> None:
        """Part of a member's connections end at once: their clients look at what they have in their caches."""
        lost = self.held.get(member, 0.0) * part
        if lost > 0:
            self.held[member] -= lost
            add(self.trying, self._fresh, lost)

    def advance(self, at: float, fresh: Shares, up: Mapping[str, bool]) -> None:
        """Until now: connections end, and caches change. Who tries a member that answers gets a connection."""
        ended = 1 - exp(-(at - self.at) / self.kind.seconds)
        self.at = at
        now, before = _whole(fresh), self._fresh
        gained = {name: share - before.get(name, 0.0) for name, share in now.items() if share > before.get(name, 0.0)}
        risen = sum(gained.values())
        for member, share in list(self.trying.items()):
            # Whoever has a member in its cache loses it as all others do that have it.
            had = before.get(member, 0.0)
            left = share * max(0.0, 1 - now.get(member, 0.0) / had) if had else share
            if left > 0 and risen > 0:
                self.trying[member] -= left
                add(self.trying, gained, left / risen)
        self._fresh = now
        for member in list(self.held):
            self.breaks(member, ended)
        for member, share in list(self.trying.items()):
            if up.get(member, False):
                del self.trying[member]
                self.held[member] = self.held.get(member, 0.0) + share

    @property
    def shares(self) -> Shares:
        """Of these clients, by the member that they use or try; they sum to less than 1 while some have no answer."""
        found = dict(self.held)
        add(found, self.trying, 1.0)
        return {name: share for name, share in found.items() if share > 1e-12 and name != NOBODY}

    @property
    def settled(self) -> bool:
        """Whether time alone changes nothing worth telling."""
        names = {*self.held, *self._fresh}
        far = max(abs(self.held.get(name, 0.0) - self._fresh.get(name, 0.0)) for name in names)
        return min(far, sum(self.held.values())) * self.kind.share <= NEAR


def _whole(fresh: Shares) -> Shares:
    """With those that get no answer."""
    lacking = 1 - sum(fresh.values())
    return {**fresh, NOBODY: lacking} if lacking > 1e-9 else dict(fresh)
