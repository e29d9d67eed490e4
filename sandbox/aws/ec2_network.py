"""VPCs, their extra address ranges, and subnets."""

from __future__ import annotations

import ipaddress
import zlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar

from sandbox import rules
from sandbox.aws import ec2_defaults, formats, quotas, stamps, tokens, zones
from sandbox.aws.formats import ec2_arn
from sandbox.aws.registry import AWS
from sandbox.kinds import Args, Cloud, CloudError, Fault, Kind, Ref, Resource


def vpc_networks(cloud: Cloud, vpc: Resource) -> list[str]:
    """The IPv4 networks of a VPC: its own first, then the associated ones."""
    more = [r["cidrBlock"] for r in cloud.all(tokens.VPC_CIDR, region=vpc.region) if r["vpcId"] == vpc.id]
    return [n for n in (vpc["cidrBlock"], *more) if n]


def _ipv6_choice(args: Args) -> Iterator[Fault]:
    yield from rules.conflicting(args, "ipv6CidrBlock", "ipv6NetmaskLength")
    yield from rules.requires(args, "ipv6NetmaskLength", "ipv6IpamPoolId")


@AWS.kind
class Vpc(Kind):
    """aws_vpc. https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateVpc.html"""

    token = tokens.VPC
    id_prefix = "vpc-"
    replace_on = ("cidrBlock", "ipv4IpamPoolId", "ipv4NetmaskLength", "instanceTenancy")
    defaults: ClassVar[Mapping[str, Any]] = {
        "instanceTenancy": "default",
        "enableDnsSupport": True,
        "enableDnsHostnames": False,
        "enableNetworkAddressUsageMetrics": False,
        "assignGeneratedIpv6CidrBlock": False,
    }
    not_found_code = "InvalidVpcID.NotFound"

    def check(self, args: Args) -> Iterable[Fault]:
        yield from stamps.tag_faults(args)
        # A VPC's block is a /16 to /28: https://docs.aws.amazon.com/vpc/latest/userguide/vpc-cidr-blocks.html
        yield from rules.cidr(args, "cidrBlock", widest=16, narrowest=28)
        yield from rules.between(args, "ipv4NetmaskLength", 16, 28)
        yield from rules.one_of(args, "instanceTenancy", ("default", "dedicated"))
        yield from rules.conflicting(args, "cidrBlock", "ipv4NetmaskLength")
        yield from rules.requires(args, "ipv4NetmaskLength", "ipv4IpamPoolId")
        yield from formats.ids(args, "ipv4IpamPoolId", "ipam-pool")
        yield from formats.ids(args, "ipv6IpamPoolId", "ipam-pool")
        yield from formats.cidr6(args, "ipv6CidrBlock", widest=44, narrowest=60)
        yield from _ipv6_choice(args)
        if args.get("assignGeneratedIpv6CidrBlock") is True:
            yield from rules.conflicting(args, "assignGeneratedIpv6CidrBlock", "ipv6IpamPoolId")
            yield from rules.conflicting(args, "assignGeneratedIpv6CidrBlock", "ipv6CidrBlock")
        yield from rules.requires(args, "ipv6CidrBlock", "ipv6IpamPoolId")
        if not any(key in args for key in ("cidrBlock", "ipv4IpamPoolId")):
            yield Fault("cidrBlock", "is required unless ipv4IpamPoolId allocates it")

    def before_create(self, args: Args, cloud: Cloud) -> None:
        have = len(cloud.all(self.token, region=cloud.region))
        quotas.check_count(
            cloud,
            quotas.VPCS,
            have,
            "VpcLimitExceeded",
            "The maximum number of VPCs has been reached.",
        )

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        out: dict[str, Any] = {
            "arn": ec2_arn(cloud, f"vpc/{id}"),
            "ownerId": cloud.account,
        }
        if args["cidrBlock"] is None:
            out["cidrBlock"] = old["cidrBlock"] if old else f"10.0.0.0/{args.get('ipv4NetmaskLength', 16)}"
        if args.get("assignGeneratedIpv6CidrBlock") is True or args.get("ipv6CidrBlock"):
            block = args.get("ipv6CidrBlock") or (old["ipv6CidrBlock"] if old else "") or self._generated_block(id)
            out["ipv6CidrBlock"] = block
            out["ipv6AssociationId"] = (old["ipv6AssociationId"] if old else "") or formats.hex_id("vpc-cidr-assoc")
            out["ipv6CidrBlockNetworkBorderGroup"] = args.get("ipv6CidrBlockNetworkBorderGroup", cloud.region)
        route_table = old["defaultRouteTableId"] if old else formats.hex_id("rtb")
        out |= {
            "defaultRouteTableId": route_table,
            "mainRouteTableId": old["mainRouteTableId"] if old else route_table,
            "defaultNetworkAclId": old["defaultNetworkAclId"] if old else formats.hex_id("acl"),
            "defaultSecurityGroupId": old["defaultSecurityGroupId"] if old else formats.hex_id("sg"),
            "dhcpOptionsId": old["dhcpOptionsId"] if old else ec2_defaults.dhcp_options(cloud),
        }
        return out

    @staticmethod
    def _generated_block(id: str) -> str:
        """A /56 out of 2001:db8::/32, which is set aside for documentation (RFC 3849); the id picks which."""
        number = zlib.crc32(id.encode()) & 0xFFFFFF
        return str(ipaddress.IPv6Network((0x20010DB8 << 96 | number << 72, 56)))

    def after_create(self, resource: Resource, cloud: Cloud) -> None:
        if cloud.get(tokens.DEFAULT_ROUTE_TABLE, resource["defaultRouteTableId"]) is None:
            for make in (ec2_defaults.route_table, ec2_defaults.network_acl, ec2_defaults.security_group):
                cloud.put(make(resource))

    def after_delete(self, resource: Resource, cloud: Cloud) -> None:
        cloud.remove(tokens.DEFAULT_ROUTE_TABLE, resource["defaultRouteTableId"])
        cloud.remove(tokens.DEFAULT_NETWORK_ACL, resource["defaultNetworkAclId"])
        cloud.remove(tokens.DEFAULT_SECURITY_GROUP, resource["defaultSecurityGroupId"])


