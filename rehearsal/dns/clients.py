"""Where clients go while answers change: each keeps what it was told for a time, and then asks again."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite

from rehearsal.dns.tree import Shares
from spillway.errors import SpillwayError


@dataclass(frozen=True, slots=True)
class Keeping:
    """Clients that use an answer for longer than its TTL says.

    share: of all clients. seconds: for which they keep it at least. source: where both figures are from.
    """

    share: float
    seconds: float
    source: str


@dataclass(frozen=True, slots=True)
class Clients:
    """where: AWS region -> share of the clients there; None: evenly where a service's members are. keeping: those that
    do not honour the TTL; all others do, as `spillway dns budget` counts them."""

    where: Mapping[str, float] | None = None
    keeping: tuple[Keeping, ...] = ()

    def __post_init__(self) -> None:
        for one in self.keeping:
            if not 0 <= one.share <= 1:
                raise SpillwayError(f"clients that keep answers: share = {one.share:g}: has to be 0 to 1")
            if not (isfinite(one.seconds) and one.seconds >= 0):
                raise SpillwayError(f"clients that keep answers: seconds = {one.seconds:g}: has to be 0 or more")
        total = sum(one.share for one in self.keeping)
        if total > 1 + 1e-9:
            raise SpillwayError(f"clients that keep answers: shares sum to {total:g}: at most 1")
        where = () if self.where is None else tuple(self.where.values())
        if self.where is not None and not (all(isfinite(one) and one >= 0 for one in where) and sum(where) > 0):
            raise SpillwayError("clients by region: shares have to be 0 or more, and one above 0")

    def windows(self, ttl: float) -> tuple[tuple[float, float], ...]:
        """(share, seconds for which an answer of this TTL is kept), of all clients."""
        honest = 1 - sum(one.share for one in self.keeping)
        rows = [(honest, ttl), *((one.share, max(ttl, one.seconds)) for one in self.keeping)]
        return tuple((share, seconds) for share, seconds in rows if share > 1e-12)


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

    def kept(self, at: float, seconds: float) -> Shares:
        """What clients go by that keep an answer for so long: each asked at some moment of the last `seconds`, every
        moment with the same chance, so this is the mean over them. The first answer held ever before."""
        index = max(bisect_right(self.times, at) - 1, 0)
        begin = at - seconds
        if seconds <= 0 or index == 0 or self.times[index] <= begin:
            return self.values[index]
        found: Shares = {}
        end = at
        while end > begin:
            since = self.times[index] if index else begin
            part = (end - max(since, begin)) / seconds
            for member, share in self.values[index].items():
                found[member] = found.get(member, 0.0) + share * part
            end, index = max(since, begin), index - 1
        return found


def mixed(told: Told, at: float, windows: tuple[tuple[float, float], ...]) -> Shares:
    """What all clients together go by."""
    if len(windows) == 1:
        return told.kept(at, windows[0][1])
    found: Shares = {}
    for part, seconds in windows:
        for member, share in told.kept(at, seconds).items():
            found[member] = found.get(member, 0.0) + part * share
    return found
