"""When a member changed in truth, when the provider's answer followed, and when its clients did."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

from rehearsal.dns.tree import Shares
from rehearsal.result import Switch

_CLOSE = 1e-9


@dataclass(slots=True)
class Change:
    """One switch of a member under way. share: of the clients that it had at `since` (or, coming, is to have): from
    then on they are watched. end: when something else began."""

    member: str
    away: bool
    at: float
    since: float
    share: float
    decided: float | None = None
    end: float = inf


class Switches:
    """Of one service. Members that others only stand in for, or that stand in, do not switch: they changed nothing."""

    def __init__(self, service: str) -> None:
        self.service = service
        self.all: list[Change] = []
        self._last: dict[str, Change] = {}

    def fails(self, at: float, member: str, share: float) -> None:
        """A member answers nobody any more, and has this share of the clients."""
        last = self._last.get(member)
        if share > 0 and (last is None or not last.away or last.end <= at):
            self._begin(Change(member, True, at, at, share))

    def recovers(self, at: float, member: str) -> None:
        """It answers again. Where the provider never noticed, that is the end of it."""
        last = self._last.get(member)
        if last is not None and last.away and last.decided is None:
            last.end = min(last.end, at)

    def turns(self, at: float, member: str, away: bool) -> None:
        """The provider's answer loses a member, or has it again, whyever: what was under way the other way is over."""
        last = self._last.get(member)
        if last is not None and last.away != away:
            last.end = min(last.end, at)

    def decides(self, at: float, changed: float, member: str, away: bool, share: float) -> None:
        """The answer follows a change of the member. changed: when it did. share: of the clients that it has, or is to
        have."""
        last = self._last.get(member)
        if last is None or not last.away or not away or last.end <= at:
            last = self._begin(Change(member, away, changed, at, share))
        if last.decided is None:
            last.decided = at

    def _begin(self, change: Change) -> Change:
        before = self._last.get(change.member)
        if before is not None:
            before.end = min(before.end, change.since)
        self._last[change.member] = change
        self.all.append(change)
        return change

    def results(self, times: Sequence[float], shares: Sequence[Shares]) -> tuple[Switch, ...]:
        """times, shares: of the clients, linear in between; a jump stands twice. In order of time."""
        found = []
        for one in self.all:
            half, most = (
                _reached(times, shares, one, one.share * ((1 - part) if one.away else part)) for part in (0.5, 0.95)
            )
            found.append(Switch(self.service, one.member, one.away, one.at, one.decided, half, most))
        return tuple(sorted(found, key=lambda one: (one.at, one.member, one.away)))


def _reached(times: Sequence[float], shares: Sequence[Shares], change: Change, level: float) -> float | None:
    """When the member's share first falls to a level (or rises to it), as long as the change lasts."""
    sign = -1.0 if change.away else 1.0
    wanted = sign * level
    index = bisect_left(times, change.since)
    before = sign * shares[index - 1].get(change.member, 0.0) if index else -inf
    since = times[index - 1] if index else change.since
    for at, value in zip(times[index:], shares[index:], strict=True):
        now = sign * value.get(change.member, 0.0)
        if now >= wanted - _CLOSE:
            steep = now - before
            found = (
                at if steep <= _CLOSE or steep == inf else since + (at - since) * min((wanted - before) / steep, 1.0)
            )
            found = max(found, change.since)
            return found if found <= change.end else None
        if at >= change.end:
            return None
        since, before = at, now
    return None
