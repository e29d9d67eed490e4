"""How sure the figures are: all uncertain inputs drawn at once, the same draws for every option."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from cost.arithmetic import Arrays, Inputs
from cost.ledger import Sums
from cost.options import OptionModel
from cost.result import Band, Drawn, MonteCarlo
from cost.steady import TOKENS, decimal, usd_day
from cost.totals import million, most
from cost.uncertainty import Spread, drawn

PERCENTILES = (0.1, 0.5, 0.9)
BAND_DRAWS = 1_000
BAND_POINTS = 24


def montecarlo(
    models: list[OptionModel], inputs: Inputs, months: int, found: tuple[Spread, ...], draws: int, seed: int
) -> MonteCarlo:
    """P10, P50 and P90 of every option over the period, and how often each is the cheapest."""
    import numpy as np

    n = Arrays()
    given = inputs.for_arrays(drawn(found, inputs, draws, seed))
    busiest = most(n, given, months)
    totals: list[Any] = []
    cash: list[Any] = []
    per_million: list[Any] = []
    above: list[Any] = []
    for model in models:
        ledger = Sums(n, months, given["finance.discountRate"])
        model.run(given, ledger)
        totals.append(np.broadcast_to(ledger.levelised, (draws,)))
        cash.append(np.broadcast_to(ledger.cash, (draws,)))
        per_million.append(np.broadcast_to(million(n, given, ledger), (draws,)))
        limit = model.limit(n, given)
        too_much = False if limit is None else np.greater(busiest, limit)
        above.append(np.broadcast_to(too_much, (draws,)))
    out = np.array([[not model.facts.serves] for model in models])
    costs = np.where(np.array(above) | out, np.inf, np.array(totals))
    served = np.isfinite(costs).any(axis=0)
    first = np.where(served, np.argmin(costs, axis=0), -1)
    rows = tuple(
        _drawn(
            model,
            totals[index],
            cash[index],
            per_million[index],
            float(np.mean(first == index)),
            float(np.mean(above[index])),
        )
        for index, model in enumerate(models)
    )
    return MonteCarlo(draws, seed, tuple((one.key, one.told) for one in found), rows)


def _drawn(model: OptionModel, usd: Any, cash: Any, per_million: Any, wins: float, above: float) -> Drawn:
    import numpy as np

    def three(values: Any) -> tuple[Decimal, Decimal, Decimal]:
        low, middle, high = (decimal(one, 9) for one in np.quantile(values, PERCENTILES))
        return low, middle, high

    mean = decimal(float(np.mean(usd)), 9)
    return Drawn(
        model.facts.name, *three(usd), mean, *three(per_million), *three(cash), decimal(wins, 6), decimal(above, 6)
    )  # fmt: skip


def band(
    model: OptionModel, inputs: Inputs, found: tuple[Spread, ...], seed: int, low: float, high: float
) -> tuple[Band, ...]:
    """The spread of an option's cost by traffic, in steady state, at points from low to high tokens a day."""
    import numpy as np

    n = Arrays()
    draws = drawn(found, inputs, BAND_DRAWS, seed)
    draws.pop(TOKENS, None)  # the traffic is what the chart goes along
    # One array of points x draws: a row of draws at each point.
    points = np.geomspace(low, high, BAND_POINTS)
    changed = {key: np.tile(values, BAND_POINTS) for key, values in draws.items()}
    given = inputs.for_arrays({**changed, TOKENS: np.repeat(points, BAND_DRAWS)})
    usd = np.broadcast_to(usd_day(model, n, given), (BAND_POINTS * BAND_DRAWS,)).reshape(BAND_POINTS, BAND_DRAWS)
    rows = np.quantile(usd, PERCENTILES, axis=1).T
    return tuple(
        Band(decimal(at, 9), *(decimal(one, 9) for one in row)) for at, row in zip(points, rows, strict=True)
    )  # fmt: skip
