"""One Tencent Cloud region that serves: joins network, storage, identity, node, pool and balancer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pulumi
from pulumi import ResourceOptions

from infra import outputs
from infra.catalog import checker_networks
from infra.node_config import model_prefix
from infra.tencent import names
from infra.tencent.balancer import Balancer, BalancerArgs
from infra.tencent.common import Scope
from infra.tencent.identity import Identity, IdentityArgs
from infra.tencent.lookups import MachineImage
from infra.tencent.network import Network, NetworkArgs
from infra.tencent.node import Node, NodeArgs, node_config
from infra.tencent.pools import Pools, PoolsArgs
from infra.tencent.storage import Storage, StorageArgs

if TYPE_CHECKING:
    from infra.config import TencentRegion


@dataclass(frozen=True, slots=True)
class RegionArgs:
    """The stack file of the region, checked, and what was found in the account for it."""

    config: TencentRegion
    image: MachineImage
    app_id: str


class Region(pulumi.ComponentResource):
    """Everything of one region. Needs `opts.providers`; takes nothing from the environment, exports nothing."""

    endpoint: pulumi.Output[dict[str, Any]]
    pools: pulumi.Output[dict[str, Any]]
    image: pulumi.Output[dict[str, Any]]
    model_store: pulumi.Output[str]

    def __init__(self, name: str, args: RegionArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("spillway:tencent:Region", name, None, opts)
        config = args.config
        child = ResourceOptions(parent=self)
        scope = Scope(config.stack_name, config.region, config.account, args.app_id, config.tags)
        bucket = names.bucket_name(args.app_id, config.region)
        group = names.pool_name(scope.stack)

        network = Network(
            f"{name}-network",
            NetworkArgs(
                scope=scope,
                cidr=config.network.cidr,
                zones=config.zones,
                clients=config.network.clients,
                checkers=checker_networks(config.network, route53=True),
                monitoring=config.network.monitoring,
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
            ),
            child,
        )
        balancer = Balancer(
            f"{name}-balancer",
            BalancerArgs(
                scope=scope,
                vpc_id=network.vpc_id,
                subnet_id=network.front_subnet_id,
                security_group_ids=network.security_group_ids,
                service=config.service.name,
            ),
            child,
        )
        node = Node(
            f"{name}-on-demand",
            NodeArgs(
                scope=scope,
                config=node_config(config, group, bucket),
                types=config.on_demand_types,
                image=args.image,
                role_name=identity.role_name,
                security_group_ids=network.security_group_ids,
                root=config.storage.root,
                data=config.storage.data,
            ),
            child,
        )
        pools = Pools(
            f"{name}-pools",
            PoolsArgs(
                scope=scope,
                target=config.pools.target,
                max=config.pools.max,
                on_demand=node,
                vpc_id=network.vpc_id,
                subnet_ids=network.node_subnet_ids,
                balancer_id=balancer.balancer_id,
                listener_id=balancer.listener_id,
                drain_seconds=config.node.deregister_seconds + config.node.drain_seconds,
                load=config.scaling,
                after=[*network.egress, *identity.rights],
            ),
            child,
        )
        self._describe(config, balancer, pools, args.image, storage)
        self.register_outputs({"endpoint": self.endpoint, "pools": self.pools})

    def _describe(
        self, config: TencentRegion, balancer: Balancer, pools: Pools, image: MachineImage, storage: Storage
    ) -> None:
        self.endpoint = pulumi.Output.from_input(outputs.endpoint(config, balancer.hostname, balancer.addresses))
        self.pools = pulumi.Output.from_input(outputs.pools(config, None, pools.on_demand_group))
        self.image = pulumi.Output.from_input(outputs.image(config, image.id))
        self.model_store = storage.uri
