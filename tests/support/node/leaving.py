"""A node that can be taken away: the real programs as processes, a systemctl that starts and stops them, the engine of
`vllm_stand_in`, a cloud's metadata service and its API on loopback.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import aiohttp
from aiohttp import web

from images import node
from images.node import Cloud
from tests.support.node.gate import KEY, Client, Node
from tests.support.node.metadata import Metadata

ROOT = Path(__file__).resolve().parents[3]

# What systemd does for these units, as far as the programs can tell: `start` of what runs is nothing, `stop` is SIGTERM
# to the main process, a drain is a process of its own whoever asks for it.
SYSTEMCTL = r"""#!/bin/bash
folder=@FOLDER@
alive() {
    [[ -f $folder/$1.pid ]] || return 1
    [[ $(sed -n 's/^State:\s*//p' "/proc/$(<"$folder/$1.pid")/status" 2>/dev/null) == [^Z]* ]]
}
begin() { setsid "${@:2}" >>"$folder/$1.log" 2>&1 </dev/null & echo $! >"$folder/$1.pid"; }
echo "$(date +%s.%N) $*" >>"$folder/systemctl.log"
[[ -f $folder/refuses ]] && { echo "Failed to connect to bus" >&2; exit 1; }
case "$1" in
start)
    unit=${*: -1}; unit=${unit%.service}
    alive "$unit" && exit 0
    case "$unit" in
    vllm) begin vllm @PYTHON@ -m tests.support.node.vllm_stand_in --port @PORT@ $(cat "$folder/engine.options") ;;
    spillway-drain@*) begin "$unit" @PYTHON@ -m images.programs.drain "${unit#*@}" ;;
    esac ;;
