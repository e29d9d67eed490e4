"""Differences of inputs, path by path."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sandbox.differ import changes, replacing
from sandbox.values import UNKNOWN

LEAVES = st.one_of(st.text(max_size=5), st.booleans(), st.integers(-9, 9))
TREES: st.SearchStrategy[Any] = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text("abc", min_size=1, max_size=2), inner, max_size=3)
    ),
    max_leaves=10,
)
MAPS = st.dictionaries(st.text("abc", min_size=1, max_size=2), TREES, max_size=4)


@given(MAPS)
def test_equal_inputs_have_no_difference(values: dict[str, Any]) -> None:
    assert changes(values, values) == {}


@given(MAPS, MAPS)
def test_different_inputs_have_a_difference(old: dict[str, Any], new: dict[str, Any]) -> None:
    same = old == new and repr(old) == repr(new)  # True == 1 in Python, not in a cloud
    if not same and old != new:
        assert changes(old, new)


@given(MAPS, MAPS)
def test_going_back_swaps_added_and_deleted(old: dict[str, Any], new: dict[str, Any]) -> None:
    swap = {"add": "delete", "delete": "add", "update": "update"}
    assert {p: swap[c] for p, c in changes(old, new).items()} == changes(new, old)


@given(st.lists(LEAVES, max_size=6), st.randoms(use_true_random=False))
def test_the_order_of_a_set_means_nothing(items: list[Any], random: Any) -> None:
    shuffled = list(items)
    random.shuffle(shuffled)
    assert changes({"s": items}, {"s": shuffled}, sets=["s"]) == {}


def test_a_new_member_of_a_set_is_the_only_difference() -> None:
    assert changes({"s": ["a", "b"]}, {"s": ["c", "b", "a"]}, sets=["s"]) == {"s[2]": "add"}


def test_documents_are_compared_by_meaning() -> None:
    old, new = '{"a": 1, "b": [2]}', '{"b":[2],"a":1}'
    assert changes({"policy": old}, {"policy": new}, documents=["policy"]) == {}
    assert changes({"policy": old}, {"policy": '{"a": 2}'}, documents=["policy"]) == {"policy": "update"}


def test_an_unknown_differs_from_everything() -> None:
    assert changes({"a": "x", "b": 1}, {"a": UNKNOWN, "b": 1}) == {"a": "update"}
    assert changes({}, {"a": UNKNOWN}) == {"a": "add"}


def test_a_true_is_not_a_one() -> None:
    assert changes({"a": 1}, {"a": True}) == {"a": "update"}


def test_a_change_below_or_above_a_pattern_replaces() -> None:
    found = changes({"a": [{"b": 1, "c": 1}]}, {"a": [{"b": 2, "c": 2}], "d": {"e": 1}})
    assert replacing(found, ["a[*].b"]) == ["a[0].b"]
    assert replacing(found, ["d.e"]) == ["d"]
    assert replacing(found, ["x"]) == []
