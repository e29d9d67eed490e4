"""The API keys of a region: a JSON list of {name, hash, limit}; keys themselves are in no store.

A key is 256 random bits, so one round of SHA-256 is enough to keep it from being guessed from its hash, and a node
checks it in microseconds: salts and slow hashes are for secrets that people choose
(https://pages.nist.gov/800-63-4/sp800-63b.html#lookupsecretverifier: 112 bits are enough for an approved hash).
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

PREFIX: Final = "sk-spillway-"
"""So that scanners of repositories and logs know one when they see it."""
KEY_BYTES: Final = 32
LIMIT_MAX: Final = 1_000_000
_KEY: Final = re.compile(r"[\x21-\x7e]{32,512}")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_HASH: Final = re.compile(r"sha256:[0-9a-f]{64}")
NAME_WORDS: Final = "up to 64 letters, digits and . _ @ -"


class NotKeys(ValueError):
    """A text that is no list of API keys; the message says where and why, without a word of the text."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """One client. limit: requests per minute, over all replicas of a region; None for no limit."""

    name: str
    hash: str = field(repr=False)
    limit: int | None = None

    def describe(self) -> dict[str, Any]:
        """As it stands in the store."""
        return {"name": self.name, "hash": self.hash, "limit": self.limit}


def new_key() -> str:
    """A new random key."""
    return PREFIX + secrets.token_urlsafe(KEY_BYTES)


def hash_of(key: str) -> str:
    """`sha256:` and the hex digest of the key's text. Raises NotKeys for what is too short to be left unsalted."""
    if not _KEY.fullmatch(key):
        raise NotKeys("a key has 32 to 512 printable characters and no spaces: shorter ones can be guessed")
    return f"sha256:{hashlib.sha256(key.encode('ascii')).hexdigest()}"


def name_fault(name: object) -> str:
    """What is wrong with a key's name; empty when nothing is."""
    return "" if isinstance(name, str) and _NAME.fullmatch(name) else f"has to be {NAME_WORDS}"


def parse(text: str) -> tuple[ApiKey, ...]:
    """The keys in a JSON list. Raises NotKeys with every fault, by index."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        raise NotKeys("not JSON; wanted is a list of {name, hash, limit}") from None
    if not isinstance(data, list):
        raise NotKeys("no JSON list; wanted is a list of {name, hash, limit}")
    faults = [fault for index, entry in enumerate(data) for fault in _faults(index, entry)]
    if not faults:
        for field_ in ("name", "hash"):
            seen: dict[str, int] = {}
            for index, entry in enumerate(data):
                first = seen.setdefault(entry[field_], index)
                if first != index:
                    faults.append(f"[{index}].{field_} is that of [{first}]")
    if faults:
        raise NotKeys("; ".join(faults[:5]) + ("; ..." if len(faults) > 5 else ""))
    return tuple(ApiKey(entry["name"], entry["hash"], entry.get("limit")) for entry in data)


def _faults(index: int, entry: object) -> list[str]:
    if not isinstance(entry, dict):
        return [f"[{index}] is no object"]
    found = []
    unknown = len(entry.keys() - {"name", "hash", "limit"})
    if unknown:  # not by name: it may be a key in clear text
        found.append(f"[{index}] has {unknown} unknown field{'s' if unknown > 1 else ''}")
    if name_fault(entry.get("name")):
        found.append(f"[{index}].name {name_fault(entry.get('name'))}")
    value = entry.get("hash")
    if not isinstance(value, str) or not _HASH.fullmatch(value):
        found.append(f"[{index}].hash has to be sha256: and 64 hex digits (never the key itself)")
    limit = entry.get("limit")
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= LIMIT_MAX):
        found.append(f"[{index}].limit has to be null or a whole number of requests per minute, 1 to {LIMIT_MAX:,}")
    return found


def text(keys: Sequence[ApiKey]) -> str:
    """The list as it is stored: one key per line, the same text for the same keys."""
    if not keys:
        return "[]\n"
    return "[\n" + ",\n".join(json.dumps(key.describe()) for key in keys) + "\n]\n"
