"""GitHub: comments of a pull request, issues, and whose commit a pull request is at."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from spillway.ci.api import Api
from spillway.ci.sticky import Comment
from spillway.ci.tracker import Issue
from spillway.errors import SpillwayError

AUTHOR: Final = "github-actions[bot]"
"""Whom GITHUB_TOKEN acts as; it may not ask who it is (GET /user answers 403)."""
LIMIT: Final = 65_536
"""Characters: https://github.com/orgs/community/discussions/41331"""
VERSION: Final = "2022-11-28"
REPOSITORY: Final = re.compile(r"[A-Za-z0-9-]+/[A-Za-z0-9._-]+")
RIGHTS: Final = (
    "`pull-requests: write` for comments, `issues: write` for issues, `actions: read` for runs; a fork's has none"
)


def headers(token: str) -> dict[str, str]:
    return {
        "Authorization": f"Bearer {token}",
        "Accept": "application/vnd.github+json",
        "X-GitHub-Api-Version": VERSION,
        "User-Agent": "spillway-ci",
    }


def checked(repository: str) -> str:
    """`owner/name`. Raises SpillwayError: it becomes part of an address."""
    if not REPOSITORY.fullmatch(repository) or repository.split("/")[1] in (".", ".."):
        raise SpillwayError(f"repository {repository!r}: has to be owner/name")
    return repository


class PullRequest:
    """Its comments are those of its issue
    (https://docs.github.com/en/rest/issues/comments). author: the login whose comments are edited."""

    def __init__(self, api: Api, repository: str, number: int, author: str = AUTHOR) -> None:
        self._api, self._repository, self._number, self._author = api, checked(repository), number, author
        self.limit = LIMIT

    def comments(self) -> Iterator[Comment]:
        for one in self._api.pages(f"/repos/{self._repository}/issues/{self._number}/comments"):
            login = (one.get("user") or {}).get("login")  # null: the account was deleted
            yield Comment(str(one["id"]), one.get("body") or "", login == self._author)

    def create(self, body: str) -> str:
        return _address(
            self._api.send("POST", f"/repos/{self._repository}/issues/{self._number}/comments", {"body": body})
        )

    def edit(self, id: str, body: str) -> str:
        return _address(self._api.send("PATCH", f"/repos/{self._repository}/issues/comments/{id}", {"body": body}))

    def remove(self, id: str) -> None:
        self._api.delete(f"/repos/{self._repository}/issues/comments/{id}")


def _address(found: Any) -> str:
    return str(found.get("html_url", "")) if isinstance(found, dict) else ""


def at(api: Api, repository: str, number: int) -> tuple[str, str, str]:
    """(head commit, full name of the head repository, state) of a pull request. Raises SpillwayError."""
    found = api.get(f"/repos/{checked(repository)}/pulls/{number}")
    head = found["head"]
    return str(head["sha"]), str((head.get("repo") or {}).get("full_name", "")), str(found["state"])


def commits(api: Api, repository: str, number: int) -> Iterator[str]:
    """Commits of a pull request: the API tells of 250 at most."""
    for one in api.pages(f"/repos/{checked(repository)}/pulls/{number}/commits"):
        yield str(one["sha"])


def jobs(api: Api, repository: str, run: str) -> dict[str, str]:
    """Name -> how it ended (`success`, `failure`, ...), or its status while it has not; of a run's latest attempt
    (https://docs.github.com/en/rest/actions/workflow-jobs). Raises SpillwayError."""
    if not run.isdecimal():
        raise SpillwayError("GITHUB_RUN_ID: is not set: this is no run of GitHub Actions")
    found = api.pages(f"/repos/{checked(repository)}/actions/runs/{run}/jobs", "jobs", filter="latest")
    return {str(one["name"]): str(one.get("conclusion") or one["status"]) for one in found}


class Issues:
    """Issues with a label. Whoever may set labels may write to the repository, so a label is proof of origin that a
    marker in a text is not."""

    def __init__(self, api: Api, repository: str, label: str) -> None:
        self._api, self._repository, self._label = api, checked(repository), label
        self.limit = LIMIT

    def issues(self) -> Iterator[Issue]:
        """Open and closed, the latest first; pull requests, which are issues too, left out."""
        query = {"labels": self._label, "state": "all", "sort": "created", "direction": "desc"}
        for one in self._api.pages(f"/repos/{self._repository}/issues", **query):
            if "pull_request" not in one:
                yield Issue(str(one["number"]), one.get("body") or "", one["state"] == "open", _address(one))

    def create(self, title: str, body: str) -> str:
        told = {"title": title, "body": body, "labels": [self._label]}
        return _address(self._api.send("POST", f"/repos/{self._repository}/issues", told))

    def edit(self, id: str, body: str, *, open: bool = True) -> str:
        told = {"body": body, "state": "open" if open else "closed"}
        return _address(self._api.send("PATCH", f"/repos/{self._repository}/issues/{id}", told))

    def close(self, id: str, *, done: bool) -> None:
        told = {"state": "closed", "state_reason": "completed" if done else "not_planned"}
        self._api.send("PATCH", f"/repos/{self._repository}/issues/{id}", told)

    def say(self, id: str, text: str) -> None:
        self._api.send("POST", f"/repos/{self._repository}/issues/{id}/comments", {"body": text})
