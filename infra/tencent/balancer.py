"""The region's front: a balancer (CLB) that hands TCP 443 to nodes that are ready; TLS ends on the node.

The addresses of a public CLB may change since March 2023 (https://www.tencentcloud.com/document/product/214/53830), and
DNS fails over by address here. So the balancer is an internal one with an elastic address bound to it: that address is
the region's for as long as the stack stands, also when the balancer itself is replaced.

Its check of a TCP listener speaks TCP, HTTP or raw bytes, never TLS
(https://www.tencentcloud.com/document/product/214/39251), so it asks /readyz in clear text on a port of its own, which
only the cloud's probes can reach. A check that merely connects to 443 would find every node ready that is up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import pulumi
from pulumi import ResourceOptions
from tencentcloud_iac_pulumi import clb, eip

from infra.outputs import PORT, READY_PATH
from infra.tencent.common import Scope
from infra.tencent.network import PROBE_PORT

HTTP_2XX: Final = 2
"""Bit of health_check_http_code: 200 is ready, 503 is not."""
IDLE_SECONDS: Final = 900
"""The longest of a shared instance, so that a slow answer is not cut:
https://www.tencentcloud.com/document/product/214/30693 (IdleConnectTimeout)."""
FRONT_MBPS: Final = 100
"""Limit of an address that is billed by traffic: https://www.tencentcloud.com/document/product/213/10578"""
FROM_PROBE_RANGE: Final = 1
"""health_source_ip_type: probes come from 100.64.0.0/10, not from the balancer's own address."""


@dataclass(frozen=True, slots=True)
class BalancerArgs:
    """What the balancer is made from. subnet_id: where its inner address comes from. service: host name of the probes'
    requests."""

    scope: Scope
    vpc_id: pulumi.Input[str]
    subnet_id: pulumi.Input[str]
    security_group_ids: Sequence[pulumi.Input[str]]
    service: str


class Balancer(pulumi.ComponentResource):
    """One static address, balancer, listener."""

    hostname: None = None
    """The name of an internal CLB means its inner address."""
    addresses: pulumi.Output[Sequence[str]]
    """One IPv4 address for all zones; it stays for as long as the region does."""
    balancer_id: pulumi.Output[str]
    listener_id: pulumi.Output[str]

    def __init__(self, name: str, args: BalancerArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("spillway:tencent:Balancer", name, None, opts)
        child = ResourceOptions(parent=self)
        scope = args.scope
        address = eip.Instance(
            f"{name}-address",
            name=scope.name("lb"),
            type="EIP",
            internet_charge_type="TRAFFIC_POSTPAID_BY_HOUR",
            internet_max_bandwidth_out=FRONT_MBPS,
            tags=scope.tags("balancer"),
            opts=child,
        )
        balancer = clb.Instance(
            f"{name}-lb",
            clb_name=scope.name("lb"),
            network_type="INTERNAL",
            vpc_id=args.vpc_id,
            subnet_id=args.subnet_id,
            security_groups=list(args.security_group_ids),
            # The nodes' own rules count as well: they see the client's address.
            load_balancer_pass_to_target=False,
            eip_address_id=address.id,
            tags=scope.tags("balancer"),
            # The provider refuses a second balancer of the same name.
            opts=ResourceOptions(parent=self, delete_before_replace=True),
        )
        listener = clb.Listener(
            f"{name}-tls",
            clb_id=balancer.id,
            listener_name=scope.name("tls"),
            protocol="TCP",
            port=PORT,
            target_type="NODE",
            scheduler="WRR",
            idle_connect_timeout=IDLE_SECONDS,
            # A node that leaves: its connections go on until they end or it does.
            deregister_target_rst=False,
            # Two failures 5 s apart: out within about 10 s.
            health_check_switch=True,
            health_check_type="HTTP",
            health_check_port=PROBE_PORT,
            health_check_http_path=READY_PATH,
            health_check_http_domain=args.service,
            health_check_http_method="GET",
            health_check_http_version="HTTP/1.1",
            health_check_http_code=HTTP_2XX,
            health_check_interval_time=5,
            health_check_time_out=4,
            health_check_health_num=2,
            health_check_unhealth_num=2,
            health_source_ip_type=FROM_PROBE_RANGE,
            opts=ResourceOptions(parent=self, delete_before_replace=True),
        )
        self.addresses = pulumi.Output.all(address.public_ip)
        self.balancer_id = balancer.id
        # Not the resource's id, which is <balancer>#<listener>.
        self.listener_id = listener.listener_id
        self.register_outputs({"hostname": self.hostname, "addresses": self.addresses})
