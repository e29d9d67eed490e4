"""The region stacks that a command works on, side by side, each with a result of its own."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Final, TypeVar

import typer

from infra import stackfile
from infra.config import load_stack_file
from infra.faults import ConfigError, did_you_mean, listed
from spillway.errors import SpillwayError

if TYPE_CHECKING:
    from infra.config import RegionConfig

AT_ONCE: Final = 8
"""Regions asked at the same time."""

T = TypeVar("T")


def region_stacks(folder: Path) -> list[str]:
    """The names of all region stacks of a folder, faulty files included; global and ci stacks are left out."""
    names = []
    for path in sorted(folder.glob("Pulumi.*.yaml")):
        name = stackfile.stack_of(path)
        if not stackfile.may_be_region(name):
            continue
        try:
            config, _ = stackfile.read_with_faults(path)
        except ConfigError:  # told when it is loaded: one broken file keeps no other region from being asked
            config = {}
        if stackfile.holds_region(config):
            names.append(name)
    return names


def every_region_stack(folder: Path) -> list[str]:
    """Like region_stacks(). Raises SpillwayError when there is none."""
    names = region_stacks(folder)
    if not names:
        raise SpillwayError(f"{folder}: holds no region stack")
    return names


def chosen(folder: Path, names: Sequence[str]) -> list[RegionConfig]:
    """The named region stacks, each once, or all of the folder when none is named.

    Raises SpillwayError for a name that no file has, an empty folder, and every fault of the files at once: a command
    that reaches several clouds does nothing while it does not know all of them.
    """
    there = every_region_stack(folder)
    lines = [
        f"--stack {name}: no region stack of {folder}{did_you_mean(name, there)}; there are {listed(there, 'and')}"
        for name in dict.fromkeys(names)
        if name not in there
    ]
    regions: list[RegionConfig] = []
    for name in dict.fromkeys(names or there):
        try:
            if name in there:
                regions.append(load_stack_file(folder / f"Pulumi.{name}.yaml", name))
        except SpillwayError as error:
            lines += error.lines
    if lines:
        raise SpillwayError(*lines)
    return regions


def within_reach(
    command: str, regions: Sequence[RegionConfig], clouds: Collection[str], named: Collection[str]
) -> list[RegionConfig]:
    """The regions on clouds that a command knows; that the others are left out is said on standard error.

    named: the stacks that were asked for by name. Raises SpillwayError for one of them that is out of reach, and when
    nothing is left.
    """
    inside = [config for config in regions if config.cloud in clouds]
    reason = f"`spillway {command}` reaches regions on {listed(sorted(clouds), 'and')}"
    outside = [config.stack_name for config in regions if config.cloud not in clouds]
    refused = [name for name in outside if name in named or not inside]
    if refused:
        raise SpillwayError(*(f"{name}: {reason}" for name in refused))
    for name in outside:
        typer.echo(f"spillway: {name} is left out: {reason}", err=True)
    return inside


def global_names(stacks: Path, stack: str) -> tuple[str, ...]:
    """The service names that lead to a region stack, by the global stacks' files beside it; faulty ones say nothing."""
    from infra.dns.config import load_global
    from infra.dns.plan import admitted_members

    found: list[str] = []
    for path in sorted(stacks.glob("Pulumi.global*.yaml")):
        if not stackfile.is_global(stackfile.stack_of(path)):
            continue
        try:
            config = load_global(path)
            residency = stackfile.read(stacks / f"Pulumi.{stack}.yaml")[stackfile.REGION_KEY]["residency"]
        except ConfigError:
            continue
        own = {member.name: residency for member in config.members if member.stack == stack}
        found += [service.name for service in config.services if admitted_members(config, service, own)]
    return tuple(dict.fromkeys(found))


def side_by_side(
    work: Callable[[RegionConfig], T], regions: Iterable[RegionConfig], stop: Event | None = None
) -> list[T]:
    """`work` for every region at the same time; results in the order of the regions. `work` raises nothing that one
    region alone is to blame for. stop: set on Ctrl-C, for work that takes long to look at."""
    found = list(regions)
    if len(found) == 1:
        return [work(found[0])]
    pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="region")
    try:
        futures = [pool.submit(work, one) for one in found]
        return [future.result() for future in futures]
    except BaseException:
        if stop is not None:
            stop.set()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def sandbox_directory() -> Path:
    """The sandbox that `--sandbox` means. Raises SpillwayError for a directory that is no sandbox."""
    from sandbox.clouds import refuse_others, sandbox_dir

    directory = sandbox_dir()
    refuse_others(directory)
    return directory


def refuse_profile(command: str, sandbox: bool, profile: str | None) -> None:
    """Raises SpillwayError for `--profile` with `--sandbox`."""
    if sandbox and profile is not None:
        raise SpillwayError(f"{command}: --profile {profile} goes without --sandbox: the stand-in takes no credentials")


def asked_sandbox(command: str, sandbox: bool, profile: str | None) -> Path | None:
    """The sandbox's directory where `--sandbox` asks for it, None for the real clouds.

    Raises SpillwayError for a profile with it, and for a directory that is no sandbox.
    """
    refuse_profile(command, sandbox, profile)
    return sandbox_directory() if sandbox else None
