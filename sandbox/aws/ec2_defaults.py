"""What EC2 makes together with a VPC: a main route table, a network ACL, a security group. They are stored under the
types that adopt them (`DefaultRouteTable`, ...), with no inputs until somebody does."""

from __future__ import annotations

import hashlib
from typing import Any

from sandbox.aws import formats, tokens
from sandbox.kinds import Cloud, Resource


def dhcp_options(cloud: Cloud) -> str:
    """The id of the region's own DHCP options, which every new VPC uses: one per account and region."""
    return "dopt-" + hashlib.sha256(f"{cloud.account}/{cloud.region}".encode()).hexdigest()[:17]


def _made_with(vpc: Resource, token: str, id: str, **outputs: Any) -> Resource:
    """Something that EC2 makes together with a VPC. No inputs: nobody declared it, so it never blocks the VPC's end."""
    more = {
        "vpcId": vpc.id,
        "ownerId": vpc.account,
        "tags": {},
        "tagsAll": {},
        **outputs,
    }
    return Resource(token, id, vpc.region, vpc.account, {}, more)


def route_table(vpc: Resource) -> Resource:
    """The route table that comes with a VPC."""
    id = str(vpc["defaultRouteTableId"])
    arn = formats.arn("ec2", vpc.region, vpc.account, f"route-table/{id}")
    return _made_with(
        vpc,
        tokens.DEFAULT_ROUTE_TABLE,
        id,
        arn=arn,
        defaultRouteTableId=id,
        routes=[],
        propagatingVgws=[],
    )


def network_acl(vpc: Resource) -> Resource:
    """The network ACL that comes with a VPC: it lets everything pass."""
    id = str(vpc["defaultNetworkAclId"])
    arn = formats.arn("ec2", vpc.region, vpc.account, f"network-acl/{id}")
    rule = {
        "ruleNo": 100,
        "action": "allow",
        "protocol": "-1",
        "cidrBlock": "0.0.0.0/0",
        "fromPort": 0,
        "toPort": 0,
    }
    return _made_with(
        vpc,
        tokens.DEFAULT_NETWORK_ACL,
        id,
        arn=arn,
        defaultNetworkAclId=id,
        ingress=[rule],
        egress=[dict(rule)],
    )


def security_group(vpc: Resource) -> Resource:
    """The group named `default` that comes with a VPC: in from itself, out to everywhere."""
    id = str(vpc["defaultSecurityGroupId"])
    arn = formats.arn("ec2", vpc.region, vpc.account, f"security-group/{id}")
    return _made_with(
        vpc,
        tokens.DEFAULT_SECURITY_GROUP,
        id,
        arn=arn,
        name="default",
        namePrefix="",
        description="default VPC security group",
        ingress=[{"protocol": "-1", "fromPort": 0, "toPort": 0, "self": True}],
        egress=[{"protocol": "-1", "fromPort": 0, "toPort": 0, "cidrBlocks": ["0.0.0.0/0"]}],
        revokeRulesOnDelete=False,
    )
