"""What a comparison of options comes to, as values that reports, tables and JSON are made of.

Money is Decimal in `Comparison.currency`, not rounded: rounding belongs to output. A month is 730 h (cost/money.py).
Months are counted from 0. What is paid ahead is paid at the beginning of its month, everything else at its end.

Three views of the same money, by line:
cash        what leaves the account in each month; upfronts in the month in which they are paid, resale as a credit.
amortised   what the books show: capital and upfronts spread evenly over their life or term, running costs as they come.
levelised   what a month costs if the money itself costs `discount_rate` a year: capital times the capital recovery
            factor (cost/onprem.py), running costs as they come. The view that options are compared by.
Over the period, cash = amortised + remaining, where `remaining` is the book value of what outlives it.

What could not be priced is in `unpriced` with a reason. It is in no sum, and an option that lacks a price says so by
its `status`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Literal

Kind = Literal["api", "onprem", "cloud", "serverless"]
Group = Literal[
    "compute", "tokens", "capital", "resale", "power", "space", "network", "storage", "support", "staff", "spares",
    "licences", "tax", "insurance", "monitoring", "commitment",
]  # fmt: skip
"""What a line is for; a waterfall has one bar for each."""
Basis = Literal["fixed", "step", "usage"]
"""fixed: the same whatever the traffic; step: by the whole node; usage: by the token, request or GB."""
Status = Literal["priced", "partial", "unpriced", "infeasible"]
"""priced: nothing is missing. partial: something in `unpriced` is missing from the sums. unpriced: what the option is
mainly made of has no price, so there is no total. infeasible: cannot serve this workload; `why` says why."""


@dataclass(frozen=True, slots=True)
class Assumption:
    """An input of the scenario or of the model. key: its path in the scenario file; value: as text, unrounded.

    owner: who answers for it; source and observed: where it is from, and of which day (empty, None: the scenario
    itself). range: low and high of its uncertainty, where one is stated.
    """

    key: str
    value: str
    unit: str
    source: str
    observed: date | None
    owner: str
    range: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Unpriced:
    """Something that an option needs and nobody could price. Never zero: it is in no sum."""

    option: str
    what: str
    reason: str


@dataclass(frozen=True, slots=True)
class Line:
    """One kind of charge of an option over the period.

    quantity x unit_price: of the first month with a charge, in `unit`; later months may have other quantities
    (`quantities`, one per month). cash, amortised: USD by month. usd: sum of cash. levelised: USD per month, mean of
    the period. timing: paid at the beginning or the end of its month. list_usd: the same quantity at the public
    on-demand or list price, over the period. provider, region, sku, market: of the price that was used; empty where
    it is none of a cloud. flags: what is to be known of that price (`list`, `stale`, `mapped` ...).
    """

    what: str
    group: Group
    basis: Basis
    quantity: Decimal
    unit: str
    unit_price: Decimal
    quantities: tuple[Decimal, ...]
    cash: tuple[Decimal, ...]
    amortised: tuple[Decimal, ...]
    usd: Decimal
    levelised: Decimal
    list_usd: Decimal
    timing: Literal["begin", "end"]
    source: str
    observed: date | None
    provider: str = ""
    region: str = ""
    sku: str = ""
    market: str = ""
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Point:
    """Steady state at `tokens_day` (input and output together). usd_day: levelised; usd_million: per million tokens.

    nodes: held at the busiest hour; None for options without nodes. Where the cost steps, the same tokens_day stands
    twice: before and after the step.
    """

    tokens_day: Decimal
    usd_day: Decimal
    usd_million: Decimal
    nodes: int | None


@dataclass(frozen=True, slots=True)
class Band:
    """USD per day at `tokens_day`, percentiles 10, 50 and 90 of the Monte Carlo inputs."""

    tokens_day: Decimal
    p10: Decimal
    p50: Decimal
    p90: Decimal


@dataclass(frozen=True, slots=True)
class UtilisationPoint:
    """USD per million tokens when the nodes of the option do `utilisation` (0..1) of what they could."""

    utilisation: Decimal
    usd_million: Decimal


@dataclass(frozen=True, slots=True)
class SpotService:
    """What a pool that buys spot first gave in the rehearsal of a recorded trace. usd_hour: per node that was wanted.

    share_*: of the node-hours wanted; interruptions_day: per node; below_hours_month: hours below the target per month.
    mapped, synthetic: what of it was not recorded for this machine and place. trace: its name.
    """

    usd_hour: Decimal
    usd_hour_p10: Decimal
    usd_hour_p50: Decimal
    usd_hour_p90: Decimal
    share_spot: Decimal
    share_on_demand: Decimal
    share_nothing: Decimal
    interruptions_day: Decimal
    below_hours_month: Decimal
    runs: int
    seed: int
    trace: str
    mapped: tuple[str, ...] = ()
    synthetic: bool = False


@dataclass(frozen=True, slots=True)
class Throughput:
    """The rate that capacity was computed with. tok_s_gpu: after derating, in `metric`; anchor_tok_s_gpu: before it.

    anchor: its id, or how the scenario gave it. warnings: of the roofline, and where the anchor's shape is another than
    the workload's.
    """

    anchor: str
    metric: str
    tok_s_gpu: Decimal
    anchor_tok_s_gpu: Decimal
    derate: Decimal
    source: str
    observed: date | None
    tuned: bool
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Option:
    """One way to serve the workload.

    nodes: held at the busiest hour, by month; empty for options without nodes. capacity_tokens_day: what those of
    month 0 can serve with this profile within the latency limit; None: no limit of ours. utilisation: mean of the
    period, of what the nodes could do. cash, amortised, npv: USD of the period; remaining: cash - amortised.
    levelised_month: USD per month; usd_million: levelised, per million tokens. curve: cost against traffic; band: the
    same with its uncertainty.
    """

    name: str
    kind: Kind
    title: str
    provider: str
    region: str
    machine: str
    market: str
    status: Status
    why: str
    nodes: tuple[int, ...]
    gpus_per_node: int
    capacity_tokens_day: Decimal | None
    utilisation: Decimal | None
    lines: tuple[Line, ...]
    cash: Decimal
    amortised: Decimal
    remaining: Decimal
    npv: Decimal
    levelised_month: Decimal
    usd_million: Decimal | None
    throughput: Throughput | None
    service: SpotService | None
    curve: tuple[Point, ...]
    band: tuple[Band, ...]
    utilisation_curve: tuple[UtilisationPoint, ...]
    unpriced: tuple[Unpriced, ...]
    warnings: tuple[str, ...] = ()

    @property
    def serves(self) -> bool:
        """Whether one can choose it: has a total, can serve the workload, and is not spot alone, which is a price."""
        return self.status in ("priced", "partial") and self.market != "spot"

    @property
    def cash_by_month(self) -> tuple[Decimal, ...]:
        """USD that leave the account in each month."""
        return tuple(sum(column, Decimal(0)) for column in zip(*(line.cash for line in self.lines), strict=True))

    @property
    def amortised_by_month(self) -> tuple[Decimal, ...]:
        """USD that the books show in each month."""
        return tuple(sum(column, Decimal(0)) for column in zip(*(line.amortised for line in self.lines), strict=True))


@dataclass(frozen=True, slots=True)
class Crossing:
    """Traffic at which the cheaper of two options changes: below `tokens_day` it is `below`, above it `above`.

    step: the cost jumps over the other's there, rather than meeting it. feasible: False where one of them cannot serve
    as much; `why` then says which, and how far above its capacity. share_of_capacity: of the smaller capacity of the
    two; None where neither has one.
    """

    below: str
    above: str
    tokens_day: Decimal
    usd_day: Decimal
    step: bool
    feasible: bool
    share_of_capacity: Decimal | None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two options against each other. crossings: every one, by traffic; empty: `always` is cheaper wherever both can
    serve (empty text: neither can, or they are equal). words: the same in a sentence."""

    a: str
    b: str
    crossings: tuple[Crossing, ...]
    always: str
    words: str


