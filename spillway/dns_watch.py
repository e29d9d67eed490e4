"""`spillway dns watch`: which member answers for a service now, and how each of them is."""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol

import typer

from infra.faults import shown
from spillway.dns_members import Member, Watched, from_file, from_stack
from spillway.dns_tally import Look, Tally, percent
from spillway.errors import SpillwayError

if TYPE_CHECKING:
    from rich.console import RenderableType

DEFAULT_STACK = "global"
MEMBERS_HELP = (
    "JSON file instead of the stack's outputs: what `pulumi stack output --json` prints for it, or only the members, "
    '{"NAME": {"addresses": ["192.0.2.1"]}}; optional are port (443), healthPath (/readyz), cloud, region.'
)
STAND_IN_ANSWERS = 1000
"""Questions to the stand-in in each round, which take some milliseconds: all of them miss a share of 2 % twice in a
thousand million rounds."""
REAL_ANSWERS = 4
"""Questions to each name server of a real zone in each round: weighted records answer differently each time."""


class Source(Protocol):
    """Where answers come from."""

    @property
    def provider(self) -> str: ...
    @property
    def where(self) -> str: ...
    @property
    def servers(self) -> Sequence[str]: ...
    def look(self) -> Look: ...
    def wait(self, seconds: float) -> None: ...


# --- where answers come from ---


class RealZone:
    """A zone on the Internet, asked at its own name servers; members asked at their health path."""

    def __init__(self, service: str, watched: Watched, name_servers: Sequence[str]) -> None:
        from spillway.dns_ask import Asker

        self._service, self._members = service, watched.of(service)
        self._asker = Asker(name_servers or watched.name_servers)
        self.provider = watched.provider
        self.servers = [server.name for server in self._asker.servers(service)]
        self.where = f"asked at {', '.join(self.servers)}"

    def look(self) -> Look:
        from spillway.dns_ask import probe_all

        heard = self._asker.ask(self._service, REAL_ANSWERS)
        targets = [(a, m.port, m.health_path) for m in self._members for a in m.addresses]
        health = probe_all(targets, self._service)
        ttls = [h.ttl for h in heard if h.ttl is not None]
        faults = [f"{h.server}: {h.fault}" for h in heard if h.fault]
        faults += [f"{h.server}: {h.rcode}" for h in heard if not h.fault and not h.addresses]
        answers = [h.addresses for h in heard if h.addresses]
        return Look(time.time(), answers, max(ttls, default=None), health, faults=list(dict.fromkeys(faults)))

    def wait(self, seconds: float) -> None:
        time.sleep(seconds)


class StandIn:
    """The zone of the stand-in clouds, with its health checkers on the wall clock."""

    def __init__(self, directory: Path, service: str, watched: Watched, client_region: str) -> None:
        from sandbox.dns.running import Running

        self._service, self._region, self._members = service, client_region, watched.of(service)
        self._running = Running(directory, watched.provider or None)
        self.provider = watched.provider or str(self._running.authority.provider(service) or "")
        zone = self._running.authority.zone_of(service)
        self.servers: Sequence[str] = zone.name_servers if zone else ()
        self.where = f"stand-in clouds, clients in {client_region}"

    def look(self) -> Look:
        self._running.refresh()
        self._running.clock.catch_up()  # several are looked at in turns, and only one of them is waited on
        authority, live = self._running.authority, self._running.live
        answers = [authority.answer(self._service, "A", self._region) for _ in range(STAND_IN_ANSWERS)]
        found = [a.addresses for a in answers if a.addresses]
        addresses = [a for m in self._members for a in m.addresses]
        words = {"up": "ready", "error": "answers 503", "blackhole": "silent", "refused": "refused", "slow": "slow"}
        health = {a: words[live.behaviour(a)] for a in addresses}
        said = {a: authority.verdict(a) for a in addresses}
        faults = [] if found else [f"{self._service}: {answers[0].rcode}, no address"]
        faults += [live.fault] if live.fault else []
        checked = {a: healthy for a, healthy in said.items() if healthy is not None}
        path = [f"{step.name}: {step.chosen} ({step.why})" for step in answers[0].steps]
        return Look(time.time(), found, answers[0].lifetime if found else None, health, checked, faults, path)

    def wait(self, seconds: float) -> None:
        self._running.clock.run_until(self._running.clock.now + seconds)


def sources(watched: Watched, *, sandbox: bool, client_region: str = "us-east-1") -> dict[str, Source]:
    """Where to ask for each service of a global stack, by its name. Raises SpillwayError when nobody can be asked."""
    if not sandbox:
        return {name: RealZone(name, watched, ()) for name in watched.services}
    from sandbox.clouds import sandbox_dir

    return {name: StandIn(sandbox_dir(), name, watched, client_region) for name in watched.services}


