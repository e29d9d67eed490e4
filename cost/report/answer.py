"""The first screen: what is cheapest, by how much, how sure that is, from which traffic on, and what has no price."""

from __future__ import annotations

from decimal import Decimal
from html import escape
from typing import Final

from cost.prices.snapshot import STALE_DAYS
from cost.report import words
from cost.report.told import Told, at
from cost.result import Kind, Option
from spillway import page
from spillway.page import Html

CARDS: Final[tuple[tuple[Kind, str], ...]] = (
    ("api", "Cheapest API"),
    ("onprem", "Cheapest own hardware"),
    ("cloud", "Cheapest in a cloud"),
    ("serverless", "Cheapest by the second"),
)
OLD: Final = Decimal("0.05")
"""Share of a month from which on old prices are told by option."""
RANKED: Final = (
    "option", "USD a month, levelised", "P10", "P90", "USD per million tokens", "cash", "amortised", "NPV", "wins",
    "nodes", "used",
)  # fmt: skip


def sentences(known: Told) -> list[str]:
    """The answer in words."""
    best = known.best
    if best is None and known.ranked:
        return ["Spot alone is a price, and no service: there is nothing to choose from."]
    if best is None:
        return ["None of the options both has a price and can serve this workload; see why below."]
    said = [_cheapest(known, best), _sure(known, best), _from_to(known, best)]
    return [*said, known.since.sentence()] if known.since else said


def _cheapest(known: Told, best: Option) -> str:
    text = (
        f"{best.title} is the cheapest: {words.usd(best.levelised_month)} a month, {words.rate(best.usd_million)} per "
        "million tokens"
    )
    if len(known.serving) > 1:
        second = next(one for one in known.serving if one is not best)
        gap = second.levelised_month - best.levelised_month
        part = words.share(gap / second.levelised_month) if second.levelised_month else words.NONE
        text += (
            f"; that is {words.usd(gap)} a month ({part}) less than the next, {second.title} "
            f"({words.usd(second.levelised_month)})"
        )
    return f"{text}."


def _sure(known: Told, best: Option) -> str:
    draws = known.found.montecarlo
    own = known.drawn.get(best.name)
    if draws is None or own is None:
        return "Nothing is said of how sure that is: no inputs were drawn."
    text = (
        f"It is the cheapest in {words.share(own.wins)} of {draws.draws:,} draws of the inputs that are not known "
        f"exactly; a million tokens comes to {words.small(own.usd_million_p10)} to {words.rate(own.usd_million_p90)} "
        "(P10 to P90)"
    )
    others = [one for one in draws.options if one.option != best.name and one.wins]
    if others:
        told = [
            f"{known.found.option(one.option).title} in {words.share(one.wins)}"
            for one in sorted(others, key=lambda one: (-one.wins, one.option))
        ]
        text += f". Else it is {words.listed(told, 3)}"
    if own.above_capacity:
        text += f". In {words.share(own.above_capacity)} the traffic is more than it can serve"
    return f"{text}."


def _from_to(known: Told, best: Option) -> str:
    own, low, high = known.found.workload.tokens_day, known.overtakes, known.overtaken
    title = {one.name: one.title for one in known.found.options}
    parts = []
    if low:
        parts.append(f"from {words.tokens(low.tokens_day)} tokens a day on (below, {title[low.below]})")
    if high:
        parts.append(f"up to {words.tokens(high.tokens_day)} (above, {title[high.above]})")
    elif best.capacity_tokens_day is not None and best.curve:
        parts.append(f"up to the {words.tokens(best.curve[-1].tokens_day)} that it can serve")
    if not parts:
        return f"At {words.tokens(own)} tokens a day and at any other traffic no option here is cheaper."
    return f"The workload is {words.tokens(own)} tokens a day; it stays the cheapest {', and '.join(parts)}."


