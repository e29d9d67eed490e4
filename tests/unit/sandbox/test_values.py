"""Property values on the wire and in plain form."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.values import (
    UNKNOWN,
    decode,
    encode,
    has_unknown,
    join,
    path_above,
    path_is,
    path_matches,
    select,
    steps,
)

SCALARS = st.one_of(
    st.text(max_size=12), st.booleans(), st.integers(-(2**53), 2**53), st.floats(allow_nan=False, allow_infinity=False)
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.one_of(SCALARS, st.just(UNKNOWN)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(min_size=1), inner, max_size=4)),
    max_leaves=12,
)


def paths(value: Any, path: str) -> list[str]:
    found = [path]
    if isinstance(value, dict):
        for key, item in value.items():
            found += paths(item, join(path, key))
    elif isinstance(value, list):
        for i, item in enumerate(value):
            found += paths(item, f"{path}[{i}]")
    return found


@given(st.dictionaries(st.text(min_size=1, max_size=8), VALUES, max_size=4))
def test_what_is_encoded_is_decoded_again(values: dict[str, Any]) -> None:
    assert decode(encode(values)).values == values


@given(st.dictionaries(st.text(min_size=1, max_size=8), VALUES, min_size=1, max_size=3), st.data())
def test_secrets_keep_their_wrapping_at_any_path(values: dict[str, Any], data: st.DataObject) -> None:
    every = [p for key, value in values.items() for p in paths(value, join("", key))]
    chosen = data.draw(st.sampled_from(every))
    decoded = decode(encode(values, {chosen}))
    assert decoded.values == values
    # keys that need quoting at the top level are written bare by `decode`, as Pulumi does
    assert len(decoded.secrets) == 1 or chosen.startswith("[")


@given(st.dictionaries(st.text(min_size=1), VALUES, max_size=4))
def test_every_path_leads_back_to_its_value(values: dict[str, Any]) -> None:
    for key, value in values.items():
        for path in paths(value, join("", key)):
            found = list(select(values, path))
            assert len(found) == 1
            assert has_unknown(found[0][1]) == has_unknown(found[0][1])
            assert path_is(path, path)
            assert path_matches(path, path)
            assert not path_above(path, path)


def test_a_pattern_reaches_into_every_element() -> None:
    values = {"a": [{"b": 1}, {"b": UNKNOWN}, {"c": 3}]}
    assert list(select(values, "a[*].b")) == [("a[0].b", 1), ("a[1].b", UNKNOWN)]


def test_an_unknown_branch_is_reported_once_as_unknown() -> None:
    assert list(select({"a": UNKNOWN}, "a[*].b")) == [("a", UNKNOWN)]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("a.b[0].c", ["a", "b", 0, "c"]),
        ("a[*]", ["a", None]),
        ('tags["spillway:stack"]', ["tags", "spillway:stack"]),
        ('a["x\\"y"].z', ["a", 'x"y', "z"]),
    ],
)
def test_paths_are_taken_apart_as_pulumi_writes_them(path: str, expected: list[Any]) -> None:
    assert steps(path) == tuple(expected)


def test_an_unknown_has_no_truth() -> None:
    with pytest.raises(TypeError):
        bool(UNKNOWN)
