"""The document as Markdown that fits into a comment: cut by importance, never the summary."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from cost.money import CURRENCY
from cost.plan.telling import money, old_words
from spillway.preview.document import Changed, Document, StackRow

LIMIT: Final = 65_000
"""Characters: GitHub refuses comments above 65,536 (https://github.com/orgs/community/discussions/41331), GitLab above
1,000,000; the rest is for the marker."""
MARKER: Final = "<!-- spillway-preview -->"
"""By which the comment of an earlier run is found."""
SIGNS: Final = {"delete": "−", "replace": "±", "update": "~", "create": "+", "same": "="}
WORDS: Final = {"delete": "deletes", "replace": "replaces", "update": "updates", "create": "creates", "same": "leaves"}
ALIKE: Final = 5
"""Of one type with one effect, told one by one before the details."""
KEPT, DANGER, COSTS, CHANGES, QUIET, PRICES = range(6)
"""Importance of a part: the last goes first."""


@dataclass(frozen=True, slots=True)
class Part:
    importance: int
    text: str
    what: str = ""


def as_markdown(found: Document, limit: int = LIMIT) -> str:
    """The whole, in at most `limit` characters. Raises ValueError for a limit below what the summary needs."""
    parts = [Part(KEPT, f"{MARKER}\n{_summary(found)}"), *_details(found), Part(PRICES, _prices(found), "prices")]
    text = _joined(parts)
    dropped: list[str] = []
    while len(text) > limit:
        droppable = [index for index, part in enumerate(parts) if part.importance > KEPT]
        if not droppable:
            raise ValueError(f"{limit} characters are too few for the summary, which has {len(text)}")
        # The least important, of these the longest: most is kept that way.
        index = max(droppable, key=lambda at: (parts[at].importance, len(parts[at].text), at))
        dropped.append(parts.pop(index).what)
        text = _joined([*parts, Part(KEPT, _cut(dropped))])
    return text


def _joined(parts: Sequence[Part]) -> str:
    return "\n\n".join(part.text.strip("\n") for part in parts if part.text.strip()) + "\n"


def _cut(dropped: Sequence[str]) -> str:
    named = ", ".join(sorted(filter(None, dropped))[:8])
    more = f" and {len(dropped) - 8} more" if len(dropped) > 8 else ""
    return f"_Too long for a comment. Left out here, and in the run's artifact whole: {named}{more}._"


# --- the summary ------------------------------------------------------------------------------------------------------


def _summary(found: Document) -> str:
    return "\n".join([*_headline(found), "", *_table(found)])


def _headline(found: Document) -> Iterable[str]:
    yield f"## {found.title}"
    yield ""
    if found.priced:
        unpriced = sum(len(one.unpriced) for one in found.priced)
        gaps = f", without {unpriced} things that have no price" if unpriced else ""
        yield (
            f"**{money(found.delta.steady, signed=True)} {CURRENCY} a month** "
            f"({money(found.before.steady)} to {money(found.after.steady)}{gaps})"
        )
    facts = [*_worst(found), *_per_million(found), *_failover(found), *_fleet_budget(found)]
    if facts:
        yield ""
    for fact in facts:
        yield f"- {fact}"


def _worst(found: Document) -> Iterable[str]:
    failed = [row.stack for row in found.rows if row.outcome == "failed"]
    if failed:
        yield f"**could not be previewed: {', '.join(failed)}**"
    refused = [row.stack for row in found.rows if row.refused]
    if refused:
        yield f"**refused by the engine, protected resources would go: {', '.join(refused)}**"
    blocked = [row.stack for row in found.rows if row.blocked]
    if blocked:
        yield f"**refused by policy: {', '.join(blocked)}**"
    if not found.rows:
        yield "no stack is touched"
        return
    if found.worst in ("delete", "replace"):
        count = sum(row.counts.get(found.worst, 0) for row in found.rows)
        names = ", ".join(row.stack for row in found.rows if row.counts.get(found.worst))
        yield f"**worst operation: {WORDS[found.worst]} {count} in {names}**"
    elif found.worst == "same":
        yield "nothing changes" if not failed else "nothing changes in the other stacks"
    else:
        yield f"worst operation: {found.worst}"


def _per_million(found: Document) -> Iterable[str]:
    for row in found.rows:
        told = row.per_million
        if told is not None and told.usd is not None:
            yield f"{row.stack}: {money(told.usd)} {CURRENCY} per million tokens, {told.basis}"


def _failover(found: Document) -> Iterable[str]:
    for one in found.failovers:
        if one.why:
            yield f"{one.stack}: failover budget unknown: {one.why}"
            continue
        verdict = "within" if one.seconds <= one.objective else "**beyond**"
        told = f"95 of 100 failures are over for clients in {one.seconds:.0f} s"
        yield f"{one.stack}: {told}, {verdict} {one.objective:.0f} s"


def _fleet_budget(found: Document) -> Iterable[str]:
    if found.budget is not None:
        verdict = "**exceeds**" if found.over_budget else "is within"
        yield f"all of it {verdict} the fleet's budget of {money(found.budget)} {CURRENCY} a month"


def _table(found: Document) -> Iterable[str]:
    if not found.rows:
        return
    yield f"| stack | + | ~ | ± | − | {CURRENCY} a month | change | range | worst case | policy |"
    yield "|---|--:|--:|--:|--:|--:|--:|--:|--:|---|"
    for row in found.rows:
        yield _line(row)
    for stack, why in sorted(found.left_out.items()):
        yield f"| {stack} | | | | | | | | | {_cell(why)} |"


def _line(row: StackRow) -> str:
    if row.outcome == "failed":
        return f"| **{row.stack}** | | | | | | | | | **failed**: {_cell(row.errors[0])} |"
    assert row.cost is not None
    counts = [str(row.counts.get(op) or "") for op in ("create", "update")]
    loud = [f"**{row.counts[op]}**" if row.counts.get(op) else "" for op in ("replace", "delete")]
    after = row.cost.after
    spread = money(after.low) if after.low == after.high else f"{money(after.low)} to {money(after.high)}"
    bill = money(after.steady) + (f" **{row.lacking}**" if row.lacking else "")
    return (
        f"| {row.stack} | {' | '.join((*counts, *loud))} | {bill} | "
        f"{money(row.cost.delta.steady, signed=True)} | {spread} | {_worst_case(row)} | {_policy(row)} |"
    )


def _worst_case(row: StackRow) -> str:
    assert row.cost is not None
    told = money(row.cost.after.worst)
    budget = row.cost.budget
    if budget is None or row.cost.after.worst <= budget:
        return told
    return f"{told} (budget {money(budget)})"


def _policy(row: StackRow) -> str:
    if row.refused:
        return f"**protected: {len(row.refused)}**"
    if row.violations is None:
        return "not asked"
    mandatory = sum(one.mandatory for one in row.violations)
    advice = len(row.violations) - mandatory
    told = f"**{mandatory} violated**" if mandatory else "passed"
    return f"{told}, {advice} to note" if advice else told


def _cell(text: str) -> str:
    """Text in a cell of a table: one line, no pipe that would end it, no tag."""
    plain = " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
    return plain if len(plain) <= 240 else f"{plain[:239]}…"


# --- the details ------------------------------------------------------------------------------------------------------


def _details(found: Document) -> Iterable[Part]:
    for row in found.rows:
        if row.outcome == "failed":
            lines = "\n".join(f"    {line}" for line in row.errors)
            yield Part(DANGER, f"### {row.stack}: failed\n\n{lines}", f"{row.stack}: why it failed")
            continue
        danger = "\n".join(_danger(row))
        if danger:
            yield Part(DANGER, f"### {row.stack}\n\n{danger}", f"{row.stack}: what would be lost")
        if row.quiet:
            continue
        assert row.cost is not None
        costs = "\n".join(_costs(row))
        yield Part(COSTS, _folded(f"{row.stack}: what it costs", costs), f"{row.stack}: costs")
        changes = "\n".join(_tree(row))
        yield Part(CHANGES, _folded(f"{row.stack}: {_counted(row)}", changes), f"{row.stack}: changes")
    gaps = "\n".join(_gaps(found))
    if gaps:
        yield Part(QUIET, _folded("Without a price, in no sum", gaps), "what has no price")


def _danger(row: StackRow) -> Iterable[str]:
    for one in row.refused:
        lost = f": {one.lost}" if one.lost else ""
        yield f"- **protected, and would go**: `{one.name}` ({one.type}){lost}"
    loud: dict[tuple[str, str, str], list[Changed]] = {}
    for change in row.changes:
        if change.op in ("delete", "replace"):
            loud.setdefault((change.op, change.type, change.lost), []).append(change)
    for (op, type_, lost), changes in loud.items():
        for change in changes[:ALIKE]:
            because = f" (because of {', '.join(change.because)})" if change.because else ""
            told = f": {lost}" if lost else ""
            yield f"- **{SIGNS[op]} {WORDS[op]}** `{change.name}` ({type_}){because}{told}"
        if len(changes) > ALIKE:
            yield f"- **{SIGNS[op]} {WORDS[op]}** {len(changes) - ALIKE} more of {type_}"
    for violation in row.violations or ():
        level = "**violates**" if violation.mandatory else "note"
        where = f" `{violation.resource}`" if violation.resource else ""
        yield f"- {level} {violation.policy}:{where} {_cell(violation.message)}"


def _counted(row: StackRow) -> str:
    found = [f"{row.counts[op]} {op}" for op in ("delete", "replace", "update", "create") if row.counts.get(op)]
    return ", ".join(found) or "nothing changes"


def _tree(row: StackRow) -> Iterable[str]:
    """Changes by component; of updates every property."""
    groups: dict[tuple[str, ...], list[Changed]] = {}
    for change in row.changes:
        groups.setdefault(change.component, []).append(change)
    yield "```diff"
    for component in sorted(groups):
        yield f"  {' / '.join(component) or 'stack'}"
        for change in groups[component]:
            sign = {"create": "+", "delete": "-"}.get(change.op, "!")
            delta = f"  {money(change.delta, signed=True)} {CURRENCY}" if change.delta else ""
            yield f"{sign}   {SIGNS[change.op]} {change.name}  {change.type}{delta}"
            for diff in change.diffs:
                mark = " (replaces)" if diff.replaces else ""
                yield f"        {diff.path}{mark}: {_fenced(diff.before)} → {_fenced(diff.after)}"
    yield "```"


def _fenced(value: str | None) -> str:
    return "(none)" if value is None else value.replace("```", "'''")


def _costs(row: StackRow) -> Iterable[str]:
    assert row.cost is not None
    yield f"| | before | after | change |"  # noqa: F541 (one form with those below)
    yield "|---|--:|--:|--:|"
    for case, words in (
        ("steady", "steady state"), ("low", "spot at its lowest"), ("high", "spot at its dearest"),
        ("worst", "worst case: all on demand"), ("ceiling", "ceiling: scaled to the maximum"),
    ):  # fmt: skip
        was, will = getattr(row.cost.before, case), getattr(row.cost.after, case)
        yield f"| {words} | {money(was)} | {money(will)} | {money(will - was, signed=True)} |"
    changed = [one for one in row.cost.rows if one.delta.steady or one.delta.worst]
    if changed:
        yield ""
        yield "| resource | change | at worst |"
        yield "|---|--:|--:|"
        for one in sorted(changed, key=lambda each: (-abs(each.delta.steady), -abs(each.delta.worst), each.urn)):
            steady, worst = money(one.delta.steady, signed=True), money(one.delta.worst, signed=True)
            yield f"| {one.name} | {steady} | {worst} |"


def _gaps(found: Document) -> Iterable[str]:
    for cost in found.priced:
        for gap in cost.unpriced:
            what = f", {gap.what}" if gap.what else ""
            yield f"- {gap.resource}{what}: {_cell(gap.reason)}"


def _folded(title: str, text: str) -> str:
    return f"<details><summary>{title}</summary>\n\n{text}\n\n</details>"


def _prices(found: Document) -> str:
    told = []
    if found.priced:
        first = found.priced[0]
        stale = ", **older than it should be**" if first.stale else ""
        told.append(f"Prices: snapshot {first.snapshot}, {first.age} days old{stale}; 730 hours a month, without tax.")
        if aged := old_words(found.priced):
            told.append(f"{aged}.")
    against = "stand-in clouds" if found.where == "sandbox" else "the accounts' own state"
    told.append(f"{found.head} against {found.base}, previewed on {against}.")
    told += found.notes
    return " ".join(told)
