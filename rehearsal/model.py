"""The words of a rehearsal: what a zone is, what a policy sees, and what it may order. No clock, no randomness."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from infra.keeper_words import HOUR as HOUR
from infra.keeper_words import Error as Error
from infra.keeper_words import Held as Held
from infra.keeper_words import Market as Market

Cause = Literal["lost", "ended", "horizon"]


@dataclass(frozen=True, slots=True)
class Zone:
    """name: as the trace calls it. region, cloud: what fails together, and whose prices and notice hold.

    spot, on_demand: USD per instance-hour, from each second since the start on; the first at 0.
    """

    name: str
    region: str
    cloud: str
    spot: tuple[tuple[float, float], ...]
    on_demand: tuple[tuple[float, float], ...]


@dataclass(slots=True)
class Instance:
    """One instance, seconds since the start. ready: when it serves, if it lives.

    noticed: when the cloud said it takes it. ended: when its bill ends; None while it lives.
    """

    id: int
    zone: str
    market: Market
    launched: float
    ready: float
    noticed: float | None = None
    ended: float | None = None
    cause: Cause | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a launch. given: launched of those asked for; error: why the rest was not."""

    at: float
    zone: str
    market: Market
    asked: int
    given: int
    error: Error | None = None


@dataclass(frozen=True, slots=True)
class Loss:
    """An instance that the cloud takes. notice: it has not ended yet. age: seconds since its launch."""

    at: float
    id: int
    zone: str
    age: float
    notice: bool


@dataclass(frozen=True, slots=True)
class View:
    """All that a policy may know at a time: its own, what happened to it since it was asked last, and prices of now."""

    now: float
    target: int
    instances: tuple[Held, ...]
    """Those that live and have no notice, in the order of their ids."""
    outcomes: tuple[Outcome, ...]
    losses: tuple[Loss, ...]
    spot: Mapping[str, float]
    on_demand: Mapping[str, float]
    """USD per instance-hour by zone."""


@dataclass(frozen=True, slots=True)
class Launch:
    zone: str
    market: Market
    count: int
    why: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """end: ids of instances that are given up, before anything is launched.

    wake: when to be asked even if nothing happens; None: only when something does. It takes the place of what earlier
    decisions wished.
    """

    launch: Sequence[Launch] = ()
    end: Sequence[tuple[int, str]] = ()
    """Id and reason."""
    wake: float | None = None


class Policy(Protocol):
    """Decides where to hold instances. Asked on a grid of `tick` seconds, at most once each, when there is news."""

    def decide(self, view: View) -> Decision: ...


@dataclass(frozen=True, slots=True)
class Setting:
    """What a policy is told of its task. boot: seconds from launch to serving. tick: seconds between two looks."""

    target: int
    boot: float
    tick: float
    zones: tuple[Zone, ...]

    def __post_init__(self) -> None:
        if self.target < 1 or self.boot < 0 or self.tick <= 0 or not self.zones:
            raise ValueError("a target of 1 or more, a boot of 0 s or more, a tick above 0 s and a zone are needed")


@dataclass(frozen=True, slots=True)
class Faults:
    """What goes wrong besides the trace. notice: seconds between a loss's notice and its end.

    fail_seconds: until a launch without capacity is known to have failed. on_demand_fails: share of on-demand launches
    that are refused (seeded).
    """

    notice: float = 0.0
    fail_seconds: float = 0.0
    on_demand_fails: float = 0.0
    seed: int = 0


@dataclass(slots=True)
class Entry:
    """A line of the log: what was decided or happened, and why."""

    at: float
    what: str
    why: str = field(default="")
