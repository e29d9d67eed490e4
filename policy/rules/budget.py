"""What a stack costs a month in the worst case, against what was agreed."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from functools import lru_cache
from typing import Final, Literal

from pydantic import Field

from cost.money import shown
from cost.plan.pricing import PlanCost, price_plan
from cost.prices.snapshot import Snapshot
from policy.findings import Finding, Policy, Settings, Stack

_CASES: Final = {
    "steady": "as it is meant to run",
    "worst": "with no spot anywhere, all of the target on demand",
    "ceiling": "scaled up to the most that pools may have, all of it on demand",
}


class Budget(Settings):
    """What the stack may cost."""

    monthly_usd: float | None = Field(
        default=None, gt=0, le=1e9, description="USD a month; left out: budget.monthlyUsd of the stack file"
    )
    case: Literal["steady", "worst", "ceiling"] = Field(
        default="worst",
        description="steady: spot as planned; worst: no spot, the target on demand; ceiling: pools.max on demand",
    )


def _whole(stack: Stack, settings: Budget) -> Iterator[Finding]:
    limit = _limit(stack, settings)
    if limit is None:
        return
    cost = price_plan(stack.preview, _prices(), stack.today)
    amount: Decimal = getattr(cost.after, settings.case)
    case = _CASES[settings.case]
    if amount > limit:
        dear = max(cost.rows, key=lambda row: getattr(row.will, settings.case))
        most = getattr(dear.will, settings.case)
        yield Finding(
            dear.urn,
            f"{shown(amount)} a month {case}, {shown(most)} of it {dear.name}; allowed are {shown(limit)}",
        )
        return
    for name, why in _unpriced_nodes(cost):
        yield Finding("", f"{shown(amount)} a month {case} leaves out the nodes of {name}: {why}", judged=False)


def _limit(stack: Stack, settings: Budget) -> Decimal | None:
    if settings.monthly_usd is not None:
        return Decimal(str(settings.monthly_usd))
    told = stack.section("spillway:region").get("budget")
    own = told.get("monthlyUsd") if isinstance(told, dict) else None
    return Decimal(str(own)) if isinstance(own, int | float) and not isinstance(own, bool) else None


def _unpriced_nodes(cost: PlanCost) -> Iterator[tuple[str, str]]:
    """Pools that are in no sum. Spot without a price has a bound where on-demand has one, and is in no worst case."""
    for row in sorted(cost.rows, key=lambda row: row.urn):
        for line in row.after:
            if line.gap and line.amounts is None and "nodes" in line.what and not line.what.startswith("spot"):
                yield row.name, line.gap


@lru_cache(maxsize=1)
def _prices() -> Snapshot:
    return Snapshot.load()


POLICY: Final = Policy(
    "monthly-budget",
    "Monthly budget",
    "The stack's monthly bill in the worst case, without any spot, stays inside its budget.",
    Budget,
    whole=_whole,
)
