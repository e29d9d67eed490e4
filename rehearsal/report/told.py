"""What a report tells of a rehearsal: the fleet's sizes together, when it was short, what is worth a closer look."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from rehearsal.changes import Ranked, ranked
from rehearsal.report import words
from rehearsal.result import Incident, Nodes, Rehearsal, Repeated, Source, Variant
from spillway.axes import DAY, HOUR, Row, window
from spillway.looks import Look, look

PARTS: Final = ((HOUR, 26), (6 * HOUR, 12), (DAY, 31), (7 * DAY, 53))
"""Length of the parts in which a play is told in detail, and up to how many: hours of a day, days of a month, weeks."""
CLOSE_UPS: Final = 12
SPELLS: Final = 5
"""Of the times below the target: so many get a close-up, the longest ones."""
LONG: Final = 12 * HOUR
"""What lasts longer has a close-up of its begin and one of its end."""


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the play, cut at the hours, days or weeks of its own calendar."""

    begin: float
    end: float
    title: str
    ident: str


@dataclass(frozen=True, slots=True)
class Spell:
    """A time below the target. nodes: fewest ready in it; none: seconds with none. Of `refusing`: most that refuse."""

    begin: float
    end: float
    nodes: int
    none: float


@dataclass(frozen=True, slots=True)
class CloseUp:
    """A span at a finer scale, and why. since: where what it is about begins; places: what it is about."""

    number: int
    begin: float
    end: float
    title: str
    places: tuple[str, ...]
    incidents: tuple[Incident, ...]
    since: float

    @property
    def ident(self) -> str:
        return f"close-up-{self.number}"

    @property
    def span(self) -> float:
        """Seconds."""
        return self.end - self.begin


@dataclass(frozen=True, slots=True)
class _Span:
    """Something worth a closer look. incident: None where it is a time below the target."""

    begin: float
    end: float
    title: str
    place: str
    incident: Incident | None


def sizes(nodes: Sequence[Nodes]) -> list[Row]:
    """(at, spot ready, on-demand ready, booting, refusing) of one region."""
    return [(one.at, float(one.spot), float(one.on_demand), float(one.booting), float(one.refusing)) for one in nodes]


def summed(series: Iterable[Sequence[Row]]) -> list[Row]:
    """Several series of steps as one; before its first row a series is 0."""
    moves = sorted((row[0], number, row[1:]) for number, rows in enumerate(series) for row in rows)
    now: dict[int, tuple[float, ...]] = {}
    found: list[Row] = []
    for at, number, values in moves:
        now[number] = values
        if found and found[-1][0] == at:
            found.pop()
        found.append((at, *(sum(column) for column in zip(*now.values(), strict=True))))
    return found


def short(rows: Sequence[Row], target: float, low: float, high: float) -> list[Spell]:
    """Times between two moments in which a series of `sizes` has fewer ready than the target."""
    cut = window(rows, low, high)
    if not cut or cut[0][0] > low:
        cut.insert(0, (low, 0.0, 0.0, 0.0, 0.0))
    found: list[Spell] = []
    for row, until in zip(cut, [*(row[0] for row in cut[1:]), high], strict=True):
        ready = int(row[1] + row[2])
        if ready >= target:
            continue
        none = until - row[0] if not ready else 0.0
        if found and found[-1].end == row[0]:
            last = found.pop()
            found.append(Spell(last.begin, until, min(last.nodes, ready), last.none + none))
        else:
            found.append(Spell(row[0], until, ready, none))
    return found


def refusing(rows: Sequence[Row], low: float, high: float) -> list[Spell]:
    """Times in which requests go to nodes that do not answer."""
    cut = window(rows, low, high)
    found: list[Spell] = []
    for row, until in zip(cut, [*(row[0] for row in cut[1:]), high], strict=True):
        if not row[4]:
            continue
        if found and found[-1].end == row[0]:
            last = found.pop()
            found.append(Spell(last.begin, until, max(last.nodes, int(row[4])), 0.0))
        else:
            found.append(Spell(row[0], until, int(row[4]), 0.0))
    return found


