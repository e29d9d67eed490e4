"""What a review says of recorded plans: rows, differences, cuts, and the same text for the same input."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from cost.plan.preview import Preview, parse
from cost.plan.pricing import price_plan
from cost.prices.snapshot import Snapshot
from spillway.preview.document import Document, Failover, PerMillion, StackRow, Violation, failed_row, row_of
from spillway.preview.facts import refused
from spillway.preview.markdown import LIMIT, MARKER, as_markdown
from spillway.preview.secrets import Masker
from spillway.preview.sheet import as_json, as_page

PLANS = Path(__file__).parents[1] / "cost" / "plans"
TODAY = date(2026, 11, 26)
Edit = Callable[[dict[str, Any]], None]
NONE = Masker()


@cache
def text(name: str) -> str:
    return (PLANS / f"{name}.json").read_text()


def plan(name: str, edit: Edit | None = None) -> Preview:
    data = copy.deepcopy(json.loads(text(name)))
    if edit:
        edit(data)
    return parse(json.dumps(data), name)


def row(name: str, edit: Edit | None = None, **more: Any) -> StackRow:
    one = plan(name, edit)
    return row_of(one, price_plan(one, Snapshot.load(), TODAY), more.pop("masker", NONE), **more)


def document(*rows: StackRow, **more: Any) -> Document:
    return Document("Preview of infrastructure changes", "sandbox", "main (abc)", "def", rows, **more)


def becomes(type_: str, op: str) -> Edit:
    """Steps of a type as another operation on what stands."""

    def edit(data: dict[str, Any]) -> None:
        for step in data["steps"]:
            if step["newState"]["type"] == type_:
                step |= {"op": op, "oldState": copy.deepcopy(step["newState"])}
                if op == "delete":
                    del step["newState"]
            elif "oldState" not in step:
                step |= {"op": "same", "oldState": copy.deepcopy(step["newState"])}

    return edit


def test_a_row_counts_operations_and_tells_properties_before_and_after() -> None:
    found = row("aws-us-east-1.update")
    assert {op: count for op, count in found.counts.items() if count and op != "same"} == {"update": 4}
    pool = next(one for one in found.changes if one.name == "aws-us-east-1-pools-spot")
    assert ("minSize", "2", "3") in [(one.path, one.before, one.after) for one in pool.diffs]
    assert pool.component == ("Region", "Pools")
    assert pool.delta > 7000


def test_the_headline_is_the_sum_of_the_rows() -> None:
    found = document(row("aws-us-east-1.update"), row("gcp-us-central1"))
    assert found.delta.steady == sum((one.cost.delta.steady for one in found.rows if one.cost), Decimal(0))
    told = as_markdown(found)
    assert told.startswith(MARKER)
    assert told.index("USD a month**") < told.index("| stack |") < told.index("<details>")


@pytest.mark.parametrize(("type_", "name", "words"), [
    ("aws:autoscaling/group:Group", "aws-us-east-1", "spot node of aws-us-east-1 ends with its group of 2 replicas"),
    ("aws:s3/bucket:Bucket", "aws-us-east-1", "no weights until they are pushed again"),
    ("aws:ec2/eip:Eip", "aws-us-east-1", "gets other addresses"),
    ("azure-native:network:LoadBalancer", "azure-eastus", "open connections end"),
    ("gcp:secretmanager/secret:Secret", "gcp-us-central1", "nodes stay unready"),
    ("aws:route53/zone:Zone", "global", "other name servers"),
])  # fmt: skip
def test_a_replacement_says_what_serving_loses_and_stands_before_the_details(type_: str, name: str, words: str) -> None:
    found = as_markdown(document(row(name, becomes(type_, "replace"))))
    assert words in found
    assert found.index(words) < found.index("<details>")
    assert "**worst operation: replaces" in found


def test_a_deleted_pool_has_nothing_in_its_place() -> None:
    found = row("aws-us-east-1", becomes("aws:autoscaling/group:Group", "delete"))
    assert found.counts["delete"] == 2
    assert all("nothing takes their place" in one.lost for one in found.changes)
    assert found.cost is not None
    assert found.cost.delta.steady < 0


def test_many_deletions_alike_are_counted_and_not_lost() -> None:
    found = as_markdown(document(row("global", becomes("aws:route53/record:Record", "delete"))))
    assert found.count("**− deletes** `") == 5
    assert "more of aws:route53/record:Record" in found


def test_what_the_engine_protects_is_told_with_what_would_be_lost() -> None:
    def edit(data: dict[str, Any]) -> None:
        becomes("aws:route53/zone:Zone", "replace")(data)
        for step in data["steps"]:
            if step["op"] == "replace":
                step["oldState"]["protect"] = True

    one = plan("global", edit)
    zone = next(change for change in one.changes if change.op == "replace")
    errors = (f'unable to replace resource "{zone.urn}" as it is currently marked for protection.',)
    told = refused(errors, one)
    assert [each.name for each in told] == ["global-zone"]
    found = document(row("global", edit, refused=told))
    assert found.failed
    assert "**protected: 1**" in as_markdown(found)
    assert "**protected, and would go**: `global-zone`" in as_markdown(found)
    assert refused((), one) == ()


def test_a_stack_that_failed_is_a_row_with_its_reason() -> None:
    found = document(failed_row("gcp-us-central1", ("image.family = X: wrong | <b>",), NONE), row("azure-eastus"))
    told = as_markdown(found)
    assert "| **gcp-us-central1** |" in told
    assert "wrong \\| &lt;b>" in told
    assert "could not be previewed: gcp-us-central1" in told
    assert found.failed
    assert as_json(found)["stacks"][0]["errors"] == ["image.family = X: wrong | <b>"]


def test_policies_budgets_and_failover_are_in_the_headline() -> None:
    broken = Violation("imdsv2", True, "aws-us-east-1-spot", "http tokens are optional")
    found = document(
        row("aws-us-east-1.update", violations=[broken, Violation("tags", False, "", "no team")]),
        failovers=(Failover("global", 52.0, 60.0), Failover("global-b", 80.0, 60.0)),
        budget=Decimal(1000),
    )
    told = as_markdown(found)
    for words in (
        "refused by policy: aws-us-east-1", "**1 violated**, 1 to note", "in 52 s, within 60 s",
        "80 s, **beyond** 60 s",
        "**exceeds** the fleet's budget of 1,000",
    ):  # fmt: skip
        assert words in told, words
    assert found.failed
    assert not document(row("aws-us-east-1.update", violations=[])).failed


def test_the_price_of_a_million_tokens_is_told_or_left_out() -> None:
    told = as_markdown(document(row("gcp-us-central1", per_million=PerMillion(Decimal("0.8"), "2 replicas busy"))))
    assert "0.80 USD per million tokens, 2 replicas busy" in told
    assert "per million" not in as_markdown(document(row("azure-eastus", per_million=PerMillion(None, "", "no price"))))


@pytest.mark.parametrize("limit", [LIMIT, 20_000, 8_000, 3_000])
def test_a_long_comment_is_cut_by_importance_and_never_the_summary(limit: int) -> None:
    rows = [
        row(name) for name in ("aws-us-east-1", "aws-us-east-1.update", "azure-eastus", "gcp-us-central1", "global")
    ]
    found = document(*rows)
    whole, cut = as_markdown(found, 10**9), as_markdown(found, limit)
    assert len(cut) <= limit
    assert len(whole) > 20_000
    summary = whole[: whole.index("<details>")]
    assert cut.startswith(summary.rstrip("\n").rsplit("\n\n###", 1)[0][:1500])
    for one in found.rows:
        assert f"| {one.stack} |" in cut
    if len(whole) > limit:
        assert "Too long for a comment" in cut
    with pytest.raises(ValueError, match="too few for the summary"):
        as_markdown(found, 300)


def test_the_same_input_is_the_same_text_whatever_the_order_of_steps() -> None:
    def shuffle(data: dict[str, Any]) -> None:
        random.Random(3).shuffle(data["steps"])

    one, other = document(row("aws-us-east-1.update")), document(row("aws-us-east-1.update", shuffle))
    assert as_markdown(one) == as_markdown(other)
    assert json.dumps(as_json(one)) == json.dumps(as_json(other))
    assert as_page(one) == as_page(other)


def test_nothing_changes_is_said_in_a_few_words() -> None:
    told = as_markdown(document(row("gcp-us-central1", becomes("none", "same"))))
    assert "nothing changes" in told
    assert "what it costs" not in told


def test_the_page_has_everything_and_no_script() -> None:
    found = as_page(document(row("aws-us-east-1.update", touched="stacks/Pulumi.aws-us-east-1.yaml")))
    assert "<script" not in found
    assert "http://" not in found.replace("http://www.w3.org", "")
    assert "minSize" in found
    assert "Touched by stacks/Pulumi.aws-us-east-1.yaml" in found


def test_markup_in_values_is_shown_as_it_is_written() -> None:
    def edit(data: dict[str, Any]) -> None:
        for step in data["steps"]:
            if step["newState"]["type"] == "aws:autoscaling/group:Group" and "oldState" in step:
                step["newState"]["inputs"]["name"] = "<img src=x onerror=alert(1)>```</details>"

    found = document(row("aws-us-east-1.update", edit))
    assert "<img" not in as_page(found)
    told = as_markdown(found)
    assert "```</details>" not in told


def test_a_bill_that_leaves_the_nodes_out_says_so() -> None:
    """At 653 USD of 40,360 a region would look the cheapest of all."""
    azure, aws = row("azure-eastus"), row("aws-us-east-1")
    assert (azure.lacking, aws.lacking) == ("without nodes", "")
    assert "| 652.71 **without nodes** |" in as_markdown(document(azure, aws))
    assert "652.71 without nodes" in as_page(document(azure, aws))
    assert row("global-cloudflare").lacking == "without any price"
