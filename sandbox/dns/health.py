"""How the endpoint at an address behaves at a moment: by the weather file, read live, or by a script."""

from __future__ import annotations

import fnmatch
from pathlib import Path
from typing import Literal, Protocol

from sandbox.cloud import WeatherFile
from sandbox.clouds import WEATHER
from sandbox.dns.holders import Holder, Holdings
from sandbox.store import CLOUDS, Store
from sandbox.weather import DownKind, Weather, WeatherError
from spillway.errors import SpillwayError

Behaviour = Literal["up", "refused", "blackhole", "error", "slow"]
"""up: connects and answers 200. refused: a reset at once. blackhole: no packet comes back. error: answers 503. slow:
connects, and answers later than any check waits."""


class Endpoints(Protocol):
    """What a probe asks."""

    def behaviour(self, address: str) -> Behaviour:
        """How the endpoint at an address behaves now."""
        ...

    def region(self, address: str) -> str | None:
        """The region that holds an address; None when nobody knows where it is."""
        ...


class Live:
    """The stand-in clouds as they are: addresses of the store, behaviour of the weather file, both read anew."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._weather = WeatherFile(directory / WEATHER)
        self._store = Store(directory)
        self._stamp: object = None
        self._held = Holdings()
        self._now: Weather | None = None
        self._faults: dict[str, str] = {}

    @property
    def fault(self) -> str | None:
        """What is wrong with the weather file or the store just now; what was read before stays until it is right."""
        return next(iter(self._faults.values()), None)

    def holdings(self) -> Holdings:
        """Who holds which address; read again when the store's file has changed."""
        stamp = store_stamp(self._directory)
        if stamp != self._stamp and stamp is not None:
            self._stamp = stamp
            try:
                with self._store.transaction(write=False) as tx:
                    self._held = Holdings.of(tx)
                self._faults.pop("store", None)
            except SpillwayError as error:  # somebody is replacing it; a probe has nobody to tell
                self._faults["store"] = error.lines[0]
        return self._held

    def behaviour(self, address: str) -> Behaviour:
        held = self.holdings()
        try:
            self._now = self._weather.now()
            self._faults.pop("weather", None)
        except WeatherError as error:  # somebody is writing it
            self._faults["weather"] = error.lines[0]
        if held.nobodys(address):
            return "blackhole"
        holder, weather = held.holders.get(address), self._now
        if weather is None:
            return "up"
        return weather.serving(address, holder.cloud if holder else None, holder.region if holder else None) or "up"

    def region(self, address: str) -> str | None:
        holder = self.holdings().holders.get(address)
        return holder.region if holder else None


def store_stamp(directory: Path) -> tuple[int, ...] | None:
    """Changes when somebody writes into the stand-in clouds; None while there are none."""
    stamps: list[int] = []
    for suffix in ("", "-wal"):
        try:
            stat = (directory / f"{CLOUDS}{suffix}").stat()
        except FileNotFoundError:
            continue
        stamps += (stat.st_mtime_ns, stat.st_size)
    return tuple(stamps) or None


class Scripted:
    """Endpoints that somebody switches: for rehearsals and tests.

    Without `held` every address is somebody's own and named by itself.
    """

    def __init__(self, held: Holdings | None = None) -> None:
        self._held = held or Holdings()
        self._down: dict[tuple[str, str, str], DownKind] = {}

    def strike(self, kind: DownKind, *, cloud: str = "*", region: str = "*", address: str = "*") -> None:
        """Take down what the patterns fit; what fits several is as the latest says."""
        self._down.pop((cloud, region, address), None)
        self._down[cloud, region, address] = kind

    def lift(self, *, cloud: str = "*", region: str = "*", address: str = "*") -> None:
        """Undo `strike` with the same patterns."""
        self._down.pop((cloud, region, address), None)

    def behaviour(self, address: str) -> Behaviour:
        if self._held.nobodys(address):
            return "blackhole"
        if not self._down:
            return "up"
        holder = self._held.holders.get(address, Holder("", ""))
        for (cloud, region, pattern), kind in reversed(self._down.items()):
            if (
                fnmatch.fnmatchcase(holder.cloud, cloud)
                and fnmatch.fnmatchcase(holder.region, region)
                and fnmatch.fnmatchcase(address, pattern)
            ):
                return kind
        return "up"

    def region(self, address: str) -> str | None:
        holder = self._held.holders.get(address)
        return holder.region if holder else None
