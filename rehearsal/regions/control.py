"""Who moves capacity between the two groups of a region: alarms on AWS, a function elsewhere, both once a minute.

Minutes in which nothing can follow are not stepped. A control rests while what it sees stays the same and either

- is quiet: no gap, nobody late, nothing to release; `infra.fallback.decide` takes a minute that nobody looked at for
  one of this kind, so to leave it out and to step it are the same; or
- leaves the rule's memory as it was but for the minute, which is put forward when the rest is over; or
- will make the rule order something only minutes ahead: the function's run is left out until then, and the rule's
  memory is what `decide` alone makes of the minutes between; or
- asks Azure in every other minute for what is not to be had, and clears what failed in the minute after it.

`stepped=True` looks at every minute all the same: the tests hold both ways to the same result.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from operator import attrgetter
from typing import Final, Literal, Protocol

from infra import fallback
from infra.fallback import Observation, Rule, State
from infra.function.load import follow
from infra.function.loop import Group as Told
from infra.function.loop import Memory, Outcome, run
from infra.function.retries import CloudError
from infra.function.settings import Settings
from rehearsal.fleet import FunctionFallback, Region
from rehearsal.regions.clock import Clock, Order
from rehearsal.regions.groups import GroupPlay

MINUTE: Final = 60.0
_SEEN: Final = attrgetter(*(field.name for field in fields(Observation) if field.name != "minute"))
_KNOWN: Final = attrgetter(*(field.name for field in fields(State) if field.name != "minute"))
"""All but the minute."""
_SLACK: Final = 1e-9


class Load(Protocol):
    """What the nodes of a region report of their load: the mean per replica, once a minute.

    what: requests that wait, or CPU in percent. on_change: called when what stood still begins to move.
    """

    what: Literal["queue", "cpu"]
    on_change: list[Callable[[], None]]

    def samples(self, minutes: int) -> list[float | None]:
        """Each of the last whole minutes, oldest first; None where no node reported."""
        ...

    def steady(self, minutes: int, low: float, high: float) -> bool:
        """Whether all of the last minutes were on one side of the two marks, and those to come will be until
        `on_change` is called."""
        ...


@dataclass(frozen=True, slots=True)
class Look:
    """One evaluation: what was seen, and the on-demand group's size before and after."""

    seen: Observation
    before: int
    after: int
    reason: str
    state: State


class Control(ABC):
    """Looks at whole minutes of the clock, the first at `begin`."""

    def __init__(self, clock: Clock, spot: GroupPlay, on_demand: GroupPlay, rule: Rule, stepped: bool) -> None:
        self.clock, self.spot, self.on_demand, self.rule = clock, spot, on_demand, rule
        self.stepped = stepped
        self.paused = False
        self.looks: list[Look] | None = None
        """Every evaluation, where somebody wants them: set it to a list."""
        self.count = 0
        self._last = -1
        self._due: int | None = None
        self._resting = False

    def wake(self) -> None:
        """Something changed, now: the next whole minute is looked at."""
        if self.paused:
            return
        minute = max(math.ceil(self.clock.now / MINUTE - _SLACK), self._last + 1)
        if self._resting:
            self._resting = False
            self._resume(minute)
        self._plan(minute)

    def pause(self, yes: bool) -> None:
        """Nobody looks, or looks again from the next minute on."""
        self.wake()  # what was left out until now is made up for
        self.paused = yes
        if not yes:
            self._forget()
            self.wake()

    def _plan(self, minute: int) -> None:
        if self._due is None or minute < self._due:
            self._due = minute
            self.clock.at(minute * MINUTE, Order.CONTROL, lambda: self._tick(minute))

    def _tick(self, minute: int) -> None:
        if self._due != minute or self.paused:
            if self._due == minute:
                self._due = None
            return
        if self._resting:
            self._resting = False
            self._resume(minute)
        self._due, self._last = None, minute
        self.count += 1
        following = self._look(minute)
        if self.stepped or self._due is not None:
            following = minute + 1
        self._resting = following is None or following > minute + 1
        if following is not None:
            self._plan(following)

    @abstractmethod
    def _look(self, minute: int) -> int | None:
        """Look at this minute. Returns which one has to be looked at next while nothing changes, None: none."""

    @abstractmethod
    def _resume(self, minute: int) -> None:
        """The rest is over, as if every minute before this one had been looked at."""

    @abstractmethod
    def _forget(self) -> None:
        """Nobody looked for a while."""

    def quiet(self, seen: Observation) -> bool:
        """Whether the rule finds nothing in it."""
        floor = self.rule.floor
        return (
            fallback.gap(seen, floor) < 1
            and not (fallback.is_late(seen, floor) and seen.desired > seen.in_service)
            and not fallback.can_release(seen, floor)
            and seen.on_demand_desired >= floor
        )


