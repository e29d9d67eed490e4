"""A scenario, worked out.

comparison = compare(load(find("product")), Snapshot.load(), today=date(2026, 11, 26))
comparison.option("own").usd_million
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, cast

from cost.arithmetic import EXACT, Inputs
from cost.capacity import HOURS_PER_DAY, SECONDS_PER_HOUR
from cost.cloud import CloudModel
from cost.ledger import Book, present_value
from cost.onprem import OnPremModel
from cost.options import DAYS_PER_MONTH, HOURS, MILLION, OptionModel, build, tokens_of
from cost.prices.snapshot import STALE_DAYS, Price, Snapshot
from cost.result import (
    Band,
    Comparison,
    Line,
    MonteCarlo,
    Option,
    Point,
    SpotZone,
    Status,
    UtilisationPoint,
    Workload,
)
from cost.scenario import Scenario, exactly
from cost.totals import most, tokens

if TYPE_CHECKING:
    from cost.steady import Curve

DECADES: Final = 100
"""A chart goes from a hundredth of the workload's traffic to a hundred times of it."""
LEAST_TOKENS: Final = 1_000.0
MOST_POINTS: Final = 400
FAR_BELOW: Final = Decimal("0.7")
FAR_ABOVE: Final = Decimal(2)
UTILISATIONS: Final = tuple(Decimal(percent) / 100 for percent in (1, 2, 5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100))


def compare(
    scenario: Scenario, snapshot: Snapshot, *, today: date | None = None, draws: int | None = None, bands: bool = True
) -> Comparison:
    """Everything that a report tells. today: by which prices are called stale; None: the day it is.

    draws: of the Monte Carlo, in place of the file's; 0: none. bands: whether curves get theirs. Raises SpillwayError.
    """
    from cost import breakeven, montecarlo, sensitivity, steady, uncertainty

    today = today or date.today()
    inputs, months = scenario.inputs, scenario.data.period.months
    models = build(scenario, snapshot, today)
    states = {model.facts.name: _status(model, scenario) for model in models}
    usable = [model for model in models if states[model.facts.name][0] in ("priced", "partial")]
    known = [model for model in models if model.facts.priced and model.facts.fits]
    found = uncertainty.spreads(scenario, known)
    low, high = _range(scenario)
    at = steady.edges(known, inputs, low, high) if known else None
    curves = steady.curves(known, inputs, at) if known else []
    by_name = {one.model.facts.name: one for one in curves}
    seed = scenario.data.monte_carlo.seed
    count = scenario.data.monte_carlo.draws if draws is None else draws
    options = []
    for model in models:
        name = model.facts.name
        curve = by_name.get(name)
        spread: tuple[Band, ...] = ()
        if curve is not None and bands and count and found and curve.limit > low:
            spread = montecarlo.band(model, inputs, found, seed, low, min(high, curve.limit))
        options.append(_option(model, scenario, states[name], curve, spread))
    drawn: MonteCarlo | None = None
    if count and usable:
        drawn = montecarlo.montecarlo(usable, inputs, months, found, count, seed)
    serving = {model.facts.name for model in usable if model.facts.serves}
    best = min((one for one in options if one.name in serving), key=lambda one: one.levelised_month, default=None)
    unpriced = tuple(gap for one in options for gap in one.unpriced)
    data = scenario.data
    return Comparison(
        scenario.name, data.title, data.shows, scenario.file, scenario.text, "USD", today, months, data.period.start,
        inputs["finance.discountRate"], data.model.name, data.model.dtype, _workload(scenario), tuple(options),
        best.name if best else "", breakeven.pairs(curves, inputs, _request(scenario)),
        sensitivity.tornados(usable, inputs, months, found) if found else (), drawn, _strip(models, snapshot), unpriced,
        scenario.assumptions, snapshot.id, snapshot.date, _stale(snapshot, today), _warnings(options),
    )  # fmt: skip


def _request(scenario: Scenario) -> int:
    return scenario.data.workload.input_tokens + scenario.data.workload.output_tokens


def _range(scenario: Scenario) -> tuple[float, float]:
    own = float(scenario.inputs["workload.tokensPerDay"])
    return max(min(LEAST_TOKENS, own / 10), own / DECADES), own * DECADES


