"""All components of an Azure region in one program, for tests with mocks and for tests on the real engine."""

from __future__ import annotations

import copy
from datetime import UTC, datetime
from typing import Any

import pulumi

from infra.config import AzureRegion
from tests.support.azure import SUBSCRIPTION

STACK = "azure-westus2"
TENANT = "00000000-0000-4000-8000-000000000001"
REGION: dict[str, Any] = {
    "cloud": "azure",
    "region": "westus2",
    "account": SUBSCRIPTION,
    "nearestAwsRegion": "us-west-2",
    "residency": "us",
    "model": {
        "name": "deepseek-r1-distill-llama-70b",
        "revision": "2025-01-20",
        "tensorParallel": 8,
        "maxModelLen": 32768,
        "maxNumSeqs": 64,
    },
    "pools": {"types": ["Standard_ND96asr_v4"], "target": 2, "max": 6},
    "network": {"cidr": "10.40.0.0/16"},
    "image": {"family": "spillway-vllm", "version": "2026.11.1"},
    "service": {"name": "llm.example.com"},
    "secrets": {"certificate": "spillway-certificate", "apiKeys": "spillway-api-keys"},
    "budget": {"monthlyUsd": 60000, "emails": ["platform@example.com"]},
    "tags": {"team": "platform"},
}


def region(changes: dict[str, Any] | None = None) -> AzureRegion:
    """The region with values set by dotted key."""
    data = copy.deepcopy(REGION)
    for key, value in (changes or {}).items():
        *path, last = key.split(".")
        place = data
        for step in path:
            place = place.setdefault(step, {})
        place[last] = value
    return AzureRegion.model_validate(data)


def build(config: AzureRegion, opts: pulumi.ResourceOptions, provider: Any = None, **more: Any) -> dict[str, Any]:
    """Register every component. provider: to look up image and tenant with; None takes those of the stand-in.
    more: `networks`, `checkers`, `checker_tags`, `zones` (of the nodes) and `spot_capacity` of the components."""
    from infra.azure import names
    from infra.azure.balancer import Balancer, BalancerArgs
    from infra.azure.common import Scope, resource_group
    from infra.azure.events import Events, EventsArgs
    from infra.azure.identity import Identity, IdentityArgs
    from infra.azure.lookups import MachineImage, find_capacity, find_image, find_tenant
    from infra.azure.network import Network, NetworkArgs
    from infra.azure.node import Node, NodeArgs, PoolKind, node_config
    from infra.azure.pools import Pools, PoolsArgs
    from infra.azure.storage import Storage, StorageArgs
    from infra.azure.zones import pool_zones, region_zones
    from infra.node_config import model_prefix

    stack, networks = config.stack_name, more.get("networks")
    parent = pulumi.ComponentResource("spillway:azure:Region", stack, None, opts)
    child = pulumi.ResourceOptions(parent=parent)
    image = MachineImage(gallery_id(config)) if provider is None else find_image(config, provider)
    tenant = TENANT if provider is None else find_tenant(config.account, provider)
    zones = region_zones(config.region)
    scope = Scope(stack, config.region, config.account, config.tags)
    group = resource_group(f"{stack}-group", scope, parent)
    account, vault = names.storage_account(stack, config.account), names.vault(stack, config.account)
    network = Network(
        f"{stack}-network",
        NetworkArgs(
            scope,
            group.name,
            config.network.cidr,
            zones,
            config.network.clients,
            more.get("checkers", ()),
            more.get("checker_tags", ()),
        ),
        child,
    )
    storage = Storage(
        f"{stack}-storage", StorageArgs(scope, group.name, account, zones, network.node_subnet_id, networks), child
    )
    identity = Identity(
        f"{stack}-identity",
        IdentityArgs(
            scope,
            group.name,
            tenant,
            vault,
            storage.container_id,
            model_prefix(config),
            network.node_subnet_id,
            networks,
        ),
        child,
    )
    balancer = Balancer(f"{stack}-balancer", BalancerArgs(scope, group.name, zones), child)

    def capacity(pool: PoolKind) -> int:
        return 0 if provider is None else find_capacity(names.scale_set(stack, pool), scope.group, provider)

    def node(pool: PoolKind, machine_type: str) -> Node:
        return Node(
            NodeArgs(
                scope=scope,
                config=node_config(config, pool, names.scale_set(stack, pool), account, vault),
                machine_type=machine_type,
                zones=more.get("zones", pool_zones(config, machine_type)),
                image=image,
                identity_id=identity.identity_id,
                subnet_id=network.node_subnet_id,
                pool_id=balancer.pool_id,
                root=config.storage.root,
                data=config.storage.data,
            )
        )

    pools = Pools(
        f"{stack}-pools",
        PoolsArgs(
            scope=scope,
            group=group.name,
            spot=node("spot", config.pools.types[0]),
            on_demand=node("on-demand", config.on_demand_types[0]),
            spot_capacity=more.get("spot_capacity", capacity("spot")),
            on_demand_capacity=capacity("on-demand"),
            grace_seconds=config.node.grace_period_minutes * 60,
            after=[*network.egress, *identity.rights],
        ),
        child,
    )
    events = Events(
        f"{stack}-events",
        EventsArgs(
            scope,
            group.name,
            pools.on_demand_group_id,
            config.budget.monthly_usd,
            config.budget.emails,
            datetime.now(UTC).date(),
        ),
        child,
    )
    return {
        "addresses": balancer.addresses,
        "spot": pools.spot_group,
        "onDemand": pools.on_demand_group,
        "modelStore": storage.uri,
        "vault": identity.vault_url,
        "identity": identity.client_id,
        "actions": events.action_group_id,
    }


def gallery_id(config: AzureRegion) -> str:
    """The image version that a region by family and version means."""
    image = config.image
    return (
        f"/subscriptions/{config.account}/resourceGroups/{image.resource_group}/providers/Microsoft.Compute/galleries/"
        f"{image.gallery}/images/{image.family}/versions/{image.version}"
    )
