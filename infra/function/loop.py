"""One run of the function: look at both groups, decide, set sizes, tell. Knows no cloud.

What must be seen again lies in one small object beside the models, not in a tag: an instance group of GCP has no labels
of its own, a tag of a scale set holds 256 characters, is reset by the next `pulumi up` and changes a resource that
serves. An object costs nothing while nothing happens, because a minute without gap and without surplus is the same as
one that nobody looked at and need not be written; and a conditional write tells two runs of one minute apart.

It is written before anything is set. A run that dies in between is repaired by the next one: the gap is still there,
the window is still full, the same size is ordered again. Sizes are absolute: an order that is repeated changes nothing.

In service is what the cloud's health check of the group calls healthy. That check asks `/livez`, which answers only
once a node has been ready for the first time: the same moment in which AWS takes an instance out of its launch hook.

No event brings it forward. A preemption is told 30 to 120 seconds ahead, to the node, which drains by itself; a gap has
to last for `out_minutes` before anything is bought, so a run that comes earlier decides the same in the same minute.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final, Protocol

from infra import fallback
from infra.fallback import Decision, Observation, Reason, State
from infra.function.load import follow
from infra.function.retries import CloudError, Moved
from infra.function.settings import Settings

VERSION: Final = 1
DOUBT_MINUTES: Final = 10
"""After a launch was refused, an instance that is only asked for does not count as booting for so long."""
CHANGES: Final = frozenset({Reason.SPOT_MISSING, Reason.SPOT_LATE, Reason.SPOT_BACK, Reason.BELOW_FLOOR})
GAP, ON_DEMAND_DESIRED = "FallbackGap", "OnDemandDesired"


@dataclass(frozen=True, slots=True)
class Group:
    """A group as the cloud tells it.

    size: what the cloud aims at. in_service: healthy. pending: launched, not healthy yet. creating: asked for, not
    launched, not refused. terminating: on their way out. refused: launches that failed for want of capacity or quota.
    failed: instances that never came up and hold a place, by the cloud's own id. version: to lower the size only if
    nothing has changed meanwhile.
    """

    size: int
    in_service: int = 0
    pending: int = 0
    creating: int = 0
    terminating: int = 0
    refused: int = 0
    failed: tuple[str, ...] = ()
    version: str | None = None

    @property
    def excess(self) -> int:
        """Nodes that a lower size takes away and that the cloud does not show as leaving yet."""
        return max(0, self.in_service + self.pending + self.creating + self.refused - self.size)

    @property
    def serving(self) -> int:
        """In service, and to stay: whichever nodes the cloud picks."""
        return max(0, self.in_service - self.excess)


class Cloud(Protocol):
    """Two groups of one region. Methods raise CloudError, `resize` and `save` also Moved."""

    shrinks: bool
    """Whether the cloud lowers a group's size by itself when it takes nodes away, so that somebody has to raise it."""

    def group(self, name: str) -> Group: ...

    def resize(self, name: str, seen: Group, size: int, minute: int) -> None:
        """Set the size, without waiting for nodes. A lower size is refused (Moved) when the group has changed."""
        ...

    def clear(self, name: str, instances: tuple[str, ...]) -> None:
        """Remove instances that never came up."""
        ...

    def load(self, minutes: int, spot: Group, on_demand: Group) -> list[float | None]:
        """The load's mean per replica for each of the last whole minutes, oldest first, None where no node reported."""
        ...

    def recall(self) -> tuple[str | None, str | None]:
        """The stored text and its version; (None, None) before the first run."""
        ...

    def save(self, text: str, version: str | None) -> None:
        """Store the text if what is stored is still of this version."""
        ...

    def publish(self, values: Mapping[str, float], minute: int) -> None:
        """The function's own metrics."""
        ...


