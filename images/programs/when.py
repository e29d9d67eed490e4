"""Whether a unit has anything to do on this node: for ExecCondition=. `python -m images.programs.when ray-head`.

Exit code 0: start it; 1: pass it over. Every node of a group has the same node.json, so what differs is looked up.
"""

from __future__ import annotations

import argparse
import sys
from typing import Final

from images.node import NodeConfig
from images.programs import settings
from images.programs.journal import Journal

ROLES: Final = ("ray-head", "ray-worker")


def applies(config: NodeConfig, role: str) -> bool:
    """Whether this node plays the role."""
    replica = getattr(config, "replica", None)
    if replica is None or getattr(replica, "executor", "ray") != "ray":
        return False
    return role == ("ray-head" if replica.rank == 0 else "ray-worker")


def main() -> int:
    parser = argparse.ArgumentParser(prog="when", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("role", choices=ROLES)
    role = parser.parse_args().role
    try:
        return 0 if applies(settings.load(), role) else 1
    except settings.ConfigFault as fault:
        Journal("when").tell("no configuration", "error", detail=str(fault))
        return 1


if __name__ == "__main__":
    sys.exit(main())
