"""User data: valid cloud-init, the same bytes each time, within the cloud's limit, no secret in it."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from images import node
from images.render import TEMPLATES, USER_DATA_MAX, UserDataTooLarge, render_storage_script, render_user_data

# https://docs.cloud-init.io/en/latest/reference/modules.html; cloud-init passes over keys that it does not know.
KEYS = {"write_files", "runcmd"}


def config(**changes: Any) -> node.NodeConfig:
    values: dict[str, Any] = {
        "cloud": "aws",
        "region": "us-east-1",
        "stack": "aws-us-east-1",
        "pool": "spot",
        "group": "spillway-aws-us-east-1-spot",
        "hooks": node.Hooks(launching="ready", terminating="drain"),
        "serving": node.Serving(name="llm.example.com"),
        "model": node.Model(
            uri="s3://bucket/models/m/r/",
            name="m",
            revision="r",
            dtype="bfloat16",
            quantization=None,
            kv_cache_dtype="auto",
            tensor_parallel=8,
            pipeline_parallel=1,
            max_model_len=32768,
            max_num_seqs=32,
            gpu_memory_utilization=0.9,
        ),
        "limits": node.Limits(queue=100, ttft_p50_ms=10_000, error_rate=0.05),
        "drain": node.Drain(notice_seconds=120, deregister_seconds=15, drain_seconds=90),
        "boot_minutes": 20,
        "secrets": node.Secrets(certificate="spillway/certificate", api_keys="spillway/api-keys"),
    }
    return node.NodeConfig(**(values | changes))


def rendered(of: node.NodeConfig) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(render_user_data(of))
    return document


def files(of: node.NodeConfig) -> dict[str, dict[str, Any]]:
    return {entry["path"]: entry for entry in rendered(of)["write_files"]}


def test_user_data_is_cloud_config_with_known_keys_only() -> None:
    assert render_user_data(config()).startswith("#cloud-config\n")
    document = rendered(config())
    assert set(document) == KEYS
    for entry in document["write_files"]:
        assert set(entry) == {"path", "owner", "permissions", "content"}
        assert isinstance(entry["permissions"], str)  # unquoted, 0644 would be the number 420
    assert all(isinstance(word, str) for command in document["runcmd"] for word in command)


def test_node_json_arrives_as_it_was_configured() -> None:
    wanted = config()
    content = files(wanted)["/etc/spillway/node.json"]["content"]
    assert node.NodeConfig.model_validate_json(content) == wanted
    assert json.loads(content)["drain"] == {"noticeSeconds": 120, "deregisterSeconds": 15, "drainSeconds": 90}


def test_text_that_yaml_or_a_shell_could_misread_stays_text() -> None:
    odd = config(serving=node.Serving(name="a: b # c\n- d\u00e9 {{ x }} $(reboot)"))
    content = files(odd)["/etc/spillway/node.json"]["content"]
    assert json.loads(content)["serving"]["name"] == odd.serving.name


def test_the_same_configuration_gives_the_same_bytes() -> None:
    assert render_user_data(config()) == render_user_data(config())


def test_pools_differ_in_user_data() -> None:
    assert render_user_data(config()) != render_user_data(config(pool="on-demand"))


def test_user_data_beyond_the_limit_is_refused_with_both_numbers() -> None:
    large = config(stack="x" * USER_DATA_MAX)
    with pytest.raises(UserDataTooLarge, match=r"has [\d,]+ bytes, the limit is 16,384"):
        render_user_data(large)


def test_the_ordinary_node_leaves_half_of_the_limit_free() -> None:
    assert len(render_user_data(config()).encode()) < USER_DATA_MAX / 2


def test_the_storage_unit_runs_at_every_boot_before_what_needs_it() -> None:
    unit = files(config())["/etc/systemd/system/spillway-storage.service"]["content"]
    assert "ExecStart=/usr/local/libexec/spillway-storage\n" in unit
    assert "Before=spillway.target\n" in unit
    assert "RequiredBy=spillway.target\n" in unit
    assert files(config())["/usr/local/libexec/spillway-storage"]["permissions"] == "0755"


@pytest.mark.parametrize("cloud", ["aws", "azure", "gcp", "tencent"])
def test_the_storage_script_is_sound_bash(cloud: str, tmp_path: Path) -> None:
    script = tmp_path / "storage.sh"
    script.write_text(render_storage_script(config(cloud=cloud)))
    subprocess.run(["bash", "-n", str(script)], check=True)
    if shellcheck := shutil.which("shellcheck"):
        subprocess.run([shellcheck, str(script)], check=True)


def test_only_disks_that_say_so_become_scratch() -> None:
    script = render_storage_script(config())
    assert "/dev/disk/by-id/*NVMe_Instance_Storage_*" in script
    assert "/dev/nvme*" not in script


def _storage_run(tmp_path: Path, ebs: int, local: int, **existing: str) -> tuple[int, list[str]]:
    """Run the AWS script against made-up disks, with every tool that touches a disk replaced by one that only writes
    down how it was called. `existing`: disk name -> file system that it already holds."""
    dev, tools, log = tmp_path / "dev", tmp_path / "bin", tmp_path / "log"
    by_id = dev / "disk" / "by-id"
    by_id.mkdir(parents=True)
    tools.mkdir()
    (dev / "md").mkdir()
    names = [("ebs", n) for n in range(ebs)] + [("local", n) for n in range(local)]
    for kind, n in names:
        disk = dev / f"{kind}{n}"
        disk.touch()
        word = "Amazon_Elastic_Block_Store_vol" if kind == "ebs" else "Amazon_EC2_NVMe_Instance_Storage_AWS"
        for suffix in ("", "_1", "-part1"):
            target = disk if suffix != "-part1" else dev / f"{kind}{n}p1"
            target.touch()
            (by_id / f"nvme-{word}{n}{suffix}").symlink_to(target)
    root = dev / "ebs0"
    kinds = " ".join(f"{dev}/{name}={value}" for name, value in existing.items())
    fakes = {
        "findmnt": f"echo {root}p1",
        "lsblk": f'printf "%s part\\n%s disk\\n" {root}p1 {root}',
        "blkid": f'for k in {kinds or "-=-"}; do [ "${{k%%=*}}" = "${{@: -1}}" ] && echo "${{k#*=}}"; done; exit 0',
        "mountpoint": "exit 1",
        "udevadm": "exit 0",
        "getent": "exit 1",
        "mdadm": f'echo "mdadm $*" >> {log}; touch {dev}/md/spillway-scratch',
        "mkfs.xfs": f'echo "mkfs.xfs ${{@: -1}}" >> {log}',
        "mount": f'echo "mount $*" >> {log}',
        "mkdir": "exit 0",
    }
    for name, body in fakes.items():
        (tools / name).write_text(f"#!/usr/bin/env bash\n{body}\n")
        (tools / name).chmod(0o755)
    script = tmp_path / "storage.sh"
    script.write_text(
        render_storage_script(config()).replace("/dev/", f"{dev}/").replace(f"> {dev}/null", "> /dev/null")
    )
    done = subprocess.run(
        ["bash", str(script)], env={"PATH": f"{tools}:/usr/bin:/bin"}, capture_output=True, text=True, check=False
    )
    lines = log.read_text().replace(f"{dev}/", "").splitlines() if log.exists() else []
    return done.returncode, lines


def test_several_local_disks_become_one_raid0(tmp_path: Path) -> None:
    code, calls = _storage_run(tmp_path, ebs=2, local=8)
    assert code == 0
    assert calls[:2] == ["mkfs.xfs ebs1", "mount -t xfs -o noatime ebs1 /var/lib/spillway"]
    assert calls[2].startswith("mdadm --create md/spillway-scratch --level=0")
    assert calls[2].endswith("--raid-devices=8 " + " ".join(f"local{n}" for n in range(8)))
    assert calls[3:] == ["mkfs.xfs md/spillway-scratch", "mount -t xfs -o noatime md/spillway-scratch /mnt/scratch"]


def test_one_local_disk_needs_no_raid(tmp_path: Path) -> None:
    _, calls = _storage_run(tmp_path, ebs=2, local=1)
    assert calls[2:] == ["mkfs.xfs local0", "mount -t xfs -o noatime local0 /mnt/scratch"]


def test_without_local_disks_scratch_lies_on_the_data_volume(tmp_path: Path) -> None:
    code, calls = _storage_run(tmp_path, ebs=2, local=0)
    assert code == 0
    assert calls[2:] == ["mount --bind /var/lib/spillway/scratch /mnt/scratch"]


def test_a_data_volume_that_holds_a_file_system_is_mounted_not_made_anew(tmp_path: Path) -> None:
    _, calls = _storage_run(tmp_path, ebs=2, local=0, ebs1="xfs")
    assert calls[0] == "mount -t xfs -o noatime ebs1 /var/lib/spillway"


def test_a_foreign_file_system_is_left_alone(tmp_path: Path) -> None:
    code, calls = _storage_run(tmp_path, ebs=2, local=2, ebs1="ext4")
    assert code != 0
    assert calls == []


def test_a_second_data_volume_is_refused_rather_than_guessed_at(tmp_path: Path) -> None:
    code, calls = _storage_run(tmp_path, ebs=3, local=2)
    assert code != 0
    assert calls == []


def test_node_configuration_is_closed_and_strict() -> None:
    with pytest.raises(ValidationError):
        config(surprise=1)
    with pytest.raises(ValidationError):
        config(boot_minutes="20")
    with pytest.raises(ValidationError, match="notice is 120 s"):
        node.Drain(notice_seconds=120, deregister_seconds=40, drain_seconds=90)
    with pytest.raises(ValidationError):
        node.Disks(scratch="/mnt/scratch; reboot")


def test_every_template_is_in_use() -> None:
    assert {path.name for path in TEMPLATES.iterdir()} == {
        "user-data.yaml.j2",
        "spillway-storage.service.j2",
        "storage.sh.j2",
    }
