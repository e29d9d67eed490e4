"""The region's network: a VPC with one subnetwork over all zones, private nodes, and firewall rules.

Nodes have no public address. They reach Google's own services, and so the weights, through Private Google Access, which
costs nothing per byte; all else goes through Cloud NAT.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import pulumi
import pulumi_gcp as gcp
from pulumi import ResourceOptions

from infra.gcp.common import Scope
from infra.node_config import METRICS_PORT, METRICS_RULE

ANYWHERE: Final = "0.0.0.0/0"
HTTPS: Final = "443"
# Autohealing, and external passthrough balancers; neither probe can be told from a client by anything but its address.
# https://docs.cloud.google.com/load-balancing/docs/health-check-concepts#ip-ranges
PROBES: Final = ("35.191.0.0/16", "130.211.0.0/22", "209.85.152.0/22", "209.85.204.0/22")
ALLOW_PRIORITY: Final = 1000
DENY_PRIORITY: Final = 65_000
"""Before the implied rule that lets everything out, which has 65,535.
https://docs.cloud.google.com/firewall/docs/firewalls#default_firewall_rules"""


@dataclass(frozen=True, slots=True)
class NetworkArgs:
    """What a network is made from.

    clients: CIDRs that may reach the nodes on TCP 443: a passthrough balancer leaves the client's address as it is.
    checkers: CIDRs of health checkers besides. monitoring: CIDRs that may read the nodes' metrics.
    """

    scope: Scope
    cidr: str
    clients: Sequence[str]
    checkers: Sequence[str] = ()
    monitoring: Sequence[str] = ()


class Network(pulumi.ComponentResource):
    """VPC, subnetwork, firewall rules, router and NAT of one region."""

    network_id: pulumi.Output[str]
    subnet_id: pulumi.Output[str]
    """The nodes' subnetwork, as its self link."""
    node_tags: Sequence[str]
    """Network tags that firewall rules know nodes by."""
    egress: Sequence[pulumi.Resource]
    """What has to stand before a node can boot."""

    def __init__(self, name: str, args: NetworkArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("spillway:gcp:Network", name, None, opts)
        self._name = name
        self._args = args
        self._child = child = ResourceOptions(parent=self)
        scope = args.scope
        network = gcp.compute.Network(
            f"{name}-vpc",
            name=scope.name("vpc"),
            description=f"Nodes of {scope.stack}",
            auto_create_subnetworks=False,
            routing_mode="REGIONAL",
            opts=child,
        )
        self.network_id = network.self_link
        subnet = gcp.compute.Subnetwork(
            f"{name}-nodes",
            name=scope.name("nodes"),
            description=f"Nodes of {scope.stack}",
            network=network.self_link,
            region=scope.region,
            ip_cidr_range=args.cidr,
            private_ip_google_access=True,
            stack_type="IPV4_ONLY",
            opts=child,
        )
        self.subnet_id = subnet.self_link
        self.node_tags = [scope.name("node")]
        rules = self._rules()
        self.egress = [subnet, *rules, *self._nat(subnet)]
        self.register_outputs({"networkId": self.network_id, "subnetId": self.subnet_id})

    def _rules(self) -> list[pulumi.Resource]:
        args = self._args
        rules = [
            self._rule("from-clients", "Clients, by way of the balancer", "INGRESS", args.clients),
            self._rule("from-probes", "Google's health checks", "INGRESS", PROBES),
            # DNS, time and metadata come from 169.254.169.254, which no rule can close.
            # https://docs.cloud.google.com/firewall/docs/firewalls#alwaysallowed
            self._rule("to-https", "Cloud services over TLS", "EGRESS", (ANYWHERE,)),
            self._rule("to-nowhere", "Nothing else", "EGRESS", (ANYWHERE,), allow=False),
        ]
        if args.checkers:
            rules.append(self._rule("from-checkers", "DNS health checkers", "INGRESS", args.checkers))
        if args.monitoring:
            rules.append(
                self._rule("from-monitoring", METRICS_RULE, "INGRESS", args.monitoring, port=str(METRICS_PORT))
            )
        return rules

    def _rule(
        self,
        label: str,
        description: str,
        direction: Literal["INGRESS", "EGRESS"],
        networks: Sequence[str],
        *,
        allow: bool = True,
        port: str = HTTPS,
    ) -> pulumi.Resource:
        """One rule for nodes: one TCP port allowed, or everything denied."""
        ingress = direction == "INGRESS"
        rule: pulumi.Resource = gcp.compute.Firewall(
            f"{self._name}-{label}",
            name=self._args.scope.name(label),
            description=description,
            network=self.network_id,
            direction=direction,
            priority=ALLOW_PRIORITY if allow else DENY_PRIORITY,
            source_ranges=list(networks) if ingress else None,
            destination_ranges=None if ingress else list(networks),
            target_tags=self.node_tags,
            allows=[gcp.compute.FirewallAllowArgs(protocol="tcp", ports=[port])] if allow else None,
            denies=None if allow else [gcp.compute.FirewallDenyArgs(protocol="all")],
            opts=self._child,
        )
        return rule

    def _nat(self, subnet: gcp.compute.Subnetwork) -> list[pulumi.Resource]:
        """One gateway serves all zones: Cloud NAT is no machine that stands in one of them.
        https://docs.cloud.google.com/nat/docs/overview"""
        name, scope = self._name, self._args.scope
        router = gcp.compute.Router(
            f"{name}-router",
            name=scope.name("router"),
            network=self.network_id,
            region=scope.region,
            opts=self._child,
        )
        nat = gcp.compute.RouterNat(
            f"{name}-nat",
            name=scope.name("nat"),
            router=router.name,
            region=scope.region,
            nat_ip_allocate_option="AUTO_ONLY",
            source_subnetwork_ip_ranges_to_nat="LIST_OF_SUBNETWORKS",
            subnetworks=[
                gcp.compute.RouterNatSubnetworkArgs(name=subnet.self_link, source_ip_ranges_to_nats=["ALL_IP_RANGES"])
            ],
            log_config=gcp.compute.RouterNatLogConfigArgs(enable=True, filter="ERRORS_ONLY"),
            opts=self._child,
        )
        return [router, nat]
