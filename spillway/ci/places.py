"""Where a pipeline runs: GitHub Actions, GitLab CI, Azure Pipelines, or Jenkins beside one of their repositories.

Everything is of the environment that the server sets, and of options where it sets nothing (Jenkins).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from spillway.ci import azure, github, gitlab
from spillway.ci.api import Api
from spillway.ci.sticky import Conversation
from spillway.ci.tracker import Tracker
from spillway.errors import SpillwayError

PLATFORMS: Final = ("github", "gitlab", "azure")
TOKENS: Final[Mapping[str, str]] = {"github": "GITHUB_TOKEN", "gitlab": "GITLAB_TOKEN", "azure": "SYSTEM_ACCESSTOKEN"}
NAMES: Final[Mapping[str, str]] = {"github": "GitHub", "gitlab": "GitLab", "azure": "Azure DevOps"}
_HEADERS: Final[Mapping[str, Callable[[str], dict[str, str]]]] = {
    "github": github.headers, "gitlab": gitlab.headers, "azure": azure.headers,
}  # fmt: skip
_RIGHTS: Final[Mapping[str, str]] = {"github": github.RIGHTS, "gitlab": gitlab.RIGHTS, "azure": azure.RIGHTS}


@dataclass(frozen=True)
class Place:
    """environment: of the process. repository: `owner/name` on GitHub, number or path of the project on GitLab, name or
    id of the repository on Azure; number: of the pull request. Both empty: by the environment."""

    platform: str
    environment: Mapping[str, str]
    repository: str = ""
    number: int = 0

    @property
    def name(self) -> str:
        return NAMES[self.platform]

    def api(self) -> Api:
        """Raises SpillwayError where there is no token, or nobody says where the service is."""
        variable = TOKENS[self.platform]
        token = self.environment.get(variable, "").strip()
        if not token:
            raise SpillwayError(f"{variable}: is not set; {self.name} takes a token with {_RIGHTS[self.platform]}")
        base = {
            "github": self.environment.get("GITHUB_API_URL") or "https://api.github.com",
            "gitlab": self.environment.get("CI_API_V4_URL") or "https://gitlab.com/api/v4",
            "azure": self.environment.get("SYSTEM_COLLECTIONURI", ""),
        }[self.platform]
        if not re.match(r"https?://", base):
            raise SpillwayError("SYSTEM_COLLECTIONURI: has to be the address of the organisation, https://...")
        headers = _HEADERS[self.platform](token)
        return Api(self.name, base, headers, _RIGHTS[self.platform])

    def conversation(self, api: Api, author: str = github.AUTHOR) -> Conversation:
        """The pull request's comments. author: whose comments are ours, on GitHub. Raises SpillwayError."""
        number = self.pull_request()
        if self.platform == "github":
            return github.PullRequest(api, self.project(), number, author)
        if self.platform == "gitlab":
            return gitlab.MergeRequest(api, self.project(), number)
        return azure.PullRequest(api, self._needed("SYSTEM_TEAMPROJECT", "the project"), self.project(), number)

    def tracker(self, api: Api, label: str) -> Tracker:
        """Issues with a label. Raises SpillwayError."""
        if self.platform == "github":
            return github.Issues(api, self.project(), label)
        if self.platform == "gitlab":
            return gitlab.Issues(api, self.project(), label)
        raise SpillwayError(
            "drift: issues are kept on GitHub and GitLab; elsewhere the exit code says that there is some"
        )

    def project(self) -> str:
        if self.repository:
            return self.repository
        variable = {"github": "GITHUB_REPOSITORY", "gitlab": "CI_PROJECT_ID", "azure": "BUILD_REPOSITORY_ID"}
        return self._needed(variable[self.platform], "--repository")

    def pull_request(self) -> int:
        """Its number. Raises SpillwayError where the run is of none."""
        if self.number:
            return self.number
        text = {
            "github": self._of_github(),
            "gitlab": self.environment.get("CI_MERGE_REQUEST_IID", ""),
            "azure": self.environment.get("SYSTEM_PULLREQUEST_PULLREQUESTID", ""),
        }[self.platform]
        if not re.fullmatch(r"[1-9][0-9]{0,9}", text):
            raise SpillwayError(f"--number: this run on {self.name} is of no pull request; name one")
        return int(text)

    def _of_github(self) -> str:
        found = event(self.environment).get("pull_request")
        if isinstance(found, Mapping):
            return str(found.get("number", ""))
        ref = re.fullmatch(r"refs/pull/(\d+)/\w+", self.environment.get("GITHUB_REF", ""))
        return ref[1] if ref else ""

    def _needed(self, variable: str, other: str) -> str:
        value = self.environment.get(variable, "").strip()
        if not value:
            raise SpillwayError(f"{variable}: is not set, and {other} is not given")
        return value

    @property
    def run(self) -> str:
        """Address of this run for people; empty where the server does not say."""
        told = self.environment.get
        if told("GITHUB_RUN_ID") and self.platform == "github":
            server = told("GITHUB_SERVER_URL") or "https://github.com"
            return f"{server}/{told('GITHUB_REPOSITORY', '')}/actions/runs/{told('GITHUB_RUN_ID')}"
        if told("CI_JOB_URL"):
            return told("CI_JOB_URL", "")
        if told("BUILD_BUILDID") and told("SYSTEM_COLLECTIONURI"):
            base = told("SYSTEM_COLLECTIONURI", "").rstrip("/")
            project = quote(told("SYSTEM_TEAMPROJECT", ""), safe="")
            return f"{base}/{project}/_build/results?buildId={told('BUILD_BUILDID')}"
        return told("BUILD_URL", "")  # Jenkins


def event(environment: Mapping[str, str]) -> Mapping[str, Any]:
    """What GitHub tells of the event of a run; empty elsewhere."""
    path = environment.get("GITHUB_EVENT_PATH")
    if not path:
        return {}
    try:
        found = json.loads(Path(path).read_text())
    except (OSError, ValueError):
        raise SpillwayError(f"GITHUB_EVENT_PATH: {path}: cannot be read as JSON") from None
    return found if isinstance(found, Mapping) else {}


def platform(environment: Mapping[str, str], asked: str | None = None) -> str:
    """Raises SpillwayError where nothing says whose pipeline this is."""
    if asked:
        return asked
    for name, variable in (("github", "GITHUB_ACTIONS"), ("gitlab", "GITLAB_CI"), ("azure", "TF_BUILD")):
        if environment.get(variable):
            return name
    raise SpillwayError("--platform: no CI server is known by the environment; name github, gitlab or azure")
