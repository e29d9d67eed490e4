"""Load balancers of Elastic Load Balancing v2: application, network, gateway."""

from __future__ import annotations

import secrets as random_source
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Final

from sandbox import rules
from sandbox.aws import formats, quotas, stamps, tokens, zones
from sandbox.aws.ec2_addresses import address_holder
from sandbox.aws.ec2_security import check_groups_in_vpc
from sandbox.aws.registry import AWS
from sandbox.kinds import Args, AutoName, Cloud, CloudError, Fault, Kind, Ref, Resource

_SHORT: Final = {"application": "app", "network": "net", "gateway": "gwy"}


def elb_arn(cloud: Cloud, resource: str) -> str:
    """The ARN of something of ELB in this call's region and account."""
    return formats.arn("elasticloadbalancing", cloud.region, cloud.account, resource)


def check_name(args: Args, what: str) -> Iterator[Fault]:
    """Names of balancers and target groups: https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_CreateLoadBalancer.html"""
    yield from rules.matches(
        args,
        "name",
        r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,30}[A-Za-z0-9])?",
        f"a {what} name of 1 to 32 letters, digits and hyphens that neither begins nor ends with a hyphen",
    )
    for path, value in args.at("name"):
        if isinstance(value, str) and value.startswith("internal-"):
            yield Fault(path, 'cannot begin with "internal-"')
    yield from rules.matches(args, "namePrefix", r"[A-Za-z0-9][A-Za-z0-9-]{0,5}", "up to 6 letters, digits and hyphens")


def name_for(args: Args) -> str:
    """The name given, or one made from the prefix: the provider cuts it at the 32 characters that ELB takes."""
    return stamps.name_of(args)[:32]


def same_set(one: Sequence[Any] | None, other: Sequence[Any] | None) -> bool:
    """Whether two lists hold the same things in any order."""
    left, right = list(one or []), list(other or [])
    return len(left) == len(right) and all(item in right for item in left)


