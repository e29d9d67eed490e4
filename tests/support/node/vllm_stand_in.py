"""An engine that behaves like `vllm serve` towards whoever asks it over HTTP, with vLLM's faults at will, and no model.

As a process: `python -m tests.support.node.vllm_stand_in --port 0 --token-ms 20 --drain 0.26 --shutdown-timeout 30`;
it prints `listening on http://127.0.0.1:PORT` when vLLM would listen, and exits as vLLM exits; what it does not know of
`vllm serve`'s command line is passed over. In a test: `async with StandIn(token_ms=20) as engine`. Behaviours can be
changed while it runs: `engine.behaviour`, or `POST /stand-in/behaviour {"metrics": "hang"}`; `GET /stand-in/state`
tells what happened to the requests, `POST /stand-in/die` is the death of the engine core.

What was measured of vLLM 0.32 (CPU) and 0.26 (H200), and is done here:
- it listens only when the engine is up (`--start-seconds`), and `/health` is then 200 with an empty body;
- `/health` 200 proves no token: `--tokens error|hang|die` fails at the first one (a SIGILL in a worker does `die`);
- SIGTERM without --shutdown-timeout cuts what is in flight: HTTP 200 with part of the text;
- SIGTERM with it lets requests finish. 0.32 keeps its socket, answers /health with 200 and new requests with 500; 0.26
  closes the listening socket at once. `--hang-on-term` never exits by itself ("Waiting for connections to close");
- when the engine core dies, /health is 503 for about three seconds, then the process exits with code 0.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import json
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, Literal, Self

from aiohttp import web

TTFT_BUCKETS = (
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0, 160.0,
    640.0, 2560.0,
)  # fmt: skip
E2E_BUCKETS = (
    0.3,
    0.5,
    0.8,
    1.0,
    1.5,
    2.0,
    2.5,
    5.0,
    10.0,
    15.0,
    20.0,
    30.0,
    40.0,
    50.0,
    60.0,
    120.0,
    240.0,
    480.0,
    960.0,
)
HISTOGRAMS = {
    "time_to_first_token_seconds": TTFT_BUCKETS,
    "inter_token_latency_seconds": (
        0.01,
        0.025,
        0.05,
        0.075,
        0.1,
        0.15,
        0.2,
        0.3,
        0.4,
        0.5,
        0.75,
        1.0,
        2.5,
        5.0,
        7.5,
        10.0,
        20.0,
    ),
    "e2e_request_latency_seconds": E2E_BUCKETS,
    "request_queue_time_seconds": E2E_BUCKETS,
}
AFTER_SHUTDOWN = "cannot schedule new futures after shutdown"


@dataclass
class Behaviour:
    """What it does; every field is an option of the command and a key of POST /stand-in/behaviour."""

    health: Literal["ok", "503", "hang"] = "ok"
    metrics: Literal["ok", "garbage", "hang", "error", "empty"] = "ok"
    tokens: Literal["ok", "error", "hang", "die", "none"] = "ok"
    """none: HTTP 200 and not one token in it."""
    error_rate: float = 0.0
    """Share of requests that are answered with 500."""
    first_token_ms: float = 5.0
    token_ms: float = 2.0
    max_num_seqs: int = 8
    """Requests that run at once; more wait, and count as waiting."""
    waiting: int | None = None
    """What the metrics say of the queue, whatever is in it; None: the truth."""
    drain: Literal["0.32", "0.26"] = "0.32"
    shutdown_timeout: float = 0.0
    """Seconds that requests in flight have after SIGTERM; 0 cuts them."""
    teardown_seconds: float = 0.2
    """From the last request to the exit (measured 4.5)."""
    dying_seconds: float = 3.0
    """From the core's death to the exit; /health is 503 meanwhile."""
    hang_on_term: bool = False
    model: str = "m"
    first_use: float = 0.0
    """Seconds more for the first token of the first request: graphs that are captured, caches that are empty."""
    eos_after: int = 0
    """The model ends here unless the request says ignore_eos or min_tokens; 0: never."""
    refuses: str = ""
    """Parameters, with commas between them, for which it says 400."""
    count_usage: bool = True
    """What stream_options.include_usage asks for."""
    tokens_per_word: int = 1


