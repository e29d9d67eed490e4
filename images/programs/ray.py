"""Ray of a replica that has several nodes. `python -m images.programs.ray head | worker`; becomes `ray start --block`.

A worker waits for the head, for at most WAIT seconds: then it ends with one line, and systemd starts it again. Ray
listens on the private address alone: whoever reaches it can run code (https://docs.ray.io/en/latest/ray-security/).
SPILLWAY_RAY_PORT and SPILLWAY_RAY_ARGS are for tests: another port, and more of Ray's own options.
"""

from __future__ import annotations

import argparse
import os
import shlex
import socket
import sys
import time
from collections.abc import Callable, Mapping
from typing import Final, Literal

from images.node import Cluster, NodeConfig
from images.programs import settings
from images.programs.journal import Journal
from images.programs.serving import command
from images.programs.serving.command import Refused
from images.programs.together import addresses

PORT: Final = 6379
ARGS: Final = "SPILLWAY_RAY_ARGS"
"""More options of `ray start`, as a shell would split them: resources that Ray cannot find where there are no GPUs."""
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


def port(environment: Mapping[str, str]) -> int:
    """Where the head listens."""
    return int(environment.get("SPILLWAY_RAY_PORT") or PORT)


def address(found: Cluster, environment: Mapping[str, str]) -> str:
    """The cluster's, as Ray writes it."""
    host = f"[{found.head_address}]" if ":" in found.head_address else found.head_address
    return f"{host}:{port(environment)}"


def argv(found: Cluster, own: str, program: str, environment: Mapping[str, str] | None = None) -> list[str]:
    """The command. No dashboard, no usage statistics: neither is for anybody on a node. Raises Refused."""
    environment = environment or {}
    try:
        more = shlex.split(environment.get(ARGS, ""))
    except ValueError as error:
        raise Refused(f"{ARGS}: {error}") from None
    common = [f"--node-ip-address={own}", "--disable-usage-stats", "--block", *more]
    if found.role == "head":
        return [program, "start", "--head", f"--port={port(environment)}", "--include-dashboard=false", *common]
    return [program, "start", f"--address={address(found, environment)}", *common]


def wait_for_head(host: str, at: int, seconds: float, sleep: Callable[[float], None] = time.sleep) -> float:
    """Seconds until the head took a connection. Raises Refused when it takes none in time."""
    began, last = time.monotonic(), ""
    while True:
        try:
            with socket.create_connection((host, at), timeout=EVERY):
                return time.monotonic() - began
        except OSError as error:
            last = error.strerror or "no answer"
        if time.monotonic() - began >= seconds:
            raise Refused(f"cluster: no Ray at the head {host}:{at} for {seconds:.0f} s ({last})")
        sleep(EVERY)


def serve(role: Role, journal: Journal) -> int:
    """Does not return when all is well: this process becomes Ray."""
    try:
        config = settings.load()
        found = cluster(config, role)
        environment = command.variables(config, os.environ) | addresses.variables(found.head_address)
        if role == "worker":
            wait = min(WAIT, float(os.environ.get("SPILLWAY_RAY_WAIT") or WAIT))
            seconds = wait_for_head(addresses.checked(found.head_address), port(os.environ), wait)
            journal.tell("head found", "notice", head=found.head_address, seconds=round(seconds, 1))
        program = os.environ.get("SPILLWAY_RAY") or "/opt/vllm/bin/ray"
        words = argv(found, environment["VLLM_HOST_IP"], program, os.environ)
    except (Refused, settings.ConfigFault) as fault:
        journal.tell("does not start", "error", detail=str(fault))
        return 1
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