@AWS.kind
class LoadBalancer(Kind):
    """aws_lb. https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_CreateLoadBalancer.html"""

    token = tokens.LOAD_BALANCER
    replace_on = ("name", "namePrefix", "internal", "loadBalancerType", "customerOwnedIpv4Pool")
    sets = ("subnets", "subnetMappings", "securityGroups")
    write_only = ("namePrefix",)
    defaults: ClassVar[Mapping[str, Any]] = {
        "loadBalancerType": "application",
        "internal": False,
        "ipAddressType": "ipv4",
        "clientKeepAlive": 3600,
        "desyncMitigationMode": "defensive",
        "dnsRecordClientRoutingPolicy": "any_availability_zone",
        "dropInvalidHeaderFields": False,
        "enableDeletionProtection": False,
        "enableHttp2": True,
        "enableTlsVersionAndCipherSuiteHeaders": False,
        "enableWafFailOpen": False,
        "enableXffClientPort": False,
        "enableZonalShift": False,
        "idleTimeout": 60,
        "preserveHostHeader": False,
        "xffHeaderProcessingMode": "append",
    }
    autoname = AutoName("name", 32)
    unique = ("name",)
    duplicate_code = "DuplicateLoadBalancerName"
    references = (
        Ref("subnets[*]", (tokens.SUBNET,), code="SubnetNotFound"),
        Ref("subnetMappings[*].subnetId", (tokens.SUBNET,), code="SubnetNotFound"),
        Ref(
            "subnetMappings[*].allocationId",
            (tokens.EIP,),
            code="AllocationIdNotFound",
            delete_code="InvalidIPAddress.InUse",
        ),
        Ref("securityGroups[*]", tokens.SECURITY_GROUPS, code="InvalidSecurityGroup"),
    )
    not_found_code = "LoadBalancerNotFound"

    def check(self, args: Args) -> Iterable[Fault]:
        yield from stamps.tag_faults(args)
        yield from check_name(args, "load balancer")
        yield from rules.one_of(args, "loadBalancerType", tuple(_SHORT))
        yield from rules.one_of(args, "ipAddressType", ("ipv4", "dualstack", "dualstack-without-public-ipv4"))
        yield from rules.one_of(args, "desyncMitigationMode", ("monitor", "defensive", "strictest"))
        yield from rules.one_of(args, "xffHeaderProcessingMode", ("append", "preserve", "remove"))
        yield from rules.one_of(
            args,
            "dnsRecordClientRoutingPolicy",
            ("any_availability_zone", "availability_zone_affinity", "partial_availability_zone_affinity"),
        )
        yield from rules.one_of(args, "enforceSecurityGroupInboundRulesOnPrivateLinkTraffic", ("on", "off"))
        # https://docs.aws.amazon.com/elasticloadbalancing/latest/application/edit-load-balancer-attributes.html
        yield from rules.between(args, "idleTimeout", 1, 4000, "seconds")
        yield from rules.between(args, "clientKeepAlive", 60, 604800, "seconds")
        yield from rules.exactly_one(args, "subnetMappings", "subnets")
        yield from formats.ids(args, "subnets[*]", "subnet")
        yield from formats.ids(args, "subnetMappings[*].subnetId", "subnet")
        yield from formats.ids(args, "subnetMappings[*].allocationId", "eipalloc")
        yield from formats.addresses(args, "subnetMappings[*].privateIpv4Address")
        yield from formats.ids(args, "securityGroups[*]", "sg")
        if not args.is_unknown("loadBalancerType"):
            kind = args.get("loadBalancerType", "application")
            yield from self._check_type(args, kind)
            yield from self._check_mappings(args, kind)

    @staticmethod
    def _check_type(args: Args, kind: str) -> Iterator[Fault]:
        if kind == "gateway":
            for key in ("securityGroups", "internal"):
                if key in args and args.get(key) not in ([], False):
                    yield Fault(key, "is not supported by load balancers of type gateway")
        if kind != "application":
            if args.get("ipAddressType") == "dualstack-without-public-ipv4":
                yield Fault(
                    "ipAddressType", "dualstack-without-public-ipv4 is only for load balancers of type application"
                )
            for key in ("connectionLogs", "ipamPools"):
                if key in args:
                    yield Fault(key, f"is not supported by load balancers of type {kind}")
        elif args.get("internal") is True and args.get("ipAddressType") == "dualstack-without-public-ipv4":
            yield Fault("ipAddressType", "dualstack-without-public-ipv4 needs an internet-facing load balancer")
        if kind == "application" and args.get("enableCrossZoneLoadBalancing") is False:
            yield Fault("enableCrossZoneLoadBalancing", "is always on for load balancers of type application")
        for key in ("subnets", "subnetMappings"):
            listed = args[key]
            if not isinstance(listed, list):
                continue
            if not listed:
                yield Fault(key, "at least one subnet must be specified")
            elif kind == "application" and len(listed) < 2:
                yield Fault(key, "at least two subnets in two different Availability Zones must be specified")

    @staticmethod
    def _check_mappings(args: Args, kind: str) -> Iterator[Fault]:
        mappings = args["subnetMappings"]
        if not isinstance(mappings, list):
            return
        entries = [m for m in mappings if isinstance(m, Mapping)]
        fixed = [m for m in entries if m.get("allocationId") is not None]
        if fixed and kind != "network":
            yield Fault("subnetMappings", f"allocationId is only for load balancers of type network, this is {kind}")
        if fixed and args.get("internal") is True:
            yield Fault("subnetMappings", "allocationId is only for internet-facing load balancers, this is internal")
        if fixed and len(fixed) != len(entries):
            yield Fault("subnetMappings", "allocationId must be set for every subnet or for none")
        for i, mapping in enumerate(entries):
            if mapping.get("privateIpv4Address") is not None and not (
                kind == "network" and (args.get("internal") is True or args.is_unknown("internal"))
            ):
                yield Fault(
                    f"subnetMappings[{i}].privateIpv4Address", "is only for internal load balancers of type network"
                )
            for key in ("subnetId", "allocationId"):
                value = mapping.get(key)
                if isinstance(value, str) and any(other.get(key) == value for other in entries[:i]):
                    yield Fault(f"subnetMappings[{i}].{key}", f"{value} is given twice")

    def replace_when(self, old: Args, new: Args) -> Iterator[str]:
        """The paths whose change replaces a network load balancer: subnets can only be added, and security groups only
        be changed where there were some at creation and some stay."""
        if new.get("loadBalancerType") != "network" or old.get("loadBalancerType") != "network":
            return
        for key in ("subnetMappings", "subnets"):
            before, after = old.get(key, []), new.get(key)
            if after is not None and not same_set(before, after) and not all(item in after for item in before):
                yield key
        before, after = old.get("securityGroups", []), new.get("securityGroups", [])
        if not new.is_unknown("securityGroups") and bool(before) != bool(after):
            yield "securityGroups"

    @staticmethod
    def _subnets(args: Args, cloud: Cloud) -> list[Resource]:
        wanted = [m.get("subnetId") for m in args.get("subnetMappings", [])] or args.get("subnets", [])
        return [s for id in wanted if (s := cloud.get(tokens.SUBNET, str(id))) is not None]

    def before_create(self, args: Args, cloud: Cloud) -> None:
        kind = args["loadBalancerType"]
        quota = quotas.APPLICATION_BALANCERS if kind == "application" else quotas.NETWORK_BALANCERS
        quotas.check_count(
            cloud,
            quota,
            len(cloud.find(self.token, loadBalancerType=kind)),
            "TooManyLoadBalancers",
            f"The maximum number of {kind} load balancers has been reached",
        )
        self._check_placed(args, cloud, None)

    def before_update(self, old: Resource, args: Args, cloud: Cloud) -> None:
        self._check_placed(args, cloud, old)

    def _check_placed(self, args: Args, cloud: Cloud, old: Resource | None) -> None:
        subnets = self._subnets(args, cloud)
        networks = sorted({str(s["vpcId"]) for s in subnets})
        if len(networks) > 1:
            raise CloudError("InvalidConfigurationRequest", f"All subnets must belong to the same VPC: '{networks[0]}'")
        seen: set[str] = set()
        for subnet in subnets:
            if subnet["availabilityZone"] in seen:
                raise CloudError(
                    "InvalidConfigurationRequest",
                    "A load balancer cannot be attached to multiple subnets in the same Availability Zone",
                )
            seen.add(subnet["availabilityZone"])
        vpc_id = networks[0] if networks else ""
        if not args["internal"] and args["loadBalancerType"] != "gateway" and vpc_id:
            attached = cloud.find(tokens.INTERNET_GATEWAY, vpcId=vpc_id)
            attached += cloud.find(tokens.INTERNET_GATEWAY_ATTACHMENT, vpcId=vpc_id)
            if not attached:
                raise CloudError("InvalidSubnet", f"VPC {vpc_id} has no internet gateway")
        for mapping in args.get("subnetMappings", []):
            allocation = mapping.get("allocationId")
            holder = address_holder(cloud, allocation) if allocation else None
            if holder is not None and (old is None or holder != old.id):
                raise CloudError(
                    "ResourceInUse", f"The allocation ID '{allocation}' is already associated with {holder}"
                )
            private, home = mapping.get("privateIpv4Address"), cloud.get(tokens.SUBNET, mapping.get("subnetId", ""))
            inside = formats.network(home["cidrBlock"]) if home else None
            address = formats.network(private) if private else None
            if inside is not None and address is not None and not address.subnet_of(inside):
                raise CloudError(
                    "InvalidConfigurationRequest",
                    f"The private address {private} is not in the range of subnet {inside}",
                )
        check_groups_in_vpc(cloud, args.get("securityGroups", []), vpc_id)

    def before_delete(self, resource: Resource, cloud: Cloud) -> None:
        if resource["enableDeletionProtection"]:
            raise CloudError(
                "OperationNotPermitted",
                f"Load balancer '{resource.id}' cannot be deleted because deletion protection is enabled",
            )

    def after_delete(self, resource: Resource, cloud: Cloud) -> None:
        for listener in cloud.find(tokens.LISTENER, loadBalancerArn=resource.id):
            for rule in cloud.find(tokens.LISTENER_RULE, listenerArn=listener.id):
                cloud.remove(tokens.LISTENER_RULE, rule.id)
            cloud.remove(tokens.LISTENER, listener.id)

    def new_id(self, args: Args, cloud: Cloud) -> str:
        short = _SHORT[args["loadBalancerType"]]
        return elb_arn(cloud, f"loadbalancer/{short}/{name_for(args)}/{random_source.token_hex(8)}")

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        kind = args["loadBalancerType"]
        name, label = id.split("/")[-2:]
        suffix = formats.dns_suffix(cloud.region)
        if kind == "application":
            scheme = "internal-" if args["internal"] else ""
            dns_name = f"{scheme}{name}-{int(label, 16) % 10**10:010d}.{cloud.region}.elb.{suffix}"
        else:
            dns_name = f"{name}-{label}.elb.{cloud.region}.{suffix}"
        subnets = self._subnets(args, cloud)
        vpc = cloud.get(tokens.VPC, str(subnets[0]["vpcId"])) if subnets else None
        groups = args.get("securityGroups", [])
        if not groups and kind == "application" and vpc is not None:
            groups = [vpc["defaultSecurityGroupId"]]
        mappings = args.get("subnetMappings") or [{"subnetId": s.id} for s in subnets]
        return {
            "arn": id,
            "name": name,
            "arnSuffix": id.split(":loadbalancer/", 1)[-1],
            "dnsName": dns_name,
            "zoneId": zones.balancer_zone_id(cloud.region, kind),
            "vpcId": vpc.id if vpc else "",
            "subnets": [s.id for s in subnets],
            "subnetMappings": mappings,
            "securityGroups": groups,
            "enableCrossZoneLoadBalancing": args.get("enableCrossZoneLoadBalancing", kind == "application"),
            "enforceSecurityGroupInboundRulesOnPrivateLinkTraffic": args.get(
                "enforceSecurityGroupInboundRulesOnPrivateLinkTraffic", "on" if groups and kind == "network" else ""
            ),
        }
