"""What every kind of option is to the rest: something that charges a ledger, and says what it can serve.

    built = build(scenario, snapshot, today)          # one OptionModel for each option of the file
    book = Book(EXACT, 36, rate); built[0].run(inputs, book)

The kinds are in api_cost.py, onprem.py, cloud.py and serverless.py. A formula is written once, for exact decimals and
for arrays (arithmetic.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Final, Protocol

from cost.arithmetic import Arithmetic, Inputs, Number
from cost.capacity import Sizing
from cost.ledger import Charge, Ledger
from cost.money import HOURS_PER_MONTH, MONTHS_PER_YEAR
from cost.result import Basis, Group, Kind, SpotService, Throughput, Unpriced
from cost.throughput import Rate
from spillway.errors import SpillwayError

if TYPE_CHECKING:
    from cost.prices.snapshot import Price, Snapshot
    from cost.scenario import Scenario
    from cost.scenario_options import AnyOption

HOURS: Final = int(HOURS_PER_MONTH)
MONTHS: Final = int(MONTHS_PER_YEAR)
HOURS_A_DAY: Final = 24
MILLION: Final = 1_000_000
DAYS_PER_MONTH: Final = HOURS_PER_MONTH / HOURS_A_DAY
"""30.4167: a month of 730 h."""


@dataclass
class Facts:
    """What is known of an option before anything is summed; see result.Option for the fields.

    priced: False where what it is mainly made of has no price. fits: False where it cannot hold the model."""

    name: str
    kind: Kind
    title: str
    provider: str = ""
    region: str = ""
    machine: str = ""
    market: str = ""
    gpus_per_node: int = 0
    throughput: Throughput | None = None
    service: SpotService | None = None
    unpriced: list[Unpriced] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    priced: bool = True
    fits: bool = True
    why: str = ""
    serves: bool = True
    """False for what is a price to compare with, and no way to serve by itself: spot alone. It is never the best."""

    def lacks(self, what: str, reason: str) -> None:
        """Notes something that has no price."""
        self.unpriced.append(Unpriced(self.name, what, reason))


class OptionModel(Protocol):
    """An option that can be run."""

    facts: Facts
    sizing: Sizing | None

    def run(self, inputs: Inputs, ledger: Ledger) -> None:
        """Charges every month of the ledger's period."""

    def nodes(self, n: Arithmetic, inputs: Inputs, tokens_day: Number) -> Number | None:
        """Nodes held at the busiest hour; None for options without nodes."""

    def limit(self, n: Arithmetic, inputs: Inputs) -> Number | None:
        """Most tokens of a day that it could ever serve; None: no limit of ours."""

    def steps(self, inputs: Inputs) -> list[Decimal]:
        """Tokens of a day at which its cost jumps, ascending. Exact decimals only."""


def tokens_of(n: Arithmetic, inputs: Inputs, month: int) -> Number:
    """Tokens of a day in a month, counted from 0."""
    return inputs["workload.tokensPerDay"] * n.power(1 + inputs["workload.growthPerMonth"], n.of(month))


def trend(n: Arithmetic, inputs: Inputs, key: str, month: int) -> Number:
    """What a price is multiplied by in a month, by its trend a year."""
    return n.power(1 + inputs[key], n.of(Decimal(month) / MONTHS))


def tranches(n: Arithmetic, needed: list[Number], life_months: Number) -> tuple[list[Number], list[Number]]:
    """(bought in each month, held in each) of things that live `life_months` and are bought when they are needed.

    What is bought stays for its life, needed or not."""
    bought: list[Number] = []
    held: list[Number] = []
    for month, need in enumerate(needed):
        alive: Number = n.of(0)
        for when, count in enumerate(bought):
            alive = alive + count * n.less(n.of(month - when), life_months)
        bought.append(n.largest(need - alive, n.of(0)))
        held.append(alive + bought[-1])
    return bought, held


def price_charge(what: str, group: Group, basis: Basis, price: Price, unit: str, today: date) -> Charge:
    """A line of a price of the snapshot; old ones are flagged."""
    flags = (*price.flags, "stale") if price.stale(today) else price.flags
    return Charge(
        what, group, basis, unit, price.source, price.observed, price.provider, price.region, price.sku, price.market,
        flags,
    )  # fmt: skip


def throughput_of(rate: Rate, derate: Decimal, warnings: Iterator[str] | list[str]) -> Throughput:
    """The rate as reports show it."""
    return Throughput(
        rate.id, rate.metric, rate.shown * derate, rate.shown, derate, rate.source, rate.observed, rate.tuned,
        tuple(warnings),
    )  # fmt: skip


def build(scenario: Scenario, snapshot: Snapshot, today: date) -> list[OptionModel]:
    """Every option of a scenario, in its order. Raises SpillwayError with a line for each unknown machine, anchor, API
    model and so on."""
    found: list[OptionModel] = []
    lines: list[str] = []
    for one in scenario.options:
        try:
            found.append(_model(scenario, one, snapshot, today))
        except SpillwayError as error:
            key = f"options.{one.name}"
            lines += [f"{scenario.file}: {line if line.startswith(key) else f'{key}: {line}'}" for line in error.lines]
    if lines:
        raise SpillwayError(*lines)
    return found


def _model(scenario: Scenario, spec: AnyOption, snapshot: Snapshot, today: date) -> OptionModel:
    from cost.api_cost import ApiModel
    from cost.cloud import CloudModel
    from cost.onprem import OnPremModel
    from cost.scenario_options import ApiOption, CloudOption, OnPremOption
    from cost.serverless import ServerlessModel

    if isinstance(spec, ApiOption):
        return ApiModel(scenario, spec, today)
    if isinstance(spec, OnPremOption):
        return OnPremModel(scenario, spec)
    if isinstance(spec, CloudOption):
        return CloudModel(scenario, spec, snapshot, today)
    return ServerlessModel(scenario, spec, today)
