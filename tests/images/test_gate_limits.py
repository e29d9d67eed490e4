"""Hysteresis, guard and circuit breaker, by what has to hold for every sequence of loads and failures."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from images.programs.gating.breaker import Breaker
from images.programs.gating.limits import Guard, Hysteresis, jitter

GAPS = st.floats(0, 20, allow_nan=False)
LOADS = st.lists(st.tuples(GAPS, st.none() | st.floats(0, 200, allow_nan=False)), max_size=80)


@settings(deadline=None)
@given(LOADS, st.floats(0, 10), st.floats(0, 10))
def test_a_limit_is_passed_only_by_a_load_that_stayed_over_it(
    steps: list[tuple[float, float | None]], rise: float, fall: float
) -> None:
    limit = Hysteresis(100, 70, rise, fall)
    now, seen = 0.0, []
    for gap, value in steps:
        now += gap
        before = limit.active
        after = limit.update(value, now)
        seen.append((now, value))
        if after == before:
            continue
        # Back from now: the change was called for at least so long ago, and nothing has spoken against it since.
        start, held = now, False
        for when, load in reversed(seen):
            high, low = load is not None and load >= 100, load is None or load < 70
            if low if after else high:
                break
            if high if after else low:
                start, held = when, True
        assert held
        assert now - start >= (rise if after else fall)


@settings(deadline=None)
@given(LOADS)
def test_a_load_between_the_limits_changes_nothing_that_was_settled(steps: list[tuple[float, float | None]]) -> None:
    limit = Hysteresis(100, 70, 0, 0)
    now = 0.0
    for gap, value in steps:
        now += gap
        before = limit.active
        limit.update(value, now)
        if value is not None and 70 <= value < 100:
            assert limit.active == before
        else:
            assert limit.active == (value is not None and value >= 100)


def test_a_queue_that_admission_holds_just_under_the_limit_is_over_it() -> None:
    limit = Hysteresis(100, 70, 5, 5)
    found = [limit.update(100 if second % 3 == 0 else 92, second) for second in range(10)]
    assert found == [False] * 5 + [True] * 5


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(0.01, 30), st.booleans()), max_size=200), st.floats(10, 120), st.floats(10, 60))
def test_a_load_makes_a_node_unready_for_a_bounded_time_and_then_it_stays_ready(
    steps: list[tuple[float, bool]], longest: float, rest: float
) -> None:
    guard = Guard(longest, rest)
    now = 0.0
    since: float | None = None
    forced: float | None = None
    for gap, loaded in steps:
        now += gap
        unready = guard.allows(loaded, now)
        if unready:
            assert loaded
            since = now if since is None else since
            assert now - since < longest
            assert forced is None or now - forced >= rest
        elif since is not None:
            forced, since = (now if loaded else forced), None


@settings(deadline=None)
@given(st.text(), st.text())
def test_jitter_is_the_nodes_own_and_within_a_tenth(identity: str, what: str) -> None:
    found = jitter(identity, what)
    assert 0.9 <= found <= 1.1
    assert found == jitter(identity, what)


def test_siblings_do_not_reach_their_limits_together() -> None:
    limits = [100 * jitter(f"i-{number:017x}", "overloaded") for number in range(200)]
    assert len(set(limits)) == 200
    assert min(limits) < 92
    assert max(limits) > 108
    assert 98 < sum(limits) / 200 < 102


EVENTS = st.lists(st.tuples(st.floats(0, 40), st.sampled_from(["fail", "succeed", "well", "badly"])), max_size=120)


@settings(deadline=None)
@given(EVENTS)
def test_only_three_failures_in_a_row_open_the_circuit_and_only_a_probe_closes_it(
    events: list[tuple[float, str]],
) -> None:
    breaker = Breaker()
    now, row = 0.0, 0
    opened_at = 0.0
    for gap, event in events:
        now += gap
        before = breaker.state
        if event == "fail":
            breaker.failure("500", now)
        elif event == "succeed":
            breaker.success()
        elif breaker.may_probe(now):
            assert before == "open"
            assert now - opened_at >= breaker.first  # never hammered
            assert not breaker.may_probe(now)  # one at a time
            breaker.probed(None if event == "well" else "no token", now)
            assert breaker.state == ("closed" if event == "well" else "open")
            opened_at, row = now, 0
            continue
        if before == "closed":
            row = row + 1 if event == "fail" else 0 if event == "succeed" else row
            assert breaker.state == ("open" if row >= 3 else "closed")
            if breaker.state == "open":
                opened_at, row = now, 0
        else:
            assert breaker.state == before


def test_pauses_double_up_to_half_a_minute_and_begin_short_again_after_a_quiet_minute() -> None:
    breaker = Breaker()
    breaker.failure("500", 0.0, 3)
    now, pauses = 0.0, []
    for _ in range(7):
        began = now
        while not breaker.may_probe(now):
            now += 0.5
        pauses.append(now - began)
        breaker.probed("still no token", now)
    assert pauses == [1, 2, 4, 8, 16, 30, 30]
    while not breaker.may_probe(now):
        now += 0.5
    breaker.probed(None, now)
    breaker.failure("500", now + 5, 3)
    assert not breaker.may_probe(now + 5 + 29)  # soon after: it was not well yet
    assert breaker.may_probe(now + 5 + 30)
    breaker.probed(None, now + 35)
    breaker.failure("500", now + 35 + 60, 3)
    assert breaker.may_probe(now + 35 + 61)
