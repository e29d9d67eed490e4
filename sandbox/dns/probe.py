"""One probe of an endpoint, and the log of what the probes and checks saw."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from sandbox.dns.health import Behaviour

TCP_TRIPS = 1
TLS_TRIPS = 3
"""A TCP handshake, then the two round trips of TLS 1.2 (https://www.rfc-editor.org/rfc/rfc5246#section-7.3), the newest
that Route 53's checkers speak (https://docs.aws.amazon.com/Route53/latest/APIReference/API_HealthCheckConfig.html)."""
HTTP_TRIPS = 1


class Result(NamedTuple):
    """ok: passed. seconds: how long it took to know. saw: in a word."""

    ok: bool
    seconds: float
    saw: str


@dataclass(frozen=True, slots=True)
class Limits:
    """What a checker allows, in seconds.

    connect: for the connection to stand. response: from then on for the answer's status.
    """

    connect: float
    response: float


def probe(behaviour: Behaviour, limits: Limits, trip: float, *, tls: bool, http: bool) -> Result:
    """What a probe of an endpoint that behaves so sees; `trip` is the round trip in seconds.

    The endpoint behaves for the whole probe as it does at its start. A TCP probe is content with a connection.
    """
    connected = trip * TCP_TRIPS
    if behaviour == "refused":
        return Result(False, trip, "connection refused")
    if behaviour == "blackhole" or connected > limits.connect:
        return Result(False, limits.connect, f"no connection within {limits.connect:g} s")
    if not http:
        return Result(True, connected, "connected")
    asked = trip * (HTTP_TRIPS + (TLS_TRIPS - TCP_TRIPS if tls else 0))
    if behaviour == "slow" or asked > limits.response:
        return Result(False, connected + limits.response, f"no answer within {limits.response:g} s")
    if behaviour == "error":
        return Result(False, connected + asked, "answered 503")
    return Result(True, connected + asked, "answered 200")


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened. at: seconds on the clock. what: probes | check | answer | client | weather."""

    at: float
    what: str
    subject: str
    text: str


@dataclass(slots=True)
class Log:
    """Events in order, and who wants to hear of them."""

    events: list[Event] = field(default_factory=list)
    listeners: list[Callable[[Event], None]] = field(default_factory=list)

    def add(self, at: float, what: str, subject: str, text: str) -> None:
        event = Event(at, what, subject, text)
        self.events.append(event)
        for listener in self.listeners:
            listener(event)


class Streak:
    """Consecutive results of one prober, and its opinion, which changes only after enough of the other kind.

    opinion: True, False, or None while nothing is known. down, up: how many results in a row change it.
    """

    __slots__ = ("_run", "down", "opinion", "up")

    def __init__(self, down: int, up: int, opinion: bool | None) -> None:
        self.down, self.up, self.opinion = max(1, down), max(1, up), opinion
        self._run = 0  # > 0: so many passes in a row; < 0: so many failures

    def add(self, ok: bool) -> bool:
        """Counts a result; whether the opinion changed."""
        if ok:
            self._run = self._run + 1 if self._run > 0 else 1
            if self.opinion is not True and self._run >= self.up:
                self.opinion = True
                return True
        else:
            self._run = self._run - 1 if self._run < 0 else -1
            if self.opinion is not False and -self._run >= self.down:
                self.opinion = False
                return True
        return False
