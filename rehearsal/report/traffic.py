"""Requests: what arrives, what is answered in time, late or not at all, and what queueing adds."""

from __future__ import annotations

from rehearsal.report import charts, words
from rehearsal.report.charts import Charts
from rehearsal.report.told import Told
from rehearsal.result import LoadResult
from spillway import axes, page
from spillway.page import Html


def section(known: Told) -> list[str]:
    """Of the page; empty without load."""
    if not known.base.load:
        return []
    drawn = Charts(known, 0.0, known.end, "load", href=lambda at: f"#{known.section_at(at + 1).ident}")
    parts = [
        '<h2 id="requests">Requests</h2>',
        page.legend(
            (
                (charts.SERVED, "answered in time", "area"),
                (charts.LATE, "late", "area"),
                (charts.FAILED, "failed (strip on top)", "area"),
                (charts.ARRIVING, "arriving", "line"),
                (charts.TTFT, "seconds that queueing adds to the first token", "line"),
            )
        ),
    ]
    for one in known.base.load:
        parts += [page.figure(one.service, drawn.load(one)), page.details("By part, as a table", _parts(known, one))]
    rows = [
        (
            one.service,
            variant.name,
            f"{one.arrived:,.0f}",
            words.share(one.served / one.arrived if one.arrived else None),
            f"{one.late:,.0f}",
            f"{one.failed:,.0f}",
            f"{one.retried:,.0f}",
            *(f"{one.ttft[key]:.2f} s" if key in one.ttft else words.NONE for key in ("p50", "p90", "p99")),
            f"{one.limit:g} s",
        )
        for variant in known.rehearsal.variants
        for one in variant.load
    ]
    heads = ("name", "variant", "arrived", "in time", "late", "failed", "retries", "p50 added", "p90", "p99", "limit")
    parts.append(page.table(heads, rows, words=2, caption="Each request once; added: by queueing, to the first token"))
    return parts


def _parts(known: Told, one: LoadResult) -> Html:
    """The chart's figures."""
    rates = [(row.at, row.arriving, row.served, row.late, row.failed, row.ttft) for row in one.traffic]
    rows = []
    for part in known.sections:
        span = part.end - part.begin
        arrived, served, late, failed = (
            axes.mean(rates, part.begin, part.end, column) * span for column in (1, 2, 3, 4)
        )
        worst = max((row[5] for row in axes.window(rates, part.begin, part.end)), default=0.0)
        rows.append(
            (
                page.link(part.title, f"#{part.ident}"),
                f"{arrived:,.0f}",
                words.share(served / arrived if arrived else None),
                f"{late:,.0f}",
                f"{failed:,.0f}",
                f"{worst:.2f} s",
            )
        )
    heads = ("part", "arrived", "in time", "late", "failed", "most that queueing added")
    return page.table(heads, rows, caption=f"{one.service}, as deployed")
