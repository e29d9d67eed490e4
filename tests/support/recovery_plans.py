"""Plans, states and resources of a small AWS stack, for tests of recovery."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spillway.recovery import aws_types
from spillway.recovery.model import UNKNOWN, Existing, Planned
from spillway.recovery.state import State

STACK = "urn:pulumi:dev::spillway::pulumi:pulumi:Stack::spillway-dev"
PROVIDER = "urn:pulumi:dev::spillway::pulumi:providers:aws::here"
NETWORK = "urn:pulumi:dev::spillway::spillway:aws:Network::net"


def urn(token: str, name: str, parent: str = "spillway:aws:Network$") -> str:
    return f"urn:pulumi:dev::spillway::{parent}{token}::{name}"


def tags(name: str, stack: str = "dev", component: str = "network") -> dict[str, str]:
    return {"spillway:stack": stack, "spillway:component": component, "Name": name}


def plan(token: str, name: str, inputs: Mapping[str, Any], replaces: bool = False, **dependencies: str) -> Planned:
    wanted = {key: (value,) for key, value in dependencies.items()}
    return Planned(urn(token, name), token, True, inputs, NETWORK, PROVIDER, wanted, replaces)


def state(*resources: Mapping[str, Any]) -> State:
    base = [
        {"urn": STACK, "type": "pulumi:pulumi:Stack", "custom": False},
        {
            "urn": PROVIDER,
            "type": "pulumi:providers:aws",
            "custom": True,
            "id": "p-1",
            "inputs": {"region": "us-east-1"},
        },
        {"urn": NETWORK, "type": "spillway:aws:Network", "custom": False, "parent": STACK},
    ]
    return State({"version": 3, "deployment": {"resources": [*base, *map(dict, resources)]}})


def owned(token: str, name: str, id: str, **more: Any) -> dict[str, Any]:
    provider = f"{PROVIDER}::p-1"
    return {"urn": urn(token, name), "type": token, "custom": True, "id": id, "provider": provider, **more}


VPC_PLAN = plan(aws_types.VPC, "net-vpc", {"cidrBlock": "10.0.0.0/16", "tags": tags("vpc")})
SUBNET_PLAN = plan(aws_types.SUBNET, "net-a", {"vpcId": UNKNOWN, "tags": tags("a")}, vpcId=VPC_PLAN.urn)
TABLE_PLAN = plan(aws_types.ROUTE_TABLE, "net-a", {"vpcId": UNKNOWN, "tags": tags("a")}, vpcId=VPC_PLAN.urn)
ROUTE_PLAN = plan(
    aws_types.ROUTE,
    "net-out",
    {"routeTableId": UNKNOWN, "destinationCidrBlock": "0.0.0.0/0"},
    routeTableId=TABLE_PLAN.urn,
)
VPC = Existing(aws_types.VPC, "vpc-1", tags=tags("vpc"))
SUBNET = Existing(aws_types.SUBNET, "subnet-1", tags=tags("a"), refs=frozenset({"vpc-1"}))
TABLE = Existing(aws_types.ROUTE_TABLE, "rtb-1", tags=tags("a"), refs=frozenset({"vpc-1"}))
ROUTE = Existing(aws_types.ROUTE, "rtb-1_0.0.0.0/0", "rtb-1_0.0.0.0/0", parents=frozenset({"rtb-1"}))
