"""Charts as inline SVG: no script, nothing fetched, readable on a phone, on paper and without colours.

A `Plot` is as wide as what it stands in: x is in percent of its width, y in pixels, so letters and lines keep their
size at every width. Several plots below each other with the same x axis share their ticks. Colours come from CSS
variables (`STYLE`), so that a page is light or dark; each colour has a texture of its own (`textures`, once a page).
`image` makes a file of one plot that stands alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Final, Literal

from spillway.axes import Axis, Row, Tick

Texture = Literal["plain", "hatch", "back", "dots", "cross", "rows", "columns", "rings"]
Shape = Literal["circle", "square", "diamond", "triangle", "down", "ring", "cross"]
INNER: Final = 1000.0
"""Units across the drawing of paths, which is stretched to the width that there is."""

COLOURS: Final = {
    # name: (light, dark). k1 to k8 after Okabe and Ito, told apart with any colour vision: https://jfly.uni-koeln.de/color/
    "paper": ("#ffffff", "#14171b"),
    "card": ("#f5f7f9", "#1d2228"),
    "ink": ("#1b1f24", "#e6e8eb"),
    "soft": ("#56606b", "#9aa5b1"),
    "line": ("#d5dae0", "#39414a"),
    "k1": ("#0072b2", "#4aa8e0"),
    "k2": ("#e08a00", "#f0a530"),
    "k3": ("#009e73", "#2dc598"),
    "k4": ("#b3588f", "#dd8fbd"),
    "k5": ("#56b4e9", "#86cdf5"),
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
    Look("k3", "dots", "2 3", "triangle"),
    Look("k4", "back", "9 3 2 3", "diamond"),
    Look("k5", "columns", "4 2", "down"),
    Look("k6", "cross", "12 4", "ring"),
    Look("k7", "rows", "1 3", "cross"),
    Look("k8", "rings", "6 2 1 2 1 2", "square"),
)
"""Looks for series without a colour of their own; the ninth is the first again."""


def look(index: int) -> Look:
    """Of the series with this number."""
    return SERIES[index % len(SERIES)]


_TILES: Final[dict[str, str]] = {
    "hatch": '<path d="M-1 7L7 -1M2 10L10 2" {}/>',
    "back": '<path d="M-1 1L7 9M1 -3L10 6" {}/>',
    "dots": '<circle cx="2" cy="2" r="1.1" {1}/><circle cx="6" cy="6" r="1.1" {1}/>',
    "cross": '<path d="M0 0L8 8M8 0L0 8" {}/>',
    "rows": '<path d="M0 2H8M0 6H8" {}/>',
    "columns": '<path d="M2 0V8M6 0V8" {}/>',
    "rings": '<circle cx="4" cy="4" r="2" {}/>',
}


def textures(looks: Sequence[Look] = SERIES) -> str:
    """The definitions that surfaces of these looks refer to; once in a page, before its first plot."""
    lines, seen = [], set[tuple[str, str]]()
    for one in looks:
        if one.texture == "plain" or (one.texture, one.colour) in seen:
            continue
        seen.add((one.texture, one.colour))
        tile = _TILES[one.texture].format('fill="none" stroke="var(--paper)" stroke-width="1.3"', 'fill="var(--paper)"')
        lines.append(
            f'<pattern id="w-{one.texture}-{one.colour}" width="8" height="8" patternUnits="userSpaceOnUse">'
            f'<rect width="8" height="8" fill="var(--{one.colour})"/>{tile}</pattern>'
        )
    # Not `display: none`: what is not rendered at all gives no patterns in some browsers.
    return (
        '<svg width="0" height="0" style="position:absolute" aria-hidden="true" focusable="false">'
        f"<defs>{''.join(lines)}</defs></svg>"
    )


def number(value: float) -> str:
    """A coordinate: at most two decimals."""
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


class Plot:
    """One chart. height: pixels of the drawing itself; left, right, top, bottom: pixels for what stands around it.

    labels: ticks of the x axis get their labels; False where the plot below has them. What is drawn first lies lower,
    within: bands, grid, bars, paths, and on top rules, marks and texts.
    """

    def __init__(
        self,
        x: Axis,
        y: Axis,
        *,
        height: int = 140,
        left: int = 54,
        right: int = 14,
        top: int = 8,
        bottom: int = 24,
        labels: bool = True,
        grid: bool = True,
    ) -> None:
        self.x, self.y, self.height = x, y, height
        self.left, self.right, self.top = left, right, top + (16 if y.title else 0)
        self.bottom = (bottom if labels else 4) + (16 if labels and x.title else 0)
        self.links = False
        self._under: list[str] = []
        self._bars: list[str] = []
        self._paths: list[str] = []
        self._over: list[str] = []
        self._frame = self._axes(labels, grid)

    # --- where ----------------------------------------------------------------------------------------------------

    def _px(self, value: float) -> str:
        return f"{number(100 * self.x.share(value))}%"

    def _py(self, value: float) -> float:
        return self.height * (1 - self.y.share(value))

    def _ix(self, value: float) -> str:
        return number(INNER * self.x.share(value))

    def _iy(self, value: float) -> str:
        return number(self._py(value))

    # --- what -----------------------------------------------------------------------------------------------------

    def stack(self, layers: Sequence[tuple[Look, str]], rows: Sequence[Row]) -> None:
        """Surfaces of steps upon each other; the value of a layer is the row's of the same place. Each: look, title."""
        for index in range(len(layers) - 1, -1, -1):
            style, title = layers[index]
            sums = [(row[0], sum(row[1 : index + 1]), sum(row[1 : index + 2])) for row in rows]
            self.between(sums, style, title)

    def between(self, rows: Sequence[Row], style: Look, title: str = "", *, stepped: bool = True) -> None:
        """The surface from each row's first value to its second: a layer, or a band between two bounds."""
        merged = _merged(rows) if stepped else list(rows)
        if not merged or all(row[1] == row[2] for row in merged):
            return
        there, back = [], []
        for index, row in enumerate(merged):
            begin = self._ix(row[0])
            last = index == len(merged) - 1
            if stepped:
                end = self._ix(self.x.high) if last else self._ix(merged[index + 1][0])
                there.append(f"{begin} {self._iy(row[2])}H{end}")
                back.append(f"{end} {self._iy(row[1])}H{begin}")
            else:
                there.append(f"{begin} {self._iy(row[2])}")
                back.append(f"{begin} {self._iy(row[1])}")
        path = f"M{'L'.join(there)}L{'L'.join(reversed(back))}Z"
        self._paths.append(f'<path d="{path}" fill="{style.fill}">{_title(title)}</path>')

    def step(self, rows: Sequence[Row], style: Look, title: str = "", *, until: float | None = None) -> None:
        """A line of steps over the first value of each row. until: where the last one ends; the axis' end otherwise."""
        merged = _merged([row[:2] for row in rows])
        if not merged:
            return
        first, *rest = merged
        steps = "".join(f"H{self._ix(at)}V{self._iy(value)}" for at, value in rest)
        end = self._ix(self.x.high if until is None else until)
        path = f"M{self._ix(first[0])} {self._iy(first[1])}{steps}H{end}"
        self._paths.append(f'<path d="{path}" {style.stroke}>{_title(title)}</path>')

    def line(self, rows: Sequence[Row], style: Look, title: str = "") -> None:
        """A line from point to point."""
        if points := "L".join(f"{self._ix(row[0])} {self._iy(row[1])}" for row in rows):
            self._paths.append(f'<path d="M{points}" stroke-linejoin="round" {style.stroke}>{_title(title)}</path>')

    def band(self, begin: float, end: float, style: Look, title: str = "", *, opacity: float = 0.18) -> None:
        """A span of x over the whole height, behind everything; never so short that it is not seen."""
        low, high = max(begin, self.x.low), min(end, self.x.high)
        if low <= high:
            edge = f'stroke="var(--{style.colour})"' if style.texture == "plain" else ""
            span = f'x="{self._px(low)}" width="{number(100 * (self.x.share(high) - self.x.share(low)))}%"'
            self._under.append(
                f'<rect {span} y="0" height="{self.height}" fill="{style.fill}" opacity="{opacity:g}" {edge}>'
                f"{_title(title)}</rect>"
            )

    def bar(
        self,
        begin: float,
        end: float,
        low: float,
        high: float,
        style: Look,
        title: str = "",
        *,
        href: str = "",
        least: bool = False,
    ) -> None:
        """A rectangle: from `begin` to `end` of the x axis, `low` to `high` of the y axis. least: however short, it is
        seen, with an edge of its own colour."""
        left, right = sorted((max(begin, self.x.low), min(end, self.x.high)))
        upper, lower = sorted((self._py(low), self._py(high)))
        edge = f' stroke="var(--{style.colour})" stroke-width="1.5"' if least else ""
        width = 100 * (self.x.share(right) - self.x.share(left))
        self._bars.append(
            self._link(
                href,
                f'<rect x="{self._px(left)}" width="{number(width)}%" y="{number(upper)}" '
                f'height="{number(lower - upper)}" fill="{style.fill}"{edge}>{_title(title)}</rect>',
            )
        )

    def rule(
        self, *, x: float | None = None, y: float | None = None, style: Look, title: str = "", label: str = ""
    ) -> None:
        """A line through the whole chart at one x or one y; its label at its upper or right end."""
        if x is not None:
            place = f'x1="{self._px(x)}" x2="{self._px(x)}" y1="0" y2="{self.height}"'
            self.text(x, self.y.high, label, anchor="end" if self.x.share(x) > 0.8 else "start", dx=4, dy=11)
        elif y is not None:
            place = f'x1="0" x2="100%" y1="{self._iy(y)}" y2="{self._iy(y)}"'
            self.text(self.x.high, y, label, anchor="end", dy=-4)
        else:
            raise ValueError("a rule stands at an x or at a y")
        self._over.append(f"<line {place} {style.stroke}>{_title(title)}</line>")

    def mark(
        self,
        x: float,
        y: float,
        style: Look,
        title: str = "",
        *,
        label: str = "",
        href: str = "",
        ident: str = "",
        size: float = 5,
        anchor: Literal["start", "middle", "end"] | None = None,
        dy: float = 4,
    ) -> None:
        """A sign at one point, with a label beside it. href: what it leads to; ident: anchor of its own.

        anchor: on which side the label stands (start: to the right); where there is room, if left out."""
        left, top = self._px(x), self._iy(y)
        side = anchor or ("end" if self.x.share(x) > 0.75 else "start")
        name = f' id="{escape(ident)}"' if ident else ""
        text = ""
        if label:
            dx = {"start": size + 4, "end": -size - 4, "middle": 0.0}[side]
            text = _text(left, self._py(y), label, side, dx, dy, "h")
        # Percent and pixels together: a nested drawing of no size stands at the point, and the sign around its corner.
        sign = f'<svg x="{left}" y="{top}" style="overflow:visible" width="1" height="1">{_sign(style, size)}</svg>'
        self._over.append(self._link(href, f"<g{name}>{_title(title)}{sign}{text}</g>"))

    def text(
        self,
        x: float,
        y: float,
        words: str,
        *,
        anchor: Literal["start", "middle", "end"] = "start",
        dx: float = 0,
        dy: float = 4,
        bold: bool = False,
        level: int = 0,
    ) -> None:
        """Words at a point, with a rim of paper, so that lines do not cross them. level: as of a tick."""
        if words:
            kind = f"h{' b' if bold else ''}{f' l{level}' if level else ''}"
            self._over.append(_text(self._px(x), self._py(y), words, anchor, -dx if anchor == "end" else dx, dy, kind))

    # --- the whole ------------------------------------------------------------------------------------------------

    def draw(self, ident: str, title: str, description: str = "") -> str:
        """The chart for a page. ident: unique in it; title and description: what somebody who sees nothing is told."""
        full = self.top + self.height + self.bottom
        return (
            f'<div class="plot" style="padding:0 {self.right}px 0 {self.left}px">'
            f'<svg width="100%" height="{full}" {self._head(ident, title, description)}{self._body()}</svg></div>'
        )

    def image(self, title: str, description: str = "", *, width: int = 920, looks: Sequence[Look] = SERIES) -> str:
        """The chart as a file of its own. looks: whose textures it uses."""
        full = self.top + self.height + self.bottom
        inside = width - self.left - self.right
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" class="plot" viewBox="0 0 {width} {full}" width="{width}" '
            f'height="{full}" {self._head("chart", title, description)}<style>{STYLE}</style>'
            f'<rect width="{width}" height="{full}" fill="var(--paper)"/>{textures(looks)}'
            f'<svg x="{self.left}" width="{inside}" height="{full}" style="overflow:visible">{self._body()}</svg>'
            "</svg>\n"
        )

    def _head(self, ident: str, title: str, description: str) -> str:
        # An image has no links for those who cannot see it; a group has.
        role = "group" if self.links else "img"
        ids = f"{ident}-t {ident}-d" if description else f"{ident}-t"
        told = f'<desc id="{ident}-d">{escape(description)}</desc>' if description else ""
        return f'role="{role}" aria-labelledby="{ids}"><title id="{ident}-t">{escape(title)}</title>{told}'

    def _body(self) -> str:
        paths = "".join(self._paths)
        drawing = (
            f'<svg width="100%" height="{self.height}" viewBox="0 0 {INNER:g} {self.height}" '
            f'preserveAspectRatio="none">{paths}</svg>'
        )
        inside = f"{''.join(self._under)}{self._frame}{''.join(self._bars)}{drawing if paths else ''}"
        return f'<svg y="{self.top}" style="overflow:visible">{inside}{"".join(self._over)}</svg>'

    def _axes(self, labels: bool, grid: bool) -> str:
        parts = []
        for tick in self.y.ticks:
            y = self._py(tick.value)
            if grid:
                parts.append(f'<line class="g" x1="0" x2="100%" y1="{number(y)}" y2="{number(y)}"/>')
            parts.append(_text("0", y, tick.label, "end", -6, 4, _kind(tick)))
        for tick in self.x.ticks:
            x, share = self._px(tick.value), self.x.share(tick.value)
            if grid:
                # Not `l1` on the line: the grid stays where a label has no room.
                parts.append(f'<line class="g" x1="{x}" x2="{x}" y1="0" y2="{self.height + (4 if labels else 0)}"/>')
            if labels:
                side = "start" if share < 0.02 else "end" if share > 0.98 else "middle"
                label = _text(x, self.height + 17, tick.label, side, 0, 0, _kind(tick))
                parts.append(self._link(tick.href, label))
        parts.append(f'<line class="x" x1="0" x2="100%" y1="{self.height}" y2="{self.height}"/>')
        if self.y.title:
            parts.append(_text("0", -8, self.y.title, "start", -self.left + 2, 0, "t"))
        if labels and self.x.title:
            parts.append(_text("100%", self.height + 33, self.x.title, "end", 0, 0, "t"))
        return "".join(parts)

    def _link(self, href: str, inner: str) -> str:
        if not href:
            return inner
        self.links = True
        return f'<a href="{escape(href)}">{inner}</a>'


