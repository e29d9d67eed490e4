"""Networks, subnets, route tables, security groups. Addresses and NAT gateways are in gateways.py."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar, Final

from sandbox import rules
from sandbox.kinds import Args, Cloud, CloudError, Fault, Ref, Resource
from sandbox.rules import shown
from sandbox.tencentcloud import places, tokens
from sandbox.tencentcloud.api import TencentKind, check_count, kept, now
from sandbox.tencentcloud.registry import TENCENTCLOUD

# https://www.tencentcloud.com/document/product/215/537
VPCS: Final = 20
SUBNETS: Final = 100
ROUTE_TABLES: Final = 10
ROUTES: Final = 50
RULES: Final = 100
"""In each direction; 512 with both directions at most: https://www.tencentcloud.com/document/product/214/14733"""
# VPCs: 10.0.0.0/12 to 28 and the like, https://cloud.tencent.com/document/product/1689/90577
_PRIVATE: Final = tuple(ipaddress.IPv4Network(net) for net in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"))
RESERVED: Final = 3
_HOPS: Final = (
    "CVM", "VPN", "DIRECTCONNECT", "PEERCONNECTION", "HAVIP", "NAT", "NORMAL_CVM", "EIP", "LOCAL_GATEWAY", "INTRANAT",
    "USER_CCN",
)  # fmt: skip
_SOURCES: Final = ("cidrBlock", "ipv6CidrBlock", "sourceSecurityId", "addressTemplateId", "addressTemplateGroup")


def _network(text: object) -> ipaddress.IPv4Network | None:
    try:
        return ipaddress.IPv4Network(str(text))
    except ValueError:
        return None


@TENCENTCLOUD.kind
class Vpc(TencentKind):
    """vpc/resource_tc_vpc.go"""

    token = tokens.VPC
    id_prefix = "vpc-"
    replace_on = ("cidrBlock",)
    sets = ("dnsServers", "assistantCidrs")
    defaults: ClassVar[dict[str, Any]] = {"isMulticast": True}

    def faults(self, args: Args) -> Iterable[Fault]:
        yield from rules.cidr(args, "cidrBlock", widest=12, narrowest=28)
        for path, value in args.at("cidrBlock"):
            network = _network(value)
            if network is not None and not any(network.subnet_of(block) for block in _PRIVATE):
                yield Fault(path, f"expected a network in 10/8, 172.16/12 or 192.168/16, got {shown(value)}")

    def check_state(self, args: Args, cloud: Cloud, old: Resource | None) -> None:
        if old is None:
            check_count(cloud, "appid-max-vpcs", len(cloud.all(self.token, region=cloud.region)), VPCS)

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        return {
            "createTime": kept(old, "createTime", now()),
            "isDefault": False,
            "defaultRouteTableId": kept(old, "defaultRouteTableId", f"rtb-{id.removeprefix('vpc-')}"),
            "dnsServers": args.get("dnsServers") or ["183.60.82.98", "183.60.83.19"],
            "dockerAssistantCidrs": [],
            "assistantCidrs": args.get("assistantCidrs") or [],
        }


@TENCENTCLOUD.kind
class Subnet(TencentKind):
    """vpc/resource_tc_subnet.go"""

    token = tokens.SUBNET
    id_prefix = "subnet-"
    replace_on = ("vpcId", "availabilityZone", "cidrBlock", "cdcId")
    references = (Ref("vpcId", (tokens.VPC,)), Ref("routeTableId", (tokens.ROUTE_TABLE,)))
    defaults: ClassVar[dict[str, Any]] = {"isMulticast": True}

    def faults(self, args: Args) -> Iterable[Fault]:
        yield from rules.cidr(args, "cidrBlock", widest=16, narrowest=29)
        for path, zone in args.at("availabilityZone"):
            if not places.is_zone(zone):
                yield Fault(path, f"expected a zone such as ap-guangzhou-3, got {shown(zone)}")

    def check_state(self, args: Args, cloud: Cloud, old: Resource | None) -> None:
        vpc = cloud.get(tokens.VPC, args["vpcId"])
        table = cloud.get(tokens.ROUTE_TABLE, args["routeTableId"]) if args["routeTableId"] else None
        if table is not None and table["vpcId"] != args["vpcId"]:
            raise CloudError("InvalidParameterValue", f"The route table {table.id} is not of the VPC {args['vpcId']}.")
        if old is not None or vpc is None:
            return
        if places.region_of(args["availabilityZone"]) != cloud.region:
            raise CloudError("UnsupportedOperation.ZoneNotInRegion", f"{args['availabilityZone']} lies elsewhere.")
        network = ipaddress.IPv4Network(args["cidrBlock"])
        if not network.subnet_of(ipaddress.IPv4Network(vpc["cidrBlock"])):
            raise CloudError("InvalidParameterValue.SubnetRange", f"{network} is outside {vpc['cidrBlock']}.")
        neighbours = cloud.find(self.token, vpcId=vpc.id)
        for other in neighbours:
            if network.overlaps(ipaddress.IPv4Network(other["cidrBlock"])):
                raise CloudError("InvalidParameterValue.SubnetConflict", f"{network} overlaps with {other.id}.")
        check_count(cloud, "vpc-max-subnets", len(neighbours), SUBNETS)

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        vpc = cloud.get(tokens.VPC, args["vpcId"])
        return {
            "createTime": kept(old, "createTime", now()),
            "isDefault": False,
            "availableIpCount": ipaddress.IPv4Network(args["cidrBlock"]).num_addresses - RESERVED,
            "routeTableId": args.get("routeTableId") or (vpc["defaultRouteTableId"] if vpc else ""),
        }


@TENCENTCLOUD.kind
class RouteTable(TencentKind):
    """vpc/resource_tc_route_table.go"""

    token = tokens.ROUTE_TABLE
    id_prefix = "rtb-"
    replace_on = ("vpcId",)
    references = (Ref("vpcId", (tokens.VPC,)),)

    def check_state(self, args: Args, cloud: Cloud, old: Resource | None) -> None:
        if old is None:
            have = len(cloud.find(self.token, vpcId=args["vpcId"])) + 1  # and the VPC's own
            check_count(cloud, "vpc-max-route-tables", have, ROUTE_TABLES)

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        # Who came later shows after a refresh only, as in the provider.
        return {
            "createTime": kept(old, "createTime", now()),
            "isDefault": False,
            "subnetIds": kept(old, "subnetIds", []),
            "routeEntryIds": kept(old, "routeEntryIds", []),
        }


@TENCENTCLOUD.kind
class RouteEntry(TencentKind):
    """vpc/resource_tc_route_table_entry.go"""

    token = tokens.ROUTE_ENTRY
    named = None
    replace_on = ("routeTableId", "destinationCidrBlock", "nextType", "nextHub", "description")
    references = (Ref("routeTableId", (tokens.ROUTE_TABLE,)),)
    defaults: ClassVar[dict[str, Any]] = {"disabled": False}

    def faults(self, args: Args) -> Iterable[Fault]:
        yield from rules.cidr(args, "destinationCidrBlock")
        yield from rules.one_of(args, "nextType", _HOPS)

    def new_id(self, args: Args, cloud: Cloud) -> str:
        return f"{cloud.sequence('route-entry') + 1000}.{args['routeTableId']}"

    def check_state(self, args: Args, cloud: Cloud, old: Resource | None) -> None:
        if old is not None:
            return
        table = cloud.get(tokens.ROUTE_TABLE, args["routeTableId"])
        others = cloud.find(self.token, routeTableId=args["routeTableId"])
        if any(other["destinationCidrBlock"] == args["destinationCidrBlock"] for other in others):
            where = f"{args['destinationCidrBlock']} in {args['routeTableId']}"
            raise CloudError("InvalidParameterValue.RouteConflict", f"There is a route to {where} already.")
        if args["nextType"] == "NAT":
            gateway = cloud.get(tokens.NAT, args["nextHub"])
            if gateway is None or table is None or gateway["vpcId"] != table["vpcId"]:
                raise CloudError("ResourceNotFound", f"The NAT gateway {args['nextHub']} is not in this network.")
        check_count(cloud, "route-table-max-policies", len(others), ROUTES)

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        number = id.split(".")[0]
        return {"routeItemId": f"rti-{number}"}


@TENCENTCLOUD.kind
class SecurityGroup(TencentKind):
    """vpc/resource_tc_security_group.go"""

    token = tokens.SECURITY_GROUP
    id_prefix = "sg-"
    replace_on = ("projectId",)

    def faults(self, args: Args) -> Iterable[Fault]:
        yield from rules.length(args, "description", 1, 100)


@TENCENTCLOUD.kind
class RuleSet(TencentKind):
    """vpc/resource_tc_security_group_rule_set.go: all rules of a group, which has at most one set; the first that fits
    counts."""

    token = tokens.RULE_SET
    named = None
    replace_on = ("securityGroupId",)
    references = (
        Ref("securityGroupId", (tokens.SECURITY_GROUP,), blocks_delete=False),
        Ref("ingresses[*].sourceSecurityId", (tokens.SECURITY_GROUP,)),
        Ref("egresses[*].sourceSecurityId", (tokens.SECURITY_GROUP,)),
    )
    unique = ("securityGroupId",)
    changes_on_update = ("version",)

    def faults(self, args: Args) -> Iterable[Fault]:
        for direction in ("ingresses", "egresses"):
            for path, listed in args.at(direction):
                if isinstance(listed, list) and len(listed) > RULES:
                    yield Fault(path, f"expected at most {RULES} rules, got {len(listed)}")
            for path, rule in args.at(f"{direction}[*]"):
                if isinstance(rule, dict):
                    yield from self._rule(path, rule)
            yield from rules.cidr(args, f"{direction}[*].cidrBlock")
            yield from rules.one_of(args, f"{direction}[*].action", ("ACCEPT", "DROP"))
            yield from rules.one_of(args, f"{direction}[*].protocol", ("TCP", "UDP", "ICMP", "ICMPv6", "ALL"))

    @staticmethod
    def _rule(path: str, rule: dict[str, Any]) -> Iterator[Fault]:
        given = [key for key in _SOURCES if rule.get(key) is not None]
        if len(given) != 1:
            yield Fault(path, f"exactly one of {', '.join(_SOURCES)} must be set, got {len(given)}")
        protocol, port = rule.get("protocol"), rule.get("port")
        if protocol == "ALL" and isinstance(port, str) and port.upper() != "ALL":
            yield Fault(f"{path}.port", "with protocol ALL it has to be ALL")
        if protocol in ("TCP", "UDP") and isinstance(port, str) and not _is_ports(port):
            yield Fault(f"{path}.port", f"expected ALL, 443, 80,443 or 80-90, got {shown(port)}")

    def new_id(self, args: Args, cloud: Cloud) -> str:
        return str(args["securityGroupId"])

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        return {"version": str(int(old["version"]) + 1 if old is not None and old["version"] else 1)}


def _is_ports(text: str) -> bool:
    if text.upper() == "ALL":
        return True
    ends = [end for part in text.split(",") for end in part.split("-")]
    return all(end.isdigit() and 1 <= int(end) <= 65_535 for end in ends)
