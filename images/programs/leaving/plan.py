"""How the last seconds of a node are spent, and what is cut when there are too few.

From the moment at which the gate says 503:

    0 .. deregister        the engine still takes what balancers send, and works
    deregister .. kill     the engine finishes what it has, and ends; usually long before `kill`
    kill .. deadline       the cloud is told

Requests in flight run through both of the first two, so the wait for the balancers costs them nothing. Too little time
is taken, in this order, from: the wait for the balancers (who comes late is refused with 503 and goes elsewhere), the
time to finish (the engine is killed while it works: connections break, which clients see at once), and never from the
cloud's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from images.node import Cloud, Drain

DOOR: Final = 0.5
"""Seconds from `stopping` in drain.json until the gate surely admits nothing; it looks four times a second."""
TEARDOWN: Final = 8.0
"""From the last request to vLLM's exit, 5 to 9 s."""
HANG: Final = 15.0
"""So long after its own limit an engine has hung: vLLM has been seen to wait for idle connections without end."""
LEAST: Final = 5.0
"""Taken for what is left when the time of a notice has passed already: the node is there, so something is left."""
TELL: Final[dict[Cloud, float]] = {"aws": 3.0, "azure": 1.0, "gcp": 0.5, "tencent": 0.5}
"""Seconds before the deadline that belong to telling the cloud: a signed call over TLS; one on the link; nothing."""


@dataclass(frozen=True)
class Plan:
    """Seconds from the beginning of the drain.

    stop: the engine is asked to end. kill: it is made to. tell: longest time for telling the cloud, from then on.
    """

    stop: float
    kill: float
    tell: float


def plan(drain: Drain, left: float | None, tell: float) -> Plan:
    """left: seconds from the beginning of the drain to the deadline; None: nobody set one. tell: of the cloud."""
    if left is None:
        stop = max(DOOR, float(drain.deregister_seconds))
        return Plan(stop, stop + drain.drain_seconds + HANG, 20.0)
    left = max(0.0, left)
    kill = max(0.0, left - tell)
    spare = kill - TEARDOWN - drain.drain_seconds
    stop = min(kill, max(DOOR, min(float(drain.deregister_seconds), spare)))
    return Plan(stop, min(kill, stop + drain.drain_seconds + HANG), max(1.0, left - kill))
