"""`spillway image` as people type it: render, validate, manifest, test, and pruning at the end of a build."""

from __future__ import annotations

import json
from pathlib import Path

import boto3
import pytest
import yaml

from images import manifest, versions
from images.manifest import Baked, Wanted
from images.node import Cloud
from spillway import image_retire, image_rungs
from tests.images.test_packer_build import IDS, aws, run
from tests.support import packer as packers

AWS_IDS = {"us-east-1": "ami-00000000000000001", "us-west-2": "ami-00000000000000003"}


def baked(version: str, when: int, ids: dict[str, str] | None = None, family: str = "spillway-vllm") -> Baked:
    return Baked(family, version, "123456789012", "5" * 64, when, ids or AWS_IDS, {"vllm": "0.33.0"})


@pytest.mark.parametrize("cloud", ["aws", "azure", "gcp", "tencent"])
def test_render_writes_what_a_bake_is_made_of(cloud: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "render", "--cloud", cloud, "--out", str(tmp_path), "--json")
    assert (code, err) == (0, "")
    told = json.loads(out)
    assert told["regions"]
    assert {f"packer/{cloud}.pkr.hcl", "packer/build.pkr.hcl", "packer/plugins.pkr.hcl"} <= set(told["files"])
    assert {"source/sbom.json", "source/install/00-base.sh", "user-data.yaml"} <= set(told["files"])
    assert (tmp_path / "user-data.yaml").read_text().startswith("#cloud-config\n")


def test_render_replaces_nothing_that_is_not_its_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "packer").mkdir()
    (tmp_path / "packer/mine.txt").write_text("mine")
    code, _, err = run(capsys, "render", "--cloud", "aws", "--out", str(tmp_path))
    assert (code, err.count("\n")) == (1, 1)
    assert "has a packer that is not of an earlier rendering" in err
    assert (tmp_path / "packer/mine.txt").read_text() == "mine"


@pytest.mark.parametrize("version", ["2026.11", "v1.2.3", "2026.11.01", "1.2.3-rc1", "", "1.2.9999999999"])
def test_a_version_that_a_gallery_would_not_take_is_refused_for_every_cloud(
    version: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("render", "--cloud", "aws", "--out", str(tmp_path / "out"), "--image-version", version)
    code, _, err = run(capsys, *words)
    assert (code, err.count("\n")) == (1, 1)
    assert "expected three numbers such as 2026.11.2" in err


def test_render_needs_no_stack_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "none").mkdir()
    words = ("render", "--cloud", "gcp", "--out", str(tmp_path / "out"), "--stacks", str(tmp_path / "none"))
    assert run(capsys, *words)[0] == 0
    assert 'project_id = "example-project"' in (tmp_path / "out/packer/gcp.pkr.hcl").read_text()


def test_a_folder_of_stack_files_that_is_not_there_is_refused_where_it_was_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = str(tmp_path / "gone")
    for words in (
        ("render", "--cloud", "aws", "--out", str(tmp_path / "out")),
        ("validate",),
        ("manifest",),
        ("build", "--cloud", "aws"),
    ):
        code, out, err = run(capsys, *words, "--stacks", gone)
        assert (code, out, err.count("\n")) == (1, "", 1)
        assert f"{gone}: there is no such folder" in err
    monkeypatch.chdir(tmp_path)  # without a `stacks`, which nobody named
    assert run(capsys, "manifest")[0] == 0


def test_nothing_is_baked_of_components_that_do_not_go_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(versions, "check", lambda: ["torch: is another one", "ray: too"])
    code, _, err = run(capsys, "render", "--cloud", "aws", "--out", str(tmp_path / "out"))
    assert (code, err.count("\n")) == (1, 1)
    assert "images/versions.yaml: torch: is another one (and 1 more" in err
    assert not (tmp_path / "out").exists()


def test_regions_come_from_the_stack_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, "render", "--cloud", "aws", "--out", str(tmp_path))
    text = (tmp_path / "packer/aws.pkr.hcl").read_text()
    assert 'region          = "us-east-1"' in text
    assert 'ami_regions     = ["us-east-2", "us-west-2"]' in text


