"""Rehearsals made by hand: what a report has to tell, without anything being played."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from rehearsal.result import (
    Difference,
    Incident,
    Kind,
    LoadResult,
    Money,
    Nodes,
    RegionResult,
    Regret,
    Rehearsal,
    Repeated,
    ServiceResult,
    Serving,
    Source,
    Spread,
    Switch,
    Traffic,
    Variant,
)

HOUR, DAY = 3600.0, 86400.0
BEGIN = datetime(2025, 10, 4, 0, 10, tzinfo=UTC)


def serving(rows: Sequence[tuple[float, int]], target: int, end: float) -> Serving:
    """Of (at, ready)."""
    times = [*(at for at, _ in rows[1:]), end]
    good = zero = missing = longest = longest_zero = spell = spell_zero = 0.0
    for (at, ready), until in zip(rows, times, strict=True):
        took = until - at
        good += took if ready >= target else 0.0
        zero += took if not ready else 0.0
        missing += took * max(target - ready, 0)
        spell = spell + took if ready < target else 0.0
        spell_zero = spell_zero + took if not ready else 0.0
        longest, longest_zero = max(longest, spell), max(longest_zero, spell_zero)
    return Serving(target, good / end, zero, longest, longest_zero, missing)


def region(
    stack: str,
    nodes: Sequence[Nodes],
    *,
    target: int = 3,
    end: float = DAY,
    spot: float | None = 1.8,
    on_demand: float | None = 5.5,
    name: str = "",
) -> RegionResult:
    """USD per hour. Figures follow from the nodes."""
    ends = [*(one.at for one in nodes[1:]), end]
    spot_hours = sum((b - a.at) / HOUR * a.spot for a, b in zip(nodes, ends, strict=True))
    other_hours = sum((b - a.at) / HOUR * (a.on_demand + a.booting) for a, b in zip(nodes, ends, strict=True))
    lost = sum(max(a.spot - b.spot, 0) for a, b in itertools.pairwise(nodes))
    return RegionResult(
        stack,
        stack.partition("-")[0],
        name or stack.partition("-")[2],
        serving([(one.at, one.spot + one.on_demand) for one in nodes], target, end),
        Money(
            spot_hours * (spot or 0.0),
            other_hours * (on_demand or 0.0),
            None if on_demand is None else on_demand * target * end / HOUR,
        ),
        tuple(nodes),
        () if spot is None else ((0.0, spot), (end / 3, spot * 1.4), (end / 2, spot * 0.9)),
        on_demand,
        ((0.0, target - 1, 1),),
        lost + target,
        lost,
        lost * 2,
        spot_hours,
        other_hours,
    )


def variant(name: str, kind: Kind, regions: Sequence[RegionResult], end: float, **more: object) -> Variant:
    """Its figures are the regions' together, unless `more` says otherwise."""
    times = sorted({node.at for one in regions for node in one.nodes})
    rows, level = [], dict.fromkeys((one.stack for one in regions), 0)
    moves = {(one.stack, node.at): node.spot + node.on_demand for one in regions for node in one.nodes}
    for at in times:
        level |= {stack: moves[stack, at] for stack in level if (stack, at) in moves}
        rows.append((at, sum(level.values())))
    all_prices = [one.money.on_demand_only for one in regions]
    known = [price for price in all_prices if price is not None]
    fields: dict[str, object] = {
        "change": "",
        "serving": serving(rows, sum(one.serving.target for one in regions), end),
        "money": Money(
            sum(one.money.spot for one in regions),
            sum(one.money.on_demand for one in regions),
            sum(known) if len(known) == len(all_prices) else None,
        ),
        "single_cheapest": min(known, default=None),
        "cheapest_region": regions[0].region,
        "services": (),
        "load": (),
        "incidents": (),
        "log": (),
        "regret": None,
        "launches_per_day": sum(one.launches for one in regions) * DAY / end,
        "preemptions_per_day": sum(one.preemptions for one in regions) * DAY / end,
    }
    return Variant(name=name, kind=kind, regions=tuple(regions), **(fields | more))  # type: ignore[arg-type]


