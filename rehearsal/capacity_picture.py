"""The benchmark's plots as one picture, for docs/capacity.md: each set of zones at one size and boot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, Final

from rehearsal.capacity_page import FAMILIES, HEIGHT, WIDTH, plot, shape

N: Final = 3
BOOT: Final = 600.0
COLUMNS: Final = 2
HEAD: Final = 26
"""Above each plot, for its caption."""
LEGEND: Final = 26
"""A row of it; as many families as columns fit into each."""
STYLE: Final = """
:root{--ink:#1b1f24;--soft:#667;--line:#d8dce2;--paper:#fff}
@media (prefers-color-scheme:dark){:root{--ink:#e6e8eb;--soft:#9aa3ad;--line:#3a4048;--paper:#0d1117}}
text{font:11px system-ui,sans-serif;fill:var(--ink)}.caption{font-weight:600;font-size:13px}.paper{fill:var(--paper)}
.grid{stroke:var(--line)}.bound{fill:none;stroke:var(--ink);stroke-dasharray:4 3}
.front{fill:none;stroke:var(--soft);stroke-width:1.5}
""".strip()


def picture(whole: Mapping[str, Any]) -> str:
    """The picture of a `rehearsal.capacity` document: of N = 3 and a boot of 600 s, where that was played, or else of
    the first setting of each set of zones."""
    chosen = _chosen(whole["cases"])
    rows = -(-len(chosen) // COLUMNS)
    legend = -(-(len(FAMILIES) + 2) // (2 * COLUMNS)) * LEGEND
    width, height = COLUMNS * WIDTH, rows * (HEAD + HEIGHT) + legend + 10
    title = "Availability by cost of every policy"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'role="img"><title>{title}</title><style>{STYLE}</style>'
        f'<rect class="paper" width="{width}" height="{height}"/>'
    ]
    for number, case in enumerate(chosen):
        x, y = number % COLUMNS * WIDTH, number // COLUMNS * (HEAD + HEIGHT)
        told = f"{case['zones']}, N = {case['n']}, boot {case['boot']:g} s"
        parts.append(f'<text class="caption" x="{x + 14}" y="{y + 18}">{escape(told)}</text>')
        parts.append(f'<g transform="translate({x},{y + HEAD})">{plot(case)}</g>')
    parts.append(f'<g transform="translate(14,{rows * (HEAD + HEIGHT) + 4})">{_legend(width - 28)}</g></svg>\n')
    return "\n".join(parts)


def _chosen(cases: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    found: dict[str, Mapping[str, Any]] = {}
    for case in cases:
        if case["zones"] not in found or (case["n"], case["boot"]) == (N, BOOT):
            found[case["zones"]] = case
    return list(found.values())


def _legend(width: int) -> str:
    each = width / (2 * COLUMNS)
    drawn = [(shape(kind, 6, 12, colour), label) for label, colour, kind in FAMILIES.values()]
    drawn.append(('<path class="front" d="M0,12H13"/>', "best of what is published"))
    drawn.append(('<path class="bound" d="M0,12H13"/>', "knows the whole trace"))
    parts = []
    for number, (mark, label) in enumerate(drawn):
        x, y = number % (2 * COLUMNS) * each, number // (2 * COLUMNS) * LEGEND
        parts.append(f'<g transform="translate({x:g},{y})">{mark}<text x="18" y="16">{escape(label)}</text></g>')
    return "".join(parts)
