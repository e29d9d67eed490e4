"""A root file system booted by QEMU, in the network of a Lab: a kernel, udev, two NVMe disks, and Amazon's metadata
service at its own address, reached by cloud-init's own Ec2 data source.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Final, Self

from tests.boot import rootfs
from tests.boot.lab import Lab, end

UUID: Final = "ec2e1916-9099-7caf-fd21-012345abcdef"
"""Begins as Amazon's do, which is how the data source knows where it is
(https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/identify_ec2_instances.html)."""
HTTPS: Final = 8443
MAC: Final = "0e:00:00:00:00:01"
"""Of the interface in the stand-in's metadata."""
CPU: Final = "Nehalem"
"""Without AVX, which takes a translator longer than what it saves."""
# A translated instruction takes twenty times a real one's time, on a machine that may be busy: what is to be seen
# here is order and outcome. Times are rung 3's.
SLOW: Final = """\
[Service]
TimeoutStartSec=900
TimeoutStopSec=600
WatchdogSec=600
"""
# Two translated processors that are not given time alike look to the kernel like clocks that drift and timers that
# fail. Page table isolation would have the translator forget every address at each system call, for a fault that a
# translated processor does not have: a boot takes half as long again with it
# (https://docs.kernel.org/arch/x86/pti.html).
KERNEL: Final = (
    "quiet loglevel=4 random.trust_cpu=on ipv6.disable=1 tsc=unstable no_timer_check nowatchdog mitigations=off"
)
MASKED: Final = (
    "spillway-ray-head.service", "spillway-ray-worker.service", "spillway-peers.service", "spillway-logs.service",
    "spillway-telemetry.service",
)  # fmt: skip
"""What has nothing to do with disks, kernel or data source; each start of Python takes seconds. Rung 3 has them."""
STUCK_SECONDS: Final = 90.0
"""Without a byte of the root disk: the kernel hangs where it starts its processors. Seen once in five boots, on a
machine that had several times more to do than it has processors."""
ROOT_BYTES: Final = 3 << 30
NVME_BYTES: Final = 1 << 30
NVMES: Final = 2
MEMORY_MIB: Final = 2048
# QEMU's user network as the link to the metadata service: what the guest sends to 169.254.169.254 arrives at 127.0.0.1
# of the network that QEMU runs in (https://www.qemu.org/docs/master/system/devices/net.html).
NETWORK: Final = "user,id=net,net=169.254.169.0/24,host=169.254.169.254,dns=169.254.169.3,dhcpstart=169.254.169.20"


