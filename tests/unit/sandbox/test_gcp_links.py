"""A reference means the same in every spelling, whatever the names."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sandbox.gcp import links, tokens
from sandbox.gcp.api import NAME, canonical
from sandbox.gcp.links import PROJECT
from sandbox.values import UNKNOWN

NAMES = st.from_regex(NAME, fullmatch=True)
PROJECTS = st.from_regex(PROJECT, fullmatch=True).filter(lambda text: text.isascii())
REGION = "us-central1"


@given(name=NAMES, project=PROJECTS)
def test_all_spellings_of_a_regional_reference_are_one(name: str, project: str) -> None:
    id = f"projects/{project}/regions/{REGION}/subnetworks/{name}"
    spellings = (name, f"regions/{REGION}/subnetworks/{name}", id, links.self_link(id), f"{links.self_link(id)}?a=b")
    found = {canonical(tokens.SUBNETWORK, spelling, project, REGION) for spelling in spellings}
    assert found == {id}
    assert {links.name_of(spelling) for spelling in spellings} == {name}


@given(name=NAMES, project=PROJECTS)
def test_a_reference_of_another_type_or_scope_is_none_of_this_one(name: str, project: str) -> None:
    for wrong in (f"global/subnetworks/{name}", f"regions/{REGION}/networks/{name}"):
        assert canonical(tokens.SUBNETWORK, wrong, project, REGION) is None
    assert canonical(tokens.NETWORK, f"regions/{REGION}/networks/{name}", project, REGION) is None


@given(text=st.text())
def test_no_text_is_a_crash(text: str) -> None:
    link = links.parse(text)
    assert link is None or link.name in text
    links.relative(text)
    canonical(tokens.NETWORK, text, "p", REGION)


def test_a_group_is_named_by_what_its_manager_made() -> None:
    reference = f"projects/p-spillway/regions/{REGION}/instanceGroups/spot"
    own = f"projects/p-spillway/regions/{REGION}/instanceGroupManagers/spot"
    assert canonical(tokens.GROUP, reference, "x", "y", "instanceGroups") == own
    assert canonical(tokens.GROUP, reference, "x", "y") is None


def test_rewriting_leaves_what_is_unknown_or_missing() -> None:
    values = {"a": [{"b": "x/y"}, {"b": UNKNOWN}, {}], "c": UNKNOWN}
    assert links.rewrite(values, "a[*].b", links.name_of) == {"a": [{"b": "y"}, {"b": UNKNOWN}, {}], "c": UNKNOWN}
    assert links.rewrite(values, "c.d", links.name_of) == values
