"""What a node of a pool costs and how often it is missing, from recorded spot capacity: the cost model's way in here.

    found = blend(PoolSpec("gcp", "us-central1", "a3-highgpu-8g", target=3), data.trace("gcp-h100-2025-10"),
                  data.price_list("gcp-h100-2025-10-23"), boot=600.0, runs=200, seed=1)
    found.usd_per_hour.p50          # of one node that is wanted, spot and on demand together
    found.below_target_hours.p90    # a month
    found.billed_spot.mean          # node-hours billed for each node-hour wanted: times another price of spot

A pool is a spot group and an on-demand group under the rule of `infra/fallback.py`, played by `RegionPlay` as its cloud
would. Each run is a month put together from days of the trace that are drawn at random (`windows.resampled`): with a
week recorded, months cannot be taken as they were. Nothing here asks a cloud, and no cloud's SDK is imported.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any, Final, Literal

from cost.money import HOURS_PER_MONTH
from infra.fallback import Rule
from infra.function.load import LoadRule
from rehearsal import data
from rehearsal.fleet import AlarmFallback, Balancer, FunctionFallback, Node, Pool, Region
from rehearsal.fleet.common import SPOT_NOTICE
from rehearsal.fleet.files import RETRY_SECONDS
from rehearsal.fleet.files_aws import fallback_alarms
from rehearsal.fleet.files_base import CHECK_SECONDS, CHECK_THRESHOLD, CHECK_TIMEOUT
from rehearsal.fleet.model import TIMER_SECONDS
from rehearsal.measures import DAY
from rehearsal.model import HOUR
from rehearsal.monte import Draw, repeat, spread
from rehearsal.prices import PriceList
from rehearsal.regions import Clock, Prices, RegionPlay, capacity_of
from rehearsal.result import Source, Spread
from rehearsal.trace import Trace, region_of
from rehearsal.windows import resampled
from spillway.errors import SpillwayError

Cloud = Literal["aws", "azure", "gcp"]
CLOUDS: Final[tuple[Cloud, ...]] = ("aws", "azure", "gcp")
HOURS: Final = float(HOURS_PER_MONTH)
SIZE_MAX: Final = 500
_ANY: Final = "any"
"""Machine type of a pool whose types are not told apart: a trace counts them together."""


@dataclass(frozen=True, slots=True)
class PoolSpec:
    """A pool as a stack file has it: `pools`, `fallback`, `node`; counts are nodes of `machine`.

    maximum: most on-demand nodes; None: the target. zones: of the trace, that stand for the pool's; (): those of the
    same region where the trace has them, else those of the trace's region with the most zones. deregister_seconds,
    drain_seconds: for which a node that is given up is still billed. Raises SpillwayError: key, value, what is allowed.
    """

    cloud: Cloud
    region: str
    machine: str
    target: int
    floor: int = 0
    maximum: int | None = None
    out_minutes: int = 2
    in_minutes: int = 12
    zones: tuple[str, ...] = ()
    notice_seconds: float | None = None
    deregister_seconds: int = 15
    drain_seconds: int = 90

    def __post_init__(self) -> None:
        if self.cloud not in CLOUDS:
            raise SpillwayError(f"pool: cloud = {self.cloud}: has to be {', '.join(CLOUDS[:-1])} or {CLOUDS[-1]}")
        most = self.target if self.maximum is None else self.maximum
        for key, value, low, high in (
            ("target", self.target, 1, SIZE_MAX),
            ("floor", self.floor, 0, self.target),
            ("maximum", most, self.target, SIZE_MAX),
            ("outMinutes", self.out_minutes, 1, 60),
            ("inMinutes", self.in_minutes, 2, 240),
        ):
            if not low <= value <= high:
                raise SpillwayError(f"pool: {key} = {value}: has to be from {low} to {high}")

    @classmethod
    def of(cls, region: Region, zones: tuple[str, ...] = ()) -> PoolSpec:
        """The pool of a deployed region. Raises SpillwayError for one without spot, or without a rule."""
        if region.spot is None or region.rule is None or region.cloud not in CLOUDS:
            raise SpillwayError(f"{region.stack}: has no spot pool under a rule of infra/fallback.py")
        cloud = region.cloud
        rule, node = region.rule, region.node
        return cls(
            cloud, region.region, region.spot.types[0], region.target, region.floor, region.maximum, rule.out_minutes,
            rule.in_minutes, zones, float(node.notice_seconds), node.deregister_seconds, node.drain_seconds,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class PoolPrices:
    """USD per hour of one node. spot: of all zones, or by zone of the trace. source: where they are from."""

    spot: float | Mapping[str, float]
    on_demand: float
    source: Source

    def __post_init__(self) -> None:
        spot = self.spot.values() if isinstance(self.spot, Mapping) else [self.spot]
        if not all(math.isfinite(one) and one >= 0 for one in (*spot, self.on_demand)):
            raise SpillwayError("pool: prices have to be numbers of USD, 0 or more")


@dataclass(frozen=True, slots=True)
class Blend:
    """Of one pool over many months. All but `availability` and `interruptions_per_day` are per node that is wanted.

    usd_per_hour: its bill, both markets. share: of the same nodes all on demand; None where that costs nothing. spot,
    on_demand, nothing: share of the time in which it is served by each; they add up to 1. billed_spot,
    billed_on_demand: node-hours billed for an hour wanted (boots, notice and drains are billed and serve nobody), so
    that usd_per_hour = billed_spot * spot price + billed_on_demand * on-demand price where zones cost alike.
    availability: share of the time with the whole target ready. interruptions_per_day: spot nodes of the pool that are
    taken. below_target_hours: a month of 730 h. hours: length of a run.
    """

    spec: PoolSpec
    boot_seconds: float
    runs: int
    seed: int
    hours: float
    usd_per_hour: Spread
    share: Spread | None
    spot: Spread
    on_demand: Spread
    nothing: Spread
    billed_spot: Spread
    billed_on_demand: Spread
    availability: Spread
    interruptions_per_day: Spread
    below_target_hours: Spread
    zones: tuple[str, ...]
    sources: tuple[Source, ...]

    @property
    def mapped(self) -> bool:
        """Whether something recorded stands for another machine, zone or cloud."""
        return any(one.mapped for one in self.sources)

    @property
    def synthetic(self) -> bool:
        return any(one.synthetic for one in self.sources)

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"mapped": self.mapped, "synthetic": self.synthetic}


@dataclass(frozen=True, slots=True)
class _Month:
    """One run, per node that is wanted."""

    usd_per_hour: float
    spot: float
    on_demand: float
    nothing: float
    billed_spot: float
    billed_on_demand: float
    availability: float
    interruptions_per_day: float
    below_target_hours: float


@dataclass(frozen=True, slots=True)
class _Task:
    region: Region
    trace: Trace
    prices: Prices
    boot: float
    hours: float = field(default=HOURS)


def blend(
    spec: PoolSpec,
    trace: Trace,
    prices: PoolPrices | PriceList,
    *,
    boot: float,
    runs: int = 200,
    seed: int = 0,
    hours: float = HOURS,
    workers: int | None = 1,
    progress: Callable[[str], None] | None = None,
) -> Blend:
    """Plays the pool over `runs` months of the trace. boot: seconds from launch to ready. hours: of one run.

    workers, progress: see `monte.repeat`; the result does not depend on them. Raises SpillwayError.
    """
    if not (math.isfinite(boot) and 0 <= boot <= 110 * 60):
        raise SpillwayError(f"boot = {boot:g}: has to be from 0 to {110 * 60:,} s")
    if not (math.isfinite(hours) and 1 <= hours <= 8760 and hours * HOUR > boot):
        raise SpillwayError(f"hours = {hours:g}: has to be from 1 to 8,760, and longer than a boot")
    zones = _zones(spec, trace)
    part = trace.only(zones)
    given = _of_list(spec, prices, zones) if isinstance(prices, PriceList) else prices
    task = _Task(_region(spec, zones, boot), part, _series(given, zones), boot, hours)
    found = repeat(partial(_month, task), runs, seed, workers, progress)

    def of(name: str) -> Spread:
        return spread([getattr(one, name) for one in found])

    dear = given.on_demand
    return Blend(
        spec=spec,
        boot_seconds=boot,
        runs=runs,
        seed=seed,
        hours=hours,
        usd_per_hour=of("usd_per_hour"),
        share=spread([one.usd_per_hour / dear for one in found]) if dear else None,
        spot=of("spot"),
        on_demand=of("on_demand"),
        nothing=of("nothing"),
        billed_spot=of("billed_spot"),
        billed_on_demand=of("billed_on_demand"),
        availability=of("availability"),
        interruptions_per_day=of("interruptions_per_day"),
        below_target_hours=of("below_target_hours"),
        zones=zones,
        sources=(_source(spec, part), given.source),
    )


def _month(task: _Task, draw: Draw) -> _Month:
    seconds, target = task.hours * HOUR, task.region.target
    clock = Clock()
    month = resampled(task.trace, seconds, draw.dice("days"))
    play = RegionPlay(clock, task.region, capacity_of(month), task.prices, boot=task.boot)
    clock.run(seconds)
    played = play.played()
    spot = on_demand = below = 0.0
    levels = played.levels
    for index, level in enumerate(levels):
        upto = levels[index + 1].at if index + 1 < len(levels) else played.end
        length = max(0.0, upto - max(level.at, played.begin))
        by_spot = min(level.spot, target)
        spot += length * by_spot
        on_demand += length * min(level.on_demand, target - by_spot)
        below += length if level.ready < target else 0.0
    counted = played.end - played.begin
    billed = {"spot": 0.0, "on-demand": 0.0}
    for one in played.instances:
        billed[one.market] += (played.end if one.ended is None else one.ended) - one.launched
    wanted = target * counted
    return _Month(
        usd_per_hour=played.cost() / (target * task.hours),
        spot=spot / wanted,
        on_demand=on_demand / wanted,
        nothing=1.0 - (spot + on_demand) / wanted,
        billed_spot=billed["spot"] / (target * seconds),
        billed_on_demand=billed["on-demand"] / (target * seconds),
        availability=1.0 - below / counted,
        interruptions_per_day=played.losses / seconds * DAY,
        below_target_hours=below / counted * HOURS,
    )


# --- what is played ---------------------------------------------------------------------------------------------------


def _zones(spec: PoolSpec, trace: Trace) -> tuple[str, ...]:
    """Zones of the trace that stand for the pool's. Raises SpillwayError."""
    if spec.zones:
        return trace.only(spec.zones).zones
    by_region: dict[str, list[str]] = {}
    for zone in trace.zones:
        by_region.setdefault(region_of(zone), []).append(zone)
    region = spec.region if spec.region in by_region else min(by_region, key=lambda name: (-len(by_region[name]), name))
    return tuple(by_region[region])


