"""How charts look: colours for light and dark pages and for paper, textures, dashes and signs that need no colour."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

Texture = Literal["plain", "hatch", "back", "rows", "columns", "wide", "light", "bars"]
Shape = Literal["circle", "square", "diamond", "triangle", "down", "ring", "cross"]

COLOURS: Final = {
    # name: (light, dark). k1 to k8 after Okabe and Ito, told apart with any colour vision: https://jfly.uni-koeln.de/color/
    "paper": ("#ffffff", "#14171b"),
    "card": ("#f5f7f9", "#1d2228"),
    "ink": ("#1b1f24", "#e6e8eb"),
    "soft": ("#56606b", "#9aa5b1"),
    "line": ("#d5dae0", "#39414a"),
    "k1": ("#0072b2", "#4aa8e0"),
    "k2": ("#cc7a00", "#f0a530"),
    "k3": ("#009e73", "#2dc598"),
    "k4": ("#b3588f", "#dd8fbd"),
    "k5": ("#3596cf", "#86cdf5"),
    "k6": ("#c44e00", "#ee7d33"),
    "k7": ("#7a6a00", "#cbb92f"),
    "k8": ("#5c6370", "#a0a8b4"),
    "bad": ("#c22f2f", "#ff7066"),
    "good": ("#1b7f4b", "#48c284"),
}
_LIGHT, _DARK = (";".join(f"--{name}:{pair[side]}" for name, pair in COLOURS.items()) for side in (0, 1))
STYLE: Final = f"""
:root{{color-scheme:light dark;{_LIGHT}}}
@media (prefers-color-scheme:dark){{:root{{{_DARK}}}}}
@media print{{:root{{color-scheme:light;{_LIGHT}}}}}
.plot svg{{display:block;overflow:visible}}.plot svg svg{{overflow:hidden}}
.plot text{{font:12px system-ui,sans-serif;fill:var(--ink);font-variant-numeric:tabular-nums}}
.plot text.t{{fill:var(--soft);font-size:11px}}.plot text.h{{paint-order:stroke;stroke:var(--paper);stroke-width:4px;
stroke-linejoin:round}}.plot text.b{{font-weight:600}}
.plot a text{{fill:var(--k1);text-decoration:underline}}.plot a:focus-visible{{outline:2px solid var(--k1)}}
.plot .g{{stroke:var(--line)}}.plot .x{{stroke:var(--soft)}}
.plot path{{vector-effect:non-scaling-stroke}}
@media (max-width:900px){{.plot .l2{{display:none}}}}@media (max-width:560px){{.plot .l1{{display:none}}}}
""".strip()


@dataclass(frozen=True, slots=True)
class Look:
    """How a thing is drawn, by a colour's name in COLOURS, and by something that needs no colour: the texture of a
    surface, the dashes of a line, the shape of a mark. width: of its line, pixels."""

    colour: str
    texture: Texture = "plain"
    dash: str = ""
    shape: Shape = "circle"
    width: float = 1.5

    @property
    def fill(self) -> str:
        """What a surface is painted with."""
        return f"var(--{self.colour})" if self.texture == "plain" else f"url(#w-{self.texture}-{self.colour})"

    @property
    def stroke(self) -> str:
        """Attributes of its line."""
        dash = f' stroke-dasharray="{self.dash}"' if self.dash else ""
        return f'fill="none" stroke="var(--{self.colour})" stroke-width="{number(self.width)}"{dash}'


SERIES: Final = (
    Look("k1", "plain", "", "circle"),
    Look("k2", "hatch", "7 3", "square"),
    Look("k3", "back", "2 3", "triangle"),
    Look("k4", "columns", "9 3 2 3", "diamond"),
    Look("k5", "wide", "4 2", "down"),
    Look("k6", "light", "12 4", "ring"),
    Look("k7", "bars", "1 3", "cross"),
    Look("k8", "rows", "6 2 1 2 1 2", "square"),
)
"""Looks for series without a colour of their own; the ninth is the first again."""


def look(index: int) -> Look:
    """Of the series with this number."""
    return SERIES[index % len(SERIES)]


_STRIPES: Final[dict[str, tuple[float, float, float]]] = {
    # across one stripe and its gap, in pixels (x, y), and how much of it is paper
    "hatch": (3.6, 3.6, 0.22),
    "back": (3.6, -3.6, 0.22),
    "rows": (0.0, 4.0, 0.28),
    "columns": (4.0, 0.0, 0.28),
    "wide": (6.0, 6.0, 0.33),
    "light": (2.2, -2.2, 0.55),
    "bars": (0.0, 8.0, 0.45),
}


_USED: Final = re.compile(r"url\(#w-([a-z]+)-([a-z0-9]+)\)")


def textures(drawn: str) -> str:
    """The definitions that surfaces refer to which are in this markup; once in a page, before its first chart.

    Stripes are repeated gradients, no patterns: Chromium prints a gradient as a few numbers, but a pattern as a picture
    of each surface (114 MB for one report).
    """
    lines = []
    for texture, colour in sorted(set(_USED.findall(drawn))):
        x, y, paper = _STRIPES[texture]
        own = f'<stop offset="{{}}" style="stop-color:var(--{colour})"/>'
        gap = '<stop offset="{}" style="stop-color:var(--paper)"/>'
        edge = number(1 - paper)
        lines.append(
            f'<linearGradient id="w-{texture}-{colour}" gradientUnits="userSpaceOnUse" spreadMethod="repeat" '
            f'x1="0" y1="0" x2="{number(x)}" y2="{number(y)}">'
            f"{own.format(0)}{own.format(edge)}{gap.format(edge)}{gap.format(1)}</linearGradient>"
        )
    # Not `display: none`: what is not rendered at all defines nothing in some browsers.
    return (
        '<svg width="0" height="0" style="position:absolute" aria-hidden="true" focusable="false">'
        f"<defs>{''.join(lines)}</defs></svg>"
    )


def number(value: float) -> str:
    """A coordinate: at most two decimals."""
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def sign(style: Look, size: float) -> str:
    """A mark around the corner of what it is drawn into."""
    colour = f'fill="var(--{style.colour})" stroke="var(--paper)"'
    s = number(size)
    if style.shape == "circle":
        return f'<circle r="{s}" {colour}/>'
    if style.shape == "ring":
        return f'<circle r="{number(size - 1)}" fill="var(--paper)" stroke="var(--{style.colour})" stroke-width="2.5"/>'
    if style.shape == "cross":
        return (
            f'<path d="M-{s} -{s}L{s} {s}M{s} -{s}L-{s} {s}" fill="none" stroke="var(--{style.colour})" '
            'stroke-width="2.5"/>'
        )
    corners = {
        "square": f"-{s},-{s} {s},-{s} {s},{s} -{s},{s}",
        "diamond": f"0,-{number(size * 1.3)} {number(size * 1.3)},0 0,{number(size * 1.3)} -{number(size * 1.3)},0",
        "triangle": f"0,-{number(size * 1.2)} {s},{s} -{s},{s}",
        "down": f"0,{number(size * 1.2)} {s},-{s} -{s},-{s}",
    }[style.shape]
    return f'<polygon points="{corners}" {colour}/>'


def swatch(style: Look, kind: Literal["area", "line", "mark"]) -> str:
    """A small piece of it, for a legend."""
    if kind == "area":
        drawn = f'<rect width="22" height="12" fill="{style.fill}" stroke="var(--{style.colour})"/>'
    elif kind == "line":
        drawn = f'<path d="M0 6H22" {style.stroke}/>'
    else:
        drawn = f'<g transform="translate(11 6)">{sign(style, 5)}</g>'
    return f'<svg width="22" height="12" aria-hidden="true" focusable="false">{drawn}</svg>'
