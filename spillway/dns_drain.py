"""`spillway dns drain`: nothing is destroyed while a name still leads there, or while clients may remember that it did.

A region that goes away answers nobody, but resolvers keep what they were told for the TTL. So: the member is marked
`drain: true`, the global stack brought up (its records go, its checks stay), and this waits until no name server
answers with its addresses and the last answer that did is over. Only then the command behind `--` runs.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from infra.dns.limits import MAX_TTL
from infra.faults import shown
from spillway.dns_members import outputs_of, parse
from spillway.errors import SpillwayError

if TYPE_CHECKING:
    from spillway.dns_tally import Look
    from spillway.dns_watch import Source

GONE_SECONDS = 120.0
"""Longest wait for the name servers. A change is on all of Route 53's within 60 s, usually:
https://docs.aws.amazon.com/Route53/latest/APIReference/API_ChangeResourceRecordSets.html"""
PROXIED_SECONDS = 30.0
"""Behind a proxy answers are always the proxy's own addresses and prove nothing. A change of pools is everywhere within
seconds; how many is not published, so this is ample."""
LOOK_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Drained:
    """What was waited for. services: the names that were asked; seconds: the whole wait."""

    member: str
    addresses: tuple[str, ...]
    services: tuple[str, ...]
    ttl_seconds: float
    seconds: float

    def describe(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "member": self.member,
            "addresses": list(self.addresses),
            "services": list(self.services),
            "ttlSeconds": self.ttl_seconds,
            "seconds": self.seconds,
        }


def member_of(stack: str, wanted: str, root: Path) -> str:
    """The member's name, given by itself or by its region stack.

    Raises SpillwayError when the stack file has no such member, or does not drain it.
    """
    from infra.dns.config import load_global

    path = root / "stacks" / f"Pulumi.{stack}.yaml"
    config = load_global(path, stack)
    names = [member.name for member in config.members]
    for number, member in enumerate(config.members):
        if wanted in (member.name, member.stack):
            if not member.drain:
                raise SpillwayError(
                    f"stacks/{path.name}: spillway:global.members[{number}].drain: {member.name} is not drained: "
                    f"write drain: true there, and bring the stack {stack} up"
                )
            return member.name
    raise SpillwayError(f"{wanted}: no such member in stacks/{path.name}; there are {', '.join(names)}")


def check_outputs(member: str, stack: str, outputs: Mapping[str, Any]) -> None:
    """Raises SpillwayError when the deployed global stack still leads to the member, or names no service at all."""
    services = parse(outputs, f"outputs of {stack}").services
    if not services:
        raise SpillwayError(f"outputs of {stack}: services: none is there, so nobody can be asked")
    leading = [name for name, members in services.items() if member in members]
    drained = outputs.get("drained")
    if leading or not isinstance(drained, list) or member not in drained:
        names = f" ({', '.join(leading)} still lead there)" if leading else ""
        raise SpillwayError(f"{member}: drained in the stack file, not yet in the cloud{names}: bring {stack} up first")


def ttl_of(outputs: Mapping[str, Any], stack: str) -> float:
    """Seconds that clients may keep an answer, PROXIED_SECONDS behind a proxy. Raises SpillwayError."""
    budget = outputs.get("budget")
    ttl = budget.get("ttlSeconds", "missing") if isinstance(budget, dict) else "missing"
    if ttl is None:
        return PROXIED_SECONDS
    if isinstance(ttl, bool) or not isinstance(ttl, int | float) or not 0 <= ttl <= MAX_TTL:
        raise SpillwayError(f"outputs of {stack}: budget.ttlSeconds = {shown(ttl)}: has to be seconds, or null")
    return float(ttl)


