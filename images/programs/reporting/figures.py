"""The figures of a node, read from its gate's /metrics."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final, Literal

Name = Literal["QueuePerReplica", "TtftP50Ms", "ErrorRate", "Ready"]
FROM: Final[Mapping[str, tuple[Name, float]]] = {
    "spillway_gate_queue_requests": ("QueuePerReplica", 1.0),
    "spillway_gate_ttft_p50_seconds": ("TtftP50Ms", 1000.0),
    "spillway_gate_error_ratio": ("ErrorRate", 1.0),
    "spillway_gate_ready": ("Ready", 1.0),
}
DRAINING: Final = 'spillway_gate_reason{reason="draining"}'
MOST: Final = 1e9
"""Far above whatever a node has; clouds refuse some values that a float can hold.
https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricDatum.html"""


def figures(metrics: str | None) -> dict[str, float]:
    """What is reported. metrics: the gate's page; None: nobody answers, so the node is not ready.

    What the gate does not know is left out, as it is no zero. A draining node reports no queue: load is shared by those
    that stay, and their mean decides how many are bought.
    """
    found: dict[str, float] = {"Ready": 0.0}
    draining = False
    for line in (metrics or "").splitlines():
        name, _, text = line.rpartition(" ")
        try:
            value = float(text)
        except ValueError:
            continue
        if not math.isfinite(value) or not 0 <= value <= MOST:
            continue
        if name == DRAINING:
            draining = value == 1
        elif name in FROM:
            to, scale = FROM[name]
            found[to] = value * scale
    if draining:
        found.pop("QueuePerReplica", None)
    return found
