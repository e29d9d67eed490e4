"""The evaluator of alarms and step policies does what the documentation says, on the documentation's own examples."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from rehearsal.regions.metric_math import MetricMathError, evaluate
from tests.support.alarms import (
    ALARM,
    GROUP,
    POLICY,
    Group,
    GroupState,
    Region,
    RegistrationError,
    Step,
    StepPolicy,
    read_region,
)

NO_BOUND = float("inf")


def region(alarm: dict[str, Any] | None = None, policy: dict[str, Any] | None = None, **group: Any) -> Region:
    """One group `g` whose alarm `a` watches its GroupPendingInstances and runs its policy `p`."""
    return read_region(resources(alarm, policy, **group))


def resources(
    alarm: dict[str, Any] | None = None, policy: dict[str, Any] | None = None, **group: Any
) -> list[dict[str, Any]]:
    metric = {
        "metricName": "GroupPendingInstances",
        "namespace": "AWS/AutoScaling",
        "period": 60,
        "stat": "Average",
        "dimensions": {"AutoScalingGroupName": "g"},
    }
    inputs = {
        GROUP: {"name": "g", "minSize": 0, "maxSize": 99, "enabledMetrics": ["GroupPendingInstances"], **group},
        POLICY: {
            "name": "p",
            "policyType": "StepScaling",
            "adjustmentType": "ChangeInCapacity",
            "autoscalingGroupName": "g",
            "stepAdjustments": [{"scalingAdjustment": 1, "metricIntervalLowerBound": "0"}],
            **(policy or {}),
        },
        ALARM: {
            "name": "a",
            "metricQueries": [{"id": "m", "returnData": True, "metric": metric}],
            "comparisonOperator": "GreaterThanOrEqualToThreshold",
            "threshold": 1,
            "evaluationPeriods": 3,
            "treatMissingData": "notBreaching",
            "alarmActions": ["arn:p"],
            **(alarm or {}),
        },
    }
    return [
        {"type": token, "inputs": values, "outputs": {"arn": f"arn:{values['name']}"}}
        for token, values in inputs.items()
    ]


def state_after(region: Region, points: str) -> str:
    """The alarm's state after these points: 0 not breaching, X breaching, - missing."""
    for minute, point in enumerate(points):
        if point != "-":
            region.metrics.publish("g", minute, {"GroupPendingInstances": float(point == "X")})
    region.alarms[0].evaluate(region.metrics, len(points) - 1)
    return region.alarms[0].state


# --- Alarms ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("points", "missing", "ignore", "breaching", "not_breaching"),
    [  # the table of alarms-and-missing-data for 3 of 3, without its rows in which an alarm looks further back
        ("0-X-X", "OK", "OK", "OK", "OK"),
        ("0XX-X", "ALARM", "ALARM", "ALARM", "ALARM"),
        ("-----", "INSUFFICIENT_DATA", "ALARM", "ALARM", "OK"),
        ("00X0X", "OK", "OK", "OK", "OK"),
    ],
)
def test_missing_points_are_filled_in_only_where_existing_ones_do_not_suffice(
    points: str, missing: str, ignore: str, breaching: str, not_breaching: str
) -> None:
    expected = {"missing": missing, "ignore": ignore, "breaching": breaching, "notBreaching": not_breaching}
    for treatment, state in expected.items():
        built = region({"treatMissingData": treatment})
        built.alarms[0].state = "ALARM" if state == "ALARM" else "OK"  # what `ignore` keeps
        assert state_after(built, points) == state


@pytest.mark.parametrize(
    ("points", "state"), [("0-X-X", "ALARM"), ("00X0X", "ALARM"), ("0-X--", "OK"), ("----0", "OK"), ("----X", "OK")]
)
def test_two_of_three_points_need_not_be_neighbours(points: str, state: str) -> None:
    assert state_after(region({"datapointsToAlarm": 2}), points) == state


def test_points_older_than_the_evaluation_range_are_forgotten() -> None:
    assert state_after(region(), "XXX--") == "ALARM"
    assert state_after(region(), "XXX---") == "OK"


