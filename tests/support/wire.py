"""The fallback's alarms, policies and groups in wire form, written from what `infra.fallback` exports.

For rules that no stack file has. That the program registers the same is tests/unit/test_fallback_parity.py's business.
"""

from __future__ import annotations

from typing import Any

from infra import fallback
from infra.fallback import Rule
from tests.support.alarms import ALARM, GROUP, POLICY

SPOT, ON_DEMAND = "region-spot", "region-on-demand"


def resources(rule: Rule) -> list[dict[str, Any]]:
    """Both groups, and for each alarm its policy, as {type, inputs, outputs}."""
    sizes = {SPOT: ("spot", 0, 99), ON_DEMAND: ("on-demand", rule.floor, rule.max_on_demand)}
    found = [
        _resource(
            GROUP,
            name,
            minSize=least,
            maxSize=most,
            enabledMetrics=list(fallback.enabled_metrics("spot" if pool == "spot" else "on-demand")),
        )
        for name, (pool, least, most) in sizes.items()
    ]
    for alarm in fallback.aws_alarms(rule):
        policy = _resource(
            POLICY,
            f"fallback-{alarm.key}",
            autoscalingGroupName=ON_DEMAND,
            policyType="StepScaling",
            adjustmentType=alarm.adjustment_type,
            metricAggregationType=alarm.aggregation,
            estimatedInstanceWarmup=alarm.warmup_seconds,
            stepAdjustments=[_step(step) for step in alarm.steps],
        )
        queries = [
            {
                "id": metric.id,
                "returnData": False,
                "metric": {
                    "metricName": metric.metric_name,
                    "namespace": fallback.NAMESPACE,
                    "period": fallback.PERIOD_SECONDS,
                    "stat": fallback.STATISTIC,
                    "dimensions": {fallback.DIMENSION: SPOT if metric.pool == "spot" else ON_DEMAND},
                },
            }
            for metric in alarm.metrics
        ]
        queries += [
            {"id": line.id, "expression": line.expression, "label": line.label, "returnData": line.returns_data}
            for line in alarm.expressions
        ]
        found += [
            policy,
            _resource(
                ALARM,
                f"fallback-{alarm.key}",
                metricQueries=queries,
                comparisonOperator=alarm.comparison,
                threshold=alarm.threshold,
                evaluationPeriods=alarm.evaluation_periods,
                datapointsToAlarm=alarm.evaluation_periods,
                treatMissingData=alarm.treat_missing_data,
                alarmActions=[policy["outputs"]["arn"]],
            ),
        ]
    return found


def _step(step: fallback.Step) -> dict[str, Any]:
    bounds = {"metricIntervalLowerBound": step.lower, "metricIntervalUpperBound": step.upper}
    return {"scalingAdjustment": step.adjustment, **{key: value for key, value in bounds.items() if value is not None}}


def _resource(token: str, name: str, **inputs: Any) -> dict[str, Any]:
    arn = f"arn:aws:test:{token.split('/')[0].removeprefix('aws:')}:{name}"
    return {"type": token, "inputs": {"name": name, **inputs}, "outputs": {"name": name, "arn": arn}}
