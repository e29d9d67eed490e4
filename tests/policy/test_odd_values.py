"""Whatever a program writes, or a plan hides, ends in findings, never in a traceback."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import policy
from cost.plan.preview import SECRET, UNKNOWN, Change, Preview, Resource, read
from policy.findings import Finding, Stack
from policy.rules import POLICIES
from tests.policy.resources import TODAY
from tests.policy.test_whole_stacks import PLANS
from tests.policy.violating import program

ODD: Final[tuple[Any, ...]] = (UNKNOWN, SECRET, None, True, -1, 2.5, "", "odd", [], [None], {}, {"odd": None})
Path = tuple[str | int, ...]
NAMES: Final = sorted(path.stem for path in PLANS.glob("*.json"))


def paths(value: Any, here: Path = ()) -> Iterator[Path]:
    """Every path in a value, the value itself left out."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield (*here, key)
            yield from paths(item, (*here, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield (*here, index)
            yield from paths(item, (*here, index))


def put(value: Any, path: Path, new: Any) -> Any:
    if not path:
        return new
    copy: Any = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = put(value[path[0]], path[1:], new)
    return copy


def each(resource: Resource) -> list[Finding]:
    return [
        finding
        for one in POLICIES
        if one.each is not None
        for finding in one.each(resource, one.settings())
    ]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_resource_with_an_odd_value_anywhere_is_judged_or_left_open(name: str) -> None:
    kinds = {one.type: one for one in read(PLANS / f"{name}.json").after}
    for resource in kinds.values():
        for path in paths(resource.inputs):
            for odd in ODD:
                for finding in each(replace(resource, inputs=put(resource.inputs, path, odd))):
                    assert finding.message
                    assert "\n" not in finding.message


def test_a_violating_resource_with_an_odd_value_anywhere_is_judged_or_left_open() -> None:
    for name, row in program().items():
        one = Resource(f"urn:pulumi:dev::flat::{row['type']}::{name}", row["type"], row["inputs"], {}, {})
        for path in paths(row["inputs"]):
            for odd in ODD:
                each(replace(one, inputs=put(row["inputs"], path, odd)))


@pytest.mark.parametrize(
    ("name", "type_"),
    [
        ("aws-us-east-1", "aws:autoscaling/group:Group"),
        ("azure-eastus", "azure-native:compute:VirtualMachineScaleSet"),
        ("gcp-us-central1", "gcp:compute/regionInstanceGroupManager:RegionInstanceGroupManager"),
    ],
)
def test_a_pool_with_an_odd_value_anywhere_is_priced_or_left_open(name: str, type_: str) -> None:
    preview = read(PLANS / f"{name}.json")
    (index, pool) = next((i, one.after) for i, one in enumerate(preview.changes) if one.type == type_ and one.after)
    for path in paths(dict(pool.inputs)):
        for odd in (UNKNOWN, True):
            edited = replace(pool, inputs=put(dict(pool.inputs), path, odd))
            changes = list(preview.changes)
            changes[index] = Change("same", edited.urn, edited.type, edited, edited)
            policy.check(replace(preview, changes=tuple(changes)), today=TODAY)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_whole_stack_with_odd_values_is_judged_or_left_open(data: st.DataObject) -> None:
    preview = read(PLANS / f"{data.draw(st.sampled_from(NAMES))}.json")
    changes = list(preview.changes)
    for _ in range(3):
        index = data.draw(st.integers(0, len(changes) - 1))
        after = changes[index].after
        choices = [] if after is None else [*paths(dict(after.inputs))]
        if after is None or not choices:
            continue
        path = data.draw(st.sampled_from(choices))
        odd = data.draw(st.sampled_from(ODD))
        edited = replace(after, inputs=put(dict(after.inputs), path, odd))
        changes[index] = Change("same", after.urn, after.type, edited, edited)
    config: dict[str, Any] = dict(preview.config)
    for key in ("spillway:region", "spillway:global"):
        if isinstance(config.get(key), dict) and (choices := [*paths(config[key])]):
            config[key] = put(config[key], data.draw(st.sampled_from(choices)), data.draw(st.sampled_from(ODD)))
    found = policy.check(replace(preview, changes=tuple(changes), config=config), today=TODAY)
    assert all(one.message and "\n" not in one.message for one in found)


def test_an_empty_stack_has_nothing_against_it() -> None:
    assert policy.check(Preview("plan.json", "dev", ())) == []
    assert [finding for one in POLICIES for finding in one.find(Stack("dev", ()), one.settings())] == []
