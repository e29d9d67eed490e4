"""When one region's on-demand pool takes over from its spot pool, and when it hands back. Pure: no cloud, no clock.

One rule in two forms that tests/unit/test_fallback_parity.py holds together: Azure and GCP call `decide` once a minute,
AWS runs what `aws_alarms` writes out of the same formulas: CloudWatch metric math with step scaling policies.

    gap     = spot desired - spot in service - spot pending - (on-demand desired - floor)
    surplus = spot in service + (on-demand desired - floor) - spot desired

Spot desired is target - floor. All counts are nodes, all durations minutes.

OUT   gap >= 1 for `out_minutes`: order what was missing for all of that time. Booting spot counts as supply, so a boot
      of 20 minutes buys nothing. An instance is Pending only once launched; a launch refused for lack of capacity never
      is (docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-lifecycle.html).
LATE  the same without booting spot, for `late_minutes` (two boots) in which all ordered on-demand serves: spot that is
      lost again and again while it boots, or that never gets ready, would hide a gap behind Pending for ever.
IN    surplus >= 1 for `in_minutes`: one node less, if no on-demand node is on its way out yet, and if the region serves
      with one to spare or no on-demand node serves at all. So whichever node the group picks, serving stays where the
      target wants it, and every further node has to be spared for `in_minutes` again.

Why alarms set a total (ExactCapacity) and do not add: a step policy adds to the *current* capacity, in which nodes that
still warm up do not count ("the desired capacity of the group is already 11, so we add only 2",
docs.aws.amazon.com/autoscaling/ec2/userguide/as-scaling-simple-step.html). The gap has already subtracted them: a
second loss during the first order's boot would add 1 to 0 and change nothing. The total is right whatever counts as
current, and saying it again is harmless, up or down: an alarm repeats its Auto Scaling action every minute that it
stays in ALARM (docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-actions.html), on metrics that are a minute
or two old. Orders are sent only while gap >= 1, which is above the on-demand desired size: they never lower it. The
window's least shortage, or largest size, chooses the step: what lasted is ordered, and never more than one goes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

PERIOD_SECONDS = 60
"""Group metrics come once a minute (docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-metrics.html)."""
STATISTIC = "Average"
"""One sample a minute; should two fall into one minute and differ, the fraction satisfies neither rule."""
NAMESPACE = "AWS/AutoScaling"
DIMENSION = "AutoScalingGroupName"
THRESHOLD = 1
COMPARISON = "GreaterThanOrEqualToThreshold"
TREAT_MISSING_DATA = "notBreaching"
MAX_STEPS = 20
"""Step adjustments per policy, fixed (docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-quotas.html)."""
MAX_ALARM_MINUTES = 24 * 60
"""Evaluation periods x period of an alarm may not exceed a day (API reference of PutMetricAlarm)."""

PoolName = Literal["spot", "on-demand"]


@dataclass(frozen=True, slots=True)
class Rule:
    """The settings of one region.

    floor: on-demand nodes that always run. max_on_demand: most nodes the rule orders, the floor included.
    out_minutes, in_minutes: how long a gap or a surplus must last. boot_minutes: launch to ready, model loaded.
    Raises ValueError, one line that names the field and what is allowed.
    """

    floor: int
    out_minutes: int
    in_minutes: int
    boot_minutes: int
    max_on_demand: int

    def __post_init__(self) -> None:
        for name, least in (("floor", 0), ("out_minutes", 1), ("in_minutes", 1), ("boot_minutes", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} = {getattr(self, name)}: must be at least {least}")
        if self.max_on_demand < self.floor:
            raise ValueError(f"max_on_demand = {self.max_on_demand}: must be at least the floor ({self.floor})")
        for name in ("out_minutes", "in_minutes", "late_minutes"):
            if getattr(self, name) > MAX_ALARM_MINUTES:
                raise ValueError(f"{name} = {getattr(self, name)}: must be at most {MAX_ALARM_MINUTES} (a day)")

    @property
    def late_minutes(self) -> int:
        """After so long booting spot no longer counts: a boot may fail and be repeated, a third is not waited for."""
        return 2 * self.boot_minutes


@dataclass(frozen=True, slots=True)
class Observation:
    """Both pools at one minute. The first three counts are the spot pool's.

    minute: since the epoch, as the timer was scheduled. desired: target - floor. in_service: ready. pending: launched,
    not ready. on_demand_desired: ordered, with the floor. on_demand_in_service: ready. on_demand_terminating: going.
    """

    minute: int
    desired: int
    in_service: int
    pending: int
    on_demand_desired: int
    on_demand_in_service: int
    on_demand_terminating: int = 0


class Reason(StrEnum):
    """Why the decision is what it is. The first five change the on-demand size, the others keep it."""

    SPOT_MISSING = "spot-missing"
    SPOT_LATE = "spot-late"
    SPOT_BACK = "spot-back"
    BELOW_FLOOR = "below-floor"
    AT_MAXIMUM = "at-maximum"
    GAP_WAITING = "gap-waiting"
    SPOT_BOOTING = "spot-booting"
    ON_DEMAND_BOOTING = "on-demand-booting"
    SURPLUS_WAITING = "surplus-waiting"
    NONE_TO_SPARE = "none-to-spare"
    COVERED = "covered"


@dataclass(frozen=True, slots=True)
class State:
    """What `decide` must see again at the next call. Values only; `to_json` and `from_json` are exact inverses.

    missing, late: shortage per minute, oldest first, 0 where on-demand covers it already. spared: consecutive minutes
    in which a node could go. The rest: the last decision, to repeat it.
    """

    minute: int | None = None
    missing: tuple[int, ...] = ()
    late: tuple[int, ...] = ()
    spared: int = 0
    decided: int = 0
    reason: str = Reason.COVERED.value
    text: str = ""

    def to_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> State:
        return cls(**{**data, "missing": tuple(data["missing"]), "late": tuple(data["late"])})


@dataclass(frozen=True, slots=True)
class Decision:
    """on_demand_desired: the size to set, as observed when nothing is to change. reason and text say why."""

    on_demand_desired: int
    reason: Reason
    text: str
    state: State


def shortage(seen: Observation) -> int:
    """Spot nodes neither in service nor booting; negative while a replacement overlaps with what it replaces."""
    return seen.desired - seen.in_service - seen.pending


def gap(seen: Observation, floor: int) -> int:
    """Nodes that nobody has ordered yet."""
    return shortage(seen) - (seen.on_demand_desired - floor)


def is_late(seen: Observation, floor: int) -> bool:
    """Whether nodes would be missing if no booting spot node ever became ready, all ordered on-demand being ready."""
    return surplus(seen, floor) <= -1 and seen.on_demand_in_service >= seen.on_demand_desired


def surplus(seen: Observation, floor: int) -> int:
    """On-demand nodes ordered beyond what spot in service leaves to do."""
    return seen.in_service + (seen.on_demand_desired - floor) - seen.desired


def spare(seen: Observation, floor: int) -> int:
    """Nodes in service beyond the target."""
    return seen.in_service + seen.on_demand_in_service - seen.desired - floor


def can_release(seen: Observation, floor: int) -> bool:
    """Whether one on-demand node less leaves serving where the target wants it, whichever node the cloud picks."""
    return (
        surplus(seen, floor) >= 1
        and seen.on_demand_desired > floor
        and seen.on_demand_terminating < 1
        and (spare(seen, floor) >= 1 or seen.on_demand_in_service < 1)
    )


def decide(rule: Rule, state: State, seen: Observation) -> Decision:
    """The on-demand pool's size after this minute. Start with `State()`, pass `Decision.state` on.

    A repeated call for the same (or an earlier) minute answers as before and changes nothing. A minute that nobody
    looked at counts as one without gap and without surplus.
    """
    if state.minute is not None and seen.minute <= state.minute:
        return Decision(state.decided, Reason(state.reason), state.text, state)
    floor, skipped = rule.floor, 0 if state.minute is None else seen.minute - state.minute - 1
    holes, owed = (0,) * min(skipped, rule.late_minutes), shortage(seen) if gap(seen, floor) >= 1 else 0
    overdue = seen.desired - seen.in_service if is_late(seen, floor) else 0
    missing = (*state.missing, *holes, owed)[-rule.out_minutes :]
    late = (*state.late, *holes, overdue)[-rule.late_minutes :]
    left = state.reason == Reason.SPOT_BACK and seen.on_demand_desired <= state.decided  # the next proves itself anew
    run = 1 + (0 if skipped or left else state.spared) if can_release(seen, floor) else 0

    lasting = min(missing) if len(missing) == rule.out_minutes else 0
    lasting_late = min(late) if len(late) == rule.late_minutes else 0
    size, reason, text = _choose(rule, seen, lasting, lasting_late, run)
    return Decision(size, reason, text, State(seen.minute, missing, late, run, size, reason.value, text))


def _choose(rule: Rule, seen: Observation, lasting: int, lasting_late: int, run: int) -> tuple[int, Reason, str]:
    now, floor = seen.on_demand_desired, rule.floor
    if now < floor:
        return floor, Reason.BELOW_FLOOR, f"on-demand {now} is below the floor: {floor}"
    wanted = floor + max(lasting, lasting_late)
    if wanted > now:
        size = min(wanted, rule.max_on_demand)
        if size <= now:
            return now, Reason.AT_MAXIMUM, f"{wanted} on-demand wanted, held at {now} (at most {rule.max_on_demand})"
        if lasting >= lasting_late:
            why = f"{lasting} spot missing for {rule.out_minutes} min"
            return size, Reason.SPOT_MISSING, f"{why}: on-demand {now} -> {size}"
        why = f"{lasting_late} spot not in service for {rule.late_minutes} min"
        return size, Reason.SPOT_LATE, f"{why}: on-demand {now} -> {size}"
    if run >= rule.in_minutes:
        return now - 1, Reason.SPOT_BACK, f"one to spare for {rule.in_minutes} min: on-demand {now} -> {now - 1}"
    if (open_gap := gap(seen, floor)) >= 1:
        return now, Reason.GAP_WAITING, f"{open_gap} missing, not yet for {rule.out_minutes} min"
    if run:
        return now, Reason.SURPLUS_WAITING, f"one to spare for {run} of {rule.in_minutes} min"
    if now > floor and surplus(seen, floor) >= 1:
        return now, Reason.NONE_TO_SPARE, "more on-demand ordered than needed, but none may go yet"
    if seen.desired - seen.in_service > seen.on_demand_in_service - floor:
        if seen.pending:
            return now, Reason.SPOT_BOOTING, f"{seen.pending} spot booting"
        return now, Reason.ON_DEMAND_BOOTING, f"on-demand ordered: {now}, in service: {seen.on_demand_in_service}"
    return now, Reason.COVERED, "target covered"


# The same rule as CloudWatch alarms and step scaling policies of the on-demand group.


@dataclass(frozen=True, slots=True)
class Metric:
    """A group metric under the id by which expressions name it."""

    id: str
    pool: PoolName
    metric_name: str


METRICS: Mapping[str, Metric] = {
    metric.id: metric
    for metric in (
        Metric("spot_desired", "spot", "GroupDesiredCapacity"),
        Metric("spot_in_service", "spot", "GroupInServiceInstances"),
        Metric("spot_pending", "spot", "GroupPendingInstances"),
        Metric("spot_max", "spot", "GroupMaxSize"),
        Metric("on_demand_desired", "on-demand", "GroupDesiredCapacity"),
        Metric("on_demand_in_service", "on-demand", "GroupInServiceInstances"),
        Metric("on_demand_terminating", "on-demand", "GroupTerminatingInstances"),
        Metric("on_demand_max", "on-demand", "GroupMaxSize"),
    )
}


def enabled_metrics(pool: PoolName) -> tuple[str, ...]:
    """Names the group must publish (`enabled_metrics`); it publishes nothing, not even zeros, that is not enabled."""
    return tuple(metric.metric_name for metric in METRICS.values() if metric.pool == pool)


@dataclass(frozen=True, slots=True)
class Expression:
    """One line of metric math. Exactly one per alarm returns data."""

    id: str
    expression: str
    label: str
    returns_data: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """lower, upper: distance from the alarm's threshold, lower included, upper not; None: unbounded. In nodes."""

    adjustment: int
    lower: str | None
    upper: str | None


