"""Structural checks against a schema."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.checker import Checker
from sandbox.values import UNKNOWN

OBJECTS: dict[str, Any] = {
    "Ebs": {
        "props": {"iops": {"t": "integer"}, "kind": {"t": "string", "enum": ["gp3", "io2"], "open": False}},
        "required": ["iops"],
    }
}
PROPS: dict[str, Any] = {
    "name": {"t": "string"},
    "count": {"t": "integer"},
    "ratio": {"t": "number"},
    "on": {"t": "boolean"},
    "tags": {"t": "map", "of": {"t": "string"}},
    "disks": {"t": "array", "of": {"t": "object", "ref": "Ebs"}},
    "either": {"t": "union", "of": [{"t": "string"}, {"t": "array", "of": {"t": "string"}}]},
    "state": {"t": "string", "enum": ["a", "b"], "open": True},
}


def faults(values: dict[str, Any], required: tuple[str, ...] = ()) -> dict[str, str]:
    return {f.path: f.reason for f in Checker(OBJECTS).inputs(values, PROPS, required)}


@pytest.mark.parametrize(
    ("values", "path", "says"),
    [
        ({"nmae": "x"}, "nmae", "did you mean name?"),
        ({"name": 5}, "name", "expected a string, got 5"),
        ({"count": "5"}, "count", 'expected a whole number, got "5"'),
        ({"count": 1.5}, "count", "expected a whole number"),
        ({"ratio": float("nan")}, "ratio", "expected a finite number, got NaN"),
        ({"ratio": float("inf")}, "ratio", "expected a finite number"),
        ({"count": True}, "count", "expected a whole number, got true"),
        ({"on": "true"}, "on", "expected true or false"),
        ({"tags": {"a": 1}}, "tags.a", "expected a string"),
        ({"tags": {"spillway:x": 1}}, 'tags["spillway:x"]', "expected a string"),
        ({"disks": {"iops": 1}}, "disks", "expected a list"),
        ({"disks": [{"iops": 1}, {}]}, "disks[1].iops", "is required"),
        ({"disks": [{"iops": 1, "kind": "gp2"}]}, "disks[0].kind", "did you mean gp3?"),
        ({"disks": [{"iops": 1, "iopz": 2}]}, "disks[0].iopz", "did you mean iops?"),
        ({"disks": [None]}, "disks[0]", "got null"),
        ({"either": 3}, "either", "expected"),
    ],
)
def test_a_wrong_value_is_named_with_its_path(values: dict[str, Any], path: str, says: str) -> None:
    found = faults(values)
    assert list(found) == [path]
    assert says in found[path]


def test_what_is_required_and_absent_or_null_is_named() -> None:
    assert faults({"name": None}, ("name", "count")) == {"name": "is required", "count": "is required"}


def test_unknown_values_satisfy_every_type() -> None:
    assert faults({"name": UNKNOWN, "disks": UNKNOWN, "tags": {"a": UNKNOWN}, "count": UNKNOWN}, ("name",)) == {}


def test_good_values_pass() -> None:
    good = {"name": "x", "count": 3, "ratio": 0.5, "on": False, "either": ["a"], "state": "c", "disks": [{"iops": 3}]}
    assert faults(good) == {}


def test_all_faults_come_at_once() -> None:
    assert len(faults({"name": 1, "count": "x", "foo": 1})) == 3
