"""Setting what the keeper proposes, and its memory in a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from infra.keeper_fleet import Edit, FleetMemory, RegionMemory, RegionStack, RegionState
from spillway.errors import SpillwayError
from spillway.keeper import memory as files
from spillway.keeper.apply import alone, apply, remembered
from spillway.preflight.model import Unanswered


class FakeDesk:
    """Keeps what was set; or raises."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error, self.set = error, [(2, 0)]

    def read(self) -> RegionState:
        raise AssertionError("nobody asked")

    def write(self, spot: int, on_demand: int, say: Callable[[str], None]) -> None:
        say("the first of two")
        if self.error is not None:
            raise self.error
        self.set.append((spot, on_demand))


def stack(name: str, fleet: str = "llm") -> RegionStack:
    return RegionStack(name, "aws", name, (name,), fleet, 2, 0, 6, 1200.0)


UP, DOWN = Edit("east", (2, 0), (4, 0), "more", 16.0), Edit("west", (2, 0), (0, 0), "less", -16.0)
STACKS = [stack("east"), stack("west"), stack("vision", "vision")]


def test_every_edit_is_set_and_told() -> None:
    desks = {"east": FakeDesk(), "west": FakeDesk()}
    said: list[str] = []
    done = apply([UP, DOWN], STACKS, desks, said.append)
    assert [one.fault for one in done] == ["", ""]
    assert desks["east"].set[-1] == (4, 0)
    assert desks["west"].set[-1] == (0, 0)
    assert len(said) == 2


def test_where_a_raise_failed_nothing_of_the_fleet_is_lowered_and_what_was_done_is_told() -> None:
    desks = {"east": FakeDesk(Unanswered("denied", "allow it")), "west": FakeDesk(), "vision": FakeDesk()}
    other = Edit("vision", (2, 0), (1, 0), "less", -8.0)
    done = apply([UP, DOWN, other], STACKS, desks, lambda line: None)
    assert [one.fault for one in done] == [
        "denied; allow it", "left as it is: not everything that takes its place could be set", "",
    ]  # fmt: skip
    assert done[0].lines == ("the first of two",)
    assert desks["west"].set == [(2, 0)]
    assert desks["vision"].set[-1] == (1, 0)


def test_a_failure_keeps_no_other_region_from_its_own_raise() -> None:
    desks = {"east": FakeDesk(SpillwayError("one", "two")), "west": FakeDesk()}
    done = apply([UP, Edit("west", (2, 0), (3, 0), "more", 8.0)], STACKS, desks, lambda line: None)
    assert [one.fault for one in done] == ["one two", ""]
    assert desks["west"].set[-1] == (3, 0)


def test_what_could_not_be_set_was_asked_of_nobody() -> None:
    memory = FleetMemory(regions={"east": RegionMemory(asked={"east": 2}), "west": RegionMemory(asked={"west": 1})})
    desks = {"east": FakeDesk(Unanswered("denied")), "west": FakeDesk()}
    done = apply([UP, Edit("west", (2, 0), (3, 0), "more", 8.0)], STACKS, desks, lambda line: None)
    kept = remembered(memory, done)
    assert kept.regions["east"].asked == {}
    assert kept.regions["west"].asked == {"west": 1}


def test_a_memory_is_written_whole_and_read_again(tmp_path: Path) -> None:
    path = tmp_path / "keeper.json"
    assert files.read(path) == files.read(None) == FleetMemory()
    memory = FleetMemory(regions={"east": RegionMemory(asked={"east": 2}, since={"spot less": 5.0})})
    files.write(path, memory)
    assert files.read(path) == memory
    assert [one.name for one in tmp_path.iterdir()] == ["keeper.json"]


@pytest.mark.parametrize("text", ["{", "[]", '{"version": 9}', '{"version": 1}', "\0", "[" * 100_000])
def test_a_file_that_is_no_memory_is_told_in_one_line_and_stays(text: str, tmp_path: Path) -> None:
    path = tmp_path / "keeper.json"
    path.write_text(text)
    with pytest.raises(SpillwayError, match=r"keeper\.json: .*begins anew") as error:
        files.read(path)
    assert len(error.value.lines) == 1
    assert path.read_text() == text


def test_a_memory_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(SpillwayError, match="cannot be written"):
        files.write(tmp_path / "none" / "keeper.json", FleetMemory())


def test_two_keepers_do_not_work_with_one_memory(tmp_path: Path) -> None:
    path = tmp_path / "keeper.json"
    with (
        alone(path),
        pytest.raises(SpillwayError, match="another keeper works with this memory"),
        alone(path),
    ):
        pass
    with alone(path):
        pass
