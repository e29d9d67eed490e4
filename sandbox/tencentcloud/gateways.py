"""Elastic addresses and NAT gateways."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar, Final

from sandbox import rules
from sandbox.kinds import Args, Cloud, CloudError, Fault, Ref, Resource
from sandbox.public import next_address
from sandbox.tencentcloud import tokens
from sandbox.tencentcloud.api import TencentKind, check_count, kept, now
from sandbox.tencentcloud.registry import TENCENTCLOUD

# https://www.tencentcloud.com/document/product/215/537
ADDRESSES: Final = 20
TRAFFIC_MBPS: Final = 100
"""Of an address that is billed by traffic: https://www.tencentcloud.com/document/product/213/10578"""
NAT_ADDRESSES: Final = 10
_CHARGES: Final = (
    "BANDWIDTH_PACKAGE", "BANDWIDTH_POSTPAID_BY_HOUR", "BANDWIDTH_PREPAID_BY_MONTH", "TRAFFIC_POSTPAID_BY_HOUR",
)  # fmt: skip


@TENCENTCLOUD.kind
class Eip(TencentKind):
    """cvm/resource_tc_eip.go. It is bound to one thing at a time, and not released while it is."""

    token = tokens.EIP
    id_prefix = "eip-"
    name_max = 128
    replace_on = ("type", "anycastZone", "internetServiceProvider")
    defaults: ClassVar[dict[str, Any]] = {"type": "EIP"}
    write_only = ("prepaidPeriod", "applicableForClb")

    def faults(self, args: Args) -> Iterable[Fault]:
        yield from rules.one_of(args, "type", ("EIP", "AnycastEIP", "HighQualityEIP", "AntiDDoSEIP"))
        yield from rules.one_of(args, "internetChargeType", _CHARGES)
        yield from rules.one_of(args, "internetServiceProvider", ("BGP", "CMCC", "CTCC", "CUCC"))
        if args.get("internetChargeType") == "TRAFFIC_POSTPAID_BY_HOUR":
            yield from rules.between(args, "internetMaxBandwidthOut", 1, TRAFFIC_MBPS, "Mbit/s")
        else:
            yield from rules.between(args, "internetMaxBandwidthOut", 0, 2000, "Mbit/s")
        if args.get("internetChargeType") == "BANDWIDTH_PREPAID_BY_MONTH" and "prepaidPeriod" not in args:
            yield Fault("prepaidPeriod", "is required with BANDWIDTH_PREPAID_BY_MONTH")

    def check_state(self, args: Args, cloud: Cloud, old: Resource | None) -> None:
        if old is None:
            check_count(cloud, "eip-quota", len(cloud.all(self.token, region=cloud.region)), ADDRESSES)

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        return {
            "publicIp": kept(old, "publicIp", None) or next_address(cloud, "tencentcloud"),
            "status": "UNBIND",  # as it was read last: what binds it later shows after a refresh
            "egress": args.get("egress") or "center_egress1",
            "internetChargeType": args.get("internetChargeType") or "TRAFFIC_POSTPAID_BY_HOUR",
        }


def check_free(cloud: Cloud, address: Resource, user: Resource | None) -> None:
    """Raises CloudError when something else has the address."""
    for token, key, value in (
        (tokens.NAT, "assignedEipSets", address["publicIp"]),
        (tokens.BALANCER, "eipAddressId", address.id),
    ):
        for other in cloud.all(token, region=cloud.region):
            held = other[key]
            if (value in held if isinstance(held, list) else value == held) and (user is None or other.id != user.id):
                raise CloudError("InvalidAddressStatus.NotPermit", f"{address.id} is bound to {other.id} already.")


@TENCENTCLOUD.kind
class NatGateway(TencentKind):
    """vpc/resource_tc_nat_gateway.go"""

    token = tokens.NAT
    id_prefix = "nat-"
    replace_on = ("vpcId", "subnetId", "natProductVersion", "stockPublicIpAddressesBandwidthOut")
    sets = ("assignedEipSets",)
    references = (
        Ref("vpcId", (tokens.VPC,)),
        Ref("subnetId", (tokens.SUBNET,)),
        Ref("assignedEipSets[*]", (tokens.EIP,), by="publicIp", code="InvalidAddressState"),
    )

    def faults(self, args: Args) -> Iterable[Fault]:
        yield from rules.one_of(args, "bandwidth", (20, 50, 100, 200, 500, 1000, 2000, 5000))
        yield from rules.one_of(args, "maxConcurrent", (1_000_000, 2_000_000, 3_000_000, 10_000_000))
        yield from rules.one_of(args, "natProductVersion", (1, 2))
        yield from rules.length(args, "assignedEipSets", 1, NAT_ADDRESSES)
        if args.get("natProductVersion") == 2:
            yield from rules.one_of(args, "bandwidth", (5000,))
            yield from rules.one_of(args, "maxConcurrent", (2_000_000,))

    def check_state(self, args: Args, cloud: Cloud, old: Resource | None) -> None:
        for address in cloud.all(tokens.EIP, region=cloud.region):
            if address["publicIp"] in args["assignedEipSets"]:
                check_free(cloud, address, old)

    def before_delete(self, resource: Resource, cloud: Cloud) -> None:
        routes = [r for r in cloud.all(tokens.ROUTE_ENTRY, region=cloud.region) if r["nextHub"] == resource.id]
        if routes:
            why = f"{resource.id} is the next hop of a route in {routes[0]['routeTableId']}."
            raise CloudError("UnsupportedOperation.NatGatewayHasRoute", why)

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        standard = args.get("natProductVersion") == 2
        return {
            "createdTime": kept(old, "createdTime", now()),
            "natProductVersion": args.get("natProductVersion") or 1,
            "bandwidth": args.get("bandwidth") or (5000 if standard else 100),
            "maxConcurrent": args.get("maxConcurrent") or (2_000_000 if standard else 1_000_000),
        }
