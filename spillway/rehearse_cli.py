"""`spillway rehearse`: recorded shortages, outages and load against what the stacks contain."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from infra.faults import did_you_mean, listed
from spillway.errors import WrongUsage
from spillway.options import Json
from spillway.outputs import foreseen

if TYPE_CHECKING:
    from rich.table import Table

    from rehearsal.fleet import Fleet
    from rehearsal.rehearse import Variants
    from rehearsal.result import Rehearsal, Variant

FOLDER: Final = Path("stacks")
OUT: Final = Path("build/rehearsal")
ALL: Final = "all"
FEW: Final = 4
"""So many files are no longer named one by one."""
MONTH_HOURS: Final = 730.0


def rehearse(
    scenario: Annotated[
        str, typer.Option("--scenario", help="A shipped scenario (--list tells them) or a YAML file.")
    ] = "normal-fortnight",
    stacks: Annotated[
        list[Path] | None,
        typer.Option(
            "--stacks",
            help="A folder of stack files, a sandbox, or exported stacks and plans (may be repeated). Left out: the "
            "sandbox where something is deployed in it, else stacks/.",
        ),
    ] = None,
    world: Annotated[str | None, typer.Option(help="The global stack, where there are several.")] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for report.html, report.md and report.json. Left out: build/rehearsal/<scenario>."),
    ] = None,
    variants: Annotated[
        str, typer.Option(help="deployed, keeper, changes: separated by commas; or all.")
    ] = "deployed,keeper",
    repeat: Annotated[
        int | None,
        typer.Option(
            min=0, max=100_000, help="Further plays over days drawn at random, for the spread of each figure."
        ),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, max=2**31 - 1, help="Of everything random; else the scenario's.")
    ] = None,
    json_: Json = False,
    list_: Annotated[bool, typer.Option("--list", help="Tell the shipped scenarios.")] = False,
) -> None:
    """Play weeks of recorded spot capacity, outages and load against the stacks, in seconds.

    Answers what availability and what cost today's stacks buy, with each region's own fallback alone and with the
    keeper; with --variants all also which change buys most. Nothing is deployed or changed.
    """
    from rehearsal import scenario as scenarios

    if list_:
        _tell_scenarios(json_)
        return
    wanted = _variants(variants)
    loaded = scenarios.load(Path(scenario) if scenario.endswith((".yaml", ".yml")) else scenario)
    folder = out or OUT / loaded.scenario.name
    foreseen("--out", folder)
    fleet, source = fleet_of(stacks, world)
    from rehearsal import report
    from rehearsal.progress import Bar
    from rehearsal.rehearse import rehearse as play
    from rehearsal.rehearse import steps

    runs = loaded.scenario.repeat if repeat is None else repeat
    with Bar("Rehearsal", steps(fleet, loaded, wanted, runs)) as bar:
        found = play(fleet, loaded, variants=wanted, repeat=repeat, seed=seed, progress=bar.step, part=bar.part)
    paths = report.write(found, folder)
    if json_:
        from rehearsal.report import document

        typer.echo(document.dumped(found).rstrip("\n"))
        return
    typer.echo(f"{found.title}: {found.shows}")
    typer.echo(
        f"{source}: {listed(found.fleet, 'and')}; {found.seconds / 86_400:g} days from {found.begin:%Y-%m-%d %H:%M} UTC"
    )
    tell(found)
    typer.echo("")
    for path in paths:
        typer.echo(str(path))


def fleet_of(stacks: Sequence[Path] | None, world: str | None = None) -> tuple[Fleet, str]:
    """The fleet, and where it is from, in words. Raises SpillwayError."""
    from rehearsal.fleet import load, load_sandbox, load_stack_files
    from rehearsal.fleet.sources import deployed
    from sandbox.clouds import sandbox_dir

    if stacks:
        named = listed(map(str, stacks), "and") if len(stacks) < FEW else f"{len(stacks)} files"
        return load(list(stacks), world), f"Stacks of {named}"
    here = sandbox_dir()
    if deployed(here):
        return load_sandbox(here, world), f"What the sandbox {here} holds (--stacks {FOLDER} for the stack files)"
    return load_stack_files(FOLDER, world_stack=world), f"Stack files of {FOLDER}/ (nothing is deployed in the sandbox)"


def tell(found: Rehearsal) -> None:
    """The figures as tables, and what they do not show."""
    from spillway.tables import show

    typer.echo("")
    show(variants_table(found))
    if (cheapest := found.variants[0].single_cheapest) is not None:
        where = found.variants[0].cheapest_region
        typer.echo(f"all on demand in {where}, the single cheapest region: {cheapest:,.0f} USD")
    if any(one.services for one in found.variants):
        typer.echo("")
        show(services_table(found))
    if found.repeated:
        typer.echo("")
        show(repeated_table(found))
        for line in differences(found):
            typer.echo(line)
    typer.echo("")
    for line in notes(found):
        typer.echo(line)


def variants_table(found: Rehearsal) -> Table:
    """A row for each variant; changes by what buys most."""
    from spillway.tables import add, plain

    table = plain(
        "", "availability", "below target", "longest", "none ready", "USD", "of on demand", "lost a day", "regret"
    )
    for one in ordered(found):
        serving, money = one.serving, one.money
        add(
            table,
            "",
            _name(one),
            f"{100 * serving.availability:.2f} %",
            f"{(1 - serving.availability) * MONTH_HOURS:.1f} h a month",
            _length(serving.longest),
            _length(serving.zero),
            f"{money.total:,.0f}",
            "-" if money.share is None else f"{100 * money.share:.0f} %",
            f"{one.preemptions_per_day:.1f}",
            "-" if one.regret is None or one.regret.regret is None else f"{100 * one.regret.regret:.0f} %",
        )
    return table


def short_table(found: Rehearsal) -> Table:
    """The same in a few columns."""
    from spillway.tables import add, plain

    table = plain("", "availability", "longest outage", "USD", "of all on demand")
    for one in ordered(found):
        share = "-" if one.money.share is None else f"{100 * one.money.share:.0f} %"
        cells = f"{100 * one.serving.availability:.2f} %", _length(one.serving.longest), f"{one.money.total:,.0f}"
        add(table, "", _name(one), *cells, share)
    return table


def services_table(found: Rehearsal) -> Table:
    """What clients met, in the variants that are no change."""
    from spillway.tables import add, plain

    loads = any(one.load for one in found.variants)
    more = ("requests", "served in time", "late", "failed", "p95 of queueing") if loads else ()
    table = plain("service", "", "clients at a member that answers", "switches", *more)
    for one in found.variants:
        if one.kind == "change":
            continue
        by_service = {load.service: load for load in one.load}
        for service in one.services:
            cells = [service.name, _name(one), f"{100 * service.reached:.3f} %", str(len(service.switches))]
            if loads and (load := by_service.get(service.name)) is not None and load.arrived:
                cells += [f"{load.arrived:,.0f}"]
                cells += [f"{100 * part / load.arrived:.3f} %" for part in (load.served, load.late, load.failed)]
                cells += [f"{load.ttft.get('p95', 0.0):.2f} s"]
            elif loads:
                cells += ["-"] * len(more)
            add(table, "", *cells)
    return table


def repeated_table(found: Rehearsal) -> Table:
    """The spread over plays of days drawn at random."""
    from spillway.tables import add, plain

    table = plain(f"{found.repeated[0].runs} plays of days at random", "P10", "P50", "P90")
    for one in found.repeated:
        for name, spread, scale, form in (
            ("availability, %", one.availability, 100, ".2f"),
            ("USD", one.usd, 1, ",.0f"),
            ("lost a day", one.preemptions_per_day, 1, ".1f"),
        ):
            cells = [format(scale * value, form) for value in (spread.p10, spread.p50, spread.p90)]
            add(table, "", f"{one.variant}: {name}", *cells)
    return table


def differences(found: Rehearsal) -> Iterator[str]:
    """The keeper against the deployed fleet over the same days, with 95 % intervals."""
    for one in found.repeated:
        gained, more = one.availability_gained, one.usd_more
        if gained is None or more is None:
            continue
        points = ", ".join(f"{100 * value:+.2f}" for value in (gained.low, gained.high))
        usd = ", ".join(f"{value:+,.0f}" for value in (more.low, more.high))
        yield (
            f"{one.variant} against the deployed fleet on the same days: {100 * gained.mean:+.2f} points of "
            f"availability [{points}], {more.mean:+,.0f} USD [{usd}]; more availability in {100 * gained.better:.0f} % "
            "of the plays"
        )


def notes(found: Rehearsal) -> Iterator[str]:
    """What is left out, assumed, mapped or made up."""
    for stack, why in found.left_out.items():
        yield f"{stack} is not played: {why}"
    for line in found.warnings:
        yield f"note: {line}"
    prices = [source for source in found.sources if source.what.startswith("prices of")]
    for source in prices:
        yield f"note: {source.what}: {source.name}"


def ordered(found: Rehearsal) -> list[Variant]:
    """The deployed fleet, the keeper, then changes by what buys most."""
    from rehearsal.changes import ranked

    ranks = {one.variant: number for number, one in enumerate(ranked(found.variants, found.seconds))}
    kinds = ("deployed", "keeper", "change")
    return sorted(found.variants, key=lambda one: (kinds.index(one.kind), ranks.get(one.name, 0)))


def _name(one: Variant) -> str:
    return {"deployed": "as deployed", "keeper": "with the keeper"}.get(one.kind, one.change)


def _length(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 36_000 else f"{seconds / 3600:.0f} h"


def _variants(text: str) -> tuple[Variants, ...]:
    from rehearsal.rehearse import VARIANTS

    names, known = [part.strip() for part in text.split(",")], (*VARIANTS, ALL)
    for name in names:
        if name not in known:
            raise WrongUsage(f"--variants: no {name!r}{did_you_mean(name, known)}; there are {listed(known, 'and')}")
    return tuple(one for one in VARIANTS if ALL in names or one in names)


def _tell_scenarios(as_json: bool) -> None:
    from rehearsal import scenario as scenarios
    from spillway.tables import add, plain, show

    rows = [scenarios.load(name).scenario for name in scenarios.shipped()]
    if as_json:
        typer.echo(json.dumps([{"name": one.name, "title": one.title, "shows": one.shows} for one in rows], indent=2))
        return
    table = plain("scenario", "shows")
    for one in rows:
        add(table, "", one.name, one.shows)
    show(table)
