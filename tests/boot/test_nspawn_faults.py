"""Rung 3, a node that boots with everything wrong at once: each fault is told in one line, by /readyz and in the
journal, nothing is served meanwhile, and the node heals by itself once somebody has put it right. Tests run in this
order, on one node, which in the end is shut down with requests under way.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.boot import guest
from tests.boot.cloud import SECRETS
from tests.boot.container import Container
from tests.boot.lab import KEY, NAME, Lab, certificates
from tests.support.node import staged

pytestmark = [pytest.mark.boot, pytest.mark.xdist_group("boot-nspawn")]
CERTIFICATE = SECRETS["aws"][0]
HEAL_SECONDS = 240.0
SMI = '#!/bin/sh\necho "NVIDIA H100 80GB HBM3, 9.0, {driver}"\n'
# The image's own pauses, shorter: that it is tried again is seen here, how often it is in tests/images.
BACK_OFF = "ExecStartPre=/usr/local/libexec/spillway-back-off spillway-stage.service 1 2\n"
NEED = "ExecStartPre=/usr/local/libexec/spillway-need scratch\n"
FASTER = {
    "spillway-storage": "[Service]\nRestartSec=1\n",
    "spillway-stage": f"[Service]\nExecStartPre=\n{BACK_OFF}{NEED}",
    "vllm": "[Service]\nRestartSec=1\n",
}


@dataclass(frozen=True)
class Fault:
    """reason, line: of /readyz. unit: whose journal has the line. heal: what somebody does about it."""

    reason: str
    line: str
    unit: str
    heal: Callable[[Lab, Container], object]


def pair_of_another(lab: Lab) -> str:
    """A certificate for the node with a key that is not its own."""
    own = (lab.folder / "tls.pem").read_text()
    (_, other) = certificates(NAME)
    return own[: own.index("-----BEGIN PRIVATE KEY-----")] + other[other.index("-----BEGIN PRIVATE KEY-----") :]


def push(lab: Lab, node: Container, text: str) -> None:
    lab.tell("store", secrets={CERTIFICATE: text})
    guest.out(node, "systemctl kill --signal=HUP spillway-secrets.service")  # do not wait for the next look


FAULTS = {
    "a data volume that is full": Fault(
        "scratch",
        "/var/lib/spillway: no space or not writable",
        "spillway-storage",
        lambda _, node: guest.out(node, "mount -o remount,nr_inodes=10000,size=16m /var/lib/spillway"),
    ),
    "weights in an unknown format": Fault(
        "staging",
        "unknown model format: no *.safetensors in the manifest",
        "spillway-stage",
        lambda lab, _: lab.tell("store", weights="checksum"),
    ),
    "too small a disk for the weights": Fault(
        "staging",
        "/mnt/scratch/models: needs 0.29 GB, has 0.02 GB",
        "spillway-stage",
        lambda _, node: guest.out(node, "mount -o remount,nr_inodes=10000,size=1g /var/lib/spillway"),
    ),
    "a shard with another checksum": Fault(
        "staging",
        "wrong checksum, fetched twice: model-00003-of-00003.safetensors has sha256 ",
        "spillway-stage",
        lambda lab, _: lab.tell("store", weights="sound"),
    ),
    "no certificate": Fault(
        "secrets",
        f"{CERTIFICATE}: ",
        "spillway-secrets",
        lambda lab, node: push(lab, node, pair_of_another(lab)),
    ),
    "a certificate with another's key": Fault(
        "secrets",
        f"{CERTIFICATE}: the private key is another certificate's",
        "spillway-secrets",
        lambda lab, node: push(lab, node, (lab.folder / "tls.pem").read_text()),
    ),
    "a driver too old for the build": Fault(
        "engine",
        "the GPU driver 535.104.05 is too old for CUDA ",
        "vllm",
        lambda _, node: guest.out(node, "sed -i s/535.104.05/999.0/ /usr/local/bin/nvidia-smi"),
    ),
}


@pytest.fixture(scope="module")
def world() -> Iterator[Lab]:
    with Lab("nspawn-faults", machine=False) as made:
        made.tell("store", weights="format", secrets={CERTIFICATE: None})
        del made.environment["SPILLWAY_ENGINE_DEVICE"]
        yield made


@pytest.fixture(scope="module")
def node(world: Lab) -> Iterator[Container]:
    drop_ins = {f"etc/systemd/system/{unit}.service.d/90-faster.conf": text for unit, text in FASTER.items()}
    wrong = {
        "etc/fstab": "tmpfs /var/lib/spillway tmpfs size=16m,nr_inodes=1 0 0\n",
        "usr/local/bin/nvidia-smi": SMI.format(driver="535.104.05"),
    }
    with Container(world, files=drop_ins | wrong) as made:
        made.until_booted()
        yield made


def ready(world: Lab) -> tuple[int, dict[str, Any]]:
    """Of /readyz, whoever's certificate it is: until the region's is there, the node has one of its own."""
    try:
        answer = world.ask("GET", "/readyz", trust=False)
    except OSError:
        return 0, {}
    return answer.status, json.loads(answer.body) if answer.status == 503 else {}


def chat(world: Lab) -> tuple[int, int]:
    """Status and tokens of a completion with a good key."""
    body = {
        "model": staged.NAME,
        "messages": [{"role": "user", "content": "private words of a prompt"}],
        "stream": True,
    }
    answer = world.ask("POST", "/v1/chat/completions", body | {"max_tokens": 3}, key=KEY, trust=False, timeout=60)
    return answer.status, answer.tokens


@pytest.mark.parametrize("name", FAULTS)
def test_it_is_told_in_one_line_and_nothing_is_served_until_it_is_put_right(
    world: Lab, node: Container, report: list[str], name: str
) -> None:
    fault, began = FAULTS[name], time.monotonic()
    while True:
        status, told = ready(world)
        if told.get("reason") == fault.reason and fault.line in told["detail"]:
            break
        assert status != 200, f"served in spite of {name}"
        assert time.monotonic() - began < HEAL_SECONDS, f"{told}\n{guest.troubles(node)}"
        time.sleep(0.1)
    assert "\n" not in told["detail"]
    status, tokens = chat(world)
    assert status in (401, 503)
    assert tokens == 0
    said = [line for line in guest.journal(node, "-u", fault.unit).splitlines() if fault.line in line]
    assert said, guest.journal(node, "-u", fault.unit)[-2000:]
    report.append(f"rung 3: {name}: 503 {fault.reason}: {told['detail']}")
    fault.heal(world, node)


def test_what_is_put_right_heals_without_a_restart_by_hand(world: Lab, node: Container) -> None:
    try:
        world.until(200, HEAL_SECONDS)  # by the region's certificate
    except AssertionError as error:
        raise AssertionError(f"{error}\n{guest.troubles(node)}") from None
    assert chat(world) == (200, 3)
    assert guest.staged_faults(node) == []
    assert guest.document(node, "scratch")["source"] == "data"
    assert "no local NVMe, scratch goes to /var/lib/spillway" in guest.journal(node, "-u spillway-storage")
    assert guest.failed_units(node) == []
    text = guest.journal(node)
    assert guest.faults(text, guest.secret_words(world)) == []
    # Each is said when it changes, and not with every try.
    for name, fault in FAULTS.items():
        lines = [line for line in text.splitlines() if '"program": "gate"' in line and fault.line in line]
        assert len(lines) <= 2, f"{name}: {lines}"


def test_a_shutdown_without_a_notice_is_a_drain(world: Lab, node: Container, report: list[str]) -> None:
    running = [world.chat(150) for _ in range(2)]
    time.sleep(1.0)
    began = time.monotonic()
    guest.out(node, "systemctl --no-block poweroff")
    flipped = world.until(503, 60)
    assert flipped.seen[-1][2] == "draining"
    answers = [each.result(90) for each in running]
    assert [(one.status, one.tokens, one.done) for one in answers] == [(200, 150, True)] * 2
    node.wait(120)
    report.append(
        f"rung 3: poweroff: 503 after {flipped.seconds:.2f} s, 2 of 2 streams of 6 s finished, "
        f"down after {time.monotonic() - began:.1f} s"
    )
    command = ["journalctl", f"--directory={node.root}/var/log/journal", "--no-pager", "--output=cat"]
    said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    assert "the machine shuts down" in said
    assert guest.faults(said, guest.secret_words(world)) == []
