"""Takes the node out of service, within the time that is left. `python -m images.programs.drain CAUSE`.

drain.json (the gate says 503 from then on) -> wait for the balancers -> stop vLLM, which finishes what it has -> tell
the cloud -> drain.json says `stopped`. `images/programs/leaving/plan.py` has what is cut, and in which order, when the
time is short. The deadline is --deadline, else the one that drain.json has already; none for an operator's own drain.

It may be killed at any point and started again, and started for a second cause while the first one is served: the
second waits, and its deadline counts if it is the earlier one. `rm /run/spillway/drain.json` takes a drain back until
the engine is stopped; `--undo` does so afterwards too, by starting the engine again.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import fcntl
import math
import os
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Final

from images.node import Drain, NodeConfig
from images.programs import settings, state
from images.programs.journal import Journal
from images.programs.leaving import group, mark, units
from images.programs.leaving.plan import DOOR, TELL, Plan, plan
from images.programs.leaving.service import Service

TICK: Final = 0.1
AGAIN: Final = 1.0
"""Pause before something that failed is tried again."""
BLIND: Final = Drain(notice_seconds=30, deregister_seconds=5, drain_seconds=15)
"""What is kept to when node.json cannot be read: it fits every cloud."""


class TakenBack(Exception):
    """drain.json is gone: the node serves again."""


class Leaving:
    """One drain, from drain.json to the end."""

    def __init__(self, config: NodeConfig | None, journal: Journal) -> None:
        self.config, self.journal = config, journal
        self.drain = config.drain if config else BLIND
        self.service = Service(config.cloud) if config else None
        self.tell = TELL[config.cloud] if config else max(TELL.values())
        self.aws = (
            group.AutoScaling(config, self.service) if config and self.service and config.cloud == "aws" else None
        )
        self.began = 0.0
        self._deadline: float | None = None
        self._seen: float | None = None
        self._document: mark.Document | None = None
        self._plan: Plan | None = None
        self._early: set[str] = set()
        self.asked = False
        """The engine was asked to end."""

    async def close(self) -> None:
        if self.service:
            await self.service.close()

    # --- Time -----------------------------------------------------------------------------------------------------

    def look(self) -> Plan:
        """The plan by what drain.json says now. Raises TakenBack.

        Unix times are turned into those of the monotonic clock when they appear, once: the node's clock may be set in
        the middle of it all.
        """
        found = mark.read()
        if found is None:
            if not mark.exists():
                raise TakenBack
            found = self._document or {}  # somebody has written nonsense into it, and the node leaves all the same
        self._document = found
        if not self.began:
            begun = found.get("begun")
            ago = time.time() - begun if isinstance(begun, int | float) else 0.0
            self.began = time.monotonic() - (ago if 0 <= ago <= 3600 else 0.0)
        until = mark.deadline(found)
        if until != self._seen:
            self._seen = until
            self._deadline = None if until is None else time.monotonic() + until - time.time()
        left = None if self._deadline is None else self._deadline - self.began
        self._plan = plan(self.drain, left, self.tell)
        if self.config and self.config.cluster and self.config.cluster.role == "worker":
            # The head drains meanwhile, and its requests need this node's processes until the end.
            self._plan = replace(self._plan, stop=self._plan.kill)
        return self._plan

    def age(self) -> float:
        """Seconds since the drain began."""
        return time.monotonic() - self.began

    def ended(self) -> bool:
        """Whether the engine was asked to end by somebody before."""
        return (self._document or {}).get("state") in ("stopping", "stopped")

    # --- Steps ----------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Raises TakenBack."""
        self.look()
        document = self._document or {}
        told = {"cause": document.get("cause"), "deadline": document.get("deadline")}
        if document.get("state") == "stopped":
            await self._tell_cloud()
            return
        left = None if self._deadline is None else round(self._deadline - time.monotonic(), 1)
        self.journal.tell("drain", "notice", **told, left=left)
        early = asyncio.create_task(self._tell_early())
        try:
            await self.wait_for_balancers()
            await self._stop_engine()
        finally:
            if not early.done():
                early.cancel()
            await asyncio.gather(early, return_exceptions=True)
        await self._tell_cloud()
        self.journal.tell("drained", "notice", **told, seconds=round(self.age(), 1))

    async def wait_for_balancers(self) -> None:
        """Ends when nobody is admitted any more. Raises TakenBack."""
        self.look()
        while not self.ended() and self.age() < self.look().stop - DOOR:
            await asyncio.sleep(TICK)
        if not self.ended():
            # From now on the gate lets nobody in, which it has to see before the engine begins to refuse.
            if not mark.turn("stopping", "the engine finishes what it has"):
                raise TakenBack
            end = time.monotonic() + DOOR
            while time.monotonic() < end:
                self.look()
                await asyncio.sleep(TICK)

    async def _stop_engine(self) -> None:
        """Asks, waits, and kills when there is no more time. Ends early only when no process is left."""
        killed, complained = 0.0, False
        while True:
            try:
                if not self.asked:
                    await units.stop(units.ENGINE)
                    self.asked = True
                if await units.gone(units.ENGINE):
                    return
                limit = self._limit()
                if self.age() >= limit and time.monotonic() - killed > AGAIN:
                    await units.kill(units.ENGINE)
                    self.journal.tell("engine killed", "error", detail=f"still there after {limit:.0f} s")
                    killed = time.monotonic()
                await asyncio.sleep(TICK)
            except units.Refused as error:
                if not complained:
                    self.journal.tell("engine not stopped", "error", detail=str(error))
                complained = True
                if self.age() >= self._limit() + self.tell:
                    return  # the cloud has to be told even so
                await asyncio.sleep(AGAIN)

    def _limit(self) -> float:
        """Seconds from the beginning until the engine is killed; a drain that is taken back now still ends."""
        with contextlib.suppress(TakenBack):
            self.look()
        return self._plan.kill if self._plan else 0.0

    async def _tell_early(self) -> None:
        """A rebalance is the node's own wish to be replaced, and the replacement takes its time: the group hears first.

        The group ends the node through its hook, which waits for this drain. What fails here is tried again at the end.
        """
        if self.aws is None:
            return
        await self.aws.prepare()
        if "rebalance" in (self._document or {}).get("causes", ()):
            await self._try("rebalance", self.aws.unhealthy)

    async def _tell_cloud(self) -> None:
        """Once for every cause; what could not be told is told the next time the program runs."""
        document = self._document or {}
        causes = [cause for cause in document.get("causes", ()) if cause not in document.get("told", ())]
        told = list(document.get("told", ()))
        for cause in causes:
            try:
                async with asyncio.timeout(self.look().tell):
                    good = await self._tell(cause)
            except (TimeoutError, TakenBack):
                self.journal.tell("cloud not told", "error", cause=cause, detail="there was no time left")
                good = False
            if good:
                told.append(cause)
        if not mark.turn("stopped", "the node has left", told=told):
            raise TakenBack

    async def _tell(self, cause: str) -> bool:
        if self.config is None or self.service is None:
            self.journal.tell("cloud not told", "error", cause=cause, detail="node.json cannot be used")
            return False
        if self.aws is not None:
            if cause == "rebalance" and cause not in self._early:
                await self._try(cause, self.aws.unhealthy)
            return await self._complete(cause)
        if self.config.cloud == "azure":
            return await self._approve(cause)
        return True  # Compute Engine and Tencent Cloud have nobody who could be told

    async def _complete(self, cause: str) -> bool:
        aws, hooks = self.aws, self.config.hooks if self.config else None
        if aws is None or hooks is None or cause == "manual":
            return True
        for attempt in (1, 2, 3):
            try:
                await aws.complete(hooks.terminating, "CONTINUE")
            except group.NoAction:
                # A spot instance is not always given up by its group before EC2 takes it; lifecycle goes on watching.
                self.journal.tell("cloud told", "info", cause=cause, detail="the group does not wait for this node")
                return True
            except group.Untold as error:
                if attempt == 3:
                    self.journal.tell("cloud not told", "error", cause=cause, detail=str(error))
                    return False
                await asyncio.sleep(0.5)
            else:
                self.journal.tell("cloud told", "notice", cause=cause, detail=f"{hooks.terminating}: CONTINUE")
                return True
        return False

    async def _approve(self, cause: str) -> bool:
        if self.service is None or cause not in ("spot", "terminate"):
            return True
        for attempt in (1, 2, 3):
            try:
                approved = await group.approve(self.service)
            except group.Untold as error:
                if attempt == 3:
                    self.journal.tell("cloud not told", "error", cause=cause, detail=str(error))
                    return False
                await asyncio.sleep(0.2)
            else:
                self.journal.tell("cloud told", "notice", cause=cause, detail=f"started: {', '.join(approved) or '-'}")
                return True
        return False

    async def _try(self, cause: str, call: Callable[[], Awaitable[None]]) -> None:
        try:
            await call()
        except (group.Untold, group.NoAction) as error:
            self.journal.tell("cloud not told", "error", cause=cause, detail=str(error))
        else:
            self._early.add(cause)
            self.journal.tell("cloud told", "notice", cause=cause, detail="the instance is unhealthy")


