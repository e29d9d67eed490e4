"""Every service type takes a good example, with any part of it unknown too; no rule trips over a missing part."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from sandbox.aws import AWS
from sandbox.kinds import Args
from sandbox.values import UNKNOWN
from tests.support.service_examples import EXAMPLES

SERVICES = (
    "autoscaling",
    "iam",
    "s3",
    "cloudwatch",
    "sns",
    "sqs",
    "secretsmanager",
    "kms",
    "ssm",
    "budgets",
    "servicequotas",
)


def reasons(token: str, inputs: dict[str, Any]) -> list[str]:
    return [f"{fault.path}: {fault.reason}" for fault in AWS.kinds[token].check(Args(inputs))]


def variants(value: Any) -> Iterator[Any]:
    """The value with each of its parts unknown in turn."""
    yield UNKNOWN
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in items:
        for variant in variants(part):
            changed = copy.copy(value)
            changed[key] = variant
            yield changed


def test_every_service_type_has_an_example() -> None:
    own = {token for token in AWS.kinds if token.split(":")[1].split("/")[0] in SERVICES}
    assert own == set(EXAMPLES)


@pytest.mark.parametrize("token", EXAMPLES)
def test_a_good_example_has_no_faults(token: str) -> None:
    assert reasons(token, EXAMPLES[token]) == []


@pytest.mark.parametrize("token", EXAMPLES)
def test_an_unknown_part_is_no_fault(token: str) -> None:
    example = EXAMPLES[token]
    for key, value in example.items():
        for variant in variants(value):
            assert reasons(token, {**example, key: variant}) == [], (key, variant)


@pytest.mark.parametrize("token", EXAMPLES)
def test_a_missing_part_is_at_most_a_fault(token: str) -> None:
    example = EXAMPLES[token]
    for key in example:
        reasons(token, {k: v for k, v in example.items() if k != key})
    reasons(token, {})
