"""The node in its auto scaling group: comes into service when ready, leaves when given up. AWS only.

`python -m images.programs.lifecycle`; where the configuration names no hooks it says so and ends with 0.

Launch hook: CONTINUE once /readyz was 200. Before that a heartbeat every few minutes, for as long as something moves
(bytes of weights, states of the boot); after twice the ordinary boot without any movement no more heartbeats are sent,
and the hook's own result, ABANDON, has the node replaced. ABANDON is never sent: a fault of the region's store or of a
secret would have every node replaced in a circle at the speed of its API, and a node that recovers would be lost.

In service: /livez is the one thing that says the node is beyond repair. When it has said so for minutes the instance
is reported as unhealthy, and the group replaces it.

Terminate hook: the metadata service names `Terminated` as target state when the group gives the node up; then
spillway-drain@terminate is started, heartbeats keep the hook open meanwhile, and it is completed when the node has
left.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
import time
from dataclasses import dataclass
from typing import Final

import aiohttp

from images.node import Hooks, NodeConfig
from images.programs import settings, state
from images.programs.journal import Journal
from images.programs.leaving import group, mark, units
from images.programs.leaving.service import Service, Unavailable
from images.programs.notify import notify, watchdog_seconds

GATE: Final = "http://127.0.0.1:9180"
TARGET: Final = "/latest/meta-data/autoscaling/target-lifecycle-state"
"""https://docs.aws.amazon.com/autoscaling/ec2/userguide/retrieving-target-lifecycle-state-through-imds.html"""
PATIENCE: Final = 30.0
"""Minutes without movement, at the least, before the node is taken for stuck."""


@dataclass(frozen=True)
class Pace:
    """Seconds. dead: /livez says no for so long, or nobody answers there, until the instance is unhealthy."""

    ready: float = 2.0
    target: float = 2.0
    launch_heartbeat: float = 300.0
    drain_heartbeat: float = 30.0
    live: float = 10.0
    dead: float = 180.0
    again: float = 300.0
    minute: float = 60.0


def gate_url() -> str:
    """Where the gate listens: http://127.0.0.1:9180, or SPILLWAY_GATE."""
    return (os.environ.get("SPILLWAY_GATE") or GATE).rstrip("/")