stop) alive vllm && kill -TERM "$(<"$folder/vllm.pid")"; exit 0 ;;
kill) alive vllm && kill -KILL "$(<"$folder/vllm.pid")"; exit 0 ;;
is-system-running) if [[ -f $folder/shutdown ]]; then echo stopping; else echo running; fi; exit 1 ;;
show) if alive vllm; then at=active; else at=inactive; fi; printf 'LoadState=loaded\nActiveState=%s\n' $at ;;
esac
"""


def drain(cloud: Cloud) -> node.Drain:
    """A budget that tests can wait for, with the order of a real one."""
    del cloud
    return node.Drain(notice_seconds=30, deregister_seconds=2, drain_seconds=12)


@dataclass
class World:
    """folder: the node's files. metadata: the cloud's service. options: of the engine."""

    folder: Path
    metadata: Metadata
    options: str = "--first-token-ms 5 --token-ms 20 --teardown-seconds 0.3 --shutdown-timeout 12"
    drain: node.Drain = field(default_factory=lambda: drain("aws"))
    hooks: node.Hooks | None = None
    environment: dict[str, str] = field(default_factory=dict)
    processes: dict[str, asyncio.subprocess.Process] = field(default_factory=dict)
    engine: str = ""
    client: Client | None = None
    session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        port = free_port()
        self.engine = f"http://127.0.0.1:{port}"
        self.node = Node.make(self.folder, self.engine)
        self.node.booted()
        self.node.configure(
            cloud=self.metadata.cloud, drain=self.drain, hooks=self.hooks, group="spillway-aws-us-east-1-spot"
        )
        systemctl = self.folder / "systemctl"
        text = SYSTEMCTL.replace("@FOLDER@", str(self.folder)).replace("@PYTHON@", sys.executable)
        systemctl.write_text(text.replace("@PORT@", str(port)))
        systemctl.chmod(0o755)
        (self.folder / "engine.options").write_text(self.options)
        self.environment = {
            # A node has no credentials but its identity's; another test may have left some here.
            **{key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "AZURE_", "GOOGLE_"))},
            **self.node.environment,
            "SPILLWAY_SYSTEMCTL": str(systemctl),
            "SPILLWAY_METADATA": self.metadata.url,
            "PYTHONPATH": str(ROOT),
            "AWS_EC2_METADATA_DISABLED": "false",
            **self.environment,
        }
        subprocess.run([systemctl, "start", "vllm.service"], env=self.environment, check=True)
        self.session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60))
        await self.start("gate", "--port", "0")
        url = await self.listening("gate")
        self.environment["SPILLWAY_GATE"] = url
        self.client = Client(url, self.session)
        await self.client.until("ready", within=20)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self.session:
            await self.session.close()
        for process in self.processes.values():
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        for name in self.folder.glob("*.pid"):
            with contextlib.suppress(ProcessLookupError, ValueError):
                os.killpg(int(name.read_text()), signal.SIGKILL)

    async def start(self, program: str, *arguments: str) -> asyncio.subprocess.Process:
        """One of images.programs, as its unit would start it."""
        log = (self.folder / f"{program}.log").open("ab")
        self.processes[program] = await asyncio.create_subprocess_exec(
            sys.executable, "-m", f"images.programs.{program}", *arguments,
            cwd=ROOT, env=self.environment, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        log.close()
        return self.processes[program]

    async def kill(self, program: str) -> None:
        """kill -9."""
        self.processes[program].kill()
        await self.processes[program].wait()

    async def listening(self, program: str) -> str:
        found = await self.said(program, "listening")
        return f"http://{found['host']}:{found['port']}"

    def lines(self, program: str) -> list[dict[str, Any]]:
        """What it told the journal."""
        path = self.folder / f"{program}.log"
        found = path.read_text().splitlines() if path.exists() else []
        return [json.loads(line) for line in found if line.startswith("{")]

    async def said(self, program: str, event: str, within: float = 20.0) -> dict[str, Any]:
        """The first line of this event."""
        end = time.monotonic() + within
        while time.monotonic() < end:
            for line in self.lines(program):
                if line["event"] == event:
                    return line
            await asyncio.sleep(0.02)
        raise AssertionError(f"{program} never said {event!r}: {(self.folder / f'{program}.log').read_text()}")

    def calls(self) -> list[str]:
        """What systemctl was asked for, without the questions."""
        path = self.folder / "systemctl.log"
        found = [line.split(" ", 1)[1] for line in path.read_text().splitlines()] if path.exists() else []
        return [line for line in found if not line.startswith("show")]

    def document(self, name: str = "drain") -> dict[str, Any] | None:
        path = self.node.run / f"{name}.json"
        return json.loads(path.read_text()) if path.exists() else None

    async def until(self, state: str, within: float = 30.0, name: str = "drain") -> dict[str, Any]:
        """The state file, once it says so."""
        end = time.monotonic() + within
        while time.monotonic() < end:
            if (found := self.document(name)) and found["state"] == state:
                return found
            await asyncio.sleep(0.02)
        logs = {path.name: path.read_text() for path in self.folder.glob("*.log")}
        raise AssertionError(f"{name} is {self.document(name)}, not {state}: {logs}")

    async def engine_gone(self) -> bool:
        try:
            async with asyncio.timeout(1):
                _, writer = await asyncio.open_connection("127.0.0.1", int(self.engine.rsplit(":", 1)[1]))
                writer.close()
        except OSError:
            return True
        return False

    async def request(self, tokens: int) -> tuple[str, int]:
        """What a client meets who goes through the door and then to the engine, as nginx does: outcome and tokens."""
        assert self.client
        assert self.session
        if (await self.client.admit(KEY)).status != 204:
            return "refused", 0
        body = {"model": "m", "prompt": "x", "max_tokens": tokens, "stream": False}
        try:
            async with self.session.post(f"{self.engine}/v1/completions", json=body) as answer:
                found = await answer.json()
                if answer.status != 200:
                    return f"lost: HTTP {answer.status}", 0
                made = int(found["usage"]["completion_tokens"])
                return ("finished" if made == tokens else "lost: cut"), made
        except (aiohttp.ClientError, OSError) as error:
            return f"lost: {type(error).__name__}", 0


class AutoScaling:
    """The calls of the autoscaling API that a node makes, with the API's own refusals; the rest of it is moto's.

    https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_CompleteLifecycleAction.html
    """

    def __init__(self) -> None:
        self.asked: list[dict[str, str]] = []
        self.waiting: set[str] = set()
        """Names of the hooks that wait for this instance."""
        self.fault = ""
        self.url = ""

    def actions(self, name: str) -> list[dict[str, str]]:
        return [one for one in self.asked if one["Action"] == name]

    async def handle(self, request: web.Request) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}
        form["signed"] = str("AWS4-HMAC-SHA256 Credential=ASIAEXAMPLE/" in request.headers.get("Authorization", ""))
        self.asked.append(form)
        if self.fault == "hang":
            await asyncio.sleep(3600)
        if self.fault:
            return _error(503 if self.fault == "ServiceUnavailable" else 400, self.fault, "Rate exceeded")
        action, hook = form["Action"], form.get("LifecycleHookName", "")
        if action in ("CompleteLifecycleAction", "RecordLifecycleActionHeartbeat") and hook not in self.waiting:
            message = f"No active Lifecycle Action found with instance ID {form['InstanceId']}"
            return _error(400, "ValidationError", message)
        if action == "CompleteLifecycleAction":
            self.waiting.discard(hook)
        return web.Response(text=f"<{action}Response><{action}Result/></{action}Response>", content_type="text/xml")


def _error(status: int, code: str, message: str) -> web.Response:
    error = f"<Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>"
    body = f"<ErrorResponse>{error}</ErrorResponse>"
    return web.Response(status=status, text=body, content_type="text/xml")


@contextlib.asynccontextmanager
async def api(handler: Any) -> AsyncIterator[str]:
    """A server on loopback that gives every request to `handler`; its URL."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handle_signals=False)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def auto_scaling() -> AsyncIterator[AutoScaling]:
    fake = AutoScaling()
    async with api(fake.handle) as url:
        fake.url = url
        yield fake


def free_port() -> int:
    import socket

    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def stamps(world: World, pattern: str) -> list[float]:
    """When systemctl was asked for this, unix seconds."""
    lines = (world.folder / "systemctl.log").read_text().splitlines()
    return [float(line.split(" ", 1)[0]) for line in lines if re.search(pattern, line)]
