"""API keys: made, hashed, read and refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spillway.secrets import keys

HASH = "sha256:" + "0a" * 32


def test_a_new_key_is_long_random_and_known_by_its_prefix() -> None:
    made = {keys.new_key() for _ in range(100)}
    assert len(made) == 100
    assert all(key.startswith("sk-spillway-") and len(key) == 12 + 43 for key in made)


def test_the_hash_is_plain_sha256_of_the_key_as_it_is_sent() -> None:
    # printf %s sk-spillway-0123456789abcdefghij | sha256sum
    assert keys.hash_of("sk-spillway-0123456789abcdefghij").startswith("sha256:")
    import hashlib

    digest = hashlib.sha256(b"sk-spillway-0123456789abcdefghij").hexdigest()
    assert keys.hash_of("sk-spillway-0123456789abcdefghij") == f"sha256:{digest}"


@pytest.mark.parametrize("key", ["", "brief", "x" * 31, "x" * 513, "with space " + "x" * 40, "ключ" * 20])
def test_a_key_that_could_be_guessed_or_not_be_sent_is_refused(key: str) -> None:
    with pytest.raises(keys.NotKeys) as caught:
        keys.hash_of(key)
    assert not key or key not in str(caught.value)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ({}, "no JSON list"),
        (["sk-spillway-secret"], r"\[0\] is no object"),
        ([{"name": "a", "hash": "sk-spillway-secret"}], r"\[0\].hash has to be sha256:"),
        ([{"name": "a b", "hash": HASH}], r"\[0\].name has to be up to 64"),
        ([{"hash": HASH}], r"\[0\].name"),
        ([{"name": "a", "hash": HASH, "sk-spillway-secret": 1}], r"\[0\] has 1 unknown field"),
        ([{"name": "a", "hash": HASH, "limit": 0}], r"\[0\].limit"),
        ([{"name": "a", "hash": HASH, "limit": True}], r"\[0\].limit"),
        ([{"name": "a", "hash": HASH, "limit": 1.5}], r"\[0\].limit"),
        ([{"name": "a", "hash": HASH}, {"name": "a", "hash": HASH[:-1] + "b"}], r"\[1\].name is that of \[0\]"),
        ([{"name": "a", "hash": HASH}, {"name": "b", "hash": HASH}], r"\[1\].hash is that of \[0\]"),
    ],
)
def test_a_faulty_list_is_told_by_index_without_its_content(data: Any, why: str) -> None:
    with pytest.raises(keys.NotKeys, match=why) as caught:
        keys.parse(json.dumps(data))
    assert "sk-spillway" not in str(caught.value)


@given(st.text(max_size=200))
def test_any_text_is_a_list_or_told(text: str) -> None:
    try:
        keys.parse(text)
    except keys.NotKeys as error:
        told = str(error)
    else:
        told = ""
    assert "\n" not in told


entries = st.builds(
    lambda name, digest, limit: keys.ApiKey(name, f"sha256:{digest:064x}", limit),
    st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}", fullmatch=True),
    st.integers(0, 2**256 - 1),
    st.none() | st.integers(1, keys.LIMIT_MAX),
)


@given(st.lists(entries, max_size=8, unique_by=(lambda k: k.name, lambda k: k.hash)))
def test_what_is_written_is_read_back_and_preflight_takes_it(wanted: list[keys.ApiKey]) -> None:
    from spillway.preflight.secret_checks import _api_keys

    text = keys.text(wanted)
    assert list(keys.parse(text)) == wanted
    assert {row.state for row in _api_keys(text)} <= {"ok", "warning"}


def test_a_hash_does_not_show_in_a_repr() -> None:
    assert HASH not in repr(keys.ApiKey("a", HASH))
