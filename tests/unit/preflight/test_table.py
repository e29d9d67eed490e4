"""A table fits its width and is folded where a reader would fold it."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from spillway.preflight.table import NARROWEST, fold, rendered


@pytest.mark.parametrize(
    ("text", "width", "lines"),
    [
        ("200 at /readyz", 9, ["200 at", "/readyz"]),
        ("s3://bucket/models/name/manifest.json", 20, ["s3://bucket/models/", "name/manifest.json"]),
        ("us-east-1a,us-east-1b", 12, ["us-east-1a,", "us-east-1b"]),
        ("one two  three", 8, ["one two", "three"]),
        ("models/a-long-name-of-a-model/rev", 12, ["models/a-", "long-name-", "of-a-model/", "rev"]),
        ("abcdefghij", 4, ["abcd", "efgh", "ij"]),
        ("", 4, [""]),
    ],
)
def test_texts_are_folded_between_words_then_at_joints_and_inside_names_last(
    text: str, width: int, lines: list[str]
) -> None:
    assert fold(text, width) == lines


@given(st.text(max_size=80), st.integers(2, 30))
def test_a_folded_text_is_the_same_text_in_lines_that_fit(text: str, width: int) -> None:
    lines = fold(text, width)
    assert re.sub(r"\s", "", "".join(lines)) == re.sub(r"\s", "", text)
    assert all(cell_len(line) <= width for line in lines)


CELLS = st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=70)


@settings(max_examples=30)
@given(st.lists(st.tuples(st.sampled_from(["ok", "failure"]), CELLS, CELLS, CELLS), min_size=1, max_size=6),
       st.integers(NARROWEST, 130))  # fmt: skip
def test_a_table_fits_its_width_whatever_is_in_it(rows: list[tuple[str, str, str, str]], width: int) -> None:
    lines = rendered([("state", "check", "found", "needed"), *rows], width)
    assert all(len(line) <= width and line == line.rstrip() for line in lines)
    held = re.sub(r"\s", "", "".join(lines))
    assert sorted(held) == sorted(re.sub(r"\s", "", "statecheckfoundneeded" + "".join(map("".join, rows))))


def test_what_fits_is_not_folded() -> None:
    assert rendered([("state", "check"), ("ok", "an account of some length")], 40) == [
        "state  check",
        "ok     an account of some length",
    ]
