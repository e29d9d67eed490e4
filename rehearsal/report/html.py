"""A rehearsal as one page: first the answer, then the whole time at a glance, then every incident and day closer."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from html import escape
from typing import Final

from rehearsal.report import answer, charts, names, traffic, words, zoom
from rehearsal.report.charts import Charts
from rehearsal.report.told import Told
from rehearsal.result import Rehearsal, Source, Variant
from spillway import page
from spillway.axes import percent
from spillway.page import Html

STYLE: Final = """
.part{border-top:1px solid var(--line);margin-top:1.6rem;padding-top:.2rem}.part h3{margin-top:.6rem}
.plot+.plot{margin-top:.15rem}.two{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,30rem),1fr));
gap:.4rem 2rem;align-items:start}
@media print{@page{size:A4 landscape}.part{break-inside:auto}.part h3{break-after:avoid}}
"""


def page_of(rehearsal: Rehearsal) -> str:
    """The page, ready to be written."""
    known = Told(rehearsal)
    body = [
        *_head(known),
        *answer.first(known),
        *_overview(known),
        *names.section(known),
        *traffic.section(known),
        *_incidents(known),
        *_parts(known),
        *_money(known),
        *_sources(known),
    ]
    return page.page(f"Rehearsal: {rehearsal.title}", [one for one in body if one], style=STYLE)


def _head(known: Told) -> list[str]:
    one = known.rehearsal
    end = one.begin + timedelta(seconds=one.seconds)
    links = [("answer", "#answer"), ("overview", "#overview")]
    links += [("DNS", "#dns")] if known.base.services else []
    links += [("requests", "#requests")] if known.base.load else []
    links += [("incidents", "#incidents"), ("closer", f"#{known.sections[0].ident}"), ("money", "#money"),
              ("what it rests on", "#sources")]  # fmt: skip
    return [
        f"<header><p class='soft small'>Rehearsal · {escape(one.scenario)}</p><h1>{escape(one.title)}</h1>",
        f'<p class="lead">{escape(one.shows)}</p>',
        f'<p class="soft small">{words.count(len(one.fleet), "region")} as in {escape(known.source)}: '
        f"{escape(', '.join(one.fleet))} · {words.date(one.begin)} {one.begin:%H:%M} to {words.date(end)} {end:%H:%M} "
        f"UTC, {words.duration(one.seconds)} · seed {one.seed}</p>",
        f"<nav>{''.join(page.link(*pair) for pair in links)}</nav></header>",
    ]


def _overview(known: Told) -> list[str]:
    last = known.sections
    drawn = Charts(known, 0.0, known.end, "all", href=lambda at: f"#{known.section_at(at + 1).ident}")
    parts = [
        '<h2 id="overview" class="page">The whole time</h2>',
        "<p>All charts share their times. Dates below them and bars of incidents lead to a finer scale.</p>",
        f"<nav>{''.join(page.link(one.title, f'#{one.ident}') for one in last)}</nav>",
        page.legend(charts.NODES_LEGEND),
    ]
    if lanes := drawn.incidents():
        parts.append(page.figure("Incidents by origin", lanes))
    for variant in known.shown:
        what = "as deployed" if variant is known.base else "with the keeper"
        parts.append(
            page.figure(
                Html(f"Fleet {what} <span>target {variant.serving.target}, ready {_ready(variant)}</span>"),
                drawn.fleet(variant),
            )
        )
    parts.append(page.details("The fleet by part, as a table", zoom.days(known, known.base)))
    parts.append("<h3>Regions as deployed</h3>")
    parts += _regions(known, drawn, known.base)
    if known.keeper:
        inner = "".join(_regions(known, drawn, known.keeper, kind="keeper-"))
        parts.append(page.details("The same regions with the keeper", inner))
    return parts


def _ready(variant: Variant) -> str:
    return f"{percent(variant.serving.availability)} of the time"


def _regions(known: Told, drawn: Charts, variant: Variant, kind: str = "") -> list[str]:
    found = []
    for one in variant.regions:
        below = variant_time(one.serving.availability, known.end)
        said = (
            f"{percent(one.serving.availability)} at target {one.serving.target}, below it {words.duration(below)}, "
            f"longest {words.duration(one.serving.longest)}; {words.usd(one.money.total)}"
        )
        if one.money.share is not None:
            said += f", {words.share(one.money.share)} of all on demand"
        caption = Html(f"{escape(one.stack)} <span>{escape(said)}</span>")
        table = page.details("By part, as a table", zoom.days(known, variant, one))
        ident = "" if kind else f"region-{page.slug(one.stack)}"
        found.append(page.figure(caption, drawn.region(one, kind=kind), ident=ident) + table)
    return found


def variant_time(availability: float, seconds: float) -> float:
    """Seconds below the target."""
    return max(0.0, 1 - availability) * seconds


def _incidents(known: Told) -> list[str]:
    parts = ['<h2 id="incidents" class="page">Incidents</h2>']
    if not known.incidents and not known.close_ups:
        return [*parts, "<p>None.</p>"]
    rows: list[tuple[str, ...]] = []
    if known.close_ups:
        begin = known.rehearsal.begin
        rows = [
            (page.link(f"{one.number}. {one.title}", f"#{one.ident}"), words.stamp(begin, one.begin),
             words.duration(one.end - one.begin), ", ".join(one.places))
            for one in known.close_ups
        ]  # fmt: skip
        caption = "Closer: what the scenario does, and the longest times below the target"
        parts.append(page.table(("incident", "shown from, UTC", "for", "about"), rows, words=4, caption=caption))
    counted = Counter((one.where, one.place) for one in known.incidents)
    spans = {key: [one for one in known.incidents if (one.where, one.place) == key] for key in counted}
    rows = []
    for (where, place), several in sorted(spans.items(), key=lambda pair: (-len(pair[1]), pair[0])):
        lasted = [one.until - one.at for one in several if one.until is not None]
        longest = words.duration(max(lasted)) if lasted else words.NONE
        first = page.link(words.stamp(known.rehearsal.begin, several[0].at), known.link(several[0]))
        rows.append((charts.LANES[where][0], place, first, str(len(several)), words.duration(sum(lasted)), longest))
    if rows:
        heads = ("origin", "place", "first, UTC", "how many", "together", "longest")
        parts.append(page.table(heads, rows, words=3, caption="All incidents, counted"))
    return [*parts, *zoom.close_ups(known)]


def _parts(known: Told) -> list[str]:
    return ['<h2 class="page">Closer, part by part</h2>', page.legend(charts.NODES_LEGEND), *zoom.parts(known)]


def _money(known: Told) -> list[str]:
    base = known.base
    rows = [
        (
            one.stack,
            f"{one.spot_hours:,.0f}",
            f"{one.on_demand_hours:,.0f}",
            words.usd(one.money.spot),
            words.usd(one.money.on_demand),
            words.usd(one.money.total),
            words.usd(one.money.on_demand_only),
            words.share(one.money.share),
            f"{one.launches:,}",
            f"{one.preemptions:,}",
            f"{one.refusals:,}",
        )
        for one in base.regions
    ]
    if len(rows) > 1:
        rows.append(
            (
                "fleet",
                f"{sum(one.spot_hours for one in base.regions):,.0f}",
                f"{sum(one.on_demand_hours for one in base.regions):,.0f}",
                words.usd(base.money.spot),
                words.usd(base.money.on_demand),
                words.usd(base.money.total),
                words.usd(base.money.on_demand_only),
                words.share(base.money.share),
                f"{sum(one.launches for one in base.regions):,}",
                f"{sum(one.preemptions for one in base.regions):,}",
                f"{sum(one.refusals for one in base.regions):,}",
            )
        )
    heads = ("region", "spot node-hours", "on-demand node-hours", "spot", "on demand", "together", "all on demand",
             "share", "launches", "spot lost", "refused")  # fmt: skip
    caption = f"{words.duration(known.end)} as deployed. “–”: something in it has no price, which no sum counts"
    mine = [len(rows) - 1] if len(base.regions) > 1 else []
    parts = ['<h2 id="money" class="page">Money</h2>', page.table(heads, rows, caption=caption, mine=mine)]
    said = []
    if base.single_cheapest is not None:
        said.append(
            f"The whole target on demand in {base.cheapest_region}, the single cheapest region: "
            f"{words.usd(base.single_cheapest)} in {words.duration(known.end)}, "
            f"{words.usd(words.monthly(base.single_cheapest, known.end))} a month."
        )
    for variant in known.shown:
        if regret := variant.regret:
            least = "" if regret.exact else "at least "
            paid = "" if regret.regret is None else f"; {variant.name} paid {words.share(regret.regret)} more"
            said.append(
                f"A plan that knows the future would have paid {least}{words.usd(regret.cost)} for an availability of "
                f"{percent(regret.availability)}{paid}."
            )
    return [*parts, *(f"<p>{escape(one)}</p>" for one in said)]


def _sources(known: Told) -> list[str]:
    one = known.rehearsal
    rows: list[tuple[str, ...]]
    parts = ['<h2 id="sources" class="page">What it rests on</h2>']
    if one.sources:
        rows = [(source.what, _kind(source), _origin(source), source.date, source.note) for source in one.sources]
        parts.append(page.table(("used for", "kind", "source", "date", "what it does not show"), rows, words=5))
    if one.assumptions:
        rows = [(place, why) for place, why in one.assumptions]
        parts.append("<h3>Assumed, since no resource says it</h3>" + page.table(("figure", "why"), rows, words=2))
    if one.left_out:
        rows = list(one.left_out.items())
        parts.append("<h3>Left out</h3>" + page.table(("stack", "why"), rows, words=2))
    if one.warnings:
        parts.append("<h3>Notes</h3><ul>" + "".join(f"<li>{escape(line)}</li>" for line in one.warnings) + "</ul>")
    parts.append(
        "<h3>How to read it</h3><p>Target ready: share of the time in which at least as many nodes are ready, by their "
        "own gates, as the stack files want. A month is 730 h. Money is what clouds bill for nodes from launch to end; "
        "storage, balancers and traffic are not in it. Every variant is held to the target that is deployed. Figures "
        "of days and incidents are of all their seconds; those of the whole play may leave out its first boot.</p>"
    )
    if one.text:
        parts.append("<h3>The scenario</h3><pre>" + escape(one.text.rstrip()) + "</pre>")
    return parts


def _kind(source: Source) -> Html:
    kinds = [word for word, yes in (("synthetic", source.synthetic), ("mapped", source.mapped)) if yes] or ["recorded"]
    return Html(" ".join(f'<span class="tag">{kind}</span>' for kind in kinds))


def _origin(source: Source) -> Html:
    name = escape(source.name)
    if source.origin.startswith(("https://", "http://")):
        return page.link(source.name, source.origin)
    return Html(f"{name} ({escape(source.origin)})" if source.origin else name)
