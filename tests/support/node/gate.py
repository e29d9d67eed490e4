"""The real gate over HTTP, with a node's files in a folder and the stand-in engine behind it."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from images import node
from images.programs import state
from images.programs.gate import Gate
from images.programs.gating.pace import Pace
from images.render import render_node_json

KEY = "k" * 40
FAST = Pace(
    tick=0.02, health=0.03, health_timeout=0.4, metrics=0.03, metrics_timeout=0.4, stale=0.6, warm_retry=0.05,
    warm_timeout=2, probe_timeout=2, check_timeout=0.4, idle=60, stuck=60, doubt=0.02, unit=0.1, rise=0.15,
    guard_longest=1.2, guard_rest=1.5,
)  # fmt: skip
"""A node's minutes in seconds."""


def config(**changes: Any) -> node.NodeConfig:
    """A node of one region; changes: fields of NodeConfig."""
    values: dict[str, Any] = {
        "cloud": "aws",
        "region": "us-east-1",
        "stack": "aws-us-east-1",
        "pool": "spot",
        "group": "spillway-aws-us-east-1-spot",
        "serving": node.Serving(name="llm.example.com"),
        "model": node.Model(
            uri="s3://bucket/models/m/r/",
            name="m",
            revision="r",
            dtype="bfloat16",
            quantization=None,
            kv_cache_dtype="auto",
            tensor_parallel=1,
            pipeline_parallel=1,
            max_model_len=32768,
            max_num_seqs=8,
            gpu_memory_utilization=0.9,
        ),
        "limits": node.Limits(queue=100, ttft_p50_ms=10_000, error_rate=0.05),
        "drain": node.Drain(notice_seconds=120, deregister_seconds=15, drain_seconds=90),
        "boot_minutes": 20,
        "secrets": node.Secrets(certificate="spillway/certificate", api_keys="spillway/api-keys"),
    }
    return node.NodeConfig(**(values | changes))


def key_entry(name: str, key: str, limit: float | None = None) -> dict[str, Any]:
    """An entry of keys.json."""
    return {"name": name, "hash": f"sha256:{hashlib.sha256(key.encode()).hexdigest()}", "limit": limit}


@dataclass(frozen=True)
class Answer:
    status: int
    text: str
    headers: Mapping[str, str]

    @property
    def reason(self) -> str:
        """The reason of a 503, `ready` or `live` of a 200."""
        return json.loads(self.text)["reason"] if self.status == 503 else self.text.strip()

    @property
    def detail(self) -> str:
        return str(json.loads(self.text)["detail"])


@dataclass
class Node:
    """A folder that holds what a node's programs tell each other, and the environment that leads the gate to it."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    @classmethod
    def make(cls, folder: Path, engine: str, monkeypatch: pytest.MonkeyPatch | None = None) -> Node:
        run = folder / "run"
        run.mkdir(parents=True, exist_ok=True)
        made = cls(folder)
        made.environment = {
            "SPILLWAY_RUN": str(run),
            "SPILLWAY_NODE": str(folder / "node.json"),
            "SPILLWAY_ENGINE": engine,
            "SPILLWAY_INSTANCE_ID": "i-0123456789abcdef0",
            "SPILLWAY_SYSTEMCTL": "",
        }
        for name, value in made.environment.items():
            if monkeypatch:
                monkeypatch.setenv(name, value)
        made.configure()
        return made

    @property
    def run(self) -> Path:
        return self.folder / "run"

    def configure(self, **changes: Any) -> None:
        (self.folder / "node.json").write_text(render_node_json(config(**changes)))

    def put(self, name: str, **fields: Any) -> None:
        """A state file as its program would write it."""
        content = {"reason": "", "since": time.time(), **fields}
        state.replace(self.run / f"{name}.json", json.dumps(content).encode())

    def keys(self, *entries: dict[str, Any]) -> None:
        state.replace(self.run / "keys.json", json.dumps(list(entries)).encode(), mode=0o640)

    def booted(self) -> None:
        """Everything is done that comes before the engine."""
        self.put("scratch", state="ok", source="raid0", disks=2, bytes=10**12)
        self.put("stage", state="ok", path="/mnt/scratch/models/m/r", bytes=10, total=10, files=2)
        self.put("secrets", state="ok", notAfter=time.time() + 86400 * 30, keys=1)
        self.keys(key_entry("web", KEY))


class Client:
    """What nginx, a balancer and the lifecycle program ask."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self.url, self.session = url, session

    async def get(self, path: str, **headers: str) -> Answer:
        async with self.session.get(f"{self.url}{path}", headers=headers) as answer:
            return Answer(answer.status, await answer.text(), dict(answer.headers))

    async def ready(self) -> str:
        return (await self.get("/readyz")).reason

    async def live(self) -> str:
        return (await self.get("/livez")).reason

    async def admit(self, key: str = KEY) -> Answer:
        return await self.get("/admit", Authorization=f"Bearer {key}")

    async def metric(self, name: str) -> float | None:
        """The value of a sample, by its name and labels as they are written."""
        for line in (await self.get("/metrics")).text.splitlines():
            if line.startswith(f"{name} "):
                return float(line.rsplit(" ", 1)[1])
        return None

    async def until(self, reason: str, detail: str = "", within: float = 8.0, path: str = "/readyz") -> Answer:
        """The first answer with this reason, and this text in its detail. Fails when there is none in time."""
        end = time.monotonic() + within
        while True:
            answer = await self.get(path)
            if answer.reason == reason and detail in answer.text:
                return answer
            assert time.monotonic() < end, f"{path} says {answer.text.strip()}, not {reason} {detail}"
            await asyncio.sleep(0.01)

    async def looked(self, times: int = 2) -> None:
        """Returns when the gate has read the engine's figures so many times more."""
        name = 'spillway_gate_engine_polls_total{what="metrics",result="ok"}'
        before = await self.metric(name) or 0
        end = time.monotonic() + 8
        while (await self.metric(name) or 0) < before + times:
            assert time.monotonic() < end, "the gate does not look at the engine's figures"
            await asyncio.sleep(0.01)

    async def stays(self, reason: str, seconds: float) -> None:
        """Fails when another reason is told meanwhile."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            answer = await self.get("/readyz")
            assert answer.reason == reason, answer.text
            await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def serving(
    pace: Pace = FAST, prepare: Callable[[Gate], None] | None = None
) -> AsyncIterator[tuple[Gate, Client]]:
    """A gate in this process, which the environment leads to its node."""
    gate, stop = Gate(pace), asyncio.Event()
    if prepare:
        prepare(gate)
    task = asyncio.create_task(gate.serve("127.0.0.1", 0, stop))
    listening = asyncio.create_task(gate.listening.wait())
    await asyncio.wait([task, listening], return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        await task
    timeout = aiohttp.ClientTimeout(total=10)
    try:
        async with aiohttp.ClientSession(timeout=timeout) as session:
            yield gate, Client(f"http://127.0.0.1:{gate.port}", session)
    finally:
        stop.set()
        await task
