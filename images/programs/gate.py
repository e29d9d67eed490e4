"""The readiness gate: what everything that routes asks, and who may send a request. `python -m images.programs.gate`.

    GET /readyz   200 "ready", or 503 {"reason", "detail", "since", ...}
    GET /livez    200 "live" once the node has been ready, 503 before and when its engine will not come back by itself
    GET /admit    nginx' auth_request: 204 and X-Spillway-Key; 401; 403 with X-Spillway-Refuse and -Retry-After
    GET /metrics  Prometheus

Everything is answered from memory. Four times a second the state files are read and the limits judged, meanwhile
`gating.poll` asks the engine. docs/image-gate.md has the states, limits and the reasons for both.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import sys
import time
from typing import Final

from aiohttp import web

from images.programs.gating import unit
from images.programs.gating.door import Door
from images.programs.gating.exposition import Exposition
from images.programs.gating.pace import Pace
from images.programs.gating.page import page
from images.programs.gating.readiness import Answer, Readiness
from images.programs.journal import Journal
from images.programs.notify import notify, watchdog_seconds

NO_STORE: Final = {"Cache-Control": "no-store"}


class Gate:
    """The program: an HTTP server, and the tasks that keep what it answers true."""

    def __init__(self, pace: Pace | None = None) -> None:
        self.pace = pace or Pace()
        self.journal = Journal("gate")
        self._changed = asyncio.Event()
        self.node = Readiness(self.pace, self.journal, self._changed.set)
        self.door = Door(self.node)
        self.port = 0
        self.listening = asyncio.Event()

    async def serve(self, host: str, port: int, stop: asyncio.Event) -> None:
        """Answers until `stop`. Raises OSError when the port cannot be had."""
        self.node.remember()
        app = web.Application()
        app.add_routes(
            [
                web.get("/readyz", self._readyz),
                web.get("/livez", self._livez),
                web.get("/admit", self._admit),
                web.get("/metrics", self._metrics),
            ]
        )
        runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=1.0)
        await runner.setup()
        try:
            await web.TCPSite(runner, host, port, reuse_address=True).start()
            self.port = int(runner.addresses[0][1])
            self.node.evaluate()
            self.listening.set()
            self.journal.tell("listening", "info", host=host, port=self.port)
            notify(READY=1, STATUS=self.node.status())
            await self._work(stop)
        finally:
            await runner.cleanup()
            await self.node.engine.close()

    async def _work(self, stop: asyncio.Event) -> None:
        """Until `stop`, or until one of the tasks fails: then the gate fails with it, and systemd starts another."""
        work = [asyncio.create_task(each) for each in (self._evaluate(), self.node.engine.run(), self._watch_unit())]
        stopping = asyncio.create_task(stop.wait())
        done, _ = await asyncio.wait([*work, stopping], return_when=asyncio.FIRST_COMPLETED)
        notify(STOPPING=1)
        for task in (*work, stopping):
            task.cancel()
        await asyncio.gather(*work, stopping, return_exceptions=True)
        for task in done - {stopping}:
            task.result()

    async def _evaluate(self) -> None:
        every = watchdog_seconds()
        told = time.monotonic()
        while True:
            self.node.evaluate()
            now = time.monotonic()
            if every is not None and now - told >= every - self.pace.tick:
                notify(WATCHDOG=1)
                told = now
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.pace.tick):
                    await self._changed.wait()
            self._changed.clear()

    async def _watch_unit(self) -> None:
        while True:
            found = await unit.fault()
            if found != self.node.unit_fault:
                told = found or "is looked after again"
                self.journal.tell("engine unit", "error" if found else "notice", detail=told)
                self.node.unit_fault = found
                self._changed.set()
            await asyncio.sleep(self.pace.unit)

    async def _readyz(self, _: web.Request) -> web.Response:
        return _response(self.node.ready(time.monotonic()))

    async def _livez(self, _: web.Request) -> web.Response:
        return _response(self.node.alive(time.monotonic()))

    async def _admit(self, request: web.Request) -> web.Response:
        found = self.door.knock(request.headers.get("Authorization", ""), time.monotonic())
        headers = dict(NO_STORE)
        if found.key:
            headers["X-Spillway-Key"] = found.key
        if found.status == 204:
            return web.Response(status=204, headers=headers)
        if found.status == 401:
            return web.Response(status=401, headers=headers | {"WWW-Authenticate": 'Bearer realm="spillway"'})
        # auth_request knows 2xx, 401 and 403 and takes everything else for a fault of its own
        # (https://nginx.org/en/docs/http/ngx_http_auth_request_module.html), so the status travels in a header.
        headers |= {"X-Spillway-Refuse": str(found.status), "X-Spillway-Retry-After": str(found.retry)}
        return web.Response(status=403, headers=headers)

    async def _metrics(self, _: web.Request) -> web.Response:
        return web.Response(text=page(self.node, self.door), headers={"Content-Type": Exposition.CONTENT_TYPE})


def _response(answer: Answer) -> web.Response:
    status, body, kind = answer
    return web.Response(status=status, body=body, content_type=kind, headers=NO_STORE)


async def run(host: str, port: int) -> None:
    """Until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await Gate().serve(host, port, stop)


def main() -> int:
    parser = argparse.ArgumentParser(prog="gate", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9180, help="0: any that is free; the line `listening` tells which")
    arguments = parser.parse_args()
    try:
        asyncio.run(run(arguments.host, arguments.port))
    except OSError as error:
        Journal("gate").tell("does not start", "error", detail=f"{arguments.host}:{arguments.port}: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
