"""Faults that somebody could build into the registered alarms, each one a plausible change.

A mutant takes resources in wire form and returns others; the comparison with the rule has to notice every one.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from tests.support.alarms import ALARM, GROUP, POLICY

Resources = list[dict[str, Any]]
Mutant = Callable[[Iterable[Mapping[str, Any]]], Resources]


def mutant(token: str, alarm: str, *changes: Callable[[dict[str, Any]], None]) -> Mutant:
    """Apply `changes` to the inputs of every resource of type `token` whose name ends in `alarm`."""

    def mutate(resources: Iterable[Mapping[str, Any]]) -> Resources:
        copied = copy.deepcopy([dict(resource) for resource in resources])
        changed = 0
        for resource in copied:
            if resource["type"] == token and str(resource["inputs"].get("name", "")).endswith(alarm):
                before = copy.deepcopy(resource["inputs"])
                for change in changes:
                    change(resource["inputs"])
                resource["outputs"] = {**resource["outputs"], **resource["inputs"]}
                changed += resource["inputs"] != before
        assert changed, f"nothing of {token} {alarm} was changed"
        return copied

    return mutate


def together(*mutants: Mutant) -> Mutant:
    def mutate(resources: Iterable[Mapping[str, Any]]) -> Resources:
        for one in mutants:
            resources = one(resources)
        return [dict(resource) for resource in resources]

    return mutate


def values(**new: Any) -> Callable[[dict[str, Any]], None]:
    return lambda inputs: inputs.update(new)


def line(id: str, expression: str) -> Callable[[dict[str, Any]], None]:
    """Replace the expression of query `id`."""

    def change(inputs: dict[str, Any]) -> None:
        for query in inputs["metricQueries"]:
            if query["id"] == id:
                query["expression"] = expression

    return change


def without(pattern: str) -> Callable[[dict[str, Any]], None]:
    """Remove what `pattern` matches from every expression."""

    def change(inputs: dict[str, Any]) -> None:
        for query in inputs["metricQueries"]:
            if query.get("expression"):
                query["expression"] = re.sub(pattern, "", query["expression"])

    return change


def steps(*adjustments: tuple[int, str | None, str | None]) -> Callable[[dict[str, Any]], None]:
    table = [
        {
            "scalingAdjustment": adjustment,
            **({"metricIntervalLowerBound": lower} if lower else {}),
            **({"metricIntervalUpperBound": upper} if upper else {}),
        }
        for adjustment, lower, upper in adjustments
    ]
    return lambda inputs: inputs.update(stepAdjustments=table)


def _swapped_pools(inputs: dict[str, Any]) -> None:
    metrics = [query["metric"] for query in inputs["metricQueries"] if query.get("metric")]
    groups = sorted({metric["dimensions"]["AutoScalingGroupName"] for metric in metrics})
    for metric in metrics:
        other = groups[1 - groups.index(metric["dimensions"]["AutoScalingGroupName"])]
        metric["dimensions"] = {"AutoScalingGroupName": other}


def _shifted_steps(inputs: dict[str, Any]) -> None:
    """Bounds as absolute values, as the console shows them, where the API takes distances from the threshold."""
    for step in inputs["stepAdjustments"]:
        for bound in ("metricIntervalLowerBound", "metricIntervalUpperBound"):
            if step.get(bound) is not None:
                step[bound] = str(int(step[bound]) + 1)


def _no_pending_metrics(inputs: dict[str, Any]) -> None:
    inputs["enabledMetrics"] = [name for name in inputs["enabledMetrics"] if name != "GroupPendingInstances"]


MUTANTS: Mapping[str, Mutant] = {
    "booting spot counts as missing": mutant(ALARM, "fallback-out", without(r" - spot_pending")),
    "orders set what spot lacks now, also downwards": together(
        mutant(ALARM, "fallback-out", line("order", "shortage")),
        mutant(ALARM, "fallback-out", values(threshold=0)),
        mutant(
            POLICY,
            "fallback-out",
            steps((0, "0", "1"), (1, "1", "2"), (2, "2", "3"), (3, "3", "4"), (4, "4", None)),
        ),
    ),
    "the gap is added to what is desired": together(
        mutant(ALARM, "fallback-out", line("order", "(on_demand_max > 0) * gap")),
        mutant(POLICY, "fallback-out", values(adjustmentType="ChangeInCapacity")),
    ),
    "the total is added to what is desired": mutant(POLICY, "fallback-out", values(adjustmentType="ChangeInCapacity")),
    "gives back all but one": mutant(
        POLICY,
        "fallback-in",
        lambda inputs: inputs.update(
            adjustmentType="ExactCapacity", stepAdjustments=[{"scalingAdjustment": 1, "metricIntervalLowerBound": "0"}]
        ),
    ),
    "orders at threshold 0": mutant(ALARM, "fallback-out", values(threshold=0)),
    "orders at threshold 2": mutant(ALARM, "fallback-out", values(threshold=2)),
    "orders above the threshold only": mutant(ALARM, "fallback-out", values(comparisonOperator="GreaterThanThreshold")),
    "orders after 1 minute": mutant(ALARM, "fallback-out", values(evaluationPeriods=1, datapointsToAlarm=1)),
    "orders after any 1 of 2 minutes": mutant(ALARM, "fallback-out", values(datapointsToAlarm=1)),
    "gives back after 1 minute": mutant(ALARM, "fallback-in", values(evaluationPeriods=1, datapointsToAlarm=1)),
    "gives back two at once": mutant(
        POLICY, "fallback-in", values(adjustmentType="ChangeInCapacity"), steps((-2, "0", None))
    ),
    "gives back while the last one still goes": mutant(
        ALARM, "fallback-in", without(r" \* \(on_demand_terminating < 1\)")
    ),
    "gives back by subtracting": mutant(
        POLICY, "fallback-in", values(adjustmentType="ChangeInCapacity"), steps((-1, "0", None))
    ),
    "gives back by what the first minute held": mutant(POLICY, "fallback-in", values(metricAggregationType="Minimum")),
    "counts ordered nodes as serving": mutant(ALARM, "fallback-in", without(r" \* safe")),
    "waits for less than a boot": mutant(ALARM, "fallback-late", values(evaluationPeriods=5, datapointsToAlarm=5)),
    "orders for late spot while an order boots": mutant(
        ALARM, "fallback-late", without(r"\(on_demand_in_service >= on_demand_desired\) \* ")
    ),
    "waits for ever for booting spot": mutant(ALARM, "fallback-late", line("order", "0 * shortage")),
    "takes a silent on-demand group for empty": mutant(ALARM, "fallback-out", without(r"\(on_demand_max > 0\) \* ")),
    "takes a silent spot group for unwanted": mutant(ALARM, "fallback-in", without(r"\(spot_max > 0\) \* ")),
    "missing data breaches": mutant(ALARM, "fallback-out", values(treatMissingData="breaching")),
    "pools swapped": mutant(ALARM, "fallback-out", _swapped_pools),
    "step bounds as absolute values": mutant(POLICY, "fallback-out", _shifted_steps),
    "booting spot not published": mutant(GROUP, "spot", _no_pending_metrics),
    "actions switched off": mutant(ALARM, "fallback-out", values(actionsEnabled=False)),
}
