"""An issue for each stack that drifted: made once, told of changes only, closed when the stack is clean."""

from __future__ import annotations

import copy
from typing import Any

import httpx
import pytest

from spillway.ci import github
from spillway.ci.api import Api
from spillway.ci.drift import LABEL, Done, fingerprint, report, severity
from spillway.ci.merge import NOTHING
from spillway.preview.document import Refused, StackRow, failed_row
from tests.ci.fake_github import BASE, REPOSITORY, FakeGithub, once
from tests.preview.test_document import NONE, becomes, document, row

STACK = "aws-us-east-1"
GROUP = "aws:autoscaling/group:Group"
RUN = "https://run/1"


def same() -> StackRow:
    def edit(data: dict[str, Any]) -> None:
        for step in data["steps"]:
            step |= {"op": "same", "oldState": copy.deepcopy(step["newState"])}

    return row(STACK, edit)


def changed() -> StackRow:
    return row(STACK, becomes("aws:ec2/launchTemplate:LaunchTemplate", "update"))


def deleted() -> StackRow:
    return row(STACK, becomes(GROUP, "delete"))


def look(fake: FakeGithub, *rows: StackRow, known: list[str] | None = None) -> list[Done]:
    api = Api("GitHub", BASE, github.headers("secret-token"), github.RIGHTS, transport=fake.transport,
              sleep=fake.slept.append)  # fmt: skip
    return list(report(document(*rows), github.Issues(api, REPOSITORY, LABEL), run=RUN, known=known))


def issue(fake: FakeGithub) -> dict[str, Any]:
    (found,) = fake.issues.values()
    return found


def test_severity_is_of_the_worst_that_happened() -> None:
    assert severity(same()) == "clean"
    assert severity(changed()) == "medium"
    assert severity(deleted()) == "high"
    assert severity(row(STACK)) == "high"  # all would be made again: it is gone
    refused = row(STACK, becomes(GROUP, "delete"), refused=(Refused("pool", GROUP, ""),))
    assert severity(refused) == "critical"
    assert severity(failed_row(STACK, ["x"], NONE)) == "unknown"


def test_a_fingerprint_is_severity_and_counts() -> None:
    assert fingerprint(deleted()) == "high:delete=2:replace=0:update=0:create=0"
    assert fingerprint(changed()).startswith("medium:delete=0:replace=0:update=")


def test_drift_makes_one_issue_with_the_review_in_it() -> None:
    fake = FakeGithub()
    (done,) = look(fake, deleted())
    assert done.what.endswith("issue made")
    found = issue(fake)
    assert found["title"] == f"Drift: {STACK}"
    assert found["body"].startswith(f"<!-- spillway-drift stack={STACK} fingerprint=high:delete=2:")
    assert "deletes" in found["body"]
    assert found["body"].rstrip().endswith(f"({RUN})")
    assert [one["name"] for one in found["labels"]] == [LABEL]


def test_the_same_drift_the_next_night_says_nothing() -> None:
    fake = FakeGithub()
    look(fake, deleted())
    before = copy.deepcopy(fake.issues)
    (done,) = look(fake, deleted())
    assert done.what.endswith("as before")
    assert fake.issues == before
    assert fake.said == []


def test_another_fingerprint_is_told_in_the_same_issue() -> None:
    fake = FakeGithub()
    look(fake, changed())
    look(fake, deleted())
    ((number, text),) = fake.said
    assert number == issue(fake)["number"]
    assert text.startswith("Now `high:delete=2:")
    assert "before `medium:" in text
    assert "fingerprint=high" in issue(fake)["body"]


def test_a_clean_stack_closes_its_issue_and_drift_again_reopens_it() -> None:
    fake = FakeGithub()
    look(fake, deleted())
    (done,) = look(fake, same())
    assert done.what == "clean: closed"
    assert (issue(fake)["state"], issue(fake)["state_reason"]) == ("closed", "completed")
    assert fake.said[-1][1].startswith("Clean: ")
    (done,) = look(fake, deleted())
    assert done.what.endswith("reopened")
    assert issue(fake)["state"] == "open"
    assert fake.said[-1][1].startswith("Again: ")