def nodes_of(
    dice: random.Random, end: float, target: int, every: float, dark: tuple[float, float] | None
) -> list[Nodes]:
    """Spot that comes and goes about every so many seconds, on-demand that follows; dark: nothing then."""
    rows = [Nodes(0.0, 0, 0, target, 0, 0), Nodes(900.0, target - 1, 1, 0, target, 0)]
    at, spot = 900.0, target - 1
    while (at := at + dice.expovariate(1 / every)) < end - HOUR:
        gone = dice.randint(1, spot) if spot else 0
        for later, left, more, booting in ((0.0, spot - gone, 0, gone), (700.0, spot - gone, gone, 0)):
            rows.append(Nodes(at + later, left, 1 + more, booting, left + 1 + more, gone if later == 0 else 0))
        at += dice.uniform(1200, 5 * HOUR)
        rows.append(Nodes(at, spot, 1, 0, target, 0))
    if dark:
        rows = [one for one in rows if not dark[0] <= one.at < dark[1] + 900]
        rows += [
            Nodes(dark[0], 0, 0, 0, 0, target),
            Nodes(dark[0] + 60, 0, 0, 0, 0, 0),
            Nodes(dark[1], 0, 0, target, 0, 0),
            Nodes(dark[1] + 900, target - 1, 1, 0, target, 0),
        ]
    kept = {one.at: one for one in sorted(rows, key=lambda one: one.at)}
    return [one for one in kept.values() if one.at < end]


def small(**more: object) -> Rehearsal:
    """A day of one region that is short twice, and nothing else."""
    nodes = [
        Nodes(0.0, 2, 1, 0, 3, 0),
        Nodes(2 * HOUR, 0, 1, 0, 1, 2),
        Nodes(2 * HOUR + 600, 0, 3, 0, 3, 0),
        Nodes(6 * HOUR, 2, 1, 0, 3, 0),
        Nodes(20 * HOUR, 0, 0, 0, 0, 3),
        Nodes(20 * HOUR + 300, 2, 1, 0, 3, 0),
    ]
    only = variant("deployed", "deployed", [region("gcp-us-central1", nodes)], DAY)
    whole = Rehearsal(
        "tiny", "A tiny day", "What one region does in a day.", BEGIN, DAY, 0, ("gcp-us-central1",), {}, "stacks/",
        (Source("spot capacity", "gcp-h100-2025-10", "https://example.com/trace", "2025-10-04"),), (), (only,),
    )  # fmt: skip
    return replace(whole, **more)  # type: ignore[arg-type]


def empty() -> Rehearsal:
    """A fleet that has no price, no name that clients call, and was never ready."""
    nodes = [Nodes(0.0, 0, 0, 2, 0, 0)]
    only = variant("deployed", "deployed", [region("tencent-ap-guangzhou", nodes, spot=None, on_demand=None)], DAY)
    return replace(small(), variants=(only,), fleet=("tencent-ap-guangzhou",), sources=())


