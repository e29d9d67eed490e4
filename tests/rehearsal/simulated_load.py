"""Requests one by one: what the fluid of rehearsal/load is held against. Slow and exact."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass
class Outcome:
    """Counts, and seconds that each admitted request waited."""

    arrived: int = 0
    failed: int = 0
    retried: int = 0
    waits: list[float] = field(default_factory=list)


def simulate(
    rates: Sequence[float], queue: int, nodes: int, phases: Sequence[tuple[float, float]], pauses: Sequence[float],
    refusing: int = 0, seed: int = 0,
) -> Outcome:  # fmt: skip
    """phases: (seconds, arrivals per second). Each try goes to any node alike, `refusing` of which never answer. A
    Markov chain: what happens next is drawn by the rates of everything that can."""
    chance, found = random.Random(seed), Outcome()
    batch, waiting = [0] * nodes, [deque[float]() for _ in range(nodes)]
    orbit = [0] * len(pauses)
    now, end = 0.0, 0.0

    def attempt(tries: int) -> None:
        node = chance.randrange(nodes + refusing)
        if node < nodes and batch[node] < len(rates):
            batch[node] += 1
            found.waits.append(0.0)
        elif node < nodes and len(waiting[node]) < queue:
            waiting[node].append(now)
        elif tries < len(pauses):
            orbit[tries] += 1
        else:
            found.failed += 1

    for seconds, arriving in phases:
        end += seconds
        while True:
            weights = [arriving, *(held / pause for held, pause in zip(orbit, pauses, strict=True))]
            weights += [rates[one - 1] if one else 0.0 for one in batch]
            now += chance.expovariate(sum(weights)) if sum(weights) else end
            if now >= end:
                now = end  # without memory: the rest of the pause is drawn anew
                break
            what = chance.choices(range(len(weights)), weights)[0]
            if what == 0:
                found.arrived += 1
                attempt(0)
            elif what <= len(pauses):
                orbit[what - 1] -= 1
                found.retried += 1
                attempt(what)
            else:
                node = what - 1 - len(pauses)
                if waiting[node]:
                    found.waits.append(now - waiting[node].popleft())
                else:
                    batch[node] -= 1
    found.failed += sum(orbit)
    found.waits += [now - since for line in waiting for since in line]
    return found
