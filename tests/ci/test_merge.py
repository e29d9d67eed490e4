"""Results of single stacks: read back to the same document, merged into one, and a row for each that left nothing."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Callable
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from spillway.ci.merge import NOTHING, merge, read_all
from spillway.ci.reading import document, read
from spillway.errors import SpillwayError
from spillway.preview.document import Document, Failover, PerMillion, Violation, failed_row
from spillway.preview.markdown import as_markdown
from spillway.preview.sheet import as_json, as_page
from tests.preview.test_document import NONE, becomes, row
from tests.preview.test_document import document as made

GROUP = "aws:autoscaling/group:Group"


@cache
def documents() -> dict[str, Document]:
    violations = (Violation("no-public-nodes", True, "node", "has a public address"), Violation("tags", False, "", "x"))
    return {
        "updated": made(row("aws-us-east-1.update", touched="stacks/Pulumi.aws-us-east-1.yaml")),
        "deleted": made(row("aws-us-east-1", becomes(GROUP, "delete"), violations=violations)),
        "replaced": made(row("gcp-us-central1", per_million=PerMillion(Decimal("1.234567"), "2 replicas"))),
        "failed": made(failed_row("azure-eastus", ["no | such <stack>", "more"], NONE), notes=("a note",)),
        "full": made(
            row("aws-us-east-1.update"),
            row("gcp-us-central1", per_million=PerMillion(None, "", "no replica")),
            failed_row("x", ["boom"], NONE),
            failovers=(Failover("global", 37.8, 60.0), Failover("global-b", 0.0, 0.0, "unknown")),
            budget=Decimal("120000.5"),
            left_out={"old": "its stack file is gone"},
            notes=("one", "two"),
        ),
    }


def text(name: str) -> str:
    return json.dumps(as_json(documents()[name]))


@pytest.mark.parametrize("name", ["updated", "deleted", "replaced", "failed", "full"])
def test_what_is_read_back_makes_the_same_comment_page_and_json(name: str) -> None:
    before, after = documents()[name], document(text(name), "preview.json")
    assert as_json(after) == as_json(before)
    assert as_markdown(after) == as_markdown(before)
    assert as_page(after) == as_page(before)


def test_single_results_merged_are_the_document_that_one_run_makes() -> None:
    whole = documents()["full"]
    parts = [
        Document(
            whole.title, whole.where, whole.base, whole.head, (one,),
            tuple(each for each in whole.failovers if one.stack == "x"), None, {}, (note,),
        )
        for one, note in zip(whole.rows, ("one", "two", "two"), strict=True)
    ]  # fmt: skip
    found = merge(
        list(reversed(parts)), expected={}, left_out={"old": "its stack file is gone"}, budget=Decimal("120000.5")
    )
    assert [one.stack for one in found.rows] == ["aws-us-east-1", "gcp-us-central1", "x"]
    assert found.delta == whole.delta
    assert found.over_budget == whole.over_budget
    assert sorted(found.notes) == ["one", "two"]
    assert as_markdown(found).splitlines()[:12] == as_markdown(whole).splitlines()[:12]


def test_a_stack_whose_job_left_nothing_is_a_row_that_fails() -> None:
    found = merge([documents()["updated"]], expected={"aws-us-east-1": "", "azure-eastus": "infra/azure/region.py"})
    (lost,) = [one for one in found.rows if one.outcome == "failed"]
    assert (lost.stack, lost.touched, lost.errors) == ("azure-eastus", "infra/azure/region.py", (NOTHING,))
    assert found.failed
    assert f"| **azure-eastus** | | | | | | | | | **failed**: {NOTHING} |" in as_markdown(found)


def folders(tmp_path: Path, **files: str) -> Path:
    for name, content in files.items():
        folder = tmp_path / f"preview-{name.replace('_', '-')}"
        folder.mkdir()
        (folder / "preview.json").write_text(content)
    return tmp_path


def test_a_result_that_cannot_be_read_costs_its_own_row_alone(tmp_path: Path) -> None:
    found, broken = read_all([folders(tmp_path, aws_us_east_1=text("updated"), azure_eastus='{"version": 1')])
    one = merge(found, expected={"aws-us-east-1": "", "azure-eastus": ""}, broken=broken)
    assert [(each.stack, each.outcome) for each in one.rows] == [
        ("aws-us-east-1", "previewed"), ("azure-eastus", "failed"),
    ]  # fmt: skip
    assert "preview-azure-eastus/preview.json" in one.rows[1].errors[0]


def test_a_single_broken_download_without_a_folder_of_its_name_is_told_of_the_stack_that_is_missing(
    tmp_path: Path,
) -> None:
    (tmp_path / "preview.json").write_text("{}")
    found, broken = read_all([tmp_path])
    one = merge(found, expected={"azure-eastus": ""}, broken=broken)
    assert one.rows[0].stack == "azure-eastus"
    assert "preview.json" in one.rows[0].errors[0]


def test_two_results_of_one_stack_and_results_of_two_commits_are_refused() -> None:
    once = documents()["updated"]
    with pytest.raises(SpillwayError, match="aws-us-east-1: two results of one stack"):
        merge([once, once])
    other = Document("t", "sandbox", "main", f"{once.head}+", documents()["failed"].rows)
    assert merge([once, other]).head == once.head  # the engine wrote a salt into its stack file
    other = Document("t", "sandbox", "main", "another", documents()["failed"].rows)
    with pytest.raises(SpillwayError, match="results of several commits"):
        merge([once, other])


def test_stacks_previewed_on_stand_ins_beside_accounts_are_named() -> None:
    here = documents()["updated"]
    there = Document(here.title, "account", here.base, here.head, documents()["failed"].rows)
    found = merge([here, there])
    assert found.where == "account"
    assert "On stand-in clouds: aws-us-east-1." in found.notes


def broken(edit: Callable[[dict[str, Any]], object]) -> str:
    data = copy.deepcopy(json.loads(text("updated")))
    edit(data)
    return json.dumps(data)


def at(data: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = data["stacks"][0]
    return found


@pytest.mark.parametrize(
    ("edit", "key"),
    [
        (lambda data: data.update(version=2), "version"),
        (lambda data: data.pop("stacks"), "stacks"),
        (lambda data: data.update(budgetMonthly="1e999999999"), "budgetMonthly"),
        (lambda data: data.update(budgetMonthly=12.5), "budgetMonthly"),
        (lambda data: at(data).update(stack="a](https://evil)"), "stacks.0.stack"),
        (lambda data: at(data)["cost"]["before"].update(steady="NaN"), "stacks.0.cost.before.steady"),
        (lambda data: at(data)["operations"].update(update=-1), "stacks.0.operations"),
        (lambda data: at(data).update(outcome="fine"), "stacks.0.outcome"),
        (lambda data: at(data).update(cost=None), "a stack that was previewed has a cost"),
        (lambda data: at(data)["changes"][0].update(operation="explode"), "stacks.0.changes.0.operation"),
        (lambda data: data.update(leftOut={"<b>": "x"}), "leftOut"),
    ],
)
def test_a_result_with_what_no_preview_writes_is_refused_by_key(edit: Callable[[Any], object], key: str) -> None:
    with pytest.raises(SpillwayError) as caught:
        document(broken(edit), "preview.json")
    assert all(line.startswith("preview.json: ") for line in caught.value.lines)
    assert any(key in line for line in caught.value.lines)


@pytest.mark.parametrize("content", ["", "null", "[]", "{", "\x00", '"text"', "[" * 5000])
def test_what_is_no_result_at_all_is_one_line(content: str) -> None:
    with pytest.raises(SpillwayError) as caught:
        document(content, "f")
    assert all("\n" not in line for line in caught.value.lines)


def test_a_link_and_a_pipe_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(text("updated"))
    (tmp_path / "preview.json").symlink_to(tmp_path / "secret")
    with pytest.raises(SpillwayError, match="is no regular file"):
        read(tmp_path)
    (tmp_path / "preview.json").unlink()
    os.mkfifo(tmp_path / "preview.json")
    with pytest.raises(SpillwayError, match="is no regular file"):
        read(tmp_path)
