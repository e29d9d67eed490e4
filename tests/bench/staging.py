"""How fast weights get to a disk, against `dd` of the same disk: `python -m tests.bench.staging [--disk DIR]`.

The store is nginx on loopback, which answers from memory. In each round `dd`, a C program that does the least
(floor_copy.c), the node's program, and the node's program with encryption take turns; ratios are of one round, and
medians of the rounds are told. Store and node share this machine's CPUs, so each one's CPU is told as well; as those
bound the copy here, the disk is then held to a rate for which they suffice, which shows what the program makes of a
disk. The process runs as on a node.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from tests.bench import weights_store
from tests.bench.surroundings import CannotHold, held, machine, preferred, program
from tests.bench.weights_store import BLOCK, Store
from tests.support.node.staged import BUCKET, FOLDER, Machine, node, noise

AIM: Final = 0.9
FLOOR: Final = Path(__file__).with_name("floor_copy.c")
FLOOR_THREADS: Final = 8
HELD_SHARE: Final = 0.5
"""Of what the copy brought: then CPUs suffice for the rest."""

Figures = dict[str, float]


def dd(folder: Path, size: int) -> Figures:
    """What `dd` takes to write past the page cache."""
    target = folder / "dd"
    command = ["dd", "if=/dev/zero", f"of={target}", "bs=16M", f"count={size // BLOCK}", "oflag=direct", "conv=fsync"]
    began = time.monotonic()
    subprocess.run(command, check=True, capture_output=True)
    spent = time.monotonic() - began
    target.unlink()
    return {"gbPerSecond": size // BLOCK * BLOCK / spent / 1e9}


def compiled(folder: Path) -> tuple[Path | None, str]:
    """The floor program; without one, why."""
    compiler = program("cc") or program("gcc")
    if compiler is None:
        return None, "no C compiler"
    found = folder / "floor_copy"
    built = subprocess.run(
        [compiler, "-O2", "-o", str(found), str(FLOOR), "-lcrypto", "-lpthread"], capture_output=True, text=True
    )
    lines = [line for line in built.stderr.splitlines() if "error" in line]
    return (None, lines[0] if lines else "it does not compile") if built.returncode else (found, "")


def floor(command: Path, tmp: Path, store: Store) -> Figures:
    """The C program's copy of the same files from the same store."""
    folder = tmp / "floor"
    folder.mkdir()
    before = store.cpu()
    told = subprocess.run(
        [str(command), str(store.plain), str(FLOOR_THREADS), str(folder), *store.paths],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    served = store.cpu() - before
    shutil.rmtree(folder)
    found, gb = json.loads(told.stdout), store.size / 1e9
    return {
        "gbPerSecond": gb / found["seconds"],
        "cpuSecondsPerGb": found["cpu"] / gb,
        "storeCpuSecondsPerGb": served / gb,
    }


def copy(tmp: Path, store: Store, staging: dict[str, int | None], *, encrypted: bool) -> Figures:
    """The node's program, onto an empty scratch. Seconds are of the copy alone, CPU is of the whole program."""
    shutil.rmtree(tmp / "scratch", ignore_errors=True)
    plain = node(tmp, f"s3://{BUCKET}/{FOLDER}")
    config = plain.model_dump(mode="json", by_alias=True) | {"staging": staging}
    url = f"https://127.0.0.1:{store.encrypted}" if encrypted else f"http://127.0.0.1:{store.plain}"
    started = Machine(
        tmp,
        type(plain).model_validate_json(json.dumps(config)),
        {
            "AWS_ENDPOINT_URL": url,
            "AWS_ACCESS_KEY_ID": "bench",
            "AWS_SECRET_ACCESS_KEY": "bench",
            "SSL_CERT_FILE": str(store.authority),
        },
    )
    before, served = resource.getrusage(resource.RUSAGE_CHILDREN), store.cpu()
    code, journal = started.run(timeout=900)
    after, served = resource.getrusage(resource.RUSAGE_CHILDREN), store.cpu() - served
    shutil.rmtree(tmp / "scratch", ignore_errors=True)
    copied = re.search(r"staged in ([0-9.,]+) s", journal)
    if code or copied is None:
        raise RuntimeError(journal)
    gb = store.size / 1e9
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {
        "gbPerSecond": gb / max(0.05, float(copied[1].replace(",", ""))),
        "cpuSecondsPerGb": cpu / gb,
        "storeCpuSecondsPerGb": served / gb,
    }


def hashing() -> float:
    """GB per second that one CPU hashes."""
    block, began = noise(BLOCK), time.monotonic()
    for _ in range(32):
        hashlib.sha256(block)
    return 32 * BLOCK / (time.monotonic() - began) / 1e9


def summary(rounds: list[dict[str, Figures]]) -> dict[str, dict[str, Any]]:
    """Medians over the rounds, with ratios of what ran in the same round."""
    found: dict[str, dict[str, Any]] = {}
    for name in rounds[0]:
        runs = [one[name] for one in rounds]
        found[name] = {key: _middle([run[key] for run in runs]) for key in runs[0]}
        found[name]["best"] = round(max(run["gbPerSecond"] for run in runs), 3)
        for other, label in (("dd", "ofDd"), ("floor", "ofFloor")):
            if other in rounds[0] and name not in ("dd", other):
                found[name][label] = _middle([one[name]["gbPerSecond"] / one[other]["gbPerSecond"] for one in rounds])
    return found


def _middle(values: list[float]) -> float:
    return round(statistics.median(values), 3)


def measure(disk: Path, gib: float, count: int, staging: dict[str, int | None]) -> dict[str, Any]:
    """All figures; count: rounds."""
    with tempfile.TemporaryDirectory(dir=disk) as there, preferred() as alone:
        tmp = Path(there)
        least, why = compiled(tmp)
        with weights_store.serving(tmp, gib) as store:
            rounds: list[dict[str, Figures]] = []
            for number in range(count):
                print(f"    round {number + 1} of {count}", file=sys.stderr, flush=True)
                one = {"dd": dd(tmp, store.size)}
                if least is not None:
                    one["floor"] = floor(least, tmp, store)
                one["copy"] = copy(tmp, store, staging, encrypted=False)
                one["encrypted"] = copy(tmp, store, staging, encrypted=True)
                rounds.append(one)
            found = summary(rounds)
            if least is None:
                found["floor"] = {"skipped": why}
            found["held"] = _held(tmp, store, count, staging, found["encrypted"]["gbPerSecond"])
        hashed = hashing()
    return {
        "bytes": store.size,
        "rounds": count,
        "aim": AIM,
        **found,
        "sha256GbPerSecondOfOneCpu": round(hashed, 3),
        "beforeOtherWork": alone,
        "machine": machine(),
    }


def _held(tmp: Path, store: Store, count: int, staging: dict[str, int | None], most: float) -> dict[str, Any]:
    """dd and the copies on the same disk, held to a rate that the CPUs can fill."""
    rate = int(HELD_SHARE * most * 1e9)
    rounds = []
    try:
        for number in range(count):
            print(f"    disk held to {rate / 1e9:.2f} GB/s, round {number + 1} of {count}", file=sys.stderr, flush=True)
            with held(tmp, rate):
                rounds.append(
                    {
                        "dd": dd(tmp, store.size),
                        "copy": copy(tmp, store, staging, encrypted=False),
                        "encrypted": copy(tmp, store, staging, encrypted=True),
                    }
                )
    except CannotHold as error:
        return {"skipped": str(error)}
    return {"heldToGbPerSecond": round(rate / 1e9, 3), **summary(rounds)}


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--gib", type=float, default=4.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--disk", type=Path, default=Path("/var/tmp"))
    parser.add_argument("--connections", type=int)
    parser.add_argument("--part-mib", type=int)
    chosen = parser.parse_args()
    if why := weights_store.lacks():
        raise SystemExit(why)
    wanted = {"connections": chosen.connections, "partMib": chosen.part_mib}
    json.dump(measure(chosen.disk, chosen.gib, chosen.rounds, wanted), sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
