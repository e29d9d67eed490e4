"""Packer's side of an image: HCL for every cloud, what it may hold, and the archive that goes to the builder."""

from __future__ import annotations

import dataclasses
import io
import re
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest
import yaml

from images import bake as source
from images import hcl, tree
from images.bake import Bake, Step
from images.node import Cloud

GOLDEN = Path(__file__).parent / "golden/packer"
CHECKSUM = "5" * 64
COMPONENTS = {"cuda": "13.0", "dcgm": "1:4.6.0-1", "nvidia-driver": "580.173.02", "torch": "2.14.0+cu130"}
BAKES: dict[Cloud, Bake] = {
    "aws": Bake("aws", "spillway-vllm", "2026.11.1", ("us-east-1", "us-west-2"), "123456789012"),
    "azure": Bake(
        "azure",
        "spillway-vllm",
        "2026.11.1",
        ("eastus", "westeurope"),
        "00000000-0000-4000-8000-000000000000",
        gallery="spillway",
        resource_group="spillway-images",
        replicas=2,
    ),
    "gcp": Bake(
        "gcp",
        "spillway-vllm",
        "2026.11.1",
        ("us-central1",),
        "spillway-test",
        "spillway-vllm-2026-11-1",
        "us-central1-a",
    ),
    "tencent": Bake(
        "tencent",
        "spillway-vllm",
        "2026.11.1",
        ("ap-guangzhou", "ap-singapore"),
        "100000000000",
        "spillway-vllm-2026-11-1",
        "ap-guangzhou-6",
    ),
}
CLOUDS: tuple[Cloud, ...] = tuple(BAKES)


def rendered(cloud: Cloud, *, modern: bool = True) -> dict[str, str]:
    return source.render_hcl(
        BAKES[cloud],
        archive_sha256="a" * 64,
        checksum=CHECKSUM,
        components=COMPONENTS,
        scripts=[Step("00-base.sh"), Step("90-clean.sh")],
        modern=modern,
    )


def files(folder: Path) -> dict[str, bytes | str]:
    return {
        str(path.relative_to(folder)): str(path.readlink()) if path.is_symlink() else path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_symlink() or path.is_file()
    }


@pytest.mark.parametrize("cloud", CLOUDS)
def test_hcl_is_what_was_looked_at(cloud: Cloud) -> None:
    """`python -m tests.images.test_packer` writes the golden files anew; read the difference."""
    assert rendered(cloud)[f"{cloud}.pkr.hcl"] == (GOLDEN / f"{cloud}.pkr.hcl").read_text()


def test_what_is_done_on_a_builder_is_what_was_looked_at() -> None:
    assert rendered("azure")["build.pkr.hcl"] == (GOLDEN / "build.pkr.hcl").read_text()


@pytest.mark.parametrize("cloud", CLOUDS)
def test_every_option_is_one_of_the_pinned_plugins(cloud: Cloud) -> None:
    assert hcl.check(rendered(cloud)) == []


@pytest.mark.parametrize("cloud", CLOUDS)
def test_plugins_are_pinned_to_one_version(cloud: Cloud) -> None:
    block = hcl.parse(rendered(cloud)["plugins.pkr.hcl"])["packer"][0]
    pinned = source.pins()["plugins"][cloud]
    assert block["required_plugins"][0][pinned["name"]] == {
        "source": pinned["source"],
        "version": f"= {pinned['version']}",
    }


def test_the_schema_is_of_the_pinned_plugins() -> None:
    """A plugin that is raised asks for its options to be read again."""
    for cloud, builder in source.BUILDERS.items():
        assert f"/v{source.pins()['plugins'][cloud]['version']}/" in hcl.schema()[builder]["source"]
    assert f"/v{source.pins()['core']['version']}/" in hcl.schema()["shell"]["source"]


