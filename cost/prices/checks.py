"""What price lists get wrong, found before a row is used: a spot price that stands for "none left" or lies above
on-demand, a region far off its peers.

Nothing doubtful is dropped for being dear or cheap: the wrong value can be the one that most regions have, and dear
regions are real. Such a row is flagged, with the reason. Only a spot price above on-demand is rejected: nobody has to
pay it, since the same machine is for sale for less, so it is another thing's price.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from statistics import median
from typing import Final

from cost.prices.snapshot import LIST, ON_DEMAND, OUTLIER, SOLD_OUT, SPOT, Price, Unpriced

FAR: Final = Decimal("0.40")
"""How far from the median of its peers a region's price may lie without a flag."""
PEERS: Final = 4
"""Regions that it takes to have a median."""
COMPUTED: Final = (OUTLIER, SOLD_OUT)
_PeerKey = tuple[str, str, str, Decimal]


def check(rows: Iterable[Price]) -> list[Price | Unpriced]:
    """Each row of a snapshot, in order: with its flags, or rejected with the reason. Computed flags are made anew."""
    plain = [_listed(_without_computed(row)) for row in rows]
    on_demand = {
        (row.provider, row.region, row.sku): row for row in plain if row.market == ON_DEMAND and row.zone is None
    }
    found = [_compared(row, on_demand.get((row.provider, row.region, row.sku))) for row in plain]
    peers: dict[_PeerKey, list[Decimal]] = {}
    for row in found:
        if isinstance(row, Price):
            peers.setdefault(_peer_key(row), []).append(row.usd)
    return [_judged(row, peers[_peer_key(row)]) if isinstance(row, Price) else row for row in found]


def _compared(row: Price, base: Price | None) -> Price | Unpriced:
    """A spot price beside the on-demand price of the same machine and region."""
    if row.market != SPOT or base is None or row.usd < base.usd:
        return row
    if row.usd == base.usd:
        return _flag(row, SOLD_OUT, f"equals the on-demand price of {base.observed}, which says there is none")
    where = f" in {row.zone}" if row.zone else ""
    return Unpriced(
        f"spot {row.usd} USD{where} of {row.observed} is above on-demand {base.usd} USD of {base.observed}, "
        "so it is another thing's price",
        row.provider,
        row.region,
        row.sku,
        row.market,
    )


def _without_computed(row: Price) -> Price:
    left = tuple(flag for flag in row.flags if flag.partition(": ")[0] not in COMPUTED)
    return row if left == row.flags else replace(row, flags=left)


def _listed(row: Price) -> Price:
    """A price at which nobody can order has its own market: what the machine catalog says of how a type is sold."""
    from infra import catalog

    if row.market != ON_DEMAND or row.provider not in catalog.READERS or not catalog.is_machine(row.sku, row.provider):
        return row
    return row if ON_DEMAND in catalog.machine(row.sku).usage_classes else replace(row, market=LIST)


def _judged(row: Price, others: list[Decimal]) -> Price:
    """Flags a row whose price is more than FAR off the median of its regions. Spot prices differ by nature."""
    if row.market == SPOT or len(others) < PEERS:
        return row
    middle = median(others)
    if middle == 0 or abs(row.usd - middle) <= FAR * middle:
        return row
    off = (row.usd - middle) / middle * 100
    side = "over" if off > 0 else "under"
    return _flag(row, OUTLIER, f"{abs(off):.0f}% {side} the median of {len(others)} regions ({middle} USD)")


def _peer_key(row: Price) -> _PeerKey:
    return row.provider, row.sku, row.market, row.from_quantity


def _flag(row: Price, kind: str, reason: str) -> Price:
    return replace(row, flags=(*row.flags, f"{kind}: {reason}"))
