"""A closed loop: so many requests in flight, each followed by the next as soon as it ends.

Load is held over the whole measurement. It begins when every worker has warmed up, takes the next `requests` requests,
and ends with the last of them, while other requests keep the engine as busy as before; those are then cancelled. So
neither the start of the batch nor its tail, when fewer and fewer are left, is in the figures.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from spillway.bench.figures import Run, Sample

LONGEST_PAUSE: Final = 5.0
"""Seconds after a failure: a refused connection takes no time, and a loop of them is no load."""


class Server(Protocol):
    """What is measured."""

    async def generate(self, prompt: str, tokens: int, into: Sample | None = None) -> Sample: ...


@dataclass(frozen=True, slots=True)
class Point:
    """What is asked. requests: to measure; warm: requests of each worker before."""

    isl: int
    osl: int
    concurrency: int
    requests: int
    warm: int = 1

    @property
    def patience(self) -> int:
        """Failures in a row after which nothing is to be expected."""
        return max(5, 2 * self.concurrency)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is; tokens per second over all so far, None before the measurement began."""

    done: int
    failed: int
    warming: bool
    tokens_per_second: float | None


class Loop:
    """One repetition of one point."""

    def __init__(self, server: Server, prompt: Callable[[], str], point: Point) -> None:
        self._server, self._prompt, self.point = server, prompt, point
        self._samples: list[Sample] = []
        self._measured: list[Sample] = []
        self._cold = point.concurrency
        self._begun: float | None = None
        self._cpu = 0.0
        self._before = 0
        self._open = 0
        self._in_a_row = 0
        self._gave_up: str | None = None
        self._over = asyncio.Event()

    def progress(self) -> Progress:
        """Right now."""
        ended = [sample for sample in self._measured if sample.ended is not None]
        speed = None
        if self._begun is not None:
            speed = (self._pieces() - self._before) / max(time.perf_counter() - self._begun, 1e-9)
        good = sum(sample.ok for sample in ended)
        return Progress(good, len(ended) - good, self._begun is None, speed)

    async def run(self, stop: asyncio.Event) -> Run:
        """Until all are measured, or `stop`: then what has ended until then."""
        workers = [asyncio.create_task(self._work()) for _ in range(self.point.concurrency)]
        over = [asyncio.create_task(self._over.wait()), asyncio.create_task(stop.wait())]
        try:
            await asyncio.wait([*over, *workers], return_when=asyncio.FIRST_COMPLETED)
            for worker in workers:
                if worker.done():
                    worker.result()  # a fault of this program, not of the endpoint
            ended, cpu = time.perf_counter(), time.process_time()
        finally:
            for task in (*over, *workers):
                task.cancel()
            await asyncio.gather(*over, *workers, return_exceptions=True)
        begun = self._begun if self._begun is not None else ended
        measured = [sample for sample in self._measured if sample.ended is not None and sample.ended <= ended]
        mine = {id(sample) for sample in measured}
        return Run(
            begun=begun,
            ended=ended,
            measured=measured,
            others=[sample for sample in self._samples if id(sample) not in mine],
            client_cpu=(cpu - self._cpu) / max(ended - begun, 1e-9) if self._begun is not None else 0.0,
            interrupted=not self._over.is_set(),
            gave_up=self._gave_up,
        )

    async def _work(self) -> None:
        pause = 0.1
        warm = self.point.warm
        while True:
            sample = Sample()
            self._samples.append(sample)
            counts = self._begun is not None and len(self._measured) < self.point.requests
            if counts:
                self._measured.append(sample)
                self._open += 1
            await self._server.generate(self._prompt(), self.point.osl, sample)
            self._in_a_row = 0 if sample.ok else self._in_a_row + 1
            if warm and not counts:
                warm -= 1
                if not warm:
                    self._warmed()
            if counts:
                self._open -= 1
                if not self._open and len(self._measured) >= self.point.requests:
                    self._over.set()
            if self._in_a_row >= self.point.patience:
                if self._begun is None:  # what failed before anything could be measured is what there is to tell
                    self._measured += [one for one in self._samples if one.fault]
                self._gave_up = f"{self._in_a_row} requests in a row failed: {sample.fault}"
                self._over.set()
            if sample.ok:
                pause = 0.1
            else:
                await asyncio.sleep(min(max(sample.retry_after or 0.0, pause), LONGEST_PAUSE))
                pause = min(pause * 2, LONGEST_PAUSE)

    def _warmed(self) -> None:
        self._cold -= 1
        if not self._cold:
            self._begun, self._cpu, self._before = time.perf_counter(), time.process_time(), self._pieces()

    def _pieces(self) -> int:
        return sum(len(sample.arrivals) for sample in self._samples)


async def watched(loop: Loop, stop: asyncio.Event, tell: Callable[[Progress], None], every: float = 0.25) -> Run:
    """Runs it, and tells how far it is."""

    async def telling() -> None:
        while True:
            tell(loop.progress())
            await asyncio.sleep(every)

    task = asyncio.create_task(telling())
    try:
        return await loop.run(stop)
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        tell(loop.progress())
