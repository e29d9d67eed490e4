"""Exit codes of `spillway sandbox run`: a shell's."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox.clouds import VARIABLE
from spillway import engine
from spillway.cli import main


def test_a_command_that_is_not_there_is_127_and_none_at_all_is_wrong_usage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "sandbox"))
    found = engine.Engine(tmp_path, tmp_path / "pulumi", tmp_path / "host", "3.0.0", "path")
    monkeypatch.setattr(engine, "ensure_engine", lambda _: found)
    assert main(["sandbox", "run", "--", "no-such-command-here"]) == 127
    assert capsys.readouterr().err == "spillway: no-such-command-here: no such command\n"
    assert main(["sandbox", "run", "--"]) == 2
    assert capsys.readouterr().err.startswith("spillway: sandbox run: name a command after --, for example: ")
