"""One region's model bucket, as far as `spillway models` uses it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from spillway.errors import SpillwayError

PART_BYTES: Final = 32 << 20
"""Large enough that a thousand requests carry 32 GB, small enough that sixteen parts in memory are half a gigabyte."""
PARTS_MAX: Final = 10_000
"""https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html, https://docs.cloud.google.com/storage/quotas;
Azure takes 50,000: https://learn.microsoft.com/rest/api/storageservices/put-block-list"""
SHA256: Final = "sha256"
"""Key of an object's metadata that holds the hash of its content."""


class BucketError(SpillwayError):
    """What a bucket refused or did not answer, on one line."""


class Fixed(BucketError):
    """A revision that is there with other files; the same push can never succeed."""


class NoBucket(BucketError):
    """There is no such bucket (yet)."""


class Taken(BucketError):
    """An object that must be new is there already."""


@dataclass(frozen=True, slots=True)
class Stored:
    """An object. sha256: as its uploader said, "" when nobody did or it was not asked for."""

    key: str
    size: int
    sha256: str = ""
    modified: datetime | None = None


class Upload(Protocol):
    """One object that arrives in parts; nothing of it is visible before `finish`."""

    def put(self, number: int, data: bytes) -> bool:
        """Part `number` (from 1); False when the bucket has exactly this part from an earlier try. Thread-safe."""
        ...

    def finish(self) -> None:
        """Make the object of all parts that were put."""
        ...

    def abort(self) -> None:
        """Throw the parts away."""
        ...


class ModelStore(Protocol):
    """Every method may raise BucketError, and may be called from several threads."""

    where: str
    """`s3://bucket`"""

    def check(self) -> None:
        """Raises NoBucket, or BucketError when the bucket is somebody else's."""
        ...

    def list(self, prefix: str) -> Iterator[Stored]:
        """Objects whose key begins with `prefix`, without their hashes."""
        ...

    def stat(self, key: str) -> Stored | None:
        """One object with its hash; None when it is not there."""
        ...

    def read(self, key: str, start: int, length: int) -> bytes:
        """`length` bytes from `start` on, fewer at the object's end."""
        ...

    def get(self, key: str, most: int) -> bytes | None:
        """A small object whole; None when it is not there. Raises BucketError when it is larger than `most` bytes."""
        ...

    def put(self, key: str, data: bytes, sha256: str, *, new: bool = False) -> None:
        """A small object whole. new: raises Taken when it is there already."""
        ...

    def upload(self, key: str, sha256: str, *, fresh: bool = False) -> Upload:
        """Go on with an unfinished upload of this key, or begin one. fresh: throw unfinished ones away first."""
        ...

    def delete(self, keys: Iterable[str]) -> None:
        """Objects that are not there are no fault."""
        ...


def read_small(store: ModelStore, key: str, most: int) -> bytes | None:
    """`ModelStore.get` for stores that say an object's size before they send it: `stat`, then `read`."""
    there = store.stat(key)
    if there is None:
        return None
    if there.size > most:
        raise BucketError(f"{store.where}/{key}: larger than {most:,} bytes")
    # A range of no bytes cannot be asked for: RFC 9110, section 14.1.2.
    return store.read(key, 0, there.size) if there.size else b""


def part_bytes(size: int) -> int:
    """The size of a file's parts: the same at every try, as parts that are there already are only recognised then."""
    needed = -(-size // PARTS_MAX)
    return max(PART_BYTES, -(-needed // (1 << 20)) << 20)


def one_line(text: object) -> str:
    """Any text on one line."""
    return " ".join(str(text).split())
