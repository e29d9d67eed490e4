"""The arithmetic of the copy: parts, batches, journal, space; and that a node reads manifests as push writes them."""

from __future__ import annotations

import ctypes
import errno
import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from images.programs.staging import disk, manifest, parts, web, worker
from images.programs.staging.manifest import File
from images.programs.staging.s3 import SignedSource
from images.programs.staging.tokens import TokenSource
from spillway.models import manifest as pushed

SHA = "0" * 64
SIZES = st.lists(st.integers(0, 1 << 36), max_size=60)


@given(st.integers(0, 1 << 40), st.integers(1, 4096).map(lambda n: n * parts.ALIGNMENT * 64))
def test_parts_cover_a_file_once_and_in_order(size: int, part: int) -> None:
    part = max(part, parts.aligned(size // 5000))
    found = list(parts.parts_of(0, size, part))
    assert [one.number for one in found] == list(range(len(found)))
    assert sum(one.length for one in found) == size
    assert [one.start for one in found] == [number * part for number in range(len(found))]
    assert all(0 < one.length <= part for one in found) or size == 0
    assert [one.last for one in found] == [False] * (len(found) - 1) + [True]


@pytest.mark.parametrize("part", [0, -4096, 1000])
def test_part_sizes_that_a_disk_could_not_take_are_refused(part: int) -> None:
    with pytest.raises(ValueError, match="multiple of 4096"):
        list(parts.parts_of(0, 10, part))


@given(SIZES)
def test_every_file_is_in_exactly_one_batch_and_large_ones_come_first(sizes: list[int]) -> None:
    files = [File(f"f{index}", size, SHA) for index, size in enumerate(sizes)]
    found = parts.batches(files)
    dealt = [index for batch in found for index in batch]
    assert sorted(dealt) == list(range(len(files)))
    assert [sizes[index] for index in dealt] == sorted(sizes, reverse=True)
    for batch in found:
        assert len(batch) == 1 or sum(sizes[index] for index in batch) <= parts.BATCH_BYTES
        assert len(batch) <= parts.BATCH_FILES


@given(st.integers(1, 512), st.integers(1, 1000), st.none() | st.integers(1, 1024))
def test_processes_and_connections_fit_the_machine(cpus: int, files: int, wanted: int | None) -> None:
    found = parts.shape(cpus, files, wanted)
    assert 1 <= found.processes <= min(files, parts.PROCESSES_MAX, cpus)
    total = found.processes * found.connections
    if wanted:
        assert wanted <= total < wanted + found.processes
    else:
        assert parts.CONNECTIONS[0] <= total < parts.CONNECTIONS[1] + found.processes


EVENTS = st.lists(
    st.tuples(st.just("p"), st.integers(0, 3), st.integers(0, 9))
    | st.tuples(st.just("f"), st.integers(0, 3), st.integers(0, 1 << 62))
    | st.tuples(st.just("x"), st.integers(0, 3), st.just(0)),
    max_size=40,
)


@given(EVENTS, st.integers(0, 1000))
def test_a_journal_cut_anywhere_tells_what_was_written_before_the_cut(events: list[Any], cut: int) -> None:
    files = [File(f"f{index}", index * 7 * parts.MIB, SHA) for index in range(4)]
    head = parts.header("digest", parts.MIB)
    lines = [f"{kind} {file} {value}\n" for kind, file, value in events]
    text = head + "".join(lines)
    cut = max(len(head), len(text) - cut)
    whole = text[len(head) : cut].count("\n")
    found = parts.replay(text[:cut], "digest", parts.MIB, files)
    assert found == parts.replay(head + "".join(lines[:whole]), "digest", parts.MIB, files)
    assert found is not None
    wanted: dict[int, set[int]] = {}
    for kind, file, value in events[:whole]:
        if kind == "p" and value < max(1, file * 7):
            wanted.setdefault(file, set()).add(value)
        if kind == "x":
            wanted.pop(file, None)
    assert found.parts == wanted
    assert found.bytes(files, parts.MIB) <= sum(file.size for file in files)


@given(st.text(max_size=200))
def test_a_journal_of_anything_else_is_not_believed(text: str) -> None:
    files = [File("f", 10, SHA)]
    assert parts.replay(text, "digest", parts.MIB, files) is None
    found = parts.replay(parts.header("digest", parts.MIB) + text, "digest", parts.MIB, files)
    assert found is not None
    assert all(number == 0 for number in found.parts.get(0, set()))
    assert parts.replay(parts.header("other", parts.MIB), "digest", parts.MIB, files) is None
    assert parts.replay(parts.header("digest", 2 * parts.MIB), "digest", parts.MIB, files) is None


PATHS = st.sampled_from(
    ["config.json", "a/b", "a/../b", "/a", "", ".", "a//b", "a\\b", "a\nb", "manifest.json", "é.txt", "x" * 801, "a"]
)
ENTRIES = st.fixed_dictionaries(
    {},
    optional={
        "path": PATHS | st.integers(),
        "size": st.integers(-1, 1 << 50) | st.booleans() | st.just("1"),
        "sha256": st.sampled_from([SHA, "F" * 64, "0" * 63, None]),
    },
)


@given(
    st.lists(ENTRIES, max_size=4),
    st.fixed_dictionaries({}, optional={"schemaVersion": st.integers(0, 2), "model": st.sampled_from(["m", "n"])}),
)
def test_a_node_reads_a_manifest_as_push_does(entries: list[Any], more: dict[str, Any]) -> None:
    data = json.dumps({**more, "files": entries}).encode()
    try:
        wanted = pushed.parse(data, "m", "r")
    except pushed.NotAManifest:
        with pytest.raises(manifest.NotAManifest):
            manifest.parse(data, "m", "r")
        return
    paths = {file.path for file in wanted.files}
    if {"a", "a/b"} <= paths:  # what no file system could hold
        with pytest.raises(manifest.NotAManifest, match="a path is a file and a folder"):
            manifest.parse(data, "m", "r")
        return
    found = manifest.parse(data, "m", "r")
    assert [(f.path, f.size, f.sha256) for f in found.files] == [(f.path, f.size, f.sha256) for f in wanted.files]


@pytest.mark.parametrize(("size", "good"), [(2**63 - 1, True), (2**63, False), (10**400, False)])
def test_a_size_that_no_file_can_have_is_no_number_of_bytes(size: int, good: bool) -> None:
    data = json.dumps({"files": [{"path": "config.json", "size": size, "sha256": SHA}]}).encode()
    if good:
        assert manifest.parse(data, "m", "r").bytes == size
        return
    with pytest.raises(manifest.NotAManifest, match=r"files\[0\].size is no number of bytes"):
        manifest.parse(data, "m", "r")


def test_a_name_that_no_file_system_takes_is_refused() -> None:
    assert manifest.path_fault("x" * 256) == "has a name longer than 255 bytes"
    assert manifest.path_fault(".complete") == "is the node's own"
    assert manifest.path_fault(".gitattributes") == ""


@given(st.integers(0, 70_000), st.integers(0, 3))
def test_what_is_written_is_what_is_read(tmp_path_factory: pytest.TempPathFactory, size: int, seed: int) -> None:
    path = tmp_path_factory.mktemp("target") / "file"
    data = (bytes(range(seed, seed + 200)) * (size // 200 + 1))[:size]
    target = disk.Target(path, size)
    memory = disk.buffer(max(size, 1))
    memory[:size] = data
    target.write(0, memory, size)
    back = disk.buffer(max(size, 1))
    assert target.read(0, back, size)
    assert back[:size] == data
    stamp = target.finish()
    target.close()
    assert path.read_bytes() == data
    assert disk.stamp(path, size) == stamp


def revision(models: Path, name: str, size: int, age: int) -> Path:
    folder = models / name
    folder.mkdir(parents=True)
    (folder / "weights").write_bytes(os.urandom(size))
    (folder / ".complete").write_text("")
    os.utime(folder / ".complete", (age, age))
    return folder


def room(monkeypatch: pytest.MonkeyPatch, models: Path, total: int) -> None:
    def free(folder: Path) -> int:
        return total - sum(one.stat().st_size for one in models.rglob("weights"))

    monkeypatch.setattr(disk, "free", free)
    monkeypatch.setattr(disk, "RESERVE", 0)


def test_older_revisions_go_only_as_far_as_space_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    models = tmp_path / "models"
    oldest, old, young = (revision(models, f"m/{name}", 1 << 20, age) for name, age in (("c", 1), ("a", 2), ("b", 3)))
    wanted = manifest.Manifest((File("config.json", 3 << 19, SHA),), "d")
    current = models / "m" / "current"
    room(monkeypatch, models, 5 << 20)
    assert disk.make_room(models, current, wanted) == []
    room(monkeypatch, models, 4 << 20)
    assert disk.make_room(models, current, wanted) == [oldest]
    assert old.exists()
    assert young.exists()


def test_when_even_that_is_too_little_nothing_goes_and_needs_and_has_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = tmp_path / "models"
    old = revision(models, "m/old", 1 << 20, 1)
    wanted = manifest.Manifest((File("config.json", 9_000_000_000, SHA),), "d")
    room(monkeypatch, models, 3 << 20)
    with pytest.raises(disk.NoSpace, match=r"needs 9.00 GB, has 0.00 GB, 0.00 GB of it by removing other revisions"):
        disk.make_room(models, models / "m" / "current", wanted)
    assert old.exists()


def test_a_link_among_the_revisions_is_left_alone(tmp_path: Path) -> None:
    models = tmp_path / "models"
    revision(models, "m/old", 10, 1)
    (models / "m" / "link").symlink_to(tmp_path)
    (models / "elsewhere").symlink_to(tmp_path)
    assert disk.revisions(models, models / "m" / "current") == [models / "m" / "old"]


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "disk", "disk full: /scratch"),
        (OSError(errno.EIO, "Input/output error", "/scratch/f"), "disk", "/scratch/f: Input/output error"),
        (web.Denied("s3://b/x: 403 AccessDenied"), "store", "s3://b/x: 403 AccessDenied"),
        (web.Wrong("x has 1 bytes"), "wrong", "x has 1 bytes"),
        (KeyError("secret"), "program", "KeyError in the copy"),
    ],
)
def test_what_ends_a_worker_is_one_line(error: Exception, kind: str, said: str) -> None:
    assert worker.error_of(error, Path("/scratch")) == (kind, said)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("7", 7), ("9999", 300), ("", None), (None, None), ("soon", None), ("Wed, 21 Oct 2015 07:28:00 GMT", 0)],
)
def test_retry_after_is_seconds_or_a_date(value: str | None, seconds: float | None) -> None:
    assert web.retry_after(value) == seconds