def caveats(known: Told) -> list[str]:
    """What the answer leaves out, the gravest first."""
    found, best = known.found, known.best
    said = []
    if found.stale:
        said.append(f"Prices are too old: {found.stale}.")
    if best is not None and known.gaps.get(best.name):
        said.append(f"The cheapest lacks prices, so it is dearer than shown: {_lacking(known, best.name)}.")
    others = {name: gaps for name, gaps in known.gaps.items() if best is None or name != best.name}
    if others:
        told = [f"{known.found.option(name).title} ({_lacking(known, name)})" for name in others]
        said.append(f"Without a price, and in no sum: {', '.join(told)}.")
    out = [one for one in known.out if one.status == "infeasible"]
    if out:
        said.append("Cannot serve this workload: " + "; ".join(f"{one.title} ({one.why})" for one in out) + ".")
    if old := _old(known):
        said.append(old)
    if any(one.kind == "api" for one in found.options) and len({one.kind for one in found.options}) > 1:
        said.append(
            f"An API serves a model of its own, every other option {found.model}: how good answers are is not weighed."
        )
    if any(one.service and (one.service.synthetic or one.service.mapped) for one in found.options):
        said.append("What a pool of spot gives is out of a rehearsal with capacity that was recorded elsewhere; see "
                    "Capacity.")  # fmt: skip
    return said


def _old(known: Told) -> str:
    """How much of a month rests on prices that are marked as old."""
    shares = [
        (sum((line.levelised for line in one.lines if "stale" in line.flags), Decimal(0)) / one.levelised_month, one)
        for one in known.ranked
        if one.levelised_month
    ]
    shares.sort(key=lambda pair: -pair[0])
    if not shares or not shares[0][0]:
        return ""
    much = [f"{words.share(part)} of a month of {one.title}" for part, one in shares if part >= OLD]
    rest = next((part for part, _ in shares if 0 < part < OLD), None)
    told = [*much, *([f"at most {words.share(rest)} {'elsewhere' if much else 'of a month'}"] if rest else [])]
    return f"Prices seen more than {STALE_DAYS} days before this report are marked as stale: {'; '.join(told)}."


def _lacking(known: Told, name: str) -> str:
    """What has no price; between them no comma, which is in some of their names."""
    return "; ".join(one.what for one in known.gaps[name])


def money_said(known: Told) -> str:
    """Which currency, and what it was changed at."""
    text = f"All amounts are in {known.found.currency}"
    if known.exchange is None:
        return f"{text}; nothing was converted."
    rate = known.exchange
    return (
        f"{text}. The scenario's own amounts are in {known.scenario.data.currency}, at {rate.usd:g} USD for one "
        f"({rate.source}, {rate.observed})."
    )


def first(known: Told) -> list[str]:
    """Sentences, what they leave out, cards and the ranking."""
    said = sentences(known)
    parts = ['<h2 id="answer">The answer</h2>']
    parts += [f'<p class="lead">{escape(one)}</p>' for one in said]
    parts.append(_cards(known))
    warned = "".join(f"<p>{escape(one)}</p>" for one in caveats(known))
    links = page.link("what has no price", "#unpriced") + ", " + page.link("what it rests on", "#assumptions")
    parts.append(f'<div class="note" role="note">{warned}<p>{links}</p></div>')
    parts.append(ranking(known))
    return parts


def _cards(known: Told) -> str:
    found, best = [], known.best
    for kind, title in CARDS:
        if one := known.cheapest(kind):
            found.append(_card(known, one, f"{title}, cheapest of all" if one is best else title))
    return f'<div class="cards">{"".join(found)}</div>'