def test_a_value_that_arrives_late_is_seen() -> None:
    built = region()
    assert state_after(built, "XX-") == "OK"
    built.metrics.publish("g", 2, {"GroupPendingInstances": 1})
    built.alarms[0].evaluate(built.metrics, 2)
    assert built.alarms[0].state == "ALARM"


@pytest.mark.parametrize(
    ("operator", "values"),
    [
        ("GreaterThanOrEqualToThreshold", [False, True, True]),
        ("GreaterThanThreshold", [False, False, True]),
        ("LessThanThreshold", [True, False, False]),
        ("LessThanOrEqualToThreshold", [True, True, False]),
    ],
)
def test_each_comparison_is_against_the_threshold(operator: str, values: list[bool]) -> None:
    for value, breaches in zip((0, 1, 2), values, strict=True):
        built = region({"comparisonOperator": operator, "evaluationPeriods": 1})
        built.metrics.publish("g", 0, {"GroupPendingInstances": value})
        built.alarms[0].evaluate(built.metrics, 0)
        assert (built.alarms[0].state == "ALARM") is breaches


def test_an_alarm_acts_every_minute_that_it_stays_in_alarm() -> None:
    built = region({"evaluationPeriods": 1})
    group = GroupState(desired=0)
    sizes = []
    for minute in range(4):
        built.metrics.publish("g", minute, {"GroupPendingInstances": 1})
        group.warming = 0  # each node is there at once, so nothing keeps the next action from adding
        built.minute(minute, {"g": group})
        sizes.append(group.desired)
    assert sizes == [1, 2, 3, 4]


def test_a_metric_that_the_group_has_not_enabled_is_never_published() -> None:
    assert state_after(region(enabledMetrics=["GroupDesiredCapacity"]), "XXXXX") == "OK"


def test_expressions_may_name_each_other_in_any_order_and_topics_are_no_policies() -> None:
    metric = resources()[2]["inputs"]["metricQueries"][0] | {"returnData": False}
    queries = [
        {"id": "twice", "expression": "same * 2", "returnData": True},
        {"id": "same", "expression": "m", "returnData": False},
        metric,
    ]
    built = region({"metricQueries": queries, "alarmActions": ["arn:aws:sns:topic", "arn:p"], "evaluationPeriods": 1})
    built.metrics.publish("g", 0, {"GroupPendingInstances": 2})
    assert [action.wanted for action in built.minute(0, {"g": GroupState(0)})] == [1]
    assert built.alarms[0].evaluate(built.metrics, 0) == [4.0]


# --- Policies -------------------------------------------------------------------------------------------------------

OUT = tuple(Step(add, low, high) for add, low, high in ((0, 0, 10), (10, 10, 20), (30, 20, NO_BOUND)))
IN = tuple(Step(add, low, high) for add, low, high in ((-30, -NO_BOUND, -20), (-10, -20, -10), (0, -10, 0)))
GROUP_OF_TEN = Group("g", 0, 99, frozenset())


def policy(
    steps: tuple[Step, ...], adjustment_type: str = "ChangeInCapacity", aggregation: str = "Average"
) -> StepPolicy:
    return StepPolicy("arn", "g", adjustment_type, aggregation, None, steps)


@pytest.mark.parametrize(("value", "adjustment"), [(50, 0), (59.9, 0), (60, 10), (69.9, 10), (70, 30), (999, 30)])
def test_above_the_threshold_the_lower_bound_belongs_to_a_step(value: float, adjustment: int) -> None:
    assert policy(OUT).adjustment([value], threshold=50) == adjustment


@pytest.mark.parametrize(("value", "adjustment"), [(40.1, 0), (40, -10), (30.1, -10), (30, -30), (0, -30)])
def test_below_the_threshold_the_upper_bound_belongs_to_a_step(value: float, adjustment: int) -> None:
    assert policy(IN).adjustment([value], threshold=50) == adjustment