@dataclass(frozen=True, slots=True)
class Swing:
    """One input moved alone to the ends of its range. low_usd, high_usd: USD per million tokens at its low and high
    value; words: what the input is."""

    key: str
    words: str
    unit: str
    low: Decimal
    base: Decimal
    high: Decimal
    low_usd: Decimal
    high_usd: Decimal

    @property
    def width(self) -> Decimal:
        """How much the input moves the result, USD per million tokens."""
        return abs(self.high_usd - self.low_usd)


@dataclass(frozen=True, slots=True)
class Tornado:
    """The swings of an option, the widest first. base: USD per million tokens with every input at its own value."""

    option: str
    base: Decimal
    swings: tuple[Swing, ...]


@dataclass(frozen=True, slots=True)
class Drawn:
    """An option over all draws. usd: levelised, of the whole period; usd_million: the same per million
    tokens; cash: of the period.

    wins: share of the draws in which it is, levelised, the cheapest that can serve (spot alone never is).
    above_capacity: share in which it could not serve the traffic; it does not win those.
    """

    option: str
    usd_p10: Decimal
    usd_p50: Decimal
    usd_p90: Decimal
    usd_mean: Decimal
    usd_million_p10: Decimal
    usd_million_p50: Decimal
    usd_million_p90: Decimal
    cash_p10: Decimal
    cash_p50: Decimal
    cash_p90: Decimal
    wins: Decimal
    above_capacity: Decimal


