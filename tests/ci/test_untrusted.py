"""What a fork's run left: only for its own pull request, and nothing in it links, mentions or closes a tag."""

from __future__ import annotations

import json
import re
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from typer.testing import CliRunner

from spillway.ci import github
from spillway.ci.api import Api
from spillway.ci.untrusted import Stale, belongs, defused, number_of, run_of
from spillway.ci_cli import app
from spillway.errors import SpillwayError
from spillway.preview.document import failed_row
from spillway.preview.markdown import MARKER, as_markdown
from spillway.preview.sheet import as_json
from tests.ci.fake_github import BASE, REPOSITORY, FakeGithub
from tests.preview.test_document import NONE, document

SHA, NEWER = "a" * 40, "b" * 40
FORK = "mallory/spillway"


def fake(head: str = SHA, source: str | None = FORK, state: str = "open") -> FakeGithub:
    repository = None if source is None else {"full_name": source}
    return FakeGithub(pull={"head": {"sha": head, "repo": repository}, "state": state}, commits=[SHA, NEWER])


def api(found: FakeGithub) -> Api:
    return Api("GitHub", BASE, github.headers("secret-token"), github.RIGHTS, transport=found.transport)


def test_a_result_belongs_to_the_pull_request_whose_head_the_run_was_of() -> None:
    belongs(api(fake()), REPOSITORY, 7, SHA, FORK)


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (fake(source="victim/spillway"), "is of victim/spillway, the run was of mallory/spillway"),
        (fake(source=None), "a repository that is gone"),
        (fake(source=REPOSITORY), f"is of {REPOSITORY}"),
        (fake(head="c" * 40), "is at cccccccccccc, the run was of dddddddddddd"),
    ],
)
def test_a_result_that_names_somebody_elses_pull_request_is_not_posted(found: FakeGithub, why: str) -> None:
    with pytest.raises(SpillwayError, match=why) as caught:
        belongs(api(found), REPOSITORY, 7, "d" * 40, FORK)
    assert not isinstance(caught.value, Stale)


def test_a_pull_request_that_moved_on_or_was_closed_gets_nothing_and_no_failure() -> None:
    for found in (fake(head=NEWER), fake(state="closed")):
        with pytest.raises(Stale):
            belongs(api(found), REPOSITORY, 7, SHA, FORK)


@pytest.mark.parametrize("text", ["", "7 8", "07", "-7", "7; rm", "１２", "9" * 11, "7\n8"])
def test_a_number_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "pull-request").write_text(text)
    with pytest.raises(SpillwayError, match=r"has to be the number|bytes"):
        number_of(tmp_path)


@pytest.mark.parametrize(
    "event", [{}, {"workflow_run": None}, {"workflow_run": {"head_sha": "x", "head_repository": {"full_name": "a/b"}}},
              {"workflow_run": {"head_sha": SHA, "head_repository": None}}],
)  # fmt: skip
def test_an_event_that_tells_no_run_is_refused(event: dict[str, Any]) -> None:
    with pytest.raises(SpillwayError, match="workflow_run"):
        run_of(event)


BAD = (
    "@octocat", "org/x@abcdef", "#12", "GH-12", "[a](https://e.vil)", "![a](https://e.vil/p.png)", "https://e.vil",
    "www.e.vil", "[a]: /x", "[a][b]", "<img src=x>", "<a href=x>", "</td>", "<!-- spillway-preview -->", "\u202eevil",
    "<script>", "<details open>", "mailto:a@b.c", "<https://e.vil>", "ftp://x",
)  # fmt: skip
ACTIVE = (
    re.compile(r"@[A-Za-z0-9_-]"), re.compile(r"#[0-9]"), re.compile(r"\]\("), re.compile(r"!\["), re.compile("://"),
    re.compile(r"\bwww\."), re.compile(r"\]:"), re.compile(r"<(?!/?(details|summary)>)"), re.compile("[\u202a-\u202e]"),
)  # fmt: skip


@given(st.lists(st.one_of(st.sampled_from(BAD), st.text(max_size=12)), max_size=12))
@example(["@", "\u202eevil"])
@example(["www\u202a.e.vil", "]", "\u2066(x)"])
def test_nothing_active_is_left_whatever_a_fork_writes(parts: list[str]) -> None:
    text = defused(f"{MARKER}\n{''.join(parts)}", MARKER)
    assert text.startswith(f"{MARKER}\n> [!WARNING]")
    below = text.split("diff shows what it is.", 1)[1]
    for pattern in ACTIVE:
        assert not pattern.search(below), pattern.pattern


def result(tmp_path: Path, number: str = "7") -> tuple[Path, str]:
    folder = tmp_path / "result"
    folder.mkdir()
    evil = failed_row("aws-us-east-1", ["@octocat see ![x](https://e.vil/p.png) <img src=x> #1"], NONE)
    found = document(evil)
    (folder / "preview.json").write_text(json.dumps(as_json(found)))
    (folder / "comment.md").write_text(f"{MARKER}\nthe fork's own text\n")
    (folder / "pull-request").write_text(number + "\n")
    return folder, as_markdown(found)


def run(tmp_path: Path, found: FakeGithub, monkeypatch: pytest.MonkeyPatch, folder: Path) -> Any:
    event = tmp_path / "event.json"
    event.write_text(json.dumps({"workflow_run": {"head_sha": SHA, "head_repository": {"full_name": FORK}}}))
    environment = {
        "GITHUB_ACTIONS": "true", "GITHUB_TOKEN": "secret-token", "GITHUB_API_URL": BASE,
        "GITHUB_REPOSITORY": REPOSITORY, "GITHUB_EVENT_PATH": str(event),
    }  # fmt: skip
    monkeypatch.setattr("spillway.ci.places.Api", partial(Api, transport=found.transport))
    return CliRunner().invoke(app, ["comment", "--fork-run", str(folder)], env=environment)


def test_the_comment_of_a_fork_is_told_by_our_code_and_harmless(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, raw = result(tmp_path)
    found = fake()
    done = run(tmp_path, found, monkeypatch, folder)
    assert done.exit_code == 0, done.output
    (body,) = [one["body"] for one in found.comments.values()]
    assert "the fork's own text" not in body
    assert "@octocat" in raw
    assert "@octocat" not in body
    assert "://" not in body
    assert "computed by the fork's own code" in body
    assert "**failed**" in body


def test_a_result_for_another_pull_request_posts_nothing_and_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _ = result(tmp_path, "8")
    found = fake(source="victim/spillway")
    done = run(tmp_path, found, monkeypatch, folder)
    assert "is of victim/spillway" in str(done.exception)
    assert not found.comments
    assert [one for one in found.requests if not one.startswith("GET")] == []


def test_a_result_of_an_older_commit_posts_nothing_and_does_not_fail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _ = result(tmp_path)
    found = fake(head=NEWER)
    done = run(tmp_path, found, monkeypatch, folder)
    assert done.exit_code == 0
    assert "has moved on" in done.output
    assert not found.comments
