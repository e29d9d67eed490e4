"""How fast each cloud's groups do what they do: every figure that no stack says, with where it is from.

`source` is the page that says it, or the nearest one that says what happens without saying how fast; then `assumed`
says what was taken, and why.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

Refill = Literal["itself", "function"]
Spread = Literal["fewest-held", "most-room"]
Victim = Literal["oldest", "booting-then-newest", "newest"]


@dataclass(frozen=True, slots=True)
class Ground:
    """Why one figure is what it is."""

    source: str
    assumed: str = ""


@dataclass(frozen=True, slots=True)
class Pace:
    """One cloud's ways. Seconds.

    refill: who launches what is missing. retry_seconds: between two tries of a group that launches by itself and found
    no capacity. replace_seconds: from the end of a node to the launch of its successor. rebalance: whether the group
    launches a successor at a spot node's notice already. margin: share of the desired size by which that may exceed
    the maximum. heartbeats: how often a node that makes progress may extend the time in which it has to be ready, and
    up to which total. spread: which zone a launch tries first. victim: whom a smaller size ends. lag_seconds: age of
    the metrics by which is decided.
    """

    refill: Refill
    retry_seconds: float
    replace_seconds: float
    rebalance: bool
    margin: float
    heartbeats: int
    heartbeats_seconds: float
    spread: Spread
    victim: Victim
    lag_seconds: int
    grounds: Mapping[str, Ground]


_AWS: Final = "https://docs.aws.amazon.com/autoscaling/ec2/userguide"
_GCP: Final = "https://docs.cloud.google.com/compute/docs/instance-groups"
_AZURE: Final = "https://learn.microsoft.com/azure/virtual-machine-scale-sets"

PACES: Final[Mapping[str, Pace]] = {
    "aws": Pace(
        refill="itself",
        retry_seconds=60.0,
        replace_seconds=0.0,
        rebalance=True,
        margin=0.1,
        heartbeats=100,
        heartbeats_seconds=48 * 3600.0,
        spread="fewest-held",
        victim="oldest",
        lag_seconds=60,
        grounds={
            "refill": Ground(f"{_AWS}/ec2-auto-scaling-how-scaling-works.html"),
            "retry_seconds": Ground(
                f"{_AWS}/ts-as-capacity.html",
                "failed launches are repeated, at which pace is not documented: once a minute",
            ),
            "replace_seconds": Ground(
                f"{_AWS}/ec2-auto-scaling-health-checks.html",
                "a node that is not running is unhealthy at once; the seconds until its successor are not counted",
            ),
            "rebalance": Ground(
                f"{_AWS}/ec2-auto-scaling-capacity-rebalancing.html",
                "every spot group of a stack is made so (infra/aws/pools.py); no trace tells of a rebalance"
                " recommendation that comes before the notice, so it comes with it",
            ),
            "margin": Ground(f"{_AWS}/ec2-auto-scaling-capacity-rebalancing.html"),
            "heartbeats": Ground(
                "https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_RecordLifecycleActionHeartbeat.html",
                "the node extends the hook's time for as long as it makes progress",
            ),
            "heartbeats_seconds": Ground(
                "https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_PutLifecycleHook.html"
            ),
            "spread": Ground(
                f"{_AWS}/auto-scaling-benefits.html",
                "the zone with the fewest nodes first, then another; of the types there the cheapest with room: how"
                " price-capacity-optimized weighs capacity is not documented",
            ),
            "victim": Ground(
                f"{_AWS}/ec2-auto-scaling-termination-policies.html",
                "the default policy: in the zone with the most nodes; all have one template, so the oldest",
            ),
            "lag_seconds": Ground(
                f"{_AWS}/ec2-auto-scaling-metrics.html", "a value once a minute, evaluated with the next minute's"
            ),
        },
    ),
    "azure": Pace(
        refill="function",
        retry_seconds=60.0,
        replace_seconds=0.0,
        rebalance=False,
        margin=0.0,
        heartbeats=0,
        heartbeats_seconds=0.0,
        spread="most-room",
        victim="newest",
        lag_seconds=0,
        grounds={
            "refill": Ground(
                f"{_AZURE}/use-spot",
                "an evicted node is deleted and the set's capacity falls with it (infra/function/azure.py)",
            ),
            "retry_seconds": Ground(
                f"{_AZURE}/use-spot", "not used: the set tries once, its function clears what failed and asks again"
            ),
            "replace_seconds": Ground(f"{_AZURE}/virtual-machine-scale-sets-automatic-instance-repairs"),
            "rebalance": Ground(f"{_AZURE}/use-spot"),
            "margin": Ground(f"{_AZURE}/use-spot"),
            "heartbeats": Ground(f"{_AZURE}/virtual-machine-scale-sets-automatic-instance-repairs"),
            "heartbeats_seconds": Ground(f"{_AZURE}/virtual-machine-scale-sets-automatic-instance-repairs"),
            "spread": Ground(
                f"{_AZURE}/virtual-machine-scale-sets-use-availability-zones",
                "best effort over zones: nodes land where there is most room",
            ),
            "victim": Ground(f"{_AZURE}/virtual-machine-scale-sets-scale-in-policy"),
            "lag_seconds": Ground("https://learn.microsoft.com/azure/azure-functions/functions-bindings-timer"),
        },
    ),
    "gcp": Pace(
        refill="itself",
        retry_seconds=60.0,
        replace_seconds=0.0,
        rebalance=False,
        margin=0.0,
        heartbeats=0,
        heartbeats_seconds=0.0,
        spread="most-room",
        victim="booting-then-newest",
        lag_seconds=0,
        grounds={
            "refill": Ground(f"{_GCP}/about-repair"),
            "retry_seconds": Ground(
                f"{_GCP}/about-repair", "a group retries until it succeeds, at which pace is not documented: one minute"
            ),
            "replace_seconds": Ground(f"{_GCP}/about-repair"),
            "rebalance": Ground("https://docs.cloud.google.com/compute/docs/instances/spot"),
            "margin": Ground(f"{_GCP}/regional-mig-distribution-shape"),
            "heartbeats": Ground(f"{_GCP}/autohealing-instances-in-migs"),
            "heartbeats_seconds": Ground(f"{_GCP}/autohealing-instances-in-migs"),
            "spread": Ground(
                f"{_GCP}/regional-mig-distribution-shape",
                "shape ANY picks zones within present constraints; taken: the one with most room first",
            ),
            "victim": Ground(
                f"{_GCP}/working-with-managed-instances", "nodes that do not serve yet first, then the newest"
            ),
            "lag_seconds": Ground("https://docs.cloud.google.com/scheduler/docs/creating"),
        },
    ),
    "tencent": Pace(
        refill="itself",
        retry_seconds=60.0,
        replace_seconds=0.0,
        rebalance=False,
        margin=0.0,
        heartbeats=0,
        heartbeats_seconds=0.0,
        spread="fewest-held",
        victim="oldest",
        lag_seconds=60,
        grounds={
            name: Ground(
                "https://www.tencentcloud.com/document/api/377/31016",
                "RetryPolicy INCREMENTAL_INTERVALS tries again at growing intervals of which no figure is documented:"
                " once a minute, and otherwise as an auto scaling group on AWS without spot",
            )
            for name in (
                "refill", "retry_seconds", "replace_seconds", "rebalance", "margin", "heartbeats",
                "heartbeats_seconds", "spread", "victim", "lag_seconds",
            )
        },
    ),
}  # fmt: skip
