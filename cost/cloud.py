"""Rented machines: on demand, spot, under a commitment, or as Spillway's pools buy them.

on demand   node-hours x price
commitment  each node that is needed for so many hours of a day that it is cheaper committed (hours x on-demand price
            above 24 x committed price) is committed, for whole terms; the rest is on demand
spot        node-hours x the mean of the zones that have any; a zone whose spot price is the on-demand price has none
blend       node-hours wanted x (billed spot x spot price + billed on-demand x on-demand price), of the rehearsal of the
            pools' own rule over a recorded trace (cost/blends.py)
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from cost import hardware
from cost.arithmetic import EXACT, Arithmetic, Inputs, Number
from cost.capacity import Sizing
from cost.extras import Extras, traffic_of
from cost.ledger import Charge, Ledger
from cost.options import HOURS, HOURS_A_DAY, MONTHS, Facts, price_charge, tokens_of, tranches, trend
from cost.prices.snapshot import LIST, ON_DEMAND, SPOT, Price, Snapshot, Unpriced
from cost.scenario_options import CloudOption
from cost.sized import size
from infra import catalog
from infra.catalog import NotInCatalog
from infra.faults import did_you_mean
from spillway.errors import SpillwayError

if TYPE_CHECKING:
    from cost.blends import Mix
    from cost.scenario import Scenario

TERM_YEARS: Final = {"reserved-1y": 1, "reserved-3y": 3, "savings-1y": 1, "savings-3y": 3}
UPFRONT: Final = "-upfront"
HOURLY: Final = "node-hour"


@dataclass(frozen=True, slots=True)
class Offer:
    """A price of the machine, as a line; usd: an hour of a node."""

    usd: Decimal
    charge: Charge


class CloudModel:
    """Machines of one type in one region."""

    def __init__(self, scenario: Scenario, spec: CloudOption, snapshot: Snapshot, today: date) -> None:
        self.spec = spec
        self._months = scenario.data.period.months
        self.key = f"options.{spec.name}"
        self.machine = _machine(spec)
        title = spec.title or f"{spec.provider} {spec.region}, {spec.machine}, {spec.market}"
        self.facts = Facts(spec.name, "cloud", title, spec.provider, spec.region, spec.machine, spec.market)
        self.sizing: Sizing | None = size(
            scenario, spec.throughput, hardware.gpu_of(self.machine), self.machine.gpu_memory_mib, self.machine.gpus,
            self.facts,
        )  # fmt: skip
        self._input_share = Decimal(scenario.data.workload.input_tokens) / (
            scenario.data.workload.input_tokens + scenario.data.workload.output_tokens
        )
        self.spots: tuple[Price, ...] = ()
        """Spot of every zone that has any."""
        self.mix: Mix | None = None
        self._offers = self._find(snapshot, today)
        self._extras = Extras(spec, snapshot, today, self.facts, scenario.inputs)
        if self.facts.priced and spec.market == "blend" and self.sizing is not None:
            self._rehearse(scenario)

    # --- prices ---

    def _find(self, snapshot: Snapshot, today: date) -> dict[str, Offer]:
        """The prices that the market needs. What has none makes the option unpriced."""
        market = self.spec.market
        base = market.removesuffix(UPFRONT)
        needed = {
            "on-demand": [ON_DEMAND], "list": [LIST], "calendar": ["calendar"],
            "capacity-block": ["capacity-block"], "spot": [SPOT],
            "blend": [SPOT, ON_DEMAND],
        }.get(base, [market, ON_DEMAND])  # fmt: skip
        found: dict[str, Offer] = {}
        full = self._price(snapshot, ON_DEMAND)
        for one in needed:
            price = self._spot(snapshot) if one == SPOT else self._price(snapshot, one)
            if isinstance(price, Unpriced):
                self.facts.priced = False
                self.facts.lacks(f"{self.spec.machine}, {one}", price.reason)
                continue
            what = "machines" if one in needed[:1] and len(needed) == 1 else f"machines, {one}"
            charge = price_charge(what, "compute" if one in (ON_DEMAND, LIST, SPOT) else "commitment", "step", price,
                                  HOURLY, today)  # fmt: skip
            if not isinstance(full, Unpriced):
                charge = _with_list(charge, full.usd)
            found[one] = Offer(price.usd, charge)
        months = TERM_YEARS.get(base, 0) * MONTHS
        if months and self._months % months:
            beyond = months - self._months % months
            self.facts.warnings.append(f"the last commitment of {months} months goes on for {beyond} after the period")
        if market in ("calendar", "capacity-block"):
            self.facts.warnings.append(
                "blocks of days are booked ahead, one after the other: none is as long as the period"
            )
        if market == "spot":
            self.facts.serves = False
            self.facts.warnings.append("spot alone is taken back at short notice: this is a price, not a service")
        if market == "list":
            self.facts.warnings.append(f"{self.spec.machine} cannot be ordered on demand; the list price stands for it")
        return found

    def _price(self, snapshot: Snapshot, market: str) -> Price | Unpriced:
        """Where a machine gets cheaper the longer it runs (Tencent, after 96 and 360 hours), a node that stays is past
        all of that, and one that goes each day never gets there."""
        found = snapshot.tiers(
            provider=self.spec.provider, region=self.spec.region, sku=self.spec.machine, market=market
        )  # fmt: skip
        if isinstance(found, Unpriced):
            return found
        return found[0] if self.spec.scaling == "hourly" else found[-1]

    def _spot(self, snapshot: Snapshot) -> Price | Unpriced:
        """The zones' mean, as a row like any other."""
        from dataclasses import replace

        rows = snapshot.spot_by_zone(provider=self.spec.provider, region=self.spec.region, sku=self.spec.machine)
        if not rows:
            found = self._price(snapshot, SPOT)
            assert isinstance(found, Unpriced)
            return found
        self.spots = tuple(row for row in rows if not row.sold_out)
        if not self.spots:
            reason = "sold out in every zone: each spot price equals the on-demand price"
            return Unpriced(reason, self.spec.provider, self.spec.region, self.spec.machine, SPOT)
        mean = sum((row.usd for row in self.spots), Decimal(0)) / len(self.spots)
        gone = len(rows) - len(self.spots)
        flags = list(self.spots[0].flags)
        if len(rows) > 1:
            flags.append(f"mean: of {len(self.spots)} zones" + (f", {gone} sold out" if gone else ""))
        return replace(self.spots[0], usd=mean, zone=None, flags=tuple(flags))

    def _rehearse(self, scenario: Scenario) -> None:
        """What the pools would hold of either market, in steady state."""
        from cost import blends

        assert self.sizing is not None
        first = self.nodes(EXACT, scenario.inputs, scenario.inputs["workload.tokensPerDay"])
        if int(first) > blends.MOST_NODES:
            self.facts.fits = False
            self.facts.why = (
                f"needs {int(first):,} nodes in one region; a rehearsal of its pools takes {blends.MOST_NODES} at most"
            )
            return
        self.mix = blends.mix(self.spec, int(first), self._offers[SPOT].usd, self._offers[ON_DEMAND].usd)
        self.facts.service = self.mix.service
        self.facts.warnings += self.mix.warnings

    # --- what it can serve ---

    def nodes(self, n: Arithmetic, inputs: Inputs, tokens_day: Number) -> Number:
        """Nodes of the busiest hour; those of the file where it says how many, whatever the traffic."""
        assert self.sizing is not None
        if self.spec.nodes is not None:
            return n.of(self.spec.nodes) + tokens_day * 0
        return self.sizing.nodes(n, inputs, tokens_day)

    def limit(self, n: Arithmetic, inputs: Inputs) -> Number:
        """Tokens of a day that the most nodes can serve."""
        assert self.sizing is not None
        return self.sizing.capacity(n, inputs, n.of(self.spec.nodes or self.spec.max_nodes))

    def steps(self, inputs: Inputs) -> list[Decimal]:
        """Where another node is needed, in any hour."""
        assert self.sizing is not None
        if self.spec.nodes is not None:
            return []
        return self.sizing.steps(inputs, self.spec.max_nodes, self.spec.scaling == "hourly")

    # --- what it costs ---

    def run(self, inputs: Inputs, ledger: Ledger) -> None:
        """Charges every month."""
        n, months = ledger.n, range(ledger.months)
        tokens = [tokens_of(n, inputs, month) for month in months]
        days = [self.day(n, inputs, one) for one in tokens]
        hours = [sum(count * nodes for count, nodes in day) * HOURS / HOURS_A_DAY for day in days]
        own = inputs[f"{self.key}.priceFactor"] * (1 - inputs[f"{self.key}.discount"])
        if self.spec.market.removesuffix(UPFRONT) in TERM_YEARS:
            self._committed(inputs, ledger, days, own)
        else:
            for month in months:
                price = own * trend(n, inputs, "finance.cloudPriceTrend", month)
                self._bought(inputs, ledger, month, hours[month], price)
        for month in months:
            moved = traffic_of(n, inputs, self.key, tokens[month], self._input_share)
            self._extras.charge(inputs, ledger, month, hours[month], moved)

    def day(self, n: Arithmetic, inputs: Inputs, tokens_day: Number) -> list[tuple[int, Number]]:
        """(hours of a day, nodes in each), the busiest first."""
        if self.spec.scaling == "hourly" and self.spec.nodes is None:
            assert self.sizing is not None
            return self.sizing.by_hour(n, inputs, tokens_day)
        return [(HOURS_A_DAY, self.nodes(n, inputs, tokens_day))]

    def _bought(self, inputs: Inputs, ledger: Ledger, month: int, hours: Number, price: Number) -> None:
        n = ledger.n
        if self.mix is None:
            (offer,) = self._offers.values()
            ledger.running(offer.charge, month, hours, n.price(offer.usd, offer.charge) * price)
            return
        shares = self.mix.billed(n, inputs[f"{self.key}.percentile"])
        for share, market in zip(shares, (SPOT, ON_DEMAND), strict=True):
            offer = self._offers[market]
            ledger.running(offer.charge, month, hours * share, n.price(offer.usd, offer.charge) * price)

    def _committed(self, inputs: Inputs, ledger: Ledger, days: list[list[tuple[int, Number]]], own: Number) -> None:
        n, market = ledger.n, self.spec.market
        term, dear = self._offers[market], self._offers[ON_DEMAND]
        years = TERM_YEARS[market.removesuffix(UPFRONT)]
        needed: list[Number] = []
        for month, day in enumerate(days):
            free = n.price(dear.usd, dear.charge) * trend(n, inputs, "finance.cloudPriceTrend", month)
            needed.append(_worth(n, day, n.price(term.usd, term.charge) * HOURS_A_DAY, free))
        bought, held = tranches(n, needed, n.of(years * MONTHS))
        for month, day in enumerate(days):
            if market.endswith(UPFRONT):
                whole = n.price(term.usd, term.charge) * (HOURS * MONTHS * years) * own
                ledger.ahead(term.charge, month, bought[month], whole, n.of(years * MONTHS))
            else:
                ledger.running(term.charge, month, held[month] * HOURS, n.price(term.usd, term.charge) * own)
            rest: Number = n.of(0)
            for count, nodes in day:
                rest = rest + count * n.largest(nodes - held[month], n.of(0))
            price = n.price(dear.usd, dear.charge) * own * trend(n, inputs, "finance.cloudPriceTrend", month)
            ledger.running(dear.charge, month, rest * HOURS / HOURS_A_DAY, price)


