"""The benchmark of capacity as one HTML page: a plot and a table for each setting; no script, nothing fetched."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, Final

from rehearsal import capacity_sections as sections

WIDTH, HEIGHT = 430, 280
LEFT, RIGHT, TOP, BOTTOM = 52, 14, 12, 38
NINES: Final = (0.5, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999, 0.9999)
"""Availabilities with a line; the axis is -log10(1 - availability), from 50 % to 99.99 %."""
COSTS: Final = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0, 1.2, 1.4, 1.6)
FAMILIES: Final = {
    "on-demand": ("on demand", "#5c6370", "square"),
    "even-spread": ("EvenSpread", "#9467bd", "triangle"),
    "round-robin": ("RoundRobin +0, +1", "#b8860b", "triangle"),
    "spothedge": ("SpotHedge +0, +1, +2", "#1f77b4", "circle"),
    "spothedge+1-guarded": ("SpotHedge +1, guarded", "#17becf", "square"),
    "cheapest-first": ("cheapest first +0, +1", "#2ca02c", "diamond"),
    "keeper": ("keeper, by objective", "#d62728", "circle"),
}
"""Label, colour and shape, so that no family is told apart by its colour alone."""
STYLE: Final = """
:root{color-scheme:light dark;--ink:#1b1f24;--soft:#667;--line:#d8dce2;--paper:#fff}
@media (prefers-color-scheme:dark){:root{--ink:#e6e8eb;--soft:#9aa3ad;--line:#3a4048;--paper:#16191d}}
body{font:15px/1.45 system-ui,sans-serif;color:var(--ink);background:var(--paper);margin:0 auto;max-width:1240px;
padding:1.5rem}
h1{font-size:1.5rem}h2{font-size:1.15rem;margin:2.2rem 0 .4rem}h3{font-size:1rem;margin:.2rem 0}
p{max-width:46rem}.soft{color:var(--soft)}nav a{margin-right:.9rem}
table{border-collapse:collapse;font-size:12.5px;font-variant-numeric:tabular-nums;width:100%}
th,td{padding:.12rem .4rem;text-align:right;border-bottom:1px solid var(--line);white-space:nowrap}
th:first-child,td:first-child{text-align:left}tr.mine td{font-weight:600}
section{break-inside:avoid;margin:.8rem 0}
.plots{display:flex;flex-wrap:wrap;gap:.4rem}figure{margin:0;flex:1 1 270px;max-width:430px}
figcaption{font-weight:600;font-size:.9rem}.scroll{overflow-x:auto}svg{max-width:100%;height:auto}
svg text{font:11px system-ui,sans-serif;fill:var(--ink)}svg .grid{stroke:var(--line)}svg .bound{fill:none;
stroke:var(--ink);stroke-dasharray:4 3}
svg .front{fill:none;stroke:var(--soft);stroke-width:1.5}.legend{max-width:none;font-size:.9rem}
.legend span{margin-right:1.1rem;white-space:nowrap}.legend svg{vertical-align:-4px}
@media print{body{max-width:none}details{display:block}}
""".strip()


def page(whole: Mapping[str, Any]) -> str:
    """The page of a `rehearsal.capacity` document."""
    cases: Sequence[Mapping[str, Any]] = whole["cases"]
    sets = list(dict.fromkeys(case["zones"] for case in cases))
    trace, prices = whole["trace"], whole["prices"]
    links = "".join(f'<a href="#{_id(name)}">{escape(name)}</a>' for name in sets)
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width,initial-scale=1">',
        f"<title>Where to hold GPUs: policies compared</title><style>{STYLE}</style></head><body>",
        "<h1>Where to hold GPUs: policies compared</h1>",
        f"<p>{escape(trace['shows'])} Recorded {escape(trace['recorded'])}; "
        f'<a href="{escape(trace["source"])}">source</a>, sha256 {escape(trace["sha256"][:12])}. '
        f"Prices of {escape(', '.join(prices['observed']))} ({escape(prices['machine'])} / {prices['per']}). "
        f"A look every {whole['tick']:g} s; policies by chance are the mean of {whole['seeds']} plays. "
        f"{len(cases)} of {whole['settings']} settings are on this page.</p>",
        f"<p class=soft><strong>Not shown by it:</strong> {escape(trace['shows_not'])}</p>",
        f"<p class=soft>{escape(whole['legend'])}.</p>",
        f"<nav>{links}{sections.links(whole)}</nav>{_overview(cases)}{_legend()}",
    ]
    for name in sets:
        zones = ", ".join(whole["zone_sets"].get(name, ()))
        parts.append(f'<h2 id="{_id(name)}">{escape(name)}</h2><p class=soft>{escape(zones)}</p>')
        mine = [case for case in cases if case["zones"] == name]
        for size in dict.fromkeys(case["n"] for case in mine):
            sized = [case for case in mine if case["n"] == size]
            figures = "".join(f"<figure><figcaption>{_link(case)}</figcaption>{plot(case)}</figure>" for case in sized)
            parts.append(f'<div class="plots">{figures}</div>')
        parts += [_case(case) for case in mine]
    parts += [sections.intervals(whole.get("windows", ())), sections.ablation(cases, whole.get("windows", ()))]
    return "\n".join([*parts, "</body></html>\n"])


def _anchor(case: Mapping[str, Any]) -> str:
    return _id(f"{case['zones']}-{case['n']}-{case['boot']:g}")


def _link(case: Mapping[str, Any]) -> str:
    return f'<a href="#{_anchor(case)}">{escape(case["zones"])}, N = {case["n"]}, boot {case["boot"]:g} s</a>'


def _overview(cases: Sequence[Mapping[str, Any]]) -> str:
    """The keeper in each setting, beside the cheapest published policy that is at least as available."""
    rows = []
    for case in cases:
        named = {one["policy"]: one for one in case["policies"]}
        if not (keeper := named.get("keeper")):
            continue
        others = [one for name, one in named.items() if not name.startswith("keeper")]
        equal = [one for one in others if one["availability"] >= keeper["availability"]]
        best = min(equal, key=lambda one: one["cost"], default=None)
        cells = (
            _link(case),
            f"{100 * keeper['availability']:.2f}",
            f"{keeper['cost']:.3f}",
            f"{keeper['bound']:.3f}",
            sections.regret(keeper),
            escape(best["policy"]) if best else "none",
            f"{100 * best['availability']:.2f}" if best else "",
            f"{best['cost']:.3f}" if best else "",
            escape(", ".join(case["keeper"]["dominated_by"]) or "none"),
        )
        rows.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    if not rows:
        return ""
    heads = (
        "setting", "keeper, availability %", "cost", "bound", "regret %", "cheapest published as available",
        "availability %", "cost", "dominated by",
    )  # fmt: skip
    head = "".join(f"<th>{one}</th>" for one in heads)
    return f'<div class="scroll"><table><tr>{head}</tr>{"".join(rows)}</table></div>'


def _case(case: Mapping[str, Any]) -> str:
    title = f"N = {case['n']}, boot {case['boot']:g} s"
    said = ""
    if verdict := case.get("keeper"):
        by = ", ".join(verdict["dominated_by"])
        said = f"<p>The keeper is {f'dominated by {escape(by)}' if by else 'dominated by no published policy'}; "
        said += f"it is both cheaper and more available than {escape(', '.join(verdict['beaten']) or 'none')}.</p>"
    return (
        f'<section id="{_anchor(case)}"><h3>{escape(case["zones"])}: {title}</h3>{said}'
        f'<div class="scroll">{_table(case["policies"])}</div></section>'
    )


def plot(case: Mapping[str, Any]) -> str:
    """Cost to the right, availability upwards; the dashed line is the bound, the full one the keeper's, that of steps
    the best of what is published."""
    label = f"{case['zones']}, N = {case['n']}, boot {case['boot']:g} s: availability by cost"
    size = f'viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}"'
    parts = [f'<svg {size} role="img" aria-label="{escape(label)}">']
    for share in NINES:
        y = _y(share)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}"/>')
        parts.append(f'<text x="{LEFT - 5}" y="{y + 4}" text-anchor="end">{100 * share:g}%</text>')
    for cost in COSTS:
        x = _x(cost)
        parts.append(f'<line class="grid" x1="{x}" x2="{x}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>')
        parts.append(f'<text x="{x}" y="{HEIGHT - BOTTOM + 14}" text-anchor="middle">{cost:g}</text>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(f'<text x="{middle:g}" y="{HEIGHT - 6}" text-anchor="middle">cost, share of all on demand</text>')
    points = " ".join(f"{_x(cost)},{_y(share)}" for share, cost in case["bound"])
    parts.append(
        f'<polyline class="bound" points="{points}"><title>least cost of a plan that knows the trace</title></polyline>'
    )
    named = {one["policy"]: one for one in case["policies"]}
    if len(best := [named[name] for name in case.get("front", ()) if name in named]) > 1:
        steps = f"M{_x(best[0]['cost'])},{_y(best[0]['availability'])}"
        steps += "".join(f"H{_x(one['cost'])}V{_y(one['availability'])}" for one in best[1:])
        told = f"published policies that no other dominates: {', '.join(one['policy'] for one in best)}"
        parts.append(f'<path class="front" d="{steps}"><title>{escape(told)}</title></path>')
    curve = [one for one in case["policies"] if _curve(one["policy"])]
    if len(curve) > 1:
        ordered = sorted(curve, key=lambda one: _objective(one["policy"]))
        points = " ".join(f"{_x(one['cost'])},{_y(one['availability'])}" for one in ordered)
        parts.append(f'<polyline points="{points}" fill="none" stroke="{FAMILIES["keeper"][1]}"/>')
    parts += [_mark(one) for one in case["policies"] if not one["policy"].startswith("keeper-")]
    return "".join([*parts, "</svg>"])


def _mark(one: Mapping[str, Any]) -> str:
    name = one["policy"]
    _, colour, kind = FAMILIES[_family(name)]
    x, y = _x(one["cost"]), _y(one["availability"])
    told = f"{name}: {100 * one['availability']:.3f} % at {one['cost']:.3f}, regret {100 * one['regret']:.0f} %"
    extra = name.rpartition("+")[2].partition("-")[0] if "+" in name else ""
    text = f'<text x="{x + 6}" y="{y - 4}">+{extra}</text>' if extra else ""
    return f"<g><title>{escape(told)}</title>{shape(kind, x, y, colour)}{text}</g>"


def shape(kind: str, x: float, y: float, colour: str) -> str:
    """A mark: circle, square, diamond or triangle."""
    if kind == "circle":
        return f'<circle cx="{x}" cy="{y}" r="4" fill="{colour}"/>'
    corners = {
        "square": ((-4, -4), (4, -4), (4, 4), (-4, 4)),
        "diamond": ((0, -5), (5, 0), (0, 5), (-5, 0)),
        "triangle": ((0, -5), (5, 4), (-5, 4)),
    }[kind]
    points = " ".join(f"{round(x + a, 1)},{round(y + b, 1)}" for a, b in corners)
    return f'<polygon points="{points}" fill="{colour}"/>'


def _legend() -> str:
    marks = []
    for label, colour, kind in FAMILIES.values():
        size = 'viewBox="0 0 20 20" width="20" height="20"'
        drawn = f'<svg {size} role="presentation">{shape(kind, 10, 11, colour)}</svg>'
        marks.append(f"<span>{drawn}{escape(label)}</span>")
    return f'<p class="legend">{"".join(marks)}</p>'


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    heads = (
        "policy", "availability %", "95 %", "none %", "below N, s", "none, s", "missing, h/d", "cost", "95 %", "spot",
        "on demand", "launches/d", "lost/d", "bound", "regret %", "CPU s",
    )  # fmt: skip
    lines = []
    for one in rows:
        cells = (
            escape(one["policy"]),
            f"{100 * one['availability']:.3f}",
            _between(one["availability_low"], one["availability_high"], 100, 2),
            f"{100 * one['zero']:.3f}",
            f"{one['longest_below']:,.0f}",
            f"{one['longest_zero']:,.0f}",
            f"{one['missing']:.2f}",
            f"{one['cost']:.3f}",
            _between(one["cost_low"], one["cost_high"], 1, 3),
            f"{one['spot']:.3f}",
            f"{one['on_demand']:.3f}",
            f"{one['launches_day']:.1f}",
            f"{one['losses_day']:.1f}",
            f"{one['bound']:.3f}",
            sections.regret(one),
            f"{one['seconds']:.2f}",
        )
        kind = ' class="mine"' if one["policy"] == "keeper" else ""
        lines.append(f"<tr{kind}>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    return f"<table><tr>{''.join(f'<th>{head}</th>' for head in heads)}</tr>{''.join(lines)}</table>"


def _between(low: float | None, high: float | None, scale: float, digits: int) -> str:
    return "" if low is None or high is None else f"{low * scale:.{digits}f}–{high * scale:.{digits}f}"


def _family(name: str) -> str:
    return max((family for family in FAMILIES if name.startswith(family)), key=len)


def _curve(name: str) -> bool:
    return name == "keeper" or name.startswith("keeper@")


def _objective(name: str) -> float:
    return float(name.partition("@")[2] or 0.995)


def _x(cost: float) -> float:
    share = min(max(cost, COSTS[0]), COSTS[-1]) / COSTS[-1]
    return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)


def _y(availability: float) -> float:
    """-log10 of what is missing, between the first and the last of NINES; beyond them at the edge."""
    low, high = -math.log10(1 - NINES[0]), -math.log10(1 - NINES[-1])
    nines = -math.log10(max(1 - availability, 1 - NINES[-1]))
    share = (max(nines, low) - low) / (high - low)
    return round(HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM), 1)


def _id(text: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in text)