@given(st.integers(1, 1000))
def test_pauses_grow_to_a_bound(attempt: int) -> None:
    assert 0.1 <= web.backoff(attempt) <= 20
    assert web.backoff(attempt) <= 0.2 * 2.0 ** min(attempt - 1, 40)


def test_a_throttle_halves_the_connections_once_and_good_parts_bring_them_back() -> None:
    pace = worker.Pace(16)
    for _ in range(5):
        pace.throttled(0.5)
    assert pace.allowed == 8
    for _ in range(worker.WIDEN_AFTER * 3):
        pace.good()
    assert pace.allowed == 11
    for _ in range(1000):
        pace.good()
    assert pace.allowed == 16


def test_a_process_begins_with_the_token_that_its_parent_asked_for() -> None:
    asked: list[str] = []

    def found() -> tuple[str, float]:
        asked.append("token")
        return "secret", time.time() + 3600

    def source() -> TokenSource:
        return TokenSource("az://a/b/", lambda path: f"https://a/{path}", found)

    parent, child = source(), source()
    parent.request("manifest.json", {})
    child.inherit(parent)
    _, headers = child.request("config.json", {})
    assert headers["Authorization"] == "Bearer secret"
    assert asked == ["token"]


@given(st.integers(0, 3 * parts.MIB))
def test_buffers_are_whole_pages_of_their_own_that_hold_a_part(size: int) -> None:
    with disk.buffer(size) as memory:
        address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        assert address % parts.ALIGNMENT == 0
        assert len(memory) >= max(size, 1)
        assert len(memory) % parts.ALIGNMENT == 0


def test_a_process_asks_for_keys_of_its_own_at_the_address_that_its_parent_found() -> None:
    asked: list[str] = []

    def found() -> Credentials:
        asked.append("keys")
        return Credentials("AKIAEXAMPLE", "secret")

    parent = SignedSource("s3://b/f/", "https://b.s3.example/f/", "us-east-1", found, {"x-amz-a": "1"})
    parent.request("manifest.json", {})
    url, headers = parent.again().request("config.json", {"Range": "bytes=0-1"})
    assert url == "https://b.s3.example/f/config.json"
    assert (headers["x-amz-a"], headers["Range"]) == ("1", "bytes=0-1")
    assert asked == ["keys", "keys"]
