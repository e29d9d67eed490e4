"""What `spillway dns watch` heard: rounds of answers, counted by member."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from spillway.dns_members import Member

WINDOW = 100
"""Shares are those of so many latest answers."""


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


class Tally:
    """What the latest answers were, by member, and since when each member answers, or does not."""

    def __init__(self, members: Sequence[Member], window: int = WINDOW) -> None:
        self.members = members
        self._owner = {address: member.name for member in members for address in member.addresses}
        self._latest: deque[str] = deque(maxlen=window)
        self._since: dict[str, tuple[bool, float | None]] = {}
        self._health: Mapping[str, str] = {}
        self._checked: Mapping[str, bool] = {}
        self.ttl: int | None = None
        self.rounds = 0

    def add(self, look: Look) -> list[str]:
        """Takes a round in; one line for everything that changed."""
        lines = []
        now = Counter(self._named(answer) for answer in look.answers)
        self._latest.extend(now.elements())
        if look.ttl is not None:
            self.ttl = look.ttl
        before = self.rows() if self.rounds else []
        self._health, self._checked = look.health, look.checked
        seen = {row.name: row.health for row in before}
        for row in self.rows():
            if row.name in seen and row.health != seen[row.name]:
                lines.append(f"{row.name}: {row.health} (was {seen[row.name]})")
        for name in dict.fromkeys([*(m.name for m in self.members), *now, *self._since]):
            answers = name in now if now else self._since.get(name, (False, None))[0]
            known = self._since.get(name)
            if known is None or known[0] != answers:
                self._since[name] = (answers, look.at if known is not None else None)
                if known is not None or (answers and self.rounds):
                    lines.append(f"{name}: {'answers' if answers else 'answers no more'}")
        self.rounds += 1
        return lines

    def _named(self, answer: tuple[str, ...]) -> str:
        owners = sorted({self._owner.get(address, address) for address in answer})
        return " + ".join(owners) or "no address"

    @property
    def count(self) -> int:
        """Answers that the shares are of."""
        return len(self._latest)

    def rows(self) -> list[Row]:
        """Members in their order, then whatever else was answered."""
        shares = Counter(self._latest)
        total = max(1, len(self._latest))
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
        since = self._since.get(member.name, (False, None))[1]
        return Row(member.name, member.cloud, member.region, member.addresses, share, health, checked, since)

    def leads(self) -> str:
        """Who answers, in a line."""
        told = [f"{row.name} {row.share:.0%}" for row in self.rows() if row.share > 0]
        return ", ".join(told) or "nobody"
