"""The published claims that this project started from, recomputed: claim, figure, verdict, why.

    for one in audit(Snapshot.load(), today): print(one.claim, one.verdict, one.why)

Claims and their inputs are data (data/claims.yaml); prices are those of a snapshot. Nothing here knows a verdict: it
follows from how far the recomputed figure lies from the stated one, so another price may give another.

holds     within the claim's tolerance
wrong     outside of it, whatever prices are taken
outdated  outside of it by today's price
one of    the recomputed figures have a range, and the stated one lies inside
depends   it holds under one of the assumptions that it leaves open, and not under another
unpriced  the snapshot has no price to hold it against
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Final, Literal

from cost.models import read_data
from cost.prices.snapshot import ON_DEMAND, Price, Snapshot

Verdict = Literal["holds", "wrong", "outdated", "one of", "depends", "unpriced"]


@dataclass(frozen=True, slots=True)
class Figure:
    """A number that was computed on the way. value: in `unit`, unrounded."""

    what: str
    value: Decimal
    unit: str


@dataclass(frozen=True, slots=True)
class Audited:
    """One claim. recomputed: the figure that answers the stated one; None where it has no price."""

    id: str
    claim: str
    stated: Decimal
    unit: str
    recomputed: Decimal | None
    verdict: Verdict
    why: str
    figures: tuple[Figure, ...]

    def as_json(self) -> dict[str, Any]:
        """Numbers as texts: they are decimals."""
        found = asdict(self)
        found["stated"] = str(self.stated)
        found["recomputed"] = None if self.recomputed is None else str(self.recomputed)
        found["figures"] = [{**asdict(one), "value": str(one.value)} for one in self.figures]
        return found


@dataclass(frozen=True)
class Claim:
    """A claim with its inputs: decimals, texts, or lists of either."""

    id: str
    claim: str
    stated: Decimal
    unit: str
    tolerance: Decimal
    inputs: dict[str, Any]

    def number(self, key: str) -> Decimal:
        """An input that is a number."""
        return Decimal(self.inputs[key])

    def numbers(self, key: str) -> list[Decimal]:
        """An input that is several."""
        return [Decimal(one) for one in self.inputs[key]]

    def near(self, found: Decimal) -> bool:
        """Whether a figure is the stated one, within the tolerance."""
        return abs(found - self.stated) <= self.tolerance * abs(self.stated)

    def told(self, found: Decimal | None, verdict: Verdict, why: str, *figures: tuple[str, Decimal, str]) -> Audited:
        """The answer."""
        rows = tuple(Figure(*one) for one in figures)
        return Audited(self.id, self.claim, self.stated, self.unit, found, verdict, why, rows)

    def judged(self, found: Decimal, otherwise: Verdict, why: str, *figures: tuple[str, Decimal, str]) -> Audited:
        """The answer where the figure alone decides."""
        return self.told(found, "holds" if self.near(found) else otherwise, why, *figures)


Check = Callable[[Claim, Snapshot, date], Audited]


def claims() -> list[Claim]:
    """All claims, in the order of the file."""
    return [
        Claim(name, row["claim"], Decimal(row["stated"]), row["unit"], Decimal(row["tolerance"]), row["inputs"])
        for name, row in read_data("claims.yaml")["claims"].items()
    ]


def audit(snapshot: Snapshot, today: date) -> list[Audited]:
    """Every claim against this snapshot. today: day of the API's prices."""
    from cost.audit_checks import CHECKS

    return [CHECKS[one.id](one, snapshot, today) for one in claims()]


def price_of(snapshot: Snapshot, claim: Claim, sku: str, market: str = ON_DEMAND) -> Price | str:
    """A price, or why there is none."""
    found = snapshot.find(provider=claim.inputs["provider"], region=claim.inputs["region"], sku=sku, market=market)
    return found if isinstance(found, Price) else found.reason


HUNDRED: Final = Decimal(100)