def fortnight(seed: int = 7, days: int = 14) -> Rehearsal:
    """Five regions, two names, a dark region, and six things that one could do about it."""
    end, dice = days * DAY, random.Random(seed)
    stacks = ("aws-us-east-1", "aws-us-west-2", "azure-eastus", "gcp-us-central1", "tencent-ap-guangzhou")
    dark = (3.6 * DAY, 3.6 * DAY + 3 * HOUR)
    every = dict(zip(stacks, (9 * HOUR, 30 * HOUR, 14 * HOUR, 6 * HOUR, 400 * HOUR), strict=True))
    regions = [
        region(
            stack,
            nodes_of(dice, end, 2 + (stack[0] == "a"), every[stack], dark if stack == "aws-us-east-1" else None),
            target=2 + (stack[0] == "a"), end=end, spot=None if stack.startswith("tencent") else dice.uniform(1.4, 2.6),
            on_demand=dice.uniform(4.9, 6.6),
        )
        for stack in stacks
    ]  # fmt: skip
    calm = [
        region(
            stack, nodes_of(dice, end, 2 + (stack[0] == "a"), 4 * every[stack], None),
            target=2 + (stack[0] == "a"), end=end, spot=1.9, on_demand=5.4,
        )
        for stack in stacks
    ]  # fmt: skip
    told = {
        "services": tuple(service(name, stacks, dark, end) for name in ("llm.example.com", "eu.llm.example.com")),
        "load": (load("llm.example.com", dark, end),),
        "incidents": incidents(regions, dark),
        "log": log(regions, dark),
        "regret": Regret(0.97, 12_900.0, 0.24),
    }
    base = variant("deployed", "deployed", regions, end, **told)
    keeper = variant("keeper", "keeper", calm, end, change="the keeper decides where to hold what", **told)
    variants = [base, keeper]
    for number, (name, words) in enumerate(
        (
            ("region +1", "another region, us-east5, as gcp-us-central1 is"),
            ("floor +1", "one more replica always on demand in aws-us-east-1"),
            ("target +1", "one more replica in gcp-us-central1"),
            ("boot / 2", "nodes ready in half the time"),
            ("type +1", "p5.48xlarge as on-demand type in aws-us-east-1"),
        )
    ):
        gain = (0.012, 0.006, 0.009, 0.02, -0.001)[number]
        more = (4_200.0, 2_100.0, 1_900.0, -350.0, 40.0)[number]
        was = base.serving.availability
        money = Money(base.money.spot, base.money.on_demand + more * days / 30, base.money.on_demand_only)
        figures = replace(base.serving, availability=min(was + gain, 1.0))
        variants.append(replace(base, name=name, kind="change", change=words, serving=figures, money=money, log=()))
    spread = Spread(0.94, 0.962, 0.981, 0.96)
    usd = Spread(20_000.0, 22_000.0, 25_000.0, 22_200.0)
    differences = Difference(0.0123, 0.0104, 0.0141, 0.93), Difference(-310.0, -420.0, -200.0, 0.1)
    return Rehearsal(
        "region-dark-at-peak",
        "A region goes dark at the busiest hour",
        "Whether the other regions carry what one region drops at its peak, and how long clients notice.",
        BEGIN,
        end,
        seed,
        stacks,
        {"aws-us-east-2": "no service of the global stack reaches it"},
        "sandbox",
        (
            Source(
                "spot capacity of gcp-us-central1", "gcp-h100-2025-10", "https://github.com/andylizf/skynomad-artifact",
                "2025-10-04 to 2025-10-11", "launches at one moment, not how long an instance that is held lives",
            ),
            Source(
                "spot capacity of aws-us-east-1, aws-us-west-2", "gcp-h100-2025-10", "", "2025-10-04",
                "recorded for a3-highgpu-1g in us-east4; stands for p4d.24xlarge", mapped=True,
            ),
            Source("spot capacity of azure-eastus", "markov, seed 7", note="three states", synthetic=True),
            Source("prices", "gcp-h100-2025-10-23", "https://github.com/andylizf/skynomad-artifact", "2025-10-23"),
        ),
        (("regions.aws-us-east-1.node.boot", "as the stack counts on: no boot of it was measured"),),
        tuple(variants),
        tuple(
            Repeated(one.name, 200, spread, usd, None, spread, spread, *(differences if number else ()))
            for number, one in enumerate(variants[:2])
        ),
        "name: region-dark-at-peak\ndays: 14\nevents:\n"
        "- {at: day 4 14:30, for: 3h, what: dark, region: aws-us-east-1}\n",
        ("azure-eastus has no recorded trace: synthetic",),
    )  # fmt: skip


