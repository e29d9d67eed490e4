"""A small HTTP server on the loopback, for fakes that answer an SDK over the wire."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Protocol
from urllib.parse import parse_qs, unquote, urlsplit


@dataclass(frozen=True)
class Request:
    """What arrived. query: the last value of each key; headers: keys in lower case."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


class Fake(Protocol):
    """Answers one request at a time; AssertionError says that the request is none that the real service knows."""

    def answer(self, request: Request) -> Answer: ...


@contextmanager
def serving(fake: Fake) -> Iterator[str]:
    """`http://127.0.0.1:PORT`. An AssertionError of the fake fails the test that has it."""
    wrong: list[AssertionError] = []
    lock = Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _do(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(length)
            if self.headers.get("Transfer-Encoding") == "chunked":
                body = self._chunks()
            parts = urlsplit(self.path)
            query = {key: values[-1] for key, values in parse_qs(parts.query, keep_blank_values=True).items()}
            headers = {key.lower(): value for key, value in self.headers.items()}
            with lock:
                try:
                    found = fake.answer(Request(self.command, unquote(parts.path), query, headers, body))
                except AssertionError as error:
                    wrong.append(error)
                    found = Answer(400, b"")
            self.send_response(found.status)
            for key, value in found.headers.items():
                self.send_header(key, value)
            if "Content-Length" not in found.headers:
                self.send_header("Content-Length", str(len(found.body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(found.body)

        def _chunks(self) -> bytes:
            pieces = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                pieces.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(pieces)

        do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _do

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
    if wrong:
        raise wrong[0]
