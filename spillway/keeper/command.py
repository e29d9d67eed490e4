"""`spillway keeper`: the capacity policy of the whole fleet, looked at by a person or run by a scheduler."""

from __future__ import annotations

import json
import time
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spillway.errors import SpillwayError, WrongUsage
from spillway.options import Json, Profile, Stack

if TYPE_CHECKING:
    from infra.keeper_fleet import FleetRules, FleetStep, RegionStack
    from spillway.keeper.fleet import Seen

app = typer.Typer(no_args_is_help=True, help="The fleet's capacity policy: in which region and market to hold GPUs.")


@app.callback()
def keeper() -> None:
    """The fleet's capacity policy: in which region and market to hold GPUs."""


@app.command()
def plan(
    stacks: Annotated[
        list[Path] | None,
        typer.Option(
            help="Folder of stack files, or exported stacks or plans; may be repeated. `stacks` when left out."
        ),
    ] = None,
    stack: Stack = None,
    sandbox: Annotated[bool, typer.Option("--sandbox", help="Ask the stand-in clouds.")] = False,
    memory: Annotated[Path | None, typer.Option(help="File of what the keeper remembers; --apply writes it.")] = None,
    apply: Annotated[bool, typer.Option("--apply", help="Set the proposed targets.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before.")] = False,
    target: Annotated[
        list[str] | None,
        typer.Option(help="Nodes of the fleet that are to serve, or FLEET=NODES; the stack files' sum when left out."),
    ] = None,
    availability: Annotated[
        float, typer.Option(min=0.5, max=0.99999, help="Share of the time in which the target is to serve.")
    ] = 0.995,
    region_share: Annotated[float, typer.Option(min=0.01, max=1, help="Most of a target in one region.")] = 0.75,
    cloud_share: Annotated[float, typer.Option(min=0.01, max=1, help="Most of a target in one cloud.")] = 1.0,
    look: Annotated[float, typer.Option(min=30, max=3600, help="Seconds until the next look, as scheduled.")] = 60.0,
    prices: Annotated[
        str, typer.Option(help="`snapshot` (the newest), a snapshot's date, the name of a list, or a CSV file.")
    ] = "snapshot",
    spot_ratio: Annotated[
        float | None,
        typer.Option(min=0.01, max=1, help="Spot price as a share of on-demand, where the list has none."),
    ] = None,
    gone: Annotated[
        list[str] | None,
        typer.Option(help="Stack whose cloud does not answer and whose clients get no answer either; may be repeated."),
    ] = None,
    world: Annotated[str | None, typer.Option(help="The global stack, where there are several.")] = None,
    profile: Profile = None,
    json_: Json = False,
) -> int:
    """Propose where to hold the fleet's GPUs now: targets of spot and on-demand per region, each with its reason.

    Reads every region of the stack files from its cloud. With --apply it sets the targets: the groups' minimum on AWS,
    the fallback function's settings on Azure and Google Cloud. Regions go on by themselves when nobody looks again.
    Exit code 0: done, or nothing to do; 1: something could not be read or set.
    """
    from spillway.keeper import memory as files
    from spillway.keeper.apply import alone
    from spillway.regions import asked_sandbox

    if apply and memory is None:
        raise WrongUsage("keeper plan: --apply needs --memory: without one the keeper would never learn")
    if apply and json_ and not yes:
        raise WrongUsage("keeper plan: --json and --apply need --yes: nobody could be asked")
    if yes and not apply:
        raise WrongUsage("keeper plan: --yes goes with --apply")
    wanted = [_wanted(text) for text in target or []]
    directory = asked_sandbox("keeper", sandbox, profile)
    paths = stacks or [Path("stacks")]
    with alone(memory) if apply and memory is not None else nullcontext():
        from spillway.keeper.costs import priced
        from spillway.keeper.fleet import see

        remembered = files.read(memory)
        seen = see(paths, stack or [], directory, profile, world)
        if apply and not seen.desks:
            raise SpillwayError(
                f"--apply: {seen.source}: files set nothing; name the folder of the stack files to reach the clouds"
            )
        seen.states, whys = priced(seen.regions.values(), seen.states, prices, spot_ratio)
        rules = _rules(seen.stacks, wanted, availability, region_share, cloud_share, look)
        step = _look(seen, remembered, rules, gone or [])
        return _do(seen, step, rules, whys, memory if apply else None, yes=yes, json_=json_)


def _wanted(text: str) -> tuple[str, int]:
    """Fleet, empty where none is named, and nodes. Raises SpillwayError, before any cloud is asked."""
    name, _, count = text.rpartition("=")
    if not (count.isascii() and count.isdigit() and 1 <= int(count) <= 10_000):
        raise SpillwayError(f"--target {text}: has to be 1 to 10,000 nodes, or FLEET=NODES")
    return name, int(count)


def _rules(
    stacks: list[RegionStack],
    targets: list[tuple[str, int]],
    availability: float,
    region: float,
    cloud: float,
    look: float,
) -> FleetRules:
    from infra.keeper_fleet import FleetRules

    names = sorted({one.fleet for one in stacks})
    wanted: dict[str, int] = {}
    for name, count in targets:
        if not name and len(names) > 1:
            raise SpillwayError(f"--target {count}: of which fleet? FLEET={count}, of {', '.join(names)}")
        if name and name not in names:
            raise SpillwayError(f"--target {name}={count}: there is no such fleet; there are {', '.join(names)}")
        wanted[name or names[0]] = count
    return FleetRules(look=look, availability=availability, target=wanted, region_share=region, cloud_share=cloud)


def _look(seen: Seen, memory: object, rules: FleetRules, gone: list[str]) -> FleetStep:
    from infra.keeper_fleet import FleetMemory, look

    for name in gone:
        if name not in seen.unread:
            known = ", ".join(seen.unread) or "none is unread"
            raise SpillwayError(f"--gone {name}: its cloud answers, or it is no stack of the fleet; unread: {known}")
    assert isinstance(memory, FleetMemory)
    return look(seen.stacks, seen.states, memory, rules, time.time(), gone)


def _do(
    seen: Seen,
    step: FleetStep,
    rules: FleetRules,
    prices: dict[str, dict[str, str]],
    memory: Path | None,
    *,
    yes: bool,
    json_: bool,
) -> int:
    """Tell, ask, set and remember. Returns the exit code. memory: where to, None where nothing is to be set."""
    from spillway.keeper import memory as files
    from spillway.keeper import view
    from spillway.keeper.apply import apply, remembered

    if not json_:
        view.show(seen, step, rules, prices)
    done = None
    if memory is not None:
        if step.edits and not yes:
            typer.confirm(f"Set {len(step.edits)} targets?", abort=True, err=True)
        files.write(memory, step.memory)  # what was seen is known, whatever becomes of the rest
        done = apply(step.edits, seen.stacks, seen.desks, lambda line: None if json_ else typer.echo(f"set {line}"))
        if any(one.fault for one in done):
            files.write(memory, remembered(step.memory, done))
    if json_:
        typer.echo(json.dumps(view.describe(seen, step, rules, prices, done), indent=2))
    faults = [f"{one.edit.stack}: {one.fault}" for one in done or () if one.fault]
    if faults and done:
        whole = sum(not one.fault for one in done)
        raise SpillwayError(f"keeper: {whole} of {len(done)} targets are set", *faults)
    return 1 if seen.unread else 0