def _region(spec: PoolSpec, zones: tuple[str, ...], boot: float) -> Region:
    """A region of one pool, under the rule that the spec asks for, as its stack would have it."""
    most = spec.target if spec.maximum is None else spec.maximum
    name = f"{spec.cloud}-{spec.region}"
    minutes = max(1, math.ceil(boot / 60.0))
    rule = Rule(spec.floor, spec.out_minutes, spec.in_minutes, minutes, most)
    filled = spec.cloud != "aws"
    least = spec.target - spec.floor
    spot = Pool(f"{name}-spot", "spot", (_ANY,), "any", zones, least, max(least, 0), 0 if filled else least)
    on_demand = Pool(
        f"{name}-on-demand", "on-demand", (_ANY,), "in-order", zones, spec.floor, most, 0 if filled else spec.floor
    )
    fallback: AlarmFallback | FunctionFallback
    if filled:
        load = LoadRule(1.0, 0.0, 3, 30, 1, 1, 300, least, least)
        retry = RETRY_SECONDS if spec.cloud == "gcp" else None
        fallback = FunctionFallback(rule, load, TIMER_SECONDS, retry, dry_run=False, paused=False)
    else:
        names: dict[str, str] = {pool.market: pool.name for pool in (spot, on_demand)}
        try:
            fallback = AlarmFallback(fallback_alarms(rule, names, [], enabled=True), ())
        except ValueError as error:
            raise SpillwayError(f"pool: {error}") from None
    notice = SPOT_NOTICE[spec.cloud][0] if spec.notice_seconds is None else spec.notice_seconds
    node = Node(
        boot_minutes=minutes, grace_seconds=0, notice_seconds=round(notice), counted_seconds=round(notice),
        deregister_seconds=spec.deregister_seconds, drain_seconds=spec.drain_seconds, model="", concurrency=1,
        max_model_len=1, queue=1, ttft_p50_ms=1, error_rate=1.0,
    )  # fmt: skip
    front = Balancer(
        "HTTPS", "/readyz", 443, CHECK_SECONDS, CHECK_TIMEOUT, CHECK_THRESHOLD, CHECK_THRESHOLD, spec.drain_seconds, 1
    )
    return Region(
        stack=name, cloud=spec.cloud, region=spec.region, residency="", nearest_aws_region="", target=spec.target,
        floor=spec.floor, maximum=most, spot=spot, on_demand=on_demand, blocks=(), fallback=fallback, rule=rule,
        signal="none", hooks=(), node=node, balancer=front,
    )  # fmt: skip