def test_an_unknown_cloud_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(capsys, "render", "--cloud", "asw", "--out", str(tmp_path))
    assert (code, err.count("\n")) == (1, 1)
    assert "--cloud asw: has to be aws, azure, gcp or tencent" in err


def stacks(folder: Path, **changes: object) -> Path:
    """A folder with the stack file of us-east-1 and one of us-west-2 that is changed."""
    folder.mkdir()
    for name in ("us-east-1", "us-west-2"):
        data = yaml.safe_load(Path(f"stacks/Pulumi.aws-{name}.yaml").read_text())
        if name == "us-west-2":
            data["config"]["spillway:region"].update(changes)
        (folder / f"Pulumi.aws-{name}.yaml").write_text(yaml.safe_dump(data))
    return folder


def test_stack_files_of_two_accounts_ask_which_is_meant(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = stacks(tmp_path / "stacks", account="210987654321")
    words = ("render", "--cloud", "aws", "--out", str(tmp_path / "out"), "--stacks", str(folder))
    code, _, err = run(capsys, *words)
    assert (code, err.count("\n")) == (1, 1)
    assert "choose one with --account" in err
    assert run(capsys, *words, "--account", "210987654321")[0] == 0
    assert 'region          = "us-west-2"' in (tmp_path / "out/packer/aws.pkr.hcl").read_text()


def test_a_family_that_is_not_baked_here_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = stacks(tmp_path / "stacks", image={"family": "other", "version": "1.0.0"})
    code, _, err = run(capsys, "render", "--cloud", "aws", "--out", str(tmp_path / "o"), "--stacks", str(folder))
    assert code == 1
    assert "stack files want the family" in err


def test_a_stack_with_an_image_by_id_asks_for_no_copy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = stacks(tmp_path / "stacks", image={"id": "ami-0123456789abcdef0"})
    run(capsys, "render", "--cloud", "aws", "--out", str(tmp_path / "out"), "--stacks", str(folder))
    assert "ami_regions" not in (tmp_path / "out/packer/aws.pkr.hcl").read_text()


def test_validate_says_of_every_check_what_it_needs(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "validate", "--cloud", "gcp", "--json")
    told = json.loads(out)
    assert code == (0 if told["ok"] else 1)
    found = {one["check"]: one for one in told["checks"]}
    for name in ("rendering", "sbom", "hcl"):
        assert found[name]["state"] == "verified", found[name]["findings"]
    assert {"shell", "units", "nginx", "packer validate"} <= set(found)
    assert found["hcl"]["needs"] == "python-hcl2"
    assert all(one["reason"] for one in told["checks"])


def test_a_tool_that_is_missing_is_a_reason_and_no_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("images.check.tool", _no_tool)
    code, out, _ = run(capsys, "validate", "--cloud", "gcp", "--json")
    found = {one["check"]: one for one in json.loads(out)["checks"]}
    assert code == 0
    assert (found["packer validate"]["state"], found["shell"]["state"]) == ("skipped", "skipped")
    assert "packer is not on PATH" in found["packer validate"]["reason"]


def _no_tool(name: str) -> str:
    from images.check import Missing

    raise Missing(f"{name} is not installed")


def test_a_finding_is_told_and_is_exit_code_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(versions, "check", lambda: ["nvidia-driver: 1 is too old"])
    monkeypatch.setattr("images.hcl.check", lambda files: ["amazon-ebs: encrypt_boot has to be true"])
    code, out, err = run(capsys, "validate", "--cloud", "aws")
    assert code == 1
    assert "hcl: aws: amazon-ebs: encrypt_boot has to be true" in err
    assert "nvidia-driver: 1 is too old" in err
    assert "failed" in out


def test_manifest_tells_which_stack_names_an_image_that_is_not_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest.save(tmp_path, "aws", [baked("2026.11.1", 1_790_000_000)])
    code, out, _ = run(capsys, "manifest", "--manifests", str(tmp_path), "--json")
    told = json.loads(out)
    assert code == 0
    standing = {one["stack"]: (one["standing"], one["id"]) for one in told["stacks"]}
    assert standing["aws-us-east-1"] == ("baked", AWS_IDS["us-east-1"])
    assert standing["aws-us-east-2"] == ("not in region", None)
    assert standing["gcp-us-central1"] == ("not baked", None)
    assert told["images"]["aws"][0]["components"] == {"vllm": "0.33.0"}
    out = run(capsys, "manifest", "--manifests", str(tmp_path))[1]
    assert "2026-09-21" in out
    assert "not in region" in out


@pytest.mark.parametrize(
    ("wanted", "standing", "found"),
    [
        ({"family": "spillway-vllm", "version": "2"}, "baked", "ami-2"),
        ({"family": "spillway-vllm", "version": "3"}, "not baked", None),
        ({"family": "spillway-vllm", "newest": True}, "newest", "ami-2"),
        ({"family": "other", "newest": True}, "not baked", None),
        ({"id": "ami-9"}, "by id", "ami-9"),
        ({"family": "spillway-vllm", "version": "2", "account": "210987654321"}, "not baked", None),
        ({"family": "spillway-vllm", "version": "2", "region": "eu-west-1"}, "not in region", None),
    ],
)
def test_what_a_stack_file_comes_down_to(wanted: dict[str, object], standing: str, found: str | None) -> None:
    images: dict[Cloud, list[Baked]] = {
        "aws": [baked("1", 1, {"us-east-1": "ami-1"}), baked("2", 2, {"us-east-1": "ami-2"})]
    }
    fields = {"stack": "aws-us-east-1", "cloud": "aws", "region": "us-east-1", "account": "123456789012", **wanted}
    (one,) = manifest.references([Wanted(**fields)], images)  # type: ignore[arg-type]  # of the table above
    assert (one.standing, one.id) == (standing, found)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"format": 2, "cloud": "aws"}', '{"format": 1, "cloud": "gcp", "images": []}']
)
def test_a_manifest_that_is_none_is_one_line(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "manifest-aws.json").write_text(text)
    code, _, err = run(capsys, "manifest", "--manifests", str(tmp_path))
    assert (code, err.count("\n")) == (1, 1)
    assert "manifest-aws.json" in err


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("family", None), ("version", 5), ("source", []), ("account", "red\n"), ("baked", "1"), ("baked", True),
        ("baked", 10**30), ("baked", -1), ("ids", None), ("ids", ["ami-1"]), ("ids", {"us-east-1": 5}),
        ("components", "vllm"),
    ],
)  # fmt: skip
def test_an_image_in_a_manifest_that_is_of_other_types_is_one_line(key: str, value: object, tmp_path: Path) -> None:
    manifest.save(tmp_path, "aws", [baked("2026.11.1", 1_790_000_000)])
    path = tmp_path / "manifest-aws.json"
    data = json.loads(path.read_text())
    data["images"][0][key] = value
    path.write_text(json.dumps(data))
    with pytest.raises(manifest.Unreadable, match=rf"manifest-aws\.json: .*{key}") as caught:
        manifest.load(tmp_path, "aws")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"\xff\xfe{}", b"[" * 100_000])
