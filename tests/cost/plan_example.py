"""docs/cost-plan-example.md: what `spillway cost plan --markdown` says of the shipped aws-us-east-1 before it is made.

    .venv/bin/python -m tests.cost.plan_example        # writes it anew

The plan is the engine's own, previewed on the stand-in clouds (tests/cost/cut_plans.py); prices and day are fixed, so
that the text changes with the code and the plan alone.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Final

from cost.plan import preview
from cost.plan.pricing import price_plan
from cost.plan.telling import as_markdown
from cost.prices.snapshot import Snapshot

ROOT: Final = Path(__file__).parents[2]
PLAN: Final = "tests/cost/plans/aws-us-east-1.json"
EXAMPLE: Final = ROOT / "docs" / "cost-plan-example.md"
DAY: Final = "2026-11-26"


def example() -> str:
    """As the command prints it at the day of its prices."""
    plan = preview.parse((ROOT / PLAN).read_text(), PLAN)
    return as_markdown([price_plan(plan, Snapshot.load(DAY), date.fromisoformat(DAY))])


if __name__ == "__main__":
    EXAMPLE.write_text(example())
