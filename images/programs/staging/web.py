"""Ranged GETs straight into memory that the caller owns, by http.client; what an answer means is told by exceptions.

A part is read into a page-aligned buffer without a copy in between, which no store's SDK offers: theirs return bytes.
Who signs is the SDK of the store (see s3.py, blob.py, gcs.py, cos.py). A connection is kept for the parts that follow,
and a part that breaks off goes on where it broke.
"""

from __future__ import annotations

import http.client
import random
import re
import ssl
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Final, Protocol
from urllib.parse import urlsplit

CONNECT_SECONDS: Final = 10.0
READ_SECONDS: Final = 20.0
"""Without a byte for this long the connection is given up."""
SLICE: Final = 1 << 20
FLOOR_BYTES: Final = 256 << 10
"""Per second; a connection slower than this over FLOOR_SECONDS is replaced, since one path of many is bad:
https://docs.aws.amazon.com/AmazonS3/latest/userguide/optimizing-performance-guidelines.html (timeouts and retries)"""
FLOOR_SECONDS: Final = 30.0
_CODE: Final = re.compile(r"<Code>([A-Za-z0-9.]{1,64})</Code>|\"reason\": ?\"([A-Za-z]{1,64})\"")
_SAFE: Final = re.compile(r"[^A-Za-z0-9 .,:;/_'()-]")


class StoreError(Exception):
    """The store did not give what was asked for; the message is one line without a secret in it."""


class Missing(StoreError):
    """404: not there, or (on S3 without the right to list) 403 for what is not there."""


class Denied(StoreError):
    """401 or 403."""


class Wrong(StoreError):
    """The object is not as long as the manifest says."""


class Transient(StoreError):
    """May be gone the next time. after: seconds that the store wants to be left alone, None when it said nothing; done:
    bytes of the part that are there, None when nothing changed."""

    def __init__(self, message: str, after: float | None = None, done: int | None = None) -> None:
        super().__init__(message)
        self.after, self.done = after, done


class Throttled(Transient):
    """The store asks for fewer requests."""


class Source(Protocol):
    """A revision's folder in a bucket. Used by many threads at once."""

    where: str
    """Its URI with a slash at the end, as people know it."""

    def request(self, path: str, extra: Mapping[str, str]) -> tuple[str, dict[str, str]]:
        """URL and headers, `extra` among them, of an authorized GET. Raises StoreError without credentials."""
        ...

    def renew(self) -> None:
        """Credentials were refused: the next request has to be made with fresh ones."""
        ...


def one_line(text: object, most: int = 200) -> str:
    """Text of others, fit for a journal: one line, plain characters, not longer than `most`."""
    return _SAFE.sub("", " ".join(str(text).split()))[:most]


def backoff(attempt: int, first: float = 0.2, most: float = 20.0) -> float:
    """Seconds before attempt `attempt` (1 is the first repetition): random up to a doubling bound.

    https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/
    """
    return random.uniform(0.5, 1.0) * min(most, first * 2.0 ** min(attempt - 1, 30))