class Machine:
    """The node of a Lab."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.root = lab.folder / "root"
        self.disk = lab.folder / "root.raw"
        self.boot = lab.folder / "boot"
        self.log = lab.folder / "console.log"
        self.socket = lab.folder / "agent.sock"
        self.started = 0.0
        lab.https = HTTPS
        self._process: subprocess.Popen[bytes] | None = None
        self._agent: socket.socket | None = None
        self._number = 0
        self._rest = b""

    def __enter__(self) -> Self:
        lab = self.lab
        slow = {f"etc/systemd/system/{unit}.service.d/90-slow.conf": SLOW for unit in ("spillway-", "vllm", "nginx")}
        rootfs.make(self.root, lab.cloud, environment=lab.environment, agent=True, files=lab.files | slow)
        for name in MASKED:
            rootfs.link(self.root / "etc/systemd/system" / name, "/dev/null")
        self._image()
        self.wipe()
        self.start()
        return self

    def _image(self) -> None:
        """The root disk; -d copies without a mount."""
        self.boot.mkdir()
        for name in ("vmlinuz", "initrd.img"):
            shutil.copyfile((self.root / name).resolve(), self.boot / name)
        command = ["mke2fs", "-q", "-t", "ext4", "-d", str(self.root), str(self.disk), f"{ROOT_BYTES >> 20}M"]
        subprocess.run(command, check=True, timeout=300, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        rootfs.remove(self.root)

    def wipe(self) -> None:
        """Local disks as they are after a stop: new ones."""
        for number in range(NVMES):
            place = self.lab.folder / f"nvme{number}.raw"
            place.unlink(missing_ok=True)
            with place.open("wb") as file:
                file.truncate(NVME_BYTES)

    def start(self) -> None:
        """Switches it on; comes back at once."""
        disks: list[str] = []
        for number in range(NVMES):
            drive = f"file={self.lab.folder}/nvme{number}.raw,if=none,id=nvme{number},format=raw,cache=unsafe"
            disks += ["-drive", drive, "-device", f"nvme,drive=nvme{number},serial=SPILLWAY{number}"]
        command = [
            # Ahead of what else runs here, which a node does not have beside it.
            *self.lab.inside, "nice", "-n", "-10", "qemu-system-x86_64",
            # Not /dev/kvm: nested virtualisation lets some guests start and then die.
            "-accel", "tcg,thread=multi", "-machine", "q35", "-cpu", CPU, "-smp", "2", "-m", str(MEMORY_MIB),
            "-uuid", UUID, "-smbios", f"type=1,manufacturer=Amazon EC2,product=p5.48xlarge,serial={UUID},uuid={UUID}",
            "-kernel", str(self.boot / "vmlinuz"), "-initrd", str(self.boot / "initrd.img"),
            "-append", f"root=/dev/vda rw console=ttyS0 {KERNEL}",
            "-drive", f"file={self.disk},if=virtio,format=raw,cache=unsafe", *disks,
            "-netdev", f"{NETWORK},hostfwd=tcp:127.0.0.1:{HTTPS}-:443",
            "-device", f"virtio-net-pci,netdev=net,mac={MAC}",
            "-device", "virtio-rng-pci",
            "-display", "none", "-monitor", "none",
            "-serial", f"file:{self.log}", "-serial", f"unix:{self.socket},server=on,wait=off",
        ]  # fmt: skip
        self._hang_up()
        with (self.lab.folder / "qemu.log").open("wb") as log:
            self.started = time.monotonic()
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )
        # A session is scheduled as one where the kernel groups them, whatever the processes in it are worth
        # (https://man7.org/linux/man-pages/man7/sched.7.html, the autogroup feature).
        with contextlib.suppress(OSError):
            Path(f"/proc/{self._process.pid}/autogroup").write_text("-10")

    def _hangs(self) -> bool:
        """Whether QEMU has read kernel and initrd, and nothing of the root disk."""
        assert self._process
        text = Path(f"/proc/{self._process.pid}/io").read_text()
        read = int(dict(line.split(": ") for line in text.splitlines())["rchar"])
        return read < sum(file.stat().st_size for file in self.boot.iterdir()) + (4 << 20)

    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def console(self) -> str:
        """What the machine and QEMU have said last."""
        texts = [
            place.read_text(errors="replace") for place in (self.lab.folder / "qemu.log", self.log) if place.exists()
        ]
        return "\n".join(texts)[-4000:]

    # -- the shell on the serial line

    def _hang_up(self) -> None:
        if self._agent:
            self._agent.close()
        self._agent, self._rest = None, b""

    def run(self, command: str, timeout: float = 60) -> tuple[int, str]:
        """See guest.Guest."""
        self._number += 1
        asked = {"id": f"{os.getpid()}-{self._number}", "run": command, "timeout": timeout}
        line = base64.b64encode(json.dumps(asked).encode()) + b"\n"
        until = time.monotonic() + timeout + 20
        while time.monotonic() < until:
            with contextlib.suppress(OSError):
                if self._agent is None:
                    self._agent = socket.socket(socket.AF_UNIX)
                    self._agent.settimeout(5)
                    self._agent.connect(str(self.socket))
                self._agent.sendall(line)
                return self._answer(str(asked["id"]), until)
            self._hang_up()
            if not self.running():
                break
            time.sleep(0.2)
        raise AssertionError(f"no answer from inside to {command!r}:\n{self.console()}")

    def _answer(self, identity: str, until: float) -> tuple[int, str]:
        assert self._agent
        while time.monotonic() < until:
            while b"\n" in self._rest:
                one, self._rest = self._rest.split(b"\n", 1)
                with contextlib.suppress(ValueError):
                    found = json.loads(base64.b64decode(one.strip().removeprefix(b"=")))
                    if isinstance(found, dict) and found.get("id") == identity and "code" in found:
                        return int(found["code"]), str(found["out"])
            with contextlib.suppress(TimeoutError):
                part = self._agent.recv(65536)
                if not part:
                    raise ConnectionError
                self._rest += part
        raise ConnectionError

    def until_booted(self, within: float = 400) -> None:
        """Waits until somebody inside takes orders."""
        until = time.monotonic() + within
        tries = 1
        while True:
            assert self.running(), f"QEMU has ended:\n{self.console()}"
            if tries < 3 and time.monotonic() - self.started > STUCK_SECONDS and self._hangs():
                rootfs.say("the kernel hangs before it has a disk, switched off and on")
                self.stop()
                self.start()
                tries += 1
                until = time.monotonic() + within
            assert time.monotonic() < until, f"not booted after {within:g} s:\n{self.console()}"
            with contextlib.suppress(AssertionError):
                if self.run("systemctl show --property=Version", timeout=5)[0] == 0:
                    return
            time.sleep(0.5)

    # -- power

    def reboot(self) -> None:
        """From inside; comes back at once."""
        self.started = time.monotonic()
        self.run("systemctl --no-block reboot")

    def power_off(self, within: float = 240) -> None:
        """From inside, as a stop of the instance does it."""
        with contextlib.suppress(AssertionError):
            self.run("systemctl --no-block poweroff", timeout=10)
        assert self._process
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(within)
        self.stop()

    def stop(self) -> None:
        """Pulls the plug."""
        self._hang_up()
        process, self._process = self._process, None
        if process is not None:
            end(process)

    def __exit__(self, *_: object) -> None:
        self.stop()
