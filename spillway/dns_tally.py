"""What `spillway dns watch` heard: rounds of answers, counted by member, and what in them is news."""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from spillway.dns_members import Member

WINDOW = 400
"""Shares are those of the latest rounds with at least so many answers together; who is in none of them does not answer.
A share of 2 % is missed by all of them three times in ten thousand."""
CHANCE = 1e-6
"""Silence so unlikely at the share heard before is a change, and not a share that happened to be missed."""


@dataclass(frozen=True, slots=True)
class Look:
    """One round. answers: the addresses of each answer. health: address -> what it says of itself. checked: address ->
    the provider's opinion, where it is known."""

    at: float
    answers: Sequence[tuple[str, ...]]
    ttl: int | None
    health: Mapping[str, str]
    checked: Mapping[str, bool] = field(default_factory=dict)
    faults: Sequence[str] = ()
    path: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """A member, or an address that is nobody's (`name` is the address then). since: None from the start."""

    name: str
    cloud: str
    region: str
    addresses: tuple[str, ...]
    share: float
    health: str
    checked: str
    since: float | None
    drained: bool = False


@dataclass(slots=True)
class _Standing:
    """Whether a name answers, and since when. heard, of: how often it was in the window when it last answered; missed:
    answers of others since then, in whole rounds."""

    answers: bool
    since: float | None = None
    heard: int = 0
    of: int = 0
    missed: int = 0
    rounds: int = 0


class Tally:
    """What the latest answers were, by member, and since when each member answers, or does not.

    Shares and changes are judged over the same window of answers. It begins anew whenever somebody begins or ceases to
    answer, so that no share is of answers from before and after.
    """

    def __init__(self, members: Sequence[Member], window: int = WINDOW) -> None:
        self.members = members
        self._owner = {address: member.name for member in members for address in member.addresses}
        self._window = window
        self._latest: deque[Counter[str]] = deque()
        self._standing = {member.name: _Standing(False) for member in members}
        self._health: Mapping[str, str] = {}
        self._checked: Mapping[str, bool] = {}
        self._asked = 0
        self.ttl: int | None = None
        self.rounds = 0

    def add(self, look: Look) -> list[str]:
        """Takes a round in; one line for everything that changed."""
        before = {row.name: row.health for row in self.rows()} if self.rounds else {}
        if look.ttl is not None:
            self.ttl = look.ttl
        self._health, self._checked = look.health, look.checked
        now = Counter(self._named(answer) for answer in look.answers)
        news = self._judged(now, look.at) if now else []
        lines = [
            f"{row.name}: {row.health or 'not asked'}" + (f" (was {before[row.name]})" if before[row.name] else "")
            for row in self.rows()
            if row.name in before and row.health != before[row.name]
        ]
        self.rounds += 1
        return lines + news

    def _judged(self, now: Counter[str], at: float) -> list[str]:
        """Counts a round with answers; who began or ceased to answer."""
        self._latest.append(now)
        while self.count - self._latest[0].total() >= self._window:
            self._latest.popleft()
        lines, keep = [], len(self._latest)
        for name in now:
            self._standing.setdefault(name, _Standing(False, missed=self._asked))
        for name, standing in self._standing.items():
            if name in now:
                # Whose share is so small that nobody heard it so far, and now did, does not begin to answer.
                told = standing.since is not None or self._is_news(now[name], now.total(), standing.missed)
                if not standing.answers and self._asked and told:
                    lines.append(f"{name}: answers")
                    standing.since, keep = at, 1
                standing.answers, standing.missed, standing.rounds = True, 0, 0
                continue
            standing.missed += now.total()
            standing.rounds += 1
            if standing.answers and self._is_news(standing.heard, standing.of, standing.missed):
                lines.append(f"{name}: answers no more")
                standing.answers, standing.since = False, at
                keep = min(keep, standing.rounds)
        while len(self._latest) > keep:
            self._latest.popleft()
        shares, count = self._shares(), self.count
        for name in now:
            self._standing[name].heard, self._standing[name].of = shares[name], count
        self._asked += now.total()
        return lines

    def _is_news(self, heard: int, of: int, missed: int) -> bool:
        """Whether `missed` answers without a name, next to `of` with `heard` of it, are of another share."""
        return missed >= self._window or all_missed(heard, of, missed) < CHANCE

    def _named(self, answer: tuple[str, ...]) -> str:
        owners = sorted({self._owner.get(address, address) for address in answer})
        return " + ".join(owners) or "no address"

    @property
    def count(self) -> int:
        """Answers that the shares are of."""
        return sum(heard.total() for heard in self._latest)

    def _shares(self) -> Counter[str]:
        return sum(self._latest, Counter())

    def rows(self) -> list[Row]:
        """Members in their order, then whatever else was answered."""
        shares = self._shares()
        total = max(1, self.count)
        known = [m.name for m in self.members]
        rows = [self._row(m, shares[m.name] / total) for m in self.members]
        rows += [self._row(Member(n, ()), c / total) for n, c in shares.most_common() if n not in known]
        return rows

    def _row(self, member: Member, share: float) -> Row:
        said = [self._health[a] for a in member.addresses if a in self._health]
        words = Counter(said)
        health = "" if not said else said[0] if len(words) == 1 else ", ".join(f"{n} {w}" for w, n in words.items())
        opinions = [self._checked[a] for a in member.addresses if a in self._checked]
        checked = "" if not opinions else "healthy" if all(opinions) else "unhealthy"
        if any(opinions) and not all(opinions):
            checked = f"{sum(opinions)} of {len(opinions)} healthy"
        standing = self._standing.get(member.name)
        since = standing.since if standing else None
        return Row(
            member.name,
            member.cloud,
            member.region,
            member.addresses,
            share,
            health,
            checked,
            since,
            drained=member.drained,
        )

    def leads(self) -> str:
        """Who answers, in a line."""
        told = [f"{row.name} {percent(row.share)}" for row in self.rows() if row.share > 0]
        return ", ".join(told) or "nobody"


def percent(share: float) -> str:
    """A share for people: what is there is never `0%`, and what is not everything never `100%`."""
    if 0 < share < 0.01:
        return "<1%"
    return ">99%" if 0.99 < share < 1 else f"{share:.0%}"


def all_missed(heard: int, of: int, missed: int) -> float:
    """The probability that `missed` answers in a row are none of a name, when `heard` of `of` others were.

    Laplace's rule of succession, for every share that can have given these: the beta-binomial distribution's
    probability of 0 with a uniform prior (https://en.wikipedia.org/wiki/Beta-binomial_distribution). Few answers prove
    little by it, which a mean share would take for proof.
    """
    log = math.lgamma(of - heard + 1 + missed) - math.lgamma(of - heard + 1)
    log += math.lgamma(of + 2) - math.lgamma(of + 2 + missed)
    return math.exp(log)
