"""What the engine does, asked in the background: is it there, does it make tokens, how loaded is it.

Three tasks that do not wait for each other, each question with a time-out: nothing that vLLM does or fails to do keeps
the gate from answering. That /health says 200 proves no token, and stays so while a draining engine refuses requests;
so a node is warm only after one token was generated, and what ends that (a refused connection, 503, counters that began
anew) demands another.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Literal

import aiohttp

from images.programs.gating.ask import METRICS_MOST, Ask, Token, said
from images.programs.gating.breaker import Breaker
from images.programs.gating.figures import BROKEN, FAILED, OK, TOKENS, Garbage, Scrape, Window, increments, parse
from images.programs.gating.pace import Pace
from images.programs.journal import Journal

Health = Literal["unknown", "up", "gone", "dead", "failing"]
"""gone: nobody listens. dead: 503, the engine core died and the process will follow. failing: no answer, or a strange
one.
"""
Kind = Literal["warm-up", "half-open", "check"]


class Engine:
    """vLLM as the gate sees it. `changed` is called whenever readiness may have changed."""

    def __init__(self, url: str, pace: Pace, journal: Journal, changed: Callable[[], None]) -> None:
        self.url, self.pace, self.journal, self.changed = url, pace, journal, changed
        self.model = ""
        """Served name for probes when /v1/models does not say."""
        self.health: Health = "unknown"
        self.detail = ""
        self.warm = False
        self.was_warm = False
        """Some engine of this node was."""
        self.warm_identity: float | None = None
        """Start of the process that is known to make tokens, in vLLM's own words; survives the gate."""
        self.warm_fault = ""
        self.restarts = 0
        self.breaker = Breaker()
        self.window = Window()
        self.scrape: Scrape | None = None
        self.scraped_at: float | None = None
        self.metrics_fault = ""
        self.polls: Counter[tuple[str, str]] = Counter()
        self.admitted = 0
        """Requests that admission let through, counted by the gate."""
        self._admitted_before = 0
        self._epoch = 0
        self._kept: float | None = None
        self._health_failures = 0
        self._failing_since = 0.0
        """When the first of those was asked."""
        self._own_failures = 0
        self._up_since: float | None = None
        self._next_warm = 0.0
        self._next_check = 0.0
        self._evidence = time.monotonic()
        self._served_name: str | None = None
        self._probe: asyncio.Task[Token] | None = None
        self._ask = Ask(url)

    async def run(self) -> None:
        """Asks for ever."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._every(self.pace.health, self._ask_health))
            tasks.create_task(self._every(self.pace.metrics, self._ask_metrics))
            tasks.create_task(self._every(self.pace.tick, self._probe_if_due))

    async def close(self) -> None:
        await self._ask.close()

    async def _every(self, seconds: float, ask: Callable[[], Awaitable[None]]) -> None:
        while True:
            await ask()
            await asyncio.sleep(seconds)

    # -- what others ask

    def usable(self) -> bool:
        """Whether a request that is sent now can be expected to end well."""
        return self.warm and self.health in ("up", "failing") and self.breaker.state == "closed"

    def figures(self, now: float) -> Scrape | None:
        """The last scrape, while it is fresh enough to mean something."""
        fresh = self.scraped_at is not None and now - self.scraped_at <= self.pace.stale
        return self.scrape if fresh else None

    def queue_with_admitted(self, now: float, slots: int) -> float | None:
        """Requests that wait, and those admitted since the last scrape for which no slot has become free meanwhile.

        slots: requests that run at once. None: not known.
        """
        found = self.figures(now)
        if found is None or self.scraped_at is None:
            return None
        came = self.admitted - self._admitted_before
        went = self.window.served_per_second(now) * (now - self.scraped_at)
        return max(found.waiting, found.waiting + found.running + came - went - slots)

    # -- is it there

    async def _ask_health(self) -> None:
        asked = time.monotonic()
        if not self._health_failures:
            self._failing_since = asked
        try:
            status, _ = await self._ask.get("/health", self.pace.health_timeout)
        except aiohttp.ClientConnectorError as error:
            if isinstance(error.os_error, ConnectionRefusedError):
                self._polled("health", "refused")
                self._lost("gone", "nobody listens")
            else:
                self._health_failed(f"/health: {error.os_error}")
        except TimeoutError:
            self._health_failed(f"/health has no answer within {self.pace.health_timeout:g} s", late=True)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            self._health_failed(f"/health: {said(error)}")
        else:
            if status == 200:
                self._health_ok()
            elif status == 503:
                self._polled("health", "dead")
                self._lost("dead", "vLLM says that its engine died (/health is 503)")
            else:
                self._health_failed(f"/health is {status}")

    def _polled(self, what: str, result: str) -> None:
        self.polls[what, result] += 1

    def _health_ok(self) -> None:
        self._polled("health", "ok")
        self._health_failures = 0
        if self.health != "up":
            if self.health != "failing":
                self._up_since, self._next_warm = time.monotonic(), 0.0
                self.journal.tell("engine listens", "info")
            self.health, self.detail = "up", ""
            self.changed()

    def _health_failed(self, why: str, *, late: bool = False) -> None:
        self._polled("health", "failed")
        self._health_failures += 1
        if self.health in ("unknown", "gone", "dead"):
            # Before it has ever said 200 there is nothing to break.
            self.detail = why
            return
        self.health, self.detail = "failing", why
        if self._health_failures >= self.breaker.needed:
            if late and self._evidence > self._failing_since:
                # Tokens came meanwhile: it has too much to do, which a whole fleet can have, and is not broken.
                self._health_failures = 0
            else:
                self._count_failure(why, self.breaker.needed)
        self.changed()

    def _lost(self, health: Health, detail: str) -> None:
        before, self.health, self.detail = self.health, health, detail
        self._health_failures = 0
        if before in ("up", "failing"):
            self._forget(detail)
        if before != health:
            self.changed()

    def _forget(self, why: str) -> None:
        """Whatever was known of the engine was of another process."""
        self._epoch += 1
        if self.warm:
            self.restarts += 1
            self.journal.tell("engine lost", "warning", detail=why)
        self.warm, self.warm_fault, self.warm_identity = False, "", None
        self.scrape = self.scraped_at = self._served_name = None
        self._up_since, self._next_warm, self._own_failures = time.monotonic(), 0.0, 0
        self.window.clear()
        self.breaker.reset()
        if self._probe:
            self._probe.cancel()
        self.changed()

    # -- how loaded is it

    async def _ask_metrics(self) -> None:
        if self.health in ("unknown", "gone", "dead"):
            return
        epoch, admitted, own = self._epoch, self.admitted, self._own_failures
        try:
            status, body = await self._ask.get("/metrics", self.pace.metrics_timeout, METRICS_MOST)
            if status != 200:
                raise Garbage(f"HTTP {status}")
            found = parse(body.decode("utf-8", "replace"))
        except TimeoutError:
            self._blind(f"no answer within {self.pace.metrics_timeout:g} s")
        except (Garbage, aiohttp.ClientError, OSError, ValueError) as error:
            self._blind(said(error))
        else:
            if epoch == self._epoch:
                self._learn(found, admitted, own)

    def _blind(self, why: str) -> None:
        self._polled("metrics", "failed")
        if not self.metrics_fault:
            self.journal.tell("engine metrics unreadable", "warning", detail=why)
        self.metrics_fault = why

    def _learn(self, found: Scrape, admitted: int, own: int) -> None:
        now = time.monotonic()
        self._polled("metrics", "ok")
        if self.metrics_fault:
            self.journal.tell("engine metrics readable again")
            self.metrics_fault = ""
        came, reset = increments(self.scrape, found)
        other = (
            self.warm
            and found.started is not None
            and self.warm_identity is not None
            and found.started != self.warm_identity
        )
        if reset or other:
            self._forget("another process answers: its counters began anew")
            came = increments(None, found)[0]
        self.scrape, self.scraped_at, self._admitted_before = found, now, admitted
        self.window.add(came, now)
        if self.warm and self.warm_identity is None:
            self.warm_identity = found.started
            self.changed()
        elif not self.warm and found.started is not None and found.started == self._kept:
            self._warmed("the gate began anew, the engine did not")
            if self._probe:
                self._probe.cancel()  # it may wait behind a long queue
        self._kept = None
        if came.totals[TOKENS] > 0 or came.totals[OK] > 0:
            self._evidence = now
        self._own_failures = max(0, self._own_failures - own)
        # A stream that breaks was answered with 200 before; other generations that break are answered with 5xx.
        cut = max(0.0, came.totals[BROKEN] - came.totals[FAILED])
        failed = max(0.0, came.totals[FAILED] + cut - own)
        if self.warm and self.health == "up":
            if came.totals[OK] > cut:
                self.breaker.success()
            elif failed:
                self._count_failure("requests ended in errors of the engine", int(failed))

    def keep_warm(self, identity: float) -> None:
        """The gate starts anew; the engine that started at `identity` has made tokens for the gate before it."""
        self.was_warm, self._kept = True, identity

    # -- does it make tokens

    async def _probe_if_due(self) -> None:
        kind = self._due(time.monotonic())
        if kind is None:
            return
        epoch, began = self._epoch, time.monotonic()
        timeout = {
            "warm-up": self.pace.warm_timeout, "half-open": self.pace.probe_timeout, "check": self.pace.check_timeout,
        }[kind]  # fmt: skip
        self._probe = asyncio.create_task(self._one_token(timeout))
        try:
            await asyncio.wait([self._probe])
            if self._probe.cancelled() or epoch != self._epoch:
                self._polled(f"token-{kind}", "void")
                return
            found = self._probe.result()
            busy = kind == "check" and found.late and self._evidence > began
            self._probed(kind, found.fault, busy=busy)
        finally:
            self._probe.cancel()
            self._probe = None

    def _due(self, now: float) -> Kind | None:
        if self.health not in ("up", "failing"):
            return None
        if not self.warm:
            return "warm-up" if self.health == "up" and now >= self._next_warm else None
        if self.breaker.state != "closed":
            return "half-open" if self.breaker.may_probe(now) else None
        found = self.figures(now)
        allowed = self.pace.stuck if found is None or found.running > 0 else self.pace.idle
        return "check" if now >= max(self._next_check, self._evidence + allowed) else None

    def _probed(self, kind: Kind, fault: str | None, *, busy: bool = False) -> None:
        """busy: no answer in time, while others got tokens."""
        now = time.monotonic()
        self._polled(f"token-{kind}", "failed" if fault else "ok")
        if fault is None:
            self._evidence = now
        if kind == "warm-up":
            if fault is None:
                self._warmed("it made a token")
            else:
                if fault != self.warm_fault:
                    self.journal.tell("engine makes no token", "warning", detail=fault)
                self.warm_fault, self._next_warm = fault, now + self.pace.warm_retry
        elif kind == "half-open":
            before = self.breaker.state
            self.breaker.probed(fault, now)
            if before != self.breaker.state:
                closed = self.breaker.state == "closed"
                self.journal.tell(
                    f"circuit {self.breaker.state}", "notice" if closed else "warning", detail=fault or ""
                )
        elif fault is None:
            self.breaker.success()
        else:
            self._next_check = now + self.pace.doubt
            if not busy:
                self._count_failure(fault, 1)
        self.changed()

    def _warmed(self, detail: str) -> None:
        seconds = round(time.monotonic() - self._up_since, 1) if self._up_since is not None else None
        self.warm = self.was_warm = True
        self.warm_fault = ""
        self.warm_identity = self.scrape.started if self.scrape else None
        self._evidence = time.monotonic()
        self.breaker.reset()
        self.journal.tell("engine warm", "notice", detail=detail, seconds=seconds)
        self.changed()

    def _count_failure(self, why: str, number: int) -> None:
        if not self.warm:
            return
        closed = self.breaker.state == "closed"
        self.breaker.failure(why, time.monotonic(), number)
        if closed and self.breaker.state == "open":
            self.journal.tell("circuit open", "warning", detail=why)
            self.changed()

    async def _one_token(self, timeout: float) -> Token:
        if self._served_name is None:
            self._served_name = await self._ask.served_name(self.pace.check_timeout) or self.model
        found = await self._ask.one_token(self._served_name, timeout)
        if found.status >= 500:
            self._own_failures += 1
        if found.fault:
            self._served_name = None
        return found
