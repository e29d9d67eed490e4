"""`python -m cost.report`: the reports of the shipped scenarios in docs/reports/, as of their prices' day, so that they
are the same whenever they are made, and report.schema.json."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from cost.report import document

FOLDER: Final = Path(__file__).resolve().parents[2] / "docs" / "reports"


def main() -> None:
    """Write all of them."""
    from cost.compare import compare
    from cost.prices.snapshot import Snapshot
    from cost.report.files import NAMES, write
    from cost.scenario import SHIPPED, find, load
    from rehearsal.progress import Bar

    snapshot = Snapshot.load()
    with Bar("Reports", len(SHIPPED) * len(NAMES)) as bar:
        for name in SHIPPED:
            scenario = load(find(name))
            found = compare(scenario, snapshot, today=snapshot.date)
            write(scenario, snapshot, found, FOLDER / name, progress=bar.step)
    document.SCHEMA.write_text(document.schema(), encoding="utf-8")


if __name__ == "__main__":
    main()
