"""CloudWatch alarms: of one metric, of metric math, of other alarms; and dashboards."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar, Final

from sandbox.aws.autoscaling_policies import POLICY
from sandbox.aws.formats import arn, is_arn
from sandbox.aws.messaging import TOPIC
from sandbox.aws.metric_math import expression_fault
from sandbox.aws.registry import AWS
from sandbox.aws.stamps import tag_faults
from sandbox.kinds import Args, AutoName, Cloud, CloudError, Fault, Kind, Resource
from sandbox.rules import between, conflicting, length, matches, one_of, shown
from sandbox.values import UNKNOWN

ALARM: Final = "aws:cloudwatch/metricAlarm:MetricAlarm"
COMPOSITE: Final = "aws:cloudwatch/compositeAlarm:CompositeAlarm"

# https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html
_COMPARISONS: Final = (
    "GreaterThanOrEqualToThreshold", "GreaterThanThreshold", "LessThanThreshold", "LessThanOrEqualToThreshold",
)  # fmt: skip
_BANDS: Final = ("LessThanLowerOrGreaterThanUpperThreshold", "LessThanLowerThreshold", "GreaterThanUpperThreshold")
_STATISTICS: Final = ("SampleCount", "Average", "Sum", "Minimum", "Maximum")
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Statistics-definitions.html
_EXTENDED: Final = (
    r"(p|tm|wm|tc|ts)(\d{1,2}(\.\d{1,10})?|100)|IQM|(TM|WM|PR|TC|TS)\((\d+(\.\d+)?%?)?:(\d+(\.\d+)?%?)?\)"
)
_SIZES: Final = (
    "Bytes",
    "Kilobytes",
    "Megabytes",
    "Gigabytes",
    "Terabytes",
    "Bits",
    "Kilobits",
    "Megabits",
    "Gigabits",
    "Terabits",
)
_UNITS: Final = (
    "Seconds", "Microseconds", "Milliseconds", *_SIZES, "Percent", "Count",
    *(f"{s}/Second" for s in _SIZES), "Count/Second", "None",
)  # fmt: skip
_SHORT_PERIODS: Final = (1, 5, 10, 20, 30)
ACTIONS: Final = ("alarmActions", "okActions", "insufficientDataActions")
_DAY: Final = 86_400
_WEEK: Final = 7 * _DAY
_MOST_QUERIES: Final = 10
"""Metrics in one alarm (https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch_limits.html)."""

_SINGLE_METRIC: Final = ("metricName", "namespace", "period", "statistic", "extendedStatistic", "dimensions", "unit")


@AWS.kind
class MetricAlarm(Kind):
    """PutMetricAlarm overwrites an alarm of the same name."""

    token = ALARM
    replace_on = ("name",)
    sets = ("metricQueries", *ACTIONS)
    defaults: ClassVar[Mapping[str, Any]] = {"actionsEnabled": True, "treatMissingData": "missing"}
    autoname = AutoName("name", 255)
    not_found_code = "ResourceNotFound"

    def check(self, args: Args) -> Iterable[Fault]:
        yield from length(args, "name", 1, 255)
        yield from length(args, "alarmDescription", 0, 1024)
        yield from _kind_faults(args)
        yield from _threshold_faults(args)
        yield from one_of(args, "treatMissingData", ("breaching", "notBreaching", "ignore", "missing"))
        yield from one_of(args, "evaluateLowSampleCountPercentiles", ("evaluate", "ignore"))
        yield from _metric_faults(args)
        yield from _period_faults(args)
        yield from query_faults(args)
        yield from action_faults(args)
        yield from tag_faults(args)

    def new_id(self, args: Args, cloud: Cloud) -> str:
        return str(args["name"])

    def before_create(self, args: Args, cloud: Cloud) -> None:
        require_actions(args, cloud)

    def before_update(self, old: Resource, args: Args, cloud: Cloud) -> None:
        require_actions(args, cloud)

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        return {"arn": arn("cloudwatch", cloud.region, cloud.account, f"alarm:{id}")}


def _kind_faults(args: Args) -> Iterator[Fault]:
    """An alarm watches one metric, metric math or a PromQL query."""
    given = [k for k in ("metricName", "metricQueries", "evaluationCriteria") if args[k] is not None and args[k] != []]
    if not given:
        yield Fault("metricName", "one of metricName, metricQueries, evaluationCriteria must be set")
    for key in given[1:]:
        yield Fault(key, f"conflicts with {given[0]}")
    if "metricQueries" in given:
        for key in _SINGLE_METRIC[1:]:
            if key in args and args[key] != {}:
                yield Fault(key, "conflicts with metricQueries: it belongs into the query's metric")
    if "metricName" in given:
        for key in ("namespace", "period"):
            if key not in args:
                yield Fault(key, "is required with metricName")
        yield from conflicting(args, "statistic", "extendedStatistic")
        if "statistic" not in args and "extendedStatistic" not in args:
            yield Fault("statistic", "one of statistic, extendedStatistic must be set")
    if "evaluationCriteria" not in given:
        for key in ("comparisonOperator", "evaluationPeriods"):
            if key not in args:
                yield Fault(key, "is required")


def _threshold_faults(args: Args) -> Iterator[Fault]:
    yield from one_of(args, "comparisonOperator", (*_COMPARISONS, *_BANDS))
    yield from conflicting(args, "threshold", "thresholdMetricId")
    operator = args.get("comparisonOperator")
    if operator in _BANDS:
        if "thresholdMetricId" not in args:
            yield Fault("thresholdMetricId", f"is required for {operator}")
    elif operator is not None:
        if "thresholdMetricId" in args:
            yield Fault("thresholdMetricId", f"is for an anomaly detection band, not for {operator}")
        elif "threshold" not in args:
            yield Fault("threshold", f"is required for {operator}")
    yield from between(args, "evaluationPeriods", 1, 2**31 - 1)
    yield from between(args, "datapointsToAlarm", 1, 2**31 - 1)
    periods, points = args.get("evaluationPeriods"), args.get("datapointsToAlarm")
    if periods is not None and points is not None and points > periods:
        yield Fault("datapointsToAlarm", f"must be at most evaluationPeriods ({periods}), got {points}")


def _metric_faults(args: Args) -> Iterator[Fault]:
    for prefix in ("", "metricQueries[*].metric."):
        yield from length(args, f"{prefix}metricName", 1, 255)
        yield from matches(
            args, f"{prefix}namespace", r"[^:].{0,254}", "1 to 255 characters that do not begin with a colon"
        )
        yield from one_of(args, f"{prefix}unit", _UNITS)
        yield from length(args, f"{prefix}dimensions", 0, 30)
        for path, value in args.at(f"{prefix}dimensions[*]"):
            if not isinstance(value, str) or not 1 <= len(value) <= 1024:
                yield Fault(path, f"expected a dimension value of 1 to 1,024 characters, got {shown(value)}")
    yield from one_of(args, "statistic", _STATISTICS)
    yield from matches(
        args, "extendedStatistic", _EXTENDED, "a percentile such as p95 or a trimmed statistic such as tm90"
    )
    statistics = "|".join(_STATISTICS)
    yield from matches(
        args,
        "metricQueries[*].metric.stat",
        f"{statistics}|{_EXTENDED}",
        f"one of {statistics} or a percentile such as p95",
    )


def _valid_period(period: object, *, single: bool = False) -> bool:
    short = (10, 20, 30) if single else _SHORT_PERIODS
    return isinstance(period, int) and (period in short or (period > 0 and period % 60 == 0))


def _period_faults(args: Args) -> Iterator[Fault]:
    for pattern in ("period", "metricQueries[*].period", "metricQueries[*].metric.period"):
        for path, period in args.at(pattern):
            if not _valid_period(period, single=pattern == "period"):
                yield Fault(path, f"expected 10, 20, 30 or a multiple of 60 seconds, got {shown(period)}")
    for path, namespace in args.at("namespace"):
        if namespace.startswith("AWS/") and args.get("period", 60) < 60:
            yield Fault("period", f"high resolution is for custom metrics, {path} is {namespace}")
    longest = max(
        (
            p
            for pattern in ("period", "metricQueries[*].period", "metricQueries[*].metric.period")
            for _, p in args.at(pattern)
            if isinstance(p, int)
        ),
        default=0,
    )
    periods = args.get("evaluationPeriods")
    if longest and periods:
        # "The number of evaluation periods multiplied by the period cannot exceed one day", a week with periods of an
        # hour or more.
        limit, what = (_WEEK, "seven days") if longest >= 3600 else (_DAY, "one day")
        if longest * periods > limit:
            yield Fault("evaluationPeriods", f"{periods} periods of {longest:,} s are longer than {what}")


def query_faults(args: Args) -> Iterator[Fault]:
    """Metric math: ids, what expressions refer to, and the one time series that the alarm looks at
    (https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html)."""
    queries = args["metricQueries"]
    if not isinstance(queries, list) or not queries:
        return
    if len(queries) > _MOST_QUERIES + 10:
        yield Fault("metricQueries", f"expected at most {_MOST_QUERIES + 10} queries, got {len(queries)}")
    metrics = [q for q in queries if isinstance(q, Mapping) and q.get("metric") is not None]
    if len(metrics) > _MOST_QUERIES:
        yield Fault("metricQueries", f"an alarm takes at most {_MOST_QUERIES} metrics, got {len(metrics)}")
    known = [q for q in queries if isinstance(q, Mapping)]
    ids = [q.get("id") if isinstance(q, Mapping) else UNKNOWN for q in queries]
    complete = len(known) == len(queries) and UNKNOWN not in ids
    for i, query in enumerate(queries):
        if isinstance(query, Mapping):
            yield from _query_faults(f"metricQueries[{i}]", query, ids, complete, i)
    returned = [q.get("returnData") for q in known]
    wanted = 2 if args.get("comparisonOperator") in _BANDS else 1
    if complete and UNKNOWN not in returned and sum(r is True for r in returned) != wanted:
        yield Fault(
            "metricQueries",
            f"exactly {wanted} query must have returnData true, {sum(r is True for r in returned)} have",
        )
    threshold = args.get("thresholdMetricId")
    if threshold and complete and threshold not in ids:
        yield Fault("thresholdMetricId", f"no query has the id {shown(threshold)}")
    yield from _cycle_faults(known)


def _query_faults(path: str, query: Mapping[str, Any], ids: list[Any], complete: bool, index: int) -> Iterator[Fault]:
    own = query.get("id")
    if isinstance(own, str):
        if not re.fullmatch(r"[a-z][A-Za-z0-9_]{0,254}", own):
            yield Fault(
                f"{path}.id", f"expected a lower-case letter, then letters, digits and underscores; got {shown(own)}"
            )
        if own in ids[:index]:
            yield Fault(f"{path}.id", f"the id {shown(own)} stands twice")
    expression, metric = query.get("expression"), query.get("metric")
    if (expression is None or expression == "") == (metric is None):
        yield Fault(path, "one of expression, metric must be set, and only one")
    if isinstance(metric, Mapping) and query.get("period") is not None:
        yield Fault(f"{path}.period", "is for expressions; a metric has its own period")
    if isinstance(metric, Mapping) and metric.get("namespace") is None:
        yield Fault(f"{path}.metric.namespace", "is required")
    if isinstance(expression, str) and expression:
        # https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricDataQuery.html
        if len(expression) > 2048:
            yield Fault(f"{path}.expression", f"expected at most 2,048 characters, got {len(expression):,}")
        reason = expression_fault(expression, {i for i in ids if isinstance(i, str)} if complete else None, own)
        if reason:
            yield Fault(f"{path}.expression", reason)


def _cycle_faults(queries: list[Mapping[str, Any]]) -> Iterator[Fault]:
    uses = {
        q["id"]: set(re.findall(r"\b[a-z][A-Za-z0-9_]*\b", q["expression"]))
        for q in queries
        if isinstance(q.get("id"), str) and isinstance(q.get("expression"), str)
    }
    state: dict[str, int] = {}

    def loops(id: str) -> bool:
        if state.get(id) == 1:
            return True
        if state.get(id) == 2:
            return False
        state[id] = 1
        found = any(loops(other) for other in sorted(uses[id]) if other in uses)
        state[id] = 2
        return found

    for id in uses:
        if loops(id):
            yield Fault("metricQueries", f"the expression {shown(id)} refers to itself in a circle")
            return


# https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html#API_PutMetricAlarm_RequestParameters
_EC2_ACTION: Final = re.compile(
    r"arn:aws(-[a-z]+)*:automate:[a-z0-9-]+:ec2:(stop|terminate|reboot|recover)|"
    r"arn:aws(-[a-z]+)*:swf:[a-z0-9-]+:\d{12}:action/actions/AWS_EC2\.InstanceId\.(Stop|Terminate|Reboot|Recover)/1\.0"
)
_ACTION_SERVICES: Final = ("sns", "autoscaling", "lambda", "ssm", "ssm-incidents", "aiops")


def action_faults(args: Args, keys: Iterable[str] = ACTIONS) -> Iterator[Fault]:
    """Actions are at most five ARNs of what CloudWatch can call."""
    for key in keys:
        yield from length(args, key, 0, 5)
        for path, action in args.at(f"{key}[*]"):
            if _EC2_ACTION.fullmatch(str(action)):
                continue
            if not is_arn(action) or action.split(":")[2] not in _ACTION_SERVICES:
                yield Fault(
                    path,
                    "expected the ARN of an SNS topic, a scaling policy, a Lambda function or an EC2 action; "
                    f"got {shown(action)}",
                )
            elif is_arn(action, "autoscaling") and not action.split(":", 5)[5].startswith("scalingPolicy:"):
                yield Fault(path, f"expected the ARN of a scaling policy, got {shown(action)}")


def require_actions(args: Args, cloud: Cloud, keys: Iterable[str] = ACTIONS) -> None:
    """Topics and scaling policies that an alarm calls exist, in the alarm's region, and are of a kind that an alarm
    can call. Raises CloudError ValidationError."""
    for key in keys:
        for action in args.get(key) or []:
            region = action.split(":")[3] if action.startswith("arn:") else ""
            if is_arn(action, "sns") or is_arn(action, "autoscaling"):
                if region != cloud.region:
                    raise CloudError(
                        "ValidationError", f"Invalid region {region} specified. Only {cloud.region} is supported."
                    )
                _require_action(action, cloud)


def _require_action(action: str, cloud: Cloud) -> None:
    if action.split(":")[4] != cloud.account:
        return
    token = TOPIC if is_arn(action, "sns") else POLICY
    found = cloud.find(token, arn=action)
    if not found:
        what = "topic" if token == TOPIC else "scaling policy"
        raise CloudError("ValidationError", f"Invalid alarm action: the {what} {action} does not exist")
    # https://docs.aws.amazon.com/autoscaling/ec2/userguide/as-scaling-simple-step.html: alarms call simple and step
    # policies
    if token == POLICY and found[0]["policyType"] in ("TargetTrackingScaling", "PredictiveScaling"):
        raise CloudError(
            "ValidationError", f"Invalid alarm action: {found[0]['policyType']} policies make their own alarms"
        )
    if token == TOPIC and found[0]["fifoTopic"]:
        raise CloudError("ValidationError", f"Invalid alarm action: {action} is a FIFO topic")
