"""The region's front: a Standard load balancer that forwards TCP 443 to nodes that are ready; TLS ends on the node."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import pulumi
import pulumi_azure_native as azure
from pulumi import ResourceOptions

from infra.azure.common import Scope
from infra.outputs import PORT, READY_PATH

# https://learn.microsoft.com/azure/load-balancer/load-balancer-tcp-idle-timeout: 4 to 100 minutes, otherwise 4
IDLE_MINUTES: Final = 100
"""A long answer that is not streamed is silent for as long as it takes; a flow costs the balancer nothing to keep."""
FRONTEND: Final = "public"
POOL: Final = "nodes"
PROBE: Final = "readyz"


@dataclass(frozen=True, slots=True)
class BalancerArgs:
    """What the balancer is made from.

    group: the resource group's name, known once it stands. zones: all zones of the region, () where it has none; never
    those of the machine types alone, as the zones of an address are fixed.
    """

    scope: Scope
    group: pulumi.Input[str]
    zones: Sequence[str]


class Balancer(pulumi.ComponentResource):
    """Load balancer with one static address that outlives any zone, a pool for both scale sets, probe and rule."""

    hostname: str | None = None
    """None: clients and DNS have the address."""
    addresses: pulumi.Output[Sequence[str]]
    """One IPv4 address, which stays for as long as the region does."""
    pool_id: pulumi.Output[str]
    """The backend pool that the machines of both scale sets join."""

    def __init__(self, name: str, args: BalancerArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("spillway:azure:Balancer", name, None, opts)
        scope, child = args.scope, ResourceOptions(parent=self)
        address = azure.network.PublicIPAddress(
            f"{name}-lb",
            public_ip_address_name=scope.name("lb"),
            resource_group_name=args.group,
            location=scope.region,
            sku=azure.network.PublicIPAddressSkuArgs(name="Standard", tier="Regional"),
            public_ip_allocation_method="Static",
            zones=list(args.zones) or None,
            tags=scope.tags("balancer"),
            opts=child,
        )
        # The parts name each other by the ids that they will have in it.
        own = scope.id(f"Microsoft.Network/loadBalancers/{scope.name('lb')}")
        balancer = azure.network.LoadBalancer(
            f"{name}-lb",
            load_balancer_name=scope.name("lb"),
            resource_group_name=args.group,
            location=scope.region,
            sku=azure.network.LoadBalancerSkuArgs(name="Standard", tier="Regional"),
            frontend_ip_configurations=[
                azure.network.FrontendIPConfigurationArgs(
                    name=FRONTEND, public_ip_address=azure.network.PublicIPAddressArgs(id=address.id)
                )
            ],
            backend_address_pools=[azure.network.BackendAddressPoolArgs(name=POOL)],
            probes=[
                azure.network.ProbeArgs(
                    name=PROBE,
                    protocol="Https",
                    port=PORT,
                    request_path=READY_PATH,
                    # Out within about 10 s: the shortest interval there is, and no second thoughts after two failures.
                    # A node that is out keeps its flows: running generations go on, also when all nodes are out.
                    # https://learn.microsoft.com/azure/load-balancer/load-balancer-custom-probe-overview
                    interval_in_seconds=5,
                    probe_threshold=2,
                    no_healthy_backends_behavior="AllProbedDown",
                )
            ],
            load_balancing_rules=[
                azure.network.LoadBalancingRuleArgs(
                    name="tls",
                    protocol="Tcp",
                    frontend_port=PORT,
                    backend_port=PORT,
                    frontend_ip_configuration=azure.network.SubResourceArgs(
                        id=f"{own}/frontendIPConfigurations/{FRONTEND}"
                    ),
                    backend_address_pool=azure.network.SubResourceArgs(id=f"{own}/backendAddressPools/{POOL}"),
                    probe=azure.network.SubResourceArgs(id=f"{own}/probes/{PROBE}"),
                    idle_timeout_in_minutes=IDLE_MINUTES,
                    enable_tcp_reset=True,  # both ends learn of a flow that idled out, instead of waiting for it
                    disable_outbound_snat=True,  # nodes leave through NAT alone
                    load_distribution="Default",
                )
            ],
            tags=scope.tags("balancer"),
            opts=child,
        )
        self.addresses = address.ip_address.apply(lambda one: [one])
        self.pool_id = balancer.id.apply(lambda id: f"{id}/backendAddressPools/{POOL}")
        self.register_outputs({"addresses": self.addresses})
