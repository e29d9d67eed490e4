"""The data files of Google Cloud's machine types agree with themselves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

DATA = Path(__file__).parents[2] / "infra" / "data"
MACHINES: dict[str, Any] = json.loads((DATA / "gcp_machines.json").read_text())
OFFERINGS: dict[str, Any] = json.loads((DATA / "gcp_offerings.json").read_text())


@pytest.mark.parametrize("name", sorted(MACHINES["machines"]))
def test_a_machine_type_is_complete_and_offered_somewhere(name: str) -> None:
    row = MACHINES["machines"][name]
    assert row["family"] in MACHINES["families"]
    assert row["quota"] in MACHINES["quotas"]
    assert row["gpu"] in MACHINES["architectures"]
    assert len(row["localSsd"]) == 1
    assert OFFERINGS["offerings"][name]
    for region, letters in OFFERINGS["offerings"][name].items():
        assert set(letters) <= set(OFFERINGS["zones"][region])
        assert list(letters) == sorted(letters)


@pytest.mark.parametrize("name", [n for n in MACHINES["machines"] if n.rsplit("-", 1)[-1].endswith("g")])
def test_the_number_of_gpus_is_in_the_name_of_a_types(name: str) -> None:
    assert MACHINES["machines"][name]["gpus"] == int(name.rsplit("-", 1)[-1][:-1])


def test_families_name_disk_types_that_are_listed() -> None:
    for family in MACHINES["families"].values():
        assert set(family["boot"]) <= set(family["data"])
        assert set(family["data"]) <= set(MACHINES["diskTypes"])


def test_both_files_know_the_same_machine_types_and_regions() -> None:
    assert set(MACHINES["machines"]) == set(OFFERINGS["offerings"])
    assert OFFERINGS["regions"] == list(OFFERINGS["zones"])
    assert OFFERINGS["regions"] == sorted(OFFERINGS["regions"])


def test_every_source_is_in_the_files() -> None:
    for data in (MACHINES, OFFERINGS):
        assert any("https://" in line for line in data["about"])
        assert data["source"]
        assert data["observed"]
