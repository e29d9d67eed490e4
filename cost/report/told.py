"""What a report tells of a comparison, worked out once for the page, Markdown and tables."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fnmatch import fnmatchcase
from functools import cached_property

from cost.report import words
from cost.report.since import Since
from cost.result import Band, Comparison, Crossing, Drawn, Group, Kind, Line, Option, Point, Tornado, Unpriced
from cost.scenario import Exchange, Scenario


@dataclass(frozen=True, slots=True)
class Used:
    """Where figures are from. times: how many lines and assumptions rest on it."""

    source: str
    observed: date | None
    what: tuple[str, ...]
    times: int


class Told:
    """A comparison with its scenario, from which it was made. earlier: of a report that it is held against."""

    def __init__(self, scenario: Scenario, found: Comparison, earlier: Comparison | None = None) -> None:
        self.scenario, self.found = scenario, found
        self.since = None if earlier is None else Since(found, earlier)
        self.letters = {one.name: _letter(index) for index, one in enumerate(found.options)}

    @property
    def exchange(self) -> Exchange | None:
        """What the scenario file's currency is worth, where it is another."""
        return self.scenario.data.exchange

    @cached_property
    def ranked(self) -> tuple[Option, ...]:
        """Options that have a total and can serve the workload, the cheapest first; spot alone too, as a price."""
        usable = (one for one in self.found.options if one.status in ("priced", "partial"))
        return tuple(sorted(usable, key=lambda one: (one.levelised_month, one.name)))

    @cached_property
    def out(self) -> tuple[Option, ...]:
        """The others, in the scenario's order."""
        return tuple(one for one in self.found.options if one not in self.ranked)

    @cached_property
    def serving(self) -> tuple[Option, ...]:
        """Those of them that one would choose from: spot alone is a price to compare with, and no service."""
        return tuple(one for one in self.ranked if one.serves)

    @property
    def best(self) -> Option | None:
        return self.found.option(self.found.best) if self.found.best else None

    def cheapest(self, kind: Kind) -> Option | None:
        """Of one kind."""
        return next((one for one in self.serving if one.kind == kind), None)

    def month_range(self, option: Option) -> tuple[Decimal, Decimal] | None:
        """P10 and P90 of a levelised month."""
        drawn = self.drawn.get(option.name)
        if drawn is None or option not in self.ranked:
            return None
        return drawn.usd_p10 / self.found.months, drawn.usd_p90 / self.found.months

    @cached_property
    def drawn(self) -> dict[str, Drawn]:
        """Monte Carlo by option."""
        return {one.option: one for one in self.found.montecarlo.options} if self.found.montecarlo else {}

    @cached_property
    def tornados(self) -> tuple[Tornado, ...]:
        """Those that something moves, in the order of `ranked`."""
        by_name = {one.option: one for one in self.found.tornados if one.swings}
        return tuple(by_name[one.name] for one in self.ranked if one.name in by_name)

    @cached_property
    def gaps(self) -> dict[str, tuple[Unpriced, ...]]:
        """What has no price, by option."""
        names = dict.fromkeys(one.option for one in self.found.unpriced)
        return {name: tuple(one for one in self.found.unpriced if one.option == name) for name in names}

    def per_million(self, option: Option) -> Decimal | None:
        """USD per million tokens, of options that have a total."""
        return option.usd_million if option in self.ranked else None

    # --- against traffic ------------------------------------------------------------------------------------------

    @cached_property
    def overtaken(self) -> Crossing | None:
        """Above the workload, where something else becomes the cheapest of all, or None."""
        return self._change(above=True)

    @cached_property
    def overtakes(self) -> Crossing | None:
        """Below the workload, from where on the best is the cheapest of all, or None."""
        return self._change(above=False)

    def _change(self, *, above: bool) -> Crossing | None:
        best = self.best
        if best is None:
            return None
        own = self.found.workload.tokens_day
        names = {one.name for one in self.serving}
        met = [
            one
            for pair in self.found.pairs
            for one in pair.crossings
            if {pair.a, pair.b} <= names
            and one.feasible
            and (one.below if above else one.above) == best.name
            and (one.tokens_day > own) == above
        ]
        return (min if above else max)(met, key=lambda one: one.tokens_day, default=None)

    def crossings(self, option: Option) -> Iterator[Crossing]:
        """Every one that the option has a part in."""
        for pair in self.found.pairs:
            if option.name in (pair.a, pair.b):
                yield from pair.crossings

    @cached_property
    def changes(self) -> tuple[Crossing, ...]:
        """Crossings on the lower edge of all options: where the cheapest of all changes."""
        names = {one.name for one in self.serving}
        found = []
        for pair in self.found.pairs:
            for one in pair.crossings:
                if (
                    one.feasible
                    and {pair.a, pair.b} <= names
                    and all(
                        (usd := at(other.curve, one.tokens_day)) is None or usd >= one.usd_day * Decimal("0.999")
                        for other in self.serving
                        if other.name not in (pair.a, pair.b)
                    )
                ):
                    found.append(one)
        return tuple(sorted(found, key=lambda one: (one.tokens_day, one.below, one.above)))

    def breaks_even(self, option: Option) -> Crossing | None:
        """Where an option gets cheaper than the best, the nearest above the workload; feasible ones only."""
        best, own = self.best, self.found.workload.tokens_day
        if best is None or best is option:
            return None
        met = [
            one
            for pair in self.found.pairs
            if {pair.a, pair.b} == {best.name, option.name}
            for one in pair.crossings
            if one.feasible and one.above == option.name and one.tokens_day > own
        ]
        return min(met, key=lambda one: one.tokens_day, default=None)

    # --- sums -----------------------------------------------------------------------------------------------------

    def bars(self, option: Option) -> list[tuple[str, Decimal]]:
        """Levelised USD a month by group, as a waterfall has them; by line where all of it is one group."""
        sums: dict[Group, Decimal] = {}
        for line in option.lines:
            sums[line.group] = sums.get(line.group, Decimal(0)) + line.levelised
        if len(sums) == 1:
            return [(line.what, line.levelised) for line in option.lines if line.levelised]
        return [(text, sums[group]) for group, text in words.GROUPS.items() if sums.get(group)]

    def years(self, months: Sequence[Decimal]) -> list[Decimal]:
        """Sums of twelve months each, the last of what is left."""
        return [sum(months[first : first + 12], Decimal(0)) for first in range(0, self.found.months, 12)]

    @cached_property
    def sources(self) -> tuple[Used, ...]:
        """Every source of a line, an assumption, a rate or a spot price, by name and day."""
        uses: dict[tuple[str, date | None], dict[str, int]] = {}
        for source, observed, what in self._uses():
            kinds = uses.setdefault((source, observed), {})
            kinds[what] = kinds.get(what, 0) + 1
        rows = [Used(source, day, tuple(sorted(what)), sum(what.values())) for (source, day), what in uses.items()]
        return tuple(sorted(rows, key=lambda one: (one.source.lower(), one.observed or date.min)))

    @cached_property
    def numbers(self) -> dict[tuple[str, date | None], int]:
        """Of a source among `sources`, by which lines refer to it."""
        return {(one.source, one.observed): number for number, one in enumerate(self.sources, 1)}

    @cached_property
    def flags(self) -> dict[str, tuple[str, ...]]:
        """What the marks of lines and of spot prices say: mark -> texts."""
        texts = {flag for option in self.found.options for line in option.lines for flag in line.flags}
        texts |= {flag for zone in self.found.spot for flag in zone.flags}
        found: dict[str, list[str]] = {}
        for text in sorted(texts):
            mark, _, why = text.partition(":")
            found.setdefault(mark, []).append(why.strip())
        return {mark: tuple(one for one in why if one) for mark, why in found.items()}

    @cached_property
    def notes(self) -> dict[str, tuple[str, ...]]:
        """Warnings: text -> names of the options that have it."""
        found: dict[str, list[str]] = {}
        for option in self.found.options:
            for text in dict.fromkeys(option.warnings):
                found.setdefault(text, []).append(option.name)
        return {text: tuple(names) for text, names in found.items()}

    def unit(self, key: str) -> str:
        """Of an input, by its key or by a pattern of keys; empty where nothing of the scenario has it."""
        units = {one.unit for one in self.found.assumptions if fnmatchcase(one.key, key)}
        return units.pop() if len(units) == 1 else ""

    def meaning(self, key: str) -> str:
        """What an input is, in words."""
        said = (swing.words for one in self.found.tornados for swing in one.swings if swing.key == key)
        own = (one.words for one in self.scenario.data.uncertain if one.key == key)
        return next(own, None) or next(said, None) or key

    def _uses(self) -> Iterator[tuple[str, date | None, str]]:
        for option in self.found.options:
            for line in option.lines:
                yield line.source, line.observed, line_kind(line)
            if option.throughput:
                yield option.throughput.source, option.throughput.observed, "rate"
        for zone in self.found.spot:
            yield zone.source, zone.observed, "spot by zone"
        for one in self.found.assumptions:
            yield one.source, one.observed, "assumption"