def test_a_clean_stack_without_an_issue_makes_none() -> None:
    fake = FakeGithub()
    assert look(fake, same()) == [Done(STACK, "clean")]
    assert not fake.issues


def test_a_failed_preview_keeps_the_issue_of_the_drift_seen_last() -> None:
    fake = FakeGithub()
    look(fake, deleted())
    before = copy.deepcopy(fake.issues)
    (done,) = look(fake, failed_row(STACK, [NOTHING], NONE))
    assert done.failed
    assert fake.issues == before


def test_a_failed_preview_without_an_issue_makes_one_that_says_why() -> None:
    fake = FakeGithub()
    (done,) = look(fake, failed_row(STACK, ["no credentials"], NONE))
    assert done.failed
    assert "fingerprint=unknown" in issue(fake)["body"]
    assert "no credentials" in issue(fake)["body"]


def test_an_issue_without_our_label_or_a_pull_request_is_none_of_ours() -> None:
    fake = FakeGithub()
    forged = f"<!-- spillway-drift stack={STACK} fingerprint=high -->"
    fake.issue(forged, label="bug")
    fake.issue(forged, pull_request={"url": "x"})
    before = copy.deepcopy(fake.issues)
    look(fake, same())
    assert fake.issues == before


def test_of_two_open_issues_the_latest_stays() -> None:
    fake = FakeGithub()
    body = f"<!-- spillway-drift stack={STACK} fingerprint=high -->"
    first, second = fake.issue(body), fake.issue(body)
    look(fake, deleted())
    assert fake.issues[first]["state"] == "closed"
    assert fake.issues[second]["state"] == "open"


def test_an_issue_of_a_stack_that_is_looked_at_no_more_is_closed() -> None:
    fake = FakeGithub()
    gone = fake.issue("<!-- spillway-drift stack=gcp-old fingerprint=high -->")
    look(fake, same())
    assert fake.issues[gone]["state"] == "open"
    look(fake, same(), known=[STACK])
    assert (fake.issues[gone]["state"], fake.issues[gone]["state_reason"]) == ("closed", "not_planned")


def test_a_lost_answer_makes_no_second_issue() -> None:
    fake = FakeGithub(lose={"POST"})
    look(fake, deleted())
    assert len(fake.issues) == 1


def test_issues_are_found_behind_full_pages() -> None:
    fake = FakeGithub(page=2)
    mine = fake.issue(f"<!-- spillway-drift stack={STACK} fingerprint=high -->")
    for number in range(9):
        fake.issue(f"<!-- spillway-drift stack=other-{number} fingerprint=high -->")
    look(fake, same())
    assert fake.issues[mine]["state"] == "closed"


def test_a_missing_right_is_told() -> None:
    fake = FakeGithub(rules=[once("POST", lambda: httpx.Response(403, json={"message": "Resource not accessible"}))])
    with pytest.raises(Exception, match="`issues: write` for issues"):
        look(fake, deleted())


def refreshed(data: dict[str, Any], edit: dict[str, str]) -> None:
    """As `preview --refresh` tells it: what was recorded, then what a cloud holds; `edit` undoes a change or a loss."""
    found = []
    for step in data["steps"]:
        recorded = step["newState"]
        found.append({"op": "refresh", "urn": step["urn"], "oldState": recorded, "newState": recorded})
        op = edit.get(recorded["type"], "same")
        held = copy.deepcopy(recorded)
        if op == "update":
            held["inputs"]["description"] = "changed by hand"
        more = {} if op == "create" else {"oldState": held}
        found.append({"op": op, "urn": step["urn"], "newState": recorded, **more})
    data["steps"] = found


def test_what_is_gone_from_a_cloud_or_was_changed_there_is_drift_and_the_rest_is_none() -> None:
    group, template = "aws:autoscaling/group:Group", "aws:ec2/launchTemplate:LaunchTemplate"
    assert severity(row(STACK, lambda data: refreshed(data, {}))) == "clean"
    found = row(STACK, lambda data: refreshed(data, {group: "create", template: "update"}))
    assert fingerprint(found) == "high:delete=0:replace=0:update=2:create=2"
    diffs = [diff for one in found.changes if one.op == "update" for diff in one.diffs]
    assert {(one.path, one.before) for one in diffs} == {("description", "changed by hand")}
