"""Least cost of a plan that knows the whole trace, held to an availability: a lower bound, by linear programming, and
on request the best plan of whole instances, by integer programming.

An instance is ready once it was held for `boot` seconds without a break, so of a zone at most

    C(t) = min of what the zone gives over [t - boot, t]

can be ready at t. Let e(t) <= C(t) be how many of a zone are ready. To have them so, the most of e over [t, t + boot]
must be held, and where no gap of e is shorter than a boot (to fill one costs nothing more) that costs

    integral of price * e(t) dt  +  boot * price * (sum of all rises of e).

The same holds on demand, without C. The program, in continuous time and with instances in fractions:

    least   sum over zones of that cost
    so that sum over zones of e(t) >= N * u(t),  0 <= u(t) <= 1,  integral of u >= A * (end - boot).

Three things are relaxed, and no other: instances may be fractions; u may be one, that is, time with 2 of 3 ready counts
as two thirds of it; and nobody has to find out what a zone gives. Each can only lower the cost, so the result is at
most what any plan with that availability costs, and a regret against it is at least the true one. With A = 1 the second
is not in play, and the program is one of flows whose optimum is whole.

Time is cut where a C, limited to N, changes (or a price). Within a piece every constraint stays the same, so to replace
e and u by their means over each piece keeps the integrals, breaks no constraint and adds to no rise: the program over
pieces has the optimum of the one in continuous time. Where prices change, a rise is charged the lowest that a boot
ending in one of the two pieces beside it costs, which keeps it a lower bound.

`Omniscient.plan` asks for e in whole numbers and for each u to be 0 or 1. Where prices do not change, what it finds is
a plan that could have been carried out, so the least cost of all lies between the two, and so does the true regret: at
most the one against the bound, at least the one against the plan. Such a plan may still not be the best of all: it is
short in whole pieces only, and those are long where nothing changes.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import highspy
import numpy as np
from numpy.typing import NDArray

from rehearsal.model import HOUR, Setting
from rehearsal.trace import Trace
from rehearsal.world import bill

Series = tuple[tuple[float, float], ...]
Numbers = NDArray[np.float64]
_SNAP: Final = 1e-6
"""Seconds: cuts nearer than this are one, the sums of floats differ by less."""


GAP: Final = 1.1e-4
"""Of the cost: HiGHS ends a search at a ten thousandth (mip_rel_gap)."""
PLAN_SECONDS: Final = 60.0


class _Silent(highspy.Highs):
    """Its constructor enables callbacks, and that prints a line unless the option is there before.

    https://github.com/ERGO-Code/HiGHS/issues/1702
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.setOptionValue("threads", 1)

    def enableCallbacks(self) -> None:
        self.setOptionValue("output_flag", False)
        super().enableCallbacks()  # type: ignore[no-untyped-call]


@dataclass(frozen=True, slots=True)
class Bound:
    """usd: from the trace's start, at least. pieces, variables, rows: of the program that it was found with."""

    availability: float
    usd: float
    pieces: int
    variables: int
    rows: int


@dataclass(frozen=True, slots=True)
class Plan:
    """Of whole instances, with the availability or more. usd: what it costs. proved: what no such plan costs less than;
    the same but for a ten thousandth where the search came to its end."""

    availability: float
    usd: float
    proved: float

    @property
    def best(self) -> bool:
        """Whether the search came to its end."""
        return self.usd - self.proved <= GAP * max(1.0, abs(self.usd))


@dataclass(frozen=True, slots=True)
class _Supply:
    """One zone's spot, or on demand in one zone, over the pieces. price: USD per instance and second.

    rise: USD for one more that is ready from the start of a piece on.
    """

    most: Numbers
    price: Numbers
    rise: Numbers


