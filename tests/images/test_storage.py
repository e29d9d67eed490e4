"""The storage script of the image: which disks it takes, what it makes of them, what it says."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from images import node
from images.render import render_node_json
from images.tree import ROOTFS, render_file
from tests.unit.test_render import config

SCRIPT = ROOTFS / "usr/local/libexec/spillway-storage.j2"
WORDS = {
    "ebs": "nvme-Amazon_Elastic_Block_Store_vol",
    "local": "nvme-Amazon_EC2_NVMe_Instance_Storage_AWS",
    "qemu": "nvme-QEMU_NVMe_Ctrl_scratch",
}


class Ran(NamedTuple):
    code: int
    calls: list[str]
    """Calls of the tools that change a disk, without the folder of the test."""
    scratch: dict[str, Any]
    """scratch.json"""
    said: str


class Machine:
    """Made-up disks, with every tool that touches a disk replaced by one that only writes down how it was called."""

    def __init__(self, tmp: Path, cloud: node.Cloud = "aws") -> None:
        self.tmp, self.dev, self.sys, self.tools = tmp, tmp / "dev", tmp / "sys", tmp / "bin"
        for folder in (self.dev / "disk/by-id", self.dev / "md", self.sys / "class/block", self.tools, tmp / "run"):
            folder.mkdir(parents=True)
        self.cloud = cloud
        self.kinds: dict[str, str] = {}
        self.mounted: list[str] = []
        self.broken: list[str] = []
        self.environment: dict[str, str] = {}
        self.root: Path | None = self.disk("ebs")

    def disk(self, kind: str, holds: str = "") -> Path:
        """One more disk with the links that udev makes."""
        number = len(list(self.dev.glob(f"{kind}?")))
        disk = self.dev / f"{kind}{number}"
        for suffix in ("", "_1", "-part1"):
            target = disk if suffix != "-part1" else self.dev / f"{disk.name}p1"
            target.touch()
            (self.dev / "disk/by-id" / f"{WORDS[kind]}{number}{suffix}").symlink_to(target)
        if holds:
            self.kinds[str(disk)] = holds
        return disk

    def link(self, name: str, disk: Path) -> None:
        (self.dev / name).parent.mkdir(parents=True, exist_ok=True)
        disk.touch()
        (self.dev / name).symlink_to(disk)

    def array(self, name: str, *members: Path, state: str = "clean", holds: str = "xfs") -> None:
        block = self.sys / "class/block"
        (block / name / "slaves").mkdir(parents=True)
        (block / name / "md").mkdir()
        (block / name / "md/array_state").write_text(f"{state}\n")
        for member in members:
            (block / name / "slaves" / member.name).mkdir()
            (block / member.name / "holders" / name).mkdir(parents=True)
        self.kinds[str(self.dev / name)] = holds
        (self.dev / name).touch()

    def run(self, configuration: node.NodeConfig | None = None) -> Ran:
        log, dev = self.tmp / "log", self.dev
        kinds = " ".join(f"{disk}={holds}" for disk, holds in self.kinds.items()) or "-=-"
        broken = "|".join(self.broken) or "-"
        fakes = {
            "findmnt": f"echo {self.root}p1",
            "lsblk": "exit 1" if self.root is None else f'printf "%s part\\n%s disk\\n" {self.root}p1 {self.root}',
            "blkid": f'for k in {kinds}; do [ "${{k%%=*}}" = "${{@: -1}}" ] && echo "${{k#*=}}"; done; exit 0',
            "mountpoint": f'case "${{@: -1}}" in {"|".join(self.mounted) or "-"}) exit 0;; esac; exit 1',
            "udevadm": "exit 0",
            "getent": "exit 1",
            "mdadm": f'case "$*" in *--assemble*) exit 1;; esac; echo "mdadm $*" >> {log}; '
            f'case "$*" in *--create*) touch {dev}/md/spillway-scratch;; esac',
            "mkfs.xfs": f'echo "mkfs.xfs ${{@: -1}}" >> {log}',
            "wipefs": f'echo "wipefs ${{@: -1}}" >> {log}',
            "umount": "exit 0",
            "mount": f'case " $* " in *" "{broken}" "*) [ -e {log}.once ] || {{ touch {log}.once; exit 32; }};; esac; '
            f'echo "mount $*" >> {log}',
            "mkdir": "exit 0",
            "touch": "exit ${TOUCH:-0}",
            "df": "printf 'size\\n1000\\n'",
        }
        for name, body in fakes.items():
            (self.tools / name).write_text(f"#!/bin/bash\n{body.replace('touch ', '/usr/bin/touch ')}\n")
            (self.tools / name).chmod(0o755)
        (self.tmp / "node.json").write_text(render_node_json(configuration or config(cloud=self.cloud)))
        script = self.tmp / "storage.sh"
        text = render_file(SCRIPT, self.cloud).replace("/dev/", f"{dev}/").replace("/sys/", f"{self.sys}/")
        script.write_text(text.replace(f"{dev}/null", "/dev/null"))
        done = subprocess.run(
            ["bash", str(script)],
            env={
                "PATH": f"{self.tools}:/usr/bin:/bin",
                "SPILLWAY_NODE": str(self.tmp / "node.json"),
                "SPILLWAY_RUN": str(self.tmp / "run"),
                **self.environment,
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        calls = log.read_text().replace(f"{dev}/", "").splitlines() if log.exists() else []
        written = self.tmp / "run/scratch.json"
        state = json.loads(written.read_text()) if written.exists() else {}
        return Ran(done.returncode, calls, state, done.stderr.replace(f"{dev}/", ""))


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def reason(ran: Ran) -> str:
    """The one line of a failure, which is in journal and state alike."""
    assert ran.code == 1, ran
    assert ran.scratch["state"] == "failed"
    said = [line for line in ran.said.splitlines() if line.startswith("spillway-storage:")]
    assert len(said) == 1
    return said[0].removeprefix("spillway-storage: ")


def test_several_local_disks_become_one_raid0(machine: Machine) -> None:
    machine.disk("ebs")
    for _ in range(8):
        machine.disk("local")
    ran = machine.run()
    assert ran.code == 0, ran.said
    assert ran.calls[:2] == ["mkfs.xfs ebs1", "mount -t xfs -o noatime ebs1 /var/lib/spillway"]
    create = next(call for call in ran.calls if "--create" in call)
    assert create.startswith("mdadm --create md/spillway-scratch --level=0")
    assert create.endswith("--raid-devices=8 " + " ".join(f"local{n}" for n in range(8)))
    assert ran.calls[-2:] == [
        "mkfs.xfs md/spillway-scratch",
        "mount -t xfs -o noatime md/spillway-scratch /mnt/scratch",
    ]
    assert {k: ran.scratch[k] for k in ("state", "reason", "source", "disks", "bytes")} == {
        "state": "ok", "reason": "", "source": "raid0", "disks": 8, "bytes": 1000,
    }  # fmt: skip


def test_one_local_disk_needs_no_raid(machine: Machine) -> None:
    machine.disk("ebs")
    machine.disk("local")
    ran = machine.run()
    assert ran.calls[2:] == ["mkfs.xfs local0", "mount -t xfs -o noatime local0 /mnt/scratch"]
    assert ran.scratch["source"] == "nvme"


def test_after_a_reboot_the_array_is_used_under_the_name_that_it_has_now(machine: Machine) -> None:
    machine.array("md127", machine.disk("local"), machine.disk("local"))
    ran = machine.run()
    assert ran.calls == ["mount -t xfs -o noatime md127 /mnt/scratch"]


def test_an_array_that_lost_a_disk_to_a_stop_is_made_anew(machine: Machine) -> None:
    machine.array("md127", machine.disk("local"), state="inactive")
    machine.disk("local")
    ran = machine.run()
    assert ran.code == 0
    assert ran.calls[0] == "mdadm --quiet --stop md127"
    assert any("--create" in call and call.endswith("local0 local1") for call in ran.calls)


def test_more_than_one_array_is_refused_in_one_line(machine: Machine) -> None:
    machine.array("md126", machine.disk("local"), machine.disk("local"))
    machine.array("md127", machine.disk("local"), machine.disk("local"))
    ran = machine.run()
    assert "more than one array (md126 md127)" in reason(ran)
    assert ran.calls == []


def test_a_scratch_file_system_that_a_power_cut_broke_is_made_anew(machine: Machine) -> None:
    disk = machine.disk("local", "xfs")
    machine.broken = [str(disk)]
    ran = machine.run()
    assert ran.calls == ["mkfs.xfs local0", "mount -t xfs -o noatime local0 /mnt/scratch"]


def test_without_local_disks_scratch_lies_on_the_data_volume_and_that_is_said(machine: Machine) -> None:
    machine.disk("ebs")
    ran = machine.run()
    assert ran.calls[2:] == ["mount --bind /var/lib/spillway/scratch /mnt/scratch"]
    assert ran.scratch["source"] == "data"
    assert "no local NVMe, scratch goes to /var/lib/spillway" in ran.said


def test_a_data_volume_that_holds_a_file_system_is_mounted_not_made_anew(machine: Machine) -> None:
    machine.disk("ebs", "xfs")
    assert machine.run().calls[0] == "mount -t xfs -o noatime ebs1 /var/lib/spillway"


def test_a_broken_data_volume_is_never_made_anew(machine: Machine) -> None:
    disk = machine.disk("ebs", "xfs")
    machine.broken = [str(disk)]
    ran = machine.run()
    assert reason(ran) == "data volume ebs1 cannot be mounted (xfs_repair ebs1)"
    assert ran.calls == []


@pytest.mark.parametrize("holds", ["ext4", "gpt", "linux_raid_member"])
def test_what_somebody_else_keeps_on_a_disk_is_left_alone(machine: Machine, holds: str) -> None:
    machine.disk("ebs", holds)
    machine.disk("local")
    ran = machine.run()
    assert reason(ran) == f"data volume ebs1 holds {holds}, not touched"
    assert ran.calls == []


def test_a_second_data_volume_is_refused_rather_than_guessed_at(machine: Machine) -> None:
    machine.disk("ebs")
    machine.disk("ebs")
    ran = machine.run()
    assert reason(ran) == "expected one data volume, found ebs1 ebs2"
    assert ran.calls == []


def test_nothing_is_touched_while_the_systems_own_disk_is_unknown(machine: Machine) -> None:
    machine.root = None
    machine.disk("local")
    assert "cannot be told" in reason(machine.run())


def test_a_full_or_broken_scratch_is_said_in_one_line(machine: Machine) -> None:
    machine.disk("local")
    machine.environment["TOUCH"] = "1"
    assert reason(machine.run()) == "/mnt/scratch: no space or not writable"


def test_a_node_without_configuration_says_so(machine: Machine) -> None:
    machine.environment["SPILLWAY_NODE"] = str(machine.tmp / "missing.json")
    assert "no user data" in reason(machine.run())


def test_mount_points_are_those_of_the_node(machine: Machine) -> None:
    machine.disk("local")
    ran = machine.run(config(disks=node.Disks(scratch="/weights")))
    assert ran.calls[-1] == "mount -t xfs -o noatime local0 /weights"


def test_patterns_of_disks_can_be_replaced_where_models_have_other_names(machine: Machine) -> None:
    machine.disk("qemu")
    machine.disk("qemu")
    machine.environment["SPILLWAY_LOCAL_DISKS"] = f"{machine.dev}/disk/by-id/nvme-QEMU_NVMe_Ctrl_*"
    ran = machine.run()
    assert any(call.endswith("--raid-devices=2 qemu0 qemu1") for call in ran.calls)


@pytest.mark.parametrize("name", ["disk/azure/resource", "disk/cloud/azure_resource"])
def test_on_azure_a_temporary_disk_is_wiped_and_becomes_scratch(tmp_path: Path, name: str) -> None:
    machine = Machine(tmp_path, "azure")
    machine.link("disk/azure/data/by-lun/0", machine.dev / "sdc")
    machine.link(name, machine.dev / "sdb")
    machine.kinds[str(machine.dev / "sdc")] = "xfs"
    ran = machine.run()
    assert ran.code == 0, ran.said
    assert ran.calls[1:] == ["wipefs sdb", "mkfs.xfs sdb", "mount -t xfs -o noatime sdb /mnt/scratch"]
    assert ran.scratch["source"] == "temporary"


def test_on_azure_nvme_goes_before_the_temporary_disk(tmp_path: Path) -> None:
    machine = Machine(tmp_path, "azure")
    machine.link("disk/azure/resource", machine.dev / "sdb")
    machine.link("disk/azure/local/by-serial/A", machine.dev / "nvme1n1")
    ran = machine.run()
    assert "wipefs sdb" not in ran.calls
    assert ran.scratch["source"] == "nvme"


def test_only_disks_that_say_so_become_scratch() -> None:
    for cloud in ("aws", "azure", "gcp"):
        assert "/dev/nvme*" not in render_file(SCRIPT, cloud)
