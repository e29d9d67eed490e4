"""The region's network: a virtual network whose nodes have no public address and one way out.

Subnets span all zones of a region, so there is one for the nodes. Blob storage and Key Vault are reached by service
endpoints (free, and the weights are most of the traffic), everything else through NAT.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Final, Literal

import pulumi
import pulumi_azure_native as azure
from pulumi import ResourceOptions

from infra import cidr
from infra.azure.common import Scope
from infra.node_config import METRICS_PORT, METRICS_RULE

HTTPS: Final = "443"
NAT_IDLE_MINUTES: Final = 10
"""https://learn.microsoft.com/azure/nat-gateway/nat-gateway-resource: 4 to 120"""

SERVICE_ENDPOINTS: Final = ("Microsoft.Storage", "Microsoft.KeyVault")
# Inbound rules by content: each kind of caller has a place of its own, so that one more moves none of the others.
# https://learn.microsoft.com/azure/virtual-network/network-security-groups-overview: 100 to 4096, the lowest wins
CLIENTS_PRIORITY: Final = 100
CHECKERS_PRIORITY: Final = 110
TAGS_PRIORITY: Final = 120
MONITORING_PRIORITY: Final = 200
BALANCER_PRIORITY: Final = 1000
DENY_PRIORITY: Final = 4096


@dataclass(frozen=True, slots=True)
class NetworkArgs:
    """What a network is made from.

    group: the resource group's name, known once it stands. clients: CIDRs that may reach the nodes through the balancer
    on TCP 443. checkers: CIDRs of health checkers besides. checker_tags: service tags of such (AzureTrafficManager).
    monitoring: CIDRs that may read the nodes' metrics.
    zones: all zones of the region, () where it has none; never those of the machine types alone, as the zones of an
    address are fixed.
    """

    scope: Scope
    group: pulumi.Input[str]
    cidr: str
    zones: Sequence[str]
    clients: Sequence[str]
    checkers: Sequence[str] = ()
    checker_tags: Sequence[str] = ()
    monitoring: Sequence[str] = ()