def _status(model: OptionModel, scenario: Scenario) -> tuple[Status, str]:
    facts, inputs = model.facts, scenario.inputs
    if not facts.fits:
        return "infeasible", facts.why
    if not facts.priced:
        return "unpriced", "; ".join(f"{gap.what}: {gap.reason}" for gap in facts.unpriced)
    limit = model.limit(EXACT, inputs)
    busiest = cast(Decimal, most(EXACT, inputs, scenario.data.period.months))
    if limit is not None and busiest > limit:
        return "infeasible", f"serves {limit:,.0f} tokens/day at most; the workload reaches {busiest:,.0f}"
    return ("partial", "") if facts.unpriced else ("priced", "")


def _option(
    model: OptionModel, scenario: Scenario, state: tuple[Status, str], curve: Curve | None, spread: tuple[Band, ...]
) -> Option:
    facts, inputs, months = model.facts, scenario.inputs, scenario.data.period.months
    rate = cast(Decimal, inputs["finance.discountRate"])
    lines: tuple[Line, ...] = ()
    nodes: tuple[int, ...] = ()
    if facts.fits and facts.priced:
        book = Book(EXACT, months, rate)
        model.run(inputs, book)
        lines = book.lines()
        counts = [model.nodes(EXACT, inputs, tokens_of(EXACT, inputs, month)) for month in range(months)]
        nodes = tuple(int(one) for one in counts if one is not None)
    cash = sum((line.usd for line in lines), Decimal(0))
    amortised = sum((sum(line.amortised, Decimal(0)) for line in lines), Decimal(0))
    levelised = sum((line.levelised for line in lines), Decimal(0))
    asked = cast(Decimal, tokens(EXACT, inputs, months))
    warned = (*facts.warnings, *(facts.throughput.warnings if facts.throughput else ()))
    capacity, utilisation, ladder = _served(model, inputs, nodes, lines, months)
    return Option(
        facts.name, facts.kind, facts.title, facts.provider, facts.region, facts.machine, facts.market, *state,
        nodes, facts.gpus_per_node, capacity, utilisation, lines, cash, amortised, cash - amortised,
        present_value(lines, rate), levelised, levelised * months / asked * MILLION if lines else None,
        facts.throughput, facts.service, _points(model, curve, inputs) if curve else (), spread, ladder,
        tuple(facts.unpriced), (*warned, *_published(model, levelised, nodes)),
    )  # fmt: skip


def _served(
    model: OptionModel, inputs: Inputs, nodes: tuple[int, ...], lines: tuple[Line, ...], months: int
) -> tuple[Decimal | None, Decimal | None, tuple[UtilisationPoint, ...]]:
    """Capacity of month 0, mean utilisation of the period, and what a million tokens cost by utilisation."""
    if model.sizing is None or not nodes or not lines:
        return None, None, ()
    size = model.sizing
    serverless = model.facts.kind == "serverless"
    limit = cast(Decimal, model.limit(EXACT, inputs))
    capacity = limit if serverless else cast(Decimal, size.capacity(EXACT, inputs, Decimal(nodes[0])))
    if serverless:
        return capacity, None, ()
    held = _held(model, inputs, months)
    asked = cast(Decimal, tokens(EXACT, inputs, months)) / DAYS_PER_MONTH / months
    per_token = cast(Decimal, size.per_token(EXACT, inputs))
    gpus = held / size.layout.unit_nodes * size.layout.unit_gpus
    utilisation = asked * per_token / (gpus * SECONDS_PER_HOUR * HOURS_PER_DAY)
    ideal = cast(Decimal, size.ideal(EXACT, inputs, held)) * DAYS_PER_MONTH
    there = sum((line.levelised for line in lines if line.basis != "usage"), Decimal(0))
    usage = sum((line.levelised for line in lines if line.basis == "usage"), Decimal(0)) / (asked * DAYS_PER_MONTH)
    ladder = tuple(
        UtilisationPoint(share, (there / (ideal * share) + usage) * MILLION) for share in UTILISATIONS
    )  # fmt: skip
    return capacity, utilisation, ladder


