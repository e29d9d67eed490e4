"""The components of a GCP region put together, as a region does it, for tests of all of them at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pulumi import ResourceOptions

from infra.config import GcpRegion
from infra.gcp.balancer import Balancer, BalancerArgs
from infra.gcp.common import Scope
from infra.gcp.events import Events, EventsArgs
from infra.gcp.identity import Identity, IdentityArgs
from infra.gcp.lookups import MachineImage, Project
from infra.gcp.names import bucket_name, pool_name
from infra.gcp.network import Network, NetworkArgs
from infra.gcp.node import Node, NodeArgs, node_config
from infra.gcp.pools import Pools, PoolsArgs
from infra.gcp.storage import Storage, StorageArgs
from infra.naming import POOLS, Pool
from infra.node_config import model_prefix

STACK = "gcp-us-central1"
IMAGE = MachineImage("projects/spillway-test/global/images/spillway-vllm-2026-11-1", 60)
# The stand-in's number of spillway-test, and the account that pays for it.
CONFIG: dict[str, Any] = {
    "cloud": "gcp",
    "region": "us-central1",
    "account": "spillway-test",
    "nearestAwsRegion": "us-east-2",
    "residency": "us",
    "model": {
        "name": "deepseek-r1-distill-llama-70b", "revision": "2025-01-20", "maxModelLen": 32768, "maxNumSeqs": 64,
        "fit": {"contextTokens": 8192, "concurrency": 32},
    },
    "pools": {"types": ["a2-highgpu-8g", "a2-ultragpu-8g", "a3-highgpu-8g"], "target": 2, "floor": 1, "max": 6},
    "network": {"cidr": "10.32.0.0/16"},
    "image": {"family": "spillway-vllm", "version": "2026.11.1"},
    "service": {"name": "llm.example.com"},
    "secrets": {"certificate": "spillway-certificate", "apiKeys": "spillway-api-keys"},
    "budget": {"monthlyUsd": 60000, "emails": ["platform@example.com", "finance@example.com"]},
    "tags": {"team": "platform"},
}  # fmt: skip


def config(changes: Mapping[str, Any] | None = None) -> GcpRegion:
    """A sound region with values set by dotted key."""
    data = {key: dict(value) if isinstance(value, dict) else value for key, value in CONFIG.items()}
    for key, value in (changes or {}).items():
        *path, last = key.split(".")
        place = data
        for step in path:
            place = place.setdefault(step, {})
        place[last] = value
    return GcpRegion.model_validate(data)


@dataclass
class Parts:
    """What was made."""

    network: Network
    storage: Storage
    identity: Identity
    events: Events
    nodes: dict[Pool, Node]
    pools: Pools
    balancer: Balancer


def build(config: GcpRegion, image: MachineImage, project: Project, opts: ResourceOptions | None = None) -> Parts:
    """All components of one region."""
    name = stack = config.stack_name
    scope = Scope(stack, config.region, config.account, config.tags)
    bucket = bucket_name(config.account, config.region)
    groups: dict[Pool, str] = {pool: pool_name(stack, pool) for pool in POOLS}
    types = {"spot": config.pools.types, "on-demand": config.on_demand_types}
    network = Network(
        f"{name}-network", NetworkArgs(scope, config.network.cidr, config.network.clients, ("198.51.100.0/24",)), opts
    )
    storage = Storage(f"{name}-storage", StorageArgs(scope, bucket), opts)
    identity = Identity(
        f"{name}-identity",
        IdentityArgs(
            scope=scope,
            bucket=bucket,
            model_prefix=model_prefix(config),
            secrets={"certificate": config.secrets.certificate, "api-keys": config.secrets.api_keys},
            after=[storage],
        ),
        opts,
    )
    events = Events(
        f"{name}-events",
        EventsArgs(
            scope=scope,
            groups=list(groups.values()),
            monthly_usd=config.budget.monthly_usd,
            emails=config.budget.emails,
            project_number=project.number,
            billing_account=project.billing_account,
        ),
        opts,
    )
    nodes = {
        pool: Node(
            f"{name}-{pool}",
            NodeArgs(
                scope=scope,
                pool=pool,
                config=node_config(config, pool, groups[pool], bucket),
                types=types[pool],
                image=image,
                account_email=identity.account_email,
                subnet_id=network.subnet_id,
                tags=network.node_tags,
                root=config.storage.root,
                data=config.storage.data,
            ),
            opts,
        )
        for pool in POOLS
    }
    pools = Pools(
        f"{name}-pools",
        PoolsArgs(
            scope=scope,
            spot=nodes["spot"],
            on_demand=nodes["on-demand"],
            on_demand_types=config.on_demand_types,
            zones=config.zones,
            grace_seconds=config.node.grace_period_minutes * 60,
            after=[*network.egress, *identity.rights],
        ),
        opts,
    )
    balancer = Balancer(
        f"{name}-balancer",
        BalancerArgs(scope, pools.instance_groups, config.node.deregister_seconds + config.node.drain_seconds),
        opts,
    )
    return Parts(network, storage, identity, events, nodes, pools, balancer)
