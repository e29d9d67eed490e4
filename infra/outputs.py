"""What a region stack exports, in the same words on every cloud. Pure: values may be known to the engine only later."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from infra.config import RegionConfig

PORT: Final = 443
"""TCP, passed through by the balancer: TLS ends on the node."""
READY_PATH: Final = "/readyz"
"""Of the node's readiness gate, the only thing that whoever routes looks at."""


def endpoint(config: RegionConfig, hostname: Any, addresses: Any) -> dict[str, Any]:
    """Where clients are sent; the global stack reads nothing else. hostname: None where balancers have no name."""
    return {
        "hostname": hostname,
        "addresses": addresses,
        "port": PORT,
        "healthPath": READY_PATH,
        "cloud": config.cloud,
        "region": config.region,
        "nearestAwsRegion": config.latency_region,
        "residency": config.residency,
    }


def pools(config: RegionConfig, spot: Any, on_demand: Any, blocks: Sequence[dict[str, Any]] = ()) -> dict[str, Any]:
    """Who serves. spot, on_demand: names of the groups; without a spot pool the target is the on-demand pool's.

    blocks: `name` and `reservation` of each group in a capacity block.
    """
    wanted = config.pools
    spot_size = wanted.target - wanted.floor if config.SPOT else 0
    return {
        "target": wanted.target,
        "floor": wanted.floor,
        "max": wanted.max,
        "spot": {"name": spot, "types": list(wanted.types) if config.SPOT else [], "size": spot_size},
        "onDemand": {
            "name": on_demand,
            "types": list(config.on_demand_types),
            "size": wanted.target - spot_size,
        },
        "capacityBlocks": list(blocks),
    }


def image(config: RegionConfig, id: Any) -> dict[str, Any]:
    """What nodes boot from. family and version are None where the stack file names an id."""
    return {"family": config.image.family, "version": config.image.version, "id": id}