class Told:
    """A rehearsal, and what follows from it. The first variant is the one that is told in full."""

    def __init__(self, rehearsal: Rehearsal) -> None:
        if not rehearsal.variants:
            raise ValueError("a rehearsal without a variant tells nothing")
        self.rehearsal = rehearsal
        self.end = rehearsal.seconds
        self.base = rehearsal.variants[0]
        self.keeper = next((one for one in rehearsal.variants[1:] if one.kind == "keeper"), None)
        self._fleets: dict[str, list[Row]] = {}
        self.named = {one.name: one for one in rehearsal.variants}

    @property
    def shown(self) -> tuple[Variant, ...]:
        """Variants that are drawn: as deployed, and with the keeper."""
        return (self.base, self.keeper) if self.keeper else (self.base,)

    @cached_property
    def ranks(self) -> tuple[Ranked, ...]:
        """All other variants against the first, what buys most ahead."""
        return ranked(self.rehearsal.variants, self.end)

    @property
    def best(self) -> Ranked | None:
        """What buys most besides the keeper, if anything buys something."""
        kinds = {one.name: one.kind for one in self.rehearsal.variants}
        found = (one for one in self.ranks if kinds[one.variant] == "change")
        first = next(found, None)
        return first if first and first.verdict in ("better and cheaper", "better for more") else None

    def repeated(self, name: str) -> Repeated | None:
        """The variant over many runs, if it was played so."""
        return next((one for one in self.rehearsal.repeated if one.variant == name), None)

    @property
    def source(self) -> str:
        """What the regions are as in."""
        return {"stack-files": "the stack files", "sandbox": "the sandbox", "plan": "the plan"}.get(
            self.rehearsal.source, self.rehearsal.source
        )

    @property
    def synthetic(self) -> tuple[Source, ...]:
        return tuple(one for one in self.rehearsal.sources if one.synthetic)

    @property
    def mapped(self) -> tuple[Source, ...]:
        return tuple(one for one in self.rehearsal.sources if one.mapped and not one.synthetic)

    def fleet(self, variant: Variant) -> list[Row]:
        """`sizes` of all regions together."""
        if variant.name not in self._fleets:
            self._fleets[variant.name] = summed(sizes(one.nodes) for one in variant.regions)
        return self._fleets[variant.name]

    @cached_property
    def spells(self) -> list[Spell]:
        """Times in which the fleet as deployed was below its target."""
        return short(self.fleet(self.base), self.base.serving.target, 0.0, self.end)

    @cached_property
    def looks(self) -> dict[str, Look]:
        """Of members, the same in all charts."""
        found: dict[str, None] = {}
        for variant in self.shown:
            for service in variant.services:
                for _, shares in (*service.answers, *service.clients):
                    found |= {member: None for member, share in shares.items() if share > 0}
        return {member: look(index) for index, member in enumerate(sorted(found))}

    @cached_property
    def incidents(self) -> tuple[Incident, ...]:
        """Of the first variant, in order."""
        return tuple(sorted(self.base.incidents, key=lambda one: (one.at, one.where, one.place, one.what)))

    # --- parts ------------------------------------------------------------------------------------------------------

    @cached_property
    def sections(self) -> tuple[Section, ...]:
        """The play in parts of PARTS, the shortest that are few enough; of four weeks if none are."""
        length = next((one for one, most in PARTS if self.end / one <= most), 28 * DAY)
        begin = self.rehearsal.begin
        into = (begin - begin.replace(hour=0, minute=0, second=0, microsecond=0)).total_seconds()
        edges = [0.0]
        while (after := (int((edges[-1] + into) / length + 1e-9) + 1) * length - into) < self.end:
            edges.append(after)
        # A sliver before the first hour (day, week) or after the last is told with its neighbour.
        edges = [edge for edge in edges if not 0 < edge < length / 10 and (not edge or self.end - edge >= length / 10)]
        return tuple(self._sections(edges, length))

    def _sections(self, edges: Sequence[float], length: float) -> Iterator[Section]:
        begin = self.rehearsal.begin
        for number, (low, high) in enumerate(zip(edges, [*edges[1:], self.end], strict=True), 1):
            first = words.stamp(begin, low)
            day = first.rpartition(" ")[0]
            if length < DAY:
                title = f"{first} to {words.second(begin, high)[:5]}"
            elif length == DAY:
                title = f"Day {number}, {day}"
            else:
                title = f"{day} to {words.stamp(begin, high - 60).rpartition(' ')[0]}"
            yield Section(low, high, title, f"part-{number}")

    def section_at(self, at: float) -> Section:
        """The part that holds a moment."""
        return next((one for one in reversed(self.sections) if one.begin <= at), self.sections[0])

    @cached_property
    def close_ups(self) -> tuple[CloseUp, ...]:
        """What the scenario does, and the longest times below the target; what overlaps is looked at together."""
        joined: list[list[_Span]] = []
        for one in sorted((*self._done(), *self._hurt()), key=lambda one: self._around(one.begin, one.end)):
            low, high = self._around(one.begin, one.end)
            if joined:
                begin, end = self._together(joined[-1])
                if low < end and max(high, end) - begin <= 2 * LONG:
                    joined[-1].append(one)
                    continue
            joined.append([one])
        if len(joined) > CLOSE_UPS:  # what hurt is looked at before what only happened
            hurt = [several for several in joined if any(one.incident is None for one in several)]
            rest = [several for several in joined if several not in hurt]
            joined = sorted([*hurt, *rest][:CLOSE_UPS], key=self._together)
        return tuple(self._close_up(number, several) for number, several in enumerate(joined, 1))

    def _done(self) -> Iterator[_Span]:
        """By the scenario."""
        for one in self.incidents:
            if one.where != "scenario":
                continue
            until = self.end if one.until is None else min(one.until, self.end)
            title = f"{one.place}: {one.what}"
            if until - one.at <= LONG:
                yield _Span(one.at, until, title, one.place, one)
                continue
            yield _Span(one.at, one.at + 2 * HOUR, f"{title} (begin)", one.place, one)
            if one.until is not None and one.until < self.end:
                yield _Span(one.until, one.until, f"{title} (end)", one.place, one)

    def _hurt(self) -> Iterator[_Span]:
        """The longest times below the target, those with none ready first."""
        for one in sorted(self.spells, key=lambda one: (-one.none, one.begin - one.end, one.begin))[:SPELLS]:
            what = "none ready" if one.nodes == 0 else f"{one.nodes} of {self.base.serving.target} ready"
            title = f"below the target for {words.duration(one.end - one.begin)}, {what}"
            yield _Span(one.begin, min(one.end, one.begin + LONG), title, "the fleet", None)

    def _close_up(self, number: int, several: Sequence[_Span]) -> CloseUp:
        ordered = sorted(several, key=lambda one: (one.incident is None, one.begin - one.end, one.begin))
        titles = list(dict.fromkeys(one.title for one in ordered))
        title = "; ".join(titles[:2]) + (f"; and {len(titles) - 2} more" if len(titles) > 2 else "")
        found = dict.fromkeys(one.incident for one in ordered if one.incident is not None)
        places = dict.fromkeys(one.place for one in ordered)
        since = min(one.begin for one in several)
        return CloseUp(number, *self._together(several), title, tuple(places), tuple(found), since)

    def _together(self, several: Sequence[_Span]) -> tuple[float, float]:
        around = [self._around(one.begin, one.end) for one in several]
        return min(low for low, _ in around), max(high for _, high in around)

    def _around(self, low: float, high: float) -> tuple[float, float]:
        """With what led to it and what followed."""
        took = high - low
        return max(low - max(900.0, 0.15 * took), 0.0), min(high + max(2700.0, 0.4 * took), self.end)

    def link(self, one: Incident) -> str:
        """Where an incident is shown at the finest scale."""
        for close in self.close_ups:
            if one in close.incidents or close.begin <= one.at < close.end:
                return f"#{close.ident}"
        return f"#{self.section_at(one.at).ident}"
