"""Parts of the benchmark's page beside its grid: intervals over windows, differences from the keeper, the ablation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, Final

Row = Mapping[str, Any]
LEVERS: Final = {
    "keeper-moves": "moves to cheaper zones",
    "keeper-price-cap": "price cap per zone",
    "keeper-spares": "spares as the risk is worth (off: always one)",
    "keeper-floor": "on-demand beside spot that serves",
    "keeper-notice": "a neighbour's loss as warning",
    "keeper-cool-down": "cool-down after a refusal",
    "keeper-spread": "limits and learnt joint losses",
}
WIDTH, LEFT, LINE, TOP, GAP = 860, 150, 22, 26, 40


def links(whole: Row) -> str:
    """Where the sections are that this page has."""
    found = '<a href="#windows">Intervals</a>' if whole.get("windows") else ""
    return found + ('<a href="#ablation">Ablation</a>' if _ablated(whole["cases"]) else "")


def regret(one: Row) -> str:
    """In percent: against the bound, and from that against the best plan of whole instances where there is one."""
    most, least = f"{100 * one['regret']:.0f}", one.get("regret_least")
    if least is None or f"{100 * least:.0f}" == most:
        return most
    return f"{100 * least:.0f}–{most}"


# --- windows ----------------------------------------------------------------------------------------------------------


def intervals(samples: Sequence[Row]) -> str:
    """Means over windows with their intervals, and the differences from the keeper."""
    if not samples:
        return ""
    first = samples[0]
    parts = [
        '<h2 id="windows">How sure: days drawn at random</h2>',
        f"<p>{first['windows']} windows of {first['hours']:g} h that begin at rounds drawn at random, "
        f"N = {first['n']}, boot {first['boot']:g} s; every policy is played on the same ones and begins each without "
        "a memory. Intervals (95 %) are by resampling windows. They overlap, for little more than a week was recorded, "
        "so the intervals are rather too narrow. Differences are taken window by window: what a window does to both "
        "falls out.</p>",
    ]
    for one in samples:
        parts.append(f"<section><h3>{escape(one['zones'])}</h3>")
        if one["differences"]:
            parts.append(f'<div class="scroll">{forest(one)}</div>')
        parts.append(f'<div class="scroll">{_table(one)}</div></section>')
    return "\n".join(parts)


def forest(one: Row) -> str:
    """Keeper minus each published policy: availability in points to the left, cost to the right, with intervals."""
    rows = [(name, found) for name, found in one["differences"].items() if not name.startswith("keeper")]
    height = TOP + LINE * len(rows) + 34
    panel = (WIDTH - LEFT - GAP) / 2
    label = f"{one['zones']}: the keeper against each published policy, with 95 % intervals"
    size = f'viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
    parts = [f'<svg {size} role="img" aria-label="{escape(label)}">']
    for side, (key, scale, title) in enumerate(
        (("availability", 100.0, "availability gained, points"), ("cost", 1.0, "cost, share of all on demand"))
    ):
        left = LEFT + side * (panel + GAP)
        low = min([0.0, *(scale * found[key]["low"] for _, found in rows)])
        high = max([0.0, *(scale * found[key]["high"] for _, found in rows)])
        span = (high - low) or 1.0
        low, high = low - 0.05 * span, high + 0.05 * span

        def x(value: float, left: float = left, low: float = low, high: float = high) -> float:
            return round(left + (value - low) / (high - low) * panel, 1)

        end = TOP + LINE * len(rows)
        parts.append(f'<text x="{left:g}" y="14">{escape(title)}: keeper minus policy</text>')
        parts.append(f'<line class="grid" x1="{x(0)}" x2="{x(0)}" y1="{TOP - 4}" y2="{end}"/>')
        told_ends = [value for value in (low + 0.05 * span, high - 0.05 * span) if abs(x(value) - x(0.0)) > 40]
        for value in (0.0, *told_ends):
            parts.append(f'<text x="{x(value)}" y="{end + 16}" text-anchor="middle">{value:.2f}</text>')
        for index, (name, found) in enumerate(rows):
            y, values = TOP + LINE * index + 10, {word: scale * found[key][word] for word in ("mean", "low", "high")}
            told = f"{name}: {values['mean']:.3f} ({values['low']:.3f} to {values['high']:.3f})"
            colour = "var(--ink)" if found[key]["sure"] else "var(--soft)"
            parts.append(
                f"<g><title>{escape(told)}</title>"
                f'<line x1="{x(values["low"])}" x2="{x(values["high"])}" y1="{y}" y2="{y}" stroke="{colour}" '
                f'stroke-width="2"/><circle cx="{x(values["mean"])}" cy="{y}" r="4" fill="{colour}"/></g>'
            )
    for index, (name, _) in enumerate(rows):
        parts.append(f'<text x="{LEFT - 8}" y="{TOP + LINE * index + 14}" text-anchor="end">{escape(name)}</text>')
    return "".join([*parts, "</svg>"])


def _table(one: Row) -> str:
    heads = (
        "policy", "availability %", "95 %", "cost", "95 %", "bound", "regret %", "95 %", "keeper: points more", "95 %",
        "keeper: cost more", "95 %",
    )  # fmt: skip
    lines = []
    for row in one["policies"]:
        if row["policy"].startswith("keeper-"):
            continue
        other = one["differences"].get(row["policy"])
        cells = [
            escape(row["policy"]),
            f"{100 * row['availability']:.2f}",
            between(row["availability_low"], row["availability_high"], 100, 2),
            f"{row['cost']:.3f}",
            between(row["cost_low"], row["cost_high"], 1, 3),
            f"{row['bound']:.3f}",
            f"{100 * row['regret']:.0f}",
            between(row.get("regret_low"), row.get("regret_high"), 100, 0),
        ]
        if other:
            more, cost = other["availability"], other["cost"]
            cells += [
                f"{100 * more['mean']:+.2f}",
                between(more["low"], more["high"], 100, 2),
                f"{cost['mean']:+.3f}",
                between(cost["low"], cost["high"], 1, 3),
            ]
        else:
            cells += [""] * 4
        kind = (
            ' class="mine"' if row["policy"] == "keeper" else ' class="front"' if row["policy"] in one["front"] else ""
        )
        lines.append(f"<tr{kind}>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    return f"<table><tr>{''.join(f'<th>{head}</th>' for head in heads)}</tr>{''.join(lines)}</table>"


def between(low: float | None, high: float | None, scale: float, digits: int) -> str:
    """An interval; empty where there is none."""
    return "" if low is None or high is None else f"{low * scale:.{digits}f} to {high * scale:.{digits}f}"


# --- ablation ---------------------------------------------------------------------------------------------------------


def _ablated(cases: Sequence[Row]) -> list[tuple[Row, dict[str, Row]]]:
    """Cases in which levers were taken away, with their policies by name."""
    found = []
    for case in cases:
        named = {one["policy"]: one for one in case["policies"]}
        if "keeper" in named and any(name in named for name in LEVERS):
            found.append((case, named))
    return found


def ablation(cases: Sequence[Row], samples: Sequence[Row]) -> str:
    """The keeper without each of its levers, on the whole trace and over windows."""
    found = _ablated(cases)
    if not found:
        return ""
    case = found[0][0]
    parts = [
        '<h2 id="ablation">Ablation: one lever off at a time</h2>',
        f"<p>N = {case['n']}, boot {case['boot']:g} s. Availability % at cost, as a share of all on demand, on the "
        "whole recorded half: one play each, in which 0.1 points are one loss more or less.</p>",
        f'<div class="scroll"><table><tr><th>off</th>{_heads([case for case, _ in found])}</tr>',
    ]
    for name, words in {"keeper": "nothing", **LEVERS}.items():
        cells = [_at(named.get(name)) for _, named in found]
        kind = ' class="mine"' if name == "keeper" else ""
        parts.append(f"<tr{kind}><td>{escape(words)}</td>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>")
    parts.append("</table></div>")
    sampled = [one for one in samples if any(name in one["differences"] for name in LEVERS)]
    if sampled:
        parts.append(
            f"<p>What each lever brings over {sampled[0]['windows']} days drawn at random: points of availability and "
            "cost, with the lever minus without it, and 95 % intervals. Bold: the interval leaves 0 out.</p>"
            f'<div class="scroll"><table><tr><th>lever</th>{_heads(sampled)}</tr>'
        )
        for name, words in LEVERS.items():
            brought = "".join(_brought(one["differences"].get(name)) for one in sampled)
            parts.append(f"<tr><td>{escape(words)}</td>{brought}</tr>")
        parts.append("</table></div>")
    return "\n".join(parts)


def _heads(rows: Sequence[Row]) -> str:
    return "".join(f"<th>{escape(one['zones'])}</th>" for one in rows)


def _at(one: Row | None) -> str:
    return f"{100 * one['availability']:.2f} @ {one['cost']:.3f}" if one else ""


def _brought(found: Row | None) -> str:
    if not found:
        return "<td></td>"
    more, cost = found["availability"], found["cost"]
    first = f"{100 * more['mean']:+.2f} ({between(more['low'], more['high'], 100, 2)})"
    second = f"{cost['mean']:+.3f} ({between(cost['low'], cost['high'], 1, 3)})"
    told = f"{_bold(first, more['sure'])}; {_bold(second, cost['sure'])}"
    return f"<td>{told}</td>"


def _bold(text: str, yes: bool) -> str:
    return f"<strong>{text}</strong>" if yes else text
