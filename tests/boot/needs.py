"""What a rung needs of the machine, and what this one lacks. Packages by name are in tools/packages.txt."""

from __future__ import annotations

import os
import platform
import shutil
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
PACKAGES: Final = ROOT / "tools" / "packages.txt"
OFF: Final = "SPILLWAY_BOOT"
"""`no`: neither rung runs, whatever the machine could."""
PROGRAMS: Final = {
    "nspawn": ("mmdebstrap", "systemd-nspawn", "systemd-sysusers", "nsenter", "ip"),
    "qemu": ("mmdebstrap", "qemu-system-x86_64", "qemu-img", "mke2fs", "systemd-sysusers", "nsenter", "ip"),
}
"""By rung."""
DISK_BYTES: Final = 6 * 2**30
MEMORY_BYTES: Final = {"nspawn": 2**30, "qemu": 3 * 2**30}


def packages(rung: str) -> list[str]:
    """Debian packages of a rung: the lines of tools/packages.txt below `# rung: <name>`."""
    found: list[str] = []
    current = ""
    for line in PACKAGES.read_text().splitlines():
        if line.startswith("# rung:"):
            current = line.removeprefix("# rung:").split(",")[0].strip()
        elif line.strip() and not line.startswith("#") and current == rung:
            found.append(line.split("#")[0].strip())
    return found


def _memory() -> int:
    """Bytes that are available."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return 0


def _cgroups() -> bool:
    return any(Path("/sys/fs/cgroup", name, "cgroup.procs").exists() for name in ("", "unified", "systemd"))


def lacks(rung: str) -> str:
    """Why a rung cannot run here, in one line; empty when it can."""
    if os.environ.get(OFF, "").lower() in ("no", "0", "off"):
        return f"{OFF}={os.environ[OFF]}"
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        return f"wants Linux on x86_64, this is {platform.system()} on {platform.machine()}"
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    if missing := [name for name in PROGRAMS[rung] if shutil.which(name, path=path) is None]:
        return f"{', '.join(missing)} not installed (apt-get install {' '.join(packages(rung))})"
    if os.geteuid() != 0:
        return "not root: a root file system has owners and devices, a boot has namespaces and mounts"
    if rung == "nspawn" and not _cgroups():
        return "no cgroups under /sys/fs/cgroup"
    if (memory := _memory()) < MEMORY_BYTES[rung]:
        return f"{memory >> 20} MiB of memory are free, {MEMORY_BYTES[rung] >> 20} are needed"
    if (free := shutil.disk_usage("/var/tmp").free) < DISK_BYTES:
        return f"{free >> 20} MiB are free in /var/tmp, {DISK_BYTES >> 20} are needed"
    return ""
