"""From files, a sandbox or a folder of stack files to a fleet; every source gives the same type."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from infra import config as config_files
from infra.dns.config import load_global
from infra.faults import did_you_mean, listed
from infra.stackfile import display_name, is_global, may_be_region, stack_of
from rehearsal.fleet import files, regions, sources, world, world_files
from rehearsal.fleet.model import Fleet, Region, SourceKind, World
from rehearsal.fleet.resources import Notes, Stack
from sandbox.store import CLOUDS
from spillway.errors import SpillwayError

GLOBAL: Final = "global"


def load(paths: Sequence[Path], world_stack: str | None = None) -> Fleet:
    """A fleet from whatever lies there: a folder of stack files, a sandbox's directory, or exported stacks and plans
    (not mixed). world_stack: the global stack to take, where there are several.

    Raises SpillwayError (ConfigError for stack files): one line for each fault, with file, key, value, what is allowed.
    """
    if not paths:
        raise SpillwayError("no stacks: expected a folder of stack files, a sandbox, exported stacks or plans")
    folders = [path for path in paths if path.is_dir()]
    if folders and len(paths) > 1:
        raise SpillwayError(f"{folders[0]}: a folder goes alone; expected it, or files")
    if folders:
        if (folders[0] / CLOUDS).exists():
            return load_sandbox(folders[0], world_stack)
        return load_stack_files(folders[0], world_stack=world_stack)
    kinds = {path: sources.is_plan(sources.document(path)) for path in paths}
    if len({*kinds.values()}) > 1:
        plan = next(path for path, is_plan in kinds.items() if is_plan)
        raise SpillwayError(f"{plan}: is a plan beside exported stacks; expected files of one kind")
    return (load_plans if kinds[paths[0]] else load_exports)(paths, world_stack)


def load_exports(paths: Iterable[Path], world_stack: str | None = None) -> Fleet:
    """A fleet from `pulumi stack export` of each stack."""
    return _fleet([sources.export(path) for path in paths], "export", world_stack)


def load_plans(paths: Iterable[Path], world_stack: str | None = None) -> Fleet:
    """A fleet from `pulumi preview --json --show-sames` of each stack: as it would be after the next `up`."""
    return _fleet([sources.plan(path) for path in paths], "plan", world_stack)


def load_sandbox(directory: Path, world_stack: str | None = None) -> Fleet:
    """A fleet from the stand-in clouds, as they hold it now."""
    return _fleet(sources.sandbox(directory), "sandbox", world_stack)


def _fleet(stacks: list[Stack], kind: SourceKind, world_stack: str | None) -> Fleet:
    files_of: dict[str, str] = {}
    for one in stacks:
        if one.name in files_of:
            raise SpillwayError(f"{one.file}: stack {one.name} is in {files_of[one.name]} already")
        files_of[one.name] = one.file
    notes: Notes = {}
    found = {one.name: regions.region(one, notes) for one in stacks if may_be_region(one.name)}
    if not found:
        raise SpillwayError(f"{stacks[0].file if stacks else 'no file'}: no region stack; expected at least one")
    named = {one.name: one for one in stacks if is_global(one.name)}
    chosen = _chosen(list(named), world_stack)
    over: World | None = world.world(named[chosen], found, notes) if chosen else None
    return Fleet(_sorted(found), over, kind, notes)


def load_stack_files(folder: Path, names: Sequence[str] | None = None, world_stack: str | None = None) -> Fleet:
    """A fleet from the stack files of a folder: what they would make, with nothing deployed and no engine.

    names: of the region stacks, all of them when left out. Raises ConfigError with every fault of the files.
    """
    if not folder.is_dir():
        raise SpillwayError(f"{folder}: there is no such folder; expected one with stack files (Pulumi.<stack>.yaml)")
    loaded = config_files.load_all(folder)
    for name in names or ():
        if name not in loaded:
            known = listed(loaded, "and") if loaded else "none"
            raise SpillwayError(
                f"{folder}: {name}: no such region stack{did_you_mean(name, loaded)}; there are {known}"
            )
    if not loaded:
        raise SpillwayError(f"{folder}: holds no region stack; expected Pulumi.<cloud>-<region>.yaml")
    notes: Notes = {}
    found = {
        name: files.region(config, display_name(folder / f"Pulumi.{name}.yaml"), notes)
        for name, config in loaded.items()
    }
    worlds = [stack_of(path) for path in sorted(folder.glob("Pulumi.global*.yaml")) if is_global(stack_of(path))]
    chosen = _chosen(worlds, world_stack)
    over: World | None = None
    if chosen is not None:
        path = folder / f"Pulumi.{chosen}.yaml"
        over = world_files.world(load_global(path), chosen, display_name(path), found, notes)
    taken = {name: region for name, region in found.items() if not names or name in names}
    return Fleet(_sorted(taken), over, "stack-files", notes)


def _chosen(names: list[str], wanted: str | None) -> str | None:
    """The global stack to take: the one that is asked for, the only one, or the one named `global`."""
    if wanted is not None:
        if wanted not in names:
            known = listed(names, "and") if names else "none"
            raise SpillwayError(f"{wanted}: no such global stack{did_you_mean(wanted, names)}; there are {known}")
        return wanted
    if GLOBAL in names:
        return GLOBAL
    if len(names) <= 1:
        return names[0] if names else None
    raise SpillwayError(f"several global stacks: {listed(names, 'and')}; name the one to take")


def _sorted(found: dict[str, Region]) -> tuple[Region, ...]:
    return tuple(found[name] for name in sorted(found))
