"""`spillway models` as a person and a script see it, in the stand-in's buckets."""

from __future__ import annotations

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from infra import naming
from infra.config import load_stack_file
from sandbox.clouds import VARIABLE, claim
from sandbox.kinds import Resource
from sandbox.store import Store
from spillway.cli import main
from spillway.models import transfer
from tests.unit.models.snapshots import COMMIT, snapshot
from tests.unit.region_commands import Run, runner, two_regions
from tests.unit.stack_data import SHIPPED, STACKS

ACCOUNT = "123456789012"
REGIONS = ("us-east-1", "us-west-2")
MODEL = "deepseek-r1-distill-llama-70b"
NAMED = "2025-01-20"
"""What the shipped stack files name."""
BUCKET = "aws:s3/bucket:Bucket"


@pytest.fixture(autouse=True)
def sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A sandbox in which both regions' `up` has made the buckets."""
    directory = tmp_path / "sandbox"
    monkeypatch.setenv(VARIABLE, str(directory))
    monkeypatch.setattr(transfer, "part_bytes", lambda size: 2000)
    claim(directory)
    store = Store(directory)
    with store.transaction(write=True) as tx:
        for region in REGIONS:
            name = naming.bucket_name(ACCOUNT, region)
            tx.put("aws", Resource(BUCKET, name, region, ACCOUNT, {}, {"bucket": name}, "2026-11-26T12:00:00Z"))
    store.close()
    return directory


@pytest.fixture
def stacks(tmp_path: Path) -> Path:
    return two_regions(tmp_path / "stacks")


