"""Whom the keeper keeps, and who tells of them: the clouds or their stand-ins by stack files, or files alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Final

from infra.config import load_stack_file
from infra.keeper_fleet import Machine, RegionStack, RegionState
from infra.keeper_words import Market
from rehearsal.fleet import Fleet, Region, load, load_stack_files
from rehearsal.fleet_keeping import region_stacks
from rehearsal.progress import Bar
from spillway.errors import SpillwayError
from spillway.keeper.desk import Desk, NotThere, Stack
from spillway.preflight.model import Unanswered

CLOUDS: Final = {cloud: f"spillway.keeper.{cloud}" for cloud in ("aws", "azure", "gcp")}
AT_ONCE: Final = 8


@dataclass(slots=True)
class Seen:
    """What was read. states: by stack. left_out: stacks that the keeper leaves alone, and why. unread: those whose
    cloud did not answer, and why. desks: who can set a target; none where files were read. source: what was read."""

    source: str
    stacks: list[RegionStack]
    regions: dict[str, Region]
    states: dict[str, RegionState] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    unread: dict[str, str] = field(default_factory=dict)
    desks: dict[str, Desk] = field(default_factory=dict)


def see(
    paths: Sequence[Path], names: Sequence[str], sandbox: Path | None, profile: str | None, world: str | None
) -> Seen:
    """The fleet by its stack files, as the clouds (or the stand-ins of a sandbox's directory) tell it now; by exported
    stacks or plans, as these have it. names: of the stacks that are kept, all when empty.

    Raises SpillwayError, Unreachable where a cloud cannot be asked at all.
    """
    folder = paths[0] if len(paths) == 1 and paths[0].is_dir() else None
    if folder is None:
        if sandbox is not None:
            raise SpillwayError(f"--sandbox goes with a folder of stack files, not with {paths[0]}")
        return _files(load(list(paths), world), names, paths)
    fleet = load_stack_files(folder, names or None, world)
    seen = _known(fleet, names, f"{'the sandbox' if sandbox else 'the clouds'}, by the stack files of {folder}")
    for one in list(seen.stacks):
        config = load_stack_file(folder / f"Pulumi.{one.stack}.yaml", one.stack)
        seen.desks[one.stack] = _desk(Stack(config, seen.regions[one.stack]), sandbox, profile)
    _read(seen)
    return seen


def _known(fleet: Fleet, names: Sequence[str], source: str) -> Seen:
    stacks, left_out = region_stacks(fleet)
    regions = {region.stack: region for region in fleet.regions}
    if names:
        if missing := sorted(set(names) - set(regions)):
            raise SpillwayError(f"--stack {missing[0]}: not among {', '.join(sorted(regions))}")
        stacks = [one for one in stacks if one.stack in names]
        left_out = {stack: why for stack, why in left_out.items() if stack in names}
    if not stacks:
        raise SpillwayError("no region stack that the keeper could move", *(f"{s}: {w}" for s, w in left_out.items()))
    return Seen(source, stacks, regions, left_out=left_out)


def _desk(stack: Stack, sandbox: Path | None, profile: str | None) -> Desk:
    if sandbox is not None:
        from spillway.keeper.stand_in import StandInDesk

        return StandInDesk(stack, sandbox)
    connect = import_module(CLOUDS[stack.region.cloud]).connect
    desk: Desk = connect(stack, profile)
    return desk


def _read(seen: Seen) -> None:
    """Every region at the same time. One that is not deployed is none of the fleet; one that does not answer is."""

    def work(stack: str) -> RegionState | str | NotThere:
        try:
            return seen.desks[stack].read()
        except NotThere as error:
            return error
        except Unanswered as error:
            told = error.action.replace("whoever runs preflight", "whoever runs the keeper")
            return "; ".join(part for part in (error.reason, told) if part)

    names = [one.stack for one in seen.stacks]
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="region") as pool, Bar("Regions read", len(names)) as bar:
        asked = {pool.submit(work, name): name for name in names}
        for one in as_completed(asked):
            bar.step(asked[one])
        answers = {name: answer.result() for answer, name in asked.items()}
    for stack, answer in answers.items():
        if isinstance(answer, NotThere):
            seen.left_out[stack] = "not deployed"
        elif isinstance(answer, str):
            seen.unread[stack] = answer
        else:
            seen.states[stack] = answer
    seen.stacks = [one for one in seen.stacks if one.stack not in seen.left_out]
    if not seen.stacks:
        raise SpillwayError(f"{seen.source}: none of {', '.join(names)} is deployed")
    if not seen.states:
        raise SpillwayError(*(f"{stack}: {why}" for stack, why in seen.unread.items()))


def _files(fleet: Fleet, names: Sequence[str], paths: Sequence[Path]) -> Seen:
    """As exported states and plans have it: sizes, and no word of nodes; all that a group aims at is taken to serve."""
    kind = {"export": "exported stacks", "plan": "plans"}.get(fleet.source, fleet.source)
    seen = _known(fleet, names, f"{kind}: {', '.join(map(str, paths))}")
    for one in seen.stacks:
        region = seen.regions[one.stack]
        assert region.spot is not None
        spot, on_demand = region.spot.minimum, region.on_demand.minimum
        size: Mapping[Market, int] = {
            "spot": max(spot, region.spot.size or 0),
            "on-demand": max(on_demand, region.on_demand.size or 0),
        }
        machines = tuple(
            Machine(f"{market}-{number}", market, one.zones[number % len(one.zones)], True)
            for market, count in size.items()
            for number in range(count)
        )
        seen.states[one.stack] = RegionState(spot, on_demand, size["spot"], size["on-demand"], machines)
    return seen