def test_no_step_covers_the_other_side_of_the_threshold() -> None:
    assert policy(OUT).adjustment([49], threshold=50) is None


@pytest.mark.parametrize(("aggregation", "adjustment"), [("Minimum", 0), ("Average", 10), ("Maximum", 30)])
def test_the_step_is_chosen_by_the_aggregated_points(aggregation: str, adjustment: int) -> None:
    assert policy(OUT, aggregation=aggregation).adjustment([50, 60, 79], threshold=50) == adjustment


def test_nodes_that_warm_up_are_not_added_to() -> None:
    """The example of as-scaling-simple-step: of 11 desired one warms up, so adding 1 changes nothing and 3 make 13."""
    warming = GroupState(desired=11, warming=1)
    assert policy(OUT).target(1, GROUP_OF_TEN, warming) == 11
    assert policy(OUT).target(3, GROUP_OF_TEN, warming) == 13
    assert policy(OUT).target(3, GROUP_OF_TEN, GroupState(desired=11)) == 14


def test_nodes_that_terminate_are_not_removed_again() -> None:
    assert policy(IN).target(-1, GROUP_OF_TEN, GroupState(desired=10)) == 9
    assert policy(IN).target(-1, GROUP_OF_TEN, GroupState(desired=9, terminating=1)) == 9


def test_an_exact_capacity_is_what_it_says() -> None:
    assert policy(OUT, "ExactCapacity").target(3, GROUP_OF_TEN, GroupState(desired=11, warming=5)) == 3


def test_no_policy_leaves_the_bounds_of_the_group() -> None:
    group = replace(GROUP_OF_TEN, min_size=2, max_size=4)
    assert policy(OUT).target(9, group, GroupState(desired=3)) == 4
    assert policy(IN).target(-9, group, GroupState(desired=3)) == 2
    assert policy(OUT, "ExactCapacity").target(0, group, GroupState(desired=3)) == 2


def test_no_scale_in_starts_during_a_scale_out() -> None:
    built = region(
        {"evaluationPeriods": 1}, {"stepAdjustments": [{"scalingAdjustment": -1, "metricIntervalLowerBound": "0"}]}
    )
    built.metrics.publish("g", 0, {"GroupPendingInstances": 1})
    group = GroupState(desired=5, scaling_out=True)
    assert [(action.wanted, action.refused) for action in built.minute(0, {"g": group})] == [
        (4, "a scale-out is in progress")
    ]
    assert group.desired == 5


# --- What AWS would refuse, or what is not evaluated here -----------------------------------------------------------


