"""Log buckets, sinks and exclusions of the stand-in Google Cloud."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.gcp import tokens
from tests.support.aws_region import refused
from tests.support.gcp import PROJECT, check_faults, empty

BUCKET = {"project": PROJECT, "location": "us-central1", "bucketId": "nodes", "retentionDays": 30}
PATH = f"projects/{PROJECT}/locations/us-central1/buckets/nodes"
SINK = {"name": "nodes", "destination": f"logging.googleapis.com/{PATH}", "filter": 'jsonPayload.stack="a"'}
EXCLUSION = {"name": "nodes", "filter": 'jsonPayload.stack="a"'}


@pytest.mark.parametrize(
    ("token", "good", "change", "expected"),
    [
        (tokens.LOG_BUCKET, BUCKET, {"retentionDays": 0}, "retentionDays: expected 1 to 3,650"),
        (tokens.LOG_BUCKET, BUCKET, {"location": "mars"}, "location: expected global"),
        (tokens.LOG_BUCKET, BUCKET, {"bucketId": "a b"}, "bucketId: expected 1 to 100"),
        (tokens.LOG_SINK, SINK, {"destination": "nodes"}, "destination: expected a bucket"),
        (tokens.LOG_SINK, SINK, {"filter": None}, "filter: is required"),
        (tokens.LOG_SINK, SINK, {"filter": 'a="b'}, "filter: expected a filter with closed quotes"),
        (tokens.LOG_EXCLUSION, EXCLUSION, {"filter": "(a"}, "filter: expected a filter with closed quotes"),
        (tokens.LOG_EXCLUSION, EXCLUSION, {"name": "-a"}, "name: expected 1 to 100"),
    ],
)
def test_values_are_checked(token: str, good: dict[str, Any], change: dict[str, Any], expected: str) -> None:
    check_faults(token, good, change, expected)


def test_a_deleted_log_bucket_keeps_its_name_and_one_that_was_left_is_taken_up() -> None:
    cloud = empty()
    left = cloud.create(tokens.LOG_BUCKET, **BUCKET, deletionPolicy="ABANDON")
    cloud.delete(left)
    again = cloud.create(tokens.LOG_BUCKET, **{**BUCKET, "retentionDays": 7})
    assert (again.id, again["retentionDays"], again["lifecycleState"]) == (left.id, 7, "ACTIVE")
    cloud.delete(again)
    with refused("failedPrecondition", "Buckets must be in an ACTIVE state to be modified"):
        cloud.create(tokens.LOG_BUCKET, **BUCKET)


def test_a_sink_needs_its_bucket_and_a_name_that_is_free() -> None:
    cloud = empty()
    with refused("notFound", "does not exist"):
        cloud.create(tokens.LOG_SINK, **SINK)
    cloud.create(tokens.LOG_BUCKET, **BUCKET)
    cloud.create(tokens.LOG_SINK, **SINK)
    with refused("alreadyExists", "already exists"):
        cloud.create(tokens.LOG_SINK, **SINK)
