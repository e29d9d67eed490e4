"""Setting what the keeper proposes: what raises a target first, and nothing is taken back where that failed."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from infra.keeper_fleet import Edit, FleetMemory, RegionMemory, RegionStack
from spillway.errors import SpillwayError
from spillway.keeper.desk import Desk, Say
from spillway.preflight.model import Unanswered


@dataclass(frozen=True, slots=True)
class Applied:
    """One edit. lines: what was set. fault: why not, or not all of it; empty where it was."""

    edit: Edit
    lines: tuple[str, ...] = ()
    fault: str = ""


def apply(edits: Sequence[Edit], stacks: Sequence[RegionStack], desks: Mapping[str, Desk], say: Say) -> list[Applied]:
    """Every edit, in its order. Of a fleet in which a raise failed nothing is lowered any more: what should have taken
    its place is not there. A failure keeps no other stack from its edit."""
    fleet = {one.stack: one.fleet for one in stacks}
    failed: set[str] = set()
    done: list[Applied] = []
    for edit in edits:
        own = fleet[edit.stack]
        if own in failed and not edit.raises:
            done.append(Applied(edit, fault="left as it is: not everything that takes its place could be set"))
            continue
        lines: list[str] = []

        def told(line: str, lines: list[str] = lines) -> None:
            lines.append(line)
            say(line)

        fault = ""
        try:
            desks[edit.stack].write(*edit.after, told)
        except Unanswered as error:
            fault = "; ".join(part for part in (error.reason, error.action) if part)
            fault = fault.replace("whoever runs preflight", "whoever runs the keeper")
        except SpillwayError as error:
            fault = " ".join(error.lines)
        if fault:
            failed.add(own)
        done.append(Applied(edit, tuple(lines), fault))
    return done


def remembered(memory: FleetMemory, done: Sequence[Applied]) -> FleetMemory:
    """The memory without what was asked of regions in which nothing could be set: nobody refused it."""
    regions = dict(memory.regions)
    for one in done:
        if one.fault:
            regions[one.edit.stack] = replace(regions.get(one.edit.stack, RegionMemory()), asked={})
    return replace(memory, regions=regions)


@contextmanager
def alone(memory: Path) -> Iterator[None]:
    """Nobody else works with this memory meanwhile. Raises SpillwayError where somebody does."""
    path = memory.with_name(f"{memory.name}.lock")
    try:
        stream = path.open("a")
    except OSError as error:
        raise SpillwayError(f"{path}: cannot be written: {error.strerror}") from None
    with stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise SpillwayError(f"{memory}: another keeper works with this memory now") from None
        yield
