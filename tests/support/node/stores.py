"""Object stores, secret stores and metadata services on loopback, with faults, and every request counted.

S3 and Secrets Manager are moto's. Blob Storage, Cloud Storage and Tencent's COS are small stand-ins of the documented
requests that nodes make; each refuses what has no credentials of the metadata service that belongs to it.
"""

from __future__ import annotations

import json
import sys
import threading
import time
import urllib.request
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, Literal, cast
from urllib.parse import parse_qs, unquote

from werkzeug.serving import WSGIRequestHandler, make_server

TOKEN = "token-of-the-node"
KEY_ID, KEY_SECRET, SESSION = "AKIDEXAMPLE", "secret-of-the-node", "session-of-the-node"
App = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

Chunk = bytes
"""As a type: a class below has a method of that name."""


@dataclass
class Fault:
    """What happens to requests whose path has `path` in it. times: to how many, -1 for all.

    status: answered with it. cut: the body ends after so many bytes. slow: bytes per second. flip: this byte of the
    object is another one. short: the object is so many bytes shorter than it was.
    """

    path: str
    kind: Literal["status", "cut", "slow", "flip", "short", "stall"]
    value: int = 0
    times: int = -1
    headers: dict[str, str] = field(default_factory=dict)
    skip: int = 0
    """So many requests go well first."""


@dataclass
class Seen:
    """One request. sent: bytes of the body."""

    method: str
    path: str
    range: str
    status: int = 0
    sent: int = 0
    headers: dict[str, str] = field(default_factory=dict, repr=False)


