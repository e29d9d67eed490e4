"""What somebody may change about a fleet, one thing at a time, and which of it buys most.

for change in offered(fleet, played):
    variant = play(change.apply(fleet))          # held to the target that is deployed: see `Change`
ranked(variants)                                 # the first is the deployed fleet

A change gives the fleet that the edited stack file would give (tests hold both to each other): groups' sizes, the
fallback's rule, the alarms that are registered for it, the load's bounds. Nothing here knows a trace or a clock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from cost.money import HOURS_PER_MONTH
from infra.fallback import MAX_STEPS, Rule
from rehearsal.fleet import AlarmFallback, Fleet, FunctionFallback, Origin, Pool, Region
from rehearsal.fleet.files_aws import fallback_alarms
from rehearsal.fleet.model import figures
from rehearsal.joining import copied, joined, nearest_like, outside, renamed
from rehearsal.result import Variant

Kind = Literal["floor", "target", "boot", "on-demand-type", "region", "keeper"]
KINDS: Final[tuple[Kind, ...]] = ("keeper", "floor", "target", "boot", "on-demand-type", "region")
LEAST_BOOT: Final = 1
"""Minutes: of `fallback.bootMinutes`."""
MONTH: Final = float(HOURS_PER_MONTH)
SLACK: Final = 1e-12


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that differs from what is deployed. Values only: it can be sent to another process.

    name: short, without blanks. words: for people. edits: what would be written, by file, key, before and after.
    stacks: whose figures it changes. adds: the region that it adds, None where it adds none; like: the stack whose
    traces, prices and machines that region is to be given where it has none of its own. keeper: played with the keeper.

    A fleet with one more node or region is held to what is deployed: availability is the share of the time with the
    *deployed* target ready, or to want more would look like having less.
    """

    kind: Kind
    name: str
    words: str
    edits: tuple[str, ...] = ()
    stacks: tuple[str, ...] = ()
    adds: Region | None = None
    like: str = ""
    keeper: bool = False
    boot_factor: float = 1.0
    """For a play that is given another boot than the stacks count on."""

    def apply(self, fleet: Fleet) -> Fleet:
        """The fleet with it; the same where only who sets the sizes changes."""
        match self.kind:
            case "keeper":
                return fleet
            case "region":
                assert self.adds is not None
                return self._noted(joined(fleet, self.adds, self.like), fleet)
        changed = tuple(
            _EDITS[self.kind](region) if region.stack in self.stacks else region for region in fleet.regions
        )
        return self._noted(replace(fleet, regions=changed), fleet)

    def _noted(self, changed: Fleet, before: Fleet) -> Fleet:
        """Where the figures that differ come from is this change; a copy's differ where the original's do."""
        old = dict(before.figures())
        if self.adds is not None and self.adds.stack not in {region.stack for region in before.regions}:
            original = renamed(before.region(self.like), self.like, self.adds.stack)
            old |= figures(original, self.adds.stack)
        origins = dict(changed.origins)
        for path, value in changed.figures():
            if path not in old or old[path] != value:
                origins[path] = Origin(f"change {self.name}", assumed=self.words)
        return replace(changed, origins=origins)


@dataclass(frozen=True, slots=True)
class Declined:
    """A change that cannot be made, and why."""

    name: str
    why: str


def offered(
    fleet: Fleet,
    stacks: Iterable[str],
    *,
    kinds: Sequence[Kind] = KINDS,
    priced: Callable[[Region], bool] = lambda _: True,
) -> tuple[tuple[Change, ...], tuple[Declined, ...]]:
    """Every change of these kinds that can be made to the regions that are played, and those that cannot.

    stacks: that are played. priced: whether a region that might be added has a price; only then is it one.
    """
    played = [region for region in fleet.regions if region.stack in set(stacks)]
    made: list[Change] = []
    declined: list[Declined] = []
    for kind in kinds:
        for one in _OFFERS[kind](fleet, played, priced):
            (made if isinstance(one, Change) else declined).append(one)  # type: ignore[arg-type]
    return tuple(made), tuple(declined)


# --- what each kind offers --------------------------------------------------------------------------------------------

_Offers = Iterator[Change | Declined]
_Priced = Callable[[Region], bool]


def _keeper(fleet: Fleet, played: Sequence[Region], priced: _Priced) -> _Offers:
    if any(region.spot for region in played):
        yield Change("keeper", "keeper", "the keeper sets the regions' sizes", keeper=True)
    else:
        yield Declined("keeper", "no region that is played has a spot pool")


def _floor(fleet: Fleet, played: Sequence[Region], priced: _Priced) -> _Offers:
    for region in played:
        name = f"floor+1:{region.stack}"
        if region.spot is None:
            yield Declined(name, "all on demand")
        elif why := _fixed(region):
            yield Declined(name, why)
        elif region.floor >= region.target:
            yield Declined(name, f"the floor is the target ({region.target})")
        else:
            edit = _edit(region, "pools.floor", region.floor, region.floor + 1)
            yield Change("floor", name, f"one node more always on demand in {region.stack}", (edit,), (region.stack,))


