"""Comparisons for tests of reports, each worked out once a session, with few draws."""

from __future__ import annotations

from datetime import date
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

from cost.compare import compare
from cost.prices.snapshot import Snapshot
from cost.result import Comparison
from cost.scenario import Scenario, find, load

TODAY: Final = date(2026, 11, 26)
DRAWS: Final = 200
SMALL: Final = "small-team"


@cache
def snapshot() -> Snapshot:
    """The latest prices."""
    return Snapshot.load()


@cache
def shipped(name: str) -> tuple[Scenario, Comparison]:
    """One of the shipped scenarios."""
    scenario = load(find(name))
    return scenario, compare(scenario, snapshot(), today=TODAY, draws=DRAWS)


def document(name: str = SMALL) -> dict[str, Any]:
    """A shipped scenario's file, to be changed."""
    found: dict[str, Any] = yaml.safe_load(find(name).read_text())
    return found


def written(path: Path, changed: dict[str, Any]) -> Path:
    """A scenario file."""
    path.write_text(yaml.safe_dump(changed, sort_keys=False, allow_unicode=True))
    return path


def compared(path: Path, changed: dict[str, Any], draws: int = 0) -> tuple[Scenario, Comparison]:
    """A scenario that is not shipped."""
    scenario = load(written(path, changed))
    return scenario, compare(scenario, snapshot(), today=TODAY, draws=draws)
