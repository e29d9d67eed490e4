"""Rung 4: the node's file tree in a machine with a kernel, udev, two local NVMe disks and Amazon's metadata service.
Tests run in this order, on one node. There is no hardware acceleration, so seconds here are not a node's.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest

from tests.boot import guest, timeline
from tests.boot.cloud import LAUNCHING, SHARD_BYTES, SHARDS
from tests.boot.lab import Lab
from tests.boot.machine import NVME_BYTES, NVMES, Machine

pytestmark = [pytest.mark.boot, pytest.mark.xdist_group("boot-qemu")]
READY_SECONDS = 900.0


@pytest.fixture(scope="module")
def world() -> Iterator[Lab]:
    with Lab("qemu", machine=True) as made:
        yield made


@pytest.fixture(scope="module")
def node(world: Lab, report: list[str]) -> Iterator[Machine]:
    with Machine(world) as made:
        steps, seconds = ready(world, made, report, "first boot")
        timeline.keep("qemu", seconds, steps, before=before_systemd(made))
        yield made


def ready(world: Lab, node: Machine, report: list[str], what: str) -> tuple[list[dict[str, object]], float]:
    """Waits for /readyz through TLS; steps and seconds since the machine was switched on, reported as `what`."""
    try:
        node.until_booted()
        world.until(200, READY_SECONDS, every=0.5)
        seconds = time.monotonic() - node.started
    except AssertionError as error:
        raise AssertionError(f"{what}: {error}\n{guest.troubles(node)}\n{node.console()}") from None
    steps = guest.timeline(node)
    told = f"{before_systemd(node):.1f} s until systemd; {timeline.line(steps)}"
    report.append(f"rung 4: {what}: ready {seconds:.1f} s after the start: {told}")
    return steps, seconds


def before_systemd(node: Machine) -> float:
    """Seconds from the start of QEMU, or of the reboot, to systemd's, by the two clocks."""
    inside = float(guest.out(node, "cat /proc/uptime").split()[0])
    since = time.monotonic() - node.started
    stamp = guest.out(node, "systemctl show --property=UserspaceTimestampMonotonic --value")
    return max(0.0, since - inside + int(stamp) / 1e6)


def array(node: Machine) -> str:
    """What identifies the array: made anew, it is another."""
    text = guest.out(node, "mdadm --detail --export $(findmnt -nvo SOURCE /mnt/scratch)")
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)["MD_UUID"]


def test_cloud_init_comes_up_by_the_metadata_service(world: Lab, node: Machine) -> None:
    assert guest.out(node, "cloud-id").strip() == "aws"
    assert guest.out(node, "cloud-init status --wait", timeout=200).strip().endswith("status: done")
    asked = world.tell("state")["metadata"]
    assert ["PUT", "/latest/api/token", 200] in asked
    assert any(path.endswith("/user-data") and status == 200 for _, path, status in asked)


def test_two_disks_are_one_array_with_xfs_and_the_other_disks_are_left_alone(node: Machine) -> None:
    told = guest.document(node, "scratch")
    assert (told["state"], told["source"], told["disks"]) == ("ok", "raid0", NVMES)
    assert 0.9 * NVMES * NVME_BYTES < told["bytes"] < NVMES * NVME_BYTES
    mount = guest.out(node, "findmnt -no FSTYPE,OPTIONS /mnt/scratch")
    assert mount.split()[0] == "xfs"
    assert "noatime" in mount
    level = guest.out(node, "mdadm --detail --export $(findmnt -nvo SOURCE /mnt/scratch)")
    assert "MD_LEVEL=raid0" in level
    assert f"MD_DEVICES={NVMES}" in level
    assert guest.out(node, "findmnt -nvo SOURCE /").strip() == "/dev/vda"


def test_weights_are_on_the_array_as_they_are_in_the_bucket(world: Lab, node: Machine) -> None:
    assert guest.staged_faults(node) == []
    assert world.tell("state")["storeBytes"] >= SHARD_BYTES * SHARDS


def test_the_node_is_ready_through_tls_and_in_service_and_streams(world: Lab, node: Machine) -> None:
    assert world.ask("GET", "/readyz", timeout=20).protocol == "TLSv1.3"
    answer = world.chat(10).result(90)
    assert (answer.status, answer.tokens, answer.done) == (200, 10, True)
    assert world.chat(10, key="").result(90).status == 401
    deadline = time.monotonic() + 240
    while LAUNCHING in world.tell("state")["waiting"] and time.monotonic() < deadline:
        time.sleep(0.5)
    assert LAUNCHING not in world.tell("state")["waiting"]


