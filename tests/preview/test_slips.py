"""`spillway preview`: what is wrong is told before anything is deployed or previewed."""

from __future__ import annotations

from pathlib import Path

import pytest

from spillway.cli import main

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("arguments", "code", "line"),
    [
        (["--base", ""], 2, "spillway: Invalid value for --base: is empty; name a branch or commit, or leave it out"),
        (["--out", str(ROOT / "README.md")], 1, f"spillway: --out {ROOT / 'README.md'}: has to be a folder"),
        (["aws-us-east-1", "--all"], 2, "spillway: Invalid value for --all: not together with names of stacks"),
        (["aws-us-est-1"], 1, "spillway: aws-us-est-1: no such stack (did you mean aws-us-east-1?)"),
        (["--on", "mars"], 2, "spillway: Invalid value for '--on': 'mars' is not one of 'sandbox', 'account'"),
    ],
)
def test_a_slip_is_one_line_at_once(
    arguments: list[str], code: int, line: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    assert main(["preview", *arguments]) == code
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 1
    assert told[0].startswith(line)


def test_outside_of_a_checkout_it_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["preview"]) == 1
    assert capsys.readouterr().err == f"spillway: {tmp_path}: is in no checkout with Pulumi.yaml and stacks/\n"
