"""A whole rehearsal: one scenario against one fleet, as it is deployed, with the keeper, and with one change each.

rehearsal = rehearse(load(Path("stacks")), scenario.load("region-dark-at-peak"))
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, Literal

from infra.faults import did_you_mean, listed
from rehearsal import changes, events, monte, price_book, supply
from rehearsal.changes import Change, Declined
from rehearsal.fleet import Fleet, Region
from rehearsal.fleet_play import FleetPlay, Held
from rehearsal.monte import Draw, Figures
from rehearsal.result import Rehearsal, Repeated, Source, Variant
from rehearsal.scenario import Loaded
from rehearsal.supply import Supply
from spillway.errors import SpillwayError

Variants = Literal["deployed", "keeper", "changes"]
VARIANTS: Final[tuple[Variants, ...]] = ("deployed", "keeper", "changes")
DEFAULT: Final[tuple[Variants, ...]] = ("deployed", "keeper")
PARALLEL: Final = 3
"""From so many variants on they are played in processes of their own."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One variant to play. held: what it is compared with; None for the one that says it."""

    name: str
    change: Change | None
    held: Held | None


@dataclass(frozen=True, slots=True)
class Done:
    """One variant that was played, and what it went by."""

    variant: Variant
    held: Held
    sources: tuple[Source, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Task:
    """What all variants have in common. Values only, but `part`: it is sent to other processes. part: called with a
    variant's name and the share of it that is played, in this process."""

    fleet: Fleet
    loaded: Loaded
    stacks: tuple[str, ...]
    part: Callable[[str, float], None] | None = None

    def __call__(self, piece: Piece) -> Done:
        return self.play(piece, None, regret=True)

    def play(self, piece: Piece, draw: Draw | None, *, regret: bool) -> Done:
        """One variant. draw: of a repetition, which draws the days of the trace."""
        scenario, change = self.loaded.scenario, piece.change
        fleet = self.fleet if change is None else change.apply(self.fleet)
        added = [change.adds.stack] if change is not None and change.adds is not None else []
        regions = [one for one in fleet.regions if one.stack in (*self.stacks, *added)]
        dice = None if draw is None else draw.dice("trace")
        given = supply.supply(scenario, regions, self.loaded.folder, file=self.loaded.file, dice=dice, added=added)
        played = [one for one in regions if one.stack in given.regions]
        if not played:
            why = "; ".join(f"{stack}: {told}" for stack, told in given.left_out.items())
            raise SpillwayError(f"{self.loaded.file}: no region can be played: {why}")
        happens = events.timed(scenario, played, fleet.world, given.begin, self.loaded.file)
        keeper = change is not None and change.keeper
        # Where the scenario says how long boots take, a faster boot is a part of that; otherwise the stack says it.
        fixed = scenario.boot.minutes is not None or bool(scenario.boot.per_stack)
        factor = change.boot_factor if change is not None and fixed else 1.0
        seed = scenario.seed if draw is None else draw.seed
        arrivals = piece.held.arrivals if piece.held else None
        play = FleetPlay(
            fleet, scenario, given, happens, keeper=keeper, boot_factor=factor, seed=seed, arrivals=arrivals
        )
        play.run(self._played(piece))
        held = piece.held or play.held()
        kind: Literal["deployed", "keeper", "change"]
        kind = "deployed" if change is None else "keeper" if keeper else "change"
        told = play.variant(piece.name, kind, "" if change is None else change.words, held, regret=regret)
        return Done(told, held, (*given.sources, *play.sources), (*given.warnings, *play.warnings))

    def _played(self, piece: Piece) -> Callable[[float], None] | None:
        """Takes the seconds that are played."""
        tell, seconds = self.part, self.loaded.scenario.seconds
        return None if tell is None else lambda at: tell(piece.name, at / seconds)


def rehearse(
    fleet: Fleet,
    loaded: Loaded,
    *,
    variants: Sequence[Variants] = DEFAULT,
    repeat: int | None = None,
    seed: int | None = None,
    workers: int | None = None,
    progress: Callable[[str], None] | None = None,
    part: Callable[[str, float], None] | None = None,
) -> Rehearsal:
    """Plays the scenario. repeat, seed: instead of the scenario's. progress: called with the name of each variant that
    is done, and with the number of each repetition. part: called about once a day of a variant that is played in this
    process, with its name and the share that is over. Raises SpillwayError: file, key, value, what is allowed."""
    scenario = loaded.scenario
    if seed is not None or repeat is not None:
        told = {"seed": scenario.seed if seed is None else seed}
        told["repeat"] = scenario.repeat if repeat is None else repeat
        scenario = scenario.model_copy(update=told)
        loaded = replace(loaded, scenario=scenario)
    stacks, left_out = chosen(fleet, loaded)
    regions = [one for one in fleet.regions if one.stack in stacks]
    given = supply.supply(scenario, regions, loaded.folder, file=loaded.file)
    left_out |= given.left_out
    task = Task(fleet, loaded, stacks)
    here = replace(task, part=part)
    first = here(Piece("deployed", None, None))
    if progress:
        progress("deployed")
    pieces, declined = _pieces(fleet, loaded, given, variants, first.held)
    count = _workers(pieces, workers)
    done = [first, *monte.over(here if count == 1 else task, pieces, count, progress=_named(progress))]
    return Rehearsal(
        scenario=scenario.name,
        title=scenario.title,
        shows=scenario.shows,
        begin=given.begin,
        seconds=scenario.seconds,
        seed=scenario.seed,
        fleet=tuple(given.regions),
        left_out=left_out,
        source=fleet.source,
        sources=tuple(dict.fromkeys(source for one in done for source in one.sources)),
        assumptions=tuple((path, str(origin)) for path, origin in fleet.assumptions if _about(path, given, fleet)),
        variants=tuple(one.variant for one in done),
        repeated=_repeated(task, done, scenario.repeat, scenario.seed, workers, progress),
        text=loaded.text,
        warnings=_warnings(done, declined),
    )


def steps(fleet: Fleet, loaded: Loaded, variants: Sequence[Variants], repeat: int) -> int:
    """How often `progress` of `rehearse` is called."""
    stacks, _ = chosen(fleet, loaded)
    regions = [one for one in fleet.regions if one.stack in stacks]
    given = supply.supply(loaded.scenario, regions, loaded.folder, file=loaded.file)
    pieces, _ = _pieces(fleet, loaded, given, variants, None)
    return 1 + len(pieces) + repeat


def chosen(fleet: Fleet, loaded: Loaded) -> tuple[tuple[str, ...], dict[str, str]]:
    """Stacks that are played, and why the others are not. Raises SpillwayError for one that is not there."""
    known = [one.stack for one in fleet.regions]
    wanted = loaded.scenario.stacks
    if wanted is not None:
        for stack in wanted:
            if stack not in known:
                hint, has = did_you_mean(stack, known), listed(known, "and")
                raise SpillwayError(f"{loaded.file}: stacks: {stack}: not in the fleet{hint}; it has {has}")
        return tuple(dict.fromkeys(wanted)), {
            one: "the scenario does not name it" for one in known if one not in wanted
        }
    if fleet.world is None:
        return tuple(known), {}
    of = {member.name: member.stack for member in fleet.world.members}
    reached = {of[place.member] for service in fleet.world.services for tier in service.tiers for place in tier.places}
    stacks = tuple(one for one in known if one in reached)
    if not stacks:
        raise SpillwayError(
            f"{loaded.file}: no service of {fleet.world.stack} reaches a region stack that is there; name some"
        )
    return stacks, {one: f"no service of {fleet.world.stack} reaches it" for one in known if one not in stacks}


def _pieces(
    fleet: Fleet, loaded: Loaded, given: Supply, variants: Sequence[Variants], held: Held | None
) -> tuple[list[Piece], tuple[Declined, ...]]:
    """The variants besides the deployed fleet."""
    kinds: list[changes.Kind] = []
    if "keeper" in variants:
        kinds.append("keeper")
    if "changes" in variants:
        kinds += [kind for kind in changes.KINDS if kind != "keeper"]
    if not kinds:
        return [], ()
    scenario = loaded.scenario
    book = price_book.read(scenario.prices, loaded.folder)
    terms = supply.given_prices(scenario)

    def priced(region: Region) -> bool:
        return supply.available(region, book, terms, given.series)

    found, declined = changes.offered(fleet, tuple(given.regions), kinds=kinds, priced=priced)
    return [Piece(one.name, one, held) for one in found], declined


def _workers(pieces: Sequence[Piece], workers: int | None) -> int | None:
    return 1 if workers is None and len(pieces) < PARALLEL else workers


def _named(progress: Callable[[str], None] | None) -> Callable[[Piece], None] | None:
    return None if progress is None else lambda piece: progress(piece.name)


def _warnings(done: Sequence[Done], declined: Sequence[Declined]) -> tuple[str, ...]:
    """Each once: of the deployed fleet, what differs in a variant, and changes that are none."""
    first = done[0].warnings
    found = list(first)
    for one in done[1:]:
        found += [f"in {one.variant.name}: {line}" for line in one.warnings if line not in first]
    found += [f"{one.name} is no change: {one.why}" for one in declined]
    return tuple(dict.fromkeys(found))


def _about(path: str, given: Supply, fleet: Fleet) -> bool:
    stack = path.partition(".")[0]
    return stack in given.regions or (fleet.world is not None and stack == fleet.world.stack)


def _repeated(
    task: Task,
    done: Sequence[Done],
    runs: int,
    seed: int,
    workers: int | None,
    progress: Callable[[str], None] | None,
) -> tuple[Repeated, ...]:
    """The spread of the deployed fleet's figures and of the keeper's, over traces of days drawn at random. Without
    clients: no figure is theirs, and they take most of the time."""
    if not runs:
        return ()
    alone = task.loaded.scenario.model_copy(update={"load": None})
    task = replace(task, loaded=replace(task.loaded, scenario=alone))
    kinds = [one.variant for one in done if one.variant.kind in ("deployed", "keeper")]
    pieces = tuple(
        Piece(one.name, None if one.kind == "deployed" else _KEEPER, None if one.kind == "deployed" else done[0].held)
        for one in kinds
    )
    found = monte.repeat(partial(_again, task, pieces), runs, seed, workers, progress)
    plays = [[figures[number] for figures in found] for number in range(len(kinds))]
    return tuple(
        monte.repeated(one.name, plays[number], plays[0] if number else None) for number, one in enumerate(kinds)
    )


_KEEPER: Final = Change("keeper", "keeper", "the keeper sets the regions' sizes", keeper=True)


def _again(task: Task, pieces: tuple[Piece, ...], draw: Draw) -> tuple[Figures, ...]:
    seconds = task.loaded.scenario.seconds
    return tuple(monte.figures_of(task.play(piece, draw, regret=False).variant, seconds) for piece in pieces)
