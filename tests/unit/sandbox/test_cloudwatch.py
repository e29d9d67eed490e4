"""Alarms, metric math, event rules and targets, log groups, dashboards."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sandbox.aws.events import schedule_fault
from sandbox.aws.metric_math import expression_fault
from sandbox.kinds import CloudError
from tests.support.memory_cloud import MemoryCloud

ALARM = "aws:cloudwatch/metricAlarm:MetricAlarm"
COMPOSITE = "aws:cloudwatch/compositeAlarm:CompositeAlarm"
RULE = "aws:cloudwatch/eventRule:EventRule"
TARGET = "aws:cloudwatch/eventTarget:EventTarget"
BUS = "aws:cloudwatch/eventBus:EventBus"
LOG_GROUP = "aws:cloudwatch/logGroup:LogGroup"
LOG_STREAM = "aws:cloudwatch/logStream:LogStream"
DASHBOARD = "aws:cloudwatch/dashboard:Dashboard"
TOPIC = "arn:aws:sns:us-east-1:123456789012:events"
SCALE = "arn:aws:autoscaling:us-east-1:123456789012:scalingPolicy:1-2-3:autoScalingGroupName/pool:policyName/out"


@pytest.fixture
def cloud() -> MemoryCloud:
    cloud = MemoryCloud()
    cloud.stand_in("aws:sns/topic:Topic", TOPIC, arn=TOPIC, name="events")
    cloud.stand_in("aws:autoscaling/policy:Policy", "out", arn=SCALE, name="out", policyType="StepScaling")
    return cloud


def metric(**changes: Any) -> dict[str, Any]:
    return {
        "metricName": "GroupDesiredCapacity",
        "namespace": "AWS/AutoScaling",
        "period": 60,
        "stat": "Average",
        **changes,
    }


def math(*queries: dict[str, Any], **changes: Any) -> dict[str, Any]:
    base: dict[str, Any] = {
        "name": "gap", "comparisonOperator": "GreaterThanOrEqualToThreshold", "evaluationPeriods": 2, "threshold": 1,
        "metricQueries": list(queries)
        or [{"id": "d", "metric": metric()}, {"id": "gap", "expression": "d - 1", "returnData": True}],
    }  # fmt: skip
    return {k: v for k, v in {**base, **changes}.items() if v is not None}


def single(**changes: Any) -> dict[str, Any]:
    base: dict[str, Any] = {
        "name": "cpu", "comparisonOperator": "GreaterThanThreshold", "evaluationPeriods": 5, "threshold": 65,
        "metricName": "CPUUtilization", "namespace": "AWS/EC2", "period": 60, "statistic": "Average",
    }  # fmt: skip
    return {k: v for k, v in {**base, **changes}.items() if v is not None}


def test_alarms_of_one_metric_and_of_metric_math_are_made(cloud: MemoryCloud) -> None:
    made = cloud.create(ALARM, **math(alarmActions=[TOPIC, SCALE]))
    assert made["arn"] == "arn:aws:cloudwatch:us-east-1:123456789012:alarm:gap"
    assert made["treatMissingData"] == "missing"
    cloud.create(ALARM, **single())


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"metricName": None}, "metricName: one of metricName, metricQueries, evaluationCriteria must be set"),
        (
            {"metricQueries": [{"id": "a", "metric": metric(), "returnData": True}]},
            "metricQueries: conflicts with metricName",
        ),
        ({"namespace": None}, "namespace: is required with metricName"),
        ({"period": None}, "period: is required with metricName"),
        ({"statistic": None}, "statistic: one of statistic, extendedStatistic"),
        ({"extendedStatistic": "p95"}, "extendedStatistic: conflicts with statistic"),
        ({"statistic": None, "extendedStatistic": "95"}, "extendedStatistic: expected a percentile"),
        ({"statistic": "Median"}, "statistic: expected one of"),
        ({"comparisonOperator": ">"}, "comparisonOperator: expected one of"),
        ({"comparisonOperator": None}, "comparisonOperator: is required"),
        ({"evaluationPeriods": 0}, "evaluationPeriods: expected 1 to"),
        ({"evaluationPeriods": None}, "evaluationPeriods: is required"),
        ({"datapointsToAlarm": 6}, "datapointsToAlarm: must be at most evaluationPeriods (5)"),
        ({"threshold": None}, "threshold: is required for GreaterThanThreshold"),
        ({"thresholdMetricId": "a"}, "thresholdMetricId: conflicts with threshold"),
        ({"period": 90}, "period: expected 10, 20, 30 or a multiple of 60"),
        ({"period": 10}, "period: high resolution is for custom metrics"),
        ({"period": 60, "evaluationPeriods": 1441}, "evaluationPeriods: 1441 periods of 60 s are longer than one day"),
        (
            {"period": 3600, "evaluationPeriods": 169},
            "evaluationPeriods: 169 periods of 3,600 s are longer than seven days",
        ),
        ({"treatMissingData": "zero"}, "treatMissingData: expected one of breaching, notBreaching, ignore, missing"),
        ({"unit": "Tokens"}, "unit: expected one of"),
        ({"name": "x" * 256}, "name: expected a length of 1 to 255"),
        ({"alarmActions": [TOPIC] * 6}, "alarmActions: expected a length of 0 to 5"),
        ({"okActions": ["pager"]}, "okActions[0]: expected the ARN of"),
        ({"alarmActions": ["arn:aws:s3:::bucket"]}, "alarmActions[0]: expected the ARN of"),
        (
            {"alarmActions": ["arn:aws:autoscaling:us-east-1:123456789012:autoScalingGroup:1:autoScalingGroupName/x"]},
            "alarmActions[0]: expected the ARN of a scaling policy",
        ),
        ({"dimensions": {str(i): "x" for i in range(31)}}, "dimensions: expected a length of 0 to 30"),
    ],
)
def test_an_alarm_that_cloudwatch_refuses_is_a_fault(cloud: MemoryCloud, changes: dict[str, Any], fault: str) -> None:
    found = cloud.faults(ALARM, **single(**changes))
    assert any(line.startswith(fault) for line in found), found


@pytest.mark.parametrize(
    ("queries", "fault"),
    [
        ([{"id": "d", "metric": metric()}], "exactly 1 query must have returnData true, 0 have"),
        (
            [{"id": i, "metric": metric(), "returnData": True} for i in "ab"],
            "exactly 1 query must have returnData true, 2 have",
        ),
        ([{"id": "d", "metric": metric(), "returnData": True}] * 2, 'the id "d" stands twice'),
        ([{"id": "Gap", "metric": metric(), "returnData": True}], "expected a lower-case letter"),
        ([{"id": "d", "returnData": True}], "one of expression, metric must be set"),
        (
            [{"id": "d", "metric": metric(), "expression": "1", "returnData": True}],
            "one of expression, metric must be set",
        ),
        ([{"id": "d", "metric": metric(), "period": 60, "returnData": True}], "period: is for expressions"),
        (
            [{"id": "d", "metric": metric(period=45), "returnData": True}],
            "metric.period: expected 10, 20, 30 or a multiple",
        ),
        ([{"id": "d", "metric": metric(stat="mean"), "returnData": True}], "metric.stat: expected one of"),
        ([{"id": "d", "metric": metric(namespace=None), "returnData": True}], "metric.namespace: is required"),
        ([{"id": "e", "expression": "d + 1", "returnData": True}], "no query has the id d"),
        ([{"id": "e", "expression": "e + 1", "returnData": True}], "the expression refers to its own id e"),
        (
            [{"id": "e", "expression": "f", "returnData": True}, {"id": "f", "expression": "e"}],
            "refers to itself in a circle",
        ),
        (
            [{"id": f"m{i}", "metric": metric()} for i in range(11)]
            + [{"id": "e", "expression": "m1", "returnData": True}],
            "an alarm takes at most 10 metrics, got 11",
        ),
    ],
)
def test_metric_math_that_cloudwatch_refuses_is_a_fault(cloud: MemoryCloud, queries: list[Any], fault: str) -> None:
    found = cloud.faults(ALARM, **math(*queries))
    assert any(fault in line for line in found), found


def test_metric_math_takes_none_of_the_single_metrics_properties(cloud: MemoryCloud) -> None:
    assert any("period: conflicts with metricQueries" in f for f in cloud.faults(ALARM, **math(period=60)))


def test_an_anomaly_band_needs_the_id_of_its_query(cloud: MemoryCloud) -> None:
    band = {"comparisonOperator": "GreaterThanUpperThreshold", "threshold": None}
    queries = [
        {"id": "m", "metric": metric(), "returnData": True},
        {"id": "band", "expression": "ANOMALY_DETECTION_BAND(m, 2)", "returnData": True},
    ]
    assert any("thresholdMetricId: is required" in f for f in cloud.faults(ALARM, **math(*queries, **band)))
    assert any("no query has the id" in f for f in cloud.faults(ALARM, **math(*queries, **band, thresholdMetricId="x")))
    assert cloud.faults(ALARM, **math(*queries, **band, thresholdMetricId="band")) == []


@pytest.mark.parametrize(
    ("expression", "fault"),
    [
        ("a + b * (2 - 1)", ""),
        ("IF(a >= 1 AND b < 2, a, 0)", ""),
        ("MAX([a, b])", ""),
        ("FILL(a, REPEAT) / 60", ""),
        ("-a", ""),
        ("SUM(METRICS())", ""),
        ("a +", "expected a number, an id or a function before the end"),
        ("a b", "expected an operator before"),
        ("(a", "expected ) before the end"),
        ("a)", "expected an operator before"),
        ("a # b", "cannot read the expression"),
        ("max(a)", "functions are in upper case: MAX"),
        ("MEDIAN(a)", "unknown function MEDIAN"),
        ("IF(a)", "IF takes 2 to 3 arguments, got 1"),
        ("SEARCH('x', 'Sum')", "cannot be alarmed on"),
        ("c", "no query has the id c"),
    ],
)
def test_the_grammar_of_metric_math(expression: str, fault: str) -> None:
    found = expression_fault(expression, {"a", "b"})
    assert found == fault if not fault else fault in found


def test_ids_are_not_judged_while_some_are_unknown() -> None:
    assert expression_fault("whatever + 1", None) == ""


@pytest.mark.parametrize(
    ("action", "fault"),
    [
        (TOPIC.replace("events", "none"), "the topic .* does not exist"),
        (TOPIC.replace("us-east-1", "us-west-2"), "Invalid region us-west-2 specified"),
        (SCALE.replace("1-2-3", "9-9-9"), "the scaling policy .* does not exist"),
    ],
)
def test_actions_exist_in_the_alarms_region(cloud: MemoryCloud, action: str, fault: str) -> None:
    with pytest.raises(CloudError, match=fault):
        cloud.create(ALARM, **single(alarmActions=[action]))


def test_an_alarm_does_not_call_a_target_tracking_policy(cloud: MemoryCloud) -> None:
    cloud.stand_in("aws:autoscaling/policy:Policy", "out", arn=SCALE, policyType="TargetTrackingScaling")
    with pytest.raises(CloudError, match="make their own alarms"):
        cloud.create(ALARM, **single(alarmActions=[SCALE]))


@pytest.mark.parametrize(
    ("rule", "fault"),
    [
        ("ALARM(a) AND", "the rule ends where a state is expected"),
        ("ALARM(a) ALARM(b)", "expected AND or OR before"),
        ("(ALARM(a)", "a parenthesis is not closed"),
        ("ALARM(a))", "a closing parenthesis too many"),
        ("AND ALARM(a)", "expected a state such as ALARM(name) before AND"),
        ("BROKEN(a)", "cannot read the rule"),
    ],
)
def test_a_composite_rule_that_cannot_be_read_is_a_fault(cloud: MemoryCloud, rule: str, fault: str) -> None:
    assert any(fault in line for line in cloud.faults(COMPOSITE, alarmName="both", alarmRule=rule))


def test_a_composite_alarm_names_alarms_that_exist(cloud: MemoryCloud) -> None:
    with pytest.raises(CloudError, match="the alarm cpu does not exist"):
        cloud.create(COMPOSITE, alarmName="both", alarmRule="ALARM(cpu)")
    cloud.create(ALARM, **single())
    cloud.create(COMPOSITE, alarmName="both", alarmRule='ALARM("cpu") OR NOT OK(cpu)')
    with pytest.raises(CloudError, match="cannot name its own alarm"):
        cloud.create(COMPOSITE, alarmName="self", alarmRule="ALARM(self)")


def event(pattern: Any) -> dict[str, Any]:
    return {"name": "spot", "eventPattern": pattern if isinstance(pattern, str) else json.dumps(pattern)}


@pytest.mark.parametrize(
    ("pattern", "fault"),
    [
        ("{", "InvalidEventPatternException"),
        ([], "expected a JSON object"),
        ({"source": "aws.ec2"}, '"source" must be an object or an array'),
        ({"source": []}, "Empty arrays are not allowed"),
        ({"detail": {}}, "Empty objects are not allowed"),
        ({"source": [["a"]]}, "Match value must be"),
        ({"source": [{"starts": "a"}]}, "unrecognized match type starts"),
        ({"n": [{"numeric": [">"]}]}, "numeric expects an operator and a number"),
        ({"n": [{"exists": "yes"}]}, "must be either true or false"),
        ({"n": [{"cidr": "10.0.0.0/99"}]}, "Malformed CIDR"),
        ({"$or": [{"a": ["b"]}]}, "at least two objects"),
    ],
)
def test_an_event_pattern_that_eventbridge_refuses_is_a_fault(cloud: MemoryCloud, pattern: Any, fault: str) -> None:
    found = cloud.faults(RULE, **event(pattern))
    assert any(fault in line for line in found), found


@pytest.mark.parametrize(
    ("schedule", "fault"),
    [
        ("rate(5 minutes)", ""),
        ("rate(1 hour)", ""),
        ("cron(0 10 * * ? *)", ""),
        ("cron(0/15 8-18 ? * MON-FRI *)", ""),
        ("rate(1 minutes)", "the unit of 1 is singular"),
        ("rate(5 minute)", "the unit of 5 is plural"),
        ("rate(5 seconds)", "expected rate(value unit)"),
        ("cron(0 10 * * *)", "cron takes six fields"),
        ("cron(0 10 * * * *)", "exactly one of day-of-month and day-of-week must be ?"),
        ("every day", "expected rate(5 minutes) or cron"),
    ],
)
def test_a_schedule_is_a_rate_or_a_cron_expression(schedule: str, fault: str) -> None:
    assert schedule_fault(schedule) == fault if not fault else fault in schedule_fault(schedule)


def test_a_rule_has_a_pattern_or_a_schedule_and_one_way_to_be_off(cloud: MemoryCloud) -> None:
    assert any("one of eventPattern, scheduleExpression" in f for f in cloud.faults(RULE, name="x"))
    assert any(
        "isEnabled: conflicts with state" in f
        for f in cloud.faults(RULE, **event({"a": ["b"]}), state="ENABLED", isEnabled=True)
    )
    assert any(
        "only for the default event bus" in f
        for f in cloud.faults(RULE, name="x", scheduleExpression="rate(5 minutes)", eventBusName="own")
    )


def test_a_rule_of_another_bus_is_known_by_bus_and_name(cloud: MemoryCloud) -> None:
    with pytest.raises(CloudError, match="ResourceNotFoundException"):
        cloud.create(RULE, **event({"a": ["b"]}), eventBusName="own")
    cloud.create(BUS, name="own")
    made = cloud.create(RULE, **event({"a": ["b"]}), eventBusName="own")
    assert made.id == "own/spot"
    assert made["arn"].endswith(":rule/own/spot")
    assert cloud.faults(BUS, name="default")


def test_a_rule_with_targets_is_not_deleted(cloud: MemoryCloud) -> None:
    rule = cloud.create(RULE, **event({"source": ["aws.ec2"]}))
    target = cloud.create(TARGET, rule="spot", targetId="topic", arn=TOPIC)
    assert target.id == "spot-topic"
    with pytest.raises(CloudError, match="ValidationException"):
        cloud.delete(rule)
    cloud.delete(target)
    cloud.delete(rule)


def test_a_rule_takes_five_targets_that_exist(cloud: MemoryCloud) -> None:
    cloud.create(RULE, **event({"source": ["aws.ec2"]}))
    with pytest.raises(CloudError, match="does not exist"):
        cloud.create(TARGET, rule="spot", arn=TOPIC.replace("events", "none"))
    with pytest.raises(CloudError, match="is not of region us-east-1"):
        cloud.create(TARGET, rule="spot", arn=TOPIC.replace("us-east-1", "us-west-2"))
    with pytest.raises(CloudError, match="ResourceNotFoundException"):
        cloud.create(TARGET, rule="none", arn=TOPIC)
    for i in range(5):
        cloud.create(TARGET, rule="spot", targetId=f"t{i}", arn=TOPIC)
    with pytest.raises(CloudError, match="LimitExceededException"):
        cloud.create(TARGET, rule="spot", targetId="t6", arn=TOPIC)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"arn": "topic"}, "arn: expected an ARN"),
        ({"targetId": "a b"}, "targetId: expected 1 to 64"),
        ({"input": "{"}, "input: expected JSON text"),
        ({"input": "{}", "inputPath": "$.a"}, "inputPath: conflicts with input"),
        ({"inputPath": "a"}, "inputPath: expected a JSON path"),
        (
            {"inputTransformer": {"inputTemplate": "<id>"}},
            "inputTransformer.inputTemplate: <id> is not among inputPaths",
        ),
        ({"retryPolicy": {"maximumRetryAttempts": 186}}, "retryPolicy.maximumRetryAttempts: expected 0 to 185"),
        ({"retryPolicy": {"maximumEventAgeInSeconds": 1}}, "retryPolicy.maximumEventAgeInSeconds: expected 60 to"),
        ({"arn": "arn:aws:kinesis:us-east-1:123456789012:stream/a"}, "roleArn: is required for a target of kinesis"),
        ({"arn": "arn:aws:sqs:us-east-1:123456789012:a.fifo"}, "sqsTarget: messageGroupId is required"),
        ({"sqsTarget": {"messageGroupId": "a"}}, "sqsTarget: is for a target of sqs"),
    ],
)
def test_a_target_that_eventbridge_refuses_is_a_fault(cloud: MemoryCloud, changes: dict[str, Any], fault: str) -> None:
    found = cloud.faults(TARGET, **{"rule": "spot", "arn": TOPIC, **changes})
    assert any(line.startswith(fault) for line in found), found


def test_a_log_group_keeps_its_name_and_takes_its_streams_along(cloud: MemoryCloud) -> None:
    assert any("retentionInDays: expected one of" in f for f in cloud.faults(LOG_GROUP, name="/a", retentionInDays=31))
    assert cloud.faults(LOG_GROUP, name="a b")
    group = cloud.create(LOG_GROUP, name="/a", deletionProtectionEnabled=True)
    assert group["arn"] == "arn:aws:logs:us-east-1:123456789012:log-group:/a"
    cloud.create(LOG_STREAM, name="s", logGroupName="/a")
    for token, inputs in ((LOG_GROUP, {"name": "/a"}), (LOG_STREAM, {"name": "s", "logGroupName": "/a"})):
        with pytest.raises(CloudError, match="ResourceAlreadyExistsException"):
            cloud.create(token, **inputs)
    with pytest.raises(CloudError, match="deletion protection"):
        cloud.delete(group)
    cloud.delete(cloud.update(group, deletionProtectionEnabled=False))
    assert cloud.all(LOG_STREAM) == []


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ("{", "not valid JSON"),
        ("{}", "needs a list of widgets"),
        ('{"widgets": [{"type": "pie", "properties": {}}]}', "widgets[0].type"),
        ('{"widgets": [{"type": "text"}]}', "properties is required"),
        ('{"widgets": [{"type": "text", "properties": {}, "width": 25}]}', "widgets[0].width: expected 1 to 24"),
    ],
)
def test_a_dashboard_that_cloudwatch_refuses_is_a_fault(cloud: MemoryCloud, body: str, fault: str) -> None:
    assert any(fault in line for line in cloud.faults(DASHBOARD, dashboardName="d", dashboardBody=body))
