"""One node as a queue: how many requests it holds, how long they wait, whom it turns away.

A birth-death chain: Poisson arrivals, a batch of at most `concurrency` sequences whose common speed depends on how many
they are (`rates`), first come first served behind it, and 503 once `queue` wait. For this chain the stationary
distribution is exact: p(n) ~ lambda^n / (rates(1) ... rates(n)) (Kleinrock, Queueing Systems 1, 1975, section 3.1;
M/M/c/K where rates grow evenly). Below the batch's limit it holds for answers of any distribution of lengths, since
the batch shares the machine evenly (Kelly, Reversibility and Stochastic Networks, 1979, chapter 3).

A try that finds the batch full and n - concurrency others before it waits for n - concurrency + 1 departures, each of
rates(concurrency): an Erlang distribution; the wait of an admitted request is the mixture of them over n.

Between two loads the mean number in the node moves as `dL/dt = admitted - departures`, both being those of the
stationary chain that has the same mean: the pointwise stationary fluid flow approximation (Wang, Tipper, Banerjee,
INFOCOM 1996, doi:10.1109/INFCOM.1996.497901). tests/rehearsal/test_load_simulated.py holds it against a simulation of
single requests.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

WAITS: Final = 96
"""Times at which the distribution of waits is kept."""
_LIGHT: Final = 1e-6
"""Least load of the table, by the most that a node does."""
_HEAVY: Final = 1e4


@dataclass(frozen=True, slots=True, eq=False)
class Station:
    """Stationary figures of one node, a row for each load, by the mean number in it.

    most: requests in it at most, batch and queue. number: mean in it, rising. departures: answered per second. refused:
    share of tries turned away. waiting: mean in the queue. wait: mean seconds in it of who is admitted. median: its
    median. times: seconds; beyond: share of who is admitted that waits longer than each of them, by row.
    """

    concurrency: int
    queue: int
    capacity: float
    number: Sequence[float]
    departures: Sequence[float]
    refused: Sequence[float]
    waiting: Sequence[float]
    wait: Sequence[float]
    median: Sequence[float]
    times: Floats
    beyond: Floats
    loads: Floats
    cumulative: Floats
    """Of who is admitted, the share that finds at most so many waiting: by row and number."""
    last_rate: float

    @property
    def most(self) -> int:
        return self.concurrency + self.queue

    def row(self, number: float) -> tuple[int, float]:
        """The row below a mean number, and how far it is on the way to the next one."""
        index = bisect_right(self.number, number) - 1
        if index < 0:
            return 0, 0.0
        if index >= len(self.number) - 1:
            return len(self.number) - 2, 1.0
        low, high = self.number[index], self.number[index + 1]
        return index, (number - low) / (high - low)

    def at(self, column: Sequence[float], number: float) -> float:
        """A column's value at a mean number."""
        row, way = self.row(number)
        return column[row] + way * (column[row + 1] - column[row])

    def late(self, seconds: float) -> Floats:
        """Share of who is admitted that waits longer than this, by row."""
        if seconds < 0:
            return np.ones(len(self.number))
        at = _poisson_cdf(np.array([self.last_rate * seconds]), self.queue)[0]
        finds = np.diff(self.cumulative, axis=1, prepend=0.0)
        # Column 0: finds a place in the batch. Column k: waits for k departures, more than `seconds` with fewer then.
        late: Floats = finds[:, 1:] @ at[: self.queue]
        return late


@lru_cache(maxsize=64)
def station(rates: tuple[float, ...], queue: int) -> Station:
    """rates: requests per second that a batch of 1, 2, ... sequences answers. queue: places behind the batch."""
    concurrency, capacity = len(rates), max(rates)
    every = np.array([*rates, *([rates[-1]] * queue)])
    loads = capacity * _grid()
    numbers = np.arange(len(every) + 1)
    weights = np.log(loads)[:, None] * numbers - np.concatenate([[0.0], np.cumsum(np.log(every))])
    weights -= weights.max(axis=1, keepdims=True)
    chance = np.exp(weights)
    chance /= chance.sum(axis=1, keepdims=True)
    number = chance @ numbers
    # Very light and very heavy rows may differ by less than a float shows.
    keep = np.concatenate([[True], np.diff(number) > 1e-9 * (1 + number[1:])])
    loads, chance, number = loads[keep], chance[keep], number[keep]
    refused = chance[:, -1]
    waiting = chance[:, concurrency:] @ np.arange(queue + 1)
    finds = np.concatenate(
        [chance[:, :concurrency].sum(axis=1, keepdims=True), chance[:, concurrency : concurrency + queue]], axis=1
    )
    finds /= finds.sum(axis=1, keepdims=True)
    departures = np.concatenate([[0.0], every]) @ chance.T
    times = np.concatenate([[0.0], np.geomspace(0.01, 1.0, WAITS - 1)]) * (3 * (queue + 1) / rates[-1])
    shorter = _poisson_cdf(rates[-1] * times, queue)
    beyond = finds[:, 1:] @ shorter[:, :queue].T
    wait = finds[:, 1:] @ (np.arange(1, queue + 1) / rates[-1])
    median = [_quantile(times, row, 0.5) for row in beyond]
    # The empty node, below the least load.
    first = (np.concatenate([[0.0], column]).tolist() for column in (number, departures, refused, waiting, wait))
    number_, departures_, refused_, waiting_, wait_ = first
    zero = np.zeros((1, beyond.shape[1]))
    return Station(
        concurrency, queue, capacity, number_, departures_, refused_, waiting_, wait_, [0.0, *median], times,
        np.concatenate([zero, beyond]), np.concatenate([[0.0], loads]),
        np.concatenate([np.ones((1, queue + 1)), np.cumsum(finds, axis=1)]), rates[-1],
    )  # fmt: skip


def quantiles(times: Floats, beyond: Floats, shares: Sequence[float]) -> tuple[float, ...]:
    """Seconds that a share of the waits is not longer than. beyond: as in `Station`, of one distribution."""
    return tuple(_quantile(times, beyond, share) for share in shares)


def _quantile(times: Floats, beyond: Floats, share: float) -> float:
    left = 1 - share
    if beyond[0] <= left:
        return 0.0
    index = int(np.searchsorted(-beyond, -left))  # first time at which no more than `left` wait longer
    if index >= len(times):
        return float(times[-1])
    high, low = float(beyond[index - 1]), float(beyond[index])
    part = (high - left) / (high - low) if high > low else 1.0
    return float(times[index - 1] + part * (times[index] - times[index - 1]))


def _grid() -> Floats:
    """Loads by what a node does at most: dense around 1, where everything happens."""
    near = 1 + np.sinh(np.linspace(-4, 4, 161)) / math.sinh(4) * 0.9
    light = np.geomspace(_LIGHT, near[0], 40, endpoint=False)
    return np.concatenate([light, near, np.geomspace(near[-1], _HEAVY, 40)[1:]])


def _poisson_cdf(means: Floats, most: int) -> Floats:
    """P(N <= k) for k in 0 .. most, of Poisson variables of these means: a row for each."""
    k = np.arange(most + 1)
    factorials = np.array([math.lgamma(one + 1) for one in k])
    logs = np.log(np.maximum(means, 1e-300))[:, None]  # 0 times it is 0, and anything else of it nothing
    terms = np.exp(k * logs - means[:, None] - factorials)
    cdf: Floats = np.minimum(np.cumsum(terms, axis=1), 1.0)
    return cdf
