"""The keeper in the simulator, on small synthetic traces: what it saves, and what it does at a loss and at a notice."""

from __future__ import annotations

import random

from infra.keeper import Levers
from rehearsal.baselines import BASELINES
from rehearsal.keeping import Keeping
from rehearsal.model import Faults, Setting, Zone
from rehearsal.trace import Trace
from rehearsal.world import Played, play

DAY = 86_400.0
NAMES = ("us-east-1a", "us-east-2b", "us-west-1a", "us-west-2c")


def setting(target: int = 2, boot: float = 600.0) -> Setting:
    zones = tuple(
        Zone(name, name[:-1], "aws", ((0.0, price),), ((0.0, 3.0),))
        for name, price in zip(NAMES, (1.0, 1.1, 1.2, 2.5), strict=True)
    )
    return Setting(target, boot, 60.0, zones)


def trace(rows: list[list[int]], step: float = 600.0) -> Trace:
    times = tuple(index * step for index in range(len(rows[0])))
    counts = tuple(tuple(row) for row in rows)
    return Trace("synthetic", None, times, len(times) * step, NAMES, counts, step, (), "", True)


def markov(seed: int, days: int = 4) -> Trace:
    """Zones that come and go for themselves: 10 hours up, 3 hours down in the mean."""
    chance = random.Random(seed)
    rows = []
    for _ in NAMES:
        up, row = True, []
        for _ in range(int(days * DAY / 600)):
            up = chance.random() >= (600 / 36_000 if up else 1 - 600 / 10_800)
            row.append(4 if up else 0)
        rows.append(row)
    return trace(rows)


def share(played: Played, target: int) -> float:
    return played.cost() / (target * 3.0 * played.end / 3600)


def test_it_is_cheaper_than_every_published_policy_that_is_as_good_on_zones_that_come_and_go() -> None:
    task = setting()
    for seed in (1, 2):
        course = markov(seed)
        own = play(course, Keeping(task), task)
        for name, make in BASELINES.items():
            other = play(course, make(task, 1), task)
            if other.availability >= own.availability:
                assert share(own, 2) < share(other, 2), (seed, name)


def test_without_any_spot_it_holds_on_demand_and_nothing_is_missing() -> None:
    task = setting()
    own = play(trace([[0] * 288] * 4), Keeping(task), task)
    assert own.cost("spot") == 0
    assert own.availability > 0.998
    assert own.refused < 4 * 2 * 48 * 3


def test_an_ever_giving_zone_is_kept_and_the_cheap_one_at_that() -> None:
    task = setting(1)
    own = play(trace([[4] * 576] * 4), Keeping(task), task)
    assert own.availability == 1
    assert share(own, 1) < 0.75


def test_notice_is_used_unless_the_lever_is_off() -> None:
    rows = [[4] * 144 + [0] * 12 + [4] * 132 for _ in range(1)] + [[4] * 288] * 3
    task = setting(1, 120.0)
    faults = Faults(notice=120.0)
    with_notice = play(trace(rows), Keeping(task, notice=120.0), task, faults)
    without = play(trace(rows), Keeping(task, notice=120.0, levers=Levers(notice=False)), task, faults)
    assert with_notice.availability >= without.availability


def test_the_same_rehearsal_gives_the_same_bill() -> None:
    task = setting()
    course = markov(3, 2)
    first, second = play(course, Keeping(task), task), play(course, Keeping(task), task)
    assert first.cost() == second.cost()
    assert first.levels == second.levels