class Watched:
    """A WSGI application with faults in front of it."""

    def __init__(self, app: App) -> None:
        self._app, self._lock = app, threading.Lock()
        self.seen: list[Seen] = []
        self.faults: list[Fault] = []
        self.working = self.most = 0

    def bytes(self, path: str = "") -> int:
        """Sent for paths with this in them."""
        return sum(one.sent for one in self.seen if path in one.path)

    def requests(self, path: str = "") -> list[Seen]:
        """For paths with this in them."""
        return [one for one in self.seen if path in one.path]

    def _fault(self, path: str, wanted: str) -> Fault | None:
        first, _, last = wanted.removeprefix("bytes=").partition("-")
        with self._lock:
            for fault in self.faults:
                if fault.kind == "flip" and wanted and not int(first) <= fault.value <= int(last):
                    continue
                if fault.path in path and fault.times:
                    if fault.skip:
                        fault.skip -= 1
                        continue
                    fault.times -= 1
                    return fault
        return None

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterator[Chunk]:
        path = environ.get("RAW_URI") or environ.get("REQUEST_URI") or environ["PATH_INFO"]
        headers = {key[5:].replace("_", "-").lower(): value for key, value in environ.items() if key[:5] == "HTTP_"}
        one = Seen(environ["REQUEST_METHOD"], unquote(path), headers.get("range", ""), headers=headers)
        with self._lock:
            self.seen.append(one)
            self.working += 1
            self.most = max(self.most, self.working)
        try:
            yield from self._answer(one, environ, start)
        finally:
            with self._lock:
                self.working -= 1

    def _answer(self, one: Seen, environ: dict[str, Any], start: Callable[..., Any]) -> Iterator[Chunk]:
        fault = self._fault(one.path, one.range)
        if fault is not None and fault.kind == "status":
            one.status = fault.value
            start(f"{fault.value} Refused", [("Content-Length", "0"), *fault.headers.items()])
            return
        told: list[Any] = []
        body = b"".join(self._app(environ, lambda status, found, info=None: told.append((status, found))))
        status, found = told[0]
        one.status = int(status.split()[0])
        begin = int(one.range[6:].partition("-")[0]) if one.range else 0
        if fault is not None and fault.kind == "flip" and begin <= fault.value < begin + len(body):
            spot = fault.value - begin
            body = body[:spot] + bytes([body[spot] ^ 1]) + body[spot + 1 :]
        if fault is not None and fault.kind == "short":
            found = [(key, _shorter(key, value, fault.value)) for key, value in found]
            body = body[: -fault.value]
        start(status, found)
        if fault is not None and fault.kind == "cut":
            one.sent = min(fault.value, len(body))
            yield body[: fault.value]
            raise ConnectionAbortedError
        if fault is not None and fault.kind == "stall":
            yield body[: len(body) // 2]
            time.sleep(fault.value)
            raise ConnectionAbortedError
        step = max(1, fault.value // 20) if fault is not None and fault.kind == "slow" else 1 << 20
        for at in range(0, len(body), step):
            if fault is not None and fault.kind == "slow":
                time.sleep(0.05)
            one.sent += len(body[at : at + step])
            yield body[at : at + step]


def _shorter(key: str, value: str, by: int) -> str:
    if key.lower() == "content-length":
        return str(int(value) - by)
    if key.lower() == "content-range":
        head, _, total = value.rpartition("/")
        return f"{head}/{int(total) - by}"
    return value


class _Handler(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log(self, *_: Any, **__: Any) -> None: ...


@contextmanager
def serve(app: App, tls: tuple[str, str] | None = None) -> Iterator[str]:
    """The application on a free port of loopback; its URL. tls: files of certificate and key."""
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Handler, ssl_context=tls)
    server.daemon_threads = True  # type: ignore[attr-defined]  # of the threading mix-in
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def _plain(
    start: Callable[..., Any], status: int, body: bytes | str | dict[str, Any] = b"", **headers: str
) -> list[bytes]:
    if isinstance(body, dict):
        body, headers = json.dumps(body), {"Content-Type": "application/json", **headers}
    data = body.encode() if isinstance(body, str) else body
    pairs = [(key.replace("_", "-"), value) for key, value in headers.items()]
    start(f"{status} Told", [("Content-Length", str(len(data))), *pairs])
    return [data]


def _headers(environ: dict[str, Any]) -> dict[str, str]:
    return {key[5:].replace("_", "-").lower(): value for key, value in environ.items() if key[:5] == "HTTP_"}


class Metadata:
    """The identity part of the metadata services of all four clouds.

    https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html,
    https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token,
    https://docs.cloud.google.com/compute/docs/access/authenticate-workloads,
    https://www.tencentcloud.com/document/product/213/4934
    """

    def __init__(self) -> None:
        self.seconds = 3600
        self.down = False
        self.token = TOKEN
        self.resources: list[str] = []

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> list[bytes]:
        path, headers = environ["PATH_INFO"], _headers(environ)
        if self.down:
            return _plain(start, 503)
        until = datetime.now(UTC) + timedelta(seconds=self.seconds)
        if path == "/latest/api/token" and environ["REQUEST_METHOD"] == "PUT":
            return _plain(start, 200, "imds")
        if path.startswith("/latest/meta-data/iam/security-credentials"):
            if headers.get("x-aws-ec2-metadata-token") != "imds":
                return _plain(start, 401)
            if path.rstrip("/").endswith("security-credentials"):
                return _plain(start, 200, "spillway-node")
            body = {"Code": "Success", "Type": "AWS-HMAC", "AccessKeyId": KEY_ID, "SecretAccessKey": KEY_SECRET}
            return _plain(start, 200, {**body, "Token": SESSION, "Expiration": until.strftime("%Y-%m-%dT%H:%M:%SZ")})
        if path.startswith("/latest/meta-data/cam/security-credentials/"):
            if path.endswith("/"):
                return _plain(start, 200, "spillway-node")
            keys = {"TmpSecretId": KEY_ID, "TmpSecretKey": KEY_SECRET, "Token": SESSION}
            return _plain(start, 200, {**keys, "ExpiredTime": int(until.timestamp()), "Code": "Success"})
        if path == "/metadata/identity/oauth2/token":
            query = parse_qs(environ["QUERY_STRING"])
            if headers.get("metadata") != "true" or not query.get("resource"):
                return _plain(start, 400, {"error": "invalid_request"})
            self.resources += query["resource"]
            end = str(int(until.timestamp()))
            body = {
                "access_token": self.token,
                "expires_on": end,
                "expires_in": str(self.seconds),
                "token_type": "Bearer",
            }
            return _plain(start, 200, {**body, "resource": query["resource"][0]})
        if headers.get("metadata-flavor") == "Google":
            flavor = {"Metadata_Flavor": "Google"}
            if path.endswith("/token"):
                told: dict[str, Any] = {"access_token": self.token, "expires_in": self.seconds, "token_type": "Bearer"}
                return _plain(start, 200, told, **flavor)
            if path.endswith("/project/project-id"):
                return _plain(start, 200, "project-1", Content_Type="application/text", **flavor)
            if "/service-accounts/" in path:
                account = {"email": "node@project-1.iam.gserviceaccount.com", "aliases": ["default"], "scopes": []}
                return _plain(start, 200, account, **flavor)
            return _plain(start, 200, "", **flavor)
        return _plain(start, 404)


class Objects:
    """A bucket of a store that wants a bearer token (blob, gcs) or a signature (cos), by its documented GET.

    https://learn.microsoft.com/rest/api/storageservices/get-blob,
    https://docs.cloud.google.com/storage/docs/json_api/v1/objects/get,
    https://www.tencentcloud.com/document/product/436/7753
    """

    def __init__(self, kind: Literal["blob", "gcs", "cos"]) -> None:
        self._kind = kind
        self.objects: dict[str, bytes] = {}

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> list[bytes]:
        headers = _headers(environ)
        path = environ.get("RAW_URI") or environ["REQUEST_URI"]
        if self._kind == "gcs":
            path, _, query = path.partition("?")
            head, _, name = path.partition("/o/")
            if query != "alt=media" or "/" in name or not head.startswith("/storage/v1/b/"):
                return _plain(start, 400, {"error": {"errors": [{"reason": "badRequest"}]}})
            key = f"{head.removeprefix('/storage/v1/b/')}/{unquote(name)}"
        else:
            key = unquote(path.removeprefix("/"))
        if fault := self._identity_fault(headers):
            return _plain(
                start, fault, f"<Error><Code>{'AuthenticationFailed' if fault == 403 else 'NoAuth'}</Code></Error>"
            )
        if key not in self.objects:
            return _plain(start, 404, "<Error><Code>BlobNotFound</Code></Error>")
        data = self.objects[key]
        wanted = headers.get("range")
        if not wanted:
            return _plain(start, 200, data)
        first, last = (int(number) for number in wanted.removeprefix("bytes=").split("-"))
        if first >= len(data):
            return _plain(start, 416, "<Error><Code>InvalidRange</Code></Error>")
        last = min(last, len(data) - 1)
        return _plain(start, 206, data[first : last + 1], Content_Range=f"bytes {first}-{last}/{len(data)}")

    def _identity_fault(self, headers: dict[str, str]) -> int:
        told = headers.get("authorization", "")
        if self._kind == "cos":
            good = f"Credential={KEY_ID}/" in told and headers.get("x-amz-security-token") == SESSION
            return 0 if good else 403
        if self._kind == "blob" and not headers.get("x-ms-version"):
            return 400
        return 0 if told == f"Bearer {TOKEN}" else 401


@contextmanager
def moto() -> Iterator[tuple[str, Watched]]:
    """moto's server for S3 and Secrets Manager, empty; its URL, and what it was asked."""
    # Only `moto[server]` brings flask_cors, with forty packages of services that no node asks; it answers browsers.
    sys.modules.setdefault("flask_cors", cast(Any, SimpleNamespace(CORS=lambda *_, **__: None)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

    watched = Watched(DomainDispatcherApplication(create_backend_app))
    with serve(watched) as url:
        urllib.request.urlopen(urllib.request.Request(f"{url}/moto-api/reset", method="POST"), timeout=10).close()
        watched.seen.clear()
        yield url, watched
