"""The region's network: a VPC over the zones that offer the machine types, with private nodes and a public edge.

Nodes have no public address. They reach S3 through a gateway endpoint (free, and the weights are most of the traffic),
and the other services through NAT or, with `egress: endpoints`, through interface endpoints and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

import pulumi
import pulumi_aws as aws
from pulumi import ResourceOptions

from infra import naming
from infra.aws.common import Scope, policy
from infra.aws.subnets import ZoneSubnets, carve
from infra.node_config import METRICS_PORT, METRICS_RULE

ANYWHERE: Final = "0.0.0.0/0"
HTTPS: Final = 443

# What a node calls besides S3. The SSM agent needs ssm and ssmmessages for Session Manager; ec2messages only for agents
# before 3.3.40 (https://docs.aws.amazon.com/systems-manager/latest/userguide/setup-create-vpc.html).
INTERFACE_SERVICES: Final = ("autoscaling", "monitoring", "secretsmanager", "ssm", "ssmmessages")
LOGS_SERVICE: Final = "logs"


@dataclass(frozen=True, slots=True)
class NetworkArgs:
    """What a network is made from.

    clients: CIDRs that may reach the balancer on TCP 443. checkers: CIDRs of health checkers besides.
    checker_lists: prefix lists of health checkers, by name. bucket: the only bucket that the S3 endpoint lets through.
    monitoring: CIDRs that may read the nodes' metrics. logs: whether nodes ship logs, which takes an endpoint more.
    efa: nodes get a security group that allows all traffic among themselves, as EFA needs.
    """

    scope: Scope
    cidr: str
    zones: Sequence[str]
    egress: Literal["nat", "nat-per-zone", "endpoints"]
    clients: Sequence[str]
    bucket: str
    efa: bool = False
    checkers: Sequence[str] = ()
    checker_lists: Mapping[str, str] = field(default_factory=dict)
    monitoring: Sequence[str] = ()
    logs: bool = False


class Network(pulumi.ComponentResource):
    """VPC, subnets, routes, endpoints and security groups of one region."""

    vpc_id: pulumi.Output[str]
    public_subnet_ids: Mapping[str, pulumi.Output[str]]
    """By zone."""
    node_subnet_ids: Mapping[str, pulumi.Output[str]]
    """By zone."""
    balancer_security_group_id: pulumi.Output[str]
    node_security_group_ids: Sequence[pulumi.Output[str]]
    edge: Sequence[pulumi.Resource]
    """What has to stand before something faces the internet."""
    egress: Sequence[pulumi.Resource]
    """What has to stand before a node can boot."""

    def __init__(self, name: str, args: NetworkArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("spillway:aws:Network", name, None, opts)
        self._name = name
        self._args = args
        self._child = ResourceOptions(parent=self)
        scope, child = args.scope, self._child

        self._vpc = aws.ec2.Vpc(
            f"{name}-vpc",
            cidr_block=args.cidr,
            enable_dns_support=True,
            enable_dns_hostnames=True,  # private DNS names of interface endpoints need both
            tags=scope.tags("network", "vpc"),
            opts=child,
        )
        self.vpc_id = self._vpc.id
        # The default group of a new VPC lets its members talk to each other; nothing here uses it, so it gets no rule.
        aws.ec2.DefaultSecurityGroup(
            f"{name}-default", vpc_id=self.vpc_id, tags=scope.tags("network", "default-unused"), opts=child
        )
        layout = carve(args.cidr, args.zones)
        public = self._public_edge(layout)
        tables = self._node_subnets(layout)
        s3 = self._s3_endpoint(tables)
        self._security_groups()
        routes = self._interface_endpoints() if args.egress == "endpoints" else self._nat(layout, public, tables)
        # Without its association a subnet uses the VPC's main table, which leads nowhere.
        self.egress = [s3, *routes, *self._associations, *self._egress_rules(s3)]
        self.register_outputs({"vpcId": self.vpc_id})

    def _public_edge(self, layout: Sequence[ZoneSubnets]) -> dict[str, aws.ec2.Subnet]:
        name, scope, child = self._name, self._args.scope, self._child
        gateway = aws.ec2.InternetGateway(
            f"{name}-internet", vpc_id=self.vpc_id, tags=scope.tags("network", "internet"), opts=child
        )
        table = aws.ec2.RouteTable(
            f"{name}-public", vpc_id=self.vpc_id, tags=scope.tags("network", "public"), opts=child
        )
        route = aws.ec2.Route(
            f"{name}-public-internet",
            route_table_id=table.id,
            destination_cidr_block=ANYWHERE,
            gateway_id=gateway.id,
            opts=child,
        )
        subnets: dict[str, aws.ec2.Subnet] = {}
        edge: list[pulumi.Resource] = [route]
        for zone in layout:
            letter = zone.zone[-1]
            subnets[zone.zone] = subnet = aws.ec2.Subnet(
                f"{name}-public-{letter}",
                vpc_id=self.vpc_id,
                availability_zone=zone.zone,
                cidr_block=zone.public,
                map_public_ip_on_launch=False,  # only the balancer and NAT live here, with addresses of their own
                tags=scope.tags("network", f"public-{letter}"),
                opts=child,
            )
            edge.append(
                aws.ec2.RouteTableAssociation(
                    f"{name}-public-{letter}", subnet_id=subnet.id, route_table_id=table.id, opts=child
                )
            )
        self.public_subnet_ids = {zone: subnet.id for zone, subnet in subnets.items()}
        self.edge = edge
        return subnets

    def _node_subnets(self, layout: Sequence[ZoneSubnets]) -> dict[str, aws.ec2.RouteTable]:
        name, scope, child = self._name, self._args.scope, self._child
        tables: dict[str, aws.ec2.RouteTable] = {}
        associations: list[pulumi.Resource] = []
        ids: dict[str, pulumi.Output[str]] = {}
        for zone in layout:
            letter = zone.zone[-1]
            subnet = aws.ec2.Subnet(
                f"{name}-nodes-{letter}",
                vpc_id=self.vpc_id,
                availability_zone=zone.zone,
                cidr_block=zone.nodes,
                map_public_ip_on_launch=False,
                tags=scope.tags("network", f"nodes-{letter}"),
                opts=child,
            )
            # A table per zone even with one NAT: going from one to one per zone then only changes routes.
            tables[zone.zone] = table = aws.ec2.RouteTable(
                f"{name}-nodes-{letter}",
                vpc_id=self.vpc_id,
                tags=scope.tags("network", f"nodes-{letter}"),
                opts=child,
            )
            associations.append(
                aws.ec2.RouteTableAssociation(
                    f"{name}-nodes-{letter}", subnet_id=subnet.id, route_table_id=table.id, opts=child
                )
            )
            ids[zone.zone] = subnet.id
        self.node_subnet_ids = ids
        self._associations = associations
        return tables

    def _s3_endpoint(self, tables: Mapping[str, aws.ec2.RouteTable]) -> aws.ec2.VpcEndpoint:
        scope = self._args.scope
        bucket = naming.bucket_arn(self._args.bucket, scope.region)
        return aws.ec2.VpcEndpoint(
            f"{self._name}-s3",
            vpc_id=self.vpc_id,
            vpc_endpoint_type="Gateway",
            service_name=f"com.amazonaws.{scope.region}.s3",
            route_table_ids=[table.id for table in tables.values()],
            # Nodes need no other bucket, and a stolen key must not carry data to one.
            policy=policy(
                [
                    {
                        "Sid": "ModelBucketOnly",
                        "Effect": "Allow",
                        "Principal": "*",
                        "Action": ["s3:GetObject", "s3:GetObjectVersion", "s3:ListBucket"],
                        "Resource": [bucket, f"{bucket}/*"],
                        "Condition": {"StringEquals": {"aws:PrincipalAccount": scope.account}},
                    }
                ]
            ),
            tags=scope.tags("network", "s3"),
            opts=self._child,
        )

    def _nat(
        self,
        layout: Sequence[ZoneSubnets],
        public: Mapping[str, aws.ec2.Subnet],
        tables: Mapping[str, aws.ec2.RouteTable],
    ) -> list[pulumi.Resource]:
        name, scope = self._name, self._args.scope
        zones = [zone.zone for zone in layout]
        gateways: dict[str, aws.ec2.NatGateway] = {}
        for zone in zones if self._args.egress == "nat-per-zone" else zones[:1]:
            label = f"nat-{zone[-1]}"
            address = aws.ec2.Eip(f"{name}-{label}", domain="vpc", tags=scope.tags("network", label), opts=self._child)
            gateways[zone] = aws.ec2.NatGateway(
                f"{name}-{label}",
                allocation_id=address.id,
                subnet_id=public[zone].id,
                connectivity_type="public",
                tags=scope.tags("network", label),
                # Without a route to the internet gateway the gateway comes up failed.
                opts=ResourceOptions(parent=self, depends_on=list(self.edge)),
            )
        first = gateways[zones[0]]
        return [
            aws.ec2.Route(
                f"{name}-nodes-{zone[-1]}-nat",
                route_table_id=table.id,
                destination_cidr_block=ANYWHERE,
                nat_gateway_id=gateways.get(zone, first).id,
                opts=self._child,
            )
            for zone, table in tables.items()
        ]

    def _security_groups(self) -> None:
        name, args, scope, child = self._name, self._args, self._args.scope, self._child

        def group(label: str, description: str) -> aws.ec2.SecurityGroup:
            # No inline rules: they fight with rule resources, and a change would replace the whole set at once.
            return aws.ec2.SecurityGroup(
                f"{name}-{label}",
                name=scope.name(label),
                description=description,
                vpc_id=self.vpc_id,
                tags=scope.tags("network", label),
                opts=child,
            )

        balancer = group("balancer", "Network load balancer: clients in, nodes out")
        nodes = group("nodes", "Nodes: only the load balancer gets in")
        self._nodes = nodes
        for cidr in args.clients:
            # By content, not by position: one network less must not rewrite the rules after it.
            self._rule(f"balancer-from-{cidr.replace('/', '-')}", balancer, "in", "Clients", cidr=cidr)
        for cidr in args.checkers:
            self._rule(f"balancer-from-{cidr.replace('/', '-')}", balancer, "in", "Health checkers", cidr=cidr)
        for label, prefix_list in args.checker_lists.items():
            self._rule(f"balancer-from-{label}", balancer, "in", "Health checkers", prefix_list=prefix_list)
        self._rule("balancer-to-nodes", balancer, "out", "Forwarding and health checks", peer=nodes)
        self._rule("nodes-from-balancer", nodes, "in", "Only the load balancer", peer=balancer)
        for cidr in args.monitoring:
            label = f"nodes-from-monitoring-{cidr.replace('/', '-')}"
            self._rule(label, nodes, "in", METRICS_RULE, cidr=cidr, port=METRICS_PORT)
        self.balancer_security_group_id = balancer.id
        self.node_security_group_ids = [nodes.id]
        if args.efa:
            fabric = group("fabric", "EFA: nodes among themselves, all traffic both ways")
            # https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/efa-start.html (an EFA-enabled security group)
            self._rule("fabric-in", fabric, "in", "EFA", peer=fabric, protocol="-1")
            self._rule("fabric-out", fabric, "out", "EFA", peer=fabric, protocol="-1")
            self.node_security_group_ids = [nodes.id, fabric.id]

    def _rule(
        self,
        label: str,
        group: aws.ec2.SecurityGroup,
        direction: Literal["in", "out"],
        description: str,
        *,
        peer: aws.ec2.SecurityGroup | None = None,
        cidr: str | None = None,
        prefix_list: pulumi.Input[str] | None = None,
        protocol: str = "tcp",
        port: int | None = HTTPS,
    ) -> pulumi.Resource:
        """One rule, TCP unless `protocol` is -1 (everything), to or from exactly one of peer, cidr, prefix list."""
        kind = aws.vpc.SecurityGroupIngressRule if direction == "in" else aws.vpc.SecurityGroupEgressRule
        if protocol == "-1":
            port = None
        rule: pulumi.Resource = kind(
            f"{self._name}-{label}",
            security_group_id=group.id,
            description=description,
            referenced_security_group_id=None if peer is None else peer.id,
            cidr_ipv4=cidr,
            prefix_list_id=prefix_list,
            ip_protocol=protocol,
            from_port=port,
            to_port=port,
            tags=self._args.scope.tags("network", label.replace(".", "-")),
            opts=self._child,
        )
        return rule

    def _interface_endpoints(self) -> list[pulumi.Resource]:
        name, scope, child = self._name, self._args.scope, self._child
        self._endpoints = aws.ec2.SecurityGroup(
            f"{name}-endpoints",
            name=scope.name("endpoints"),
            description="Interface endpoints: only nodes get in",
            vpc_id=self.vpc_id,
            tags=scope.tags("network", "endpoints"),
            opts=child,
        )
        services = (*INTERFACE_SERVICES, *((LOGS_SERVICE,) if self._args.logs else ()))
        rule = self._rule("endpoints-from-nodes", self._endpoints, "in", "Nodes", peer=self._nodes)
        return [
            rule,
            *(
                aws.ec2.VpcEndpoint(
                    f"{name}-{service}",
                    vpc_id=self.vpc_id,
                    vpc_endpoint_type="Interface",
                    service_name=f"com.amazonaws.{scope.region}.{service}",
                    private_dns_enabled=True,
                    subnet_ids=list(self.node_subnet_ids.values()),
                    security_group_ids=[self._endpoints.id],
                    tags=scope.tags("network", service),
                    opts=child,
                )
                for service in services
            ),
        ]

    def _egress_rules(self, s3: aws.ec2.VpcEndpoint) -> list[pulumi.Resource]:
        # DNS and time come from the VPC itself (link-local), which security groups do not filter.
        # https://docs.aws.amazon.com/vpc/latest/userguide/vpc-security-groups.html
        if self._args.egress == "endpoints":
            return [
                self._rule("nodes-to-endpoints", self._nodes, "out", "AWS services", peer=self._endpoints),
                self._rule("nodes-to-s3", self._nodes, "out", "Model bucket", prefix_list=s3.prefix_list_id),
            ]
        return [self._rule("nodes-to-internet", self._nodes, "out", "AWS services over TLS", cidr=ANYWHERE)]
