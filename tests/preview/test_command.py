"""`spillway preview` as somebody types it: where it runs, what it writes, its exit code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from spillway.errors import SpillwayError
from spillway.preview import command, review
from spillway.preview.document import Document, StackRow, Violation, failed_row
from spillway.preview.secrets import Masker
from tests.preview.test_document import document, row

app = typer.Typer()
app.command()(command.command)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, Any]:
    """A checkout of nothing; what is asked for is kept, and answered with `found`."""
    (tmp_path / "stacks").mkdir()
    (tmp_path / "Pulumi.yaml").write_text("name: spillway\n")
    monkeypatch.chdir(tmp_path)
    for name in ("PULUMI_BACKEND_URL", "PULUMI_ACCESS_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    kept: dict[str, Any] = {"found": document(row("aws-us-east-1.update", violations=[]))}

    def answer(wanted: review.Wanted, *rest: Any) -> Document:
        kept["wanted"] = wanted
        found: Document = kept["found"]
        return found

    monkeypatch.setattr(review, "review", answer)
    return kept


def run(*arguments: str) -> tuple[int, str]:
    found = CliRunner().invoke(app, [*arguments], catch_exceptions=False)
    return found.exit_code, found.stdout


def test_markdown_goes_to_the_output(asked: dict[str, Any]) -> None:
    code, told = run("--base", "main")
    assert code == 0
    assert told.startswith("<!-- spillway-preview -->")
    assert (asked["wanted"].base, asked["wanted"].where) == ("main", "sandbox")


def test_files_are_written_whole_and_named(asked: dict[str, Any], tmp_path: Path) -> None:
    code, told = run("--out", "review")
    assert code == 0
    assert sorted(path.name for path in (tmp_path / "review").iterdir()) == [
        "comment.md", "preview.html", "preview.json",
    ]  # fmt: skip
    assert json.loads((tmp_path / "review" / "preview.json").read_text())["version"] == 1
    assert "review/comment.md" in told


def test_json_is_one_document(asked: dict[str, Any]) -> None:
    code, told = run("--json")
    assert code == 0
    assert [one["stack"] for one in json.loads(told)["stacks"]] == ["aws-us-east-1"]


@pytest.mark.parametrize(("rows", "code"), [
    ([failed_row("global", ("no",), Masker())], 1),
    ([row("global", violations=[Violation("tags", True, "", "none")])], 1),
    ([row("global", violations=[Violation("tags", False, "", "none")])], 0),
])  # fmt: skip
def test_the_exit_code_says_whether_it_may_be_merged(asked: dict[str, Any], rows: list[StackRow], code: int) -> None:
    asked["found"] = document(*rows)
    assert run()[0] == code
    assert run("--exit-zero")[0] == 0


def test_a_chosen_backend_means_the_accounts(asked: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULUMI_BACKEND_URL", "s3://state")
    run()
    assert asked["wanted"].where == "account"
    run("--on", "sandbox")
    assert asked["wanted"].where == "sandbox"


def test_outside_of_a_checkout_it_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SpillwayError, match=r"is in no checkout with Pulumi.yaml and stacks/"):
        run()


def test_a_folder_that_cannot_be_written_is_one_line(asked: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SpillwayError, match=r"--out file: has to be a folder, and .*file is none"):
        run("--out", "file")


def test_names_and_all_exclude_each_other(asked: dict[str, Any]) -> None:
    assert run("global", "--all")[0] == 2


def test_options_reach_the_review(asked: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "use.yaml").write_text("all: { natGb: 5 }\n")
    run("global", "--refresh", "--at-once", "3", "--fleet-budget", "1000", "--use", "use.yaml", "--no-policy")
    wanted = asked["wanted"]
    assert (wanted.stacks, wanted.refresh, wanted.at_once, wanted.budget) == (("global",), True, 3, 1000)
    assert wanted.use("any")["natGb"] == 5
