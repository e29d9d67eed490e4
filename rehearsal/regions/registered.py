"""AWS: the fallback's alarms and policies exactly as they are registered, whatever they say.

For alarms that `infra.fallback.aws_alarms` writes for no rule: of another version, or changed by hand. Each minute the
metrics of the groups go through the alarms' own metric math, and a policy whose alarm is in ALARM is invoked. An alarm
that stays in ALARM invokes its policy again every minute
(docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-actions.html).

Minutes are left out once every alarm has seen the same value in all of its periods and no policy has anything to do.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from infra.fallback import Expression, Observation, Rule, State
from rehearsal.fleet.alarms import Alarm, SimplePolicy, StepPolicy
from rehearsal.regions.clock import Clock
from rehearsal.regions.control import Control, Look
from rehearsal.regions.groups import GroupPlay
from rehearsal.regions.metric_math import MetricMathError, Series, names, parse
from rehearsal.regions.watches import Watch, group_of
from spillway.errors import SpillwayError

METRICS: Final[Mapping[str, Callable[[GroupPlay], float]]] = {
    "GroupDesiredCapacity": lambda group: group.desired,
    "GroupInServiceInstances": lambda group: group.count("in service"),
    "GroupPendingInstances": lambda group: group.count("booting"),
    "GroupTerminatingInstances": lambda group: group.count("leaving"),
    "GroupTotalInstances": lambda group: len(group.own),
    "GroupMinSize": lambda group: group.pool.minimum,
    "GroupMaxSize": lambda group: group.pool.maximum,
}
"""https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-metrics.html"""
AGGREGATE: Final[Mapping[str, Callable[[Sequence[float]], float]]] = {
    "Minimum": min,
    "Maximum": max,
    "Average": lambda values: sum(values) / len(values),
}


class RegisteredControl(Control):
    """groups: by name, those that alarms may name. Raises SpillwayError for metrics, metric math and policies that are
    not played."""

    def __init__(
        self,
        clock: Clock,
        spot: GroupPlay,
        on_demand: GroupPlay,
        stack: str,
        groups: Mapping[str, GroupPlay],
        alarms: Sequence[Alarm],
        stepped: bool,
    ) -> None:
        rule = Rule(on_demand.pool.minimum, 1, 1, 1, max(on_demand.pool.minimum, on_demand.pool.maximum))
        super().__init__(clock, spot, on_demand, rule, stepped)
        self.lag = on_demand.pace.lag_seconds // 60
        self.watches = [Watch(alarm, group_of(stack, alarm, groups)) for alarm in alarms]
        self._values = [_value(stack, alarm, groups) for alarm in alarms]
        self._seen = [deque[float | None](maxlen=watch.minutes + self.lag) for watch in self.watches]

    def _look(self, minute: int) -> int | None:
        rests = True
        for watch, value, seen in zip(self.watches, self._values, self._seen, strict=True):
            seen.append(value())
            acted = self._follow(watch, list(seen)[: max(0, len(seen) - self.lag)])
            rests &= not acted and len(seen) == seen.maxlen and len({*seen}) == 1
        if self.looks is not None:
            size = self.on_demand.desired
            self.looks.append(Look(self._observation(minute), size, size, "registered", State()))
        # What still boots or warms up may let a policy do what it could not do yet.
        quiet = all(not group.count("booting") for group in (self.spot, self.on_demand))
        return None if rests and quiet else minute + 1

    def _follow(self, watch: Watch, samples: list[float | None]) -> bool:
        """Invoke the policy of an alarm that is in ALARM. Returns whether it did, or may do something."""
        lacking: list[float | None] = [None] * (watch.minutes - len(samples))
        samples = lacking + samples
        if not watch.breaches(samples):
            return False
        now, group, alarm = self.clock.now, watch.group, watch.alarm
        known = [value for value in samples if value is not None]
        aggregate = alarm.policy.aggregation if isinstance(alarm.policy, StepPolicy) else "Average"
        wanted = watch.wanted(AGGREGATE[aggregate](known) if known else None, now)
        if wanted == group.desired:
            return False
        why = f"alarm {alarm.key}, as it is registered"
        if not alarm.enabled:
            group.nodes.tell(f"{group.pool.name}: would be {wanted}", why)
            return True
        if isinstance(alarm.policy, SimplePolicy):
            if group.count("booting") or now - watch.busy < alarm.policy.cooldown_seconds:
                return True
            watch.busy = now
        group.resize(wanted, why)
        return True

    def _observation(self, minute: int) -> Observation:
        spot, on_demand = self.spot, self.on_demand
        return Observation(
            minute,
            spot.desired,
            spot.count("in service"),
            spot.count("booting"),
            on_demand.desired,
            on_demand.count("in service"),
            on_demand.count("leaving"),
        )

    def _resume(self, minute: int) -> None:
        """Every alarm has seen nothing but the value that it saw last."""

    def _forget(self) -> None:
        for seen in self._seen:
            seen.clear()


def _value(stack: str, alarm: Alarm, groups: Mapping[str, GroupPlay]) -> Callable[[], float | None]:
    """What an alarm compares, in the minute in which it is asked; None where metric math gives no point."""
    metrics: dict[str, tuple[GroupPlay, Callable[[GroupPlay], float]]] = {}
    for metric in alarm.metrics:
        where = f"{stack}: alarm {alarm.key}: metric {metric.name} of {metric.source}"
        if metric.source not in groups or metric.name not in METRICS:
            raise SpillwayError(f"{where}: not played; expected one of {', '.join(METRICS)} of the region's groups")
        metrics[metric.id] = groups[metric.source], METRICS[metric.name]
    if not alarm.expressions:
        group, read = metrics[alarm.metrics[0].id]
        return lambda: float(read(group))
    try:
        terms = [(line.id, parse(line.expression)) for line in _in_order(alarm.expressions)]
    except MetricMathError as error:
        raise SpillwayError(f"{stack}: alarm {alarm.key}: {error}") from None
    result = next((line.id for line in alarm.expressions if line.returns_data), alarm.expressions[-1].id)

    def value() -> float | None:
        series: dict[str, Series] = {id: {0: float(read(group))} for id, (group, read) in metrics.items()}
        for id, term in terms:
            try:
                found = term(series)
            except MetricMathError as error:
                raise SpillwayError(f"{stack}: alarm {alarm.key}: {error}") from None
            series[id] = found if isinstance(found, dict) else {0: float(found)}
        return series[result].get(0)

    return value


def _in_order(lines: Sequence[Expression]) -> list[Expression]:
    """Each after those that it names: they may be registered in any order."""
    waiting, found = list(lines), list[Expression]()
    while waiting:
        ids = {line.id for line in waiting}
        ready = [line for line in waiting if not (names(line.expression) & ids) - {line.id}]
        if not ready:
            return [*found, *waiting]  # they name each other, which evaluating them tells
        found += ready
        waiting = [line for line in waiting if line not in ready]
    return found