class AlarmControl(Control):
    """AWS: alarms on both groups' metrics, and step policies of the on-demand group. `decide` is the same, which
    tests/unit/test_fallback_parity.py holds; and a group refuses a scale-in while a scale-out is in progress."""

    def __init__(
        self, clock: Clock, spot: GroupPlay, on_demand: GroupPlay, rule: Rule, stepped: bool, dry_run: bool
    ) -> None:
        super().__init__(clock, spot, on_demand, rule, stepped)
        self.dry_run = dry_run
        self.state = State()
        self.lag = on_demand.pace.lag_seconds // 60
        self._samples: list[Observation] = []
        self._fixed = False

    def _observe(self, minute: int) -> Observation:
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

    def _look(self, minute: int) -> int | None:
        fresh = self._observe(minute)
        self._samples.append(fresh)
        if len(self._samples) <= self.lag:
            return minute + 1
        seen = self._samples.pop(0)
        before = self.state
        decision = fallback.decide(self.rule, before, seen)
        self.state = decision.state
        size, wanted = self.on_demand.desired, max(decision.on_demand_desired, self.on_demand.pool.minimum)
        acts = wanted != seen.on_demand_desired and wanted != size
        if acts and wanted < size:
            acts = not self.on_demand.scaling_out(self.clock.now, self.rule.boot_minutes * MINUTE)
        if acts and self.dry_run:
            self.on_demand.nodes.tell(f"{self.on_demand.pool.name}: would be {wanted}", decision.text)
        elif acts:
            self.on_demand.resize(wanted, decision.text)
        if self.looks is not None:
            self.looks.append(Look(seen, size, self.on_demand.desired, decision.reason.value, decision.state))
        same = all(_SEEN(one) == _SEEN(seen) for one in self._samples)
        self._fixed = _KNOWN(self.state) == _KNOWN(before)
        return None if same and not acts and (self.quiet(seen) or self._fixed) else minute + 1

    def _resume(self, minute: int) -> None:
        # Before this minute come the samples that are still on their way.
        newest = minute - 1
        self._samples = [
            replace(one, minute=newest - index) for index, one in enumerate(reversed(self._samples))
        ][::-1]  # fmt: skip
        if self._fixed and self.state.minute is not None:
            self.state = replace(self.state, minute=max(self.state.minute, newest - self.lag))

    def _forget(self) -> None:
        self._samples = []


