"""What must not take the gate along: engines that hang or lie, broken files, clocks that jump, its own end."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import os
import signal
import socket
import stat
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from images.programs.gating import judge
from images.programs.gating.readiness import Readiness
from tests.support.node.gate import FAST, Client, Node, serving
from tests.support.node.vllm_stand_in import StandIn

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", ["drain", "scratch", "stage", "secrets", "peers"])
@pytest.mark.parametrize(
    "value",
    [
        "NaN",
        "Infinity",
        "-1",
        "1e300",
        "1" + "0" * 400,
        '"0001-01-01T00:00:00+23:59"',
        '"\\ud800"',
        "[[]]",
        "{}",
        "true",
    ],
)
def test_whatever_a_state_file_says_is_judged_and_told_in_json(name: str, value: str) -> None:
    keys = ("reason", "cause", "deadline", "bytes", "total", "path", "notAfter", "keys", "alive", "expected", "looked")
    for stated in ("ok", "failed", "running"):
        text = "{" + f'"state": "{stated}", ' + ", ".join(f'"{key}": {value}' for key in keys) + "}"
        ok = {"state": "ok"}
        files = {"drain": None, "scratch": ok, "stage": ok, "secrets": ok, "peers": ok, name: json.loads(text)}
        found = judge.of_files(**files, draining=name == "drain", keys=1, several=True)
        told = json.dumps({"detail": found.detail, **found.extra}, allow_nan=False)
        assert "\n" not in told


@pytest.mark.parametrize("fault", ["hang", "garbage", "error", "empty"])
def test_metrics_that_cannot_be_read_take_no_node_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], fault: Any
) -> None:
    async def blind() -> None:
        async with StandIn() as engine:
            Node.make(tmp_path, engine.url, monkeypatch).booted()
            async with serving(dataclasses.replace(FAST, stuck=0.3)) as (_, client):
                await client.until("ready")
                engine.behaviour.waiting = 500
                await client.until("overloaded")
                tokens = engine.counts["tokens"]
                engine.behaviour.metrics = fault
                await client.until("ready")  # nobody knows of a queue any more
                await client.stays("ready", 1.0)
                assert engine.counts["tokens"] > tokens  # so tokens are asked for instead
                assert await client.metric("spillway_gate_queue_requests") is None
                engine.behaviour.tokens = "error"
                await client.until("failing", "HTTP 500")
                engine.behaviour.tokens, engine.behaviour.metrics = "ok", "ok"
                await client.until("overloaded")

    asyncio.run(blind())
    events = [json.loads(line)["event"] for line in capsys.readouterr().out.splitlines()]
    assert events.count("engine metrics unreadable") == 1


def test_health_that_hangs_opens_the_circuit_and_a_token_closes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hang() -> None:
        async with StandIn() as engine:
            Node.make(tmp_path, engine.url, monkeypatch).booted()
            async with serving(dataclasses.replace(FAST, health_timeout=0.1)) as (_, client):
                await client.until("ready")
                engine.behaviour.health, engine.behaviour.tokens = "hang", "hang"
                began = time.monotonic()
                await client.until("failing", "/health has no answer within 0.1 s")
                assert time.monotonic() - began < 1.5
                slowest = 0.0
                for _ in range(50):
                    asked = time.monotonic()
                    assert await client.ready() == "failing"
                    slowest = max(slowest, time.monotonic() - asked)
                assert slowest < 0.25  # whatever the engine does, and on a busy machine
                engine.behaviour.health, engine.behaviour.tokens = "ok", "ok"
                await client.until("ready")

    asyncio.run(hang())


def test_an_engine_that_is_too_busy_for_health_checks_and_makes_tokens_is_not_broken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def busy() -> None:
        async with StandIn() as engine, aiohttp.ClientSession() as session:
            Node.make(tmp_path, engine.url, monkeypatch).booted()
            async with serving(dataclasses.replace(FAST, health_timeout=0.15, warm_retry=0.05)) as (gate, client):
                await client.until("ready")
                body = {"model": "m", "prompt": "1", "max_tokens": 10**6, "stream": True}
                async with session.post(f"{engine.url}/v1/completions", json=body) as answer:
                    await answer.content.readany()
                    failed = gate.node.engine.polls["health", "failed"]
                    engine.behaviour.health = "hang"
                    while gate.node.engine.polls["health", "failed"] < failed + 8:
                        assert await client.ready() == "ready"
                        await answer.content.readany()
                    engine.behaviour.token_ms = 10**6  # and now nothing comes any more
                    await client.until("failing", "/health has no answer")

    asyncio.run(busy())


@pytest.mark.parametrize("content", ["", "{", '{"state": 7}', "[]", "null", '{"state": "ok"', "\x00\x00"])
def test_a_state_file_that_is_none_leaves_what_was_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str
) -> None:
    async def break_them() -> None:
        async with StandIn() as engine:
            made = Node.make(tmp_path, engine.url, monkeypatch)
            made.booted()
            async with serving() as (_, client):
                await client.until("ready")
                for name in ("scratch", "stage", "secrets", "peers"):
                    (made.run / f"{name}.json").write_text(content)
                await client.stays("ready", 0.2)
                assert await client.metric('spillway_gate_file_unusable{file="stage.json"}') == 1
                made.put("stage", state="failed", reason="again")
                await client.until("staging", "again")
                made.put("stage", state="ok")
                await client.until("ready")
                # That it is there is enough: rather away too early than requests lost.
                (made.run / "drain.json").write_text(content)
                await client.until("draining")

    asyncio.run(break_them())


def test_a_gate_that_begins_with_broken_files_waits_for_better_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def begin() -> None:
        async with StandIn() as engine:
            made = Node.make(tmp_path, engine.url, monkeypatch)
            made.booted()
            (made.run / "scratch.json").write_text('{"state": "o')
            (made.run / "keys.json").write_text("[{]")
            (made.folder / "node.json").write_text('{"schemaVersion": 2}')
            async with serving() as (_, client):
                await client.until("starting", "node.json: schemaVersion")
                made.configure()
                await client.until("scratch")
                made.booted()
                (made.run / "keys.json").write_text("[{]")
                await client.until("secrets", "keys.json is not JSON")
                made.booted()
                await client.until("ready")

    asyncio.run(begin())


@pytest.mark.parametrize("jump", [-10_000_000.0, 7200.0, 86_400.0 * 10])
def test_a_wall_clock_that_jumps_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jump: float) -> None:
    real = time.time

    async def jump_about() -> None:
        async with StandIn() as engine:
            made = Node.make(tmp_path, engine.url, monkeypatch)
            made.booted()
            async with serving() as (_, client):
                await client.until("ready")
                monkeypatch.setattr(time, "time", lambda: real() + jump)
                await client.stays("ready", 0.3)
                assert (await client.admit()).status == 204
                made.put("drain", state="draining", cause="spot", since=real() - jump)
                await client.until("draining")
                assert (await client.admit()).status == 204  # not "long since"

    asyncio.run(jump_about())


def test_a_store_that_fails_later_takes_nobody_out_who_has_a_certificate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail() -> None:
        async with StandIn() as engine:
            made = Node.make(tmp_path, engine.url, monkeypatch)
            made.booted()
            async with serving() as (_, client):
                await client.until("ready")
                made.put("secrets", state="failed", reason="403", notAfter=time.time() + 999, keys=1)
                await client.stays("ready", 0.2)
                made.put("secrets", state="failed", reason="403")
                await client.until("secrets", "403")

    asyncio.run(fail())


def test_an_engine_that_systemd_has_given_up_is_a_dead_node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    systemctl = tmp_path / "systemctl"
    systemctl.write_text("#!/bin/sh\necho LoadState=loaded\ncat " + str(tmp_path / "said") + "\n")
    systemctl.chmod(0o755)
    (tmp_path / "said").write_text("ActiveState=active\nResult=success\n")

    async def give_up() -> None:
        engine = await StandIn().start()
        Node.make(tmp_path, engine.url, monkeypatch).booted()
        monkeypatch.setenv("SPILLWAY_SYSTEMCTL", str(systemctl))
        async with serving() as (_, client):
            await client.until("ready")
            assert await client.live() == "live"
            await engine.stop()
            await client.until("engine")
            assert await client.live() == "live"  # it is started again
            (tmp_path / "said").write_text("ActiveState=failed\nResult=start-limit-hit\n")
            await client.until("engine", "systemd has given up on vllm.service (start-limit-hit)")
            assert (await client.get("/livez")).reason == "engine"

    asyncio.run(give_up())


def test_an_engine_that_stays_away_is_a_dead_node_after_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def stay_away() -> None:
        engine = await StandIn().start()
        made = Node.make(tmp_path, engine.url, monkeypatch)
        made.booted()
        async with serving() as (gate, client):
            await client.until("ready")
            await engine.stop()
            await client.until("engine")
            now = time.monotonic()
            assert gate.node.alive(now)[0] == 200
            gate.node.evaluated_at = now + 2399
            assert gate.node.alive(now + 2399)[0] == 200  # twice the 20 minutes of a boot
            gate.node.evaluated_at = now + 2401
            assert gate.node.alive(now + 2401)[0] == 503
            made.put("drain", state="stopped", cause="spot")
            await client.until("draining")
            assert gate.node.alive(time.monotonic())[0] == 200  # stopped, as it should be

    asyncio.run(stay_away())


def test_a_gate_that_judges_nothing_any_more_does_not_say_ready(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hang() -> None:
        async with StandIn() as engine:
            Node.make(tmp_path, engine.url, monkeypatch).booted()
            async with serving() as (gate, client):
                await client.until("ready")
                later = gate.node.evaluated_at + 6
                assert gate.node.ready(later)[0] == 503
                assert gate.node.alive(later)[0] == 503

    asyncio.run(hang())


def test_a_fault_of_the_gates_own_ends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: Readiness) -> None:
        raise KeyError("a mistake")

    async def fail() -> None:
        async with StandIn() as engine:
            Node.make(tmp_path, engine.url, monkeypatch).booted()
            async with serving() as (_, client):
                await client.until("ready")
                monkeypatch.setattr(Readiness, "evaluate", broken)
                await asyncio.sleep(0.3)

    with pytest.raises(KeyError):
        asyncio.run(fail())


# -- the gate as a process


class Program:
    """`python -m images.programs.gate --port 0`, and what it writes."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[dict[str, Any]] = []

    async def told(self, event: str) -> dict[str, Any]:
        assert self.process.stdout is not None
        while line := await asyncio.wait_for(self.process.stdout.readline(), 20):
            self.lines.append(json.loads(line.removeprefix(b"<6>").removeprefix(b"<5>").removeprefix(b"<4>")))
            if self.lines[-1]["event"] == event:
                return self.lines[-1]
        raise AssertionError(f"no {event} in {self.lines}")