def test_a_manifest_that_is_no_text_or_without_end_is_one_line(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "manifest-aws.json").write_bytes(content)
    with pytest.raises(manifest.Unreadable, match="is no manifest"):
        manifest.load(tmp_path, "aws")


def test_the_last_three_stay_and_what_a_stack_names_stays_longer() -> None:
    images = [baked(str(number), number) for number in range(6)] + [baked("0", 1, family="another")]
    assert [one.version for one in manifest.surplus(images, [])] == ["0", "1", "2"]
    assert [one.version for one in manifest.surplus(images, ["1"])] == ["0", "2"]
    assert manifest.surplus(images[:3], []) == []


def test_older_versions_are_named_and_deleted_only_when_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "m"
    old = [Baked("spillway-vllm", f"2026.10.{n}", "spillway-test", "5" * 64, n, {"global": f"i-{n}"}) for n in range(4)]
    manifest.save(folder, "gcp", old)
    packers.pretend(tmp_path / "bin", manifest={"artifact_id": IDS["gcp"]})
    monkeypatch.setenv("PATH", packers.on_path(tmp_path / "bin"))
    deleted: list[str] = []
    monkeypatch.setattr(image_retire, "delete", lambda bake, image: deleted.append(image.version))
    code, out, _ = run(capsys, "build", "--cloud", "gcp", "--manifests", str(folder))
    assert (code, deleted) == (0, [])
    assert "in no stack file: 2026.10.0, 2026.10.1 (--prune deletes them)" in out
    words = ("build", "--cloud", "gcp", "--manifests", str(folder), "--image-version", "2026.11.2", "--prune")
    assert run(capsys, *words)[0] == 0
    assert deleted == ["2026.10.0", "2026.10.1", "2026.10.2"]
    # The version of the stack file and the last three: one more may be there than three.
    assert [one.version for one in manifest.load(folder, "gcp")] == ["2026.10.3", "2026.11.1", "2026.11.2"]