def _target(fleet: Fleet, played: Sequence[Region], priced: _Priced) -> _Offers:
    for region in played:
        name = f"target+1:{region.stack}"
        raised = region.target + 1 > region.maximum
        if why := _fixed(region):
            yield Declined(name, why)
        elif raised and region.cloud == "aws" and region.maximum + 1 > region.floor + MAX_STEPS:
            yield Declined(name, f"max {region.maximum} is the most that a step policy can order")
        else:
            edits = [_edit(region, "pools.target", region.target, region.target + 1)]
            edits += [_edit(region, "pools.max", region.maximum, region.maximum + 1)] if raised else []
            yield Change("target", name, f"one node more wanted in {region.stack}", tuple(edits), (region.stack,))


def _boot(fleet: Fleet, played: Sequence[Region], priced: _Priced) -> _Offers:
    fixed = {region.stack: _fixed(region) for region in played}
    chosen = [one for one in played if not fixed[one.stack] and _halved(one.node.boot_minutes) < one.node.boot_minutes]
    for region in played:
        if region not in chosen:
            why = fixed[region.stack] or f"{region.node.boot_minutes} min cannot be halved"
            yield Declined(f"boot/2:{region.stack}", why)
    if chosen:
        edits = [
            _edit(one, "fallback.bootMinutes", one.node.boot_minutes, _halved(one.node.boot_minutes)) for one in chosen
        ]
        words = "nodes boot in half the time, everywhere"
        yield Change("boot", "boot/2", words, tuple(edits), tuple(one.stack for one in chosen), boot_factor=0.5)


def _on_demand_type(fleet: Fleet, played: Sequence[Region], priced: _Priced) -> _Offers:
    for region in played:
        added = _another_type(region)
        if added is None:
            why = (
                "a scale set has one machine type" if region.cloud == "azure" else "on demand is every type that it has"
            )
            yield Declined(f"on-demand-type:{region.stack}", why)
            continue
        before = ", ".join(region.on_demand.types)
        edit = _edit(region, "pools.onDemandTypes", f"[{before}]", f"[{before}, {added}]")
        words = f"{added} on demand too in {region.stack}"
        yield Change("on-demand-type", f"on-demand-type:{region.stack}", words, (edit,), (region.stack,))


def _region(fleet: Fleet, played: Sequence[Region], priced: _Priced) -> _Offers:
    ready = outside(fleet, played)
    for region in ready:
        like = next(one for one in played if one.node.model == region.node.model)
        same = next((one for one in played if (one.cloud, one.node.model) == (region.cloud, region.node.model)), like)
        name = f"region:{region.stack}"
        if not priced(region):
            yield Declined(name, "no price of its machines is known")
            continue
        edit = f"stacks/Pulumi.{fleet.world.stack if fleet.world else 'global'}.yaml: members: + {region.stack}"
        words = f"{region.stack}, whose stack file is there, answers too"
        yield Change("region", name, words, (edit,), (region.stack,), adds=region, like=same.stack)
    for cloud in dict.fromkeys(region.cloud for region in played if region.spot):
        if any(region.cloud == cloud and region.spot for region in ready):
            continue
        original = next(region for region in played if region.cloud == cloud and region.spot)
        taken = [region.region for region in fleet.regions if region.cloud == cloud]
        copies = (copied(original, name) for name in nearest_like(original, taken))
        found = next((copy for copy in copies if copy is not None and priced(copy)), None)
        if found is None:
            yield Declined(f"region:{cloud}", f"no other region nearby offers what {original.stack} runs at a price")
            continue
        edit = f"stacks/Pulumi.{found.stack}.yaml: a copy of Pulumi.{original.stack}.yaml in {found.region}"
        words = f"another region, {found.stack}, as {original.stack} is"
        yield Change("region", f"region:{found.stack}", words, (edit,), (found.stack,), adds=found, like=original.stack)


_OFFERS: Final[dict[Kind, Callable[[Fleet, Sequence[Region], _Priced], _Offers]]] = {
    "keeper": _keeper,
    "floor": _floor,
    "target": _target,
    "boot": _boot,
    "on-demand-type": _on_demand_type,
    "region": _region,
}


def _edit(region: Region, key: str, before: object, after: object) -> str:
    return f"stacks/Pulumi.{region.stack}.yaml: spillway:region.{key}: {before} -> {after}"


def _fixed(region: Region) -> str:
    """Why a region's fallback cannot be written anew; empty where it can."""
    if region.spot is not None and region.rule is None:
        return "its alarms are registered otherwise than any rule has them"
    return ""


