"""VPC peering, flow logs and customer-managed prefix lists."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from sandbox import rules
from sandbox.aws import formats, quotas, stamps, tokens, zones
from sandbox.aws.ec2_network import vpc_networks
from sandbox.aws.formats import ec2_arn
from sandbox.aws.registry import AWS
from sandbox.kinds import Args, AutoName, Cloud, CloudError, Fault, Kind, Ref, Resource


def _vpc_anywhere(cloud: Cloud, id: str) -> Resource | None:
    """A VPC of this account in any region."""
    return next((v for v in cloud.all(tokens.VPC) if v.id == id), None)


@AWS.kind
class VpcPeeringConnection(Kind):
    """aws_vpc_peering_connection. https://docs.aws.amazon.com/vpc/latest/peering/vpc-peering-basics.html"""

    token = tokens.PEERING
    id_prefix = "pcx-"
    replace_on = ("vpcId", "peerVpcId", "peerOwnerId", "peerRegion")
    write_only = ("autoAccept",)
    references = (Ref("vpcId", (tokens.VPC,), code="InvalidVpcID.NotFound"),)
    not_found_code = "InvalidVpcPeeringConnectionID.NotFound"

    def check(self, args: Args) -> Iterable[Fault]:
        yield from stamps.tag_faults(args)
        yield from formats.ids(args, "vpcId", "vpc")
        yield from formats.ids(args, "peerVpcId", "vpc")
        yield from rules.matches(args, "peerOwnerId", formats.ACCOUNT_PATTERN, "an account id of 12 digits")
        for path, value in args.at("peerRegion"):
            if not zones.is_region(str(value)):
                yield Fault(path, f"expected the name of a region, got {rules.shown(value)}")
        if args.get("autoAccept") is True and "peerRegion" in args:
            yield Fault(
                "autoAccept", "conflicts with peerRegion: a peering between regions is accepted on the other side"
            )
        if args.get("vpcId") is not None and args.get("vpcId") == args.get("peerVpcId"):
            yield Fault("peerVpcId", "a VPC cannot be peered with itself")

    def before_create(self, args: Args, cloud: Cloud) -> None:
        mine = cloud.get(tokens.VPC, args["vpcId"])
        own = args["peerOwnerId"] in (None, cloud.account)
        peer = _vpc_anywhere(cloud, args["peerVpcId"]) if own else None
        wanted_region = args["peerRegion"] or cloud.region
        if own and (peer is None or peer.region != wanted_region):
            raise CloudError("InvalidVpcID.NotFound", f"The vpc ID '{args['peerVpcId']}' does not exist")
        pair = {args["vpcId"], args["peerVpcId"]}
        for other in cloud.all(self.token):
            if {other["vpcId"], other["peerVpcId"]} == pair:
                raise CloudError("VpcPeeringConnectionAlreadyExists", f"{other.id} already connects these VPCs")
        theirs = vpc_networks(cloud, peer) if peer else []
        for network in vpc_networks(cloud, mine) if mine else []:
            if formats.overlapping(network, theirs):
                # https://docs.aws.amazon.com/vpc/latest/peering/vpc-peering-basics.html#vpc-peering-limitations
                raise CloudError(
                    "InvalidParameterValue",
                    f"VPC peering connection between {args['vpcId']} and {args['peerVpcId']} failed: overlapping CIDRs",
                )
        have = [p for p in cloud.all(self.token, region=cloud.region) if args["vpcId"] in (p["vpcId"], p["peerVpcId"])]
        quotas.check_count(
            cloud,
            quotas.PEERINGS_PER_VPC,
            len(have),
            "VpcPeeringConnectionLimitExceeded",
            "The maximum number of VPC peering connections has been reached.",
        )

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        accepted = args.get("autoAccept", False) or (old is not None and old["acceptStatus"] == "active")
        none = {"allowRemoteVpcDnsResolution": False}
        return {
            "acceptStatus": "active" if accepted else "pending-acceptance",
            "peerOwnerId": args.get("peerOwnerId", cloud.account),
            "peerRegion": args.get("peerRegion", cloud.region),
            "accepter": {**none, **args.get("accepter", {})},
            "requester": {**none, **args.get("requester", {})},
        }


