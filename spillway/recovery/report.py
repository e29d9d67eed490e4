"""What a recovery did, for people and for programs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from spillway.recovery.match import Left
from spillway.recovery.model import Existing, name_of, type_of

if TYPE_CHECKING:
    from rich.console import Console


@dataclass(slots=True)
class Report:
    """The outcome. With `dry_run` it says what would be done."""

    stack: str
    dry_run: bool = False
    adopted: list[tuple[str, Existing]] = field(default_factory=list)
    """(URN in the state, resource)."""
    deleting: list[tuple[str, str, str]] = field(default_factory=list)
    """(type, id, name) of what the next `up` deletes."""
    pending: list[tuple[str, str]] = field(default_factory=list)
    """(operation, URN) that were under way and are cleared."""
    left: list[Left] = field(default_factory=list)
    locks: list[str] = field(default_factory=list)
    """Who holds the stack and is gone; only of a dry run, as otherwise they are cancelled."""

    @property
    def consistent(self) -> bool:
        """Whether the next `up` neither doubles, misses nor orphans anything."""
        if self.dry_run:
            found = self.adopted or self.deleting or self.pending or self.locks
            return not (found or any(left.problem for left in self.left))
        return not any(left.problem for left in self.left)

    def describe(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "stack": self.stack,
            "dryRun": self.dry_run,
            "consistent": self.consistent,
            "adopted": [
                {"type": type_of(urn), "name": name_of(urn), "id": resource.id, "urn": urn}
                for urn, resource in self.adopted
            ],
            "toBeDeleted": [{"type": token, "id": id, "name": name} for token, id, name in self.deleting],
            "pendingCleared": [{"operation": operation, "urn": urn} for operation, urn in self.pending],
            "locks": list(self.locks),
            "leftAlone": [
                {"type": left.resource.token, "id": left.resource.id, "reason": left.reason, "problem": left.problem}
                for left in self.left
            ],
        }

    def rows(self) -> list[tuple[str, str, str, str]]:
        """(what, type, name, id or reason) of everything, in the order of the table."""
        done = "to adopt" if self.dry_run else "adopted"
        rows = [("lock, to cancel", "", "", holder) for holder in self.locks]
        rows += [(done, type_of(urn), name_of(urn), resource.id) for urn, resource in self.adopted]
        rows += [("the next up deletes", token, name, id) for token, id, name in self.deleting]
        cleared = "pending, to clear" if self.dry_run else "pending, cleared"
        rows += [(cleared, type_of(urn), name_of(urn), operation) for operation, urn in self.pending]
        for left in self.left:
            what = "left alone, a problem" if left.problem else "left alone"
            rows.append((what, left.resource.token, left.resource.name, f"{left.resource.id}: {left.reason}"))
        return rows

    def verdict(self) -> str:
        """One line."""
        if self.dry_run:
            return f"{self.stack}: " + (
                "nothing to recover" if self.consistent else "nothing was changed; run without --dry-run"
            )
        if not self.consistent:
            return f"{self.stack}: not consistent yet, see the problems above"
        return f"{self.stack}: state and cloud agree; run `pulumi up` to go on"

    def print(self, console: Console) -> None:
        rows = self.rows()
        if rows:
            from rich.table import Table
            from rich.text import Text

            table = Table(box=None, pad_edge=False)
            for heading in ("what", "type", "name", "id"):
                table.add_column(heading, overflow="fold")
            for row in rows:
                table.add_row(*(Text(cell) for cell in row))
            console.print(table, highlight=False)
        console.print(self.verdict(), highlight=False, markup=False, soft_wrap=True)
