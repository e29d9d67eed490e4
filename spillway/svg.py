"""Charts as inline SVG: no script, nothing fetched, readable on a phone, on paper and without colours.

A `Plot` is as wide as what it stands in: x is in percent of its width, y in pixels, so letters and lines keep their
size at every width. Several plots below each other with the same x axis share their ticks. Colours come from CSS
variables, so that a page is light or dark; each colour has a texture of its own (`spillway.looks`, `spillway.page`).
`image` makes a file of one plot that stands alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Final, Literal

from spillway.axes import Axis, Row, Tick
from spillway.looks import STYLE, Look, number, sign, textures

TYPICAL: Final = 620.0
"""Pixels of a chart's width for which labels are placed."""
INNER: Final = 1000.0
"""Units across the drawing of paths, which is stretched to the width that there is."""


@dataclass(frozen=True, slots=True)
class _Mark:
    """x: share of the width; y: pixels from above."""

    x: float
    y: float
    style: Look
    title: str
    label: str
    href: str
    ident: str
    size: float


_Box = tuple[float, float, float, float]
_Side = tuple[Literal["start", "middle", "end"], float, float]
_SIDES: Final[tuple[_Side, ...]] = (("start", 1, 0), ("end", -1, 0), ("middle", 0, -1), ("middle", 0, 1))
"""Where a label stands: its anchor, and which way it is moved."""


def _box(one: _Mark, side: _Side) -> _Box:
    """Left, upper, right and lower edge of a label, in pixels of a chart of usual width."""
    anchor, dx, dy = side
    width = 6.5 * len(one.label)
    x = TYPICAL * one.x + dx * (one.size + 4) - {"start": 0.0, "middle": width / 2, "end": width}[anchor]
    y = one.y + dy * (one.size + 9)
    return x, y - 7, x + width, y + 7


def _overlap(one: _Box, other: _Box) -> float:
    wide = min(one[2], other[2]) - max(one[0], other[0])
    high = min(one[3], other[3]) - max(one[1], other[1])
    return wide * high if wide > 0 and high > 0 else 0.0


