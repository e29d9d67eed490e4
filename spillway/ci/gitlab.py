"""GitLab: notes of a merge request, and issues."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import quote

from spillway.ci.api import Api
from spillway.ci.sticky import Comment
from spillway.ci.tracker import Issue

LIMIT: Final = 1_000_000
"""Characters: https://docs.gitlab.com/administration/instance_limits/#size-of-comments-and-descriptions-of-issues-merge-requests-and-epics"""
RIGHTS: Final = (
    "the scope `api` and the role Reporter or above: a project access token in the masked variable GITLAB_TOKEN; "
    "CI_JOB_TOKEN may not write notes"
)


def headers(token: str) -> dict[str, str]:
    return {"PRIVATE-TOKEN": token, "User-Agent": "spillway-ci"}


class MergeRequest:
    """https://docs.gitlab.com/api/notes/#merge-requests. project: its number or path."""

    def __init__(self, api: Api, project: str, number: int) -> None:
        self._api, self._path = api, f"/projects/{quote(project, safe='')}/merge_requests/{number}"
        self.limit = LIMIT

    def comments(self) -> Iterator[Comment]:
        me = self._api.get("/user")["id"]
        for one in self._api.pages(f"{self._path}/notes", sort="asc", order_by="created_at"):
            if not one.get("system"):
                yield Comment(str(one["id"]), one.get("body") or "", (one.get("author") or {}).get("id") == me)

    def create(self, body: str) -> str:
        self._api.send("POST", f"{self._path}/notes", {"body": body})
        return ""  # a note has no address of its own in the answer

    def edit(self, id: str, body: str) -> str:
        self._api.send("PUT", f"{self._path}/notes/{id}", {"body": body})
        return ""

    def remove(self, id: str) -> None:
        self._api.delete(f"{self._path}/notes/{id}")


class Issues:
    """https://docs.gitlab.com/api/issues/. Only project members set labels."""

    def __init__(self, api: Api, project: str, label: str) -> None:
        self._api, self._path, self._label = api, f"/projects/{quote(project, safe='')}/issues", label
        self.limit = LIMIT

    def issues(self) -> Iterator[Issue]:
        found = self._api.pages(self._path, labels=self._label, state="all", order_by="created_at", sort="desc")
        for one in found:
            yield Issue(str(one["iid"]), one.get("description") or "", one["state"] == "opened", one.get("web_url", ""))

    def create(self, title: str, body: str) -> str:
        return _address(
            self._api.send("POST", self._path, {"title": title, "description": body, "labels": self._label})
        )

    def edit(self, id: str, body: str, *, open: bool = True) -> str:
        event = {"state_event": "reopen"} if open else {"state_event": "close"}
        return _address(self._api.send("PUT", f"{self._path}/{id}", {"description": body, **event}))

    def close(self, id: str, *, done: bool) -> None:
        self._api.send("PUT", f"{self._path}/{id}", {"state_event": "close"})

    def say(self, id: str, text: str) -> None:
        self._api.send("POST", f"{self._path}/{id}/notes", {"body": text})


def _address(found: Any) -> str:
    return str(found.get("web_url", "")) if isinstance(found, dict) else ""