def stand_in_members(directory: Path) -> Watched:
    """Members of a stand-in zone that no global stack describes: the stacks that hold addresses, and single addresses
    that are only checked."""
    from sandbox.dns.authority import Authority, Snapshot
    from sandbox.dns.clock import Clock
    from sandbox.dns.health import Scripted

    snapshot = Snapshot.load(directory)
    found: dict[str, list[str]] = {}
    authority = Authority(snapshot, Clock(), Scripted(snapshot.held))
    for address in dict.fromkeys([*snapshot.holders, *authority.checked()]):
        holder = snapshot.holders.get(address)
        found.setdefault(holder.stack if holder and holder.stack else address, []).append(address)
    regions = {holder.stack: holder.region for holder in snapshot.holders.values()}
    clouds = {holder.stack: holder.cloud for holder in snapshot.holders.values()}
    members = {n: Member(n, tuple(a), clouds.get(n, ""), regions.get(n, "")) for n, a in found.items()}
    return Watched(dict.fromkeys(authority.services(), ()), members)


# --- what is shown ---


def describe(service: str, source: Source, tally: Tally, look: Look) -> dict[str, Any]:
    """One round as plain data."""
    return {
        "service": service,
        "at": _stamp(look.at),
        "provider": source.provider,
        "nameServers": list(source.servers),
        "ttl": tally.ttl,
        "answers": tally.count,
        "members": [
            {
                "name": row.name,
                "cloud": row.cloud,
                "region": row.region,
                "addresses": list(row.addresses),
                "share": round(row.share, 4),
                "health": row.health or None,
                "checked": row.checked or None,
                "since": _stamp(row.since) if row.since is not None else None,
                "drained": row.drained,
            }
            for row in tally.rows()
        ],
        "path": list(look.path),
        "faults": list(look.faults),
    }


def _stamp(at: float) -> str:
    return datetime.fromtimestamp(at).astimezone().isoformat(timespec="seconds")


def table(service: str, source: Source, tally: Tally, look: Look, said: Sequence[str]) -> RenderableType:
    """The picture in a terminal."""
    from rich.console import Group
    from rich.markup import escape
    from rich.table import Table
    from rich.text import Text

    head = (
        f"[bold]{escape(service)}[/bold]  {escape(source.provider or 'DNS')}, TTL {tally.ttl or '-'} s, {source.where}"
    )
    grid = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for title in ("member", "region", "says", "checks say", f"share of {tally.count}", "since"):
        grid.add_column(title, no_wrap=True, style="dim" if title in ("region", "since") else "")
    for row in tally.rows():
        style = "green" if row.health == "ready" else "red" if row.health else ""
        opinion = "red" if row.checked and row.checked != "healthy" else ""
        since = datetime.fromtimestamp(row.since).strftime("%H:%M:%S") if row.since else ""
        share = Text(f"{percent(row.share):>4} ").append("█" * round(row.share * 10), style="cyan")
        if row.drained:  # and no name leads there, once every name server knows
            share = Text("drained", style="dim") if not row.share else Text("drained, still ").append_text(share)
        grid.add_row(
            Text(row.name, style="bold" if row.share else ""), row.region, Text(row.health, style=style),
            Text(row.checked, style=opinion), share, since,
        )  # fmt: skip
    lines = [Text(line, style="dim") for line in said]
    lines += [Text(fault, style="yellow") for fault in look.faults]
    return Group(Text.from_markup(head), Text(), grid, *([Text(), *lines] if lines else []))


def watching(source: Source, tally: Tally, interval: float, rounds: int | None) -> Iterator[tuple[Look, list[str]]]:
    """Round after round; ends after `rounds` of them, otherwise never."""
    done = 0
    while True:
        look = source.look()
        yield look, tally.add(look)
        done += 1
        if rounds is not None and done >= rounds:
            return
        source.wait(interval)


def _show_lines(
    service: str, rounds: Iterator[tuple[Look, list[str]]], tally: Tally, say: Callable[[str], None]
) -> None:
    """For what is not a terminal: a line for each change."""
    before: tuple[str, ...] = ()
    faults: Sequence[str] = ()
    for look, changes in rounds:
        clock = datetime.fromtimestamp(look.at).strftime("%H:%M:%S")
        for row in tally.rows() if tally.rounds == 1 else ():
            if row.drained:
                say(f"{clock} {service}: {row.name}: drained, {row.health or 'not asked'}")
        leading = tuple(row.name for row in tally.rows() if row.share > 0)
        for line in changes:
            say(f"{clock} {service}: {line}")
        if leading != before:
            say(f"{clock} {service} -> {tally.leads()} (TTL {tally.ttl or '-'} s)")
            before = leading
        if list(look.faults) != list(faults):
            for fault in look.faults:
                say(f"{clock} {fault}")
            faults = look.faults


