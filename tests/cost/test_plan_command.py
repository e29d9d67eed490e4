"""`spillway cost plan` as somebody types it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from spillway import cost_plan
from spillway.errors import SpillwayError

FOLDER = Path(__file__).parent / "plans"
UPDATE = str(FOLDER / "aws-us-east-1.update.json")
GCP = str(FOLDER / "gcp-us-central1.json")
app = typer.Typer()
app.command()(cost_plan.plan)


def run(*arguments: str) -> tuple[int, str]:
    found = CliRunner().invoke(app, arguments, catch_exceptions=False)
    return found.exit_code, found.stdout


def test_a_table_has_a_line_for_each_stack_and_for_all_of_them() -> None:
    code, told = run("--preview", UPDATE, "--preview", GCP)
    assert code == 0
    assert [one.split()[0] for one in told.splitlines() if one][:4] == [
        "stack", "aws-us-east-1", "gcp-us-central1", "together",
    ]  # fmt: skip


def test_json_is_one_document_with_money_as_text() -> None:
    code, told = run("--preview", UPDATE, "--json")
    found = json.loads(told)
    assert code == 0
    assert found["currency"] == "USD"
    assert isinstance(found["stacks"][0]["delta"]["steady"], str)
    assert found["stacks"][0]["operations"]["update"] == 4


@pytest.mark.parametrize(("options", "code"), [
    (("--max-delta", "100"), 10),
    (("--max-delta-percent", "5"), 11),
    (("--budget", "1000"), 12),
    (("--stack-budgets",), 12),
    (("--max-delta", "1000000", "--max-age", "0"), 14),
])  # fmt: skip
def test_each_guard_rail_has_an_exit_code_of_its_own(options: tuple[str, ...], code: int) -> None:
    assert run("--preview", UPDATE, *options)[0] == code


def test_things_without_a_price_may_be_too_many() -> None:
    assert run("--preview", GCP, "--max-unpriced", "0")[0] == 13


def test_the_same_plan_as_base_is_no_change() -> None:
    code, told = run("--preview", GCP, "--base", GCP, "--max-delta", "0", "--json")
    assert code == 0
    assert json.loads(told)["total"]["delta"]["worst"] == "0"


@pytest.mark.parametrize(("arguments", "words"), [
    (("--preview", UPDATE, "--preview", UPDATE), "is in"),
    (("--preview", UPDATE, "--base", GCP), "is in no --preview"),
    (("--preview", "no/such.json"), "cannot be read"),
    (("--preview", UPDATE, "--prices", "1999-01-01"), "no snapshot of 1999-01-01"),
    (("--preview", UPDATE, "--use", "no/such.yaml"), "no/such.yaml"),
])  # fmt: skip
def test_bad_input_is_one_line(arguments: tuple[str, ...], words: str) -> None:
    with pytest.raises(SpillwayError) as error:
        run(*arguments)
    assert len(error.value.lines) == 1
    assert words in error.value.lines[0]


def test_a_usage_file_says_each_fault_with_its_key(tmp_path: Path) -> None:
    file = tmp_path / "use.yaml"
    file.write_text("all: {natGB: 3}\nstacks: {aws-us-east-1: {modelGib: -1}}\n")
    with pytest.raises(SpillwayError) as error:
        run("--preview", UPDATE, "--use", str(file))
    assert [one.split(":")[1].strip() for one in error.value.lines] == [
        "all.natGB = 3", "stacks.aws-us-east-1.modelGib = -1",
    ]  # fmt: skip


def test_a_usage_file_may_tell_of_other_stacks_and_that_is_said(tmp_path: Path) -> None:
    file = tmp_path / "use.yaml"
    file.write_text("stacks: {aws-us-east-l: {natGb: 3}, aws-us-east-1: {natGb: 3}}\n")
    found = CliRunner().invoke(app, ["--preview", UPDATE, "--use", str(file)], catch_exceptions=False)
    assert found.exit_code == 0
    assert "stacks.aws-us-east-l: no --preview is of this stack (did you mean aws-us-east-1?)" in found.stderr
    assert "stacks.aws-us-east-1:" not in found.stderr


def test_two_forms_at_once_are_a_wrong_use() -> None:
    assert run("--preview", UPDATE, "--json", "--markdown")[0] == 2


def test_use_of_a_stack_that_is_not_priced_is_told(tmp_path: Path) -> None:
    use = tmp_path / "use.yaml"
    use.write_text("stacks: { gcp-us-centarl1: { egressGb: 3 } }\n")
    found = CliRunner().invoke(app, ["--preview", GCP, "--use", str(use)], catch_exceptions=False)
    assert f"note: {use}: stacks.gcp-us-centarl1: is in no --preview" in found.stderr
