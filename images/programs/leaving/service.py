"""The metadata service of the node's cloud over HTTP: with time-outs, without redirects, with the headers it insists
on.

It answers on the link only, so proxies are never used; whoever answers with a redirect, or with more than a metadata
service has to say, is somebody else.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Final

import aiohttp

from images.node import Cloud
from images.programs.identity import METADATA

BASES: Final[dict[Cloud, str]] = {
    "aws": "http://169.254.169.254",
    "azure": "http://169.254.169.254",
    "gcp": "http://metadata.google.internal",
    "tencent": "http://metadata.tencentyun.com",
}
HEADERS: Final[dict[Cloud, dict[str, str]]] = {
    "aws": {},
    "azure": {"Metadata": "true"},
    "gcp": {"Metadata-Flavor": "Google"},
    "tencent": {},
}
TOKEN_SECONDS: Final = 21600
"""The longest there is. https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html"""
MOST: Final = 2**18
"""Bytes of an answer."""
TIMEOUT: Final = 2.0
SKEW: Final = 3.0
"""Seconds by which the node's clock may differ from the service's before the service is believed instead."""


class Unavailable(Exception):
    """The metadata service did not answer, or not like one; the message is one line."""


@dataclass(frozen=True)
class Answer:
    """now: unix seconds by the service's clock where the node's own is off, else by the node's."""

    status: int
    body: bytes
    now: float
    etag: str = ""

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace").strip()

    def json(self) -> Any:
        """Raises Unavailable where the body is no JSON."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            raise Unavailable(f"answers with no JSON ({self.text[:60]!r})") from None


class Service:
    """One cloud's metadata service. Has to be closed."""

    def __init__(self, cloud: Cloud, base: str | None = None) -> None:
        self.cloud: Cloud = cloud
        self.base = (base or os.environ.get(METADATA) or BASES[cloud]).rstrip("/")
        self._session: aiohttp.ClientSession | None = None
        self._token, self._token_until = "", 0.0
        self._token_lock = asyncio.Lock()

    async def close(self) -> None:
        if self._session:
            await self._session.close()
            self._session = None

    async def get(
        self, path: str, query: Mapping[str, str] | None = None, timeout: float = TIMEOUT, most: int = MOST
    ) -> Answer:
        """The answer, 404 included. Raises Unavailable for everything else that is no 200."""
        return await self._ask("GET", path, query, timeout, most)

    async def text(self, path: str, query: Mapping[str, str] | None = None, timeout: float = TIMEOUT) -> str | None:
        """A value; None where there is none (404, or empty)."""
        answer = await self.get(path, query, timeout)
        return answer.text or None if answer.status == 200 else None

    async def post(
        self, path: str, body: Any, query: Mapping[str, str] | None = None, timeout: float = TIMEOUT
    ) -> Answer:
        return await self._ask("POST", path, query, timeout, MOST, json.dumps(body).encode())

    async def _ask(
        self, method: str, path: str, query: Mapping[str, str] | None, timeout: float, most: int, body: bytes = b""
    ) -> Answer:
        headers = dict(HEADERS[self.cloud])
        if body:
            headers["Content-Type"] = "application/json"
        if self.cloud != "aws":
            return _judged(*await self._send(method, path, query, headers, timeout, most, body))
        for attempt in (1, 2):
            headers["X-aws-ec2-metadata-token"] = await self._aws_token(timeout)
            answer, flavor = await self._send(method, path, query, headers, timeout, most, body)
            # The token has ended before its time, as it does after a migration: another one, once.
            if answer.status != 401 or attempt == 2:
                return _judged(answer, flavor)
            self._token = ""
        raise AssertionError

    async def _aws_token(self, timeout: float) -> str:
        async with self._token_lock:
            if not self._token or time.monotonic() > self._token_until:
                headers = {"X-aws-ec2-metadata-token-ttl-seconds": str(TOKEN_SECONDS)}
                answer, flavor = await self._send("PUT", "/latest/api/token", None, headers, timeout, MOST, b"")
                token = _judged(answer, flavor).text
                if answer.status != 200 or not token.isascii() or not token.isprintable() or not 8 <= len(token) <= 512:
                    raise Unavailable("gives no token")
                self._token, self._token_until = token, time.monotonic() + 0.9 * TOKEN_SECONDS
            return self._token

    async def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        headers: Mapping[str, str],
        timeout: float,
        most: int,
        body: bytes,
    ) -> tuple[Answer, str | None]:
        if self._session is None:
            connector = aiohttp.TCPConnector(force_close=True, limit=8)
            self._session = aiohttp.ClientSession(connector=connector, auto_decompress=False, trust_env=False)
        whole = aiohttp.ClientTimeout(total=timeout)
        try:
            async with self._session.request(
                method, f"{self.base}{path}", params=query, headers=headers, data=body or None, timeout=whole,
                allow_redirects=False,
            ) as found:  # fmt: skip
                content = await found.content.read(most + 1)
                while len(content) <= most and (part := await found.content.read(most)):
                    content += part
                if len(content) > most:
                    raise Unavailable(f"answers with more than {most:,} bytes")
                answer = Answer(found.status, content, _clock(found.headers.get("Date")), found.headers.get("ETag", ""))
                flavor = found.headers.get("Metadata-Flavor") if self.cloud == "gcp" else "Google"
                return answer, flavor
        except TimeoutError:
            raise Unavailable(f"does not answer within {timeout:g} s") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise Unavailable(" ".join(str(error).split()) or type(error).__name__) from None


def _judged(answer: Answer, flavor: str | None) -> Answer:
    if answer.status not in (200, 404):
        raise Unavailable(f"answers with HTTP {answer.status}")
    # Whoever else listens at that name does not know the header:
    # https://docs.cloud.google.com/compute/docs/metadata/querying-metadata
    if flavor != "Google":
        raise Unavailable("answers without Metadata-Flavor: this is not the metadata service")
    return answer


def _clock(date: str | None) -> float:
    """Unix seconds by the service where the node's clock is off by more than SKEW, else the node's, which is finer."""
    own = time.time()
    if not date:
        return own
    try:
        # Cut to the second, so half a second has passed on the average; a whole one is assumed.
        theirs = parsedate_to_datetime(date).timestamp() + 1.0
    except (ValueError, TypeError, OverflowError):
        return own
    return own if abs(theirs - own) <= SKEW else theirs