@dataclass(frozen=True, slots=True)
class Memory:
    """What the next run must see again.

    rule: the rule's. spot, on_demand: sizes as ordered, None before the first run. busy: last minute with a load step
    or a booting spot node. refused: last minute in which a launch was seen to be refused.
    """

    rule: State = field(default_factory=State)
    spot: int | None = None
    on_demand: int | None = None
    busy: int | None = None
    refused: int | None = None

    def to_text(self) -> str:
        values = {name: getattr(self, name) for name in self.__slots__}
        values |= {"rule": self.rule.to_json(), "version": VERSION}
        return json.dumps(values, sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_text(cls, text: str | None) -> Memory | None:
        """None for a text that this version did not write: better to begin anew than never to run again."""
        try:
            values = json.loads(text or "")
            if values.pop("version") != VERSION:
                return None
            memory = cls(**values | {"rule": State.from_json(values["rule"])})
        except (ValueError, TypeError, KeyError, AttributeError):
            return None
        numbers = (memory.spot, memory.on_demand, memory.busy, memory.refused, memory.rule.minute)
        return memory if all(value is None or type(value) is int for value in numbers) else None

    @property
    def quiet(self) -> bool:
        """Whether the rule would go on alike if this minute had not been looked at."""
        return not any(self.rule.missing) and not any(self.rule.late) and self.rule.spared == 0

    def still(self, since: Memory) -> bool:
        """Whether nothing needs to be written over `since`."""
        mine, theirs = replace(self, rule=State()), replace(since, rule=State())
        windows = len(self.rule.missing) == len(since.rule.missing) and len(self.rule.late) == len(since.rule.late)
        back = Reason.SPOT_BACK in (self.rule.reason, since.rule.reason)
        return self.quiet and since.quiet and windows and not back and mine == theirs


@dataclass(slots=True)
class Outcome:
    """What a run did. decision: None where the groups or the memory could not be read. errors: one line each."""

    decision: Decision | None = None
    seen: Observation | None = None
    actions: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.errors


def run(settings: Settings, cloud: Cloud, minute: int, log: Callable[[str], None]) -> Outcome:
    """One run for this minute since the epoch. Raises nothing that a cloud answers: `Outcome.errors` has it."""
    outcome = Outcome()
    line: dict[str, Any] = {"event": "fallback", "stack": settings.stack, "minute": minute, "dryRun": settings.dry_run}
    try:
        _run(settings, cloud, minute, outcome, line)
    except CloudError as error:
        outcome.errors.append(str(error))
    decision = outcome.decision
    line |= {
        "severity": "ERROR" if outcome.errors else "NOTICE" if outcome.actions else "INFO",
        "message": "; ".join([decision.text if decision else "nothing decided", *outcome.errors]),
        "decision": decision.on_demand_desired if decision else None,
        "reason": decision.reason.value if decision else None,
        "actions": outcome.actions,
        "notes": outcome.notes,
        "errors": outcome.errors,
    }
    log(json.dumps(line, sort_keys=True))
    return outcome


def _run(settings: Settings, cloud: Cloud, minute: int, outcome: Outcome, line: dict[str, Any]) -> None:
    rule, load_rule, dry = settings.rule, settings.load_rule, settings.dry_run
    text, version = cloud.recall()
    known = Memory.from_text(text)
    if text is not None and known is None:
        outcome.notes.append("what was stored is not of this version: begun anew")
    before = known or Memory()
    spot, on_demand = cloud.group(settings.spot_group), cloud.group(settings.on_demand_group)

    wanted = load_rule.clamp(spot.size if before.spot is None else before.spot)
    # Where the cloud shrinks a group by itself, what was ordered counts; who raises a size by hand is respected.
    ordered = max(on_demand.size, before.on_demand or 0) if cloud.shrinks else on_demand.size
    refused = minute if spot.refused or spot.failed else before.refused
    doubted = refused is not None and minute - refused < DOUBT_MINUTES
    booting = spot.pending + (0 if doubted else spot.creating)
    seen = Observation(
        minute,
        wanted,
        spot.serving,
        booting,
        ordered,
        on_demand.serving,
        on_demand.terminating + on_demand.excess,
    )
    decision = fallback.decide(rule, before.rule, seen)
    outcome.seen, outcome.decision = seen, decision
    repeated = before.rule.minute is not None and minute <= before.rule.minute
    size = ordered if repeated and decision.reason not in CHANGES else decision.on_demand_desired

    busy = minute if booting else before.busy
    step, why = wanted, "signal none"
    if settings.scaling_signal != "none" and not repeated:
        step, why = _load(settings, cloud, (spot, on_demand), wanted, minute, busy, outcome)
    stepped = step != wanted and not dry
    gap = fallback.gap(seen, rule.floor)
    line |= {
        "seen": asdict(seen),
        "gap": gap,
        "spot": {"wanted": step, "size": spot.size, "creating": spot.creating, "refused": spot.refused},
        "load": why,
    }

    after = Memory(
        rule=decision.state,
        spot=step if stepped else wanted,
        on_demand=ordered if dry else size,
        busy=minute if stepped else busy,
        refused=refused,
    )
    if not repeated and (known is None or not after.still(known)):
        try:
            cloud.save(after.to_text(), version)
        except Moved:
            outcome.notes.append("another run has decided this minute")
            return

    released = _set_on_demand(settings, cloud, on_demand, size, seen, outcome)
    goal = step if dry else after.spot
    if repeated and goal is not None and goal < spot.size:
        goal = None  # what the first run of this minute held back stays so until the next has looked
    _set_spot(settings, cloud, spot, goal, seen, released, outcome)
    try:
        cloud.publish({GAP: gap, ON_DEMAND_DESIRED: size}, minute)
    except CloudError as error:
        outcome.notes.append(str(error))  # nothing of the rule hangs on them


def _load(
    settings: Settings,
    cloud: Cloud,
    groups: tuple[Group, Group],
    wanted: int,
    minute: int,
    busy: int | None,
    outcome: Outcome,
) -> tuple[int, str]:
    rule = settings.load_rule
    try:
        samples = cloud.load(rule.window, *groups)
    except CloudError as error:
        outcome.notes.append(str(error))  # like a load that nobody reports: no reason to add or to take away
        return wanted, "the load could not be read"
    return follow(rule, samples, wanted, minute, busy)


def _set_on_demand(
    settings: Settings, cloud: Cloud, group: Group, size: int, seen: Observation, outcome: Outcome
) -> int:
    """Bring the on-demand group to `size`; returns how many serving nodes that may take away."""
    name, floor = settings.on_demand_group, settings.floor
    if group.failed:
        # Their places are given back first, or the cloud would count them as there. A removal takes the size with it.
        _do(settings, outcome, f"{name}: clear {len(group.failed)}", lambda: cloud.clear(name, group.failed))
        return 0
    if size == group.size:
        return 0
    if size < group.size:
        one = group.size - size == 1 and size >= floor
        safe = fallback.spare(seen, floor) >= 1 or seen.on_demand_in_service < 1
        if not (one and safe):
            outcome.notes.append(f"{name}: {group.size} -> {size} held back: serving nodes could be missing")
            return 0
    if not _do(settings, outcome, f"{name}: {group.size} -> {size}", lambda: _resize(cloud, name, group, size, seen)):
        return 0
    return max(0, min(group.size - size, seen.on_demand_in_service))


def _set_spot(
    settings: Settings,
    cloud: Cloud,
    group: Group,
    size: int | None,
    seen: Observation,
    released: int,
    outcome: Outcome,
) -> None:
    """Bring the spot group to `size`: refill what the cloud took away, follow target and load."""
    name = settings.spot_group
    if group.failed:
        _do(settings, outcome, f"{name}: clear {len(group.failed)}", lambda: cloud.clear(name, group.failed))
        return
    if size is None or size == group.size:
        return
    if size < group.size and seen.in_service:
        # Whichever nodes the cloud picks, what serves stays at the new target: the others may still be booting.
        left = seen.in_service + seen.on_demand_in_service - released - (group.size - size)
        if left < size + settings.floor:
            outcome.notes.append(f"{name}: {group.size} -> {size} held back: serving nodes could be missing")
            return
    target = size
    _do(settings, outcome, f"{name}: {group.size} -> {target}", lambda: _resize(cloud, name, group, target, seen))


def _resize(cloud: Cloud, name: str, group: Group, size: int, seen: Observation) -> None:
    """Raises Moved where a lower size was decided on what is no longer so."""
    if size < group.size:
        now = cloud.group(name)
        if now.size != group.size or now.in_service < group.in_service:
            raise Moved(name)
        group = now
    cloud.resize(name, group, size, seen.minute)


def _do(settings: Settings, outcome: Outcome, what: str, work: Callable[[], None]) -> bool:
    """Do it, or say that it would be done; one group's failure keeps nobody from the other."""
    if settings.dry_run:
        outcome.actions.append(f"would: {what}")
        return True
    try:
        work()
    except Moved:
        outcome.notes.append(f"{what}: changed meanwhile, the next run looks again")
        return False
    except CloudError as error:
        outcome.errors.append(str(error))
        return False
    outcome.actions.append(what)
    return True
