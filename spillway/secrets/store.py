"""One region's secret store, as far as `spillway secrets` uses it."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal, Protocol

from spillway.errors import SpillwayError

Kind = Literal["certificate", "api-keys"]
KINDS: Final[tuple[Kind, ...]] = ("certificate", "api-keys")
CONTENT_TYPES: Final = {"certificate": "application/x-pem-file", "api-keys": "application/json"}


class StoreError(SpillwayError):
    """What a store refused or did not answer, on one line; never with a value in it."""


class NotThere(StoreError):
    """There is no secret of that name (a secret without a value is there)."""


class Denied(StoreError):
    """The caller has no right to do it."""


@dataclass(frozen=True, slots=True)
class Held:
    """The newest version of a secret. value: None while it is empty. pushed: when that version was made."""

    value: str | None = field(repr=False)
    version: str = ""
    pushed: datetime | None = None


class SecretStore(Protocol):
    """Reads and writes secrets by the names that a stack file gives. Every method may raise StoreError."""

    where: str
    """For people: which service, which place, which account."""
    most_bytes: int
    """The largest value that it takes."""

    def read(self, name: str) -> Held:
        """Raises NotThere, and Denied when the caller may not look (which does not mean that it may not write)."""
        ...

    def write(self, name: str, value: str, kind: Kind, expires: datetime | None) -> str:
        """Makes `value` the newest version and returns its id. Raises NotThere."""
        ...


def one_line(text: object) -> str:
    """Any text on one line."""
    return " ".join(str(text).split())


def hush() -> None:
    """Keep the SDKs from logging requests, which carry the values, whatever level the root logger has.

    botocore writes whole requests at DEBUG (https://boto3.amazonaws.com/v1/documentation/api/latest/reference/core/boto3.html,
    set_stream_logger), google.auth and azure.core bodies on request.
    """
    for name in ("botocore", "boto3", "urllib3", "azure", "google", "requests"):
        logging.getLogger(name).setLevel(logging.WARNING)
