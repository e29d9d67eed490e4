"""The part of the page that is for checking: what has no price, lines, capacity, assumptions, sources, signatures."""

from __future__ import annotations

import re
from decimal import Decimal
from html import escape
from typing import Final

from cost.report import words
from cost.report.told import Told
from cost.result import Line, Option
from spillway import page
from spillway.page import Html

_URL: Final = re.compile(r"https?://[^\s,;)]+")
SIGNERS: Final = (
    ("prepared by", ""),
    ("inputs checked by", "who answers for the assumptions"),
    ("arithmetic checked by", "report.xlsx recomputes it"),
    ("approved by", "finance"),
)


def parts(known: Told) -> list[str]:
    """Sections from what has no price to the signatures."""
    return [
        *_unpriced(known), *_capacity(known), *_lines(known), *_assumptions(known), *_sources(known),
        *_reading(known), *_scenario(known), *_signatures(known),
    ]  # fmt: skip


def _unpriced(known: Told) -> list[str]:
    head = '<h2 id="unpriced" class="page">What has no price</h2>'
    rows = [(known.found.option(one.option).title, one.what, one.reason) for one in known.found.unpriced]
    out = [(one.title, words.STATUSES[one.status], one.why) for one in known.out]
    found = [head]
    if rows:
        found.append(page.table(("option", "what", "why"), rows, words=3, caption="In no sum, and not zero"))
    else:
        found.append("<p>Everything that the options are made of has a price.</p>")
    if out:
        found.append("<h3>Options without a total</h3>" + page.table(("option", "", "why"), out, words=3))
    return found


def _capacity(known: Told) -> list[str]:
    one = known.found.workload
    found = [
        '<h2 id="capacity">Capacity</h2>',
        f"<p>{escape(words.tokens(one.tokens_day))} tokens a day: {one.input_tokens:,} in and "
        f"{one.output_tokens:,} out in each of {words.quantity(one.requests_day)} requests, "
        f"{escape(words.share(one.cache_hit_share))} of the "
        f"input out of a cache. The busiest hour, bursts of {escape(words.quantity(one.burst))} included, asks for "
        f"{escape(words.quantity(one.peak_tok_s))} tokens a second; traffic changes by "
        f"{escape(words.share(one.growth_month))} a month. Nodes are whole: replicas for the busiest moment, and "
        "spare ones.</p>",
    ]
    rows = []
    for option in known.found.options:
        rate = option.throughput
        if rate is None:
            continue
        limit = option.capacity_tokens_day
        rows.append(
            (
                option.title,
                f"{rate.anchor}{'' if rate.tuned else ', untuned'}",
                rate.metric,
                words.quantity(rate.anchor_tok_s_gpu),
                words.quantity(rate.derate),
                words.quantity(rate.tok_s_gpu),
                f"{option.nodes[0]:,}" if option.nodes else words.NONE,
                f"{option.gpus_per_node}",
                words.NONE if limit is None else f"{limit:,.0f}",
                words.share(option.utilisation),
            )
        )
    if rows:
        heads = ("option", "rate measured as", "counted", "tokens/s a GPU", "derated by", "used here", "nodes",
                 "GPUs each", "tokens a day at most", "used")  # fmt: skip
        found.append(page.table(heads, rows, words=3, caption="At the beginning; at most: by the nodes of month 1"))
    pools = [one for one in known.found.options if one.service]
    if pools:
        found += ["<h3>Pools that buy spot first, out of the rehearsal</h3>", _pools(known, pools)]
    if known.notes:
        said = [(text, ", ".join(names)) for text, names in known.notes.items()]
        found.append("<h3>Notes</h3>" + page.table(("what is to be known", "of"), said, words=2))
    return found


def _pools(known: Told, pools: list[Option]) -> Html:
    rows = []
    for option in pools:
        one = option.service
        assert one is not None
        marks = [*one.mapped, *(["synthetic"] if one.synthetic else [])]
        rows.append(
            (
                option.title,
                one.trace,
                "; ".join(marks) or "recorded for this machine and place",
                words.small(one.usd_hour),
                f"{words.small(one.usd_hour_p10)} to {words.small(one.usd_hour_p90)}",
                words.share(one.share_spot),
                words.share(one.share_on_demand),
                words.share(one.share_nothing),
                words.small(one.interruptions_day),
                words.small(one.below_hours_month),
            )
        )
    heads = ("option", "capacity recorded as", "stands for", f"{known.found.currency} an hour a node wanted",
             "P10 to P90", "spot", "on demand", "missing", "interruptions a day",
             "hours a month below target")  # fmt: skip
    return page.table(heads, rows, words=3)


def _lines(known: Told) -> list[str]:
    found = [
        '<h2 id="lines" class="page">Line by line</h2>',
        f"<p>Every line with its price, where that is from and of which day. Cash and amortised: all "
        f"{words.count(known.found.months, 'month')}; levelised: a month. Amounts in {known.found.currency}.</p>",
    ]
    heads = ("line", "of", "source", "price of day", "unit", "quantity in its first month", "unit price", "cash",
             "amortised", "levelised, a month")  # fmt: skip
    for option in known.found.options:
        if not option.lines:
            continue
        rows = [_line(known, line) for line in option.lines if any(line.quantities) or line.usd]
        rows.append(
            ("together", "", "", "", "", "", "", words.figure(option.cash), words.figure(option.amortised),
             words.figure(option.levelised_month))
        )  # fmt: skip
        name = f"{known.letters[option.name]} {option.title} · {option.name}"
        found.append(f'<h3 id="lines-{known.letters[option.name]}">{escape(name)}</h3>')
        if gaps := known.gaps.get(option.name):
            found.append(f"<p class='small'>Not in it: {escape(', '.join(one.what for one in gaps))}.</p>")
        found.append(page.table(heads, rows, words=5, mine=[len(rows) - 1]))
    if known.flags:
        rows = [(mark, "; ".join(why) or words.MARKS.get(mark, mark)) for mark, why in known.flags.items()]
        found.append("<h3>Marks of prices</h3>" + page.table(("mark", "says"), rows, words=2))
    return found