@dataclass(frozen=True, slots=True)
class MonteCarlo:
    """inputs: key -> the distribution in words. The same seed gives the same figures."""

    draws: int
    seed: int
    inputs: tuple[tuple[str, str], ...]
    options: tuple[Drawn, ...]


@dataclass(frozen=True, slots=True)
class SpotZone:
    """Spot of a machine in a zone (or region), as the snapshot has it. usd_hour equal to on_demand means sold out."""

    provider: str
    region: str
    zone: str
    machine: str
    usd_hour: Decimal
    on_demand: Decimal | None
    interruptions: str
    observed: date
    source: str
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Workload:
    """What is asked. hourly: 24 shares of a day's tokens, UTC, sum 1; peak_tok_s: input and output tokens per second
    of the busiest hour, bursts included, in month 0."""

    tokens_day: Decimal
    input_tokens: int
    output_tokens: int
    requests_day: Decimal
    cache_hit_share: Decimal
    hourly: tuple[Decimal, ...]
    burst: Decimal
    growth_month: Decimal
    peak_tok_s: Decimal


@dataclass(frozen=True, slots=True)
class Comparison:
    """Everything that a report of a scenario tells.

    options: as in the scenario; best: the cheapest by `levelised_month` of those that are priced and can serve
    (spot alone cannot).
    snapshot: id of the prices, snapshot_date their day, stale: why they are too old (empty: they are not).
    """

    scenario: str
    title: str
    shows: str
    file: str
    text: str
    currency: str
    today: date
    months: int
    start: str
    discount_rate: Decimal
    model: str
    dtype: str
    workload: Workload
    options: tuple[Option, ...]
    best: str
    pairs: tuple[Pair, ...]
    tornados: tuple[Tornado, ...]
    montecarlo: MonteCarlo | None
    spot: tuple[SpotZone, ...]
    unpriced: tuple[Unpriced, ...]
    assumptions: tuple[Assumption, ...]
    snapshot: str
    snapshot_date: date
    stale: str
    warnings: tuple[str, ...] = field(default=())

    def option(self, name: str) -> Option:
        """One option by name; KeyError for an unknown one."""
        for one in self.options:
            if one.name == name:
                return one
        raise KeyError(name)
