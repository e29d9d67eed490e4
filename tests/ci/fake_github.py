"""GitHub's REST API as far as pipelines use it: pages, rights, limits, and answers that are lost on the way."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx

BOT = "github-actions[bot]"
REPOSITORY = "acme/spillway"
BASE = "https://api.github.example"
Rule = Callable[[httpx.Request], httpx.Response | Exception | None]


@dataclass
class FakeGithub:
    """One repository with one pull request, 7. rules: asked first, in turn, each once where it answers; an exception
    that one returns is raised. lose: the request is carried out, its answer is lost."""

    page: int = 100
    comments: dict[int, dict[str, Any]] = field(default_factory=dict)
    issues: dict[int, dict[str, Any]] = field(default_factory=dict)
    said: list[tuple[int, str]] = field(default_factory=list)
    pull: dict[str, Any] = field(default_factory=dict)
    commits: list[str] = field(default_factory=list)
    jobs: dict[str, str] = field(default_factory=dict)
    rules: list[Rule] = field(default_factory=list)
    lose: set[str] = field(default_factory=set)
    requests: list[str] = field(default_factory=list)
    slept: list[float] = field(default_factory=list)
    _next: int = 1000

    @property
    def transport(self) -> httpx.MockTransport:
        return httpx.MockTransport(self.answer)

    def comment(self, body: str, login: str | None = BOT) -> int:
        self._next += 1
        user = None if login is None else {"login": login}
        self.comments[self._next] = {
            "id": self._next,
            "body": body,
            "user": user,
            "html_url": f"https://c/{self._next}",
        }
        return self._next

    def issue(self, body: str, state: str = "open", label: str = "spillway-drift", **more: Any) -> int:
        self._next += 1
        self.issues[self._next] = {
            "number": self._next, "body": body, "state": state, "labels": [{"name": label}],
            "html_url": f"https://i/{self._next}", "title": "", **more,
        }  # fmt: skip
        return self._next

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(f"{request.method} {request.url.path}")
        assert request.headers["authorization"] == "Bearer secret-token"
        for rule in list(self.rules):
            found = rule(request)
            if found is not None:
                self.rules.remove(rule)
                if isinstance(found, Exception):
                    raise found
                return found
        answer = self._answer(request)
        if request.method in self.lose:
            self.lose.discard(request.method)
            raise httpx.ReadTimeout("the answer is lost", request=request)
        return answer

    def _answer(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix(f"/repos/{REPOSITORY}")
        body = json.loads(request.content) if request.content else {}
        key = (request.method, re.sub(r"\d+", "N", path))
        number = int((re.findall(r"\d+", path) or ["0"])[-1])
        match key:
            case ("GET", "/issues/N/comments"):
                return self._page(request, list(self.comments.values()))
            case ("POST", "/issues/N/comments") if number == 7:
                return httpx.Response(201, json=self.comments[self.comment(body["body"])])
            case ("POST", "/issues/N/comments"):
                self.said.append((number, body["body"]))
                return httpx.Response(201, json={})
            case ("PATCH", "/issues/comments/N"):
                if number not in self.comments:
                    return httpx.Response(404, json={"message": "Not Found"})
                self.comments[number]["body"] = body["body"]
                return httpx.Response(200, json=self.comments[number])
            case ("DELETE", "/issues/comments/N"):
                gone = self.comments.pop(number, None)
                return httpx.Response(204) if gone else httpx.Response(404, json={"message": "Not Found"})
            case ("GET", "/pulls/N"):
                return httpx.Response(200, json=self.pull)
            case ("GET", "/pulls/N/commits"):
                return self._page(request, [{"sha": one} for one in self.commits])
            case ("GET", "/actions/runs/N/jobs"):
                assert request.url.params["filter"] == "latest"
                ended = ("success", "failure", "cancelled")
                rows = [{"name": name, "status": "completed" if how in ended else how,
                         "conclusion": how if how in ended else None} for name, how in self.jobs.items()]  # fmt: skip
                answer = self._page(request, rows)
                return httpx.Response(200, json={"jobs": json.loads(answer.content)}, headers=answer.headers
                                      if "link" in answer.headers else {})  # fmt: skip
            case ("GET", "/issues"):
                label = request.url.params["labels"]
                found = [one for one in self.issues.values() if label in [each["name"] for each in one["labels"]]]
                return self._page(request, sorted(found, key=lambda one: -one["number"]))
            case ("POST", "/issues"):
                number = self.issue(body["body"], label=body["labels"][0])
                self.issues[number]["title"] = body["title"]
                return httpx.Response(201, json=self.issues[number])
            case ("PATCH", "/issues/N"):
                self.issues[number] |= body
                return httpx.Response(200, json=self.issues[number])
        raise AssertionError(f"GitHub has no {key}")

    def _page(self, request: httpx.Request, found: list[Any]) -> httpx.Response:
        assert int(request.url.params.get("per_page", 30)) == 100 or "page" in request.url.params
        page = int(request.url.params.get("page", 1))
        rows = found[(page - 1) * self.page : page * self.page]
        headers = {}
        if page * self.page < len(found):
            url = request.url.copy_set_param("page", page + 1)
            headers["Link"] = f'<{url}>; rel="next", <{url}>; rel="last"'
        return httpx.Response(200, json=rows, headers=headers)


def once(method: str, answer: Callable[[], httpx.Response | Exception]) -> Rule:
    """Answers the first request of a method."""
    return lambda request: answer() if request.method == method else None


def always(method: str, answer: Callable[[], httpx.Response | Exception], times: int = 50) -> Iterator[Rule]:
    """Answers them all, as far as anybody asks."""
    return (once(method, answer) for _ in range(times))
