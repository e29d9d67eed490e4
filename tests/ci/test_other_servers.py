"""The same comment on GitLab and Azure Repos, from Jenkins too, and drift as issues of GitLab."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from typer.testing import CliRunner

from spillway.ci import azure, gitlab
from spillway.ci.api import Api
from spillway.ci.drift import LABEL, report
from spillway.ci.places import Place, platform
from spillway.ci.sticky import Conversation, stick
from spillway.ci_cli import app
from spillway.errors import SpillwayError
from spillway.preview.document import failed_row
from spillway.preview.markdown import LIMIT, MARKER
from spillway.preview.sheet import as_json
from tests.ci.fake_github import BASE, FakeGithub
from tests.ci.test_drift import deleted, same
from tests.preview.test_document import NONE, document, row

TEXT = f"{MARKER}\n## Preview\n"
ME = 42
HOST = "https://gitlab.example/api/v4"
ORGANISATION = "https://dev.azure.example/acme/"


@dataclass
class FakeGitlab:
    """Project acme/spillway with merge request 7."""

    notes: dict[int, dict[str, Any]] = field(default_factory=dict)
    issues: dict[int, dict[str, Any]] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)
    page: int = 100
    forbidden: bool = False

    def note(self, body: str, author: int = ME, system: bool = False) -> int:
        number = 100 + len(self.notes)
        self.notes[number] = {"id": number, "body": body, "author": {"id": author}, "system": system}
        return number

    def answer(self, request: httpx.Request) -> httpx.Response:
        assert request.headers["private-token"] == "secret-token"
        assert request.url.raw_path.decode().startswith(("/api/v4/projects/acme%2Fspillway/", "/api/v4/user"))
        path = request.url.path.removeprefix("/api/v4").removeprefix("/projects/acme/spillway")
        body = json.loads(request.content) if request.content else {}
        key = (request.method, re.sub(r"\d+", "N", path))
        number = int((re.findall(r"\d+", path) or ["0"])[-1])
        match key:
            case ("GET", "/user"):
                return httpx.Response(200, json={"id": ME})
            case ("GET", "/merge_requests/N/notes"):
                return self._page(request, list(self.notes.values()))
            case ("POST", "/merge_requests/N/notes") if self.forbidden:
                return httpx.Response(403, json={"message": "403 Forbidden"})
            case ("POST", "/merge_requests/N/notes"):
                return httpx.Response(201, json=self.notes[self.note(body["body"])])
            case ("PUT", "/merge_requests/N/notes/N"):
                self.notes[number]["body"] = body["body"]
                return httpx.Response(200, json=self.notes[number])
            case ("DELETE", "/merge_requests/N/notes/N"):
                self.notes.pop(number)
                return httpx.Response(204)
            case ("GET", "/issues"):
                found = [one for one in self.issues.values() if request.url.params["labels"] in one["labels"]]
                return self._page(request, found)
            case ("POST", "/issues"):
                iid = len(self.issues) + 1
                told = {
                    "iid": iid,
                    "state": "opened",
                    "web_url": f"https://g/{iid}",
                    **body,
                    "labels": [body["labels"]],
                }
                self.issues[iid] = told
                return httpx.Response(201, json=told)
            case ("PUT", "/issues/N"):
                event = body.pop("state_event", None)
                state = {"close": "closed", "reopen": "opened"}.get(event, self.issues[number]["state"])
                self.issues[number] |= {**body, "state": state}
                return httpx.Response(200, json=self.issues[number])
            case ("POST", "/issues/N/notes"):
                self.said.append(body["body"])
                return httpx.Response(201, json={})
        raise AssertionError(f"GitLab has no {key}")

    def _page(self, request: httpx.Request, found: list[Any]) -> httpx.Response:
        page = int(request.url.params.get("page", 1))
        rows = found[(page - 1) * self.page : page * self.page]
        more = page * self.page < len(found)
        url = request.url.copy_set_param("page", page + 1)
        return httpx.Response(200, json=rows, headers={"Link": f'<{url}>; rel="next"'} if more else {})


@dataclass
class FakeAzure:
    """Repository spillway of project Our Project with pull request 7."""

    threads: dict[int, dict[str, Any]] = field(default_factory=dict)
    signed_in: bool = True

    def thread(self, body: str, author: str = "me", **more: Any) -> int:
        number = 10 + len(self.threads)
        first = {"id": 1, "content": body, "author": {"id": author}, "commentType": "text"}
        self.threads[number] = {"id": number, "comments": [first], **more}
        return number

    def answer(self, request: httpx.Request) -> httpx.Response:
        assert request.headers["authorization"] == "Bearer secret-token"
        if not self.signed_in:  # what it answers instead of a refusal
            return httpx.Response(203, html="<html>Sign in</html>")
        if request.url.path.endswith("/_apis/connectionData"):
            return httpx.Response(200, json={"authenticatedUser": {"id": "me"}})
        assert request.url.params["api-version"] == "7.1"
        assert "/Our%20Project/" in request.url.raw_path.decode()
        tail = request.url.path.split("/_apis/git/repositories/spillway/pullRequests/7/threads", 1)[1]
        body = json.loads(request.content) if request.content else {}
        numbers = [int(one) for one in re.findall(r"\d+", tail)]
        match (request.method, len(numbers)):
            case ("GET", 0):
                return httpx.Response(200, json={"value": list(self.threads.values())})
            case ("POST", 0):
                (first,) = body["comments"]
                return httpx.Response(200, json=self.threads[self.thread(first["content"], status=body["status"])])
            case ("PATCH", 2):
                self.threads[numbers[0]]["comments"][0]["content"] = body["content"]
                return httpx.Response(200, json={})
            case ("DELETE", 2):
                self.threads[numbers[0]]["comments"][0]["isDeleted"] = True
                return httpx.Response(200)
        raise AssertionError(f"Azure has no {request.method} {tail}")


def merge_request(fake: FakeGitlab) -> Conversation:
    api = Api("GitLab", HOST, gitlab.headers("secret-token"), gitlab.RIGHTS,
              transport=httpx.MockTransport(fake.answer))  # fmt: skip
    return gitlab.MergeRequest(api, "acme/spillway", 7)


def pull_request(fake: FakeAzure) -> Conversation:
    api = Api("Azure DevOps", ORGANISATION, azure.headers("secret-token"), azure.RIGHTS,
              transport=httpx.MockTransport(fake.answer))  # fmt: skip
    return azure.PullRequest(api, "Our Project", "spillway", 7)


def test_gitlab_has_one_note_that_is_edited() -> None:
    fake = FakeGitlab(page=3)
    for number in range(8):
        fake.note(f"talk {number}", author=1)
    fake.note(f"{MARKER}\nforged", author=1)
    fake.note(f"{MARKER}\nsystem", system=True)
    assert stick(merge_request(fake), TEXT, MARKER).action == "created"
    assert stick(merge_request(fake), f"{TEXT}more", MARKER).action == "edited"
    assert [one["body"] for one in fake.notes.values()].count(f"{TEXT}more") == 1
    assert len(fake.notes) == 11


def test_gitlab_loses_the_second_of_two_notes() -> None:
    fake = FakeGitlab()
    first, second = fake.note(f"{MARKER}\na"), fake.note(f"{MARKER}\nb")
    assert stick(merge_request(fake), TEXT, MARKER).removed == 1
    assert fake.notes[first]["body"] == TEXT
    assert second not in fake.notes


def test_gitlab_says_which_token_may_write_notes() -> None:
    with pytest.raises(SpillwayError, match=r"403 Forbidden; the token needs the scope `api`.*CI_JOB_TOKEN may not"):
        stick(merge_request(FakeGitlab(forbidden=True)), TEXT, MARKER)


def test_gitlab_keeps_drift_as_issues() -> None:
    fake = FakeGitlab()
    api = Api("GitLab", HOST, gitlab.headers("secret-token"), gitlab.RIGHTS,
              transport=httpx.MockTransport(fake.answer))  # fmt: skip
    issues = gitlab.Issues(api, "acme/spillway", LABEL)
    for rows, state in (([deleted()], "opened"), ([same()], "closed"), ([deleted()], "opened")):
        list(report(document(*rows), issues))
        assert [one["state"] for one in fake.issues.values()] == [state]
    assert [one.split(":")[0] for one in fake.said] == ["Clean", "Again"]


def test_azure_has_one_closed_thread_that_is_edited() -> None:
    fake = FakeAzure()
    fake.thread(f"{MARKER}\nforged", author="mallory")
    fake.thread(f"{MARKER}\ngone", isDeleted=True)
    assert stick(pull_request(fake), TEXT, MARKER).action == "created"
    assert fake.threads[12]["status"] == azure.CLOSED
    assert stick(pull_request(fake), f"{TEXT}more", MARKER).action == "edited"
    assert fake.threads[12]["comments"][0]["content"] == f"{TEXT}more"
    assert len(fake.threads) == 3


def test_azure_loses_the_second_of_two_threads() -> None:
    fake = FakeAzure()
    fake.thread(f"{MARKER}\na")
    second = fake.thread(f"{MARKER}\nb")
    assert stick(pull_request(fake), TEXT, MARKER).removed == 1
    assert fake.threads[second]["comments"][0]["isDeleted"]
    assert stick(pull_request(fake), TEXT, MARKER).removed == 0


def test_azures_sign_in_page_is_told_as_what_it_is() -> None:
    with pytest.raises(SpillwayError, match="the answer is no JSON but text/html"):
        stick(pull_request(FakeAzure(signed_in=False)), TEXT, MARKER)


# --- the command, by the environment of each server ---

GITLAB = {
    "GITLAB_CI": "true", "GITLAB_TOKEN": "secret-token", "CI_API_V4_URL": HOST, "CI_PROJECT_ID": "acme/spillway",
    "CI_MERGE_REQUEST_IID": "7", "CI_JOB_URL": "https://gitlab.example/job/1",
}  # fmt: skip
AZURE = {
    "TF_BUILD": "True", "SYSTEM_ACCESSTOKEN": "secret-token", "SYSTEM_COLLECTIONURI": ORGANISATION,
    "SYSTEM_TEAMPROJECT": "Our Project", "BUILD_REPOSITORY_ID": "spillway", "SYSTEM_PULLREQUEST_PULLREQUESTID": "7",
    "BUILD_BUILDID": "5",
}  # fmt: skip
JENKINS = {"GITHUB_TOKEN": "secret-token", "GITHUB_API_URL": BASE, "BUILD_URL": "https://jenkins.example/job/1/"}
ACTIONS = {
    "GITHUB_ACTIONS": "true", "GITHUB_TOKEN": "secret-token", "GITHUB_API_URL": BASE,
    "GITHUB_REPOSITORY": "acme/spillway", "GITHUB_RUN_ID": "9", "GITHUB_REF": "refs/pull/7/merge",
}  # fmt: skip
Answer = Callable[[httpx.Request], httpx.Response]


@pytest.fixture
def result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in {*GITLAB, *AZURE, *ACTIONS, *JENKINS, "GITHUB_EVENT_PATH"}:
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "review"
    folder.mkdir()
    (folder / "preview.json").write_text(json.dumps(as_json(document(row("aws-us-east-1.update")))))
    return folder


def invoke(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], answer: Answer, *line: str) -> Any:
    monkeypatch.setattr("spillway.ci.places.Api", partial(Api, transport=httpx.MockTransport(answer)))
    return CliRunner().invoke(app, ["comment", *line], env=environment)


def test_the_command_on_gitlab(result: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeGitlab()
    done = invoke(monkeypatch, GITLAB, fake.answer, str(result))
    assert done.output == "GitLab: comment created\n", done.exception
    (note,) = fake.notes.values()
    assert note["body"].startswith(MARKER)
    assert "(https://gitlab.example/job/1)" in note["body"]


def snippet(start: str) -> Any:
    """Of docs/ci.md, by how it begins."""
    text = (Path(__file__).parents[2] / "docs" / "ci.md").read_text()
    (found,) = [one for one in re.findall(r"```yaml\n(.*?)```", text, re.S) if one.startswith(start)]
    return yaml.safe_load(found)


def test_the_lines_of_the_documented_gitlab_job_post_the_note(result: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = snippet("preview:")["preview"]
    preview, comment = (shlex.split(line) for line in job["script"])
    assert preview[:2] == [".venv/bin/spillway", "preview"]
    assert comment[:3] == [".venv/bin/spillway", "ci", "comment"]
    assert preview[preview.index("--out") + 1] == comment[3] == job["artifacts"]["paths"][0] == result.name
    monkeypatch.chdir(result.parent)
    fake = FakeGitlab()
    for _ in range(2):  # the job of each push
        done = invoke(monkeypatch, GITLAB, fake.answer, *comment[3:])
        assert done.exit_code == 0, done.exception
    assert len(fake.notes) == 1


def test_the_documented_azure_steps_post_the_thread(result: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (step,) = [one for one in snippet("pool:")["steps"] if "SYSTEM_ACCESSTOKEN" in one.get("env", {})]
    line = shlex.split(step["script"])
    monkeypatch.chdir(result.parent)
    fake = FakeAzure()
    assert invoke(monkeypatch, AZURE, fake.answer, *line[3:]).exit_code == 0
    assert len(fake.threads) == 1


def test_the_command_on_azure_pipelines(result: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeAzure()
    done = invoke(monkeypatch, AZURE, fake.answer, str(result))
    assert done.output == "Azure DevOps: comment created\n", done.exception
    (thread,) = fake.threads.values()
    assert "(https://dev.azure.example/acme/Our%20Project/_build/results?buildId=5)" in thread["comments"][0]["content"]


def test_the_command_on_jenkins_takes_what_no_environment_tells(result: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeGithub()
    line = ("--platform", "github", "--repository", "acme/spillway", "--number", "7", "--author", "ci-bot")
    done = invoke(monkeypatch, JENKINS, fake.answer, *line, str(result))
    assert done.exit_code == 0, done.exception
    (comment,) = fake.comments.values()
    assert "(https://jenkins.example/job/1/)" in comment["body"]


def test_the_command_on_github_posts_once_and_says_where(result: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeGithub()
    first = invoke(monkeypatch, ACTIONS, fake.answer, str(result))
    again = invoke(monkeypatch, ACTIONS, fake.answer, str(result))
    assert first.output == "GitHub: comment created: https://c/1001\n"
    assert again.output == "GitHub: comment unchanged\n"


def test_a_run_of_an_older_commit_does_not_overwrite_the_comment(result: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    event = result / "event.json"
    event.write_text(json.dumps({"pull_request": {"number": 7, "head": {"sha": "a" * 40}}}))
    fake = FakeGithub(pull={"head": {"sha": "b" * 40, "repo": None}, "state": "open"})
    fake.comment(f"{MARKER}\nnewer")
    done = invoke(monkeypatch, {**ACTIONS, "GITHUB_EVENT_PATH": str(event)}, fake.answer, str(result))
    assert done.exit_code == 0
    assert "has moved on from aaaaaaaaaaaa to bbbbbbbbbbbb" in done.output
    assert [one["body"] for one in fake.comments.values()] == [f"{MARKER}\nnewer"]


@pytest.mark.parametrize(("east", "code"), [("success", 0), ("failure", 1), ("waiting", 1)])
def test_a_job_of_a_rollout_waits_for_no_server_to_order_it(
    monkeypatch: pytest.MonkeyPatch, east: str, code: int
) -> None:
    fake = FakeGithub(
        page=2, jobs={"which stacks": "success", "x": "success", "aws-us-east-1": east, "global": "queued"}
    )
    monkeypatch.setattr("spillway.ci.places.Api", partial(Api, transport=fake.transport))
    done = CliRunner().invoke(app, ["turn", "global", "--of", "x aws-us-east-1 global"], env=ACTIONS)
    assert done.exit_code == code
    if code:
        assert f"aws-us-east-1 comes first, and its job says {east}" in str(done.exception)


def test_a_change_that_touches_nothing_makes_no_comment(result: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (result / "preview.json").write_text(json.dumps(as_json(document())))
    fake = FakeGithub()
    done = invoke(monkeypatch, ACTIONS, fake.answer, str(result))
    assert done.output == "GitHub: no stack is touched, and there is no comment\n"
    assert not fake.comments


def test_a_review_above_the_limit_is_cut_and_keeps_its_head(result: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [failed_row(f"aws-x{number:03}", [f"it failed because of {'this ' * 60}"], NONE) for number in range(400)]
    (result / "preview.json").write_text(json.dumps(as_json(document(*rows))))
    fake = FakeGithub()
    done = invoke(monkeypatch, ACTIONS, fake.answer, str(result))
    assert done.exit_code == 0, done.exception
    (comment,) = fake.comments.values()
    assert 60_000 < len(comment["body"]) <= LIMIT
    assert comment["body"].startswith(f"{MARKER}\n## Preview")
    assert "could not be previewed: aws-x000" in comment["body"]
    assert "_Too long for a comment: the rest is left out here._" in comment["body"]
    assert comment["body"].rstrip().endswith("(https://github.com/acme/spillway/actions/runs/9)")


def test_secrets_of_the_job_that_comments_are_masked_too(result: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = document(failed_row("aws-us-east-1", ["403 for Bearer secret-token of the-passphrase-of-state"], NONE))
    (result / "preview.json").write_text(json.dumps(as_json(told)))
    fake = FakeGithub()
    environment = {**ACTIONS, "PULUMI_CONFIG_PASSPHRASE": "the-passphrase-of-state"}
    assert invoke(monkeypatch, environment, fake.answer, str(result)).exit_code == 0
    (comment,) = fake.comments.values()
    assert "secret-token" not in comment["body"]
    assert "the-passphrase-of-state" not in comment["body"]


def test_a_dry_run_prints_what_would_be_said(result: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = CliRunner().invoke(app, ["comment", "--dry-run", str(result)])
    assert done.output.startswith(f"{MARKER}\n## Preview")


@pytest.mark.parametrize(
    ("environment", "line"),
    [
        ({}, "--platform: no CI server is known by the environment; name github, gitlab or azure"),
        ({"GITLAB_CI": "true"}, "GITLAB_TOKEN: is not set; GitLab takes a token with the scope `api`"),
        ({**ACTIONS, "GITHUB_REF": "refs/heads/main"}, "--number: this run on GitHub is of no pull request; name one"),
        ({**AZURE, "SYSTEM_COLLECTIONURI": ""}, "SYSTEM_COLLECTIONURI: has to be the address of the organisation"),
        ({**GITLAB, "CI_PROJECT_ID": " "}, "CI_PROJECT_ID: is not set, and --repository is not given"),
    ],
)
def test_what_is_missing_is_named(
    result: Path, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], line: str
) -> None:
    def never(request: httpx.Request) -> httpx.Response:
        raise AssertionError("nothing is sent")

    done = invoke(monkeypatch, environment, never, str(result))
    assert isinstance(done.exception, SpillwayError)
    assert line in done.exception.lines[0]


def test_a_token_that_no_header_takes_is_one_line_without_it() -> None:
    place = Place("github", {"GITHUB_TOKEN": "secret\nx-evil: 1"}, "acme/spillway", 7)
    with pytest.raises(SpillwayError) as caught:
        place.api().get("/")
    assert "secret" not in str(caught.value)


def test_servers_are_known_by_their_own_variables() -> None:
    assert [platform({name: "true"}) for name in ("GITHUB_ACTIONS", "GITLAB_CI", "TF_BUILD")] == [
        "github", "gitlab", "azure",
    ]  # fmt: skip
    assert platform({"GITLAB_CI": "true"}, "github") == "github"
