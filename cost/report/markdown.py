"""A comparison as Markdown: the answer and its tables, for a pull request or a wiki; charts are on the page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal

from cost.report import answer, words
from cost.report.since import Since
from cost.report.told import Told
from cost.result import Comparison
from cost.scenario import Scenario
from spillway.markdown import plain, table


def text_of(scenario: Scenario, found: Comparison, earlier: Comparison | None = None) -> str:
    """The file's text. earlier: of a report that it is held against."""
    known = Told(scenario, found, earlier)
    parts = [
        f"# Estimate of costs: {plain(found.title)}",
        plain(found.shows),
        f"Scenario `{found.scenario}`: {words.tokens(found.workload.tokens_day)} tokens a day, {plain(found.model)}, "
        f"{words.count(found.months, 'month')} from {words.month(found.start, 0)}. Prices of {found.snapshot_date} "
        f"(`{found.snapshot}`), read on {found.today}. {plain(answer.money_said(known))}",
        "\n".join(f"- {plain(one)}" for one in answer.sentences(known)),
    ]
    if said := answer.caveats(known):
        parts.append("\n".join(f"> {plain(one)}  " for one in said))
    parts += ["## Options", *_options(known)]
    if known.since:
        parts += ["## Since the earlier report", *_since(known.since)]
    parts += ["## Against traffic", *_traffic(known)]
    if known.ranked:
        parts += ["## What a month is made of", _made(known), "## Money by year", _money(known)]
    parts += ["## How sure it is", *_sure(known)]
    parts += ["## What has no price", *_unpriced(known)]
    parts += ["## Assumptions", _assumptions(known), "## Sources", _sources(known)]
    parts += [
        "## How to read it",
        table(("word", "meaning"), words.READING, words=2),
        "What is not claimed:",
        "\n".join(f"- {plain(one)}" for one in words.UNCLAIMED),
    ]
    return "\n\n".join(parts) + "\n"


def _named(known: Told, name: str) -> str:
    return f"{known.letters[name]} {known.found.option(name).title}"


def _options(known: Told) -> Iterable[str]:
    heads = (*answer.RANKED, "to be known")
    rows = [
        (f"{_named(known, one.name)} ({one.name})", *answer.cells(known, one), answer.state(known, one))
        for one in (*known.ranked, *known.out)
    ]
    yield table([one.replace("USD", known.found.currency) for one in heads], rows)
    yield (
        f"P10 and P90 are of the levelised month; cash, amortised and NPV of "
        f"{words.count(known.found.months, 'month')}, in {known.found.currency}."
    )


def _since(since: Since) -> Iterable[str]:
    rows = [
        (one.title, words.figure(one.then), words.figure(one.now), words.figure(one.change, sign=True))
        for one in since.options()
    ]
    heads = (f"option, {since.found.currency} a month", str(since.earlier.today), str(since.found.today), "change")
    yield table(heads, rows)
    changed = [*since.inputs(), *since.prices()]
    if changed:
        yield "Inputs and prices that changed:"
        yield table(
            ("what", "unit", "then", "now"), [(one.what, one.unit, one.then, one.now) for one in changed], words=2
        )


def _traffic(known: Told) -> Iterable[str]:
    steps, rows = answer.by_traffic(known)
    cells = ((_named(known, one.name), *map(words.figure, usds)) for one, usds in rows)
    heads = ("option", *(f"{words.tokens(one)} tokens a day" for one in steps))
    yield f"{known.found.currency} a day, levelised; “{words.NONE}”: more than it can serve."
    yield table(heads, cells)
    pairs = [
        (f"{known.letters[one.a]} {one.a}, {known.letters[one.b]} {one.b}", one.words) for one in known.found.pairs
    ]
    if pairs:
        yield "Break-even of every pair, by tokens a day:"
        yield table(("options", "which is cheaper"), pairs, words=2)


def _made(known: Told) -> str:
    rows = []
    for one in known.ranked:
        rows += [(_named(known, one.name), name, words.figure(usd)) for name, usd in known.bars(one)]
    return table(("option", "for", f"{known.found.currency} a month, levelised"), rows, words=2)


def _money(known: Told) -> str:
    rows: list[Sequence[str]] = []
    for one in known.ranked:
        cash, books = known.years(one.cash_by_month), known.years(one.amortised_by_month)
        if cash == books:
            rows.append((_named(known, one.name), "cash and amortised", *map(words.figure, cash)))
            continue
        rows.append((_named(known, one.name), "cash", *map(words.figure, cash)))
        rows.append((_named(known, one.name), "amortised", *map(words.figure, books)))
    years = range(0, known.found.months, 12)
    heads = ("option", known.found.currency, *(f"from {words.month(known.found.start, first)}" for first in years))
    return table(heads, rows, words=2)


def _sure(known: Told) -> Iterable[str]:
    draws = known.found.montecarlo
    if draws is None:
        yield "No inputs were drawn, so there is no spread."
    else:
        yield (
            f"{draws.draws:,} draws, seed {draws.seed}; levelised cost and cash of the whole period, levelised cost of "
            "a million tokens."
        )
        rows = [
            (_named(known, one.option),
             *map(words.figure, (one.usd_p10, one.usd_p50, one.usd_p90, one.cash_p10, one.cash_p90)),
             *map(words.small, (one.usd_million_p10, one.usd_million_p50, one.usd_million_p90)),
             words.share(one.wins), words.share(one.above_capacity))
            for one in draws.options
        ]  # fmt: skip
        yield table(("option", f"levelised, {known.found.currency}, P10", "P50", "P90", "cash, P10", "P90",
                     "per million, P10", "P50", "P90", "wins", "above capacity"), rows)  # fmt: skip
        yield table(("input", "key", "drawn from"), [(known.meaning(key), key, told) for key, told in draws.inputs],
                    words=3)  # fmt: skip
    rows = [
        (_named(known, one.option), swing.words, _ends(swing.low, swing.high), words.small(swing.low_usd),
         words.small(one.base), words.small(swing.high_usd))
        for one in known.tornados
        for swing in one.swings
    ]  # fmt: skip
    if rows:
        yield f"One input at a time, {known.found.currency} per million tokens:"
        yield table(("option", "input", "from and to", "at low", "at its own value", "at high"), rows, words=3)


def _ends(low: Decimal, high: Decimal) -> str:
    return f"{words.quantity(low)} to {words.quantity(high)}"


def _unpriced(known: Told) -> Iterable[str]:
    rows = [(_named(known, one.option), one.what, one.reason) for one in known.found.unpriced]
    rows += [(_named(known, one.name), words.STATUSES[one.status], one.why) for one in known.out]
    if rows:
        yield "In no sum, and not zero:"
        yield table(("option", "what", "why"), rows, words=3)
    else:
        yield "Everything that the options are made of has a price."


def _assumptions(known: Told) -> str:
    rows = [
        (one.key, one.value, one.unit, " to ".join(one.range) if one.range else "", one.owner, one.source,
         str(one.observed or ""))
        for one in known.found.assumptions
    ]  # fmt: skip
    return table(("input", "value", "unit", "range", "owner", "source", "of day"), rows, words=7)


def _sources(known: Told) -> str:
    rows = [
        (str(number), one.source, str(one.observed or ""), ", ".join(one.what))
        for number, one in enumerate(known.sources, 1)
    ]
    return table(("", "source", "of day", "for"), rows, words=4)
