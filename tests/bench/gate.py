"""How fast the readiness gate answers while its engine is busy and slow: 100 requests/s of /readyz, as JSON.

The gate and the stand-in engine are processes of their own, as on a node; the engine has more requests than slots all
the time, and answers /health and /metrics through the same busy event loop. Latency is measured from when a request was
due, so a gate that stalls pays for everything that it kept waiting.

`floor` is the same client against a server that does nothing, at the same time: what the machine and the client take.
Gate, floor and client run with the priority of the gate's unit (Nice=-5) where that is allowed; `nice` says whether it
was.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import psutil

from images import node
from tests.support.node.gate import KEY, Node

ROOT = Path(__file__).resolve().parents[2]
RATE = 100
"""Requests per second, of each path."""
AIM_MS = 10.0
CLIENTS = 40
"""Requests that the engine has at any time; it runs eight."""


@dataclass(frozen=True)
class Program:
    line: str
    """The first that it wrote with a port in it."""
    pid: int


def prefer(pid: int) -> bool:
    """The priority of the gate's unit, for a process. False where that is not allowed."""
    try:
        os.setpriority(os.PRIO_PROCESS, pid, -5)
    except PermissionError:
        return False
    return True


@contextlib.contextmanager
def process(module: str, *arguments: str, **environment: str) -> Iterator[Program]:
    """A program of ours, once it listens."""
    started = subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT, env={**os.environ, **environment}, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert started.stdout is not None
        for line in started.stdout:
            if "listening" in line:
                yield Program(line, started.pid)
                break
    finally:
        started.kill()
        started.wait()


async def load(engine: str) -> None:
    """Clients that send their next request when the one before has ended, for ever."""
    body = {"model": "m", "prompt": "x", "max_tokens": 20, "stream": True}

    async def client(session: aiohttp.ClientSession) -> None:
        while True:
            async with session.post(f"{engine}/v1/completions", json=body) as answer:
                await answer.read()

    async with aiohttp.ClientSession() as session:
        print("listening to nobody", flush=True)
        with contextlib.suppress(aiohttp.ClientError, ConnectionError):  # the engine is killed in the end
            await asyncio.gather(*(client(session) for _ in range(CLIENTS)))


async def floor() -> None:
    """A server that answers 200 to whatever arrives."""
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nready\n"

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while await reader.readuntil(b"\r\n\r\n"):
                writer.write(answer)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    print(f"listening on http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


def cpu_seconds(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


async def asked(url: str, path: str, seconds: float, **headers: str) -> list[float]:
    """Milliseconds of each answer, from when it was due; raises when one is not 2xx."""
    found: list[float] = []
    async with aiohttp.ClientSession(headers=headers) as session:

        async def one(due: float) -> None:
            async with session.get(f"{url}{path}") as answer:
                await answer.read()
                answer.raise_for_status()
            found.append(1000 * (time.perf_counter() - due))

        begin, running = time.perf_counter(), []
        for number in range(round(RATE * seconds)):
            due = begin + number / RATE
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            running.append(asyncio.create_task(one(due)))
        await asyncio.gather(*running)
    return found


def summary(values: list[float]) -> dict[str, float]:
    ordered = sorted(values)
    return {
        "p50_ms": round(statistics.median(ordered), 2),
        "p99_ms": round(ordered[int(0.99 * (len(ordered) - 1))], 2),
        "max_ms": round(ordered[-1], 2),
    }


async def until(gate: str, status: int) -> float:
    """Milliseconds until /readyz has this status."""
    began = time.perf_counter()
    async with aiohttp.ClientSession() as session:
        while time.perf_counter() - began < 60:
            async with session.get(f"{gate}/readyz") as answer:
                if answer.status == status:
                    return round(1000 * (time.perf_counter() - began), 1)
            await asyncio.sleep(0.005)
    raise RuntimeError(f"/readyz did not become {status}")


async def _measure(gate: Program, nothing: str, seconds: float) -> dict[str, Any]:
    url = f"http://127.0.0.1:{json.loads(gate.line)['port']}"
    found: dict[str, Any] = {"requests_per_second": RATE, "aim_p99_ms": AIM_MS}
    idle = cpu_seconds(gate.pid)
    await asyncio.sleep(seconds / 2)
    idle = (cpu_seconds(gate.pid) - idle) / (seconds / 2)
    for name, path, headers in (("readyz", "/readyz", {}), ("admit", "/admit", {"Authorization": f"Bearer {KEY}"})):
        before = cpu_seconds(gate.pid)
        took, least = await asyncio.gather(asked(url, path, seconds, **headers), asked(nothing, "/", seconds))
        spent = cpu_seconds(gate.pid) - before - idle * seconds
        found[name] = summary(took) | {"cpu_ms_per_request": round(1000 * spent / len(took), 2)}
        found[name]["floor"] = summary(least)
        for key in ("p50", "p99"):
            found[name][f"{key}_of_floor"] = round(found[name][f"{key}_ms"] / found[name]["floor"][f"{key}_ms"], 2)
    return found | {"cpu_share_without_requests": round(idle, 3)}


def measure(seconds: float = 10.0) -> dict[str, Any]:
    """Latency of /readyz and of /admit, each over so many seconds; then how soon a drain and a dead engine are told."""
    slow = ("--port", "0", "--token-ms", "40", "--first-token-ms", "300", "--model", "m")
    before = os.getpriority(os.PRIO_PROCESS, 0)
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        engine = stack.enter_context(process("tests.support.node.vllm_stand_in", *slow))
        url = engine.line.removeprefix("listening on ").strip()
        made = Node.make(Path(folder), url)
        made.booted()
        # Requests that are asked about and never sent would count as a queue.
        made.configure(limits=node.Limits(queue=1_000_000, ttft_p50_ms=600_000, error_rate=1.0))
        gate = stack.enter_context(process("images.programs.gate", "--port", "0", **made.environment))
        nothing = stack.enter_context(process("tests.bench.gate", "--floor"))
        door = f"http://127.0.0.1:{json.loads(gate.line)['port']}"
        asyncio.run(until(door, 200))
        stack.enter_context(process("tests.bench.gate", "--load", url))
        nice = all([prefer(gate.pid), prefer(nothing.pid), prefer(os.getpid())])
        stack.callback(os.setpriority, os.PRIO_PROCESS, os.getpid(), before)
        print(f"    {RATE} requests/s of /readyz, then of /admit, {seconds:g} s each", file=sys.stderr, flush=True)
        found = asyncio.run(_measure(gate, nothing.line.removeprefix("listening on ").strip(), seconds))
        print("    drain and death of the engine to 503", file=sys.stderr, flush=True)
        found["drain_to_503_ms"] = []
        for _ in range(5):
            made.put("drain", state="draining", cause="manual", deadline=None)
            found["drain_to_503_ms"].append(asyncio.run(until(door, 503)))
            (made.run / "drain.json").unlink()
            asyncio.run(until(door, 200))
        os.kill(engine.pid, signal.SIGKILL)
        found["engine_killed_to_503_ms"] = asyncio.run(until(door, 503))
        return found | {"nice": nice}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--load", metavar="URL")
    parser.add_argument("--floor", action="store_true")
    parser.add_argument("--seconds", type=float, default=10.0)
    arguments = parser.parse_args()
    if arguments.load:
        asyncio.run(load(arguments.load))
    elif arguments.floor:
        asyncio.run(floor())
    else:
        json.dump(measure(arguments.seconds), sys.stdout, indent=1)
        print()


if __name__ == "__main__":
    main()
