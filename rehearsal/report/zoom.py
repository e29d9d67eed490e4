"""Parts of a rehearsal at a finer scale: each day, and each incident that is worth it."""

from __future__ import annotations

from datetime import datetime
from html import escape
from typing import Final

from rehearsal.report import charts, told, words
from rehearsal.report.charts import Charts
from rehearsal.report.told import CloseUp, Told
from rehearsal.result import LoadResult, RegionResult, Variant
from spillway import axes, page
from spillway.axes import MINUTE, percent
from spillway.page import Html

LINES: Final = 40
"""Of what happened in a part, at most; report.json has all."""


def parts(known: Told) -> list[str]:
    """A section for each day (hour, week) of the play."""
    found = []
    sections = known.sections
    for index, one in enumerate(sections):
        drawn = Charts(known, one.begin, one.end, one.ident)
        around = [page.link("overview", "#overview")]
        around += [page.link("← before", f"#{sections[index - 1].ident}")] if index else []
        around += [page.link("after →", f"#{sections[index + 1].ident}")] if index + 1 < len(sections) else []
        found.append(
            f'<section class="part" id="{one.ident}"><h3>{escape(one.title)}</h3><nav>{"".join(around)}</nav>'
            f"{summary(known, one.begin, one.end)}{_charts(known, drawn)}{_region_table(known, one.begin, one.end)}"
            f"{happened(known, one.begin, one.end)}</section>"
        )
    return found


def close_ups(known: Told) -> list[str]:
    """A section for each incident that is worth it."""
    return [_close_up(known, one) for one in known.close_ups]


def _close_up(known: Told, one: CloseUp) -> str:
    drawn = Charts(known, one.begin, one.end, one.ident)
    part = known.section_at(one.begin)
    around = page.link("overview", "#overview") + page.link("incidents", "#incidents")
    around += page.link(part.title, f"#{part.ident}")
    when = f"{words.stamp(drawn.begin, one.begin)} to {words.stamp(drawn.begin, one.end)}"
    return (
        f'<section class="part" id="{one.ident}"><h3>{one.number}. {escape(one.title)}</h3><nav>{around}</nav>'
        f'<p class="soft small">{when} UTC</p>{summary(known, one.begin, one.end)}{_charts(known, drawn)}'
        f"{happened(known, one.begin, one.end, since=one.since, opened=True)}</section>"
    )


def summary(known: Told, low: float, high: float) -> str:
    """What came of it, in a sentence or two."""
    base = known.base
    rows = known.fleet(base)
    spells = told.short(rows, base.serving.target, low, high)
    below = sum(one.end - one.begin for one in spells)
    if not spells:
        said = f"All {base.serving.target} ready all the time."
    else:
        least = min(one.nodes for one in spells)
        said = (
            f"Target ready {percent(1 - below / (high - low))} of the time: below it for {words.duration(below)} in "
            f"{words.count(len(spells), 'spell')}, {least} of {base.serving.target} ready at the least."
        )
    lost = [(one.service, *lost_requests(one, low, high)) for one in base.load]
    for name, arrived, late, failed in lost:
        counts = [
            f"{number:,.0f} {word} ({words.share(number / arrived)})"
            for number, word in ((late, "late"), (failed, "failed"))
            if number >= 0.5
        ]
        if counts:
            said += f" {name}: of {words.count(arrived, 'request')} {' and '.join(counts)}."
    return f"<p>{escape(said)}</p>"


def lost_requests(one: LoadResult, low: float, high: float) -> tuple[float, float, float]:
    """(arrived, late, failed) between two times."""
    rows = [(row.at, row.arriving, row.late, row.failed) for row in one.traffic]
    arrived, late, failed = (axes.mean(rows, low, high, column) * (high - low) for column in (1, 2, 3))
    return arrived, late, failed


def _charts(known: Told, drawn: Charts) -> str:
    """Incidents, then every region in which something changes, then names and requests; the rest in a line."""
    found: list[str] = []
    quiet: list[str] = []
    if lanes := drawn.incidents():
        found.append(page.figure("Incidents", lanes))
    for one in known.base.regions:
        if charts.quiet(told.sizes(one.nodes), drawn.low, drawn.high):
            quiet.append(_still(one, drawn.low))
        else:
            found.append(page.figure(one.stack, drawn.region(one, height=78)))
    if quiet:
        found.append(f'<p class="soft small">No change in {escape("; ".join(quiet))}.</p>')
    calm = []
    for service in known.base.services:
        if all(len([1 for at, _ in series if drawn.low < at < drawn.high]) == 0
               for series in (service.answers, service.clients)):  # fmt: skip
            calm.append(service.name)
        else:
            found.append(page.figure(f"{service.name}: who answers, and where clients go", drawn.service(service)))
    if calm:
        found.append(f'<p class="soft small">DNS answers the same throughout for {escape(", ".join(calm))}.</p>')
    for load in known.base.load:
        found.append(page.figure(f"{load.service}: requests", drawn.load(load, height=70)))
    return "".join(found)


