"""Internet gateways, egress-only gateways and DHCP options: what a whole VPC has one of."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sandbox import rules
from sandbox.aws import ec2_defaults, formats, quotas, stamps, tokens
from sandbox.aws.formats import ec2_arn
from sandbox.aws.registry import AWS
from sandbox.kinds import Args, Cloud, CloudError, Fault, Kind, Ref, Resource


def _gateways_of(cloud: Cloud, vpc_id: str) -> list[str]:
    """The ids of the internet gateways that are attached to a VPC, by either way of attaching."""
    own = [g.id for g in cloud.find(tokens.INTERNET_GATEWAY, vpcId=vpc_id)]
    return own + [str(a["internetGatewayId"]) for a in cloud.find(tokens.INTERNET_GATEWAY_ATTACHMENT, vpcId=vpc_id)]


def _check_attachable(cloud: Cloud, gateway_id: str | None, vpc_id: str) -> None:
    """One internet gateway per VPC: https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html"""
    if any(id != gateway_id for id in _gateways_of(cloud, vpc_id)):
        raise CloudError("InvalidParameterValue", f"Network {vpc_id} already has an internet gateway attached")


def _check_no_mapped_addresses(cloud: Cloud, vpc_id: str) -> None:
    subnets = {s.id for s in cloud.find(tokens.SUBNET, vpcId=vpc_id)}
    mapped = [
        r.id
        for token in (tokens.NAT_GATEWAY, tokens.INSTANCE)
        for r in cloud.all(token, region=cloud.region)
        if r["subnetId"] in subnets and r["publicIp"]
    ]
    mapped += [b.id for b in cloud.find(tokens.LOAD_BALANCER, vpcId=vpc_id) if not b["internal"]]
    if mapped:
        raise CloudError(
            "DependencyViolation",
            f"Network {vpc_id} has some mapped public address(es). Please unmap those public address(es) before "
            "detaching the gateway.",
        )


@AWS.kind
class InternetGateway(Kind):
    """aws_internet_gateway."""

    token = tokens.INTERNET_GATEWAY
    id_prefix = "igw-"
    references = (Ref("vpcId", (tokens.VPC,), code="InvalidVpcID.NotFound"),)
    not_found_code = "InvalidInternetGatewayID.NotFound"

    def check(self, args: Args) -> Iterable[Fault]:
        yield from stamps.tag_faults(args)
        yield from formats.ids(args, "vpcId", "vpc")

    def before_create(self, args: Args, cloud: Cloud) -> None:
        quotas.check_count(
            cloud,
            quotas.INTERNET_GATEWAYS,
            len(cloud.all(self.token, region=cloud.region)),
            "InternetGatewayLimitExceeded",
            "The maximum number of internet gateways has been reached.",
        )
        if "vpcId" in args:
            _check_attachable(cloud, None, args["vpcId"])

    def before_update(self, old: Resource, args: Args, cloud: Cloud) -> None:
        if old["vpcId"] and args["vpcId"] != old["vpcId"]:
            _check_no_mapped_addresses(cloud, old["vpcId"])
        if "vpcId" in args:
            _check_attachable(cloud, old.id, args["vpcId"])

    def before_delete(self, resource: Resource, cloud: Cloud) -> None:
        if resource["vpcId"]:
            _check_no_mapped_addresses(cloud, resource["vpcId"])

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        return {"arn": ec2_arn(cloud, f"internet-gateway/{id}"), "ownerId": cloud.account}


@AWS.kind
class InternetGatewayAttachment(Kind):
    """aws_internet_gateway_attachment."""

    token = tokens.INTERNET_GATEWAY_ATTACHMENT
    replace_on = ("internetGatewayId", "vpcId")
    references = (
        Ref("internetGatewayId", (tokens.INTERNET_GATEWAY,), code="InvalidInternetGatewayID.NotFound"),
        Ref("vpcId", (tokens.VPC,), code="InvalidVpcID.NotFound"),
    )
    taggable = False

    def check(self, args: Args) -> Iterable[Fault]:
        yield from formats.ids(args, "internetGatewayId", "igw")
        yield from formats.ids(args, "vpcId", "vpc")

    def before_create(self, args: Args, cloud: Cloud) -> None:
        gateway = cloud.get(tokens.INTERNET_GATEWAY, args["internetGatewayId"])
        holders = [gateway] if gateway is not None and gateway["vpcId"] else []
        holders += cloud.find(self.token, internetGatewayId=args["internetGatewayId"])
        if holders:
            raise CloudError(
                "Resource.AlreadyAssociated",
                f"resource {args['internetGatewayId']} is already attached to network {holders[0]['vpcId']}",
            )
        _check_attachable(cloud, None, args["vpcId"])

    def new_id(self, args: Args, cloud: Cloud) -> str:
        return f"{args['internetGatewayId']}:{args['vpcId']}"

    def before_delete(self, resource: Resource, cloud: Cloud) -> None:
        _check_no_mapped_addresses(cloud, resource["vpcId"])


@AWS.kind
class EgressOnlyInternetGateway(Kind):
    """aws_egress_only_internet_gateway."""

    token = tokens.EGRESS_ONLY_GATEWAY
    id_prefix = "eigw-"
    replace_on = ("vpcId",)
    references = (Ref("vpcId", (tokens.VPC,), code="InvalidVpcID.NotFound"),)
    not_found_code = "InvalidGatewayID.NotFound"

    def check(self, args: Args) -> Iterable[Fault]:
        yield from stamps.tag_faults(args)
        yield from formats.ids(args, "vpcId", "vpc")


@AWS.kind
class VpcDhcpOptions(Kind):
    """aws_vpc_dhcp_options. https://docs.aws.amazon.com/vpc/latest/userguide/DHCPOptionSetConcepts.html"""

    token = tokens.DHCP_OPTIONS
    id_prefix = "dopt-"
    replace_on = (
        "domainName",
        "domainNameServers",
        "ipv6AddressPreferredLeaseTime",
        "netbiosNameServers",
        "netbiosNodeType",
        "ntpServers",
    )
    not_found_code = "InvalidDhcpOptionID.NotFound"

    def check(self, args: Args) -> Iterable[Fault]:
        yield from stamps.tag_faults(args)
        options = self.replace_on
        if not any(option in args for option in options):
            yield Fault("domainName", f"one of {', '.join(options)} must be set")
        # The API takes up to four of each.
        for key in ("domainNameServers", "netbiosNameServers", "ntpServers"):
            yield from rules.length(args, key, 1, 4)
        yield from rules.one_of(args, "netbiosNodeType", ("1", "2", "4", "8"))
        for path, value in args.at("ipv6AddressPreferredLeaseTime"):
            if not str(value).isdigit() or not 140 <= int(value) <= 2147483647:
                yield Fault(
                    path,
                    f"expected 140 to 2147483647 seconds, got {rules.shown(value)}",
                )

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        return {"arn": ec2_arn(cloud, f"dhcp-options/{id}"), "ownerId": cloud.account}