@contextlib.asynccontextmanager
async def program(made: Node, *arguments: str, **environment: str) -> AsyncIterator[Program]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "images.programs.gate", "--port", "0", *arguments,
        cwd=ROOT, env={**os.environ, **made.environment, **environment}, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        yield Program(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def test_a_gate_that_is_killed_forgets_neither_its_first_ready_nor_which_engine_is_warm(tmp_path: Path) -> None:
    async def kill() -> None:
        async with StandIn() as engine, aiohttp.ClientSession() as session:
            made = Node.make(tmp_path, engine.url)
            made.booted()
            own = tmp_path / "own"
            own.mkdir()
            async with program(made, RUNTIME_DIRECTORY=str(own)) as first:
                port = (await first.told("listening"))["port"]
                await first.told("ready for the first time")
                await Client(f"http://127.0.0.1:{port}", session).until("ready")
                await asyncio.sleep(1.5)
                first.process.send_signal(signal.SIGKILL)
                await first.process.wait()
            kept = json.loads((own / "gate.json").read_text())
            assert kept["engineStarted"] == engine.started
            tokens = engine.counts["tokens"]
            engine.behaviour.tokens = "error"
            async with program(made, RUNTIME_DIRECTORY=str(own)) as second:
                client = Client(f"http://127.0.0.1:{(await second.told('listening'))['port']}", session)
                assert await client.live() == "live"
                await client.until("ready")  # the engine is the one that made a token
                assert engine.counts["tokens"] == tokens
            # Another boot, and an engine that has proved nothing.
            kept["bootId"] = "another"
            (own / "gate.json").write_text(json.dumps(kept))
            async with program(made, RUNTIME_DIRECTORY=str(own)) as third:
                client = Client(f"http://127.0.0.1:{(await third.told('listening'))['port']}", session)
                await client.until("warming", "HTTP 500")
                assert await client.live() == "warming"
            (own / "gate.json").write_text("{")
            async with program(made, RUNTIME_DIRECTORY=str(own)) as fourth:
                client = Client(f"http://127.0.0.1:{(await fourth.told('listening'))['port']}", session)
                assert await client.live() == "live"
                await client.until("warming", "HTTP 500")

    asyncio.run(kill())


def test_systemd_hears_that_it_is_ready_how_it_is_and_that_it_lives(tmp_path: Path) -> None:
    async def listen() -> None:
        made = Node.make(tmp_path, "http://127.0.0.1:1")
        made.booted()
        address = str(tmp_path / "notify")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
            receiver.bind(address)
            receiver.setblocking(False)
            heard: list[str] = []
            async with program(made, NOTIFY_SOCKET=address, WATCHDOG_USEC="1500000") as gate:
                end = time.monotonic() + 20
                wanted = {"WATCHDOG=1", "STATUS=not ready, starting: the engine loads: nobody listens"}
                while not wanted <= set(heard) and time.monotonic() < end:
                    with contextlib.suppress(BlockingIOError):
                        heard += receiver.recv(4096).decode().split("\n")
                    await asyncio.sleep(0.01)
                gate.process.terminate()
                assert await gate.process.wait() == 0
            with contextlib.suppress(BlockingIOError):
                while True:
                    heard += receiver.recv(4096).decode().split("\n")
            assert "READY=1" in heard
            assert wanted <= set(heard)
            assert heard[-1] == "STOPPING=1"

    asyncio.run(listen())


def test_a_port_that_is_taken_is_one_line(tmp_path: Path) -> None:
    async def start() -> None:
        made = Node.make(tmp_path, "http://127.0.0.1:1")
        with socket.create_server(("127.0.0.1", 0)) as taken:
            async with program(made, "--port", str(taken.getsockname()[1])) as gate:
                assert "address already in use" in str((await gate.told("does not start"))["detail"])
                assert await gate.process.wait() == 1
                assert gate.lines[-1]["event"] == "does not start"

    asyncio.run(start())


def test_the_latch_is_readable_and_written_in_one_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def look() -> None:
        async with StandIn() as engine:
            made = Node.make(tmp_path, engine.url, monkeypatch)
            made.booted()
            async with serving() as (_, client):
                await client.until("ready")
                await asyncio.sleep(0.1)
                assert stat.S_IMODE((made.run / "gate.json").stat().st_mode) == 0o644
                assert not [entry for entry in made.run.iterdir() if entry.name.startswith(".")]

    asyncio.run(look())


def test_a_latch_that_cannot_be_written_is_told_and_keeps_no_node_from_serving(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def serve() -> None:
        async with StandIn() as engine:
            Node.make(tmp_path, engine.url, monkeypatch).booted()
            monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path / "is" / "not" / "there"))
            async with serving() as (_, client):
                await client.until("ready")
                assert await client.live() == "live"
                assert await client.metric("spillway_gate_latch_unwritten") == 1

    asyncio.run(serve())
    assert capsys.readouterr().out.count("latch not written") == 1
