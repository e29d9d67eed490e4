"""What a revision is: its manifest, and a local folder as one."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spillway.errors import SpillwayError
from spillway.models import folder, manifest
from spillway.models.manifest import File
from tests.unit.models.snapshots import COMMIT, snapshot

SHA = "ab" * 32
NOW = datetime(2026, 11, 26, 12, 30, 1, 5, tzinfo=UTC)

paths = st.from_regex(r"[A-Za-z0-9._-]{1,20}(/[A-Za-z0-9._-]{1,20}){0,2}", fullmatch=True).filter(
    lambda path: not manifest.path_fault(path)
)
files = st.lists(
    st.builds(File, paths, st.integers(0, 2**50), st.binary(min_size=32, max_size=32).map(bytes.hex)),
    min_size=1,
    max_size=10,
    unique_by=lambda file: file.path,
)


@given(files)
def test_what_is_written_is_read_back(listed: list[File]) -> None:
    made = manifest.make("m", "r", listed, NOW)
    again = manifest.parse(made.text().encode(), "m", "r")
    assert again == made
    assert again.bytes == sum(file.size for file in listed)
    assert [file.path for file in again.files] == sorted(file.path for file in listed)


def test_its_fields_are_those_that_nodes_are_promised() -> None:
    made = manifest.make("m", "r", [File("config.json", 3, SHA)], NOW)
    assert json.loads(made.text()) == {
        "schemaVersion": 1,
        "model": "m",
        "revision": "r",
        "created": "2026-11-26T12:30:01Z",
        "bytes": 3,
        "files": [{"path": "config.json", "size": 3, "sha256": SHA}],
    }


def test_one_made_by_hand_needs_files_only() -> None:
    found = manifest.parse(json.dumps({"files": [{"path": "a", "size": 1, "sha256": SHA}]}).encode(), "m", "r")
    assert (found.model, found.revision, found.created) == ("m", "r", None)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ([], "no object with a list"),
        ({"files": []}, "0 files"),
        ({"files": [{"path": "../x", "size": 1, "sha256": SHA}]}, r"files\[0\].path leads out"),
        ({"files": [{"path": "/etc/passwd", "size": 1, "sha256": SHA}]}, "leads out"),
        ({"files": [{"path": "a//b", "size": 1, "sha256": SHA}]}, "leads out"),
        ({"files": [{"path": "a\\b", "size": 1, "sha256": SHA}]}, "characters"),
        ({"files": [{"path": "manifest.json", "size": 1, "sha256": SHA}]}, "manifest's own"),
        ({"files": [{"path": "a", "size": True, "sha256": SHA}]}, "size"),
        ({"files": [{"path": "a", "size": 1, "sha256": SHA.upper()}]}, "sha256"),
        ({"files": [{"path": "a", "size": 1, "sha256": SHA}] * 2}, "twice"),
        ({"revision": "x", "files": [{"path": "a", "size": 1, "sha256": SHA}]}, "its revision is not r"),
        ({"schemaVersion": 2, "files": [{"path": "a", "size": 1, "sha256": SHA}]}, "newer"),
        ({"created": "now", "files": [{"path": "a", "size": 1, "sha256": SHA}]}, "created"),
    ],
)
def test_a_faulty_manifest_is_told(body: Any, why: str) -> None:
    with pytest.raises(manifest.NotAManifest, match=why):
        manifest.parse(json.dumps(body).encode(), "m", "r")


@given(st.binary(max_size=200))
def test_any_bytes_are_no_manifest(data: bytes) -> None:
    with pytest.raises(manifest.NotAManifest):
        manifest.parse(data, "m", "r")


def test_a_snapshot_of_the_hub_is_read_through_its_links_without_what_git_left(tmp_path: Path) -> None:
    found = folder.scan(snapshot(tmp_path))
    assert [one.path for one in found] == [
        "config.json",
        "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors",
        "model.safetensors.index.json",
        "tokenizer.json",
    ]
    hashed = folder.hash_all(found, 4, lambda count: None)
    assert hashed[1].sha256 == hashlib.sha256(found[1].file.read_bytes()).hexdigest()
    assert hashed[1].size == 5000


def test_a_folder_downloaded_to_a_place_of_its_own_leaves_the_downloaders_notes_out(tmp_path: Path) -> None:
    where = snapshot(tmp_path)
    (where / ".cache" / "huggingface" / "download").mkdir(parents=True)
    (where / ".cache" / "huggingface" / "download" / "x.lock").write_text("")
    (where / "original").mkdir()
    (where / "original" / "consolidated.00.pth").write_bytes(b"x" * 2000)
    assert any(one.path == "original/consolidated.00.pth" for one in folder.scan(where))
    assert {one.path.split("/")[0] for one in folder.scan(where, ["original/*"])}.isdisjoint({".cache", "original"})


def test_the_commit_is_the_revision_of_a_snapshot_only(tmp_path: Path) -> None:
    assert folder.revision_of(snapshot(tmp_path)) == COMMIT
    assert folder.revision_of(tmp_path) is None


def broken(tmp_path: Path, how: str) -> Path:
    where = snapshot(tmp_path)
    shard = where / "model-00002-of-00002.safetensors"
    if how == "missing shard":
        shard.unlink()
    elif how == "dangling link":
        shard.resolve().unlink()
    elif how == "lfs pointer":
        shard.unlink()
        shard.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:abc\nsize 7000\n")
    elif how == "unfinished":
        (where / "model-00003.safetensors.incomplete").write_bytes(b"x")
    elif how == "no config":
        (where / "config.json").unlink()
    elif how == "no weights":
        for one in where.glob("*.safetensors*"):
            one.unlink()
    elif how == "bad index":
        index = where / "model.safetensors.index.json"
        index.unlink()
        index.write_text("[]")
    return where


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ("missing shard", "names shards that are not there: model-00002-of-00002.safetensors"),
        ("dangling link", "was its download finished"),
        ("lfs pointer", "a pointer of Git LFS"),
        ("unfinished", "an unfinished download"),
        ("no config", "no config.json"),
        ("no weights", "holds no weights"),
        ("bad index", "not an index of shards"),
    ],
)
def test_what_is_no_whole_model_is_refused(tmp_path: Path, how: str, why: str) -> None:
    with pytest.raises(SpillwayError, match=why):
        folder.scan(broken(tmp_path, how))


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SpillwayError, match="no such folder"):
        folder.scan(tmp_path / "none")
