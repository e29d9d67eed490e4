"""What a measurement has around it: which machine, how much CPU others get meanwhile, how fast its disk may be."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

AUTOGROUP: Final = Path("/proc/self/autogroup")
"""The session's share of the CPU, where sessions have one:
https://man7.org/linux/man-pages/man7/sched.7.html (the autogroup feature)."""
MOST: Final = -20


def machine() -> dict[str, Any]:
    """Name of the processor, CPUs, memory, and how busy others keep it."""
    name = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), name)
    return {
        "processor": name,
        "cpus": len(os.sched_getaffinity(0)),
        "memoryGib": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30, 1),
        "kernel": platform.release(),
        "load": round(os.getloadavg()[0], 1),
    }


@contextlib.contextmanager
def preferred() -> Iterator[bool]:
    """Inside, this session goes before all others, and its own processes stand to each other as ever.

    So other people's work on the machine costs a measurement little, and nothing of what is measured is favoured before
    the rest of it. False where that is not allowed.
    """
    before = _autogroup()
    if before is None or not _set_autogroup(MOST):
        yield False
        return
    try:
        yield True
    finally:
        _set_autogroup(before)


def _autogroup() -> int | None:
    with contextlib.suppress(OSError, ValueError):
        return int(AUTOGROUP.read_text().rpartition("nice ")[2])
    return None


def _set_autogroup(nice: int) -> bool:
    try:
        AUTOGROUP.write_text(str(nice))
    except OSError:
        return False
    return True


class CannotHold(Exception):
    """The disk's speed cannot be bounded here; the message is why."""


@contextlib.contextmanager
def held(folder: Path, rate: int) -> Iterator[None]:
    """Inside, this process and what it starts write `rate` bytes per second at most to the disk of `folder`.

    By a control group: https://docs.kernel.org/admin-guide/cgroup-v1/blkio-controller.html (throttling), or
    https://docs.kernel.org/admin-guide/cgroup-v2.html#io. Raises CannotHold.
    """
    device = _disk(folder)
    top, limit, text = _controller(device, rate)
    group = top / f"spillway-bench-{os.getpid()}"
    try:
        group.mkdir()
    except OSError as error:
        raise CannotHold(f"{group}: {error.strerror}") from None
    try:
        try:
            (group / limit).write_text(text)
            (group / "cgroup.procs").write_text(str(os.getpid()))
        except OSError as error:
            raise CannotHold(f"{group / limit}: {error.strerror}") from None
        yield
    finally:
        with contextlib.suppress(OSError):
            (top / "cgroup.procs").write_text(str(os.getpid()))
        with contextlib.suppress(OSError):
            group.rmdir()


def _disk(folder: Path) -> str:
    """Numbers of the whole disk below a file system."""
    number = folder.stat().st_dev
    known = Path(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}")
    if not known.exists():
        raise CannotHold(f"{folder} is not on one disk")
    real = known.resolve()
    return ((real.parent if (real / "partition").exists() else real) / "dev").read_text().strip()


def _controller(device: str, rate: int) -> tuple[Path, str, str]:
    """The group to make another in, the name of the limit and its text."""
    first = Path("/sys/fs/cgroup/blkio")
    if (first / "blkio.throttle.write_bps_device").exists():
        return first, "blkio.throttle.write_bps_device", f"{device} {rate}"
    second = Path("/sys/fs/cgroup")
    with contextlib.suppress(OSError):
        if "io" in (second / "cgroup.subtree_control").read_text().split():
            return second, "io.max", f"{device} wbps={rate}"
    raise CannotHold("no control group for disks")


def program(name: str) -> str | None:
    """Where a program is, looked for among the administrator's as well."""
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
