"""The first screen: what today's stack files buy, what the keeper makes of it, which change buys most, and how sure."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Final

from rehearsal.changes import Ranked
from rehearsal.report import words
from rehearsal.report.told import Told
from rehearsal.result import Repeated, Source, Variant
from spillway import axes, page
from spillway.axes import percent
from spillway.looks import Look
from spillway.page import Html
from spillway.svg import Plot

VERDICTS: Final = {
    "better and cheaper": "better, cheaper",
    "better for more": "better, dearer",
    "the same": "no difference",
    "cheaper and worse": "cheaper, worse",
    "no gain": "no gain",
}
DIFFERENCES: Final = ("points more than as deployed (95 %)", "USD more than as deployed (95 %)")
MARKS: Final = {"deployed": Look("ink", shape="square"), "keeper": Look("k1", shape="diamond"),
                "change": Look("k2", shape="circle")}  # fmt: skip


WORSE: Final = 0.0005
"""Share of requests or of clients; less is no finding of one play."""


def sentences(known: Told) -> list[str]:
    """The answer in words: as deployed, with the keeper, the change that buys most, what is not recorded."""
    base = known.base
    found = [
        f"Today's stack files have the target ({base.serving.target} nodes) ready "
        f"{percent(base.serving.availability)} of the time, for {_a_month(known, base)}. Below it "
        f"{_hours(base)} a month, {words.duration(base.serving.longest)} at the longest; "
        + (f"none at all ready {words.duration(base.serving.zero)} of {words.duration(known.end)}."
           if base.serving.zero else "never without any.")
    ]  # fmt: skip
    if keeper := known.keeper:
        found.append(
            f"With the keeper: {percent(keeper.serving.availability)} for {_a_month(known, keeper)}, "
            f"{words.points(keeper.serving.availability - base.serving.availability)} points "
            f"{words.extra(_more(known, keeper))}."
        )
        found += _worse_off(base, keeper)
    if best := known.best:
        per = "" if best.usd_per_hour is None else f": {words.usd(best.usd_per_hour)} for each hour it saves"
        found.append(
            f"Of the changes, most is bought by “{best.variant}” ({best.change or best.variant}): "
            f"{words.points(best.availability)} points {words.extra(best.usd)}{per}."
        )
    elif any(one.kind == "change" for one in known.rehearsal.variants):
        found.append("None of the changes that were tried buys availability.")
    return found


def _worse_off(base: Variant, keeper: Variant) -> Iterator[str]:
    """Names whose clients the keeper serves worse: availability of nodes does not show it."""
    why = "the keeper moves nodes, and DNS sends clients by its own policy"
    requests = {one.service: one for one in base.load}
    for load in keeper.load:
        before = requests.get(load.service)
        if before is None or not before.arrived or not load.arrived:
            continue
        was, now = before.served / before.arrived, load.served / load.arrived
        if was - now > WORSE:
            told = f"{percent(now)} of requests in time, not {percent(was)}"
            yield f"Clients of {load.service} fare worse with it: {told}; {why}."
    reached = {one.name: one.reached for one in base.services if one.name not in requests}
    for service in keeper.services:
        was = reached.get(service.name, 0.0)
        if was - service.reached > WORSE:
            yield (
                f"Clients of {service.name} fare worse with it: {percent(service.reached)} are sent to a member that "
                f"answers, not {percent(was)}; {why}."
            )


def basis(known: Told) -> list[str]:
    """What of it was not recorded for what it stands for, and what has no price."""
    found = []
    if known.synthetic:
        found.append(f"Synthetic, not recorded: {_named(known.synthetic)}.")
    if known.mapped:
        found.append(f"Mapped, recorded for another machine, zone or cloud: {_named(known.mapped)}.")
    if known.rehearsal.sources and not found:
        found.append("Everything was recorded for the machines and places that it stands for here.")
    unpriced = [one.stack for one in known.base.regions if one.on_demand_price is None]
    if unpriced:
        found.append(f"No price is known for {words.listed(unpriced)}: no sum of money has it in.")
    return found


def _named(sources: tuple[Source, ...]) -> str:
    """What they are used for, by what they are."""
    uses: dict[str, list[str]] = {}
    for one in sources:
        uses.setdefault(one.name, []).append(one.what)
    found = [f"{words.listed(list(dict.fromkeys(what)), 3)} ({name})" for name, what in uses.items()]
    return "; ".join(found[:3]) + (f"; and {len(found) - 3} more" if len(found) > 3 else "")


def _a_month(known: Told, variant: Variant) -> str:
    text = f"{words.usd(words.monthly(variant.money.total, known.end))} a month"
    if variant.money.share is not None:
        text += f" ({words.share(variant.money.share)} of all on demand)"
    return text


def _more(known: Told, variant: Variant) -> float:
    return words.monthly(variant.money.total - known.base.money.total, known.end) or 0.0


def _hours(variant: Variant) -> str:
    return words.hours(words.month_hours(max(0.0, 1 - variant.serving.availability)))


def first(known: Told) -> list[str]:
    """Sentences, cards, a plot of all variants and their table."""
    said = sentences(known)
    warned = "".join(f"<p>{escape(one)}</p>" for one in basis(known))
    notes = known.rehearsal.warnings
    more = f"What it rests on, and {words.count(len(notes), 'note')}" if notes else "What it rests on"
    note = Html(f'<div class="note" role="note">{warned}<p>{page.link(more, "#sources")}</p></div>')
    parts = ['<h2 id="answer">What the stack files buy</h2>']
    parts += [f'<p class="lead">{escape(one)}</p>' for one in said]
    parts.append(_cards(known))
    parts += [note] if warned else []
    if len(known.rehearsal.variants) > 1:
        changes = any(one.kind == "change" for one in known.rehearsal.variants)
        heading = "Which change buys most" if changes else "As deployed, and with the keeper"
        parts += [f"<h3>{heading}</h3>", _plot(known), _table(known)]
    if known.rehearsal.repeated:
        parts += ["<h3>Over many starts and seeds</h3>", _spreads(known)]
    return parts


def _cards(known: Told) -> Html:
    found = [_card(known, known.base, "As deployed, each region on its own")]
    if known.keeper:
        found.append(_card(known, known.keeper, "With the keeper"))
    if best := known.best:
        found.append(_card(known, known.named[best.variant], f"Buys most: {best.variant}"))
    return Html(f'<div class="cards">{"".join(found)}</div>')


def _card(known: Told, one: Variant, title: str) -> str:
    arrived = sum(load.arrived for load in one.load)
    lost = sum(load.late + load.failed for load in one.load)
    lines = [
        ("of all on demand", words.share(one.money.share)),
        ("below the target, a month", _hours(one)),
        ("longest below it", words.duration(one.serving.longest)),
        ("none ready, in this play", words.duration(one.serving.zero)),
        ("spot lost a day", f"{one.preemptions_per_day:.1f}"),
    ]
    if arrived:
        lines.append(("requests late or failed", words.share(lost / arrived)))
    if one.regret and one.regret.regret is not None:
        lines.append(("above the best plan in hindsight", words.share(one.regret.regret)))
    if over := known.repeated(one.name):
        spread = over.availability
        lines.append((f"P10 to P90 of {over.runs} runs", f"{percent(spread.p10)} to {percent(spread.p90)}"))
    told = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in lines)
    change = f"<p>{escape(one.change)}</p>" if one.change else ""
    usd = words.usd(words.monthly(one.money.total, known.end))
    return (
        f'<section class="card"><h3>{escape(title)}</h3><div class="big">{percent(one.serving.availability)} '
        f'<small>target ready</small></div><div class="big">{usd} <small>a month</small></div><dl>{told}</dl>'
        f"{change}</section>"
    )


def _plot(known: Told) -> Html:
    """Cost to the right, availability upwards on an axis of nines; numbers as in the table."""
    found = known.rehearsal.variants
    cost = {one.name: words.monthly(one.money.total, known.end) or 0.0 for one in found}
    ideal = known.base.regret
    best = words.monthly(ideal.cost, known.end) if ideal else None
    low, high = min(cost.values()), max(cost.values())
    low = low if best is None else min(low, best)
    edge = 0.06 * (high - low or high or 1.0)
    ends = (max(0.0, low - edge), high + edge)
    x = axes.linear(ends, most=6, zero=False, form=axes.compact, title="USD a month")
    y = axes.nines([one.serving.availability for one in found], title="target ready, share of the time")
    drawn = Plot(x, y, height=210, left=62)
    rank = {one.variant: number for number, one in enumerate(known.ranks, 1)}
    if best is not None and ideal is not None:
        told = "what a plan that knows the future would have paid for the same availability"
        drawn.mark(best, ideal.availability, Look("k3", shape="ring"), told, label="hindsight")
    for one in found:
        label = "deployed" if one is known.base else str(rank[one.name])
        told = f"{one.name}: {percent(one.serving.availability)} for {words.usd(cost[one.name])} a month"
        href = "" if one is known.base else f"#rank-{rank[one.name]}"
        drawn.mark(cost[one.name], one.serving.availability, MARKS[one.kind], told, label=label, href=href)
    said = "; ".join(f"{one.name} {percent(one.serving.availability)} at {words.usd(cost[one.name])}" for one in found)
    chart = drawn.draw("variants", "Availability by cost of every variant", said)
    legend = page.legend(
        (
            (MARKS["deployed"], "as deployed", "mark"),
            (MARKS["keeper"], "with the keeper", "mark"),
            (MARKS["change"], "one change each", "mark"),
        )
    )
    caption = Html("Every variant <span>up and to the left is better; numbers as in the table below</span>")
    return page.figure(caption, legend + chart)


def _table(known: Told) -> Html:
    rows = [_row(known, known.base, None, Html("as deployed"), "")]
    for number, one in enumerate(known.ranks, 1):
        change = f'<br><span class="soft">{escape(one.change)}</span>' if one.change else ""
        name = Html(f'<span id="rank-{number}">{number}. {escape(one.variant)}</span>{change}')
        rows.append(_row(known, known.named[one.variant], one, name, VERDICTS[one.verdict]))
    heads = ("variant, and what it changes", "verdict", "target ready", "points", "below it, a month", "longest",
             "USD a month", "more a month", "per hour saved", "spot lost a day")  # fmt: skip
    caption = "What buys most comes first; a month is 730 h. Per hour saved: USD for an hour no longer below the target"
    return page.table(heads, rows, caption=caption, words=2, mine=[0])


def _row(known: Told, one: Variant, rank: Ranked | None, name: Html, verdict: str) -> tuple[str, ...]:
    return (
        name,
        verdict,
        percent(one.serving.availability),
        words.points(rank.availability) if rank else "",
        _hours(one),
        words.duration(one.serving.longest),
        words.usd(words.monthly(one.money.total, known.end)).removeprefix("USD "),
        words.usd(rank.usd, sign=True).replace("USD ", "") if rank else "",
        words.usd(rank.usd_per_hour).replace("USD ", "") if rank else "",
        f"{one.preemptions_per_day:.1f}",
    )


def differences(one: Repeated) -> tuple[str, str]:
    """Against the deployed fleet, run by run: mean and 95 % interval."""
    gained, more = one.availability_gained, one.usd_more
    if gained is None or more is None:
        return words.NONE, words.NONE
    points, low, high = (words.points(value) for value in (gained.mean, gained.low, gained.high))
    usd, least, most = (words.usd(value, sign=True) for value in (more.mean, more.low, more.high))
    return f"{points} ({low} to {high})", f"{usd} ({least} to {most})"


def _spreads(known: Told) -> Html:
    rows = []
    for one in known.rehearsal.repeated:
        shares = one.share
        rows.append(
            (
                one.variant,
                f"{one.runs:,}",
                *(percent(value) for value in (one.availability.p10, one.availability.p50, one.availability.p90)),
                *(words.usd(value) for value in (one.usd.p10, one.usd.p50, one.usd.p90)),
                words.NONE if shares is None else words.share(shares.p50),
                f"{one.preemptions_per_day.p50:.1f}",
                f"{one.below_target_hours.p90:.1f}",
                *differences(one),
            )
        )
    heads = ("variant", "runs", "target ready P10", "P50", "P90", "USD P10", "P50", "P90", "of all on demand, P50",
             "lost a day, P50", "hours below it, P90", *DIFFERENCES)  # fmt: skip
    return page.table(heads, rows, caption=f"Each run {words.duration(known.end)} long")