def _kind(tick: Tick) -> str:
    return f"l{tick.level}" if tick.level else ""


def _text(x: str, y: float, words: str, anchor: str, dx: float, dy: float, kind: str) -> str:
    shift = f' dx="{number(dx)}"' if dx else ""
    side = f' text-anchor="{anchor}"' if anchor != "start" else ""
    name = f' class="{kind}"' if kind else ""
    return f'<text x="{x}" y="{number(y + dy)}"{shift}{side}{name}>{escape(words)}</text>'


def _title(words: str) -> str:
    return f"<title>{escape(words)}</title>" if words else ""


def _merged(rows: Sequence[Row]) -> list[Row]:
    """Without rows that change nothing, and with the last of several at one place."""
    found: list[Row] = []
    for row in rows:
        if found and found[-1][0] == row[0]:
            found.pop()
        if not found or found[-1][1:] != row[1:]:
            found.append(row)
    return found


def _sign(style: Look, size: float) -> str:
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
        sign = f'<rect width="22" height="12" fill="{style.fill}" stroke="var(--{style.colour})"/>'
    elif kind == "line":
        sign = f'<path d="M0 6H22" {style.stroke}/>'
    else:
        sign = f'<g transform="translate(11 6)">{_sign(style, 5)}</g>'
    return f'<svg width="22" height="12" aria-hidden="true" focusable="false">{sign}</svg>'
