"""What plans cost, as JSON and as Markdown. The same plans give the same text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any, Final

from cost.money import CURRENCY, HOURS_PER_MONTH, quantised
from cost.plan.guards import Crossed
from cost.plan.pricing import Amounts, Line, PlanCost, Row, total
from cost.plan.use import KEYS

VERSION: Final = 1
OP_SIGNS: Final = {"create": "+", "update": "~", "replace": "±", "delete": "−", "same": " "}
CASES: Final = (
    ("steady", "Steady state, spot as planned"),
    ("low", "spot at its lowest"),
    ("high", "spot at its dearest"),
    ("worst", "Worst case: the target all on demand"),
    ("ceiling", "Ceiling: scaled to the maximum, all on demand"),
)


def as_json(plans: Sequence[PlanCost], guards: Sequence[Crossed] = ()) -> dict[str, Any]:
    """Everything, money as text of decimals that are not rounded."""
    return {
        "version": VERSION,
        "currency": CURRENCY,
        "hoursPerMonth": int(HOURS_PER_MONTH),
        "total": _sums(total([plan.before for plan in plans]), total([plan.after for plan in plans])),
        "stacks": [_stack(plan) for plan in plans],
        "crossed": [{"guard": one.guard, "words": one.words} for one in guards],
    }


def _stack(plan: PlanCost) -> dict[str, Any]:
    return {
        "stack": plan.stack,
        "file": plan.file,
        "base": plan.base or None,
        "snapshot": {"id": plan.snapshot, "ageDays": plan.age, "stale": plan.stale},
        "old": {"steady": _text(plan.old[0]), "oldestDays": plan.old[1], "limitDays": plan.stale_days},
        "budgetMonthly": None if plan.budget is None else str(plan.budget),
        "operations": {op: plan.count(op) for op in ("create", "update", "replace", "delete", "same")},
        **_sums(plan.before, plan.after),
        "resources": [_row(row) for row in plan.rows],
        "unpriced": [{"resource": one.resource, "what": one.what, "reason": one.reason} for one in plan.unpriced],
        "use": {key: str(value) for key, value in sorted(plan.used.items())},
    }


def _sums(before: Amounts, after: Amounts) -> dict[str, Any]:
    return {"before": _amounts(before), "after": _amounts(after), "delta": _amounts(after - before)}


def _amounts(found: Amounts) -> dict[str, str]:
    return {case: _text(getattr(found, case)) for case, _ in CASES}


def _text(value: Decimal) -> str:
    """Without an exponent and without zeros at its end, so that sums in another order read the same."""
    return f"{value.normalize():f}"


def _row(row: Row) -> dict[str, Any]:
    found: dict[str, Any] = {"urn": row.urn, "type": row.type, "operation": row.op}
    if row.free:
        return found | {"free": row.free}
    if row.unknown:
        return found | {"unknown": True}
    return found | {
        "before": [_line(line) for line in row.before],
        "after": [_line(line) for line in row.after],
        "delta": _amounts(row.delta),
    }


def _line(line: Line) -> dict[str, Any]:
    found: dict[str, Any] = {"what": line.what, "note": line.note, "sku": line.sku}
    if line.amounts is not None:
        found["monthly"] = _amounts(line.amounts)
    if line.quantity is not None:
        found["quantity"] = _text(line.quantity)
    if line.unit_price is not None:
        found |= {"unit": line.unit, "unitPrice": str(line.unit_price), "source": line.source}
        found["observed"] = line.observed.isoformat() if line.observed else None
        found["flags"] = list(line.flags)
    for key, value in (
        ("priceNotFound", line.gap),
        ("byUse", line.use),
        ("market", line.market),
        ("oldDays", line.old),
    ):
        if value:
            found[key] = value
    return {key: value for key, value in found.items() if value not in ("", None)}


def money(value: Decimal, *, signed: bool = False) -> str:
    """Whole dollars from a thousand on, cents below."""
    places = 0 if abs(value) >= 1000 else 2
    rounded = quantised(value, places)
    if rounded == 0:
        rounded = abs(rounded)  # no minus before a zero
    sign = "+" if signed and rounded > 0 else ""
    return f"{sign}{rounded:,}".replace("-", "−")


def headline(plan: PlanCost) -> str:
    """One line: what a month costs, and by how much more or less than before."""
    gaps = len(plan.unpriced)
    without = f", without {gaps} things that have no price" if gaps > 1 else ", without one that has no price" * gaps
    return (
        f"{plan.stack}: {'at least ' if gaps else ''}{money(plan.after.steady)} {CURRENCY} a month "
        f"({money(plan.delta.steady, signed=True)}){without}"
    )


def old_words(plans: Sequence[PlanCost]) -> str:
    """How much of the steady state rests on old prices; empty where none does. A snapshot's own age says nothing of
    its oldest rows."""
    amount = sum((plan.old[0] for plan in plans), Decimal(0))
    days = max((plan.old[1] for plan in plans), default=0)
    if not days:
        return ""
    limit, steady = plans[0].stale_days, total([plan.after for plan in plans]).steady
    return (
        f"Of the {money(steady)} {CURRENCY} {money(amount)} rest on prices older than {limit} days,"
        f" the oldest seen {days} days ago"
    )


def as_markdown(plans: Sequence[PlanCost], guards: Sequence[Crossed] = ()) -> str:
    """A summary, then each stack: sums, lines, what depends on use, what has no price."""
    parts = [*_guards(guards)]
    if len(plans) > 1:
        parts += _all(plans)
    for plan in plans:
        parts += _one(plan)
    return "\n".join(parts).rstrip() + "\n"


def _guards(guards: Sequence[Crossed]) -> Iterable[str]:
    for one in guards:
        yield f"> **{one.guard}**: {one.words}"
    if guards:
        yield ""


def _all(plans: Sequence[PlanCost]) -> Iterable[str]:
    after, before = total([plan.after for plan in plans]), total([plan.before for plan in plans])
    yield f"## {money(after.steady)} {CURRENCY} a month ({money((after - before).steady, signed=True)})"
    yield ""
    yield f"| stack | {CURRENCY} a month | change | range | worst case | no price |"
    yield "|---|--:|--:|--:|--:|--:|"
    for plan in plans:
        yield (
            f"| {plan.stack} | {money(plan.after.steady)} | {money(plan.delta.steady, signed=True)} | "
            f"{_range(plan.after)} | {money(plan.after.worst)} | {len(plan.unpriced)} |"
        )
    yield ""


def _range(found: Amounts) -> str:
    return money(found.low) if found.low == found.high else f"{money(found.low)} to {money(found.high)}"


def _one(plan: PlanCost) -> Iterable[str]:
    yield f"### {headline(plan)}"
    yield ""
    yield f"| {CURRENCY} a month | before | after | change |"
    yield "|---|--:|--:|--:|"
    for case, words in CASES:
        was, will, delta = (getattr(one, case) for one in (plan.before, plan.after, plan.delta))
        yield f"| {words} | {money(was)} | {money(will)} | {money(delta, signed=True)} |"
    yield ""
    if plan.budget is not None:
        yield f"Budget of the stack file: {money(plan.budget)} {CURRENCY} a month, {_budget(plan)}."
        yield ""
    yield from _lines(plan)
    yield from _by_use(plan)
    yield from _unpriced(plan)
    stale = "; **older than it should be**" if plan.stale else ""
    base = f", compared with {plan.base}" if plan.base else ""
    yield f"Prices: snapshot {plan.snapshot}, {plan.age} days old (median of machines on demand){stale}."
    if aged := old_words([plan]):
        yield f"{aged}."
    yield f"A month has {HOURS_PER_MONTH} hours. List prices without tax, of {plan.file}{base}."
    yield ""


def _budget(plan: PlanCost) -> str:
    assert plan.budget is not None
    if plan.after.steady > plan.budget:
        return "which the steady state exceeds"
    if plan.after.worst > plan.budget:
        return "which the worst case exceeds"
    return "which the ceiling exceeds" if plan.after.ceiling > plan.budget else "which holds in every case"


def _lines(plan: PlanCost) -> Iterable[str]:
    """What changes, then what stays as it is, folded."""
    changed: list[str] = []
    same: list[str] = []
    for row in plan.rows:
        still = row.op == "same" or (row.op == "update" and row.delta == Amounts())
        (same if still else changed).extend(_row_lines(row))
    head = (f"| | resource | what | quantity | price | {CURRENCY} a month | change |", "|---|---|---|--:|--:|--:|--:|")
    if changed:
        yield from (*head, *changed, "")
    if same:
        yield from (f"<details><summary>As it is: {len(same)} lines</summary>", "", *head, *same, "", "</details>", "")


def _row_lines(row: Row) -> Iterable[str]:
    sign = OP_SIGNS[row.op]
    was = {line.what: line for line in row.before}
    for line in row.after or row.before:
        if line.amounts is None:
            continue
        now = line.amounts if row.after else Amounts()
        old = was[line.what].amounts if line.what in was else None
        delta = (now - (old or Amounts())).steady
        if not now.steady and not delta and not line.gap:
            continue
        price = "" if line.unit_price is None else f"{_text(line.unit_price)} / {line.unit}"
        price += f", {line.old} days old" * bool(price and line.old)
        told = "no price" if line.gap else money(now.steady)
        yield f"| {sign} | {row.name} | {line.what} | {line.note} | {price} | {told} | {money(delta, signed=True)} |"
    for name in sorted(was.keys() - {line.what for line in row.after}) if row.after else ():
        amounts = was[name].amounts or Amounts()
        yield f"| {sign} | {row.name} | {name} | | | 0 | {money(-amounts.steady, signed=True)} |"


def _by_use(plan: PlanCost) -> Iterable[str]:
    found = plan.by_use
    if not found:
        return
    yield f"<details><summary>By use, in no sum: {len(found)}</summary>"
    yield ""
    yield "| resource | what | price | key of a usage file |"
    yield "|---|---|--:|---|"
    for name, line in found:
        price = f"{_text(line.unit_price or Decimal(0))} {CURRENCY} / {line.unit}"
        yield f"| {name} | {line.what} | {price} | `{line.use}`: {KEYS[line.use]} |"
    yield ""
    yield "</details>"
    yield ""


def _unpriced(plan: PlanCost) -> Iterable[str]:
    found = plan.unpriced
    if not found:
        return
    yield f"<details><summary>Without a price, in no sum: {len(found)}</summary>"
    yield ""
    for one in found:
        what = f", {one.what}" if one.what else ""
        yield f"- {one.resource}{what}: {one.reason}"
    yield ""
    yield "</details>"
    yield ""
