"""Forms of texts in stack files: each pattern is told in one way."""

from __future__ import annotations

import pytest

from infra.sections import WORDS, text


def test_a_pattern_has_one_meaning_in_words() -> None:
    pattern, words = r"^[0-9]{12}$", "a 12-digit AWS account id in quotes"
    text(pattern, words)
    with pytest.raises(ValueError, match="means 'a 12-digit AWS account id in quotes' already, not 'twelve digits'"):
        text(pattern, "twelve digits")
    assert WORDS[pattern] == words
