"""The global stack's file as a frozen, checked model.

    config = load_global(Path("stacks/Pulumi.global.yaml"))

Every fault of the file is collected and raised at once in one ConfigError, as for a region (infra/config.py). Region
stacks are named, not read: what they export is looked up when the stack is built. Their files say the residency, so
that a service left without a member is told before anything is deployed.
Imports no cloud SDK and no pulumi.
"""

from __future__ import annotations

from pathlib import Path

from infra import stackfile
from infra.dns.sections import GlobalStack
from infra.faults import ConfigError, Fault, did_you_mean, listed
from infra.stackfile import GLOBAL_KEY, REGION_KEY, is_global, may_be_region
from infra.validation import validate

__all__ = ["GLOBAL_KEY", "ConfigError", "GlobalStack", "load_global", "parse_global"]


def load_global(path: Path, stack: str | None = None) -> GlobalStack:
    """The global stack of one file, checked by itself and against the region stacks' files beside it.

    `stack` defaults to the name in the file name. Raises ConfigError with one line per fault.
    """
    name, about = stack or stackfile.stack_of(path), "the settings of the global stack"
    return stackfile.load(path, GLOBAL_KEY, about, lambda data, file: parse_global(data, name, file, path.parent))


def parse_global(data: object, stack: str, file: str, stacks: Path | None = None) -> GlobalStack:
    """The object under `spillway:global` as a model; raises ConfigError with one line per fault, all at once.

    stacks: the folder with the region stacks' files; without it members are not looked up.
    """
    from infra.dns import checks

    if not isinstance(data, dict):
        keys = listed((f.alias or name for name, f in GlobalStack.model_fields.items()), "and")
        raise ConfigError([Fault((GLOBAL_KEY,), f"has to be a map with {keys}", data).line(file)])
    config, faults = validate(GlobalStack, data)
    if faults:
        from infra.dns import wishes  # only on the way to an error

        faults = wishes.replace(faults, data)
    if not is_global(stack):
        why = f"the stack is named {stack}; one that holds {GLOBAL_KEY} is named global, or global- and a word"
        faults.append(Fault((), why))
    faults += checks.check.faults(config)
    if stacks is not None and "members" in config.__dict__:
        residencies, unknown = _region_stacks(config, stacks)
        faults += unknown
        if not faults and residencies is not None:
            faults += checks.answering_faults(config, residencies)
    if faults:
        raise ConfigError(dict.fromkeys(fault.below(GLOBAL_KEY).line(file) for fault in faults))
    return config


def _region_stacks(config: GlobalStack, stacks: Path) -> tuple[dict[str, str] | None, list[Fault]]:
    """Residency by member name, as the region stacks' files say, and members whose stack has no file.

    None for the residencies where one of the files is at fault: it tells that itself, where it is used, and a service
    must not be told to be without members for it.
    """
    files = {stackfile.stack_of(path): path for path in sorted(stacks.glob("Pulumi.*.yaml"))}
    residencies: dict[str, str] = {}
    faults: list[Fault] = []
    known = True
    for number, member in enumerate(config.members):
        if member.stack is None:
            continue
        if member.stack not in files:
            if not (member.planned or member.drain):
                regions = [name for name in files if may_be_region(name)]
                hint = did_you_mean(member.stack, regions)
                why = f"no such stack: there is no stacks/Pulumi.{member.stack}.yaml{hint}; planned: true allows that"
                faults.append(Fault(("members", number, "stack"), why, member.stack))
            continue
        try:
            region = stackfile.read(files[member.stack]).get(REGION_KEY)
        except ConfigError:
            region = None
        if isinstance(region, dict) and isinstance(region.get("residency"), str):
            residencies[member.name] = region["residency"]
        else:
            known = False
    return residencies if known else None, faults


def most_addresses(config: GlobalStack, stacks: Path) -> int:
    """The most addresses that one member has: as the file says, or its balancer where `stacks` has its region."""
    from infra.config import load_stack_file

    most = 1
    for member in config.members:
        if member.endpoint is not None:
            most = max(most, len(member.endpoint.addresses))
            continue
        path = stacks / f"Pulumi.{member.stack}.yaml"
        try:
            most = max(most, load_stack_file(path).addresses)
        except ConfigError:  # not there yet, or its own faults, which are told where it is used
            continue
    return most
