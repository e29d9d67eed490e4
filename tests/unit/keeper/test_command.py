"""`spillway keeper plan` as a person and as a program meet it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rehearsal.progress import Bar
from spillway.cli import main
from spillway.keeper import fleet
from spillway.keeper.stand_in import StandInDesk
from tests.unit.keeper.conftest import DEPLOYED, EXPORTS, ROOT, stack

NAMES = [word for name in DEPLOYED for word in ("--stack", name)]


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def plan(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = main(["keeper", "plan", *words])
    told = capsys.readouterr()
    return code, told.out, told.err


def body(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    code, out, err = plan(capsys, "--json", *words)
    assert (code, err) == (0, "")
    found: dict[str, Any] = json.loads(out)
    return found


def test_a_plan_of_the_sandbox_sets_nothing(sandbox: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = plan(capsys, "--sandbox")
    assert (code, err) == (0, "")
    assert "target 8; 8 serving" in out
    assert "tencent-ap-guangzhou: left as it is: all on demand" in out
    assert "aws-us-east-2: left as it is: not deployed" in out
    assert all(StandInDesk(stack(name), sandbox).read().spot == 2 for name in DEPLOYED)


def test_a_terminal_is_told_of_every_region_that_is_read(
    sandbox: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []

    class Heard(Bar):
        def step(self, name: str) -> None:
            told.append(f"{name} of {self.total}")

    monkeypatch.setattr(fleet, "Bar", Heard)
    assert plan(capsys, "--sandbox", *NAMES)[0] == 0
    assert sorted(told) == [f"{name} of {len(DEPLOYED)}" for name in sorted(DEPLOYED)]


def test_apply_sets_what_was_proposed_and_remembers(
    sandbox: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    memory = tmp_path / "keeper.json"
    told = body(capsys, "--sandbox", *NAMES, "--memory", str(memory), "--apply", "--yes", "--target", "12")
    assert told["edits"]
    assert {row["stack"] for row in told["applied"]} == {edit["stack"] for edit in told["edits"]}
    assert not any(row["fault"] for row in told["applied"])
    for edit in told["edits"]:
        state = StandInDesk(stack(edit["stack"]), sandbox).read()
        assert {"spot": state.spot, "onDemandMinimum": state.on_demand} == edit["after"]
    after = body(capsys, "--sandbox", *NAMES, "--memory", str(memory), "--target", "12")
    assert after["applied"] is None
    assert after["fleets"][0]["serving"] >= 12
    assert json.loads(memory.read_text())["version"] == 1


def test_spot_that_is_sold_out_in_a_region_is_asked_for_elsewhere(
    sandbox: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (sandbox / "weather.yaml").write_text("soldOut:\n  - {cloud: gcp, zone: us-central1*, market: spot}\n")
    told = body(capsys, "--sandbox", *NAMES)
    assert told["regions"]["gcp-us-central1"]["refused"] == {"spot": "capacity"}
    after = {edit["stack"]: edit["after"]["spot"] for edit in told["edits"]}
    assert after["gcp-us-central1"] == 0
    assert max(after.values()) > 2


def test_exported_stacks_are_read_and_cannot_be_set(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [word for name in DEPLOYED for word in ("--stacks", str(EXPORTS / f"{name}.export.json"))]
    told = body(capsys, *files)
    assert told["fleets"][0]["target"] == 8
    assert told["source"].startswith("exported stacks")
    code, _, err = plan(capsys, *files, "--memory", str(tmp_path / "m.json"), "--apply", "--yes")
    assert code == 1
    assert "files set nothing" in err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--sandbox", "--apply"], "--apply needs --memory"),
        (["--sandbox", "--yes"], "--yes goes with --apply"),
        (["--sandbox", "--apply", "--memory", "m.json", "--json"], "need --yes"),
        (["--sandbox", "--target", "none"], "--target none: has to be 1 to 10,000 nodes"),
        (["--stacks", "nowhere", "--target", "0"], "--target 0: has to be 1 to 10,000 nodes"),  # before all else
        (["--sandbox", "--target", "vision=3"], "there is no such fleet; there are "),
        (["--sandbox", "--gone", "aws-us-east-1"], "--gone aws-us-east-1: its cloud answers"),
        (["--sandbox", "--stack", "aws-us-east-9"], "aws-us-east-9: no such region stack"),
        (["--sandbox", "--prices", "yesterday"], "prices = yesterday: neither a file nor known"),
        (["--sandbox", "--memory", "README.md"], "README.md: is no JSON"),
        (["--sandbox", "--profile", "me"], "goes without --sandbox"),
    ],
)
def test_a_wrong_word_is_one_line(
    words: list[str], told: str, sandbox: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = plan(capsys, *words)
    assert code in (1, 2)
    assert told in err
    assert "Traceback" not in err
    assert not (ROOT / "m.json").exists()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[]", "is no memory of the fleet's keeper: expected what `keeper plan --memory` writes; name another file"),
        ('{"version": 1, "fleets": {}}', "is no memory of the fleet's keeper: regions: missing; name another file"),
        ('{"version": 99}', "version = 99: must be 1; name another file"),
    ],
)
def test_a_file_that_is_no_memory_is_one_line_and_stays(
    text: str, told: str, sandbox: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "memory.json"
    path.write_text(text)
    code, _, err = plan(capsys, "--sandbox", "--memory", str(path), "--apply", "--yes")
    assert code == 1
    assert told in err
    assert path.read_text() == text


def test_a_region_that_fails_is_told_beside_what_is_set(
    sandbox: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from spillway.preflight.model import Unanswered

    write = StandInDesk.write

    def refuse(self: StandInDesk, spot: int, on_demand: int, say: Any) -> None:
        if self._stack.region.stack == "aws-us-east-1":
            raise Unanswered("denied: autoscaling:UpdateAutoScalingGroup")
        write(self, spot, on_demand, say)

    monkeypatch.setattr(StandInDesk, "write", refuse)
    words = ["--sandbox", *NAMES, "--target", "16", "--memory", str(tmp_path / "m.json"), "--apply", "--yes"]
    code, out, err = plan(capsys, *words)
    assert code == 1
    assert "aws-us-east-1: denied: autoscaling:UpdateAutoScalingGroup" in err
    assert "targets are set" in err
    assert "set " in out


def test_a_region_that_does_not_answer_is_told_and_can_be_given_up(
    sandbox: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from spillway.preflight.model import Unanswered

    read = StandInDesk.read

    def silent(self: StandInDesk) -> Any:
        if self._stack.region.stack == "aws-us-east-1":
            raise Unanswered("autoscaling in us-east-1 is out of reach", "check network and proxy")
        return read(self)

    monkeypatch.setattr(StandInDesk, "read", silent)
    code, out, _ = plan(capsys, "--sandbox", *NAMES)
    assert code == 1
    assert "aws-us-east-1: could not be read" in out
    code, out, _ = plan(capsys, "--sandbox", *NAMES, "--gone", "aws-us-east-1", "--json")
    assert all(edit["stack"] != "aws-us-east-1" for edit in json.loads(out)["edits"])
