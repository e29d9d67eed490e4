"""What a rung of the image's tests needs of the machine, and what this one lacks. Packages are in tools/packages.txt.

    python3 -m tests.boot.needs [RUNG ...]               one line for each: what it lacks; exit code 1 where one does
    python3 -m tests.boot.needs --packages [RUNG ...]    Debian packages that they want, each once
    python3 -m tests.boot.needs --missing [RUNG ...]     those whose programs are not here: what apt-get has to install

Any Python from 3.11 on will do, without a package: it is asked before there is a virtual environment.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import platform
import shutil
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
PACKAGES: Final = ROOT / "tools" / "packages.txt"
OFF: Final = {"nspawn": "SPILLWAY_BOOT", "qemu": "SPILLWAY_BOOT", "vllm": "SPILLWAY_VLLM_TESTS"}
"""`no`: the rung does not run, whatever the machine could."""
DISK_BYTES: Final = {"nspawn": 3 * 2**30, "qemu": 6 * 2**30}
MEMORY_BYTES: Final = {"nspawn": 2**30, "qemu": 3 * 2**30}
MARK: Final = "# rung:"


def _sections() -> dict[str, dict[str, tuple[str, ...]]]:
    """Rung -> package -> programs of it that are called, in the order of the file."""
    found: dict[str, dict[str, tuple[str, ...]]] = {}
    rung = ""
    for line in PACKAGES.read_text().splitlines():
        if line.startswith(MARK):
            rung = line.removeprefix(MARK).split(",")[0].strip()
            found[rung] = {}
        elif line.strip() and not line.startswith("#"):
            package, _, told = line.partition("#")
            found[rung][package.strip()] = tuple(told.partition(":")[0].split())
    return found


def rungs() -> list[str]:
    """Names, lowest first."""
    return list(_sections())


def packages(rung: str) -> list[str]:
    """Debian packages of a rung."""
    return list(_sections()[rung])


def _here(program: str) -> bool:
    """Whether there is such a program, or such a library."""
    if ".so" in program:
        try:
            ctypes.CDLL(program)
        except OSError:
            return False
        return True
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") is not None


def absent(rung: str) -> dict[str, list[str]]:
    """Package -> those of its programs that are not here; empty when all are."""
    found = {package: [one for one in programs if not _here(one)] for package, programs in _sections()[rung].items()}
    return {package: programs for package, programs in found.items() if programs}


def _memory() -> int:
    """Bytes that are available."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return 0


def _cgroups() -> bool:
    return any(Path("/sys/fs/cgroup", name, "cgroup.procs").exists() for name in ("", "unified", "systemd"))


def lacks(rung: str) -> str:
    """Why a rung cannot run here as a whole, in one line; empty when it can. Raises KeyError for an unknown one."""
    variable = OFF.get(rung, "")
    if variable and os.environ.get(variable, "").lower() in ("no", "0", "off"):
        return f"{variable}={os.environ[variable]}"
    boots = rung in MEMORY_BYTES
    if boots and (platform.system() != "Linux" or platform.machine() != "x86_64"):
        return f"wants Linux on x86_64, this is {platform.system()} on {platform.machine()}"
    if missing := absent(rung):
        names = ", ".join(dict.fromkeys(program for programs in missing.values() for program in programs))
        return f"{names} not installed (apt-get install {' '.join(missing)})"
    if not boots:
        return ""
    if os.geteuid() != 0:
        return "not root: a root file system has owners and devices, a boot has namespaces and mounts"
    if rung == "nspawn" and not _cgroups():
        return "no cgroups under /sys/fs/cgroup"
    if (memory := _memory()) < MEMORY_BYTES[rung]:
        return f"{memory >> 20} MiB of memory are free, {MEMORY_BYTES[rung] >> 20} are needed"
    if (free := shutil.disk_usage("/var/tmp").free) < DISK_BYTES[rung]:
        return f"{free >> 20} MiB are free in /var/tmp, {DISK_BYTES[rung] >> 20} are needed"
    return ""


def _each(groups: Iterable[Iterable[str]]) -> list[str]:
    return sorted({one for group in groups for one in group})


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python3 -m tests.boot.needs", description=(__doc__ or "").splitlines()[0], allow_abbrev=False
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--packages", action="store_true", help="Debian packages that the rungs want")
    what.add_argument("--missing", action="store_true", help="those whose programs are not on this machine")
    parser.add_argument("rung", nargs="*", help=f"{', '.join(rungs())}; all where none is named")
    given = parser.parse_args(arguments)
    if unknown := [one for one in given.rung if one not in rungs()]:
        parser.error(f"rung {unknown[0]}: has to be one of {', '.join(rungs())}")
    wanted = given.rung or rungs()
    if given.packages or given.missing:
        for package in _each(absent(one) if given.missing else packages(one) for one in wanted):
            print(package)
        return 0
    lacking = {rung: lacks(rung) for rung in wanted}
    for rung, text in lacking.items():
        print(f"{rung}: {text or 'has all that it needs'}")
    return 1 if any(lacking.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
