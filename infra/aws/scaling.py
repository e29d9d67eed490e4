"""What changes the size of the pools: the fallback from spot to on-demand, and the load.

No code of ours runs: CloudWatch evaluates metric math on the groups' own metrics and invokes scaling policies. The
fallback's formulas, periods and steps come from `infra/fallback.py`, which other clouds run as a function; nothing is
restated here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import pulumi
import pulumi_aws as aws
from pulumi import ResourceOptions

from infra import fallback
from infra.aws.common import Scope

if TYPE_CHECKING:
    from infra.sections import Scaling as ScalingConfig

# https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Create-alarm-on-metric-math-expression.html
METRICS_PER_ALARM: Final = 10

# Group metrics that a capacity block adds to, and under which id the fallback's expressions know them.
_BLOCK_SUPPLY: Final = {"GroupInServiceInstances": "in_service", "GroupPendingInstances": "pending"}
BLOCK_METRICS: Final = tuple(_BLOCK_SUPPLY)


def fallback_alarm_names(scope: Scope, rule: fallback.Rule) -> dict[str, str]:
    """Alarm key (out, late, in) -> name; empty when the rule may not order anything."""
    return {alarm.key: scope.name(f"fallback-{alarm.key}") for alarm in fallback.aws_alarms(rule)}


@dataclass(frozen=True, slots=True)
class ScalingArgs:
    """What scales what.

    spot_group, on_demand_group: auto scaling groups by name, as outputs, so that policies wait for them. block_groups:
    groups of capacity blocks; what they hold counts as supply. node_pools: values of the metric dimension `pool`.
    notify: topic that hears when on-demand takes over. dry_run: alarms tell what they would do, and do nothing.
    """

    scope: Scope
    rule: fallback.Rule
    load: ScalingConfig
    metrics_namespace: str
    spot_group: pulumi.Input[str]
    on_demand_group: pulumi.Input[str]
    block_groups: Sequence[pulumi.Input[str]]
    node_pools: Sequence[str]
    notify: pulumi.Input[str]
    dry_run: bool = False


class Scaling(pulumi.ComponentResource):
    """Policies and alarms of one region."""

    def __init__(self, name: str, args: ScalingArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("spillway:aws:Scaling", name, None, opts)
        self._name = name
        self._args = args
        self._child = ResourceOptions(parent=self)
        names = fallback_alarm_names(args.scope, args.rule)
        for alarm in fallback.aws_alarms(args.rule):
            self._fallback(alarm, names[alarm.key])
        if args.load.signal != "none":
            self._follow_load(args.load.signal, args.load)
        self.register_outputs({})

    # --- Fallback ---------------------------------------------------------------------------------------------------

    def _fallback(self, alarm: fallback.Alarm, name: str) -> None:
        args, scope = self._args, self._args.scope
        policy = aws.autoscaling.Policy(
            f"{self._name}-fallback-{alarm.key}",
            name=name,
            autoscaling_group_name=args.on_demand_group,
            policy_type="StepScaling",
            adjustment_type=alarm.adjustment_type,
            metric_aggregation_type=alarm.aggregation,
            estimated_instance_warmup=alarm.warmup_seconds,
            step_adjustments=[
                aws.autoscaling.PolicyStepAdjustmentArgs(
                    scaling_adjustment=step.adjustment,
                    metric_interval_lower_bound=step.lower,
                    metric_interval_upper_bound=step.upper,
                )
                for step in alarm.steps
            ],
            opts=self._child,
        )
        queries = [query for metric in alarm.metrics for query in self._group_metric(metric)]
        if sum(query.metric is not None for query in queries) > METRICS_PER_ALARM:
            blocks = f"{len(args.block_groups)} capacity blocks"
            raise ValueError(f"{name}: {blocks} need more than the {METRICS_PER_ALARM} metrics that an alarm takes")
        queries += [
            aws.cloudwatch.MetricAlarmMetricQueryArgs(
                id=line.id, expression=line.expression, label=line.label, return_data=line.returns_data
            )
            for line in alarm.expressions
        ]
        aws.cloudwatch.MetricAlarm(
            f"{self._name}-fallback-{alarm.key}",
            name=name,
            alarm_description=alarm.description,
            metric_queries=queries,
            comparison_operator=alarm.comparison,
            threshold=alarm.threshold,
            actions_enabled=not args.dry_run,
            evaluation_periods=alarm.evaluation_periods,
            datapoints_to_alarm=alarm.evaluation_periods,
            treat_missing_data=alarm.treat_missing_data,
            # People want to hear that the region has begun to pay for on-demand; the way back needs no one's attention.
            alarm_actions=[policy.arn] if alarm.key == "in" else [policy.arn, args.notify],
            tags=scope.tags("scaling", f"fallback-{alarm.key}"),
            opts=self._child,
        )

    def _group_metric(self, metric: fallback.Metric) -> list[aws.cloudwatch.MetricAlarmMetricQueryArgs]:
        """One query per metric; where capacity blocks add to spot's supply, theirs and the sum under spot's id."""
        args = self._args
        group = args.spot_group if metric.pool == "spot" else args.on_demand_group

        def query(id: str, of: pulumi.Input[str]) -> aws.cloudwatch.MetricAlarmMetricQueryArgs:
            return self._query(
                id,
                fallback.NAMESPACE,
                metric.metric_name,
                fallback.STATISTIC,
                {fallback.DIMENSION: of},
                fallback.PERIOD_SECONDS,
            )

        if metric.pool != "spot" or metric.metric_name not in _BLOCK_SUPPLY or not args.block_groups:
            return [query(metric.id, group)]
        word = _BLOCK_SUPPLY[metric.metric_name]
        parts = {f"group_{word}": group} | {f"block_{i}_{word}": block for i, block in enumerate(args.block_groups)}
        total = aws.cloudwatch.MetricAlarmMetricQueryArgs(
            id=metric.id, expression=" + ".join(parts), label=f"spot and capacity blocks {word}", return_data=False
        )
        return [*(query(id, of) for id, of in parts.items()), total]

    # --- Load -------------------------------------------------------------------------------------------------------

    def _follow_load(self, signal: Literal["queue", "cpu"], load: ScalingConfig) -> None:
        """Step the spot pool's desired size up and down between its minimum (target - floor) and maximum.

        Simple scaling, because it is the kind that has a cooldown and, while a node is still in its launch hook, takes
        no further step: a boot of 20 minutes would otherwise be answered with new nodes every few minutes.
        https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-scaling-cooldowns.html
        Spot that cannot be had is the fallback's business: a larger desired size widens the gap.
        """
        if signal == "queue":
            high, low, minutes = load.queue_per_replica, load.in_queue_per_replica, load.queue_minutes
        else:
            high, low, minutes = load.cpu_percent, load.in_cpu_percent, load.cpu_minutes
        what = "Requests waiting per replica" if signal == "queue" else "CPU in percent"
        self._step("load-out", f"{what} at or above {high:g} for {minutes} min", load.step, high, minutes, up=True)
        self._step(
            "load-in", f"{what} below {low:g} for {load.in_minutes} min", -load.in_step, low, load.in_minutes, up=False
        )

    def _step(self, label: str, description: str, adjustment: int, threshold: float, minutes: int, *, up: bool) -> None:
        args, scope = self._args, self._args.scope
        name = scope.name(label)
        policy = aws.autoscaling.Policy(
            f"{self._name}-{label}",
            name=name,
            autoscaling_group_name=args.spot_group,
            policy_type="SimpleScaling",
            adjustment_type="ChangeInCapacity",
            scaling_adjustment=adjustment,
            cooldown=args.load.cooldown_seconds,
            opts=self._child,
        )
        aws.cloudwatch.MetricAlarm(
            f"{self._name}-{label}",
            name=name,
            alarm_description=description,
            metric_queries=self._load_queries(),
            comparison_operator="GreaterThanOrEqualToThreshold" if up else "LessThanThreshold",
            threshold=threshold,
            actions_enabled=not args.dry_run,
            evaluation_periods=minutes,
            datapoints_to_alarm=minutes,
            # No node reports: nothing serves, and that is the fallback's business, not a sign of load or of its
            # absence.
            treat_missing_data="notBreaching",
            alarm_actions=[policy.arn],
            tags=scope.tags("scaling", label),
            opts=self._child,
        )

    def _load_queries(self) -> list[aws.cloudwatch.MetricAlarmMetricQueryArgs]:
        """The mean over the nodes of all pools: sum of samples by number of samples.

        SUM over a list skips members without data; plus would take them for 0 but needs one of them present, and a mean
        of two means would weigh a pool of one like a pool of five.
        """
        args = self._args
        sources: dict[str, tuple[str, str, Mapping[str, pulumi.Input[str]]]] = {}
        if args.load.signal == "queue":
            for index, pool in enumerate(args.node_pools):
                dimensions = {"stack": args.scope.stack, "pool": pool}
                sources[f"p{index}"] = (args.metrics_namespace, "QueuePerReplica", dimensions)
        else:
            for index, group in enumerate((args.spot_group, args.on_demand_group, *args.block_groups)):
                sources[f"p{index}"] = ("AWS/EC2", "CPUUtilization", {"AutoScalingGroupName": group})
        queries = [
            self._query(f"{kind}_{id}", namespace, metric, statistic, dimensions, 60)
            for id, (namespace, metric, dimensions) in sources.items()
            for kind, statistic in (("sum", "Sum"), ("count", "SampleCount"))
        ]
        sums, counts = (", ".join(f"{kind}_{id}" for id in sources) for kind in ("sum", "count"))
        queries.append(
            aws.cloudwatch.MetricAlarmMetricQueryArgs(
                id="load", expression=f"SUM([{sums}]) / SUM([{counts}])", label="mean per replica", return_data=True
            )
        )
        return queries

    @staticmethod
    def _query(
        id: str, namespace: str, metric: str, statistic: str, dimensions: Mapping[str, pulumi.Input[str]], period: int
    ) -> aws.cloudwatch.MetricAlarmMetricQueryArgs:
        return aws.cloudwatch.MetricAlarmMetricQueryArgs(
            id=id,
            return_data=False,
            metric=aws.cloudwatch.MetricAlarmMetricQueryMetricArgs(
                namespace=namespace, metric_name=metric, dimensions=dict(dimensions), stat=statistic, period=period
            ),
        )
