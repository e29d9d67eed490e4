"""Balancers (CLB) and their listeners."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar, Final

from sandbox import rules
from sandbox.kinds import Args, Cloud, CloudError, Fault, Ref, Resource
from sandbox.tencentcloud import tokens
from sandbox.tencentcloud.api import TencentKind, kept, new_id
from sandbox.tencentcloud.gateways import check_free
from sandbox.tencentcloud.registry import TENCENTCLOUD

SECURITY_GROUPS_MAX: Final = 5
"""https://www.tencentcloud.com/document/product/214/14733"""
NAME: Final = r"[\w-]{1,60}"
_ONLY_OPEN: Final = (
    "internetChargeType", "internetBandwidthMaxOut", "bandwidthPackageId", "vipIsp", "addressIpVersion", "masterZoneId",
    "slaveZoneId", "zoneId", "targetRegionInfoRegion", "targetRegionInfoVpcId", "dynamicVip",
)  # fmt: skip
_LAYER_4: Final = ("TCP", "UDP", "TCP_SSL", "QUIC")
# https://www.tencentcloud.com/document/product/214/39251: what each protocol can be checked with
_CHECKS: Final = {
    "TCP": ("TCP", "HTTP", "CUSTOM"),
    "UDP": ("PING", "CUSTOM"),
    "TCP_SSL": ("TCP", "HTTP"),
    "QUIC": ("PING", "CUSTOM"),
}
_HTTP: Final = ("healthCheckHttpCode", "healthCheckHttpPath", "healthCheckHttpDomain", "healthCheckHttpMethod")
_CUSTOM: Final = ("healthCheckContextType", "healthCheckSendContext", "healthCheckRecvContext")


@TENCENTCLOUD.kind
class Balancer(TencentKind):
    """clb/resource_tc_clb_instance.go"""

    token = tokens.BALANCER
    id_prefix = "lb-"
    named = None
    replace_on = ("networkType", "vpcId", "subnetId", "clusterId", "vipIsp", "vip", "addressIpVersion")
    unique = ("clbName",)
    duplicate_code = "[CHECK][CLB instance][Create]"
    references = (
        Ref("vpcId", (tokens.VPC,)),
        Ref("subnetId", (tokens.SUBNET,)),
        Ref("securityGroups[*]", (tokens.SECURITY_GROUP,)),
        Ref("eipAddressId", (tokens.EIP,)),
    )
    defaults: ClassVar[dict[str, Any]] = {"projectId": 0, "loadBalancerPassToTarget": False}
    write_only = ("dynamicVip", "zoneId")

    def faults(self, args: Args) -> Iterable[Fault]:
        yield from rules.matches(args, "clbName", NAME, "up to 60 letters, digits, _ and -")
        yield from rules.one_of(args, "networkType", ("OPEN", "INTERNAL"))
        yield from rules.length(args, "securityGroups", 0, SECURITY_GROUPS_MAX)
        yield from rules.between(args, "internetBandwidthMaxOut", 1, 2048, "Mbit/s")
        network = args.get("networkType")
        if network == "INTERNAL":
            for key in _ONLY_OPEN:
                if key in args:
                    yield Fault(key, "goes with networkType OPEN only")
            for key in ("vpcId", "subnetId"):
                if key not in args:
                    yield Fault(key, "is required with networkType INTERNAL")
        if network == "OPEN" and "eipAddressId" in args:
            yield Fault("eipAddressId", "goes with networkType INTERNAL only")

    def check_state(self, args: Args, cloud: Cloud, old: Resource | None) -> None:
        subnet = cloud.get(tokens.SUBNET, args["subnetId"]) if args["subnetId"] else None
        if subnet is not None and subnet["vpcId"] != args["vpcId"]:
            raise CloudError("InvalidParameterValue", f"{subnet.id} is not of the VPC {args['vpcId']}.")
        address = cloud.get(tokens.EIP, args["eipAddressId"]) if args["eipAddressId"] else None
        if address is not None:
            check_free(cloud, address, old)

    def before_delete(self, resource: Resource, cloud: Cloud) -> None:
        if resource["deleteProtect"]:
            raise CloudError("FailedOperation.DeleteProtect", f"{resource.id} is protected against deletion.")

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        return {
            "clbVips": kept(old, "clbVips", None) or [self._address(args, cloud)],
            "domain": "" if args["networkType"] == "INTERNAL" else f"{id}.clb.{cloud.region}.tencentclb.com",
            "securityGroups": args.get("securityGroups") or [],
        }

    @staticmethod
    def _address(args: Args, cloud: Cloud) -> str:
        """The inner address, from the subnet; of a public balancer it may change, so none is counted on."""
        subnet = cloud.get(tokens.SUBNET, args["subnetId"]) if args["subnetId"] else None
        if subnet is None:
            return ""
        taken = len([b for b in cloud.all(tokens.BALANCER, region=cloud.region) if b["subnetId"] == subnet.id])
        return str(ipaddress.IPv4Network(subnet["cidrBlock"])[2 + taken])


