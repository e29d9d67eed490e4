"""Reports the node to its cloud's own metrics, once a minute. `python -m images.programs.telemetry`.

QueuePerReplica, TtftP50Ms, ErrorRate and Ready, with dimensions stack and pool: what the region scales by. The figures
are the gate's. A minute that cannot be delivered is dropped: alarms look at the newest, and a queue of old points would
only make the next outage worse. Nodes report at different seconds of the minute, so a fleet makes no burst.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import signal
import sys
import time
from dataclasses import dataclass
from typing import Final

import aiohttp

from images.node import NodeConfig
from images.programs import settings
from images.programs.journal import Journal
from images.programs.leaving.service import Service
from images.programs.lifecycle import gate_url
from images.programs.notify import notify, watchdog_seconds
from images.programs.reporting.figures import figures
from images.programs.reporting.senders import Dropped, Sender, sender

METRICS_MOST: Final = 2**20
SAY_AGAIN: Final = 60
"""Minutes of failure after which it is told once more."""


@dataclass(frozen=True)
class Pace:
    """Seconds. send: longest time for one minute's points, all calls together."""

    every: float = 60.0
    gate: float = 5.0
    send: float = 25.0


class Telemetry:
    """The program."""

    def __init__(self, config: NodeConfig, sender: Sender, journal: Journal, pace: Pace | None = None) -> None:
        self.config, self.sender, self.journal = config, sender, journal
        self.pace = pace or Pace()
        self.sent = self.dropped = 0
        self._failing = 0
        digest = hashlib.sha256(settings.identity().encode()).digest()
        self._phase = int.from_bytes(digest[:4], "big") / 2**32 * self.pace.every

    def wait(self, now: float) -> float:
        """Seconds until this node's next turn. now: unix seconds, however much they jump."""
        return self.pace.every - (now - self._phase) % self.pace.every

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`."""
        notify(READY=1, STATUS="reports once a minute")
        beat = asyncio.create_task(self._watchdog())
        try:
            while not stop.is_set():
                try:
                    async with asyncio.timeout(self.wait(time.time())):
                        await stop.wait()
                except TimeoutError:
                    await self.minute()
        finally:
            notify(STOPPING=1)
            beat.cancel()
            await asyncio.gather(beat, return_exceptions=True)

    async def minute(self) -> None:
        """Reads and reports once. Never raises for what others do wrong."""
        found = figures(await self._page())
        try:
            async with asyncio.timeout(self.pace.send):
                await self.sender.send(found)
        except (Dropped, TimeoutError) as error:
            self.dropped += 1
            if self._failing % SAY_AGAIN == 0:
                detail = str(error) or f"not within {self.pace.send:g} s"
                self.journal.tell("points dropped", "warning", detail=detail, minutes=self._failing + 1)
            self._failing += 1
            return
        if self._failing or not self.sent:
            self.journal.tell("points arrive", "info", figures=sorted(found), missed=self._failing)
        self._failing = 0
        self.sent += 1

    async def _page(self) -> str | None:
        timeout = aiohttp.ClientTimeout(total=self.pace.gate)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.get(f"{gate_url()}/metrics", allow_redirects=False) as answer,
            ):
                content = b""
                while len(content) <= METRICS_MOST and (part := await answer.content.read(METRICS_MOST)):
                    content += part
                return content.decode("utf-8", "replace") if answer.status == 200 else None
        except (aiohttp.ClientError, TimeoutError, OSError):
            return None

    async def _watchdog(self) -> None:
        every = watchdog_seconds()
        while every:
            await asyncio.sleep(every)
            notify(WATCHDOG=1)


async def run(config: NodeConfig, journal: Journal) -> None:
    """Until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    service = Service(config.cloud)
    to = sender(config, service)
    try:
        if to is None:
            notify(READY=1)  # or systemd takes the end of a Type=notify service for a failure
            journal.tell("nothing to do", "info", detail=f"nodes on {config.cloud} have no right to report metrics")
            return
        await Telemetry(config, to, journal).run(stop)
    finally:
        if to is not None:
            await to.close()
        await service.close()


def main() -> int:
    argparse.ArgumentParser(prog="telemetry", description=(__doc__ or "").splitlines()[0]).parse_args()
    journal = Journal("telemetry")
    try:
        asyncio.run(run(settings.load(), journal))
    except settings.ConfigFault as error:
        journal.tell("does not run", "error", detail=str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
