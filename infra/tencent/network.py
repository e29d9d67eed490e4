"""The region's network: a VPC with one node subnet per zone, private nodes, a NAT gateway, and one security group.

Nodes have no public address. COS and the other services are reached inside the region's own network
(https://www.tencentcloud.com/document/product/436/6224: private network access), all else through the NAT gateway.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import pulumi
from pulumi import ResourceOptions
from tencentcloud_iac_pulumi import eip, nat, route, security, subnet, vpc

from infra.node_config import METRICS_PORT, METRICS_RULE
from infra.tencent.common import Scope

ANYWHERE: Final = "0.0.0.0/0"
HTTPS: Final = "443"
PROBE_PORT: Final = 8080
"""Where the readiness gate answers the balancer's probes, which know no TLS; see infra/tencent/balancer.py."""
PROBES: Final = "100.64.0.0/10"
"""What health checks of balancers come from: https://www.tencentcloud.com/document/product/214/44863"""
RESOLVERS: Final = ("183.60.82.98/32", "183.60.83.19/32")
"""The DNS servers of a VPC: https://cloud.tencent.com/document/product/1689/90577 (dns_servers)"""
LINK_LOCAL: Final = "169.254.0.0/16"
"""Metadata, with the role's credentials, and time servers of the private network:
https://www.tencentcloud.com/document/product/213/4934, https://www.tencentcloud.com/document/product/213/30392"""
NAT_MBPS: Final = 100
"""Limit of an address that is billed by traffic: https://www.tencentcloud.com/document/product/213/10578"""
SLOTS: Final = 8
"""Zones 1 to 8; each has a node subnet and room for a balancer's subnet: 16 equal parts, as on AWS."""


@dataclass(frozen=True, slots=True)
class ZoneSubnets:
    """The two subnets of one zone, as CIDR text."""

    zone: str
    nodes: str
    front: str


def carve(cidr: str, zones: Iterable[str]) -> tuple[ZoneSubnets, ...]:
    """Subnets for `zones` (ap-guangzhou-3 ...), by the zone's number, so that a zone more or less renumbers none.

    Raises ValueError for a network narrower than /24 and for a zone whose number is not 1 to 8.
    """
    network = ipaddress.IPv4Network(cidr)
    if network.prefixlen > 24:
        raise ValueError(f"network {cidr}: expected /24 or wider, for {2 * SLOTS} subnets")
    parts = list(network.subnets(prefixlen_diff=4))
    found = []
    for zone in sorted(set(zones)):
        number = zone.rsplit("-", 1)[-1]
        if not number.isdigit() or not 1 <= int(number) <= SLOTS:
            raise ValueError(f"zone {zone!r}: expected a zone of the region with a number from 1 to {SLOTS}")
        found.append(ZoneSubnets(zone, str(parts[int(number) - 1]), str(parts[SLOTS + int(number) - 1])))
    if not found:
        raise ValueError("no zones: expected at least one")
    return tuple(found)


@dataclass(frozen=True, slots=True)
class NetworkArgs:
    """What a network is made from.

    clients: CIDRs that may reach the nodes on TCP 443: the balancer leaves the client's address as it is.
    checkers: CIDRs of health checkers besides. zones: full names. monitoring: CIDRs that may read the nodes' metrics.
    """

    scope: Scope
    cidr: str
    zones: Sequence[str]
    clients: Sequence[str]
    checkers: Sequence[str] = ()
    monitoring: Sequence[str] = ()


