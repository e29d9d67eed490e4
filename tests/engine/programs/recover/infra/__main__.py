"""A network in a component with an explicit provider, tagged as the region's program tags."""

import json

import pulumi
import pulumi_aws as aws
from pulumi import ResourceOptions

STACK = pulumi.get_stack()
CIDR = pulumi.Config().require("cidr")


def tags(label: str) -> dict[str, str]:
    return {"spillway:stack": STACK, "spillway:component": "network", "Name": f"{STACK}-{label}"}


class Network(pulumi.ComponentResource):
    """VPC, subnet, internet gateway, and a route table with a route and an association."""

    def __init__(self, name: str, opts: ResourceOptions | None = None) -> None:
        super().__init__("spillway:aws:Network", name, None, opts)
        child = ResourceOptions(parent=self)
        self.vpc = aws.ec2.Vpc(f"{name}-vpc", cidr_block=CIDR, tags=tags("vpc"), opts=child)
        base = CIDR.rsplit(".", 2)[0]
        subnet = aws.ec2.Subnet(
            f"{name}-a",
            vpc_id=self.vpc.id,
            cidr_block=f"{base}.1.0/24",
            availability_zone="us-east-1a",
            tags=tags("a"),
            opts=child,
        )
        gateway = aws.ec2.InternetGateway(f"{name}-internet", vpc_id=self.vpc.id, tags=tags("internet"), opts=child)
        table = aws.ec2.RouteTable(f"{name}-a", vpc_id=self.vpc.id, tags=tags("a"), opts=child)
        aws.ec2.Route(
            f"{name}-internet",
            route_table_id=table.id,
            destination_cidr_block="0.0.0.0/0",
            gateway_id=gateway.id,
            opts=child,
        )
        aws.ec2.RouteTableAssociation(f"{name}-a", subnet_id=subnet.id, route_table_id=table.id, opts=child)
        self.register_outputs({})


class Identity(pulumi.ComponentResource):
    """A role with fixed name, an inline policy, an instance profile, and a security group."""

    def __init__(self, name: str, network: Network, opts: ResourceOptions | None = None) -> None:
        super().__init__("spillway:aws:Identity", name, None, opts)
        child = ResourceOptions(parent=self)
        trust = {
            "Version": "2012-10-17",
            "Statement": [
                {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
            ],
        }
        role = aws.iam.Role(
            f"{name}-node",
            name=f"recovery-{STACK}-node",
            assume_role_policy=json.dumps(trust),
            tags=tags("node"),
            opts=child,
        )
        rights = {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "*"}],
        }
        aws.iam.RolePolicy(f"{name}-node", name="node", role=role.name, policy=json.dumps(rights), opts=child)
        aws.iam.InstanceProfile(
            f"{name}-node", name=f"recovery-{STACK}-node", role=role.name, tags=tags("node"), opts=child
        )
        aws.ec2.SecurityGroup(
            f"{name}-nodes",
            name=f"recovery-{STACK}-nodes",
            description="Nodes",
            vpc_id=network.vpc.id,
            tags=tags("nodes"),
            opts=child,
        )
        self.register_outputs({})


provider = aws.Provider("here", region="us-east-1", allowed_account_ids=["123456789012"])
both = ResourceOptions(providers={"aws": provider})
network = Network("net", both)
Identity("id", network, both)
pulumi.export("vpc", network.vpc.id)
