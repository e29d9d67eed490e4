"""The region's front: a network load balancer that forwards TCP 443 to nodes that are ready; TLS ends on the node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import pulumi
import pulumi_aws as aws
from pulumi import ResourceOptions

from infra import naming
from infra.aws.common import Scope
from infra.outputs import PORT, READY_PATH

# https://docs.aws.amazon.com/elasticloadbalancing/latest/network/update-idle-timeout.html: 60 to 6,000 s
IDLE_SECONDS: Final = 6000
"""A long answer that is not streamed is silent for as long as it takes; a flow costs the balancer nothing to keep."""


@dataclass(frozen=True, slots=True)
class BalancerArgs:
    """What the balancer is made from.

    subnet_ids: public subnets by zone. drain_seconds: from unready to the last answer given; the drain budget.
    after: what has to stand before it faces the internet.
    """

    scope: Scope
    vpc_id: pulumi.Input[str]
    subnet_ids: Mapping[str, pulumi.Input[str]]
    security_group_id: pulumi.Input[str]
    drain_seconds: int
    after: Sequence[pulumi.Resource]


class Balancer(pulumi.ComponentResource):
    """Load balancer with one Elastic IP per zone, target group for both pools, listener."""

    hostname: pulumi.Output[str]
    addresses: pulumi.Output[Sequence[str]]
    """One IPv4 address per zone, in the order of the zones; they stay for as long as the region does."""
    target_group_arn: pulumi.Output[str]

    def __init__(self, name: str, args: BalancerArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("spillway:aws:Balancer", name, None, opts)
        child = ResourceOptions(parent=self)
        scope = args.scope
        addresses = {
            zone: aws.ec2.Eip(
                f"{name}-{zone[-1]}", domain="vpc", tags=scope.tags("balancer", f"lb-{zone[-1]}"), opts=child
            )
            for zone in sorted(args.subnet_ids)
        }
        balancer = aws.lb.LoadBalancer(
            f"{name}-lb",
            name=naming.load_balancer_name(scope.stack),
            load_balancer_type="network",
            internal=False,
            ip_address_type="ipv4",
            # Ready nodes may be in one zone only, while clients keep the addresses of all zones.
            enable_cross_zone_load_balancing=True,
            security_groups=[args.security_group_id],
            subnet_mappings=[
                aws.lb.LoadBalancerSubnetMappingArgs(subnet_id=args.subnet_ids[zone], allocation_id=address.id)
                for zone, address in addresses.items()
            ],
            tags=scope.tags("balancer", "lb"),
            opts=ResourceOptions(parent=self, depends_on=list(args.after)),
        )
        targets = aws.lb.TargetGroup(
            f"{name}-nodes",
            name=naming.target_group_name(scope.stack),
            vpc_id=args.vpc_id,
            target_type="instance",
            protocol="TCP",
            port=PORT,
            preserve_client_ip="true",  # the node's own log and limits see the client
            # A node that leaves gets as long as its drain takes; its flows are never cut by the balancer.
            deregistration_delay=args.drain_seconds,
            connection_termination=False,
            target_health_states=[
                aws.lb.TargetGroupTargetHealthStateArgs(
                    # Unready means overloaded, staging or draining, not dead: running generations go on. The longest
                    # flow that the listener keeps is covered, which is more than the drain budget.
                    enable_unhealthy_connection_termination=False,
                    unhealthy_draining_interval=max(args.drain_seconds, IDLE_SECONDS),
                )
            ],
            health_check=aws.lb.TargetGroupHealthCheckArgs(
                enabled=True,
                protocol="HTTPS",
                port="traffic-port",
                path=READY_PATH,
                matcher="200",
                # These checks do not speak TLS 1.3: a node that takes nothing older is never healthy.
                # Two failures 5 s apart: out within about 10 s, the shortest that the API allows.
                # https://docs.aws.amazon.com/elasticloadbalancing/latest/network/target-group-health-checks.html
                interval=5,
                timeout=4,
                healthy_threshold=2,
                unhealthy_threshold=2,
            ),
            tags=scope.tags("balancer", "tg"),
            opts=child,
        )
        aws.lb.Listener(
            f"{name}-tls",
            load_balancer_arn=balancer.arn,
            protocol="TCP",
            port=PORT,
            tcp_idle_timeout_seconds=IDLE_SECONDS,
            default_actions=[aws.lb.ListenerDefaultActionArgs(type="forward", target_group_arn=targets.arn)],
            tags=scope.tags("balancer", "listener"),
            opts=child,
        )
        self.hostname = balancer.dns_name
        self.addresses = pulumi.Output.all(*(address.public_ip for address in addresses.values()))
        self.target_group_arn = targets.arn
        self.register_outputs({"hostname": self.hostname, "addresses": self.addresses})
