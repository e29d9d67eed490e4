"""Domain names in the spelling of Route 53 and its provider."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.aws.route53_names import as_stored, expanded, is_hostname, is_within, name_fault, normalized

LABEL = st.from_regex(r"[a-zA-Z0-9_]([a-zA-Z0-9_-]{0,10}[a-zA-Z0-9])?", fullmatch=True)
NAME = st.lists(LABEL, min_size=1, max_size=4).map(".".join)


@pytest.mark.parametrize(
    ("given_name", "expected"),
    [
        ("LLM.Example.com.", "llm.example.com"),
        ("*.example.com", "*.example.com"),
        ("\\052.example.com", "*.example.com"),
        ("a*b.example.com", "a\\052b.example.com"),
        ("a.*.example.com", "a.\\052.example.com"),
        ("_acme.example.com", "_acme.example.com"),
        ("a/b.example.com", "a\\057b.example.com"),
        ("é.example.com", "\\303\\251.example.com"),
        ("", ""),
    ],
)
def test_a_name_is_written_as_the_service_writes_it(given_name: str, expected: str) -> None:
    assert normalized(given_name) == expected


@given(NAME)
def test_case_and_a_final_dot_make_no_other_name(name: str) -> None:
    assert normalized(name.upper() + ".") == normalized(name)
    assert normalized(normalized(name)) == normalized(name)
    assert name_fault(name) == ""
    assert is_hostname(name)


@given(NAME, NAME)
def test_a_record_is_always_named_below_its_zone(name: str, zone: str) -> None:
    full = expanded(name, zone)
    assert full.endswith(normalized(zone))
    assert expanded(full, zone) == full


def test_a_record_of_the_zone_itself_has_no_name_or_the_zones() -> None:
    assert expanded("", "example.com") == expanded("example.com.", "example.com") == "example.com"
    assert expanded("notexample.com", "example.com") == "notexample.com"
    assert not is_within("notexample.com", "example.com")
    assert is_within("a.b.example.com", "example.com")
    assert as_stored("*.example.com") == "\\052.example.com."
