"""One Azure region that serves: joins network, storage, identity, nodes, pools, scaling, balancer and events."""

from __future__ import annotations

import datetime
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pulumi
from pulumi import ResourceOptions

from images import node as image_node
from infra import outputs
from infra.azure import names
from infra.azure.balancer import Balancer, BalancerArgs
from infra.azure.common import Scope, resource_group
from infra.azure.events import Events, EventsArgs
from infra.azure.identity import Identity, IdentityArgs, secrets_vault
from infra.azure.logs import TABLE, Logs, LogsArgs
from infra.azure.lookups import MachineImage
from infra.azure.network import Network, NetworkArgs
from infra.azure.node import Node, NodeArgs, PoolKind, node_config
from infra.azure.pools import Pools, PoolsArgs
from infra.azure.scaling import Scaling, ScalingArgs
from infra.azure.storage import Storage, StorageArgs
from infra.azure.zones import pool_zones, region_zones
from infra.catalog import checker_networks
from infra.node_config import model_prefix

if TYPE_CHECKING:
    from infra.config import AzureRegion

TRAFFIC_MANAGER: Final = "AzureTrafficManager"
"""Service tag of the probes: https://learn.microsoft.com/azure/virtual-network/service-tags-overview"""


@dataclass(frozen=True, slots=True)
class Hooks:
    """What the engine calls on the way. publish: see ScalingArgs. spreading: whether a role assignment that was refused
    is tried again. vault: hears that the vault was refused."""

    publish: Callable[[pulumi.ResourceHookArgs], Awaitable[None]]
    spreading: Callable[[pulumi.ErrorHookArgs], Awaitable[bool]]
    vault: Callable[[pulumi.ErrorHookArgs], Awaitable[bool]]


@dataclass(frozen=True, slots=True)
class RegionArgs:
    """The stack file of the region, checked, and what was found in the subscription for it.

    tenant: of the subscription. spot_capacity, on_demand_capacity: how many nodes the pools have now. package: the
    fallback function's archive. hooks: None where there is no engine. today: the day on which a new budget would begin.
    """

    config: AzureRegion
    image: MachineImage
    tenant: str
    spot_capacity: int
    on_demand_capacity: int
    package: bytes
    today: datetime.date
    hooks: Hooks | None = None


