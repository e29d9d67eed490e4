"""What `spillway catalog --storage` prints, and the same table in docs/storage.md.

python -m spillway.catalog_storage docs/storage.md     # writes the table anew, between its two markers
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any, Final

from infra import catalog, fit, parity
from infra.parity import Figure, Node, Staging

if TYPE_CHECKING:
    from infra.catalog import Machine
    from infra.config import RegionConfig

WIDTH: Final = 120
TEXTS: Final = 4
"""Columns that are text; the others are times and numbers."""
BEGIN: Final = "<!-- storage table: python -m spillway.catalog_storage docs/storage.md -->"
END: Final = "<!-- end of the storage table -->"
CLOUDS: Final = {"aws": "AWS", "azure": "Azure", "gcp": "Google Cloud", "tencent": "Tencent Cloud"}
BINDS: Final = {
    "network": "the machine's network",
    "machine's disk ceiling": "the machine's ceiling over all its disks",
    "local NVMe": "the local NVMe disks",
}
"""What binds, as a sentence says it; the rest names itself."""
SIGNS: Final = (
    "Sizes in GiB (scratch: GB), IOPS, MB/s (1e6 bytes); root and data each by itself. "
    "*: what the machine lets through over all its disks, less than the volume has. "
    "?: published nowhere that was found. "
    "≤: at most, as a ceiling of the machine is not published. "
    "≥: at least, as a limit on the way is not. "
    "no room: the weights and a tenth more do not fit on scratch. "
    "req.: parallel requests that the rate takes."
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One row: a node, and the copies of weights of several sizes to it, in order."""

    node: Node
    stagings: tuple[Staging, ...]


def entries(machines: Sequence[Machine], region: str | None = None, stack: RegionConfig | None = None) -> list[Entry]:
    """One for each machine type, in order; of a stack file with its own volumes, and with its own model at last."""
    sizes = [float(gb) for gb in parity.WEIGHTS_GB]
    if stack is not None:
        sizes.append(fit.checkpoint_bytes(stack.architecture, stack.model.dtype) / 1e9)
    found = []
    for machine in parity.in_order(machines):
        if stack is not None:
            one = parity.of_region(stack, machine)
        else:  # Premium SSD v2 is in zones only, and not of every region does anybody tell them
            zoned = machine.cloud != "azure" or region is None or bool(catalog.zones(machine.name, region))
            one = parity.node(machine, region=region, zoned=zoned)
        found.append(Entry(one, tuple(parity.staging(one, gb) for gb in sizes)))
    return found


def as_json(entry: Entry) -> dict[str, Any]:
    """One row for programs: numbers as they are, null for what is unknown."""
    of = entry.node
    return {
        "name": of.machine.name,
        "cloud": of.machine.cloud,
        "region": of.region,
        "root": None if of.root is None else asdict(of.root),
        "data": None if of.data is None else asdict(of.data),
        "together_mbps": asdict(of.together_mbps),
        "scratch": asdict(of.scratch),
        "path": [asdict(limit) for limit in of.path],
        "staging": [asdict(one) for one in entry.stagings],
    }


class Notes:
    """Footnotes: one letter for each thing that binds, in the order in which it is met."""

    def __init__(self) -> None:
        self._letters: dict[str, str] = {}

    def letter(self, binds: str | None) -> str:
        """The letter of what binds; nothing where nothing does."""
        if binds is None:
            return ""
        text = BINDS.get(binds, binds)
        return self._letters.setdefault(text, chr(ord("a") + len(self._letters)))

    def __iter__(self) -> Iterator[str]:
        return iter(f"{letter}: {text}" for text, letter in self._letters.items())


def headings(found: Sequence[Entry]) -> list[str]:
    """The table's columns."""
    sizes = [f"{one.gb:.0f} GB" for one in found[0].stagings] if found else []
    return ["type", "root", "data", "scratch", *sizes, "req."]


def cells(entry: Entry, notes: Notes) -> list[str]:
    """One row as text: size/IOPS/MB/s of each, then the times with a letter for what binds."""
    of = entry.node
    volumes = [
        "?" if one is None else f"{one.size_gib}/{_iops(one.iops)}/{_mbps(one.mbps)}" for one in (of.root, of.data)
    ]
    if of.scratch.where == "data":
        scratch = "on data"
    else:
        scratch = f"{of.scratch.size_gb}/{_iops(of.scratch.iops)}/{_mbps(of.scratch.mbps)}"
    connections = entry.stagings[0].connections
    times = [_time(one, notes) for one in entry.stagings]
    return [of.machine.name, *volumes, scratch, *times, "?" if connections is None else str(connections)]


