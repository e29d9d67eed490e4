"""Which input matters: each moved alone to both ends of its range (a tornado)."""

from __future__ import annotations

from decimal import Decimal

from cost.arithmetic import Arrays, Inputs
from cost.ledger import Sums
from cost.options import OptionModel
from cost.result import Swing, Tornado
from cost.steady import decimal
from cost.totals import million
from cost.uncertainty import Spread


def tornados(models: list[OptionModel], inputs: Inputs, months: int, found: tuple[Spread, ...]) -> tuple[Tornado, ...]:
    """One of each option, over the period, the widest swing first; inputs that do not move an option are left out.

    All ends are one array: column 0 is the base, then low and high of each input."""
    import numpy as np

    n, size = Arrays(), 1 + 2 * len(found)
    changed: dict[str, np.ndarray] = {}
    for index, one in enumerate(found):
        for key in one.keys:
            column = changed.setdefault(key, np.full(size, float(inputs[key])))
            for side, end in ((1, one.low), (2, one.high)):
                column[2 * index + side] = end * float(inputs[key]) if one.factor else end
    given = inputs.for_arrays(changed)
    return tuple(_tornado(model, n, given, inputs, months, found, size) for model in models)


def _tornado(
    model: OptionModel, n: Arrays, given: Inputs, inputs: Inputs, months: int, found: tuple[Spread, ...], size: int
) -> Tornado:
    import numpy as np

    ledger = Sums(n, months, given["finance.discountRate"])
    model.run(given, ledger)
    usd = np.broadcast_to(million(n, given, ledger), (size,))
    swings = []
    for index, one in enumerate(found):
        low, high = float(usd[2 * index + 1]), float(usd[2 * index + 2])
        if abs(low - high) <= abs(float(usd[0])) * 1e-9 and abs(low - float(usd[0])) <= abs(float(usd[0])) * 1e-9:
            continue
        base = inputs[one.keys[0]]
        ends = [Decimal(repr(end)) * (base if one.factor else 1) for end in (one.low, one.high)]
        swings.append(Swing(one.key, one.words, "ratio" if one.factor else "", ends[0], base, ends[1], decimal(low),
                            decimal(high)))  # fmt: skip
    swings.sort(key=lambda swing: (-swing.width, swing.key))
    return Tornado(model.facts.name, decimal(float(usd[0])), tuple(swings))
