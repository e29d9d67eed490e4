"""VPC endpoints: gateway endpoints in route tables, interface endpoints in subnets."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Final

from sandbox import rules
from sandbox.aws import formats, quotas, stamps, tokens
from sandbox.aws.ec2_prefix_lists import prefix_list_id
from sandbox.aws.ec2_services import GATEWAY_SERVICES, interface_services
from sandbox.aws.formats import ec2_arn
from sandbox.aws.registry import AWS
from sandbox.kinds import Args, Cloud, CloudError, Fault, Kind, Ref, Resource

_TYPES: Final = ("Gateway", "GatewayLoadBalancer", "Interface", "Resource", "ServiceNetwork")
_OPEN_POLICY: Final = json.dumps(
    {"Statement": [{"Action": "*", "Effect": "Allow", "Principal": "*", "Resource": "*"}], "Version": "2008-10-17"}
)


def service_of(name: str, region: str) -> str:
    """`s3` for `com.amazonaws.us-east-1.s3`; empty for a name of another region or form."""
    for prefix in (
        f"com.amazonaws.{region}.",
        f"cn.com.amazonaws.{region}.",
        f"aws.api.{region}.",
        f"aws.sagemaker.{region}.",
    ):
        if name.startswith(prefix):
            return name.removeprefix(prefix)
    return ""


@AWS.kind
class VpcEndpoint(Kind):
    """aws_vpc_endpoint. https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateVpcEndpoint.html"""

    token = tokens.VPC_ENDPOINT
    id_prefix = "vpce-"
    replace_on = (
        "vpcId",
        "serviceName",
        "serviceRegion",
        "vpcEndpointType",
        "resourceConfigurationArn",
        "serviceNetworkArn",
    )
    sets = ("routeTableIds", "securityGroupIds", "subnetIds", "subnetConfigurations")
    json_properties = ("policy",)
    write_only = ("autoAccept",)
    defaults: ClassVar[Mapping[str, Any]] = {"vpcEndpointType": "Gateway"}
    references = (
        Ref("vpcId", (tokens.VPC,), code="InvalidVpcID.NotFound"),
        Ref("routeTableIds[*]", tokens.ROUTE_TABLES, code="InvalidRouteTableID.NotFound", blocks_delete=False),
        Ref("subnetIds[*]", (tokens.SUBNET,), code="InvalidSubnetID.NotFound"),
        Ref("securityGroupIds[*]", tokens.SECURITY_GROUPS, code="InvalidGroup.NotFound"),
    )
    not_found_code = "InvalidVpcEndpointId.NotFound"

    def check(self, args: Args) -> Iterable[Fault]:
        yield from stamps.tag_faults(args)
        yield from formats.ids(args, "vpcId", "vpc")
        yield from formats.ids(args, "routeTableIds[*]", "rtb")
        yield from formats.ids(args, "subnetIds[*]", "subnet")
        yield from formats.ids(args, "securityGroupIds[*]", "sg")
        yield from rules.one_of(args, "vpcEndpointType", _TYPES)
        yield from rules.one_of(args, "ipAddressType", ("ipv4", "dualstack", "ipv6"))
        yield from rules.one_of(args, "dnsOptions.dnsRecordIpType", ("ipv4", "dualstack", "ipv6", "service-defined"))
        yield from rules.json_document(args, "policy")
        yield from rules.matches(
            args,
            "serviceName",
            r"(?:cn\.)?com\.amazonaws\.(?:vpce\.)?[a-z0-9-]+(?:\.[a-zA-Z0-9_-]+)*|aws\.(?:api|sagemaker)\.[a-z0-9.-]+",
            "a service name such as com.amazonaws.us-east-1.s3",
        )
        yield from rules.exactly_one(args, "serviceName", "resourceConfigurationArn", "serviceNetworkArn")
        yield from formats.arns(args, "resourceConfigurationArn", "vpc-lattice", "resourceconfiguration/")
        yield from formats.arns(args, "serviceNetworkArn", "vpc-lattice", "servicenetwork/")
        if not args.is_unknown("vpcEndpointType"):
            yield from self._check_type(args)

    @staticmethod
    def _check_type(args: Args) -> Iterable[Fault]:
        kind = args.get("vpcEndpointType", "Gateway")
        forbidden = {
            "Gateway": ("subnetIds", "securityGroupIds", "subnetConfigurations", "serviceRegion", "privateDnsEnabled"),
            "Interface": ("routeTableIds",),
            "GatewayLoadBalancer": ("routeTableIds", "securityGroupIds", "privateDnsEnabled", "policy"),
        }.get(kind, ("routeTableIds",))
        for key in forbidden:
            if key in args and args.get(key) not in ([], False):
                yield Fault(key, f"is not supported by an endpoint of vpcEndpointType {kind}")
        name = args.get("serviceName", "")
        if kind == "Gateway" and name and name.rsplit(".", 1)[-1] not in GATEWAY_SERVICES:
            yield Fault(
                "vpcEndpointType",
                f"{name} has no gateway endpoint (only {', '.join(sorted(GATEWAY_SERVICES))} have): use Interface",
            )

    def before_create(self, args: Args, cloud: Cloud) -> None:
        name, kind = args["serviceName"] or "", args["vpcEndpointType"]
        region = args["serviceRegion"] or cloud.region
        own = name.startswith((f"com.amazonaws.vpce.{region}.vpce-svc-", "com.amazonaws.s3-global."))
        offered = GATEWAY_SERVICES if kind == "Gateway" else interface_services()
        if name and not own and service_of(name, region) not in offered:
            raise CloudError("InvalidServiceName", f"The Vpc Endpoint Service '{name}' does not exist")
        peers = [e for e in cloud.all(self.token, region=cloud.region) if e["vpcEndpointType"] == kind]
        if kind == "Gateway":
            quotas.check_count(
                cloud,
                quotas.GATEWAY_ENDPOINTS,
                len(peers),
                "VpcEndpointLimitExceeded",
                "The maximum number of VPC endpoints has been reached.",
            )
        elif kind == "Interface":
            quotas.check_count(
                cloud,
                quotas.INTERFACE_ENDPOINTS_PER_VPC,
                len([e for e in peers if e["vpcId"] == args["vpcId"]]),
                "VpcEndpointLimitExceeded",
                "The maximum number of VPC endpoints has been reached.",
            )
        self._check_placed(args, cloud, None)

    def before_update(self, old: Resource, args: Args, cloud: Cloud) -> None:
        self._check_placed(args, cloud, old.id)

    def _check_placed(self, args: Args, cloud: Cloud, own_id: str | None) -> None:
        vpc = cloud.get(tokens.VPC, args["vpcId"])
        others = [e for e in cloud.find(self.token, serviceName=args["serviceName"]) if e.id != own_id]
        for table_id in args.get("routeTableIds", []):
            table = next((t for token in tokens.ROUTE_TABLES if (t := cloud.get(token, table_id))), None)
            if table is not None and vpc is not None and table["vpcId"] != vpc.id:
                raise CloudError(
                    "InvalidParameter", f"Route table {table_id} and network {vpc.id} belong to different networks"
                )
            attached = cloud.find(tokens.VPC_ENDPOINT_ROUTE_TABLE, routeTableId=table_id)
            elsewhere = {a["vpcEndpointId"] for a in attached}
            if any(table_id in (e["routeTableIds"] or []) or e.id in elsewhere for e in others):
                service = service_of(args["serviceName"], cloud.region)
                raise CloudError(
                    "RouteAlreadyExists",
                    f"route table {table_id} already has a route with destination-prefix-list-id "
                    f"{prefix_list_id(cloud.region, service)}",
                )
        seen: dict[str, str] = {}
        for subnet_id in args.get("subnetIds", []):
            subnet = cloud.get(tokens.SUBNET, subnet_id)
            if subnet is None:
                continue
            if vpc is not None and subnet["vpcId"] != vpc.id:
                raise CloudError("InvalidParameter", f"Subnet {subnet_id} does not belong to network {vpc.id}")
            if subnet["availabilityZone"] in seen:
                raise CloudError(
                    "DuplicateSubnetsInSameZone",
                    f"Found another VPC endpoint subnet in the availability zone of {subnet_id}. VPC endpoint subnets "
                    "should be in different availability zones supported by the VPC endpoint service.",
                )
            seen[subnet["availabilityZone"]] = subnet_id
        for group_id in args.get("securityGroupIds", []):
            group = next((g for token in tokens.SECURITY_GROUPS if (g := cloud.get(token, group_id))), None)
            if group is not None and vpc is not None and group["vpcId"] != vpc.id:
                raise CloudError(
                    "InvalidGroup.NotFound", f"The security group '{group_id}' does not exist in VPC '{vpc.id}'"
                )
        if args.get("privateDnsEnabled", False) and vpc is not None:
            self._check_private_dns(args, vpc, [e for e in others if e["vpcId"] == vpc.id])

    @staticmethod
    def _check_private_dns(args: Args, vpc: Resource, others: list[Resource]) -> None:
        if not (vpc["enableDnsSupport"] and vpc["enableDnsHostnames"]):
            # https://docs.aws.amazon.com/vpc/latest/privatelink/interface-endpoints.html#enable-private-dns-names
            raise CloudError(
                "InvalidParameter",
                "Enabling private DNS requires both enableDnsSupport and enableDnsHostnames VPC attributes set to true "
                f"for {vpc.id}",
            )
        if any(e["privateDnsEnabled"] for e in others):
            service = args["serviceName"].rsplit(".", 1)[-1]
            raise CloudError(
                "InvalidParameter",
                f"private-dns-enabled cannot be set because there is already a conflicting DNS domain for "
                f"{service}.{vpc.region}.amazonaws.com in the VPC {vpc.id}",
            )

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        kind, name = args["vpcEndpointType"], args["serviceName"] or ""
        region = args["serviceRegion"] or cloud.region
        out: dict[str, Any] = {
            "arn": ec2_arn(cloud, f"vpc-endpoint/{id}"),
            "ownerId": cloud.account,
            "state": "available",
            "requesterManaged": False,
            "serviceRegion": region,
            "policy": args["policy"] or ("" if kind == "GatewayLoadBalancer" else _OPEN_POLICY),
            "privateDnsEnabled": args.get("privateDnsEnabled", False),
        }
        if kind == "Gateway":
            # What AWS publishes for the service; documentation addresses here.
            out |= {"prefixListId": prefix_list_id(region, service_of(name, region)), "cidrBlocks": ["192.0.2.0/24"]}
            return out
        subnets = args.get("subnetIds", [])
        kept = dict(zip(old["subnetIds"] or [], old["networkInterfaceIds"] or [], strict=False)) if old else {}
        out["networkInterfaceIds"] = [kept.get(subnet) or formats.hex_id("eni") for subnet in subnets]
        out["ipAddressType"] = args.get("ipAddressType", "ipv4")
        if kind == "Interface":
            vpc = cloud.get(tokens.VPC, args["vpcId"])
            default_group = [vpc["defaultSecurityGroupId"]] if vpc else []
            out["securityGroupIds"] = args.get("securityGroupIds") or default_group
            out["dnsOptions"] = {
                "dnsRecordIpType": "ipv4",
                "privateDnsOnlyForInboundResolverEndpoint": False,
                **args.get("dnsOptions", {}),
            }
            out["dnsEntries"] = self._dns_entries(id, name, region, bool(out["privateDnsEnabled"]))
        return out

    @staticmethod
    def _dns_entries(id: str, service_name: str, region: str, private: bool) -> list[dict[str, str]]:
        service = service_of(service_name, region) or service_name.rsplit(".", 1)[-1]
        suffix = formats.dns_suffix(region)
        label = hashlib.sha256(id.encode()).hexdigest()
        zone_of_region = "Z" + label[8:21].upper()
        entries = [{"dnsName": f"{id}-{label[:8]}.{service}.{region}.vpce.{suffix}", "hostedZoneId": zone_of_region}]
        if private:
            host = ".".join(reversed(service.split(".")))
            entries.append({"dnsName": f"{host}.{region}.{suffix}", "hostedZoneId": "Z" + label[21:34].upper()})
        return entries


class _Association(Kind):
    """What both association types share."""

    taggable = False
    other: ClassVar[str]
    prefix: ClassVar[str]

    def check(self, args: Args) -> Iterable[Fault]:
        yield from formats.ids(args, "vpcEndpointId", "vpce")
        yield from formats.ids(args, self.other, self.prefix)

    def new_id(self, args: Args, cloud: Cloud) -> str:
        text = f"{args['vpcEndpointId']}{args[self.other]}"
        return f"a-{args['vpcEndpointId']}{int(hashlib.sha256(text.encode()).hexdigest()[:8], 16)}"

    def _endpoint(self, args: Args, cloud: Cloud, gateway: bool) -> Resource | None:
        endpoint = cloud.get(tokens.VPC_ENDPOINT, args["vpcEndpointId"])
        if endpoint is not None and (endpoint["vpcEndpointType"] == "Gateway") != gateway:
            raise CloudError(
                "InvalidParameter", f"{self.other} is not supported by endpoints of type {endpoint['vpcEndpointType']}"
            )
        return endpoint


@AWS.kind
class VpcEndpointRouteTableAssociation(_Association):
    """aws_vpc_endpoint_route_table_association."""

    token = tokens.VPC_ENDPOINT_ROUTE_TABLE
    other = "routeTableId"
    prefix = "rtb"
    replace_on = ("routeTableId", "vpcEndpointId")
    references = (
        Ref("vpcEndpointId", (tokens.VPC_ENDPOINT,), code="InvalidVpcEndpointId.NotFound", blocks_delete=False),
        Ref("routeTableId", tokens.ROUTE_TABLES, code="InvalidRouteTableID.NotFound", blocks_delete=False),
    )

    def before_create(self, args: Args, cloud: Cloud) -> None:
        endpoint = self._endpoint(args, cloud, gateway=True)
        if endpoint is None:
            return
        same_service = {e.id for e in cloud.find(tokens.VPC_ENDPOINT, serviceName=endpoint["serviceName"])}
        holders = {a["vpcEndpointId"] for a in cloud.find(self.token, routeTableId=args["routeTableId"])}
        inline = [e for e in cloud.all(tokens.VPC_ENDPOINT, region=cloud.region) if e.id in same_service]
        taken = same_service & holders or any(args["routeTableId"] in (e["routeTableIds"] or []) for e in inline)
        if taken:
            raise CloudError(
                "RouteAlreadyExists",
                f"route table {args['routeTableId']} already has a route with destination-prefix-list-id "
                f"{endpoint['prefixListId']}",
            )


@AWS.kind
class VpcEndpointSubnetAssociation(_Association):
    """aws_vpc_endpoint_subnet_association."""

    token = tokens.VPC_ENDPOINT_SUBNET
    other = "subnetId"
    prefix = "subnet"
    replace_on = ("subnetId", "vpcEndpointId")
    references = (
        Ref("vpcEndpointId", (tokens.VPC_ENDPOINT,), code="InvalidVpcEndpointId.NotFound", blocks_delete=False),
        Ref("subnetId", (tokens.SUBNET,), code="InvalidSubnetID.NotFound"),
    )

    def before_create(self, args: Args, cloud: Cloud) -> None:
        endpoint = self._endpoint(args, cloud, gateway=False)
        subnet = cloud.get(tokens.SUBNET, args["subnetId"])
        if endpoint is None or subnet is None:
            return
        there = [a["subnetId"] for a in cloud.find(self.token, vpcEndpointId=endpoint.id)] + (
            endpoint["subnetIds"] or []
        )
        zones_taken = {s["availabilityZone"] for id in there if (s := cloud.get(tokens.SUBNET, id)) is not None}
        if subnet["availabilityZone"] in zones_taken:
            raise CloudError(
                "DuplicateSubnetsInSameZone",
                f"Found another VPC endpoint subnet in the availability zone of {subnet.id}. VPC endpoint subnets "
                "should be in different availability zones supported by the VPC endpoint service.",
            )
