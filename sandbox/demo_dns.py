"""The second half of `make demo`: a region goes down and comes back, and clients follow whoever is ready.

On a virtual clock, and said so: checkers, zone and clients are played event by event over the records and checks that
the global stack deployed. What the failover budget computed before stands beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from sandbox.dns.probe import Event
from sandbox.dns.rehearse import Rehearsal, Spread, take_down

FAILURE: Final = "blackhole"
CLIENTS: Final = 100
RUNS: Final = 20


def fail_over(console: Console, directory: Path, outputs: Mapping[str, Any]) -> None:
    """Take down the first choice of the first service, bring it back, and show what moved and how fast."""
    service, plan = next(iter(sorted(outputs["services"].items(), key=lambda item: item[1]["residency"] is not None)))
    first = plan["tiers"][0][0]
    members = outputs["members"]
    region = members[first]["region"]
    played = take_down(
        directory,
        region,
        FAILURE,
        service=service,
        client_region=region,
        members={name: member["addresses"] for name, member in members.items()},
        clients=CLIENTS,
        runs=RUNS,
    )
    console.print(f"\n[bold]{first} goes dark, and comes back[/bold] [dim](simulated, on a virtual clock)[/dim]")
    console.print(f"{service}: {' > '.join(' + '.join(tier) for tier in plan['tiers'])}", highlight=False)
    _log(console, played)
    _beside(console, played, outputs["budget"])


def present(console: Console, outputs: Mapping[str, Any]) -> None:
    """The global stack: who answers for which name, and where the zone is."""
    console.print("\n[bold]global[/bold]")
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, service in outputs["services"].items():
        limit = f", only {service['residency']}" if service["residency"] else ""
        tiers = " > ".join(" + ".join(tier) for tier in service["tiers"])
        table.add_row(name, f"{service['policy']}{limit}: {tiers}")
    for name, member in outputs["members"].items():
        table.add_row(name, f"{', '.join(member['addresses'])} ({member['cloud']}, {member['residency']})")
    if outputs["planned"]:
        table.add_row("planned", ", ".join(outputs["planned"]))
    table.add_row("name servers", ", ".join(outputs["nameServers"]))
    console.print(table)


def _log(console: Console, played: Rehearsal) -> None:
    """The first run's events: every check, answer and client, and of the probes the first and the last of each kind."""
    styles = {"weather": "bold", "answer": "green", "client": "cyan"}
    probes = [event for event in played.events if event.what == "probes"]
    shown = {id(found[place]) for found in _by_text(probes).values() for place in (0, -1)}
    for event in played.events:
        if (event.what == "probes" and id(event) not in shown) or (event.what == "answer" and event.at == 0):
            continue  # the first answer is where it led before
        line = f"{event.at:7.1f} s  {event.what:<8} {event.subject}: {event.text}"
        console.print(line, style=styles.get(event.what, "dim"), highlight=False, markup=False, soft_wrap=True)


def _by_text(events: Sequence[Event]) -> dict[str, list[Event]]:
    found: dict[str, list[Event]] = {}
    for event in events:
        found.setdefault(event.text, []).append(event)
    return found


def _beside(console: Console, played: Rehearsal, budget: Mapping[str, Any]) -> None:
    computed = budget["failures"][FAILURE]
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    for column in ("seconds, computed | simulated", "median", "p95", "worst"):
        table.add_column(column, justify="left" if "|" in column else "right", no_wrap=True)
    rows: tuple[tuple[str, Mapping[str, float], Spread | None], ...] = (
        ("until the answer changes", computed["detection"], played.detected),
        ("until a client is elsewhere", computed["total"], played.away),
    )
    for name, values, spread in rows:
        cells = [f"{values[c]:.1f} | {getattr(spread, c):.1f}" if spread else "-" for c in ("median", "p95", "worst")]
        table.add_row(name, *cells)
    console.print()
    console.print(table)
    told = [
        f"{played.runs} simulated failures, {played.clients} clients each; a client asks again up to 1 s after its",
        "answer expired, which the budget leaves out.",
        f"Promised: {computed['p95PlusTtl']:.1f} s; objective: {budget['objectiveSeconds']} s.",
    ]
    if played.back:
        told.append(f"In use again {played.back.p95:.0f} s after its return (p95).")
    console.print("\n".join([told[0], " ".join(told[1:])]), style="dim", highlight=False, soft_wrap=True)