def _of_list(spec: PoolSpec, listed: PriceList, zones: tuple[str, ...]) -> PoolPrices:
    """The list's prices of the pool's region, or by zone of the trace where the list has no such region."""
    spot, dear = listed.usd.get((spec.region, "spot")), listed.usd.get((spec.region, "on-demand"))
    if spot is not None and dear is not None:
        return PoolPrices(spot, dear, _listed(spec, listed, mapped=False))
    regions = {zone: region_of(zone) for zone in zones}
    lacking = [one for one in regions.values() if not {(one, "spot"), (one, "on-demand")} <= {*listed.usd}]
    if lacking:
        raise SpillwayError(
            f"{listed.name}: no spot and on-demand price of {listed.machine} in {spec.region}, nor in {lacking[0]}, "
            f"which stands for it"
        )
    return PoolPrices(
        {zone: listed.usd[region, "spot"] for zone, region in regions.items()},
        min(listed.usd[region, "on-demand"] for region in regions.values()),
        _listed(spec, listed, mapped=True),
    )


def _listed(spec: PoolSpec, listed: PriceList, *, mapped: bool) -> Source:
    known = next((one for one in data.manifest()["prices"].values() if one.path.stem == listed.name), None)
    other = listed.machine != spec.machine or listed.per != 1
    note = f"prices of {listed.machine}" + (f" / {listed.per}" if listed.per != 1 else "") if other else ""
    return Source(
        what="prices",
        name=listed.name,
        origin=known.source if known else "",
        date=", ".join(listed.observed),
        note="; ".join(filter(None, (note, "of the zones that stand for the region" if mapped else ""))),
        mapped=mapped or other,
    )


