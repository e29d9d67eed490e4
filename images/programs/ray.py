"""Ray of a replica that has several nodes. `python -m images.programs.ray head | worker`; becomes `ray start --block`.

A worker waits for the head, for at most WAIT seconds: then it ends with one line, and systemd starts it again. Ray
listens on the private address alone: whoever reaches it can run code (https://docs.ray.io/en/latest/ray-security/).
"""

from __future__ import annotations

import argparse
import os
import shlex
import socket
import sys
import time
from collections.abc import Callable
from typing import Final, Literal

from images.node import Cluster, NodeConfig
from images.programs import settings
from images.programs.journal import Journal
from images.programs.serving import command
from images.programs.serving.command import Refused
from images.programs.together import addresses

PORT: Final = 6379
WAIT: Final = 300.0
EVERY: Final = 2.0
Role = Literal["head", "worker"]


def cluster(config: NodeConfig, role: Role) -> Cluster:
    """What node.json says. Raises Refused where it says another role."""
    found = config.cluster
    if found is None or found.executor != "ray":
        raise Refused("cluster: this node is no part of a replica that Ray holds together")
    if found.role != role:
        raise Refused(f"cluster: this node is the {found.role} (rank {found.rank}), not the {role}")
    return found


def argv(found: Cluster, address: str, program: str) -> list[str]:
    """The command. No dashboard, no usage statistics: neither is for anybody on a node."""
    common = [f"--node-ip-address={address}", "--disable-usage-stats", "--block"]
    if found.role == "head":
        return [program, "start", "--head", f"--port={PORT}", "--include-dashboard=false", *common]
    host = f"[{found.head_address}]" if ":" in found.head_address else found.head_address
    return [program, "start", f"--address={host}:{PORT}", *common]


def wait_for_head(host: str, port: int, seconds: float, sleep: Callable[[float], None] = time.sleep) -> float:
    """Seconds until the head took a connection. Raises Refused when it takes none in time."""
    began, last = time.monotonic(), ""
    while True:
        try:
            with socket.create_connection((host, port), timeout=EVERY):
                return time.monotonic() - began
        except OSError as error:
            last = error.strerror or "no answer"
        if time.monotonic() - began >= seconds:
            raise Refused(f"cluster: no Ray at the head {host}:{port} for {seconds:.0f} s ({last})")
        sleep(EVERY)


def serve(role: Role, journal: Journal) -> int:
    """Does not return when all is well: this process becomes Ray."""
    try:
        config = settings.load()
        found = cluster(config, role)
        environment = command.variables(config, os.environ) | addresses.variables(found.head_address)
        if role == "worker":
            wait = min(WAIT, float(os.environ.get("SPILLWAY_RAY_WAIT") or WAIT))
            seconds = wait_for_head(addresses.checked(found.head_address), PORT, wait)
            journal.tell("head found", "notice", head=found.head_address, seconds=round(seconds, 1))
    except (Refused, settings.ConfigFault) as fault:
        journal.tell("does not start", "error", detail=str(fault))
        return 1
    words = argv(found, environment["VLLM_HOST_IP"], os.environ.get("SPILLWAY_RAY") or "/opt/vllm/bin/ray")
    journal.tell("starts", "notice", command=shlex.join(words))
    for handle in (1, 2):
        os.set_blocking(handle, True)
    try:
        os.execvpe(words[0], words, environment)
    except OSError as error:
        journal.tell("does not start", "error", detail=f"{words[0]}: {error.strerror}")
    return 1


def main() -> int:
    parser = argparse.ArgumentParser(prog="ray", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("role", choices=["head", "worker"])
    return serve(parser.parse_args().role, Journal("ray"))


if __name__ == "__main__":
    sys.exit(main())
