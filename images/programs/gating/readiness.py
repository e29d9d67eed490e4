"""Whether this node is ready and alive: its files, its engine and its limits, judged four times a second, answered from
memory.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from images.node import NodeConfig
from images.programs import settings, state
from images.programs.gating import judge
from images.programs.gating.admission import Keyring, parse_keys
from images.programs.gating.files import StateFiles, Watched
from images.programs.gating.judge import LOAD, READY, REASONS, Reason, Verdict
from images.programs.gating.limits import Guard, Hysteresis, jitter
from images.programs.gating.pace import Pace
from images.programs.gating.poll import Engine
from images.programs.journal import Journal, Level
from images.programs.notify import notify

BAND: Final = 0.7
"""A load is over when it falls below this share of its limit."""
STALE: Final = 5.0
"""Seconds after which an answer from memory is none any more: the gate itself hangs."""
STATUS_SECONDS: Final = 5.0
"""Between two statuses that differ in figures only: each is a message on the system's bus."""
PATIENCE: Final = 15.0
"""Minutes, or twice the boot where that is longer, after which an engine that was ready once is taken for lost."""

Answer = tuple[int, bytes, str]
"""Status, body, content type."""


class Readiness:
    """Times are seconds of a monotonic clock, except `since` in answers. `changed`: something is worth a look before
    its time.
    """

    def __init__(self, pace: Pace, journal: Journal, changed: Callable[[], None]) -> None:
        self.journal = journal
        self.identity = settings.identity()
        self.config: NodeConfig | None = None
        self.config_fault = ""
        self._config_at = -math.inf
        run = state.directory()
        self.files = StateFiles(run)
        self.keys_file = Watched(run / "keys.json", parse_keys, keep=True)
        self.keyring = Keyring()
        self.engine = Engine(settings.engine_url(), pace, journal, changed)
        self.load: dict[Reason, Hysteresis] = {
            reason: Hysteresis(math.inf, math.inf, pace.rise, pace.rise) for reason in REASONS if reason in LOAD
        }
        spread = jitter(self.identity, "guard", 0.05)
        self.guard = Guard(pace.guard_longest * (spread - 0.05), pace.guard_rest * (spread + 0.05))
        self.limits: dict[Reason, float] = {}
        self.verdict = Verdict("starting", "the gate has just begun")
        self.verdict_since = time.time()
        self._verdict_at = time.monotonic()
        self.evaluated_at = -math.inf
        self.transitions: Counter[str] = Counter()
        self.draining_since: float | None = None
        self.unit_fault: str | None = None
        self._broken_since: float | None = None
        self.first_ready = False
        self._written: tuple[float | None] | None = None
        directory = os.environ.get("RUNTIME_DIRECTORY", "").split(":")[0]
        self.latch = (Path(directory) if directory else run) / "gate.json"
        self.latch_fault = ""
        self._status_at, self._status_told = -math.inf, ""
        self.answer = self._encoded()

    # -- the latch of /livez, and which engine is warm, survive the gate but not the boot

    def remember(self) -> None:
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
        self._tell_systemd(now)
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
        drain = self.files["drain"] or {}
        since = judge.unix(drain.get("begun", drain.get("since")))
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
            several=self.config is not None and self.config.cluster is not None,
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
        detail = _over(reason, value, limit)
        return Verdict(reason, detail, extra={"value": value, "limit": round(limit, 4)})

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
            self._status_at = -math.inf
        self.answer = self._encoded()

    def _tell_systemd(self, now: float) -> None:
        status = self.status()
        if status != self._status_told and now - self._status_at >= STATUS_SECONDS:
            self._status_at, self._status_told = now, status
            notify(STATUS=status)

    def status(self) -> str:
        return "ready" if self.verdict.ready else f"not ready, {self.verdict.reason}: {self.verdict.detail}"

    def _encoded(self) -> Answer:
        if self.verdict.ready:
            return 200, b"ready\n", "text/plain"
        return self._refusal(self.verdict.reason or "starting", self.verdict.detail, self.verdict.extra)

    def _refusal(self, reason: str, detail: str, extra: Any = None) -> Answer:
        body = {"reason": reason, "detail": detail, "since": round(self.verdict_since, 3), **(extra or {})}
        return 503, (json.dumps(body) + "\n").encode(), "application/json"

    # -- what is told

    def hangs(self, now: float) -> Answer | None:
        age = now - self.evaluated_at
        return self._refusal("starting", f"the gate has judged nothing for {age:.0f} s") if age > STALE else None

    def ready(self, now: float) -> Answer:
        """The answer of /readyz."""
        return self.hangs(now) or self.answer

    def alive(self, now: float) -> Answer:
        """The answer of /livez. A node that drains, stages or has too much to do lives; one whose engine stays away
        does not.
        """
        if found := self.hangs(now):
            return found
        if not self.first_ready:
            return self._refusal(self.verdict.reason or "starting", self.verdict.detail, self.verdict.extra)
        if self.verdict.reason != "draining":
            if self.unit_fault and not self.engine.usable():
                return self._refusal("engine", self.unit_fault)
            patience = 60.0 * max(PATIENCE, 2 * self.config.boot_minutes if self.config else 0)
            if self._broken_since is not None and now - self._broken_since > patience:
                detail = f"no token for {(now - self._broken_since) / 60:.0f} minutes: {self.verdict.detail}"
                return self._refusal(self.verdict.reason or "engine", detail)
        return 200, b"live\n", "text/plain"


def _over(reason: Reason, value: float | None, limit: float) -> str:
    match reason:
        case "overloaded":
            shown = "?" if value is None else f"{value:.0f}"
            return f"{shown} requests wait, the limit is {limit:.0f}"
        case "slow":
            shown = "?" if value is None else f"{1000 * value:.0f}"
            return f"the median time to the first token is {shown} ms, the limit is {1000 * limit:.0f} ms"
        case _:
            shown = "?" if value is None else f"{value:.1%}"
            return f"{shown} of requests fail, the limit is {limit:.1%}"