def _series(prices: PoolPrices, zones: tuple[str, ...]) -> Prices:
    spot = {zone: prices.spot.get(zone) if isinstance(prices.spot, Mapping) else prices.spot for zone in zones}
    if lacking := [zone for zone, usd in spot.items() if usd is None]:
        raise SpillwayError(f"pool: no spot price of {lacking[0]}, which stands for one of its zones")
    found: dict[tuple[str, str, Any], tuple[tuple[float, float], ...]] = {}
    for zone, usd in spot.items():
        assert usd is not None
        found["", zone, "spot"] = ((0.0, usd),)
        found["", zone, "on-demand"] = ((0.0, prices.on_demand),)
    return found


def _source(spec: PoolSpec, trace: Trace) -> Source:
    """Of the trace, and what it stands for here."""
    known = data.known(trace.sha256)
    recorded = known.instance if known else None
    elsewhere = any(region_of(zone) != spec.region for zone in trace.zones)
    other = recorded != spec.machine
    notes = [f"months of days of {trace.end / DAY:.1f} days, drawn at random"]
    if trace.synthetic:
        notes.append("synthetic: nobody recorded it")
    elif other:
        notes.append(f"recorded of {recorded or 'a machine that is not told'}: counts are taken as of {spec.machine}")
    if elsewhere:
        notes.append(f"{', '.join(trace.zones)} for the zones of {spec.region}")
    return Source(
        what="spot capacity",
        name=trace.name,
        origin=known.source if known else "",
        date=known.date if known else "",
        note="; ".join(notes),
        synthetic=trace.synthetic,
        mapped=not trace.synthetic and (other or elsewhere),
    )