def _held(model: OptionModel, inputs: Inputs, months: int) -> Decimal:
    """Nodes held, mean of the period and of the hours."""
    total = Decimal(0)
    for month in range(months):
        asked = tokens_of(EXACT, inputs, month)
        if isinstance(model, CloudModel):
            total += (
                sum((count * nodes for count, nodes in model.day(EXACT, inputs, asked)), Decimal(0)) / HOURS_PER_DAY
            )
        else:
            total += cast(Decimal, model.nodes(EXACT, inputs, asked))
    return total / months


def _points(model: OptionModel, curve: Curve, inputs: Inputs) -> tuple[Point, ...]:
    """Within what it can serve. Steps stay, however many: of a long stair every n-th."""
    import numpy as np

    from cost.arithmetic import Arrays
    from cost.steady import decimal

    inside = np.flatnonzero(curve.at <= curve.limit)
    if inside.size > MOST_POINTS:
        chosen = np.unique(np.linspace(0, inside.size // 2 - 1, MOST_POINTS // 2).astype(int))
        inside = np.sort(np.concatenate([inside[chosen * 2], inside[chosen * 2 + 1]]))
    at, usd = curve.at[inside], curve.usd[inside]
    n = Arrays()
    count = model.nodes(n, inputs.for_arrays({}), at)
    nodes: Any = [None] * at.size if count is None else [int(one) for one in np.broadcast_to(count, at.shape)]
    return tuple(
        Point(decimal(tokens, 9), decimal(dollars, 9), decimal(dollars / tokens * MILLION, 9), held)
        for tokens, dollars, held in zip(at, usd, nodes, strict=True)
    )


def _workload(scenario: Scenario) -> Workload:
    demand, inputs = scenario.data.workload, scenario.inputs
    day = cast(Decimal, inputs["workload.tokensPerDay"])
    burst = exactly(demand.burst)
    return Workload(
        day, demand.input_tokens, demand.output_tokens, day / _request(scenario),
        exactly(demand.cache_hit_share), scenario.hourly, burst, exactly(demand.growth_per_month),
        day * max(scenario.hourly) / SECONDS_PER_HOUR * burst,
    )  # fmt: skip


def _strip(models: list[OptionModel], snapshot: Snapshot) -> tuple[SpotZone, ...]:
    """Spot of every machine that an option has, in every zone of its provider that a price is known of."""
    found: dict[tuple[str, str, str, str], SpotZone] = {}
    for model in models:
        if not isinstance(model, CloudModel):
            continue
        for row in snapshot.of(model.spec.machine, model.spec.provider):
            if row.market != "spot":
                continue
            dear = snapshot.find(provider=row.provider, region=row.region, sku=row.sku)
            zone = SpotZone(
                row.provider, row.region, row.zone or row.region, row.sku, row.usd,
                dear.usd if isinstance(dear, Price) else None, row.flagged("interruptions") or "", row.observed,
                row.source, row.flags,
            )  # fmt: skip
            found[row.provider, row.sku, row.region, zone.zone] = zone
    return tuple(found[key] for key in sorted(found))


def _stale(snapshot: Snapshot, today: date) -> str:
    if not snapshot.stale(today):
        return ""
    age = snapshot.age(today)
    return (
        f"on-demand prices of machines of snapshot {snapshot.id} are {age} days old (median); {STALE_DAYS} are allowed"
    )


def _published(model: OptionModel, levelised: Decimal, nodes: tuple[int, ...]) -> tuple[str, ...]:
    """Where a GPU-hour of own hardware costs far less or more than others have published for theirs."""
    from cost.hardware import gpus, published

    if not isinstance(model, OnPremModel) or not nodes:
        return ()
    told = published(model.system.gpu.id)
    if told is None:
        return ()
    hour = levelised / (Decimal(sum(nodes)) / len(nodes)) / model.system.gpus / HOURS
    low, high = told.own * FAR_BELOW, told.neocloud * FAR_ABOVE
    if low <= hour <= high:
        return ()
    return (
        f"a GPU-hour costs ${hour:.2f}; published for {gpus()[model.system.gpu.id].name}: ${told.own} (large owner) to "
        f"${told.neocloud} (small one), {told.source}",
    )


def _warnings(options: list[Option]) -> tuple[str, ...]:
    return tuple(f"{one.name}: {text}" for one in options for text in one.warnings)
