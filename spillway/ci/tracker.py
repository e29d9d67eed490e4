"""Issues of a repository, as drift needs them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Issue:
    """id: what the service addresses it by."""

    id: str
    body: str
    open: bool
    url: str = ""


class Tracker(Protocol):
    """Issues with the label of drift. limit: characters of a text. issues: open and closed, the latest first."""

    limit: int

    def issues(self) -> Iterator[Issue]: ...
    def create(self, title: str, body: str) -> str: ...
    def edit(self, id: str, body: str, *, open: bool = True) -> str: ...
    def close(self, id: str, *, done: bool) -> None: ...
    def say(self, id: str, text: str) -> None: ...