class Network(pulumi.ComponentResource):
    """Virtual network, node subnet, security group and NAT gateway of one region."""

    network_id: pulumi.Output[str]
    node_subnet_id: pulumi.Output[str]
    egress: Sequence[pulumi.Resource]
    """What has to stand before a node can boot."""

    def __init__(self, name: str, args: NetworkArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("spillway:azure:Network", name, None, opts)
        scope, child = args.scope, ResourceOptions(parent=self)
        network = azure.network.VirtualNetwork(
            f"{name}-vnet",
            virtual_network_name=scope.name("vnet"),
            resource_group_name=args.group,
            location=scope.region,
            address_space=azure.network.AddressSpaceArgs(address_prefixes=[args.cidr]),
            tags=scope.tags("network"),
            # Subnets are resources of their own; a refresh brings them in here, and an update would take them away.
            opts=ResourceOptions(parent=self, ignore_changes=["subnets"]),
        )
        group = azure.network.NetworkSecurityGroup(
            f"{name}-nodes",
            network_security_group_name=scope.name("nodes"),
            resource_group_name=args.group,
            location=scope.region,
            security_rules=[_rule_args(rule) for rule in security_rules(args)],
            tags=scope.tags("network"),
            opts=child,
        )
        address = azure.network.PublicIPAddress(
            f"{name}-nat",
            public_ip_address_name=scope.name("nat"),
            resource_group_name=args.group,
            location=scope.region,
            sku=azure.network.PublicIPAddressSkuArgs(name="Standard", tier="Regional"),
            public_ip_allocation_method="Static",
            zones=list(args.zones) or None,
            tags=scope.tags("network"),
            opts=child,
        )
        nat = azure.network.NatGateway(
            f"{name}-nat",
            nat_gateway_name=scope.name("nat"),
            resource_group_name=args.group,
            location=scope.region,
            # In no zone of its own choosing: a subnet has one NAT gateway for the nodes of all zones. When its zone
            # fails, serving nodes go on serving, as answers leave through the balancer.
            sku=azure.network.NatGatewaySkuArgs(name="Standard"),
            public_ip_addresses=[azure.network.SubResourceArgs(id=address.id)],
            idle_timeout_in_minutes=NAT_IDLE_MINUTES,
            tags=scope.tags("network"),
            opts=child,
        )
        nodes = azure.network.Subnet(
            f"{name}-nodes",
            subnet_name="nodes",
            virtual_network_name=network.name,
            resource_group_name=args.group,
            address_prefix=node_subnet(args.cidr),
            network_security_group=azure.network.NetworkSecurityGroupArgs(id=group.id),
            nat_gateway=azure.network.SubResourceArgs(id=nat.id),
            default_outbound_access=False,  # nothing but NAT leads out
            service_endpoints=[
                azure.network.ServiceEndpointPropertiesFormatArgs(service=service) for service in SERVICE_ENDPOINTS
            ],
            opts=child,
        )
        self.network_id = network.id
        self.node_subnet_id = nodes.id
        self.egress = [nodes]
        self.register_outputs({"networkId": self.network_id, "nodeSubnetId": self.node_subnet_id})


def node_subnet(network: str) -> str:
    """The nodes' half of the region's network; the other half stays free for private endpoints and functions."""
    return str(next(IPv4Network(network).subnets(prefixlen_diff=1)))


@dataclass(frozen=True, slots=True)
class SecurityRule:
    """One rule of the nodes' security group: one TCP port unless it denies, which it does for everything."""

    name: str
    priority: int
    direction: Literal["Inbound", "Outbound"]
    access: Literal["Allow", "Deny"]
    description: str
    source: str = "*"
    sources: tuple[str, ...] = ()
    """Networks instead of `source`."""
    destination: str = "*"
    port: str = HTTPS


def security_rules(args: NetworkArgs) -> tuple[SecurityRule, ...]:
    """Clients, checkers, the balancer's probes and a Prometheus that is named get in, TLS gets out, nothing else: not
    even node to node.

    The balancer keeps the client's address, so clients are judged here. DNS, metadata and the host's own channel at
    168.63.129.16 are not filtered unless a rule names them:
    https://learn.microsoft.com/azure/virtual-network/what-is-ip-address-168-63-129-16
    """
    everybody = cidr.is_open(args.clients)
    rules = [
        SecurityRule("clients", CLIENTS_PRIORITY, "Inbound", "Allow", "Clients", source="Internet")
        if everybody
        else SecurityRule("clients", CLIENTS_PRIORITY, "Inbound", "Allow", "Clients", sources=_sorted(args.clients))
    ]
    if args.checkers and not everybody:
        rules.append(
            SecurityRule(
                "checkers", CHECKERS_PRIORITY, "Inbound", "Allow", "Health checkers", sources=_sorted(args.checkers)
            )
        )
    for place, tag in enumerate(() if everybody else sorted(set(args.checker_tags))):
        rules.append(
            SecurityRule(f"from-{tag}", TAGS_PRIORITY + place, "Inbound", "Allow", "Health checkers", source=tag)
        )
    if args.monitoring:
        sources = _sorted(args.monitoring)
        rules.append(
            SecurityRule(
                "monitoring",
                MONITORING_PRIORITY,
                "Inbound",
                "Allow",
                METRICS_RULE,
                sources=sources,
                port=str(METRICS_PORT),
            )
        )
    return (
        *rules,
        SecurityRule(
            "balancer-probes", BALANCER_PRIORITY, "Inbound", "Allow", "Probes of /readyz", source="AzureLoadBalancer"
        ),
        SecurityRule("nothing-else-in", DENY_PRIORITY, "Inbound", "Deny", "Before the rule that lets the network in"),
        SecurityRule(
            "tls-out", CLIENTS_PRIORITY, "Outbound", "Allow", "Azure's services over TLS", destination="Internet"
        ),
        SecurityRule("nothing-else-out", DENY_PRIORITY, "Outbound", "Deny", "Before the rules that let everything out"),
    )


def _sorted(networks: Sequence[str]) -> tuple[str, ...]:
    return tuple(sorted(set(networks)))


def _rule_args(rule: SecurityRule) -> azure.network.SecurityRuleArgs:
    allowed = rule.access == "Allow"
    return azure.network.SecurityRuleArgs(
        name=rule.name,
        description=rule.description,
        priority=rule.priority,
        direction=rule.direction,
        access=rule.access,
        protocol="Tcp" if allowed else "*",
        source_address_prefix=None if rule.sources else rule.source,
        source_address_prefixes=list(rule.sources) or None,
        source_port_range="*",
        destination_address_prefix=rule.destination,
        destination_port_range=rule.port if allowed else "*",
    )
