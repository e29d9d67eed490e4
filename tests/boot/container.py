"""A root file system booted by systemd-nspawn, in the network of a Lab."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Final, Self

from tests.boot import rootfs
from tests.boot.lab import Lab, end

CGROUPS: Final = Path("/sys/fs/cgroup")
MASKED: Final = (
    "systemd-networkd-wait-online.service", "systemd-remount-fs.service", "systemd-networkd.service",
    "systemd-networkd.socket", "systemd-resolved.service", "mdmonitor.service", "systemd-udev-trigger.service",
)  # fmt: skip
"""Of no use without devices and with a network that is there already."""


def _cgroups(name: str) -> list[Path]:
    """Folders for this boot, one in each hierarchy that systemd uses. Without one of its own the container's systemd
    takes the caller's, and ends who is in it.
    """
    found = []
    for hierarchy in (CGROUPS / "systemd", CGROUPS / "unified", CGROUPS):
        if (hierarchy / "cgroup.procs").exists():
            (hierarchy / name).mkdir()
            found.append(hierarchy / name)
    return found


def _remove(folder: Path) -> None:
    """A cgroup and those below it, which have no process any more."""
    for path, _, _ in os.walk(folder, topdown=False):
        with contextlib.suppress(OSError):
            Path(path).rmdir()


class Container:
    """The node of a Lab. files: what it has beside the Lab's, by path."""

    def __init__(self, lab: Lab, files: dict[str, str] | None = None) -> None:
        self.lab = lab
        self.files = lab.files | (files or {})
        self.root = lab.folder / "root"
        self.log = lab.folder / "console.log"
        self.started = 0.0
        """time.monotonic() at the start: the clock inside is the same."""
        self._process: subprocess.Popen[bytes] | None = None
        self._cgroups: list[Path] = []
        self._pid = 0

    def __enter__(self) -> Self:
        lab = self.lab
        instance = "instance-id: i-0123456789abcdef0\nlocal-hostname: node\n"
        seed = {"meta-data": instance, "user-data": (lab.folder / "user-data").read_text()}
        rootfs.make(self.root, lab.cloud, environment=lab.environment, seed=seed, files=self.files)
        for name in MASKED:
            rootfs.link(self.root / "etc/systemd/system" / name, "/dev/null")
        self.start()
        return self

    def start(self) -> None:
        """Boots; comes back at once."""
        self._cgroups = _cgroups(self.lab.name)
        command = [
            "systemd-nspawn", "--quiet", f"--directory={self.root}", "--boot", "--console=pipe", "--register=no",
            "--keep-unit", f"--machine={self.lab.name}", f"--network-namespace-path=/run/netns/{self.lab.name}",
            "--resolv-conf=off", "--timezone=off", "--link-journal=no",
        ]  # fmt: skip
        enter = "".join(f"echo $$ > {folder}/cgroup.procs; " for folder in self._cgroups)
        with self.log.open("wb") as log:
            self.started = time.monotonic()
            self._process = subprocess.Popen(
                ["sh", "-c", f'{enter}exec "$@"', "sh", *command],
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        end_of_wait = time.monotonic() + 30
        while not self._pid:
            if self._process.poll() is not None or time.monotonic() > end_of_wait:
                raise RuntimeError(f"systemd-nspawn does not boot:\n{self.log.read_text(errors='replace')[-3000:]}")
            time.sleep(0.02)
            self._pid = self._leader()

    def _leader(self) -> int:
        """The container's first process."""
        assert self._process
        place = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        for pid in place.read_text().split() if place.exists() else []:
            with contextlib.suppress(OSError):
                if Path(f"/proc/{pid}/root/run/systemd/system").is_dir() and self._inside(int(pid)):
                    return int(pid)
        return 0

    @staticmethod
    def _inside(pid: int) -> bool:
        return Path(f"/proc/{pid}/ns/mnt").readlink() != Path("/proc/self/ns/mnt").readlink()

    def run(self, command: str, timeout: float = 60) -> tuple[int, str]:
        """See guest.Guest."""
        enter = ["nsenter", "--target", str(self._pid), "--mount", "--uts", "--ipc", "--net", "--pid", "--root", "--wd"]
        done = subprocess.run(
            [*enter, "/bin/sh", "-c", command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, timeout=timeout, check=False, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
        )  # fmt: skip
        return done.returncode, done.stdout.decode("utf-8", "replace")

    def until_booted(self, within: float = 240) -> None:
        """Waits until systemd inside takes orders."""
        until = time.monotonic() + within
        while self.run("systemctl show --property=Version")[0] != 0:
            assert time.monotonic() < until, self.log.read_text(errors="replace")[-3000:]
            time.sleep(0.1)

    def wait(self, within: float) -> None:
        """Until it has gone down by itself. Raises subprocess.TimeoutExpired."""
        assert self._process
        self._process.wait(within)

    def stop(self) -> bool:
        """Power off, then by force. Whether it went down by itself."""
        process, self._process = self._process, None
        if process is None:
            return True
        if process.poll() is None and self._pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGRTMIN + 4)  # systemd: power off
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(90)
        orderly = process.poll() is not None
        end(process)
        self._pid = 0
        for folder in self._cgroups:
            _remove(folder)
        return orderly

    def __exit__(self, *_: object) -> None:
        self.stop()
