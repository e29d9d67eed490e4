"""What the inventories of AWS share: pages, tags, and errors in one line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def pages(client: Any, operation: str, items: str, **arguments: Any) -> Iterator[Any]:
    """Every item of a listing call, over all its pages."""
    if not client.can_paginate(operation):
        yield from getattr(client, operation)(**arguments).get(items) or []
        return
    for page in client.get_paginator(operation).paginate(**arguments):
        yield from page.get(items) or []


def tags_of(listed: Any) -> Mapping[str, str]:
    """AWS's list of keys and values as a mapping."""
    return {tag["Key"]: tag.get("Value") or "" for tag in listed or []}


def told(error: Exception) -> str:
    """An error in AWS's words, on one line."""
    return " ".join(str(error).split())
