"""Elastic IP addresses and the NAT gateways that use them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from sandbox import rules
from sandbox.aws import formats, quotas, stamps, tokens, zones
from sandbox.aws.ec2_routes import subnet_vpc
from sandbox.aws.formats import ec2_arn
from sandbox.aws.registry import AWS
from sandbox.kinds import Args, Cloud, CloudError, Fault, Kind, Ref, Resource
from sandbox.public import next_address

_IN_USE = "InvalidIPAddress.InUse"


def address_holder(cloud: Cloud, allocation_id: str) -> str | None:
    """The id of whatever an Elastic IP address is associated with, None while it is free."""
    for nat in cloud.all(tokens.NAT_GATEWAY, region=cloud.region):
        regional = [i for a in nat["availabilityZoneAddresses"] or [] for i in a.get("allocationIds") or []]
        if allocation_id in (nat["allocationId"], *(nat["secondaryAllocationIds"] or []), *regional):
            return nat.id
    for balancer in cloud.all(tokens.LOAD_BALANCER, region=cloud.region):
        if any(m.get("allocationId") == allocation_id for m in balancer.inputs.get("subnetMappings") or []):
            return balancer.id
    for association in cloud.find(tokens.EIP_ASSOCIATION, allocationId=allocation_id):
        return str(association["networkInterfaceId"] or association["instanceId"])
    address = cloud.get(tokens.EIP, allocation_id)
    holder = (address["instance"] or address["networkInterface"]) if address else None
    return str(holder) if holder else None


def check_address_free(cloud: Cloud, allocation_id: str) -> None:
    """Raises CloudError Resource.AlreadyAssociated when something holds the address."""
    if address_holder(cloud, allocation_id) is not None:
        raise CloudError("Resource.AlreadyAssociated", f"Elastic IP address [{allocation_id}] is already associated")


@AWS.kind
class Eip(Kind):
    """aws_eip. https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_AllocateAddress.html"""

    token = tokens.EIP
    id_prefix = "eipalloc-"
    replace_on = (
        "address",
        "customerOwnedIpv4Pool",
        "domain",
        "ipamPoolId",
        "networkBorderGroup",
        "publicIpv4Pool",
    )
    defaults: ClassVar[Mapping[str, Any]] = {"domain": "vpc", "publicIpv4Pool": "amazon"}
    references = (
        Ref("instance", (tokens.INSTANCE,), code="InvalidInstanceID.NotFound", blocks_delete=False),
        Ref(
            "networkInterface",
            (tokens.NETWORK_INTERFACE,),
            code="InvalidNetworkInterfaceID.NotFound",
            blocks_delete=False,
        ),
    )
    not_found_code = "InvalidAllocationID.NotFound"

    def check(self, args: Args) -> Iterable[Fault]:
        yield from stamps.tag_faults(args)
        yield from rules.one_of(args, "domain", ("vpc",))  # EC2-Classic is gone
        yield from formats.ids(args, "instance", "i")
        yield from formats.ids(args, "networkInterface", "eni")
        yield from formats.addresses(args, "address")
        yield from formats.addresses(args, "associateWithPrivateIp")
        yield from rules.conflicting(args, "instance", "networkInterface")
        if "associateWithPrivateIp" in args and not ("instance" in args or "networkInterface" in args):
            yield Fault("associateWithPrivateIp", "needs instance or networkInterface to be set as well")

    def before_create(self, args: Args, cloud: Cloud) -> None:
        # 5 per region unless raised: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/elastic-ip-addresses-eip.html
        quotas.check_count(
            cloud,
            quotas.ADDRESSES,
            len(cloud.all(self.token, region=cloud.region)),
            "AddressLimitExceeded",
            "The maximum number of addresses has been reached.",
        )

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        address = args.get("address") or (old["publicIp"] if old else next_address(cloud, "aws"))
        holder = args["instance"] or args["networkInterface"]
        private = args["associateWithPrivateIp"] or ""
        if holder and not private:
            target = cloud.get(tokens.INSTANCE, holder) or cloud.get(tokens.NETWORK_INTERFACE, holder)
            private = str(target["privateIp"] or "") if target else ""
        kept = old["associationId"] if old else ""
        return {
            "allocationId": id,
            "arn": ec2_arn(cloud, f"elastic-ip/{id}"),
            "publicIp": address,
            "publicDns": formats.public_dns(address, cloud.region),
            "networkBorderGroup": args.get("networkBorderGroup", cloud.region),
            "associationId": (kept or formats.hex_id("eipassoc")) if holder else "",
            "privateIp": private,
            "privateDns": formats.private_dns(private, cloud.region),
        }


@AWS.kind
class EipAssociation(Kind):
    """aws_eip_association."""

    token = tokens.EIP_ASSOCIATION
    id_prefix = "eipassoc-"
    replace_on = (
        "allocationId",
        "allowReassociation",
        "instanceId",
        "networkInterfaceId",
        "privateIpAddress",
        "publicIp",
    )
    references = (
        Ref("allocationId", (tokens.EIP,), code="InvalidAllocationID.NotFound", delete_code=_IN_USE),
        Ref("publicIp", (tokens.EIP,), by="publicIp", code="InvalidAddress.NotFound", delete_code=_IN_USE),
        Ref("instanceId", (tokens.INSTANCE,), code="InvalidInstanceID.NotFound", blocks_delete=False),
        Ref(
            "networkInterfaceId",
            (tokens.NETWORK_INTERFACE,),
            code="InvalidNetworkInterfaceID.NotFound",
            blocks_delete=False,
        ),
    )
    taggable = False
    not_found_code = "InvalidAssociationID.NotFound"

    def check(self, args: Args) -> Iterable[Fault]:
        yield from formats.ids(args, "allocationId", "eipalloc")
        yield from formats.ids(args, "instanceId", "i")
        yield from formats.ids(args, "networkInterfaceId", "eni")
        yield from formats.addresses(args, "privateIpAddress")
        yield from rules.exactly_one(args, "allocationId", "publicIp")
        yield from rules.exactly_one(args, "instanceId", "networkInterfaceId")

    def _address(self, args: Args, cloud: Cloud) -> Resource | None:
        if "allocationId" in args:
            return cloud.get(tokens.EIP, args["allocationId"])
        return next(iter(cloud.find(tokens.EIP, publicIp=args["publicIp"])), None)

    def before_create(self, args: Args, cloud: Cloud) -> None:
        address = self._address(args, cloud)
        if address is not None and not args.get("allowReassociation", False):
            check_address_free(cloud, address.id)

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        address = self._address(args, cloud)
        holder = cloud.get(tokens.INSTANCE, args["instanceId"] or "") or cloud.get(
            tokens.NETWORK_INTERFACE, args["networkInterfaceId"] or ""
        )
        return {
            "allocationId": address.id if address else "",
            "publicIp": address["publicIp"] if address else "",
            "networkInterfaceId": args["networkInterfaceId"] or (holder["primaryNetworkInterfaceId"] if holder else ""),
            "privateIpAddress": args["privateIpAddress"] or (holder["privateIp"] if holder else ""),
        }


@AWS.kind
class NatGateway(Kind):
    """aws_nat_gateway. https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateNatGateway.html"""

    token = tokens.NAT_GATEWAY
    id_prefix = "nat-"
    replace_on = (
        "allocationId",
        "availabilityMode",
        "connectivityType",
        "privateIp",
        "secondaryPrivateIpAddressCount",
        "subnetId",
        "vpcId",
    )
    sets = ("secondaryAllocationIds", "secondaryPrivateIpAddresses", "availabilityZoneAddresses")
    defaults: ClassVar[Mapping[str, Any]] = {"connectivityType": "public", "availabilityMode": "zonal"}
    references = (
        Ref("subnetId", (tokens.SUBNET,), code="InvalidSubnetID.NotFound"),
        Ref("vpcId", (tokens.VPC,), code="InvalidVpcID.NotFound"),
        Ref("allocationId", (tokens.EIP,), code="InvalidAllocationID.NotFound", delete_code=_IN_USE),
        Ref("secondaryAllocationIds[*]", (tokens.EIP,), code="InvalidAllocationID.NotFound", delete_code=_IN_USE),
        Ref(
            "availabilityZoneAddresses[*].allocationIds[*]",
            (tokens.EIP,),
            code="InvalidAllocationID.NotFound",
            delete_code=_IN_USE,
        ),
    )
    not_found_code = "NatGatewayNotFound"

    def check(self, args: Args) -> Iterable[Fault]:
        yield from stamps.tag_faults(args)
        yield from formats.ids(args, "subnetId", "subnet")
        yield from formats.ids(args, "vpcId", "vpc")
        yield from formats.ids(args, "allocationId", "eipalloc")
        yield from formats.ids(args, "secondaryAllocationIds[*]", "eipalloc")
        yield from formats.addresses(args, "privateIp")
        yield from rules.one_of(args, "connectivityType", ("public", "private"))
        yield from rules.one_of(args, "availabilityMode", ("zonal", "regional"))
        yield from rules.conflicting(args, "secondaryPrivateIpAddressCount", "secondaryPrivateIpAddresses")
        yield from rules.between(args, "secondaryPrivateIpAddressCount", 1, 31)
        if args.is_unknown("availabilityMode") or args.is_unknown("connectivityType"):
            return  # what the rest says depends on both
        if args.get("availabilityMode", "zonal") == "regional":
            # https://docs.aws.amazon.com/vpc/latest/userguide/nat-gateways-regional.html
            for key in ("subnetId", "allocationId", "privateIp", "secondaryAllocationIds"):
                if key in args:
                    yield Fault(key, "is not supported with availabilityMode regional")
            if "vpcId" not in args:
                yield Fault("vpcId", "is required with availabilityMode regional")
            if args.get("connectivityType") == "private":
                yield Fault("connectivityType", "a regional NAT gateway is public")
            return
        for key in ("vpcId", "availabilityZoneAddresses"):
            if key in args:
                yield Fault(key, "is only supported with availabilityMode regional")
        if "subnetId" not in args:
            yield Fault("subnetId", "is required")
        if args.get("connectivityType", "public") == "private":
            for key in ("allocationId", "secondaryAllocationIds"):
                if key in args:
                    yield Fault(key, "is not supported with connectivityType private")
        else:
            if "allocationId" not in args:
                yield Fault("allocationId", "is required with connectivityType public")
            if "secondaryPrivateIpAddressCount" in args:
                yield Fault("secondaryPrivateIpAddressCount", "is not supported with connectivityType public")

    def before_create(self, args: Args, cloud: Cloud) -> None:
        subnet = cloud.get(tokens.SUBNET, args["subnetId"] or "")
        vpc_id = args["vpcId"] or subnet_vpc(cloud, args["subnetId"])
        wanted = [i for _, i in args.at("allocationId")] + [i for _, i in args.at("secondaryAllocationIds[*]")]
        wanted += [i for _, i in args.at("availabilityZoneAddresses[*].allocationIds[*]")]
        for allocation in wanted:
            check_address_free(cloud, allocation)
        if args["connectivityType"] == "public":
            attached = cloud.find(tokens.INTERNET_GATEWAY, vpcId=vpc_id)
            attached += cloud.find(tokens.INTERNET_GATEWAY_ATTACHMENT, vpcId=vpc_id)
            if not attached:
                raise CloudError("Gateway.NotAttached", f"Network {vpc_id} has no Internet gateway attached")
        if subnet is not None:
            in_zone = [
                n
                for n in cloud.all(self.token, region=cloud.region)
                if self._zone(n, cloud) == subnet["availabilityZone"]
            ]
            limit = cloud.quota(quotas.NAT_GATEWAYS_PER_ZONE.code, quotas.NAT_GATEWAYS_PER_ZONE.default)
            quotas.check_count(
                cloud,
                quotas.NAT_GATEWAYS_PER_ZONE,
                len(in_zone),
                "NatGatewayLimitExceeded",
                f"Performing this operation would exceed the limit of {limit:g} NAT gateways",
            )

    @staticmethod
    def _zone(nat: Resource, cloud: Cloud) -> str:
        subnet = cloud.get(tokens.SUBNET, str(nat["subnetId"] or ""))
        return str(subnet["availabilityZone"]) if subnet else ""

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        if args["availabilityMode"] == "regional":
            manual = bool(args["availabilityZoneAddresses"])
            return {
                "regionalNatGatewayAutoMode": "disabled" if manual else "enabled",
                "autoProvisionZones": "disabled" if manual else "enabled",
                "autoScalingIps": "disabled" if manual else "enabled",
                "routeTableId": old["routeTableId"] if old else formats.hex_id("rtb"),
                "regionalNatGatewayAddresses": old["regionalNatGatewayAddresses"]
                if old
                else self._regional_addresses(args, cloud),
            }
        subnet = cloud.get(tokens.SUBNET, args["subnetId"])
        address = cloud.get(tokens.EIP, args["allocationId"] or "")
        private = args.get("privateIp") or (old["privateIp"] if old else "")
        if not private and subnet is not None:
            private = formats.private_address(cloud, subnet)
        extra = list(args.get("secondaryPrivateIpAddresses", []))
        count = args.get("secondaryPrivateIpAddressCount", len(extra) or len(args.get("secondaryAllocationIds", [])))
        if old is not None and not extra:
            extra = list(old["secondaryPrivateIpAddresses"] or [])[:count]
        while subnet is not None and len(extra) < count and old is None:
            extra.append(formats.private_address(cloud, subnet))
        return {
            "associationId": (old["associationId"] if old else formats.hex_id("eipassoc")) if address else "",
            "networkInterfaceId": old["networkInterfaceId"] if old else formats.hex_id("eni"),
            "privateIp": private,
            "publicIp": address["publicIp"] if address else "",
            "secondaryPrivateIpAddresses": extra,
            "secondaryPrivateIpAddressCount": count,
            "vpcId": subnet["vpcId"] if subnet else "",
        }

    @staticmethod
    def _regional_addresses(args: Args, cloud: Cloud) -> list[dict[str, Any]]:
        """The given addresses of a regional NAT gateway, or one of EC2's own per zone the VPC has subnets in."""
        given = args.get("availabilityZoneAddresses", [])
        wanted = [
            (a.get("availabilityZone") or zones.zone_of_id(a.get("availabilityZoneId", "")) or "", i)
            for a in given
            for i in a.get("allocationIds") or []
        ]
        if not given:
            subnets = cloud.find(tokens.SUBNET, vpcId=args["vpcId"])
            wanted = [(zone, "") for zone in sorted({str(s["availabilityZone"]) for s in subnets})]
        out = []
        for zone, allocation in wanted:
            address = cloud.get(tokens.EIP, allocation)
            out.append(
                {
                    "allocationId": allocation or formats.hex_id("eipalloc"),
                    "associationId": formats.hex_id("eipassoc"),
                    "availabilityZone": zone,
                    "availabilityZoneId": zones.zone_id(zone) or "",
                    "publicIp": address["publicIp"] if address else next_address(cloud, "aws"),
                    "status": "succeeded",
                }
            )
        return out