def service(name: str, stacks: Sequence[str], dark: tuple[float, float], end: float) -> ServiceResult:
    """Three members; the first is gone while it is dark."""
    three = stacks[:3]
    whole, left = dict(zip(three, (0.5, 0.3, 0.2), strict=True)), {three[1]: 0.6, three[2]: 0.4}
    answers = ((0.0, whole), (dark[0] + 28, left), (dark[1] + 920, whole))
    clients = [(0.0, whole)]
    for step in range(1, 13):
        share = math.exp(-step / 3)
        mixed = {three[0]: 0.5 * share, three[1]: 0.3 + 0.3 * (1 - share), three[2]: 0.2 + 0.2 * (1 - share)}
        clients.append((dark[0] + 28 + 5 * step, mixed))
    clients.append((dark[1] + 960, whole))
    switches = (
        Switch(name, three[0], True, dark[0], dark[0] + 28, dark[0] + 35, dark[0] + 76),
        Switch(name, three[0], False, dark[1] + 900, dark[1] + 920, dark[1] + 940, None),
    )
    return ServiceResult(name, "weighted", answers, tuple(clients), 0.99931, switches)


def load(name: str, dark: tuple[float, float], end: float) -> LoadResult:
    """A day profile; half fail as the region goes dark, then some are late."""
    rows = []
    for hour in range(int(end / HOUR)):
        rate = 8 + 6 * math.sin((hour % 24 - 8) / 24 * 2 * math.pi)
        rows.append(Traffic(hour * HOUR, rate, rate, 0.0, 0.0, 0.02))
    arriving = rows[int(dark[0] / HOUR)].arriving
    rows.append(Traffic(dark[0], arriving, arriving * 0.5, 0.0, arriving * 0.5, 0.1))
    rows.append(Traffic(dark[0] + 60, arriving, arriving * 0.8, arriving * 0.2, 0.0, 3.5))
    rows.sort(key=lambda row: row.at)
    ends = [*(row.at for row in rows[1:]), end]
    spans = [end - row.at for row, end in zip(rows, ends, strict=True)]

    def total(rates: Sequence[float]) -> float:
        return sum(rate * took for rate, took in zip(rates, spans, strict=True))

    failed = total([row.failed for row in rows])
    return LoadResult(
        name,
        total([row.arriving for row in rows]),
        total([row.served for row in rows]),
        total([row.late for row in rows]),
        failed,
        failed * 0.4,
        {"p50": 0.02, "p90": 0.05, "p99": 3.1},
        2.0,
        tuple(rows),
    )


def incidents(regions: Sequence[RegionResult], dark: tuple[float, float]) -> tuple[Incident, ...]:
    found = [
        Incident(dark[0], dark[1], "scenario", "aws-us-east-1", "dark", "the scenario"),
        Incident(dark[0] + 28, None, "dns", "aws-us-east-1", "answers without it", "2 of 3 checkers failed twice"),
        Incident(6 * DAY, 6 * DAY + 1800, "scenario", "route53", "checkers blind", "the scenario"),
    ]
    for one in regions:
        for before, after in itertools.pairwise(one.nodes):
            if after.spot < before.spot:
                what = f"lost {before.spot - after.spot} spot"
                found.append(Incident(after.at, after.at + 700, "spot", one.stack, what, "capacity of its zone fell"))
    return tuple(sorted(found, key=lambda one: one.at))


def log(regions: Sequence[RegionResult], dark: tuple[float, float]) -> tuple[tuple[float, str, str, str], ...]:
    lines = [(dark[0], "aws-us-east-1", "dark", "the scenario")]
    for one in regions:
        for before, after in itertools.pairwise(one.nodes):
            if after.on_demand > before.on_demand:
                why = "spot is short, and nothing of it boots"
                lines.append((after.at, one.stack, f"on-demand {before.on_demand} to {after.on_demand}", why))
    return tuple(sorted(lines))
