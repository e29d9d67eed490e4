"""Azure Pipelines: a thread of a pull request in Azure Repos, whose first comment is the one that is edited."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import quote

from spillway.ci.api import Api
from spillway.ci.sticky import Comment
from spillway.errors import SpillwayError

LIMIT: Final = 150_000
"""Characters of a comment's content:
https://learn.microsoft.com/en-us/azure/devops/organizations/settings/work/object-limits"""
VERSION: Final = "7.1"
RIGHTS: Final = (
    "`Contribute to pull requests` on the repository for the build service, and SYSTEM_ACCESSTOKEN in the step's env"
)
CLOSED: Final = 4
"""A thread that asks for no answer."""


def headers(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}", "User-Agent": "spillway-ci"}


class PullRequest:
    """https://learn.microsoft.com/en-us/rest/api/azure/devops/git/pull-request-threads"""

    def __init__(self, api: Api, project: str, repository: str, number: int) -> None:
        self._api = api
        place = f"/{quote(project, safe='')}/_apis/git/repositories/{quote(repository, safe='')}"
        self._threads = f"{place}/pullRequests/{number}/threads"
        self.limit = LIMIT

    def comments(self) -> Iterator[Comment]:
        me = self._me()
        found = self._api.get(self._threads, **{"api-version": VERSION})
        if not isinstance(found, dict) or not isinstance(found.get("value"), list):
            raise SpillwayError(f"{self._api.name}: the answer about threads has no list `value`")
        for thread in found["value"]:  # this list has no pages
            if thread.get("isDeleted"):
                continue
            for one in (thread.get("comments") or [])[:1]:
                if not one.get("isDeleted") and one.get("commentType") != "system":
                    own = (one.get("author") or {}).get("id") == me
                    yield Comment(f"{thread['id']}/comments/{one['id']}", one.get("content") or "", own)

    def _me(self) -> Any:
        """The account that the token is of (https://learn.microsoft.com/en-us/rest/api/azure/devops/)."""
        return self._api.get("/_apis/connectionData")["authenticatedUser"]["id"]

    def create(self, body: str) -> str:
        told = {"comments": [{"parentCommentId": 0, "content": body, "commentType": 1}], "status": CLOSED}
        self._api.send("POST", self._threads, told, **{"api-version": VERSION})
        return ""

    def edit(self, id: str, body: str) -> str:
        self._api.send("PATCH", f"{self._threads}/{id}", {"content": body}, **{"api-version": VERSION})
        return ""

    def remove(self, id: str) -> None:
        self._api.delete(f"{self._threads}/{id}?api-version={VERSION}")
