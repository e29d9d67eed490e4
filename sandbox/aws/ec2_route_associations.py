"""Which subnet or gateway uses which route table, and which table is a VPC's main one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sandbox import rules
from sandbox.aws import formats, tokens
from sandbox.aws.ec2_routes import is_other_gateway, route_table, subnet_vpc
from sandbox.aws.registry import AWS
from sandbox.kinds import Args, Cloud, CloudError, Fault, Kind, Ref, Resource


@AWS.kind
class RouteTableAssociation(Kind):
    """aws_route_table_association."""

    token = tokens.ROUTE_TABLE_ASSOCIATION
    id_prefix = "rtbassoc-"
    replace_on = ("subnetId", "gatewayId")
    references = (
        Ref("routeTableId", tokens.ROUTE_TABLES, code="InvalidRouteTableID.NotFound"),
        # Deleting a subnet takes its association along.
        Ref("subnetId", (tokens.SUBNET,), code="InvalidSubnetID.NotFound", blocks_delete=False),
        Ref("gatewayId", (tokens.INTERNET_GATEWAY,), code="InvalidInternetGatewayID.NotFound", accept=is_other_gateway),
    )
    taggable = False
    not_found_code = "InvalidAssociationID.NotFound"

    def check(self, args: Args) -> Iterable[Fault]:
        yield from formats.ids(args, "routeTableId", "rtb")
        yield from formats.ids(args, "subnetId", "subnet")
        yield from formats.ids(args, "gatewayId", "igw", "vgw")
        yield from rules.exactly_one(args, "subnetId", "gatewayId")

    def before_create(self, args: Args, cloud: Cloud) -> None:
        self._check_same_vpc(args, cloud)
        for key in ("subnetId", "gatewayId"):
            if key in args and cloud.find(self.token, **{key: args[key]}):
                raise CloudError(
                    "Resource.AlreadyAssociated",
                    f"the specified association for route table {args['routeTableId']} conflicts with an existing "
                    "association",
                )

    def before_update(self, old: Resource, args: Args, cloud: Cloud) -> None:
        self._check_same_vpc(args, cloud)

    @staticmethod
    def _check_same_vpc(args: Args, cloud: Cloud) -> None:
        table = route_table(cloud, args["routeTableId"])
        if table is None or "subnetId" not in args:
            return
        if subnet_vpc(cloud, args["subnetId"]) != table["vpcId"]:
            raise CloudError(
                "InvalidParameterValue",
                f"route table {table.id} and subnet {args['subnetId']} belong to different networks",
            )


@AWS.kind
class MainRouteTableAssociation(Kind):
    """aws_main_route_table_association."""

    token = tokens.MAIN_ROUTE_TABLE_ASSOCIATION
    id_prefix = "rtbassoc-"
    replace_on = ("vpcId",)
    references = (
        Ref("vpcId", (tokens.VPC,), code="InvalidVpcID.NotFound"),
        Ref("routeTableId", tokens.ROUTE_TABLES, code="InvalidRouteTableID.NotFound"),
    )
    taggable = False

    def check(self, args: Args) -> Iterable[Fault]:
        yield from formats.ids(args, "vpcId", "vpc")
        yield from formats.ids(args, "routeTableId", "rtb")

    def before_create(self, args: Args, cloud: Cloud) -> None:
        table = route_table(cloud, args["routeTableId"])
        if table is not None and table["vpcId"] != args["vpcId"]:
            raise CloudError(
                "InvalidParameterValue",
                f"route table {table.id} and network {args['vpcId']} belong to different networks",
            )

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        if old is not None:
            return {"originalRouteTableId": old["originalRouteTableId"]}
        vpc = cloud.get(tokens.VPC, args["vpcId"])
        return {"originalRouteTableId": vpc["mainRouteTableId"] if vpc else ""}

    def after_create(self, resource: Resource, cloud: Cloud) -> None:
        self._set_main(cloud, resource["vpcId"], resource["routeTableId"])

    def after_delete(self, resource: Resource, cloud: Cloud) -> None:
        self._set_main(cloud, resource["vpcId"], resource["originalRouteTableId"])

    @staticmethod
    def _set_main(cloud: Cloud, vpc_id: str, table_id: str) -> None:
        vpc = cloud.get(tokens.VPC, vpc_id)
        if vpc is not None:
            vpc.outputs["mainRouteTableId"] = table_id
            cloud.put(vpc)
