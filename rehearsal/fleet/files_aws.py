"""An AWS region straight from its stack file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from infra import naming
from infra.config import AwsRegion, RegionConfig
from infra.fallback import NAMESPACE, PERIOD_SECONDS, STATISTIC, Expression, Rule, aws_alarms
from infra.function.settings import NAMESPACE as NODES_NAMESPACE
from rehearsal.fleet import common
from rehearsal.fleet.alarms import Alarm, AlarmFallback, Metric, SimplePolicy, StepPolicy, alarm_rule
from rehearsal.fleet.files_base import Writer, balancer, drain, node, rule_of, say_pools, told
from rehearsal.fleet.model import Hook, Pool, Region

# infra/aws/pools.py
HOOK_LEAST, HOOK_MOST, HOOK_MARGIN = 30, 110, 10
BLOCKS_UNKNOWN: Final = "only the account knows what the reservation holds: taken as nothing"
_SUPPLY: Final = {"GroupInServiceInstances": "in_service", "GroupPendingInstances": "pending"}


def region(config: AwsRegion, top: Writer) -> Region:
    """The region that the file makes."""
    stack, pools = config.stack_name, config.pools
    say_pools(top, config)
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
    alarms = fallback_alarms(rule_of(config), names, block_names, enabled=not config.fallback.dry_run)
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
        **told(config),
        spot=spot,
        on_demand=on_demand,
        blocks=tuple(reserved),
        fallback=AlarmFallback(alarms, _load_alarms(config, names, block_names)),
        rule=alarm_rule(alarms, pools.floor, pools.max),
        hooks=tuple(hooks),
        node=node(config, top, common.SPOT_NOTICE["aws"][0], grace, "AWS gives two minutes"),
        balancer=balancer(config, drain(config)),
    )


def _drain_hook(config: RegionConfig) -> int:
    return max(HOOK_LEAST, min(config.node.notice_seconds - HOOK_MARGIN, HOOK_MOST))


def fallback_alarms(rule: Rule, names: Mapping[str, str], blocks: list[str], *, enabled: bool) -> tuple[Alarm, ...]:
    """A rule's alarms as a region's program registers them. names: of the groups, by market. blocks: of the groups of
    capacity blocks, which count as spot supply. Raises ValueError for a rule that is too large for AWS."""
    found = []
    for alarm in aws_alarms(rule):
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
                enabled=enabled,
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