def _show_live(service: str, rounds: Iterator[tuple[Look, list[str]]], source: Source, tally: Tally) -> None:
    from rich.console import Console
    from rich.live import Live as Screen

    said: deque[str] = deque(maxlen=6)
    with Screen(console=Console(), auto_refresh=False, transient=False) as screen:
        for look, changes in rounds:
            clock = datetime.fromtimestamp(look.at).strftime("%H:%M:%S")
            said.extend(f"{clock} {line}" for line in changes)
            screen.update(table(service, source, tally, look, said), refresh=True)


# --- the command ---


def watch(
    service: Annotated[str | None, typer.Argument(help="The service's name; not needed when there is one.")] = None,
    stack: Annotated[str, typer.Option(help="The global stack, whose outputs name services and members.")] = (
        DEFAULT_STACK
    ),
    sandbox: Annotated[bool, typer.Option("--sandbox", help="Watch the zone of the stand-in clouds.")] = False,
    client_region: Annotated[
        str | None, typer.Option(help="With --sandbox: the AWS region where clients are (default: us-east-1).")
    ] = None,
    interval: Annotated[float, typer.Option(help="Seconds between two rounds.", min=0.2, max=3600)] = 2.0,
    members: Annotated[Path | None, typer.Option(help=MEMBERS_HELP, metavar="FILE", dir_okay=False)] = None,
    name_server: Annotated[
        list[str] | None,
        typer.Option(
            help="Ask this name server instead of the zone's own: a name or an address, host:port for another port "
            "than 53. May be repeated.",
            metavar="HOST",
        ),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="One round, then stop.")] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print a JSON object per round.")] = False,
) -> None:
    """Show who answers for a service now, and how each member is.

    Since when and with what share, and drained members too, which are only checked. Asks every name server of the
    zone itself, and each member at its health path, by address. With --sandbox the stand-in's own zone and health
    checkers, so that `spillway sandbox weather down` shows here. Ends with Ctrl-C. With --once the exit code is 1
    when nobody answered.
    """
    import sys

    if sandbox and name_server:
        raise SpillwayError("--name-server: not with --sandbox, whose zone no name server holds")
    if client_region is not None and not sandbox:
        raise SpillwayError("--client-region: only with --sandbox; a real zone answers for where you ask from")
    _check_name_servers(name_server or ())
    try:
        name, source, tally = _prepared(service, stack, sandbox, client_region or "us-east-1", members, name_server)
        rounds = watching(source, tally, interval, 1 if once else None)
        if json_:
            for look, _ in rounds:
                typer.echo(json.dumps(describe(name, source, tally, look), indent=2 if once else None))
        elif sys.stdout.isatty() and not once:
            _show_live(name, rounds, source, tally)
        elif once:
            from rich.console import Console

            look, _ = next(rounds)
            Console().print(table(name, source, tally, look, [*look.path]))
        else:
            _show_lines(name, rounds, tally, typer.echo)
    except KeyboardInterrupt:
        return
    if once and not tally.count:
        raise typer.Exit(1)


def _check_name_servers(given: Sequence[str]) -> None:
    if not given:
        return
    from spillway.dns_ask import host_and_port

    for text in given:
        if host_and_port(text) is None:
            raise SpillwayError(
                f"--name-server = {shown(text)}: has to be a name or an address, or host:port ([address]:port for IPv6)"
            )


def _known(members: Path | None, stack: str) -> Watched:
    """Who may answer in a real zone. Raises SpillwayError; where the engine has no login, with what does without."""
    if members:
        return from_file(members)
    try:
        return from_stack(stack, sandbox=False)
    except SpillwayError as error:
        first, *others = error.lines
        if "login" not in first and "PULUMI_ACCESS_TOKEN" not in first:
            raise
        raise SpillwayError(f"{first}: `pulumi login`, or watch with --sandbox or --members FILE", *others) from None


def _prepared(
    service: str | None,
    stack: str,
    sandbox: bool,
    client_region: str,
    members: Path | None,
    name_server: Sequence[str] | None,
) -> tuple[str, Source, Tally]:
    if not sandbox:
        known = _known(members, stack)
        name = known.pick(service, ())
        real = RealZone(name, known, tuple(name_server or ()))
        return name, real, Tally(known.of(name))
    from sandbox.clouds import sandbox_dir
    from sandbox.dns.geography import check_region

    directory = sandbox_dir()
    check_region("--client-region", client_region)
    found = stand_in_members(directory)
    if members:
        known = from_file(members)
    elif _deployed(directory, stack):
        known = from_stack(stack, sandbox=True)
    elif stack != DEFAULT_STACK:
        raise SpillwayError(f"--stack {stack}: no such stack in the sandbox")
    else:  # somebody's own program made the zone
        known = found
    name = known.pick(service, found.services)
    if name not in found.services and name not in known.services:
        raise SpillwayError(f"{name}: the stand-in clouds hold no such name; bring the stack {stack} up first")
    return name, StandIn(directory, name, known, client_region), Tally(known.of(name))


def _deployed(directory: Path, stack: str) -> bool:
    from sandbox.project import Project

    return directory.exists() and Project(directory).has_stack(stack)
