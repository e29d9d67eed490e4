"""The document as a page and as JSON: everything, nothing cut."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from cost.money import CURRENCY
from cost.plan.telling import as_json as cost_json
from cost.plan.telling import money, old_words
from spillway.page import Html, details, link, page, slug, table, text
from spillway.preview.document import Changed, Document, StackRow
from spillway.preview.markdown import SIGNS, WORDS

VERSION: Final = 1
STYLE: Final = """
.op{font-family:ui-monospace,monospace;font-weight:600}td .path{font-family:ui-monospace,monospace;font-size:.82rem}
td{overflow-wrap:anywhere}
"""


def as_json(found: Document) -> dict[str, Any]:
    """Everything as values, money as text of decimals that are not rounded."""
    return {
        "version": VERSION,
        "title": found.title,
        "where": found.where,
        "base": found.base,
        "head": found.head,
        "failed": found.failed,
        "worstOperation": found.worst,
        "budgetMonthly": None if found.budget is None else str(found.budget),
        "failover": [
            {"stack": one.stack, "seconds": round(one.seconds, 1), "objectiveSeconds": one.objective, "why": one.why}
            for one in found.failovers
        ],
        "leftOut": dict(sorted(found.left_out.items())),
        "notes": list(found.notes),
        "cost": {key: value for key, value in cost_json(found.priced).items() if key != "stacks"},
        "stacks": [_stack(row) for row in found.rows],
    }


def _stack(row: StackRow) -> dict[str, Any]:
    cost = cost_json([row.cost])["stacks"][0] if row.cost is not None else None
    return {
        "stack": row.stack,
        "outcome": row.outcome,
        "touchedBy": row.touched or None,
        "operations": dict(row.counts),
        "errors": list(row.errors),
        "refused": [{"name": one.name, "type": one.type, "lost": one.lost} for one in row.refused],
        "policy": None
        if row.violations is None
        else [
            {"policy": one.policy, "mandatory": one.mandatory, "resource": one.resource, "message": one.message}
            for one in row.violations
        ],
        "perMillionTokens": None
        if row.per_million is None
        else {
            "usd": None if row.per_million.usd is None else str(row.per_million.usd),
            "basis": row.per_million.basis,
            "why": row.per_million.why,
        },
        "changes": [_changed(one) for one in row.changes],
        "cost": cost,
    }


def _changed(one: Changed) -> dict[str, Any]:
    return {
        "name": one.name,
        "type": one.type,
        "operation": one.op,
        "component": list(one.component),
        "because": list(one.because),
        "lost": one.lost,
        "deltaMonthly": f"{one.delta.normalize():f}",
        "properties": [
            {"path": each.path, "before": each.before, "after": each.after, "replaces": each.replaces}
            for each in one.diffs
        ],
    }


def as_page(found: Document) -> str:
    """The review as a page of its own."""
    return page(found.title, _body(found), style=STYLE)


def _body(found: Document) -> Iterable[str]:
    yield f"<h1>{text(found.title)}</h1>"
    against = "stand-in clouds" if found.where == "sandbox" else "the accounts' own state"
    yield f"<p class=soft>{text(found.head)} against {text(found.base)}, previewed on {text(against)}.</p>"
    if found.priced:
        yield (
            f'<p class="lead"><span class="big">{text(money(found.delta.steady, signed=True))} {CURRENCY}'
            f" <small>a month; {money(found.before.steady)} to {money(found.after.steady)}</small></span></p>"
        )
    yield "".join(f"<p>{fact}</p>" for fact in _facts(found))
    if found.rows:
        yield _summary(found)
    for row in found.rows:
        yield from _section(row)
    yield from _end(found)


def _facts(found: Document) -> Iterable[Html]:
    bad = [row.stack for row in found.rows if row.outcome == "failed" or row.refused or row.blocked]
    if bad:
        yield Html(f'<span class="bad">Not to be merged as it is: {text(", ".join(bad))}.</span>')
    if not found.rows:
        yield Html("No stack is touched.")
    elif found.worst in ("delete", "replace"):
        count = sum(row.counts.get(found.worst, 0) for row in found.rows)
        yield Html(f'<span class="bad">Worst operation: {WORDS[found.worst]} {count}.</span>')
    elif found.worst != "same":
        yield Html(f"Worst operation: {found.worst}.")
    elif not bad:
        yield Html("Nothing changes.")
    for row in found.rows:
        told = row.per_million
        if told is not None and told.usd is not None:
            yield text(f"{row.stack}: {money(told.usd)} {CURRENCY} per million tokens, {told.basis}.")
    for one in found.failovers:
        if one.why:
            yield text(f"{one.stack}: failover budget unknown: {one.why}")
        else:
            kind = "good" if one.seconds <= one.objective else "bad"
            words = "within" if kind == "good" else "beyond"
            told_of = f"{one.stack}: failover in {one.seconds:.0f} s, "
            yield Html(f'{text(told_of)}<span class="{kind}">{words} {one.objective:.0f} s</span>.')
    if found.budget is not None:
        kind, words = ("bad", "exceeds") if found.over_budget else ("good", "is within")
        yield Html(
            f'All of it <span class="{kind}">{words}</span> the fleet\'s budget of {money(found.budget)} {CURRENCY}.'
        )


def _summary(found: Document) -> Html:
    heads = ("stack", "+", "~", "±", "−", f"{CURRENCY} a month", "change", "low", "high", "worst case", "policy")
    rows: list[list[str]] = []
    for row in found.rows:
        name = link(row.stack, f"#{slug(row.stack)}")
        if row.cost is None:
            why = row.errors[0] if row.errors else ""
            rows.append([name, *("",) * 9, Html(f'<span class="bad">failed: {text(why)}</span>')])
            continue
        after = row.cost.after
        counts = [str(row.counts.get(op) or "") for op in ("create", "update", "replace", "delete")]
        figures = [
            f"{money(after.steady)} {row.lacking}".strip(), money(row.cost.delta.steady, signed=True),
            money(after.low), money(after.high), money(after.worst),
        ]  # fmt: skip
        rows.append([name, *counts, *figures, _policy(row)])
    return table(heads, rows, caption="Stacks")


def _policy(row: StackRow) -> Html:
    if row.refused:
        return Html(f'<span class="bad">protected: {len(row.refused)}</span>')
    if row.violations is None:
        return Html("not asked")
    mandatory = sum(one.mandatory for one in row.violations)
    if mandatory:
        return Html(f'<span class="bad">{mandatory} violated</span>')
    advice = f", {len(row.violations)} to note" if row.violations else ""
    return Html(f'<span class="good">passed</span>{advice}')


def _section(row: StackRow) -> Iterable[str]:
    yield f'<h2 id="{slug(row.stack)}">{text(row.stack)}</h2>'
    if row.touched:
        yield f"<p class=soft>Touched by {text(row.touched)}.</p>"
    if row.outcome == "failed":
        yield "<pre>" + "\n".join(text(line) for line in row.errors) + "</pre>"
    for one in row.refused:
        lost = f": {one.lost}" if one.lost else ""
        yield f'<p class="bad">{text(f"Protected, and would go: {one.name} ({one.type}){lost}")}</p>'
    for change in row.changes:
        if change.op in ("delete", "replace"):
            lost = f": {change.lost}" if change.lost else ""
            told = f"{WORDS[change.op].capitalize()} {change.name} ({change.type}){lost}"
            yield f'<p class="bad">{text(told)}</p>'
    if row.violations:
        rows = [
            (one.policy, "mandatory" if one.mandatory else "advice", one.resource, one.message)
            for one in row.violations
        ]
        yield table(("policy", "level", "resource", "what"), rows, caption="Policy", words=4)
    if row.cost is None:
        return
    if row.changes:
        yield table(
            ("", "resource", "type", "property", "before", "after", f"{CURRENCY} a month"), _changes(row),
            caption="Changes", words=6,
        )  # fmt: skip
    else:
        yield "<p>Nothing changes.</p>"
    lines = [
        (one.name, line.what, line.note, money(line.amounts.steady), money(line.amounts.worst))
        for one in row.cost.rows
        for line in one.after
        if line.amounts is not None and (line.amounts.steady or line.amounts.worst)
    ]
    heads = ("resource", "what", "quantity", f"{CURRENCY} a month", "at worst")
    yield details(f"What it costs: {len(lines)} lines", table(heads, lines, words=3))
    if row.cost.unpriced:
        gaps = [(gap.resource, gap.what, gap.reason) for gap in row.cost.unpriced]
        yield details(
            f"Without a price, in no sum: {len(gaps)}", table(("resource", "what", "why"), gaps, words=3)
        )  # fmt: skip


def _changes(row: StackRow) -> Iterable[list[str]]:
    for change in row.changes:
        delta = money(change.delta, signed=True) if change.delta else ""
        sign = Html(f'<span class="op">{text(SIGNS[change.op])}</span>')
        yield [sign, " / ".join((*change.component, change.name)), change.type, "", "", "", delta]
        for diff in change.diffs:
            mark = " (replaces)" if diff.replaces else ""
            path = Html(f'<span class="path">{text(diff.path + mark)}</span>')
            yield ["", "", "", path, diff.before or "(none)", diff.after or "(none)", ""]


def _end(found: Document) -> Iterable[str]:
    for stack, why in sorted(found.left_out.items()):
        yield f"<p>{text(f'{stack} is left out: {why}')}</p>"
    if found.priced:
        first = found.priced[0]
        stale = " It is older than it should be." if first.stale else ""
        told = (
            f"Prices: snapshot {first.snapshot}, {first.age} days old.{stale} 730 hours a month, list prices, no tax."
        )
        if aged := old_words(found.priced):
            told += f" {aged}."
        yield f'<p class="small soft">{text(told)}</p>'
    for note in found.notes:
        yield f'<p class="small soft">{text(note)}</p>'
