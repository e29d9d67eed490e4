"""A report against an earlier one of the same scenario."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cost.report import document, html, markdown
from cost.report.since import Since
from cost.result import Comparison
from spillway import cli
from tests.cost.reported import SMALL, compared, shipped
from tests.cost.reported import document as scenario_file


def dearer(found: Comparison, factor: Decimal) -> Comparison:
    """The same with other unit prices and months of every option."""
    options = tuple(
        replace(
            one,
            levelised_month=one.levelised_month * factor,
            lines=tuple(replace(line, unit_price=line.unit_price * factor) for line in one.lines),
        )
        for one in found.options
    )
    return replace(found, options=options)


def test_nothing_has_changed_since_the_same_report(tmp_path: Path) -> None:
    scenario, found = shipped(SMALL)
    path = tmp_path / "report.json"
    path.write_text(document.dumped(scenario, found))
    since = Since(found, document.read(path))
    assert since.inputs() == ()
    assert since.prices() == ()
    assert {one.change for one in since.options()} == {0}
    assert since.sentence().endswith("; it still is.")


@given(st.decimals(min_value="0.5", max_value=2, places=3).filter(lambda one: one != 1))
def test_every_price_that_changed_is_told(factor: Decimal) -> None:
    found = shipped(SMALL)[1]
    since = Since(dearer(found, factor), found)
    told = {one.what for one in since.prices()}
    for option in found.options:
        for line in option.lines:
            assert (f"{option.title}: {line.what}" in told) == (line.unit_price != 0)
    for one in since.options():
        assert one.change is not None
        assert one.then is not None
        assert (one.change > 0) == (factor > 1)


def test_an_input_an_option_and_an_answer_that_changed_are_told(tmp_path: Path) -> None:
    changed = scenario_file()
    changed["workload"]["tokensPerDay"] = 200_000
    changed["options"] = [one for one in changed["options"] if one["name"] != "api-open"]
    scenario, found = compared(tmp_path / f"{SMALL}.yaml", changed)
    earlier = shipped(SMALL)[1]
    since = Since(found, earlier)
    inputs = {one.what: (one.then, one.now) for one in since.inputs()}
    assert inputs["workload.tokensPerDay"] == ("100,000", "200,000")
    assert next(now for key, (_, now) in inputs.items() if key.startswith("options.api-open.")) == "–"
    gone = next(one for one in since.options() if one.title == earlier.option("api-open").title)
    assert (gone.now, gone.change) == (None, None)
    assert since.sentence().endswith("; it is no more.")
    for text in (html.page_of(scenario, found, earlier), markdown.text_of(scenario, found, earlier)):
        assert "Since the earlier report" in text
        assert "200,000" in text
    body = json.loads(document.dumped(scenario, found, earlier))
    assert {"kind": "input", "what": "workload.tokensPerDay", "unit": "tokens/day", "then": "100,000",
            "now": "200,000"} in body["since"]  # fmt: skip


def test_a_page_against_nothing_does_not_speak_of_it() -> None:
    assert "Since the earlier report" not in html.page_of(*shipped(SMALL))


def test_the_command_takes_an_earlier_report_of_the_same_scenario(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "earlier.json"
    path.write_text(document.dumped(*shipped(SMALL)))
    asked = ["cost", "report", "--draws", "0", "--out", str(tmp_path / "out"), "--against", str(path)]
    assert cli.main([*asked, "--scenario", SMALL]) == 0
    assert "it still is" in capsys.readouterr().out
    assert cli.main([*asked, "--scenario", "product"]) == 1
    assert f"--against {path}: is a report of the scenario small-team, not of product" in capsys.readouterr().err
    assert cli.main([*asked[:-1], str(tmp_path / "none.json"), "--scenario", SMALL]) == 1
    assert "none.json: cannot be read: No such file or directory" in capsys.readouterr().err
