"""Cost against traffic, as it would be in a steady state: one month of it, levelised."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from cost.arithmetic import Arithmetic, Arrays, Inputs, Number
from cost.ledger import Sums
from cost.options import DAYS_PER_MONTH, OptionModel

TOKENS: Final = "workload.tokensPerDay"
SIDE: Final = 1e-9
"""How far beside a step, relatively, its two sides are looked at."""
GRID: Final = 240
"""Points of a curve that has no steps."""


def usd_day(model: OptionModel, n: Arithmetic, inputs: Inputs) -> Number:
    """Levelised USD of a day at the inputs' traffic."""
    ledger = Sums(n, 1, inputs["finance.discountRate"])
    model.run(inputs, ledger)
    return ledger.levelised / n.of(DAYS_PER_MONTH)


@dataclass(frozen=True)
class Curve:
    """An option's cost at many rates of traffic. at: tokens a day, ascending, both sides of every step; usd: of a day.

    limit: most tokens of a day that it serves; infinite where there is none."""

    model: OptionModel
    at: Any
    usd: Any
    limit: float


def edges(models: list[OptionModel], inputs: Inputs, low: float, high: float) -> Any:
    """Tokens a day between which no option has a step, ascending: steps of all of them, and an even grid."""
    import numpy as np

    found = [np.geomspace(low, high, GRID)]
    for model in models:
        steps = np.array([float(one) for one in model.steps(inputs)])
        found.append(steps[(steps > low) & (steps < high)])
    joined = np.unique(np.concatenate(found))
    # Two options that step at the same traffic differ in the last digit: one of them is enough.
    return joined[np.concatenate([[True], np.diff(joined) > joined[:-1] * 4 * SIDE])]


def curves(models: list[OptionModel], inputs: Inputs, at: Any) -> list[Curve]:
    """Every option at both sides of every edge."""
    import numpy as np

    n = Arrays()
    sides = np.sort(np.concatenate([at * (1 - SIDE), at * (1 + SIDE)]))
    given = inputs.for_arrays({TOKENS: sides})
    found = []
    for model in models:
        usd = usd_day(model, n, given) + sides * 0
        limit = model.limit(n, given)
        found.append(Curve(model, sides, usd, float("inf") if limit is None else float(limit)))
    return found


def decimal(value: float, digits: int = 12) -> Decimal:
    """A float of the arrays as a decimal of so many significant digits: beyond them it means nothing."""
    return Decimal(f"{float(value):.{digits}g}")