@dataclass(frozen=True, slots=True)
class Alarm:
    """One metric-math alarm and the step scaling policy of the on-demand group that it invokes.

    key: "out", "late" or "in", for names. evaluation_periods: minutes, all of them must breach (datapoints to alarm).
    aggregation: over these, to choose the step. warmup_seconds: estimated instance warm-up; no scale-in starts before.
    """

    key: str
    description: str
    expressions: tuple[Expression, ...]
    evaluation_periods: int
    steps: tuple[Step, ...]
    warmup_seconds: int
    aggregation: Literal["Minimum", "Maximum"] = "Minimum"
    adjustment_type: Literal["ExactCapacity"] = "ExactCapacity"
    threshold: int = THRESHOLD
    comparison: str = COMPARISON
    treat_missing_data: str = TREAT_MISSING_DATA

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """The group metrics that the expressions name."""
        words = {word for line in self.expressions for word in re.findall(r"[a-z]\w*", line.expression)}
        return tuple(metric for metric in METRICS.values() if metric.id in words)


def aws_gap_expression(floor: int) -> str:
    """`gap` over the ids of METRICS."""
    return f"spot_desired - spot_in_service - spot_pending - (on_demand_desired - {floor})"


def aws_surplus_expression(floor: int) -> str:
    """`surplus` over the ids of METRICS."""
    return f"spot_in_service + (on_demand_desired - {floor}) - spot_desired"