def _halved(minutes: int) -> int:
    return max(LEAST_BOOT, -(-minutes // 2))


def _another_type(region: Region) -> str | None:
    """A type that the region runs as spot and not on demand."""
    if region.spot is None or region.cloud == "azure":
        return None
    return next((one for one in region.spot.types if one not in region.on_demand.types), None)


# --- what each kind does ----------------------------------------------------------------------------------------------


def _sized(region: Region, *, target: int, floor: int) -> Region:
    """Other sizes, and everything that follows from them."""
    most = max(region.maximum, target)
    changed = replace(region, target=target, floor=floor, maximum=most)
    if region.spot is None:
        pool = replace(region.on_demand, minimum=target, maximum=most, initial=target)
        return replace(changed, floor=target, on_demand=pool)
    # A function fills its groups, which are made empty; others are made with their minimum.
    filled = isinstance(region.fallback, FunctionFallback)

    def sized(pool: Pool, minimum: int, maximum: int) -> Pool:
        return replace(pool, minimum=minimum, maximum=maximum, initial=pool.initial if filled else minimum)

    spot, on_demand = sized(region.spot, target - floor, most - floor), sized(region.on_demand, floor, most)
    changed = replace(changed, spot=spot, on_demand=on_demand)
    assert region.rule is not None
    return _ruled(changed, replace(region.rule, floor=floor, max_on_demand=most))


def _ruled(region: Region, rule: Rule) -> Region:
    """The fallback as its cloud's program would write it for another rule."""
    told = region.fallback
    if isinstance(told, FunctionFallback):
        spot = region.spot
        assert spot is not None
        load = replace(told.load, least=spot.minimum, most=spot.maximum)
        return replace(region, rule=rule, fallback=replace(told, rule=rule, load=load))
    assert isinstance(told, AlarmFallback)
    names: dict[str, str] = {pool.market: pool.name for pool in region.pools}
    alarms = fallback_alarms(rule, names, [], enabled=not told.dry_run)
    return replace(region, rule=rule, fallback=replace(told, alarms=alarms))


def _raise_floor(region: Region) -> Region:
    return _sized(region, target=region.target, floor=region.floor + 1)


def _raise_target(region: Region) -> Region:
    return _sized(region, target=region.target + 1, floor=region.floor)


def _halve_boot(region: Region) -> Region:
    minutes = _halved(region.node.boot_minutes)
    changed = replace(region, node=replace(region.node, boot_minutes=minutes))
    return changed if region.rule is None else _ruled(changed, replace(region.rule, boot_minutes=minutes))


def _add_type(region: Region) -> Region:
    added = _another_type(region)
    assert added is not None
    return replace(region, on_demand=replace(region.on_demand, types=(*region.on_demand.types, added)))


_EDITS: Final[dict[str, Callable[[Region], Region]]] = {
    "floor": _raise_floor,
    "target": _raise_target,
    "boot": _halve_boot,
    "on-demand-type": _add_type,
}


# --- which buys most --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Ranked:
    """What a variant buys beside the deployed fleet.

    availability: share of the time gained. below_hours: hours a month below the target that it saves. usd: more a month
    of 730 h. usd_per_hour: USD for each hour that is saved; None where it saves none, or costs no more.
    """

    variant: str
    change: str
    availability: float
    below_hours: float
    usd: float
    usd_per_hour: float | None
    verdict: Literal["better and cheaper", "better for more", "the same", "cheaper and worse", "no gain"]


_ORDER: Final = ("better and cheaper", "better for more", "the same", "cheaper and worse", "no gain")


def ranked(variants: Sequence[Variant], seconds: float) -> tuple[Ranked, ...]:
    """Every variant but the first against the first, what buys most ahead: what is better and costs no more by what it
    gains; then what is better for more by USD for an hour that is no longer below the target; then what costs less and
    is worse by what it saves; last what costs more for nothing. seconds: length of the play."""
    if not variants or seconds <= 0:
        return ()
    base, month = variants[0], MONTH * 3600.0 / seconds
    found = []
    for one in variants[1:]:
        gained = one.serving.availability - base.serving.availability
        usd = (one.money.total - base.money.total) * month
        hours = gained * MONTH
        verdict = _verdict(gained, usd)
        per = usd / hours if verdict == "better for more" else None
        found.append(Ranked(one.name, one.change, gained, hours, usd, per, verdict))
    return tuple(sorted(found, key=_rank))


def _verdict(
    gained: float, usd: float
) -> Literal["better and cheaper", "better for more", "the same", "cheaper and worse", "no gain"]:
    if gained > SLACK:
        return "better and cheaper" if usd <= SLACK else "better for more"
    if abs(gained) <= SLACK and abs(usd) <= SLACK:
        return "the same"
    if usd < 0:
        return "better and cheaper" if abs(gained) <= SLACK else "cheaper and worse"
    return "no gain"


def _rank(one: Ranked) -> tuple[int, float, float, str]:
    by = {
        "better and cheaper": (-one.below_hours, one.usd),
        "better for more": (one.usd_per_hour or 0.0, -one.below_hours),
        "cheaper and worse": (one.usd, -one.below_hours),
    }.get(one.verdict, (one.usd, -one.below_hours))
    return _ORDER.index(one.verdict), *by, one.variant