@contextlib.asynccontextmanager
async def turn() -> AsyncIterator[None]:
    """One drain at a time; whoever comes second waits here, while the first keeps to what both want."""
    handle = os.open(state.directory() / ".drain.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                await asyncio.sleep(TICK)
        yield
    finally:
        os.close(handle)


async def drain(cause: mark.Cause, deadline: float | None, journal: Journal) -> int:
    """Exit code: 0 when the node has left, or serves again because somebody took the drain back."""
    if deadline is None and cause != "manual" and not mark.exists() and announced():
        journal.tell("drain taken back", "notice", cause=cause)
        return 0
    mark.begin(cause, deadline)
    config: NodeConfig | None = None
    try:
        config = settings.load()
    except settings.ConfigFault as fault:
        journal.tell("no configuration", "error", detail=str(fault))
    leaving = Leaving(config, journal)
    try:
        async with turn():
            await leaving.run()
    except TakenBack:
        journal.tell("drain taken back", "notice", cause=cause)
        if leaving.asked:
            await units.start(units.ENGINE)
    finally:
        await leaving.close()
    return 0


def announced() -> bool:
    """Whether spot watcher or lifecycle have begun a drain on this machine. They write drain.json before they start
    this program, so where it is missing now, somebody has taken it back meanwhile.
    """
    handled = (state.read("notice") or {}).get("handled")
    return bool(handled) or (state.read("lifecycle") or {}).get("state") == "leaving"


async def shutdown(seconds: float, journal: Journal) -> int:
    """The machine goes down without a notice, as groups without hooks have it: ACPI and nothing else.

    For ExecStop= of a unit that is ordered after engine, gate and nginx, and so is stopped before them: systemd stops
    the engine as soon as this ends, and would wait for this if it were asked to do so from here. Where the machine does
    not go down, or the drain has got that far already, nothing happens.
    """
    try:
        if not await units.stopping():
            return 0
    except units.Refused as error:
        journal.tell("shutdown not known", "error", detail=str(error))
        return 0
    mark.begin("terminate", time.time() + seconds, why="the machine shuts down")
    with contextlib.suppress(settings.ConfigFault):
        leaving = Leaving(settings.load(), journal)
        try:
            journal.tell("drain", "notice", cause="terminate", left=seconds, detail="the machine shuts down")
            await leaving.wait_for_balancers()
        finally:
            await leaving.close()
    return 0


async def undo(journal: Journal) -> int:
    """The node serves again; the engine is started if it was stopped."""
    if not mark.exists():
        journal.tell("nothing to take back", "info")
        return 0
    mark.take_back()
    async with turn():  # a drain that runs ends first: it sees at once that it was taken back, or stops the engine
        mark.take_back()
        await units.start(units.ENGINE)
    journal.tell("drain taken back", "notice", detail=f"{units.ENGINE} is started")
    return 0


def unix_time(text: str) -> float:
    found = float(text)
    if not math.isfinite(found) or found < 0:
        raise ValueError(text)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="drain", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("cause", nargs="?", choices=mark.CAUSES, default="manual")
    parser.add_argument("--deadline", type=unix_time, default=None, help="unix seconds at which the machine is gone")
    parser.add_argument("--undo", action="store_true", help="take a drain back, and start the engine")
    parser.add_argument(
        "--shutdown",
        type=unix_time,
        default=None,
        metavar="SECONDS",
        help="only if the machine shuts down: until then, at the latest, the engine has to have ended",
    )
    arguments = parser.parse_args()
    journal = Journal("drain")
    if arguments.shutdown is not None:
        work = shutdown(arguments.shutdown, journal)
    else:
        work = undo(journal) if arguments.undo else drain(arguments.cause, arguments.deadline, journal)
    try:
        return asyncio.run(work)
    except TakenBack:
        return 0
    except (OSError, units.Refused) as error:
        journal.tell("drain failed", "error", detail=str(error))
        return 1


if __name__ == "__main__":
    sys.exit(main())