def _outside(height: float) -> tuple[_Box, ...]:
    """What is beside, above and below the drawing."""
    far = 10_000.0
    return (
        (-far, -far, 0.0, far),
        (TYPICAL, -far, far, far),
        (-far, -far, far, -10.0),
        (-far, height - 1.0, far, far),
    )


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
        self.left, self.right, self.top = left, right, top + (20 if y.title else 0)
        self.bottom = (bottom if labels else 4) + (16 if labels and x.title else 0)
        self.links = False
        self._under: list[str] = []
        self._bars: list[str] = []
        self._paths: list[str] = []
        self._over: list[str] = []
        self._marks: list[_Mark] = []
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

    def between(
        self, rows: Sequence[Row], style: Look, title: str = "", *, stepped: bool = True, opacity: float = 1.0
    ) -> None:
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
        faint = f' opacity="{opacity:g}"' if opacity < 1 else ""
        self._paths.append(f'<path d="{path}" fill="{style.fill}"{faint}>{_title(title)}</path>')

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
            self._under.append(self._span(low, high, 0, self.height, style, title, f' opacity="{opacity:g}"', True))

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
        seen."""
        left, right = sorted((begin, end))
        left, right = max(left, self.x.low), min(right, self.x.high)
        if left > right:
            return
        upper, lower = sorted((self._py(low), self._py(high)))
        self._bars.append(self._link(href, self._span(left, right, upper, lower, style, title, "", least)))

    def _span(
        self, left: float, right: float, upper: float, lower: float, style: Look, title: str, more: str, least: bool
    ) -> str:
        """A rectangle; where it has to be seen and is too short for one, a line."""
        width = 100 * (self.x.share(right) - self.x.share(left))
        if least and width < 0.25:
            x = number(100 * self.x.share((left + right) / 2))
            place = f'x1="{x}%" x2="{x}%" y1="{number(upper)}" y2="{number(lower)}"'
            return f'<line {place} stroke="var(--{style.colour})" stroke-width="2"{more}>{_title(title)}</line>'
        place = f'x="{self._px(left)}" width="{number(width)}%" y="{number(upper)}" height="{number(lower - upper)}"'
        return f'<rect {place} fill="{style.fill}"{more}>{_title(title)}</rect>'

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
    ) -> None:
        """A sign at one point, with a label where it covers no other sign or label. href: what it leads to; ident:
        anchor of its own."""
        self.links = self.links or bool(href)
        self._marks.append(_Mark(self.x.share(x), self._py(y), style, title, label, href, ident, size))

    def _signs(self) -> str:
        """Marks with their labels: each to the right, to the left, above or below, where there is most room."""
        taken = [(TYPICAL * one.x - 6, one.y - 6, TYPICAL * one.x + 6, one.y + 6) for one in self._marks]
        parts = []
        for one in self._marks:
            left, text = f"{number(100 * one.x)}%", ""
            if one.label:
                boxes = [(_box(one, side), side) for side in _SIDES]
                box, (anchor, dx, dy) = min(
                    boxes, key=lambda pair: sum(_overlap(pair[0], other) for other in [*taken, *_outside(self.height)])
                )
                taken.append(box)
                text = _text(left, one.y, one.label, anchor, dx * (one.size + 4), 4 + dy * (one.size + 9), "h")
            name = f' id="{escape(one.ident)}"' if one.ident else ""
            # Percent and pixels together: a nested drawing stands at the point, and the sign around its corner.
            place = f'x="{left}" y="{number(one.y)}" style="overflow:visible" width="1" height="1"'
            drawn = f"<svg {place}>{sign(one.style, one.size)}</svg>"
            parts.append(self._link(one.href, f"<g{name}>{_title(one.title)}{drawn}{text}</g>"))
        return "".join(parts)

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

    def image(self, title: str, description: str = "", *, width: int = 920) -> str:
        """The chart as a file of its own."""
        full = self.top + self.height + self.bottom
        inside, body = width - self.left - self.right, self._body()
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" class="plot" viewBox="0 0 {width} {full}" width="{width}" '
            f'height="{full}" {self._head("chart", title, description)}<style>{STYLE}</style>'
            f'<rect width="{width}" height="{full}" fill="var(--paper)"/>{textures(body)}'
            f'<svg x="{self.left}" width="{inside}" height="{full}" style="overflow:visible">{body}</svg>'
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
        return f'<svg y="{self.top}" style="overflow:visible">{inside}{"".join(self._over)}{self._signs()}</svg>'

    def _axes(self, labels: bool, grid: bool) -> str:
        parts = []
        for tick in self.y.ticks:
            y = self._py(tick.value)
            if grid:
                parts.append(f'<line class="g" x1="0" x2="100%" y1="{number(y)}" y2="{number(y)}"/>')
            parts.append(_text("0", y, tick.label, "end", -6, 4, _kind(tick)))
        crowded = len(self.x.ticks) > 5 and not any(tick.level for tick in self.x.ticks)
        for index, tick in enumerate(self.x.ticks):
            x, share = self._px(tick.value), self.x.share(tick.value)
            if grid:
                # Not `l1` on the line: the grid stays where a label has no room.
                parts.append(f'<line class="g" x1="{x}" x2="{x}" y1="0" y2="{self.height + (4 if labels else 0)}"/>')
            if labels:
                side = "end" if share > 0.98 and self.right < 30 else "middle"
                kind = "l1" if crowded and index % 2 else _kind(tick)
                label = _text(x, self.height + 17, tick.label, side, 0, 0, kind)
                parts.append(self._link(tick.href, label))
        parts.append(f'<line class="x" x1="0" x2="100%" y1="{self.height}" y2="{self.height}"/>')
        if self.y.title:
            parts.append(_text("0", -12, self.y.title, "start", -self.left + 2, 0, "t"))
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