class Omniscient:
    """The bound of one trace and setting for any availability; further ones are found from the last."""

    def __init__(self, trace: Trace, setting: Setting) -> None:
        if trace.zones != tuple(zone.name for zone in setting.zones):
            raise ValueError(f"the zones of the trace are {trace.zones}, those of the setting are others")
        self._found: dict[float, Bound] = {}
        self._solver: _Silent | None = None
        self._whole: _Silent | None = None
        self._model: highspy.HighsLp | None = None
        self._begin, self._end, target = min(setting.boot, trace.end), trace.end, setting.target
        if self._begin >= self._end:
            return
        spot = [held_throughout(trace.times, row, setting.boot, trace.end, target) for row in trace.counts]
        marks = {self._begin, self._end}
        for series in spot:
            marks.update(at for at, _ in series)
        for zone in setting.zones:
            for prices in (zone.spot, zone.on_demand):
                marks.update(at for at, _ in prices)
        self._cuts = _snapped(mark for mark in marks if self._begin <= mark <= self._end)
        lengths = np.diff(self._cuts)
        supplies = []
        for zone, series in zip(setting.zones, spot, strict=True):
            most = np.array([_at(series, (a + b) / 2) for a, b in pairwise(self._cuts)])
            if most.any():
                supplies.append(self._supply(most, zone.spot, setting.boot))
        on_demand = {zone.on_demand for zone in setting.zones}
        if all(len(prices) == 1 for prices in on_demand):
            on_demand = {min(on_demand, key=lambda prices: prices[0][1])}
        most = np.full(len(lengths), float(target))
        supplies += [self._supply(most, prices, setting.boot) for prices in sorted(on_demand)]
        self._build(supplies, lengths, target)

    def at(self, availability: float) -> Bound:
        """Least cost with the target ready in at least this share of the time after the first boot."""
        if not 0 <= availability <= 1:
            raise ValueError(f"an availability of {availability:g} is not within 0 to 1")
        if availability not in self._found:
            self._found[availability] = self._solve(availability)
        return self._found[availability]

    def plan(self, availability: float, seconds: float = PLAN_SECONDS) -> Plan | None:
        """The best plan of whole instances; after so many seconds the best one that was found, None where none was."""
        if not 0 <= availability <= 1:
            raise ValueError(f"an availability of {availability:g} is not within 0 to 1")
        if self._model is None:
            return Plan(availability, 0.0, 0.0)
        if self._whole is None:
            self._whole = _Silent()
            self._whole.passModel(self._model)
            pieces, columns, _ = self._size
            count = (columns // pieces - 1) // 2
            whole = [*range(count * pieces), *range(2 * count * pieces, columns)]  # e and u; the rises follow
            kind = np.full(len(whole), int(highspy.HighsVarType.kInteger), dtype=np.uint8)
            self._whole.changeColsIntegrality(len(whole), np.array(whole, dtype=np.int32), kind)
        solver = self._whole
        solver.changeRowBounds(self._row, availability, highspy.kHighsInf)
        solver.setOptionValue("time_limit", solver.getRunTime() + seconds)  # which counts all runs of a solver
        solver.run()
        status, info = solver.getModelStatus(), solver.getInfo()
        if status == highspy.HighsModelStatus.kOptimal:
            return Plan(availability, info.objective_function_value, info.mip_dual_bound)
        if status != highspy.HighsModelStatus.kTimeLimit:
            raise RuntimeError(f"HiGHS ended with {solver.modelStatusToString(status)}")
        if info.primal_solution_status != 2:  # kSolutionStatusFeasible
            return None
        return Plan(availability, info.objective_function_value, info.mip_dual_bound)

    def _supply(self, most: Numbers, prices: Series, boot: float) -> _Supply:
        price = np.array([_at(prices, (a + b) / 2) for a, b in pairwise(self._cuts)]) / HOUR
        if len(prices) == 1:
            return _Supply(most, price, price * boot)
        # The bill of the boot that ends at t is linear in t between points where t or t - boot meets a new price.
        points = sorted({*self._cuts, *(at + shift for at, _ in prices for shift in (0.0, boot))})
        bills = [bill(prices, point - boot, point) for point in points]
        rise = np.array(
            [
                min(bills[bisect_left(points, a) : bisect_left(points, b) + 1])
                for a, b in zip([self._cuts[0], *self._cuts[:-2]], self._cuts[1:], strict=True)
            ]
        )
        return _Supply(most, price, rise)

    def _build(self, supplies: Sequence[_Supply], lengths: Numbers, target: int) -> None:
        """Columns: e of each supply and piece, its rises, then u. Rows: the rises, the cover, the availability."""
        pieces, count = len(lengths), len(supplies)
        e = np.arange(count * pieces).reshape(count, pieces)
        rise = e + count * pieces
        u = 2 * count * pieces + np.arange(pieces)
        model = highspy.HighsLp()
        model.num_col_ = columns = (2 * count + 1) * pieces
        model.num_row_ = rows = (count + 1) * pieces + 1
        model.col_cost_ = np.concatenate(
            [
                np.concatenate([one.price * lengths for one in supplies]),
                np.concatenate([one.rise for one in supplies]),
                np.zeros(pieces),
            ]
        )
        model.col_lower_ = np.zeros(columns)
        most = np.concatenate([one.most for one in supplies])
        model.col_upper_ = np.concatenate([most, most, np.ones(pieces)])
        # rise - e + e before >= 0; sum of e - N u >= 0; sum of length * u >= A * time
        row_rise = e.copy()
        row_cover = count * pieces + np.arange(pieces)
        self._row = (count + 1) * pieces
        self._time = float(lengths.sum())
        triples = [
            (row_rise, rise, 1.0),
            (row_rise, e, -1.0),
            (row_rise[:, 1:], e[:, :-1], 1.0),
            (np.broadcast_to(row_cover, e.shape), e, 1.0),
            (row_cover, u, -float(target)),
        ]
        row = np.concatenate([part.ravel() for part, _, _ in triples] + [np.full(pieces, self._row)])
        column = np.concatenate([part.ravel() for _, part, _ in triples] + [u])
        value = np.concatenate([np.full(part.size, number) for part, _, number in triples] + [lengths / self._time])
        order = np.lexsort((column, row))
        model.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
        model.a_matrix_.start_ = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=rows))]).astype(np.int32)
        model.a_matrix_.index_ = column[order].astype(np.int32)
        model.a_matrix_.value_ = value[order]
        model.row_lower_ = np.zeros(rows)
        model.row_upper_ = np.full(rows, highspy.kHighsInf)
        self._model = model
        self._solver = _Silent()
        self._solver.passModel(model)
        self._size = (pieces, columns, rows)

    def _solve(self, availability: float) -> Bound:
        if self._solver is None:
            return Bound(availability, 0.0, 0, 0, 0)
        self._solver.changeRowBounds(self._row, availability, highspy.kHighsInf)
        self._solver.run()
        status = self._solver.getModelStatus()
        if status != highspy.HighsModelStatus.kOptimal:
            raise RuntimeError(f"HiGHS ended with {self._solver.modelStatusToString(status)}")
        return Bound(availability, self._solver.getInfo().objective_function_value, *self._size)


