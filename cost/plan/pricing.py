"""Charges at the prices of a snapshot: lines, the sums of a stack before and after, and the difference.

A month has 730 hours. Four sums of one stack:
steady    what it is meant to hold; spot at the median price over the zones of the machine type whose median is lowest
low, high steady with spot at the lowest and at the dearest price that is no mark of a sold-out zone
worst     no spot: the whole target on demand, of the dearest machine type that the pool may take
ceiling   as worst, scaled up to the pools' maximum
What has no price is a gap with a reason: in none of the sums. Of spot without a price, on-demand's is the bound that
`high` takes: spot is never dearer (https://aws.amazon.com/ec2/spot/pricing/).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import date
from decimal import Decimal
from statistics import median_low
from typing import Any, Final

from cost.money import HOURS_PER_MONTH
from cost.plan import aws, azure, gcp, others
from cost.plan.charges import Case, Charge, Charged, Context, Found, Free, Gap, Machines, Rule, Use
from cost.plan.preview import OPS, Change, Op, Preview, Resource, Side
from cost.prices.snapshot import ON_DEMAND, SPOT, STALE_DAYS, Price, Snapshot, Unpriced

RULES: Final[Mapping[str, Rule]] = {**aws.RULES, **azure.RULES, **gcp.RULES, **others.RULES}
PROVIDERS: Final = {"aws": "aws", "azure-native": "azure", "gcp": "gcp", "cloudflare": "cloudflare",
                    "tencentcloud": "tencent"}  # fmt: skip
"""Pulumi package -> provider in the price snapshot."""
_ZERO: Final = Decimal(0)


@dataclass(frozen=True, slots=True)
class Amounts:
    """USD a month in each case."""

    steady: Decimal = _ZERO
    low: Decimal = _ZERO
    high: Decimal = _ZERO
    worst: Decimal = _ZERO
    ceiling: Decimal = _ZERO

    def __add__(self, other: Amounts) -> Amounts:
        return Amounts(*(getattr(self, one.name) + getattr(other, one.name) for one in fields(self)))

    def __sub__(self, other: Amounts) -> Amounts:
        return Amounts(*(getattr(self, one.name) - getattr(other, one.name) for one in fields(self)))


def total(amounts: Sequence[Amounts]) -> Amounts:
    found = Amounts()
    for one in amounts:
        found += one
    return found


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that a resource is charged for.

    amounts: None where it is not in the sums: it has no price (`gap`), or depends on use that nobody told (`use`).
    unit_price: USD for one `unit`; quantity: of `unit`, steady. flags: what is to be known of the price.
    """

    what: str
    amounts: Amounts | None
    quantity: Decimal | None
    unit: str
    unit_price: Decimal | None
    note: str = ""
    gap: str = ""
    use: str = ""
    sku: str = ""
    market: str = ""
    source: str = ""
    observed: date | None = None
    flags: tuple[str, ...] = ()
    old: int = 0
    """Days since the price was seen, where that is longer than prices may be old."""


@dataclass(frozen=True, slots=True)
class Row:
    """A resource with what it costs before and after. free: why nothing is charged; unknown: no rule knows its type."""

    urn: str
    type: str
    op: Op
    before: tuple[Line, ...]
    after: tuple[Line, ...]
    free: str = ""
    unknown: bool = False
    keys: tuple[str, ...] = ()
    because: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.urn.rsplit("::", 1)[-1]

    @property
    def was(self) -> Amounts:
        return _sum(self.before)

    @property
    def will(self) -> Amounts:
        return _sum(self.after)

    @property
    def delta(self) -> Amounts:
        return self.will - self.was


def _sum(lines: Sequence[Line]) -> Amounts:
    return total([line.amounts for line in lines if line.amounts is not None])


@dataclass(frozen=True, slots=True)
class Missing:
    """Something that is charged for and in no sum. resource: name of it, or several of one kind."""

    resource: str
    what: str
    reason: str


