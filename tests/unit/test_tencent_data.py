"""The data files of Tencent Cloud's machine types agree with themselves."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

DATA = Path(__file__).parents[2] / "infra" / "data"
MACHINES: dict[str, Any] = json.loads((DATA / "tencent_machines.json").read_text())
OFFERINGS: dict[str, Any] = json.loads((DATA / "tencent_offerings.json").read_text())


@pytest.mark.parametrize("name", sorted(MACHINES["machines"]))
def test_a_machine_type_is_complete_and_offered_somewhere(name: str) -> None:
    row = MACHINES["machines"][name]
    assert row["quota"] == name.split(".")[0]
    assert row["quota"] in MACHINES["quotas"]
    assert row["gpu"] in MACHINES["architectures"]
    assert int(re.findall(r"[0-9]+$", name)[0]) == row["memory"], "its memory is in the name"
    for region, numbers in OFFERINGS["offerings"][name].items():
        assert set(numbers) <= set(OFFERINGS["zones"][region])
        assert list(numbers) == sorted(numbers)


def test_both_files_know_the_same_machine_types_and_regions() -> None:
    assert set(MACHINES["machines"]) == set(OFFERINGS["offerings"])
    assert OFFERINGS["regions"] == sorted(OFFERINGS["zones"])
    for offered in OFFERINGS["offerings"].values():
        assert set(offered) <= set(OFFERINGS["regions"])


def test_every_source_is_in_the_files() -> None:
    for data in (MACHINES, OFFERINGS):
        assert any("https://" in line for line in data["about"])
        assert data["source"]
        assert data["observed"]
