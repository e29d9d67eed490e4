"""Whether all nodes of a replica are there, and what is done when one is not. `python -m images.programs.peers`.

The head listens on its private address; every other node says a line of JSON a second and gets one back:

    {"rank": 1, "nodes": 2, "epoch": 0, "engine": "<invocation id>", "leaving": "spot", "deadline": 1764150000}
    {"epoch": 1, "state": "ok", "reason": "", "expected": 2, "alive": 2}

Both write peers.json, which the gate reads and without which no engine of a replica starts. vLLM's own processes do
not see a lost node until the next request hangs, so this program does: the epoch rises and every node starts its
engine anew (together/replica.py). When a member leaves, the head drains with it: its replica ends at the same moment.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import math
import os
import signal
import sys
import time
from typing import Any, Final

from images.node import Cluster
from images.programs import settings, state
from images.programs.journal import Journal, Level
from images.programs.leaving import mark, units
from images.programs.notify import notify
from images.programs.serving.command import Refused
from images.programs.together import addresses
from images.programs.together.replica import SILENT, Member, Replica

PORT: Final = 6380
EVERY: Final = 1.0
ANSWER: Final = 2.0
"""Seconds that a connection or an answer may take."""
LINE_MOST: Final = 4096


def engine_units(cluster: Cluster) -> list[str]:
    """Units that are started anew together, the one that is watched last."""
    if cluster.executor == "native":
        return [units.ENGINE]
    return ["spillway-ray-head.service", units.ENGINE] if cluster.role == "head" else ["spillway-ray-worker.service"]


class Peers:
    """The program on any node."""

    def __init__(self, cluster: Cluster, journal: Journal, port: int = PORT) -> None:
        self.cluster, self.journal, self.port = cluster, journal, port
        self.units = engine_units(cluster)
        # /run outlives this program and not the machine. A head that boots has an epoch that there never was.
        kept = (state.read("peers") or {}).get("epoch")
        self.epoch = kept if isinstance(kept, int) else int(time.time()) if cluster.role == "head" else 0
        """In which this node's engine was started; a worker that was never told of one has 0."""
        self.replica = Replica(cluster.nodes, self.epoch)
        self.engine = ""
        self._old = ""
        self._told = ""
        self._heard: tuple[float, dict[str, Any]] | None = None
        self._drained = False
        self._entering: asyncio.Task[None] | None = None
        self._judged = time.monotonic()

    # -- this node

    async def look_at_engine(self) -> bool:
        """What systemd says runs; stays as it was when systemd does not answer (False)."""
        try:
            found = await invocation(self.units[-1])
        except units.Refused:
            return False
        # The one that was asked to end may still be there for a moment.
        self.engine = "" if found == self._old else found
        return True

    async def watch_engine(self, stop: asyncio.Event) -> None:
        """Beside the words: systemd may take its time to answer, and who says nothing meanwhile is taken for lost."""
        while not stop.is_set():
            await self.look_at_engine()
            await wait(stop, EVERY)

    def enter(self, epoch: int, why: str) -> None:
        """Starts this node's engine anew, for this epoch; until the old has ended, the node says the epoch before."""
        if self._entering is None or self._entering.done():
            self._entering = asyncio.create_task(self._enter(epoch, why))

    async def _enter(self, epoch: int, why: str) -> None:
        before, old = self.epoch, self.engine
        if mark.exists() or (before == 0 and not old):
            self.epoch = epoch
            return  # it leaves; or it starts by itself once peers.json says ok
        self.journal.tell("engine anew", "warning", epoch=epoch, detail=why)
        try:
            # Killed: its requests wait for a node that is not there, and a drain would wait for them.
            await asyncio.gather(*(units.kill(unit) for unit in self.units), return_exceptions=True)
            await units.ask("restart", "--no-block", *self.units)
            self._old = old or self._old
            if self.engine == self._old:
                self.engine = ""
            self.epoch = epoch
        except units.Refused as error:  # again at the next look
            self.journal.tell("engine not restarted", "error", detail=str(error))

    def write(self, document: dict[str, Any]) -> None:
        """peers.json; the journal hears of changes."""
        try:
            state.write("peers", **{**document, "looked": round(time.time(), 3), "epoch": self.epoch})
        except OSError as error:
            self.journal.tell("peers.json not written", "error", detail=str(error))
        told = f"{document['state']} {document['reason']}"
        if told != self._told:
            level: Level = "notice" if document["state"] == "ok" else "warning"
            self.journal.tell("replica", level, state=document["state"], detail=document["reason"])
            notify(STATUS=document["reason"] or "all nodes of the replica are here")
            self._told = told

    def word(self) -> dict[str, Any]:
        """What this node says."""
        drain = mark.read() if mark.exists() else None
        return {
            "rank": self.cluster.rank,
            "nodes": self.cluster.nodes,
            "epoch": self.epoch,
            "engine": self.engine,
            "leaving": str((drain or {}).get("cause") or "manual") if mark.exists() else "",
            "deadline": mark.deadline(drain),
        }

    # -- the head

    async def serve(self, stop: asyncio.Event) -> None:
        """The head, until `stop`. Raises OSError when the port cannot be had."""
        address = addresses.own(self.cluster.head_address)
        server = await asyncio.start_server(self._talk, address, self.port, limit=LINE_MOST)
        self.port = server.sockets[0].getsockname()[1]
        self.journal.tell("listening", host=address, port=self.port)
        notify(READY=1)
        # An engine that was not looked for is no engine that is gone.
        while not await self.look_at_engine() and not stop.is_set():
            await wait(stop, EVERY)
        async with server, asyncio.TaskGroup() as tasks:
            tasks.create_task(self.watch_engine(stop))
            while not stop.is_set():
                await self._judge()
                await wait(stop, EVERY)

    async def _judge(self) -> None:
        now = time.monotonic()
        late, self._judged = now - self._judged > SILENT / 2, now
        # A machine that stood still for a while has not heard the others, and says nothing of them.
        why = self.replica.hear(member(self.word(), "", now)) or ("" if late else self.replica.look(now))
        if why:
            self.journal.tell("replica broken", "error", detail=why)
        self.write(self.replica.document(now))
        if self.epoch < self.replica.epoch:
            self.enter(self.replica.epoch, self.replica.broken or "the replica broke")
        await self._leave_with()

    async def _leave_with(self) -> None:
        """The head has the API: it drains by the deadline of the member that leaves."""
        gone = self.replica.leaving()
        if gone is None or mark.exists() or self._drained:
            return
        self._drained = True  # once: whoever takes the drain back means it
        cause: mark.Cause = gone.leaving if gone.leaving in mark.CAUSES else "manual"
        self.journal.tell("a member leaves", "notice", rank=gone.rank, cause=cause)
        mark.begin(cause, gone.deadline, why=f"node {gone.rank} of the replica does")
        try:
            await units.start(units.drain_unit(cause))
        except units.Refused as error:
            self._drained = False
            self.journal.tell("drain not started", "error", detail=str(error))

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = (writer.get_extra_info("peername") or ("?",))[0]
        try:
            while line := await heard(reader):
                now = time.monotonic()
                told = member(json.loads(line), str(peer), now)
                if not 0 < told.rank < self.cluster.nodes:
                    raise ValueError(f"rank {told.rank} of {self.cluster.nodes}")
                other = self.replica.members.get(told.rank)
                if other and other.address != told.address and now - other.heard <= SILENT:
                    raise ValueError(f"rank {told.rank} is {other.address} already")
                if why := self.replica.hear(told):
                    self.journal.tell("replica broken", "error", detail=why)
                answer = {"epoch": self.replica.epoch, **self.replica.document(now)}
                writer.write(json.dumps(answer).encode() + b"\n")
                await writer.drain()
        except (ValueError, LookupError, TypeError) as error:
            self.journal.tell("not understood", "warning", peer=str(peer), detail=str(error))
        except (OSError, TimeoutError):
            pass  # silence is judged by the clock
        finally:
            writer.close()

    # -- the others

    async def follow(self, stop: asyncio.Event) -> None:
        """A worker, until `stop`."""
        notify(READY=1)
        while not await self.look_at_engine() and not stop.is_set():
            await wait(stop, EVERY)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.watch_engine(stop))
            while not stop.is_set():
                await self._follow(stop)

    async def _follow(self, stop: asyncio.Event) -> None:
        why = ""
        try:
            async with asyncio.timeout(ANSWER):
                reader, writer = await asyncio.open_connection(
                    addresses.checked(self.cluster.head_address), self.port, limit=LINE_MOST
                )
            try:
                await self._speak(reader, writer, stop)
                why = "the head has closed the connection"
            finally:
                writer.close()
        except (OSError, TimeoutError, ValueError, LookupError, TypeError) as error:
            why = " ".join(str(error).split()) or "no answer"
        self._unheard(why)
        await wait(stop, EVERY)

    async def _speak(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, stop: asyncio.Event) -> None:
        while not stop.is_set():
            writer.write(json.dumps(self.word()).encode() + b"\n")
            async with asyncio.timeout(ANSWER):
                await writer.drain()
                line = await reader.readline()
            if not line:
                return
            told = json.loads(line)
            epoch = int(told["epoch"])
            document = {name: told[name] for name in ("state", "reason", "expected", "alive")}
            if document["state"] not in ("ok", "missing"):
                raise ValueError(f"the head says {str(document['state'])[:40]!r}")
            self._heard = (time.monotonic(), document)
            if epoch != self.epoch:
                self.enter(epoch, str(document["reason"]) or "the replica broke")
            self.write(document)
            await wait(stop, EVERY)

    def _unheard(self, why: str) -> None:
        """A pause of the head's program is no loss of the head."""
        if self._heard and time.monotonic() - self._heard[0] <= SILENT:
            self.write(self._heard[1])
            return
        reason = f"no word from the head {self.cluster.head_address} ({why})"
        self.write({"state": "missing", "reason": reason, "expected": self.cluster.nodes, "alive": 1})


