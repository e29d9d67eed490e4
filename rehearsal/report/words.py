"""How a report writes figures: money with its currency, spans of time, moments of the play."""

from __future__ import annotations

import math
from datetime import datetime, timedelta

from rehearsal.changes import MONTH
from rehearsal.result import Incident
from spillway.axes import DAY, HOUR, MINUTE, percent

NONE = "–"
"""Where there is no figure."""


def usd(value: float | None, *, sign: bool = False) -> str:
    """`USD 12,345`, with cents below a hundred; an en dash where nothing has a price. sign: `+USD 12` too."""
    if value is None or not math.isfinite(value):
        return NONE
    text = f"USD {abs(value):,.0f}" if abs(value) >= 100 else f"USD {abs(value):,.2f}"
    if text in ("USD 0.00", "USD 0"):
        return "USD 0"
    return f"{'−' if value < 0 else '+' if sign else ''}{text}"


def monthly(value: float | None, seconds: float) -> float | None:
    """What an amount of so many seconds comes to in a month of 730 h."""
    return None if value is None or seconds <= 0 else value * MONTH * HOUR / seconds


def month_hours(share: float) -> float:
    """Hours of a month of 730 h."""
    return share * MONTH


def hours(value: float) -> str:
    """`50.5 h`, `0.4 h`: to be compared, so never in days or minutes."""
    return f"{value:,.1f} h" if value >= 0.05 or value == 0 else f"{value:.3f} h"


def extra(value: float) -> str:
    """`for USD 300 more a month`, `and saves USD 300 a month`."""
    if abs(value) < 0.005:
        return "for the same money"
    return f"for {usd(value)} more a month" if value > 0 else f"and saves {usd(-value)} a month"


def share(value: float | None) -> str:
    """`41 %`: of money and requests; availabilities have `spillway.axes.percent`."""
    if value is None or not math.isfinite(value):
        return NONE
    if value == 0 or value >= 1 or 0.1 <= abs(value) < 0.995:
        return f"{100 * value:.0f} %"
    return percent(value)


def points(value: float) -> str:
    """A difference of shares: `+1.20 points`."""
    digits = 2 if abs(value) >= 1e-4 or value == 0 else 4
    text = f"{100 * abs(value):.{digits}f}"
    return f"{'' if float(text) == 0 else '−' if value < 0 else '+'}{text}"


def duration(seconds: float) -> str:
    """`45 s`, `2 min 5 s`, `12 min`, `3 h 10 min`, `2 d 4 h`: two units at most, rounded."""
    if 10 * MINUTE <= seconds < HOUR:
        seconds = round(seconds / MINUTE) * MINUTE
    if seconds < 0.5:
        return "0 s" if seconds <= 0 else "< 1 s"
    if seconds < 2 * MINUTE:
        return f"{seconds:.0f} s"
    for limit, large, small, names in ((HOUR, MINUTE, 1.0, ("min", "s")), (DAY, HOUR, MINUTE, ("h", "min"))):
        if seconds < limit - small / 2:
            units = round(seconds / small)
            whole, rest = divmod(units, round(large / small))
            return f"{whole} {names[0]}" + (f" {rest} {names[1]}" if rest else "")
    whole, rest = divmod(round(seconds / HOUR), 24)
    return f"{whole} d" + (f" {rest} h" if rest else "")


def date(when: datetime) -> str:
    """`Sat 4 Oct 2025`."""
    return f"{when:%a} {when.day} {when:%b %Y}"


def stamp(begin: datetime, at: float) -> str:
    """`Tue 7 Oct 14:34`: second 0 is `begin`, in UTC."""
    when = begin + timedelta(seconds=at)
    return f"{when:%a} {when.day} {when:%b} {when:%H:%M}"


def second(begin: datetime, at: float) -> str:
    """`14:34:28`."""
    return f"{begin + timedelta(seconds=at):%H:%M:%S}"


def lasted(one: Incident, end: float) -> str:
    """How long an incident was; to the end of the play where it has none."""
    return f"{duration(end - one.at)}, to the end" if one.until is None else duration(one.until - one.at)


def count(number: float, noun: str, many: str = "") -> str:
    """`1 region`, `3 regions`."""
    text = f"{number:,.0f}"
    return f"{text} {noun if text == '1' else many or noun + 's'}"


def listed(words: list[str] | tuple[str, ...], most: int = 6) -> str:
    """`a, b and 3 more`."""
    shown = list(words[:most])
    return ", ".join(shown) + (f" and {len(words) - most} more" if len(words) > most else "")