def wait_until_gone(
    sources: Mapping[str, Source],
    addresses: Sequence[str],
    ttl_seconds: float,
    say: Callable[[str], None],
    now: Callable[[], float] = time.monotonic,
) -> float:
    """Seconds waited until no name answers with one of `addresses`, and the last answer that did is over.

    sources: by service name. A name server that is silent may be the one that still leads there: it proves nothing
    until it was heard. Raises SpillwayError when a name still does after GONE_SECONDS, or when servers stay silent.
    """
    started, clean = now(), None
    waiter = next(iter(sources.values()))
    while True:
        looks = {name: source.look() for name, source in sources.items()}
        leading = {name: found for name, look in looks.items() if (found := _led(look, addresses))}
        silent = [f"{name}: {fault}" for name, look in looks.items() for fault in look.faults]
        at = now()
        if leading and at - started > GONE_SECONDS:
            told = "; ".join(f"{name} answers {', '.join(found)}" for name, found in leading.items())
            raise SpillwayError(f"after {GONE_SECONDS:.0f} s the name servers still lead there: {told}")
        if leading:
            clean = None  # a small weight shows in some answers only
            say(f"still answered: {', '.join(leading)}")
            waiter.wait(LOOK_SECONDS)
            continue
        if silent and at - started > GONE_SECONDS + ttl_seconds:
            raise SpillwayError(f"not every name server could be asked: {'; '.join(silent)}")
        clean = at if clean is None else clean
        left = clean + ttl_seconds - at
        if left <= 0 and not silent:
            return at - started
        say(silent[0] if silent else f"no name leads there; clients may remember it for {left:.0f} s more")
        waiter.wait(LOOK_SECONDS if silent else min(LOOK_SECONDS, left))


def _led(look: Look, addresses: Sequence[str]) -> list[str]:
    """Which of the addresses are among the answers."""
    return sorted({address for answer in look.answers for address in answer} & set(addresses))


def drain(
    member: Annotated[str, typer.Argument(help="The member, or its region stack, such as aws-us-east-1.")],
    command: Annotated[
        list[str] | None, typer.Argument(help="After --: what to run once nobody is sent there any more.")
    ] = None,
    stack: Annotated[str, typer.Option(help="The global stack.")] = "global",
    sandbox: Annotated[bool, typer.Option("--sandbox", help="Ask the stand-in clouds.")] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Wait until nobody is sent to a drained member.

    Then run the command behind --.

    First write `drain: true` at the member in the global stack's file and bring that stack up.
    Example: spillway dns drain aws-us-east-1 -- pulumi destroy --stack aws-us-east-1 --ignore-protect
    With --sandbox the command runs in the sandbox, as with `spillway sandbox run`.
    """
    from rich.console import Console

    from spillway.dns_watch import sources

    if command and json_:
        raise SpillwayError("--json goes without a command: both would write to standard output")
    launch = _launch(command, sandbox=sandbox) if command else None
    name = member_of(stack, member, Path.cwd())
    outputs = outputs_of(stack, sandbox=sandbox)
    check_outputs(name, stack, outputs)
    watched = parse(outputs, f"outputs of {stack}")
    addresses = watched.members[name].addresses if name in watched.members else ()
    ttl = ttl_of(outputs, stack)
    with Console(stderr=True).status(f"{name}: asking the name servers") as status:
        asked = sources(watched, sandbox=sandbox)
        seconds = wait_until_gone(asked, addresses, ttl, lambda text: status.update(f"{name}: {text}"))
    done = Drained(name, addresses, tuple(asked), ttl, round(seconds, 1))
    if json_:
        typer.echo(json.dumps(done.describe(), indent=2))
    else:
        names = ", ".join(asked)
        typer.echo(f"{name}: drained. {names} lead elsewhere, and what clients remembered is over ({seconds:.0f} s)")
    if launch is not None:
        os.execve(*launch)


def _launch(command: Sequence[str], *, sandbox: bool) -> tuple[str, list[str], dict[str, str]]:
    """(program, arguments, environment), found before anything is waited for: in the sandbox where that was asked, so
    that what was drained there is what is destroyed; otherwise with the engine's `pulumi` on PATH."""
    from rich.console import Console

    from spillway.engine import ensure_engine

    engine = ensure_engine(Console(stderr=True))
    if sandbox:
        from sandbox.clouds import sandbox_dir
        from sandbox.project import Project, command_line

        return command_line(command, Project(sandbox_dir()), engine)
    environment = engine.environment(os.environ)
    program = shutil.which(command[0], path=environment["PATH"])
    if program is None:
        raise SpillwayError(f"{command[0]}: no such command")
    return program, list(command), environment
