"""What `spillway dns budget` prints: tables, a curve, and what is assumed. 80 columns, with and without colour."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from textwrap import wrap
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from infra.dns import budget as model
from infra.dns.checkers import FAILURE_WORDS, Failure

WIDTH: Final = 80
CELLS: Final = 60
ROWS: Final = 5
STEPS: Final = (0.25, 0.5, 1, 2, 3, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600)
"""Seconds per column of the picture."""
BLOCKS: Final = " ▁▂▃▄▅▆▇█"
ASCII: Final = " .:-=+*%#"
LEGEND: Final = (
    "Noticed: the provider answers otherwise. TTL left: a client's old answer. Moved: both, over failures and clients. "
    "p95 + TTL: all clients, in 95 of 100 failures. "
    f"Silent (blackhole): {FAILURE_WORDS['blackhole']}; hangs: {FAILURE_WORDS['hang']}."
)
LABELS: Final[dict[Failure, str]] = {
    "refused": "refused",
    "error": "5xx",
    "blackhole": "silent",
    "hang": "hangs",
}


class Signs:
    """Block characters and marks, or ASCII where the terminal's encoding has no others."""

    def __init__(self, console: Console) -> None:
        try:
            f"{BLOCKS}✓✗▲─".encode(console.encoding)
            self.fancy = True
        except (LookupError, UnicodeEncodeError):
            self.fancy = False
        self.blocks = BLOCKS if self.fancy else ASCII
        self.yes, self.no, self.mark = ("✓", "✗", "▲") if self.fancy else ("ok", "!!", "^")
        self.line, self.side, self.dot = ("─", "│", "•") if self.fancy else ("-", "|", "*")

    def verdict(self, met: bool) -> str:
        return self.yes if met else self.no


def show(
    found: model.Budget,
    objective: float,
    origin: str,
    simulated: Mapping[Failure, model.Distribution],
    failures: int,
    seed: int,
    compared: Sequence[model.Compared],
) -> None:
    """Prints everything; `compared` may be empty."""
    console = Console(highlight=False)
    console.width = max(WIDTH, min(console.width, 100)) if console.is_terminal else WIDTH
    signs = Signs(console)
    console.print(Text(f"Failover budget: {title(found.settings)}", style="bold"))
    console.print(Text(f"from {origin}; all figures in seconds after the failure", style="dim"))
    console.print()
    console.print(_table(found, objective, signs))
    console.print(Text(LEGEND, style="dim"))
    console.print(_simulated(found, simulated, failures, seed))
    console.print()
    console.print(verdict(found, objective, signs))
    console.print()
    for line in picture(found, objective, signs):
        console.print(line, soft_wrap=True)
    console.print()
    if compared:
        console.print(_comparison(compared, objective, signs))
        told = "At their fastest with two failures in a row and one address, where nothing else is said. "
        told += "Cloud DNS is not offered: it checks public addresses every 30 s at best."
        console.print(Text(told, style="dim"))
        console.print()
    for line in _notes(found, signs):
        console.print(line, soft_wrap=True)


def title(settings: model.CheckSettings) -> str:
    """`Route 53, every 10 s, 2 failures in a row, TTL 10 s`."""
    parts = [model.NAMES[settings.provider]]
    if settings.provider == "cloudflare":
        parts[0] += f" ({settings.plan})" if settings.plan else ""
        parts.append("proxied" if settings.proxied else "DNS only")
        parts += ["failover across pools"] if settings.failover_across_pools else []
    rows = "1 failure" if settings.threshold == 1 else f"{settings.threshold} failures in a row"
    parts += [f"every {settings.interval_seconds:g} s", rows]
    parts += [] if settings.provider == "route53" else [f"timeout {settings.timeout:g} s"]
    parts += [] if settings.proxied else [f"TTL {settings.ttl_seconds:g} s"]
    parts += [f"{settings.addresses} addresses"] if settings.addresses > 1 else []
    return ", ".join(parts)


