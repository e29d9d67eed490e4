"""How a region's size follows the load: alarms on the load and the policies that they invoke (AWS, Tencent Cloud), or
the function's own run with the load's samples (Azure, Google Cloud).

Alarms are looked at in every whole minute in which they could do something. A minute is left out while the load stands
still on one side of every mark and what the alarms would do is nothing: no policy, or a group at its limit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from rehearsal.fleet import AlarmFallback, NoFallback
from rehearsal.fleet.alarms import Alarm, SimplePolicy, StepPolicy
from rehearsal.regions.clock import Order
from rehearsal.regions.control import MINUTE, FunctionControl, Load
from rehearsal.regions.groups import GroupPlay
from rehearsal.regions.play import RegionPlay
from spillway.errors import SpillwayError

_COMPARE: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "GreaterThanOrEqualToThreshold": lambda value, mark: value >= mark,
    "GreaterThanThreshold": lambda value, mark: value > mark,
    "LessThanThreshold": lambda value, mark: value < mark,
    "LessThanOrEqualToThreshold": lambda value, mark: value <= mark,
}
_SLACK: Final = 1e-9


def follow(play: RegionPlay, load: Load) -> str:
    """Have a region's size follow the load. Returns why it does not, or an empty text. Raises SpillwayError for alarms
    and policies of a kind that is not played."""
    region, control = play.region, play.control
    if region.signal == "none":
        play.load_followed = True
        return f"{region.stack}: scaling.signal = none: its size does not follow the load"
    if region.signal != load.what:
        told = f"no {region.signal} figures of its nodes are given"
        return f"{region.stack}: scaling.signal = {region.signal}: {told}, so its size does not follow the load"
    play.load_followed = True
    if isinstance(control, FunctionControl):
        control.listen(load)
        return ""
    told_by = region.fallback
    alarms = told_by.load if isinstance(told_by, AlarmFallback | NoFallback) else ()
    if not alarms:
        return f"{region.stack}: no alarm on the load is registered, so its size does not follow it"
    LoadAlarms(play, load, alarms)
    return ""


@dataclass(slots=True)
class _Watch:
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
            size = _adjusted(group.desired, policy.adjustment_type, policy.adjustment)
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
        size = _adjusted(group.desired - warming, policy.adjustment_type, fits[0].adjustment)
        if size > group.desired - warming:
            return max(size, group.desired)
        return group.desired if group.scaling_out(now, policy.warmup_seconds) else min(size, group.desired)


class LoadAlarms:
    """The alarms of one region. Simple policies as documented: one step at a time, the next one `cooldown_seconds`
    after what the last one launched has come, and none while a node is in its launch hook
    (docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-scaling-cooldowns.html)."""

    def __init__(self, play: RegionPlay, load: Load, alarms: Sequence[Alarm]) -> None:
        self.play, self.load, self.clock = play, load, play.clock
        self.lag = play.pace.lag_seconds // 60
        self.stepped = play.control is not None and play.control.stepped
        self.watches = [_Watch(alarm, _group(play, alarm)) for alarm in alarms if alarm.enabled]
        self.count = 0
        """Minutes that were looked at."""
        self._last = -1
        self._due: int | None = None
        load.on_change.append(self.wake)
        play.on_level.append(self.wake)
        self.wake()

    def wake(self) -> None:
        """Something changed: the next whole minute is looked at."""
        self._plan(max(math.ceil(self.clock.now / MINUTE - _SLACK), self._last + 1))

    def _plan(self, minute: int) -> None:
        if self.watches and (self._due is None or minute < self._due):
            self._due = minute
            self.clock.at(minute * MINUTE, Order.CONTROL, lambda: self._tick(minute))

    def _tick(self, minute: int) -> None:
        if self._due != minute:
            return
        self._due, self._last = None, minute
        self.count += 1
        rests = not self.stepped
        for watch in self.watches:
            rests &= self._look(watch)
        if not rests:
            self._plan(minute + 1)

    def _look(self, watch: _Watch) -> bool:
        """Look at one alarm. Returns whether the minutes to come may be left out."""
        now, group = self.clock.now, watch.group
        booting = group.count("booting") > 0
        if watch.under_way:
            watch.busy, watch.under_way = now, booting
        samples = self.load.samples(watch.minutes + self.lag)[: watch.minutes]
        over = watch.breaches(samples) and not self.play.nodes.dark
        value = samples[-1] if samples else None
        wanted = watch.wanted(value, now) if over else group.desired
        simple = watch.alarm.policy if isinstance(watch.alarm.policy, SimplePolicy) else None
        cools = simple is not None and (booting or now - self._busy(group) < simple.cooldown_seconds)
        if wanted != group.desired and not cools:
            group.resize(wanted, f"the load: {watch.alarm.key}")
            self.play.nodes.changed()
            watch.busy, watch.under_way = now, True
            return False
        marks = [one.alarm.threshold for one in self.watches if one.group is group]
        width = watch.minutes + self.lag
        still = self.load.steady(width, min(marks), max(marks))
        return still and wanted == group.desired and not booting and not watch.under_way

    def _busy(self, group: GroupPlay) -> float:
        """A group's cooldown is that of whichever policy moved it last."""
        return max(watch.busy for watch in self.watches if watch.group is group)


def _group(play: RegionPlay, alarm: Alarm) -> GroupPlay:
    stack, policy = play.region.stack, alarm.policy
    if alarm.comparison not in _COMPARE:
        raise SpillwayError(f"{stack}: alarm {alarm.key}: comparison = {alarm.comparison}: not played")
    if alarm.period_seconds % 60:
        raise SpillwayError(
            f"{stack}: alarm {alarm.key}: a period of {alarm.period_seconds} s: only whole minutes are played"
        )
    if policy.adjustment_type not in ("ChangeInCapacity", "ExactCapacity", "PercentChangeInCapacity"):
        raise SpillwayError(f"{stack}: alarm {alarm.key}: adjustment type {policy.adjustment_type}: not played")
    for group in (play.spot, play.on_demand):
        if group is not None and group.pool.name == policy.pool:
            return group
    raise SpillwayError(f"{stack}: alarm {alarm.key}: its policy moves {policy.pool}, which is no group of the region")


def _adjusted(size: int, kind: str, by: int) -> int:
    """PercentChangeInCapacity: rounded away from nothing below one node, towards nothing above, as documented
    (docs.aws.amazon.com/autoscaling/ec2/userguide/as-scaling-simple-step.html)."""
    if kind == "ExactCapacity":
        return by
    if kind == "ChangeInCapacity":
        return size + by
    change = size * by / 100
    whole = math.copysign(1, change) if 0 < abs(change) < 1 else math.trunc(change)
    return size + int(whole)
