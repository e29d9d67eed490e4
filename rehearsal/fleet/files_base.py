"""What the readers of stack files share: which key says what, and the figures that every cloud has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from infra.config import RegionConfig
from infra.fallback import Rule
from infra.outputs import PORT, READY_PATH
from infra.stackfile import REGION_KEY
from rehearsal.fleet import common
from rehearsal.fleet.model import Balancer, Node, Origin
from rehearsal.fleet.resources import Notes

# infra/{aws,azure,gcp,tencent}/balancer.py
CHECK_SECONDS, CHECK_TIMEOUT, CHECK_THRESHOLD = 5, 4, 2


@dataclass(frozen=True, slots=True)
class Writer:
    """Notes which key of a stack file each figure comes from."""

    file: str
    notes: Notes
    path: str

    def at(self, path: str) -> Writer:
        """The same below this path."""
        return Writer(self.file, self.notes, f"{self.path}.{path}")

    def say(self, **keys: str) -> None:
        """field = key below spillway:region."""
        for field, key in keys.items():
            self.notes[f"{self.path}.{field}"] = Origin(self.file, f"{REGION_KEY}.{key}")

    def assume(self, **whys: str) -> None:
        """field = why it is so, although the file does not say it."""
        for field, why in whys.items():
            self.notes[f"{self.path}.{field}"] = Origin(self.file, assumed=why)


def told(config: RegionConfig) -> dict[str, Any]:
    """Who the region is, and its sizes."""
    return {
        "stack": config.stack_name,
        "cloud": config.CLOUD,
        "region": config.region,
        "residency": config.residency,
        "nearest_aws_region": config.latency_region,
        "target": config.pools.target,
        "floor": config.pools.floor,
        "maximum": config.pools.max,
        "signal": config.scaling.signal,
    }


def rule_of(config: RegionConfig) -> Rule:
    """The fallback's rule, as every cloud's program makes it."""
    return Rule(
        floor=config.pools.floor,
        out_minutes=config.fallback.out_minutes,
        in_minutes=config.fallback.in_minutes,
        boot_minutes=config.fallback.boot_minutes,
        max_on_demand=config.pools.max,
    )


def say_pools(top: Writer, config: RegionConfig) -> None:
    """Which keys the pools' figures are."""
    zones = "network.zones" if config.network.zones is not None else "pools.types (zones that offer them)"
    top.at("spot").say(
        name="region", market="pools", types="pools.types", choice="pools.types", zones=zones,
        minimum="pools.target - pools.floor", maximum="pools.max - pools.floor", initial="pools.target - pools.floor",
    )  # fmt: skip
    types = "pools.types" if config.pools.on_demand_types is None else "pools.onDemandTypes"
    top.at("on_demand").say(
        name="region", market="pools", types=types, choice=types, zones=zones, minimum="pools.floor",
        maximum="pools.max", initial="pools.floor",
    )  # fmt: skip
    top.assume(blocks="the stack file names none")


def balancer(config: RegionConfig, drain_seconds: int, **other: Any) -> Balancer:
    """The balancer as every cloud's program makes it, but for what is `other`."""
    same: dict[str, Any] = {
        "protocol": "HTTPS",
        "path": READY_PATH,
        "port": PORT,
        "interval_seconds": CHECK_SECONDS,
        "timeout_seconds": CHECK_TIMEOUT,
        "healthy_threshold": CHECK_THRESHOLD,
        "unhealthy_threshold": CHECK_THRESHOLD,
        "drain_seconds": drain_seconds,
        "addresses": config.addresses,
    }
    return Balancer(**same | other)


def drain(config: RegionConfig) -> int:
    """From unready to the last answer given, seconds."""
    return config.node.deregister_seconds + config.node.drain_seconds


def node(config: RegionConfig, top: Writer, notice: int, grace: int, why: str = "") -> Node:
    """The node; notice and grace in seconds. why: where the notice is not the stack file's to say."""
    top.at("node").say(grace_seconds="node.gracePeriodMinutes", notice_seconds="node.noticeSeconds")
    if why:
        top.at("node").assume(notice_seconds=why)
    return common.of_config(config, grace, notice)
