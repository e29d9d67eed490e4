"""How a region's size follows the load: alarms on the load and the policies that they invoke (AWS, Tencent Cloud), or
the function's own run with the load's samples (Azure, Google Cloud).

Alarms are looked at in every whole minute in which they could do something. A minute is left out while the load stands
still on one side of every mark and what the alarms would do is nothing: no policy, or a group at its limit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from rehearsal.fleet import AlarmFallback, NoFallback
from rehearsal.fleet.alarms import Alarm, SimplePolicy
from rehearsal.regions.clock import Order
from rehearsal.regions.control import MINUTE, FunctionControl, Load
from rehearsal.regions.groups import GroupPlay
from rehearsal.regions.play import RegionPlay
from rehearsal.regions.watches import Watch, group_of

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


class LoadAlarms:
    """The alarms of one region. Simple policies as documented: one step at a time, the next one `cooldown_seconds`
    after what the last one launched has come, and none while a node is in its launch hook
    (docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-scaling-cooldowns.html)."""

    def __init__(self, play: RegionPlay, load: Load, alarms: Sequence[Alarm]) -> None:
        self.play, self.load, self.clock = play, load, play.clock
        self.lag = play.pace.lag_seconds // 60
        self.stepped = play.control is not None and play.control.stepped
        self.watches = [Watch(alarm, _group(play, alarm)) for alarm in alarms if alarm.enabled]
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
            self.clock.at(minute * MINUTE, Order.LOAD, lambda: self._tick(minute))

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

    def _look(self, watch: Watch) -> bool:
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
            # The fallback's alarms see a size with the next minute's metrics: they look at this minute before it, also
            # where they would have left it out.
            if self.play.control is not None:
                self.play.control.wake()
            self.clock.at(now, Order.LOAD, lambda: self._resize(watch, wanted))
            watch.busy, watch.under_way = now, True
            return False
        marks = [one.alarm.threshold for one in self.watches if one.group is group]
        width = watch.minutes + self.lag
        still = self.load.steady(width, min(marks), max(marks))
        return still and wanted == group.desired and not booting and not watch.under_way

    def _resize(self, watch: Watch, wanted: int) -> None:
        pool = watch.group.pool
        size = min(max(wanted, pool.minimum), pool.maximum)
        if size != watch.group.desired:
            watch.group.resize(size, f"the load: {watch.alarm.key}")
            self.play.nodes.changed()

    def _busy(self, group: GroupPlay) -> float:
        """A group's cooldown is that of whichever policy moved it last."""
        return max(watch.busy for watch in self.watches if watch.group is group)


def _group(play: RegionPlay, alarm: Alarm) -> GroupPlay:
    groups = {group.pool.name: group for group in (play.spot, play.on_demand) if group is not None}
    return group_of(play.region.stack, alarm, groups)