def _iops(figure: Figure) -> str:
    if figure.value is None:
        return "?"
    return _marked(figure, f"{figure.value:g}" if figure.value < 1000 else f"{figure.value / 1000:g}k")


def _mbps(figure: Figure) -> str:
    return "?" if figure.value is None else _marked(figure, f"{figure.value:.0f}")


def _marked(figure: Figure, number: str) -> str:
    at_most = "≤" if figure.unknown else ""
    return f"{at_most}{number}{'*' if figure.binds == parity.MACHINE else ''}"


def _time(one: Staging, notes: Notes) -> str:
    if not one.room:
        return "no room"
    if one.seconds is None:
        return "?"
    seconds = one.seconds
    text = f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.1f} min"
    return f"{'≥' if one.lower_bound else ''}{text} {notes.letter(one.binds)}"


def lines(found: Sequence[Entry], title: str) -> list[str]:
    """The whole page for a terminal or a pipe, WIDTH columns at most."""
    notes = Notes()
    rows = [headings(found), *(cells(entry, notes) for entry in found)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]

    def line(row: Sequence[str]) -> str:
        padded = [f"{cell:<{width}}" for cell, width in zip(row[:TEXTS], widths[:TEXTS], strict=True)]
        padded += [f"{cell:>{width}}" for cell, width in zip(row[TEXTS:], widths[TEXTS:], strict=True)]
        return "  ".join(padded).rstrip()

    page = [*wrap(title, WIDTH), "", line(rows[0]), line(["-" * width for width in widths])]
    cloud = found[0].node.machine.cloud if found else None
    for entry, row in zip(found, rows[1:], strict=True):
        if entry.node.machine.cloud != cloud:
            page.append("")
            cloud = entry.node.machine.cloud
        page.append(line(row))
    binding = "Bound by " + "; ".join(notes) + "." if list(notes) else ""
    for text in (binding, SIGNS, f"Limits as of {parity.observed()}, with their sources: infra/data/staging.json."):
        page += ["", *wrap(text, WIDTH)] if text == binding else wrap(text, WIDTH)
    return page


def title(clouds: Sequence[str], region: str | None, stack: RegionConfig | None) -> str:
    """What the table is of, in one line."""
    if stack is not None:
        own = f"{stack.model.name} in {stack.model.dtype}"
        return f"One node of {stack.stack_name}, and the time from bucket to scratch; its own model last: {own}"
    where = f"{CLOUDS.get(clouds[0], clouds[0])}, {region}" if region else ", ".join(CLOUDS.get(c, c) for c in clouds)
    return f"One node with the default volumes of a stack file, and the time from bucket to scratch: {where}"


def markdown() -> str:
    """The table of all machine types of all clouds with the default volumes, for docs/storage.md."""
    notes, blocks = Notes(), []
    for cloud in catalog.READERS:
        found = entries(catalog.machines(cloud))
        head = headings(found)
        rows = [head, ["---"] * TEXTS + ["---:"] * (len(head) - TEXTS), *(cells(entry, notes) for entry in found)]
        table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
        volumes = _volumes(found)
        blocks.append(f"### {CLOUDS.get(cloud, cloud)}\n\n{volumes}\n\n{table}")
    listed = "\n".join(f"- {note}" for note in notes)
    signs = re.sub(r"([?*≤≥]|req\.|no room)(?=: )", r"`\1`", SIGNS)
    return "\n\n".join((*blocks, f"Bound by\n\n{listed}", signs, f"Limits as of {parity.observed()}."))


def _volumes(found: Sequence[Entry]) -> str:
    kinds = [
        f"{name}: {', '.join(dict.fromkeys(volume.kind for volume in volumes if volume is not None)) or 'not told'}"
        for name, volumes in (("root", [e.node.root for e in found]), ("data", [e.node.data for e in found]))
    ]
    return f"{'; '.join(kinds)}."


def updated(page: str) -> str:
    """A page with the table between its markers written anew. Raises ValueError for a page without them."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"has to hold {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{markdown()}\n\n{END}{after}"


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.write_text(updated(target.read_text()))
