"""The stand-in engine does what was measured of vLLM; other tests believe it."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.support.node.vllm_stand_in import Behaviour, options

ROOT = Path(__file__).resolve().parents[2]


class Engine:
    """`python -m tests.support.node.vllm_stand_in`."""

    def __init__(self, process: asyncio.subprocess.Process, url: str, session: aiohttp.ClientSession) -> None:
        self.process, self.url, self.session = process, url, session

    async def health(self) -> int:
        """0: the connection is refused."""
        try:
            async with aiohttp.ClientSession() as fresh, fresh.get(f"{self.url}/health") as answer:
                assert await answer.read() == b""
                return answer.status
        except aiohttp.ClientConnectionError:
            return 0

    async def complete(self, tokens: int, path: str = "/v1/completions") -> tuple[int, Any]:
        body = {"model": "m", "prompt": "x", "max_tokens": tokens}
        async with self.session.post(f"{self.url}{path}", json=body) as answer:
            return answer.status, await answer.json()


@contextlib.asynccontextmanager
async def running(*arguments: str) -> AsyncIterator[Engine]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.support.node.vllm_stand_in", "--port", "0", *arguments,
        cwd=ROOT, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        line = (await asyncio.wait_for(process.stdout.readline(), 20)).decode()
        async with aiohttp.ClientSession() as session:
            yield Engine(process, line.removeprefix("listening on ").strip(), session)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@pytest.mark.parametrize("version", ["0.32", "0.26"])
def test_sigterm_with_a_time_out_lets_requests_finish(version: str) -> None:
    async def drain() -> None:
        async with running("--drain", version, "--shutdown-timeout", "20", "--token-ms", "10") as engine:
            assert await engine.health() == 200
            flying = [asyncio.create_task(engine.complete(60)) for _ in range(8)]
            await asyncio.sleep(0.3)
            engine.process.send_signal(signal.SIGTERM)
            await asyncio.sleep(0.1)
            if version == "0.32":
                assert await engine.health() == 200
                status, body = await engine.complete(1)
                assert status == 500
                assert body["error"]["message"] == "cannot schedule new futures after shutdown"
            else:
                assert await engine.health() == 0
            for status, body in await asyncio.gather(*flying):
                assert (status, body["usage"]["completion_tokens"]) == (200, 60)
            assert await engine.process.wait() == 0

    asyncio.run(drain())


def test_sigterm_without_a_time_out_cuts_requests_which_still_are_200() -> None:
    async def cut() -> None:
        async with running("--token-ms", "20") as engine:
            flying = asyncio.create_task(engine.complete(500))
            await asyncio.sleep(0.3)
            engine.process.send_signal(signal.SIGTERM)
            status, body = await flying
            assert status == 200
            assert 0 < body["usage"]["completion_tokens"] < 500
            assert await engine.process.wait() == 0

    asyncio.run(cut())


def test_a_hang_after_sigterm_is_ended_by_nobody_but_sigkill() -> None:
    async def hang() -> None:
        async with running("--hang-on-term") as engine:
            engine.process.send_signal(signal.SIGTERM)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(engine.process.wait(), 1)

    asyncio.run(hang())


def test_a_dead_core_says_503_and_the_process_exits_with_0() -> None:
    async def die() -> None:
        async with running("--tokens", "die", "--dying-seconds", "0.5") as engine:
            assert await engine.health() == 200
            assert (await engine.complete(1))[0] == 500
            assert await engine.health() == 503
            assert await engine.process.wait() == 0

    asyncio.run(die())


def test_streams_are_events_that_end_with_done_and_figures_follow_them() -> None:
    async def stream() -> None:
        async with running("--start-seconds", "0.1", "--model", "big", "--max-model-len", "4096") as engine:
            body = {"model": "big", "messages": [], "max_tokens": 3, "stream": True}
            async with engine.session.post(f"{engine.url}/v1/chat/completions", json=body) as answer:
                assert answer.content_type == "text/event-stream"
                events = [line.removeprefix("data: ") for line in (await answer.text()).split("\n\n") if line]
            assert events[-1] == "[DONE]"
            words = [json.loads(event)["choices"][0]["delta"].get("content") for event in events[:-1]]
            assert "".join(words) == "t0 t1 t2 "
            async with engine.session.get(f"{engine.url}/metrics") as answer:
                text = await answer.text()
            assert 'vllm:request_success_total{engine="0",model_name="big",finished_reason="length"} 1.0' in text
            assert 'http_requests_total{handler="/v1/chat/completions",method="POST",status="2xx"} 1.0' in text
            async with engine.session.post(f"{engine.url}/stand-in/behaviour", json={"health": "503"}) as answer:
                assert answer.status == 200
            assert await engine.health() == 503

    asyncio.run(stream())


def test_its_command_line_changes_only_what_is_named() -> None:
    names = {entry.name for entry in dataclasses.fields(Behaviour)}
    switched = Behaviour(count_usage=False, hang_on_term=True)
    for words, wanted in (([], Behaviour()), (["--no-count-usage", "--hang-on-term"], switched)):
        found = {name: value for name, value in vars(options().parse_args(words)).items() if name in names}
        assert Behaviour(**found) == wanted
