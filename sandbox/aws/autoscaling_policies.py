"""Scaling policies: which fields each type takes, and step adjustments without gaps or overlaps."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar, Final

from sandbox.aws.autoscaling import group_ref, owned_id
from sandbox.aws.autoscaling_rules import NAME
from sandbox.aws.formats import arn
from sandbox.aws.registry import AWS
from sandbox.aws.stamps import new_uuid
from sandbox.kinds import Args, AutoName, Cloud, Fault, Kind, Resource
from sandbox.rules import between, length, matches, one_of, shown
from sandbox.values import UNKNOWN, has_unknown

POLICY: Final = "aws:autoscaling/policy:Policy"

# https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_PutScalingPolicy.html: what each type needs and what it
# takes
_TYPES: Final[Mapping[str, tuple[frozenset[str], frozenset[str]]]] = {
    "SimpleScaling": (
        frozenset({"adjustmentType", "scalingAdjustment"}),
        frozenset({"cooldown", "minAdjustmentMagnitude"}),
    ),
    "StepScaling": (
        frozenset({"adjustmentType", "stepAdjustments"}),
        frozenset({"estimatedInstanceWarmup", "metricAggregationType", "minAdjustmentMagnitude"}),
    ),
    "TargetTrackingScaling": (
        frozenset({"targetTrackingConfiguration"}),
        frozenset({"estimatedInstanceWarmup"}),
    ),
    "PredictiveScaling": (frozenset({"predictiveScalingConfiguration"}), frozenset()),
}
_SPECIFIC: Final = frozenset[str]().union(*(needs | takes for needs, takes in _TYPES.values()))
_ADJUSTMENTS: Final = ("ChangeInCapacity", "ExactCapacity", "PercentChangeInCapacity")
_TRACKED: Final = (
    "ASGAverageCPUUtilization", "ASGAverageCPUUtilizationHighResolution", "ASGAverageNetworkIn", "ASGAverageNetworkOut",
    "ALBRequestCountPerTarget",
)  # fmt: skip
# https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-quotas.html: step adjustments per policy
_MOST_STEPS: Final = 20


@AWS.kind
class Policy(Kind):
    """PutScalingPolicy overwrites a policy of the same name and keeps its ARN."""

    token = POLICY
    replace_on = ("name", "autoscalingGroupName")
    sets = ("stepAdjustments",)
    defaults: ClassVar[Mapping[str, Any]] = {"enabled": True, "policyType": "SimpleScaling"}
    autoname = AutoName("name", 255)
    references = (group_ref(),)
    taggable = False
    not_found_code = "ValidationError"

    def check(self, args: Args) -> Iterable[Fault]:
        yield from matches(args, "name", NAME, "1 to 255 printable characters without a colon")
        yield from one_of(args, "policyType", tuple(_TYPES))
        yield from one_of(args, "adjustmentType", _ADJUSTMENTS)
        yield from one_of(args, "metricAggregationType", ("Minimum", "Maximum", "Average"))
        yield from between(args, "cooldown", 0, 2**31 - 1, "seconds")
        yield from between(args, "estimatedInstanceWarmup", 0, 2**31 - 1, "seconds")
        yield from between(args, "minAdjustmentMagnitude", 1, 2**31 - 1)
        yield from _type_faults(args)
        yield from step_faults(args)
        yield from _tracking_faults(args)
        yield from _predictive_faults(args)

    def new_id(self, args: Args, cloud: Cloud) -> str:
        return owned_id(self.token, args["name"], args["autoscalingGroupName"], cloud)

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        before = old or cloud.get(self.token, id)
        name, group = args["name"], args["autoscalingGroupName"]
        resource = f"scalingPolicy:{new_uuid()}:autoScalingGroupName/{group}:policyName/{name}"
        out = {"arn": before["arn"] if before else arn("autoscaling", cloud.region, cloud.account, resource)}
        if args.get("policyType") == "StepScaling":
            out["metricAggregationType"] = args.get("metricAggregationType", "Average")
        return out


def _type_faults(args: Args) -> Iterator[Fault]:
    kind = args.get("policyType", "SimpleScaling")
    if kind not in _TYPES or args.is_unknown("policyType"):
        return
    needs, takes = _TYPES[kind]
    for key in sorted(needs):
        if args[key] is None or args[key] == []:
            yield Fault(key, f"is required for policyType {kind}")
    for key in sorted(_SPECIFIC - needs - takes):
        if args[key] is not None and args[key] != []:
            yield Fault(key, f"is not for policyType {kind}, which takes {', '.join(sorted(needs | takes))}")
    adjustment = args.get("adjustmentType")
    if "minAdjustmentMagnitude" in args and adjustment in ("ChangeInCapacity", "ExactCapacity"):
        yield Fault("minAdjustmentMagnitude", f"is only for adjustmentType PercentChangeInCapacity, not {adjustment}")
    if adjustment == "ExactCapacity":
        yield from between(args, "scalingAdjustment", 0, 2**31 - 1)
        yield from between(args, "stepAdjustments[*].scalingAdjustment", 0, 2**31 - 1)


def step_faults(args: Args) -> Iterator[Fault]:
    """Steps cover their range without a gap and without an overlap; an open end stands once on each side, and is
    needed where the steps reach that side
    (https://docs.aws.amazon.com/autoscaling/ec2/userguide/as-scaling-simple-step.html)."""
    steps = args["stepAdjustments"]
    if not isinstance(steps, list) or has_unknown(steps):
        return
    yield from length(args, "stepAdjustments", 0, _MOST_STEPS)
    intervals: list[tuple[float, float, int]] = []
    for i, step in enumerate(steps):
        low = _bound(step.get("metricIntervalLowerBound"), -math.inf)
        high = _bound(step.get("metricIntervalUpperBound"), math.inf)
        for key, value in (("metricIntervalLowerBound", low), ("metricIntervalUpperBound", high)):
            if value is None:
                yield Fault(f"stepAdjustments[{i}].{key}", f"expected a number as text, got {shown(step.get(key))}")
        if low is None or high is None:
            return
        if low >= high:
            yield Fault(f"stepAdjustments[{i}]", f"the lower bound ({low:g}) must be below the upper bound ({high:g})")
            return
        intervals.append((low, high, i))
    intervals.sort()
    for (_, before, _), (after, _, i) in itertools.pairwise(intervals):
        if after < before:
            yield Fault(
                f"stepAdjustments[{i}]",
                f"overlaps with the step before it, which ends at {before:g}; this begins at {after:g}",
            )
        elif after > before:
            yield Fault(
                f"stepAdjustments[{i}]",
                f"leaves a gap: the step before it ends at {before:g}, this begins at {after:g}",
            )
    if intervals and intervals[0][0] < 0 and intervals[0][0] != -math.inf:
        yield Fault("stepAdjustments", "with a negative lower bound there must be a step without a lower bound")
    if intervals and intervals[-1][1] > 0 and intervals[-1][1] != math.inf:
        yield Fault("stepAdjustments", "with a positive upper bound there must be a step without an upper bound")


def _bound(value: object, absent: float) -> float | None:
    if value is None or value == "":
        return absent
    try:
        number = float(str(value))
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _tracking_faults(args: Args) -> Iterator[Fault]:
    """https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_TargetTrackingConfiguration.html"""
    base = "targetTrackingConfiguration"
    for path, settings in args.at(base):
        if not isinstance(settings, Mapping):
            continue
        given = [
            k for k in ("predefinedMetricSpecification", "customizedMetricSpecification") if settings.get(k) is not None
        ]
        if len(given) != 1:
            yield Fault(
                path, "one of predefinedMetricSpecification, customizedMetricSpecification must be set, and only one"
            )
    yield from one_of(args, f"{base}.predefinedMetricSpecification.predefinedMetricType", _TRACKED)
    for path, metric in args.at(f"{base}.predefinedMetricSpecification"):
        needs_label = metric.get("predefinedMetricType") == "ALBRequestCountPerTarget"
        if needs_label and metric.get("resourceLabel") in (None, ""):
            yield Fault(f"{path}.resourceLabel", "is required for ALBRequestCountPerTarget")
    for path, metric in args.at(f"{base}.customizedMetricSpecification"):
        single = [k for k in ("metricName", "namespace", "statistic") if metric.get(k) is not None]
        if metric.get("metrics") is UNKNOWN:
            continue
        if metric.get("metrics"):
            if single:
                yield Fault(f"{path}.{single[0]}", "conflicts with metrics")
            yield from _query_faults(f"{path}.metrics", metric["metrics"])
        elif len(single) != 3:
            yield Fault(path, "needs metricName, namespace and statistic, or metrics")
    yield from one_of(
        args, f"{base}.customizedMetricSpecification.statistic", ("Average", "Minimum", "Maximum", "SampleCount", "Sum")
    )
    yield from one_of(args, f"{base}.customizedMetricSpecification.period", (10, 30, 60))


def _query_faults(path: str, queries: object) -> Iterator[Fault]:
    if not isinstance(queries, list) or has_unknown(queries):
        return
    returned = [q for q in queries if q.get("returnData") is not False]
    if len(returned) != 1:
        yield Fault(path, f"exactly one metric must return data, {len(returned)} do")
    ids = [q.get("id") for q in queries]
    for i, id in enumerate(ids):
        if id in ids[:i]:
            yield Fault(f"{path}[{i}].id", f"the id {shown(id)} stands twice")
        if (queries[i].get("expression") is None) == (queries[i].get("metricStat") is None):
            yield Fault(f"{path}[{i}]", "one of expression, metricStat must be set, and only one")


def _predictive_faults(args: Args) -> Iterator[Fault]:
    """https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_PredictiveScalingConfiguration.html"""
    base = "predictiveScalingConfiguration"
    yield from one_of(args, f"{base}.mode", ("ForecastAndScale", "ForecastOnly"))
    yield from one_of(args, f"{base}.maxCapacityBreachBehavior", ("HonorMaxCapacity", "IncreaseMaxCapacity"))
    for key, high in (("maxCapacityBuffer", 100), ("schedulingBufferTime", 3600)):
        for path, text in args.at(f"{base}.{key}"):
            if text is not UNKNOWN and not (str(text).isdecimal() and int(text) <= high):
                yield Fault(path, f"expected a whole number from 0 to {high:,} as text, got {shown(text)}")
    for path, settings in args.at(base):
        if not isinstance(settings, Mapping) or settings.get("maxCapacityBuffer") is None:
            continue
        if settings.get("maxCapacityBreachBehavior") not in ("IncreaseMaxCapacity", UNKNOWN):
            yield Fault(f"{path}.maxCapacityBuffer", "is only for maxCapacityBreachBehavior IncreaseMaxCapacity")
