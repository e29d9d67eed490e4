"""`spillway rehearse`: what it prints, writes and refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from rehearsal.scenario import shipped
from spillway.errors import SpillwayError
from spillway.rehearse_cli import fleet_of, rehearse

ROOT = Path(__file__).parents[2]
app = typer.Typer()
app.command()(rehearse)

SCENARIO = """\
name: mine
title: A day of mine
shows: What a day does.
days: 1
trace: gcp-h100-2025-10
stacks: [gcp-us-central1]
events:
  - { at: day 1 12:00, for: 2h, what: spot, limit: 0 }
"""


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A scenario's file; nothing is deployed in the sandbox, and the stacks are the shipped ones."""
    monkeypatch.setenv("SPILLWAY_SANDBOX_DIR", str(tmp_path / "sandbox"))
    monkeypatch.chdir(ROOT)
    path = tmp_path / "mine.yaml"
    path.write_text(SCENARIO)
    return path


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_it_says_what_was_played_what_came_of_it_and_where_the_report_is(mine: Path, tmp_path: Path) -> None:
    told = run("--scenario", str(mine), "--out", str(tmp_path / "out"))
    assert "A day of mine: What a day does." in told
    assert "Stack files of stacks/ (nothing is deployed in the sandbox): gcp-us-central1; 1 days" in told
    assert "as deployed" in told
    assert "with the keeper" in told
    assert "aws-us-east-1 is not played: the scenario does not name it" in told
    assert "note: gcp-us-central1: nothing was recorded of us-central1-f: gives no spot" in told
    for name in ("report.json", "report.md", "report.html"):
        assert str(tmp_path / "out" / name) in told
        assert (tmp_path / "out" / name).stat().st_size > 1000


def test_json_is_one_object_and_nothing_else(mine: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    told = run("--scenario", str(mine), "--out", str(out), "--variants", "deployed", "--seed", "7", "--json")
    found = json.loads(told)
    assert found == json.loads((out / "report.json").read_text())


def test_the_shipped_scenarios_are_listed(mine: Path) -> None:
    told = run("--list")
    assert all(name in told for name in shipped())
    assert [one["name"] for one in json.loads(run("--list", "--json"))] == list(shipped())


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (
            ["--variants", "keper"],
            r"--variants: no 'keper' \(did you mean keeper\?\); there are deployed, keeper, changes",
        ),
        (["--scenario", "normal"], "scenario normal: neither a file nor shipped"),
        (["--scenario", "missing.yaml"], "scenario missing.yaml: neither a file nor shipped"),
        (["--stacks", "nowhere"], "nowhere"),
        (["--variants", ""], r"--variants: no ''; there are deployed, keeper, changes and all"),
        (["--variants", "all,nope"], r"--variants: no 'nope'; there are"),
        (["--out", str(ROOT / "README.md" / "report")], r"--out .*report: has to be a folder, and .*README.md is none"),
    ],
)
def test_what_is_wrong_is_told_before_anything_is_played(mine: Path, arguments: list[str], line: str) -> None:
    with pytest.raises(SpillwayError, match=line):
        run(*arguments)


def test_the_source_of_the_stacks_is_named(mine: Path) -> None:
    assert fleet_of(None)[1] == "Stack files of stacks/ (nothing is deployed in the sandbox)"
    assert fleet_of([ROOT / "stacks"])[1] == f"Stacks of {ROOT / 'stacks'}"
    assert fleet_of(None, "global-cloudflare")[0].world is not None
