"""All or nothing: what the head of a replica concludes from what its nodes tell. Pure; times are given.

Every node says once a second which engine it runs (systemd's invocation id of the unit) and in which epoch it was
started. A node that falls silent, leaves, or runs another engine than before in the same epoch has broken the replica:
tensor-parallel processes cannot take a new member in. The epoch rises, and every node whose engine is of an earlier
epoch starts it again; until all have ended the old one, the replica counts as incomplete, and no new one starts.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

SILENT: Final = 5.0
"""Seconds without a word after which a node is taken for lost."""


@dataclass
class Member:
    """A node as it was heard last. engine: its invocation id, empty while none runs. address: where it spoke from."""

    rank: int
    heard: float
    epoch: int
    engine: str = ""
    address: str = ""
    leaving: str = ""
    """Cause of its drain."""
    deadline: float | None = None
    """Of its drain, unix seconds."""


@dataclass
class Replica:
    """As the head sees it. nodes: how many belong to it, the head among them."""

    nodes: int
    epoch: int
    members: dict[int, Member] = field(default_factory=dict)
    lost: set[int] = field(default_factory=set)
    """Ranks that were there in this epoch or an earlier one, and are silent."""
    broken: str = ""
    """What the epoch rose for, last."""

    def hear(self, told: Member) -> str:
        """Takes a word in. What broke the replica, in one line; empty when nothing did."""
        before, self.members[told.rank] = self.members.get(told.rank), told
        self.lost.discard(told.rank)
        if before is None or before.epoch != self.epoch:
            return ""
        if told.epoch < self.epoch:
            return self._break(f"node {told.rank} began anew")
        if before.engine and told.engine != before.engine:
            return self._break(f"the engine of node {told.rank} is {'another one' if told.engine else 'gone'}")
        return ""

    def _break(self, why: str) -> str:
        self.epoch += 1
        self.broken = why
        return why

    def look(self, now: float) -> str:
        """Who has fallen silent since the last look, in one line; empty when nobody has."""
        silent = {rank for rank, one in self.members.items() if now - one.heard > SILENT} - self.lost
        if not silent:
            return ""
        self.lost |= silent
        return self._break(f"no word from {names(silent)} for {SILENT:.0f} s")

    def alive(self, now: float) -> list[int]:
        """Ranks that were heard lately, in order."""
        return sorted(rank for rank, one in self.members.items() if now - one.heard <= SILENT)

    def behind(self) -> list[int]:
        """Ranks whose engine may still be one of an earlier epoch, in order."""
        return sorted(rank for rank, one in self.members.items() if one.epoch < self.epoch)

    def leaving(self) -> Member | None:
        """The node that has to be gone first, of those that leave and are not the head."""
        found = [one for one in self.members.values() if one.leaving and one.rank]
        return min(found, key=lambda one: one.deadline or float("inf"), default=None)

    def document(self, now: float) -> dict[str, Any]:
        """What peers.json says: state, reason, expected, alive."""
        alive = self.alive(now)
        missing = sorted(set(range(self.nodes)) - set(alive))
        gone = self.leaving()
        reason = ""
        if missing:
            reason = f"{len(alive)} of {self.nodes} nodes of this replica are there; {names(missing)} missing"
        elif gone:
            reason = f"node {gone.rank} of this replica leaves ({gone.leaving})"
        elif self.broken and (behind := self.behind()):
            reason = f"{self.broken}; {names(behind)} of this replica may still run the old engine"
        return {"state": "missing" if reason else "ok", "reason": reason, "expected": self.nodes, "alive": len(alive)}


def names(ranks: set[int] | list[int]) -> str:
    """`node 1`, `nodes 1, 3`."""
    return f"node{'s' if len(ranks) > 1 else ''} {', '.join(str(rank) for rank in sorted(ranks))}"