@pytest.fixture
def run(stacks: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    return runner("models", stacks, capsys)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    return snapshot(tmp_path / "hub")


def regions(answer: tuple[int, str, str]) -> dict[str, Any]:
    return {one["stack"]: one for one in json.loads(answer[1])["regions"]}


def objects(sandbox: Path, region: str) -> Path:
    (found,) = (sandbox / "models" / naming.bucket_name(ACCOUNT, region)).iterdir()
    return found / "objects" / "models"


def test_a_revision_goes_to_every_region_and_only_once(run: Any, sandbox: Path, weights: Path) -> None:
    first = run("push", str(weights), "--revision", NAMED, "--json")
    assert first[0] == 0
    assert {stack: one["state"] for stack, one in regions(first).items()} == {
        "aws-us-east-1": "pushed", "aws-us-west-2": "pushed",
    }  # fmt: skip
    for region in REGIONS:
        folder = objects(sandbox, region) / MODEL / NAMED
        assert sorted(p.name for p in folder.iterdir()) == [
            "config.json", "manifest.json", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors",
            "model.safetensors.index.json", "tokenizer.json",
        ]  # fmt: skip
        listed = json.loads((folder / "manifest.json").read_text())
        assert {file["path"]: file["size"] for file in listed["files"]}["model-00002-of-00002.safetensors"] == 7000
    again = regions(run("push", str(weights), "--revision", NAMED, "--json"))
    assert {(one["state"], one["bytesSent"]) for one in again.values()} == {("unchanged", 0)}


def test_the_revision_of_a_snapshot_is_its_commit(run: Any, weights: Path, tmp_path: Path) -> None:
    assert json.loads(run("push", str(weights), "--json")[1])["revision"] == COMMIT
    shutil.copytree(weights, tmp_path / "elsewhere")
    code, _, err = run("push", str(tmp_path / "elsewhere"))
    assert code == 1
    assert "is not named by a commit: say the revision with --revision" in err


def test_a_push_that_broke_off_has_no_manifest_and_goes_on(
    run: Any, sandbox: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from spillway.models.directory import _Parts
    from spillway.models.store import BucketError

    whole = _Parts.put

    def breaking(self: _Parts, number: int, data: bytes) -> bool:
        if number == 3 and "us-west-2" in self._store.where:
            raise BucketError("the line broke")
        return whole(self, number, data)

    monkeypatch.setattr(_Parts, "put", breaking)
    code, out, _ = run("push", str(weights), "--revision", NAMED)
    assert code == 1
    assert "the line broke" in out
    assert out.splitlines()[-1] == "not everywhere: aws-us-west-2 failed; the same command goes on where it left off"
    assert not (objects(sandbox, "us-west-2") / MODEL / NAMED / "manifest.json").exists()
    monkeypatch.setattr(_Parts, "put", whole)
    again = regions(run("push", str(weights), "--revision", NAMED, "--json"))
    assert again["aws-us-east-1"]["state"] == "unchanged"
    assert again["aws-us-west-2"]["state"] == "pushed"
    assert 0 < again["aws-us-west-2"]["bytesSent"] < 12_000, "what had arrived was not sent again"
    assert run("verify")[0] == 0


def test_a_revision_is_fixed(run: Any, weights: Path, tmp_path: Path) -> None:
    assert run("push", str(weights), "--revision", NAMED)[0] == 0
    other = snapshot(tmp_path / "other", seed=9)
    code, out, _ = run("push", str(other), "--revision", NAMED)
    assert code == 1
    assert "is there with other files: a revision is fixed" in out


def test_dry_run_sends_nothing(run: Any, sandbox: Path, weights: Path) -> None:
    found = regions(run("push", str(weights), "--revision", NAMED, "--dry-run", "--json"))
    assert {(one["state"], one["files"]) for one in found.values()} == {("would push", 5)}
    assert not (sandbox / "models").exists()


def test_sync_copies_what_the_source_names_to_the_others(run: Any, weights: Path) -> None:
    assert run("push", str(weights), "--revision", NAMED, "--stack", "aws-us-east-1")[0] == 0
    answer = run("sync", "--from", "aws-us-east-1", "--json")
    assert answer[0] == 0
    assert {stack: one["state"] for stack, one in regions(answer).items()} == {"aws-us-west-2": "pushed"}
    assert run("verify")[0] == 0
    assert regions(run("sync", "--from", "aws-us-west-2", "--json"))["aws-us-east-1"]["state"] == "unchanged"


def test_sync_of_a_damaged_copy_stops_before_its_manifest(run: Any, sandbox: Path, weights: Path) -> None:
    assert run("push", str(weights), "--revision", NAMED, "--stack", "aws-us-east-1")[0] == 0
    shard = objects(sandbox, "us-east-1") / MODEL / NAMED / "model-00002-of-00002.safetensors"
    data = bytearray(shard.read_bytes())
    data[4567] ^= 1
    shard.write_bytes(data)
    code, out, _ = run("sync", "--from", "aws-us-east-1")
    assert code == 1
    assert "model-00002-of-00002.safetensors: sha256 is not the manifest's" in out
    assert not (objects(sandbox, "us-west-2") / MODEL / NAMED / "manifest.json").exists()


def test_verify_finds_one_flipped_bit_and_quick_does_not(run: Any, sandbox: Path, weights: Path) -> None:
    assert run("push", str(weights), "--revision", NAMED)[0] == 0
    shard = objects(sandbox, "us-west-2") / MODEL / NAMED / "model-00001-of-00002.safetensors"
    data = bytearray(shard.read_bytes())
    data[0] ^= 1
    shard.write_bytes(data)
    assert run("verify", "--quick")[0] == 0
    code, out, _ = run("verify", "--json")
    assert code == 1
    found = {one["stack"]: (one["ok"], one["faults"]) for one in json.loads(out)["regions"]}
    assert found["aws-us-east-1"] == (True, [])
    assert found["aws-us-west-2"] == (
        False, ["model-00001-of-00002.safetensors: its content is another (sha256 differs)"],
    )  # fmt: skip
    shard.unlink()
    assert "model-00001-of-00002.safetensors: is missing" in run("verify", "--quick")[1]


def test_a_push_mends_a_copy_that_lost_a_file(run: Any, sandbox: Path, weights: Path) -> None:
    assert run("push", str(weights), "--revision", NAMED)[0] == 0
    (objects(sandbox, "us-west-2") / MODEL / NAMED / "config.json").unlink()
    states = [one["state"] for one in regions(run("list", "--json"))["aws-us-west-2"]["revisions"]]
    assert states == ["damaged"]
    again = regions(run("push", str(weights), "--revision", NAMED, "--json"))
    assert (again["aws-us-west-2"]["state"], again["aws-us-west-2"]["files"]) == ("pushed", 1)
    assert run("verify")[0] == 0


def test_list_says_what_is_served_and_what_is_missing(run: Any, weights: Path) -> None:
    assert run("push", str(weights), "--revision", NAMED, "--stack", "aws-us-east-1")[0] == 0
    code, out, _ = run("list")
    assert code == 0
    rows = {line.split()[0]: line.split() for line in out.splitlines()[1:]}
    assert rows["aws-us-east-1"][2:4] == [NAMED, "served"]
    assert rows["aws-us-west-2"][2:5] == [NAMED, "not", "there"]
    assert "nodes stay unready until it is pushed" in out


def test_before_the_first_up_there_is_no_bucket(run: Any, stacks: Path, weights: Path) -> None:
    shutil.copy(STACKS / "Pulumi.aws-us-east-2.yaml", stacks)
    code, out, _ = run("push", str(weights), "--revision", NAMED, "--model", MODEL, "--stack", "aws-us-east-2")
    assert code == 1
    assert "spillway-models-123456789012-us-east-2 (sandbox): not there; the stack's `up` makes it" in out


def pushed(run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Revisions pushed a day apart, each of its own files."""
    from datetime import datetime, timedelta

    from spillway.models import manifest

    real = manifest.make
    for number, name in enumerate(names):
        folder = snapshot(tmp_path / f"revision-{name}", seed=100 * number)

        def dated(model: str, revision: str, files: Any, created: datetime, day: int = number) -> Any:
            return real(model, revision, files, datetime.fromisoformat("2026-11-01T00:00:00+00:00") + timedelta(day))

        monkeypatch.setattr(manifest, "make", dated)
        assert run("push", str(folder), "--revision", name)[0] == 0


def test_the_last_three_stay_and_so_does_what_a_stack_file_names(
    run: Any, sandbox: Path, stacks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pushed(run, tmp_path, monkeypatch, NAMED, "r1", "r2", "r3", "r4")
    folder = tmp_path / "revision-r4"
    newest = folder / "snapshots" / COMMIT
    code, out, _ = run("push", str(newest), "--revision", "r4")
    assert code == 0
    assert "aws-us-east-1: older than the last 3 and named by no stack file: r1; --prune deletes them" in out
    assert (objects(sandbox, "us-east-1") / MODEL / "r1").exists()
    answer = regions(run("push", str(newest), "--revision", "r4", "--prune", "--json"))
    assert {tuple(one["pruned"]) for one in answer.values()} == {("r1",)}
    for region in REGIONS:
        left = sorted(p.name for p in (objects(sandbox, region) / MODEL).iterdir() if any(p.iterdir()))
        assert left == [NAMED, "r2", "r3", "r4"]


def test_nothing_is_pruned_while_a_stack_file_cannot_be_read(run: Any, stacks: Path, weights: Path) -> None:
    (stacks / "Pulumi.aws-eu-west-1.yaml").write_text("config: {}\n")
    code, out, err = run("push", str(weights), "--revision", "x", "--prune", "--stack", "aws-us-east-1")
    assert (code, out) == (1, "")
    assert "stacks/Pulumi.aws-eu-west-1.yaml" in err


def test_rollback_changes_one_line_of_each_stack_file_and_says_what_follows(
    run: Any, stacks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pushed(run, tmp_path, monkeypatch, "older", "before", NAMED, "later")
    before = {path: path.read_bytes() for path in stacks.iterdir()}
    code, out, _ = run("rollback", "--dry-run")
    assert code == 0
    assert f"stacks/Pulumi.aws-us-east-1.yaml: would name {MODEL} before, not {NAMED}" in out
    assert {path: path.read_bytes() for path in stacks.iterdir()} == before
    code, out, _ = run("rollback")
    assert code == 0
    assert "  spillway sandbox run -- pulumi up --stack aws-us-west-2" in out
    for path, old in before.items():
        changed = [
            (was, now) for was, now in zip(old.splitlines(), path.read_bytes().splitlines(), strict=True) if was != now
        ]
        if "global" in path.name:
            assert changed == []
            continue
        ((was, now),) = changed
        assert now == was.replace(NAMED.encode(), b"before")
        assert load_stack_file(path).model.revision == "before"
    assert run("rollback", "--to", NAMED)[0] == 0
    assert {path: path.read_bytes() for path in stacks.iterdir()} == before


def test_rollback_leaves_stack_files_of_other_models_alone(
    run: Any, stacks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pushed(run, tmp_path, monkeypatch, "before", NAMED)
    shutil.copy(STACKS / "Pulumi.aws-us-east-2.yaml", stacks)
    assert "say which with --model" in run("rollback")[2]
    answer = run("rollback", "--model", MODEL, "--json")
    assert {one["stack"]: one["from"] for one in json.loads(answer[1])["stacks"]} == {
        "aws-us-east-1": NAMED, "aws-us-west-2": NAMED,
    }  # fmt: skip
    code, _, err = run("rollback", "--model", "nobodys-model")
    assert (code, err) == (1, "spillway: --model nobodys-model: no stack file that was chosen names it\n")


def test_rollback_changes_no_file_while_one_region_lacks_the_revision(run: Any, stacks: Path, weights: Path) -> None:
    assert run("push", str(weights), "--revision", "r1", "--stack", "aws-us-east-1")[0] == 0
    before = {path: path.read_bytes() for path in stacks.iterdir()}
    code, out, err = run("rollback", "--to", "r1")
    assert (code, out) == (1, "")
    assert "aws-us-west-2: s3://spillway-models-123456789012-us-west-2 (sandbox) has no " in err
    assert err.splitlines()[-1].endswith("no stack file was changed")
    code, _, err = run("rollback")
    assert code == 1
    assert "the revision before is not the same everywhere (none in aws-us-west-2; r1 in aws-us-east-1)" in err
    assert {path: path.read_bytes() for path in stacks.iterdir()} == before


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["push", "/none", "--revision", "x"], "/none: no such folder"),
        (["push", "/none", "--revision", "a/b"], "--revision a/b: has to be a commit hash or a word"),
        (["push", "/none", "--revision", "x", "--model", "A"], "--model A: has to be a model name in lower case"),
        (["sync", "--from", "aws-us-west-2"], "s3://spillway-models-123456789012-us-west-2 (sandbox): deepseek-"),
        (["sync", "--from", "nowhere"], "--from nowhere: no region stack"),
        (["list", "--stack", "nowhere"], "--stack nowhere: no region stack of "),
        (["list", "--profile", "x"], "models: --profile x goes without --sandbox"),
    ],
)
def test_wrong_use_is_one_line(run: Any, arguments: list[str], told: str) -> None:
    code, out, err = run(*arguments)
    assert (code, out) == (1, "")
    assert err.startswith(f"spillway: {told}")
    assert err.count("\n") == 1


def test_a_model_goes_where_it_is_served_and_a_new_one_everywhere(run: Any, stacks: Path, weights: Path) -> None:
    shutil.copy(STACKS / "Pulumi.aws-us-east-2.yaml", stacks)  # serves another model
    code, _, err = run("push", str(weights), "--revision", NAMED)
    assert code == 1
    told = "models push: the stack files name deepseek-r1, deepseek-r1-distill-llama-70b: say which with --model"
    assert err == f"spillway: {told}\n"
    served = regions(run("push", str(weights), "--revision", NAMED, "--model", MODEL, "--json"))
    assert set(served) == {"aws-us-east-1", "aws-us-west-2"}
    fresh = regions(run("push", str(weights), "--revision", NAMED, "--model", "new-model", "--json"))
    assert set(fresh) == {"aws-us-east-1", "aws-us-east-2", "aws-us-west-2"}


def test_the_folder_is_the_one_that_nodes_are_told(run: Any, sandbox: Path, weights: Path, stacks: Path) -> None:
    from infra.node_config import model_prefix

    assert run("push", str(weights), "--revision", NAMED)[0] == 0
    config = load_stack_file(stacks / "Pulumi.aws-us-east-1.yaml")
    assert (objects(sandbox, "us-east-1").parent / model_prefix(config) / "manifest.json").is_file()


def test_reset_takes_the_buckets_with_the_sandbox(run: Any, sandbox: Path, weights: Path) -> None:
    assert run("push", str(weights), "--revision", NAMED)[0] == 0
    assert main(["sandbox", "reset", "--yes"]) == 0
    assert not sandbox.exists()


def test_one_region_that_cannot_be_reached_keeps_no_other_from_being_shown(
    run: Any, stacks: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from spillway.errors import SpillwayError
    from spillway.models import stores

    real = stores.open_store

    def opening(config: Any, *rest: Any) -> Any:
        if config.region == "us-west-2":
            raise SpillwayError("AWS, us-west-2: the credentials have expired")
        return real(config, *rest)

    monkeypatch.setattr(stores, "open_store", opening)
    assert run("push", str(weights), "--revision", NAMED, "--stack", "aws-us-east-1")[0] == 0
    code, out, _ = run("list")
    assert code == 1
    assert "served" in out
    assert "the credentials have expired" in out


def test_ctrl_c_ends_the_transfers_of_all_regions_and_leaves_what_arrived(
    run: Any, sandbox: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import threading

    from spillway import regions as side
    from spillway.models.directory import _Parts

    started, parts = threading.Event(), []
    whole = _Parts.put

    def slow(self: _Parts, number: int, data: bytes) -> bool:
        started.set()
        threading.Event().wait(0.2)
        parts.append(number)
        return whole(self, number, data)

    class Interrupted(ThreadPoolExecutor):
        """Ctrl-C meets the main thread while it waits for the regions."""

        def submit(self, *arguments: Any, **more: Any) -> Any:
            future = super().submit(*arguments, **more)

            def result(timeout: float | None = None) -> Any:
                started.wait(5)
                raise KeyboardInterrupt

            monkeypatch.setattr(future, "result", result)
            return future

    monkeypatch.setattr(_Parts, "put", slow)
    monkeypatch.setattr(side, "ThreadPoolExecutor", Interrupted)
    assert run("push", str(weights), "--revision", NAMED)[0] == 130
    assert len(parts) < 14, "no region goes on to its end"
    assert not list((sandbox / "models").rglob("manifest.json"))


def test_before_the_first_up_list_has_no_fault_to_tell_and_rollback_nothing_to_name(run: Any, stacks: Path) -> None:
    shutil.copy(STACKS / "Pulumi.aws-us-east-2.yaml", stacks)
    code, out, _ = run("list", "--stack", "aws-us-east-2")
    assert code == 0
    assert "no bucket" in out
    code, _, err = run("rollback", "--stack", "aws-us-east-1")
    assert (code, err.count("\n")) == (1, 1)
    assert "no bucket holds a whole revision from before the present one" in err


def test_a_region_that_was_never_deployed_is_skipped_and_named_it_is_a_failure(
    run: Any, stacks: Path, weights: Path
) -> None:
    absent = "aws-us-east-2"
    text = (SHIPPED / f"Pulumi.{absent}.yaml").read_text().replace("deepseek-r1\n", f"{MODEL}\n")
    (stacks / f"Pulumi.{absent}.yaml").write_text(text.replace("dtype: fp8", "dtype: bfloat16"))
    code, out, err = run("push", str(weights), "--revision", NAMED)
    assert code == 0, (out, err)
    assert err.startswith(f"spillway: {absent} is skipped: ")
    assert "the stack's `up` makes it" in err
    assert absent not in out
    named = run("push", str(weights), "--revision", NAMED, "--json", "--stack", absent, "--stack", "aws-us-east-1")
    assert named[0] == 1
    assert {stack: one["state"] for stack, one in regions(named).items()} == {
        absent: "failed", "aws-us-east-1": "unchanged",
    }  # fmt: skip
    synced = run("sync", "--from", "aws-us-east-1", "--json")
    assert synced[0] == 0
    assert regions(synced)[absent]["state"] == "skipped"


def test_where_no_bucket_is_there_everything_is_skipped_and_the_exit_code_is_1(
    run: Any, sandbox: Path, weights: Path
) -> None:
    shutil.rmtree(sandbox)
    code, out, err = run("push", str(weights), "--revision", NAMED)
    assert code == 1
    assert err.count(" is skipped: ") == 2
    assert "failed" not in out


def test_other_files_under_a_fixed_revision_are_not_promised_to_go_on(run: Any, weights: Path) -> None:
    assert run("push", str(weights), "--revision", NAMED)[0] == 0
    (weights / "config.json").unlink()
    (weights / "config.json").write_text('{"another": true}')
    code, out, _ = run("push", str(weights), "--revision", NAMED)
    assert code == 1
    assert "a revision is fixed" in out.replace("\n", " ")
    assert out.splitlines()[-1] == "not everywhere: aws-us-east-1, aws-us-west-2 failed; say another --revision"