def member(told: Any, address: str, now: float) -> Member:
    """A word as it came. Raises ValueError, LookupError or TypeError for one that is none."""
    deadline = told["deadline"]
    if deadline is not None and not (isinstance(deadline, int | float) and math.isfinite(deadline)):
        raise ValueError("deadline is no time")
    engine, leaving = told["engine"], told["leaving"]
    if not isinstance(engine, str) or not isinstance(leaving, str):
        raise ValueError("engine and leaving are texts")
    return Member(int(told["rank"]), now, int(told["epoch"]), engine[:64], address, leaving[:20], deadline)


async def invocation(unit: str) -> str:
    """Which start of the unit runs; empty while none does. Raises units.Refused.

    https://www.freedesktop.org/software/systemd/man/latest/systemd.exec.html#%24INVOCATION_ID
    """
    output = await units.ask("show", unit, "--property=ActiveState,InvocationID")
    found = dict(line.split("=", 1) for line in output.splitlines() if "=" in line)
    return found.get("InvocationID", "") if found.get("ActiveState") == "active" else ""


async def heard(reader: asyncio.StreamReader) -> bytes:
    """The next line, empty at the end. Raises TimeoutError when nothing is said."""
    async with asyncio.timeout(SILENT):
        return await reader.readline()


async def wait(stop: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stop.wait()


async def run(cluster: Cluster, journal: Journal, port: int) -> None:
    """Until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    peers = Peers(cluster, journal, port)
    await (peers.serve(stop) if cluster.role == "head" else peers.follow(stop))


def main() -> int:
    parser = argparse.ArgumentParser(prog="peers", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--port", type=int, default=int(os.environ.get("SPILLWAY_PEERS_PORT") or PORT))
    port = parser.parse_args().port
    journal = Journal("peers")
    try:
        config = settings.load()
        if config.cluster is None:
            raise Refused("cluster: this node is a replica by itself")
        asyncio.run(run(config.cluster, journal, port))
    except (Refused, settings.ConfigFault) as fault:
        journal.tell("does not start", "error", detail=str(fault))
        return 1
    except OSError as error:
        journal.tell("does not start", "error", detail=f"port {port}: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
