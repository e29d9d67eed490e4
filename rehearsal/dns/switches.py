"""When a member changed in truth, when the provider's answer followed, and when its clients did."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

from rehearsal.dns.tree import Shares
from rehearsal.result import Switch


@dataclass(slots=True)
class Change:
    """One switch of a member under way. share: of the clients that it had (or, coming, is to have)."""

    member: str
    away: bool
    at: float
    decided: float | None = None
    share: float = 0.0


class Switches:
    """Of one service. Members that others only stand in for, or that stand in, do not switch: they changed nothing."""

    def __init__(self, service: str) -> None:
        self.service = service
        self.all: list[Change] = []
        self._open: dict[str, Change] = {}

    def fails(self, at: float, member: str, share: float) -> None:
        """A member answers nobody any more, and has this share of the clients."""
        if share > 0 and member not in self._open:
            self._open[member] = change = Change(member, True, at, share=share)
            self.all.append(change)

    def answers(self, member: str) -> None:
        """It answers again: whether the provider ever noticed is settled."""
        self._open.pop(member, None)

    def decided(self, at: float, since: float, member: str, away: bool, share: float) -> None:
        """The answer follows a change of the member. since: when it changed. share: of the clients that it has or is
        to have."""
        change = self._open.get(member) if away else None
        if change is None:
            change = Change(member, away, since, share=share)
            self.all.append(change)
        if change.decided is None:
            change.decided = at

    def results(self, times: Sequence[float], shares: Sequence[Shares]) -> tuple[Switch, ...]:
        """times, shares: of the clients, linear in between; a jump stands twice. In order of time."""
        found = []
        for change in self.all:
            later = [one.at for one in self.all if one.member == change.member and one.at > change.at]
            end = min(later, default=float("inf"))
            half, most = (
                _reached(times, shares, change, change.share * ((1 - part) if change.away else part), end)
                for part in (0.5, 0.95)
            )
            found.append(Switch(self.service, change.member, change.away, change.at, change.decided, half, most))
        return tuple(sorted(found, key=lambda one: (one.at, one.member, one.away)))


def _reached(
    times: Sequence[float], shares: Sequence[Shares], change: Change, level: float, end: float
) -> float | None:
    """When the member's share first falls to a level (or rises to it), within the change's own time."""
    sign = -1.0 if change.away else 1.0
    wanted = sign * level - 1e-9
    start = change.at if change.away or change.decided is None else change.decided
    index = bisect_left(times, start)
    before: tuple[float, float] | None = None
    if index:
        before = times[index - 1], sign * shares[index - 1].get(change.member, 0.0)
    for at, value in zip(times[index:], shares[index:], strict=True):
        if at > end:
            return None
        now = sign * value.get(change.member, 0.0)
        if now >= wanted:
            if before is None or before[1] >= wanted or now == before[1]:
                return max(at if before is None or before[1] < wanted else before[0], start)
            since, was = before
            return max(since + (at - since) * (wanted - was) / (now - was), start)
        before = at, now
    return None
