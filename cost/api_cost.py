"""Somebody else's model by the token: the price of a request of the workload's shape, hour by hour (cost/api.py).

Three lines: input that has to be read, input from the provider's cache, output. Tiers are of a request, so the shape
decides them, and the hours of the day weigh as the workload's tokens do.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

from cost import api
from cost.arithmetic import Arithmetic, Inputs, Number
from cost.capacity import Sizing
from cost.ledger import Charge, Ledger
from cost.options import DAYS_PER_MONTH, MILLION, Facts, tokens_of, trend
from cost.scenario_options import ApiOption

if TYPE_CHECKING:
    from cost.scenario import Scenario


class ApiModel:
    """A model of a provider."""

    sizing: Sizing | None = None

    def __init__(self, scenario: Scenario, spec: ApiOption, today: date) -> None:
        self.key = f"options.{spec.name}"
        title = spec.title or f"API: {spec.provider} {spec.model}"
        self.facts = Facts(spec.name, "api", title, spec.provider, "", spec.model, "api")
        demand = scenario.data.workload
        self._input = Decimal(demand.input_tokens) / (demand.input_tokens + demand.output_tokens)
        fresh = api.RequestShape(demand.input_tokens, demand.output_tokens)
        cached = api.RequestShape(demand.input_tokens, demand.output_tokens, Decimal(1))
        try:
            self._usd = (
                _mean(spec, fresh, today, scenario.hourly, "input_usd") / demand.input_tokens,
                _mean(spec, cached, today, scenario.hourly, "input_usd") / demand.input_tokens,
                _mean(spec, fresh, today, scenario.hourly, "output_usd") / demand.output_tokens,
            )
        except api.NoPrice as error:
            self._usd = (Decimal(0),) * 3
            self.facts.priced = False
            self.facts.lacks(f"{spec.provider} {spec.model}", str(error))
        names = ("input tokens", "input tokens from the cache", "output tokens")
        self._charges = [
            Charge(what, "tokens", "usage", "million tokens", api.source(), today, spec.provider, "", spec.model, "api",
                   (), usd * MILLION)
            for what, usd in zip(names, self._usd, strict=True)
        ]  # fmt: skip
        if self._usd[1] == self._usd[0] and demand.cache_hit_share:
            self.facts.warnings.append(
                f"{spec.provider} has no price of cache reads of {spec.model}: they cost as input"
            )

    def nodes(self, n: Arithmetic, inputs: Inputs, tokens_day: Number) -> Number | None:
        """None: the nodes are the provider's."""
        return None

    def limit(self, n: Arithmetic, inputs: Inputs) -> Number | None:
        """None: rate limits are a matter of the contract."""
        return None

    def steps(self, inputs: Inputs) -> list[Decimal]:
        """None: it costs by the token."""
        return []

    def run(self, inputs: Inputs, ledger: Ledger) -> None:
        """Charges every month."""
        n = ledger.n
        hits = inputs["workload.cacheHitShare"]
        came = n.of(self._input)
        shares = (came * (1 - hits), came * hits, 1 - came)
        own = inputs[f"{self.key}.priceFactor"] * (1 - inputs[f"{self.key}.discount"])
        for month in range(ledger.months):
            millions = tokens_of(n, inputs, month) * n.of(DAYS_PER_MONTH) / MILLION
            price = own * trend(n, inputs, "finance.apiPriceTrend", month)
            for charge, share, usd in zip(self._charges, shares, self._usd, strict=True):
                ledger.running(charge, month, millions * share, n.price(usd * MILLION, charge) * price)


def _mean(spec: ApiOption, shape: api.RequestShape, day: date, hourly: tuple[Decimal, ...], part: str) -> Decimal:
    """USD of a part of a request, over the hours of a day as the workload's tokens are spread over them."""
    hours = api.by_hour(spec.model, spec.provider, shape, day)
    total = sum((getattr(one, part) * weight for one, weight in zip(hours, hourly, strict=True)), Decimal(0))
    return total / sum(hourly)