def _line(known: Told, line: Line) -> tuple[str, ...]:
    number = known.numbers[line.source, line.observed]
    flags = "".join(f' <span class="tag">{escape(flag.partition(":")[0])}</span>' for flag in line.flags)
    return (
        Html(f"{escape(line.what)}{flags}"),
        f"{words.GROUPS[line.group]}, {words.BASES[line.basis]}",
        page.link(f"[{number}]", f"#source-{number}"),
        day(line.observed),
        line.unit,
        words.quantity(line.quantity),
        words.small(line.unit_price),
        words.figure(line.usd),
        words.figure(sum(line.amortised, start=line.usd * 0)),
        words.figure(line.levelised),
    )


def _assumptions(known: Told) -> list[str]:
    same: dict[tuple[str, ...], list[str]] = {}
    for one in known.found.assumptions:
        option, name = _of_option(known, one.key)
        spread = f"{_value(one.range[0])} to {_value(one.range[1])}" if one.range else ""
        row = (name, one.owner, linked(one.source), day(one.observed), _value(one.value), one.unit, spread)
        same.setdefault(row, []).extend([option] if option else [])
    rows = [
        (Html(_breaking(row[0])), " ".join(known.letters[one] for one in options) or "all", nowrap(row[1]), *row[2:])
        for row, options in same.items()
    ]
    heads = ("input", "of option", "owner", "source", "of day", "value", "unit", "range")
    return [
        '<h2 id="assumptions" class="page">Assumptions</h2>',
        f"<p>Every number that goes in, as the scenario or the model has it. {escape(_market(known))}</p>",
        page.table(heads, rows, words=5),
    ]


def _of_option(known: Told, key: str) -> tuple[str, str]:
    """`options.own.pue`: own, pue. Of an input of the whole scenario the first is empty."""
    first, _, rest = key.partition(".")
    option, _, name = rest.partition(".")
    return (option, name) if first == "options" and option in known.letters else ("", key)


def _market(known: Told) -> str:
    found = known.found
    return (
        f"Prices: snapshot {found.snapshot} of {found.snapshot_date}, read on {found.today}; discount rate "
        f"{words.share(found.discount_rate)} a year; model {found.model}, {found.dtype}."
    )


def _value(text: str) -> str:
    """A number as the file has it, without the zeros of a float, in groups of three."""
    return f"{Decimal(words.exact(Decimal(text))):,f}"


def _breaking(key: str) -> str:
    """A key that may break where it has a point."""
    return escape(key).replace(".", ".<wbr>")


def _sources(known: Told) -> list[str]:
    rows = [
        (Html(f'<span id="source-{number}">{number}</span>'), linked(one.source), day(one.observed),
         ", ".join(one.what), f"{one.times:,}")
        for number, one in enumerate(known.sources, 1)
    ]  # fmt: skip
    return [
        '<h2 id="sources" class="page">Sources</h2>',
        page.table(("", "source", "of day", "for", "figures"), rows, words=4),
    ]


def _reading(known: Told) -> list[str]:
    rows = list(words.READING)
    not_said = "".join(f"<li>{escape(one)}</li>" for one in words.UNCLAIMED)
    return [
        '<h2 id="reading" class="page">How to read it</h2>',
        page.table(("word", "meaning"), rows, words=2),
        f"<h3>What is not claimed</h3><ul>{not_said}</ul>",
    ]


def _scenario(known: Told) -> list[str]:
    text = escape(known.found.text.rstrip())
    return [f'<h2 id="scenario" class="page">The scenario</h2><p>{escape(known.found.file)}</p><pre>{text}</pre>']


def _signatures(known: Told) -> list[str]:
    found = known.found
    rows = "".join(
        f'<tr><th scope="row">{escape(who)}<br><span class="soft small">{escape(more)}</span></th>'
        "<td></td><td></td><td></td></tr>"
        for who, more in SIGNERS
    )
    return [
        '<section class="sign"><h2 id="signatures">Signatures</h2>',
        f"<p>For the estimate “{escape(found.title)}” with prices {escape(found.snapshot)} of {found.snapshot_date}, "
        f"as of {found.today}. It is an estimate, not a bill.</p>",
        '<div class="scroll" tabindex="0" role="region" aria-label="Signatures"><table><thead><tr>'
        '<th scope="col">role</th><th scope="col">name</th><th scope="col">date</th>'
        '<th scope="col">signature</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div></section>",
    ]


def linked(source: str) -> Html:
    """A source's words, its addresses as links."""
    found, upto = [], 0
    for match in _URL.finditer(source):
        address = match.group().rstrip(".")
        found += [escape(source[upto : match.start()]), page.link(_short(address), address)]
        upto = match.start() + len(address)
    return Html("".join([*found, escape(source[upto:])]))


def _short(address: str) -> Html:
    """An address that breaks at its slashes."""
    return Html(escape(address.removeprefix("https://")).replace("/", "/<wbr>"))


def day(observed: object) -> Html:
    """A date on one line, or nothing."""
    return Html("") if observed is None else nowrap(str(observed))


def nowrap(text: str) -> Html:
    """On one line."""
    return Html(f'<span class="nw">{escape(text)}</span>')