def verdict(found: model.Budget, objective: float, signs: Signs) -> Text:
    """One sentence: whether a silent member is left in time."""
    promise, met = found.promise, found.meets(objective)
    told = f"{signs.verdict(met)} objective {objective:g} s is {'met' if met else 'missed'}: "
    told += f"in 95 of 100 silent failures all clients have moved after {promise:.1f} s"
    if found.settings.cache_seconds:
        row = found.row("blackhole")
        told += f" (p95 {row.detection.p95:.1f} + TTL {row.propagation.worst:g})"
    text = Text(told, style="bold green" if met else "bold red")
    if not met:
        for fault in model.faults(found.settings, objective):
            _, _, advice = fault.allowed.partition("; ")
            text.append(f"\n  {advice}" if advice else "", style="not bold")
    return text


def _table(found: model.Budget, objective: float, signs: Signs) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="dim")
    table.add_column("\nfailure", no_wrap=True)
    for head, names in (
        ("noticed", ("median", "p95", "worst")),
        ("TTL left", ("median", "p95", "worst")),
        ("moved", ("median", "p95", "worst")),
    ):
        for number, name in enumerate(names):
            table.add_column(f"{head if not number else ''}\n{name}", justify="right", no_wrap=True, min_width=6)
    table.add_column("p95 +\nTTL", justify="right", no_wrap=True)
    for row in found.rows:
        cells = [
            f"{getattr(part, name):.1f}"
            for part in (row.detection, row.propagation, row.total)
            for name in ("median", "p95", "worst")
        ]
        decides = row.failure == "blackhole"
        style = "bold" if decides else ""
        promised = Text(f"{row.promise:.1f}", style=("green" if row.promise <= objective else "red") if decides else "")
        table.add_row(LABELS[row.failure], *cells, promised, style=style)
    return table


def _simulated(found: model.Budget, simulated: Mapping[Failure, model.Distribution], failures: int, seed: int) -> Text:
    """The simulation's p95 beside the computed one, and the largest difference."""
    gap = max(abs(simulated[row.failure].p95 - row.detection.p95) for row in found.rows)
    values = ", ".join(f"{LABELS[name]} {values.p95:.1f}" for name, values in simulated.items())
    told = f"Simulated, {failures:,} failures of each kind (seed {seed}): p95 noticed {values}; "
    return Text(f"{told}{gap:.2f} s from the computed at most.", style="dim")


# --- the picture


