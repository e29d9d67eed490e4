"""A rehearsal as Markdown: the answer and its tables, for a pull request or a terminal; charts are on the page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rehearsal.report import answer, words
from rehearsal.report.answer import VERDICTS
from rehearsal.report.told import Told
from rehearsal.result import Rehearsal
from spillway.axes import percent
from spillway.markdown import plain as _plain
from spillway.markdown import table as _table

INCIDENTS = 12


def text_of(rehearsal: Rehearsal) -> str:
    """The file's text."""
    known = Told(rehearsal)
    one = rehearsal
    parts = [
        f"# Rehearsal: {_plain(one.title)}",
        _plain(one.shows),
        f"Scenario {_plain(one.scenario)}, {words.duration(one.seconds)} from {words.date(one.begin)} "
        f"{one.begin:%H:%M} UTC, seed {one.seed}. Regions as in {_plain(known.source)}: "
        f"{_plain(', '.join(one.fleet))}.",
        "\n".join(f"- {_plain(line)}" for line in answer.sentences(known)),
    ]
    if rests := answer.basis(known):
        parts.append("\n".join(f"> {_plain(line)}  " for line in rests))
    parts += [
        "## Variants",
        _table(
            ("#", "variant", "what it changes", "target ready", "below it a month", "longest", "USD a month",
             "of all on demand", "more a month", "per hour saved", "verdict"),
            _variants(known),
            words=3,
        ),
        "A month is 730 h. Per hour saved: USD for an hour no longer below the target.",
        *_against(known),
        "## Regions as deployed",
        _table(
            ("region", "target", "target ready", "below it", "longest", "none ready", "spot h", "on-demand h",
             "USD spot", "USD on demand", "of all on demand", "launches", "spot lost"),
            _regions(known),
        ),
    ]  # fmt: skip
    if known.base.services:
        parts += ["## Names", _table(("name", "policy", "sent to who answers", "switches", "slowest answer",
                                      "slowest 95 % of clients"), _names(known), words=2)]  # fmt: skip
    if known.base.load:
        parts += [
            "## Requests",
            _table(("name", "arrived", "in time", "late", "failed", "p50 added", "p99 added"), _requests(known)),
        ]
    if known.close_ups:
        rows = [
            (
                str(close.number),
                words.stamp(one.begin, close.begin),
                words.duration(close.end - close.begin),
                close.title,
            )
            for close in known.close_ups
        ]
        parts += ["## Incidents", _table(("#", "from, UTC", "shown for", "what"), rows, words=4)]
    if one.repeated:
        parts += ["## Over many starts and seeds", _table(
            ("variant", "runs", "target ready P10", "P50", "P90", "USD P10", "P50", "P90",
             *answer.DIFFERENCES),
            [(over.variant, f"{over.runs:,}",
              *(percent(value) for value in (over.availability.p10, over.availability.p50, over.availability.p90)),
              *(words.usd(value) for value in (over.usd.p10, over.usd.p50, over.usd.p90)),
              *answer.differences(over)) for over in one.repeated],
        )]  # fmt: skip
    parts += ["## What it rests on", *_rests(known)]
    return "\n\n".join(parts) + "\n"


def _variants(known: Told) -> Iterable[Sequence[str]]:
    ranks = {one.variant: (number, one) for number, one in enumerate(known.ranks, 1)}
    for name in [known.base.name, *(one.variant for one in known.ranks)]:
        variant = known.named[name]
        number, rank = ranks.get(name, (None, None))
        yield (
            str(number or ""),
            name,
            variant.change or "nothing",
            percent(variant.serving.availability),
            words.hours(words.month_hours(max(0.0, 1 - variant.serving.availability))),
            words.duration(variant.serving.longest),
            words.usd(words.monthly(variant.money.total, known.end)),
            words.share(variant.money.share),
            words.usd(rank.usd, sign=True) if rank else "",
            words.usd(rank.usd_per_hour) if rank else "",
            VERDICTS[rank.verdict] if rank else "",
        )


def _against(known: Told) -> Iterable[str]:
    """What the money is measured by, and what moves for it."""
    base = known.base
    if base.single_cheapest is not None:
        month = words.usd(words.monthly(base.single_cheapest, known.end))
        where = _plain(base.cheapest_region)
        yield f"The whole target on demand in {where}, the single cheapest region: {month} a month."
    for one in known.shown:
        moved = f"{one.launches_per_day:.1f} launches and {one.preemptions_per_day:.1f} spot nodes lost a day"
        least = ""
        if one.regret and one.regret.regret is not None:
            least = f"; {words.share(one.regret.regret)} dearer than a plan that knew it all, as available"
        yield f"{_plain(one.name)}: {moved}{least}."


def _regions(known: Told) -> Iterable[Sequence[str]]:
    for one in known.base.regions:
        yield (
            one.stack,
            str(one.serving.target),
            percent(one.serving.availability),
            words.duration(max(0.0, 1 - one.serving.availability) * known.end),
            words.duration(one.serving.longest),
            words.duration(one.serving.zero),
            f"{one.spot_hours:,.0f}",
            f"{one.on_demand_hours:,.0f}",
            words.usd(one.money.spot),
            words.usd(one.money.on_demand),
            words.share(one.money.share),
            f"{one.launches:,}",
            f"{one.preemptions:,}",
        )


def _names(known: Told) -> Iterable[Sequence[str]]:
    for one in known.base.services:
        decided = [switch.decided - switch.at for switch in one.switches if switch.decided is not None]
        most = [switch.most - switch.at for switch in one.switches if switch.most is not None]
        yield (
            one.name,
            one.policy,
            percent(one.reached),
            str(len(one.switches)),
            words.duration(max(decided)) if decided else words.NONE,
            words.duration(max(most)) if most else words.NONE,
        )


def _requests(known: Told) -> Iterable[Sequence[str]]:
    for one in known.base.load:
        yield (
            one.service,
            f"{one.arrived:,.0f}",
            words.share(one.served / one.arrived if one.arrived else None),
            f"{one.late:,.0f}",
            f"{one.failed:,.0f}",
            *(f"{one.ttft[key]:.2f} s" if key in one.ttft else words.NONE for key in ("p50", "p99")),
        )


def _rests(known: Told) -> Iterable[str]:
    one = known.rehearsal
    if one.sources:
        rows = []
        for source in one.sources:
            marks = [word for word, yes in (("synthetic", source.synthetic), ("mapped", source.mapped)) if yes]
            rows.append(
                (source.what, " ".join(marks) or "recorded", source.name, source.origin, source.date, source.note)
            )
        yield _table(("used for", "kind", "source", "where", "date", "what it does not show"), rows, words=6)
    if one.assumptions:
        yield "Assumed, since no resource says it:"
        yield "\n".join(f"- {_plain(place)}: {_plain(why)}" for place, why in one.assumptions)
    if one.left_out:
        yield "Left out:"
        yield "\n".join(f"- {_plain(stack)}: {_plain(why)}" for stack, why in one.left_out.items())
    if one.warnings:
        yield "Notes:"
        yield "\n".join(f"- {_plain(line)}" for line in one.warnings)
