"""The API keys of a region: a JSON list of {name, hash, limit}, checked before the gate gets it.

Hashes only: keys themselves are in no store (docs/secrets.md). The rules are those of `spillway secrets push`.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

LIMIT_MAX: Final = 1_000_000
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_HASH: Final = re.compile(r"sha256:[0-9a-f]{64}")


class NotKeys(ValueError):
    """A text that is no list of API keys; the message says where and why, without a word of the text."""


def parse(text: str) -> list[dict[str, Any]]:
    """The keys, with `limit` None where there is none. Raises NotKeys with the first fault."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        raise NotKeys("not JSON") from None
    if not isinstance(data, list):
        raise NotKeys("no JSON list")
    found = [_entry(index, entry) for index, entry in enumerate(data)]
    for field in ("name", "hash"):
        if len({entry[field] for entry in found}) < len(found):
            raise NotKeys(f"two keys have the same {field}")
    return found


def _entry(index: int, entry: object) -> dict[str, Any]:
    if not isinstance(entry, dict):
        raise NotKeys(f"[{index}] is no object")
    if entry.keys() - {"name", "hash", "limit"}:  # not by name: it may be a key in clear text
        raise NotKeys(f"[{index}] has unknown fields")
    name, hash_, limit = entry.get("name"), entry.get("hash"), entry.get("limit")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise NotKeys(f"[{index}].name has to be up to 64 letters, digits and . _ @ -")
    if not isinstance(hash_, str) or not _HASH.fullmatch(hash_):
        raise NotKeys(f"[{index}].hash has to be sha256: and 64 hex digits")
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= LIMIT_MAX):
        raise NotKeys(f"[{index}].limit has to be null or a whole number from 1 to {LIMIT_MAX}")
    return {"name": name, "hash": hash_, "limit": limit}


def text(keys: list[dict[str, Any]]) -> bytes:
    """As it lies on the node: the same bytes for the same keys."""
    return (json.dumps(keys) + "\n").encode()
