"""The sandbox's buckets: directories that behave as buckets do, and go with the bucket they stand for."""

from __future__ import annotations

from pathlib import Path

import pytest

from spillway.models.directory import StandInBucket
from tests.unit.models.behaviour import StoreBehaviour, sha


class TestDirectory(StoreBehaviour):
    @pytest.fixture
    def store(self, tmp_path: Path) -> StandInBucket:
        return StandInBucket(tmp_path / "sandbox", "bucket", "2026-11-26T12:00:00Z", "s3://bucket (sandbox)")

    @pytest.fixture
    def no_bucket(self, tmp_path: Path) -> StandInBucket:
        return StandInBucket(tmp_path / "sandbox", "none", None, "s3://none (sandbox)")

    def test_a_bucket_that_was_deleted_and_made_again_is_empty(self, tmp_path: Path, store: StandInBucket) -> None:
        store.put("models/m/r/a", b"x", sha(b"x"))
        later = StandInBucket(tmp_path / "sandbox", "bucket", "2026-11-27T12:00:00Z", "s3://bucket (sandbox)")
        later.check()
        assert list(later.list("models/")) == []
        assert list(store.list("models/")) == [], "and the old one's content is gone"
