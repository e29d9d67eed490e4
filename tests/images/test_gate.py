"""The readiness gate over HTTP, from boot to drain: who asks hears 503 and why, and 200 once a token was made."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import math
import time
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from images import node
from tests.support.node.gate import FAST, Client, Node, serving
from tests.support.node.vllm_stand_in import StandIn


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Node:
    """A node that has booted up to its engine; tests point it at one."""
    found = Node.make(tmp_path, "http://127.0.0.1:1", monkeypatch)
    found.booted()
    return found


def engine_at(engine: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPILLWAY_ENGINE", engine.url)


async def complete(engine: StandIn, number: int = 1, tokens: int = 1) -> None:
    """Requests of clients, all at once."""
    body = {"model": "m", "prompt": "x", "max_tokens": tokens}
    async with aiohttp.ClientSession() as session:

        async def one() -> None:
            async with session.post(f"{engine.url}/v1/completions", json=body) as answer:
                await answer.read()

        await asyncio.gather(*(one() for _ in range(number)))


def test_each_step_of_the_boot_is_a_reason_until_a_token_was_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Node.make(tmp_path, "http://127.0.0.1:1", monkeypatch)
    (made.folder / "node.json").unlink()

    async def boot() -> None:
        async with StandIn(tokens="error") as engine:
            engine_at(engine, monkeypatch)
            async with serving() as (_, client):
                await client.until("starting", "node.json: No such file or directory")
                made.configure()
                await client.until("scratch", "not there yet")
                made.put("scratch", state="failed", reason="md127: no such device")
                await client.until("scratch", "md127: no such device")
                made.put("scratch", state="ok")
                await client.until("staging", "not on their way yet")
                made.put("stage", state="running", bytes=3_000_000_000, total=12_000_000_000, path="/x", files=4)
                found = await client.until("staging", "3.0 of 12.0 GB of the weights are here")
                assert '"bytes": 3000000000' in found.text
                made.put("stage", state="failed", reason="model-1.safetensors: wrong checksum")
                await client.until("staging", "model-1.safetensors: wrong checksum")
                made.put("stage", state="ok")
                await client.until("secrets", "certificate and API keys are not there yet")
                made.put("secrets", state="waiting", reason="spillway/api-keys is empty")
                await client.until("secrets", "spillway/api-keys is empty")
                made.put("secrets", state="ok", notAfter=time.time() - 9, keys=1)
                await client.until("secrets", "the certificate ended at")
                made.put("secrets", state="ok", notAfter="2099-01-01T00:00:00Z", keys=1)
                await client.until("secrets", "keys.json is not there yet")
                assert (await client.admit()).headers["X-Spillway-Refuse"] == "503"
                assert (await client.live()) == "secrets"
                made.booted()
                await client.until("warming", "HTTP 500")
                assert await client.live() == "warming"
                engine.behaviour.tokens = "ok"
                await client.until("ready")
                assert (await client.get("/readyz")).headers["Cache-Control"] == "no-store"
                assert await client.live() == "live"
                assert engine.counts["tokens"] == 1

    asyncio.run(boot())


def test_an_engine_that_does_not_listen_yet_is_not_asked_for_tokens(made: Node) -> None:
    async def boot() -> None:
        async with serving() as (_, client):
            assert (await client.until("starting")).detail == "the engine loads: nobody listens"
            assert (await client.live()) == "starting"

    asyncio.run(boot())


@pytest.mark.parametrize(
    ("tokens", "told"),
    [("error", "HTTP 500 EngineCore"), ("none", "HTTP 200 without a token"), ("hang", "none within 0.2 s")],
)
def test_health_200_does_not_make_a_node_ready(
    made: Node, monkeypatch: pytest.MonkeyPatch, tokens: str, told: str
) -> None:
    async def boot() -> None:
        async with StandIn(tokens=tokens) as engine:
            engine_at(engine, monkeypatch)
            async with serving(dataclasses.replace(FAST, warm_timeout=0.2)) as (_, client):
                await client.until("warming", told)
                await client.stays("warming", 0.3)
                engine.behaviour.tokens = "ok"
                await client.until("ready")

    asyncio.run(boot())


@pytest.mark.parametrize("listens", [True, False])
def test_another_engine_has_to_make_a_token_again(made: Node, monkeypatch: pytest.MonkeyPatch, listens: bool) -> None:
    async def restart() -> None:
        first = await StandIn().start()
        engine_at(first, monkeypatch)
        async with serving() as (gate, client):
            await client.until("ready")
            await complete(first, 5)
            await client.looked()
            port = first.port
            await first.stop()
            if not listens:
                assert "it is started again" in (await client.until("engine")).detail
                assert (await client.admit()).headers["X-Spillway-Refuse"] == "503"
            # exit code 0 or not, the unit starts another; where it is quick, only its counters tell
            async with await StandIn(tokens="error").start(port) as second:
                await client.until("warming")
                assert await client.live() == "live"
                second.behaviour.tokens = "ok"
                await client.until("ready")
                assert second.counts["tokens"] >= 1
                assert gate.node.engine.restarts == 1

    asyncio.run(restart())


def test_the_death_of_the_engine_core_is_seen_before_its_process_ends(
    made: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def die() -> None:
        async with StandIn() as engine:
            engine_at(engine, monkeypatch)
            async with serving() as (_, client):
                await client.until("ready")
                began = time.monotonic()
                engine.die()
                assert "/health is 503" in (await client.until("engine")).detail
                assert time.monotonic() - began < 1
                assert not engine.exit.done()

    asyncio.run(die())


def test_draining_is_told_at_once_and_takes_requests_until_the_engine_is_stopped(
    made: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    made.configure(drain=node.Drain(notice_seconds=30, deregister_seconds=1, drain_seconds=15))

    async def drain() -> None:
        async with StandIn() as engine:
            engine_at(engine, monkeypatch)
            async with serving() as (_, client):
                await client.until("ready")
                made.put("drain", state="draining", cause="spot", deadline=1_800_000_000)
                began = time.monotonic()
                found = await client.until("draining")
                assert time.monotonic() - began < 1  # four looks a second; machines that run tests are busy
                assert '"cause": "spot"' in found.text
                assert '"deadline": 1800000000' in found.text
                assert (await client.admit()).status == 204  # the balancer still sends
                assert await client.live() == "live"  # nobody has to replace it
                await asyncio.sleep(0.6)
                late = await client.admit()
                assert (late.status, late.headers["X-Spillway-Refuse"]) == (403, "503")
                (made.run / "drain.json").unlink()
                await client.until("ready")
                assert (await client.admit()).status == 204

    asyncio.run(drain())


def test_a_replica_that_misses_nodes_is_not_ready(made: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    async def miss() -> None:
        async with StandIn() as engine:
            engine_at(engine, monkeypatch)
            async with serving() as (_, client):
                await client.until("ready")
                made.put("peers", state="missing", reason="1 of 2 nodes answers", expected=2, alive=1)
                found = await client.until("peers")
                assert found.detail == "1 of 2 nodes answers"
                assert '"expected": 2, "alive": 1' in found.text
                made.put("peers", state="ok", expected=2, alive=2)
                await client.until("ready")

    asyncio.run(miss())


def test_a_queue_over_its_limit_goes_elsewhere_but_a_fleet_does_not_go_away(
    made: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def overload() -> None:
        async with StandIn() as engine:
            engine_at(engine, monkeypatch)
            async with serving() as (gate, client):
                await client.until("ready")
                limit = gate.node.limits["overloaded"]
                assert 90 <= limit <= 110
                engine.behaviour.waiting = 200
                began = time.monotonic()
                assert "200 requests wait" in (await client.until("overloaded")).detail
                assert time.monotonic() - began >= FAST.rise
                refused = await client.admit()
                assert refused.headers["X-Spillway-Refuse"] == "503"
                assert 1 <= int(refused.headers["X-Spillway-Retry-After"]) <= 30
                began = time.monotonic()
                await client.until("ready")  # the guard: it has been away for long enough
                assert time.monotonic() - began <= FAST.guard_longest + 1
                assert await client.metric("spillway_gate_guard_holds") == 1
                assert (await client.admit()).headers["X-Spillway-Refuse"] == "503"  # admission protects it
                await client.stays("ready", FAST.guard_rest / 2)
                await client.until("overloaded")
                engine.behaviour.waiting = int(limit * 0.8)  # between the limits nothing changes
                await client.stays("overloaded", 0.4)
                engine.behaviour.waiting = 10
                await client.until("ready")
                assert (await client.admit()).status == 204
                assert await client.live() == "live"

    asyncio.run(overload())


def test_three_failures_open_the_circuit_and_one_token_closes_it(made: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail() -> None:
        async with StandIn() as engine:
            engine_at(engine, monkeypatch)

            def quick(gate: object) -> None:
                gate.node.engine.breaker.first = 0.2  # type: ignore[attr-defined]

            async with serving(prepare=quick) as (gate, client):
                await client.until("ready")
                await client.looked()  # until the warm-up's own success is in the figures
                engine.behaviour.tokens = "error"
                await complete(engine, 2)
                await client.stays("ready", 0.2)
                await complete(engine, 1)
                await client.until("failing", "errors of the engine")
                assert (await client.admit()).headers["X-Spillway-Refuse"] == "503"
                assert await client.live() == "live"
                await asyncio.sleep(1.0)
                assert await client.ready() == "failing"
                engine.behaviour.tokens = "ok"
                before = engine.counts["tokens"]
                await client.until("ready")
                assert engine.counts["tokens"] == before + 1
                assert gate.node.engine.breaker.opened == 1

    asyncio.run(fail())


def test_a_success_between_failures_keeps_the_circuit_closed(made: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    async def mixed() -> None:
        async with StandIn() as engine:
            engine_at(engine, monkeypatch)
            async with serving() as (gate, client):
                await client.until("ready")
                for _ in range(3):
                    engine.behaviour.tokens = "error"
                    await complete(engine, 2)
                    await client.looked()
                    engine.behaviour.tokens = "ok"
                    await complete(engine, 1)
                    await client.looked()
                assert gate.node.engine.breaker.opened == 0

    asyncio.run(mixed())


def test_what_keeps_an_engine_from_starting_is_told_in_its_own_words(
    made: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail() -> None:
        async with serving() as (_, client):
            await client.until("starting")
            made.put("engine", state="failed", reason="driver 535.183.01 is older than 580.65 that CUDA 13.0 needs")
            await client.until("engine", "driver 535.183.01 is older")
            assert await client.live() == "engine"
            (made.run / "engine.json").unlink()
            await client.until("starting")

    asyncio.run(fail())


@pytest.mark.parametrize(("version", "reason"), [("0.32", "failing"), ("0.26", "engine")])
def test_an_engine_that_is_stopped_without_a_drain_is_out_before_it_is_gone(
    made: Node, monkeypatch: pytest.MonkeyPatch, version: Any, reason: str
) -> None:
    async def stop() -> None:
        async with StandIn(drain=version, shutdown_timeout=60, token_ms=50) as engine:
            engine_at(engine, monkeypatch)
            async with serving() as (_, client):
                await client.until("ready")
                await client.looked()
                flying = asyncio.create_task(complete(engine, 2, tokens=200))
                await asyncio.sleep(0.2)
                engine.terminate()
                await asyncio.sleep(0.05)
                if version == "0.32":
                    await complete(engine, 3)  # /health is 200 all the time
                await client.until(reason)
                assert not engine.exit.done()
                flying.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await flying

    asyncio.run(stop())


async def idle_check(client: Client, engine: StandIn) -> None:
    await client.until("ready")
    engine.behaviour.tokens = "hang"
    assert "none within 0.4 s" in (await client.until("failing")).detail
    engine.behaviour.tokens = "ok"
    await client.until("ready")


def test_an_idle_engine_that_makes_no_tokens_any_more_is_found_out(made: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    async def idle() -> None:
        async with StandIn() as engine:
            engine_at(engine, monkeypatch)
            async with serving(dataclasses.replace(FAST, idle=0.2, stuck=0.2)) as (_, client):
                await idle_check(client, engine)

    asyncio.run(idle())


def test_slow_first_tokens_and_errors_pass_the_limits_of_the_stack_file(
    made: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    made.configure(limits=node.Limits(queue=100, ttft_p50_ms=600, error_rate=0.05))

    async def slow() -> None:
        async with StandIn(max_num_seqs=64) as engine:
            engine_at(engine, monkeypatch)
            async with serving() as (gate, client):
                await client.until("ready")
                await complete(engine, 30)
                await client.stays("ready", 0.3)
                gate.node.engine.window.clear()
                engine.behaviour.first_token_ms = 900
                await complete(engine, 40)
                found = await client.until("slow")
                assert "median time to the first token" in found.detail
                value = await client.metric("spillway_gate_ttft_p50_seconds")
                assert value is not None
                assert 0.75 <= value <= 2.5
                assert (await client.admit()).status == 204  # its load is no reason to refuse what arrives
                gate.node.engine.window.clear()  # the minute is over
                await client.until("ready")
                gate.node.load["slow"].high = math.inf
                engine.behaviour.first_token_ms = 1
                for tokens, number in (("ok", 40), ("error", 2), ("ok", 40), ("error", 2), ("ok", 2)):
                    engine.behaviour.tokens = tokens  # type: ignore[assignment]
                    await complete(engine, number)
                    await client.looked()
                assert await client.ready() == "ready"  # 4 of 86
                for tokens, number in (("error", 2), ("ok", 1), ("error", 2), ("ok", 1)) * 2:
                    engine.behaviour.tokens = tokens  # type: ignore[assignment]
                    await complete(engine, number)
                    await client.looked()
                assert "of requests fail" in (await client.until("errors")).detail

    asyncio.run(slow())