@dataclass
class Histogram:
    bounds: tuple[float, ...]
    counts: list[int] = field(default_factory=list)
    total: float = 0.0
    number: int = 0

    def observe(self, value: float) -> None:
        self.counts = self.counts or [0] * len(self.bounds)
        self.total += value
        self.number += 1
        for index, bound in enumerate(self.bounds):
            self.counts[index] += value <= bound

    def lines(self, name: str, labels: str) -> list[str]:
        counts = self.counts or [0] * len(self.bounds)
        found = [f"# HELP {name} Histogram of {name}.", f"# TYPE {name} histogram"]
        found += [f'{name}_bucket{{{labels},le="{b}"}} {float(n)}' for b, n in zip(self.bounds, counts, strict=True)]
        found += [f'{name}_bucket{{{labels},le="+Inf"}} {float(self.number)}']
        return [*found, f"{name}_count{{{labels}}} {float(self.number)}", f"{name}_sum{{{labels}}} {self.total}"]


class Cut(Exception):
    """The request ends here, with what it has."""


class StandIn:
    """One engine process's worth of state. `exit` is set with the exit code when vLLM would exit."""

    def __init__(self, behaviour: Behaviour | None = None, **changes: Any) -> None:
        self.behaviour = dataclasses.replace(behaviour or Behaviour(), **changes)
        self.counts: Counter[str] = Counter()
        """finished, cut, refused, failed: requests; tokens."""
        self.http: Counter[tuple[str, str]] = Counter()
        self.histograms = {name: Histogram(bounds) for name, bounds in HISTOGRAMS.items()}
        self.finished: Counter[str] = Counter()
        self.running = self.waiting = 0
        self.started = time.time()
        self.draining = self.dead = False
        self.cut = asyncio.Event()
        self.exit: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.port = 0
        self._slots = asyncio.Condition()
        self._runner: web.AppRunner | None = None
        self._site: web.TCPSite | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    # -- life

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self, port: int = 0, host: str = "127.0.0.1") -> Self:
        app = web.Application(client_max_size=64 * 2**20)
        app.add_routes(
            [
                web.get("/health", self._health),
                web.get("/ping", self._health),
                web.get("/metrics", self._metrics),
                web.get("/load", self._load),
                web.get("/version", self._version),
                web.get("/v1/models", self._models),
                web.post("/v1/completions", self._completions),
                web.post("/v1/chat/completions", self._completions),
                web.post("/stand-in/behaviour", self._change),
                web.get("/stand-in/state", self._state),
                web.post("/stand-in/die", self._die),
            ]
        )
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handle_signals=False)
        await self._runner.setup()
        self._site = web.TCPSite(self._runner, host, port)
        await self._site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def stop(self) -> None:
        """SIGKILL: connections break, nothing is answered."""
        for task in self._tasks:
            task.cancel()
        if self._runner:
            await self._runner.cleanup()
            self._runner = None

    async def __aenter__(self) -> Self:
        return self if self._runner else await self.start()

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def terminate(self) -> None:
        """SIGTERM."""
        if not self.draining:
            self.draining = True
            self._background(self._drain())

    def die(self) -> None:
        """The engine core's death: the API server notices, says 503, and exits with code 0."""
        if not self.dead:
            self.dead = True
            self.cut.set()
            self._background(self._after(self.behaviour.dying_seconds))

    def _background(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _after(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        if not self.exit.done():
            self.exit.set_result(0)

    async def _drain(self) -> None:
        if self.behaviour.drain == "0.26" and self._site:
            await self._close_listener()
        deadline = time.monotonic() + self.behaviour.shutdown_timeout
        while (self.running or self.waiting) and time.monotonic() < deadline:
            await asyncio.sleep(0.02)
        self.cut.set()
        if self.behaviour.hang_on_term:
            return
        await self._after(self.behaviour.teardown_seconds)

    async def _close_listener(self) -> None:
        # Not TCPSite.stop(): that also hurries the connections that are open, which 0.26 lets finish.
        server = getattr(self._site, "_server", None)
        if server is not None:
            server.close()

    # -- what vLLM answers

    async def _health(self, _: web.Request) -> web.Response:
        if self.behaviour.health == "hang":
            await asyncio.sleep(3600)
        return web.Response(status=503 if self.dead or self.behaviour.health == "503" else 200)

    async def _load(self, _: web.Request) -> web.Response:
        return web.json_response({"server_load": self.running + self.waiting})

    async def _version(self, _: web.Request) -> web.Response:
        return web.json_response({"version": f"{self.behaviour.drain}.0+stand-in"})

    async def _models(self, _: web.Request) -> web.Response:
        model = {"id": self.behaviour.model, "object": "model", "owned_by": "vllm", "max_model_len": 32768}
        return web.json_response({"object": "list", "data": [model]})

    async def _metrics(self, _: web.Request) -> web.Response:
        kind = self.behaviour.metrics
        if kind == "hang":
            await asyncio.sleep(3600)
        if kind == "error":
            return web.Response(status=500, text="Internal Server Error")
        text = {"garbage": "<html>\x00vllm:num_requests_waiting{ NaNaN\nvllm:{}} 1e999\n" * 50, "empty": ""}.get(kind)
        return web.Response(text=self.metrics_text() if text is None else text, content_type="text/plain")

    def metrics_text(self) -> str:
        labels = f'engine="0",model_name="{self.behaviour.model}"'
        waiting = self.waiting if self.behaviour.waiting is None else self.behaviour.waiting
        lines: list[str] = []
        gauges = {"num_requests_running": self.running, "num_requests_waiting": waiting, "kv_cache_usage_perc": 0.1}
        for name, value in gauges.items():
            lines += [f"# TYPE vllm:{name} gauge", f"vllm:{name}{{{labels}}} {float(value)}"]
        lines += [f'vllm:num_requests_waiting_by_reason{{{labels},reason="capacity"}} {float(waiting)}']
        counters = {"generation_tokens_total": self.counts["tokens"], "prompt_tokens_total": self.counts["prompt"]}
        for name, value in counters.items():
            lines += [f"# TYPE vllm:{name} counter", f"vllm:{name}{{{labels}}} {float(value)}"]
        for reason in ("stop", "length", "abort", "error"):
            number = float(self.finished[reason])
            lines.append(f'vllm:request_success_total{{{labels},finished_reason="{reason}"}} {number}')
        for name, histogram in self.histograms.items():
            lines += histogram.lines(f"vllm:{name}", labels)
        lines.append("# TYPE http_requests_total counter")
        for (handler, status), number in sorted(self.http.items()):
            lines.append(f'http_requests_total{{handler="{handler}",method="POST",status="{status}"}} {float(number)}')
        lines.append(f"process_start_time_seconds {self.started}")
        return "\n".join(lines) + "\n"

    # -- requests

    def _error(self, handler: str, status: int, message: str) -> web.Response:
        self.http[(handler, f"{status // 100}xx")] += 1
        body = {"error": {"message": message, "type": "InternalServerError", "param": None, "code": status}}
        return web.json_response(body, status=status)

    async def _completions(self, request: web.Request) -> web.StreamResponse:
        handler = request.path
        try:
            body = json.loads(await request.text())
            number = int(body.get("max_tokens") or body.get("max_completion_tokens") or 16)
            asked = Asked.of(body, self.behaviour.tokens_per_word)
        except (ValueError, TypeError, AttributeError):
            return self._error(handler, 400, "body is not a completion request")
        for name in filter(None, self.behaviour.refuses.split(",")):
            if name in body:
                return self._error(handler, 400, f"Unrecognized request argument supplied: {name}")
        if self.behaviour.eos_after and not asked.ignore_eos:
            number = min(number, max(self.behaviour.eos_after, asked.min_tokens))
        if body.get("model") not in (self.behaviour.model, None):
            return self._error(handler, 404, f"The model `{body['model']}` does not exist.")
        if self.draining:
            self.counts["refused"] += 1
            return self._error(handler, 500, AFTER_SHUTDOWN)
        if self.dead or self.behaviour.tokens == "error" or random.random() < self.behaviour.error_rate:
            self.counts["failed"] += 1
            return self._error(handler, 500, "EngineCore encountered an issue.")
        return await self._generate(request, handler, number, asked)

    async def _generate(self, request: web.Request, handler: str, number: int, asked: Asked) -> web.StreamResponse:
        chat = handler.endswith("/chat/completions")
        identity = f"cmpl-{os.urandom(8).hex()}"
        words: list[str] = []
        reason = "length"
        answer: web.StreamResponse | None = None
        try:
            async for word in self._tokens(number, asked.prompt):
                words.append(word)
                if asked.stream:
                    if answer is None:
                        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
                        await answer.prepare(request)
                    await answer.write(event(chunk(identity, self.behaviour.model, chat, word, None)))
        except Cut:
            if self.dead:
                self.counts["failed"] += 1
                if answer is None:
                    return self._error(handler, 500, "EngineCore encountered an issue.")
            reason = "abort"
        except (asyncio.CancelledError, ConnectionError):
            self.finished["abort"] += 1
            self.http[(handler, "2xx")] += 1
            raise
        self.counts["cut" if reason == "abort" else "finished"] += 1
        self.finished[reason] += 1
        self.http[(handler, "2xx")] += 1
        usage = {"prompt_tokens": asked.prompt, "completion_tokens": len(words)}
        usage["total_tokens"] = sum(usage.values())
        if answer is None and asked.stream:
            answer = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
            await answer.prepare(request)
        if answer is not None:
            with contextlib.suppress(ConnectionError):
                await answer.write(event(chunk(identity, self.behaviour.model, chat, "", reason)))
                if asked.usage and self.behaviour.count_usage:
                    last = chunk(identity, self.behaviour.model, chat, "", None)
                    await answer.write(event(last | {"choices": [], "usage": usage}))
                await answer.write(b"data: [DONE]\n\n")
                await answer.write_eof()
            return answer
        text = "".join(words)
        choice: dict[str, Any] = {"index": 0, "finish_reason": reason}
        choice |= {"message": {"role": "assistant", "content": text}} if chat else {"text": text}
        body = {"id": identity, "model": self.behaviour.model, "choices": [choice], "usage": usage}
        return web.json_response(body | {"object": "chat.completion" if chat else "text_completion"})

    async def _tokens(self, number: int, prompt: int) -> AsyncIterator[str]:
        arrived = time.monotonic()
        async with self._slot():
            self.histograms["request_queue_time_seconds"].observe(time.monotonic() - arrived)
            if self.behaviour.tokens == "hang":
                await self._pause(3600)
            if self.behaviour.tokens == "die":
                self.die()
            if self.behaviour.tokens == "none":
                return
            first_use = 0.0 if self.counts["tokens"] else self.behaviour.first_use
            await self._pause(self.behaviour.first_token_ms / 1000 + first_use)
            self.counts["prompt"] += prompt
            self.histograms["time_to_first_token_seconds"].observe(time.monotonic() - arrived)
            for index in range(number):
                if index:
                    await self._pause(self.behaviour.token_ms / 1000)
                    self.histograms["inter_token_latency_seconds"].observe(self.behaviour.token_ms / 1000)
                self.counts["tokens"] += 1
                yield f"t{index} "
            self.histograms["e2e_request_latency_seconds"].observe(time.monotonic() - arrived)

    @contextlib.asynccontextmanager
    async def _slot(self) -> AsyncIterator[None]:
        self.waiting += 1
        try:
            async with self._slots:
                await self._slots.wait_for(lambda: self.running < self.behaviour.max_num_seqs or self.cut.is_set())
                self.running += 1
        finally:
            self.waiting -= 1
        try:
            yield
        finally:
            self.running -= 1
            self._background(self._wake())

    async def _wake(self) -> None:
        async with self._slots:
            self._slots.notify_all()

    async def _pause(self, seconds: float) -> None:
        """Time passes, unless the request is cut."""
        if not self.cut.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self.cut.wait()
        if self.cut.is_set():
            await self._wake()
            raise Cut

    # -- for the test

    async def _change(self, request: web.Request) -> web.Response:
        changes = await request.json()
        self.behaviour = dataclasses.replace(self.behaviour, **changes)
        return web.json_response(dataclasses.asdict(self.behaviour))

    async def _state(self, _: web.Request) -> web.Response:
        flags = {"running": self.running, "waiting": self.waiting, "draining": self.draining, "dead": self.dead}
        return web.json_response({**flags, **self.counts, "pid": os.getpid()})

    async def _die(self, _: web.Request) -> web.Response:
        self.die()
        return web.Response(status=204)


@dataclass(frozen=True)
class Asked:
    """What a request says beside its number of tokens."""

    stream: bool
    usage: bool
    ignore_eos: bool
    min_tokens: int
    prompt: int
    """Tokens: words, and one for the beginning."""

    @classmethod
    def of(cls, body: dict[str, Any], tokens_per_word: int) -> Asked:
        text = body.get("prompt") or " ".join(str(one.get("content")) for one in body.get("messages") or ())
        return cls(
            stream=bool(body.get("stream")),
            usage=bool((body.get("stream_options") or {}).get("include_usage")),
            ignore_eos=bool(body.get("ignore_eos")),
            min_tokens=int(body.get("min_tokens") or 0),
            prompt=1 + sum(tokens_per_word if len(word) > 1 else 1 for word in str(text).split()),
        )


def event(body: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(body)}\n\n".encode()


def chunk(identity: str, model: str, chat: bool, word: str, reason: str | None) -> dict[str, Any]:
    choice: dict[str, Any] = {"index": 0, "finish_reason": reason}
    choice |= {"delta": {"content": word}} if chat else {"text": word}
    return {
        "id": identity,
        "object": "chat.completion.chunk" if chat else "text_completion",
        "model": model,
        "choices": [choice],
    }


def options() -> argparse.ArgumentParser:
    """One option per behaviour, --port, --host and --start-seconds."""
    parser = argparse.ArgumentParser(prog="vllm_stand_in", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--port", type=int, default=8000, help="0: any that is free")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--start-seconds", type=float, default=0.0, help="until it listens")
    for entry in dataclasses.fields(Behaviour):
        name = f"--{entry.name.replace('_', '-')}"
        if isinstance(entry.default, bool):
            parser.add_argument(name, action=argparse.BooleanOptionalAction, default=entry.default)
        else:
            kind = int if entry.name in ("max_num_seqs", "waiting") else type(entry.default)
            parser.add_argument(name, type=kind, default=entry.default)
    return parser


async def run(arguments: argparse.Namespace) -> int:
    settings = vars(arguments)
    names = {entry.name for entry in dataclasses.fields(Behaviour)}
    engine = StandIn(**{name: value for name, value in settings.items() if name in names})
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, engine.terminate)
    loop.add_signal_handler(signal.SIGINT, engine.terminate)
    await asyncio.wait([engine.exit], timeout=arguments.start_seconds)
    if engine.exit.done():
        return engine.exit.result()
    await engine.start(arguments.port, arguments.host)
    print(f"listening on {engine.url}", flush=True)
    code = await engine.exit
    await engine.stop()
    return code


def main() -> None:
    arguments, _ = options().parse_known_args()  # options of `vllm serve` that mean nothing here are passed over
    sys.exit(asyncio.run(run(arguments)))


if __name__ == "__main__":
    main()
