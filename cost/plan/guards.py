"""Guard-rails: what a plan may cost, and how much of it may be without a price."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Literal

from cost.money import shown
from cost.plan.pricing import PlanCost

Guard = Literal["delta", "delta-percent", "budget", "unpriced", "stale"]
EXIT: Final[dict[Guard, int]] = {"delta": 10, "delta-percent": 11, "budget": 12, "unpriced": 13, "stale": 14}
"""Exit code of a command whose guard-rail was crossed; of several, the first in this order."""


@dataclass(frozen=True, slots=True)
class Guards:
    """What is allowed; None: whatever there is.

    delta: USD a month that the steady state of all stacks together may rise. delta_percent: the same, of what they cost
    before. budget: USD a month that the steady state may come to; own_budgets: each stack's may not exceed what its
    stack file says, nor may its worst case. unpriced: things without a price. stale: old prices are refused.
    """

    delta: Decimal | None = None
    delta_percent: Decimal | None = None
    budget: Decimal | None = None
    own_budgets: bool = False
    unpriced: int | None = None
    stale: bool = False


@dataclass(frozen=True, slots=True)
class Crossed:
    guard: Guard
    words: str


def crossed(plans: Sequence[PlanCost], guards: Guards) -> list[Crossed]:
    """Every guard-rail that these plans cross, in the order of the exit codes."""
    return sorted(_crossed(plans, guards), key=lambda one: EXIT[one.guard])


def _crossed(plans: Sequence[PlanCost], guards: Guards) -> Iterator[Crossed]:
    before = sum((plan.before.steady for plan in plans), Decimal(0))
    after = sum((plan.after.steady for plan in plans), Decimal(0))
    delta = after - before
    if guards.delta is not None and delta > guards.delta:
        yield Crossed("delta", f"rises by {shown(delta)} a month; allowed are {shown(guards.delta)}")
    if guards.delta_percent is not None and delta > 0:
        if before == 0:
            yield Crossed("delta-percent", f"rises from nothing; allowed are {guards.delta_percent} %")
        elif (share := 100 * delta / before) > guards.delta_percent:
            yield Crossed("delta-percent", f"rises by {share:.1f} %; allowed are {guards.delta_percent} %")
    if guards.budget is not None and after > guards.budget:
        yield Crossed("budget", f"{shown(after)} a month; the budget is {shown(guards.budget)}")
    for plan in plans if guards.own_budgets else ():
        if plan.budget is None:
            continue
        for words, amount in (("", plan.after.steady), (" in the worst case", plan.after.worst)):
            if amount > plan.budget:
                yield Crossed(
                    "budget", f"{plan.stack}: {shown(amount)} a month{words}; its stack file's budget is"
                    f" {shown(plan.budget)}",
                )  # fmt: skip
                break
    missing = sum(len(plan.unpriced) for plan in plans)
    if guards.unpriced is not None and missing > guards.unpriced:
        yield Crossed("unpriced", f"{missing} things have no price; allowed are {guards.unpriced}")
    if guards.stale and (old := next((plan for plan in plans if plan.stale), None)):
        yield Crossed("stale", f"prices of snapshot {old.snapshot} are {old.age} days old")