@AWS.kind
class VpcPeeringConnectionAccepter(Kind):
    """aws_vpc_peering_connection_accepter: the other side's consent. Its id is that of the connection."""

    token = tokens.PEERING_ACCEPTER
    replace_on = ("vpcPeeringConnectionId",)
    write_only = ("autoAccept",)
    references = (
        Ref(
            "vpcPeeringConnectionId",
            (tokens.PEERING,),
            code="InvalidVpcPeeringConnectionID.NotFound",
            same_region=False,
            blocks_delete=False,
        ),
    )

    def check(self, args: Args) -> Iterable[Fault]:
        yield from stamps.tag_faults(args)
        yield from formats.ids(args, "vpcPeeringConnectionId", "pcx")

    @staticmethod
    def _connection(args: Args, cloud: Cloud) -> Resource | None:
        return next((p for p in cloud.all(tokens.PEERING) if p.id == args["vpcPeeringConnectionId"]), None)

    def before_create(self, args: Args, cloud: Cloud) -> None:
        connection = self._connection(args, cloud)
        if connection is not None and connection["peerRegion"] != cloud.region:
            raise CloudError(
                "OperationNotPermitted",
                f"VPC peering connection {connection.id} must be accepted in region {connection['peerRegion']}",
            )

    def new_id(self, args: Args, cloud: Cloud) -> str:
        return str(args["vpcPeeringConnectionId"])

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        connection = self._connection(args, cloud)
        none = {"allowRemoteVpcDnsResolution": False}
        accepted = args.get("autoAccept", False) or (connection is not None and connection["acceptStatus"] == "active")
        return {
            "acceptStatus": "active" if accepted else "pending-acceptance",
            "vpcId": connection["peerVpcId"] if connection else "",
            "peerVpcId": connection["vpcId"] if connection else "",
            "peerOwnerId": connection.account if connection else "",
            "peerRegion": connection.region if connection else "",
            "accepter": {**none, **args.get("accepter", {})},
            "requester": {**none, **args.get("requester", {})},
        }

    def after_create(self, resource: Resource, cloud: Cloud) -> None:
        connection = self._connection(Args(resource.outputs), cloud)
        if connection is not None and resource["acceptStatus"] == "active":
            connection.outputs["acceptStatus"] = "active"
            cloud.put(connection)


_LOG_SOURCES = ("vpcId", "subnetId", "eniId", "transitGatewayId", "transitGatewayAttachmentId", "regionalNatGatewayId")


