"""The network of the SDKs: every `requests` session ends here, in fakes that answer by host. Nothing is sent."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch
from urllib.parse import parse_qsl, urlsplit

from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter
from urllib3 import HTTPResponse


@dataclass(frozen=True, slots=True)
class Call:
    method: str
    host: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Answer:
    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


Handler = Callable[[Call], Answer]


@dataclass
class Wire:
    """handle: answers. faults: asked first; an answer or an exception of theirs comes instead."""

    handle: Handler
    faults: list[Callable[[Call], Answer | None]] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)

    def send(self, adapter: HTTPAdapter, request: PreparedRequest, **_: Any) -> Response:
        parts = urlsplit(str(request.url))
        body = request.body or b""
        if hasattr(body, "read"):
            body = body.read()
        call = Call(
            str(request.method),
            str(parts.hostname),
            parts.path,
            dict(parse_qsl(parts.query)),
            {key.lower(): str(value) for key, value in request.headers.items()},
            body.encode() if isinstance(body, str) else bytes(body),  # type: ignore[arg-type]
        )
        self.calls.append(call)
        answer = next((found for fault in self.faults if (found := fault(call))), None) or self.handle(call)
        content = answer.body if isinstance(answer.body, bytes) else b""
        headers = dict(answer.headers)
        if answer.body is not None and not isinstance(answer.body, bytes):
            content = json.dumps(answer.body).encode()
            headers.setdefault("Content-Type", "application/json")
        headers.setdefault("Content-Length", str(len(content)))
        raw = HTTPResponse(io.BytesIO(content), headers=headers, status=answer.status, preload_content=False)
        return adapter.build_response(request, raw)

    def sent(self, method: str, ending: str) -> list[Call]:
        return [call for call in self.calls if call.method == method and call.path.endswith(ending)]


@contextmanager
def connected(wire: Wire) -> Iterator[None]:
    def send(adapter: HTTPAdapter, request: PreparedRequest, **more: Any) -> Response:
        return wire.send(adapter, request, **more)

    with patch.object(HTTPAdapter, "send", send):
        yield