@AWS.kind
class VpcIpv4CidrBlockAssociation(Kind):
    """aws_vpc_ipv4_cidr_block_association."""

    token = tokens.VPC_CIDR
    id_prefix = "vpc-cidr-assoc-"
    replace_on = ("vpcId", "cidrBlock", "ipv4IpamPoolId", "ipv4NetmaskLength")
    references = (Ref("vpcId", (tokens.VPC,), code="InvalidVpcID.NotFound"),)
    taggable = False

    def check(self, args: Args) -> Iterable[Fault]:
        yield from formats.ids(args, "vpcId", "vpc")
        yield from rules.cidr(args, "cidrBlock", widest=16, narrowest=28)
        yield from rules.between(args, "ipv4NetmaskLength", 16, 28)
        yield from rules.exactly_one(args, "cidrBlock", "ipv4NetmaskLength")
        yield from rules.requires(args, "ipv4NetmaskLength", "ipv4IpamPoolId")

    def before_create(self, args: Args, cloud: Cloud) -> None:
        vpc = cloud.get(tokens.VPC, args["vpcId"])
        if vpc is None:
            return
        taken = vpc_networks(cloud, vpc)
        if formats.overlapping(args["cidrBlock"], taken):
            raise CloudError(
                "InvalidVpc.Range",
                f"The CIDR '{args['cidrBlock']}' conflicts with another subnet",
            )
        quotas.check_count(
            cloud,
            quotas.CIDRS_PER_VPC,
            len(taken),
            "CidrLimitExceeded",
            f"This network '{vpc.id}' has met its maximum number of allowed CIDRs: {len(taken)}",
        )

    def before_delete(self, resource: Resource, cloud: Cloud) -> None:
        mine = formats.network(resource["cidrBlock"])
        for subnet in cloud.all(tokens.SUBNET, region=resource.region):
            inside = formats.network(subnet["cidrBlock"])
            if subnet["vpcId"] == resource["vpcId"] and mine and inside and inside.subnet_of(mine):
                raise CloudError(
                    "DependencyViolation",
                    f"The VPC '{resource['vpcId']}' has subnets in {resource['cidrBlock']}.",
                )