@AWS.kind
class FlowLog(Kind):
    """aws_flow_log. https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateFlowLogs.html"""

    token = tokens.FLOW_LOG
    id_prefix = "fl-"
    replace_on = (
        *_LOG_SOURCES,
        "deliverCrossAccountRole",
        "destinationOptions",
        "iamRoleArn",
        "logDestination",
        "logDestinationType",
        "logFormat",
        "maxAggregationInterval",
        "trafficType",
    )
    defaults: ClassVar[Mapping[str, Any]] = {"logDestinationType": "cloud-watch-logs", "maxAggregationInterval": 600}
    references = (
        Ref("vpcId", (tokens.VPC,), code="InvalidVpcID.NotFound", blocks_delete=False),
        Ref("subnetId", (tokens.SUBNET,), code="InvalidSubnetID.NotFound", blocks_delete=False),
        Ref("eniId", (tokens.NETWORK_INTERFACE,), code="InvalidNetworkInterfaceID.NotFound", blocks_delete=False),
    )
    not_found_code = "InvalidFlowLogId.NotFound"

    def check(self, args: Args) -> Iterable[Fault]:
        yield from stamps.tag_faults(args)
        yield from rules.exactly_one(args, *_LOG_SOURCES)
        yield from formats.ids(args, "vpcId", "vpc")
        yield from formats.ids(args, "subnetId", "subnet")
        yield from formats.ids(args, "eniId", "eni")
        yield from rules.one_of(args, "trafficType", ("ACCEPT", "ALL", "REJECT"))
        yield from rules.one_of(args, "logDestinationType", ("cloud-watch-logs", "kinesis-data-firehose", "s3"))
        yield from rules.one_of(args, "maxAggregationInterval", (60, 600))
        yield from rules.one_of(args, "destinationOptions.fileFormat", ("plain-text", "parquet"))
        yield from formats.arns(args, "logDestination")
        yield from formats.arns(args, "iamRoleArn", "iam", "role/")
        kind = "" if args.is_unknown("logDestinationType") else args.get("logDestinationType", "cloud-watch-logs")
        if "logDestination" not in args:
            yield Fault("logDestination", "is required")
        if kind == "cloud-watch-logs":
            if "iamRoleArn" not in args:
                yield Fault("iamRoleArn", "is required when logDestinationType is cloud-watch-logs")
            if "destinationOptions" in args:
                yield Fault("destinationOptions", "can only be set when logDestinationType is s3")
        elif kind and "iamRoleArn" in args:
            yield Fault("iamRoleArn", f"cannot be set when logDestinationType is {kind}")
        transit = "transitGatewayId" in args or "transitGatewayAttachmentId" in args
        if transit and args.get("maxAggregationInterval", 600) != 60:
            yield Fault("maxAggregationInterval", "must be 60 for transit gateways")
        if not transit and "trafficType" not in args:
            yield Fault("trafficType", "is required")

    def before_create(self, args: Args, cloud: Cloud) -> None:
        same = (*_LOG_SOURCES, "logDestination", "trafficType", "logDestinationType")
        for other in cloud.all(self.token, region=cloud.region):
            if all((other[key] or None) == (args[key] or None) for key in same):
                raise CloudError(
                    "FlowLogAlreadyExists",
                    "There is an existing Flow Log with the same configuration and log destination.",
                )

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        usual = (
            "${version} ${account-id} ${interface-id} ${srcaddr} ${dstaddr} ${srcport} ${dstport} ${protocol} "
            "${packets} ${bytes} ${start} ${end} ${action} ${log-status}"
        )
        return {"arn": ec2_arn(cloud, f"vpc-flow-log/{id}"), "logFormat": args.get("logFormat", usual)}


@AWS.kind
class ManagedPrefixList(Kind):
    """aws_ec2_managed_prefix_list. https://docs.aws.amazon.com/vpc/latest/userguide/managed-prefix-lists.html"""

    token = tokens.PREFIX_LIST
    id_prefix = "pl-"
    replace_on = ("addressFamily",)
    sets = ("entries",)
    autoname = AutoName("name", 255)
    changes_on_update = ("version",)
    not_found_code = "InvalidPrefixListID.NotFound"

    def check(self, args: Args) -> Iterable[Fault]:
        yield from stamps.tag_faults(args)
        yield from rules.one_of(args, "addressFamily", ("IPv4", "IPv6"))
        yield from rules.between(args, "maxEntries", 1, 1000)
        for path, value in args.at("name"):
            if isinstance(value, str) and value.startswith("com.amazonaws"):
                yield Fault(path, "cannot begin with com.amazonaws")
        family = args.get("addressFamily")
        if family == "IPv4":
            yield from rules.cidr(args, "entries[*].cidr")
        elif family == "IPv6":
            yield from formats.cidr6(args, "entries[*].cidr")
        entries, most = args.get("entries", []), args.get("maxEntries")
        if isinstance(most, int) and len(entries) > most:
            yield Fault("entries", f"at most maxEntries ({most}), got {len(entries)}")
        seen: set[str] = set()
        for path, value in args.at("entries[*].cidr"):
            if value in seen:
                yield Fault(path, f"{value} is given twice")
            seen.add(value)

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        changed = old is not None and old.inputs.get("entries") != args["entries"]
        return {
            "arn": ec2_arn(cloud, f"prefix-list/{id}"),
            "ownerId": cloud.account,
            "version": (int(old["version"]) + changed) if old else 1,
        }
