"""Every property that a kind names exists in the SDK: a misspelt path would be a rule that never holds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from sandbox import schema
from sandbox.aws import AWS
from sandbox.values import steps


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return schema.load("aws", "pulumi-aws", AWS.kinds, AWS.invokes)


def _reaches(document: dict[str, Any], props: dict[str, Any], pattern: str) -> bool:
    """Whether a property path leads somewhere in a map of nodes."""
    node: dict[str, Any] | None = {"t": "root"}
    for step in steps(pattern):
        assert node is not None
        kind = node["t"]
        if kind == "any":
            return True
        if step is None or isinstance(step, int):
            node = node["of"] if kind in ("array", "map") else None
        elif kind == "map":
            node = node["of"]
        else:
            known = props if kind == "root" else document["objects"][node["ref"]]["props"] if kind == "object" else {}
            node = known.get(step)
        if node is None:
            return False
    return True


def _named(token: str) -> Iterator[tuple[str, str]]:
    kind = AWS.kinds[token]
    for attribute in ("replace_on", "sets", "json_properties", "unique"):
        for pattern in getattr(kind, attribute):
            yield attribute, pattern
    for key in kind.defaults:
        yield "defaults", key
    for ref in kind.references:
        yield "references", ref.path
    if kind.autoname:
        yield "autoname", kind.autoname.property


@pytest.mark.parametrize("token", sorted(AWS.kinds))
def test_every_input_a_kind_names_exists(token: str, document: dict[str, Any]) -> None:
    inputs = document["resources"][token]["inputs"]
    outputs = document["resources"][token]["outputs"]
    wrong = []
    for attribute, pattern in _named(token):
        # A default that the SDK has as an output only is something the provider computes.
        places = (inputs, outputs) if attribute == "defaults" else (inputs,)
        if not any(_reaches(document, place, pattern) for place in places):
            wrong.append(f"{attribute}: {pattern}")
    assert not wrong


@pytest.mark.parametrize("token", sorted(AWS.kinds))
def test_every_output_a_kind_may_change_exists(token: str, document: dict[str, Any]) -> None:
    outputs = document["resources"][token]["outputs"]
    kind = AWS.kinds[token]
    assert [
        key for key in (*kind.changes_on_update, *kind.secret_outputs) if not _reaches(document, outputs, key)
    ] == []


@pytest.mark.parametrize("token", sorted(AWS.kinds))
def test_every_reference_points_at_a_type_that_exists(token: str) -> None:
    for ref in AWS.kinds[token].references:
        assert any(target in AWS.kinds for target in ref.tokens), f"{ref.path} -> {ref.tokens}"


@pytest.mark.parametrize("token", sorted(AWS.kinds))
def test_a_type_with_tags_in_the_sdk_is_taggable(token: str, document: dict[str, Any]) -> None:
    if "tagsAll" in document["resources"][token]["outputs"]:
        assert AWS.kinds[token].taggable
