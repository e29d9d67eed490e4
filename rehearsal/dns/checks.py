"""Health checks of one member over time: single checkers that probe, count and vote, as infra.dns has their figures.

infra/dns/checkers.py computes how long checks take for a member that fails once and for good; here the same checkers
(its quorums, probe times and intervals) are played on a clock, so that members may also fail in part, for a moment, or
again and again. A checker is asleep while nothing can change its mind; its rhythm goes on meanwhile.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from infra.dns.checkers import CheckSettings, Failure, Places, detector, places, probe_seconds
from rehearsal.regions.clock import Clock, Order

ONE_SUCCESS: Final = 1
"""https://learn.microsoft.com/azure/traffic-manager/traffic-manager-monitoring: Online again after one success."""


def up_threshold(settings: CheckSettings) -> int:
    """Successes in a row after which a checker calls an address healthy again.

    Route 53 counts alike in both directions
    (https://docs.aws.amazon.com/Route53/latest/APIReference/API_HealthCheckConfig.html, FailureThreshold), and so do
    the monitors that infra/dns/cloudflare.py makes (consecutive_up).
    """
    return ONE_SUCCESS if settings.provider == "traffic-manager" else settings.threshold


def gap(settings: CheckSettings, seconds: float) -> float:
    """From the start of a probe that takes so many seconds to the start of the checker's next one.

    Route 53 waits for the whole interval after the answer, or after giving up (RequestInterval in
    https://docs.aws.amazon.com/Route53/latest/APIReference/API_HealthCheckConfig.html); the others start by the clock,
    and no probe before the one before it has ended.
    """
    interval = float(settings.interval_seconds)
    return seconds + interval if settings.provider == "route53" else max(interval, seconds)


class Vote:
    """Who says what, and what the provider makes of it. quorums: from the inside out, as `infra.dns.checkers.places`
    has them; an address is down when enough of the outermost are."""

    def __init__(self, quorums: Places) -> None:
        self.quorums = quorums
        self.voters = math.prod(quorum.of for quorum in quorums)
        sizes, groups = [], self.voters
        for quorum in quorums:
            groups //= quorum.of
            sizes.append(groups)
        self._against = [[0] * size for size in sizes]

    def clear(self, down: bool) -> None:
        """All say the same."""
        for quorum, counts in zip(self.quorums, self._against, strict=True):
            counts[:] = [quorum.of if down else 0] * len(counts)

    def tell(self, voter: int, down: bool) -> bool:
        """One voter changes its mind; whether the outcome changes with it."""
        for quorum, counts in zip(self.quorums, self._against, strict=True):
            voter //= quorum.of
            before = counts[voter] >= quorum.needed
            counts[voter] += 1 if down else -1
            if (counts[voter] >= quorum.needed) == before:
                return False
        return True

    @property
    def down(self) -> bool:
        return self._against[-1][0] >= self.quorums[-1].needed


@dataclass(slots=True)
class Checker:
    """start: of its next probe. count: results in a row against its opinion. asleep: no event stands for its next
    probe, which is then any `start` + n x `rhythm`."""

    start: float
    rhythm: float
    healthy: bool = True
    count: int = 0
    asleep: bool = True


class AddressCheck:
    """The checkers of one address. changed: called when the provider's verdict on it changes."""

    def __init__(
        self, clock: Clock, settings: CheckSettings, chance: random.Random, changed: Callable[[], None]
    ) -> None:
        self.clock, self.settings, self.changed = clock, settings, changed
        self.answering = 1.0
        self.silent = False
        self._draw = chance.random
        self._up, self._down = up_threshold(settings), settings.threshold
        self._vote = Vote(places(settings))
        # How checkers of a well address are spread over their rhythm is the budget's figure as well.
        rhythm = detector(settings, "error").spread
        self.checkers = [Checker(clock.now + chance.random() * rhythm, rhythm) for _ in range(self._vote.voters)]
        self._probes = [partial(self._probe, number, checker) for number, checker in enumerate(self.checkers)]
        self._well = self._ill = self._timed("error")

    def _timed(self, failure: Failure) -> tuple[float, float]:
        """Seconds that a probe which fails so takes, and from its start to the next one's. An error is an answer."""
        seconds = probe_seconds(self.settings, failure)
        return seconds, gap(self.settings, seconds)

    @property
    def healthy(self) -> bool:
        """The provider's verdict."""
        return not self._vote.down

    def settle(self, healthy: bool) -> None:
        """As if it had been so for long. Only before anything has happened."""
        for checker in self.checkers:
            checker.healthy, checker.count = healthy, 0
        self._vote.clear(down=not healthy)

    def show(self, answering: float, failure: Failure, silent: bool) -> None:
        """From now on a probe is answered with this probability, or fails in this way. silent: no checker reports."""
        self.answering, self.silent = answering, silent
        self._ill = self._timed(failure)
        now = self.clock.now
        for number, checker in enumerate(self.checkers):
            if not checker.asleep or self._content(checker):
                continue
            if checker.start < now:
                checker.start += math.ceil((now - checker.start) / checker.rhythm) * checker.rhythm
            checker.asleep = False
            self.clock.at(checker.start, Order.DNS, self._probes[number])

    def _content(self, checker: Checker) -> bool:
        """Whether no probe can change anything."""
        if self.silent:
            return True
        return checker.count == 0 and self.answering == (1.0 if checker.healthy else 0.0)

    def _probe(self, number: int, checker: Checker) -> None:
        ok = self.answering >= 1.0 or (self.answering > 0.0 and self._draw() < self.answering)
        seconds, checker.rhythm = self._well if ok else self._ill
        if not self.silent:
            checker.count = 0 if ok == checker.healthy else checker.count + 1
            if checker.count and checker.count >= (self._up if ok else self._down):
                checker.healthy, checker.count = ok, 0
                self.clock.at(checker.start + seconds, Order.DNS, partial(self._report, number, ok))
        checker.start += checker.rhythm
        if self._content(checker):
            checker.asleep = True
        else:
            self.clock.at(checker.start, Order.DNS, self._probes[number])

    def _report(self, number: int, healthy: bool) -> None:
        if self._vote.tell(number, down=not healthy):
            self.changed()


class MemberCheck:
    """A member's addresses, each probed by itself."""

    def __init__(
        self, clock: Clock, settings: CheckSettings, addresses: int, seed: str, changed: Callable[[], None]
    ) -> None:
        one = replace(settings, addresses=1)
        self.addresses = [
            AddressCheck(clock, one, random.Random(f"{seed}/{number}"), changed) for number in range(addresses)
        ]

    @property
    def healthy(self) -> float:
        """Share of the addresses that the provider takes for healthy."""
        return sum(one.healthy for one in self.addresses) / len(self.addresses)

    def settle(self, healthy: bool) -> None:
        for one in self.addresses:
            one.settle(healthy)

    def show(self, answering: float, failure: Failure, silent: bool) -> None:
        for one in self.addresses:
            one.show(answering, failure, silent)
