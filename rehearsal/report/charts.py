"""Charts of a rehearsal, each of a span: nodes and price of a region, who answers a name, requests, incidents."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final, Literal

from rehearsal.report import told as facts
from rehearsal.report import words
from rehearsal.report.told import Told
from rehearsal.result import Incident, LoadResult, RegionResult, ServiceResult, Variant
from spillway import axes, page
from spillway.axes import Axis, Row
from spillway.looks import Look
from spillway.page import Html
from spillway.svg import Plot

SPOT, ON_DEMAND, BOOTING = Look("k1"), Look("k2", "hatch"), Look("k8", "light")
TARGET = Look("ink", dash="6 3", width=1.6)
SHORT, REFUSING = Look("bad"), Look("bad", "columns")
PRICE, LIST_PRICE = Look("k3", width=1.8), Look("soft", dash="3 3")
SERVED, LATE, FAILED = Look("k3"), Look("k7", "hatch"), Look("bad", "wide")
ARRIVING, TTFT = Look("ink", dash="6 3"), Look("k4", width=1.6)
EVENT = Look("ink", dash="2 2", width=1.2)
LEFT: Final = 62
"""Pixels for what stands left of every chart: their times stand below each other."""
COLUMNS: Final = 700
"""Of a chart's width: what is closer than one is drawn as one."""
LANES: Final[dict[str, tuple[str, Look]]] = {
    "scenario": ("scenario", Look("ink")),
    "spot": ("spot", Look("k1")),
    "fallback": ("fallback", Look("k2")),
    "keeper": ("keeper", Look("k3")),
    "balancer": ("balancer", Look("k6")),
    "dns": ("DNS", Look("k4")),
    "load": ("load", Look("k7")),
}
"""Where incidents come from, top to bottom. Rows tell them apart, colours only help."""
NODES_LEGEND: Final = (
    (SPOT, "spot ready", "area"),
    (ON_DEMAND, "on-demand ready", "area"),
    (BOOTING, "booting", "area"),
    (TARGET, "target", "line"),
    (SHORT, "below the target (strip on top)", "area"),
    (REFUSING, "requests sent to nodes that do not answer (strip at the bottom)", "area"),
    (PRICE, "cheapest spot, USD/h", "line"),
    (LIST_PRICE, "on-demand price", "line"),
)


