"""Commands over all region stacks leave out clouds that they do not know, and say so."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from sandbox.clouds import VARIABLE
from tests.unit.region_commands import runner, two_regions
from tests.unit.stack_data import SHIPPED

FAR = "tencent-ap-guangzhou"


@pytest.fixture
def stacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "sandbox"))
    folder = two_regions(tmp_path / "stacks")
    shutil.copy(SHIPPED / f"Pulumi.{FAR}.yaml", folder)
    return folder


@pytest.mark.parametrize(("command", "look"), [("secrets", "show"), ("models", "list")])
def test_a_region_on_a_cloud_out_of_reach_is_left_out_aloud_and_refused_by_name(
    command: str, look: str, stacks: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = runner(command, stacks, capsys)
    reason = f"`spillway {command}` reaches regions on aws, azure and gcp"
    code, out, err = run(look)
    assert code == 0
    assert err == f"spillway: {FAR} is left out: {reason}\n"
    assert "aws-us-west-2" in out
    assert FAR not in out
    assert run(look, "--stack", "aws-us-east-1")[2] == ""
    assert run(look, "--stack", FAR) == (1, "", f"spillway: {FAR}: {reason}\n")


def test_a_folder_without_a_region_in_reach_is_refused(stacks: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in stacks.glob("Pulumi.aws-*.yaml"):
        path.unlink()
    code, _, err = runner("models", stacks, capsys)("list")
    assert (code, err) == (1, f"spillway: {FAR}: `spillway models` reaches regions on aws, azure and gcp\n")


def test_weights_are_not_copied_from_where_no_command_reaches(stacks: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = runner("models", stacks, capsys)("sync", "--from", FAR)
    assert (code, out) == (1, "")
    assert err == f"spillway: {FAR}: `spillway models` reaches regions on aws, azure and gcp\n"
