"""A comparison as one page: first the answer, then traffic, what it is made of, money by month, how sure; the rest is
for checking (cost/report/basis.py)."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from html import escape
from itertools import groupby
from typing import Final

from cost.report import answer, basis, charts, words
from cost.report.charts import Charts
from cost.report.told import Told, within
from cost.result import Comparison, Option, SpotZone
from cost.scenario import Scenario
from spillway import page
from spillway.page import Html

STYLE: Final = """
.two{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,27rem),1fr));gap:.2rem 2rem;align-items:start}
.two figure{margin:.5rem 0 .6rem;min-width:0}.card .big{margin-top:.3rem}
.card dl{grid-template-columns:auto 1fr;font-size:.84rem}.card dd{white-space:nowrap}.nw{white-space:nowrap}
.sign{break-inside:avoid}.sign table{width:100%;min-width:34rem}.sign td{border:1px solid var(--line);height:3.2rem;
width:24%}
@media print{@page{size:A4;margin:11mm 12mm}body{zoom:.64}.two{grid-template-columns:1fr 1fr}
.cards{grid-template-columns:repeat(auto-fit,minmax(13rem,1fr));gap:.6rem;margin:.6rem 0}
.card{padding:.5rem .7rem}.card dl{font-size:.72rem;gap:.05rem .4rem}.lead{font-size:1rem;margin:.2rem 0}
h2.page{margin-top:0}p.small{break-after:avoid}td.w{min-width:6rem}td.w:first-of-type{min-width:7rem}th,td{padding-right:.45rem}
td a{overflow-wrap:anywhere}}
"""
SECTIONS: Final = (
    ("answer", "answer"), ("since then", "since"), ("traffic", "traffic"), ("made of", "made"),
    ("money by month", "money"), ("how sure", "sure"), ("utilisation", "utilisation"), ("spot", "spot"),
    ("no price", "unpriced"), ("capacity", "capacity"), ("lines", "lines"), ("assumptions", "assumptions"),
    ("sources", "sources"), ("how to read it", "reading"), ("signatures", "signatures"),
)  # fmt: skip


def page_of(scenario: Scenario, found: Comparison, earlier: Comparison | None = None) -> str:
    """The page, ready to be written. earlier: of a report that it is held against."""
    known = Told(scenario, found, earlier)
    drawn = Charts(known)
    body = [
        *answer.first(known), *_since(known), *_traffic(known, drawn), *_made(known, drawn), *_money(known, drawn),
        *_sure(known, drawn), *_utilisation(known, drawn), *_spot(known, drawn), *basis.parts(known),
    ]  # fmt: skip
    head = _head(known, [(name, ident) for name, ident in SECTIONS if any(f'<h2 id="{ident}"' in one for one in body)])
    return page.page(f"Cost: {found.title}", [one for one in (*head, *body) if one], style=STYLE, used=charts.USED)


def _head(known: Told, sections: Sequence[tuple[str, str]]) -> list[str]:
    found = known.found
    links = "".join(page.link(name, f"#{ident}") for name, ident in sections)
    period = f"{words.count(found.months, 'month')} from {words.month(found.start, 0)}"
    return [
        f'<header><p class="soft small">Estimate of costs · {escape(found.scenario)}</p><h1>{escape(found.title)}</h1>',
        f'<p class="lead">{escape(found.shows)}</p>',
        f'<p class="soft small">{escape(words.tokens(found.workload.tokens_day))} tokens a day · '
        f"{escape(found.model)} · {escape(period)} · "
        f"prices of {found.snapshot_date} ({escape(found.snapshot)}), read on {found.today} · "
        f"{escape(answer.money_said(known))}</p>",
        f"<nav>{links}</nav></header>",
    ]


def _named(known: Told, option: Option) -> str:
    return f"{known.letters[option.name]} {option.title}"


def _since(known: Told) -> list[str]:
    since = known.since
    if since is None:
        return []
    then, now = since.earlier, since.found
    rows = [
        (one.title, words.figure(one.then), words.figure(one.now), words.figure(one.change, sign=True),
         words.share(one.change / one.then) if one.change is not None and one.then else words.NONE)
        for one in since.options()
    ]  # fmt: skip
    heads = ("option", str(then.today), str(now.today), "change", "in percent")
    parts = [
        '<h2 id="since" class="page">Since the earlier report</h2>',
        page.table(heads, rows, caption=f"{now.currency} a month, levelised"),
    ]
    for title, changed in (("Inputs that changed", since.inputs()), ("Prices that changed", since.prices())):
        parts.append(f"<h3>{title}</h3>")
        if changed:
            cells = [(one.what, one.unit, one.then, one.now) for one in changed]
            parts.append(page.table(("what", "unit", "then", "now"), cells, words=2))
        else:
            parts.append("<p>None.</p>")
    return parts


def _traffic(known: Told, drawn: Charts) -> list[str]:
    options = [one for one in known.found.options if one.curve]
    parts = ['<h2 id="traffic" class="page">Cost against traffic</h2>']
    if not options:
        return [*parts, "<p>No option has a curve: none both fits the model and has a price.</p>"]
    parts += [
        "<p>A day's levelised cost if the traffic were as much, at prices of today; both axes are logarithmic. Nodes "
        "are whole, so their lines go in steps, and end where the most nodes that the scenario allows are full.</p>",
        page.legend([(drawn.look[one.name], _named(known, one), "line") for one in options]
                    + [(charts.CROSSING, "the cheapest of all changes", "mark")]),
        page.figure("All options", drawn.overview()),
    ]  # fmt: skip
    steps, rows = answer.by_traffic(known)
    heads = ("option", *(f"at {words.tokens(one)}" for one in steps))
    caption = f"{known.found.currency} a day by tokens a day; “{words.NONE}”: more than it can serve"
    cells = [(_named(known, one), *(words.figure(usd) for usd in usds)) for one, usds in rows]
    parts.append(page.table(heads, cells, caption=caption))
    parts += [
        "<h3>Each option by itself</h3>",
        page.legend((
            (charts.SPREAD, "in the option's colour: P10 to P90 of the uncertain inputs", "area"),
            (charts.BEST, "the cheapest option of this workload", "line"),
            (charts.CROSSING, "as dear as another option", "mark"),
            (charts.BEYOND, "the same, but above what one of them can serve", "mark"),
        )),
        '<div class="two">',
        *(page.figure(_alone(known, one), drawn.alone(one)) for one in options),
        "</div>",
        "<h3>Break-even of every pair</h3>",
        page.table(("options", "which is cheaper, by tokens a day"), _pairs(known), words=2,
                   caption="Where there are several, each is in report.json"),
    ]  # fmt: skip
    return parts


def _alone(known: Told, one: Option) -> Html:
    here = within(one.band, known.found.workload.tokens_day)
    said = ""
    if here is not None:
        low, high = map(words.figure, here)
        told = f"P10 to P90 here {low} to {high} {known.found.currency} a day"
        said = f" <span>{told if low != high else 'nothing uncertain moves it at a given traffic'}</span>"
    return Html(f"{escape(_named(known, one))}{said}")


def _pairs(known: Told) -> list[tuple[str, str]]:
    """By their names in the scenario, which the words have too."""
    letters = known.letters
    return [(f"{letters[one.a]} {one.a}, {letters[one.b]} {one.b}", one.words) for one in known.found.pairs]


def _made(known: Told, drawn: Charts) -> list[str]:
    parts = ['<h2 id="made" class="page">What a month is made of</h2>']
    if not known.ranked:
        return [*parts, "<p>No option has a total.</p>"]
    groups = [name for name in words.GROUPS if any(line.group == name for one in known.ranked for line in one.lines)]
    rows = []
    for one in known.ranked:
        sums = {name: [line.levelised for line in one.lines if line.group == name] for name in groups}
        cells = (words.figure(sum(sums[name], Decimal(0))) if sums[name] else words.NONE for name in groups)
        rows.append((_named(known, one), *cells, words.figure(one.levelised_month)))
    heads = ("option", *(words.GROUPS[name] for name in groups), "total")
    caption = f"{known.found.currency} a month, levelised over {words.count(known.found.months, 'month')}"
    return [
        *parts,
        f"<p>Levelised, {known.found.currency} a month; each chart has its own scale. Bars are levelised, so a "
        "purchase is there with what the money costs.</p>",
        '<div class="two">',
        *(page.figure(_named(known, one), drawn.waterfall(one)) for one in known.ranked),
        "</div>",
        page.table(heads, rows, caption=caption),
    ]


def _money(known: Told, drawn: Charts) -> list[str]:
    found = known.found
    parts = ['<h2 id="money" class="page">Money by month and year</h2>']
    if not known.ranked:
        return [*parts, "<p>No option has a total.</p>"]
    rate = words.share(found.discount_rate)
    rows = [
        (_named(known, one), words.figure(one.cash), words.figure(one.amortised), words.figure(one.remaining),
         words.figure(one.npv), words.figure(one.levelised_month), words.figure(one.levelised_month * found.months))
        for one in known.ranked
    ]  # fmt: skip
    heads = (
        "option",
        "cash",
        "amortised",
        "remaining",
        f"NPV at {rate}",
        "levelised, a month",
        "levelised, all months",
    )
    caption = f"{found.currency} of {words.count(found.months, 'month')}; cash = amortised + remaining"
    parts.append(page.table(heads, rows, caption=caption))
    years = known.years([one * 0 for one in known.ranked[0].cash_by_month])
    names = [words.month(found.start, 12 * number) for number in range(len(years))]
    by_year: list[tuple[str, ...]] = []
    for one in known.ranked:
        cash, books = known.years(one.cash_by_month), known.years(one.amortised_by_month)
        if cash == books:
            by_year.append((_named(known, one), "cash and amortised", *map(words.figure, cash)))
            continue
        by_year.append((_named(known, one), "cash", *map(words.figure, cash)))
        by_year.append((_named(known, one), "amortised", *map(words.figure, books)))
    years_heads = ("option", "", *(f"from {name}" for name in names))
    parts.append(page.table(years_heads, by_year, words=2, caption=f"{found.currency} by twelve months"))
    parts += [
        page.legend(((charts.CASH, "cash", "area"), (charts.BOOKS, "amortised", "line"))),
        '<div class="two">',
        *(page.figure(_named(known, one), drawn.months(one)) for one in known.ranked),
        "</div>",
    ]
    return parts


def _sure(known: Told, drawn: Charts) -> list[str]:
    parts = ['<h2 id="sure" class="page">How sure it is</h2>']
    draws = known.found.montecarlo
    if draws is None:
        parts.append("<p>No inputs were drawn, so there is no spread.</p>")
    else:
        parts.append(
            f"<p>{draws.draws:,} draws with seed {draws.seed}; in each the same traffic and prices for all options. "
            f"Levelised cost and cash of {words.count(known.found.months, 'month')} together, and levelised cost of a "
            f"million tokens, {known.found.currency}.</p>"
        )
        rows = [
            (_named(known, known.found.option(one.option)),
             *map(words.figure, (one.usd_p10, one.usd_p50, one.usd_p90, one.cash_p10, one.cash_p50, one.cash_p90)),
             *map(words.small, (one.usd_million_p10, one.usd_million_p50, one.usd_million_p90)),
             words.share(one.wins), words.share(one.above_capacity))
            for one in draws.options
        ]  # fmt: skip
        draws_heads = ("option", "levelised P10", "P50", "P90", "cash P10", "P50", "P90", "per million P10", "P50",
                       "P90", "wins", "above capacity")  # fmt: skip
        parts.append(page.table(draws_heads, rows))
        if draws.inputs:
            inputs = [(known.meaning(key), key, told) for key, told in draws.inputs]
            parts.append(
                page.table(
                    ("input", "its key in the scenario", "drawn from"),
                    inputs,
                    words=3,
                    caption="What is not known exactly",
                )
            )
    if not known.tornados:
        return [*parts, "<p>The scenario names no uncertain input, so nothing moves the result.</p>"]
    parts += [
        "<h3>What moves the cost of a million tokens</h3>",
        "<p>One input at a time, at both ends of its range; the line is where every input has its own value.</p>",
        page.legend(((charts.LOWER, "cheaper than that", "area"), (charts.HIGHER, "dearer", "area"))),
        '<div class="two">',
    ]
    parts += [page.figure(_named(known, known.found.option(one.option)), drawn.tornado(one)) for one in known.tornados]
    rows = [
        (_named(known, known.found.option(one.option)), swing.words, known.unit(swing.key), words.quantity(swing.low),
         words.quantity(swing.base), words.quantity(swing.high), words.small(swing.low_usd), words.small(one.base),
         words.small(swing.high_usd), words.small(swing.width))
        for one in known.tornados
        for swing in one.swings
    ]  # fmt: skip
    heads = ("option", "input", "unit", "low", "own value", "high", "at low", "at its own", "at high", "width")
    caption = f"{known.found.currency} per million tokens, levelised"
    return [*parts, "</div>", page.table(heads, rows, words=3, caption=caption)]


def _utilisation(known: Told, drawn: Charts) -> list[str]:
    options = [one for one in known.found.options if one.utilisation_curve]
    if not options:
        return []
    shares = [one.utilisation for one in options[0].utilisation_curve]
    rows = []
    for one in options:
        costs = {point.utilisation: point.usd_million for point in one.utilisation_curve}
        rows.append((_named(known, one), *(words.small(costs.get(share)) for share in shares),
                     words.share(one.utilisation), words.small(known.per_million(one))))  # fmt: skip
    shown = [*options, *(one for one in known.ranked if one.kind == "api")]
    heads = ("option", *(words.share(share) for share in shares), "used here", "costs here")
    return [
        '<h2 id="utilisation" class="page">Utilisation</h2>',
        "<p>What a million tokens costs when nodes do so much of what they could. Nodes that wait cost as much as "
        "nodes that work; an API has no nodes of ours and is level.</p>",
        page.legend([(drawn.look[one.name], _named(known, one), "line") for one in shown]
                    + [(charts.CROSSING, "this workload", "mark")]),
        page.figure(f"{known.found.currency} per million tokens by utilisation", drawn.utilisation()),
        page.table(heads, rows, caption=f"{known.found.currency} per million tokens"),
    ]  # fmt: skip


def _spot(known: Told, drawn: Charts) -> list[str]:
    zones = known.found.spot
    if not zones:
        return []
    parts = [
        '<h2 id="spot" class="page">Spot by zone</h2>',
        "<p>Of the machines above, wherever the snapshot has a price; labels are the advisor's band of interruptions a "
        "month where it has one. Spot at the price on demand means that none is left.</p>",
        page.legend(((charts.SPOT, "spot", "mark"), (charts.ON_DEMAND, "on demand", "mark"),
                     (charts.SOLD_OUT, "sold out", "mark"))),
        '<div class="two">',
    ]  # fmt: skip
    for number, (machine, group) in enumerate(groupby(zones, key=lambda one: (one.provider, one.machine))):
        rows = tuple(group)
        name = f"{machine[0]} {machine[1]}"
        parts.append(page.figure(name, drawn.spot(machine[1], rows, f"spot-{number}")))
    table = [
        (f"{one.provider} {one.machine}", one.region, one.zone, one.interruptions or words.NONE, str(one.observed),
         _flags(one.flags), words.small(one.usd_hour), words.small(one.on_demand),
         _of_on_demand(one))
        for one in zones
    ]  # fmt: skip
    heads = ("machine", "region", "zone", "interrupted", "of day", "to be known", "spot", "on demand", "of on demand")
    return [*parts, "</div>", page.table(heads, table, words=6, caption=f"{known.found.currency} an hour")]


def _of_on_demand(one: SpotZone) -> str:
    if charts.sold_out(one):
        return "sold out"
    return words.share(one.usd_hour / one.on_demand) if one.on_demand else words.NONE


def _flags(flags: Sequence[str]) -> str:
    return ", ".join(flag.partition(":")[0] for flag in flags) or words.NONE
