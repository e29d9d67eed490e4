"""What a review asks of the rest: the price of a million tokens, how fast failover is, what policies say."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from cost.money import HOURS_PER_MONTH
from cost.plan.preview import Preview
from cost.plan.pricing import PlanCost
from infra.stackfile import is_global
from spillway.errors import SpillwayError
from spillway.preview.document import Failover, PerMillion, Refused, Violation
from spillway.preview.serving import effect

Judge = Callable[[Preview], Sequence[Violation]]
SHAPE: Final = (1024, 512)
"""Tokens in and out of a request, for which the shipped measurement has figures."""
SECONDS_PER_HOUR: Final = 3600
_URN: Final = re.compile(r"(urn:pulumi:[^\s'\"]+)")


def per_million(text: str, plan: Preview, cost: PlanCost) -> PerMillion | None:
    """Of a region stack: its steady state over the tokens that its target could serve, all replicas busy all day."""
    if is_global(plan.stack) or not isinstance(plan.config.get("spillway:region"), dict):
        return None
    from rehearsal.fleet import load_plans
    from rehearsal.load.machines import node_rate

    try:
        with TemporaryDirectory(prefix="spillway-plan-") as folder:
            path = Path(folder) / f"{plan.stack}.json"
            path.write_text(text)
            (region,) = load_plans([path]).regions
        rate = node_rate(region, *SHAPE)
    except SpillwayError as error:
        return PerMillion(None, "", error.lines[0])
    gaps = [line for row in cost.rows for line in row.after if line.gap and line.what.endswith("nodes")]
    if not region.target or not cost.after.steady or gaps:
        return PerMillion(None, "", gaps[0].gap if gaps else "no replica")
    tokens = Decimal(str(rate.capacity)) * sum(SHAPE) * region.target * HOURS_PER_MONTH * SECONDS_PER_HOUR
    mapped = " (measured elsewhere, scaled)" if any(one.mapped for one in rate.sources) else ""
    replicas = f"{region.target} replica{'s' if region.target > 1 else ''}"
    basis = f"{replicas} busy all day with {SHAPE[0]} tokens in and {SHAPE[1]} out{mapped}"
    return PerMillion(cost.after.steady / tokens * 1_000_000, basis)


def failovers(stacks: Iterable[str], folder: Path) -> tuple[Failover, ...]:
    """The failover budget of each global stack among these, by its file."""
    from infra.dns.budget import budget
    from spillway.dns_budget import of_stack

    found = []
    for stack in sorted(one for one in stacks if is_global(one)):
        try:
            asked = of_stack(stack, folder)
            found.append(Failover(stack, budget(asked.settings).promise, asked.objective))
        except SpillwayError as error:
            found.append(Failover(stack, 0.0, 0.0, error.lines[0]))
    return tuple(found)


def refused(errors: Sequence[str], plan: Preview) -> tuple[Refused, ...]:
    """Resources that the engine would not touch because they are protected. errors: what it said of the first; plan: of
    the look past protection. All that the plan would replace or delete and that is protected."""
    if not errors:
        return ()
    named = {urn.rstrip(".,;:)") for line in errors for urn in _URN.findall(line)}
    found = [
        Refused(one.name, one.type, effect(one, plan))
        for one in plan.changes
        if one.op in ("replace", "delete") and (one.urn in named or (one.before is not None and one.before.protected))
    ]
    return tuple(sorted(found, key=lambda one: one.name))