def _still(one: RegionResult, at: float) -> str:
    rows = axes.window(told.sizes(one.nodes), at, at + 1)
    spot, on_demand = (int(rows[-1][column]) if rows else 0 for column in (1, 2))
    return f"{one.stack} ({spot} spot, {on_demand} on-demand)"


def _region_table(known: Told, low: float, high: float) -> Html:
    """The charts' figures."""
    inner = page.table(
        ("region", "target", "target ready", "below it", "least ready", "mean spot", "mean on-demand", "mean price"),
        [_figures(one, low, high) for one in known.base.regions],
        caption="Means over the part; price: cheapest spot, USD per hour",
    )
    return page.details("Figures by region", inner)


def _figures(one: RegionResult, low: float, high: float) -> tuple[str, ...]:
    rows = told.sizes(one.nodes)
    cut = axes.window(rows, low, high)
    spells = told.short(rows, one.serving.target, low, high)
    below = sum(spell.end - spell.begin for spell in spells)
    return (
        one.stack,
        str(one.serving.target),
        percent(1 - below / (high - low)),
        words.duration(below),
        str(min((int(row[1] + row[2]) for row in cut), default=0)),
        f"{axes.mean(rows, low, high, 1):.2f}",
        f"{axes.mean(rows, low, high, 2):.2f}",
        f"{axes.mean(one.prices, low, high):.2f}" if one.prices else words.NONE,
    )


def days(known: Told, variant: Variant, one: RegionResult | None = None) -> Html:
    """A row for each part of the play: of a region, or of the fleet."""
    rows = told.sizes(one.nodes) if one else known.fleet(variant)
    target = (one or variant).serving.target
    lines = []
    for part in known.sections:
        spells = told.short(rows, target, part.begin, part.end)
        below = sum(spell.end - spell.begin for spell in spells)
        ready = [int(row[1] + row[2]) for row in axes.window(rows, part.begin, part.end)]
        lines.append(
            (
                page.link(part.title, f"#{part.ident}"),
                percent(1 - below / (part.end - part.begin)),
                words.duration(below),
                words.duration(sum(spell.none for spell in spells)),
                str(min(ready, default=0)),
                f"{axes.mean(rows, part.begin, part.end, 1):.2f}",
                f"{axes.mean(rows, part.begin, part.end, 2):.2f}",
                f"{axes.mean(rows, part.begin, part.end, 3):.2f}",
            )
        )
    heads = ("part", "target ready", "below it", "none ready", "least ready", "mean spot", "on-demand", "booting")
    return page.table(heads, lines, caption=f"{one.stack if one else 'Fleet'}, {variant.name}, target {target}")


def happened(known: Told, low: float, high: float, *, since: float = 0.0, opened: bool = False) -> str:
    """What was done and why, with seconds; incidents, decisions and switches in one list. since: what was
    before is left out first where there is too much."""
    begin = known.rehearsal.begin
    # (at, weight, place, what, why): what weighs least is left out where there are too many.
    found = [
        (one.at, 0 if one.where == "scenario" else 2, one.place, one.what, one.why)
        for one in known.incidents
        if low <= one.at < high
    ]
    found += [(at, 3, place, what, why) for at, place, what, why in known.base.log if low <= at < high]
    for service in known.base.services:
        for one in service.switches:
            if not low <= one.at < high:
                continue
            what = f"{'leaves' if one.away else 'comes back to'} {service.name}"
            spans = ((one.decided, "answers follow"), (one.half, "50 % of the clients"), (one.most, "95 %"))
            steps = [f"{name} after {words.duration(at - one.at)}" for at, name in spans if at is not None]
            found.append((one.at, 1, one.member, what, ", ".join(steps)))
    if not found:
        return ""
    lines = {(at, place, what): (weight, why) for at, weight, place, what, why in sorted(found, reverse=True)}
    weightiest = sorted(lines, key=lambda line: (line[0] < since, lines[line][0], line))[:LINES]
    kept = sorted(weightiest, key=lambda line: (line[0], lines[line]))
    rows = [(_moment(begin, at, high - low), place, what, lines[at, place, what][1]) for at, place, what in kept]
    more = len(lines) > LINES
    caption = f"{LINES} of {len(lines)}, what weighs most; report.json has all" if more else "Times in UTC"
    inner = page.table(("at", "where", "what", "why"), rows, caption=caption, words=4)
    return page.details(f"What happened ({len(lines)})", inner, opened=opened)


def _moment(begin: datetime, at: float, span: float) -> str:
    return words.second(begin, at) if span <= 1440 * MINUTE else f"{words.stamp(begin, at)}"
