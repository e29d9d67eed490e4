"""What every bucket has to do, whichever cloud it is in: run by the tests of each store against its SDK."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from infra.node_config import revision_prefix
from spillway.errors import SpillwayError
from spillway.models import transfer
from spillway.models.manifest import File
from spillway.models.store import ModelStore, NoBucket, Stored, Taken
from spillway.models.transfer import FolderSource, StoreSource, Transfer
from tests.unit.models.snapshots import content

PART = 6 << 20
"""S3 takes no part but the last below 5 MiB."""


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class StoreBehaviour:
    """Subclasses give `store` and `no_bucket`, and make parts `PART` bytes large."""

    @pytest.fixture(autouse=True)
    def small_parts(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(transfer, "part_bytes", lambda size: PART)

    def test_a_bucket_that_is_there_and_one_that_is_not(self, store: ModelStore, no_bucket: ModelStore) -> None:
        store.check()
        with pytest.raises(NoBucket, match="the stack's `up` makes it"):
            no_bucket.check()
        with pytest.raises(NoBucket):
            list(no_bucket.list("models/"))
        with pytest.raises(SpillwayError):
            no_bucket.put("models/x", b"x", sha(b"x"))

    def test_objects_are_put_listed_read_and_deleted(self, store: ModelStore) -> None:
        assert store.stat("models/m/r/a") is None
        assert store.get("models/m/r/a", 100) is None
        store.put("models/m/r/a", b"0123456789", sha(b"0123456789"))
        store.put("models/m/r/sub/empty", b"", sha(b""))
        store.put("models/m/r2/b c+ü", b"x", sha(b"x"))
        sizes = {one.key: one.size for one in store.list("models/m/r/")}
        assert sizes == {"models/m/r/a": 10, "models/m/r/sub/empty": 0}
        there = store.stat("models/m/r/a")
        assert isinstance(there, Stored)
        assert (there.size, there.sha256) == (10, sha(b"0123456789"))
        assert there.modified is not None
        assert there.modified.tzinfo is not None
        assert store.read("models/m/r/a", 3, 4) == b"3456"
        assert store.get("models/m/r/a", 10) == b"0123456789"
        assert store.get("models/m/r/sub/empty", 10) == b""
        assert store.get("models/m/r2/b c+ü", 10) == b"x"
        with pytest.raises(SpillwayError, match="larger than 9 bytes"):
            store.get("models/m/r/a", 9)
        store.delete(["models/m/r/a", "models/m/r/never-there"])
        assert [one.key for one in store.list("models/m/r/")] == ["models/m/r/sub/empty"]

    def test_new_objects_do_not_replace_others(self, store: ModelStore) -> None:
        store.put("models/m/r/manifest.json", b"{}", sha(b"{}"), new=True)
        with pytest.raises(Taken):
            store.put("models/m/r/manifest.json", b"[]", sha(b"[]"), new=True)
        assert store.get("models/m/r/manifest.json", 10) == b"{}"

    def test_a_file_arrives_in_parts_with_its_hash(self, store: ModelStore, tmp_path: Path) -> None:
        data = content(2 * PART + 1234, seed=1)
        (tmp_path / "big").write_bytes(data)
        moved: list[int] = []
        file = File("big", len(data), sha(data))
        sent = Transfer(FolderSource(tmp_path), store, "models/m/r/", 4, moved.append).run([file])
        assert (sent.files, sent.bytes, sum(moved)) == (1, len(data), len(data))
        there = store.stat("models/m/r/big")
        assert there is not None
        assert (there.size, there.sha256) == (len(data), sha(data))
        assert store.read("models/m/r/big", PART - 5, 10) == data[PART - 5 : PART + 5]
        again = Transfer(FolderSource(tmp_path), store, "models/m/r/", 4, moved.append).run([file])
        assert (again.files, again.bytes) == (0, 0), "what is there is not sent again"

    def test_a_broken_upload_goes_on_with_the_parts_that_arrived(self, store: ModelStore, tmp_path: Path) -> None:
        data = content(2 * PART + 99, seed=2)
        (tmp_path / "big").write_bytes(data)
        earlier = store.upload("models/m/r/big", sha(data))
        assert earlier.put(2, data[PART : 2 * PART])
        assert store.stat("models/m/r/big") is None, "nothing shows before the end"
        sent = Transfer(FolderSource(tmp_path), store, "models/m/r/", 2, lambda _: None).run(
            [File("big", len(data), sha(data))]
        )
        assert sent.bytes == PART + 99
        assert store.read("models/m/r/big", 0, len(data)) == data

    def test_parts_of_another_content_are_not_taken_over(self, store: ModelStore, tmp_path: Path) -> None:
        other, data = content(2 * PART, seed=3), content(2 * PART, seed=4)
        (tmp_path / "big").write_bytes(data)
        assert store.upload("models/m/r/big", sha(other)).put(1, other[:PART])
        file = File("big", len(data), sha(data))
        Transfer(FolderSource(tmp_path), store, "models/m/r/", 2, lambda _: None).run([file])
        there = store.stat("models/m/r/big")
        assert there is not None
        assert there.sha256 == sha(data)
        assert store.read("models/m/r/big", 0, len(data)) == data

    def test_a_file_that_is_not_what_the_manifest_says_never_shows(self, store: ModelStore, tmp_path: Path) -> None:
        data = content(PART + 10, seed=5)
        (tmp_path / "big").write_bytes(data)
        (tmp_path / "small").write_bytes(b"abc")
        for path, size in (("big", len(data)), ("small", 3)):
            with pytest.raises(SpillwayError, match=f"{path}: sha256 is not the manifest's"):
                Transfer(FolderSource(tmp_path), store, "models/m/r/", 2, lambda _: None).run(
                    [File(path, size, sha(b"other"))]
                )
            assert store.stat(f"models/m/r/{path}") is None
        with pytest.raises(SpillwayError, match="big: ends at byte"):
            Transfer(FolderSource(tmp_path), store, "models/m/r/", 2, lambda _: None).run(
                [File("big", len(data) + 1, sha(data))]
            )

    def test_it_is_a_source_for_another_bucket(self, store: ModelStore, tmp_path: Path) -> None:
        from spillway.models.directory import DirectoryStore

        data = content(PART + 77, seed=6)
        (tmp_path / "big").write_bytes(data)
        (tmp_path / "empty").write_bytes(b"")
        files = [File("big", len(data), sha(data)), File("empty", 0, sha(b""))]
        Transfer(FolderSource(tmp_path), store, revision_prefix("m", "r"), 2, lambda _: None).run(files)
        target = DirectoryStore(tmp_path / "other", "elsewhere")
        Transfer(StoreSource(store, "models/m/r/"), target, "models/m/r/", 2, lambda _: None).run(files)
        assert target.read("models/m/r/big", 0, len(data)) == data
        there = target.stat("models/m/r/empty")
        assert there is not None
        assert there.size == 0
