"""A node of rung 5: the real engine under what its unit says, the real gate, nginx with the image's configuration, spot
watcher and drain, and a cloud's metadata service; everything on loopback.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import httpx

from images import check, node, tree
from images.programs import front, state
from images.programs.gating.figures import Scrape, parse
from images.render import render_node_json
from tests.support.node import gate
from tests.support.node.gate import KEY, key_entry
from tests.vllm import tiny
from tests.vllm.environment import Engine, home
from tests.vllm.unit import ENGINE, PROGRAMS_NICE, ROOT, Unit, lines, nice, weigh

HOST = "llm.example.com"
BOOT_SECONDS = 1800.0
"""The engine's start takes 40 to 60 s on one core of its own, and ten times that beside enough other work."""
SOON = 120.0
"""For what takes a second or two on a quiet machine."""
DRAIN = node.Drain(notice_seconds=110, deregister_seconds=5, drain_seconds=90)
"""Of a GCP machine with a long preemption notice: what is asked is whether requests end, not how fast this CPU is."""
RAY_STORE_BYTES = 80_000_000
"""The least that Ray takes is 75 MiB; nothing of the engine's goes through it."""


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def certificate(directory: Path) -> None:
    """For HOST, as the secret store would hold it; clients of these tests trust this one and no other."""
    directory.mkdir(mode=0o700, parents=True)
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-subj", f"/CN={HOST}", "-addext", f"subjectAltName=DNS:{HOST}",
         "-keyout", directory / "key.pem", "-out", directory / "certificate.pem"],
        check=True, capture_output=True, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    (directory / "key.pem").chmod(0o600)


@dataclass(frozen=True)
class Seen:
    """What /readyz said at `at` (monotonic clock): 0 where nobody answered; reason `ready` with 200."""

    at: float
    status: int
    reason: str


@dataclass(frozen=True)
class Reply:
    """One request: its status, the tokens that came and when (monotonic clock), and whether it ended as it should."""

    status: int
    began: float
    arrivals: tuple[float, ...] = ()
    finish: str = ""
    whole: bool = False
    error: str = ""

    @property
    def accepted(self) -> bool:
        return self.status == 200


@dataclass(frozen=True)
class Ports:
    """Of a replica: where its nodes meet. ray: below the range that Ray gives its own processes, or above."""

    peers: int = field(default_factory=free_port)
    master: int = field(default_factory=free_port)
    ray: int = field(default_factory=free_port)


def loopback(rank: int) -> str:
    """An address for each node of a replica. Not 127.0.0.1: Ray takes that for another name of the machine."""
    return f"127.0.0.{2 + rank}"


