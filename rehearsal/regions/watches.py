"""An alarm as it is registered, and the group that its policy moves: whether it is in ALARM, and what the policy wants.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-evaluation.html
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from rehearsal.fleet.alarms import Alarm, SimplePolicy, StepPolicy
from rehearsal.regions.groups import GroupPlay
from spillway.errors import SpillwayError

_COMPARE: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "GreaterThanOrEqualToThreshold": lambda value, mark: value >= mark,
    "GreaterThanThreshold": lambda value, mark: value > mark,
    "LessThanThreshold": lambda value, mark: value < mark,
    "LessThanOrEqualToThreshold": lambda value, mark: value <= mark,
}


@dataclass(slots=True)
class Watch:
    """An alarm and the group that its policy moves. busy: when a scaling activity of the policy was last under way."""

    alarm: Alarm
    group: GroupPlay
    busy: float = -math.inf
    under_way: bool = False

    @property
    def minutes(self) -> int:
        """Of samples that it looks at."""
        return self.alarm.periods * max(1, self.alarm.period_seconds // 60)

    def breaches(self, samples: Sequence[float | None]) -> bool:
        """Whether the alarm is in ALARM, by the newest of these minutes."""
        alarm, width = self.alarm, max(1, self.alarm.period_seconds // 60)
        compare = _COMPARE[alarm.comparison]
        found = 0
        for number in range(alarm.periods):
            part = [one for one in samples[number * width : (number + 1) * width] if one is not None]
            if part:
                found += compare(sum(part) / len(part), alarm.threshold)
            else:
                found += alarm.missing == "breaching"
        return found >= alarm.datapoints

    def wanted(self, value: float | None, now: float) -> int:
        """The group's size as the policy would have it now, within the group's limits."""
        policy, group = self.alarm.policy, self.group
        if isinstance(policy, SimplePolicy):
            size = adjusted(group.desired, policy.adjustment_type, policy.adjustment)
        else:
            size = self._stepped(policy, self.alarm.threshold if value is None else value, now)
        return min(max(size, group.pool.minimum), group.pool.maximum)

    def _stepped(self, policy: StepPolicy, value: float, now: float) -> int:
        """What still warms up does not count as current, and no step down overlaps a step up
        (docs.aws.amazon.com/autoscaling/ec2/userguide/as-scaling-simple-step.html)."""
        group, over = self.group, value - self.alarm.threshold
        fits = [
            step
            for step in policy.steps
            if (step.lower is None or over >= float(step.lower)) and (step.upper is None or over < float(step.upper))
        ]
        if not fits:
            return group.desired
        warming = sum(
            node.phase == "booting"
            or (node.phase == "in service" and now - (node.in_service or 0.0) < policy.warmup_seconds)
            for node in group.own
        )
        size = adjusted(group.desired - warming, policy.adjustment_type, fits[0].adjustment)
        if size > group.desired - warming:
            return max(size, group.desired)
        return group.desired if group.scaling_out(now, policy.warmup_seconds) else min(size, group.desired)


def group_of(stack: str, alarm: Alarm, groups: Mapping[str, GroupPlay]) -> GroupPlay:
    """The group that an alarm's policy moves. Raises SpillwayError for what is not played."""
    policy = alarm.policy
    if alarm.comparison not in _COMPARE:
        raise SpillwayError(f"{stack}: alarm {alarm.key}: comparison = {alarm.comparison}: not played")
    if alarm.period_seconds % 60:
        raise SpillwayError(
            f"{stack}: alarm {alarm.key}: a period of {alarm.period_seconds} s: only whole minutes are played"
        )
    if policy.adjustment_type not in ("ChangeInCapacity", "ExactCapacity", "PercentChangeInCapacity"):
        raise SpillwayError(f"{stack}: alarm {alarm.key}: adjustment type {policy.adjustment_type}: not played")
    if policy.pool not in groups:
        raise SpillwayError(
            f"{stack}: alarm {alarm.key}: its policy moves {policy.pool}, which is no group of the region"
        )
    return groups[policy.pool]


def adjusted(size: int, kind: str, by: int) -> int:
    """PercentChangeInCapacity: rounded away from nothing below one node, towards nothing above, as documented
    (docs.aws.amazon.com/autoscaling/ec2/userguide/as-scaling-simple-step.html)."""
    if kind == "ExactCapacity":
        return by
    if kind == "ChangeInCapacity":
        return size + by
    change = size * by / 100
    whole = math.copysign(1, change) if 0 < abs(change) < 1 else math.trunc(change)
    return size + int(whole)
