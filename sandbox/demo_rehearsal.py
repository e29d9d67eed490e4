"""The last part of `make demo`: a week of recorded spot capacity against what was deployed.

Short: regions alone, no clients. `spillway rehearse` plays all of it, with a report.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from rich.console import Console

SCENARIO: Final = "normal-fortnight"
DAYS: Final = 7


def present(console: Console, directory: Path) -> None:
    """What the deployed stacks buy in a week: with each region's own fallback alone, and with the keeper."""
    from dataclasses import replace

    from rehearsal import scenario
    from rehearsal.fleet import load_sandbox
    from rehearsal.progress import Bar
    from rehearsal.rehearse import DEFAULT, rehearse
    from spillway.rehearse_cli import notes, short_table

    loaded = scenario.load(SCENARIO)
    short = loaded.scenario.model_copy(update={"days": float(DAYS), "load": None})
    with Bar("Rehearsal", len(DEFAULT)) as bar:
        found = rehearse(load_sandbox(directory), replace(loaded, scenario=short), progress=bar.step, part=bar.part)
    console.print(f"\n[bold]A week of recorded spot capacity[/bold] [dim](simulated; {', '.join(found.fleet)})[/dim]")
    console.print(short_table(found))
    for line in notes(found):
        console.print(line, style="dim", highlight=False, markup=False, soft_wrap=True)