class Charts:
    """Of one span. ident: unique in the page, prefix of its charts' ids; href: where ticks of time lead."""

    def __init__(
        self, told: Told, low: float, high: float, ident: str, href: Callable[[float], str] | None = None
    ) -> None:
        self.told, self.low, self.high, self.ident = told, low, high, ident
        self.begin = told.rehearsal.begin
        self.time = axes.times(self.begin, low, high, most=15, href=href)
        self.span = f"{words.stamp(self.begin, low)} to {words.stamp(self.begin, high)}"

    # --- nodes --------------------------------------------------------------------------------------------------------

    def fleet(self, variant: Variant, *, height: int = 120, labels: bool = True) -> str:
        """All regions together, without prices."""
        rows = self.told.fleet(variant)
        top = axis_top(rows)
        name = f"{self.ident}-fleet-{page.slug(variant.name)}"
        title = f"Fleet, {variant.name}: nodes, {self.span}"
        return self._nodes(rows, variant.serving.target, top, name, title, height, labels, ())

    def region(self, one: RegionResult, *, height: int = 92, labels: bool = True, kind: str = "") -> str:
        """Its nodes, and below them the price strip where spot has one."""
        rows = facts.sizes(one.nodes)
        name = f"{self.ident}-{kind}{page.slug(one.stack)}"
        spot = [(at, price) for at, price in one.prices]
        events = [found for found in self.told.incidents if found.where == "scenario" and found.place == one.stack]
        title = f"{one.stack}: nodes, {self.span}"
        targets = [(at, float(spot_target + least)) for at, spot_target, least in one.targets]
        top = max(axis_top(rows), *(int(row[1]) for row in targets), one.serving.target)
        priced = bool(spot)
        nodes = self._nodes(rows, one.serving.target, top, name, title, height, labels and not priced, events, targets)
        return nodes + (self._price(one, spot, f"{name}-price", labels) if priced else "")

    def _nodes(
        self,
        rows: Sequence[Row],
        target: int,
        top: int,
        name: str,
        title: str,
        height: int,
        labels: bool,
        events: Iterable[Incident],
        targets: Sequence[Row] = (),
    ) -> str:
        y = axes.linear([1.12 * max(top, target, 1)], most=max(2, height // 30), whole=True)
        plot = Plot(self.time, y, height=height, left=LEFT, labels=labels)
        cut = axes.thin(axes.window(rows, self.low, self.high), self.low, self.high)
        spells = facts.short(rows, target, self.low, self.high)
        for several in self._columns(spells):
            first, last = several[0], several[-1]
            took = words.duration(sum(spell.end - spell.begin for spell in several))
            said = f"{words.stamp(self.begin, first.begin)}: below the target for {took}"
            if len(several) > 1:
                said += f" in {len(several)} spells until {words.stamp(self.begin, last.end)}"
            said += f", {min(spell.nodes for spell in several)} ready at the least"
            plot.band(first.begin, last.end, SHORT, said, opacity=0.14)
            # Above all that is drawn: a strip that no other surface hides, and that needs no colour.
            plot.bar(first.begin, last.end, y.high * (1 - 6 / height), y.high, SHORT, said, least=True)
        plot.stack(((SPOT, "spot ready"), (ON_DEMAND, "on-demand ready"), (BOOTING, "booting")), [r[:4] for r in cut])
        plot.step(axes.window(targets, self.low, self.high) or [(self.low, float(target))], TARGET, "target")
        for dead in self._columns(facts.refusing(rows, self.low, self.high)):
            took = words.duration(sum(one.end - one.begin for one in dead))
            said = f"{words.stamp(self.begin, dead[0].begin)}: {max(one.nodes for one in dead)} sent requests without "
            plot.bar(
                dead[0].begin, dead[-1].end, 0, y.high * 5 / height, REFUSING, f"{said}answering, {took}", least=True
            )
        for one in events:
            for at in (one.at, one.until):
                if at is not None and self.low <= at < self.high:
                    plot.rule(x=at, style=EVENT, title=f"{one.what}: {'begin' if at == one.at else 'end'}")
            if self.low <= one.at < self.high:
                plot.text(one.at, y.high, one.what, anchor=self._side(one.at), dx=4, dy=18)
        return plot.draw(name, title, self._said(rows, target, spells))

    def _columns(self, spells: Iterable[facts.Spell]) -> list[list[facts.Spell]]:
        """Those that nobody could tell apart at this scale, together."""
        found: list[list[facts.Spell]] = []
        for one in spells:
            if found and one.begin - found[-1][-1].end < (self.high - self.low) / COLUMNS:
                found[-1].append(one)
            else:
                found.append([one])
        return found

    def _said(self, rows: Sequence[Row], target: int, spells: Sequence[facts.Spell]) -> str:
        cut = axes.window(rows, self.low, self.high)
        ready = [int(row[1] + row[2]) for row in cut] or [0]
        below = sum(one.end - one.begin for one in spells)
        return (
            f"Ready {min(ready)} to {max(ready)}, target {target}; below it {words.duration(below)} in "
            f"{words.count(len(spells), 'spell')}. Mean {axes.mean(rows, self.low, self.high, 1):.2f} spot and "
            f"{axes.mean(rows, self.low, self.high, 2):.2f} on-demand."
        )

    def _price(self, one: RegionResult, spot: Sequence[Row], name: str, labels: bool) -> str:
        cut = axes.thin(axes.window(spot, self.low, self.high), self.low, self.high)
        prices = [row[1] for row in spot]
        y = axes.linear([*prices, one.on_demand_price or 0.0], most=3)
        plot = Plot(self.time, y, height=40, left=LEFT, labels=labels, top=6)
        plot.step(cut, PRICE, "cheapest spot, USD per hour")
        if one.on_demand_price is not None:
            plot.rule(
                y=one.on_demand_price, style=LIST_PRICE, title=f"on demand USD {one.on_demand_price:.2f} per hour"
            )
        shown = [row[1] for row in cut] or [0.0]
        on_demand = "unpriced" if one.on_demand_price is None else f"{one.on_demand_price:.2f}"
        return plot.draw(
            name,
            f"{one.stack}: cheapest spot, USD per hour, {self.span}",
            f"{min(shown):.2f} to {max(shown):.2f}; on demand {on_demand}.",
        )

    def _side(self, at: float) -> Literal["start", "end"]:
        return "end" if self.time.share(at) > 0.8 else "start"

    # --- names --------------------------------------------------------------------------------------------------------

    def service(self, one: ServiceResult, *, height: int = 54, labels: bool = True) -> str:
        """What the provider answers, and below it where clients go."""
        name = f"{self.ident}-{page.slug(one.name)}"
        return self._shares(one.answers, f"{name}-answers", f"{one.name}: answers", height, False) + self._shares(
            one.clients, f"{name}-clients", f"{one.name}: clients", height, labels
        )

    def _shares(
        self, series: Sequence[tuple[float, dict[str, float]]], name: str, title: str, height: int, labels: bool
    ) -> str:
        members = list(self.told.looks)
        rows = [(at, *(shares.get(member, 0.0) for member in members)) for at, shares in series]
        cut = axes.window(rows, self.low, self.high)
        told = ", ".join(
            f"{member} {words.share(axes.mean(rows, self.low, self.high, column))}"
            for column, member in enumerate(members, 1)
            if any(row[column] for row in cut)
        )
        y = Axis(0.0, 1.0, (axes.Tick(0, "0 %"), axes.Tick(1, "100 %")), title=title.rpartition(": ")[2])
        plot = Plot(self.time, y, height=height, left=LEFT, labels=labels, top=0)
        thinned = axes.thin(cut, self.low, self.high)
        plot.stack([(self.told.looks[member], member) for member in members], thinned)
        for begin, end in _nobody(cut, self.high):
            plot.band(begin, end, SHORT, f"nobody for {words.duration(end - begin)}", opacity=0.6)
        return plot.draw(name, f"{title}, {self.span}", f"Means: {told or 'nobody'}.")

    # --- requests -----------------------------------------------------------------------------------------------------

    def load(self, one: LoadResult, *, height: int = 92, labels: bool = True) -> str:
        """Requests by what became of them, and the seconds that queueing adds to the first token."""
        rows = [(row.at, row.served, row.late, row.failed, row.arriving, row.ttft) for row in one.traffic]
        cut = axes.thin(axes.window(rows, self.low, self.high), self.low, self.high)
        name = f"{self.ident}-load-{page.slug(one.service)}"
        # A queue that drains answers many times what arrives for some seconds: that would flatten all else.
        most = max((row[4] for row in rows), default=0.0)
        y = axes.linear([1.25 * most], most=3, title="requests per second")
        plot = Plot(self.time, y, height=height, left=LEFT, labels=False, top=0)
        plot.stack(((SERVED, "in time"), (LATE, "late"), (FAILED, "failed")), [row[:4] for row in cut])
        plot.step([(row[0], row[4]) for row in cut], ARRIVING, "arriving")
        ends = [*(row[0] for row in cut[1:]), self.high]
        lost = [facts.Spell(row[0], end, 0, (end - row[0]) * row[3]) for row, end in zip(cut, ends, strict=True)
                if row[3] > row[4] / 1000]  # fmt: skip
        for several in self._columns(lost):
            said = f"{words.stamp(self.begin, several[0].begin)}: {sum(one.none for one in several):,.0f} failed"
            plot.bar(several[0].begin, several[-1].end, y.high * (1 - 6 / height), y.high, FAILED, said, least=True)
        means = [axes.mean(rows, self.low, self.high, column) for column in (4, 1, 2, 3)]
        said = "Mean per second: {:.2f} arrive, {:.2f} answered in time, {:.2f} late, {:.2f} failed.".format(*means)
        if (peak := max((sum(row[1:4]) for row in cut), default=0.0)) > y.high:
            said += f" As a queue drains, up to {peak:.1f} are answered or dropped; the chart ends at {y.high:g}."
        told = plot.draw(name, f"{one.service}: requests per second, {self.span}", said)
        worst = max((row[5] for row in rows), default=0.0)
        wait = Plot(
            self.time,
            axes.linear([worst, min(one.limit, 4 * worst) if worst else one.limit], most=2, title="queueing adds, s"),
            height=40,
            left=LEFT,
            labels=labels,
            top=4,
        )
        wait.step([(row[0], row[5]) for row in cut], TTFT, "seconds that queueing adds to the first token")
        if one.limit <= wait.y.high:
            wait.rule(
                y=one.limit, style=LIST_PRICE, title=f"limit {one.limit:g} s", label=f"late beyond {one.limit:g} s"
            )
        longest = max((row[5] for row in cut), default=0.0)
        return told + wait.draw(f"{name}-ttft", f"{one.service}: seconds that queueing adds to the first token, "
                                f"{self.span}", f"At most {longest:.2f} s; limit {one.limit:g} s.")  # fmt: skip

    # --- incidents ----------------------------------------------------------------------------------------------------

    def incidents(self) -> str:
        """A lane for each origin; what lies within one column of a lane is one bar that says how many it is."""
        shown = [one for one in self.told.incidents if one.at < self.high and self._until(one) >= self.low]
        lanes = [where for where in LANES if any(one.where == where for one in shown)]
        if not lanes:
            return ""
        y = axes.names([LANES[where][0] for where in lanes])
        plot = Plot(self.time, y, height=20 * len(lanes), labels=False, left=LEFT)
        for row, where in enumerate(lanes):
            low, high = axes.slot(y, row, 0.62)
            for begin, end, found in self._together([one for one in shown if one.where == where]):
                first = found[0]
                said = f"{words.stamp(self.begin, first.at)} {first.place}: {first.what}"
                if len(found) > 1:
                    said += f", and {len(found) - 1} more until {words.stamp(self.begin, end)}"
                plot.bar(begin, end, low, high, LANES[where][1], said, href=self.told.link(first), least=True)
        return plot.draw(
            f"{self.ident}-incidents", f"Incidents by origin, {self.span}", f"{words.count(len(shown), 'incident')}."
        )

    def _until(self, one: Incident) -> float:
        """What has no end is a moment, unless the scenario did it: that goes on."""
        if one.until is not None:
            return one.until
        return self.told.end if one.where == "scenario" else one.at

    def _together(self, incidents: Sequence[Incident]) -> list[tuple[float, float, list[Incident]]]:
        column = (self.high - self.low) / 250
        found: list[tuple[float, float, list[Incident]]] = []
        for one in incidents:
            until = self._until(one)
            if found and one.at - found[-1][1] < column and one.where != "scenario":
                begin, end, several = found.pop()
                found.append((begin, max(end, until), [*several, one]))
            else:
                found.append((one.at, until, [one]))
        return found


def axis_top(rows: Sequence[Row]) -> int:
    """Most nodes, those that boot too."""
    return int(max((sum(row[1:4]) for row in rows), default=0))


def _nobody(cut: Sequence[Row], high: float) -> list[tuple[float, float]]:
    ends = [*(row[0] for row in cut[1:]), high]
    return [(row[0], end) for row, end in zip(cut, ends, strict=True) if sum(row[1:]) < 1e-9]


def quiet(rows: Sequence[Row], low: float, high: float) -> bool:
    """Nothing of it changes between two times."""
    return len(axes.window(rows, low, high)) <= 1


def members_legend(told: Told) -> Html:
    """Members as charts of names have them."""
    return page.legend([(one, member, "area") for member, one in told.looks.items()])