@dataclass(frozen=True, slots=True)
class PlanCost:
    """A stack's bill a month, before and after a plan.

    base: where `before` is from: the plan's own old states, or another plan's new ones. budget: USD a month of the
    stack file; None: it has none, or the plan does not tell. snapshot: id of the prices; age: days; stale: older than
    `stale_days`.
    """

    stack: str
    file: str
    base: str
    rows: tuple[Row, ...]
    before: Amounts
    after: Amounts
    budget: Decimal | None
    snapshot: str
    age: int
    stale: bool
    used: Mapping[str, Decimal] = field(default_factory=dict)
    stale_days: int = STALE_DAYS

    @property
    def delta(self) -> Amounts:
        return self.after - self.before

    @property
    def unpriced(self) -> tuple[Missing, ...]:
        """What of the stack as it would be has no price, each kind once."""
        found: dict[tuple[str, str, str], None] = {}
        for row in self.rows:
            if row.unknown and row.op != "delete":
                found[row.type, "", "unknown type: no rule knows what it costs"] = None
            for line in row.after:
                if line.gap:
                    found[row.name, line.what, line.gap] = None
        return tuple(Missing(*one) for one in found)

    @property
    def by_use(self) -> tuple[tuple[str, Line], ...]:
        """What depends on use that nobody told, and has a price: (resource, line)."""
        return tuple(
            (row.name, line)
            for row in self.rows
            for line in row.after
            if line.use and line.amounts is None and not line.gap
        )

    @property
    def old(self) -> tuple[Decimal, int]:
        """How much of the steady state rests on prices older than they may be, and the age of the oldest in days."""
        found = [line for row in self.rows for line in row.after if line.old and line.amounts not in (None, Amounts())]
        return _sum(found).steady, max((line.old for line in found), default=0)

    def count(self, op: Op) -> int:
        return sum(row.op == op for row in self.rows)


def price_plan(
    plan: Preview,
    snapshot: Snapshot,
    today: date,
    *,
    base: Preview | None = None,
    use: Mapping[str, Decimal] | None = None,
    stale_days: int = STALE_DAYS,
) -> PlanCost:
    """What a plan costs and by how much that differs from before.

    base: the plan of the same stack at the commit that this one is compared with; None: what is deployed. use: by key
    of a usage file. Pure: the same plan and snapshot give the same sums.
    """
    use = use or {}
    after = _context(plan, plan.after)
    before = _context(base, base.after) if base is not None else _context(plan, plan.before)
    pricer = _Pricer(snapshot, today, use, stale_days)
    rows = [pricer.row(change, before, after, base is not None) for change in plan.changes]
    if base is not None:
        here = {change.urn for change in plan.changes}
        rows += [pricer.gone(one, before) for one in base.after if one.urn not in here]
    rows.sort(key=lambda row: (-abs(row.delta.steady), OPS.index(row.op), -row.will.steady, row.urn))
    old = snapshot.stale(today, stale_days)
    return PlanCost(
        plan.stack, plan.file, base.file if base else "", tuple(rows), total([row.was for row in rows]),
        total([row.will for row in rows]), _budget(after.config), snapshot.id, snapshot.age(today), old, dict(use),
        stale_days,
    )  # fmt: skip


def _context(plan: Preview, side: Side) -> Context:
    config = plan.config.get("spillway:region")
    told = config if isinstance(config, Mapping) else {}
    provider, _, region = plan.stack.partition("-")
    if isinstance(told.get("region"), str):
        region = told["region"]
    return Context(plan.stack, provider, region, side, told)


def _budget(config: Mapping[str, Any]) -> Decimal | None:
    budget = config.get("budget")
    told = budget.get("monthlyUsd") if isinstance(budget, Mapping) else None
    if isinstance(told, bool) or not isinstance(told, int | float) or not math.isfinite(told):
        return None
    return Decimal(str(told))


_Charges = tuple[dict[str, Found | None], dict[tuple[str, str, str], str]]