def _card(known: Told, one: Option, title: str) -> str:
    best, currency = known.best, known.found.currency
    lines = [
        ("million tokens", words.rate(one.usd_million)),
        (f"cash, {words.count(known.found.months, 'month')}", words.usd(one.cash)),
    ]
    if spread := known.month_range(one):
        lines.insert(0, ("P10 to P90", f"{words.short(spread[0])} to {words.short(spread[1])} {currency}"))
    if best is not None and one is not best and best.levelised_month:
        lines.append(("against the cheapest", f"{words.times(one.levelised_month / best.levelised_month)} times"))
        met = known.breaks_even(one)
        lines.append(("cheaper from", f"{words.tokens(met.tokens_day)} a day" if met else "never above this"))
    if one.utilisation is not None:
        lines.append(("nodes used", words.share(one.utilisation)))
    if gaps := known.gaps.get(one.name):
        lines.append(("without a price", words.count(len(gaps), "part")))
    told = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in lines)
    figure = f"{words.figure(one.levelised_month)} <small>{known.found.currency} a month</small>"
    return (
        f'<section class="card"><h3>{escape(title)}</h3><p>{escape(one.title)}</p>'
        f'<div class="big">{figure}</div><dl>{told}</dl></section>'
    )


def ranking(known: Told) -> Html:
    """Every option, the cheapest first; after them those without a total."""
    months = known.found.months
    rows = [_row(known, one) for one in known.ranked]
    rows += [(_named(known, one), *cells(known, one)) for one in known.out]
    caption = (
        f"Options by levelised cost of a month, with its P10 and P90. Cash, amortised and NPV are of "
        f"{words.count(months, 'month')}. All amounts in {known.found.currency}"
    )
    heads = tuple(one.replace("USD", known.found.currency) for one in RANKED)
    return page.table(heads, rows, caption=caption, mine=[known.ranked.index(known.best)] if known.best else [])


def _named(known: Told, one: Option) -> Html:
    """With its name in the scenario below, and what is to be known of its total."""
    said = " · ".join(text for text in (one.name, state(known, one)) if text)
    more = f'<br><span class="soft small">{escape(said)}</span>'
    return Html(f"{known.letters[one.name]} {escape(one.title)}{more}")


def state(known: Told, one: Option) -> str:
    """Empty where everything has a price and it can serve."""
    if one.status in ("unpriced", "infeasible"):
        return words.STATUSES[one.status]
    said = []
    if one in known.ranked and one not in known.serving:
        said.append("a price to compare with, no service")
    if gaps := known.gaps.get(one.name, ()):
        said.append(f"{words.count(len(gaps), 'part')} without a price")
    return ", ".join(said)


def cells(known: Told, one: Option) -> tuple[str, ...]:
    """Figures of an option, as `RANKED` has them after its name; none where it has no total."""
    if one not in known.ranked:
        return (words.NONE,) * (len(RANKED) - 1)
    drawn, spread = known.drawn.get(one.name), known.month_range(one)
    nodes = words.NONE
    if one.nodes:
        first, last = one.nodes[0], one.nodes[-1]
        nodes = f"{first}" if first == last else f"{first} to {last}"
    return (
        words.figure(one.levelised_month), *(words.figure(spread[end] if spread else None) for end in (0, 1)),
        words.small(one.usd_million), words.figure(one.cash), words.figure(one.amortised), words.figure(one.npv),
        words.share(drawn.wins if drawn and one in known.serving else None), nodes, words.share(one.utilisation),
    )  # fmt: skip


def _row(known: Told, one: Option) -> tuple[str, ...]:
    return (_named(known, one), *cells(known, one))


def by_traffic(known: Told) -> tuple[tuple[Decimal, ...], list[tuple[Option, tuple[Decimal | None, ...]]]]:
    """USD a day of every option at a few sizes of traffic around the workload; None above what it can serve."""
    own = known.found.workload.tokens_day
    steps = tuple(own * Decimal(factor) for factor in ("0.01", "0.1", "1", "10", "100"))
    chosen = tuple(one for one in steps if any(at(option.curve, one) is not None for option in known.found.options))
    rows = [(one, tuple(at(one.curve, tokens) for tokens in chosen)) for one in known.found.options if one.curve]
    return chosen, rows