@AWS.kind
class Subnet(Kind):
    """aws_subnet. https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateSubnet.html"""

    token = tokens.SUBNET
    id_prefix = "subnet-"
    replace_on = (
        "vpcId",
        "cidrBlock",
        "availabilityZone",
        "availabilityZoneId",
        "ipv6Native",
        "outpostArn",
        "ipv4IpamPoolId",
        "ipv4NetmaskLength",
        "ipv6IpamPoolId",
        "ipv6NetmaskLength",
    )
    defaults: ClassVar[Mapping[str, Any]] = {
        "assignIpv6AddressOnCreation": False,
        "enableDns64": False,
        "enableResourceNameDnsARecordOnLaunch": False,
        "enableResourceNameDnsAaaaRecordOnLaunch": False,
        "ipv6Native": False,
        "mapPublicIpOnLaunch": False,
        "privateDnsHostnameTypeOnLaunch": "ip-name",
    }
    references = (Ref("vpcId", (tokens.VPC,), code="InvalidVpcID.NotFound"),)
    not_found_code = "InvalidSubnetID.NotFound"

    def check(self, args: Args) -> Iterable[Fault]:
        yield from stamps.tag_faults(args)
        yield from formats.ids(args, "vpcId", "vpc")
        # A subnet is a /16 to /28: https://docs.aws.amazon.com/vpc/latest/userguide/subnet-sizing.html
        yield from rules.cidr(args, "cidrBlock", widest=16, narrowest=28)
        yield from formats.cidr6(args, "ipv6CidrBlock", widest=44, narrowest=64)
        yield from formats.zone(args, "availabilityZone")
        for path, value in args.at("availabilityZoneId"):
            if not isinstance(value, str) or zones.zone_of_id(value) is None:
                yield Fault(
                    path,
                    f"expected an availability zone id such as use1-az6, got {rules.shown(value)}",
                )
        yield from rules.conflicting(args, "availabilityZone", "availabilityZoneId")
        yield from rules.conflicting(args, "cidrBlock", "ipv4NetmaskLength")
        yield from rules.between(args, "ipv4NetmaskLength", 16, 28)
        yield from rules.requires(args, "ipv4NetmaskLength", "ipv4IpamPoolId")
        yield from _ipv6_choice(args)
        yield from rules.one_of(args, "privateDnsHostnameTypeOnLaunch", ("ip-name", "resource-name"))
        yield from formats.arns(args, "outpostArn", "outposts")
        yield from rules.requires(args, "customerOwnedIpv4Pool", "mapCustomerOwnedIpOnLaunch", "outpostArn")
        if not any(
            key in args
            for key in (
                "cidrBlock",
                "ipv4IpamPoolId",
                "ipv6CidrBlock",
                "ipv6IpamPoolId",
            )
        ):
            yield Fault(
                "cidrBlock",
                "one of cidrBlock, ipv4IpamPoolId, ipv6CidrBlock, ipv6IpamPoolId must be set",
            )
        if args.get("ipv6Native") is True and "cidrBlock" in args:
            yield Fault("cidrBlock", "an IPv6-only subnet (ipv6Native) has no IPv4 block")
        if args.get("assignIpv6AddressOnCreation") is True and not (
            "ipv6CidrBlock" in args or "ipv6IpamPoolId" in args
        ):
            yield Fault("assignIpv6AddressOnCreation", "needs ipv6CidrBlock to be set as well")

    def before_create(self, args: Args, cloud: Cloud) -> None:
        vpc = cloud.get(tokens.VPC, args["vpcId"])
        zone = args["availabilityZone"] or zones.zone_of_id(args["availabilityZoneId"] or "")
        if zone:
            formats.check_zone(cloud, zone)
        if vpc is None:
            return
        siblings = [s for s in cloud.all(self.token, region=cloud.region) if s["vpcId"] == vpc.id]
        mine = formats.network(args["cidrBlock"])
        parents = [formats.network(n) for n in vpc_networks(cloud, vpc)]
        if mine is not None and not any(parent and mine.subnet_of(parent) for parent in parents):
            raise CloudError("InvalidSubnet.Range", f"The CIDR '{mine}' is invalid.")
        if formats.overlapping(args["cidrBlock"], [s["cidrBlock"] for s in siblings]):
            raise CloudError(
                "InvalidSubnet.Conflict",
                f"The CIDR '{mine}' conflicts with another subnet",
            )
        quotas.check_count(
            cloud,
            quotas.SUBNETS_PER_VPC,
            len(siblings),
            "SubnetLimitExceeded",
            "The maximum number of subnets has been reached.",
        )

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        zone = args["availabilityZone"] or zones.zone_of_id(args["availabilityZoneId"] or "")
        if not zone:  # EC2 picks one when none is asked for
            zone = old["availabilityZone"] if old else zones.zone_names(cloud.region)[0]
        out: dict[str, Any] = {
            "arn": ec2_arn(cloud, f"subnet/{id}"),
            "ownerId": cloud.account,
            "availabilityZone": zone,
            "availabilityZoneId": zones.zone_id(zone) or "",
        }
        if args["ipv6CidrBlock"]:
            kept = old["ipv6CidrBlockAssociationId"] if old else ""
            out["ipv6CidrBlockAssociationId"] = kept or formats.hex_id("subnet-cidr-assoc")
        if args["cidrBlock"] is None and args["ipv4IpamPoolId"]:
            vpc = cloud.get(tokens.VPC, args["vpcId"])
            out["cidrBlock"] = old["cidrBlock"] if old else self._allocate(vpc, args, cloud)
        return out

    def _allocate(self, vpc: Resource | None, args: Args, cloud: Cloud) -> str:
        """The first free block of the wanted size in the VPC, as IPAM would hand it out."""
        parent = formats.network(vpc["cidrBlock"]) if vpc else None
        if vpc is None or parent is None:
            return ""
        taken = [s["cidrBlock"] for s in cloud.all(self.token, region=cloud.region) if s["vpcId"] == vpc.id]
        for block in parent.subnets(new_prefix=args.get("ipv4NetmaskLength", 24)):
            if not formats.overlapping(str(block), taken):
                return str(block)
        raise CloudError(
            "InvalidSubnet.Range",
            "There is no free CIDR of the requested size in the IPAM pool.",
        )
