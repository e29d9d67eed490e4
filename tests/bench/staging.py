"""How fast weights get to a disk, against `dd` of the same disk: `python -m tests.bench.staging [--disk DIR]`.

The store is nginx on loopback, which answers ranges from memory, so what is measured is the node's own work: receive,
hash, write. CPU is told as well, since store and node share this machine's; a node has many more CPUs per disk. The
process runs as on a node. The last line is JSON.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from tests.support.node.staged import BUCKET, FOLDER, NAME, REVISION, Machine, node, noise

AIM: Final = 0.9
SHARD: Final = 256 << 20
BLOCK: Final = 16 << 20
NGINX: Final = """
worker_processes 1; daemon off; pid {tmp}/nginx.pid; error_log {tmp}/error.log; worker_rlimit_nofile 4096;
events {{ worker_connections 1024; }}
http {{
  access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000;
  client_body_temp_path {tmp}/body; proxy_temp_path {tmp}/proxy; fastcgi_temp_path {tmp}/fastcgi;
  uwsgi_temp_path {tmp}/uwsgi; scgi_temp_path {tmp}/scgi;
  server {{ listen 127.0.0.1:{port}; root {root}; }}
}}
"""


def _fill(root: Path, gib: float) -> int:
    """Shards and their manifest, in memory; bytes of them."""
    folder = root / BUCKET / FOLDER
    folder.mkdir(parents=True)
    entries = []
    block = noise(BLOCK)
    count = max(1, round(gib * (1 << 30) / SHARD))
    for number in range(count):
        hash_ = hashlib.sha256()
        path = folder / f"model-{number + 1:05}-of-{count:05}.safetensors"
        with path.open("wb") as file:
            for part in range(SHARD // BLOCK):
                data = number.to_bytes(4, "big") + part.to_bytes(4, "big") + block[8:]
                hash_.update(data)
                file.write(data)
        entries.append({"path": path.name, "size": SHARD, "sha256": hash_.hexdigest()})
    config = b'{"architectures": ["TinyForCausalLM"]}'
    (folder / "config.json").write_bytes(config)
    entries.append({"path": "config.json", "size": len(config), "sha256": hashlib.sha256(config).hexdigest()})
    body = {"schemaVersion": 1, "model": NAME, "revision": REVISION, "files": entries}
    (folder / "manifest.json").write_text(json.dumps(body))
    return count * SHARD + len(config)


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def dd(folder: Path, size: int) -> float:
    """Bytes per second that `dd` writes past the page cache."""
    target = folder / "dd"
    command = ["dd", "if=/dev/zero", f"of={target}", "bs=16M", f"count={size // BLOCK}", "oflag=direct", "conv=fsync"]
    began = time.monotonic()
    subprocess.run(command, check=True, capture_output=True)
    spent = time.monotonic() - began
    target.unlink()
    return size // BLOCK * BLOCK / spent


def sha256() -> float:
    """Bytes per second that one CPU hashes."""
    block, began = noise(BLOCK), time.monotonic()
    for _ in range(32):
        hashlib.sha256(block)
    return 32 * BLOCK / (time.monotonic() - began)


def stage(tmp: Path, port: int, staging: dict[str, int]) -> tuple[float, float, float]:
    """Seconds of the copy without the program's start, with it, and of CPU, onto an empty scratch."""
    shutil.rmtree(tmp / "scratch", ignore_errors=True)
    config = node(tmp, f"s3://{BUCKET}/{FOLDER}").model_dump(mode="json", by_alias=True)
    config["staging"] = {"connections": staging.get("connections"), "partMib": staging.get("partMib")}
    machine = Machine(
        tmp,
        type(node(tmp, f"s3://{BUCKET}/{FOLDER}")).model_validate_json(json.dumps(config)),
        {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
            "AWS_ACCESS_KEY_ID": "bench",
            "AWS_SECRET_ACCESS_KEY": "bench",
        },
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.monotonic()
    code, journal = machine.run(timeout=600)
    spent = time.monotonic() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if code:
        raise SystemExit(journal)
    copied = re.search(r"staged in ([0-9.,]+) s", journal)
    if copied is None:
        raise SystemExit(journal)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return float(copied[1].replace(",", "")), spent, cpu


def measure(disk: Path, gib: float, rounds: int, staging: dict[str, int]) -> dict[str, Any]:
    """The figures, best of `rounds`, with dd in turn with the copy."""
    nginx = shutil.which("nginx") or "/usr/sbin/nginx"
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=disk) as there, tempfile.TemporaryDirectory(dir=memory) as here:
        tmp, root = Path(there), Path(here)
        root.chmod(0o755)
        size = _fill(root, gib)
        port = _free_port()
        conf = tmp / "nginx.conf"
        conf.write_text(NGINX.format(tmp=tmp, port=port, root=root))
        server = subprocess.Popen([nginx, "-p", str(tmp), "-c", str(conf)], stderr=subprocess.DEVNULL)
        try:
            for _ in range(100):
                with socket.socket() as one:
                    if one.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.05)
            disks, copies = [], []
            for _ in range(rounds):
                disks.append(dd(tmp, size))
                copies.append(stage(tmp, port, staging))
        finally:
            server.terminate()
            server.wait(10)
    copied, spent, cpu = min(copies)
    most, hashed = statistics.median(disks), sha256()
    gb = size / 1e9
    return {
        "what": "staging",
        "bytes": size,
        "seconds": round(copied, 2),
        "secondsWithStart": round(spent, 2),
        "gbPerSecond": round(gb / copied, 3),
        "ddGbPerSecond": round(most / 1e9, 3),
        "ratio": round(size / copied / most, 3),
        "aim": AIM,
        "sha256GbPerSecondPerCpu": round(hashed / 1e9, 3),
        "cpuSecondsPerGb": round(cpu / gb, 2),
        "cpuSecondsPerGbOfTheHash": round(1e9 / hashed, 2),
        # Of the node alone, to reach the aim on this disk; the store of this measurement takes more of them.
        "cpusForTheAim": round(AIM * most / 1e9 * cpu / gb, 1),
        "cpus": len(os.sched_getaffinity(0)),
        "load": round(os.getloadavg()[0], 1),
    }


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--gib", type=float, default=2.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--disk", type=Path, default=Path("/var/tmp"))
    parser.add_argument("--connections", type=int)
    parser.add_argument("--part-mib", type=int)
    chosen = parser.parse_args()
    wanted = {"connections": chosen.connections, "partMib": chosen.part_mib}
    json.dump(measure(chosen.disk, chosen.gib, chosen.rounds, wanted), sys.stdout)
    print()


if __name__ == "__main__":
    main()