@AWS.kind
class VpcDhcpOptionsAssociation(Kind):
    """aws_vpc_dhcp_options_association."""

    token = tokens.DHCP_ASSOCIATION
    replace_on = ("vpcId",)
    references = (
        Ref("vpcId", (tokens.VPC,), code="InvalidVpcID.NotFound"),
        Ref(
            "dhcpOptionsId",
            (tokens.DHCP_OPTIONS,),
            code="InvalidDhcpOptionID.NotFound",
            accept=lambda v: v == "default",
        ),
    )
    taggable = False

    def check(self, args: Args) -> Iterable[Fault]:
        yield from formats.ids(args, "vpcId", "vpc")

    def new_id(self, args: Args, cloud: Cloud) -> str:
        return f"{args['dhcpOptionsId']}-{args['vpcId']}"

    def after_create(self, resource: Resource, cloud: Cloud) -> None:
        self._set(resource, cloud, resource["dhcpOptionsId"])

    def after_delete(self, resource: Resource, cloud: Cloud) -> None:
        self._set(resource, cloud, ec2_defaults.dhcp_options(cloud))

    @staticmethod
    def _set(resource: Resource, cloud: Cloud, options: str) -> None:
        vpc = cloud.get(tokens.VPC, resource["vpcId"])
        if vpc is not None:
            vpc.outputs["dhcpOptionsId"] = options
            cloud.put(vpc)
