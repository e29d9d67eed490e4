"""Every property that a kind of Tencent Cloud names exists in the SDK; every output is one of the type; values that are
not known yet trip no rule."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from sandbox import schema
from sandbox.checker import Checker
from sandbox.clouds import DISTRIBUTIONS
from sandbox.kinds import Args
from sandbox.tencentcloud import TENCENTCLOUD
from sandbox.values import UNKNOWN
from tests.support.sdk import reaches
from tests.support.tencent import IMAGE, empty, everything

GOOD = [(resource.token, resource.inputs) for resource in everything().state.resources.values()]


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return schema.load("tencentcloud", DISTRIBUTIONS["tencentcloud"], TENCENTCLOUD.kinds, TENCENTCLOUD.invokes)


@pytest.mark.parametrize("token", sorted(TENCENTCLOUD.kinds))
def test_every_input_a_kind_names_exists(token: str, document: dict[str, Any]) -> None:
    kind, spec = TENCENTCLOUD.kinds[token], document["resources"][token]
    named = [*kind.replace_on, *kind.sets, *kind.defaults, *kind.write_only, *kind.unique, *kind.json_properties]
    named += [ref.path for ref in kind.references]
    assert [path for path in named if not reaches(document, spec["inputs"], path)] == []
    assert [path for path in kind.changes_on_update if path not in spec["outputs"]] == []


def test_what_kinds_take_and_return_are_properties_of_their_types(document: dict[str, Any]) -> None:
    made = everything().state.resources.values()
    assert {resource.token for resource in made} == set(TENCENTCLOUD.kinds)
    checker = Checker(document["objects"])
    for resource in made:
        spec = document["resources"][resource.token]
        assert list(checker.inputs(resource.inputs, spec["inputs"], spec["required"])) == []
        assert [key for key in resource.outputs if key not in spec["outputs"]] == []


def test_what_data_sources_return_are_properties_of_theirs(document: dict[str, Any]) -> None:
    asked: dict[str, dict[str, Any]] = {
        "tencentcloud:User/getInfo:getInfo": {},
        "tencentcloud:Images/getInstance:getInstance": {"imageId": IMAGE},
        "tencentcloud:Vpc/getInstances:getInstances": {"name": "vpc"},
    }
    assert set(asked) == set(TENCENTCLOUD.invokes)
    for token, inputs in asked.items():
        answer = TENCENTCLOUD.invokes[token](Args(inputs), empty())
        known = document["invokes"][token]["outputs"]
        assert [key for key in answer if key not in known] == []
        assert answer["id"]


def unknowns(value: Any) -> Iterator[Any]:
    """The value with one part of it unknown: each part at each depth."""
    yield UNKNOWN
    if isinstance(value, dict):
        for key in value:
            for part in unknowns(value[key]):
                yield {**copy.deepcopy(value), key: part}
    elif isinstance(value, list):
        for i, item in enumerate(value[:2]):
            for part in unknowns(item):
                yield [*value[:i], part, *value[i + 1 :]]


@pytest.mark.parametrize(
    ("token", "inputs"), GOOD, ids=[f"{i}-{t.split(':')[1].replace('/', '-')}" for i, (t, _) in enumerate(GOOD)]
)
def test_a_value_that_is_not_known_yet_is_neither_a_fault_nor_a_crash(token: str, inputs: dict[str, Any]) -> None:
    kind = TENCENTCLOUD.kinds[token]
    for key in inputs:
        for part in unknowns(inputs[key]):
            assert list(kind.check(Args({**inputs, key: part}))) == [], {**inputs, key: part}
