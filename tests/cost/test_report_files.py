"""The files of a report beside its page, the command that writes them, and what is committed of them."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cost.compare import compare
from cost.prices.snapshot import Snapshot
from cost.report import document, files, markdown, table, words
from cost.report.__main__ import FOLDER
from cost.report.told import Told
from cost.scenario import SHIPPED, find, load
from spillway import outputs
from spillway.cli import app
from spillway.errors import SpillwayError
from tests.cost import focus_validator
from tests.cost.reported import SMALL, TODAY, compared, shipped, snapshot
from tests.cost.reported import document as scenario_file

SAID = """
Total: 5 | Pass: 3 | Fail: {fails} | Skipped: 1
+ CostAndUsage-D-000-M: SKIPPED  (violations=0, reason=Rule skipped - all child rules were skipped)
+ CostAndUsage-D-001-M: PASS  (violations=0, msg=CostAndUsage-D-001-M: AND passed - all child rules succeeded: [A])
+ CostAndUsage-D-002-M: PASS  (violations=0, msg=CostAndUsage-D-002-M: AND passed - all child rules succeeded: [B])
- InvoiceId-C-005-C: FAIL  (violations=9, msg=InvoiceId MUST NOT be NULL., 6.7ms)
"""


# --- CSV --------------------------------------------------------------------------------------------------------------


def rows(name: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(table.text_of(shipped(name)[1]))))


@pytest.mark.parametrize("name", SHIPPED)
def test_rows_of_an_option_come_to_its_cash(name: str) -> None:
    for option in shipped(name)[1].options:
        mine = [row for row in rows(name) if row["option"] == option.name and row["cash"]]
        total = sum((Decimal(row["cash"]) for row in mine), Decimal(0))
        assert abs(total - option.cash) <= Decimal("0.005") * len(option.lines)
        assert {row["currency"] for row in mine} <= {"USD"}
        assert all(row["price_source"] for row in mine)


def test_what_has_no_price_has_a_row_without_an_amount() -> None:
    gaps = [row for row in rows(SMALL) if row["why_no_amount"]]
    assert [(row["option"], row["line"]) for row in gaps] == [
        (one.option, one.what) for one in shipped(SMALL)[1].unpriced
    ]
    assert all(not row[key] for row in gaps for key in ("cash", "amortised", "levelised_month", "list", "unit_price"))


def test_a_text_is_no_formula_of_a_spreadsheet() -> None:
    found = shipped(SMALL)[1]
    first = replace(found.options[0], title="=HYPERLINK(1)", lines=(replace(found.options[0].lines[0], what="@x"),))
    row = next(csv.DictReader(io.StringIO(table.text_of(replace(found, options=(first,))))))
    assert row["title"] == "'=HYPERLINK(1)"
    assert row["line"] == "'@x"


# --- JSON -------------------------------------------------------------------------------------------------------------


def near(one: Any, other: Any) -> bool:
    """The same but for what is behind the twelfth decimal."""
    if isinstance(one, Decimal) and isinstance(other, Decimal):
        return abs(one - other) <= Decimal("1e-12")
    if isinstance(one, tuple) and isinstance(other, tuple):
        return len(one) == len(other) and all(map(near, one, other))
    if hasattr(one, "__dataclass_fields__"):
        return all(near(getattr(one, name), getattr(other, name)) for name in one.__dataclass_fields__)
    return bool(one == other)


@pytest.mark.parametrize("name", SHIPPED)
def test_a_document_gives_its_comparison_back(name: str, tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text(document.dumped(*shipped(name)))
    assert near(document.read(path), shipped(name)[1])


def test_a_document_has_a_line_of_figures_for_each_option() -> None:
    scenario, found = shipped("platform")
    body = json.loads(document.dumped(scenario, found))
    known = Told(scenario, found)
    assert [one["option"] for one in body["figures"]] == [one.name for one in (*known.ranked, *known.out)]
    assert body["figures"][0]["rank"] == 1
    assert body["currency"] == "USD"
    assert body["month_hours"] == "730"
    assert Decimal(body["figures"][0]["levelised_month"]) == Decimal(words.exact(known.ranked[0].levelised_month))


def test_a_document_says_what_was_converted(tmp_path: Path) -> None:
    changed = scenario_file()
    changed["currency"] = "EUR"
    changed["exchange"] = {"usd": 1.16, "source": "ECB reference rate", "observed": "2026-11-25"}
    body = json.loads(document.dumped(*compared(tmp_path / "euro.yaml", changed)))
    assert body["exchange"] == {
        "currency": "EUR", "usd": "1.16", "source": "ECB reference rate", "observed": "2026-11-25",
    }  # fmt: skip


def test_the_schema_is_that_of_this_version() -> None:
    assert document.SCHEMA.read_text() == document.schema()


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("{", "no JSON"),
        ("[]", "not the report.json of a cost report"),
        ('{"format": "spillway.cost", "version": 99}', "version: 99; this version reads 1"),
        ('{"format": "spillway.cost", "version": 1}', "currency: field required"),
    ],
)
def test_another_file_is_refused_in_a_line(text: str, line: str, tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text(text)
    with pytest.raises(SpillwayError, match=line) as caught:
        document.read(path)
    assert len(str(caught.value).splitlines()) == 1


# --- Markdown ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SHIPPED)
def test_markdown_has_the_answer_and_tables_of_even_rows(name: str) -> None:
    text = markdown.text_of(*shipped(name))
    known = Told(*shipped(name))
    assert f"{known.ranked[0].title} is the cheapest" in text.replace("\\", "")
    columns = 0
    for line in text.splitlines():
        if line.startswith("|"):
            cells = line.replace("\\|", "").count("|")
            assert columns in (0, cells)
            columns = cells
        else:
            columns = 0


# --- all of them ------------------------------------------------------------------------------------------------------


def test_the_same_comparison_gives_the_same_files(tmp_path: Path) -> None:
    scenario, found = shipped(SMALL)
    both = [files.write(scenario, snapshot(), found, tmp_path / name) for name in ("a", "b")]
    assert [one.name for one in both[0]] == list(files.NAMES)
    for first, second in zip(*both, strict=True):
        assert first.read_bytes() == second.read_bytes(), first.name
    assert sorted(one.name for one in (tmp_path / "a").iterdir()) == sorted(files.NAMES)


def test_spot_alone_is_no_answer_in_any_file(tmp_path: Path) -> None:
    changed = scenario_file("product")
    changed["options"] = [one for one in changed["options"] if one["name"] == "aws-spot"]
    changed["uncertain"], changed["cited"] = [], []
    scenario, found = compared(tmp_path / "spot.yaml", changed)
    files.write(scenario, snapshot(), found, tmp_path / "out")
    assert found.best == ""
    for name in ("report.html", "report.md", "report.json"):
        assert "there is nothing to choose from" in (tmp_path / "out" / name).read_text()


def test_a_file_that_cannot_be_written_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "report.md"
    path.write_text("earlier")

    def fill() -> None:
        with outputs.whole(path) as part:
            part.write_text("half")
            raise ValueError("full")

    with pytest.raises(ValueError, match="full"):
        fill()
    assert [one.read_text() for one in tmp_path.iterdir()] == ["earlier"]


def test_the_command_writes_six_files_and_tells_the_answer(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["cost", "report", "--scenario", SMALL, "--out", str(tmp_path), "--draws", "100"])
    assert done.exit_code == 0, done.output
    assert sorted(one.name for one in tmp_path.iterdir()) == sorted(files.NAMES)
    assert "is the cheapest" in done.stdout
    assert "note: Without a price" in done.stdout
    assert str(tmp_path / "report.html") in done.stdout
    assert "\n".join(str(tmp_path / name) for name in files.NAMES) in done.stdout


def test_the_command_tells_json_to_programs(tmp_path: Path) -> None:
    asked = ["cost", "report", "--scenario", SMALL, "--out", str(tmp_path), "--draws", "0", "--focus", "1.4", "--json"]
    done = CliRunner().invoke(app, asked)
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == json.loads((tmp_path / "report.json").read_text())
    from pyarrow import parquet

    path = tmp_path / "focus.parquet"
    assert "ServiceProviderName" in parquet.read_schema(path).names
    assert parquet.read_metadata(path).metadata[b"focus_version"] == b"1.4"


@pytest.mark.parametrize(
    ("asked", "line"),
    [
        (["--scenario", "smal-team"], "did you mean"),
        (["--scenario", SMALL, "--focus", "2"], "--focus = '2': has to be 1.2 or 1.4"),
        (["--scenario", SMALL, "--prices", "2020-01-01"], "2020-01-01"),
    ],
)
def test_a_wrong_option_is_told_in_a_line(
    asked: list[str], line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from spillway import cli

    assert cli.main(["cost", "report", "--out", str(tmp_path / "out"), *asked]) in (1, 2)
    told = capsys.readouterr().err
    assert line in told
    assert "Traceback" not in told
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_a_file_is_told_before_the_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from cost import compare as comparing
    from spillway import cli

    monkeypatch.delattr(comparing, "compare")
    (tmp_path / "out").write_text("a file")
    assert cli.main(["cost", "report", "--scenario", SMALL, "--out", str(tmp_path / "out")]) == 1
    assert "--out" in (told := capsys.readouterr().err)
    assert "has to be a folder" in told


def test_a_folder_that_cannot_be_made_is_told_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    scenario, found = shipped(SMALL)
    with pytest.raises(SpillwayError, match="the report cannot be written") as caught:
        files.write(scenario, snapshot(), found, tmp_path / "out")
    assert len(str(caught.value).splitlines()) == 1


# --- docs/reports -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SHIPPED)
def test_committed_reports_are_those_of_the_scenario_the_prices_and_the_code(name: str) -> None:
    """Without draws, so that it stays cheap; what is drawn comes from the same inputs."""
    told = "docs/reports is of another day: run `make reports`"
    scenario, latest = load(find(name)), Snapshot.load()
    kept = document.read(FOLDER / name / "report.json")
    assert kept.snapshot == latest.id, told
    assert kept.text == scenario.text, told
    now = compare(scenario, latest, today=latest.date, draws=0)
    assert [one.name for one in kept.options] == [one.name for one in now.options], told
    for then, one in zip(kept.options, now.options, strict=True):
        assert (then.status, then.why, then.nodes) == (one.status, one.why, one.nodes), told
        assert near((then.cash, then.levelised_month, then.npv), (one.cash, one.levelised_month, one.npv)), told
    assert kept.montecarlo is not None
    assert kept.montecarlo.draws == scenario.data.monte_carlo.draws
    assert sorted(one.name for one in (FOLDER / name).iterdir()) == sorted(files.NAMES)


def test_the_example_of_the_documentation_works(tmp_path: Path) -> None:
    text = (FOLDER.parent / "cost.md").read_text().partition("```yaml\n")[2].partition("```")[0]
    path = tmp_path / "support.yaml"
    path.write_text(text)
    scenario = load(path)
    found = compare(scenario, snapshot(), today=TODAY, draws=100)
    assert {one.status for one in found.options} == {"priced"}
    assert any(one.owner == "product" and one.source == "logs of October" for one in scenario.assumptions)


# --- the official validator of FOCUS ----------------------------------------------------------------------------------


def test_words_of_the_validator_are_read_and_its_false_fail_is_known() -> None:
    found = focus_validator.read(SAID.format(fails=1))
    assert (found.total, found.passed, found.skipped, found.failed) == (5, 3, 1, ())
    assert found.faults == []


def test_a_fail_of_the_validator_is_a_fault() -> None:
    text = SAID.format(fails=2) + "- BilledCost-C-001-M: FAIL  (violations=1, msg=BilledCost MUST be a decimal.)\n"
    assert [one.partition(":")[0] for one in focus_validator.read(text).faults] == ["BilledCost-C-001-M"]


def test_a_validator_that_did_not_look_at_the_whole_is_a_fault() -> None:
    text = "\n".join(line for line in SAID.format(fails=1).splitlines() if "CostAndUsage" not in line)
    assert len(focus_validator.read(text).faults) == 3


@pytest.mark.parametrize("text", ["", SAID.format(fails=4)])
def test_a_validator_that_says_something_else_is_no_pass(text: str) -> None:
    with pytest.raises(RuntimeError, match="validator"):
        focus_validator.read(text)


@pytest.mark.skipif(not focus_validator.there(), reason="made by `make test-focus`, with Python 3.12")
def test_the_official_validator_finds_no_fault_in_an_estimate(tmp_path: Path) -> None:
    from cost.report import focus

    found = focus_validator.validate(focus.write_parquet(shipped(SMALL)[1], tmp_path / "focus.parquet"))
    assert found.faults == []
    assert found.passed >= 130
