"""A table of texts in a given width: columns that make it shortest, long values folded at their joints."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import product
from typing import Final

from rich.cells import cell_len, chop_cells

GAP: Final = 2
NARROWEST: Final = 40
"""Columns of a terminal below which lines are left to the terminal."""
_LEAST: Final = 8
"""Columns that a column of folded texts has at least."""
_JOINT: Final = re.compile(r"(?<=[\w.})\]-]/)(?=[^/\s])|(?<=,)(?=\S)")
"""Where a word too long for its column is folded: after / (but not in s3:// or before a path) and after a comma."""
_SECOND: Final = re.compile(r"(?<=[-:_=.;])(?=\w)")
"""Where a part without joints is: after the marks inside names."""
_MID_WORD: Final = 5.0
_AT_JOINT: Final = 0.3
"""What a fold costs beside the line that it makes: rather a line more than a word cut in two."""


def fold(text: str, width: int) -> list[str]:
    """The text in lines of at most `width` columns: between words, else at the joints of a word, else inside it."""
    return _folded(" ".join(text.split()), width)[0]


@cache
def _folded(text: str, width: int) -> tuple[list[str], float]:
    """The lines, and what the folds cost."""
    lines, cost = [""], 0.0
    for word in text.split(" "):
        pieces = [word]
        if cell_len(word) > width:
            pieces = []
            for part in _JOINT.split(word):
                pieces += [part] if cell_len(part) <= width else list(_parts(part, width))
            cost += sum(_AT_JOINT if piece.endswith(("/", ",")) else _MID_WORD for piece in pieces[:-1])
        for number, piece in enumerate(pieces):
            space = " " if number == 0 and lines[-1] else ""
            if lines[-1] and cell_len(lines[-1] + space + piece) > width:
                lines.append(piece)
            else:
                lines[-1] += space + piece
    return lines, cost


def _parts(text: str, width: int) -> Iterator[str]:
    for part in _SECOND.split(text):
        yield from [part] if cell_len(part) <= width else chop_cells(part, width)


def layout(rows: Sequence[Sequence[str]], width: int) -> list[list[list[str]]]:
    """Each row's cells as lines. The first column keeps its width, and so does all that fits; rows have at most four.

    The widths of the others are those with the fewest lines, a fold inside a word counting as many.
    """
    columns = [list(column) for column in zip(*rows, strict=True)]
    natural = [max(cell_len(cell) for cell in column) for column in columns]
    room = max(width, NARROWEST) - natural[0] - GAP * (len(columns) - 1)
    if sum(natural[1:]) <= room:
        return [[[cell] for cell in row] for row in rows]
    least = [min(each, _LEAST) for each in natural[1:]]
    best: tuple[float, tuple[int, ...]] | None = None
    ranges = [range(low, min(high, room) + 1) for low, high in zip(least[:-1], natural[1:-1], strict=True)]
    for chosen in product(*ranges):
        last = min(room - sum(chosen), natural[-1])
        if last < least[-1]:
            continue
        widths = (*chosen, last)
        cost = _cost(columns[1:], widths, best[0] if best else float("inf"))
        if best is None or cost < best[0]:
            best = cost, widths
    widths = best[1] if best else tuple(least)
    return [[[row[0]], *(_folded(cell, w)[0] for cell, w in zip(row[1:], widths, strict=True))] for row in rows]


def _cost(columns: Sequence[Sequence[str]], widths: Sequence[int], limit: float) -> float:
    """Lines of the table, and what folds inside words count; no more than `limit` is worth knowing."""
    cost = 0.0
    for row in zip(*columns, strict=True):
        height = 1
        for cell, width in zip(row, widths, strict=True):
            if len(cell) > width or not cell.isascii():
                lines, folds = _folded(cell, width)
                height = max(height, len(lines))
                cost += folds
        cost += height
        if cost >= limit:
            break
    return cost


def rendered(rows: Sequence[Sequence[str]], width: int) -> list[str]:
    """The lines of a table, without blanks at their ends."""
    cells = layout([[" ".join(cell.split()) for cell in row] for row in rows], width)
    widths = [max(cell_len(line) for cell in column for line in cell) for column in zip(*cells, strict=True)]
    found = []
    for row in cells:
        for number in range(max(map(len, row))):
            parts = [cell[number] if number < len(cell) else "" for cell in row]
            line = "".join(part + " " * (w - cell_len(part) + GAP) for part, w in zip(parts, widths, strict=True))
            found.append(line.rstrip())
    return found
