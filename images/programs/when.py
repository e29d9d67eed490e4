"""Whether a unit has anything to do on this node: for ExecCondition=. `python -m images.programs.when ray-head`.

Exit code 0: start it; 1: pass it over. A unit that is not for this node is passed over, and is no failure.
"""

from __future__ import annotations

import argparse
import sys
from typing import Final

from images.node import NodeConfig
from images.programs import settings
from images.programs.journal import Journal

ROLES: Final = ("ray-head", "ray-worker", "engine", "peers")
"""engine: everywhere but beside a Ray worker, whose processes Ray starts. peers: on nodes of a replica with several."""


def applies(config: NodeConfig, role: str) -> bool:
    """Whether this node plays the role."""
    cluster = config.cluster
    if role == "engine":
        return cluster is None or cluster.executor != "ray" or cluster.role == "head"
    if cluster is None or role == "peers":
        return cluster is not None
    return cluster.executor == "ray" and role == f"ray-{cluster.role}"


def main() -> int:
    parser = argparse.ArgumentParser(prog="when", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("role", choices=ROLES)
    role = parser.parse_args().role
    try:
        return 0 if applies(settings.load(), role) else 1
    except settings.ConfigFault as fault:
        Journal("when").tell("no configuration", "error", detail=str(fault))
        # A unit that is passed over is not tried again, and the engine's own check says what is wrong, time after time.
        return 0 if role == "engine" else 1


if __name__ == "__main__":
    sys.exit(main())