class Network(pulumi.ComponentResource):
    """VPC, subnets, routes, NAT gateway and security group of one region."""

    vpc_id: pulumi.Output[str]
    node_subnet_ids: Sequence[pulumi.Output[str]]
    front_subnet_id: pulumi.Output[str]
    """Where the balancer's inner address comes from; its zone is the first of the region's."""
    security_group_ids: Sequence[pulumi.Output[str]]
    """Of balancer and nodes alike: both see the client's own address."""
    egress: Sequence[pulumi.Resource]
    """What has to stand before a node can boot."""

    def __init__(self, name: str, args: NetworkArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("spillway:tencent:Network", name, None, opts)
        self._name, self._args = name, args
        self._child = child = ResourceOptions(parent=self)
        scope = args.scope
        network = vpc.Instance(
            f"{name}-vpc",
            name=scope.name("vpc"),
            cidr_block=args.cidr,
            is_multicast=False,
            tags=scope.tags("network"),
            opts=child,
        )
        self.vpc_id = network.id
        routes = route.Table(
            f"{name}-routes",
            name=scope.name("routes"),
            vpc_id=network.id,
            tags=scope.tags("network"),
            opts=child,
        )
        cut = carve(args.cidr, args.zones)
        nodes = [self._subnet(f"nodes-{place.zone}", place.zone, place.nodes, routes) for place in cut]
        front = self._subnet(f"front-{cut[0].zone}", cut[0].zone, cut[0].front, routes)
        self.node_subnet_ids = [one.id for one in nodes]
        self.front_subnet_id = front.id
        group = security.Group(
            f"{name}-node",
            name=scope.name("node"),
            description=f"Nodes of {scope.stack} and their balancer",
            tags=scope.tags("network"),
            opts=child,
        )
        rules = self._rules(group)
        self.security_group_ids = [group.id]
        self.egress = [*nodes, rules, *self._nat(network, routes)]
        self.register_outputs({"vpcId": self.vpc_id, "nodeSubnetIds": self.node_subnet_ids})

    def _subnet(self, label: str, zone: str, cidr: str, routes: route.Table) -> subnet.Instance:
        return subnet.Instance(
            f"{self._name}-{label}",
            name=self._args.scope.name(label.replace(f"{self._args.scope.region}-", "")),
            vpc_id=self.vpc_id,
            availability_zone=zone,
            cidr_block=cidr,
            is_multicast=False,
            route_table_id=routes.id,
            tags=self._args.scope.tags("network"),
            opts=self._child,
        )

    def _rules(self, group: security.Group) -> security.GroupRuleSet:
        """All rules at once and in order, the first that fits counts; what none lets through is dropped by the last."""
        args = self._args
        allowed_in = [("Clients, by way of the balancer", network, "TCP", HTTPS) for network in args.clients]
        allowed_in += [("DNS health checkers", network, "TCP", HTTPS) for network in args.checkers]
        allowed_in += [(METRICS_RULE, network, "TCP", str(METRICS_PORT)) for network in args.monitoring]
        allowed_in += [("Health checks of the balancer", PROBES, "TCP", str(PROBE_PORT))]
        # Rules hold for name servers and metadata as well, which no other cloud's do.
        allowed_out = [("Cloud services over TLS", ANYWHERE, "TCP", HTTPS)]
        allowed_out += [("Names", server, protocol, "53") for server in RESOLVERS for protocol in ("UDP", "TCP")]
        allowed_out += [("Metadata, with the role", LINK_LOCAL, "TCP", "80"), ("Time", LINK_LOCAL, "UDP", "123")]
        return security.GroupRuleSet(
            f"{self._name}-node",
            security_group_id=group.id,
            ingresses=[
                *(
                    security.GroupRuleSetIngressArgs(
                        action="ACCEPT", cidr_block=network, protocol=protocol, port=port, description=why
                    )
                    for why, network, protocol, port in allowed_in
                ),
                security.GroupRuleSetIngressArgs(
                    action="DROP", cidr_block=ANYWHERE, protocol="ALL", port="ALL", description="Nothing else"
                ),
            ],
            egresses=[
                *(
                    security.GroupRuleSetEgressArgs(
                        action="ACCEPT", cidr_block=network, protocol=protocol, port=port, description=why
                    )
                    for why, network, protocol, port in allowed_out
                ),
                security.GroupRuleSetEgressArgs(
                    action="DROP", cidr_block=ANYWHERE, protocol="ALL", port="ALL", description="Nothing else"
                ),
            ],
            opts=self._child,
        )

    def _nat(self, network: vpc.Instance, routes: route.Table) -> list[pulumi.Resource]:
        """One gateway for all zones: it is no machine that stands in one of them.
        https://www.tencentcloud.com/document/product/1015"""
        name, scope = self._name, self._args.scope
        address = eip.Instance(
            f"{name}-nat",
            name=scope.name("nat"),
            type="EIP",
            internet_charge_type="TRAFFIC_POSTPAID_BY_HOUR",
            internet_max_bandwidth_out=NAT_MBPS,
            tags=scope.tags("network"),
            opts=self._child,
        )
        gateway = nat.Gateway(
            f"{name}-nat",
            name=scope.name("nat"),
            vpc_id=network.id,
            nat_product_version=1,
            bandwidth=NAT_MBPS,
            max_concurrent=1_000_000,
            assigned_eip_sets=[address.public_ip],
            tags=scope.tags("network"),
            opts=self._child,
        )
        out = route.TableEntry(
            f"{name}-out",
            route_table_id=routes.id,
            destination_cidr_block=ANYWHERE,
            next_type="NAT",
            next_hub=gateway.id,
            description="Everything beyond the network",
            opts=self._child,
        )
        return [gateway, out]
