"""A region on one cloud, behind its SDK, with a function that is run minute by minute."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from infra.function.loop import Cloud, Memory, Outcome, run
from infra.function.settings import Settings
from tests.unit.function.clouds import FAKES, ON_DEMAND, SETTINGS, SPOT, Fake, Nodes
from tests.unit.function.wire import connected

START = 29_000_000


@dataclass
class Region:
    """A cloud and a function on it; `at` is the next minute."""

    name: str
    settings: Settings
    fake: Fake = field(init=False)
    cloud: Cloud = field(init=False)
    at: int = START
    lines: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.fake = FAKES[self.name]()
        self.cloud = self.fake.cloud(self.settings)

    def change(self, **more: Any) -> None:
        self.settings = self.settings.model_copy(update=more)
        self.cloud._settings = self.settings  # type: ignore[attr-defined]

    def show(self, spot: Nodes, on_demand: Nodes | None = None) -> None:
        self.fake.groups[SPOT] = spot
        if on_demand is not None:
            self.fake.groups[ON_DEMAND] = on_demand

    def go(self, minutes: int = 1, stay: bool = False) -> Outcome:
        """Runs, a minute apart; stay: once more in the minute of the last run."""
        for _ in range(minutes):
            if stay:
                self.at -= 1
            self.cloud._budget._end = self.fake.time + 40  # type: ignore[attr-defined]
            outcome = run(self.settings, self.cloud, self.at, lambda line: self.lines.append(json.loads(line)))
            self.at += 1
        return outcome

    @property
    def memory(self) -> Memory:
        assert self.fake.stored is not None
        memory = Memory.from_text(self.fake.stored.decode())
        assert memory is not None
        return memory


@pytest.fixture
def region(request: pytest.FixtureRequest) -> Iterator[Region]:
    made = Region(request.param, SETTINGS[request.param])
    with connected(made.fake.wire):
        yield made


@pytest.fixture
def azure() -> Iterator[Region]:
    made = Region("azure", SETTINGS["azure"])
    with connected(made.fake.wire):
        yield made


@pytest.fixture
def gcp() -> Iterator[Region]:
    made = Region("gcp", SETTINGS["gcp"])
    with connected(made.fake.wire):
        yield made
