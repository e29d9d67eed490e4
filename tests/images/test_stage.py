"""The copy of the weights as a process, against moto's S3: what arrives, what is asked for, what is said."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest

from tests.support.node import staged, stores
from tests.support.node.staged import FOLDER, Machine, manifest, node, put_s3, weights
from tests.support.node.stores import Fault, Watched

SHARD = "model-00001-of-00002.safetensors"


@dataclass
class World:
    """One bucket, one metadata service, one node."""

    url: str
    s3: Watched
    metadata: stores.Metadata
    machine: Machine

    def put(self, files: dict[str, bytes], text: bytes | None = None) -> None:
        put_s3(self.url, files, text)
        self.s3.seen.clear()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    metadata = stores.Metadata()
    with stores.moto() as (url, watched), stores.serve(metadata) as imds:
        config = node(tmp_path, f"s3://{staged.BUCKET}/{FOLDER}")
        machine = Machine(tmp_path, config, {"AWS_ENDPOINT_URL": url, "SPILLWAY_METADATA": imds})
        yield World(url, watched, metadata, machine)


def test_every_file_arrives_and_complete_is_written_last(world: World) -> None:
    files = weights()
    world.put(files)
    code, journal = world.machine.run()
    assert (code, world.machine.files()) == (0, files), journal
    assert (world.machine.folder / "manifest.json").read_bytes() == manifest(files)
    told = world.machine.state()
    size = sum(map(len, files.values()))
    assert (told["state"], told["bytes"], told["total"], told["files"]) == ("ok", size, size, 5)
    assert told["path"] == str(world.machine.folder)
    complete = (world.machine.folder / ".complete").stat().st_mtime_ns
    assert all(complete >= path.stat().st_mtime_ns for path in world.machine.folder.rglob("*") if path.is_file())
    assert not (world.machine.folder / ".parts").exists()


def test_requests_are_the_instances_own_and_name_the_buckets_owner(world: World) -> None:
    world.put(weights())
    assert world.machine.run()[0] == 0
    for one in world.s3.seen:
        assert f"Credential={stores.KEY_ID}/" in one.headers["authorization"]
        assert one.headers["x-amz-security-token"] == stores.SESSION
        assert one.headers["x-amz-expected-bucket-owner"] == "123456789012"


def test_large_files_come_in_parts_side_by_side_and_nothing_comes_twice(world: World) -> None:
    files = weights(3_500_000)
    world.put(files)
    world.s3.faults = [Fault(".safetensors", "slow", 4_000_000)]
    assert world.machine.run()[0] == 0
    assert len(world.s3.requests(SHARD)) == 4
    assert world.s3.bytes(SHARD) == 3_500_000
    assert 3 <= world.s3.most <= 4 + 1  # an answer may end a moment after its last byte has come


def test_a_copy_that_is_whole_is_done_at_once_without_asking_anybody(world: World) -> None:
    world.put(weights())
    assert world.machine.run()[0] == 0
    world.s3.seen.clear()
    world.metadata.down = True
    code, journal = world.machine.run()
    assert (code, world.s3.seen, world.machine.state()["state"]) == (0, [], "ok")
    assert "is there already" in journal


def test_a_whole_copy_that_lost_a_file_is_mended(world: World) -> None:
    files = weights()
    world.put(files)
    assert world.machine.run()[0] == 0
    (world.machine.folder / SHARD).unlink()
    assert world.machine.run()[0] == 0
    assert world.machine.files() == files


def test_killed_in_the_middle_it_goes_on_and_fetches_only_what_is_missing(world: World) -> None:
    files = weights(200_000_000, shards=1)
    part = 4 << 20
    config = node(world.machine.tmp, world.machine.config.model.uri, staging={"partMib": 4})
    world.machine = Machine(world.machine.tmp, config, world.machine.environment)
    name = "model-00001-of-00001.safetensors"
    world.put(files)
    world.s3.faults = [Fault(name, "slow", 40_000_000, times=40)]
    process = world.machine.start()
    journal = world.machine.folder / ".parts"
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline and (not journal.exists() or journal.read_text().count("p ") < 20):
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    parts = sum(line.startswith("p ") and line.endswith("\n") for line in journal.read_text().splitlines(keepends=True))
    assert 20 <= parts < 48
    time.sleep(0.3)  # answers under way end
    world.s3.seen.clear()
    world.s3.faults.clear()
    code, said = world.machine.run()
    assert code == 0, said
    done = sum(1 for line in said.splitlines() if "of it here" in line)
    assert done == 1
    # Small files may have been whole before; of the large one every part is fetched in exactly one of the runs.
    assert 200_000_000 - parts * part <= world.s3.bytes(name) <= 200_000_000 - (parts - 3) * part
    assert world.machine.files() == files


def test_a_part_that_was_damaged_on_the_disk_meanwhile_is_found_by_the_hash_and_the_file_fetched_again(
    world: World,
) -> None:
    files = weights(3_000_000, shards=1)
    name = "model-00001-of-00001.safetensors"
    world.put(files)
    world.s3.faults = [Fault(name, "status", 403, skip=2)]
    process = world.machine.start()
    journal = world.machine.folder / ".parts"
    while not journal.exists() or journal.read_text().count("p 1 ") < 2:
        time.sleep(0.02)
    time.sleep(0.5)
    process.kill()
    process.communicate()
    written = [int(line.split()[2]) for line in journal.read_text().splitlines() if line.startswith("p 1 ")]
    with (world.machine.folder / name).open("r+b") as file:
        file.seek(written[-1] << 20)
        file.write(b"damaged on the disk")
    world.s3.faults.clear()
    code, said = world.machine.run()
    assert code == 0, said
    assert "wrong checksum" in said
    assert world.machine.files() == files


def test_a_wrong_checksum_is_fetched_again_once_and_then_refused(world: World) -> None:
    files = weights()
    text = manifest(files)
    world.put({**files, SHARD: files[SHARD][:-1] + b"?"}, text)
    code, journal = world.machine.run()
    assert code == 1
    assert world.s3.bytes(SHARD) == 2 * len(files[SHARD])
    told = world.machine.state()
    assert told["state"] == "failed"
    assert told["reason"].startswith(f"wrong checksum, fetched twice: {SHARD} has sha256 ")
    assert told["reason"] in journal
    assert not (world.machine.folder / ".complete").exists()


def test_a_byte_that_flips_on_the_way_once_heals(world: World) -> None:
    files = weights()
    world.put(files)
    world.s3.faults = [Fault(SHARD, "flip", 1000, times=1)]
    code, journal = world.machine.run()
    assert code == 0, journal
    assert f"{SHARD}: wrong checksum" in journal
    assert world.machine.files() == files


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (Fault("manifest.json", "status", 404, times=1), "404"),
        (Fault("manifest.json", "status", 403, times=1), "403"),
        (Fault(SHARD, "status", 404, times=1), f"{SHARD}: 404"),
        (Fault(SHARD, "status", 403, times=1), f"{SHARD}: 403"),
    ],
    ids=["no manifest", "no rights to it", "no file", "no rights to a file"],
)
def test_what_is_missing_or_denied_is_said_in_one_line_and_asked_again(world: World, fault: Fault, said: str) -> None:
    files = weights()
    world.put(files)
    world.s3.faults = [fault]
    process = world.machine.start()
    try:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            if (world.machine.tmp / "run/stage.json").exists() and world.machine.state()["state"] == "failed":
                break
            time.sleep(0.02)
        told = world.machine.state()
        assert told["state"] == "failed"
        assert said in told["reason"]
        assert "asked again" in told["reason"]
    finally:
        _, journal = process.communicate(timeout=180)
    assert (process.returncode, world.machine.state()["state"]) == (0, "ok"), journal
    assert sum(said in line for line in journal.splitlines()) == 1
    assert world.machine.files() == files


def test_nothing_in_the_bucket_names_the_command_that_fills_it(world: World) -> None:
    process = world.machine.start()
    time.sleep(3)
    process.kill()
    _, journal = process.communicate()
    assert "404 NoSuchBucket: no manifest; `spillway models push` writes it last; asked again, for ever" in journal


def test_throttling_is_honoured(world: World) -> None:
    files = weights(6_000_000)
    world.put(files)
    world.s3.faults = [Fault(SHARD, "status", 503, times=3, headers={"Retry-After": "1"})]
    began = time.monotonic()
    code, journal = world.machine.run()
    assert code == 0, journal
    assert time.monotonic() - began > 1
    assert world.machine.files() == files
    assert world.s3.bytes(SHARD) == 6_000_000


def test_a_body_that_breaks_off_goes_on_where_it_broke(world: World) -> None:
    files = weights(3_000_000)
    world.put(files)
    world.s3.faults = [Fault(SHARD, "cut", 300_000, times=5)]
    code, journal = world.machine.run()
    assert code == 0, journal
    assert world.machine.files() == files
    assert world.s3.bytes(SHARD) <= 3_000_000


def test_an_object_of_another_length_is_refused_in_one_line(world: World) -> None:
    files = weights()
    text = manifest(files)
    world.put({**files, SHARD: files[SHARD][:-500]}, text)
    code, journal = world.machine.run()
    assert code == 1
    reason = world.machine.state()["reason"]
    assert reason == f"{SHARD} has 2,999,500 bytes in the store, the manifest says 3,000,000"
    assert journal.splitlines()[-1] == reason


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"model.safetensors": b"x"}, "unknown model format: no config.json in the manifest"),
        ({"config.json": b"{}", "model.bin": b"x"}, "unknown model format: no *.safetensors in the manifest"),
    ],
)
def test_an_unknown_format_is_never_served(world: World, files: dict[str, bytes], said: str) -> None:
    world.put(files)
    code, journal = world.machine.run()
    assert code == 1
    assert said in world.machine.state()["reason"]
    assert said in journal
    assert not world.machine.folder.exists()


@pytest.mark.parametrize("path", ["../../etc/passwd", "/etc/passwd", "a/../../b", "a//b", ".complete", "manifest.json"])
def test_a_path_that_leads_out_of_the_folder_is_refused(world: World, path: str) -> None:
    files = weights()
    body = json.loads(manifest(files))
    body["files"][0]["path"] = path
    world.put(files, json.dumps(body).encode())
    code, journal = world.machine.run()
    assert code == 1
    assert "files[0].path" in world.machine.state()["reason"], journal
    assert not world.machine.folder.exists()


def test_a_link_in_the_way_is_not_followed(world: World, tmp_path: Path) -> None:
    world.put(weights())
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(b"mine")
    world.machine.folder.mkdir(parents=True)
    (world.machine.folder / SHARD).symlink_to(elsewhere)
    code, _ = world.machine.run()
    assert code == 1
    assert world.machine.state()["state"] == "failed"
    assert elsewhere.read_bytes() == b"mine"


def test_many_small_files_arrive(world: World) -> None:
    files = {**weights(100_000), **{f"extra/{n % 7}/{n}.json": staged.noise(n * 13 % 3000, n) for n in range(400)}}
    world.put(files)
    code, journal = world.machine.run()
    assert code == 0, journal
    assert world.machine.files() == files


def test_streaming_checks_the_manifest_and_copies_nothing(world: World) -> None:
    files = weights()
    world.put(files)
    config = node(world.machine.tmp, world.machine.config.model.uri, model={"loadFormat": "stream"})
    machine = Machine(world.machine.tmp, config, world.machine.environment)
    assert machine.run()[0] == 0
    assert [one.path.rpartition("/")[2] for one in world.s3.seen] == ["manifest.json"]
    assert machine.state() | {"since": 0} == {
        "state": "ok",
        "reason": "streamed by the engine",
        "since": 0,
        "path": config.model.uri,
        "bytes": sum(map(len, files.values())),
        "total": sum(map(len, files.values())),
        "files": 5,
    }


def test_state_is_written_once_a_second_at_most(world: World) -> None:
    world.put(weights(4_000_000))
    world.s3.faults = [Fault(".safetensors", "slow", 600_000)]
    process = world.machine.start()
    seen = set()
    while process.poll() is None:
        if (world.machine.tmp / "run/stage.json").exists():
            seen.add((world.machine.tmp / "run/stage.json").stat().st_mtime_ns)
        time.sleep(0.01)
    process.communicate()
    stamps = sorted(seen)
    assert len(stamps) > 3
    gaps = [(b - a) / 1e9 for a, b in pairwise(stamps[1:-1])]
    assert min(gaps) > 0.9


def test_without_an_identity_it_waits_and_says_so(world: World) -> None:
    files = weights()
    world.put(files)
    world.metadata.down = True
    process = world.machine.start()
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if (world.machine.tmp / "run/stage.json").exists() and world.machine.state()["state"] == "failed":
            break
        time.sleep(0.05)
    assert "no credentials from the metadata service" in world.machine.state()["reason"]
    world.metadata.down = False
    assert process.wait(60) == 0
    assert world.machine.files() == files


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to give a folder to somebody else")
def test_as_root_the_copy_belongs_to_the_owner_of_scratch(world: World) -> None:
    world.put(weights())
    for folder in (world.machine.tmp, *world.machine.tmp.parents):
        if folder.stat().st_uid == 0 and str(folder).startswith("/tmp/") and folder != Path("/tmp"):
            folder.chmod(0o755)
    os.chown(world.machine.tmp / "scratch", 12345, 12345)
    code, journal = world.machine.run()
    assert code == 0, journal
    assert (world.machine.folder / SHARD).stat().st_uid == 12345
    assert world.machine.folder.stat().st_uid == 12345


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to mount a small file system")
def test_a_disk_that_is_too_small_is_said_before_anything_is_fetched(world: World) -> None:
    world.put(weights(6_000_000))
    scratch = world.machine.tmp / "scratch"
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(scratch)], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounts are not allowed here")
    try:
        code, journal = world.machine.run()
        assert code == 1
        assert world.machine.state()["reason"] == f"{scratch}/models: needs 0.28 GB, has 0.01 GB"
        assert journal.splitlines()[-1] == world.machine.state()["reason"]
        assert world.s3.bytes(".safetensors") == 0
    finally:
        subprocess.run(["umount", str(scratch)], check=True)
