"""Axes of a chart: where a value stands between 0 and 1, which values get a tick, and how numbers are written.

Series are steps: (at, value, ...), each row valid until the next. `window` cuts them, `thin` drops what no pixel shows.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

Scale = Literal["linear", "log", "nines"]
Row = tuple[float, ...]
"""(at, value, ...)."""

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
TIME_STEPS: Final = (
    10.0, 30.0, MINUTE, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE, 15 * MINUTE, 30 * MINUTE, HOUR, 2 * HOUR, 3 * HOUR,
    6 * HOUR, 12 * HOUR, DAY, 2 * DAY, 7 * DAY, 14 * DAY, 28 * DAY, 91 * DAY, 364 * DAY,
)  # fmt: skip
"""Seconds between two ticks of time; people count in these."""
NINES: Final = (0.0, 0.5, 0.9, 0.95, 0.99, 0.995, 0.999, 0.9995, 0.9999, 0.99999)
"""Shares with a tick on an axis of nines, where a share stands at -log10 of what it lacks."""
FEW, SOME = 4, 8
"""Labels that a phone and that a tablet has room for; see `Tick.level`."""


@dataclass(frozen=True, slots=True)
class Tick:
    """level: 0 has its label at every width, 1 from a tablet on, 2 only on a wide page. href: makes it a link."""

    value: float
    label: str
    level: int = 0
    href: str = ""


@dataclass(frozen=True, slots=True)
class Axis:
    """From `low` to `high`, both in the data's unit. title: what it is, with its unit."""

    low: float
    high: float
    ticks: tuple[Tick, ...]
    scale: Scale = "linear"
    title: str = ""

    def share(self, value: float) -> float:
        """Where a value stands, 0 to 1; beyond the ends never farther than one length, so that no path gets absurd."""
        low, high, here = (_scaled(self.scale, one) for one in (self.low, self.high, self._inside(value)))
        return min(max((here - low) / (high - low), -1.0), 2.0) if high > low else 0.0

    def _inside(self, value: float) -> float:
        if self.scale == "linear":
            return value
        return min(max(value, self.low), self.high)  # a logarithm of what lies beyond may not exist


def _scaled(scale: Scale, value: float) -> float:
    if scale == "log":
        return math.log10(value)
    if scale == "nines":
        return -math.log10(1 - value)
    return value


# --- numbers ----------------------------------------------------------------------------------------------------------


def plain(value: float) -> str:
    """`1,250`, `0.4`: at most three significant decimals, no zeros at the end."""
    if value == 0 or not math.isfinite(value):
        return "0" if value == 0 else str(value)
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    text = f"{value:,.{digits}f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text).replace("-", "−")


def compact(value: float) -> str:
    """`950`, `1.5k`, `20M`, `3B`."""
    for unit, letter in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= unit:
            return f"{plain(value / unit)}{letter}"
    return plain(value)


def percent(share: float) -> str:
    """`97.2 %`: as many decimals as the nines need; never 100 % or 0 % unless it is."""
    if not math.isfinite(share):
        return "–"
    edge = min(abs(share), abs(1 - share))
    digits = 2 if edge == 0 else min(6, max(2, -math.floor(math.log10(100 * edge) + 1e-9)))
    text = f"{100 * share:.{digits}f}"
    if share < 1 and float(text) >= 100:
        text = f"{100 - 10**-digits:.{digits}f}"
    elif share > 0 and float(text) == 0:
        text = f"{10**-digits:.{digits}f}"
    return f"{text} %"


# --- axes -------------------------------------------------------------------------------------------------------------


def nice_step(span: float, most: int) -> float:
    """The smallest of 1, 2, 2.5 or 5 times a power of ten that cuts `span` into at most `most` pieces."""
    if span <= 0 or most < 1:
        return 1.0
    power = 10.0 ** math.floor(math.log10(span / most))
    return next(step * power for step in (1, 2, 2.5, 5, 10) if span / (step * power) <= most + 1e-9)