def test_an_image_of_aws_goes_with_its_snapshots_in_every_region() -> None:
    from images.bake import Bake

    bake = Bake("aws", "spillway-vllm", "2", ("us-east-1", "us-west-2"), "123456789012")
    with aws():
        ids = {}
        for region in bake.regions:
            ec2 = boto3.client("ec2", region_name=region)
            source = ec2.describe_images()["Images"][0]["ImageId"]
            node = ec2.run_instances(ImageId=source, MinCount=1, MaxCount=1)["Instances"][0]["InstanceId"]
            ids[region] = ec2.create_image(InstanceId=node, Name="spillway-vllm-2")["ImageId"]
        mine = {region: _snapshots(region, id) for region, id in ids.items()}
        assert all(mine.values())
        image_retire.delete(bake, baked("2", 1, ids))
        for region in bake.regions:
            ec2 = boto3.client("ec2", region_name=region)
            assert ec2.describe_images(Owners=["self"])["Images"] == []
            left = {one["SnapshotId"] for one in ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]}
            assert not left & set(mine[region])
        image_retire.delete(bake, baked("2", 1, ids))  # gone already: no fault


def _snapshots(region: str, id: str) -> list[str]:
    found = boto3.client("ec2", region_name=region).describe_images(ImageIds=[id])["Images"][0]
    return [one["Ebs"]["SnapshotId"] for one in found["BlockDeviceMappings"] if "Ebs" in one]


def test_rungs_tell_what_ran_what_was_skipped_and_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "tests/images").mkdir(parents=True)
    (tmp_path / "tests/boot").mkdir()
    (tmp_path / "tests/images/test_packer.py").write_text("def test_it(): pass\n")
    (tmp_path / "tests/images/test_gate.py").write_text("def test_it(): assert 1 == 2, 'no such luck'\n")
    (tmp_path / "tests/boot/test_nspawn.py").write_text(
        "import pytest\npytest.skip('no nspawn', allow_module_level=True)\n"
    )
    monkeypatch.setattr(image_rungs, "ROOT", tmp_path)
    code, out, _ = run(capsys, "test", "--json")
    rungs = {one["rung"]: one for one in json.loads(out)["rungs"]}
    assert code == 1
    assert (rungs[1]["state"], rungs[1]["passed"]) == ("verified", 1)
    assert (rungs[2]["state"], rungs[2]["failed"]) == ("failed", 1)
    assert rungs[3]["state"] == "skipped"
    assert "no nspawn" in rungs[3]["reasons"][0]
    assert rungs[4]["reasons"] == ["there are no tests: tests/boot/test_*qemu*.py"]
    assert run(capsys, "test", "--rung", "1")[0] == 0
    assert run(capsys, "test", "--rung", "7") == (1, "", "spillway: --rung 7: has to be 1, 2, 3, 4 or 5\n")


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "--help")
    assert code == 0
    for name in ("render", "validate", "build", "manifest", "test"):
        assert f"\n  {name} " in out
