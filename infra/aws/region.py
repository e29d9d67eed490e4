"""One AWS region that serves: joins network, storage, identity, nodes, pools, scaling, balancer and events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pulumi
from pulumi import ResourceOptions

from images.node import NodeConfig
from infra import naming, outputs
from infra.aws.balancer import Balancer, BalancerArgs
from infra.aws.common import Scope
from infra.aws.events import Events, EventsArgs
from infra.aws.identity import Identity, IdentityArgs
from infra.aws.logs import Logs, LogsArgs, group_name
from infra.aws.lookups import CapacityBlock, MachineImage
from infra.aws.network import Network, NetworkArgs
from infra.aws.node import Node, NodeArgs, PoolKind, node_config
from infra.aws.pools import Pools, PoolsArgs
from infra.aws.scaling import Scaling, ScalingArgs, fallback_alarm_names
from infra.aws.storage import Storage, StorageArgs
from infra.catalog import checker_networks
from infra.fallback import Rule
from infra.node_config import model_prefix

if TYPE_CHECKING:
    from infra.config import AwsRegion


@dataclass(frozen=True, slots=True)
class RegionArgs:
    """The stack file of the region, checked, and what was found in the account for it."""

    config: AwsRegion
    image: MachineImage
    blocks: tuple[CapacityBlock, ...] = ()
    checker_lists: Mapping[str, str] = field(default_factory=dict)


class Region(pulumi.ComponentResource):
    """Everything of one region. Needs `opts.provider`; takes nothing from the environment, exports nothing."""

    endpoint: pulumi.Output[dict[str, Any]]
    pools: pulumi.Output[dict[str, Any]]
    image: pulumi.Output[dict[str, Any]]
    model_store: pulumi.Output[str]

    def __init__(self, name: str, args: RegionArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("spillway:aws:Region", name, None, opts)
        self._name = name
        self._config = config = args.config
        self._scope = scope = Scope(config.stack_name, config.region, config.account, config.tags)
        self._child = child = ResourceOptions(parent=self)
        stack = scope.stack
        self._bucket = bucket = naming.bucket_name(config.account, config.region)
        blocks = args.blocks
        groups = {
            "spot": naming.pool_name(stack, "spot"),
            "on-demand": naming.pool_name(stack, "on-demand"),
            **{block.id: naming.block_name(stack, block.id) for block in blocks},
        }
        rule = Rule(
            floor=config.pools.floor,
            out_minutes=config.fallback.out_minutes,
            in_minutes=config.fallback.in_minutes,
            boot_minutes=config.fallback.boot_minutes,
            max_on_demand=config.pools.max,
        )
        spot_config = node_config(config, "spot", groups["spot"], bucket)

        network = Network(
            f"{name}-network",
            NetworkArgs(
                scope=scope,
                cidr=config.network.cidr,
                zones=config.zones,
                egress=config.network.egress,
                clients=config.network.clients,
                checkers=checker_networks(config.network, route53=False),  # by prefix list
                checker_lists=args.checker_lists,
                monitoring=config.network.monitoring,
                logs=config.logs.ship,
                bucket=bucket,
                efa=config.efa,
            ),
            child,
        )
        storage = Storage(f"{name}-storage", StorageArgs(scope, bucket), child)
        identity = Identity(
            f"{name}-identity",
            IdentityArgs(
                scope=scope,
                bucket=bucket,
                model_prefix=model_prefix(config),
                secrets={"certificate": config.secrets.certificate, "api-keys": config.secrets.api_keys},
                groups=list(groups.values()),
                metrics_namespace=spot_config.metrics_namespace,
                log_group=group_name(stack) if config.logs.ship else None,
                boundary=config.node.permissions_boundary,
            ),
            child,
        )
        logs = Logs(f"{name}-logs", LogsArgs(scope, config.logs.retention_days), child) if config.logs.ship else None
        events = Events(
            f"{name}-events",
            EventsArgs(
                scope=scope,
                groups=list(groups.values()),
                alarms=list(fallback_alarm_names(scope, rule).values()),
                monthly_usd=config.budget.monthly_usd,
                emails=config.budget.emails,
            ),
            child,
        )
        balancer = Balancer(
            f"{name}-balancer",
            BalancerArgs(
                scope=scope,
                vpc_id=network.vpc_id,
                subnet_ids=network.public_subnet_ids,
                security_group_id=network.balancer_security_group_id,
                drain_seconds=config.node.deregister_seconds + config.node.drain_seconds,
                after=network.edge,
            ),
            child,
        )
        self._image, self._network, self._identity = args.image, network, identity
        block_nodes = [
            (
                block,
                self._node(
                    "capacity-block", node_config(config, "capacity-block", groups[block.id], bucket), (), block
                ),
            )
            for block in blocks
        ]
        pools = Pools(
            f"{name}-pools",
            PoolsArgs(
                scope=scope,
                target=config.pools.target,
                floor=config.pools.floor,
                max=config.pools.max,
                spot=self._node("spot", spot_config, config.pools.types),
                spot_types=config.pools.types,
                on_demand=self._node(
                    "on-demand", node_config(config, "on-demand", groups["on-demand"], bucket), config.on_demand_types
                ),
                on_demand_types=config.on_demand_types,
                blocks=block_nodes,
                reservations=config.pools.reservations,
                subnet_ids=network.node_subnet_ids,
                target_group_arn=balancer.target_group_arn,
                grace_seconds=config.node.grace_period_minutes * 60,
                notice_seconds=config.node.notice_seconds,
                after=[*network.egress, *identity.rights, *([logs.ready] if logs else [])],
            ),
            child,
        )
        node_pools: list[PoolKind] = ["spot", "on-demand"]
        if blocks:
            node_pools.append("capacity-block")
        Scaling(
            f"{name}-scaling",
            ScalingArgs(
                scope=scope,
                rule=rule,
                load=config.scaling,
                metrics_namespace=spot_config.metrics_namespace,
                spot_group=pools.spot_group,
                on_demand_group=pools.on_demand_group,
                block_groups=pools.block_groups,
                node_pools=node_pools,
                notify=events.topic_arn,
                dry_run=config.fallback.dry_run,
            ),
            child,
        )
        self._describe(balancer, pools, args, storage)
        self.register_outputs({"endpoint": self.endpoint, "pools": self.pools})

    def _node(self, label: str, config: NodeConfig, types: tuple[str, ...], block: CapacityBlock | None = None) -> Node:
        return Node(
            f"{self._name}-{label}" if block is None else f"{self._name}-block-{block.id.removeprefix('cr-')}",
            NodeArgs(
                scope=self._scope,
                label=config.group.removeprefix(f"{naming.region_prefix(self._scope.stack)}-"),
                config=config,
                types=types,
                image=self._image,
                instance_profile_arn=self._identity.instance_profile_arn,
                security_group_ids=self._network.node_security_group_ids,
                root=self._config.storage.root,
                data=self._config.storage.data,
                efa=self._config.efa,
                block=block,
            ),
            self._child,
        )

    def _describe(self, balancer: Balancer, pools: Pools, args: RegionArgs, storage: Storage) -> None:
        config = self._config
        blocks = [
            {"name": group, "reservation": block.id}
            for block, group in zip(args.blocks, pools.block_groups, strict=True)
        ]
        self.endpoint = pulumi.Output.from_input(outputs.endpoint(config, balancer.hostname, balancer.addresses))
        self.pools = pulumi.Output.from_input(outputs.pools(config, pools.spot_group, pools.on_demand_group, blocks))
        self.image = pulumi.Output.from_input(outputs.image(config, args.image.id))
        self.model_store = storage.uri
