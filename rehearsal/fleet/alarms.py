"""Alarms and scaling policies as they are registered, and the rule of `infra/fallback.py` that they are."""

from __future__ import annotations

from dataclasses import dataclass

from infra.fallback import PERIOD_SECONDS, Expression, Rule, Step, aws_alarms


@dataclass(frozen=True, slots=True)
class Metric:
    """A series that an alarm's expressions name by `id`: one value each `period_seconds`.

    source: the group's name, or the value of the dimension `pool` of the nodes' own metrics.
    """

    id: str
    namespace: str
    name: str
    statistic: str
    source: str
    period_seconds: int


@dataclass(frozen=True, slots=True)
class StepPolicy:
    """A step scaling policy. pool: the group's name. steps: bounds are distances from the alarm's threshold.

    warmup_seconds: a node counts as current capacity only then; no scale-in starts before.
    """

    pool: str
    adjustment_type: str
    aggregation: str
    steps: tuple[Step, ...]
    warmup_seconds: int


@dataclass(frozen=True, slots=True)
class SimplePolicy:
    """A simple scaling policy: `adjustment` at once, then nothing for `cooldown_seconds`."""

    pool: str
    adjustment_type: str
    adjustment: int
    cooldown_seconds: int


@dataclass(frozen=True, slots=True)
class Alarm:
    """An alarm as it is registered: `datapoints` of the last `periods` have to breach.

    key: what it is for (out, late, in, load-out, load-in). expressions: metric math, one of which returns data; none
    where the alarm compares its one metric. missing: what a period without data counts as. enabled: False: it tells and
    does nothing.
    """

    key: str
    metrics: tuple[Metric, ...]
    expressions: tuple[Expression, ...]
    period_seconds: int
    periods: int
    datapoints: int
    threshold: float
    comparison: str
    missing: str
    enabled: bool
    policy: StepPolicy | SimplePolicy


@dataclass(frozen=True, slots=True)
class AlarmFallback:
    """AWS: alarms on the groups' metrics invoke policies of the on-demand group, and of the spot group for the load."""

    alarms: tuple[Alarm, ...]
    load: tuple[Alarm, ...]

    @property
    def dry_run(self) -> bool:
        """Whether the alarms only tell."""
        return bool(self.alarms) and not any(alarm.enabled for alarm in self.alarms)


def alarm_rule(alarms: tuple[Alarm, ...], floor: int, most: int) -> Rule | None:
    """The rule whose alarms these are, exactly; None when no rule writes them so. Dry or not is not the rule's."""
    by_key = {alarm.key: alarm for alarm in alarms}
    if {*by_key} != {"out", "late", "in"} or len(alarms) != 3:
        return None
    warmups = {alarm.policy.warmup_seconds for alarm in alarms if isinstance(alarm.policy, StepPolicy)}
    if len(warmups) != 1 or (warmup := warmups.pop()) % 60:
        return None
    try:
        rule = Rule(floor, by_key["out"].periods, by_key["in"].periods, warmup // 60, most)
        wanted = {alarm.key: alarm for alarm in aws_alarms(rule)}
    except ValueError:
        return None
    for key, alarm in by_key.items():
        told, policy = wanted.get(key), alarm.policy
        if told is None or not isinstance(policy, StepPolicy):
            return None
        registered = (
            alarm.expressions, alarm.periods, alarm.datapoints, alarm.threshold, alarm.comparison, alarm.missing,
            policy.steps, policy.adjustment_type, policy.aggregation, alarm.period_seconds,
        )  # fmt: skip
        written = (
            told.expressions, told.evaluation_periods, told.evaluation_periods, told.threshold, told.comparison,
            told.treat_missing_data, told.steps, told.adjustment_type, told.aggregation, PERIOD_SECONDS,
        )  # fmt: skip
        if registered != written:
            return None
    return rule