def _worth(n: Arithmetic, day: list[tuple[int, Number]], committed_day: Number, on_demand_hour: Number) -> Number:
    """Nodes that are needed for so many hours of the day that a commitment is cheaper. Taking each node by itself keeps
    the bill from falling when the traffic rises."""
    worth: Number = n.of(0)
    hours = 0
    for index, (count, nodes) in enumerate(day):
        hours += count
        below = day[index + 1][1] if index + 1 < len(day) else n.of(0)
        worth = worth + (nodes - below) * n.less(committed_day, hours * on_demand_hour)
    return worth


def _with_list(charge: Charge, usd: Decimal) -> Charge:
    from dataclasses import replace

    return replace(charge, list_price=usd)


def _machine(spec: CloudOption) -> catalog.Machine:
    """Raises SpillwayError for a machine that the cloud or the region does not have."""
    where = f"options.{spec.name}"
    try:
        machine = catalog.machine(spec.machine)
    except NotInCatalog as error:
        raise SpillwayError(f"{where}.machine: {error}") from None
    if machine.cloud != spec.provider:
        raise SpillwayError(f"{where}.machine = {spec.machine}: is of {machine.cloud}, and provider is {spec.provider}")
    if spec.region not in catalog.regions(spec.provider):
        hint = did_you_mean(spec.region, catalog.regions(spec.provider))
        raise SpillwayError(f"{where}.region = {spec.region}: unknown region of {spec.provider}{hint}")
    return machine
