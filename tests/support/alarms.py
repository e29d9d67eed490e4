"""What CloudWatch alarms and step scaling policies do, given them exactly as they are registered.

The input is a list of resources {type, inputs, outputs} in wire form, as Pulumi mocks record them or
`pulumi stack export` lists them. Nothing here knows the fallback rule. Sources, named below by their last part:

    docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-evaluation.html
    docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html
    docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-actions.html
    docs.aws.amazon.com/autoscaling/ec2/userguide/as-scaling-simple-step.html
    docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-metrics.html
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Literal

from rehearsal.regions.metric_math import MetricMathError, Series, evaluate, names

ALARM = "aws:cloudwatch/metricAlarm:MetricAlarm"
POLICY = "aws:autoscaling/policy:Policy"
GROUP = "aws:autoscaling/group:Group"

GROUP_NAMESPACE = "AWS/AutoScaling"
EXTRA_POINTS = 2
"""Points that an alarm reads beyond its evaluation periods. The number is not documented; the example of
alarms-and-missing-data reads 5 for 3."""
MAX_STEPS = 20

_BREACH: Mapping[str, Callable[[float, float], bool]] = {
    "GreaterThanOrEqualToThreshold": operator.ge,
    "GreaterThanThreshold": operator.gt,
    "LessThanOrEqualToThreshold": operator.le,
    "LessThanThreshold": operator.lt,
}
_AGGREGATE: Mapping[str, Callable[[list[float]], float]] = {
    "Minimum": min,
    "Maximum": max,
    "Average": lambda points: sum(points) / len(points),
}


class RegistrationError(Exception):
    """A resource that AWS would refuse, or that is not evaluated here; the message names it and the key."""


class Metrics:
    """The group metrics that CloudWatch holds, one sample a minute; only what a group has enabled is published."""

    def __init__(self, groups: Iterable[Group]) -> None:
        self._enabled = {group.name: group.enabled_metrics for group in groups}
        self._series: dict[tuple[str, str], Series] = {}
        self.changes: dict[int, int] = {}
        """Minute -> how often something was published for it; what was computed from fewer is out of date."""

    def publish(self, group: str, minute: int, values: Mapping[str, float]) -> None:
        for name in self._enabled[group].intersection(values):
            self._series.setdefault((group, name), {})[minute] = float(values[name])
        self.changes[minute] = self.changes.get(minute, 0) + 1

    def read(self, group: str, name: str, minutes: Iterable[int]) -> Series:
        series = self._series.get((group, name), {})
        return {minute: series[minute] for minute in minutes if minute in series}


@dataclass(frozen=True, slots=True)
class Group:
    name: str
    min_size: int
    max_size: int
    enabled_metrics: frozenset[str]


@dataclass(slots=True)
class GroupState:
    """One group at the time of a scaling action; `desired` follows the actions.

    warming: nodes that are ordered or launched and not yet through their warm-up. terminating: nodes on their way out.
    scaling_out: whether a scale-out is in progress, which no scale-in may overlap.
    """

    desired: int
    warming: int = 0
    terminating: int = 0
    scaling_out: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    adjustment: int
    lower: float
    upper: float

    def covers(self, distance: float) -> bool:
        """At or above the threshold the lower bound belongs to the step, below it the upper one."""
        if distance >= 0:
            return self.lower <= distance < self.upper
        return self.lower < distance <= self.upper


@dataclass(frozen=True, slots=True)
class StepPolicy:
    arn: str
    group: str
    adjustment_type: str
    aggregation: str
    warmup_seconds: int | None
    steps: tuple[Step, ...]

    def adjustment(self, points: list[float], threshold: float) -> int | None:
        """The adjustment for the aggregated points, None where no step covers them."""
        distance = _AGGREGATE[self.aggregation](points) - threshold
        return next((step.adjustment for step in self.steps if step.covers(distance)), None)

    def target(self, adjustment: int, group: Group, state: GroupState) -> int:
        """The desired capacity that the policy asks for.

        Out: warming nodes are not current capacity, and what is desired already is not lowered. In: terminating
        nodes are current capacity. Both keep a repeated breach from repeating the adjustment. Never beyond the bounds.
        """
        if self.adjustment_type == "ExactCapacity":
            wanted = adjustment
        elif adjustment >= 0:
            wanted = max(state.desired, state.desired - state.warming + adjustment)
        else:
            wanted = min(state.desired, state.desired + state.terminating + adjustment)
        return max(group.min_size, min(group.max_size, wanted))


@dataclass(frozen=True, slots=True)
class Query:
    id: str
    returns: bool
    expression: str | None
    group: str
    metric_name: str


@dataclass(slots=True)
class MetricAlarm:
    name: str
    queries: tuple[Query, ...]
    breaches: Callable[[float, float], bool]
    threshold: float
    evaluation_periods: int
    datapoints_to_alarm: int
    missing: str
    actions: tuple[str, ...]
    state: Literal["OK", "ALARM", "INSUFFICIENT_DATA"] = "INSUFFICIENT_DATA"
    _known: dict[int, tuple[int, float | None]] = field(default_factory=dict)

    def evaluate(self, metrics: Metrics, minute: int) -> list[float]:
        """Set `state` from the points up to `minute`, one a minute; the points that decided are returned, oldest first.

        The most recent points that exist decide; only where they are fewer than the evaluation periods, missing ones
        are filled in as `treatMissingData` says.
        """
        read = range(minute - self.evaluation_periods - EXTRA_POINTS + 1, minute + 1)
        stale = [at for at in read if metrics.changes.get(at, 0) != self._known.get(at, (0, None))[0]]
        if stale:  # metric math of this kind never looks across minutes, so each is computed once
            fresh = self._value(metrics, stale)
            self._known.update({at: (metrics.changes[at], fresh.get(at)) for at in stale})
        points: list[float] = []
        for at in reversed(read):
            if len(points) < self.evaluation_periods and (point := self._known.get(at, (0, None))[1]) is not None:
                points.insert(0, point)
        breaching = sum(self.breaches(point, self.threshold) for point in points)
        if len(points) < self.evaluation_periods:
            if self.missing == "breaching":
                breaching += self.evaluation_periods - len(points)
            elif self.missing == "ignore":
                return points
            elif self.missing == "missing" and not points:
                self.state = "INSUFFICIENT_DATA"
                return points
        self.state = "ALARM" if breaching >= self.datapoints_to_alarm else "OK"
        return points

    def _value(self, metrics: Metrics, minutes: list[int]) -> Series:
        values: dict[str, Series] = {}
        for query in self.queries:
            if query.expression is None:
                values[query.id] = metrics.read(query.group, query.metric_name, minutes)
                continue
            try:
                value = evaluate(query.expression, values)
            except MetricMathError as error:
                raise RegistrationError(f"{self.name}: {query.id}: {error}") from error
            values[query.id] = value if isinstance(value, dict) else dict.fromkeys(minutes, value)
        return values[next(query.id for query in self.queries if query.returns)]


def _in_order(alarm: str, queries: Iterable[Query]) -> tuple[Query, ...]:
    """Metrics first, then each expression after those that it names: they may be registered in any order."""
    waiting = list(queries)
    ordered: list[Query] = []
    while waiting:
        ids = {query.id for query in waiting}
        ready = [query for query in waiting if not ids & names(query.expression or "")]
        if not ready:
            raise RegistrationError(f"{alarm}: metricQueries: {sorted(ids)} name each other")
        ordered += ready
        waiting = [query for query in waiting if query not in ready]
    return tuple(ordered)


@dataclass(frozen=True, slots=True)
class Action:
    """What one alarm made of one group. desired: before, wanted: asked for, refused: why it was not done, or empty."""

    alarm: str
    group: str
    adjustment: int
    before: int
    wanted: int
    refused: str = ""


@dataclass(slots=True)
class Region:
    """The alarms, policies and groups of one region as registered."""

    groups: dict[str, Group]
    policies: dict[str, StepPolicy]
    alarms: list[MetricAlarm]
    metrics: Metrics = field(init=False)

    def __post_init__(self) -> None:
        self.metrics = Metrics(self.groups.values())

    def minute(self, minute: int, states: Mapping[str, GroupState]) -> list[Action]:
        """Evaluate every alarm on the metrics up to `minute` and carry out the actions of those in ALARM.

        For Auto Scaling an alarm invokes its action every minute that it stays in ALARM, not only on the change.
        """
        actions: list[Action] = []
        for alarm in self.alarms:
            points = alarm.evaluate(self.metrics, minute)
            if alarm.state == "ALARM" and points:
                for policy in (self.policies[arn] for arn in alarm.actions if arn in self.policies):
                    actions.extend(self._scale(alarm, policy, points, states[policy.group]))
        return actions

    def _scale(
        self, alarm: MetricAlarm, policy: StepPolicy, points: list[float], state: GroupState
    ) -> Iterable[Action]:
        adjustment = policy.adjustment(points, alarm.threshold)
        if adjustment is None:
            return
        before = state.desired
        wanted = policy.target(adjustment, self.groups[policy.group], state)
        refused = "a scale-out is in progress" if wanted < before and state.scaling_out else ""
        if not refused:
            state.desired = wanted
            state.warming += max(0, wanted - before)
            state.scaling_out = state.scaling_out or wanted > before
        yield Action(alarm.name, policy.group, adjustment, before, wanted, refused)


def read_region(resources: Iterable[Mapping[str, Any]], groups: Iterable[str] | None = None) -> Region:
    """The alarms, policies and groups among `resources`, with the rules by which AWS accepts them.

    groups: only alarms that scale one of these groups (by name) are read; None: all that scale anything.
    Each resource is {type, inputs, outputs}; an output wins over the input of the same name. Raises RegistrationError.
    """
    kept = [(str(item["type"]), {**item.get("inputs", {}), **item.get("outputs", {})}) for item in resources]
    found = [_group(values) for token, values in kept if token == GROUP]
    wanted = {group.name for group in found} if groups is None else set(groups)
    policies = {
        str(values["arn"]): _policy(values)
        for token, values in kept
        if token == POLICY and values["autoscalingGroupName"] in wanted
    }
    alarms = [
        _alarm(values)
        for token, values in kept
        if token == ALARM
        and values.get("actionsEnabled", True)
        and policies.keys() & set(values.get("alarmActions") or ())
    ]
    for policy in policies.values():
        if policy.group not in {group.name for group in found}:
            raise RegistrationError(f"{policy.arn}: autoscalingGroupName: no group {policy.group!r}")
    return Region({group.name: group for group in found}, policies, alarms)


def _group(values: Mapping[str, Any]) -> Group:
    return Group(
        str(values["name"]),
        int(values["minSize"]),
        int(values["maxSize"]),
        frozenset(str(name) for name in values.get("enabledMetrics") or ()),
    )


def _policy(values: Mapping[str, Any]) -> StepPolicy:
    name = values.get("name") or values["arn"]
    if values.get("policyType") != "StepScaling":
        raise RegistrationError(
            f"{name}: policyType = {values.get('policyType')!r}: only StepScaling is evaluated here"
        )
    if values.get("adjustmentType") not in ("ChangeInCapacity", "ExactCapacity"):
        raise RegistrationError(f"{name}: adjustmentType = {values.get('adjustmentType')!r} is not evaluated here")
    steps = tuple(
        sorted(
            (
                Step(
                    int(step["scalingAdjustment"]),
                    _bound(step.get("metricIntervalLowerBound"), float("-inf")),
                    _bound(step.get("metricIntervalUpperBound"), float("inf")),
                )
                for step in values.get("stepAdjustments") or ()
            ),
            key=lambda step: step.lower,
        )
    )
    _check_steps(str(name), steps)
    if values["adjustmentType"] == "ExactCapacity" and any(step.adjustment < 0 for step in steps):
        raise RegistrationError(f"{name}: stepAdjustments: an exact capacity must not be negative")
    warmup = values.get("estimatedInstanceWarmup")
    return StepPolicy(
        str(values["arn"]),
        str(values["autoscalingGroupName"]),
        str(values["adjustmentType"]),
        str(values.get("metricAggregationType") or "Average"),
        None if warmup is None else int(warmup),
        steps,
    )


def _bound(value: Any, default: float) -> float:
    return default if value in (None, "") else float(value)


def _check_steps(name: str, steps: tuple[Step, ...]) -> None:
    """No gap, no overlap, never both bounds open, and no end on the side of the threshold that the steps cover."""
    if not 1 <= len(steps) <= MAX_STEPS:
        raise RegistrationError(f"{name}: stepAdjustments: {len(steps)}, allowed are 1 to {MAX_STEPS}")
    for step in steps:
        if step.lower == float("-inf") and step.upper == float("inf"):
            raise RegistrationError(f"{name}: stepAdjustments: both bounds of a step are open")
        if step.lower >= step.upper:
            raise RegistrationError(f"{name}: stepAdjustments: lower bound {step.lower} not below upper {step.upper}")
    for left, right in pairwise(steps):
        if left.upper != right.lower:
            raise RegistrationError(f"{name}: stepAdjustments: gap or overlap between {left.upper} and {right.lower}")
    if 0 < steps[-1].upper < float("inf"):
        raise RegistrationError(f"{name}: stepAdjustments: a positive upper bound needs a step without one")
    if float("-inf") < steps[0].lower < 0:
        raise RegistrationError(f"{name}: stepAdjustments: a negative lower bound needs a step without one")


def _alarm(values: Mapping[str, Any]) -> MetricAlarm:
    name = str(values.get("name") or values.get("arn"))
    if values.get("comparisonOperator") not in _BREACH:
        raise RegistrationError(
            f"{name}: comparisonOperator = {values.get('comparisonOperator')!r} is not evaluated here"
        )
    queries = tuple(_query(name, query) for query in values.get("metricQueries") or ())
    if not queries:
        single = {"id": "m1", "returnData": True, "metric": {**values, "stat": values.get("statistic")}}
        queries = (_query(name, single),)
    if sum(query.returns for query in queries) != 1:
        raise RegistrationError(f"{name}: metricQueries: exactly one query must return data")
    if sum(query.expression is None for query in queries) > 10:
        raise RegistrationError(f"{name}: metricQueries: an alarm may name at most 10 metrics")
    periods = int(values["evaluationPeriods"])
    to_alarm = int(values.get("datapointsToAlarm") or periods)
    if not 1 <= to_alarm <= periods or periods * 60 > 86400:
        raise RegistrationError(f"{name}: evaluationPeriods = {periods}, datapointsToAlarm = {to_alarm}: out of range")
    return MetricAlarm(
        name,
        _in_order(name, queries),
        _BREACH[values["comparisonOperator"]],
        float(values["threshold"]),
        periods,
        to_alarm,
        str(values.get("treatMissingData") or "missing"),
        tuple(str(arn) for arn in values.get("alarmActions") or ()),
    )


def _query(alarm: str, query: Mapping[str, Any]) -> Query:
    returns = bool(query.get("returnData"))
    if query.get("expression"):
        return Query(str(query["id"]), returns, str(query["expression"]), "", "")
    metric = query.get("metric") or {}
    if int(metric.get("period") or 0) != 60:
        raise RegistrationError(f"{alarm}: {query['id']}: period = {metric.get('period')}: only 60 is evaluated here")
    if metric.get("namespace") != GROUP_NAMESPACE:
        raise RegistrationError(f"{alarm}: {query['id']}: namespace {metric.get('namespace')!r} is not evaluated here")
    if metric.get("stat") not in ("Average", "Minimum", "Maximum", "Sum"):
        raise RegistrationError(f"{alarm}: {query['id']}: stat = {metric.get('stat')!r} is not evaluated here")
    group = (metric.get("dimensions") or {}).get("AutoScalingGroupName")
    if not group:
        raise RegistrationError(f"{alarm}: {query['id']}: dimensions: AutoScalingGroupName is missing")
    return Query(str(query["id"]), returns, None, str(group), str(metric["metricName"]))
