"""What a fork's run left, made harmless before it is posted under a name that people trust.

The run's code is the fork's, so its result may say anything and name any pull request. The document is read strictly
and told anew by this checkout's code (never the fork's text as it is); then nothing in it may mention, link, load a
picture, or close an HTML tag. Whose pull request it is for, GitHub is asked.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from spillway.ci import github
from spillway.ci.api import Api
from spillway.ci.reading import whole
from spillway.errors import SpillwayError

NUMBER_FILE: Final = "pull-request"
"""Beside preview.json: the number, and nothing else."""
TAGS: Final = ("<details>", "</details>", "<summary>", "</summary>")
"""What documents are made of; no attribute, so no event handler and no style."""
WARNING: Final = (
    "> [!WARNING]\n"
    "> Of a fork: this was computed by the fork's own code, on stand-in clouds and without any secret. It shows what "
    "its author says the change does; the diff shows what it is."
)
NOTHING: Final = "\u200b"
"""Zero width: breaks what GitHub would make something of, and is not seen."""


class Stale(SpillwayError):
    """The pull request has moved on: a newer run will tell of it."""

    CODE = 0


def defused(markdown: str, marker: str) -> str:
    """Markdown of which nothing but text, tables, fences and folded sections is left, below the marker."""
    text = markdown.removeprefix(marker)
    # First: what is taken out here would join what the lines below keep apart. No text that reads the other way.
    text = re.sub(r"[\x00-\x08\x0b-\x1f\u202a-\u202e\u2066-\u2069]", "", text)
    text = re.sub(r"<(?!/?(?:details|summary)>)", "&lt;", text)
    text = re.sub(r"@(?=[A-Za-z0-9_-])", f"@{NOTHING}", text)  # mentions, and owner/name@commit
    text = re.sub(r"#(?=[0-9])", f"#{NOTHING}", text)  # references leave a trace in other issues
    text = re.sub(r"(?i)\bGH-(?=[0-9])", f"GH{NOTHING}-", text)
    text = text.replace("](", f"]{NOTHING}(").replace("]:", f"]{NOTHING}:").replace("][", f"]{NOTHING}[")
    text = text.replace("![", f"!{NOTHING}[").replace("://", f":{NOTHING}//")
    text = re.sub(r"(?i)\b(www)\.", rf"\1{NOTHING}.", text)
    text = re.sub(r"(?i)\b(mailto|xmpp):", rf"\1{NOTHING}:", text)
    return f"{marker}\n{WARNING}\n\n{text.strip()}\n"


def number_of(folder: Path) -> int:
    """Of the file that the run left. Raises SpillwayError."""
    path = folder / NUMBER_FILE
    text = whole(path, 32).decode("ascii", "replace").strip()
    if not re.fullmatch(r"[1-9][0-9]{0,9}", text):
        raise SpillwayError(f"{path}: has to be the number of a pull request")
    return int(text)


def run_of(event: Mapping[str, Any]) -> tuple[str, str]:
    """(commit, repository) that the triggering run was of, by GitHub's own event. Raises SpillwayError."""
    run = event.get("workflow_run")
    if not isinstance(run, Mapping):
        raise SpillwayError("--fork-run: the event has no workflow_run: this is for workflows that such a run triggers")
    sha, repository = str(run.get("head_sha", "")), (run.get("head_repository") or {}).get("full_name", "")
    if not re.fullmatch(r"[0-9a-f]{40,64}", sha) or not repository:
        raise SpillwayError("--fork-run: the event's workflow_run has no head_sha or no head_repository")
    return sha, str(repository)


def belongs(api: Api, repository: str, number: int, sha: str, source: str) -> None:
    """Nothing, when pull request `number` is open, from `source`, and at commit `sha`.

    Raises Stale where it has moved on from that commit or is closed, SpillwayError where it never was at it: a result
    that names somebody else's pull request.
    """
    head, head_repository, state = github.at(api, repository, number)
    if head_repository != source:
        raise SpillwayError(
            f"pull request {number} is of {head_repository or 'a repository that is gone'}, the run was of {source}: "
            "its result is not posted"
        )
    if head != sha:
        if sha in set(github.commits(api, repository, number)):
            raise Stale(f"pull request {number} has moved on from {sha[:12]}: its newer run will be posted")
        raise SpillwayError(
            f"pull request {number} is at {head[:12]}, the run was of {sha[:12]}: its result is not posted"
        )
    if state != "open":
        raise Stale(f"pull request {number} is {state}: nothing is posted")
