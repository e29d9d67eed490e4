"""Watches for the node's end and starts the drain. `python -m images.programs.spotwatch`.

Every source of notices has a loop of its own, so that one which hangs keeps none of the others from being asked. On a
notice drain.json is written, which the gate reads within a quarter of a second, and `spillway-drain@<cause>.service`
is started; it is started again as long as the drain is not done, and left alone when somebody has taken the drain
back.

A rebalance recommendation is by default no reason to leave: the spot group has capacity rebalancing, so it launches a
replacement and gives this node up through its hook once that serves, whereas a node that left by itself would be
missing meanwhile. `--rebalance drain` (SPILLWAY_REBALANCE) leaves at once and has the group replace the node.

A node that is still there long after its notice's deadline, with no notice standing, has survived (an event that was
cancelled): it serves again.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from images.node import NodeConfig
from images.programs import settings, state
from images.programs.journal import Journal
from images.programs.leaving import mark, units
from images.programs.leaving.notices import Notice, Source, sources
from images.programs.leaving.plan import LEAST
from images.programs.leaving.service import Service, Unavailable
from images.programs.notify import notify, watchdog_seconds

Rebalance = Literal["wait", "drain"]
CLOSER: Final = 1.0
"""Seconds by which a deadline has to be earlier than the one that is known to count as another one."""


@dataclass(frozen=True)
class Pace:
    """Seconds. insist: between two looks at whether the drain that was begun goes on. survive: after the deadline.

    share: of a source's own `every`, for tests. blind: without an answer until that is told again, twice as long each
    time.
    """

    insist: float = 2.0
    survive: float = 600.0
    share: float = 1.0
    blind: float = 30.0


@dataclass
class Health:
    """How it stands with a source. failed: when it began to fail, None while it answers."""

    failed: float | None = None
    told: float = 0.0
    fault: str = ""
    standing: Sequence[Notice] = field(default_factory=tuple)


class Watch:
    """The program."""

    def __init__(
        self,
        config: NodeConfig,
        service: Service,
        journal: Journal,
        rebalance: Rebalance = "wait",
        pace: Pace | None = None,
    ) -> None:
        self.config, self.service, self.journal = config, service, journal
        self.rebalance: Rebalance = rebalance
        self.pace = pace or Pace()
        self.sources = sources(config, service)
        self.health = {source.name: Health() for source in self.sources}
        found = state.read("notice") or {}
        seen, handled = found.get("seen"), found.get("handled")
        self._seen: dict[str, float] = {
            key: float(when) for key, when in (seen.items() if isinstance(seen, dict) else ()) if mark.is_time(when)
        }
        """When a notice was seen first, unix seconds, by its key. Survives the program's end, not the machine's."""
        self._handled: set[str] = (
            {key for key in handled if isinstance(key, str)} if isinstance(handled, list) else set()
        )
        self._deadlines: dict[str, float] = {}
        self._refused = ""

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`; a loop that fails takes the program with it, and systemd starts another."""
        loops: list[Awaitable[None]] = []
        for source in self.sources:
            loops.append(self._follow(source, source.look, source.every * self.pace.share))
            if change := getattr(source, "change", None):
                loops.append(self._follow(source, change, 0.05 * self.pace.share))
        loops += [self._insist(), self._watchdog()]
        work = [asyncio.ensure_future(each) for each in loops]
        self._note("watching", "")
        notify(READY=1, STATUS=f"watching {', '.join(self.health)}")
        stopping = asyncio.create_task(stop.wait())
        done, _ = await asyncio.wait([*work, stopping], return_when=asyncio.FIRST_COMPLETED)
        notify(STOPPING=1)
        for task in (*work, stopping):
            task.cancel()
        await asyncio.gather(*work, stopping, return_exceptions=True)
        for task in done - {stopping}:
            task.result()

    async def _follow(self, source: Source, look: Callable[[], Awaitable[Sequence[Notice]]], every: float) -> None:
        health = self.health[source.name]
        while True:
            try:
                notices = await look()
            except Unavailable as error:
                self._blind(source, health, str(error))
                await asyncio.sleep(max(every, 0.5 * self.pace.share))
                continue
            self._sees(source, health)
            health.standing = notices
            for one in notices:
                await self._act(one)
            await asyncio.sleep(every)

    # --- What a notice does ---------------------------------------------------------------------------------------

    async def _act(self, notice: Notice) -> None:
        now = time.time()
        first = notice.key not in self._seen
        if first:
            self._seen[notice.key] = round(now, 3)
            self.journal.tell("notice", "warning", what=notice.what, cause=notice.cause, seconds=notice.seconds)
            self._note("noticed", notice.what)
        if notice.cause == "rebalance" and self.rebalance == "wait":
            return
        until = self._until(notice, now)
        if notice.keep is not None and until - now > notice.keep:
            return
        known = self._deadlines.get(notice.key)
        if notice.key in self._handled and known is None:
            self._deadlines[notice.key] = until  # from before this program began: the drain knows it
            return
        if known is not None and until > known - CLOSER:
            return
        if notice.key in self._handled and not mark.exists():
            return  # taken back by somebody who knows better
        self._deadlines[notice.key] = until
        try:
            limit = None if notice.cause == "rebalance" else until
            document = mark.begin(notice.cause, limit, notice=notice.key, why=notice.what)
        except OSError as error:
            del self._deadlines[notice.key]  # tried again at the next look
            self.journal.tell("drain.json not written", "error", detail=str(error))
            return
        self._handled.add(notice.key)
        self._note("noticed", notice.what)
        notify(STATUS=f"{notice.what}: drain until {document['deadline']}")
        await self._start(notice.cause)

    def _until(self, notice: Notice, now: float) -> float:
        """The deadline in unix seconds by the node's clock.

        Where the cloud names no time, or one that begins with the notice, it counts from when the notice was seen.
        """
        budget = float(self.config.drain.notice_seconds)
        if notice.seconds is None:
            return self._seen[notice.key] + budget
        if notice.keep is not None:
            return self._seen[notice.key] + notice.seconds
        return now + max(LEAST, notice.seconds)

    async def _start(self, cause: str) -> None:
        try:
            await units.start(units.drain_unit(cause))
            self._refused = ""
        except units.Refused as error:
            if str(error) != self._refused:
                self.journal.tell("drain not started", "error", cause=cause, detail=str(error))
            self._refused = str(error)

    async def _insist(self) -> None:
        """Starts the drain again until it is done: its process may have been killed, or systemd too busy."""
        while True:
            await asyncio.sleep(self.pace.insist * self.pace.share)
            document = mark.read()
            if document is None or not self._handled & set(document.get("notices", ())):
                continue
            if document["state"] == "stopped":
                await self._survived(document)
            elif document.get("cause") in mark.CAUSES:
                await self._start(document["cause"])

    async def _survived(self, document: mark.Document) -> None:
        until = mark.deadline(document)
        if until is None or time.time() < until + self.pace.survive:
            return
        if set(document.get("causes", ())) - {"spot"} and self.config.cloud == "aws":
            return  # the group has given the node up, or somebody else has
        if "manual" in document.get("causes", ()):
            return
        # Every source has to have answered, and said that nothing stands.
        if any(health.failed is not None or health.standing for health in self.health.values()):
            return
        self.journal.tell("survived", "warning", detail="no notice stands any more, the node serves again")
        mark.take_back()
        self._handled.clear()
        self._deadlines.clear()
        self._seen.clear()
        self._note("watching", "")
        try:
            await units.start(units.ENGINE)
        except units.Refused as error:
            self.journal.tell("engine not started", "error", detail=str(error))

    # --- What is seen of the program ------------------------------------------------------------------------------

    def _blind(self, source: Source, health: Health, fault: str) -> None:
        now = time.monotonic()
        if health.failed is None:
            health.failed, health.told, health.fault = now, 0.0, fault
            return  # once is nothing: it is told when it stays so
        if now - health.failed >= max(2.0 * health.told, self.pace.blind * self.pace.share):
            health.told = now - health.failed
            detail = f"no answer for {health.told:.0f} s: {fault}"
            self.journal.tell("metadata service", "error", source=source.name, detail=detail)
            self._note("blind", f"{source.name}: {detail}")

    def _sees(self, source: Source, health: Health) -> None:
        if health.failed is not None and health.told:
            self.journal.tell("metadata service", "notice", source=source.name, detail="answers again")
            self._note("noticed" if self._seen else "watching", "")
        health.failed, health.told = None, 0.0

    def _note(self, to: str, reason: str) -> None:
        try:
            state.write("notice", state=to, reason=reason, seen=self._seen, handled=sorted(self._handled))
        except OSError as error:
            self.journal.tell("notice.json not written", "error", detail=str(error))

    async def _watchdog(self) -> None:
        every = watchdog_seconds()
        while True:
            await asyncio.sleep(every or 3600.0)
            if every:
                notify(WATCHDOG=1)


async def run(config: NodeConfig, rebalance: Rebalance) -> None:
    """Until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    service = Service(config.cloud)
    try:
        await Watch(config, service, Journal("spotwatch"), rebalance).run(stop)
    finally:
        await service.close()


def main() -> int:
    parser = argparse.ArgumentParser(prog="spotwatch", description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--rebalance",
        choices=("wait", "drain"),
        default=None,
        help="what AWS' rebalance recommendation does (SPILLWAY_REBALANCE, else wait)",
    )
    arguments = parser.parse_args()
    wanted = arguments.rebalance or os.environ.get("SPILLWAY_REBALANCE") or "wait"
    if wanted not in ("wait", "drain"):
        # No reason not to watch: of the two this is the one that does nothing.
        detail = f"SPILLWAY_REBALANCE={wanted}: expected wait or drain; taken for wait"
        Journal("spotwatch").tell("bad setting", "error", detail=detail)
    chosen: Rebalance = "drain" if wanted == "drain" else "wait"
    try:
        config = settings.load()
        asyncio.run(run(config, chosen))
    except (settings.ConfigFault, OSError) as error:
        Journal("spotwatch").tell("does not run", "error", detail=str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
