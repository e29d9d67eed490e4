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
import json
import math
import os
import signal
import socket
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from images.node import NodeConfig
from images.programs import settings, state
from images.programs.gating import judge, unit
from images.programs.gating.admission import Key, Keyring, parse_keys
from images.programs.gating.exposition import Exposition
from images.programs.gating.files import StateFiles, Watched
from images.programs.gating.judge import LOAD, READY, REASONS, Reason, Verdict
from images.programs.gating.limits import Guard, Hysteresis, jitter
from images.programs.gating.poll import Engine, Pace
from images.programs.journal import Journal, Level
from images.programs.notify import notify, watchdog_seconds

BAND: Final = 0.7
"""A load is over when it falls below this share of its limit."""
STALE: Final = 5.0
"""Seconds after which an answer from memory is none any more: the gate itself hangs."""
EARLY: Final = 0.5
"""Seconds before the engine is stopped in which nothing is admitted any more."""
RETRY: Final = {"unknown": 10, "unusable": 10, "draining": 1}
"""Seconds of Retry-After. Of a draining node the next one is at hand."""
NO_STORE: Final = {"Cache-Control": "no-store"}


class Gate:
    """One node's gate. Times are seconds of a monotonic clock, except `since` in answers."""

    def __init__(self, pace: Pace | None = None) -> None:
        self.pace = pace or Pace()
        self.journal = Journal("gate")
        self.identity = settings.identity()
        self.config: NodeConfig | None = None
        self.config_fault = ""
        self._config_at = -math.inf
        run = state.directory()
        self.files = StateFiles(run)
        self.keys_file = Watched(run / "keys.json", parse_keys, keep=True)
        self.keyring = Keyring()
        self.port = 0
        self.listening = asyncio.Event()
        self._changed = asyncio.Event()
        self.engine = Engine(settings.engine_url(), self.pace, self.journal, self._changed.set)
        rise = self.pace.rise
        self.load: dict[Reason, Hysteresis] = {
            reason: Hysteresis(math.inf, math.inf, rise, rise) for reason in REASONS if reason in LOAD
        }
        spread = jitter(self.identity, "guard", 0.05)
        self.guard = Guard(self.pace.guard_longest * (spread - 0.05), self.pace.guard_rest * (spread + 0.05))
        self.limits: dict[Reason, float] = {}
        self.verdict = Verdict("starting", "the gate has just begun")
        self.verdict_since = time.time()
        self._verdict_at = time.monotonic()
        self.evaluated_at = -math.inf
        self.transitions: Counter[str] = Counter()
        self.admissions: Counter[tuple[str, str]] = Counter()
        self.draining_since: float | None = None
        self.unit_fault: str | None = None
        self._broken_since: float | None = None
        self.first_ready = False
        self._persisted: float | None = None
        self._written: tuple[float | None] | None = None
        directory = os.environ.get("RUNTIME_DIRECTORY", "").split(":")[0]
        self.latch = (Path(directory) if directory else run) / "gate.json"
        self.latch_fault = ""
        self._answer = self._encoded()

    # -- life

    async def serve(self, host: str, port: int, stop: asyncio.Event) -> None:
        """Answers until `stop`. Raises OSError when the port cannot be had."""
        self._remember()
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
            site = web.TCPSite(runner, host, port, reuse_address=True)
            await site.start()
            self.port = int(runner.addresses[0][1])
            self.evaluate()
            self.listening.set()
            self.journal.tell("listening", "info", host=host, port=self.port)
            notify(READY=1, STATUS=self._status())
            work = [
                asyncio.create_task(self._evaluate_for_ever()),
                asyncio.create_task(self.engine.run()),
                asyncio.create_task(self._watch_unit()),
            ]
            stopping = asyncio.create_task(stop.wait())
            done, _ = await asyncio.wait([*work, stopping], return_when=asyncio.FIRST_COMPLETED)
            notify(STOPPING=1)
            for task in (*work, stopping):
                task.cancel()
            await asyncio.gather(*work, stopping, return_exceptions=True)
            for task in done - {stopping}:
                task.result()  # a fault of the gate's own: systemd starts another
        finally:
            await runner.cleanup()

    async def _evaluate_for_ever(self) -> None:
        every = watchdog_seconds()
        told = time.monotonic()
        while True:
            self.evaluate()
            now = time.monotonic()
            if every is not None and now - told >= every - self.pace.tick:
                notify(WATCHDOG=1)
                told = now
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), self.pace.tick)
            self._changed.clear()

    async def _watch_unit(self) -> None:
        while True:
            found = await unit.fault()
            if found != self.unit_fault:
                self.journal.tell(
                    "engine unit", "error" if found else "notice", detail=found or "is looked after again"
                )
                self.unit_fault = found
                self._changed.set()
            await asyncio.sleep(self.pace.unit)

    # -- the latch of /livez, and which engine is warm, survive the gate but not the boot

    def _remember(self) -> None:
        try:
            content = self.latch.read_bytes()
        except OSError:
            return
        try:
            found = state.parse(content)
        except ValueError as error:
            # It is written only once the node was ready, and /run does not survive a reboot.
            self.journal.tell("latch unreadable", "warning", file=str(self.latch), detail=str(error))
            self.first_ready = True
            return
        if found.get("bootId") != settings.boot_id():
            return
        self.first_ready = True
        if isinstance(started := found.get("engineStarted"), int | float):
            self.engine.keep_warm(float(started))

    def _persist(self) -> None:
        current = (self.engine.warm_identity,)
        if not self.first_ready or current == self._written:
            return
        document = {
            "state": "ready",
            "reason": "the node has been ready since it was booted",
            "since": round(self.verdict_since, 3),
            "bootId": settings.boot_id(),
            "engineStarted": self.engine.warm_identity,
        }
        try:
            state.replace(self.latch, (json.dumps(document) + "\n").encode())
        except OSError as error:
            if not self.latch_fault:
                self.journal.tell("latch not written", "error", file=str(self.latch), detail=str(error.strerror))
            self.latch_fault = str(error.strerror)
        else:
            self._written, self.latch_fault = current, ""

    # -- what is so

    def evaluate(self) -> None:
        """Reads what changed, judges, and keeps the answers."""
        now = time.monotonic()
        self._configure(now)
        for name in self.files.look():
            if fault := self.files.files[name].fault:
                self.journal.tell("state file unusable", "warning", file=f"{name}.json", detail=fault)
        self._look_at_keys(now)
        if not self.files.exists("drain"):
            self.draining_since = None
        elif self.draining_since is None:
            self.draining_since = self._began(now)
        self._transition(self._judge(now), now)
        if self.verdict.ready and not self.first_ready:
            self.first_ready = True
            self.journal.tell("ready for the first time", "notice")
        broken = self.verdict.reason in ("engine", "warming", "failing", "starting")
        self._broken_since = (self._broken_since or now) if broken else None
        self._persist()
        self.evaluated_at = now

    def _configure(self, now: float) -> None:
        if self.config is not None or now - self._config_at < 1.0:
            return
        self._config_at = now
        try:
            config = settings.load()
        except settings.ConfigFault as fault:
            if str(fault) != self.config_fault:
                self.journal.tell("no configuration", "error", detail=str(fault))
            self.config_fault = str(fault)
            return
        self.config, self.config_fault = config, ""
        self.engine.model = config.model.name
        limits: dict[Reason, float] = {
            "overloaded": config.limits.queue,
            "slow": config.limits.ttft_p50_ms / 1000,
            "errors": config.limits.error_rate,
        }
        for reason, limit in limits.items():
            self.limits[reason] = high = limit * jitter(self.identity, reason)
            self.load[reason].high, self.load[reason].low = high, high * BAND

    def _look_at_keys(self, now: float) -> None:
        before, fault = self.keys_file.value, self.keys_file.fault
        self.keys_file.look()
        if self.keys_file.value is not None and self.keys_file.value is not before:
            self.keyring.replace(self.keys_file.value, now)
            self.journal.tell("keys read", "info", keys=len(self.keys_file.value))
        if self.keys_file.fault and self.keys_file.fault != fault:
            kept = "the keys from before stay" if self.keyring.keys is not None else "there are no keys"
            self.journal.tell("keys unusable", "error", file="keys.json", detail=f"{self.keys_file.fault}; {kept}")

    def _began(self, now: float) -> float:
        """When draining began; a gate that began anew in the middle asks the file, and believes no jump of the
        clock.
        """
        since = judge.unix((self.files["drain"] or {}).get("since"))
        ago = time.time() - since if since is not None else 0.0
        return now - ago if 0 <= ago <= 3600 else now

    def _judge(self, now: float) -> Verdict:
        if self.config is None and not self.files.exists("drain"):
            return Verdict("starting", self.config_fault, "config")
        found = judge.of_files(
            drain=self.files["drain"],
            draining=self.files.exists("drain"),
            scratch=self.files["scratch"],
            stage=self.files["stage"],
            secrets=self.files["secrets"],
            peers=self.files["peers"],
            keys=None if self.keyring.keys is None else len(self.keyring.keys),
            keys_fault=self.keys_file.fault,
        )
        if found.ready:
            found = self._judge_engine()
        loaded = self._judge_load(now)
        may = self.guard.allows(found.ready and loaded is not None, now)
        return loaded if found.ready and loaded is not None and may else found

    def _judge_engine(self) -> Verdict:
        engine = self.engine
        if self.unit_fault and engine.health != "up":
            return Verdict("engine", self.unit_fault, "unit")
        if engine.health in ("unknown", "gone", "dead"):
            told = self.files["engine"]
            if told is not None and told["state"] == "failed" and told.get("reason"):
                return Verdict("engine", str(told["reason"]), "told")
            if engine.was_warm or engine.health == "dead":
                return Verdict("engine", f"{engine.detail or 'not asked yet'}; it is started again", engine.health)
            return Verdict("starting", f"the engine loads: {engine.detail or 'not asked yet'}", "engine")
        if not engine.warm:
            return Verdict(
                "warming", engine.warm_fault or "the first token is on its way", "fault" * bool(engine.warm_fault)
            )
        if engine.breaker.state != "closed":
            return Verdict("failing", engine.breaker.why, "open", {"circuit": engine.breaker.state})
        return READY

    def _judge_load(self, now: float) -> Verdict | None:
        """The first limit that is passed, whatever the guard says of it. Hysteresis goes on meanwhile."""
        if self.config is None:
            return None
        scrape, window = self.engine.figures(now), self.engine.window
        values: dict[Reason, float | None] = {
            "overloaded": scrape.waiting if scrape and self.engine.warm else None,
            "slow": window.ttft_p50(now),
            "errors": window.error_rate(now),
        }
        over = [reason for reason, value in values.items() if self.load[reason].update(value, now)]
        if not over:
            return None
        reason, value, limit = over[0], values[over[0]], self.limits[over[0]]
        shown = {
            "overloaded": lambda x: f"{x:.0f} requests wait",
            "slow": lambda x: f"the median time to the first token is {1000 * x:.0f} ms",
            "errors": lambda x: f"{x:.1%} of requests fail",
        }[reason](value) if value is not None else "not known just now"  # fmt: skip
        allowed = {"overloaded": f"{limit:.0f}", "slow": f"{1000 * limit:.0f} ms", "errors": f"{limit:.1%}"}[reason]
        return Verdict(reason, f"{shown}, the limit is {allowed}", extra={"value": value, "limit": round(limit, 4)})

    def _transition(self, found: Verdict, now: float) -> None:
        before = self.verdict
        if found == before and self.evaluated_at > 0:
            return
        self.verdict = found
        if (found.reason, found.kind) != (before.reason, before.kind):
            lasted = round(now - self._verdict_at, 1)
            was = before.reason or "ready"
            if found.reason != before.reason:
                self.verdict_since, self._verdict_at = time.time(), now
            if found.ready:
                kept = {"guard": "load keeps it away no longer"} if self.guard.resting(now) else {}
                self.journal.tell("ready", "notice", was=was, seconds=lasted, **kept)
            else:
                level: Level = "info" if found.reason in ("starting", "staging", "warming") else "warning"
                fields = {"reason": found.reason, "detail": found.detail, "was": was, "seconds": lasted}
                self.journal.tell("not ready", level, **fields)
            self.transitions[found.reason or "ready"] += 1
        self._answer = self._encoded()
        notify(STATUS=self._status())

    def _status(self) -> str:
        return "ready" if self.verdict.ready else f"not ready, {self.verdict.reason}: {self.verdict.detail}"

    def _encoded(self) -> tuple[int, bytes, str]:
        if self.verdict.ready:
            return 200, b"ready\n", "text/plain"
        return self._refusal(self.verdict.reason or "starting", self.verdict.detail, self.verdict.extra)

    def _refusal(self, reason: str, detail: str, extra: Any = None) -> tuple[int, bytes, str]:
        body = {"reason": reason, "detail": detail, "since": round(self.verdict_since, 3), **(extra or {})}
        return 503, (json.dumps(body) + "\n").encode(), "application/json"

    def _hangs(self, now: float) -> tuple[int, bytes, str] | None:
        age = now - self.evaluated_at
        return self._refusal("starting", f"the gate has judged nothing for {age:.0f} s") if age > STALE else None

    # -- answers

    async def _readyz(self, _: web.Request) -> web.Response:
        return _response(self._hangs(time.monotonic()) or self._answer)

    async def _livez(self, _: web.Request) -> web.Response:
        return _response(self.alive(time.monotonic()))

    def alive(self, now: float) -> tuple[int, bytes, str]:
        """The answer of /livez. A node that drains, stages or has too much to do lives; one whose engine stays away
        does not.
        """
        if found := self._hangs(now):
            return found
        if not self.first_ready:
            return self._refusal(self.verdict.reason or "starting", self.verdict.detail, self.verdict.extra)
        if self.verdict.reason != "draining":
            if self.unit_fault and not self.engine.usable():
                return self._refusal("engine", self.unit_fault)
            patience = 60.0 * max(15, 2 * self.config.boot_minutes if self.config else 0)
            if self._broken_since is not None and now - self._broken_since > patience:
                detail = f"no token for {(now - self._broken_since) / 60:.0f} minutes: {self.verdict.detail}"
                return self._refusal(self.verdict.reason or "engine", detail)
        return 200, b"live\n", "text/plain"

    async def _admit(self, request: web.Request) -> web.Response:
        now = time.monotonic()
        if self.keyring.keys is None:
            return self._refuse("", 503, RETRY["unknown"], "no-keys")
        key = self.keyring.find(request.headers.get("Authorization", ""))
        if key is None:
            self.admissions["", "unknown-key"] += 1
            return web.Response(status=401, headers={"WWW-Authenticate": 'Bearer realm="spillway"', **NO_STORE})
        return self._admitted(key, now)

    def _admitted(self, key: Key, now: float) -> web.Response:
        if self._stops(now):
            return self._refuse(key.name, 503, RETRY["draining"], "draining")
        if self.config is None or not self.engine.usable():
            return self._refuse(key.name, 503, RETRY["unusable"], "unusable")
        waiting = self.engine.queue_with_admitted(now, self.config.model.max_num_seqs)
        limit = self.limits["overloaded"]
        if waiting is not None and waiting >= limit:
            rate = self.engine.window.served_per_second(now)
            over = waiting - BAND * limit
            seconds = min(30, max(1, math.ceil(over / rate))) if rate > 0 else 5
            return self._refuse(key.name, 503, seconds, "queue")
        if wait := self.keyring.take(key, now):
            return self._refuse(key.name, 429, math.ceil(wait), "rate")
        self.engine.admitted += 1
        self.admissions[key.name, "admitted"] += 1
        return web.Response(status=204, headers={"X-Spillway-Key": key.name, **NO_STORE})

    def _stops(self, now: float) -> bool:
        """Whether the engine is about to be stopped, or is: until then a draining node takes what the balancer still
        sends.
        """
        if self.draining_since is None:
            return False
        drain = self.files["drain"] or {}
        if drain.get("state", "draining") != "draining" or self.config is None:
            return True
        return now - self.draining_since >= max(0.0, self.config.drain.deregister_seconds - EARLY)

    def _refuse(self, name: str, status: int, seconds: int, why: str) -> web.Response:
        self.admissions[name, why] += 1
        headers = {"X-Spillway-Refuse": str(status), "X-Spillway-Retry-After": str(seconds), **NO_STORE}
        if name:
            headers["X-Spillway-Key"] = name
        return web.Response(status=403, headers=headers)

    async def _metrics(self, _: web.Request) -> web.Response:
        return web.Response(text=self.exposition(), headers={"Content-Type": Exposition.CONTENT_TYPE})

    def exposition(self) -> str:
        """The gate's own metrics, and the figures that it judges by."""
        now, engine, page = time.monotonic(), self.engine, Exposition()
        scrape = engine.figures(now)
        name = "spillway_gate_"
        ready = self.verdict.ready and self._hangs(now) is None
        page.one(f"{name}ready", "gauge", "1 when /readyz is 200.", int(ready))
        page.one(f"{name}live", "gauge", "1 when /livez is 200.", int(self.alive(now)[0] == 200))
        reasons = [({"reason": reason}, int(reason == self.verdict.reason)) for reason in REASONS]
        page.add(f"{name}reason", "gauge", "1 for what keeps the node from being ready.", reasons)
        page.add(
            f"{name}transitions_total", "counter", "Changes of state, by the new one.",
            [({"state": to}, number) for to, number in sorted(self.transitions.items())],
        )  # fmt: skip
        page.one(
            f"{name}queue_requests", "gauge", "Requests that wait in the engine.", scrape.waiting if scrape else None
        )
        page.one(
            f"{name}running_requests", "gauge", "Requests that the engine works on.", scrape.running if scrape else None
        )
        page.one(
            f"{name}ttft_p50_seconds", "gauge", "Median time to first token, one minute.", engine.window.ttft_p50(now)
        )
        page.one(
            f"{name}error_ratio", "gauge", "Share of requests that failed, five minutes.", engine.window.error_rate(now)
        )
        page.add(
            f"{name}limit", "gauge", "This node's limits: requests, seconds, share.",
            [({"reason": reason}, value) for reason, value in self.limits.items()],
        )  # fmt: skip
        page.add(
            f"{name}over_limit", "gauge", "1 while over a limit, whether or not the guard lets it show.",
            [({"reason": reason}, int(entry.active)) for reason, entry in self.load.items()],
        )  # fmt: skip
        page.one(
            f"{name}guard_holds", "gauge", "1 while the guard keeps a loaded node ready.", int(self.guard.resting(now))
        )
        page.add(
            f"{name}circuit", "gauge", "State of the circuit breaker.",
            [({"state": at}, int(at == engine.breaker.state)) for at in ("closed", "open", "half-open")],
        )  # fmt: skip
        page.one(f"{name}circuit_opened_total", "counter", "How often it opened.", engine.breaker.opened)
        page.one(f"{name}engine_warm", "gauge", "1 after this engine made a token.", int(engine.warm))
        page.one(f"{name}engine_losses_total", "counter", "Warm engines that were lost.", engine.restarts)
        page.add(
            f"{name}engine_polls_total", "counter", "Questions to the engine, by what was asked and the answer.",
            [({"what": what, "result": result}, number) for (what, result), number in sorted(engine.polls.items())],
        )  # fmt: skip
        page.one(
            f"{name}engine_metrics_age_seconds", "gauge", "Age of the figures.",
            None if engine.scraped_at is None else round(now - engine.scraped_at, 3),
        )  # fmt: skip
        page.add(
            f"{name}admissions_total", "counter", "Requests to /admit, by key and what they got.",
            [({"key": key, "result": result}, number) for (key, result), number in sorted(self.admissions.items())],
        )  # fmt: skip
        page.one(
            f"{name}keys", "gauge", "API keys in force.", None if self.keyring.keys is None else len(self.keyring.keys)
        )
        faults = {name: file.fault for name, file in self.files.files.items()} | {"keys": self.keys_file.fault}
        page.add(
            f"{name}file_unusable", "gauge", "1 while a state file or keys.json cannot be used.",
            [({"file": f"{of}.json"}, int(bool(fault))) for of, fault in faults.items()],
        )  # fmt: skip
        page.one(
            f"{name}latch_unwritten",
            "gauge",
            "1 while the gate's own state cannot be kept.",
            int(bool(self.latch_fault)),
        )
        page.one(
            f"{name}journal_dropped_total", "counter", "Lines that the journal did not take.", self.journal.dropped
        )
        return page.text()


def _response(answer: tuple[int, bytes, str]) -> web.Response:
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
    except (OSError, socket.gaierror) as error:
        Journal("gate").tell("does not start", "error", detail=f"{arguments.host}:{arguments.port}: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