class Lifecycle:
    """The program, for one instance."""

    def __init__(
        self, config: NodeConfig, hooks: Hooks, service: Service, journal: Journal, pace: Pace | None = None
    ) -> None:
        self.config, self.hooks, self.service, self.journal = config, hooks, service, journal
        self.pace = pace or Pace()
        self.aws = group.AutoScaling(config, service)
        self.in_service = (state.read("lifecycle") or {}).get("state") in ("in-service", "leaving")
        self._faults: dict[str, str] = {}
        self._session: aiohttp.ClientSession | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(force_close=True), timeout=aiohttp.ClientTimeout(total=5)
        )
        loops = (self._launch(), self._leave(), self._live(), self._watchdog())
        work = [asyncio.create_task(each) for each in loops]
        notify(READY=1, STATUS="in service" if self.in_service else "waits until the node is ready")
        stopping = asyncio.create_task(stop.wait())
        pending = set(work)
        try:
            while pending and not stopping.done():
                await asyncio.wait([*pending, stopping], return_when=asyncio.FIRST_COMPLETED)
                for ended in [one for one in pending if one.done()]:
                    ended.result()
                    pending.discard(ended)
        finally:
            notify(STOPPING=1)
            for task in (*work, stopping):
                task.cancel()
            await asyncio.gather(*work, stopping, return_exceptions=True)
            await self._session.close()

    # --- Coming up ------------------------------------------------------------------------------------------------

    async def _launch(self) -> None:
        moved, beaten, last = time.monotonic(), 0.0, ""
        patience = self.pace.minute * max(PATIENCE, 2.0 * self.config.boot_minutes)
        stuck = False
        while not self.in_service:
            status, body = await self._ask("/readyz")
            if status == 200:
                await self._into_service()
                continue
            now = time.monotonic()
            if (found := _movement(body)) != last:
                last, moved = found, now
            if now - moved > patience:
                if not stuck:
                    detail = f"nothing has moved for {(now - moved) / self.pace.minute:.0f} minutes: {body[:200]!r}"
                    self.journal.tell("stuck", "error", detail=f"{detail}; no more heartbeats")
                stuck = True
            elif beaten == 0.0 or now - beaten >= self.pace.launch_heartbeat:
                stuck = False
                beaten = now
                if not await self._beat(self.hooks.launching):
                    # No such action: the node is in service already, and this program began anew.
                    self._is("in-service", "the group does not wait for this node")
            await asyncio.sleep(self.pace.ready)

    async def _into_service(self) -> None:
        try:
            await self.aws.complete(self.hooks.launching, "CONTINUE")
            self._is("in-service", "ready")
        except group.NoAction:
            self._is("in-service", "the group does not wait for this node")
        except group.Untold as error:
            self._fault("launch hook not completed", str(error))
            await asyncio.sleep(self.pace.ready)

    async def _beat(self, hook: str) -> bool:
        """False: there is no such action."""
        try:
            await self.aws.heartbeat(hook)
        except group.NoAction:
            return False
        except group.Untold as error:
            self._fault(f"{hook}: no heartbeat", str(error))
        else:
            self._faults.pop(f"{hook}: no heartbeat", None)
            self.journal.tell("heartbeat", "info", hook=hook)
        return True

    def _is(self, now: str, why: str) -> None:
        self.in_service = True
        self.journal.tell(now, "notice", detail=why)
        notify(STATUS=now)
        try:
            state.write("lifecycle", state=now, reason=why)
        except OSError as error:
            self._fault("lifecycle.json not written", str(error))

    # --- In service -----------------------------------------------------------------------------------------------

    async def _live(self) -> None:
        dead: float | None = None
        while True:
            await asyncio.sleep(self.pace.live)
            # Before, the launch hook decides; while the node leaves, the drain does.
            status, body = await self._ask("/livez") if self.in_service and not mark.exists() else (200, "")
            if status == 200:
                dead = None
                continue
            now = time.monotonic()
            dead = now if dead is None else dead
            if now - dead < self.pace.dead:
                continue
            try:
                await self.aws.unhealthy()
                self.journal.tell("unhealthy", "error", detail=f"/livez: {status or 'no answer'} {body[:200]}")
                dead = now + self.pace.again
            except (group.Untold, group.NoAction) as error:
                self._fault("health not reported", str(error))

    # --- Leaving --------------------------------------------------------------------------------------------------

    async def _leave(self) -> None:
        while not await self._given_up():
            await asyncio.sleep(self.pace.target)
        until = time.time() + self.config.drain.notice_seconds
        beaten = time.monotonic()
        known = state.read("lifecycle") or {}
        if known.get("state") != "leaving":
            mark.begin("terminate", until, why="the group gives this instance up")
            self._is("leaving", "the group gives this instance up")
        while True:
            document = mark.read()
            done = document is not None and document["state"] == "stopped"
            if done and await self._completed():
                return
            if not done and document is not None:
                try:
                    await units.start(units.drain_unit("terminate"))
                except units.Refused as error:
                    self._fault("drain not started", str(error))
                if time.monotonic() - beaten >= self.pace.drain_heartbeat:
                    beaten = time.monotonic()
                    await self._beat(self.hooks.terminating)
            await asyncio.sleep(self.pace.target)

    async def _given_up(self) -> bool:
        try:
            found = await self.service.text(TARGET)
        except Unavailable as error:
            self._fault("metadata service", str(error))
            return False
        self._faults.pop("metadata service", None)
        return found == "Terminated"

    async def _completed(self) -> bool:
        """The drain completes the hook itself; this is for the one that could not."""
        try:
            await self.aws.complete(self.hooks.terminating, "CONTINUE")
            self.journal.tell("left", "notice", hook=self.hooks.terminating)
        except group.NoAction:
            self.journal.tell("left", "notice", detail="the group has been told before")
        except group.Untold as error:
            self._fault("terminate hook not completed", str(error))
            return False
        return True

    # --- Everything -----------------------------------------------------------------------------------------------

    async def _ask(self, path: str) -> tuple[int, str]:
        """Status and body of the gate's answer; 0 where nobody answers."""
        assert self._session is not None
        try:
            async with self._session.get(f"{gate_url()}{path}", allow_redirects=False) as answer:
                return answer.status, (await answer.content.read(4096)).decode("utf-8", "replace")
        except (aiohttp.ClientError, TimeoutError, OSError):
            return 0, ""

    def _fault(self, event: str, detail: str) -> None:
        if self._faults.get(event) != detail:
            self.journal.tell(event, "error", detail=detail)
        self._faults[event] = detail

    async def _watchdog(self) -> None:
        every = watchdog_seconds()
        while every:
            await asyncio.sleep(every)
            notify(WATCHDOG=1)


def _movement(readyz: str) -> str:
    """Changes when the boot moves: from reason to reason, and with every byte of the weights."""
    try:
        found = json.loads(readyz)
    except ValueError:
        found = None
    stage = state.read("stage") or {}
    reason = found.get("reason") if isinstance(found, dict) else None
    return json.dumps([reason, stage.get("state"), stage.get("bytes")])


async def run(config: NodeConfig, hooks: Hooks) -> None:
    """Until SIGTERM or SIGINT, or until there is nothing more to do."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    service = Service(config.cloud)
    try:
        await Lifecycle(config, hooks, service, Journal("lifecycle")).run(stop)
    finally:
        await service.close()


def main() -> int:
    argparse.ArgumentParser(prog="lifecycle", description=(__doc__ or "").splitlines()[0]).parse_args()
    journal = Journal("lifecycle")
    try:
        config = settings.load()
        if config.cloud != "aws" or config.hooks is None:
            notify(READY=1)  # or systemd takes the end of a Type=notify service for a failure
            journal.tell("nothing to do", "info", detail=f"groups on {config.cloud} have no lifecycle hooks")
            return 0
        asyncio.run(run(config, config.hooks))
    except (settings.ConfigFault, OSError) as error:
        journal.tell("does not run", "error", detail=str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
