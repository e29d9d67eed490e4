"""Names that clients call: who answers, where clients go, and how long every change of it took."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from statistics import median
from typing import Final

from rehearsal.report import charts, words
from rehearsal.report.charts import Charts
from rehearsal.report.told import Told
from rehearsal.result import ServiceResult, Switch
from spillway import axes, page
from spillway.axes import percent
from spillway.page import Html

SWITCHES: Final = 40
"""In the table of each one, at most; report.json has all."""


def section(known: Told) -> list[str]:
    """Of the page; empty without a name."""
    if not known.base.services:
        return []
    drawn = Charts(known, 0.0, known.end, "dns", href=lambda at: f"#{known.section_at(at + 1).ident}")
    parts: list[str] = [
        '<h2 id="dns">Who answers, and where clients go</h2>',
        "<p>Answers are what the provider tells a client without a cache; clients follow as caches run out.</p>",
        charts.members_legend(known),
    ]
    for one in known.base.services:
        said = f"{one.policy}; {percent(one.reached)} of the clients' time sent to a member that answers"
        parts.append(page.figure(Html(f"{escape(one.name)} <span>{escape(said)}</span>"), drawn.service(one)))
        parts.append(page.details("By part, as a table", _parts(known, one)))
    switches = [switch for one in known.base.services for switch in one.switches]
    if not switches:
        return [*parts, "<p>No member left a name or came back to one.</p>"]
    return [*parts, _together(switches), page.details("Each switch", _each(known, switches))]


def _parts(known: Told, one: ServiceResult) -> Html:
    """The chart's figures."""
    members = list(known.looks)
    rows = [(at, *(shares.get(member, 0.0) for member in members)) for at, shares in one.clients]
    lines = []
    for part in known.sections:
        means = (axes.mean(rows, part.begin, part.end, column) for column in range(1, len(members) + 1))
        changes = sum(part.begin < at < part.end for at, _ in one.answers)
        lines.append((page.link(part.title, f"#{part.ident}"), *(words.share(mean) for mean in means), str(changes)))
    caption = f"{one.name}: clients, mean over the part"
    return page.table(("part", *members, "changes of the answer"), lines, caption=caption)


def _together(switches: Iterable[Switch]) -> Html:
    """Median and longest of each member's, away and back."""
    grouped: dict[tuple[str, str, bool], list[Switch]] = {}
    for one in switches:
        grouped.setdefault((one.service, one.member, not one.away), []).append(one)
    rows = []
    for (name, member, back), several in sorted(grouped.items()):
        spans = (
            [one.decided - one.at for one in several if one.decided is not None],
            [one.half - one.at for one in several if one.half is not None],
            [one.most - one.at for one in several if one.most is not None],
        )
        figures = [
            text for took in spans for text in ((words.duration(median(took)), words.duration(max(took))) if took
                                                else (words.NONE, words.NONE))
        ]  # fmt: skip
        rows.append((name, member, "comes back" if back else "leaves", str(len(several)), *figures))
    heads = ("name", "member", "", "how often", "answers follow after", "at most", "50 % of clients", "at most",
             "95 % of clients", "at most")  # fmt: skip
    caption = "Switches: median and longest time from the change of the member itself; – where it never came to that"
    return page.table(heads, rows, caption=caption, words=3)


def _each(known: Told, switches: Sequence[Switch]) -> Html:
    rows = []
    for one in switches[:SWITCHES]:
        when = page.link(words.stamp(known.rehearsal.begin, one.at), f"#{known.section_at(one.at).ident}")
        spans = (words.NONE if at is None else words.duration(at - one.at) for at in (one.decided, one.half, one.most))
        rows.append((when, one.service, one.member, "leaves" if one.away else "comes back", *spans))
    heads = ("UTC", "name", "member", "", "answers follow after", "50 % of clients", "95 % of clients")
    caption = f"The first {SWITCHES} of {len(switches)}; report.json has all" if len(switches) > SWITCHES else ""
    return page.table(heads, rows, caption=caption, words=4)
