"""nginx as it runs on a node: the tree's own configuration in front of a made-up gate and engine, over real sockets."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiohttp import web

from images import check, tree
from images.node import Serving
from images.programs import front, state

NGINX = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin")
pytestmark = [
    pytest.mark.skipif(NGINX is None, reason="nginx is not installed"),
    pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed"),
]


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@dataclass
class Behind:
    """Gate and engine on loopback, and what they were asked."""

    gate: int = 0
    engine: int = 0
    admit: Callable[[web.Request], web.Response] = lambda _: web.Response(status=204, headers={"X-Spillway-Key": "web"})
    asked: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    admitted: list[dict[str, str]] = field(default_factory=list)
    ready: bool = True
    """Whether the probe paths say 200."""
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)
    gate_runner: web.AppRunner | None = None
    engine_runner: web.AppRunner | None = None

    async def _start(self) -> None:
        gate = web.Application()
        gate.add_routes(
            [
                web.get("/readyz", self._probe),
                web.get("/livez", self._probe),
                web.get("/admit", self._admit),
                web.get("/metrics", self._metrics),
            ]
        )
        engine = web.Application(client_max_size=2**30)
        engine.add_routes(
            [
                web.get("/metrics", self._metrics),
                web.post("/v1/chat/completions", self._stream),
                web.route("*", "/{rest:.*}", self._engine),
            ]
        )
        self.gate_runner, self.engine_runner = web.AppRunner(gate), web.AppRunner(engine, shutdown_timeout=0.1)
        for runner, name in ((self.gate_runner, "gate"), (self.engine_runner, "engine")):
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            setattr(self, name, runner.addresses[0][1])

    def run(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(10)

    def start(self) -> None:
        threading.Thread(target=self.loop.run_forever, daemon=True).start()
        self.run(self._start())

    def stop_gate(self) -> None:
        assert self.gate_runner is not None
        self.run(self.gate_runner.cleanup())

    def stop_engine(self) -> None:
        assert self.engine_runner is not None
        self.run(self.engine_runner.cleanup())

    def stop(self) -> None:
        self.stop_gate()
        self.stop_engine()
        self.loop.call_soon_threadsafe(self.loop.stop)

    async def _probe(self, request: web.Request) -> web.Response:
        return web.Response(text="ready\n") if self.ready else web.json_response({"reason": "staging"}, status=503)

    async def _admit(self, request: web.Request) -> web.Response:
        self.admitted.append({name.lower(): value for name, value in request.headers.items()})
        return self.admit(request)

    async def _metrics(self, request: web.Request) -> web.Response:
        return web.Response(text="metric 1\n")

    async def _engine(self, request: web.Request) -> web.Response:
        self.asked.append(
            (request.path, {name.lower(): value for name, value in request.headers.items()}, await request.read())
        )
        status = int(request.headers.get("X-Answer", "200"))
        return web.json_response({"engine": True}, status=status)

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(
            (request.path, {name.lower(): value for name, value in request.headers.items()}, await request.read())
        )
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await answer.prepare(request)
        for number in range(5):
            await answer.write(f"data: {number}\n\n".encode())
            await asyncio.sleep(0.3)
        return answer


@dataclass
class Node:
    """A running nginx."""

    folder: Path
    behind: Behind
    port: int
    probe_port: int
    metrics_port: int
    process: subprocess.Popen[str]

    def client(self, **more: Any) -> httpx.Client:
        return httpx.Client(
            base_url=f"https://127.0.0.1:{self.port}", verify=False, timeout=20, trust_env=False, **more
        )

    def post(self, path: str = "/v1/completions", **more: Any) -> httpx.Response:
        with self.client() as client:
            return client.post(path, headers={"Authorization": "Bearer secret-key"} | more.pop("headers", {}), **more)

    def log(self) -> list[dict[str, Any]]:
        time.sleep(0.2)
        return [json.loads(line) for line in (self.folder / "access.log").read_text().splitlines()]

    def reload(self) -> None:
        self.process.send_signal(signal.SIGHUP)
        time.sleep(0.7)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    behind = Behind()
    behind.start()
    port, probe_port, metrics_port = free_port(), free_port(), free_port()
    tree.render("aws", tmp_path / "root")
    folder = tmp_path / "node"
    log = "syslog:server=unix:/dev/log,nohostname,facility=local7,tag=nginx_access,severity=info"
    conf = check.place_nginx(
        tmp_path / "root",
        folder,
        Serving(name="llm.example.com", port=port, probe_port=probe_port),
        replace=[
            ("127.0.0.1:8000", f"127.0.0.1:{behind.engine}"),
            ("127.0.0.1:9180", f"127.0.0.1:{behind.gate}"),
            (f"listen {front.METRICS_PORT} ", f"listen {metrics_port} "),
            (log, f"{folder}/access.log"),
            ("user www-data;", "user root;" if os.geteuid() == 0 else ""),
            ("worker_processes 8;", "worker_processes 1;"),
        ],
    )
    process = subprocess.Popen(
        [str(NGINX), "-c", str(conf), "-g", "daemon off;"], stderr=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL
    )
    try:
        for _ in range(100):
            with socket.socket() as one:
                if one.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert process.poll() is None, process.stderr.read() if process.stderr else ""
            time.sleep(0.05)
        yield Node(folder, behind, port, probe_port, metrics_port, process)
    finally:
        process.terminate()
        process.wait(10)
        behind.stop()


def test_a_request_with_a_key_reaches_the_engine_and_the_key_does_not(node: Node) -> None:
    answer = node.post(json={"prompt": "hello"})
    assert answer.status_code == 200
    path, headers, body = node.behind.asked[0]
    assert (path, json.loads(body)) == ("/v1/completions", {"prompt": "hello"})
    assert "authorization" not in headers
    assert node.behind.admitted[0]["authorization"] == "Bearer secret-key"
    assert headers["x-request-id"] == node.behind.admitted[0]["x-request-id"] == answer.headers["x-request-id"]


def test_the_gate_is_asked_without_the_prompt(node: Node) -> None:
    node.post(json={"prompt": "hello"}, headers={"Cookie": "a=b"})
    assert "cookie" not in node.behind.admitted[0]
    assert node.behind.admitted[0].get("content-length", "0") == "0"


def test_an_unknown_key_is_401_and_never_reaches_the_engine(node: Node) -> None:
    node.behind.admit = lambda _: web.Response(status=401)
    answer = node.post()
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert answer.json()["error"]["code"] == "invalid_api_key"
    assert node.behind.asked == []


@pytest.mark.parametrize(("status", "retry"), [(429, "7"), (503, "12")])
def test_a_refusal_becomes_its_status_with_retry_after(node: Node, status: int, retry: str) -> None:
    node.behind.admit = lambda _: web.Response(
        status=403, headers={"X-Spillway-Key": "web", "X-Spillway-Refuse": str(status), "X-Spillway-Retry-After": retry}
    )
    answer = node.post()
    assert (answer.status_code, answer.headers["retry-after"]) == (status, retry)
    assert "error" in answer.json()
    assert node.behind.asked == []
    (line,) = node.log()
    assert (line["status"], line["refused"], line["key"]) == (status, str(status), "web")


def test_without_the_gate_nothing_is_let_in(node: Node) -> None:
    node.behind.stop_gate()
    answer = node.post()
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    assert node.behind.asked == []


def test_without_the_engine_clients_are_told_to_come_back(node: Node) -> None:
    node.behind.stop_engine()
    answer = node.post()
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0


@pytest.mark.parametrize("status", [400, 404, 500, 503])
def test_what_the_engine_answers_goes_through_as_it_is(node: Node, status: int) -> None:
    answer = node.post(headers={"X-Answer": str(status)})
    assert (answer.status_code, answer.json()) == (status, {"engine": True})


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/metrics",
        "/health",
        "/load",
        "/v1",
        "/reset_prefix_cache",
        "/admit",
        "/.admit",
        "/v1/../metrics",
        "/metrics/../v1/models",
        "//v1/models",
        "/./v1/models",
        "/%76%31/models",
        "/v1%2fmodels",
    ],
)
def test_only_v1_reaches_the_engine(node: Node, path: str) -> None:
    with socket.create_connection(("127.0.0.1", node.port), 5) as raw:
        context = ssl._create_unverified_context()
        with context.wrap_socket(raw, server_hostname="llm.example.com") as wire:
            wire.sendall(f"GET {path} HTTP/1.1\r\nHost: llm.example.com\r\nConnection: close\r\n\r\n".encode())
            status = wire.recv(4096).split(b" ", 2)[1]
    assert status in (b"404", b"400")
    assert node.behind.asked == []


def test_tokens_arrive_as_they_are_made(node: Node) -> None:
    began, arrivals = time.monotonic(), []
    with node.client() as client, client.stream("POST", "/v1/chat/completions", json={}) as answer:
        for chunk in answer.iter_raw():
            arrivals.append((time.monotonic() - began, chunk))
    assert len(arrivals) >= 4
    assert arrivals[0][0] < 0.3
    assert arrivals[-1][0] > 1.0


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_http_2_is_spoken(node: Node) -> None:
    said = subprocess.run(
        ["curl", "--silent", "--insecure", "--http2", "--noproxy", "*", "--max-time", "10", "--output", "/dev/null",
         "--write-out", "%{http_version} %{http_code}", "--data", "{}", f"https://127.0.0.1:{node.port}/v1/completions"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert said.stdout == "2 200"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tls_1_2_and_1_3_are_spoken(node: Node, version: ssl.TLSVersion) -> None:
    context = ssl._create_unverified_context()
    context.minimum_version = context.maximum_version = version
    with socket.create_connection(("127.0.0.1", node.port), 5) as raw, context.wrap_socket(raw) as wire:
        assert wire.version() == version.name.replace("TLSv1_", "TLSv1.")


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_older_tls_is_refused(node: Node) -> None:
    context = ssl._create_unverified_context()
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    with socket.create_connection(("127.0.0.1", node.port), 5) as raw, pytest.raises((ssl.SSLError, OSError)):
        context.wrap_socket(raw)


def test_the_access_log_has_neither_prompts_nor_keys(node: Node) -> None:
    node.post("/v1/completions?key=in-the-query", json={"prompt": "a secret prompt"})
    time.sleep(0.2)
    text = (node.folder / "access.log").read_text()
    (line,) = node.log()
    assert (line["key"], line["status"], line["path"], line["method"]) == ("web", 200, "/v1/completions", "POST")
    assert line["tls"].startswith("TLSv1")
    assert float(line["seconds"]) >= 0
    assert float(line["engineHeaderSeconds"]) >= 0
    for secret in ("secret-key", "in-the-query", "a secret prompt"):
        assert secret not in text


def test_probes_are_answered_by_the_gate_with_and_without_tls_and_not_logged(node: Node) -> None:
    for url in (f"https://127.0.0.1:{node.port}", f"http://127.0.0.1:{node.probe_port}"):
        for path in ("/readyz", "/livez"):
            assert httpx.get(f"{url}{path}", verify=False, trust_env=False).status_code == 200
    node.behind.ready = False
    answer = httpx.get(f"http://127.0.0.1:{node.probe_port}/readyz", trust_env=False)
    assert (answer.status_code, answer.json()) == (503, {"reason": "staging"})
    assert node.log() == []


def test_the_probe_port_has_nothing_but_probes(node: Node) -> None:
    for path in ("/v1/completions", "/v1/models", "/metrics", "/"):
        assert httpx.get(f"http://127.0.0.1:{node.probe_port}{path}", trust_env=False).status_code == 404
    assert node.behind.asked == []


def test_a_gate_that_is_gone_is_not_ready(node: Node) -> None:
    node.behind.stop_gate()
    answer = httpx.get(f"http://127.0.0.1:{node.probe_port}/readyz", trust_env=False)
    assert answer.status_code == 503
    assert answer.json()["reason"] == "starting"


def test_a_body_beyond_the_limit_is_refused(node: Node) -> None:
    answer = node.post(content=b"x" * (33 * 2**20))
    assert answer.status_code == 413
    assert node.behind.asked == []


def test_a_large_body_goes_through_memory_only(node: Node) -> None:
    body = os.urandom(3 * 2**20)
    assert node.post(content=body).status_code == 200
    assert node.behind.asked[0][2] == body


def test_metrics_of_all_parts_are_on_a_port_of_their_own(node: Node) -> None:
    for part in ("gate", "engine"):
        answer = httpx.get(f"https://127.0.0.1:{node.metrics_port}/metrics/{part}", verify=False, trust_env=False)
        assert answer.text == "metric 1\n"
    assert (
        httpx.get(f"https://127.0.0.1:{node.metrics_port}/v1/models", verify=False, trust_env=False).status_code == 404
    )


def test_a_drain_closes_idle_connections_and_ends_each_answer_with_close(node: Node) -> None:
    with node.client() as client:
        assert client.post("/v1/completions").headers["connection"] == "keep-alive"
        state.replace(node.folder / "run/spillway/nginx/keepalive.conf", front.keepalive(True).encode())
        node.reload()
        answer = client.post("/v1/completions")
        assert (answer.status_code, answer.headers["connection"]) == (200, "close")


def test_what_is_on_its_way_outlives_the_reload_of_a_drain(node: Node) -> None:
    received = b""
    with node.client() as client, client.stream("POST", "/v1/chat/completions", json={}) as answer:
        for number, chunk in enumerate(answer.iter_raw()):
            received += chunk
            if number == 0:
                state.replace(node.folder / "run/spillway/nginx/keepalive.conf", front.keepalive(True).encode())
                node.process.send_signal(signal.SIGHUP)
    assert received == b"".join(f"data: {number}\n\n".encode() for number in range(5))


def test_idle_clients_are_probed_before_anything_on_the_way_forgets_them(node: Node) -> None:
    assert "so_keepalive=30s:10s:3" in (node.folder / "run/spillway/nginx/listen.conf").read_text()
    with node.client() as client:
        client.get("/readyz")
        time.sleep(0.5)
        said = subprocess.run(["ss", "-tno", "sport", f"= :{node.port}"], capture_output=True, text=True, check=False)
    if said.returncode == 0 and "ESTAB" in said.stdout:
        assert "keepalive" in said.stdout