class _Pricer:
    def __init__(self, snapshot: Snapshot, today: date, use: Mapping[str, Decimal], stale_days: int) -> None:
        self.snapshot, self.today, self.use, self.stale_days = snapshot, today, use, stale_days
        self._known: dict[int, _Charges] = {}

    def row(self, change: Change, before: Context, after: Context, compared: bool) -> Row:
        old = before.side.by_urn.get(change.urn)
        new = change.after
        free, unknown, was, will = "", False, (), ()  # type: tuple[str, bool, tuple[Line, ...], tuple[Line, ...]]
        if old is not None:
            free, unknown, was = self._lines(old, before)
        if new is not None:
            free, unknown, will = self._lines(new, after)
        op = change.op
        if compared and op in ("create", "same", "update"):
            op = (
                "create"
                if old is None
                else "same"
                if op == "create" and was == will
                else "update"
                if op == "create"
                else op
            )
        return Row(change.urn, change.type, op, was, will, free, unknown, change.keys, change.because)

    def gone(self, resource: Resource, before: Context) -> Row:
        """Of the base, and not in the plan any more."""
        free, unknown, was = self._lines(resource, before)
        return Row(resource.urn, resource.type, "delete", was, (), free, unknown)

    def _lines(self, resource: Resource, context: Context) -> tuple[str, bool, tuple[Line, ...]]:
        charges, bearers = self._charges(context)
        if (found := charges[resource.urn]) is None:
            return "", True, ()
        if isinstance(found, Free):
            return found.source, False, ()
        provider = PROVIDERS.get(resource.type.partition(":")[0], context.provider)
        here = replace(context, provider=provider)
        lines: list[Line] = []
        for one in found:
            if isinstance(one, Use) and (bearer := bearers[resource.type, one.key, one.what]) != resource.urn:
                told = f"counted with {bearer.rsplit('::', 1)[-1]}"
                lines.append(Line(one.what, Amounts(), None, "", None, told, use=one.key, sku=one.sku))
            else:
                lines += self._line(one, here)
        return "", False, tuple(lines)

    def _charges(self, context: Context) -> _Charges:
        """What each resource of a side is charged for, by URN, None for types without a rule; and who bears what is
        told for a whole stack: bytes of two buckets are told once, and count once."""
        known = self._known.get(id(context.side))
        if known is None:
            charges: dict[str, Found | None] = {}
            bearers: dict[tuple[str, str, str], str] = {}
            for one in context.side:
                rule = RULES.get(one.type)
                found = charges[one.urn] = rule(one, context) if rule else None
                for use in () if found is None or isinstance(found, Free) else found:
                    if isinstance(use, Use):
                        key = (one.type, use.key, use.what)
                        bearers[key] = max(bearers.get(key, ""), one.urn)
            known = self._known[id(context.side)] = charges, bearers
        return known

    def _line(self, charged: Charged, context: Context) -> Iterator[Line]:
        if isinstance(charged, Gap):
            yield Line(charged.what, None, None, "", None, gap=charged.reason)
        elif isinstance(charged, Machines):
            yield from self._machines(charged, context)
        elif isinstance(charged, Use):
            yield self._use(charged, context)
        else:
            yield self._charge(charged, context)

    def _charge(self, charge: Charge, context: Context) -> Line:
        provider, region = charge.provider or context.provider, charge.region or context.region
        found = self.snapshot.tiers(provider=provider, region=region, sku=charge.sku, market=charge.market)
        if isinstance(found, Unpriced):
            return Line(charge.what, None, None, "", None, charge.quantity, gap=found.reason, sku=charge.sku)
        cost = {
            case: self._tiers(charge.count.get(case), charge, provider, region) for case in _CASES
        }  # fmt: skip
        steady = cost["steady"]
        amounts = Amounts(steady, steady, steady, cost["worst"], cost["ceiling"])
        first = found[0]
        return self._priced(charge.what, amounts, charge.count.steady / first.kind.per, first, charge.quantity)

    def _tiers(self, quantity: Decimal, charge: Charge, provider: str, region: str) -> Decimal:
        found = self.snapshot.cost(quantity, provider=provider, region=region, sku=charge.sku, market=charge.market)
        assert isinstance(found, Decimal)
        return found

    def _use(self, use: Use, context: Context) -> Line:
        provider, region = use.provider or context.provider, use.region or context.region
        found = self.snapshot.find(provider=provider, region=region, sku=use.sku)
        if isinstance(found, Unpriced):
            return Line(use.what, None, None, "", None, gap=found.reason, use=use.key, sku=use.sku)
        amount = self.use.get(use.key)
        if amount is None:
            tiers = self.snapshot.tiers(provider=provider, region=region, sku=use.sku)
            # Of what begins with an amount for nothing, the price beyond is what has to be known.
            found = next((one for one in tiers if one.usd), found) if not isinstance(tiers, Unpriced) else found
            line = self._priced(use.what, Amounts(), _ZERO, found, "by use")
            return replace(line, amounts=None, quantity=None, use=use.key)
        quantity = amount * use.per
        cost = self.snapshot.cost(quantity, provider=provider, region=region, sku=use.sku)
        assert isinstance(cost, Decimal)
        amounts = Amounts(cost, cost, cost, cost, cost)
        return replace(self._priced(use.what, amounts, quantity / found.kind.per, found, "as told"), use=use.key)

    def _machines(self, machines: Machines, context: Context) -> Iterator[Line]:
        """The nodes of a pool: spot by its prices, and on demand where the cases say so."""
        bought = [
            self.snapshot.find(provider=context.provider, region=context.region, sku=one) for one in machines.types
        ]
        known = [one for one in bought if isinstance(one, Price)]
        hours = machines.count.times(HOURS_PER_MONTH)
        what = f"{machines.market} nodes"
        if machines.market == "spot":
            line = self._spot(what, machines, context, known)
            yield line
            if line.amounts is not None:  # otherwise the line itself says so
                yield from (
                    gap for gap in _lacking(what, machines.types, bought) if not self._spot_of(gap.sku, context)
                )
            return
        if not known:
            reason = next(one.reason for one in bought if isinstance(one, Unpriced))
            yield Line(what, None, None, "hour", None, f"{_plain(machines.count.steady)} nodes", gap=reason)
            return
        first = known[0]
        dear = max(known, key=lambda one: one.usd)
        cheap = min(known, key=lambda one: one.usd)
        steady = first.usd * hours.steady
        amounts = Amounts(
            steady, cheap.usd * hours.steady, dear.usd * hours.steady, dear.usd * hours.worst, dear.usd * hours.ceiling
        )
        note = f"{_plain(machines.count.steady)} x {first.sku}"
        if dear is not first:
            note += f"; at worst {_plain(machines.count.worst)} x {dear.sku}"
        yield self._priced(what, amounts, hours.steady, first, note)
        yield from _lacking(what, machines.types, bought)

    def _spot(self, what: str, machines: Machines, context: Context, bought: Sequence[Price]) -> Line:
        count = machines.count.steady
        hours = count * HOURS_PER_MONTH
        offers: list[tuple[Decimal, Price]] = []
        every: list[Price] = []
        for name in machines.types:
            rows = self._spot_of(name, context)
            # AWS's prices go by zone ids, which each account knows under names of its own: all of the region's count.
            named = {one.zone for one in rows} & set(machines.zones)
            rows = tuple(one for one in rows if not one.sold_out and (not named or one.zone in named))
            if rows:
                middle = median_low([one.usd for one in rows])
                offers.append((middle, next(one for one in rows if one.usd == middle)))
                every += rows
        if not offers:
            found = self.snapshot.find(
                provider=context.provider, region=context.region, sku=machines.types[0], market=SPOT
            )
            reason = found.reason if isinstance(found, Unpriced) else "every zone is sold out"
            if not bought:
                return Line(what, None, None, "hour", None, f"{_plain(count)} nodes", gap=reason)
            bound = max(bought, key=lambda one: one.usd)
            amounts = Amounts(high=bound.usd * hours)
            note = f"{_plain(count)} x {machines.types[0]}; at most {bound.usd} USD/h, as {bound.sku} on demand"
            return Line(what, amounts, hours, "hour", None, note, gap=reason, market=SPOT)
        usd, price = min(offers, key=lambda pair: pair[0])
        low, high = min(one.usd for one in every), max(one.usd for one in every)
        amounts = Amounts(usd * hours, low * hours, high * hours)
        note = f"{_plain(count)} x {price.sku}"
        if low != high:
            note += f", {low} to {high} USD/h by zone and type"
        return self._priced(what, amounts, hours, price, note)

    def _spot_of(self, machine: str, context: Context) -> tuple[Price, ...]:
        return self.snapshot.spot_by_zone(provider=context.provider, region=context.region, sku=machine)

    def _priced(self, what: str, amounts: Amounts, quantity: Decimal, price: Price, note: str) -> Line:
        flags = price.flags
        old = price.age(self.today) if price.stale(self.today, self.stale_days) else 0
        if old:
            flags = (*flags, f"stale: seen {old} days ago")
        return Line(
            what, amounts, quantity, price.unit, price.usd, note, sku=price.sku,
            market=price.market if price.market != ON_DEMAND else "", source=price.source, observed=price.observed,
            flags=flags, old=old,
        )  # fmt: skip


def _lacking(what: str, types: Sequence[str], found: Sequence[Price | Unpriced]) -> Iterator[Line]:
    """Types of a pool that nobody has a price of: any of its nodes may be one, so no case bounds what it costs."""
    for name, one in zip(types, found, strict=True):
        if isinstance(one, Unpriced):
            yield Line(f"{what} that are {name}", None, None, "hour", None, gap=one.reason, sku=name)


_CASES: Final[tuple[Case, ...]] = ("steady", "worst", "ceiling")


def _plain(value: Decimal) -> str:
    return f"{value.normalize():f}"
