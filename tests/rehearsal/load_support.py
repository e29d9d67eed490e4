"""One service, members of a few figures, and a clock."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from rehearsal.load import FLAT, Arrivals, LoadPlay, Retry, ServiceRate
from rehearsal.regions import Clock, Order, RegionLevel
from rehearsal.result import LoadResult

MONDAY = datetime(2026, 11, 2, tzinfo=UTC)


def rate(
    capacity: float = 2.0, batch: int = 8, queue: int = 20, half: float = 3.0, *, prefill: float = 0.0,
    ttft_limit: float | None = None,
) -> ServiceRate:  # fmt: skip
    """A batch of n answers more, the larger it is; `capacity` a second when it is full."""
    whole = batch / (batch + half)
    rates = tuple(capacity * n / (n + half) / whole for n in range(1, batch + 1))
    return ServiceRate(rates, queue, prefill, ttft_limit)


def steady(per_second: float) -> Arrivals:
    return Arrivals(per_second, MONDAY, FLAT, 1.0)


def nodes(receiving: int, refusing: int = 0) -> RegionLevel:
    return RegionLevel(0.0, 0, receiving, receiving, refusing)


@dataclass
class World:
    """Members' rates and levels, services' shares and arrivals; `at` changes one of them at a time."""

    rates: Mapping[str, ServiceRate | None]
    levels: dict[str, RegionLevel]
    shares: dict[str, dict[str, float]]
    arrivals: Mapping[str, Arrivals]
    limit: float = 5.0
    retry: Retry = field(default_factory=Retry)
    breaks: bool = False
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.load = LoadPlay(
            self.clock,
            self.arrivals,
            self.rates,
            where=lambda service: self.shares[service],
            nodes=lambda member: self.levels[member],
            limit_seconds=self.limit,
            retry=self.retry,
            breaks=lambda member: self.breaks,
        )

    def at(self, time: float, do: Callable[[], object]) -> None:
        def call() -> None:
            do()
            self.load.changed()

        self.clock.at(time, Order.SCENARIO, call)

    def level(self, time: float, member: str, receiving: int, refusing: int = 0) -> None:
        self.at(time, lambda: self.levels.update({member: nodes(receiving, refusing)}))

    def run(self, until: float) -> LoadResult:
        self.clock.run(until)
        return self.load.results()[0]


def alone(
    per_second: float, one: ServiceRate | None, count: int = 1, refusing: int = 0, pauses: Sequence[float] = (),
    limit: float = 5.0, breaks: bool = False,
) -> World:  # fmt: skip
    """One service and one member, which takes all of it."""
    retry = Retry(len(pauses) + 1, pauses[0] if pauses else 1.0, 2.0, 600.0)
    return World(
        {"a": one}, {"a": nodes(count, refusing)}, {"s": {"a": 1.0}}, {"s": steady(per_second)}, limit, retry, breaks
    )