def linear(
    values: Iterable[float],
    *,
    most: int = 5,
    zero: bool = True,
    whole: bool = False,
    form: Callable[[float], str] = plain,
    title: str = "",
) -> Axis:
    """Wide enough for the values, from tick to tick. zero: it begins at 0. whole: only whole numbers get a tick."""
    known = [value for value in values if math.isfinite(value)] or [0.0]
    low, high = min(known), max(known)
    if zero:
        low, high = min(low, 0.0), max(high, 0.0)
    if high - low < 1e-300:  # nothing, or what no logarithm can take
        high = low + (abs(low) if abs(low) > 1e-300 else 1.0)
    step = nice_step(high - low, most)
    if whole:
        step = max(1.0, math.ceil(step))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    ticks = tuple(Tick(round(number * step, 12), form(round(number * step, 12))) for number in range(first, last + 1))
    return Axis(first * step, last * step, ticks, title=title)


def logarithmic(
    values: Iterable[float], *, form: Callable[[float], str] = compact, most: int = 8, title: str = ""
) -> Axis:
    """For values above 0, others are left out: from a 1, 2 or 5 times a power of ten to another; ticks at the powers,
    and at the 2s and 5s where there are few."""
    known = [value for value in values if value > 0 and math.isfinite(value)] or [1.0, 10.0]
    low, high = _down(min(known)), _up(max(known))
    if high <= low:
        high = low * 10
    decades = range(math.floor(math.log10(low) + 1e-9), math.ceil(math.log10(high) - 1e-9) + 1)
    every = max(1, math.ceil(len(decades) / most))
    fine = len(decades) <= most // 2
    ticks = []
    for index, decade in enumerate(decades):
        if index % every == 0:
            ticks.append(Tick(10.0**decade, form(10.0**decade)))
        if fine:
            ticks += [Tick(times * 10.0**decade, form(times * 10.0**decade), 1) for times in (2, 5)]
    inside = tuple(one for one in ticks if low * (1 - 1e-9) <= one.value <= high * (1 + 1e-9))
    return Axis(low, high, inside, "log", title)


def _down(value: float) -> float:
    power = 10.0 ** math.floor(math.log10(value) + 1e-12)
    return next(times * power for times in (5, 2, 1) if times * power <= value * (1 + 1e-12))


def _up(value: float) -> float:
    power = 10.0 ** math.floor(math.log10(value) + 1e-12)
    return next(times * power for times in (1, 2, 5, 10) if times * power >= value * (1 - 1e-12))


def nines(shares: Iterable[float], *, title: str = "") -> Axis:
    """For shares of one: 90 %, 99 % and 99.9 % stand equally far from each other. 1 stands at the upper end."""
    known = [min(max(share, 0.0), 1.0) for share in shares] or [0.5]
    lower = max((one for one in NINES if one < min(known)), default=NINES[0])
    best = max((one for one in known if one < 1), default=lower)
    upper = next((one for one in NINES if one > best), NINES[-1])
    if max(known) >= 1 and upper < NINES[-1]:  # what is never short stands above all that is
        upper = next(one for one in NINES if one > upper)
    ticks = tuple(Tick(one, f"{100 * one:g} %") for one in NINES if lower <= one <= upper)
    return Axis(lower, upper, ticks, "nines", title)


def names(labels: Sequence[str], *, title: str = "") -> Axis:
    """A row for each label, the first at the end of the axis (on a vertical one: on top); row i is `slot(i)`."""
    count = len(labels)
    ticks = tuple(Tick(count - index - 0.5, label) for index, label in enumerate(labels))
    return Axis(0.0, float(max(count, 1)), ticks, title=title)


def slot(axis: Axis, index: int, share: float = 0.7) -> tuple[float, float]:
    """From where to where row `index` of `names` goes. share: of the row that is filled."""
    middle = axis.high - index - 0.5
    return middle - share / 2, middle + share / 2