def line_kind(line: Line) -> str:
    """What a line's source is used for."""
    return words.GROUPS[line.group]


def at(curve: Sequence[Point], tokens_day: Decimal) -> Decimal | None:
    """USD a day of a curve, between its points in a straight line; None above what it can serve, and below its first.

    At a step the higher side: what serves a token more.
    """
    if not curve or not curve[0].tokens_day <= tokens_day <= curve[-1].tokens_day:
        return None
    upper = bisect_left(curve, tokens_day, key=lambda one: one.tokens_day)
    while upper + 1 < len(curve) and curve[upper + 1].tokens_day == tokens_day:
        upper += 1
    right = curve[upper]
    if right.tokens_day == tokens_day or upper == 0:
        return right.usd_day
    left = curve[upper - 1]
    part = (tokens_day - left.tokens_day) / (right.tokens_day - left.tokens_day)
    return left.usd_day + part * (right.usd_day - left.usd_day)


def within(band: Sequence[Band], tokens_day: Decimal) -> tuple[Decimal, Decimal] | None:
    """P10 and P90 of a band, between its rows in a straight line."""
    if not band or not band[0].tokens_day <= tokens_day <= band[-1].tokens_day:
        return None
    upper = max(1, bisect_left(band, tokens_day, key=lambda one: one.tokens_day))
    left, right = band[upper - 1], band[min(upper, len(band) - 1)]
    span = right.tokens_day - left.tokens_day
    part = (tokens_day - left.tokens_day) / span if span else Decimal(0)
    return left.p10 + part * (right.p10 - left.p10), left.p90 + part * (right.p90 - left.p90)


def _letter(index: int) -> str:
    """A to Z, then A2, B2 and so on."""
    return chr(ord("A") + index % 26) + (str(index // 26 + 1) if index >= 26 else "")
