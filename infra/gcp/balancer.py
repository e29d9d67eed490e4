"""The region's front: a passthrough balancer that hands TCP 443 to nodes that are ready; TLS ends on the node.

Packets reach the node with the client's own address and are answered past the balancer, so nothing here ends a long
answer, and the firewall rules of the nodes are the ones that clients meet.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import pulumi
import pulumi_gcp as gcp
from pulumi import ResourceOptions

from infra.gcp.common import Scope
from infra.naming import POOLS, Pool
from infra.outputs import PORT, READY_PATH

# https://docs.cloud.google.com/load-balancing/docs/enabling-connection-draining
DRAIN_MAX: Final = 3600


@dataclass(frozen=True, slots=True)
class BalancerArgs:
    """What the balancer is made from.

    instance_groups: self link of each pool's instance group (not of its manager). drain_seconds: from unready to the
    last answer given; the drain budget.
    """

    scope: Scope
    instance_groups: Mapping[Pool, pulumi.Input[str]]
    drain_seconds: int


class Balancer(pulumi.ComponentResource):
    """One static address, backend service over both pools, forwarding rule."""

    hostname: None = None
    """Google Cloud gives none."""
    addresses: pulumi.Output[Sequence[str]]
    """One IPv4 address for all zones; it stays for as long as the region does."""

    def __init__(self, name: str, args: BalancerArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("spillway:gcp:Balancer", name, None, opts)
        if not 0 <= args.drain_seconds <= DRAIN_MAX:
            raise ValueError(f"drain of {args.drain_seconds:,} s: expected 0 to {DRAIN_MAX:,} s")
        child = ResourceOptions(parent=self)
        scope = args.scope
        address = gcp.compute.Address(
            f"{name}-address",
            name=scope.name("lb"),
            description=f"Endpoint of {scope.stack}",
            region=scope.region,
            address_type="EXTERNAL",
            network_tier="PREMIUM",
            labels=scope.labels("balancer"),
            opts=child,
        )
        # Regional: this kind of balancer takes no global one.
        # https://docs.cloud.google.com/load-balancing/docs/network/networklb-backend-service#health-check
        ready = gcp.compute.RegionHealthCheck(
            f"{name}-ready",
            name=scope.name("ready"),
            description="Whether a node takes new connections",
            region=scope.region,
            # Two failures 5 s apart: out within about 10 s.
            check_interval_sec=5,
            timeout_sec=4,
            healthy_threshold=2,
            unhealthy_threshold=2,
            https_health_check=gcp.compute.RegionHealthCheckHttpsHealthCheckArgs(port=PORT, request_path=READY_PATH),
            opts=child,
        )
        service = gcp.compute.RegionBackendService(
            f"{name}-nodes",
            name=scope.name("lb"),
            description=f"Nodes of {scope.stack}",
            region=scope.region,
            load_balancing_scheme="EXTERNAL",
            protocol="TCP",
            health_checks=ready.self_link,
            backends=[
                gcp.compute.RegionBackendServiceBackendArgs(
                    group=args.instance_groups[pool], balancing_mode="CONNECTION"
                )
                for pool in POOLS
            ],
            session_affinity="NONE",
            # A node that leaves its group gets as long as its drain takes before it is deleted.
            connection_draining_timeout_sec=args.drain_seconds,
            connection_tracking_policy=gcp.compute.RegionBackendServiceConnectionTrackingPolicyArgs(
                tracking_mode="PER_CONNECTION",
                # Unready means overloaded, staging or draining, not dead: running generations go on, as TCP does by
                # default. A flow is forgotten after 60 s of silence, which cannot be changed; nodes send keepalives.
                # https://docs.cloud.google.com/load-balancing/docs/network/networklb-backend-service#connection-persistence
                connection_persistence_on_unhealthy_backends="DEFAULT_FOR_PROTOCOL",
            ),
            opts=child,
        )
        gcp.compute.ForwardingRule(
            f"{name}-tls",
            name=scope.name("lb"),
            description=f"TCP {PORT} of {scope.stack}",
            region=scope.region,
            load_balancing_scheme="EXTERNAL",
            network_tier="PREMIUM",
            ip_address=address.self_link,
            ip_protocol="TCP",
            ports=[str(PORT)],
            backend_service=service.self_link,
            labels=scope.labels("balancer"),
            opts=child,
        )
        self.addresses = pulumi.Output.all(address.address)
        self.register_outputs({"hostname": self.hostname, "addresses": self.addresses})
