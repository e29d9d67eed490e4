"""One GCP region that serves: joins network, storage, identity, nodes, pools, scaling, balancer and events."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pulumi
from pulumi import ResourceOptions

from infra import outputs
from infra.catalog import checker_networks
from infra.gcp import names
from infra.gcp.balancer import Balancer, BalancerArgs
from infra.gcp.common import Scope
from infra.gcp.events import Events, EventsArgs
from infra.gcp.identity import Identity, IdentityArgs
from infra.gcp.logs import Logs, LogsArgs
from infra.gcp.lookups import MachineImage, Project
from infra.gcp.network import Network, NetworkArgs
from infra.gcp.node import Node, NodeArgs, node_config
from infra.gcp.pools import Pools, PoolsArgs
from infra.gcp.scaling import Scaling, ScalingArgs
from infra.gcp.storage import Storage, StorageArgs
from infra.naming import POOLS, Pool
from infra.node_config import model_prefix

if TYPE_CHECKING:
    from infra.config import GcpRegion


@dataclass(frozen=True, slots=True)
class RegionArgs:
    """The stack file of the region, checked, and what was found in the project for it.

    package: the fallback function's archive, as a file.
    """

    config: GcpRegion
    image: MachineImage
    project: Project
    package: Path


class Region(pulumi.ComponentResource):
    """Everything of one region. Needs `opts.provider`; takes nothing from the environment, exports nothing."""

    endpoint: pulumi.Output[dict[str, Any]]
    pools: pulumi.Output[dict[str, Any]]
    image: pulumi.Output[dict[str, Any]]
    model_store: pulumi.Output[str]

    def __init__(self, name: str, args: RegionArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("spillway:gcp:Region", name, None, opts)
        self._name = name
        self._config = config = args.config
        self._scope = scope = Scope(config.stack_name, config.region, config.account, config.tags)
        self._child = child = ResourceOptions(parent=self)
        stack = scope.stack
        self._bucket = bucket = names.bucket_name(config.account, config.region)
        self._groups: dict[Pool, str] = {pool: names.pool_name(stack, pool) for pool in POOLS}

        network = Network(
            f"{name}-network",
            NetworkArgs(
                scope=scope,
                cidr=config.network.cidr,
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
                logs=config.logs.ship,
                after=[storage],
            ),
            child,
        )
        logs = Logs(f"{name}-logs", LogsArgs(scope, config.logs.retention_days), child) if config.logs.ship else None
        events = Events(
            f"{name}-events",
            EventsArgs(
                scope=scope,
                groups=list(self._groups.values()),
                monthly_usd=config.budget.monthly_usd,
                emails=config.budget.emails,
                project_number=args.project.number,
                billing_account=args.project.billing_account,
            ),
            child,
        )
        self._image, self._network, self._identity = args.image, network, identity
        pools = Pools(
            f"{name}-pools",
            PoolsArgs(
                scope=scope,
                spot=self._node("spot", config.pools.types),
                on_demand=self._node("on-demand", config.on_demand_types),
                on_demand_types=config.on_demand_types,
                zones=config.zones,
                grace_seconds=config.node.grace_period_minutes * 60,
                after=[*network.egress, *identity.rights, *(logs.ready if logs else ())],
            ),
            child,
        )
        balancer = Balancer(
            f"{name}-balancer",
            BalancerArgs(
                scope=scope,
                instance_groups=pools.instance_groups,
                drain_seconds=config.node.deregister_seconds + config.node.drain_seconds,
            ),
            child,
        )
        Scaling(
            f"{name}-scaling",
            ScalingArgs(
                scope=scope,
                pools=config.pools,
                fallback=config.fallback,
                load=config.scaling,
                bucket=names.function_bucket_name(config.account, config.region),
                package=args.package,
                spot_group=pools.spot_group,
                on_demand_group=pools.on_demand_group,
                notify=events.channels,
            ),
            child,
        )
        self._describe(balancer, pools, args, storage)
        self.register_outputs({"endpoint": self.endpoint, "pools": self.pools})

    def _node(self, pool: Pool, types: tuple[str, ...]) -> Node:
        config = self._config
        return Node(
            f"{self._name}-{pool}",
            NodeArgs(
                scope=self._scope,
                pool=pool,
                config=node_config(config, pool, self._groups[pool], self._bucket),
                types=types,
                image=self._image,
                account_email=self._identity.account_email,
                subnet_id=self._network.subnet_id,
                tags=self._network.node_tags,
                root=config.storage.root,
                data=config.storage.data,
            ),
            self._child,
        )

    def _describe(self, balancer: Balancer, pools: Pools, args: RegionArgs, storage: Storage) -> None:
        config = self._config
        self.endpoint = pulumi.Output.from_input(outputs.endpoint(config, balancer.hostname, balancer.addresses))
        self.pools = pulumi.Output.from_input(outputs.pools(config, pools.spot_group, pools.on_demand_group))
        self.image = pulumi.Output.from_input(outputs.image(config, args.image.id))
        self.model_store = storage.uri
