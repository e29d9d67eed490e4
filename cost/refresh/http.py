"""One way to ask a price list over HTTP: what is transient is `Busy`, everything else one clear line."""

from __future__ import annotations

from typing import Any, Final

import httpx

from cost.refresh.work import Busy, retry_after
from spillway.errors import SpillwayError

TRANSIENT: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
SECONDS: Final = 60.0


def client(transport: httpx.BaseTransport | None = None, **headers: str) -> httpx.Client:
    """transport: in tests."""
    return httpx.Client(headers={"User-Agent": "spillway", **headers}, timeout=SECONDS, transport=transport)


def get(session: httpx.Client, name: str, url: str, **query: str | int) -> dict[str, Any]:
    """A JSON object. Raises Busy, SpillwayError."""
    try:
        answer = session.get(url, params=query or None)
    except httpx.TransportError as error:
        raise Busy(f"out of reach: {' '.join(str(error).split()) or type(error).__name__}") from None
    return body(answer, name)


def body(answer: httpx.Response, name: str) -> dict[str, Any]:
    """The JSON object of an answer. Raises Busy, SpillwayError."""
    if answer.status_code in TRANSIENT:
        what = "is throttled" if answer.status_code == 429 else f"answers HTTP {answer.status_code}"
        raise Busy(what, retry_after(answer.headers.get("Retry-After")))
    if answer.is_error:
        raise SpillwayError(f"{name}: answers HTTP {answer.status_code}: {' '.join(answer.text.split())[:200]}")
    try:
        told = answer.json()
    except ValueError:
        raise Busy("answers no JSON") from None
    if not isinstance(told, dict):
        raise SpillwayError(f"{name}: answers no JSON object")
    return told