def steps(*bounds: tuple[str | None, str | None]) -> dict[str, Any]:
    return {
        "stepAdjustments": [
            {"scalingAdjustment": 1, "metricIntervalLowerBound": low, "metricIntervalUpperBound": high}
            for low, high in bounds
        ]
    }


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"policy": {"policyType": "SimpleScaling"}}, "p: policyType = 'SimpleScaling'"),
        ({"policy": {"adjustmentType": "PercentChangeInCapacity"}}, "p: adjustmentType = 'PercentChange"),
        ({"policy": {"stepAdjustments": []}}, "p: stepAdjustments: 0, allowed are 1 to 20"),
        ({"policy": steps(*[(str(i), str(i + 1)) for i in range(20)], ("20", None))}, "p: stepAdjustments: 21"),
        ({"policy": steps((None, None))}, "both bounds of a step are open"),
        ({"policy": steps(("1", "1"))}, "lower bound 1.0 not below upper 1.0"),
        ({"policy": steps(("0", "1"), ("2", None))}, "gap or overlap between 1.0 and 2.0"),
        ({"policy": steps(("0", "2"), ("1", None))}, "gap or overlap between 2.0 and 1.0"),
        ({"policy": steps(("0", "1"))}, "a positive upper bound needs a step without one"),
        ({"policy": steps(("-1", "0"))}, "a negative lower bound needs a step without one"),
        (
            {
                "policy": {
                    "adjustmentType": "ExactCapacity",
                    "stepAdjustments": [{"scalingAdjustment": -1, "metricIntervalLowerBound": "0"}],
                }
            },
            "an exact capacity must not be negative",
        ),
        ({"alarm": {"comparisonOperator": "GreaterThanUpperThreshold"}}, "a: comparisonOperator = 'GreaterThanUpper"),
        ({"alarm": {"evaluationPeriods": 1441}}, "a: evaluationPeriods = 1441"),
        ({"alarm": {"datapointsToAlarm": 4}}, "datapointsToAlarm = 4: out of range"),
        ({"alarm": {"metricQueries": [{"id": "e", "expression": "1"}]}}, "exactly one query must return data"),
        ({"alarm": {"metricName": "X", "metricQueries": None, "period": 300}}, "a: m1: period = 300"),
    ],
)
def test_what_would_be_refused_is_refused_by_name(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(RegistrationError) as refused:
        region(**changes)
    assert message in str(refused.value)


def test_expressions_that_name_each_other_in_a_circle_are_refused() -> None:
    queries = [
        {"id": "a", "expression": "b + 1", "returnData": True},
        {"id": "b", "expression": "a + 1", "returnData": False},
    ]
    with pytest.raises(RegistrationError, match="name each other"):
        region({"metricQueries": queries})


def test_alarms_of_groups_that_were_not_asked_for_are_left_alone() -> None:
    assert read_region(resources({"comparisonOperator": "?"}, {"policyType": "SimpleScaling"}), groups=()).alarms == []


def test_an_alarm_that_is_switched_off_does_nothing() -> None:
    assert region({"actionsEnabled": False}).alarms == []


# --- Metric math, on the examples of using-metric-math --------------------------------------------------------------

METRIC1 = {0: 30.0, 1: 20.0, 2: 0.0, 3: 0.0}
METRIC2 = {0: 20.0, 2: 20.0}


@pytest.mark.parametrize(
    ("expression", "values"),
    [
        ("(metric1 < metric2)", [0, 0, 1, 0]),
        ("(metric1 >= 30)", [1, 0, 0, 0]),
        ("(metric1 > 15 AND metric2 > 15)", [1, 0, 0, 0]),
        ("metric1 > 15 && metric2 > 15 || metric2 == 20", [1, 0, 1, 0]),
        ("metric1 - metric2", [10, 20, -20, 0]),
        ("metric1 - 2 * 3 ^ 2 / 9", [28, 18, -2, -2]),
        ("-metric1 + 1", [-29, -19, 1, 1]),
        ("ABS(metric1 - metric2)", [10, 20, 20, 0]),
        ("IF(metric1 > 15, 5, metric2)", [5, 5, 20, None]),
        ("IF(metric1 > 15, metric2, 7)", [20, 0, 7, 7]),
        ("(metric1 > 0) * 3", [3, 3, 0, 0]),
        ("100 / metric1", [100 / 30, 5, None, None]),
    ],
)
def test_metric_math_as_documented(expression: str, values: list[float | None]) -> None:
    expected = {minute: value for minute, value in enumerate(values) if value is not None}
    assert evaluate(expression, {"metric1": METRIC1, "metric2": METRIC2}) == expected


def test_a_missing_value_counts_as_zero_beside_one_that_exists() -> None:
    assert evaluate("a - b", {"a": {0: 1.0, 1: 1.0}, "b": {1: 5.0, 2: 5.0}}) == {0: 1, 1: -4, 2: -5}
    assert evaluate("a - 1", {"a": {}}) == {}


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("a +", "expected a value, found the end"),
        ("a b", "unexpected 'b'"),
        ("(a", "expected \\), found the end"),
        ("a $ b", "unexpected '\\$ b'"),
        ("b", "no metric or expression has the id 'b'"),
        ("FILL(a, 0)", "FILL with 2 arguments is not evaluated here"),
        ("AND a", "expected a value, found AND"),
    ],
)
def test_what_is_not_metric_math_is_refused(expression: str, message: str) -> None:
    with pytest.raises(MetricMathError, match=message):
        evaluate(expression, {"a": {0: 1.0}})