def held_throughout(
    times: Sequence[float], counts: Sequence[int], boot: float, end: float, most: int
) -> tuple[tuple[float, float], ...]:
    """(seconds, count): the least that a zone gave over the last `boot` seconds, `most` at most; from `boot` on.

    At a time at which the zone gives less it is already the less, and at one at which a rise is a boot old the more:
    as in the simulator, where losses come before boots that are done.
    """
    steps = [(time, min(count, most)) for time, count in zip(times, counts, strict=True)]
    steps = [step for index, step in enumerate(steps) if index == 0 or step[1] != steps[index - 1][1]]
    # A count stands in the window from its own time until a boot after the next one's.
    marks = sorted({boot, *(at for at, _ in steps), *(at + boot for at, _ in steps)})
    window: deque[tuple[float, int]] = deque()  # (until when it stands in the window, count), rising counts
    found: list[tuple[float, float]] = []
    ends = [*(at for at, _ in steps[1:]), end + boot]
    index = 0
    for mark in marks:
        while index < len(steps) and steps[index][0] <= mark:
            while window and window[-1][1] >= steps[index][1]:
                window.pop()
            window.append((ends[index] + boot, steps[index][1]))
            index += 1
        while window[0][0] <= mark:
            window.popleft()
        if boot <= mark < end and (not found or found[-1][1] != window[0][1]):
            found.append((mark, float(window[0][1])))
    return tuple(found)


def _at(series: Series, time: float) -> float:
    """The value that holds at a time; the first one before it begins."""
    index = bisect_left(series, (time, -np.inf))
    return series[max(0, index - 1)][1]


def _snapped(marks: Iterable[float]) -> list[float]:
    ordered = sorted(marks)
    return [mark for index, mark in enumerate(ordered) if index == 0 or mark - ordered[index - 1] > _SNAP]