class Region(pulumi.ComponentResource):
    """Everything of one region. Needs `opts.provider`; takes nothing from the environment, exports nothing."""

    endpoint: pulumi.Output[dict[str, Any]]
    pools: pulumi.Output[dict[str, Any]]
    image: pulumi.Output[dict[str, Any]]
    model_store: pulumi.Output[str]

    def __init__(self, name: str, args: RegionArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("spillway:azure:Region", name, None, opts)
        self._args = args
        self._config = config = args.config
        self._scope = scope = Scope(config.stack_name, config.region, config.account, config.tags)
        child = ResourceOptions(parent=self)
        stack = scope.stack
        self._account = names.storage_account(stack, config.account)
        self._vault = names.vault(stack, config.account)
        zones = region_zones(config.region)
        refused = None if args.hooks is None else pulumi.ErrorHook(f"{name}-vault", args.hooks.vault)
        alone = resource_group(f"{name}-group", scope, self).name
        vault = secrets_vault(f"{name}-identity", scope, alone, args.tenant, self._vault, self, refused)
        # All else waits for the vault: its name may be that of a deleted one, which keeps it for a week, and a region
        # that cannot be finished is not begun.
        group = pulumi.Output.all(alone, vault.name).apply(lambda names: str(names[0]))
        # A role or principal that was just made is not known everywhere:
        # https://github.com/Azure/azure-rest-api-specs/issues/2135
        patience = None if args.hooks is None else pulumi.ErrorHook(f"{name}-spreading", args.hooks.spreading)

        self._network = network = Network(
            f"{name}-network",
            NetworkArgs(
                scope=scope,
                group=group,
                cidr=config.network.cidr,
                zones=zones,
                clients=config.network.clients,
                checkers=checker_networks(config.network),
                checker_tags=[TRAFFIC_MANAGER] if "traffic-manager" in config.network.checkers else [],
                monitoring=config.network.monitoring,
            ),
            child,
        )
        storage = Storage(
            f"{name}-storage",
            StorageArgs(scope=scope, group=group, account=self._account, zones=zones),
            child,
        )
        logs = (
            Logs(f"{name}-logs", LogsArgs(scope, group, config.logs.retention_days), child)
            if config.logs.ship
            else None
        )
        self._identity = identity = Identity(
            f"{name}-identity",
            IdentityArgs(
                scope=scope,
                group=group,
                vault=vault,
                container_id=storage.container_id,
                model_prefix=model_prefix(config),
                logs_rule_id=logs.rule_id if logs else None,
                patience=patience,
            ),
            child,
        )
        self._logs = None if logs is None else _shipped(logs, identity)
        self._balancer = balancer = Balancer(
            f"{name}-balancer", BalancerArgs(scope=scope, group=group, zones=zones), child
        )
        pools = Pools(
            f"{name}-pools",
            PoolsArgs(
                scope=scope,
                group=group,
                spot=self._node("spot", config.pools.types[0]),
                on_demand=self._node("on-demand", config.on_demand_types[0]),
                spot_capacity=args.spot_capacity,
                on_demand_capacity=args.on_demand_capacity,
                grace_seconds=config.node.grace_period_minutes * 60,
                after=[*network.egress, *identity.rights],
            ),
            child,
        )
        events = Events(
            f"{name}-events",
            EventsArgs(
                scope=scope,
                group=group,
                on_demand_group_id=pools.on_demand_group_id,
                monthly_usd=config.budget.monthly_usd,
                emails=config.budget.emails,
                first_month=args.today,
            ),
            child,
        )
        Scaling(
            f"{name}-scaling",
            ScalingArgs(
                scope=scope,
                group=group,
                pools=config.pools,
                fallback=config.fallback,
                load=config.scaling,
                zones=zones,
                spot_group=names.scale_set(stack, "spot"),
                on_demand_group=names.scale_set(stack, "on-demand"),
                spot_group_id=pools.spot_group_id,
                on_demand_group_id=pools.on_demand_group_id,
                notify=events.action_group_id,
                package=args.package,
                patience=patience,
                publish=None if args.hooks is None else args.hooks.publish,
            ),
            child,
        )
        self._describe(balancer, pools, storage)
        self.register_outputs({"endpoint": self.endpoint, "pools": self.pools})

    def _node(self, pool: PoolKind, machine_type: str) -> Node:
        config = self._config
        return Node(
            NodeArgs(
                scope=self._scope,
                config=node_config(config, pool, names.scale_set(self._scope.stack, pool), self._account, self._vault),
                machine_type=machine_type,
                zones=pool_zones(config, machine_type),
                image=self._args.image,
                identity_id=self._identity.identity_id,
                subnet_id=self._network.node_subnet_id,
                pool_id=self._balancer.pool_id,
                root=config.storage.root,
                data=config.storage.data,
                logs=self._logs,
            )
        )

    def _describe(self, balancer: Balancer, pools: Pools, storage: Storage) -> None:
        config = self._config
        self.endpoint = pulumi.Output.from_input(outputs.endpoint(config, balancer.hostname, balancer.addresses))
        self.pools = pulumi.Output.from_input(outputs.pools(config, pools.spot_group, pools.on_demand_group))
        self.image = pulumi.Output.from_input(outputs.image(config, self._args.image.id))
        self.model_store = storage.uri


def _shipped(logs: Logs, identity: Identity) -> pulumi.Output[image_node.Logs]:
    """What a node is told of its logs: Azure chooses the endpoint's host and the rule's id."""
    return pulumi.Output.all(logs.endpoint, logs.rule, identity.client_id).apply(
        lambda known: image_node.Logs(endpoint=known[0], rule=known[1], table=TABLE, identity=known[2])
    )