@pytest.mark.parametrize(
    ("cloud", "old", "new", "said"),
    [
        ("aws", 'imds_support = "v2.0"', 'imds_suport = "v2.0"', "imds_suport is no option of it"),
        ("aws", 'http_tokens                 = "required"', 'http_tokens = "optional"', "http_tokens has to be"),
        ("aws", "encrypt_boot = true", "encrypt_boot = false", "encrypt_boot has to be true"),
        ("aws", "encrypt_boot = true", 'encrypt_boot = true\n  ami_groups = ["all"]', "ami_groups shares the image"),
        ("aws", 'owners      = ["099720109477"]', "owners = []", "owners has to be account ids"),
        ("aws", "encrypted             = true", "encrypted = false", "launch_block_device_mappings.encrypted"),
        ("aws", "var.instance_type", "var.instance", "variable instance: is used and not there"),
        ("aws", "volume_size           = 64", 'volume_size = "64"', "expected a number"),
        ("azure", "shared_image_gallery_destination {", "shared_image_gallery {", "storage_account_type is no option"),
        ("azure", "use_azure_cli_auth = true", 'client_secret = "x"', "would put a secret into the template"),
        ("gcp", 'source_image_project_id = ["ubuntu-os-cloud"]', "", "anybody may name an image so"),
        ("gcp", "disable_default_service_account = true", "", "disable_default_service_account has to be true"),
        ("gcp", 'zone       = "us-central1-a"', "zone = ", "is no HCL"),
        ("tencent", "image_copy_regions = [", "copy_regions = [", "copy_regions is no option of it"),
    ],
)
def test_a_slip_in_a_template_is_told_in_one_line(cloud: Cloud, old: str, new: str, said: str) -> None:
    found = rendered(cloud)
    name = f"{cloud}.pkr.hcl"
    assert old in found[name]
    faults = hcl.check({**found, name: found[name].replace(old, new)})
    assert any(said in line for line in faults), faults
    assert all("\n" not in line for line in faults)