@TENCENTCLOUD.kind
class Listener(TencentKind):
    """clb/resource_tc_clb_listener.go, checkHealthCheckPara in clb/service_tencentcloud_clb.go"""

    token = tokens.LISTENER
    named = None
    replace_on = ("clbId", "port", "protocol", "sniSwitch", "endPort", "h2cSwitch")
    references = (Ref("clbId", (tokens.BALANCER,), blocks_delete=False),)
    defaults: ClassVar[dict[str, Any]] = {"scheduler": "WRR"}

    def faults(self, args: Args) -> Iterable[Fault]:
        yield from rules.matches(args, "listenerName", NAME, "up to 60 letters, digits, _ and -")
        yield from rules.one_of(args, "protocol", ("TCP", "UDP", "HTTP", "HTTPS", "TCP_SSL", "QUIC"))
        yield from rules.between(args, "port", 1, 65_535)
        yield from rules.one_of(args, "scheduler", ("WRR", "LEAST_CONN"))
        yield from rules.one_of(args, "targetType", ("NODE", "TARGETGROUP"))
        yield from rules.between(args, "sessionExpireTime", 30, 3600, "s")
        if "sessionExpireTime" in args and args.get("scheduler", "WRR") != "WRR":
            yield Fault("sessionExpireTime", "goes with scheduler WRR only")
        yield from rules.between(args, "idleConnectTimeout", 300, 2000, "s")
        if args.get("protocol") == "TCP_SSL" and "certificateId" not in args and "multiCertInfo" not in args:
            yield Fault("certificateId", "is required with protocol TCP_SSL")
        yield from self._health(args)

    @staticmethod
    def _health(args: Args) -> Iterator[Fault]:
        protocol, kind = args.get("protocol"), args.get("healthCheckType")
        known = not args.is_unknown("healthCheckType")
        yield from rules.between(args, "healthCheckTimeOut", 2, 60, "s")
        yield from rules.between(args, "healthCheckIntervalTime", 2, 300, "s")
        yield from rules.between(args, "healthCheckHealthNum", 2, 10)
        yield from rules.between(args, "healthCheckUnhealthNum", 2, 10)
        yield from rules.between(args, "healthCheckHttpCode", 1, 31)
        yield from rules.between(args, "healthCheckPort", 1, 65_535)
        yield from rules.one_of(args, "healthCheckHttpMethod", ("HEAD", "GET"))
        yield from rules.one_of(args, "healthCheckHttpVersion", ("HTTP/1.0", "HTTP/1.1"))
        yield from rules.one_of(args, "healthSourceIpType", (0, 1))
        wait, every = args.get("healthCheckTimeOut"), args.get("healthCheckIntervalTime")
        if isinstance(wait, int) and isinstance(every, int) and wait >= every:
            yield Fault("healthCheckTimeOut", f"expected less than healthCheckIntervalTime ({every}), got {wait}")
        if protocol in _CHECKS:
            yield from rules.one_of(args, "healthCheckType", _CHECKS[protocol])
        elif protocol is not None and args.get("healthCheckSwitch"):
            yield Fault("healthCheckSwitch", "checks of HTTP and HTTPS listeners are set with their rules")
        if protocol == "TCP" and known:
            for key in (*_HTTP, "healthCheckHttpVersion"):
                if key in args and kind != "HTTP":
                    yield Fault(key, "goes with healthCheckType HTTP only")
            for key in ("healthCheckHttpVersion", "healthCheckHttpCode"):
                if kind == "HTTP" and key not in args:
                    yield Fault(key, "is required with healthCheckType HTTP")
        for key in _CUSTOM:
            if key in args and known and kind != "CUSTOM":
                yield Fault(key, "goes with healthCheckType CUSTOM only")
            if kind == "CUSTOM" and key not in args:
                yield Fault(key, "is required with healthCheckType CUSTOM")

    def new_id(self, args: Args, cloud: Cloud) -> str:
        return f"{args['clbId']}#{new_id('lbl-')}"

    def check_state(self, args: Args, cloud: Cloud, old: Resource | None) -> None:
        balancer = cloud.get(tokens.BALANCER, args["clbId"])
        shared = balancer is None or not balancer["slaType"]
        # idle_connect_timeout: 300 to 900 s on shared and exclusive instances, 2,000 on LCU-supported ones
        if shared and (args.get("idleConnectTimeout") or 0) > 900:
            raise CloudError("InvalidParameterValue", "IdleConnectTimeout of a shared instance is at most 900 s.")
        if old is not None:
            return
        udp = args["protocol"] in ("UDP", "QUIC")
        for other in cloud.find(self.token, clbId=args["clbId"]):
            if other["port"] == args["port"] and (other["protocol"] in ("UDP", "QUIC")) == udp:
                raise CloudError("InvalidParameterValue.Duplicate", f"Port {args['port']} has a listener already.")

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        return {
            "listenerId": id.split("#")[-1],
            "targetType": args.get("targetType") or ("NODE" if args["protocol"] in _LAYER_4 else ""),
            "healthCheckSwitch": bool(args.get("healthCheckSwitch", True)),
        }