def out_steps(rule: Rule) -> tuple[Step, ...]:
    """A shortage of k sets the group to floor + k, the last step open-ended. Raises ValueError beyond MAX_STEPS."""
    return _steps(rule, 0)


def in_steps(rule: Rule) -> tuple[Step, ...]:
    """An on-demand size of floor + k is set to one less. Raises ValueError like `out_steps`."""
    return _steps(rule, -1)


def _steps(rule: Rule, change: int) -> tuple[Step, ...]:
    most = rule.max_on_demand - rule.floor
    if most > MAX_STEPS:
        raise ValueError(
            f"max_on_demand = {rule.max_on_demand}: must be at most {rule.floor + MAX_STEPS} on AWS"
            f" (floor {rule.floor} + the {MAX_STEPS} step adjustments a policy may have)"
        )
    bounds = [(str(k), str(k + 1)) for k in range(most)]  # from the threshold of 1: step k covers the value k + 1
    return tuple(Step(rule.floor + k + 1 + change, a, b if k < most - 1 else None) for k, (a, b) in enumerate(bounds))


def aws_alarms(rule: Rule) -> tuple[Alarm, ...]:
    """The alarms of one region; none when the rule may not order anything. Raises ValueError like `out_steps`.

    Missing is 0 in math (docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html): were one group
    silent, on-demand would look like none or spot like unwanted. GroupMaxSize is never 0 where its group publishes: as
    a factor it makes such a minute a plain 0.
    """
    if rule.max_on_demand == rule.floor:
        return ()
    out, late, back = rule.out_minutes, rule.late_minutes, rule.in_minutes
    unready, all_serve = "spot_desired - spot_in_service", "(on_demand_in_service >= on_demand_desired) * "
    spare_line = f"spot_in_service + on_demand_in_service - spot_desired - {rule.floor}"
    release = f"(surplus >= 1) * (on_demand_terminating < 1) * safe * (on_demand_desired - {rule.floor})"
    return (
        Alarm(
            key="out",
            description=f"Spot neither in service nor booting for {out} min: on-demand takes over",
            expressions=_order(aws_gap_expression(rule.floor), "spot_desired - spot_in_service - spot_pending", ""),
            evaluation_periods=out,
            steps=out_steps(rule),
            warmup_seconds=rule.boot_minutes * 60,
        ),
        Alarm(
            key="late",
            description=f"Spot not in service for {late} min, booting or not: on-demand takes over",
            expressions=_order(f"{unready} - (on_demand_desired - {rule.floor})", unready, all_serve),
            evaluation_periods=late,
            steps=out_steps(rule),
            warmup_seconds=rule.boot_minutes * 60,
        ),
        Alarm(
            key="in",
            description=f"Serving with one to spare for {back} min: one on-demand node goes",
            expressions=(
                Expression("surplus", aws_surplus_expression(rule.floor), "ordered beyond need"),
                Expression("spare", spare_line, "in service beyond the target"),
                Expression("safe", "((spare >= 1) + (on_demand_in_service < 1)) >= 1", "whichever node goes, no harm"),
                Expression("release", f"(spot_max > 0) * {release}", "on-demand of which one may go", True),
            ),
            evaluation_periods=back,
            steps=in_steps(rule),
            warmup_seconds=rule.boot_minutes * 60,
            aggregation="Maximum",
        ),
    )


def _order(gap_line: str, shortage_line: str, only_if: str) -> tuple[Expression, ...]:
    order = f"(on_demand_max > 0) * {only_if}(gap >= 1) * shortage"
    lines = Expression("gap", gap_line, "missing and not ordered"), Expression("shortage", shortage_line, "missing")
    return (*lines, Expression("order", order, "on-demand to order beyond the floor", True))
