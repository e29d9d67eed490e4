"""What a killed engine leaves: shared memory that nobody has open, and caches that only the image has yet."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from pathlib import Path
from typing import Final

SHM: Final = Path("/dev/shm")
PROC: Final = Path("/proc")
NAMES: Final = re.compile(r"^(psm_|sem\.mp-|sem\.loky-|torch_|nccl-|vllm|cuda\.shm)")
"""Python's shared memory and semaphores, torch's, NCCL's: SIGKILL leaves them, and they count as memory."""
BAKED: Final = Path("/opt/vllm/share/cache")


def in_use(proc: Path = PROC, shm: Path = SHM) -> set[str]:
    """Names in `shm` that a process which we may look at has open or mapped."""
    found: set[str] = set()
    prefix = f"{shm}/"
    for process in proc.iterdir():
        if not process.name.isdecimal():
            continue
        with contextlib.suppress(OSError):
            for line in (process / "maps").read_text("utf-8", "replace").splitlines():
                if prefix in line:
                    found.add(line.split(prefix, 1)[1].removesuffix(" (deleted)"))
        with contextlib.suppress(OSError):
            for handle in (process / "fd").iterdir():
                with contextlib.suppress(OSError):
                    target = str(handle.readlink())
                    if target.startswith(prefix):
                        found.add(target.removeprefix(prefix))
    return found


def clean_shared_memory(shm: Path = SHM, proc: Path = PROC) -> list[str]:
    """Removes this user's own leftovers, and nothing that another process of this user still has. Their names."""
    try:
        mine = [
            entry
            for entry in shm.iterdir()
            if NAMES.match(entry.name) and entry.lstat().st_uid == os.geteuid() and not entry.is_dir()
        ]
    except OSError:
        return []
    if not mine:
        return []
    used = in_use(proc, shm)
    gone = []
    for entry in sorted(mine):
        # A semaphore is mapped by its name alone; where anything of the engine's lives, none of them is touched.
        if entry.name in used or (entry.name.startswith("sem.") and used):
            continue
        with contextlib.suppress(OSError):
            entry.unlink()
            gone.append(entry.name)
    return gone


def seed_caches(cache: Path, baked: Path = BAKED) -> bool:
    """Copies what the image compiled to the data volume, unless something is there. False: nothing to do."""
    if not baked.is_dir() or (cache.is_dir() and any(cache.iterdir())):
        return False
    half = cache.with_name(f".{cache.name}.{os.getpid()}")
    try:
        shutil.copytree(baked, half, symlinks=True)
        with contextlib.suppress(FileNotFoundError):
            cache.rmdir()
        half.replace(cache)
    except OSError:
        # A cache that is not there costs a minute; one that is half there would cost a start.
        shutil.rmtree(half, ignore_errors=True)
        return False
    return True
