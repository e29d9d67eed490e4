"""Regions straight from stack files: what they would make, without an engine, an account or anything deployed.

What `infra/` writes by a pure function (names, the fallback's rule and its alarms, settings of the function, zones) is
asked of it. A few constants stand in modules that import a cloud's SDK, of which a process has one at most, and are
repeated here; tests/rehearsal/test_fleet.py holds them against what the engine deploys.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from infra import naming
from infra.azure import names as azure_names
from infra.azure.zones import pool_zones
from infra.config import AwsRegion, AzureRegion, GcpRegion, RegionConfig, TencentRegion
from infra.fallback import NAMESPACE, PERIOD_SECONDS, STATISTIC, Expression, Rule, aws_alarms
from infra.function.settings import NAMESPACE as NODES_NAMESPACE
from infra.function.settings import GcpSettings, Settings, environment, variable
from infra.gcp import names as gcp_names
from infra.gcp.disks import by_layout
from infra.outputs import PORT, READY_PATH
from infra.stackfile import REGION_KEY
from infra.tencent import names as tencent_names
from rehearsal.fleet import common, tencent
from rehearsal.fleet.functions import EMPTY
from rehearsal.fleet.model import (
    TIMER_SECONDS,
    Alarm,
    AlarmFallback,
    Balancer,
    FunctionFallback,
    Hook,
    Metric,
    Node,
    NoFallback,
    Origin,
    Pool,
    Region,
    SimplePolicy,
    StepPolicy,
    alarm_rule,
)
from rehearsal.fleet.resources import Notes

# infra/aws/pools.py
HOOK_LEAST, HOOK_MOST, HOOK_MARGIN = 30, 110, 10
# infra/{aws,azure,gcp,tencent}/balancer.py
CHECK_SECONDS, CHECK_TIMEOUT, CHECK_THRESHOLD = 5, 4, 2
# infra/gcp/scaling.py
RETRY_SECONDS: Final = 5
# infra/gcp/node.py
GCP_NOTICE, GCP_SHUTDOWN = 120, 30
# infra/tencent/network.py, infra/tencent/pools.py
TENCENT_PROBE_PORT: Final = 8080
TENCENT_HOOK_LEAST, SHORT_PERIOD, LONG_PERIOD, PERIODS_MOST = 30, 60, 300, 10
BLOCKS_UNKNOWN: Final = "only the account knows what the reservation holds: taken as nothing"
_SUPPLY: Final = {"GroupInServiceInstances": "in_service", "GroupPendingInstances": "pending"}


@dataclass(frozen=True, slots=True)
class Writer:
    """Notes which key of a stack file each figure comes from."""

    file: str
    notes: Notes
    path: str

    def at(self, path: str) -> Writer:
        return Writer(self.file, self.notes, f"{self.path}.{path}")

    def say(self, **keys: str) -> None:
        """field = key below spillway:region."""
        for field, key in keys.items():
            self.notes[f"{self.path}.{field}"] = Origin(self.file, f"{REGION_KEY}.{key}")

    def assume(self, **whys: str) -> None:
        """field = why it is so, although the file does not say it."""
        for field, why in whys.items():
            self.notes[f"{self.path}.{field}"] = Origin(self.file, assumed=why)


def region(config: RegionConfig, file: str, notes: Notes) -> Region:
    """The region that a stack file makes; where its figures come from goes into `notes`."""
    top = Writer(file, notes, config.stack_name)
    top.say(
        stack="region", cloud="cloud", region="region", residency="residency", target="pools.target",
        floor="pools.floor", maximum="pools.max", signal="scaling.signal", fallback="fallback", rule="fallback",
        nearest_aws_region="region" if config.CLOUD == "aws" else "nearestAwsRegion",
    )  # fmt: skip
    for path in ("rule", "fallback.rule"):
        top.at(path).say(
            floor="pools.floor", out_minutes="fallback.outMinutes", in_minutes="fallback.inMinutes",
            boot_minutes="fallback.bootMinutes", max_on_demand="pools.max",
        )  # fmt: skip
    top.at("node").say(**common.CONFIG_KEYS)
    top.assume(balancer=f"the same for every region (infra/{config.CLOUD}/balancer.py)")
    return common.complete(_MAKERS[config.CLOUD](config, top), notes, file)


def _common(config: RegionConfig) -> dict[str, Any]:
    return {
        "stack": config.stack_name,
        "cloud": config.CLOUD,
        "region": config.region,
        "residency": config.residency,
        "nearest_aws_region": config.latency_region,
        "target": config.pools.target,
        "floor": config.pools.floor,
        "maximum": config.pools.max,
        "signal": config.scaling.signal,
    }


def _rule(config: RegionConfig) -> Rule:
    return Rule(
        floor=config.pools.floor,
        out_minutes=config.fallback.out_minutes,
        in_minutes=config.fallback.in_minutes,
        boot_minutes=config.fallback.boot_minutes,
        max_on_demand=config.pools.max,
    )


def _say_pools(top: Writer, config: RegionConfig) -> None:
    zones = "network.zones" if config.network.zones is not None else "pools.types (zones that offer them)"
    top.at("spot").say(
        name="region", market="pools", types="pools.types", choice="pools.types", zones=zones,
        minimum="pools.target - pools.floor", maximum="pools.max - pools.floor", initial="pools.target - pools.floor",
    )  # fmt: skip
    types = "pools.types" if config.pools.on_demand_types is None else "pools.onDemandTypes"
    top.at("on_demand").say(
        name="region", market="pools", types=types, choice=types, zones=zones, minimum="pools.floor",
        maximum="pools.max", initial="pools.floor",
    )  # fmt: skip
    top.assume(blocks="the stack file names none")


def _balancer(config: RegionConfig, drain: int, **other: Any) -> Balancer:
    told: dict[str, Any] = {
        "protocol": "HTTPS",
        "path": READY_PATH,
        "port": PORT,
        "interval_seconds": CHECK_SECONDS,
        "timeout_seconds": CHECK_TIMEOUT,
        "healthy_threshold": CHECK_THRESHOLD,
        "unhealthy_threshold": CHECK_THRESHOLD,
        "drain_seconds": drain,
        "addresses": config.addresses,
    }
    return Balancer(**told | other)


def _drain(config: RegionConfig) -> int:
    return config.node.deregister_seconds + config.node.drain_seconds


def _node(config: RegionConfig, top: Writer, notice: int, grace: int, why: str = "") -> Node:
    top.at("node").say(grace_seconds="node.gracePeriodMinutes", notice_seconds="node.noticeSeconds")
    if why:
        top.at("node").assume(notice_seconds=why)
    return common.of_config(config, grace, notice)


# --- AWS -------------------------------------------------------------------------------------------------------------


def _aws(config: AwsRegion, top: Writer) -> Region:
    stack, pools = config.stack_name, config.pools
    _say_pools(top, config)
    names = {"spot": naming.pool_name(stack, "spot"), "on-demand": naming.pool_name(stack, "on-demand")}
    blocks = pools.reservations.capacity_blocks
    block_names = [naming.block_name(stack, block) for block in blocks]
    grace = config.node.grace_period_minutes * 60
    least = pools.target - pools.floor
    spot = Pool(
        names["spot"], "spot", pools.types, "cheapest-capacity", config.zones, least, pools.max - pools.floor, least
    )
    on_demand = Pool(
        names["on-demand"], "on-demand", config.on_demand_types, "in-order", config.zones, pools.floor, pools.max,
        pools.floor,
    )  # fmt: skip
    reserved = []
    for number, block in enumerate(sorted(blocks)):
        top.assume(**{f"blocks[{number}]": BLOCKS_UNKNOWN})
        top.at(f"blocks[{number}]").say(reservation="pools.reservations.capacityBlocks")
        reserved.append(
            Pool(naming.block_name(stack, block), "capacity-block", (), "in-order", (), 0, 0, 0, reservation=block)
        )
    alarms = _fallback_alarms(config, names, block_names)
    hooks = []
    for name in sorted((*names.values(), *block_names)):
        hooks.append(Hook(name, "drain", "terminating", _drain_hook(config), "CONTINUE"))
        hooks.append(Hook(name, "ready", "launching", grace, "ABANDON"))
    for number, hook in enumerate(hooks):
        key = "node.gracePeriodMinutes" if hook.transition == "launching" else "node.noticeSeconds"
        top.say(**{f"hooks[{number}]": key})
    top.say(hooks="node")
    top.at("balancer").say(drain_seconds="node.deregisterSeconds + node.drainSeconds", addresses="network.zones")
    return Region(
        **_common(config),
        spot=spot,
        on_demand=on_demand,
        blocks=tuple(reserved),
        fallback=AlarmFallback(alarms, _load_alarms(config, names, block_names)),
        rule=alarm_rule(alarms, pools.floor, pools.max),
        hooks=tuple(hooks),
        node=_node(config, top, common.SPOT_NOTICE["aws"][0], grace, "AWS gives two minutes"),
        balancer=_balancer(config, _drain(config)),
    )


def _drain_hook(config: RegionConfig) -> int:
    return max(HOOK_LEAST, min(config.node.notice_seconds - HOOK_MARGIN, HOOK_MOST))


def _fallback_alarms(config: AwsRegion, names: Mapping[str, str], blocks: list[str]) -> tuple[Alarm, ...]:
    found = []
    for alarm in aws_alarms(_rule(config)):
        metrics: list[Metric] = []
        sums: list[Expression] = []
        for metric in alarm.metrics:
            word = _SUPPLY.get(metric.metric_name) if metric.pool == "spot" and blocks else None
            parts = {metric.id: names[metric.pool]}
            if word:
                parts = {f"group_{word}": names["spot"]} | {f"block_{i}_{word}": b for i, b in enumerate(blocks)}
                sums.append(Expression(metric.id, " + ".join(parts), f"spot and capacity blocks {word}"))
            metrics += [
                Metric(id, NAMESPACE, metric.metric_name, STATISTIC, group, PERIOD_SECONDS)
                for id, group in parts.items()
            ]
        found.append(
            Alarm(
                key=alarm.key,
                metrics=tuple(metrics),
                expressions=(*sums, *alarm.expressions),
                period_seconds=PERIOD_SECONDS,
                periods=alarm.evaluation_periods,
                datapoints=alarm.evaluation_periods,
                threshold=float(alarm.threshold),
                comparison=alarm.comparison,
                missing=alarm.treat_missing_data,
                enabled=not config.fallback.dry_run,
                policy=StepPolicy(
                    pool=names["on-demand"],
                    adjustment_type=alarm.adjustment_type,
                    aggregation=alarm.aggregation,
                    steps=alarm.steps,
                    warmup_seconds=alarm.warmup_seconds,
                ),
            )
        )
    return tuple(found)


def _load_alarms(config: AwsRegion, names: Mapping[str, str], blocks: list[str]) -> tuple[Alarm, ...]:
    load = config.scaling
    if load.signal == "none":
        return ()
    queue = load.signal == "queue"
    if queue:
        sources = ["spot", "on-demand", *(["capacity-block"] if blocks else [])]
        namespace, name = NODES_NAMESPACE, "QueuePerReplica"
    else:
        sources, namespace, name = [names["spot"], names["on-demand"], *blocks], "AWS/EC2", "CPUUtilization"
    metrics = tuple(
        Metric(f"{kind}_p{number}", namespace, name, statistic, source, PERIOD_SECONDS)
        for number, source in enumerate(sources)
        for kind, statistic in (("sum", "Sum"), ("count", "SampleCount"))
    )
    sums, counts = (", ".join(f"{kind}_p{number}" for number in range(len(sources))) for kind in ("sum", "count"))
    expression = Expression("load", f"SUM([{sums}]) / SUM([{counts}])", "mean per replica", True)
    high, low = (
        (load.queue_per_replica, load.in_queue_per_replica) if queue else (load.cpu_percent, load.in_cpu_percent)
    )
    minutes = load.queue_minutes if queue else load.cpu_minutes
    return tuple(
        Alarm(
            key=key,
            metrics=metrics,
            expressions=(expression,),
            period_seconds=PERIOD_SECONDS,
            periods=periods,
            datapoints=periods,
            threshold=float(threshold),
            comparison=comparison,
            missing="notBreaching",
            enabled=not config.fallback.dry_run,
            policy=SimplePolicy(names["spot"], "ChangeInCapacity", step, load.cooldown_seconds),
        )
        for key, threshold, periods, comparison, step in (
            ("load-out", high, minutes, "GreaterThanOrEqualToThreshold", load.step),
            ("load-in", low, load.in_minutes, "LessThanThreshold", -load.in_step),
        )
    )


# --- Azure and Google Cloud ------------------------------------------------------------------------------------------


def _settings(config: AzureRegion | GcpRegion, spot: str, on_demand: str) -> Settings:
    """The function's settings as the stack's program renders them; where it is does not matter here."""
    told = environment(
        stack=config.stack_name, pools=config.pools, fallback=config.fallback, scaling=config.scaling,
        dry_run=config.fallback.dry_run,
    )  # fmt: skip
    more = {"spot_group": spot, "on_demand_group": on_demand, "state": "-", "project": "-", "region": config.region}
    return GcpSettings.read(told | {variable(key): value for key, value in more.items()})


def _by_function(
    config: AzureRegion | GcpRegion,
    top: Writer,
    pools: tuple[Pool, Pool],
    retry: int | None,
    node: Node,
    balancer: Balancer,
) -> Region:
    spot, on_demand = pools
    settings = _settings(config, spot.name, on_demand.name)
    queue = "QueuePerReplica" if config.scaling.signal == "queue" else "CpuPercent"
    minutes = "queueMinutes" if config.scaling.signal == "queue" else "cpuMinutes"
    top.at("fallback.load").say(
        high=f"scaling.{queue[0].lower()}{queue[1:]}", low=f"scaling.in{queue}", minutes=f"scaling.{minutes}",
        in_minutes="scaling.inMinutes", step="scaling.step", in_step="scaling.inStep",
        cooldown_seconds="scaling.cooldownSeconds", least="pools.target - pools.floor", most="pools.max - pools.floor",
    )  # fmt: skip
    where = f"infra/{config.CLOUD}/scaling.py"
    top.at("fallback").assume(
        timer_seconds=f"every minute ({where})", retry_seconds=f"as {where} has it", paused=f"as {where} has it"
    )
    top.at("fallback").say(dry_run="fallback.dryRun")
    for name in ("spot", "on_demand"):
        top.at(name).assume(initial=EMPTY)
    top.assume(hooks="this cloud's groups have none")
    return Region(
        **_common(config),
        spot=spot,
        on_demand=on_demand,
        blocks=(),
        fallback=FunctionFallback(
            settings.rule, settings.load_rule, TIMER_SECONDS, retry, config.fallback.dry_run, paused=False
        ),
        rule=settings.rule,
        hooks=(),
        node=node,
        balancer=balancer,
    )


def _azure(config: AzureRegion, top: Writer) -> Region:
    stack, sizes = config.stack_name, config.pools
    _say_pools(top, config)
    kinds = (config.pools.types[0], config.on_demand_types[0])
    zones = [tuple(sorted(pool_zones(config, kind))) for kind in kinds]
    pools = (
        Pool(
            azure_names.scale_set(stack, "spot"), "spot", kinds[:1], "in-order", zones[0], sizes.target - sizes.floor,
            sizes.max - sizes.floor, 0,
        ),
        Pool(
            azure_names.scale_set(stack, "on-demand"), "on-demand", kinds[1:], "in-order", zones[1], sizes.floor,
            sizes.max, 0,
        ),
    )  # fmt: skip
    notice, source = common.SPOT_NOTICE["azure"]
    node = _node(config, top, notice, config.node.grace_period_minutes * 60, f"Azure tells it so ({source})")
    top.at("balancer").assume(timeout_seconds=common.AZURE_TIMEOUT, drain_seconds=common.AZURE_NO_DRAIN)
    balancer = _balancer(config, 0, timeout_seconds=CHECK_SECONDS)
    return _by_function(config, top, pools, None, node, balancer)


def _gcp(config: GcpRegion, top: Writer) -> Region:
    stack, sizes = config.stack_name, config.pools
    _say_pools(top, config)
    # Types that have their disks in common share a selection.
    spot_types = tuple(name for group in by_layout(sizes.types).values() for name in group)
    pools = (
        Pool(
            gcp_names.pool_name(stack, "spot"), "spot", spot_types, "any" if len(spot_types) > 1 else "in-order",
            config.zones, sizes.target - sizes.floor, sizes.max - sizes.floor, 0,
        ),
        Pool(
            gcp_names.pool_name(stack, "on-demand"), "on-demand", config.on_demand_types, "in-order", config.zones,
            sizes.floor, sizes.max, 0,
        ),
    )  # fmt: skip
    asked = config.node.notice_seconds > GCP_SHUTDOWN
    node = _node(config, top, GCP_NOTICE if asked else GCP_SHUTDOWN, config.node.grace_period_minutes * 60)
    top.at("balancer").say(drain_seconds="node.deregisterSeconds + node.drainSeconds")
    return _by_function(config, top, pools, RETRY_SECONDS, node, _balancer(config, _drain(config)))


# --- Tencent Cloud ---------------------------------------------------------------------------------------------------


def _tencent(config: TencentRegion, top: Writer) -> Region:
    sizes, load = config.pools, config.scaling
    _say_pools(top, config)
    top.assume(spot=tencent.NO_SPOT, fallback=tencent.NO_SPOT, rule=tencent.NO_SPOT)
    top.at("on_demand").say(minimum="pools.target", initial="pools.target")
    name = tencent_names.pool_name(config.stack_name)
    pool = Pool(
        name, "on-demand", config.on_demand_types, "in-order", config.zones, sizes.target, sizes.max, sizes.target
    )
    top.say(hooks="node.drainSeconds")
    hook = Hook(name, "drain", "terminating", max(TENCENT_HOOK_LEAST, _drain(config)), "CONTINUE")
    node = _node(config, top, 0, 0, tencent.NO_SPOT)
    top.at("node").assume(grace_seconds=tencent.NO_GRACE)
    top.at("balancer").assume(drain_seconds=tencent.NO_DRAIN)
    alarms = []
    if load.signal == "cpu":
        for key, comparison, percent, minutes, step in (
            ("load-out", "GreaterThanOrEqualToThreshold", load.cpu_percent, load.cpu_minutes, load.step),
            ("load-in", "LessThanThreshold", load.in_cpu_percent, load.in_minutes, -load.in_step),
        ):
            short = minutes <= PERIODS_MOST
            period, count = (SHORT_PERIOD, minutes) if short else (LONG_PERIOD, minutes * 60 // LONG_PERIOD)
            metric = Metric("load", "QCE/CVM", "CPU_UTILIZATION", "AVERAGE", name, period)
            policy = SimplePolicy(name, "ChangeInCapacity", step, load.cooldown_seconds)
            alarms.append(
                Alarm(
                    key, (metric,), (), period, count, count, float(round(percent)), comparison, "notBreaching", True,
                    policy,
                )
            )  # fmt: skip
    return Region(
        **_common(config),
        spot=None,
        on_demand=pool,
        blocks=(),
        fallback=NoFallback(tuple(alarms)),
        rule=None,
        hooks=(hook,),
        node=node,
        balancer=_balancer(config, 0, protocol="HTTP", port=TENCENT_PROBE_PORT),
    )


_MAKERS: Final[dict[str, Callable[[Any, Writer], Region]]] = {
    "aws": _aws,
    "azure": _azure,
    "gcp": _gcp,
    "tencent": _tencent,
}
