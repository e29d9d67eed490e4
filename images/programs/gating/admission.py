"""Who may send a request: API keys by their SHA-256, requests per minute of each key."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

HASH: Final = re.compile(r"sha256:[0-9a-f]{64}")
NAME: Final = re.compile(r"[!-~](?:[ -~]{0,126}[!-~])?")
"""A name goes into a header and a log line."""
BEARER: Final = re.compile(r"\s*bearer\s+(\S+)\s*", re.IGNORECASE)
SLOWEST: Final = 1e-3
FASTEST: Final = 1e9
"""Requests per minute. Below, the pause that a client is told is no number any more; nothing sends more."""
LONGEST: Final = 4096
"""Characters of an Authorization header that are looked at."""


@dataclass(frozen=True)
class Key:
    """limit: requests per minute, on this node; None for no limit."""

    name: str
    hash: bytes
    limit: float | None


def parse_keys(content: bytes) -> tuple[Key, ...]:
    """keys.json as `spillway secrets` stores it. Raises ValueError with one line, which holds no hash."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        raise ValueError("is not JSON" if content.strip() else "is empty") from None
    if not isinstance(document, list):
        raise ValueError("is not a JSON list")
    keys = tuple(_key(index, entry) for index, entry in enumerate(document, 1))
    for what, values in (("name", [key.name for key in keys]), ("hash", [key.hash for key in keys])):
        number = Counter(values).most_common(1)
        if number and number[0][1] > 1:
            again = [index for index, value in enumerate(values, 1) if value == number[0][0]]
            raise ValueError(f"entries {again[0]} and {again[1]} have the same {what}")
    return keys


def _key(index: int, entry: object) -> Key:
    if not isinstance(entry, dict):
        raise ValueError(f"entry {index} is not an object")
    name, digest, limit = entry.get("name"), entry.get("hash"), entry.get("limit")
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise ValueError(f"entry {index} has no name of 1 to 128 printable ASCII characters")
    if not isinstance(digest, str) or not HASH.fullmatch(digest):
        raise ValueError(f"entry {index} has no hash of the form sha256:<64 hexadecimal digits>")
    # Compared and not converted: a whole number may be too large for a float.
    if limit is not None and (
        isinstance(limit, bool) or not isinstance(limit, int | float) or not SLOWEST <= limit <= FASTEST
    ):
        raise ValueError(f"entry {index} has a limit that is neither null nor a number of requests per minute above 0")
    return Key(name, bytes.fromhex(digest.removeprefix("sha256:")), limit)


@dataclass
class Bucket:
    """Tokens for a minute's requests: full at the start, refilled evenly, so no minute sees more than twice the
    limit.
    """

    limit: float
    tokens: float
    at: float

    @classmethod
    def full(cls, limit: float, now: float) -> Bucket:
        return cls(limit, max(limit, 1.0), now)

    def take(self, now: float) -> float:
        """Takes one token. Returns 0, or the seconds until there is one."""
        self.tokens = min(max(self.limit, 1.0), self.tokens + max(0.0, now - self.at) * self.limit / 60)
        self.at = now
        # A client that waits as long as it was told must not meet a rounding error.
        if self.tokens >= 1 - 1e-9:
            self.tokens = max(0.0, self.tokens - 1)
            return 0.0
        return (1 - self.tokens) * 60 / self.limit

    def limited(self, limit: float) -> None:
        """Another limit from now on; the share that is used up stays so."""
        self.tokens *= max(limit, 1.0) / max(self.limit, 1.0)
        self.limit = limit


@dataclass
class Keyring:
    """The keys that are known, and what each has left of its minute."""

    keys: tuple[Key, ...] | None = None
    """None: none were ever read."""
    buckets: dict[str, Bucket] = field(default_factory=dict, repr=False)

    def replace(self, keys: Sequence[Key], now: float) -> None:
        """Another list; keys that stay keep their bucket, so that a new list gives nobody a new minute."""
        self.keys = tuple(keys)
        before, self.buckets = self.buckets, {}
        for key in keys:
            if key.limit is not None:
                bucket = before.get(key.name) or Bucket.full(key.limit, now)
                if bucket.limit != key.limit:
                    bucket.limited(key.limit)
                self.buckets[key.name] = bucket

    def find(self, authorization: str) -> Key | None:
        """Whose key an Authorization header holds (`Bearer <key>`); None: nobody's.

        Always compares with every key, in constant time: how long it takes tells neither a hash nor a place in the
        list.
        """
        bearer = BEARER.fullmatch(authorization[:LONGEST])
        digest = hashlib.sha256((bearer[1] if bearer else "").encode("utf-8", "surrogateescape")).digest()
        found: Key | None = None
        for key in self.keys or ():
            if hmac.compare_digest(key.hash, digest):
                found = key
        return found if bearer else None

    def take(self, key: Key, now: float) -> float:
        """One request of this key. Returns 0, or the seconds until it may send the next."""
        bucket = self.buckets.get(key.name)
        return bucket.take(now) if bucket else 0.0
