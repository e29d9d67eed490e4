"""A sound region to change in tests, and the faults that a change leads to."""

from __future__ import annotations

import copy
from functools import cache
from pathlib import Path
from typing import Any

from infra import stackfile
from infra.config import AwsRegion, ConfigError, parse_region
from tests.support.engine import TWO_REGIONS

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "stacks"
STACKS = TWO_REGIONS
STACK = "aws-us-east-1"
DROP = object()


@cache
def _sound() -> dict[str, Any]:
    data: dict[str, Any] = stackfile.read(STACKS / f"Pulumi.{STACK}.yaml")[stackfile.REGION_KEY]
    return data


def region(changes: dict[str, Any] | None = None) -> dict[str, Any]:
    """The shipped region with values set (or, with DROP, removed) by dotted key."""
    data = copy.deepcopy(_sound())
    for key, value in (changes or {}).items():
        *path, last = key.split(".")
        place = data
        for step in path:
            place = place.setdefault(step, {})
        if value is DROP:
            place.pop(last, None)
        else:
            place[last] = value
    return data


def load(changes: dict[str, Any] | None = None, stack: str = STACK) -> AwsRegion:
    """The changed region as a model; ConfigError when it is faulty."""
    config = parse_region(region(changes), stack, "stacks/x.yaml")
    assert isinstance(config, AwsRegion)
    return config


def faults(changes: dict[str, Any] | None = None, stack: str = STACK) -> list[str]:
    """The error lines of the changed region, without the file's name and the key that all begin with."""
    try:
        load(changes, stack)
    except ConfigError as error:
        return [line.removeprefix("stacks/x.yaml: spillway:region").lstrip(".: ") for line in error.lines]
    return []