def picture(found: model.Budget, objective: float, signs: Signs) -> Iterator[Text]:
    """Share of clients that have moved over time: tall for a silent member, which decides, one line for the others."""
    longest = max([objective, *(row.total.worst for row in found.rows)])
    step = next((step for step in STEPS if step * CELLS >= longest), longest / CELLS)
    curves = {row.failure: _curve(found.settings, row.failure, step) for row in found.rows}
    yield Text("Clients that have moved", style="bold") + Text(
        f" (one column is {step:g} s)" if step != 1 else " (one column is a second)", style="dim"
    )
    tall = curves["blackhole"]
    for row in range(ROWS - 1, -1, -1):
        share = {ROWS - 1: "100 %", ROWS // 2: " 50 %"}.get(row, "")
        cells = "".join(_block(value * ROWS - row, signs) for value in tall)
        label = LABELS["blackhole"] if row == ROWS // 2 else ""
        yield Text(f"{label:<8}{share:>5} {signs.side}") + Text(cells, style="cyan")
    for failure in model.FAILURES:
        if failure != "blackhole":
            cells = "".join(_block(value, signs) for value in curves[failure])
            yield Text(f"{LABELS[failure]:<13} {signs.side}") + Text(cells, style="cyan")
    yield from _axis(step, objective, signs)


def _curve(settings: model.CheckSettings, failure: Failure, step: float) -> list[float]:
    """The share that has moved in the middle of each column's time."""
    return [model.moved(settings, failure, (cell + 0.5) * step) for cell in range(CELLS)]


def _block(share: float, signs: Signs) -> str:
    """A column of the height of `share` (0 to 1, beyond either end cut off); full only when all have moved."""
    levels = len(signs.blocks) - 1
    if share >= 1:
        return signs.blocks[levels]
    return signs.blocks[max(0, min(levels - 1, round(share * levels)))]


def _axis(step: float, objective: float, signs: Signs) -> Iterator[Text]:
    ticks, numbers = [signs.line] * CELLS, [" "] * (CELLS + 6)
    for cell in range(0, CELLS + 1, 10):
        label = f"{cell * step:g}"
        start = max(0, cell - len(label) // 2)
        numbers[start : start + len(label)] = label
    yield Text(f"{'':<13} {'└' if signs.fancy else '+'}{''.join(ticks)}", style="dim")
    yield Text(f"{'':<14} {''.join(numbers).rstrip()} s", style="dim")
    at = min(CELLS, round(objective / step))
    told = f"objective {objective:g} s"
    text = f"{told} {signs.mark}" if at > len(told) else f"{' ' * at}{signs.mark} {told}"
    yield Text(" " * 15 + (text.rjust(at + 1) if at > len(told) else text), style="yellow")


# --- beside each other


def _comparison(compared: Sequence[model.Compared], objective: float, signs: Signs) -> Table:
    head = "Beside each other: p95 until noticed, TTL, and both for a silent member"
    table = Table(
        box=None,
        padding=(0, 1, 0, 0),
        pad_edge=False,
        header_style="dim",
        title=head,
        title_justify="left",
        title_style="bold",
    )
    for name in ("provider", "checks"):
        table.add_column(name, no_wrap=True)
    for name in (*LABELS.values(), "TTL", "total"):
        table.add_column(name, justify="right", no_wrap=True, min_width=4)
    table.add_column("", no_wrap=True)
    for entry in compared:
        settings, found = entry.budget.settings, entry.budget
        checks = f"{settings.interval_seconds:g} s x {settings.threshold}"
        if settings.provider != "route53":
            checks += f", {settings.timeout:g} s" + (f" x {settings.retries + 1}" if settings.retries else "")
        met = found.meets(objective)
        table.add_row(
            f"  {entry.variant}" if entry.variant else entry.name,
            checks,
            *(f"{row.detection.p95:.1f}" for row in found.rows),
            f"{settings.cache_seconds:g}" if not settings.proxied else "none",
            f"{found.promise:.1f}",
            Text(signs.verdict(met), style="green" if met else "red"),
        )
    return table


# --- what is assumed


def _notes(found: model.Budget, signs: Signs) -> Iterator[Text]:
    """Assumptions with the rows they concern, what no setting changes, and what is documented where."""
    yield Text("Assumed, since it is not published", style="bold")
    yield from _sentences(found, {row.failure: row.assumed for row in found.rows}, signs)
    yield Text("Not in these figures", style="bold")
    if not found.settings.proxied:
        yield from _point("clients and resolvers that keep answers for longer than the TTL", signs)
    yield from _point("connections that are open: they stay until the balancer or the client closes them", signs)
    yield Text("Documented", style="bold")
    yield from _sentences(found, {row.failure: row.documented for row in found.rows}, signs)
    for source in found.sources:
        yield Text(f"{signs.dot} {source}", style="dim")


def _sentences(found: model.Budget, told: Mapping[Failure, Sequence[str]], signs: Signs) -> Iterator[Text]:
    """Each sentence once, after the labels of the failures that it concerns where it is not all of them."""
    rows: dict[str, list[str]] = {}
    for failure, sentences in told.items():
        for sentence in sentences:
            rows.setdefault(sentence, []).append(LABELS[failure])
    for sentence, names in rows.items():
        whom = "" if len(names) == len(found.rows) else f"{', '.join(names)}: "
        yield from _point(f"{whom}{sentence}", signs)


def _point(sentence: str, signs: Signs) -> Iterator[Text]:
    for number, line in enumerate(wrap(sentence, WIDTH - 2)):
        yield Text(f"{'  ' if number else signs.dot + ' '}{line}")
