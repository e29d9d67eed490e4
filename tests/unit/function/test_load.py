"""How the spot pool follows the load: the simple scaling policies of AWS as a rule."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.function.load import LoadRule, follow

RULE = LoadRule(20, 2, minutes=3, in_minutes=30, step=2, in_step=1, cooldown_seconds=300, least=2, most=6)


@pytest.mark.parametrize(
    ("samples", "size"),
    [
        ([20.0] * 3, 4),
        ([20.0] * 2, 2),
        ([99.0, 19.9, 99.0, 99.0], 2),
        ([99.0, None, 99.0, 99.0], 2),
        ([99.0] * 3 + [None] * 5, 4),
        ([99.0] * 3 + [None] * 6, 2),
        ([None] * 35, 2),
        ([], 2),
    ],
)
def test_nodes_are_added_when_every_minute_of_the_window_was_at_or_above_the_mark(
    samples: list[float | None], size: int
) -> None:
    assert follow(RULE, samples, 2, 100, None)[0] == size


def test_one_node_goes_after_half_an_hour_below_the_lower_mark() -> None:
    assert follow(RULE, [1.9] * 30, 5, 100, None) == (4, "load below 2 for 30 min: spot 5 -> 4")
    assert follow(RULE, [1.9] * 29, 5, 100, None)[0] == 5
    assert follow(RULE, [2.0] * 30, 5, 100, None)[0] == 5


@pytest.mark.parametrize(("busy", "size"), [(96, 2), (95, 4), (100, 2), (None, 4)])
def test_no_step_within_the_cooldown_that_begins_when_nothing_boots_any_more(busy: int | None, size: int) -> None:
    assert follow(RULE, [50.0] * 3, 2, 100, busy)[0] == size


def test_without_a_range_the_target_stays() -> None:
    still = LoadRule(20, 2, 3, 30, 2, 1, 300, least=2, most=2)
    assert follow(still, [99.0] * 40, 2, 100, None)[0] == 2


@given(
    st.lists(st.one_of(st.none(), st.floats(0, 200)), max_size=50),
    st.integers(0, 8),
    st.integers(0, 200),
    st.one_of(st.none(), st.integers(0, 200)),
)
def test_whatever_the_load_is_the_size_stays_within_its_bounds_and_moves_by_one_step(
    samples: list[float | None], wanted: int, minute: int, busy: int | None
) -> None:
    start = RULE.clamp(wanted)
    size, why = follow(RULE, samples, start, minute, busy)
    assert RULE.least <= size <= RULE.most
    assert -RULE.in_step <= size - start <= RULE.step
    assert why
