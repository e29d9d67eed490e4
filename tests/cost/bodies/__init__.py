"""Answers of price lists, in the shapes that their documentation has. None is of a live call."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any, Final

import httpx

DAY: Final = date(2026, 11, 26)


def body(name: str) -> dict[str, Any]:
    told: dict[str, Any] = json.loads((Path(__file__).parent / f"{name}.json").read_text())
    assert "No answer of a live call" in told["about"]
    return told


def transport(answer: Callable[[httpx.Request], httpx.Response | Any]) -> httpx.MockTransport:
    """Answers that are no response are JSON with status 200."""

    def handle(request: httpx.Request) -> httpx.Response:
        told = answer(request)
        return told if isinstance(told, httpx.Response) else httpx.Response(200, json=told)

    return httpx.MockTransport(handle)