def test_no_unit_has_failed_in_the_first_boot(world: Lab, node: Machine) -> None:
    assert guest.failed_units(node) == []
    assert guest.faults(guest.journal(node), guest.secret_words(world)) == []


def test_a_reboot_finds_the_array_and_copies_nothing(world: Lab, node: Machine, report: list[str]) -> None:
    before = array(node)
    world.tell("fresh")
    node.reboot()
    world.until_gone()
    ready(world, node, report, "reboot")
    assert "the machine shuts down" in guest.out(node, "journalctl -b -1 --no-pager -o cat -u spillway-shutdown")
    assert array(node) == before
    assert guest.staged_faults(node) == []
    # The manifest is looked at; of the weights nothing is read again.
    assert world.tell("state")["storeBytes"] < SHARD_BYTES


def test_disks_of_more_than_one_array_are_told_in_one_line_and_left_alone(
    world: Lab, node: Machine, report: list[str]
) -> None:
    line = "local disks belong to more than one array ("
    # What a disk of another machine would bring with it.
    guest.out(
        node,
        "set -e; systemctl stop vllm spillway-stage spillway-storage; old=$(findmnt -nvo SOURCE /mnt/scratch); "
        "umount /mnt/scratch; mdadm --quiet --stop $old; disks=$(ls /dev/nvme?n1); mdadm --zero-superblock $disks; "
        "for disk in $disks; do mdadm --quiet --create /dev/md/of-${disk##*/} --level=0 --force --run "
        "--raid-devices=1 $disk; done; systemctl start --no-block spillway-storage",
        timeout=240,
    )
    began = time.monotonic()
    while True:
        answer = world.ask("GET", "/readyz", timeout=20)
        assert answer.status == 503
        told = json.loads(answer.body)
        if told["reason"] == "scratch":
            break
        assert time.monotonic() - began < 240, f"{told}\n{guest.troubles(node)}"
        time.sleep(0.5)
    assert told["detail"].startswith(line)
    assert line in guest.journal(node, "-u spillway-storage")
    assert world.chat(3).result(90).tokens == 0
    assert "linux_raid_member" in guest.out(node, "blkid -p -o value -s TYPE /dev/nvme0n1")
    report.append(f"rung 4: more than one array: 503 scratch: {told['detail']}")


def test_a_stop_takes_the_disks_and_a_start_makes_the_array_and_copies_the_weights(
    world: Lab, node: Machine, report: list[str]
) -> None:
    node.power_off()
    world.tell("fresh")
    node.wipe()
    node.start()
    ready(world, node, report, "stop and start, disks wiped")
    assert array(node)
    assert guest.document(node, "scratch")["source"] == "raid0"
    assert guest.staged_faults(node) == []
    assert world.tell("state")["storeBytes"] >= SHARD_BYTES * SHARDS


def test_a_notice_is_a_503_within_3_seconds_and_the_drain_completes(
    world: Lab, node: Machine, report: list[str]
) -> None:
    running = [world.chat(150, timeout=300) for _ in range(2)]
    time.sleep(3)
    world.tell("notice", seconds=600)
    flipped = world.until(503, 60)
    answers = [each.result(400) for each in running]
    assert [(one.status, one.tokens, one.done) for one in answers] == [(200, 150, True)] * 2
    assert flipped.seen[-1][2] == "draining"
    assert flipped.seconds < 3
    began = time.monotonic()
    while (told := guest.document(node, "drain")).get("state") != "stopped":
        assert time.monotonic() - began < 600, told
        time.sleep(0.5)
    assert guest.show(node, "vllm.service", "ActiveState", "Result") == {"ActiveState": "inactive", "Result": "success"}
    report.append(f"rung 4: notice to 503: {flipped.seconds:.2f} s, 2 of 2 streams finished in the drain")
    timeline.figure("qemu", noticeTo503Seconds=round(flipped.seconds, 2))


def test_nothing_failed_and_the_journal_has_no_traceback_and_no_secret(world: Lab, node: Machine) -> None:
    assert guest.failed_units(node) == []
    assert guest.faults(guest.journal(node), guest.secret_words(world)) == []
