"""The charts of a report of costs: each a figure for the page, with its words for who does not see it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Final

from cost.report import words
from cost.report.told import Told
from cost.result import Option, SpotZone, Tornado, UtilisationPoint
from spillway import axes, looks
from spillway.axes import Axis, Tick
from spillway.looks import SERIES, Look
from spillway.svg import Plot

TOTAL: Final = Look("ink")
COST: Final = Look("k1")
CREDIT: Final = Look("k3", "back")
CASH: Final = Look("k5")
BOOKS: Final = Look("ink", width=2)
BEST: Final = Look("soft", dash="2 3")
SPREAD: Final = Look("soft", "hatch")
HERE: Final = Look("soft", dash="5 4")
CROSSING: Final = Look("ink", shape="ring")
BEYOND: Final = Look("bad", shape="cross")
LOWER: Final = Look("k3", "back")
HIGHER: Final = Look("k2", "hatch")
SPOT: Final = Look("k1", shape="diamond")
SOLD_OUT: Final = Look("bad", shape="cross")
ON_DEMAND: Final = Look("k2", shape="square")
USED: Final = (*SERIES, TOTAL, CREDIT, CASH, LOWER, HIGHER, SPREAD)
"""Whose textures the page has to have."""
BAND: Final = 0.4
"""How strong a band is under its line."""
LETTER: Final = 13
"""Pixels from one letter to the next."""
ROW: Final = 22
"""Pixels of a row of names."""


class Charts:
    """Of one comparison; options keep their look and letter in all of them."""

    def __init__(self, known: Told) -> None:
        self.known, self.found = known, known.found
        self.look = {one.name: _look(index) for index, one in enumerate(self.found.options)}
        drawn = [point for one in self.found.options for point in one.curve]
        own = float(self.found.workload.tokens_day)
        low = min((float(one.tokens_day) for one in drawn), default=own / 10)
        high = max((float(one.tokens_day) for one in drawn), default=own * 10)
        self.traffic = axes.logarithmic((low, high), title="tokens a day")
        self.money = axes.logarithmic(
            [float(one.usd_day) for one in drawn], title=f"{self.found.currency} a day, levelised"
        )

    # --- cost against traffic -------------------------------------------------------------------------------------

    def overview(self) -> str:
        """Every option, with its letter where it ends; a ring where the cheapest of all changes."""
        plot = Plot(self.traffic, self.money, height=400, left=52, right=26)
        self._here(plot)
        for one in self.found.options:
            if one.curve:
                plot.line(self._points(one), self.look[one.name], one.title)
        self._letters(
            plot, [(one, float(one.curve[-1].tokens_day), float(one.curve[-1].usd_day)) for one in self.found.options
                   if one.curve]
        )  # fmt: skip
        for change in self.known.changes:
            told = f"{change.below} below {words.tokens(change.tokens_day)} tokens a day, {change.above} above"
            plot.mark(float(change.tokens_day), float(change.usd_day), CROSSING, told, size=6)
        ends = "; ".join(
            f"{self.known.letters[one.name]} {one.title}: {words.usd(one.curve[0].usd_day)} a day at "
            f"{words.tokens(one.curve[0].tokens_day)} tokens, {words.usd(one.curve[-1].usd_day)} at "
            f"{words.tokens(one.curve[-1].tokens_day)}"
            for one in self.found.options
            if one.curve
        )
        return plot.draw("traffic-all", "Cost against traffic, all options, both axes logarithmic", ends)

    def alone(self, option: Option) -> str:
        """One option with its P10 to P90, its limit and its crossings; the cheapest of all beside it."""
        plot = Plot(self.traffic, self.money, height=170, left=52, right=16)
        self._here(plot, label=False)
        look = self.look[option.name]
        rows = [(float(one.tokens_day), float(one.p10), float(one.p90)) for one in option.band]
        plot.between(rows, look, "P10 to P90", stepped=False, opacity=BAND)
        best = self.known.best
        if best and best is not option:
            plot.line(self._points(best), BEST, f"{best.title}, the cheapest at this workload")
        plot.line(self._points(option), look, option.title)
        for crossing in self.known.crossings(option):
            here = float(crossing.tokens_day)
            if not self.traffic.low <= here <= self.traffic.high:
                continue
            told = f"{crossing.below} below {words.tokens(crossing.tokens_day)} tokens a day, {crossing.above} above"
            if not crossing.feasible:
                told += f": not feasible, {crossing.why}"
            plot.mark(here, float(crossing.usd_day), CROSSING if crossing.feasible else BEYOND, told, size=4)
        limit = option.capacity_tokens_day
        last = option.curve[-1]
        if limit is not None and float(last.tokens_day) < self.traffic.high * 0.999:
            end = float(last.tokens_day)
            plot.rule(x=end, style=Look("bad", dash="3 2"), title="the most that its nodes can serve", label="limit")
        told = f"{words.usd(option.curve[0].usd_day)} a day at {words.tokens(option.curve[0].tokens_day)} tokens, "
        told += f"{words.usd(last.usd_day)} at {words.tokens(last.tokens_day)}"
        return plot.draw(f"traffic-{self.known.letters[option.name]}", f"{option.title}: cost against traffic", told)

    def _here(self, plot: Plot, *, label: bool = True) -> None:
        own = self.found.workload.tokens_day
        told = f"this workload: {words.tokens(own)} tokens a day"
        plot.rule(x=float(own), style=HERE, title=told, label="this workload" if label else "")

    def _points(self, option: Option) -> list[tuple[float, float]]:
        return [(float(one.tokens_day), float(one.usd_day)) for one in option.curve]

    def _letters(self, plot: Plot, ends: list[tuple[Option, float, float]]) -> None:
        """An option's sign and letter where its line ends: letters of lines that reach the right edge stand beside it,
        below each other."""
        right = [one for one in ends if plot.x.share(one[1]) > 0.97]
        for option, x, y in ends:
            told, label = option.title, ""
            if (option, x, y) not in right:
                label = self.known.letters[option.name]
                told += f": at most {words.tokens(option.curve[-1].tokens_day)} tokens a day"
            plot.mark(x, y, self.look[option.name], told, label=label, size=4)
        upper = float(-LETTER)
        places = []
        for option, _, y in sorted(right, key=lambda one: -one[2]):
            upper = max(upper + LETTER, plot.height * (1 - plot.y.share(y)))
            places.append((option, y, upper))
        over = max(0.0, upper - plot.height + 2)
        for option, y, at in places:
            moved = at - over - plot.height * (1 - plot.y.share(y))
            plot.text(plot.x.high, y, self.known.letters[option.name], dx=9, dy=4 + moved)

    # --- what it is made of ---------------------------------------------------------------------------------------

    def waterfall(self, option: Option) -> str:
        """From nothing to the total, a bar for each group."""
        bars = self.known.bars(option)
        total = float(option.levelised_month)
        edges, upto = [0.0], 0.0
        for _, usd in bars:
            upto += float(usd)
            edges.append(upto)
        labels = [name for name, _ in bars] + ["total"]
        y = axes.names(labels)
        x = axes.linear([*edges, max(edges) * 1.22], most=4, form=axes.compact, title=f"{self.found.currency} a month")
        wide = 12 + 6.9 * max(map(len, labels))
        plot = Plot(x, y, height=ROW * len(labels), left=int(min(wide, 190)), right=16, grid=False)
        for index, (name, usd) in enumerate(bars):
            begin, end = edges[index], edges[index + 1]
            low, high = axes.slot(y, index)
            told = f"{name}: {words.usd(usd)} a month"
            plot.bar(begin, end, low, high, COST if usd >= 0 else CREDIT, told, least=True)
            plot.text(max(begin, end), (low + high) / 2, words.figure(usd), dx=6)
        low, high = axes.slot(y, len(bars))
        plot.bar(0.0, total, low, high, TOTAL, f"total: {words.usd(option.levelised_month)} a month")
        plot.text(total, (low + high) / 2, words.figure(option.levelised_month), dx=6, bold=True)
        told = ", ".join(f"{name} {words.usd(usd)}" for name, usd in bars)
        told += f", together {words.usd(option.levelised_month)} a month"
        return plot.draw(
            f"made-{self.known.letters[option.name]}", f"{option.title}: what a month is made of, levelised", told
        )

    # --- how sure -------------------------------------------------------------------------------------------------

    def tornado(self, one: Tornado) -> str:
        """Each input at both ends of its range; its words above its bar, so that they have room on a phone."""
        ends = [float(end) for swing in one.swings for end in (swing.low_usd, swing.high_usd)]
        base = float(one.base)
        x = axes.linear([base, *ends], most=5, zero=False, title=f"{self.found.currency} per million tokens")
        count = len(one.swings)
        y = Axis(0.0, float(count), ())
        plot = Plot(x, y, height=38 * count, left=12, right=16, grid=True)
        plot.rule(x=base, style=TOTAL, title=f"every input at its own value: {words.rate(one.base)}")
        for index, swing in enumerate(one.swings):
            low, high = count - index - 0.85, count - index - 0.5
            for value, usd in ((swing.low, swing.low_usd), (swing.high, swing.high_usd)):
                told = f"{swing.words} at {words.quantity(value)}: {words.rate(usd)} per million tokens"
                plot.bar(base, float(usd), low, high, LOWER if usd < one.base else HIGHER, told, least=True)
            text = f"{swing.words}: {words.quantity(swing.low)} to {words.quantity(swing.high)}"
            plot.text(x.low, count - index - 0.24, text, dx=2)
        told = "; ".join(
            f"{swing.words} from {words.quantity(swing.low)} to {words.quantity(swing.high)}: "
            f"{words.rate(swing.low_usd)} to {words.rate(swing.high_usd)}"
            for swing in one.swings
        )
        letter, title = self.known.letters[one.option], self.found.option(one.option).title
        return plot.draw(f"tornado-{letter}", f"{title}: what moves the cost of a million tokens", told)

    # --- utilisation ----------------------------------------------------------------------------------------------

    def utilisation(self) -> str:
        """USD per million tokens of nodes that do so much of what they could; APIs are level. A ring: this
        workload."""
        options = [one for one in self.found.options if one.utilisation_curve]
        level = [one for one in self.known.ranked if one.kind == "api" and one.usd_million]
        shares = [float(one.utilisation) for one in options if one.utilisation]
        costs = [float(p.usd_million) for one in options for p in one.utilisation_curve]
        costs += [float(one.usd_million) for one in (*level, *options) if one.usd_million]
        x = axes.logarithmic([*shares, 0.01, 1.0], form=_percent, title="utilisation of the nodes")
        y = axes.logarithmic(costs, form=axes.plain, title=f"{self.found.currency} per million tokens")
        plot = Plot(x, y, height=280, left=52, right=26)
        told = []
        ends: list[tuple[Option, float, float]] = []
        for one in level:
            usd = float(one.usd_million or 0)
            plot.line([(x.low, usd), (x.high, usd)], self.look[one.name], one.title)
            ends.append((one, x.high, usd))
            told.append(f"{one.title}: {words.rate(one.usd_million)} at any")
        for one in options:
            look, curve = self.look[one.name], one.utilisation_curve
            points = [(float(p.utilisation), float(p.usd_million)) for p in curve]
            if one.utilisation and one.usd_million and one in self.known.ranked:
                here = (float(one.utilisation), float(one.usd_million))
                if here < points[0]:
                    points.insert(0, here)
                said = f"{one.title}, here: {words.share(one.utilisation)}, {words.rate(one.usd_million)} per million"
                plot.mark(*here, CROSSING, said, size=4)
            plot.line(points, look, one.title)
            ends.append((one, 1.0, points[-1][1]))
            told.append(f"{one.title}: {words.rate(full(curve))} at 100 %")
        self._letters(plot, ends)
        return plot.draw("utilisation-all", "Cost of a million tokens by utilisation", "; ".join(told))

    # --- spot -----------------------------------------------------------------------------------------------------

    def spot(self, machine: str, zones: Sequence[SpotZone], ident: str) -> str:
        """A row for each zone: spot, and on demand where it is known; a cross where both are the same."""
        labels = [one.zone for one in zones]
        y = axes.names(labels)
        known = [float(one.on_demand) for one in zones if one.on_demand is not None]
        x = axes.linear([*(float(one.usd_hour) for one in zones), *known], most=5,
                        title=f"{self.found.currency} an hour")  # fmt: skip
        wide = 12 + 6.9 * max(map(len, labels))
        plot = Plot(x, y, height=19 * len(labels), left=int(min(wide, 180)), right=20)
        told = []
        for index, one in enumerate(zones):
            low, high = axes.slot(y, index, 0.3)
            said = f"{one.zone}: spot {words.rate(one.usd_hour)} an hour"
            gone = sold_out(one)
            if one.on_demand is not None:
                plot.mark(float(one.on_demand), (low + high) / 2, ON_DEMAND, f"on demand {words.rate(one.on_demand)}",
                          size=3.5)  # fmt: skip
                said += f", on demand {words.rate(one.on_demand)}"
            said += f", {one.interruptions} interrupted" if one.interruptions else ""
            said += ", sold out" if gone else ""
            plot.mark(float(one.usd_hour), (low + high) / 2, SOLD_OUT if gone else SPOT, said,
                      label=one.interruptions, size=4.5)  # fmt: skip
            told.append(said)
        return plot.draw(ident, f"Spot of {machine} by zone", "; ".join(told))

    # --- by month -------------------------------------------------------------------------------------------------

    def months(self, option: Option) -> str:
        """Cash as bars, what the books show as a line of steps."""
        cash, books = option.cash_by_month, option.amortised_by_month
        months = self.found.months
        ticks = tuple(
            Tick(float(number), words.month(self.found.start, number), 0 if number % 24 == 0 else 1)
            for number in range(0, months, 12 if months > 18 else 3)
        )
        x = Axis(0.0, float(months), ticks)
        values = [float(one) for one in (*cash, *books)]
        y = axes.linear(values, most=4, form=axes.compact, title=f"{self.found.currency} in the month")
        plot = Plot(x, y, height=110, left=46, right=16)
        for number, usd in enumerate(cash):
            if usd:
                told = f"{words.month(self.found.start, number)}: cash {words.usd(usd)}"
                plot.bar(number + 0.12, number + 0.88, 0.0, float(usd), CASH, told)
        plot.step([(float(number), float(usd)) for number, usd in enumerate(books)], BOOKS, "amortised")
        first, rest = cash[0], cash[1:]
        said = f"cash {words.usd(first)} in the first month"
        if rest:
            said += f", {words.usd(min(rest))} to {words.usd(max(rest))} later"
        said += f"; amortised {words.usd(min(books))} to {words.usd(max(books))}"
        return plot.draw(f"months-{self.known.letters[option.name]}", f"{option.title}: cash and amortised", said)


def _look(index: int) -> Look:
    """There are eight; the ninth option has the first one's colour with other dashes and another sign."""
    own, other = looks.look(index), looks.look(index + 3 * (index // len(SERIES)))
    return replace(own, dash=other.dash, shape=other.shape)


def sold_out(zone: SpotZone) -> bool:
    """Spot at the price on demand (or above it) is no spot: nothing is left."""
    return zone.on_demand is not None and zone.usd_hour >= zone.on_demand


def full(curve: Sequence[UtilisationPoint]) -> Decimal | None:
    """USD per million tokens at full use."""
    return curve[-1].usd_million if curve else None


def _percent(value: float) -> str:
    return f"{axes.plain(100 * value)} %"
