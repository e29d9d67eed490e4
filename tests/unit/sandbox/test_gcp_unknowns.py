"""Values that only the deployment will tell trip no rule of the stand-in Google Cloud, wherever they stand."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from sandbox.gcp import GCP
from sandbox.kinds import Args
from sandbox.values import UNKNOWN
from tests.support.gcp import everything

GOOD = [(resource.token, resource.inputs) for resource in everything().state.resources.values()]


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
    ("token", "inputs"), GOOD, ids=[f"{i}-{t.rsplit(':', 1)[-1]}" for i, (t, _) in enumerate(GOOD)]
)
def test_a_value_that_is_not_known_yet_is_neither_a_fault_nor_a_crash(token: str, inputs: dict[str, Any]) -> None:
    kind = GCP.kinds[token]
    for key in inputs:
        for part in unknowns(inputs[key]):
            changed = {**inputs, key: part}
            assert list(kind.check(Args(changed))) == [], changed
            kind.comparable(changed)
            list(kind.replace_when(Args(inputs), Args(changed)))
