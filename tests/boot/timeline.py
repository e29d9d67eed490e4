"""Figures of measured boots: one line for a terminal, a file that they are kept in, and the picture of the document.

`python -m tests.boot.timeline` draws docs/image-boot.svg from what the last runs have left, and prints them as a table.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any, Final

from filelock import FileLock

from tests.boot import rootfs

PICTURE: Final = rootfs.ROOT / "docs" / "image-boot.svg"
WIDTH, LEFT, ROW, TOP = 920, 150, 26, 52
COLOURS: Final = {
    "firmware, kernel": "#6b7280",
    "systemd": "#94a3b8",
    "cloud-init": "#2563eb",
    "storage": "#0d9488",
    "weights": "#16a34a",
    "secrets": "#d97706",
    "engine": "#9333ea",
    "first token": "#dc2626",
}
TITLES: Final = {"nspawn": "Rung 3: container (systemd-nspawn)", "qemu": "Rung 4: machine (QEMU without acceleration)"}


def results() -> Path:
    """Where a run leaves its figures."""
    return rootfs.cache() / "figures.json"


def read() -> dict[str, Any]:
    """Figures by rung; empty when there was no run."""
    try:
        found: dict[str, Any] = json.loads(results().read_text())
    except (OSError, ValueError):
        return {}
    return found


def figure(rung: str, **values: Any) -> None:
    """Adds to the figures of a rung."""
    results().parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{results()}.lock"):
        found = read()
        found[rung] = {**found.get(rung, {}), **values}
        results().write_text(json.dumps(found, indent=1) + "\n")


def keep(rung: str, seconds: float, steps: Sequence[dict[str, Any]], before: float = 0.0) -> None:
    """A boot: seconds from its start until ready, its steps, and what lay between the start and systemd's."""
    figure(rung, bootToReadySeconds=round(seconds, 1), beforeSystemdSeconds=round(before, 1), steps=list(steps))


def line(steps: Sequence[dict[str, Any]]) -> str:
    """`cloud-init 1.2 s, weights 0.8 s (from 3.1)`."""
    return ", ".join(f"{one['step']} {one['end'] - one['begin']:.1f} s (from {one['begin']:.1f})" for one in steps)


def bars(found: dict[str, Any]) -> list[dict[str, Any]]:
    """Steps since the start of the machine."""
    before = float(found.get("beforeSystemdSeconds", 0.0))
    moved = [{**one, "begin": one["begin"] + before, "end": one["end"] + before} for one in found["steps"]]
    return ([{"step": "firmware, kernel", "begin": 0.0, "end": before}] if before > 0.5 else []) + moved


def _ticks(most: float) -> float:
    return next(step for step in (0.5, 1, 2, 5, 10, 20, 50, 100, 200) if most / step <= 12)


def panel(rung: str, found: dict[str, Any], top: int) -> tuple[str, int]:
    """One boot as SVG from `top` on, and where it ends."""
    steps, ready = bars(found), float(found["bootToReadySeconds"])
    most = max([ready, *(one["end"] for one in steps)])
    scale = (WIDTH - LEFT - 60) / most
    low = top + TOP + ROW * len(steps)
    lines = [f'<text x="16" y="{top + 24}" class="t">{escape(TITLES[rung])}: ready after {ready:.1f} s</text>']
    tick = _ticks(most)
    for number in range(int(most / tick) + 1):
        x = LEFT + number * tick * scale
        lines.append(f'<line x1="{x:.1f}" y1="{top + 40}" x2="{x:.1f}" y2="{low}" class="g"/>')
        lines.append(f'<text x="{x:.1f}" y="{low + 16}" class="n" text-anchor="middle">{number * tick:g} s</text>')
    x = LEFT + ready * scale
    lines.append(f'<line x1="{x:.1f}" y1="{top + 40}" x2="{x:.1f}" y2="{low}" class="r"/>')
    for number, one in enumerate(steps):
        y = top + TOP + number * ROW
        x, width = LEFT + one["begin"] * scale, max((one["end"] - one["begin"]) * scale, 2.0)
        colour = COLOURS.get(one["step"], "#64748b")
        took = f"{one['end'] - one['begin']:.1f} s"
        inside = x + width + 50 > WIDTH
        at = (x + width - 6, "end", "w") if inside else (x + width + 6, "start", "n")
        lines += [
            f'<text x="{LEFT - 10}" y="{y + 14}" class="n" text-anchor="end">{escape(one["step"])}</text>',
            f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="18" rx="3" fill="{colour}"/>',
            f'<text x="{at[0]:.1f}" y="{y + 14}" class="{at[2]}" text-anchor="{at[1]}">{took}</text>',
        ]
    return "\n".join(lines), low + 34


STYLE: Final = """\
<style>
text{font:13px system-ui,sans-serif}.t{font-size:15px;font-weight:600;fill:#0f172a}.n{fill:#334155}.w{fill:#fff}
.n{paint-order:stroke;stroke:#fff;stroke-width:4px;stroke-linejoin:round}.b{fill:#fff}
.g{stroke:#cbd5e1;stroke-width:1}.r{stroke:#dc2626;stroke-width:2;stroke-dasharray:4 3}
@media (prefers-color-scheme:dark){.b{fill:#0d1117}.t{fill:#f1f5f9}.n{fill:#cbd5e1;stroke:#0d1117}.g{stroke:#334155}}
</style>"""


def picture(found: dict[str, Any]) -> str:
    """The boots as one SVG."""
    top, panels = 8, []
    for rung in TITLES:
        if rung in found:
            text, top = panel(rung, found[rung], top)
            panels.append(text)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{top}" viewBox="0 0 {WIDTH} {top}">'
    label = "<title>From the start of a node to ready, step by step</title>"
    ground = f'<rect width="{WIDTH}" height="{top}" class="b"/>'
    return "\n".join([head, label, STYLE, ground, *panels, "</svg>"]) + "\n"


def table(found: dict[str, Any]) -> str:
    """The same as a table in Markdown: begin and end of each step, seconds."""
    rungs = [rung for rung in TITLES if rung in found]
    spans = {rung: {one["step"]: one for one in bars(found[rung])} for rung in rungs}
    names = [step for step in COLOURS if any(step in spans[rung] for rung in rungs)]
    lines = [f"| step | {' | '.join(TITLES[rung] for rung in rungs)} |", "|---" * (1 + len(rungs)) + "|"]
    for name in names:
        cells = (spans[rung].get(name) for rung in rungs)
        shown = [f"{one['begin']:.1f} to {one['end']:.1f} s" if one else "-" for one in cells]
        lines.append(f"| {name} | {' | '.join(shown)} |")
    ready = [f"**{found[rung]['bootToReadySeconds']:.1f} s**" for rung in rungs]
    notice = [f"{found[rung].get('noticeTo503Seconds', 0.0):.1f} s" for rung in rungs]
    return "\n".join([*lines, f"| ready | {' | '.join(ready)} |", f"| notice to 503 | {' | '.join(notice)} |"])


def main() -> int:
    found = read()
    if not any(rung in found for rung in TITLES):
        print("no boot was measured: make test-boot", file=sys.stderr)
        return 1
    PICTURE.write_text(picture(found))
    print(table(found))
    print(PICTURE, file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