class Connection:
    """One connection, kept open; for one thread. Redirects are not followed, proxies not asked."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._open: http.client.HTTPConnection | None = None
        self._peer: tuple[str, str] | None = None

    def close(self) -> None:
        """Closes the connection; the next request opens another."""
        if self._open is not None:
            self._open.close()
            self._open = None

    def get(self, path: str, most: int) -> bytes:
        """A small object as a whole. Raises StoreError; NotAManifest is not its business."""
        response = self._ask(path, {})
        try:
            data = response.read(most + 1)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise self._broken(path, error) from None
        if len(data) > most:
            self.close()
            raise Wrong(f"{self._source.where}{path}: larger than {most:,} bytes")
        return data

    def read_into(self, path: str, start: int, view: memoryview, total: int, done: int = 0) -> None:
        """Fills `view` from its byte `done` on with what the object holds from `start`; total: how long it has to be.

        Raises StoreError; a Transient one tells by its `done` how much of `view` is filled by then.
        """
        first, last = start + done, start + len(view) - 1
        response = self._ask(path, {"Range": f"bytes={first}-{last}"})
        if response.status == 206:
            told = response.headers.get("Content-Range", "")
            if not told.startswith(f"bytes {first}-"):
                self.close()
                raise Transient(f"{self._source.where}{path}: asked for bytes {first}-{last}, got {one_line(told, 60)}")
            length = told.rpartition("/")[2]
        else:  # 200: the whole object, which is what an empty path of ranges or a range of everything may get
            length = response.headers.get("Content-Length", "")
            if first or (length.isdigit() and int(length) > len(view)):
                self.close()
                raise Transient(f"{self._source.where}{path}: the store takes no ranges")
        if length.isdigit() and int(length) != total:
            self.close()
            raise Wrong(f"{path} has {int(length):,} bytes in the store, the manifest says {total:,}")
        began, since = time.monotonic(), done
        while done < len(view):
            try:
                count = response.readinto(view[done : done + SLICE])
            except (OSError, http.client.HTTPException) as error:
                self.close()
                raise self._broken(path, error, done) from None
            if not count:
                self.close()
                raise Transient(
                    f"{self._source.where}{path}: broke off after {done:,} of {len(view):,} bytes", done=done
                )
            done += count
            spent = time.monotonic() - began
            if spent > FLOOR_SECONDS and done < len(view):
                if (done - since) / spent < FLOOR_BYTES:
                    self.close()
                    raise Transient(f"{self._source.where}{path}: slower than {FLOOR_BYTES >> 10} KiB/s", done=done)
                began, since = time.monotonic(), done
        if not response.isclosed():
            response.read(0)  # the end of the body has been reached: the connection is free again

    def _ask(self, path: str, extra: Mapping[str, str]) -> http.client.HTTPResponse:
        url, headers = self._source.request(path, extra)
        parts = urlsplit(url)
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        reused = self._open is not None and self._peer == (parts.scheme, parts.netloc)
        for again in (reused, False):
            connection = self._connected(parts.scheme, parts.netloc)
            try:
                connection.request("GET", target, headers=headers)
                response = connection.getresponse()
                break
            except (OSError, http.client.HTTPException) as error:
                self.close()
                if not again:  # a kept connection may have been closed by the other side meanwhile
                    raise self._broken(path, error) from None
        if response.status in (200, 206):
            return response
        raise self._refused(path, response)

    def _connected(self, scheme: str, netloc: str) -> http.client.HTTPConnection:
        if self._open is not None and self._peer != (scheme, netloc):
            self.close()
        if self._open is None:
            if scheme == "https":
                self._open = http.client.HTTPSConnection(netloc, timeout=CONNECT_SECONDS, context=_tls())
            else:
                self._open = http.client.HTTPConnection(netloc, timeout=CONNECT_SECONDS)
            self._peer = (scheme, netloc)
            try:
                self._open.connect()
                self._open.sock.settimeout(READ_SECONDS)
            except OSError as error:
                self.close()
                raise self._broken("", error) from None
        return self._open

    def _broken(self, path: str, error: Exception, done: int | None = None) -> Transient:
        told = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        return Transient(f"{self._source.where}{path}: {one_line(told)}", done=done)

    def _refused(self, path: str, response: http.client.HTTPResponse) -> StoreError:
        status = response.status
        try:
            body = response.read(8192).decode("utf-8", "replace")
        except (OSError, http.client.HTTPException):
            body = ""
        self.close()
        found = _CODE.search(body)
        code = response.headers.get("x-ms-error-code") or (found and (found[1] or found[2])) or response.reason
        told = f"{self._source.where}{path}: {status} {one_line(code, 64)}"
        if status == 404:
            return Missing(told)
        if status in (401, 403):
            self._source.renew()
            return Denied(told)
        # S3 400s for credentials that ended on the way: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
        if status == 400 and code in ("ExpiredToken", "TokenRefreshRequired", "RequestTimeout"):
            self._source.renew()
            return Transient(told)
        if status == 416:
            return Wrong(f"{path} is shorter in the store than the manifest says ({told})")
        if status in (429, 503):
            return Throttled(told, retry_after(response.headers.get("Retry-After")))
        return Transient(told)


def retry_after(value: str | None, most: float = 300.0) -> float | None:
    """Seconds that a `Retry-After` header asks for, up to `most`; None without one that can be read.

    https://www.rfc-editor.org/rfc/rfc9110#field.retry-after: a number of seconds or a date.
    """
    if not value:
        return None
    if value.isascii() and value.strip().isdigit():
        return min(most, float(value))
    try:
        return min(most, max(0.0, parsedate_to_datetime(value).timestamp() - time.time()))
    except (ValueError, TypeError, OverflowError):
        return None


_context: ssl.SSLContext | None = None


def _tls() -> ssl.SSLContext:
    """One context for all connections, so that sessions are resumed and the authorities are read once."""
    global _context
    if _context is None:
        _context = ssl.create_default_context()
    return _context