def times(
    begin: datetime,
    low: float,
    high: float,
    *,
    most: int = 16,
    href: Callable[[float], str] | None = None,
    title: str = "",
) -> Axis:
    """Seconds since `begin`, ticks at round hours and days of its clock. href: link of the tick at so many seconds."""
    span = max(high - low, 1.0)
    step = next((one for one in TIME_STEPS if span / one <= most), span)
    base = begin.replace(hour=0, minute=0, second=0, microsecond=0)
    if step >= 7 * DAY:
        base -= timedelta(days=base.weekday())
    offset = (begin - base).total_seconds()
    first = math.ceil((low + offset) / step - 1e-9)
    numbers = [one for one in range(first, first + int(span / step) + 2) if one * step - offset <= high - 0.02 * span]
    some = _every(len(numbers), SOME)
    few = some * _every(math.ceil(len(numbers) / some), FEW)
    ticks = []
    if not numbers or numbers[0] * step - offset - low > step / 2:
        near = next((one * step - offset for one in numbers if one % few == 0), high)
        label = moment(begin, low, DAY if span >= 2 * DAY else step)
        ticks.append(Tick(low, label, 0 if near - low > span / 8 else 2, href(low) if href else ""))
    for number in numbers:
        at = number * step - offset
        level = 0 if number % few == 0 else 1 if number % some == 0 else 2
        ticks.append(Tick(at, moment(begin, at, step), level, href(at) if href else ""))
    return Axis(low, high, tuple(ticks), title=title)


def _every(count: int, room: int) -> int:
    """How many ticks there are to one label, so that there are at most so many labels."""
    return next(one for one in (1, 2, 3, 4, 6, 8, 12, 24, count + 1) if math.ceil(count / one) <= room)


def moment(begin: datetime, at: float, step: float = MINUTE) -> str:
    """`4 Oct` at midnight or where steps are days, else `14:30`; with seconds where steps are shorter than a minute."""
    when = begin + timedelta(seconds=at)
    if step >= DAY or (when.hour, when.minute, when.second) == (0, 0, 0):
        return f"{when.day} {when:%b}"
    return f"{when:%H:%M:%S}" if step < MINUTE else f"{when:%H:%M}"


# --- series of steps --------------------------------------------------------------------------------------------------


def window(rows: Sequence[Row], low: float, high: float) -> list[Row]:
    """What is valid between two times: begins at `low` with what was valid there, or at the first row after it."""
    first = bisect_right(rows, low, key=_at)
    found = list(rows[first : bisect_left(rows, high, key=_at)])
    return [(low, *rows[first - 1][1:]), *found] if first and low < high else found


def _at(row: Row) -> float:
    return row[0]


def thin(rows: Sequence[Row], low: float, high: float, columns: int = 1000) -> list[Row]:
    """At most four rows in each of so many columns for each value: its first, last, least and greatest, so that the
    picture stays the same to the pixel (M4: Jugel et al., VLDB 2014, https://www.vldb.org/pvldb/vol7/p797-jugel.pdf).
    """
    if len(rows) <= 2 * columns or high <= low:
        return list(rows)
    keep: set[int] = {0, len(rows) - 1}
    begun = 0
    column = int((rows[0][0] - low) / (high - low) * columns)
    for index in range(1, len(rows) + 1):
        here = int((rows[index][0] - low) / (high - low) * columns) if index < len(rows) else -1
        if here == column:
            continue
        span = range(begun, index)
        keep |= {begun, index - 1}
        for value in range(1, len(rows[begun])):
            keep.add(min(span, key=lambda one: rows[one][value]))
            keep.add(max(span, key=lambda one: rows[one][value]))
        begun, column = index, here
    return [rows[index] for index in sorted(keep)]


def mean(rows: Sequence[Row], low: float, high: float, value: int = 1) -> float:
    """Of a column over time, as if it were 0 before its first row."""
    if high <= low:
        return 0.0
    cut = window(rows, low, high)
    ends = [*(row[0] for row in cut[1:]), high]
    return sum((end - row[0]) * row[value] for row, end in zip(cut, ends, strict=False)) / (high - low)
