"""GPUs by the second that come with a request and go when there is none.

Requests arrive at random (Poisson) at rate x. An instance starts with the first one (cold start c, paid), serves, and
goes once nobody has come for as long as a request and the idle time last (h). What such an instance is up, and paid, is
by renewal theory, for service in parallel (M/D/infinity):

    up(x) = 1 - 1 / (c x + e^(h x))

since the time until a gap of h is (e^(h x) - 1) / x on average, and the next request after it comes 1 / x later. Where
one instance is not enough there are m of them with x / m each. So cost rises with traffic, steeply at first, and ends
at m instances all day: below some rate it wins over a machine that is there all day, above it loses.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

from cost import hardware
from cost.arithmetic import Arithmetic, Inputs, Number
from cost.capacity import SECONDS_PER_HOUR, Sizing
from cost.ledger import Charge, Ledger
from cost.options import DAYS_PER_MONTH, Facts, tokens_of, trend
from cost.prices.snapshot import STALE_DAYS
from cost.scenario_options import ServerlessOption
from cost.sized import size

if TYPE_CHECKING:
    from cost.scenario import Scenario


class ServerlessModel:
    """Instances of some GPUs each."""

    def __init__(self, scenario: Scenario, spec: ServerlessOption, today: date) -> None:
        self.spec = spec
        self.key = f"options.{spec.name}"
        gpu = hardware.gpu(spec.gpu, f"{self.key}.gpu")
        title = spec.title or f"{spec.provider}, {spec.gpus} x {gpu.name} by the second"
        self.facts = Facts(spec.name, "serverless", title, spec.provider, "", gpu.id, "serverless")
        self.sizing: Sizing | None = size(scenario, spec.throughput, gpu, gpu.memory_mib, spec.gpus, self.facts)
        if self.sizing is not None and self.sizing.layout.unit_nodes > 1:
            self.facts.fits, self.sizing = False, None
            self.facts.why = f"{scenario.data.model.name} does not fit on one instance of {spec.gpus} x {gpu.name}"
        demand = scenario.data.workload
        self._request = demand.input_tokens + demand.output_tokens
        self._hourly = scenario.hourly
        observed = date.fromisoformat(spec.observed)
        self._charge = Charge(
            "GPU-seconds", "compute", "usage", "GPU-second", spec.source, observed, spec.provider, "", gpu.id,
            "serverless", ("stale",) if (today - observed).days > STALE_DAYS else (),
        )  # fmt: skip

    def _instances(self, n: Arithmetic, inputs: Inputs, tokens_day: Number, share: Decimal) -> Number:
        assert self.sizing is not None
        busy = self.sizing.busy_gpus(n, inputs, tokens_day, share)
        whole = n.ceil(busy / (inputs["serving.highestUtilisation"] * self.spec.gpus))
        return n.largest(whole, n.of(1))

    def nodes(self, n: Arithmetic, inputs: Inputs, tokens_day: Number) -> Number:
        """Instances at once, at the busiest moment."""
        return self._instances(n, inputs, tokens_day, max(self._hourly))

    def limit(self, n: Arithmetic, inputs: Inputs) -> Number:
        """Tokens of a day that the most instances can serve."""
        assert self.sizing is not None
        gpus = self.spec.max_instances * self.spec.gpus * inputs["serving.highestUtilisation"]
        busiest = n.of(max(self._hourly)) * inputs["workload.burst"]
        return gpus * SECONDS_PER_HOUR / busiest / self.sizing.per_token(n, inputs)

    def steps(self, inputs: Inputs) -> list[Decimal]:
        """Where another instance is needed in some hour: a bend rather than a jump."""
        from cost.arithmetic import EXACT

        most = self.limit(EXACT, inputs) / self.spec.max_instances * max(self._hourly)
        shares = {share for share in self._hourly if share}
        return sorted({most * count / share for share in shares for count in range(1, self.spec.max_instances + 1)})

    def gpu_seconds_day(self, n: Arithmetic, inputs: Inputs, tokens_day: Number) -> Number:
        """Paid GPU-seconds of a day, cold starts and idle time included."""
        hold = inputs[f"{self.key}.idleSeconds"] + inputs[f"{self.key}.requestSeconds"]
        cold = inputs[f"{self.key}.coldStartSeconds"]
        total: Number = n.of(0)
        for share in sorted(set(self._hourly)):
            if not share:
                continue
            hours = self._hourly.count(share)
            count = self._instances(n, inputs, tokens_day, share)
            rate = tokens_day * n.of(share) / self._request / SECONDS_PER_HOUR / count
            total = total + hours * count * up_share(n, rate, cold, hold)
        return total * SECONDS_PER_HOUR * self.spec.gpus

    def run(self, inputs: Inputs, ledger: Ledger) -> None:
        """Charges every month."""
        n = ledger.n
        for month in range(ledger.months):
            seconds = self.gpu_seconds_day(n, inputs, tokens_of(n, inputs, month)) * n.of(DAYS_PER_MONTH)
            price = inputs[f"{self.key}.usdPerGpuSecond"] * inputs[f"{self.key}.priceFactor"]
            ledger.running(self._charge, month, seconds, price * trend(n, inputs, "finance.cloudPriceTrend", month))


def up_share(n: Arithmetic, rate: Number, cold_seconds: Number, hold_seconds: Number) -> Number:
    """Share of the time for which an instance is up and paid. rate: requests a second; hold_seconds: how long after a
    request's arrival it stays when nobody else comes."""
    return 1 - 1 / (cold_seconds * rate + n.exp(hold_seconds * rate))