class FunctionControl(Control):
    """Azure, Google Cloud: `infra.function.loop.run` itself, over the two groups of the play.

    load_signal: what it is told of the load; None: nobody reports. It looks at every minute in which the load moves, or
    in which `infra.function.load.follow` has a step to make.
    """

    def __init__(
        self, clock: Clock, spot: GroupPlay, on_demand: GroupPlay, region: Region, told: FunctionFallback, stepped: bool
    ) -> None:
        super().__init__(clock, spot, on_demand, told.rule, stepped)
        self.shrinks = spot.pace.refill == "function"
        self.settings = settings_of(region, told)
        self.every = max(1, told.timer_seconds // 60)
        self.load_signal: Load | None = None
        self.throttled = False
        self.errors = 0
        self._text: str | None = None
        self._marks = False, False
        self._ahead: list[State] = []
        self._vain = self._parked = 0

    def _forget(self) -> None:
        """What the function has stored stays where it is while it does not run."""

    @property
    def memory(self) -> Memory:
        """What the function has stored."""
        return Memory.from_text(self._text) or Memory()

    def want_spot(self, size: int) -> None:
        """The spot group's size as the load would have it."""
        self._text = replace(self.memory, spot=size).to_text()
        self.wake()

    def set_target(self, target: int, floor: int) -> None:
        """The function's settings from now on."""
        values = self.settings.model_dump() | {"target": target, "floor": floor}
        self.settings = Settings(**values)
        self.rule = self.settings.rule
        self.wake()

    def _look(self, minute: int) -> int | None:
        if minute % self.every:
            return minute + 1
        before = self.on_demand.desired
        told = self.spot.told(), self.on_demand.told()
        outcome = run(self.settings, self, minute, _silent)
        self.errors += len(outcome.errors)
        self._log(outcome)
        if outcome.decision is None or outcome.seen is None:
            return minute + 1
        state = outcome.decision.state
        if self.looks is not None:
            self.looks.append(Look(outcome.seen, before, self.on_demand.desired, outcome.decision.reason.value, state))
        idle = not (outcome.actions or outcome.notes or outcome.errors)
        self._vain = 0 if idle else self._in_vain(outcome, told)
        if not (idle or self._vain) or told[0].creating or self.every > 1 or self.stepped or self._follows():
            return minute + 1
        self._marks, self._parked = (bool(told[0].pending), bool(told[0].refused)), minute
        self._ahead = []
        return None if self.quiet(outcome.seen) else self._foresee(outcome.seen, state)

    def listen(self, load: Load) -> None:
        """The load is told from now on."""
        self.load_signal = load
        load.on_change.append(self.wake)
        self.wake()

    def _follows(self) -> bool:
        """Whether the load may ask for another size in one of the minutes to come, cooldowns left aside."""
        load, rule = self.load_signal, self.settings.load_rule
        if load is None or rule.least == rule.most:
            return False
        if not load.steady(rule.window, rule.low, rule.high):
            return True
        wanted = self.memory.spot
        return wanted is None or follow(rule, load.samples(rule.window), wanted, 0, None)[0] != wanted

    def _foresee(self, seen: Observation, state: State) -> int | None:
        """The minute in which the rule orders something if nothing changes, None: never; `_ahead` is its memory in
        every minute before that, this one first."""
        self._ahead = [state]
        minute = seen.minute
        while True:
            minute += 1
            decision = fallback.decide(self.rule, state, replace(seen, minute=minute))
            if decision.on_demand_desired != seen.on_demand_desired:
                return minute
            if _KNOWN(decision.state) == _KNOWN(state):
                return None
            state = decision.state
            self._ahead.append(state)

    def _in_vain(self, outcome: Outcome, told: tuple[Told, Told]) -> int:
        """How many spot nodes the function has just cleared, and will ask for and clear again and again; 0 where
        anything else is going on."""
        spot, on_demand = told
        if outcome.notes or outcome.errors or self.settings.dry_run or not spot.failed or on_demand.failed:
            return 0
        only = outcome.actions == [f"{self.settings.spot_group}: clear {len(spot.failed)}"]
        again = self.spot.refused == (self.spot.desired, self.memory.spot)
        return len(spot.failed) if only and again and self.spot.empty_handed else 0

    def _resume(self, minute: int) -> None:
        if self._text is None:
            return
        cleared = minute - 1
        if self._vain and (minute - self._parked) % 2 == 0:  # asked in the minute before this one, cleared before that
            self.spot.desired += self._vain
            self.spot.fail(self._vain)
            cleared -= 1
        memory, (booting, refused), last = self.memory, self._marks, minute - 1
        rule = memory.rule
        if self._ahead:
            passed = last - (self._ahead[0].minute or 0)
            rule = replace(self._ahead[min(passed, len(self._ahead) - 1)], minute=last)
        memory = replace(
            memory,
            rule=rule,
            busy=last if booting else memory.busy,
            refused=cleared if refused else memory.refused,
        )
        self._text = memory.to_text()

    def _log(self, outcome: Outcome) -> None:
        for line in (*outcome.errors, *(note for note in outcome.notes if "held back" not in note)):
            self.spot.nodes.tell(f"{self.settings.stack}: function", line)
        if self.settings.dry_run:
            for line in outcome.actions:
                self.spot.nodes.tell(f"{self.settings.stack}: function", line)

    # --- the cloud as the function sees it (infra.function.loop.Cloud) ----------------------------------------------

    def group(self, name: str) -> Told:
        if self.throttled:
            raise CloudError(f"{name}: 429 too many requests", transient=True)
        return self._group(name).told()

    def resize(self, name: str, seen: Told, size: int, minute: int) -> None:
        group = self._group(name)
        group.resize(size, self._why(name, group.desired, size))

    def clear(self, name: str, instances: tuple[str, ...]) -> None:
        if self.shrinks:
            self._group(name).clear(instances)

    def load(self, minutes: int, spot: Told, on_demand: Told) -> list[float | None]:
        return self.load_signal.samples(minutes) if self.load_signal else []

    def recall(self) -> tuple[str | None, str | None]:
        return self._text, None

    def save(self, text: str, version: str | None) -> None:
        self._text = text

    def publish(self, values: Mapping[str, float], minute: int) -> None:
        return

    def _group(self, name: str) -> GroupPlay:
        return self.spot if name == self.settings.spot_group else self.on_demand

    def _why(self, name: str, now: int, size: int) -> str:
        if name != self.settings.spot_group:
            return self.memory.rule.text
        return "the function refills what the cloud took" if size > now else "the function follows target and load"


def settings_of(region: Region, told: FunctionFallback) -> Settings:
    """The function's settings, as far as its run depends on them."""
    assert region.spot is not None
    load, cpu = told.load, region.signal == "cpu"
    return Settings(
        stack=region.stack,
        spot_group=region.spot.name,
        on_demand_group=region.on_demand.name,
        state="rehearsal",
        target=region.target,
        floor=region.floor,
        max=told.rule.max_on_demand,
        fallback_out_minutes=told.rule.out_minutes,
        fallback_in_minutes=told.rule.in_minutes,
        fallback_boot_minutes=told.rule.boot_minutes,
        scaling_signal=region.signal,
        scaling_queue_per_replica=1.0 if cpu else load.high,
        scaling_queue_minutes=load.minutes,
        scaling_cpu_percent=load.high if cpu else 100.0,
        scaling_cpu_minutes=load.minutes,
        scaling_step=load.step,
        scaling_cooldown_seconds=load.cooldown_seconds,
        scaling_in_queue_per_replica=0.0 if cpu else load.low,
        scaling_in_cpu_percent=load.low if cpu else 0.0,
        scaling_in_minutes=load.in_minutes,
        scaling_in_step=load.in_step,
        dry_run=told.dry_run,
    )


def _silent(line: str) -> None:
    return