@pytest.mark.parametrize("cloud", ["aws", "azure", "gcp"])
def test_debians_packer_finds_nothing_wrong_with_its_copy(cloud: Cloud, tmp_path: Path) -> None:
    packer = legacy_packer()
    source.write(BAKES[cloud], tmp_path, modern=False)
    done = subprocess.run(
        [packer, "validate", "."], cwd=tmp_path / "packer", capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.parametrize("cloud", CLOUDS)
def test_hcl_is_formatted_as_packer_formats_it(cloud: Cloud, tmp_path: Path) -> None:
    for name, text in rendered(cloud).items():
        (tmp_path / name).write_text(text)
    done = subprocess.run(
        [legacy_packer(), "fmt", "-check", "-diff", "."],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize(
    ("cloud", "left_out"),
    [
        (
            "aws",
            {
                "metadata_options",
                "imds_support",
                "temporary_security_group_source_public_ip",
                "temporary_key_pair_type",
            },
        ),
        ("azure", {"public_ip_sku"}),
        ("gcp", {"image_guest_os_features", "temporary_key_pair_type"}),
    ],
)
def test_the_copy_leaves_out_only_what_an_old_packer_does_not_know(cloud: Cloud, left_out: set[str]) -> None:
    _, new = hcl.source(hcl.merged(rendered(cloud)))
    _, old = hcl.source(hcl.merged(rendered(cloud, modern=False)))
    assert set(new) - set(old) == left_out
    assert set(old) - set(new) <= {"managed_image_name", "managed_image_resource_group_name"}
    changed = {name for name in set(old) & set(new) if old[name] != new[name]}
    assert changed == ({"shared_image_gallery_destination"} if cloud == "azure" else set())


def legacy_packer() -> str:
    packer = shutil.which("packer")
    if packer is None:
        pytest.skip("packer is not installed (apt-get install packer)")
    said = subprocess.run([packer, "version"], capture_output=True, text=True, timeout=60, check=True).stdout
    if "v1.6." not in said:
        pytest.skip(f"{said.split(chr(10))[0]} is not Debian's 1.6, which has the builders inside")
    return packer


@pytest.mark.parametrize("cloud", CLOUDS)
def test_two_renderings_have_the_same_bytes(cloud: Cloud, tmp_path: Path) -> None:
    one = source.write(BAKES[cloud], tmp_path / "one")
    (tmp_path / "two").mkdir(mode=0o700)
    two = source.write(BAKES[cloud], tmp_path / "two")
    assert one == two == source.prepare(BAKES[cloud])
    assert files(tmp_path / "one") == files(tmp_path / "two")


def test_a_rendering_replaces_what_was_there(tmp_path: Path) -> None:
    source.write(BAKES["aws"], tmp_path)
    (tmp_path / "packer/stray.pkr.hcl").write_text("left by somebody")
    source.write(BAKES["aws"], tmp_path)
    assert not (tmp_path / "packer/stray.pkr.hcl").exists()


def test_the_archive_holds_the_tree_the_scripts_and_the_sbom(tmp_path: Path) -> None:
    with tarfile.open(fileobj=io.BytesIO(source.prepare(BAKES["aws"]).archive)) as archive:
        names = {member.name: member for member in archive.getmembers()}
    tree.render("aws", tmp_path)
    assert {f"rootfs/{path}" for path in tree.paths("aws")} <= set(names)
    assert {"sbom.json", "install/00-base.sh", "install/vllm.txt"} <= set(names)
    assert names["rootfs/etc/systemd/system/multi-user.target.wants/spillway.target"].issym()
    assert names["install/00-base.sh"].mode == 0o755
    for member in names.values():
        assert (member.uid, member.gid, member.mtime) == (0, 0, 0)
        assert not member.name.startswith(("/", "..")), member.name


def test_steps_run_in_the_order_of_their_numbers() -> None:
    text = source.prepare(BAKES["gcp"]).hcl["build.pkr.hcl"]
    found = re.findall(r"bash \./(\S+)\"", text)
    assert found == sorted(found)
    assert found[0].startswith("00-")
    assert found[-1].startswith("90-")


def test_the_checksum_follows_the_source_and_not_the_version(monkeypatch: pytest.MonkeyPatch) -> None:
    aws = BAKES["aws"]
    first = source.prepare(aws).checksum
    assert source.prepare(dataclasses.replace(aws, version="2026.11.2")).checksum == first
    monkeypatch.setitem(source.pins()["plugins"]["aws"], "version", "1.8.3")
    assert source.prepare(aws).checksum != first
    monkeypatch.undo()
    render = tree.render_install

    def changed(cloud: Cloud, target: Path) -> None:
        render(cloud, target)
        (target / "90-clean.sh").write_text("#!/bin/sh\n")

    monkeypatch.setattr(tree, "render_install", changed)
    assert source.prepare(aws).checksum != first


def test_tags_are_what_lookups_ask_for() -> None:
    """infra/aws/lookups.py finds images by these two tags."""
    from infra.aws.lookups import FAMILY_TAG, VERSION_TAG

    _, body = hcl.source(hcl.merged(rendered("aws")))
    assert (body["tags"][FAMILY_TAG], body["tags"][VERSION_TAG]) == ("spillway-vllm", "2026.11.1")
    assert body["tags"]["spillway:torch"] == "2.14.0+cu130"


def test_google_clouds_labels_are_labels() -> None:
    from infra.gcp import names

    _, body = hcl.source(hcl.merged(rendered("gcp")))
    for key, value in body["image_labels"].items():
        assert re.fullmatch(r"[a-z][a-z0-9_-]{0,62}", key), key
        assert re.fullmatch(r"[a-z0-9_-]{0,63}", value), value
    assert body["image_labels"]["spillway-torch"] == "2-14-0-cu130"
    assert body["image_name"] == names.image_name("spillway-vllm", "2026.11.1")


@pytest.mark.parametrize("cloud", CLOUDS)
def test_more_tags_than_a_cloud_takes_are_refused(cloud: Cloud) -> None:
    many = {f"part-{number}": "1" for number in range(70)}
    with pytest.raises(ValueError, match="the limit is"):
        source.tags(BAKES[cloud], CHECKSUM, many)


def test_a_tag_that_is_too_long_is_refused() -> None:
    with pytest.raises(ValueError, match="the limit of aws is 256"):
        source.tags(BAKES["aws"], CHECKSUM, {"part": "1" * 257})
    with pytest.raises(ValueError, match="label"):
        source.tags(BAKES["gcp"], CHECKSUM, {"Part": "1"})


@pytest.mark.parametrize(
    ("region", "owner"),
    [("us-east-1", "099720109477"), ("cn-north-1", "837727238323"), ("us-gov-west-1", "513442679011")],
)
def test_the_source_image_is_its_makers_in_every_partition(region: str, owner: str) -> None:
    bake = dataclasses.replace(BAKES["aws"], regions=(region,))
    _, body = hcl.source(hcl.merged(source.prepare(bake).hcl))
    assert body["source_ami_filter"][0]["owners"] == [owner]


def test_a_text_of_hcl_cannot_break_out() -> None:
    environment = source._environment()
    text = environment.from_string("x = {{ value | hcl }}").render(value='a"\n${file("/etc/passwd")} %{ if true }')
    assert text == 'x = "a\\"\\n$${file(\\"/etc/passwd\\")} %%{ if true }"'


def test_everything_pinned_says_from_when_and_where() -> None:
    pinned = yaml.safe_load(source.PINS.read_text())
    for entry in (pinned["core"], *pinned["plugins"].values()):
        assert re.fullmatch(r"\d+\.\d+\.\d+", entry["version"])
        assert re.fullmatch(r"\d{4}-\d{2}-\d{2}", str(entry["date"]))
        assert "github.com/" in entry["source"]


if __name__ == "__main__":
    for one in CLOUDS:
        (GOLDEN / f"{one}.pkr.hcl").write_text(rendered(one)[f"{one}.pkr.hcl"])
    (GOLDEN / "build.pkr.hcl").write_text(rendered("azure")["build.pkr.hcl"])
