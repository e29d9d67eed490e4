"""One comment that stays the same one: found by its hidden marker, edited, and left alone by whoever else comments."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from spillway.ci.api import Lost, Refused

TRIES: Final = 3
GONE: Final = (404, 410)


@dataclass(frozen=True, slots=True)
class Comment:
    """own: by the account that comments here. A marker in anybody else's comment means nothing."""

    id: str
    body: str
    own: bool


class Conversation(Protocol):
    """A pull request's comments, oldest first. limit: characters of one. create and edit give the comment's address."""

    limit: int

    def comments(self) -> Iterator[Comment]: ...
    def create(self, body: str) -> str: ...
    def edit(self, id: str, body: str) -> str: ...
    def remove(self, id: str) -> None: ...


Action = Literal["created", "edited", "unchanged", "none"]


@dataclass(frozen=True, slots=True)
class Stuck:
    """What was done. removed: comments with the marker beyond the first."""

    action: Action
    url: str = ""
    removed: int = 0


def stick(conversation: Conversation, body: str, marker: str, *, only_edit: bool = False) -> Stuck:
    """The one comment with the marker says `body` afterwards.

    only_edit: where there is none, none is made. Raises ValueError for a text without the marker or above the limit,
    SpillwayError for what the service refuses.
    """
    if not marked(body, marker):
        raise ValueError(f"the text does not begin with {marker}")
    if len(body) > conversation.limit:
        raise ValueError(f"{len(body)} characters, a comment has at most {conversation.limit}")
    for attempt in range(1, TRIES + 1):
        mine = [one for one in conversation.comments() if one.own and marked(one.body, marker)]
        if not mine and only_edit:
            return Stuck("none")
        try:
            if not mine:
                return Stuck("created", conversation.create(body))
            removed = _only_first(conversation, mine)
            if _same(mine[0].body, body):
                return Stuck("unchanged", removed=removed)
            return Stuck("edited", conversation.edit(mine[0].id, body), removed)
        except Lost:  # perhaps it is there: look before another one is made
            if attempt == TRIES:
                raise
        except Refused as refused:  # somebody deleted it meanwhile
            if not mine or refused.status not in GONE or attempt == TRIES:
                raise
    raise AssertionError("the last attempt returns or raises")


def marked(body: str, marker: str) -> bool:
    """Whether a text begins with the marker: quoted further down it is somebody's answer."""
    return body.lstrip("\ufeff \r\n").startswith(marker)


def _only_first(conversation: Conversation, mine: list[Comment]) -> int:
    for one in mine[1:]:
        conversation.remove(one.id)
    return len(mine) - 1


def _same(before: str, after: str) -> bool:
    """Services change line ends and what is at the end."""
    return before.replace("\r\n", "\n").strip() == after.strip()


def fitted(text: str, limit: int, rest: str = "") -> str:
    """A text that somebody wrote, cut to a limit at the end of a line, with what stood open there closed.

    rest: added at the end, whatever is cut.
    """
    tail = f"\n\n{rest}\n" if rest else "\n"
    if len(text.rstrip("\n")) + len(tail) <= limit:
        return text.rstrip("\n") + tail
    told = "_Too long for a comment: the rest is left out here._"
    room = limit - len(tail) - len(told) - 64  # of what closes
    kept = text[: max(room, 0)]
    kept = kept[: kept.rfind("\n") + 1].rstrip("\n")
    while True:
        closing = _closing(kept)
        whole = f"{kept}{closing}\n\n{told}{tail}"
        if len(whole) <= limit or not kept:
            return whole
        kept = kept[: kept.rfind("\n")] if "\n" in kept else ""


def _closing(text: str) -> str:
    """Ends of a fence and of folded sections that are open at the end of a text."""
    fence = ""
    depth = 0
    for line in text.splitlines():
        mark = re.match(r" {0,3}(`{3,}|~{3,})", line)
        if fence:
            if mark and mark[1].startswith(fence) and line.strip() == mark[1]:
                fence = ""
            continue
        if mark:
            fence = mark[1]
            continue
        depth += line.count("<details") - line.count("</details>")
    return (f"\n{fence}" if fence else "") + "\n\n</details>" * max(depth, 0)