@dataclass
class World:
    """`with World(folder, engine) as world`: all but the engine runs, which `world.unit.order("start")` starts.

    cluster: for a node of several, with the ports that they share; a worker has neither gate nor nginx.
    seen, scrapes: what /readyz and the engine's /metrics said since then; scrapes with their time (monotonic clock).
    """

    folder: Path
    engine: Engine
    cluster: node.Cluster | None = None
    shared: Ports | None = None
    seen: list[Seen] = field(default_factory=list)
    scrapes: list[tuple[float, Scrape]] = field(default_factory=list)
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    ray_folder: Path | None = None
    _over: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __post_init__(self) -> None:
        self.port, self.gate_port, self.engine_port = free_port(), free_port(), free_port()
        self.run = self.folder / "run/spillway"
        self.engine_url = f"http://127.0.0.1:{self.engine_port}"
        self.gate_url = f"http://127.0.0.1:{self.gate_port}"
        # Four processes import vLLM, each by compiling it where no bytecode may be written.
        left_out = ("SPILLWAY_", "VLLM_", "PYTHONDONTWRITEBYTECODE")
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(left_out)},
            "SPILLWAY_RUN": str(self.run),
            "SPILLWAY_NODE": str(self.folder / "node.json"),
            "SPILLWAY_ENGINE": self.engine_url,
            "SPILLWAY_GATE": self.gate_url,
            "SPILLWAY_SYSTEMCTL": str(self.folder / "systemctl"),
            "SPILLWAY_INSTANCE_ID": "1234567890123456789",
            "PYTHONPATH": str(ROOT),
            "HOME": str(self.folder),
            # What vLLM finds out about its model classes by importing them all once more.
            "VLLM_CACHE_ROOT": str(home() / "cache"),
            **self.engine.environment(),
        }
        if self.cluster:
            self.environment |= self._together(self.cluster, self.shared or Ports())
        cores = self.engine.cores
        core = cores[self.cluster.rank % len(cores) if self.cluster else 0] if cores else None
        # What spillway.target wants of them; conditions pass over those that are not for this node.
        names = [ENGINE, "spillway-ray-head.service", "spillway-ray-worker.service"] if self.cluster else [ENGINE]
        self.units = {name: Unit(self.folder, self.environment, core, name) for name in names}
        self.unit = self.units[ENGINE]

    def _together(self, cluster: node.Cluster, ports: Ports) -> dict[str, str]:
        """Environment of a replica's node."""
        found = {
            "SPILLWAY_PEERS_PORT": str(ports.peers),
            "SPILLWAY_ADDRESS": loopback(cluster.rank),
            "SPILLWAY_RAY": str(self.engine.vllm.with_name("ray")),
            "SPILLWAY_RAY_PORT": str(ports.ray),
        }
        if cluster.executor == "native":
            return found | {"SPILLWAY_ENGINE_ARGS": f"--enforce-eager --master-port {ports.master}"}
        # Ray finds GPUs, and there are none. Its sockets' paths have to be short ones.
        more = f"--num-gpus=1 --object-store-memory={RAY_STORE_BYTES}"
        if cluster.role == "head":
            self.ray_folder = Path(tempfile.mkdtemp(prefix="spillway-ray-"))
            more += f" --temp-dir={self.ray_folder}"
        return found | self.engine.on_ray() | {"SPILLWAY_RAY_ARGS": more}

    # -- its parts

    def config(self) -> node.NodeConfig:
        base = gate.config()
        model = base.model.model_copy(
            update={
                "name": tiny.NAME, "revision": tiny.REVISION, "dtype": "float32", "max_model_len": 1024,
                "max_num_seqs": 4, "gpu_memory_utilization": 0.5,
            }
        )  # fmt: skip
        disks = node.Disks.model_construct(scratch=str(self.folder / "scratch"), data=str(self.folder / "data"))
        if self.cluster:
            # One way over the nodes each: layers cut through by vLLM's own means, one behind the other by Ray.
            way = "tensor_parallel" if self.cluster.executor == "native" else "pipeline_parallel"
            model = model.model_copy(update={way: self.cluster.nodes})
        return gate.config(
            cloud="gcp", region="us-central1", stack="gcp-us-central1", model=model, disks=disks, drain=DRAIN,
            serving=node.Serving(name=HOST, port=self.port), cluster=self.cluster,
            # One core that others use too is slow by any measure; what the limits do is tried elsewhere.
            limits=node.Limits(queue=100, ttft_p50_ms=600_000, error_rate=0.05),
        )  # fmt: skip

    def put(self, name: str, **fields: Any) -> None:
        """A state file, of a program that this rung leaves out."""
        content = {"reason": "", "since": time.time(), **fields}
        state.replace(self.run / f"{name}.json", json.dumps(content).encode())

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        certificate(self.run / "tls")
        (self.folder / "node.json").write_text(render_node_json(self.config()))
        weights = tiny.write(self.folder / "scratch/models" / tiny.NAME / tiny.REVISION)
        size = sum(path.stat().st_size for path in weights.iterdir())
        self.put("scratch", state="ok", source="data", disks=0, bytes=10**9)
        self.put("stage", state="ok", path=str(weights), bytes=size, total=size, files=6)
        self.put("secrets", state="ok", notAfter=time.time() + 86400, keys=1)
        state.replace(self.run / "keys.json", json.dumps([key_entry("web", KEY)]).encode(), mode=0o640)
        try:
            for unit in self.units.values():
                unit.__enter__()
            if self.cluster:
                self.program("peers")
            if self.cluster and self.cluster.role == "worker":
                return self
            self._start_nginx()
            self.program("gate", "--port", str(self.gate_port))
            self._thread = threading.Thread(target=self._watch, daemon=True)
            self._thread.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        if self._thread:
            self._thread.join(10)
        for process in self.processes.values():
            if process.poll() is None:
                process.terminate()
        for process in self.processes.values():
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for unit in self.units.values():
            unit.__exit__()
        if self.ray_folder:
            shutil.rmtree(self.ray_folder, ignore_errors=True)

    def start(self) -> None:
        """As spillway.target does: every unit, whichever of them is for this node."""
        for unit in self.units.values():
            unit.order("start")

    def _start_nginx(self) -> None:
        tree.render("gcp", self.folder / "root")
        log = "syslog:server=unix:/dev/log,nohostname,facility=local7,tag=nginx_access,severity=info"
        conf = check.place_nginx(
            self.folder / "root",
            self.folder,
            self.config().serving,
            replace=[
                ("127.0.0.1:8000", f"127.0.0.1:{self.engine_port}"),
                ("127.0.0.1:9180", f"127.0.0.1:{self.gate_port}"),
                (f"listen {front.METRICS_PORT} ", f"listen 127.0.0.1:{free_port()} "),
                (f"listen {self.port} ", f"listen 127.0.0.1:{self.port} "),
                (log, f"{self.folder}/access.log"),
                ("user www-data;", "user root;" if os.geteuid() == 0 else ""),
                ("worker_processes auto;", "worker_processes 1;"),
            ],
        )
        program = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
        self._spawn("nginx", [str(program), "-c", str(conf), "-g", "daemon off;"])
        (self.folder / "nginx.pid").write_text(str(self.processes["nginx"].pid))

    def program(self, name: str, *arguments: str) -> None:
        """One of images.programs, as its unit would start it."""
        self._spawn(name, [sys.executable, "-m", f"images.programs.{name}", *arguments])

    def metadata(self) -> str:
        """Starts the cloud's metadata service; its address. Programs started from now on are led to it."""
        self._spawn("metadata", [sys.executable, "-m", "tests.support.node.metadata", "--cloud", "gcp"])
        self.until(lambda: "listening on" in self.said("metadata"), SOON, "the metadata service does not start")
        url = self.said("metadata").split("listening on ", 1)[1].split()[0]
        self.environment["SPILLWAY_METADATA"] = url
        return url

    def _spawn(self, name: str, command: list[str]) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [*nice(PROGRAMS_NICE), *command],
                cwd=ROOT,
                env=self.environment,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        weigh(self.processes[name].pid, PROGRAMS_NICE)

    # -- what is seen from outside

    def client(self, timeout: float = 600.0) -> httpx.Client:
        """Through TLS, by the name in the certificate."""
        context = ssl.create_default_context(cafile=str(self.run / "tls/certificate.pem"))
        return httpx.Client(
            base_url=f"https://127.0.0.1:{self.port}", verify=context, timeout=timeout, trust_env=False,
            headers={"Host": HOST},
        )  # fmt: skip

    def post(self, body: dict[str, Any], key: str | None = KEY, path: str = "/v1/chat/completions") -> httpx.Response:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        with self.client() as client:
            return client.post(path, json=body, headers=headers, extensions={"sni_hostname": HOST})

    def chat(self, tokens: int, prompt: str = "hello") -> Reply:
        """One streamed chat completion of exactly so many tokens."""
        body = {
            "model": tiny.NAME, "messages": [{"role": "user", "content": prompt}], "max_tokens": tokens,
            "stream": True, "ignore_eos": True, "temperature": 0,
            "stream_options": {"include_usage": True},
        }  # fmt: skip
        began, status, arrivals, finish, made, error = time.monotonic(), 0, [], "", 0, ""
        ended = False
        try:
            with (
                self.client() as client,
                client.stream(
                    "POST", "/v1/chat/completions", json=body, headers={"Authorization": f"Bearer {KEY}"},
                    extensions={"sni_hostname": HOST},
                ) as answer,
            ):  # fmt: skip
                status = answer.status_code
                for line in answer.iter_lines():
                    if not line.startswith("data: "):
                        continue
                    if line == "data: [DONE]":
                        ended = True
                        continue
                    part = json.loads(line.removeprefix("data: "))
                    if "error" in part:
                        error = str(part["error"])
                    for choice in part.get("choices", ()):
                        arrivals.append(time.monotonic())
                        finish = choice.get("finish_reason") or finish
                    if part.get("usage"):
                        made = part["usage"]["completion_tokens"]
        except httpx.HTTPError as fault:
            error = f"{type(fault).__name__}: {fault}"
        whole = ended and made == tokens and finish == "length" and not error
        return Reply(status, began, tuple(arrivals), finish, whole, error)

    def readyz(self) -> Seen:
        try:
            with self.client(5) as client:
                answer = client.get("/readyz", extensions={"sni_hostname": HOST})
        except httpx.HTTPError as error:
            return Seen(time.monotonic(), 0, type(error).__name__)
        reason = "ready" if answer.status_code == 200 else str(answer.json().get("reason"))
        return Seen(time.monotonic(), answer.status_code, reason)

    def _watch(self) -> None:
        next_scrape = 0.0
        while not self._over.wait(0.1):
            self.seen.append(self.readyz())
            if self.seen[-1].reason == "ready" and time.monotonic() >= next_scrape:
                with contextlib.suppress(httpx.HTTPError, AssertionError, ValueError):
                    self.scrapes.append((time.monotonic(), self.scrape()))
                next_scrape = time.monotonic() + 1

    def scrape(self) -> Scrape:
        """The engine's own figures."""
        return parse(self.figures(self.engine_url))

    def figures(self, url: str) -> str:
        answer = httpx.get(f"{url}/metrics", timeout=60, trust_env=False)
        assert answer.status_code == 200
        return answer.text

    def metric(self, name: str) -> float | None:
        """One of the gate's, by name and labels as they are written."""
        for line in self.figures(self.gate_url).splitlines():
            if line.startswith(f"{name} "):
                return float(line.rsplit(" ", 1)[1])
        return None

    # -- waiting

    def until(self, good: Callable[[], object], within: float, why: str) -> float:
        """Seconds that it took. Fails with `why` and what the programs said."""
        began = time.monotonic()
        while not good():
            for unit in self.units.values():
                if unit.fault:
                    raise unit.fault
            if time.monotonic() - began > within:
                raise AssertionError(f"{why}\n{self.troubles()}")
            time.sleep(0.05)
        return time.monotonic() - began

    def until_says(self, reason: str, within: float) -> Seen:
        """The first answer of /readyz from now on that says so."""
        start = len(self.seen)
        self.until(
            lambda: any(one.reason == reason for one in self.seen[start:]), within, f"/readyz does not say {reason}"
        )
        return next(one for one in self.seen[start:] if one.reason == reason)

    def reasons(self, start: int = 0) -> list[str]:
        """What /readyz said, one after another, repetitions left out."""
        found: list[str] = []
        for one in self.seen[start:]:
            if not found or found[-1] != one.reason:
                found.append(one.reason)
        return found

    def said(self, name: str) -> str:
        path = self.folder / f"{name}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def events(self, name: str, event: str) -> list[dict[str, object]]:
        """Lines in the journal of a program."""
        return [line for line in lines(self.folder / f"{name}.log") if line["event"] == event]

    def document(self, name: str) -> dict[str, Any] | None:
        with contextlib.suppress(OSError, ValueError):
            found: dict[str, Any] = json.loads((self.run / f"{name}.json").read_text())
            return found
        return None

    def troubles(self) -> str:
        """The ends of all logs."""
        logs = {path.name: path.read_text(errors="replace")[-3000:] for path in sorted(self.folder.glob("*.log"))}
        return "\n".join(f"--- {name}\n{text}" for name, text in logs.items())


@contextlib.contextmanager
def many(work: Callable[[], Reply], number: int) -> Iterator[list[Reply]]:
    """So many requests at once; the list is complete when the block is left."""
    found: list[Reply] = []
    threads = [threading.Thread(target=lambda: found.append(work()), daemon=True) for _ in range(number)]
    for thread in threads:
        thread.start()
    try:
        yield found
    finally:
        for thread in threads:
            thread.join(900)
